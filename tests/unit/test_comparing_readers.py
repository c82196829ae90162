"""A professional whose link asks for words: no key, and no view, before they were compared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eigenkring import doorstep
from eigenkring.errors import Misuse
from eigenkring.ids import GrantId
from eigenkring.link import format_link, parse_link
from eigenkring.own_devices import add_device
from eigenkring.renewing import renew
from eigenkring.session.doors import terms_of
from eigenkring.visiting import door_secrets
from simulator import Phone, World
from unit.test_reading import day, shown


@pytest.fixture
def world() -> World:
    world = World(31)
    world.start()
    world.phones["nora"].add("Roerdomp")
    return world


def offered(world: World, *, compare: bool = True) -> tuple[str, str]:
    """The number of a grant, and its link."""
    case = world.phones["nora"].case
    given = case.grant("dewit", "meedenken", day(world, 30), case.selection(["plan"]), compare=compare)
    return given.grant.hex(), given.link


def knocking(world: World, name: str, link: str, called: str = "De Wit") -> Phone:
    phone = world.phone(name)
    phone.grant = phone.device.accept(link, called).hex()
    return phone


def at_the_door(phone: Phone) -> list[Any]:
    return [row["words"] for row in phone.case.pending() if row["what"] == "compare"]


def words(reader: Phone) -> list[str] | None:
    (row,) = reader.device.views()
    found: list[str] | None = row["words"]
    return found


def status(reader: Phone) -> str:
    return str(reader.device.views()[0]["status"])


def test_nothing_is_shown_before_the_words_were_compared(world: World) -> None:
    nora = world.phones["nora"]
    grant, link = offered(world)
    reader = knocking(world, "dewit", link)
    assert words(reader) is None
    nora.sync(2)
    reader.sync(2)
    assert status(reader) == "waiting"
    with pytest.raises(Misuse) as told:
        reader.device.view(grant)
    assert told.value.code == "not_yet"
    assert nora.session.known().grants[GrantId(bytes.fromhex(grant))].device is None, "nothing was entered"
    assert at_the_door(nora) == [words(reader)]
    assert len(words(reader) or ()) == 4
    assert nora.case.confirm("de wit").hex() == grant
    reader.sync(2)
    assert shown(reader) == ["Roerdomp"]
    assert words(reader) is None, "there is nothing left to compare"
    assert at_the_door(nora) == []


def test_without_compare_a_reader_is_let_in_as_before(world: World) -> None:
    _, link = offered(world, compare=False)
    reader = knocking(world, "dewit", link)
    world.phones["nora"].sync()
    reader.sync()
    assert words(reader) is None
    assert shown(reader) == ["Roerdomp"]


def test_a_thief_who_knocks_first_for_a_reader_gets_no_key(world: World) -> None:
    nora = world.phones["nora"]
    grant, link = offered(world)
    thief = knocking(world, "dief", link)
    nora.sync()
    reader = knocking(world, "dewit", link)
    for phone in (reader, thief, nora, reader, thief):
        phone.sync()
    assert words(reader) is None, "the screen of the right one shows nothing"
    assert at_the_door(nora) == [words(thief)] != [None]
    nora.sync(2)
    thief.sync(2)
    assert status(thief) == "waiting"
    # Nobody confirms: access is stopped, and given anew.
    nora.case.withdraw(grant)
    thief.sync(2)
    assert status(thief) == "link_expired"
    assert words(thief) is None


def test_a_greeting_without_words_does_not_let_a_thief_read(world: World) -> None:
    """The thief has the link and the relay: the greeting there says now that no words are asked for."""
    nora = world.phones["nora"]
    grant, text = offered(world)
    link = parse_link(text)
    secrets = door_secrets(link.doorstep, link.seed)
    greeting = doorstep.open_greeting(secrets.open(world.relay.records(link.doorstep)[0]), link.pin)
    payload = doorstep.make_greeting(msgspec.structs.replace(greeting, compare=False))
    world.relay.rewrite(link.doorstep, [secrets.seal(payload, bytes(24))])
    thief = knocking(world, "dief", format_link(link._replace(pin=doorstep.greeting_pin(payload))))
    nora.sync(2)
    thief.sync(2)
    assert status(thief) == "waiting"
    assert nora.session.known().grants[GrantId(bytes.fromhex(grant))].device is None


def test_words_for_a_reader_prove_nothing_after_an_owner_left(world: World) -> None:
    """Who was an owner can work out the nonce: access is given anew."""
    nora = world.phones["nora"]
    world.join("karel", "owner")
    reader = knocking(world, "dewit", offered(world)[1])
    nora.sync(2)
    assert at_the_door(nora) != [None]
    world.phones["karel"].case.leave()
    nora.sync(2)
    reader.sync()
    assert at_the_door(nora) == [None]
    with pytest.raises(Misuse) as told:
        nora.case.confirm("De Wit")
    assert told.value.code == "not_permitted"


def test_who_takes_the_name_of_another_is_not_let_in_by_the_words_of_that_one(world: World) -> None:
    """A thief with a stolen link for a reader knocks as Nora, while her own tablet waits for its words."""
    nora, tablet = world.phones["nora"], world.phone("tablet")
    grant, link = offered(world)
    thief = knocking(world, "dief", link, "nora")
    tablet.device.join(add_device(nora.case, compare=True), "x")
    for phone in (nora, tablet, thief, nora):
        phone.sync()
    assert len(at_the_door(nora)) == 2
    with pytest.raises(Misuse) as told:
        nora.case.confirm("nora")
    assert told.value.code == "ambiguous"
    nora.sync(2)
    thief.sync(2)
    assert status(thief) == "waiting"
    nora.case.withdraw(grant)
    nora.case.confirm("nora")
    tablet.sync(2)
    assert tablet.here()
    thief.sync()
    assert status(thief) == "link_expired"


def test_a_colleague_who_takes_over_compares_words_too(world: World) -> None:
    nora = world.phones["nora"]
    grant, link = offered(world)
    reader = knocking(world, "dewit", link)
    nora.sync(2)
    nora.case.confirm("De Wit")
    reader.sync(2)
    given = renew(nora.case, grant, "Bos")
    terms = terms_of(nora.session, nora.session.known().grants[given.grant])
    assert terms is not None
    assert terms.compare
    colleague = knocking(world, "bos", given.link, "Bos")
    nora.sync(2)
    colleague.sync(2)
    assert status(colleague) == "waiting"
    assert at_the_door(nora) == [words(colleague)] != [None]


def test_a_nonce_that_somebody_else_lays_there_shows_a_reader_no_words(world: World) -> None:
    nora = world.phones["nora"]
    _, text = offered(world)
    link = parse_link(text)
    reader = knocking(world, "dewit", text)
    nora.sync()
    secrets = door_secrets(link.doorstep, link.seed)
    found = [secrets.open(record) for record in world.relay.records(link.doorstep)]
    (real,) = [msgspec.msgpack.decode(payload) for payload in found if "nonce" in msgspec.msgpack.decode(payload)]
    world.relay.rewrite(
        link.doorstep,
        [secrets.seal(payload, bytes(24)) for payload in found[:2]]
        + [secrets.seal(msgspec.msgpack.encode(real | {"nonce": world.random(32)}), bytes(24))],
    )
    reader.sync()
    assert words(reader) is None
