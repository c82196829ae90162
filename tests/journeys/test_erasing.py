"""Somebody who was removed types `erase`: what was read goes from the own home, and the circle goes on."""

from __future__ import annotations

from pathlib import Path

from journeys.here import Here
from live_relay import LiveRelay


def test_who_was_removed_types_erase(relay: LiveRelay, tmp_path: Path) -> None:
    nora, fatima = Here(tmp_path / "nora"), Here(tmp_path / "fatima")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", case, "plan", "agreements", '{"what": "Roerdomp komt zes weken"}')
    fatima.run("join", nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"], "--as", "Fatima")
    nora.run("sync")
    fatima.run("add", case, "diary", "entries", '{"text": "Waterhoen, alleen voor mij"}')
    nora.run("remove", case, "Fatima")
    fatima.run("sync")
    assert fatima.refused("show", case, "plan") == "removed"
    assert b"Waterhoen" in fatima.bytes()
    assert fatima.refused("erase", case) == "bad_argument", "it cannot be undone: asked first"
    answer = fatima.run("erase", case, "--yes")
    assert answer["kept"] == 0
    assert any("does not belong any more" in line for line in answer["say"])
    assert fatima.run("cases")["cases"] == []
    assert b"Waterhoen" not in fatima.bytes()
    assert "Roerdomp" in str(nora.run("show", case, "plan"))
    assert nora.run("sync")["alarms"] == []
