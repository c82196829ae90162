"""Ours and the peers on the same trace, in turn, several rounds; the medians and how far they lay apart.

    python bench/peers_on_one_trace.py [ROUNDS [TRACE ...]]

A trace is `live`, `burst`, `typing`, `agreements` or `evening`, or one of them with a number of edits (`burst:20000`) and a delay (`live:30:50`); without
one it is all of them. What was measured before of other traces stays in `results/peers.json`.

What each peer does stands in `bench/peers/NAME.mjs`, the trace in `bench/peers/trace.mjs`. Every server and every trace is a
process of its own; nothing else runs meanwhile. `eigenkring` is our TypeScript client in Node, `eigenkring-python` our Python
library; their relay is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import results

PEERS = Path(__file__).resolve().parent / "peers"
# What no document, key or signature costs: it has no trace but the live one.
BARE = "bare echo that commits"
# name in the table -> (module, environment)
WHO = {
    "eigenkring": ("eigenkring", {}),
    "eigenkring-python": ("eigenkring-python", {}),
    "cojson": ("cojson", {}),
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
    ("burst", 20_000, (0,), frozenset({BARE, "automerge-repo", "automerge-repo, debounce 0"})),
    ("typing", 100, (0,), frozenset({BARE})),
    ("agreements", 100, (0,), frozenset({BARE})),
    ("evening", 100, (0,), frozenset({BARE})),
]
MOST_SECONDS = 170


def run(module: str, environment: dict[str, str], scenario: str, edits: int, delay_ms: int) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            ["node", "trace.mjs", module, scenario, str(edits)],
            cwd=PEERS,
            env={**os.environ, **environment, "DELAY_MS": str(delay_ms), "EIGENKRING_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        # What it said of itself until then; the relay's own lines begin with the time.
        told = (late.stderr or b"").decode(errors="replace").splitlines()
        print(*[line for line in told if not line.startswith('{"time"')][-20:], sep="\n", flush=True)
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{module} {scenario}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def is_asked(wanted: list[str], scenario: str, edits: int, delay_ms: int) -> bool:
    names = (scenario, f"{scenario}:{edits}", f"{scenario}:{edits}:{delay_ms}")
    return not wanted or any(each in names for each in wanted)


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["peer"], row["scenario"], row["edits"], row["delay_ms"]


def measure(rounds: int, wanted: list[str]) -> list[dict[str, Any]]:
    found = []
    for scenario, edits, delays, without in TRACES:
        for delay_ms in [each for each in delays if is_asked(wanted, scenario, edits, each)]:
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WHO if name not in without}
            # In turn, so that a slow minute of the machine is everybody's.
            for _ in range(rounds):
                for name in list(runs):
                    one = run(*WHO[name], scenario, edits, delay_ms)
                    if one is None:
                        print(f"{name}: no end after {MOST_SECONDS} s", flush=True)
                        del runs[name]
                    else:
                        runs[name].append(one)
            for name, each in runs.items():
                row: dict[str, Any] = {"peer": name, "scenario": scenario, "edits": edits, "delay_ms": delay_ms}
                for key in each[0]:
                    if key not in ("peer", "scenario", "edits", "delay_ms"):
                        figures = [one[key] for one in each]
                        row[key] = median(figures)
                        row[f"{key} least"], row[f"{key} most"] = min(figures), max(figures)
                found.append(row)
                print(row, flush=True)
    return found


if __name__ == "__main__":
    if not (PEERS / "node_modules").is_dir():
        # Not `ci`: it wants the builds for other machines in the lock too, which no npm here can write there.
        subprocess.run(["npm", "install", "--no-save", "--loglevel=error"], cwd=PEERS, check=True)
    rounds, wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:]
    kept = results.read("peers") or {"rows": []}
    rows = {key_of(row): row for row in [*kept["rows"], *measure(rounds, wanted)]}
    order = {trace[:2]: at for at, trace in enumerate(TRACES)}
    names = list(WHO)
    results.keep(
        "peers",
        {
            "rows": sorted(
                (row for row in rows.values() if (row["scenario"], row["edits"]) in order),
                key=lambda row: (order[row["scenario"], row["edits"]], row["delay_ms"], names.index(row["peer"])),
            )
        },
    )
