"""The entries of the charter as bytes: one Struct per kind. Spec: docs/spec/charter.md.

What is signed and hashed are the bytes received; a Struct is what they say. Nothing here knows whether an entry is
allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, GrantId, InvitationId, PersonId, StreamId
from eigenkring.wire import MAX_RECORD_BYTES, check_keys
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.kdf import label, sha256
from eigenkring_crypto.sign import SigningKey, sign, verify

ZERO_HASH: Final = EntryHash(bytes(32))
MAX_INTEGER: Final = 2**53 - 1  # beyond it a JavaScript number is another number

Role: TypeAlias = Literal["owner", "member", "child", "coordinator"]
Sleeping: TypeAlias = Literal["", "link", "paper"]

_8 = msgspec.Meta(min_length=8, max_length=8)
_16 = msgspec.Meta(min_length=16, max_length=16)
_32 = msgspec.Meta(min_length=32, max_length=32)
_64 = msgspec.Meta(min_length=64, max_length=64)
_Case = Annotated[CaseId, _16]
_Person = Annotated[PersonId, _8]
_Device = Annotated[DeviceId, _16]
_Stream = Annotated[StreamId, _16]
_Grant = Annotated[GrantId, _16]
_Invitation = Annotated[InvitationId, _16]
_Hash = Annotated[EntryHash, _32]
_Chain = Annotated[Chain, _32]
_Key = Annotated[bytes, _32]
_Signature = Annotated[bytes, _64]
_Link = Annotated[bytes, msgspec.Meta(max_length=32)]
_U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
_Integer = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]


class Keys(msgspec.Struct, frozen=True):
    """The public keys of a device."""

    sign: _Key
    box: Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]


class RoomEntry(msgspec.Struct, frozen=True):
    room: str
    roles: tuple[Role, ...]
    people: tuple[_Person, ...]
    epoch: _Count
    commit: _Key
    link: _Link = b""


class PartEntry(msgspec.Struct, frozen=True):
    part: str
    stream: _Stream
    read: str
    write: str
    manage: str


class CutEntry(msgspec.Struct, frozen=True):
    stream: _Stream
    # (tag of the actor, sequence of its last change that stands, mark of that change)
    actors: tuple[tuple[Annotated[bytes, _16], _Count, _Key], ...]


class Approval(msgspec.Struct, frozen=True):
    by: _Device
    sig: _Signature


class Body(msgspec.Struct, frozen=True, kw_only=True, tag_field="what"):
    """What every entry says."""

    v: Literal[1] = 1
    case: _Case
    n: _Count
    prev: _Hash
    chain: _Chain
    by: _Device
    at: _Integer


class Found(Body, frozen=True, kw_only=True, tag="found"):
    title: str
    keys: _Stream
    person: _Person
    name: str
    role: Literal["owner", "coordinator"]
    device: Keys
    rooms: tuple[RoomEntry, ...]
    parts: tuple[PartEntry, ...]


class Invite(Body, frozen=True, kw_only=True, tag="invite"):
    invitation: _Invitation
    person: _Person
    name: str
    role: Role
    doorstep: _Stream
    seed_key: _Key
    expires: _Integer
    compare: bool
    terms: bytes = b""
    act: bytes = b""
    approvals: tuple[Approval, ...] = ()


class Readmit(Body, frozen=True, kw_only=True, tag="readmit"):
    invitation: _Invitation
    person: _Person
    name: str
    doorstep: _Stream
    seed_key: _Key
    expires: _Integer
    compare: bool
    terms: bytes = b""
    act: bytes = b""
    approvals: tuple[Approval, ...] = ()


class Cancel(Body, frozen=True, kw_only=True, tag="cancel"):
    invitation: _Invitation


class Join(Body, frozen=True, kw_only=True, tag="join"):
    invitation: _Invitation | None = None
    grant: _Grant | None = None
    statement: bytes
    seed_sig: _Signature
    device_sig: _Signature


class RoomChange(Body, frozen=True, kw_only=True, tag="room"):
    rooms: tuple[RoomEntry, ...]
    cuts: tuple[CutEntry, ...] = ()
    locks: tuple[tuple[_Stream, _Key], ...] = ()


class PartChange(Body, frozen=True, kw_only=True, tag="part"):
    rooms: tuple[RoomEntry, ...] = ()
    parts: tuple[PartEntry, ...]


class RemovePerson(Body, frozen=True, kw_only=True, tag="remove_person"):
    person: _Person
    rooms: tuple[RoomEntry, ...] = ()
    cuts: tuple[CutEntry, ...] = ()
    act: bytes = b""
    approvals: tuple[Approval, ...] = ()


class Leave(Body, frozen=True, kw_only=True, tag="leave"):
    pass


class AddDevice(Body, frozen=True, kw_only=True, tag="add_device"):
    device: Keys
    sleeping: Sleeping
    device_sig: _Signature


class RemoveDevice(Body, frozen=True, kw_only=True, tag="remove_device"):
    devices: tuple[_Device, ...]
    rooms: tuple[RoomEntry, ...] = ()
    cuts: tuple[CutEntry, ...] = ()
    locks: tuple[tuple[_Stream, _Key], ...] = ()


class SetRole(Body, frozen=True, kw_only=True, tag="set_role"):
    person: _Person
    role: Role
    until: _Integer | None = None
    rooms: tuple[RoomEntry, ...] = ()
    cuts: tuple[CutEntry, ...] = ()
    act: bytes = b""
    approvals: tuple[Approval, ...] = ()


class HandOver(Body, frozen=True, kw_only=True, tag="hand_over"):
    person: _Person


class GrantEntry(Body, frozen=True, kw_only=True, tag="grant"):
    grant: _Grant
    doorstep: _Stream
    down: _Stream
    up: _Stream
    seed_key: _Key
    granter_key: _Key
    until: _Integer
    terms: bytes
    rooms: tuple[RoomEntry, ...]


class Withdraw(Body, frozen=True, kw_only=True, tag="withdraw"):
    grant: _Grant


class Expire(Body, frozen=True, kw_only=True, tag="expire"):
    grant: _Grant | None = None
    person: _Person | None = None
    rooms: tuple[RoomEntry, ...] = ()
    cuts: tuple[CutEntry, ...] = ()


class Adopt(Body, frozen=True, kw_only=True, tag="adopt"):
    dropped: tuple[tuple[_Count, _Hash], ...]
    floors: tuple[tuple[str, _Count], ...]


class Close(Body, frozen=True, kw_only=True, tag="close"):
    act: bytes = b""
    approvals: tuple[Approval, ...] = ()


AnyBody: TypeAlias = (
    Found
    | Invite
    | Readmit
    | Cancel
    | Join
    | RoomChange
    | PartChange
    | RemovePerson
    | Leave
    | AddDevice
    | RemoveDevice
    | SetRole
    | HandOver
    | GrantEntry
    | Withdraw
    | Expire
    | Adopt
    | Close
)


class Outline(msgspec.Struct, frozen=True):
    """What every version of an entry says, so that its author is known before its meaning is."""

    v: _U32
    case: _Case
    n: _Count
    prev: _Hash
    chain: _Chain
    by: _Device
    at: _Integer
    what: str


class _Payload(msgspec.Struct, frozen=True):
    body: bytes
    sig: _Signature


@dataclass(frozen=True, slots=True)
class Entry:
    """``body`` is None where this program does not know the version or the kind."""

    outline: Outline
    body: AnyBody | None
    body_bytes: bytes
    sig: bytes
    hash: EntryHash
    payload: bytes

    def verify(self, sign_key: bytes) -> None:
        """Raises ``Inadmissible("bad_entry")`` unless this key signed these bytes for this case."""
        try:
            verify(sign_key, "charter", self.outline.case, self.body_bytes, self.sig)
        except BadSignature:
            raise Inadmissible("bad_entry", "a signature does not hold", self.outline.by.hex()) from None


VERSION: Final = 1
_encoder = msgspec.msgpack.Encoder()
_payload_decoder = msgspec.msgpack.Decoder(_Payload)
_outline_decoder = msgspec.msgpack.Decoder(Outline)
_body_decoder: msgspec.msgpack.Decoder[AnyBody] = msgspec.msgpack.Decoder(AnyBody)
KINDS: Final = frozenset(
    "found invite readmit cancel join room part remove_person leave add_device remove_device set_role hand_over grant "
    "withdraw expire adopt close".split()
)
# RecursionError: brackets by the million. UnicodeDecodeError is a ValueError.
NONSENSE: Final = (msgspec.DecodeError, ValueError, RecursionError)


def entry_hash(payload: bytes) -> EntryHash:
    return EntryHash(sha256(label("entry"), payload))


def device_id(case: CaseId, keys: Keys) -> DeviceId:
    """Of its keys in this case: nobody can claim another device's id, or show that two cases have one phone."""
    return DeviceId(sha256(label("device"), case, keys.sign, keys.box)[:16])


def sign_entry(body: AnyBody, key: SigningKey) -> bytes:
    """The payload of an entry: the body's bytes and the device's signature over them."""
    body_bytes = _encoder.encode(body)
    return _encoder.encode(_Payload(body_bytes, sign(key, "charter", body.case, body_bytes)))


@lru_cache(maxsize=1_024)
def parse_entry(payload: bytes) -> Entry:
    """Raises ``Inadmissible("bad_entry")``: two readers of these bytes would not read the same, or they say too
    little."""
    if len(payload) > MAX_RECORD_BYTES:
        raise Inadmissible("bad_entry", "an entry is longer than a record")
    try:
        check_keys(payload)
        outer = _payload_decoder.decode(payload)
        # msgspec takes the last of two equal keys, others the first: one signature would cover two meanings.
        check_keys(outer.body)
        outline = _outline_decoder.decode(outer.body)
        known = outline.v == VERSION and outline.what in KINDS
        body = _body_decoder.decode(outer.body) if known else None
    except NONSENSE:
        # The reason is not repeated: it may hold a piece of what was written.
        raise Inadmissible("bad_entry", "an entry does not decode") from None
    return Entry(outline, body, outer.body, outer.sig, entry_hash(payload), payload)
