"""A command line and an app compare what one relay showed each of them, both ways, and a relay that forks the two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from interop.app_device import AppDevice
from journeys.here import Here
from live_relay import LiveRelay

NewApp = Callable[[], AppDevice]


def test_the_command_line_and_the_app_compare_both_ways_and_find_a_fork(
    relay: LiveRelay, app_device: NewApp, tmp_path: Path
) -> None:
    nora, fatima = Here(tmp_path / "nora"), app_device()
    home = nora.run("start", "Thuis bij Nora", "--relay", relay.url, "--as", "Nora")["case"]
    fatima("join", nora.run("invite", home, "--role", "member", "--name", "Fatima")["link"], "Fatima")
    nora.run("sync")
    fatima("sync")
    nora.run("add", home, "plan", "agreements", '{"what": "dat beiden lezen"}')
    nora.run("add", home, "diary", "entries", '{"text": "Alleen voor mij"}')
    fatima("add", home, "plan", "agreements", {"what": "van Fatima"})
    for _ in range(2):
        fatima("sync")
        nora.run("sync")
    fatima("sync")
    file = tmp_path / "fatima.txt"

    def from_app() -> str:
        file.write_text(fatima("report", home)["content"])
        return str(file)

    found = nora.run("compare", home, from_app())
    assert (found["verdict"], found["by"]["name"]) == ("same", "Fatima")
    told = fatima("compareReport", home, nora.run("report", home)["report"])
    assert (told["verdict"], told["name"], told["here"]) == ("same", "Nora", True)
    both = {one["what"] for one in found["streams"]}
    assert both == {one["what"] for one in told["lines"]}, "both name the same streams"
    assert {"charter", "keys", "plan"} <= both
    assert fatima.refused("compareReport", home, "Wie haalt Sam op?") == "bad_report"

    relay.stop()
    true, copied = relay.data_dir, tmp_path / "copy"
    shutil.copytree(true, copied)
    relay.start()
    nora.run("add", home, "plan", "agreements", '{"what": "in het ene verhaal"}')
    hers = nora.run("report", home)["report"]
    relay.stop()
    relay.data_dir = copied
    relay.start()
    fatima("add", home, "plan", "agreements", {"what": "in het andere verhaal"})
    fatima("sync")
    his = from_app()
    told = fatima("compareReport", home, hers)
    assert (told["verdict"], [one["what"] for one in told["lines"] if one["verdict"] == "forked"]) == (
        "forked",
        ["plan"],
    )
    assert fatima("status")["alarms"] == [{"code": "forked", "case": home, "name": "Nora"}]
    relay.stop()
    relay.data_dir = true
    relay.start()
    found = nora.run("compare", home, his)
    assert (found["verdict"], [one["what"] for one in found["streams"] if one["verdict"] == "forked"]) == (
        "forked",
        ["plan"],
    )
    # The same from the two files alone.
    (tmp_path / "nora.txt").write_text(hers)
    alone = nora.run("compare", str(tmp_path / "nora.txt"), his)
    assert (alone["verdict"], alone["checked"]) == ("forked", False)
