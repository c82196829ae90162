"""What a lost device, and a relay that kept everything and helps, can still do: to the case, and to those who read it."""

from __future__ import annotations

from typing import Any

import pytest

from eigenkring import doorstep, receiving, recovery
from eigenkring import grant as grants
from eigenkring.errors import Ended
from eigenkring.grant import GrantState
from eigenkring.ids import RoomSecret
from eigenkring.link import parse_link
from eigenkring.own_devices import add_device, remove_device
from eigenkring.rooms import CIRCLE, own_room
from eigenkring.stream import StreamSecrets
from eigenkring.view import make_view, pack_projection
from eigenkring_crypto import capability
from eigenkring_crypto.device import DeviceKeys
from simulator import ADDRESS, MemoryStore, Phone, World, lax
from unit.test_reading import codes, reading, shown, state


@pytest.fixture
def world() -> World:
    made = World(29)
    made.start()
    made.phones["nora"].add("Kolibrie")
    return made


class Thief:
    """A whole copy of a phone's store of the day it was lost, and a relay that does what the thief asks."""

    def __init__(self, world: World, of: str = "nora") -> None:
        self.world = world
        self.phone = Phone(world, "thief", MemoryStore(world.phones[of].backup()), case_id=world.case_id)
        self.session = self.phone.session

    def show_another_view(self, reader: Phone, text: str, until: int | None = None) -> None:
        """A state that the granter's key of then signs, and a view by the publisher that it names."""
        session, world = self.session, self.world
        world.network.lies[reader.name] = lax
        row = reader.store.grants()[0]
        known = session.known().grants[row.grant]
        own, circle = session.room_secret(own_room(session.me())), session.room_secret(CIRCLE)
        assert own is not None and circle is not None
        granter = grants.granter_key(RoomSecret(own[1]), row.grant)
        publisher = grants.publisher_key(RoomSecret(circle[1]), row.grant)
        secret = RoomSecret(world.random(32))
        forged = GrantState(
            row.grant, 99, known.down, known.up, secret, 9, publisher.public, until or known.until, row.name
        )
        link = parse_link(row.link)
        keys = DeviceKeys.from_seed(row.seed)  # public halves of these are in the charter
        device = receiving.device_of(row, keys)
        payload = grants.make_turned(keys.box.public, link.doorstep, device, grants.sign_state([granter], forged))
        door = StreamSecrets(link.doorstep, read=doorstep.read_secret(link.seed, link.doorstep))
        world.relay.put(link.doorstep, door.seal(payload, world.random(24)))
        at = world.relay.known(known.down)
        parts: Any = {"plan": {"agreements": {"0" * 20: {"what": text}}}}
        view = make_view(
            publisher, known.down, grant=row.grant, v=99, length=at.length, chain=at.chain, until=until or known.until, to=row.name,  # type: ignore[arg-type]
            parts=pack_projection(parts), who=grants.seal_author(bytes(32), row.grant, session.device(), bytes(24)),
        )  # fmt: skip
        read = capability.read_secret(secret, known.down)
        world.relay.put(known.down, StreamSecrets(known.down, read=read, read_epoch=9).seal(view, world.random(24)))


def second(world: World, name: str = "tablet") -> Phone:
    phone = world.phone(name)
    phone.device.join(add_device(world.phones["nora"].case), name)
    world.phones["nora"].sync()
    phone.sync(2)
    return phone


@pytest.mark.parametrize("way", ["remove-device", "recover"])
def test_the_key_of_a_lost_phone_says_nothing_to_a_reader_who_heard_of_the_next(world: World, way: str) -> None:
    nora = world.phones["nora"]
    reader = reading(world)
    if way == "recover":
        code = str(recovery.make_code(nora.device)["code"])
        thief = Thief(world)
        new = world.phone("nieuw")
        recovery.recover(new.device, code, ADDRESS)
    else:
        tablet, new = second(world), nora
        thief = Thief(world, "tablet")
        assert remove_device(nora.case, tablet.device_key().hex())["renewed"] == [reader.grant]
    new.sync()
    reader.sync()
    assert shown(reader) == ["Kolibrie"]
    thief.show_another_view(reader, "Roerdomp")
    reader.sync(2)
    assert shown(reader) == ["Kolibrie"]
    assert b"Roerdomp" not in reader.store.image()
    new.add("Zwaluw")
    new.sync()
    assert state(reader).n < 99


def test_before_the_reader_heard_of_the_next_key_the_relay_can_help_the_thief(world: World) -> None:
    """What `docs/threat-model.md` says is not stopped: it needs the relay, and ends with `renew`."""
    reader = reading(world)
    tablet = second(world)
    thief = Thief(world, "tablet")
    world.network.offline.add("dewit")
    remove_device(world.phones["nora"].case, tablet.device_key().hex())
    world.network.honest()
    # The relay hides the new state from this reader, and shows the thief's in its place.
    link = parse_link(reader.store.grants()[0].link)
    world.relay.rewrite(link.doorstep, world.relay.records(link.doorstep)[:-1])
    thief.show_another_view(reader, "Roerdomp")
    reader.sync(2)
    assert shown(reader) == ["Roerdomp"]


def test_a_thief_whom_the_relay_helps_gives_access_no_later_end(world: World) -> None:
    """The same, and the thief dates it far away: the link said until when, and nothing that is signed later is later."""
    reader = reading(world)
    ends = reader.store.grants()[0].until
    tablet = second(world)
    thief = Thief(world, "tablet")
    world.network.offline.add("dewit")
    remove_device(world.phones["nora"].case, tablet.device_key().hex())
    world.network.honest()
    link = parse_link(reader.store.grants()[0].link)
    world.relay.rewrite(link.doorstep, world.relay.records(link.doorstep)[:-1])
    thief.show_another_view(reader, "Roerdomp", until=ends * 2)
    reader.sync(2)
    assert shown(reader) == ["Roerdomp"]
    assert reader.store.grants()[0].until == ends
    world.now = ends + 1
    with pytest.raises(Ended):
        reader.device.view(reader.grant)


def test_a_reader_who_was_away_while_two_phones_were_lost_follows_both_keys(world: World) -> None:
    nora, reader = world.phones["nora"], reading(world)
    world.network.offline.add("dewit")
    for name in ("tablet", "laptop"):
        lost = second(world, name)
        remove_device(nora.case, lost.device_key().hex())
    nora.add("Zwaluw")
    nora.sync()
    world.network.honest()
    reader.sync(2)
    assert shown(reader) == ["Kolibrie", "Zwaluw"]
    assert codes(reader) == set()
    assert (
        reader.store.grants()[0].granter_key != nora.session.known().grants[reader.store.grants()[0].grant].granter_key
    )
