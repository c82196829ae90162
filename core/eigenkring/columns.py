"""LEB128 numbers and run-length columns as Automerge packs them, read so that one list has one encoding.

Spec: docs/spec/change.md. What departs from the normal form is ``Inadmissible("not_canonical")``. A run is
counted before it is expanded, because seven bytes can announce a thousand million values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, TypeVar, cast

from eigenkring.errors import Inadmissible

MAX_SAFE: Final = 2**53 - 1  # above it JavaScript's numbers skip

T = TypeVar("T", int, bytes)


def bent(why: str) -> Inadmissible:
    return Inadmissible("not_canonical", why)


class Cursor:
    """Reads ``data[pos:end]`` and never beyond it."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data = data
        self.pos = pos
        self.end = end

    def take(self, count: int) -> bytes:
        start = self.pos
        if count > self.end - start:
            raise bent("the bytes end early")
        self.pos = start + count
        return self.data[start : start + count]

    def _leb(self) -> tuple[int, int]:
        """The number without its sign, and its width in bits. Eight bytes hold 2^53: none needs a ninth."""
        data, pos, end = self.data, self.pos, self.end
        value = shift = 0
        while shift < 56 and pos < end:
            byte = data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                self.pos = pos
                return value, shift
        raise bent("a number that ends early or is too large")

    def uleb(self) -> int:
        pos = self.pos
        if pos < self.end and (byte := self.data[pos]) < 0x80:
            self.pos = pos + 1
            return byte
        value, bits = self._leb()
        if value >> (bits - 7) == 0 or value > MAX_SAFE:
            raise bent("a number longer than it needs, or too large")
        return value

    def sleb(self) -> int:
        pos = self.pos
        if pos < self.end and (byte := self.data[pos]) < 0x80:
            self.pos = pos + 1
            return byte - 0x80 if byte & 0x40 else byte
        value, bits = self._leb()
        if value >> (bits - 1):
            value -= 1 << bits
        # Minimal: seven bits fewer would not have held it.
        if bits > 7 and -(1 << (bits - 8)) <= value < 1 << (bits - 8):
            raise bent("a number longer than it needs")
        if not -MAX_SAFE <= value <= MAX_SAFE:
            raise bent("a number too large")
        return value

    def text(self) -> bytes:
        """Length and bytes, not yet known to be UTF-8."""
        return self.take(self.uleb())


_BYTES: Final = tuple(bytes([value]) for value in range(128))


def uleb(value: int) -> bytes:
    if value < 0x80:
        return _BYTES[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int) -> bytes:
    if -0x40 <= value < 0x40:
        return _BYTES[value & 0x7F]
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def packed_text(value: bytes) -> bytes:
    return uleb(len(value)) + value


def decode_runs(data: bytes, limit: int, read: Callable[[Cursor], T], code: str = "not_canonical") -> list[T | None]:
    """The one run-length form of a list: the longest runs, literals between them, and not nulls alone."""
    cursor = Cursor(data, 0, len(data))
    out: list[T | None] = []
    kind: str | None = None  # of the run before this one
    last: T | None = None  # and its last value
    seen = False
    while cursor.pos < cursor.end:
        count = cursor.sleb()
        size = cursor.uleb() if count == 0 else abs(count)
        if size > limit - len(out):
            raise Inadmissible(code, "more values than allowed")
        if count == 0:
            if size == 0 or kind == "null":
                raise bent("an empty or a divided run of nulls")
            kind, last = "null", None
            out.extend([None] * size)
            continue
        seen = True
        value = read(cursor)
        if value == last:
            raise bent("a divided run")
        if count > 0:
            if count == 1:
                raise bent("a run of one")
            kind, last = "run", value
            out.extend([value] * count)
            continue
        if kind == "literal":
            raise bent("a divided literal")
        out.append(value)
        for _ in range(size - 1):
            last, value = value, read(cursor)
            if value == last:
                raise bent("a run inside a literal")
            out.append(value)
        kind, last = "literal", value
    if not seen:
        raise bent("a column without a value")
    return out


def decode_numbers(data: bytes, limit: int, code: str = "not_canonical") -> list[int | None]:
    return decode_runs(data, limit, Cursor.uleb, code)


def decode_texts(data: bytes, limit: int) -> list[bytes | None]:
    return decode_runs(data, limit, Cursor.text)


def decode_deltas(data: bytes, limit: int) -> list[int | None]:
    """Each value is the difference to the value before it (nulls stand aside), and none is below zero."""
    out = decode_runs(data, limit, Cursor.sleb)
    if None not in out:
        counters = list(accumulate(cast("list[int]", out)))
        if min(counters) < 0 or max(counters) > MAX_SAFE:
            raise bent("a counter out of range")
        return cast("list[int | None]", counters)
    total = 0
    for index, step in enumerate(out):
        if step is not None:
            total += step
            if not 0 <= total <= MAX_SAFE:
                raise bent("a counter out of range")
            out[index] = total
    return out


def decode_booleans(data: bytes, limit: int) -> list[bool]:
    """Lengths of runs, in turn of false and true; only the first may be empty."""
    cursor = Cursor(data, 0, len(data))
    out: list[bool] = []
    value = False
    while cursor.pos < cursor.end:
        size = cursor.uleb()
        if size > limit - len(out) or (size == 0 and (value or out or cursor.pos == cursor.end)):
            raise bent("an empty or too long run of booleans")
        out.extend([value] * size)
        value = not value
    return out


def encode_runs(values: Sequence[T | None], write: Callable[[T], bytes]) -> bytes:
    """The normal form; empty when there is nothing but nulls."""
    out: list[bytes] = []
    literal: list[bytes] = []
    size, index = len(values), 0
    seen = False
    while index < size:
        value, start = values[index], index
        while index < size and values[index] == value:
            index += 1
        count = index - start
        if value is not None and count == 1:
            literal.append(write(value))
            continue
        if literal:
            out += [sleb(-len(literal)), *literal]
            literal, seen = [], True
        if value is None:
            out.append(b"\0" + uleb(count))
        else:
            out += [sleb(count), write(value)]
            seen = True
    if literal:
        out += [sleb(-len(literal)), *literal]
        seen = True
    return b"".join(out) if seen else b""


def encode_deltas(values: Sequence[int | None]) -> bytes:
    if None not in values:
        whole = cast("Sequence[int]", values)
        return encode_runs([value - before for before, value in pairwise((0, *whole))], sleb)
    steps: list[int | None] = []
    total = 0
    for value in values:
        if value is None:
            steps.append(None)
        else:
            steps.append(value - total)
            total = value
    return encode_runs(steps, sleb)


def encode_booleans(values: Sequence[bool]) -> bytes:
    out: list[bytes] = []
    current, count = False, 0
    for value in values:
        if value is not current:
            out.append(uleb(count))
            current, count = value, 0
        count += 1
    if values:
        out.append(uleb(count))
    return b"".join(out)


def read_numbers(data: bytes, limit: int, code: str = "not_canonical") -> Sequence[int | None]:
    """As ``decode_numbers``, and packed again: what comes out is what went in."""
    return _read("numbers", data, limit, code)


def read_deltas(data: bytes, limit: int) -> Sequence[int | None]:
    return _read("deltas", data, limit)


def read_texts(data: bytes, limit: int) -> Sequence[bytes | None]:
    return _read("texts", data, limit)


def read_booleans(data: bytes, limit: int) -> Sequence[bool]:
    return _read("booleans", data, limit)


# Most columns are short and were met before (all of a word's letters are inserted, none has a predecessor): what they say is
# remembered, with a bound on what an attacker's columns can take. What is wrong is not remembered, and raises each time.
_SHORT_BYTES: Final = 24
_FEW_VALUES: Final = 128
_MOST_REMEMBERED: Final = 4_096
_remembered: dict[tuple[str, bytes, int], tuple[Any, ...]] = {}


def _read(kind: str, data: bytes, limit: int, code: str = "not_canonical") -> Sequence[Any]:
    known = _remembered.get((kind, data, limit))
    if known is not None:
        return known
    values: Sequence[Any]
    if kind == "numbers":
        values = decode_numbers(data, limit, code)
        packed = encode_runs(values, uleb)
    elif kind == "deltas":
        values = decode_deltas(data, limit)
        packed = encode_deltas(values)
    elif kind == "texts":
        values = decode_texts(data, limit)
        packed = encode_runs(values, packed_text)
    else:
        values = decode_booleans(data, limit)
        packed = encode_booleans(values)
    # Each step above lets one form through. This line holds if one of them should not: another form of one change has
    # another hash, and an engine that packs its history again would write the first.
    if packed != data:
        raise bent("another encoding of the same column")
    read = tuple(values)
    if len(data) <= _SHORT_BYTES and len(read) <= _FEW_VALUES:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[kind, data, limit] = read
    return read
