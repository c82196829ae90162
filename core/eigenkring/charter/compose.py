"""How a device makes entries: each function gives a ``Draft`` of which the session layer makes one atomic exchange.

Spec: docs/spec/charter.md. What the rules refuse is refused here too (``Inadmissible``); a secret that this device
lacks is ``Misuse("not_permitted")``. ``cuts`` come from whoever folds the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from eigenkring import doorstep as door
from eigenkring.charter.draft import (
    Author,
    Draft,
    Opening,
    Secrets,
    author_with,
    capability_hashes,
    common,
    doorstep_opening,
    dropped_streams,
    keybag_for,
    locks_to_turn,
    make_blanks,
    nobody_hash,
    opening,
    part_rooms,
    person_of,
    preview,
)
from eigenkring.charter.entry import (
    ZERO_HASH,
    AddDevice,
    Adopt,
    AnyBody,
    Approval,
    Cancel,
    Close,
    Expire,
    Found,
    GrantEntry,
    HandOver,
    Invite,
    Join,
    Keys,
    PartChange,
    Readmit,
    Role,
    Sleeping,
    Withdraw,
    device_id,
)
from eigenkring.charter.narrow import (
    expire_person,
    leave,
    let_in,
    let_out,
    lost_by,
    remove_device,
    remove_person,
    set_role,
    to_turn,
    turn_due,
)
from eigenkring.charter.rules import apply_found
from eigenkring.charter.state import Charter, Invitation
from eigenkring.errors import Misuse
from eigenkring.ids import CaseId, Chain, EntryHash, GrantId, InvitationId, PersonId, StreamId
from eigenkring.keys import Blank
from eigenkring.rooms import CIRCLE, EVERYONE, OWNERS, ROLES, about, grant_room, part_of
from eigenkring_crypto.chain import first
from eigenkring_crypto.sign import SigningKey, sign

# --- beginning and end


def found(
    author: Author,
    case: CaseId,
    title: str,
    name: str,
    role: Role,
    keys: Keys,
    kinds: Sequence[str],
    own_kinds: Sequence[str] = (),
) -> Draft:
    """A new case. ``kinds`` are about nobody, ``own_kinds`` about the founder; ``author.device`` is not read. The
    charter's own stream is the first to open. Of these kinds a coordinator founds only those whose every room a
    coordinator is in: the others (the circle writes ``question``) the first owner founds, so that their keys never were
    anybody's but the circle's."""
    person, keys_stream, keys_secret = (author.random(8), author.random(16), author.random(32))
    blank = Charter(case=case)
    secrets = Secrets(blank, author)
    rooms = [secrets.new(EVERYONE, ROLES, (), case), secrets.new(OWNERS, ("owner",), (), case)]
    there = replace(blank, rooms={room.room: room for room in rooms})
    names: dict[str, tuple[str, PersonId | None]] = {kind: (kind, None) for kind in kinds}
    names |= {f"{kind}@{person.hex()}": (kind, PersonId(person)) for kind in own_kinds}
    if role == "coordinator":
        names = {name: of for name, of in names.items() if _may_found(author, *of)}
    more, parts, _ = part_rooms(there, secrets, author_with(author, secrets.ring()), names, case)
    body = Found(
        case=case,
        n=1,
        prev=ZERO_HASH,
        chain=Chain(first(case)),
        by=device_id(case, keys),
        at=author.at,
        title=title,
        keys=StreamId(keys_stream),
        person=PersonId(person),
        name=name,
        role=cast(Any, role),
        device=keys,
        rooms=tuple(rooms + more),
        parts=tuple(parts),
    )
    after = apply_found(blank, body, author.schema)
    ring = secrets.ring()
    ring.keys_secret = keys_secret
    opens = [opening(after, ring, stream) for stream in after.live_streams()]
    return Draft(body, secrets.made, secrets.bags(after), opens=opens, keys_secret=keys_secret)


def _may_found(author: Author, kind: str, person: PersonId | None) -> bool:
    wanted = author.schema.rooms_for(kind, person)
    return wanted is not None and all(
        "coordinator" in rule.roles or rule.name == OWNERS or person in rule.people
        for rule in (wanted.read, wanted.write, wanted.manage)
    )


def close(charter: Charter, author: Author, act: bytes = b"", approvals: Sequence[Approval] = ()) -> Draft:
    """The end of the case. The streams stay for as long as somebody wants to read them; nothing is closed at the
    relay."""
    return _plain(charter, author, Close(**common(charter, author), act=act, approvals=tuple(approvals)))


def hand_over(charter: Charter, author: Author, person: PersonId) -> Draft:
    return _plain(charter, author, HandOver(**common(charter, author), person=person))


def adopt(
    charter: Charter, author: Author, dropped: Sequence[tuple[int, EntryHash]], floors: Mapping[str, int]
) -> Draft:
    body = Adopt(**common(charter, author), dropped=tuple(dropped), floors=tuple(sorted(floors.items())))
    return _plain(charter, author, body)


# --- coming


def invite(
    charter: Charter,
    author: Author,
    name: str,
    role: Role,
    seed: bytes,
    expires: int,
    compare: bool = False,
    person: PersonId | None = None,
    act: bytes = b"",
    approvals: Sequence[Approval] = (),
) -> Draft:
    """``person``: one who left and comes back; ``greeting_for`` makes the greeting, once the entry has its hash."""
    doorstep = StreamId(author.random(16))
    body = Invite(
        **common(charter, author),
        invitation=InvitationId(author.random(16)),
        person=person or PersonId(author.random(8)),
        name=name,
        role=role,
        doorstep=doorstep,
        seed_key=door.seed_key(seed, doorstep).public,
        expires=expires,
        compare=compare,
        terms=_terms(charter, author, OWNERS, doorstep, seed),
        act=act,
        approvals=tuple(approvals),
    )
    preview(charter, author, body)
    return Draft(body, opens=[doorstep_opening(charter, author, OWNERS, doorstep, seed, expires)])


def readmit(
    charter: Charter,
    author: Author,
    person: PersonId,
    seed: bytes,
    expires: int,
    act: bytes,
    approvals: Sequence[Approval],
) -> Draft:
    doorstep = StreamId(author.random(16))
    body = Readmit(
        **common(charter, author),
        invitation=InvitationId(author.random(16)),
        person=person,
        name=charter.people[person].name,
        doorstep=doorstep,
        seed_key=door.seed_key(seed, doorstep).public,
        expires=expires,
        compare=True,
        terms=_terms(charter, author, CIRCLE, doorstep, seed),
        act=act,
        approvals=tuple(approvals),
    )
    preview(charter, author, body)
    return Draft(body, opens=[doorstep_opening(charter, author, CIRCLE, doorstep, seed, expires)])


def _terms(charter: Charter, author: Author, room: str, doorstep: StreamId, seed: bytes) -> bytes:
    epoch = charter.rooms[room].epoch
    secret = author.keyring.secret(room, epoch)
    if secret is None:
        raise Misuse("not_permitted", "this device lacks the secret that the doorstep is managed with")
    return door.seal_seed(secret, epoch, doorstep, seed, author.random(24))


def greeting_for(charter: Charter, author: Author, invitation: Invitation, from_name: str) -> door.Greeting:
    """``charter`` has the invitation's entry as its newest: the greeting pins it."""
    secret = author.keyring.secret(invitation.manage, charter.epoch_at(invitation.manage, invitation.n) or 0)
    if secret is None:
        raise Misuse("not_permitted", "this device lacks the secret of the doorstep")
    return door.Greeting(
        kind=door.PERSON,
        case=charter.case,
        invitation=invitation.invitation,
        box=door.knock_key(secret, invitation.doorstep).public,
        from_=from_name,
        name=invitation.name,
        role=invitation.role,
        compare=invitation.compare,
        expires=invitation.expires,
        n=invitation.n,
        head=charter.heads[invitation.n],
    )


def cancel(charter: Charter, author: Author, invitation: InvitationId) -> Draft:
    return _plain(charter, author, Cancel(**common(charter, author), invitation=invitation))


def join(
    charter: Charter,
    author: Author,
    knock: door.Knock,
    invitation: InvitationId | None = None,
    grant: GrantId | None = None,
    blanks: int = 0,
) -> Draft:
    """Lets the visitor in. For a person the keybag holds all this device can give, and ``blanks`` to found the own
    parts with."""
    body = Join(
        **common(charter, author),
        invitation=invitation,
        grant=grant,
        statement=knock.statement,
        seed_sig=knock.seed_sig,
        device_sig=knock.device_sig,
    )
    after = preview(charter, author, body)
    draft = Draft(body)
    if invitation is not None:
        device = after.invitations[invitation].device
        if device is not None:
            draft.keybags[device] = keybag_for(after, author.keyring, device)
            if blanks:
                draft.blanks[device] = make_blanks(charter, author, blanks)
    return draft


def add_device(charter: Charter, author: Author, keys: Keys, sleeping: Sleeping, device_sig: bytes) -> Draft:
    body = AddDevice(**common(charter, author), device=keys, sleeping=sleeping, device_sig=device_sig)
    after = preview(charter, author, body)
    device = device_id(charter.case, keys)
    return Draft(body, keybags={device: keybag_for(after, author.keyring, device)})


def sign_new_device(case: CaseId, person: PersonId, keys: Keys, key: SigningKey) -> bytes:
    """The new device's word that it is this person's."""
    return sign(key, "add device", case, person + device_id(case, keys))


# --- rooms and parts


def add_parts(charter: Charter, author: Author, kinds: Sequence[str]) -> Draft:
    """Parts about nobody, by an owner: new kinds of a new schema, or what a coordinator could not found."""
    return _parts(charter, author, {kind: (kind, None) for kind in kinds}, ())


def rooms_and_parts_about(
    charter: Charter, author: Author, kinds: Sequence[str], blanks: Sequence[Blank] = ()
) -> Draft:
    """The parts about the author: after joining, and anew after coming back."""
    person = person_of(charter, author).person
    return _parts(charter, author, {f"{kind}@{person.hex()}": (kind, person) for kind in kinds}, blanks)


def lost_parts(charter: Charter, author: Author) -> list[str]:
    """Parts whose keys went with the author's old devices, and that nobody else can give: founded anew after coming back.
    Those of a room that was lost, and after it was restarted those whose stream has another lock still."""
    me = person_of(charter, author)
    if not me.readmitted_n:
        return []
    found = []
    for name, part in charter.parts.items():
        mine = part.about == me.person if part.about is not None else charter.is_owner(me.person)
        rooms = [charter.rooms[room] for room in (part.read, part.write)] if mine else []
        gone = any(lost_by(charter, author, room.name) for room in rooms)
        anew = any(
            part.since_n < room.since_n[room.epoch] and room.epoch not in room.links and room.epoch > 1
            for room in rooms
        )
        if gone or anew:
            found.append(name)
    return sorted(found)


def parts_lost(charter: Charter, author: Author, names: Sequence[str], blanks: Sequence[Blank] = ()) -> Draft:
    """These parts, founded anew together: no stream of the old ones can be opened any more."""
    return _parts(charter, author, {name: split for name in names if (split := part_of(name))}, blanks)


def found_anew(charter: Charter, author: Author, part: str, blanks: Sequence[Blank] = ()) -> Draft:
    """A new stream for a part that exists; the old one is closed with its history (forgetting)."""
    split = part_of(part)
    if split is None or part not in charter.parts:
        raise Misuse("no_such_part")
    return _parts(charter, author, {part: split}, blanks)


def _parts(
    charter: Charter, author: Author, names: Mapping[str, tuple[str, PersonId | None]], blanks: Sequence[Blank]
) -> Draft:
    secrets = Secrets(charter, author)
    rooms, parts, used = part_rooms(charter, secrets, author, names, charter.case, blanks)
    me = person_of(charter, author)
    for name in _lost_by(charter, author, parts):
        # What a person who came back cannot open any more begins again, with nobody but that person let in.
        mine = (me.person,) if about(name) == me.person else ()
        rooms.append(secrets.restart(charter, name, mine))
    body = PartChange(**common(charter, author), rooms=tuple(rooms), parts=tuple(parts))
    after = preview(charter, author, body)
    ring = secrets.ring()
    new = [opening(after, ring, part.stream, used.get(part.stream)) for part in parts]
    return Draft(body, secrets.made, secrets.bags(after), opens=new, closes=dropped_streams(charter, after, author))


def _lost_by(charter: Charter, author: Author, parts: Iterable[Any]) -> list[str]:
    names = {room for part in parts for room in (part.read, part.write, part.manage)}
    return [name for name in sorted(names) if name in charter.rooms and lost_by(charter, author, name)]


# --- views


def grant(
    charter: Charter,
    author: Author,
    grant_id: GrantId,
    doorstep: StreamId,
    down: StreamId,
    up: StreamId,
    seed: bytes,
    until: int,
    terms: bytes,
    granter_key: bytes,
) -> Draft:
    """Access for a professional. The ids are the caller's, because the terms are sealed with them (view.md)."""
    secrets = Secrets(charter, author)
    room = secrets.new(grant_room(grant_id), ("owner", "member"), (), charter.case)
    body = GrantEntry(
        **common(charter, author),
        grant=grant_id,
        doorstep=doorstep,
        down=down,
        up=up,
        seed_key=door.seed_key(seed, doorstep).public,
        granter_key=granter_key,
        until=until,
        terms=terms,
        rooms=(room,),
    )
    after = preview(charter, author, body)
    ring = secrets.ring()
    opens = [doorstep_opening(charter, author, OWNERS, doorstep, seed, until)]
    opens += [opening(after, ring, stream, expires=until) for stream in (down, up)]
    return Draft(body, secrets.made, secrets.bags(after), opens=opens)


def withdraw(charter: Charter, author: Author, grant_id: GrantId) -> Draft:
    return _plain(charter, author, Withdraw(**common(charter, author), grant=grant_id))


def expire_grant(charter: Charter, author: Author, grant_id: GrantId) -> Draft:
    return _plain(charter, author, Expire(**common(charter, author), grant=grant_id))


# --- what many have in common


def _plain(charter: Charter, author: Author, body: AnyBody) -> Draft:
    after = preview(charter, author, body)
    return Draft(body, closes=dropped_streams(charter, after, author))


__all__ = [
    "Author",
    "Draft",
    "Opening",
    "capability_hashes",
    "expire_person",
    "keybag_for",
    "leave",
    "let_in",
    "let_out",
    "locks_to_turn",
    "lost_by",
    "make_blanks",
    "nobody_hash",
    "remove_device",
    "remove_person",
    "set_role",
    "to_turn",
    "turn_due",
]
