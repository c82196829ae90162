"""What more than one person decides: asked in boxes, posted by the last who agrees; roles, end dates, handing over."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Inadmissible, Misuse, Refused
from simulator import ADDRESS, Phone, World, family

DAY = 86_400


def roles(phone: Phone) -> dict[str, str]:
    return {person.name: person.role for person in phone.session.known().present()}


def owners(*names: str) -> World:
    """Nora is the owner; these become owners too, each by all who are."""
    world = family()
    for name in names:
        phone = world.phones[name]
        before = [p for p in world.phones.values() if p.session.known().is_owner(p.session.me())]
        answer = before[0].case.propose("role", name.title(), "owner")
        for other in before[1:]:
            if not answer["done"]:
                other.sync()
                answer = other.case.approve(name.title())
        assert answer["done"], answer
        world.settle()
        assert phone.session.known().is_owner(phone.session.me())
    return world


def test_two_of_three_owners_put_out_the_third_who_did_not_read_it_before() -> None:
    world = owners("fatima", "karim")
    nora, fatima, karim = (world.phones[n] for n in ("nora", "fatima", "karim"))
    with pytest.raises(Misuse) as caught:
        nora.case.remove("Karim")
    assert caught.value.code == "not_permitted"
    assert "propose" in caught.value.message
    answer = nora.case.propose("remove", "Karim")
    assert (answer["done"], answer["yes"], answer["needed"]) == (False, ["Nora"], 2)
    karim.sync(2)
    fatima.sync(2)
    assert [line["what"] for line in karim.case.pending()] == []
    assert [(line["what"], line["name"]) for line in fatima.case.pending()] == [("asked: remove", "Karim")]
    assert fatima.case.approve()["done"]
    world.settle()
    assert not karim.here()
    nora.add("erna")
    world.settle()
    assert "erna" in fatima.texts()


def test_of_two_owners_nobody_puts_out_the_other_alone() -> None:
    world = owners("fatima")
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    assert not nora.case.propose("remove", "Fatima")["done"]
    nora.sync(2)
    assert roles(nora)["Fatima"] == "owner"
    # It cannot be without her, so she was asked; she agrees, and Nora's device does it.
    fatima.sync()
    assert not fatima.case.approve("Fatima")["done"]
    nora.sync(2)
    assert "Fatima" not in roles(nora)


@pytest.mark.parametrize("role", ["member", "child"])
def test_what_was_agreed_is_done_once_also_where_it_changes_no_owner(role: str) -> None:
    """Else every owner's device writes it into the charter again at every sync, over what was decided since."""
    world = owners("fatima")
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.case.propose("role", "Karim", role)
    fatima.sync()
    fatima.case.propose("role", "Karim", role)
    world.settle()
    assert roles(nora)["Karim"] == role
    nora.case.set_role("Karim", "coordinator")
    world.settle()
    length = nora.session.known().n
    world.settle(3)
    assert nora.session.known().n == fatima.session.known().n == length
    assert not nora.case.pending()
    assert roles(fatima)["Karim"] == "coordinator"


def test_an_owner_steps_back_alone_but_the_last_one_does_not() -> None:
    world = owners("fatima")
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    fatima.case.set_role("Fatima", "member")
    world.settle()
    assert roles(nora)["Fatima"] == "member"
    assert not nora.session.known().due_rooms()
    with pytest.raises(Inadmissible) as caught:
        nora.case.set_role("Nora", "member")
    assert caught.value.code == "last_owner"
    assert fatima.texts() == nora.texts()


def test_a_yes_of_another_company_is_worth_nothing() -> None:
    world = owners("fatima", "karim")
    nora, fatima, karim = (world.phones[n] for n in ("nora", "fatima", "karim"))
    nora.case.propose("remove", "Karim")
    fatima.sync()
    karim.case.set_role("Karim", "member")
    world.settle()
    with pytest.raises(Misuse) as caught:
        fatima.case.approve()
    assert caught.value.code == "no_such_person"
    assert roles(nora)["Karim"] == "member"


def test_a_member_without_a_vote_cannot_ask() -> None:
    world = family()
    with pytest.raises(Misuse) as caught:
        world.phones["fatima"].case.propose("role", "Fatima", "owner")
    assert caught.value.code == "not_permitted"


def test_a_coordinator_goes_by_an_owners_clock() -> None:
    world = family()
    nora = world.phones["nora"]
    anneke = world.join("anneke", "coordinator")
    day = "2026-09-30"
    _, ends = nora.case.set_role("Anneke", "coordinator", day)
    assert ends is not None
    world.settle()
    assert roles(nora)["Anneke"] == "coordinator"
    assert anneke.case.show("question") is not None
    world.now = ends + 1
    world.settle()
    assert "Anneke" not in roles(nora)
    assert not anneke.here()
    assert not [about for code, about in nora.alarms() if about.startswith("lock")]


def test_a_coordinator_starts_and_hands_over() -> None:
    world = World(3)
    anneke = world.phone("anneke")
    world.case_id = anneke.case_id = anneke.device.start("Kring", ADDRESS, "Anneke", role="coordinator").id.hex()
    anneke.sync()
    parts = set(anneke.session.known().parts)
    assert not {"private", "plan", "question", "access"} & parts
    with pytest.raises(Misuse):
        anneke.case.hand_over("Anneke")
    nora = world.join("nora", "owner", by="anneke")
    world.settle()
    assert {"private", "plan", "question", "access"} <= set(nora.session.known().parts)
    anneke.case.hand_over("Nora")
    world.settle()
    assert not anneke.session.known().is_owner(anneke.session.me())
    assert anneke.session.room_secret("owner") is None
    assert set(nora.documents()) > set(anneke.documents())
    with pytest.raises(Misuse) as caught:
        anneke.case.show("private")
    assert caught.value.code == "not_permitted"
    with pytest.raises((Misuse, Inadmissible)):
        anneke.case.invite("member", "Iemand")


def test_what_a_gone_owner_gave_is_withdrawn() -> None:
    world = owners("fatima", "karim")
    nora, fatima, karim = (world.phones[n] for n in ("nora", "fatima", "karim"))
    selection = karim.case.selection(["plan"])
    given = karim.case.grant("De Wit", "meedenken", "2026-10-30", selection)
    reader = world.phone("dewit")
    reader.device.accept(given.link, "De Wit")
    karim.sync(2)
    world.settle()
    assert nora.session.known().grants[given.grant].open
    nora.case.propose("remove", "Karim")
    fatima.sync()
    fatima.case.approve()
    world.settle()
    assert not nora.session.known().grants[given.grant].open


def test_members_bring_a_sole_owner_back_and_words_are_compared() -> None:
    world = family()
    nora, fatima, karim = (world.phones[n] for n in ("nora", "fatima", "karim"))
    with pytest.raises(Misuse):
        fatima.case.readmit("Nora")
    fatima.case.propose("readmit", "Nora")
    karim.sync()
    karim.case.approve("Nora")
    link = karim.case.readmit("Nora")
    phone = world.phone("new phone")
    phone.device.join(link, "Nora")
    karim.sync(2)
    phone.sync()
    (theirs,) = [line["words"] for line in phone.case.pending()]
    (ours,) = [line["words"] for line in karim.case.pending() if line["what"] == "compare"]
    assert theirs == ours
    assert theirs is not None
    karim.case.confirm("Nora")
    phone.sync(3)
    assert phone.here()
    assert phone.texts() == karim.texts()
    assert phone.session.known().is_owner(phone.session.me())
    nora.sync(2)
    assert not nora.here()
    # The locks of the charter were the lost phone's: they turn no more, and nobody is shut out by trying.
    world.phones["nora"] = phone
    world.settle()
    phone.add("van de nieuwe telefoon")
    world.settle()
    assert "van de nieuwe telefoon" in karim.texts()
    with pytest.raises(Refused) as refused:
        phone.case.remove("Karim")
    assert "start --from" in refused.value.message
    assert karim.here()


def test_an_owner_who_turns_out_to_be_there_ends_the_readmission() -> None:
    world = family()
    nora, fatima, karim = (world.phones[n] for n in ("nora", "fatima", "karim"))
    fatima.case.propose("readmit", "Nora")
    karim.sync()
    karim.case.approve("Nora")
    link = karim.case.readmit("Nora")
    nora.sync()
    nora.case.invite("member", "Opa")
    phone = world.phone("new phone")
    phone.device.join(link, "Nora")
    karim.sync(2)
    phone.sync(2)
    assert [line["words"] for line in phone.case.pending()] == [None]
    with pytest.raises(Misuse) as caught:
        karim.case.confirm("Nora")
    assert caught.value.code == "no_such_person"
    assert nora.here()
    assert not phone.here()


def test_words_that_were_not_sent_before_the_right_went_are_told_and_not_shown_to_one_alone() -> None:
    world = family()
    nora, karim = world.phones["nora"], world.phones["karim"]
    world.network.offline.add("karim")
    karim.add("nooit verstuurd")
    nora.case.set_role("Karim", "child")
    world.network.offline.clear()
    world.settle()
    assert not karim.session.known().may_write(karim.session.me(), "plan")
    assert karim.texts() == nora.texts()
    assert "nooit verstuurd" not in karim.texts()
    assert "not_permitted" in karim.codes()
    assert not karim.store.outbox(karim.session.case)
    karim.restart()
    assert karim.texts() == nora.texts()
