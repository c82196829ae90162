"""The built app runs under a strict content security policy: scripts from itself, wasm, nothing inline."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

DIST = Path(__file__).resolve().parent.parent / "pwa" / "dist"
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'"


class Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".wasm": "application/wasm"}

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, template: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=DIST))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


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


def test_the_app_starts_under_the_policy_and_loads_its_engine(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    with page.expect_response(re.compile(r"\.wasm$")) as engine:
        page.goto(address)
    assert engine.value.ok
    page.wait_for_function("document.querySelector('#app')?.childElementCount > 0")
    assert complaints == []
    context.close()
