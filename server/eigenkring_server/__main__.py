"""`python -m eigenkring_server --data DIR [--host H] [--port P] [--pwa DIR]`. The token comes from EIGENKRING_TOKEN."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from eigenkring.errors import Misuse
from eigenkring_server.limits import Limits
from eigenkring_server.relay import Quotas
from eigenkring_server.serve import run

_S = TypeVar("_S", Limits, Quotas)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eigenkring_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the streams are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8440, help="0 takes a free one")
    parser.add_argument("--pwa", type=Path, metavar="DIR", help="the built app, to serve beside the relay")
    parser.add_argument("--anyone-may-open", action="store_true", help="opening a stream needs no token")
    parser.add_argument("--trusted-proxy", metavar="ADDRESS", help="whose X-Forwarded-For is believed")
    parser.add_argument("--metrics", action="store_true", help="serve /metrics, on a loopback address only")
    parser.add_argument("--json", action="store_true", help="an error is one JSON line on stderr")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=NUMBER", help="a limit or a quota")
    asked = parser.parse_args(arguments)
    try:
        run(
            asked.data,
            asked.host,
            asked.port,
            asked.pwa,
            # Not an argument: every process of the machine can read those.
            os.environ.get("EIGENKRING_TOKEN") or None,
            anyone_may_open=asked.anyone_may_open,
            trusted_proxy=asked.trusted_proxy,
            quotas=_set(Quotas(), asked.limit),
            limits=_set(Limits(), asked.limit),
            metrics=asked.metrics,
            ready=_announce,
        )
    except (Misuse, OSError) as error:
        code = error.code if isinstance(error, Misuse) else "unsafe_setting"
        told = json.dumps({"code": code, "message": str(error)}) if asked.json else f"{error} [{code}]"
        sys.stderr.write(f"{told}\n")
        return 2
    return 0


def _announce(address: str) -> None:
    sys.stdout.write(f"eigenkring relay on {address}\n")
    sys.stdout.flush()


def _set(settings: _S, chosen: list[str]) -> _S:
    known = {name for kind in (Limits, Quotas) for name in kind.__struct_fields__}
    values: dict[str, object] = {}
    for each in chosen:
        name, _, number = each.partition("=")
        if name not in known:
            raise Misuse("bad_argument", f"no limit is called {name}")
        if name in settings.__struct_fields__:
            try:
                values[name] = float(number) if isinstance(getattr(settings, name), float) else int(number)
            except ValueError:
                raise Misuse("bad_argument", f"{name} is a number") from None
            if not values[name] > 0:  # type: ignore[operator]
                raise Misuse("unsafe_setting", f"{name} is more than nothing: else nobody is served, or everybody")
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **values}, type(settings))
    except msgspec.ValidationError as error:
        raise Misuse("bad_argument", str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
