"""What a Litestar WebSocket costs that does nothing of ours: it writes each message as a row, commits in groups as
durably as the relay (WAL, synchronous FULL), and sends it back; at ``/v1/pass`` to everybody else who is there instead.
``GET /rows`` answers all rows raw.

    python bench/bare_echo.py FILE.db
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from litestar import Litestar, Response, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect

GROUP = 96


class Rows:
    def __init__(self, path: str) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[tuple[bytes, Callable[[], None]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        return db

    def _run(self) -> None:
        db = self._connect()
        while True:
            group = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(group) < GROUP:
                    group.append(self._queue.get_nowait())
            db.execute("BEGIN")
            db.executemany("INSERT INTO rows (data) VALUES (?)", [(data,) for data, _ in group])
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(lambda done=[answer for _, answer in group]: [answer() for answer in done])

    def add(self, data: bytes, answer: Callable[[], None]) -> None:
        self._queue.put((data, answer))

    def all(self) -> bytes:
        with contextlib.closing(self._connect()) as db:
            return b"".join(data for (data,) in db.execute("SELECT data FROM rows ORDER BY n"))


@websocket("/v1/sync")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    await serve(socket, waiting, lambda data: waiting.put_nowait(data))


@websocket("/v1/pass")
async def passed(socket: WebSocket[Any, Any, Any]) -> None:
    here: set[asyncio.Queue[bytes]] = socket.app.state.here
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    def give(data: bytes) -> None:
        for other in here - {waiting}:
            other.put_nowait(data)

    here.add(waiting)
    try:
        await serve(socket, waiting, give)
    finally:
        here.discard(waiting)


async def serve(socket: WebSocket[Any, Any, Any], waiting: asyncio.Queue[bytes], give: Callable[[bytes], None]) -> None:
    """``give`` is called when a message lies on the disk."""
    await socket.accept()
    rows: Rows = socket.app.state.rows

    async def send() -> None:
        while True:
            await socket.send({"type": "websocket.send", "bytes": await waiting.get(), "text": None})

    sender = asyncio.create_task(send())
    try:
        while True:
            message = await socket.receive()
            if message["type"] != "websocket.receive":
                return
            data: bytes = message["bytes"]
            rows.add(data, lambda data=data: give(data))
    except WebSocketDisconnect:
        pass
    finally:
        sender.cancel()


@get("/rows", media_type="application/octet-stream")
async def rows(state: State) -> Response[bytes]:
    return Response(state.rows.all(), media_type="application/octet-stream")


class Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(f"http://{host}:{port}", flush=True)


def main(path: str) -> None:
    async def begin(app: Litestar) -> None:
        app.state.rows = Rows(path)
        app.state.here = set()

    app = Litestar([echo, passed, rows], on_startup=[begin], openapi_config=None)
    sys.setswitchinterval(0.001)
    Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            loop="asyncio",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
        )
    ).run()


if __name__ == "__main__":
    main(sys.argv[1])
