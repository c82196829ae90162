"""What stays and what goes: founding a part anew."""

from __future__ import annotations

import click

from eigenkring.cli.session import Globals, opened, pass_globals


@click.command()
@click.argument("case")
@click.argument("part")
@pass_globals
def forget(options: Globals, case: str, part: str) -> None:
    """Found a part anew from what it shows now. Deleted words, and who wrote what, are gone at the relay at once, and on
    every device when it next syncs. What somebody exported or copied stays where they put it."""
    with opened(options, case) as one:
        options.show({"forgot": one.forget(part)})


COMMANDS = [forget]
