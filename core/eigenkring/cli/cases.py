"""Starting, joining, listing, syncing."""

from __future__ import annotations

import click

from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse


@click.command()
@click.argument("title")
@click.option("--relay", default=None, help="Address of the relay, such as https://relay.example.")
@click.option("--as", "name", default=None, help="Your own name.")
@click.option("--from", "old", default=None, metavar="CASE", help="Go on from the present state of this case ...")
@click.option("--without", default=None, metavar="PERSON", help="... without this person, who is told nothing.")
@click.option("--role", type=click.Choice(["owner", "coordinator"]), default="owner", show_default=True)
@pass_globals
def start(
    options: Globals, title: str, relay: str | None, name: str | None, old: str | None, without: str | None, role: str
) -> None:
    """Start a case: your question, your circle, your plan. Or go on without one person: --from CASE --without PERSON."""
    if (old is None) != (without is None):
        raise Misuse("bad_argument", "--from CASE and --without PERSON go together")
    with options.device() as device:
        if old is not None and without is not None:
            if relay is not None or role != "owner":
                raise Misuse("bad_argument", "a case that goes on stays at its relay, and you are its owner")
            new, invited = device.go_on(old, without, title, name)
            options.show({"case": new.id.hex(), "invitations": invited})
            return
        if relay is None or name is None:
            raise Misuse("bad_argument", "a new case needs --relay URL and --as NAME")
        case = device.start(title, relay, name, role=role)
        options.show({"case": case.id.hex()})


@click.command()
@click.argument("link")
@click.option("--as", "name", required=True, help="Your own name.")
@pass_globals
def join(options: Globals, link: str, name: str) -> None:
    """Follow an invitation. Readable after a device of the circle has synced."""
    with options.device() as device:
        options.show({"case": device.join(link, name).hex()})


@click.command()
@pass_globals
def cases(options: Globals) -> None:
    """The cases on this device."""
    with options.device() as device:
        device.sync_quietly()
        options.show({"cases": device.cases()})


@click.command()
@click.argument("case", required=False)
@pass_globals
def sync(options: Globals, case: str | None) -> None:
    """Send and receive, let in who knocked, publish views."""
    with options.device() as device:
        report = device.sync(case)
        options.show({"sent": report.sent, "received": report.received, "alarms": report.alarms})


@click.command()
@click.argument("case")
@pass_globals
def status(options: Globals, case: str) -> None:
    """Streams, what waits to be sent, and alarms."""
    with opened(options, case) as one:
        options.show(one.status())


@click.command()
@click.argument("case")
@pass_globals
def log(options: Globals, case: str) -> None:
    """What was decided about who belongs and who may read."""
    with opened(options, case) as one:
        options.show({"entries": one.log()})


COMMANDS = [start, join, cases, sync, status, log]
