"""Letting a professional read, and stopping it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from eigenkring.case import Case
from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse
from eigenkring.renewing import preview_selection
from eigenkring.renewing import renew as renew_grant
from eigenkring.renewing import save_copy as write_copy
from eigenkring.view import Selection


def _selection(case: Case, chosen: Mapping[str, str | None]) -> Selection:
    return case.selection(*(_listed(chosen[name]) for name in ("parts", "items", "fields", "without", "naming")))


def _listed(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


_Command = TypeVar("_Command", bound=Callable[..., Any])


def choosing(command: _Command) -> _Command:
    """The options that choose what is shown."""
    for option in reversed(
        (
            click.option("--parts", default=None, help="Which parts, such as plan,safety."),
            click.option("--items", default=None, help="Only these items, such as plan/agreements/ITEM."),
            click.option("--fields", default=None, help="Only these fields, such as plan/agreements/what."),
            click.option("--without", default=None, help="Not these, such as 'plan/agreements/*/with'."),
            click.option("--naming", default=None, help="Only items that name this person."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("case")
@click.option("--to", "name", required=True, help="Who may read.")
@click.option("--purpose", required=True, help="What for; the family sees it.")
@click.option("--until", required=True, help="Last day, as 2026-12-31; at most three months away.")
@click.option("--compare", is_flag=True, help="Compare four words before the keys are given.")
@choosing
@pass_globals
def grant(
    options: Globals, /, case: str, name: str, purpose: str, until: str, compare: bool, **chosen: str | None
) -> None:
    """Let a professional read chosen parts, for a purpose, until a day."""
    with opened(options, case) as one:
        given = one.grant(name, purpose, until, _selection(one, chosen), compare=compare)
        options.show({"grant": given.grant.hex(), "link": given.link})


@click.command()
@click.argument("link")
@click.option("--as", "name", required=True, help="Your own name.")
@pass_globals
def accept(options: Globals, link: str, name: str) -> None:
    """As a professional: follow the link of a family."""
    with options.device() as device:
        options.show({"grant": device.accept(link, name).hex()})


@click.command()
@pass_globals
def views(options: Globals) -> None:
    """As a professional: what families let you read."""
    with options.device() as device:
        device.sync_quietly()
        options.show({"views": device.views()})


@click.command()
@click.argument("grant")
@pass_globals
def view(options: Globals, grant: str) -> None:
    """As a professional: read one view."""
    with options.device() as device:
        device.sync_quietly()
        parts = device.view(grant)
        device.sync_quietly()  # the receipt that it was opened
        options.show(parts)


@click.command()
@click.argument("case")
@click.argument("grant")
@pass_globals
def withdraw(options: Globals, case: str, grant: str) -> None:
    """Stop access. What was seen stays seen."""
    with opened(options, case) as one:
        options.show({"withdrawn": one.withdraw(grant).hex()})


@click.command()
@click.argument("case")
@click.argument("grant", required=False)
@choosing
@pass_globals
def preview(options: Globals, /, case: str, grant: str | None, **chosen: str | None) -> None:
    """Exactly what the reader of a grant sees now, or would see: choose with the options of `grant`."""
    with opened(options, case) as one:
        if grant is not None and any(chosen.values()):
            raise Misuse("bad_argument", "look at a grant, or at a choice")
        options.show(one.preview(grant) if grant is not None else preview_selection(one, _selection(one, chosen)))


@click.command()
@click.argument("case")
@click.argument("grant")
@click.option("--to", "name", required=True, help="The colleague who takes over.")
@click.option("--until", default=None, help="Last day; the old one where none is given.")
@pass_globals
def renew(options: Globals, case: str, grant: str, name: str, until: str | None) -> None:
    """A colleague takes over: the same choice for another person, and the one before reads no more."""
    with opened(options, case) as one:
        given = renew_grant(one, grant, name, until)
        options.show({"grant": given.grant.hex(), "link": given.link})


@click.command(name="save-copy")
@click.argument("grant")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_globals
def save_copy(options: Globals, grant: str, file: Path) -> None:
    """As a professional: a copy for your own record. The family sees that you made it."""
    with options.device() as device:
        device.sync_quietly()
        saved = write_copy(device, grant, file)
        device.sync_quietly()
        options.show(saved)


@click.command()
@click.argument("case")
@pass_globals
def access(options: Globals, case: str) -> None:
    """Who may read what, why, and until when."""
    with opened(options, case) as one:
        options.show({"access": one.access()})


COMMANDS = [grant, accept, views, view, withdraw, preview, access, renew, save_copy]
