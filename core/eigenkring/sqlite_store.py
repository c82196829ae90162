"""The device store in one SQLite file. One process at a time: a second is told so, it does not corrupt.

Everything here is as secret as the phone it lies on; the file is made readable for its owner only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, Self

from eigenkring.errors import Misuse
from eigenkring.ids import CaseId, Chain, RecordBytes, StreamId
from eigenkring.store import Alarm, OutboxItem, OwnChange, StoredCase, StoredGrant
from eigenkring.stream import Placed, Position

VERSION: Final = 1
LOCK_SECONDS: Final = 20.0
# An empty file beside the store, made once the store is on the disk: by it a store that lost all is told from a new home.
_BEGUN: Final = "begun"
_EMPTIED: Final = (
    "the store in the home folder is empty, and it was in use before: put back a copy of the folder, or keep it and begin "
    "in another one, with a link from a device of your own (`add-device`) or the recovery code (`recover`)"
)

# STRICT: a wrong type in a column is an error at once, not a surprise years later.
_TABLES: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "case_": (
        {
            "case_id": bytes, "relay": str, "state": str, "seed": bytes, "incarnation": bytes, "person": bytes,
            "device": bytes, "keys_stream": bytes, "keys_secret": bytes, "joined_head": bytes, "link": str, "title": str,
        },
        ("case_id",),
    ),
    "grant_": (
        {
            "grant_id": bytes, "case_id": bytes, "relay": str, "link": str, "seed": bytes, "name": str,
            "granter_key": bytes, "status": str, "until": int, "state_n": int, "state": bytes, "version": int,
            "view": bytes, "sender": str,
        },
        ("grant_id",),
    ),
    "room_secret": ({"case_id": bytes, "room": str, "epoch": int, "secret": bytes}, ("case_id", "room", "epoch")),
    "position": (
        {"case_id": bytes, "stream": bytes, "base": int, "length": int, "chain": bytes},
        ("case_id", "stream"),
    ),
    # record is NULL once a snapshot replaced it: the chain value stays, to recognise a fork years later.
    "record": (
        {"case_id": bytes, "stream": bytes, "idx": int, "record": bytes, "chain": bytes},
        ("case_id", "stream", "idx"),
    ),
    "outbox": ({"number": int, "case_id": bytes, "stream": bytes, "record": bytes, "ops": bytes}, ("number",)),
    "own_change": (
        {"case_id": bytes, "stream": bytes, "hash": bytes, "sequence": int, "intents": bytes},
        ("case_id", "stream", "hash"),
    ),
    "fact": ({"case_id": bytes, "name": str, "value": bytes}, ("case_id", "name")),
    "alarm": ({"case_id": bytes, "code": str, "about": str, "at": int}, ("case_id", "code", "about")),
}  # fmt: skip


class _Cursor(sqlite3.Cursor):
    """Damage and a full disk show at any statement and at any row: they are told in words, with a way out."""

    def execute(self, *arguments: Any) -> Self:
        try:
            return super().execute(*arguments)
        except sqlite3.DatabaseError as error:
            raise _told(error) from None

    def executemany(self, *arguments: Any) -> Self:
        try:
            return super().executemany(*arguments)
        except sqlite3.DatabaseError as error:
            raise _told(error) from None

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as error:
            raise _told(error) from None

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as error:
            raise _told(error) from None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # All at once: whoever asks for rows here wants a list of them, and Python spends more on each row than SQLite.
        return iter(self.fetchall())


class _Connection(sqlite3.Connection):
    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executemany(*arguments)


def _told(error: sqlite3.DatabaseError) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        words = "the disk is full: make room and try again; what was here before is here still"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        words = (  # on a full disk SQLite opens no file either, and calls it an error of the disk
            f"the home folder cannot be used ({error}): make room where the disk is full, see to its rights, and try "
            "again; what was here before is here still"
        )
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        words = (
            f"the store in the home folder is damaged ({error}): put back a copy of the folder, or keep it and join "
            "anew in another one, with a link from a device of your own (`add-device`)"
        )
    else:
        return error
    return Misuse("no_home", words)


class SqliteStore:
    """``home`` is one person's device. Raises ``Misuse``: ``home_locked``, ``no_home``."""

    _untidy = False  # tidying that waits for the end of a step

    def __init__(self, home: Path) -> None:
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(home / "lock")
            _for_owner_only(home / "device.sqlite")
        except OSError as error:
            raise Misuse("no_home", f"the folder {home} cannot be used: {error.strerror}") from None
        path = home / "device.sqlite"
        try:
            self._sql: sqlite3.Connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, factory=_Connection
            )
            if (home / _BEGUN).exists() and not self._version():
                raise Misuse("no_home", _EMPTIED)
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA synchronous=FULL")
            self._sql.execute("PRAGMA secure_delete=ON")  # what is erased is gone from the file too
            self._create()
            with suppress(OSError):  # on a disk that is full now, the next opening does it
                (home / _BEGUN).touch(mode=0o600)
        except (sqlite3.DatabaseError, Misuse) as error:
            os.close(self._lock)
            if isinstance(error, Misuse):
                raise
            raise Misuse("no_home", f"the store in {home} cannot be read: {error}") from None
        self._depth = 0

    def _version(self) -> int:
        """0 of a file in which nothing was ever committed."""
        return int(self._sql.execute("PRAGMA user_version").fetchone()[0])

    def _create(self) -> None:
        version = self._version()
        if version > VERSION:
            raise Misuse("no_home", "a newer version of Eigenkring wrote this store; please update")
        if version == 0:
            import sqlite_utils  # a new home alone needs it, and loading it takes as long as reading a case

            db = sqlite_utils.Database(self._sql)
            for name, (columns, key) in _TABLES.items():
                db.create_table(name, columns, pk=key if len(key) > 1 else key[0], strict=True, if_not_exists=True)
            self._sql.execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def step(self) -> Iterator[None]:
        if self._depth:  # a step inside a step belongs to the outer one
            yield
            return
        self._sql.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            # Where the disk is full SQLite may have gone back by itself.
            with suppress(sqlite3.OperationalError):
                self._sql.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0
        if self._untidy:
            self.tidy()

    def close(self) -> None:
        self._sql.close()
        os.close(self._lock)

    # --- cases and grants

    def cases(self) -> list[StoredCase]:
        rows = self._sql.execute(
            "SELECT case_id, relay, state, seed, incarnation, person, device, keys_stream, keys_secret, "
            "joined_head, link, title FROM case_ ORDER BY rowid"
        )
        return [StoredCase(*row) for row in rows]

    def case(self, case: CaseId) -> StoredCase | None:
        return next((row for row in self.cases() if row.case == case), None)

    def put_case(self, row: StoredCase) -> None:
        self._sql.execute(
            "INSERT INTO case_ (case_id, relay, state, seed, incarnation, person, device, keys_stream, keys_secret, "
            "joined_head, link, title) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (case_id) DO UPDATE SET "
            "relay=excluded.relay, state=excluded.state, seed=excluded.seed, incarnation=excluded.incarnation, "
            "person=excluded.person, device=excluded.device, keys_stream=excluded.keys_stream, "
            "keys_secret=excluded.keys_secret, joined_head=excluded.joined_head, link=excluded.link, "
            "title=excluded.title",
            astuple(row),
        )

    def grants(self) -> list[StoredGrant]:
        rows = self._sql.execute(
            "SELECT grant_id, case_id, relay, link, seed, name, granter_key, status, until, state_n, state, version, "
            "view, sender FROM grant_ ORDER BY rowid"
        )
        return [StoredGrant(*row) for row in rows]

    def put_grant(self, row: StoredGrant) -> None:
        self._sql.execute("INSERT OR REPLACE INTO grant_ VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", astuple(row))

    # --- secrets

    def room_secrets(self, case: CaseId) -> list[tuple[str, int, bytes]]:
        return self._sql.execute(
            "SELECT room, epoch, secret FROM room_secret WHERE case_id=? ORDER BY room, epoch", (case,)
        ).fetchall()

    def put_room_secrets(self, case: CaseId, secrets: Iterable[tuple[str, int, bytes]]) -> None:
        self._sql.executemany(
            "INSERT OR IGNORE INTO room_secret VALUES (?,?,?,?)", [(case, *secret) for secret in secrets]
        )

    def drop_room_secrets(self, case: CaseId, which: Iterable[tuple[str, int]]) -> None:
        self._sql.executemany(
            "DELETE FROM room_secret WHERE case_id=? AND room=? AND epoch=?", [(case, *one) for one in which]
        )

    # --- streams

    def position(self, case: CaseId, stream: StreamId) -> Position | None:
        row = self._sql.execute(
            "SELECT base, length, chain FROM position WHERE case_id=? AND stream=?", (case, stream)
        ).fetchone()
        return None if row is None else Position(*row)

    def chain_at(self, case: CaseId, stream: StreamId, index: int) -> Chain | None:
        if index == 0:
            return Position.start(stream).chain
        row = self._sql.execute(
            "SELECT chain FROM record WHERE case_id=? AND stream=? AND idx=?", (case, stream, index)
        ).fetchone()
        return None if row is None else Chain(row[0])

    def records(self, case: CaseId, stream: StreamId, after: int = 0) -> list[Placed]:
        rows = self._sql.execute(
            "SELECT idx, record, chain FROM record WHERE case_id=? AND stream=? AND idx>? AND record IS NOT NULL "
            "ORDER BY idx",
            (case, stream, after),
        )
        return [Placed(index, RecordBytes(record), Chain(chain)) for index, record, chain in rows]

    def sizes(self, case: CaseId, stream: StreamId, after: int = 0) -> list[int]:
        rows = self._sql.execute(
            "SELECT length(record) FROM record WHERE case_id=? AND stream=? AND idx>? AND record IS NOT NULL ORDER BY idx",
            (case, stream, after),
        )
        return [size for (size,) in rows]

    def put_records(self, case: CaseId, stream: StreamId, position: Position, placed: Iterable[Placed]) -> None:
        with self.step():
            self._sql.executemany(
                "INSERT OR REPLACE INTO record VALUES (?,?,?,?,?)",
                [(case, stream, item.index, item.record, item.chain) for item in placed],
            )
            self._sql.execute(
                "UPDATE record SET record=NULL WHERE case_id=? AND stream=? AND idx<=?",
                (case, stream, position.base),
            )
            self._sql.execute(
                "INSERT OR REPLACE INTO position VALUES (?,?,?,?,?)",
                (case, stream, position.base, position.length, position.chain),
            )

    def replace_records(
        self, case: CaseId, stream: StreamId, position: Position, base_chain: Chain, placed: Iterable[Placed]
    ) -> None:
        with self.step():
            self._sql.execute("DELETE FROM record WHERE case_id=? AND stream=?", (case, stream))
            if position.base:
                self._sql.execute("INSERT INTO record VALUES (?,?,?,NULL,?)", (case, stream, position.base, base_chain))
            self.put_records(case, stream, position, placed)

    def forget_stream(self, case: CaseId, stream: StreamId) -> None:
        with self.step():
            for table in ("record", "position", "own_change", "outbox"):
                self._sql.execute(f"DELETE FROM {table} WHERE case_id=? AND stream=?", (case, stream))  # noqa: S608

    # --- outbox and intents

    def outbox(self, case: CaseId) -> list[OutboxItem]:
        rows = self._sql.execute(
            "SELECT number, stream, record, ops FROM outbox WHERE case_id=? ORDER BY number", (case,)
        )
        return [OutboxItem(number, stream, record, ops or b"") for number, stream, record, ops in rows]

    def add_outbox(self, case: CaseId, stream: StreamId | None, record: RecordBytes | None, ops: bytes = b"") -> int:
        cursor = self._sql.execute(
            "INSERT INTO outbox (case_id, stream, record, ops) VALUES (?,?,?,?)", (case, stream, record, ops)
        )
        return int(cursor.lastrowid or 0)

    def drop_outbox(self, number: int) -> None:
        self._sql.execute("DELETE FROM outbox WHERE number=?", (number,))

    def own_changes(self, case: CaseId, stream: StreamId) -> list[OwnChange]:
        rows = self._sql.execute(
            "SELECT hash, sequence, intents FROM own_change WHERE case_id=? AND stream=? ORDER BY rowid",
            (case, stream),
        )
        return [OwnChange(*row) for row in rows]

    def own_hashes(self, case: CaseId, stream: StreamId) -> list[bytes]:
        rows = self._sql.execute("SELECT hash FROM own_change WHERE case_id=? AND stream=?", (case, stream))
        return [row[0] for row in rows]

    def put_own_change(self, case: CaseId, stream: StreamId, change: OwnChange) -> None:
        self._sql.execute(
            "INSERT OR REPLACE INTO own_change VALUES (?,?,?,?,?)",
            (case, stream, change.hash, change.sequence, change.intents),
        )

    def drop_own_change(self, case: CaseId, stream: StreamId, change_hash: bytes) -> None:
        self._sql.execute("DELETE FROM own_change WHERE case_id=? AND stream=? AND hash=?", (case, stream, change_hash))

    # --- facts and alarms

    def fact(self, case: CaseId, name: str) -> bytes | None:
        row = self._sql.execute("SELECT value FROM fact WHERE case_id=? AND name=?", (case, name)).fetchone()
        return None if row is None else bytes(row[0])

    def put_fact(self, case: CaseId, name: str, value: bytes | None) -> None:
        if value is None:
            self._sql.execute("DELETE FROM fact WHERE case_id=? AND name=?", (case, name))
        else:
            self._sql.execute("INSERT OR REPLACE INTO fact VALUES (?,?,?)", (case, name, value))

    def alarms(self, case: CaseId) -> list[Alarm]:
        rows = self._sql.execute("SELECT code, about, at FROM alarm WHERE case_id=? ORDER BY rowid", (case,))
        return [Alarm(*row) for row in rows]

    def put_alarm(self, case: CaseId, alarm: Alarm) -> None:
        self._sql.execute("INSERT OR IGNORE INTO alarm VALUES (?,?,?,?)", (case, alarm.code, alarm.about, alarm.at))

    def drop_alarm(self, case: CaseId, code: str, about: str) -> None:
        self._sql.execute("DELETE FROM alarm WHERE case_id=? AND code=? AND about=?", (case, code, about))

    def erase_case(self, case: CaseId) -> None:
        with self.step():
            for table in _TABLES:
                if "case_id" in _TABLES[table][0]:
                    self._sql.execute(f"DELETE FROM {table} WHERE case_id=?", (case,))  # noqa: S608
        self.tidy()

    def tidy(self) -> None:
        """What was erased leaves the log too. Inside a step that must wait for its end: SQLite refuses it there."""
        self._untidy = self._depth > 0
        if self._untidy:
            return
        # Zeroing what is deleted is not enough: SQLite leaves copies where it balanced its pages. So the file is
        # written anew, with no copy of it beside (temp_store).
        with contextlib.suppress(sqlite3.OperationalError):  # on a full disk the next tidying does it
            self._sql.execute("PRAGMA temp_store=MEMORY")
            self._sql.execute("VACUUM")
        self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _for_owner_only(path: Path) -> None:
    """Before anything is in it, and again where a copy was put back: SQLite gives its other files the same rights."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(handle).st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _lock(path: Path) -> int:
    """Hold the home for this process. Two processes with one incarnation would make two variants of one change."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError:
            if time.monotonic() > give_up:
                os.close(handle)
                raise Misuse("home_locked", "another program is using this home; close it and try again") from None
            time.sleep(0.05)
