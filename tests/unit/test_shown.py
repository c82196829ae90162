"""A part of which only the words are read, and a charter as it was kept: nothing of the engine and no signature until
somebody writes or something comes, and never other words than the records lead to. Twin of pwa/test/shown.test.ts."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import document
from eigenkring.charter import rules
from eigenkring.charter.state import Charter
from eigenkring.crdt import Engine
from eigenkring.errors import Misuse
from eigenkring.library import Device
from eigenkring.session import kept
from eigenkring.session.case import CaseState
from eigenkring.session.kept_charter import keep_charter, load_charter
from eigenkring.session.pushed import Pushed, take_pushed
from eigenkring.stream import Position
from eigenkring.watching import marks
from eigenkring_crypto.device import DeviceKeys
from simulator import Phone, World, family


@dataclass
class Count:
    made: int = 0  # engines, empty ones or of what was saved
    folded: int = 0  # entries of charters
    grown: int = 0  # keys for boxes


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Count:
    """What was done since it was last set to nothing."""
    count = Count()
    begin, apply, grow = Engine.__init__, rules.apply, DeviceKeys.from_seed

    def beginning(engine: Engine, actor: bytes) -> None:
        count.made += 1
        begin(engine, actor)

    def applying(*of: Any) -> Any:
        count.folded += 1
        return apply(*of)

    def growing(seed: bytes) -> DeviceKeys:
        count.grown += 1
        return grow(seed)

    monkeypatch.setattr(Engine, "__init__", beginning)
    monkeypatch.setattr(rules, "apply", applying)
    monkeypatch.setattr(DeviceKeys, "from_seed", growing)
    return count


@pytest.fixture
def world() -> World:
    world = family()
    world.phones["nora"].add("Samen eten")
    world.settle()
    world.settle()
    return world


def reopened(phone: Phone, count: Count | None = None) -> Phone:
    """Put off and on again."""
    phone.restart()
    if count is not None:
        count.made = count.folded = count.grown = 0
    return phone


def name_of(phone: Phone) -> str:
    return f"shown {phone.stream().hex()}"


def opened(phone: Phone) -> list[str]:
    return [part.part.name for part in phone.session.parts.values() if part.shown is None]


def test_reading_asks_no_engine_no_signature_and_no_key(world: World, count: Count) -> None:
    for phone in world.phones.values():
        before = phone.case.show()
        reopened(phone, count)
        assert phone.case.show() == before
        assert list(phone.case.show()) == list(before)
        assert phone.texts() == ["Oma belt op zondag", "Samen eten"]
        assert [row["role"] for row in phone.device.cases()]
        assert (count.made, count.folded, count.grown) == (0, 0, 0)


def test_a_sync_that_brings_nothing_opens_no_part(world: World, count: Count) -> None:
    for phone in world.phones.values():
        before = phone.case.show()
        reopened(phone, count).sync()
        assert phone.case.show() == before
        assert count.made == 0
        assert count.folded > 0  # who sends and receives stands on the records of the charter
        assert phone.codes() == []


def test_whatever_decides_stands_on_the_records(world: World, count: Count) -> None:
    nora = world.phones["nora"]
    before, log = nora.case.charter, nora.case.log()
    reopened(nora, count)
    assert nora.session.seen() == before and count.folded == 0
    assert nora.case.log() == log and count.folded > 0
    # Field by field: nothing of it was lost on the way.
    assert nora.case.charter == before
    assert list(nora.case.charter.heads) == list(before.heads)


def test_the_words_that_were_kept_are_not_read_out_of_the_engine_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[bytes]] = []
    reads = document.read

    def reading(engine: document.DocumentEngine, *schema: Any) -> document.Document:
        asked.append(engine.heads())
        return reads(engine, *schema)

    monkeypatch.setattr(document, "read", reading)
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.add("Van Nora")
    nora.sync()
    fatima.sync()
    assert opened(fatima) == ["plan"] and "Van Nora" in fatima.texts() and len(asked) > 0
    asked.clear()
    shown = fatima.case.show("plan")["agreements"]
    assert asked == []
    # Who was given the words may change them: the next one gets them as they are.
    next(iter(shown.values()))["what"] = "iets anders"
    assert "iets anders" not in fatima.texts()
    fatima.add("Van Fatima")
    assert "Van Fatima" in fatima.texts() and len(asked) > 0


def test_it_is_opened_by_a_record_of_another_one_and_only_that_part(world: World, count: Count) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    reopened(fatima, count)
    nora.add("Van Nora")
    nora.sync()
    count.made = 0
    fatima.sync()
    assert "Van Nora" in fatima.texts()
    assert count.made > 0 and opened(fatima) == ["plan"]
    assert fatima.codes() == []
    # And is shown again as it is now.
    reopened(fatima, count)
    assert "Van Nora" in fatima.texts() and count.made == 0


def test_it_is_opened_by_an_own_word_which_arrives(world: World, count: Count) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    reopened(fatima)
    world.network.offline.add("fatima")
    fatima.add("Zonder lijn")
    assert "Zonder lijn" in reopened(fatima).texts()
    world.network.honest()
    world.settle()
    assert "Zonder lijn" in nora.texts()
    reopened(fatima, count)
    assert "Zonder lijn" in fatima.texts()
    # All own words were taken: nothing is to be made again, and nothing to be opened for it.
    fatima.sync()
    assert count.made == 0


def test_who_watches_is_told_of_what_came_and_of_nothing_else(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    before = marks(reopened(fatima).case)
    assert opened(fatima) == []
    for opening in fatima.session.parts.values():
        assert opening.fold.engine is not None
    assert marks(fatima.case) == before  # whether it was opened is no news
    nora.add("Van Nora")
    world.settle()
    assert {name for name, mark in marks(fatima.case).items() if mark != before.get(name)} == {"plan"}


def test_everybodys_work_goes_along_into_a_cut(world: World) -> None:
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    fatima.add("Van Fatima")
    world.settle()
    reopened(nora)
    assert opened(nora) == []
    nora.case.remove("Fatima")
    world.settle(only=["nora", "karim"])
    assert "Van Fatima" in nora.texts() and nora.texts() == karim.texts()
    assert karim.codes() == []


def test_a_pushed_record_that_is_noise_is_left_to_a_sync(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.add("Van Nora")
    nora.sync()
    reopened(fatima)
    stream = fatima.stream()
    here = fatima.session.position(stream).length
    honest = nora.session.store.records(nora.session.case, stream, here)[-1].record
    noise = type(honest)(honest[:-1] + bytes([honest[-1] ^ 1]))
    assert opened(fatima) == []
    assert not take_pushed(fatima.session, [Pushed(stream, here + 1, noise)])


@pytest.mark.parametrize("how", ["a bit", "cut short", "empty", "another version", "nothing of ours"])
def test_what_does_not_fit_is_passed_over(how: str, world: World, count: Count) -> None:
    nora = world.phones["nora"]
    case, before = nora.session.case, nora.case.show()
    found = nora.store.fact(case, name_of(nora))
    assert found is not None
    packed = found[32:]
    shown = msgspec.msgpack.decode(packed, type=kept.ShownPart)
    damaged = {
        "a bit": found[:-3] + bytes([found[-3] ^ 1]) + found[-2:],
        "cut short": found[:-20],
        "empty": b"",
        "another version": _signed(msgspec.msgpack.encode(msgspec.structs.replace(shown, version=99))),
        "nothing of ours": _signed(b"\xc0"),
    }[how]
    nora.store.put_fact(case, name_of(nora), damaged)
    reopened(nora, count)
    assert nora.case.show() == before
    assert count.made > 0 and opened(nora) == ["plan"]
    nora.sync()
    assert nora.codes() == []


def _signed(packed: bytes) -> bytes:
    return hashlib.sha256(packed).digest() + packed


def test_of_an_earlier_day_than_the_records_it_is_passed_over(world: World) -> None:
    nora = world.phones["nora"]
    old = nora.store.fact(nora.session.case, name_of(nora))
    nora.add("Later")
    world.settle()
    nora.store.put_fact(nora.session.case, name_of(nora), old)
    assert "Later" in reopened(nora).texts()


def test_where_the_store_holds_another_log_it_is_passed_over(world: World) -> None:
    nora = world.phones["nora"]
    part = nora.session.known().parts["plan"]
    assert kept.load_shown(nora.session, part) is not None
    nora.store._sql.execute("UPDATE position SET chain=? WHERE stream=?", (bytes(32), part.stream))
    assert kept.load_shown(nora.session, part) is None


def test_an_own_word_that_was_taken_out_is_not_shown(world: World, count: Count) -> None:
    nora = world.phones["nora"]
    world.network.offline.add("nora")
    nora.add("Wacht nog")
    (item,) = nora.store.outbox(nora.session.case)
    # A sync that could not send keeps what is shown, with the word in it.
    nora.session.keep_parts()
    reopened(nora, count)
    assert "Wacht nog" in nora.texts() and count.made == 0
    nora.store.drop_outbox(item.number)
    reopened(nora, count)
    assert "Wacht nog" not in nora.texts() and count.made > 0


def test_a_late_key_a_cut_and_an_entry_that_was_waited_for_open_it(world: World) -> None:
    fatima = reopened(world.phones["fatima"])
    part = fatima.session.known().parts["plan"]
    shown = fatima.session.parts[part.stream].shown
    assert shown is not None and kept.is_still(fatima.session, part, shown)
    epoch = fatima.session.known().rooms[part.read].epoch

    def after(**changes: Any) -> bool:
        return kept.is_still(fatima.session, part, msgspec.structs.replace(shown, **changes))

    assert not after(unopened=[epoch])
    assert not after(outlook=shown.outlook._replace(cuts=1, height=0))
    assert not after(outlook=shown.outlook._replace(may_heal=True, height=0))
    assert not after(outlook=shown.outlook._replace(waiting=[fatima.session.known().head]))
    assert not after(length=shown.length - 1)


def test_a_part_that_could_not_be_opened_is_as_it_was_and_opens_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    nora = reopened(world.phones["nora"])
    full = Misuse("no_home", "the disk gives nothing")

    def fails(*_: object) -> None:
        raise full

    with monkeypatch.context() as disk:
        disk.setattr(type(nora.store), "records", fails)
        with pytest.raises(Misuse, match="the disk"):
            nora.add("Kwijt?")
        assert nora.texts() == ["Oma belt op zondag", "Samen eten"]
    nora.add("Nu wel")
    world.settle()
    assert world.phones["karim"].texts() == ["Nu wel", "Oma belt op zondag", "Samen eten"]


# --- the charter as it was kept


@pytest.mark.parametrize(
    "how",
    [
        lambda kept: kept[:-3] + bytes([kept[-3] ^ 1]) + kept[-2:],
        lambda kept: kept[:-20],
        lambda _: b"",
        lambda _: None,
        lambda kept: _signed(b"\x94\x63" + kept[34:]),
        lambda _: _signed(b"\xc0"),
    ],
    ids=["a bit", "cut short", "empty", "cleared", "another version", "nothing of ours"],
)
def test_a_charter_that_does_not_fit_is_passed_over(
    how: Callable[[bytes], bytes | None], world: World, count: Count
) -> None:
    nora = world.phones["nora"]
    case, before = nora.session.case, nora.case.charter
    found = nora.store.fact(case, "charter")
    assert found is not None and found[32:34] == b"\x94\x01"
    nora.store.put_fact(case, "charter", how(found))
    reopened(nora, count)
    assert nora.session.seen() == before
    assert count.folded > 0


def test_a_charter_of_an_earlier_day_or_another_log_is_passed_over(world: World) -> None:
    nora = world.phones["nora"]
    case, before = nora.session.case, nora.case.charter
    old = nora.store.fact(case, "charter")
    nora.case.remove("Fatima")
    nora.sync()
    nora.store.put_fact(case, "charter", old)
    reopened(nora)
    assert [person["name"] for person in nora.case.people()] == ["Nora", "Karim", "Sam"]
    session, at = nora.session, nora.session.position(nora.session.charter_stream)
    assert load_charter(session) is None
    for other in (Position(at.base, at.length, type(at.chain)(bytes(32))), Position(at.base, at.length - 1, at.chain)):
        keep_charter(session, before, other)
        assert load_charter(session) is None
    keep_charter(session, nora.case.charter, at)
    assert load_charter(session) == nora.case.charter


def test_it_gives_way_to_the_one_that_the_records_say(world: World) -> None:
    nora = world.phones["nora"]
    session: CaseState = nora.session
    title, at = nora.case.charter.title, session.position(session.charter_stream)
    keep_charter(session, msgspec.structs.replace(nora.case.charter, title="Elders"), at)
    reopened(nora)
    seen: Charter | None = nora.session.seen()
    assert seen is not None and seen.title == "Elders"
    assert nora.case.charter.title == title and nora.session.seen() == nora.case.charter
    # And that is what is kept from then on.
    nora.sync()
    seen = reopened(nora).session.seen()
    assert seen is not None and seen.title == title


_READS = """
import sys
from eigenkring.errors import Unreachable
from eigenkring.library import Device
from eigenkring.transport import HttpTransport
with Device.open(sys.argv[1]) as device:
    device.cases()
    HttpTransport("http://127.0.0.1:9").close()
    transport = HttpTransport("http://127.0.0.1:9")
    print(sorted({"httpx", "rich", "sqlite_utils"} & set(sys.modules)))
    try:
        transport.exchange([])
    except Unreachable as no:
        print(no.code, "httpx" in sys.modules)
    transport.close()
"""


def test_a_program_that_reads_loads_nothing_that_speaks_to_relays(tmp_path: Path) -> None:
    """Loading that takes as long as reading a case, and what it leaves is walked at each collection of garbage."""
    Device.open(tmp_path / "home").close()
    done = subprocess.run([sys.executable, "-c", _READS, tmp_path / "home"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "offline True"]
