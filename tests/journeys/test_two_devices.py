"""A coordinator with forty cases on two devices: added once, in step by itself, and never two cases together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from eigenkring.erasing import erase
from eigenkring.library import Device
from eigenkring.own_devices import add_device
from eigenkring.shelf import kept_by
from journeys.here import Here
from journeys.test_forty_cases import CASES, Recorder, opened, started
from live_relay import LiveRelay


def titles(device: Device) -> set[str]:
    return {row["title"] for row in device.cases() if row["state"] == "open"}


def test_forty_cases_on_two_devices_stay_in_step_and_no_two_share_a_connection(
    relay: LiveRelay, tmp_path: Path
) -> None:
    streams = started(tmp_path / "phone", relay.url)
    first = next(iter(streams))
    Recorder.seen = []
    with opened(tmp_path / "phone", 16) as phone, opened(tmp_path / "tablet", 16) as tablet:
        tablet.join(add_device(phone.case(first)), "Anneke")
        for _ in range(2):
            assert phone.sync().alarms == []
            assert tablet.sync().alarms == []
        assert titles(tablet) == titles(phone) == {f"Gezin {number}" for number in range(CASES)}

        new = tablet.start("Een nieuw gezin", relay.url, "Anneke", role="coordinator")
        gone = phone.case(next(reversed(streams)))
        erase(gone)
        phone.forget(gone.id)
        for _ in range(3):
            tablet.sync()
            phone.sync()
        assert titles(tablet) == titles(phone)
        assert len(titles(phone)) == CASES
        assert new.charter.title in titles(phone)

        kept = kept_by(phone.store)
        assert kept is not None
        shelf = kept.shelf.stream
        of: dict[Recorder, set[str]] = defaultdict(set)
        for connection, asked in Recorder.seen:
            touched = {case for case, own in streams.items() if own & asked} | ({"shelf"} if shelf in asked else set())
            assert len(touched) <= 1, "two cases, or a case and the list, in one exchange"
            of[connection] |= touched
        assert all(len(cases) <= 1 for cases in of.values()), "two cases, or a case and the list, over one connection"
        assert sum("shelf" in cases for cases in of.values()) == 2


def test_typed_on_two_homes(relay: LiveRelay, tmp_path: Path) -> None:
    phone, tablet = Here(tmp_path / "phone"), Here(tmp_path / "tablet")
    home = phone.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    work = phone.run("start", "Werk", "--relay", relay.url, "--as", "Nora")["case"]
    phone.run("add", work, "plan", "agreements", '{"what": "Bellen"}')
    tablet.run("join", phone.run("add-device", home)["link"], "--as", "Nora")
    for _ in range(2):
        phone.run("sync")
        tablet.run("sync")
    assert {row["case"] for row in tablet.run("cases")["cases"]} == {home, work}
    shown = tablet.run("show", work, "plan")["agreements"].values()
    assert [item["what"] for item in shown] == ["Bellen"]
