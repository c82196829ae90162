"""Staying connected: one WebSocket for one case. It keeps what is pushed until somebody asks for it, carries what this device
has to say, and rings where a sync must look. Spec: docs/spec/streams.md (follow).

Nothing is judged here, and nothing is believed that was pushed: the session takes a record in only at the place after the last
one it has, by the rules of every record, and each sync compares the whole with what the relay shows. Frames are those of
``/v1/exchange``, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from eigenkring import wire
from eigenkring.errors import EigenkringError, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import RecordBytes, StreamId
from eigenkring.session.pushed import Pushed

# No answer for so long: the connection is a dead one, whatever it says of itself.
ANSWER_SECONDS: Final = 5.0
# To be told of what comes nobody waits, so the relay may take its time.
FOLLOW_SECONDS: Final = 60.0
# A program that was busy for that long itself has the answer lying here: it is heard first.
HEAR_SECONDS: Final = 0.5
# What was pushed and nobody asked for yet. More is not kept, a sync reads it: a relay must not fill this device's memory.
MOST_WAITING_BYTES: Final = 16 * 1024 * 1024
_FOLLOWS_IN_ONE_FRAME: Final = 256


@dataclass(slots=True)
class _Said:
    """Somebody waits for the answer to these."""

    ops: Sequence[wire.Operation]
    reply: asyncio.Future[wire.Reply]


class Live:
    """``async with Live(relay) as live``. Entering raises what ``websockets`` raises, and ``OSError``."""

    def __init__(self, relay: str) -> None:
        self._address = f"ws{relay.removeprefix('http')}/v1/sync"
        self._socket: ClientConnection
        self._hearing: asyncio.Task[None]
        self._following: dict[bytes, bytes] = {}
        self._number = 0
        self._said: dict[int, _Said] = {}
        self._pushed: list[Pushed] = []
        self._waiting_bytes = 0
        self._rung = False
        self._came = asyncio.Event()
        self._ended: EigenkringError | None = None
        self.sending = asyncio.Lock()  # two at once would send the same twice

    async def __aenter__(self) -> Self:
        # What comes and goes is sealed: to compress it is work for nothing.
        self._socket = await connect(self._address, max_size=2 * wire.MAX_FRAME_BYTES, proxy=None, compression=None)
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(Unreachable("offline", "the connection ended"))
        self._hearing.cancel()
        try:
            await self._socket.close()
        finally:
            with suppress(asyncio.CancelledError):
                await self._hearing

    async def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        """As by POST, without the way of a request of its own. Raises ``Unreachable``, ``Refused`` (the frame),
        ``RelayMisbehaved``."""
        return await self._ask(ops, atomic, ANSWER_SECONDS)

    async def _ask(self, ops: Sequence[wire.Operation], atomic: bool, longest: float) -> wire.Reply:
        if self._ended is not None:
            raise Unreachable("offline", "there is no connection now")
        self._number = (self._number + 1) & 0xFFFF_FFFF
        number = self._number
        reply: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
        self._said[number] = _Said(ops, reply)
        try:
            await self._socket.send(wire.encode(wire.Request(number, list(ops), atomic)))
            for seconds in (longest, HEAR_SECONDS):
                await asyncio.wait((reply,), timeout=seconds)
                if reply.done():
                    return reply.result()
        except (OSError, WebSocketException):
            raise Unreachable("offline", "the connection ended") from None
        finally:
            reply.cancel()  # where nobody waits for it any more: its answer is passed over
        late = Unreachable("timed_out", "the relay did not answer in time")
        self._end(late)
        raise late

    async def follow(self, streams: Sequence[wire.Follow]) -> bool:
        """Hear of these, as far as they are not followed yet under that capability. Gives whether one is longer than it says,
        because only what comes after the answer is pushed. Raises ``Unreachable``, ``RelayMisbehaved``."""
        todo = [op for op in streams if self._following.get(op.stream) != op.cap]
        longer = False
        for at in range(0, len(todo), _FOLLOWS_IN_ONE_FRAME):
            some = todo[at : at + _FOLLOWS_IN_ONE_FRAME]
            self._following.update((op.stream, op.cap) for op in some)
            try:
                reply = await self._ask(some, False, FOLLOW_SECONDS)
            except Refused:
                raise Unreachable("offline", "the relay has no time now") from None
            for op, result in zip(some, reply.results, strict=True):
                if isinstance(result, wire.Batch):
                    longer = longer or result.length > op.after
                else:
                    # A lock that was turned, a stream that is over, a door that is not open yet: asked again after a sync.
                    self._following.pop(op.stream, None)
        return longer

    async def news(self, seconds: float) -> list[Pushed] | None:
        """What was pushed since the last time: at once, where something is there. ``None`` where a sync must look, and where
        nothing came for so long. Raises ``Unreachable``, ``RelayMisbehaved``: the connection ended."""
        # Who was busy for so long may have news all the same: what is here is looked at, whatever the clock says.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._came.wait()
        if self._ended is not None:
            raise self._ended
        self._came.clear()
        pushed, self._pushed, self._waiting_bytes = self._pushed, [], 0
        rung, self._rung = self._rung, False
        return None if rung or not pushed else pushed

    # --- what comes

    async def _hear(self) -> None:
        try:
            while True:
                data = await self._socket.recv()
                if isinstance(data, str):
                    raise RelayMisbehaved("relay_garbage", "the relay sent a text")
                self._take(wire.decode_from_relay(data))
        except RelayMisbehaved as error:
            self._end(error)
        except (OSError, WebSocketException):
            self._end(Unreachable("offline", "the connection ended"))

    def _take(self, frame: wire.FromRelay) -> None:
        if isinstance(frame, wire.Answer | wire.Failure):
            self._answered(frame)
            return
        if isinstance(frame, wire.PushedRecord) and self._waiting_bytes <= MOST_WAITING_BYTES:
            self._waiting_bytes += len(frame.record)
            self._pushed.append(Pushed(StreamId(frame.push), frame.index, RecordBytes(frame.record)))
        else:
            if isinstance(frame, wire.PushedEvent) and frame.event != "replaced":
                # The relay pushes no more of that stream: it is followed anew after the next sync.
                self._following.pop(frame.push, None)
            self._rung = True
        self._came.set()

    def _answered(self, frame: wire.Answer | wire.Failure) -> None:
        said = self._said.pop(frame.id, None)
        if said is None:
            raise RelayMisbehaved("relay_garbage", "an answer to nothing")
        if said.reply.done():
            return
        if isinstance(frame, wire.Failure):
            said.reply.set_exception(Refused(frame.code))
            return
        try:
            said.reply.set_result(wire.Reply(frame.id, frame.generation, wire.results_of(frame, said.ops)))
        except RelayMisbehaved as error:
            said.reply.set_exception(error)
            raise

    def _end(self, error: EigenkringError) -> None:
        self._ended = self._ended or error
        for said in self._said.values():
            if not said.reply.done():
                said.reply.set_exception(Unreachable("offline", "the connection ended"))
        self._said.clear()
        self._came.set()
