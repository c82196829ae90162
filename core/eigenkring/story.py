"""The charter told in plain words, for the log that the family reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eigenkring.charter.entry import (
    Cancel,
    Entry,
    Expire,
    Found,
    GrantEntry,
    HandOver,
    Invite,
    Join,
    PartChange,
    RemovePerson,
    SetRole,
    Withdraw,
)
from eigenkring.charter.state import Charter
from eigenkring.ids import DeviceId, PersonId
from eigenkring.part.history import Event, shown_day
from eigenkring.rooms import about
from eigenkring.schema import KindSchema


def entry_lines(charter: Charter, entries: Sequence[Entry]) -> list[dict[str, str]]:
    """``[{"what", "by", "text"}]``, one for every admitted entry, in order."""
    lines = []
    for entry in entries:
        author = charter.person_of(DeviceId(entry.outline.by))
        by = "" if author is None else author.name
        lines.append({"what": entry.outline.what, "by": by, "text": _text(charter, entry, by)})
    return lines


def _text(charter: Charter, entry: Entry, by: str) -> str:
    def name(person: bytes) -> str:
        known = charter.people.get(PersonId(person))
        return "iemand" if known is None else known.name

    match entry.body:
        case Found():
            return f"{by} begon deze kring"
        case Invite(name=invited, role=role):
            return f"{by} nodigde {invited or 'iemand'} uit ({_ROLES.get(role, role)})"
        case Cancel():
            return f"{by} trok een uitnodiging in"
        case Join(invitation=invitation) if invitation is not None:
            known = charter.invitations.get(invitation)
            return f"{name(known.person) if known else 'iemand'} kwam erbij"
        case Join():
            return "iemand die mag meelezen opende de deur"
        case RemovePerson(person=person):
            return f"{by} haalde {name(person)} uit de kring"
        case SetRole(person=person, role=role):
            return f"{name(person)} is nu {_ROLES.get(role, role)}"
        case HandOver(person=person):
            return f"{by} droeg de kring over aan {name(person)}"
        case GrantEntry():
            return f"{by} liet iemand meelezen"
        case Withdraw():
            return f"{by} stopte dat iemand meeleest"
        case Expire():
            return "een einddatum is bereikt"
        case PartChange(parts=parts):
            return f"{by} maakte {len(parts)} onderdelen"
        case _:
            return _OTHERS.get(entry.outline.what, f"{by} veranderde iets")


def change_lines(charter: Charter, kind: KindSchema | None, events: Iterable[Event]) -> list[dict[str, Any]]:
    """``[{"by", "at", "what"}]``: who did what where, without the words themselves, which may have been deleted. ``at`` is
    the day its author claims, or None."""
    known: set[str] = set()
    lines = []
    for event in events:
        person = charter.person_of(DeviceId(event.device))
        told = [_told(kind, item, fields, item in known, event) for item, fields in _by_item(event).items()]
        known |= {item for item, _ in event.places}
        by = "" if person is None else person.name
        lines.append({"by": by, "at": shown_day(event.day), "what": "; ".join(told) or "niets"})
    return lines


def _by_item(event: Event) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item, field in event.places:
        found.setdefault(item, []).extend([] if field is None else [field])
    return found


def _told(kind: KindSchema | None, item: str, fields: Sequence[str], was_there: bool, event: Event) -> str:
    collection = item.partition("/")[0]
    rules = None if kind is None else kind.collections.get(collection)
    title = collection if rules is None else rules.title.nl
    if not fields:
        return f"haalde iets weg uit {title}" if was_there else f"maakte {title}"
    labels = [field if rules is None or field not in rules.fields else rules.fields[field].label.nl for field in fields]
    signs = f" (+{event.added} −{event.removed})" if event.added or event.removed else ""
    return f"{'veranderde in' if was_there else 'voegde toe aan'} {title}: {', '.join(labels)}{signs}"


def rights_lines(charter: Charter, part: str) -> dict[str, Any]:
    """``{"readers", "writers", "due"}``, people as ``{"person", "name", "role", "why"}``."""
    known = charter.parts[part]

    def who(room: str) -> list[dict[str, str]]:
        return [
            {
                "person": person.hex(),
                "name": charter.people[person].name,
                "role": charter.people[person].role,
                "why": _why(charter, room, person),
            }
            for person in sorted(charter.audience(room))
        ]

    due = any(charter.rooms[room].due for room in (known.read, known.write))
    return {"readers": who(known.read), "writers": who(known.write), "due": due}


def _why(charter: Charter, room: str, person: PersonId) -> str:
    """By role, because it is about them, because they were let in, or because they began the case."""
    rule, role = charter.rooms[room], charter.people[person].role
    if about(room) == person:
        return "about them"
    if role in rule.roles:
        return role
    return "let in" if person in rule.people else "began the case"


_ROLES = {"owner": "eigenaar", "member": "kringlid", "child": "kind", "coordinator": "coördinator"}
_OTHERS = {
    "leave": "iemand ging weg",
    "room": "de sloten zijn vernieuwd",
    "add_device": "iemand voegde een apparaat toe",
    "remove_device": "iemand haalde een apparaat weg",
    "close": "de kring is afgesloten",
    "adopt": "de kring ging verder na een herstel",
}
