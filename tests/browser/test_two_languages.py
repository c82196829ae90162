"""A case of which one device runs Python and the other is a browser: long parts, answers and paper, both ways.

tests/interop does the same with the app under Node; charter, removal and views cross in test_phone and test_other_browsers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from browser.typists import comes
from eigenkring.library import Device
from eigenkring.session import compacting
from journeys.here import Here
from journeys.people import Failed
from live_relay import LiveRelay, live_relay

pytestmark = [pytest.mark.browser, pytest.mark.long]

QUESTION = "Hoe blijven Sam en Eva thuis?"
# So many that any device has waited long enough.
MOST_RECORDS = compacting.FEWEST_RECORDS + compacting.MOST_PATIENCE + 2
FAR = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


@pytest.fixture
def new_phone(
    browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Phone]]:
    made: list[Phone] = []
    with phones(browser, folder(tmp_path, request.node.name)) as make:

        def new(name: str) -> Phone:
            made.append(make(name))
            return made[-1]

        yield new
        for phone in made:
            phone.asked_only(relay.url)
            phone.uncomplaining()


def write_often(here: Here, case: str, item: str, times: int) -> None:
    """A record each time."""
    with Device.open(here.home) as device:
        one = device.case(case)
        for n in range(times):
            one.set("plan", f"agreements/{item}/what", f"keer {n}")
            one.sync()


def records(here: Here, case: str) -> int:
    """How many records of the plan this device holds: after a snapshot few."""
    here.run("sync")
    with Device.open(here.home) as device:
        session = device.case(case).session
        position = session.position(session.known().parts["plan"].stream)
        return position.length - position.base


def test_a_long_part_that_one_made_short_is_opened_by_the_other(
    relay: LiveRelay, new_phone: Callable[[str], Phone], tmp_path: Path
) -> None:
    last = f"keer {MOST_RECORDS - 1}"

    # Fatima types, Nora's phone makes it short, Karim who types comes later.
    nora, fatima, karim = new_phone("nora"), Here(tmp_path / "fatima"), Here(tmp_path / "karim")
    case = nora.begin(relay.url, QUESTION, "Nora", "Thuis bij Nora")
    comes(nora, relay, case, fatima, "Fatima")
    item = fatima.run("add", case, "plan", "agreements", '{"what": "keer"}')["item"]
    write_often(fatima, case, item, MOST_RECORDS)
    nora.page.goto(f"{relay.url}/#/case/{case}/plan")
    nora.look_for(last)
    nora.look_until(lambda: records(fatima, case) < 10)
    comes(nora, relay, case, karim, "Karim")
    nora.look_until(lambda: last in str(karim.run("show", case, "plan")))
    assert records(karim, case) < 10
    history = karim.run("history", case, "plan")["changes"]
    assert {one["by"] for one in history} == {"Fatima"}, "every change is still its author's"
    assert len(history) > MOST_RECORDS

    # Bea types and makes it short; Eva's phone comes later.
    bea, eva = Here(tmp_path / "bea"), new_phone("eva")
    hers = bea.run("start", "Bij Bea", "--relay", relay.url, "--as", "Bea")["case"]
    item = bea.run("add", hers, "plan", "agreements", '{"what": "keer"}')["item"]
    write_often(bea, hers, item, MOST_RECORDS)
    assert records(bea, hers) < 60
    eva.answers(bea.run("invite", hers, "--role", "member", "--name", "Eva")["link"], "Eva")
    eva.look_until(lambda: bea.run("sync") is not None and eva.at("nav-plan").count() > 0)
    eva.at("nav-plan").click()
    eva.look_for(last)
    eva.agrees("van de telefoon, op het korte deel")
    eva.look_until(lambda: "op het korte deel" in str(bea.run("show", hers, "plan")))
    assert bea.run("sync")["alarms"] == []
    assert fatima.run("sync")["alarms"] == []


def test_what_a_reader_answers_comes_into_the_plan_both_ways(
    relay: LiveRelay, new_phone: Callable[[str], Phone], tmp_path: Path
) -> None:
    # The family types, the professional has a browser.
    nora, wit = Here(tmp_path / "nora"), new_phone("de-wit")
    case = nora.run("start", "Thuis bij Nora", "--relay", relay.url, "--as", "Nora")["case"]
    asked = nora.run("add", case, "information", "questions", '{"text": "Kan iemand mee naar school?"}')["item"]
    given = nora.run(
        "grant", case, "--to", "De Wit", "--purpose", "Meedenken", "--until", FAR, "--parts", "information"
    )
    wit.answers(given["link"], "De Wit")
    wit.look_until(lambda: nora.run("sync") is not None and wit.at("say-answer").count() > 0)
    wit.at("say-answer").click()
    wit.at("say-text").fill("Ja, ik ga maandag mee")
    wit.at("say-do").click()
    expect(wit.at("said")).to_be_visible(timeout=SECONDS)
    wit.look_until(lambda: len(nora.run("incoming", case)["incoming"]) == 1)
    (one,) = nora.run("incoming", case)["incoming"]
    assert (one["from"], one["what"], one["about"]) == ("De Wit", "answer", asked)
    nora.run("take", case, one["incoming"])
    (answer,) = nora.run("show", case, "information")["answers"].values()
    assert (answer["text"], answer["by"], answer["about"]) == ("Ja, ik ga maandag mee", "De Wit", [asked])

    # The family has a phone, the professional types.
    eva, bakker = new_phone("eva"), Here(tmp_path / "bakker")
    hers = eva.begin(relay.url, QUESTION, "Eva", "Bij Eva")
    eva.page.goto(f"{relay.url}/#/case/{hers}/part/information")
    eva.page.locator('[data-test="item-add"][data-collection="questions"]').click()
    eva.at("item-text").fill("Wie kan er rijden?")
    eva.at("item-save").click()
    eva.sees("Wie kan er rijden?")
    eva.page.goto(f"{relay.url}/#/case/{hers}/give")
    eva.at("give-to").fill("Bakker")
    eva.at("give-purpose").fill("Meedenken")
    eva.at("give-part-information").check()
    eva.at("give-preview").click()
    eva.at("give-yes").click()
    got = bakker.run("accept", eva.link(), "--as", "Bakker")["grant"]
    eva.look_until(lambda: reads(bakker, got))
    (question,) = bakker.run("view", got)["information"]["questions"]
    bakker.run("answer", got, question[:8], "Er is een buurtbus")
    eva.page.goto(f"{relay.url}/#/case/{hers}/incoming")
    eva.look_for("Er is een buurtbus")
    eva.at("incoming-take").click()
    expect(eva.at("incoming-taken")).to_be_visible(timeout=SECONDS)
    eva.at("incoming-taken").click()
    expect(eva.at("item").filter(has_text="Er is een buurtbus")).to_contain_text("Bakker", timeout=SECONDS)
    eva.picture("overgenomen")


def reads(here: Here, grant: str) -> bool:
    try:
        return "information" in here.run("view", grant)
    except Failed as refused:
        assert refused.code in ("not_yet", "no_stream"), refused.code
        return False


def test_paper_of_one_brings_the_other_back(
    relay: LiveRelay, new_phone: Callable[[str], Phone], tmp_path: Path
) -> None:
    # Nora typed, and made the paper; what she gets now is a phone.
    before = Here(tmp_path / "nora")
    case = before.run("start", "Thuis bij Nora", "--relay", relay.url, "--as", "Nora")["case"]
    before.run("add", case, "plan", "agreements", '{"what": "Fatima komt zes weken"}')
    before.run("add", case, "diary", "entries", '{"text": "alleen voor mij"}')
    code = before.run("recovery-code")["code"]
    phone = new_phone("nora")
    phone.page.goto(relay.url)
    phone.at("come-back").click()
    phone.at("back-code").fill(code)
    phone.at("back-do").click()
    expect(phone.at("came-back")).to_be_visible(timeout=SECONDS)
    phone.picture("terug")
    new_code = "-".join(phone.at("paper-code").locator("li").all_inner_texts())
    assert new_code != code
    phone.at("back-done").click()
    phone.at("open-case").click()
    phone.at("nav-plan").click()
    phone.sees("Fatima komt zes weken")
    phone.agrees("met een nieuwe telefoon")
    phone.sends()
    assert before.refused("show", case, "plan") == "removed"
    assert Here(tmp_path / "thief").refused("recover", code, "--relay", relay.url) == "link_expired"

    # The phone is lost; its paper brings her back to the command line.
    after = Here(tmp_path / "after")
    back = after.run("recover", new_code, "--relay", relay.url)
    assert (back["cases"], back["left"]) == ([case], [])
    whats = {one["what"] for one in after.run("show", case, "plan")["agreements"].values()}
    assert whats == {"Fatima komt zes weken", "met een nieuwe telefoon"}
    assert "alleen voor mij" in json.dumps(after.run("show", case, "diary"))
    after.run("add", case, "plan", "agreements", '{"what": "na het verlies"}')
    phone.look_until(lambda: phone.at("case-ended").count() > 0)
    assert "na het verlies" not in phone.stored()
