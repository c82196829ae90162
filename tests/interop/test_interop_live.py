"""A family of two languages on one real relay: some type commands, others use the app's library under Node.

Whatever one language decides, snapshots, forgets or heals, the other one follows, and neither undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eigenkring.library import Device
from eigenkring.session import compacting
from interop.app_device import AppDevice
from journeys.here import Here
from journeys.people import refused
from live_relay import LiveRelay

# So many that any device has waited long enough.
MOST_RECORDS = compacting.FEWEST_RECORDS + compacting.MOST_PATIENCE + 2
FAR = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@pytest.fixture
def nora(tmp_path: Path) -> Here:
    return Here(tmp_path / "nora")


def agreements(parts: dict[str, Any]) -> dict[str, Any]:
    return {item: fields["what"] for item, fields in parts["agreements"].items()}


def same_plan(someone: Here, device: AppDevice, case: str) -> dict[str, Any]:
    theirs, ours = someone.run("show", case, "plan"), device("show", case, "plan")
    assert agreements(theirs) == agreements(ours)
    return agreements(ours)


def test_python_begins_and_the_app_joins(relay: LiveRelay, nora: Here, app_device: Callable[[], AppDevice]) -> None:
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
    fatima, sam = Here(tmp_path / "fatima"), Here(tmp_path / "sam")
    for someone, name, role in ((fatima, "Fatima", "member"), (sam, "Sam", "child")):
        assert someone.run("join", nora("invite", case, role, name), "--as", name)["case"] == case
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
    reader_app, owner_app, owner = app_device(), app_device(), Here(tmp_path / "nora")
    reader = Here(tmp_path / "dewit")
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


# --- what endures, in both directions


class Home:
    """One person in either language, with the few verbs that these tests need."""

    def __init__(self, of: Here | AppDevice, name: str) -> None:
        self._of = of
        self.name = name

    def start(self, url: str) -> str:
        if isinstance(self._of, Here):
            return str(self._of.run("start", "Thuis", "--relay", url, "--as", self.name)["case"])
        case = self._of("start", "Thuis", self.name, url)
        self.sync()
        return str(case)

    def invite(self, case: str, name: str, role: str) -> str:
        if isinstance(self._of, Here):
            return str(self._of.run("invite", case, "--role", role, "--name", name)["link"])
        return str(self._of("invite", case, role, name))

    def join(self, link: str) -> None:
        if isinstance(self._of, Here):
            self._of.run("join", link, "--as", self.name)
        else:
            self._of("join", link, self.name)

    def sync(self) -> int:
        """How many records came."""
        return int(self._of.run("sync")["received"] if isinstance(self._of, Here) else self._of("sync")["received"])

    def add(self, case: str, what: str, offline: bool = False) -> str:
        if isinstance(self._of, Here):
            fields = json.dumps({"what": what})
            return str(self._of.run("add", case, "plan", "agreements", fields, offline=offline)["item"])
        self._of("line", not offline)
        item = self._of("add", case, "plan", "agreements", {"what": what})
        self._of("line", True)
        if not offline:
            self.sync()
        return str(item)

    def write_often(self, case: str, item: str, times: int) -> None:
        """That many records in the plan, then one sync."""
        if isinstance(self._of, Here):
            with Device.open(self._of.home, offline=True) as device:
                for n in range(times):
                    device.case(case).set("plan", f"agreements/{item}/what", f"keer {n}")
        else:
            for n in range(times):
                self._of("set", case, "plan", f"agreements/{item}/what", f"keer {n}")
        self.sync()

    def plan(self, case: str) -> list[str]:
        shown = self._of.run("show", case, "plan") if isinstance(self._of, Here) else self._of("show", case, "plan")
        return sorted(agreements(shown).values())

    def people(self, case: str) -> list[tuple[str, str]]:
        found = self._of.run("people", case)["people"] if isinstance(self._of, Here) else self._of("people", case)
        return [(one["name"], one["role"]) for one in found]

    def codes(self, case: str) -> list[str]:
        found = self._of.run("status", case) if isinstance(self._of, Here) else self._of("status")
        return [alarm["code"] for alarm in found["alarms"]]

    def propose(self, case: str, what: str, who: str, role: str | None = None) -> dict[str, Any]:
        if isinstance(self._of, Here):
            return self._of.run("propose", case, what, who, *(() if role is None else ("--role", role)))
        answer: dict[str, Any] = self._of("propose", case, what, self.person(case, who), role)
        return answer

    def person(self, case: str, name: str) -> str:
        assert isinstance(self._of, AppDevice)
        return next(str(one["person"]) for one in self._of("people", case) if one["name"] == name)

    def approve(self, case: str) -> bool:
        answer = self._of.run("approve", case) if isinstance(self._of, Here) else self._of("approve", case)
        return bool(answer["done"])

    def remove(self, case: str, name: str) -> None:
        if isinstance(self._of, Here):
            self._of.run("remove", case, name)
        else:
            self._of("remove", case, self.person(case, name))

    def forget(self, case: str) -> None:
        if isinstance(self._of, Here):
            self._of.run("forget", case, "plan")
        else:
            self._of("forget", case, "plan")

    def say(self, case: str, text: str) -> None:
        """In the part that this person alone writes and owners manage."""
        if isinstance(self._of, Here):
            self._of.run("add", case, "voice", "questions", json.dumps({"text": text}))
        else:
            self._of("add", case, "voice", "questions", {"text": text})
            self.sync()

    def said(self, case: str, part: str = "voice") -> list[str]:
        shown = self._of.run("show", case, part) if isinstance(self._of, Here) else self._of("show", case, part)
        return sorted(one["text"] for one in shown.get("questions", {}).values())

    def history(self, case: str, part: str) -> list[tuple[str, str | None, str]]:
        found = (
            self._of.run("history", case, part)["changes"]
            if isinstance(self._of, Here)
            else self._of("history", case, part)
        )
        return [(one["by"], one["at"], one["what"]) for one in found]

    def forget_what_was_said(self, case: str) -> str:
        """The code with which it is not yet done."""
        return self._of.refused("forget", case, "voice")

    def streams(self, case: str) -> set[str]:
        """Of the parts that people say something in."""
        assert isinstance(self._of, Here)
        with Device.open(self._of.home, offline=True) as device:
            parts = device.case(case).charter.parts
            return {part.stream.hex() for name, part in parts.items() if name.startswith("voice@")}

    def leave(self, case: str) -> None:
        if isinstance(self._of, Here):
            self._of.run("leave", case)
        else:
            self._of("leave", case)

    def parted(self, case: str) -> tuple[list[str], list[str], list[tuple[str, str]]]:
        """What the relay shows beside what is known here, what it lacks, and what of that is entered again."""
        found = self._of.run("adopt", case) if isinstance(self._of, Here) else self._of("parted", case)
        takes, drops = ([one["what"] for one in found[name]] for name in ("takes", "drops"))
        return takes, drops, [(one["what"], one["name"]) for one in found["again"]]

    def adopt(self, case: str) -> None:
        if isinstance(self._of, Here):
            self._of.run("adopt", case, "--yes")
        else:
            self._of("adopt", case)

    def refused(self, case: str) -> str:
        """The code with which the plan is not shown."""
        if isinstance(self._of, Here):
            return self._of.refused("show", case, "plan")
        return self._of.refused("show", case, "plan")


@pytest.fixture
def home(tmp_path: Path, app_device: Callable[[], AppDevice]) -> Callable[[str, str], Home]:
    return lambda language, name: Home(Here(tmp_path / name) if language == "python" else app_device(), name)


def let_in(case: str, owner: Home, visitor: Home, role: str = "member") -> None:
    visitor.join(owner.invite(case, visitor.name, role))
    owner.sync()
    visitor.sync()


def all_sync(*homes: Home) -> None:
    for _ in range(2):
        for one in homes:
            one.sync()


def other(language: str) -> str:
    return "app" if language == "python" else "python"


BOTH = pytest.mark.parametrize("first", ["python", "app"])


@BOTH
def test_owners_of_two_languages_decide_together(
    relay: LiveRelay, home: Callable[[str, str], Home], first: str
) -> None:
    nora, bea, cor = home(first, "Nora"), home(other(first), "Bea"), home(other(first), "Cor")
    case = nora.start(relay.url)
    let_in(case, nora, bea, "owner")
    let_in(case, nora, cor)
    assert not nora.propose(case, "role", "Cor", "owner")["done"]
    bea.sync()
    assert bea.approve(case)
    all_sync(cor, nora, bea)
    expected = [("Nora", "owner"), ("Bea", "owner"), ("Cor", "owner")]
    assert nora.people(case) == bea.people(case) == cor.people(case) == expected
    bea.add(case, "voor de stemming")
    # Bea is put out by the two others: asked in one language, decided in the other. She does not hear of it before.
    assert not cor.propose(case, "remove", "Bea")["done"]
    nora.sync()
    bea.add(case, "van Bea, die het niet weet")
    assert nora.approve(case)
    cor.add(case, "na Bea")
    all_sync(nora, cor)
    assert nora.people(case) == cor.people(case) == [("Nora", "owner"), ("Cor", "owner")]
    assert nora.plan(case) == cor.plan(case) and "na Bea" in nora.plan(case)
    bea.sync()
    assert bea.refused(case) == "removed"
    # What Bea wrote and whoever put her out had not read is void, and told.
    assert {*nora.codes(case), *cor.codes(case)} <= {"behind_cut"}


@BOTH
def test_a_snapshot_of_one_language_is_read_by_the_other(
    relay: LiveRelay, home: Callable[[str, str], Home], first: str
) -> None:
    nora, fatima, karim = home(first, "Nora"), home(other(first), "Fatima"), home(other(first), "Karim")
    case = nora.start(relay.url)
    let_in(case, nora, fatima)
    item = nora.add(case, "keer")
    fatima.sync()
    fatima.add(case, "van Fatima, zonder verbinding", offline=True)
    nora.write_often(case, item, MOST_RECORDS)
    fatima.sync()
    nora.sync()
    expected = [f"keer {MOST_RECORDS - 1}", "van Fatima, zonder verbinding"]
    assert nora.plan(case) == fatima.plan(case) == expected
    link = nora.invite(case, "Karim", "member")
    karim.join(link)
    nora.sync()
    assert karim.sync() < 60, "a newcomer reads one snapshot and what came after it"
    assert karim.plan(case) == expected
    # What rests on the snapshot is written by each, in each language.
    karim.add(case, "van Karim")
    fatima.add(case, "van Fatima")
    all_sync(nora, fatima, karim)
    assert nora.plan(case) == fatima.plan(case) == karim.plan(case)
    assert len(nora.plan(case)) == 4
    assert nora.codes(case) == fatima.codes(case) == karim.codes(case) == []


@BOTH
def test_what_one_language_forgets_the_other_forgets(
    relay: LiveRelay, home: Callable[[str, str], Home], first: str
) -> None:
    nora, fatima = home(first, "Nora"), home(other(first), "Fatima")
    case = nora.start(relay.url)
    let_in(case, nora, fatima)
    nora.add(case, "blijft")
    fatima.sync()
    fatima.add(case, "in de trein bedacht", offline=True)
    nora.forget(case)
    all_sync(fatima, nora)
    assert nora.plan(case) == fatima.plan(case) == ["blijft", "in de trein bedacht"]
    fatima.add(case, "erna")
    nora.sync()
    assert nora.plan(case) == ["blijft", "erna", "in de trein bedacht"]
    assert nora.codes(case) == fatima.codes(case) == []


@BOTH
def test_both_languages_tell_the_same_history(relay: LiveRelay, home: Callable[[str, str], Home], first: str) -> None:
    nora, fatima = home(first, "Nora"), home(other(first), "Fatima")
    case = nora.start(relay.url)
    let_in(case, nora, fatima)
    item = nora.add(case, "Oma haalt Sam op")
    fatima.sync()
    fatima.write_often(case, item, 3)
    nora.sync()
    told = nora.history(case, "plan")
    assert told == fatima.history(case, "plan")
    assert {by for by, _, _ in told} == {"Nora", "Fatima"}
    today = datetime.now(UTC).date()
    days = {(today - timedelta(days=back)).isoformat() for back in (0, 1)}
    assert {at for _, at, _ in told} <= days, "the day of each device, also of the other language"
    assert any(what.startswith("veranderde in") for _, _, what in told)


@BOTH
def test_an_owners_phone_of_one_language_prepares_the_lock_for_a_person_of_the_other(
    relay: LiveRelay, home: Callable[[str, str], Home], first: str
) -> None:
    """What Fatima says is founded anew at her own sync, once Nora's phone has synced: nobody does anything for it."""
    nora, fatima = home(first, "Nora"), home(other(first), "Fatima")
    case = nora.start(relay.url)
    let_in(case, nora, fatima)
    fatima.say(case, "een vraag")
    all_sync(nora, fatima)
    knows = nora if first == "python" else fatima
    before = knows.streams(case)
    assert fatima.forget_what_was_said(case) == "not_yet"
    all_sync(nora, fatima)
    assert len(before) == 2 and len(before & knows.streams(case)) == 1, "one of the two parts was founded anew"
    assert fatima.said(case) == ["een vraag"]
    fatima.say(case, "en nog een")
    all_sync(nora, fatima)
    assert fatima.said(case) == ["een vraag", "en nog een"]
    assert nora.codes(case) == fatima.codes(case) == []


@BOTH
def test_a_relay_that_was_put_back_is_healed_by_both(
    relay: LiveRelay, home: Callable[[str, str], Home], tmp_path: Path, first: str
) -> None:
    nora, fatima, karim = home(first, "Nora"), home(other(first), "Fatima"), home(first, "Karim")
    case = nora.start(relay.url)
    for someone in (fatima, karim):
        let_in(case, nora, someone)
    nora.add(case, "voor de kopie")
    all_sync(fatima, karim)
    copy, data, operator = tmp_path / "copy.sqlite", str(relay.data_dir), Here(tmp_path / "operator")
    operator.run("relay", "backup", "--data", data, "--to", str(copy))
    fatima.add(case, "na de kopie, van Fatima")
    nora.remove(case, "Karim")
    nora.add(case, "na het afscheid")
    all_sync(fatima, nora)
    relay.kill()
    operator.run("relay", "restore", "--from", str(copy), "--data", data, "--replace")
    relay.start()
    all_sync(fatima, nora, fatima)
    expected = ["na de kopie, van Fatima", "na het afscheid", "voor de kopie"]
    assert nora.plan(case) == fatima.plan(case) == expected
    assert nora.people(case) == fatima.people(case) == [("Nora", "owner"), ("Fatima", "member")]
    for one in (nora, fatima):
        assert one.codes(case).count("new_generation") == 1
    karim.sync()
    fatima.add(case, "erna")
    all_sync(nora, fatima)
    assert nora.plan(case) == fatima.plan(case) == sorted([*expected, "erna"])


@BOTH
def test_a_circle_that_parted_goes_on_in_both_languages(
    relay: LiveRelay, home: Callable[[str, str], Home], tmp_path: Path, first: str
) -> None:
    nora, fatima, karim, lotte = (home(of, name) for of, name in people_of(first))
    case = nora.start(relay.url)
    for someone in (fatima, karim, lotte):
        let_in(case, nora, someone)
    all_sync(nora, fatima, karim, lotte)
    copy, data, operator = tmp_path / "copy.sqlite", str(relay.data_dir), Here(tmp_path / "operator")
    operator.run("relay", "backup", "--data", data, "--to", str(copy))
    nora.remove(case, "Karim")
    nora.add(case, "zonder Karim")
    all_sync(nora, fatima)
    relay.kill()
    operator.run("relay", "restore", "--from", str(copy), "--data", data, "--replace")
    relay.start()
    # Lotte, who never heard of it, goes; Karim writes. Nora and Fatima each see two charters.
    lotte.leave(case)
    karim.add(case, "van Karim, na zijn afscheid")
    all_sync(fatima, nora)
    for one in (nora, fatima):
        assert "parted" in one.codes(case) and ("Karim", "member") not in one.people(case)
    fatima.add(case, "niet voor Karim")
    assert nora.parted(case) == (["leave"], nora.parted(case)[1], [("remove_person", "Karim")])
    assert "remove_person" in nora.parted(case)[1]
    nora.adopt(case)
    all_sync(fatima, nora)
    assert nora.people(case) == fatima.people(case) == [("Nora", "owner"), ("Fatima", "member")]
    assert nora.plan(case) == fatima.plan(case) == ["niet voor Karim", "zonder Karim"]
    assert "parted" not in nora.codes(case) + fatima.codes(case)
    karim.sync()
    assert karim.refused(case) in ("removed", "not_yet")


def people_of(first: str) -> list[tuple[str, str]]:
    return [(first, "Nora"), (other(first), "Fatima"), (first, "Karim"), (other(first), "Lotte")]


@BOTH
def test_an_emptied_relay_is_rebuilt_by_both(relay: LiveRelay, home: Callable[[str, str], Home], first: str) -> None:
    nora, fatima, karim = home(first, "Nora"), home(other(first), "Fatima"), home(other(first), "Karim")
    case = nora.start(relay.url)
    let_in(case, nora, fatima)
    nora.add(case, "van Nora")
    fatima.sync()
    fatima.add(case, "van Fatima")
    nora.sync()
    relay.kill()
    for path in relay.data_dir.iterdir():
        if path.is_file():
            path.unlink()
    relay.start()
    all_sync(fatima, nora, fatima)
    let_in(case, nora, karim)
    all_sync(fatima, karim)
    expected = ["van Fatima", "van Nora"]
    assert nora.plan(case) == fatima.plan(case) == karim.plan(case) == expected
    assert karim.codes(case) == []
