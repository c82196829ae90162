"""Streams in one SQLite file: many readers beside one writer, a group of exchanges per transaction and per sync."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from eigenkring import wire
from eigenkring_server import chain, schema
from eigenkring_server.exchange import PER_RECORD, Draft, Event, Outcome, run
from eigenkring_server.overflow import CHAIN_BYTES, ON_LEAF, wrap
from eigenkring_server.relay import Known, Place, Quotas, Stream, Tombstone, Usage
from eigenkring_server.store import NotErased

_COLUMNS: Final = "id, read, append, manage, base, base_chain, length, chain, bytes_kept, expires"
_INSERT: Final = f"INSERT INTO stream (number, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_STREAM: Final = f"SELECT number, {_COLUMNS} FROM stream WHERE id = ?"  # noqa: S608
_DUE: Final = f"SELECT number, {_COLUMNS} FROM stream WHERE expires <= ? ORDER BY expires LIMIT ?"  # noqa: S608
# Compare and append in one statement.
_UPDATE: Final = (
    "UPDATE stream SET read = ?, append = ?, manage = ?, base = ?, base_chain = ?, length = ?, chain = ?, "
    "bytes_kept = ? WHERE id = ? AND length = ? AND chain = ? AND base = ? AND manage = ?"
)
# What `overflow.unwrap` does, done where the bytes are: each is copied once.
_RECORDS: Final = (
    f"SELECT substr(body.value, {ON_LEAF + 1}, record.size) FROM record JOIN body ON body.id = record.body "  # noqa: S608
    "WHERE stream = ? AND n >= ? ORDER BY n"
)
# Asked for every append, and mostly nothing is there: one tree is looked into, and the record itself only where one is.
_PLACES: Final = "SELECT n FROM place WHERE stream = ? AND head = ? ORDER BY n"
_PLACED: Final = (
    f"SELECT substr(value, 1, {CHAIN_BYTES}), substr(value, {ON_LEAF + 1}, record.size) "  # noqa: S608
    "FROM record JOIN body ON body.id = record.body WHERE stream = ? AND n = ?"
)
# Of an append nothing else changes, and no other column is bound or checked.
_GROW: Final = "UPDATE stream SET length = ?, chain = ?, bytes_kept = ? WHERE id = ? AND length = ? AND chain = ? AND base = ? AND manage = ?"
# How long a close waits for readers of the old pages before it says that it could not erase them.
ERASE_SECONDS: Final = 20.0
# Free pages given back to the file system in one round: a few milliseconds.
_VACUUM_PAGES: Final = 2_000
# A log shorter than this is left alone.
_LOG_BYTES: Final = 1_048_576
_SWEEP_AT_ONCE: Final = 200


class _Gate:
    """Many readers, or one who truncates the log: a reader of an old page would keep it from being truncated."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._shut = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: self._readers == 0)
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()


class _Shelf:
    """What is stored, as one transaction sees it. Rows are read once."""

    def __init__(self, connection: sqlite3.Connection, usage: Usage) -> None:
        self._connection = connection
        self._usage = usage
        self.streams: dict[bytes, Known] = {}
        # Under which the store keeps the records of a stream; absent where it has none.
        self.numbers: dict[bytes, int] = {}

    def stream(self, stream: bytes) -> Known:
        if stream in self.streams:
            return self.streams[stream]
        row = self._connection.execute(_STREAM, (stream,)).fetchone()
        known: Known = None
        if row is not None:
            return self.enter(row)
        ended = self._connection.execute("SELECT expired FROM tombstone WHERE id = ?", (stream,)).fetchone()
        if ended is not None:
            known = Tombstone(stream, expired=bool(ended[0]))
        self.streams[stream] = known
        return known

    def enter(self, row: tuple[Any, ...]) -> Stream:
        number, *columns = row
        known = self.streams[columns[0]] = Stream(*columns)
        self.numbers[columns[0]] = number
        return known

    def place(self, stream: bytes, record_digest: bytes) -> Place | None:
        number = self.numbers.get(stream)
        found = self._connection.execute(_PLACES, (number, schema.head_of(record_digest))).fetchall()
        for (index,) in found:
            running, record = self._connection.execute(_PLACED, (number, index)).fetchone()
            # Eight bytes alike are no proof: who may write here can make two such records.
            if chain.digest(record) == record_digest:
                return Place(index, running)
        return None

    def usage(self) -> Usage:
        return self._usage

    def records(self, stream: bytes, first: int, room: int) -> list[bytes]:
        rows = self._connection.execute(_RECORDS, (self.numbers.get(stream), first))
        found: list[bytes] = []
        used = 0
        # Thousands of rows for one device that was away: `fits` and `taken`, written out.
        for (record,) in rows:
            cost = len(record) + PER_RECORD
            if used and used + cost > room:
                break
            found.append(record)
            used += cost
        rows.close()
        return found


class SqliteStore:
    """The store of a relay. ``commit`` and ``sweep`` belong to one thread, ``consult`` to any."""

    def __init__(self, data_dir: Path, quotas: Quotas) -> None:
        self._path = data_dir / schema.FILE_NAME
        self._log = data_dir / f"{schema.FILE_NAME}-wal"
        self._tending = threading.Lock()
        self._quotas = quotas
        self._writer = schema.connect(self._path, writes=True)
        schema.migrate(self._writer)
        self._gate = _Gate()
        self._readers = threading.local()
        self._all_readers: list[sqlite3.Connection] = []
        self._erased = False
        # A crash between a close and its erasing leaves old pages in the log.
        self._erase()
        streams, kept, self._last_stream = self._writer.execute(
            "SELECT count(*), coalesce(sum(bytes_kept), 0), coalesce(max(number), 0) FROM stream"
        ).fetchone()
        self._usage = Usage(streams, kept)
        (self._last_body,) = self._writer.execute("SELECT coalesce(max(id), 0) FROM body").fetchone()
        (self._generation,) = self._writer.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()

    def generation(self) -> int:
        return int(self._generation)

    def commit(self, requests: Sequence[wire.Request], now: int) -> list[Outcome | Exception]:
        outcomes: list[Outcome | Exception]
        try:
            outcomes = list(self._transaction(requests, now))
        except Exception as error:
            if len(requests) == 1:
                return [error]
            # One of them broke the group: each for itself, so that it breaks only its own.
            return [outcome for request in requests for outcome in self.commit([request], now)]
        if not self._erased and any(_says_closed(outcome) for outcome in outcomes):
            try:
                self._erase()
            except NotErased as error:
                return [error if _says_closed(outcome) else outcome for outcome in outcomes]
        return outcomes

    def consult(self, request: wire.Request, now: int) -> Outcome:
        with self._gate.reading():
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return run(request, Draft(_Shelf(connection, self._usage)), self._quotas, now)
            finally:
                connection.execute("COMMIT")

    def sweep(self, now: int) -> list[Event]:
        due = self._writer.execute(_DUE, (now, _SWEEP_AT_ONCE)).fetchall()
        events: list[Event] = []
        if due:
            shelf = _Shelf(self._writer, self._usage)
            draft = Draft(shelf)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for row in due:
                    stream = shelf.enter(row)
                    draft.change(stream, Tombstone(stream.id, expired=True), None, b"")
                self._enter(shelf, draft)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
            self._usage = draft.usage()
            events = draft.events
        if not self._erased:
            self._erase()
        self._writer.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        return events

    def tend(self) -> None:
        """Copy the log back into the file while others read and write, so that no commit has to wait for it."""
        if self._log.stat().st_size < _LOG_BYTES or not self._tending.acquire(blocking=False):
            return
        try:
            # The gate: erasing must not find the log in use.
            with self._gate.reading():
                self._reader().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            self._tending.release()

    def close(self) -> None:
        for reader in self._all_readers:
            reader.close()
        self._writer.close()

    def _transaction(self, requests: Sequence[wire.Request], now: int) -> list[Outcome]:
        shelf = _Shelf(self._writer, self._usage)
        draft = Draft(shelf)
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [run(request, draft, self._quotas, now) for request in requests]
            self._enter(shelf, draft)
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        # Only now is anything acknowledged: the commit syncs the log.
        self._writer.execute("COMMIT")
        self._usage = draft.usage()
        return outcomes

    def _enter(self, shelf: _Shelf, draft: Draft) -> None:
        """Write down what the draft decided: each statement also asks that the stream is still as it was read."""
        last_stream, numbers = self._last_stream, shelf.numbers
        for stream, after in draft.streams.items():
            before = shelf.streams.get(stream)
            if isinstance(after, Tombstone):
                if isinstance(before, Stream):
                    self._drop_records(numbers[stream], before.length)
                    self._one("DELETE FROM stream WHERE id = ? AND chain = ?", (stream, before.chain))
                    self._erased = False
                self._one("INSERT INTO tombstone VALUES (?, ?)", (stream, after.expired))
            elif isinstance(before, Stream):
                if after.base != before.base:
                    self._drop_records(numbers[stream], after.base)
                read = (stream, before.length, before.chain, before.base, before.manage)
                if _only_grew(before, after):
                    self._one(_GROW, (after.length, after.chain, after.bytes_kept, *read))
                else:
                    self._one(_UPDATE, (*_state(after), *read))
            else:
                last_stream += 1
                numbers[stream] = last_stream
                self._one(_INSERT, (last_stream, stream, *_state(after), after.expires))
        last = self._last_body
        bodies, records, places = [], [], []
        for stream, added in draft.added.items():
            number = numbers[stream]
            for each in added:
                last += 1
                bodies.append((last, wrap(each.record, each.chain)))
                records.append((number, each.index, len(each.record), last))
                places.append((number, schema.head_of(each.digest), each.index))
        self._writer.executemany("INSERT INTO body VALUES (?, ?)", bodies)
        self._writer.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", records)
        self._writer.executemany("INSERT INTO place VALUES (?, ?, ?)", places)
        self._last_body, self._last_stream = last, last_stream

    def _drop_records(self, number: int, up_to: int) -> None:
        dropped = (number, up_to)
        bodies = self._writer.execute(
            "DELETE FROM record WHERE stream = ? AND n <= ? RETURNING body", dropped
        ).fetchall()
        self._writer.execute("DELETE FROM place WHERE stream = ? AND n <= ?", dropped)
        self._writer.executemany("DELETE FROM body WHERE id = ?", bodies)

    def _one(self, statement: str, values: tuple[object, ...]) -> None:
        if self._writer.execute(statement, values).rowcount != 1:
            raise sqlite3.IntegrityError("the stream was not as it was read")

    def _erase(self) -> None:
        """Copy the zeroed pages over the old ones and cut the log to nothing."""
        deadline = time.monotonic() + ERASE_SECONDS
        with self._gate.alone():
            while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
                if time.monotonic() > deadline:
                    raise NotErased("another process reads the relay's file")
        self._erased = True

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = schema.connect(self._path, writes=False)
            self._readers.connection = connection
            self._all_readers.append(connection)
        return connection


def _says_closed(outcome: Outcome | Exception) -> bool:
    return isinstance(outcome, Outcome) and any(isinstance(result, wire.Closed) for result in outcome.results)


def _only_grew(before: Stream, after: Stream) -> bool:
    # The same objects: a decision that turned nothing took them over.
    return after.base == before.base and (
        after.read is before.read and after.append is before.append and after.manage is before.manage
    )


def _state(stream: Stream) -> tuple[object, ...]:
    """All that may change, in the order of the columns."""
    capabilities = (stream.read, stream.append, stream.manage)
    return (*capabilities, stream.base, stream.base_chain, stream.length, stream.chain, stream.bytes_kept)
