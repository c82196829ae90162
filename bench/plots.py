"""What was measured as pictures: `docs/plots/NAME.svg`, drawn from `bench/results/` and nothing else. Called by `page.py`.

Own SVG, a few lines of it: a bar for each figure, the spread as a thin line through its end, the figure in words beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "plots"

WIDTH, LABELS, ROW, TOP, RIGHT = 800, 290, 26, 56, 120
OURS, OTHERS, INK, PAPER = "#0b6e4f", "#8a94a6", "#1d2433", "#ffffff"


class Bar(NamedTuple):
    """One figure; ``least`` and ``most`` of its runs. ``ours`` is drawn in colour; a bar without a name stands under the one above."""

    name: str
    value: float
    least: float
    most: float
    ours: bool = False


def bars(title: str, unit: str, rows: Sequence[Bar], *, log: bool = False) -> str:
    """A picture of bars. ``log``: each step of the scale is ten times the one before, and the axis says so."""
    top = max(row.most for row in rows)
    low = min(row.least for row in rows)
    first, last = (floor(log10(low)), ceil(log10(top))) if log else (0, 0)
    if log and first == last:
        last += 1
    span = WIDTH - LABELS - RIGHT

    def at(value: float) -> float:
        part = (log10(value) - first) / (last - first) if log else value / top
        return LABELS + span * part

    height = TOP + ROW * len(rows) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        f'<text x="12" y="26" font-size="16" font-weight="600" fill="{INK}">{escape(title)}</text>',
    ]
    for step in [10.0**power for power in range(first, last + 1)] if log else []:
        x = at(step)
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 26}" stroke="{OTHERS}" stroke-width="0.5"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="{INK}">{step:g}</text>')
    for nth, row in enumerate(rows):
        y = TOP + ROW * nth
        middle = y + ROW / 2 - 3
        end = max(at(row.value), LABELS + 1)
        parts.append(
            f'<text x="{LABELS - 10}" y="{middle + 4:.1f}" text-anchor="end" fill="{INK}">{escape(row.name)}</text>'
        )
        colour = OURS if row.ours else OTHERS
        parts.append(f'<rect x="{LABELS}" y="{y:.1f}" width="{end - LABELS:.1f}" height="{ROW - 8}" fill="{colour}"/>')
        parts.append(
            f'<line x1="{max(at(row.least), LABELS):.1f}" y1="{middle:.1f}" x2="{at(row.most):.1f}" y2="{middle:.1f}" stroke="{INK}" stroke-width="1.5"/>'
        )
        parts.append(
            f'<text x="{max(end, at(row.most)) + 8:.1f}" y="{middle + 4:.1f}" fill="{INK}">{row.value:,.3g} {escape(unit)}</text>'
        )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def peers(found: dict[str, Any]) -> dict[str, str]:
    """How long an edit takes from person to person, by delay of the wire; and how many single edits go a second, by how many."""
    drawn = {}
    for scenario, key, title, unit in (
        ("live", "p50_ms", "One edit, person to person, median", "ms"),
        ("burst", "edits_a_second", "Single edits, one writer to one reader", "a second"),
    ):
        rows = [
            Bar(
                f"{row['peer']}, {row['delay_ms']} ms wire"
                if scenario == "live"
                else f"{row['peer']}, {row['edits']:,} edits",
                row[key],
                row[f"{key} least"],
                row[f"{key} most"],
                row["peer"].startswith("eigenkring"),
            )
            for row in found["rows"]
            if row["scenario"] == scenario and key in row
        ]
        if rows:
            drawn[scenario] = bars(f"{title} (logarithmic)", unit, rows, log=True)
    return drawn


def appends(found: dict[str, Any]) -> dict[str, str]:
    rows = [
        Bar(name, found[key]["median"], found[key]["least"], found[key]["most"], name == "the relay")
        for name, key in (("the relay", "relay appends a second"), ("bare echo, same rows raw", "bare echo a second"))
    ]
    return {"appends": bars("Durable appends, 64 writers", "a second", rows)}


def followers(found: dict[str, Any]) -> dict[str, str]:
    rows = [
        Bar(f"{run['followers']:,} followers, {key[:3]}", run[key], run[key], run[key], key == "p50 ms")
        for run in found["runs"]
        for key in ("p50 ms", "p99 ms")
        if key in run
    ]
    return {"followers": bars("One edit to many followers", "ms", rows)}


DRAWN = {"peers": peers, "relay_appends": appends, "relay_followers": followers}


def draw(name: str, found: dict[str, Any]) -> list[str]:
    """Writes the pictures of one measurement; gives the lines that show them on the page."""
    if name not in DRAWN:
        return []
    FOLDER.mkdir(exist_ok=True)
    shown = []
    for picture, svg in DRAWN[name](found).items():
        (FOLDER / f"{picture}.svg").write_text(svg, encoding="utf-8")
        title = svg.partition("<title>")[2].partition("</title>")[0]
        shown.append(f"![{title}](plots/{picture}.svg)")
    return shown
