"""A fold as it stands, for the device's own store, so that opening a part does not check every signature again.

No protocol format, and believed to the last byte: it never comes from elsewhere. What does not decode is thrown
away, and the part is folded from its records.
"""

from __future__ import annotations

import itertools

import msgspec

from eigenkring.part.attestation import parse_attestation
from eigenkring.part.door import Door
from eigenkring.part.fold import PartFold
from eigenkring.part.ledger import Entry, Ledger, Source
from eigenkring.part.shown import FoldEngine

VERSION = 3
_EARLIER = 2  # the same but for the door


class _Source(msgspec.Struct, array_like=True):
    att: bytes
    path: list[bytes]


class _Entry(msgspec.Struct, array_like=True):
    hash: bytes
    raw: bytes
    device: bytes
    actor: bytes
    seq: int
    index: int
    source: int


class _Saved(msgspec.Struct, array_like=True):
    version: int
    stream: bytes
    length: int
    height: int
    base: int | None
    epoch: int
    waiting: list[bytes]
    may_heal: bool
    cuts: int
    own_actors: list[bytes]
    pending: list[tuple[bytes, bytes]]
    sources: list[_Source]
    entries: msgspec.Raw
    covers: list[tuple[bytes, list[tuple[int, int]]]]
    heads: list[bytes]
    door: bytes
    days: list[tuple[int, int | None]] = []  # of the entries in order, each as often as it says; absent in older ones


def dump_fold(fold: PartFold) -> bytes:
    sources: dict[bytes, int] = {}
    saved: list[_Source] = []

    def place(source: Source) -> int:
        if source.att.raw not in sources:
            sources[source.att.raw] = len(saved)
            saved.append(_Source(source.att.raw, list(source.path)))
        return sources[source.att.raw]

    entries = [_Entry(e.hash, e.raw, e.device, e.actor, e.seq, e.index, place(e.source)) for e in fold.ledger.entries]
    covers = [(actor, [(seq, place(source)) for seq, source in kept]) for actor, kept in fold.ledger.covers()]
    state, packed = fold.state(), msgspec.Raw(msgspec.msgpack.encode(entries))
    runs = [(len(list(run)), day) for day, run in itertools.groupby(fold.ledger.entries, lambda entry: entry.day)]
    whole = (saved, packed, covers, list(fold.door.heads()), fold.door.dump(), runs)
    return msgspec.msgpack.encode(_Saved(VERSION, fold.stream, *state, *whole))


def load_fold(fold: PartFold, data: bytes, engine: FoldEngine | None) -> bool:
    """Fill an empty fold. False when the bytes are of another part or version, or the engine does not hold just
    what was admitted: then the caller folds anew.
    """
    try:
        saved = msgspec.msgpack.decode(data, type=_Saved)
    except (msgspec.DecodeError, ValueError):
        return False
    if saved.version not in (VERSION, _EARLIER) or saved.stream != fold.stream:
        return False
    # Equal heads are equal sets: a document of another day is found out here.
    if engine is not None and engine.heads() != saved.heads:
        return False
    sources = [Source(parse_attestation(source.att), tuple(source.path)) for source in saved.sources]

    def entries() -> list[Entry]:
        found = msgspec.msgpack.decode(saved.entries, type=list[_Entry])
        days = itertools.chain.from_iterable(itertools.repeat(day, times) for times, day in saved.days)
        return [
            Entry(e.hash, e.raw, e.device, e.actor, e.seq, e.index, sources[e.source], next(days, None)) for e in found
        ]

    covers = [(actor, [(seq, sources[at]) for seq, at in kept]) for actor, kept in saved.covers]
    fold.stand(
        (
            saved.length,
            saved.height,
            saved.base,
            saved.epoch,
            saved.waiting,
            saved.may_heal,
            saved.cuts,
            saved.own_actors,
            saved.pending,
        ),
        Ledger.of(entries, covers),
        lambda: (Door.load if saved.version == VERSION else Door.load_earlier)(saved.door),
        engine,
    )
    return True
