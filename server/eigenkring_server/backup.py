"""A copy of a running relay's file, and putting one back: a new generation, because later records are missing."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from eigenkring.errors import Misuse
from eigenkring_server import schema
from eigenkring_server.data_folder import lock, prepare


def backup(data_dir: Path, to: Path) -> None:
    """Copy the streams of ``data_dir`` into the new file ``to``, also while the relay runs.

    The copy holds ciphertext that a later `close` cannot reach: keep it no longer than needed.
    """
    source_path = data_dir / schema.FILE_NAME
    if not source_path.is_file():
        raise Misuse("bad_argument", "there is no relay in this folder")
    if to.exists():
        raise Misuse("bad_argument", "the backup's file exists already")
    # Made with its permissions, before a byte is in it.
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source = schema.connect(source_path, writes=False)
    try:
        target = sqlite3.connect(to)
        try:
            # In one step: the copy is one moment of the relay, and writers do not wait for it.
            source.backup(target, pages=-1)
            target.execute("PRAGMA journal_mode = DELETE")
        finally:
            target.close()
    finally:
        source.close()
    _sync(to)


def restore(source: Path, data_dir: Path, *, replace: bool = False) -> int:
    """Put a backup into ``data_dir`` and return its new generation. Devices are told: never silent.

    ``replace``: the relay that lies there is erased, once the backup is known to be whole. Raises ``Misuse``.
    """
    if not source.is_file():
        raise Misuse("bad_argument", "there is no backup at this path")
    prepare(data_dir)
    with lock(data_dir):
        path = data_dir / schema.FILE_NAME
        if path.exists() and not replace:
            raise Misuse(
                "unsafe_setting", "the folder holds a relay already; --replace erases it and what is newer in it"
            )
        unfinished = path.with_suffix(".restoring")
        unfinished.unlink(missing_ok=True)
        try:
            before = max(_copied(source, unfinished), _generation_there(path))
            generation = _raise_generation(unfinished, before)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync(unfinished)
        # A log that belongs to another file would be read into this one.
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        unfinished.rename(path)
        _sync(data_dir)
    return generation


def begin_anew(data_dir: Path) -> int:
    """An empty relay in the place of one that is lost, under a generation above any it can have had. Every device is
    told, and the phones rebuild it. Raises ``Misuse``: a relay lies there."""
    prepare(data_dir)
    with lock(data_dir):
        path = data_dir / schema.FILE_NAME
        if path.exists() and not _is_unused(path):
            raise Misuse(
                "unsafe_setting", "the folder holds a relay with streams: an empty one would hide what is there"
            )
        unfinished = path.with_suffix(".restoring")
        for old in (unfinished, *(Path(f"{path}{ending}") for ending in ("-wal", "-shm"))):
            old.unlink(missing_ok=True)
        connection = schema.connect(unfinished, writes=True)
        try:
            schema.migrate(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            connection.close()
        generation = _raise_generation(unfinished, _generation_there(path))
        _sync(unfinished)
        unfinished.rename(path)
        _sync(data_dir)
    return generation


def _is_unused(path: Path) -> bool:
    """Whether no stream was ever opened: a relay that was started on the emptied disk before anybody told it."""
    try:
        there = sqlite3.connect(path)
        try:
            counts = "SELECT (SELECT count(*) FROM stream) + (SELECT count(*) FROM tombstone)"
            return bool(there.execute(counts).fetchone()[0] == 0)
        finally:
            there.close()
    except sqlite3.DatabaseError:
        return False


def _copied(source: Path, to: Path) -> int:
    """Copy a backup and check it. Gives its generation."""
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        old = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        try:
            new = sqlite3.connect(to, isolation_level=None)
            try:
                old.backup(new, pages=-1)
                if new.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise Misuse("bad_argument", "the backup is damaged")
                schema.refuse_newer(new)
                (generation,) = new.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
                return int(generation)
            finally:
                new.close()
        finally:
            old.close()
    except (sqlite3.DatabaseError, TypeError):
        raise Misuse("bad_argument", "this file is no backup of a relay, or it is damaged") from None


def _generation_there(path: Path) -> int:
    """Of the relay that is replaced; 0 where there is none, or where it can no longer be read. Its log is copied back."""
    if not path.exists():
        return 0
    try:
        there = sqlite3.connect(path, isolation_level=None)
        try:
            there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (generation,) = there.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
            return int(generation)
        finally:
            there.close()
    except (sqlite3.DatabaseError, TypeError):
        return 0


def _raise_generation(path: Path, before: int) -> int:
    # Above the clock too: the same backup put back twice must not give the same number twice.
    generation = max(before + 1, int(time.time()))
    file = sqlite3.connect(path, isolation_level=None)
    try:
        file.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (generation,))
    finally:
        file.close()
    return generation


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
