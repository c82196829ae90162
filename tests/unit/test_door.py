"""The strict door against the engine: honest changes pass, and what passes the engine keeps as it is."""

from __future__ import annotations

import random

import msgspec
import pytest
from automerge.core import ROOT, Document, ObjType, ScalarType
from automerge_peers import Peers, feed, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from eigenkring.change import Change, Op, OpId, encode_change, pack_chunk, parse_change
from eigenkring.columns import (
    Cursor,
    decode_booleans,
    decode_deltas,
    decode_numbers,
    encode_booleans,
    encode_deltas,
    encode_runs,
    sleb,
    uleb,
)
from eigenkring.errors import Inadmissible
from eigenkring.part.door import Door


def verdict(door: Door, raw: bytes) -> str | Change:
    try:
        return door.check(raw)
    except Inadmissible as no:
        return no.code


def opened(stream: list[bytes]) -> Door:
    door = Door()
    for raw in stream:
        door.admit(door.check(raw))
    return door


def kept_as_it_is(stream: list[bytes], heads: tuple[bytes, ...]) -> Document:
    """The engine with these changes; it must keep them byte by byte, also through its own saving."""
    document = Document(actor_id=bytes(24))
    feed(document, stream)
    again = Document.load(document.save())
    for each in (document, again):
        assert sorted(change.raw_bytes for change in each.get_changes([])) == sorted(stream)
        assert tuple(sorted(each.get_heads())) == heads
    assert tree(again) == tree(document)
    return document


@pytest.mark.parametrize("seed", range(6))
def test_honest_changes_pass_and_the_engine_ends_the_same(seed: int) -> None:
    peers = Peers(seed).run(250)
    door = Door()
    for raw in peers.stream:
        change = door.check(raw)
        assert encode_change(change) == raw
        door.admit(change)
        if len(door) % 50 == 0:
            assert Door.load(door.dump()).dump() == door.dump()
            door = Door.load(door.dump())
    document = kept_as_it_is(peers.stream, door.heads())
    for peer in peers.documents:
        feed(peer, peers.stream)
        assert tree(peer) == tree(document)


def test_covers_is_ancestry() -> None:
    stream = Peers(11).run(120).stream
    door = opened(stream)
    deps = {change.hash: change.deps for change in map(parse_change, stream)}
    for newest in deps:
        ancestors, todo = set(), [newest]
        while todo:
            name = todo.pop()
            if name not in ancestors:
                ancestors.add(name)
                todo.extend(deps[name])
        assert {name for name in deps if door.covers(newest, name)} == ancestors
    assert not door.covers(newest, bytes(32)) and not door.covers(bytes(32), newest)
    clock = door.clock()
    assert all(door.highest_seq(actor) == seq for actor, seq in clock.items()) and door.highest_seq(b"") == 0
    assert sum(clock.values()) == len(door) == len(stream)


def test_a_changed_byte_is_refused() -> None:
    stream = Peers(3).run(12).stream
    for at, raw in enumerate(stream):
        door = opened(stream[:at])
        for place in range(len(raw)):
            for mask in (1, 0x80, 0xFF):
                flipped = raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
                assert verdict(door, flipped) == "bad_chunk"


def test_a_changed_byte_under_a_right_checksum_is_refused_or_kept_as_it_is() -> None:
    stream = Peers(4).run(14).stream
    let_in = 0
    for at, raw in enumerate(stream):
        door = opened(stream[:at])
        content = raw[10:] if raw[9] < 0x80 else raw[11:]
        for place in range(len(content)):
            for mask in (1, 4, 0x80):
                changed = pack_chunk(content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :])
                found = verdict(door, changed)
                if isinstance(found, Change):
                    let_in += 1
                    after = Door.load(door.dump())
                    after.admit(found)
                    kept_as_it_is([*stream[:at], changed], after.heads())
    assert let_in > 50  # other letters, other numbers: honest changes that were not made


def odd_but_admissible(seed: int) -> tuple[list[bytes], Door]:
    """Changes that no honest engine makes and the door lets in: on any ancestors, replacing any older values."""
    roll = random.Random(seed)
    door, stream = Door(), []
    changes: dict[bytes, Change] = {}
    for _ in range(40):
        actor = bytes([roll.randrange(1, 4)]) * 24
        deps = set(roll.sample(list(changes), min(len(changes), roll.randrange(3))))
        deps |= set(door.heads()) if roll.random() < 0.5 else set()
        deps |= {own} if (own := door.newest(actor)) else set()
        start = 1 + max((changes[dep].max_op for dep in deps), default=0)
        past = [change for name, change in changes.items() if any(door.covers(dep, name) for dep in deps)]
        known = [(OpId(c.start_op + at, c.actor), op) for c in past for at, op in enumerate(c.ops)]
        ops: list[Op] = []
        for counter in range(start, start + roll.randrange(1, 6)):
            op = _odd(roll, known)
            known.append((OpId(counter, actor), op))
            ops.append(op)
        change = Change(tuple(sorted(deps)), actor, door.highest_seq(actor) + 1, start, tuple(ops))
        found = verdict(door, encode_change(change))
        if isinstance(found, Change):
            door.admit(found)
            changes[found.hash] = found
            stream.append(found.raw)
        else:
            # Two values beside each other under one key, or nested too deeply; all else these fields cannot say.
            assert found in ("no_predecessor", "too_large")
    return stream, door


def _odd(roll: random.Random, known: list[tuple[OpId, Op]]) -> Op:
    objects = {name: op.action for name, op in known if op.action.startswith("make")}
    obj = roll.choice([None, *objects])
    if obj is None or objects[obj] == "make_map":
        key = roll.choice("abc")
        values = [name for name, op in known if (op.obj, op.key) == (obj, key) and op.action != "del"]
        pred = tuple(sorted(roll.sample(values, min(len(values), roll.randrange(4)))))
        match roll.randrange(6):
            case 0 if pred:
                return Op("del", obj, key, None, None, pred)
            case 1:
                return Op("make_map", obj, key, None, None, pred)
            case 2 | 3:
                return Op("make_text", obj, key, None, None, pred)
            case _:
                return Op("set", obj, key, None, roll.choice((1, None, True, 2.5, "s", "")), pred)
    elements = [name for name, op in known if op.obj == obj and op.action == "insert"]
    place = roll.choice([None, *elements])
    if place is not None and roll.random() < 0.4:
        return Op("del", obj, None, place, None, (place,))
    return Op("insert", obj, None, place, roll.choice("xyz😀\u0301\0\ufffc"), ())


@pytest.mark.parametrize("seed", range(12))
def test_what_the_door_admits_the_engine_keeps_as_it_is(seed: int) -> None:
    stream, door = odd_but_admissible(seed)
    assert len(stream) > 20
    together = kept_as_it_is(stream, door.heads())
    one_by_one = Document(actor_id=bytes(24))
    for raw in stream:
        feed(one_by_one, [raw])
    assert tree(one_by_one) == tree(together)


def test_nothing_is_made_before_it_is_counted() -> None:
    """Runs of thousands of millions: the test would end by the clock, or with the memory."""
    huge = 2**52
    for data in (sleb(huge) + b"\1", b"\0" + uleb(huge), sleb(-huge) + b"\1"):
        with pytest.raises(Inadmissible):
            decode_numbers(data, 20_000)
    with pytest.raises(Inadmissible):
        decode_booleans(uleb(huge), 20_000)
    door = Door()
    assert verdict(door, bytes(262_145)) == "too_large" and verdict(door, bytes(262_144)) == "bad_chunk"


@given(st.lists(st.none() | st.integers(0, 4) | st.integers(0, 2**53 - 1), max_size=40))
def test_a_list_of_numbers_comes_back(values: list[int | None]) -> None:
    if any(value is not None for value in values):
        assert decode_numbers(encode_runs(values, uleb), len(values)) == values
        steps = [b - a for a, b in zip([0, *filter(None, values)], filter(None, values), strict=False)]
        if all(abs(step) < 2**53 for step in steps):
            assert decode_deltas(encode_deltas(values), len(values)) == values
    else:
        assert encode_runs(values, uleb) == b""


@given(st.lists(st.booleans(), max_size=40))
def test_a_list_of_booleans_comes_back(values: list[bool]) -> None:
    assert decode_booleans(encode_booleans(values), len(values)) == values


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_number_has_one_form(value: int) -> None:
    packed = sleb(value)
    cursor = Cursor(packed, 0, len(packed))
    assert cursor.sleb() == value and cursor.pos == len(packed)
    longer = packed[:-1] + bytes([packed[-1] | 0x80, 0x7F if value < 0 else 0])
    with pytest.raises(Inadmissible):
        Cursor(longer, 0, len(longer)).sleb()


@settings(max_examples=400)
@given(st.binary(max_size=12), st.integers(0, 6))
def test_a_column_that_is_read_is_written_the_same(data: bytes, limit: int) -> None:
    for decode, encode in (
        (decode_numbers, lambda values: encode_runs(values, uleb)),
        (decode_deltas, encode_deltas),
        (decode_booleans, encode_booleans),
    ):
        try:
            values = decode(data, limit)
        except Inadmissible:
            continue
        assert len(values) <= limit and encode(values) == data


def test_check_changes_nothing_and_admit_wants_the_checked_change() -> None:
    stream = Peers(5).run(40).stream
    door = opened(stream[:-1])
    before = door.dump()
    change = door.check(stream[-1])
    assert door.dump() == before and not door.has(change.hash)
    with pytest.raises(AssertionError):
        door.admit(msgspec.structs.replace(change, seq=change.seq + 1))


def test_ten_thousand_keystrokes() -> None:
    document = Document(actor_id=b"\7" * 24)
    with document.transaction() as transaction:
        text = transaction.put_object(ROOT, "words", ObjType.Text)
    for at in range(10_000):
        with document.transaction() as transaction:
            transaction.insert(text, at, ScalarType.Str, "a")
    door = opened([change.raw_bytes for change in document.get_changes([])])
    saved = door.dump()
    assert len(door) == 10_001 and len(saved) < 500_000
    assert Door.load(saved).heads() == door.heads() == tuple(document.get_heads())
