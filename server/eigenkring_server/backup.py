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


def restore(source: Path, data_dir: Path) -> int:
    """Put a backup into the empty folder ``data_dir`` and return its new generation. Devices are told: never silent."""
    if not source.is_file():
        raise Misuse("bad_argument", "there is no backup at this path")
    prepare(data_dir)
    with lock(data_dir):
        path = data_dir / schema.FILE_NAME
        if path.exists():
            raise Misuse("bad_argument", "the folder holds a relay already")
        unfinished = path.with_suffix(".restoring")
        unfinished.unlink(missing_ok=True)
        old = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        try:
            new = sqlite3.connect(unfinished, isolation_level=None)
            try:
                old.backup(new, pages=-1)
                if new.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise Misuse("bad_argument", "the backup is damaged")
                (before,) = new.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
                # Above the clock too: the same backup put back twice must not give the same number twice.
                generation = max(int(before) + 1, int(time.time()))
                new.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (generation,))
            finally:
                new.close()
        finally:
            old.close()
        _sync(unfinished)
        unfinished.rename(path)
        _sync(data_dir)
    return generation


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
