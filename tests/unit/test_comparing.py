"""Four words, compared before any key is given: a thief of the link gets nothing, and no words on the victim's screen."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring import doorstep, wire
from eigenkring.errors import Misuse
from eigenkring.ids import DeviceId
from eigenkring.link import parse_link
from eigenkring.visiting import door_secrets
from simulator import Phone, World, family


def knocking(world: World, name: str, link: str) -> Phone:
    phone = world.phone(name)
    phone.device.join(link, "Lotte")
    return phone


def words(phone: Phone) -> list[Any]:
    return [line["words"] for line in phone.case.pending() if line["what"] in ("compare", "let in by")]


def test_both_screens_show_the_same_words_and_confirming_lets_in() -> None:
    world = family()
    nora = world.phones["nora"]
    lotte = knocking(world, "lotte", nora.case.invite("member", "Lotte", compare=True))
    lotte.sync()
    assert words(lotte) == [None]
    before = len(nora.session.known().people)
    nora.sync(2)
    lotte.sync()
    (mine,), (theirs,) = words(nora), words(lotte)
    assert mine == theirs
    assert len(mine) == 4
    # Nothing was given, and nothing was entered, before somebody said yes.
    assert len(nora.session.known().people) == before
    assert lotte.session.row.state == "waiting"
    assert lotte.session.row.keys_secret is None
    nora.case.confirm("Lotte")
    lotte.sync(2)
    assert lotte.here()
    assert "Oma belt op zondag" in lotte.texts()
    assert words(nora) == []


def test_a_thief_who_was_first_gets_nothing_and_the_victim_sees_no_words() -> None:
    world = family()
    nora = world.phones["nora"]
    link = nora.case.invite("member", "Lotte", compare=True)
    thief, lotte = knocking(world, "thief", link), knocking(world, "lotte", link)
    nora.sync(2)
    thief.sync()
    lotte.sync()
    (shown,) = words(nora)
    assert words(thief) == [shown]
    assert words(lotte) == [None], "the victim cannot read out what is not there"
    # The thief holds the link, so the thief can write nonces for the victim's device: none of them shows words.
    held = parse_link(link)
    secrets = door_secrets(held.doorstep, held.seed)
    device = DeviceId(lotte.session.device())
    forged = doorstep.make_nonce(
        device, doorstep.Knock(b"", bytes(64), world.random(64)), held.doorstep, world.random(32)
    )
    cap = secrets.append_cap()
    assert cap is not None
    append = wire.Append(stream=held.doorstep, cap=cap, record=secrets.seal(forged, world.random(24)))
    assert not isinstance(nora.case.transport.exchange([append]).results[0], wire.Failed)
    lotte.sync()
    nora.sync()
    assert words(lotte) == [None]
    assert words(nora) == [shown]
    # Nobody confirms; the invitation is taken back, and neither comes in.
    nora.case.cancel("Lotte")
    nora.sync()
    thief.sync(2)
    lotte.sync(2)
    assert not thief.here()
    assert not lotte.here()
    assert {person.name for person in nora.session.known().people.values()} == {"Nora", "Fatima", "Karim", "Sam"}


def test_confirming_before_there_are_words_gives_nothing() -> None:
    world = family()
    nora = world.phones["nora"]
    knocking(world, "lotte", nora.case.invite("member", "Lotte", compare=True))
    with pytest.raises(Misuse) as caught:
        nora.case.confirm("Lotte")
    assert caught.value.code == "no_such_person"


def test_words_prove_nothing_after_an_owner_left_the_room() -> None:
    """Who was an owner knows the secret the nonces come from: the invitation is made anew."""
    world = family()
    nora = world.phones["nora"]
    world.join("karel", "owner")
    lotte = knocking(world, "lotte", nora.case.invite("member", "Lotte", compare=True))
    nora.sync(2)
    assert words(nora) != [None]
    world.phones["karel"].case.leave()
    nora.sync(2)
    lotte.sync()
    assert words(nora) == [None]
    with pytest.raises(Misuse) as caught:
        nora.case.confirm("Lotte")
    assert caught.value.code == "not_permitted"


def test_another_owners_device_answers_the_knock() -> None:
    """The seed of the link lies sealed in the charter for every owner."""
    world = family()
    nora = world.phones["nora"]
    karel = world.join("karel", "owner")
    world.settle()
    link = nora.case.invite("member", "Lotte")
    compare = nora.case.invite("member", "Opa", compare=True)
    lotte, opa = world.phone("lotte"), world.phone("opa")
    lotte.device.join(link, "Lotte")
    opa.device.join(compare, "Opa")
    karel.sync(2)
    lotte.sync(2)
    opa.sync()
    assert lotte.here()
    assert words(opa) == words(karel) != [None]
    nora.sync(2)
    assert words(nora) == words(karel), "every owner's device shows the same words"
    assert not [code for code in nora.codes() if code == "invitation_used"]
