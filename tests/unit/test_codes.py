"""Every code of docs/spec/errors.md is what some vector ends with; where that cannot be, a test that is named here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable

TESTS = Path(__file__).resolve().parent.parent
# No pure function of bytes gives these: they are answers of a relay, or of a home, or of a person's moment. Each with the
# tests in which it is what comes out.
BESIDE = {
    # a person asked for what cannot be
    "already_member": "sim/test_links.py",
    "ambiguous": "journeys/test_edges.py",
    "clock": "unit/test_clocks.py",
    "home_exists": "unit/test_export.py",
    "home_locked": "unit/test_stores_endure.py",
    "no_home": "unit/test_stores_endure.py",
    "no_such_case": "journeys/test_thread.py",
    "no_such_item": "unit/test_own_devices.py",
    "not_yet": "unit/test_recovery.py",
    "unsafe_setting": "relay/test_relay_http.py",
    "use_grant": "journeys/test_thread.py",
    # no connection
    "offline": "unit/test_recovery.py",
    "timed_out": "simulator.py",
    # the relay said no
    "bad_frame": "relay/test_relay_http.py",
    "busy": "simulator.py",
    "conflict": "relay/test_store_acceptance.py",
    "exists": "relay/test_store_acceptance.py",
    "expired": "relay/test_store_acceptance.py",
    "no_stream": "relay/test_store_acceptance.py",
    "not_admitted": "relay/test_relay_http.py",
    "not_allowed": "relay/test_store_acceptance.py",
    "not_done": "relay/test_store_acceptance.py",
    "quota": "relay/test_store_acceptance.py",
    "slow_down": "relay/test_relay_limits.py",
    # the relay lied
    "broken_chain": "sim/test_lying_relay.py",
    "new_generation": "sim/test_lying_relay.py",
    "parted": "sim/test_parted.py",
    "relay_garbage": "sim/test_lying_relay.py",
    "rolled_back": "sim/test_lying_relay.py",
    # what is found only over time
    "unknown_head": "sim/test_lying_relay.py",
    "link_expired": "sim/test_links.py",
    "removed": "journeys/test_circle.py",
    "withdrawn": "sim/test_links.py",
}
FAMILIES = (Misuse, Unreachable, Refused, RelayMisbehaved, Inadmissible, Ended)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def in_vectors() -> set[str]:
    """Every short text that a vector has as a value; codes are among them."""
    found: set[str] = set()
    for path in (TESTS / "vectors").rglob("*.json"):
        found |= {text for text in _texts(json.loads(path.read_text(encoding="utf-8"))) if len(text) < 30}
    return found


def test_every_code_has_a_vector_or_a_named_test() -> None:
    codes = set().union(*(family.codes for family in FAMILIES))
    without = codes - in_vectors()
    assert sorted(without - set(BESIDE)) == [], "no vector and no test ends with these"
    assert sorted(set(BESIDE) - without) == [], "these have a vector now"


@pytest.mark.parametrize("code", BESIDE)
def test_the_named_test_asks_for_the_code(code: str) -> None:
    assert re.search(rf"\b{code}\b", (TESTS / BESIDE[code]).read_text(encoding="utf-8")), BESIDE[code]


def test_every_alarm_of_a_device_is_a_code_of_the_list() -> None:
    listed = set(re.findall(r"`(\w+)`", (TESTS.parent / "docs/spec/errors.md").read_text(encoding="utf-8")))
    core = (TESTS.parent / "core/eigenkring").rglob("*.py")
    told = {code for path in core for code in re.findall(r"""alarm\(\s*"(\w+)\"""", path.read_text(encoding="utf-8"))}
    assert len(told) > 8
    assert sorted(told - listed) == []
