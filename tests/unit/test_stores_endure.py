"""Stores of earlier versions open, of later ones are refused; a full disk or a damaged file is told, and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from eigenkring import reporting, sqlite_store
from eigenkring.errors import Misuse
from eigenkring.library import Device
from eigenkring.report import open_report
from eigenkring_server import schema
from eigenkring_server.relay import Quotas
from eigenkring_server.sqlite_store import SqliteStore as RelayStore
from live_relay import live_relay

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NOWHERE = "http://127.0.0.1:9"


def load(dump: str, connection: sqlite3.Connection) -> None:
    connection.executescript((FIXTURES / dump).read_text(encoding="utf-8"))
    connection.close()


def texts(device: Device) -> list[str]:
    (case,) = device.cases()
    return sorted(item["what"] for item in device.case(case["case"]).show("plan")["agreements"].values())


@contextmanager
def home_with(*words: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Device.open(home, offline=True) as device:
            case = device.start("Thuis", NOWHERE, "Nora")
            for word in words:
                case.add("plan", "agreements", {"what": word})
        yield home


@pytest.mark.parametrize("version", range(1, sqlite_store.VERSION + 1))
def test_a_device_store_of_every_version_opens(tmp_path: Path, version: int) -> None:
    load(f"device-{version}.sql", sqlite3.connect(tmp_path / "device.sqlite"))
    with Device.open(tmp_path, offline=True) as device:
        assert texts(device) == ["Oma belt op zondag"]
        device.case(device.cases()[0]["case"]).add("plan", "agreements", {"what": "en nu dit"})
        assert texts(device) == ["Oma belt op zondag", "en nu dit"]


def test_a_store_that_kept_no_sightings_makes_a_report_and_keeps_them_from_then_on(tmp_path: Path) -> None:
    load("device-1.sql", sqlite3.connect(tmp_path / "device.sqlite"))
    with live_relay(tmp_path / "relay") as relay:
        moved = sqlite3.connect(tmp_path / "device.sqlite")
        moved.execute("UPDATE case_ SET relay = ?", (relay.url,))
        moved.commit()
        moved.close()
        with Device.open(tmp_path) as device:
            case = device.case(device.cases()[0]["case"])
            early = open_report(reporting.report(case, own=True))
            assert {point.at for line in early.lines for point in line.points} <= {0}
            device.sync()
            late = open_report(reporting.report(case, own=True))
            assert late.lines
            assert all(line.generation == len(late.generations) and line.points[-1].at > 0 for line in late.lines)
        with Device.open(tmp_path, offline=True) as device:
            case = device.case(device.cases()[0]["case"])
            assert open_report(reporting.report(case, own=True)).lines == late.lines


@pytest.mark.parametrize("name", [migration.name for migration in schema.migrations._migrations])
def test_a_relays_file_of_every_version_opens(tmp_path: Path, name: str) -> None:
    connection = sqlite3.connect(tmp_path / schema.FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    load(f"relay-{name}.sql", connection)
    home = tmp_path / "home"
    home.mkdir()
    load("device-1.sql", sqlite3.connect(home / "device.sqlite"))
    with live_relay(tmp_path) as relay:
        moved = sqlite3.connect(home / "device.sqlite")
        moved.execute("UPDATE case_ SET relay = ?", (relay.url,))
        moved.commit()
        moved.close()
        with Device.open(home) as device:
            assert device.sync().alarms == []
            assert texts(device) == ["Oma belt op zondag"]


def test_a_relays_first_file_keeps_every_place_and_every_running_hash(tmp_path: Path) -> None:
    """What a device is answered that sends a record again comes from where the later migrations put it."""
    connection = sqlite3.connect(tmp_path / schema.FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    load("relay-001_streams.sql", connection)
    old = sqlite3.connect(tmp_path / schema.FILE_NAME)
    before = old.execute("SELECT stream, digest, n, chain FROM record ORDER BY stream, n").fetchall()
    streams = old.execute("SELECT * FROM stream ORDER BY id").fetchall()
    old.close()
    assert before
    store = RelayStore(tmp_path, Quotas())
    with closing(sqlite3.connect(tmp_path / schema.FILE_NAME)) as new:
        kept = new.execute(
            "SELECT stream.id, head, n, substr(value, 1, 32) FROM stream JOIN record ON record.stream = number "
            "JOIN place USING (stream, n) JOIN body ON body.id = record.body ORDER BY stream.id, n"
        ).fetchall()
        assert kept == [(of, schema.head_of(digest), n, chain) for of, digest, n, chain in before]
        columns = "id, read, append, manage, base, base_chain, length, chain, bytes_kept, expires"
        assert new.execute(f"SELECT {columns} FROM stream ORDER BY id").fetchall() == streams
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert new.execute("PRAGMA foreign_key_check").fetchall() == []
    store.close()


def test_every_version_has_a_dump() -> None:
    names = {migration.name for migration in schema.migrations._migrations}
    assert {path.name for path in FIXTURES.glob("relay-*.sql")} == {f"relay-{name}.sql" for name in names}
    assert len(list(FIXTURES.glob("device-*.sql"))) == sqlite_store.VERSION


def tables(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    connection.close()
    return {name: columns for name, columns in found.items() if not name.startswith("sqlite_")}


def test_tables_do_not_grow_without_a_version(tmp_path: Path) -> None:
    """A column more in the code alone would be there for new homes only; an older one would fail at the first use of it."""
    for folder in ("old", "new", "was", "now"):
        (tmp_path / folder).mkdir()
    newest = max(FIXTURES.glob("device-*.sql"))
    load(newest.name, sqlite3.connect(tmp_path / "old" / "device.sqlite"))
    Device.open(tmp_path / "new", offline=True).close()
    before, after = (tables(sqlite3.connect(tmp_path / of / "device.sqlite")) for of in ("old", "new"))
    assert before == after, "a new VERSION, a way from the one before, and a dump (tests/fixtures/make_stores.py)"
    newest = max(FIXTURES.glob("relay-*.sql"))
    load(newest.name, sqlite3.connect(tmp_path / "was" / schema.FILE_NAME))
    made = schema.connect(tmp_path / "now" / schema.FILE_NAME, writes=True)
    schema.migrate(made)
    made.close()
    before, after = (tables(sqlite3.connect(tmp_path / of / schema.FILE_NAME)) for of in ("was", "now"))
    assert before == after, "a new migration, and a dump"


def test_a_newer_device_store_is_refused_and_left_alone() -> None:
    with home_with("een") as home:
        newer = sqlite3.connect(home / "device.sqlite")
        newer.execute(f"PRAGMA user_version = {sqlite_store.VERSION + 1}")
        newer.close()
        before = (home / "device.sqlite").read_bytes()
        with pytest.raises(Misuse, match="newer") as refused:
            Device.open(home)
        assert refused.value.code == "no_home"
        assert (home / "device.sqlite").read_bytes() == before


def test_a_newer_relays_file_is_refused(tmp_path: Path) -> None:
    connection = schema.connect(tmp_path / schema.FILE_NAME, writes=True)
    schema.migrate(connection)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('relay', '999_later', '')"
    )
    connection.close()
    with pytest.raises(RuntimeError, match="newer version"), live_relay(tmp_path):
        pass


def test_a_damaged_relays_file_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / schema.FILE_NAME).write_bytes(b"no database, that is sure" * 100)
    with pytest.raises(RuntimeError, match="relay restore"), live_relay(tmp_path):
        pass


@pytest.mark.parametrize("where", [0, 4096])
def test_a_damaged_device_store_is_told_and_left_alone(where: int) -> None:
    with home_with(*(f"afspraak {n}" for n in range(40))) as home:
        path = home / "device.sqlite"
        copy = path.read_bytes()
        data = bytearray(copy)
        data[where:] = os.urandom(len(data) - where)
        path.write_bytes(data)
        with pytest.raises(Misuse, match=r"damaged|cannot be read") as told, Device.open(home, offline=True) as device:
            texts(device)
        assert told.value.code == "no_home"
        assert path.read_bytes() == data
        # The lock was let go: a copy that is put back opens.
        path.write_bytes(copy)
        with Device.open(home, offline=True) as device:
            assert len(texts(device)) == 40


@pytest.mark.parametrize("how", ["cut", "missing"])
def test_a_store_that_lost_all_is_no_new_home(how: str) -> None:
    with home_with("een") as home:
        path = home / "device.sqlite"
        copy = path.read_bytes()
        if how == "cut":
            path.write_bytes(b"")
        else:
            path.unlink()
        for _ in range(2):
            with pytest.raises(Misuse, match="was in use before: put back a copy") as told:
                Device.open(home, offline=True)
            assert told.value.code == "no_home"
            assert path.stat().st_size == 0, "left alone"
        path.write_bytes(copy)
        with Device.open(home, offline=True) as device:
            assert texts(device) == ["een"]
        # The other way out: another folder.
        Device.open(home.parent / "new", offline=True).close()


def test_a_home_that_was_never_begun_is_begun(tmp_path: Path) -> None:
    """Killed before anything was kept, or of a version that made no mark: opened as ever, and marked then."""
    (tmp_path / "device.sqlite").touch()
    Device.open(tmp_path, offline=True).close()
    (tmp_path / "begun").unlink()
    Device.open(tmp_path, offline=True).close()
    assert (tmp_path / "begun").exists()


def test_a_full_disk_is_told_and_nothing_is_lost() -> None:
    with home_with("een") as home:
        with Device.open(home, offline=True) as device:
            store = device.store
            assert isinstance(store, sqlite_store.SqliteStore)
            (pages,) = store._sql.execute("PRAGMA page_count").fetchone()
            store._sql.execute(f"PRAGMA max_page_count = {pages}")
            case = device.case(device.cases()[0]["case"])
            with pytest.raises(Misuse, match="disk is full") as told:
                for number in range(200):
                    case.add("plan", "agreements", {"what": f"te veel {number} " + "x" * 400})
            assert told.value.code == "no_home"
            store._sql.execute("PRAGMA max_page_count = 1000000")
            held = store.outbox(case.session.case)
        with Device.open(home, offline=True) as device:
            case = device.case(device.cases()[0]["case"])
            assert "een" in texts(device)
            assert [item.record for item in device.store.outbox(case.session.case)] == [item.record for item in held]
            case.add("plan", "agreements", {"what": "weer ruimte"})
            assert "weer ruimte" in texts(device)


def test_a_file_that_may_not_grow_ends_a_command_with_its_code() -> None:
    with home_with("een") as home:
        code = (
            "import resource, sys; from eigenkring.cli import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); main(sys.argv[1:])"
        )
        with Device.open(home, offline=True) as device:
            case = device.cases()[0]["case"]
        words = ["add", case, "plan", "agreements", '{"what": "' + "x" * 30_000 + '"}']
        done = subprocess.run(
            [sys.executable, "-c", code, "--home", str(home), "--json", "--offline", *words],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1
        assert '"no_home"' in done.stderr
        with Device.open(home, offline=True) as device:
            assert texts(device) == ["een"]


def test_a_full_disk_is_told_to_who_only_reads_too() -> None:
    """There SQLite cannot make the file by which it shares, and says no more than "disk I/O error"."""
    with home_with("een") as home:
        code = (
            "import resource, sys; from eigenkring.cli import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); main(sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "--home", str(home), "--json", "--offline", "cases"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1
        assert '"no_home"' in done.stderr and "make room" in done.stderr, done.stderr
        with Device.open(home, offline=True) as device:
            assert texts(device) == ["een"]


def test_a_folder_that_may_not_be_written_is_told() -> None:
    with home_with("een") as home:
        home.parent.chmod(0o755)
        home.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(Misuse) as told:
                Device.open(home, offline=True)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            home.chmod(0o700)
        assert told.value.code == "no_home"
        with Device.open(home, offline=True) as device:
            assert texts(device) == ["een"]


def test_two_processes_on_one_home() -> None:
    with home_with("een") as home, Device.open(home, offline=True):
        code = (
            "import sys; from eigenkring import sqlite_store; from eigenkring.cli import main; "
            "sqlite_store.LOCK_SECONDS = 0.3; main(sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "--home", str(home), "--json", "--offline", "cases"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1
        assert '"home_locked"' in done.stderr
