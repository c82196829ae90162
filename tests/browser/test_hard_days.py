"""What goes wrong in a life with a telephone: no internet, a wrong code, a second tab, far too much text. Nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

QUESTION = "Hoe blijven Sam en Eva thuis?"
BEFORE = "Fatima komt zes weken bij ons wonen"
OFFLINE = "zonder server geschreven"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


@pytest.fixture
def new_phone(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Phone]]:
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        yield make


def at_home(phone: Phone, relay: LiveRelay) -> str:
    case = phone.begin(relay.url, QUESTION, "Nora", "Thuis bij Nora")
    phone.agrees(BEFORE)
    phone.look_until(lambda: phone.at("status").inner_text().strip() == "")
    return case


def test_a_cold_start_without_the_relay_and_what_was_written_then_is_sent(
    relay: LiveRelay, new_phone: Callable[[str], Phone]
) -> None:
    nora, fatima = new_phone("nora"), new_phone("fatima")
    case = at_home(nora, relay)
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
    nora.at("invite-make").click()
    fatima.answers(nora.link(), "Fatima")
    fatima.look_until(lambda: fatima.at("nav-plan").count() > 0, nora)
    nora.page.evaluate("navigator.serviceWorker.ready.then(() => true)")

    relay.stop()
    nora.page.close()
    nora.page = nora.context.new_page()
    nora.listen(nora.page)
    nora.page.goto(f"{relay.url}/")
    expect(nora.at("open-case")).to_be_visible(timeout=SECONDS)
    nora.picture("koude-start")
    nora.at("open-case").click()
    nora.sees(QUESTION)
    nora.at("nav-plan").click()
    nora.sees(BEFORE)
    nora.agrees(OFFLINE)
    expect(nora.at("status")).to_contain_text("Geen internet", timeout=SECONDS)
    expect(nora.at("status")).to_contain_text("1 ding", timeout=SECONDS)
    nora.picture("zonder-server")

    # What needs the server says so, and keeps what was filled in.
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Karim")
    nora.at("invite-make").click()
    expect(nora.at("trouble")).to_be_visible(timeout=SECONDS)
    nora.at("trouble").scroll_into_view_if_needed()
    nora.picture("uitnodigen-zonder-server")
    assert nora.at("trouble").get_attribute("data-code") == "offline"
    assert nora.at("invite-name").input_value() == "Karim"

    relay.start()
    nora.look_until(lambda: nora.at("status").inner_text().strip() == "")
    fatima.at("nav-plan").click()
    fatima.look_for(OFFLINE, nora)
    for phone in (nora, fatima):
        phone.asked_only(relay.url)
        phone.uncomplaining()


def test_far_too_much_and_a_strange_name(relay: LiveRelay, new_phone: Callable[[str], Phone]) -> None:
    nora = new_phone("nora")
    case = at_home(nora, relay)
    nora.at("plan-add").click()
    paste = "Dit is een heel lang verhaal. " * 70_000
    nora.at("agreement-what").evaluate(
        "(one, text) => { one.value = text; one.dispatchEvent(new Event('input', { bubbles: true })); }", paste
    )
    nora.at("agreement-save").click()
    expect(nora.at("trouble")).to_be_visible(timeout=SECONDS)
    nora.at("trouble").scroll_into_view_if_needed()
    nora.picture("te-veel")
    assert nora.at("trouble").get_attribute("data-code") == "too_large"
    assert nora.at("agreement-what").input_value() == paste
    nora.at("agreement-what").fill("kort")
    # Hidden in a hurry: nothing to see, and afterwards the half-written text is there.
    nora.at("hide").click()
    expect(nora.at("agreement-what")).to_be_hidden(timeout=SECONDS)
    assert nora.page.inner_text("body").split() == ["Kring", "Verder"]
    nora.at("unhide").click()
    assert nora.at("agreement-what").input_value() == "kort"
    nora.at("agreement-save").click()
    nora.sees("kort")

    # Two hundred characters, each of several code points.
    name = "👩🏽‍👧‍👦" * 200
    nora.page.goto(f"{relay.url}/#/case/{case}/circle")
    nora.at("circle-add").click()
    nora.at("circle-name").focus()
    nora.page.keyboard.insert_text(name)
    assert "\ufffd" not in nora.at("circle-name").input_value()
    nora.at("circle-save").click()
    expect(nora.at("circle-add")).to_be_visible(timeout=SECONDS)
    expect(nora.page.get_by_text("👩🏽").first).to_be_visible(timeout=SECONDS)
    nora.picture("lange-naam")
    assert nora.page.evaluate("document.documentElement.scrollWidth") <= 390
    nora.page.goto(f"{relay.url}/#/case/{case}/invite")
    nora.at("invite-name").focus()
    nora.page.keyboard.insert_text(name)
    nora.at("invite-make").click()
    expect(nora.at("link")).to_be_visible(timeout=SECONDS)
    nora.picture("lange-naam-vragen")
    assert nora.page.evaluate("document.documentElement.scrollWidth") <= 390
    nora.page.goto(f"{relay.url}/#/case/{case}/plan")
    nora.sees(BEFORE)
    nora.look_until(lambda: nora.at("status").inner_text().strip() == "")
    nora.uncomplaining()


def test_the_search_of_the_stores_finds_what_lies_there_open(
    relay: LiveRelay, new_phone: Callable[[str], Phone]
) -> None:
    nora = new_phone("nora")
    nora.page.goto(relay.url)
    expect(nora.at("start")).to_be_visible(timeout=SECONDS)
    nora.page.evaluate(
        """async () => {
          const asked = indexedDB.open('open', 1);
          asked.onupgradeneeded = () => asked.result.createObjectStore('rows');
          await new Promise((done) => { asked.onsuccess = done; });
          const store = asked.result.transaction('rows', 'readwrite').objectStore('rows');
          store.put({ deep: [{ bytes: new TextEncoder().encode('xxIN-BYTESxx') }] }, 'IN-A-KEY');
          const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt']);
          const put = asked.result.transaction('rows', 'readwrite').objectStore('rows').put({ key }, 'k');
          await new Promise((done) => { put.onsuccess = done; });
          asked.result.close();
          await (await caches.open('kept')).put('/kept', new Response('IN-A-CACHE'));
          sessionStorage.setItem('a', 'IN-THE-SESSION');
        }"""
    )
    stored = nora.stored()
    for canary in ("IN-BYTES", "IN-A-KEY", "IN-A-CACHE", "IN-THE-SESSION", "EXTRACTABLE"):
        assert canary in stored, canary
