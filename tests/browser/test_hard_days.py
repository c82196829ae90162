"""What goes wrong in a life with a telephone: no internet, a lying server, a full phone, far too much text. Nothing is lost.

One phone, one relay: each day goes wrong in another way, and the app goes on from what the day before left.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Route, expect

from browser.phones import DIST, SECONDS, WAITS, WORKER, Phone, folder, phones
from eigenkring import wire
from eigenkring.library import Device
from journeys.here import Here
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

QUESTION = "Hoe blijven Sam en Eva thuis?"
BEFORE = "Fatima komt zes weken bij ons wonen"
OFFLINE = "zonder server geschreven"
HERS = "Fatima brengt Sam op dinsdag naar voetbal"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built app in a folder of its own, where a newer one can take its place."""
    return Path(shutil.copytree(DIST, tmp_path_factory.mktemp("app") / "dist"))


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, app: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path_factory.mktemp("relay"), pwa_dir=app) as running:
        yield running


@pytest.fixture(scope="module")
def nora(browser: Browser, relay: LiveRelay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    with phones(browser, folder(tmp_path_factory.mktemp("hard"), "test_hard_days")) as make:
        phone = make("nora")
        phone.begin(relay.url, QUESTION, "Nora", "Thuis bij Nora")
        phone.agrees(BEFORE)
        yield phone
        phone.asked_only(relay.url)


@pytest.fixture(scope="module")
def case(nora: Phone) -> str:
    return nora.page.url.partition("#/case/")[2].partition("/")[0]


@pytest.fixture(scope="module")
def fatima(nora: Phone, case: str, relay: LiveRelay, tmp_path_factory: pytest.TempPathFactory) -> Here:
    """Her sister, who types commands."""
    home = Here(tmp_path_factory.mktemp("fatima") / "home")
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
    nora.at("invite-make").click()
    home.run("join", nora.link(), "--as", "Fatima")
    nora.look_until(lambda: home.run("sync") is not None and home.run("cases")["cases"][0]["state"] == "open")
    return home


def plan(nora: Phone, relay: LiveRelay, case: str) -> None:
    nora.page.goto(f"{relay.url}/#/case/{case}/plan")
    nora.sees(BEFORE)


def alarm(nora: Phone, relay: LiveRelay, *codes: str) -> None:
    """The notice is there, in words and with what to do."""
    nora.page.goto(f"{relay.url}/#/alarms")
    shown = nora.page.locator(", ".join(f'[data-test="alarm"][data-code="{code}"]' for code in codes))
    nora.look_until(lambda: shown.count() > 0)
    expect(shown.first).to_contain_text("Wat kunt u doen?", timeout=SECONDS)
    nora.picture(codes[0])


def test_far_too_much_and_a_strange_name(nora: Phone, relay: LiveRelay, case: str) -> None:
    plan(nora, relay, case)
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
    nora.sends()
    nora.uncomplaining()


# Keeps the moments in which the page showed these words, and nothing that said that they wait.
WATCH = f"""(words) => {{
  globalThis.unsaid = [];
  const look = () => {{
    const shown = document.body.innerText;
    if (shown.includes(words) && !({WAITS})) globalThis.unsaid.push(shown);
  }};
  new MutationObserver(look).observe(document.body, {{ subtree: true, childList: true, characterData: true }});
}}"""


def test_fresh_words_never_look_sent_while_they_are_not(nora: Phone, relay: LiveRelay, case: str) -> None:
    words = "de server zwijgt nu"
    plan(nora, relay, case)
    nora.sends()
    nora.page.evaluate(WATCH, words)
    # It hears all and answers nothing: neither offline nor sent.
    os.kill(relay.pid, signal.SIGSTOP)
    try:
        nora.agrees(words)
        nora.picture("wordt-verstuurd")
        expect(nora.at("status")).to_contain_text("nog niet verstuurd", timeout=SECONDS)
        nora.picture("nog-niet-verstuurd")
        # Who begins anew knows it from the first screen on.
        nora.page.goto(f"{relay.url}/#/settings")
        expect(nora.page.get_by_text("Alles is verstuurd.")).to_have_count(0)
    finally:
        os.kill(relay.pid, signal.SIGCONT)
    assert nora.page.evaluate("unsaid") == []
    nora.sends()
    expect(nora.page.get_by_text("Alles is verstuurd.")).to_be_visible(timeout=SECONDS)
    nora.uncomplaining()


def test_a_worker_that_the_system_ends(nora: Phone, relay: LiveRelay, case: str) -> None:
    plan(nora, relay, case)
    nora.at("plan-add").click()
    nora.at("agreement-what").fill("half getypt toen het gebeurde")
    (engine,) = [worker for worker in nora.page.workers if "/assets/worker-" in worker.url]
    with engine.expect_event("close", timeout=SECONDS):
        engine.evaluate("void setTimeout(() => self.close())")
    # Nobody told the page; it noticed, and the words are still in the field.
    assert nora.at("agreement-what").input_value() == "half getypt toen het gebeurde"
    nora.at("agreement-save").click()
    nora.look_until(lambda: nora.page.locator('[data-test="agreement"]', has_text="half getypt").count() > 0)
    nora.sends()
    nora.uncomplaining()


def test_what_the_browser_clears_is_told_and_kept_again(nora: Phone, relay: LiveRelay, case: str) -> None:
    plan(nora, relay, case)
    line = nora.context.new_cdp_session(nora.page)
    line.send("Storage.clearDataForOrigin", {"origin": relay.url, "storageTypes": "indexeddb"})
    expect(nora.at("cleared")).to_be_visible(timeout=SECONDS)
    nora.sees(BEFORE)
    nora.picture("gewist")
    assert "database eigenkring" not in nora.stored().splitlines(), "it was laid back before anybody asked for it"
    nora.at("lay-back").click()
    expect(nora.at("cleared")).to_have_count(0, timeout=SECONDS)
    nora.agrees("na het wissen")
    nora.page.reload()
    nora.sees(BEFORE)
    nora.sees("na het wissen")
    nora.sends()
    nora.uncomplaining()


def test_a_record_of_a_newer_version_is_told_and_holds_up_nothing(
    nora: Phone, relay: LiveRelay, case: str, fatima: Here
) -> None:
    with Device.open(fatima.home) as device:
        one = device.case(case)
        stream = one.session.known().parts["plan"].stream
        cap = one.session.secrets(stream).append_cap()
        assert cap is not None
        record = b"\2" + secrets.token_bytes(511)
        one.transport.exchange([wire.Append(stream=stream, cap=cap, record=record)])
    fatima.run("add", case, "plan", "agreements", f'{{"what": "{HERS}"}}')
    plan(nora, relay, case)
    nora.look_for(HERS)
    alarm(nora, relay, "future_version")
    nora.uncomplaining()


def test_a_clock_that_is_years_off_is_told_and_ends_nothing(relay: LiveRelay, browser: Browser, tmp_path: Path) -> None:
    """A phone whose day is 2036: what others go by is not written, the rest is, and all is well once the clock is set."""
    with phones(browser, folder(tmp_path, "test_clock")) as make:
        eva = make("eva", days_ahead=3650)
        case = eva.begin(relay.url, QUESTION, "Eva", "Bij Eva")
        eva.agrees(BEFORE)
        alarm(eva, relay, "clock")
        eva.page.goto(f"{relay.url}/#/case/{case}/invite/Karim")
        eva.at("invite-make").click()
        expect(eva.at("trouble")).to_be_visible(timeout=SECONDS)
        assert eva.at("trouble").get_attribute("data-code") == "clock"
        assert eva.at("invite-name").input_value() == "Karim"
        eva.sends()
        eva.context.unroute(WORKER)
        eva.page.goto(f"{relay.url}/#/alarms")
        eva.page.reload()
        eva.look_until(lambda: eva.at("alarm").count() == 0)
        eva.page.goto(f"{relay.url}/#/case/{case}/invite/Karim")
        eva.at("invite-make").click()
        assert eva.link()
        plan(eva, relay, case)
        eva.asked_only(relay.url)
        eva.uncomplaining()


def test_a_relay_that_lies_is_told_of_and_not_believed(nora: Phone, relay: LiveRelay, case: str, fatima: Here) -> None:
    plan(nora, relay, case)
    lies = 0

    def without_the_first(route: Route) -> None:
        """Leaves out a record that others wrote."""
        nonlocal lies
        request = wire.decode_request(route.request.post_data_buffer or b"")
        answer = route.fetch()
        reply = wire.decode_reply(answer.body(), request)
        results: list[wire.Result] = []
        for result in reply.results:
            if isinstance(result, wire.Batch) and result.records:
                lies += 1
                result = msgspec.structs.replace(result, records=result.records[1:])
            results.append(result)
        route.fulfill(response=answer, body=wire.encode(msgspec.structs.replace(reply, results=results)))

    # Written while nobody looked: what comes by the open line is another way.
    nora.page.goto("about:blank")
    fatima.run("add", case, "plan", "agreements", '{"what": "de server liegt hierover"}')
    nora.context.route("**/v1/exchange", without_the_first)
    try:
        plan(nora, relay, case)
        nora.look_until(lambda: lies > 0)
        alarm(nora, relay, "broken_chain", "relay_garbage")
        plan(nora, relay, case)
        nora.agrees("geschreven tegen een leugen in")
    finally:
        nora.context.unroute_all(behavior="wait")
    nora.look_for("de server liegt hierover")
    nora.sees("geschreven tegen een leugen in")
    nora.look_until(lambda: "geschreven tegen" in str(fatima.run("show", case, "plan")))
    nora.uncomplaining()


def test_an_invitation_is_answered_where_the_app_will_live(
    nora: Phone, relay: LiveRelay, case: str, browser: Browser, tmp_path: Path
) -> None:
    """On some phones the home-screen app has a memory of its own: here another context of the browser."""
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Karim")
    nora.at("invite-make").click()
    link = nora.link()
    with phones(browser, folder(tmp_path, "test_home_screen")) as make:
        page, home = make("karim-browser"), make("karim-beginscherm")
        page.context.add_init_script("Object.defineProperty(navigator, 'standalone', { value: false })")
        home.context.add_init_script("Object.defineProperty(navigator, 'standalone', { value: true })")
        for phone in (page, home):
            phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.page.goto(link)
        expect(page.at("apart-here")).to_be_checked(timeout=SECONDS)
        page.at("apart-home").check(force=True)
        expect(page.at("join-yes")).to_have_count(0, timeout=SECONDS)
        page.picture("waar-komt-de-app")
        page.at("apart-copy").click()
        expect(page.at("apart-copy")).to_contain_text("Gekopieerd", timeout=SECONDS)
        copied = page.page.evaluate("navigator.clipboard.readText()")
        assert copied == link
        # Nobody answered it here: nothing is kept, and it is still good on the home screen.
        assert page.stored().partition("\ntable rows\n")[2].startswith("cache app-"), "something is kept"
        home.page.goto(relay.url)
        home.at("paste").click()
        home.at("paste-link").fill(copied)
        home.at("paste-open").click()
        expect(home.at("join-name")).to_be_visible(timeout=SECONDS)
        assert home.at("apart-here").count() == 0
        home.at("join-yes").click()
        home.look_until(lambda: home.at("nav-plan").count() > 0, nora)
        home.at("nav-plan").click()
        home.sees(BEFORE)
        for phone in (page, home):
            phone.asked_only(relay.url)
            phone.uncomplaining()


def test_the_search_of_the_stores_finds_what_lies_there_open(nora: Phone, relay: LiveRelay, case: str) -> None:
    plan(nora, relay, case)
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


@contextmanager
def newer_app(app: Path) -> Iterator[None]:
    """Another version in its place, told apart by a mark that nobody sees."""
    page, worker = app / "index.html", app / "sw.js"
    before = page.read_text("utf-8"), worker.read_text("utf-8")
    for packed in (*app.glob("index.html.*"), *app.glob("sw.js.*")):
        packed.unlink()
    page.write_text(before[0].replace("<head>", '<head><meta name="newer" content="yes">'), encoding="utf-8")
    worker.write_text(re.sub(r'version ?= ?"[0-9a-f]+"', 'version="newer"', before[1]), encoding="utf-8")
    assert (page.read_text("utf-8"), worker.read_text("utf-8")) != before
    assert 'version="newer"' in worker.read_text("utf-8")
    yield


def test_a_cold_start_without_the_relay_then_a_newer_app_when_the_person_agrees(
    nora: Phone, relay: LiveRelay, case: str, fatima: Here, app: Path
) -> None:
    plan(nora, relay, case)
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

    with newer_app(app):
        relay.start()
    nora.sends()
    assert OFFLINE in str(fatima.run("show", case, "plan"))

    # A newer app came with the server: it waits, and the one that runs goes on, also when it is loaded anew.
    newer = nora.page.locator('meta[name="newer"]')
    nora.page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update()).then(() => true)")
    expect(nora.at("update")).to_be_visible(timeout=SECONDS)
    nora.picture("nieuwe-versie")
    nora.agrees("met de oude app geschreven")
    nora.page.reload()
    nora.sees("met de oude app geschreven")
    expect(nora.at("update")).to_be_visible(timeout=SECONDS)
    assert newer.count() == 0
    other = nora.context.new_page()
    nora.listen(other)
    other.goto(f"{relay.url}/#/case/{case}/plan")
    other.locator('[data-test="plan-add"]').click()
    other.locator('[data-test="agreement-what"]').fill("half getypt in het andere venster")
    nora.page.bring_to_front()
    nora.at("update").click()
    expect(newer).to_have_count(1, timeout=SECONDS)
    nora.sees("met de oude app geschreven")
    nora.sees(OFFLINE)
    expect(nora.at("update")).to_have_count(0)
    # The other window is told, and nothing that was typed there goes away by itself.
    expect(other.get_by_text("In een ander venster is de nieuwe versie gekozen")).to_be_visible(timeout=SECONDS)
    assert other.locator('[data-test="agreement-what"]').input_value() == "half getypt in het andere venster"
    other.locator('[data-test="agreement-save"]').click()
    expect(nora.page.get_by_text("half getypt in het andere venster")).to_be_visible(timeout=SECONDS)
    other.close()
    nora.sends()
    nora.uncomplaining()


def test_a_store_of_a_newer_app_is_left_alone(nora: Phone, relay: LiveRelay, case: str) -> None:
    """The last day: this phone's store is a newer app's from here on."""
    plan(nora, relay, case)
    nora.page.evaluate(
        """async () => {
          const asked = indexedDB.open('eigenkring', 99);
          await new Promise((done, no) => { asked.onsuccess = done; asked.onerror = no; });
          asked.result.close();
        }"""
    )
    nora.page.reload()
    expect(nora.page.get_by_text("Iemand gebruikt een nieuwere versie van de app")).to_be_visible(timeout=SECONDS)
    nora.picture("nieuwere-opslag")
    assert nora.stored().count("\nrow") > 20
    nora.uncomplaining()
