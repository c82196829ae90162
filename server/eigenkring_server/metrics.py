"""Numbers for the operator, as Prometheus text: how much, how often, how long. No stream, no address, no time of anybody's."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from eigenkring import wire
from eigenkring_server.logs import Told

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. A commit is a sync of the disk: 1 ms on a good one, 100 ms on a bad one.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Lives on the event loop. Labels have few values, all of them words of the protocol."""

    def __init__(self) -> None:
        self._ops: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._bytes_in = self._bytes_out = 0
        self._commits = [0] * (len(BUCKETS) + 1)
        self._commit_seconds = 0.0
        self._commit_frames = 0

    def frame(self, bytes_in: int, bytes_out: int, told: Told) -> None:
        self._bytes_in += bytes_in
        self._bytes_out += bytes_out
        if told.code is not None:
            self._refused[told.code] += 1

    def done(self, ops: Sequence[wire.Operation], results: Sequence[wire.Result]) -> None:
        for op, result in zip(ops, results, strict=True):
            self._ops[type(op).__name__.lower(), result.code if isinstance(result, wire.Failed) else "ok"] += 1

    def committed(self, seconds: float, frames: int) -> None:
        self._commits[bisect_left(BUCKETS, seconds)] += 1
        self._commit_seconds += seconds
        self._commit_frames += frames

    def text(self, generation: int, gauges: dict[str, tuple[str, int]]) -> str:
        """``gauges``: name to what it is and how much now."""
        return "\n".join([*self._lines(generation, gauges), ""])

    def _lines(self, generation: int, gauges: dict[str, tuple[str, int]]) -> Iterator[str]:
        yield from _head("operations_total", "counter", "Operations by kind and by the code they were answered with.")
        for (kind, code), count in sorted(self._ops.items()):
            yield f'eigenkring_operations_total{{op="{kind}",code="{code}"}} {count}'
        yield from _head("frames_refused_total", "counter", "Frames refused as a whole, by code.")
        for code, count in sorted(self._refused.items()):
            yield f'eigenkring_frames_refused_total{{code="{code}"}} {count}'
        yield from _head(
            "frame_bytes_total", "counter", "Bytes of frames taken in and answered; pushes are not counted."
        )
        yield f'eigenkring_frame_bytes_total{{direction="in"}} {self._bytes_in}'
        yield f'eigenkring_frame_bytes_total{{direction="out"}} {self._bytes_out}'
        yield from _head("commit_seconds", "histogram", "How long one transaction took until it was on disk.")
        below = 0
        for bucket, count in zip(BUCKETS, self._commits, strict=False):
            below += count
            yield f'eigenkring_commit_seconds_bucket{{le="{bucket}"}} {below}'
        below += self._commits[-1]
        yield f'eigenkring_commit_seconds_bucket{{le="+Inf"}} {below}'
        yield f"eigenkring_commit_seconds_sum {self._commit_seconds:.6f}"
        yield f"eigenkring_commit_seconds_count {below}"
        yield from _head("committed_frames_total", "counter", "Frames in those transactions.")
        yield f"eigenkring_committed_frames_total {self._commit_frames}"
        for name, (what, value) in {**gauges, "generation": ("Rises when a backup was put back.", generation)}.items():
            yield from _head(name, "gauge", what)
            yield f"eigenkring_{name} {value}"


def both(one: Callable[[int, int, Told], None], metrics: Metrics | None) -> Callable[[int, int, Told], None]:
    """Tell the log of a frame, and the metrics where somebody wants them."""
    if metrics is None:
        return one

    def counted(bytes_in: int, bytes_out: int, told: Told) -> None:
        one(bytes_in, bytes_out, told)
        metrics.frame(bytes_in, bytes_out, told)

    return counted


def _head(name: str, kind: str, what: str) -> Iterator[str]:
    yield f"# HELP eigenkring_{name} {what}"
    yield f"# TYPE eigenkring_{name} {kind}"
