"""Frames between a device and a relay: docs/spec/streams.md, byte for byte. Nothing here opens a record.

The relay side raises ``Refused`` (the device sent nonsense), the device side ``RelayMisbehaved``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from eigenkring.errors import Refused, RelayMisbehaved

PROTOCOL_VERSION: Final = 1
CONTENT_TYPE: Final = "application/msgpack"
MAX_RECORD_BYTES: Final = 1_048_576
MAX_EXCHANGE_OPS: Final = 512
MAX_FRAME_BYTES: Final = 8_388_608
MAX_TOKEN_CHARS: Final = 256
# Nothing of the protocol nests deeper than four; what a newer version adds may, a little.
MAX_DEPTH: Final = 16

Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
# No upper bound here: the relay answers `too_large`, and one long record does not spoil the frame around it.
Record = Annotated[bytes, msgspec.Meta(min_length=1)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
# MessagePack has no integer above 2^64 - 1, so the lower bound is enough.
U64 = Annotated[int, msgspec.Meta(ge=0)]
Token = Annotated[str, msgspec.Meta(max_length=MAX_TOKEN_CHARS)]

ResultCode: TypeAlias = Literal[
    "not_allowed",
    "no_stream",
    "closed",
    "expired",
    "conflict",
    "exists",
    "too_large",
    "quota",
    "not_done",
    "bad_operation",
]
FrameCode: TypeAlias = Literal["bad_frame", "too_large", "busy", "slow_down", "not_admitted"]
StreamEvent: TypeAlias = Literal["behind", "rekeyed", "replaced", "closed"]


# --- operations


class _Quiet(msgspec.Struct, frozen=True):
    """An operation carries a capability: it shows its kind only, so that no log or traceback prints one."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Open(_Quiet, frozen=True, tag_field="op", tag="open"):
    stream: Bytes16
    read: Bytes32
    append: Bytes32
    manage: Bytes32
    expires: U64 | None = None


class Append(_Quiet, frozen=True, tag_field="op", tag="append"):
    stream: Bytes16
    cap: Bytes32
    record: Record
    expect: Bytes32 | None = None


class Read(_Quiet, frozen=True, tag_field="op", tag="read"):
    stream: Bytes16
    cap: Bytes32
    after: U64 = 0
    max_bytes: U32 = MAX_FRAME_BYTES


class Follow(_Quiet, frozen=True, tag_field="op", tag="follow"):
    stream: Bytes16
    cap: Bytes32
    after: U64 = 0
    max_bytes: U32 = MAX_FRAME_BYTES


class Unfollow(_Quiet, frozen=True, tag_field="op", tag="unfollow"):
    stream: Bytes16


class Rekey(_Quiet, frozen=True, tag_field="op", tag="rekey"):
    """A hash that is None stays as it is: a manager need not hold the writer's secret."""

    stream: Bytes16
    cap: Bytes32
    read: Bytes32 | None = None
    append: Bytes32 | None = None
    manage: Bytes32 | None = None


class Replace(_Quiet, frozen=True, tag_field="op", tag="replace"):
    stream: Bytes16
    cap: Bytes32
    expect: Bytes32
    record: Record


class Close(_Quiet, frozen=True, tag_field="op", tag="close"):
    stream: Bytes16
    cap: Bytes32


Operation: TypeAlias = Open | Append | Read | Follow | Unfollow | Rekey | Replace | Close


# --- results


class Opened(msgspec.Struct, frozen=True):
    length: U64
    chain: Bytes32


class Appended(msgspec.Struct, frozen=True):
    """``length`` is the record's own index, ``chain`` the running hash at it."""

    length: U64
    chain: Bytes32


class Batch(msgspec.Struct, frozen=True):
    """Answers ``read`` and ``follow``. ``first`` is the index of ``records[0]``, or the one it would have."""

    base: U64
    base_chain: Bytes32
    length: U64
    chain: Bytes32
    first: U64
    records: list[Record]
    more: bool


class Unfollowed(msgspec.Struct, frozen=True):
    pass


class Rekeyed(msgspec.Struct, frozen=True):
    length: U64
    chain: Bytes32


class Replaced(msgspec.Struct, frozen=True):
    base: U64
    length: U64
    chain: Bytes32


class Closed(msgspec.Struct, frozen=True):
    pass


class Failed(msgspec.Struct, frozen=True, omit_defaults=True):
    """``length`` and ``chain`` come with ``conflict`` only: the stream as it is now."""

    code: ResultCode
    length: U64 | None = None
    chain: Bytes32 | None = None


Success: TypeAlias = Opened | Appended | Batch | Unfollowed | Rekeyed | Replaced | Closed
Result: TypeAlias = Success | Failed


# --- frames


class Request(_Quiet, frozen=True):
    id: U32
    ops: list[Operation]
    atomic: bool = False
    token: Token | None = None


class Reply(msgspec.Struct, frozen=True):
    id: U32
    generation: U64
    results: list[Result]


class Answer(msgspec.Struct, frozen=True):
    """A reply whose results wait for the operations they answer: ``results_of``."""

    id: U32
    generation: U64
    results: list[msgspec.Raw]


class PushedRecord(msgspec.Struct, frozen=True):
    push: Bytes16
    index: U64
    record: Record
    event: Literal["record"] = "record"


class PushedEvent(msgspec.Struct, frozen=True):
    push: Bytes16
    event: StreamEvent


class Failure(msgspec.Struct, frozen=True):
    """The frame was refused as a whole, nothing was done. ``id`` is 0 where the relay could not read one."""

    id: U32
    code: FrameCode


FromRelay: TypeAlias = Answer | PushedRecord | PushedEvent | Failure


class _Outline(msgspec.Struct, frozen=True):
    """Which kind of frame this is, from the keys that tell them apart."""

    push: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET
    code: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    results: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _OnlyId(msgspec.Struct, frozen=True):
    id: U32


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_id_decoder = msgspec.msgpack.Decoder(_OnlyId)
_outline_decoder = msgspec.msgpack.Decoder(_Outline)
_answer_decoder = msgspec.msgpack.Decoder(Answer)
_pushed_record_decoder = msgspec.msgpack.Decoder(PushedRecord)
_pushed_event_decoder = msgspec.msgpack.Decoder(PushedEvent)
_failure_decoder = msgspec.msgpack.Decoder(Failure)
_failed_decoder = msgspec.msgpack.Decoder(Failed)

_RESULT_OF: Final[dict[type[Operation], msgspec.msgpack.Decoder[Success]]] = {
    Open: msgspec.msgpack.Decoder(Opened),
    Append: msgspec.msgpack.Decoder(Appended),
    Read: msgspec.msgpack.Decoder(Batch),
    Follow: msgspec.msgpack.Decoder(Batch),
    Unfollow: msgspec.msgpack.Decoder(Unfollowed),
    Rekey: msgspec.msgpack.Decoder(Rekeyed),
    Replace: msgspec.msgpack.Decoder(Replaced),
    Close: msgspec.msgpack.Decoder(Closed),
}

# RecursionError: a frame of a million opening brackets. UnicodeDecodeError (a ValueError): text that is none.
_NONSENSE: Final = (msgspec.DecodeError, ValueError, RecursionError)


def encode(frame: Request | Reply | PushedRecord | PushedEvent | Failure) -> bytes:
    """The bytes of a frame, keys in the order of the class: two Python encoders give the same bytes."""
    return _encoder.encode(frame)


# --- the relay reads


def decode_request(data: bytes) -> Request:
    """Raises ``Refused``: ``too_large`` for too many bytes or operations, else ``bad_frame``."""
    if len(data) > MAX_FRAME_BYTES:
        raise Refused("too_large", f"the frame is longer than {MAX_FRAME_BYTES} bytes")
    try:
        request = _request_decoder.decode(data)
        # Equal bytes prove that no key came twice, and cost a fraction of the walk.
        if _encoder.encode(request) != data:
            check_keys(data)
    except _NONSENSE:
        # The reason is not repeated: msgspec's words may hold a piece of what was sent.
        raise Refused("bad_frame", "the frame is not a request") from None
    if len(request.ops) > MAX_EXCHANGE_OPS:
        raise Refused("too_large", f"more than {MAX_EXCHANGE_OPS} operations in one exchange")
    return request


def id_of(data: bytes) -> int:
    """The id of a frame that was refused, so that its sender learns which; 0 where there is none to read."""
    if len(data) > MAX_FRAME_BYTES:
        return 0
    try:
        return _id_decoder.decode(data).id
    except _NONSENSE:
        return 0


# --- the device reads


def decode_from_relay(data: bytes) -> FromRelay:
    """What a relay sent over the WebSocket. Raises ``RelayMisbehaved("relay_garbage")``."""
    try:
        outline = _outline_decoder.decode(data)
        frame: FromRelay
        if outline.push is not msgspec.UNSET:
            decoder = _pushed_record_decoder if outline.event == "record" else _pushed_event_decoder
            frame = decoder.decode(data)
        elif outline.code is not msgspec.UNSET:
            frame = _failure_decoder.decode(data)
        else:
            frame = _answer_decoder.decode(data)
        # As of a request. What lies inside the results of an answer `results_of` looks at.
        if _encoder.encode(frame) != data:
            check_keys(data)
        return frame
    except _NONSENSE:
        raise RelayMisbehaved("relay_garbage", "the relay sent no frame") from None


def results_of(answer: Answer, ops: Sequence[Operation]) -> list[Result]:
    """The results of an answer to ``ops``. Raises ``RelayMisbehaved`` when it answers something else."""
    if len(answer.results) != len(ops):
        raise RelayMisbehaved("relay_garbage", "the relay answered another number of operations")
    results: list[Result] = []
    for op, raw in zip(ops, answer.results, strict=True):
        try:
            failed = _outline_decoder.decode(raw).code is not msgspec.UNSET
            result: Result = _failed_decoder.decode(raw) if failed else _RESULT_OF[type(op)].decode(raw)
            given = bytes(raw)
            if _encoder.encode(result) != given:
                check_keys(given)
            results.append(result)
        except _NONSENSE:
            raise RelayMisbehaved("relay_garbage", "the relay answered another operation") from None
    return results


def decode_reply(data: bytes, request: Request) -> Reply:
    """The reply to one request, as POST gives it. Raises ``Refused`` or ``RelayMisbehaved``."""
    frame = decode_from_relay(data)
    if isinstance(frame, Failure):
        raise Refused(frame.code)
    if not isinstance(frame, Answer) or frame.id != request.id:
        raise RelayMisbehaved("relay_garbage", "the relay answered another frame")
    return Reply(frame.id, frame.generation, results_of(frame, request.ops))


# --- keys given twice


def check_keys(data: bytes) -> None:
    """Raises ``ValueError`` where a map has a key that is no text or comes twice.

    A decoder that takes the first and one that takes the last would read two different frames. Iterative and
    bounded in depth, so that no frame exhausts the stack.
    """
    at = 0
    # Each level: how many values remain, and the keys seen so far (None in an array).
    levels: list[tuple[int, set[bytes] | None]] = [(1, None)]
    while levels:
        remaining, keys = levels.pop()
        if remaining == 0:
            continue
        levels.append((remaining - 1, keys))
        if keys is not None:
            start = at
            kind, at, _ = _head(data, at)
            if kind != "text":
                raise ValueError("a key that is no text")
            # Without its length: the same text behind a longer form of length is the same key.
            key = _text(data, start)
            if key in keys:
                raise ValueError("a key given twice")
            keys.add(key)
        kind, at, count = _head(data, at)
        if kind in ("map", "array"):
            # A count beyond the bytes left would let four bytes promise four thousand million values.
            if count > len(data) - at or len(levels) > MAX_DEPTH:
                raise ValueError("too deep, or a count beyond the end")
            levels.append((count, set() if kind == "map" else None))
    if at != len(data):
        raise ValueError("bytes after the end")


def _text(data: bytes, at: int) -> bytes:
    byte = data[at]
    start = at + (1 if byte < 0xC0 else {0xD9: 2, 0xDA: 3, 0xDB: 5}[byte])
    return data[start : _head(data, at)[1]]


def _sized(width: int, extra: int = 0) -> Callable[[bytes, int], int]:
    return lambda data, at: width + extra + int.from_bytes(data[at : at + width], "big")


# First byte -> how many bytes follow it.
_PLAIN: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8,
    0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
}  # fmt: skip
_FIXED_EXT: Final = {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED: Final = {
    0xC4: _sized(1), 0xC5: _sized(2), 0xC6: _sized(4),
    0xC7: _sized(1, 1), 0xC8: _sized(2, 1), 0xC9: _sized(4, 1),
    0xD9: _sized(1), 0xDA: _sized(2), 0xDB: _sized(4),
}  # fmt: skip
_COUNTED: Final = {0xDC: ("array", 2), 0xDD: ("array", 4), 0xDE: ("map", 2), 0xDF: ("map", 4)}


def _head(data: bytes, at: int) -> tuple[str, int, int]:
    """(kind, where the next value begins, number of values inside)."""
    if at >= len(data):
        raise ValueError("the frame ends early")
    byte = data[at]
    at += 1
    kind, count = "plain", 0
    if byte < 0x80 or byte >= 0xE0:
        pass
    elif byte < 0x90:
        kind, count = "map", byte & 0x0F
    elif byte < 0xA0:
        kind, count = "array", byte & 0x0F
    elif byte < 0xC0:
        kind, at = "text", at + (byte & 0x1F)
    elif byte in _COUNTED:
        kind, width = _COUNTED[byte]
        count = int.from_bytes(data[at : at + width], "big")
        at += width
    elif byte in _SIZED:
        kind = "text" if byte >= 0xD9 else "plain"
        at += _SIZED[byte](data, at)
    elif byte in _PLAIN:
        at += _PLAIN[byte]
    elif byte in _FIXED_EXT:
        at += _FIXED_EXT[byte]
    else:
        raise ValueError("0xc1 is no MessagePack")
    if at > len(data):
        raise ValueError("the frame ends early")
    return kind, at, count
