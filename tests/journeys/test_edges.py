"""What people do that no manual tells: links used twice, too late, the wrong way round; words that are no words."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from journeys.people import Someone, refused
from live_relay import LiveRelay

Person = Callable[[str], Someone]
SOON = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)).isoformat()


def test_a_link_followed_twice_is_one_visitor_and_a_used_one_says_so(relay: LiveRelay, person: Person) -> None:
    nora, fatima, karim, lotte = person("nora"), person("fatima"), person("karim"), person("lotte")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    link = nora.run("invite", case, "--role", "member")["link"]
    for visitor in (fatima, fatima, karim):
        assert visitor.run("join", f" <{link}>\n", "--as", visitor.name) == {"case": case}
    assert refused(karim, "show", case) == "not_yet"
    nora.run("sync")
    assert [each["name"] for each in fatima.run("people", case)["people"]] == ["Nora", "fatima"]
    assert refused(karim, "show", case) == "link_used"
    assert karim.run("cases")["cases"][0]["state"] == "waiting", "a door that stays shut hides no other case"
    assert refused(lotte, "join", link, "--as", "Lotte") == "link_used"
    assert lotte.run("cases") == {"cases": []}

    link = nora.run("invite", case, "--role", "member")["link"]
    assert karim.run("join", link, "--as", "Karim") == {"case": case}
    nora.run("sync")
    assert "plan" in karim.run("show", case)


def test_a_reader_who_comes_second_is_told(relay: LiveRelay, person: Person) -> None:
    nora, de_wit, bos, yilmaz = person("nora"), person("dewit"), person("bos"), person("yilmaz")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    given = nora.run("grant", case, "--to", "De Wit", "--purpose", "meedenken", "--until", SOON, "--parts", "plan")
    for visitor in (de_wit, de_wit, bos):
        assert visitor.run("accept", given["link"], "--as", visitor.name) == {"grant": given["grant"]}
    nora.run("sync")
    assert de_wit.run("view", given["grant"]) == {"plan": {}}
    assert refused(bos, "view", given["grant"]) == "link_used"
    assert refused(yilmaz, "accept", given["link"], "--as", "Yilmaz") == "link_used"
    assert yilmaz.run("views") == {"views": []}
    assert refused(yilmaz, "join", given["link"], "--as", "Yilmaz") == "bad_link"


def test_who_was_removed_and_is_invited_again_reads_and_writes(relay: LiveRelay, person: Person) -> None:
    nora, fatima = person("nora"), person("fatima")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    for name in ("Fatima", "Fatima weer"):
        link = nora.run("invite", case, "--role", "member")["link"]
        fatima.run("join", link, "--as", name)
        nora.run("sync")
        fatima.run("add", case, "plan", "agreements", f'{{"what": "van {name}"}}')
        if name == "Fatima":
            nora.run("remove", case, name)
            assert refused(fatima, "show", case) == "removed"
            assert refused(nora, "remove", case, name) == "no_such_person"
    words = {item["what"] for item in nora.run("show", case, "plan")["agreements"].values()}
    assert words == {"van Fatima", "van Fatima weer"}
    assert fatima.run("show", case, "plan") == nora.run("show", case, "plan")


def test_a_host_that_cannot_be_one_stops_nothing_else(relay: LiveRelay, person: Person) -> None:
    nora = person("nora")
    nora.run("start", "Nergens", "--relay", f"http://{'a' * 80}", "--as", "Nora")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    assert len(nora.run("cases")["cases"]) == 2
    assert nora.run("sync", case)["alarms"] == []


def test_names_are_whole_and_short(relay: LiveRelay, person: Person) -> None:
    nora, fatima = person("nora"), person("fatima")
    for words in ("", " ", "x" * 401, "\U0001f600" * 101):
        assert refused(nora, "start", words, "--relay", relay.url, "--as", "Nora") == "bad_argument"
        assert refused(nora, "start", "Thuis", "--relay", relay.url, "--as", words) == "bad_argument"
    name = "\u202eéş \U0001f469\u200d\U0001f467" + "n" * 200
    case = nora.run("start", "T" * 200, "--relay", relay.url, "--as", name)["case"]
    link = nora.run("invite", case, "--role", "child")["link"]
    assert refused(fatima, "join", link, "--as", "x" * 401) == "bad_argument"
    assert fatima.run("join", link, "--as", name) == {"case": case}
    nora.run("sync")
    assert [each["name"] for each in fatima.run("people", case)["people"]] == [name, name]
    assert refused(nora, "remove", case, name) == "ambiguous"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopping_serve_stops_the_relay(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "eigenkring.cli", "serve", "--data", str(tmp_path / "relay"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serve:
        assert serve.stdout is not None
        address = serve.stdout.readline().split()[-1]
        port = address.rpartition(":")[2]
        taken = [*command[:3], "--json", "serve", "--data", str(tmp_path / "other"), "--port", port]
        done = subprocess.run(taken, capture_output=True, text=True, timeout=300)
        error = json.loads(done.stderr.splitlines()[-1])
        assert (done.returncode != 0, error["code"]) == (True, "bad_argument") and port in error["message"]
        serve.send_signal(how)
        serve.wait(timeout=300)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/v1/health", trust_env=False)


def test_words_that_are_no_words(relay: LiveRelay, person: Person) -> None:
    nora = person("nora")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    for fields in (
        '{"what": 1e999}', '{"what": "a", "x": 1e999}', '{"what": NaN}', '{"what": "a", "what": "b"}', "[" * 20_000, "[]",
        '{"what": "\\ud800"}', '{"x": ' + "9" * 5_000 + "}", '{"what": {"a": 1}}',
    ):  # fmt: skip
        assert refused(nora, "add", case, "plan", "agreements", fields) == "bad_value"
    assert refused(nora, "add", case, "plan", "agreements", '{"a/b": "x"}') == "bad_path"
    item = nora.run("add", case, "plan", "agreements", '{"what": "a\\u0000\\u001b[2J\\nfake: line\\u202e"}')["item"]
    for word in ("NaN", "null", "1e999", "[" * 20_000):
        nora.run("set", case, "plan", f"agreements/{item}/next", word)
        assert nora.run("show", case, "plan")["agreements"][item]["next"] == word
    plain = [sys.executable, "-m", "eigenkring.cli", "--home", str(nora.home), "--offline", "show", case, "plan"]
    told = subprocess.run(plain, capture_output=True, timeout=300).stdout.decode()
    assert "what: a\\x00\\x1b[2J\n        fake: line\\u202e\n" in told and "\x1b" not in told
    half = subprocess.run(
        [*plain[:5], "--json", "start", b"\xff", "--relay", "http://x", "--as", "N"], capture_output=True
    )
    assert json.loads(half.stderr)["code"] == "bad_argument"


def test_access_that_nobody_wrote_down_is_shown_all_the_same(relay: LiveRelay, person: Person) -> None:
    nora = person("nora")
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    words = ("--to", "De Wit", "--purpose", "meedenken", "--until", SOON, "--parts", "plan,safety")
    grant = nora.run("grant", case, *words)["grant"]
    (item,) = nora.run("show", case, "access")["grants"]
    nora.run("delete", case, "access", f"grants/{item}")
    (row,) = nora.run("access", case)["access"]
    assert (row["grant"], row["to"], row["parts"], row["until"]) == (grant, "De Wit", ["plan", "safety"], SOON)
    assert set(row) == set("grant to parts purpose from until opened copied stopped_by".split())
    nora.run("withdraw", case, grant)
    assert nora.run("access", case)["access"] == []


def test_a_home_is_for_its_owner_only_also_after_a_copy_was_put_back(relay: LiveRelay, person: Person) -> None:
    nora = person("nora")
    nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")
    assert nora.home.stat().st_mode & 0o777 == 0o700
    (nora.home / "device.sqlite").chmod(0o644)
    nora.run("cases", offline=True)
    assert {path.stat().st_mode & 0o777 for path in nora.home.iterdir()} == {0o600}
