"""What one person writes and owners manage is shortened by an owner's device, which may take no word of it away."""

from __future__ import annotations

import functools

import pytest

import simulator
from eigenkring import wire
from eigenkring.part.snapshot import make_snapshot
from eigenkring.schema import Schema, load_schema
from eigenkring.session import compacting
from simulator import Phone, World, sign_alone

# Of the parts about a person: those that owners read, and manage; and those they do not, which the person manages.
KINDS = ("plan", "circle", "access", "voice", "answers", "contacts", "preparation", "diary")
MANAGED_BY_OWNERS = {
    "voice": ("suggestions", "name"),
    "answers": ("reactions", "text"),
    "contacts": ("contact", "phone"),
}
MANAGED_BY_SELF = {"preparation": ("needs", "text"), "diary": ("entries", "text")}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays after a dozen records."""
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)


@functools.cache
def image() -> dict[str, object]:
    whole = load_schema()
    few = Schema({kind: rule for kind, rule in whole.kinds.items() if kind in KINDS})
    before, simulator.small_schema = simulator.small_schema, lambda: few  # type: ignore[assignment]
    try:
        world = World(11)
        world.start("nora")
        world.join("fatima")
        world.join("karim")
        world.settle()
        return world.image()
    finally:
        simulator.small_schema = before


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    whole = load_schema()
    few = Schema({kind: rule for kind, rule in whole.kinds.items() if kind in KINDS})
    monkeypatch.setattr(simulator, "small_schema", lambda: few)
    return World.of(image(), 0)


def write(phone: Phone, part: str, collection: str, field: str, count: int) -> None:
    for number in range(count):
        if phone.session.kind(phone.session.part(part).part).collections[collection].single:  # type: ignore[union-attr]
            phone.case.set(part, f"{collection}/{collection}/{field}", f"0{number}")
        else:
            phone.case.add(part, collection, {field: f"{part} {number}"})
        sign_alone(phone.session)


def authors(phone: Phone, part: str) -> list[tuple[bytes, bytes]]:
    return sorted((entry.hash, entry.device) for entry in phone.fold(part).ledger.entries)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", MANAGED_BY_OWNERS)
def test_an_owners_device_shortens_what_a_member_writes(world: World, kind: str) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    part = f"{kind}@{fatima.session.me().hex()}"
    write(fatima, part, *MANAGED_BY_OWNERS[kind], 14)
    fatima.sync()
    stream, wrote = fatima.stream(part), authors(fatima, part)
    assert world.relay.known(stream).base == 0, "who writes it does not manage it"
    assert len(wrote) >= 14
    world.settle()
    assert world.relay.known(stream).base >= 14
    assert len(world.relay.records(stream)) == 1
    shown = fatima.documents()[part]
    assert shown == nora.documents()[part]
    # Everything is Fatima's still, by her own signature, and she writes on.
    assert authors(nora, part) == authors(fatima, part) == wrote
    newcomer = world.fresh("nora")
    assert newcomer.documents()[part] == shown
    assert authors(newcomer, part) == wrote
    assert {device for _, device in wrote} == {fatima.device_key()}
    write(fatima, part, *MANAGED_BY_OWNERS[kind], 1)
    world.settle()
    newcomer.sync()
    assert newcomer.documents()[part] == nora.documents()[part] == fatima.documents()[part]
    assert {code for phone in world.phones.values() for code in phone.codes()} <= {"new_generation"}
    assert newcomer.codes() == []


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", MANAGED_BY_SELF)
def test_what_only_the_person_manages_the_person_shortens(world: World, kind: str) -> None:
    fatima = world.phones["fatima"]
    part = f"{kind}@{fatima.session.me().hex()}"
    write(fatima, part, *MANAGED_BY_SELF[kind], 14)
    world.settle()
    stream, shown = fatima.stream(part), fatima.documents()[part]
    assert world.relay.known(stream).base >= 14
    assert len(world.relay.records(stream)) == 1
    newcomer = world.fresh("fatima")
    assert newcomer.documents()[part] == shown
    assert authors(newcomer, part) == authors(fatima, part)
    assert newcomer.codes() == fatima.codes() == []


def made_by(phone: Phone, part: str, keep: int) -> wire.Request:
    """A snapshot by this phone of the first ``keep`` changes only, in the place of all."""
    session, opened = phone.session, phone.session.part(part)
    stream, position = opened.part.stream, session.position(opened.part.stream)
    entries = opened.fold.ledger.entries[:keep]
    payload = make_snapshot(
        session.keys.sign,
        stream,
        device=session.device(),
        epoch=session.known().rooms[opened.part.write].epoch,
        head=session.known().head,
        n=position.length,
        chain=position.chain,
        atts=list(dict.fromkeys(entry.source.att.raw for entry in entries)),
        changes=[entry.raw for entry in entries],
    )
    secrets = session.secrets(stream)
    cap = secrets.manage_cap()
    assert cap is not None
    record = secrets.seal(payload, bytes(24))
    return wire.Request(1, [wire.Replace(stream=stream, cap=cap, expect=position.chain, record=record)], True)


def test_an_owner_cannot_drop_what_somebody_said(world: World) -> None:
    """An objection that is not in Nora's snapshot stays where it was read, and Fatima's phone puts it back."""
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    part = f"answers@{fatima.session.me().hex()}"
    for text in ("goed idee", "dit werkt niet, want"):
        fatima.case.add(part, "reactions", {"text": text})
        fatima.sync()  # each in a record of its own
    world.settle()
    shown = karim.documents()[part]
    assert len(shown["reactions"]) == 2
    request = made_by(nora, part, keep=1)
    reply = wire.decode_reply(world.relay.answer(wire.encode(request)), request)
    assert isinstance(reply.results[0], wire.Replaced)
    newcomer = world.fresh("karim")
    assert len(newcomer.documents()[part]["reactions"]) == 1
    world.network.offline |= {"fatima", "nora"}
    karim.sync(2)
    assert karim.documents()[part] == shown, "what was read stays"
    assert "left_out" in karim.codes()
    karim.restart()
    karim.sync()
    assert karim.documents()[part] == shown
    world.network.offline.discard("fatima")
    fatima.sync(2)
    newcomer.sync()
    assert newcomer.documents()[part] == shown
    assert {device for _, device in authors(newcomer, part)} == {fatima.device_key()}
    world.network.honest()
    world.settle()
    assert all(phone.documents()[part] == shown for phone in world.phones.values())


@pytest.mark.usefixtures("soon")
def test_what_lay_in_a_snapshot_is_given_back_as_well(world: World) -> None:
    """The words that a short snapshot leaves out were in no record of their own any more."""
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    part = f"voice@{fatima.session.me().hex()}"
    write(fatima, part, "suggestions", "name", 14)
    world.settle()
    fatima.case.add(part, "suggestions", {"name": "daarna"})
    world.settle()
    shown, wrote = fatima.documents()[part], authors(fatima, part)
    assert world.relay.known(fatima.stream(part)).base >= 14
    request = made_by(nora, part, keep=0)
    world.relay.answer(wire.encode(request))
    world.network.offline.add("nora")
    fatima.sync(2)
    newcomer = world.fresh("karim")
    assert newcomer.documents()[part] == fatima.documents()[part] == shown
    assert authors(newcomer, part) == authors(fatima, part) == wrote
    # The last word came back twice: as the record it was, and under what it stands on.
    assert newcomer.codes() == ["missing_dependency"]


def test_who_was_behind_comes_to_rest_too(world: World) -> None:
    """Karim read the first word only when the short snapshot came; an owner's device that has all makes a whole one."""
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    rosa = world.join("rosa", "owner")
    world.settle()
    part = f"voice@{fatima.session.me().hex()}"
    for text in ("een", "twee"):
        fatima.case.add(part, "suggestions", {"name": text})
        fatima.sync()
    karim.sync()
    fatima.case.add(part, "suggestions", {"name": "drie"})
    fatima.sync()
    nora.sync()
    rosa.sync()
    request = made_by(nora, part, keep=1)
    world.relay.answer(wire.encode(request))
    world.network.offline |= {"fatima", "nora"}
    karim.sync(2)
    assert [item["name"] for item in karim.documents()[part]["suggestions"].values()] == ["een", "twee"]
    rosa.sync(2)
    karim.sync(2)
    assert len(karim.documents()[part]["suggestions"]) in (2, 3)
    world.network.honest()
    world.settle(8)
    for phone in (*world.phones.values(), world.fresh("rosa")):
        assert len(phone.documents()[part]["suggestions"]) == 3


def test_while_a_record_waits_nobody_shortens_what_another_one_writes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be left out, and the snapshot would not stand where the charter was read further."""
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    part = f"voice@{fatima.session.me().hex()}"
    write(fatima, part, "suggestions", "name", 14)
    world.settle()
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 2)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    opened = nora.session.part(part)
    assert compacting.due(nora.session, opened)
    opened.waits = True
    assert not compacting.due(nora.session, opened)
