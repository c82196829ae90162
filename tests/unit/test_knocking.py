"""At the door: a link once more, two links one after the other, and words that say what is the matter."""

from __future__ import annotations

import http.server
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eigenkring.errors import Ended, Misuse
from eigenkring.library import Device
from eigenkring.view import PartSelection, Selection
from simulator import World, family


def people(world: World, who: str = "nora") -> list[str]:
    return sorted(person.name for person in world.phones[who].session.known().present())


def test_a_crash_before_the_link_was_shown_leaves_a_link_to_be_had_again() -> None:
    world = family(5)
    nora = world.phones["nora"]
    made: list[str] = []
    for write in range(1, 80):
        if not nora.crash_at(write, lambda: made.append(nora.case.invite("member", "Lea"))):
            break
        nora.sync()
        if any(i.name == "Lea" and i.state == "open" for i in nora.session.known().invitations.values()):
            break
    assert not made, "it stopped after the relay took it, before a person saw it"
    assert [line["name"] for line in nora.case.pending() if line["what"] == "invited"] == ["Lea"]
    link = nora.case.link("lea")
    lea = world.phone("lea")
    lea.device.join(link, "Lea")
    with pytest.raises(Misuse) as caught:
        nora.sync()
        nora.case.link("Lea")
    assert caught.value.code == "no_such_person", "somebody came by it"
    lea.sync(2)
    assert "Lea" in people(world)


def test_who_started_without_a_connection_invites_as_soon_as_there_is_one() -> None:
    world = World(5)
    world.network.offline = {"nora"}
    nora = world.start()
    world.network.honest()
    link = nora.case.invite("member", "Lea")
    lea = world.phone("lea")
    lea.device.join(link, "Lea")
    nora.sync()
    lea.sync(2)
    assert lea.here() and nora.codes() == []


def test_the_link_of_an_access_is_the_same_once_more() -> None:
    world = family(5)
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-10-20", Selection({"plan": PartSelection()}))
    nora.sync()
    assert nora.case.link("De Wit") == given.link
    nora.case.withdraw(given.grant.hex())
    with pytest.raises(Misuse):
        nora.case.link("De Wit")


@pytest.mark.parametrize("first", [True, False])
def test_who_followed_a_second_link_comes_in_by_whichever_opens(first: bool) -> None:
    world = family(5)
    nora = world.phones["nora"]
    links = [nora.case.invite("member", "Lea"), nora.case.invite("member", "Lea (2)")]
    lea = world.phone("lea")
    lea.device.join(links[0], "Lea")
    if first:
        nora.sync()  # the door of the first link opens, before the second is followed
    lea.device.join(links[1], "Lea")
    nora.sync()
    lea.sync(2)
    nora.sync(2)
    assert lea.here() and people(world).count("Lea") == 1
    assert not [i.name for i in nora.session.known().invitations.values() if i.state == "open"]
    assert "already_there" not in nora.codes()
    lea.add("van Lea")
    lea.sync()
    nora.sync()
    assert "van Lea" in nora.texts()


def test_who_came_second_is_told_in_a_sync_of_everything() -> None:
    world = family(5)
    nora = world.phones["nora"]
    link = nora.case.invite("member", "Lea")
    one, two = world.phone("lea"), world.phone("thief")
    one.device.join(link, "Lea")
    two.device.join(link, "Lea")
    nora.sync()
    one.sync(2)
    with pytest.raises(Ended) as caught:
        two.device.sync()
    assert caught.value.code == "link_used"
    assert "link_used" in two.codes()
    assert "link_used" not in one.codes()


def test_a_member_who_invites_reads_why_not() -> None:
    fatima = family(5).phones["fatima"]
    for ask in (
        lambda: fatima.case.invite("member", "Lea"),
        lambda: fatima.case.grant("De Wit", "x", "2026-10-20", Selection({"plan": PartSelection()})),
    ):
        with pytest.raises(Misuse) as caught:
            ask()
        assert caught.value.code == "not_permitted"
        assert "only an owner" in caught.value.message


def test_who_was_put_out_reads_that_and_not_a_relays_code() -> None:
    world = family(5)
    world.phones["nora"].case.remove("Karim")
    karim = world.phones["karim"]
    karim.sync(2)
    assert not karim.here()
    assert karim.codes() == ["removed"]


def test_starting_at_an_address_where_no_relay_is_fails_at_once(tmp_path: Path) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with Device.open(tmp_path / "nora") as device:
            with pytest.raises(Misuse) as caught:
                device.start("Thuis", f"http://127.0.0.1:{server.server_port}/elders", "Nora")
            assert caught.value.code == "bad_argument" and "no relay" in caught.value.message
            assert device.cases() == []
    finally:
        server.shutdown()
        server.server_close()
    with Device.open(tmp_path / "later") as device:
        assert device.start("Thuis", "http://127.0.0.1:9", "Nora").status()["state"] == "open", "offline is normal"


def test_the_founders_first_store_is_not_the_only_one() -> None:
    world = World(6)
    nora = world.start()
    nora.add("voor alles kwijt was")
    nora.sync()
    again = world.fresh("nora")
    assert again.documents() == nora.documents()
    assert again.alarms() == nora.alarms() == []
