"""Who is what in the circle, and what more than one person decides."""

from __future__ import annotations

import click

from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse


@click.command()
@click.argument("case")
@click.argument("who", metavar="PERSON")
@click.argument("role")
@click.option("--until", default=None, help="Last day, as 2026-12-31; an owner's device ends it then.")
@pass_globals
def role(options: Globals, case: str, who: str, role: str, until: str | None) -> None:
    """Give a person another role, or an end date. To make or unmake an owner beside others: `propose`."""
    with opened(options, case) as one:
        person, _ = one.set_role(who, role, until)
        options.show({"person": person.hex(), "role": role, "until": until})


@click.command(name="hand-over")
@click.argument("case")
@click.argument("who", metavar="PERSON")
@pass_globals
def hand_over(options: Globals, case: str, who: str) -> None:
    """As the coordinator who started: from now on this owner and the family decide."""
    with opened(options, case) as one:
        options.show({"person": one.hand_over(who).hex()})


@click.command(name="let-in")
@click.argument("case")
@click.argument("part")
@click.argument("who", metavar="PERSON")
@pass_globals
def let_in(options: Globals, case: str, part: str, who: str) -> None:
    """One more person reads a part: your page or number, or, as an owner, the coordinator the plan."""
    with opened(options, case) as one:
        options.show({"person": one.let_in(part, who).hex(), "part": one.full_name(part)})


@click.command(name="let-out")
@click.argument("case")
@click.argument("part")
@click.argument("who", metavar="PERSON")
@pass_globals
def let_out(options: Globals, case: str, part: str, who: str) -> None:
    """Who was let in reads no more of what comes. What was read stays known."""
    with opened(options, case) as one:
        options.show({"person": one.let_out(part, who).hex(), "part": one.full_name(part)})


@click.command()
@click.argument("case")
@click.argument("what", type=click.Choice(["role", "remove", "readmit", "close"]))
@click.argument("who", metavar="[PERSON]", required=False)
@click.option("--role", default=None, help="For `role`: owner, member, child or coordinator.")
@pass_globals
def propose(options: Globals, case: str, what: str, who: str | None, role: str | None) -> None:
    """Ask the others for what one person cannot decide alone. The one concerned does not read it first."""
    with opened(options, case) as one:
        options.show(one.propose(what, who, role))


@click.command()
@click.argument("case")
@click.argument("who", metavar="[PERSON]", required=False)
@pass_globals
def approve(options: Globals, case: str, who: str | None) -> None:
    """Say yes to what another one asked (`pending` shows it). The last yes does it."""
    with opened(options, case) as one:
        options.show(one.approve(who))


@click.command()
@click.argument("case")
@click.argument("who", metavar="PERSON")
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 90), help="How long the link works.")
@pass_globals
def readmit(options: Globals, case: str, who: str, days: int) -> None:
    """A link for the only owner, who lost everything: when enough members said yes."""
    with opened(options, case) as one:
        options.show({"link": one.readmit(who, days=days)})


@click.command()
@click.argument("case")
@click.argument("name")
@pass_globals
def cancel(options: Globals, case: str, name: str) -> None:
    """Take back a link that nobody used, of an invitation or of access: nobody comes in by it any more."""
    with opened(options, case) as one:
        options.show({"cancelled": one.cancel(name)})


@click.command()
@click.argument("what", metavar="add", type=click.Choice(["add"]))
@click.argument("case")
@click.argument("name")
@click.option("--without-phone", is_flag=True, help="Somebody who has no device.")
@click.option("--stand-in", default=None, help="Who writes down what they say.")
@pass_globals
def person(options: Globals, what: str, case: str, name: str, without_phone: bool, stand_in: str | None) -> None:
    """Add somebody to the circle who has no phone, and is heard through another."""
    del what
    if not without_phone or not stand_in:
        raise Misuse("bad_argument", "with a phone: `invite`; without: --without-phone --stand-in PERSON")
    with opened(options, case) as one:
        options.show({"person": one.add_without_phone(name, stand_in)})


@click.command()
@click.argument("case")
@click.option("--yes", is_flag=True, help="Go on with what the relay shows. Without it: what that takes and drops.")
@pass_globals
def adopt(options: Globals, case: str, yes: bool) -> None:
    """When the relay was put back and shows other decisions than yours: go on with those. What you ended stays ended."""
    with opened(options, case) as one:
        options.show({**(one.adopt() if yes else one.parted()), "done": yes})


COMMANDS = [adopt, role, let_in, let_out, hand_over, propose, approve, readmit, cancel, person]
