"""What the operator's collector reads: numbers in Prometheus text, and nothing that points at anybody."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from devices import Keys, post, post_bytes, socket_to

from eigenkring.errors import Misuse
from eigenkring_server.serve import refuse_unsafe
from live_relay import LiveRelay, live_relay

_LINE = re.compile(r'([a-z_]+)(\{[a-z]+="[a-zA-Z_0-9.+]+"(?:,[a-z]+="[a-z_]+")?\})? ([0-9.]+)')


def numbers(text: str) -> dict[str, float]:
    """Every line is a comment or a sample; a sample's name was announced with its type."""
    found: dict[str, float] = {}
    announced = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$", text, re.M))
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        match = _LINE.fullmatch(line)
        assert match is not None, line
        assert re.sub(r"_(bucket|sum|count)$", "", match[1]) in announced or match[1] in announced, line
        assert match[1] + (match[2] or "") not in found, line
        found[match[1] + (match[2] or "")] = float(match[3])
    assert text.endswith("\n")
    return found


async def followed(relay: LiveRelay, keys: Keys) -> dict[str, float]:
    async with socket_to(relay.sync_url) as socket:
        await socket.ask(keys.following())
        return numbers((await asyncio.to_thread(httpx.get, f"{relay.url}/metrics")).text)


def test_metrics_count_and_name_nobody(tmp_path: Path) -> None:
    keys = Keys()
    with live_relay(tmp_path, more=["--metrics"]) as relay:
        post(relay.url, keys.opening(), keys.appending(b"a"), keys.appending(b"b"), Keys(keys.id).reading())
        post_bytes(relay.url, b"no frame")
        during = asyncio.run(followed(relay, keys))
        response = httpx.get(f"{relay.url}/metrics")
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert during["eigenkring_connections"] == during["eigenkring_followers"] == 1
        now = numbers(response.text)
        assert now["eigenkring_connections"] == now["eigenkring_followers"] == now["eigenkring_frames_waiting"] == 0
        assert now['eigenkring_operations_total{op="append",code="ok"}'] == 2
        assert now['eigenkring_operations_total{op="read",code="not_allowed"}'] == 1
        assert now['eigenkring_frames_refused_total{code="bad_frame"}'] == 1
        assert now['eigenkring_frame_bytes_total{direction="in"}'] > 100
        assert now["eigenkring_commit_seconds_count"] == now['eigenkring_commit_seconds_bucket{le="+Inf"}'] == 1
        assert now["eigenkring_committed_frames_total"] == 1
        assert now["eigenkring_generation"] > 1_700_000_000
        buckets = [value for name, value in now.items() if "_bucket" in name]
        assert buckets == sorted(buckets)
        for secret in (keys.id.hex(), keys.read.hex(), "127.0.0.1"):
            assert secret not in response.text


def test_a_proxy_in_front_does_not_show_them(tmp_path: Path) -> None:
    with live_relay(tmp_path, more=["--metrics"]) as relay:
        for header in ("x-forwarded-for", "forwarded", "via"):
            assert httpx.get(f"{relay.url}/metrics", headers={header: "192.0.2.1"}).status_code == 404


def test_there_are_none_unless_asked_for_and_never_for_others(tmp_path: Path, relay: LiveRelay) -> None:
    assert httpx.get(f"{relay.url}/metrics").status_code == 404
    with pytest.raises(Misuse, match="loopback"):
        refuse_unsafe(tmp_path, "0.0.0.0", None, "a token that is long enough", False, None, True)
