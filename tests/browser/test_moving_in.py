"""Fatima joined in the browser and moves to her home screen, which has a storage of its own: two contexts of a real Chromium
on a real relay. By the address and by paste, with nobody else awake; taken back, expired, found by another, put out, offline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Make, Phone, folder, phones
from browser.test_walks import AGREED, LATER, QUESTION, TITLE, nothing_in
from journeys.wiretap import Wiretap, wiretap
from live_relay import live_relay

pytestmark = pytest.mark.browser

TWO_MINUTES = 2 / (24 * 60)
OLD_PAGE = "KANARIEOUD van de oude bladzijde"


class Move:
    """One family, its relay with an ear on its line, and every phone of the walk."""

    def __init__(self, tap: Wiretap, make: Make) -> None:
        self.tap, self.make, self.used = tap, make, list[Phone]()
        self.nora = self.phone("nora")
        self.case = self.nora.begin(tap.url, QUESTION, "Nora", TITLE)
        self.nora.agrees(AGREED)

    def phone(self, name: str, standalone: bool | None = None, days_ahead: float = 0) -> Phone:
        """``standalone``: of a kind of phone whose home screen is apart; False in its browser, True on its home screen."""
        phone = self.make(name, days_ahead)
        if standalone is not None:
            value = "true" if standalone else "false"
            phone.context.add_init_script(f"Object.defineProperty(navigator, 'standalone', {{ value: {value} }})")
        phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.used.append(phone)
        return phone

    def joins(self, name: str, days_ahead: float = 0) -> Phone:
        self.nora.page.goto(f"{self.tap.url}/#/case/{self.case}/invite/Fatima")
        self.nora.at("invite-make").click()
        phone = self.phone(name, standalone=False, days_ahead=days_ahead)
        phone.answers(self.nora.link(), "Fatima")
        phone.look_until(lambda: phone.at("nav-plan").count() > 0, self.nora)
        return phone

    def to_move(self, phone: Phone) -> None:
        phone.page.goto(f"{self.tap.url}/#/case/{self.case}/devices")
        phone.at("to-move").click()
        expect(phone.at("move-make")).to_be_visible(timeout=SECONDS)

    def address(self, phone: Phone) -> str:
        """Taps, and gives what stands in the address bar then."""
        self.to_move(phone)
        phone.at("move-make").click()
        expect(phone.at("move-warns")).to_be_visible(timeout=SECONDS)
        phone.page.wait_for_function("/^#AQ[Q-T]/.test(location.hash)")
        return phone.page.url

    def opens(self, phone: Phone, address: str) -> None:
        phone.page.goto(address)
        expect(phone.at("move-in")).to_be_visible(timeout=SECONDS)
        assert address.partition("#")[2] not in phone.page.url, "the secret stays in the address"

    def refused(self, phone: Phone, address: str, *codes: str) -> None:
        phone.page.goto(address)
        trouble = phone.at("trouble")
        expect(trouble).to_be_visible(timeout=SECONDS)
        assert trouble.get_attribute("data-code") in codes
        expect(phone.at("move-dead")).to_be_visible(timeout=SECONDS)


Begin = Callable[[], AbstractContextManager[Move]]


@pytest.fixture
def begin(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Begin:
    @contextmanager
    def family() -> Iterator[Move]:
        with (
            live_relay(tmp_path / "relay", pwa_dir=DIST) as relay,
            wiretap(relay.url) as tap,
            phones(browser, folder(tmp_path, request.node.name)) as make,
        ):
            walk = Move(tap, make)
            yield walk
            for phone in walk.used:
                phone.asked_only(tap.url)
                phone.uncomplaining()
                nothing_in(bytes(phone.sent))
            nothing_in(bytes(tap.heard))

    return family


def manifest_of(phone: Phone) -> dict[str, Any]:
    found: dict[str, Any] = phone.context.new_cdp_session(phone.page).send("Page.getAppManifest")
    return found


@pytest.mark.parametrize("way", ["address", "paste"])
def test_she_moves_with_nobody_awake_and_the_address_is_dead(begin: Begin, way: str) -> None:
    with begin() as walk:
        page = walk.joins("fatima-browser")
        walk.to_move(page)
        page.picture("uitleg")
        address = walk.address(page)
        secret = address.partition("#")[2]
        page.picture("adres")
        page.page.emulate_media(color_scheme="dark")
        page.picture("adres-donker")
        page.page.emulate_media(color_scheme="light")
        # An icon made now opens this very page: the manifest of this moment has no address of its own.
        assert manifest_of(page)["url"].endswith("/manifest-moving.webmanifest")
        assert manifest_of(page)["manifest"]["startUrl"] == address
        # It leaves the bar with the screen, and is the same one again after the page was read anew.
        page.at("back").click()
        expect(page.at("cases")).to_be_visible(timeout=SECONDS)
        assert secret not in page.page.url
        assert manifest_of(page)["manifest"]["startUrl"] == f"{walk.tap.url}/"
        page.page.goto(address)
        expect(page.at("move-warns")).to_be_visible(timeout=SECONDS)
        page.page.wait_for_function("/^#AQ[Q-T]/.test(location.hash)")
        assert page.page.url == address
        page.at("move-copy").click()
        copied = page.page.evaluate("navigator.clipboard.readText()")
        assert copied == address
        page.page.goto(f"{walk.tap.url}/#/case/{walk.case}/devices")
        expect(page.page.locator('[data-kind="link"]')).to_be_visible(timeout=SECONDS)
        page.picture("apparaten")
        page.page.close()
        walk.nora.context.set_offline(True)

        home = walk.phone("fatima-beginscherm", standalone=True)
        if way == "address":
            walk.opens(home, address)
        else:
            home.page.goto(walk.tap.url)
            home.at("paste").click()
            home.at("paste-link").fill(copied)
            home.at("paste-open").click()
        home.sees("Hier verder als Fatima?")
        home.picture("hier-verder")
        home.at("move-in").click()
        expect(home.at("nav-plan")).to_be_visible(timeout=SECONDS)
        home.at("nav-plan").click()
        home.sees(AGREED)
        home.agrees(LATER)
        home.picture("verhuisd")

        # The address is dead; the icon, which has it for ever, leads home.
        late = walk.phone("een-ander")
        walk.refused(late, address, "link_used")
        late.picture("adres-is-dood")
        home.page.goto(f"{walk.tap.url}/#/settings")
        home.page.goto(address)
        expect(home.at("cases")).to_be_visible(timeout=SECONDS)
        assert secret not in home.page.url

        # The first page still works, and says that somebody came.
        walk.nora.context.set_offline(False)
        page.page = page.context.new_page()
        page.listen(page.page)
        page.page.goto(walk.tap.url)
        page.look_until(lambda: page.at("moved").count() > 0, home)
        page.picture("iemand-kwam-binnen")
        page.page.emulate_media(color_scheme="dark")
        page.picture("iemand-kwam-binnen-donker")
        page.page.emulate_media(color_scheme="light")
        page.at("moved-mine").click()
        expect(page.at("moved")).to_have_count(0, timeout=SECONDS)
        page.page.goto(f"{walk.tap.url}/#/case/{walk.case}")
        page.agrees(OLD_PAGE)
        page.look_for(LATER, home)
        home.page.goto(f"{walk.tap.url}/#/case/{walk.case}/plan")
        home.look_for(OLD_PAGE, page, walk.nora)
        walk.nora.page.goto(f"{walk.tap.url}/#/case/{walk.case}/plan")
        walk.nora.look_for(OLD_PAGE, page)
        walk.nora.sees(LATER)


def test_taken_back_offline_and_found_by_another(begin: Begin) -> None:
    with begin() as walk:
        page = walk.joins("fatima-browser")
        # Offline nothing is begun; it is done when there is internet again.
        walk.to_move(page)
        page.context.set_offline(True)
        page.at("move-make").click()
        expect(page.at("trouble")).to_have_attribute("data-code", "offline", timeout=SECONDS)
        page.picture("geen-internet")
        page.context.set_offline(False)
        page.at("again").click()
        expect(page.at("move-warns")).to_be_visible(timeout=SECONDS)
        page.page.wait_for_function("/^#AQ[Q-T]/.test(location.hash)")
        first = page.page.url
        page.at("move-back").click()
        page.picture("haal-het-weg")
        page.at("move-back-yes").click()
        expect(page.at("move-gone")).to_be_visible(timeout=SECONDS)
        assert first.partition("#")[2] not in page.page.url
        page.picture("weg")
        home = walk.phone("fatima-beginscherm", standalone=True)
        walk.refused(home, first, "link_used")

        # Her nephew finds the next one before she used it: she hears it, and puts him out.
        address = walk.address(page)
        finder = walk.phone("neef")
        walk.opens(finder, address)
        finder.context.set_offline(True)
        finder.at("move-in").click()
        expect(finder.at("trouble")).to_have_attribute("data-code", "offline", timeout=SECONDS)
        # Each look for news fails too, and all that stands there is read again: it is said once, where the button is.
        for _ in range(5):
            finder.look()
        expect(finder.at("trouble")).to_have_count(1)
        expect(finder.at("move-in")).to_be_visible()
        finder.picture("een-keer-gezegd")
        finder.page.emulate_media(color_scheme="dark")
        finder.picture("een-keer-gezegd-donker")
        finder.page.emulate_media(color_scheme="light")
        finder.context.set_offline(False)
        finder.at("again").click()
        expect(finder.at("nav-plan")).to_be_visible(timeout=SECONDS)
        page.look_until(lambda: page.at("moved").count() > 0, finder)
        page.at("moved-not-mine").click()
        expect(page.at("moved")).to_have_count(0, timeout=SECONDS)
        finder.look_until(lambda: finder.at("case-ended").count() > 0, page)
        finder.picture("eruit")
        page.page.goto(f"{walk.tap.url}/#/case/{walk.case}/devices")
        expect(page.at("device")).to_have_count(1, timeout=SECONDS)


def test_with_her_the_address_goes_out_too(begin: Begin) -> None:
    with begin() as walk:
        page = walk.joins("fatima-browser")
        address = walk.address(page)
        nora = walk.nora
        nora.page.goto(f"{walk.tap.url}/#/case/{walk.case}/circle")
        nora.at("person").filter(has_text="Fatima").click()
        nora.at("remove").click()
        nora.at("remove-yes").click()
        page.look_until(lambda: "/case/" not in page.page.url and page.at("moved").count() == 0, nora)
        home = walk.phone("fatima-beginscherm", standalone=True)
        walk.opens(home, address)
        home.at("move-in").click()
        expect(home.at("trouble")).to_be_visible(timeout=SECONDS)
        assert home.at("trouble").get_attribute("data-code") in ("removed", "link_expired", "not_allowed")
        home.picture("hoort-er-niet-meer-bij")
        assert AGREED not in home.page.inner_text("body")


@pytest.mark.long
def test_an_address_whose_days_are_over_is_dead(begin: Begin) -> None:
    with begin() as walk:
        # Her clock is three days behind but for two minutes: then its days are over for the relay.
        page = walk.joins("fatima-drie-dagen-terug", days_ahead=-3 + TWO_MINUTES)
        address = walk.address(page)
        page.page.close()  # else her own device ends it, by her clock
        home = walk.phone("fatima-beginscherm", standalone=True)
        home.page.wait_for_timeout(121_000)
        walk.refused(home, address, "link_expired")
        home.sees("hoogstens drie dagen")
        # Nobody used it, so nobody is sent to look who came in.
        assert "al gebruikt" not in home.page.inner_text("body")
        home.picture("te-oud")
        home.page.emulate_media(color_scheme="dark")
        home.picture("te-oud-donker")
