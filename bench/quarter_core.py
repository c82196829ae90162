"""The app in Chromium on a quarter of one core: opening a big case from what was kept, typing while news come, the first load.

    python bench/quarter_core.py [EDITS]

Chromium's own throttle slows the page and not its workers, so the browser's whole process tree is held to a quarter of a
core by Linux (a cgroup; it takes root). The quota is dealt out every 20 ms, 5 ms at a time: nearer to a slow core than a
long stop after each burst. The relay and the people who write meanwhile are outside. A case of 40 streams and more.

Opening and typing are measured twice: in a window without tabs, which is what an app on the home screen has, and in a tab of
a desktop's browser, whose strip of tabs is a page of its own that draws a turning circle beside ours, in the same quarter.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import results
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize, sync_playwright
from process import percentile, relay, spread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from browser.phones import DIST
from eigenkring.case import Case
from eigenkring.library import Device
from journeys.wiretap import wiretap

EDITS = 10_000
AGREEMENTS = 20
PEOPLE = ("Karim", "Lotte", "Oma", "Opa", "Eva")
WRITERS = 3
BEFORE_A_SYNC = 200
PERIOD_US, QUARTER = 20_000, 4
OPENINGS = 5
KEYS = 200
SECONDS = 120_000

# Told by the console: to be asked by Playwright costs the page a tenth of what is measured.
WATCH = """() => {
  const seen = new Set();
  const look = () => {
    for (const what of ['start', 'agreement']) {
      if (seen.has(what) || !document.querySelector(`[data-test="${what}"]`)) continue;
      seen.add(what);
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => console.info(`painted ${what} ${performance.now()}`);
        port2.postMessage(0);
      });
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}"""
COUNT = """() => {
  globalThis.painted = [];
  addEventListener('input', ({ timeStamp }) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    // After the frame: what the finger did is on the screen.
    port1.onmessage = () => painted.push(performance.now() - timeStamp);
    port2.postMessage(0);
  }), { capture: true });
}"""


class Cage:
    """A group of processes with a bound on what they use together."""

    def __init__(self) -> None:
        name = f"eigenkring-{os.getpid()}"
        one = Path("/sys/fs/cgroup/cpu")
        self._is_old = (one / "cpu.cfs_quota_us").exists()
        self.folder = (one if self._is_old else Path("/sys/fs/cgroup")) / name
        try:
            self.folder.mkdir()
        except OSError as error:
            raise SystemExit(f"no group of processes can be made here ({error}): nothing was measured") from None

    def bound(self, share: float | None) -> None:
        """None: as much as it likes. Its weight is high, so that others on the machine take nothing from its share."""
        quota = -1 if share is None else int(PERIOD_US * share)
        if self._is_old:
            (self.folder / "cpu.shares").write_text("65536")
            (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (self.folder / "cpu.weight").write_text("10000")
            (self.folder / "cpu.max").write_text(f"{'max' if share is None else quota} {PERIOD_US}")

    def used_seconds(self) -> float:
        """Of the processes that live now."""
        ticks = 0
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)


QUIET = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"]
SCREEN: ViewportSize = {"width": 390, "height": 844}


def program(cage: Cage, folder: Path) -> Path:
    """Chromium, which goes into the cage before it does anything."""
    wrapper = folder / "chromium.sh"
    chromium = os.environ.get("EIGENKRING_CHROMIUM", "/usr/bin/chromium")
    wrapper.write_text(f'#!/bin/sh\necho $$ > {cage.folder}/cgroup.procs\nexec {chromium} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


@contextmanager
def in_tabs(playwright: Playwright, cage: Cage, folder: Path) -> Iterator[Browser]:
    running = playwright.chromium.launch(
        executable_path=program(cage, folder), args=QUIET, chromium_sandbox=os.geteuid() != 0
    )
    yield running
    running.close()


@contextmanager
def in_a_window(playwright: Playwright, cage: Cage, folder: Path) -> Iterator[BrowserContext]:
    """As from the home screen: one window with nothing around it."""
    running = playwright.chromium.launch_persistent_context(
        folder / "profile",
        executable_path=program(cage, folder),
        args=[*QUIET, "--app=about:blank"],
        chromium_sandbox=os.geteuid() != 0,
        viewport=SCREEN,
        locale="nl-NL",
    )
    yield running
    running.close()


def family(folder: Path, address: str) -> tuple[Case, list[Case]]:
    nora = Device.open(folder / "nora").start("Thuis bij Nora", address, "Nora")
    nora.sync()
    others = []
    for name in PEOPLE:
        device = Device.open(folder / name)
        case = device.join(nora.invite("member", name), name)
        nora.sync()
        device.sync()
        others.append(device.case(case))
    nora.sync()
    return nora, [nora, *others[: WRITERS - 1]]


def write(writers: list[Case], edits: int) -> None:
    items = [writers[0].add("plan", "agreements", {"what": f"Afspraak {n}"}) for n in range(AGREEMENTS)]
    for _ in range(2):
        for one in writers:
            one.sync()
    for n in range(edits - AGREEMENTS):
        one = writers[n // BEFORE_A_SYNC % len(writers)]
        one.set(
            "plan",
            f"agreements/{items[n * 7 % AGREEMENTS]}/what",
            f"Afspraak {n % AGREEMENTS}, voor de {n}e keer anders",
        )
        if n % BEFORE_A_SYNC == BEFORE_A_SYNC - 1:
            one.sync()
            writers[(n // BEFORE_A_SYNC + 1) % len(writers)].sync()
    for one in [*writers, *writers]:
        one.sync()


def first_load(browser: Browser, address: str) -> tuple[int, float]:
    """All bytes both ways until the app lies on the device for the next time, and milliseconds until it can be pressed."""
    with wiretap(address) as between:
        context = browser.new_context(viewport=SCREEN, locale="nl-NL")
        context.add_init_script(f"({WATCH})()")
        page = context.new_page()
        ready = shown(page, "start", between.url)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_timeout(500)
        context.close()
        return len(between.heard), ready


def shown(page: Page, what: str, url: str) -> float:
    """Milliseconds from the beginning of the page until that was painted; the page needs `WATCH`."""
    sign = f"painted {what} "
    with page.expect_console_message(lambda said: said.text.startswith(sign), timeout=SECONDS) as told:
        page.goto(url, wait_until="commit")
    return float(told.value.text.removeprefix(sign))


def look_until(page: Page, what: str, meanwhile: Callable[[], object]) -> None:
    for _ in range(200):
        if page.locator(f'[data-test="{what}"]').count():
            return
        meanwhile()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(300)
    raise SystemExit(page.inner_text("body"))


def typing(page: Page, karim: Case) -> list[float]:
    """Letters, while another one writes in the same plan twice a second."""
    page.locator('[data-test="agreement-edit"]').first.click()
    field = page.locator('[data-test="agreement-what"]')
    field.click()
    page.evaluate(COUNT)
    done = threading.Event()

    def others() -> None:
        n = 0
        while not done.wait(0.5):
            n += 1
            karim.add("agenda", "appointments", {"title": f"Moment {n}"})
            karim.sync()

    beside = threading.Thread(target=others)
    beside.start()
    try:
        field.press_sequentially("wie brengt sam op dinsdag " * (KEYS // 26 + 1), delay=110, timeout=SECONDS)
    finally:
        done.set()
        beside.join()
    samples: list[float] = page.evaluate("painted")
    return samples


def main(edits: int) -> None:
    cage = Cage()
    try:
        with tempfile.TemporaryDirectory() as folder, relay_with_app(Path(folder)) as address:
            found = measure(cage, Path(folder), address, edits)
        results.keep("quarter_core", found)
    finally:
        cage.close()


@contextmanager
def relay_with_app(folder: Path) -> Iterator[str]:
    os.environ.setdefault("EIGENKRING_DIST", str(DIST))
    with relay(folder / "relay", app=DIST) as running:
        yield running.url


def measure(cage: Cage, folder: Path, address: str, edits: int) -> dict[str, object]:
    began = time.perf_counter()
    nora, writers = family(folder, address)
    write(writers, edits)
    print(f"{edits} edits in {time.perf_counter() - began:.0f} s", flush=True)
    with sync_playwright() as playwright:
        cage.bound(None)
        with in_tabs(playwright, cage, folder) as browser:
            cage.bound(1 / QUARTER)
            loaded = [first_load(browser, address) for _ in range(3)]
        cage.bound(None)
        with in_a_window(playwright, cage, folder) as context:
            as_app = used(cage, context, context.pages[0], nora, writers[1], "Fatima")
        cage.bound(None)
        with in_tabs(playwright, cage, folder) as browser:
            context = browser.new_context(viewport=SCREEN, locale="nl-NL")
            in_tab = used(cage, context, context.new_page(), nora, writers[1], "Samira")
    return {
        "edits": edits,
        "streams": len(nora.charter.live_streams()),
        "first load bytes": max(size for size, _ in loaded),
        "first load ms": spread([ms for _, ms in loaded]),
        "as an app": as_app,
        "in a tab": in_tab,
        "load of the machine": os.getloadavg()[0],
    }


def used(cage: Cage, context: BrowserContext, page: Page, nora: Case, writer: Case, name: str) -> dict[str, object]:
    """Who joins here, opens the plan again and again, and types while another one writes."""
    address = nora.session.row.relay
    context.add_init_script(f"({WATCH})()")
    page.goto(nora.invite("member", name))
    page.locator('[data-test="join-yes"]').click(timeout=SECONDS)
    look_until(page, "nav-plan", nora.sync)
    page.locator('[data-test="nav-plan"]').click()
    page.wait_for_selector('[data-test="agreement"]', timeout=SECONDS)
    # What was folded is kept after a sync.
    for _ in range(5):
        nora.sync()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(2_000)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    cage.bound(1 / QUARTER)
    openings, processor = [], []
    for _ in range(OPENINGS + 1):
        page.goto("about:blank")
        page.wait_for_timeout(1_500)
        before = cage.used_seconds()
        openings.append(shown(page, "agreement", f"{address}/#/case/{nora.id.hex()}/plan"))
        processor.append(1000 * (cage.used_seconds() - before))
    page.wait_for_timeout(4_000)
    samples = typing(page, writer)
    print(f"{name}: {openings} {percentile(samples, 0.95)}", flush=True)
    return {
        # The first one compiles the program anew.
        "open ms": spread(openings[1:]),
        "open processor ms": spread(processor[1:]),
        "keys": len(samples),
        "paint p50 ms": percentile(samples, 0.5),
        "paint p95 ms": percentile(samples, 0.95),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EDITS)
