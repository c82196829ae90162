"""The tables, and how older ones become these. A migration is numbered, runs once, and is not edited once released."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from eigenkring.errors import Misuse
from eigenkring_server.data_folder import unusable
from eigenkring_server.overflow import PAGE_SIZE

FILE_NAME: Final = "relay.sqlite"

migrations: Final = Migrations("relay")

_FIRST: Final = """
CREATE TABLE stream (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    read BLOB NOT NULL CHECK (length(read) = 32),
    append BLOB NOT NULL CHECK (length(append) = 32),
    manage BLOB NOT NULL CHECK (length(manage) = 32),
    base INTEGER NOT NULL CHECK (base >= 0),
    base_chain BLOB NOT NULL CHECK (length(base_chain) = 32),
    length INTEGER NOT NULL CHECK (length >= base),
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    bytes_kept INTEGER NOT NULL CHECK (bytes_kept >= 0),
    expires INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_by_end ON stream (expires) WHERE expires IS NOT NULL;
CREATE TABLE tombstone (id BLOB PRIMARY KEY CHECK (length(id) = 16)) STRICT, WITHOUT ROWID;
CREATE TABLE body (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE record (
    stream BLOB NOT NULL REFERENCES stream (id),
    n INTEGER NOT NULL CHECK (n > 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    size INTEGER NOT NULL CHECK (size > 0),
    body INTEGER NOT NULL,
    PRIMARY KEY (stream, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX record_by_digest ON record (stream, digest);
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 1)
"""


@migrations(name="001_streams")
def _streams(db: Database) -> None:
    for statement in _FIRST.split(";\n"):
        db.execute(statement)
    # A relay that begins where another one was lost is another generation: above any the lost one can have had.
    db.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (int(time.time()),))


# Streams get a number, and a record's two rows are narrow: every append puts the pages they lie on into the log. The running
# hash at a record lies on the leaf of its body, which has room for it (overflow.py).
_NUMBERED: Final = """
CREATE TABLE stream_2 (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE,
    read BLOB NOT NULL CHECK (length(read) = 32),
    append BLOB NOT NULL CHECK (length(append) = 32),
    manage BLOB NOT NULL CHECK (length(manage) = 32),
    base INTEGER NOT NULL CHECK (base >= 0),
    base_chain BLOB NOT NULL CHECK (length(base_chain) = 32),
    length INTEGER NOT NULL CHECK (length >= base),
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    bytes_kept INTEGER NOT NULL CHECK (bytes_kept >= 0),
    expires INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO stream_2
    SELECT id, row_number() OVER (ORDER BY id), read, append, manage, base, base_chain, length, chain, bytes_kept, expires
    FROM stream;
CREATE TABLE record_2 (
    stream INTEGER NOT NULL REFERENCES stream_2 (number),
    n INTEGER NOT NULL CHECK (n > 0),
    size INTEGER NOT NULL CHECK (size > 0),
    body INTEGER NOT NULL,
    PRIMARY KEY (stream, n)
) STRICT, WITHOUT ROWID;
INSERT INTO record_2 SELECT number, n, size, body FROM record JOIN stream_2 ON stream_2.id = record.stream;
CREATE TABLE place (
    stream INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (stream, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO place SELECT number, digest, n FROM record JOIN stream_2 ON stream_2.id = record.stream;
UPDATE body SET value = CAST(record.chain || substr(value, 33) AS BLOB) FROM record WHERE body.id = record.body;
DROP TABLE record;
DROP TABLE stream;
ALTER TABLE stream_2 RENAME TO stream;
ALTER TABLE record_2 RENAME TO record;
CREATE INDEX stream_by_end ON stream (expires) WHERE expires IS NOT NULL
"""


@migrations(name="002_numbers")
def _numbers(db: Database) -> None:
    for statement in _NUMBERED.split(";\n"):
        db.execute(statement)


# A record is found by the first eight bytes of its digest, as a number: a row of 45 bytes was 1.7 pages of the log for each
# append, and one of 18 is 1.2. Who may write there can make two records that begin alike, so `n` is part of the key and what is
# found is looked at whole (`SqliteStore`).
_SHORT: Final = """
CREATE TABLE place_2 (
    stream INTEGER NOT NULL,
    head INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (stream, head, n)
) STRICT, WITHOUT ROWID;
INSERT INTO place_2 SELECT stream, head_of(digest), n FROM place;
DROP TABLE place;
ALTER TABLE place_2 RENAME TO place
"""


def head_of(digest: bytes) -> int:
    """The number under which a record lies in ``place``."""
    return int.from_bytes(digest[:8], "big", signed=True)


@migrations(name="003_heads")
def _heads(db: Database) -> None:
    db.conn.create_function("head_of", 1, head_of, deterministic=True)
    for statement in _SHORT.split(";\n"):
        db.execute(statement)


# Whoever opens an address months later is told that its days were over, and not that somebody used it. What ended before this
# column was there stays `closed`: nobody knows any more.
_EXPIRED: Final = "ALTER TABLE tombstone ADD COLUMN expired INTEGER NOT NULL DEFAULT 0 CHECK (expired IN (0, 1))"


@migrations(name="004_expired")
def _expired(db: Database) -> None:
    db.execute(_EXPIRED)


class WrongLayout(Exception):
    """The file was not made by this relay: erasing relies on the page size."""


def connect(path: Path | str, *, writes: bool) -> sqlite3.Connection:
    """A connection with everything set that durability and erasing rely on."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    if writes:
        # These two count only before the first table exists.
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # An acknowledged append survives a power cut: the log is synced at every commit.
        connection.execute("PRAGMA synchronous = FULL")
        # A freed page is zeroed, not only forgotten.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        # `SqliteStore.tend` copies the log back beside the writer. This is for when it cannot keep up: 64 MiB.
        connection.execute("PRAGMA wal_autocheckpoint = 65536")
        # 32 MiB: the trees of every busy stream, so that an append reads nothing from the disk.
        connection.execute("PRAGMA cache_size = -32768")
    else:
        connection.execute("PRAGMA query_only = ON")
        # Each record has pages of its own: a device that was away would cost two calls of the system for each. No more than
        # 64 MiB, because each reader's map counts as memory of this process.
        connection.execute("PRAGMA mmap_size = 67108864")
    # A sort or a journal of a statement never becomes a file.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def refuse_newer(connection: sqlite3.Connection) -> None:
    """Raises ``Misuse("unsafe_setting")`` for a file that a later release wrote: its rules are not known here."""
    ours = {migration.name for migration in migrations.pending(Database(memory=True))}
    if {migration.name for migration in migrations.applied(Database(connection))} - ours:
        raise Misuse("unsafe_setting", "a newer version of Eigenkring wrote this relay's file; please update")


def check(data_dir: Path) -> None:
    """Before anything is served: can this release use what lies there? Raises ``Misuse("unsafe_setting")``."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            refuse_newer(connection)
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unusable(error) from None
    if page_size != PAGE_SIZE:
        raise Misuse(
            "unsafe_setting", f"the pages of the relay's file are not of {PAGE_SIZE} bytes: another program made it"
        )


def migrate(connection: sqlite3.Connection) -> None:
    refuse_newer(connection)
    migrations.apply(Database(connection))
    if connection.execute("PRAGMA page_size").fetchone()[0] != PAGE_SIZE:
        raise WrongLayout(f"the pages of the relay's file are not of {PAGE_SIZE} bytes")
