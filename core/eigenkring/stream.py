"""A stream as a device sees it: its secrets, its place, and the checks that make a lying relay visible.

Spec: docs/spec/streams.md. Pure: batches go in, placed records come out.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from eigenkring.errors import RelayMisbehaved
from eigenkring.ids import Capability, CapabilityHash, Chain, RecordBytes, StreamId
from eigenkring.wire import Batch, Open
from eigenkring_crypto import capability, chain
from eigenkring_crypto.seal import open_sealed, seal

# Beyond it a JavaScript number is another number, and no relay counts that far.
LONGEST = 2**53 - 1


@dataclass(frozen=True, slots=True, repr=False)
class StreamSecrets:
    """What one device can do with one stream; what it cannot is None. No repr: secrets never reach a log."""

    stream: StreamId
    read: bytes | None = None
    read_epoch: int = 0
    write: bytes | None = None
    write_epoch: int = 0
    manage: bytes | None = None
    manage_epoch: int = 0

    def read_cap(self) -> Capability | None:
        return (
            None
            if self.read is None
            else Capability(capability.read_capability(self.read, self.stream, self.read_epoch))
        )

    def append_cap(self) -> Capability | None:
        return (
            None
            if self.write is None
            else Capability(capability.append_capability(self.write, self.stream, self.write_epoch))
        )

    def manage_cap(self) -> Capability | None:
        return (
            None
            if self.manage is None
            else Capability(capability.manage_capability(self.manage, self.stream, self.manage_epoch))
        )

    def opening(self) -> Open:
        """Opens the stream at the relay, without an end. Raises ``BadKey`` where a secret is missing."""
        read, append, manage = (hashed(cap) for cap in (self.read_cap(), self.append_cap(), self.manage_cap()))
        return Open(stream=self.stream, read=read, append=append, manage=manage, expires=None)

    def seal(self, payload: bytes, nonce: bytes) -> RecordBytes:
        """``nonce`` is 24 random bytes."""
        if self.read is None:
            raise AssertionError("sealing needs the read secret")
        return RecordBytes(seal(self.read, self.stream, self.read_epoch, payload, nonce))

    def open(self, record: bytes) -> bytes:
        """Raises ``Unopenable`` or ``FutureVersion`` of ``eigenkring_crypto``."""
        if self.read is None:
            raise AssertionError("opening needs the read secret")
        return open_sealed(self.read, self.stream, record)[1]


def hashed(cap: Capability | None) -> CapabilityHash:
    """What the relay may know of a capability: its hash. Raises ``BadKey`` where there is none."""
    return CapabilityHash(capability.capability_hash(cap if cap is not None else b""))


@dataclass(frozen=True, slots=True)
class Position:
    """How far a device has read a stream: records after ``base`` up to ``length``, running hash ``chain``."""

    base: int
    length: int
    chain: Chain

    @classmethod
    def start(cls, stream: StreamId) -> Position:
        return cls(0, 0, Chain(chain.first(stream)))


@dataclass(frozen=True, slots=True)
class Placed:
    """A record at its place."""

    index: int
    record: RecordBytes
    chain: Chain


@dataclass(frozen=True, slots=True)
class Accepted:
    position: Position
    placed: list[Placed]
    replaced: bool  # the first placed record is a snapshot that stands for all before it
    more: bool


def accept(position: Position, batch: Batch, chain_at: Callable[[int], Chain | None]) -> Accepted:
    """Check an answer to ``read`` (after ``position.length``) against everything this device knows.

    Raises ``RelayMisbehaved``: ``rolled_back`` (shorter than known), ``forked`` (another past than the known one),
    ``broken_chain`` (records that do not lead to the announced head), ``relay_garbage``.
    """
    if batch.length > LONGEST:
        raise RelayMisbehaved("relay_garbage", "no stream is that long")
    if batch.length < position.length:
        raise RelayMisbehaved("rolled_back", "the stream became shorter")
    if batch.base > batch.length or batch.first != max(batch.base, position.length) + 1:
        raise RelayMisbehaved("relay_garbage", "the batch does not begin where it was asked to")
    at = position
    replaced = batch.base > position.length
    if replaced and not batch.records and not batch.more:
        # A snapshot takes the place of records: where none is shown, the relay threw them away.
        raise RelayMisbehaved("broken_chain", "records were taken away and nothing lies in their place")
    known = chain_at(batch.base)
    if known is not None and not hmac.compare_digest(known, batch.base_chain):
        raise RelayMisbehaved("forked", "the base has another past")
    if replaced:
        at = Position(batch.base, batch.base, Chain(batch.base_chain))
    placed: list[Placed] = []
    running, index = at.chain, at.length
    for record in batch.records:
        index += 1
        if index > batch.length:
            raise RelayMisbehaved("relay_garbage", "more records than the stream is long")
        running = Chain(chain.extend(running, record))
        placed.append(Placed(index, RecordBytes(record), running))
    if index == batch.length:
        if not hmac.compare_digest(running, batch.chain):
            # Nothing new and another head is a second log; new records that lead elsewhere are a broken one.
            raise RelayMisbehaved("forked" if not placed else "broken_chain", "the records do not lead to the head")
    elif not batch.more:
        raise RelayMisbehaved("broken_chain", "the relay withholds records that it announces")
    return Accepted(Position(max(at.base, batch.base), index, running), placed, replaced, batch.more)
