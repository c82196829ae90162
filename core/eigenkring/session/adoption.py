"""What a device owes after its circle parted: the entry ``adopt``, and entering again what was ended on the branch given up.

Spec: docs/spec/charter.md, Adopt. ``adopting`` says what is owed; here are the exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.branches import Owed
from eigenkring.charter.draft import Draft
from eigenkring.charter.entry import CutEntry, RemovePerson, SetRole
from eigenkring.charter.state import Charter
from eigenkring.errors import Misuse
from eigenkring.ids import Capability, DeviceId, GrantId, InvitationId, PersonId
from eigenkring.session import adopting
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of
from eigenkring.session.adopting import Branch
from eigenkring.session.parts import CaseSession

Make = Callable[[CaseSession], Exchange]


def adopt_entry(now: CaseSession) -> Exchange:
    """Raises ``Misuse("not_yet")`` where nothing is to be adopted."""
    what = adopting.to_adopt(now)
    if what is None:
        raise Misuse("not_yet", "nothing is to be adopted")
    heads, floors = what
    return exchange_of(now, compose.adopt(now.known(), author_of(now), heads, floors))  # type: ignore[arg-type]


def entries_again(session: CaseSession) -> Iterator[tuple[str, Make]]:
    """A name and an act for everything that this person may enter again."""
    for branch, was, one in adopting.still_owed(session):
        if adopting.mine(session, one):
            yield f"again {one.what} {one.of.hex()}{one.room}", _again(branch, was, one)


def closing(session: CaseSession) -> list[wire.Operation]:
    """Streams that only a branch knew: a link, a view, a part nobody will find any more."""
    return [wire.Close(stream=stream, cap=Capability(cap)) for stream, cap in adopting.closes(session)]


def _again(branch: Branch, was: Charter, one: Owed) -> Make:
    def make(now: CaseSession) -> Exchange:
        return exchange_of(now, _draft(now, branch, was, one))

    return make


def _draft(now: CaseSession, branch: Branch, was: Charter, one: Owed) -> Draft:
    charter, author, person = now.known(), author_of(now), PersonId(one.of)
    match one.what:
        case "withdraw":
            return compose.withdraw(charter, author, GrantId(one.of))
        case "cancel":
            return compose.cancel(charter, author, InvitationId(one.of))
        case "let_out":
            return compose.let_out(charter, author, one.room, [person], cuts_for(now, [person]))
        case "remove_device":
            device = DeviceId(one.of)
            return compose.remove_device(charter, author, [device], cuts_for(now, [], [device]))
        case "hand_over":
            owner = min(charter.with_role("owner"), default=None)
            if owner is None:
                raise Misuse("not_yet", "there is no owner to hand over to")
            return compose.hand_over(charter, author, owner)
        case "set_role":
            said = _said(branch, SetRole, person)
            act, yes = (b"", ()) if said is None else (said.act, said.approvals)
            role, until = was.people[person].role, was.people[person].until
            cuts = _cuts(now, was, said, person)
            return compose.set_role(charter, author, person, role, until, cuts, act, yes)  # type: ignore[arg-type]
        case "remove_person":
            gone = _said(branch, RemovePerson, person)
            act, yes = (b"", ()) if gone is None else (gone.act, gone.approvals)
            return compose.remove_person(charter, author, person, _cuts(now, was, gone, person), act, yes)


_Said = TypeVar("_Said", RemovePerson, SetRole)


def _said(branch: Branch, kind: type[_Said], person: PersonId) -> _Said | None:
    """The entry of the branch that did it: the yeses in it were given before the two parted, and hold still."""
    found = [entry.body for entry in adopting.entries_of(branch)]
    return next((body for body in reversed(found) if isinstance(body, kind) and body.person == person), None)


def _cuts(now: CaseSession, was: Charter, said: RemovePerson | SetRole | None, person: PersonId) -> list[CutEntry]:
    """Where the branch cut, where that cut can still be read: what was written by who was put out, on a relay that had
    forgotten it, stays void."""
    charter, own = now.known(), {cut.stream: cut for cut in cuts_for(now, [person])}
    for cut in () if said is None else said.cuts:
        part = charter.part_streams.get(cut.stream)
        made = next((c for c in was.cuts.get(cut.stream, ()) if said is not None and c.n == said.n), None)
        if part is None or made is None or cut.stream not in own:
            continue
        if made.read_epoch == charter.rooms[part.read].epoch:
            own[cut.stream] = cut
    return list(own.values())
