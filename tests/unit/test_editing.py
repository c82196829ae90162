"""How much fits in one text, and that nothing is lost or half written when it does not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Misuse
from simulator import family

QUESTION = "question/question/text"


def test_more_than_fits_in_one_text_is_refused_and_nothing_changes() -> None:
    nora = family().phones["nora"]
    nora.case.set("question", QUESTION, "Wie helpt er?")
    for too_much in ("x" * 50_001, "\U0001f33b" * 50_001):
        with pytest.raises(Misuse) as refused:
            nora.case.set("question", QUESTION, too_much)
        assert refused.value.code == "too_large"
        with pytest.raises(Misuse) as refused:
            nora.case.add("plan", "agreements", {"what": too_much})
        assert refused.value.code == "too_large"
    assert nora.case.show("question")["question"]["question"]["text"] == "Wie helpt er?"
    nora.case.set("question", QUESTION, "\U0001f33b" * 20_001)
    assert len(nora.case.show("question")["question"]["question"]["text"]) == 20_001
