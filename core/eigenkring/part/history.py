"""Who wrote what where, and in which order it came: for `history` and the screen behind a text. Spec: docs/spec/part.md."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import msgspec

from eigenkring.change import Change, Op, OpId, parse_change
from eigenkring.part.attestation import FIRST_DAY, LAST_DAY
from eigenkring.part.ledger import Entry


class Event(msgspec.Struct, frozen=True):
    """One admitted change. ``places`` are (item key, field or None for the item itself), each once, in order.
    ``added`` and ``removed`` count scalars of text. ``day`` is what its author claims, counted from 1970.
    """

    change: bytes
    device: bytes
    seq: int
    index: int
    places: tuple[tuple[str, str | None], ...]
    added: int
    removed: int
    day: int | None


def history(entries: Iterable[Entry]) -> list[Event]:
    """Parses every change again: asked for by a person, not at every keystroke."""
    objects: dict[OpId, tuple[str, ...]] = {}
    return [_event(entry, parse_change(entry.raw), objects) for entry in entries]


def shown_day(day: int | None) -> str | None:
    """``2026-03-03``, or None where the author claims nothing, or a day that cannot be."""
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        return None
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def _event(entry: Entry, change: Change, objects: dict[OpId, tuple[str, ...]]) -> Event:
    places: dict[tuple[str, str | None], None] = {}
    added = removed = 0
    for counter, op in enumerate(change.ops, change.start_op):
        path = _path(op, objects)
        if op.action in ("make_map", "make_text"):
            objects[OpId(counter, change.actor)] = path
        if op.key is None:
            added += op.action == "insert"
            removed += op.action == "del"
        if path:
            places[path[0], path[1] if len(path) > 1 else None] = None
    # An item and its fields in one change: the fields say it.
    fields = {item for item, field in places if field is not None}
    shown = tuple(place for place in places if place[1] is not None or place[0] not in fields)
    return Event(entry.hash, entry.device, entry.seq, entry.index, shown, added, removed, entry.day)


def _path(op: Op, objects: dict[OpId, tuple[str, ...]]) -> tuple[str, ...]:
    above = () if op.obj is None else objects.get(op.obj, ())
    return above if op.key is None else (*above, op.key)
