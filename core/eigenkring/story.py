"""The charter told in plain words, for the log that the family reads."""

from __future__ import annotations

from collections.abc import Sequence

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


_ROLES = {"owner": "eigenaar", "member": "kringlid", "child": "kind", "coordinator": "coördinator"}
_OTHERS = {
    "leave": "iemand ging weg",
    "room": "de sloten zijn vernieuwd",
    "add_device": "iemand voegde een apparaat toe",
    "remove_device": "iemand haalde een apparaat weg",
    "close": "de kring is afgesloten",
    "adopt": "de kring ging verder na een herstel",
}
