"""A part as it was last folded, in this device's own store: opening it checks no signature a second time.

What was kept must fit what the store holds now: the chain where it stopped, and heads of the document that are those
of the verdicts. Where it does not, or is damaged, it is passed over and the part is folded from its records.

Beside it lies the document as people see it (``_shown_now``), as plain data: to read a part, neither its verdicts nor the
engine are needed. It is small and kept at every sync, so it may be of a later day than the fold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from eigenkring import document
from eigenkring.charter.state import Part
from eigenkring.errors import EngineFailed, Inadmissible
from eigenkring.ids import StreamId
from eigenkring.part.cache import dump_fold, load_fold
from eigenkring.part.fold import FoldEngine
from eigenkring.part.standing import Outlook, is_outdated

if TYPE_CHECKING:
    from eigenkring.session.folding import Folding, OpenPart

# So many records are folded in a moment; to write a large part anew after every single one would wear out a phone.
KEPT_EVERY: Final = 32
# One record may hold what was typed in an hour, or, as a snapshot, in years: so much is dear to fold again.
KEPT_BYTES: Final = 16_384
# A document larger than this is kept as seldom as its fold.
SHOWN_BYTES: Final = 65_536
_SHOWN_VERSION: Final = 1
_DIGEST_BYTES: Final = 32
_DAMAGED: Final = (msgspec.DecodeError, ValueError, TypeError, LookupError, Inadmissible, EngineFailed)


class _Kept(msgspec.Struct, array_like=True):
    length: int
    chain: bytes
    unopened: list[int]
    waits: bool
    set_aside: bool
    fold: bytes
    document: bytes


class ShownPart(msgspec.Struct, array_like=True, frozen=True):
    """A part of which only the words were read, as they were kept."""

    version: int
    length: int
    chain: bytes
    unopened: list[int]
    waits: bool
    outlook: Outlook
    queued: list[bytes]  # own records that waited to be sent: their words are in the document
    own: bytes | None  # of the own changes that are remembered, where all of them are settled
    heads: list[bytes]
    packed: msgspec.Raw

    def words(self) -> document.Document:
        return _words.decode(self.packed)


_words: Final = msgspec.msgpack.Decoder(dict[str, dict[str, dict[str, Any]]])


def keep(session: Folding, opened: OpenPart) -> None:
    """After a sync: the document wherever something came, the fold where it is enough."""
    stream, fold = opened.part.stream, opened.fold
    chain = session.store.chain_at(session.case, stream, fold.length)
    if fold.alarm or chain is None or session.around.load_engine is None or opened.set_aside:
        return  # what a newer version wrote is judged again at every start: the next one may be that version
    is_due = _is_enough(session, opened)
    whole = _folded(opened, chain) if is_due else None
    shown = _shown_now(session, opened, chain, is_due=is_due)
    if whole is None and shown is None:
        return
    with session.store.step():
        if whole is not None:
            session.store.put_fact(session.case, _name(stream), whole)
        if shown is not None:
            session.store.put_fact(session.case, _name_of_shown(stream), shown)
    if is_due:
        opened.kept_at = fold.length


def _folded(opened: OpenPart, chain: bytes) -> bytes:
    fold, flags = opened.fold, (sorted(opened.unopened), opened.waits, opened.set_aside)
    # Bits rot on cheap phones: a verdict that did would go out with the next snapshot.
    return with_digest(msgspec.msgpack.encode(_Kept(fold.length, chain, *flags, dump_fold(fold), opened.engine.save())))


def _is_enough(session: Folding, opened: OpenPart) -> bool:
    came = opened.fold.length - opened.kept_at
    if came <= 0 or came >= KEPT_EVERY:
        return came > 0
    since = session.store.records(session.case, opened.part.stream, opened.kept_at)
    return sum(len(kept.record) for kept in since) >= KEPT_BYTES


def load(session: Folding, opened: OpenPart, actor: bytes) -> bool:
    """Fill a part that was just made. False where it must be folded from its records."""
    stream, load_engine = opened.part.stream, session.around.load_engine
    packed = whole(session.store.fact(session.case, _name(stream)))
    if packed is None or load_engine is None:
        return False
    try:
        kept = msgspec.msgpack.decode(packed, type=_Kept)
        if session.store.chain_at(session.case, stream, kept.length) != kept.chain:
            return False  # the store holds another log now
        engine = load_engine(kept.document, actor)
        if not load_fold(opened.fold, kept.fold, cast(FoldEngine, engine)):
            return False
    except _DAMAGED:
        return False
    opened.unopened, opened.waits, opened.set_aside = set(kept.unopened), kept.waits, kept.set_aside
    opened.kept_at = opened.fold.length
    return True


def with_digest(packed: bytes) -> bytes:
    """As it is laid in the store; ``whole`` takes it back."""
    return hashlib.sha256(packed).digest() + packed


def whole(found: bytes | None) -> memoryview | None:
    """Without its digest; None where it is damaged."""
    packed = memoryview(found or b"")[_DIGEST_BYTES:]
    return packed if found and hashlib.sha256(packed).digest() == found[:_DIGEST_BYTES] else None


# --- the document as people see it


def _shown_now(session: Folding, opened: OpenPart, chain: bytes, *, is_due: bool) -> bytes | None:
    """The document as it is now; None where it lies there already, or would wear out the phone."""
    stream, fold = opened.part.stream, opened.fold
    queued = _queued_in(session, stream)
    heads = opened.engine.heads()
    state = (fold.length, sorted(opened.unopened), opened.waits, heads, queued)
    if state == opened.shown_as or (opened.is_large and not is_due):
        return None
    own = session.store.own_hashes(session.case, stream)
    settled = all(fold.ledger.find(change) is not None for change in own)
    words = msgspec.Raw(msgspec.msgpack.encode(document.read(opened.engine)))
    opened.told = heads, partial(_words.decode, words)
    outlook = fold.outlook()
    packed = msgspec.msgpack.encode(
        ShownPart(
            _SHOWN_VERSION,
            fold.length,
            chain,
            sorted(opened.unopened),
            opened.waits,
            outlook._replace(waiting=sorted(outlook.waiting)),
            queued,
            _digest_of(own) if settled else None,
            heads,
            words,
        )
    )
    opened.shown_as, opened.is_large = state, len(packed) > SHOWN_BYTES
    return with_digest(packed)


def _queued_in(session: Folding, stream: StreamId) -> list[bytes]:
    waiting = [item for item in session.store.outbox(session.case) if item.stream == stream]
    return sorted(hashlib.sha256(item.ops if item.record is None else item.record).digest() for item in waiting)


def load_shown(session: Folding, part: Part) -> ShownPart | None:
    """As it was kept, or None where that is not what the store leads to now."""
    packed = whole(session.store.fact(session.case, _name_of_shown(part.stream)))
    if packed is None or session.around.load_engine is None:
        return None
    try:
        shown = msgspec.msgpack.decode(packed, type=ShownPart)
    except (msgspec.DecodeError, ValueError):
        return None
    # Of an earlier place it is not what is to be seen now.
    at = session.position(part.stream)
    if shown.version != _SHOWN_VERSION or (at.length, at.chain) != (shown.length, shown.chain):
        return None
    return shown


def is_still(session: Folding, part: Part, shown: ShownPart) -> bool:
    """Whether it is still what is to be seen: no record, own word, key or charter entry came since."""
    charter = session.seen()
    if charter is None or session.position(part.stream).length != shown.length:
        return False
    if any(session.ring.secret(part.read, epoch) is not None for epoch in shown.unopened):
        return False
    # One that is gone from there without having come back was taken out: its words are not to be seen.
    return not is_outdated(shown.outlook, part.stream, charter) and _queued_in(session, part.stream) == shown.queued


def has_all_own(session: Folding, part: Part, shown: ShownPart) -> bool:
    """Whether all own changes that are remembered are in it, and were taken by everybody."""
    return shown.own is not None and shown.own == _digest_of(session.store.own_hashes(session.case, part.stream))


def _digest_of(own: Sequence[bytes]) -> bytes:
    return hashlib.sha256(b"".join(own)).digest()


def forget(session: Folding, stream: StreamId) -> None:
    """Own changes in it are to be made again, or the stream is gone."""
    session.store.put_fact(session.case, _name(stream), None)
    session.store.put_fact(session.case, _name_of_shown(stream), None)


def _name(stream: StreamId) -> str:
    return f"fold {stream.hex()}"


def _name_of_shown(stream: StreamId) -> str:
    return f"shown {stream.hex()}"
