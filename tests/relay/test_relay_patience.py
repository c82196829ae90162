"""Requests that arrive drop by drop: the relay does not wait for ever, and nobody else waits at all."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from eigenkring import wire
from live_relay import LiveRelay, live_relay

HEAD = f"POST /v1/exchange HTTP/1.1\r\nHost: relay\r\nContent-Type: {wire.CONTENT_TYPE}\r\n".encode()
BODY = HEAD + b"Content-Length: 1000\r\n\r\n"


def calling(relay: LiveRelay) -> socket.socket:
    address = urlsplit(relay.url)
    called = socket.create_connection((address.hostname or "", address.port or 0))
    called.settimeout(60)
    return called


def seconds_until_cut(called: socket.socket) -> float:
    began = time.monotonic()
    called.settimeout(0.2)
    while time.monotonic() - began < 120:
        try:
            called.send(b"x")  # one more byte buys no time
            if called.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", HEAD, BODY], ids=["nothing", "half a head", "a head"])
def test_who_never_ends_a_request_is_cut(tmp_path: Path, said: bytes) -> None:
    limits = {"head_seconds": 1.0, "request_seconds": 2.0}
    with live_relay(tmp_path, limits=limits) as relay, calling(relay) as slow:
        slow.sendall(said)
        assert httpx.get(f"{relay.url}/v1/health", trust_env=False).status_code == 200
        assert seconds_until_cut(slow) < 60


def test_a_connection_that_was_used_may_be_used_slowly_again(tmp_path: Path) -> None:
    # Three times more than half of what one head may take, with room for a machine that is busy.
    with live_relay(tmp_path, limits={"head_seconds": 6.0}) as relay, calling(relay) as kept:
        for _ in range(3):
            kept.sendall(b"GET /v1/health HTTP/1.1\r\n")
            time.sleep(2.2)
            kept.sendall(b"Host: relay\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += kept.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_websocket_is_not_a_request_that_takes_long(tmp_path: Path) -> None:
    from websockets.sync.client import connect

    with (
        live_relay(tmp_path, limits={"head_seconds": 1.0, "request_seconds": 1.0}) as relay,
        connect(relay.sync_url) as held,
    ):
        time.sleep(2.5)
        held.send(wire.encode(wire.Request(7, [wire.Read(bytes(16), bytes(32), 0)])))
        assert held.recv(timeout=300)


def answer_of(called: socket.socket) -> bytes:
    answer = b""
    while piece := called.recv(4096):
        answer += piece
    return answer


def test_an_address_has_so_many_connections_and_others_have_theirs(tmp_path: Path) -> None:
    with live_relay(tmp_path, limits={"connections_per_address": 3}) as relay:
        port = urlsplit(relay.url).port or 0
        held = [calling(relay) for _ in range(3)]
        for one in held:
            one.sendall(HEAD)
        time.sleep(0.2)
        with calling(relay) as fourth:
            assert answer_of(fourth).startswith(b"HTTP/1.1 429 ")
        with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /v1/health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
            assert answer_of(other).startswith(b"HTTP/1.1 200 OK")
        for one in held:
            one.close()
        # It hears of their ends in its own time.
        give_up = time.monotonic() + 60
        while httpx.get(f"{relay.url}/v1/health", trust_env=False).status_code != 200:
            assert time.monotonic() < give_up
            time.sleep(0.05)


async def _held_and_refused(relay: LiveRelay, header: dict[str, str]) -> tuple[wire.Failure, int]:
    def to() -> connect:
        return connect(relay.sync_url, compression=None, proxy=None, additional_headers=header)

    async with to() as one, to() as two:
        async with to() as third:
            data = await third.recv()
            assert isinstance(data, bytes)
            refused = wire.decode_from_relay(data)
            with pytest.raises(ConnectionClosed):
                await third.recv()
            code = third.close_code
        assert isinstance(refused, wire.Failure)
        async with connect(
            relay.sync_url, compression=None, proxy=None, additional_headers={"X-Forwarded-For": "203.0.113.9"}
        ) as neighbour:
            await neighbour.ping()
        await one.ping()
        await two.ping()
    async with to() as again:
        await again.ping()
    return refused, code or 0


def test_whom_a_proxy_speaks_for_has_so_many_websockets(tmp_path: Path) -> None:
    limits = {"connections_per_address": 2}
    with live_relay(tmp_path, limits=limits, more=["--trusted-proxy", "127.0.0.1"]) as relay:
        refused, code = asyncio.run(_held_and_refused(relay, {"X-Forwarded-For": "203.0.113.7"}))
    assert (refused.code, code) == ("slow_down", 1013)
