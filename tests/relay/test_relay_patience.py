"""Requests that arrive drop by drop: the relay does not wait for ever, and nobody else waits at all."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from eigenkring import wire
from live_relay import LiveRelay, live_relay

HEAD = f"POST /v1/exchange HTTP/1.1\r\nHost: relay\r\nContent-Type: {wire.CONTENT_TYPE}\r\n".encode()
BODY = HEAD + b"Content-Length: 1000\r\n\r\n"


def calling(relay: LiveRelay) -> socket.socket:
    address = urlsplit(relay.url)
    called = socket.create_connection((address.hostname or "", address.port or 0))
    called.settimeout(15)
    return called


def seconds_until_cut(called: socket.socket) -> float:
    began = time.monotonic()
    called.settimeout(0.2)
    while time.monotonic() - began < 15:
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
        assert seconds_until_cut(slow) < 10


def test_a_connection_that_was_used_may_be_used_slowly_again(tmp_path: Path) -> None:
    with live_relay(tmp_path, limits={"head_seconds": 2.0}) as relay, calling(relay) as kept:
        for _ in range(3):
            kept.sendall(b"GET /v1/health HTTP/1.1\r\n")
            time.sleep(1)
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
        assert held.recv(timeout=10)
