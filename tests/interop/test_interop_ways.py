"""Coming back, own devices, answers and export between the command line and the app, on one real relay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from interop.app_device import AppDevice
from journeys.here import Here
from live_relay import LiveRelay

FAR = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()
NewApp = Callable[[], AppDevice]


@pytest.fixture
def nora(tmp_path: Path) -> Here:
    return Here(tmp_path / "nora")


def whats(shown: dict[str, Any]) -> list[str]:
    return sorted(fields["what"] for fields in shown["agreements"].values())


def test_paper_made_in_python_opens_in_the_app(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    home = nora.run("start", "Thuis bij Nora", "--relay", relay.url, "--as", "Nora")["case"]
    work = nora.run("start", "Werk", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", home, "plan", "agreements", '{"what": "Fatima komt"}')
    nora.run("add", home, "diary", "entries", '{"text": "Alleen voor mij"}')
    code = nora.run("recovery-code")["code"]

    fresh = app_device()
    assert fresh.refused("recover", code[:-1] + ("0" if code[-1] != "0" else "1"), relay.url) == "bad_code"
    back = fresh("recover", code, relay.url)
    assert (sorted(back["cases"]), back["left"]) == (sorted([home, work]), [])
    assert fresh("paper") == {"made": True, "missing": 0, "older": False}
    assert whats(fresh("show", home, "plan")) == ["Fatima komt"]
    assert "Alleen voor mij" in str(fresh("show", home, "diary"))
    assert [one["kind"] for one in fresh("devices", home)] == ["device", "paper"]
    fresh("add", home, "plan", "agreements", {"what": "Weer terug"})
    fresh("sync")
    assert fresh("status")["alarms"] == []

    # The lost phone reads and writes no more, and the paper that was used is dead.
    assert nora.refused("show", home, "plan") == "removed"
    thief = Here(nora.home.parent / "thief")
    assert thief.refused("recover", code, "--relay", relay.url) == "link_expired"

    # And the app's own paper opens in Python.
    last = Here(nora.home.parent / "last")
    again = last.run("recover", back["code"], "--relay", relay.url)
    assert (sorted(again["cases"]), again["left"]) == (sorted([home, work]), [])
    assert whats(last.run("show", home, "plan")) == ["Fatima komt", "Weer terug"]
    last.run("invite", home, "--role", "member", "--name", "Fatima")
    fresh("sync")
    assert fresh.refused("show", home, "plan") == "removed"


def test_paper_is_renewed_in_either_and_the_other_says_so(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    phone = app_device()
    home = phone("start", "Thuis", "Nora", relay.url)
    phone("sync")
    first = phone("recoveryCode")
    assert first["older"] == 0
    link = phone("addDevice", home)
    assert nora.run("join", link, "--as", "Nora")["case"] == home
    phone("sync")
    nora.run("sync")
    assert {one["kind"] for one in nora.run("devices", home)["devices"]} == {"device", "paper"}
    # The laptop has a paper of its own; the phone's still works, and that is said.
    second = nora.run("recovery-code")
    assert second["older"] == 1
    phone("sync")
    assert phone("paper")["older"] is True
    third = phone("recoveryCode", first["code"])
    assert third["older"] == 1  # that of the laptop
    assert Here(nora.home.parent / "x").refused("recover", first["code"], "--relay", relay.url) == "link_expired"
    assert phone.refused("recoveryCode", first["code"]) == "bad_value"


def test_own_devices_of_two_languages(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    home = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", home, "diary", "entries", '{"text": "Alleen voor mij"}')
    phone = app_device()
    link = nora.run("add-device", home)["link"]
    assert phone("greet", link)["kind"] == "device"
    phone("join", link, "Nora")
    nora.run("sync")
    phone("sync")
    assert "Alleen voor mij" in str(phone("show", home, "diary"))
    phone("add", home, "diary", "entries", {"text": "Van de telefoon"})
    phone("sync")
    assert "Van de telefoon" in str(nora.run("show", home, "diary"))
    rows = phone("devices", home)
    assert [(one["kind"], one["isThis"]) for one in rows] == [("device", False), ("device", True)]

    # A grant whose states the lost device could sign is named.
    given = phone("grant", home, "De Wit", "Hulp", FAR, {"parts": {"plan": {"items": "all", "fields": "all"}}})
    removed = phone("removeDevice", home, rows[0]["device"])
    assert removed == {"renew": [{"grant": given["grant"], "to": "De Wit"}]}
    phone("add", home, "diary", "entries", {"text": "Na het verlies"})
    phone("sync")
    assert nora.refused("show", home, "diary") == "removed"
    assert phone("status")["alarms"] == []
