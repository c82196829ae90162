"""`serve` and `demo`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from eigenkring.cli.session import Globals, pass_globals
from eigenkring.errors import Misuse


def app_folder() -> Path | None:
    """The built app: inside the wheel, or in the checkout it was built in."""
    here = Path(__file__).resolve()
    for folder in (here.parent.parent / "app", here.parents[3] / "pwa" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


def serve_command(data: Path, host: str, port: int) -> list[str]:
    # A process of its own: the relay must never have loaded the CRDT or the crypto package (DESIGN 2).
    command = [sys.executable, "-m", "eigenkring_server", "--data", str(data), "--host", host, "--port", str(port)]
    app = app_folder()
    return command if app is None else [*command, "--pwa", str(app)]


@click.command()
@click.option("--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the relay.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8300, show_default=True, type=click.IntRange(0, 65535))
@pass_globals
def serve(options: Globals, data: Path, host: str, port: int) -> None:
    """Run the relay, and serve the app to phones."""
    if app_folder() is None:
        click.echo("The app is not built (make pwa); only the relay is served.", err=True)
    child = subprocess.Popen(serve_command(data, host, port))  # noqa: S603
    try:
        status = child.wait()
    except KeyboardInterrupt:
        child.terminate()
        status = child.wait(timeout=30)
    if status not in (0, -15, -2):
        raise Misuse("unsafe_setting", "the relay did not start; its own words are above")


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
    try:
        result = run.make(lambda line: None if options.as_json else click.echo(line))
        options.show(result, lambda: iter(run.what_next(result)))
        if keep:
            sys.stdout.flush()
            run.wait()
    finally:
        run.stop()


COMMANDS = [serve, demo]
