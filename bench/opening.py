"""What ten thousand edits by eleven people cost, ours and the peers on the same trace: the daily opening, a newcomer's first
one, and the bytes that stay.

    python bench/opening.py [EDITS [PEER ...]]

Everybody writes forty edits in turn, an edit is an agreement of six words, servers are as they come. Ours are written once, by
devices of the Python library with a home on disk, and opened by both: `eigenkring-python`, in this file, and `eigenkring`, the
engine of the app in Node (`bench/peers/opening-eigenkring.mjs`). The peers are led by `bench/peers/opening.mjs`, which says what
is timed. The daily opening is told twice, of everybody alike: until all words were read, and until an own word was written and
is kept. A peer that does not end within its time is told as such; what was measured before stays in `results/opening.json`.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import results
from process import relay

from eigenkring.case import Case
from eigenkring.crdt import Engine
from eigenkring.ids import StreamId
from eigenkring.library import Device

_Made = TypeVar("_Made")

EDITS = 10_000
PEOPLE = 11
TURN = 40
TIMES = 3
MOST_SECONDS = 1_500
# A snapshot comes by itself when as many bytes came as the last one has.
TURNS_UNTIL_A_SNAPSHOT = 100
HERE = Path(__file__).resolve().parent
WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat".split()
PYTHON = "eigenkring-python"
NODE = "eigenkring"
OURS = (NODE, PYTHON)
# The same as ours is: something two people can write in together.
TEXTS = "cojson, agreements as texts"
WHO = (*OURS, "cojson", TEXTS, "automerge-repo")
# What is called otherwise in `peers/`.
MODULES = {TEXTS: "cojson-texts"}
ALONE = (sys.executable, Path(__file__).resolve())


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


def timed(what: Callable[[], _Made]) -> tuple[Timed, _Made]:
    with Timed() as took:
        made = what()
    return took, made


# Each in a program of its own: only what the library needs is there, and nothing was done before.


def daily(home: str, which: str, expected: int, saved: Path) -> dict[str, float]:
    with ExitStack() as until:

        def read() -> Case:
            case = until.enter_context(Device.open(home, offline=True)).case(which)
            _check(case, expected)
            return case

        words, case = timed(read)
        # Whatever was put off until somebody writes is in it, and the word is on the disk.
        wrote, _ = timed(lambda: case.add("plan", "agreements", {"what": "een woord"}))
    document = saved.read_bytes()
    loads = [timed(lambda: Engine.load(document, bytes(24)))[0] for _ in range(TIMES)]
    return {
        "words_ms": words.ms,
        "words_cpu_ms": words.cpu_ms,
        "write_ms": words.ms + wrote.ms,
        "write_cpu_ms": words.cpu_ms + wrote.cpu_ms,
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

        took, _ = timed(arrive)
        return {"newcomer_ms": took.ms, "newcomer_cpu_ms": took.cpu_ms}


def _check(case: Case, expected: int) -> None:
    there = len(case.show("plan")["agreements"])
    if there != expected:
        raise RuntimeError(f"{there} of {expected} agreements")


def _program(command: list[object], let_in: Callable[[], object] | None = None) -> dict[str, float]:
    """A program of its own; one that knocks says so, and goes on when it was let in."""
    words = [str(each) for each in command]
    with subprocess.Popen(words, cwd=HERE / "peers", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        if let_in is not None:
            child.stdout.readline()
            let_in()
            print(file=child.stdin, flush=True)
        found: dict[str, float] = json.loads(child.stdout.readlines()[-1])
    return found


def household(folder: Path, edits: int) -> Iterator[dict[str, Any]]:
    """The rows of both our clients, each again whenever more of it is known: what comes later may take too long."""
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
        # On in turns until one was just made: what lies after it is another matter, and up to as much again.
        for turn in range(TURNS_UNTIL_A_SNAPSHOT):
            if case.session.position(stream).base == case.session.position(stream).length - 1:
                break
            device = devices[turn % PEOPLE]
            device.sync()
            for at in range(TURN):
                device.case(which).add("plan", "agreements", {"what": text(more + at)})
            more += TURN
            device.sync()
            nora.sync()
        case.sync()
        stored = _stored(folder / "served" / "relay", folder / "looked.sqlite")
        expected = edits + more
        engine = case.session.part("plan").engine
        assert isinstance(engine, Engine)
        saved = folder / "saved"
        saved.write_bytes(engine.save())
        facts = {
            "edits": expected,
            "wrote_s": wrote_s,
            "records": records,
            "tail_bytes": tail,
            "stream_bytes": _bytes_of(case, stream),
            "save_bytes": saved.stat().st_size,
            "stored_bytes": stored,
        }
        case.sync()
        devices[0].close()
        # Each on a home of its own: what is written in one is not there in the next.
        runs: dict[str, list[dict[str, float]]] = {NODE: [], PYTHON: []}
        for at in range(TIMES):
            home = shutil.copytree(folder / "home0", folder / f"day{at}")
            runs[PYTHON].append(_program([*ALONE, "--daily", home, which, expected, saved]))
        yield {"peer": PYTHON, **facts, **_figures(runs[PYTHON])}
        with Device.open(folder / "home0") as again:
            for name in newcomers(again.case(which), folder, expected, runs):
                yield {"peer": name, **facts, **_figures(runs[name])}
        for device in devices[1:]:
            device.close()


def newcomers(case: Case, folder: Path, expected: int, runs: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    """Three of each client are invited and open the case; those in Node open it again too. Gives whose figures came."""
    for at in range(TIMES):
        for name, each in runs.items():
            link = case.invite("member", "x")
            case.sync()
            by = ["node", "opening-eigenkring.mjs"] if name == NODE else [*ALONE, "--newcomer", folder / f"new{at}"]
            each.append(_program([*by, link, expected], case.sync))
            yield name


def _figures(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of a first opening the median, of what is done again and again the least."""
    found: dict[str, float] = {}
    for key in dict.fromkeys(key for run in runs for key in run):
        figures = [run[key] for run in runs if key in run]
        found[key] = median(figures) if key.startswith("newcomer") else min(figures)
    return found


def _stored(running: Path, copy: Path) -> int:
    """What the file of a relay comes to with what waits in its log, without the pages that it gives back bit by bit."""
    with closing(sqlite3.connect(running / "relay.sqlite")) as db, closing(sqlite3.connect(copy)) as found:
        db.backup(found)
        (pages,), (free,), (size,) = (
            found.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _bytes_of(case: Case, stream: StreamId) -> int:
    base = case.session.position(stream).base
    return sum(len(placed.record) for placed in case.session.store.records(case.id, stream, base))


def rows_of(name: str, edits: int) -> tuple[dict[str, dict[str, Any]], str]:
    """What it told by peer, the last word of each; and why there is no more, where it did not end well or in its time."""
    command = (
        [*ALONE, "--household", edits] if name in OURS else ["node", "opening.mjs", MODULES.get(name, name), edits]
    )
    words = [str(each) for each in command]
    why = ""
    with subprocess.Popen(words, cwd=HERE / "peers", stdout=subprocess.PIPE, text=True) as child:
        try:
            told, _ = child.communicate(timeout=MOST_SECONDS)
            why = "failed" if child.returncode else ""
        except subprocess.TimeoutExpired:
            # Told to end, each ends its server too. What it said before counts.
            child.terminate()
            told, _ = child.communicate()
            why = f"no end after {MOST_SECONDS} s"
    found = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return {row["peer"]: row for row in (each if name in OURS else each | {"peer": name} for each in found)}, why


def main(edits: int, names: list[str]) -> None:
    rows = {row["peer"]: row for row in (results.read("opening") or {"rows": []})["rows"]}
    failed = []
    for name in names or WHO:
        if name == NODE and PYTHON in (names or WHO):
            continue  # measured with it
        found, why = rows_of(name, edits)
        if why:
            print(f"{name}: {why}", flush=True)
        if why == "failed":
            failed.append(name)
        elif why:
            for each in OURS if name in OURS else [name]:
                found.setdefault(each, {"peer": each, "edits": edits, "no_end_after_s": MOST_SECONDS})
        rows |= found
        results.keep("opening", {"rows": [rows[name] for name in WHO if name in rows]})
    if failed:
        raise SystemExit(f"{', '.join(failed)} failed")


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
                for row in household(Path(folder), int(edits)):
                    print(json.dumps(row), flush=True)
        case arguments:
            main(int(arguments[0]) if arguments else EDITS, arguments[1:])
