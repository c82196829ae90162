"""Taking a case along, proving it, and ending it."""

from __future__ import annotations

from pathlib import Path

import click

from eigenkring import erasing, exporting
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
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@pass_globals
def verify(options: Globals, folder: Path) -> None:
    """Whether an export is whole and nobody changed it. Needs no home and no network."""
    options.show(exporting.verify(folder))


@click.command()
@click.argument("case")
@click.option("--yes", is_flag=True, help="You know that this cannot be undone.")
@pass_globals
def erase(options: Globals, case: str, yes: bool) -> None:
    """End a case for everybody (as its owner), or take yourself out of it. Says what survives elsewhere."""
    if not yes:
        raise Misuse("bad_argument", "this cannot be undone; make an export first, and then say --yes")
    with options.device() as device:
        one = device.case(case)
        one.sync_quietly()
        options.show(erasing.erase(one))


COMMANDS = [export, verify, erase]
