"""Invitations and access: what an owner gives to others."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eigenkring import doorstep, wire
from eigenkring import grant as grants
from eigenkring.charter import compose
from eigenkring.charter.draft import keybag_for
from eigenkring.charter.entry import Approval
from eigenkring.errors import Misuse
from eigenkring.filing import described_in
from eigenkring.ids import CaseId, EntryHash, GrantId, PersonId, RoomSecret, StreamId
from eigenkring.link import Link, format_link
from eigenkring.rooms import CIRCLE, OWNERS, own_room
from eigenkring.session import clocks
from eigenkring.session.acting import Exchange, author_of, exchange_of, held
from eigenkring.session.doors import door_secrets, terms_of
from eigenkring.session.parts import CaseSession
from eigenkring.session.publishing import projection_for
from eigenkring.view import Selection

DAY_SECONDS = 86_400
# Access is given anew rather than forgotten. Three months, whichever they are, where the family set nothing else.
MAX_GRANT_DAYS: Final = 92
LONGEST_GRANT_DAYS: Final = 366
Act = Callable[[Callable[[CaseSession], Exchange]], Exchange]


@dataclass(frozen=True, slots=True)
class Given:
    """A grant, and the link for the one who may read. The link is the secret: it is shown once and sent by the person."""

    grant: GrantId
    link: str


def invite(session: CaseSession, act: Act, role: str, name: str, *, compare: bool, days: int) -> str:
    """An invitation on a doorstep of its own, and the link to it. Raises ``Misuse("not_permitted")``: who is no owner."""
    if not session.known().is_owner(session.me()):
        raise Misuse("not_permitted", "only an owner invites: ask one of them")

    def draft(now: CaseSession, seed: bytes, expires: int) -> compose.Draft:
        return compose.invite(now.known(), author_of(now), name, role, seed, expires, compare)  # type: ignore[arg-type]

    return _link_to(session, act, draft, days)


def readmission(
    session: CaseSession, act: Act, person: PersonId, asked: bytes, yes: Sequence[Approval], *, days: int
) -> str:
    """A link for a sole owner who lost everything; words are always compared."""

    def draft(now: CaseSession, seed: bytes, expires: int) -> compose.Draft:
        return compose.readmit(now.known(), author_of(now), person, seed, expires, asked, yes)

    return _link_to(session, act, draft, days)


def _link_to(
    session: CaseSession, act: Act, draft: Callable[[CaseSession, bytes, int], compose.Draft], days: int
) -> str:
    clocks.check(session)
    seed = session.around.random(32)
    made: dict[str, bytes] = {}

    def make(now: CaseSession) -> Exchange:
        exchange = exchange_of(now, draft(now, seed, now.around.clock() + days * DAY_SECONDS))
        invitation = next(i for i in exchange.after.invitations.values() if i.n == exchange.after.n)
        me = now.known().people[now.me()].name
        payload = doorstep.make_greeting(compose.greeting_for(exchange.after, author_of(now), invitation, me))
        made["doorstep"], made["pin"] = invitation.doorstep, doorstep.greeting_pin(payload)
        exchange.ops.append(_first_record(now, invitation.doorstep, seed, payload))
        now.store.put_fact(now.case, f"seed {invitation.doorstep.hex()}", seed)
        return exchange

    act(make)
    return format_link(Link(session.row.relay, doorstep.PERSON, StreamId(made["doorstep"]), seed, made["pin"]))


def _first_record(session: CaseSession, stream: StreamId, seed: bytes, payload: bytes) -> wire.Operation:
    secrets = door_secrets(session, stream, seed, OWNERS)
    record = secrets.seal(payload, session.around.random(24))
    return wire.Append(stream=stream, cap=held(secrets.append_cap()), record=record)


def grant(
    session: CaseSession,
    act: Act,
    to: str,
    purpose: str,
    until: str,
    selection: Selection,
    *,
    compare: bool,
) -> Given:
    """Access for one person outside the circle, for a purpose, until a day. With ``compare`` for nobody before four words
    were compared."""
    if not to or not purpose:
        raise Misuse("bad_argument", "say who may read, and what for")
    if not session.known().is_owner(session.me()):
        raise Misuse("not_permitted", "only an owner lets somebody read: ask one of them")
    clocks.check(session)
    ends = end_of_day(until)
    if ends <= session.around.clock():
        raise Misuse("bad_value", "that day is over")
    days = max_grant_days(session)
    last = today(session) + datetime.timedelta(days=days)
    if ends > end_of_day(last.isoformat()):
        raise Misuse("bad_value", f"access is given for {days} days at most: until {last.isoformat()} at the latest")
    random = session.around.random
    gid, door = GrantId(random(16)), StreamId(random(16))
    down, up = StreamId(random(16)), StreamId(random(16))
    seed, item = random(32), random(10).hex()
    pseudonyms = random(32)
    terms = grants.Terms(to, selection, ends, seed=seed, pseudonyms=pseudonyms, access=item, compare=compare)
    selection.check(session.around.schema, session.me())
    made: dict[str, bytes] = {}

    def make(now: CaseSession) -> Exchange:
        circle = now.room_secret(CIRCLE)
        if circle is None:
            raise Misuse("not_permitted", "only the circle can let somebody read")
        sealed = grants.seal_terms(RoomSecret(circle[1]), circle[0], gid, terms, random(24))
        author = author_of(now)
        key = grants.granter_key(_own_secret(now), gid).public
        draft = compose.grant(now.known(), author, gid, door, down, up, seed, ends, sealed, key)
        exchange = exchange_of(now, draft)
        owners = now.room_secret(OWNERS)
        if owners is None:
            raise Misuse("not_permitted", "only an owner can let somebody read")
        greeting = doorstep.Greeting(
            kind=doorstep.VIEW,
            case=CaseId(gid),  # nothing that two readers could lay side by side: no id, no count of decisions
            invitation=gid,
            box=doorstep.knock_key(RoomSecret(owners[1]), door).public,
            from_=now.known().people[now.me()].name,
            name=to,
            compare=compare,
            expires=ends,
            n=0,
            head=EntryHash(bytes(32)),
            granter_key=key,
        )
        payload = doorstep.make_greeting(greeting)
        made["pin"] = doorstep.greeting_pin(payload)
        exchange.ops.append(_first_record(now, door, seed, payload))
        return exchange

    act(make)
    fields = {
        "grant": gid.hex(),
        "who": to,
        "parts": ", ".join(sorted(selection.parts)),
        "purpose": purpose,
        "from": today(session).isoformat(),
        "until": until,
    }
    session.edit("access", [["add", "grants", item, _fitting(session, fields)]])
    return Given(gid, format_link(Link(session.row.relay, doorstep.VIEW, door, seed, made["pin"])))


def max_grant_days(session: CaseSession) -> int:
    """How long access lasts at most in this case: what its owners set in `access`, 92 where they set nothing."""
    part = session.known().parts.get("access")
    if part is None or part.stream not in session.parts:
        return MAX_GRANT_DAYS
    settings = session.read(session.parts[part.stream]).get("settings", {}).get("settings", {})
    days = settings.get("max_grant_days")
    if isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= LONGEST_GRANT_DAYS:
        return days
    return MAX_GRANT_DAYS


def _own_secret(session: CaseSession) -> RoomSecret:
    held_secret = session.room_secret(own_room(session.me()))
    if held_secret is None:
        raise Misuse("not_yet", "this person has no room of the own yet; sync first")
    return RoomSecret(held_secret[1])


def _fitting(session: CaseSession, fields: dict[str, str]) -> dict[str, Any]:
    """A set where the schema has a set: which fields those are is the schema's to say."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        rule = session.around.schema.field("access", "grants", name)
        found[name] = value.split(", ") if rule is not None and rule.type == "set" else value
    return found


def end_of_day(text: str) -> int:
    """The last second of a day, local time: the day itself still counts. Raises ``Misuse("bad_value")``."""
    try:
        day = datetime.date.fromisoformat(text.strip())
        after = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time.min)
        return int(after.astimezone().timestamp()) - 1
    except (ValueError, OverflowError, OSError):
        raise Misuse("bad_value", "a day is written as 2026-12-31") from None


def today(session: CaseSession) -> datetime.date:
    return datetime.datetime.fromtimestamp(session.around.clock(), datetime.UTC).astimezone().date()


def withdraw(session: CaseSession, act: Act, gid: GrantId) -> GrantId:
    """One entry, and the streams closed with it."""
    if not session.known().grants[gid].open:
        return gid  # stopped before: nothing is open any more, which is what was asked
    terms = terms_of(session, session.known().grants[gid])
    act(lambda now: exchange_of(now, compose.withdraw(now.known(), author_of(now), gid)))
    if terms is not None and terms.access in _written_down(session):
        me = session.known().people[session.me()].name
        day = today(session).isoformat()
        item = ["grants", terms.access]
        session.edit("access", [["set", [*item, "stopped"], day], ["set", [*item, "stopped_by"], me]])
    return gid


def _written_down(session: CaseSession) -> dict[str, Any]:
    """The part `access`, as far as this device may write in it."""
    if not session.known().may_write(session.me(), "access"):
        return {}
    return session.read(session.part("access")).get("grants", {})


def shown_to(session: CaseSession, part: str) -> list[dict[str, Any]]:
    """``[{"grant", "name", "until"}]``: whom something of a part is shown; for the circle, which knows the terms."""
    found = []
    for grant_ in session.known().grants.values():
        terms = terms_of(session, grant_) if grant_.open else None
        if terms is not None and part in terms.selection.parts:
            until = datetime.datetime.fromtimestamp(terms.until, datetime.UTC).astimezone().date().isoformat()
            found.append({"grant": grant_.grant.hex(), "name": terms.to, "until": until})
    return found


def preview(session: CaseSession, gid: GrantId) -> dict[str, Any]:
    """What the reader sees now, made by the same function as the view itself."""
    terms = terms_of(session, session.known().grants[gid])
    projection = None if terms is None else projection_for(session, terms.selection, terms.pseudonyms)
    if projection is None:
        raise Misuse("not_permitted", "this device does not read all that is shown there")
    return {part: described_in(document) for part, document in projection.items()}


def access(session: CaseSession) -> list[dict[str, Any]]:
    """``[{"grant","to","parts","purpose","from","until","opened","copied","stopped_by"}]``."""
    opened = session.part("access")
    rows = []
    for item in session.read(opened).get("grants", {}).values():
        row = {"grant": item.get("grant", ""), "to": item.get("who", "")}
        for name in ("parts", "purpose", "from", "until", "opened", "copied", "stopped_by"):
            row[name] = item.get(name)
        rows.append(row)
    return rows + _untold(session, {row["grant"] for row in rows})


def _untold(session: CaseSession, told: set[str]) -> list[dict[str, Any]]:
    """Access that the charter knows and the part does not: a device that stopped halfway, or an owner who wrote nothing
    down or took it away. Who may read is what the charter says."""
    rows = []
    for gid, grant_ in session.known().grants.items():
        terms = terms_of(session, grant_) if grant_.open and gid.hex() not in told else None
        if terms is not None:
            row = {"grant": gid.hex(), "to": terms.to, "parts": sorted(terms.selection.parts)}
            until = datetime.datetime.fromtimestamp(terms.until, datetime.UTC).astimezone().date()
            rows.append(row | dict.fromkeys(("purpose", "from", "until", "opened", "copied", "stopped_by")))
            rows[-1]["until"] = until.isoformat()
    return rows


__all__ = ["Given", "access", "grant", "invite", "keybag_for", "preview", "withdraw"]
