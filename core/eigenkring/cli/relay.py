"""`serve` and `demo`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click

from eigenkring.cli.session import Globals, pass_globals


def app_folder() -> Path | None:
    """The built app: inside the wheel, or in the checkout it was built in."""
    here = Path(__file__).resolve()
    for folder in (here.parent.parent / "app", here.parents[3] / "pwa" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


def serve_command(data: Path, host: str, port: int, *more: str) -> list[str]:
    # A process of its own: the relay must never have loaded the CRDT or the crypto package.
    command = [sys.executable, "-m", "eigenkring_server", "--data", str(data), "--host", host, "--port", str(port)]
    app = app_folder()
    return [*command, *([] if app is None else ["--pwa", str(app)]), *more]


@click.command()
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the relay.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8300, show_default=True, type=click.IntRange(0, 65535))
@click.option("--anyone-may-open", is_flag=True, help="Starting a case here needs no token (EIGENKRING_TOKEN).")
@click.option("--trusted-proxy", metavar="ADDRESS", help="The proxy in front, whose X-Forwarded-For is believed.")
@click.option("--metrics", is_flag=True, help="Serve /metrics (Prometheus); only on a loopback address.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="A limit or a quota (docs/operating.md).")
@pass_globals
def serve(
    options: Globals,
    data: Path,
    host: str,
    port: int,
    anyone_may_open: bool,
    trusted_proxy: str | None,
    metrics: bool,
    limits: tuple[str, ...],
) -> None:
    """Run the relay, and serve the app to phones. A token in EIGENKRING_TOKEN says who may start a case here."""
    if app_folder() is None:
        click.echo("The app is not built (make pwa); only the relay is served.", err=True)
    more = [*(["--anyone-may-open"] if anyone_may_open else []), *(["--metrics"] if metrics else [])]
    more += [] if trusted_proxy is None else ["--trusted-proxy", trusted_proxy]
    more += [word for limit in limits for word in ("--limit", limit)]
    # The token goes along in the environment: an argument is for every process of the machine to read.
    command = serve_command(data, host, port, *more, *(["--json"] if options.as_json else []))
    # In the place of this process: whoever stops it, even by force, stops the relay.
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606


@click.group()
def relay() -> None:
    """Keep a copy of a relay, and put one back."""


@relay.command()
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the relay.")
@click.option("--to", "to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file.")
@pass_globals
def backup(options: Globals, data: Path, to: Path) -> None:
    """Copy the relay's streams into one file, also while it serves. It holds ciphertext that a later `close` cannot reach."""
    from eigenkring_server import backup as copying

    copying.backup(data, to)
    options.show({"backup": str(to), "bytes": to.stat().st_size})


@relay.command()
@click.option("--from", "source", type=click.Path(dir_okay=False, path_type=Path), help="A backup.")
@click.option("--empty", is_flag=True, help="There is no backup: the phones rebuild it.")
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the relay.")
@click.option("--replace", is_flag=True, help="Erase the relay that lies in the folder now.")
@pass_globals
def restore(options: Globals, source: Path | None, empty: bool, data: Path, replace: bool) -> None:
    """Put a backup back (--from), or begin an empty relay where the disk was lost (--empty), under a new generation: every
    device is told, and gives back what is missing."""
    from eigenkring_server import backup as copying

    if (source is None) is not empty:
        raise click.UsageError("name a backup with --from, or say --empty where there is none")
    if source is None and replace:
        raise click.UsageError("--replace goes with --from: move the folder away yourself to begin an empty relay")
    made = copying.begin_anew(data) if source is None else copying.restore(source, data, replace=replace)
    options.show({"generation": made})


@click.command()
@click.option("--data", default=Path(".demo"), show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8300, show_default=True, type=click.IntRange(0, 65535))
@click.option("--relay", default=None, help="Use this relay instead of starting one.")
@click.option("--serve", "keep", is_flag=True, help="Keep the relay running until you press Ctrl-C.")
@pass_globals
def demo(options: Globals, data: Path, host: str, port: int, relay: str | None, keep: bool) -> None:
    """The fixture family: Nora, her circle of eleven, a coordinator and a view, with real devices on a real relay."""
    from eigenkring.demo import Demo

    run = Demo(data, serve_command(data / "relay", host, port), relay)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the relay stops with it
    try:
        result = run.make(lambda line: None if options.as_json else click.echo(line))
        if keep and relay is None:
            from eigenkring.glass import Glass

            result["glass"] = Glass(data, result["relay"], result["case"]).url
        options.show(result, lambda: iter(run.what_next(result)))
        if keep:
            sys.stdout.flush()
            run.wait()
    finally:
        run.stop()


COMMANDS = [serve, relay, demo]
