"""The lock of one phone that two people use: PIN and passkey, guessing, two tabs, a place for each, and nothing to read there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

TITLE = "KANARIETHUIS bij Nora"
QUESTION = "KANARIEVRAAG hoe blijven Sam en Eva thuis"
AGREED = "KANARIEFATIMA komt zes weken bij ons wonen"
HIS = "KANARIESAM waar mag ik slapen"
CANARIES = (TITLE, QUESTION, AGREED, HIS, "KANARIE")
PIN, HIS_PIN = "739154", "860213"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        # A passkey belongs to a name, and an address of numbers is none.
        running.url = running.url.replace("127.0.0.1", "localhost")
        yield running


@pytest.fixture
def new_phone(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Phone]]:
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        yield make


class Finger:
    """An authenticator in Chromium that does as it is told."""

    def __init__(self, phone: Phone) -> None:
        self._line: CDPSession = phone.context.new_cdp_session(phone.page)
        self._line.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "hasPrf": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._id = self._line.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def becomes_anothers(self) -> None:
        self._line.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": False})

    def credentials(self) -> list[dict[str, str]]:
        answer = self._line.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        found: list[dict[str, str]] = answer["credentials"]
        return found


def set_pin(phone: Phone, pin: str) -> None:
    phone.at("settings").click()
    phone.at("pin-new").fill(pin)
    phone.at("pin-again").fill(pin)
    phone.at("pin-save").click()
    expect(phone.at("pin-away")).to_be_visible(timeout=SECONDS)


def hide(phone: Phone) -> None:
    phone.at("hide").click()
    assert phone.page.inner_text("body").split() == ["Kring", "Verder"]
    phone.at("unhide").click()
    expect(phone.at("lock-pin")).to_be_visible(timeout=SECONDS)


def nothing_readable(phone: Phone) -> str:
    stored = phone.stored()
    assert stored.count("\nrow") > 20, "the dump found nothing"
    assert "EXTRACTABLE" not in stored
    for written in (stored.encode("latin1", "replace"), stored.encode()):
        for canary in CANARIES:
            assert canary.encode() not in written, canary
            assert canary.encode("utf-16-le") not in written, canary
    assert PIN not in stored and HIS_PIN not in stored
    return stored


def test_two_people_on_one_phone_with_pin_passkey_and_two_tabs(
    relay: LiveRelay, new_phone: Callable[[str], Phone]
) -> None:
    nora = new_phone("nora")
    finger = Finger(nora)
    case = nora.begin(relay.url, QUESTION, "Nora", TITLE)
    nora.agrees(AGREED)
    second = nora.context.new_page()
    nora.listen(second)
    second.goto(f"{relay.url}/#/case/{case}/plan")
    expect(second.get_by_text(AGREED)).to_be_visible(timeout=SECONDS)
    nora.page.bring_to_front()

    # No place for another while the own one stands open.
    nora.at("settings").click()
    expect(nora.at("profile-first")).to_be_visible(timeout=SECONDS)
    set_pin(nora, PIN)
    expect(nora.at("minutes-5")).to_be_checked(timeout=SECONDS)
    nora.at("minutes-1").check(force=True)
    # The finger wants the PIN once: who snatches an unlocked phone adds none of their own.
    nora.at("passkey-pin").fill("111111")
    nora.at("passkey-add").click()
    expect(nora.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    nora.at("passkey-pin").fill(PIN)
    nora.at("passkey-add").click()
    expect(nora.at("passkey-there")).to_be_visible(timeout=SECONDS)
    nora.at("passkey-there").scroll_into_view_if_needed()
    nora.picture("pincode-en-vinger")
    hide(nora)
    expect(nora.at("lock-pin")).to_be_focused(timeout=SECONDS)
    # Hidden in one tab is locked in all.
    expect(second.locator('[data-test="lock-pin"]')).to_be_visible(timeout=SECONDS)
    assert AGREED not in second.content()
    nora.picture("op-slot")
    nothing_readable(nora)

    # Somebody guesses, and has to wait.
    for _ in range(7):
        nora.at("lock-pin").fill("111111")
        nora.at("lock-open").click()
        expect(nora.at("lock-open")).to_be_enabled(timeout=SECONDS)
        if nora.at("lock-slow").count():
            break
        expect(nora.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    expect(nora.at("lock-slow")).to_be_visible(timeout=SECONDS)
    nora.picture("te-vaak")
    # Her finger opens at once, in both tabs.
    nora.at("lock-passkey").click()
    expect(nora.at("lock-pin")).to_have_count(0, timeout=SECONDS)
    expect(second.get_by_text(AGREED)).to_be_visible(timeout=SECONDS)
    second.close()
    assert [key.get("userName") for key in finger.credentials()] == ["Kring"], "the phone's list says more"

    # Sam gets a place of his own on her phone.
    nora.page.goto(f"{relay.url}/#/settings")
    expect(nora.at("minutes-1")).to_be_checked(timeout=SECONDS)
    nora.at("profile-add").click()
    expect(nora.at("start")).to_be_visible(timeout=SECONDS)
    assert AGREED not in nora.page.content() and TITLE not in nora.page.content()
    sams = nora.begin(relay.url, HIS, "Sam", "Van mij")
    set_pin(nora, HIS_PIN)
    hide(nora)
    expect(nora.at("profile-house")).to_be_visible(timeout=SECONDS)
    assert nora.at("lock-passkey").count() == 0, "her finger stands at his lock"
    nora.picture("wie-bent-u")
    # Both are locked, and nothing of either can be read.
    stored = nothing_readable(nora)
    assert {"database eigenkring", "database eigenkring sun"} <= set(stored.splitlines())

    # Her PIN does not open his, nor his hers.
    nora.at("lock-pin").fill(PIN)
    nora.at("lock-open").click()
    expect(nora.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    nora.at("profile-house").click()
    # Nor does his finger.
    finger.becomes_anothers()
    nora.at("lock-passkey").click()
    expect(nora.at("passkey-unseen")).to_be_visible(timeout=SECONDS)
    nora.picture("andere-vinger")
    nora.at("lock-pin").fill(HIS_PIN)
    nora.at("lock-open").click()
    expect(nora.page.get_by_role("alert")).to_be_visible(timeout=SECONDS)
    nora.at("lock-pin").fill(PIN)
    nora.at("lock-open").click()
    expect(nora.at("open-case")).to_have_count(1, timeout=SECONDS)
    nora.page.goto(f"{relay.url}/#/case/{case}/plan")
    nora.sees(AGREED)
    nora.page.goto(f"{relay.url}/#/case/{sams}")
    nora.sees("Dit plan is niet op dit toestel")
    # Her PIN has to stay while he is there.
    nora.page.goto(f"{relay.url}/#/settings")
    nora.at("pin-away").click()
    expect(nora.at("trouble")).to_be_visible(timeout=SECONDS)
    nora.asked_only(relay.url)
    for canary in (*CANARIES, PIN, HIS_PIN):
        assert canary.encode() not in bytes(nora.sent)
    nora.uncomplaining()
