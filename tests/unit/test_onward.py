"""Going on without somebody: what comes along, what stays, and that the one left out hears nothing."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Misuse
from simulator import family


def test_a_member_goes_on_without_an_owner() -> None:
    world = family()
    nora, fatima, karim, sam = (world.phones[n] for n in ("nora", "fatima", "karim", "sam"))
    me = fatima.session.me().hex()
    fatima.case.set("question", "question/question/text", "Waar kan Sam naar toe?")
    fatima.case.add("plan", "agreements", {"what": "Fatima komt", "who": me, "with": nora.person})
    item = fatima.add("Karim rijdt")
    fatima.case.add("voice", "progress", {"agreement": item, "result": "half", "text": "soms"})
    karim.case.add("voice", "questions", {"text": "mag dit?"})
    world.settle()
    lengths = world.lengths()
    new, invited = fatima.device.go_on(world.case_id, "Nora", "Verder")
    assert [(one["name"], one["role"]) for one in invited] == [("Karim", "member"), ("Sam", "child")]
    # In the old case nothing moved.
    assert [line for line in world.lengths() if line in lengths] == lengths
    assert {person["name"] for person in new.people()} == {"Fatima"}
    shown = new.show()
    assert shown["question"]["question"]["question"]["text"] == "Waar kan Sam naar toe?"
    plan = shown["plan"]["agreements"]
    by_words = {fields["what"]: (key, fields) for key, fields in plan.items()}
    assert set(by_words) == {"Oma belt op zondag", "Fatima komt", "Karim rijdt"}
    _, came = by_words["Fatima komt"]
    assert came["who"] == new.session.me().hex()
    assert came["with"] == "Nora", "who is not there is named, not pointed at"
    (progress,) = shown[f"voice@{new.session.me().hex()}"]["progress"].values()
    assert progress["agreement"] == by_words["Karim rijdt"][0], "what points at an item points at the new one"
    assert item not in plan, "an id of the old case would tie the two together"
    assert not any("mag dit?" in str(document) for document in shown.values()), "what only Karim may say stays his"
    # Karim and Sam come in, and Karim is who the plan says.
    world_of_new = new.id.hex()
    karim.device.join(invited[0]["link"], "Karim")
    fatima.device.sync()
    for _ in range(2):
        karim.device.sync()
    assert {p["name"] for p in karim.device.case(world_of_new).people()} == {"Fatima", "Karim"}
    assert karim.device.case(world_of_new).show("plan") == new.show("plan")
    nora.sync(2)
    assert [row.case.hex() for row in nora.store.cases()] == [world.case_id]
    assert sam.here()


def test_who_may_not_go_on_without_somebody() -> None:
    world = family()
    for name, without, code in (
        ("sam", "Nora", "not_permitted"),
        ("fatima", "Fatima", "bad_argument"),
        ("fatima", "Wie", "no_such_person"),
    ):
        with pytest.raises(Misuse) as caught:
            world.phones[name].device.go_on(world.case_id, without, "Verder")
        assert caught.value.code == code
        assert len(world.phones[name].store.cases()) == 1
