"""One edit to many followers, and what an idle follower costs the relay.

    python bench/relay_followers.py [FOLLOWERS ...]

Without numbers 250, 500, 1,000 and 10,000; what was measured before of other numbers stays.

A delay is counted from the moment the writer sends to the moment a follower's socket has the record, for every
follower of every edit. It is told in two pieces too: until the first follower has it (on the way, and the disk), and from the first
to the last (the relay writing to each). With few edits one slow sync of the disk is the slowest per cent of all.
Followers are opened by processes of their own, `PER_PROCESS` each, as an open file costs there too; `listener us` is what theirs
costs of the same cores.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import multiprocessing
import os
import resource
import select
import socket
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
NUMBERS = [250, 500, 1_000, 10_000]
# So many that one slow sync of the disk is not the slowest per cent.
EDITS = 120
FEWER_EDITS = 20
RECORD_BYTES = 400
STREAM, CAP = b"s" * 16, b"c" * 32


class _Ear:
    """One follower, by hand: when each message reached its socket. A client of a library spends more on a message than the relay
    does, asyncio's streams still a third more, and a thousand of them share the cores with what is measured."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/sync HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._waiting = b""
        self.times: list[float] = []

    def shake(self) -> None:
        while b"\r\n\r\n" not in self._waiting:
            self._waiting += self.socket.recv(4_096)
        head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"no WebSocket: {head[:40]!r}")

    def hear(self) -> None:
        data = self.socket.recv(65_536)
        now = time.monotonic()
        if not data:
            raise RuntimeError("the relay hung up")
        data = self._waiting + data if self._waiting else data
        while len(data) >= 2:
            size, start = data[1], 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(data[2:start], "big")
            end = start + size
            if len(data) < end:
                break
            kind = data[0] & 0x0F
            if kind == 2:
                self.times.append(now)
            elif kind == 9:
                self._send(0x8A, data[start:end])
            data = data[end:]
        self._waiting = data

    def say(self, message: bytes) -> None:
        self._send(0x82, message)

    def _send(self, kind: int, message: bytes) -> None:
        # Masked with zeros: the bytes as they are.
        size = len(message)
        head = bytes([kind, 0x80 | size]) if size < 126 else bytes([kind, 0xFE]) + size.to_bytes(2, "big")
        self.socket.sendall(head + bytes(4) + message)


def hear_all(ears: list[_Ear], many: int) -> None:
    """Until each has heard ``many`` messages."""
    of = {ear.socket.fileno(): ear for ear in ears}
    missing = sum(len(ear.times) < many for ear in ears)
    with select.epoll() as ready:
        for number in of:
            ready.register(number, select.EPOLLIN)
        while missing:
            for number, _ in ready.poll():
                ear = of[number]
                before = len(ear.times)
                ear.hear()
                missing -= before < many <= len(ear.times)


def listen(url: str, followers: int, edits: int, pipe: Connection) -> None:
    ask = wire.encode(wire.Request(1, [wire.Follow(STREAM, CAP)]))
    host, _, port = url.removeprefix("ws://").partition("/")[0].partition(":")
    ears: list[_Ear] = []
    for first in range(0, followers, 50):
        some = [_Ear(host, int(port)) for _ in range(min(50, followers - first))]
        for ear in some:
            ear.shake()
            ear.say(ask)
        ears += some
        # The relay pings who is long here.
        hear_all(ears, 1)
    # The answer to `follow` is no edit.
    for ear in ears:
        ear.times.clear()
    gc.freeze()
    pipe.send("ready")
    cpu = time.process_time()
    hear_all(ears, edits)
    pipe.send(([ear.times[:edits] for ear in ears], time.process_time() - cpu))
    # Until the one who measures says so, the connections stay.
    pipe.recv()
    for ear in ears:
        ear.socket.close()


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
    told = [pipe.recv() for pipe in pipes]
    arrived = [times for all_times, _ in told for times in all_times]
    listening = sum(seconds for _, seconds in told)
    cpu = server.cpu_seconds() - cpu
    for pipe, each in zip(pipes, crowd, strict=True):
        pipe.send("go")
        each.join()
    delays = [(times[at] - sent[at]) * 1e3 for times in arrived for at in range(edits)]
    found: dict[str, Any] = {"followers": followers, "idle KiB each": memory / followers}
    if edits:
        first = [(min(times[at] for times in arrived) - sent[at]) * 1e3 for at in range(edits)]
        spread = [(max(times[at] for times in arrived) - sent[at]) * 1e3 - first[at] for at in range(edits)]
        found |= {
            "edits": edits,
            "p50 ms": percentile(delays, 0.5),
            "p99 ms": percentile(delays, 0.99),
            "first has it, p50 ms": percentile(first, 0.5),
            "first has it, most ms": max(first),
            "first to last, p50 ms": percentile(spread, 0.5),
            "first to last, most ms": max(spread),
            "processor us for each": cpu / edits / followers * 1e6,
            "listener us": listening / edits / followers * 1e6,
        }
    return found


def measure(numbers: list[int]) -> list[dict[str, Any]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for followers in numbers:
            edits = EDITS if followers <= 1_000 else FEWER_EDITS
            with relay(Path(folder) / str(followers), ("connections=20000",)) as server:
                found.append(follow(server, followers, edits))
    return found


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = (results.read("relay_followers") or {"runs": []})["runs"]
    runs = {run["followers"]: run for run in [*before, *measure([int(each) for each in sys.argv[1:]] or NUMBERS)]}
    results.keep("relay_followers", {"runs": [runs[followers] for followers in sorted(runs)]})
