"""A family begins anew from its own copy in the engines of Firefox and WebKit: the zip that the app made, and one that a
computer packed of the folder that `export` wrote.

A driver types a file's path into the field, which is what these browsers give a page that chose a file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from browser.drivers import Driven, firefox, webkit
from browser.phones import DIST, folder
from browser.test_bring import zipped
from browser.test_other_browsers import in_dutch, wait_for
from journeys.here import Here
from live_relay import live_relay

pytestmark = pytest.mark.browser

QUESTION = "Hoe blijven Sam en Eva thuis"
AGREED = "Karim brengt Sam op dinsdag naar voetbal"
DIARY = "Waterhoen, alleen voor mij"
FAULT = "return document.querySelector('[data-test=\"verify-fault\"]')?.dataset.fault"


@pytest.fixture(params=[firefox, webkit], ids=["firefox", "webkit"])
def new_phone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Driven]]:
    with ExitStack() as phones:
        yield lambda name: phones.enter_context(request.param(tmp_path / name))


def saved(phone: Driven, button: str, home: Path) -> bytes:
    """The file that a press saves: as Firefox lays it down; WebKit's driver has no folder for it, so as the page gives it."""
    if phone.name == "firefox":
        phone.click(button)
        found: list[Path] = []

        def lies() -> bool:
            found[:] = [one for one in (home / "saved").glob("*.zip") if one.stat().st_size > 0]
            return bool(found) and not list((home / "saved").glob("*.part"))

        phone.until(lies)
        return found[0].read_bytes()
    phone.run(
        "globalThis.saved = []; const make = URL.createObjectURL.bind(URL);"
        "URL.createObjectURL = (blob) => { globalThis.saved.push(blob); return make(blob) }"
    )
    phone.click(button)
    phone.until(lambda: phone.run("return globalThis.saved.length"))
    hexed = phone.run(
        "const bytes = new Uint8Array(await globalThis.saved[0].arrayBuffer());"
        "return [...bytes].map((one) => one.toString(16).padStart(2, '0')).join('')"
    )
    return bytes.fromhex(str(hexed))


def chosen(phone: Driven, copy: Path) -> None:
    """As a driver does it: typed into the field, which the page shows as a button of its own."""
    phone.until(lambda: phone.count("bring-file") == 1)
    phone.choose("bring-file", copy)
    phone.until(lambda: phone.count("looked"))


def test_a_family_begins_anew(
    new_phone: Callable[[str], Driven], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pictures = folder(tmp_path, request.node.name.replace("[", "-").replace("]", ""))
    phone, karim = new_phone("nora"), Here(tmp_path / "karim")
    with live_relay(tmp_path / "one", pwa_dir=DIST) as relay:
        in_dutch(phone, relay.url)
        phone.click("start")
        phone.fill("start-question", QUESTION)
        phone.click("start-next")
        phone.click("start-next")
        phone.fill("start-name", "Nora")
        phone.click("start-keep")
        phone.sees(QUESTION)
        case = str(phone.run("return location.hash.split('/')[2]"))
        phone.open(f"{relay.url}/#/case/{case}/invite/Karim")
        phone.click("invite-make")
        karim.run("join", phone.value("link"), "--as", "Karim")
        wait_for(lambda: QUESTION in str(karim.run("show", case, "question")), phone)
        karim.run("add", case, "plan", "agreements", f'{{"what": "{AGREED}"}}')
        karim.run("add", case, "diary", "entries", f'{{"text": "{DIARY}"}}')
        phone.open(f"{relay.url}/#/case/{case}/plan")
        phone.sees(AGREED)
        phone.open(f"{relay.url}/#/case/{case}/along")
        phone.until(lambda: phone.count("along-take"))
        copy = tmp_path / "kring.zip"
        copy.write_bytes(saved(phone, "along-take", tmp_path / "nora"))
        karim.run("export", case, "--to", str(tmp_path / "karims"))
        karims = zipped(tmp_path / "karims", tmp_path / "karims.zip")

    # That relay is gone, and so is the phone. Another relay, and an empty phone.
    with live_relay(tmp_path / "two", pwa_dir=DIST) as relay:
        fresh = new_phone("leeg")
        in_dutch(fresh, relay.url)
        fresh.click("bring-open")
        broken = tmp_path / "stuk.zip"
        broken.write_bytes(copy.read_bytes()[:-400])
        chosen(fresh, broken)
        fresh.until(lambda: fresh.run(FAULT) == "archive")
        # A folder cannot be chosen where a zip is asked for; a file of it is no copy, in plain words.
        chosen(fresh, tmp_path / "karims" / "lezen.html")
        fresh.until(lambda: fresh.run(FAULT) == "none")
        fresh.picture(pictures / "1-geen-kopie.png")
        chosen(fresh, copy)
        fresh.until(lambda: fresh.count("bring-what"))
        fresh.click("bring-parts")
        fresh.picture(pictures / "2-wat-er-gebeurt.png")
        fresh.click("bring")
        fresh.click("bring-yes")
        fresh.until(lambda: fresh.count("brought"))
        fresh.picture(pictures / "3-staat-klaar.png")
        fresh.click("bring-link")
        link = fresh.value("link")
        fresh.click("bring-go")
        fresh.sees(QUESTION)
        new = str(fresh.run("return location.hash.split('/')[2]"))
        assert new != case
        karim.run("join", link, "--as", "Karim")
        wait_for(lambda: AGREED in str(karim.run("show", new, "plan")), fresh)
        # The same copy once more makes nothing: it leads there.
        fresh.open(f"{relay.url}/#/bring")
        chosen(fresh, copy)
        fresh.until(lambda: fresh.count("bring-before"))

        # What the command line took along, packed by a computer (deflated, with the folder's name around it).
        with zipfile.ZipFile(karims) as packed:
            files = [one for one in packed.infolist() if not one.is_dir()]
            assert files and all(one.compress_type == zipfile.ZIP_DEFLATED for one in files)
        tablet = new_phone("tablet")
        in_dutch(tablet, relay.url)
        tablet.click("bring-open")
        chosen(tablet, karims)
        tablet.click("bring")
        tablet.click("bring-yes")
        tablet.until(lambda: tablet.count("brought"))
        tablet.click("bring-go")
        tablet.sees(QUESTION)
        hers = str(tablet.run("return location.hash.split('/')[2]"))
        tablet.open(f"{relay.url}/#/case/{hers}/plan")
        tablet.sees(AGREED)
        tablet.open(f"{relay.url}/#/case/{hers}/part/diary")
        tablet.sees(DIARY)
