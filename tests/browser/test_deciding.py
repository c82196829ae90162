"""The circle decides: Nora with a phone, Fatima with commands. What one of them answers is in her own part, bound to one text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.phones import DIST, SECONDS, Phone, folder, phones
from eigenkring.consent import decision_mark
from journeys.here import Here
from journeys.people import Failed
from live_relay import LiveRelay, live_relay

pytestmark = pytest.mark.browser

FIRST = "Sam slaapt om de week bij oma"
SECOND = "Sam slaapt om de drie weken bij oma"
WHY = "om de week is te vaak voor oma"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay", pwa_dir=DIST) as running:
        yield running


def answers(fatima: Here, case: str, item: str, text: str, answer: str, why: str = "") -> None:
    given = {"decision": item, "version": decision_mark(text), "answer": answer, **({"text": why} if why else {})}
    fatima.run("add", case, "answers", "consents", json.dumps(given))


def test_a_round_is_finished_before_an_objection_is_shown_and_an_edit_asks_everybody_again(
    browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fatima = Here(tmp_path / "fatima")
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        nora = make("nora")
        case = nora.begin(relay.url, "Hoe blijven Sam en Eva thuis?", "Nora", "Thuis bij Nora")
        nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
        nora.at("invite-make").click()
        fatima.run("join", nora.link(), "--as", "Fatima")
        nora.look_until(lambda: joined(fatima, case))

        nora.page.goto(f"{relay.url}/#/case/{case}/part/decisions")
        nora.at("propose").click()
        nora.at("propose-text").fill(FIRST)
        nora.at("propose-save").click()
        expect(nora.at("decision-words")).to_have_text(FIRST, timeout=SECONDS)
        item = nora.page.url.rpartition("/")[2]
        nora.at("step").click()
        expect(nora.at("step")).to_contain_text("Wat vindt iedereen", timeout=SECONDS)
        nora.picture("is-het-duidelijk")

        # Fatima says something in her own part; it stands with the proposal.
        said = {"decision": item, "version": decision_mark(FIRST), "text": "Wie brengt hem dan?"}
        fatima.run("add", case, "answers", "reactions", json.dumps(said))
        nora.look_for("Wie brengt hem dan?")
        nora.at("step").click()
        expect(nora.at("step")).to_contain_text("Vraag iedereen", timeout=SECONDS)
        nora.at("step").click()
        expect(nora.at("voice")).to_have_count(2, timeout=SECONDS)

        # Fatima objects. Nora has not answered yet, so she does not see what Fatima said.
        answers(fatima, case, item, FIRST, "objection", WHY)
        nora.look_until(lambda: voices(nora) == {"Nora": "none", "Fatima": "given"})
        assert WHY not in nora.page.inner_text("main")
        nora.picture("ronde")

        # An objection of her own needs a reason; then she thinks again.
        nora.at("objection").click()
        nora.at("objection-save").click()
        expect(nora.at("objection-missing")).to_be_visible(timeout=SECONDS)
        assert voices(nora)["Nora"] == "none"
        nora.at("answer").get_by_text("Terug").click()
        nora.at("consent").click()
        nora.sees(WHY)
        nora.look_until(lambda: voices(nora) == {"Nora": "consent", "Fatima": "objection"})
        nora.picture("bezwaar")
        nora.at("round-finish").click()
        expect(nora.at("step")).to_contain_text("Pas het voorstel aan", timeout=SECONDS)

        # The text is changed: both answers are void, and everybody is asked again.
        nora.at("decision-edit").click()
        nora.at("decision-text").fill(SECOND)
        nora.at("decision-save").click()
        expect(nora.at("step")).to_contain_text("Vraag iedereen", timeout=SECONDS)
        nora.at("step").click()
        expect(nora.at("voice")).to_have_count(2, timeout=SECONDS)
        nora.look_until(lambda: voices(nora) == {"Nora": "none", "Fatima": "none"})
        nora.sees("Antwoordde op een eerdere tekst")
        # An answer that still speaks of the first text counts no more than the old one.
        answers(fatima, case, item, FIRST, "consent")
        nora.at("consent").click()
        expect(nora.at("answered")).to_be_visible(timeout=SECONDS)
        nora.look_until(lambda: voices(nora) == {"Nora": "consent", "Fatima": "none"})

        answers(fatima, case, item, SECOND, "consent")
        nora.look_until(lambda: voices(nora) == {"Nora": "consent", "Fatima": "consent"})
        nora.at("round-finish").click()
        nora.sees("Afgesproken. We kijken terug op")
        nora.picture("afgesproken")
        nora.look_until(lambda: fatima.run("show", case, "decisions")["decisions"][item]["state"] == "adopted")
        decision = fatima.run("show", case, "decisions")["decisions"][item]
        assert (decision["text"], decision["version"]) == (SECOND, 2)
        assert decision["evaluation"]
        nora.asked_only(relay.url)
        nora.uncomplaining()


def joined(fatima: Here, case: str) -> bool:
    try:
        fatima.run("show", case, "question")
        return True
    except Failed as refused:
        assert refused.code == "not_yet"
        return False


def voices(phone: Phone) -> dict[str, str]:
    rows = phone.page.evaluate(
        """() => [...document.querySelectorAll('[data-test="voice"]')]
          .map((one) => [one.querySelector('strong').innerText, one.dataset.answer])"""
    )
    return dict(rows)


def test_a_suggestion_waits_for_an_owner_and_a_no_reaches_nobody(
    browser: Browser, relay: LiveRelay, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fatima = Here(tmp_path / "fatima")
    with phones(browser, folder(tmp_path, request.node.name)) as make:
        nora = make("nora")
        case = nora.begin(relay.url, "Hoe blijven Sam en Eva thuis?", "Nora", "Thuis bij Nora")
        nora.page.goto(f"{relay.url}/#/case/{case}/invite/Fatima")
        nora.at("invite-make").click()
        fatima.run("join", nora.link(), "--as", "Fatima")
        nora.look_until(lambda: joined(fatima, case))
        for name in ("Bas", "Ingrid"):
            fatima.run("add", case, "voice", "suggestions", json.dumps({"name": name, "relation": "van de club"}))
        nora.page.goto(f"{relay.url}/#/case/{case}/circle")
        nora.look_until(lambda: nora.at("suggestion").count() == 2)
        nora.picture("voorgesteld")
        nora.at("suggestion").filter(has_text="Ingrid").locator('[data-test="suggestion-no"]').click()
        nora.at("suggestion").filter(has_text="Bas").locator('[data-test="suggestion-yes"]').click()
        expect(nora.at("suggestion")).to_have_count(0, timeout=SECONDS)
        nora.page.reload()
        nora.sees("genoemd door Fatima")
        assert nora.at("suggestion").count() == 0
        nora.sends()
        seen = fatima.run("show", case, "circle")["people"].values()
        taken = next(one for one in seen if one["name"] == "Bas")
        assert (taken["status"], taken["relation"]) == ("approved", "van de club")
        me = next(one["person"] for one in fatima.run("people", case)["people"] if one["name"] == "Fatima")
        assert taken["suggested_by"] == me
        # Her no is nowhere but on her own phone, and there only as a number.
        assert "Ingrid" not in str(list(seen))
        assert "Ingrid" not in nora.page.evaluate("JSON.stringify(localStorage)")
        nora.asked_only(relay.url)
        nora.uncomplaining()
