"""Moving in by an address alone, with nobody else awake; and what somebody else who has the address can do with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eigenkring import moving_in, moving_out, recovery, wire
from eigenkring.charter import compose
from eigenkring.charter.entry import (
    AddDevice,
    Approval,
    Keys,
    Leave,
    RemoveDevice,
    RemovePerson,
    sign_entry,
)
from eigenkring.charter.majority import yeses
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse, Unreachable
from eigenkring.hall import Hall, hall_secrets, open_hall
from eigenkring.ids import CaseId
from eigenkring.link import parse_link
from eigenkring.own_devices import devices, remove_device
from eigenkring.paper import Sheet
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.session.parts import CaseSession
from eigenkring.sleeping import RECOVERING, wake
from eigenkring.transport import NoTransport, Transport
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.sign import sign
from simulator import ADDRESS, Phone, Wire, World


@pytest.fixture
def world() -> World:
    world = World(23)
    world.start()
    return world


def address(phone: Phone) -> str:
    return str(moving_out.make_address(phone.device)["link"])


def moved(world: World, link: str, name: str = "beginscherm") -> Phone:
    phone = world.phone(name)
    moving_in.move_in(phone.device, link)
    phone.sync()
    return phone


def refused(world: World, link: str, name: str = "ander") -> str:
    with pytest.raises(EigenkringError) as caught:
        moved(world, link, name)
    return caught.value.code


def kinds(phone: Phone) -> list[str]:
    return sorted(row["kind"] for row in devices(phone.case))


def hall_of(world: World, link: str) -> Hall:
    parsed = parse_link(link)
    (record,) = world.relay.records(parsed.doorstep)
    return open_hall(hall_secrets(parsed).open(record), parsed.pin)


def asleep(world: World, link: str, name: str = "dief") -> CaseSession:
    """Whoever found the address, with a program of their own: as the sleeping device itself."""
    sheet = hall_of(world, link).sheets[0]
    return wake(world.phone(name).device, sheet)[0]


# --- moving in


def test_all_that_is_ones_own_is_there_with_nobody_else_awake(world: World) -> None:
    nora, fatima = world.phones["nora"], world.join("fatima")
    nora.add("voor")
    nora.sync()
    fatima.case.add("diary", "entries", {"text": "van mij alleen"})
    fatima.sync()
    link = address(fatima)
    assert kinds(fatima) == ["device", "link"]
    world.network.offline |= {"nora", "fatima"}
    home = moved(world, link)
    assert home.here()
    assert home.texts() == ["voor"]
    assert home.texts("diary", "entries", "text") == ["van mij alleen"]
    home.add("van het beginscherm")
    home.sync()
    assert kinds(home) == ["device", "device"]
    # The first page goes on as before, and tells who came.
    world.network.honest()
    fatima.sync(2)
    assert fatima.here()
    assert fatima.texts() == ["van het beginscherm", "voor"]
    assert moving_out.moving(fatima.device)["state"] == "used"
    (came,) = moving_out.moving(fatima.device)["came"]
    assert came["device"] == home.device_key().hex()
    nora.sync(2)
    fatima.add("nog van de oude bladzijde")
    fatima.sync()
    home.sync()
    assert "nog van de oude bladzijde" in home.texts()
    assert nora.codes() == fatima.codes() == home.codes() == []


def test_every_case_of_the_device_comes_along_also_the_only_owner_alone(world: World) -> None:
    nora = world.phones["nora"]
    work = nora.device.start("Werk", "http://relay.example", "Nora")
    work.sync()
    made = moving_out.make_address(nora.device)
    assert made["left"] == []
    phone = world.phone("beginscherm")
    assert moving_in.look_inside(phone.device, made["link"])["cases"] == 2
    done = moving_in.move_in(phone.device, made["link"])
    assert sorted(done["cases"]) == sorted([nora.case_id, work.id.hex()])
    assert sorted(row["state"] for row in phone.device.cases()) == ["open", "open"]
    # An owner turns every room at once: the address reads nothing that comes after.
    charter = phone.case.charter
    assert charter.due_rooms() == []


def test_an_address_that_is_out_is_given_again(world: World) -> None:
    nora = world.phones["nora"]
    assert address(nora) == address(nora)
    assert kinds(nora) == ["device", "link"]


def test_who_has_no_case_has_nothing_to_move(world: World) -> None:
    with pytest.raises(Misuse) as caught:
        moving_out.make_address(world.phone("leeg").device)
    assert caught.value.code == "not_yet"


def test_who_has_a_clock_that_is_days_behind_is_told(world: World) -> None:
    fatima = world.join("fatima")
    fatima.device.around = msgspec.structs.replace(
        fatima.device.around, clock=lambda: world.now - moving_out.LIFE_SECONDS
    )
    with pytest.raises(Misuse) as caught:
        address(fatima)
    assert caught.value.code == "clock"
    fatima.device.around = msgspec.structs.replace(fatima.device.around, clock=world.clock)
    assert moved(world, address(fatima)).here()


def test_a_device_in_an_address_counts_among_the_own_devices(world: World) -> None:
    nora = world.phones["nora"]
    for at in range(11):
        keys = DeviceKeys.from_seed(bytes([at]) * 32)
        public = Keys(keys.sign.public, keys.box.public)
        signed = compose.sign_new_device(nora.session.case, nora.session.me(), public, keys.sign)
        nora.case.act(lambda now, public=public, signed=signed: _added(now, public, signed))
    with pytest.raises(Inadmissible) as caught:
        address(nora)
    assert caught.value.code == "limit"
    assert moving_out.moving(nora.device)["state"] == "none"


def _added(now: CaseSession, keys: Keys, signed: bytes) -> Any:
    return exchange_of(now, compose.add_device(now.known(), author_of(now), keys, "", signed))


@pytest.mark.parametrize("at", range(24))
@pytest.mark.parametrize("late", [False, True])
def test_whoever_is_interrupted_moves_in_with_the_same_address(world: World, at: int, late: bool) -> None:
    fatima = world.join("fatima")
    fatima.add("voor")
    fatima.sync()
    link = address(fatima)
    phone = world.phone("beginscherm")
    calls, carry = 0, world.network.carry

    def falls_away(who: str, data: bytes) -> bytes:
        nonlocal calls
        calls += who == "beginscherm"
        if who == "beginscherm" and calls == at + 1:
            if late:
                carry(who, data)
            raise Unreachable("offline", "the battery")
        return carry(who, data)

    world.network.carry = falls_away  # type: ignore[method-assign]
    try:
        moving_in.move_in(phone.device, link)
    except Unreachable:
        phone.restart()
        moving_in.move_in(phone.device, link)
    world.network.carry = carry  # type: ignore[method-assign]
    phone.sync()
    assert phone.here()
    assert phone.texts() == ["voor"]
    assert kinds(phone) == ["device", "device"]


def test_whoever_was_interrupted_comes_in_after_the_locks_were_turned(world: World) -> None:
    fatima, nora = world.join("fatima"), world.phones["nora"]
    link = address(fatima)
    phone = world.phone("beginscherm")
    calls, carry = 0, world.network.carry

    def falls_away(who: str, data: bytes) -> bytes:
        nonlocal calls
        answer = carry(who, data)
        request = wire.decode_request(data)
        if who == "beginscherm" and request.atomic:
            calls += 1
            raise Unreachable("timed_out", "no answer in time")
        return answer

    world.network.carry = falls_away  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        moving_in.move_in(phone.device, link)
    world.network.carry = carry  # type: ignore[method-assign]
    assert calls == 1
    nora.sync(2)
    nora.add("na de sloten")
    nora.sync()
    moving_in.move_in(phone.device, link)
    phone.sync()
    assert phone.texts() == ["na de sloten"]


# --- used, taken back, expired


def test_the_second_with_the_same_address_is_told_and_loses_nothing(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    first = moved(world, link, "eerste")
    assert refused(world, link, "tweede") == "link_used"
    assert world.phones["tweede"].device.cases() == []
    assert first.here()
    # Also who is somebody here already keeps what lies here.
    nora = world.phones["nora"]
    nora.add("van Nora")
    with pytest.raises(Ended):
        moving_in.move_in(nora.device, link)
    assert nora.texts() == ["van Nora"]


def test_of_two_at_once_one_comes_in(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    first, second = world.phone("eerste"), world.phone("tweede")
    carry = world.network.carry
    raced = False

    def overtaken(who: str, data: bytes) -> bytes:
        nonlocal raced
        if who == "eerste" and wire.decode_request(data).atomic and not raced:
            raced = True
            moving_in.move_in(second.device, link)
        return carry(who, data)

    world.network.carry = overtaken  # type: ignore[method-assign]
    with pytest.raises(Ended) as caught:
        moving_in.move_in(first.device, link)
    assert raced
    assert caught.value.code == "link_used"
    assert first.device.cases() == []
    second.sync()
    assert second.here()
    fatima.sync(2)
    assert kinds(fatima) == ["device", "device"]


def test_who_opens_the_own_address_again_stays_where_they_are(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    with pytest.raises(Misuse) as caught:
        moving_in.look_inside(fatima.device, link)
    assert caught.value.code == "already_member"
    # The icon on the home screen keeps the dead address for ever: it leads home.
    home = moved(world, link)
    with pytest.raises(Misuse) as caught:
        moving_in.look_inside(home.device, link)
    assert caught.value.code == "already_member"


def test_an_address_that_was_taken_back_is_dead_and_nobody_sleeps_in_it(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    moving_out.take_back(fatima.device)
    assert kinds(fatima) == ["device"]
    assert moving_out.moving(fatima.device)["state"] == "none"
    assert refused(world, link) == "link_used"
    assert world.relay.records(parse_link(link).doorstep) == []


def test_an_address_ends_by_the_clock_of_the_relay_and_of_the_own_device(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    world.now += moving_out.LIFE_SECONDS - 3600
    fatima.sync()
    assert kinds(fatima) == ["device", "link"]
    world.now += 3601
    assert refused(world, link) == "link_expired"
    # Nobody used it: the relay's own round, and the maker's device that ends it, make it no used one.
    world.relay.store.sweep(world.now)
    assert refused(world, link, "na de ronde") == "link_expired"
    fatima.sync()
    assert refused(world, link, "na het toestel") == "link_expired"
    assert kinds(fatima) == ["device"]
    assert moving_out.moving(fatima.device)["state"] == "none"


def test_an_address_that_its_maker_ends_when_its_days_are_over_was_used_by_nobody(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    world.now += moving_out.LIFE_SECONDS
    fatima.sync()
    world.relay.store.sweep(world.now)
    assert refused(world, link) == "link_expired"


def test_an_address_that_was_used_says_so_also_when_its_days_are_over(world: World) -> None:
    fatima = world.join("fatima")
    used, link = address(fatima), ""
    moved(world, used)
    fatima.sync()
    moving_out.take_back(fatima.device)
    link = address(fatima)
    moving_out.take_back(fatima.device)
    world.now += moving_out.LIFE_SECONDS
    world.relay.store.sweep(world.now)
    # Somebody may have come in: who opens it a week later must hear that too.
    assert refused(world, used, "een") == "link_used"
    assert refused(world, link, "twee") == "link_used"


def test_any_own_device_puts_out_what_another_left_in_an_address(world: World) -> None:
    fatima = world.join("fatima")
    home = moved(world, address(fatima))
    fatima.sync()
    moving_out.take_back(fatima.device)
    address(fatima)
    world.network.offline.add("fatima")
    home.sync()
    assert kinds(home) == ["device", "device", "link"]
    world.now += moving_out.LIFE_SECONDS + 1
    home.sync()
    assert kinds(home) == ["device", "device"]


def test_offline_nothing_is_begun_and_it_is_done_later(world: World) -> None:
    fatima = world.join("fatima")
    world.network.offline.add("fatima")
    with pytest.raises(Unreachable):
        address(fatima)
    assert moving_out.moving(fatima.device)["state"] == "none"
    world.network.honest()
    link = address(fatima)
    world.network.offline |= {"beginscherm"}
    assert refused(world, link, "beginscherm") == "offline"
    world.network.honest()
    moving_in.move_in(world.phones["beginscherm"].device, link)


# --- who has the address, and should not


def test_who_was_put_out_does_not_come_in_by_an_address_of_before(world: World) -> None:
    fatima, nora = world.join("fatima"), world.phones["nora"]
    link = address(fatima)
    sheet = hall_of(world, link).sheets[0]
    nora.sync()
    nora.case.remove("fatima")
    nora.add("Roerdomp")
    nora.sync()
    assert refused(world, link) in ("removed", "link_expired", "not_allowed")
    assert world.phones["ander"].device.cases() == []
    # Nor by a program of their own, with the seed itself.
    thief = world.phone("dief")
    session, _ = wake(thief.device, sheet)
    assert session.charter is None or session.row.state == "removed"
    assert b"Roerdomp" not in thief.store.image()


def test_with_a_phone_that_is_put_out_the_address_goes_too(world: World) -> None:
    fatima = world.join("fatima")
    tablet = moved(world, address(fatima), "tablet")
    fatima.sync()
    moving_out.take_back(fatima.device)
    link = address(fatima)  # whoever took the phone made it
    tablet.sync()
    lost = next(row["device"] for row in devices(tablet.case) if row["kind"] == "device" and not row["this"])
    remove_device(tablet.case, lost)
    assert kinds(tablet) == ["device"]
    assert refused(world, link) in ("link_expired", "not_allowed")


def test_what_lies_in_browser_history_opens_nothing_once_it_was_used(world: World) -> None:
    fatima, nora = world.join("fatima"), world.phones["nora"]
    link = address(fatima)
    home = moved(world, link)
    nora.sync(2)
    home.add("Roerdomp")
    home.sync()
    assert world.relay.records(parse_link(link).doorstep) == []
    assert refused(world, link) == "link_used"


def test_who_copied_the_seeds_before_reads_nothing_that_came_after(world: World) -> None:
    fatima, nora = world.join("fatima"), world.phones["nora"]
    link = address(fatima)
    sheet = hall_of(world, link).sheets[0]
    moved(world, link)
    nora.sync(2)  # an owner's device turns what the person does not turn
    nora.add("Roerdomp")
    nora.sync()
    thief = world.phone("dief")
    session, _ = wake(thief.device, sheet)
    assert session.charter is None or session.row.state == "removed"
    assert b"Roerdomp" not in thief.store.image()


def entry_by(session: CaseSession, what: str) -> bytes:
    """An entry by the sleeping device, signed as it should be, of a program that asks no rule first."""
    charter, author = session.known(), author_of(session)
    keys = DeviceKeys.from_seed(b"\x07" * 32)
    public = Keys(keys.sign.public, keys.box.public)
    signed = compose.sign_new_device(session.case, session.me(), public, keys.sign)
    base = {
        "v": 1, "case": session.case, "n": charter.n + 1, "prev": charter.head, "chain": author.chain,
        "by": session.device(), "at": author.at,
    }  # fmt: skip
    others = sorted(d for d in charter.devices_of(session.me()) if d != session.device())
    nora = next(p.person for p in charter.present() if p.role == "owner")
    body: Any = {
        "leave": Leave(**base),
        "remove_person": RemovePerson(**base, person=nora),
        "remove_device": RemoveDevice(**base, devices=tuple(others)),
        "add_paper": AddDevice(**base, device=public, sleeping="paper", device_sig=signed),
        "add_link": AddDevice(**base, device=public, sleeping="link", device_sig=signed),
        "add_device": AddDevice(**base, device=public, sleeping="", device_sig=signed),
        "go": RemoveDevice(**base, devices=(session.device(),)),
    }[what]
    return sign_entry(body, session.keys.sign)


def folded(session: CaseSession, payload: bytes) -> Charter:
    chain = session.position(session.charter_stream).chain
    return fold(session.known(), payload, session.case, chain, session.around.schema)


@pytest.mark.parametrize("what", ["leave", "remove_person", "remove_device", "add_paper", "add_link"])
def test_with_an_address_nobody_decides_anything(world: World, what: str) -> None:
    session = asleep(world, address(world.join("fatima")))
    with pytest.raises(Inadmissible) as caught:
        folded(session, entry_by(session, what))
    assert caught.value.code == "not_permitted"


def test_an_owners_address_stops_nobody(world: World) -> None:
    session = asleep(world, address(world.phones["nora"]))
    payload = entry_by(session, "leave").replace(b"\xa5leave", b"\xa5dance")
    body = msgspec.msgpack.decode(payload)["body"]
    sig = sign(session.keys.sign, "charter", session.case, body)
    with pytest.raises(Inadmissible) as caught:
        folded(session, msgspec.msgpack.encode({"body": body, "sig": sig}))
    assert caught.value.code == "not_permitted"


def test_an_address_lets_one_in_and_is_used_whatever_the_program(world: World) -> None:
    session = asleep(world, address(world.join("fatima")))
    after = folded(session, entry_by(session, "add_device"))
    assert not after.devices[session.device()].here
    assert after.due_rooms() != []
    assert not folded(session, entry_by(session, "go")).devices[session.device()].here


def test_an_owners_address_has_no_vote(world: World) -> None:
    session = asleep(world, address(world.phones["nora"]))
    charter = session.known()
    act = msgspec.msgpack.encode(
        {"case": session.case, "what": "close", "person": bytes(8), "role": "", "n": charter.n, "head": charter.head}
    )
    approval = Approval(by=session.device(), sig=sign(session.keys.sign, "approval", session.case, act))
    with pytest.raises(Inadmissible) as caught:
        yeses(charter, act, [approval])
    assert caught.value.code == "not_permitted"


def test_a_relay_that_does_not_answer_keeps_no_other_case_out(world: World) -> None:
    fatima = world.join("fatima")
    elsewhere = fatima.device.start("Elders", "http://elders.example", "Fatima")
    link, ours = address(fatima), world.network
    phone = world.phone("beginscherm")

    def line(relay: str) -> Transport:
        return NoTransport() if relay == "http://elders.example" else Wire(ours, "beginscherm")

    phone.device._transport_for = line
    sheets = moving_in._read
    with pytest.MonkeyPatch.context() as patch:
        # Whichever is tried first.
        one_first = lambda *given: _turned_round(sheets(*given), elsewhere.id)  # noqa: E731
        patch.setattr(moving_in, "_read", one_first)
        with pytest.raises(Unreachable):
            moving_in.move_in(phone.device, link)
    assert [row["case"] for row in phone.device.cases()] == [fatima.case.id.hex()]
    phone.device._transport_for = lambda _: Wire(ours, "beginscherm")
    phone.device._transports.clear()
    assert len(moving_in.move_in(phone.device, link)["cases"]) == 2, "the address went on working"


def _turned_round(hall: Hall, first: bytes) -> Hall:
    return msgspec.structs.replace(hall, sheets=sorted(hall.sheets, key=lambda sheet: sheet.case != first))


def test_with_an_address_nobody_writes_a_word(world: World) -> None:
    fatima, nora = world.join("fatima"), world.phones["nora"]
    link = address(fatima)
    sheet = hall_of(world, link).sheets[0]
    thief = world.phone("dief")
    session, _ = wake(thief.device, sheet)
    thief.case_id = session.case.hex()
    thief.store.put_fact(session.case, RECOVERING, None)  # a program of the thief's own acts as what sleeps there
    thief.device.forget(CaseId(sheet.case))
    thief.add("niet van Fatima")
    thief.sync(2)
    nora.sync(2)
    fatima.sync()
    assert "niet van Fatima" not in nora.texts()
    assert "niet van Fatima" not in fatima.texts()


def test_another_hall_behind_the_same_address_is_refused(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    parsed = parse_link(link)
    other = Hall("Fatima", 2**40, [Sheet(bytes(16), "http://x", bytes(32), bytes(16), bytes(32), 1, bytes(32))])
    record = hall_secrets(parsed).seal(msgspec.msgpack.encode(other), bytes(24))
    world.relay.rewrite(parsed.doorstep, [record])
    assert refused(world, link) == "wrong_pin"


def test_the_address_lies_nowhere_at_the_relay_and_in_no_message(world: World) -> None:
    fatima = world.join("fatima")
    link = address(fatima)
    parsed = parse_link(link)
    sheet = hall_of(world, link).sheets[0]
    for stream in world.relay.store._records:
        for record in world.relay.records(stream):
            assert parsed.seed not in record
            assert sheet.seed not in record
    assert "Link(" in repr(parsed)
    assert parsed.seed.hex() not in repr(parsed)
    assert link not in repr(moving_out._out(fatima.device))


def test_paper_and_address_do_not_stand_in_each_others_way(world: World) -> None:
    nora = world.phones["nora"]
    code = str(recovery.make_code(nora.device)["code"])
    link = address(nora)
    home = moved(world, link)
    assert kinds(home) == ["device", "device", "paper"]
    address(home)
    new = world.phone("nieuw")
    recovery.recover(new.device, code, ADDRESS)
    new.sync()
    assert kinds(new) == ["device", "paper"]
