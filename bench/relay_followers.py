"""One edit to many followers, and what an idle follower costs the relay.

    python bench/relay_followers.py [MOST_IDLE]

A delay is counted from the moment the writer sends to the moment a follower's socket has the record, for every
follower of every edit. Followers are opened by processes of their own, `PER_PROCESS` each, as an open file costs there too.
"""

from __future__ import annotations

import asyncio
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
from websockets.asyncio.client import ClientConnection, connect

from eigenkring import wire

PER_PROCESS = 5_000
EDITS = 40
RECORD_BYTES = 400
STREAM, CAP = b"s" * 16, b"c" * 32


async def _connected(url: str) -> ClientConnection:
    return await connect(url, compression=None, max_size=None, ping_interval=None, open_timeout=60)


async def _listen(url: str, followers: int, edits: int, pipe: Connection) -> None:
    ask = wire.encode(wire.Request(1, [wire.Follow(STREAM, CAP)]))
    sockets: list[ClientConnection] = []
    for first in range(0, followers, 50):
        sockets += await asyncio.gather(*(_connected(url) for _ in range(min(50, followers - first))))
    for socket in sockets:
        await socket.send(ask)
    for socket in sockets:
        await socket.recv()
    pipe.send("ready")
    arrived: list[list[float]] = []

    async def hear(socket: ClientConnection) -> None:
        times = []
        for _ in range(edits):
            await socket.recv()
            times.append(time.monotonic())
        arrived.append(times)

    await asyncio.gather(*(hear(socket) for socket in sockets))
    pipe.send(arrived)
    # Until the one who measures says so, the connections stay.
    await asyncio.to_thread(pipe.recv)
    await asyncio.gather(*(socket.close() for socket in sockets))


def listen(url: str, followers: int, edits: int, pipe: Connection) -> None:
    asyncio.run(_listen(url, followers, edits, pipe))


async def write(url: str, edits: int) -> list[float]:
    sent = []
    async with await _connected(url) as socket:
        for at in range(edits):
            frame = wire.encode(wire.Request(at, [wire.Append(STREAM, CAP, os.urandom(RECORD_BYTES))]))
            sent.append(time.monotonic())
            await socket.send(frame)
            await socket.recv()
            await asyncio.sleep(0.1)
    return sent


async def begin(url: str) -> None:
    digest = hashlib.sha256(CAP).digest()
    async with await _connected(url) as socket:
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
