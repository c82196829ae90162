"""Rooms: their names, the secrets of their epochs, and the links from one epoch to the one before. Spec:
docs/spec/charter.md."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import CaseId, GrantId, PersonId, RoomSecret
from eigenkring.wire import check_keys
from eigenkring_crypto.kdf import derive, label, sha256, u32

if TYPE_CHECKING:
    from eigenkring.charter.state import Charter

ROLES: Final = ("owner", "member", "child", "coordinator")
OWNERS: Final = "owner"
CIRCLE: Final = "owner+member"
EVERYONE: Final = "owner+member+child+coordinator"
SECRET_BYTES: Final = 32

_PART = re.compile(r"([a-z]{1,32})(?:@([0-9a-f]{16}))?", re.ASCII)
_GRANT_ROOM = re.compile(r"grant@([0-9a-f]{32})", re.ASCII)
_NOT_A_KIND = frozenset((*ROLES, "grant"))


# --- names


def room_name(roles: Iterable[str], people: Iterable[PersonId], part: str | None = None) -> str:
    """The name that follows from a rule; ``part`` (or ``grant@..``) where the room belongs to one."""
    roles, people = set(roles), list(people)
    if part is not None:
        return part
    if roles and not people and roles <= set(ROLES):
        return "+".join(role for role in ROLES if role in roles)
    if len(people) == 1 and not roles:
        return own_room(people[0])
    raise Misuse("bad_argument", "a room of roles and people belongs to one part")


def own_room(person: PersonId) -> str:
    return f"@{person.hex()}"


def grant_room(grant: GrantId) -> str:
    return f"grant@{grant.hex()}"


def about(room: str) -> PersonId | None:
    """The person a room (or a part) is about."""
    _, at, person = room.partition("@")
    return PersonId(bytes.fromhex(person)) if at and len(person) == 16 else None


def part_of(name: str) -> tuple[str, PersonId | None] | None:
    """Kind and person of a part's name; None where it is no such name."""
    match = _PART.fullmatch(name)
    if match is None or match[1] in _NOT_A_KIND:
        return None
    return match[1], PersonId(bytes.fromhex(match[2])) if match[2] else None


def follows_from_rule(name: str, roles: tuple[str, ...], people: tuple[PersonId, ...]) -> bool:
    """Whether the name is the one of this rule, written in the one way there is."""
    if list(roles) != [role for role in ROLES if role in roles] or list(people) != sorted(set(people)):
        return False
    if _GRANT_ROOM.fullmatch(name):
        return "+".join(roles) == CIRCLE and not people
    if part_of(name) is not None:
        # Nobody would turn a room that is about nobody and has no owner.
        return "owner" in roles or about(name) is not None
    if roles and not people:
        return name == "+".join(roles) and "owner" in roles
    return len(people) == 1 and not roles and name == own_room(people[0])


# --- secrets


def commitment(case: CaseId, room: str, epoch: int, secret: bytes) -> bytes:
    """What the charter says of a secret: whoever hands out another one is found out."""
    return sha256(label("room commitment"), case, u32(epoch), _sized(secret), room.encode())


def seal_link(case: CaseId, room: str, epoch: int, secret: bytes, before: bytes) -> bytes:
    """The secret of the epoch before, under that of ``epoch``. Its mask is used for this one link, so XOR hides it;
    that it was not changed on the way is what the commitment tells."""
    return _mask(case, room, epoch, secret, _sized(before))


def open_link(case: CaseId, room: str, epoch: int, secret: bytes, link: bytes) -> RoomSecret:
    """The secret of the epoch before. Compare it with the commitment before use: there is no tag."""
    if len(link) != SECRET_BYTES:
        raise Inadmissible("wrong_secret", "a link is 32 bytes")
    return RoomSecret(_mask(case, room, epoch, secret, link))


def _mask(case: CaseId, room: str, epoch: int, secret: bytes, data: bytes) -> bytes:
    mask = derive(_sized(secret), "room link", case + u32(epoch) + room.encode())
    return bytes(a ^ b for a, b in zip(mask, data, strict=True))


def _sized(secret: bytes) -> RoomSecret:
    if len(secret) != SECRET_BYTES:
        raise Inadmissible("wrong_secret", "a room secret is 32 bytes")
    return RoomSecret(secret)


class _Dump(msgspec.Struct, frozen=True):
    rooms: list[tuple[str, int, bytes]]
    keys: bytes | None = None
    v: int = 1


_dump_decoder = msgspec.msgpack.Decoder(_Dump)


class Keyring:
    """The room secrets a device holds, by room and epoch, and ``keys_secret``, the S of the keys stream."""

    __slots__ = ("_secrets", "keys_secret")

    def __init__(self, keys_secret: bytes | None = None) -> None:
        self._secrets: dict[str, dict[int, RoomSecret]] = {}
        self.keys_secret = keys_secret

    def __repr__(self) -> str:
        return f"Keyring({len(self)} secrets)"

    def __len__(self) -> int:
        return sum(len(epochs) for epochs in self._secrets.values())

    def __iter__(self) -> Iterator[tuple[str, int, RoomSecret]]:
        for room in sorted(self._secrets):
            for epoch in sorted(self._secrets[room]):
                yield room, epoch, self._secrets[room][epoch]

    def copy(self) -> Keyring:
        other = Keyring(self.keys_secret)
        other._secrets = {room: dict(epochs) for room, epochs in self._secrets.items()}
        return other

    def add(self, room: str, epoch: int, secret: bytes) -> None:
        """Keeps it unchecked: a newcomer needs a secret to read the charter that tells whether it is right. Then
        ``sift``."""
        self._secrets.setdefault(room, {})[epoch] = _sized(secret)

    def drop(self, which: Iterable[tuple[str, int]]) -> None:
        for room, epoch in which:
            self._secrets.get(room, {}).pop(epoch, None)

    def secret(self, room: str, epoch: int) -> RoomSecret | None:
        return self._secrets.get(room, {}).get(epoch)

    def newest(self, room: str) -> tuple[int, RoomSecret] | None:
        epochs = self._secrets.get(room)
        return None if not epochs else (max(epochs), epochs[max(epochs)])

    def check(self, charter: Charter, room: str, epoch: int, secret: bytes) -> None:
        """Raises ``Inadmissible("wrong_secret")`` unless the charter commits to this secret."""
        known = charter.rooms.get(room)
        commit = None if known is None else known.commits.get(epoch)
        if commit is None or not hmac.compare_digest(commit, commitment(charter.case, room, epoch, secret)):
            raise Inadmissible("wrong_secret", "not the secret the charter commits to")

    def sift(self, charter: Charter) -> list[tuple[str, int]]:
        """Drops what the charter does not commit to and says what it was. A room or epoch newer than this charter
        stays."""
        dropped = []
        for room, epoch, secret in list(self):
            known = charter.rooms.get(room)
            if known is None or epoch > known.epoch:
                continue
            try:
                self.check(charter, room, epoch, secret)
            except Inadmissible:
                del self._secrets[room][epoch]
                dropped.append((room, epoch))
        return dropped

    def open_history(self, charter: Charter) -> list[tuple[str, int]]:
        """Walks the links back, adding every earlier secret. Returns the (room, epoch) whose link leads to nothing:
        whoever turned it there shut joiners out of the history, which must not keep them out of the present."""
        broken = []
        for name, room in charter.rooms.items():
            epochs = sorted(room.commits, reverse=True)
            for epoch, before in pairwise(epochs):
                secret = self.secret(name, epoch)
                link = room.links.get(epoch, b"")
                if secret is None or not link or self.secret(name, before) is not None:
                    continue
                earlier = open_link(charter.case, name, epoch, secret, link)
                try:
                    self.check(charter, name, before, earlier)
                except Inadmissible:
                    broken.append((name, epoch))
                else:
                    self.add(name, before, earlier)
        return broken

    def dump(self) -> bytes:
        """For the device's private store, which encrypts it."""
        return msgspec.msgpack.encode(_Dump(list(self), self.keys_secret))

    @classmethod
    def load(cls, data: bytes) -> Keyring:
        """``ValueError`` for other bytes: only this program wrote them."""
        try:
            check_keys(data)
            dump = _dump_decoder.decode(data)
        except msgspec.DecodeError as error:
            raise ValueError("not a keyring") from error
        ring = cls(dump.keys)
        for room, epoch, secret in dump.rooms:
            ring.add(room, epoch, secret)
        return ring
