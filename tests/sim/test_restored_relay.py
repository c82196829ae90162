"""A relay put back from a backup, or emptied: told once, healed from the phones, closed stays closed, removed stays removed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from eigenkring.errors import Ended
from eigenkring.session import compacting
from eigenkring.view import PartSelection, Selection
from eigenkring_server.relay import Stream
from simulator import HonestRelay, World, family

LATER = 1_800_000_000


def put_back(world: World, kept: object, generation: int = LATER) -> None:
    world.relay.store = copy.deepcopy(kept)  # type: ignore[assignment]
    world.relay.generation = generation


def edits(world: World) -> None:
    world.phones["fatima"].add("na de kopie")
    world.phones["nora"].add("en Nora ook")
    world.phones["sam"].add("van Sam", "diary", "entries", "text")


def somebody_came(world: World) -> None:
    world.join("lea")
    world.phones["lea"].add("van Lea")


def somebody_was_removed(world: World) -> None:
    world.phones["karim"].add("van Karim, voor")
    world.settle()
    world.phones["nora"].case.remove("Karim")
    world.settle()
    world.phones["nora"].add("zonder Karim")


def closed(world: World) -> set[bytes]:
    return {stream for stream, known in world.relay.store._streams.items() if not isinstance(known, Stream)}


def whole(world: World, name: str, were_closed: set[bytes] | None = None) -> None:
    """Every stream in use is there, every device has what its charter says, and one that begins anew has the same."""
    charter = world.phones["nora"].session.known()
    streams = world.relay.store._streams
    # A part whose only reader left is nobody's to read or to open.
    wanted = [s for s in charter.live_streams() if (r := charter.stream_rooms(s).read) is None or charter.audience(r)]
    assert [s for s in wanted if not isinstance(streams.get(s), Stream)] == []
    doors = {one.doorstep for one in charter.invitations.values() if one.state == "used"}
    out_of_use = charter.streams - set(charter.live_streams()) - doors if were_closed is None else were_closed
    assert [s for s in out_of_use if isinstance(streams.get(s), Stream)] == []
    shown = world.phones[name].documents()
    assert world.fresh(name).documents() == shown


@pytest.mark.parametrize("happened", [edits, somebody_came, somebody_was_removed])
@pytest.mark.parametrize("first", ["nora", "fatima"])
@pytest.mark.parametrize("wiped", [False, True])
@pytest.mark.parametrize("generation", [LATER, 1], ids=["said", "unsaid"])
def test_all_are_equal_again_and_told_once(
    happened: Callable[[World], None], first: str, wiped: bool, generation: int
) -> None:
    """Unsaid: the operator put the old file back by hand, or the disk came back empty, and the relay looks as before."""
    world = family(3)
    kept = copy.deepcopy(world.relay.store)
    happened(world)
    world.settle()
    before = {name: phone.documents() for name, phone in world.phones.items() if phone.here()}
    were_closed = None if generation == LATER else closed(world)
    put_back(world, HonestRelay(world.clock).store if wiped else kept, generation)
    world.phones[first].sync()
    world.settle()
    world.settle()
    for name, shown in before.items():
        phone = world.phones[name]
        assert phone.here(), name
        assert phone.documents() == shown
        codes = [code for code, _ in phone.alarms()]
        assert codes.count("new_generation") == (generation == LATER)
        assert set(codes) <= {"new_generation", "rolled_back"}
        # Who comes after it was healed has nothing to see.
        assert codes or (name != first and generation != LATER), f"{name} is not told"
        assert not phone.store.outbox(phone.session.case)
    assert world.phones["karim"].here() == ("karim" in before)
    for name in ("fatima", "sam"):
        whole(world, name, were_closed)


@pytest.mark.parametrize("who", ["nora", "fatima"])
@pytest.mark.parametrize("first", ["nora", "fatima"])
def test_a_word_that_was_not_sent_when_the_relay_was_emptied_blames_nobody(who: str, first: str) -> None:
    """It says how much its author had seen: so that comes back before it."""
    world = family(3)
    edits(world)
    world.settle()
    world.phones[who].add("onderweg")
    expected = sorted([*world.phones["karim"].texts(), "onderweg"])
    put_back(world, HonestRelay(world.clock).store)
    world.phones[first].sync()
    world.settle()
    world.settle()
    for phone in world.phones.values():
        assert phone.texts() == expected
        assert {code for code, _ in phone.alarms()} <= {"new_generation", "rolled_back"}
        assert not phone.store.outbox(phone.session.case)
    assert world.fresh("sam").texts() == expected


def test_a_removed_person_who_comes_first_is_out_again_and_what_they_wrote_counts_for_nobody() -> None:
    world = family(3)
    kept = copy.deepcopy(world.relay.store)
    somebody_was_removed(world)
    world.settle()
    shown = world.phones["nora"].documents()
    put_back(world, kept)
    karim = world.phones["karim"]
    karim.sync()  # the relay knows the locks of before
    try:
        karim.add("terug van weggeweest")
    except Ended:
        pytest.fail("the relay of before lets in: else nothing is tested")
    karim.sync()
    world.settle()
    world.settle()
    assert not karim.here()
    assert world.phones["nora"].documents() == shown
    assert world.phones["nora"].texts() == world.phones["fatima"].texts() == world.phones["sam"].texts()
    assert "terug van weggeweest" not in world.phones["fatima"].texts()
    assert world.phones["fatima"].fold().admitted_hashes() == world.phones["nora"].fold().admitted_hashes()


def test_a_view_that_was_withdrawn_is_closed_again_by_whoever_knows() -> None:
    world = family(3)
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    world.settle()
    kept = copy.deepcopy(world.relay.store)
    (grant,) = nora.session.known().grants.values()
    assert isinstance(world.relay.store._streams[grant.down], Stream)
    nora.case.withdraw(given.grant.hex())
    world.settle()
    put_back(world, kept)
    assert isinstance(world.relay.store._streams[grant.down], Stream)
    world.phones["fatima"].sync()  # no owner: of the circle, who manages what views are read from
    world.settle()
    for stream in (grant.down, grant.up, grant.doorstep):
        assert not isinstance(world.relay.store._streams[stream], Stream)


def test_a_relay_that_only_says_so_changes_nothing() -> None:
    world = family(3)
    shown = world.phones["nora"].documents()
    for generation in (LATER, LATER + 1, 5, LATER + 2):
        world.relay.generation = generation
        world.settle()
    assert world.phones["nora"].documents() == shown
    assert {code for code, _ in world.phones["nora"].alarms()} == {"new_generation", "rolled_back"}
    assert all(phone.here() for phone in world.phones.values())
    whole(world, "karim")


def test_who_was_let_in_while_offline_comes_in_after_the_relay_was_put_back() -> None:
    world = family(3)
    nora, ali = world.phones["nora"], world.phone("ali")
    ali.device.join(nora.case.invite("member", "Ali"), "Ali")
    nora.sync()
    assert "Ali" in {person["name"] for person in nora.case.people()}
    world.relay.generation = LATER
    world.phones["karim"].sync()
    nora.sync(2)
    ali.sync(2)
    assert ali.here(), ali.alarms()
    assert ali.texts() == nora.texts()


@pytest.mark.parametrize("by", ["nora", "bo"])
@pytest.mark.parametrize("lost", ["welcome", "knock", "door", "all"])
def test_who_was_let_in_comes_in_although_the_relay_lost_the_welcome(lost: str, by: str) -> None:
    """``by``: the owner who made the link, or another one, who is the first to see that the relay was put back."""
    world = family(3)
    nora, ali = world.phones["nora"], world.phone("ali")
    world.join("bo", "owner")
    world.settle()
    kept = {"door": copy.deepcopy(world.relay.store), "all": HonestRelay(world.clock).store}
    link = nora.case.invite("member", "Ali")
    world.settle()
    kept["knock"] = copy.deepcopy(world.relay.store)
    ali.case_id = ali.device.join(link, "Ali").hex()
    kept["welcome"] = copy.deepcopy(world.relay.store)
    world.settle(only=["nora", "fatima", "karim", "sam", "bo"])
    assert "Ali" in {person["name"] for person in nora.case.people()}
    put_back(world, kept[lost])
    world.phones[by].sync(3)
    if by == "bo":
        world.network.offline.add("nora")
    ali.sync(2)
    world.settle()
    world.settle()
    assert ali.here(), ali.alarms()
    assert ali.texts() == world.phones["fatima"].texts()
    nora_door = next(
        one.doorstep for one in world.phones["bo"].session.known().invitations.values() if one.name == "Ali"
    )
    assert len(world.relay.records(nora_door)) <= 4, "each device laid one"


def test_a_welcome_that_still_lies_there_is_not_laid_again() -> None:
    world = family(3)
    nora, ali = world.phones["nora"], world.phone("ali")
    ali.device.join(nora.case.invite("member", "Ali"), "Ali")
    nora.sync(2)
    door = next(
        one.doorstep for one in nora.session.known().invitations.values() if one.state == "used" and one.name == "Ali"
    )
    before = world.relay.records(door)
    world.relay.generation = LATER
    nora.sync(3)
    assert world.relay.records(door) == before


def test_a_cancelled_link_is_closed_again() -> None:
    world = family(3)
    nora = world.phones["nora"]
    nora.case.invite("member", "Ali")
    world.settle()
    kept = copy.deepcopy(world.relay.store)
    nora.case.cancel("Ali")
    world.settle()
    put_back(world, kept)
    world.settle()
    (door,) = [one.doorstep for one in nora.session.known().invitations.values() if one.state == "closed"]
    assert not isinstance(world.relay.store._streams[door], Stream)


def test_looking_again_ends() -> None:
    world = family(3)
    world.relay.generation = LATER
    world.settle()
    for phone in world.phones.values():
        phone.sync(2)
        assert phone.store.fact(phone.session.case, "healing since") is None


@pytest.mark.parametrize("removal", [False, True])
@pytest.mark.parametrize("compacted_before", [False, True])
def test_what_a_snapshot_stood_for_comes_back_also_without_its_author(
    monkeypatch: pytest.MonkeyPatch, compacted_before: bool, removal: bool
) -> None:
    """The copy is from before the snapshot: the records it took the place of are nowhere any more, and Karim, who wrote
    them, is gone or put out. A copy that begins with a snapshot of a lock ago is healed too."""
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 6)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    world = family(4)
    nora, karim = world.phones["nora"], world.phones["karim"]

    def written(word: str) -> None:
        for number in range(7):
            karim.add(f"{word} {number}")
            karim.sync()
        world.settle()

    if compacted_before:
        written("early")
        assert world.relay.known(nora.stream()).base
    kept = copy.deepcopy(world.relay.store)
    written("late")
    assert world.relay.known(nora.stream()).base
    if removal:
        nora.case.remove("Karim")
    world.network.offline.add("karim")
    written_since = "after the turn"
    nora.add(written_since)
    world.settle()
    shown = nora.texts()
    assert {"late 0", "late 6", written_since} <= set(shown)
    put_back(world, kept)
    for name in ("fatima", "nora", "sam"):
        world.phones[name].sync()
    world.settle(8)
    for name in ("nora", "fatima", "sam"):
        assert world.phones[name].texts() == shown, name
        assert not world.phones[name].store.outbox(world.phones[name].session.case)
    whole(world, "fatima")
    nora.add("and on")
    world.settle()
    assert "and on" in world.phones["sam"].texts()
    # It ends: nobody puts snapshots there for ever.
    length = world.relay.known(nora.stream()).length
    world.settle(3)
    assert world.relay.known(nora.stream()).length == length
    assert all(p.store.fact(p.session.case, f"owed {nora.stream().hex()}") is None for p in world.phones.values())
