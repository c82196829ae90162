"""The code on one phone's screen is scanned by the camera of another, under the policy with which the relay serves the app.

The picture that Chromium's camera sees is drawn from the code that the first phone shows. Without a camera there are two other ways.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.phones import DIST, SECONDS, Phone, folder
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

SIDE = 480
NAMES = (os.environ.get("EIGENKRING_CHROMIUM", "chromium"), "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
INVITED = '[data-test="join-name"]'


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


def picture_of(page: Page) -> bytes:
    """The code on the screen as a grey picture of SIDE by SIDE."""
    code = page.locator("svg[role=img]").first
    size = int(str(code.get_attribute("viewBox")).split()[2])
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1", str(code.locator("path").get_attribute("d")))}
    assert len(dark) > 400, "no code on the screen"
    line = range(SIDE)
    return bytes(16 if (x * size // SIDE, y * size // SIDE) in dark else 235 for y in line for x in line)


def film(grey: bytes, to: Path) -> Path:
    """YUV4MPEG, as Chromium's camera for tests plays it."""
    frame = b"FRAME\n" + grey + bytes([128]) * (SIDE * SIDE // 2)
    to.write_bytes(f"YUV4MPEG2 W{SIDE} H{SIDE} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 2)
    return to


def open_ways(phone: Phone, relay: LiveRelay) -> None:
    phone.page.goto(relay.url)
    phone.at("paste").click()
    expect(phone.at("scan")).to_be_visible(timeout=SECONDS)


def test_an_invitation_is_scanned_or_read_from_a_photo(
    browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pictures = folder(tmp_path, request.node.name)
    nora = Phone.new(browser, "nora", pictures)
    case = nora.begin(relay.url, "Wie helpt er?", "Nora", "Thuis")
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
    nora.at("invite-make").click()
    expect(nora.at("link")).to_be_visible(timeout=SECONDS)
    grey = picture_of(nora.page)
    code = tmp_path / "code.png"
    nora.page.locator("svg[role=img]").first.screenshot(path=code)

    # A photo of it, on a phone that has no camera to give.
    karim = Phone.new(browser, "karim", pictures)
    open_ways(karim, relay)
    karim.at("scan-start").click()
    expect(karim.at("scan-said")).to_contain_text("De camera doet het hier niet", timeout=SECONDS)
    karim.at("scan-photo").set_input_files(DIST / "icon-192.png")
    expect(karim.at("scan-said")).to_contain_text("geen code", timeout=SECONDS)
    karim.picture("geen-camera")
    karim.at("scan-photo").set_input_files(code)
    expect(karim.page.locator(INVITED)).to_be_visible(timeout=SECONDS)
    expect(karim.page).to_have_url(re.compile("#/link"))

    # The camera itself; nobody has said yes yet, so the invitation is still good.
    seeing = browser.browser_type.launch(
        executable_path=CHROMIUM,
        chromium_sandbox=os.geteuid() != 0,
        args=[
            "--disable-gpu",
            "--disable-background-networking",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film(grey, tmp_path / 'code.y4m')}",
        ],
    )
    fatima = Phone.new(seeing, "fatima", pictures)
    open_ways(fatima, relay)
    fatima.at("scan-start").click()
    expect(fatima.page.locator(INVITED)).to_be_visible(timeout=SECONDS)
    expect(fatima.page.locator(INVITED)).to_have_value("Fatima")
    fatima.picture("gescand")
    # The camera is off as soon as it is not needed.
    expect(fatima.page.locator("video")).to_have_count(0)
    for phone in (nora, karim, fatima):
        phone.uncomplaining()
        phone.asked_only(relay.url)
        phone.context.close()
    seeing.close()


# What some browsers have and Chromium on Linux has not: a reader of their own. It says what it was asked and how large that was.
READER = """
globalThis.read = [];
globalThis.BarcodeDetector = class {
  constructor({ formats }) { globalThis.formats = formats; }
  static async getSupportedFormats() { return %s; }
  async detect(from) {
    const [wide, high] = from instanceof HTMLVideoElement ? [from.videoWidth, from.videoHeight] : [from.width, from.height];
    globalThis.read.push(`${from.constructor.name} ${wide > 0 && high > 0}`);
    return globalThis.read.length < 3 ? [] : [{ rawValue: 'LINK' }];
  }
};
"""


@pytest.mark.long
def test_a_reader_of_the_browser_is_used_where_it_reads_our_codes(
    browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pictures = folder(tmp_path, request.node.name)
    nora = Phone.new(browser, "nora", pictures)
    case = nora.begin(relay.url, "Wie helpt er?", "Nora", "Thuis")
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
    nora.at("invite-make").click()
    link = nora.link()
    code = tmp_path / "code.png"
    nora.page.locator("svg[role=img]").first.screenshot(path=code)

    fatima = Phone.new(browser, "fatima", pictures)
    fatima.context.add_init_script((READER % "['qr_code']").replace("LINK", link))
    open_ways(fatima, relay)
    for _ in range(2):
        fatima.at("scan-photo").set_input_files(code)
        expect(fatima.at("scan-said")).to_contain_text("geen code", timeout=SECONDS)
    fatima.at("scan-photo").set_input_files(code)
    expect(fatima.page.locator(INVITED)).to_be_visible(timeout=SECONDS)
    assert fatima.page.evaluate("globalThis.read") == ["ImageBitmap true"] * 3
    assert fatima.page.evaluate("globalThis.formats") == ["qr_code"]

    # There by name, and it reads other codes than ours: the one that the app brings does it.
    karim = Phone.new(browser, "karim", pictures)
    karim.context.add_init_script(READER % "['ean_13']")
    open_ways(karim, relay)
    karim.at("scan-photo").set_input_files(code)
    expect(karim.page.locator(INVITED)).to_be_visible(timeout=SECONDS)
    assert karim.page.evaluate("globalThis.read") == []
    for phone in (nora, karim, fatima):
        phone.uncomplaining()
        phone.asked_only(relay.url)
        phone.context.close()
