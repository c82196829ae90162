"""A running relay for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from live_relay import LiveRelay, live_relay


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRelay]:
    """One relay for a whole module: every test uses streams of its own."""
    folder: Path = tmp_path_factory.mktemp("relay")
    with live_relay(folder) as running:
        yield running
