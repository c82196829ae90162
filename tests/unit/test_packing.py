"""What was typed between two syncs is one record of its part, and nothing of it is lost or doubled on the way."""

from __future__ import annotations

import itertools

import pytest

from eigenkring.errors import Unreachable
from eigenkring.part import author
from simulator import Phone, World


def two() -> tuple[World, Phone, Phone]:
    world = World(5)
    nora = world.start()
    fatima = world.join("fatima")
    world.settle()
    return world, nora, fatima


def records(world: World, phone: Phone, part: str = "plan") -> int:
    return len(world.relay.records(phone.stream(part)))


def waiting(phone: Phone) -> list[bytes]:
    return [item.record for item in phone.session.store.outbox(phone.session.case) if item.record is not None]


def test_forty_agreements_are_one_record() -> None:
    world, nora, fatima = two()
    before = records(world, nora)
    for at in range(40):
        nora.add(f"afspraak {at}")
    nora.sync()
    assert records(world, nora) == before + 1 and waiting(nora) == []
    fatima.sync()
    assert fatima.texts() == nora.texts() and len(fatima.texts()) == 40


def test_each_part_has_its_own_record() -> None:
    world, nora, _ = two()
    before = records(world, nora), records(world, nora, "private")
    for at in range(3):
        nora.add(f"afspraak {at}")
        nora.add(f"idee {at}", "private", "ideas", "text")
    nora.sync()
    assert (records(world, nora), records(world, nora, "private")) == (before[0] + 1, before[1] + 1)


def test_a_record_that_may_have_been_sent_keeps_its_bytes() -> None:
    world, nora, fatima = two()
    before = records(world, nora)
    nora.add("eerste")
    sent = waiting(nora)

    def lost(network: object, who: str, data: bytes) -> bytes:
        world.network.truth(who, data)  # it arrives, the answer does not
        raise Unreachable("timed_out")

    carry = world.network.carry
    world.network.carry = lambda who, data: lost(world.network, who, data)  # type: ignore[method-assign]
    nora.sync()
    assert waiting(nora) == sent and records(world, nora) == before + 1
    nora.add("tweede")
    nora.add("derde")
    nora.sync()
    assert waiting(nora)[0] == sent[0] and len(waiting(nora)) == 2, "the other two as one"
    world.network.carry = carry  # type: ignore[method-assign]
    nora.sync()
    assert records(world, nora) == before + 2
    fatima.sync()
    assert sorted(fatima.texts()) == ["derde", "eerste", "tweede"]


def test_after_a_restart_what_lies_there_stays_as_it_is() -> None:
    world, nora, fatima = two()
    nora.add("eerste")
    nora.add("tweede")
    lay = waiting(nora)
    nora.restart()
    nora.add("derde")
    assert waiting(nora)[:2] == lay
    before = records(world, nora)
    nora.sync()
    assert records(world, nora) == before + 3
    fatima.sync()
    assert sorted(fatima.texts()) == ["derde", "eerste", "tweede"]


def test_a_crash_at_any_write_loses_and_doubles_nothing() -> None:
    world, _, _ = two()
    image = world.image()
    for write in itertools.count(1):
        again = World.of(image, write)
        for at in range(3):
            again.phones["nora"].add(f"afspraak {at}")
        crashed = again.phones["nora"].crash_at(write, again.phones["nora"].sync)
        for name in ("nora", "fatima"):
            again.phones[name].sync()
            assert sorted(again.phones[name].texts()) == [f"afspraak {at}" for at in range(3)], (write, name)
        if not crashed:
            break
    assert write > 4


def test_more_than_one_record_holds_is_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author, "MAX_EDIT_BYTES", 2_000)
    world, nora, fatima = two()
    before = records(world, nora)
    for at in range(20):
        nora.add(f"{at} " + "lang " * 20)
    nora.sync()
    made = records(world, nora) - before
    assert 1 < made < 20
    fatima.sync()
    assert fatima.texts() == nora.texts() and len(nora.texts()) == 20
