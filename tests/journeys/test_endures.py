"""What a family relies on for years: words that are forgotten are in no file any more, of anybody."""

from __future__ import annotations

from collections.abc import Callable

from eigenkring.ids import CaseId
from eigenkring.library import Device
from journeys.people import Someone, refused
from journeys.test_thread import in_plan, let_in, relay_bytes, started
from live_relay import LiveRelay

Person = Callable[[str], Someone]


def home_bytes(*homes: Someone) -> bytes:
    return b"".join(path.read_bytes() for home in homes for path in sorted(home.home.rglob("*")) if path.is_file())


def sealed_in_plan(someone: Someone, case: str) -> list[bytes]:
    with Device.open(someone.home, offline=True) as device:
        session = device.case(case).session
        stream = session.known().parts["plan"].stream
        return [bytes(placed.record) for placed in session.store.records(CaseId(bytes.fromhex(case)), stream)]


def test_a_forgotten_word_is_in_no_file(relay: LiveRelay, person: Person) -> None:
    nora, fatima = person("nora"), person("fatima")
    case = started(nora, relay)
    let_in(case, nora, fatima, "Fatimafati")
    item = nora.run("add", case, "plan", "agreements", '{"what": "Kolibrie is zijn bijnaam"}')["item"]
    assert in_plan(fatima, case) == {"Kolibrie is zijn bijnaam"}
    fatima.run("set", case, "plan", f"agreements/{item}/what", "Hij komt op zondag")
    nora.run("sync")
    fatima.run("sync")
    sealed = [record[100:160] for record in sealed_in_plan(fatima, case)]
    assert len(sealed) >= 2
    assert all(piece in relay_bytes(relay) for piece in sealed)
    assert all(piece in home_bytes(fatima) for piece in sealed)
    # What was typed lies beside the change, in the typist's own home.
    assert b"Kolibrie" in home_bytes(nora)

    fatima.run("add", case, "plan", "agreements", '{"what": "in de trein bedacht"}', offline=True)
    assert refused(fatima, "forget", case, "plan") == "not_permitted"
    assert nora.run("forget", case, "plan") == {"forgot": "plan"}
    assert in_plan(fatima, case) == {"Hij komt op zondag", "in de trein bedacht"}
    nora.run("sync")
    assert in_plan(nora, case) == {"Hij komt op zondag", "in de trein bedacht"}
    lying = relay_bytes(relay) + home_bytes(nora, fatima)
    assert not any(piece in lying for piece in sealed)
    assert b"Kolibrie" not in lying
    assert not any("Kolibrie" in str(change) for change in nora.run("history", case, "plan")["changes"])
    assert nora.run("status", case)["alarms"] == fatima.run("status", case)["alarms"] == []
