"""From paper to writing again, alone; and what a thief with the old phone, or with the old paper, still has."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import pytest

from eigenkring import recovery, wire
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse, Unreachable
from eigenkring.ids import CaseId, StreamId
from eigenkring.own_devices import add_device, devices, remove_device
from eigenkring.paper import Sheet, make_record, open_code, open_record
from eigenkring.sleeping import RECOVERING, add_sleeper, sheet_for
from eigenkring.transport import NoTransport, Transport
from eigenkring_crypto.errors import BadCode
from eigenkring_crypto.words import decode_code
from simulator import ADDRESS, Network, Phone, Wire, World


@pytest.fixture
def world() -> World:
    world = World(19)
    world.start()
    return world


def code_of(phone: Phone, old: str | None = None) -> str:
    return str(recovery.make_code(phone.device, old)["code"])


def back(world: World, code: str, name: str = "nieuw") -> Phone:
    phone = world.phone(name)
    phone.answer = recovery.recover(phone.device, code, ADDRESS)  # type: ignore[attr-defined]
    phone.sync()
    return phone


def kinds(phone: Phone) -> list[str]:
    return sorted(row["kind"] for row in devices(phone.case))


def test_from_paper_to_writing_again_in_one_command_with_nobody_else_online(world: World) -> None:
    nora = world.phones["nora"]
    nora.add("voor")
    nora.case.add("diary", "entries", {"text": "van mij alleen"})
    nora.sync()
    code = code_of(nora)
    nora.add("na de code")
    nora.sync()
    world.network.offline.add("nora")
    new = back(world, code)
    assert new.here()
    assert new.texts() == ["na de code", "voor"]
    assert new.texts("diary", "entries", "text") == ["van mij alleen"]
    new.add("weer thuis")
    new.sync()
    assert new.codes() == []
    assert kinds(new) == ["device", "paper"]
    assert new.case.invite("member", "Fatima")


def test_everything_the_person_could_do_works_again(world: World) -> None:
    fatima = world.join("fatima")
    code = code_of(world.phones["nora"])
    new = back(world, code)
    karim = world.phone("karim")
    karim.device.join(new.case.invite("member", "karim"), "karim")
    new.sync()
    karim.sync(2)
    assert karim.here()
    new.case.remove("fatima")
    fatima.sync(2)
    assert not fatima.here()


def test_the_lost_phone_reads_nothing_new_and_wakes_nothing(world: World) -> None:
    lost = world.phones["nora"]
    lost.add("voor")
    code = code_of(lost)
    new = back(world, code)
    new.add("Roerdomp")
    new.sync()
    lost.add("stiekem")
    lost.sync(2)
    assert not lost.here()
    assert b"Roerdomp" not in lost.store.image()
    new.sync()
    assert new.texts() == ["Roerdomp", "voor"]
    # Its whole store holds no seed that the charter still knows.
    here = {device.device for device in new.session.known().devices.values() if device.here}
    assert lost.device_key() not in here
    with pytest.raises(EigenkringError):
        recovery.make_code(lost.device)


def test_a_phone_cannot_read_the_seeds_it_put_on_paper(world: World) -> None:
    nora = world.phones["nora"]
    raw = decode_code(code_of(nora))
    code = open_code(raw, ADDRESS)
    record = world.relay.records(code.space.stream)[0]
    sheet = open_record(code, record)
    assert sheet is not None
    assert sheet.case == nora.session.case
    image = nora.store.image()
    for secret in (raw, sheet.seed, code.manage):
        assert secret not in image


def test_the_old_code_is_dead_after_coming_back(world: World) -> None:
    code = code_of(world.phones["nora"])
    new = back(world, code)
    assert new.answer["code"] != code  # type: ignore[attr-defined]
    with pytest.raises(Ended) as caught:
        back(world, code, "dief")
    assert caught.value.code == "link_expired"
    again = back(world, new.answer["code"], "derde")  # type: ignore[attr-defined]
    assert again.here()
    assert kinds(again) == ["device", "paper"]


def test_a_new_code_kills_the_old_one_where_that_is_known(world: World) -> None:
    nora = world.phones["nora"]
    old = code_of(nora)
    answer = recovery.make_code(nora.device, old)
    assert answer["older"] == 0
    assert kinds(nora) == ["device", "paper"]
    with pytest.raises(Ended):
        back(world, old, "dief")
    assert back(world, answer["code"]).here()


def test_a_thief_with_the_phone_cannot_throw_the_paper_away(world: World) -> None:
    nora = world.phones["nora"]
    code = code_of(nora)
    paper = next(row["device"] for row in devices(nora.case) if row["kind"] == "paper")
    with pytest.raises(Inadmissible) as caught:
        remove_device(nora.case, paper)
    assert caught.value.code == "not_permitted"
    # Nor is a second sheet of the thief's own of any use: the older one stands above it.
    theirs = recovery.make_code(nora.device)
    assert theirs["older"] == 1
    new = back(world, code)
    assert kinds(new) == ["device", "paper"]
    with pytest.raises(Ended):
        back(world, theirs["code"], "dief")


def test_a_thief_who_added_a_device_is_put_out_with_it(world: World) -> None:
    nora = world.phones["nora"]
    code, thief = code_of(nora), world.phone("dief")
    thief.device.join(add_device(nora.case), "dief")
    nora.sync()
    thief.sync(2)
    assert thief.here()
    new = back(world, code)
    new.add("Roerdomp")
    new.sync()
    thief.sync(2)
    assert not thief.here()
    assert b"Roerdomp" not in thief.store.image()


ELSEWHERE = "http://elders.invalid"


def _knows_two_relays(phone: Phone, other: Network | None) -> None:
    """``other``: whom it meets elsewhere; nobody there where that is None."""
    ours, name = phone.world.network, phone.name

    def line(relay: str) -> Transport:
        if relay == ADDRESS:
            return Wire(ours, name)
        return NoTransport() if other is None else Wire(other, name)

    phone.device._transport_for = line


def _put_sheet(world: World, nora: Phone, sheet: Sheet) -> None:
    """As whoever has the phone can: what it keeps of the paper is enough to add to it."""
    space = recovery.space_of(nora.device)
    assert space is not None
    world.relay.put(space.stream, make_record(space, sheet, 0, bytes(32), bytes(24)))  # type: ignore[arg-type]


@pytest.mark.parametrize("answers", [True, False])
def test_a_thief_with_the_phone_leads_nobody_to_another_relay(world: World, answers: bool) -> None:
    """There the thief keeps a copy of the case, with a paper of the thief's own in it; or nothing, so that the way back never
    ends."""
    nora = world.phones["nora"]
    nora.add("van Nora")
    nora.sync()
    code, elsewhere = code_of(nora), Network(world.relay.fork(), random.Random(3))
    sheet = sheet_for(nora.device, nora.case)
    assert sheet is not None
    _knows_two_relays(nora, elsewhere)
    nora.device._transports.clear()
    nora.device.forget(nora.case.id)
    world.network.worlds["nora"] = elsewhere.relay
    add_sleeper(nora.case, sheet, "paper")
    nora.add("van de dief")
    nora.sync()
    del world.network.worlds["nora"]
    _put_sheet(world, nora, msgspec.structs.replace(sheet, relay=ELSEWHERE))
    new = world.phone("nieuw")
    _knows_two_relays(new, elsewhere if answers else None)
    assert recovery.recover(new.device, code, ADDRESS)["cases"] == [sheet.case.hex()]
    new.case_id = sheet.case.hex()
    row = new.store.case(CaseId(sheet.case))
    assert row is not None and row.relay == ADDRESS
    assert new.texts() == ["van Nora"]


def test_a_case_whose_relay_is_gone_keeps_no_other_from_coming_back(world: World) -> None:
    """One that the thief put there; or one of somebody's own. The paper goes on working: it is the only way to that one."""
    nora = world.phones["nora"]
    nora.add("van Nora")
    nora.sync()
    code = code_of(nora)
    _put_sheet(world, nora, Sheet(bytes(range(16)), ELSEWHERE, bytes(32), bytes(16), bytes(32), 1, bytes(32)))
    sheets = recovery._read
    new = world.phone("nieuw")
    _knows_two_relays(new, None)
    with pytest.MonkeyPatch.context() as patch:
        # Whichever is tried first.
        patch.setattr(recovery, "_read", lambda *given: list(reversed(sheets(*given))))
        with pytest.raises(Unreachable):
            recovery.recover(new.device, code, ADDRESS)
    assert [row["state"] for row in new.device.cases()] == ["open"]
    new.case_id = nora.case.id.hex()
    assert new.texts() == ["van Nora"]
    # The person gives that one up: a new paper for what is here.
    assert code_of(new, code) != code


def test_noise_in_the_space_brings_nobody_astray(world: World) -> None:
    nora = world.phones["nora"]
    code = code_of(nora)
    opened = open_code(decode_code(code), ADDRESS)
    false = Sheet(nora.session.case, ADDRESS, bytes(32), bytes(16), bytes(32), 1, bytes(32))
    first = nora.store.chain_at(nora.session.case, nora.session.charter_stream, 0)
    assert first is not None
    for record in (bytes(400), make_record(opened.space, false, 0, first, bytes(24))):
        world.relay.put(opened.space.stream, record)
    assert back(world, code).here()


def test_cases_that_come_later_are_on_the_paper_too(world: World) -> None:
    nora = world.phones["nora"]
    code = code_of(nora)
    first = nora.case_id
    second = nora.device.start("Tweede", ADDRESS, "Nora").id.hex()
    nora.sync()
    new = back(world, code)
    assert sorted(new.answer["cases"]) == sorted([first, second])  # type: ignore[attr-defined]
    assert {row["state"] for row in new.device.cases()} == {"open"}


def test_one_case_that_is_lost_does_not_keep_the_others_away(world: World) -> None:
    fatima = world.join("fatima")
    code = code_of(fatima)
    own = fatima.device.start("Van Fatima", ADDRESS, "Fatima").id.hex()
    fatima.sync()
    world.phones["nora"].case.remove("fatima")
    new = back(world, code)
    assert new.answer["cases"] == [own]  # type: ignore[attr-defined]
    assert [row["case"] for row in new.answer["left"]] == [world.case_id]  # type: ignore[attr-defined]


def test_a_member_comes_back_and_an_owner_turns_the_rest(world: World) -> None:
    fatima = world.join("fatima")
    code = code_of(fatima)
    new = back(world, code)
    world.phones["nora"].sync()
    world.phones["nora"].add("Roerdomp")
    world.phones["nora"].sync()
    new.sync()
    assert new.texts() == ["Roerdomp"]
    fatima.sync(2)
    assert b"Roerdomp" not in fatima.store.image()


def _fails_from(world: World, at: int) -> Callable[[], None]:
    """The line of the new phone is gone from its call ``at`` on, until what this gives is called."""
    calls, carry = 0, world.network.carry

    def falls_away(who: str, data: bytes) -> bytes:
        nonlocal calls
        calls += who == "nieuw"
        if who == "nieuw" and calls > at:
            raise Unreachable("offline", "the battery")
        return carry(who, data)

    world.network.carry = falls_away  # type: ignore[method-assign]

    def mend() -> None:
        world.network.carry = carry  # type: ignore[method-assign]

    return mend


@pytest.mark.parametrize("at", range(2, 11))
def test_a_case_that_is_halfway_back_is_nobody_s(world: World, at: int) -> None:
    nora = world.phones["nora"]
    nora.add("voor")
    nora.sync()
    code = code_of(nora)
    phone = world.phone("nieuw")
    mend = _fails_from(world, at)
    with suppress(Unreachable, Misuse):
        recovery.recover(phone.device, code, ADDRESS)
    mend()
    case = nora.case.id
    assert phone.store.fact(case, RECOVERING) is not None
    assert phone.device.cases() == []
    with pytest.raises(Misuse) as caught:
        phone.device.case(case)
    assert caught.value.code == "no_such_case"
    before = phone.store.case(case), phone.store.position(case, StreamId(case))
    entries = len(world.relay.records(case))
    phone.device.sync()  # the background must not act as the paper
    assert len(world.relay.records(case)) == entries
    assert (phone.store.case(case), phone.store.position(case, StreamId(case))) == before


def test_no_code_takes_the_place_of_one_a_case_still_comes_back_with(world: World) -> None:
    nora = world.phones["nora"]
    nora.add("voor")
    nora.sync()
    code = code_of(nora)
    phone = world.phone("nieuw")
    phone.device.start("Iets anders", ADDRESS, "Nora")
    mend = _fails_from(world, 8)
    with suppress(Unreachable, Misuse):
        recovery.recover(phone.device, code, ADDRESS)
    mend()
    assert phone.store.fact(nora.case.id, RECOVERING) is not None
    with pytest.raises(Misuse) as caught:
        code_of(phone, code)
    assert caught.value.code == "not_yet"
    assert recovery.space_of(phone.device) is None, "and none is begun"
    assert recovery.recover(phone.device, code, ADDRESS)["cases"] == [nora.case.id.hex()]


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_whoever_is_interrupted_begins_again_with_the_same_code(world: World, at: int) -> None:
    nora = world.phones["nora"]
    nora.add("voor")
    nora.sync()
    code = code_of(nora)
    phone = world.phone("nieuw")
    calls = 0
    carry = world.network.carry

    def falls_away(who: str, data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise Unreachable("offline", "the battery")
        return carry(who, data)

    world.network.carry = falls_away  # type: ignore[method-assign]
    try:
        recovery.recover(phone.device, code, ADDRESS)
    except (Unreachable, Misuse):
        world.network.carry = carry  # type: ignore[method-assign]
        phone.restart()
        recovery.recover(phone.device, code, ADDRESS)
    world.network.carry = carry  # type: ignore[method-assign]
    phone.sync()
    assert phone.here()
    assert phone.texts() == ["voor"]
    assert "paper" in kinds(phone)
    nora.sync()
    assert not nora.here()


@pytest.mark.parametrize("text", ["", "0000", "ABCD-" * 8 + "ABCD", "x" * 5000])
def test_what_is_no_code_is_refused(world: World, text: str) -> None:
    with pytest.raises(BadCode):
        recovery.recover(world.phone("x").device, text, ADDRESS)


def test_a_wrong_old_code_changes_nothing(world: World) -> None:
    nora, fatima = world.phones["nora"], world.join("fatima")
    mine, theirs = code_of(nora), code_of(fatima)
    before = kinds(nora)
    with pytest.raises(Misuse) as caught:
        recovery.make_code(nora.device, theirs)
    assert caught.value.code == "bad_value"
    assert kinds(nora) == before
    assert back(world, mine).here()


def test_no_code_without_a_case(world: World) -> None:
    with pytest.raises(Misuse) as caught:
        recovery.make_code(world.phone("leeg").device)
    assert caught.value.code == "not_yet"
    assert CaseId(bytes(16)) == recovery.NO_CASE


def test_what_one_owner_has_at_two_relays_is_asked_of_each_of_them(world: World) -> None:
    """The space of an older paper may lie at the relay of before."""
    device = world.phones["nora"].device
    asked: list[str] = []

    class Line(NoTransport):
        def __init__(self, relay: str) -> None:
            self.relay = relay

        def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
            asked.append(self.relay)
            return super().exchange(ops, atomic)

    device._transport_for = Line
    owner, addresses = bytes(16), ["https://een.example", "https://twee.example", "https://een.example"]
    for address in addresses:
        with pytest.raises(Unreachable):
            device.transport(owner, address).exchange([])
    assert asked == addresses
    assert device.transport(owner, addresses[0]) is device.transport(owner, addresses[2])
