"""The relay shows a charter that parted from ours: keeping it, going along with it, and entering again what it lacks.

A relay that was put back to before a removal, with another entry written since, shows a charter without that removal.
No device goes along by itself: an owner's entry ``adopt`` names what is dropped. Whoever knew of a removal goes along
only where it was entered again, or as an owner, who enters it. Spec: docs/spec/charter.md, Adopt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from eigenkring.charter.branches import Owed, dropped, floors, may_adopt, owed, parted_at
from eigenkring.charter.entry import Adopt, Entry, parse_entry
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId, RecordBytes, StreamId
from eigenkring.rooms import EVERYONE
from eigenkring.session import kept, sightings
from eigenkring.session.boxes import all_told, take_keys
from eigenkring.session.case import CaseState
from eigenkring.stream import Placed, Position

if TYPE_CHECKING:
    from eigenkring.session.parts import CaseSession

_SHOWN: Final = "shown charter"
_BRANCHES: Final = "branches"
_HELD: Final = "held back"


class _Shown(msgspec.Struct, array_like=True):
    """The charter stream as the relay shows it: where it ends, and its records from the first."""

    length: int
    chain: bytes
    records: list[tuple[int, bytes, bytes]]


class Branch(msgspec.Struct, array_like=True):
    """What this device had and gave up: entries after the one where the two parted, and the streams they opened."""

    parted: int
    payloads: list[bytes]
    # The entry that adopted the other one; 0 while this device is to write it.
    adopted_n: int
    # (stream, manage capability) of streams that only this branch knew.
    closes: list[tuple[bytes, bytes]]


# --- the charter that is shown


def remember_shown(session: CaseState, position: Position, placed: Sequence[Placed]) -> None:
    """The relay shows another charter than ours: told to people, and kept for an owner to decide on."""
    records = [(one.index, bytes(one.record), bytes(one.chain)) for one in placed]
    shown = _Shown(position.length, bytes(position.chain), records)
    session.store.put_fact(session.case, _SHOWN, msgspec.msgpack.encode(shown))
    session.alarm("parted", "charter")


def has_parted(session: CaseState) -> bool:
    return session.store.fact(session.case, _SHOWN) is not None


def come_together(session: CaseState) -> None:
    """The relay shows our charter again, or ours is the one it shows."""
    if has_parted(session):
        session.store.put_fact(session.case, _SHOWN, None)
        session.store.drop_alarm(session.case, "parted", "charter")


def shown_records(session: CaseState) -> tuple[Position, list[Placed]]:
    packed = session.store.fact(session.case, _SHOWN)
    if packed is None:
        return Position.start(session.charter_stream), []
    shown = msgspec.msgpack.decode(packed, type=_Shown)
    placed = [Placed(index, RecordBytes(record), Chain(chain)) for index, record, chain in shown.records]
    return Position(0, shown.length, Chain(shown.chain)), placed


def fold_shown(session: CaseState, placed: Sequence[Placed]) -> list[tuple[Entry, Charter]]:
    """Every entry of a charter stream with the state after it, opened with all that this device was ever told: the epochs
    after the two parted have other secrets than ours."""
    secrets: dict[int, list[bytes]] = {}
    for room, epoch, secret in (*session.ring, *((r, e, s) for r, e, s, _ in all_told(session))):
        if room == EVERYONE and secret not in secrets.setdefault(epoch, []):
            secrets[epoch].append(secret)
    payloads = session.open_charter(placed, secrets)
    states: list[tuple[Entry, Charter]] = []
    charter: Charter | None = None
    before = Position.start(session.charter_stream).chain
    for record in placed:
        payload = payloads.get(record.index)
        if payload:
            try:
                charter = fold(charter, payload, session.case, before, session.around.schema)
                states.append((parse_entry(payload), charter))
            except Inadmissible as error:
                if error.code == "future_version":
                    break
        before = record.chain
    return states


# --- whether to go along


def adopted_in(branch: Charter, states: Sequence[tuple[Entry, Charter]]) -> int:
    """The number of the entry that names our newest entry as dropped, by one who may; 0 where there is none."""
    for (_, before), (entry, after) in pairwise(states):
        body = entry.body
        if isinstance(body, Adopt) and (branch.n, branch.head) in body.dropped:
            person = before.person_of(DeviceId(body.by))
            if person is not None and may_adopt(branch, before, person.person):
                return after.n
    return 0


def may_follow(session: CaseState, states: Sequence[tuple[Entry, Charter]]) -> int:
    """The adopting entry, where this device goes along with what is shown; else 0.

    An owner goes along to enter again what is owed. Anybody else waits until that was done: a member who has seen a
    removal never writes where the removed one reads.
    """
    branch = session.known()
    adopted_n = adopted_in(branch, states)
    if not adopted_n:
        return 0
    newest = states[-1][1]
    me = session.row.person
    if me is not None and newest.is_owner(me) and branch.is_owner(me):
        return adopted_n
    settled = any(
        not [one for one in owed(branch, state, adopted_n) if one.who is None]
        for _, state in states
        if state.n >= adopted_n
    )
    return adopted_n if settled else 0


def follow(
    session: CaseSession,
    position: Position,
    placed: Sequence[Placed],
    adopted_n: int,
    states: Sequence[tuple[Entry, Charter]],
) -> None:
    """Take the shown charter in the place of ours. What ours had beside it is kept until it is entered again."""
    branch, shown = session.known(), states[-1][1]
    parted = parted_at(branch, shown)
    only_ours = [s for s in branch.live_streams() if s not in shown.streams]
    caps = [(bytes(s), bytes(cap)) for s in only_ours if (cap := session.secrets(s).manage_cap()) is not None]
    kept_branch = Branch(parted, [entry.payload for entry in session.entries[parted:]], adopted_n, caps)
    at_parting = next((state for _, state in states if state.n == parted), None)
    for opened in session.parts.values():
        _ = opened.fold  # own words that wait are in it, and are taken out of the outbox below
    with session.store.step():
        _put_branches(session, [*branches(session), kept_branch])
        session.store.put_fact(session.case, _HELD, b"\x01")
        _drop_outbox(session)
        # Secrets of epochs that the two may both have, each with another one: the boxes have those of the shown one.
        late = [
            (room, epoch)
            for room, epoch, _ in session.ring
            if at_parting is None or room not in at_parting.rooms or epoch > at_parting.rooms[room].epoch
        ]
        session.store.drop_room_secrets(session.case, late)
        session.ring.drop(late)
        sightings.note_before_another(session, session.charter_stream)
        session.store.replace_records(
            session.case, session.charter_stream, position, Position.start(session.charter_stream).chain, placed
        )
        come_together(session)
        session.forget_charter()
        keys = session.row.keys_stream
        if keys is not None:
            take_keys(session, [(one.index, one.record) for one in session.store.records(session.case, keys)])
        session.fold_charter()
        for stream in list(session.parts):
            kept.forget(session, stream)
        if session.charter is not None and session.device() not in session.charter.devices:
            # This device came by an entry that was dropped: it has to be invited again.
            session.put_row(state="removed")
            session.alarm("parted", "charter")
    session.open_parts()


def _drop_outbox(session: CaseSession) -> None:
    """What was sealed for the circle of before. Own words stay in their parts, and are signed again."""
    parts = set(session.known().part_streams)
    for item in session.store.outbox(session.case):
        if item.stream is not None and (item.stream in parts or item.stream == session.charter_stream):
            session.store.drop_outbox(item.number)


# --- what is still to be done


def branches(session: CaseState) -> list[Branch]:
    packed = session.store.fact(session.case, _BRANCHES)
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[Branch])


def _put_branches(session: CaseState, found: Sequence[Branch]) -> None:
    session.store.put_fact(session.case, _BRANCHES, msgspec.msgpack.encode(list(found)) if found else None)


def charter_of(session: CaseState, branch: Branch) -> Charter:
    """The branch's charter, from the entries that the two have in common and its own."""
    found: Charter | None = None
    for payload in [entry.payload for entry in session.entries[: branch.parted]] + branch.payloads:
        found = fold(found, payload, CaseId(session.case), parse_entry(payload).outline.chain, session.around.schema)
    if found is None:
        raise AssertionError("a branch without entries")
    return found


def entries_of(branch: Branch) -> list[Entry]:
    return [parse_entry(payload) for payload in branch.payloads]


def to_adopt(session: CaseState) -> tuple[list[tuple[int, bytes]], dict[str, int]] | None:
    """What this device's own entry has to name: heads and floors. None where there is nothing to adopt."""
    heads: dict[int, bytes] = {}
    above: dict[str, int] = {}
    waiting = [branch for branch in branches(session) if not branch.adopted_n]
    if not waiting:
        return None
    was = charter_of(session, waiting[0])
    heads.update(dropped(was, session.known()))
    for name, floor in floors(was, session.known()).items():
        above[name] = max(floor, above.get(name, 0))
    return sorted(heads.items()), above


def adopted(session: CaseState) -> None:
    """The entry is in: what came after it came with the branch known."""
    found = branches(session)
    for at, branch in enumerate(found):
        if not branch.adopted_n:
            found[at] = Branch(branch.parted, branch.payloads, session.known().n, branch.closes)
            break
    _put_branches(session, found)


def still_owed(session: CaseState) -> Iterator[tuple[Branch, Charter, Owed]]:
    """What was ended on a branch and still stands, for whoever may enter it."""
    for branch in branches(session):
        was = charter_of(session, branch)
        for one in owed(was, session.known(), branch.adopted_n or session.known().n):
            yield branch, was, one


def mine(session: CaseState, one: Owed) -> bool:
    me = session.me()
    if one.what == "let_out":
        return session.known().turns(me, one.room)
    return one.who == me or (one.who is None and session.known().is_owner(me))


def holds_back(session: CaseState) -> bool:
    """Whether words must wait: somebody who was put out, or whose reading was ended, has the keys of now."""
    if not branches(session) or session.charter is None:
        return False
    return to_adopt(session) is not None or any(one.who is None for _, _, one in still_owed(session))


def settle(session: CaseSession) -> bool:
    """Once nothing is owed any more, sign what was held back, under the keys of now. Gives whether that was done."""
    if session.store.fact(session.case, _HELD) is None or holds_back(session):
        return False
    with session.store.step():
        session.store.put_fact(session.case, _HELD, None)
        for stream in list(session.parts):
            session.follow_other_log(stream)
    return True


def tidy(session: CaseState) -> None:
    """Forget a branch of which nothing is owed and every stream was closed."""
    found = branches(session)
    left = [
        branch
        for branch in found
        if not branch.adopted_n or branch.closes or owed(charter_of(session, branch), session.known(), branch.adopted_n)
    ]
    if len(left) != len(found):
        _put_branches(session, left)


def closes(session: CaseState) -> list[tuple[StreamId, bytes]]:
    return [(StreamId(stream), cap) for branch in branches(session) for stream, cap in branch.closes]


def closed(session: CaseState) -> None:
    _put_branches(session, [Branch(b.parted, b.payloads, b.adopted_n, []) for b in branches(session)])
