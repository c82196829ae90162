"""The rules: an operation against what is known of its stream gives a decision. No input, no output, no clock.

Spec: docs/spec/streams.md, whose rules 1 to 10 are named below. A relay knows streams and nothing else.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

import msgspec

from eigenkring import wire
from eigenkring_server import chain

MIB: Final = 1_048_576
# SQLite counts to 2^63 - 1; a date beyond it never comes.
LATEST: Final = 2**63 - 1


class Stream(msgspec.Struct, frozen=True):
    """A stream that lives. Records ``base + 1 .. length`` are kept; the three hashes are of capabilities."""

    id: bytes
    read: bytes
    append: bytes
    manage: bytes
    base: int
    base_chain: bytes
    length: int
    chain: bytes
    bytes_kept: int
    expires: int | None = None


class Tombstone(msgspec.Struct, frozen=True):
    """The id was used and is over. Of how, only this is kept: ``expired`` where its date came before anybody closed it."""

    id: bytes
    expired: bool = False

    @property
    def failed(self) -> wire.Failed:
        return wire.Failed("expired" if self.expired else "closed")


Known: TypeAlias = Stream | Tombstone | None


class Place(msgspec.Struct, frozen=True):
    """Where a record lies, and the running hash at it."""

    index: int
    chain: bytes


class Quotas(msgspec.Struct, frozen=True):
    """What appends and opens may use. What manages a stream draws on the reserve above it (rule 10)."""

    max_stream_bytes: int = 256 * MIB
    max_stream_records: int = 200_000
    max_streams: int = 200_000
    max_total_bytes: int = 64 * 1024 * MIB


class Usage(msgspec.Struct, frozen=True):
    streams: int = 0
    bytes_kept: int = 0


class Shelf(Protocol):
    """What a decision may look up."""

    def stream(self, stream: bytes) -> Known: ...

    def place(self, stream: bytes, record_digest: bytes) -> Place | None: ...

    def usage(self) -> Usage: ...


class Decision(msgspec.Struct, frozen=True):
    """``stream`` is its next state (the same object where nothing changes), ``record`` what is added as its last."""

    result: wire.Result
    stream: Known
    record: bytes | None = None
    record_digest: bytes = b""


Writing: TypeAlias = wire.Open | wire.Append | wire.Rekey | wire.Replace | wire.Close
Reading: TypeAlias = wire.Read | wire.Follow


def is_over(stream: Stream, now: int) -> bool:
    return stream.expires is not None and now >= stream.expires


def refusal(known: Known, now: int) -> wire.Failed | None:
    """Rule 4, the state before the capability: whoever asks knows a 128-bit id."""
    if known is None:
        return wire.Failed("no_stream")
    if isinstance(known, Tombstone):
        return known.failed
    if is_over(known, now):
        return wire.Failed("expired")
    return None


def decide(op: Writing, shelf: Shelf, quotas: Quotas, now: int) -> Decision:
    known = shelf.stream(op.stream)
    match op:
        case wire.Open():
            return _open(op, known, shelf.usage(), quotas, now)
        case wire.Close():
            return _close(op, known, now)
    refused = refusal(known, now)
    if refused is not None or not isinstance(known, Stream):
        return Decision(refused or wire.Failed("no_stream"), known)
    match op:
        case wire.Append():
            return _append(op, known, shelf, quotas)
        case wire.Rekey():
            return _rekey(op, known)
        case wire.Replace():
            return _replace(op, known, shelf)


def _open(op: wire.Open, known: Known, usage: Usage, quotas: Quotas, now: int) -> Decision:
    refused = refusal(known, now)
    if refused is None and isinstance(known, Stream):
        same = (known.read, known.append, known.manage) == (op.read, op.append, op.manage)
        if same:
            # Rule 1: the first answer may have been lost, so this is the first answer.
            return Decision(wire.Opened(0, chain.start(op.stream)), known)
        return Decision(wire.Failed("exists"), known)
    if known is not None:
        # Rule 1: a second life could show old readers other words.
        return Decision(wire.Failed("exists"), known)
    if usage.streams >= quotas.max_streams or usage.bytes_kept >= quotas.max_total_bytes:
        return Decision(wire.Failed("quota"), None)
    empty = chain.start(op.stream)
    expires = None if op.expires is None else min(op.expires, LATEST)
    opened = Stream(op.stream, op.read, op.append, op.manage, 0, empty, 0, empty, 0, expires)
    return Decision(wire.Opened(0, empty), opened)


def _append(op: wire.Append, stream: Stream, shelf: Shelf, quotas: Quotas) -> Decision:
    if not chain.matches(op.cap, stream.append):
        return Decision(wire.Failed("not_allowed"), stream)
    size = len(op.record)
    if size > wire.MAX_RECORD_BYTES:
        return Decision(wire.Failed("too_large"), stream)
    record_digest = chain.digest(op.record)
    place = shelf.place(stream.id, record_digest)
    if place is not None:
        # Rule 2, before `expect`: the answer to this very record was lost.
        return Decision(wire.Appended(place.index, place.chain), stream)
    if op.expect is not None and op.expect != stream.chain:
        return Decision(_conflict(stream), stream)
    if (
        stream.bytes_kept + size > quotas.max_stream_bytes
        or stream.length - stream.base >= quotas.max_stream_records
        or shelf.usage().bytes_kept + size > quotas.max_total_bytes
    ):
        return Decision(wire.Failed("quota"), stream)
    # Written out: `replace` looks every field up by its name, and nothing else is decided so often.
    grown = Stream(
        stream.id,
        stream.read,
        stream.append,
        stream.manage,
        stream.base,
        stream.base_chain,
        stream.length + 1,
        chain.extend(stream.chain, record_digest),
        stream.bytes_kept + size,
        stream.expires,
    )
    return Decision(wire.Appended(grown.length, grown.chain), grown, op.record, record_digest)


def _rekey(op: wire.Rekey, stream: Stream) -> Decision:
    """Rule 5: no `expect`, so nobody who fills the stream can keep its owners from turning the lock."""
    if not chain.matches(op.cap, stream.manage):
        return Decision(wire.Failed("not_allowed"), stream)
    turned = msgspec.structs.replace(
        stream,
        read=op.read or stream.read,
        append=op.append or stream.append,
        manage=op.manage or stream.manage,
    )
    return Decision(wire.Rekeyed(stream.length, stream.chain), turned)


def _replace(op: wire.Replace, stream: Stream, shelf: Shelf) -> Decision:
    if not chain.matches(op.cap, stream.manage):
        return Decision(wire.Failed("not_allowed"), stream)
    size = len(op.record)
    if size > wire.MAX_RECORD_BYTES:
        return Decision(wire.Failed("too_large"), stream)
    record_digest = chain.digest(op.record)
    if op.expect != stream.chain:
        place = shelf.place(stream.id, record_digest)
        if op.expect == stream.base_chain and place is not None and place.index == stream.base + 1:
            # Rule 3: this very replacement was done and its answer lost.
            return Decision(wire.Replaced(stream.base, place.index, place.chain), stream)
        return Decision(_conflict(stream), stream)
    replaced = msgspec.structs.replace(
        stream,
        base=stream.length,
        base_chain=stream.chain,
        length=stream.length + 1,
        chain=chain.extend(stream.chain, record_digest),
        bytes_kept=size,
    )
    result = wire.Replaced(replaced.base, replaced.length, replaced.chain)
    return Decision(result, replaced, op.record, record_digest)


def _close(op: wire.Close, known: Known, now: int) -> Decision:
    """A stream past its date may still be closed by who manages it: that is sooner than the relay's own round, and is no
    other end: its date was first."""
    if known is None:
        return Decision(wire.Failed("no_stream"), None)
    if isinstance(known, Tombstone):
        # Rule 6: it may be repeated; a tombstone keeps no capability to ask for.
        return Decision(wire.Closed(), known)
    if not chain.matches(op.cap, known.manage):
        return Decision(wire.Failed("not_allowed"), known)
    return Decision(wire.Closed(), Tombstone(known.id, expired=is_over(known, now)))


def reading(op: Reading, known: Known, now: int) -> Stream | wire.Failed:
    """The stream that may be read, or why not."""
    refused = refusal(known, now)
    if refused is not None or not isinstance(known, Stream):
        return refused or wire.Failed("no_stream")
    return known if chain.matches(op.cap, known.read) else wire.Failed("not_allowed")


def first_wanted(op: Reading, stream: Stream) -> int:
    """The index after ``after`` that is still kept; one past the end for a device that is ahead of the stream."""
    return min(max(op.after, stream.base), stream.length) + 1


def _conflict(stream: Stream) -> wire.Failed:
    return wire.Failed("conflict", stream.length, stream.chain)
