"""Who may read becomes another: let in, let out, put out, leave, a new role; and the locks that turn with it.

Spec: docs/spec/charter.md, Narrowing. Offered as ``compose.*``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from msgspec.structs import replace

from eigenkring.charter.deeds import Step
from eigenkring.charter.draft import (
    Author,
    Draft,
    Given,
    Secrets,
    can_rekey,
    capability_hashes,
    common,
    dropped_streams,
    keybag_for,
    person_of,
    preview,
    rekeys,
)
from eigenkring.charter.entry import (
    Approval,
    CutEntry,
    Expire,
    Leave,
    RemoveDevice,
    RemovePerson,
    Role,
    RoomChange,
    RoomEntry,
    SetRole,
)
from eigenkring.charter.locks import lost_rooms
from eigenkring.charter.rules import RULES
from eigenkring.charter.state import Charter
from eigenkring.errors import Misuse
from eigenkring.ids import DeviceId, PersonId, StreamId
from eigenkring.rooms import about


def let_in(charter: Charter, author: Author, room: str, people: Iterable[PersonId]) -> Draft:
    """A wider room: the same secret, given to more people."""
    known, added = charter.rooms[room], frozenset(people)
    entry = RoomEntry(
        room,
        cast(tuple[Role, ...], known.roles),
        tuple(sorted(known.people | added)),
        known.epoch,
        known.commits[known.epoch],
        known.links.get(known.epoch, b""),
    )
    body = RoomChange(**common(charter, author), rooms=(entry,))
    preview(charter, author, body)
    secret = author.keyring.secret(room, known.epoch)
    if secret is None:
        raise Misuse("not_permitted", f"this device does not hold the newest secret of {room} yet")
    bags: dict[Any, list[Given]] = {
        device: [(room, known.epoch, secret)] for person in added for device in charter.devices_of(person)
    }
    return Draft(body, keybags=bags)


def let_out(
    charter: Charter, author: Author, room: str, people: Iterable[PersonId], cuts: Sequence[CutEntry] = ()
) -> Draft:
    """A narrower room: turned, without these people."""
    secrets = Secrets(charter, author)
    left = charter.rooms[room].people - frozenset(people)
    body = RoomChange(**common(charter, author), rooms=(secrets.turn(charter, room, left),), cuts=tuple(cuts))
    return _turned(charter, author, body, secrets)


def turn_due(charter: Charter, author: Author, cuts: Sequence[CutEntry] = ()) -> Draft | None:
    """Turns every room that someone left and the author turns; None where there is none. A room whose newest secret
    this device lacks is left to another one, or restarted where the rules allow it."""
    secrets, rooms = Secrets(charter, author), []
    for name in to_turn(charter, author):
        restart = author.keyring.secret(name, charter.rooms[name].epoch) is None
        people = charter.rooms[name].people
        rooms.append(secrets.restart(charter, name, people) if restart else secrets.turn(charter, name))
    if not rooms:
        return None
    body = RoomChange(**common(charter, author), rooms=tuple(rooms), cuts=tuple(cuts))
    return _turned(charter, author, body, secrets)


def to_turn(charter: Charter, author: Author) -> list[str]:
    """The rooms that ``turn_due`` turns."""
    person = person_of(charter, author).person
    return [
        name
        for name in charter.due_rooms(person)
        if lost_by(charter, author, name)
        or (
            author.keyring.secret(name, charter.rooms[name].epoch) is not None
            and _locks_follow(charter, author, person, name)
        )
    ]


def lost_by(charter: Charter, author: Author, room: str) -> bool:
    """Whether the author came back after this room's secret was made, does not hold it, and nobody else can give it: it is
    about the author, or the author is alone in it."""
    me, known = person_of(charter, author), charter.rooms[room]
    if author.keyring.secret(room, known.epoch) is not None or me.readmitted_n <= known.since_n[known.epoch]:
        return False
    return about(room) == me.person or charter.audience(room) == {me.person}


def _locks_follow(charter: Charter, author: Author, person: PersonId, room: str) -> bool:
    """Whether this device can turn the locks that belong to the room: a new secret behind an old lock shuts everybody
    out. A sole owner who was readmitted cannot."""
    return all(
        not charter.manages(person, stream)
        or (can_rekey(charter, author, stream) and not _lock_is_lost(charter, stream))
        for stream in charter.streams_of_rooms([room])
    )


def _lock_is_lost(charter: Charter, stream: StreamId) -> bool:
    """Whether the room that manages it was begun anew since: what turned its lock went with a lost phone."""
    room, part = charter.rooms[charter.stream_rooms(stream).manage], charter.part_streams.get(stream)
    opened_n = 1 if part is None else part.since_n
    begun_anew = [n for epoch, n in room.since_n.items() if epoch > 1 and epoch not in room.links]
    founding = part is not None or stream in (charter.case, charter.keys_stream)
    return founding and any(n > opened_n for n in begun_anew)


# --- going


def remove_person(
    charter: Charter,
    author: Author,
    person: PersonId,
    cuts: Sequence[CutEntry] = (),
    act: bytes = b"",
    approvals: Sequence[Approval] = (),
) -> Draft:
    body = RemovePerson(**common(charter, author), person=person, cuts=tuple(cuts), act=act, approvals=tuple(approvals))
    return _narrow(charter, author, body)


def leave(charter: Charter, author: Author) -> Draft:
    """Never blocked by a key that is missing: those who stay turn the locks."""
    body = Leave(**common(charter, author))
    preview(charter, author, body)
    return Draft(body)


def remove_device(
    charter: Charter, author: Author, devices: Sequence[DeviceId], cuts: Sequence[CutEntry] = ()
) -> Draft:
    return _narrow(charter, author, RemoveDevice(**common(charter, author), devices=tuple(devices), cuts=tuple(cuts)))


def set_role(
    charter: Charter,
    author: Author,
    person: PersonId,
    role: Role,
    until: int | None = None,
    cuts: Sequence[CutEntry] = (),
    act: bytes = b"",
    approvals: Sequence[Approval] = (),
) -> Draft:
    body = SetRole(
        **common(charter, author),
        person=person,
        role=role,
        until=until,
        cuts=tuple(cuts),
        act=act,
        approvals=tuple(approvals),
    )
    draft = _narrow(charter, author, body)
    after = preview(charter, author, draft.body)
    for device in charter.devices_of(person):
        # Rooms the person is in from now on; turned ones are in the bag already.
        gained = [g for g in keybag_for(after, author.keyring, device) if person not in charter.audience(g[0])]
        if gained:
            draft.keybags.setdefault(device, []).extend(gained)
    return draft


def expire_person(charter: Charter, author: Author, person: PersonId, cuts: Sequence[CutEntry] = ()) -> Draft:
    return _narrow(charter, author, Expire(**common(charter, author), person=person, cuts=tuple(cuts)))


# --- what they have in common


def _narrow(charter: Charter, author: Author, body: RemovePerson | RemoveDevice | SetRole | Expire) -> Draft:
    """Fills in the rooms that the entry has to turn, and the locks."""
    me = person_of(charter, author)
    rule = RULES[type(body)]
    without = rule.apply(Step(charter, me, body, author.schema)) if rule.who(charter, me) else charter
    secrets = Secrets(charter, author)
    stays = without.devices[author.device].here
    must = [name for name in sorted(lost_rooms(charter, without)) if stays and without.turns(me.person, name)]
    rooms = [secrets.turn(without, name) for name in must]
    return _turned(charter, author, replace(body, rooms=tuple(rooms)), secrets)


def _turned(charter: Charter, author: Author, body: Any, secrets: Secrets) -> Draft:
    turned = [name for name, _ in secrets.made]
    ring = secrets.ring()
    after = preview(charter, author, body)
    if isinstance(body, RoomChange | RemoveDevice):
        me = person_of(charter, author).person
        written = [
            stream
            for stream, part in after.part_streams.items()
            if part.write in turned
            and me in after.audience(part.write)
            and stream == after.parts[part.name].stream
            and not can_rekey(charter, author, stream)
        ]
        appends = [(stream, capability_hashes(after, ring, stream)[1]) for stream in written]
        body = replace(body, locks=tuple((stream, append) for stream, append in appends if append is not None))
        after = preview(charter, author, body)
    return Draft(
        body,
        secrets.made,
        secrets.bags(after),
        rekeys=rekeys(charter, after, author, turned),
        closes=dropped_streams(charter, after, author),
    )
