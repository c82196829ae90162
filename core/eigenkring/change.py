"""One Automerge change: the strict codec of the admitted part of the format. Spec: docs/spec/change.md.

No engine may be fed foreign bytes unchecked: a long run hangs one, a timestamp stops the other, two chunks in
one make two documents. So this module reads a change first, knows only what the schema language can say, and
lets one encoding through for each meaning. The checks follow each other in the order of the specification,
because Python and TypeScript give the same code for the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final, cast

import msgspec

from eigenkring.columns import (
    Cursor,
    bent,
    encode_booleans,
    encode_deltas,
    encode_runs,
    packed_text,
    read_booleans,
    read_deltas,
    read_numbers,
    read_texts,
    uleb,
)
from eigenkring.errors import Inadmissible
from eigenkring.operation import Action, Op, Operations, OpId, Stretch
from eigenkring.scalars import NULL, TEXT, Scalar, pack_scalar, read_scalar, read_text

__all__ = ["Action", "Change", "Op", "OpId", "encode_change", "pack_chunk", "pack_operations", "parse_change"]

MAX_CHANGE_BYTES: Final = 262_144
MAX_CHANGE_OPS: Final = 20_000
MAX_KEY_BYTES: Final = 256
ACTOR_BYTES: Final = 24

MAGIC: Final = bytes.fromhex("856f4a83")
CHANGE_CHUNK: Final = 1

# Columns: identity in the high bits, type in the low three, as Automerge numbers them.
OBJ_ACTOR, OBJ_COUNTER, KEY_ACTOR, KEY_COUNTER, KEY_TEXT = 0x01, 0x02, 0x11, 0x13, 0x15
INSERT, ACTION, VALUE_META, VALUE = 0x34, 0x42, 0x56, 0x57
PRED_COUNT, PRED_ACTOR, PRED_COUNTER = 0x70, 0x71, 0x73
COLUMNS: Final = (
    *(OBJ_ACTOR, OBJ_COUNTER, KEY_ACTOR, KEY_COUNTER, KEY_TEXT, INSERT, ACTION, VALUE_META, VALUE),
    *(PRED_COUNT, PRED_ACTOR, PRED_COUNTER),
)
MARK_COLUMNS: Final = frozenset((0x94, 0xA5))

MAKE_MAP, SET, DEL, MAKE_TEXT = 0, 1, 3, 4

_MAP_ACTIONS: Final[dict[int, Action]] = {
    MAKE_MAP: "make_map",
    SET: "set",
    DEL: "del",
    MAKE_TEXT: "make_text",
}
_CODES: Final[dict[Action, int]] = {"insert": SET, **{name: code for code, name in _MAP_ACTIONS.items()}}


class Change(msgspec.Struct, frozen=True):
    """A parsed change. ``hash`` and ``raw`` are what was received; ``encode_change`` reads only the rest."""

    deps: tuple[bytes, ...]
    actor: bytes
    seq: int
    start_op: int
    ops: Sequence[Op]
    hash: bytes = b""
    raw: bytes = b""

    @property
    def max_op(self) -> int:
        return self.start_op + len(self.ops) - 1


def _wrong(why: str) -> Inadmissible:
    return Inadmissible("bad_operation", why)


def parse_change(raw: bytes) -> Change:
    """Read one change, or raise Inadmissible. Nothing is allocated by a length that was not checked first."""
    if len(raw) > MAX_CHANGE_BYTES:
        raise Inadmissible("too_large")
    start = _check_chunk(raw)
    digest = hashlib.sha256(memoryview(raw)[8:]).digest()
    if digest[:4] != raw[4:8]:
        raise Inadmissible("bad_chunk", "wrong checksum")
    cursor = Cursor(raw, start, len(raw))
    deps = tuple(cursor.take(32) for _ in range(_count(cursor, 32)))
    if any(a >= b for a, b in pairwise(deps)):
        raise bent("dependencies are not in order")
    actor = _actor(cursor)
    seq = cursor.uleb()
    if seq < 1:
        raise Inadmissible("bad_sequence")
    start_op = cursor.uleb()
    if start_op < 1:
        raise Inadmissible("bad_start")
    # A clock's word about itself: it would be a second, unchecked time, and some values stop the engine.
    if cursor.take(1) != b"\0":
        raise Inadmissible("bad_time")
    if cursor.take(1) != b"\0":
        raise Inadmissible("bad_message")
    others = [_actor(cursor) for _ in range(_count(cursor, ACTOR_BYTES + 1))]
    if any(a >= b for a, b in pairwise(others)):
        raise bent("actors are not in order")
    columns = _columns(cursor)
    ops = Operations(actor, start_op, _operations(columns, [actor, *others], start_op))
    # A listed actor that nothing names would be free bytes: a hidden channel, and a second encoding.
    used = _others(ops.spans, actor)
    if used != others:
        raise bent("an actor that is not used, or the author among the others")
    # As for each column and value: this line holds if a step above should let a second form through.
    written = [(column, columns[column]) for column in COLUMNS if columns.get(column)]
    head = [*_head(deps, actor, seq, start_op, used), *_column_head(written)]
    if b"".join(head) != raw[start : len(raw) - sum(map(len, columns.values()))]:
        raise bent("another encoding of the same change")
    return Change(deps, actor, seq, start_op, ops, digest, raw)


def _check_chunk(raw: bytes) -> int:
    """Where the content of the only chunk begins."""
    if raw[:4] != MAGIC or len(raw) < 10 or raw[8] != CHANGE_CHUNK:
        raise Inadmissible("bad_chunk", "not one uncompressed change")
    cursor = Cursor(raw, 9, len(raw))
    try:
        length = cursor.uleb()
    except Inadmissible:
        raise Inadmissible("bad_chunk", "bad length") from None
    if cursor.pos + length != len(raw):
        # Two chunks in one: Python applies both, the second unchecked, and JavaScript none.
        raise Inadmissible("bad_chunk", "not exactly one chunk")
    return cursor.pos


def _count(cursor: Cursor, size: int) -> int:
    count = cursor.uleb()
    if count * size > cursor.end - cursor.pos:
        raise bent("more entries than bytes")
    return count


def _actor(cursor: Cursor) -> bytes:
    if cursor.uleb() != ACTOR_BYTES:
        raise Inadmissible("bad_actor", "an actor has 24 bytes")
    return cursor.take(ACTOR_BYTES)


def _columns(cursor: Cursor) -> dict[int, bytes]:
    lengths: dict[int, int] = {}
    last = -1
    for _ in range(_count(cursor, 2)):
        column, length = cursor.uleb(), cursor.uleb()
        if column <= last:
            raise bent("columns are not in order")
        if column in MARK_COLUMNS:
            raise _wrong("marks")
        if column not in COLUMNS or length == 0:
            raise bent("an unknown, compressed or empty column")
        lengths[column] = length
        last = column
    columns = {column: cursor.take(length) for column, length in lengths.items()}
    if cursor.pos != cursor.end:
        raise Inadmissible("bad_extra")
    return columns


def _operations(columns: dict[int, bytes], actors: list[bytes], start_op: int) -> list[Op | Stretch]:
    if ACTION not in columns:
        raise _wrong("a change without operations")
    codes = read_numbers(columns[ACTION], MAX_CHANGE_OPS, "too_large")
    size = len(codes)
    nothing: list[None] = [None] * size

    def numbers(column: int, delta: bool = False) -> Sequence[int | None]:
        if column not in columns:
            return nothing
        return (read_deltas if delta else read_numbers)(columns[column], size)

    obj_actors, obj_counters = numbers(OBJ_ACTOR), numbers(OBJ_COUNTER)
    key_actors, key_counters = numbers(KEY_ACTOR), numbers(KEY_COUNTER, delta=True)
    keys: Sequence[bytes | None] = read_texts(columns[KEY_TEXT], size) if KEY_TEXT in columns else nothing
    inserts = read_booleans(columns.get(INSERT, b""), size)
    metas = _whole(read_numbers(columns.get(VALUE_META, b""), size))
    values = columns.get(VALUE, b"")
    lengths = [meta >> 4 for meta in metas]
    if sum(lengths) != len(values):
        raise bent("values and their lengths differ")
    pred_counts = _whole(read_numbers(columns.get(PRED_COUNT, b""), size))
    total = sum(pred_counts)
    if total > MAX_CHANGE_OPS:
        raise Inadmissible("too_large", "too many predecessors")
    pred_actors = _whole(read_numbers(columns[PRED_ACTOR], total) if PRED_ACTOR in columns else [])
    pred_counters = _whole(read_deltas(columns[PRED_COUNTER], total) if PRED_COUNTER in columns else [])
    every = (obj_actors, obj_counters, key_actors, key_counters, keys, inserts, metas, pred_counts)
    if any(len(column) != size for column in every) or not len(pred_actors) == len(pred_counters) == total:
        raise bent("columns of unequal length")

    actions = _whole(codes)
    spans: list[Op | Stretch] = []
    index = value_at = pred_at = 0
    alone_until = 0
    while index < size:
        if inserts[index] and index >= alone_until:
            end = _end_of_chain(index, start_op, inserts, obj_actors, obj_counters, key_actors, key_counters)
            text = _typed(metas[index:end], values, value_at) if end - index > 1 else None
            ones, nulls, zeros = actions[index:end], keys[index:end], pred_counts[index:end]
            if (
                text is not None
                and ones.count(SET) == nulls.count(None) == zeros.count(0) == len(text)
                and (obj := _name(actors, obj_actors[index], obj_counters[index])) is not None
            ):
                element = _place(actors, None, key_actors[index], key_counters[index])[1]
                spans.append(Stretch(obj, element, text))
                value_at += sum(lengths[index:end])
                index = end
                continue
            # One by one, which says what is wrong. Not tried again for the rest of it: that would be quadratic.
            alone_until = end
        obj = _name(actors, obj_actors[index], obj_counters[index])
        key, element = _place(actors, keys[index], key_actors[index], key_counters[index])
        name = _action(actions[index], key, element, inserts[index])
        meta = metas[index]
        value = _value(name, meta, values[value_at : value_at + lengths[index]])
        value_at += lengths[index]
        preds: list[OpId] = []
        for at in range(pred_at, pred_at + pred_counts[index]):
            pred = _name(actors, pred_actors[at], pred_counters[at])
            if pred is None or (preds and preds[-1] >= pred):
                raise bent("predecessors are not in order")
            preds.append(pred)
        pred_at += pred_counts[index]
        _check_preds(name, key, element, preds)
        spans.append(Op(name, obj, key, element, value, tuple(preds)))
        index += 1
    return spans


def _end_of_chain(
    index: int,
    start_op: int,
    inserts: Sequence[bool],
    obj_actors: Sequence[int | None],
    obj_counters: Sequence[int | None],
    key_actors: Sequence[int | None],
    key_counters: Sequence[int | None],
) -> int:
    """Where the insertions end of which each stands after the one before it, in one object."""
    actor, counter = obj_actors[index], obj_counters[index]
    end, before, size = index + 1, start_op + index, len(inserts)
    while (
        end < size
        and key_counters[end] == before
        and inserts[end]
        and key_actors[end] == 0
        and obj_counters[end] == counter
        and obj_actors[end] == actor
    ):
        end += 1
        before += 1
    return end


def _typed(metas: Sequence[int], values: bytes, at: int) -> str | None:
    """The text that these values are, when each of them is one Unicode scalar."""
    count = len(metas)
    if metas.count(1 << 4 | TEXT) == count:
        data = values[at : at + count]
        return data.decode("ascii") if data.isascii() else None
    if any(meta & 15 != TEXT for meta in metas):
        return None
    try:
        text = values[at : at + sum(meta >> 4 for meta in metas)].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if [len(scalar.encode()) << 4 | TEXT for scalar in text] == list(metas) else None


def _whole(values: Sequence[int | None]) -> Sequence[int]:
    if None in values:
        raise bent("a null where a number belongs")
    return cast("Sequence[int]", values)


def _name(actors: list[bytes], actor: int | None, counter: int | None) -> OpId | None:
    if actor is None and counter is None:
        return None
    if actor is None or counter is None or actor >= len(actors) or counter < 1:
        raise _wrong("half a name, or of an actor that is not listed")
    return OpId(counter, actors[actor])


def _place(
    actors: list[bytes], key: bytes | None, actor: int | None, counter: int | None
) -> tuple[str | None, OpId | None]:
    if key is None:
        if actor is None and counter == 0:
            return None, None
        element = _name(actors, actor, counter)
        if element is None:
            raise _wrong("neither key nor element")
        return None, element
    if actor is not None or counter is not None:
        raise _wrong("both key and element")
    # The length first: one key of 200 kB, run-length repeated 20,000 times, would cost minutes to decode.
    if not 1 <= len(key) <= MAX_KEY_BYTES:
        raise Inadmissible("bad_value", "length of a key")
    # In a JavaScript object this name is no property but the prototype: what lies under it would be lost there only.
    if key == b"__proto__":
        raise Inadmissible("bad_value", "a key that JavaScript cannot hold")
    return read_text(key), None


def _action(action: int, key: str | None, element: OpId | None, insert: bool) -> Action:
    if key is not None and action in _MAP_ACTIONS and not insert:
        return _MAP_ACTIONS[action]
    if key is None and insert and action == SET:
        return "insert"
    if element is not None and not insert and action == DEL:
        return "del"
    # Lists, tables, links, increments, marks, blocks in text, overwriting in text.
    raise _wrong("an operation that the schema language does not have")


def _check_preds(name: Action, key: str | None, element: OpId | None, preds: list[OpId]) -> None:
    if name == "insert":
        if preds:
            raise _wrong("an insertion replaces nothing")
    elif name == "del":
        if not preds:
            raise _wrong("a deletion deletes something")
        # An element has one value for ever, because nothing overwrites in a text.
        if key is None and preds != [element]:
            raise _wrong("a deletion in a text names its element")


def _value(name: Action, meta: int, data: bytes) -> Scalar:
    """The scalar; a value where none belongs is refused."""
    kind = meta & 15
    if name != "set" and meta != NULL and not (name == "insert" and kind == TEXT):
        raise Inadmissible("bad_value", "a value where none belongs")
    value = read_scalar(kind, data)
    if meta != NULL and pack_scalar(value) != (kind, data):
        raise bent("another encoding of the same value")
    # One Unicode scalar each, so that positions mean the same in every language.
    if name == "insert" and not (isinstance(value, str) and len(value) == 1):
        raise Inadmissible("bad_value", "a text grows by one Unicode scalar at a time")
    return value


def encode_change(change: Change) -> bytes:
    """The one encoding of these fields. Whether they are admissible, only ``parse_change`` says."""
    others = _others(change.ops, change.actor)
    index = {actor: at for at, actor in enumerate([change.actor, *others])}
    columns = pack_operations(change.ops, index)
    head = _head(change.deps, change.actor, change.seq, change.start_op, others)
    return pack_chunk(b"".join([*head, *_column_head(columns), *[data for _, data in columns]]))


def _others(spans: Sequence[Op | Stretch], author: bytes) -> list[bytes]:
    """Every actor that the operations name, besides the author."""
    names: set[bytes] = set()
    for span in spans:
        if span.obj is not None:
            names.add(span.obj.actor)
        if span.element is not None:
            names.add(span.element.actor)
        for pred in span.pred:
            names.add(pred.actor)
    names.discard(author)
    return sorted(names)


def _head(deps: Sequence[bytes], actor: bytes, seq: int, start_op: int, others: Sequence[bytes]) -> list[bytes]:
    packed = [uleb(len(deps)), *deps, packed_text(actor), uleb(seq), uleb(start_op)]
    packed += (b"\0\0", uleb(len(others)))  # time 0, no message
    return packed + [packed_text(other) for other in others]


def _column_head(columns: Collection[tuple[int, bytes]]) -> list[bytes]:
    return [uleb(len(columns)), *[uleb(column) + uleb(len(data)) for column, data in columns]]


def pack_chunk(content: bytes) -> bytes:
    body = bytes([CHANGE_CHUNK]) + packed_text(content)
    return MAGIC + hashlib.sha256(body).digest()[:4] + body


def pack_operations(ops: Sequence[Op], index: dict[bytes, int]) -> list[tuple[int, bytes]]:
    def actor(name: OpId | None) -> int | None:
        return None if name is None else index[name.actor]

    values = [pack_scalar(op.value) for op in ops]
    preds = [pred for op in ops for pred in op.pred]
    columns: dict[int, bytes] = {
        OBJ_ACTOR: encode_runs([actor(op.obj) for op in ops], uleb),
        OBJ_COUNTER: encode_runs([op.obj and op.obj.counter for op in ops], uleb),
        KEY_ACTOR: encode_runs([actor(op.element) for op in ops], uleb),
        KEY_COUNTER: encode_deltas([op.element.counter if op.element else 0 if op.key is None else None for op in ops]),
        KEY_TEXT: encode_runs([None if op.key is None else op.key.encode() for op in ops], packed_text),
        INSERT: encode_booleans([op.action == "insert" for op in ops]),
        ACTION: encode_runs([_CODES[op.action] for op in ops], uleb),
        VALUE_META: encode_runs([len(data) << 4 | kind for kind, data in values], uleb),
        VALUE: b"".join(data for _, data in values),
        PRED_COUNT: encode_runs([len(op.pred) for op in ops], uleb),
        PRED_ACTOR: encode_runs([index[pred.actor] for pred in preds], uleb),
        PRED_COUNTER: encode_deltas([pred.counter for pred in preds]),
    }
    return [(column, data) for column, data in columns.items() if data]
