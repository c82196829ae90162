"""Sending, fetching, turning and closing attachments: the conversation with the relay. Spec: docs/spec/attachments.md.

Every step may be the last before the power goes: what was taken is asked of the relay, never remembered by hope.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from eigenkring import wire
from eigenkring.attachment import Attachment, open_chunks
from eigenkring.charter.state import Part
from eigenkring.errors import Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import StreamId
from eigenkring.session import attachments, taking
from eigenkring.session.attachments import Carried
from eigenkring.session.parts import CaseSession
from eigenkring.stream import Position, accept
from eigenkring.sync import SyncReport
from eigenkring.transport import Transport
from eigenkring_crypto.errors import CryptoError

BYTES_IN_ONE_FRAME = 2_000_000
OPS_IN_ONE_FRAME = 256
# A file is 128 chunks at most, some each time; a relay that gives less is not believed for ever.
MOST_READS = 256
_KEPT_ALARMS = frozenset({"quota", "conflict", "not_allowed", "closed"})


def carry(session: CaseSession, transport: Transport) -> SyncReport:
    """What the attachments of a case need of the relay now: closing, turning locks, sending. Raises ``Unreachable``; what the relay
    refused is an alarm, and is tried again at the next sync."""
    report = SyncReport()
    if session.charter is None or session.row.state != "open":
        return report
    try:
        _drop_unwanted(session)
        _close(session, transport, report)
        _turn(session, transport)
        for stream, one in attachments.carried(session).items():
            if not one.closing and one.done != _generation(session):
                _send(session, transport, stream, one, report)
    except Refused as error:
        if error.code in ("busy", "slow_down"):
            raise Unreachable("offline", "the relay has no time now") from None
        session.alarm(error.code, "attachments")
    except RelayMisbehaved as error:
        session.alarm(error.code, "attachments")
    return report


def _generation(session: CaseSession) -> int:
    packed = session.store.fact(session.case, "generation")
    return 0 if packed is None else int.from_bytes(packed, "big")


def _exchange(session: CaseSession, transport: Transport, ops: Sequence[wire.Operation]) -> list[wire.Result]:
    reply = transport.exchange(ops)
    taking.check_generation(session, reply.generation)
    return list(reply.results)


def _drop_unwanted(session: CaseSession) -> None:
    lost = attachments.outdone(session)
    for stream in lost:
        one = attachments.carried(session)[stream]
        closing = msgspec.structs.replace(one, append=None, closing=True, done=None)
        attachments.put_carried(session, stream, closing)
    gone = attachments.unwanted(session)
    for stream in gone:
        attachments.put_carried(session, stream, None)
    if lost or gone:
        session.store.tidy()


def _close(session: CaseSession, transport: Transport, report: SyncReport) -> None:
    """Closed again, too, where the relay was put back to a day when it was open."""
    for stream, one in attachments.carried(session).items():
        part = attachments.part_of(session, one.part)
        if not one.closing or one.done == _generation(session) or part is None:
            continue
        ops = attachments.closing(session, part, stream)
        if not ops:
            continue
        results = _exchange(session, transport, ops)
        if any(isinstance(r, wire.Closed) or (isinstance(r, wire.Failed) and r.code == "no_stream") for r in results):
            report.sent += 1
            attachments.put_carried(session, stream, msgspec.structs.replace(one, done=_generation(session)))
            session.store.tidy()


def _turn(session: CaseSession, transport: Transport) -> None:
    todo: list[wire.Operation] = []
    for part, stream in attachments.to_turn(session):
        todo += attachments.turning(session, part, stream)
    for at in range(0, len(todo), OPS_IN_ONE_FRAME):
        _exchange(session, transport, todo[at : at + OPS_IN_ONE_FRAME])
    attachments.has_turned(session)


# --- sending


def _send(session: CaseSession, transport: Transport, stream: StreamId, one: Carried, report: SyncReport) -> None:
    part = attachments.part_of(session, one.part)
    placed = attachments.chunks_of(session, stream)
    if part is None or len(placed) < one.chunks or not session.known().may_write(session.me(), one.part):
        return  # not whole here: whoever has it whole gives it back
    append = one.append
    if append is None:
        append = session.around.random(32)
        attachments.put_carried(session, stream, msgspec.structs.replace(one, append=append))
    there = _length_there(session, transport, part, stream, append, one.chunks)
    if there is None:
        return
    if there.length < one.chunks and session.store.chain_at(session.case, stream, there.length) != there.chain:
        session.alarm("conflict", f"attachment in {one.part}")
        return
    waiting = placed[there.length :]
    while waiting:
        ops: list[wire.Operation] = []
        size = 0
        before = session.store.chain_at(session.case, stream, waiting[0].index - 1)
        while waiting and (not ops or size + len(waiting[0].record) <= BYTES_IN_ONE_FRAME):
            chunk = waiting.pop(0)
            ops.append(wire.Append(stream=stream, cap=append, record=chunk.record, expect=before))
            before, size = chunk.chain, size + len(chunk.record)
        for result in _exchange(session, transport, ops):
            if isinstance(result, wire.Failed):
                _told(session, one.part, result.code)
                return
        report.sent += len(ops)
    # Shut: from here on nobody adds anything, whoever writes the part.
    _exchange(session, transport, attachments.turning(session, part, stream, session.around.random(32)))
    for code in _KEPT_ALARMS:
        session.store.drop_alarm(session.case, code, f"attachment in {one.part}")
    done = msgspec.structs.replace(one, append=None, done=_generation(session))
    attachments.put_carried(session, stream, done)


def _length_there(
    session: CaseSession, transport: Transport, part: Part, stream: StreamId, append: bytes, chunks: int
) -> Position | None:
    """How far the relay has it, opened or unlocked for this device; None where it cannot be sent."""
    opening = attachments.opening(session, part, stream, append)
    if opening is None:
        return None
    cap = attachments.secrets_at(session, part, stream).read_cap()
    if cap is None:
        raise AssertionError("an opening without its reader")
    ask = wire.Read(stream=stream, cap=cap, after=chunks, max_bytes=1)
    first, length = _exchange(session, transport, [opening, ask])
    if isinstance(first, wire.Failed) and first.code == "exists":
        # Under other locks: those of an earlier epoch, or shut when it was whole.
        unlock = attachments.turning(session, part, stream, append)
        length = _exchange(session, transport, [*unlock, ask])[-1]
    elif isinstance(first, wire.Failed):
        if first.code == "closed":
            # Somebody took the entry away while this one was on its way.
            attachments.put_carried(session, stream, None)
        else:
            _told(session, part.name, first.code)
        return None
    if not isinstance(length, wire.Batch):
        _told(session, part.name, length.code if isinstance(length, wire.Failed) else "bad_operation")
        return None
    if length.length > chunks:
        session.alarm("conflict", f"attachment in {part.name}")
        return None
    return Position(0, length.length, length.chain)  # type: ignore[arg-type]


def _told(session: CaseSession, part: str, code: str) -> None:
    session.alarm(code, f"attachment in {part}")


# --- fetching


def fetch(session: CaseSession, transport: Transport, name: str, attachment: Attachment) -> bytes:
    """The bytes of an attachment: those that lie here, or read from the relay; what came before an interruption is not read again.

    Raises ``Unreachable``; ``Misuse("not_yet")`` while not all of it is at the relay; ``Refused("closed")`` where it was
    taken away; ``Inadmissible("bad_attachment")``, ``Unopenable`` where the bytes are not those the field promises.
    """
    stream = StreamId(attachment.stream)
    attachments.check_stream(session, stream)
    if len(attachments.chunks_of(session, stream)) < attachment.chunks:
        _read_all(session, transport, name, attachment)
    try:
        return open_chunks(attachment, [placed.record for placed in attachments.chunks_of(session, stream)])
    except (Inadmissible, CryptoError):
        _read_anew(session, attachment)
        raise


def _read_anew(session: CaseSession, attachment: Attachment) -> None:
    """Next time, for it may have been the disk. Not where it is the field that lies: chunks that open by another field are the
    photo of that one, and before they were sent they are nowhere else."""
    stream = StreamId(attachment.stream)
    records = [placed.record for placed in attachments.chunks_of(session, stream)]
    for _, other in attachments.held_anywhere(session):
        if other.stream == stream and other != attachment:
            with suppress(Inadmissible, CryptoError):
                open_chunks(other, records)
                return
    attachments.put_carried(session, stream, None)


def _read_all(session: CaseSession, transport: Transport, name: str, attachment: Attachment) -> None:
    stream, part = StreamId(attachment.stream), attachments.part_of(session, name)
    if part is None:
        raise AssertionError("an attachment of no part")
    known = attachments.carried(session).get(stream)
    if known is None:
        attachments.put_carried(session, stream, Carried(name, attachment.chunks, done=_generation(session)))
    caps = attachments.read_caps(session, part, stream)
    for _ in range(MOST_READS):
        position = session.position(stream)
        batch = _read(session, transport, stream, caps, position)
        try:
            accepted = accept(position, batch, lambda index: session.store.chain_at(session.case, stream, index))
        except RelayMisbehaved:
            _read_anew(session, attachment)
            raise
        if batch.length > attachment.chunks or accepted.replaced:
            _read_anew(session, attachment)
            raise Inadmissible("bad_attachment", "more chunks than the file has")
        session.store.put_records(session.case, stream, accepted.position, accepted.placed)
        if accepted.position.length == attachment.chunks:
            return
        if not accepted.placed:
            raise Misuse("not_yet", "not all of it is at the relay yet; sync again later")
    raise RelayMisbehaved("relay_garbage", "the relay promises more and gives nothing")


def _read(
    session: CaseSession, transport: Transport, stream: StreamId, caps: list[bytes], position: Position
) -> wire.Batch:
    """With the lock of now, or else any earlier one: whoever turns it may not have been online since."""
    for at, count in ((0, 1), (1, OPS_IN_ONE_FRAME)):
        ops = [
            wire.Read(stream=stream, cap=cap, after=position.length, max_bytes=BYTES_IN_ONE_FRAME)
            for cap in caps[at : at + count]
        ]
        results = _exchange(session, transport, ops) if ops else []
        for cap, result in zip(caps[at : at + count], results, strict=False):
            if isinstance(result, wire.Batch):
                caps.remove(cap)
                caps.insert(0, cap)
                return result
            if isinstance(result, wire.Failed) and result.code == "no_stream":
                raise Misuse("not_yet", "it is not at the relay yet; sync again later")
            if isinstance(result, wire.Failed) and result.code != "not_allowed":
                raise Refused(result.code)
    raise Refused("not_allowed")
