"""What every test run shares: a skipped test fails in CI, no example has a deadline, and a browser for who wants one."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

# The same examples in every run, which follow from each test's own text: what is new is for `make test-long` to find, and
# fails no run that changed nothing. A busy machine makes no example wrong.
settings.register_profile(
    "unhurried",
    settings(),
    deadline=None,
    derandomize=os.environ.get("EIGENKRING_EXAMPLES") != "fresh",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")

# What is loaded stays: to walk all of it again and again for the little that a test leaves took a tenth of a run.
gc.set_threshold(50_000, 20, 100)

# How long a test in a browser waits for what has to come.
PATIENCE_MS = 150_000

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A test that did not run is not a test that passed. An expected failure may stay."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI is a failure: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


# Where `make browser` looks, and where `make unit` does not.
OF_THE_BROWSER = Path(__file__).with_name("browser")


# What takes longest begins first, so that no core waits for it at the end.
BEGIN = (
    "test_every_screen",
    "test_other_browsers",
    "test_screens",
    "test_bring_elsewhere",
    "test_moving_in",
    "test_hard_days",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        inside = OF_THE_BROWSER in item.path.parents
        is_marked = item.get_closest_marker("browser") is not None
        if (inside and not is_marked) or (is_marked and not inside and item.path.parent != OF_THE_BROWSER.parent):
            raise pytest.UsageError(f"neither `make unit` nor `make browser` runs {item.nodeid}")
    order = {name: at for at, name in enumerate(BEGIN)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)) if OF_THE_BROWSER in item.path.parents else -1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, which calls nobody by itself. Each device is a `new_context()` of it."""
    from playwright.sync_api import expect, sync_playwright

    # By itself five seconds, which a busy machine takes. A limit ends what hangs, and judges no speed.
    expect.set_options(timeout=PATIENCE_MS)

    names = (os.environ.get("EIGENKRING_CHROMIUM", "chromium"), "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail("no Chromium here: run tools/setup.sh browsers")
    quiet = (
        "--disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage"
    ).split()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=quiet, chromium_sandbox=os.geteuid() != 0, timeout=PATIENCE_MS
        )
        make = running.new_context

        def new_context(**how: Any) -> BrowserContext:
            context = make(**how)
            context.set_default_timeout(PATIENCE_MS)
            return context

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(running, "new_context", new_context)
            yield running
        running.close()
