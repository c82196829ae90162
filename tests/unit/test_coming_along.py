"""Own devices come along with each other: also where their person was removed from a case, and invited anew on one of them."""

from __future__ import annotations

import pytest

from eigenkring.erasing import erase
from simulator import ADDRESS, World
from unit.test_shelf import open_cases, second, started, together


@pytest.fixture
def world() -> World:
    world = World(31)
    world.start()
    return world


@pytest.mark.parametrize("emptied", [False, True], ids=["the old one lies there", "it was erased there"])
def test_who_was_removed_and_invited_anew_on_one_device_comes_back_on_the_other_too(
    world: World, emptied: bool
) -> None:
    nora, karim = world.phones["nora"], world.phone("karim")
    theirs = karim.device.start("Bij Karim", ADDRESS, "Karim")
    nora.device.join(theirs.invite("member", "Nora"), "Nora")
    karim.sync()
    tablet = second(world)
    together(nora, tablet)
    before = tablet.device.case(theirs.id).session.me()
    theirs.remove("Nora")
    together(nora, tablet)
    assert open_cases(nora) == open_cases(tablet) == ["Thuis"]
    if emptied:
        erase(tablet.device.case(theirs.id))
        tablet.device.forget(theirs.id)
        tablet.sync()
    theirs.add("plan", "agreements", {"what": "toen Nora weg was"})
    nora.device.join(theirs.invite("member", "Nora"), "Nora")
    together(karim, nora, tablet, times=3)
    assert open_cases(nora) == open_cases(tablet) == ["Bij Karim", "Thuis"]
    there = tablet.device.case(theirs.id)
    assert there.session.me() == nora.device.case(theirs.id).session.me() != before
    there.add("plan", "agreements", {"what": "van de tablet"})
    together(tablet, karim)
    shown = {item["what"] for item in theirs.show("plan")["agreements"].values()}
    assert shown == {"toen Nora weg was", "van de tablet"}
    # The devices of who she was there before are no lost ones: both stay on one list.
    started(tablet, "Daarna")
    together(tablet, nora)
    assert "Daarna" in open_cases(nora)
    assert nora.codes() == tablet.codes() == []
