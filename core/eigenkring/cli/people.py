"""Who belongs."""

from __future__ import annotations

import click

from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.erasing import go_away


@click.command()
@click.argument("case")
@pass_globals
def people(options: Globals, case: str) -> None:
    """The people of a case."""
    with opened(options, case) as one:
        options.show({"people": one.people()})


@click.command()
@click.argument("case")
@click.option("--role", required=True, help="owner, member, child or coordinator.")
@click.option("--name", default="", help="The name of the one you invite, filled in for them.")
@click.option("--compare", is_flag=True, help="Compare four words before the keys are given.")
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 90), help="How long the link works.")
@pass_globals
def invite(options: Globals, case: str, role: str, name: str, compare: bool, days: int) -> None:
    """Make a link that works once. For a professional, use `grant`."""
    with opened(options, case) as one:
        link = one.invite(role, name, compare=compare, days=days)
        options.show({"link": link})


@click.command()
@click.argument("case")
@click.argument("name")
@pass_globals
def link(options: Globals, case: str, name: str) -> None:
    """The link of an invitation, or of access, to which nobody came yet: once more."""
    with opened(options, case) as one:
        options.show({"link": one.link(name)})


@click.command()
@click.argument("case")
@click.argument("person")
@pass_globals
def remove(options: Globals, case: str, person: str) -> None:
    """Take a person out. What they already saw cannot be taken back."""
    with opened(options, case) as one:
        who = one.remove(person)
        options.show({"removed": who.hex()})


@click.command()
@click.argument("case")
@pass_globals
def leave(options: Globals, case: str) -> None:
    """Leave a case. The others see only that you are gone; nothing of it stays here."""
    with options.device() as device:
        one = device.case(case)
        one.sync_quietly()
        go_away(one)
        options.show({"left": one.id.hex()})


@click.command()
@click.argument("case")
@pass_globals
def pending(options: Globals, case: str) -> None:
    """Who knocks, and what waits for somebody."""
    with opened(options, case) as one:
        options.show({"waiting": one.pending()})


@click.command()
@click.argument("case")
@click.argument("name")
@pass_globals
def confirm(options: Globals, case: str, name: str) -> None:
    """The four words are the same on both sides: give the keys."""
    with opened(options, case) as one:
        who = one.confirm(name)
        options.show({"grant" if who in one.charter.grants else "person": who.hex()})


@click.command()
@click.argument("case")
@click.argument("part")
@pass_globals
def rights(options: Globals, case: str, part: str) -> None:
    """Who can read and who can write a part now, and why."""
    with opened(options, case) as one:
        options.show(one.rights(part))


COMMANDS = [people, invite, link, remove, leave, pending, confirm, rights]
