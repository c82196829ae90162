"""Who waits for whom: open invitations, knocks, words to compare, questions that need a majority."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from eigenkring import deciding, doorstep, giving
from eigenkring.charter import compose
from eigenkring.charter.state import Grant, Invitation
from eigenkring.errors import Misuse
from eigenkring.ids import GrantId, PersonId, StreamId
from eigenkring.link import Link, format_link
from eigenkring.session import asks, comparing
from eigenkring.session.acting import Exchange, author_of, exchange_of
from eigenkring.session.doors import Door, Knocked, knocks, terms_of, watched
from eigenkring.session.own_door import NewDevice, own_doors
from eigenkring.session.own_door import knocks as own_door_knocks
from eigenkring.session.parts import CaseSession

Act = Callable[[Callable[[CaseSession], Exchange]], Exchange]


def pending(session: CaseSession) -> list[dict[str, Any]]:
    """``[{"what", "name", "words"}]``. ``words``: the four to compare, None where there are none (yet)."""
    if session.row.state == "waiting":
        # The visitor's side: the same four words, once a device of the circle has seen the knock.
        return [
            {"what": "let in by", "name": session.row.title, "words": comparing.own_words(session.store, session.case)}
        ]
    charter = session.known()
    at_the_door = list(_first_knocks(session))
    knocked = {first.door.id for first in at_the_door}
    found: list[dict[str, Any]] = [
        {"what": "invited", "name": invitation.name, "words": None}
        for invitation in charter.invitations.values()
        if invitation.state == "open" and invitation.invitation not in knocked
    ]
    for grant in charter.grants.values():
        if grant.open and grant.device is None and grant.grant not in knocked:
            terms = terms_of(session, grant)
            found.append({"what": "may read", "name": "" if terms is None else terms.to, "words": None})
    for ask in asks.held(session):
        told = deciding.described(session, ask)
        whom = charter.people.get(PersonId(bytes.fromhex(told["person"])))
        what = " ".join(word for word in ("asked:", told["what"], told["role"]) if word)
        found.append({"what": what, "name": "" if whom is None else whom.name, "words": None, "yes": told["yes"]})
    for first in at_the_door:
        words = comparing.words_of(session, first) if first.door.compare else None
        found.append(
            {"what": "compare" if first.door.compare else "knocks", "name": first.statement.name, "words": words}
        )
    return found + [
        {"what": "compare", "name": new.statement.name, "words": comparing.words_of(session, new)}
        for new in _own_knocks(session)
    ]


def _own_knocks(session: CaseSession) -> Iterator[NewDevice]:
    """Other devices of this person that wait for their words to be compared."""
    for door in own_doors(session):
        new = next(own_door_knocks(session, door), None) if door.compare else None
        if new is not None:
            yield new


def _first_knocks(session: CaseSession) -> Iterator[Knocked]:
    for door in watched(session):
        first = next(knocks(session, door), None)
        if first is not None:
            yield first


def confirm(session: CaseSession, name: str, sync: Callable[[], object]) -> PersonId | GrantId:
    """The four words are the same on both sides: let this visitor in, and say who that is, or of a reader which grant.
    Raises ``Misuse``: ``no_such_person``, ``ambiguous``, ``not_yet``, ``not_permitted``."""
    everybody: list[Knocked | NewDevice] = [*_first_knocks(session), *_own_knocks(session)]
    wanted = name.strip().casefold()
    found = [knocked for knocked in everybody if knocked.statement.name.casefold() == wanted]
    if not found:
        raise Misuse("no_such_person", "nobody of that name waits at a door")
    if len({knocked.device for knocked in found}) > 1:
        # A thief with another link would give that name, and be let in by the words of the one it belongs to.
        raise Misuse("ambiguous", "two who wait call themselves that: cancel or withdraw one of the links")
    knocked = found[0]
    if knocked.door.compare:
        if comparing.nonce_for(session, knocked) is None:
            raise Misuse(
                "not_permitted", "somebody left since that link was made, so its words prove nothing: make another one"
            )
        if comparing.words_of(session, knocked) is None:
            raise Misuse("not_yet", "there are no words to compare yet; sync, and look at the other screen")
    # For exactly this device: whoever knocks next was not compared.
    session.store.put_fact(session.case, comparing.confirmed(knocked), knocked.device)
    sync()
    return _let_in(session, knocked)


def _let_in(session: CaseSession, knocked: Knocked | NewDevice) -> PersonId | GrantId:
    charter = session.known()
    person = charter.person_of(knocked.device)
    if person is not None:
        return person.person
    for grant in charter.grants.values():
        if grant.device is not None and grant.device.device == knocked.device:
            return grant.grant
    raise Misuse("not_yet", "it was noted, and the keys are given at the next sync")


def link_again(session: CaseSession, name: str) -> str:
    """The link of an invitation, or of access, to which nobody came yet: once more, for whoever was interrupted before it
    was sent. Raises ``Misuse``: ``no_such_person``, ``ambiguous``, ``not_yet``."""
    wanted, found = name.strip().casefold(), []
    for door in watched(session):
        if isinstance(door.of, Invitation):
            called = door.of.name
        else:
            terms = terms_of(session, door.of)
            called = "" if terms is None else terms.to
        if called.casefold() == wanted and next(knocks(session, door), None) is None:
            found.append(door)
    if len(found) != 1:
        raise Misuse(
            "ambiguous" if found else "no_such_person", "there is no one link of that name to which nobody came"
        )
    return _link_of(session, found[0])


def link_at(session: CaseSession, doorstep_at: StreamId) -> str:
    """The link that leads to a doorstep of this case. Raises ``Misuse``: ``no_such_person``, ``not_yet``."""
    door = next((door for door in watched(session) if door.stream == doorstep_at), None)
    if door is None:
        raise Misuse("no_such_person", "nobody is waited for there any more")
    return _link_of(session, door)


def _link_of(session: CaseSession, door: Door) -> str:
    greeting = next(iter(session.store.records(session.case, door.stream)), None)
    if greeting is None:
        raise Misuse("not_yet", "its greeting was not read here yet; sync, and try again")
    kind = doorstep.PERSON if isinstance(door.of, Invitation) else doorstep.VIEW
    pin = doorstep.greeting_pin(door.secrets.open(greeting.record))
    return format_link(Link(session.row.relay, kind, door.stream, door.seed, pin))


def cancel(session: CaseSession, act: Act, name: str) -> str:
    """Take back a link, to the circle or to a view, that let nobody in: it works no more. Also where the words were not the
    same. Gives the name. Raises ``Misuse``: ``no_such_person``, ``ambiguous``."""
    wanted, charter = name.strip().casefold(), session.known()
    at_the_door = {first.door.id: first.statement.name for first in _first_knocks(session)}
    found: list[tuple[str, Invitation | Grant]] = [
        (invitation.name, invitation) for invitation in charter.invitations.values() if invitation.state == "open"
    ]
    for grant in charter.grants.values():
        if grant.open and grant.device is None:
            terms = terms_of(session, grant)
            found.append(("" if terms is None else terms.to, grant))
    called = [
        (known, one)
        for known, one in found
        if wanted in (known.casefold(), at_the_door.get(_id_of(one), known).casefold())
    ]
    if len(called) != 1:
        raise Misuse("ambiguous" if called else "no_such_person", "there is no one link of that name that nobody used")
    known, only = called[0]
    if isinstance(only, Invitation):
        act(lambda now: exchange_of(now, compose.cancel(now.known(), author_of(now), only.invitation)))
    else:
        giving.withdraw(session, act, only.grant)
    return known


def _id_of(one: Invitation | Grant) -> bytes:
    return one.invitation if isinstance(one, Invitation) else one.grant
