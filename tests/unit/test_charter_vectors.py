"""Every vector of tests/vectors/charter, as pwa/test/charter.test.ts runs them too."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

VECTOR_FOLDER = Path(__file__).resolve().parent.parent / "vectors"
sys.path.insert(0, str(VECTOR_FOLDER))

from charter_cast import SCHEMA, Play  # noqa: E402

from eigenkring.charter.rules import fold  # noqa: E402
from eigenkring.charter.state import Charter  # noqa: E402
from eigenkring.errors import Inadmissible  # noqa: E402
from eigenkring.ids import CaseId, Chain  # noqa: E402

VECTORS: dict[str, dict[str, Any]] = {
    f.stem: json.loads(f.read_text("utf-8")) for f in sorted((VECTOR_FOLDER / "charter").glob("*.json"))
}
LEAST = 54
# Of every way to be refused there is an example: a code nobody gets is a rule nobody checks.
CODES = (
    "bad_entry wrong_previous wrong_seen not_a_member case_closed future_version not_permitted no_such_person "
    "no_such_invitation no_such_room no_such_part no_such_grant already_there invitation_used bad_statement wrong_epoch "
    "widens_without_person room_not_turned last_owner limit"
).split()


def records_of(name: str) -> list[dict[str, str]]:
    """Those of the vectors before, and its own."""
    vector = VECTORS[name]
    return (records_of(vector["on"]) if vector["on"] else []) + vector["records"]


def folded(name: str) -> tuple[Charter | None, list[str]]:
    charter, verdicts = None, []
    case = CaseId(bytes.fromhex(VECTORS[name]["case"]))
    for record in records_of(name):
        try:
            charter = fold(
                charter, bytes.fromhex(record["payload"]), case, Chain(bytes.fromhex(record["chain"])), SCHEMA
            )
            verdicts.append("ok")
        except Inadmissible as error:
            verdicts.append(error.code)
    return charter, verdicts


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    charter, verdicts = folded(name)
    assert verdicts == [record["verdict"] for record in records_of(name)]
    play = Play(CaseId(bytes.fromhex(VECTORS[name]["case"])), charter)
    assert play.summary() == VECTORS[name]["out"]


def test_no_vector_was_lost() -> None:
    assert len(VECTORS) >= LEAST
    verdicts = Counter(record["verdict"] for vector in VECTORS.values() for record in vector["records"])
    assert set(CODES) <= set(verdicts)
    # More is refused than admitted: the rules are what is refused.
    assert verdicts.total() - verdicts["ok"] > verdicts["ok"]
