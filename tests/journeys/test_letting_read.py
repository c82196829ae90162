"""Professionals, by the command line on a real relay: what they see, what they say, and what reaches nobody."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

import pytest

from eigenkring import receiving
from eigenkring.library import Device
from journeys.here import Here
from journeys.wiretap import wiretap
from live_relay import LiveRelay

SOON = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=20)).isoformat()
# Every word that no reader was given: an item, a field, another part, a deleted word, an earlier version, a name.
HIDDEN = ("Geelgors", "Kluten", "Roerdomp", "Wulpen", "Zwaluwen", "Nachtegaal", "Putter")


class Family:
    """A plan with words that are shown and words that are not, and two readers who lay all they have side by side."""

    def __init__(self, relay: str, homes: Path) -> None:
        self.nora, self.fatima = Here(homes / "nora"), Here(homes / "fatima")
        self.wit, self.bos = Here(homes / "wit"), Here(homes / "bos")
        nora = self.nora
        self.soon = SOON
        self.case: str = nora.run("start", "Thuisplan", "--relay", relay, "--as", "Nora")["case"]
        link = nora.run("invite", self.case, "--role", "member", "--name", "Putter")["link"]
        self.fatima.run("join", link, "--as", "Putter")
        nora.run("sync")
        self.fatima.run("sync")
        add = ("add", self.case)
        self.shown = nora.run(*add, "plan", "agreements", '{"what": "Wulpen eerst", "who": "Karim", "with": "Kluten"}')
        nora.run("set", self.case, "plan", f"agreements/{self.shown['item']}/what", "Karim rijdt")
        self.hidden = nora.run(*add, "plan", "agreements", '{"what": "Geelgors", "who": "Lotte"}')["item"]
        gone = nora.run(*add, "plan", "agreements", '{"what": "Roerdomp", "who": "Karim"}')["item"]
        nora.run("delete", self.case, "plan", f"agreements/{gone}")
        nora.run(*add, "private", "ideas", '{"text": "Zwaluwen"}')
        nora.run(*add, "strengths", "items", '{"text": "Nachtegaal"}')

    def give(self, to: str, *chosen: str) -> dict[str, Any]:
        words = ("--to", to, "--purpose", "meedenken", "--until", SOON, *chosen)
        return self.nora.run("grant", self.case, *words)

    def let(self, reader: Here, name: str, *chosen: str) -> str:
        grant: str = reader.run("accept", self.give(name, *chosen)["link"], "--as", name)["grant"]
        self.nora.run("sync")
        return grant


def texts(view: dict[str, Any]) -> list[str]:
    return sorted(item["what"] for item in view["plan"]["agreements"].values())


def test_two_readers_the_relay_and_the_wire_together_learn_nothing_that_was_not_shown(
    relay: LiveRelay, tmp_path: Path
) -> None:
    with wiretap(relay.url) as tap:
        family = Family(tap.url, tmp_path / "homes")
        chosen = ("--parts", "plan", "--naming", "Karim", "--without", "plan/agreements/*/with")
        one, other = family.let(family.wit, "De Wit", *chosen), family.let(family.bos, "Bos", *chosen)
        views = [family.wit.run("view", one), family.bos.run("view", other)]
        family.nora.run("set", family.case, "plan", f"agreements/{family.hidden}/what", "Geelgors en Kluten")
        before = [family.wit.run("views")["views"], family.bos.run("views")["views"]]
        family.nora.run("sync")
        assert [family.wit.run("views")["views"], family.bos.run("views")["views"]] == before, (
            "a trace of what is hidden"
        )
    assert [texts(view) for view in views] == [["Karim rijdt"]] * 2
    kept = b"".join(path.read_bytes() for path in sorted(relay.data_dir.rglob("*")) if path.is_file())
    attacker = family.wit.bytes() + family.bos.bytes() + kept + bytes(tap.heard) + str(views).encode()
    attacker += "\n".join(relay.lines).encode()
    for reader in (family.wit, family.bos):
        attacker += opened_by(reader)
    assert b"Karim rijdt" in attacker, "nothing was opened, so nothing was tested"
    for word in HIDDEN:
        assert word.encode() not in attacker, word
    for item in (family.shown["item"], family.hidden):
        assert item.encode() not in attacker and bytes.fromhex(item) not in attacker
    held = [reader.bytes() + opened_by(reader) for reader in (family.wit, family.bos)]
    for home in held:
        assert family.case.encode() not in home and bytes.fromhex(family.case) not in home, "the case ties two grants"
    assert not set(views[0]["plan"]["agreements"]) & set(views[1]["plan"]["agreements"]), (
        "an id ties two grants together"
    )


def test_chosen_items_and_fields_after_words_were_compared(relay: LiveRelay, tmp_path: Path) -> None:
    family = Family(relay.url, tmp_path / "homes")
    nora, wit, case, item = family.nora, family.wit, family.case, family.shown["item"]
    chosen = ("--items", f"plan/agreements/{item}", "--fields", "plan/agreements/what,plan/agreements/who")
    preview = nora.run("preview", case, *chosen)
    link = family.give("De Wit", *chosen, "--compare")["link"]
    grant = wit.run("accept", link, "--as", "De Wit")["grant"]
    nora.run("sync")
    (row,) = wit.run("views")["views"]
    (waiting,) = (one for one in nora.run("pending", case)["waiting"] if one["what"] == "compare")
    assert (waiting["name"], len(waiting["words"])) == ("De Wit", 4)
    assert (row["status"], row["words"]) == ("waiting", waiting["words"])
    assert wit.refused("view", grant) == "not_yet"
    assert b"Karim" not in wit.bytes()
    assert nora.run("confirm", case, "De Wit") == {"grant": grant}
    view = wit.run("view", grant)
    assert list(view["plan"]["agreements"].values()) == [{"what": "Karim rijdt", "who": "Karim"}]
    assert list(preview["plan"]["agreements"].values()) == list(view["plan"]["agreements"].values())
    assert wit.run("views")["views"][0]["words"] is None


def opened_by(reader: Here) -> bytes:
    """Everything that lies in a reader's store, opened with all keys it holds."""
    with Device.open(reader.home, offline=True) as device:
        (row,) = device.store.grants()
        return row.view + row.state + str(receiving.parts_of(row)).encode()


def test_what_a_professional_says_is_taken_over_and_what_they_did_is_seen(relay: LiveRelay, tmp_path: Path) -> None:
    family = Family(relay.url, tmp_path / "homes")
    nora, wit, case = family.nora, family.wit, family.case
    question = nora.run("add", case, "information", "questions", '{"text": "Welke schulden?"}')["item"]
    chosen = ("--parts", "plan,information")
    before = nora.run("preview", case, *chosen)
    grant = family.let(wit, "De Wit", *chosen)
    view = wit.run("view", grant)
    assert texts(view) == texts(before) == texts(nora.run("preview", case, grant))
    shown = next(iter(view["information"]["questions"]))
    wit.run("answer", grant, shown, "Drie, samen 4.000 euro")
    wit.run("propose-condition", grant, "Altijd iemand thuis", "--why", "Sam is negen")
    wit.run("need", grant, "Een avond meekijken")
    wit.run("ask", grant, "Wie haalt Sam op?")
    copy = tmp_path / "kopie.json"
    wit.run("save-copy", grant, str(copy))
    assert json.loads(copy.read_text())["parts"] == view

    waiting = family.fatima.run("incoming", case)["incoming"]
    assert [one["what"] for one in waiting] == ["answer", "condition", "need", "ask"]
    for one in waiting:
        family.fatima.run("take", case, one["incoming"])
    assert nora.run("incoming", case) == {"incoming": []}
    (answer,) = nora.run("show", case, "information")["answers"].values()
    assert (answer["text"], answer["about"], answer["by"]) == ("Drie, samen 4.000 euro", [question], "De Wit")
    assert [c["set_by"] for c in nora.run("show", case, "safety")["conditions"].values()] == ["De Wit"]
    (row,) = nora.run("access", case)["access"]
    assert row["opened"] and row["copied"] and not row["stopped_by"]

    given = nora.run("renew", case, grant, "--to", "Bos")
    family.bos.run("accept", given["link"], "--as", "Bos")
    nora.run("sync")
    assert "plan" in family.bos.run("view", given["grant"])
    assert wit.refused("view", grant) == "withdrawn"
    assert wit.refused("ask", grant, "nog iets") == "withdrawn"
    assert b"4.000" not in wit.bytes()


def test_both_family_devices_publish_and_the_reader_ends_at_one_merged_state(relay: LiveRelay, tmp_path: Path) -> None:
    family = Family(relay.url, tmp_path / "homes")
    grant = family.let(family.wit, "De Wit", "--parts", "plan", "--naming", "Karim")
    item = family.shown["item"]
    family.fatima.run("sync")
    family.fatima.run("set", family.case, "plan", f"agreements/{item}/what", "Karim rijdt op zondag", offline=True)
    family.nora.run("set", family.case, "plan", f"agreements/{item}/what", "Broer Karim rijdt")
    assert texts(family.wit.run("view", grant)) == ["Broer Karim rijdt"]
    family.fatima.run("sync")
    assert texts(family.wit.run("view", grant)) == ["Broer Karim rijdt op zondag"]
    family.nora.run("sync")
    assert family.wit.run("sync")["alarms"] == []


def test_own_devices_paper_and_taking_along(relay: LiveRelay, tmp_path: Path) -> None:
    family = Family(relay.url, tmp_path / "homes")
    nora, case = family.nora, family.case
    tablet = Here(tmp_path / "homes" / "tablet")
    tablet.run("join", nora.run("add-device", case)["link"], "--as", "Nora")
    nora.run("sync")
    tablet.run("sync")
    assert tablet.run("show", case, "private") == nora.run("show", case, "private")
    code = nora.run("recovery-code")["code"]
    assert sorted(d["kind"] for d in tablet.run("devices", case)["devices"]) == ["device", "device", "paper"]
    started = time.monotonic()
    new = Here(tmp_path / "homes" / "nieuw")
    answer = new.run("recover", code, "--relay", relay.url)
    assert answer["cases"] == [case]
    assert time.monotonic() - started < 60
    new.run("add", case, "plan", "agreements", '{"what": "weer thuis"}')
    for lost in (nora, tablet):
        lost.run("sync")
        assert lost.refused("show", case, "plan") == "removed"
        assert b"weer thuis" not in lost.bytes()
    assert Here(tmp_path / "homes" / "dief").refused("recover", code, "--relay", relay.url) == "link_expired"
    mine = next(d["device"] for d in new.run("devices", case)["devices"] if d["kind"] == "paper")
    assert new.refused("remove-device", case, mine) == "not_permitted"

    out = tmp_path / "uit"
    new.run("export", case, "--to", str(out))
    assert Here(tmp_path / "homes" / "nergens").run("verify", str(out))["parts"]["plan"]["passed"] == []
    page = out / "lezen.html"
    page.write_text(page.read_text() + " ")
    assert new.refused("verify", str(out)) == "bad_export"
    assert new.refused("erase", case) == "bad_argument"
    new.run("erase", case, "--yes")
    assert new.run("cases") == {"cases": []}
    family.fatima.run("sync")
    assert family.fatima.run("cases")["cases"][0]["state"] == "closed"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("take", "CASE", "ffffffff"), "no_such_item"),
        (("renew", "CASE", "ffffffff", "--to", "X"), "no_such_grant"),
        (("preview", "CASE"), "bad_argument"),
        (("preview", "CASE", "--parts", "private"), "not_permitted"),
        (("answer", "ffffffff", "x", "y"), "no_such_grant"),
        (("save-copy", "ffffffff", "kopie"), "no_such_grant"),
        (("remove-device", "CASE", "ffffffff"), "no_such_item"),
        (("recover", "geen code", "--relay", "http://127.0.0.1:1"), "bad_code"),
        (("verify", "/nergens/te/vinden"), "no_home"),
    ],
)
def test_bad_words_get_a_code(relay: LiveRelay, tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    nora = Here(tmp_path / "nora")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    assert nora.refused(*(case if word == "CASE" else word for word in words)) == code
