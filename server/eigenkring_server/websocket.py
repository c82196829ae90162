"""One WebSocket: frames in, answers and pushes out. No task for a record, and one write for all that waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from eigenkring import wire
from eigenkring_server.follow import Outbox
from eigenkring_server.frames import Asked, Frames
from eigenkring_server.limits import Limits
from eigenkring_server.line import Line, framed
from eigenkring_server.logs import Told

# While more than this waits to be taken by the device, nothing new is read for it.
_REPLIES_WAITING: Final = 1_048_576
# So much is put together for one write.
_ONE_WRITE: Final = 65_536


class Connection:
    """``counted`` is told of every frame: its bytes, the bytes of the answer, and how it went."""

    __slots__ = (
        "_address",
        "_arrived",
        "_asked",
        "_counted",
        "_flushing",
        "_frames",
        "_held",
        "_in_flight",
        "_limits",
        "_line",
        "_loop",
        "_reading",
        "outbox",
    )

    def __init__(
        self, line: Line, frames: Frames, limits: Limits, counted: Callable[[int, int, Told], None], address: str
    ) -> None:
        self._line = line
        self._frames = frames
        self._limits = limits
        self._counted = counted
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._reading = 0
        # Nothing is begun until what is under way settles: `_asked` is next, and what came behind it waits in `_arrived`.
        self._held = False
        self._asked: Asked | None = None
        self._arrived: deque[bytes | None] = deque()
        self._flushing = False
        self.outbox = Outbox(limits, self._wake)

    async def serve(self, socket: WebSocket[Any, Any, Any]) -> None:
        """Until the device is gone."""
        self._line.attach(self._take, self._wake)
        try:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
        except WebSocketDisconnect:
            pass
        finally:
            self._line.detach()
            self._frames.followers.leave(self.outbox)
            self.outbox.close()

    def _take(self, data: bytes | None) -> None:
        if self._held:
            self._arrived.append(data)
            # Every time: one more message may have been on the way.
            self._line.hold()
        elif not self._begin(data):
            self._held = True
            self._line.hold()

    def _begin(self, data: bytes | None) -> bool:
        """False: nothing more may begin until something settles."""
        if data is None:
            # Text is no frame; its id cannot be known.
            self._answer(0, wire.encode(wire.Failure(0, "bad_frame")), Told(code="bad_frame"))
            return self.outbox.reply_bytes < _REPLIES_WAITING
        asked = self._frames.decode(data, self._address)
        if isinstance(asked, wire.Failure):
            self._answer(len(data), wire.encode(asked), Told(code=asked.code))
            return self.outbox.reply_bytes < _REPLIES_WAITING
        if not self._may_run(asked):
            self._asked = asked
            return False
        self._run(asked)
        return True

    def _may_run(self, asked: Asked) -> bool:
        # A device that asks for megabytes and takes none would fill the memory: one reading frame at a time.
        return (
            self._in_flight < self._limits.frames_in_flight
            and self.outbox.reply_bytes < _REPLIES_WAITING
            and not (self._reading and asked.nature.reads)
        )

    def _run(self, asked: Asked) -> None:
        reads = asked.nature.reads
        self._in_flight += 1
        self._reading += reads

        def answer(frame: bytes, told: Told) -> None:
            self._in_flight -= 1
            self._reading -= reads
            self._answer(asked.size, frame, told)

        self._frames.run(asked, self.outbox, answer)

    def _answer(self, size: int, frame: bytes, told: Told) -> None:
        self.outbox.reply(framed(frame))
        self._counted(size, len(frame), told)

    def _wake(self) -> None:
        if not self._flushing:
            self._flushing = True
            # Soon, not now: what else this round of the loop has for the device goes with it.
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        line, outbox = self._line, self.outbox
        while outbox and line.has_room:
            line.write(outbox.take(_ONE_WRITE))
        if self._held:
            self._go_on()

    def _go_on(self) -> None:
        """After every answer: begin what had to wait, in the order in which it came."""
        if self._asked is not None:
            if not self._may_run(self._asked):
                return
            asked, self._asked = self._asked, None
            self._run(asked)
        if self.outbox.reply_bytes >= _REPLIES_WAITING:
            return
        while self._arrived:
            if not self._begin(self._arrived.popleft()):
                return
        self._held = False
        self._line.go_on()
