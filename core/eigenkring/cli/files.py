"""Photos and files of an entry."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eigenkring.attachment import MAX_ATTACHMENT_BYTES
from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse


@click.command()
@click.argument("case")
@click.argument("part")
@click.argument("path")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--as-is", is_flag=True, help="A file that is no picture, with whatever is written in it.")
@click.option(
    "--preview", type=click.Path(dir_okay=False, path_type=Path), help="A small picture of it, at most 12 kB."
)
@pass_globals
def attach(options: Globals, case: str, part: str, path: str, file: Path, as_is: bool, preview: Path | None) -> None:
    """Put a photo at an entry. PATH is collection/item. Of a picture the place, the time and the camera are left out."""
    data, small = _read(file), b"" if preview is None else _read(preview)
    with opened(options, case) as one:
        options.show(one.attach(part, path, file.name, data, as_is=as_is, preview=small))


@click.command()
@click.argument("case")
@click.argument("part")
@click.argument("path")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_globals
def fetch(options: Globals, case: str, part: str, path: str, file: Path) -> None:
    """Save the photo or file of an entry as FILE, which must not be there yet."""
    if file.exists():
        raise Misuse("home_exists", "something lies there already")
    with opened(options, case) as one:
        data = one.fetch(part, path)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(data)
        except OSError as error:
            raise Misuse("no_home", f"the file cannot be written: {error.strerror}") from None
        options.show({"fetched": str(file), "size": len(data)})


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_ATTACHMENT_BYTES + 1)
    except OSError as error:
        raise Misuse("bad_argument", f"the file cannot be read: {error.strerror}") from None


COMMANDS = [attach, fetch]
