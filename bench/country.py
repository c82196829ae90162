"""The morning after an outage: every case of a country catches up with one SQLite relay, over short connections.

    python bench/country.py [CASES] [DEVICES]

12,000 cases of eleven devices. Each case has four streams of a few records. The relay is killed and started again. Half of all
cases have something new to send. Every device comes once, in a random order, `AT_ONCE` at a time, each over a connection of its
own: it reads its case in one exchange, must find all that was acknowledged, appends what it has, and is gone. Told: disk, memory,
how long until the last was caught up, how long one waited, how the last tenth fared beside the first, and how busy the machine was.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import results
from process import Process, percentile, relay

from eigenkring import wire
from eigenkring.errors import EigenkringError

CASES = 12_000
DEVICES = 132_000
STREAMS = 4
RECORDS = 3
RECORD_BYTES = 488
AT_ONCE = 64


def stream_of(case: int, at: int) -> bytes:
    return hashlib.sha256(f"stream {case} {at}".encode()).digest()[:16]


def cap_of(case: int) -> bytes:
    return hashlib.sha256(f"cap {case}".encode()).digest()


class Visit:
    """One short connection. By hand, because a client of a library costs more to make than the relay spends on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, server: Process) -> Visit:
        host, _, port = server.url.removeprefix("http://").partition(":")
        return cls(*await asyncio.open_connection(host, int(port), limit=wire.MAX_FRAME_BYTES))

    async def exchange(self, ops: list[wire.Operation]) -> wire.Reply:
        request = wire.Request(1, ops)
        body = wire.encode(request)
        head = f"POST /v1/exchange HTTP/1.1\r\nHost: relay\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        reply = wire.decode_reply(await self._reader.readexactly(size), request)
        for each in reply.results:
            if isinstance(each, wire.Failed):
                raise RuntimeError(each.code)
        return reply

    def end(self) -> None:
        self._writer.close()


async def fill(server: Process, cases: int, chance: random.Random) -> None:
    todo = iter(range(cases))

    async def some() -> None:
        visit = await Visit.begin(server)
        for case in todo:
            digest = hashlib.sha256(cap_of(case)).digest()
            ops: list[wire.Operation] = []
            for at in range(STREAMS):
                stream = stream_of(case, at)
                ops.append(wire.Open(stream, digest, digest, digest))
                ops += [wire.Append(stream, cap_of(case), chance.randbytes(RECORD_BYTES)) for _ in range(RECORDS)]
            await visit.exchange(ops)
        visit.end()

    await asyncio.gather(*(some() for _ in range(16)))


async def morning(server: Process, cases: int, devices: int, chance: random.Random) -> dict[str, Any]:
    order = [device % cases for device in range(devices)]
    chance.shuffle(order)
    todo = iter(enumerate(order))
    waited: list[tuple[int, float]] = []
    failed: list[str] = []
    # Records acknowledged to the devices of a case this morning: who comes after must find as many.
    came = [0] * cases
    most_kib = 0

    async def visit_once(case: int, ops: list[wire.Operation]) -> None:
        visit = await Visit.begin(server)
        acknowledged = came[case]
        reply = await visit.exchange(ops)
        for at, each in enumerate(reply.results):
            if not isinstance(each, wire.Batch) or each.more:
                raise RuntimeError("not caught up in one round trip")
            if len(each.records) < RECORDS + (acknowledged if at == 0 else 0):
                raise RuntimeError("something acknowledged is not there")
        if case % 2:
            append = wire.Append(stream_of(case, 0), cap_of(case), chance.randbytes(RECORD_BYTES))
            await visit.exchange([append])
            came[case] += 1
        visit.end()

    async def come() -> None:
        nonlocal most_kib
        for at, case in todo:
            ops: list[wire.Operation] = [wire.Read(stream_of(case, each), cap_of(case)) for each in range(STREAMS)]
            began = time.perf_counter()
            try:
                await visit_once(case, ops)
            except (EigenkringError, RuntimeError, OSError, asyncio.IncompleteReadError) as error:
                failed.append(type(error).__name__)
                continue
            waited.append((at, (time.perf_counter() - began) * 1e3))
            if at % 1_000 == 0:
                most_kib = max(most_kib, server.memory_kib())

    cpu = server.cpu_seconds()
    began, own = time.perf_counter(), time.process_time()
    await asyncio.gather(*(come() for _ in range(AT_ONCE)))
    took = time.perf_counter() - began
    cpu = server.cpu_seconds() - cpu
    tenth = max(1, len(waited) // 10)
    waited.sort()
    first = [ms for _, ms in waited[:tenth]]
    last = [ms for _, ms in waited[-tenth:]]
    return {
        "devices": len(waited),
        "errors": len(failed),
        "seconds": took,
        "devices a second": devices / took,
        "relay processor ms a device": cpu / devices * 1e3,
        "all clients' processor ms a device": (time.process_time() - own) / devices * 1e3,
        "relay MiB": most_kib / 1024,
        "p50 ms": percentile([ms for _, ms in waited], 0.5),
        "p99 ms": percentile([ms for _, ms in waited], 0.99),
        "p99 ms, first tenth": percentile(first, 0.99),
        "p99 ms, last tenth": percentile(last, 0.99),
    }


def measure(cases: int, devices: int) -> dict[str, Any]:
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        with relay(Path(folder), ("connections=20000",)) as server:
            began = time.perf_counter()
            asyncio.run(fill(server, cases, chance))
            filled = time.perf_counter() - began
            os.kill(server.pid, signal.SIGKILL)
        began, load = time.perf_counter(), [os.getloadavg()[0]]
        with relay(Path(folder), ("connections=20000",)) as server:
            started = time.perf_counter() - began
            found = asyncio.run(morning(server, cases, devices, chance))
        load.append(os.getloadavg()[0])
        disk = sum(path.stat().st_size for path in (Path(folder) / "relay").rglob("*") if path.is_file())
    return {
        "cases": cases,
        "streams": cases * STREAMS,
        "seconds to fill": filled,
        "seconds until it listens again after SIGKILL": started,
        "disk MiB": disk / 1_048_576,
        **found,
        "load of the machine before": load[0],
        "load of the machine after": load[1],
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else CASES
    results.keep("country", measure(cases, int(sys.argv[2]) if len(sys.argv) > 2 else DEVICES))
