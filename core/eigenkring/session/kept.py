"""A part as it was last folded, in this device's own store: opening it checks no signature a second time.

What was kept must fit what the store holds now: the chain where it stopped, and heads of the document that are those
of the verdicts. Where it does not, or is damaged, it is passed over and the part is folded from its records.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, cast

import msgspec

from eigenkring.errors import EngineFailed, Inadmissible
from eigenkring.ids import StreamId
from eigenkring.part.cache import dump_fold, load_fold
from eigenkring.part.fold import FoldEngine

if TYPE_CHECKING:
    from eigenkring.session.parts import CaseSession, OpenPart

# So many records are folded in a moment; to write a large part anew after every single one would wear out a phone.
KEPT_EVERY: Final = 32
# One record may hold what was typed in an hour, or, as a snapshot, in years: so much is dear to fold again.
KEPT_BYTES: Final = 16_384
_DAMAGED: Final = (msgspec.DecodeError, ValueError, TypeError, LookupError, Inadmissible, EngineFailed)


class _Kept(msgspec.Struct, array_like=True):
    length: int
    chain: bytes
    unopened: list[int]
    waits: bool
    set_aside: bool
    fold: bytes
    document: bytes


def keep(session: CaseSession, opened: OpenPart) -> None:
    """After a sync, where enough has come since the last time."""
    stream, fold = opened.part.stream, opened.fold
    chain = session.store.chain_at(session.case, stream, fold.length)
    if fold.alarm or chain is None or session.around.load_engine is None or not _is_enough(session, opened):
        return
    if opened.set_aside:
        return  # judged again at every start: the next one may be of the version that knows it
    flags = (sorted(opened.unopened), opened.waits, opened.set_aside)
    packed = msgspec.msgpack.encode(_Kept(fold.length, chain, *flags, dump_fold(fold), opened.engine.save()))
    # Bits rot on cheap phones: a verdict that did would go out with the next snapshot.
    session.store.put_fact(session.case, _name(stream), hashlib.sha256(packed).digest() + packed)
    opened.kept_at = fold.length


def _is_enough(session: CaseSession, opened: OpenPart) -> bool:
    came = opened.fold.length - opened.kept_at
    if came <= 0 or came >= KEPT_EVERY:
        return came > 0
    since = session.store.records(session.case, opened.part.stream, opened.kept_at)
    return sum(len(kept.record) for kept in since) >= KEPT_BYTES


def load(session: CaseSession, opened: OpenPart, actor: bytes) -> bool:
    """Fill a part that was just made. False where it must be folded from its records."""
    stream, load_engine = opened.part.stream, session.around.load_engine
    found = session.store.fact(session.case, _name(stream))
    if found is None or load_engine is None or hashlib.sha256(found[32:]).digest() != found[:32]:
        return False
    try:
        kept = msgspec.msgpack.decode(found[32:], type=_Kept)
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


def forget(session: CaseSession, stream: StreamId) -> None:
    """Own changes in it are to be made again, or the stream is gone."""
    session.store.put_fact(session.case, _name(stream), None)


def _name(stream: StreamId) -> str:
    return f"fold {stream.hex()}"
