"""What every command shares: the global options, one way to print, one way to fail."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from eigenkring.errors import EigenkringError
from eigenkring.library import Case, Device
from eigenkring_crypto.errors import CryptoError


@dataclass(frozen=True)
class Globals:
    """The options that stand before the command."""

    home: str | None
    as_json: bool
    offline: bool

    def device(self) -> Device:
        home = Path(self.home) if self.home else Path.home() / ".eigenkring"
        return Device.open(home, offline=self.offline, admission_token=os.environ.get("EIGENKRING_TOKEN"))

    def show(self, result: Mapping[str, Any], human: Callable[[], Iterator[str]] | None = None) -> None:
        """One JSON object, or lines for a person."""
        if self.as_json:
            click.echo(json.dumps(result, ensure_ascii=False, sort_keys=False))
            return
        for line in human() if human else _plain(result):
            click.echo(harmless(line))


# Letters of right-to-left languages are letters; these marks turn what stands around them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ")


def _plain(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in result.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _plain(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:" if value else f"{indent}{key}: none"
            for item in value:
                if isinstance(item, Mapping):
                    yield f"{indent}  - " + _on_one_line(", ".join(f"{k}: {v}" for k, v in item.items()))
                else:
                    yield f"{indent}  - {_on_one_line(str(item))}"
        else:
            # A line of somebody's text must not look like a line of ours.
            yield f"{indent}{key}: {value}".replace("\n", f"\n{indent}    ")


def harmless(text: str) -> str:
    """What others wrote, for a terminal: signs that move, colour, erase or turn around are shown and not obeyed."""
    return "".join(
        letter
        if letter == "\n" or (unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in _TURNING)
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


pass_globals = click.make_pass_decorator(Globals)


@contextmanager
def opened(options: Globals, case: str) -> Iterator[Case]:
    """One case: synced before the command and after it, closed whatever happens."""
    with options.device() as device:
        one = device.case(case)
        one.sync_quietly()
        yield one
        one.sync_quietly()


def fail(error: Exception, as_json: bool) -> int:
    """Print an error in its one form; give the exit status."""
    if isinstance(error, click.UsageError):
        code, message, status = "bad_argument", error.format_message(), 2
    elif isinstance(error, click.ClickException):
        code, message, status = "bad_argument", error.format_message(), 1
    elif isinstance(error, EigenkringError | CryptoError):
        code, message, status = error.code, str(error), 1
    else:
        # A fault of ours. Its words may hold anything, so only its kind is told.
        code, message, status = "internal", f"an internal fault ({type(error).__name__}); nothing was lost", 70
        if os.environ.get("EIGENKRING_DEBUG"):
            raise error
    if as_json:
        click.echo(json.dumps({"code": code, "message": message}, ensure_ascii=False), err=True)
    else:
        click.echo(harmless(f"{message} [{code}]"), err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)
    sys.stdout.flush()
    return status
