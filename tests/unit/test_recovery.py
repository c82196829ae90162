"""From paper to writing again, alone; and what a thief with the old phone, or with the old paper, still has."""

from __future__ import annotations

import pytest

from eigenkring import recovery
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse, Unreachable
from eigenkring.ids import CaseId
from eigenkring.own_devices import add_device, devices, remove_device
from eigenkring.paper import Sheet, make_record, open_code, open_record
from eigenkring_crypto.errors import BadCode
from eigenkring_crypto.words import decode_code
from simulator import ADDRESS, Phone, World


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
