"""Taking a case along, proving it, and ending it."""

from __future__ import annotations

from pathlib import Path

import click

from eigenkring import erasing, exporting, importing
from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse


@click.command()
@click.argument("case")
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@pass_globals
def export(options: Globals, case: str, folder: Path) -> None:
    """All you may read, to open without this program, with the proof of who wrote what. Keep it as safe as the plan."""
    with opened(options, case) as one:
        options.show(exporting.export(one, folder))


@click.command()
@click.argument("copy", type=click.Path(path_type=Path))
@pass_globals
def verify(options: Globals, copy: Path) -> None:
    """Whether an export, a folder or a zip such as the app gives, is whole and nobody changed it. Needs no home and no network."""
    options.show(exporting.verify(copy))


@click.command(name="import")
@click.argument("copy", type=click.Path(path_type=Path))
@click.option("--relay", required=True, help="Address of the relay where the case goes.")
@click.option("--as", "name", default=None, help="Your own name; the one in the export where none is given.")
@pass_globals
def import_(options: Globals, copy: Path, relay: str, name: str | None) -> None:
    """Take a case to another relay, from an export (a folder, or a zip such as the app gives) that is verified first. Says who has to be sent a link, and what then."""
    with options.device() as device:
        device.sync_quietly()
        options.show(importing.bring(device, copy, relay, name))


@click.command()
@click.argument("case")
@click.option("--yes", is_flag=True, help="You know that this cannot be undone.")
@pass_globals
def erase(options: Globals, case: str, yes: bool) -> None:
    """End a case for everybody (as its owner), take yourself out of it, or empty this device of one that is over for you.
    Says what survives elsewhere."""
    if not yes:
        raise Misuse("bad_argument", "this cannot be undone; make an export first, and then say --yes")
    with options.device() as device:
        one = device.case(case)
        one.sync_quietly()
        options.show(erasing.erase(one))


COMMANDS = [export, verify, import_, erase]
