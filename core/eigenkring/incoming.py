"""What professionals said, on the family's side: listed, and taken into a part by a person of the circle.

Nothing that a professional says is in the plan by itself. Spec: docs/spec/view.md, Up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eigenkring.case import MIN_PREFIX, Case
from eigenkring.charter.state import Grant
from eigenkring.errors import Misuse
from eigenkring.receipts import day_of, received
from eigenkring.said import WORDS, Said
from eigenkring.session.doors import terms_of
from eigenkring.session.parts import CaseSession
from eigenkring.view import pseudonym

# Read by exactly the circle, and never shown: what was taken from one professional is no other's to know.
MARKS: Final = ("private", "taken")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing a reader said. ``item``: the item of the family's that it answers."""

    id: str
    grant: Grant
    said: Said
    sender: str
    item: str | None


def _waiting(case: Case) -> list[Incoming]:
    session, charter = case.session, case.charter
    if session.me() not in charter.audience("owner+member"):
        raise Misuse("not_permitted", "what professionals say is for the circle")
    taken = _taken(session)
    found = []
    for grant in charter.grants.values():
        terms = terms_of(session, grant)
        if terms is None:
            continue
        for number, said in received(session, grant):
            if said.what in WORDS and number not in taken:
                item = _item_of(session, said, terms.pseudonyms)
                found.append(Incoming(number, grant, said, terms.to, item))
    return found


def _taken(session: CaseSession) -> frozenset[str]:
    part = session.known().parts.get(MARKS[0])
    opened = None if part is None else session.parts.get(part.stream)
    return frozenset() if opened is None else frozenset(session.read(opened).get(MARKS[1], {}))


def _item_of(session: CaseSession, said: Said, pseudonyms: bytes) -> str | None:
    """The question or request that is answered: only the family can tell which item a pseudonym stands for."""
    places = {"answer": ("information", "questions"), "answer_help": ("help", "requests")}
    place = places.get(said.what)
    part = None if place is None else session.known().parts.get(place[0])
    opened = None if part is None else session.parts.get(part.stream)
    if place is None or opened is None:
        return None
    items = session.read(opened).get(place[1], {})
    return next((item for item in items if pseudonym(pseudonyms, item) == said.of), None)


def incoming(case: Case) -> list[dict[str, Any]]:
    """``[{"incoming", "grant", "from", "what", "text", "why", "about", "at"}]``: what waits for somebody of the circle.
    Raises ``Misuse("not_permitted")`` for who is not of it."""
    return [
        {
            "incoming": one.id,
            "grant": one.grant.grant.hex(),
            "from": one.sender,
            "what": one.said.what,
            "text": one.said.text,
            "why": one.said.why,
            "about": one.item,
            "at": day_of(one.said.at),
        }
        for one in _waiting(case)
    ]


def take(case: Case, text: str) -> dict[str, str]:
    """Write it into the part where it belongs, in the sender's name. Gives ``{"taken", "part", "item"}``.

    Raises ``Misuse``: ``no_such_item`` (nothing of that number waits, or the question is gone), ``ambiguous``.
    """
    wanted = text.strip().lower()
    found = [one for one in _waiting(case) if one.id.startswith(wanted) and len(wanted) >= MIN_PREFIX]
    if len(found) != 1:
        raise Misuse("ambiguous" if found else "no_such_item", "nothing with that number waits")
    one = found[0]
    session = case.session
    with session.store.step():
        part, item = _write(case, one)
        me = session.known().people[session.me()].name
        mark = {"what": one.said.what, "by": me, "date": _today(session)}
        session.edit(MARKS[0], [["add", MARKS[1], one.id, mark]])
    return {"taken": one.id, "part": part, "item": item}


def _write(case: Case, one: Incoming) -> tuple[str, str]:
    session, said = case.session, one.said
    match said.what:
        case "answer" | "answer_help":
            if one.item is None:
                raise Misuse("no_such_item", "what this answers is not there any more")
            # An item of its own under the id that everybody gives it: two who take it at once make one, where two who
            # wrote it into the question's own text would say it twice.
            part = "information" if said.what == "answer" else "help"
            if said.what == "answer_help":
                session.edit(part, [["set", ["requests", one.item, "status"], "answered"]])
            return _add(session, part, "answers", one, {"about": [one.item], "by": one.sender, "date": day_of(said.at)})
        case "condition":
            return _add(session, "safety", "conditions", one, {"set_by": one.sender, "why": said.why, "agreed": False})
        case "need":
            return _add(session, "safety", "needs", one, {"by": one.sender})
        case _:
            return _add(session, "information", "questions", one, {"author": one.sender})


def _add(session: CaseSession, part: str, collection: str, one: Incoming, fields: dict[str, Any]) -> tuple[str, str]:
    whole = {**session.around.schema.new_item(part, collection), "text": one.said.text, **fields}
    # There from another device that took it at once: then only the mark is missing.
    if one.id not in session.read(session.part(part)).get(collection, {}):
        session.edit(part, [["add", collection, one.id, whole]])
    return part, one.id


def _today(session: CaseSession) -> str:
    return day_of(session.around.clock())
