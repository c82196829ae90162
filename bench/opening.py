"""What ten thousand edits by eleven people cost, ours and the peers on the same trace: the daily opening, a newcomer's first
one, and the bytes that stay.

    python bench/opening.py [EDITS [PEER ...]]

`eigenkring-python` is the public library with a home on disk, in this file; the others are led by `bench/peers/opening.mjs`,
which says what is timed. Everybody writes forty edits in turn, an edit is an agreement of six words, servers are as they come.
A peer that does not end within its time is told as such; what was measured before stays in `results/opening.json`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import results
from process import relay

from eigenkring.case import Case
from eigenkring.crdt import Engine
from eigenkring.library import Device

EDITS = 10_000
PEOPLE = 11
TURN = 40
TIMES = 3
MOST_SECONDS = 900
# A snapshot comes by itself, some hundred records sooner or later.
TURNS_UNTIL_A_SNAPSHOT = 150
HERE = Path(__file__).resolve().parent
WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat".split()
PYTHON = "eigenkring-python"
WHO = ("eigenkring", PYTHON, "cojson", "automerge-repo")


def text(at: int) -> str:
    return " ".join(WORDS[(at * 7 + nth * 5) % len(WORDS)] for nth in range(6))


class Timed:
    """Milliseconds of the clock and of this process."""

    def __enter__(self) -> Timed:
        self._clock, self._process = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.ms = (time.perf_counter() - self._clock) * 1000
        self.cpu_ms = (time.process_time() - self._process) * 1000


def timed(what: Callable[[], object]) -> Timed:
    with Timed() as took:
        what()
    return took


# Each in a program of its own: only what the library needs is there, and nothing was done before.


def daily(home: str, which: str, expected: int, saved: Path) -> dict[str, float]:
    def opened() -> None:
        with Device.open(home, offline=True) as device:
            _check(device.case(which), expected)

    took = timed(opened)
    document = saved.read_bytes()
    loads = [timed(lambda: Engine.load(document, bytes(24))) for _ in range(TIMES)]
    return {
        "daily_ms": took.ms,
        "daily_cpu_ms": took.cpu_ms,
        "load_ms": min(each.ms for each in loads),
        "load_cpu_ms": min(each.cpu_ms for each in loads),
    }


def newcomer(home: str, link: str, expected: int) -> dict[str, float]:
    with Device.open(home) as device:
        case = device.join(link, "x")
        print("knocked", flush=True)
        sys.stdin.readline()

        def arrive() -> None:
            device.sync()
            _check(device.case(case), expected)

        took = timed(arrive)
        return {"newcomer_ms": took.ms, "newcomer_cpu_ms": took.cpu_ms}


def _check(case: Case, expected: int) -> None:
    there = len(case.show("plan")["agreements"])
    if there != expected:
        raise RuntimeError(f"{there} of {expected} agreements")


def _alone(*arguments: object, let_in: Callable[[], object] | None = None) -> dict[str, float]:
    command = [sys.executable, __file__, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        if let_in is not None:
            child.stdout.readline()
            let_in()
            print(file=child.stdin, flush=True)
        found: dict[str, float] = json.loads(child.stdout.readlines()[-1])
    return found


def household(folder: Path, edits: int) -> dict[str, Any]:
    with relay(folder / "served") as server:
        devices = [Device.open(folder / f"home{at}") for at in range(PEOPLE)]
        nora = devices[0].start("Plan", server.url, "Nora")
        which = nora.id.hex()
        for device in devices[1:]:
            device.join(nora.invite("member", "x"), "x")
            nora.sync()
            device.sync()
        nora.sync()
        began = time.perf_counter()
        for at in range(edits):
            device = devices[at // TURN % PEOPLE]
            if at % TURN == 0:
                device.sync()
            device.case(which).add("plan", "agreements", {"what": text(at)})
            if at % TURN == TURN - 1 or at == edits - 1:
                device.sync()
        nora.sync()
        wrote_s = time.perf_counter() - began
        print(f"{PYTHON}: written in {wrote_s:.0f} s", file=sys.stderr, flush=True)
        case = devices[0].case(which)
        stream = case.session.part("plan").part.stream
        position = case.session.position(stream)
        records, tail = position.length, _bytes_of(case, stream)
        more = 0
        while case.session.position(stream).base == 0 and more < TURNS_UNTIL_A_SNAPSHOT:
            case.add("plan", "agreements", {"what": text(more)})
            case.sync()
            more += 1
        case.sync()
        expected = edits + more
        engine = case.session.part("plan").engine
        assert isinstance(engine, Engine)
        saved = folder / "saved"
        saved.write_bytes(engine.save())
        facts = {
            "records": records,
            "tail_bytes": tail,
            "stream_bytes": _bytes_of(case, stream),
            "edits": expected,
            "save_bytes": saved.stat().st_size,
        }
        case.sync()
        newcomers = []
        for at in range(TIMES):
            link = case.invite("member", "x")
            case.sync()
            newcomers.append(_alone("--newcomer", folder / f"new{at}", link, expected, let_in=case.sync))
        for device in devices:
            device.close()
        days = [_alone("--daily", folder / "home0", which, expected, saved) for _ in range(TIMES)]
    return {
        "peer": PYTHON,
        "wrote_s": wrote_s,
        **facts,
        **{key: min(day[key] for day in days) for key in days[0]},
        **{key: median(each[key] for each in newcomers) for key in newcomers[0]},
        "stored_bytes": sum(file.stat().st_size for file in (folder / "served").rglob("*") if file.suffix != ".log" and file.is_file()),
    }  # fmt: skip


def _bytes_of(case: Case, stream: bytes) -> int:
    base = case.session.position(stream).base
    return sum(len(placed.record) for placed in case.session.store.records(case.id, stream, base))


def peer(name: str, edits: int) -> dict[str, Any] | None:
    """None when it did not end in its time."""
    command = [sys.executable, __file__, "--household", str(edits)]
    if name != PYTHON:
        command = ["node", "opening.mjs", name, str(edits)]
    with subprocess.Popen(command, cwd=HERE / "peers", stdout=subprocess.PIPE, text=True) as child:
        try:
            told, _ = child.communicate(timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)
            child.communicate()
            return None
    lines = [line for line in told.splitlines() if line.startswith("{")]
    if child.returncode or not lines:
        raise RuntimeError(f"{name} failed")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def main(edits: int, names: list[str]) -> None:
    kept = results.read("opening") or {"rows": []}
    rows = {row["peer"]: row for row in kept["rows"]}
    for name in names or WHO:
        found = peer(name, edits)
        if found is None:
            print(f"{name}: no end after {MOST_SECONDS} s", flush=True)
        rows[name] = found or {"peer": name, "edits": edits, "no_end_after_s": MOST_SECONDS}
        results.keep("opening", {"rows": [rows[name] for name in WHO if name in rows]})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--daily", home, which, expected, saved]:
            print(json.dumps(daily(home, which, int(expected), Path(saved))))
        case ["--newcomer", home, link, expected]:
            print(json.dumps(newcomer(home, link, int(expected))))
        case ["--household", edits]:
            # Told to end, it ends its relay too.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(household(Path(folder), int(edits))))
        case arguments:
            main(int(arguments[0]) if arguments else EDITS, arguments[1:])
