"""Forty streams of one case in one round trip, beside the same bytes read raw from SQLite over the same HTTP server.

    python bench/catching_up.py [ROUNDS]

Ours: one `/v1/exchange` with forty reads, each checked for its capability, packed, and decoded by the device's own
`wire`. Raw: `SELECT data` of the same bytes, joined, sent, and not looked at.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import results
from process import bare_echo, relay, spread
from websockets.sync.client import connect

from eigenkring import wire
from eigenkring.transport import HttpTransport

STREAMS = 40
RECORDS = 100
RECORD_BYTES = 488
TIMES = 20


def fill_relay(url: str) -> list[wire.Operation]:
    """The reads that catch a device up."""
    transport = HttpTransport(url)
    reads: list[wire.Operation] = []
    for _ in range(STREAMS):
        stream, cap = os.urandom(16), os.urandom(32)
        digest = hashlib.sha256(cap).digest()
        records: list[wire.Operation] = [wire.Append(stream, cap, os.urandom(RECORD_BYTES)) for _ in range(RECORDS)]
        transport.exchange([wire.Open(stream, digest, digest, digest), *records])
        reads.append(wire.Read(stream, cap))
    transport.close()
    return reads


def best(times: int, what: Callable[[], object]) -> float:
    """The least milliseconds: what it costs while nothing else has the processor."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        took.append((time.perf_counter() - began) * 1e3)
    return min(took)


def measure(rounds: int) -> dict[str, Any]:
    ours, raw, sizes = [], [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with relay(folder / "relay") as server, bare_echo(folder / "echo") as echo:
            reads = fill_relay(server.url)
            with connect(f"ws{echo.url.removeprefix('http')}/v1/sync") as socket:
                for _ in range(STREAMS * RECORDS):
                    socket.send(os.urandom(RECORD_BYTES))
                    socket.recv()
            transport = HttpTransport(server.url)
            client = httpx.Client(trust_env=False)

            def catch_up() -> None:
                nonlocal sizes
                reply = transport.exchange(reads)
                batches = [each for each in reply.results if isinstance(each, wire.Batch) and not each.more]
                sizes = sum(len(record) for batch in batches for record in batch.records)
                if len(batches) != STREAMS or sizes != STREAMS * RECORDS * RECORD_BYTES:
                    raise RuntimeError("not everything came in one round trip")

            def read_raw() -> None:
                if len(client.get(f"{echo.url}/rows").content) != STREAMS * RECORDS * RECORD_BYTES:
                    raise RuntimeError("not everything came")

            for _ in range(rounds):
                ours.append(best(TIMES, catch_up))
                raw.append(best(TIMES, read_raw))
    return {
        "streams": STREAMS,
        "bytes": sizes,
        "round trips": 1,
        "ours ms": spread(ours),
        "raw ms": spread(raw),
        "ratio": spread([ours[at] / raw[at] for at in range(rounds)]),
    }


if __name__ == "__main__":
    results.keep("catching_up", measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
