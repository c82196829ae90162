"""The demo's glass relay: visitors walk in as Nora, Anneke and De Wit, and see what the relay holds while they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from browser.phones import SECONDS, folder
from eigenkring import demo

pytestmark = pytest.mark.browser

WRITTEN = "KANARIEGLAS Nora schreef dit"
CANARIES = (demo.QUESTION, demo.TITLE, "Fatima", "De Wit", demo.AGREEMENTS[0][1], WRITTEN)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    data = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "eigenkring.cli", "--json", "demo", "--data", str(data), "--port", "0", "--serve"]
    with (data / "said.txt").open("wb") as said:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env={**os.environ})
    assert child.stdout is not None
    try:
        lines = (line for line in child.stdout if '"glass"' in line)
        yield {**json.loads(next(lines)), "data": str(data)}
    finally:
        child.terminate()
        child.wait(30)


def test_the_page_gives_away_nothing_and_takes_no_orders_from_other_pages(running: dict[str, str]) -> None:
    glass = running["glass"]
    with httpx.Client(base_url=glass, trust_env=False) as line:
        page = line.get("/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        told = line.get("/rows").json()
        assert told["count"] == len(told["streams"]) > 20
        assert told["records"] > 50
        stream = max(told["streams"], key=lambda one: len(one["records"]))
        n, size, _ = stream["records"][-1]
        one = line.get("/record", params={"stream": stream["id"], "n": n}).json()
        assert one["size"] == size
        assert len(set(bytes.fromhex(one["bytes"]))) > 100, "that is no noise"
        shown = [noise for one in told["streams"] for _, _, noise in one["records"]]
        assert len(set(shown)) == len(shown) > 50, "each record has noise of its own"
        # The relay's file itself: no word of the family is in it, so none can be on this page.
        held = b"".join(path.read_bytes() for path in (Path(running["data"]) / "relay").iterdir() if path.is_file())
        assert len(held) > 100_000
        for canary in CANARIES:
            assert canary.encode() not in held
        # A form of another page can post, but not with this header; and a name that leads here is not this page.
        assert line.post("/enter?who=nora").status_code == 404
        assert line.post("/enter?who=karim", headers={"X-Glass": "1"}).status_code == 404
        assert line.get("/rows", headers={"Host": "elsewhere.example"}).status_code == 403
        for path in ("/relay.sqlite", "/../demo.py", "/record?stream=zz&n=1", "/record"):
            assert line.get(path).status_code == 404


def test_visitors_walk_in_write_and_see_the_rows_grow(
    browser: Browser, running: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pictures = folder(tmp_path, request.node.name)
    pictures.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="nl-NL")
    glass = context.new_page()
    complaints: list[str] = []
    glass.on("pageerror", lambda error: complaints.append(str(error)))
    glass.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    glass.goto(running["glass"])
    rows = glass.locator('[data-test="streams"] > li')
    expect(rows.first).to_be_visible(timeout=SECONDS)
    glass.screenshot(path=pictures / "1-glazen-server.png")
    # Every row has something to look at, large enough to press; the lists in which nothing lies are one line.
    assert rows.locator(":scope:not(:has(button))").count() == 0
    expect(glass.locator('[data-test="empty"]')).to_contain_text("waarin nu niets staat")
    heights = "all => all.map((one) => one.getBoundingClientRect().height)"
    assert min(glass.locator("button").evaluate_all(heights)) >= 44

    nora = walk_in(glass, "nora", "Nora")
    sees(nora, demo.QUESTION)
    anneke = walk_in(glass, "anneke", "Anneke")
    sees(anneke, demo.QUESTION)
    expect(anneke.locator('[data-test="nav-more"]')).to_have_count(1)
    wit = walk_in(glass, "de-wit", "De Wit")
    sees(wit, demo.AGREEMENTS[0][1])

    # Nora writes; a row grows, and the words are nowhere on the page.
    glass.bring_to_front()
    before = glass.request.get(f"{running['glass']}rows").json()["records"]
    nora.bring_to_front()
    nora.locator('[data-test="nav-plan"]').click()
    nora.locator('[data-test="plan-add"]').click()
    nora.locator('[data-test="agreement-what"]').fill(WRITTEN)
    nora.locator('[data-test="agreement-save"]').click()
    sees(wit, WRITTEN)
    glass.bring_to_front()
    glass.locator('[data-test="streams"] button').first.click()
    expect(glass.locator("pre:visible").first).to_be_visible(timeout=SECONDS)
    assert glass.request.get(f"{running['glass']}rows").json()["records"] > before
    glass.screenshot(path=pictures / "2-geschreven.png")
    for canary in CANARIES:
        if canary != "De Wit":  # the name on a door
            assert canary not in glass.content()
    assert complaints == []
    context.close()


def sees(phone: Page, text: str, seconds: float = 150) -> None:
    """Looks for news sooner than the app does by itself."""
    give_up = time.monotonic() + seconds
    while phone.get_by_text(text).count() == 0:
        assert time.monotonic() < give_up, phone.inner_text("body")
        phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        phone.wait_for_timeout(300)


def walk_in(glass: Page, who: str, name: str) -> Page:
    with glass.context.expect_page() as opened:
        glass.locator(f'[data-who="{who}"]').click()
    phone = opened.value
    phone.wait_for_url("http://127.0.0.1:*/#/**", timeout=SECONDS)
    expect(phone.locator('[data-test="join-yes"]')).to_be_visible(timeout=SECONDS)
    if phone.locator('[data-test="join-name"]').count():
        phone.locator('[data-test="join-name"]').fill(name)
    phone.locator('[data-test="join-yes"]').click()
    return phone
