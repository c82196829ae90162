"""The list of cases, in step between a person's own devices, by itself."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from eigenkring import doorstep, wire
from eigenkring.charter.compose import sign_new_device
from eigenkring.charter.entry import Keys, device_id
from eigenkring.erasing import erase
from eigenkring.ids import CaseId
from eigenkring.own_devices import add_device, devices, remove_device
from eigenkring.shelf import (
    Asked,
    Page,
    Row,
    Shelf,
    for_another,
    kept_by,
    make_page,
    make_record,
    member_of,
    note_gone,
    open_page,
    open_record,
)
from eigenkring.store import NO_CASE
from eigenkring_crypto.device import DeviceKeys
from simulator import ADDRESS, Phone, World


@pytest.fixture
def world() -> World:
    world = World(23)
    world.start()
    return world


def second(world: World, name: str = "tablet", of: str = "nora") -> Phone:
    link, phone = add_device(world.phones[of].case), world.phone(name)
    phone.device.join(link, name)
    world.phones[of].sync()
    phone.sync()
    return phone


def together(*phones: Phone, times: int = 2) -> None:
    for _ in range(times):
        for phone in phones:
            phone.sync()


def open_cases(phone: Phone) -> list[str]:
    return sorted(row["title"] for row in phone.device.cases() if row["state"] == "open")


def started(phone: Phone, *titles: str) -> list[str]:
    return [phone.device.start(title, ADDRESS, "Nora").id.hex() for title in titles]


def test_adding_a_device_once_brings_all_cases(world: World) -> None:
    nora = world.phones["nora"]
    started(nora, "Twee", "Drie")
    tablet = second(world)
    together(nora, tablet)
    assert open_cases(tablet) == open_cases(nora) == ["Drie", "Thuis", "Twee"]
    assert nora.codes() == tablet.codes() == []


def test_what_is_started_or_joined_on_one_appears_on_the_other_by_itself(world: World) -> None:
    nora = world.phones["nora"]
    tablet = second(world)
    started(nora, "Van de telefoon")
    started(tablet, "Van de tablet")
    together(nora, tablet, times=3)
    assert open_cases(nora) == open_cases(tablet) == ["Thuis", "Van de tablet", "Van de telefoon"]
    karim = world.phone("karim")
    theirs = karim.device.start("Bij Karim", ADDRESS, "Karim")
    tablet.device.join(theirs.invite("member", "Nora"), "Nora")
    karim.sync()
    together(tablet, nora, times=3)
    assert "Bij Karim" in open_cases(nora)
    there = nora.device.case(theirs.id)
    assert there.session.me() == tablet.device.case(theirs.id).session.me()
    assert len(devices(there)) == 2
    there.add("plan", "agreements", {"what": "van de telefoon"})
    nora.sync()
    karim.sync()
    assert [item["what"] for item in theirs.show("plan")["agreements"].values()] == ["van de telefoon"]


def test_words_of_the_past_are_there_too(world: World) -> None:
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    nora.device.case(two).add("diary", "entries", {"text": "van mij alleen"})
    tablet = second(world)
    together(nora, tablet)
    shown = tablet.device.case(two).show("diary")["entries"].values()
    assert [item["text"] for item in shown] == ["van mij alleen"]


def test_what_is_erased_on_one_is_gone_from_the_other_and_does_not_come_back(world: World) -> None:
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    tablet = second(world)
    together(nora, tablet)
    assert open_cases(tablet) == ["Thuis", "Twee"]
    tablet.device.case(two).add("plan", "agreements", {"what": "Roerdomp"})
    tablet.sync()
    erase(nora.device.case(two))
    together(nora, tablet, times=3)
    assert [row["title"] for row in tablet.device.cases()] == ["Thuis"]
    assert [row["title"] for row in nora.device.cases()] == ["Thuis"]
    assert b"Roerdomp" not in tablet.store.image()


def test_what_is_left_on_one_is_left_on_the_other(world: World) -> None:
    nora = world.phones["nora"]
    karim = world.phone("karim")
    theirs = karim.device.start("Bij Karim", ADDRESS, "Karim")
    nora.device.join(theirs.invite("member", "Nora"), "Nora")
    karim.sync()
    tablet = second(world)
    together(nora, tablet)
    assert "Bij Karim" in open_cases(tablet)
    nora.device.case(theirs.id).leave()
    together(nora, tablet)
    assert open_cases(nora) == open_cases(tablet) == ["Thuis"]


def test_a_word_alone_erases_nothing(world: World) -> None:
    """A thief with one phone says that a case is gone: as long as it goes on, the other phone keeps it."""
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    tablet = second(world)
    together(nora, tablet)
    row = nora.store.case(nora.device.case(two).id)
    assert row is not None
    note_gone(nora.store, row.case)
    nora.store.erase_case(row.case)
    nora.device.forget(row.case)
    together(nora, tablet, times=3)
    assert open_cases(tablet) == ["Thuis", "Twee"]
    assert open_cases(nora) == ["Thuis"]


def test_a_lost_device_that_is_put_out_of_one_case_is_put_out_of_all_and_hears_of_no_new_one(world: World) -> None:
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    lost = second(world)
    together(nora, lost)
    before = kept_by(lost.store)
    remove_device(nora.case, lost.device_key().hex())
    nora.sync(2)
    assert [row["this"] for row in devices(nora.device.case(two))] == [True]
    started(nora, "Na het verlies")
    for _ in range(3):
        nora.sync()
        lost.sync()
    assert open_cases(lost) == []
    assert before is not None
    reply = lost.device.transport(b"thief", ADDRESS).exchange(
        [wire.Read(stream=before.shelf.stream, cap=before.shelf.secrets.read_cap() or b"", after=0)]
    )
    assert reply.results[0] == wire.Failed("closed")
    third = second(world, "nieuwe tablet")
    together(nora, third)
    assert open_cases(third) == ["Na het verlies", "Thuis", "Twee"]
    assert kept_by(third.store) != before


def test_of_three_devices_two_go_on_together(world: World) -> None:
    nora = world.phones["nora"]
    started(nora, "Twee")
    tablet, lost = second(world), second(world, "kwijt")
    together(nora, tablet, lost, times=3)
    assert len(devices(nora.case)) == 3
    remove_device(nora.case, lost.device_key().hex())
    together(nora, tablet, times=3)
    started(tablet, "Na het verlies")
    together(tablet, nora, lost, times=3)
    assert open_cases(nora) == open_cases(tablet) == ["Na het verlies", "Thuis", "Twee"]
    assert open_cases(lost) == []
    kept = [kept_by(phone.store) for phone in (nora, tablet, lost)]
    assert all(kept)
    assert len({one.shelf.stream for one in kept if one is not None}) == 2


def test_two_who_had_a_list_each_come_to_one(world: World) -> None:
    nora = world.phones["nora"]
    tablet = second(world)
    other = world.phone("werk")
    started(other, "Van het werk")
    laptop = world.phone("laptop")
    laptop.device.join(add_device(other.device.case(other.device.cases()[0]["case"])), "x")
    together(other, laptop, times=2)
    link = add_device(nora.case)
    other.device.join(link, "x")
    together(nora, other, laptop, tablet, times=6)
    for phone in (nora, tablet, other, laptop):
        assert open_cases(phone) == ["Thuis", "Van het werk"], phone.name


def test_a_tablet_that_was_put_out_and_found_again_is_added_anew(world: World) -> None:
    nora = world.phones["nora"]
    started(nora, "Twee")
    lost = second(world)
    together(nora, lost)
    remove_device(nora.case, lost.device_key().hex())
    nora.sync(2)
    lost.sync(2)
    lost.device.join(add_device(nora.case), "x")
    together(nora, lost, times=4)
    assert "Thuis" in open_cases(lost)
    started(nora, "Daarna")
    together(nora, lost, times=3)
    assert "Daarna" in open_cases(lost)


def test_who_lost_the_answer_says_it_again(world: World) -> None:
    """Every crash on the way, at any write, ends with the same list on both."""
    nora = world.phones["nora"]
    started(nora, "Twee")
    tablet = second(world)
    for write in range(1, 60, 6):
        nora.crash_at(write, nora.device.sync)
        tablet.crash_at(write, tablet.device.sync)
    together(nora, tablet, times=3)
    assert open_cases(tablet) == open_cases(nora) == ["Thuis", "Twee"]


def test_a_relay_that_was_put_back_or_forgot_the_shelf_costs_no_case(world: World) -> None:
    nora = world.phones["nora"]
    tablet = second(world)
    together(nora, tablet)
    kept = kept_by(nora.store)
    assert kept is not None
    del world.relay.store._streams[kept.shelf.stream], world.relay.store._records[kept.shelf.stream]
    started(nora, "Daarna")
    together(nora, tablet, times=4)
    assert open_cases(tablet) == ["Daarna", "Thuis"]


def test_who_lets_in_a_relative_gives_no_list(world: World) -> None:
    nora = world.phones["nora"]
    second(world)
    started(nora, "Twee")
    fatima = world.join("fatima")
    together(nora, fatima)
    assert kept_by(fatima.store) is None
    assert open_cases(fatima) == ["Thuis"]


def test_a_shelf_tells_the_relay_no_case_and_shares_no_exchange_with_one(world: World) -> None:
    nora = world.phones["nora"]
    shelf = for_another(nora.store, ADDRESS, world.random)
    tablet = second(world)
    started(nora, "Twee", "Drie")
    seen: list[set[bytes]] = []
    truth = world.network.truth

    def watched(who: str, data: bytes) -> bytes:
        seen.append({op.stream for op in wire.decode_request(data).ops})
        return truth(who, data)

    world.network.truth = watched  # type: ignore[method-assign]
    together(nora, tablet, times=3)
    assert open_cases(tablet) == ["Drie", "Thuis", "Twee"]
    streams = {case.id: {case.id, *case.charter.live_streams()} for case in map(nora.device.case, _ids(nora))}
    everything = set().union(*streams.values())
    assert any(shelf.stream in asked for asked in seen)
    for asked in seen:
        touched = [own for own in (*streams.values(), {shelf.stream}) if own & asked]
        assert len(touched) <= 1, "two in one exchange"
        assert shelf.stream not in asked or not (asked & everything)
    assert not any(case in bytes(shelf.stream) + shelf.relay.encode() for case in streams)


def _ids(phone: Phone) -> list[str]:
    return [row["case"] for row in phone.device.cases()]


def test_a_shelf_shows_its_secret_to_no_log(world: World) -> None:
    shelf = Shelf(ADDRESS, bytes(range(32)))
    assert shelf.secret.hex() not in repr(shelf) + repr(shelf.secrets)


# --- a thief with one of the phones, and the relay's help


def test_what_a_thief_let_in_goes_with_the_thief(world: World) -> None:
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    tablet = second(world)
    together(nora, tablet)
    helper = second(world, "van de dief", of="tablet")
    together(tablet, nora, helper, times=3)
    assert open_cases(helper) == ["Thuis", "Twee"]
    accomplice = {row["device"] for row in devices(helper.device.case(two)) if row["this"]}
    page = _pages(nora)["tablet"]
    asked = [row.device for row in page.cases]
    assert tablet.device_key() in asked
    # What the thief asks for under the own name, once more, for yet another phone.
    keys = DeviceKeys.from_seed(world.random(32))
    public = Keys(keys.sign.public, keys.box.public)
    case = CaseId(bytes.fromhex(two))
    signed = sign_new_device(case, tablet.device.case(two).session.me(), public, keys.sign)
    _say(world, tablet, asks=[Asked(case, public.sign, public.box, signed)])
    nora.sync()
    assert device_id(case, public) in nora.device.case(two).charter.devices
    remove_device(nora.case, tablet.device_key().hex())
    nora.sync(2)
    here = {row["device"] for row in devices(nora.device.case(two))}
    assert tablet.device.case(two).session.device().hex() not in here
    assert device_id(case, public).hex() not in here
    assert accomplice <= here, "another phone has a page of its own, and is another decision"


def test_a_thief_who_claims_my_device_does_not_take_me_along(world: World) -> None:
    nora = world.phones["nora"]
    (two,) = started(nora, "Twee")
    tablet = second(world)
    together(nora, tablet)
    mine = nora.device.case(two).session
    claimed = Row(mine.case, ADDRESS, mine.me(), mine.device())
    _say(world, tablet, cases=[*_pages(nora)["tablet"].cases, claimed])
    nora.sync()
    remove_device(nora.case, tablet.device_key().hex())
    nora.sync(2)
    assert [row["this"] for row in devices(nora.device.case(two))] == [True]
    assert open_cases(nora) == ["Thuis", "Twee"]


def test_an_old_page_or_a_log_put_back_changes_nothing(world: World) -> None:
    nora = world.phones["nora"]
    tablet = second(world)
    together(nora, tablet)
    kept = kept_by(nora.store)
    assert kept is not None
    stream = kept.shelf.stream
    before = copy.deepcopy((world.relay.store._streams[stream], world.relay.store._records[stream]))
    (two,) = started(nora, "Twee")
    together(nora, tablet)
    assert open_cases(tablet) == ["Thuis", "Twee"]
    newest = _pages(nora)["tablet"].n
    world.relay.store._streams[stream], world.relay.store._records[stream] = before
    nora.sync()
    assert _pages(nora)["tablet"].n == newest
    together(nora, tablet, times=3)
    assert open_cases(tablet) == open_cases(nora) == ["Thuis", "Twee"]
    assert len(devices(nora.device.case(two))) == 2
    (three,) = started(nora, "Drie")
    together(nora, tablet, times=3)
    assert "Drie" in open_cases(tablet)
    assert len(devices(nora.device.case(three))) == 2


def test_a_list_that_a_relative_offers_is_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lure = Shelf(ADDRESS, bytes(range(32)))
    honest = doorstep.encode_welcome
    monkeypatch.setattr(
        doorstep, "encode_welcome", lambda welcome: honest(msgspec.structs.replace(welcome, shelf=lure))
    )
    fatima = world.join("fatima")
    assert fatima.here()
    assert fatima.store.fact(NO_CASE, "shelf offered") is None
    assert kept_by(fatima.store) is None


def test_two_see_two_shelves_and_are_told(world: World) -> None:
    """The relay shows the tablet a log of its own: its next page names another past."""
    nora = world.phones["nora"]
    tablet = second(world)
    together(nora, tablet)
    kept = kept_by(nora.store)
    assert kept is not None
    _say(
        world, tablet, length=nora.store.position(CaseId(kept.shelf.stream), kept.shelf.stream).length, chain=bytes(32)
    )  # type: ignore[union-attr]
    report = nora.device.sync()
    assert {"code": "forked", "about": "shelf"} in report.alarms
    started(nora, "Twee")
    together(nora, tablet, times=3)
    assert open_cases(tablet) == ["Thuis", "Twee"]


def _pages(phone: Phone) -> dict[str, Page]:
    """The pages a device knows of the others, by phone."""
    kept = kept_by(phone.store)
    assert kept is not None
    packed = phone.store.fact(CaseId(kept.shelf.stream), "pages")
    found = [open_page(kept.shelf.stream, one) for one in msgspec.msgpack.decode(packed or b"\x90", type=list[bytes])]
    keys = {_member(other): other.name for other in phone.world.phones.values() if kept_by(other.store) is not None}
    return {keys[page.by]: page for page in found if page is not None}


def _member(phone: Phone) -> bytes:
    kept = kept_by(phone.store)
    assert kept is not None
    keys = DeviceKeys.from_seed(kept.seed)
    return member_of(keys.sign.public, keys.box.public)


def _say(world: World, phone: Phone, **change: Any) -> None:
    """What this phone's app would not say, signed with its keys and laid on the shelf."""
    kept = kept_by(phone.store)
    assert kept is not None
    keys, shelf = DeviceKeys.from_seed(kept.seed), kept.shelf
    page = open_page(shelf.stream, kept.page) or _pages(world.phones["nora"])[phone.name]
    changed = msgspec.structs.replace(page, n=kept.n + 1, **change)
    transport = phone.device.transport(shelf.stream, ADDRESS)
    batch = transport.exchange([wire.Read(stream=shelf.stream, cap=shelf.secrets.read_cap() or b"", after=0)]).results[
        0
    ]
    assert isinstance(batch, wire.Batch)
    others = [one for by, (_, one) in open_record(shelf, batch.records[-1]).items() if by != page.by]
    record = make_record(shelf, [make_page(shelf.stream, changed, keys), *others], world.random(24))
    cap = shelf.secrets.manage_cap() or b""
    transport.exchange([wire.Replace(stream=shelf.stream, cap=cap, expect=batch.chain, record=record)])
