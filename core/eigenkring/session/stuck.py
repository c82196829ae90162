"""Locks that do not turn, left out so that an act on the charter is never undone by them. Spec: docs/spec/charter.md, Narrowing.

Anyone can found a part whose stream was never opened, or opened under another manage hash. Its `rekey` would undo the
atomic exchange for good, and with it the founder's own removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from eigenkring import wire
from eigenkring.errors import Misuse
from eigenkring.ids import Capability, StreamId
from eigenkring.session.case import CaseState
from eigenkring_crypto import capability

_WILL_NOT_TURN = ("no_stream", "closed", "expired", "not_allowed")
# A lock that stayed behind stayed behind lately; who wants more of them tried wants the family to wait.
EARLIER_EPOCHS = 8
# Attempts whose secrets are kept until one of them is shown: as many as an act makes.
PREPARED = 8
_PREPARED = "prepared locks"


@dataclass(slots=True)
class Stuck:
    """What was found out in one act: with which capability a stream's lock turns after all, None where with none."""

    with_cap: dict[StreamId, Capability | None] = field(default_factory=dict)

    def without(self, ops: Sequence[wire.Operation]) -> list[wire.Operation]:
        """The operations that can be done. The entry, the boxes and what is opened are never left out."""
        kept: list[wire.Operation] = []
        for op in ops:
            if not isinstance(op, wire.Rekey | wire.Close) or StreamId(op.stream) not in self.with_cap:
                kept.append(op)
                continue
            cap = self.with_cap[StreamId(op.stream)]
            if isinstance(op, wire.Close):
                kept += [] if cap is None else [wire.Close(stream=op.stream, cap=cap)]
            elif cap is not None:
                kept.append(wire.Rekey(stream=op.stream, cap=cap, read=op.read, append=op.append, manage=op.manage))
        return kept


def is_a_lock(op: wire.Operation, failed: wire.Failed) -> bool:
    """Whether it is a lock that failed. Anything else is a race, or a reason to stop."""
    return isinstance(op, wire.Rekey | wire.Close) and failed.code in _WILL_NOT_TURN


def trials(ops: Sequence[wire.Operation]) -> list[wire.Rekey]:
    """Turns every lock of the exchange to where it is: it changes nothing and says which of them would turn. All at once,
    or whoever founded a hundred such parts would buy a hundred round trips."""
    caps = {StreamId(op.stream): op.cap for op in ops if isinstance(op, wire.Rekey | wire.Close)}
    return [wire.Rekey(stream=stream, cap=cap) for stream, cap in caps.items()]


def earlier_trials(session: CaseState, tried: Sequence[tuple[wire.Rekey, wire.Result]]) -> list[wire.Rekey]:
    """The same with the manage capabilities of the epochs before, and of what was prepared and never shown, for the locks
    that did not know the present one."""
    found: list[wire.Rekey] = []
    for op, result in tried:
        if isinstance(result, wire.Failed) and result.code == "not_allowed":
            found += [wire.Rekey(stream=op.stream, cap=cap) for cap in _earlier_caps(session, StreamId(op.stream))]
    return found[: wire.MAX_EXCHANGE_OPS]


def learn(stuck: Stuck, tried: Sequence[tuple[wire.Rekey, wire.Result]]) -> list[tuple[StreamId, str]]:
    """Remember which locks turn with what. Gives the streams whose lock does not turn at all, with the relay's reason."""
    turns = {StreamId(op.stream): Capability(op.cap) for op, result in tried if not isinstance(result, wire.Failed)}
    failed = {StreamId(op.stream): result.code for op, result in tried if isinstance(result, wire.Failed)}
    stuck.with_cap.update(turns)
    never: list[tuple[StreamId, str]] = sorted((stream, code) for stream, code in failed.items() if stream not in turns)
    stuck.with_cap.update(dict.fromkeys(stream for stream, _ in never))
    return never


def prepare(session: CaseState, secrets: Sequence[tuple[str, int, bytes]]) -> None:
    """Keep the secrets of an attempt before it is sent. A relay that turned its locks and threw the entry and the boxes
    away would else hold locks whose keys nobody has."""
    if secrets:
        kept = [list(secrets), *_prepared(session)][:PREPARED]
        session.store.put_fact(session.case, _PREPARED, msgspec.msgpack.encode(kept))


def shown(session: CaseState) -> None:
    """The decision is in the charter: what was prepared for it is in the ring, or false."""
    session.store.put_fact(session.case, _PREPARED, None)


def prepared_caps(session: CaseState, stream: StreamId, room: str) -> list[Capability]:
    """The manage capabilities of locks that this device prepared and no entry shows, newest first."""
    now = session.known().rooms[room].epoch if room in session.known().rooms else 0
    return [
        Capability(capability.manage_capability(capability.manage_secret(secret, stream), stream, epoch))
        for attempt in _prepared(session)
        for name, epoch, secret in attempt
        if name == room and epoch > now
    ]


def _prepared(session: CaseState) -> list[list[tuple[str, int, bytes]]]:
    packed = session.store.fact(session.case, _PREPARED)
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[list[tuple[str, int, bytes]]])


def name_of(session: CaseState, stream: StreamId) -> str:
    """For the alarm: the part whose lock it is."""
    if stream in (session.charter_stream, session.row.keys_stream):
        return "lock of the case"
    part = session.known().part_streams.get(stream)
    return "lock of a stream" if part is None else f"lock of {part.name}"


def _earlier_caps(session: CaseState, stream: StreamId) -> list[Capability]:
    try:
        room = session.known().stream_rooms(stream).manage
    except Misuse:
        return []
    now = session.known().rooms[room].epoch if room in session.known().rooms else 0
    held = sorted(
        ((epoch, secret) for name, epoch, secret in session.ring if name == room and epoch < now), reverse=True
    )
    earlier = [
        Capability(capability.manage_capability(capability.manage_secret(secret, stream), stream, epoch))
        for epoch, secret in held[:EARLIER_EPOCHS]
    ]
    return [*earlier, *prepared_caps(session, stream, room)]
