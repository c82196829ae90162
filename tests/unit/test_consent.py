"""The mark by which an answer is bound to a text. pwa/test/consent.test.ts has the same values."""

from __future__ import annotations

import pytest

from eigenkring.consent import decision_mark

SAME = [
    ("Fatima komt zes weken bij ons wonen", "0025ff179fa9379a"),
    ("café", "817075f1c789b6be"),
    ("👩🏽‍👧‍👦 samen", "768b5d94538e1457"),
    ("", "d22e84e073301242"),
]


@pytest.mark.parametrize(("text", "mark"), SAME)
def test_the_mark_of_a_text(text: str, mark: str) -> None:
    assert decision_mark(text) == mark


def test_only_the_text_counts() -> None:
    assert decision_mark("cafe\u0301 ") == decision_mark("café") == decision_mark("\n café")
    assert decision_mark("Fatima komt zeven weken") != decision_mark("Fatima komt zes weken")
    assert decision_mark("een twee") != decision_mark("eentwee")
    # No sign is dropped that one may see.
    assert decision_mark("a\u00a0") != decision_mark("a")
