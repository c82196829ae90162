"""Who does not belong any more empties the own device: with the own pages at the relay, and without a relay too."""

from __future__ import annotations

import pytest

from eigenkring.erasing import erase
from eigenkring.own_devices import add_device, remove_device
from simulator import World

# Parts that nobody but the person they are about manages.
OWN_PAGES = ("diary",)


@pytest.fixture
def world() -> World:
    world = World(29)
    nora = world.start()
    fatima = world.join("fatima")
    nora.add("van Nora")
    nora.sync()
    fatima.sync()
    return world


def test_who_was_removed_takes_all_from_the_own_device_and_the_own_pages_from_the_relay(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    fatima.case.add("diary", "entries", {"text": "Roerdomp"})
    fatima.sync()
    diary, plan = fatima.stream("diary"), nora.stream("plan")
    nora.case.remove("Fatima")
    fatima.sync(2)
    assert [row["state"] for row in fatima.device.cases()] == ["removed"]
    assert b"Roerdomp" in fatima.store.image()
    answer = erase(fatima.case)
    assert (answer["closed"], answer["kept"]) == (len(OWN_PAGES), 0)
    assert any("does not belong any more" in line for line in answer["say"])
    assert world.relay.records(diary) == []
    assert world.relay.records(plan), "what the circle wrote stays with the circle"
    assert fatima.store.cases() == []
    assert b"Roerdomp" not in fatima.store.image()
    nora.sync(2)
    assert nora.codes() == []


def test_who_was_removed_or_whose_case_ended_needs_no_relay_to_empty_the_own_device(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    karim = world.join("karim", "member")
    nora.case.remove("Fatima")
    fatima.sync(2)
    world.network.offline.add("fatima")
    answer = erase(fatima.case)
    assert (answer["closed"], answer["kept"]) == (0, len(OWN_PAGES))
    assert any("could not be taken" in line for line in answer["say"])
    assert fatima.store.cases() == []
    erase(nora.case)
    karim.sync(2)
    assert [row["state"] for row in karim.device.cases()] == ["closed"]
    world.network.offline.add("karim")
    erase(karim.case)
    assert karim.store.cases() == []


def test_a_device_that_was_put_out_takes_no_pages_of_its_person_along(world: World) -> None:
    """A thief's, for one: the person goes on with another device."""
    nora = world.phones["nora"]
    lost = world.phone("lost")
    lost.device.join(add_device(nora.case), "x")
    nora.sync()
    lost.sync(2)
    nora.case.add("diary", "entries", {"text": "Roerdomp"})
    nora.sync()
    lost.sync()
    remove_device(nora.case, lost.device_key().hex())
    nora.sync(2)
    lost.sync(2)
    assert [row["state"] for row in lost.device.cases()] == ["removed"]
    answer = erase(lost.case)
    assert (answer["closed"], answer["kept"], lost.store.cases()) == (0, len(OWN_PAGES), [])
    nora.sync(2)
    assert [one["text"] for one in nora.case.show("diary")["entries"].values()] == ["Roerdomp"]
    nora.case.add("diary", "entries", {"text": "nog een"})
    nora.sync()
    assert nora.codes() == []
