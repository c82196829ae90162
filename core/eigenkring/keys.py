"""Keybags: room secrets, boxed for each device, signed by their sender. Spec: docs/spec/charter.md, Keys.

The one piece of randomness that is not an argument is inside HPKE (``eigenkring_crypto.box``).
"""

from __future__ import annotations

import hmac as _hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec

from eigenkring.charter.entry import MAX_INTEGER, NONSENSE, Approval
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible
from eigenkring.ids import CapabilityHash, CaseId, Chain, DeviceId, EntryHash, StreamId
from eigenkring.wire import check_keys
from eigenkring_crypto.box import BoxKey, open_box, seal_box
from eigenkring_crypto.errors import BadKey, BadSignature, CryptoError
from eigenkring_crypto.kdf import hmac
from eigenkring_crypto.pad import padded_bytes
from eigenkring_crypto.sign import SigningKey, sign, verify

Random: TypeAlias = Callable[[int], bytes]

BOXES_AT_ONCE: Final = 4
_LENGTH_BYTES: Final = 4

_16 = msgspec.Meta(min_length=16, max_length=16)
_32 = msgspec.Meta(min_length=32, max_length=32)


class Secret(msgspec.Struct, frozen=True, array_like=True):
    room: str
    epoch: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    secret: Annotated[bytes, _32]

    def __repr__(self) -> str:
        return f"Secret({self.room}, {self.epoch})"


class Blank(msgspec.Struct, frozen=True, array_like=True):
    """A stream nobody opened yet and the manage hash of its owners: whoever founds a part that owners manage needs
    one."""

    stream: Annotated[StreamId, _16]
    manage: Annotated[CapabilityHash, _32]


class Ask(msgspec.Struct, frozen=True):
    """An act that needs a majority, and who agreed so far (charter.md, Majority)."""

    act: bytes
    approvals: tuple[Approval, ...] = ()


class Bag(msgspec.Struct, frozen=True):
    """What one device is given."""

    rooms: tuple[Secret, ...] = ()
    acts: tuple[Ask, ...] = ()
    blanks: tuple[Blank, ...] = ()
    pad: bytes = b""


class _Body(msgspec.Struct, frozen=True):
    case: Annotated[CaseId, _16]
    by: Annotated[DeviceId, _16]
    length: Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
    chain: Annotated[Chain, _32]
    head: Annotated[EntryHash, _32]
    n: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    boxes: list[tuple[Annotated[bytes, _16], bytes]]


class _Payload(msgspec.Struct, frozen=True):
    body: bytes
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bag as found, before anything of it is believed: ``check`` it against the charter that it helps to read."""

    by: DeviceId
    n: int
    head: EntryHash
    length: int
    chain: Chain
    bag: Bag
    body_bytes: bytes
    sig: bytes
    stream: StreamId

    @property
    def rooms(self) -> list[tuple[str, int, bytes]]:
        return [(given.room, given.epoch, given.secret) for given in self.bag.rooms]

    def check(self, charter: Charter) -> None:
        """Raises ``Inadmissible("bad_keybag")`` unless ``by`` belonged at that entry and signed this. The secrets are
        checked one by one with ``Keyring.check``."""
        device = charter.devices.get(self.by)
        n = self.n if charter.heads.get(self.n) == self.head else charter.dropped.get(self.head)
        if device is None or n is None or not device.here_at(n):
            raise Inadmissible("bad_keybag", "a keybag by one who did not belong", self.by.hex())
        try:
            verify(device.sign, "keys", self.stream, self.body_bytes, self.sig)
        except BadSignature:
            raise Inadmissible("bad_keybag", "a keybag that nobody signed", self.by.hex()) from None


_encode = msgspec.msgpack.encode
_payload_decoder = msgspec.msgpack.Decoder(_Payload)
_body_decoder = msgspec.msgpack.Decoder(_Body)
_bag_decoder = msgspec.msgpack.Decoder(Bag)


def hint(keys_secret: bytes, device: DeviceId, head: EntryHash) -> bytes:
    """How a device finds its box among the others, and nobody without the stream's S does."""
    return hmac(keys_secret, "hint", device + head)[:16]


def bag_of(rooms: Sequence[tuple[str, int, bytes]], acts: Sequence[Ask] = (), blanks: Sequence[Blank] = ()) -> Bag:
    return Bag(tuple(Secret(*given) for given in rooms), tuple(acts), tuple(blanks))


def seal_bags(
    charter: Charter,
    by: DeviceId,
    key: SigningKey,
    keys_secret: bytes,
    seen: tuple[int, Chain],
    bags: Mapping[DeviceId, Bag | Sequence[tuple[str, int, bytes]]],
    random: Random,
) -> bytes:
    """The payload of a record of the keys stream. ``charter`` has the entry that goes with it; ``seen`` is the keys
    stream's length and chain; a bag may be given as its (room, epoch, secret) alone."""
    case, head = charter.case, charter.head
    given = {device: bag if isinstance(bag, Bag) else bag_of(bag) for device, bag in bags.items()}
    plain = _of_one_size([_encode(bag) for bag in given.values()], list(given.values()))
    boxes = []
    for device, text in zip(given, plain, strict=True):
        known = charter.devices[device]
        try:
            box = seal_box(known.box, "keybag", case + device + head, text)
        except BadKey:
            # A device whose key is no key must not stop the others from getting theirs.
            box = _box_for_nobody(len(text), random)
        boxes.append((hint(keys_secret, device, head), box))
    size = len(plain[0]) if plain else 0
    while len(boxes) % BOXES_AT_ONCE or not boxes:
        boxes.append((random(16), _box_for_nobody(size, random)))
    body = _encode(_Body(case, by, seen[0], seen[1], head, charter.n, sorted(boxes)))
    return _encode(_Payload(body, sign(key, "keys", charter.keys_stream, body)))


def open_bags(
    payload: bytes, case: CaseId, keys_stream: StreamId, keys_secret: bytes, device: DeviceId, key: BoxKey
) -> Opened | None:
    """This device's bag; None where the record has none for it. Raises ``bad_keybag``.

    It is opened before the charter can be read, for it holds what reads the charter: then MUST come ``Opened.check``.
    """
    try:
        check_keys(payload)
        outer = _payload_decoder.decode(payload)
        check_keys(outer.body)
        body = _body_decoder.decode(outer.body)
    except NONSENSE:
        raise Inadmissible("bad_keybag", "a record of keys does not decode") from None
    if body.case != case:
        raise Inadmissible("bad_keybag", "keys of another case", body.by.hex())
    wanted = hint(keys_secret, device, body.head)
    for found, box in body.boxes:
        if not _hmac.compare_digest(found, wanted):
            continue
        try:
            text = open_box(key, "keybag", case + device + body.head, box)
            check_keys(text)
            bag = _bag_decoder.decode(text)
        except (CryptoError, *NONSENSE):
            raise Inadmissible("bad_keybag", "a keybag does not open", body.by.hex()) from None
        return Opened(body.by, body.n, body.head, body.length, body.chain, bag, outer.body, outer.sig, keys_stream)
    return None


def check_payload(payload: bytes, charter: Charter) -> tuple[DeviceId, int, Chain]:
    """Author and what they saw of the keys stream, of any record in it. Raises ``bad_keybag``."""
    try:
        check_keys(payload)
        outer = _payload_decoder.decode(payload)
        check_keys(outer.body)
        body = _body_decoder.decode(outer.body)
    except NONSENSE:
        raise Inadmissible("bad_keybag", "a record of keys does not decode") from None
    if body.case != charter.case:
        raise Inadmissible("bad_keybag", "keys of another case", body.by.hex())
    Opened(
        body.by, body.n, body.head, body.length, body.chain, Bag(), outer.body, outer.sig, charter.keys_stream
    ).check(charter)
    return body.by, body.length, body.chain


def _of_one_size(encoded: list[bytes], bags: list[Bag]) -> list[bytes]:
    """Each bag with zeros, so that all pad to one size: otherwise sizes tell who is in how many rooms."""
    if not encoded:
        return []
    # The longest text of the size class that the longest falls in; the header of `pad` grows by up to three bytes.
    top = padded_bytes(max(map(len, encoded)) + 3) - _LENGTH_BYTES
    out = []
    for text, bag in zip(encoded, bags, strict=True):
        fill = top - len(text)
        fill -= 0 if fill < 256 else 1 if fill < 65_537 else 3
        out.append(_encode(msgspec.structs.replace(bag, pad=bytes(fill))))
    if len({padded_bytes(len(text)) for text in out}) != 1:
        raise AssertionError("boxes of two sizes")
    return out


def _box_for_nobody(size: int, random: Random) -> bytes:
    """Sealed to a key thrown away here. Not random bytes: an X25519 key has its top bit clear, so they would show."""
    return seal_box(BoxKey.from_seed(random(32)).public, "keybag", b"", bytes(size))
