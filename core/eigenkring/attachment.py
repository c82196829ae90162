"""An attachment: what a field holds of a photo or file, and its bytes as sealed chunks. Spec: docs/spec/attachments.md.

The key is in the field, so whoever reads the part reads the attachment, and nobody else. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeGuard

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import RecordBytes, StreamId
from eigenkring.wire import check_keys
from eigenkring_crypto.errors import FutureVersion
from eigenkring_crypto.kdf import sha256
from eigenkring_crypto.seal import open_sealed, seal

PREFIX: Final = "eigenkring:attachment:"
VERSION: Final = 1
CHUNK_BYTES: Final = 262_144
MAX_ATTACHMENT_BYTES: Final = 33_554_432
MAX_PREVIEW_BYTES: Final = 12_288
MAX_NAME_BYTES: Final = 400
# A preview goes into every reader's page: nothing but a picture that a browser shows as one.
_PREVIEWS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_TYPE: Final = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,100}")
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*")
# Signs that end a line, lead into a folder or turn the text around: a name is shown, and offered when saving.
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_EPOCH: Final = 0

Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Size = Annotated[int, msgspec.Meta(ge=1, le=MAX_ATTACHMENT_BYTES)]
Preview = Annotated[bytes, msgspec.Meta(max_length=MAX_PREVIEW_BYTES)]


class Attachment(msgspec.Struct, frozen=True):
    """What the field of an item holds. ``size`` in bytes, ``hash`` the SHA-256 of the bytes, ``preview`` a small picture
    or nothing. No repr: the key reads the whole file."""

    v: int
    stream: Bytes16
    key: Bytes32
    name: str
    type: str
    size: Size
    hash: Bytes32
    preview: Preview

    def __repr__(self) -> str:
        return f"Attachment({self.size} bytes)"

    @property
    def chunks(self) -> int:
        return -(-self.size // CHUNK_BYTES)


class Shown(msgspec.Struct, frozen=True):
    """What a view shows of an attachment: no stream and no key."""

    v: int
    name: str
    type: str
    size: Size
    preview: Preview


class _Chunk(msgspec.Struct, frozen=True):
    k: str
    n: int
    of: int
    data: bytes


class _Kind(msgspec.Struct, frozen=True):
    k: str


class _Version(msgspec.Struct, frozen=True):
    v: Annotated[int, msgspec.Meta(ge=1)]


def claims_attachment(value: object) -> TypeGuard[str]:
    """Whether a value says that it is an attachment; it may still be a broken one, or of a newer version."""
    return isinstance(value, str) and value.startswith(PREFIX)


def pack_attachment(attachment: Attachment | Shown) -> str:
    """The value of the field. Raises ``Inadmissible("bad_attachment")`` for what no reader would take."""
    text = PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(attachment)).rstrip(b"=").decode()
    _check(attachment)
    return text


def parse_attachment(text: str) -> Attachment:
    """Raises ``Inadmissible``: ``bad_attachment``, ``future_version``."""
    found: Attachment = _parsed(text, Attachment)
    return found


def parse_shown(text: str) -> Shown:
    """As it stands in a view. Raises ``Inadmissible``: ``bad_attachment``, ``future_version``."""
    found: Shown = _parsed(text, Shown)
    return found


def shown_of(text: str) -> str | None:
    """What a view shows of an attachment, as a value; None where that cannot be told: what a newer program wrote may
    hold a key where this one does not look."""
    try:
        whole = parse_attachment(text)
    except Inadmissible:
        return None
    return pack_attachment(Shown(VERSION, whole.name, whole.type, whole.size, whole.preview))


def described(value: str) -> dict[str, Any]:
    """For people and programs: ``{"attachment", "type", "size"}``, without the key; ``attachment`` is the name. Where it cannot
    be read, ``{"attachment": None, "code"}``."""
    found: Attachment | Shown
    try:
        found = parse_attachment(value)
    except Inadmissible:
        try:
            found = parse_shown(value)
        except Inadmissible as error:
            return {"attachment": None, "code": error.code}
    return {"attachment": found.name, "type": found.type, "size": found.size}


def _parsed(text: str, kind: type[Any]) -> Any:
    data = _unpacked(text)
    try:
        check_keys(data)
        if msgspec.msgpack.decode(data, type=_Version).v > VERSION:
            raise Inadmissible("future_version", "an attachment of a newer program")
        found = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _bad("the field does not say which file it is") from None
    _check(found)
    return found


def _unpacked(text: str) -> bytes:
    packed = text.removeprefix(PREFIX)
    if not claims_attachment(text) or not _BASE64.fullmatch(packed):
        raise _bad("no attachment")
    try:
        data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    except (binascii.Error, ValueError):
        raise _bad("no attachment") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != packed:
        raise _bad("bits are left over")  # two texts would be one attachment
    return data


def _check(found: Attachment | Shown) -> None:
    name = found.name.encode("utf-8", "surrogatepass")
    if not 1 <= len(name) <= MAX_NAME_BYTES or _NO_NAME.search(found.name) or _half(found.name):
        raise _bad("the name is no name of a file")
    if not _TYPE.fullmatch(found.type):
        raise _bad("the kind of the file is not told")
    if found.preview and not found.preview.startswith(_PREVIEWS) and not _is_webp(found.preview):
        raise _bad("the preview is no picture")
    if not 1 <= found.size <= MAX_ATTACHMENT_BYTES or len(found.preview) > MAX_PREVIEW_BYTES:
        raise _bad("too large")


def _half(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _bad(why: str) -> Inadmissible:
    return Inadmissible("bad_attachment", why)


# --- the bytes


def seal_chunks(attachment: Attachment, data: bytes, nonces: Sequence[bytes]) -> list[RecordBytes]:
    """The records of the stream. One nonce of 24 random bytes for each chunk."""
    if len(data) != attachment.size or sha256(data) != attachment.hash or len(nonces) != attachment.chunks:
        raise AssertionError("other bytes than the attachment says")
    return [
        RecordBytes(
            seal(
                attachment.key,
                StreamId(attachment.stream),
                _EPOCH,
                msgspec.msgpack.encode(
                    _Chunk("chunk", n, attachment.chunks, data[(n - 1) * CHUNK_BYTES : n * CHUNK_BYTES])
                ),
                nonce,
            )
        )
        for n, nonce in enumerate(nonces, 1)
    ]


def open_chunks(attachment: Attachment, records: Sequence[bytes]) -> bytes:
    """The file. Raises ``Unopenable``, ``FutureVersion``; ``Inadmissible``: ``bad_attachment`` where a chunk is missing, double, one
    too many or in another place, or the whole is another file than the field says."""
    if len(records) > attachment.chunks:
        raise _bad("more chunks than the file has")
    data = b"".join(_open(attachment, n, record) for n, record in enumerate(records, 1))
    if len(records) < attachment.chunks:
        raise _bad("the file is not whole")
    if len(data) != attachment.size or sha256(data) != attachment.hash:
        raise _bad("another file than the field says")
    return data


def _open(attachment: Attachment, n: int, record: bytes) -> bytes:
    epoch, payload = open_sealed(attachment.key, StreamId(attachment.stream), record)
    try:
        check_keys(payload)
        if msgspec.msgpack.decode(payload, type=_Kind).k != "chunk":
            raise FutureVersion
        chunk = msgspec.msgpack.decode(payload, type=_Chunk)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _bad("no chunk") from None
    last = n == attachment.chunks
    size = attachment.size - (n - 1) * CHUNK_BYTES if last else CHUNK_BYTES
    if epoch != _EPOCH or chunk.n != n or chunk.of != attachment.chunks or len(chunk.data) != size:
        raise _bad("a chunk in another place than its own")
    return chunk.data
