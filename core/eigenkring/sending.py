"""Words that go out at once, over a connection that stands anyway: no sync, nothing is read for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eigenkring import wire
from eigenkring.ids import StreamId
from eigenkring.session import taking
from eigenkring.session.packing import pack
from eigenkring.session.parts import CaseSession
from eigenkring.sync import appends

_Waiting = list[tuple[int, wire.Append]]


class _Line(Protocol):
    """What this module needs of ``eigenkring.live.Live``."""

    async def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply: ...


async def send_now(session: CaseSession, live: _Line) -> bool:
    """Send what waits for the parts. Each comes back like everybody's records, and only then is it sent (``arrived``). Gives
    whether nothing is left for a sync to do. Raises ``Unreachable``, ``Refused``, ``RelayMisbehaved``."""
    while True:
        waiting = _waiting(session)
        if not waiting:
            return waiting is not None
        reply = await live.exchange([op for _, op in waiting])
        taking.check_generation(session, reply.generation)
        if not _answered(session, waiting, reply.results):
            return False


def _waiting(session: CaseSession) -> _Waiting | None:
    """What can go now; ``None`` where only a sync knows what goes before it."""
    if session.row.state != "open" or session.charter is None:
        return None
    pack(session)
    rest = [item for item in session.store.outbox(session.case) if item.number not in session.claimed]
    # The founding of a case, an entry that is given back, a part without its key.
    if any(item.stream is None or item.stream not in session.parts for item in rest):
        return None
    found = appends(session)
    for number, _ in found:
        session.unsent.pop(number, None)  # from here on the relay may know them
    return found if found or not rest else None


def _answered(session: CaseSession, sent: _Waiting, results: Sequence[wire.Result]) -> bool:
    """What the relay says it did with each. Gives whether that fits what is here."""
    fits = True
    # A sync may have sent it too meanwhile, and its number may be another record's by now.
    waits = {item.number: item.record for item in session.store.outbox(session.case)}
    for (number, op), result in zip(sent, results, strict=True):
        stream, is_here = StreamId(op.stream), waits.get(number) == op.record
        if not isinstance(result, wire.Appended):
            if is_here and isinstance(result, wire.Failed):
                taking.append_refused(session, number, stream, result)
            fits = False
            continue
        known = session.store.chain_at(session.case, stream, result.length)
        # Else it lies at another place than the one at which it came back here, or on another log.
        fits = fits and (
            result.length > session.position(stream).length if known is None else known == result.chain and not is_here
        )
        if is_here and known is None:
            session.claimed[number] = (stream, result.length, result.chain)
    return fits
