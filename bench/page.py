"""Writes what was measured into docs/benchmarks.md and draws it (`plots.py`), between `<!-- NAME -->` and `<!-- /NAME -->`; words stand outside.

python bench/page.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bars
import plots
import results

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *[[str(each) for each in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def told(figures: dict[str, float], unit: str = "") -> str:
    return f"{figures['median']:,g}{unit} ({figures['least']:,g} to {figures['most']:,g})"


def appends(found: dict[str, Any]) -> str:
    names = {
        "relay appends a second": "the relay",
        "bare echo a second": "bare echo that commits the same rows raw",
        "ratio": "ratio of the rates (bar: at least 0.5)",
        "relay processor us": "relay, processor µs an append",
        "bare processor us": "bare echo, processor µs an append",
        "processor ratio": "ratio of the processor times",
    }
    return table(["64 writers, 400 bytes", "median (least to most)"], [[names[key], told(found[key])] for key in names])


def followers(found: dict[str, Any]) -> str:
    names = {
        "followers": "followers",
        "edits": "edits",
        "p50 ms": "p50 ms",
        "p99 ms": "p99 ms",
        "first has it, p50 ms": "until the first has it, p50",
        "first has it, most ms": "most",
        "first to last, p50 ms": "from the first to the last, p50",
        "first to last, most ms": "most",
        "processor us for each": "relay µs for each",
        "listener us": "listener µs",
        "idle KiB each": "idle KiB each",
    }
    shown = [key for key in names if any(key in run for run in found["runs"])]
    return table([names[key] for key in shown], [[run.get(key, "") for key in shown] for run in found["runs"]])


def catching_up(found: dict[str, Any]) -> str:
    return table(
        ["streams", "bytes", "round trips", "ours ms", "the same bytes raw ms", "ratio (bar: at most 2)"],
        [[found["streams"], f"{found['bytes']:,}", found["round trips"], told(found["ours ms"]), told(found["raw ms"]), told(found["ratio"])]],
    )  # fmt: skip


def country(found: dict[str, Any]) -> str:
    return table(["", ""], [[key, f"{value:,g}"] for key, value in found.items()])


def peers(found: dict[str, Any]) -> str:
    rows = []
    for row in found["rows"]:
        kind = (row["scenario"], f"{row['edits']:,}", row["delay_ms"])
        if "no_end_after_s" in row:
            figures = f"no end after {row['no_end_after_s']:.0f} s"
        elif row["scenario"] == "live":
            figures = f"p50 {row['p50_ms']:.3g} ms ({row['p50_ms least']:.3g} to {row['p50_ms most']:.3g})"
            if "warm_p50_ms" in row:
                figures += (
                    f"; 200 edits later {row['warm_p50_ms']:.3g} ms"
                    f" ({row['warm_p50_ms least']:.3g} to {row['warm_p50_ms most']:.3g})"
                )
        elif row["scenario"] in ("typing", "agreements", "evening"):
            figures = (
                f"p50 {row['p50_ms']:.3g} ms ({row['p50_ms least']:.3g} to {row['p50_ms most']:.3g}), "
                f"p95 {row['p95_ms']:.3g} ms; server {row['server_cpu_ms_each']:.2g} ms"
            )
            if "clients_cpu_ms_each" in row:
                figures += f", all clients {row['clients_cpu_ms_each']:.2g} ms"
            figures += f", {row['stored_bytes_each']:,.0f} bytes an edit"
        else:
            figures = (
                f"{row['edits_a_second']:,.0f} edits a second; server {row['server_cpu_ms_each']:.2g} ms, "
                f"both clients {row['clients_cpu_ms_each']:.2g} ms, {row['stored_bytes_each']:,.0f} bytes an edit"
            )
        load = f"{row['load']:.1f}" if "load" in row else ""
        rows.append([*kind, row["peer"], figures, load])
    return table(["trace", "edits", "delay ms", "who", "median", "load"], rows)


def quarter_core(found: dict[str, Any]) -> str:
    rows: list[list[object]] = [
        ["first load, bytes on the wire both ways", "", f"{found['first load bytes']:,}", "2,000,000"],
        ["first load until one can press, ms", "", told(found["first load ms"]), ""],
    ]
    app, tab = found["as an app"], found["in a tab"]
    for what, key, bar in (
        (f"opening: {found['streams']} streams, {found['edits']:,} edits, from what was kept, ms", "open ms", "2,000"),
        ("the same, processor ms of the whole browser", "open processor ms", ""),
    ):
        rows.append([what, told(app[key]), told(tab[key]), bar])
    for what, key, bar in (
        (
            f"a letter typed until it is painted, while another one writes, p95 of {app['keys']}, ms",
            "paint p95 ms",
            "50",
        ),
        ("the same, p50", "paint p50 ms", ""),
    ):
        rows.append([what, f"{app[key]:.3g}", f"{tab[key]:.3g}", bar])
    head = ["Chromium on a quarter of a core", "as an app, median (least to most)", "in a desktop's tab", "bar"]
    return table(head, rows)


def opening(found: dict[str, Any]) -> str:
    """Milliseconds of the clock, and in brackets of the processor."""
    head = "who,daily opening until all words can be read ms,times load,until a word is written and kept ms,times load,Automerge.load ms,newcomer ms,the part's bytes an edit before / after,save() bytes an edit"
    return table([*head.split(","), "all files of the server, bytes an edit"], bars.opening(found))


def glance(_: dict[str, Any]) -> str:
    return table(["measure", "bar", "ours", "peers", "reached", "reason and plan"], bars.every_bar())


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "opening": opening,
    "relay_appends": appends,
    "relay_followers": followers,
    "catching_up": catching_up,
    "country": country,
    "peers": peers,
    "quarter_core": quarter_core,
}


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    # The first table is made of all the others.
    for name, render in {"glance": glance, **SECTIONS}.items():
        found = {} if name == "glance" else results.read(name)
        if found is None:
            continue
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, there, rest = text.partition(begin)
        after = rest.partition(end)[2]
        if not there or not after:
            raise SystemExit(f"docs/benchmarks.md has no place for {name}")
        pictures = "".join(f"\n\n{each}" for each in plots.draw(name, found))
        text = before + begin + render(found) + pictures + end + after
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
