"""The built app on a phone's screen, served by the real relay; the rest of the family types commands.

A tap between phone and relay keeps every byte: what must never leave the phone is looked for there.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from journeys.people import Failed, Someone
from journeys.wiretap import Wiretap, wiretap
from live_relay import live_relay

pytestmark = pytest.mark.browser

DIST = Path(__file__).resolve().parents[2] / "pwa" / "dist"
QUESTION = "KANARIEVRAAG hoe blijven Sam en Eva thuis"
AGREEMENT = "KANARIEAFSPRAAK Fatima komt zes weken bij ons wonen"
FROM_PHONE = "KANARIETELEFOON Karim brengt Sam naar voetbal"
CHANGED = "KANARIEANDERS Fatima komt acht weken bij ons wonen"
PRIVATE = "KANARIEBESLOTEN misschien kan Eva vaker bij Lotte slapen"
CANARIES = (QUESTION, AGREEMENT, FROM_PHONE, CHANGED, PRIVATE, "Thuis bij Nora", "Fatima", "De Wit")
SECONDS = 150_000
FAR = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@dataclass
class Phone:
    """A browser of its own: its storage, what it asked of whom, and what it complained of."""

    context: BrowserContext
    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def at(self, name: str) -> Locator:
        return self.page.locator(f'[data-test="{name}"]')

    def look_until(self, seen: Callable[[], bool], seconds: float = 150) -> None:
        """The app looks for news every 20 seconds; a person who waits comes back to it sooner."""
        give_up = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < give_up, self.page.inner_text("body")
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            self.page.wait_for_timeout(400)


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Wiretap]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as relay, wiretap(relay.url) as between:
        yield between


@pytest.fixture
def new_phone(browser: Browser, tap: Wiretap) -> Iterator[Callable[[], Phone]]:
    phones: list[Phone] = []

    def make() -> Phone:
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="nl-NL"
        )
        phone = Phone(context, context.new_page())
        context.on("request", lambda request: phone.asked.append(request.url))
        phone.page.on("pageerror", lambda error: phone.complaints.append(str(error)))
        phone.page.on("console", lambda said: phone.complaints.append(said.text) if said.type == "error" else None)
        phones.append(phone)
        return phone

    yield make
    here = urlsplit(tap.url).netloc
    for phone in phones:
        assert {urlsplit(url).netloc for url in phone.asked if not url.startswith(("blob:", "data:"))} <= {here}
        assert phone.asked, "nothing was recorded"
        assert [line for line in phone.complaints if not offline_noise(line)] == []
        phone.context.close()


@pytest.fixture
def nora(tmp_path: Path, tap: Wiretap) -> tuple[Someone, str]:
    someone = Someone(tmp_path / "nora", "Nora")
    case = someone.run("start", "Thuis bij Nora", "--relay", tap.url, "--as", "Nora")["case"]
    someone.run("set", case, "question", "question/question/text", QUESTION)
    someone.run("add", case, "plan", "agreements", f'{{"what": "{AGREEMENT}"}}')
    someone.run("add", case, "private", "ideas", f'{{"text": "{PRIVATE}"}}')
    return someone, case


@contextmanager
def nothing_leaks(tap: Wiretap, *links: str) -> Iterator[None]:
    yield
    heard = bytes(tap.heard)
    assert len(heard) > 10_000
    for canary in CANARIES:
        for written in (canary.encode(), canary.encode("utf-16-le"), base64.b64encode(canary.encode())[:-3]):
            assert written not in heard, canary
    for link in links:
        fragment = link.partition("#")[2]
        data = base64.urlsafe_b64decode(fragment + "==")
        for secret in (fragment.encode(), data[18:50], data[18:50].hex().encode()):
            assert secret not in heard


def answer(phone: Phone, link: str, name: str) -> None:
    """Open the link as one opens a link in a message, and say yes."""
    phone.page.goto(link)
    expect(phone.at("join-name")).to_be_visible(timeout=SECONDS)
    assert link.partition("#")[2] not in phone.page.url, "the secret stays in the address"
    phone.at("join-name").fill(name)
    phone.at("join-yes").click()


def test_a_member_follows_an_invitation_reads_the_plan_and_writes_in_it(
    tap: Wiretap, new_phone: Callable[[], Phone], nora: tuple[Someone, str]
) -> None:
    someone, case = nora
    link = someone.run("invite", case, "--role", "member", "--name", "Fatima")["link"]
    phone = new_phone()
    with nothing_leaks(tap, link):
        answer(phone, link, "Fatima")
        expect(phone.at("waiting")).to_be_visible(timeout=SECONDS)
        someone.run("sync")
        phone.look_until(lambda: phone.at("nav-plan").count() > 0)
        phone.at("nav-plan").click()
        expect(phone.page.get_by_text(AGREEMENT)).to_be_visible(timeout=SECONDS)

        phone.at("plan-add").click()
        phone.at("agreement-what").fill(FROM_PHONE)
        phone.at("agreement-save").click()
        expect(phone.page.get_by_text(FROM_PHONE)).to_be_visible(timeout=SECONDS)
        assert wait_for(lambda: FROM_PHONE in told(someone, case))

        # The other way, and after the page is loaded anew: what the phone knows lies on the phone.
        someone.run("add", case, "plan", "agreements", f'{{"what": "{CHANGED}"}}')
        phone.page.reload()
        expect(phone.page.get_by_text(FROM_PHONE)).to_be_visible(timeout=SECONDS)
        phone.look_until(lambda: phone.page.get_by_text(CHANGED).count() > 0)

        # Offline is the normal state: written, kept, sent later.
        phone.context.set_offline(True)
        phone.at("plan-add").click()
        phone.at("agreement-what").fill("zonder internet")
        phone.at("agreement-save").click()
        expect(phone.page.get_by_text("zonder internet")).to_be_visible(timeout=SECONDS)
        assert "zonder internet" not in told(someone, case)
        phone.context.set_offline(False)
        assert wait_for(lambda: "zonder internet" in told(someone, case))


# What a page says to its worker, and what it had said when these words were there: it goes on asking.
HEARD = """(words) => {
  globalThis.heard = [];
  new MutationObserver((_, watching) => {
    if (!document.body?.textContent.includes(words)) return;
    watching.disconnect();
    globalThis.heardBefore = [...heard];
  }).observe(document, { subtree: true, childList: true, characterData: true });
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (said, ...more) {
    heard.push(said.verb ?? said.kind);
    return post.call(this, said, ...more);
  };
}"""
# None of these reads a record: pwa/test/first-screen.test.ts asks for each that is a question. Any other is answered after
# all records are read.
FIRST_ASKED = {"begin", "wake", "lockState", "losses", "status", "moving", "cases", "show", "people", "readers"}


def test_a_page_asks_for_nothing_that_waits_for_the_records_before_the_plan_is_there(
    new_phone: Callable[[], Phone], nora: tuple[Someone, str]
) -> None:
    someone, case = nora
    phone = new_phone()
    answer(phone, someone.run("invite", case, "--role", "member", "--name", "Fatima")["link"], "Fatima")
    expect(phone.at("waiting")).to_be_visible(timeout=SECONDS)
    someone.run("sync")
    phone.look_until(lambda: phone.at("nav-plan").count() > 0)
    phone.at("nav-plan").click()
    expect(phone.page.get_by_text(AGREEMENT)).to_be_visible(timeout=SECONDS)
    phone.context.add_init_script(f"({HEARD})({json.dumps(AGREEMENT)})")
    phone.page.reload()
    expect(phone.page.get_by_text(AGREEMENT)).to_be_visible(timeout=SECONDS)
    heard = set(phone.page.evaluate("heardBefore"))
    assert "show" in heard
    assert heard <= FIRST_ASKED


def offline_noise(line: str) -> bool:
    """What Chromium itself writes when a fetch fails because the test cut the line."""
    return "ERR_INTERNET_DISCONNECTED" in line


def told(someone: Someone, case: str) -> str:
    plan = someone.run("show", case, "plan")
    return str(plan["agreements"])


def wait_for(seen: Callable[[], bool], seconds: float = 150) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if seen():
            return True
        time.sleep(0.5)
    return False


def test_a_professional_reads_a_view_until_it_is_withdrawn(
    tap: Wiretap, new_phone: Callable[[], Phone], nora: tuple[Someone, str]
) -> None:
    someone, case = nora
    given = someone.run("grant", case, "--to", "De Wit", "--purpose", "Meedenken", "--until", FAR, "--parts", "plan")
    item = next(iter(someone.run("show", case, "plan")["agreements"]))
    phone = new_phone()
    with nothing_leaks(tap, given["link"]):
        answer(phone, given["link"], "De Wit")
        expect(phone.at("view-waiting")).to_be_visible(timeout=SECONDS)
        someone.run("sync")
        phone.look_until(lambda: phone.page.get_by_text(AGREEMENT).count() > 0)
        assert PRIVATE not in phone.page.content()

        someone.run("set", case, "plan", f"agreements/{item}/what", CHANGED)
        phone.look_until(lambda: phone.page.get_by_text(CHANGED).count() > 0)
        assert phone.page.get_by_text(AGREEMENT).count() == 0

        someone.run("withdraw", case, given["grant"])
        phone.look_until(lambda: phone.at("view-stopped").count() > 0)
        assert CHANGED not in phone.page.content()
        # Gone from the phone too, and not only from the screen.
        phone.page.reload()
        expect(phone.at("view-stopped")).to_be_visible(timeout=SECONDS)
        assert CHANGED not in phone.page.content()


def test_a_case_begun_on_a_phone_is_joined_from_the_command_line(
    tap: Wiretap, new_phone: Callable[[], Phone], tmp_path: Path
) -> None:
    phone = new_phone()
    phone.page.goto(tap.url)
    phone.at("start").click()
    phone.at("start-question").fill(QUESTION)
    phone.at("start-next").click()
    phone.at("start-next").click()
    phone.at("start-name").fill("Nora")
    phone.at("start-title").fill("Thuis bij Nora")
    phone.at("start-keep").click()
    expect(phone.page.get_by_text(QUESTION)).to_be_visible(timeout=SECONDS)
    case = re.search(r"#/case/([0-9a-f]{32})", phone.page.url)
    assert case is not None
    phone.page.goto(f"{tap.url}/#/case/{case[1]}/invite")
    phone.at("invite-name").fill("Karim")
    phone.at("invite-role-member").check(force=True)
    phone.at("invite-make").click()
    expect(phone.at("invite-done")).to_be_visible(timeout=SECONDS)
    shown = phone.at("link").first
    link = shown.input_value() if shown.evaluate("one => 'value' in one") else shown.inner_text()
    karim = Someone(tmp_path / "karim", "Karim")
    with nothing_leaks(tap, link.strip()):
        karim.run("join", link.strip(), "--as", "Karim")

        def reads() -> bool:
            phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            phone.page.wait_for_timeout(300)
            try:
                return QUESTION in str(karim.run("show", case[1], "question"))
            except Failed as refused:
                assert refused.code == "not_yet"
                return False

        assert wait_for(reads)


def test_two_tabs_are_one_device(tap: Wiretap, new_phone: Callable[[], Phone], nora: tuple[Someone, str]) -> None:
    someone, case = nora
    link = someone.run("invite", case, "--role", "member", "--name", "Fatima")["link"]
    phone = new_phone()
    answer(phone, link, "Fatima")
    expect(phone.at("waiting")).to_be_visible(timeout=SECONDS)
    someone.run("sync")
    phone.look_until(lambda: phone.at("nav-plan").count() > 0)
    second = phone.context.new_page()
    second.on("pageerror", lambda error: phone.complaints.append(str(error)))
    second.goto(f"{tap.url}/#/case/{case}/plan")
    expect(second.get_by_text(AGREEMENT)).to_be_visible(timeout=SECONDS)
    second.locator('[data-test="plan-add"]').click()
    second.locator('[data-test="agreement-what"]').fill(FROM_PHONE)
    second.locator('[data-test="agreement-save"]').click()
    phone.at("nav-plan").click()
    expect(phone.page.get_by_text(FROM_PHONE)).to_be_visible(timeout=SECONDS)
    # The first one led; when it is closed the second goes on by itself, with all that was written.
    phone.page.close()
    second.locator('[data-test="plan-add"]').click()
    second.locator('[data-test="agreement-what"]').fill(CHANGED)
    second.locator('[data-test="agreement-save"]').click()
    expect(second.get_by_text(CHANGED)).to_be_visible(timeout=SECONDS)
    assert wait_for(lambda: CHANGED in told(someone, case) and FROM_PHONE in told(someone, case))
