"""The relay shows other decisions than this device knows: what they are, in words, and going on with them.

Spec: docs/spec/charter.md, Adopt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eigenkring.charter.branches import Owed, may_adopt, owed, parted_at
from eigenkring.charter.state import Charter
from eigenkring.errors import Misuse
from eigenkring.session import adopting
from eigenkring.session.parts import CaseSession
from eigenkring.story import entry_lines


def told(session: CaseSession) -> dict[str, Any]:
    """``{"takes": [line], "drops": [line], "again": [line]}``: what the shown charter has beside ours, what ours has beside
    it, and what of that is entered again. Lines are those of the log. Raises ``Misuse("not_yet")`` where none is shown."""
    position, placed = adopting.shown_records(session)
    states = adopting.fold_shown(session, placed)
    if not position.length or not states:
        raise Misuse("not_yet", "the relay shows no other decisions than those known here")
    branch, shown = session.known(), states[-1][1]
    parted = parted_at(branch, shown)
    return {
        "takes": entry_lines(shown, [entry for entry, state in states if state.n > parted]),
        "drops": entry_lines(branch, session.entries[parted:]),
        "again": [_line(branch, one) for one in owed(branch, shown, shown.n)],
    }


def adopt(session: CaseSession, sync: Callable[[], object]) -> dict[str, Any]:
    """Go on with what the relay shows. Raises ``Misuse``: ``not_yet``, ``not_permitted``."""
    answer = told(session)
    position, placed = adopting.shown_records(session)
    states = adopting.fold_shown(session, placed)
    branch, shown = session.known(), states[-1][1]
    if not may_adopt(branch, shown, session.me()):
        raise Misuse("not_permitted", "an owner who is one in both says which decisions go on")
    adopting.follow(session, position, placed, 0, states)
    sync()
    return {**answer, "owed": [_line(was, one) for _, was, one in adopting.still_owed(session)]}


def _line(branch: Charter, one: Owed) -> dict[str, str]:
    names = {bytes(person.person): person.name for person in branch.people.values()}
    names |= {bytes(i.invitation): i.name for i in branch.invitations.values()}
    names |= {bytes(d.device): branch.people[d.person].name for d in branch.devices.values()}
    return {"what": one.what, "name": names.get(one.of, ""), "room": one.room}
