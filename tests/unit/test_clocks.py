"""Clocks that are years off end nothing, lose nothing, and say so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Ended, Misuse
from eigenkring.ids import CaseId
from eigenkring.library import Device
from eigenkring.transport import _seconds
from eigenkring.view import PartSelection, Selection
from simulator import ADDRESS, NOON, MemoryStore, Phone, Wire, World, family

TEN_YEARS = 10 * 365 * 86_400
UNTIL = "2026-10-20"


class Dated(Wire):
    """As over HTTP: every answer says what time the relay thinks it is."""

    relay_time: int | None = None

    def exchange(self, ops, atomic=False):  # type: ignore[no-untyped-def]
        reply = super().exchange(ops, atomic)
        self.relay_time = self.network.relay.clock()
        return reply


def with_clock(phone: Phone, off: int, *, dated: bool) -> Phone:
    """The same device, its own clock off by so much."""
    world = phone.world

    def clock() -> int:
        return world.now + off

    kind = Dated if dated else Wire
    around = phone.device.around
    phone.device = Device(phone.store, lambda _: kind(world.network, phone.name), clock=clock, random=world.random)
    phone.device.around = type(around)(
        around.schema, around.new_engine, phone.device.around.clock, around.random, around.load_engine
    )
    return phone


def granting() -> World:
    world = family(3)
    world.phones["nora"].case.grant("De Wit", "meedenken", UNTIL, Selection({"plan": PartSelection()}))
    world.join("anneke", "coordinator")
    world.phones["nora"].case.set_role("Anneke", "coordinator", UNTIL)
    world.settle()
    return world


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("off", [TEN_YEARS, 100 * TEN_YEARS, 500 * 86_400])
def test_a_clock_years_ahead_ends_nothing_and_is_told(off: int, dated: bool) -> None:
    world = granting()
    nora = with_clock(world.phones["nora"], off, dated=dated)
    nora.sync(2)
    charter = nora.session.known()
    assert all(grant.open for grant in charter.grants.values())
    assert "Anneke" in {person.name for person in charter.present()}
    assert ("clock", "this device") in nora.alarms()
    nora.add("dit kan altijd")
    nora.case.remove("Karim")
    nora.sync()
    assert charter.grants, "and the locks of what is open turned"
    world.phones["fatima"].sync(2)
    assert "dit kan altijd" in world.phones["fatima"].texts()
    for write in (
        lambda: nora.case.invite("member", "Lea"),
        lambda: nora.case.grant("Bos", "schulden", UNTIL, Selection({"plan": PartSelection()})),
        lambda: nora.case.set_role("Fatima", "member", UNTIL),
    ):
        with pytest.raises(Misuse) as caught:
            write()
        assert caught.value.code == "clock"
    with_clock(nora, 0, dated=dated).sync()
    assert "clock" not in nora.codes()
    assert nora.case.invite("member", "Lea")


def test_a_date_that_has_come_ends_as_ever() -> None:
    for dated in (True, False):
        world = granting()
        world.now += 60 * 86_400
        nora = with_clock(world.phones["nora"], 0, dated=dated)
        nora.sync(2)
        charter = nora.session.known()
        assert not any(grant.open for grant in charter.grants.values())
        assert "Anneke" not in {person.name for person in charter.present()}
        assert "clock" not in nora.codes()


def test_a_relay_that_lies_about_the_day_ends_nothing() -> None:
    world = granting()
    nora = with_clock(world.phones["nora"], 0, dated=True)
    lying = world.network.relay.clock
    world.network.relay.clock = lambda: NOON + TEN_YEARS
    nora.device.transport(nora.session.case, ADDRESS)
    nora.sync(2)
    assert all(grant.open for grant in nora.session.known().grants.values())
    assert "clock" in nora.codes()
    world.network.relay.clock = lying


@pytest.mark.parametrize("now", [-1, -(10**9), 0])
def test_a_clock_before_1970_is_no_fault_of_ours(now: int) -> None:
    world = World(4)
    store = MemoryStore()
    device = Device(store, lambda _: Dated(world.network, "nora"), clock=lambda: now, random=world.random)
    case = device.start("Thuis", ADDRESS, "Nora")
    case.add("plan", "agreements", {"what": "woorden"})
    case.sync()
    assert [alarm["code"] for alarm in case.status()["alarms"]] == ["clock"]
    with pytest.raises(Misuse) as caught:
        case.invite("member", "Fatima")
    assert caught.value.code == "clock" and "1970" in caught.value.message
    assert case.show("plan")["agreements"]


def test_the_time_in_an_answer_is_read_or_left() -> None:
    assert _seconds("Sun, 22 Nov 2026 04:16:43 GMT") == 1_795_321_003
    for text in (None, "", "tomorrow", "Sun, 22 Nov 99999 04:16:43 GMT"):
        assert _seconds(text) is None


def reading() -> tuple[World, Phone, str]:
    """De Wit reads the plan until a day."""
    world = family(3)
    nora, reader = world.phones["nora"], world.phone("dewit")
    given = nora.case.grant("De Wit", "meedenken", UNTIL, Selection({"plan": PartSelection()}))
    grant = reader.device.accept(given.link, "De Wit").hex()
    for _ in range(2):
        nora.sync()
        reader.device.sync()
    assert "agreements" in reader.device.view(grant)["plan"]
    return world, reader, grant


@pytest.mark.parametrize("offline", [True, False])
def test_a_readers_clock_years_ahead_takes_the_copy_and_not_the_way_to_it(offline: bool) -> None:
    world, reader, grant = reading()
    before = reader.device.view(grant)
    device = with_clock(reader, TEN_YEARS, dated=False).device
    if offline:
        world.network.offline.add("dewit")
    for _ in range(2):
        device.sync_quietly()
        with pytest.raises(Ended, match="set it right") as told:
            device.view(grant)
        assert told.value.code == "withdrawn"
    (row,) = device.store.grants()
    assert len(row.view) == 32, "a digest, and no word of it"
    assert [alarm.code for alarm in device.store.alarms(CaseId(row.grant))] == ([] if offline else ["clock"])
    world.network.honest()
    world.phones["nora"].add("later geschreven")
    world.settle()
    device = with_clock(reader, 0, dated=False).device
    device.sync()
    now = device.view(grant)["plan"]["agreements"]
    assert len(now) == len(before["plan"]["agreements"]) + 1
    assert device.store.alarms(CaseId(row.grant)) == []


def test_a_readers_day_that_has_come_takes_the_way_too() -> None:
    """Offline the copy goes; the keys go when the relay says that it is over."""
    world, reader, grant = reading()
    world.now += 60 * 86_400
    world.network.offline.add("dewit")
    device = with_clock(reader, 0, dated=False).device
    with pytest.raises(Ended):
        device.view(grant)
    world.network.honest()
    device.sync_quietly()
    (row,) = device.store.grants()
    assert (row.view, row.state, row.link, row.seed, row.status) == (b"", b"", "", bytes(32), "ended")
    with_clock(reader, -59 * 86_400, dated=False).device.sync_quietly()
    with pytest.raises(Ended, match="last day"):
        reader.device.view(grant)
