"""A part that lets others read: a child its page, a person the own phone number, owners the plan that is presented.

Spec: docs/spec/schema.md, ``let_in``; docs/spec/charter.md, Narrowing.
"""

from __future__ import annotations

from eigenkring.charter import compose
from eigenkring.deciding import Act
from eigenkring.errors import Misuse
from eigenkring.ids import PersonId
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.session.parts import CaseSession


def let_in(session: CaseSession, act: Act, part: str, person: PersonId) -> None:
    """Raises ``Misuse``: ``not_permitted`` where this person may not, or that role never reads it; ``bad_argument`` for
    one who reads it already; ``no_such_part``."""
    room = _room_of(session, part)
    charter, known = session.known(), session.around.schema.kinds[part.partition("@")[0]]
    if person in charter.audience(room):
        raise Misuse("bad_argument", "that person reads it already")
    if charter.people[person].role not in known.let_in:
        raise Misuse("not_permitted", f"a {charter.people[person].role} is never let in here")
    act(lambda now: exchange_of(now, compose.let_in(now.known(), author_of(now), room, [person])))


def let_out(session: CaseSession, act: Act, part: str, person: PersonId) -> None:
    """Turns the lock: what comes from now on that person reads no more. What was read stays known. Raises ``Misuse``:
    ``not_permitted``; ``bad_argument`` for one who reads by role."""
    room = _room_of(session, part)
    charter = session.known()
    if person not in charter.rooms[room].people or person == session.me():
        raise Misuse("bad_argument", "that person was not let in")
    act(lambda now: exchange_of(now, compose.let_out(now.known(), author_of(now), room, [person])))


def _room_of(session: CaseSession, part: str) -> str:
    """The room of those who read it, where this person may say who that is."""
    charter = session.known()
    known = charter.parts.get(part)
    if known is None:
        raise Misuse("no_such_part", f"there is no part {part} here")
    kind, _, about = part.partition("@")
    if not session.around.schema.kinds[kind].let_in:
        raise Misuse("not_permitted", "who reads this part does not change person by person")
    if session.me().hex() != about if about else not charter.is_owner(session.me()):
        raise Misuse("not_permitted", "only the person it is about, else an owner, lets others read this part")
    return known.read
