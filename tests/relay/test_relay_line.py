"""A device's connection by its bytes: how messages arrive, how many go out at once, and what is left when it ends."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from devices import Keys, post
from uvicorn.server import ServerState

from eigenkring import wire
from eigenkring_server import pauses
from eigenkring_server.line import Line, framed
from live_relay import LiveRelay

BINARY, TEXT, MORE, PING = 0x82, 0x81, 0x00, 0x89


class Raw:
    """A WebSocket by hand."""

    def __init__(self, relay: LiveRelay) -> None:
        self.address = urlsplit(relay.url).netloc
        host, _, port = self.address.partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=300)
        self._left = b""

    def shaken(self) -> Raw:
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /v1/sync HTTP/1.1\r\nHost: {self.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while b"\r\n\r\n" not in self._left:
            self._left += self.socket.recv(4096)
        answer, _, self._left = self._left.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        return self

    def messages(self) -> Iterator[tuple[int, bytes]]:
        while True:
            while (whole := self._first()) is None:
                piece = self.socket.recv(1_048_576)
                if not piece:
                    return
                self._left += piece
            yield whole

    def _first(self) -> tuple[int, bytes] | None:
        if len(self._left) < 2:
            return None
        size, start = self._left[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._left[2:start], "big")
        if len(self._left) < start + size:
            return None
        kind, message = self._left[0], self._left[start : start + size]
        self._left = self._left[start + size :]
        return kind, message


def masked(kind: int, message: bytes) -> bytes:
    size, mask = len(message), os.urandom(4)
    head = bytes([kind, 0x80 | size]) if size < 126 else bytes([kind, 0xFE]) + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(message))


def reading(keys: Keys, number: int) -> bytes:
    return wire.encode(wire.Request(number, [keys.reading()]))


@pytest.fixture
def keys(relay: LiveRelay) -> Keys:
    made = Keys()
    post(relay.url, made.opening(), made.appending(b"a"))
    return made


def ids(raw: Raw, many: int) -> list[int]:
    answers = raw.messages()
    found = []
    for _ in range(many):
        kind, message = next(answers)
        assert kind == BINARY
        frame = wire.decode_from_relay(message)
        assert isinstance(frame, wire.Answer | wire.Failure)
        found.append(frame.id)
    return found


def test_a_frame_in_pieces_with_a_ping_between_is_one(relay: LiveRelay, keys: Keys) -> None:
    request = reading(keys, 7)
    raw = Raw(relay).shaken()
    raw.socket.sendall(masked(0x02, request[:10]) + masked(PING, b"still there?") + masked(MORE, request[10:20]))
    raw.socket.sendall(masked(0x80, request[20:]))
    answers = raw.messages()
    assert next(answers) == (0x8A, b"still there?")
    kind, message = next(answers)
    frame = wire.decode_from_relay(message)
    assert kind == BINARY
    assert isinstance(frame, wire.Answer)
    assert frame.id == 7


def test_a_thousand_frames_and_texts_in_one_piece_are_answered_in_order(relay: LiveRelay, keys: Keys) -> None:
    """More than may be under way: what must wait keeps its place, also before words that are no frame."""
    raw = Raw(relay).shaken()
    pieces = []
    for number in range(1, 1_001):
        pieces.append(masked(BINARY, reading(keys, number)))
        if number % 10 == 0:
            pieces.append(masked(TEXT, b"no frame"))
    raw.socket.sendall(b"".join(pieces))
    found = ids(raw, 1_100)
    assert [number for number in found if number] == list(range(1, 1_001))
    assert found.count(0) == 100


class Wire(asyncio.Transport):
    """The other end of a line that is fed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True


async def told(pieces: list[bytes], *, is_cut: bool, early: int = 0) -> tuple[list[bytes | None], bytes, bool]:
    """What a line hands over of these pieces, what it writes, and whether it ends; by our reading or the library's."""
    over = asyncio.Event()

    async def application(
        scope: object, receive: Callable[[], Awaitable[object]], send: Callable[[object], Awaitable[None]]
    ) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await over.wait()

    config = uvicorn.Config(
        application, ws_per_message_deflate=False, log_config=None, lifespan="off", ws_max_size=2_000
    )  # type: ignore[arg-type]
    config.load()
    line, other_end = Line(config, ServerState(), {}), Wire()
    line.connection_made(other_end)
    line.data_received(
        b"GET /v1/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    while not other_end.written:
        await asyncio.sleep(0)
    other_end.written = b""
    # Of a device that does not wait for the application.
    for piece in pieces[:early]:
        line.data_received(piece)
    taken: list[bytes | None] = []
    line.attach(lambda data: taken.append(None if data is None else bytes(data)), lambda: None)
    assert line._cuts is (early == 0)
    line._cuts = line._cuts and is_cut
    for piece in pieces[early:]:
        if not other_end.ended:
            line.data_received(piece)
    found = taken, other_end.written, other_end.ended
    over.set()
    await asyncio.gather(*line.tasks)
    return found


def some_frames(dice: random.Random) -> list[bytes]:
    """Mostly lawful."""
    found = []
    for _ in range(dice.randrange(1, 9)):
        kind = dice.choice([BINARY] * 12 + [TEXT, 0x02, 0x02, MORE, 0x80, PING, 0x8A, 0x88, 0xC2, 0x83])
        size = dice.choice([0, 1, 5, 125] if kind & 0x08 else [0, 1, 40, 125, 126, 300, 1_999, 2_000, 2_001])
        # A text is one: before the application listens the library looks.
        payload = {TEXT: b"a" * size, 0x88: b"\x03\xe8"}.get(kind, dice.randbytes(size))
        frame = masked(kind, payload)
        found.append(frame if dice.random() > 0.03 else bytes([frame[0], frame[1] & 0x7F]) + frame[2:])
    return found


def test_frames_cut_out_here_are_those_that_the_library_reads() -> None:
    """However the socket gives them: the messages, the answers and the end are those of the library, frame by frame."""

    async def compare() -> set[bool]:
        ends = set()
        for seed in range(200):
            dice = random.Random(seed)
            frames = some_frames(dice)
            data = b"".join(frames)
            cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice([0, 0, 1, 3, 40])))
            pieces = [data[a:b] for a, b in pairwise([0, *cuts, len(data)]) if a < b]
            ours, theirs = await told(pieces, is_cut=True), await told(frames, is_cut=False)
            assert ours == theirs, seed
            assert ours[2] or ours == await told(pieces, is_cut=True, early=1), seed
            ends.add(ours[2])
        return ends

    assert asyncio.run(compare()) == {True, False}


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_the_bytes_of_a_message(size: int) -> None:
    message = os.urandom(size)
    raw = Raw.__new__(Raw)
    raw._left = framed(message)
    assert raw._first() == (BINARY, message)
    assert raw._left == b""


LEAVES = """
import asyncio, gc, sys
from pathlib import Path
import uvicorn
from websockets.asyncio.client import connect
from eigenkring import wire
from eigenkring_server.app import create_app
from eigenkring_server.line import Line

async def main() -> None:
    app = create_app(Path(sys.argv[1]))
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws=Line, ws_per_message_deflate=False, log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = "ws://127.0.0.1:%d/v1/sync" % server.servers[0].sockets[0].getsockname()[1]

    async def come_and_go() -> None:
        async with connect(address, compression=None, proxy=None) as socket:
            await socket.send(wire.encode(wire.Request(1, [wire.Follow(bytes(16), bytes(32))])))
            await socket.recv()

    await come_and_go()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range(20):
        await come_and_go()
    await asyncio.sleep(0.2)
    gc.collect()
    ours = [each for each in gc.garbage if type(each).__module__.startswith(("eigenkring_server", "websockets.server"))]
    print(*sorted({type(each).__name__ for each in ours}))
    server.should_exit = True
    await running

asyncio.run(main())
"""


def test_a_connection_that_ended_keeps_nothing_of_ours_alive(tmp_path: Path) -> None:
    """Only then may the interpreter look for cycles so seldom (pauses.py)."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"Line"}, "what it holds is let go of; the line itself waits for the collector"


def test_all_is_looked_through_when_as_many_ended_as_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(pauses, "_ENDED", 3)
    monkeypatch.setattr("gc.collect", lambda: looked.append(1))
    ended = pauses.Ended()
    for still_open in (0, 0, 0, 5, 5, 5, 5, 5):
        ended.add(still_open)
    assert len(looked) == 2
