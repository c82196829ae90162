"""Saying what the relay showed this device, and comparing it with what it showed another one. Spec: docs/spec/report.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from eigenkring import report as reports
from eigenkring.case import Case
from eigenkring.charter.state import Device
from eigenkring.differing import Difference, differences
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import StreamId
from eigenkring.report import CaseTags, Line, LineTags, Point, Report
from eigenkring.session.parts import CaseSession
from eigenkring.session.sightings import generations, is_gone, linked_from, sightings

# What a person is told of their own side of a difference.
_SIDES: Final = {"left_behind": "you_behind", "right_behind": "they_behind"}
_FILES: Final = {"left_behind": "first_behind", "right_behind": "second_behind"}
_WORST_FIRST: Final = (
    "forked", "other_generation", "you_behind", "first_behind", "they_behind", "second_behind", "same", "unchecked",
)  # fmt: skip
DAY: Final = 24 * 3600


def report(case: Case, *, own: bool = False) -> str:
    """What the relay showed this device: a signed text to send by another way than the relay. It holds no words, no names, no
    keys. ``own``: also of the streams that only this person reads, to compare with an own device. Raises
    ``Misuse("not_yet")`` where nobody let this device in yet."""
    session = case.session
    made, _ = _made(session, own=own)
    return reports.sign_report(session.keys.sign, session.case, made)


def compare(case: Case, text: str) -> dict[str, Any]:
    """What a report of another device of this case shows beside what is here. ``forked`` stays as an alarm of the case.

    Gives ``{"verdict", "by", "at", "older", "entries", "streams", "unknown"}``: ``unknown`` is how many streams are in it that
    this device cannot read. Raises ``Inadmissible``: ``bad_report``, ``too_large``, ``future_version``, ``other_case``,
    ``unknown_device``; ``BadSignature`` of ``eigenkring_crypto``; ``Misuse("not_yet")``.
    """
    session = case.session
    theirs = reports.open_report(text)
    device = _device_of(session, theirs)
    reports.check_signature(text, session.case, device.sign)
    ours, lines = _made(session, own=True)
    linked: dict[bytes, int] = {}
    by_id = {bytes(tags.id()): (name, stream, tags) for name, (stream, tags) in lines.items()}

    def tag_at(line: bytes, index: int) -> bytes | None:
        _, stream, tags = by_id[line]
        if index < linked.setdefault(line, linked_from(session, stream)):
            return None
        chain = session.store.chain_at(session.case, stream, index)
        return None if chain is None else tags.point(index, chain)

    charter = session.known()
    compared = differences(ours, theirs, tag_at)
    shown = [_shown(by_id[line][0], one, _SIDES) for line, one in compared.found.items()]
    shown += [
        _shown(by_id[line.id][0], Difference("unchecked", line.length, 0), _SIDES)
        for line in ours.lines
        if line.id in compared.only_left and _should_be_there(session, by_id[line.id][0], device)
    ]
    head = charter.heads.get(theirs.n)
    if head is not None and _case_tags(session).head(theirs.n, head) != theirs.head:
        _tell_other_entries(shown)
    verdict = _verdict(shown)
    if verdict == "forked":
        session.alarm("forked", f"report of device {device.device.hex()}")
    person = charter.people[device.person]
    return {
        "verdict": verdict,
        "by": {
            "person": person.person.hex(),
            "name": person.name,
            "device": device.device.hex(),
            "here": device.here,
            "this": device.device == session.device(),
        },
        "at": theirs.at,
        "older": _is_older(session, device, theirs.at),
        "entries": {"yours": charter.n, "theirs": theirs.n},
        "streams": shown,
        "unknown": len(compared.only_right),
    }


def compare_files(first: str, second: str) -> dict[str, Any]:
    """Two reports of one case, for who has neither device: streams have no names, and **no signature is checked**, because that
    takes the charter. Gives ``{"verdict", "checked", "at", "entries", "streams", "unknown"}``. Raises ``Inadmissible``: as
    ``compare``, without ``unknown_device``."""
    left, right = reports.open_report(first), reports.open_report(second)
    if left.case != right.case:
        raise Inadmissible("other_case", "the two reports are of two cases, or one was altered")
    compared = differences(left, right)
    shown = [_shown(line.hex()[:8], one, _FILES) for line, one in compared.found.items()]
    return {
        "verdict": _verdict(shown),
        "checked": False,
        "at": {"first": left.at, "second": right.at},
        "entries": {"first": left.n, "second": right.n},
        "streams": shown,
        "unknown": len(compared.only_left) + len(compared.only_right),
    }


# --- a report


def _case_tags(session: CaseSession) -> CaseTags:
    if session.row.keys_secret is None:
        raise Misuse("not_yet", "nobody of the circle has let this device in yet; sync again later")
    return CaseTags(session.row.keys_secret, session.case)


def _streams(session: CaseSession, *, own: bool) -> Iterator[tuple[str, StreamId, LineTags]]:
    """Name, stream and tags of all that this device reads of the case, but for doorsteps and photos."""
    tags, charter = _case_tags(session), session.known()
    yield "charter", session.charter_stream, tags.line(session.charter_stream)
    if session.row.keys_stream is not None:
        yield "keys", session.row.keys_stream, tags.line(session.row.keys_stream)
    rooms: list[tuple[str, StreamId, str | None]] = [
        (name, part.stream, part.read) for name, part in sorted(charter.parts.items())
    ]
    for grant in charter.grants.values():
        rooms += [
            (f"view {which} {grant.grant.hex()}", stream, charter.stream_rooms(stream).read)
            for which, stream in (("down", grant.down), ("up", grant.up))
            if grant.open
        ]
    for name, stream, room in rooms:
        if room is None:
            continue
        # Who came later, and who was there before a lock was turned, have the first secret both: it is under the next ones.
        secret = session.ring.secret(room, min(charter.rooms[room].commits))
        is_own = charter.audience(room) <= {session.me()}
        if secret is not None and (own or not is_own):
            yield name, stream, LineTags(secret, stream)


def _made(session: CaseSession, *, own: bool) -> tuple[Report, dict[str, tuple[StreamId, LineTags]]]:
    tags, charter = _case_tags(session), session.known()
    known = generations(session)
    lines: dict[str, tuple[StreamId, LineTags]] = {}
    found: list[Line] = []
    for name, stream, line_tags in _streams(session, own=own):
        line = _line(session, stream, line_tags, {generation: at for at, generation in enumerate(known, 1)})
        if line is not None and len(found) < reports.MAX_LINES:
            lines[name] = (stream, line_tags)
            found.append(line)
    made = Report(
        reports.VERSION,
        tags.case(),
        tags.device(session.device()),
        session.around.clock(),
        [tags.generation(generation) for generation in known],
        charter.n,
        tags.head(charter.n, charter.head),
        sorted(found, key=lambda line: line.id),
    )
    return made, lines


def _line(session: CaseSession, stream: StreamId, tags: LineTags, numbers: Mapping[int, int]) -> Line | None:
    position, seen = session.position(stream), sightings(session, stream)
    if not position.length:
        return None
    linked, generation = linked_from(session, stream), 0
    on: dict[int, Point] = {}
    gone: set[tuple[int, int, bytes, int]] = set()
    for one in seen:
        number = numbers.get(one.generation, 0)
        tag = tags.point(one.index, one.chain)  # type: ignore[arg-type]
        if is_gone(session, stream, one, linked):
            gone.add((one.index, number, tag, one.at if number else 0))
            continue
        generation = number
        if one.index not in on:
            on[one.index] = Point(number, one.at if number else 0, one.index, tag)
    for index in reports.ruler(position.length):
        chain = position.chain if index == position.length else session.store.chain_at(session.case, stream, index)
        if chain is not None and index >= linked and index not in on:
            on[index] = Point(0, 0, index, tags.point(index, chain))
    return Line(
        tags.id(),
        position.base,
        position.length,
        generation,
        [on[index] for index in sorted(on)],
        _without_twins(gone),
    )


def _without_twins(gone: set[tuple[int, int, bytes, int]]) -> list[Point]:
    found = {(index, number, tag): at for index, number, tag, at in sorted(gone, reverse=True)}
    return [Point(number, found[index, number, tag], index, tag) for index, number, tag in sorted(found)]


# --- what comes of it


def _device_of(session: CaseSession, theirs: Report) -> Device:
    tags, charter = _case_tags(session), session.known()
    if theirs.case != tags.case():
        raise Inadmissible("other_case", "this report is of another case")
    found = next((known for known in charter.devices.values() if tags.device(known.device) == theirs.by), None)
    if found is None:
        raise Inadmissible(
            "unknown_device",
            "the charter known here has no device that made this report: sync both devices and compare again; where that "
            "does not help, the relay hides from one of you who belongs",
        )
    return found


def _should_be_there(session: CaseSession, name: str, device: Device) -> bool:
    """Whether that device reads a stream that its report does not have. Of those that only one person reads none says."""
    charter = session.known()
    if name in ("charter", "keys"):
        return True
    part = charter.parts.get(name)
    return part is not None and {device.person, session.me()} <= charter.audience(part.read)


def _shown(what: str, one: Difference, sides: Mapping[str, str]) -> dict[str, Any]:
    mine, theirs = ("yours", "theirs") if sides is _SIDES else ("first", "second")
    return {
        "what": what,
        "verdict": sides.get(one.verdict, one.verdict),
        mine: one.left,
        theirs: one.right or None,
        "same_to": one.same_to,
        "differs_at": one.index or None,
        "since": one.since or None,
        f"{mine}_since": one.left_at or None,
        f"{theirs}_since": one.right_at or None,
    }


def _tell_other_entries(shown: list[dict[str, Any]]) -> None:
    """Entry ``n`` is another one there. Their logs may not tell, where generations differ, or a report lies."""
    for one in shown:
        if one["what"] == "charter" and one["verdict"] not in ("forked", "other_generation"):
            one["verdict"] = "forked"


def _verdict(shown: list[dict[str, Any]]) -> str:
    """On the two reports as a whole: the worst. What cannot be compared is the last, because it says nothing."""
    return min((one["verdict"] for one in shown), key=_WORST_FIRST.index, default="unchecked")


def _is_older(session: CaseSession, device: Device, at: int) -> bool:
    """Whether a newer report of that device was compared here before: somebody may have sent the old one again."""
    name = f"compared {device.device.hex()}"
    packed = session.store.fact(session.case, name)
    newest = 0 if packed is None else int.from_bytes(packed, "big")
    # A date far ahead would make every later one old.
    if newest < at < session.around.clock() + DAY:
        session.store.put_fact(session.case, name, at.to_bytes(8, "big"))
    return at < newest
