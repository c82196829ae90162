"""Links for a reader and for an own device, in the wrong hands, at a real relay: each its outcome, never content.

And all that a reader, the wire and the relay hold, in one hand; a reader whose access was stopped, with a relay that kept
everything; and the family's own devices that publish at once.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from eigenkring import receiving
from eigenkring.library import Device
from eigenkring.link import parse_link
from eigenkring.stream import StreamSecrets
from eigenkring_crypto import capability
from eigenkring_crypto.errors import CryptoError
from journeys.here import Here
from journeys.test_letting_read import Family, texts
from live_relay import LiveRelay

CHOSEN = ("--parts", "plan", "--naming", "Karim", "--without", "plan/agreements/*/with")


@pytest.fixture
def family(relay: LiveRelay, tmp_path: Path) -> Family:
    return Family(relay.url, tmp_path / "homes")


def holds(home: Here, *words: bytes) -> bool:
    return any(word in home.bytes() for word in words)


def link_of(family: Family, kind: str) -> str:
    if kind == "reader":
        return str(family.give("De Wit", *CHOSEN)["link"])
    return str(family.nora.run("add-device", family.case)["link"])


def follow(someone: Here, link: str, kind: str, name: str = "De Wit") -> str:
    """What a person learns who follows the link: "in", "waiting", or a code."""
    try:
        answer = someone.run("accept" if kind == "reader" else "join", link, "--as", name)
        someone.run("sync")
        if kind == "reader":
            someone.run("view", answer["grant"])
        else:
            someone.run("show", answer["case"], "plan")
    except Exception as error:
        code = getattr(error, "code", "")
        assert code, error
        return "waiting" if code == "not_yet" else str(code)
    return "in"


@pytest.mark.parametrize("kind", ["reader", "device"])
def test_a_link_that_was_used_lets_nobody_else_in(family: Family, tmp_path: Path, kind: str) -> None:
    link = link_of(family, kind)
    right, thief = Here(tmp_path / "recht"), Here(tmp_path / "dief")
    follow(right, link, kind)
    family.nora.run("sync")
    assert follow(right, link, kind) in ("in", "already_member")
    # Stolen afterwards, with the greeting and the welcome lying there to be read.
    assert follow(thief, link, kind) in ("link_used", "link_expired", "not_allowed")
    for _ in range(2):
        family.nora.run("sync")
    assert follow(thief, link, kind) != "in"
    assert not holds(thief, b"Karim rijdt", b"Geelgors")


@pytest.mark.parametrize("kind", ["reader", "device"])
def test_of_two_who_have_a_link_the_second_is_told(family: Family, tmp_path: Path, kind: str) -> None:
    """Stolen before: whoever knocks first is let in, which the family sees and ends; the right one is told."""
    link = link_of(family, kind)
    right, thief = Here(tmp_path / "recht"), Here(tmp_path / "dief")
    assert follow(thief, link, kind) == "waiting", "a link alone shows nothing"
    assert not holds(thief, b"Karim rijdt", b"Geelgors")
    first = follow(right, link, kind)
    family.nora.run("sync")
    assert "link_used" in (first, follow(right, link, kind))
    assert not holds(right, b"Karim rijdt", b"Geelgors")
    if kind == "reader":
        (row,) = family.nora.run("access", family.case)["access"]
        family.nora.run("withdraw", family.case, row["grant"])
    else:
        there = [d for d in family.nora.run("devices", family.case)["devices"] if not d["this"]]
        assert len(there) == 1, "the family sees that somebody came"
        family.nora.run("remove-device", family.case, there[0]["device"])
    family.nora.run("add", family.case, "plan", "agreements", '{"what": "Kwartelkoning", "who": "Karim"}')
    thief.run("sync")
    assert not holds(thief, b"Kwartelkoning")


@pytest.mark.parametrize("kind", ["reader", "device"])
def test_a_link_after_its_date_with_the_relays_help(
    family: Family, relay: LiveRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The relay keeps the doorstep open for ever. The family's own clock says that the day is over."""
    link = link_of(family, kind)
    door = parse_link(link).doorstep
    relay.stop()
    with files_of(relay) as files:
        changed = files.execute("UPDATE stream SET expires = NULL WHERE id = ?", (bytes(door),))
        assert changed.rowcount == 1
        files.commit()
    relay.start()
    then = int(time.time()) + 40 * 86_400
    known = Device.__init__.__kwdefaults__
    monkeypatch.setitem(known, "clock", lambda: then)
    late = Here(tmp_path / "laat")
    assert follow(late, link, kind) != "in"
    for _ in range(2):
        family.nora.run("sync")
        assert follow(late, link, kind) != "in"
    assert not holds(late, b"Karim rijdt", b"Geelgors")


def test_a_link_forwarded_to_a_colleague_is_seen_and_is_one_persons(family: Family, tmp_path: Path) -> None:
    """Who follows it is named in the view, and it is nobody else's after that: access is of a person."""
    link = link_of(family, "reader")
    colleague, wit = Here(tmp_path / "collega"), family.wit
    follow(colleague, link, "reader", "Bakker")
    family.nora.run("sync")
    assert follow(colleague, link, "reader", "Bakker") == "in"
    assert follow(wit, link, "reader") == "link_used"
    assert not holds(wit, b"Karim rijdt")
    (row,) = family.nora.run("access", family.case)["access"]
    assert row["to"] == "De Wit"
    family.nora.run("withdraw", family.case, row["grant"])
    assert follow(colleague, link, "reader", "Bakker") in ("withdrawn", "link_expired", "not_allowed", "link_used")
    assert not holds(colleague, b"Karim rijdt")


# --- after it was stopped


def test_a_stopped_reader_with_a_relay_that_kept_everything(family: Family, relay: LiveRelay, tmp_path: Path) -> None:
    """The reader's app does not obey, and keeps all its keys; the relay keeps every byte it is ever sent."""
    grant = family.let(family.wit, "De Wit", *CHOSEN)
    family.wit.run("view", grant)
    kept = tmp_path / "kopie"
    shutil.copytree(family.wit.home, kept)
    family.nora.run("withdraw", family.case, grant)
    family.nora.run("add", family.case, "plan", "agreements", '{"what": "Kwartelkoning", "who": "Karim"}')
    family.fatima.run("sync")
    family.nora.run("sync")
    with Device.open(kept, offline=True) as device:
        (row,) = device.store.grants()
        state = receiving.state_of(row)
        secrets = [state.secret, row.seed, row.granter_key, state.publisher]
    opened = 0
    records = every_record(relay)
    for (stream, record), secret in itertools.product(records, secrets):
        for read in (capability.read_secret(secret, stream), secret):
            try:
                StreamSecrets(stream, read=read, read_epoch=state.epoch).open(record)  # type: ignore[arg-type]
                opened += 1
            except (CryptoError, ValueError):
                continue
    assert records
    assert opened == 0, "nothing that lies at the relay now opens with what the reader kept"
    stopped = {state.down, state.up, parse_link(row.link).doorstep}
    assert stopped.isdisjoint({stream for stream, _ in records}), "nothing is published there any more"


@contextmanager
def files_of(relay: LiveRelay) -> Iterator[sqlite3.Connection]:
    (path,) = [p for p in relay.data_dir.rglob("*") if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3"]
    with closing(sqlite3.connect(path)) as files:
        yield files


def every_record(relay: LiveRelay) -> list[tuple[bytes, bytes]]:
    with files_of(relay) as files:
        joined = "stream JOIN record ON record.stream = stream.number JOIN body ON body.id = record.body"
        return list(files.execute(f"SELECT stream.id, value FROM {joined}"))


# --- several publish


def test_two_publish_at_once_one_was_away_a_week_and_the_reader_never_sees_a_mix(
    family: Family, relay: LiveRelay, tmp_path: Path
) -> None:
    """Every state that the reader ever sees is one that some device of the family was in, and the last is the merged one."""
    grant = family.let(family.wit, "De Wit", "--parts", "plan", "--naming", "Karim")
    item = family.shown["item"]
    tablet = Here(tmp_path / "tablet")
    tablet.run("join", family.nora.run("add-device", family.case)["link"], "--as", "Nora")
    family.nora.run("sync")
    tablet.run("sync")
    family.fatima.run("sync")

    for number, someone in enumerate((family.fatima, tablet, family.nora)):
        for field, value in (("what", f"ronde {number}"), ("when", f"dag {number}")):
            someone.run("set", family.case, "plan", f"agreements/{item}/{field}", value, offline=True)
    seen = []
    for someone in (family.nora, tablet, family.fatima, family.nora, tablet):
        someone.run("sync")
        (shown,) = family.wit.run("view", grant)["plan"]["agreements"].values()
        seen.append((shown["what"], shown.get("when", "")))
    merged = family.nora.run("show", family.case, "plan")["agreements"][item]
    assert seen[-1] == (merged["what"], merged["when"])
    assert seen[0] == ("ronde 2", "dag 2")
    numbers = [row["version"] for row in family.wit.run("views")["views"]]
    assert numbers[0] >= 2
    assert family.wit.run("sync")["alarms"] == []
    for someone in (family.fatima, tablet, family.nora):
        someone.run("sync")
    assert texts(family.wit.run("view", grant)) == [merged["what"]]
