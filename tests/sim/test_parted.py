"""A relay put back to before a decision, and another decision written since: nobody goes along until an owner adopts, and then
removed stays removed, closed stays closed, and every word that was written is there."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest

from eigenkring import parting
from eigenkring.charter import compose
from eigenkring.charter.entry import Adopt
from eigenkring.errors import Misuse
from eigenkring.session import adopting
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.session.packing import pack
from eigenkring.view import PartSelection, Selection
from eigenkring_server.relay import Stream
from simulator import Phone, World, family

LATER = 1_800_000_000
# Of the writes while adopting: before, in the middle, and after the entry `adopt` and before the removal.
SOME_WRITES = (40, 93, 115)


def put_back(world: World, kept: object) -> None:
    world.relay.store = copy.deepcopy(kept)  # type: ignore[assignment]
    world.relay.generation = LATER


def people(phone: Phone) -> list[str]:
    return sorted(person.name for person in phone.session.known().present())


def is_out(phone: Phone) -> bool:
    """Told so, and nothing written since can be read. (For seven days after a relay said that it was put back, a device
    that is refused does not hold itself for removed.)"""
    phone.world.phones["nora"].add("na alles")
    phone.world.phones["nora"].sync()
    phone.sync(2)
    told = not phone.here() or {"not_allowed", "parted"} & set(phone.codes())
    return bool(told) and "na alles" not in str(phone.documents())


def parted(*, known_to: str = "nora") -> World:
    """Nora removes Karim; the relay forgets it; Sam's phone, which never heard, writes another entry."""
    world = family(3)
    kept = copy.deepcopy(world.relay.store)
    world.network.offline = {"fatima", "karim", "sam"} - {known_to}
    nora = world.phones["nora"]
    nora.case.remove("Karim")
    nora.add("nadat Karim weg was")
    nora.sync()
    world.phones[known_to].sync()
    world.network.honest()
    put_back(world, kept)
    return world


def test_removed_stays_removed_when_another_branch_grew() -> None:
    world = parted()
    nora, sam, karim = (world.phones[name] for name in ("nora", "sam", "karim"))
    world.phones["fatima"].case.leave()  # another entry, by one who has not heard
    karim.sync()
    karim.add("van Karim, na zijn afscheid")
    karim.sync()
    sam.sync()
    assert "van Karim, na zijn afscheid" in sam.texts()
    nora.sync(2)
    assert "parted" in nora.codes()
    assert people(nora) == ["Fatima", "Nora", "Sam"]
    assert nora.session.known().n != sam.session.known().n or nora.session.known().head != sam.session.known().head
    told = nora.case.parted()
    assert [line["what"] for line in told["takes"]] == ["leave"]
    assert "remove_person" in [line["what"] for line in told["drops"]]
    assert [(line["what"], line["name"]) for line in told["again"]] == [("remove_person", "Karim")]
    done = nora.case.adopt()
    assert done["owed"] == []
    world.settle()
    assert people(nora) == people(sam) == ["Nora", "Sam"]
    assert "parted" not in nora.codes()
    assert any(isinstance(entry.body, Adopt) for entry in sam.session.entries)
    assert nora.texts() == sam.texts()
    assert "nadat Karim weg was" in sam.texts()
    assert "van Karim, na zijn afscheid" not in nora.texts()
    assert not karim.here()
    assert nora.session.known().heads.index(sam.session.known().head) is not None
    assert "nadat Karim weg was" not in str(karim.documents())
    assert world.fresh("sam").documents() == sam.documents()


def test_access_that_was_stopped_is_stopped_again() -> None:
    world = family(3)
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    world.settle()
    kept = copy.deepcopy(world.relay.store)
    grant = nora.session.known().grants[given.grant]
    world.network.offline = {"fatima", "karim", "sam"}
    nora.case.withdraw(given.grant.hex())
    nora.add("dit leest De Wit niet")
    nora.sync()
    world.network.honest()
    put_back(world, kept)
    world.phones["sam"].case.leave()
    nora.sync(2)
    views = len(world.relay.records(grant.down))
    assert [line["what"] for line in nora.case.parted()["again"]] == ["withdraw"]
    nora.case.adopt()
    assert not isinstance(world.relay.store._streams[grant.down], Stream)
    world.settle()
    assert not nora.session.known().grants[given.grant].open
    for stream in (grant.down, grant.up, grant.doorstep):
        assert not isinstance(world.relay.store._streams[stream], Stream)
    assert views <= 1, "nothing was shown to De Wit between"
    assert world.phones["fatima"].texts() == nora.texts()


def test_who_saw_the_removal_goes_along_only_when_it_was_entered_again() -> None:
    world = parted(known_to="fatima")
    fatima = world.phones["fatima"]
    world.phones["sam"].case.leave()
    fatima.add("dit is niet voor Karim")
    fatima.sync(2)
    assert people(fatima) == ["Fatima", "Nora", "Sam"]
    assert "parted" in fatima.codes()
    with pytest.raises(Misuse) as caught:
        fatima.case.adopt()
    assert caught.value.code == "not_permitted"


@functools.cache
def before_adopting() -> dict[str, Any]:
    world = parted(known_to="fatima")
    world.phones["sam"].case.leave()
    world.phones["fatima"].add("dit is niet voor Karim")
    world.phones["fatima"].sync(2)
    world.phones["nora"].sync(2)
    return world.image()


def a_battery_dies(write: int) -> bool:
    """Nora's phone stops at a write of `adopt`; Fatima's looks; both go on. Gives whether Karim was in between."""
    world = World.of(before_adopting(), write)
    world.relay.generation = LATER
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    nora.crash_at(write, nora.case.adopt)
    shown = any(isinstance(entry.body, Adopt) for entry in nora.session.entries) and "Karim" in people(nora)
    fatima.sync(2)
    assert "Karim" not in people(fatima)
    karim.sync()
    nora.sync(2)
    if nora.codes().count("parted"):
        nora.case.adopt()
    fatima.sync(2)
    nora.sync()
    assert people(nora) == people(fatima) == ["Fatima", "Nora"]
    assert nora.texts() == fatima.texts()
    assert {"dit is niet voor Karim", "nadat Karim weg was"} <= set(nora.texts())
    karim.sync(2)
    assert "dit is niet" not in str(karim.documents()) and "nadat Karim" not in str(karim.documents())
    return shown


def test_a_battery_that_dies_while_adopting_lets_nobody_in() -> None:
    shown = [a_battery_dies(write) for write in SOME_WRITES]
    assert any(shown)


@pytest.mark.long
def test_a_battery_that_dies_at_any_write_of_adopting_lets_nobody_in() -> None:
    for write in range(1, 140):
        a_battery_dies(write)


def test_both_branches_turned_the_same_lock() -> None:
    world = owners("fatima")
    nora, fatima, sam = (world.phones[name] for name in ("nora", "fatima", "sam"))
    kept = copy.deepcopy(world.relay.store)
    world.network.offline = {"fatima", "sam"}
    nora.case.remove("Karim")
    nora.add("Nora, zonder Karim")
    nora.sync()
    world.network.honest()
    put_back(world, kept)
    fatima.sync()
    fatima.case.remove("Lea")
    fatima.add("Fatima, zonder Lea")
    sam.sync()
    nora.sync(3)
    assert "parted" in nora.codes() and "Lea" in people(nora)
    assert nora.case.adopt()["owed"] == []
    world.settle()
    assert people(nora) == people(fatima) == people(sam) == ["Fatima", "Nora", "Sam"]
    assert {"Nora, zonder Karim", "Fatima, zonder Lea"} <= set(sam.texts())
    assert sam.texts() == nora.texts() == fatima.texts()
    for name in ("karim", "lea"):
        assert is_out(world.phones[name])
    assert nora.session.known().rooms["owner+member"].epoch == 3, "both branches had another secret for the second"


def test_an_owner_who_was_put_out_adopts_for_nobody_who_saw_it() -> None:
    world = owners("fatima", "lea")
    nora, fatima, lea = (world.phones[name] for name in ("nora", "fatima", "lea"))
    nora.case.propose("remove", "Lea")
    fatima.sync()
    world.phones["sam"].sync()
    kept = copy.deepcopy(world.relay.store)
    world.network.offline = {"lea", "karim"}
    assert fatima.case.approve()["done"]
    nora.sync(2)
    world.phones["sam"].sync()
    assert "Lea" not in people(nora)
    world.network.honest()
    put_back(world, kept)
    world.phones["karim"].sync()
    world.phones["karim"].case.leave()
    lea.sync(2)
    hers, ours = lea.session.known(), nora.session.known()
    heads = [(n, ours.heads[n]) for n in range(1, ours.n + 1) if n > hers.n or hers.heads[n] != ours.heads[n]]
    assert heads[-1] == (ours.n, ours.head)
    lea.case.act(lambda now: exchange_of(now, compose.adopt(now.known(), author_of(now), heads, {})))
    for phone in (nora, fatima, world.phones["sam"]):
        known = phone.session.known().head
        phone.sync(2)
        assert phone.session.known().head == known
        assert "Lea" not in people(phone)
        assert "parted" in phone.codes()
    # An owner who stands in both: the yeses that were given hold still.
    assert nora.case.adopt()["owed"] == []
    world.settle()
    assert people(nora) == people(fatima) == people(world.phones["sam"]) == ["Fatima", "Nora", "Sam"]
    assert not lea.here()


def test_nothing_is_shown_while_one_who_was_put_out_is_in_again() -> None:
    """The yeses to put Lea out were given in another company of owners: she stays in until the owners agree anew, and with
    the keys of an owner she reads what any phone publishes."""
    world = owners("fatima", "lea", "karim")
    nora, fatima, lea, karim = (world.phones[name] for name in ("nora", "fatima", "lea", "karim"))
    given = nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    world.settle()
    nora.case.propose("remove", "Lea")
    karim.sync()
    fatima.sync()
    kept = copy.deepcopy(world.relay.store)
    world.network.offline = {"lea"}
    assert not karim.case.approve()["done"]
    world.network.offline = {"lea", "karim"}
    fatima.sync()
    assert fatima.case.approve()["done"]
    nora.sync(2)
    assert "Lea" not in people(nora)
    world.network.honest()
    put_back(world, kept)
    karim.sync()
    karim.case.leave()
    nora.sync(2)
    assert [(line["what"], line["name"]) for line in nora.case.adopt()["owed"]] == [("remove_person", "Lea")]
    assert "Lea" in people(nora) and adopting.holds_back(nora.session)
    down = nora.session.known().grants[given.grant].down
    shown = world.relay.records(down)
    nora.add("dit leest Lea niet")
    nora.sync(3)
    assert world.relay.records(down) == shown, "a view was published under keys that Lea has"
    lea.sync(2)
    assert "dit leest Lea niet" not in str(lea.documents())
    # Once the owners have agreed anew she is out, and all of it goes on.
    nora.case.propose("remove", "Lea")
    fatima.sync(2)
    assert fatima.case.approve()["done"]
    world.settle()
    assert "Lea" not in people(nora)
    assert "dit leest Lea niet" in fatima.texts()
    assert world.relay.records(down) != shown
    assert is_out(lea)


def test_a_newcomer_whose_entry_was_dropped_is_told_and_the_link_is_dead() -> None:
    world = family(3)
    nora = world.phones["nora"]
    link = nora.case.invite("member", "Lea")
    world.settle()
    kept = copy.deepcopy(world.relay.store)
    lea = world.phone("lea")
    lea.device.join(link, "Lea")
    nora.sync()
    lea.sync(2)
    assert lea.here()
    put_back(world, kept)
    world.phones["sam"].case.leave()
    nora.sync(2)
    assert "Lea" in people(nora)
    drops = [line["what"] for line in nora.case.parted()["drops"]]
    assert "join" in drops
    nora.case.adopt()
    world.settle()
    assert "Lea" not in people(nora)
    assert is_out(lea)
    assert [i.state for i in nora.session.known().invitations.values() if i.name == "Lea"] == ["closed"]


def test_adopting_may_be_repeated() -> None:
    world = parted()
    kept = copy.deepcopy(world.relay.store)
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    world.phones["sam"].case.leave()
    nora.sync(2)
    nora.case.adopt()
    put_back(world, kept)
    world.relay.generation = LATER + 1
    fatima.case.leave()
    nora.sync(3)
    assert "parted" in nora.codes()
    assert nora.case.adopt()["owed"] == [{"what": "remove_person", "name": "Sam", "room": ""}] or "Sam" not in people(
        nora
    )
    world.settle()
    assert "Karim" not in people(nora)
    assert is_out(world.phones["karim"])
    assert "nadat Karim weg was" in nora.texts()


def test_nothing_is_signed_while_words_are_held_back() -> None:
    world = parted()
    world.phones["sam"].case.leave()
    nora = world.phones["nora"]
    nora.sync(2)
    parting.adopt(nora.session, lambda: None)
    nora.add("een")
    nora.add("twee")
    waiting = waiting_words(nora)
    assert len(waiting) == 2 and adopting.holds_back(nora.session)
    pack(nora.session)
    assert waiting_words(nora) == waiting
    nora.sync(2)
    assert {"een", "twee"} <= set(nora.texts())
    assert waiting_words(nora) == []


def waiting_words(phone: Phone) -> list[bytes | None]:
    plan = phone.stream("plan")
    return [item.record for item in phone.session.store.outbox(phone.session.case) if item.stream == plan]


def test_without_another_branch_there_is_nothing_to_adopt() -> None:
    nora = family(3).phones["nora"]
    for ask in (nora.case.parted, nora.case.adopt):
        with pytest.raises(Misuse) as caught:
            ask()
        assert caught.value.code == "not_yet"


def owners(*more: str) -> World:
    """Nora and these are owners; Karim and Lea belong, Sam is a child."""
    world = family(3)
    world.join("lea")
    nora = world.phones["nora"]
    for name in more:
        nora.case.propose("role", name.title(), "owner")
        for other in more:
            world.phones[other].sync()
            if "owner" in [p.role for p in nora.session.known().present() if p.name == other.title()]:
                with_suppressed(world.phones[other])
        nora.sync()
    world.settle()
    roles = {p.name: p.role for p in nora.session.known().present()}
    assert all(roles[name.title()] == "owner" for name in more), roles
    return world


def with_suppressed(phone: Phone) -> None:
    try:
        phone.case.approve()
    except Misuse:
        return
