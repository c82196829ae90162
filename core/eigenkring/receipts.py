"""What a reader said, as a device of the circle reads it, and the receipts of the reader's app in the access log."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from eigenkring.charter.state import Grant
from eigenkring.errors import Inadmissible
from eigenkring.rooms import grant_room
from eigenkring.said import WORDS, Said, incoming_id, open_said
from eigenkring.session.doors import terms_of
from eigenkring.session.parts import CaseSession
from eigenkring_crypto.errors import CryptoError


def received(session: CaseSession, grant: Grant) -> Iterator[tuple[str, Said]]:
    """What the reader of a grant said, in order. What is not by that reader, or said twice, is passed over and told."""
    if grant.device is None:
        return
    above = 0
    for placed in session.store.records(session.case, grant.up):
        try:
            payload = session.open_record(grant.up, grant_room(grant.grant), placed.record)
            said = open_said(payload, grant.up, grant.grant, grant.device.sign, above)
        except (CryptoError, Inadmissible) as error:
            session.alarm(error.code, f"up of {grant.grant.hex()} record {placed.index}")
            continue
        seen = session.store.chain_at(session.case, grant.up, said.length)
        if said.length >= placed.index or (seen is not None and seen != said.chain):
            # Either the reader lies or was shown another log; the words are the reader's all the same.
            session.alarm("false_seen", f"up of {grant.grant.hex()}")
        above = said.n
        yield incoming_id(grant.grant, payload), said


def note_receipts(session: CaseSession) -> bool:
    """Write into the access log what readers' apps reported. Gives whether there was anything new."""
    charter = session.charter
    part = None if charter is None else charter.parts.get("access")
    if charter is None or part is None or part.stream not in session.parts or session.row.state != "open":
        return False
    if not charter.may_write(session.me(), "access"):
        return False
    items = session.read(session.parts[part.stream]).get("grants", {})
    intents: list[Any] = []
    for grant in charter.grants.values():
        terms = terms_of(session, grant)
        if terms is None or terms.access not in items:
            continue
        newest = {said.what: day_of(said.at) for _, said in received(session, grant) if said.what not in WORDS}
        for field, day in newest.items():
            if items[terms.access].get(field) != day:
                intents.append(["set", ["grants", terms.access, field], day])
    if intents:
        session.edit("access", intents)
    return bool(intents)


def day_of(at: int) -> str:
    """By the sender's clock, which decides nothing. A clock beyond the calendar is shown as no day."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
