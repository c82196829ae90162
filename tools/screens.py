"""Photographs every screen of the app and checks it with axe: `.venv/bin/python tools/screens.py FOLDER [WORD ...]`.

Builds the rehearsal (an engine in memory with the fixture family) and serves it under the strict content security policy.
WORDs keep only the pictures whose name holds one of them. Exits 1 when axe or the browser complains.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PWA = Path(__file__).resolve().parent.parent / "pwa"
CASE = "5e1f00c0ffee5e1f00c0ffee5e1f00c0"
FATIMA = "a3" + "0" * 11 + "103"
ROUND, OBJECTED, CLEAR = (f"d{n}" * 10 for n in (1, 2, 3))
SECRET = "Q7x_mK2pVt-9sLw4" * 7
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


@dataclass(frozen=True)
class Shot:
    name: str
    route: str
    who: str = "nora"
    scene: str = "full"
    do: Callable[[Page], None] = field(default=lambda page: None)


def press(*names: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        for name in names:
            page.locator(f"[data-test={name}]").first.click()

    return run


def fill(values: dict[str, str], *then: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        for name, value in values.items():
            page.locator(f"[data-test={name}]").fill(value)
        press(*then)(page)

    return run


def give(page: Page) -> None:
    fill({"give-to": "De Wit", "give-purpose": "Meedenken over veiligheid thuis"})(page)
    press("give-part-plan", "give-part-safety", "give-some-plan")(page)
    for n in (0, 2):
        page.locator("[data-test=give-item]").nth(n).check()


def give_and(*names: str) -> Callable[[Page], None]:
    def run(page: Page) -> None:
        give(page)
        press(*names)(page)

    return run


def steps(page: Page) -> None:
    fill({"start-question": "Hoe kom ik van mijn schulden af?"}, "start-next")(page)
    for name in ("Fatima", "Karim"):
        fill({"start-person": name}, "start-person-add")(page)


def third_step(page: Page) -> None:
    steps(page)
    press("start-next")(page)


def case(page: str = "", argument: str = "") -> str:
    return "#/" + "/".join(word for word in ("case", CASE, page, argument) if word)


SHOTS = [
    Shot("01-welcome", "#/", "new"),
    Shot("02-start-1", "#/start", "new"),
    Shot("02-start-2", "#/start", "new", do=steps),
    Shot("02-start-3", "#/start", "new", do=third_step),
    Shot("03-invited", f"#{SECRET}", "new"),
    Shot("03-invited-no", f"#{SECRET}", "new", do=press("join-no")),
    Shot("03-invited-child", f"#Child{SECRET}", "new"),
    Shot("03-invited-coordinator", f"#Coord{SECRET}", "new"),
    Shot("03-invited-used", f"#Used{SECRET}", "new"),
    Shot("03-invited-long", f"#{SECRET}", "nora", "long"),
    Shot("04-waiting", case(), "fatima", "waiting"),
    Shot("04-waiting-words", case(), "fatima", "words"),
    Shot("05-home", "#/"),
    Shot("05-home-long", "#/", scene="long"),
    Shot("06-overview", case()),
    Shot("06-overview-member", case(), "fatima"),
    Shot("06-overview-child", case(), "sam"),
    Shot("06-overview-coordinator", case(), "anneke"),
    Shot("06-overview-empty", case(), scene="empty"),
    Shot("06-overview-long", case(), scene="long"),
    Shot("06-overview-offline", case(), scene="offline"),
    Shot("06-overview-error", case(), scene="error"),
    Shot("06-overview-alarms", case(), scene="alarms"),
    Shot("06-overview-words", case(), scene="words"),
    Shot("06-ended", case(), "fatima", "stopped"),
    Shot("07-plan", case("plan"), do=press("who-reads")),
    Shot("07-plan-add", case("plan"), do=press("plan-add")),
    Shot("07-plan-edit", case("plan"), do=press("agreement-edit", "agreement-delete")),
    Shot("07-plan-empty", case("plan"), scene="empty"),
    Shot("07-plan-long", case("plan"), scene="long"),
    Shot("08-question", case("question")),
    Shot("08-question-edit", case("question"), do=press("question-edit")),
    Shot("09-circle", case("circle"), do=press("circle-add")),
    Shot("09-circle-empty", case("circle"), scene="empty"),
    Shot("09-circle-long", case("circle"), scene="long"),
    Shot("10-person", case("person", FATIMA), do=press("remove")),
    Shot("10-person-me", case("person", FATIMA), "fatima"),
    Shot("11-more", case("more")),
    Shot("11-more-member", case("more"), "fatima"),
    Shot("12-part-safety", case("part", "safety")),
    Shot("12-part-safety-add", case("part", "safety"), do=press("item-add")),
    Shot("12-part-net", case("part", "safetynet")),
    Shot("12-decisions", case("part", "decisions")),
    Shot("12-decisions-add", case("part", "decisions"), do=press("propose")),
    Shot("12-decisions-empty", case("part", "decisions"), scene="empty"),
    Shot("12-round", case("decision", ROUND)),
    Shot("12-round-objection", case("decision", ROUND), do=press("objection", "objection-save")),
    Shot("12-round-given", case("decision", ROUND), "eva"),
    Shot("12-round-close", case("decision", ROUND), do=press("round-close")),
    Shot("12-round-long", case("decision", ROUND), scene="long"),
    Shot("12-clarifying", case("decision", CLEAR), do=press("react")),
    Shot("12-objected", case("decision", OBJECTED)),
    Shot("12-objected-edit", case("decision", OBJECTED), do=press("decision-edit")),
    Shot("12-decision-gone", case("decision", "none")),
    Shot("12-part-contacts", case("part", f"contacts@{FATIMA}")),
    Shot("12-part-voice", case("part", f"voice@{FATIMA}"), "fatima"),
    Shot("12-part-agenda-add", case("part", "agenda"), do=press("item-add")),
    Shot("12-part-forbidden", case("part", "private"), "anneke"),
    Shot("13-invite", case("invite", "Bas")),
    Shot("13-invite-link", case("invite", "Bas"), do=press("invite-make")),
    Shot("14-access", case("access")),
    Shot("14-access-empty", case("access"), scene="empty"),
    Shot("14-give", case("give"), do=give),
    Shot("14-give-missing", case("give"), do=press("give-preview")),
    Shot("14-give-preview", case("give"), do=give_and("give-preview")),
    Shot("14-give-link", case("give"), do=give_and("give-preview", "give-yes")),
    Shot("15-grant", case("grant", "g1"), do=press("grant-preview", "withdraw")),
    Shot("15-grant-stopped", case("grant", "g3")),
    Shot("16-log", case("log")),
    Shot("17-leave", case("leave"), do=press("leave")),
    Shot("18-settings", "#/settings"),
    Shot("18-settings-offline", "#/settings", scene="offline", do=press("sync")),
    Shot("18-locked", "#/", scene="locked"),
    Shot("18-locked-wrong", "#/", scene="locked", do=fill({"lock-pin": "111111"}, "lock-open")),
    Shot("18-hidden", "#/settings", do=press("hide-now")),
    Shot("19-alarms", "#/alarms", scene="alarms"),
    Shot("20-accept", f"#Grant{SECRET}", "new"),
    Shot("21-views", "#/", "dewit"),
    Shot("22-view", "#/view/g1", "dewit"),
    Shot("22-view-long", "#/view/g1", "dewit", "long"),
    Shot("22-view-waiting", "#/view/g1", "dewit", "waiting"),
    Shot("22-view-stopped", "#/view/g1", "dewit", "stopped"),
]

# What one presses is 44 px high, itself or with its label; a link within a sentence is as high as its line.
SMALL = """() => [...document.querySelectorAll('a, button, input, select, textarea, summary')]
  .filter((one) => one.checkVisibility() && !one.closest('.sr, .skip, [hidden]'))
  .filter((one) => !(one.matches('a') && getComputedStyle(one).display === 'inline'))
  .filter((one) => Math.max(one.getBoundingClientRect().height, one.closest('label')?.getBoundingClientRect().height ?? 0) < 43.5)
  .map((one) => one.outerHTML.slice(0, 120))"""

# language, dark, width, height, large text; the first is the one for every screen, the others show what may break.
LOOKS = [
    ("nl", False, 390, 844, 0),
    ("nl", True, 390, 844, 0),
    ("en", False, 390, 844, 0),
    ("nl", False, 320, 640, 2),
    ("nl", False, 1280, 800, 0),
]


def look_name(look: tuple[str, bool, int, int, int]) -> str:
    language, dark, width, _, size = look
    return f"{language}-{'dark' if dark else 'light'}-{width}" + ("-large" if size else "")


def build(folder: str) -> None:
    command = ["npx", "vite", "build", "-c", "vite.rehearsal.config.ts", "--outDir", folder, "--logLevel", "error"]
    subprocess.run(command, cwd=PWA, check=True)


def photograph(
    browser: Browser, address: str, folder: Path, look: tuple[str, bool, int, int, int], shots: list[Shot]
) -> Iterator[str]:
    language, dark, width, height, size = look
    axe = (PWA / "node_modules" / "axe-core" / "axe.min.js").read_text()
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="nl-NL" if language == "nl" else "en-GB",
        reduced_motion="reduce",
        device_scale_factor=1,
    )
    if size:
        context.add_init_script(
            f"localStorage.setItem('settings', JSON.stringify({{lang: '{language}', textSize: {size}}}))"
        )
    for shot in shots:
        name = f"{shot.name}.{look_name(look)}"
        page = context.new_page()
        page.set_default_timeout(5_000)
        said: list[str] = []
        page.on("pageerror", lambda error, said=said: said.append(f"error: {error}"))  # type: ignore[misc]
        page.on("console", lambda line, said=said: said.append(line.text) if line.type == "error" else None)  # type: ignore[misc]
        try:
            page.goto(f"{address}rehearsal.html?as={shot.who}&scene={shot.scene}{shot.route}")
            page.wait_for_selector("h1, [data-test=trouble]")
            shot.do(page)
            page.wait_for_timeout(200)
            path = str(folder / f"{name}.png")
            page.screenshot(path=path, full_page=True)
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            if wide:
                yield f"{name}: wider than the screen"
            if "Q7x_" in page.url:
                yield f"{name}: the secret stays in the address"
            yield from (f"{name}: {line}" for line in check(page, axe))
            yield from (f"{name}: smaller than 44 px: {one}" for one in page.evaluate(SMALL))
        except Exception as error:
            yield f"{name}: {error}"
        yield from (f"{name}: {line}" for line in said)
        page.close()
    context.close()


def check(page: Page, axe: str) -> Iterator[str]:
    # The bars at top and bottom lie over what is behind them at this moment; people scroll.
    page.evaluate("document.querySelectorAll('nav, header').forEach((one) => { one.style.position = 'static' })")
    page.evaluate(axe)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    # The reader's name across a view is faint on purpose, and hidden from screen readers.
    result: dict[str, Any] = page.evaluate("rules => axe.run({exclude: ['.mark']}, rules)", rules)
    for found in result["violations"]:
        where = found["nodes"][0]
        yield f"axe {found['id']} ({len(found['nodes'])}): {' '.join(map(str, where['target']))} {where.get('failureSummary', '')}"


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


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    words = sys.argv[2:]
    complaints = 0
    with rehearsal() as address, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        for look in LOOKS:
            shots = [
                shot for shot in SHOTS if not words or any(word in f"{shot.name}.{look_name(look)}" for word in words)
            ]
            for line in photograph(browser, address, folder, look, shots):
                complaints += 1
                print(line)
        browser.close()
    print(f"{complaints} complaints; pictures in {folder}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
