"""Comparing what two people were shown, on the screen: the built app against a real relay, and that relay's other story."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from journeys.here import Here
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


def opens(phone: Phone, file: Path) -> str:
    """Gives what the app says of it."""
    phone.at("report-file").set_input_files(file)
    expect(phone.at("report-file")).to_be_enabled(timeout=SECONDS)
    expect(phone.at("report-result").or_(phone.at("trouble"))).to_be_visible(timeout=SECONDS)
    result = phone.at("report-result")
    return (result.get_attribute("data-verdict") or "") if result.count() else ""


def saves(phone: Phone, file: Path) -> None:
    with phone.page.expect_download(timeout=SECONDS) as saved:
        phone.at("report-save").click()
    saved.value.save_as(file)


def test_a_phone_and_a_sister_compare_and_find_two_stories(browser: Browser, relay: LiveRelay, tmp_path: Path) -> None:
    with phones(browser, folder(tmp_path, "test_reports")) as make:
        nora, fatima = make("nora"), Here(tmp_path / "fatima")
        case = nora.begin(relay.url, "Hoe blijven Sam en Eva thuis?", "Nora", "Thuis bij Nora")
        nora.agrees("Fatima komt zes weken bij ons wonen")
        nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
        nora.at("invite-make").click()
        fatima.run("join", nora.link(), "--as", "Fatima")
        nora.look_until(lambda: fatima.run("sync") is not None and fatima.run("cases")["cases"][0]["state"] == "open")

        # Nora goes there as people do, and Fatima's program reads the file of the app.
        nora.page.goto(f"{relay.url}/#/case/{case}/more")
        nora.at("compare-open").click()
        hers, his = tmp_path / "nora.txt", tmp_path / "fatima.txt"
        saves(nora, hers)
        told = fatima.run("compare", case, str(hers))
        assert (told["verdict"], told["by"]["name"]) == ("same", "Nora")
        his.write_text(fatima.run("report", case)["report"])
        assert opens(nora, his) == "same"
        nora.sees("U en Fatima zagen hetzelfde.")
        nora.picture("hetzelfde")
        words = tmp_path / "words.txt"
        words.write_text("Wie haalt Sam op?")
        assert opens(nora, words) == ""
        assert nora.at("trouble").get_attribute("data-code") == "bad_report"

        # The relay tells Fatima another story, and nothing in it ever reaches Nora.
        relay.stop()
        true, copied = relay.data_dir, tmp_path / "copy"
        shutil.copytree(true, copied)
        relay.data_dir = copied
        relay.start()
        fatima.run("add", case, "plan", "agreements", '{"what": "alleen in het andere verhaal"}')
        his.write_text(fatima.run("report", case)["report"])
        relay.stop()
        relay.data_dir = true
        relay.start()
        nora.page.goto(f"{relay.url}/#/case/{case}/plan")
        nora.agrees("alleen in het ene verhaal")
        nora.sends()
        nora.page.goto(f"{relay.url}/#/case/{case}/compare")
        assert opens(nora, his) == "forked"
        nora.sees("De server vertelde u en Fatima twee verschillende verhalen.")
        expect(nora.at("report-steps")).to_contain_text("Plan en afspraken")
        nora.picture("twee-verhalen")

        # It stays, and leads back to where it can be looked at again.
        nora.page.reload()
        nora.page.goto(f"{relay.url}/#/alarms")
        nora.look_until(lambda: nora.at("alarm").count() > 0)
        assert nora.at("alarm").first.get_attribute("data-code") == "forked"
        expect(nora.at("alarm").first).to_contain_text("Fatima")
        nora.at("compare-open").first.click()
        expect(nora.at("report-file")).to_be_attached(timeout=SECONDS)
        nora.asked_only(relay.url)
        nora.uncomplaining()
