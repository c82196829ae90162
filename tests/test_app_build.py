"""The built app as the relay gives it: its real policy, packed files, and a first load that a prepaid phone can pay."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from eigenkring_server.pwa import CONTENT_SECURITY_POLICY
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

DIST = Path(os.environ.get("EIGENKRING_DIST") or Path(__file__).resolve().parent.parent / "pwa" / "dist")
FIRST_LOAD = 2_000_000


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRelay]:
    with live_relay(tmp_path_factory.mktemp("relay"), pwa_dir=DIST) as running:
        yield running


def test_no_script_is_inline_and_none_is_a_data_address() -> None:
    pages = list(DIST.rglob("*.html"))
    assert pages
    for page in pages:
        for tag, body in re.findall(r"<script\b([^>]*)>(.*?)</script>", page.read_text(), re.DOTALL):
            assert "src=" in tag, page
            assert "data:" not in tag, page
            assert not body.strip(), page
    scripts = list(DIST.rglob("*.js"))
    assert scripts
    assert not [script for script in scripts if "data:text/javascript" in script.read_text()]
    assert len(list(DIST.rglob("*.wasm"))) == 1


def test_what_is_packed_is_what_is_not(relay: LiveRelay) -> None:
    for file in DIST.rglob("*"):
        if file.suffix not in (".html", ".js", ".css", ".wasm") or file.stat().st_size < 500:
            continue
        name = file.relative_to(DIST).as_posix()
        assert gzip.decompress(file.with_name(file.name + ".gz").read_bytes()) == file.read_bytes(), name
        asked = urllib.request.Request(f"{relay.url}/{name}", headers={"accept-encoding": "br, gzip"})
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["content-encoding"] == "br", name
            assert answer.read() == file.with_name(file.name + ".br").read_bytes(), name


def test_the_app_starts_under_the_relays_policy_and_its_first_load_is_small(browser: Browser, relay: LiveRelay) -> None:
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    sizes: list[tuple[str, int]] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    # Also what workers ask for: the engine and its wasm.
    context.on("requestfinished", lambda one: sizes.append((one.url, sum(_on_wire(one.sizes())))))
    with context.expect_event("response", lambda one: one.url.endswith(".wasm")) as engine:
        opened = page.goto(relay.url)
    assert opened is not None
    assert opened.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert engine.value.ok
    assert engine.value.headers["content-encoding"] in ("br", "gzip")
    page.wait_for_selector('[data-test="start"]')
    page.wait_for_load_state("networkidle")
    assert complaints == []
    give_up = time.monotonic() + 60
    for ending in (".wasm", ".js", ".css", "/"):
        # How large it was is asked after it came.
        while not any(url.endswith(ending) for url, _ in sizes):
            assert time.monotonic() < give_up, ending
            page.wait_for_timeout(50)
    assert sum(size for _, size in sizes) < FIRST_LOAD, sizes
    context.close()


def _on_wire(sizes: dict[str, int]) -> tuple[int, int]:
    return sizes["responseBodySize"], sizes["responseHeadersSize"]


def test_what_the_browser_compiled_of_the_page_is_read_back(browser: Browser, relay: LiveRelay) -> None:
    """Chromium keeps it of a classic script as it installs the app, and reads back nothing of a module."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(relay.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    give_up = time.monotonic() + 60
    while not _read_back(script := _compiled(browser, page, relay)):
        # It is compiled beside the installing, which does not wait for it.
        assert time.monotonic() < give_up, script
        page.wait_for_timeout(500)
    context.close()


def _compiled(browser: Browser, page: Page, relay: LiveRelay) -> dict[str, Any]:
    """What an opening of the app had to do for the page's own script."""
    browser.start_tracing(page=page, categories=["v8", "devtools.timeline", "disabled-by-default-v8.compile"])
    page.goto("about:blank")
    page.goto(relay.url)
    page.wait_for_selector('[data-test="start"]')
    events = json.loads(browser.stop_tracing())["traceEvents"]
    compiled = [event["args"].get("data", {}) for event in events if event["name"].startswith("v8.compile")]
    (script,) = [one for one in compiled if "/assets/index-" in one.get("url", "")]
    return script


def _read_back(script: dict[str, Any]) -> bool:
    return script.get("consumedCacheSize", 0) > 100_000 and not script["cacheRejected"]


def test_icons_are_named_when_the_first_screen_is_there(browser: Browser, relay: LiveRelay) -> None:
    """Named in the page they are fetched and drawn before it."""
    with urllib.request.urlopen(relay.url) as answer:
        assert set(re.findall(r'<link rel="(?!stylesheet)([^"]+)" href="([^"]+)"', answer.read().decode())) == {
            ("icon", "data:,")
        }
    context = browser.new_context()
    page = context.new_page()
    page.goto(relay.url)
    page.wait_for_selector('link[rel="manifest"]', state="attached")
    assert page.locator('[data-test="start"]').count() == 1
    named = page.eval_on_selector_all("link:not([rel=stylesheet])", "all => all.map((one) => [one.rel, one.href])")
    assert [rel for rel, _ in named] == ["icon", "apple-touch-icon", "manifest"]
    for _, address in named:
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200, address
    found = context.new_cdp_session(page).send("Page.getAppManifest")
    assert found["errors"] == []
    assert found["manifest"]["startUrl"] == f"{relay.url}/"
    context.close()
