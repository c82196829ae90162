"""The end of a case: streams closed at the relay, keys destroyed here, the others told. Spec: docs/spec/export.md, Erasing."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from eigenkring import wire
from eigenkring.case import Case
from eigenkring.charter import compose
from eigenkring.errors import Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import StreamId
from eigenkring.rooms import about
from eigenkring.session import attachments
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.session.parts import CaseSession
from eigenkring.shelf import note_gone

# Said to whoever erases, and true: none of it can be undone, nor promised.
SURVIVES: Final = (
    "This cannot be undone: the keys on this device are gone.",
    "What others have on their own devices stays there until they delete it.",
    "Copies that professionals saved for their own record stay with them.",
    "Backups of the relay can hold sealed bytes until they are overwritten; without keys nobody reads them.",
)
LIST_STAYS: Final = "Who belonged, and that it ended, stays sealed at the relay, so that the others are told."
CIRCLE_STAYS: Final = "What the circle wrote together stays with the circle; you left it, and your own pages are gone."
REMOVED_STAYS: Final = (
    "What the circle wrote together stays with the circle, to which this device does not belong any more."
)
PAGES_STAY: Final = "Your own pages could not be taken from the relay. They stay there sealed: only another device of yours could open them."
BATCH: Final = 100


def erase(case: Case) -> dict[str, Any]:
    """An owner ends the case for all; somebody else leaves it and takes the own pages out; who does not belong any more, or
    whose case an owner ended, empties this device. Gives ``{"erased", "closed", "kept", "say"}``: how many streams were
    closed and how many could not be, and what to tell the person.

    Raises ``Misuse("not_permitted")`` where other owners have to agree first, ``Unreachable``: nothing is erased then. Where
    it is over for this person nobody else is needed, and neither is raised.
    """
    session, charter = case.session, case.session.known()
    removed = session.row.state == "removed"
    owner = not removed and charter.is_owner(session.me())
    if removed or (charter.closed_n is not None and not owner):
        return _erase_ended(case)
    alone = not [p for p in charter.present() if p.person != session.me()]
    if owner and charter.closed_n is None:
        _end(case)
    shared = {StreamId(session.case), charter.keys_stream}
    streams = case.session.known().live_streams() if owner else _own_streams(session)
    wanted = [stream for stream in streams if stream not in shared]
    files = _attachments(session, None if owner else set(wanted))
    closed, kept = _close(case, wanted)
    closed += _close_attachments(case, files)
    if owner and alone:
        closed += _close(case, sorted(shared))[0]  # nobody is left to be told
    if not owner:
        case.leave()
    _take_from_here(session)
    say = [*SURVIVES, *([LIST_STAYS] if owner and not alone else []), *([] if owner else [CIRCLE_STAYS])]
    return {"erased": session.case.hex(), "closed": closed, "kept": kept, "say": say}


def _erase_ended(case: Case) -> dict[str, Any]:
    session, removed = case.session, case.session.row.state == "removed"
    # Nobody took the lock of these from a person who was removed. Who put out a device of their own turned it: what lies in
    # a thief's hand closes nothing.
    streams = _own_streams(session)
    closed, kept = 0, len(streams)
    # The relay may be gone for ever: that must keep nobody from emptying the own device.
    with contextlib.suppress(Unreachable, Refused, RelayMisbehaved):
        closed, kept = _close(case, streams)
        closed += _close_attachments(case, _attachments(session, set(streams)))
    _take_from_here(session)
    say = [*SURVIVES, *([REMOVED_STAYS] if removed else []), *([PAGES_STAY] if kept else [])]
    return {"erased": session.case.hex(), "closed": closed, "kept": kept, "say": say}


def go_away(case: Case) -> None:
    """Go, and take everything of it from this device. What one wrote stays with the circle. Raises ``Unreachable``,
    ``Inadmissible("last_owner")``: nothing is gone then."""
    case.leave()
    _take_from_here(case.session)


def _take_from_here(session: CaseSession) -> None:
    note_gone(session.store, session.case, session.row.person)
    session.store.erase_case(session.case)


def _end(case: Case) -> None:
    try:
        case.act(lambda now: exchange_of(now, compose.close(now.known(), author_of(now))))
    except Inadmissible as error:
        if error.code == "not_permitted":
            raise Misuse("not_permitted", "the other owners have to agree: `propose CASE close` first") from None
        raise


def _own_streams(session: CaseSession) -> list[StreamId]:
    """The parts about this person that nobody but this person manages: also after a removal, which takes those from nobody."""
    charter, me = session.known(), session.me()
    mine = [part.stream for part in charter.parts.values() if part.about == me]
    return [stream for stream in mine if about(charter.stream_rooms(stream).manage) == me]


def _attachments(session: CaseSession, of: set[StreamId] | None) -> list[wire.Operation]:
    """What closes the photos and files of these parts, or of all that this device writes."""
    ops: list[wire.Operation] = []
    for stream, opened in session.parts.items():
        if of is None or stream in of:
            for attached in sorted(attachments.held_streams(session, opened)):
                ops += attachments.closing(session, opened.part, attached)
    return ops


def _close_attachments(case: Case, ops: list[wire.Operation]) -> int:
    """Each under every lock it may have; one of them opens."""
    closed = 0
    for start in range(0, len(ops), BATCH):
        results = case.transport.exchange(ops[start : start + BATCH]).results
        closed += sum(isinstance(result, wire.Closed) for result in results)
    return closed


def _close(case: Case, streams: list[StreamId]) -> tuple[int, int]:
    """Close what this device manages. One that does not close must not keep the others."""
    ops = []
    for stream in streams:
        cap = case.session.secrets(stream).manage_cap()
        if cap is not None:
            ops.append(wire.Close(stream=stream, cap=cap))
    closed = 0
    for start in range(0, len(ops), BATCH):
        results = case.transport.exchange(ops[start : start + BATCH]).results
        closed += sum(not isinstance(r, wire.Failed) or r.code in ("closed", "no_stream") for r in results)
    return closed, len(streams) - closed
