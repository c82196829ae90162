"""The same family with everything that can happen to it: parts compacted and founded anew, own devices and paper, roles,
owners who decide together, members that craft bytes, a relay put back, and a battery that ends at any step of any of it.

What must hold is what `test_interleavings.py` asks, and besides: a device that was put out enters nothing more, also where
its person stays; what lay in a part when it was compacted or founded anew is still there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from crafting import Crafter
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from test_interleavings import CI, CIRCLE, LONG, NEW, Family

from eigenkring import incoming, recovery
from eigenkring.errors import EigenkringError
from eigenkring.own_devices import add_device, remove_device
from eigenkring.session import compacting
from eigenkring_crypto.errors import CryptoError
from simulator import ADDRESS, NOON, Phone, World, family

DAY = 24 * 3600
SHORT, PATIENT = 7, 3  # records before a snapshot pays, so that some are made in a short run
ON_PAPER = ("fatima", "karim")


@functools.cache
def large_family() -> tuple[dict[str, Any], dict[str, str]]:
    """Ali an owner too, Karim with two devices, he and Fatima with paper; and the codes on it."""
    world = family(61)
    world.join("ali", "owner")
    karim, other = world.phones["karim"], world.phone("karim2")
    other.device.join(add_device(karim.case), "Karim")
    karim.sync()
    other.sync(2)
    codes = {who: str(recovery.make_code(world.phones[who].device)["code"]) for who in ON_PAPER}
    world.settle(6)
    assert all(phone.here() for phone in world.phones.values())
    return world.image(), codes


class Household(Family):
    def __init__(self) -> None:
        super().__init__()
        self.usual = compacting.FEWEST_RECORDS, compacting.MOST_PATIENCE
        compacting.FEWEST_RECORDS, compacting.MOST_PATIENCE = SHORT, PATIENT  # type: ignore[misc]
        self.people: dict[str, str] = {}  # whose a phone is, where it is not the phone's name
        self.codes: dict[str, str] = {}
        self.lost = 0

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        note(f"world of seed {seed}")
        image, codes = large_family()
        self.world = World.of(image, seed)
        self.codes, self.people = dict(codes), {"karim2": "karim"}

    # --- helpers

    def no_lies(self) -> bool:
        return not self.world.network.worlds

    def whose(self, phone: str) -> str:
        return self.people.get(phone, phone)

    def may_be_cut(self, who: str, held: set[str]) -> None:
        """Somebody's device was put out by one who held this much: that stays, of the rest nobody promised anything."""
        words = self.words.get(who, [])
        self.words[who] = [(text, part if text in held or part.startswith("?") else f"?{part}") for text, part in words]

    def dying(self, phone: Phone, write: int, what: Callable[[], Any]) -> None:
        """Do something, or stop at that write of it (0: never)."""
        if not write:
            self.attempt(what)
        elif phone.crash_at(write, what):
            note(f"{phone.name} stopped at write {write}")

    # --- what people do

    @precondition(no_lies)
    @rule(write=st.integers(0, 30))
    def forget(self, write: int) -> None:
        nora = self.works("nora")
        if nora is not None:
            self.dying(nora, write, lambda: nora.case.forget("plan"))

    @rule(who=st.sampled_from(CIRCLE))
    def write_much(self, who: str) -> None:
        for _ in range(3):
            self.write(who)
            self.sync(who)

    @precondition(no_lies)
    @rule(who=st.sampled_from(("karim", "ali", "sam")), role=st.sampled_from(("member", "child", "owner")))
    def set_role(self, who: str, role: str) -> None:
        nora = self.works("nora")
        if nora is None or who.title() not in {person["name"] for person in nora.case.people()}:
            return
        held = self.held_of(nora, who)
        done = self.attempt(lambda: nora.case.set_role(who.title(), role))
        if role == "child":
            self.doubtful.add(who)  # what is written before hearing of it has no right any more
        if role == "child" and done:
            self.may_be_cut(who, held)

    @precondition(no_lies)
    @rule(
        who=st.sampled_from(NEW),
        what=st.sampled_from(("role", "remove")),
        about=st.sampled_from(("ali", "bea", "karim")),
    )
    def ask_the_owners(self, who: str, what: str, about: str) -> None:
        """Two owners at once, each with a question of their own; the last yes does it."""
        for phone in (self.works(who), self.works("nora")):
            if phone is not None:
                self.doubtful.add(about)
                self.attempt(
                    lambda p=phone: p.case.propose(what, about.title(), "member" if what == "role" else None)  # type: ignore[misc]
                )
                phone.sync()

    @precondition(no_lies)
    @rule(who=st.sampled_from((*NEW, "nora")))
    def agree(self, who: str) -> None:
        phone = self.works(who)
        if phone is not None:
            self.attempt(lambda: phone.case.approve())

    @precondition(no_lies)
    @rule(who=st.sampled_from(NEW), about=st.sampled_from(("karim", "sam", "fatima")), write=st.integers(0, 30))
    def another_owner_removes(self, who: str, about: str, write: int) -> None:
        phone = self.works(who)
        if phone is None or about.title() not in {person["name"] for person in phone.case.people()}:
            return
        self.doubtful.add(about)
        self.dying(phone, write, lambda: phone.case.remove(about.title()))

    @precondition(no_lies)
    @rule(who=st.sampled_from(("fatima", "karim", "sam")), write=st.integers(1, 40))
    def die_while_removing(self, who: str, write: int) -> None:
        nora = self.works("nora")
        if nora is not None and who.title() in {person["name"] for person in nora.case.people()}:
            self.doubtful.add(who)
            self.dying(nora, write, lambda: nora.case.remove(who.title()))

    @rule(days=st.sampled_from((1, 8, 15)))
    def time_passes(self, days: int) -> None:
        """Links end, and so do the locks of another day."""
        self.world.now += days * DAY

    # --- own devices and paper

    @precondition(no_lies)
    @rule(write=st.integers(0, 25))
    def add_an_own_device(self, write: int) -> None:
        karim = self.works("karim")
        if karim is None or "karim2" in self.world.phones or "karim" in self.world.network.offline:
            return
        links: list[str] = []
        self.attempt(lambda: links.append(add_device(karim.case)))
        if links:
            phone = self.world.phone("karim2")
            self.people["karim2"] = "karim"
            if not self.attempt(lambda: phone.device.join(links[0], "Karim")):
                del self.world.phones["karim2"]
                return
            self.dying(karim, write, karim.sync)
            phone.sync()

    @rule()
    def write_on_the_other_device(self) -> None:
        phone = self.writes("karim2")
        if phone is not None:
            phone.add(self.word("karim2", "plan"))

    @rule()
    def sync_the_other_device(self) -> None:
        phone = self.phone("karim2")
        if phone is not None:
            phone.sync()

    @precondition(no_lies)
    @rule(write=st.integers(0, 30))
    def put_the_other_device_out(self, write: int) -> None:
        karim, other = self.works("karim"), self.phone("karim2")
        if karim is None or other is None or not other.device.cases():
            return
        device = other.session.row.device
        if device is None or device not in karim.session.known().devices:
            return
        held = self.held_of(karim, "karim2")
        self.dying(karim, write, lambda: remove_device(karim.case, device.hex()))
        self.may_be_cut("karim2", held)

    @precondition(no_lies)
    @rule(who=st.sampled_from(ON_PAPER), write=st.integers(0, 40))
    def write_a_code(self, who: str, write: int) -> None:
        phone = self.works(who)
        if phone is not None:
            self.dying(
                phone,
                write,
                lambda: self.codes.update({who: recovery.make_code(phone.device, self.codes.get(who))["code"]}),
            )

    @precondition(no_lies)
    @rule(who=st.sampled_from(ON_PAPER), write=st.integers(0, 60))
    def come_back_by_paper(self, who: str, write: int) -> None:
        code, old = self.codes.get(who), self.phone(who)
        if code is None or old is None:
            return
        phone = self.world.phone("new phone")
        del self.world.phones["new phone"]
        found: dict[str, Any] = {}
        self.dying(phone, write, lambda: found.update(recovery.recover(phone.device, code, ADDRESS)))
        if not found:  # once more with the same paper, after whatever came between
            self.attempt(lambda: found.update(recovery.recover(phone.device, code, ADDRESS)))
        if not found or self.world.case_id not in found["cases"]:
            # Whether the old phone was put out nobody here knows.
            self.doubtful.add(who)
            self.codes.pop(who)
            return
        self.codes[who] = found["code"]
        self.lost += 1
        gone = f"{who} lost {self.lost}"
        self.people[gone] = who
        self.world.phones[gone], self.world.phones[who] = old, phone
        self.backups.pop(who, None)
        self.may_be_cut(who, self.held_of(phone, who))
        if who == "karim":
            self.may_be_cut("karim2", self.held_of(phone, "karim2"))

    @rule(which=st.integers(1, 3), who=st.sampled_from(ON_PAPER))
    def the_thief_writes(self, which: int, who: str) -> None:
        phone = self.phone(f"{who} lost {which}")
        if phone is not None and phone.device.cases() and phone.here() and phone.session.charter is not None:
            self.attempt(lambda: phone.add("stolen"))
            phone.sync()

    # --- readers who say something

    @rule(which=st.integers(0, 1))
    def a_reader_asks(self, which: int) -> None:
        reader = self.phone(f"reader{which}")
        if reader is not None:
            self.attempt(lambda: reader.device.say(reader.grant, "ask", "wie haalt op?"))
            reader.sync()

    @rule(who=st.sampled_from(CIRCLE))
    def take_what_was_said(self, who: str) -> None:
        phone = self.works(who)
        if phone is not None:
            waiting: list[dict[str, Any]] = []
            self.attempt(lambda: waiting.extend(incoming.incoming(phone.case)))
            for one in waiting[:1]:
                self.attempt(lambda one=one: incoming.take(phone.case, one["incoming"]))  # type: ignore[misc]

    # --- what members craft

    @precondition(no_lies)
    @rule(
        what=st.sampled_from(("actor", "skip", "seen", "cut", "epoch", "noise", "keys", "left out", "added", "entry")),
        who=st.sampled_from(("karim", "fatima")),
    )
    def craft(self, what: str, who: str) -> None:
        phone = self.writes(who)
        if phone is None:
            return
        world, one = self.world, Crafter(phone)
        with suppress(EigenkringError, CryptoError, AssertionError):
            changes = one.changes("forged", "forged again")
            match what:
                case "actor":
                    one.edit(one.changes("forged", actor=world.random(24)))
                case "skip":
                    one.edit(changes[1:])
                case "seen":  # before a snapshot's base nobody can check it: then it names her and blocks nobody
                    one.edit(one.changes("seen otherwise"), chain=world.random(32))
                case "cut":
                    one.edit([one.altered(changes[0], deps=())])
                case "epoch":
                    one.edit(changes, epoch=2**31)
                case "noise":
                    one.append(world.random(300))
                    one.append(one.sealed(world.random(300)))
                case "keys":
                    one.append(world.random(300), phone.session.row.keys_stream)
                case "left out":
                    _, all_changes, _ = phone.session.part("plan").fold.basis()
                    one.replace(one.snapshot(changes=all_changes[: len(all_changes) // 2]))
                case "added":
                    _, all_changes, _ = phone.session.part("plan").fold.basis()
                    one.replace(one.snapshot(changes=[*all_changes, *changes]))
                case _:
                    one.append(
                        one.sealed(world.random(200), phone.session.charter_stream), phone.session.charter_stream
                    )

    # --- what relays do

    @precondition(no_lies)
    @rule(rounds=st.integers(0, 3))
    def the_relay_is_put_back(self, rounds: int) -> None:
        """From a copy, and it says so. Everybody had heard of what the copy lacks: else only `adopt` helps."""
        world = self.world
        lies, offline = dict(world.network.lies), set(world.network.offline)
        world.network.honest()
        world.settle(6)
        old = world.relay.fork()
        nora = self.works("nora")
        for _ in range(rounds):
            if nora is not None:
                nora.add(self.word("nora", "plan"))
            world.settle(2)
        old.generation = world.relay.generation + 1
        world.network.relay = old
        world.settle(6)
        world.network.lies, world.network.offline = lies, offline

    # --- what must hold

    def teardown(self) -> None:
        compacting.FEWEST_RECORDS, compacting.MOST_PATIENCE = self.usual  # type: ignore[misc]
        self.world.now = max(self.world.now, NOON)
        super().teardown()
        for phone in self.world.phones.values():
            if phone.name in CIRCLE and phone.here():
                assert "forged" not in str(phone.documents())
                assert "stolen" not in str(phone.documents())

    def belongs(self, phone: str, here: set[str]) -> bool:
        one = self.world.phones[phone]
        if self.whose(phone) not in here or not one.device.cases():
            return False
        device = one.session.row.device
        known = None if device is None else self.world.phones["nora"].session.known().devices.get(device)
        return known is not None and known.here


def test_words_of_one_who_may_no_longer_read_them_leave() -> None:
    """Karim became a child while words of his waited: they arrive, and are not sent again at every sync."""
    world = family(5)
    world.settle()
    nora, karim = world.phones["nora"], world.phones["karim"]
    karim.add("Piet", "voice", "suggestions", "name")
    nora.case.set_role("Karim", "child")
    world.settle(6)
    voice = f"voice@{karim.person}"
    assert not karim.session.known().may_read(karim.session.me(), voice)
    assert not karim.store.outbox(karim.session.case)
    assert karim.codes() == []
    assert [item["name"] for item in nora.case.show(voice)["suggestions"].values()] == ["Piet"]


def test_a_few_households() -> None:
    """The same few in every run: what is new is for the long one to find."""
    run_state_machine_as_test(Household, settings=settings(CI, max_examples=4, stateful_step_count=20))


@pytest.mark.long
def test_thousands_of_households() -> None:
    run_state_machine_as_test(Household, settings=LONG)
