"""Somebody who was removed takes along what was read, and types `erase`: it goes from the own home, and the circle goes on."""

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


def test_who_was_removed_takes_along_what_was_read_until_then(relay: LiveRelay, tmp_path: Path) -> None:
    nora, fatima = Here(tmp_path / "nora"), Here(tmp_path / "fatima")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", case, "plan", "agreements", '{"what": "Roerdomp komt zes weken"}')
    fatima.run("join", nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"], "--as", "Fatima")
    nora.run("sync")
    fatima.run("add", case, "diary", "entries", '{"text": "Waterhoen, alleen voor mij"}')
    # A letter that her home never fetched: nothing is asked for after a removal.
    asked = nora.run("add", case, "information", "questions", '{"text": "Wat staat er?"}')["item"]
    letter = tmp_path / "brief.txt"
    letter.write_text("Kemphaan")
    nora.run("attach", case, "information", f"questions/{asked}", str(letter), "--as-is")
    fatima.run("sync")
    nora.run("remove", case, "Fatima")
    nora.run("add", case, "plan", "agreements", '{"what": "Kwartelkoning, daarna"}')
    fatima.run("sync")
    assert fatima.refused("show", case, "plan") == "removed"
    folder = tmp_path / "hers"
    assert fatima.run("export", case, "--to", str(folder))["missing"] == 1
    proven = Here(tmp_path / "nobody").run("verify", str(folder))
    assert proven["by"] == "Fatima"
    assert set(proven["parts"]["plan"]["changes"]) == {"Nora"}
    whole = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"Roerdomp" in whole
    assert b"Waterhoen" in whole, "her own diary"
    assert b"Kwartelkoning" not in whole
    assert b"Kemphaan" not in whole
    # It is her copy like any other: she may begin anew with it, and nothing of the others moves.
    made = fatima.run("import", str(folder), "--relay", relay.url)["case"]
    assert "Waterhoen" in str(fatima.run("show", made, "diary"))
    assert nora.run("sync")["alarms"] == []
    assert [one["name"] for one in nora.run("people", case)["people"]] == ["Nora"]
