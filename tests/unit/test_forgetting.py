"""A part founded anew: the present state for everybody, the past for nobody, and no work of anybody lost."""

from __future__ import annotations

import msgspec
import pytest

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.errors import Misuse, Unreachable
from eigenkring.ids import StreamId
from eigenkring.session import forgetting, kept, preparing
from eigenkring.session.acting import author_of
from eigenkring_server.relay import Stream
from simulator import Network, Phone, World, family


def everywhere(world: World) -> bytes:
    """All that lies anywhere, opened where it can be: what a thief with every phone and the relay would find."""
    found = [bytes(record) for stream in world.relay.store._records for record in world.relay.records(stream)]
    for phone in world.phones.values():
        found.append(phone.backup())
        session = phone.session
        for part in session.known().part_streams.values():
            placed = phone.store.records(session.case, part.stream)
            found += [session.payload_of(part.stream, one) or b"" for one in placed]
        for opened in session.parts.values():
            found += opened.fold.admitted()
    return b"\n".join(found)


def with_a_secret() -> tuple[World, StreamId]:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    item = nora.add("Kwartelkoning is zijn bijnaam")
    world.settle()
    fatima.case.set("plan", f"agreements/{item}/what", "Opa komt op maandag")
    fatima.add("Soep op dinsdag")
    world.settle()
    return world, nora.stream()


def plan_of(phone: Phone) -> dict[str, object]:
    shown: dict[str, object] = phone.case.show("plan")
    return shown


def test_the_present_stays_and_the_past_goes() -> None:
    world, old = with_a_secret()
    nora, karim = world.phones["nora"], world.phones["karim"]
    before = plan_of(karim)
    sealed = bytes(karim.store.records(karim.session.case, old)[1].record)
    assert b"Kwartel" in everywhere(world)
    assert any(sealed in phone.backup() for phone in world.phones.values())
    assert nora.case.forget("plan") == "plan"
    assert world.relay.store._records.get(old, {}) == {}
    world.settle()
    assert nora.stream() != old
    for phone in world.phones.values():
        assert plan_of(phone) == before
        assert phone.store.position(phone.session.case, old) is None
        assert sealed not in phone.backup()
        assert phone.codes() == []
    # One letter is one insertion in a change: the word is looked for as the engine keeps it, too.
    assert b"Kwartel" not in everywhere(world)
    newcomer = world.fresh("karim")
    assert plan_of(newcomer) == before
    assert len(newcomer.fold().ledger.entries) == 1
    nora.add("en verder")
    world.settle()
    assert "en verder" in karim.texts()


def test_offline_work_comes_as_new_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_EVERY", 1)
    world, old = with_a_secret()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    world.settle()
    world.network.offline |= {"fatima", "karim"}
    agreements = plan_of(fatima)["agreements"]
    assert isinstance(agreements, dict)
    item = next(item for item, fields in agreements.items() if fields["what"].startswith("Soep"))
    fatima.case.set("plan", f"agreements/{item}/what", "Linzensoep op dinsdag")
    fatima.add("in de trein bedacht")
    karim.case.delete("plan", f"agreements/{item}")
    nora.case.forget("plan")
    nora.add("daarna")
    nora.sync()
    world.network.offline.discard("fatima")
    fatima.restart()
    fatima.sync()
    assert fatima.texts() == sorted(
        ["Oma belt op zondag", "Opa komt op maandag", "Linzensoep op dinsdag", "in de trein bedacht", "daarna"]
    )
    world.network.honest()
    world.settle()
    assert plan_of(nora) == plan_of(fatima) == plan_of(karim)
    assert "in de trein bedacht" in karim.texts()
    assert fatima.codes() == karim.codes() == []
    for phone in world.phones.values():
        assert phone.store.position(phone.session.case, old) is None
        assert [item for item in phone.store.outbox(phone.session.case) if item.stream == old] == []
        assert phone.store.fact(phone.session.case, f"fold {old.hex()}") is None
    assert b"Kwartel" not in everywhere(world)


def test_what_comes_at_the_last_moment_is_not_lost() -> None:
    """Fatima's words reach the relay between Nora's last reading and her exchange."""
    world, _ = with_a_secret()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    met: list[str] = []

    def meanwhile(network: Network, who: str, data: bytes) -> bytes:
        if any(isinstance(op, wire.Close) for op in wire.decode_request(data).ops) and not met:
            met.append(who)
            fatima.add("op het nippertje")
            fatima.sync()
        return network.truth(who, data)

    world.network.lies["nora"] = meanwhile
    nora.case.forget("plan")
    world.network.honest()
    assert met
    world.settle()
    assert all(phone.texts().count("op het nippertje") == 1 for phone in world.phones.values())


def test_the_answer_is_lost() -> None:
    world, old = with_a_secret()
    nora = world.phones["nora"]
    before = plan_of(nora)

    def lost(network: Network, who: str, data: bytes) -> bytes:
        closes = any(isinstance(op, wire.Close) for op in wire.decode_request(data).ops)
        answer = network.truth(who, data)
        if closes:
            network.lies.clear()
            raise Unreachable("timed_out", "no answer in time")
        return answer

    world.network.lies["nora"] = lost
    with pytest.raises(Unreachable):
        nora.case.forget("plan")
    nora.restart()
    world.settle()
    assert nora.stream() != old
    assert all(plan_of(phone) == before for phone in world.phones.values())
    assert nora.codes() == []


def test_twice_and_by_whom() -> None:
    world, _ = with_a_secret()
    nora, fatima, sam = (world.phones[name] for name in ("nora", "fatima", "sam"))
    nora.case.forget("plan")
    nora.case.forget("plan")
    world.settle()
    assert plan_of(nora) == plan_of(fatima)
    with pytest.raises(Misuse) as refused:
        fatima.case.forget("plan")
    assert refused.value.code == "not_permitted"
    # One's own part is one's own to forget, also where owners keep the lock.
    for phone in (sam, fatima):
        phone.case.forget("diary")
    world.settle()
    with pytest.raises(Misuse):
        nora.case.forget(f"diary@{sam.person}")
    assert nora.codes() == fatima.codes() == sam.codes() == []


def test_a_part_whose_lock_the_owners_keep() -> None:
    """Sam founds what is about Sam anew, with a stream an owner prepared; an owner's device closes the old one."""
    world = family()
    nora, sam = world.phones["nora"], world.phones["sam"]
    old = sam.stream("contacts")
    with pytest.raises(Misuse) as refused:
        sam.case.forget("contacts")
    assert refused.value.code == "not_yet", "no stream is prepared"
    blanks = compose.make_blanks(nora.session.known(), author_of(nora.session), 1)
    sam.store.put_fact(sam.session.case, "blanks", msgspec.msgpack.encode(blanks))
    sam.case.forget("contacts")
    assert sam.stream("contacts") != old
    assert isinstance(world.relay.store._streams[old], Stream), "Sam does not hold the key to close it"
    nora.sync()
    assert not isinstance(world.relay.store._streams[old], Stream)
    assert forgetting.to_close(nora.session) == []
    world.settle()
    assert nora.codes() == sam.codes() == []


def said_by(phone: Phone, *texts: str) -> None:
    """Something in the part that this person alone writes and owners manage, and gone again."""
    for text in texts:
        item = phone.case.add("voice", "questions", {"text": text})
        phone.sync()
        phone.case.delete("voice", f"questions/{item}")
        phone.sync()


def test_a_persons_own_part_is_forgotten_when_an_owner_gave_the_lock() -> None:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    name = fatima.case.full_name("voice")
    said_by(fatima, "Kwartelkoning")
    world.settle()
    old = fatima.session.known().parts[name].stream
    before = fatima.case.show("voice")
    assert b"Kwartel" in everywhere(world)
    with pytest.raises(Misuse) as later:
        fatima.case.forget("voice")
    assert later.value.code == "not_yet"
    fatima.restart()
    world.settle()
    world.settle()
    for phone in (nora, fatima):
        assert phone.session.known().parts[name].stream != old
        assert phone.codes() == []
    assert fatima.case.show("voice") == before
    assert nora.case.show(name) == before
    assert not isinstance(world.relay.store._streams.get(old), Stream)
    assert b"Kwartel" not in everywhere(world)
    # The others that were given are there for the next time, with nobody asked.
    world.network.offline.add("nora")
    said_by(fatima, "Roerdomp")
    fatima.case.forget("voice")
    world.network.offline.clear()
    world.settle()
    assert b"Roerdomp" not in everywhere(world)
    assert fatima.codes() == nora.codes() == []


def test_who_is_no_owner_is_asked_for_no_lock_and_gives_none() -> None:
    world = family()
    fatima, karim = world.phones["fatima"], world.phones["karim"]
    ops = preparing.want(fatima.session, fatima.case.full_name("voice"))
    world.network.offline.add("nora")
    fatima.case.transport.exchange(ops)
    karim.sync(3)
    assert preparing.to_give(karim.session) == []
    fatima.sync(2)
    assert preparing.needs_blank(fatima.session, fatima.case.full_name("voice"))
