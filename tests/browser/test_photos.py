"""A photo on a phone: chosen, drawn anew, shown, offline too; what the camera wrote beside it leaves the phone nowhere."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from journeys.here import Here
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "attachment"
WHAT = "naar de speeltuin op woensdag"
# A real picture, with the EXIF of a phone that was held upright: turned by 90 degrees, with a place and a name.
DRAW = """async () => {
  const canvas = document.createElement('canvas');
  canvas.width = 3000; canvas.height = 2000;
  const pen = canvas.getContext('2d');
  const sky = pen.createLinearGradient(0, 0, 0, 2000);
  sky.addColorStop(0, '#8ecae6'); sky.addColorStop(1, '#fff3b0');
  pen.fillStyle = sky; pen.fillRect(0, 0, 3000, 2000);
  pen.fillStyle = '#2a9d4a'; pen.fillRect(0, 1500, 3000, 500);
  pen.fillStyle = '#e76f51'; pen.beginPath(); pen.arc(900, 1100, 420, 0, 7); pen.fill();
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.9));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = ''; for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


@pytest.fixture
def new_phone(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Phone]]:
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        yield make


def of_a_camera(phone: Phone) -> bytes:
    picture = base64.b64decode(phone.page.evaluate(DRAW))
    told = bytes.fromhex(json.loads((VECTORS / "strip_jpeg_turned.json").read_text("utf-8"))["data"])
    size = struct.unpack(">H", told[4:6])[0]
    assert told[2:4] == b"\xff\xe1" and b"iPhone van Nora" in told
    return picture[:2] + told[2 : 4 + size] + picture[2:]


def size_of(jpeg: bytes) -> tuple[int, int]:
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC2):
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    height, width = struct.unpack(">HH", jpeg[at + 5 : at + 9])
    return width, height


def test_a_photo_at_an_agreement_and_in_the_diary(
    relay: LiveRelay, new_phone: Callable[[str], Phone], tmp_path: Path
) -> None:
    nora = new_phone("nora")
    case = nora.begin(relay.url, "Hoe blijven Sam en Eva thuis?", "Nora", "Thuis bij Nora")
    nora.agrees(WHAT)
    photo = of_a_camera(nora)
    chosen = {"name": "IMG_20260501_103000_Zwaluwnest.jpg", "mimeType": "image/jpeg", "buffer": photo}
    nora.at("agreement-edit").click()
    nora.at("agreement-more").locator("summary").click()
    nora.at("agreement-photo").set_input_files([chosen])
    expect(nora.at("agreement-photo-chosen")).to_be_visible(timeout=SECONDS)
    nora.at("agreement-photo-chosen").scroll_into_view_if_needed()
    nora.picture("foto-gekozen")
    nora.at("agreement-save").click()
    expect(nora.at("photo-preview")).to_be_visible(timeout=SECONDS)
    nora.picture("foto-klein")
    nora.sends()

    # Fatima, with another program, gets the picture and nothing else: upright, smaller, without EXIF.
    fatima = Here(tmp_path / "fatima")
    nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
    nora.at("invite-make").click()
    fatima.run("join", nora.link(), "--as", "Fatima")
    nora.look_until(lambda: fatima.run("sync") is not None and fatima.run("cases")["cases"][0]["state"] == "open")
    (item,) = fatima.run("show", case, "plan")["agreements"]
    fatima.run("fetch", case, "plan", f"agreements/{item}", str(tmp_path / "got.jpg"))
    got = (tmp_path / "got.jpg").read_bytes()
    assert size_of(got) == (1365, 2048)
    assert len(got) < len(photo)

    # No word to write with a photo in one's own diary.
    nora.page.goto(f"{relay.url}/#/case/{case}/part/diary")
    nora.at("item-add").click()
    nora.at("item-photo").set_input_files([chosen])
    expect(nora.at("item-photo-chosen")).to_be_visible(timeout=SECONDS)
    nora.at("item-save").click()
    expect(nora.at("photo-preview")).to_be_visible(timeout=SECONDS)
    nora.picture("dagboek")

    # In the train: the app starts cold, and the whole photo is there.
    nora.sends()
    nora.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    relay.stop()
    nora.page.goto(f"{relay.url}/#/case/{case}/plan")
    nora.page.reload()
    nora.at("photo-open").click()
    whole = nora.at("photo-whole")
    expect(whole).to_be_visible(timeout=SECONDS)
    assert whole.evaluate("one => one.decode().then(() => [one.naturalWidth, one.naturalHeight])") == [1365, 2048]
    box = whole.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    nora.picture("foto-groot-zonder-internet")
    # Who looks at a photo is not sent away from it because the app looks for news.
    whole.evaluate("one => { one.dataset.seen = 'yes' }")
    nora.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    nora.page.wait_for_timeout(1_500)
    assert whole.get_attribute("data-seen") == "yes"

    # What is no picture is refused in plain words, and nothing is lost.
    nora.at("agreement-edit").click()
    nora.at("agreement-more").locator("summary").click()
    nora.at("agreement-photo").set_input_files([{**chosen, "buffer": b"\0\0\0\x18ftypheic" + bytes(500)}])
    nora.sees("kan hier niet bij")
    nora.picture("geweigerd")

    everything = bytes(nora.sent) + nora.stored().encode("latin1", "replace") + got
    for canary in (b"iPhone van Nora", b"Zwaluwnest", b"IMG_2026", b"\x00\x00\x00\x34\x00\x00\x00\x01"):
        assert canary not in everything
    assert b"Exif" not in got + bytes(nora.sent)
    kept = b"".join(path.read_bytes() for path in sorted(relay.data_dir.rglob("*")) if path.is_file())
    assert got[400:460] not in kept + bytes(nora.sent)
    assert got[400:460].decode("latin1") not in nora.stored(), "sealed on the phone too"
    nora.uncomplaining()
