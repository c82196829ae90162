"""Every attack in docs/threat-model.md has a test, and every test of an attack has its row."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

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


# What a member who may write could try, whole: a row that goes missing is a promise that nothing holds any more.
OF_A_LYING_MEMBER = (
    "another's actor",
    "a skipped or repeated sequence",
    "a dependency cut so that a head does not cover",
    "a change beside a signature that does not reach it",
    "two chunks in one",
    "a document chunk as a change",
    "an orphan that waits for a forged parent",
    "two variants of one sequence number",
    "reused operation ids",
    "start counters near 2^32, and near 2^53",
    "run lengths of millions",
    "columns that are not canonical",
    "absent objects",
    "absent elements",
    "absent predecessors",
    "counters",
    "timestamps",
    "empty keys",
    "a snapshot that leaves out",
    "a snapshot that adds",
    "a snapshot that reorders",
    "a snapshot signed again, by another or for another place",
    "a keybag with wrong secrets",
    "a keybag for the wrong person",
    "a keybag replayed, here or elsewhere",
    "another's day altered, taken out or put in",
    'a false "seen"',
    "charter entries beyond the right",
    "sock-puppet owners",
    "a self-added reader of a child's page",
    "a stream filled against its owners",
)
# Who runs the vectors of an area, in Python and in TypeScript.
RUNS = {
    "change": ("unit/test_change_vectors.py", "change.test.ts"),
    "part": ("unit/test_part_vectors.py", "part.test.ts"),
    "charter": ("unit/test_charter_vectors.py", "charter.test.ts"),
    "rooms": ("unit/test_keys.py", "rooms.test.ts"),
    "keys": ("unit/test_keys.py", "keys.test.ts"),
}
OF_THE_APP = re.compile(r'`([\w-]+\.test\.ts)`: "([^"]+)"')


def rows_in_both() -> dict[str, tuple[list[str], set[str], str]]:
    """By attack: vectors, codes, and the cell of the tests."""
    _, _, after = MODEL.read_text().partition("### The same in both languages")
    lines = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    ticked = re.compile(r"`([^`]+)`")
    return {what: (ticked.findall(vectors), set(ticked.findall(codes)), tests) for what, vectors, codes, tests in cells}


def codes_of(vector: dict[str, Any]) -> set[str]:
    found = {vector["error"]} if "error" in vector else set()
    found |= {record["verdict"] for record in vector.get("records", []) if "verdict" in record}
    for step in vector.get("steps", []):
        found |= {refusal[0] for refusal in step.get("verdict", {}).get("refused", [])}
    return found


def test_every_lie_of_a_member_is_shown_in_both_languages() -> None:
    """By vectors that both run and that are refused with a code of the row, or by a test in each."""
    rows = rows_in_both()
    assert tuple(rows) == OF_A_LYING_MEMBER
    shown: set[str] = set()
    for what, (vectors, codes, tests) in rows.items():
        of_python, of_the_app = NAMED.findall(tests), OF_THE_APP.findall(tests)
        assert codes, what
        assert of_python, what
        assert vectors or of_the_app, what
        met: set[str] = set()
        for name in vectors:
            vector = json.loads((TESTS / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
            assert codes_of(vector) & codes, (what, name, codes_of(vector))
            met |= codes_of(vector) & codes
        assert met == codes or of_the_app, (what, codes - met)
        shown |= {name.partition("/")[0] for name in vectors}
        for file, name in of_the_app:
            assert f'"{name}"' in (TESTS.parent / "pwa" / "test" / file).read_text(encoding="utf-8"), (what, name)
    assert shown == set(RUNS)


def test_the_vectors_of_those_areas_are_run_by_both() -> None:
    for area, (python, app) in RUNS.items():
        assert re.search(rf'["/]{area}["/]', (TESTS / python).read_text(encoding="utf-8")), python
        assert re.search(rf'["/]{area}["/]', (TESTS.parent / "pwa/test" / app).read_text(encoding="utf-8")), app
