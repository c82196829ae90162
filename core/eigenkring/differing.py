"""What two reports say of one log: the same, one a part of the other, or two logs that no honest relay shows. Spec:
docs/spec/report.md. Pure, and without any secret: tags are compared, nobody asks what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eigenkring.report import Line, Point, Report

TagAt = Callable[[int], bytes | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """What comes of one stream. ``verdict``: ``same``; ``left_behind`` or ``right_behind``, whose log is the beginning of the
    other; ``forked``, two logs in one generation; ``other_generation``, two logs, and the relay was put back between, or says
    so; ``unchecked``, no place in
    common. ``same_to``: up to there both logs are known to be one. ``index``: where they are known
    to differ (``forked`` and ``other_generation``), else 0. ``since``: when the longer one first saw what the shorter lacks.
    ``left_at``, ``right_at``: when each first saw a log that goes beyond where they part. Times are of the clocks of the
    devices that made the reports; 0 where they do not know."""

    verdict: str
    left: int
    right: int
    same_to: int = 0
    index: int = 0
    since: int = 0
    left_at: int = 0
    right_at: int = 0


class _Side:
    """A line, and the generations in which each place of it was seen."""

    def __init__(self, line: Line, generations: Sequence[bytes], tag_at: TagAt | None) -> None:
        self.line = line
        self._names = (None, *generations)
        self._tags = {point.index: point.tag for point in line.points}
        self._tag_at = tag_at

    def tag(self, index: int) -> bytes | None:
        """On the log that lies there now."""
        if index > self.line.length:
            return None
        found = self._tags.get(index)
        return self._tag_at(index) if found is None and self._tag_at is not None else found

    def at(self, index: int) -> Iterator[tuple[bytes, frozenset[bytes]]]:
        """Every tag that this side had at a place, with the generations in which it was there. Whoever saw a later place
        of a log saw this one in the same generation."""
        tag = self.tag(index)
        if tag is not None:
            seen = {point.generation for point in self.line.points if point.index >= index} | {self.line.generation}
            yield tag, self._named(seen)
        for point in self.line.gone:
            if point.index == index:
                yield point.tag, self._named({point.generation})

    def _named(self, generations: set[int]) -> frozenset[bytes]:
        return frozenset(name for name in (self._names[g] for g in generations) if name is not None)

    def places(self) -> set[int]:
        return {point.index for point in (*self.line.points, *self.line.gone)}

    def first_beyond(self, index: int, points: Sequence[Point]) -> int:
        return min((point.at for point in points if point.index > index and point.at), default=0)


def difference(
    left: tuple[Line, Sequence[bytes]], right: tuple[Line, Sequence[bytes]], tag_at: TagAt | None = None
) -> Difference:
    """Compare two lines of one stream, each with the generations of its report. ``tag_at`` gives the tag of any place of the
    left log, where this device has it: then nothing depends on the places that the reports chose."""
    one, other = _Side(*left, tag_at), _Side(*right, None)
    same, forked, elsewhere = _meet(one, other)
    lengths = one.line.length, other.line.length
    now, other_now = _present(one, other)
    verdict = "unchecked"
    if forked:
        verdict = "forked"
    elif now and not other_now:
        verdict = "same" if lengths[0] == lengths[1] else "left_behind" if lengths[0] < lengths[1] else "right_behind"
    elif elsewhere:
        verdict = "other_generation"
    index = min(forked or elsewhere) if verdict in ("forked", "other_generation") else 0
    same_to = max((at for at in (same if index else now) if not index or at < index), default=0)
    shorter = min(lengths)
    since = 0
    if verdict == "left_behind":
        since = other.first_beyond(shorter, other.line.points)
    elif verdict == "right_behind":
        since = one.first_beyond(shorter, one.line.points)
    times = [0, 0]
    if index:
        times = [side.first_beyond(index - 1, (*side.line.points, *side.line.gone)) for side in (one, other)]
    return Difference(verdict, *lengths, same_to, index, since, *times)


def _meet(one: _Side, other: _Side) -> tuple[set[int], set[int], set[int]]:
    """Places where both had the same log; where they had two in one generation, which no honest relay shows; and where
    they had two, and the relay was put back between, or so it said."""
    same: set[int] = set()
    forked: set[int] = set()
    elsewhere: set[int] = set()
    for index in one.places() | other.places():
        for tag, generations in one.at(index):
            for there, then in other.at(index):
                if tag == there:
                    same.add(index)
                else:
                    (forked if generations & then else elsewhere).add(index)
    return same, forked, elsewhere


def _present(one: _Side, other: _Side) -> tuple[set[int], set[int]]:
    """Places where the two logs that lie there now are known to be one, and where they are known to be two."""
    tags = {index: (one.tag(index), other.tag(index)) for index in one.places() | other.places()}
    known = {index: pair[0] == pair[1] for index, pair in tags.items() if None not in pair}
    return {index for index, is_one in known.items() if is_one}, {
        index for index, is_one in known.items() if not is_one
    }


def differences(left: Report, right: Report, tag_at: Callable[[bytes, int], bytes | None] | None = None) -> Compared:
    """Compare two reports of one case, stream by stream. ``tag_at(id, index)`` as in ``difference``."""
    theirs = {line.id: line for line in right.lines}
    found: dict[bytes, Difference] = {}
    for line in left.lines:
        if line.id in theirs:
            found[line.id] = difference(
                (line, left.generations),
                (theirs[line.id], right.generations),
                None if tag_at is None else lambda index, of=line.id: tag_at(of, index),  # type: ignore[misc]
            )
    only = [line.id for line in left.lines if line.id not in theirs], [one for one in theirs if one not in found]
    return Compared(found, *only)


@dataclass(frozen=True, slots=True)
class Compared:
    """By id of the line; ``only_left`` and ``only_right`` stand in one report."""

    found: dict[bytes, Difference]
    only_left: list[bytes]
    only_right: list[bytes]
