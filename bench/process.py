"""A program under measurement: start it, wait until it listens, ask Linux what it used, stop it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
_READY = re.compile(r"(http://[0-9.]+:\d+)")
_TICKS = os.sysconf("SC_CLK_TCK")

# The load comes from one address; the limits per address are not what is measured.
UNLIMITED = (
    "frames_per_second=1e9 frames_burst=1e9 opens_per_second=1e9 opens_burst=1e9 manage_per_second=1e9 manage_burst=1e9 "
    "connections_per_address=20000"
).split()


@dataclass(frozen=True)
class Process:
    pid: int
    url: str

    @property
    def sync_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/v1/sync"

    def cpu_seconds(self) -> float:
        """User and system time of the process and its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_kib(self) -> int:
        """Resident pages that are its own."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
        raise RuntimeError("this kernel tells no Rss")


@contextmanager
def program(command: Sequence[str], error: Path) -> Iterator[Process]:
    """Runs until the block ends. Its first line with an address says that it listens."""
    with error.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if (found := _READY.search(line)) is not None:
                yield Process(process.pid, found[1])
                break
        else:
            raise RuntimeError(f"{command[0]} did not start:\n{error.read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def relay(data: Path, more: Sequence[str] = (), app: Path | None = None) -> Iterator[Process]:
    limits = [part for each in (*UNLIMITED, *more) for part in ("--limit", each)]
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "eigenkring_server", "--data", str(data / "relay"), "--port", "0", *limits]
    command += ["--pwa", str(app)] if app else []
    with program(command, data / "relay.log") as process:
        yield process


@contextmanager
def bare_echo(data: Path) -> Iterator[Process]:
    data.mkdir(parents=True, exist_ok=True)
    with program([sys.executable, str(HERE / "bare_echo.py"), str(data / "echo.db")], data / "echo.log") as process:
        yield process


def percentile(samples: Sequence[float], part: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def spread(samples: Sequence[float]) -> dict[str, float]:
    """The figure that is told, and how far the runs lay apart."""
    return {"median": median(samples), "least": min(samples), "most": max(samples)}
