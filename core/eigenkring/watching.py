"""Staying connected: ``async for change in case.watch()``. What others write in a part is taken in as the relay pushes it
(``session.pushed``), and what is written here goes out on the same connection (``sending``); for all else, and where there is
doubt, a sync reads. Spec: docs/spec/streams.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from websockets.exceptions import WebSocketException

from eigenkring import wire
from eigenkring.errors import EigenkringError, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import StreamId
from eigenkring.live import Live
from eigenkring.sending import send_now
from eigenkring.session import attachments, taking
from eigenkring.session.pushed import Pushed, take_pushed

if TYPE_CHECKING:
    from eigenkring.case import Case

# The first bell is a sync at once, those that ring just after it together: a removal rings for every stream.
RING_AGAIN_SECONDS: Final = 0.12
# After so long without a word: what else there is to do for the others, a view to bring up to date, a part to keep.
SETTLE_SECONDS: Final = 2.0
# Without a bell a sync all the same: a relay may lose one, and end dates pass in silence.
LOOK_SECONDS: Final = 300.0
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """Something is different on this device. ``part`` is its full name; empty where it is about who belongs, who may read, or an alarm."""

    part: str


async def watch(case: Case) -> AsyncGenerator[Change]:
    """As ``Case.watch``."""
    before = marks(case)
    waited = FIRST_WAIT_SECONDS
    while True:
        try:
            async for _ in _bells(case):
                waited = FIRST_WAIT_SECONDS
                for part in _different(before, now := marks(case)):
                    yield Change(part)
                before = now
                if case.session.row.state in ("removed", "closed"):
                    return
        except (OSError, WebSocketException, Unreachable, RelayMisbehaved, TimeoutError):
            # Being offline is normal. Each time longer, so that a relay that comes back is not overrun.
            await asyncio.sleep(waited)
            waited = min(2 * waited, LONGEST_WAIT_SECONDS)


async def send(case: Case) -> None:
    """As ``Case.send``."""
    live = case.live
    if live is not None:
        # Whatever it was, a sync goes another way and says what it is.
        with suppress(Unreachable, Refused, RelayMisbehaved):
            async with live.sending:
                if await send_now(case.session, live) and not attachments.unsent(case.session):
                    return
    case.sync()


async def _bells(case: Case) -> AsyncGenerator[None]:
    """One turn for each sync, and for each time something was taken in. Ends with an error when the connection does."""
    async with Live(case.session.row.relay) as live:
        case.live = live
        try:
            while True:
                synced = time.monotonic()
                # On this thread: the sessions of a device are no place for two at once.
                case.sync()
                yield
                rung, wait = await live.follow(_follows(case)), LOOK_SECONDS
                while not rung:
                    # Nothing is waited for: what comes while this program is busy with one record is taken in together.
                    pushed = await live.news(wait)
                    rung = pushed is None or not _take(case, pushed)
                    if not rung:
                        wait = SETTLE_SECONDS
                        yield
                await asyncio.sleep(synced + RING_AGAIN_SECONDS - time.monotonic())
        finally:
            if case.live is live:
                case.live = None


def _take(case: Case, pushed: list[Pushed]) -> bool:
    """Gives whether nothing is left for a sync."""
    by_stream: dict[StreamId, list[Pushed]] = {}
    for one in pushed:
        by_stream.setdefault(one.stream, []).append(one)
    whole = [take_pushed(case.session, some) for some in by_stream.values()]
    return all(whole)


def _follows(case: Case) -> list[wire.Follow]:
    """Every stream this device reads. Only whether there is more: what there is, the sync reads."""
    position = case.session.position
    return [
        wire.Follow(stream=want.stream, cap=want.op.cap, after=position(want.stream).length, max_bytes=1)
        for want in taking.wants(case.session)
    ]


def marks(case: Case) -> dict[str, object]:
    """What there is, by part: two that are equal show the same."""
    session = case.session
    found: dict[str, object] = {opened.part.name: tuple(opened.heads()) for opened in session.parts.values()}
    alarms = tuple((alarm.code, alarm.about) for alarm in session.store.alarms(session.case))
    head = None if session.charter is None else session.charter.head
    return {**found, "": (session.row.state, head, alarms)}


def _different(before: dict[str, object], now: dict[str, object]) -> list[str]:
    with suppress(EigenkringError):
        return sorted(part for part in before.keys() | now.keys() if before.get(part) != now.get(part))
    return []
