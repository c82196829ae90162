"""The folded charter: who belongs now, who may, and who might when. Spec: docs/spec/charter.md.

Immutable: every entry makes a new ``Charter`` that shares with the old one all that did not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from eigenkring.charter.entry import ZERO_HASH
from eigenkring.charter.log import Heads
from eigenkring.errors import Misuse
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, GrantId, InvitationId, PersonId, StreamId
from eigenkring.rooms import CIRCLE, EVERYONE, OWNERS, about, grant_room

# Entry numbers: the states [first, last), or from first on.
Span: TypeAlias = tuple[int, int | None]


class Person(msgspec.Struct, frozen=True):
    person: PersonId
    name: str
    role: str
    here: bool
    since_n: int
    until: int | None = None
    # The entry with which this person came back on other devices; 0 for never.
    readmitted_n: int = 0
    spans: tuple[tuple[int, int | None, str], ...] = ()


class Device(msgspec.Struct, frozen=True):
    device: DeviceId
    person: PersonId
    sign: bytes
    box: bytes
    sleeping: str
    since_n: int
    until_n: int | None = None

    @property
    def here(self) -> bool:
        return self.until_n is None

    def here_at(self, n: int) -> bool:
        return self.since_n <= n and (self.until_n is None or n < self.until_n)


class Room(msgspec.Struct, frozen=True):
    name: str
    roles: tuple[str, ...]
    people: frozenset[PersonId]
    epoch: int
    commits: Mapping[int, bytes]
    links: Mapping[int, bytes]
    since_n: Mapping[int, int]
    # Who turned it to that epoch, to name whoever gave a link that leads to nothing.
    by: Mapping[int, DeviceId]
    listed: Mapping[PersonId, tuple[Span, ...]]
    floor: int = 0
    due: bool = False

    @property
    def next_epoch(self) -> int:
        return 1 + max(self.epoch, self.floor)


class Part(msgspec.Struct, frozen=True):
    name: str
    kind: str
    about: PersonId | None
    stream: StreamId
    read: str
    write: str
    manage: str
    since_n: int


class Invitation(msgspec.Struct, frozen=True):
    invitation: InvitationId
    kind: str  # invite or readmit
    person: PersonId
    name: str
    role: str
    doorstep: StreamId
    seed_key: bytes
    expires: int
    compare: bool
    by: DeviceId
    n: int
    # The seed of the link, sealed for the other devices of the room that opens the door.
    terms: bytes = b""
    state: str = "open"  # open, used, closed
    joined_n: int | None = None
    device: DeviceId | None = None

    @property
    def manage(self) -> str:
        """The room whose secret gives M and the knock key of the doorstep."""
        return OWNERS if self.kind == "invite" else CIRCLE


class Grant(msgspec.Struct, frozen=True):
    grant: GrantId
    doorstep: StreamId
    down: StreamId
    up: StreamId
    seed_key: bytes
    granter_key: bytes
    granter: PersonId
    by: DeviceId
    until: int
    terms: bytes
    n: int
    ended_n: int | None = None
    # The recipient's, once they came.
    device: Device | None = None
    name: str = ""

    @property
    def open(self) -> bool:
        return self.ended_n is None

    @property
    def at_the_door(self) -> CaseId:
        """What stands for the case on this grant's doorstep: the case's own id would tie two readers' grants together."""
        return CaseId(self.grant)


class Cut(msgspec.Struct, frozen=True):
    stream: StreamId
    n: int
    read_epoch: int  # whose S made the tags and marks
    write_epoch: int  # the last epoch it binds
    devices: frozenset[DeviceId]
    actors: Mapping[bytes, tuple[int, bytes]]


class StreamRooms(NamedTuple):
    """None: not a room's secret but one that does not turn (a seed's, the keys stream's own)."""

    read: str | None
    write: str | None
    manage: str


class Charter(msgspec.Struct, frozen=True, kw_only=True):
    case: CaseId
    title: str = ""
    keys_stream: StreamId = StreamId(b"")
    founder: PersonId = PersonId(b"")
    # The coordinator who founded, until the hand-over: holds an owner's rights.
    acting: PersonId | None = None
    acting_until_n: int | None = None
    n: int = 0
    head: EntryHash = ZERO_HASH
    # The stream's chain that the newest entry saw.
    chain: Chain = Chain(b"")
    heads: Heads = Heads()
    people: Mapping[PersonId, Person] = {}
    devices: Mapping[DeviceId, Device] = {}
    invitations: Mapping[InvitationId, Invitation] = {}
    rooms: Mapping[str, Room] = {}
    parts: Mapping[str, Part] = {}
    # By stream, also those of parts that were founded anew since.
    part_streams: Mapping[StreamId, Part] = {}
    grants: Mapping[GrantId, Grant] = {}
    cuts: Mapping[StreamId, tuple[Cut, ...]] = {}
    # Append hashes of streams that their writers turned and their managers cannot compute: (epoch of the write room,
    # hash).
    locks: Mapping[StreamId, tuple[int, bytes]] = {}
    streams: frozenset[StreamId] = frozenset()
    # Entries of branches that were adopted away, with the last entry before they parted.
    dropped: Mapping[EntryHash, int] = {}
    owners_n: int = 0
    circle_n: int = 0
    closed_n: int | None = None

    # --- people

    def present(self) -> list[Person]:
        return [person for person in self.people.values() if person.here]

    def with_role(self, *roles: str) -> frozenset[PersonId]:
        return frozenset(p.person for p in self.people.values() if p.here and p.role in roles)

    def person_of(self, device: DeviceId) -> Person | None:
        known = self.devices.get(device)
        return None if known is None else self.people[known.person]

    def devices_of(self, person: PersonId) -> frozenset[DeviceId]:
        return frozenset(d.device for d in self.devices.values() if d.here and d.person == person)

    def is_owner(self, person: PersonId) -> bool:
        """An owner, or the founding coordinator while the case is not handed over."""
        known = self.people.get(person)
        return known is not None and known.here and (known.role == "owner" or person == self.acting)

    # --- rooms

    def audience(self, room: str) -> frozenset[PersonId]:
        known = self._room(room)
        found = {
            p.person for p in self.people.values() if p.here and (p.role in known.roles or p.person in known.people)
        }
        if room == OWNERS and self.acting is not None:
            found.add(self.acting)
        return frozenset(found)

    def devices_in(self, room: str) -> frozenset[DeviceId]:
        audience = self.audience(room)
        return frozenset(d.device for d in self.devices.values() if d.here and d.person in audience)

    def rooms_of(self, person: PersonId) -> list[str]:
        return sorted(room for room in self.rooms if person in self.audience(room))

    def turns(self, person: PersonId, room: str) -> bool:
        """Whether this person turns that room: owners where owners are, else the person it is about."""
        if person not in self.audience(room):
            return False
        return self.is_owner(person) if "owner" in self._room(room).roles else about(room) == person

    def due_rooms(self, person: PersonId | None = None) -> list[str]:
        """Rooms that someone left since their last turn and someone is still in; with ``person``, those that person
        turns."""
        return sorted(
            room.name
            for room in self.rooms.values()
            if room.due
            and any(self.turns(p, room.name) for p in (self.audience(room.name) if person is None else [person]))
        )

    def epoch_at(self, room: str, n: int) -> int | None:
        """The room's epoch at entry ``n``; None before it was made."""
        known = self.rooms.get(room)
        if known is None:
            return None
        return max((epoch for epoch, since in known.since_n.items() if since <= n), default=None)

    def devices_ever_in(self, room: str, epoch: int) -> frozenset[DeviceId]:
        known = self.rooms.get(room)
        if known is None or epoch not in known.since_n:
            return frozenset()
        return frozenset(d for d in self.devices if self.wrote_in_epoch(d, room, epoch))

    def wrote_in_epoch(self, device: DeviceId, room: str, epoch: int) -> bool:
        """Whether the device was in the room in any state that had this epoch: within one, rights only grow."""
        known, key = self.rooms.get(room), self.devices.get(device)
        if known is None or key is None or epoch not in known.since_n:
            return False
        if key.sleeping == "link":
            return False  # a device in an address reads, and writes not a word: who found it must show themselves first
        later = [since for other, since in known.since_n.items() if other > epoch]
        span = _common((known.since_n[epoch], min(later, default=None)), (key.since_n, key.until_n))
        if span is None:
            return False
        person = self.people[key.person]
        in_it: list[Span] = [(first, last) for first, last, role in person.spans if role in known.roles]
        # Someone on the list counts while they belong: the device's own span sees to that.
        in_it += known.listed.get(key.person, ())
        if room == OWNERS and key.person == self.founder and self.acting_until_n != 0:
            in_it.append((1, self.acting_until_n))
        return any(_common(span, other) is not None for other in in_it)

    # --- parts

    def may_read(self, person: PersonId, part: str) -> bool:
        return person in self.audience(self._part(part).read)

    def may_write(self, person: PersonId, part: str) -> bool:
        return person in self.audience(self._part(part).write)

    def manages(self, person: PersonId, stream: StreamId) -> bool:
        manage = self.stream_rooms(stream).manage
        return manage in self.rooms and person in self.audience(manage)

    def cut_for(self, stream: StreamId, device: DeviceId, epoch: int) -> Cut | None:
        """The cut that binds what this device attested in this epoch of the write room; the first one counts, so nobody
        widens it afterwards."""
        for cut in self.cuts.get(stream, ()):
            if device in cut.devices and epoch <= cut.write_epoch:
                return cut
        return None

    # --- streams

    def stream_rooms(self, stream: StreamId) -> StreamRooms:
        """Who reads, writes and manages any stream of the case, also one that was dropped or whose time is over."""
        if bytes(stream) == bytes(self.case):
            return StreamRooms(EVERYONE, EVERYONE, OWNERS)
        if stream == self.keys_stream:
            return StreamRooms(None, EVERYONE, OWNERS)
        part = self.part_streams.get(stream)
        if part is not None:
            return StreamRooms(part.read, part.write, part.manage)
        for invitation in self.invitations.values():
            if stream == invitation.doorstep:
                return StreamRooms(None, None, invitation.manage)
        for grant in self.grants.values():
            own = grant_room(grant.grant)
            if stream == grant.down:
                return StreamRooms(own, CIRCLE, CIRCLE)
            if stream == grant.up:
                return StreamRooms(own, own, CIRCLE)
            if stream == grant.doorstep:
                return StreamRooms(None, None if grant.device is None else CIRCLE, OWNERS)
        raise Misuse("bad_argument", "no stream of this case")

    def live_streams(self) -> list[StreamId]:
        """Every stream in use: the charter, keys, parts, doorsteps of open invitations, and those of grants."""
        found = [StreamId(self.case), self.keys_stream]
        found += [part.stream for part in self.parts.values()]
        found += [i.doorstep for i in self.invitations.values() if i.state == "open"]
        for grant in self.grants.values():
            if grant.open:
                found += [grant.doorstep, grant.down, grant.up]
        return found

    def streams_of_rooms(self, rooms: Iterable[str]) -> list[StreamId]:
        """The streams in use that one of these rooms reads, writes or manages."""
        wanted = set(rooms)
        return [stream for stream in self.live_streams() if not wanted.isdisjoint(self.stream_rooms(stream))]

    # --- entries

    def head_index(self, head: EntryHash) -> int | None:
        """The number of the entry with this hash, or of the one before its branch parted; None where it is of no entry
        known."""
        n = self.heads.index(head)
        return self.dropped.get(head) if n is None else n

    def _room(self, room: str) -> Room:
        known = self.rooms.get(room)
        if known is None:
            raise Misuse("bad_argument", "no such room")
        return known

    def _part(self, part: str) -> Part:
        known = self.parts.get(part)
        if known is None:
            raise Misuse("no_such_part")
        return known


def _common(a: Span, b: Span) -> Span | None:
    """The states two spans have in common; None where there are none."""
    first = max(a[0], b[0])
    ends = [end for end in (a[1], b[1]) if end is not None]
    last = min(ends, default=None)
    return None if last is not None and last <= first else (first, last)
