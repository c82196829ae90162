"""The same verdict, with the same code, from the door in Python and the door in TypeScript, for bytes nobody meant.

Honest changes are bent: bytes under a right checksum, fields, operations, columns. What both let in, both engines must
keep and show alike.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from automerge.core import Document
from automerge_peers import Peers, feed, tree
from oracle import Oracle, running
from test_door import odd_but_admissible

from eigenkring.change import Change, Op, OpId, encode_change, pack_chunk, pack_operations, parse_change
from eigenkring.columns import packed_text, uleb
from eigenkring.errors import Inadmissible
from eigenkring.part.door import Door

VECTORS = Path(__file__).parents[1] / "vectors" / "change"


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with running("door-oracle") as found:
        yield found


class Both:
    """The two doors side by side."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.door = Door()
        self.admitted: list[bytes] = []
        oracle.ask("new")

    def _python(self, raw: bytes) -> Change | str:
        try:
            return self.door.check(raw)
        except Inadmissible as no:
            return no.code

    def check(self, raw: bytes) -> str:
        found = self._python(raw)
        verdict = found if isinstance(found, str) else found.hash.hex()
        assert self.oracle.ask(f"check {raw.hex()}") == verdict, raw.hex()
        return verdict if isinstance(found, str) else "admitted"

    def admit(self, raw: bytes) -> str:
        found = self._python(raw)
        if isinstance(found, str):
            assert self.oracle.ask(f"admit {raw.hex()}") == found, raw.hex()
            return found
        self.door.admit(found)
        self.admitted.append(raw)
        heads = ",".join(head.hex() for head in self.door.heads())
        assert self.oracle.ask(f"admit {raw.hex()}") == f"{found.hash.hex()} {heads}", raw.hex()
        return "admitted"

    def same_state(self) -> None:
        document = Document(actor_id=bytes(24))
        feed(document, self.admitted)
        assert tuple(document.get_heads()) == self.door.heads()
        assert json.loads(self.oracle.ask("state")) == tree(document)


# Bending


def bent(roll: random.Random, raw: bytes, others: list[Change]) -> bytes:
    """Something near an honest change. ``others`` are changes to borrow names, actors and hashes from."""
    change = parse_change(raw)
    ways: list[Callable[[], bytes]] = [
        lambda: _bytes(roll, raw),
        lambda: _columns(roll, change),
        lambda: encode_change(_fields(roll, change, others)),
        lambda: encode_change(_operations(roll, change, others)),
        lambda: encode_change(_operations(roll, _operations(roll, change, others), others)),
    ]
    return roll.choice(ways)()


def _bytes(roll: random.Random, raw: bytes) -> bytes:
    content = bytearray(raw[10:] if raw[9] < 0x80 else raw[11:])
    for _ in range(roll.choice((1, 1, 1, 2, 4))):
        at = roll.randrange(len(content))
        match roll.randrange(4):
            case 0:
                content[at] ^= 1 << roll.randrange(8)
            case 1:
                content[at] = roll.choice((0, 1, 0x7F, 0x7E, 0x80, 0xFF, 2, content[at] - 1 & 0xFF))
            case 2:
                content.insert(at, roll.choice((0, 1, 0x7F, 0x80, 0xFF)))
            case _:
                if len(content) > 1:
                    del content[at]
    return pack_chunk(bytes(content))


def _columns(roll: random.Random, change: Change) -> bytes:
    """One column is bent, and the lengths around it stay right: so the readers of columns are reached."""
    names = {name.actor for op in change.ops for name in (op.obj, op.element, *op.pred) if name is not None}
    others = sorted(names - {change.actor})
    index = {actor: at for at, actor in enumerate([change.actor, *others])}
    columns = dict(pack_operations(change.ops, index))
    spec = roll.choice([*columns, 0x01, 0x02, 0x11, 0x13, 0x15, 0x71, 0x73])
    data = bytearray(columns.get(spec, b""))
    for _ in range(roll.choice((1, 1, 2))):
        at = roll.randrange(len(data) + 1)
        end = at + roll.randrange(2)
        data[at:end] = bytes(roll.choice((0, 1, 2, 3, 0x7F, 0x7E, 0x80, 0xFF, 5, 4)) for _ in range(roll.randrange(3)))
    columns[spec] = bytes(data)
    packed = sorted((spec, data) for spec, data in columns.items() if data or roll.random() < 0.1)
    head = [uleb(len(change.deps)), *change.deps, packed_text(change.actor), uleb(change.seq), uleb(change.start_op)]
    lists = [b"\0\0", uleb(len(others)), *map(packed_text, others), uleb(len(packed))]
    lengths = [uleb(spec) + uleb(len(data)) for spec, data in packed]
    return pack_chunk(b"".join([*head, *lists, *lengths, *(data for _, data in packed)]))


def _fields(roll: random.Random, change: Change, others: list[Change]) -> Change:
    other = roll.choice([change, *others])
    deps = list(change.deps)
    match roll.randrange(8):
        case 0:
            return msgspec.structs.replace(change, seq=max(0, change.seq + roll.choice((-1, 1, 2**40))))
        case 1:
            start = max(0, change.start_op + roll.choice((-1, 1, 7, 2**40, 2**53)))
            return msgspec.structs.replace(change, start_op=start)
        case 2:
            return msgspec.structs.replace(change, actor=roll.choice((other.actor, bytes(24), bytes(16))))
        case 3 if deps:
            deps.remove(roll.choice(deps))
        case 4:
            deps.append(other.hash)
        case 5:
            deps = sorted({*deps, other.hash})
        case 6:
            deps = sorted({*deps, bytes(32)})
        case _:
            return msgspec.structs.replace(change, ops=())
    return msgspec.structs.replace(change, deps=tuple(deps))


def _operations(roll: random.Random, change: Change, others: list[Change]) -> Change:
    ops = list(change.ops)
    if not ops:
        return change
    at = roll.randrange(len(ops))
    op, other = ops[at], roll.choice([change, *others])
    name: OpId | None = OpId(other.start_op + roll.randrange(len(other.ops) + 1 or 1), other.actor)
    name = roll.choice((name, name, None, OpId(change.start_op + at, change.actor)))
    foreign: Op = roll.choice(other.ops or change.ops)
    match roll.randrange(9):
        case 0:
            ops[at] = msgspec.structs.replace(op, obj=roll.choice((name, foreign.obj)))
        case 1:
            ops[at] = msgspec.structs.replace(op, element=name)
        case 2:
            ops[at] = msgspec.structs.replace(op, key=roll.choice(("a", "b", None, "", "k" * 257, "__proto__")))
        case 3:
            preds = [*op.pred, *(() if name is None else (name,))]
            ops[at] = msgspec.structs.replace(op, pred=tuple(sorted(preds) if roll.random() < 0.8 else preds))
        case 4:
            ops[at] = msgspec.structs.replace(op, pred=op.pred[1:])
        case 5:
            values = (None, True, 0, 2**53 - 2, 1.5, float("nan"), float("inf"), "", "a", "ab", "e\u0301", "é")
            ops[at] = msgspec.structs.replace(op, value=roll.choice(values))
        case 6:
            actions = ("make_map", "make_text", "set", "insert", "del")
            ops[at] = msgspec.structs.replace(op, action=roll.choice(actions))
        case 7:
            ops.insert(at, foreign)
        case _:
            ops[at], ops[-1] = ops[-1], ops[at]
    return msgspec.structs.replace(change, ops=tuple(ops))


def fuzz(oracle: Oracle, seed: int, rounds: int, tries: int) -> dict[str, int]:
    roll = random.Random(seed)
    both, verdicts = Both(oracle), dict[str, int]()
    stream = Peers(seed).run(rounds).stream
    changes = [parse_change(raw) for raw in stream]
    for at, raw in enumerate(stream):
        near = changes[max(0, at - 12) : at + 3]
        for _ in range(tries):
            other = bent(roll, raw, near)
            # Now and then a bent change gets in first, and what honest changes stood on is missing for both.
            let_in = both.admit if roll.random() < 0.02 else both.check
            code = let_in(other)
            verdicts[code] = verdicts.get(code, 0) + 1
        both.admit(raw)
    both.same_state()
    return verdicts


# Tests


def test_vectors_in_the_oracle(oracle: Oracle) -> None:
    for path in sorted(VECTORS.glob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        both = Both(oracle)
        for raw in vector["admitted"]:
            assert both.admit(bytes.fromhex(raw)) == "admitted"
        assert both.admit(bytes.fromhex(vector["change"])) == vector.get("error", "admitted")


@pytest.mark.parametrize("seed", range(4))
def test_bent_changes_get_the_same_code(oracle: Oracle, seed: int) -> None:
    verdicts = fuzz(oracle, seed, 40, 40)
    assert {"admitted", "not_canonical", "bad_operation", "bad_value", "bad_start"} <= set(verdicts)


@pytest.mark.parametrize("seed", range(8))
def test_odd_changes_end_the_same_in_both_engines(oracle: Oracle, seed: int) -> None:
    both = Both(oracle)
    for raw in odd_but_admissible(seed)[0]:
        assert both.admit(raw) == "admitted"
    both.same_state()


@pytest.mark.parametrize("seed", range(4))
def test_changes_travel_both_ways(oracle: Oracle, seed: int) -> None:
    """Python's changes into JavaScript, what JavaScript then writes into Python, and on: one state in both."""
    peers, both = Peers(seed, count=2), Both(oracle)
    for turn in range(5):
        before = len(peers.stream)
        peers.run(20)
        for raw in peers.stream[before:]:
            assert both.admit(raw) == "admitted"
        written = [bytes.fromhex(raw) for raw in oracle.ask(f"edit {seed * 100 + turn}").split(" ")]
        assert len(written) > 2
        for raw in written:
            assert both.admit(raw) == "admitted"
        for document in peers.documents:
            feed(document, both.admitted)
        both.same_state()


@pytest.mark.long
def test_bent_changes_for_minutes(oracle: Oracle) -> None:
    verdicts: dict[str, int] = {}
    for seed in range(1_000, 1_060):
        for code, count in fuzz(oracle, seed, 80, 60).items():
            verdicts[code] = verdicts.get(code, 0) + count
        both = Both(oracle)
        for raw in odd_but_admissible(seed)[0]:
            both.admit(raw)
        both.same_state()
    assert sum(verdicts.values()) > 200_000 and min(verdicts.values()) > 10
