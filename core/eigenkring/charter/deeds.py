"""What each kind of entry does to the charter, after it is known that its author may make it. See ``rules`` for the
table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar, cast

from msgspec.structs import replace

from eigenkring.charter.entry import (
    Adopt,
    AnyBody,
    Close,
    CutEntry,
    Expire,
    Found,
    GrantEntry,
    HandOver,
    Invite,
    PartChange,
    Readmit,
    RemoveDevice,
    RemovePerson,
    RoomEntry,
    SetRole,
    Withdraw,
)
from eigenkring.charter.locks import SchemaRules, apply_parts, take_off_lists
from eigenkring.charter.majority import NOBODY, Deed, check_majority
from eigenkring.charter.state import Charter, Device, Grant, Person
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, GrantId, PersonId, StreamId
from eigenkring.rooms import EVERYONE, OWNERS, grant_room

MAX_NAME_BYTES: Final = 400
MAX_TERMS_BYTES: Final = 65_536
MAX_FLOOR_JUMP: Final = 1_000

_B = TypeVar("_B", bound=AnyBody)


class Step:
    """One entry and what it stands on."""

    __slots__ = ("author", "body", "charter", "schema")

    def __init__(self, charter: Charter, author: Person, body: AnyBody, schema: SchemaRules) -> None:
        self.charter = charter
        self.author = author
        self.body = body
        self.schema = schema

    @property
    def by(self) -> str:
        return self.body.by.hex()

    @property
    def rooms(self) -> tuple[RoomEntry, ...]:
        return getattr(self.body, "rooms", ())

    @property
    def cuts(self) -> tuple[CutEntry, ...]:
        return getattr(self.body, "cuts", ())

    @property
    def locks(self) -> tuple[tuple[StreamId, bytes], ...]:
        return getattr(self.body, "locks", ())

    def of(self, kind: type[_B]) -> _B:
        if not isinstance(self.body, kind):
            raise AssertionError("the table gave another kind's rule")
        return self.body

    def refuse(self, code: str, why: str) -> Inadmissible:
        return Inadmissible(code, why, self.by)

    def person(self, person: PersonId) -> Person:
        known = self.charter.people.get(person)
        if known is None or not known.here:
            raise self.refuse("no_such_person", "nobody of that id belongs")
        return known

    def name(self, text: str) -> str:
        if len(text.encode()) > MAX_NAME_BYTES:
            raise self.refuse("limit", "a name is too long")
        return text

    def streams(self, *new: StreamId) -> frozenset[StreamId]:
        """All streams with these; a stream in two places would have two meanings."""
        if len(set(new)) != len(new) or not self.charter.streams.isdisjoint(new):
            raise self.refuse("already_there", "a stream is used once")
        return self.charter.streams | set(new)

    def majority(self, body: Invite | Readmit | RemovePerson | SetRole | Close, person: PersonId, role: str) -> None:
        what = cast(Deed, body.__struct_config__.tag)
        try:
            check_majority(self.charter, self.author.person, what, person, role, body.act, body.approvals)
        except Inadmissible as error:
            raise self.refuse(error.code, error.message) from None


def nothing(step: Step) -> Charter:
    """The entry is about rooms and parts only."""
    return step.charter


# --- beginning and end


def found(charter: Charter, body: Found) -> Charter:
    device = Device(body.by, body.person, body.device.sign, body.device.box, "", 1)
    person = Person(body.person, body.name, body.role, True, 1, spans=((1, None, body.role),))
    step = Step(charter, person, body, _NO_SCHEMA)
    step.name(body.title), step.name(body.name)
    case = StreamId(body.case)
    return replace(
        charter,
        title=body.title,
        keys_stream=body.keys,
        founder=body.person,
        acting=body.person if body.role == "coordinator" else None,
        acting_until_n=None if body.role == "coordinator" else 0,
        people={body.person: person},
        devices={body.by: device},
        streams=step.streams(case, body.keys),
    )


def founded_rooms(step: Step, after: Charter) -> Charter:
    body = step.of(Found)
    # Without these two nobody could read, or lock, the charter itself.
    if not {EVERYONE, OWNERS} <= set(after.rooms):
        raise step.refuse("no_such_room", "a case needs the rooms of everyone and of the owners")
    return apply_parts(after, step.author, body.by, body.parts, 1, step.schema)


def parts(step: Step, after: Charter) -> Charter:
    body = step.of(PartChange)
    return apply_parts(after, step.author, body.by, body.parts, body.n, step.schema)


def close(step: Step) -> Charter:
    body = step.of(Close)
    step.majority(body, NOBODY, "")
    return replace(step.charter, closed_n=body.n)


def hand_over(step: Step) -> Charter:
    body = step.of(HandOver)
    if step.person(body.person).role != "owner":
        raise step.refuse("not_permitted", "handed over to one who is no owner")
    return replace(step.charter, acting=None, acting_until_n=body.n)


def adopt(step: Step) -> Charter:
    body, rooms = step.of(Adopt), dict(step.charter.rooms)
    for name, floor in body.floors:
        room = rooms.get(name)
        if room is None:
            raise step.refuse("no_such_room", "a floor of a room that is not there")
        # A floor at the end of numbers would end turning, and with it removing.
        if floor > room.epoch + MAX_FLOOR_JUMP:
            raise step.refuse("limit", "a floor too high")
        rooms[name] = replace(room, floor=max(room.floor, floor))
    numbers = [n for n, _ in body.dropped]
    if numbers and not (1 < numbers[0] <= body.n and numbers == list(range(numbers[0], numbers[0] + len(numbers)))):
        raise step.refuse("bad_entry", "what was dropped is not one branch of this charter")
    # What was signed in knowledge of one of these counts as signed where the two parted: whoever signed it could have
    # named that entry too.
    dropped = {head: numbers[0] - 1 for _, head in body.dropped if head not in step.charter.dropped}
    return replace(step.charter, rooms=rooms, dropped={**step.charter.dropped, **dropped})


# --- going


def remove_person(step: Step) -> Charter:
    body = step.of(RemovePerson)
    gone = step.person(body.person)
    if gone.person == step.author.person:
        raise step.refuse("not_permitted", "one leaves oneself by leaving")
    if gone.role == "owner":
        step.majority(body, gone.person, "")
    return _person_leaves(step.charter, gone, body.n)


def leave(step: Step) -> Charter:
    return _person_leaves(step.charter, step.author, step.body.n)


def remove_device(step: Step) -> Charter:
    body = step.of(RemoveDevice)
    own = step.charter.devices_of(step.author.person)
    gone = frozenset(body.devices)
    if not gone or len(gone) != len(body.devices):
        raise step.refuse("bad_entry", "no device, or one twice")
    if not gone <= own:
        raise step.refuse("not_permitted", "a device of somebody else")
    if gone == own:
        raise step.refuse("not_permitted", "the last device leaves by leaving")
    remover = step.charter.devices[body.by]
    for device in (step.charter.devices[d] for d in gone):
        older_paper = remover.sleeping == "paper" and remover.since_n < device.since_n
        if device.sleeping == "paper" and device.device != remover.device and not older_paper:
            # Whoever holds the phone must not be able to throw away the paper; and what they wrote on new paper is
            # younger.
            raise step.refuse("not_permitted", "paper is removed by itself or by older paper")
    return devices_leave(step.charter, gone, body.n)


def set_role(step: Step) -> Charter:
    body = step.of(SetRole)
    person = step.person(body.person)
    back = person.person == step.author.person and person.role == "owner" and body.role != "owner"
    if "owner" in (person.role, body.role) and person.role != body.role and not back:
        step.majority(body, person.person, body.role)
    if body.role == "owner" and body.until is not None:
        raise step.refuse("not_permitted", "an owner has no end date")
    *earlier, (first, _, was) = person.spans
    spans = (*earlier, (first, body.n, was), (body.n, None, body.role))
    changed = replace(person, role=body.role, until=body.until, spans=spans)
    return replace(step.charter, people={**step.charter.people, person.person: changed})


def expire(step: Step) -> Charter:
    body = step.of(Expire)
    if (body.grant is None) == (body.person is None):
        raise step.refuse("bad_entry", "a grant or a person expires")
    if body.grant is not None:
        if body.rooms or body.cuts:
            raise step.refuse("bad_entry", "a grant that ends turns nothing")
        return _end_grant(step, body.grant)
    person = step.person(body.person or NOBODY)
    if person.until is None or person.role == "owner":
        raise step.refuse("not_permitted", "a person without end date")
    return _person_leaves(step.charter, person, body.n)


def _person_leaves(charter: Charter, person: Person, n: int) -> Charter:
    *earlier, (first, _, role) = person.spans
    gone = replace(person, here=False, until=None, spans=(*earlier, (first, n, role)))
    acting = charter.acting == person.person
    charter = replace(
        devices_leave(charter, charter.devices_of(person.person), n),
        people={**charter.people, person.person: gone},
        acting=None if acting else charter.acting,
        acting_until_n=n if acting else charter.acting_until_n,
    )
    return take_off_lists(charter, [person.person], n)


def devices_leave(charter: Charter, gone: Iterable[DeviceId], n: int) -> Charter:
    left = {device: replace(charter.devices[device], until_n=n) for device in gone}
    return replace(charter, devices={**charter.devices, **left})


# --- views


def grant(step: Step) -> Charter:
    body = step.of(GrantEntry)
    if body.grant in step.charter.grants:
        raise step.refuse("already_there", "a grant of that id")
    if len(body.terms) > MAX_TERMS_BYTES:
        raise step.refuse("limit", "terms too long")
    if [room.room for room in body.rooms] != [grant_room(body.grant)]:
        raise step.refuse("no_such_room", "a grant makes its own room and no other")
    made = Grant(
        body.grant, body.doorstep, body.down, body.up, body.seed_key, body.granter_key, step.author.person,
        body.by, body.until, body.terms, body.n,
    )  # fmt: skip
    return replace(
        step.charter,
        grants={**step.charter.grants, body.grant: made},
        streams=step.streams(body.doorstep, body.down, body.up),
    )


def withdraw(step: Step) -> Charter:
    return _end_grant(step, step.of(Withdraw).grant)


def _end_grant(step: Step, grant_id: GrantId) -> Charter:
    known = step.charter.grants.get(grant_id)
    if known is None or not known.open:
        raise step.refuse("no_such_grant", "no grant of that id is open")
    return with_grant(step.charter, replace(known, ended_n=step.body.n))


def with_grant(charter: Charter, changed: Grant) -> Charter:
    return replace(charter, grants={**charter.grants, changed.grant: changed})


class _NoSchema:
    kinds: Final[dict[str, object]] = {}

    def rooms_for(self, kind: str, about: PersonId | None) -> None:
        return None


_NO_SCHEMA: Final = _NoSchema()
