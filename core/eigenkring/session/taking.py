"""What to read in one round trip, and taking in the answers: keys first, then the charter, then everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from eigenkring import wire
from eigenkring.errors import RelayMisbehaved
from eigenkring.ids import Chain, StreamId
from eigenkring.rooms import EVERYONE
from eigenkring.session import adopting, astray, healing, sightings
from eigenkring.session.boxes import check_keys, take_keys
from eigenkring.session.doors import watched
from eigenkring.session.own_door import asked_doors
from eigenkring.session.parts import CaseSession
from eigenkring.stream import Accepted, Position, accept
from eigenkring_crypto import capability
from eigenkring_crypto.chain import extend

MAX_BYTES = 1_000_000
# Secrets told by keybags that are tried on the charter in one exchange.
TRIED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Want:
    """A read, and what it is for: keys, charter, part, door, view. ``anew``: the whole stream, to compare with ours."""

    purpose: str
    stream: StreamId
    op: wire.Read
    anew: bool = False


def wants(session: CaseSession) -> list[Want]:
    """One read for every stream this device may read, in the order in which the answers are taken in."""
    found: list[Want] = []
    keys = session.row.keys_stream
    if keys is None:
        return found

    def want(purpose: str, stream: StreamId, cap: bytes | None) -> None:
        if cap is not None:
            anew = stream in session.astray
            after = session.astray[stream].position.length if anew else session.position(stream).length
            read = wire.Read(stream=stream, cap=cap, after=after, max_bytes=MAX_BYTES)
            found.append(Want(purpose, stream, read, anew))

    want("keys", keys, session.secrets(keys).read_cap())
    for cap in _charter_caps(session):
        want("charter", session.charter_stream, cap)
    if session.charter is None:
        return found
    for part in session.charter.parts.values():
        want("part", part.stream, session.secrets(part.stream).read_cap())
    for door in watched(session):
        want("door", door.stream, door.secrets.read_cap())
    for own in asked_doors(session):
        want("door", own.stream, own.secrets.read_cap())
    for grant in session.charter.grants.values():
        if grant.open:
            want("view", grant.down, session.secrets(grant.down).read_cap())
            want("view", grant.up, session.secrets(grant.up).read_cap())
    return found


def _charter_caps(session: CaseSession) -> list[bytes]:
    """The capability of the newest secret that the charter confirmed; when the relay refuses it, of those that keybags
    told of, some at a time, for any of them may be a lie."""
    stream = session.charter_stream
    confirmed = session.room_secret_of_everyone()
    secrets = [] if confirmed is None else [confirmed]
    told = session.told()
    if session.charter_try or confirmed is None:
        start = max(session.charter_try - 1, 0) * TRIED_AT_ONCE % max(len(told), 1)
        secrets = told[start : start + TRIED_AT_ONCE] + secrets
    if confirmed is not None and healing.may_be_behind(session):
        # Read before any lock is turned: what is shown may have gone another way.
        session.tried_earlier = True
        earlier = [(epoch, secret) for room, epoch, secret in session.ring if room == EVERYONE and epoch < confirmed[0]]
        secrets = [*secrets, *sorted(earlier, reverse=True)[:TRIED_AT_ONCE]]
    return [
        capability.read_capability(capability.read_secret(secret, stream), stream, epoch) for epoch, secret in secrets
    ]


def take_all(
    session: CaseSession, answers: Sequence[tuple[Want, wire.Result]], received: Callable[[int], None]
) -> bool:
    """Take in the answers of one exchange. Gives whether another round would bring more."""
    again = False
    charter_refused = charter_read = parts_begun = False
    told_before = len(session.told())
    crowded = any(isinstance(result, wire.Batch) and result.records for _, result in answers)
    for want, result in answers:
        if want.purpose == "part" and not parts_begun:
            # A snapshot may rest on an entry that came with it.
            parts_begun, again = True, session.fold_charter() or again
        if want.purpose == "charter" and charter_read:
            continue  # another key for the same door
        if isinstance(result, wire.Failed):
            if want.purpose == "charter" and result.code == "not_allowed":
                charter_refused = True
            elif result.code in ("closed", "expired", "no_stream"):
                _gone(session, want, result.code)
            continue
        if not isinstance(result, wire.Batch):
            raise RelayMisbehaved("relay_garbage", "the relay answered another operation")
        charter_read = charter_read or want.purpose == "charter"
        if want.anew:
            again = astray.take(session, want.purpose, want.stream, result) or again
            continue
        again = _take(session, want, result, received, crowded) or again
    if session.fold_charter():
        again = True
    check_keys(session)
    session.open_parts()
    if charter_read:
        session.charter_try = 0
        session.let_in_again()
    elif charter_refused and not session.tried_earlier and healing.may_be_behind(session):
        return True
    elif charter_refused:
        tries = 1 + len(session.told()) // TRIED_AT_ONCE
        if len(session.told()) != told_before:
            session.charter_try = 0  # new keys came with this very answer
        if session.charter_try < tries and session.told():
            session.charter_try += 1
            return True
        session.charter_try = 0
        if not again and not healing.try_locks_of_before(session):
            session.locked_out()
        elif not session.tried_earlier:
            return True
    return again


def _take(session: CaseSession, want: Want, batch: wire.Batch, received: Callable[[int], None], crowded: bool) -> bool:
    """One answer to an ordinary read. Gives whether another round would bring more."""
    stream, ours = want.stream, session.position(want.stream)
    try:
        accepted = accept(ours, batch, partial(session.store.chain_at, session.case, stream))
        stands = _stands(session, want, ours, accepted, Chain(batch.base_chain))
        empty = want.purpose == "part" and not ours.length
        if accepted.replaced and not stands and not empty:
            raise RelayMisbehaved("broken_chain", "records were taken away, and no snapshot stands in their place")
    except RelayMisbehaved as error:
        session.alarm(error.code, want.purpose)
        if error.code == "rolled_back":
            healing.begin(session)
        return astray.suspect(session, stream, error.code)
    session.gone.discard(stream)
    if accepted.more and not accepted.placed:
        if crowded:
            return True  # the frame was full before it was this stream's turn
        session.alarm("relay_garbage", want.purpose)  # it promises more and gives nothing: not worth another round
        return False
    if want.purpose == "charter":
        session.founded()
        adopting.come_together(session)
    if not accepted.more:
        session.answered.add(stream)
        if want.purpose != "door":
            session.read_whole.add(stream)
    if not accepted.placed:
        return False
    # Who holds nothing has nothing to forget, and reads what is there.
    position = accepted.position if stands or empty else replace(accepted.position, base=ours.base)
    with session.store.step():
        if not stands:
            # What came before is here and not there any more: it is not forgotten, and whoever comes later needs it.
            session.alarm("broken_chain", want.purpose)
            astray.give_back(session, want.purpose, stream, set())
        session.store.put_records(session.case, stream, position, accepted.placed)
        session.arrived(stream, {bytes(placed.record) for placed in accepted.placed})
        if want.purpose == "keys":
            take_keys(session, [(placed.index, placed.record) for placed in accepted.placed])
        elif position.base != ours.base:
            session.open_parts()  # what a snapshot left out is given back in the same step
    received(len(accepted.placed))
    return accepted.more or want.purpose in ("keys", "charter", "door")


def _stands(session: CaseSession, want: Want, ours: Position, accepted: Accepted, base_chain: Chain) -> bool:
    """Whether what came before may be forgotten. A relay's word is not enough: a snapshot is, by a writer, made there.
    Of the other streams only a view is ever replaced."""
    base = accepted.position.base
    if base == ours.base or want.purpose == "view":
        return True
    first = next((placed for placed in accepted.placed if placed.index == base + 1), None)
    return first is not None and want.purpose == "part" and session.snapshot_stands(want.stream, first, base_chain)


def learned(session: CaseSession) -> bool:
    """Whether a refused append is worth another try: the locks may have been turned, and the keys have come since."""
    return session.refusals < 3


def check_claims(session: CaseSession) -> None:
    """What the relay says it took must be where it says. Else it is sent again another day, and told now."""
    waiting = {item.number: item.record for item in session.store.outbox(session.case)}
    for number, (stream, length, chain) in list(session.claimed.items()):
        if not _may_read_back(session, stream):
            session.store.drop_outbox(number)  # the relay's word is all there is
            continue
        record = waiting.get(number)
        known = session.store.chain_at(session.case, stream, length)
        before = session.store.chain_at(session.case, stream, length - 1) if length > 0 else None
        # The chain of that place is not enough: a relay may say it of any record, and throw this one away.
        is_it = record is not None and before is not None and known == chain == extend(before, record)
        if is_it:
            session.store.drop_outbox(number)  # given back: it lay at that very place here already
        elif session.position(stream).length < length:
            session.alarm("rolled_back", "outbox")
        elif chain and record is not None and known is not None:
            session.alarm("forked", "outbox")


def _may_read_back(session: CaseSession, stream: StreamId) -> bool:
    """Not who may no longer read what they wrote: a member who became a child, and had words waiting in the own voice."""
    me, charter = session.row.person, session.charter
    part = None if charter is None else charter.part_streams.get(stream)
    if me is None or charter is None or part is None or part.name not in charter.parts:
        return True
    return charter.may_read(me, part.name)


def append_refused(session: CaseSession, number: int, stream: StreamId, result: wire.Failed) -> bool:
    """A record that the relay did not take stays in the outbox, unless the circle itself left that stream behind."""
    charter = session.charter
    part = None if charter is None else charter.part_streams.get(stream)
    left_behind = part is not None and charter is not None and charter.parts[part.name] != part
    # An entry that was given back comes too late where another one followed.
    too_late = result.code == "conflict" and stream == session.charter_stream
    if (result.code == "closed" and left_behind) or too_late:
        session.alarm(result.code, "outbox")
        session.store.drop_outbox(number)
        return False
    session.refusals += 1
    if result.code != "not_allowed":
        session.alarm(result.code, "outbox")
    return True


def _gone(session: CaseSession, want: Want, code: str) -> None:
    """A relay's word that a stream is over ends nothing here: that the charter says."""
    if code == "no_stream" and want.purpose in ("keys", "charter", "part"):
        healing.begin(session)
        if want.purpose == "part":
            session.gone.add(want.stream)
    if want.purpose in ("keys", "charter"):
        session.alarm(code, want.purpose)
    elif want.purpose == "part":
        part = session.known().part_streams[want.stream]
        if session.known().parts.get(part.name) == part:  # else it was founded anew, says an entry that came with this
            session.alarm(code, part.name)


def check_generation(session: CaseSession, generation: int) -> None:
    """A relay that was restored says so by a higher generation, a lower one is a lie or an old copy: both are told to
    people. It is nobody's signed word, so it stops nothing: what lengths and chains say counts."""
    known = session.store.fact(session.case, "generation")
    now = generation.to_bytes(8, "big")
    if known != now:
        sightings.note_generation(session, generation)
        session.store.put_fact(session.case, "generation", now)
        if known is not None:
            session.alarm("new_generation" if now > known else "rolled_back", "relay")
            healing.generation_changed(session)
