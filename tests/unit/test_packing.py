"""What was typed between two syncs is one record of its part, and nothing of it is lost or doubled on the way."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from eigenkring.errors import Unreachable
from eigenkring.part import author
from eigenkring.part.author import change_hash
from eigenkring.part.record import Edit, parse_record
from eigenkring.session.packing import pack
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


def test_after_a_restart_what_was_signed_stays_as_it_is_and_the_rest_goes_together() -> None:
    world, nora, fatima = two()
    nora.add("eerste")
    nora.add("tweede")
    lay = waiting(nora)
    assert len(lay) == 1, "the second joins the first, unsigned"
    nora.restart()
    assert sorted(nora.texts()) == ["eerste", "tweede"]
    nora.add("derde")
    assert waiting(nora) == lay, "signed, it would go before the second, on which it stands"
    before = records(world, nora)
    nora.sync()
    assert records(world, nora) == before + 2
    fatima.sync()
    assert sorted(fatima.texts()) == ["derde", "eerste", "tweede"]


def test_words_wait_unsigned_and_one_signature_vouches_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _world, nora, fatima = two()
    signed = []
    sign = author.sign_attestation

    def counted(*claims: Any, **named: Any) -> bytes:
        signed.append(named)
        return sign(*claims, **named)

    monkeypatch.setattr(author, "sign_attestation", counted)
    for at in range(40):
        nora.add(f"afspraak {at}")
    assert len(signed) == 1
    nora.sync()
    assert len(signed) == 2
    fatima.sync()
    assert len(fatima.texts()) == 40 and fatima.codes() == []


def test_what_stands_on_words_that_cannot_be_signed_waits_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world, nora, fatima = two()
    nora.add("eerste")
    nora.add("tweede")
    nora.restart()
    before = records(world, nora)
    with monkeypatch.context() as held:
        held.setattr(type(nora.session), "may_sign", lambda *_: False)
        nora.add("derde")
        nora.sync()
        assert records(world, nora) == before + 1, "what was signed before them goes"
    nora.sync()
    fatima.sync()
    assert sorted(fatima.texts()) == ["derde", "eerste", "tweede"] and fatima.codes() == []


def test_words_that_were_voided_while_they_waited_are_not_sent() -> None:
    world, nora, _fatima = two()
    nora.add("eerste")
    nora.add("tweede")
    opened = nora.session.part("plan")
    refused = opened.fold.pending_hashes()[1]
    del opened.fold._pending[refused]  # as a cut would
    before = records(world, nora)
    pack(nora.session)
    (record,) = waiting(nora)
    edit = parse_record(nora.session.open_record(nora.stream(), opened.part.read, record))
    assert isinstance(edit, Edit) and [change_hash(raw) for raw in edit.changes] == opened.fold.pending_hashes()
    assert records(world, nora) == before


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
