"""A colleague takes over, a choice is looked at before it is given, and a copy for a reader's own record."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any, Final

from eigenkring import giving
from eigenkring.case import Case
from eigenkring.errors import Misuse
from eigenkring.filing import described_in
from eigenkring.library import Device
from eigenkring.receipts import day_of
from eigenkring.session.doors import terms_of
from eigenkring.session.publishing import projection_for
from eigenkring.view import Selection

COPY_NOTE: Final = (
    "Kopie voor eigen dossier. De familie ziet in haar logboek dat deze kopie is gemaakt. "
    "De kopie verandert niet mee met het plan."
)


def preview_selection(case: Case, selection: Selection) -> dict[str, Any]:
    """What somebody would see with this choice, made by the same function as the view itself. Nobody is given anything.
    Raises ``Misuse("not_permitted")``: this device does not read all of it."""
    session = case.session
    projection = projection_for(session, selection, session.around.random(32))
    if projection is None:
        raise Misuse("not_permitted", "this device does not read all that is chosen")
    return {part: described_in(document) for part, document in projection.items()}


def renew(case: Case, text: str, to: str, until: str | None = None) -> giving.Given:
    """The same choice and purpose for a colleague; the one before reads no more. ``until`` is the old date where none is
    given. The new grant comes first: a crash in between leaves both, and ``renew`` may be repeated. Raises ``Misuse``:
    ``no_such_grant``, ``ambiguous``, ``not_permitted``, ``bad_value``, ``clock``; ``Unreachable``."""
    gid, session = case.grant_id(text), case.session
    old = session.known().grants[gid]
    terms = terms_of(session, old)
    if terms is None:
        raise Misuse("not_permitted", "only the circle knows what was given there")
    logged = session.read(session.part("access")).get("grants", {}).get(terms.access, {})
    purpose = str(logged.get("purpose") or "")
    if not purpose:
        raise Misuse("not_permitted", "the access log does not say what that was for; give access anew")
    given = case.grant(to, purpose, until or _last_day(old.until), terms.selection, compare=terms.compare)
    case.withdraw(gid.hex())
    return given


def _last_day(until: int) -> str:
    """The day of an end date, in local time, as it was given."""
    return datetime.datetime.fromtimestamp(until, datetime.UTC).astimezone().date().isoformat()


def save_copy(device: Device, text: str, path: Path) -> dict[str, Any]:
    """A reader's copy for the own record, reported to the family. Raises ``Misuse("home_exists")`` where a file lies
    already, ``Ended`` when access was stopped."""
    row = device.reading(text)
    parts = device.view(text)
    if path.exists():
        raise Misuse("home_exists", "something lies there already")
    content = {
        "note": COPY_NOTE,
        "from": row.sender,
        "for": row.name,
        "grant": row.grant.hex(),
        "version": row.version,
        "saved": day_of(device.around.clock()),
        "parts": parts,
    }
    # Reported before it is written: a copy of which the family hears nothing must not exist.
    device.say(text, "copied", "", v=row.version)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=1)
    except OSError as error:
        raise Misuse("no_home", f"the copy cannot be written: {error.strerror}") from None
    return {"saved": str(path), "version": row.version}
