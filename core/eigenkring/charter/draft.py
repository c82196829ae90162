"""What goes with an entry: secrets, keybags, and the locks of streams. ``compose`` makes the entries out of it.

Spec: docs/spec/charter.md. Pure: fresh bytes come from ``Author.random``, the clock from ``Author.at``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from eigenkring import doorstep as door
from eigenkring.charter.entry import AnyBody, PartEntry, Role, RoomEntry
from eigenkring.charter.locks import SchemaRules
from eigenkring.charter.rules import apply
from eigenkring.charter.state import Charter, Person, Room
from eigenkring.errors import Misuse
from eigenkring.ids import CapabilityHash, CaseId, Chain, DeviceId, PersonId, RoomSecret, StreamId
from eigenkring.keys import Blank
from eigenkring.rooms import OWNERS, Keyring, commitment, seal_link
from eigenkring_crypto import capability
from eigenkring_crypto.kdf import label, sha256

Given: TypeAlias = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True)
class Author:
    """The device that writes: ``chain`` is the charter stream's now, ``random`` gives so many fresh bytes."""

    device: DeviceId
    keyring: Keyring
    chain: Chain
    at: int
    random: Callable[[int], bytes]
    schema: SchemaRules


@dataclass(frozen=True, slots=True)
class Opening:
    """A stream to open, with the hashes of its three capabilities."""

    stream: StreamId
    read: CapabilityHash
    append: CapabilityHash
    manage: CapabilityHash
    expires: int | None = None


@dataclass(slots=True)
class Draft:
    """An entry without signature, and what goes with it in one atomic exchange, in this order: the entry, the keybags,
    the streams to open, the rekeys (with ``capability_hashes`` of the charter after), the streams to close.

    Keep ``new_secrets`` before anything is sent: whoever loses the answer still holds the room.
    """

    body: AnyBody
    new_secrets: dict[tuple[str, int], RoomSecret] = field(default_factory=dict, repr=False)
    keybags: dict[DeviceId, list[Given]] = field(default_factory=dict, repr=False)
    blanks: dict[DeviceId, list[Blank]] = field(default_factory=dict)
    rekeys: list[StreamId] = field(default_factory=list)
    opens: list[Opening] = field(default_factory=list)
    closes: list[StreamId] = field(default_factory=list)
    # Of a founding: the S of the keys stream.
    keys_secret: bytes | None = field(default=None, repr=False)


# --- capabilities


def nobody_hash(stream: StreamId) -> CapabilityHash:
    """An append hash that no capability has."""
    return CapabilityHash(sha256(label("nobody"), stream))


def capability_hashes(
    charter: Charter, keyring: Keyring, stream: StreamId
) -> tuple[CapabilityHash | None, CapabilityHash | None, CapabilityHash | None]:
    """The hashes of a stream's read, append and manage capability in this charter; None: keep what the relay has,
    because the secret does not turn or is not in this keyring."""
    rooms = charter.stream_rooms(stream)
    read = append = manage = None
    if (held := _held(charter, keyring, rooms.read)) is not None:
        secret = capability.read_secret(held[1], stream)
        read = _hash(capability.read_capability(secret, stream, held[0]))
    if rooms.write is not None and not charter.audience(rooms.write):
        append = nobody_hash(stream)
    elif (held := _held(charter, keyring, rooms.write)) is not None:
        secret = capability.write_secret(held[1], stream)
        append = _hash(capability.append_capability(secret, stream, held[0]))
    elif rooms.write is not None and stream in charter.locks:
        # Whoever writes turned the lock and said what it is now; whoever manages does it at the relay.
        epoch, hashed = charter.locks[stream]
        append = CapabilityHash(hashed) if epoch == charter.rooms[rooms.write].epoch else None
    if (held := _held(charter, keyring, rooms.manage)) is not None:
        secret = capability.manage_secret(held[1], stream)
        manage = _hash(capability.manage_capability(secret, stream, held[0]))
    return read, append, manage


def locks_to_turn(charter: Charter, person: PersonId) -> list[StreamId]:
    """Streams this person manages whose writers turned their room: each is a ``rekey``, which may be repeated."""
    return [
        stream
        for stream, (epoch, _) in charter.locks.items()
        if (part := charter.part_streams[stream]).stream == charter.parts[part.name].stream
        and charter.rooms[part.write].epoch == epoch
        and charter.manages(person, stream)
    ]


def make_blanks(charter: Charter, author: Author, count: int) -> list[Blank]:
    """Streams for parts that others found and owners manage. Given to a newcomer in the keybag."""
    held = _held(charter, author.keyring, OWNERS)
    if held is None:
        raise Misuse("not_permitted", "only who is in the room of the owners can give out its locks")
    made = []
    for _ in range(count):
        stream = StreamId(author.random(16))
        secret = capability.manage_secret(held[1], stream)
        made.append(Blank(stream, _hash(capability.manage_capability(secret, stream, held[0]))))
    return made


def keybag_for(charter: Charter, keyring: Keyring, device: DeviceId) -> list[Given]:
    """Every secret this keyring can give to a device: the newest of each room it is in, and those that no link leads
    to."""
    known = charter.devices[device]
    bag: list[Given] = []
    for name in charter.rooms_of(known.person) if known.here else ():
        room = charter.rooms[name]
        for epoch in sorted(room.commits):
            secret = keyring.secret(name, epoch)
            broken = any(later > epoch and later not in room.links for later in room.commits)
            if secret is not None and (epoch == room.epoch or (broken and _last_before_gap(room, epoch))):
                bag.append((name, epoch, secret))
    return bag


def _last_before_gap(room: Room, epoch: int) -> bool:
    later = min((e for e in room.commits if e > epoch), default=None)
    return later is not None and later not in room.links


def _held(charter: Charter, keyring: Keyring, room: str | None) -> tuple[int, RoomSecret] | None:
    if room is None or room not in charter.rooms:
        return None
    epoch = charter.rooms[room].epoch
    secret = keyring.secret(room, epoch)
    return None if secret is None else (epoch, secret)


def _hash(cap: bytes) -> CapabilityHash:
    return CapabilityHash(capability.capability_hash(cap))


# --- the common part of every draft


def common(charter: Charter, author: Author) -> dict[str, Any]:
    """The fields every body has."""
    return {
        "case": charter.case,
        "n": charter.n + 1,
        "prev": charter.head,
        "chain": author.chain,
        "by": author.device,
        "at": author.at,
    }


def person_of(charter: Charter, author: Author) -> Person:
    person = charter.person_of(author.device)
    if person is None:
        raise Misuse("not_permitted", "this device does not belong to the case")
    return person


def author_with(author: Author, keyring: Keyring) -> Author:
    """The author holding other keys."""
    return replace(author, keyring=keyring)


def preview(charter: Charter, author: Author, body: AnyBody) -> Charter:
    """The charter as it will be, but for number and hash. Raises ``Inadmissible`` as the fold would."""
    return apply(charter, person_of(charter, author), body, author.schema)


class Secrets:
    """Rooms made and turned in one entry, and who is to get their secrets."""

    def __init__(self, charter: Charter, author: Author) -> None:
        self._charter = charter
        self._author = author
        self.made: dict[tuple[str, int], RoomSecret] = {}

    def new(self, name: str, roles: Sequence[str], people: Iterable[PersonId], case: CaseId) -> RoomEntry:
        secret = RoomSecret(self._author.random(32))
        self.made[name, 1] = secret
        commit = commitment(case, name, 1, secret)
        return RoomEntry(name, cast(tuple[Role, ...], tuple(roles)), tuple(sorted(people)), 1, commit)

    def turn(self, after: Charter, name: str, people: Iterable[PersonId] | None = None) -> RoomEntry:
        """The room's next epoch, linked to the present one. ``after`` says who is still listed."""
        room = after.rooms[name]
        before = self._author.keyring.secret(name, room.epoch)
        if before is None:
            raise Misuse("not_permitted", f"this device does not hold the newest secret of {name} yet")
        return self._next(after, room, before, people)

    def restart(self, after: Charter, name: str, people: Iterable[PersonId]) -> RoomEntry:
        """The next epoch of a room whose secret is lost."""
        return self._next(after, after.rooms[name], None, people)

    def _next(
        self, after: Charter, room: Room, before: RoomSecret | None, people: Iterable[PersonId] | None
    ) -> RoomEntry:
        epoch, secret = room.next_epoch, RoomSecret(self._author.random(32))
        self.made[room.name, epoch] = secret
        case = after.case
        link = b"" if before is None else seal_link(case, room.name, epoch, secret, before)
        listed = tuple(sorted(room.people if people is None else people))
        roles = cast(tuple[Role, ...], room.roles)
        return RoomEntry(room.name, roles, listed, epoch, commitment(case, room.name, epoch, secret), link)

    def ring(self) -> Keyring:
        """The author's keyring with these."""
        ring = self._author.keyring.copy()
        for (room, epoch), secret in self.made.items():
            ring.add(room, epoch, secret)
        return ring

    def bags(self, after: Charter) -> dict[DeviceId, list[Given]]:
        """What every device of these rooms is to be given, the author's own included: it may lose its store."""
        found: dict[DeviceId, list[Given]] = {}
        for (room, epoch), secret in self.made.items():
            for device in after.devices_in(room):
                found.setdefault(device, []).append((room, epoch, secret))
        return found


def rekeys(charter: Charter, after: Charter, author: Author, turned: Iterable[str]) -> list[StreamId]:
    """The streams whose locks the author can turn: those of the rooms turned, and those nobody writes any more."""
    wanted = set(after.streams_of_rooms(turned))
    for stream in after.live_streams():
        write = after.stream_rooms(stream).write
        if write is not None and write in charter.rooms and charter.audience(write) and not after.audience(write):
            wanted.add(stream)
    over = past_their_date(after, author.at)
    return [s for s in after.live_streams() if s in wanted - over and can_rekey(charter, author, s)]


def past_their_date(charter: Charter, now: int) -> set[StreamId]:
    """Streams the relay has closed by itself: a rekey of one would undo the whole exchange."""
    over = {invitation.doorstep for invitation in charter.invitations.values() if invitation.expires <= now}
    for grant in charter.grants.values():
        if grant.until <= now:
            over |= {grant.doorstep, grant.down, grant.up}
    return over


def dropped_streams(charter: Charter, after: Charter, author: Author) -> list[StreamId]:
    """Streams that this entry puts out of use, as far as the author manages them: doors that close, parts founded anew."""
    live = set(after.live_streams())
    return [stream for stream in charter.live_streams() if stream not in live and can_rekey(charter, author, stream)]


def can_rekey(charter: Charter, author: Author, stream: StreamId) -> bool:
    try:
        manage = charter.stream_rooms(stream).manage
    except Misuse:
        return False  # opened by this very entry
    return _held(charter, author.keyring, manage) is not None


def opening(
    after: Charter, ring: Keyring, stream: StreamId, manage: CapabilityHash | None = None, expires: int | None = None
) -> Opening:
    """How a stream of rooms is opened. ``manage``: that of a blank, where the author is not in the room that
    manages."""
    read, append, own = capability_hashes(after, ring, stream)
    if stream == after.keys_stream and ring.keys_secret is not None:
        read = _hash(capability.read_capability(ring.keys_secret, stream, 0))
    manage = manage or own
    if read is None or append is None or manage is None:
        raise Misuse(
            "not_permitted", "this device lacks a secret to open a stream with; an owner gives blanks for that"
        )
    return Opening(stream, read, append, manage, expires)


def doorstep_opening(
    charter: Charter, author: Author, room: str, stream: StreamId, seed: bytes, expires: int
) -> Opening:
    held = _held(charter, author.keyring, room)
    if held is None:
        raise Misuse("not_permitted", "this device lacks the secret that the doorstep is managed with")
    return Opening(stream, *door.open_hashes(seed, stream, held[1], held[0]), expires=expires)


def part_rooms(
    charter: Charter,
    secrets: Secrets,
    author: Author,
    names: Mapping[str, tuple[str, PersonId | None]],
    case: CaseId,
    blanks: Sequence[Blank] = (),
) -> tuple[list[RoomEntry], list[PartEntry], dict[StreamId, CapabilityHash]]:
    """The rooms that are not there yet, the parts, and the manage hashes of the blanks used. ``names``: part to kind
    and person."""
    rooms: dict[str, RoomEntry] = {}
    parts, used, left = [], {}, list(blanks)
    for name, (kind, about) in names.items():
        wanted = author.schema.rooms_for(kind, about)
        if wanted is None:
            raise Misuse("no_such_part", f"the schema knows no part {kind}")
        for rule in (wanted.read, wanted.write, wanted.manage):
            if rule.name not in charter.rooms and rule.name not in rooms:
                rooms[rule.name] = secrets.new(rule.name, rule.roles, rule.people, case)
        stream = StreamId(author.random(16))
        if wanted.manage.name in charter.rooms and _held(charter, author.keyring, wanted.manage.name) is None:
            if not left:
                raise Misuse("not_permitted", f"to found {name} an owner's device must give a blank first")
            stream, used[left[0].stream] = left[0].stream, left[0].manage
            left = left[1:]
        parts.append(PartEntry(name, stream, wanted.read.name, wanted.write.name, wanted.manage.name))
    return list(rooms.values()), parts, used
