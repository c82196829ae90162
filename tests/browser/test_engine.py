"""The engine's own tests in real browsers: the files that vitest runs under Node, with its runner, in one page.

All vectors that Python makes, the pure rules, and the store's acceptance suite on the browser's own IndexedDB; then the
sessions of whole devices, with the relay that serves the page. It serves it as it serves the app: the strict policy holds.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser

from browser.drivers import firefox, webkit
from browser.phones import DIST
from journeys.here import Here
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
# Where engines differ: what WebCrypto does, and what is signed.
SMOKE = ["charter", "crypto"]
TESTS = {
    path.name.removesuffix(".test.ts"): path.read_text("utf-8") for path in (ROOT / "pwa" / "test").glob("*.test.ts")
}
# A file in which one of these stands runs under Node only.
NODE_ONLY = {
    'from "node:': "reads files, starts processes, or is a server",
    "vi.mock(": "puts another file in the place of a module",
    ".fork()": "needs a second relay with the same past",
    "startRelay(undefined": "needs a relay with other limits",
}
NODE = {name for name, text in TESTS.items() if any(mark in text for mark in NODE_ONLY)}
PLAIN = {"document", "packed", "store", "stream"}
RULES = sorted(name for name in {*TESTS} - {*NODE} if name in PLAIN or "vectorsOf(" in TESTS[name])
# Whole devices, and the words of the screens.
SESSIONS = sorted({*TESTS} - {*NODE} - {*RULES})
# Areas of the vectors whose file has another name.
AREAS = {"schema": "view"}
LEAST = {"store": 24, "document": 16, "stream": 11, "packed": 20}


class Shown(Protocol):
    """A browser with one page."""

    def open(self, address: str) -> None: ...
    def run(self, script: str, *args: object) -> Any: ...


class Chromium:
    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context()
        self._page = self.context.new_page()

    def open(self, address: str) -> None:
        self._page.goto(address)

    def run(self, script: str, *args: object) -> Any:
        return self._page.evaluate(f"async (given) => {{ {script} }}", list(args))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("tested")
    command = ["npx", "vite", "build", "-c", "vite.tested.config.ts", "--outDir", str(to), "--logLevel", "error"]
    subprocess.run(command, cwd=ROOT / "pwa", check=True)
    return to


@pytest.fixture
def relay(page: Path, tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=page) as running:
        yield running


@contextmanager
def chromium(browser: Browser) -> Iterator[Shown]:
    shown = Chromium(browser)
    yield shown
    shown.context.close()


def vectors(area: str) -> int:
    return len(list((ROOT / "tests" / "vectors" / area).glob("*.json")))


class Operator:
    """Does for the page's tests what only the relay's machine can."""

    def __init__(self, relay: LiveRelay, folder: Path) -> None:
        self._relay = relay
        self._here = Here(folder / "operator")
        self._copy = folder / "copy.sqlite"

    def do(self, what: str) -> None:
        data = str(self._relay.data_dir)
        if what == "back_up":
            self._copy.unlink(missing_ok=True)
            self._here.run("relay", "backup", "--data", data, "--to", str(self._copy))
            return
        self._relay.stop()
        if what == "put_back":
            self._here.run("relay", "restore", "--from", str(self._copy), "--data", data, "--replace")
        elif what in ("put_back_unsaid", "begin_empty"):
            for file in self._relay.data_dir.glob("relay.sqlite*"):
                file.unlink()
            if what == "put_back_unsaid":
                (self._relay.data_dir / "relay.sqlite").write_bytes(self._copy.read_bytes())
        else:
            assert what == "again", what
        self._relay.start()


# Without a timer: some tests stop the page's clock.
NEXT = "return JSON.stringify([globalThis.told ?? null, globalThis.asked?.[0]?.what ?? null])"


def passed(shown: Shown, relay: LiveRelay, files: list[str], do: Callable[[str], None]) -> dict[str, int]:
    """Runs these files in the page. Gives how many tests of each passed; none may fail or be left out."""
    shown.open(f"{relay.url}/?files={','.join(files)}")
    while True:
        outcome, what = json.loads(shown.run(NEXT))
        if what is not None:
            do(what)
            shown.run("globalThis.asked.shift().done()")
        elif outcome and outcome["done"]:
            break
        else:
            time.sleep(0.3)
    assert outcome["failed"] == [], "\n".join(outcome["failed"])
    assert sorted(outcome["passed"]) == sorted(files), "a file without tests"
    counts: dict[str, int] = outcome["passed"]
    return counts


def rules_and_store(shown: Shown, relay: LiveRelay, folder: Path) -> None:
    counts = passed(shown, relay, RULES, Operator(relay, folder).do)
    areas = [path.name for path in (ROOT / "tests" / "vectors").iterdir() if path.is_dir()]
    # "fixed" is what generators read.
    areas = [area for area in areas if area not in ("fixed", "__pycache__")]
    for area in areas:
        assert counts[AREAS.get(area, area)] >= vectors(area), area
    assert sum(map(vectors, areas)) > 1200
    for name, least in LEAST.items():
        assert counts[name] >= least, name


def test_the_list_is_whole() -> None:
    assert {"store", "change", "view"} <= {*RULES}
    assert {"host", "recovery", "healing"} <= {*SESSIONS}
    assert {"lying", "inflate"} <= NODE
    # What only Node has is found here, and not first in `make test-long`.
    assert [name for name in {*TESTS} - {*NODE} if re.search(r"\b(Buffer|process)\b", TESTS[name])] == []


def test_the_page_is_not_in_the_app() -> None:
    assert (DIST / "index.html").exists()
    for built in DIST.rglob("*"):
        assert "vectors" not in built.name and "tested" not in built.name


def test_rules_vectors_and_store_in_chromium(browser: Browser, relay: LiveRelay, tmp_path: Path) -> None:
    with chromium(browser) as shown:
        rules_and_store(shown, relay, tmp_path)


@pytest.mark.parametrize("other", [firefox, webkit], ids=["firefox", "webkit"])
def test_signatures_elsewhere(other: Callable[..., Any], relay: LiveRelay, tmp_path: Path) -> None:
    with other(tmp_path / "phone") as shown:
        counts = passed(shown, relay, SMOKE, Operator(relay, tmp_path).do)
    for area in SMOKE:
        assert counts[area] >= vectors(area), area


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("other", [firefox, webkit], ids=["firefox", "webkit"])
def test_rules_vectors_and_store_elsewhere(other: Callable[..., Any], relay: LiveRelay, tmp_path: Path) -> None:
    with other(tmp_path / "phone") as shown:
        rules_and_store(shown, relay, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_sessions_in_chromium(browser: Browser, relay: LiveRelay, tmp_path: Path) -> None:
    with chromium(browser) as shown:
        passed(shown, relay, SESSIONS, Operator(relay, tmp_path).do)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("other", [firefox, webkit], ids=["firefox", "webkit"])
def test_sessions_elsewhere(other: Callable[..., Any], relay: LiveRelay, tmp_path: Path) -> None:
    with other(tmp_path / "phone") as shown:
        passed(shown, relay, SESSIONS, Operator(relay, tmp_path).do)
