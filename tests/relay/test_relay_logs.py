"""Whatever somebody sends, the logs say how much and how it went, never what, which or who."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from pathlib import Path

import httpx
import pytest
from devices import Keys, digest, post, post_bytes, socket_to

from eigenkring import wire
from eigenkring_server import logs
from live_relay import LiveRelay, live_relay

CANARY = "canary-7f3b"


def canaries(keys: Keys) -> list[str]:
    secrets = [keys.id, keys.read, keys.append, keys.manage, *keys.hashes, b"a record " + CANARY.encode()]
    forms = [form for secret in secrets for form in (secret.hex(), repr(secret)[2:-1])]
    return [*forms, CANARY, "127.0.0.1"]


async def sockets(relay: LiveRelay, keys: Keys) -> None:
    async with socket_to(relay.sync_url + f"?token={CANARY}") as socket:
        await socket.ask(keys.appending(b"a record " + CANARY.encode()), keys.following(), Keys(keys.id).reading())
        await socket.connection.send(CANARY)
        await socket.connection.send(CANARY.encode())
        await socket.connection.send(
            wire.encode(wire.Request(1, [keys.opening()], token=CANARY))[:-4] + b"\xff\xff\xff\xff"
        )
        for _ in range(3):
            await asyncio.wait_for(socket.frame(), 20)
        aborted = await socket.send(keys.closing())
        assert aborted.id
        socket.connection.transport.abort()


def test_canaries_never_come_into_the_logs(tmp_path: Path) -> None:
    keys = Keys()
    with live_relay(tmp_path, token=f"{CANARY}-token-of-the-relay") as relay:
        post(relay.url, keys.opening(), token=f"{CANARY}-token-of-the-relay")
        post_bytes(relay.url, wire.encode(wire.Request(1, [keys.opening()], token=CANARY)))
        post_bytes(relay.url, CANARY.encode())
        post_bytes(relay.url, CANARY.encode(), f"text/{CANARY}")
        asyncio.run(sockets(relay, keys))
        for path in (f"/{CANARY}", f"/v1/{CANARY}", f"/v1/health?{CANARY}", f"/#{CANARY}", f"/{keys.id.hex()}"):
            httpx.get(relay.url + path, headers={"user-agent": CANARY, "cookie": CANARY, "x-forwarded-for": CANARY})
        httpx.request(CANARY.upper(), relay.url)
    announced, *lines = relay.lines
    assert announced == f"eigenkring relay on {relay.url}"
    assert len(lines) >= 11
    written = "\n".join(lines)
    assert [canary for canary in canaries(keys) if canary in written] == []
    for line in lines:
        assert set(json.loads(line)) <= set(
            "time level event method path status ms frames ops failed refused bytes_in bytes_out logger".split()
        )


def test_a_line_says_how_much_and_how_it_went(tmp_path: Path) -> None:
    keys = Keys()
    with live_relay(tmp_path) as relay:
        post(relay.url, keys.opening(), keys.appending(b"a"), Keys().reading())
        post_bytes(relay.url, b"\xc1")
        post_bytes(relay.url, b"\xc1")
    good, bad, _ = (json.loads(line) for line in relay.lines[1:])
    assert (good["method"], good["path"], good["status"]) == ("POST", "/v1/exchange", 200)
    assert (good["frames"], good["ops"], good["failed"], good["refused"]) == (1, 3, 1, 0)
    assert good["bytes_in"] > 200
    assert good["bytes_out"] > 100
    assert good["ms"] > 0
    assert (bad["status"], bad["ops"], bad["refused"], bad["bytes_in"]) == (400, 0, 1, 1)


def test_an_error_is_logged_by_its_class_and_place_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    try:
        logs.start()
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            logs.log_failure(error)
            logging.getLogger("someone.else").exception("about %s", CANARY)
    finally:
        root.handlers = handlers
        root.setLevel(level)
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert CANARY not in written.getvalue()
    assert (first["event"], first["error"]) == ("failure", "ValueError")
    assert (second["logger"], second["error"]) == ("someone.else", "ValueError")
    assert second["at"][0].startswith("test_relay_logs.py:")


def test_an_operation_never_shows_its_capability() -> None:
    keys = Keys()
    ops = [keys.opening(), keys.appending(b"a"), keys.reading(), keys.rekeying(keys), keys.closing()]
    shown = repr(wire.Request(1, ops)) + "".join(map(repr, ops))
    assert not any(repr(secret)[2:-1] in shown for secret in (keys.id, keys.read, keys.append, keys.manage))
    assert digest(keys.read).hex() not in shown
