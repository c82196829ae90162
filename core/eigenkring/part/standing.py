"""What a verdict of a part may still hang on: the charter as it was, and what was not in it. Spec: docs/spec/part.md (Fold)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from eigenkring.ids import EntryHash, StreamId
from eigenkring.part.rights import Rights


class Outlook(NamedTuple):
    """``height`` of the charter at the last record; ``waiting``: hashes of entries that records wait for; ``may_heal``:
    something was refused that a longer charter may allow; ``cuts`` that were known."""

    height: int
    waiting: Collection[bytes]
    may_heal: bool
    cuts: int


def is_outdated(outlook: Outlook, stream: StreamId, now: Rights) -> bool:
    """Whether a longer charter can change a verdict: then the part is folded again."""
    if any(now.head_index(EntryHash(head)) is not None for head in outlook.waiting):
        return True
    return now.n != outlook.height and (outlook.may_heal or len(now.cuts.get(stream, ())) != outlook.cuts)
