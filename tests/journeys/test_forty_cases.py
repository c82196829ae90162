"""A coordinator with forty cases on one phone: all catch up at once, one round trip each, and none beside another."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from eigenkring import wire
from eigenkring.library import Device
from eigenkring.sqlite_store import SqliteStore
from eigenkring.transport import HttpTransport
from live_relay import LiveRelay

CASES = 40


class Recorder(HttpTransport):
    """The real thing, which writes down what a relay sees of one connection."""

    seen: ClassVar[list[tuple[Recorder, set[bytes]]]] = []

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        self.seen.append((self, {op.stream for op in ops}))
        return super().exchange(ops, atomic)


def opened(home: Path, at_once: int) -> Device:
    return Device(SqliteStore(home), Recorder, at_once=at_once)


def started(home: Path, relay: str) -> dict[str, set[bytes]]:
    """Forty real cases of one coordinator; the streams of each."""
    with Device.open(home) as device:
        return {
            (case := device.start(f"Gezin {number}", relay, "Anneke", role="coordinator")).id.hex(): {
                case.charter.keys_stream, *case.charter.live_streams(), case.id,
            }
            for number in range(CASES)
        }  # fmt: skip


def test_forty_cases_catch_up_at_once_one_round_trip_each_and_never_two_together(
    relay: LiveRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "anneke"
    streams = started(home, relay.url)
    assert len(streams) == CASES
    with Device.open(home) as device:
        device.sync()
    for at_once in (1, 16):
        Recorder.seen = []
        with opened(home, at_once) as device:
            assert device.sync().alarms == []
        of: dict[Recorder, set[str]] = defaultdict(set)
        trips: dict[str, int] = defaultdict(int)
        for connection, asked in Recorder.seen:
            # An own door is of this hour and of one case: it grows from a secret of that case.
            touched = {case for case, own in streams.items() if own & asked}
            assert len(touched) == 1, "two cases in one exchange"
            of[connection] |= touched
            trips[touched.pop()] += 1
        assert all(len(cases) == 1 for cases in of.values()), "two cases over one connection"
        assert len(of) == CASES
        assert set(trips.values()) == {1}, "one round trip for each case that has nothing new"

    # On a slow line the waiting is what counts: here the line answers nobody before eight of them wait for it.
    honest = HttpTransport.exchange
    together, answered = threading.Barrier(8, timeout=60), 0

    def far_away(self: HttpTransport, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        nonlocal answered
        together.wait()
        answered += 1
        return honest(self, ops, atomic)

    monkeypatch.setattr(HttpTransport, "exchange", far_away)
    with opened(home, 16) as device:
        for case in streams:
            device.case(case)
        device.sync()
    assert answered == CASES


def test_one_relay_that_is_gone_keeps_no_other_case_from_catching_up(relay: LiveRelay, tmp_path: Path) -> None:
    home = tmp_path / "anneke"
    with Device.open(home) as device:
        near = device.start("Dichtbij", relay.url, "Anneke")
        away = device.start("Ver weg", "http://127.0.0.1:9", "Anneke")
        near.add("plan", "agreements", {"what": "x"})
        assert device.sync().sent > 0
        assert {row["outbox"] for row in near.status()["streams"]} == {0}
        assert away.status()["state"] == "open"
