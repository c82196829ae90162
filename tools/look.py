"""Photographs every screen in every weather, and lays the pictures side by side: `.venv/bin/python tools/look.py FOLDER [WORD ...]`.

Each screen of tools/shots.py by phone and by table, by day and in the dark, as it is and with letters twice as large; each page
once more with names without end, with nothing on it yet, without internet, and where reading fails; and what one presses where
doing fails, and without internet. Sheets of several pictures lie in FOLDER/sheets. WORDs keep the pictures whose name holds all of
them. Prints what is wider than the phone, cut off, or too small to press. Not part of a test: that is tools/screens.py, `inspect`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path

import screens
from playwright.sync_api import Browser, sync_playwright
from screens import Look, Stage
from shots import ACTS, SHOTS, Shot

WEATHERS = ("long", "empty", "offline", "error")
LOOKS = [
    Look("nl", dark, width, height, large)
    for large in (False, True)
    for width, height in ((390, 844), (1280, 800))
    for dark in (False, True)
    if not (large and dark)
]
# How many pictures lie beside each other, and how wide each is: what stands in them is to be read.
ACROSS = {390: (5, 360), 1280: (2, 900)}
ROWS = {390: 1, 1280: 2}
# Longer than this is looked at on its own.
HIGHEST = 2200


def pages() -> Iterator[Shot]:
    """Each page once, on each phone on which it is rehearsed, before anything is pressed."""
    seen = set()
    for shot in SHOTS:
        if shot.scene != "full" or (shot.route, shot.who) in seen:
            continue
        seen.add((shot.route, shot.who))
        yield replace(shot, do=lambda page: None)


def wanted(look: Look) -> Iterator[Shot]:
    yield from SHOTS
    if look.large:
        return
    for weather in WEATHERS:
        for shot in pages():
            # Where nobody is yet, only the first one is.
            if weather == "empty" and shot.who not in ("nora", "new"):
                continue
            yield replace(shot, name=f"{shot.name}+{weather}", scene=weather)
    for weather in ("stuck", "offline"):
        for shot in ACTS:
            yield replace(shot, name=f"{shot.name}+{weather}", scene=weather)


def photograph(browser: Browser, address: str, folder: Path, look: Look, shots: list[Shot]) -> Iterator[str]:
    stage = Stage(browser, address, look)
    stage.page.set_default_timeout(3_000)
    for shot in shots:
        name = f"{shot.name}.{look.name}"
        try:
            stage.play(shot)
        except Exception as error:
            yield f"{name}: {str(error).splitlines()[0]}"
        yield from (f"{name}: {line}" for line in stage.plain())
        # As a phone as high as the page: the bars at top and bottom then lie over nothing.
        page = stage.page
        page.evaluate("scrollTo(0, 0)")
        page.set_viewport_size(
            {"width": look.width, "height": max(look.height, page.evaluate("document.documentElement.scrollHeight"))}
        )
        page.screenshot(path=str(folder / f"{name}.png"))
        page.set_viewport_size({"width": look.width, "height": look.height})
    stage.context.close()


def sheets(browser: Browser, folder: Path, look: Look, shots: list[Shot]) -> None:
    """The pictures side by side, each under its name."""
    across, width = ACROSS[look.width]
    each = across * ROWS[look.width]
    page = browser.new_page(viewport={"width": across * (width + 12) + 12, "height": 800})
    (folder / "sheets").mkdir(exist_ok=True)
    for start in range(0, len(shots), each):
        some = shots[start : start + each]
        cells = "".join(
            f"<figure><figcaption>{escape(shot.name)}</figcaption><img src='{folder.resolve().as_uri()}/{shot.name}.{look.name}.png'></figure>"
            for shot in some
        )
        sheet = folder / "sheets" / f"{look.name}-{start:03d}"
        style = (
            f"body{{margin:12px;background:#888;font:14px sans-serif;display:grid;grid-template-columns:repeat({across},{width}px);gap:12px}}"
            f"figure{{margin:0}}img{{width:{width}px;max-height:{HIGHEST}px;object-fit:cover;object-position:top}}"
        )
        sheet.with_suffix(".html").write_text(f"<meta charset=utf-8><style>{style}</style>{cells}")
        page.goto(sheet.with_suffix(".html").resolve().as_uri())
        page.screenshot(path=str(sheet.with_suffix(".png")), full_page=True)
    page.close()


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    words = sys.argv[2:]
    complaints = 0
    with screens.rehearsal() as address, sync_playwright() as play:
        browser = screens.chromium(play)
        for look in LOOKS:
            shots = [one for one in wanted(look) if all(word in f"{one.name}.{look.name}." for word in words)]
            if not shots:
                continue
            for line in photograph(browser, address, folder, look, shots):
                complaints += 1
                print(line, flush=True)
            sheets(browser, folder, look, shots)
        browser.close()
    print(f"{complaints} complaints; pictures in {folder}, sheets in {folder}/sheets")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
