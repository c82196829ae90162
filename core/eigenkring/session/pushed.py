"""Taking in what a relay pushes, record by record, between two syncs. Spec: docs/spec/streams.md (A record that was pushed).

Only edits of parts, each at the place after the last one that is here, opened and judged like any other. A push announces no
head to compare with; the signed "seen" inside each record and the next sync do. For whatever else there is, and wherever there
is doubt, a sync looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eigenkring.ids import Chain, RecordBytes, StreamId
from eigenkring.session.parts import CaseSession, OpenPart
from eigenkring.stream import Placed
from eigenkring_crypto import chain as running
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import record_epoch


@dataclass(frozen=True, slots=True)
class Pushed:
    """A record, and the place the relay says it has."""

    stream: StreamId
    index: int
    record: RecordBytes


def take_pushed(session: CaseSession, pushed: Sequence[Pushed]) -> bool:
    """Take in records of one stream, in the order in which they came. Gives whether nothing is left for a sync to look at.
    Not while a sync reads."""
    if not pushed:
        return True
    stream = pushed[0].stream
    opened = session.parts.get(stream)
    if opened is None or session.row.state != "open" or session.charter is None:
        return False
    present = session.charter.parts.get(opened.part.name)
    if present is None or present.stream != stream:
        return False
    if stream in session.astray or stream in session.unfollowed:
        return False  # its log is being compared with another one
    placed, whole = _follow(session, opened, pushed)
    if not placed:
        return whole
    _ = opened.fold  # opened afterwards it would take these in by itself, and nobody would hear what came of it
    with session.store.step():
        position = replace(session.position(stream), length=placed[-1].index, chain=placed[-1].chain)
        session.store.put_records(session.case, stream, position, placed)
        session.arrived(stream, {bytes(each.record) for each in placed})
    return session.take_in(opened) and whole


def _follow(session: CaseSession, opened: OpenPart, pushed: Sequence[Pushed]) -> tuple[list[Placed], bool]:
    """What follows without a gap on what is here; and whether that was all, and none of it contradicts what is here."""
    stream = opened.part.stream
    position = session.position(stream)
    length, chain = position.length, position.chain
    placed: list[Placed] = []
    for one in pushed:
        if one.index <= length:
            before = session.store.chain_at(session.case, stream, one.index - 1)
            known = session.store.chain_at(session.case, stream, one.index)
            if before is not None and known is not None and running.extend(before, one.record) != known:
                # Said again is no news; another record at a place that is taken is a second log, and a sync will see whose.
                return placed, False
            continue
        if one.index > length + 1 or not _is_readable(session, opened, one.record):
            return placed, False
        length, chain = one.index, Chain(running.extend(chain, one.record))
        placed.append(Placed(length, one.record, chain))
    return placed, True


def _is_readable(session: CaseSession, opened: OpenPart, record: bytes) -> bool:
    """Whether its key is here. A lock was turned otherwise, and the keys come first in a sync."""
    try:
        return session.ring.secret(opened.part.read, record_epoch(record)) is not None
    except CryptoError:
        return False
