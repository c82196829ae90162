"""Comparing, outside the relay, what it showed two people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from eigenkring import reporting
from eigenkring.cli.session import Globals, opened, pass_globals
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.report import MAX_REPORT_BYTES

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("case")
@click.option("--out", type=_FILE, default=None, help="A new file; without it the report is printed.")
@click.option("--own", is_flag=True, help="Also what only you read, to compare with another device of your own.")
@pass_globals
def report(options: Globals, case: str, out: Path | None, own: bool) -> None:
    """What the relay showed this device, and when, signed: to compare with what it showed somebody else. No words, no names."""
    if out is not None and out.exists():
        raise Misuse("home_exists", "something lies there already")
    with opened(options, case) as one:
        text = reporting.report(one, own=own)
        if out is None:
            options.show({"report": text}, lambda: iter(text.splitlines()))
            return
        try:
            with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise Misuse("no_home", f"the file cannot be written: {error.strerror}") from None
        options.show({"report": str(out)})


@click.command()
@click.argument("case")
@click.argument("file", type=_FILE)
@pass_globals
def compare(options: Globals, case: str, file: Path) -> None:
    """Whether the relay showed you what it showed who made FILE. CASE may be another report: then no signature is checked."""
    text = _read(file)
    if Path(case).is_file():
        found = reporting.compare_files(_read(Path(case)), text)
        options.show(found, lambda: _for_people(found))
        return
    with opened(options, case) as one:
        found = reporting.compare(one, text)
        options.show(found, lambda: _for_people(found))


_WORDS = {
    "same": "the same was shown",
    "you_behind": "the other was shown more: sync and compare again; where that stays so, the relay hides something from you",
    "they_behind": "you were shown more: the other may not have synced since, or the relay hides something from them",
    "first_behind": "the second was shown more",
    "second_behind": "the first was shown more",
    "forked": "the relay showed two different stories. Compare by telephone what each of you reads, keep both reports, and "
    "move to another relay where that is not explained",
    "other_generation": "two different stories, and the relay says that it was put back from a copy between them: sync both "
    "devices and compare again; where that stays so, the relay tells each of you something else",
    "unchecked": "cannot be compared",
}


def _for_people(found: dict[str, Any]) -> Iterator[str]:
    by = found.get("by")
    if by is None:
        yield "no signature was checked: who made these reports is only known to a device of the case"
    else:
        gone = "" if by["here"] else ", who does not belong any more"
        yield f"by {by['name']}{gone}, on {_day(found['at'])}"
        if found["older"]:
            yield "an older report than one that was compared here before"
    yield f"{found['verdict']}: {_WORDS[found['verdict']]}"
    for one in found["streams"]:
        yield "  - " + ", ".join(_of_stream(one))
    if found["unknown"]:
        yield f"{found['unknown']} more of which only one of the two can say anything"


def _of_stream(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['what']}: {one['verdict']}"
    if one["verdict"] != "same":
        yield f"the same up to {one['same_to']}"
    if one["differs_at"]:
        yield f"other from {one['differs_at']} on"
    for name in ("since", "yours_since", "theirs_since", "first_since", "second_since"):
        if one.get(name):
            yield f"{name.replace('_', ' ')} {_day(one[name])}"


def _day(at: int) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "a day that no calendar has"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REPORT_BYTES + 1)
    except OSError as error:
        raise Misuse("bad_argument", f"the file cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Inadmissible("bad_report", "that file is no report") from None


COMMANDS = [report, compare]
