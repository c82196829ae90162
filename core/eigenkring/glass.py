"""The glass relay of the demo: a page that shows, live, what the relay holds: sizes and noise. And three doors to walk in by.

It reads the relay's own file, so it shows all of it, and it is a server of its own: a real relay has no such page.
Each door is another port on which the same relay answers, so that one browser can hold three phones.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from eigenkring import own_devices
from eigenkring.errors import EigenkringError
from eigenkring.library import Device

LOOPBACK: Final = "127.0.0.1"
DOORS: Final = ("nora", "anneke", "de-wit")
MOST_STREAMS: Final = 200
LAST_RECORDS: Final = 24
NOISE_BYTES: Final = 16
# Zeros before each record in the relay's file (server/eigenkring_server/overflow.py), and version and epoch of a record.
LEAD_BYTES: Final = 103
HEADER_BYTES: Final = 5
SHOWN_BYTES: Final = 512
LOOK_SECONDS: Final = 1.0
# A door that somebody opened is answered for this long by the family's own devices.
ATTEND_SECONDS: Final = 900
PAGES: Final = {"/": ("glass.html", "text/html"), "/glass.js": ("glass.js", "text/javascript")}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Forward:
    """The same relay at a port of its own: another origin, and so another phone, for a browser."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=30)
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        source.settimeout(None)
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def rows(database: Path) -> dict[str, Any]:
    """All streams: ``{"streams": [{"id", "length", "bytes", "records": [[n, size, noise]]}], "count", "records", "bytes"}``.

    Of each stream its last records with some bytes, in hexadecimal. Read-only: the relay writes meanwhile.
    """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as db:
        total = db.execute("SELECT count(*), coalesce(sum(bytes_kept), 0) FROM stream").fetchone()
        records = db.execute("SELECT count(*) FROM record").fetchone()[0]
        streams = []
        for identity, number, length, kept in db.execute(
            "SELECT id, number, length, bytes_kept FROM stream ORDER BY id LIMIT ?", (MOST_STREAMS,)
        ).fetchall():
            last = db.execute(
                "SELECT n, size, substr(value, ?, ?) FROM record JOIN body ON body.id = record.body "
                "WHERE stream = ? ORDER BY n DESC LIMIT ?",
                (LEAD_BYTES + HEADER_BYTES + 1, NOISE_BYTES, number, LAST_RECORDS),
            ).fetchall()
            shown = [[n, size, bytes(noise).hex()] for n, size, noise in reversed(last)]
            streams.append({"id": identity.hex(), "length": length, "bytes": kept, "records": shown})
    return {"streams": streams, "count": total[0], "bytes": total[1], "records": records}


def record(database: Path, stream: str, n: int) -> dict[str, Any]:
    """The first bytes of one record, as they lie there. KeyError where there is none."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as db:
        found = db.execute(
            "SELECT size, substr(value, ?, min(size, ?)) FROM record JOIN body ON body.id = record.body "
            "WHERE stream = (SELECT number FROM stream WHERE id = ?) AND n = ?",
            (LEAD_BYTES + 1, SHOWN_BYTES, bytes.fromhex(stream), n),
        ).fetchone()
    if found is None:
        raise KeyError(n)
    return {"size": found[0], "bytes": bytes(found[1]).hex()}


class Glass:
    """``url`` is the page. ``folder`` is the demo's: its relay's file, and the homes whose devices answer the doors."""

    def __init__(self, folder: Path, relay: str, case: str, port: int = 0) -> None:
        self._folder = folder
        self._case = case
        where = urlsplit(relay)
        self._doors = {name: Forward((where.hostname or LOOPBACK, where.port or 80)) for name in DOORS}
        self._homes = threading.Lock()
        self._attend_until = 0.0
        glass = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                glass.answer(self)

            def do_POST(self) -> None:
                glass.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._attend, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for door in self._doors.values():
            door.close()

    # --- the page

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        where = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        # Another page of this browser may not ask for a link.
        if asked.headers.get("Host") != urlsplit(self.url).netloc:
            self._send(asked, 403, "text/plain", b"")
        elif asked.command == "GET" and where.path in PAGES:
            name, kind = PAGES[where.path]
            self._send(asked, 200, kind, (files("eigenkring") / name).read_bytes())
        elif asked.command == "GET" and where.path == "/rows":
            self._json(asked, lambda: rows(self._database))
        elif asked.command == "GET" and where.path == "/record":
            self._json(asked, lambda: record(self._database, query["stream"], int(query["n"])))
        elif asked.command == "POST" and where.path == "/enter" and asked.headers.get("X-Glass") == "1":
            self._json(asked, lambda: {"address": self.enter(query["who"], again=query.get("again") == "1")})
        else:
            self._send(asked, 404, "text/plain", b"")

    @property
    def _database(self) -> Path:
        return self._folder / "relay" / "relay.sqlite"

    def _json(self, asked: BaseHTTPRequestHandler, work: Callable[[], dict[str, Any]]) -> None:
        try:
            status, told = 200, work()
        except EigenkringError as error:
            status, told = 409, {"error": error.code}
        except (KeyError, ValueError, sqlite3.Error):
            status, told = 404, {"error": "bad_argument"}
        self._send(asked, status, "application/json", json.dumps(told).encode())

    @staticmethod
    def _send(asked: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
        asked.send_response(status)
        asked.send_header("Content-Type", f"{kind}; charset=utf-8")
        asked.send_header("Content-Length", str(len(body)))
        asked.send_header("Content-Security-Policy", POLICY)
        asked.send_header("X-Content-Type-Options", "nosniff")
        asked.send_header("Referrer-Policy", "no-referrer")
        asked.send_header("Cache-Control", "no-store")
        asked.end_headers()
        asked.wfile.write(body)

    # --- the doors

    def enter(self, who: str, *, again: bool) -> str:
        """The address where a visitor walks in as ``who``: with a link the first time. KeyError: no such door."""
        door = self._doors[who]
        self._attend_until = time.monotonic() + ATTEND_SECONDS
        if again:
            return f"{door.url}/"
        with self._homes:
            link = self._view() if who == "de-wit" else self._device(who)
        return f"{door.url}/#{link.partition('#')[2]}"

    def _device(self, who: str) -> str:
        with Device.open(self._folder / "homes" / who) as device:
            device.sync()
            return own_devices.add_device(device.case(self._case))

    def _view(self) -> str:
        with Device.open(self._folder / "homes" / "nora") as nora:
            nora.sync()
            case = nora.case(self._case)
            until = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
            selection = case.selection(["plan", "safety"])
            return case.grant("De Wit", "Meedenken over veiligheid thuis", until, selection).link

    def _attend(self) -> None:
        """The family's own devices are awake while a visitor is here: they let in who knocks, and publish views."""
        while True:
            time.sleep(LOOK_SECONDS)
            if time.monotonic() > self._attend_until:
                continue
            for who in ("nora", "anneke"):
                # A command of the visitor's own may hold the home: then it does the same work.
                with suppress(EigenkringError), self._homes, Device.open(self._folder / "homes" / who) as device:
                    device.sync()
