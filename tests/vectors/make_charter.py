"""Vectors of the charter's fold: records one after the other, the verdict on each, and the charter at the end.

A vector begins where the vector named in ``on`` ends. ``verdict`` is ``ok`` or the code; a refused record is passed over and
the chain goes on. Both languages run every vector: tests/unit/test_charter_vectors.py and pwa/test/charter.test.ts.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

from charter_cast import (
    ANNEKE,
    CASE,
    FATIMA,
    KARIM,
    LOTTE,
    NORA,
    SAM,
    Actor,
    Play,
    body_of,
    fixed_bytes,
)

from eigenkring.charter import compose, majority
from eigenkring.charter.entry import CutEntry, Leave, PartChange, PartEntry, Readmit, RoomEntry, sign_entry
from eigenkring.ids import CaseId, GrantId, InvitationId, PersonId, StreamId
from eigenkring.rooms import EVERYONE, commitment, own_room
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.kdf import hmac
from eigenkring_crypto.sign import sign

Scene = Callable[[], Play]
_SCENES: dict[str, tuple[str, Scene]] = {}
_PLAYED: dict[str, Play] = {}
TWIN = Actor("a second phone")
PAPER = Actor("paper")
NEW_PAPER = Actor("new paper")
THIEF = Actor("a thief")
PHONE = Actor("a new phone")
ADDRESS = Actor("an address")
OTHER_ADDRESS = Actor("another address")
DE_WIT = Actor("De Wit")


def scene(about: str) -> Callable[[Scene], Scene]:
    def keep(play: Scene) -> Scene:
        _SCENES[play.__name__] = (about, play)
        return play

    return keep


def after(name: str) -> Play:
    """A play that goes on where a scene ended."""
    if name not in _PLAYED:
        _PLAYED[name] = _SCENES[name][1]()
    return _PLAYED[name].fork(on=name)


def make() -> dict[str, dict[str, Any]]:
    for name in _SCENES:
        after(name)
    return {name: _PLAYED[name].vector(about) for name, (about, _) in _SCENES.items()}


def _house(actor_person: PersonId) -> str:
    return f"house@{actor_person.hex()}"


def _cut(play: Play, part: str, by: Actor) -> CutEntry:
    """A cut with one actor, as a fold of the part would give it."""
    known = play.now.parts[part]
    epoch = play.now.rooms[known.read].epoch
    room_secret = play.ring(by).secret(known.read, epoch)
    assert room_secret is not None
    secret = read_secret(room_secret, known.stream)
    tag = hmac(secret, "cut actor", fixed_bytes("actor", 24))[:16]
    return CutEntry(known.stream, ((tag, 7, hmac(secret, "cut", fixed_bytes("change"))),))


# --- beginning


@scene("an owner founds a case: rooms of roles, the own room, parts about nobody and about the founder")
def found_by_owner() -> Play:
    play = Play()
    play.found(NORA, kinds=("question", "safety", "private", "plan"), own=("contacts",))
    return play


@scene("a member, a child and a coordinator come, and found the parts about themselves")
def family() -> Play:
    play = after("found_by_owner")
    play.come(NORA, FATIMA, "member", ("voice", "contacts"))
    play.come(NORA, SAM, "child", ("house",))
    play.come(NORA, ANNEKE, "coordinator")
    return play


@scene(
    "a coordinator founds, invites an owner, hands over; the owner turns the room of the owners and makes the circle's"
)
def found_by_coordinator() -> Play:
    play = Play()
    play.found(ANNEKE, "coordinator", kinds=("question", "circle"), own=("voice", "preparation"))
    play.come(ANNEKE, NORA, "owner", ("contacts",))
    play.post(compose.hand_over(play.now, play.author(ANNEKE), play.person(NORA)), ANNEKE)
    turned = compose.turn_due(play.now, play.author(NORA))
    assert turned is not None
    play.post(turned, NORA)
    play.post(compose.add_parts(play.now, play.author(NORA), ["question", "private", "plan"]), NORA)
    return play


@scene("two owners: the first one alone may make the second")
def two_owners() -> Play:
    play = after("family")
    play.come(NORA, KARIM, "owner")
    return play


@scene("three owners: both agreed to the third")
def three_owners() -> Play:
    play = after("two_owners")
    lotte = PersonId(fixed_bytes("Lotte", 8))
    act = majority.propose(play.now, "invite", lotte, "owner")
    play.come(NORA, LOTTE, "owner", person=lotte, act=act, approvals=play.agree(act, KARIM))
    return play


@scene("records that are no entry, or nobody's, are passed over, and the next honest entry counts")
def nonsense_is_passed_over() -> Play:
    play = after("family")
    play.record(b"\x00")
    play.raw({"what": "leave"}, SAM, "bad_entry")
    play.raw(_leave(play, THIEF), THIEF, "not_a_member")
    play.post(compose.leave(play.now, play.author(ANNEKE)), ANNEKE)
    return play


def _leave(play: Play, by: Actor, /, **changes: Any) -> dict[str, Any]:
    plain = {
        "v": 1, "case": play.case, "n": play.now.n + 1, "prev": play.now.head, "chain": play.chain, "by": by.id,
        "at": 5, "what": "leave",
    }  # fmt: skip
    return {**plain, **changes}


# --- coming and going


@scene("a removal turns every room of roles the member was in, with a cut; the own rooms wait for nobody")
def member_removed() -> Play:
    play = after("family")
    voice = f"voice@{play.person(FATIMA).hex()}"
    cuts = [_cut(play, voice, NORA), _cut(play, "plan", NORA)]
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA), cuts), NORA)
    return play


@scene("someone leaves, the rooms are due, an owner turns them")
def left_and_turned() -> Play:
    play = after("family")
    play.post(compose.leave(play.now, play.author(FATIMA)), FATIMA)
    turned = compose.turn_due(play.now, play.author(NORA), [_cut(play, "plan", NORA)])
    assert turned is not None
    play.post(turned, NORA)
    return play


@scene("a child lets an aunt into the own page, who is removed: the page's room is due, and the child turns it")
def supporter_removed() -> Play:
    play = after("let_in")
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA)), NORA)
    turned = compose.turn_due(play.now, play.author(SAM))
    assert turned is not None
    play.post(turned, SAM)
    return play


@scene("a child lets an aunt into the own page")
def let_in() -> Play:
    play = after("family")
    room = _house(play.person(SAM))
    play.post(compose.let_in(play.now, play.author(SAM), room, [play.person(FATIMA)]), SAM)
    return play


@scene("and out again: the room is turned without her")
def let_out() -> Play:
    play = after("let_in")
    room = _house(play.person(SAM))
    play.post(compose.let_out(play.now, play.author(SAM), room, [play.person(FATIMA)]), SAM)
    return play


@scene("the plan is shown to the coordinator: an owner lets in whom the schema lets in")
def plan_presented() -> Play:
    play = after("family")
    play.post(compose.let_in(play.now, play.author(NORA), "plan", [play.person(ANNEKE)]), NORA)
    return play


@scene(
    "a member adds a phone and puts it out: the own rooms turn, with a lock for what owners manage; the others are due"
)
def own_device() -> Play:
    play = after("family")
    play.add_device(FATIMA, TWIN)
    cut = _cut(play, f"voice@{play.person(FATIMA).hex()}", FATIMA)
    play.post(compose.remove_device(play.now, play.author(FATIMA), [TWIN.id], [cut]), FATIMA)
    return play


@scene(
    "recovery: paper adds a phone, puts out the lost one and the thief's own paper, and itself at last, turning nothing"
)
def recovered_by_paper() -> Play:
    play = after("family")
    play.add_device(FATIMA, PAPER, "paper")
    play.add_device(FATIMA, NEW_PAPER, "paper")
    play.add_device(PAPER, PHONE)
    play.post(compose.remove_device(play.now, play.author(PAPER), [FATIMA.id, NEW_PAPER.id]), PAPER)
    play.post(compose.remove_device(play.now, play.author(PAPER), [PAPER.id]), PAPER)
    return play


@scene("moving in: who was let in by an address takes its place in that very entry, and the rooms are due")
def moved_in() -> Play:
    play = after("family")
    play.add_device(FATIMA, ADDRESS, "link")
    play.add_device(ADDRESS, PHONE)
    turned = compose.turn_due(play.now, play.author(PHONE))
    assert turned is not None
    play.post(turned, PHONE)
    turned = compose.turn_due(play.now, play.author(NORA))
    assert turned is not None
    play.post(turned, NORA)
    return play


@scene("an address that was taken back by another own device, and one that goes by its own hand")
def address_ended() -> Play:
    play = after("family")
    play.add_device(FATIMA, ADDRESS, "link")
    play.post(compose.remove_device(play.now, play.author(FATIMA), [ADDRESS.id]), FATIMA)
    play.add_device(FATIMA, OTHER_ADDRESS, "link")
    play.post(compose.remove_device(play.now, play.author(OTHER_ADDRESS), [OTHER_ADDRESS.id]), OTHER_ADDRESS)
    return play


@scene("a member becomes a child: what only the circle reads is turned")
def role_narrowed() -> Play:
    play = after("family")
    made = compose.set_role(play.now, play.author(NORA), play.person(FATIMA), "child", cuts=[_cut(play, "plan", NORA)])
    play.post(made, NORA)
    return play


@scene("a child becomes a member: nothing turns, and a coordinator gets an end date, which comes")
def role_widened_and_expired() -> Play:
    play = after("family")
    play.post(compose.set_role(play.now, play.author(NORA), play.person(SAM), "member"), NORA)
    made = compose.set_role(play.now, play.author(NORA), play.person(ANNEKE), "coordinator", until=9_000)
    play.post(made, NORA)
    play.post(compose.expire_person(play.now, play.author(NORA), play.person(ANNEKE)), NORA)
    return play


@scene("a removed member comes back on another phone under the old name: the own rooms begin again, the parts anew")
def readmitted_member() -> Play:
    play = after("member_removed")
    gone = play.now.devices[FATIMA.id].person
    invitation, seed = play.invite(NORA, "Fatima", "member", person=gone)
    made = compose.join(
        play.now, play.author(NORA), play.knock(PHONE, invitation, seed), invitation.invitation, blanks=2
    )
    play.post(made, NORA)
    kinds = ["voice", "contacts"]
    play.post(compose.rooms_and_parts_about(play.now, play.author(PHONE), kinds, made.blanks[PHONE.id]), PHONE)
    return play


@scene("the words of a part are forgotten: it is founded anew in a new stream")
def founded_anew() -> Play:
    play = after("family")
    play.post(compose.found_anew(play.now, play.author(NORA), "plan"), NORA)
    return play


@scene("a part of a kind that only a newer app knows is kept")
def unknown_kind() -> Play:
    play = after("family")
    made = PartEntry("weather", StreamId(fixed_bytes("weather", 16)), EVERYONE, "owner+member", "owner")
    body = compose.common(play.now, play.author(NORA))
    play.post(PartChange(**body, parts=(made,)), NORA)
    return play


@scene("the end of the case by its only owner; then nothing")
def closed() -> Play:
    play = after("family")
    play.post(compose.close(play.now, play.author(NORA)), NORA)
    play.raw(_leave(play, ANNEKE), ANNEKE, "case_closed")
    play.raw(_leave(play, NORA, what="thaw"), NORA, "case_closed")
    return play


@scene("after a relay's restore an owner adopts; the next turn goes on above the floor")
def adopted() -> Play:
    play = after("family")
    dropped = [(play.now.n + 1, fixed_bytes("dropped head"))]
    play.post(compose.adopt(play.now, play.author(NORA), dropped, {"plan": 4, EVERYONE: 2}), NORA)  # type: ignore[arg-type]
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(ANNEKE)), NORA)
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA)), NORA)
    return play


@scene("what was signed in knowledge of a dropped entry counts as signed where the two parted; an owner removes again")
def adopted_branch() -> Play:
    play, branch = after("family"), after("member_removed")
    heads = [(n, branch.now.heads[n]) for n in range(play.now.n + 1, branch.now.n + 1)]
    play.post(compose.leave(play.now, play.author(ANNEKE)), ANNEKE)
    floors = {name: room.epoch for name, room in branch.now.rooms.items() if room.epoch > play.now.rooms[name].epoch}
    play.post(compose.adopt(play.now, play.author(NORA), heads, floors), NORA)
    assert play.now.head_index(branch.now.head) == heads[0][0] - 1
    turned = compose.turn_due(play.now, play.author(NORA))
    assert turned is not None
    play.post(turned, NORA)
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA)), NORA)
    # The same heads once more: they stay where they were.
    play.post(compose.adopt(play.now, play.author(NORA), [(play.now.n, heads[0][1])], {}), NORA)
    assert play.now.head_index(branch.now.head) == heads[0][0] - 1
    return play


@scene("an entry is hidden from one: Nora ends two accesses and closes an invitation that others never heard of")
def ended_on_a_branch() -> Play:
    play = after("waiting_at_the_door")
    play.post(compose.withdraw(play.now, play.author(NORA), GrantId(fixed_bytes("grant", 16))), NORA)
    open_one = next(i for i in play.now.invitations.values() if i.state == "open")
    play.post(compose.cancel(play.now, play.author(NORA), open_one.invitation), NORA)
    until = 7_000
    play.post(compose.set_role(play.now, play.author(NORA), play.person(ANNEKE), "coordinator", until), NORA)
    return play


@scene("a grant and an invitation that wait")
def waiting_at_the_door() -> Play:
    play = after("granted")
    play.invite(NORA, "Lotte", "member")
    return play


@scene("where those wait, somebody goes: another branch of the same charter")
def gone_from_the_door() -> Play:
    play = after("waiting_at_the_door")
    play.post(compose.leave(play.now, play.author(SAM)), SAM)
    return play


# --- views


def _grant(play: Play) -> tuple[Any, bytes, Any]:
    grant, seed = GrantId(fixed_bytes("grant", 16)), fixed_bytes("grant seed")
    streams = [StreamId(fixed_bytes(f"grant {name}", 16)) for name in ("doorstep", "down", "up")]
    key = fixed_bytes("granter key")
    return compose.grant(play.now, play.author(NORA), grant, *streams, seed, 9_000, b"terms", key), seed, grant


@scene("access for a professional: granted, the recipient comes, the circle's turn takes its room along, withdrawn")
def grant_and_withdraw() -> Play:
    play = after("granted")
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA)), NORA)
    play.post(compose.withdraw(play.now, play.author(NORA), GrantId(fixed_bytes("grant", 16))), NORA)
    return play


@scene("access for a professional, who comes")
def granted() -> Play:
    play = after("family")
    made, seed, grant = _grant(play)
    play.post(made, NORA)
    knock = play.knock(DE_WIT, play.now.grants[grant], seed)
    play.raw(_join(play, FATIMA, knock, grant=grant), FATIMA, "not_permitted")
    play.post(compose.join(play.now, play.author(NORA), knock, grant=grant), NORA)
    return play


@scene("a grant to whom somebody came already, withdrawn twice, by a member, of another id; a room too many")
def grant_refused() -> Play:
    play = after("granted")
    grant = GrantId(fixed_bytes("grant", 16))
    known = play.now.grants[grant]
    play.raw(
        _join(play, NORA, play.knock(THIEF, known, fixed_bytes("grant seed")), grant=grant), NORA, "invitation_used"
    )
    play.raw(_leave(play, FATIMA, what="withdraw", grant=grant), FATIMA, "not_permitted")
    play.raw(_leave(play, NORA, what="withdraw", grant=bytes(16)), NORA, "no_such_grant")
    turned = body_of(compose.remove_person(play.now, play.author(NORA), play.person(FATIMA)))["rooms"]
    play.raw(_leave(play, NORA, what="expire", grant=grant, rooms=turned), NORA, "bad_entry")
    cut = {"stream": play.now.parts["plan"].stream, "actors": []}
    play.raw(_leave(play, NORA, what="expire", grant=grant, cuts=[cut]), NORA, "bad_entry")
    play.post(compose.expire_grant(play.now, play.author(NORA), grant), NORA)
    play.raw(_leave(play, NORA, what="withdraw", grant=grant), NORA, "no_such_grant")
    play.raw(_leave(play, NORA, what="expire", grant=grant, person=play.person(SAM)), NORA, "bad_entry")
    play.raw(_leave(play, NORA, what="expire", person=play.person(SAM)), NORA, "not_permitted")
    late = _leave(play, NORA, what="set_role", person=play.person(NORA), role="owner", until=9)
    play.raw(late, NORA, "not_permitted")
    fresh = play.fork()
    made = body_of(compose.grant(
        fresh.now, fresh.author(NORA), GrantId(bytes(16)), *(StreamId(fixed_bytes(f"g{i}", 16)) for i in range(3)),
        bytes(32), 9_000, b"terms", bytes(32),
    ))  # fmt: skip
    room = made["rooms"][0]
    play.raw({**_again(play, made), "rooms": []}, NORA, "no_such_room")
    play.raw({**_again(play, made), "rooms": [room, {**room, "room": "grant@" + "11" * 16}]}, NORA, "no_such_room")
    play.raw({**_again(play, made), "rooms": [{**room, "room": "grant@" + "11" * 16}]}, NORA, "no_such_room")
    play.raw({**_again(play, made), "rooms": [{**room, "roles": ["owner"]}]}, NORA, "bad_entry")
    play.raw({**_again(play, made), "up": made["down"]}, NORA, "already_there")
    play.raw({**_again(play, made), "down": CASE}, NORA, "already_there")
    play.raw({**_again(play, made), "terms": bytes(65_537)}, NORA, "limit")
    play.raw({**_again(play, made), "grant": grant}, NORA, "already_there")
    play.raw(_again(play, made), NORA, "ok")
    # Nobody comes to a grant that ended.
    play.raw(_leave(play, NORA, what="withdraw", grant=bytes(16)), NORA, "ok")
    other = play.now.grants[GrantId(bytes(16))]
    late = play.knock(THIEF, other, fixed_bytes("another seed"))
    play.raw(_join(play, NORA, late, grant=bytes(16)), NORA, "invitation_used")
    return play


def _join(play: Play, by: Actor, knock: Any, **which: Any) -> dict[str, Any]:
    return _leave(
        play, by, what="join", statement=knock.statement, seed_sig=knock.seed_sig, device_sig=knock.device_sig, **which
    )


# --- majority


@scene("of three owners two put out the third, who reads nothing of it before")
def owner_removed() -> Play:
    play = after("three_owners")
    karim = play.person(KARIM)
    act = majority.propose(play.now, "remove_person", karim)
    made = compose.remove_person(play.now, play.author(NORA), karim, act=act, approvals=play.agree(act, LOTTE))
    play.post(made, NORA)
    return play


@scene("an owner steps back: the own word is enough; as last one it is not")
def owner_steps_back() -> Play:
    play = after("two_owners")
    made = compose.set_role(play.now, play.author(NORA), play.person(NORA), "member")
    play.post(made, NORA)
    play.raw(_leave(play, KARIM), KARIM, "last_owner")
    body = _leave(play, KARIM, what="set_role", person=play.person(KARIM), role="member", until=None)
    play.raw(body, KARIM, "last_owner")
    return play


@scene("a yes of an owner's second phone that was put out since")
def majority_of_a_device_that_left() -> Play:
    play = after("three_owners")
    play.add_device(LOTTE, TWIN)
    play.post(compose.remove_device(play.now, play.author(LOTTE), [TWIN.id]), LOTTE)
    karim = play.person(KARIM)
    act = majority.propose(play.now, "remove_person", karim)
    agreed = play.agree(act, LOTTE)
    good = body_of(compose.remove_person(play.now, play.author(NORA), karim, act=act, approvals=agreed))
    left = {"by": TWIN.id, "sig": sign(TWIN.keys.sign, "approval", CASE, act)}
    play.raw({**good, "approvals": [left]}, NORA, "not_permitted")
    play.raw({**_again(play, good), "approvals": [*good["approvals"], left]}, NORA, "not_permitted")
    return play


@scene(
    "an owner put out or made without the others; approvals of the wrong people, of another act, forged, double, stale"
)
def majority_refused() -> Play:
    play = after("three_owners")
    karim, lotte = play.person(KARIM), play.person(LOTTE)
    act = majority.propose(play.now, "remove_person", karim)
    agreed = play.agree(act, LOTTE)
    good = body_of(compose.remove_person(play.now, play.author(NORA), karim, act=act, approvals=agreed))
    yes = good["approvals"][0]
    play.raw({**good, "act": b"", "approvals": []}, NORA, "not_permitted")
    good = _again(play, good)
    play.raw({**good, "approvals": []}, NORA, "not_permitted")
    own = {"by": NORA.id, "sig": play.agree(act, NORA)[0].sig}
    play.raw({**_again(play, good), "approvals": [own, own]}, NORA, "not_permitted")
    member = {"by": FATIMA.id, "sig": sign(FATIMA.keys.sign, "approval", CASE, act)}
    play.raw({**_again(play, good), "approvals": [yes, member]}, NORA, "not_permitted")
    play.raw({**_again(play, good), "approvals": [{**yes, "by": KARIM.id}]}, NORA, "not_permitted")
    play.raw({**_again(play, good), "approvals": [{**yes, "by": THIEF.id}]}, NORA, "not_permitted")
    play.raw({**_again(play, good), "approvals": [{**yes, "sig": bytes(64)}]}, NORA, "not_permitted")
    play.raw({**_again(play, good), "person": lotte}, NORA, "not_permitted")
    play.raw({**_again(play, good), "act": act + b"\0"}, NORA, "not_permitted")
    other = majority.propose(play.now, "set_role", karim, "member")
    other_yes = [{"by": LOTTE.id, "sig": sign(LOTTE.keys.sign, "approval", CASE, other)}]
    play.raw({**_again(play, good), "act": other, "approvals": other_yes}, NORA, "not_permitted")
    for spoiled in ({"case": bytes(16)}, {"head": bytes(32)}, {"n": 1}, {"n": 99}, {"what": "found"}):
        plain = {**msgspec.msgpack.decode(act), **spoiled}
        asked = msgspec.msgpack.encode(plain)
        approvals = [{"by": LOTTE.id, "sig": sign(LOTTE.keys.sign, "approval", CASE, asked)}]
        play.raw({**_again(play, good), "act": asked, "approvals": approvals}, NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="close"), NORA, "not_permitted")
    # An owner who stepped back and is one again: what she agreed to before was in another company.
    play.post(compose.set_role(play.now, play.author(LOTTE), lotte, "member"), LOTTE)
    again = majority.propose(play.now, "set_role", lotte, "owner")
    made = compose.set_role(play.now, play.author(NORA), lotte, "owner", act=again, approvals=play.agree(again, KARIM))
    play.post(made, NORA)
    play.raw({**_again(play, good)}, NORA, "not_permitted")
    # Once she is gone, the more so.
    play.post(compose.leave(play.now, play.author(LOTTE)), LOTTE)
    play.raw({**_again(play, good)}, NORA, "not_permitted")
    return play


def _again(play: Play, body: dict[str, Any]) -> dict[str, Any]:
    """The same body at the present place."""
    return {**body, "n": play.now.n + 1, "prev": play.now.head, "chain": play.chain}


@scene("two owners: neither puts out the other, makes a third or ends the case alone")
def two_owners_need_each_other() -> Play:
    play = after("two_owners")
    karim = play.person(KARIM)
    play.raw(_leave(play, NORA, what="remove_person", person=karim), NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="set_role", person=karim, role="member"), NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="set_role", person=play.person(FATIMA), role="owner"), NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="close"), NORA, "not_permitted")
    act = majority.propose(play.now, "close")
    play.post(compose.close(play.now, play.author(KARIM), act, play.agree(act, NORA)), KARIM)
    return play


def _lost_owner() -> tuple[Play, PersonId]:
    play = after("family")
    play.come(NORA, KARIM, "member")
    play.come(NORA, LOTTE, "member")
    return play, play.person(NORA)


def _readmit(play: Play, by: Actor, person: PersonId, *agreed: Actor) -> tuple[Any, bytes]:
    act = majority.propose(play.now, "readmit", person)
    seed = play.random(by)(32)
    made = compose.readmit(play.now, play.author(by), person, seed, 9_000, act, play.agree(act, *agreed))
    play.post(made, by)
    return play.now.invitations[made.body.invitation], seed  # type: ignore[union-attr]


@scene("three members bring the only owner back, who restarts the room of the owners")
def sole_owner_readmitted() -> Play:
    play, nora = _lost_owner()
    invitation, seed = _readmit(play, FATIMA, nora, KARIM, LOTTE)
    play.post(compose.leave(play.now, play.author(ANNEKE)), ANNEKE)
    made = compose.join(play.now, play.author(KARIM), play.knock(PHONE, invitation, seed), invitation.invitation)
    play.post(made, KARIM)
    turned = compose.turn_due(play.now, play.author(PHONE))
    assert turned is not None
    play.post(turned, PHONE)
    return play


@scene("the owner is there after all: any entry of the old phone ends the readmission")
def readmission_objected() -> Play:
    play, nora = _lost_owner()
    invitation, seed = _readmit(play, FATIMA, nora, KARIM, LOTTE)
    play.invite(NORA, "Opa", "member")
    knock = play.knock(PHONE, invitation, seed)
    play.raw(_join(play, KARIM, knock, invitation=invitation.invitation), KARIM, "invitation_used")
    return play


@scene(
    "two of three members are too few; a member who is not; the child has no vote; one of two owners is not readmitted"
)
def readmission_refused() -> Play:
    play, nora = _lost_owner()
    act = majority.propose(play.now, "readmit", nora)
    body = body_of(
        Readmit(
            **compose.common(play.now, play.author(FATIMA)), invitation=InvitationId(bytes(16)), person=nora, name="Nora",
            doorstep=StreamId(fixed_bytes("door", 16)), seed_key=bytes(32), expires=9_000, compare=True, act=act,
            approvals=tuple(play.agree(act, KARIM)),
        )
    )  # fmt: skip
    play.raw(body, FATIMA, "not_permitted")
    sam = {"by": SAM.id, "sig": sign(SAM.keys.sign, "approval", CASE, act)}
    play.raw({**_again(play, body), "approvals": [*body["approvals"], sam]}, FATIMA, "not_permitted")
    play.raw({**_again(play, body), "by": NORA.id}, NORA, "not_permitted")
    play.raw({**_again(play, body), "person": play.person(KARIM)}, FATIMA, "not_permitted")
    # Enough members agree about somebody who is no owner.
    of_karim = majority.propose(play.now, "readmit", play.person(KARIM))
    yes = [{"by": a.id, "sig": sign(a.keys.sign, "approval", CASE, of_karim)} for a in (KARIM, LOTTE)]
    changed = {"person": play.person(KARIM), "act": of_karim, "approvals": yes}
    play.raw({**_again(play, body), **changed}, FATIMA, "not_permitted")
    # With a second owner there is somebody else to bring the first one back.
    play.come(NORA, PHONE, "owner")
    act = majority.propose(play.now, "readmit", nora)
    yes = [{"by": a.id, "sig": sign(a.keys.sign, "approval", CASE, act)} for a in (KARIM, LOTTE)]
    play.raw({**_again(play, body), "act": act, "approvals": yes}, FATIMA, "not_permitted")
    return play


@scene("a case that is not handed over yet: its coordinator is there, so nobody brings the owner back")
def readmission_before_the_hand_over() -> Play:
    play = Play()
    play.found(ANNEKE, "coordinator", kinds=("question", "circle"), own=("voice", "preparation"))
    play.come(ANNEKE, NORA, "owner", ("contacts",))
    for member in (FATIMA, KARIM, LOTTE):
        play.come(ANNEKE, member, "member")
    nora = play.person(NORA)
    act = majority.propose(play.now, "readmit", nora)
    body = Readmit(
        **compose.common(play.now, play.author(FATIMA)), invitation=InvitationId(bytes(16)), person=nora, name="Nora",
        doorstep=StreamId(fixed_bytes("door", 16)), seed_key=bytes(32), expires=9_000, compare=True, act=act,
        approvals=(*play.agree(act, KARIM), *play.agree(act, LOTTE)),
    )  # fmt: skip
    play.post(body, FATIMA, "not_permitted")
    return play


@scene("a case with one member: who would become owner by one's own word")
def readmission_by_one() -> Play:
    play = after("family")
    nora = play.person(NORA)
    act = majority.propose(play.now, "readmit", nora)
    body = Readmit(
        **compose.common(play.now, play.author(FATIMA)), invitation=InvitationId(bytes(16)), person=nora, name="Nora",
        doorstep=StreamId(fixed_bytes("door", 16)), seed_key=bytes(32), expires=9_000, compare=True, act=act,
    )  # fmt: skip
    play.post(body, FATIMA, "not_permitted")
    return play


# --- entries that are none


@scene("a byte of body, signature and key altered")
def forged() -> Play:
    play = after("family")
    spoils: list[Callable[[bytes], bytes]] = [
        lambda sig: bytes([sig[0] ^ 1]) + sig[1:],
        lambda sig: sig[:-1] + bytes([sig[-1] ^ 1]),
        lambda sig: bytes(64),
        lambda sig: sig[:63],
        lambda sig: sig + b"\0",
    ]
    for spoil in spoils:
        outer = msgspec.msgpack.decode(sign_entry(_leave_body(play), ANNEKE.keys.sign))
        assert play.record(msgspec.msgpack.encode({**outer, "sig": spoil(outer["sig"])})) == "bad_entry"
    play.raw(_leave(play, ANNEKE), NORA, "bad_entry")  # in another's name
    for name, stream in (("keys", CASE), ("charter", bytes(16))):
        data = msgspec.msgpack.encode(_leave(play, ANNEKE))
        payload = msgspec.msgpack.encode({"body": data, "sig": sign(ANNEKE.keys.sign, name, stream, data)})
        assert play.record(payload) == "bad_entry"
    altered = sign_entry(_leave_body(play), ANNEKE.keys.sign).replace(b"\xa5leave", b"\xa5close", 1)
    assert play.record(altered) == "bad_entry"
    return play


def _leave_body(play: Play) -> Leave:
    return Leave(**compose.common(play.now, play.author(ANNEKE)))


@scene("bytes two readers would not read alike: keys given twice, bytes behind the end, floats, text that is no UTF-8")
def not_one_meaning() -> Play:
    play = after("family")
    fields = _leave(play, ANNEKE)
    pack = msgspec.msgpack.encode

    def body(**changes: Any) -> bytes:
        return pack(_leave(play, ANNEKE, **changes))

    def doubled(data: bytes, key: str, value: Any) -> bytes:
        return bytes([data[0] + 1]) + data[1:] + pack(key) + pack(value)

    play.raw(doubled(body(), "n", fields["n"]), ANNEKE, "bad_entry")
    play.raw(doubled(body(), "unknown", 1), ANNEKE, "ok")
    play = after("family")
    play.raw(body() + b"\0", ANNEKE, "bad_entry")
    long_key = body().replace(b"\xa1n", b"\xd9\x01n", 1)
    play.raw(bytes([long_key[0] + 1]) + long_key[1:] + b"\xa1n" + pack(play.now.n + 1), ANNEKE, "bad_entry")
    play.raw(body(n=float(play.now.n + 1)), ANNEKE, "bad_entry")
    play.raw(body(at=2**53), ANNEKE, "bad_entry")
    play.raw(body(at=-1), ANNEKE, "bad_entry")
    play.raw(body(at=None), ANNEKE, "bad_entry")
    play.raw(body(at=True), ANNEKE, "bad_entry")
    play.raw(body(v=1.0), ANNEKE, "bad_entry")
    play.raw(body(prev=b"\1" * 31), ANNEKE, "bad_entry")
    play.raw(body(by=ANNEKE.id.hex()), ANNEKE, "bad_entry")
    play.raw(body(what="leave").replace(b"\xa5leave", b"\xa5lea\xff\xff"), ANNEKE, "bad_entry")
    play.raw(pack([1, 2]), ANNEKE, "bad_entry")
    play.raw(b"", ANNEKE, "bad_entry")
    play.raw({k: v for k, v in _leave(play, ANNEKE).items() if k != "at"}, ANNEKE, "bad_entry")
    play.raw(body(deep=_deep(20)), ANNEKE, "bad_entry")
    good = pack({"body": body(), "sig": sign(ANNEKE.keys.sign, "charter", CASE, body())})
    for payload in (good + b"\0", bytes([good[0] + 1]) + good[1:] + b"\xa3sig" + good[-66:], good[:-1], b"", b"\x80"):
        assert play.record(payload) == "bad_entry", payload
    # The longest form of a length is another way to write the same: the signature tells which bytes count.
    play.raw(body(extra={"a": [1, None, "x"]}).replace(b"\xa2at", b"\xd9\x02at", 1), ANNEKE, "ok")
    return play


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@scene("an entry that does not follow: number skipped or repeated, another hash before, another chain, another case")
def does_not_follow() -> Play:
    play = after("family")
    n = play.now.n
    play.raw(_leave(play, ANNEKE, n=n + 2), ANNEKE, "wrong_previous")
    play.raw(_leave(play, ANNEKE, n=n), ANNEKE, "wrong_previous")
    play.raw(_leave(play, ANNEKE, prev=bytes(32)), ANNEKE, "wrong_previous")
    play.raw(_leave(play, ANNEKE, prev=play.now.heads[n - 1]), ANNEKE, "wrong_previous")
    play.raw(_leave(play, ANNEKE, chain=bytes(32)), ANNEKE, "wrong_seen")
    stale = play.chain
    play.record(b"\x90")
    play.raw(_leave(play, ANNEKE, chain=stale), ANNEKE, "wrong_seen")
    play.raw(_leave(play, ANNEKE, case=bytes(16)), ANNEKE, "bad_entry")
    play.raw(_leave(play, ANNEKE, n=0), ANNEKE, "bad_entry")
    return play


@scene("entries of a newer version: an owner's stops the fold, another's is passed over")
def of_a_newer_version() -> Play:
    play = after("family")
    play.raw(_leave(play, ANNEKE, what="thaw"), ANNEKE, "not_permitted")
    play.raw(_leave(play, ANNEKE, v=2), ANNEKE, "not_permitted")
    play.raw(_leave(play, THIEF, v=2), THIEF, "not_a_member")
    play.raw(_leave(play, NORA, v=0, what="leave"), NORA, "future_version")
    return play


@scene("an unknown kind of entry by an owner stops the fold")
def of_a_newer_kind() -> Play:
    play = after("family")
    play.raw(_leave(play, NORA, what="thaw"), NORA, "future_version")
    return play


@scene("devices that do not belong: unknown, of one who left, put out, a professional's")
def does_not_belong() -> Play:
    play = after("granted")
    play.raw(_leave(play, THIEF), THIEF, "not_a_member")
    play.raw(_leave(play, DE_WIT), DE_WIT, "not_a_member")
    play.post(compose.leave(play.now, play.author(ANNEKE)), ANNEKE)
    play.raw(_leave(play, ANNEKE), ANNEKE, "not_a_member")
    play.add_device(FATIMA, TWIN)
    play.post(compose.remove_device(play.now, play.author(FATIMA), [TWIN.id]), FATIMA)
    play.raw(_leave(play, TWIN), TWIN, "not_a_member")
    proof = compose.sign_new_device(CASE, play.person(FATIMA), TWIN.public, TWIN.keys.sign)
    body = _leave(play, FATIMA, what="add_device", device=_keys(TWIN), sleeping="", device_sig=proof)
    play.raw(body, FATIMA, "already_there")
    return play


def _keys(actor: Actor) -> dict[str, bytes]:
    return {"sign": actor.public.sign, "box": actor.public.box}


# --- founding


@scene("foundings that are none")
def founding_refused() -> Play:
    play = Play()
    made = compose.found(play.author(NORA), CASE, "Kring Nora", "Nora", "owner", NORA.public, ["plan"])
    good = {**body_of(made)}

    def spoiled(expect: str, by: Actor = NORA, **changes: Any) -> None:
        play.raw({**good, "chain": play.chain, **changes}, by, expect)

    play.raw({**_leave_first(play), "by": NORA.id}, NORA, "not_a_member")
    spoiled("not_a_member", by=THIEF, device=_keys(THIEF))
    spoiled("bad_entry", by=THIEF)
    spoiled("wrong_previous", prev=b"\1" * 32)
    spoiled("wrong_previous", n=2)
    spoiled("bad_entry", role="member")
    spoiled("bad_entry", person=bytes(7))
    spoiled("already_there", keys=CASE)
    spoiled("limit", title="é" * 201)
    spoiled("limit", name="x" * 401)
    rooms = {room["room"]: room for room in good["rooms"]}
    spoiled("no_such_room", rooms=[r for r in good["rooms"] if r["room"] != "owner"])
    spoiled("no_such_room", rooms=[r for r in good["rooms"] if r["room"] != EVERYONE])
    spoiled("no_such_room", rooms=[rooms[EVERYONE]], parts=[])
    spoiled("bad_entry", rooms=[*good["rooms"], rooms["owner"]])
    spoiled("wrong_epoch", rooms=[*good["rooms"][1:], {**rooms[EVERYONE], "epoch": 2}])
    spoiled("not_a_member", what="leave")
    spoiled("not_a_member", what="thaw")
    spoiled("ok")
    spoiled("wrong_previous")
    return play


def _leave_first(play: Play) -> dict[str, Any]:
    return {
        "v": 1, "case": CASE, "n": 1, "prev": bytes(32), "chain": play.chain, "by": NORA.id, "at": 5, "what": "leave",
    }  # fmt: skip


@scene("a coordinator founds and holds no key of the circle: its room is not the coordinator's to make")
def coordinator_is_not_the_circle() -> Play:
    play = Play()
    play.found(ANNEKE, "coordinator", kinds=("question",))
    secret = fixed_bytes("circle")
    room = RoomEntry("owner+member", ("owner", "member"), (), 1, commitment(CASE, "owner+member", 1, secret))
    play.raw(_leave(play, ANNEKE, what="room", rooms=[_room(room)]), ANNEKE, "not_permitted")
    play.raw(_leave(play, ANNEKE), ANNEKE, "last_owner")
    play.raw(_leave(play, ANNEKE, what="hand_over", person=play.person(ANNEKE)), ANNEKE, "not_permitted")
    play.raw(_leave(play, ANNEKE, what="hand_over", person=bytes(8)), ANNEKE, "no_such_person")
    invitation, _ = play.invite(ANNEKE, "Fatima", "member")
    play.come(ANNEKE, NORA, "owner")
    # With an owner there, the founder makes no other one without her.
    body = _invite(play, ANNEKE, role="owner")
    play.raw(body, ANNEKE, "not_permitted")
    play.post(compose.hand_over(play.now, play.author(ANNEKE), play.person(NORA)), ANNEKE)
    # The founder's open invitations ended with the founder's rights.
    assert play.now.invitations[invitation.invitation].state == "closed"
    play.raw(_invite(play, ANNEKE), ANNEKE, "not_permitted")
    play.raw(_leave(play, ANNEKE, what="hand_over", person=play.person(NORA)), ANNEKE, "not_permitted")
    return play


def _room(entry: RoomEntry) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(entry))
    return plain


def _invite(play: Play, by: Actor, /, **changes: Any) -> dict[str, Any]:
    return _leave(
        play, by, what="invite", invitation=fixed_bytes("invitation", 16), person=fixed_bytes("somebody", 8), name="Oma",
        role="member", doorstep=fixed_bytes("doorstep", 16), seed_key=fixed_bytes("seed key"), expires=9, compare=False,
    ) | changes  # fmt: skip


# --- inviting and joining


@scene("who may not invite, ids and streams that are taken, names too long, and a sixty-fifth door")
def invite_refused() -> Play:
    play = after("family")
    for by in (FATIMA, SAM, ANNEKE):
        play.raw(_invite(play, by), by, "not_permitted")
    play.raw(_invite(play, NORA, person=play.person(SAM)), NORA, "already_there")
    play.raw(_invite(play, NORA, doorstep=CASE), NORA, "already_there")
    play.raw(_invite(play, NORA, doorstep=play.now.parts["plan"].stream), NORA, "already_there")
    known = next(iter(play.now.invitations))
    play.raw(_invite(play, NORA, invitation=known), NORA, "already_there")
    play.raw(_invite(play, NORA, role="professional"), NORA, "bad_entry")
    play.raw(_invite(play, NORA, name="é" * 201), NORA, "limit")
    play.raw(_invite(play, NORA, terms=bytes(65_537)), NORA, "limit")
    longest = _invite(play, NORA, name="é" * 200, invitation=fixed_bytes("long", 16), person=fixed_bytes("long", 8))
    play.raw({**longest, "doorstep": fixed_bytes("long door", 16)}, NORA, "ok")
    play.raw(_leave(play, NORA, what="cancel", invitation=fixed_bytes("long", 16)), NORA, "ok")
    play.raw(_leave(play, NORA, what="cancel", invitation=bytes(16)), NORA, "no_such_invitation")
    play.raw(_leave(play, NORA, what="cancel", invitation=known), NORA, "invitation_used")
    for i in range(64):
        body = _invite(
            play,
            NORA,
            invitation=fixed_bytes(f"i{i}", 16),
            doorstep=fixed_bytes(f"d{i}", 16),
            person=fixed_bytes(f"p{i}", 8),
        )
        play.raw(body, NORA, "ok")
    play.raw(_invite(play, NORA), NORA, "limit")
    play.raw(_leave(play, NORA, what="cancel", invitation=fixed_bytes("i3", 16)), NORA, "ok")
    play.raw(_invite(play, NORA), NORA, "ok")
    return play


@scene(
    "joins: for another case or door, without the seed's or the device's word, by a member, twice, of a cancelled one"
)
def join_refused() -> Play:
    play = after("family")
    invitation, seed = play.invite(NORA, "Karim", "member")
    other, _ = play.invite(NORA, "Lotte", "member")
    third, _ = play.invite(NORA, "Karim", "member", person=invitation.person)
    at, named = invitation.invitation, {"invitation": invitation.invitation}

    def refused(knock: Any, expect: str, by: Actor = NORA, **which: Any) -> None:
        play.raw(_join(play, by, knock, **(which or named)), by, expect)

    good = play.knock(KARIM, invitation, seed)
    refused(play.knock(KARIM, invitation, seed, case=bytes(16)), "bad_statement")
    refused(play.knock(KARIM, invitation, seed, invitation=other.invitation), "bad_statement")
    refused(play.knock(KARIM, invitation, fixed_bytes("another seed")), "bad_statement")
    refused(msgspec.structs.replace(good, seed_sig=good.device_sig), "bad_statement")
    refused(msgspec.structs.replace(good, device_sig=good.seed_sig), "bad_statement")
    # Somebody else's device in this person's name.
    refused(play.knock(KARIM, invitation, seed, sign=LOTTE.public.sign), "bad_statement")
    refused(msgspec.structs.replace(good, statement=b"\x80"), "bad_statement")
    refused(msgspec.structs.replace(good, statement=good.statement + b"\0"), "bad_statement")
    refused(play.knock(KARIM, invitation, seed, name="x" * 401), "limit")
    refused(play.knock(FATIMA, invitation, seed), "already_there")
    for by in (FATIMA, SAM, ANNEKE):
        refused(good, "not_permitted", by)
    refused(good, "bad_statement", invitation=other.invitation)
    refused(good, "no_such_invitation", invitation=bytes(16))
    refused(good, "no_such_grant", grant=at)
    refused(good, "bad_entry", invitation=at, grant=at)
    refused(good, "bad_entry", invitation=None, grant=None)
    refused(good, "ok")
    refused(play.knock(LOTTE, invitation, seed), "invitation_used")
    third_seed = fixed_bytes("unknown")
    refused(play.knock(LOTTE, third, third_seed), "bad_statement", invitation=third.invitation)
    play.post(compose.cancel(play.now, play.author(NORA), other.invitation), NORA)
    refused(play.knock(LOTTE, other, seed), "invitation_used", invitation=other.invitation)
    return play


@scene("a second invitation for somebody who came through the first")
def joined_twice() -> Play:
    play = after("family")
    first, first_seed = play.invite(NORA, "Karim", "member")
    second, second_seed = play.invite(NORA, "Karim", "member", person=first.person)
    play.post(compose.join(play.now, play.author(NORA), play.knock(KARIM, first, first_seed), first.invitation), NORA)
    knock = play.knock(LOTTE, second, second_seed)
    play.raw(_join(play, NORA, knock, invitation=second.invitation), NORA, "already_there")
    return play


@scene("who is put out cannot come in by a link of their own: its invitations and grants are closed")
def doors_close_behind() -> Play:
    play = after("three_owners")
    invitation, seed = play.invite(KARIM, "a friend of Karim", "member")
    karim = play.person(KARIM)
    given = compose.grant(
        play.now,
        play.author(KARIM),
        GrantId(fixed_bytes("grant of Karim", 16)),
        *(StreamId(fixed_bytes(f"stream of a grant of Karim, {i}", 16)) for i in range(3)),
        fixed_bytes("seed of Karim"),
        9_000,
        b"terms",
        bytes(32),
    )
    play.post(given, KARIM)
    act = majority.propose(play.now, "remove_person", karim)
    made = compose.remove_person(play.now, play.author(NORA), karim, act=act, approvals=play.agree(act, LOTTE))
    play.post(made, NORA)
    assert not any(grant.open for grant in play.now.grants.values())
    knock = play.knock(THIEF, invitation, seed)
    play.raw(_join(play, NORA, knock, invitation=invitation.invitation), NORA, "invitation_used")
    return play


@scene("own devices: unsigned, of another person's word, too many, paper thrown away by the phone, the last one")
def devices_refused() -> Play:
    play = after("family")
    fatima, case = play.person(FATIMA), CASE
    good = compose.sign_new_device(case, fatima, TWIN.public, TWIN.keys.sign)

    def add(expect: str, by: Actor = FATIMA, **changes: Any) -> None:
        body = _leave(play, by, what="add_device", device=_keys(TWIN), sleeping="", device_sig=good) | changes
        play.raw(body, by, expect)

    add("bad_statement", device_sig=bytes(64))
    add("bad_statement", by=NORA)
    add("bad_statement", device_sig=sign(FATIMA.keys.sign, "add device", case, fatima + TWIN.id))
    add("bad_entry", sleeping="deep")
    add("bad_entry", device={"sign": bytes(32), "box": bytes(1215)})
    add("ok")
    add("already_there")
    play.add_device(FATIMA, PAPER, "paper")

    def remove(devices: list[bytes], expect: str, by: Actor = FATIMA) -> None:
        play.raw(_leave(play, by, what="remove_device", devices=devices), by, expect)

    remove([PAPER.id], "not_permitted")
    remove([PAPER.id], "not_permitted", NORA)
    remove([SAM.id], "not_permitted")
    remove([], "bad_entry")
    remove([TWIN.id, TWIN.id], "bad_entry")
    remove([TWIN.id, FATIMA.id, PAPER.id], "not_permitted", PAPER)
    remove([TWIN.id], "room_not_turned")
    for i in range(9):
        play.add_device(FATIMA, Actor(f"tablet {i}"))
    thirteenth = Actor("tablet 9")
    proof = compose.sign_new_device(case, fatima, thirteenth.public, thirteenth.keys.sign)
    add("limit", device=_keys(thirteenth), device_sig=proof)
    return play


@scene(
    "with an address nothing is decided: no leaving, no removing, no other seed, no vote, no stop; and it is used once"
)
def address_refused() -> Play:
    play = after("three_owners")
    play.add_device(NORA, ADDRESS, "link")
    karim, by = play.person(KARIM), ADDRESS

    def refused(what: str, **more: Any) -> None:
        play.raw(_leave(play, by, what=what, **more), by, "not_permitted")

    refused("leave")
    refused("remove_device", devices=[NORA.id])
    refused("remove_device", devices=[ADDRESS.id, NORA.id])
    refused("remove_person", person=play.person(FATIMA))
    refused("set_role", person=play.person(FATIMA), role="child", until=None)
    refused("thaw")
    for sleeping in ("link", "paper"):
        proof = compose.sign_new_device(CASE, play.person(NORA), TWIN.public, TWIN.keys.sign)
        refused("add_device", device=_keys(TWIN), sleeping=sleeping, device_sig=proof)
    act = majority.propose(play.now, "remove_person", karim)
    good = body_of(compose.remove_person(play.now, play.author(LOTTE), karim, act=act, approvals=play.agree(act, NORA)))
    yes = {"by": ADDRESS.id, "sig": sign(ADDRESS.keys.sign, "approval", CASE, act)}
    play.raw({**good, "approvals": [yes]}, LOTTE, "not_permitted")
    play.raw({**_again(play, good), "approvals": [*good["approvals"], yes]}, LOTTE, "not_permitted")
    play.add_device(ADDRESS, PHONE)
    proof = compose.sign_new_device(CASE, play.person(NORA), TWIN.public, TWIN.keys.sign)
    again = _leave(play, by, what="add_device", device=_keys(TWIN), sleeping="", device_sig=proof)
    play.raw(again, by, "not_a_member")
    play.raw(_leave(play, by, what="remove_device", devices=[PHONE.id]), by, "not_a_member")
    return play


@scene("younger paper does not throw away older paper, and who leaves chooses no secrets")
def younger_paper() -> Play:
    play = after("family")
    play.add_device(FATIMA, PAPER, "paper")
    play.add_device(FATIMA, NEW_PAPER, "paper")
    body = _leave(play, NEW_PAPER, what="remove_device", devices=[PAPER.id])
    play.raw(body, NEW_PAPER, "not_permitted")
    rooms = body_of(compose.remove_device(play.now, play.author(PAPER), [NEW_PAPER.id]))["rooms"]
    body = _leave(play, PAPER, what="remove_device", devices=[PAPER.id], rooms=rooms)
    play.raw(body, PAPER, "not_permitted")
    return play


# --- roles


@scene("what members, children and coordinators may not do")
def not_an_owner() -> Play:
    play = after("family")
    sam = play.person(SAM)
    rows: list[dict[str, Any]] = [
        {"what": "remove_person", "person": sam},
        {"what": "set_role", "person": sam, "role": "member", "until": None},
        {"what": "hand_over", "person": sam},
        {"what": "withdraw", "grant": bytes(16)},
        {"what": "expire", "person": sam},
        {"what": "adopt", "dropped": [], "floors": []},
        {"what": "cancel", "invitation": bytes(16)},
        {"what": "close"},
    ]
    for row in rows:
        for by in (FATIMA, SAM, ANNEKE):
            play.raw(_leave(play, by, **row), by, "not_permitted")
    return play


@scene("removals: of oneself, of nobody, with a room unturned, wrongly turned, or turned that is not the author's")
def removal_refused() -> Play:
    play = after("family")
    fatima = play.person(FATIMA)
    play.raw(_leave(play, NORA, what="remove_person", person=play.person(NORA)), NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="remove_person", person=bytes(8)), NORA, "no_such_person")
    play.raw(_leave(play, NORA, what="remove_person", person=fatima), NORA, "room_not_turned")
    good = body_of(compose.remove_person(play.now, play.author(NORA), fatima))
    rooms = {room["room"]: room for room in good["rooms"]}

    def refused(expect: str, **changed: Any) -> None:
        play.raw({**_again(play, good), **changed}, NORA, expect)

    for missing in sorted(rooms):
        refused("room_not_turned", rooms=[r for r in good["rooms"] if r["room"] != missing])
    circle = rooms["owner+member"]
    rest = [r for r in good["rooms"] if r is not circle]
    refused("wrong_epoch", rooms=[*rest, {**circle, "epoch": 3}])
    refused("not_permitted", rooms=[*rest, {**circle, "epoch": 1}])
    refused("not_permitted", rooms=[*rest, {**circle, "link": b""}])
    refused("bad_entry", rooms=[*rest, {**circle, "link": bytes(31)}])
    refused("bad_entry", rooms=[*rest, {**circle, "link": bytes(33)}])
    refused("bad_entry", rooms=[*rest, {**circle, "commit": bytes(31)}])
    refused("bad_entry", rooms=[*rest, {**circle, "roles": ["owner"]}])
    refused("bad_entry", rooms=[*rest, {**circle, "roles": ["member", "owner"]}])
    refused("bad_entry", rooms=[*rest, circle, circle])
    refused(
        "not_permitted", rooms=[*good["rooms"], {**circle, "room": own_room(fatima), "roles": [], "people": [fatima]}]
    )
    refused(
        "no_such_room",
        rooms=[*good["rooms"], {**circle, "room": "owner+child", "roles": ["owner", "child"], "epoch": 1}],
    )
    contacts = rooms[f"contacts@{fatima.hex()}"]
    rest = [r for r in good["rooms"] if r is not contacts]
    # The list of a room about somebody who left is nobody's to fill.
    refused("no_such_person", rooms=[*rest, {**contacts, "people": [fatima]}])
    refused("widens_without_person", rooms=[*rest, {**contacts, "people": [play.person(SAM)]}])
    refused("ok")
    refused("no_such_person")
    return play


@scene(
    "cuts: of a stream that is no part's, twice, of an actor twice, by one who does not read; locks of what is not turned"
)
def cuts_refused() -> Play:
    play = after("family")
    fatima, sam = play.person(FATIMA), play.person(SAM)
    plan = play.now.parts["plan"].stream
    good = body_of(compose.remove_person(play.now, play.author(NORA), fatima))
    line = [bytes(16), 1, bytes(32)]

    def refused(expect: str, cuts: list[Any]) -> None:
        play.raw({**_again(play, good), "cuts": cuts}, NORA, expect)

    refused("no_such_part", [{"stream": CASE, "actors": []}])
    refused("bad_entry", [{"stream": plan, "actors": []}, {"stream": plan, "actors": []}])
    refused("bad_entry", [{"stream": plan, "actors": [line, line]}])
    refused("bad_entry", [{"stream": plan, "actors": [[bytes(16), 0, bytes(32)]]}])
    refused("bad_entry", [{"stream": plan, "actors": [[bytes(15), 1, bytes(32)]]}])
    refused("not_permitted", [{"stream": play.now.parts[_house(sam)].stream, "actors": []}])
    play.raw(_leave(play, FATIMA, what="room", rooms=[], locks=[[CASE, bytes(32)]]), FATIMA, "no_such_part")
    play.raw(_leave(play, FATIMA, what="room", rooms=[], locks=[[plan, bytes(32)]]), FATIMA, "not_permitted")
    play.raw(
        _leave(play, FATIMA, what="room", rooms=[], locks=[[plan, bytes(32)], [plan, bytes(32)]]), FATIMA, "bad_entry"
    )
    # A member's cut of what an owner manages binds nobody but the member's own devices: here nobody.
    play.raw(_leave(play, FATIMA, what="room", rooms=[], cuts=[{"stream": plan, "actors": []}]), FATIMA, "ok")
    assert not play.now.cuts
    refused("ok", [{"stream": plan, "actors": [line]}])
    return play


# --- rooms and parts


@scene(
    "rooms by whom they are not, under names that do not follow, with secrets of others, and wider without their person"
)
def rooms_refused() -> Play:
    play = after("let_in")
    sam, fatima, nora, anneke = (play.person(actor) for actor in (SAM, FATIMA, NORA, ANNEKE))
    house = play.now.rooms[_house(sam)]

    def entry(name: str, roles: list[str], people: list[bytes], epoch: int = 1, **more: Any) -> dict[str, Any]:
        plain = {
            "room": name,
            "roles": roles,
            "people": sorted(people),
            "epoch": epoch,
            "commit": bytes(32),
            "link": b"",
        }
        return {**plain, **more}

    def refused(expect: str, by: Actor, *rooms: dict[str, Any]) -> None:
        play.raw(_leave(play, by, what="room", rooms=list(rooms)), by, expect)

    present = {"epoch": 1, "commit": house.commits[1]}
    # Names
    refused("bad_entry", NORA, entry("circle", [], []))
    refused("bad_entry", NORA, entry("owner+member", ["owner", "child"], []))
    refused("bad_entry", NORA, entry("child+owner", ["child", "owner"], []))
    refused("bad_entry", NORA, entry("member", ["member"], []))
    refused("bad_entry", NORA, entry("owner", ["owner"], [nora]))
    refused("bad_entry", NORA, entry(own_room(nora), [], [fatima]))
    refused("bad_entry", NORA, entry(own_room(nora), ["owner"], [nora]))
    refused("bad_entry", NORA, entry("plan@" + "AB" * 8, ["owner"], [nora]))
    refused("bad_entry", NORA, entry("Plan", ["owner"], []))
    refused("bad_entry", NORA, entry("diary", ["member"], []))
    refused("bad_entry", NORA, entry("plan", ["owner", "owner"], []))
    two = sorted([fatima, sam], reverse=True)
    refused("bad_entry", SAM, {**entry(house.name, [], [], **present), "people": two})
    refused("bad_entry", SAM, {**entry(house.name, [], [], **present), "people": [sam, sam]})
    # New rooms by whom they are not
    refused("not_permitted", FATIMA, entry("owner+child", ["owner", "child"], []))
    refused("not_permitted", NORA, entry(own_room(anneke), [], [anneke]))
    refused("not_permitted", NORA, entry(f"weather@{sam.hex()}", ["owner"], [sam]))
    refused("bad_entry", SAM, entry(f"weather@{sam.hex()}", ["child"], []))
    refused("wrong_epoch", NORA, entry("owner+child", ["owner", "child"], [], epoch=2))
    refused("bad_entry", NORA, entry("owner+child", ["owner", "child"], [], link=bytes(32)))
    refused("no_such_person", NORA, entry("weather", ["owner"], [bytes(8)]))
    refused("not_permitted", NORA, entry("private", ["owner", "member"], []))
    # Wider
    refused("widens_without_person", NORA, entry(house.name, [], [sam, fatima, nora], **present))
    refused("widens_without_person", FATIMA, entry(house.name, [], [sam, fatima, nora], **present))
    refused("not_permitted", SAM, entry(house.name, [], [sam], **present))
    refused("not_permitted", SAM, entry(house.name, ["child"], [sam, fatima], **present))
    refused("bad_entry", SAM, entry(house.name, [], [sam, fatima, nora]))
    refused("bad_entry", SAM, entry(house.name, [], [sam, fatima, nora], **present, link=bytes(32)))
    refused("not_permitted", FATIMA, entry(house.name, [], [sam, fatima], **present))
    # Turned
    refused("not_permitted", FATIMA, entry(house.name, [], [sam, fatima], epoch=2, link=bytes(32)))
    refused("not_permitted", FATIMA, entry("owner+member", ["owner", "member"], [], epoch=2, link=bytes(32)))
    refused("bad_entry", SAM, entry(house.name, [], [fatima], epoch=2, link=bytes(32)))
    refused("wrong_epoch", SAM, entry(house.name, [], [sam], epoch=3, link=bytes(32)))
    refused("not_permitted", SAM, entry(house.name, ["owner"], [sam], epoch=2, link=bytes(32)))
    # Restarted by one who has the secret
    refused("not_permitted", SAM, entry(house.name, [], [sam], epoch=2))
    refused("not_permitted", NORA, entry("owner", ["owner"], [], epoch=2))
    contacts = f"contacts@{fatima.hex()}"
    old = play.now.rooms[contacts]
    refused(
        "widens_without_person", NORA, entry(contacts, ["owner", "coordinator"], [fatima, sam], epoch=2, link=bytes(32))
    )
    refused("not_permitted", NORA, entry(contacts, ["owner", "coordinator"], [], epoch=2, link=bytes(32)))
    refused(
        "widens_without_person",
        NORA,
        entry(contacts, ["owner", "coordinator"], [fatima, sam], epoch=1, commit=old.commits[1]),
    )
    # The schema lets members in, not children
    refused(
        "not_permitted",
        FATIMA,
        entry(contacts, ["owner", "coordinator"], [fatima, sam], epoch=1, commit=old.commits[1]),
    )
    plan = play.now.rooms["plan"]
    refused(
        "not_permitted", NORA, entry("plan", ["owner", "member", "child"], [fatima], epoch=1, commit=plan.commits[1])
    )
    refused(
        "not_permitted", FATIMA, entry("plan", ["owner", "member", "child"], [anneke], epoch=1, commit=plan.commits[1])
    )
    refused("ok", NORA, entry("plan", ["owner", "member", "child"], [anneke], epoch=1, commit=plan.commits[1]))
    return play


@scene(
    "parts in rooms the schema does not give, about others, on streams that are taken; private is never a coordinator's"
)
def parts_refused() -> Play:
    play = after("family")
    sam, nora = play.person(SAM), play.person(NORA)
    stream = fixed_bytes("a new stream", 16)
    circle = "owner+member"

    def refused(expect: str, by: Actor, part: str, read: str, write: str, manage: str, **changes: Any) -> None:
        made = {"part": part, "stream": stream, "read": read, "write": write, "manage": manage, **changes}
        play.raw(_leave(play, by, what="part", parts=[made]), by, expect)

    refused("not_permitted", NORA, "private", EVERYONE, circle, "owner")
    refused("not_permitted", NORA, "private", circle, EVERYONE, "owner")
    refused("not_permitted", NORA, "private", circle, circle, circle)
    refused("not_permitted", NORA, "decisions", "plan", circle, "owner")
    refused("not_permitted", NORA, f"private@{nora.hex()}", circle, circle, "owner")
    refused("not_permitted", NORA, "voice", "owner+member+coordinator", circle, "owner")
    refused("not_permitted", FATIMA, "decisions", circle, circle, "owner")
    refused("not_permitted", NORA, f"house@{sam.hex()}", _house(sam), own_room(sam), own_room(sam))
    refused("not_permitted", NORA, f"weather@{sam.hex()}", circle, circle, "owner")
    refused("no_such_room", NORA, "strengths", "owner+coordinator", circle, "owner")
    refused("already_there", NORA, "decisions", circle, circle, "owner", stream=CASE)
    refused("already_there", NORA, "decisions", circle, circle, "owner", stream=play.now.parts["plan"].stream)
    refused("bad_entry", NORA, "Decisions", circle, circle, "owner")
    refused("bad_entry", NORA, "owner", circle, circle, "owner")
    refused("bad_entry", NORA, "grant", circle, circle, "owner")
    refused("bad_entry", NORA, "decisions@1", circle, circle, "owner")
    refused("bad_entry", NORA, "decisions", circle, circle, "owner", stream=bytes(15))
    play.raw(_leave(play, NORA, what="part"), NORA, "bad_entry")
    made = {"part": "decisions", "stream": stream, "read": circle, "write": circle, "manage": "owner"}
    twice = [made, {**made, "stream": fixed_bytes("another", 16)}]
    play.raw(_leave(play, NORA, what="part", parts=twice), NORA, "bad_entry")
    refused("ok", NORA, "decisions", circle, circle, "owner")
    return play


@scene("an owner removes a child and brings it back on a phone of his own: the fake child gets no room and widens none")
def impostor_of_a_child() -> Play:
    play = after("let_in")
    sam = play.person(SAM)
    house = play.now.rooms[_house(sam)]
    play.post(compose.remove_person(play.now, play.author(NORA), sam), NORA)
    invitation, seed = play.invite(NORA, "Sam", "child", person=sam)
    made = compose.join(play.now, play.author(NORA), play.knock(THIEF, invitation, seed), invitation.invitation)
    play.post(made, NORA)
    assert sam not in play.now.audience(house.name)
    fatima = play.person(FATIMA)
    wider = {
        "room": house.name, "roles": [], "people": sorted([fatima, sam]), "epoch": 1, "commit": house.commits[1],
        "link": b"",
    }  # fmt: skip
    play.raw(_leave(play, THIEF, what="room", rooms=[wider]), THIEF, "not_permitted")
    turned = {**wider, "epoch": 2, "link": bytes(32)}
    play.raw(_leave(play, THIEF, what="room", rooms=[turned]), THIEF, "not_permitted")
    return play


@scene("floors: of no room, too high; and turning must go above them")
def adopt_refused() -> Play:
    play = after("family")
    play.raw(_leave(play, NORA, what="adopt", dropped=[], floors=[["weather", 2]]), NORA, "no_such_room")
    play.raw(_leave(play, NORA, what="adopt", dropped=[], floors=[["plan", 1_002]]), NORA, "limit")
    play.raw(_leave(play, NORA, what="adopt", dropped=[[1, bytes(31)]], floors=[]), NORA, "bad_entry")
    n, one, two = play.now.n + 1, fixed_bytes("one"), fixed_bytes("two")
    for dropped in (
        [[1, one]],
        [[n + 1, one]],
        [[n, one], [n + 2, two]],
        [[n, one], [n, two]],
        [[n, two], [n - 1, one]],
    ):
        play.raw(_leave(play, NORA, what="adopt", dropped=dropped, floors=[]), NORA, "bad_entry")
    play.raw(_leave(play, NORA, what="adopt", dropped=[], floors=[["plan", 1_001], ["plan", 5]]), NORA, "ok")
    plan = play.now.rooms["plan"]
    room = {
        "room": "plan", "roles": list(plan.roles), "people": [], "epoch": 2, "commit": bytes(32), "link": bytes(32),
    }  # fmt: skip
    play.raw(_leave(play, NORA, what="room", rooms=[room]), NORA, "wrong_epoch")
    play.raw(_leave(play, NORA, what="room", rooms=[{**room, "epoch": 1_002}]), NORA, "ok")
    return play


@scene("an entry of one case, signed by the same phone, in another")
def of_another_case() -> Play:
    play = after("family")
    other = Play(CaseId(fixed_bytes("another case", 16)))
    play.raw(_leave(play, NORA, case=other.case), NORA, "bad_entry")
    data = msgspec.msgpack.encode(_leave(play, NORA, case=other.case))
    whole = msgspec.msgpack.encode({"body": data, "sig": sign(NORA.keys.sign, "charter", other.case, data)})
    assert play.record(whole) == "bad_entry"
    data = msgspec.msgpack.encode(_leave(play, NORA))
    payload = msgspec.msgpack.encode({"body": data, "sig": sign(NORA.keys.sign, "charter", other.case, data)})
    assert play.record(payload) == "bad_entry"
    return play


# --- rules that only an owner's own hand could break


@scene("an owner who was brought back begins only her own room anew: an empty link takes history from whoever has it")
def restarted_by_who_came_back() -> Play:
    play, nora = _lost_owner()
    invitation, seed = _readmit(play, FATIMA, nora, KARIM, LOTTE)
    made = compose.join(play.now, play.author(KARIM), play.knock(PHONE, invitation, seed), invitation.invitation)
    play.post(made, KARIM)

    def begun_anew(room: str) -> dict[str, Any]:
        known = play.now.rooms[room]
        plain = {"room": room, "roles": list(known.roles), "people": sorted(known.people), "epoch": known.epoch + 1}
        return _leave(play, PHONE, what="room", rooms=[{**plain, "commit": bytes(32), "link": b""}])

    for shared in ("owner+member", EVERYONE, "plan"):
        play.raw(begun_anew(shared), PHONE, "not_permitted")
    play.raw(begun_anew("owner"), PHONE, "ok")
    return play


@scene("a room of a part that the schema knows, made with other roles than the schema's")
def room_with_other_roles() -> Play:
    play = Play()
    play.found(NORA, kinds=("question",))
    plan = {"room": "plan", "people": [], "epoch": 1, "commit": bytes(32), "link": b""}
    for roles in (["owner"], ["owner", "member"], ["owner", "member", "child", "coordinator"]):
        play.raw(_leave(play, NORA, what="room", rooms=[{**plan, "roles": roles}]), NORA, "not_permitted")
    play.raw(_leave(play, NORA, what="room", rooms=[{**plan, "roles": ["owner", "member", "child"]}]), NORA, "ok")
    return play


@scene("an owner gives access under the case's own id: the reader's device has the id it would have as a member's")
def reader_under_the_cases_id() -> Play:
    play = after("family")
    grant = GrantId(CASE)
    streams = [StreamId(fixed_bytes(f"such a grant {name}", 16)) for name in ("doorstep", "down", "up")]
    seed, key = fixed_bytes("such a grant's seed"), fixed_bytes("such a grant's key")
    play.post(compose.grant(play.now, play.author(NORA), grant, *streams, seed, 9_000, b"terms", key), NORA)
    # A member's phone is nobody's reader, and the other way round: whose device it is must have one answer.
    known = play.now.grants[grant]
    play.raw(_join(play, NORA, play.knock(FATIMA, known, seed), grant=grant), NORA, "already_there")
    play.post(compose.join(play.now, play.author(NORA), play.knock(DE_WIT, known, seed), grant=grant), NORA)
    invitation, link = play.invite(NORA, "De Wit", "member")
    knock = play.knock(DE_WIT, invitation, link)
    play.raw(_join(play, NORA, knock, invitation=invitation.invitation), NORA, "already_there")
    proof = compose.sign_new_device(CASE, play.person(FATIMA), DE_WIT.public, DE_WIT.keys.sign)
    body = _leave(play, FATIMA, what="add_device", device=_keys(DE_WIT), sleeping="", device_sig=proof)
    play.raw(body, FATIMA, "already_there")
    return play
