"""Who belongs and who decides, typed by people with homes: roles, majorities, words, somebody without a phone, going on."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from journeys.people import Failed, Someone, refused
from live_relay import LiveRelay

Person = Callable[[str], Someone]


def started(nora: Someone, relay: LiveRelay, *words: str) -> str:
    case: str = nora.run("start", "Thuis", "--relay", relay.url, "--as", nora.name, *words)["case"]
    return case


def let_in(case: str, owner: Someone, visitor: Someone, role: str = "member") -> None:
    link = owner.run("invite", case, "--role", role, "--name", visitor.name)["link"]
    visitor.run("join", link, "--as", visitor.name)
    owner.run("sync")
    visitor.run("sync")


def roles(someone: Someone, case: str) -> dict[str, str]:
    return {one["name"]: one["role"] for one in someone.run("people", case, offline=True)["people"]}


def test_words_are_compared_before_anything_is_given(relay: LiveRelay, person: Person) -> None:
    nora, fatima = person("Nora"), person("Fatima")
    case = started(nora, relay)
    link = nora.run("invite", case, "--role", "member", "--name", "Fatima", "--compare")["link"]
    fatima.run("join", link, "--as", "Fatima")
    assert fatima.run("pending", case)["waiting"] == [{"what": "let in by", "name": "Nora", "words": None}]
    nora.run("sync")
    (mine,) = nora.run("pending", case)["waiting"]
    (theirs,) = fatima.run("pending", case)["waiting"]
    assert (mine["what"], mine["name"], len(mine["words"])) == ("compare", "Fatima", 4)
    assert theirs["words"] == mine["words"]
    assert refused(fatima, "show", case) == "not_yet"
    assert [entry["what"] for entry in nora.run("log", case, offline=True)["entries"]] == ["found", "invite"]
    assert refused(nora, "confirm", case, "Iemand") == "no_such_person"
    nora.run("confirm", case, "Fatima")
    fatima.run("sync")
    assert roles(fatima, case) == {"Nora": "owner", "Fatima": "member"}
    assert nora.run("pending", case)["waiting"] == []


def test_an_invitation_is_taken_back(relay: LiveRelay, person: Person) -> None:
    nora, thief = person("Nora"), person("Dief")
    case = started(nora, relay)
    link = nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"]
    assert nora.run("cancel", case, "Fatima") == {"cancelled": "Fatima"}
    assert refused(thief, "join", link, "--as", "Dief") == "link_expired"
    assert refused(nora, "cancel", case, "Fatima") == "no_such_person"


def test_the_link_of_access_is_taken_back_like_an_invitation(relay: LiveRelay, person: Person) -> None:
    nora, wit = person("Nora"), person("De Wit")
    case = started(nora, relay)
    until = (datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=30)).date().isoformat()
    terms = ("--purpose", "Meedenken", "--until", until, "--parts", "plan")
    link = nora.run("grant", case, "--to", "De Wit", *terms)["link"]
    nora.run("invite", case, "--role", "member", "--name", "De Wit")
    assert refused(nora, "cancel", case, "De Wit") == "ambiguous"
    nora.run("withdraw", case, nora.run("access", case)["access"][0]["grant"])
    assert nora.run("cancel", case, "de wit") == {"cancelled": "De Wit"}
    assert nora.run("pending", case)["waiting"] == []
    assert refused(wit, "accept", link, "--as", "De Wit") == "link_expired"

    again = nora.run("grant", case, "--to", "De Wit", *terms)["link"]
    assert nora.run("cancel", case, "De Wit") == {"cancelled": "De Wit"}
    assert refused(wit, "accept", again, "--as", "De Wit") == "link_expired"
    # Who reads already holds no link: that is stopped, and not by a name.
    opened = nora.run("grant", case, "--to", "De Wit", *terms)["link"]
    wit.run("accept", opened, "--as", "De Wit")
    nora.run("sync")
    assert refused(nora, "cancel", case, "De Wit") == "no_such_person"


def test_owners_decide_together(relay: LiveRelay, person: Person) -> None:
    nora, fatima, karim = person("Nora"), person("Fatima"), person("Karim")
    case = started(nora, relay)
    for one in (fatima, karim):
        let_in(case, nora, one)
    assert nora.run("role", case, "Fatima", "owner")["role"] == "owner"
    try:
        nora.run("role", case, "Karim", "owner")
    except Failed as error:
        assert error.code == "not_permitted"
        assert "propose" in error.message
    asked = nora.run("propose", case, "role", "Karim", "--role", "owner")
    assert (asked["yes"], asked["needed"], asked["done"]) == (["Nora"], 2, False)
    waiting = fatima.run("pending", case)["waiting"]
    assert [(line["what"], line["name"]) for line in waiting] == [("asked: role owner", "Karim")]
    assert fatima.run("approve", case, "Karim")["done"]
    assert roles(fatima, case)["Karim"] == "owner"
    # Now three: two of them put out the third, who does not read it before.
    karim.run("sync")
    assert refused(nora, "remove", case, "Karim") == "not_permitted"
    nora.run("propose", case, "remove", "Karim")
    assert karim.run("pending", case)["waiting"] == []
    assert fatima.run("approve", case)["done"]
    karim.run("sync")
    assert refused(karim, "show", case) == "removed"
    assert refused(fatima, "approve", case) == "no_such_person"
    assert refused(fatima, "propose", case, "role", "Nora") == "bad_argument"
    # Stepping back needs nobody; the last owner stays.
    fatima.run("role", case, "Fatima", "member")
    nora.run("sync")
    assert roles(nora, case) == {"Nora": "owner", "Fatima": "member"}
    assert refused(nora, "leave", case) == "last_owner"
    nora.run("add", case, "plan", "agreements", '{"what": "KANARIE"}')
    fatima.run("sync")
    assert "KANARIE" in str(fatima.run("show", case, "plan"))
    fatima.run("leave", case)
    assert refused(fatima, "show", case) == "no_such_case"
    assert fatima.run("cases")["cases"] == []
    nora.run("sync")
    assert roles(nora, case) == {"Nora": "owner"}


def test_a_coordinator_starts_hands_over_and_has_an_end(relay: LiveRelay, person: Person) -> None:
    anneke, nora = person("Anneke"), person("Nora")
    case = started(anneke, relay, "--role", "coordinator")
    assert refused(anneke, "show", case, "private") == "no_such_part"
    let_in(case, anneke, nora, "owner")
    nora.run("add", case, "private", "ideas", '{"text": "onder ons"}')
    assert refused(anneke, "show", case, "private") == "not_permitted"
    assert refused(nora, "hand-over", case, "Nora") == "not_permitted"
    anneke.run("hand-over", case, "Nora")
    nora.run("sync")
    assert refused(anneke, "invite", case, "--role", "member") == "not_permitted"
    assert nora.run("role", case, "Anneke", "coordinator", "--until", "2999-01-01")["until"] == "2999-01-01"
    assert refused(nora, "role", case, "Anneke", "coordinator", "--until", "2001-01-01") == "bad_value"
    shown = nora.run("rights", case, "private")
    assert [(one["name"], one["why"]) for one in shown["readers"]] == [("Nora", "owner")]
    assert (shown["due"], shown["views"]) == (False, [])


def test_members_bring_a_lost_owner_back(relay: LiveRelay, person: Person) -> None:
    nora, fatima, karim, again = person("Nora"), person("Fatima"), person("Karim"), person("Nora again")
    case = started(nora, relay)
    for one in (fatima, karim):
        let_in(case, nora, one)
    nora.run("add", case, "plan", "agreements", '{"what": "Kolibrie"}')
    assert refused(fatima, "readmit", case, "Nora") == "not_permitted"
    fatima.run("propose", case, "readmit", "Nora")
    karim.run("approve", case, "Nora")
    link = karim.run("readmit", case, "Nora")["link"]
    again.run("join", link, "--as", "Nora")
    karim.run("sync")
    (words,) = again.run("pending", case)["waiting"]
    assert words["words"] == karim.run("pending", case)["waiting"][-1]["words"]
    karim.run("confirm", case, "Nora")
    again.run("sync")
    assert "Kolibrie" in str(again.run("show", case, "plan"))
    assert roles(again, case)["Nora"] == "owner"


def test_grandfather_has_no_phone_and_is_heard(relay: LiveRelay, person: Person) -> None:
    nora, karim = person("Nora"), person("Karim")
    case = started(nora, relay)
    let_in(case, nora, karim)
    words = ("person", "add", case, "Opa", "--without-phone", "--stand-in")
    assert refused(nora, *words, "Niemand") == "no_such_person"
    assert refused(nora, "person", "add", case, "Opa") == "bad_argument"
    grandfather = nora.run(*words, "Karim")["person"]
    (shown,) = [one for one in karim.run("people", case)["people"] if one.get("without_phone")]
    assert shown == {
        "person": grandfather, "name": "Opa", "role": "member", "without_phone": True, "stand_in": "Karim",
    }  # fmt: skip
    karim.run("add", case, "voice", "suggestions", f'{{"name": "Tante Riet", "for": "{grandfather}"}}')
    heard = nora.run("show", case, "voice@Karim")["suggestions"].values()
    assert [(one["name"], one["for"]) for one in heard] == [("Tante Riet", grandfather)]
    assert refused(nora, "add", case, "voice@Karim", "suggestions", '{"name": "x"}') == "not_permitted"


def test_history_says_who_did_what_and_not_the_words(relay: LiveRelay, person: Person) -> None:
    nora, fatima = person("Nora"), person("Fatima")
    case = started(nora, relay)
    let_in(case, nora, fatima)
    item = nora.run("add", case, "plan", "agreements", '{"what": "Kolibrie"}')["item"]
    fatima.run("set", case, "plan", f"agreements/{item}/what", "Kolibrie komt")
    nora.run("delete", case, "plan", f"agreements/{item}")
    changes = nora.run("history", case, "plan")["changes"]
    assert [one["by"] for one in changes] == ["Nora", "Fatima", "Nora"]
    assert changes[0]["what"].startswith("voegde toe aan Afspraken")
    assert changes[1]["what"].startswith("veranderde in Afspraken")
    assert "(+5 −0)" in changes[1]["what"]
    assert changes[2]["what"].startswith("haalde iets weg uit Afspraken")
    assert "Kolibrie" not in str(changes)


def test_going_on_without_somebody_who_hears_nothing(relay: LiveRelay, person: Person) -> None:
    nora, fatima, karim = person("Nora"), person("Fatima"), person("Karim")
    case = started(nora, relay)
    for one in (fatima, karim):
        let_in(case, nora, one)
    fatima.run("add", case, "plan", "agreements", '{"what": "Kolibrie"}')
    karim.run("sync")
    made = fatima.run("start", "--from", case, "--without", "Nora", "Verder")
    assert [(one["name"], one["role"]) for one in made["invitations"]] == [("Karim", "member")]
    karim.run("join", made["invitations"][0]["link"], "--as", "Karim")
    fatima.run("sync")
    karim.run("sync")
    assert "Kolibrie" in str(karim.run("show", made["case"], "plan"))
    nora.run("sync")
    assert [one["case"] for one in nora.run("cases")["cases"]] == [case]
    assert nora.run("status", case)["alarms"] == []
    assert refused(fatima, "start", "Nog een", "--from", case) == "bad_argument"
    assert refused(fatima, "start", "Nog een") == "bad_argument"
