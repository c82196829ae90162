"""What the relay writes down: how much, how long and how it went. Never which stream, who, or what.

A path that is no route of the relay, a method that is none of HTTP, a query, a header and the text of an error may each
hold what somebody pasted there, so none of them is logged.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final, cast

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from eigenkring import wire

_LOG: Final = logging.getLogger("eigenkring.relay")
_KEY: Final = "eigenkring.tally"
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_ROUTES: Final = frozenset({"/v1/sync", "/v1/exchange", "/v1/health", "/metrics"})


class Told(msgspec.Struct, frozen=True):
    """What a log may say of a frame."""

    ops: int = 0
    failed: int = 0
    code: wire.FrameCode | None = None


class Tally:
    """The frames of one request or one connection. It travels in the scope's state."""

    __slots__ = ("bytes_in", "bytes_out", "failed", "frames", "ops", "refused")

    def __init__(self) -> None:
        self.frames = self.ops = self.failed = self.refused = self.bytes_in = self.bytes_out = 0

    def add(self, bytes_in: int, bytes_out: int, told: Told) -> None:
        self.frames += 1
        self.ops += told.ops
        self.failed += told.failed
        self.refused += told.code is not None
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out


def tally_of(scope: Scope) -> Tally:
    tally = cast("dict[str, object]", scope).get(_KEY)
    return tally if isinstance(tally, Tally) else Tally()


class _Lines(logging.Formatter):
    """One JSON object on a line. Of foreign records only who logged, how bad, and where an exception arose."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line |= facts
        else:
            line["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            # The class and the lines of code, never the message: it may quote what was sent.
            line["error"] = record.exc_info[0].__name__
            line["at"] = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(record.exc_info[2])]
        return msgspec.json.encode(line).decode()


def start(level: int = logging.INFO) -> None:
    """Everything that this process logs goes through one handler, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    # Asked of the system for each line, and in none.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    _LOG.setLevel(level)


def log(event: str, **facts: object) -> None:
    if _LOG.isEnabledFor(logging.INFO):
        # Made by hand: `info` looks through the stack for who called, once for each request, and no line says it.
        made = _LOG.makeRecord(
            _LOG.name, logging.INFO, "", 0, event, (), None, extra={"facts": {"event": event, **facts}}
        )
        _LOG.handle(made)


def log_failure(error: Exception) -> None:
    _LOG.error("failure", exc_info=error, extra={"facts": {"event": "failure"}})


def logged(app: ASGIApp) -> ASGIApp:
    """Around everything: one line for every request, and one for every connection when it ends."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) == "lifespan":
            await app(scope, receive, send)
            return
        began = perf_counter()
        tally = Tally()
        cast("dict[str, object]", scope).setdefault(_KEY, tally)
        status = 0
        sent = 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]  # type: ignore[typeddict-item]
            elif kind == "http.response.body":
                sent += len(message["body"])  # type: ignore[typeddict-item]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and status == 0:
                status = 403
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            path = scope["path"]
            method = scope.get("method", "GET")
            log(
                "request",
                method=method if method in _METHODS else "other",
                path=path if path in _ROUTES else "app",
                status=status or 500,
                ms=round((perf_counter() - began) * 1000, 1),
                frames=tally.frames,
                ops=tally.ops,
                failed=tally.failed,
                refused=tally.refused,
                bytes_in=tally.bytes_in,
                bytes_out=tally.bytes_out or sent,
            )

    return middleware
