"""The Litestar application: `/v1/sync`, `/v1/exchange`, `/v1/health`, and the built app beside them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import HttpMethod, Litestar, MediaType, Request, Response, WebSocket, get, post, route, websocket
from litestar.connection import ASGIConnection
from litestar.datastructures import State

from eigenkring import wire
from eigenkring_server.frames import Frames
from eigenkring_server.limits import Doors, Limits
from eigenkring_server.line import line_of
from eigenkring_server.logs import Told, tally_of
from eigenkring_server.metrics import CONTENT_TYPE, Metrics, both
from eigenkring_server.pauses import Ended
from eigenkring_server.pwa import App
from eigenkring_server.relay import Quotas
from eigenkring_server.sqlite_store import SqliteStore
from eigenkring_server.websocket import Connection

_FORWARDED: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
_STATUS: Final[dict[wire.FrameCode, int]] = {
    "bad_frame": 400,
    "not_admitted": 403,
    "too_large": 413,
    "slow_down": 429,
    "busy": 503,
}


def create_app(
    data_dir: Path,
    *,
    pwa_dir: Path | None = None,
    admission_token: str | None = None,
    quotas: Quotas | None = None,
    limits: Limits | None = None,
    metrics: bool = False,
) -> Litestar:
    """The relay as an ASGI application. It opens its store when it starts and closes it when it stops."""
    chosen = limits or Limits()
    counts = Metrics() if metrics else None

    async def start(app: Litestar) -> None:
        try:
            store = await asyncio.to_thread(SqliteStore, data_dir, quotas or Quotas())
        except (sqlite3.Error, OSError) as error:
            app.state.failure = error  # the server that starts us tells nobody why
            raise
        app.state.frames = Frames(store, chosen, admission_token, counts)

    async def stop(app: Litestar) -> None:
        await app.state.frames.stop()

    return Litestar(
        route_handlers=[sync, exchange, health, *([told] if metrics else []), app_file],
        on_startup=[start],
        on_shutdown=[stop],
        state=State(
            {
                "limits": chosen,
                "app": App(pwa_dir) if pwa_dir else None,
                "connections": 0,
                "ended": Ended(),
                "doors": Doors(chosen),
                "metrics": counts,
            }
        ),
        openapi_config=None,
        logging_config=None,
        # The body is counted while it is read, and refused with a frame.
        request_max_body_size=None,
    )


@websocket("/v1/sync")
async def sync(socket: WebSocket[Any, Any, Any], state: State) -> None:
    if state.connections >= state.limits.connections:
        await socket.receive()
        await socket.close(1013)
        return
    address, counted = _address(socket), both(tally_of(socket.scope).add, state.metrics)
    doors: Doors = state.doors
    if not doors.enter(address):
        # Said in a frame: what a browser is told of a refused handshake is nothing.
        refusal = wire.encode(wire.Failure(0, "slow_down"))
        counted(0, len(refusal), Told(code="slow_down"))
        await socket.accept()
        await socket.send({"type": "websocket.send", "bytes": refusal, "text": None})
        await socket.close(1013)
        return
    state.connections += 1
    try:
        await socket.accept()
        await Connection(line_of(socket.scope), state.frames, state.limits, counted, address).serve(socket)
    finally:
        state.connections -= 1
        state.ended.add(state.connections)
        doors.leave(address)


@post("/v1/exchange", status_code=200)
async def exchange(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    frames: Frames = state.frames
    counted = both(tally_of(request.scope).add, state.metrics)
    # Only a script of the same origin can send this type: a form on another page cannot post frames.
    if request.headers.get("content-type", "").split(";")[0].strip() != wire.CONTENT_TYPE:
        return Response(b"", status_code=415, media_type=MediaType.TEXT)
    data = await _body(request)
    if data is None:
        counted(wire.MAX_FRAME_BYTES, 0, Told(code="too_large"))
        return _failure(wire.Failure(0, "too_large"))
    asked = frames.decode(data, _address(request))
    if isinstance(asked, wire.Failure):
        counted(len(data), 0, Told(code=asked.code))
        return _failure(asked)
    answered: asyncio.Future[tuple[bytes, Told]] = asyncio.get_running_loop().create_future()

    def answer(frame: bytes, told: Told) -> None:
        counted(len(data), len(frame), told)
        # A caller who left meanwhile has cancelled it; the exchange is done all the same.
        if not answered.done():
            answered.set_result((frame, told))

    frames.run(asked, None, answer)
    frame, told = await answered
    status = 200 if told.code is None else _STATUS[told.code]
    return Response(frame, status_code=status, media_type=wire.CONTENT_TYPE)


@get("/v1/health")
async def health(state: State) -> Response[bytes]:
    facts = {"ok": True, "generation": state.frames.generation, "version": wire.PROTOCOL_VERSION}
    return Response(msgspec.json.encode(facts), media_type=MediaType.JSON)


@get("/metrics")
async def told(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """For a collector on this machine. What a proxy passes on comes from elsewhere, and finds nothing here."""
    if _FORWARDED & set(request.headers.keys()):
        return Response(b"", status_code=404, media_type=MediaType.TEXT)
    frames: Frames = state.frames
    gauges = {
        "connections": ("WebSockets open now.", state.connections),
        "followers": ("Streams followed now, over all connections.", frames.followers.count()),
        "frames_waiting": ("Frames taken in and not answered yet.", frames.waiting),
    }
    text = state.metrics.text(frames.generation, gauges)
    return Response(text.encode(), headers={"content-type": CONTENT_TYPE})


@route(["/", "/{path:path}"], http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def app_file(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    app: App | None = state.app
    headers = request.headers
    goes_there = headers.get("sec-fetch-mode") == "navigate" or (
        "sec-fetch-mode" not in headers and "text/html" in headers.get("accept", "")
    )
    asset = app.find(request.scope["path"], goes_there) if app else None
    if asset is None:
        return Response(b"", status_code=404, media_type=MediaType.TEXT)
    variant = asset.best(headers.get("accept-encoding", ""))
    unchanged = asset.tag in headers.get("if-none-match", "")
    body = b"" if unchanged or request.method == "HEAD" else variant.body
    return Response(
        body,
        status_code=304 if unchanged else 200,
        media_type=variant.headers["content-type"],
        headers=variant.headers,
    )


async def _body(request: Request[Any, Any, Any]) -> bytes | None:
    """The whole body, or nothing as soon as it is too long: no address can make the relay hold more."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > wire.MAX_FRAME_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > wire.MAX_FRAME_BYTES:
            return None
    return bytes(body)


def _failure(failure: wire.Failure) -> Response[bytes]:
    return Response(wire.encode(failure), status_code=_STATUS[failure.code], media_type=wire.CONTENT_TYPE)


def _address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """For the buckets of `limits.Tolls` only: it is never stored or logged."""
    client = connection.client
    return client.host if client else ""
