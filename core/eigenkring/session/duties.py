"""What this device owes the others now: letting in who knocked, turning rooms somebody left, founding its own parts, keeping views up to date.

One at a time, each made on the newest state; another device may have done it in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from eigenkring import doorstep, wire
from eigenkring.charter import compose
from eigenkring.charter.draft import Draft, locks_to_turn
from eigenkring.charter.entry import CutEntry
from eigenkring.charter.state import Grant, Invitation
from eigenkring.errors import Misuse
from eigenkring.ids import PersonId
from eigenkring.schema import part_name
from eigenkring.session import (
    adopting,
    adoption,
    asks,
    clocks,
    compacting,
    comparing,
    forgetting,
    owed,
    own_door,
    preparing,
    publishing,
)
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of, held
from eigenkring.session.doors import Door, Knocked, knocks, watched
from eigenkring.session.parts import CaseSession
from eigenkring_crypto.kdf import sha256


@dataclass(frozen=True, slots=True)
class Duty:
    """``charter``: an act on the charter, made again when a race was lost; else plain operations, sent whole.
    ``done`` is called when the relay took all of it, not before: what was lost on the way is done again."""

    name: str
    make: Callable[[CaseSession], Exchange | list[wire.Operation]]
    charter: bool = True
    done: Callable[[CaseSession], None] | None = None
    atomic: bool = True


def next_duty(session: CaseSession, done: set[str]) -> Duty | None:
    """The first thing to do that was not tried in this sync."""
    if session.charter is None or session.row.state != "open":
        return None
    # While somebody who was put out on another branch is in, nothing is shown or given.
    ordinary = () if adopting.holds_back(session) else _ORDINARY
    for find in (_adopt, _again, _agreed, _due_rooms, _dropped, *ordinary):
        found = find(session)
        # Each of a kind: one door or one reader for whom it cannot be done must not stop the others.
        for duty in (found,) if isinstance(found, Duty) else found or ():
            if duty.name not in done:
                return duty
    return None


def _adopt(session: CaseSession) -> Duty | None:
    """The entry that says which charter goes on, where this device's person decided so."""
    if adopting.to_adopt(session) is None:
        return None
    return Duty("adopt", adoption.adopt_entry, done=adopting.adopted)


def _again(session: CaseSession) -> Iterator[Duty]:
    if adopting.to_adopt(session) is None:
        for name, make in adoption.entries_again(session):
            yield Duty(name, make)


def _dropped(session: CaseSession) -> Duty | None:
    """Streams of a branch that was given up: nobody comes in or reads by them any more."""
    if adopting.to_adopt(session) is not None or not adopting.closes(session):
        return None
    return Duty("dropped", adoption.closing, charter=False, done=adopting.closed, atomic=False)


def _agreed(session: CaseSession) -> Duty | None:
    """What enough people agreed to, where the last of them could not post it."""
    ask = asks.to_carry_out(session)
    if ask is None:
        return None
    return Duty(f"agreed {sha256(ask.act).hex()[:16]}", lambda now: asks.carried_out(now, ask))


def _ended(session: CaseSession) -> Duty | None:
    """End dates that passed by this owner's clock and another (`clocks`), and access that nobody here answers for any more."""
    charter, clock = session.known(), clocks.borne_out(session)
    if not charter.is_owner(session.me()):
        return None
    for person in charter.present():
        if person.until is not None and person.until <= clock and person.role != "owner":
            return Duty(f"end {person.person.hex()}", _expire(person.person))
    for grant in charter.grants.values():
        if grant.open and grant.until <= clock:
            return Duty(f"end {grant.grant.hex()}", _end_grant(grant, compose.expire_grant))
        if grant.open and not charter.is_owner(grant.granter):
            # The reader pinned a key of one who is gone: no device could tell them of the next secret.
            return Duty(f"end {grant.grant.hex()}", _end_grant(grant, compose.withdraw))
    return None


def _expire(person: PersonId) -> Callable[[CaseSession], Exchange]:
    def make(now: CaseSession) -> Exchange:
        cuts = cuts_for(now, [person])
        return exchange_of(now, compose.expire_person(now.known(), author_of(now), person, cuts))

    return make


def _end_grant(grant: Grant, end: Callable[..., Draft]) -> Callable[[CaseSession], Exchange]:
    return lambda now: exchange_of(now, end(now.known(), author_of(now), grant.grant))


def _due_rooms(session: CaseSession) -> Duty | None:
    rooms = compose.to_turn(session.known(), author_of(session))
    if not rooms:
        return None

    def make(now: CaseSession) -> Exchange:
        charter = now.known()
        gone = [device.device for device in charter.devices.values() if not device.here]
        cuts: list[CutEntry] = cuts_for(now, [], gone)
        draft = compose.turn_due(charter, author_of(now), cuts)
        if draft is None:
            raise Misuse("not_permitted", "nothing is left to turn")
        return exchange_of(now, draft)

    return Duty("turn " + " ".join(rooms), make)


def _locks(session: CaseSession) -> Duty | None:
    streams = locks_to_turn(session.known(), session.me())
    todo = [
        stream
        for stream in streams
        if session.store.fact(session.case, f"lock {stream.hex()}") != session.known().locks[stream][1]
    ]
    if not todo:
        return None

    def make(now: CaseSession) -> list[wire.Operation]:
        ops: list[wire.Operation] = []
        for stream in todo:
            _, append, _ = compose.capability_hashes(now.known(), now.ring, stream)
            cap = now.secrets(stream).manage_cap()
            if append is not None and cap is not None:
                ops.append(wire.Rekey(stream=stream, cap=cap, append=append))
            now.store.put_fact(now.case, f"lock {stream.hex()}", now.known().locks[stream][1])
        return ops

    # Not atomic: one lock that does not turn must not keep the others open.
    return Duty("locks", make, charter=False, atomic=False)


def _own_parts(session: CaseSession) -> Duty | None:
    charter, me = session.known(), session.me()
    kinds = [
        kind
        for kind in session.around.schema.parts_about(charter.people[me].role)
        if part_name(kind, me) not in charter.parts
    ]
    missing = (
        []
        if not charter.is_owner(me) or charter.acting == me
        else [kind for kind in session.around.schema.parts_at_founding() if kind not in charter.parts]
    )
    if not kinds and not missing:
        return None

    def make(now: CaseSession) -> Exchange:
        if kinds:
            draft = compose.rooms_and_parts_about(now.known(), author_of(now), kinds, preparing.blanks_of(now))
        else:
            draft = compose.add_parts(now.known(), author_of(now), missing)
        return exchange_of(now, draft)

    return Duty("own parts" if kinds else "new parts", make)


def _lost_parts(session: CaseSession) -> Duty | None:
    """Who came back on other devices: parts that nobody can give the keys of are founded anew, empty."""
    names = compose.lost_parts(session.known(), author_of(session))
    if not names:
        return None

    def make(now: CaseSession) -> Exchange:
        lost = compose.lost_parts(now.known(), author_of(now))
        return exchange_of(now, compose.parts_lost(now.known(), author_of(now), lost, preparing.blanks_of(now)))

    return Duty("lost parts", make)


def _blanks(session: CaseSession) -> Duty | None:
    devices = preparing.to_give(session)
    if not devices or not session.known().is_owner(session.me()):
        return None
    return Duty("blanks", preparing.giving(devices), charter=False, done=lambda now: preparing.given(now, devices))


def _wished(session: CaseSession) -> Iterator[Duty]:
    """Parts that their person wanted founded anew, now that the lock is there."""
    for name in preparing.wished(session):
        yield Duty(f"forget {name}", partial(_found_anew, name))


def _found_anew(name: str, now: CaseSession) -> Exchange:
    return forgetting.found_anew(now, name, preparing.blanks_of(now))


# --- letting in


def _visitor(session: CaseSession) -> Iterator[Duty]:
    for door in watched(session):
        first = next(knocks(session, door), None)
        if first is None:
            continue
        if isinstance(door.of, Invitation) and first.device in session.known().devices:
            # Came in by another link in the meantime; this one is used, and nobody else comes in by it.
            if session.known().is_owner(session.me()):
                yield Duty(f"used {door.id.hex()}", _cancel(door.of))
        elif door.compare and not _confirmed(session, first):
            nonce = comparing.nonce_for(session, first)
            if nonce is not None and not comparing.was_given(session, first, nonce):
                yield Duty(f"words {door.id.hex()}", _give_nonce(door, first, nonce), charter=False)
        elif isinstance(door.of, Invitation):
            yield Duty(f"join {door.id.hex()}", _let_in(door, first))
        else:
            yield Duty(f"grant {door.id.hex()}", _let_read(door, first), done=_state_given(door.of))


def _cancel(invitation: Invitation) -> Callable[[CaseSession], Exchange]:
    return lambda now: exchange_of(now, compose.cancel(now.known(), author_of(now), invitation.invitation))


def _own_device(session: CaseSession) -> Iterator[Duty]:
    """Another device of this person, at the door that only this person's devices know."""
    for door in own_door.own_doors(session):
        new = next(own_door.knocks(session, door), None)
        if new is not None and door.compare and not _confirmed(session, new):
            nonce = comparing.nonce_for(session, new)
            if nonce is not None and not comparing.was_given(session, new, nonce):
                yield Duty(f"words {door.stream.hex()}", _give_nonce(door, new, nonce), charter=False)
        elif new is not None:
            yield Duty(f"device {new.device.hex()}", partial(own_door.let_in, door, new))


def _confirmed(session: CaseSession, knocked: Knocked | own_door.NewDevice) -> bool:
    """Whether a person said that the words are the same on both sides, for exactly this device."""
    return session.store.fact(session.case, comparing.confirmed(knocked)) == knocked.device


def _give_nonce(
    door: Door | own_door.OwnDoor, knocked: Knocked | own_door.NewDevice, nonce: bytes
) -> Callable[[CaseSession], list[wire.Operation]]:
    payload = doorstep.make_nonce(knocked.device, knocked.knock, door.stream, nonce)
    return lambda now: [_on_doorstep(now, door, payload)]


def _let_in(door: Door, knocked: Knocked) -> Callable[[CaseSession], Exchange]:
    def make(now: CaseSession) -> Exchange:
        charter = now.known()
        schema = now.around.schema
        role = door.of.role if isinstance(door.of, Invitation) else ""
        # A newcomer founds the own parts; those that owners manage need a lock of the owners.
        blanks = sum(1 for kind in schema.parts_about(role) if schema.kinds[kind].manage == "owner")
        invitation = door.of.invitation if isinstance(door.of, Invitation) else None
        give = blanks if charter.is_owner(now.me()) else 0
        draft = compose.join(charter, author_of(now), knocked.knock, invitation=invitation, blanks=give)
        exchange = exchange_of(now, draft)
        keys_stream, secret = now.row.keys_stream, now.row.keys_secret
        if keys_stream is None or secret is None:
            raise Misuse("not_permitted", "this device does not know where the keys lie")
        welcome = doorstep.Welcome(now.case, keys_stream, secret, exchange.after.n, exchange.after.head)
        content = doorstep.encode_welcome(welcome)
        payload = doorstep.make_welcome(door.stream, knocked.device, knocked.statement.box, content)
        # Before the locks: those of this very exchange do not concern the doorstep.
        exchange.ops.append(_on_doorstep(now, door, payload))
        return exchange

    return make


def _let_read(door: Door, knocked: Knocked) -> Callable[[CaseSession], Exchange]:
    def make(now: CaseSession) -> Exchange:
        grant = door.of
        if not isinstance(grant, Grant):
            raise AssertionError("a door of another kind")
        draft = compose.join(now.known(), author_of(now), knocked.knock, grant=grant.grant)
        exchange = exchange_of(now, draft)
        payload = publishing.welcome_reader(now, grant, knocked)
        exchange.ops.append(_on_doorstep(now, door, payload))
        # From now on only the circle writes here: whoever else holds the link cannot.
        manage = now.secrets(door.stream).manage_cap()
        _, append, _ = compose.capability_hashes(exchange.after, now.ring, door.stream)
        exchange.ops.append(wire.Rekey(stream=door.stream, cap=held(manage), append=append))
        return exchange

    return make


def _on_doorstep(session: CaseSession, door: Door | own_door.OwnDoor, payload: bytes) -> wire.Operation:
    record = door.secrets.seal(payload, session.around.random(24))
    return wire.Append(stream=door.stream, cap=held(door.secrets.append_cap()), record=record)


# --- views


def _state_given(grant: Grant) -> Callable[[CaseSession], None]:
    return lambda now: publishing.state_given(now, grant)


def _grant_state(session: CaseSession) -> Iterator[Duty]:
    for grant in publishing.turned_grants(session):
        name = f"state {grant.grant.hex()} {publishing.state_number(session, grant)}"
        yield Duty(
            name,
            lambda now, of=grant: publishing.next_state(now, of),  # type: ignore[misc]
            charter=False,
            done=_state_given(grant),
        )


def _publication(session: CaseSession) -> Iterator[Duty]:
    for grant in session.known().grants.values():
        if not grant.open:
            continue
        ops = publishing.publication(session, grant)
        if ops:
            # Named by what lies there: a race that was lost is decided again on what the winner wrote, once.
            there = session.position(grant.down).chain.hex()[:16]
            yield Duty(f"view {grant.grant.hex()} {there}", lambda _now, made=ops: made, charter=False)  # type: ignore[misc]


# --- snapshots, and what they do not take away


def _left_open(session: CaseSession) -> Duty | None:
    streams = forgetting.to_close(session)
    if not streams:
        return None
    # Not atomic: of several keys one is right, and one stream that stays open must not keep the others.
    return Duty(
        "close",
        lambda now: forgetting.closing(now, streams),
        charter=False,
        atomic=False,
        done=lambda now: forgetting.closed(now, streams),
    )


def _owed(session: CaseSession) -> Iterator[Duty]:
    """What the log of a part does not hold any more, since the relay was put back."""
    for name, opened in owed.is_due(session):
        make, done = partial(owed.replacement, opened=opened), partial(owed.replaced, opened=opened)
        yield Duty(name, make, charter=False, done=done)


def _snapshot(session: CaseSession) -> Iterator[Duty]:
    for opened in session.parts.values():
        if compacting.due(session, opened):
            name = compacting.name_of(session, opened)
            yield Duty(name, lambda now, of=opened: compacting.replacement(now, of), charter=False)  # type: ignore[misc]


_ORDINARY: Final = (
    _ended,
    _locks,
    _lost_parts,
    _own_parts,
    _blanks,
    _wished,
    _visitor,
    _own_device,
    _left_open,
    _grant_state,
    _publication,
    _owed,
    _snapshot,
)
