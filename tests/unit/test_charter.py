"""The charter as a whole: honest devices never refuse each other, rights are those of history, and no altered byte passes."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))

from charter_cast import ANNEKE, CASE, FATIMA, KARIM, LOTTE, NORA, SAM, SCHEMA, Actor, Play, fixed_bytes

from eigenkring.charter import compose, majority
from eigenkring.charter.entry import parse_entry, sign_entry
from eigenkring.charter.log import Heads
from eigenkring.charter.rules import RULES, fold
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, GrantId, PersonId, StreamId
from eigenkring.rooms import CIRCLE, EVERYONE, OWNERS, Keyring
from eigenkring_crypto import capability

VISITORS = [Actor(f"visitor {i}") for i in range(8)]
PHONES = [Actor(f"phone {i}") for i in range(8)]
PAPERS = [Actor(f"paper {i}") for i in range(4)]
ACTORS = {actor.id: actor for actor in (NORA, *VISITORS, *PHONES, *PAPERS)}


class Family(Play):
    """A case in which somebody always does something that is allowed."""

    def begin(self) -> None:
        self.history: list[Charter] = []
        self.visitors, self.phones, self.papers = list(VISITORS), list(PHONES), list(PAPERS)
        self.found(NORA, kinds=("question", "safety", "private", "plan", "circle"), own=("voice", "contacts"))

    def post(self, made: Any, actor: Actor, expect: str = "ok") -> bytes:
        payload = super().post(made, actor, expect)
        if hasattr(self, "history"):
            self.history.append(self.now)
        return payload

    def actors(self, *roles: str) -> list[Actor]:
        """Devices of people with one of these roles, those that hold their rooms' newest secrets first."""
        people = self.now.with_role(*roles)
        return [ACTORS[d.device] for d in self.now.devices.values() if d.here and d.person in people]

    def entitled(self, actor: Actor) -> bool:
        """Whether this device holds every secret of the roles' rooms: only then can it turn them."""
        rooms = self.now.rooms_of(self.person(actor))
        ring = self.ring(actor)
        return all(ring.secret(room, self.now.rooms[room].epoch) for room in rooms if "owner" in room.split("+"))

    def step(self, pick: Any) -> None:
        owners = [a for a in self.actors("owner") if self.entitled(a)]
        if not owners:
            return
        owner = pick(owners)
        deed = pick(["come", "leave", "remove", "add", "drop", "in", "out", "role", "turn", "grant", "anew", "paper"])
        getattr(self, f"do_{deed}")(owner, pick)

    def do_come(self, owner: Actor, pick: Any) -> None:
        if not self.visitors:
            return
        visitor, role = self.visitors.pop(), pick(["member", "child", "coordinator", "owner"])
        kinds = tuple(k for k in SCHEMA.parts_about(role) if k in ("voice", "contacts", "house", "preparation"))
        more: dict[str, Any] = {}
        if role == "owner":
            person = fixed_bytes(visitor.name, 8)
            more = {"person": person, **self.agreed("invite", person, "owner")}
        self.come(owner, visitor, role, kinds, **more)

    def agreed(self, what: Any, person: Any, role: str = "") -> dict[str, Any]:
        act = majority.propose(self.now, what, person, role)
        return {"act": act, "approvals": self.agree(act, *self.actors("owner"))}

    def do_leave(self, owner: Actor, pick: Any) -> None:
        someone = pick(self.actors("owner", "member", "child", "coordinator"))
        if self.now.with_role("owner") == {self.person(someone)}:
            with pytest.raises(Inadmissible, match="owner"):
                compose_and_fold(self, compose.leave(self.now, self.author(someone)), someone)
            return
        self.post(compose.leave(self.now, self.author(someone)), someone)

    def do_remove(self, owner: Actor, pick: Any) -> None:
        others = sorted(p.person for p in self.now.present() if p.person != self.person(owner))
        if not others:
            return
        person = pick(others)
        more = self.agreed("remove_person", person) if self.now.people[person].role == "owner" else {}
        self.post(compose.remove_person(self.now, self.author(owner), person, **more), owner)

    def do_add(self, owner: Actor, pick: Any) -> None:
        if self.phones:
            self.add_device(pick(self.actors("owner", "member", "child", "coordinator")), self.phones.pop())

    def do_paper(self, owner: Actor, pick: Any) -> None:
        if self.papers:
            self.add_device(pick(self.actors("owner", "member", "child")), self.papers.pop(), "paper")

    def do_drop(self, owner: Actor, pick: Any) -> None:
        someone = pick(self.actors("owner", "member", "child", "coordinator"))
        others = sorted(self.now.devices_of(self.person(someone)) - {someone.id})
        others = [d for d in others if self.now.devices[d].sleeping != "paper"]
        if not others:
            return
        try:
            made = compose.remove_device(self.now, self.author(someone), [pick(others)])
        except Misuse:
            return  # the device waits for a box
        self.post(made, someone)

    def houses(self) -> list[tuple[Actor, str]]:
        found = []
        for child in self.actors("child"):
            room = f"house@{self.person(child).hex()}"
            if room in self.now.rooms and self.ring(child).secret(room, self.now.rooms[room].epoch):
                found.append((child, room))
        return found

    def do_in(self, owner: Actor, pick: Any) -> None:
        if self.houses():
            child, room = pick(self.houses())
            others = sorted(p.person for p in self.now.present() if p.person not in self.now.rooms[room].people)
            if others:
                self.post(compose.let_in(self.now, self.author(child), room, [pick(others)]), child)

    def do_out(self, owner: Actor, pick: Any) -> None:
        if self.houses():
            child, room = pick(self.houses())
            others = sorted(self.now.rooms[room].people - {self.person(child)})
            if others:
                self.post(compose.let_out(self.now, self.author(child), room, [pick(others)]), child)

    def do_role(self, owner: Actor, pick: Any) -> None:
        people = sorted(p.person for p in self.now.present() if p.role != "owner")
        if people:
            person, role = pick(people), pick(["member", "child", "coordinator", "owner"])
            more = self.agreed("set_role", person, role) if role == "owner" else {}
            self.post(compose.set_role(self.now, self.author(owner), person, role, **more), owner)

    def do_turn(self, owner: Actor, pick: Any) -> None:
        someone = pick(self.actors("owner", "member", "child"))
        made = compose.turn_due(self.now, self.author(someone))
        if made is not None:
            self.post(made, someone)

    def do_grant(self, owner: Actor, pick: Any) -> None:
        random = self.random(owner)
        streams = [StreamId(random(16)) for _ in range(3)]
        grant: Any = random(16)
        key = random(32)
        made = compose.grant(self.now, self.author(owner), grant, *streams, random(32), 9, b"terms", key)
        self.post(made, owner)
        if pick([True, False]):
            self.post(compose.withdraw(self.now, self.author(owner), grant), owner)

    def do_anew(self, owner: Actor, pick: Any) -> None:
        self.post(compose.found_anew(self.now, self.author(owner), pick(["plan", "private"])), owner)


def compose_and_fold(play: Play, draft: Any, actor: Actor) -> Charter:
    return fold(play.charter, sign_entry(draft.body, actor.keys.sign), play.case, play.chain, SCHEMA)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_honest_devices_agree_and_rights_are_those_of_history(data: st.DataObject) -> None:
    family = Family()
    family.begin()

    def pick(options: list[Any]) -> Any:
        return options[data.draw(st.integers(0, len(options) - 1))]

    for _ in range(data.draw(st.integers(4, 14))):
        family.step(pick)
        _who_is_out_holds_no_new_secret(family)
    _rights_are_those_of_some_state(family)
    now = family.now
    assert len(now.heads) == now.n == len(family.records)
    assert [now.head_index(head) for head in now.heads] == list(range(1, now.n + 1))
    assert now.head == now.heads[now.n]


def _who_is_out_holds_no_new_secret(family: Family) -> None:
    for room in family.now.rooms.values():
        inside = family.now.devices_in(room.name)
        for device, ring in family.rings.items():
            held = ring.secret(room.name, room.epoch) is not None
            assert room.due or not held or device in inside, f"{room.name} is open to one who is out"


def _rights_are_those_of_some_state(family: Family) -> None:
    now = family.now
    for room in now.rooms.values():
        for epoch in room.since_n:
            states = [c for c in family.history if room.name in c.rooms and c.rooms[room.name].epoch == epoch]
            ever: set[DeviceId] = set().union(*(c.devices_in(room.name) for c in states))
            assert now.devices_ever_in(room.name, epoch) == ever, (room.name, epoch)
    for n, state in enumerate(family.history, 1):
        for name in now.rooms:
            assert now.epoch_at(name, n) == (state.rooms[name].epoch if name in state.rooms else None)


def family_of_four() -> Play:
    play = Play()
    play.found(NORA, kinds=("question", "safety", "private", "plan"), own=("contacts",))
    play.come(NORA, FATIMA, "member", ("voice", "contacts"))
    play.come(NORA, SAM, "child", ("house",))
    play.come(NORA, ANNEKE, "coordinator")
    return play


FAMILY = family_of_four()


@settings(max_examples=300)
@given(st.data())
def test_no_altered_byte_is_admitted(data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(FAMILY.records) - 1))
    charter: Charter | None = None
    for record in FAMILY.records[:which]:
        charter = fold(charter, bytes.fromhex(record["payload"]), CASE, _chain(record), SCHEMA)
    payload = bytearray.fromhex(FAMILY.records[which]["payload"])
    at, bit = data.draw(st.integers(0, len(payload) - 1)), data.draw(st.integers(0, 7))
    payload[at] ^= 1 << bit
    with pytest.raises(Inadmissible):
        fold(charter, bytes(payload), CASE, _chain(FAMILY.records[which]), SCHEMA)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_nonsense_is_refused_and_nothing_else(data: bytes) -> None:
    for charter in (None, FAMILY.now):
        with pytest.raises(Inadmissible):
            fold(charter, data, CASE, FAMILY.chain, SCHEMA)


def _chain(record: dict[str, str]) -> Chain:
    return Chain(bytes.fromhex(record["chain"]))


def test_every_kind_of_entry_has_a_rule() -> None:
    from eigenkring.charter.entry import KINDS, Found

    assert {kind.__struct_config__.tag for kind in RULES} | {Found.__struct_config__.tag} == KINDS


def test_an_order_once_given_stays() -> None:
    for record, other in zip(FAMILY.records, FAMILY.records[1:], strict=False):
        with pytest.raises(Inadmissible) as caught:
            fold(FAMILY.now, bytes.fromhex(record["payload"]), CASE, _chain(other), SCHEMA)
        assert caught.value.code == "wrong_previous"


def test_states_are_kept_apart_when_a_relay_shows_two() -> None:
    one, two = FAMILY.fork(), FAMILY.fork()
    one.post(compose.leave(one.now, one.author(SAM)), SAM)
    two.post(compose.leave(two.now, two.author(ANNEKE)), ANNEKE)
    assert one.now.head != two.now.head
    assert one.now.head_index(two.now.head) is None
    assert two.now.head_index(one.now.head) is None
    assert FAMILY.now.heads.get(FAMILY.now.n + 1) is None
    assert FAMILY.now.people[FAMILY.person(SAM)].here


def test_heads_number_from_one() -> None:
    heads = Heads().and_then(EntryHash(b"a")).and_then(EntryHash(b"b"))
    assert (heads[1], heads[2], list(heads), len(heads)) == (b"a", b"b", [b"a", b"b"], 2)
    assert (heads.get(0), heads.get(3), heads.index(EntryHash(b"c"))) == (None, None, None)
    with pytest.raises(KeyError):
        _ = heads[0]


# --- locks


def test_an_author_turns_the_locks_of_all_streams_of_the_rooms_turned() -> None:
    play = FAMILY.fork()
    made = compose.remove_person(play.now, play.author(NORA), play.person(FATIMA))
    before = play.now
    play.post(made, NORA)
    ring, now = play.ring(NORA), play.now
    turned = {room.room for room in made.body.rooms}  # type: ignore[union-attr]
    assert turned >= {EVERYONE, CIRCLE, "plan"}
    assert set(made.rekeys) >= {StreamId(CASE), now.keys_stream, now.parts["plan"].stream}
    for stream in made.rekeys:
        then, new = (
            compose.capability_hashes(before, FAMILY.ring(NORA), stream),
            compose.capability_hashes(now, ring, stream),
        )
        assert then != new, "a rekey that changes nothing"
    # Nobody writes what only she wrote: no capability fits.
    voice = now.parts[f"voice@{before.devices[FATIMA.id].person.hex()}"]
    assert compose.capability_hashes(now, ring, voice.stream)[1] == compose.nobody_hash(voice.stream)
    assert voice.stream in made.rekeys
    for device in made.keybags:
        assert device != FATIMA.id
        assert now.devices[device].here


def test_capabilities_are_of_the_present_epoch_and_none_where_the_secret_is_not_held() -> None:
    play = FAMILY.fork()
    play.post(compose.remove_person(play.now, play.author(NORA), play.person(ANNEKE)), NORA)
    plan = play.now.parts["plan"]
    secret = play.ring(NORA).secret(plan.read, play.now.rooms[plan.read].epoch)
    assert secret is not None
    cap = capability.read_capability(
        capability.read_secret(secret, plan.stream), plan.stream, play.now.rooms[plan.read].epoch
    )
    assert compose.capability_hashes(play.now, play.ring(NORA), plan.stream)[0] == capability.capability_hash(cap)
    assert compose.capability_hashes(play.now, Keyring(), plan.stream) == (None, None, None)
    assert compose.capability_hashes(play.now, play.ring(NORA), play.now.keys_stream)[0] is None


def test_a_member_names_the_lock_and_the_owner_turns_it() -> None:
    play = FAMILY.fork()
    voice = play.now.parts[f"voice@{play.person(FATIMA).hex()}"].stream
    play.add_device(FATIMA, PHONES[0])
    made = compose.remove_device(play.now, play.author(FATIMA), [PHONES[0].id])
    play.post(made, FATIMA)
    assert voice not in made.rekeys
    assert voice in compose.locks_to_turn(play.now, play.person(NORA))
    assert compose.locks_to_turn(play.now, play.person(SAM)) == []
    by_owner = compose.capability_hashes(play.now, play.ring(NORA), voice)
    by_writer = compose.capability_hashes(play.now, play.ring(FATIMA), voice)
    assert by_owner[1] == by_writer[1] is not None
    assert by_owner[1] != compose.capability_hashes(FAMILY.now, FAMILY.ring(FATIMA), voice)[1]


def test_what_a_draft_opens_has_the_hashes_that_its_readers_and_managers_derive() -> None:
    play = Play()
    made = compose.found(
        play.author(NORA), CASE, "Kring", "Nora", "owner", NORA.public, SCHEMA.parts_at_founding(), ["contacts"]
    )
    play.post(made, NORA)
    assert [opened.stream for opened in made.opens][:2] == [CASE, play.now.keys_stream]
    assert {opened.stream for opened in made.opens} == set(play.now.live_streams())
    for opened in made.opens:
        read, append, manage = compose.capability_hashes(play.now, play.ring(NORA), opened.stream)
        assert (append, manage) == (opened.append, opened.manage)
        assert read == opened.read or opened.stream == play.now.keys_stream


def test_whoever_has_no_blank_founds_no_part_that_owners_manage() -> None:
    play = Play()
    play.found(NORA, kinds=("question", "safety"))
    play.come(NORA, FATIMA, "member")
    with pytest.raises(Misuse) as caught:
        compose.rooms_and_parts_about(play.now, play.author(FATIMA), ["voice"])
    assert caught.value.code == "not_permitted"
    blanks = compose.make_blanks(play.now, play.author(NORA), 1)
    made = compose.rooms_and_parts_about(play.now, play.author(FATIMA), ["voice"], blanks)
    play.post(made, FATIMA)
    assert made.opens[0].manage == compose.capability_hashes(play.now, play.ring(NORA), blanks[0].stream)[2]


def test_a_coordinator_who_founds_makes_no_key_of_the_circle() -> None:
    play = Play()
    made = compose.found(
        play.author(ANNEKE),
        CASE,
        "Kring",
        "Anneke",
        "coordinator",
        ANNEKE.public,
        SCHEMA.parts_at_founding(),
        ["voice"],
    )
    play.post(made, ANNEKE)
    assert all("coordinator" in room or room == OWNERS or "@" in room for room, _ in made.new_secrets)
    assert {"circle"} <= set(play.now.parts)
    assert not {"private", "question", "plan"} & set(play.now.parts)


def test_a_restart_is_in_the_keybag_with_the_secret_no_link_leads_to() -> None:
    play = FAMILY.fork()
    gone = play.person(FATIMA)
    contacts = f"contacts@{gone.hex()}"
    play.post(compose.remove_person(play.now, play.author(NORA), gone), NORA)
    invitation, seed = play.invite(NORA, "Fatima", "member", person=gone)
    knock = play.knock(LOTTE, invitation, seed)
    made = compose.join(play.now, play.author(NORA), knock, invitation.invitation, blanks=2)
    play.post(made, NORA)
    assert contacts not in {room for room, _, _ in made.keybags[LOTTE.id]}, "an owner gave away a room about her"
    again = compose.rooms_and_parts_about(play.now, play.author(LOTTE), ["contacts"], made.blanks[LOTTE.id])
    play.post(again, LOTTE)
    play.come(NORA, KARIM, "coordinator")
    epochs = [epoch for room, epoch, _ in play.ring(KARIM) if room == contacts]
    assert epochs == [2, 3]
    assert play.ring(KARIM).open_history(play.now) == []
    assert [epoch for room, epoch, _ in play.ring(KARIM) if room == contacts] == [1, 2, 3]


def test_a_sixty_fifth_person_is_too_many() -> None:
    play = FAMILY.fork()
    nora = play.now.people[play.person(NORA)]
    invitation, seed = play.invite(NORA, "Opa", "member")
    crowd = {**play.now.people}
    while len(crowd) < 64:
        person = PersonId(fixed_bytes(f"somebody {len(crowd)}", 8))
        crowd[person] = msgspec.structs.replace(nora, person=person, role="child")
    play.charter = msgspec.structs.replace(play.now, people=crowd)
    knock = play.knock(KARIM, invitation, seed)
    with pytest.raises(Inadmissible) as caught:
        compose_and_fold(play, compose.join(play.now, play.author(NORA), knock, invitation.invitation), NORA)
    assert caught.value.code == "limit"
    del crowd[person]
    play.charter = msgspec.structs.replace(play.now, people=crowd)
    compose_and_fold(play, compose.join(play.now, play.author(NORA), knock, invitation.invitation), NORA)


def test_an_entry_longer_than_a_record_is_not_looked_at() -> None:
    with pytest.raises(Inadmissible) as caught:
        fold(FAMILY.now, bytes(1_048_577), CASE, FAMILY.chain, SCHEMA)
    assert (caught.value.code, caught.value.device) == ("bad_entry", None)


def test_a_grants_doorstep_is_the_circles_once_somebody_came() -> None:
    play = FAMILY.fork()
    streams = [StreamId(fixed_bytes(f"stream {i}", 16)) for i in range(3)]
    grant, seed = GrantId(fixed_bytes("a grant", 16)), fixed_bytes("a seed")
    made = compose.grant(play.now, play.author(NORA), grant, *streams, seed, 9, b"terms", bytes(32))
    play.post(made, NORA)
    own = f"grant@{grant.hex()}"
    assert play.now.stream_rooms(streams[0]) == (None, None, OWNERS)
    assert play.now.stream_rooms(streams[1]) == (own, CIRCLE, CIRCLE)
    assert play.now.stream_rooms(streams[2]) == (own, own, CIRCLE)
    assert {opened.stream for opened in made.opens} == set(streams)
    knock = play.knock(KARIM, play.now.grants[grant], seed)
    play.post(compose.join(play.now, play.author(NORA), knock, grant=grant), NORA)
    assert play.now.stream_rooms(streams[0]) == (None, CIRCLE, OWNERS)
    withdrawn = compose.withdraw(play.now, play.author(NORA), grant)
    assert set(withdrawn.closes) == set(streams)
    play.post(withdrawn, NORA)
    assert not set(streams) & set(play.now.live_streams())


def test_a_door_that_closes_is_not_rekeyed_as_well() -> None:
    """In one atomic exchange the close would find another lock than it has the key of, and nothing would happen at all."""
    play = FAMILY.fork()
    invitation, _ = play.invite(NORA, "Opa", "member")
    person = PersonId(fixed_bytes("Karim", 8))
    play.come(NORA, KARIM, "owner", person=person)
    act = majority.propose(play.now, "remove_person", play.person(NORA))
    more = {"act": act, "approvals": play.agree(act, NORA)}
    made = compose.remove_person(play.now, play.author(KARIM), play.person(NORA), **more)
    assert invitation.doorstep in made.closes
    assert not set(made.closes) & set(made.rekeys)
    play.post(made, KARIM)
    assert play.now.invitations[invitation.invitation].state == "closed"


def test_a_stream_past_its_date_is_not_rekeyed() -> None:
    play = FAMILY.fork()
    invitation, _ = play.invite(NORA, "Opa", "member")
    play.come(NORA, KARIM, "owner")
    play.post(compose.leave(play.now, play.author(KARIM)), KARIM)
    author = play.author(NORA)
    early, late = (compose.turn_due(play.now, replace(author, at=at)) for at in (1_999, 2_000))
    assert early is not None
    assert late is not None
    assert invitation.doorstep in early.rekeys
    assert invitation.doorstep not in late.rekeys


# --- keyrings


def test_a_keyring_is_written_and_read_again() -> None:
    ring = FAMILY.ring(NORA)
    again = Keyring.load(ring.dump())
    assert (list(again), again.keys_secret, len(again)) == (list(ring), ring.keys_secret, len(ring))
    assert ring.secret("plan", 1) is not None
    assert bytes(ring.secret("plan", 1) or b"").hex() not in repr(ring)
    for data in (b"", b"\x80", ring.dump() + b"\0", b"\x82\xa5rooms\x90\xa5rooms\x90"):
        with pytest.raises(ValueError):
            Keyring.load(data)


def test_a_keyring_drops_what_the_charter_does_not_commit_to() -> None:
    ring = FAMILY.ring(NORA).copy()
    ring.add("plan", 1, bytes(32))
    ring.add("plan", 9, bytes(32))
    assert ring.sift(FAMILY.now) == [("plan", 1)]
    assert ring.newest("plan") == (9, bytes(32))
    assert ring.newest("weather") is None
    with pytest.raises(Inadmissible):
        ring.add("plan", 1, bytes(31))


# --- what the schema does not know, and other cases


def test_a_charter_of_another_case_is_another_charter() -> None:
    payload = bytes.fromhex(FAMILY.records[0]["payload"])
    with pytest.raises(Inadmissible) as caught:
        fold(None, payload, CaseId(bytes(16)), _chain(FAMILY.records[0]), SCHEMA)
    assert caught.value.code == "bad_entry"


def test_a_field_of_a_newer_version_is_ignored() -> None:
    play = FAMILY.fork()
    body = msgspec.msgpack.decode(msgspec.msgpack.encode(compose.leave(play.now, play.author(SAM)).body))
    play.raw(body, SAM, "ok", newer={"a": [1, 2.5, None]})


def test_questions_about_what_is_not_there_are_answered() -> None:
    now = FAMILY.now
    assert now.person_of(DeviceId(bytes(16))) is None
    assert now.epoch_at("weather", 3) is None
    assert not now.wrote_in_epoch(NORA.id, "weather", 1)
    assert not now.wrote_in_epoch(NORA.id, "plan", 9)
    assert not now.wrote_in_epoch(LOTTE.id, "plan", 1)
    assert now.devices_ever_in("weather", 1) == frozenset()
    assert now.cut_for(now.parts["plan"].stream, NORA.id, 1) is None
    for ask in (lambda: now.audience("weather"), lambda: now.stream_rooms(StreamId(bytes(16)))):
        with pytest.raises(Misuse):
            ask()
    with pytest.raises(Misuse) as caught:
        now.may_read(FAMILY.person(NORA), "weather")
    assert caught.value.code == "no_such_part"


def test_a_cut_binds_what_was_attested_up_to_the_ended_epoch_and_the_first_one_counts() -> None:
    from eigenkring.charter.entry import CutEntry

    play = FAMILY.fork()
    plan = play.now.parts["plan"].stream
    fatima = play.person(FATIMA)

    def cut(seq: int) -> CutEntry:
        return CutEntry(plan, ((bytes(16), seq, bytes(32)),))

    play.post(compose.set_role(play.now, play.author(NORA), fatima, "child", cuts=[cut(3)]), NORA)
    ended = play.now.cut_for(plan, FATIMA.id, 1)
    assert play.now.cut_for(plan, FATIMA.id, 2) is None
    # She comes back and is put out: the later cut binds what she attested since, and not what the first one ended.
    play.post(compose.set_role(play.now, play.author(NORA), fatima, "member"), NORA)
    again = play.now.rooms[play.now.parts["plan"].write].epoch
    play.post(compose.remove_person(play.now, play.author(NORA), fatima, cuts=[cut(9)]), NORA)
    assert len(play.now.cuts[plan]) == 2
    first, second = play.now.cut_for(plan, FATIMA.id, 1), play.now.cut_for(plan, FATIMA.id, again)
    assert first is not None
    assert first == ended
    assert first.actors[bytes(16)] == (3, bytes(32))
    assert second is not None
    assert second.actors[bytes(16)] == (9, bytes(32))
    assert play.now.cut_for(plan, NORA.id, 1) is None


def test_an_entry_that_no_record_holds() -> None:
    """Its own size is checked before anything is decoded: whoever made it is nobody's relay."""
    body = {
        "v": 1,
        "what": "leave",
        "case": bytes(16),
        "n": 1,
        "prev": bytes(32),
        "by": bytes(16),
        "more": bytes(2**20),
    }
    payload = msgspec.msgpack.encode({"body": msgspec.msgpack.encode(body), "sig": bytes(64)})
    with pytest.raises(Inadmissible) as caught:
        parse_entry(payload)
    assert caught.value.code == "bad_entry"
    assert caught.value.message == "an entry is longer than a record"
