"""Reading and writing parts."""

from __future__ import annotations

import json
from typing import Any

import click

from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Misuse


def value_of(text: str) -> Any:
    """JSON, or else the text as it stands."""
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return text


def _read(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field that stands there twice: which one is meant?")
    return found


@click.command()
@click.argument("case")
@click.argument("part", required=False)
@pass_globals
def show(options: Globals, case: str, part: str | None) -> None:
    """A part, or everything you may read. PART is a kind, or kind@PERSON."""
    with opened(options, case) as one:
        options.show(one.show(part))


@click.command()
@click.argument("case")
@click.argument("part")
@click.argument("collection")
@click.argument("fields")
@pass_globals
def add(options: Globals, case: str, part: str, collection: str, fields: str) -> None:
    """Add an item. FIELDS is a JSON object, such as '{"what": "Fatima komt op zondag"}'."""
    try:
        given = _read(fields)
    except (ValueError, RecursionError):
        raise Misuse("bad_value", "the fields are no JSON object") from None
    if not isinstance(given, dict):
        raise Misuse("bad_value", "the fields are no JSON object")
    with opened(options, case) as one:
        options.show({"item": one.add(part, collection, given)})


@click.command(name="set")
@click.argument("case")
@click.argument("part")
@click.argument("path")
@click.argument("value")
@pass_globals
def set_(options: Globals, case: str, part: str, path: str, value: str) -> None:
    """Change one field. PATH is collection/item/field; VALUE is JSON, or else a text."""
    with opened(options, case) as one:
        one.set(part, path, value_of(value), as_typed=value)
        options.show({"set": path})


@click.command()
@click.argument("case")
@click.argument("part")
@click.argument("path")
@pass_globals
def delete(options: Globals, case: str, part: str, path: str) -> None:
    """Delete an item or a field. Deleted words stay in the part's history for its readers."""
    with opened(options, case) as one:
        one.delete(part, path)
        options.show({"deleted": path})


@click.command()
@click.argument("case")
@click.argument("part")
@pass_globals
def history(options: Globals, case: str, part: str) -> None:
    """Who changed what, in order. `at` is the day that the author's device claims; null where it is not known."""
    with opened(options, case) as one:
        options.show({"changes": one.history(part)})


COMMANDS = [show, add, set_, delete, history]
