"""Test vectors of the strict door: which changes a part admits, and with which code it refuses the others.

`make()` gives {scenario: vector}; the same program gives the same bytes. `admitted` holds the changes that are let in
first, in order; then `change` meets the door. Both languages run every vector: tests/unit/test_change_vectors.py and
pwa/test/change.test.ts. What real engines wrote is in fixed/engine_changes.json.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from eigenkring import change as codec
from eigenkring.change import Change, Op, OpId, encode_change, pack_chunk, pack_operations, parse_change
from eigenkring.columns import encode_runs, packed_text, sleb, uleb
from eigenkring.errors import Inadmissible
from eigenkring.part.door import Door
from eigenkring.scalars import Scalar

Vector = dict[str, Any]
FIXED = Path(__file__).parent / "fixed" / "engine_changes.json"
A, B, C, D = (bytes([letter]) * 24 for letter in (0x0A, 0x0B, 0x0C, 0x0D))


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for part in (_admitted, _chunk, _header, _columns, _operations, _values, _order, _references, _engines):
        for name, admitted, raw, error, about in part():
            if name in vectors:
                raise ValueError(f"vector {name} is double")
            vectors[name] = _vector(name, admitted, raw, error, about)
    return vectors


Row = tuple[str, list[bytes], bytes, str | None, str]  # name, admitted, change, error, about


def _vector(name: str, admitted: list[bytes], raw: bytes, error: str | None, about: str) -> Vector:
    vector: Vector = {"about": about, "kind": "door", "admitted": [each.hex() for each in admitted]}
    vector["change"] = raw.hex()
    door = Door()
    for each in admitted:
        door.admit(door.check(each))
    try:
        parsed = door.check(raw)
    except Inadmissible as no:
        if no.code != error:
            raise ValueError(f"vector {name} is refused with {no.code} and not {error}") from no
        return vector | {"error": error}
    if error is not None:
        raise ValueError(f"vector {name} is admitted")
    door.admit(parsed)
    return vector | {
        "out": {
            "hash": parsed.hash.hex(),
            "actor": parsed.actor.hex(),
            "seq": parsed.seq,
            "start_op": parsed.start_op,
            "max_op": parsed.max_op,
            "deps": [dep.hex() for dep in parsed.deps],
            "heads": [head.hex() for head in door.heads()],
        }
    }


# Building blocks


def put(key: str, value: Scalar, *pred: OpId, obj: OpId | None = None) -> Op:
    return Op("set", obj, key, None, value, pred)


def make_object(key: str, action: codec.Action, *pred: OpId, obj: OpId | None = None) -> Op:
    return Op(action, obj, key, None, None, pred)


def insert(obj: OpId, after: OpId | None, value: str) -> Op:
    return Op("insert", obj, None, after, value, ())


def remove(obj: OpId, element: OpId) -> Op:
    return Op("del", obj, None, element, None, (element,))


def delete(key: str, *pred: OpId, obj: OpId | None = None) -> Op:
    return Op("del", obj, key, None, None, pred)


def commit(actor: bytes, seq: int, start: int, deps: list[bytes], *ops: Op) -> bytes:
    """``deps`` are raw changes."""
    return encode_change(Change(tuple(sorted(parse_change(dep).hash for dep in deps)), actor, seq, start, ops))


TEXT, MAP, H, LAST, NAME = (OpId(counter, A) for counter in range(1, 6))
A1 = commit(
    A, 1, 1, [],
    make_object("woorden", "make_text"), make_object("kaart", "make_map"),
    insert(TEXT, None, "h"), insert(TEXT, H, "i"), put("naam", "Noor"),
)  # fmt: skip
B1 = commit(B, 1, 6, [A1], put("naam", "Ana", NAME), put("oud", 7))
A2 = commit(A, 2, 6, [A1], put("naam", "Bo", NAME), remove(TEXT, LAST))
ONE = put("a", 1)

Columns = dict[int, bytes]


def build(
    *,
    deps: list[bytes] = [],  # noqa: B006
    actor: bytes = A,
    seq: bytes = b"\1",
    start: bytes = b"\1",
    time: bytes = b"\0",
    message: bytes = b"\0",
    others: list[bytes] = [],  # noqa: B006
    ops: tuple[Op, ...] = (ONE,),
    columns: Callable[[Columns], Columns | list[tuple[int, bytes]]] = lambda columns: columns,
    extra: bytes = b"",
) -> bytes:
    """A change with parts that ``encode_change`` would never write."""
    packed = columns(dict(pack_operations(ops, {a: at for at, a in enumerate([actor, *others])})))
    pairs = list(packed.items()) if isinstance(packed, dict) else packed
    return pack_chunk(
        b"".join(
            [
                uleb(len(deps)), *deps, packed_text(actor), seq, start, time, message,
                uleb(len(others)), *map(packed_text, others),
                uleb(len(pairs)), *(uleb(column) + uleb(len(data)) for column, data in pairs),
                *(data for _, data in pairs), extra,
            ]
        )
    )  # fmt: skip


def with_columns(instead: Mapping[int, bytes | None], ops: tuple[Op, ...] = (ONE,), **rest: Any) -> bytes:
    """Columns packed by hand in the place of some; None leaves one out."""

    def replaced(columns: Columns) -> Columns:
        merged = {**columns, **instead}
        return {column: data for column, data in sorted(merged.items()) if data is not None}

    return build(ops=ops, columns=replaced, **rest)


def valued(kind: int, data: bytes) -> bytes:
    """One set under the root whose value is packed by hand."""
    return with_columns({codec.VALUE_META: encode_runs([len(data) << 4 | kind], uleb), codec.VALUE: data or None})


def on_a1(instead: Mapping[int, bytes | None], *ops: Op) -> bytes:
    """A first change of B on A1, with columns packed by hand."""
    return with_columns(instead, ops, actor=B, others=[A], deps=[parse_change(A1).hash], start=b"\6")


# Scenarios


def _admitted() -> Iterator[Row]:
    yield "first_change", [], A1, None, "the first change of a part: a text, a map, words, a name"
    yield "concurrent_changes", [A1, B1], A2, None, "two devices replaced the same name without knowing of each other"
    merged = commit(A, 3, 8, [A2, B1], put("naam", "Cas", OpId(6, A), OpId(6, B)))
    yield (
        "merge_of_two_values",
        [A1, B1, A2],
        merged,
        None,
        "both values are replaced, sorted by counter and then actor",
    )
    late = commit(C, 1, 6, [A1], put("naam", "Do", NAME))
    yield (
        "written_offline",
        [A1, B1, A2, merged],
        late,
        None,
        "a change may stand on an old one: its author was offline",
    )
    yield "root_beside_others", [A1], commit(B, 1, 1, [], ONE), None, "a change without dependencies is a first one too"
    gone = commit(B, 1, 8, [A2], insert(TEXT, LAST, "x"))
    yield (
        "after_a_deleted_element",
        [A1, A2],
        gone,
        None,
        "a deleted element is still a place: who typed after it did not know",
    )
    twice = commit(B, 1, 8, [A2], remove(TEXT, LAST))
    yield "deleting_the_deleted", [A1, A2], twice, None, "concurrent deletions do the same; it changes nothing"
    inner = OpId(6, B)
    inside = commit(
        B, 1, 6, [A1], make_object("t", "make_text", obj=MAP), insert(inner, None, "é"),
        insert(inner, OpId(7, B), "😀"),
        remove(inner, OpId(7, B)),
    )  # fmt: skip
    yield "object_made_inside", [A1], inside, None, "names of operations earlier in the same change"
    again = commit(A, 1, 1, [], put("a", 1), put("a", 2, OpId(1, A)), delete("a", OpId(2, A)), put("a", 3))
    yield "replaced_inside", [], again, None, "a key written twice in one change replaces the own first value"
    every: list[Scalar] = [
        None,
        True,
        False,
        0,
        -1,
        63,
        64,
        -64,
        -65,
        2**53 - 2,
        -(2**53 - 2),
        1.0,
        -0.0,
        5e-324,
        "",
        "Zoë 😀",
    ]
    scalars = commit(A, 1, 1, [], *(put(f"k{at}", value) for at, value in enumerate(every)))
    yield (
        "every_kind_of_value",
        [],
        scalars,
        None,
        "the edges of whole numbers, floats that are whole, minus zero, empty text",
    )
    yield (
        "byte_order_mark",
        [],
        commit(A, 1, 1, [], put("\ufeffa", "\ufeffb")),
        None,
        "decoders that drop U+FEFF write other bytes",
    )
    long = [
        make_object("t", "make_text"),
        *(insert(OpId(1, A), OpId(at, A) if at > 1 else None, "a") for at in range(1, 301)),
    ]
    yield "paste", [], commit(A, 1, 1, [], *long), None, "three hundred letters are a few runs"
    yield "longest_key", [], commit(A, 1, 1, [], put("k" * 256, 1)), None, "256 bytes"
    yield "longest_text", [], commit(A, 1, 1, [], put("k", "é" * 32_768)), None, "65,536 bytes"
    yield (
        "second_incarnation",
        [A1],
        commit(A[:16] + bytes(8), 1, 6, [A1], ONE),
        None,
        "a device whose store was restored",
    )
    deep = [make_object("m", "make_map", obj=OpId(at, A) if at else None) for at in range(16)]
    yield "sixteen_deep", [], commit(A, 1, 1, [], *deep), None, "as deep as objects may lie"
    chain = [put("a", at, *([OpId(at, A)] if at else [])) for at in range(200)]
    yield "numbers_of_two_bytes", [], commit(A, 1, 1, [], *chain), None, "counters that need a second byte"


def _chunk() -> Iterator[Row]:
    checksum = A1[:4] + bytes([A1[4] ^ 1]) + A1[5:]
    yield "empty", [], b"", "bad_chunk", "nothing"
    yield "only_magic", [], A1[:9], "bad_chunk", "nothing after the type"
    yield "wrong_magic", [], b"\x85\x6f\x4a\x84" + A1[4:], "bad_chunk", "another format"
    yield "wrong_checksum", [], checksum, "bad_chunk", "one bit of the checksum"
    yield (
        "document_chunk",
        [],
        A1[:8] + b"\0" + A1[9:],
        "bad_chunk",
        "saved documents never travel: their rows can be permuted under the same heads",
    )
    yield "deflated_chunk", [], A1[:8] + b"\2" + A1[9:], "bad_chunk", "records compress as a whole"
    yield "two_chunks", [], A1 + B1, "bad_chunk", "Python applies both, JavaScript none"
    yield "two_chunks_summed", [], _summed(A1[8:] + B1), "bad_chunk", "and the checksum is of both"
    yield "byte_after_the_end", [], A1 + b"\0", "bad_chunk", "a hidden channel"
    yield "byte_after_the_end_summed", [], _summed(A1[8:] + b"\0"), "bad_chunk", "and the checksum is of it too"
    yield "document_chunk_summed", [], _summed(b"\0" + A1[9:]), "bad_chunk", "a saved document with its own checksum"
    yield "cut_short", [], A1[:-1], "bad_chunk", "the length says more"
    yield "length_not_minimal", [], _long_length(), "bad_chunk", "the length of the chunk has one form"
    yield (
        "length_beyond_2_53",
        [],
        A1[:9] + b"\xff" * 8 + b"\1" + A1[11:],
        "bad_chunk",
        "a length no JavaScript number holds",
    )


def _long_length() -> bytes:
    """A1 with its length in one byte more than it needs, and the checksum that fits."""
    content = A1[11:]
    size = bytes([len(content) & 0x7F | 0x80, len(content) >> 7 | 0x80, 0])
    return _summed(b"\1" + size + content)


def _summed(body: bytes) -> bytes:
    """From the type on, whatever it is, under the checksum that fits."""
    return A1[:4] + hashlib.sha256(body).digest()[:4] + body


def _header() -> Iterator[Row]:
    first, second = sorted([parse_change(A2).hash, parse_change(B1).hash])
    yield "time_set", [], build(time=b"\1"), "bad_time", "a second, unchecked clock"
    yield "time_not_minimal", [], build(time=b"\x80\0"), "bad_time", "a zero in two bytes"
    yield (
        "time_huge",
        [],
        build(time=b"\xff" * 9 + b"\x7f"),
        "bad_time",
        "the Python engine stops on times it cannot hold",
    )
    yield "message_set", [], build(message=b"\1a"), "bad_message", "words where no screen looks"
    yield "extra_bytes", [], build(extra=b"x"), "bad_extra", "engines carry them along unseen"
    yield "short_actor", [], build(actor=A[:16]), "bad_actor", "16 bytes, as the engines take by default"
    yield "long_actor", [], build(actor=A + b"\0"), "bad_actor", "25 bytes"
    yield (
        "short_other_actor",
        [A1],
        build(actor=B, others=[A[:16]], ops=(put("a", 1, OpId(1, A[:16])),)),
        "bad_actor",
        "the others too",
    )
    yield "sequence_zero", [], build(seq=b"\0"), "bad_sequence", "sequences begin at 1"
    yield "start_zero", [], build(start=b"\0"), "bad_start", "operations begin at 1"
    yield "sequence_not_minimal", [], build(seq=b"\x81\0"), "not_canonical", "1 in two bytes"
    yield "start_beyond_2_53", [], build(start=b"\xff" * 7 + b"\x3f"), "not_canonical", "larger than 2^53 - 1"
    yield "sequence_of_2_53", [], build(seq=uleb(2**53)), "not_canonical", "the first number whose neighbours are lost"
    yield "start_of_nine_bytes", [], build(start=b"\x80" * 8 + b"\1"), "not_canonical", "no number needs nine bytes"
    yield (
        "dependencies_unsorted",
        [A1, A2, B1],
        build(actor=C, deps=[second, first], start=b"\x08"),
        "not_canonical",
        "dependencies rise",
    )
    yield (
        "dependency_twice",
        [A1, A2],
        build(actor=C, deps=[first, first], start=b"\x08"),
        "not_canonical",
        "one only once",
    )
    yield (
        "dependencies_beyond_the_end",
        [],
        pack_chunk(uleb(2**40) + bytes(64)),
        "not_canonical",
        "counted before anything is made",
    )
    yield "ends_in_the_header", [], pack_chunk(b"\0\x18" + A[:10]), "not_canonical", "the bytes end inside the actor"
    ops = (put("a", 1, OpId(5, B), OpId(5, C)),)
    yield "actors_unsorted", [], build(others=[C, B], ops=ops), "not_canonical", "other actors rise"
    yield "actor_twice", [], build(others=[B, B], ops=(put("a", 1, OpId(5, B)),)), "not_canonical", "one only once"
    yield "actor_unused", [], build(others=[B]), "not_canonical", "free bytes"
    named = build(actor=B, deps=[parse_change(A1).hash], others=[A, B], start=b"\6", ops=(put("naam", 1, NAME),))
    yield "author_among_others", [A1], named, "not_canonical", "a second name for the author"


def _columns() -> Iterator[Row]:
    yield (
        "no_operations",
        [],
        build(columns=lambda _: {}),
        "bad_operation",
        "an empty change carries nothing but a hash",
    )
    yield (
        "columns_unsorted",
        [],
        build(columns=lambda columns: list(columns.items())[::-1]),
        "not_canonical",
        "columns rise",
    )
    yield (
        "column_twice",
        [],
        build(columns=lambda columns: [*columns.items(), list(columns.items())[-1]]),
        "not_canonical",
        "one only once",
    )
    yield "column_unknown", [], with_columns({0x84: b"\1"}), "not_canonical", "engines keep what they do not know"
    yield "column_of_another_type", [], with_columns({0x43: b"\x7f\1"}), "not_canonical", "the action as a delta"
    yield (
        "column_deflated",
        [],
        with_columns({codec.ACTION | 8: b"\x7f\1"}),
        "not_canonical",
        "a column that unpacks to megabytes",
    )
    yield "column_empty", [], with_columns({codec.OBJ_ACTOR: b""}), "not_canonical", "an absent column has one form"
    yield (
        "column_of_nulls",
        [],
        with_columns({codec.OBJ_ACTOR: b"\0\1"}),
        "not_canonical",
        "an absent column has one form",
    )
    yield "marks_expand", [], with_columns({0x94: b"\1"}), "bad_operation", "no marks"
    yield "marks_name", [], with_columns({0xA5: b"\x7f\1b"}), "bad_operation", "no marks"
    yield "insert_column_absent", [], with_columns({codec.INSERT: None}), "not_canonical", "always there"
    yield "value_column_absent", [], with_columns({codec.VALUE: None}), "not_canonical", "lengths without values"
    yield "value_lengths_absent", [], with_columns({codec.VALUE_META: None}), "not_canonical", "values without lengths"
    yield "value_bytes_left", [], with_columns({codec.VALUE: b"\1\1"}), "not_canonical", "free bytes"
    yield "predecessor_counts_absent", [], with_columns({codec.PRED_COUNT: None}), "not_canonical", "always there"
    yield (
        "huge_run_of_actions",
        [],
        with_columns({codec.ACTION: sleb(10**9) + b"\1"}),
        "too_large",
        "seven bytes, a thousand million operations",
    )
    yield "too_many_actions", [], with_columns({codec.ACTION: sleb(20_001) + b"\1"}), "too_large", "one above the limit"
    yield (
        "huge_run_of_nulls",
        [],
        with_columns({codec.OBJ_ACTOR: b"\0" + uleb(2**50)}),
        "not_canonical",
        "counted before it is expanded",
    )
    yield (
        "huge_run_of_booleans",
        [],
        with_columns({codec.INSERT: uleb(2**50)}),
        "not_canonical",
        "counted before it is expanded",
    )
    yield (
        "huge_number_of_predecessors",
        [],
        with_columns(
            {
                codec.PRED_COUNT: b"\x7f" + uleb(10**9),
                codec.PRED_ACTOR: sleb(10**9) + b"\0",
                codec.PRED_COUNTER: sleb(10**9) + b"\1",
            }
        ),
        "too_large",
        "the sum is checked before they are expanded",
    )
    three = (put("a", 1), put("b", 1), put("c", 1))
    yield (
        "run_written_as_literal",
        [],
        with_columns({codec.ACTION: sleb(-3) + b"\1\1\1"}, ops=three),
        "not_canonical",
        "equal neighbours are a run",
    )
    yield "run_divided", [], with_columns({codec.ACTION: b"\2\1\x7f\1"}, ops=three), "not_canonical", "the longest run"
    yield "run_of_one", [], with_columns({codec.ACTION: b"\1\1"}), "not_canonical", "one value is a literal"
    yield "run_of_zero_nulls", [], with_columns({codec.ACTION: b"\0\0\x7f\1"}), "not_canonical", "an empty run"
    yield (
        "literal_divided",
        [],
        with_columns({codec.ACTION: b"\x7f\0\x7f\1"}, ops=three[:2]),
        "not_canonical",
        "one literal",
    )
    yield (
        "null_action",
        [],
        with_columns({codec.ACTION: b"\x7f\1\0\1"}, ops=three[:2]),
        "not_canonical",
        "every operation has one",
    )
    yield (
        "columns_of_unequal_length",
        [],
        with_columns({codec.ACTION: b"\2\1"}),
        "not_canonical",
        "two actions, one of everything else",
    )
    yield (
        "boolean_run_of_zero",
        [],
        with_columns({codec.INSERT: b"\1\0\2"}, ops=three),
        "not_canonical",
        "only the first may be empty",
    )
    yield "boolean_without_run", [], with_columns({codec.INSERT: b"\0"}), "not_canonical", "nothing, at length"
    yield (
        "delta_below_zero",
        [],
        with_columns({codec.KEY_COUNTER: b"\x7f\x7f"}),
        "not_canonical",
        "a counter of minus one",
    )
    yield (
        "predecessors_left",
        [],
        with_columns({codec.PRED_ACTOR: b"\x7f\0", codec.PRED_COUNTER: b"\x7f\1"}),
        "not_canonical",
        "more than counted",
    )

    two = encode_runs([1, 1], sleb)
    for name, instead in (("actors", {codec.PRED_ACTOR: b"\x7f\0"}), ("counters", {codec.PRED_COUNTER: b"\x7f\1"})):
        counted = {codec.PRED_COUNT: b"\x7f\2", codec.PRED_ACTOR: b"\2\0", codec.PRED_COUNTER: two, **instead}
        yield f"predecessor_{name}_short", [], with_columns(counted), "not_canonical", "fewer than counted"
    beyond = encode_runs([1, 2**53 - 1], sleb)
    counted = {codec.PRED_COUNT: b"\x7f\2", codec.PRED_ACTOR: b"\2\0", codec.PRED_COUNTER: beyond}
    yield "delta_beyond_2_53", [], with_columns(counted), "not_canonical", "each step is small enough, their sum is not"


def _operations() -> Iterator[Row]:
    def acted(action: int, op: Op = make_object("a", "make_map"), inserted: bytes = b"\1") -> bytes:  # noqa: B008
        return with_columns({codec.ACTION: b"\x7f" + uleb(action), codec.INSERT: inserted}, (op,))

    for action, name in ((2, "list"), (5, "increment"), (6, "table"), (7, "mark"), (8, "unknown")):
        yield f"action_{name}", [], acted(action), "bad_operation", "not in the schema language"
    letter = insert(TEXT, H, "x")
    yield "insert_in_a_map", [], acted(1, ONE, b"\0\1"), "bad_operation", "maps have keys"
    overwritten = on_a1({codec.INSERT: b"\1"}, letter)
    yield "overwriting_in_text", [A1], overwritten, "bad_operation", "letters come and go: else a text has conflicts"
    yield "block_in_text", [A1], on_a1({codec.ACTION: b"\x7f\0"}, letter), "bad_operation", "a map between letters"
    beginning = on_a1({codec.KEY_COUNTER: b"\x7f\0", codec.KEY_ACTOR: None}, remove(TEXT, H))
    yield "delete_the_beginning", [A1], beginning, "bad_operation", "nothing stands there"
    yield "neither_key_nor_element", [], with_columns({codec.KEY_TEXT: None}), "bad_operation", "no place"
    yield "key_and_element", [], with_columns({codec.KEY_COUNTER: b"\x7f\0"}), "bad_operation", "two places"
    yield "key_and_actor", [], with_columns({codec.KEY_ACTOR: b"\x7f\0"}), "bad_operation", "a key and half a place"
    nowhere = {
        codec.KEY_ACTOR: encode_runs([1, None], uleb),
        codec.KEY_COUNTER: encode_runs([H.counter, None], sleb),
    }
    lost = on_a1(nowhere, letter, letter)
    yield "insertion_nowhere", [A1], lost, "bad_operation", "not even after the beginning"
    half = with_columns({codec.OBJ_COUNTER: b"\x7f\1"})
    yield "half_an_object", [], half, "bad_operation", "a counter without an actor"
    half = with_columns({codec.OBJ_ACTOR: b"\x7f\0"})
    yield "other_half_of_an_object", [], half, "bad_operation", "an actor without a counter"
    zero = with_columns({codec.OBJ_ACTOR: b"\x7f\0", codec.OBJ_COUNTER: b"\x7f\0"})
    yield "object_zero", [], zero, "bad_operation", "the root has one name"
    unlisted = with_columns({codec.OBJ_ACTOR: b"\x7f\1", codec.OBJ_COUNTER: b"\x7f\1"})
    yield "object_of_unlisted_actor", [], unlisted, "bad_operation", "actor 1 of 1"
    none = {codec.PRED_COUNT: b"\x7f\1", codec.PRED_ACTOR: b"\x7f\0", codec.PRED_COUNTER: b"\x7f\0"}
    yield "predecessor_zero", [], with_columns(none), "bad_operation", "no operation is number 0"
    yield "delete_nothing", [], build(ops=(delete("a"),)), "bad_operation", "a deletion names what it deletes"
    replacing = on_a1({}, Op("insert", TEXT, None, H, "x", (H,)))
    yield "insertion_with_predecessor", [A1], replacing, "bad_operation", "an insertion replaces nothing"
    another = commit(B, 1, 6, [A1], Op("del", TEXT, None, H, None, (LAST,)))
    yield "text_deletion_of_another", [A1], another, "bad_operation", "the element and the deleted differ"
    both = commit(B, 1, 6, [A1], Op("del", TEXT, None, H, None, (H, LAST)))
    yield "text_deletion_of_two", [A1], both, "bad_operation", "an element has one value"
    swapped = commit(A, 3, 8, [A2, B1], put("naam", "Cas", OpId(6, B), OpId(6, A)))
    yield "predecessors_unsorted", [A1, B1, A2], swapped, "not_canonical", "by counter, then by actor"
    double = commit(B, 1, 6, [A1], put("naam", "Cas", NAME, NAME))
    yield "predecessor_twice", [A1], double, "not_canonical", "one only once"


def _values() -> Iterator[Row]:
    yield "value_unsigned", [], valued(3, b"\1"), "bad_value", "one kind of whole number"
    yield "value_bytes", [], valued(7, b"\1"), "bad_value", "pictures have streams of their own"
    yield "value_counter", [], valued(8, b"\1"), "bad_value", "counters corrupt when they meet a deletion"
    yield "value_timestamp", [], valued(9, b"\1"), "bad_value", "the Python engine panics on a large one"
    yield "value_unknown", [], valued(15, b""), "bad_value", "a type that does not exist yet"
    yield "null_with_bytes", [], valued(0, b"\0"), "bad_value", "free bytes"
    yield "true_with_bytes", [], valued(2, b"\1"), "bad_value", "free bytes"
    yield "int_empty", [], valued(4, b""), "bad_value", "no number"
    yield "int_not_minimal", [], valued(4, b"\x81\0"), "bad_value", "1 in two bytes"
    yield "int_negative_not_minimal", [], valued(4, b"\xff\x7f"), "bad_value", "-1 in two bytes"
    yield "int_with_bytes_after", [], valued(4, b"\1\1"), "bad_value", "free bytes"
    yield "int_2_53_minus_1", [], valued(4, sleb(2**53 - 1)), "bad_value", "the JavaScript engine shows it as a bigint"
    yield "int_1_minus_2_53", [], valued(4, sleb(1 - 2**53)), "bad_value", "one limit on both sides"
    yield "int_2_53", [], valued(4, sleb(2**53)), "bad_value", "JavaScript cannot tell it from the next"
    yield "int_minus_2_53", [], valued(4, sleb(-(2**53))), "bad_value", "nor this one"
    yield "int_of_ten_bytes", [], valued(4, b"\xff" * 9 + b"\x7f"), "bad_value", "-1 at length"
    yield (
        "float_not_a_number",
        [],
        valued(5, bytes.fromhex("000000000000f87f")),
        "bad_value",
        "many encodings, equal to nothing",
    )
    yield "float_infinite", [], valued(5, bytes.fromhex("000000000000f0ff")), "bad_value", "JSON has no word for it"
    yield "float_of_four_bytes", [], valued(5, bytes(4)), "bad_value", "eight bytes"
    yield "text_not_utf8", [], valued(6, b"\xc3"), "bad_value", "half a letter"
    yield "text_overlong_utf8", [], valued(6, b"\xc0\x80"), "bad_value", "a zero in two bytes"
    yield "text_surrogate", [], valued(6, b"\xed\xa0\xbd"), "bad_value", "half of a pair"
    yield "text_too_long", [], valued(6, b"a" * 65_537), "bad_value", "one byte too many"
    yield "key_empty", [], commit(A, 1, 1, [], put("", 1)), "bad_value", "a key has a name"
    yield "key_too_long", [], commit(A, 1, 1, [], put("k" * 255 + "é", 1)), "bad_value", "257 bytes"
    yield "key_not_utf8", [], with_columns({codec.KEY_TEXT: b"\x7f\1\xff"}), "bad_value", "no text"
    yield "key_prototype", [], commit(A, 1, 1, [], put("__proto__", 1)), "bad_value", "JavaScript would lose it"
    yield (
        "value_on_a_map",
        [],
        with_columns({codec.VALUE_META: b"\x7f\1"}, (make_object("a", "make_map"),)),
        "bad_value",
        "objects begin empty",
    )
    valued_deletion = on_a1({codec.VALUE_META: b"\x7f\2"}, delete("naam", NAME))
    yield "value_on_a_deletion", [A1], valued_deletion, "bad_value", "nothing is left to have one"
    yield (
        "insert_of_two_letters",
        [A1],
        commit(B, 1, 6, [A1], insert(TEXT, H, "ab")),
        "bad_value",
        "positions would differ",
    )
    yield (
        "insert_of_a_cluster",
        [A1],
        commit(B, 1, 6, [A1], insert(TEXT, H, "e\u0301")),
        "bad_value",
        "two scalars that look like one",
    )
    yield (
        "insert_of_nothing",
        [A1],
        commit(B, 1, 6, [A1], insert(TEXT, H, "")),
        "bad_value",
        "an element that no one sees",
    )
    yield (
        "insert_of_a_number",
        [A1],
        commit(B, 1, 6, [A1], Op("insert", TEXT, None, H, 1, ())),
        "bad_value",
        "no letter",
    )


def _order() -> Iterator[Row]:
    yield "twice", [A1], A1, "duplicate_change", "the same change again"
    yield "dependency_missing", [], B1, "missing_dependency", "nothing waits"
    yield (
        "sequence_again",
        [A1, A2],
        commit(A, 2, 8, [A2], ONE),
        "bad_sequence",
        "a second variant of one sequence: the first wins",
    )
    yield "sequence_skipped", [A1], commit(A, 3, 6, [A1], ONE), "bad_sequence", "a gap"
    yield "sequence_not_first", [], build(seq=b"\2"), "bad_sequence", "the first change of an actor has sequence 1"
    yield (
        "own_change_not_named",
        [A1, B1],
        commit(A, 2, 1, [], ONE),
        "own_dependency",
        "an actor's changes are one line",
    )
    yield "own_change_only_ancestor", [A1, B1], commit(A, 2, 8, [B1], ONE), "own_dependency", "engines always name it"
    yield "start_too_low", [A1], commit(B, 1, 5, [A1], ONE), "bad_start", "a name that may exist already"
    yield "start_too_high", [A1], commit(B, 1, 7, [A1], ONE), "bad_start", "counters could be used up"
    yield "start_huge", [A1], commit(B, 1, 2**53 - 2, [A1], ONE), "bad_start", "no honest change could follow"
    # An engine that counts in 32 bits begins again at nought here, and gives old names to new operations.
    for where, start in (("below", 2**32 - 1), ("at", 2**32), ("above", 2**32 + 6)):
        yield f"start_{where}_2_32", [A1], commit(B, 1, start, [A1], ONE), "bad_start", "counters of 32 bits"
    yield (
        "start_of_another_branch",
        [A1, B1, A2, commit(B, 2, 8, [B1], ONE)],
        commit(C, 1, 9, [A2], ONE),
        "bad_start",
        "the highest of its own dependencies",
    )
    many = [commit(A[:16] + at.to_bytes(8, "big"), 1, 1, [], put("a", at)) for at in range(256)]
    yield (
        "too_many_incarnations",
        many,
        commit(A[:16] + b"\1" * 8, 1, 1, [], ONE),
        "bad_actor",
        "a device restored 256 times",
    )


def _references() -> Iterator[Row]:
    def after_a1(*ops: Op) -> bytes:
        return commit(B, 1, 6, [A1], *ops)

    yield "object_unknown", [A1], after_a1(put("a", 1, obj=OpId(5, C))), "no_object", "of an actor nobody knows"
    # Counters that are those of what is there, but for 2^32.
    beyond = 2**32
    yield (
        "object_beyond_2_32",
        [A1],
        after_a1(put("a", 1, obj=OpId(beyond + MAP.counter, A))),
        "no_object",
        "another one",
    )
    typed_at = insert(TEXT, OpId(beyond + LAST.counter, A), "!")
    yield "element_beyond_2_32", [A1], after_a1(typed_at), "no_element", "another one"
    named = put("naam", 1, OpId(beyond + NAME.counter, A))
    yield "predecessor_beyond_2_32", [A1], after_a1(named), "no_predecessor", "another one"
    yield "object_not_an_object", [A1], after_a1(put("a", 1, obj=NAME)), "no_object", "a name is no map"
    yield "object_is_a_text", [A1], after_a1(put("a", 1, obj=TEXT)), "no_object", "keys in a text"
    yield "object_is_a_map", [A1], after_a1(insert(MAP, None, "a")), "no_object", "letters in a map"
    rooted = {codec.KEY_TEXT: None, codec.KEY_COUNTER: b"\x7f\0", codec.INSERT: b"\0\1"}
    yield "letters_in_the_root", [], with_columns(rooted, (put("a", "x"),)), "no_object", "the root is a map"
    yield (
        "object_later_in_the_change",
        [A1],
        after_a1(put("a", 1, obj=OpId(7, B)), make_object("b", "make_map")),
        "no_object",
        "not made yet",
    )
    yield (
        "object_is_itself",
        [A1],
        after_a1(make_object("b", "make_map", obj=OpId(6, B))),
        "no_object",
        "a map in itself",
    )
    made = commit(B, 1, 6, [A1], make_object("m", "make_map"))
    yield (
        "object_not_seen",
        [A1, made],
        commit(C, 1, 6, [A1], put("a", 1, obj=OpId(6, B))),
        "no_object",
        "admitted, but not among the ancestors",
    )
    yield "element_unknown", [A1], after_a1(insert(TEXT, OpId(4, C), "a")), "no_element", "of an actor nobody knows"
    yield "element_of_no_text", [A1], after_a1(insert(TEXT, NAME, "a")), "no_element", "a name is no letter"
    other = commit(B, 1, 6, [A1], make_object("t", "make_text"), insert(OpId(6, B), H, "a"))
    yield "element_of_another_text", [A1], other, "no_element", "a letter of the first text"
    typed = commit(B, 1, 6, [A1], insert(TEXT, LAST, "!"))
    yield (
        "element_not_seen",
        [A1, typed],
        commit(C, 1, 6, [A1], insert(TEXT, OpId(6, B), "a")),
        "no_element",
        "admitted, but not among the ancestors",
    )
    yield "element_is_itself", [A1], after_a1(insert(TEXT, OpId(6, B), "a")), "no_element", "a letter after itself"
    yield (
        "element_is_a_deletion",
        [A1, A2],
        commit(B, 1, 8, [A2], insert(TEXT, OpId(7, A), "a")),
        "no_element",
        "a deletion is no letter",
    )
    yield "deleting_an_unknown_element", [A1], after_a1(remove(TEXT, OpId(9, A))), "no_element", "never typed"
    yield (
        "predecessor_unknown",
        [A1],
        after_a1(put("naam", 1, OpId(4, C))),
        "no_predecessor",
        "of an actor nobody knows",
    )
    yield (
        "predecessor_of_another_key",
        [A1],
        after_a1(put("oud", 1, NAME)),
        "no_predecessor",
        "would remove another field",
    )
    yield (
        "predecessor_in_another_map",
        [A1],
        after_a1(put("naam", 1, NAME, obj=MAP)),
        "no_predecessor",
        "would remove another field",
    )
    yield "predecessor_is_a_letter", [A1], after_a1(put("naam", 1, H)), "no_predecessor", "a letter of a text"
    removed = commit(B, 1, 6, [A1], delete("naam", NAME))
    yield (
        "predecessor_is_a_deletion",
        [A1, removed],
        commit(C, 1, 7, [removed], put("naam", 1, OpId(6, B))),
        "no_predecessor",
        "a deletion holds nothing",
    )
    yield (
        "predecessor_not_seen",
        [A1, B1],
        commit(C, 1, 6, [A1], put("naam", 1, OpId(6, B))),
        "no_predecessor",
        "admitted, but not among the ancestors",
    )
    yield (
        "predecessor_is_itself",
        [A1],
        after_a1(put("naam", 1, OpId(6, B))),
        "no_predecessor",
        "a value that replaces itself",
    )
    yield (
        "values_beside_each_other",
        [A1],
        after_a1(put("a", 1), put("a", 2)),
        "no_predecessor",
        "one author does not disagree with itself",
    )
    deep = [make_object("m", "make_map", obj=OpId(at, A) if at else None) for at in range(17)]
    yield (
        "seventeen_deep",
        [],
        commit(A, 1, 1, [], *deep),
        "too_large",
        "JavaScript takes minutes over maps nested thousands deep",
    )
    lower = commit(A, 1, 1, [], *deep[:16])
    yield (
        "seventeen_deep_in_two",
        [lower],
        commit(A, 2, 17, [lower], make_object("t", "make_text", obj=OpId(16, A))),
        "too_large",
        "over two changes",
    )


def _engines() -> Iterator[Row]:
    fixed: dict[str, Any] = json.loads(FIXED.read_text())
    python = [bytes.fromhex(each) for each in fixed["python"]]
    javascript = [bytes.fromhex(each) for each in fixed["javascript"]]
    yield "python_first", [], python[0], None, "automerge 1.0.0rc1 of Python wrote it"
    yield "python_second", python[:1], python[1], None, "automerge 1.0.0rc1 of Python wrote it"
    yield "javascript_first", python, javascript[0], None, "@automerge/automerge 3.5.0 wrote it after Python's"
    yield (
        "javascript_second",
        [*python, javascript[0]],
        javascript[1],
        None,
        "@automerge/automerge 3.5.0 wrote it after Python's",
    )
    for name, error, about in (
        ("large", "bad_value", "2^60, which JavaScript writes as a whole number"),
        ("timed", "bad_time", "a change without the option time: 0"),
        ("message", "bad_message", "a change with a message"),
        ("list", "bad_operation", "a JavaScript array"),
        ("counter", "bad_value", "a counter"),
        ("increment", "bad_operation", "and its increment, as if it came first"),
        ("date", "bad_value", "a JavaScript date"),
        ("bytes", "bad_value", "a byte array"),
        ("uint", "bad_value", "an unsigned number"),
        ("mark", "bad_operation", "bold letters"),
        ("block", "bad_operation", "a paragraph in a text"),
        ("empty", "bad_operation", "an empty change"),
        ("short_actor", "bad_actor", "an actor of 16 bytes, the engine's own choice"),
    ):
        yield (
            f"javascript_{name}",
            [],
            bytes.fromhex(fixed[name]),
            error,
            f"@automerge/automerge 3.5.0 wrote it: {about}",
        )
