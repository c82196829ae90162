"""Who is what in the circle, and what more than one person decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eigenkring import giving, wire
from eigenkring.charter import compose, majority
from eigenkring.charter.majority import NOBODY, Deed, parse_act
from eigenkring.errors import Misuse, Refused
from eigenkring.ids import PersonId
from eigenkring.keys import Ask
from eigenkring.session import asks, clocks
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of
from eigenkring.session.parts import CaseSession
from eigenkring.transport import Transport

Act = Callable[[Callable[[CaseSession], Exchange]], Exchange]
# What a person types, and what the charter calls it.
DEEDS: dict[str, Deed] = {"role": "set_role", "remove": "remove_person", "readmit": "readmit", "close": "close"}
ROLES = ("owner", "member", "child", "coordinator")


def must_be_asked(session: CaseSession, what: Deed, person: PersonId, role: str = "") -> str | None:
    """Why one person cannot do this alone, and what to do next; None where that person can."""
    charter = session.known()
    was = charter.people[person].role if person in charter.people else ""
    back = person == session.me() and was == "owner" and role != "owner"
    if what == "set_role" and ("owner" not in (was, role) or was == role or back):
        return None
    if (what == "remove_person" and was != "owner") or majority.needed(charter, what) < 2:
        return None
    if not charter.is_owner(session.me()):
        return None  # the rules say no by themselves
    deed = "remove" if what == "remove_person" else "role"
    how = f"`propose CASE {deed} PERSON` asks the other owners, who `approve`"
    if majority.voters(charter, what) == {session.me(), person}:
        how += "; of two owners nobody puts out the other alone, and `start --from CASE --without PERSON` begins anew"
    return f"an owner comes and goes with {majority.needed(charter, what)} owners: {how}"


def set_role(session: CaseSession, act: Act, person: PersonId, role: str, until: str | None) -> int | None:
    """Gives when it ends."""
    if role not in ROLES:
        raise Misuse("bad_argument", "a role is owner, member, child or coordinator")
    ends = None if until is None else giving.end_of_day(until)
    if ends is not None:
        clocks.check(session)
    if ends is not None and ends <= session.around.clock():
        raise Misuse("bad_value", "that day is over")
    why_not = must_be_asked(session, "set_role", person, role)
    if why_not is not None:
        raise Misuse("not_permitted", why_not)

    def make(now: CaseSession) -> Exchange:
        cuts = cuts_for(now, [person])
        draft = compose.set_role(now.known(), author_of(now), person, role, ends, cuts)  # type: ignore[arg-type]
        return exchange_of(now, draft)

    act(make)
    return ends


def hand_over(session: CaseSession, act: Act, person: PersonId) -> None:
    """The coordinator who started keeps a coordinator's rights only."""
    charter = session.known()
    if charter.acting != session.me():
        raise Misuse("not_permitted", "only the coordinator who started this can hand it over")
    if charter.people[person].role != "owner":
        raise Misuse("not_permitted", "hand over to an owner: `invite --role owner` first")
    act(lambda now: exchange_of(now, compose.hand_over(now.known(), author_of(now), person)))


def without_phone(session: CaseSession, name: str, stand_in: PersonId) -> str:
    """Somebody of the circle who has no device: a line in the part `circle` with who writes down what they say. No keys
    are made for them, so nobody can write as them. Gives the line's id."""
    if not name.strip():
        raise Misuse("bad_argument", "say what this person is called")
    if session.known().people[stand_in].role not in ("owner", "member"):
        raise Misuse("bad_argument", "a stand-in is an owner or a member: others have no part to write it in")
    item = session.around.random(10).hex()
    fields = {"name": name.strip(), "status": "yes", "stand_in": stand_in.hex()}
    session.edit("circle", [["add", "people", item, fields]])
    return item


def heard_through_others(session: CaseSession) -> list[dict[str, Any]]:
    """``[{"person", "name", "role", "without_phone", "stand_in"}]`` of those without a phone, as far as this device reads
    the part `circle`."""
    part = session.known().parts.get("circle")
    opened = None if part is None else session.parts.get(part.stream)
    found = []
    for item, fields in {}.items() if opened is None else session.read(opened).get("people", {}).items():
        who = fields.get("stand_in")
        if isinstance(who, str) and who and not fields.get("person") and fields.get("status") not in ("no", "gone"):
            known = next((p for p in session.known().people.values() if p.person.hex() == who), None)
            found.append(
                {
                    "person": item,
                    "name": fields.get("name", ""),
                    "role": "member",
                    "without_phone": True,
                    "stand_in": who if known is None else known.name,
                }
            )
    return found


# --- more than one person decides


def propose(
    session: CaseSession, act: Act, transport: Transport, what: str, person: PersonId | None, role: str | None
) -> dict[str, Any]:
    """Ask the others. Where one yes is enough it is done at once."""
    deed = DEEDS.get(what)
    if deed is None or (person is None) != (deed == "close") or (role is None) != (deed != "set_role"):
        raise Misuse("bad_argument", "propose role PERSON --role ROLE, remove PERSON, readmit PERSON, or close")
    if role is not None and role not in ROLES:
        raise Misuse("bad_argument", "a role is owner, member, child or coordinator")
    about = NOBODY if person is None else person
    wanted = (deed, about, role or "")
    for ask in asks.held(session):
        asked = parse_act(ask.act)
        if (asked.what, asked.person, asked.role) == wanted:
            return _agree(session, act, transport, ask.act)
    return _agree(session, act, transport, majority.propose(session.known(), *wanted))


def approve(session: CaseSession, act: Act, transport: Transport, person: PersonId | None) -> dict[str, Any]:
    """Say yes to what was asked; about one person, where more was asked."""
    found = [ask for ask in asks.held(session) if person is None or parse_act(ask.act).person == person]
    if len(found) != 1:
        why = "more was asked: name the person" if found else "nothing was asked that still can be answered"
        raise Misuse("ambiguous" if found else "no_such_person", why)
    return _agree(session, act, transport, found[0].act)


def _agree(session: CaseSession, act: Act, transport: Transport, asked: bytes) -> dict[str, Any]:
    ask = asks.with_own_yes(session, asked)
    charter, deed = session.known(), parse_act(asked)
    answer = {**described(session, ask), "done": False}
    done = asks.to_carry_out(session)
    if done is not None and done.act == asked:
        act(lambda now: asks.carried_out(now, done))
        return {**answer, "done": True}
    if deed.what == "readmit" and asks.is_enough(charter, ask):
        return answer
    for result in transport.exchange(asks.telling(session, ask)).results:
        if isinstance(result, wire.Failed):
            raise Refused(result.code)
    return answer


def described(session: CaseSession, ask: Ask) -> dict[str, Any]:
    """``{"what", "person", "role", "yes", "needed"}``; ``yes`` the names of who agreed."""
    charter, asked = session.known(), parse_act(ask.act)
    return {
        "what": next(word for word, deed in DEEDS.items() if deed == asked.what)
        if asked.what != "invite"
        else "invite",
        "person": "" if asked.person == NOBODY else asked.person.hex(),
        "role": asked.role,
        "yes": sorted(charter.people[person].name for person in asks.agreed(charter, ask)),
        "needed": majority.needed(charter, asked.what),
    }


def readmit(session: CaseSession, act: Act, person: PersonId, days: int) -> str:
    """A link for a sole owner who lost everything, when enough members agreed."""
    for ask in asks.held(session):
        asked = parse_act(ask.act)
        if asked.what == "readmit" and asked.person == person and asks.is_enough(session.known(), ask):
            return giving.readmission(session, act, person, ask.act, ask.approvals, days=days)
    needed = majority.needed(session.known(), "readmit")
    raise Misuse("not_permitted", f"{needed} members bring an owner back: `propose CASE readmit PERSON`, and `approve`")
