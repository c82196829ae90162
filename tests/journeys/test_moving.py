"""A family takes its plan to another relay: everybody comes along, readers too, and at the old relay nothing is left."""

from __future__ import annotations

from pathlib import Path

from journeys.here import Here
from journeys.test_letting_read import Family, texts
from live_relay import LiveRelay, live_relay


def test_a_case_goes_to_another_relay(relay: LiveRelay, tmp_path: Path) -> None:
    family = Family(relay.url, tmp_path / "homes")
    nora, fatima, wit, case = family.nora, family.fatima, family.wit, family.case
    nora.run("add", case, "diary", "entries", '{"text": "van mij alleen"}')
    chosen = ("--parts", "plan", "--naming", "Karim", "--without", "plan/agreements/*/with")
    before = wit.run("view", family.let(wit, "De Wit", *chosen))
    old_plan = nora.run("show", case, "plan")
    folder = tmp_path / "uit"
    nora.run("export", case, "--to", str(folder))
    assert nora.refused("import", str(folder), "--relay", "http://127.0.0.1:9") in ("offline", "timed_out")
    assert len(nora.run("cases")["cases"]) == 1, "nothing was started"
    with live_relay(tmp_path / "elders") as other:
        moved = nora.run("import", str(folder), "--relay", other.url)
        new = moved["case"]
        assert new != case
        assert [row["name"] for row in moved["invitations"]] == ["Putter"]
        assert moved["left"] == []
        assert nora.run("show", new, "plan") == old_plan
        assert "van mij alleen" in str(nora.run("show", new, "diary"))
        fatima.run("join", moved["invitations"][0]["link"], "--as", "Putter")
        (given,) = moved["grants"]
        assert given["to"] == "De Wit"
        grant = wit.run("accept", given["link"], "--as", "De Wit")["grant"]
        nora.run("sync")
        fatima.run("sync")
        assert fatima.run("show", new, "plan") == old_plan
        after = wit.run("view", grant)
        assert texts(after) == texts(before)
        assert not set(after["plan"]["agreements"]) & set(before["plan"]["agreements"]), (
            "an id ties old and new together"
        )
        rows = nora.run("access", new)["access"]
        assert [(row["to"], row["purpose"]) for row in rows] == [("De Wit", "meedenken")]
        # Then the old one ends, and the others hear of it.
        nora.run("erase", case, "--yes")
        fatima.run("sync")
        states = {row["case"]: row["state"] for row in fatima.run("cases")["cases"]}
        assert states == {case: "closed", new: "open"}
        fatima.run("add", new, "plan", "agreements", '{"what": "verder"}')
        nora.run("sync")
        assert "verder" in str(nora.run("show", new, "plan"))
        altered = folder / "content.json"
        altered.write_text(altered.read_text() + " ")
        assert nora.refused("import", str(folder), "--relay", other.url) == "bad_export"
        stranger = Here(tmp_path / "vreemd")
        assert stranger.run("cases") == {"cases": []}
