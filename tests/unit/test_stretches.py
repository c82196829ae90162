"""Letters typed one after the other are read, checked and remembered as one stretch: with the verdicts of one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from automerge.core import ROOT, Document, ObjType, ScalarType, Transaction
from automerge_peers import Peers
from oracle import Oracle, running
from test_door_differential import Both, bent

from eigenkring import change as codec
from eigenkring import columns
from eigenkring.change import Change, Op, OpId, encode_change, parse_change
from eigenkring.columns import encode_runs, read_numbers, uleb
from eigenkring.errors import Inadmissible
from eigenkring.operation import Operations, Stretch, operations_of
from eigenkring.part.door import Door


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with running("door-oracle") as found:
        yield found


def typed(*texts: str) -> bytes:
    """One change of the engine that makes a text for each, and types it."""
    document = Document(actor_id=bytes([1]) * 24)
    with document.transaction() as transaction:
        for key, text in zip("abcdef", texts, strict=False):
            obj = transaction.put_object(ROOT, key, ObjType.Text)
            for at, scalar in enumerate(text):
                transaction.insert(obj, at, ScalarType.Str, scalar)
    return document.get_changes([])[0].raw_bytes


class Typists(Peers):
    """They type words, where the others put letters here and there."""

    def edit(self, transaction: Transaction) -> None:
        if self.texts and self.random.random() < 0.4:
            text = self.random.choice(self.texts)
            at = self.random.randrange(transaction.length(text) + 1)
            for place, scalar in enumerate(self.random.choice(("oma", "é😀", "goed")), at):
                transaction.insert(text, place, ScalarType.Str, scalar)
        else:
            super().edit(transaction)


def verdict(door: Door, raw: bytes) -> Change | str:
    try:
        return door.check(raw)
    except Inadmissible as no:
        return no.code


def one_by_one(index: int, *_: object) -> int:
    return index + 1


@pytest.mark.parametrize("seed", range(4))
def test_the_verdict_is_that_of_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    roll = random.Random(seed)
    stream = Typists(seed).run(120).stream
    others = [parse_change(raw) for raw in stream]
    whole, single = Door(), Door()
    stretches = refused = 0
    for raw in stream:
        for tried in [*(bent(roll, raw, others) for _ in range(6)), raw]:
            found = verdict(whole, tried)
            with monkeypatch.context() as patch:
                patch.setattr(codec, "_end_of_chain", one_by_one)
                expected = verdict(single, tried)
            assert found == expected, tried.hex()
            refused += isinstance(found, str)
            if isinstance(found, Change):
                stretches += any(isinstance(span, Stretch) for span in operations_of(found).spans)
        assert isinstance(found, Change) and isinstance(expected, Change)
        assert not any(isinstance(span, Stretch) for span in operations_of(expected).spans)
        whole.admit(found)
        single.admit(expected)
    # Both saw the same world, and each its share of what is asked here.
    assert msgspec.msgpack.decode(whole.dump()) == msgspec.msgpack.decode(single.dump())
    assert stretches > 20 and refused > 100


@pytest.mark.parametrize("seed", range(2))
def test_the_verdict_is_that_of_typescript(oracle: Oracle, seed: int) -> None:
    roll = random.Random(seed)
    stream = Typists(seed).run(60).stream
    others = [parse_change(raw) for raw in stream]
    both = Both(oracle)
    refused = 0
    for raw in stream:
        for _ in range(4):
            refused += both.check(bent(roll, raw, others)) != "admitted"
        assert both.admit(raw) == "admitted"
    assert refused > 50


@pytest.mark.parametrize("text", ["goed", "Zoë", "😀é", "a\N{COMBINING ACUTE ACCENT}b"])
def test_a_word_is_one_stretch(text: str) -> None:
    change = parse_change(typed(text, "x", text))
    ops = operations_of(change)
    assert [span.text for span in ops.spans if isinstance(span, Stretch)] == [text, text]
    assert len(ops) == 2 * len(text) + 4 and [op.value for op in ops if op.action == "insert"] == [*text, "x", *text]
    # Each letter names the one before it.
    assert ops[2].element == OpId(2, change.actor) and ops[1].element is None
    assert encode_change(change) == change.raw and ops == tuple(ops) and ops[-1] == ops.each()[-1]
    assert ops.span_at(2) is ops.spans[1] and ops.span_at(len(text) + 1) is ops.spans[2]


def test_who_types_on_in_the_middle_of_a_stretch_names_a_letter_that_is_there() -> None:
    door, first = Door(), parse_change(typed("goed"))
    door.check_parsed(first)
    door.admit(first)
    text = OpId(1, first.actor)

    def after(counter: int) -> Change:
        op = Op("insert", text, None, OpId(counter, first.actor), "x", ())
        return parse_change(encode_change(Change((first.hash,), bytes([2]) * 24, 1, 6, (op,))))

    for counter in (2, 3, 5):
        door.check_parsed(after(counter))
    for counter in (1, 6):
        with pytest.raises(Inadmissible) as no:
            door.check_parsed(after(counter))
        assert no.value.code == "no_element"


def test_what_is_remembered_of_columns_has_a_bound() -> None:
    for value in range(3 * columns._MOST_REMEMBERED):
        read_numbers(encode_runs([value], uleb), 1)
    assert len(columns._remembered) <= columns._MOST_REMEMBERED
    # Three bytes that are twenty thousand values, and many bytes, are read each time.
    columns._remembered.clear()
    assert len(read_numbers(encode_runs([7] * 20_000, uleb), 20_000)) == 20_000
    read_numbers(encode_runs(list(range(100)), uleb), 100)
    assert not columns._remembered


def test_a_column_that_is_too_long_here_was_not_elsewhere() -> None:
    data = encode_runs([5] * 9, uleb)
    assert read_numbers(data, 9) == (5,) * 9
    with pytest.raises(Inadmissible) as no:
        read_numbers(data, 8)
    assert no.value.code == "not_canonical"


def test_operations_that_were_put_together_by_hand() -> None:
    change = parse_change(typed("ab"))
    same = msgspec.structs.replace(change, ops=tuple(change.ops))
    assert same == change and hash(same.ops) == hash(change.ops)
    assert [span for _, _, span in operations_of(same).counted()] == list(change.ops)
    assert isinstance(change.ops, Operations) and change.ops != tuple(change.ops)[1:]


def test_letters_that_are_cut_elsewhere_than_between_two_of_them() -> None:
    change = parse_change(typed("éo"))
    packed = dict(codec.pack_operations(change.ops, {change.actor: 0}))
    # As many bytes and as many letters, and the first is half of one.
    packed[codec.VALUE_META] = encode_runs([0, 1 << 4 | 6, 2 << 4 | 6], uleb)
    head = codec._head(change.deps, change.actor, change.seq, change.start_op, [])
    columns = list(packed.items())
    raw = codec.pack_chunk(b"".join([*head, *codec._column_head(columns), *packed.values()]))
    with pytest.raises(Inadmissible) as no:
        parse_change(raw)
    assert no.value.code == "bad_value"
