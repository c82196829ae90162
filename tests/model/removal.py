"""The rules of admission after a removal, small enough to be read in one sitting. Spec: docs/spec/part.md, Fold.

A change has an author, a number, what it stands on, and the epoch it was attested in. A relay and a friend choose the
order of the stream and what is in it; the remover chose the cut. ``admitted`` says what counts; ``test_removal.py``
tries every order of every small world, asks of each what is promised, and holds the real fold against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Change(NamedTuple):
    name: str
    author: str
    seq: int
    on: frozenset[str]  # names of what it depends on
    epoch: int


class Removal(NamedTuple):
    """Who went with the entry that ended ``epoch``, and the last number of each that the remover had admitted: the cut."""

    epoch: int
    cut: Mapping[str, int]


def is_void(change: Change, removal: Removal) -> bool:
    gone = change.author in removal.cut
    # Of the ended epoch the cut decides; of a later one there is no right.
    return gone and (change.epoch > removal.epoch or change.seq > removal.cut[change.author])


def admitted(stream: Iterable[Change], removal: Removal) -> list[str]:
    """Names, in order. A verdict belongs to a place in the stream: nothing waits, and what came too early stays out there."""
    found: list[str] = []
    last: dict[str, int] = {}
    for change in stream:
        if change.name in found or not change.on <= set(found):
            continue
        if change.seq != last.get(change.author, 0) + 1 or is_void(change, removal):
            continue
        found.append(change.name)
        last[change.author] = change.seq
    return found
