"""Blanks on request: a person founds an own part anew, and an owner's device prepares the lock. Spec: docs/spec/charter.md, Keys.

Owners manage what a person says to them (`voice`, `answers`, `contacts`), so that person cannot open a stream for it alone.
The wish is kept and carried out at the sync after an owner's device answered; nobody has to do anything for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from eigenkring import wire
from eigenkring.charter.draft import make_blanks
from eigenkring.errors import Misuse
from eigenkring.ids import DeviceId, StreamId
from eigenkring.keys import Ask, Blank, bag_of
from eigenkring.session.acting import author_of, keys_append
from eigenkring.session.case import CaseState
from eigenkring.session.parts import CaseSession

# An act that nobody agrees to: who does not know the word passes it over.
WANTED = b"blanks"
MOST_DEVICES = 64
# Unused ones that a device keeps; whoever gives more of them has something else in mind.
MOST_BLANKS = 32
_GIVEN_AT_ONCE = 4


def blanks_of(session: CaseState) -> list[Blank]:
    """Streams that an owner's device prepared for this person, not used yet."""
    return [blank for blank in _held(session) if blank.stream not in session.known().streams]


def _held(session: CaseState) -> list[Blank]:
    packed = session.store.fact(session.case, "blanks")
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[Blank])


def hold(session: CaseState, given: Sequence[Blank]) -> None:
    """Beside those that are here: of a stream in use the blank tells its lock when a relay must be rebuilt."""
    live = set(session.known().live_streams())
    used = [blank for blank in _held(session) if blank.stream in live]
    unused = {blank.stream: blank for blank in [*blanks_of(session), *given]}
    kept = used + list(unused.values())[-MOST_BLANKS:]
    session.store.put_fact(session.case, "blanks", msgspec.msgpack.encode(kept))


# --- who wants some


def needs_blank(session: CaseSession, name: str) -> bool:
    """Whether founding this part anew takes a lock that only owners can make."""
    part = session.known().parts[name]
    return session.room_secret(part.manage) is None and not blanks_of(session)


def want(session: CaseSession, name: str) -> list[wire.Operation]:
    """Remember that this part is to be founded anew, and ask every owner's device for blanks."""
    wishes = _wishes(session) | {name: session.known().parts[name].stream}
    session.store.put_fact(session.case, "to forget", msgspec.msgpack.encode(wishes))
    charter = session.known()
    owners = [
        device for person in charter.present() if person.role == "owner" for device in charter.devices_of(person.person)
    ]
    bags = {device: bag_of((), (Ask(WANTED),)) for device in sorted(owners)}
    return [keys_append(session, charter, bags)] if bags else []


def _wishes(session: CaseState) -> dict[str, StreamId]:
    packed = session.store.fact(session.case, "to forget")
    return {} if packed is None else msgspec.msgpack.decode(packed, type=dict[str, StreamId])


def wished(session: CaseSession) -> list[str]:
    """Parts to found anew that can be now. What was founded anew since is wished no more."""
    wishes, parts = _wishes(session), session.known().parts
    left = {name: stream for name, stream in wishes.items() if name in parts and parts[name].stream == stream}
    if left != wishes:
        session.store.put_fact(session.case, "to forget", msgspec.msgpack.encode(left) if left else None)
    return [name for name in left if parts[name].stream in session.parts and not needs_blank(session, name)]


# --- who gives


def take_wish(session: CaseState, device: DeviceId) -> None:
    """A device of the circle asks this one, which is an owner's."""
    if device in session.known().devices and session.known().is_owner(session.me()):
        waiting = [*(one for one in _waiting(session) if one != device), device][-MOST_DEVICES:]
        session.store.put_fact(session.case, "blanks wanted", msgspec.msgpack.encode(waiting))


def _waiting(session: CaseState) -> list[DeviceId]:
    packed = session.store.fact(session.case, "blanks wanted")
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[DeviceId])


def to_give(session: CaseState) -> list[DeviceId]:
    devices = session.known().devices
    return [one for one in _waiting(session) if one in devices and devices[one].here]


def giving(devices: Sequence[DeviceId]) -> Callable[[CaseSession], list[wire.Operation]]:
    def make(now: CaseSession) -> list[wire.Operation]:
        charter = now.known()
        if not charter.is_owner(now.me()):
            raise Misuse("not_permitted", "only an owner's device prepares locks of owners")
        here = [device for device in devices if charter.devices[device].here]
        bags = {device: bag_of((), (), make_blanks(charter, author_of(now), _GIVEN_AT_ONCE)) for device in here}
        return [keys_append(now, charter, bags)] if bags else []

    return make


def given(session: CaseState, devices: Sequence[DeviceId]) -> None:
    left = [one for one in _waiting(session) if one not in devices]
    session.store.put_fact(session.case, "blanks wanted", msgspec.msgpack.encode(left) if left else None)
