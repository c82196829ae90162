"""Every screen, as tools/shots.py lists them: axe finds nothing, nothing is wider than the phone, and one can press it.

By day and in the dark, and with the largest letters of the settings, twice as large as usual. Without pictures:
tools/screens.py makes those, in six looks. In a file of its own, so that one core goes through them and the other through the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import screens  # noqa: E402
from shots import SHOTS  # noqa: E402

pytestmark = pytest.mark.browser


def test_every_screen_is_clean(browser: Browser) -> None:
    assert len(SHOTS) > 100
    with screens.rehearsal() as address:
        assert list(screens.inspect(browser, address, SHOTS)) == []
