"""A sole owner who lost everything, brought back by the members: what only the old phone had the keys of begins anew."""

from __future__ import annotations

import pytest

from eigenkring.errors import EigenkringError, Misuse
from eigenkring.view import PartSelection, Selection
from simulator import Phone, World, family


def agreed(world: World, *names: str) -> str:
    """The link, when all of these said yes; the last of them makes it."""
    first, *others = (world.phones[name] for name in names)
    first.case.propose("readmit", "Nora")
    for other in others:
        other.sync()
        other.case.approve("Nora")
    return (others or [first])[-1].case.readmit("Nora")


def brought_back() -> tuple[World, Phone]:
    world = family(9)
    world.join("lea")
    old = world.phones["nora"]
    old.case.add("access", "grants", {"to": "iemand van vroeger"})
    old.add("dagboek van Nora", "diary", "entries", "text")
    world.settle()
    lost = world.phones.pop("nora")
    link = agreed(world, "fatima", "karim", "lea")
    phone = world.phone("nora")
    phone.device.join(link, "Nora")
    lea = world.phones["lea"]
    lea.sync(2)
    phone.sync()
    lea.sync()
    lea.case.confirm("Nora")
    phone.sync(3)
    world.settle()
    world.phones["lost"] = lost
    return world, phone


def test_the_owner_writes_in_access_and_grants_again() -> None:
    world, nora = brought_back()
    assert nora.here()
    assert nora.texts() == world.phones["fatima"].texts()
    assert nora.case.show("access").get("grants", {}) == {}
    nora.add("weer zelf", "diary", "entries", "text")
    given = nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    reader = world.phone("dewit")
    reader.device.accept(given.link, "De Wit")
    world.settle()
    reader.sync(2)
    assert "plan" in reader.device.view(given.grant.hex())
    assert [line["to"] for line in nora.case.access()] == ["De Wit"]
    nora.sync(2)
    assert world.fresh("nora").documents() == nora.documents()
    # The old streams of what began anew stay as they are: what opened their locks went with the phone. That is told.
    assert all(code == "not_allowed" and about.startswith("lock of ") for code, about in nora.alarms()), nora.alarms()
    lost = world.phones["lost"]
    lost.sync(2)
    assert not lost.here()
    assert "weer zelf" not in str(lost.documents())


def test_the_owners_own_parts_begin_anew_and_the_circle_reads_them() -> None:
    world, nora = brought_back()
    nora.add("Nora zegt", "voice", "suggestions", "name")
    world.settle()
    me = nora.session.me().hex()
    karim = world.phones["karim"].case.show(f"voice@{me}")
    assert [item["name"] for item in karim["suggestions"].values()] == ["Nora zegt"]


def test_two_relatives_who_conspire_do_not_make_an_owner() -> None:
    world = family(9)
    world.join("lea")
    world.settle()
    with pytest.raises(Misuse) as caught:
        agreed(world, "fatima", "karim")
    assert caught.value.code == "not_permitted"
    assert "3" in caught.value.message


def test_the_old_device_stops_it_by_any_entry() -> None:
    world = family(9)
    world.join("lea")
    world.settle()
    link = agreed(world, "fatima", "karim", "lea")
    thief = world.phone("thief")
    thief.device.join(link, "Nora")
    nora = world.phones["nora"]
    nora.sync()
    nora.case.invite("member", "Opa")
    lea = world.phones["lea"]
    lea.sync(2)
    thief.sync(2)
    with pytest.raises(EigenkringError):
        lea.case.confirm("Nora")
    assert nora.here() and not thief.here()
