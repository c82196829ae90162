"""What a relay showed one device, as a signed text that goes from hand to hand outside the relay. Spec: docs/spec/report.md.

Pure: what it says is given, and ``differing`` compares two. It holds no name, no id and no hash of the case: each stands there
as a tag, an HMAC that only who reads the same can work out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Final, NewType

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, StreamId
from eigenkring.wire import check_keys
from eigenkring_crypto.kdf import derive, hmac
from eigenkring_crypto.sign import SigningKey, sign, verify

VERSION: Final = 1
MAX_REPORT_BYTES: Final = 1_048_576
MAX_GENERATIONS: Final = 16
MAX_LINES: Final = 512
MAX_POINTS: Final = 256
MAX_GONE: Final = 32
MOST: Final = 2**53 - 1
# So many of the newest places are all in a report; of those before, ever fewer.
NEWEST: Final = 32

Tag = NewType("Tag", bytes)

_16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
_Place = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class Point(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place in a log and the tag of its chain there. ``generation`` counts from 1 in the report's list and says in which
    one it was seen first, ``at`` when; both 0 where the device does not know."""

    generation: _Number
    at: _Number
    index: _Place
    tag: _32


class Line(msgspec.Struct, frozen=True):
    """One stream: the log that lies there now, and points of logs that lay there before (``gone``)."""

    id: _16
    base: _Number
    length: _Place
    generation: _Number  # in which its end was seen last
    points: Annotated[list[Point], msgspec.Meta(min_length=1, max_length=MAX_POINTS)]
    gone: Annotated[list[Point], msgspec.Meta(max_length=MAX_GONE)]


class Report(msgspec.Struct, frozen=True):
    """What one device was shown. ``at`` is that device's clock, ``n`` and ``head`` its charter."""

    v: int
    case: _16
    by: _16
    at: _Number
    generations: Annotated[list[_16], msgspec.Meta(max_length=MAX_GENERATIONS)]  # oldest first
    n: _Place
    head: _32
    lines: Annotated[list[Line], msgspec.Meta(max_length=MAX_LINES)]


class _Version(msgspec.Struct, frozen=True):
    v: int


class _Signed(msgspec.Struct, frozen=True):
    body: bytes
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


# --- tags


class CaseTags:
    """The tags that everybody who reads the charter can work out. ``keys_secret`` is the S of the keys stream, which lasts as
    long as the case: devices that a relay tells different things would not have one secret of a room."""

    __slots__ = ("_case", "_secret")

    def __init__(self, keys_secret: bytes, case: CaseId) -> None:
        self._case = case
        self._secret = derive(keys_secret, "report", case)

    def __repr__(self) -> str:
        return "CaseTags()"

    def case(self) -> Tag:
        return Tag(hmac(self._secret, "report case", self._case)[:16])

    def device(self, device: DeviceId) -> Tag:
        return Tag(hmac(self._secret, "report device", device)[:16])

    def generation(self, generation: int) -> Tag:
        return Tag(hmac(self._secret, "report generation", _u64(generation))[:16])

    def head(self, n: int, head: EntryHash) -> Tag:
        return Tag(hmac(self._secret, "report head", _u64(n) + head))

    def line(self, stream: StreamId) -> LineTags:
        """Of a stream that all of the case read: charter and keys."""
        return LineTags(self._secret, stream)


class LineTags:
    """The tags of one stream. ``secret`` is the first that its reading room had, which every later reader gets too; so who may
    not read a stream does not find it in a report."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes, stream: StreamId) -> None:
        self._secret = derive(secret, "report line", stream)

    def __repr__(self) -> str:
        return "LineTags()"

    def id(self) -> Tag:
        return Tag(hmac(self._secret, "report stream", b"")[:16])

    def point(self, index: int, chain: Chain) -> Tag:
        return Tag(hmac(self._secret, "report point", _u64(index) + chain))


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def ruler(length: int) -> list[int]:
    """The places of a log that a report gives: the newest, every power of two, and the last two multiples of each. Two logs
    of lengths that differ by d so have one in common that is less than 2d before the end of the shorter, and never before its
    half."""
    found = set(range(max(1, length - NEWEST + 1), length + 1))
    step = 1
    while step <= length:
        top = length - length % step
        found |= {step, top, top - step}
        step *= 2
    return sorted(found - {0})


# --- the text

_BEGIN: Final = "-----BEGIN EIGENKRING REPORT-----"
_END: Final = "-----END EIGENKRING REPORT-----"
_BLANK: Final = re.compile(r"[ \t\r\n]+")


def _refused(why: str) -> Inadmissible:
    return Inadmissible("bad_report", why)


def sign_report(key: SigningKey, case: CaseId, report: Report) -> str:
    """The text of a report. The case is signed and not in it."""
    body = msgspec.msgpack.encode(report)
    packed = base64.b64encode(msgspec.msgpack.encode(_Signed(body, sign(key, "report", case, body)))).decode()
    lines = [packed[at : at + 64] for at in range(0, len(packed), 64)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def open_report(text: str) -> Report:
    """What a text says, its signature not checked: that takes the charter. Raises ``Inadmissible``: ``bad_report``,
    ``too_large``, ``future_version``."""
    body = _unpacked(text).body
    try:
        check_keys(body)
        version = msgspec.msgpack.decode(body, type=_Version).v
    except (Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
        raise _refused("the report is not whole") from None
    if version > VERSION:
        raise Inadmissible("future_version", "a newer program made this report; please update")
    found: Report = _exactly(body, Report)
    if version < 1 or not _holds(found):
        raise _refused("the report contradicts itself")
    return found


def check_signature(text: str, case: CaseId, key: bytes) -> None:
    """Whether this key signed the report, for this case. Raises ``BadSignature`` of ``eigenkring_crypto``."""
    signed = _unpacked(text)
    verify(key, "report", case, signed.body, signed.sig)


def _unpacked(text: str) -> _Signed:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_REPORT_BYTES:
        raise Inadmissible("too_large", "no report is that long")
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise _refused("the report is not whole: copy all of it, with its first and last line")
    packed = _BLANK.sub("", text.partition(_BEGIN)[2].partition(_END)[0])
    try:
        data = base64.b64decode(packed.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise _refused("the report is not whole") from None
    if base64.b64encode(data).decode() != packed:
        raise _refused("the report is written in another way than it should be")
    found: _Signed = _exactly(data, _Signed)
    return found


def _exactly(data: bytes, kind: type[Any]) -> Any:
    """Decode what only one sequence of bytes can say, so that no byte is free to carry anything."""
    try:
        check_keys(data)
        found = msgspec.msgpack.decode(data, type=kind)
    except (Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
        raise _refused("the report is not whole") from None
    if msgspec.msgpack.encode(found) != data:
        raise _refused("the report is written in another way than it should be")
    return found


def _holds(report: Report) -> bool:
    known = len(report.generations)
    return (
        len(set(report.generations)) == known
        and _rises((line.id,) for line in report.lines)
        and all(_line_holds(line, known) for line in report.lines)
    )


def _line_holds(line: Line, known: int) -> bool:
    """One tag for each place of the log, the last of them its end; every generation one of the list."""
    return (
        line.base <= line.length
        and line.generation <= known
        and all(_point_holds(point, known) for point in (*line.points, *line.gone))
        and _rises((point.index,) for point in line.points)
        and line.points[-1].index == line.length
        and _rises((point.index, point.generation, point.tag) for point in line.gone)
    )


def _point_holds(point: Point, known: int) -> bool:
    return point.generation <= known and (point.generation > 0 or point.at == 0)


def _rises(keys: Iterable[tuple[Any, ...]]) -> bool:
    return all(before < after for before, after in pairwise(keys))
