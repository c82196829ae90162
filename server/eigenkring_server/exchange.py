"""One exchange against a draft: what a transaction would change, kept apart until all of it is decided.

A draft lies over what is stored, or over another draft: an atomic exchange works in one of its own, which is thrown
away when an operation fails. So a failed exchange leaves nothing to undo, and spoils no other in its group.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

import msgspec

from eigenkring import wire
from eigenkring_server.relay import (
    Known,
    Place,
    Quotas,
    Reading,
    Shelf,
    Stream,
    Tombstone,
    Usage,
    decide,
    first_wanted,
    reading,
)

# A reply stays below the largest frame: this much is kept for everything that is not a record.
PER_RECORD: Final = 8
_PER_RESULT: Final = 256


class Grown(msgspec.Struct, frozen=True):
    stream: bytes
    index: int
    record: bytes


class Turned(msgspec.Struct, frozen=True):
    """``read`` is the hash that holds now: who follows under another is cut."""

    stream: bytes
    read: bytes


class Superseded(msgspec.Struct, frozen=True):
    stream: bytes


class Ended(msgspec.Struct, frozen=True):
    stream: bytes


Event: TypeAlias = Grown | Turned | Superseded | Ended


class Outcome(msgspec.Struct, frozen=True):
    results: list[wire.Result]
    events: list[Event]


class Added(msgspec.Struct, frozen=True):
    index: int
    record: bytes
    digest: bytes
    chain: bytes


class Records(Shelf, Protocol):
    """A shelf that also hands out records."""

    def records(self, stream: bytes, first: int, room: int) -> list[bytes]:
        """From ``first`` on while they fit in ``room``, each counted with its overhead; the first always."""
        ...


def taken(records: list[bytes]) -> int:
    return sum(map(len, records)) + PER_RECORD * len(records)


def fits(used: int, record: bytes, room: int) -> bool:
    """Whether one more record may be handed out after ``used`` bytes. The first may always."""
    return used == 0 or used + len(record) + PER_RECORD <= room


class Draft:
    """What would be, over what is."""

    def __init__(self, below: Records) -> None:
        self._below = below
        self.streams: dict[bytes, Stream | Tombstone] = {}
        self.added: dict[bytes, list[Added]] = {}
        self.places: dict[tuple[bytes, bytes], Place] = {}
        self.events: list[Event] = []
        self._usage: Usage | None = None

    def stream(self, stream: bytes) -> Known:
        return self.streams.get(stream) or self._below.stream(stream)

    def place(self, stream: bytes, record_digest: bytes) -> Place | None:
        place = self.places.get((stream, record_digest)) or self._below.place(stream, record_digest)
        known = self.streams.get(stream)
        # What lies below may have been replaced up here.
        if place is not None and isinstance(known, Stream) and place.index <= known.base:
            return None
        return place

    def usage(self) -> Usage:
        return self._usage or self._below.usage()

    def records(self, stream: bytes, first: int, room: int) -> list[bytes]:
        added = self.added.get(stream)
        if not added:
            return self._below.records(stream, first, room)
        found: list[bytes] = []
        if first < added[0].index:
            found = self._below.records(stream, first, room)
            if first + len(found) < added[0].index:
                return found
        used = taken(found)
        for each in added:
            if each.index >= first:
                if not fits(used, each.record, room):
                    break
                found.append(each.record)
                used += len(each.record) + PER_RECORD
        return found

    def change(self, before: Known, after: Stream | Tombstone, record: bytes | None, digest: bytes) -> None:
        """Enter one decision."""
        stream = after.id
        self.streams[stream] = after
        usage = self.usage()
        if (
            record is not None
            and isinstance(before, Stream)
            and isinstance(after, Stream)
            and after.base == before.base
        ):
            # It grew: nearly always.
            self._usage = Usage(usage.streams, usage.bytes_kept + after.bytes_kept - before.bytes_kept)
            self._add(after, record, digest)
            self.events.append(Grown(stream, after.length, record))
            return
        self._usage = Usage(
            usage.streams + isinstance(after, Stream) - isinstance(before, Stream),
            usage.bytes_kept + _kept(after) - _kept(before),
        )
        if isinstance(after, Tombstone):
            self.added.pop(stream, None)
            self.events.append(Ended(stream))
            return
        if record is not None:
            self.added.pop(stream, None)
            self.events.append(Superseded(stream))
            self._add(after, record, digest)
        elif isinstance(before, Stream):
            self.events.append(Turned(stream, after.read))

    def _add(self, after: Stream, record: bytes, digest: bytes) -> None:
        self.added.setdefault(after.id, []).append(Added(after.length, record, digest, after.chain))
        self.places[after.id, digest] = Place(after.length, after.chain)

    def absorb(self, above: Draft) -> None:
        """Take over what was decided in a draft over this one."""
        for stream, state in above.streams.items():
            mine = self.streams.get(stream)
            if isinstance(state, Tombstone) or (isinstance(mine, Stream) and mine.base != state.base):
                self.added.pop(stream, None)
            self.streams[stream] = state
        for stream, added in above.added.items():
            self.added.setdefault(stream, []).extend(added)
        self.places.update(above.places)
        self.events.extend(above.events)
        self._usage = above._usage or self._usage


class Nature(msgspec.Struct, frozen=True):
    """What kinds of operation an exchange holds: looked at once, asked for in many places."""

    opens: int
    writes: bool
    # Draws on the reserve that appends cannot use (rule 10).
    manages: bool
    reads: bool
    # Needs somebody to push to.
    follows: bool


_WRITES, _MANAGES, _READS, _FOLLOWS = 1, 2, 4, 8
_KINDS: Final[dict[type[wire.Operation], int]] = {
    wire.Open: _WRITES,
    wire.Append: _WRITES,
    wire.Read: _READS,
    wire.Follow: _READS | _FOLLOWS,
    wire.Unfollow: _FOLLOWS,
    wire.Rekey: _WRITES | _MANAGES,
    wire.Replace: _WRITES | _MANAGES,
    wire.Close: _WRITES | _MANAGES,
}


def nature_of(request: wire.Request) -> Nature:
    kinds = opens = 0
    for op in request.ops:
        kind = type(op)
        kinds |= _KINDS[kind]
        if kind is wire.Open:
            opens += 1
    return Nature(opens, bool(kinds & _WRITES), bool(kinds & _MANAGES), bool(kinds & _READS), bool(kinds & _FOLLOWS))


def run(request: wire.Request, draft: Draft, quotas: Quotas, now: int) -> Outcome:
    """Every operation in order. Changes land in ``draft``, unless the exchange is atomic and fails."""
    room = wire.MAX_FRAME_BYTES - _PER_RESULT * (len(request.ops) + 1)
    target = Draft(draft) if request.atomic else draft
    events_before = len(target.events)
    results: list[wire.Result] = []
    for op in request.ops:
        result: wire.Result
        match op:
            case wire.Unfollow():
                result = wire.Unfollowed()
            case wire.Read() | wire.Follow():
                result = _read(op, target, room, now)
                if isinstance(result, wire.Batch):
                    room -= taken(result.records)
            case _:
                before = target.stream(op.stream)
                decision = decide(op, target, quotas, now)
                if decision.stream is not None and decision.stream is not before:
                    target.change(before, decision.stream, decision.record, decision.record_digest)
                result = decision.result
        if request.atomic and isinstance(result, wire.Failed):
            others: list[wire.Result] = [wire.Failed("not_done")] * len(request.ops)
            others[len(results)] = result
            return Outcome(others, [])
        results.append(result)
    events = target.events[events_before:]
    if target is not draft:
        draft.absorb(target)
    return Outcome(results, events)


def _read(op: Reading, shelf: Records, room: int, now: int) -> wire.Result:
    stream = reading(op, shelf.stream(op.stream), now)
    if isinstance(stream, wire.Failed):
        return stream
    first = first_wanted(op, stream)
    records: list[bytes] = []
    if first <= stream.length and room > 0:
        records = shelf.records(stream.id, first, min(op.max_bytes, room))
        if taken(records) > room:
            # Rule 9: the one record that is always handed out does not fit this frame any more.
            records = []
    more = first + len(records) <= stream.length
    return wire.Batch(stream.base, stream.base_chain, stream.length, stream.chain, first, records, more)


def _kept(known: Known) -> int:
    return known.bytes_kept if isinstance(known, Stream) else 0
