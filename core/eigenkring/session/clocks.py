"""What time it is, where one clock may be years off: an end that was entered is entered for good.

An end date has come when this device's clock says so and a second one does not deny it: the relay's, which its answers
carry, or else the newest time that another device of the circle signed. Neither can end anything alone, and a relay that
lies about the day only delays. docs/decisions/clocks.md.
"""

from __future__ import annotations

import datetime
from typing import Final

from eigenkring.errors import Misuse
from eigenkring.part.attestation import FIRST_DAY, LAST_DAY
from eigenkring.session.case import CaseState

# Two clocks that are right differ by minutes; one that was set by hand, by a time zone or a day.
FAR_SECONDS: Final = 2 * 24 * 3600
_DAY_SECONDS: Final = 24 * 3600
# Without a relay's word: a circle that signed nothing for so long has a device that slept, or a clock that runs ahead.
SILENT_SECONDS: Final = 400 * 24 * 3600


def borne_out(session: CaseState) -> int:
    """Seconds since 1970 that nothing known denies: the earlier of two clocks that differ."""
    own, witness = session.around.clock(), session.relay_time
    if witness is not None:
        return own if abs(own - witness) <= FAR_SECONDS else min(own, witness)
    signed = _newest_signed(session)
    return own if signed is None or own <= signed + SILENT_SECONDS else signed


def _newest_signed(session: CaseState) -> int | None:
    """What others claimed in the charter, or its beginning; a clock that runs ahead does not bear itself out."""
    own = session.device()
    first = [entry.outline.at for entry in session.entries[:1]]
    return max([entry.outline.at for entry in session.entries if entry.outline.by != own] + first, default=None)


def is_off(session: CaseState) -> bool:
    """Whether this device's clock is days or years away from what is known."""
    own, witness = session.around.clock(), session.relay_time
    return abs(own - witness) > FAR_SECONDS if witness is not None else borne_out(session) != own


def claimed_day(session: CaseState) -> int | None:
    """The day that is signed under a change, counted from 1970; None where this clock is known to be off: a wrong day
    under a person's name is worse than none, and the relay's day would be the relay's word."""
    day = session.around.clock() // _DAY_SECONDS
    return day if FIRST_DAY <= day <= LAST_DAY and not is_off(session) else None


def tell(session: CaseState) -> None:
    """After a sync: people are told while the clock is off, and no longer."""
    if is_off(session):
        session.alarm("clock", "this device")
    else:
        session.store.drop_alarm(session.case, "clock", "this device")


def check(session: CaseState) -> None:
    """Before a date is written that others go by. Raises ``Misuse("clock")``."""
    if is_off(session):
        witness = borne_out(session) if session.relay_time is None else session.relay_time
        raise Misuse(
            "clock", f"this device says it is {_day(session.around.clock())}, the others {_day(witness)}: set its clock"
        )


def _day(seconds: int) -> str:
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=min(seconds, 10**11))
    return moment.date().isoformat()
