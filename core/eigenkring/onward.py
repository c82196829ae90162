"""Going on without one person: a new case from the present state of what this person reads.

Nothing is sent to the one who is left out, and nothing changes in the old case. What only others may say (their voice,
answers, contacts) stays theirs: they bring it themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eigenkring import filing
from eigenkring.attachment import claims_attachment
from eigenkring.case import Case
from eigenkring.charter.state import Person
from eigenkring.errors import Misuse
from eigenkring.ids import PersonId

# What was given in the old case was not given in the new one.
STAYS: Final = frozenset({"access"})
Invited = list[dict[str, str]]


def check(old: Case, without: PersonId) -> None:
    """Raises ``Misuse``: ``not_permitted``, ``bad_argument``."""
    me = old.session.me()
    if without == me:
        raise Misuse("bad_argument", "to go yourself, use `leave`")
    if old.charter.people[me].role not in ("owner", "member"):
        raise Misuse("not_permitted", "the circle can go on without somebody: an owner or a member")


def go_on(old: Case, new: Case, without: PersonId) -> Invited:
    """Invite the others and copy what is there. Gives the invitations."""
    others = [p for p in old.charter.present() if p.person not in (old.session.me(), without)]
    invited: Invited = []
    # An owner is invited as long as there is one owner, who decides alone: the one who starts.
    ids = {old.session.me().hex(): new.session.me().hex()}
    for person in others:
        link = new.invite(person.role, person.name)
        newest = max(new.charter.invitations.values(), key=lambda invitation: invitation.n)
        ids[person.person.hex()] = newest.person.hex()
        invited.append({"name": person.name, "role": person.role, "link": link})
    _copy(old, new, old.charter.people[without], ids)
    new.sync_quietly()
    return invited


def _copy(old: Case, new: Case, without: Person, ids: Mapping[str, str]) -> None:
    documents = {
        there: old.session.read(old.session.parts[part.stream])
        for name, part in old.charter.parts.items()
        if part.stream in old.session.parts and (there := _name_there(old, new, name)) is not None
    }
    items = {
        item: new.session.around.random(10).hex()
        for document in documents.values()
        for collection, found in document.items()
        for item in found
        if item != collection
    }
    # People who have no new id stay as the name they had: the new case does not know them.
    names = {p.person.hex(): p.name for p in old.charter.people.values()}
    words = {**names, **items, **ids}
    for name, document in documents.items():
        for collection, found in document.items():
            for item, fields in found.items():
                if not (name == "circle" and _is_about(fields, without)):
                    at = [collection, items.get(item, collection)]
                    plain = {field: value for field, value in fields.items() if not claims_attachment(value)}
                    add_item(new, name, at[0], at[1], renamed(plain, words))
                    for field in fields.keys() - plain.keys():
                        filing.copy(old, fields[field], new, name, [*at, field])


def _name_there(old: Case, new: Case, name: str) -> str | None:
    kind, at, who = name.partition("@")
    if kind in STAYS or (at and who != old.session.me().hex()):
        return None
    there = f"{kind}@{new.session.me().hex()}" if at else kind
    return there if there in new.charter.parts else None


def _is_about(fields: Mapping[str, Any], person: Person) -> bool:
    return fields.get("person") == person.person.hex() or (
        not fields.get("person") and fields.get("name") == person.name
    )


def renamed(fields: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        return words.get(value, value) if isinstance(value, str) else value

    return {
        field: [one(member) for member in value] if isinstance(value, list) else one(value)
        for field, value in fields.items()
        if value is not None
    }


def add_item(new: Case, name: str, collection: str, item: str, fields: Mapping[str, Any]) -> None:
    if item == collection and collection in new.session.read(new.session.part(name)):
        new.session.edit(name, [["set", [collection, item, field], value] for field, value in fields.items()])
    else:
        new.session.edit(name, [["add", collection, item, dict(fields)]])
