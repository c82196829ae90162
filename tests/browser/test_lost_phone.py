"""Somebody who decides too lost the phone: with two a new circle, in which the old phone is not; with three the others decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from browser.typists import comes, inside
from journeys.here import Here
from journeys.people import Failed
from live_relay import LiveRelay, live_relay

pytestmark = [pytest.mark.browser, pytest.mark.long]

QUESTION = "Hoe blijven Sam en Eva thuis?"
AGREED = "Fatima komt zes weken"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


@pytest.fixture
def nora(browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Phone]:
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        phone = make("nora")
        yield phone
        phone.asked_only(relay.url)
        phone.uncomplaining()


def person(here: Here, case: str, name: str) -> str:
    here.run("sync")
    return str(next(one["person"] for one in here.run("people", case)["people"] if one["name"] == name))


def comes_back(nora: Phone, relay: LiveRelay, case: str, link: str, here: Here, name: str) -> None:
    """With four words that both see, and somebody says are the same."""
    here.run("join", link, "--as", name)
    nora.page.goto(f"{relay.url}/#/case/{case}")
    nora.look_until(lambda: nora.at("words-same").count() > 0)
    nora.at("words-same").click()
    nora.look_until(lambda: inside(here, case))


def decides_too(nora: Phone, here: Here, case: str, who: str, name: str, *more: Callable[[], object]) -> None:
    nora.page.goto(nora.page.url.partition("#")[0] + f"#/case/{case}/person/{who}")
    nora.at("role").click()
    nora.at("role-yes").click()

    def is_owner() -> bool:
        for one in more:
            one()
        here.run("sync")
        return any(one["name"] == name and one["role"] == "owner" for one in here.run("people", case)["people"])

    nora.look_until(is_owner)


def test_of_two_who_decide_one_goes_on_with_the_other_in_a_new_circle(
    nora: Phone, relay: LiveRelay, tmp_path: Path
) -> None:
    fatima, karim, again = Here(tmp_path / "fatima"), Here(tmp_path / "karim"), Here(tmp_path / "fatima-nieuw")
    case = nora.begin(relay.url, QUESTION, "Nora", "Thuis bij Nora")
    nora.agrees(AGREED)
    comes(nora, relay, case, fatima, "Fatima")
    comes(nora, relay, case, karim, "Karim")
    lost = person(fatima, case, "Fatima")
    decides_too(nora, fatima, case, lost, "Fatima")

    nora.page.goto(f"{relay.url}/#/case/{case}/lost/{lost}")
    expect(nora.at("lost-steps")).to_be_visible(timeout=SECONDS)
    assert nora.at("lost-anew").count() == 0, "neither of two puts out the other"
    nora.picture("met-zijn-tweeen")
    nora.at("lost-name").fill("Thuis, opnieuw")
    nora.at("lost-together").click()
    nora.at("lost-together-yes").scroll_into_view_if_needed()
    nora.picture("wat-niet-kan")
    nora.at("lost-together-yes").click()
    first = nora.at("lost-first").locator('[data-test="link"]')
    expect(first).to_be_visible(timeout=SECONDS)
    link = first.input_value()
    nora.picture("eerst-fatima")
    assert "Karim" in nora.at("without-links").inner_text()
    assert "Fatima" not in nora.at("without-links").inner_text()
    nora.at("without-open").click()
    nora.sees(QUESTION)
    new = nora.page.url.partition("#/case/")[2].partition("/")[0]
    assert new != case
    comes_back(nora, relay, new, link, again, "Fatima")
    assert AGREED in str(again.run("show", new, "plan"))
    roles = {one["name"]: one["role"] for one in again.run("people", new)["people"]}
    assert roles == {"Nora": "owner", "Fatima": "owner"}

    # The old phone is where it was, and hears nothing of the new circle.
    fatima.run("sync")
    assert [one["case"] for one in fatima.run("cases")["cases"]] == [case]


def test_of_three_who_decide_two_put_the_old_phone_out_and_ask_anew(
    nora: Phone, relay: LiveRelay, tmp_path: Path
) -> None:
    fatima, karim, again = Here(tmp_path / "fatima"), Here(tmp_path / "karim"), Here(tmp_path / "fatima-nieuw")
    case = nora.begin(relay.url, QUESTION, "Nora", "Thuis bij Nora")
    nora.agrees(AGREED)
    comes(nora, relay, case, fatima, "Fatima")
    comes(nora, relay, case, karim, "Karim")
    lost, other = person(fatima, case, "Fatima"), person(fatima, case, "Karim")
    decides_too(nora, karim, case, other, "Karim")

    def karim_agrees() -> None:
        karim.run("sync")
        # Nothing asked yet.
        with suppress(Failed):
            karim.run("approve", case)

    decides_too(nora, karim, case, lost, "Fatima", karim_agrees)
    nora.page.goto(f"{relay.url}/#/case/{case}/lost/{lost}")
    nora.at("lost-remove").click()
    nora.at("lost-remove-yes").scroll_into_view_if_needed()
    nora.picture("met-zijn-drieen")
    nora.at("lost-remove-yes").click()
    expect(nora.at("lost-asked")).to_contain_text("Nora", timeout=SECONDS)
    nora.picture("gevraagd")
    fatima.run("show", case, "plan")

    # The last yes comes from Karim; the screen goes on by itself.
    def is_out() -> bool:
        karim_agrees()
        return nora.at("lost-link").count() > 0

    nora.look_until(is_out)
    nora.picture("de-oude-telefoon-is-eruit")
    fatima.run("sync")
    assert fatima.refused("show", case, "plan") == "removed"
    nora.at("lost-link").click()
    comes_back(nora, relay, case, nora.link(), again, "Fatima")
    assert AGREED in str(again.run("show", case, "plan"))
