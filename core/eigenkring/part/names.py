"""The operations of one actor in one part, as columns of numbers: in memory as in the store. Spec: docs/spec/change.md.

Nothing is decoded when a part of years is opened to write one word in it: that word asks for a few numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

import msgspec

# For the actor of the root, and for the key of an element.
NOBODY: Final = -1
# Numbers of operations in four bytes, and in eight where one is above this; the format allows 2^53 - 1.
NARROW: Final = (1 << 32) - 1
_IS_LITTLE: Final = array("H", [1]).tobytes()[0] == 1


class PackedNames(msgspec.Struct, array_like=True):
    """For the device's own store; no protocol format."""

    is_wide: bool
    counters: list[bytes]
    indexes: list[bytes]
    laid: bytes


class Names:
    """Operations are named by their counters, which rise. A run is operations in one place: a key of a map, or elements of
    a text. An object is named by its counter and the index of its actor, the root by 0 and ``NOBODY``; a key by an index.
    """

    __slots__ = ("_ends", "_firsts", "_keys", "_laid", "_lasts", "_made", "_obj_actors", "_objs", "_starts")

    def __init__(self) -> None:
        self._starts, self._ends = array("I"), array("I")  # first and last operation of each change
        self._firsts, self._lasts = array("I"), array("I")  # of each run
        self._objs, self._obj_actors, self._keys = array("I"), array("i"), array("i")  # of each run
        self._made, self._laid = array("I"), array("B")  # counters of the objects it made, and 2 * depth + kind

    def add_change(self, start: int, end: int) -> None:
        """No number of the change, and of what it names, is above its last one."""
        if end > NARROW and self._starts.typecode == "I":
            self._starts, self._ends, self._made = (array("Q", old) for old in (self._starts, self._ends, self._made))
            self._firsts, self._lasts, self._objs = (array("Q", old) for old in (self._firsts, self._lasts, self._objs))
        self._starts.append(start)
        self._ends.append(end)

    def end_of(self, seq: int) -> int:
        """The last operation of a change."""
        return self._ends[seq - 1]

    def changes_until(self, counter: int) -> int:
        """The sequence of the change that has this operation, where one has it."""
        return bisect_right(self._starts, counter)

    def add_object(self, counter: int, kind: int, depth: int) -> None:
        self._made.append(counter)
        self._laid.append(2 * depth + kind)

    def object_at(self, counter: int) -> tuple[int | None, int]:
        """Kind and depth of what the operation made; None where it made no object."""
        at = bisect_left(self._made, counter)
        if at == len(self._made) or self._made[at] != counter:
            return None, 0
        return self._laid[at] % 2, self._laid[at] // 2

    def place(self, first: int, last: int, obj: int, obj_actor: int, key: int) -> None:
        goes_on = self._lasts and self._lasts[-1] == first - 1 and self._keys[-1] == key
        if goes_on and self._objs[-1] == obj and self._obj_actors[-1] == obj_actor:
            self._lasts[-1] = last
            return
        self._firsts.append(first)
        self._lasts.append(last)
        self._objs.append(obj)
        self._obj_actors.append(obj_actor)
        self._keys.append(key)

    def stands(self, counter: int, obj: int, obj_actor: int | None, key: int | None) -> bool:
        """Whether the operation holds a value there. None: an actor or a key that was never met."""
        at = bisect_right(self._firsts, counter) - 1
        if at < 0 or counter > self._lasts[at]:
            return False
        return self._keys[at] == key and self._objs[at] == obj and self._obj_actors[at] == obj_actor

    def pack(self) -> PackedNames:
        counters = self._starts, self._ends, self._firsts, self._lasts, self._objs, self._made
        indexes = self._obj_actors, self._keys
        is_wide = self._starts.typecode == "Q"
        return PackedNames(is_wide, [*map(packed, counters)], [*map(packed, indexes)], packed(self._laid))

    @classmethod
    def of(cls, found: PackedNames) -> Names:
        """What ``pack`` gave, believed to the last byte."""
        names, code = cls(), "Q" if found.is_wide else "I"
        counters = (unpacked(code, column) for column in found.counters)
        names._starts, names._ends, names._firsts, names._lasts, names._objs, names._made = counters
        names._obj_actors, names._keys = (unpacked("i", column) for column in found.indexes)
        names._laid = unpacked("B", found.laid)
        return names


def packed(column: array[int]) -> bytes:
    """The lowest byte first, on every machine: a store may move to another one."""
    return _turned(column[:]).tobytes()


def unpacked(code: str, found: bytes) -> array[int]:
    column = array(code)
    column.frombytes(found)
    return _turned(column)


def _turned(column: array[int]) -> array[int]:
    if not _IS_LITTLE:
        column.byteswap()
    return column
