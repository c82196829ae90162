"""A phone of its own for each person: a Chromium context of 390x844, what it asked of whom, and pictures of its steps."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, expect

DIST = Path(os.environ.get("EIGENKRING_DIST") or Path(__file__).resolve().parents[2] / "pwa" / "dist")
# A limit ends what hangs; a busy machine may take long.
SECONDS = 150_000
# What Chromium itself writes when a test cuts the line or stops the relay.
_OFFLINE = ("ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")


WORKER = re.compile(r"/assets/worker-[\w-]+\.js$")


# The mark that words are going out, or the line below it; empty where all was sent.
WAITS = """[...document.querySelectorAll('[data-test="sending"], [data-test="status"]')]
  .map((one) => one.getAttribute('aria-label') ?? one.innerText.trim()).join('')"""


def _ahead(route: Route, days: float) -> None:
    """The engine lives in a worker, where a page's clock does not reach: its own is set in its file."""
    answer = route.fetch()
    set_clock = (
        f"{{ const Right = Date, off = {days} * 86_400_000; globalThis.Date = class extends Right {{"
        " constructor(...given) { given.length ? super(...given) : super(Right.now() + off); }"
        " static now() { return Right.now() + off; } }; }\n"
    )
    route.fulfill(response=answer, body=set_clock + answer.text())


class Make(Protocol):
    """``days_ahead``: how wrong that phone's clock is."""

    def __call__(self, name: str, days_ahead: float = 0) -> Phone: ...


@dataclass
class Phone:
    name: str
    context: BrowserContext
    page: Page
    pictures: Path
    asked: list[str] = field(default_factory=list)
    # Address, headers and body of each request.
    sent: bytearray = field(default_factory=bytearray)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def new(cls, browser: Browser, name: str, pictures: Path, days_ahead: float = 0) -> Phone:
        context = browser.new_context(
            viewport={"width": 390, "height": 844},
            has_touch=True,
            is_mobile=True,
            locale="nl-NL",
            # A worker's file from its cache passes by the one who sets the clock.
            service_workers="block" if days_ahead else "allow",
        )
        if days_ahead:
            context.route(WORKER, lambda route: _ahead(route, days_ahead))
        phone = cls(name, context, context.new_page(), pictures)
        context.on("request", phone._keep)
        phone.listen(phone.page)
        return phone

    def listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    def _keep(self, request: Request) -> None:
        self.asked.append(request.url)
        self.sent += f"{request.url}\n{request.headers}\n".encode() + (request.post_data_buffer or b"")

    def at(self, name: str) -> Locator:
        return self.page.locator(f'[data-test="{name}"]')

    def picture(self, what: str) -> None:
        """Numbered in the order of the evening, over all phones."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("document.fonts.ready")
        number = len(list(self.pictures.glob("*.png"))) + 1
        self.page.screenshot(path=self.pictures / f"{number:02}-{self.name}-{what}.png", animations="disabled")

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=SECONDS)

    def look(self) -> None:
        """The app looks for news every 20 seconds; a person who waits comes back to it sooner."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        self.page.wait_for_timeout(300)

    def look_until(self, seen: Callable[[], bool], *others: Phone, seconds: float = 150) -> None:
        give_up = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < give_up, f"{self.name}: {self.page.inner_text('body')}"
            for phone in (self, *others):
                phone.look()

    def look_for(self, text: str, *others: Phone) -> None:
        self.look_until(lambda: self.page.get_by_text(text).count() > 0, *others)

    def begin(self, address: str, question: str, name: str, title: str) -> str:
        """Starts a case in three steps and gives its id."""
        self.page.goto(address)
        expect(self.at("start")).to_be_visible(timeout=SECONDS)
        self.picture("begin")
        self.at("start").click()
        self.at("start-question").fill(question)
        self.picture("vraag")
        self.at("start-next").click()
        self.at("start-person").fill("Lotte")
        self.at("start-person-add").click()
        self.picture("kring-noemen")
        self.at("start-next").click()
        self.at("start-name").fill(name)
        self.at("start-title").fill(title)
        self.picture("bewaren")
        self.at("start-keep").click()
        expect(self.at("question-text")).to_be_visible(timeout=SECONDS)
        self.picture("overzicht")
        return self.page.url.partition("#/case/")[2].partition("/")[0]

    def link(self) -> str:
        expect(self.at("link")).to_be_visible(timeout=SECONDS)
        return self.at("link").input_value()

    def answers(self, link: str, name: str) -> None:
        """Opens a link as one opens it in a message, and says yes."""
        self.page.goto(link)
        expect(self.at("join-name")).to_be_visible(timeout=SECONDS)
        assert link.partition("#")[2] not in self.page.url, "the secret stays in the address"
        self.at("join-name").fill(name)
        self.picture("gevraagd")
        self.at("join-yes").click()

    def agrees(self, what: str) -> None:
        """Writes an agreement on the plan's screen."""
        self.at("nav-plan").click()
        self.at("plan-add").click()
        self.at("agreement-what").fill(what)
        self.at("agreement-save").click()
        self.sees(what)

    def sends(self, *others: Phone) -> None:
        """Waits until nothing says any more that words wait."""
        self.look_until(lambda: not self.page.evaluate(WAITS), *others)

    def asked_only(self, address: str) -> None:
        here = urlsplit(address).netloc
        assert [url for url in self.asked if "/v1/" in url], "what the worker asks for was not recorded"
        assert {urlsplit(url).netloc for url in self.asked if not url.startswith(("blob:", "data:"))} == {here}

    def uncomplaining(self) -> None:
        assert [line for line in self.complaints if not any(noise in line for noise in _OFFLINE)] == []

    def rows(self) -> int:
        """How much the browser keeps. Its rows are sealed: words are in none of them, whatever is kept."""
        return self.stored().count("\nrow")

    def stored(self) -> str:
        """All that a script of this origin can read from the browser's stores, CryptoKeys only by their name."""
        return str(self.page.evaluate(DUMP))


@contextmanager
def phones(browser: Browser, pictures: Path) -> Iterator[Make]:
    for old in pictures.glob("*.png"):
        old.unlink()
    made: list[Phone] = []

    def make(name: str, days_ahead: float = 0) -> Phone:
        made.append(Phone.new(browser, name, pictures, days_ahead))
        return made[-1]

    yield make
    for phone in made:
        phone.context.close()


def folder(tmp_path: Path, test: str) -> Path:
    """Where the pictures of a test are kept."""
    root = os.environ.get("EIGENKRING_SCREENS")
    return (Path(root) if root else tmp_path / "screens") / test.removeprefix("test_")


DUMP = """async () => {
  const lines = [];
  const bytesOf = (bytes) => new TextDecoder('latin1').decode(bytes);
  const tell = (value, deep = 0) => {
    if (value instanceof CryptoKey) { if (value.extractable) lines.push('EXTRACTABLE'); return; }
    if (value instanceof ArrayBuffer) lines.push(bytesOf(new Uint8Array(value)));
    else if (ArrayBuffer.isView(value)) {
      lines.push(bytesOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)));
    }
    else if (value && typeof value === 'object' && deep < 8) {
      const entries = value instanceof Map ? [...value] : value instanceof Set ? [...value.entries()]
        : Object.entries(value);
      for (const [key, one] of entries) { tell(key, deep + 1); tell(one, deep + 1); }
    } else lines.push(String(value));
  };
  for (const { name, version } of await indexedDB.databases()) {
    const db = await new Promise((done, no) => {
      const asked = indexedDB.open(name, version); asked.onsuccess = () => done(asked.result); asked.onerror = no;
    });
    lines.push(`database ${name}`);
    for (const table of db.objectStoreNames) {
      lines.push(`table ${table}`);
      const store = db.transaction(table).objectStore(table);
      const all = (asked) => new Promise((done, no) => {
        asked.onsuccess = () => done(asked.result); asked.onerror = no;
      });
      for (const key of await all(store.getAllKeys())) tell(key);
      for (const row of await all(store.getAll())) { lines.push('row'); tell(row); }
    }
    db.close();
  }
  for (const name of await caches.keys()) {
    lines.push(`cache ${name}`);
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      lines.push(request.url);
      if (!/\\.(?:wasm|png)$/.test(request.url)) lines.push(await (await cache.match(request)).text());
    }
  }
  for (const store of [localStorage, sessionStorage]) {
    for (let i = 0; i < store.length; i++) lines.push(store.key(i), store.getItem(store.key(i)));
  }
  lines.push(document.cookie, location.href, JSON.stringify(history.state), document.documentElement.outerHTML);
  return lines.join('\\n');
}"""
