"""Intents become changes that the strict door admits, and the document is read back the same by everybody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors"))

from part_world import KIND

from eigenkring.change import MAX_CHANGE_BYTES, MAX_CHANGE_OPS, parse_change
from eigenkring.crdt import Engine
from eigenkring.document import apply_intents, read, smallest_splice
from eigenkring.errors import Misuse
from eigenkring.part.again import kept_intents, remake
from eigenkring.part.door import Door
from eigenkring.schema import load_schema

ACTOR, OTHER = b"\x01" * 24, b"\x02" * 24
A1 = ["agreements", "a1"]
WHAT = [*A1, "what"]


def with_item(**fields: Any) -> Engine:
    engine = Engine(ACTOR)
    apply_intents(engine, KIND, [["add", "agreements", "a1", fields]])
    return engine


def fields_of(engine: Engine) -> dict[str, Any]:
    return read(engine, KIND)["agreements"]["a1"]


def admitted(engine: Engine) -> int:
    door = Door()
    for raw in engine.changes():
        door.admit(door.check(raw))
    return len(door)


# --- what is done is read back


def test_fields_of_every_type() -> None:
    fields = {"what": "tekst 😀", "who": ["b", "a"], "day": "2026-12-05", "hours": 2.5, "done": True}
    engine = with_item(**fields)
    assert fields_of(engine) == fields | {"who": ["a", "b"]}
    assert admitted(engine) == 1


def test_a_new_item_has_its_texts_and_sets_so_that_two_may_begin_at_once() -> None:
    one = with_item()
    assert fields_of(one) == {"what": "", "who": []}
    two = Engine(OTHER)
    two.apply(one.changes())
    a = apply_intents(one, KIND, [["set", WHAT, "een"], ["set", [*A1, "who"], ["x"]]])
    b = apply_intents(two, KIND, [["set", WHAT, "twee"], ["set", [*A1, "who"], ["y"]]])
    one.apply(b)
    two.apply(a)
    assert read(one, KIND) == read(two, KIND)
    assert fields_of(one)["who"] == ["x", "y"]
    assert sorted(fields_of(one)["what"]) == sorted("eentwee")


def test_several_intents_are_one_change() -> None:
    engine = with_item(what="Oma")
    changes = apply_intents(
        engine, KIND, [["set", WHAT, "Opa"], ["set", [*A1, "done"], False], ["splice", WHAT, 3, 0, "!"]]
    )
    assert len(changes) == 1 and fields_of(engine)["what"] == "Opa!"


def test_one_change_may_change_its_mind() -> None:
    engine = with_item(what="Oma")
    changes = apply_intents(
        engine,
        KIND,
        [
            ["set", [*A1, "hours"], 1],
            ["set", [*A1, "hours"], 2],
            ["delete", [*A1, "hours"]],
            ["set", [*A1, "hours"], 3],
            ["set", [*A1, "who"], ["a", "b"]],
            ["set", [*A1, "who"], ["b"]],
            ["set", WHAT, "Opa en Oma"],
            ["set", WHAT, "Opa"],
            ["delete", A1],
            ["add", "agreements", "a1", {"what": "nieuw", "hours": 4}],
            ["set", [*A1, "hours"], None],
        ],
    )
    assert len(changes) == 1 and fields_of(engine) == {"what": "nieuw", "who": [], "hours": None}
    assert admitted(engine) == 2


def test_nothing_different_is_no_change() -> None:
    engine = with_item(what="Oma", done=True)
    assert (
        apply_intents(engine, KIND, [["set", WHAT, "Oma"], ["set", [*A1, "done"], True], ["set", [*A1, "who"], []]])
        == []
    )
    assert apply_intents(engine, KIND, []) == []


def test_setting_a_text_keeps_what_another_writes_beside_it() -> None:
    one = with_item(what="Oma haalt Sam op")
    two = Engine(OTHER)
    two.apply(one.changes())
    a = apply_intents(one, KIND, [["set", WHAT, "Opa haalt Sam op"]])
    b = apply_intents(two, KIND, [["set", WHAT, "Oma haalt Sam op van school"]])
    one.apply(b)
    two.apply(a)
    assert fields_of(one)["what"] == fields_of(two)["what"] == "Opa haalt Sam op van school"


def test_an_empty_scalar_is_null_and_a_deleted_field_is_absent() -> None:
    engine = with_item(day="2026-12-05", done=True)
    apply_intents(engine, KIND, [["set", [*A1, "day"], None], ["delete", [*A1, "done"]]])
    assert fields_of(engine) == {"what": "", "who": [], "day": None}
    apply_intents(engine, KIND, [["delete", A1]])
    assert read(engine, KIND) == {"agreements": {}, "topic": {}}
    apply_intents(engine, KIND, [["add", "agreements", "a1", {"what": "opnieuw"}]])
    assert fields_of(engine)["what"] == "opnieuw"


def test_what_the_schema_does_not_know_is_shown_and_kept() -> None:
    engine = with_item(mood="blij", count=3)
    apply_intents(engine, None, [["add", "newer", "n1", {"a": "x", "b": None}]])
    apply_intents(engine, KIND, [["set", [*A1, "mood"], "heel blij"]])
    assert fields_of(engine)["mood"] == "heel blij" and fields_of(engine)["count"] == 3
    assert read(engine, KIND)["newer"] == {"n1": {"a": "x", "b": None}} == read(engine)["newer"]
    node = engine.get(engine.root, "agreements/a1")
    assert node is not None
    mood = engine.get(node.obj, "mood")
    assert mood is not None and mood.kind == "text"


def test_a_set_of_an_unknown_kind_is_still_a_set() -> None:
    engine = with_item(who=["a"])
    apply_intents(engine, None, [["set", [*A1, "who"], ["a", "b"]]])
    assert read(engine)["agreements"]["a1"]["who"] == ["a", "b"]


def test_a_whole_number_is_one_value_in_both_languages() -> None:
    engine = with_item(hours=3.0)
    assert repr(fields_of(engine)["hours"]) == "3"
    apply_intents(engine, KIND, [["set", [*A1, "hours"], -0.0]])
    assert repr(fields_of(engine)["hours"]) == "0"


def test_a_field_of_another_type_than_the_schema_says_is_made_anew() -> None:
    engine = Engine(ACTOR)
    apply_intents(engine, None, [["add", "agreements", "a1", {"who": "tekst", "what": 3, "done": "tekst"}]])
    apply_intents(engine, KIND, [["set", [*A1, "who"], ["a"]], ["set", WHAT, "tekst"], ["set", [*A1, "done"], True]])
    assert fields_of(engine) == {"who": ["a"], "what": "tekst", "done": True}
    assert admitted(engine) == 2


def test_every_kind_of_the_schema_takes_its_new_items() -> None:
    schema = load_schema()
    for kind, known in schema.kinds.items():
        engine = Engine(ACTOR)
        for name in known.collections:
            apply_intents(engine, known, [["add", name, name, schema.new_item(kind, name)]])
        assert set(read(engine, known)) == set(known.collections)
        assert admitted(engine) == len(known.collections)


def test_deep_maps_show_no_deeper_than_a_set() -> None:
    """Sixteen deep is admitted; a reader that followed them would show other people's nonsense, or fall over."""
    engine = with_item()
    node = engine.get(engine.root, "agreements/a1")
    assert node is not None

    def nest(writing: Any) -> None:
        obj = node.obj
        for _ in range(10):
            obj = writing.make_map(obj, "deep")
        writing.put(engine.root, "no slash", 1)
        writing.put(engine.root, "agreements/scalar", 1)
        writing.make_map(engine.root, "/x")
        writing.make_map(engine.root, "x/")
        writing.make_text(engine.root, "agreements/text")

    engine.commit(nest)
    assert read(engine, KIND)["agreements"] == {"a1": {"deep": [], "what": "", "who": []}}
    assert set(read(engine, KIND)) == {"agreements", "topic"}


# --- the smallest splice


@given(st.text(alphabet="ab😀é"), st.text(alphabet="ab😀é"))
def test_a_splice_does_what_it_says_and_no_more(before: str, after: str) -> None:
    position, count, text = smallest_splice(before, after)
    assert before[:position] + text + before[position + count :] == after
    assert not (text and count and (text[0] == before[position] or text[-1] == before[position + count - 1]))


@given(st.lists(st.text(alphabet="ab😀é\0\n", max_size=12), min_size=1, max_size=6))
def test_any_sequence_of_texts_is_admitted(texts: list[str]) -> None:
    engine = with_item()
    for text in texts:
        apply_intents(engine, KIND, [["set", WHAT, text]])
        assert fields_of(engine)["what"] == text
    admitted(engine)


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 2, 2**53 - 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=20).filter(lambda key: key != "__proto__"), PLAIN, max_size=6))
def test_what_is_not_refused_passes_the_door_and_comes_back(fields: dict[str, Any]) -> None:
    engine = Engine(ACTOR)
    apply_intents(engine, None, [["add", "c", "i", fields]])
    admitted(engine)
    assert read(engine)["c"]["i"] == fields


# --- misuse changes nothing


BAD = [
    ("no_such_item", ["set", ["agreements", "none", "what"], "x"]),
    ("no_such_item", ["delete", ["agreements", "none"]]),
    ("no_such_field", ["delete", [*A1, "none"]]),
    ("no_such_field", ["splice", [*A1, "done"], 0, 0, "x"]),
    ("bad_path", ["set", A1, "x"]),
    ("bad_path", ["set", [*WHAT, "deeper"], "x"]),
    ("bad_path", ["set", ["agreements", "a/1", "what"], "x"]),
    ("bad_path", ["set", ["agreements", "a1", ""], "x"]),
    ("bad_path", ["set", ["agreements", "a1", "f" * 257], "x"]),
    ("bad_path", ["set", ["agreements", "a1", 3], "x"]),
    ("bad_path", ["set", ["agreements", "a1", "__proto__"], "x"]),
    ("bad_value", ["set", [*A1, "who"], ["__proto__"]]),
    ("bad_path", ["add", "", "a2", {}]),
    ("bad_path", ["delete", "agreements/a1"]),
    ("bad_argument", ["add", "agreements", "a1", {}]),
    ("bad_argument", ["rename", A1]),
    ("bad_argument", []),
    ("bad_value", ["add", "agreements", "a2", ["what"]]),
    ("bad_value", ["set", WHAT, None]),
    ("bad_value", ["set", WHAT, 3]),
    ("bad_value", ["set", WHAT, "\ud800"]),
    ("bad_value", ["set", [*A1, "day"], "\udfff"]),
    ("bad_value", ["set", [*A1, "who"], "a"]),
    ("bad_value", ["set", [*A1, "who"], ["a", 3]]),
    ("bad_value", ["set", [*A1, "who"], [""]]),
    ("bad_value", ["set", [*A1, "who"], ["x" * 257]]),
    ("bad_value", ["set", [*A1, "who"], {"a": False}]),
    ("bad_value", ["set", [*A1, "day"], ["2026-12-05"]]),
    ("bad_value", ["set", [*A1, "day"], {"a": 1}]),
    ("bad_value", ["set", [*A1, "day"], b"x"]),
    ("bad_value", ["set", [*A1, "day"], "x" * 65_537]),
    ("bad_value", ["set", [*A1, "hours"], float("nan")]),
    ("bad_value", ["set", [*A1, "hours"], float("inf")]),
    ("bad_value", ["set", [*A1, "hours"], 2**53 - 1]),
    ("bad_value", ["set", [*A1, "hours"], -(2**64)]),
    ("bad_value", ["set", [*A1, "unknown"], ["a"]]),
    ("bad_value", ["splice", WHAT, 0, 4, ""]),
    ("bad_value", ["splice", WHAT, -1, 0, "x"]),
    ("bad_value", ["splice", WHAT, True, 0, "x"]),
    ("bad_value", ["splice", WHAT, 0, 0, "\ud83d"]),
    ("bad_value", ["splice", WHAT, 0, 0, 3]),
]


@pytest.mark.parametrize(("code", "intent"), BAD)
@pytest.mark.parametrize("first", [[], [["set", WHAT, "x" * 20_000]]], ids=["small", "large"])
def test_misuse_changes_nothing_not_even_what_went_before(code: str, intent: Any, first: list[Any]) -> None:
    engine = with_item(what="Oma")
    before = engine.heads()
    if intent[:1] == ["splice"] and first:
        first = [["set", ["agreements", "a1", "mood"], "x" * 20_000]]
    with pytest.raises(Misuse) as raised:
        apply_intents(engine, KIND, [*first, intent])
    assert raised.value.code == code
    assert engine.heads() == before and fields_of(engine)["what"] == "Oma"


# --- large things


def test_a_large_paste_is_several_changes_that_all_pass() -> None:
    engine = with_item(what="begin einde")
    paste = "".join(chr(0x1F600 + at % 60) if at % 3 else "a" for at in range(60_000))
    changes = apply_intents(engine, KIND, [["splice", WHAT, 6, 0, paste], ["set", [*A1, "done"], True]])
    assert len(changes) >= 4
    for raw in changes:
        assert len(raw) <= MAX_CHANGE_BYTES and len(parse_change(raw).ops) <= MAX_CHANGE_OPS
    assert fields_of(engine)["what"] == f"begin {paste}einde"
    assert admitted(engine) == 1 + len(changes)
    assert len(apply_intents(engine, KIND, [["set", WHAT, ""]])) >= 4
    assert fields_of(engine)["what"] == ""
    admitted(engine)


def test_the_worst_text_to_pack_stays_within_a_change() -> None:
    """Lengths that alternate, and deletions of what two people typed letter by letter: nothing runs."""
    one, two = with_item(), Engine(OTHER)
    two.apply(one.changes())
    for at in range(0, 600, 2):
        two.apply(apply_intents(one, KIND, [["splice", WHAT, at, 0, "a"]]))
        one.apply(apply_intents(two, KIND, [["splice", WHAT, at + 1, 0, "😀"]]))
    apply_intents(one, KIND, [["set", WHAT, "".join("ké😀€"[at % 4] for at in range(30_000))]])
    for raw in one.changes():
        assert len(raw) <= MAX_CHANGE_BYTES
    admitted(one)


def test_many_long_scalars_are_several_changes() -> None:
    engine = Engine(ACTOR)
    intents = [["add", "agreements", f"a{at}", {"day": "x" * 60_000}] for at in range(12)]
    changes = apply_intents(engine, KIND, intents)
    assert len(changes) >= 3 and all(len(raw) <= MAX_CHANGE_BYTES for raw in changes)
    assert admitted(engine) == len(changes)


@pytest.mark.long
def test_two_megabytes_are_pasted() -> None:
    engine = with_item()
    changes = apply_intents(engine, KIND, [["set", WHAT, "abcdefghij" * 200_000]])
    assert len(changes) > 100 and len(fields_of(engine)["what"]) == 2_000_000


# --- made again


def test_words_come_back_on_another_document_and_nobodys_words_go() -> None:
    engine = with_item(what="Oma haalt Sam op")
    kept = kept_intents(engine, [["set", WHAT, "Tante haalt Sam op"]])
    assert kept == [["splice", WHAT, 0, 3, "Tante", "Oma"]]
    other = with_item(what="Zaterdag: Oma haalt Sam op")
    remake(other, KIND, kept)
    # "Oma" stands there exactly once: that is what was replaced.
    assert fields_of(other)["what"] == "Zaterdag: Tante haalt Sam op"
    third = with_item(what="Heel iets anders")
    remake(third, KIND, kept)
    assert fields_of(third)["what"] == "TanteHeel iets anders"


def test_an_item_that_is_gone_is_made_again_for_the_words() -> None:
    engine = Engine(ACTOR)
    remake(
        engine,
        KIND,
        [["splice", WHAT, 7, 3, "mijn woorden", "abc"], ["set", [*A1, "done"], True], ["set", [*A1, "who"], ["a"]]],
    )
    assert fields_of(engine) == {"what": "mijn woorden", "who": ["a"], "done": True}


def test_an_item_that_is_there_already_gets_the_fields_and_a_deletion_may_be_done_already() -> None:
    engine = with_item(what="van een ander", done=False)
    changes = remake(
        engine,
        KIND,
        [["add", "agreements", "a1", {"done": True}], ["delete", ["agreements", "gone"]], ["delete", [*A1, "gone"]]],
    )
    assert len(changes) == 1 and fields_of(engine) == {"what": "van een ander", "who": [], "done": True}


def test_a_text_touched_twice_in_one_act_keeps_its_second_form() -> None:
    engine = with_item(what="een")
    intents = [["splice", WHAT, 0, 1, "E"], ["set", WHAT, "Een twee"], ["set", ["agreements", "a9", "what"], "x"]]
    assert kept_intents(engine, intents) == [["splice", WHAT, 0, 1, "E", "e"], intents[1], intents[2]]


TEXTS = st.text(alphabet="ab ", max_size=8)


@given(TEXTS, TEXTS, TEXTS)
def test_made_again_holds_every_inserted_word_and_loses_none_of_others(before: str, mine: str, theirs: str) -> None:
    engine = with_item(what=before)
    kept = kept_intents(engine, [["set", WHAT, mine]])
    (_, _, _, _, inserted, removed) = kept[0]
    other = with_item(what=theirs)
    remake(other, KIND, kept)
    now = fields_of(other)["what"]
    assert inserted in now
    assert len(now) in (len(theirs) + len(inserted), len(theirs) + len(inserted) - len(removed))


def test_the_longest_names_pass_the_door() -> None:
    engine = with_item()
    apply_intents(engine, KIND, [["set", [*A1, "é" * 128], "x"], ["set", [*A1, "who"], ["é" * 128]]])
    assert admitted(engine) == 2
