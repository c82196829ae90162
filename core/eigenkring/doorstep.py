"""Knocking: the greeting, the knock and the welcome on a doorstep. Spec: docs/spec/charter.md, Doorstep.

A link carries a seed that opens nothing: it lets a visitor lay a statement with fresh device keys on a doorstep.
"""

from __future__ import annotations

import hmac as _hmac
from typing import Annotated, Final, TypeVar

import msgspec

from eigenkring.charter.entry import MAX_INTEGER, NONSENSE, Keys, device_id
from eigenkring.errors import Ended, Inadmissible
from eigenkring.ids import CapabilityHash, CaseId, DeviceId, RoomSecret, StreamId
from eigenkring.shelf import Shelf
from eigenkring.wire import check_keys
from eigenkring_crypto import capability
from eigenkring_crypto.box import BoxKey, open_box, seal_box
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import derive, hmac, label, sha256
from eigenkring_crypto.seal import open_sealed, seal
from eigenkring_crypto.sign import SigningKey, sign, verify

PERSON: Final = 1
VIEW: Final = 2
OWN_DEVICE: Final = 3
LINK_USED: Final = "link_used"

_16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
_Box = Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]
_Integer = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """Record 1. ``invitation`` is the grant's id for kind 2, the doorstep's for kind 3."""

    kind: Annotated[int, msgspec.Meta(ge=1, le=3)]
    case: _16
    invitation: _16
    box: _Box
    from_: str = msgspec.field(name="from")
    name: str
    role: str = ""
    compare: bool
    expires: _Integer
    n: _Integer
    head: _32
    granter_key: _32 | None = None


class Statement(msgspec.Struct, frozen=True):
    case: _16
    invitation: _16
    name: str
    sign: _32
    box: _Box

    @property
    def keys(self) -> Keys:
        return Keys(self.sign, self.box)


class Knock(msgspec.Struct, frozen=True):
    """What the visitor laid down; the three fields go into the ``join`` entry as they are."""

    statement: bytes
    seed_sig: _64
    device_sig: _64


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """For a person: where the keys are, and which charter they were let into. ``shelf``: for an own device (shelf.md)."""

    case: _16
    keys: _16
    secret: _32
    n: _Integer
    head: _32
    shelf: Shelf | None = None


class _Knocked(msgspec.Struct, frozen=True):
    box: bytes


class _Welcomed(msgspec.Struct, frozen=True, omit_defaults=True):
    to: _16
    box: bytes | None = None
    code: str | None = None
    nonce: _32 | None = None
    mac: _32 | None = None


class _Terms(msgspec.Struct, frozen=True):
    seed: _32


_encode = msgspec.msgpack.encode


# --- keys of a doorstep


def read_secret(seed: bytes, doorstep: StreamId) -> bytes:
    """S of the doorstep, with epoch 0."""
    return derive(seed, "doorstep read", doorstep)


def write_secret(seed: bytes, doorstep: StreamId) -> bytes:
    """W of the doorstep, with epoch 0."""
    return derive(seed, "doorstep write", doorstep)


def seed_key(seed: bytes, doorstep: StreamId) -> SigningKey:
    return SigningKey.from_seed(derive(seed, "doorstep sign", doorstep))


def knock_key(room_secret: RoomSecret, doorstep: StreamId) -> BoxKey:
    """Held by the whole room that manages the doorstep: whoever of it is online opens the knock."""
    return BoxKey.from_seed(derive(room_secret, "doorstep box", doorstep))


def open_hashes(
    seed: bytes, doorstep: StreamId, manage_room: RoomSecret, manage_epoch: int
) -> tuple[CapabilityHash, CapabilityHash, CapabilityHash]:
    """The capability hashes with which a doorstep is opened: read, append, manage."""
    manage = capability.manage_secret(manage_room, doorstep)
    return (
        _hash(capability.read_capability(read_secret(seed, doorstep), doorstep, 0)),
        _hash(capability.append_capability(write_secret(seed, doorstep), doorstep, 0)),
        _hash(capability.manage_capability(manage, doorstep, manage_epoch)),
    )


def _hash(cap: bytes) -> CapabilityHash:
    return CapabilityHash(capability.capability_hash(cap))


# --- greeting


def make_greeting(greeting: Greeting) -> bytes:
    return _encode(greeting)


def greeting_pin(payload: bytes) -> bytes:
    """What the link holds of the greeting: 32 bytes keep a QR code small."""
    return sha256(label("greeting"), payload)


def open_greeting(payload: bytes, pin: bytes) -> Greeting:
    """Raises ``wrong_pin``: without it the relay could put its own knock key there and be let in by the visitor's
    words."""
    if not _hmac.compare_digest(greeting_pin(payload), pin):
        raise Inadmissible("wrong_pin", "the greeting is not the one the link was made for")
    return _decode(payload, Greeting, "bad_entry")


# --- knock


def sign_statement(greeting: Greeting, doorstep: StreamId, seed: bytes, keys: DeviceKeys, name: str) -> Knock:
    statement = _encode(Statement(greeting.case, greeting.invitation, name, keys.sign.public, keys.box.public))
    return Knock(
        statement,
        sign(seed_key(seed, doorstep), "statement", doorstep, statement),
        sign(keys.sign, "statement", doorstep, statement),
    )


def make_knock(greeting: Greeting, doorstep: StreamId, seed: bytes, keys: DeviceKeys, name: str) -> bytes:
    knock = sign_statement(greeting, doorstep, seed, keys, name)
    return _encode(_Knocked(seal_box(greeting.box, "knock", doorstep + greeting.invitation, _encode(knock))))


def open_knock(payload: bytes, key: BoxKey, doorstep: StreamId, invitation: bytes) -> Knock:
    """Raises ``bad_statement`` for all that is no knock: whoever holds the link can write such a thing."""
    outer = _decode(payload, _Knocked, "bad_statement")
    try:
        content = open_box(key, "knock", doorstep + invitation, outer.box)
    except CryptoError:
        raise Inadmissible("bad_statement", "a knock does not open") from None
    return _decode(content, Knock, "bad_statement")


def check_statement(
    knock: Knock, case: CaseId, invitation: bytes, doorstep: StreamId, seed_sign_key: bytes
) -> tuple[Statement, DeviceId]:
    """The statement and the device it is of. Raises ``bad_statement``: for another case or door, not by the holder of
    the link, or with a device key that did not sign it (somebody else's device would be put in this person's name)."""
    statement = _decode(knock.statement, Statement, "bad_statement")
    if statement.case != case or statement.invitation != invitation:
        raise Inadmissible("bad_statement", "a statement for another door")
    try:
        verify(seed_sign_key, "statement", doorstep, knock.statement, knock.seed_sig)
        verify(statement.sign, "statement", doorstep, knock.statement, knock.device_sig)
    except CryptoError:
        raise Inadmissible("bad_statement", "a statement is not signed by link and device") from None
    return statement, device_id(case, statement.keys)


# --- welcome


def make_welcome(doorstep: StreamId, device: DeviceId, box_key: bytes, content: bytes) -> bytes:
    """``content``: ``encode_welcome`` for a person; for a grant see view.md."""
    return _encode(_Welcomed(device, seal_box(box_key, "welcome", doorstep + device, content)))


def make_refusal(device: DeviceId) -> bytes:
    """The answer to whoever knocks second."""
    return _encode(_Welcomed(device, code=LINK_USED))


def encode_welcome(welcome: Welcome) -> bytes:
    return _encode(welcome)


def welcome_for(payload: bytes, device: DeviceId) -> bool:
    """Whether this record of the doorstep is an answer (not a nonce) to this device."""
    try:
        welcomed = _decode(payload, _Welcomed, "bad_entry")
    except Inadmissible:
        return False
    return welcomed.to == device and (welcomed.box is not None or welcomed.code is not None)


def used_by(payload: bytes) -> DeviceId | None:
    """The device that this record of the doorstep lets in. Who reads of another device than the own came too late."""
    try:
        welcomed = _decode(payload, _Welcomed, "bad_entry")
    except Inadmissible:
        return None
    return None if welcomed.box is None else DeviceId(welcomed.to)


def open_welcome(payload: bytes, doorstep: StreamId, device: DeviceId, key: BoxKey) -> bytes:
    """The content. Raises ``Ended("link_used")`` where another one was first, ``not_for_me``, ``bad_entry``."""
    welcomed = _decode(payload, _Welcomed, "bad_entry")
    if welcomed.to != device:
        raise Inadmissible("not_for_me", "a welcome for another device")
    if welcomed.box is None:
        # Not authenticated beyond the doorstep: it can keep a visitor out, which the relay can anyway.
        raise Ended("link_used") if welcomed.code == LINK_USED else Inadmissible("bad_entry", "an empty welcome")
    try:
        return open_box(key, "welcome", doorstep + device, welcomed.box)
    except CryptoError:
        raise Inadmissible("not_for_me", "a welcome does not open") from None


def decode_welcome(content: bytes) -> Welcome:
    return _decode(content, Welcome, "bad_entry")


# --- the seed, for the other devices of the room


def seal_seed(room_secret: RoomSecret, epoch: int, doorstep: StreamId, seed: bytes, nonce: bytes) -> bytes:
    """``terms`` of an invite: so that any device of the room answers the knock, not only the one that made the link."""
    return seal(derive(room_secret, "invite terms", doorstep), doorstep, epoch, _encode(_Terms(seed)), nonce)


def open_seed(room_secret: RoomSecret, doorstep: StreamId, terms: bytes) -> bytes:
    """Raises ``Inadmissible("bad_entry")``: the inviter sealed something else, or for another door."""
    try:
        opened = open_sealed(derive(room_secret, "invite terms", doorstep), doorstep, terms)[1]
    except CryptoError:
        raise Inadmissible("bad_entry", "terms of an invitation do not open") from None
    return _decode(opened, _Terms, "bad_entry").seed


# --- comparing words


def nonce_for(room_secret: RoomSecret, doorstep: StreamId, statement: bytes) -> bytes:
    """What the circle adds to a statement that lies on the doorstep: whoever wrote it could not know it. The same on every
    device of the room, so that two of them online at once show the same words."""
    return derive(room_secret, "doorstep nonce", doorstep + sha256(statement))


def make_nonce(device: DeviceId, knock: Knock, doorstep: StreamId, nonce: bytes) -> bytes:
    """The record that brings the nonce to the visitor."""
    return _encode(_Welcomed(device, nonce=nonce, mac=_nonce_mac(knock.device_sig, doorstep, nonce)))


def open_nonce(payload: bytes, device: DeviceId, device_sig: bytes, doorstep: StreamId) -> bytes | None:
    """The nonce for this device, None where the record is something else, or made by another one who holds the link: such a
    one would try nonces until the victim's screen shows the words of the thief's."""
    welcomed = _decode(payload, _Welcomed, "bad_entry")
    if welcomed.to != device or welcomed.nonce is None or welcomed.mac is None:
        return None
    right = _hmac.compare_digest(welcomed.mac, _nonce_mac(device_sig, doorstep, welcomed.nonce))
    return welcomed.nonce if right else None


def _nonce_mac(device_sig: bytes, doorstep: StreamId, nonce: bytes) -> bytes:
    # The signature lies sealed in the knock: only the visitor and whoever may open the door know it.
    return hmac(derive(device_sig, "nonce key", doorstep), "nonce", nonce)


def words_digest(statement: bytes, nonce: bytes) -> bytes:
    """For ``comparison_words``. Who wants other words to match would have to fix the statement before the nonce is
    known."""
    return sha256(label("words"), sha256(statement), nonce)


_T = TypeVar("_T", bound=msgspec.Struct)


def _decode(payload: bytes, kind: type[_T], code: str) -> _T:
    try:
        check_keys(payload)
        return msgspec.msgpack.decode(payload, type=kind)
    except NONSENSE:
        raise Inadmissible(code, f"no {kind.__name__.strip('_').lower()}") from None
