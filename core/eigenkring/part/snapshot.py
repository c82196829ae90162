"""One record in the place of all before it: the admitted changes, and the signatures they rest on.

Spec: docs/spec/part.md (Snapshot). It is believed no more than records are: the fold takes what this module
reads through the same door and under the same attestations, so whoever makes one can leave out, never invent.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from eigenkring.change import pack_chunk
from eigenkring.columns import Cursor, uleb
from eigenkring.errors import Inadmissible
from eigenkring.part.attestation import ATTESTATION_BYTES, DATED_BYTES, Attestation, parse_attestation
from eigenkring.part.record import Snapshot, make_snapshot_record
from eigenkring.wire import check_keys
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import SigningKey, sign, verify

MAX_INFLATED_BYTES: Final = 33_554_432
MAX_UNFOLDED_BYTES: Final = 67_108_864
MAX_ATTESTATIONS: Final = 4_096
_NAME: Final = "snapshot"
_NONSENSE: Final = (msgspec.DecodeError, ValueError, RecursionError)

_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_U32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_Length = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Body(msgspec.Struct, frozen=True):
    """What is signed. ``n`` and ``chain`` are the stream's end before this record."""

    by: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    epoch: _U32
    head: _Hash
    n: _Length
    chain: _Hash
    atts: Annotated[list[bytes], msgspec.Meta(max_length=MAX_ATTESTATIONS)]
    content: bytes


class Content(msgspec.Struct, frozen=True):
    """``changes`` come after what they depend on. ``witnesses`` are not part of the document: an attestation
    may name a change that was refused or cut, and reaches the admitted ones only through it.
    """

    atts: list[Attestation]
    changes: list[bytes]
    witnesses: list[bytes]


_decoder = msgspec.msgpack.Decoder(Body)
_encode = msgspec.msgpack.Encoder().encode


def make_snapshot(
    key: SigningKey,
    stream: bytes,
    *,
    device: bytes,
    epoch: int,
    head: bytes,
    n: int,
    chain: bytes,
    atts: Sequence[bytes],
    changes: Sequence[bytes],
    witnesses: Sequence[bytes] = (),
) -> bytes:
    """The record payload, to be put in the place of records 1 to ``n``."""
    content = _deflate(pack_content(changes, witnesses))
    body = _encode(Body(device, epoch, head, n, chain, list(atts), content))
    return make_snapshot_record(body, sign(key, _NAME, stream, body))


def parse_body(snapshot: Snapshot) -> Body:
    """Raises ``bad_snapshot``. Nothing is inflated yet: first it must be known who signed."""
    try:
        check_keys(snapshot.body)
        body = _decoder.decode(snapshot.body)
    except _NONSENSE:
        raise Inadmissible("bad_snapshot") from None
    if any(len(att) not in (ATTESTATION_BYTES, DATED_BYTES) for att in body.atts):
        raise Inadmissible("bad_snapshot", "an attestation is 188 bytes, or 192")
    return body


def verify_snapshot(snapshot: Snapshot, sign_key: bytes, stream: bytes) -> None:
    try:
        verify(sign_key, _NAME, stream, snapshot.body, snapshot.sig)
    except BadSignature:
        raise Inadmissible("bad_snapshot") from None


def open_content(body: Body) -> Content:
    """Inflate and take apart, or ``bad_snapshot``."""
    try:
        changes, witnesses = unpack_content(_inflate(body.content))
    except (Inadmissible, zlib.error):
        raise Inadmissible("bad_snapshot", device=body.by.hex()) from None
    return Content([parse_attestation(att) for att in body.atts], changes, witnesses)


class Unfolded:
    """The content of a snapshot that was found to stand: to take it, it is not unfolded a second time. The last one only, found
    by its very bytes, and held until the next one is opened.
    """

    def __init__(self) -> None:
        self._last: tuple[bytes, Content] | None = None

    def keep(self, body: Body, content: Content) -> None:
        self._last = body.content, content

    def open(self, body: Body) -> Content:
        """Raises as ``open_content``."""
        last, self._last = self._last, None
        if last is None or last[0] != body.content:
            return open_content(body)
        return Content([parse_attestation(att) for att in body.atts], last[1].changes, last[1].witnesses)


def pack_content(changes: Sequence[bytes], witnesses: Sequence[bytes] = ()) -> bytes:
    """Dependencies as distances back: a hash of 32 bytes does not compress, and each would be there twice."""
    parts = [uleb(len(changes))]
    places: dict[bytes, int] = {}
    for place, raw in enumerate(changes):
        body = Cursor(raw, 9, len(raw))
        body.uleb()
        deps = [body.take(32) for _ in range(body.uleb())]
        rest = raw[body.pos :]
        parts += (uleb(len(deps)), *(uleb(place - places[dep]) for dep in deps), uleb(len(rest)), rest)
        places[hashlib.sha256(memoryview(raw)[8:]).digest()] = place
    parts.append(uleb(len(witnesses)))
    for raw in witnesses:
        parts += (uleb(len(raw)), raw)
    return b"".join(parts)


def unpack_content(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The changes with their hashes put back: a wrong distance gives another hash, and no signature covers it."""
    cursor = Cursor(data, 0, len(data))
    changes: list[bytes] = []
    hashes: list[bytes] = []
    unfolded = 0
    for place in range(_count(cursor, 2)):
        deps = []
        for _ in range(_count(cursor, 1)):
            back = cursor.uleb()
            if not 1 <= back <= place:
                raise Inadmissible("bad_snapshot", "a dependency that is not before it")
            deps.append(hashes[place - back])
        rest = cursor.text()
        # One byte may stand for a hash of 32: without a bound a few kilobytes unfold to gigabytes.
        unfolded += 32 * len(deps) + len(rest)
        if unfolded > MAX_UNFOLDED_BYTES:
            raise Inadmissible("bad_snapshot", "it unfolds to more than is allowed")
        raw = pack_chunk(uleb(len(deps)) + b"".join(deps) + rest)
        changes.append(raw)
        hashes.append(hashlib.sha256(memoryview(raw)[8:]).digest())
    witnesses = [cursor.text() for _ in range(_count(cursor, 1))]
    if cursor.pos != cursor.end:
        raise Inadmissible("bad_snapshot", "bytes after the end")
    return changes, witnesses


def _count(cursor: Cursor, size: int) -> int:
    count = cursor.uleb()
    if count * size > cursor.end - cursor.pos:
        raise Inadmissible("bad_snapshot", "more entries than bytes")
    return count


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _inflate(data: bytes) -> bytes:
    """Bounded: a thousand bytes of deflate can hold a million, and a phone has only so much memory."""
    opener = zlib.decompressobj(-15)
    out = opener.decompress(data, MAX_INFLATED_BYTES + 1)
    if len(out) > MAX_INFLATED_BYTES or not opener.eof or opener.unused_data:
        raise Inadmissible("bad_snapshot", "not one deflated piece of a size that is allowed")
    return out
