"""What years bring: programs of two versions beside each other, and a device that was in a drawer for one of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from eigenkring.charter import entry
from eigenkring.part import author, fold, ledger, record
from eigenkring.part.attestation import ATTESTATION_BYTES
from eigenkring.session import clocks, compacting, folding, kept
from eigenkring.view import PartSelection, Selection
from simulator import Phone, World, family, family_image

YEAR = 365 * 86_400


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    entry.parse_entry.cache_clear()


@contextmanager
def newer_edits() -> Iterator[None]:
    """A program of a later version, whose edits are of another kind."""
    parse, make = record.parse_record, record.make_edit

    def parse_too(payload: bytes) -> record.Edit | record.Snapshot | record.Unknown:
        found = parse(payload)
        if isinstance(found, record.Unknown) and found.kind == "edit2":
            fields = msgspec.msgpack.decode(payload)
            return parse(make(fields["att"], fields["changes"]))
        return found

    def make_such(att: bytes, changes: list[bytes]) -> bytes:
        return msgspec.msgpack.encode(msgspec.msgpack.decode(make(att, changes)) | {"k": "edit2"})

    with pytest.MonkeyPatch.context() as patch:
        for module in (fold, folding):
            patch.setattr(module, "parse_record", parse_too)
        for module in (author, ledger):
            patch.setattr(module, "make_edit", make_such)
        yield


@contextmanager
def before_days() -> Iterator[None]:
    """The program of before an author claimed a day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "_KINDS", {ATTESTATION_BYTES: "edit"})
        patch.setattr(clocks, "claimed_day", lambda _: None)
        yield


def updated(phone: Phone) -> None:
    """The same store, opened by the program of now."""
    entry.parse_entry.cache_clear()
    phone.restart()


def test_who_knows_no_days_sets_a_dated_edit_aside_and_takes_it_in_after_the_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "KEPT_EVERY", 1)
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 2)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    with before_days():
        # Begun by that program too: what another test began has days in it, which it sets aside.
        world = World.of(family_image.__wrapped__(), 0)
        nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
        for number in range(4):
            nora.add(f"van voor de dagen {number}")
            world.settle()
    replaced = world.relay.known(nora.stream()).base
    assert replaced > 0, "a snapshot of attestations without days"
    updated(nora)
    nora.add("van nu")
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 200)
    nora.sync()
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 2)
    with before_days():
        for _ in range(3):
            karim.add("van een ouder")
            karim.sync(2)
            karim.restart()
        assert "van nu" not in karim.texts() and karim.codes() == []
        assert world.relay.known(nora.stream()).base == replaced, "an older program replaced what it could not read"
    for phone in (karim, nora, fatima):
        updated(phone)
    world.settle()
    for phone in (karim, nora, fatima):
        assert "van nu" in phone.texts() and phone.texts().count("van een ouder") == 3
        assert phone.codes() == [] and phone.documents()["plan"] == karim.documents()["plan"]
    assert world.relay.known(nora.stream()).base > replaced, "and a snapshot of both"
    days = {line["by"]: line["at"] for line in nora.case.history("plan")}
    assert days == {"Nora": "2026-09-21", "Karim": None}
    assert world.fresh("karim").documents() == karim.documents()


def test_an_edit_of_a_later_version_is_set_aside_and_taken_in_after_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_EVERY", 1)
    world = family()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    with newer_edits():
        nora.add("van een nieuwer programma")
        nora.sync()
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 2)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    for _ in range(3):
        karim.add("van een ouder")
        karim.sync(2)
        karim.restart()
    assert "van een nieuwer programma" not in karim.texts()
    assert karim.codes() == []
    assert world.relay.known(nora.stream()).base == 0, "an older program replaced what it could not read"
    with newer_edits():
        updated(karim)
        assert "van een nieuwer programma" in karim.texts(), "set aside for ever"
        for phone in (nora, fatima):
            updated(phone)
            phone.sync(2)
            assert phone.texts() == karim.texts()
            assert phone.texts().count("van een ouder") == 3
        assert karim.codes() == fatima.codes() == nora.codes() == []


def test_an_entry_of_a_later_version_holds_up_what_rests_on_it_until_the_update(newer: pytest.MonkeyPatch) -> None:
    world = family()
    nora, karim = world.phones["nora"], world.phones["karim"]
    nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    nora.add("na de inzage")
    nora.sync()
    with pytest.MonkeyPatch.context() as older:
        entry.parse_entry.cache_clear()
        older.setattr(entry, "KINDS", entry.KINDS - {"grant"})
        karim.restart()
        karim.add("intussen")
        karim.sync(2)
        assert "future_version" in karim.codes()
        assert karim.session.known().grants == {}
        assert "intussen" in karim.texts()
        # A device that does not know what was decided judges nothing that rests on it.
        assert "na de inzage" not in karim.texts()
        assert karim.here()
    updated(karim)
    karim.sync(2)
    assert "na de inzage" in karim.texts()
    assert len(karim.session.known().grants) == 1
    assert karim.codes() == []
    world.settle()
    assert nora.texts() == karim.texts()
    assert "intussen" in nora.texts()


def test_a_device_a_year_behind_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It missed snapshots, two removals, a relay that was put back, and a part founded anew; and it has words of its own."""
    world = family(9)
    lea = world.join("lea")
    lea.add("voor het jaar")
    world.settle()
    nora, fatima, karim, sam = (world.phones[name] for name in ("nora", "fatima", "karim", "sam"))
    world.network.offline.add("lea")
    lea.add("in de la bedacht")
    lea.add("in mijn dagboek", "diary", "entries", "text")

    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 6)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    bases = set()
    for month in range(4):
        world.now += YEAR // 8
        for number in range(8):
            fatima.add(f"maand {month} woord {number}")
            fatima.sync()
        world.settle()
        bases.add(world.relay.known(nora.stream()).base)
    assert len(bases) >= 3, "no snapshots were made"
    nora.case.remove("Karim")
    world.settle()
    backup = copy.deepcopy(world.relay.store)
    nora.case.remove("Sam")
    fatima.add("na twee afscheiden")
    world.settle()
    world.relay.store, world.relay.generation = backup, 1_900_000_000
    world.settle()
    world.settle()
    nora.case.forget("plan")
    world.settle()
    fatima.add("in het nieuwe plan")
    world.settle()
    world.now += YEAR // 2

    world.network.offline.clear()
    lea.restart()
    for _ in range(3):
        lea.sync()
        nora.sync()
        fatima.sync()
    world.settle()
    assert lea.here()
    assert lea.texts() == nora.texts() == fatima.texts()
    for words in ("voor het jaar", "in de la bedacht", "na twee afscheiden", "in het nieuwe plan"):
        assert lea.texts().count(words) == 1, words
    assert lea.texts("diary", "entries", "text") == ["in mijn dagboek"]
    assert {person.name for person in lea.session.known().present()} == {"Nora", "Fatima", "Lea"}
    assert not karim.here() and not sam.here()
    assert set(lea.codes()) <= {"new_generation", "rolled_back"}
    assert not lea.store.outbox(lea.session.case)
    assert world.fresh("lea").documents() == lea.documents()
