"""The day an author claims: shown, kept as long as it is known, and deciding nothing."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors"))

from make_part import ADD, SCENARIOS, Scenario, Scene
from part_world import DAY, Device, Stream
from test_clocks import TEN_YEARS, with_clock

from eigenkring import document
from eigenkring.crdt import Engine
from eigenkring.ids import StreamId
from eigenkring.part.attestation import FIRST_DAY, LAST_DAY
from eigenkring.part.cache import dump_fold, load_fold
from eigenkring.part.history import shown_day
from eigenkring.part.record import Edit, parse_record
from eigenkring.session import compacting, kept
from eigenkring.session.words import Words
from simulator import NOON, Phone, World, family

TODAY = NOON // 86_400


# --- it decides nothing


def judged(scenario: Scenario, days: Iterator[int | None]) -> tuple[list[Any], dict[str, Any]]:
    scene = Scene()
    scene.stream.days = days
    scenario(scene)
    vector = scene.vector("")
    verdicts = [dict(step["verdict"]) for step in vector["steps"] if "verdict" in step]
    for verdict in verdicts:
        verdict["give_back"] = len(verdict["give_back"])  # the bytes hold the day
    return verdicts, {**vector["out"], "days": len(vector["out"]["days"])}


def test_no_verdict_depends_on_a_day() -> None:
    """Every scenario of a part's vectors, with no day, the first, the last that fits, and days in any order."""
    others = [one for one in SCENARIOS if "day" not in one.__name__]
    assert len(others) > 80
    absurd = [0, 2**32 - 1, DAY, None, DAY - 900, 1, 2**31]
    for scenario in others:
        usual = judged(scenario, itertools.repeat(DAY))
        for days in (itertools.repeat(None), itertools.repeat(0), itertools.cycle(absurd)):
            assert judged(scenario, days) == usual, scenario.__name__


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        (None, None),
        (0, None),
        (FIRST_DAY - 1, None),
        (FIRST_DAY, "2026-01-01"),
        (DAY, "2026-03-03"),
        (LAST_DAY, "9999-12-31"),
        (LAST_DAY + 1, None),
        (2**32 - 1, None),
    ],
)
def test_a_day_that_cannot_be_is_shown_as_none(day: int | None, shown: str | None) -> None:
    assert shown_day(day) == shown


# --- what is kept


def days_of(device: Device) -> list[int | None]:
    return [entry.day for entry in device.fold.ledger.entries]


def test_a_part_that_was_kept_without_days_opens() -> None:
    """As every program before there were days kept it, and without folding it anew."""
    stream = Stream()
    nora, karim = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    nora.send()
    karim.pull()
    data, saved = dump_fold(karim.fold), karim.engine.save()
    again = Device("karim", stream)
    assert load_fold(again.fold, data, Engine.load(saved, karim.actor))
    assert days_of(again) == [DAY]
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(data)[:-1])
    again = Device("karim", stream)
    assert load_fold(again.fold, older, Engine.load(saved, karim.actor))
    assert days_of(again) == [None]
    assert again.fold.settled_hashes() == karim.fold.settled_hashes()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "FEWEST_RECORDS", 12)
    monkeypatch.setattr(compacting, "MOST_PATIENCE", 1)
    monkeypatch.setattr(kept, "KEPT_EVERY", 1)


def claims(phone: Phone) -> list[tuple[str, str | None]]:
    return [(line["by"], line["at"]) for line in phone.case.history("plan")]


def a_day_later(world: World) -> None:
    world.now += 86_400


def test_history_says_on_which_day() -> None:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.add("vandaag")
    a_day_later(world)
    fatima.add("morgen")
    world.settle()
    assert claims(nora) == claims(fatima)
    assert claims(nora)[-2:] == [("Nora", "2026-09-21"), ("Fatima", "2026-09-22")]
    fatima.restart()
    assert claims(fatima) == claims(nora)


@pytest.mark.usefixtures("soon")
def test_who_knew_the_days_keeps_them_over_a_snapshot_and_who_comes_later_sees_the_newest() -> None:
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    for number in range(9):
        for phone in (nora, fatima):
            phone.add(f"{phone.name} {number}")
            phone.session.unsent.clear()
        a_day_later(world)
    world.settle()
    before = claims(fatima)
    assert len({day for _, day in before}) == 9
    assert world.relay.known(nora.stream()).base >= 12
    fatima.restart()
    assert claims(fatima) == before
    fatima.session._refold(fatima.session.part("plan"))
    assert claims(fatima) == before, "and where all is folded again from the snapshot"
    newcomer = claims(world.fresh("karim"))
    assert [by for by, _ in newcomer] == [by for by, _ in before]
    known = [at for at, (_, day) in enumerate(newcomer) if day is not None]
    assert known and all(newcomer[at] == before[at] for at in known)
    assert {newcomer[at][0] for at in known} == {"Nora", "Fatima"}
    assert len(known) < len(before) / 2


@pytest.mark.usefixtures("soon")
def test_days_are_kept_where_own_changes_are_made_again() -> None:
    """A part is opened anew then, and what was claimed lies in none of its records any more."""
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    for number in range(14):
        nora.add(f"Nora {number}")
        world.settle()
    before = claims(fatima)
    assert before.count(("Nora", "2026-09-21")) >= 14 and world.relay.known(nora.stream()).base >= 12
    a_day_later(world)
    fatima.add("nog niet verstuurd")
    made = fatima.session.store.own_changes(fatima.session.case, fatima.stream())[-1]
    opened = fatima.session.part("plan")
    # As if the stream had refused it.
    opened.fold._pending.clear()
    fatima.session.store.drop_outbox(fatima.session.store.outbox(fatima.session.case)[-1].number)
    assert fatima.session.make_again() == 1
    assert fatima.session.part("plan") is not opened
    assert made.hash not in fatima.fold().admitted_hashes()
    fatima.sync()
    assert claims(fatima) == [*before, ("Fatima", "2026-09-22")]


# --- what is claimed


def attested(phone: Phone, stream: StreamId) -> list[int | None]:
    found = []
    for item in phone.store.outbox(phone.session.case):
        if item.stream == stream and item.record is not None:
            read = phone.session.known().part_streams[stream].read
            record = parse_record(phone.session.open_record(stream, read, item.record))
            assert isinstance(record, Edit)
            found.append(record.att.day)
    return found


def test_what_was_typed_on_two_days_is_two_records_of_a_day_each() -> None:
    world = family()
    nora = world.phones["nora"]
    plan = nora.stream()
    for day in range(2):
        for number in range(3):
            nora.add(f"{day} {number}")
        a_day_later(world)
    before = len(world.relay.records(plan))
    nora.sync()
    assert len(world.relay.records(plan)) == before + 2
    world.settle()
    assert claims(world.phones["fatima"])[-6:] == [("Nora", "2026-09-21")] * 3 + [("Nora", "2026-09-22")] * 3


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("off", [TEN_YEARS, -TEN_YEARS, -2 * NOON, 2**45])
def test_a_clock_that_is_off_claims_no_day(off: int, *, dated: bool) -> None:
    world = family()
    nora = with_clock(world.phones["nora"], off, dated=dated)
    nora.sync()
    nora.add("een woord")
    assert attested(nora, nora.stream()) == [None]
    nora.sync()
    world.settle()
    assert claims(world.phones["fatima"])[-1] == ("Nora", None)
    assert "een woord" in world.phones["fatima"].texts()


def test_a_liar_about_the_day_is_shown_and_stays_where_the_word_came() -> None:
    """A member claims last year, next year, and the end of all days: the list keeps the order of the stream."""
    world = family()
    fatima = world.phones["fatima"]
    for day in (FIRST_DAY, TODAY + 365, 2**32 - 1):
        changes = _written(fatima, f"op dag {day}")
        with fatima.store.step():
            fatima.session.queue(fatima.session.part("plan"), Words(fatima.session.row.incarnation, day, changes))
        fatima.session.unsent.clear()
    world.settle()
    for phone in world.phones.values():
        assert claims(phone)[-3:] == [("Fatima", "2026-01-01"), ("Fatima", "2027-09-21"), ("Fatima", None)]
        assert not [code for code in phone.codes() if code != "new_generation"]
        assert len(phone.texts()) == 4


def _written(phone: Phone, text: str) -> list[bytes]:
    opened = phone.session.part("plan")
    intents = [["add", "agreements", phone.world.random(10).hex(), {"what": text}]]
    changes = document.apply_intents(opened.engine, phone.session.kind(opened.part), intents)
    opened.fold.take_own(changes)
    return changes
