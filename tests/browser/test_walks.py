"""What a family comes to later: deciding with two, letting somebody go, going on without somebody, stopping; each on a phone.

All on a real relay, every step a picture in the folder that EIGENKRING_SCREENS names, and nothing of it in what left a phone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from journeys.here import Here
from journeys.people import Failed
from journeys.wiretap import Wiretap, wiretap
from live_relay import live_relay

pytestmark = pytest.mark.browser

QUESTION = "KANARIEVRAAG hoe blijven Sam en Eva thuis"
TITLE = "KANARIETHUIS bij Nora"
AGREED = "KANARIEPLAN Karim brengt Sam op dinsdag naar voetbal"
LATER = "KANARIELATER Fatima komt acht weken"
WORRY = "KANARIEZORG als mama niet slaapt"
ALONE = "KANARIEALLEEN dit is voor mij"
PURPOSE = "KANARIEDOEL zodat u kunt meedenken"
NEW = "KANARIENIEUW de nieuwe kring"
PIN = "739154"
CANARIES = (QUESTION, TITLE, AGREED, LATER, WORRY, ALONE, PURPOSE, NEW, "Fatima", "De Wit", "Karim", "KANARIE")


@dataclass
class Street:
    """The phones of one walk, their relay with an ear on its line, and the people who type commands."""

    tap: Wiretap
    make: Callable[[str], Phone]
    folder: Path
    used: list[Phone]

    def phone(self, name: str) -> Phone:
        self.used.append(self.make(name))
        return self.used[-1]

    def types(self, name: str) -> Here:
        return Here(self.folder / name)

    def invites(self, phone: Phone, case: str, name: str, role: str = "member") -> str:
        phone.page.goto(f"{self.tap.url}/#/case/{case}/invite/{name}")
        if role != "member":
            phone.at(f"invite-role-{role}").check(force=True)
        phone.at("invite-make").click()
        return phone.link()

    def joins(self, owner: Phone, case: str, name: str, role: str = "member") -> Phone:
        """Somebody with a phone of their own comes into the circle."""
        link = self.invites(owner, case, name, role)
        phone = self.phone(name.lower())
        phone.answers(link, name)
        phone.look_until(lambda: phone.at("nav-plan").count() > 0, owner)
        return phone

    def joins_typing(self, owner: Phone, case: str, name: str, role: str = "member") -> Here:
        here = self.types(name.lower())
        here.run("join", self.invites(owner, case, name, role), "--as", name)
        owner.look_until(lambda: inside(here, case))
        return here

    def goes(self, phone: Phone, case: str, *page: str) -> None:
        phone.page.goto("/".join((f"{self.tap.url}/#/case", case, *page)))

    def person(self, phone: Phone, case: str, name: str) -> None:
        self.goes(phone, case, "circle")
        phone.at("person").filter(has_text=name).click()
        expect(phone.page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=SECONDS)


def inside(here: Here, case: str) -> bool:
    try:
        here.run("show", case, "question")
        return True
    except Failed as refused:
        assert refused.code == "not_yet", refused.code
        return False


@pytest.fixture
def street(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Street]:
    with (
        live_relay(tmp_path / "relay", pwa_dir=DIST) as relay,
        wiretap(relay.url) as tap,
        phones(browser, folder(tmp_path, request.node.name)) as make,
    ):
        walk = Street(tap, make, tmp_path, [])
        yield walk
        for phone in walk.used:
            phone.asked_only(tap.url)
            phone.uncomplaining()
            nothing_in(bytes(phone.sent))
        assert len(tap.heard) > 50_000, "nothing was heard"
        nothing_in(bytes(tap.heard))


def nothing_in(heard: bytes) -> None:
    for canary in CANARIES:
        for written in (canary.encode(), canary.encode("utf-16-le"), base64.b64encode(canary.encode())[:-3]):
            assert written not in heard, canary


def locked_is_unreadable(phone: Phone, address: str) -> None:
    """Sets a PIN, hides, and reads all that the browser keeps."""
    phone.page.goto(f"{address}/#/settings")
    phone.at("pin-new").fill(PIN)
    phone.at("pin-again").fill(PIN)
    phone.at("pin-save").click()
    expect(phone.at("pin-away")).to_be_visible(timeout=SECONDS)
    phone.at("hide").click()
    phone.at("unhide").click()
    expect(phone.at("lock-pin")).to_be_visible(timeout=SECONDS)
    phone.picture("op-slot")
    stored = phone.stored()
    assert stored.count("\nrow") > 10, "the dump found nothing"
    assert "EXTRACTABLE" not in stored
    nothing_in(stored.encode("latin1", "replace") + stored.encode())
    opens(phone)


def opens(phone: Phone) -> None:
    phone.at("lock-pin").fill(PIN)
    phone.at("lock-open").click()
    expect(phone.at("lock-pin")).to_have_count(0, timeout=SECONDS)


def test_two_who_decide_and_one_who_leaves_and_the_end(street: Street) -> None:
    nora = street.phone("nora")
    case = nora.begin(street.tap.url, QUESTION, "Nora", TITLE)
    fatima = street.joins(nora, case, "Fatima")
    karim = street.joins_typing(nora, case, "Karim")

    # Who decides alone makes a second one alone.
    street.person(nora, case, "Fatima")
    nora.at("role").click()
    nora.picture("mag-meebeslissen")
    nora.at("role-yes").click()
    fatima.look_until(lambda: fatima.at("nav-circle").count() > 0, nora)
    assert role_of(karim, case, "Fatima") == "owner"
    street.person(nora, case, "Fatima")
    nora.picture("fatima-beslist-mee")

    # Now a third one is asked of the other; nothing changes until she says yes.
    street.person(nora, case, "Karim")
    nora.at("role").click()
    nora.context.set_offline(True)
    nora.at("role-yes").click()
    # What failed can be said again; what is done is not asked any more.
    expect(nora.at("trouble")).to_be_visible(timeout=SECONDS)
    expect(nora.at("role-yes")).to_be_enabled()
    nora.context.set_offline(False)
    nora.at("role-yes").click()
    expect(nora.at("asked-said")).to_be_visible(timeout=SECONDS)
    expect(nora.at("role-yes")).to_have_count(0)
    expect(nora.at("role")).to_be_focused()
    nora.picture("gevraagd-aan-fatima")
    street.goes(fatima, case)
    fatima.look_until(lambda: fatima.at("asked").count() > 0, nora)
    expect(fatima.at("asked")).to_contain_text("Karim", timeout=SECONDS)
    fatima.picture("mag-karim-meebeslissen")
    assert role_of(karim, case, "Karim") == "member"
    fatima.at("asked-yes").click()
    fatima.look_until(lambda: fatima.at("asked").count() == 0, nora)
    nora.look_until(lambda: role_of(karim, case, "Karim") == "owner", fatima)

    # One of three is put out by the two others.
    street.person(nora, case, "Karim")
    nora.at("remove").click()
    nora.picture("karim-weg")
    nora.at("remove-yes").click()
    expect(nora.at("asked-said")).to_be_visible(timeout=SECONDS)
    street.goes(fatima, case)
    fatima.look_until(lambda: fatima.at("asked").count() > 0, nora)
    fatima.picture("moet-karim-weg")
    karim.run("show", case, "question")
    fatima.at("asked-yes").click()
    street.goes(nora, case, "circle")
    nora.look_until(lambda: "Karim" not in nora.at("people").inner_text(), fatima)
    nora.picture("zonder-karim")
    nora.agrees(AGREED)
    fatima.at("nav-plan").click()
    fatima.look_for(AGREED, nora)
    karim.run("sync")
    assert karim.refused("show", case, "plan") == "removed"
    assert AGREED.encode() not in karim.bytes()

    # Fatima leaves: a quiet button, asked once; nothing stays on her phone.
    assert fatima.stored().count("\nrow") > 20
    street.goes(fatima, case, "leave")
    fatima.picture("weggaan")
    fatima.at("leave").click()
    fatima.picture("gaat-u-weg")
    fatima.at("leave-yes").click()
    expect(fatima.page.get_by_text("U bent weggegaan.").first).to_be_attached(timeout=SECONDS)
    fatima.picture("weg")
    fatima.page.reload()
    expect(fatima.at("start")).to_be_visible(timeout=SECONDS)
    assert fatima.at("open-case").count() == 0 and TITLE not in fatima.page.content()
    # The keys of the store and what is kept of no case: no record, no key of the case, no title. The page before may still
    # be giving its last step to the disk when this one shows.
    fatima.look_until(lambda: fatima.stored().count("\nrow") < 10)
    assert fatima.stored().count("\nrow") < 10
    street.goes(nora, case, "circle")
    nora.look_until(lambda: "Fatima" not in nora.at("people").inner_text())
    nora.picture("alleen-nora")
    street.goes(nora, case, "log")
    expect(nora.at("log")).to_contain_text("Fatima is weg", timeout=SECONDS)
    nora.picture("wat-er-gebeurde")
    locked_is_unreadable(nora, street.tap.url)

    # The end, with its question. No is an answer too.
    street.goes(nora, case, "along")
    nora.at("erase").click()
    nora.at("erase-yes").scroll_into_view_if_needed()
    nora.picture("wissen")
    nora.at("erase-no").click()
    nora.at("nav-plan").click()
    nora.sees(AGREED)
    street.goes(nora, case, "along")
    nora.at("erase").click()
    nora.at("erase-yes").click()
    expect(nora.at("start")).to_be_visible(timeout=SECONDS)
    nora.picture("gewist")
    nora.page.reload()
    opens(nora)
    expect(nora.at("start")).to_be_visible(timeout=SECONDS)
    assert nora.at("open-case").count() == 0
    assert nora.stored().count("\nrow") < 10


def role_of(here: Here, case: str, name: str) -> str:
    here.run("sync")
    return next(one["role"] for one in here.run("people", case)["people"] if one["name"] == name)


@pytest.mark.long
def test_a_child_lets_a_supporter_read_its_page(street: Street) -> None:
    nora = street.phone("nora")
    case = nora.begin(street.tap.url, QUESTION, "Nora", TITLE)
    fatima = street.joins(nora, case, "Fatima")
    sam = street.joins(nora, case, "Sam", "child")

    # Sam writes on the page that is his.
    street.person(sam, case, "Sam")
    sam.page.get_by_role("link", name="Kinderpagina").first.click()
    page = sam.page.url
    sam.sees("Jij mag beginnen.")
    sam.page.locator('[data-test="item-add"][data-collection="worries"]').click()
    sam.at("item-text").fill(WORRY)
    sam.at("item-save").click()
    sam.sees(WORRY)
    sam.picture("mijn-bladzijde")
    for other in (nora, fatima):
        other.page.goto(page)
        other.look()
        other.look()
        assert WORRY not in other.page.content()
        expect(other.at("part-closed")).to_contain_text("Deze bladzijde is van Sam.", timeout=SECONDS)
        expect(other.at("trouble")).to_have_count(0)
    nora.picture("de-bladzijde-is-van-sam")

    # He lets his aunt in, and nobody else.
    sam.at("letin").locator("summary").click()
    box = sam.at("letin").get_by_role("checkbox", name="Fatima")
    sam.at("letin").scroll_into_view_if_needed()
    sam.picture("wie-mag-erbij")
    box.click()
    expect(box).to_be_checked(timeout=SECONDS)
    sam.picture("fatima-mag-erbij")
    fatima.look_for(WORRY, sam)
    fatima.picture("de-bladzijde-van-sam")
    nora.look()
    assert WORRY not in nora.page.content()
    nora.picture("niet-voor-nora")

    # And out again: what comes later is for him.
    box.click()
    expect(box).not_to_be_checked(timeout=SECONDS)
    sam.page.locator('[data-test="item-add"][data-collection="worries"]').click()
    sam.at("item-text").fill(ALONE)
    sam.at("item-save").click()
    sam.sees(ALONE)
    sam.sends(fatima)
    for other in (nora, fatima):
        for _ in range(3):
            other.look()
        assert ALONE not in other.page.content()
    fatima.picture("weer-van-sam")
    locked_is_unreadable(sam, street.tap.url)


@pytest.mark.long
def test_on_without_somebody(street: Street) -> None:
    nora = street.phone("nora")
    case = nora.begin(street.tap.url, QUESTION, "Nora", TITLE)
    fatima = street.joins(nora, case, "Fatima")
    karim = street.joins_typing(nora, case, "Karim")
    nora.agrees(AGREED)
    nora.sends()

    # Fatima, who decides nothing alone, goes on without Karim.
    fatima.at("nav-plan").click()
    fatima.look_for(AGREED, nora)
    street.person(fatima, case, "Karim")
    fatima.at("without-open").click()
    expect(fatima.at("without-what")).to_be_visible(timeout=SECONDS)
    fatima.picture("verder-zonder")
    fatima.at("without-title").fill(NEW)
    fatima.at("without").click()
    fatima.picture("zeker-weten")
    fatima.at("without-yes").click()
    expect(fatima.at("without-links")).to_be_visible(timeout=SECONDS)
    assert "Karim" not in fatima.at("without-links").inner_text()
    fatima.at("without-link").filter(has_text="Nora").click()
    link = fatima.link()
    fatima.picture("de-nieuwe-links")
    fatima.at("without-open").click()
    fatima.sees(QUESTION)
    new = fatima.page.url.partition("#/case/")[2].partition("/")[0]
    assert new != case
    fatima.at("nav-plan").click()
    fatima.sees(AGREED)
    fatima.picture("het-plan-ging-mee")

    # Nora chooses to come along.
    nora.answers(link, "Nora")
    nora.look_until(lambda: new in nora.page.url and nora.at("nav-plan").count() > 0, fatima)
    nora.agrees(LATER)
    nora.picture("nora-komt-mee")
    fatima.look_for(LATER, nora)

    # Karim hears nothing, and the old circle is as it was.
    karim.run("sync")
    assert AGREED in str(karim.run("show", case, "plan"))
    assert [one["case"] for one in karim.run("cases")["cases"]] == [case]
    assert LATER.encode() not in karim.bytes()
    assert {one["name"] for one in karim.run("people", case)["people"]} == {"Nora", "Fatima", "Karim"}
    street.goes(fatima, new, "circle")
    assert "Karim" not in fatima.at("people").inner_text()
    fatima.picture("de-nieuwe-kring")
    locked_is_unreadable(fatima, street.tap.url)


@pytest.mark.long
def test_a_copy_for_the_own_file_is_seen_by_the_family(street: Street, tmp_path: Path) -> None:
    nora, wit = street.phone("nora"), street.phone("de-wit")
    case = nora.begin(street.tap.url, QUESTION, "Nora", TITLE)
    nora.agrees(AGREED)
    street.goes(nora, case, "give")
    nora.at("give-to").fill("De Wit")
    nora.at("give-purpose").fill(PURPOSE)
    nora.at("give-part-plan").check()
    nora.at("give-preview").click()
    nora.at("give-yes").click()
    link = nora.link()
    nora.at("give-done").click()
    wit.answers(link, "De Wit")
    wit.look_for(AGREED, nora)
    wit.at("copy-keep").scroll_into_view_if_needed()
    wit.picture("een-kopie-voor-uzelf")
    wit.at("copy-keep").click()
    wit.picture("wilt-u-een-kopie")
    with wit.page.expect_download() as waited:
        wit.at("copy-keep-yes").click()
    expect(wit.at("copy-kept")).to_be_visible(timeout=SECONDS)
    expect(wit.at("copy-keep-yes")).to_have_count(0)
    expect(wit.at("copy-keep")).to_be_focused()
    wit.picture("bewaard")
    kept = tmp_path / "copy.json"
    waited.value.save_as(kept)
    assert AGREED in kept.read_text("utf-8")
    assert QUESTION not in kept.read_text("utf-8")
    # Nora sees that it was made.
    street.goes(nora, case, "access")
    nora.at("grant").click()
    nora.look_for("Kopie gemaakt", wit)
    nora.picture("de-wit-maakte-een-kopie")
    street.goes(nora, case, "access")
    expect(nora.at("grant")).to_contain_text("kopie gemaakt op", timeout=SECONDS)
    street.goes(nora, case, "log")
    expect(nora.at("log").locator("li").first).to_contain_text(
        "De Wit maakte een kopie voor zichzelf.", timeout=SECONDS
    )
    nora.picture("de-kopie-in-het-logboek")
    locked_is_unreadable(wit, street.tap.url)


@pytest.mark.long
def test_to_the_home_screen_after_having_joined(street: Street) -> None:
    """The app on the home screen has a memory of its own. Here the page where one joined has to be open meanwhile."""
    nora = street.phone("nora")
    case = nora.begin(street.tap.url, QUESTION, "Nora", TITLE)
    nora.agrees(AGREED)
    link = street.invites(nora, case, "Karim")
    page, home = street.phone("karim-browser"), street.phone("karim-beginscherm")
    page.context.add_init_script("Object.defineProperty(navigator, 'standalone', { value: false })")
    home.context.add_init_script("Object.defineProperty(navigator, 'standalone', { value: true })")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.answers(link, "Karim")
    page.look_until(lambda: page.at("nav-plan").count() > 0, nora)

    # The invitation lets nobody in any more: what moves him is a link of his own.
    street.goes(page, case, "devices")
    page.at("device-add").click()
    own = page.link()
    page.picture("een-eigen-link")
    home.page.goto(street.tap.url)
    home.at("paste").click()
    home.at("paste-link").fill(own)
    home.at("paste-open").click()
    home.picture("geplakt")
    home.at("join-yes").click()
    home.look_until(lambda: home.at("nav-plan").count() > 0, page)
    home.at("nav-plan").click()
    home.look_for(AGREED, nora)
    home.agrees(LATER)
    home.picture("verhuisd")
    nora.at("nav-plan").click()
    nora.look_for(LATER, home)

    # The page in the browser is put out; on the home screen he goes on.
    street.goes(home, case, "devices")
    expect(home.at("device")).to_have_count(2, timeout=SECONDS)
    home.at("device-remove").click()
    home.at("device-remove-yes").click()
    expect(home.at("device-removed")).to_be_visible(timeout=SECONDS)
    page.look_until(lambda: page.at("case-ended").count() > 0, home)
    page.picture("hier-niet-meer")
    home.at("nav-plan").click()
    home.sees(LATER)
    locked_is_unreadable(home, street.tap.url)
