"""The folder of a relay: of one process at a time, and for nobody else's eyes."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eigenkring.errors import Misuse


def prepare(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(data_dir.stat().st_mode) & 0o077:
        # Ciphertext and capability hashes are nobody's business on this machine either.
        data_dir.chmod(0o700)


@contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """Two relays on one file would each believe their own counts."""
    handle = os.open(data_dir / "relay.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misuse("unsafe_setting", "another relay runs on this folder") from None
        yield
    finally:
        os.close(handle)


def unusable(error: Exception) -> Misuse:
    """Why the relay's file cannot be opened, with a way out. A full disk is not a damaged file: nobody shall put a backup
    over what is whole."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    ) or isinstance(error, OSError):
        words = "the disk is full or cannot be written: make room, see to its rights, and start again; what was answered is kept"
    else:
        words = "the relay's file cannot be read: put a backup back with `relay restore --replace`"
    return Misuse("unsafe_setting", f"{words} ({error})")
