"""Every screen, as tools/screens.py rehearses it: axe finds nothing, nothing is wider than the phone, and one can press it.

With the letters of the phone's owner twice as large as they might be, on the smallest phone, and in the dark, for the screens
that people use most; tools/screens.py photographs all of them in five looks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import screens  # noqa: E402

pytestmark = pytest.mark.browser

MOST_USED = ("01-", "03-invited.", "06-overview.", "07-plan.", "09-circle.", "12-round.", "14-give.", "22-view.")


@pytest.mark.timeout(900)
def test_every_screen_is_clean(browser: Browser, tmp_path: Path) -> None:
    first, *others = screens.LOOKS
    hard = [look for look in others if look[1] or look[4]]
    assert len(hard) == 2, "the dark and the large look"
    with screens.rehearsal() as address:
        complaints = list(screens.photograph(browser, address, tmp_path, first, screens.SHOTS))
        for look in hard:
            some = [shot for shot in screens.SHOTS if f"{shot.name}.".startswith(MOST_USED)]
            complaints += screens.photograph(browser, address, tmp_path, look, some)
    assert len(list(tmp_path.glob("*.png"))) > 80
    assert complaints == []
