"""A real relay, and devices of the app that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from interop.app_device import AppDevice
from live_relay import LiveRelay, live_relay


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay") as running:
        yield running


@pytest.fixture
def app_device() -> Iterator[Callable[[], AppDevice]]:
    with ExitStack() as all_of_them:

        def make() -> AppDevice:
            device = AppDevice()
            all_of_them.callback(device.close)
            return device

        yield make
