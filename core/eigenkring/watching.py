"""Staying connected: ``async for change in case.watch()``. What others write in a part is taken in as the relay pushes it
(``session.pushed``); for all else, and where there is doubt, the push is only a bell, and a sync reads. Spec: docs/spec/streams.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from eigenkring import wire
from eigenkring.errors import EigenkringError, RelayMisbehaved, Unreachable
from eigenkring.ids import RecordBytes, StreamId
from eigenkring.session import taking
from eigenkring.session.pushed import Pushed, take_pushed

if TYPE_CHECKING:
    from eigenkring.case import Case

# A word typed by another comes as several records: one sync for all of them.
GATHER_SECONDS: Final = 0.05
# After so long without a word: what else there is to do for the others, a view to bring up to date, a part to keep.
SETTLE_SECONDS: Final = 2.0
# Without a bell a sync all the same: a relay may lose one, and end dates pass in silence.
LOOK_SECONDS: Final = 300.0
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 60.0
_FOLLOWS_IN_ONE_FRAME: Final = 256


@dataclass(frozen=True, slots=True)
class Change:
    """Something is different on this device. ``part`` is its full name; empty where it is about who belongs, who may read, or an alarm."""

    part: str


async def watch(case: Case) -> AsyncGenerator[Change]:
    """As ``Case.watch``."""
    before = _marks(case)
    waited = FIRST_WAIT_SECONDS
    while True:
        try:
            async for _ in _bells(case):
                waited = FIRST_WAIT_SECONDS
                for part in _different(before, now := _marks(case)):
                    yield Change(part)
                before = now
                if case.session.row.state in ("removed", "closed"):
                    return
        except (OSError, WebSocketException, Unreachable, RelayMisbehaved, TimeoutError):
            # Being offline is normal. Each time longer, so that a relay that comes back is not overrun.
            await asyncio.sleep(waited)
            waited = min(2 * waited, LONGEST_WAIT_SECONDS)


async def _bells(case: Case) -> AsyncGenerator[None]:
    """One turn for each sync, and for each time something was taken in. Ends with an error when the connection does."""
    address = f"ws{case.session.row.relay.removeprefix('http')}/v1/sync"
    async with connect(address, max_size=2 * wire.MAX_FRAME_BYTES, proxy=None) as socket:
        followed: dict[bytes, bytes] = {}
        number = 0
        while True:
            # On this thread: the sessions of a device are no place for two at once.
            case.sync()
            yield
            rung = False
            for ops in _follows(case, followed):
                number += 1
                await socket.send(wire.encode(wire.Request(number, ops)))
                rung = await _answered(socket, ops, followed) or rung
            wait = LOOK_SECONDS
            while not rung:
                pushed = await _rung(socket, followed, wait)
                rung = pushed is None or not _take(case, pushed)
                if not rung:
                    wait = SETTLE_SECONDS
                    yield


def _take(case: Case, pushed: list[Pushed]) -> bool:
    """Gives whether nothing is left for a sync."""
    by_stream: dict[StreamId, list[Pushed]] = {}
    for one in pushed:
        by_stream.setdefault(one.stream, []).append(one)
    whole = [take_pushed(case.session, some) for some in by_stream.values()]
    return all(whole)


def _follows(case: Case, followed: dict[bytes, bytes]) -> Iterator[list[wire.Operation]]:
    """Every stream this device reads and does not follow yet, or under a capability of before."""
    todo: list[wire.Operation] = []
    for want in taking.wants(case.session):
        if followed.get(want.stream) != want.op.cap:
            followed[want.stream] = want.op.cap
            after = case.session.position(want.stream).length
            todo.append(wire.Follow(stream=want.stream, cap=want.op.cap, after=after, max_bytes=1))
    for at in range(0, len(todo), _FOLLOWS_IN_ONE_FRAME):
        yield todo[at : at + _FOLLOWS_IN_ONE_FRAME]


async def _answered(socket: ClientConnection, ops: list[wire.Operation], followed: dict[bytes, bytes]) -> bool:
    """Until the reply came. Gives whether something is there that the sync before it did not read: only what comes after the
    reply is pushed."""
    rung = False
    while True:
        frame = _frame(await asyncio.wait_for(socket.recv(), LOOK_SECONDS))
        if isinstance(frame, wire.Failure):
            raise Unreachable("offline", "the relay has no time now")
        if isinstance(frame, wire.Answer):
            results = zip(ops, wire.results_of(frame, ops), strict=True)
            return rung or any(
                isinstance(op, wire.Follow) and isinstance(result, wire.Batch) and result.length > op.after
                for op, result in results
            )
        _note_end(frame, followed)
        rung = True


async def _rung(socket: ClientConnection, followed: dict[bytes, bytes], wait: float) -> list[Pushed] | None:
    """What came, with what comes right after it; nothing where it was not records only, or ``wait`` seconds brought none."""
    pushed: list[Pushed] = []
    try:
        while True:
            frame = _frame(await asyncio.wait_for(socket.recv(), wait))
            _note_end(frame, followed)
            if not isinstance(frame, wire.PushedRecord):
                return None
            pushed.append(Pushed(StreamId(frame.push), frame.index, RecordBytes(frame.record)))
            wait = GATHER_SECONDS
    except TimeoutError:
        return pushed or None


def _frame(data: str | bytes) -> wire.FromRelay:
    if isinstance(data, str):
        raise RelayMisbehaved("relay_garbage", "the relay sent a text")
    return wire.decode_from_relay(data)


def _note_end(frame: wire.FromRelay, followed: dict[bytes, bytes]) -> None:
    """After these the relay pushes no more of that stream: it is followed anew after the next sync."""
    if isinstance(frame, wire.PushedEvent) and frame.event != "replaced":
        followed.pop(frame.push, None)


def _marks(case: Case) -> dict[str, object]:
    """What there is, by part: two that are equal show the same."""
    session = case.session
    found: dict[str, object] = {
        opened.part.name: tuple(opened.fold.engine.heads()) if opened.fold.engine else ()
        for opened in session.parts.values()
    }
    alarms = tuple((alarm.code, alarm.about) for alarm in session.store.alarms(session.case))
    head = None if session.charter is None else session.charter.head
    return {**found, "": (session.row.state, head, alarms)}


def _different(before: dict[str, object], now: dict[str, object]) -> list[str]:
    with suppress(EigenkringError):
        return sorted(part for part in before.keys() | now.keys() if before.get(part) != now.get(part))
    return []
