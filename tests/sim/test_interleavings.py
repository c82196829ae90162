"""Thousands of interleavings of what people do, what devices suffer and what relays tell; a long run has more, and longer ones.

Each begins with a family of its own, made from one image, and ends in what must hold. Nearly all are short, because the end
costs more than ten steps and two faults seldom need more than a few between them; some are long. A failure prints the
steps, the seed of the world and a blob to run it again.

What must hold, whatever the order: whoever may read a part shows the same document, and so does a device that reads all
of it from the beginning; nothing that a device kept is lost; nothing of a removed person enters after the cut; when the
relay is honest again everybody can work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from eigenkring.errors import EigenkringError
from eigenkring.session.case import LOCKS_OF_ANOTHER_DAY
from simulator import LIES, NOON, Phone, World, by_chance, family

CIRCLE = ("nora", "fatima", "karim")
BASE = (*CIRCLE, "sam")
NEW = ("ali", "bea")
EVERYBODY = BASE + NEW


class Family(RuleBasedStateMachine):
    # Of how many worlds one is also read by a fresh device, worked in once more, and joined by a newcomer.
    one_in = 1

    def __init__(self) -> None:
        super().__init__()
        self.world: World = family(0)
        self.made = 0
        # Words by author, and when they were written against the removal of that author.
        self.words: dict[str, list[tuple[str, str]]] = {}
        self.removed: dict[str, set[str]] = {}  # what the remover had of them
        self.doubtful: set[str] = set()  # a removal or leaving whose outcome nobody told
        self.after: dict[str, set[str]] = {}  # written after it
        self.backups: dict[str, tuple[bytes, int]] = {}
        self.grants: list[str] = []

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        note(f"world of seed {seed}")
        self.world = family(seed)

    # --- helpers

    def phone(self, who: str) -> Phone | None:
        return self.world.phones.get(who)

    def works(self, who: str) -> Phone | None:
        """The phone of somebody who believes to be in."""
        phone = self.phone(who)
        return phone if phone is not None and phone.here() and phone.session.charter is not None else None

    def writes(self, who: str) -> Phone | None:
        """The phone of somebody who believes to write the plan."""
        phone = self.works(who)
        return phone if phone is not None and phone.session.known().may_write(phone.session.me(), "plan") else None

    def attempt(self, what: Callable[[], Any]) -> bool:
        try:
            what()
        except EigenkringError as error:
            note(f"refused: {type(error).__name__} {error.code}")
            return False
        return True

    def word(self, who: str, part: str) -> str:
        self.made += 1
        text = f"w{self.made:03d}"
        self.words.setdefault(who, []).append((text, part))
        if who in self.removed:
            self.after.setdefault(who, set()).add(text)
        return text

    # --- what people do

    @rule(who=st.sampled_from(CIRCLE + NEW))
    def write(self, who: str) -> None:
        phone = self.writes(who)
        if phone is not None:
            phone.add(self.word(who, "plan"))

    @rule(who=st.sampled_from(CIRCLE))
    def write_into_a_text(self, who: str) -> None:
        phone = self.writes(who)
        items = {} if phone is None else phone.case.show("plan").get("agreements", {})
        if phone is not None and items:
            item = sorted(items)[0]
            before = items[item].get("what", "")
            phone.case.set("plan", f"agreements/{item}/what", f"{before} {self.word(who, 'plan')}")

    @rule(who=st.sampled_from(EVERYBODY))
    def write_in_an_own_part(self, who: str) -> None:
        phone = self.works(who)
        if phone is not None and phone.case.full_name("voice") in phone.session.known().parts:
            phone.add(self.word(who, "voice"), "voice", "questions", "text")

    @rule(who=st.sampled_from(EVERYBODY))
    def sync(self, who: str) -> None:
        phone = self.phone(who)
        if phone is not None:
            phone.sync()

    @rule(who=st.sampled_from(EVERYBODY))
    def go_offline_or_come_back(self, who: str) -> None:
        self.world.network.offline ^= {who}

    @precondition(lambda self: not self.world.network.worlds)
    @rule(who=st.sampled_from(NEW), role=st.sampled_from(["member", "child", "owner"]))
    def come_in(self, who: str, role: str) -> None:
        nora = self.works("nora")
        if nora is None or who in self.world.phones:
            return
        links: list[str] = []
        self.attempt(lambda: links.append(nora.case.invite(role, who.title())))
        if links:
            phone = self.world.phone(who)
            if not self.attempt(lambda: phone.device.join(links[0], who.title())):
                del self.world.phones[who]
                return
            nora.sync()
            phone.sync()

    @precondition(lambda self: not self.world.network.worlds)
    @rule(who=st.sampled_from(["fatima", "karim", "sam", "ali"]))
    def remove(self, who: str) -> None:
        nora = self.works("nora")
        if nora is None or who.title() not in {person["name"] for person in nora.case.people()}:
            return
        person = nora.case.person(who.title())
        held = self.held_of(nora, who)
        if nora.session.known().people[person].role == "owner":
            return  # needs the other's own word
        if self.attempt(lambda: nora.case.remove(who.title())):
            self.removed[who] = held
        else:
            self.doubtful.add(who)

    def held_of(self, phone: Phone, who: str) -> set[str]:
        shown = str(phone.documents())
        return {text for text, _ in self.words.get(who, []) if text in shown}

    @precondition(lambda self: not self.world.network.worlds)
    @rule(who=st.sampled_from(["fatima", "ali"]))
    def leave(self, who: str) -> None:
        phone = self.works(who)
        if phone is not None:
            self.attempt(phone.case.leave)
            self.doubtful.add(who)

    @precondition(lambda self: not self.world.network.worlds)
    @rule()
    def give_access(self) -> None:
        nora = self.works("nora")
        if nora is None or len(self.grants) > 1:
            return
        made: list[Any] = []
        selection = nora.case.selection(["plan"], [], [], [], [])
        self.attempt(lambda: made.append(nora.case.grant("De Wit", "meedenken", "2026-11-30", selection)))
        if made:
            reader = self.world.phone(f"reader{len(self.grants)}")
            self.attempt(lambda: setattr(reader, "grant", reader.device.accept(made[0].link, "De Wit").hex()))
            self.grants.append(made[0].grant.hex())

    @rule(which=st.integers(0, 1))
    def read_a_view(self, which: int) -> None:
        reader = self.phone(f"reader{which}")
        if reader is not None:
            reader.sync()

    @precondition(lambda self: not self.world.network.worlds)
    @rule(which=st.integers(0, 1))
    def withdraw(self, which: int) -> None:
        nora = self.works("nora")
        if nora is not None and which < len(self.grants):
            self.attempt(lambda: nora.case.withdraw(self.grants[which]))

    # --- what devices suffer

    @rule(who=st.sampled_from(EVERYBODY))
    def start_again(self, who: str) -> None:
        phone = self.phone(who)
        if phone is not None:
            phone.restart()

    @rule(who=st.sampled_from(EVERYBODY), write=st.integers(1, 40))
    def stop_while_syncing(self, who: str, write: int) -> None:
        phone = self.phone(who)
        if phone is not None:
            phone.crash_at(write, phone.sync)

    @rule(who=st.sampled_from(CIRCLE))
    def back_up(self, who: str) -> None:
        phone = self.phone(who)
        if phone is not None:
            self.backups[who] = (phone.backup(), len(self.words.get(who, [])))

    @rule(who=st.sampled_from(CIRCLE))
    def put_back(self, who: str) -> None:
        phone, kept = self.phone(who), self.backups.get(who)
        if phone is None or kept is None:
            return
        phone.put_back(kept[0])
        # What was written since and is on no relay went with the old store. Nobody promised more.
        mine = self.words.get(who, [])
        self.words[who] = [*mine[: kept[1]], *((text, f"?{part}") for text, part in mine[kept[1] :])]

    # --- what relays tell

    @rule(who=st.sampled_from((*EVERYBODY, "*")), lie=st.sampled_from(sorted(LIES)), often=st.sampled_from([0.2, 1.0]))
    def lie(self, who: str, lie: str, often: float) -> None:
        self.world.network.lies = {who: by_chance(LIES[lie], often)}

    @rule()
    def tell_the_truth(self) -> None:
        self.world.network.lies = {}

    @precondition(lambda self: not self.world.network.worlds)
    @rule(who=st.sampled_from(CIRCLE))
    def show_two_logs(self, who: str) -> None:
        # A fork of the charter itself needs `adopt`; here both see the same circle.
        self.world.network.honest()
        self.world.settle(5)
        self.world.network.worlds = {who: self.world.relay.fork()}

    @rule()
    def show_one_log(self) -> None:
        self.world.network.worlds = {}

    # --- what must hold

    def teardown(self) -> None:
        world = self.world
        world.network.honest()
        world.now = max(world.now, NOON) + 100
        world.settle(8)
        nora = world.phones["nora"]
        assert nora.here(), nora.alarms()
        charter = nora.session.known()
        here = {person.name.lower() for person in charter.present()}
        self.check_convergence(here)
        self.check_words(here)
        if self.thoroughly():
            self.check_fresh(here)
            self.check_work(here)

    def thoroughly(self) -> bool:
        """By the seed, so that a failure comes again. (Small seeds are chosen more often than large ones.)"""
        return self.world.seed % self.one_in == self.one_in - 1

    def check_work(self, here: set[str]) -> None:
        world = self.world
        nora = world.phones["nora"]
        # Everybody who belongs can work.
        writers = [who for who in sorted(here & set(CIRCLE)) if self.writes(who) is not None]
        for who in writers:
            world.phones[who].add(f"last of {who}")
        world.settle(4)
        for who in writers:
            assert any(f"last of {who}" in text for text in nora.texts()), who
        if world.seed % 4 == 3:
            assert world.join("eva").texts() == nora.texts()

    def check_convergence(self, here: set[str]) -> None:
        documents: dict[str, dict[str, Any]] = {}
        for name, phone in self.world.phones.items():
            if name.startswith("reader"):
                continue
            if not self.belongs(name, here):
                if phone.device.cases() and phone.session.charter is not None:
                    if phone.here():  # told that the relay was put back: it waits a week for the locks of before
                        self.world.now += LOCKS_OF_ANOTHER_DAY
                        phone.sync()
                    assert not phone.here(), f"{name} is out and does not know it"
                continue
            assert phone.here(), (name, phone.alarms())
            assert not phone.store.outbox(phone.session.case), (name, phone.alarms())
            for part, document in phone.documents().items():
                if not part.startswith(("diary", "access")):
                    documents.setdefault(part, {})[name] = document
        for part, by_name in documents.items():
            first = next(iter(by_name.values()))
            for name, document in by_name.items():
                assert document == first, (part, name, self.world.phones[name].alarms())

    def check_fresh(self, here: set[str]) -> None:
        # Who came back by paper belongs, with another phone.
        for name in [name for name in ("karim", "fatima") if name in here and self.belongs(name, here)][:1]:
            assert self.world.fresh(name).documents() == self.world.phones[name].documents()

    def belongs(self, phone: str, here: set[str]) -> bool:
        """Whether this device is in the case; ``here`` are the people who are."""
        return phone in here

    def check_words(self, here: set[str]) -> None:
        nora = self.world.phones["nora"]
        shown = str(nora.documents())
        for who, words in self.words.items():
            for text, part in words:
                if text in self.after.get(who, ()) and who not in here:
                    assert text not in shown, f"{text} of {who} came in after the removal"
                elif part.startswith("?"):
                    continue
                elif who in here and who not in self.removed and who not in self.doubtful:
                    assert text in shown, f"{text} of {who} is lost from {part}"
                elif text in self.removed.get(who, ()) and who not in self.doubtful:
                    assert text in shown, f"{text} of {who}, from before the removal, is lost"


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
CI = settings(max_examples=75, stateful_step_count=25, deadline=None, suppress_health_check=QUIET, print_blob=True)
# The same in every run of `make test`; twice as many, and others each time, in `make test-long`.
SHORT = settings(CI, max_examples=500 if CI.derandomize else 1_000, stateful_step_count=10)
LONG = settings(CI, max_examples=3_000, stateful_step_count=50, derandomize=False)


class OneHalf(Family):
    """Two of them, so that two cores share the work."""

    one_in = 8


class OtherHalf(OneHalf):
    """The other."""


class Longer(Family):
    """Of few the whole."""


OneHalf.TestCase.settings = OtherHalf.TestCase.settings = SHORT
Longer.TestCase.settings = CI
# A minute on a quiet machine.
_slow = pytest.mark.timeout(900)
TestOneHalf, TestOtherHalf, TestLonger = _slow(OneHalf.TestCase), _slow(OtherHalf.TestCase), _slow(Longer.TestCase)


@pytest.mark.long
def test_thousands_of_long_interleavings() -> None:
    run_state_machine_as_test(Family, settings=LONG)
