"""Kill a process at a numbered step that it takes towards disk or network. The steps are not listed: they are seen.

What is seen: every statement of every SQLite connection, every call of SQLite to the file system that changes a file
(its own table of system calls is taken over for that), every change Python makes to a file, every send and receive on
a socket. A new statement, file or message is a new step, and is walked without anybody adding it here.

A run is a fork of this process, so that it begins at once, with files and sockets of its own. It is ended by SIGKILL
sent by itself, just before the step is taken: nothing of it runs after that.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

# Reading changes nothing: killed there is killed at the step before.
_READING: Final = ("SELECT", "PRAGMA")
# A person notices the end of these; the full walk takes all.
COARSE: Final = frozenset({"commit", "net", "file"})
_FILE_EVENTS: Final = frozenset(
    "os.rename os.remove os.mkdir os.rmdir os.truncate os.link os.symlink shutil.move shutil.rmtree".split()
)
_SOCKET_CALLS: Final = "connect send sendall sendto sendmsg recv recv_into".split()
# SQLite's names of the calls that change a file.
_SYSTEM_CALLS: Final = {
    b"write": (ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t),
    b"pwrite": (ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    b"pwrite64": (ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    b"ftruncate": (ctypes.c_int, ctypes.c_int, ctypes.c_int64),
    b"unlink": (ctypes.c_int, ctypes.c_char_p),
}
# For who hangs. On a busy machine a run of half a second took more than 60, and less than the 300 of a whole test.
_LONGEST_SECONDS: Final = 240
# What is killed keeps what it wrote, also in memory; and nothing here waits for a disk.
MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Steps:
    """Counts the steps of this process from ``begin`` on, and ends it at step ``stop_at``."""

    def __init__(self, below: Path, stop_at: int, only: frozenset[str] | None = None) -> None:
        self._below = str(below)
        self._stop_at = stop_at
        self._only = only
        self._on = False
        self._lock = threading.Lock()
        self.taken: list[str] = []
        self._kept: list[Any] = []  # what C calls must not be collected
        self._install()

    def begin(self) -> None:
        self._on = True

    def end(self) -> None:
        self._on = False

    def take(self, kind: str, what: str) -> None:
        if not self._on or (self._only is not None and kind not in self._only):
            return
        with self._lock:
            self.taken.append(f"{kind} {what}")
            if len(self.taken) == self._stop_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _install(self) -> None:
        self._watch_statements()
        self._watch_system_calls()
        sys.addaudithook(self._audited)
        for name in _SOCKET_CALLS:
            setattr(socket.socket, name, self._counted(name, getattr(socket.socket, name)))
        for name in ("fsync", "write", "ftruncate"):
            setattr(os, name, self._counted(name, getattr(os, name), "file"))

    def _counted(self, name: str, call: Callable[..., Any], kind: str = "net") -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self.take(kind, name)
            return call(*arguments, **more)

        return counted

    def _watch_statements(self) -> None:
        connect = sqlite3.connect

        def statement(text: str) -> None:
            word = text.lstrip().split(" ", 1)[0].upper()
            if word in _READING and "checkpoint" not in text and "vacuum" not in text:
                return
            self.take("commit" if word in ("COMMIT", "VACUUM", "PRAGMA") else "statement", text[:40])

        def watched(*arguments: Any, **more: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **more)
            connection.set_trace_callback(statement)
            return connection

        sqlite3.connect = watched  # type: ignore[assignment]

    def _watch_system_calls(self) -> None:
        """Of the library that `sqlite3` uses: its file system layer lets each of its calls be replaced, for such tests."""
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.c_void_p
        vfs = library.sqlite3_vfs_find(None)
        pointer = ctypes.sizeof(ctypes.c_void_p)
        # After three ints (padded), the next, the name, the data and thirteen methods come set, get and next.
        first = 3 * 4 + 4 + 3 * pointer + 13 * pointer
        at = [ctypes.c_void_p.from_address(vfs + first + n * pointer).value for n in range(2)]
        set_call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(at[0])
        get_call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(at[1])
        for name, types in _SYSTEM_CALLS.items():
            shape = ctypes.CFUNCTYPE(*types, use_errno=True)
            there = get_call(vfs, name)
            if there is None:
                continue
            original = shape(there)

            def counted(*arguments: Any, name: bytes = name, original: Any = original) -> Any:
                self.take("write", name.decode())
                return original(*arguments)

            callback = shape(counted)
            self._kept += [callback, original]
            if set_call(vfs, name, ctypes.cast(callback, ctypes.c_void_p)) != 0:
                raise AssertionError(f"SQLite keeps its own {name.decode()}")

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS:
            self.take("file", event)
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) and self._ours(arguments[0]):
            self.take("file", "open to write")

    def _ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._below)


@dataclass(frozen=True)
class Run:
    """How a run ended: killed at its step, or to the end. ``said`` is what it told before: that much was acknowledged."""

    killed: bool
    said: list[str]
    steps: list[str]
    status: int


def forked(what: Callable[[Callable[[str], None]], None], longest_seconds: int = _LONGEST_SECONDS) -> tuple[int, int]:
    """Run in a fork; gives its process and the end of a pipe on which it says lines."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    write = os.write

    def say(line: str) -> None:
        write(writing, line.encode() + b"\n")

    return _end_with(lambda: what(say), longest_seconds)


def _end_with(what: Callable[[], None], longest_seconds: int) -> NoReturn:
    status = 70
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(longest_seconds)
        what()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def run(
    what: Callable[[Steps, Callable[[str], None]], None], below: Path, stop_at: int, only: frozenset[str] | None = None
) -> Run:
    """``what(steps, say)`` in a fork that is killed at a step; it calls ``steps.begin`` where the counting begins."""

    def counted(say: Callable[[str], None]) -> None:
        steps = Steps(below, stop_at, only)
        what(steps, lambda line: say(f"said {line}"))
        steps.end()
        for step in steps.taken:
            say(f"step {step}")

    process, reading = forked(counted)
    with os.fdopen(reading) as lines:
        told = [line.rstrip("\n") for line in lines]
    _, status = os.waitpid(process, 0)
    said = [line[5:] for line in told if line.startswith("said ")]
    steps = [line[5:] for line in told if line.startswith("step ")]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return Run(killed, said, steps, status)


def gone(process: int, seconds: float = 60.0) -> None:
    """Kill a fork and wait for it."""
    until = time.monotonic() + seconds
    os.kill(process, signal.SIGKILL)
    while time.monotonic() < until:
        found, _ = os.waitpid(process, os.WNOHANG)
        if found:
            return
        time.sleep(0.002)
    raise AssertionError("a fork does not end")
