"""The first evening, from an empty phone to somebody leaving: all in the app, each person on a phone of their own.

Each step is kept as a picture in the folder that EIGENKRING_SCREENS names.
"""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from eigenkring_crypto.words import decode_code
from journeys.wiretap import Wiretap, wiretap
from live_relay import live_relay

pytestmark = pytest.mark.browser

QUESTION = "KANARIEVRAAG hoe blijven Sam en Eva thuis"
HERS = "KANARIEFATIMA ik kom zes weken bij jullie wonen"
MINE = "KANARIENORA Karim brengt Sam op dinsdag naar voetbal"
CHANGED = "KANARIEANDERS ik kom acht weken bij jullie wonen"
TITLE = "Thuis bij Nora"
ASKED = "KANARIESCHOOL kan iemand mee naar school"
ANSWER = "KANARIEANTWOORD ja, ik ga maandag mee"
PURPOSE = "KANARIEDOEL zodat u kunt meedenken"
PIN = "739154"
CANARIES = (QUESTION, HERS, MINE, CHANGED, ASKED, ANSWER, PURPOSE, TITLE, "Fatima", "De Wit", "Lotte")


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Wiretap]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as relay, wiretap(relay.url) as between:
        yield between


@pytest.fixture
def new_phone(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Phone]]:
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        yield make


def nothing_in(heard: bytes, links: list[str]) -> None:
    for canary in CANARIES:
        for written in (canary.encode(), canary.encode("utf-16-le"), base64.b64encode(canary.encode())[:-3]):
            assert written not in heard, canary
    for link in links:
        fragment = link.partition("#")[2]
        data = base64.urlsafe_b64decode(fragment + "==")
        for secret in (fragment.encode(), data[18:50], data[18:50].hex().encode()):
            assert secret not in heard


def receives_no_more(gone: Phone, writer: Phone, what: str) -> None:
    """Not even sealed: the rows stay as many while another one writes."""
    kept = -1
    # What ended takes its rows away; then they stay.
    while kept != (kept := gone.rows()):
        gone.look()
    writer.agrees(what)
    writer.sends()
    for _ in range(3):
        gone.look()
    assert gone.rows() == kept
    assert kept > 10, "nothing was kept at all"


def test_the_first_evening(tap: Wiretap, new_phone: Callable[[str], Phone]) -> None:
    nora, fatima, wit = new_phone("nora"), new_phone("fatima"), new_phone("de-wit")
    links: list[str] = []

    # Nora starts, and asks her sister.
    nora.begin(tap.url, QUESTION, "Nora", TITLE)
    nora.at("nav-circle").click()
    expect(nora.at("invite")).to_be_visible(timeout=SECONDS)
    nora.picture("kring")
    nora.at("invite").click()
    nora.at("invite-name").fill("Fatima")
    nora.picture("uitnodigen")
    nora.at("invite-make").click()
    links.append(nora.link())
    nora.picture("link")
    nora.at("invite-done").click()

    # Fatima says yes, and Nora's phone lets her in.
    fatima.answers(links[0], "Fatima")
    expect(fatima.at("waiting")).to_be_visible(timeout=SECONDS)
    fatima.picture("wacht")
    fatima.look_until(lambda: fatima.at("nav-plan").count() > 0, nora)
    fatima.sees(QUESTION)
    fatima.picture("overzicht")
    nora.at("nav-circle").click()
    expect(nora.at("people").get_by_text("Fatima")).to_be_visible(timeout=SECONDS)
    nora.picture("kring-met-fatima")

    # Both write, one of them without internet; and they meet.
    fatima.context.set_offline(True)
    fatima.agrees(HERS)
    nora.agrees(MINE)
    fatima.look_until(lambda: fatima.at("status").inner_text().strip() != "")
    fatima.picture("zonder-internet")
    assert fatima.page.get_by_text(MINE).count() == 0
    fatima.context.set_offline(False)
    fatima.look_for(MINE, nora)
    nora.look_for(HERS, fatima)
    fatima.picture("samen")
    nora.picture("samen")
    fatima.sends()

    # Something the circle must know.
    nora.at("nav-more").click()
    nora.at("part-information").click()
    nora.page.locator('[data-test="item-add"][data-collection="questions"]').click()
    nora.at("item-text").fill(ASKED)
    nora.at("item-save").click()
    nora.sees(ASKED)

    # Nora lets De Wit read the plan and that question, and sees first what De Wit will see.
    nora.at("nav-more").click()
    expect(nora.at("access-open")).to_be_visible(timeout=SECONDS)
    nora.picture("meer")
    nora.at("access-open").click()
    nora.at("access-give").click()
    nora.at("give-to").fill("De Wit")
    nora.at("give-purpose").fill(PURPOSE)
    nora.at("give-part-plan").check()
    nora.at("give-part-information").check()
    nora.picture("laten-lezen")
    nora.at("give-preview").click()
    expect(nora.at("view-item")).to_have_count(3, timeout=SECONDS)
    nora.picture("bekijk-als-de-wit")
    nora.at("give-yes").click()
    links.append(nora.link())
    nora.picture("link-voor-de-wit")
    nora.at("give-done").click()

    wit.answers(links[1], "De Wit")
    wit.look_for(HERS, nora)
    wit.sees(MINE)
    assert QUESTION not in wit.page.content()
    wit.picture("inzage")

    # What Nora changes, De Wit sees.
    nora.at("nav-plan").click()
    card = nora.page.locator('[data-test="agreement"]', has_text=HERS)
    card.locator('[data-test="agreement-edit"]').click()
    nora.at("agreement-what").fill(CHANGED)
    nora.at("agreement-save").click()
    nora.sees(CHANGED)
    wit.look_for(CHANGED, nora)
    assert wit.page.get_by_text(HERS).count() == 0
    wit.picture("inzage-gevolgd")
    read = wit.rows()

    # De Wit answers the question, and can write nowhere else. It is in the plan when Nora takes it over.
    wit.at("say-answer").click()
    wit.at("say-text").fill(ANSWER)
    wit.picture("antwoord")
    wit.at("say-do").click()
    expect(wit.at("said")).to_be_visible(timeout=SECONDS)
    wit.picture("verstuurd")
    nora.at("nav-overview").click()
    nora.look_until(lambda: nora.at("waits-incoming").count() > 0, wit)
    nora.picture("er-kwam-iets-binnen")
    nora.at("waits-incoming").click()
    nora.sees(ANSWER)
    nora.picture("wat-binnenkomt")
    nora.at("incoming-take").click()
    expect(nora.at("incoming-taken")).to_be_visible(timeout=SECONDS)
    nora.at("incoming-taken").click()
    expect(nora.at("item").filter(has_text=ANSWER)).to_contain_text("De Wit", timeout=SECONDS)
    nora.picture("overgenomen")

    # Nora stops it, in the place where she gave it.
    nora.at("nav-more").click()
    nora.at("access-open").click()
    nora.at("grant").click()
    expect(nora.at("withdraw")).to_be_visible(timeout=SECONDS)
    nora.picture("toegang")
    nora.at("withdraw").click()
    nora.picture("stoppen")
    nora.at("withdraw-yes").click()
    expect(nora.at("grant-stopped")).to_be_visible(timeout=SECONDS)
    nora.picture("gestopt")
    wit.look_until(lambda: wit.at("view-stopped").count() > 0, nora)
    wit.picture("gestopt")
    assert CHANGED not in wit.page.content()
    # What was read of it is gone, and what was said since does not stand in its place.
    wit.look_until(lambda: wit.rows() < read)

    # Somebody is removed, and what is written later does not reach her.
    nora.at("nav-circle").click()
    nora.at("person").filter(has_text="Fatima").click()
    nora.at("remove").click()
    nora.picture("weg")
    nora.at("remove-yes").click()
    expect(nora.at("people")).not_to_contain_text("Fatima", timeout=SECONDS)
    nora.picture("kring-zonder-fatima")
    nora.agrees("na het afscheid")
    fatima.look_until(lambda: fatima.at("case-ended").count() > 0, nora)
    fatima.picture("er-niet-meer-bij")
    receives_no_more(fatima, nora, "nog later")

    # What she read lies there still; she takes a copy along and takes it away, also while there is no internet. No is an
    # answer too.
    fatima.context.set_offline(True)
    with fatima.page.expect_download(timeout=SECONDS) as taken:
        fatima.at("ended-take").click()
    with zipfile.ZipFile(taken.value.path()) as copy:
        hers = copy.read("lezen.html").decode()
    assert CHANGED in hers
    assert "na het afscheid" not in hers
    fatima.picture("kopie-mee")
    fatima.at("ended-erase").click()
    fatima.at("ended-erase-yes").scroll_into_view_if_needed()
    fatima.picture("wissen-van-dit-toestel")
    fatima.at("ended-erase-no").click()
    assert fatima.rows() > 10
    fatima.at("ended-erase").click()
    fatima.at("ended-erase-yes").click()
    expect(fatima.at("start")).to_be_visible(timeout=SECONDS)
    fatima.picture("gewist-van-dit-toestel")
    fatima.context.set_offline(False)
    fatima.page.reload()
    expect(fatima.at("start")).to_be_visible(timeout=SECONDS)
    # The keys of the store and what is kept of no case.
    assert fatima.at("open-case").count() == 0 and fatima.rows() < 10

    # Locked, nothing of it can be read on Nora's phone.
    nora.at("settings").click()
    nora.at("pin-new").fill(PIN)
    nora.at("pin-again").fill(PIN)
    nora.at("pin-save").click()
    expect(nora.at("pin-away")).to_be_visible(timeout=SECONDS)
    nora.at("hide").click()
    expect(nora.at("unhide")).to_be_visible(timeout=SECONDS)
    nora.picture("verborgen")
    nora.at("unhide").click()
    expect(nora.at("lock-pin")).to_be_visible(timeout=SECONDS)
    nora.picture("op-slot")
    stored = nora.stored()
    assert stored.count("\nrow") > 20, "the dump found nothing"
    assert "cache app-" in stored
    assert "EXTRACTABLE" not in stored
    nothing_in(stored.encode("latin1", "replace") + stored.encode(), links)
    assert PIN not in stored

    nora.at("lock-pin").fill("000000")
    nora.at("lock-open").click()
    expect(nora.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    nora.picture("verkeerde-code")
    nora.at("lock-pin").fill(PIN)
    nora.at("lock-open").click()
    expect(nora.at("lock-pin")).to_have_count(0, timeout=SECONDS)
    nora.page.goto(f"{tap.url}/#/")
    nora.at("open-case").click()
    nora.at("nav-plan").click()
    nora.sees(CHANGED)

    # Nora makes the paper, loses the phone, and comes back with nobody else there.
    nora.at("nav-overview").click()
    nora.at("waits-paper").click()
    nora.picture("briefje")
    nora.at("paper-make").click()
    expect(nora.at("paper-code")).to_be_visible(timeout=SECONDS)
    nora.picture("briefje-met-code")
    code = "-".join(nora.at("paper-code").locator("li").all_inner_texts())
    nora.at("paper-done").click()
    again = new_phone("nora-nieuw")
    again.page.goto(tap.url)
    again.at("come-back").click()
    again.at("back-code").fill(code.lower().replace("-", " "))
    again.picture("terugkomen")
    again.at("back-do").click()
    expect(again.at("came-back")).to_be_visible(timeout=SECONDS)
    again.picture("terug")
    assert "-".join(again.at("paper-code").locator("li").all_inner_texts()) != code
    again.at("back-done").click()
    again.at("open-case").click()
    again.sees(QUESTION)
    again.at("nav-plan").click()
    again.sees(CHANGED)
    again.agrees("met een nieuwe telefoon")
    again.picture("alles-terug")
    nora.look_until(lambda: nora.at("case-ended").count() > 0, again)
    nora.picture("telefoon-kwijt")
    receives_no_more(nora, again, "en nog iets")
    again.page.goto(f"{tap.url}/#/come-back")
    again.at("back-code").fill(code)
    again.at("back-do").click()
    expect(again.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    again.picture("oude-briefje")

    # And nothing of it ever left a phone, except sealed.
    for phone in (nora, fatima, wit, again):
        phone.asked_only(tap.url)
        nothing_in(bytes(phone.sent), links)
        phone.uncomplaining()
    assert len(tap.heard) > 100_000
    nothing_in(bytes(tap.heard), links)
    for written in (code.encode(), code.replace("-", "").encode(), decode_code(code), decode_code(code).hex().encode()):
        assert written not in tap.heard
