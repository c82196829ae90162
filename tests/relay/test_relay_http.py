"""The relay over HTTP: `/v1/exchange`, `/v1/health`, the built app and what every answer says to a browser."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from devices import Keys, chain_of, post, post_bytes

from eigenkring import wire
from eigenkring.errors import Misuse
from eigenkring_server.serve import refuse_unsafe
from live_relay import LiveRelay, live_relay

TOKEN = "a token that is long enough"


def failure(response: httpx.Response) -> tuple[int, int, str]:
    frame = wire.decode_from_relay(response.content)
    assert isinstance(frame, wire.Failure)
    return response.status_code, frame.id, frame.code


def test_an_exchange(relay: LiveRelay) -> None:
    keys = Keys()
    request = wire.Request(41, [keys.opening(), keys.appending(b"a"), keys.reading()], True)
    response = post_bytes(relay.url, wire.encode(request))
    assert (response.status_code, response.headers["content-type"]) == (200, wire.CONTENT_TYPE)
    reply = wire.decode_reply(response.content, request)
    now = chain_of(keys.id, b"a")
    assert reply.id == 41
    assert abs(reply.generation - time.time()) < 600, "a new relay is no old one: its generation is when it began"
    assert reply.results[1:] == [
        wire.Appended(1, now),
        wire.Batch(0, chain_of(keys.id), 1, now, 1, [b"a"], False),
    ]


def test_an_empty_exchange(relay: LiveRelay) -> None:
    assert post(relay.url) == []


def test_health(relay: LiveRelay) -> None:
    told = httpx.get(f"{relay.url}/v1/health").json()
    assert abs(told.pop("generation") - time.time()) < 600
    assert told == {"ok": True, "version": 1}


def test_nobody_is_pushed_to_by_http(relay: LiveRelay) -> None:
    keys = Keys()
    results = post(relay.url, keys.opening(), keys.following(), keys.appending(b"a"), wire.Unfollow(keys.id))
    bad = wire.Failed("bad_operation")
    assert (results[1], results[3]) == (bad, bad)
    assert isinstance(results[2], wire.Appended)
    assert results[2].length == 1
    atomic = post(relay.url, keys.appending(b"b"), keys.following(), keys.reading(), atomic=True)
    assert atomic == [wire.Failed("not_done"), bad, wire.Failed("not_done")]
    (page,) = post(relay.url, keys.reading())
    assert isinstance(page, wire.Batch)
    assert page.records == [b"a"]


@pytest.mark.parametrize(
    ("body", "status", "identity", "code"),
    [
        (b"", 400, 0, "bad_frame"),
        (b"\xc1", 400, 0, "bad_frame"),
        (b"{}", 400, 0, "bad_frame"),
        (msgspec.msgpack.encode({"id": 7}), 400, 7, "bad_frame"),
        (msgspec.msgpack.encode({"id": 7, "ops": [{"op": "burn", "stream": bytes(16)}]}), 400, 7, "bad_frame"),
        (msgspec.msgpack.encode({"id": 7, "ops": []}) + b"\x00", 400, 0, "bad_frame"),
        (b"\x83\xa2id\x01\xa3ops\x90\xa2id\x07", 400, 7, "bad_frame"),
        (msgspec.msgpack.encode({"id": 7, "ops": [wire.Unfollow(bytes(16))] * 513}), 413, 7, "too_large"),
        (b"\x00" * (wire.MAX_FRAME_BYTES + 1), 413, 0, "too_large"),
    ],
    ids=lambda value: repr(value)[:20] if isinstance(value, bytes) else None,
)
def test_a_bad_frame_gets_its_code(relay: LiveRelay, body: bytes, status: int, identity: int, code: str) -> None:
    assert failure(post_bytes(relay.url, body)) == (status, identity, code)


def test_a_body_without_an_announced_length_is_cut_off(relay: LiveRelay) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(wire.MAX_FRAME_BYTES // 65_536 + 2):
            yield bytes(65_536)

    headers = {"content-type": wire.CONTENT_TYPE}
    response = httpx.post(f"{relay.url}/v1/exchange", content=parts(), headers=headers, timeout=300)
    assert failure(response) == (413, 0, "too_large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json", ""])
def test_a_form_of_another_page_cannot_post_a_frame(relay: LiveRelay, content_type: str) -> None:
    keys = Keys()
    response = post_bytes(relay.url, wire.encode(wire.Request(1, [keys.opening()])), content_type)
    assert response.status_code == 415
    assert post(relay.url, keys.reading()) == [wire.Failed("no_stream")]


def test_only_opening_asks_for_the_token(tmp_path: Path) -> None:
    keys = Keys()
    with live_relay(tmp_path, token=TOKEN) as relay:
        for token in (None, "", TOKEN[:-1], "é" * 20):
            response = post_bytes(relay.url, wire.encode(wire.Request(3, [keys.opening()], token=token)))
            assert failure(response) == (403, 3, "not_admitted")
        assert not isinstance(post(relay.url, keys.opening(), token=TOKEN)[0], wire.Failed)
        assert not isinstance(post(relay.url, keys.appending(b"a"))[0], wire.Failed)


def test_a_relay_that_others_reach_is_not_open_by_mistake(tmp_path: Path) -> None:
    data, app = tmp_path / "data", tmp_path / "app"
    refuse_unsafe(data, "127.0.0.1", app, None, False, None)
    refuse_unsafe(data, "::1", None, None, False, None)
    refuse_unsafe(data, "0.0.0.0", None, TOKEN, False, "10.0.0.1")
    refuse_unsafe(data, "0.0.0.0", None, None, True, None)
    unsafe = [
        (data, "0.0.0.0", None, None, False, None),
        (data, "relay.example", None, None, False, None),
        (data, "127.0.0.1", None, "short", False, None),
        (data, "127.0.0.1", None, "", False, None),
        (data, "127.0.0.1", data, None, False, None),
        (data, "127.0.0.1", data / "app", None, False, None),
        (app / "data", "127.0.0.1", app, None, False, None),
        (data, "127.0.0.1", None, None, False, "*"),
    ]
    for arguments in unsafe:
        with pytest.raises(Misuse) as refused:
            refuse_unsafe(*arguments)
        assert refused.value.code == "unsafe_setting"


def test_the_folder_is_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with live_relay(folder):
        assert folder.stat().st_mode & 0o077 == 0
        assert [file.name for file in folder.iterdir() if file.stat().st_mode & 0o077] == []


# The app beside the relay

WASM = b"\x00asm" + bytes(200)
SCRIPT = b"export const answer = 42;\n" * 40


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pwa")
    assets = folder / "assets"
    assets.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Eigenkring</title>")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "sw.js").write_bytes(SCRIPT)
    (folder / ".secret.txt").write_text("secret")
    (folder / "notes.unknown").write_text("secret")
    (folder / "linked.txt").symlink_to("/etc/hostname")
    (assets / "index-DAV30xKW.js").write_bytes(SCRIPT)
    (assets / "index-DAV30xKW.js.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / "index-DAV30xKW.js.br").write_bytes(b"as if brotli")
    (assets / "automerge-LjMxZKTS.wasm").write_bytes(WASM)
    (assets / "logo.svg").write_text("<svg/>")
    with live_relay(tmp_path_factory.mktemp("data"), pwa_dir=folder) as relay:
        yield relay.url


def fetch(url: str, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(url + path, headers={"accept": "*/*", "accept-encoding": "identity", **named})


@pytest.mark.parametrize(
    ("path", "content_type", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/assets/logo.svg", "image/svg+xml", "no-cache"),
        ("/assets/index-DAV30xKW.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/automerge-LjMxZKTS.wasm", "application/wasm", "public, max-age=31536000, immutable"),
    ],
)
def test_each_file_has_its_type_and_how_long_it_holds(app_url: str, path: str, content_type: str, cache: str) -> None:
    response = fetch(app_url, path)
    assert response.status_code == 200
    assert (response.headers["content-type"], response.headers["cache-control"]) == (content_type, cache)
    again = fetch(app_url, path, if_none_match=response.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    head = httpx.head(app_url + path)
    assert (head.status_code, head.content) == (200, b"")


def test_packed_files_are_sent_to_who_can_unpack_them(app_url: str) -> None:
    path = "/assets/index-DAV30xKW.js"
    with httpx.stream("GET", app_url + path, headers={"accept-encoding": "gzip, br"}) as packed:
        assert packed.headers["content-encoding"] == "br"
        assert b"".join(packed.iter_raw()) == b"as if brotli"
    for accepted in ("gzip", "gzip, br;q=0"):
        zipped = fetch(app_url, path, accept_encoding=accepted)
        assert (zipped.headers["content-encoding"], zipped.content) == ("gzip", SCRIPT)
    plain = fetch(app_url, path)
    assert "content-encoding" not in plain.headers
    assert plain.content == SCRIPT
    assert plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", ["/", "/welkom", "/delen/iets"])
def test_who_goes_to_a_screen_gets_the_app(app_url: str, path: str) -> None:
    response = fetch(app_url, path, sec_fetch_mode="navigate")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert fetch(app_url, path, accept="text/html").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone-12345678.js",
        "/.secret.txt",
        "/notes.unknown",
        "/linked.txt",
        "/v1/other",
        "/..%2fdata/relay.sqlite",
        "/../data0/relay.sqlite",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%5cindex.html",
    ],
)
def test_what_is_no_file_of_the_app_is_not_found(app_url: str, path: str) -> None:
    for mode in ("navigate", "cors"):
        response = fetch(app_url, path, sec_fetch_mode=mode)
        assert (response.status_code, response.content) == (404, b"")


def test_a_script_that_is_absent_is_not_answered_with_a_page(app_url: str) -> None:
    assert fetch(app_url, "/welkom", sec_fetch_mode="cors").status_code == 404
    assert fetch(app_url, "/welkom").status_code == 404


def test_the_page_may_load_only_what_the_policy_says(app_url: str) -> None:
    policy = fetch(app_url, "/").headers["content-security-policy"]
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert parts["frame-ancestors"] == parts["base-uri"] == parts["form-action"] == "'none'"
    assert parts["require-trusted-types-for"] == "'script'"
    assert "unsafe-inline" not in policy
    assert "http:" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/sw.js"),
        ("GET", "/none.js"),
        ("GET", "/v1/health"),
        ("POST", "/v1/exchange"),
        ("DELETE", "/"),
        ("POST", "/other"),
        ("GET", "/v1/exchange"),
        ("GET", "/v1/sync"),
    ],
)
def test_every_answer_is_strict(app_url: str, method: str, path: str) -> None:
    headers = httpx.request(method, app_url + path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


# What the process loads

STARTS_AND_EXCHANGES = """
import sys
from pathlib import Path
from litestar.testing import TestClient
from eigenkring import wire
from eigenkring_server import __main__
from eigenkring_server.app import create_app
request = wire.Request(1, [wire.Open(bytes(16), bytes(32), bytes(32), bytes(32))])
with TestClient(create_app(Path(sys.argv[1]))) as client:
    response = client.post("/v1/exchange", content=wire.encode(request), headers={"content-type": wire.CONTENT_TYPE})
assert isinstance(wire.decode_reply(response.content, request).results[0], wire.Opened)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_relay_at_work_has_neither_the_engine_nor_the_crypto_package(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_AND_EXCHANGES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "eigenkring_server" in loaded
    assert not loaded & {"automerge", "eigenkring_crypto", "cryptography"}


def test_a_running_relay_has_none_of_their_machine_code_either(relay: LiveRelay) -> None:
    post(relay.url, Keys().opening())
    maps = Path(f"/proc/{relay.pid}/maps")
    if maps.exists():  # Linux; elsewhere the test above stands alone
        assert "sqlite" in maps.read_text()
        assert "automerge" not in maps.read_text()
        assert "cryptography" not in maps.read_text()
