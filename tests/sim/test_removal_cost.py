"""What a removal costs: one exchange, some kilobytes, and no part is copied. The real case of DOMAIN 7, the whole schema."""

from __future__ import annotations

import msgspec
import pytest

import simulator
from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.entry import Keys, device_id
from eigenkring.keys import bag_of, open_bags
from eigenkring.schema import load_schema
from eigenkring.session.acting import BOXES_IN_A_RECORD, author_of, exchange_of, keys_appends
from eigenkring.view import PartSelection, Selection
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.seal import MIN_RECORD_BYTES
from simulator import Network, Phone, World, family

NAMES = "fatima karim lotte oma eva joop els ria wim daan noor".split()


def with_more_devices(phone: Phone, count: int) -> None:
    """Devices of the same person, that sleep: the charter and the boxes do not know the difference."""
    for _ in range(count):
        keys = DeviceKeys.from_seed(phone.world.random(32))
        public = Keys(keys.sign.public, keys.box.public)
        proof = compose.sign_new_device(phone.session.case, phone.session.me(), public, keys.sign)
        phone.case.act(
            lambda now, public=public, proof=proof: exchange_of(  # type: ignore[misc]
                now, compose.add_device(now.known(), author_of(now), public, "", proof)
            )
        )


def a_large_circle() -> World:
    world = World(12)
    world.start("nora")
    for name in NAMES:
        world.join(name)
    for at, name in enumerate(["nora", *NAMES]):
        world.phones[name].sync()
        with_more_devices(world.phones[name], 1 if at < 3 else 2)
    world.phones["nora"].case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    world.phones["nora"].sync(2)
    return world


def test_a_removal_from_twelve_people_is_one_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "small_schema", load_schema)
    world = a_large_circle()
    nora = world.phones["nora"]
    charter = nora.session.known()
    assert len(charter.present()) == 12
    assert sum(device.here for device in charter.devices.values()) == 33
    streams = charter.live_streams()
    assert len(streams) == 78
    sent: list[bytes] = []

    def listening(network: Network, who: str, data: bytes) -> bytes:
        sent.append(data)
        return network.truth(who, data)

    world.network.lies["nora"] = listening
    nora.case.remove("Karim")
    writing = [data for data in sent if any(not isinstance(op, wire.Read) for op in wire.decode_request(data).ops)]
    assert len(writing) == 1, "one exchange"
    ops = wire.decode_request(writing[0]).ops
    print(f"removal: {len(writing[0])} bytes, {len(ops)} operations, {len(streams)} streams, 33 devices")
    assert len(writing[0]) < 150_000
    appended = {op.stream for op in ops if isinstance(op, wire.Append)}
    assert appended == {nora.session.charter_stream, charter.keys_stream}, "no part is copied"
    assert all(isinstance(op, wire.Append | wire.Rekey | wire.Close) for op in ops)
    assert "Karim" not in {person.name for person in nora.session.known().present()}


def test_boxes_of_a_very_large_circle_go_into_several_records() -> None:
    """64 people with 12 devices each: more than one record holds."""
    world = family(3)
    session = world.phones["nora"].session
    charter, keys = session.known(), session.row.keys_stream
    one = next(iter(charter.devices.values()))
    seeds = {n: DeviceKeys.from_seed(world.random(32)) for n in range(3)}
    known = {}
    for n in range(768):
        of = seeds[n % 3]
        device = device_id(session.case, Keys(n.to_bytes(32, "big"), of.box.public))
        known[device] = msgspec.structs.replace(one, device=device, box=of.box.public)
    large = msgspec.structs.replace(charter, devices={**charter.devices, **known})
    rooms = [(f"room{n}@0123456789abcdef", 7, bytes(32)) for n in range(14)]
    ops = keys_appends(session, large, {device: bag_of(rooms) for device in known})
    assert len(ops) == -(-768 // BOXES_IN_A_RECORD) == 4
    assert all(isinstance(op, wire.Append) and MIN_RECORD_BYTES < len(op.record) < wire.MAX_RECORD_BYTES for op in ops)
    assert len(wire.encode(wire.Request(1, ops, True))) < wire.MAX_FRAME_BYTES
    secret = session.row.keys_secret
    assert keys is not None and secret is not None
    at = session.secrets(keys)
    found = 0
    for at_n, device in enumerate(known):
        if at_n % 97:
            continue
        bags = [open_bags(at.open(op.record), session.case, keys, secret, device, seeds[at_n % 3].box) for op in ops]  # type: ignore[union-attr]
        found += [bag is not None for bag in bags].count(True)
    assert found == 8
