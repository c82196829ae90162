"""What is closed is in no file of the relay any more when the answer comes (rule 6)."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest
from devices import Keys, chain_of, post

from eigenkring import wire
from eigenkring_server import schema
from eigenkring_server.exchange import Outcome
from eigenkring_server.overflow import unwrap, wrap
from eigenkring_server.relay import Quotas
from eigenkring_server.sqlite_store import SqliteStore
from eigenkring_server.store import NotErased
from live_relay import live_relay

# Around the sizes where a record takes another page, and one that takes many.
SIZES = (16, 333, 400, 589, 1_016, 1_017, 1_018, 1_019, 1_020, 1_021, 2_040, 8_181, 8_190, 20_000)
NOW = 1_000


def left_in(folder: Path, records: list[bytes]) -> int:
    """How many of the records show in any file of the folder, by 16 of their bytes at the start, in the middle or at the end."""
    everything = b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())
    return sum(
        any(record[at : at + 16] in everything for at in (0, (len(record) - 16) // 2, len(record) - 16))
        for record in records
    )


def test_the_bytes_are_found_before_and_gone_after_while_the_relay_runs(tmp_path: Path) -> None:
    with live_relay(tmp_path) as relay:
        kept, closed = Keys(), Keys()
        mine = [os.urandom(size) for size in SIZES]
        others = [os.urandom(size) for size in SIZES]
        post(relay.url, kept.opening(), closed.opening())
        for one, other in zip(mine, others, strict=True):
            post(relay.url, closed.appending(one), kept.appending(other))
        assert left_in(tmp_path, mine) == len(mine)
        assert post(relay.url, closed.closing()) == [wire.Closed()]
        assert left_in(tmp_path, mine) == 0
        assert left_in(tmp_path, others) == len(others)
        assert isinstance(post(relay.url, kept.reading())[0], wire.Batch)


def test_a_stream_past_its_date_is_gone_from_the_files(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, Quotas())
    keys, record = Keys(), os.urandom(5_000)
    store.commit([wire.Request(1, [keys.opening(NOW), keys.appending(record)])], NOW - 1)
    assert left_in(tmp_path, [record]) == 1
    store.sweep(NOW)
    assert left_in(tmp_path, [record]) == 0
    store.close()


def test_a_crash_between_the_close_and_its_erasing_is_made_up_for_at_the_start(tmp_path: Path) -> None:
    class Crashes(SqliteStore):
        def _erase(self) -> None:
            if hasattr(self, "_generation"):
                raise NotErased

    store = Crashes(tmp_path, Quotas())
    keys, record = Keys(), os.urandom(5_000)
    store.commit([wire.Request(1, [keys.opening(), keys.appending(record)])], NOW)
    (outcome,) = store.commit([wire.Request(2, [keys.closing()])], NOW)
    assert isinstance(outcome, NotErased)
    assert left_in(tmp_path, [record]) == 1
    again = SqliteStore(tmp_path, Quotas())
    assert left_in(tmp_path, [record]) == 0
    again.close()
    store.close()


def test_a_close_is_not_answered_while_another_process_still_reads_the_old_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eigenkring_server.sqlite_store.ERASE_SECONDS", 0.2)
    store = SqliteStore(tmp_path, Quotas())
    store._writer.execute("PRAGMA busy_timeout = 50")
    keys, record = Keys(), os.urandom(5_000)
    store.commit([wire.Request(1, [keys.opening(), keys.appending(record)])], NOW)
    other = sqlite3.connect(tmp_path / schema.FILE_NAME, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM record").fetchone()
    request = wire.Request(2, [keys.closing()])
    (outcome,) = store.commit([request], NOW)
    assert isinstance(outcome, NotErased)
    other.execute("COMMIT")
    # Repeated, the tombstone answers only after the bytes are gone.
    (outcome,) = store.commit([request], NOW)
    assert isinstance(outcome, Outcome)
    assert left_in(tmp_path, [record]) == 0
    other.close()
    store.close()


def test_replaced_records_go_when_the_stream_goes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, Quotas())
    keys, records, snapshot = Keys(), [os.urandom(700) for _ in range(20)], os.urandom(9_000)
    store.commit([wire.Request(1, [keys.opening(), *map(keys.appending, records)])], NOW)
    store.commit([wire.Request(2, [keys.replacing(snapshot, chain_of(keys.id, *records))])], NOW)
    store.commit([wire.Request(3, [keys.closing()])], NOW)
    assert left_in(tmp_path, [*records, snapshot]) == 0
    store.close()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_left_however_streams_lie_among_each_other(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    store = SqliteStore(tmp_path, Quotas())
    living: list[tuple[Keys, list[bytes]]] = []
    for _ in range(800):
        if len(living) < 8:
            living.append((Keys(), []))
            store.commit([wire.Request(1, [living[-1][0].opening()])], NOW)
        keys, records = dice.choice(living)
        if dice.random() < 0.98:
            records.append(dice.randbytes(dice.choice(SIZES[:-3])))
            store.commit([wire.Request(1, [keys.appending(records[-1])])], NOW)
            continue
        store.commit([wire.Request(1, [keys.closing()])], NOW)
        living.remove((keys, records))
        assert left_in(tmp_path, records) == 0
        if dice.random() < 0.3:
            store.sweep(NOW)
    assert all(left_in(tmp_path, records) == len(records) for _, records in living)
    store.close()


def test_a_plain_table_would_leave_copies(tmp_path: Path) -> None:
    """The reason for `overflow`: with `secure_delete` alone, on pages as SQLite makes them, this finds what was deleted.

    When it no longer does, that module can go.
    """
    connection = sqlite3.connect(tmp_path / "plain.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("CREATE TABLE body (id INTEGER PRIMARY KEY, stream INTEGER, value BLOB) STRICT")
    left = 0
    dice = random.Random(1)
    records: dict[int, list[bytes]] = {stream: [] for stream in range(12)}
    for _ in range(1_500):
        stream = dice.randrange(12)
        if dice.random() < 0.98:
            records[stream].append(dice.randbytes(dice.choice((333, 400, 589, 1_100))))
            connection.execute("INSERT INTO body (stream, value) VALUES (?, ?)", (stream, records[stream][-1]))
        else:
            connection.execute("DELETE FROM body WHERE stream = ?", (stream,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            left += left_in(tmp_path, records[stream])
            records[stream] = []
    connection.close()
    assert left > 0


@pytest.mark.parametrize(
    "size",
    [*range(1, 2_200, 97), *range(1_010, 1_030), *range(8_180, 8_190), 1_048_560, 1_048_575, wire.MAX_RECORD_BYTES],
)
def test_a_wrapped_record_is_found_again(size: int) -> None:
    record = os.urandom(size)
    chain = os.urandom(32)
    value = wrap(record, chain)
    assert value[:32] == chain
    assert unwrap(value, size) == record
    assert len(value) - size < 103 + 2 * 1_020
