"""A child lets somebody read its page, and no more; who is let out reads nothing that comes after."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Misuse
from simulator import Phone, family


def page(phone: Phone, part: str) -> list[str]:
    """What this device opens of the page."""
    return sorted(one["text"] for one in phone.case.show().get(part, {}).get("worries", {}).values())


def test_a_child_lets_somebody_in_and_out() -> None:
    world = family()
    sam, fatima, nora = (world.phones[name] for name in ("sam", "fatima", "nora"))
    part = f"house@{sam.person}"
    sam.case.add("house", "worries", {"text": "als mama niet slaapt"})
    world.settle()
    assert page(fatima, part) == []
    sam.case.let_in("house", "Fatima")
    world.settle()
    assert page(fatima, part) == ["als mama niet slaapt"], "also what was there"
    assert page(nora, part) == [], "and nobody else, not the mother either"
    with pytest.raises(Misuse) as again:
        sam.case.let_in("house", "Fatima")
    assert again.value.code == "bad_argument"
    sam.case.let_out("house", "Fatima")
    sam.case.add("house", "worries", {"text": "dit is voor mij alleen"})
    world.settle()
    assert page(sam, part) == ["als mama niet slaapt", "dit is voor mij alleen"]
    assert "dit is voor mij alleen" not in page(fatima, part)
    with pytest.raises(Misuse) as gone:
        sam.case.let_out("house", "Fatima")
    assert gone.value.code == "bad_argument"


def test_who_may_not_let_in() -> None:
    world = family()
    nora, fatima, sam = (world.phones[name] for name in ("nora", "fatima", "sam"))
    world.settle()
    for phone, part, who, code in (
        (nora, f"house@{sam.person}", "Karim", "not_permitted"),  # not even an owner lets others read a child's page
        (fatima, "plan", "Sam", "not_permitted"),
        (nora, "plan", "Karim", "bad_argument"),
        (nora, "private", "Sam", "not_permitted"),
        (fatima, "contacts", "Sam", "not_permitted"),
        (nora, "nothing", "Karim", "no_such_part"),
        (sam, "house", "Sam", "bad_argument"),
    ):
        with pytest.raises(Misuse) as refused:
            phone.case.let_in(part, who)
        assert refused.value.code == code, (phone.name, part, who)
