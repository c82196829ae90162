"""The bars of issue G at a glance, and the opening beside its peers: what `page.py` writes from `results/`, nothing by hand.

What was not measured says so; whether a bar is reached is computed here from the same figures that stand below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import results

UNMEASURED = "not measured"
CLIENTS = {"eigenkring": "the app's engine in Node", "eigenkring-python": "the Python library"}
BARE = "bare echo that commits"
# Told beside it; the bars are those of plain `cojson`, which keeps an agreement as a string nobody can write in together.
TEXTS = "cojson, agreements as texts"
# A cost that stays within this of itself is called flat, or linear.
STEADY = 1.5


class Row(NamedTuple):
    measure: str
    bar: str
    ours: str
    peers: str
    reached: bool | None  # None: a figure is missing
    stands: str  # where the reason and the plan are


def every_bar() -> list[list[object]]:
    said = {True: "yes", False: "**no**", None: UNMEASURED}
    return [[*row[:4], said[row.reached], row.stands] for row in _rows()]


def _all(*parts: bool | None) -> bool | None:
    """One that fails is enough; one that is missing leaves it open."""
    if any(part is False for part in parts):
        return False
    return None if any(part is None for part in parts) else True


def _told(figure: float | None, unit: str) -> str:
    return UNMEASURED if figure is None else f"{figure:,.3g}{unit}" if figure < 1_000 else f"{figure:,.0f}{unit}"


def _at_most(figure: float | None, bound: float | None) -> bool | None:
    return None if figure is None or bound is None else figure <= bound


def _times(figure: float | None, of: float | None) -> float | None:
    return None if figure is None or not of else figure / of


def _decision(*names: str) -> str:
    return ", ".join(f"[{name}](decisions/{name}.md)" for name in names)


def _rows() -> Iterator[Row]:
    yield from _traces()
    yield from _opening()
    yield from _relay()


def _traces() -> Iterator[Row]:
    rows = (results.read("peers") or {"rows": []})["rows"]

    def figure(peer: str, scenario: str, edits: int, key: str) -> float | None:
        found: list[float] = [row[key] for row in rows if _key(row) == (peer, scenario, edits, 0) and key in row]
        return found[0] if found else None

    for client, named in CLIENTS.items():
        ours, peer, texts, bare = (figure(who, "live", 100, "p50_ms") for who in (client, "cojson", TEXTS, BARE))
        yield Row(
            f"live edit, person to person, p50: {named}",
            "below cojson; 3 times a bare echo that commits",
            _told(ours, " ms"),
            f"cojson {_told(peer, ' ms')}, with agreements as texts {_told(texts, ' ms')}, bare echo {_told(bare, ' ms')}",
            _all(_at_most(ours, peer), _at_most(ours, None if bare is None else 3 * bare)),
            _decision("live"),
        )
    for client, named in CLIENTS.items():
        rates = {edits: figure(client, "burst", edits, "edits_a_second") for edits in (1_000, 5_000, 20_000)}
        peer, texts, repo = (
            figure(who, "burst", 1_000, "edits_a_second") for who in ("cojson", TEXTS, "automerge-repo")
        )
        first, last = rates[1_000], rates[20_000]
        yield Row(
            f"burst of single edits, edits a second of 1,000 / 5,000 / 20,000: {named}",
            "2 times cojson, 5 times automerge-repo; flat",
            " / ".join(_told(rate, "") for rate in rates.values()),
            f"of 1,000: cojson {_told(peer, '')}, with agreements as texts {_told(texts, '')}, automerge-repo {_told(repo, '')}",
            _all(_at_most(_times(peer, first), 1 / 2), _at_most(_times(repo, first), 1 / 5), _at_most(_times(first, last), STEADY)),
            _decision("bursts"),
        )  # fmt: skip


def _opening() -> Iterator[Row]:
    found = {row["peer"]: row for row in (results.read("opening") or {"rows": []})["rows"]}

    def figure(who: str, key: str) -> float | None:
        return found.get(who, {}).get(key)

    def peer(who: str, key: str, unit: str) -> str:
        late = figure(who, "no_end_after_s")
        return f"{who} " + (f"did not end in {late:.0f} s" if late else _told(figure(who, key), unit))

    def beats(ours: float | None, who: str, key: str, times: float = 1) -> bool | None:
        """Who does not end is slower."""
        theirs = figure(who, key)
        if ours is not None and figure(who, "no_end_after_s"):
            return True
        return _at_most(ours, None if theirs is None else times * theirs)

    # Processor time: another program beside it changes little of that.
    for client, named in CLIENTS.items():
        for until, key in (("all words can be read", "words_cpu_ms"), ("a word is written and kept", "write_cpu_ms")):
            day, load = figure(client, key), figure(client, "load_cpu_ms")
            yield Row(
                f"daily opening of 10,000 edits until {until}, processor time: {named}",
                "1.3 times Automerge.load; faster than both peers",
                f"{_told(day, ' ms')}, load {_told(load, ' ms')}",
                f"{peer('cojson', key, ' ms')}; {peer(TEXTS, key, ' ms')}; {peer('automerge-repo', key, ' ms')}",
                _all(
                    _at_most(_times(day, load), 1.3),
                    beats(day, "cojson", key),
                    beats(day, "automerge-repo", key),
                ),
                _decision("daily"),
            )
    for client, named in CLIENTS.items():
        new = figure(client, "newcomer_cpu_ms")
        yield Row(
            f"newcomer's first opening of 10,000 edits by eleven, verified, processor time: {named}",
            "faster than automerge-repo; 2 times cojson",
            _told(new, " ms"),
            f"{peer('cojson', 'newcomer_cpu_ms', ' ms')}; {peer(TEXTS, 'newcomer_cpu_ms', ' ms')}; "
            f"{peer('automerge-repo', 'newcomer_cpu_ms', ' ms')}",
            _all(beats(new, "automerge-repo", "newcomer_cpu_ms"), beats(new, "cojson", "newcomer_cpu_ms", 2)),
            _decision("stretches", "strict-door"),
        )
    for client, named in CLIENTS.items():
        each = _each(found.get(client), "stream_bytes")
        save, theirs = _each(found.get(client), "save_bytes"), _each(found.get("cojson"), "stored_bytes")
        files = _each(found.get(client), "stored_bytes")
        yield Row(
            f"stored bytes an edit after compaction (the part; all files of the relay): {named}",
            "2 times Document.save(); a third of cojson",
            f"{_told(each, '')}; {_told(files, '')}",
            f"save() {_told(save, '')}, cojson's files {_told(theirs, '')}",
            _all(_at_most(_times(each, save), 2), _at_most(files, None if theirs is None else theirs / 3)),
            "[below](#opening-beside-the-peers-benchopeningpy)",
        )


def _relay() -> Iterator[Row]:
    if found := results.read("catching_up"):
        ratio = found["ratio"]["median"]
        yield Row(
            "catching up 40 streams of one case",
            "one round trip; 2 times the same bytes raw",
            f"{found['round trips']} round trip, {ratio:g} times",
            "the same bytes raw",
            found["round trips"] == 1 and ratio <= 2,
            _decision("relay-speed"),
        )
    if found := results.read("relay_appends"):
        yield Row(
            "durable appends a second, 64 writers",
            "half of a bare echo that commits in groups",
            f"{found['relay appends a second']['median']:,.0f}",
            f"bare echo {found['bare echo a second']['median']:,.0f}",
            found["ratio"]["median"] >= 0.5,
            _decision("relay-speed"),
        )
    runs = {run["followers"]: run for run in (results.read("relay_followers") or {"runs": []})["runs"]}
    if 1_000 in runs:
        costs = [run["processor us for each"] for run in runs.values() if "processor us for each" in run]
        yield Row(
            "one edit to 1,000 followers, p99",
            "below 100 ms; cost linear",
            f"{runs[1_000]['p99 ms']:g} ms; {min(costs):g} to {max(costs):g} µs a follower",
            "",
            runs[1_000]["p99 ms"] < 100 and max(costs) <= STEADY * min(costs),
            _decision("relay-speed"),
        )
    most = runs.get(10_000)
    yield Row(
        "10,000 idle followers on one process",
        "40 KB each",
        UNMEASURED if most is None else f"{most['idle KiB each']:g} KiB each",
        "",
        None if most is None else most["idle KiB each"] * 1.024 <= 40,
        _decision("relay-speed"),
    )
    if found := results.read("country"):
        yield Row(
            f"{found['cases']:,g} cases, {found['devices']:,g} devices, the morning after an outage",
            "every device caught up, no error; figures published",
            f"{found['errors']:,g} errors; {found['disk MiB']:g} MiB of disk, {found['relay MiB']:g} MiB of memory",
            "",
            found["errors"] == 0 and found["devices"] == 132_000,
            "[below](#a-country-on-one-machine-the-morning-after-an-outage-benchcountrypy)",
        )


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["peer"], row["scenario"], row["edits"], row["delay_ms"]


def _each(row: dict[str, Any] | None, key: str) -> float | None:
    return row[key] / row["edits"] if row and key in row else None


def opening(found: dict[str, Any]) -> list[list[object]]:
    """Of every peer: the daily opening, the engine's own load, the newcomer, the bytes."""
    rows: list[list[object]] = []
    for row in found["rows"]:
        if "no_end_after_s" in row:
            rows.append([row["peer"], f"no end after {row['no_end_after_s']:.0f} s", *[""] * 8])
            continue
        load = row.get("load_cpu_ms")
        days = [
            each for key in ("words", "write") for each in (_both(row, key), _ratio(row.get(f"{key}_cpu_ms"), load))
        ]
        rows.append(
            [
                row["peer"],
                *days,
                _both(row, "load"),
                _both(row, "newcomer"),
                " / ".join(
                    _told(each, "") for key in ("tail_bytes", "stream_bytes") if (each := _each(row, key)) is not None
                ),
                _told(_each(row, "save_bytes"), "") if "save_bytes" in row else "",
                "" if "stored_bytes" not in row else _told(_each(row, "stored_bytes"), ""),
            ]
        )
    return rows


def _both(row: dict[str, Any], name: str) -> str:
    """Milliseconds of the clock, and of the processor; nothing where they were not measured."""
    if f"{name}_cpu_ms" not in row:
        return ""
    return f"{row[f'{name}_ms']:,.0f} ({row[f'{name}_cpu_ms']:,.0f})"


def _ratio(figure: float | None, of: float | None) -> str:
    times = _times(figure, of)
    return "" if times is None else f"{times:.2g}"
