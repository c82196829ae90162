"""What a part held and the log that a relay shows now does not. Spec: docs/spec/part.md (Snapshot).

Records go back in their own bytes, but those a snapshot took the place of are nowhere any more, and what their
signatures saw does not lie in another log. So a device that follows another log keeps what it had; whoever manages the
stream puts a snapshot of both in the place of that log, and only then it is forgotten here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from eigenkring import wire
from eigenkring.ids import StreamId
from eigenkring.part.snapshot import make_snapshot
from eigenkring.part.verdict import Verdict
from eigenkring.session.parts import CaseSession, OpenPart
from eigenkring_crypto.kdf import sha256
from eigenkring_crypto.seal import MIN_RECORD_BYTES


class Basis(NamedTuple):
    """As ``PartFold.basis`` gives it: attestations, changes in order, witnesses."""

    atts: list[bytes]
    changes: list[bytes]
    witnesses: list[bytes]

    def with_more(self, other: Basis) -> Basis:
        return Basis(*(list(dict.fromkeys((*mine, *more))) for mine, more in zip(self, other, strict=True)))


def _fact(stream: StreamId) -> str:
    return f"owed {stream.hex()}"


def _kept(session: CaseSession, stream: StreamId) -> Basis | None:
    packed = session.store.fact(session.case, _fact(stream))
    return None if packed is None else Basis(*msgspec.msgpack.decode(packed, type=list[list[bytes]]))


def remember(session: CaseSession, stream: StreamId) -> None:
    """Before another log is followed, and in the same step."""
    opened = session.parts.get(stream)
    if opened is not None and opened.fold.ledger.entries:
        now, before = Basis(*opened.fold.basis()), _kept(session, stream)
        both = now if before is None else before.with_more(now)
        session.store.put_fact(session.case, _fact(stream), msgspec.msgpack.encode(list(both)))


def is_due(session: CaseSession) -> Iterator[tuple[str, OpenPart]]:
    """Parts for which this device should put a snapshot in the place of the log that is shown, each with a name for it."""
    for stream, opened in session.parts.items():
        owed, shown = _kept(session, stream), session.unfollowed.get(stream)
        if owed is None and shown is None:
            continue
        if owed is not None and shown is None and not _gained(session, opened, owed):
            session.store.put_fact(session.case, _fact(stream), None)
            continue
        charter, may = session.known(), session.secrets(stream).manage_cap() is not None
        if may and not charter.rooms[opened.part.write].due and not opened.waits and not opened.fold.alarm:
            length = (shown or session.position(stream)).length
            yield f"owed {stream.hex()} {length}", opened


def _gained(session: CaseSession, opened: OpenPart, owed: Basis) -> bool:
    """Whether everybody would have more by a snapshot of both: what is void or had another variant first stays out."""
    fold, here = opened.fold, {entry.hash for entry in opened.fold.ledger.entries}
    if all(_hash(raw) in here for raw in owed.changes):
        return False
    n, stream = session.position(opened.part.stream).length, opened.part.stream
    alone = fold.alone()
    payload = _payload(session, opened, n, session.position(stream).chain, Basis(*fold.basis()).with_more(owed))
    found: Verdict = alone.take(n + 1, payload, lambda _: None, session.known())
    return not here <= set(found.admitted) or len(found.admitted) > len(here)


def _hash(raw: bytes) -> bytes:
    return sha256(raw[8:])


def replacement(session: CaseSession, opened: OpenPart) -> list[wire.Operation]:
    """The snapshot of all that this device has and had, to be put in the place of the log that is shown."""
    stream = opened.part.stream
    at, owed = session.unfollowed.get(stream) or session.position(stream), _kept(session, stream)
    now = Basis(*opened.fold.basis())
    payload = _payload(session, opened, at.length, at.chain, now if owed is None else now.with_more(owed))
    cap = session.secrets(stream).manage_cap()
    if cap is None or len(payload) + MIN_RECORD_BYTES > wire.MAX_RECORD_BYTES:
        return []  # it stays here, and the part is founded anew by whoever decides to
    record = session.secrets(stream).seal(payload, session.around.random(24))
    return [wire.Replace(stream=stream, cap=cap, expect=at.chain, record=record)]


def replaced(session: CaseSession, opened: OpenPart) -> None:
    """The relay took it: the log is looked at once more in this sync, and followed."""
    session.unfollowed.pop(opened.part.stream, None)
    session.reread.discard(opened.part.stream)


def _payload(session: CaseSession, opened: OpenPart, n: int, chain: bytes, basis: Basis) -> bytes:
    charter = session.known()
    return make_snapshot(
        session.keys.sign,
        opened.part.stream,
        device=session.device(),
        epoch=charter.rooms[opened.part.write].epoch,
        head=charter.head,
        n=n,
        chain=chain,
        atts=basis.atts,
        changes=basis.changes,
        witnesses=basis.witnesses,
    )
