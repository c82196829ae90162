"""Durable appends a second, 64 writers: the relay beside a bare echo that commits the same bytes as raw rows.

    python bench/relay_appends.py [SECONDS] [ROUNDS]

Each writer has a connection and a stream of its own and keeps `IN_FLIGHT` records on the way. The two servers run in
turn, never at once. Beside the rate stands the processor time of the server alone, which the load's own work in the
other process does not change.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import results
from process import Process, bare_echo, relay, spread
from websockets.asyncio.client import connect

from eigenkring import wire

WRITERS = 64
IN_FLIGHT = 4
RECORD_BYTES = 400


def opened(stream: bytes, cap: bytes) -> bytes:
    digest = hashlib.sha256(cap).digest()
    return wire.encode(wire.Request(0, [wire.Open(stream, digest, digest, digest)]))


async def write(server: Process, is_ours: bool, until: float, written: list[int]) -> None:
    stream, cap = os.urandom(16), os.urandom(32)
    async with connect(server.sync_url, compression=None, max_size=None) as socket:
        if is_ours:
            await socket.send(opened(stream, cap))
            await socket.recv()
        count = on_the_way = 0
        while True:
            while on_the_way < IN_FLIGHT and time.perf_counter() < until:
                count += 1
                on_the_way += 1
                record = os.urandom(RECORD_BYTES)
                # The bare echo gets a message of the same length.
                frame = wire.encode(wire.Request(count, [wire.Append(stream, cap, record)]))
                await socket.send(frame)
            if not on_the_way:
                break
            answer = await socket.recv()
            on_the_way -= 1
            if is_ours and b"code" in answer:  # type: ignore[operator]
                raise RuntimeError(f"refused: {answer!r}")
    written.append(count)


async def load(server: Process, is_ours: bool, seconds: float) -> tuple[float, float]:
    """(appends a second, processor microseconds of the server for each)."""
    written: list[int] = []
    cpu = server.cpu_seconds()
    began = time.perf_counter()
    await asyncio.gather(*(write(server, is_ours, began + seconds, written) for _ in range(WRITERS)))
    took = time.perf_counter() - began
    return sum(written) / took, (server.cpu_seconds() - cpu) / sum(written) * 1e6


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for is_ours, figures in ((True, ours), (False, bare)):
                start = relay if is_ours else bare_echo
                with start(Path(folder) / f"{turn}-{is_ours}") as server:
                    figures.append(asyncio.run(load(server, is_ours, seconds)))
    return {
        "relay appends a second": spread([rate for rate, _ in ours]),
        "bare echo a second": spread([rate for rate, _ in bare]),
        "ratio": spread([ours[at][0] / bare[at][0] for at in range(rounds)]),
        "relay processor us": spread([cpu for _, cpu in ours]),
        "bare processor us": spread([cpu for _, cpu in bare]),
        "processor ratio": spread([bare[at][1] / ours[at][1] for at in range(rounds)]),
    }


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
        rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
        results.keep("relay_appends", measure(seconds, rounds))
