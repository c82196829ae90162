"""What each kind of entry does to the charter, after it is known that its author may make it. See ``rules`` for the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from msgspec.structs import replace

from eigenkring.charter.entry import (
    AddDevice,
    Adopt,
    AnyBody,
    Cancel,
    Close,
    CutEntry,
    Expire,
    Found,
    GrantEntry,
    HandOver,
    Invite,
    Join,
    Keys,
    PartChange,
    Readmit,
    RemoveDevice,
    RemovePerson,
    RoomEntry,
    SetRole,
    Withdraw,
    device_id,
)
from eigenkring.charter.locks import SchemaRules, apply_parts, take_off_lists
from eigenkring.charter.majority import NOBODY, check_majority
from eigenkring.charter.state import Charter, Device, Grant, Invitation, Person
from eigenkring.doorstep import Knock, check_statement
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, GrantId, InvitationId, PersonId, StreamId
from eigenkring.rooms import EVERYONE, OWNERS, grant_room
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import verify

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
        what = body.__struct_config__.tag
        try:
            check_majority(self.charter, self.author.person, what, person, role, body.act, body.approvals)  # type: ignore[arg-type]
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
    dropped = {head: n for n, head in body.dropped}
    return replace(step.charter, rooms=rooms, dropped={**step.charter.dropped, **dropped})


# --- coming


def invite(step: Step) -> Charter:
    body = step.of(Invite)
    if body.role == "owner":
        step.majority(body, body.person, "owner")
    known = step.charter.people.get(body.person)
    if known is not None and known.here:
        raise step.refuse("already_there", "the person belongs already")
    return _open_invitation(step, body, "invite", body.role)


def readmit(step: Step) -> Charter:
    body = step.of(Readmit)
    if step.charter.with_role("owner") != {body.person} or step.charter.acting is not None:
        raise step.refuse("not_permitted", "only a sole owner is brought back by the members")
    step.majority(body, body.person, "")
    return _open_invitation(step, body, "readmit", "owner")


def _open_invitation(step: Step, body: Invite | Readmit, kind: str, role: str) -> Charter:
    if body.invitation in step.charter.invitations:
        raise step.refuse("already_there", "an invitation of that id")
    made = Invitation(
        body.invitation, kind, body.person, step.name(body.name), role, body.doorstep, body.seed_key,
        body.expires, body.compare, body.by, body.n,
    )  # fmt: skip
    return replace(
        step.charter,
        invitations={**step.charter.invitations, body.invitation: made},
        streams=step.streams(body.doorstep),
    )


def cancel(step: Step) -> Charter:
    invitation = _invitation(step, step.of(Cancel).invitation)
    return _with_invitation(step.charter, replace(invitation, state="closed"))


def join(step: Step) -> Charter:
    body = step.of(Join)
    if (body.invitation is None) == (body.grant is None):
        raise step.refuse("bad_entry", "a join is of an invitation or of a grant")
    if body.grant is not None:
        return _join_grant(step, body, body.grant)
    invitation = _invitation(step, InvitationId(body.invitation or b""))
    if invitation.kind == "invite" and not step.charter.is_owner(step.author.person):
        raise step.refuse("not_permitted", "let in by one who is no owner")
    device, name = _visitor(step, invitation.invitation, invitation.doorstep, invitation.seed_key, invitation.person)
    charter, n = step.charter, body.n
    before = charter.people.get(invitation.person)
    if before is not None and before.here:
        if invitation.kind == "invite":
            raise step.refuse("already_there", "the person belongs already")
        charter = _devices_leave(charter, charter.devices_of(before.person), n)
    role = invitation.role
    if before is None:
        person = Person(invitation.person, name or invitation.name, role, True, n, spans=((n, None, role),))
    else:
        spans = before.spans if before.here else (*before.spans, (n, None, role))
        person = replace(
            before, name=name or invitation.name, role=role, here=True, until=None, readmitted_n=n, spans=spans
        )
    charter = _with_invitation(charter, replace(invitation, state="used", joined_n=n, device=device.device))
    return replace(
        charter,
        people={**charter.people, person.person: person},
        devices={**charter.devices, device.device: device},
    )


def _join_grant(step: Step, body: Join, grant_id: GrantId) -> Charter:
    grant = step.charter.grants.get(grant_id)
    if grant is None:
        raise step.refuse("no_such_grant", "no grant of that id")
    if not step.charter.is_owner(step.author.person):
        raise step.refuse("not_permitted", "let in by one who is no owner")
    if not grant.open or grant.device is not None:
        raise step.refuse("invitation_used", "somebody came already, or it ended")
    device, name = _visitor(step, grant.grant, grant.doorstep, grant.seed_key, NOBODY)
    return _with_grant(step.charter, replace(grant, device=device, name=name))


def _visitor(
    step: Step, invitation: bytes, doorstep: StreamId, seed_key: bytes, person: PersonId
) -> tuple[Device, str]:
    body = step.of(Join)
    try:
        knock = Knock(body.statement, body.seed_sig, body.device_sig)
        statement, device = check_statement(knock, body.case, invitation, doorstep, seed_key)
    except Inadmissible as error:
        raise step.refuse(error.code, error.message) from None
    return _new_device(step, device, statement.keys, person, ""), step.name(statement.name)


def _new_device(step: Step, device: DeviceId, keys: Keys, person: PersonId, sleeping: str) -> Device:
    if device in step.charter.devices or any(
        g.device and g.device.device == device for g in step.charter.grants.values()
    ):
        # Also one that left: a device that was put out never comes back.
        raise step.refuse("already_there", "a device of that id")
    return Device(device, person, keys.sign, keys.box, sleeping, step.body.n)


def add_device(step: Step) -> Charter:
    body = step.of(AddDevice)
    device = device_id(body.case, body.device)
    try:
        verify(body.device.sign, "add device", body.case, step.author.person + device, body.device_sig)
    except BadSignature:
        raise step.refuse("bad_statement", "the new device did not sign") from None
    made = _new_device(step, device, body.device, step.author.person, body.sleeping)
    return replace(step.charter, devices={**step.charter.devices, device: made})


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
            # Whoever holds the phone must not be able to throw away the paper; and what they wrote on new paper is younger.
            raise step.refuse("not_permitted", "paper is removed by itself or by older paper")
    return _devices_leave(step.charter, gone, body.n)


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
        _devices_leave(charter, charter.devices_of(person.person), n),
        people={**charter.people, person.person: gone},
        acting=None if acting else charter.acting,
        acting_until_n=n if acting else charter.acting_until_n,
    )
    return take_off_lists(charter, [person.person], n)


def _devices_leave(charter: Charter, gone: Iterable[DeviceId], n: int) -> Charter:
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
    return _with_grant(step.charter, replace(known, ended_n=step.body.n))


# --- doors left ajar


def close_doors(before: Charter, after: Charter, by: DeviceId, n: int) -> Charter:
    """Invitations and grants nobody came to end with the device that made them, or its person's rights: who was put out must
    not come in again with a link of their own. And a readmission ends when the owner turns out to be there."""
    maker_is_out = _maker_is_out(before, after)
    for invitation in after.invitations.values():
        if invitation.state != "open" or invitation.n == n:
            continue
        objects = invitation.kind == "readmit" and after.devices[by].person == invitation.person
        if objects or maker_is_out(invitation.by, invitation.kind == "invite"):
            after = _with_invitation(after, replace(invitation, state="closed"))
    for known in after.grants.values():
        if known.open and known.device is None and known.n != n and maker_is_out(known.by, True):
            after = _with_grant(after, replace(known, ended_n=n))
    return after


def _maker_is_out(before: Charter, after: Charter) -> Callable[[DeviceId, bool], bool]:
    def is_out(device: DeviceId, needs_owner: bool) -> bool:
        maker = after.devices[device]
        if not maker.here:
            return True
        return needs_owner and before.is_owner(maker.person) and not after.is_owner(maker.person)

    return is_out


def _invitation(step: Step, invitation: InvitationId) -> Invitation:
    known = step.charter.invitations.get(invitation)
    if known is None:
        raise step.refuse("no_such_invitation", "no invitation of that id")
    if known.state != "open":
        raise step.refuse("invitation_used", "the invitation is used or closed")
    return known


def _with_invitation(charter: Charter, invitation: Invitation) -> Charter:
    return replace(charter, invitations={**charter.invitations, invitation.invitation: invitation})


def _with_grant(charter: Charter, changed: Grant) -> Charter:
    return replace(charter, grants={**charter.grants, changed.grant: changed})


class _NoSchema:
    kinds: Final[dict[str, object]] = {}

    def rooms_for(self, kind: str, about: PersonId | None) -> None:
        return None


_NO_SCHEMA: Final = _NoSchema()
