"""A family with homes on disk and a relay in a process of its own, copied for every run that ends in the middle."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from crashes.steps import MEMORY, forked, gone
from eigenkring import wire
from eigenkring.case import Case
from eigenkring.charter.compose import capability_hashes
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Refused, Unreachable
from eigenkring.library import Device
from eigenkring.sqlite_store import SqliteStore
from eigenkring_server.relay import Quotas
from eigenkring_server.sqlite_store import SqliteStore as Streams
from simulator import small_schema

ADDRESS = "http://relay.example"
QUIET_ROUNDS = 8
# It serves until its test ends it, whatever the machine is busy with: a relay that went by itself looks like words
# that are never sent. Longer than a test may take, so that none stays behind one that was killed.
RELAY_SECONDS = 600


# --- the relay


def serve(data: Path, listener: socket.socket) -> None:
    """The relay's rules and its file. One frame a connection, one after the other; a frame that breaks off is none."""
    store = Streams(data, Quotas())
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            frame = bytearray()
            while piece := connection.recv(1 << 20):
                frame += piece
            if len(frame) < 4 or len(frame) != 4 + int.from_bytes(frame[:4], "big"):
                continue
            try:
                request = wire.decode_request(bytes(frame[4:]))
            except Refused as error:
                connection.sendall(wire.encode(wire.Failure(wire.id_of(bytes(frame[4:])), error.code)))  # type: ignore[arg-type]
                continue
            outcome = store.commit([request], int(time.time()))[0]
            if isinstance(outcome, Exception):
                connection.sendall(wire.encode(wire.Failure(request.id, "busy")))
            else:
                connection.sendall(wire.encode(wire.Reply(request.id, store.generation(), outcome.results)))


class Line:
    """A transport to that relay, over a socket of its own for every frame."""

    def __init__(self, address: Path) -> None:
        self._address = str(address)
        self._id = 0

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        self._id += 1
        request = wire.Request(self._id, list(ops), atomic)
        frame = wire.encode(request)
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(self._address)
                line.sendall(len(frame).to_bytes(4, "big") + frame)
                line.shutdown(socket.SHUT_WR)
                answer = bytearray()
                while piece := line.recv(1 << 22):
                    answer += piece
        except OSError:
            raise Unreachable("offline", "the relay cannot be reached") from None
        return wire.decode_reply(bytes(answer), request)

    def close(self) -> None:
        return None


# --- the family


@dataclass
class Family:
    """``folder``: homes/NAME and relay. ``facts``: what a scene wrote down for its end."""

    folder: Path
    case: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    relay: int = 0

    def start_relay(self) -> None:
        address = self.folder / "line"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(address))
        listener.listen(16)
        self.relay, reading = forked(lambda _: serve(self.folder / "relay", listener), RELAY_SECONDS)
        os.close(reading)
        listener.close()

    def end_relay(self) -> None:
        gone(self.relay)
        (self.folder / "line").unlink()

    @contextmanager
    def phone(self, name: str) -> Iterator[Device]:
        store = SqliteStore(self.folder / "homes" / name)
        device = Device(store, lambda _: Line(self.folder / "line"))
        device.around = msgspec.structs.replace(device.around, schema=small_schema())
        try:
            yield device
        finally:
            device.close()

    @contextmanager
    def opened(self, name: str) -> Iterator[Case]:
        with self.phone(name) as device:
            yield device.case(self.case)

    def sync(self, *names: str) -> None:
        """As people's phones do, one after the other."""
        for name in names or self.homes():
            with self.phone(name) as device, contextlib.suppress(Unreachable, Ended, Inadmissible):
                device.sync()

    def homes(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "homes").iterdir())

    def belongs(self, name: str) -> bool:
        with self.phone(name) as device:
            return any(row.case.hex() == self.case and row.state == "open" for row in device.store.cases())

    def settle(self) -> None:
        before = None
        for _ in range(QUIET_ROUNDS):
            self.sync()
            now = self.streams()
            if now == before:
                return
            before = now
        raise AssertionError("the family does not come to rest")

    def join(self, name: str, role: str = "member", by: str = "nora") -> None:
        with self.opened(by) as case:
            link = case.invite(role, name.title())
        with self.phone(name) as device:
            device.join(link, name.title())
        self.sync(by, name, name, by)

    def streams(self) -> list[tuple[Any, ...]]:
        """As they lie at the relay: id, the three hashes, length, chain, end."""
        file = sqlite3.connect(self.folder / "relay" / "relay.sqlite")
        try:
            return file.execute(
                "SELECT id, read, append, manage, length, chain, expires FROM stream ORDER BY id"
            ).fetchall()
        finally:
            file.close()

    # --- what must hold, whatever happened

    def words(self, name: str) -> list[str]:
        with self.opened(name) as case:
            return sorted(item["what"] for item in case.show("plan").get("agreements", {}).values())

    def check(self, *, alarms: frozenset[str] = frozenset()) -> None:
        """Everybody the same, nothing left to send, every lock as the charter says, and a newcomer reads it all."""
        self.settle()
        shown = {}
        charters = set()
        for name in self.homes():
            if not self.belongs(name):
                continue
            with self.opened(name) as case:
                assert not case.session.store.outbox(case.session.case), f"{name} never sends"
                found = {(alarm.code, alarm.about) for alarm in case.session.store.alarms(case.session.case)}
                assert {code for code, _ in found} <= alarms, (name, found)
                shown[name] = case.show()
                charters.add(case.charter.head)
                self._check_locks(case)
                integrity = case.session.store._sql.execute("PRAGMA integrity_check").fetchone()  # type: ignore[attr-defined]
                assert integrity[0] == "ok"
        if not shown:
            return
        assert len(charters) == 1, "two charters"
        common = set.intersection(*(set(parts) for parts in shown.values()))
        assert "plan" in common
        for part in common:
            assert len({msgspec.json.encode(parts[part], order="sorted") for parts in shown.values()}) == 1, part
        for name in shown:
            if name not in ("nora", "bo"):  # who started a case was given no box
                self._check_newcomer(name, shown[name])
        file = sqlite3.connect(self.folder / "relay" / "relay.sqlite")
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()

    def _check_locks(self, case: Case) -> None:
        """No half removal: what opens a stream at the relay is what the charter says now."""
        charter, ring = case.charter, case.session.ring
        rows = self.streams()
        there, ends = {row[0]: row[1:4] for row in rows}, {row[0] for row in rows if row[6] is not None}
        for stream in charter.live_streams():
            reading = charter.stream_rooms(stream).read
            if reading is not None and not charter.audience(reading):
                continue  # of somebody who left, and nobody else's
            assert bytes(stream) in there, "a stream of the charter is not at the relay"
            for mine, theirs in zip(capability_hashes(charter, ring, stream), there[bytes(stream)], strict=True):
                assert mine is None or mine == theirs or stream == charter.keys_stream, "a lock that did not turn"
        for stream in charter.streams - set(charter.live_streams()) - ends:  # the relay itself ends a door
            assert bytes(stream) not in there, f"closed in the charter, and there: {stream.hex()}"

    def _check_newcomer(self, name: str, shown: dict[str, object]) -> None:
        """The same device with nothing but its seed and the way to the keys."""
        with self.opened(name) as case:
            row = case.session.row
        with tempfile.TemporaryDirectory(dir=MEMORY) as home:
            store = SqliteStore(Path(home))
            store.put_case(replace(row, state="entering", incarnation=os.urandom(8), person=None, title=""))
            device = Device(store, lambda _: Line(self.folder / "line"))
            device.around = msgspec.structs.replace(device.around, schema=small_schema())
            for _ in range(3):
                device.sync()
            assert device.case(self.case).show() == shown, f"{name} anew reads something else"
            device.close()


@contextmanager
def copied(of: Family) -> Iterator[Family]:
    """The same family, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="kring", dir=MEMORY) as folder:
        for name in ("homes", "relay"):
            shutil.copytree(of.folder / name, Path(folder) / name)
        with served(Family(Path(folder), of.case, dict(of.facts))) as family:
            yield family


@contextmanager
def served(family: Family) -> Iterator[Family]:
    """With its relay. Only when that has ended is the folder copied: a relay that begins empties the log into the file,
    and who copies one before and the other after it has a relay of an earlier day."""
    family.start_relay()
    try:
        yield family
    finally:
        family.end_relay()


def tried(what: Callable[[], object], *codes: str) -> bool:
    """Do again what may have been done already. Gives whether it was done now."""
    try:
        what()
    except EigenkringError as error:
        assert error.code in codes, error
        return False
    return True
