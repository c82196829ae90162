"""Letting a professional read, and stopping it."""

from __future__ import annotations

import click

from eigenkring.cli.session import Globals, opened, pass_globals


def _listed(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


@click.command()
@click.argument("case")
@click.option("--to", "name", required=True, help="Who may read.")
@click.option("--purpose", required=True, help="What for; the family sees it.")
@click.option("--until", required=True, help="Last day, as 2026-12-31.")
@click.option("--parts", default=None, help="Which parts, such as plan,safety.")
@click.option("--items", default=None, help="Only these items, such as plan/agreements/ITEM.")
@click.option("--fields", default=None, help="Only these fields, such as plan/agreements/what.")
@click.option("--without", default=None, help="Not these, such as 'plan/agreements/*/with'.")
@click.option("--naming", default=None, help="Only items that name this person.")
@pass_globals
def grant(
    options: Globals,
    case: str,
    name: str,
    purpose: str,
    until: str,
    parts: str | None,
    items: str | None,
    fields: str | None,
    without: str | None,
    naming: str | None,
) -> None:
    """Let a professional read chosen parts, for a purpose, until a day."""
    with opened(options, case) as one:
        selection = one.selection(_listed(parts), _listed(items), _listed(fields), _listed(without), _listed(naming))
        given = one.grant(name, purpose, until, selection)
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
@click.argument("grant")
@pass_globals
def preview(options: Globals, case: str, grant: str) -> None:
    """Exactly what the reader of a grant sees now."""
    with opened(options, case) as one:
        options.show(one.preview(grant))


@click.command()
@click.argument("case")
@pass_globals
def access(options: Globals, case: str) -> None:
    """Who may read what, why, and until when."""
    with opened(options, case) as one:
        options.show({"access": one.access()})


COMMANDS = [grant, accept, views, view, withdraw, preview, access]
