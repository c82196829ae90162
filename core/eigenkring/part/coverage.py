"""Which changes one signature vouches for: the attested one and its ancestors by hash. Spec: docs/spec/part.md."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from eigenkring.change import Change, parse_change
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, StreamId
from eigenkring.part.ledger import Ledger, Source
from eigenkring.part.rights import TAG_BYTES, Rights, check_cut, tag_of

# Of these nothing came back yet. What was typed in a long time without a relay is read anew.
MOST_MADE = 1024


def parsed(raw: bytes) -> Change | str:
    """The change, or the code of the refusal."""
    try:
        return parse_change(raw)
    except Inadmissible as refused:
        return refused.code


class Made:
    """The newest own changes as the door read them when they were made: the same bytes read the same when they come back."""

    def __init__(self) -> None:
        self._by_raw: dict[bytes, Change] = {}

    def keep(self, change: Change) -> None:
        self._by_raw[change.raw] = change
        if len(self._by_raw) > MOST_MADE:
            del self._by_raw[next(iter(self._by_raw))]

    def take(self, raw: bytes) -> Change | None:
        return self._by_raw.pop(raw, None)


class Cover:
    """One attestation over the changes of one record. ``at``: which of the record's it is."""

    def __init__(self, stream: bytes, source: Source, at: int, graph: Graph) -> None:
        self.source = source
        self.device = source.att.device
        self.tag = tag_of(stream, self.device)
        self._bit = 1 << at
        self._graph = graph

    def owns(self, change: Change) -> bool:
        return change.actor.startswith(self.tag)

    def covers(self, change: Change) -> bool:
        return self._graph.marks(change.hash) & self._bit != 0

    def remember_path(self, ledger: Ledger) -> None:
        """The refused changes that a later snapshot needs to show what this signature reaches."""
        newest = self.source.att.newest
        if self._graph.marks(newest) & self._bit and ledger.find(newest) is None:
            reached = self._graph.reached_from(newest)
            self.source.path = tuple(c.raw for c in reached if ledger.find(c.hash) is None)


class Covers:
    """Those of one record, found by whose change it is."""

    def __init__(self, every: list[Cover]) -> None:
        self.all = every
        self._by_tag: dict[bytes, list[Cover]] = {}
        for cover in every:
            self._by_tag.setdefault(cover.tag, []).append(cover)

    def owning(self, change: Change) -> Sequence[Cover]:
        """Of the device whose change it is."""
        return self._by_tag.get(change.actor[:TAG_BYTES], ())


class Graph:
    """The changes of one record, and which of its attestations reach each: the attested one and its ancestors. Ancestors are
    looked for in the record only: what is admitted depends on nothing that is not, so no way from the attested change to a new
    one leads through an admitted one.

    One walk for all of them: a change hands on to what it depends on the attestations that reach it. Mostly a change stands
    after what it depends on, so the walk goes from the last to the first; where it does not, those are walked again, none more
    often than there are attestations.
    """

    def __init__(self, sources: Sequence[Source], changes: dict[bytes, Change]) -> None:
        self._changes = changes
        self._marks = dict.fromkeys(changes, 0)  # a bit of each attestation
        for at, source in enumerate(sources):
            if source.att.newest in changes:
                self._marks[source.att.newest] |= 1 << at
        self._walk()

    def marks(self, change: bytes) -> int:
        return self._marks.get(change, 0)

    def reached_from(self, newest: bytes) -> list[Change]:
        """In an order that is everybody's: records that are given back are made of it, and equal ones are kept once."""
        found: dict[bytes, Change] = {}
        todo = [newest]
        while todo:
            change = self._changes.get(todo.pop())
            if change is not None and change.hash not in found:
                found[change.hash] = change
                todo += change.deps
        return list(found.values())

    def _walk(self) -> None:
        marks, passed, again = self._marks, set[bytes](), list[bytes]()
        for change in reversed(self._changes.values()):
            passed.add(change.hash)
            again += self._hand_on(change, passed)
        while again:
            again += self._hand_on(self._changes[again.pop()], marks)

    def _hand_on(self, change: Change, passed: Container[bytes]) -> list[bytes]:
        """Those that got some and had their turn in this walk already."""
        marks, again = self._marks, []
        given = marks[change.hash]
        for dep in change.deps:
            had = marks.get(dep)
            if had is not None and given & ~had:
                marks[dep] = had | given
                if dep in passed:
                    again.append(dep)
        return again


def covers_of(
    stream: bytes, sources: Sequence[Source], changes: Sequence[Change | str], witnesses: Sequence[bytes]
) -> Covers:
    every = {change.hash: change for change in map(parsed, witnesses) if isinstance(change, Change)}
    every |= {change.hash: change for change in changes if isinstance(change, Change)}
    graph = Graph(sources, every)
    return Covers([Cover(stream, source, at, graph) for at, source in enumerate(sources)])


def signer(change: Change, covers: Covers) -> bytes | None:
    """Whose fault a refused change is: the device whose own it is and that signed for it, or that attested this
    very change. Nobody else's: anybody can put a change beside an attestation, and honest people build on it.
    """
    for cover in covers.all:
        if cover.source.att.newest == change.hash or (cover.owns(change) and cover.covers(change)):
            return cover.device
    return None


def before_cuts(
    stream: StreamId,
    covering: Sequence[Cover],
    change: Change,
    charter: Rights,
    secret_at: Callable[[int], bytes | None],
) -> Source:
    """The first attestation under which no cut voids the change. ``secret_at``: the part's S of an epoch. Raises ``behind_cut``."""
    for cover in covering:
        cut = charter.cut_for(stream, DeviceId(cover.device), cover.source.att.epoch)
        secret = None if cut is None else secret_at(cut.read_epoch)
        try:
            check_cut(cut, secret, change.actor, change.seq, change.hash)
        except Inadmissible:
            continue
        return cover.source
    raise Inadmissible("behind_cut")
