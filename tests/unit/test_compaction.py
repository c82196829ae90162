"""A snapshot in the place of a part's records: made when it pays, by one; nothing is lost, and every change keeps its author."""

from __future__ import annotations

import msgspec
import pytest

from eigenkring import wire
from eigenkring.ids import StreamId
from eigenkring.part.snapshot import make_snapshot
from eigenkring.session import compacting
from simulator import Network, Phone, World, changed, family, sign_alone


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays after a dozen records."""
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)


def write(world: World, names: tuple[str, ...], each: int, word: str = "") -> None:
    for number in range(each):
        for name in names:
            world.phones[name].add(f"{word}{name} {number}")
            sign_alone(world.phones[name].session)


def authors(phone: Phone) -> list[tuple[bytes, bytes]]:
    fold = phone.fold()
    return sorted((entry.hash, entry.device) for entry in fold.ledger.entries)


def same_for_everybody(world: World) -> dict[str, object]:
    plans = [phone.session.read(phone.session.part("plan")) for phone in world.phones.values()]
    assert all(plan == plans[0] for plan in plans)
    return plans[0]


@pytest.mark.usefixtures("soon")
def test_a_newcomer_reads_one_snapshot_and_a_tail() -> None:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    write(world, ("nora", "fatima", "karim"), 6)
    world.settle()
    stream, before = nora.stream(), authors(fatima)
    assert world.relay.known(stream).base >= 18
    assert len(world.relay.records(stream)) == 1
    fatima.add("daarna")
    world.settle()
    whole = same_for_everybody(world)
    newcomer = world.fresh("karim")
    assert newcomer.session.read(newcomer.session.part("plan")) == whole
    assert len(newcomer.store.records(newcomer.session.case, stream)) == 2
    # Every change has its author still, by that author's own signature.
    assert set(before) < set(authors(newcomer))
    assert authors(newcomer) == authors(fatima)
    names = {change["by"] for change in newcomer.case.history("plan")}
    assert names == {"Nora", "Fatima", "Karim"}
    assert not any(code != "new_generation" for phone in world.phones.values() for code in phone.codes())
    assert newcomer.codes() == []


@pytest.mark.usefixtures("soon")
def test_what_a_snapshot_holds_needs_no_making_again() -> None:
    world = family()
    fatima = world.phones["fatima"]
    write(world, ("fatima",), 5)
    case, stream = fatima.session.case, fatima.stream()
    assert len(fatima.store.own_changes(case, stream)) >= 5
    write(world, ("nora",), 10)
    world.settle()
    assert world.relay.known(stream).base > 0
    assert fatima.store.own_changes(case, stream) == []


@pytest.mark.usefixtures("soon")
def test_a_device_starts_again_on_a_snapshot() -> None:
    world = family()
    write(world, ("nora", "fatima"), 8)
    world.settle()
    whole, before = same_for_everybody(world), authors(world.phones["nora"])
    for phone in world.phones.values():
        phone.restart()
    assert same_for_everybody(world) == whole
    assert authors(world.phones["nora"]) == before


@pytest.mark.usefixtures("soon")
def test_offline_work_lands_on_a_snapshot() -> None:
    world = family()
    fatima = world.phones["fatima"]
    item = fatima.add("Oma komt op zondag")
    world.settle()
    world.network.offline.add("fatima")
    fatima.case.set("plan", f"agreements/{item}/what", "Oma komt op zondag om tien uur")
    fatima.add("in de trein")
    write(world, ("nora",), 14)
    world.settle()
    assert world.relay.known(fatima.stream()).base > 0
    world.network.honest()
    fatima.restart()
    world.settle()
    texts = [text for text in world.phones["nora"].texts() if "trein" in text or "tien" in text]
    assert texts == ["Oma komt op zondag om tien uur", "in de trein"]
    same_for_everybody(world)
    assert fatima.codes() == []


@pytest.mark.usefixtures("soon")
def test_two_owners_do_not_fight() -> None:
    world = family()
    rosa = world.join("rosa", "owner")
    world.settle()
    nora, stream = world.phones["nora"], rosa.stream()
    world.network.offline |= {"nora", "rosa"}
    write(world, ("fatima",), 13)
    world.settle()
    world.network.honest()
    # Both read it and find that it pays; Nora comes between.
    met: list[str] = []

    def meanwhile(network: Network, who: str, data: bytes) -> bytes:
        if any(isinstance(op, wire.Replace) for op in wire.decode_request(data).ops) and not met:
            met.append(who)
            nora.sync()
        return network.truth(who, data)

    world.network.lies["rosa"] = meanwhile
    rosa.sync()
    world.network.honest()
    base = world.relay.known(stream).base
    assert met == ["rosa"]
    assert base > 0
    world.settle()
    assert world.relay.known(stream).base == base, "one snapshot, and nobody makes another one of it"
    assert len(world.relay.records(stream)) == 1
    assert rosa.codes() == nora.codes() == []
    same_for_everybody(world)


def test_devices_wait_for_different_numbers() -> None:
    stream = bytes(16)
    waits = {compacting.patience(bytes([number]) * 16, stream) for number in range(40)}
    assert len(waits) > 20
    assert max(waits) < compacting.MOST_PATIENCE


def test_it_does_not_pay_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    world = family()
    nora = world.phones["nora"]
    write(world, ("nora",), 10)
    world.settle()
    assert world.relay.known(nora.stream()).base == 0, "too few"
    write(world, ("nora",), 60)
    world.settle()
    first = world.relay.known(nora.stream()).base
    assert first > 0
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 2)
    write(world, ("nora",), 3)
    world.settle()
    assert world.relay.known(nora.stream()).base == first, "fewer bytes than the snapshot that all would read again"


def test_a_long_record_counts_as_many_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody typed in a long time comes as one record, at seven times the bytes of a snapshot."""
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    world = family()
    nora = world.phones["nora"]
    for number in range(80):
        nora.add(f"nora {number} met een zin zoals die op een avond geschreven wordt")
    world.settle()
    sizes = nora.store.sizes(nora.session.case, nora.stream())
    assert sizes == [len(placed.record) for placed in nora.store.records(nora.session.case, nora.stream())]
    assert world.relay.known(nora.stream()).base > 0
    assert world.relay.known(nora.stream()).length <= 4
    same_for_everybody(world)


@pytest.mark.usefixtures("soon")
def test_a_child_and_a_member_make_none() -> None:
    world = family()
    world.network.offline.add("nora")
    write(world, ("fatima", "karim"), 10)
    world.settle()
    assert world.relay.known(world.phones["fatima"].stream()).base == 0


def left_out(phone: Phone, whose: bytes) -> wire.Replace:
    """A snapshot by this device of all but what one other device wrote."""
    session, opened = phone.session, phone.session.part("plan")
    stream, position = opened.part.stream, session.position(opened.part.stream)
    entries = opened.fold.ledger.entries
    kept = [entry.raw for entry in entries if entry.device != whose]
    atts = [
        source.att.raw for source in {id(e.source): e.source for e in entries}.values() if source.att.device != whose
    ]
    payload = make_snapshot(
        session.keys.sign,
        stream,
        device=session.device(),
        epoch=session.known().rooms[opened.part.write].epoch,
        head=session.known().head,
        n=position.length,
        chain=position.chain,
        atts=atts,
        changes=kept,
    )
    secrets = session.secrets(stream)
    cap = secrets.manage_cap()
    assert cap is not None
    return wire.Replace(stream=stream, cap=cap, expect=position.chain, record=secrets.seal(payload, bytes(24)))


def test_whoever_knew_more_gives_it_back() -> None:
    world = family()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    world.settle()
    for number in range(4):
        nora.add(f"nora {number}")
    world.settle()
    fatima.add("Fatima was hier")
    world.settle()
    whole = same_for_everybody(world)
    request = wire.Request(1, [left_out(nora, fatima.device_key())], True)
    reply = wire.decode_reply(world.relay.answer(wire.encode(request)), request)
    assert isinstance(reply.results[0], wire.Replaced)
    newcomer = world.fresh("sam")
    assert "Fatima was hier" not in newcomer.texts()
    # Karim gives it back, under Fatima's own signature; Fatima is asleep.
    world.network.offline |= {"fatima", "nora"}
    karim.sync(2)
    newcomer.sync()
    assert "Fatima was hier" in newcomer.texts()
    assert ("left_out", "plan") in karim.alarms()
    world.network.honest()
    world.settle()
    assert same_for_everybody(world) == whole
    assert newcomer.session.read(newcomer.session.part("plan")) == whole
    by = {entry.device for entry in newcomer.fold().ledger.entries}
    assert fatima.device_key() in by


def test_own_words_that_came_before_what_they_stand_on_are_signed_again() -> None:
    """A snapshot leaves Fatima out while a line of hers waits to be sent: the line comes first, and is refused; what it stands
    on is given back after it. Nobody else has the line, and no record will bring it."""
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    item = fatima.add("Fatima was hier")
    world.settle()
    fatima.case.set("plan", f"agreements/{item}/what", "Fatima was hier, en bleef")
    request = wire.Request(1, [left_out(nora, fatima.device_key())], True)
    assert isinstance(wire.decode_reply(world.relay.answer(wire.encode(request)), request).results[0], wire.Replaced)
    world.network.offline |= {"nora", "karim", "sam"}
    fatima.sync()
    assert ("left_out", "plan") in fatima.alarms()
    world.network.honest()
    world.settle()
    assert fatima.fold().pending() == []
    assert "Fatima was hier, en bleef" in nora.texts()
    same_for_everybody(world)
    lengths = world.relay.known(nora.stream()).length
    world.settle()
    assert world.relay.known(nora.stream()).length == lengths


@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_relays_word_that_there_was_a_snapshot_forgets_nothing(back: int) -> None:
    """The relay moves the base under a device that has everything; what lies at its place is an ordinary record."""
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.add("een")
    nora.sync()
    nora.add("twee")
    world.settle()
    stream, case = fatima.stream(), fatima.session.case
    known = fatima.session.position(stream)
    nora.add("drie")
    nora.sync()

    def moved(op: wire.Operation, result: wire.Result) -> wire.Result:
        if not isinstance(result, wire.Batch) or op.stream != stream:
            return result
        base = known.length - back
        there = fatima.store.chain_at(case, StreamId(stream), base)
        assert there is not None
        return msgspec.structs.replace(result, base=base, base_chain=there)

    world.network.lies["fatima"] = lambda network, who, data: changed(network, who, data, moved)
    assert "broken_chain" in fatima.sync(2)
    world.network.honest()
    fatima.restart()
    fatima.sync()
    assert fatima.session.position(stream).base == 0
    assert {"een", "twee", "drie"} <= set(fatima.texts())
    world.settle()
    same_for_everybody(world)


def test_what_is_of_a_newer_version_is_not_compacted_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    world = family()
    nora = world.phones["nora"]
    stream = nora.stream()
    newer = nora.secrets(stream).seal(msgspec.msgpack.encode({"k": "drawing", "of": "a horse"}), bytes(24))
    nora.store.add_outbox(nora.session.case, stream, newer)
    write(world, ("nora",), 40)
    world.settle()
    assert newer in world.relay.records(stream)
    nora.restart()
    world.settle()
    assert newer in world.relay.records(stream)
    assert world.relay.known(stream).base == 0


@pytest.mark.usefixtures("soon")
def test_a_part_that_no_record_holds_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    world = family()
    nora = world.phones["nora"]
    monkeypatch.setattr(compacting.wire, "MAX_RECORD_BYTES", 600)
    write(world, ("nora",), 14)
    world.settle()
    assert world.relay.known(nora.stream()).base == 0
    assert not compacting.due(nora.session, nora.session.part("plan")), "it is not tried again at every sync"
    assert nora.codes() == []
    same_for_everybody(world)
