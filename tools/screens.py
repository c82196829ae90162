"""Photographs every screen of the app and checks it with axe: `.venv/bin/python tools/screens.py FOLDER [WORD ...]`.

Builds the rehearsal (an engine in memory with the fixture family) and serves it under the strict content security policy.
WORDs keep only the pictures whose name holds one of them. Exits 1 when axe or the browser complains.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Playwright, sync_playwright
from shots import SHOTS, Shot

PWA = Path(__file__).resolve().parent.parent / "pwa"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html default"
)


class Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, template: str, *args: object) -> None:
        pass


class Look(NamedTuple):
    language: str
    dark: bool
    width: int
    height: int
    # The largest letters that the settings offer.
    large: bool

    @property
    def name(self) -> str:
        return f"{self.language}-{'dark' if self.dark else 'light'}-{self.width}" + ("-large" if self.large else "")


# The first is the one for every screen, the others show what may break.
LOOKS = [
    Look("nl", False, 390, 844, False),
    Look("nl", True, 390, 844, False),
    Look("en", False, 390, 844, False),
    Look("nl", False, 390, 844, True),
    Look("nl", False, 320, 640, False),
    Look("nl", False, 1280, 800, False),
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Nothing is being read any more, and what was read is painted.
SETTLED = """() => new Promise((done) => {
  const look = (left) => {
    const busy = [...document.querySelectorAll('#app [aria-busy=true]')].some((one) => one.checkVisibility());
    if (left === 0 || (!busy && document.querySelector('#app h1, #app [data-test=trouble]')))
      requestAnimationFrame(() => setTimeout(done, 0));
    else setTimeout(() => look(left - 1), 5);
  };
  // The screens gather changes for 40 ms.
  setTimeout(() => look(6_000), 60);
})"""
# What one presses is 44 px high, itself or with its label; a link within a sentence is as high as its line.
SMALL = """() => [...document.querySelectorAll('a, button, input, select, textarea, summary')]
  .filter((one) => one.checkVisibility() && !one.closest('.sr, .skip, [hidden]'))
  .filter((one) => !(one.matches('a') && getComputedStyle(one).display === 'inline'))
  .filter((one) => Math.max(one.getBoundingClientRect().height, one.closest('label')?.getBoundingClientRect().height ?? 0) < 43.5)
  .map((one) => one.outerHTML.slice(0, 120))"""
WIDE = "() => document.documentElement.scrollWidth > innerWidth"
# Words that do not fit their own button or line are cut off, or lie over something else.
CUT = """() => [...document.querySelectorAll('.button, nav a, h1, h2, label')]
  .filter((one) => one.checkVisibility() && !one.closest('.sr, .skip, [hidden]') && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
  .map((one) => one.outerHTML.slice(0, 120))"""

# A word that is broken where it has no hyphen is hard to read; a long name may be.
BROKEN = r"""() => [...document.querySelectorAll('.button, nav a, h1, h2')]
  .filter((one) => one.checkVisibility() && !one.closest('.sr, .skip, [hidden]'))
  .flatMap((one) => {
    const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT), broken = [];
    while (walk.nextNode()) for (const word of walk.currentNode.data.matchAll(/(?<!\p{L})\p{L}{2,12}(?!\p{L})/gu)) {
      const range = document.createRange();
      range.setStart(walk.currentNode, word.index);
      range.setEnd(walk.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) broken.push(word[0]);
    }
    return broken;
  })"""


def build(folder: str) -> None:
    command = ["npx", "vite", "build", "-c", "vite.rehearsal.config.ts", "--outDir", folder, "--logLevel", "error"]
    subprocess.run(command, cwd=PWA, check=True)


class Stage:
    """One page on which one scene after the other is played, in one look."""

    def __init__(self, browser: Browser, address: str, look: Look) -> None:
        self.context = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme="dark" if look.dark else "light",
            locale="nl-NL" if look.language == "nl" else "en-GB",
            reduced_motion="reduce",
            device_scale_factor=1,
            has_touch=look.width < 700,
            is_mobile=False,
        )
        if look.large:
            self.context.add_init_script(
                f"localStorage.setItem('settings', JSON.stringify({{lang: '{look.language}', textSize: 2}}))"
            )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.said: list[str] = []
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("console", lambda line: self.said.append(line.text) if line.type == "error" else None)
        self.page.goto(f"{address}rehearsal.html?as=new")
        self.page.wait_for_selector("h1")
        self.page.evaluate((PWA / "node_modules" / "axe-core" / "axe.min.js").read_text())

    def play(self, shot: Shot) -> None:
        self.page.evaluate("([who, scene, route]) => rehearse(who, scene, route)", [shot.who, shot.scene, shot.route])
        self.page.evaluate(SETTLED)
        shot.do(self.page)
        self.page.evaluate(SETTLED)

    def settle(self) -> None:
        """Until what came of a press is painted, and what moved has moved."""
        self.page.evaluate(SETTLED)

    def plain(self) -> Iterator[str]:
        """What the eye and the finger find, without axe."""
        if self.page.evaluate(WIDE):
            yield "wider than the screen"
        yield from (f"smaller than 44 px: {one}" for one in self.page.evaluate(SMALL))
        yield from (f"cut off: {one}" for one in self.page.evaluate(CUT))
        yield from (f"broken: {one}" for one in self.page.evaluate(BROKEN))
        if "Q7x_" in self.page.url:
            yield "the secret stays in the address"
        yield from self.said
        self.said.clear()

    def who(self, shot: Shot) -> Iterator[str]:
        """Each screen says who can read it, unless there is nothing on it to read."""
        if not shot.bare and self.page.locator("[data-test=who-reads]:visible").count() != 1:
            yield "does not say once who can read it"

    def axe(self, *rules: str) -> Iterator[str]:
        # The bars at top and bottom lie over what is behind them at this moment; people scroll.
        bars = "(where) => document.querySelectorAll('nav, header').forEach((one) => { one.style.position = where })"
        self.page.evaluate(bars, "static")
        # What is far below is not laid out yet (AgreementCard), and then stands over what follows it: nobody sees it so.
        self.page.evaluate(
            "document.querySelectorAll('.agreement').forEach((one) => { one.style.contentVisibility = 'visible' })"
        )
        wanted: dict[str, Any] = {"resultTypes": ["violations"]}
        wanted["runOnly"] = {"type": "rule", "values": list(rules)} if rules else WCAG
        # The reader's name across a view is faint on purpose, and hidden from screen readers.
        result = self.page.evaluate("rules => axe.run({exclude: ['.mark']}, rules)", wanted)
        self.page.evaluate(bars, "")
        for found in result["violations"]:
            where = found["nodes"][0]
            yield f"axe {found['id']} ({len(found['nodes'])}): {' '.join(map(str, where['target']))} {where.get('failureSummary', '')}"


def photograph(browser: Browser, address: str, folder: Path, look: Look, shots: list[Shot]) -> Iterator[str]:
    stage = Stage(browser, address, look)
    for shot in shots:
        name = f"{shot.name}.{look.name}"
        try:
            stage.play(shot)
            stage.page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
            yield from (f"{name}: {line}" for line in [*stage.plain(), *stage.who(shot), *stage.axe()])
        except Exception as error:
            yield f"{name}: {error}"
    stage.context.close()


def inspect(browser: Browser, address: str, shots: list[Shot]) -> Iterator[str]:
    """Every screen once, without pictures: all rules by day, contrast also by night, and room for letters twice as large."""
    stage = Stage(browser, address, LOOKS[0])
    for shot in shots:
        try:
            stage.play(shot)
            yield from (f"{shot.name}: {line}" for line in [*stage.plain(), *stage.who(shot), *stage.axe()])
            stage.page.emulate_media(color_scheme="dark")
            yield from (f"{shot.name}, dark: {line}" for line in stage.axe("color-contrast"))
            stage.page.emulate_media(color_scheme="light")
            stage.page.evaluate("document.documentElement.classList.add('text-2')")
            yield from (f"{shot.name}, large: {line}" for line in stage.plain())
            stage.page.evaluate("document.documentElement.classList.remove('text-2')")
        except Exception as error:
            yield f"{shot.name}: {error}"
    stage.context.close()


@contextmanager
def rehearsal() -> Iterator[str]:
    """Builds the rehearsal and serves it; gives its address."""
    with tempfile.TemporaryDirectory() as site:
        build(site)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()


def chromium(play: Playwright) -> Browser:
    return play.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
    )


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    words = sys.argv[2:]
    complaints = 0
    with rehearsal() as address, sync_playwright() as play:
        browser = chromium(play)
        for look in LOOKS:
            shots = [shot for shot in SHOTS if not words or any(word in f"{shot.name}.{look.name}" for word in words)]
            for line in photograph(browser, address, folder, look, shots) if shots else ():
                complaints += 1
                print(line)
        browser.close()
    print(f"{complaints} complaints; pictures in {folder}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
