"""Which changes one signature vouches for: the attested one and its ancestors by hash. Spec: docs/spec/part.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eigenkring.change import Change, parse_change
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, StreamId
from eigenkring.part.ledger import Ledger, Source
from eigenkring.part.rights import Rights, check_cut, tag_of

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
    """One attestation over the changes of one record.

    Ancestors are looked for in the record only: what is admitted depends on nothing that is not, so no way
    from the attested change to a new one leads through an admitted one.
    """

    def __init__(self, stream: bytes, source: Source, graph: dict[bytes, Change]) -> None:
        self.source = source
        self.device = source.att.device
        self._tag = tag_of(stream, self.device)
        self.reach: dict[bytes, Change] = {}
        todo = [source.att.newest]
        while todo:
            change = graph.get(todo.pop())
            if change is not None and change.hash not in self.reach:
                self.reach[change.hash] = change
                todo += change.deps

    def owns(self, change: Change) -> bool:
        return change.actor.startswith(self._tag)

    def covers(self, change: Change) -> bool:
        return change.hash in self.reach

    def remember_path(self, ledger: Ledger) -> None:
        """The refused changes that a later snapshot needs to show what this signature reaches."""
        if self.source.att.newest in self.reach and ledger.find(self.source.att.newest) is None:
            self.source.path = tuple(c.raw for c in self.reach.values() if ledger.find(c.hash) is None)


def covers_of(
    stream: bytes, sources: Sequence[Source], changes: Sequence[Change | str], witnesses: Sequence[bytes]
) -> list[Cover]:
    graph = {change.hash: change for change in map(parsed, witnesses) if isinstance(change, Change)}
    graph |= {change.hash: change for change in changes if isinstance(change, Change)}
    return [Cover(stream, source, graph) for source in sources]


def signer(change: Change, covers: Sequence[Cover]) -> bytes | None:
    """Whose fault a refused change is: the device whose own it is and that signed for it, or that attested this
    very change. Nobody else's: anybody can put a change beside an attestation, and honest people build on it.
    """
    for cover in covers:
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
