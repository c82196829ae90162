"""What the door keeps as columns: numbers of any size, and what programs before columns kept (tests/vectors/fixed/doors.json,
written by both languages of that version). `pwa/test/names.test.ts` is the twin.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring.change import Change, pack_chunk
from eigenkring.columns import Cursor
from eigenkring.errors import Inadmissible
from eigenkring.part import cache
from eigenkring.part.door import Door
from eigenkring.part.fold import PartFold
from eigenkring.part.names import NARROW, NOBODY, Names

EARLIER: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "fixed" / "doors.json").read_text("utf-8")
)


def verdict(door: Door, raw: bytes) -> str | bytes:
    try:
        return door.check(raw).hash
    except Inadmissible as no:
        return no.code


def bent(raw: bytes) -> list[bytes]:
    """The same with one other byte, under a right checksum."""
    cursor = Cursor(raw, 9, len(raw))
    cursor.uleb()
    content = raw[cursor.pos :]
    places = range(0, len(content), 3)
    return [pack_chunk(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]) for at in places]


def same_of_all_that_follows(one: Door, other: Door, then: list[bytes]) -> set[str]:
    """Takes all of it into both. Gives what was refused on the way."""
    refused: set[str] = set()
    for raw in then:
        for each in bent(raw):
            found = verdict(one, each)
            assert found == verdict(other, each)
            refused |= {found} if isinstance(found, str) else set()
        change = one.check(raw)
        assert isinstance(change, Change) and other.check(raw) == change
        one.admit(change)
        other.admit(change)
        assert (one.heads(), one.clock(), len(one)) == (other.heads(), other.clock(), len(other))
        names = [found for door in (one, other) for found in door.heads()]
        assert [one.covers(a, b) for a in names for b in names] == [other.covers(a, b) for a in names for b in names]
    return refused


@pytest.mark.parametrize("kept", EARLIER, ids=[kept["about"] for kept in EARLIER])
def test_a_door_that_was_kept_before_columns_opens_as_it_was(kept: dict[str, Any]) -> None:
    new = Door()
    for raw in kept["changes"]:
        new.admit(new.check(bytes.fromhex(raw)))
    earlier = Door.load_earlier(bytes.fromhex(kept["python"]))
    assert (earlier.heads(), earlier.clock(), len(earlier)) == (new.heads(), new.clock(), len(new))
    # And from then on it is kept as columns.
    again = Door.load(earlier.dump())
    assert again.dump() == earlier.dump()
    refused = same_of_all_that_follows(again, Door.load(new.dump()), [bytes.fromhex(raw) for raw in kept["then"]])
    assert {"no_object", "bad_start", "missing_dependency"} <= refused
    assert refused & {"no_element", "no_predecessor"}


def test_a_part_that_was_kept_before_columns_opens() -> None:
    def empty() -> PartFold:
        return PartFold(bytes(16), "plan", "w", "m", lambda _: None)

    door = bytes.fromhex(EARLIER[0]["python"])
    saved = msgspec.msgpack.decode(cache.dump_fold(empty()), type=cache._Saved)
    for version, opens in ((2, True), (1, False), (cache.VERSION + 1, False)):
        saved.version, saved.door = version, door
        fold = empty()
        assert cache.load_fold(fold, msgspec.msgpack.encode(saved), None) == opens
        assert fold.door.heads() == (Door.load_earlier(door).heads() if opens else ())


@pytest.mark.parametrize("start", [NARROW - 10, NARROW + 1, 2**53 - 20])
def test_numbers_beyond_four_bytes_are_kept(start: int) -> None:
    names = Names()
    names.add_change(1, 4)
    names.add_object(1, 0, 1)
    names.place(1, 4, 0, NOBODY, 0)
    # Operations that nobody makes: more than four thousand million before them.
    names.add_change(start, start + 15)
    names.add_object(start + 12, 1, 2)
    names.place(start, start + 11, 1, 0, NOBODY)
    names.place(start + 12, start + 15, start + 1, 0, NOBODY)
    for each in (names, Names.of(names.pack())):
        assert [each.end_of(1), each.end_of(2)] == [4, start + 15]
        assert [each.changes_until(at) for at in (0, 1, start - 1, start, start + 99)] == [0, 1, 1, 2, 2]
        assert [each.object_at(at) for at in (1, 2, start + 12)] == [(0, 1), (None, 0), (1, 2)]
        assert each.stands(4, 0, NOBODY, 0) and not each.stands(5, 0, NOBODY, 0)
        assert each.stands(start + 11, 1, 0, NOBODY) and each.stands(start + 15, start + 1, 0, NOBODY)
        for wrong in (
            (start + 15, start, 0, NOBODY),
            (start + 16, start + 1, 0, NOBODY),
            (start + 15, start + 1, None, NOBODY),
        ):
            assert not each.stands(*wrong)
        assert not each.stands(start + 15, start + 1, 0, None)


def test_what_goes_on_in_one_place_is_one_run() -> None:
    names, apart = Names(), Names()
    for each in (names, apart):
        each.add_change(1, 90)
    for at in range(1, 91):
        names.place(at, at, 0, NOBODY, 3)
        apart.place(at, at, 0, NOBODY, at % 2)
    assert len(msgspec.msgpack.encode(names.pack())) < 100 < len(msgspec.msgpack.encode(apart.pack()))
    assert names.stands(90, 0, NOBODY, 3) and not names.stands(91, 0, NOBODY, 3)
