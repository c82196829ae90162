"""Two charters that begin alike: where they part, who may say which one goes on, and what of the other is entered again.

Spec: docs/spec/charter.md, Adopt. ``branch`` is the charter this device had, ``shown`` the one the relay shows now. The
fold of ``shown`` cannot know the branch, so each device that saw it decides with these rules whether it goes along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from eigenkring.charter.deeds import MAX_FLOOR_JUMP
from eigenkring.charter.state import Charter, Person
from eigenkring.ids import EntryHash, PersonId
from eigenkring.rooms import about

Again: TypeAlias = Literal["remove_person", "set_role", "withdraw", "cancel", "let_out", "hand_over", "remove_device"]


class Owed(NamedTuple):
    """Something the branch ended or narrowed, and ``shown`` has still. ``of`` is a person, grant, invitation or device;
    ``room`` that of ``let_out``. ``who`` may enter it: None is any owner, else that person."""

    what: Again
    of: bytes
    room: str = ""
    who: PersonId | None = None


def parted_at(branch: Charter, shown: Charter) -> int:
    """The number of the last entry that both have; 0 where they are two cases."""
    n = min(branch.n, shown.n)
    while n and branch.heads.get(n) != shown.heads.get(n):
        n -= 1
    return n


def dropped(branch: Charter, shown: Charter) -> tuple[tuple[int, EntryHash], ...]:
    """Every entry of the branch that ``shown`` lacks, for the entry ``adopt``: whoever read only the first of them must
    find theirs too."""
    return tuple((n, branch.heads[n]) for n in range(parted_at(branch, shown) + 1, branch.n + 1))


def floors(branch: Charter, shown: Charter) -> dict[str, int]:
    """Where turning goes on: of one epoch there must never be two secrets."""
    found = {}
    for name, room in shown.rooms.items():
        known = branch.rooms.get(name)
        if known is not None and max(known.epoch, known.floor) > max(room.epoch, room.floor):
            found[name] = min(max(known.epoch, known.floor), room.epoch + MAX_FLOOR_JUMP)
    return found


def may_adopt(branch: Charter, shown: Charter, person: PersonId) -> bool:
    """An owner in both; or who was brought back by the members after the two parted. Whoever was put out, or stepped back,
    on the branch must not undo that by calling the other one right."""
    if not shown.is_owner(person):
        return False
    return branch.is_owner(person) or any(
        invitation.kind == "readmit"
        and invitation.person == person
        and (invitation.joined_n or 0) > parted_at(branch, shown)
        for invitation in shown.invitations.values()
    )


def owed(branch: Charter, shown: Charter, since_n: int) -> list[Owed]:
    """What is to be entered again in ``shown``, whose entry ``since_n`` adopted it (its newest, where that is to come).
    Who came, or was given something, after that entry did so with the branch known."""
    parted = parted_at(branch, shown)
    return [
        *_people(branch, shown, since_n, parted),
        *(
            Owed("withdraw", grant.grant)
            for grant in shown.grants.values()
            if grant.open and (was := branch.grants.get(grant.grant)) is not None and not was.open
        ),
        *(
            Owed("cancel", invitation.invitation)
            for invitation in shown.invitations.values()
            if invitation.state == "open"
            and (known := branch.invitations.get(invitation.invitation)) is not None
            and known.state != "open"
        ),
        *_lists(branch, shown, since_n),
        *_devices(branch, shown),
    ]


def _people(branch: Charter, shown: Charter, since_n: int, parted: int) -> Iterator[Owed]:
    for person in shown.present():
        was = branch.people.get(person.person)
        if was is None or _here_since(person) > since_n:
            continue
        if not was.here:
            yield Owed("remove_person", person.person)
        elif _narrower(was, person, shown, since_n, parted):
            yield Owed("set_role", person.person)
    if shown.acting is not None and branch.acting is None and shown.people[shown.acting].here:
        yield Owed("hand_over", shown.acting, who=shown.acting)


def _here_since(person: Person) -> int:
    """The entry since which the person never left; a new role is no coming."""
    *earlier, (first, _, _) = person.spans
    for began, ended, _ in reversed(earlier):
        if ended != first:
            break
        first = began
    return first


def _narrower(was: Person, now: Person, shown: Charter, since_n: int, parted: int) -> bool:
    if was.spans[-1][0] <= parted or now.spans[-1][0] > since_n:
        return False  # the branch changed nothing, or it was decided again with the branch known
    if was.role == now.role:
        return was.until is not None and (now.until is None or now.until > was.until)
    return any(now.role in room.roles and was.role not in room.roles for room in shown.rooms.values())


def _lists(branch: Charter, shown: Charter, since_n: int) -> Iterator[Owed]:
    for name in sorted(shown.rooms):
        room, known = shown.rooms[name], branch.rooms.get(name)
        for person in sorted(room.people - known.people) if known is not None else ():
            let_out = known is not None and bool(known.listed.get(person)) and branch.people[person].here
            if let_out and room.listed[person][-1][0] <= since_n:
                yield Owed("let_out", person, name, None if "owner" in room.roles else about(name))


def _devices(branch: Charter, shown: Charter) -> Iterator[Owed]:
    for device in shown.devices.values():
        known = branch.devices.get(device.device)
        if device.here and known is not None and not known.here and branch.people[known.person].here:
            yield Owed("remove_device", device.device, who=device.person)
