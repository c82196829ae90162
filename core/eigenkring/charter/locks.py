"""Rooms and parts in an entry: made, let wider, turned, restarted. Spec: docs/spec/charter.md, Admitting an entry, 6
to 8.

Functions take the charter as it will be but for the rooms (``after``) and give it with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec.structs import replace

from eigenkring.charter.entry import CutEntry, PartEntry, RoomEntry
from eigenkring.charter.state import Charter, Cut, Part, Person, Room, Span
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, PersonId, StreamId
from eigenkring.rooms import about, follows_from_rule, part_of

Change: TypeAlias = Literal["new", "wider", "turned", "restarted"]


class RoomRule(Protocol):
    """Who a room is by the schema; ``let_in``: the roles of those who may be listed besides."""

    @property
    def name(self) -> str: ...
    @property
    def roles(self) -> tuple[str, ...]: ...
    @property
    def people(self) -> tuple[PersonId, ...]: ...
    @property
    def let_in(self) -> tuple[str, ...]: ...


class PartRooms(Protocol):
    @property
    def read(self) -> RoomRule: ...
    @property
    def write(self) -> RoomRule: ...
    @property
    def manage(self) -> RoomRule: ...


class SchemaRules(Protocol):
    """What the fold asks of the content schema."""

    @property
    def kinds(self) -> Mapping[str, object]: ...
    def rooms_for(self, kind: str, about: PersonId | None) -> PartRooms | None: ...


def apply_rooms(
    after: Charter,
    author: Person,
    by: DeviceId,
    entries: Sequence[RoomEntry],
    n: int,
    schema: SchemaRules,
    allowed: frozenset[Change],
) -> Charter:
    if len({entry.room for entry in entries}) != len(entries):
        raise Inadmissible("bad_entry", "a room twice in one entry", by.hex())
    rooms = dict(after.rooms)
    for entry in entries:
        rooms[entry.room] = _room(after, author, by, entry, n, schema, allowed)
    return replace(after, rooms=rooms) if entries else after


def _room(
    after: Charter,
    author: Person,
    by: DeviceId,
    entry: RoomEntry,
    n: int,
    schema: SchemaRules,
    allowed: frozenset[Change],
) -> Room:
    def refuse(code: str, why: str) -> Inadmissible:
        return Inadmissible(code, f"room {entry.room[:60]}: {why}", by.hex())

    if not follows_from_rule(entry.room, entry.roles, entry.people):
        raise refuse("bad_entry", "the name does not follow from the rule")
    subject = about(entry.room)
    before = after.rooms.get(entry.room)
    _check_people(after, entry, before, refuse_with=refuse)
    change = _change(entry, before)
    if change is None:
        raise refuse("wrong_epoch", "another epoch than the next")
    if change not in allowed:
        raise refuse("no_such_room" if before is None else "not_permitted", f"{change} is not for this entry")
    if before is None:
        made = Room(
            entry.room, entry.roles, frozenset(entry.people), 1, {1: entry.commit}, {}, {1: n}, {1: by},
            dict.fromkeys(entry.people, ((n, None),)),
        )  # fmt: skip
        if entry.link:
            raise refuse("bad_entry", "a first epoch links to nothing")
        # Who is not in a room must not choose its secret, or somebody outside holds it.
        allowed_to = author.person == subject if subject is not None else after.is_owner(author.person)
        if not allowed_to or author.person not in _audience(after, made):
            raise refuse("not_permitted", "made by another than its own")
        if subject is not None and subject not in made.people:
            raise refuse("bad_entry", "without the person it is about")
        _check_let_in(after, made, frozenset(made.people), schema, by)
        return made

    listed = frozenset(entry.people)
    added, dropped = listed - before.people, before.people - listed
    if change == "wider":
        if entry.roles != before.roles or dropped:
            raise refuse("not_permitted", "wider with somebody less")
        if entry.commit != before.commits[before.epoch] or entry.link != before.links.get(before.epoch, b""):
            raise refuse("bad_entry", "another secret for the same epoch")
        if subject is not None and author.person != subject and added:
            raise refuse("widens_without_person", "only the person it is about lets others in")
        if author.person != subject and not after.turns(author.person, entry.room):
            raise refuse("not_permitted", "let wider by another than its own")
        if author.person not in _audience(after, before):
            raise refuse("not_permitted", "let wider from outside")
        _check_let_in(after, before, added, schema, by)
        return replace(before, people=listed, listed=_list(before.listed, added, dropped, n))

    if entry.roles != before.roles:
        raise refuse("not_permitted", "turned with other roles")
    turned = replace(
        before,
        people=listed,
        epoch=entry.epoch,
        commits={**before.commits, entry.epoch: entry.commit},
        links={**before.links, entry.epoch: entry.link} if entry.link else before.links,
        since_n={**before.since_n, entry.epoch: n},
        by={**before.by, entry.epoch: by},
        listed=_list(before.listed, added, dropped, n),
        due=False,
    )
    if change == "restarted":
        # The old secret is lost with the old devices. Else an empty link would only take history from others.
        alone = _audience(after, turned) == {author.person}
        if author.readmitted_n <= before.since_n[before.epoch] or not (subject == author.person or alone):
            raise refuse("not_permitted", "restarted by one who did not lose it")
    elif not after.turns(author.person, entry.room):
        raise refuse("not_permitted", "turned by another than its own")
    if subject == author.person:
        if subject not in listed:
            raise refuse("bad_entry", "without the person it is about")
    elif subject is not None and added:
        raise refuse("widens_without_person", "only the person it is about lets others in")
    elif subject is not None and dropped:
        raise refuse("not_permitted", "only the person it is about lets others out")
    _check_let_in(after, turned, added, schema, by)
    return turned


class _Refuse(Protocol):
    def __call__(self, code: str, why: str) -> Inadmissible: ...


def _check_people(after: Charter, entry: RoomEntry, before: Room | None, refuse_with: _Refuse) -> None:
    for person in entry.people:
        known = after.people.get(person)
        own_of_one_who_left = before is not None and entry.room == f"@{person.hex()}"
        if known is None or not (known.here or own_of_one_who_left):
            raise refuse_with("no_such_person", "somebody in it does not belong")


def _change(entry: RoomEntry, before: Room | None) -> Change | None:
    """Which of the four it is follows from epoch and link; None where the epoch is none of them."""
    if before is None:
        return "new" if entry.epoch == 1 else None
    if entry.epoch == before.epoch:
        return "wider"
    if entry.epoch == before.next_epoch:
        if len(entry.link) not in (0, 32):
            raise Inadmissible("bad_entry", "a link is 32 bytes")
        return "turned" if entry.link else "restarted"
    return None


def _audience(charter: Charter, room: Room) -> frozenset[PersonId]:
    return replace(charter, rooms={**charter.rooms, room.name: room}).audience(room.name)


def _list(
    listed: Mapping[PersonId, tuple[Span, ...]], added: Iterable[PersonId], dropped: Iterable[PersonId], n: int
) -> Mapping[PersonId, tuple[Span, ...]]:
    changed = dict(listed)
    for person in added:
        changed[person] = (*changed.get(person, ()), (n, None))
    for person in dropped:
        *earlier, (first, _) = changed[person]
        changed[person] = (*earlier, (first, n))
    return changed


def take_off_lists(charter: Charter, gone: Iterable[PersonId], n: int) -> Charter:
    """Who leaves is listed nowhere but in the own room, so that whoever comes back under the name is in nobody's
    room."""
    rooms = {}
    for name, room in charter.rooms.items():
        dropped = [p for p in gone if p in room.people and name != f"@{p.hex()}"]
        if dropped:
            rooms[name] = replace(room, people=room.people - set(dropped), listed=_list(room.listed, (), dropped, n))
    return replace(charter, rooms={**charter.rooms, **rooms}) if rooms else charter


def _check_let_in(after: Charter, room: Room, added: frozenset[PersonId], schema: SchemaRules, by: DeviceId) -> None:
    """The schema's limits on who is listed: `private` never lets a coordinator in, whatever an owner signs."""
    split = part_of(room.name)
    if split is None or split[0] not in schema.kinds:
        return
    of = schema.rooms_for(*split)
    rules = [] if of is None else [rule for rule in (of.read, of.write, of.manage) if rule.name == room.name]
    if not rules or any(rule.roles != room.roles for rule in rules):
        raise Inadmissible("not_permitted", f"{room.name}: the schema has no such room", by.hex())
    for person in added:
        for rule in rules:
            if person not in rule.people and after.people[person].role not in rule.let_in:
                raise Inadmissible("not_permitted", f"{room.name}: the schema does not let them in", by.hex())


# --- parts


def apply_parts(
    after: Charter, author: Person, by: DeviceId, entries: Sequence[PartEntry], n: int, schema: SchemaRules
) -> Charter:
    if len({entry.part for entry in entries}) != len(entries):
        raise Inadmissible("bad_entry", "a part twice in one entry", by.hex())
    parts, by_stream = dict(after.parts), dict(after.part_streams)
    streams = after.streams
    for entry in entries:
        split = part_of(entry.part)
        if split is None:
            raise Inadmissible("bad_entry", "not the name of a part", by.hex())
        kind, subject = split
        if not (author.person == subject if subject is not None else after.is_owner(author.person)):
            raise Inadmissible("not_permitted", f"{entry.part}: founded by another than its own", by.hex())
        if entry.stream in streams:
            raise Inadmissible("already_there", f"{entry.part}: a stream is used once", by.hex())
        for room in (entry.read, entry.write, entry.manage):
            if room not in after.rooms:
                raise Inadmissible("no_such_room", f"{entry.part}: a room that is not there", by.hex())
        _check_schema(after, entry, kind, subject, schema, by)
        part = Part(entry.part, kind, subject, entry.stream, entry.read, entry.write, entry.manage, n)
        parts[entry.part] = by_stream[entry.stream] = part
        streams |= {entry.stream}
    return replace(after, parts=parts, part_streams=by_stream, streams=streams)


def _check_schema(
    after: Charter, entry: PartEntry, kind: str, subject: PersonId | None, schema: SchemaRules, by: DeviceId
) -> None:
    if kind not in schema.kinds:
        return  # a newer app knows it; to stop here would part old apps from new ones
    wanted = schema.rooms_for(kind, subject)
    pairs = (
        []
        if wanted is None
        else [(entry.read, wanted.read), (entry.write, wanted.write), (entry.manage, wanted.manage)]
    )
    fits = pairs and all(
        name == rule.name
        and after.rooms[name].roles == rule.roles
        and (name.startswith("@") or after.rooms[name].people >= set(rule.people))
        for name, rule in pairs
    )
    if not fits:
        raise Inadmissible("not_permitted", f"{entry.part}: not the rooms the schema gives", by.hex())


# --- narrowing


def lost_rooms(before: Charter, after: Charter) -> list[str]:
    """The rooms that some device is in no more."""
    return [name for name in before.rooms if before.devices_in(name) - after.devices_in(name)]


def apply_cuts(
    before: Charter, after: Charter, author: Person, by: DeviceId, cuts: Sequence[CutEntry], n: int
) -> Charter:
    if len({cut.stream for cut in cuts}) != len(cuts):
        raise Inadmissible("bad_entry", "a stream cut twice in one entry", by.hex())
    changed = dict(after.cuts)
    for entry in cuts:
        part = before.part_streams.get(entry.stream)
        if part is None:
            raise Inadmissible("no_such_part", "a cut of a stream that is no part's", by.hex())
        if author.person not in before.audience(part.read):
            raise Inadmissible("not_permitted", "a cut by one who does not read", by.hex())
        actors = {tag: (seq, mark) for tag, seq, mark in entry.actors}
        if len(actors) != len(entry.actors):
            raise Inadmissible("bad_entry", "an actor cut twice", by.hex())
        epoch = before.rooms[part.write].epoch
        bound = before.devices_ever_in(part.write, epoch) - after.devices_in(part.write)
        if author.person not in before.audience(part.manage):
            # A member's cut is for the own lost phone; with another's name in it, it would void another's words.
            bound = frozenset(d for d in bound if before.devices[d].person == author.person)
        if bound:
            cut = Cut(entry.stream, n, before.rooms[part.read].epoch, epoch, bound, actors)
            changed[entry.stream] = (*changed.get(entry.stream, ()), cut)
    return replace(after, cuts=changed) if cuts else after


def apply_locks(
    after: Charter, author: Person, by: DeviceId, turned: Iterable[str], locks: Sequence[tuple[StreamId, bytes]]
) -> Charter:
    changed, rooms = dict(after.locks), set(turned)
    if len({stream for stream, _ in locks}) != len(locks):
        raise Inadmissible("bad_entry", "a lock twice in one entry", by.hex())
    for stream, append in locks:
        part = after.part_streams.get(stream)
        if part is None:
            raise Inadmissible("no_such_part", "a lock of a stream that is no part's", by.hex())
        if part.write not in rooms or author.person not in after.audience(part.write):
            raise Inadmissible("not_permitted", "a lock of a room that was not turned", by.hex())
        changed[stream] = (after.rooms[part.write].epoch, append)
    return replace(after, locks=changed) if locks else after
