"""Every vector of tests/vectors/branches, as pwa/test/branches.test.ts runs them too; and what they stand for."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VECTOR_FOLDER = Path(__file__).resolve().parent.parent / "vectors"
sys.path.insert(0, str(VECTOR_FOLDER))

from charter_cast import SCHEMA  # noqa: E402
from make_branches import described  # noqa: E402

from eigenkring.charter.rules import fold  # noqa: E402
from eigenkring.charter.state import Charter  # noqa: E402
from eigenkring.errors import Inadmissible  # noqa: E402
from eigenkring.ids import CaseId, Chain  # noqa: E402

VECTORS: dict[str, dict[str, Any]] = {
    f.stem: json.loads(f.read_text("utf-8")) for f in sorted((VECTOR_FOLDER / "branches").glob("*.json"))
}


def records_of(name: str) -> tuple[str, list[dict[str, str]]]:
    vector = json.loads((VECTOR_FOLDER / "charter" / f"{name}.json").read_text("utf-8"))
    return vector["case"], (records_of(vector["on"])[1] if vector["on"] else []) + vector["records"]


@cache
def charter_of(name: str) -> Charter:
    case, records = records_of(name)
    charter = None
    for record in records:
        try:
            chain = Chain(bytes.fromhex(record["chain"]))
            charter = fold(charter, bytes.fromhex(record["payload"]), CaseId(bytes.fromhex(case)), chain, SCHEMA)
        except Inadmissible:
            continue
    assert charter is not None
    return charter


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    assert described(charter_of(vector["branch"]), charter_of(vector["shown"])) == vector["out"]


def test_every_kind_is_owed_somewhere() -> None:
    found = {one[0] for vector in VECTORS.values() for one in vector["out"]["owed"]["newest"]}
    assert {"remove_person", "set_role", "withdraw", "cancel", "let_out", "remove_device"} <= found
    assert len(VECTORS) >= 25


def test_who_was_put_out_or_stepped_back_on_a_branch_does_not_adopt() -> None:
    for name in ("owner_removed-three_owners", "owner_steps_back-two_owners"):
        vector = VECTORS[name]
        was, now = charter_of(vector["branch"]), charter_of(vector["shown"])
        out = {p.person for p in now.present() if now.is_owner(p.person) and not was.is_owner(p.person)}
        assert out and not {person.hex() for person in out} & set(vector["out"]["may_adopt"])


def test_who_the_members_brought_back_adopts() -> None:
    vector = VECTORS["family-sole_owner_readmitted"]
    assert vector["out"]["may_adopt"]
