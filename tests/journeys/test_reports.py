"""Two people, one address, and behind it a relay that shows each of them another copy of its files."""

from __future__ import annotations

import json
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from journeys.people import Someone, refused
from live_relay import LiveRelay

Person = Callable[[str], Someone]


def add(someone: Someone, case: str, what: str) -> None:
    someone.run("add", case, "plan", "agreements", json.dumps({"what": what}))


def alarms(someone: Someone, case: str) -> set[tuple[str, str]]:
    return {(one["code"], one["about"]) for one in someone.run("status", case)["alarms"]}


def test_two_people_find_out_that_the_relay_tells_two_stories(relay: LiveRelay, person: Person, tmp_path: Path) -> None:
    nora, karim, fatima = person("nora"), person("karim"), person("fatima")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    for someone, name in ((karim, "Karim"), (fatima, "Fatima")):
        link = nora.run("invite", case, "--role", "member", "--name", name)["link"]
        someone.run("join", link, "--as", name)
        nora.run("sync")
        someone.run("sync")
    add(nora, case, "dat beiden lezen")
    karim.run("sync")
    files = {name: tmp_path / f"{name}.txt" for name in ("nora", "karim", "fatima", "late")}
    karim.run("report", case, "--out", str(files["late"]))
    first = nora.run("compare", case, str(files["late"]))
    assert first["verdict"] == "same"
    # A report says its second, and what two of them were made in is one: all of this takes less on a quick machine.
    while time.time() < first["at"] + 1:
        time.sleep(0.05)

    # From here on Karim is shown the copy.
    relay.stop()
    true, copied = relay.data_dir, tmp_path / "copy"
    shutil.copytree(true, copied)
    relay.start()
    add(nora, case, "in het ene verhaal")
    fatima.run("sync")
    nora.run("report", case, "--out", str(files["nora"]))
    fatima.run("report", case, "--out", str(files["fatima"]))
    assert nora.run("compare", case, str(files["fatima"]))["verdict"] == "same"
    relay.stop()
    relay.data_dir = copied
    relay.start()
    add(karim, case, "in het andere verhaal")
    karim.run("report", case, "--out", str(files["karim"]))
    assert stat.S_IMODE(files["karim"].stat().st_mode) == 0o600
    assert alarms(karim, case) == set(), "of the relay's own answers nothing shows"
    found = karim.run("compare", case, str(files["nora"]))
    assert (found["verdict"], found["by"]["name"], found["older"]) == ("forked", "Nora", False)
    relay.stop()
    relay.data_dir = true
    relay.start()

    found = nora.run("compare", case, str(files["karim"]))
    (plan,) = (one for one in found["streams"] if one["what"] == "plan")
    assert (found["verdict"], found["by"]["name"], plan["verdict"]) == ("forked", "Karim", "forked")
    assert plan["differs_at"] == plan["same_to"] + 1 == plan["yours"] == plan["theirs"]
    assert {one["verdict"] for one in found["streams"]} == {"same", "forked"}
    device = found["by"]["device"]
    assert ("forked", f"report of device {device}") in alarms(nora, case)
    # By somebody who has neither home.
    nobody = person("nobody")
    told = nobody.run("compare", str(files["nora"]), str(files["karim"]))
    assert (told["verdict"], told["checked"]) == ("forked", False)
    assert nobody.run("compare", str(files["nora"]), str(files["fatima"]))["verdict"] == "same"
    # An old one of Karim's says less, and that it is old.
    old = nora.run("compare", case, str(files["late"]))
    assert (old["verdict"], old["older"]) == ("they_behind", True)
    # Nobody is blocked, and once one story is shown both have all of it.
    for _ in range(3):
        karim.run("sync")
        nora.run("sync")
    for someone in (nora, karim):
        words = {item["what"] for item in someone.run("show", case, "plan")["agreements"].values()}
        assert words == {"dat beiden lezen", "in het ene verhaal", "in het andere verhaal"}


def test_each_way_in_which_a_report_is_bad_has_its_code(relay: LiveRelay, person: Person, tmp_path: Path) -> None:
    nora = person("nora")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    other = nora.run("start", "Elders", "--relay", relay.url, "--as", "Nora")["case"]
    file = tmp_path / "report.txt"
    text = nora.run("report", case)["report"]
    file.write_text(text)
    found = nora.run("compare", case, str(file))
    assert (found["verdict"], found["by"]["this"]) == ("same", True)
    assert refused(nora, "compare", other, str(file)) == "other_case"
    assert refused(nora, "report", case, "--out", str(file)) == "home_exists"
    assert refused(nora, "report", case, "--out", str(tmp_path / "no" / "folder")) == "no_home"
    assert refused(nora, "compare", case, str(tmp_path / "nothing")) == "bad_argument"
    for words, code in (
        (text[: len(text) // 2], "bad_report"), ("Wie haalt Sam op?", "bad_report"), ("x" * 2_000_000, "too_large"),
        ("\ufeff" + text, ""),
    ):  # fmt: skip
        file.write_text(words, encoding="utf-8")
        if code:
            assert refused(nora, "compare", case, str(file)) == code
        else:
            assert nora.run("compare", case, str(file))["verdict"] == "same"
    file.write_bytes(b"\xff\xfe\x00" * 9)
    assert refused(nora, "compare", case, str(file)) == "bad_report"
