"""Keys, terms and states of a grant: what the family keeps, and what the recipient pins. Spec: docs/spec/view.md."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, GrantId, RoomSecret, StreamId
from eigenkring.view import MAX_INTEGER, Selection, Signed, unpack
from eigenkring_crypto.box import BoxKey, open_box, seal_box
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.kdf import derive
from eigenkring_crypto.seal import open_sealed, seal
from eigenkring_crypto.sign import SigningKey, sign, verify

PSEUDONYMS_BYTES: Final = 32
# As often as an owner can lose a device while one grant lasts, and more.
MAX_HEIRS: Final = 64

_16 = msgspec.Meta(min_length=16, max_length=16)
_32 = msgspec.Meta(min_length=32, max_length=32)
_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]


# --- keys that every device entitled to them grows, so that none has to travel


def granter_key(own_room: RoomSecret, grant: GrantId) -> SigningKey:
    """Signs the states of this grant: any device of the owner who gave it can. ``own_room`` is the secret of the room
    ``@owner`` in the epoch in which the grant was given."""
    return SigningKey.from_seed(derive(own_room, "granter", grant))


def publisher_key(circle: RoomSecret, grant: GrantId) -> SigningKey:
    """Signs the views: any device of the circle can, and the reader sees only the family."""
    return SigningKey.from_seed(derive(circle, "publisher", grant))


# --- terms: what the circle knows of a grant and the charter does not say


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """``compare``: four words are compared with the reader before any key is given. It stands here and not only in the
    greeting: a thief with the link, and a relay that helps, could lay another greeting there."""

    to: str
    selection: Selection
    until: _Number
    seed: Annotated[bytes, _32]
    pseudonyms: Annotated[bytes, _32]
    access: str
    compare: bool = False


_terms_decoder = msgspec.msgpack.Decoder(Terms)


def seal_terms(circle: RoomSecret, epoch: int, grant: GrantId, terms: Terms, nonce: bytes) -> bytes:
    return seal(derive(circle, "grant terms", grant), grant, epoch, msgspec.msgpack.encode(terms), nonce)


def open_terms(circle: RoomSecret, grant: GrantId, sealed: bytes) -> Terms:
    """``Unopenable`` (the crypto package's) for another secret or grant; ``Inadmissible("bad_view")`` for nonsense.
    ``Selection.check`` is to follow before anything is published: an owner signed the entry, not the schema."""
    terms: Terms = unpack(_terms_decoder, open_sealed(derive(circle, "grant terms", grant), grant, sealed)[1])
    return terms


def seal_author(pseudonyms: bytes, grant: GrantId, device: DeviceId, nonce: bytes) -> bytes:
    """Which device published, for the family alone. Epoch 0 and the grant's own secret: the circle's epoch would tell
    reader how often somebody left."""
    return seal(derive(pseudonyms, "view author", grant), grant, 0, device, nonce)


def open_author(pseudonyms: bytes, grant: GrantId, who: bytes) -> DeviceId:
    device = open_sealed(derive(pseudonyms, "view author", grant), grant, who)[1]
    if len(device) != 16:
        raise Inadmissible("bad_view", "no device published this view")
    return DeviceId(device)


# --- grant state: the secret that opens `down` and `up`, and who may publish


class GrantState(msgspec.Struct, frozen=True):
    grant: Annotated[GrantId, _16]
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    down: Annotated[StreamId, _16]
    up: Annotated[StreamId, _16]
    secret: Annotated[RoomSecret, _32]
    epoch: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    publisher: Annotated[bytes, _32]
    until: _Number
    to: str


class Heir(msgspec.Struct, frozen=True, array_like=True):
    """The granter's next key, signed by the one before: so that a lost device's key is worth nothing once it was read."""

    key: Annotated[bytes, _32]
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class SignedState(Signed, frozen=True, omit_defaults=True):
    """``heirs``: all the keys after the one in the charter, in order; the last one signed ``body``."""

    heirs: Annotated[tuple[Heir, ...], msgspec.Meta(max_length=MAX_HEIRS)] = ()


class _Welcome(msgspec.Struct, frozen=True):
    grant: Annotated[GrantId, _16]
    state: SignedState


class _Turned(msgspec.Struct, frozen=True):
    to: Annotated[DeviceId, _16]
    box: bytes


_state_decoder = msgspec.msgpack.Decoder(GrantState)
_signed_decoder = msgspec.msgpack.Decoder(SignedState)
_welcome_decoder = msgspec.msgpack.Decoder(_Welcome)
_turned_decoder = msgspec.msgpack.Decoder(_Turned)


def sign_state(keys: Sequence[SigningKey], state: GrantState) -> SignedState:
    """``keys``: the granter's, from the one in the charter to the newest."""
    heirs = tuple(
        Heir(after.public, sign(before, "granter", state.grant, after.public)) for before, after in pairwise(keys)
    )
    body = msgspec.msgpack.encode(state)
    return SignedState(body, sign(keys[-1], "grant state", state.grant, body), heirs)


def open_state(signed: SignedState, grant: GrantId, granter: bytes, above: int = 0) -> tuple[GrantState, bytes]:
    """A state that the pinned granter, or the newest heir, signed for this grant, with ``n`` above the newest one seen;
    and the key to pin from now on: who had the one before can say nothing more.

    Raises ``Inadmissible``: ``bad_view`` (another signer or grant, or nonsense), ``not_newer``: an old state would
    bring back a publisher who was put out.
    """
    newest = _heir_of(granter, signed.heirs, grant)
    try:
        verify(newest, "grant state", grant, signed.body, signed.sig)
    except BadSignature:
        raise Inadmissible("bad_view", "not signed by whoever gave access") from None
    state: GrantState = unpack(_state_decoder, signed.body)
    if state.grant != grant or state.down == state.up:
        raise Inadmissible("bad_view", "a state of another grant")
    if state.n <= above:
        raise Inadmissible("not_newer", "an older state came after a newer one")
    return state, newest


def _heir_of(pinned: bytes, heirs: Sequence[Heir], grant: GrantId) -> bytes:
    """From the pinned key on; what came before it was checked when it was pinned."""
    known = [heir.key for heir in heirs]
    after = known.index(pinned) + 1 if pinned in known else 0
    for heir in heirs[after:]:
        try:
            verify(pinned, "granter", grant, heir.key, heir.sig)
        except BadSignature:
            raise Inadmissible("bad_view", "a key that the granter before did not name") from None
        pinned = heir.key
    return pinned


def make_welcome(grant: GrantId, state: SignedState) -> bytes:
    """The content of the welcome box on the doorstep of a grant."""
    return msgspec.msgpack.encode(_Welcome(grant, state))


def open_welcome(content: bytes, grant: GrantId, granter: bytes) -> tuple[GrantState, bytes]:
    """``grant`` and ``granter`` are the greeting's, which the link pins."""
    welcome: _Welcome = unpack(_welcome_decoder, content)
    if welcome.grant != grant:
        raise Inadmissible("bad_view", "a welcome of another grant")
    return open_state(welcome.state, grant, granter)


def make_turned(box: bytes, doorstep: StreamId, device: DeviceId, state: SignedState) -> bytes:
    """The doorstep record that brings the next state to the recipient's device, whose box key is ``box``."""
    sealed = seal_box(box, "grant state", doorstep + device, msgspec.msgpack.encode(state))
    return msgspec.msgpack.encode(_Turned(device, sealed))


def open_turned(
    payload: bytes, key: BoxKey, doorstep: StreamId, device: DeviceId, grant: GrantId, granter: bytes, above: int
) -> tuple[GrantState, bytes]:
    """As ``open_state``; ``not_for_me`` for another device's, ``Unopenable`` for a box that does not open."""
    turned: _Turned = unpack(_turned_decoder, payload)
    if turned.to != device:
        raise Inadmissible("not_for_me", "a state for another device")
    signed: SignedState = unpack(_signed_decoder, open_box(key, "grant state", doorstep + device, turned.box))
    return open_state(signed, grant, granter, above)
