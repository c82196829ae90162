"""A real relay and people with homes, for whole journeys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journeys.people import Someone
from live_relay import LiveRelay, live_relay


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay") as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Callable[[str], Someone]:
    def make(name: str) -> Someone:
        return Someone(tmp_path / "homes" / name, name)

    return make
