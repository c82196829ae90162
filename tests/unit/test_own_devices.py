"""One person, several devices: added with a link, put out when lost, and what a thief still has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eigenkring import wire
from eigenkring.doorstep import greeting_pin
from eigenkring.errors import Ended, Inadmissible, Misuse, RelayMisbehaved
from eigenkring.link import format_link, parse_link
from eigenkring.own_devices import add_device, devices, remove_device
from eigenkring.recovery import make_code
from eigenkring.session import own_door
from eigenkring.session.own_door import SLOT_SECONDS, own_doors
from simulator import ADDRESS, Network, Phone, World
from unit.test_reading import reading


@pytest.fixture
def world() -> World:
    world = World(17)
    world.start()
    return world


def second(world: World, of: str = "nora", name: str = "tablet", by: str | None = None) -> Phone:
    link, phone = add_device(world.phones[of].case), world.phone(name)
    phone.device.join(link, name)
    world.phones[by or of].sync()
    phone.sync(2)
    return phone


def test_another_device_reads_and_writes_everything_the_person_may(world: World) -> None:
    nora = world.phones["nora"]
    nora.add("eerste")
    nora.case.add("diary", "entries", {"text": "van mij alleen"})
    nora.sync()
    tablet = second(world)
    assert tablet.here()
    assert tablet.session.me() == nora.session.me()
    assert tablet.texts() == ["eerste"]
    assert tablet.texts("diary", "entries", "text") == ["van mij alleen"]
    tablet.add("tweede")
    tablet.sync()
    nora.sync()
    assert nora.texts() == ["eerste", "tweede"]
    assert [row["this"] for row in devices(tablet.case)] == [False, True]
    assert tablet.codes() == nora.codes() == []


def test_any_device_of_the_person_lets_the_next_one_in(world: World) -> None:
    tablet = second(world)
    nora = world.phones["nora"]
    link, third = add_device(nora.case), world.phone("derde")
    third.device.join(link, "derde")
    world.network.offline.add("nora")
    tablet.sync()
    third.sync(2)
    assert third.here()
    assert len(devices(third.case)) == 3


def test_two_devices_ask_for_a_link_in_one_hour_and_get_the_same(world: World) -> None:
    tablet = second(world)
    assert add_device(tablet.case) == add_device(world.phones["nora"].case)


def doors_asked(world: World, who: str) -> int:
    """How many own doors a sync of this phone asks the relay for."""
    asked: list[bytes] = []

    def watch(network: Network, name: str, data: bytes) -> bytes:
        asked.extend(op.stream for op in wire.decode_request(data).ops if isinstance(op, wire.Read))
        return network.truth(name, data)

    phone = world.phones[who]
    own = {door.stream for door in own_doors(phone.session)}
    world.network.lies[who] = watch
    phone.sync()
    del world.network.lies[who]
    return len(own & set(asked))


def test_own_doors_are_asked_for_only_while_a_link_of_the_person_can_be_out(world: World) -> None:
    nora = world.phones["nora"]
    assert doors_asked(world, "nora") == 0
    add_device(nora.case)
    assert doors_asked(world, "nora") == 4
    world.now += 3 * SLOT_SECONDS
    assert doors_asked(world, "nora") == 0
    tablet = second(world)
    # Of a link that another device made nothing tells it.
    assert doors_asked(world, "nora") == doors_asked(world, "tablet") == 4
    remove_device(nora.case, tablet.session.device().hex())
    world.now += 3 * SLOT_SECONDS
    assert doors_asked(world, "nora") == 0


def test_paper_makes_no_links(world: World) -> None:
    nora = world.phones["nora"]
    make_code(nora.device)
    nora.sync()
    assert sorted(row["kind"] for row in devices(nora.case)) == ["device", "paper"]
    assert doors_asked(world, "nora") == 0


def test_a_link_works_once_and_the_first_wins(world: World) -> None:
    nora = world.phones["nora"]
    link = add_device(nora.case)
    first, other = world.phone("eerste"), world.phone("tweede")
    first.device.join(link, "x")
    other.device.join(link, "x")
    nora.sync()
    for phone in (first, other):
        phone.sync(2)
    assert first.here()
    assert not other.here()
    assert len(devices(nora.case)) == 2
    assert add_device(nora.case) != link


def test_a_link_dies_after_its_hour_and_with_the_relays_help_too(world: World) -> None:
    nora, late = world.phones["nora"], world.phone("laat")
    link = add_device(nora.case)
    world.now += 3 * SLOT_SECONDS
    with pytest.raises(Ended):
        late.device.join(link, "laat")
    # A relay that keeps it open all the same: nobody of the family looks there any more.
    door = parse_link(link).doorstep
    watched = {own.stream for own in own_doors(nora.session)}
    assert door not in watched


def test_another_greeting_behind_the_link_is_refused(world: World) -> None:
    nora, tablet = world.phones["nora"], world.phone("tablet")
    link = add_device(nora.case)
    door = parse_link(link).doorstep
    known = own_doors(nora.session)[0]
    world.relay.rewrite(door, [known.secrets.seal(b"\x80", bytes(24))])
    with pytest.raises((Inadmissible, RelayMisbehaved)):
        tablet.device.join(link, "tablet")


def test_a_lost_device_is_put_out_and_reads_and_writes_nothing_more(world: World) -> None:
    nora = world.phones["nora"]
    nora.add("voor")
    lost = second(world)
    lost.sync()
    world.network.offline.add("tablet")
    lost.add("stiekem, offline")
    remove_device(nora.case, lost.device_key().hex()[:8])
    nora.add("Roerdomp na")
    nora.sync()
    world.network.honest()
    lost.sync(2)
    assert b"Roerdomp" not in lost.store.image()
    assert not lost.here()
    nora.sync()
    assert nora.texts() == ["Roerdomp na", "voor"]
    assert len(devices(nora.case)) == 1


def test_who_was_put_out_cannot_come_back_through_a_door_left_ajar(world: World) -> None:
    """The thief made a link before, knows the old secrets, and has the relay on their side."""
    nora = world.phones["nora"]
    lost = second(world)
    link = add_device(lost.case)
    remove_device(nora.case, lost.device_key().hex())
    thief = world.phone("dief")
    thief.device.join(link, "dief")
    nora.sync(2)
    thief.sync(2)
    assert not thief.here()
    assert len(devices(nora.case)) == 1


def test_a_member_puts_the_own_device_out_and_an_owner_turns_the_rest(world: World) -> None:
    fatima = world.join("fatima")
    lost = second(world, of="fatima")
    remove_device(fatima.case, lost.device_key().hex())
    world.phones["nora"].sync()
    world.phones["nora"].add("Roerdomp")
    world.phones["nora"].sync()
    lost.sync(2)
    assert b"Roerdomp" not in lost.store.image()
    fatima.sync()
    assert fatima.texts() == ["Roerdomp"]


def test_somebody_elses_device_is_not_mine_to_remove(world: World) -> None:
    fatima = world.join("fatima")
    with pytest.raises(Misuse) as caught:
        remove_device(fatima.case, world.phones["nora"].device_key().hex())
    assert caught.value.code == "no_such_item"


def test_both_devices_publish_and_the_reader_sees_one_truth(world: World) -> None:
    reader = reading(world)
    tablet = second(world)
    world.network.offline.update(("nora", "tablet"))
    world.phones["nora"].add("van de telefoon")
    tablet.add("van de tablet")
    world.network.honest()
    for phone in (tablet, world.phones["nora"], tablet):
        phone.sync()
    reader.sync()
    shown = reader.device.view(reader.grant)["plan"]["agreements"].values()
    assert sorted(item["what"] for item in shown) == ["van de tablet", "van de telefoon"]
    assert reader.store.grants()[0].status == "open"


# --- words to compare


def wanted(phone: Phone) -> list[str] | None:
    return next((row["words"] for row in phone.case.pending() if row["what"] == "compare"), None)


def test_with_words_no_key_is_given_before_they_were_compared(world: World) -> None:
    nora, tablet = world.phones["nora"], world.phone("tablet")
    link = add_device(nora.case, compare=True)
    assert link != add_device(nora.case), "another door than that without words"
    tablet.device.join(link, "x")
    nora.sync(2)
    tablet.sync(2)
    assert not tablet.here()
    (shown,) = tablet.case.pending()
    assert shown["words"] is not None
    assert shown["words"] == wanted(nora)
    assert len(shown["words"]) == 4
    assert len(devices(nora.case)) == 1
    nora.case.confirm("nora")
    tablet.sync(2)
    assert tablet.here()
    assert len(devices(nora.case)) == 2
    assert wanted(nora) is None, "the door moved"


def test_a_thief_who_knocks_first_where_words_are_compared_gets_no_key(world: World) -> None:
    nora, thief, tablet = world.phones["nora"], world.phone("dief"), world.phone("tablet")
    link = add_device(nora.case, compare=True)
    thief.device.join(link, "x")
    nora.sync()
    tablet.device.join(link, "x")
    for phone in (tablet, thief, nora, tablet, thief):
        phone.sync()
    assert tablet.case.pending()[0]["words"] is None, "the screen in the own hand shows nothing"
    assert thief.case.pending()[0]["words"] == wanted(nora)
    for phone in (nora, thief, tablet):
        phone.sync(2)
    assert not thief.here()
    assert len(devices(nora.case)) == 1
    # Nobody confirms; an hour later there is another door.
    world.now += SLOT_SECONDS * 2
    assert add_device(nora.case, compare=True) != link


def test_a_greeting_without_words_does_not_get_a_thief_in_at_a_door_with_words(world: World) -> None:
    """The thief has the link and the relay: the greeting there says now that no words are asked for."""
    nora, thief = world.phones["nora"], world.phone("dief")
    link = parse_link(add_device(nora.case, compare=True))
    door = next(own for own in own_doors(nora.session) if own.stream == link.doorstep)
    payload = own_door.greeting(nora.session, replace(door, compare=False))
    world.relay.rewrite(link.doorstep, [door.secrets.seal(payload, bytes(24))])
    thief.device.join(format_link(link._replace(pin=greeting_pin(payload))), "x")
    nora.sync(2)
    thief.sync(2)
    assert not thief.here()
    assert len(devices(nora.case)) == 1


def test_the_door_is_not_to_be_opened_by_a_stranger_first(world: World) -> None:
    """A relay sees which streams are asked for before they exist, and opens one itself."""
    nora = world.phones["nora"]
    door = own_doors(nora.session)[0]
    nobody = [wire.Open(stream=door.stream, read=bytes(32), append=bytes(32), manage=bytes(32), expires=None)]
    nora.device.transport(b"relay", ADDRESS).exchange(nobody)
    with pytest.raises(RelayMisbehaved):
        add_device(nora.case)
    world.now += SLOT_SECONDS
    assert add_device(nora.case)
