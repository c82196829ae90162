"""The fold of the charter: which entry counts, and what it does. Spec: docs/spec/charter.md, Admitting an entry.

The rules are a table: what an entry is called, who may make it, how the charter is after it. A record that is refused
is passed over by the caller; only ``future_version`` stops a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from eigenkring.charter import coming, deeds
from eigenkring.charter.deeds import Step
from eigenkring.charter.entry import (
    AddDevice,
    Adopt,
    AnyBody,
    Cancel,
    Close,
    Entry,
    Expire,
    Found,
    GrantEntry,
    HandOver,
    Invite,
    Join,
    Leave,
    PartChange,
    Readmit,
    RemoveDevice,
    RemovePerson,
    RoomChange,
    SetRole,
    Withdraw,
    device_id,
    parse_entry,
)
from eigenkring.charter.locks import Change, SchemaRules, apply_cuts, apply_locks, apply_rooms, lost_rooms
from eigenkring.charter.state import Charter, Person
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId

MAX_PEOPLE: Final = 64
MAX_DEVICES: Final = 12
MAX_OPEN: Final = 64

Who: TypeAlias = Callable[[Charter, Person], bool]


def owner(charter: Charter, person: Person) -> bool:
    return charter.is_owner(person.person)


def owner_or_member(charter: Charter, person: Person) -> bool:
    return owner(charter, person) or person.role == "member"


def member(charter: Charter, person: Person) -> bool:
    return person.role == "member"


def founder(charter: Charter, person: Person) -> bool:
    return charter.acting == person.person


def anyone(charter: Charter, person: Person) -> bool:
    return True


class Rule(NamedTuple):
    who: Who
    apply: Callable[[Step], Charter]
    # What its `rooms` may do to rooms.
    rooms: frozenset[Change] = frozenset()


_TURNED: Final[frozenset[Change]] = frozenset({"turned"})
_MADE: Final[frozenset[Change]] = frozenset({"new"})
_ANY: Final[frozenset[Change]] = frozenset({"new", "wider", "turned", "restarted"})

RULES: Final[dict[type[AnyBody], Rule]] = {
    Invite: Rule(owner, coming.invite),
    Readmit: Rule(member, coming.readmit),
    Cancel: Rule(owner, coming.cancel),
    Join: Rule(owner_or_member, coming.join),
    RoomChange: Rule(anyone, deeds.nothing, _ANY),
    PartChange: Rule(anyone, deeds.nothing, _ANY),
    RemovePerson: Rule(owner, deeds.remove_person, _TURNED),
    Leave: Rule(anyone, deeds.leave),
    AddDevice: Rule(anyone, coming.add_device),
    RemoveDevice: Rule(anyone, deeds.remove_device, _TURNED),
    SetRole: Rule(owner, deeds.set_role, _TURNED),
    HandOver: Rule(founder, deeds.hand_over),
    GrantEntry: Rule(owner, deeds.grant, _MADE),
    Withdraw: Rule(owner, deeds.withdraw),
    Expire: Rule(owner, deeds.expire, _TURNED),
    Adopt: Rule(owner, deeds.adopt),
    Close: Rule(owner, deeds.close),
}


def fold(charter: Charter | None, payload: bytes, case: CaseId, chain_before: Chain, schema: SchemaRules) -> Charter:
    """The charter with this record's entry in it.

    ``charter`` is None before the first entry; ``chain_before`` is the stream's chain at the record before. Raises
    ``Inadmissible``, whose ``device`` names the author: the record is passed over, the charter stays as it is. Only
    the code ``future_version`` means that the fold must stop here until the program is newer.
    """
    entry = parse_entry(payload)
    outline = entry.outline
    by = outline.by.hex()
    if outline.case != case:
        raise Inadmissible("bad_entry", "an entry of another case", by)
    if charter is None:
        charter = Charter(case=case)
    if outline.n != charter.n + 1 or outline.prev != charter.head:
        raise Inadmissible("wrong_previous", "an entry that follows another", by)
    if outline.chain != chain_before:
        raise Inadmissible("wrong_seen", "the author saw another stream", by)
    after = _found(charter, entry, schema) if charter.n == 0 else _follow(charter, entry, schema)
    return _sign_off(charter, after, entry)


def signed_by_member(charter: Charter | None, payload: bytes) -> DeviceId | None:
    """The device, present now, that really signed this entry, whatever its place; None where there is none."""
    try:
        entry = parse_entry(payload)
        device = None if charter is None else charter.devices.get(entry.outline.by)
        if device is None or not device.here or charter is None or entry.outline.case != charter.case:
            return None
        entry.verify(device.sign)
    except Inadmissible:
        return None
    return device.device


def _found(charter: Charter, entry: Entry, schema: SchemaRules) -> Charter:
    body = entry.body
    if not isinstance(body, Found):
        # Nobody belongs yet, so nobody's word that a newer version began this case counts.
        raise Inadmissible("not_a_member", "a charter begins with its founding", entry.outline.by.hex())
    if device_id(body.case, body.device) != body.by:
        raise Inadmissible("not_a_member", "founded by another device", body.by.hex())
    entry.verify(body.device.sign)
    return apply_found(charter, body, schema)


def apply_found(charter: Charter, body: Found, schema: SchemaRules) -> Charter:
    after = deeds.found(charter, body)
    step = Step(charter, after.people[body.person], body, schema)
    after = apply_rooms(after, step.author, body.by, body.rooms, body.n, schema, _MADE)
    return deeds.founded_rooms(step, after)


def _follow(charter: Charter, entry: Entry, schema: SchemaRules) -> Charter:
    outline, body = entry.outline, entry.body
    by = outline.by.hex()
    device = charter.devices.get(outline.by)
    if device is None or not device.here or not charter.people[device.person].here:
        raise Inadmissible("not_a_member", "signed by a device that does not belong", by)
    entry.verify(device.sign)
    if charter.closed_n is not None:
        raise Inadmissible("case_closed", "an entry after the end", by)
    author = charter.people[device.person]
    if body is None:
        # Only an owner's word stops everybody: else any phone could, with a kind of entry that does not exist. Nor does
        # the word of who found an owner's address.
        if owner(charter, author) and device.sleeping != "link":
            raise Inadmissible("future_version", f"an entry of version {outline.v}, {outline.what[:40]!r}", by)
        raise Inadmissible("not_permitted", "an unknown kind of entry by one who is no owner", by)
    return apply(charter, author, body, schema)


def apply(charter: Charter, author: Person, body: AnyBody, schema: SchemaRules) -> Charter:
    """What a body would do, its number and signature aside. For ``compose``; ``fold`` is what counts."""
    by = body.by.hex()
    if charter.devices[body.by].sleeping == "link" and not _may_asleep(body):
        raise Inadmissible("not_permitted", "a device in an address lets one device in, or goes", by)
    rule = RULES.get(type(body))
    if rule is None or not rule.who(charter, author):
        raise Inadmissible("not_permitted", f"{body.__struct_config__.tag} by this person", by)
    step = Step(charter, author, body, schema)
    after = rule.apply(step)
    if not after.people[author.person].here:
        return coming.close_doors(charter, _mark_due(charter, after, ()), body.by, body.n)
    after = apply_rooms(after, author, body.by, step.rooms, body.n, schema, rule.rooms)
    if isinstance(body, PartChange):
        after = deeds.parts(step, after)
    turned = [r.room for r in step.rooms if r.room in charter.rooms and r.epoch != charter.rooms[r.room].epoch]
    after = _mark_due(charter, after, turned)
    if rule.rooms == _TURNED:
        _check_turned(charter, after, step, turned)
    after = apply_cuts(charter, after, author, body.by, step.cuts, body.n)
    after = apply_locks(after, author, body.by, turned, step.locks)
    return coming.close_doors(charter, after, body.by, body.n)


def _may_asleep(body: AnyBody) -> bool:
    """Whoever finds an address must not decide anything with it, nor sow other seeds: they come in, seen by everybody, or
    not at all."""
    lets_in = isinstance(body, AddDevice) and not body.sleeping
    return lets_in or (isinstance(body, RemoveDevice) and body.devices == (body.by,))


def _mark_due(before: Charter, after: Charter, turned: Iterable[str]) -> Charter:
    if after.people is before.people and after.devices is before.devices and after.acting == before.acting:
        return after
    lost = set(lost_rooms(before, after)) - set(turned)
    if not lost:
        return after
    return replace(after, rooms={**after.rooms, **{name: replace(after.rooms[name], due=True) for name in lost}})


def _check_turned(before: Charter, after: Charter, step: Step, turned: list[str]) -> None:
    """Who takes somebody out turns the locks in the same breath, or the removal is only a word."""
    if not after.devices[step.body.by].here:
        # A device that puts itself out must not choose the secrets of those who stay.
        if turned:
            raise Inadmissible("not_permitted", "a device that leaves turns nothing", step.by)
        return
    for name in lost_rooms(before, after):
        if name not in turned and after.turns(step.author.person, name):
            raise Inadmissible("room_not_turned", f"{name} was not turned", step.by)


def _sign_off(before: Charter, after: Charter, entry: Entry) -> Charter:
    """What holds after every entry."""
    outline = entry.outline
    by, n = outline.by.hex(), outline.n
    owners = after.with_role("owner")
    if not owners and after.acting is None and after.closed_n is None:
        raise Inadmissible("last_owner", "a case without owner", by)
    if len(after.present()) > MAX_PEOPLE:
        raise Inadmissible("limit", "too many people", by)
    counts: dict[bytes, int] = {}
    for device in after.devices.values():
        if device.here:
            counts[device.person] = counts.get(device.person, 0) + 1
    if max(counts.values(), default=0) > MAX_DEVICES:
        raise Inadmissible("limit", "too many devices of one person", by)
    waiting = sum(i.state == "open" for i in after.invitations.values()) + sum(g.open for g in after.grants.values())
    if waiting > MAX_OPEN:
        raise Inadmissible("limit", "too many invitations and grants at once", by)
    return replace(
        after,
        n=n,
        head=entry.hash,
        chain=outline.chain,
        heads=before.heads.and_then(entry.hash),
        owners_n=after.owners_n if owners == before.with_role("owner") else n,
        circle_n=after.circle_n if _circle(after) == _circle(before) else n,
    )


def _circle(charter: Charter) -> frozenset[object]:
    return frozenset((p.person, p.role) for p in charter.people.values() if p.here and p.role in ("owner", "member"))
