"""The intents of a person as the smallest operations, so that a change ends where the next one would make it too large.

Everything a field may hold is checked here, before the engine sees it: what passes here passes the strict door.
Spec: docs/spec/part.md (Document).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeGuard

from eigenkring.change import MAX_KEY_BYTES
from eigenkring.errors import EigenkringError, Misuse

Scalar: TypeAlias = "str | int | float | bool | None"
Intent: TypeAlias = Sequence[Any]

MAX_SCALAR_BYTES: Final = 65_536
MAX_INTEGER: Final = 2**53 - 2  # one more is a bigint to the engine of JavaScript
# Room below max_change_ops and max_change_bytes for what a change says besides its operations.
_MOST_OPS: Final = 15_000
_MOST_BYTES: Final = 190_000
_OP_BYTES: Final = 12
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FieldRule(Protocol):
    @property
    def type(self) -> str: ...


class CollectionRule(Protocol):
    @property
    def fields(self) -> Mapping[str, FieldRule]: ...


class KindRules(Protocol):
    """What this module needs of ``eigenkring.schema.KindSchema``."""

    @property
    def collections(self) -> Mapping[str, CollectionRule]: ...


class Node(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def obj(self) -> bytes: ...
    @property
    def value(self) -> Scalar: ...


class Reading(Protocol):
    def get(self, obj: bytes, key: str) -> Node | None: ...
    def keys(self, obj: bytes) -> list[str]: ...
    def text(self, obj: bytes) -> str: ...


class Writing(Reading, Protocol):
    def put(self, obj: bytes, key: str, value: Scalar) -> None: ...
    def make_map(self, obj: bytes, key: str) -> bytes: ...
    def make_text(self, obj: bytes, key: str) -> bytes: ...
    def insert(self, obj: bytes, position: int, text: str) -> None: ...
    def remove(self, obj: bytes, position: int, count: int) -> None: ...
    def delete(self, obj: bytes, key: str) -> None: ...


class TooLarge(EigenkringError):
    """The intents do not fit into one change."""


_Step = tuple[int, int]  # operations and bytes that the next step will cost


class Steps:
    """The intents as small steps, so that a change ends where the next step would make it too large."""

    def __init__(self, root: bytes, schema: KindRules | None, intents: Sequence[Intent]) -> None:
        self.root = root
        self.schema = schema
        self.done = False
        self._writing: Writing | None = None
        self._walk = self._all(intents)
        self._next: _Step | None = None

    @property
    def writing(self) -> Writing:
        if self._writing is None:
            raise AssertionError("a step outside of a change")
        return self._writing

    def run_whole(self, writing: Writing) -> None:
        self.run(writing)
        if not self.done:
            raise TooLarge

    def run(self, writing: Writing) -> None:
        """As much as fits into one change."""
        self._writing = writing
        ops = size = 0
        try:
            while True:
                step = self._next or next(self._walk, None)
                self._next = None
                if step is None:
                    self.done = True
                    return
                if ops and (ops + step[0] > _MOST_OPS or size + step[1] > _MOST_BYTES):
                    self._next = step
                    return
                ops, size = ops + step[0], size + step[1]
        finally:
            self._writing = None

    # Each yield says what follows it will cost: the change may end there.

    def _all(self, intents: Sequence[Intent]) -> Iterator[_Step]:
        for intent in intents:
            match intent:
                case ["add", collection, item, fields]:
                    yield from self._add(collection, item, fields)
                case ["set", path, value]:
                    yield from self._set(path, value)
                case ["delete", path]:
                    yield from self._delete(path)
                case ["splice", path, position, count, text, *_]:
                    yield from self._splice(path, position, count, text)
                case _:
                    raise Misuse("bad_argument", "no such intent")

    def _add(self, collection: object, item: object, fields: object) -> Iterator[_Step]:
        key = f"{_name(collection)}/{_name(item)}"
        if not isinstance(fields, Mapping):
            raise Misuse("bad_value", "fields are a map")
        yield _cost(key)
        if self.writing.get(self.root, key) is not None:
            raise Misuse("bad_argument", "the item is there already")
        obj = self.writing.make_map(self.root, key)
        rules = self._rules(str(collection))
        # Empty texts and sets are made with the item: two people who write the first words at once would
        # otherwise make two texts, and one would be hidden.
        for name, rule in rules.items():
            if rule.type in ("text", "set") and name not in fields:
                yield _cost(name)
                self._empty(obj, name, rule.type)
        for name, value in fields.items():
            yield from self._put(obj, _field(name), rules.get(name), value)

    def _set(self, path: object, value: object) -> Iterator[_Step]:
        collection, item, field = _path(path, 3)
        yield (0, 0)
        obj = self._item(collection, item)
        yield from self._put(obj, field, self._rules(collection).get(field), value)

    def _delete(self, path: object) -> Iterator[_Step]:
        names = _path(path, 2, 3)
        yield _cost("/".join(names))
        obj = self._item(names[0], names[1])
        if len(names) == 2:
            self.writing.delete(self.root, f"{names[0]}/{names[1]}")
        elif self.writing.get(obj, names[2]) is None:
            raise Misuse("no_such_field", "there is no such field")
        else:
            self.writing.delete(obj, names[2])

    def _splice(self, path: object, position: object, count: object, text: object) -> Iterator[_Step]:
        collection, item, field = _path(path, 3)
        if not (_is_count(position) and _is_count(count) and isinstance(text, str)):
            raise Misuse("bad_value", "a splice is position, number to remove, text")
        _utf8(text)
        yield (0, 0)
        node = self.writing.get(self._item(collection, item), field)
        if node is None or node.kind != "text":
            raise Misuse("no_such_field", "there is no such text")
        if position + count > len(self.writing.text(node.obj)):
            raise Misuse("bad_value", "beyond the end of the text")
        yield from self._cut_and_paste(node.obj, position, count, text)

    def _put(self, obj: bytes, field: str, rule: FieldRule | None, value: object) -> Iterator[_Step]:
        node = self.writing.get(obj, field)
        if rule is not None and rule.type == "set":
            yield from self._put_set(obj, field, node, value)
        elif rule.type == "text" if rule is not None else isinstance(value, str):
            yield from self._put_text(obj, field, node, value)
        elif rule is None and node is not None and node.kind == "map":
            yield from self._put_set(obj, field, node, value)
        else:
            scalar = _scalar(value)
            yield _cost(field, scalar)
            self.writing.put(obj, field, scalar)

    def _put_text(self, obj: bytes, field: str, node: Node | None, value: object) -> Iterator[_Step]:
        if not isinstance(value, str):
            raise Misuse("bad_value", "a text takes text")
        _utf8(value)
        if node is None or node.kind != "text":
            yield _cost(field)
            text, before = self._empty(obj, field, "text"), ""
        else:
            text, before = node.obj, self.writing.text(node.obj)
        position, count, new = smallest_splice(before, value)
        yield from self._cut_and_paste(text, position, count, new)

    def _put_set(self, obj: bytes, field: str, node: Node | None, value: object) -> Iterator[_Step]:
        members = _members(value)
        if node is None or node.kind != "map":
            yield _cost(field)
            at = self._empty(obj, field, "set")
            had: set[str] = set()
        else:
            at, had = node.obj, set(self.writing.keys(node.obj))
        for member in sorted(had - members):
            yield _cost(member)
            self.writing.delete(at, member)
        for member in sorted(members):
            if not is_member(self.writing.get(at, member)):
                yield _cost(member)
                self.writing.put(at, member, True)

    def _cut_and_paste(self, obj: bytes, position: int, count: int, text: str) -> Iterator[_Step]:
        # In pieces of a size that always fits; the removal first, so that the pieces follow each other.
        while count > 0:
            piece = min(count, 1_000)
            yield (piece, piece * _OP_BYTES)
            self.writing.remove(obj, position, piece)
            count -= piece
        for start in range(0, len(text), 1_000):
            words = text[start : start + 1_000]
            yield (len(words), len(words.encode()) + len(words) * 8)
            self.writing.insert(obj, position + start, words)

    def _empty(self, obj: bytes, field: str, type_: str) -> bytes:
        return self.writing.make_text(obj, field) if type_ == "text" else self.writing.make_map(obj, field)

    def _item(self, collection: str, item: str) -> bytes:
        node = self.writing.get(self.root, f"{collection}/{item}")
        if node is None or node.kind != "map":
            raise Misuse("no_such_item", "there is no such item")
        return node.obj

    def _rules(self, collection: str) -> Mapping[str, FieldRule]:
        known = None if self.schema is None else self.schema.collections.get(collection)
        return {} if known is None else known.fields


def smallest_splice(before: str, after: str) -> tuple[int, int, str]:
    """Position, number of scalars to remove, text to insert: what differs between common beginning and end.

    Anything larger would delete and type again words that somebody else is changing meanwhile.
    """
    most = min(len(before), len(after))
    start = 0
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return start, len(before) - start - end, after[start : len(after) - end]


# Values


def is_member(node: Node | None) -> bool:
    return node is not None and node.kind == "scalar" and node.value is True


def plain(value: Scalar) -> Scalar:
    # JavaScript has one kind of number: 3.0 made in Python and 3 made there are one value to everybody.
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER:
        return int(value)
    return value


def _cost(*values: Scalar) -> _Step:
    return 1, _OP_BYTES + sum(len(value.encode()) if isinstance(value, str) else 9 for value in values)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair: the two engines would keep different words.
        raise Misuse("bad_value", "half a character") from None


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(_utf8(value)) > MAX_SCALAR_BYTES:
            raise Misuse("bad_value", "the value is too long")
        return value
    if isinstance(value, float) and math.isfinite(value):
        value = plain(value)
        if isinstance(value, float):
            return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    raise Misuse("bad_value", "the field does not take that value")


def _members(value: object) -> set[str]:
    if isinstance(value, Mapping) and all(held is True for held in value.values()):
        value = list(value)
    if not isinstance(value, list | tuple | set | frozenset):
        raise Misuse("bad_value", "a set takes a list of texts")
    members: set[str] = set()
    for member in value:
        if not isinstance(member, str) or not _is_key(member):
            raise Misuse("bad_value", "a member of a set is a short text")
        members.add(member)
    return members


def _is_key(value: str) -> bool:
    # The door refuses `__proto__`: a JavaScript object cannot hold it as a property.
    return 1 <= len(_utf8(value)) <= MAX_KEY_BYTES and value != "__proto__"


def is_name(value: str) -> bool:
    return _KEY.fullmatch(value) is not None


def _name(value: object) -> str:
    """Of a collection or an item. No slash: two names must not make one key."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise Misuse("bad_path", "a name is 1 to 64 letters, digits, - or _")
    return value


def _field(value: object) -> str:
    if not isinstance(value, str) or not _is_key(value):
        raise Misuse("bad_path", "a field has a short name")
    return value


def _path(path: object, *sizes: int) -> list[str]:
    if not isinstance(path, list | tuple) or len(path) not in sizes:
        raise Misuse("bad_path", "a path is collection, item and perhaps field")
    return [*map(_name, path[:2]), *map(_field, path[2:])]
