"""A device's WebSocket as the relay uses it: each message handed over when it is whole, frames written as they are.

uvicorn's own protocol has a queue, a task and a pause of the socket between a message and the application, and makes a
frame anew for each follower; the library beneath it reads a frame by a coroutine of four steps. Here a whole message in one
frame is cut out of what the socket gave. Everything else, the handshake, what is a lawful frame, messages in pieces, pings and
closing, is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C part
    from websockets.utils import apply_mask

# Where an application finds it, as ASGI has it for what one server has and another has not.
_EXTENSION: Final = "eigenkring.line"
_BINARY: Final = 0x82


def framed(message: bytes) -> bytes:
    """The bytes on the wire of one binary message to a device: whole, not masked (RFC 6455, 5.2)."""
    size = len(message)
    if size < 126:
        return bytes((_BINARY, size)) + message
    if size < 65_536:
        return bytes((_BINARY, 126, size >> 8, size & 0xFF)) + message
    return bytes((_BINARY, 127)) + size.to_bytes(8, "big") + message


def line_of(scope: Any) -> Line:
    """The line beneath an application's WebSocket. ``serve`` sees to it that there is one."""
    return cast("Line", scope["extensions"][_EXTENSION])


class Line(WebSocketsSansIOProtocol):
    """``take`` gets each message (None for text) on the loop, ``resumed`` is called when there is room to write again."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.has_room = True
        self._answered = False
        # Frames are cut out here only while it is known where one begins. `_owed` bytes more are the library's, `_pieces` says
        # that it has the beginning of a message, and `_kept` is a frame's head that is not there whole.
        self._cuts = False
        self._owed = 0
        self._pieces = False
        self._kept = b""
        self._take: Callable[[bytes | None], None] | None = None
        self._resumed: Callable[[], None] | None = None

    def attach(self, take: Callable[[bytes | None], None], resumed: Callable[[], None]) -> None:
        """From now on. What came before, right behind the handshake, is handed over first."""
        self._take, self._resumed = take, resumed
        kept = []
        while not self.queue.empty():
            event = self.queue.get_nowait()
            if event["type"] == "websocket.receive":
                take(event.get("bytes"))
            else:
                kept.append(event)
        for event in kept:
            self.queue.put_nowait(event)
        self.read_paused = False
        self.transport.resume_reading()

    def detach(self) -> None:
        self._take = self._resumed = None

    def write(self, frames: bytes) -> None:
        """Whole frames, made by ``framed``. To who is gone or going nothing is written."""
        if not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frames)

    def hold(self) -> None:
        """Read no more from the device. What already came is still handed over."""
        self.transport.pause_reading()

    def go_on(self) -> None:
        self.transport.resume_reading()

    # What asyncio and uvicorn call

    def data_received(self, data: bytes) -> None:
        if not self._cuts:
            began = self.handshake_initiated
            super().data_received(data)
            # Who sends frames before the application listens is read by the library for good: it may have half of one.
            self._cuts = not began and self.handshake_initiated and data.find(b"\r\n\r\n") == len(data) - 4
        elif self._take is None:
            self._cuts, kept = False, self._kept
            super().data_received(kept + data)
        else:
            self._cut(self._kept + data if self._kept else data)

    def _cut(self, data: bytes) -> None:
        at, there = 0, len(data)
        self._kept = b""
        while at < there:
            if self._owed:
                piece = data[at : at + self._owed]
                at += len(piece)
                self._owed -= len(piece)
                super().data_received(piece)
                if self.transport.is_closing():
                    # It was no lawful frame, or the last one: what lies behind it is nobody's.
                    return
                continue
            # RFC 6455, 5.2. A head is 6, 8 or 14 bytes with its mask. One without a mask is refused by its second byte.
            begin = at + 6
            if at + 1 < there and not data[at + 1] & 0x80:
                self._owed = there - at
                continue
            if there >= begin and (size := data[at + 1] & 0x7F) > 125:
                begin += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : begin - 4], "big")
            if there < begin:
                self._kept = data[at:]
                return
            end = begin + size
            if (
                data[at] == _BINARY
                and end <= there
                and size <= self.config.ws_max_size
                and self._take is not None
                and not (self._pieces or self.close_sent)
            ):
                self._take(apply_mask(data[begin:end], data[begin - 4 : begin]))
                at = end
            else:
                if not data[at] & 0x08:
                    self._pieces = not data[at] & 0x80
                self._owed = end - at

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            # The task that hands the scope on has not begun.
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        if self._take is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        self._take(data if self.curr_msg_data_type == "bytes" else None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._over()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._answered = True
        self._over()

    def _over(self) -> None:
        """When the connection and the application are both done: an object of the framework refers to itself and to this
        one, and would keep all of it until somebody looks for cycles (pauses.py)."""
        if self.disconnected and self._answered:
            cast("dict[str, Any]", self.scope).clear()
            self.conn.parser.close()
            del self.conn, self.queue, self.request, self.response, self.transport

    def pause_writing(self) -> None:
        self.has_room = False
        super().pause_writing()

    def resume_writing(self) -> None:
        self.has_room = True
        super().resume_writing()
        if self._resumed is not None:
            self._resumed()
