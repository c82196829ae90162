"""One edit to many followers, and what an idle follower costs the relay.

    python bench/relay_followers.py [MOST_IDLE]

A delay is counted from the moment the writer sends to the moment a follower's socket has the record, for every
follower of every edit. Followers are opened by processes of their own, `PER_PROCESS` each, as an open file costs there too.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import results
from process import Process, percentile, relay
from websockets.asyncio.client import connect

from eigenkring import wire

PER_PROCESS = 5_000
EDITS = 40
RECORD_BYTES = 400
STREAM, CAP = b"s" * 16, b"c" * 32


class _Ear(asyncio.Protocol):
    """One follower, by hand: when each message reached its socket. A client of a library spends more on a message than the relay
    does, and a thousand of them in one process would be what is measured."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._waiting = b""
        self._open = False
        self.times: list[float] = []
        self.came = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/sync HTTP/1.1\r\nHost: {self._address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._waiting += data
        if not self._open:
            head, there, self._waiting = self._waiting.partition(b"\r\n\r\n")
            if not there:
                self._waiting = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"no WebSocket: {head[:40]!r}")
            self._open = True
            self.came.set()
        while len(self._waiting) >= 2:
            size, start = self._waiting[1], 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self._waiting[2:start], "big")
            if len(self._waiting) < start + size:
                return
            kind, self._waiting = self._waiting[0] & 0x0F, self._waiting[start + size :]
            if kind == 2:
                self.times.append(now)
                self.came.set()

    def say(self, message: bytes) -> None:
        # Masked with zeros: the bytes as they are.
        size = len(message)
        assert 126 <= size < 65_536 or size < 126
        head = bytes([0x82, 0x80 | size]) if size < 126 else bytes([0x82, 0xFE]) + size.to_bytes(2, "big")
        self._transport.write(head + bytes(4) + message)

    async def heard(self, many: int) -> None:
        while len(self.times) < many:
            self.came.clear()
            await self.came.wait()

    def close(self) -> None:
        self._transport.close()


async def _listen(url: str, followers: int, edits: int, pipe: Connection) -> None:
    ask = wire.encode(wire.Request(1, [wire.Follow(STREAM, CAP)]))
    address = url.removeprefix("ws://").partition("/")[0]
    host, _, port = address.partition(":")
    loop = asyncio.get_running_loop()
    ears: list[_Ear] = []
    for first in range(0, followers, 50):
        made = await asyncio.gather(
            *(loop.create_connection(lambda: _Ear(address), host, int(port)) for _ in range(min(50, followers - first)))
        )
        some = [ear for _, ear in made]
        for ear in some:
            await ear.came.wait()
            ear.say(ask)
        for ear in some:
            await ear.heard(1)
        ears += some
    # The answer to `follow` is no edit.
    for ear in ears:
        ear.times.clear()
    gc.freeze()
    pipe.send("ready")
    for ear in ears:
        await ear.heard(edits)
    pipe.send([ear.times[:edits] for ear in ears])
    # Until the one who measures says so, the connections stay.
    await asyncio.to_thread(pipe.recv)
    for ear in ears:
        ear.close()


def listen(url: str, followers: int, edits: int, pipe: Connection) -> None:
    asyncio.run(_listen(url, followers, edits, pipe))


async def write(url: str, edits: int) -> list[float]:
    sent = []
    async with connect(url, compression=None, max_size=None, ping_interval=None) as socket:
        for at in range(edits):
            frame = wire.encode(wire.Request(at, [wire.Append(STREAM, CAP, os.urandom(RECORD_BYTES))]))
            sent.append(time.monotonic())
            await socket.send(frame)
            await socket.recv()
            await asyncio.sleep(0.1)
    return sent


async def begin(url: str) -> None:
    digest = hashlib.sha256(CAP).digest()
    async with connect(url, compression=None, max_size=None, ping_interval=None) as socket:
        await socket.send(wire.encode(wire.Request(0, [wire.Open(STREAM, digest, digest, digest)])))
        await socket.recv()


def follow(server: Process, followers: int, edits: int) -> dict[str, Any]:
    asyncio.run(begin(server.sync_url))
    # So that the first connections do not pay for what every process needs once.
    before = server.memory_kib()
    context = multiprocessing.get_context("spawn")
    pipes, crowd = [], []
    for first in range(0, followers, PER_PROCESS):
        mine, theirs = context.Pipe()
        many = min(PER_PROCESS, followers - first)
        each = context.Process(target=listen, args=(server.sync_url, many, edits, theirs))
        each.start()
        pipes.append(mine)
        crowd.append(each)
        mine.recv()
    memory = server.memory_kib() - before
    cpu = server.cpu_seconds()
    sent = asyncio.run(write(server.sync_url, edits))
    arrived = [times for pipe in pipes for times in pipe.recv()]
    cpu = server.cpu_seconds() - cpu
    for pipe, each in zip(pipes, crowd, strict=True):
        pipe.send("go")
        each.join()
    delays = [(times[at] - sent[at]) * 1e3 for times in arrived for at in range(edits)]
    found: dict[str, Any] = {"followers": followers, "idle KiB each": memory / followers}
    if edits:
        found |= {
            "p50 ms": percentile(delays, 0.5),
            "p99 ms": percentile(delays, 0.99),
            "processor us for each": cpu / edits / followers * 1e6,
        }
    return found


def measure(most_idle: int) -> list[dict[str, Any]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for followers, edits in ((250, EDITS), (500, EDITS), (1_000, EDITS), (most_idle, 1)):
            with relay(Path(folder) / str(followers), ("connections=20000",)) as server:
                found.append(follow(server, followers, edits))
    return found


if __name__ == "__main__":
    most_idle = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results.keep("relay_followers", {"runs": measure(most_idle)})
