"""A family begins anew from its own copy at another relay, on an empty phone, and between the app and the command line.

Every step a picture in the folder that EIGENKRING_SCREENS names, and no word of the copy in what left a phone.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Route, expect

from browser.phones import DIST, SECONDS, Make, Phone, folder, phones
from browser.test_walks import AGREED, QUESTION, TITLE, inside, nothing_in
from journeys.here import Here
from journeys.wiretap import wiretap
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser


@pytest.fixture
def make(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    with phones(browser, folder(tmp_path, request.node.name)) as new:
        yield new


def texts(here: Here, case: str) -> list[str]:
    return sorted(row["what"] for row in here.run("show", case, "plan")["agreements"].values())


def in_the_dark(phone: Phone, what: str) -> None:
    phone.picture(what)
    phone.page.emulate_media(color_scheme="dark")
    phone.picture(f"{what}-donker")
    phone.page.emulate_media(color_scheme="light")


def looks_at(phone: Phone, address: str, copy: Path) -> None:
    phone.page.goto(f"{address}/#/bring")
    phone.at("bring-file").set_input_files(copy)
    expect(phone.at("looked")).to_be_visible(timeout=SECONDS)


def zipped(of: Path, copy: Path) -> Path:
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(of.rglob("*")):
            packed.write(path, path.relative_to(of.parent))
    return copy


def test_a_family_begins_anew_where_its_relay_is_gone(make: Make, tmp_path: Path) -> None:
    with ExitStack() as here:
        first: LiveRelay = here.enter_context(live_relay(tmp_path / "one", pwa_dir=DIST))
        nora, karim = make("nora"), Here(tmp_path / "karim")
        case = nora.begin(first.url, QUESTION, "Nora", TITLE)
        nora.page.goto(f"{first.url}/#/case/{case}/invite/Karim")
        nora.at("invite-make").click()
        karim.run("join", nora.link(), "--as", "Karim")
        nora.look_until(lambda: inside(karim, case))
        nora.page.goto(f"{first.url}/#/case/{case}")
        nora.agrees(AGREED)
        nora.look_until(lambda: nora.at("status").inner_text().strip() == "")
        karim.run("sync")
        karim.run("add", case, "plan", "agreements", '{"what": "KANARIEKARIM rijdt"}')
        karim.run("sync")
        nora.look_for("KANARIEKARIM")
        nora.page.goto(f"{first.url}/#/case/{case}/along")
        with nora.page.expect_download(timeout=SECONDS) as saved:
            nora.at("along-take").click()
        copy = tmp_path / "kring.zip"
        saved.value.save_as(copy)
        karim.run("export", case, "--to", str(tmp_path / "karims"))
        nora.uncomplaining()

    # That relay is gone, and so are the phones. Another one, and an empty phone.
    with live_relay(tmp_path / "two", pwa_dir=DIST) as relay, wiretap(relay.url) as tap:
        fresh = make("nora-nieuw")
        fresh.page.goto(tap.url)
        expect(fresh.at("bring-open")).to_be_visible(timeout=SECONDS)
        fresh.picture("welkom")
        fresh.at("bring-open").click()
        in_the_dark(fresh, "kies-een-bestand")
        broken = tmp_path / "stuk.zip"
        broken.write_bytes(copy.read_bytes()[:-400])
        fresh.at("bring-file").set_input_files(broken)
        expect(fresh.at("verify-fault")).to_have_attribute("data-fault", "archive", timeout=SECONDS)
        in_the_dark(fresh, "stuk")

        fresh.at("bring-file").set_input_files(copy)
        expect(fresh.at("bring-what")).to_be_visible(timeout=SECONDS)
        fresh.at("bring-parts").click()
        in_the_dark(fresh, "wat-er-gebeurt")
        fresh.at("bring-parts").click()
        fresh.context.set_offline(True)
        fresh.at("bring").click()
        fresh.at("bring-yes").scroll_into_view_if_needed()
        in_the_dark(fresh, "begin-opnieuw")
        fresh.at("bring-yes").click()
        expect(fresh.at("trouble")).to_have_attribute("data-code", "offline", timeout=SECONDS)
        expect(fresh.at("bring-on")).to_be_visible()
        in_the_dark(fresh, "geen-verbinding")
        fresh.context.set_offline(False)

        # The system ends the worker in the middle: it goes on by itself. The middle is where the relay has some of it, and
        # what follows is held up on its way.
        asked: list[Route] = []

        def hold(route: Route) -> None:
            asked.append(route)
            if len(asked) <= 2:
                route.continue_()

        (engine,) = [worker for worker in fresh.page.workers if "/assets/worker-" in worker.url]
        fresh.context.route("**/v1/exchange", hold)
        fresh.at("bring-yes").click()
        fresh.look_until(lambda: len(asked) > 2)
        expect(fresh.at("bring-busy")).to_be_visible(timeout=SECONDS)
        fresh.picture("bezig")
        with engine.expect_event("close", timeout=SECONDS):
            engine.evaluate("void setTimeout(() => self.close())")
        assert fresh.at("brought").count() == 0, "it was done before the worker was ended"
        fresh.context.unroute("**/v1/exchange", hold)
        for held in asked[2:]:
            # Who asked is gone.
            with suppress(Error):
                held.abort()
        expect(fresh.at("brought")).to_be_visible(timeout=SECONDS)
        in_the_dark(fresh, "staat-weer-klaar")
        expect(fresh.at("bring-link")).to_have_count(1)
        fresh.at("bring-link").click()
        link = fresh.link()
        fresh.at("bring-go").click()
        fresh.sees(QUESTION)
        new = fresh.page.url.partition("#/case/")[2].partition("/")[0]
        fresh.at("nav-plan").click()
        fresh.sees(AGREED)
        fresh.sees("KANARIEKARIM")
        in_the_dark(fresh, "het-plan-weer")
        assert fresh.page.locator('[data-test="agreement"]').count() == 2
        fresh.page.goto(f"{tap.url}/#/")
        expect(fresh.at("open-case")).to_have_count(1, timeout=SECONDS)

        # Karim follows his link with the command line, and both write on.
        karim.run("join", link, "--as", "Karim")
        fresh.look_until(lambda: inside(karim, new))
        assert texts(karim, new) == ["KANARIEKARIM rijdt", AGREED]
        # The same copy once more makes nothing: it leads there.
        looks_at(fresh, tap.url, copy)
        expect(fresh.at("bring-before")).to_be_visible()
        in_the_dark(fresh, "al-begonnen")

        # What the command line took along, packed by a computer, begins in the app.
        theirs = zipped(tmp_path / "karims", tmp_path / "karims.zip")
        tablet = make("karim-tablet")
        looks_at(tablet, tap.url, theirs)
        tablet.at("bring").click()
        tablet.at("bring-yes").click()
        expect(tablet.at("brought")).to_be_visible(timeout=SECONDS)
        tablet.at("bring-go").click()
        tablet.at("nav-plan").click()
        tablet.sees(AGREED)

        # What the app took along begins on the command line.
        with zipfile.ZipFile(copy) as packed:
            packed.extractall(tmp_path / "uitgepakt")
        typed = Here(tmp_path / "typt")
        made = typed.run("import", str(tmp_path / "uitgepakt"), "--relay", relay.url)
        assert texts(typed, made["case"]) == ["KANARIEKARIM rijdt", AGREED]
        assert [row["name"] for row in made["invitations"]] == ["Karim"]

        for phone in (fresh, tablet):
            phone.asked_only(tap.url)
            phone.uncomplaining()
            nothing_in(bytes(phone.sent))
        assert len(tap.heard) > 50_000, "nothing was heard"
        nothing_in(bytes(tap.heard))
