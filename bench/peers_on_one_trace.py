"""Ours and the peers on the same trace, in turn, several rounds; the medians and how far they lay apart.

    python bench/peers_on_one_trace.py [ROUNDS [TRACE ... | who=PEER ...]]

A trace is `live`, `burst`, `typing`, `agreements` or `evening`, or one of them with a number of edits (`burst:20000`) and a delay (`live:30:50`); without
one it is all of them. Every run is kept in `results/peers.json` as it ends, so that a run that is cut off loses nothing; what was
measured before of other traces stays there, unless it was measured otherwise.

What each peer does stands in `bench/peers/NAME.mjs`, the trace in `bench/peers/trace.mjs`. Every person, every server and every
trace is a process of its own; nothing else runs meanwhile. `eigenkring` is our TypeScript client in Node, `eigenkring-python` our Python
library; their relay is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import results

Row = dict[str, Any]
PEERS = Path(__file__).resolve().parent / "peers"
# What no document, key or signature costs: it has no trace but the live one.
BARE = "bare echo that commits"
# The same as ours is: something two people can write in together.
TEXTS = "cojson, agreements as texts"
# name in the table -> (module, environment)
WHO = {
    "eigenkring": ("eigenkring", {}),
    "eigenkring-python": ("eigenkring-python", {}),
    "cojson": ("cojson", {}),
    TEXTS: ("cojson-texts", {}),
    "automerge-repo": ("automerge-repo", {}),
    "automerge-repo, debounce 0": ("automerge-repo", {"DEBOUNCE": "0"}),
    "hocuspocus": ("hocuspocus", {}),
    BARE: ("bare-echo", {}),
}
# A peer that takes minutes for one round is measured on fewer edits, and the table says on how many.
TRACES = [
    ("live", 100, (0,), frozenset[str]()),
    # A wire that takes 50 or 150 ms each way: fewer edits say as much.
    ("live", 25, (50, 150), frozenset[str]()),
    ("burst", 1_000, (0,), frozenset({BARE})),
    ("burst", 5_000, (0,), frozenset({BARE, "automerge-repo", "automerge-repo, debounce 0"})),
    ("burst", 20_000, (0,), frozenset({BARE, TEXTS, "automerge-repo", "automerge-repo, debounce 0"})),
    ("typing", 100, (0,), frozenset({BARE, TEXTS})),
    ("agreements", 100, (0,), frozenset({BARE})),
    ("evening", 100, (0,), frozenset({BARE, TEXTS})),
]
MOST_SECONDS = 100
ONLY = "who="
# How it was measured; rows that say something else are of an older bench and are dropped.
HOW = "each person a program of its own"


def run(module: str, environment: dict[str, str], scenario: str, edits: int, delay_ms: int) -> Row | None:
    # What others do on this machine meanwhile, so that the table tells a busy one.
    load = os.getloadavg()[0]
    with subprocess.Popen(
        ["node", "trace.mjs", module, scenario, str(edits)],
        cwd=PEERS,
        env={**os.environ, **environment, "DELAY_MS": str(delay_ms), "EIGENKRING_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as trace:
        try:
            told, errors = trace.communicate(timeout=MOST_SECONDS)
            is_late = False
        except subprocess.TimeoutExpired:
            # Told to end, it ends its people and its server too.
            trace.terminate()
            told, errors = trace.communicate()
            is_late = True
    # What it said of itself until then; the relay's own lines begin with the time.
    errors = "\n".join([line for line in errors.splitlines() if not line.startswith('{"time"')][-20:])
    if is_late:
        print(errors, flush=True)
        return None
    lines = [line for line in told.splitlines() if line.startswith("{")]
    if trace.returncode or not lines:
        raise RuntimeError(f"{module} {scenario}: {errors}")
    found: Row = json.loads(lines[-1])
    return found | {"load": load}


def is_asked(wanted: list[str], scenario: str, edits: int, delay_ms: int) -> bool:
    names = (scenario, f"{scenario}:{edits}", f"{scenario}:{edits}:{delay_ms}")
    return not wanted or any(each in names for each in wanted)


def key_of(row: Row) -> tuple[Any, ...]:
    return row["peer"], row["scenario"], row["edits"], row["delay_ms"]


def measure(rounds: int, wanted: list[str], who: list[str]) -> Iterator[Row]:
    """The row of a peer, again whenever one more run of it is known."""
    for scenario, edits, delays, without in TRACES:
        for delay_ms in [each for each in delays if is_asked(wanted, scenario, edits, each)]:
            runs: dict[str, list[Row]] = {name: [] for name in who if name not in without}
            # In turn, so that a slow minute of the machine is everybody's.
            for _ in range(rounds):
                for name in list(runs):
                    row: Row = {"peer": name, "scenario": scenario, "edits": edits, "delay_ms": delay_ms, "how": HOW}
                    try:
                        one = run(*WHO[name], scenario, edits, delay_ms)
                    except RuntimeError as error:
                        # Its row stays as it was, and the others go on.
                        print(error, flush=True)
                        del runs[name]
                        continue
                    if one is None:
                        del runs[name]
                        yield row | {"no_end_after_s": MOST_SECONDS}
                    else:
                        runs[name].append(one)
                        yield row | _figures(runs[name])


def _figures(runs: list[Row]) -> Row:
    found: Row = {"runs": len(runs)}
    for key in runs[0]:
        if key not in ("peer", "scenario", "edits", "delay_ms"):
            figures = [one[key] for one in runs]
            found[key] = median(figures)
            found[f"{key} least"], found[f"{key} most"] = min(figures), max(figures)
    return found


def main(rounds: int, wanted: list[str]) -> None:
    order = {trace[:2]: at for at, trace in enumerate(TRACES)}
    names = list(WHO)
    kept = (results.read("peers") or {"rows": []})["rows"]
    rows = {
        key_of(row): row
        for row in kept
        if row.get("how") == HOW and row["peer"] in WHO and (row["scenario"], row["edits"]) in order
    }
    who = [each.removeprefix(ONLY) for each in wanted if each.startswith(ONLY)]
    for row in measure(rounds, [each for each in wanted if not each.startswith(ONLY)], who or names):
        print(row, flush=True)
        rows[key_of(row)] = row
        in_order = sorted(
            rows.values(),
            key=lambda row: (order[row["scenario"], row["edits"]], row["delay_ms"], names.index(row["peer"])),
        )
        results.keep_quietly("peers", {"rows": in_order})


if __name__ == "__main__":
    if not (PEERS / "node_modules").is_dir():
        # Not `ci`: it wants the builds for other machines in the lock too, which no npm here can write there.
        subprocess.run(["npm", "install", "--no-save", "--loglevel=error"], cwd=PEERS, check=True)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:])
