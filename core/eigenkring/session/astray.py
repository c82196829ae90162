"""When a stream does not follow from what this device knows: read it whole, compare, and find the way back.

A relay lied, or was put back, or lies now: the device cannot know which. The alarm stands whatever comes of it. What
is signed decides what is taken: a part goes on along the log that is shown and what it lacks is given back; the charter
goes on only along a log that has every entry this device has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from eigenkring import wire
from eigenkring.charter.branches import parted_at
from eigenkring.charter.entry import Entry, entry_hash
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible, RelayMisbehaved
from eigenkring.ids import Chain, StreamId
from eigenkring.part.record import Edit, parse_record
from eigenkring.session import adopting, owed, sightings
from eigenkring.session.boxes import signed_keys, take_keys
from eigenkring.session.parts import CaseSession, Unsent
from eigenkring.store import OutboxItem
from eigenkring.stream import Placed, Position, accept

# A log that leads elsewhere; what is only nonsense (`relay_garbage`) is asked again another day.
LEADS_ELSEWHERE = ("rolled_back", "forked", "broken_chain")


@dataclass(slots=True)
class Shown:
    """What the relay shows of a stream from its beginning."""

    position: Position
    base_chain: Chain
    placed: list[Placed] = field(default_factory=list)

    def chain_at(self, length: int) -> Chain | None:
        if length == self.position.base:
            return self.base_chain
        return next((placed.chain for placed in self.placed if placed.index == length), None)


def suspect(session: CaseSession, stream: StreamId, code: str) -> bool:
    """Read the stream whole in the next round, once a sync. Gives whether that is to happen."""
    if code not in LEADS_ELSEWHERE or stream in session.reread:
        return False
    session.reread.add(stream)
    start = Position.start(stream)
    session.astray[stream] = Shown(start, start.chain)
    return True


def take(session: CaseSession, purpose: str, stream: StreamId, batch: wire.Batch) -> bool:
    """One answer to such a read. Gives whether another round would bring more."""
    shown = session.astray[stream]
    try:
        accepted = accept(shown.position, batch, lambda _: None)
    except RelayMisbehaved as error:
        session.alarm(error.code, purpose)
        del session.astray[stream]
        return False
    if accepted.replaced:
        shown.placed, shown.base_chain = [], Chain(batch.base_chain)
    shown.position = accepted.position
    shown.placed += accepted.placed
    if accepted.more and accepted.placed:
        return True
    del session.astray[stream]
    if accepted.more:
        return False
    again = _compare(session, purpose, stream, shown)
    session.gone.discard(stream)
    return again


def _compare(session: CaseSession, purpose: str, stream: StreamId, shown: Shown) -> bool:
    ours = session.position(stream)
    if shown.chain_at(ours.length) == ours.chain:
        if purpose == "charter":
            adopting.come_together(session)
        return True  # it follows after all: the lie was in the other answer, read on as ever
    behind = session.store.chain_at(session.case, stream, shown.position.length) == shown.position.chain
    if behind and give_back(session, purpose, stream, set(), after=shown.position.length):
        return True
    if purpose == "charter" and session.charter is not None and not shown.position.base:
        states = adopting.fold_shown(session, shown.placed)
        if not _has_our_entries(session, states):
            return _parted(session, shown, states)
    elif not _may_follow(session, purpose, stream, shown):
        if purpose == "part" and shown.placed:
            session.unfollowed[stream] = shown.position
        return False
    there = {bytes(placed.record) for placed in shown.placed}
    with session.store.step():
        more = give_back(session, purpose, stream, there)
        if purpose == "part":
            owed.remember(session, stream)
        if purpose != "door":
            sightings.note_before_another(session, stream)
        session.store.replace_records(session.case, stream, shown.position, shown.base_chain, shown.placed)
        session.arrived(stream, there)
        if purpose != "door":
            session.read_whole.add(stream)
        if purpose == "keys":
            take_keys(session, [(placed.index, placed.record) for placed in shown.placed])
        elif purpose == "charter":
            session.forget_charter()
            session.fold_charter()
        elif purpose == "part":
            session.follow_other_log(stream, signs=not adopting.holds_back(session))
    return more or purpose in ("keys", "charter", "door", "part")


def _may_follow(session: CaseSession, purpose: str, stream: StreamId, shown: Shown) -> bool:
    if purpose == "view":
        return True
    if purpose == "part":
        return shown.position.base == 0 or (
            bool(shown.placed)
            and (
                session.snapshot_stands(stream, shown.placed[0], shown.base_chain)
                or session.has_all_of_ours(stream, shown.placed, shown.base_chain)
            )
        )
    return not shown.position.base  # of these nothing is ever replaced


def _has_our_entries(session: CaseSession, states: Sequence[tuple[Entry, Charter]]) -> bool:
    """Whether the shown charter has every entry of ours. Else a relay could undo a removal by showing less."""
    return bool(states) and states[-1][1].heads.index(session.known().head) is not None


def _parted(session: CaseSession, shown: Shown, states: Sequence[tuple[Entry, Charter]]) -> bool:
    """The shown charter lacks entries of ours. Gives whether this device goes along with it (`adopting`)."""
    if not states or not 0 < parted_at(session.known(), states[-1][1]) < states[-1][1].n:
        return False  # another case, or only less of this one
    adopted_n = adopting.may_follow(session, states)
    if adopted_n:
        adopting.follow(session, shown.position, shown.placed, adopted_n, states)
    else:
        adopting.remember_shown(session, shown.position, shown.placed)
    return bool(adopted_n)


def give_back(session: CaseSession, purpose: str, stream: StreamId, there: set[bytes], *, after: int = 0) -> bool:
    """Queue the original bytes of what the shown log lacks, in their order. Gives whether there was anything."""
    if purpose not in ("keys", "charter", "part") or (purpose == "charter" and there):
        return False  # an entry follows the one before it, or nothing: at another place it is worth nothing
    if session.secrets(stream).append_cap() is None:
        return False  # who only reads cannot
    if purpose == "part" and (opened := session.parts.get(stream)) is not None:
        _ = opened.fold  # now: what is queued below would be laid on top as own words, also what was refused
    waiting = {bytes(item.record) for item in session.store.outbox(session.case) if item.record is not None}
    lost = [
        placed.record
        for placed in session.store.records(session.case, stream, after)
        if bytes(placed.record) not in there | waiting and _worth_it(session, purpose, stream, placed)
    ]
    with session.store.step():
        later = _taken_out(session, stream) if stream in session.gone else []
        for record in lost:
            session.store.add_outbox(session.case, stream, record)
        for item, unsent in later:
            number = session.store.add_outbox(session.case, stream, item.record, item.ops)
            if unsent is not None:
                session.unsent[number] = unsent
    return bool(lost)


def _taken_out(session: CaseSession, stream: StreamId) -> list[tuple[OutboxItem, Unsent | None]]:
    """What waits for a stream that was gone, to be queued after what its author had seen. The bytes stay."""
    outbox = session.store.outbox(session.case)
    waiting = [item for item in outbox if item.stream == stream and item.number not in session.claimed]
    for item in waiting:
        session.store.drop_outbox(item.number)
    return [(item, session.unsent.pop(item.number, None)) for item in waiting]


def _worth_it(session: CaseSession, purpose: str, stream: StreamId, placed: Placed) -> bool:
    """Entries of the charter, keybags that were signed, edits of a part. A snapshot stands at its own place only, and
    noise nowhere."""
    if purpose == "charter":
        payload = session.open_charter([placed]).get(placed.index)
        return bool(payload) and session.known().heads.index(entry_hash(payload or b"")) is not None
    if purpose == "keys":
        return signed_keys(session, placed.record)
    payload = session.payload_of(stream, placed)
    try:
        return payload is not None and isinstance(parse_record(payload), Edit)
    except Inadmissible:
        return False
