"""The table of defences is of this tree: each can be taken out, has its test, and every attack with an outcome has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_threat_model import named, names_in

from defences import MUTATIONS, Mutation
from guards import HELD, guards
from mutations import mutated

ROOT = Path(__file__).resolve().parent.parent.parent
# Rows that no single line holds: they are many lies at once, or say what a right allows.
WITHOUT = {
    "test_a_lie_told_to_everybody_while_people_come_and_go",
    "test_thousands_of_long_interleavings",
    "test_thousands_of_households",
    "test_a_relay_at_work_has_neither_the_engine_nor_the_crypto_package",  # what is not there cannot be taken out
    "test_a_silent_relay_is_only_late",
    "test_any_bytes_with_a_good_checksum",  # every guard of the door: `mutations.py --guards`
    "test_every_remover_every_set_offline_every_change_in_both_orders",  # the long form of a row that has one
    "test_two_chunks_in_one",  # the chunk's length and its checksum hold each other; the vectors hold each of them
    "test_a_snapshot_that_puts_what_is_independent_in_another_order",  # it may
    "test_a_replayed_keybag",  # nothing comes of it
    # "Seen beyond the end" and "what was seen" both hold it.
    "test_a_record_kept_back_is_told_by_the_next_one_that_is_pushed",
    "test_what_a_member_may_do_is_not_stopped_but_attributed",
    "test_a_second_cut_does_not_widen_the_first",  # the charter's vectors hold it
    "test_before_the_reader_heard_of_the_next_key_the_relay_can_help_the_thief",  # of what is not protected
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_defence_can_be_taken_out_and_its_test_is_there(mutation: Mutation) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert mutated(mutation, text) != text
    file, _, test = mutation.test.partition("::")
    assert (ROOT / file).is_file(), file
    if file.endswith(".py") and test:
        assert test.partition("[")[0] in names_in(ROOT / file)


def test_names_are_different() -> None:
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS)


def test_every_row_of_the_simulator_has_a_defence_that_can_be_taken_out() -> None:
    """A new row without one: add it to defences.py, with the lines that hold it."""
    held = {m.test.rpartition("::")[2].partition("[")[0] for m in MUTATIONS}
    assert sorted({name for path, name, _ in named() if path.startswith("sim/")} - held - WITHOUT) == []


def test_the_guards_of_the_pure_rules_are_found_in_both_languages() -> None:
    for language, ending in (("python", r"\.py$"), ("typescript", r"\.ts$")):
        found = guards(language)
        assert len(found) > 250
        assert all(re.search(ending, guard.file) for guard in found)
        for guard in found:
            raw = (ROOT / guard.file).read_bytes()
            assert raw[guard.start : guard.end].decode() == guard.condition


def test_a_guard_that_is_held_otherwise_is_there() -> None:
    found = [*guards("python"), *guards("typescript")]
    for module, condition, why in HELD:
        assert any(guard.file.endswith(module) and guard.condition == condition for guard in found), (module, condition)
        assert why
