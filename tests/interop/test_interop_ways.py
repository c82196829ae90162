"""Coming back, own devices, answers and export between the command line and the app, on one real relay."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from eigenkring.attachment import VERSION, Shown, pack_attachment
from interop.app_device import AppDevice
from interop.test_interop_attachments import CLEAN, LETTER, PHOTO, file_of
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

    # A grant whose states the lost device could sign is said to go on.
    given = phone("grant", home, "De Wit", "Hulp", FAR, {"parts": {"plan": {"items": "all", "fields": "all"}}})
    removed = phone("removeDevice", home, rows[0]["device"])
    assert removed == {"renewed": [{"grant": given["grant"], "to": "De Wit"}]}
    phone("add", home, "diary", "entries", {"text": "Na het verlies"})
    phone("sync")
    assert nora.refused("show", home, "diary") == "removed"
    assert phone("status")["alarms"] == []


def given_to(who: str, question: str) -> tuple[str, ...]:
    return ("grant", who, "--to", "De Wit", "--purpose", "Meekijken", "--until", FAR, "--parts", question)


def test_the_app_answers_and_python_takes_it_over(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    home = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    asked = nora.run("add", home, "information", "questions", '{"text": "Kan De Wit mee?"}')["item"]
    given = nora.run(*given_to(home, "information"))
    reader = app_device()
    reader("accept", given["link"], "De Wit")
    nora.run("sync")
    reader("sync")
    reader("opened", given["grant"])
    (question,) = reader("view", given["grant"])["parts"]["information"]["questions"]
    reader("answerQuestion", given["grant"], question, "Ja, dat kan.")
    reader("proposeCondition", given["grant"], "Er slaapt een volwassene in huis", "Sam is negen")
    copy = reader("saveCopy", given["grant"])
    assert "Kan De Wit mee?" in copy["content"] and asked not in copy["content"]
    reader("sync")
    waiting = nora.run("incoming", home)["incoming"]
    assert [(one["from"], one["what"], one["about"]) for one in waiting] == [
        ("De Wit", "answer", asked),
        ("De Wit", "condition", None),
    ]
    for one in waiting:
        nora.run("take", home, one["incoming"])
    (answer,) = nora.run("show", home, "information")["answers"].values()
    assert (answer["text"], answer["by"], answer["about"]) == ("Ja, dat kan.", "De Wit", [asked])
    assert "volwassene" in str(nora.run("show", home, "safety"))
    (line,) = nora.run("access", home)["access"]
    assert line["opened"] and line["copied"]
    assert nora.run("sync")["alarms"] == []


def test_python_answers_and_the_app_takes_it_over(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    family, reader = app_device(), nora
    home = family("start", "Thuis", "Nora", relay.url)
    asked = family("add", home, "help", "requests", {"what": "Vervoer", "why": "Niemand rijdt"})
    family("sync")
    selection = {"parts": {"help": {"items": "all", "fields": "all"}}}
    given = family("grant", home, "De Wit", "Meekijken", FAR, selection)
    reader.run("accept", given["link"], "--as", "De Wit")
    family("sync")
    (request,) = reader.run("view", given["grant"])["help"]["requests"]
    reader.run("answer-help", given["grant"], request[:8], "Er is een buurtbus")
    reader.run("need", given["grant"], "Een telefoonnummer")
    family("sync")
    waiting = family("incoming", home)
    assert [(one["from"], one["what"], one["about"]) for one in waiting] == [
        ("De Wit", "answer_help", asked),
        ("De Wit", "need", None),
    ]
    first = waiting[0]["incoming"]
    assert family("take", home, first) == {"part": "help", "item": first}
    assert family("show", home, "help")["answers"][first]["text"] == "Er is een buurtbus"
    assert family("show", home, "help")["requests"][asked]["status"] == "answered"
    assert family("access", home)[0]["opened"]

    # Taken by two devices of two languages at once, it is one item.
    laptop = Here(nora.home.parent / "laptop")
    laptop.run("join", family("addDevice", home), "--as", "Nora")
    family("sync")
    laptop.run("sync")
    need = waiting[1]["incoming"]
    family("take", home, need)
    laptop.run("take", home, need, offline=True)
    family("sync")
    laptop.run("sync")
    family("sync")
    assert list(family("show", home, "safety")["needs"]) == [need]
    assert list(laptop.run("show", home, "safety")["needs"]) == [need]
    assert family("incoming", home) == [] == laptop.run("incoming", home)["incoming"]

    # A colleague takes over; the one before reads no more.
    next_ = family("renew", home, given["grant"], "Bakker")
    assert reader.refused("view", given["grant"]) == "withdrawn"
    colleague = Here(nora.home.parent / "bakker")
    colleague.run("accept", next_["link"], "--as", "Bakker")
    family("sync")
    assert "Vervoer" in str(colleague.run("view", next_["grant"]))
    assert family("status")["alarms"] == []


def test_what_the_app_exports_is_verified_by_python(
    relay: LiveRelay, nora: Here, app_device: NewApp, tmp_path: Path
) -> None:
    phone = app_device()
    home = phone("start", "Thuis <bij> \"Nora\" & 'Sam'", "Nora", relay.url)
    phone("add", home, "plan", "agreements", {"what": "Fatima 👩‍🍳 komt\nop zondag", "who": "Fatima", "order": 1.5})
    phone("add", home, "plan", "agreements", {"what": "\u0001 \u2028 Ä", "order": 3, "topic": ""})
    phone("add", home, "agenda", "appointments", {"title": "School"})
    phone("sync")
    nora.run("join", phone("invite", home, "member", "Fatima"), "--as", "Fatima")
    phone("sync")
    nora.run("add", home, "plan", "agreements", '{"what": "Karim rijdt", "order": 1e-7}')
    phone("sync")
    phone("remove", home, phone("people", home)[1]["person"])
    phone("add", home, "plan", "agreements", {"what": "Na Fatima"})
    phone("sync")

    saved = phone("exportCase", home)
    folder = tmp_path / "export"
    with ZipFile(BytesIO(bytes.fromhex(saved["content"]["hex"]))) as packed:
        assert packed.testzip() is None
        packed.extractall(folder)
    told = Here(tmp_path / "anybody").run("verify", str(folder))
    assert (told["case"], told["by"]) == (home, "Nora")
    assert told["parts"]["plan"]["changes"] == {"Nora": 3, "Fatima": 1}
    assert told["parts"]["plan"]["passed"] == []
    assert "Karim rijdt" in (folder / "lezen.html").read_text("utf-8")
    page = folder / "content.json"
    page.write_bytes(page.read_bytes().replace(b"Karim rijdt", b"Karim loopt"))
    assert Here(tmp_path / "anybody").refused("verify", str(folder)) == "bad_export"

    # Erased: nothing of it is here, and the others are told.
    erased = phone("erase", home)
    assert erased["wasOwner"] and erased["wasAlone"] and erased["closed"] > 10
    assert erased["kept"] == 2  # Fatima's own pages are hers to close
    assert phone("cases") == []
    assert phone.refused("show", home) == "no_such_case"


def test_photos_and_files_come_along_from_the_app(
    relay: LiveRelay, nora: Here, app_device: NewApp, tmp_path: Path
) -> None:
    phone = app_device()
    home = phone("start", "Thuis", "Nora", relay.url)
    item = phone("add", home, "plan", "agreements", {"what": "naar de speeltuin"})
    phone("attach", home, "plan", f"agreements/{item}/photo", file_of(PHOTO))
    question = phone("add", home, "information", "questions", {"text": "Wat staat er?"})
    phone(
        "attach",
        home,
        "information",
        f"questions/{question}",
        {**file_of(LETTER), "name": "brief & co.pdf", "asIs": True},
    )
    phone("sync")
    nora.run("join", phone("invite", home, "member", "Fatima"), "--as", "Fatima")
    phone("sync")
    nora.run("sync")
    (tmp_path / "hers.txt").write_bytes(b"van Fatima")
    other = nora.run("add", home, "information", "questions", '{"text": "En dit?"}')["item"]
    nora.run("attach", home, "information", f"questions/{other}", str(tmp_path / "hers.txt"), "--as-is")
    nora.run("sync")
    phone("sync")
    folder = tmp_path / "export"
    with ZipFile(BytesIO(bytes.fromhex(phone("exportCase", home)["content"]["hex"]))) as packed:
        packed.extractall(folder)
    assert Here(tmp_path / "anybody").run("verify", str(folder))["case"] == home
    held = sorted(path.read_bytes() for path in (folder / "files").iterdir())
    assert held == sorted([CLEAN, LETTER, b"van Fatima"])
    assert ">brief &amp; co.pdf</a>" in (folder / "lezen.html").read_text("utf-8")
    for path in (folder / "files").iterdir():
        was = path.read_bytes()
        path.write_bytes(was[:-1])
        assert Here(tmp_path / "anybody").refused("verify", str(folder)) == "bad_export"
        path.write_bytes(was)
    # Words that only look like a photo in a view; offline, and one that was never seen here: the plan comes along all the same, and says what is missing.
    lure = pack_attachment(Shown(VERSION, "foto.jpg", "image/jpeg", 1, b""))
    nora.run("add", home, "plan", "agreements", json.dumps({"what": lure}))
    (tmp_path / "late.txt").write_bytes(b"later")
    nora.run("attach", home, "information", f"questions/{question}", str(tmp_path / "late.txt"), "--as-is")
    nora.run("sync")
    phone("sync")
    phone("line", False)
    without = tmp_path / "without"
    with ZipFile(BytesIO(bytes.fromhex(phone("exportCase", home)["content"]["hex"]))) as packed:
        packed.extractall(without)
    assert Here(tmp_path / "anybody").run("verify", str(without))["case"] == home
    assert "late.txt (niet meegenomen)" in (without / "lezen.html").read_text("utf-8")
    assert len(list((without / "files").iterdir())) == 2


def test_one_list_of_cases_on_a_phone_with_the_app_and_a_laptop_with_the_command_line(
    relay: LiveRelay, nora: Here, app_device: NewApp
) -> None:
    phone = app_device()
    home, work = phone("start", "Thuis", "Nora", relay.url), phone("start", "Werk", "Nora", relay.url)
    phone("add", work, "plan", "agreements", {"what": "Bellen"})
    phone("sync")
    nora.run("join", phone("addDevice", home), "--as", "Nora")
    later = ""
    for turn in range(3):
        phone("sync")
        nora.run("sync")
        if turn == 1:
            later = nora.run("start", "Later", "--relay", relay.url, "--as", "Nora")["case"]
    phone("sync")
    nora.run("sync")
    phone("sync")
    assert {row["case"] for row in nora.run("cases")["cases"]} == {home, work, later}
    assert whats(nora.run("show", work, "plan")) == ["Bellen"]
    assert sorted(one["title"] for one in phone("cases")) == ["Later", "Thuis", "Werk"]
    # What is erased here goes there, and a phone that is put out is put out of everything.
    nora.run("erase", work, "--yes")
    nora.run("sync")
    phone("sync")
    assert sorted(one["title"] for one in phone("cases")) == ["Later", "Thuis"]
    (lost,) = [row["device"] for row in nora.run("devices", home)["devices"] if not row["this"]]
    nora.run("remove-device", home, lost)
    nora.run("sync")
    assert len(nora.run("devices", later)["devices"]) == 1
    phone("sync")
    assert phone.refused("show", later, "plan") == "removed"


def test_python_moves_in_by_an_address_of_the_app(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    page = app_device()
    home = page("start", "Thuis", "Nora", relay.url)
    page("add", home, "diary", "entries", {"text": "Alleen voor mij"})
    page("sync")
    made = page("makeAddress")
    assert made["state"] == "out"
    assert [one["kind"] for one in page("devices", home)] == ["device", "link"]

    assert nora.refused("join", made["link"], "--as", "Nora") == "bad_link"
    assert nora.run("move-in", made["link"]) == {"cases": [home], "left": []}
    assert "Alleen voor mij" in str(nora.run("show", home, "diary"))
    nora.run("add", home, "diary", "entries", '{"text": "Van de laptop"}')
    page("sync")
    assert "Van de laptop" in str(page("show", home, "diary"))
    told = page("moving")
    assert (told["state"], [one["case"] for one in told["came"]]) == ("used", [home])
    assert Here(nora.home.parent / "late").refused("move-in", made["link"]) == "link_used"
    page("takeBack")
    assert page("moving")["state"] == "none"
    assert page("status")["alarms"] == []


def test_the_app_moves_in_by_an_address_of_python(relay: LiveRelay, nora: Here, app_device: NewApp) -> None:
    home = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    work = nora.run("start", "Werk", "--relay", relay.url, "--as", "Nora")["case"]
    nora.run("add", home, "diary", "entries", '{"text": "Alleen voor mij"}')
    link = nora.run("moving-link")["link"]
    assert nora.run("moving-link", "--take-back") == {"state": "none"}
    app = app_device()
    assert app.refused("moveIn", link) == "link_used"
    link = nora.run("moving-link")["link"]
    greeting = app("greet", link)
    assert (greeting["kind"], greeting["name"]) == ("move", "Nora")
    moved = app("moveIn", link)
    assert (sorted(moved["cases"]), moved["left"]) == (sorted([home, work]), [])
    assert "Alleen voor mij" in str(app("show", home, "diary"))
    assert sorted(one["kind"] for one in nora.run("devices", home)["devices"]) == ["device", "device"]
    assert app.refused("greet", link) == "already_member"
