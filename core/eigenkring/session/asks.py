"""Acts that need a majority, on one device: what was asked, who agreed, and carrying it out. Spec: docs/spec/charter.md, Majority.

They travel in keybags to those who decide, not through the charter: whoever is to be removed must not read it there first.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from eigenkring import wire
from eigenkring.charter import compose, majority
from eigenkring.charter.draft import Draft
from eigenkring.charter.entry import Approval, Readmit
from eigenkring.charter.majority import Act, parse_act
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import DeviceId, PersonId
from eigenkring.keys import Ask, Bag, bag_of
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of, keys_append
from eigenkring.session.case import CaseState
from eigenkring.session.parts import CaseSession

_FACT = "asks"
# More questions at once than a family asks; whoever sends more of them has something else in mind.
MOST = 16


def held(session: CaseState) -> list[Ask]:
    """What was asked and still can be answered: in the company that is here now, with somebody's yes, and not done."""
    packed = session.store.fact(session.case, _FACT)
    asks = [] if packed is None else msgspec.msgpack.decode(packed, type=list[Ask])
    # What changes no owner leaves the company as it was: the yeses would stand, and it would be done at every sync.
    done = {getattr(entry.body, "act", b"") for entry in session.entries if not isinstance(entry.body, Readmit)}
    standing = (_standing(session.known(), ask) for ask in asks if ask.act not in done)
    return [ask for ask in standing if ask is not None]


def take(session: CaseState, asks: Iterable[Ask]) -> None:
    """Keep what a keybag brought. What does not hold is left out: a false yes must not spoil the true ones."""
    known = {ask.act: ask for ask in held(session)}
    for ask in asks:
        both = (*known[ask.act].approvals, *ask.approvals) if ask.act in known else ask.approvals
        standing = _standing(session.known(), Ask(ask.act, both))
        if standing is not None and (ask.act in known or len(known) < MOST):
            known[ask.act] = standing
    session.store.put_fact(session.case, _FACT, msgspec.msgpack.encode(list(known.values())) if known else None)


def _standing(charter: Charter, ask: Ask) -> Ask | None:
    by_person: dict[PersonId, Approval] = {}
    for approval in ask.approvals:
        try:
            for person in majority.yeses(charter, ask.act, [approval]):
                by_person.setdefault(person, approval)
        except Inadmissible:
            continue
    return Ask(ask.act, tuple(by_person.values())) if by_person else None


def agreed(charter: Charter, ask: Ask) -> frozenset[PersonId]:
    return majority.yeses(charter, ask.act, ask.approvals)


def is_enough(charter: Charter, ask: Ask) -> bool:
    return len(agreed(charter, ask)) >= majority.needed(charter, parse_act(ask.act).what)


def with_own_yes(session: CaseState, act: bytes) -> Ask:
    """This person's yes, kept beside those that came before. Raises ``Misuse("not_permitted")`` without a vote."""
    charter, asked = session.known(), parse_act(act)
    if session.me() not in majority.voters(charter, asked.what):
        who = "the members of the circle" if asked.what == "readmit" else "the owners"
        raise Misuse("not_permitted", f"{who} decide that")
    yes = majority.approve(charter, act, session.device(), session.keys.sign)
    take(session, [Ask(act, (yes,))])
    return next(ask for ask in held(session) if ask.act == act)


def telling(session: CaseState, ask: Ask) -> list[wire.Operation]:
    """The boxes for those who decide. The one concerned only where it cannot be decided without them."""
    charter, asked = session.known(), parse_act(ask.act)
    votes = majority.voters(charter, asked.what)
    others = votes - {asked.person}
    if len(others) < majority.needed(charter, asked.what):
        others = votes
    devices = {device for person in others for device in charter.devices_of(person)} - {session.device()}
    bags: dict[DeviceId, Bag] = {device: bag_of((), (ask,)) for device in sorted(devices)}
    return [keys_append(session, charter, bags)] if bags else []


# --- carrying out


def to_carry_out(session: CaseState) -> Ask | None:
    """An act that enough agreed to, this person among them, and that this person may post."""
    me, charter = session.me(), session.known()
    for ask in held(session):
        asked = parse_act(ask.act)
        if asked.what == "readmit" or not charter.is_owner(me) or asked.person == me:
            continue  # the one concerned leaves or steps back by an own word; a readmission gives a link
        if me in agreed(charter, ask) and is_enough(charter, ask):
            return ask
    return None


def carried_out(now: CaseSession, ask: Ask) -> Exchange:
    return exchange_of(now, _draft(now, parse_act(ask.act), ask))


def _draft(now: CaseSession, asked: Act, ask: Ask) -> Draft:
    charter, author, person = now.known(), author_of(now), asked.person
    if asked.what == "close":
        return compose.close(charter, author, ask.act, ask.approvals)
    cuts = cuts_for(now, [person])
    if asked.what == "remove_person":
        return compose.remove_person(charter, author, person, cuts, ask.act, ask.approvals)
    if asked.what == "set_role":
        return compose.set_role(charter, author, person, asked.role, None, cuts, ask.act, ask.approvals)  # type: ignore[arg-type]
    raise Misuse("not_permitted", "that is done with a link, by whoever makes it")
