"""The vectors of the strict door, run in Python. pwa/test/change.test.ts runs the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eigenkring.change import encode_change, parse_change
from eigenkring.errors import Inadmissible
from eigenkring.part.door import Door
from eigenkring.scalars import pack_scalar

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "change").glob("*.json"))


def _opened(vector: dict[str, Any]) -> Door:
    door = Door()
    for raw in vector["admitted"]:
        door.admit(door.check(bytes.fromhex(raw)))
    return door


def test_enough_vectors() -> None:
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in VECTORS]
    assert len(loaded) >= 180
    refused = [vector["error"] for vector in loaded if "error" in vector]
    assert len(refused) > len(loaded) - len(refused)
    # Every code that the specification gives the door is shown by a vector.
    assert set(refused) == set(
        "bad_chunk not_canonical bad_time bad_message bad_extra bad_operation bad_value too_large missing_dependency "
        "bad_sequence bad_start bad_actor no_object no_element no_predecessor own_dependency duplicate_change".split()
    )


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    door, raw = _opened(vector), bytes.fromhex(vector["change"])
    before = door.dump()
    if "error" in vector:
        with pytest.raises(Inadmissible) as refused:
            door.check(raw)
        assert refused.value.code == vector["error"]
        assert door.dump() == before
        return
    change = door.check(raw)
    assert door.dump() == before
    assert encode_change(change) == raw and parse_change(raw) == change
    door.admit(change)
    out = vector["out"]
    assert (change.hash.hex(), change.actor.hex(), change.seq) == (out["hash"], out["actor"], out["seq"])
    assert (change.start_op, change.max_op) == (out["start_op"], out["max_op"])
    assert [dep.hex() for dep in change.deps] == out["deps"]
    assert [head.hex() for head in door.heads()] == out["heads"]
    assert Door.load(door.dump()).dump() == door.dump()


@pytest.mark.parametrize("number", [2**53, -(2**53)])
def test_a_number_that_javascript_cannot_hold_is_written_by_nobody(number: int) -> None:
    with pytest.raises(Inadmissible):
        pack_scalar(number)
