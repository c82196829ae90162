"""One WebSocket: frames in, answers and pushes out. Two tasks for each connection, none for a record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from eigenkring import wire
from eigenkring_server.follow import Outbox
from eigenkring_server.frames import Frames
from eigenkring_server.limits import Limits
from eigenkring_server.logs import Told

# While more than this waits to be taken by the device, nothing new is read for it.
_REPLIES_WAITING: Final = 1_048_576


class Connection:
    """``counted`` is told of every frame: its bytes, the bytes of the answer, and how it went."""

    __slots__ = (
        "_changed",
        "_counted",
        "_frames",
        "_gone",
        "_in_flight",
        "_limits",
        "_reading",
        "_socket",
        "_woken",
        "outbox",
    )

    def __init__(
        self,
        socket: WebSocket[Any, Any, Any],
        frames: Frames,
        limits: Limits,
        counted: Callable[[int, int, Told], None],
    ) -> None:
        self._socket = socket
        self._frames = frames
        self._limits = limits
        self._counted = counted
        self._in_flight = 0
        self._reading = 0
        self._gone = False
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()
        self.outbox = Outbox(limits, self._woken.set)

    async def serve(self, address: str) -> None:
        sender = asyncio.create_task(self._send())
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] != "websocket.receive":
                    return
                data = message.get("bytes")
                if data is None:
                    # Text is no frame; its id cannot be known.
                    self._answer(0, wire.encode(wire.Failure(0, "bad_frame")), Told(code="bad_frame"))
                    continue
                await self._take(data, address)
        except WebSocketDisconnect:
            pass
        finally:
            self._frames.followers.leave(self.outbox)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def _take(self, data: bytes, address: str) -> None:
        asked = self._frames.decode(data, address)
        if isinstance(asked, wire.Failure):
            self._answer(len(data), wire.encode(asked), Told(code=asked.code))
            await self._settled(lambda: self.outbox.reply_bytes < _REPLIES_WAITING)
            return
        # A device that asks for megabytes and takes none would fill the memory: one reading frame at a time.
        reads = asked.nature.reads
        await self._settled(
            lambda: (
                self._in_flight < self._limits.frames_in_flight
                and self.outbox.reply_bytes < _REPLIES_WAITING
                and not (reads and self._reading)
            )
        )
        self._in_flight += 1
        self._reading += reads

        def answer(frame: bytes, told: Told) -> None:
            self._in_flight -= 1
            self._reading -= reads
            self._answer(len(data), frame, told)
            self._changed.set()

        self._frames.run(asked, self.outbox, answer)

    async def _settled(self, is_settled: Callable[[], bool]) -> None:
        while not (self._gone or is_settled()):
            self._changed.clear()
            await self._changed.wait()

    def _answer(self, size: int, frame: bytes, told: Told) -> None:
        self.outbox.reply(frame)
        self._counted(size, len(frame), told)

    async def _send(self) -> None:
        socket = self._socket
        outbox = self.outbox
        try:
            while True:
                while outbox:
                    await socket.send({"type": "websocket.send", "bytes": outbox.take(), "text": None})
                    self._changed.set()
                self._woken.clear()
                await self._woken.wait()
        except Exception:
            # The other side is gone: who waits for room need not, and hears of the end from `receive`.
            self._gone = True
            self._changed.set()
