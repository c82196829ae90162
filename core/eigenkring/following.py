"""A reader's streams, followed from one refresh to the next: the same checks a device of the circle makes.

What a reader has seen stays the measure. A relay that later shows less, or something else, is told (`rolled_back`,
`forked`), also when it was honestly put back from a copy; then the stream is read whole, and what is signed decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from eigenkring import wire
from eigenkring.errors import Ended, RelayMisbehaved
from eigenkring.ids import CaseId, Chain
from eigenkring.session.case import Clock
from eigenkring.store import Alarm, Store
from eigenkring.stream import Placed, Position, StreamSecrets, accept
from eigenkring.transport import Transport

MAX_READS = 64


@dataclass(slots=True)
class Followed:
    """What a read brought: ``placed`` are the records that are new, or all of them where ``whole``."""

    store: Store
    owner: CaseId
    secrets: StreamSecrets
    position: Position
    base_chain: Chain
    placed: list[Placed]
    whole: bool

    def before(self, placed: Placed) -> Chain | None:
        """The chain just before one of these records."""
        if placed.index - 1 == self.position.base:
            return self.base_chain
        for other in self.placed:
            if other.index == placed.index - 1:
                return other.chain
        return self.store.chain_at(self.owner, self.secrets.stream, placed.index - 1)

    def keep(self) -> None:
        """Make this the measure of the next read. Called when what was read has been judged, in the same step."""
        if self.whole:
            self.store.replace_records(self.owner, self.secrets.stream, self.position, self.base_chain, self.placed)
        elif self.placed:
            self.store.put_records(self.owner, self.secrets.stream, self.position, self.placed)


def follow(
    store: Store, owner: CaseId, secrets: StreamSecrets, about: str, transport: Transport, clock: Clock
) -> Followed | None:
    """Read on where this reader was; None where the lock was turned and its key has not come.

    Raises ``Unreachable``, ``Ended`` (the stream is closed), ``RelayMisbehaved`` (also the whole stream does not hold).
    """
    known = store.position(owner, secrets.stream)
    start = known or Position.start(secrets.stream)
    try:
        return _read(store, owner, secrets, start, transport, clock, whole=known is None)
    except RelayMisbehaved as error:
        store.put_alarm(owner, Alarm(error.code, about, clock()))
        if known is None:
            raise
        return _read(store, owner, secrets, Position.start(secrets.stream), transport, clock, whole=True)


def _read(
    store: Store,
    owner: CaseId,
    secrets: StreamSecrets,
    start: Position,
    transport: Transport,
    clock: Clock,
    *,
    whole: bool,
) -> Followed | None:
    cap = secrets.read_cap()
    if cap is None:
        raise AssertionError("a reader without a read secret")
    chain_at = (lambda _: None) if whole else partial(store.chain_at, owner, secrets.stream)
    found = Followed(store, owner, secrets, start, start.chain, [], whole)
    for _ in range(MAX_READS):
        reply = transport.exchange([wire.Read(stream=secrets.stream, cap=cap, after=found.position.length)])
        _check_generation(store, owner, reply.generation, clock)
        result = reply.results[0]
        if isinstance(result, wire.Failed):
            if result.code in ("closed", "expired", "no_stream"):
                raise Ended("withdrawn", "the family stopped access")
            return None
        if not isinstance(result, wire.Batch):
            raise RelayMisbehaved("relay_garbage", "the relay answered another operation")
        accepted = accept(found.position, result, chain_at)
        if accepted.replaced:
            found.placed, found.base_chain = [], Chain(result.base_chain)
        found.position = accepted.position
        found.placed += accepted.placed
        if not accepted.more:
            return found
        if not accepted.placed:
            break
    raise RelayMisbehaved("relay_garbage", "the relay promises more and gives nothing")


def _check_generation(store: Store, owner: CaseId, generation: int, clock: Clock) -> None:
    """A relay put back from a copy says so; the reader is told, and what is signed counts as before."""
    packed, now = store.fact(owner, "generation"), generation.to_bytes(8, "big")
    if packed != now:
        store.put_fact(owner, "generation", now)
        if packed is not None:
            store.put_alarm(owner, Alarm("new_generation" if now > packed else "rolled_back", "relay", clock()))
