"""A family of two languages on one real relay: Nora types commands, Fatima and De Wit use the app's library under Node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from interop.app_device import AppDevice
from journeys.people import Someone, refused
from live_relay import LiveRelay

FAR = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@pytest.fixture
def nora(tmp_path: Path) -> Someone:
    return Someone(tmp_path / "nora", "Nora")


def agreements(parts: dict[str, Any]) -> dict[str, Any]:
    return {item: fields["what"] for item, fields in parts["agreements"].items()}


def same_plan(someone: Someone, device: AppDevice, case: str) -> dict[str, Any]:
    theirs, ours = someone.run("show", case, "plan"), device("show", case, "plan")
    assert agreements(theirs) == agreements(ours)
    return agreements(ours)


def test_python_begins_and_the_app_joins(relay: LiveRelay, nora: Someone, app_device: Callable[[], AppDevice]) -> None:
    case = nora.run("start", "Thuis bij Nora", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", case, "plan", "agreements", '{"what": "Fatima komt zes weken bij ons wonen"}')
    link = nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"]
    fatima = app_device()
    said = fatima("greet", link)
    assert (said["kind"], said["from"], said["name"], said["role"]) == ("invite", "Nora", "Fatima", "member")
    assert fatima("join", link, "Fatima") == case
    assert fatima("cases")[0]["state"] == "waiting"
    nora.run("sync")
    fatima("sync")
    one = fatima("cases")[0]
    assert (one["state"], one["title"], one["role"]) == ("open", "Thuis bij Nora", "member")
    assert [person["name"] for person in fatima("people", case)] == ["Nora", "Fatima"]

    # Both write, Fatima without a connection; a set, a number and a text of many kinds of letters among it.
    fatima("line", False)
    item = fatima(
        "add", case, "plan", "agreements", {"what": "Oma kookt 👩‍🍳 op zondag", "with": "Opa", "status": "open"}
    )
    assert fatima.refused("sync", case) == "offline"
    nora.run("add", case, "plan", "agreements", '{"what": "Karim rijdt", "who": "Karim"}')
    fatima("line", True)
    fatima("sync")
    nora.run("sync")
    fatima("sync")
    plan = same_plan(nora, fatima, case)
    assert sorted(plan.values()) == [
        "Fatima komt zes weken bij ons wonen",
        "Karim rijdt",
        "Oma kookt 👩‍🍳 op zondag",
    ]

    # In one text at once: neither takes the other's words.
    fatima("line", False)
    fatima("set", case, "plan", f"agreements/{item}/what", "Oma kookt 👩‍🍳 op zondag en maandag")
    nora.run("set", case, "plan", f"agreements/{item}/what", "Samen: Oma kookt 👩‍🍳 op zondag")
    nora.run("sync")
    fatima("line", True)
    fatima("sync")
    nora.run("sync")
    assert same_plan(nora, fatima, case)[item] == "Samen: Oma kookt 👩‍🍳 op zondag en maandag"

    # Fatima's own parts, founded by the app, read by Python.
    me = next(person["person"] for person in fatima("people", case) if person["me"])
    fatima("add", case, "voice", "suggestions", {"name": "Karim"})
    fatima("sync")
    assert "Karim" in str(nora.run("show", case, f"voice@{me}"))
    assert fatima("status")["alarms"] == []
    assert nora.run("sync")["alarms"] == []

    nora.run("remove", case, "Fatima")
    nora.run("add", case, "plan", "agreements", '{"what": "Na Fatima"}')
    fatima("sync")
    assert fatima("cases")[0]["state"] == "ended"
    assert fatima.refused("show", case, "plan") == "removed"


def test_the_app_begins_and_python_joins(relay: LiveRelay, tmp_path: Path, app_device: Callable[[], AppDevice]) -> None:
    nora = app_device()
    case = nora("start", "Thuis bij Nora", "Nora", relay.url)
    nora("set", case, "question", "question/question/text", "Hoe blijven Sam en Eva thuis?")
    nora("sync")
    fatima, sam = Someone(tmp_path / "fatima", "Fatima"), Someone(tmp_path / "sam", "Sam")
    for someone, role in ((fatima, "member"), (sam, "child")):
        assert someone.run("join", nora("invite", case, role, someone.name), "--as", someone.name)["case"] == case
        assert refused(someone, "show", case) == "not_yet"
        nora("sync")
    nora("add", case, "plan", "agreements", {"what": "Fatima komt"})
    nora("sync")
    fatima.run("add", case, "plan", "agreements", '{"what": "Karim rijdt"}')
    nora("sync")
    assert sorted(same_plan(fatima, nora, case).values()) == ["Fatima komt", "Karim rijdt"]
    assert fatima.run("show", case, "question")["question"]["question"]["text"] == "Hoe blijven Sam en Eva thuis?"
    # A child reads the plan and not the private time.
    assert "Fatima komt" in str(sam.run("show", case, "plan"))
    assert refused(sam, "show", case, "private") == "not_permitted"
    assert [person["name"] for person in sam.run("people", case)["people"]] == ["Nora", "Fatima", "Sam"]

    nora("remove", case, "Fatima")
    nora("add", case, "plan", "agreements", {"what": "Zonder Fatima"})
    nora("sync")
    assert refused(fatima, "show", case, "plan") == "removed"
    assert "Zonder Fatima" in str(sam.run("show", case, "plan"))
    assert nora("status")["alarms"] == []


@pytest.mark.parametrize("family_in", ["python", "app"])
def test_a_view_crosses_the_languages(
    relay: LiveRelay, tmp_path: Path, app_device: Callable[[], AppDevice], family_in: str
) -> None:
    reader_app, owner_app, owner = app_device(), app_device(), Someone(tmp_path / "nora", "Nora")
    reader = Someone(tmp_path / "dewit", "De Wit")
    selection = {"parts": {"plan": {"items": "all", "fields": "all"}}}
    if family_in == "python":
        case = owner.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
        item = owner.run("add", case, "plan", "agreements", '{"what": "Fatima komt", "who": "Fatima"}')["item"]
        owner.run("add", case, "private", "ideas", '{"text": "KANARIE"}')
        given = owner.run("grant", case, "--to", "De Wit", "--purpose", "Hulp", "--until", FAR, "--parts", "plan")
        assert reader_app("greet", given["link"])["kind"] == "grant"
        assert reader_app("accept", given["link"], "De Wit") == given["grant"]
        assert reader_app("view", given["grant"])["state"] == "waiting"
        owner.run("sync")
    else:
        case = owner_app("start", "Thuis", "Nora", relay.url)
        item = owner_app("add", case, "plan", "agreements", {"what": "Fatima komt", "who": "Fatima"})
        owner_app("add", case, "private", "ideas", {"text": "KANARIE"})
        owner_app("sync")
        preview = owner_app("preview", case, selection)
        given = owner_app("grant", case, "De Wit", "Hulp", FAR, selection)
        assert reader.run("accept", given["link"], "--as", "De Wit")["grant"] == given["grant"]
        owner_app("sync")
        assert next(iter(preview["plan"]["agreements"].values()))["what"] == "Fatima komt"

    def seen() -> list[str]:
        if family_in == "python":
            reader_app("sync")
            shown = reader_app("view", given["grant"])
            assert (shown["state"], shown["from"], shown["to"]) == ("open", "Nora", "De Wit")
            parts = shown["parts"]
        else:
            parts = reader.run("view", given["grant"])
        assert "KANARIE" not in str(parts) and item not in str(parts)
        return [fields["what"] for fields in parts["plan"]["agreements"].values()]

    assert seen() == ["Fatima komt"]
    if family_in == "python":
        owner.run("set", case, "plan", f"agreements/{item}/what", "Fatima komt op zondag")
        assert seen() == ["Fatima komt op zondag"]
        owner.run("withdraw", case, given["grant"])
        reader_app("sync")
        gone = reader_app("view", given["grant"])
        assert (gone["state"], gone["parts"]) == ("stopped", {})
    else:
        owner_app("set", case, "plan", f"agreements/{item}/what", "Fatima komt op zondag")
        owner_app("sync")
        assert seen() == ["Fatima komt op zondag"]
        assert [(one["to"], one["purpose"], one["state"]) for one in owner_app("access", case)] == [
            ("De Wit", "Hulp", "running")
        ]
        assert [one["name"] for one in owner_app("readers", case, "plan")] == ["Nora", "De Wit"]
        owner_app("withdraw", case, given["grant"])
        assert refused(reader, "view", given["grant"]) == "withdrawn"
        assert owner_app("access", case)[0]["state"] == "stopped"
