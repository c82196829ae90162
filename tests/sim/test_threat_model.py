"""Every attack in docs/threat-model.md has a test, and every test of an attack has its row."""

from __future__ import annotations

import re
from pathlib import Path

from simulator import LIES

TESTS = Path(__file__).resolve().parent.parent
MODEL = TESTS.parent / "docs" / "threat-model.md"
NAMED = re.compile(r"`((?:sim|unit|relay|journeys|interop|browser)/test_\w+\.py)::(test_\w+)(?:\[([\w-]+)\])?`")
OF_ATTACKS = ("test_lying_member.py", "test_removed_member.py", "test_links.py")
NO_ATTACK = {"test_secrets_are_no_words", "test_who_is_in_already_does_not_come_in_twice"}


def named() -> list[tuple[str, str, str | None]]:
    return [(path, name, which or None) for path, name, which in NAMED.findall(MODEL.read_text())]


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))


def test_every_test_named_there_exists() -> None:
    assert len(named()) > 80
    for path, name, which in named():
        assert (TESTS / path).is_file(), path
        assert name in names_in(TESTS / path), f"{path}::{name}"
        assert which is None or which in LIES, which


def test_every_row_of_an_attack_names_a_test() -> None:
    before, _, _ = MODEL.read_text().partition("## No good mitigation")
    rows = [line for line in before.splitlines() if line.startswith("| ") and not line.startswith("| attack")]
    assert [row for row in rows if not NAMED.search(row)] == []


def test_every_test_of_an_attack_has_a_row() -> None:
    there = {name for _, name, _ in named()}
    for file in OF_ATTACKS:
        assert names_in(TESTS / "sim" / file) - there - NO_ATTACK == set(), file
