"""A part kept as it was folded: opened without checking a signature again, and thrown away where it does not fit."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from eigenkring.part import fold as folding
from eigenkring.part.standing import is_outdated
from eigenkring.session import compacting, kept
from simulator import Phone, World, family


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_EVERY", 1)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Of each attestation that was verified, the stream."""
    seen: list[bytes] = []
    verify = folding.verify_attestation

    def counting(*of: Any) -> None:
        seen.append(of[-1])
        verify(*of)

    monkeypatch.setattr(folding, "verify_attestation", counting)
    return seen


def busy() -> World:
    world = family()
    for number in range(4):
        for name in ("nora", "fatima"):
            world.phones[name].add(f"{name} {number}")
    world.settle()
    return world


def state(phone: Phone) -> tuple[Any, ...]:
    fold = phone.fold()
    entries = [(entry.hash, entry.device, entry.index) for entry in fold.ledger.entries]
    return phone.documents(), entries, fold.state()[:7], fold.door.clock(), fold.basis()


@pytest.mark.usefixtures("often")
def test_opening_checks_no_signature_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy()
    fatima = world.phones["fatima"]
    before, seen = state(fatima), counted(monkeypatch)
    fatima.restart()
    assert state(fatima) == before
    assert seen == []
    # Only what came since.
    world.phones["nora"].add("nieuw")
    world.phones["nora"].sync()
    seen.clear()
    fatima.sync()
    assert len(seen) == 1
    assert "nieuw" in fatima.texts()


def test_one_record_with_an_hours_typing_is_kept_and_a_word_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    name = f"fold {fatima.stream().hex()}"
    kept_before = fatima.store.fact(fatima.session.case, name)
    nora.add("een woord")
    world.settle()
    assert fatima.store.fact(fatima.session.case, name) == kept_before
    for number in range(400):
        nora.add(f"{number} {nora.world.random(24).hex()}")
    world.settle()
    assert fatima.fold().length < kept.KEPT_EVERY
    before, seen = state(fatima), counted(monkeypatch)
    fatima.restart()
    assert state(fatima) == before
    # Another part may have its one record from before, and whether it was kept depends on who began the family.
    assert fatima.stream() not in seen


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("how", ["a bit", "cut short", "empty", "another part", "another version", "no document"])
def test_what_does_not_fit_is_passed_over(how: str) -> None:
    world = busy()
    fatima = world.phones["fatima"]
    before = state(fatima)
    case, stream = fatima.session.case, fatima.stream()
    name = f"fold {stream.hex()}"
    found = fatima.store.fact(case, name)
    assert found is not None
    packed = found[32:]
    damaged = {
        "a bit": found[:400] + bytes([found[400] ^ 1]) + found[401:],
        "cut short": found[:-9],
        "empty": b"",
        "another part": _signed(packed.replace(stream, bytes(16))),
        "another version": _signed(packed[:40]),
        "no document": _signed(packed.replace(b"\x85\x6f\x4a\x83", bytes(4))),
    }[how]
    fatima.store.put_fact(case, name, damaged)
    fatima.restart()
    assert state(fatima) == before
    fatima.add("en verder")
    world.settle()
    assert "en verder" in world.phones["nora"].texts()


def _signed(packed: bytes) -> bytes:
    return hashlib.sha256(packed).digest() + packed


@pytest.mark.usefixtures("often")
def test_another_log_in_the_store_is_folded_anew() -> None:
    world = busy()
    fatima = world.phones["fatima"]
    case, stream = fatima.session.case, fatima.stream()
    old = fatima.store.fact(case, f"fold {stream.hex()}")
    before = state(fatima)
    fatima.store._sql.execute(
        "UPDATE record SET chain=? WHERE stream=? AND idx=?", (bytes(32), stream, fatima.fold().length)
    )
    assert not kept.load(fatima.session, fatima.session.part("plan"), bytes(24))
    assert old is not None
    assert before == state(fatima)


@pytest.mark.usefixtures("often")
def test_unsent_work_is_there_after_opening() -> None:
    world = busy()
    fatima, nora = world.phones["fatima"], world.phones["nora"]
    world.network.offline.add("fatima")
    item = fatima.add("in de trein")
    fatima.sync()
    nora.add("thuis")
    nora.sync()
    fatima.restart()
    assert "in de trein" in fatima.texts()
    fatima.case.set("plan", f"agreements/{item}/what", "in de trein naar huis")
    fatima.restart()
    world.network.honest()
    world.settle()
    assert {"in de trein naar huis", "thuis"} <= set(nora.texts())
    assert nora.texts() == fatima.texts()
    assert fatima.codes() == []


@pytest.mark.usefixtures("often")
def test_a_removal_is_seen_by_what_was_kept() -> None:
    world = busy()
    karim, nora, fatima = (world.phones[name] for name in ("karim", "nora", "fatima"))
    world.network.offline.add("karim")
    karim.add("van Karim, te laat")
    nora.case.remove("Karim")
    world.settle(only=["nora", "fatima"])
    fatima.restart()
    assert fatima.texts() == nora.texts()
    assert not is_outdated(fatima.fold().outlook(), fatima.stream(), fatima.session.known())


@pytest.mark.usefixtures("often")
def test_after_a_snapshot_it_is_kept_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    world = busy()
    for number in range(12):
        world.phones["nora"].add(f"meer {number}")
        world.phones["nora"].sync()
    world.settle()
    fatima = world.phones["fatima"]
    assert fatima.session.position(fatima.stream()).base > 0
    before, seen = state(fatima), counted(monkeypatch)
    fatima.restart()
    assert state(fatima) == before
    assert seen == []
