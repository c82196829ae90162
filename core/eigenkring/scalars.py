"""The values a part may hold: null, booleans, whole numbers, floats, text. Spec: docs/spec/change.md."""

from __future__ import annotations

import math
import struct
from typing import Final

from eigenkring.columns import Cursor, sleb
from eigenkring.errors import Inadmissible

MAX_TEXT_BYTES: Final = 65_536
# The JavaScript engine shows 2^53 - 1 as a bigint, on which JSON and arithmetic fail: so one less, on both sides.
MAX_INT: Final = 2**53 - 2
NULL, FALSE, TRUE, INT, FLOAT, TEXT = 0, 1, 2, 4, 5, 6

Scalar = None | bool | int | float | str


def read_text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Inadmissible("bad_value", "not UTF-8") from None


def read_scalar(kind: int, data: bytes) -> Scalar:
    if kind in (NULL, FALSE, TRUE) and not data:
        return (None, False, True)[kind]
    if kind == INT:
        cursor = Cursor(data, 0, len(data))
        try:
            number = cursor.sleb()
        except Inadmissible:
            raise Inadmissible("bad_value", "an integer out of range or badly written") from None
        if cursor.pos == len(data) and -MAX_INT <= number <= MAX_INT:
            return number
    elif kind == FLOAT and len(data) == 8:
        real: float = struct.unpack("<d", data)[0]
        if math.isfinite(real):
            return real
    elif kind == TEXT and len(data) <= MAX_TEXT_BYTES:
        return read_text(data)
    # Unsigned numbers, bytes, counters, timestamps, unknown types: the two engines end differently on them.
    raise Inadmissible("bad_value")


def pack_scalar(value: Scalar) -> tuple[int, bytes]:
    """The type and the bytes."""
    if value is None:
        return NULL, b""
    if isinstance(value, bool):
        return TRUE if value else FALSE, b""
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise Inadmissible("bad_value", "a whole number that JavaScript cannot hold")
        return INT, sleb(value)
    if isinstance(value, float):
        return FLOAT, struct.pack("<d", value)
    return TEXT, value.encode("utf-8")
