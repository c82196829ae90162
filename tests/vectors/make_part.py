"""Vectors of a part's fold: records in, verdicts and a document out. tests/unit/test_part_vectors.py runs them, and the app's tests.

A vector has `part` (stream, name, write_room, manage_room), `secrets` (S by epoch of the read room), `schema` (collection: field: type), `charters`
(plain data: what the fold asks of a charter) and `chains` (the stream's chain at these lengths; elsewhere it is not known). Then `steps`:

- `take`: `index` and `payload`, under the charter of that number;
- `refold`: everything taken so far (`from` that index on), under that charter;
- `own`: changes of the device itself, the moment they are made.

Every step but `own` has its `verdict`. At the end `out`: hashes of `admitted` (settled) and of `pending`, what is known of the `days` their
authors claim (of the admitted, in order), the highest of every actor as `newest`, and `document`.
"""

import itertools
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))
from part_world import (
    CHARTER,
    DAY,
    FAMILY,
    KIND,
    MANAGE_ROOM,
    ROOM,
    SCHEMA_TYPES,
    STREAM,
    Device,
    PlainCharter,
    Stream,
    charter,
    fixed,
    new_fold,
    secret_at,
    without,
)

from eigenkring.change import encode_change, parse_change
from eigenkring.columns import uleb
from eigenkring.crdt import Engine
from eigenkring.document import apply_intents, read
from eigenkring.part.attestation import sign_attestation
from eigenkring.part.author import actor_of, change_hash
from eigenkring.part.record import make_edit, make_snapshot_record, parse_record
from eigenkring.part.snapshot import pack_content
from eigenkring.part.verdict import Verdict
from eigenkring_crypto.sign import sign

Vector = dict[str, Any]
ADD = ["add", "agreements", "a1", {"what": "Oma haalt Sam op", "who": ["oma"]}]


class Scene:
    """Records what a reader is given, and runs it at once."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.charters: list[PlainCharter] = [CHARTER]
        self.steps: list[dict[str, Any]] = []
        self.taken: list[tuple[int, bytes]] = []
        self.unknown_below = 0
        self.reader_actor = actor_of(STREAM, fixed("device karim", 16), fixed("life karim", 8))
        self.fold = new_fold(lambda: Engine(self.reader_actor))
        self.nora = Device("nora", self.stream)
        self.fatima = Device("fatima", self.stream)

    def chain_at(self, length: int) -> bytes | None:
        return None if length < self.unknown_below else self.stream.chain_at(length)

    def take(self, payload: bytes | None = None, *, index: int | None = None) -> Verdict:
        """The stream's newest record, or this payload, which is appended first."""
        if payload is not None:
            self.stream.append(payload)
        at = self.stream.length if index is None else index
        record = (at, self.stream.payloads[at - 1])
        self.taken.append(record)
        verdict = self.fold.take(*record, self.chain_at, self.charters[-1])
        self._step({"do": "take", "index": at, "payload": record[1].hex()}, verdict)
        return verdict

    def refold(self, known: PlainCharter | None = None, *, first: int = 1) -> Verdict:
        if known is not None:
            self.charters.append(known)
        records = [record for record in self.taken if record[0] >= first]
        verdict = self.fold.refold(records, self.chain_at, self.charters[-1])
        self._step({"do": "refold", "from": first}, verdict)
        return verdict

    def own(self, changes: Sequence[bytes]) -> None:
        self.engine.apply(changes)
        self.fold.take_own(changes)
        self.steps.append({"do": "own", "changes": [raw.hex() for raw in changes]})

    @property
    def engine(self) -> Engine:
        assert isinstance(self.fold.engine, Engine)
        return self.fold.engine

    def _step(self, step: dict[str, Any], verdict: Verdict) -> None:
        self.steps.append(step | {"charter": len(self.charters) - 1, "verdict": plain_verdict(verdict)})

    def vector(self, about: str) -> Vector:
        assert not self.fold.alarm
        return {
            "kind": "fold",
            "about": about,
            "part": {"stream": STREAM.hex(), "name": "plan", "write_room": ROOM, "manage_room": MANAGE_ROOM},
            "secrets": {str(epoch): (secret_at(epoch) or b"").hex() for epoch in (1, 2)},
            "schema": SCHEMA_TYPES,
            "charters": [known.plain() for known in self.charters],
            "chains": {str(at): chain.hex() for at, chain in enumerate(self.stream.chains) if at >= self.unknown_below},
            "reader_actor": self.reader_actor.hex(),
            "steps": self.steps,
            "out": plain_fold(self.fold, self.engine),
        }


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "admitted": [made.hex() for made in verdict.admitted],
        "refused": [
            [no.code, None if no.device is None else no.device.hex(), None if no.change is None else no.change.hex()]
            for no in verdict.refused
        ],
        "waits": verdict.waits,
        "unchecked": verdict.unchecked,
        "set_aside": verdict.set_aside,
        "false_before_base": [device.hex() for device in verdict.false_before_base],
        "voided": [made.hex() for made in verdict.voided],
        "give_back": [payload.hex() for payload in verdict.give_back],
    }


def plain_fold(fold: Any, engine: Engine) -> dict[str, Any]:
    pending = [change_hash(raw) for raw in fold.pending()]
    return {
        "admitted": [made.hex() for made in fold.admitted_hashes() if made not in pending],
        "pending": [made.hex() for made in pending],
        "days": [entry.day for entry in fold.ledger.entries],
        "newest": {actor.hex(): [seq, made.hex()] for actor, (seq, made) in fold.newest_by_actor().items()},
        "document": read(engine, KIND),
    }


Scenario = Callable[[Scene], None]
SCENARIOS: list[Scenario] = []
FAILS: set[str] = set()


def good(scenario: Scenario) -> Scenario:
    SCENARIOS.append(scenario)
    return scenario


def bad(scenario: Scenario) -> Scenario:
    """At least one record or change is refused, or waits."""
    FAILS.add(scenario.__name__)
    return good(scenario)


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for scenario in SCENARIOS:
        scene = Scene()
        scenario(scene)
        verdicts = [step["verdict"] for step in scene.steps if "verdict" in step]
        failed = any(verdict["refused"] or verdict["waits"] for verdict in verdicts)
        if failed != (scenario.__name__ in FAILS) or scenario.__name__ in vectors:
            raise ValueError(f"{scenario.__name__}: {verdicts}")
        vectors[scenario.__name__] = scene.vector((scenario.__doc__ or "").strip())
    return vectors


# What is admitted


@good
def at_the_same_time(scene: Scene) -> None:
    """Two devices write at once in one text and one set; both are in the document."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    scene.fatima.pull()
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Opa haalt Sam op"])
    scene.nora.edit(
        ["set", ["agreements", "a1", "what"], "Oma haalt Sam op 😀"], ["set", ["agreements", "a1", "who"], ["opa"]]
    )
    scene.fatima.edit(["set", ["agreements", "a1", "who"], ["oma", "karim"]])
    for device in (scene.nora, scene.fatima):
        device.send()
        scene.take()


@good
def winner_of_a_conflict(scene: Scene) -> None:
    """Two devices set one scalar at once: the engine's winner, the same for everybody. A number that is whole is shown as such."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    scene.fatima.pull()
    scene.nora.edit(["set", ["agreements", "a1", "hours"], 2.5], ["set", ["agreements", "a1", "done"], False])
    scene.fatima.edit(["set", ["agreements", "a1", "hours"], 3.0], ["set", ["agreements", "a1", "done"], None])
    for device in (scene.nora, scene.fatima):
        device.send()
        scene.take()


@good
def what_no_schema_knows(scene: Scene) -> None:
    """A field and a collection of a newer version are shown and kept."""
    scene.nora.edit(ADD, ["set", ["agreements", "a1", "mood"], "blij"], ["add", "newer", "n1", {"a": "x", "b": 7}])
    scene.nora.send()
    scene.take()


@good
def given_twice(scene: Scene) -> None:
    """A record that comes again, under another record's bytes: passed over in silence."""
    scene.nora.edit(ADD)
    payload = scene.nora.send()
    scene.take()
    scene.take(payload)


@good
def another_life(scene: Scene) -> None:
    """A device whose store was restored writes on as another actor."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    again = Device("nora", scene.stream, " restored")
    again.pull()
    again.edit(["set", ["agreements", "a1", "what"], "Tante haalt Sam op"])
    again.send()
    scene.take()


@good
def many_changes_one_signature(scene: Scene) -> None:
    """The attestation names the newest change and covers the earlier ones; an item that was deleted is gone."""
    scene.nora.edit(ADD)
    scene.nora.edit(["splice", ["agreements", "a1", "what"], 0, 3, "Opa"])
    scene.nora.edit(["add", "topic", "topic", {"text": "weekend"}])
    scene.nora.edit(["delete", ["topic", "topic"]])
    scene.nora.edit(["delete", ["agreements", "a1", "who"]])
    scene.nora.send()
    scene.take()


@good
def newer_kind_of_record(scene: Scene) -> None:
    """A record of a newer version is set aside; what follows is folded."""
    scene.take(msgspec.msgpack.encode({"k": "poll", "body": b"?"}))
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()


@good
def newer_field_of_a_record(scene: Scene) -> None:
    """A key that this version does not know is passed over."""
    scene.nora.edit(ADD)
    record = msgspec.msgpack.decode(scene.nora.payload(scene.nora.unsent))
    scene.take(msgspec.msgpack.encode(record | {"later": [1, {"x": None}]}))


@good
def seen_before_base(scene: Scene) -> None:
    """What an author saw before base cannot be checked: admitted, and said."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.stream.append(b"noise")
    scene.unknown_below = 2
    scene.take(scene.nora.payload(parse_edit(scene, 1)))


@good
def falsely_seen_before_base(scene: Scene) -> None:
    """Who still knows the chain before base reports a false word, and gives the verdict of those who do not know."""
    scene.stream.append(b"noise")
    scene.stream.append(b"more")
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, length=1, chain=fixed("another chain")))


@good
def own_changes_settle(scene: Scene) -> None:
    """Own changes are shown at once, and settle in the stream's order."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    karim = Device("karim", scene.stream)
    karim.pull()
    made = karim.edit(["set", ["agreements", "a1", "what"], "Karim haalt Sam op"])
    later = karim.edit(["set", ["agreements", "a1", "day"], "2026-12-05"])
    scene.own(made)
    scene.own(later)
    scene.nora.edit(["set", ["agreements", "a1", "done"], True])
    scene.nora.send()
    scene.take()
    scene.take(karim.payload(made))


# The day an author claims decides nothing


@good
def no_day_claimed(scene: Scene) -> None:
    """Records without a day, as all were before there were days: nothing is claimed."""
    scene.stream.days = itertools.repeat(None)
    _some_edits(scene)
    for index in (1, 2, 3):
        scene.take(index=index)


@good
def days_that_cannot_be(scene: Scene) -> None:
    """The first day there is, the last that fits, none, and back again: all is admitted, in the stream's order."""
    scene.stream.days = iter([0, 2**32 - 1, None, DAY, 1])
    scene.nora.edit(ADD)
    scene.nora.send()
    for day in range(4):
        scene.nora.edit(["splice", ["agreements", "a1", "what"], 0, 0, f"{day} "])
        scene.nora.send()
    for index in range(1, 6):
        scene.take(index=index)


@good
def a_day_given_again(scene: Scene) -> None:
    """The same changes come again under another day: the first claim stays."""
    scene.stream.days = iter([DAY, DAY + 9])
    made = scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    scene.take(scene.nora.payload(made))


@good
def days_after_a_snapshot(scene: Scene) -> None:
    """A newcomer reads a snapshot: each author's newest change has its day, and no other has one."""
    scene.stream.days = iter([DAY, DAY + 1, DAY + 2, DAY + 3])
    _snapshot_of_three_and_an_edit(scene)


@good
def days_kept_over_a_snapshot(scene: Scene) -> None:
    """Who knew the days keeps them, also when all is folded again from the snapshot."""
    scene.stream.days = iter([DAY, None, DAY + 2])
    _some_edits(scene)
    for index in (1, 2, 3):
        scene.take(index=index)
    scene.nora.replace(scene.nora.snapshot())
    scene.take()
    scene.refold(first=4)


@bad
def day_altered(scene: Scene) -> None:
    """A day that was not signed: the day is among what is signed."""
    scene.nora.edit(ADD)
    raw = bytearray(scene.nora.payload(scene.nora.unsent))
    raw[raw.index(DAY.to_bytes(4, "big")) + 3] ^= 1
    scene.take(bytes(raw))


@bad
def day_taken_out(scene: Scene) -> None:
    """An attestation without the day that was signed with it."""
    scene.nora.edit(ADD)
    att = _attested(scene)
    scene.take(make_edit(att[:124] + att[128:], scene.nora.unsent))


@bad
def day_put_in(scene: Scene) -> None:
    """A day in an attestation that was signed without one."""
    scene.stream.days = itertools.repeat(None)
    scene.nora.edit(ADD)
    att = _attested(scene)
    scene.take(make_edit(att[:124] + DAY.to_bytes(4, "big") + att[124:], scene.nora.unsent))


@bad
def day_in_a_record_without(scene: Scene) -> None:
    """A record of the kind that claims no day, with one; each kind has one size."""
    scene.take(_edit_with(scene, k="edit"))


@bad
def no_day_in_a_record_with(scene: Scene) -> None:
    """A record of the kind that claims a day, without one."""
    scene.stream.days = itertools.repeat(None)
    scene.take(_edit_with(scene, k="dated"))


def _attested(scene: Scene) -> bytes:
    return parse_record(scene.nora.payload(scene.nora.unsent)).att.raw  # type: ignore[union-attr]


# Records that are refused


def parse_edit(scene: Scene, index: int) -> list[bytes]:
    record = parse_record(scene.stream.payloads[index - 1])
    return list(record.changes)  # type: ignore[union-attr]


def _edit_with(scene: Scene, **other: Any) -> bytes:
    scene.nora.edit(ADD)
    record = msgspec.msgpack.decode(scene.nora.payload(scene.nora.unsent)) | other
    return msgspec.msgpack.encode({key: value for key, value in record.items() if value is not ...})


@bad
def bytes_after_the_end(scene: Scene) -> None:
    """One byte too many: another decoder would read another record."""
    scene.take(_edit_with(scene) + b"\0")


@bad
def key_twice(scene: Scene) -> None:
    """A key given twice: one decoder takes the first, another the last."""
    raw = _edit_with(scene)
    scene.take(b"\x84\xa1k\xa4edit" + raw[1:])


@bad
def attestation_too_short(scene: Scene) -> None:
    """An attestation is 188 bytes."""
    scene.take(_edit_with(scene, k="edit", att=bytes(187)))


@bad
def attestation_of_neither_size(scene: Scene) -> None:
    """Half a day is none: 188 bytes, or 192."""
    scene.take(_edit_with(scene, att=bytes(190)))


@bad
def attestation_absent(scene: Scene) -> None:
    """A key that is needed is absent."""
    scene.take(_edit_with(scene, att=...))


@bad
def no_changes(scene: Scene) -> None:
    """An edit without changes says nothing and is refused."""
    scene.take(_edit_with(scene, changes=[]))


@bad
def too_many_changes(scene: Scene) -> None:
    """513 changes in one record."""
    scene.take(_edit_with(scene, changes=[b""] * 513))


@bad
def changes_of_a_wrong_type(scene: Scene) -> None:
    """A change is bytes, not text."""
    scene.take(_edit_with(scene, changes=["text"]))


@bad
def not_a_map(scene: Scene) -> None:
    """A payload that is no map."""
    scene.take(b"\x93\x01\x02\x03")


@bad
def altered_attestation(scene: Scene) -> None:
    """One bit of what was signed is another one: nobody is named, for nobody signed it."""
    scene.nora.edit(ADD)
    raw = bytearray(scene.nora.payload(scene.nora.unsent))
    raw[raw.index(scene.nora.device) + 19] ^= 1
    scene.take(bytes(raw))


@bad
def attested_for_another_part(scene: Scene) -> None:
    """A record of another part, put into this one: the stream is signed."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, stream=fixed("another stream", 16)))


@bad
def signed_by_another_device(scene: Scene) -> None:
    """Karim signs in Nora's name."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, key=Device("karim", scene.stream).key))


@bad
def stranger(scene: Scene) -> None:
    """A device that the charter never knew."""
    visitor = Device("visitor", scene.stream)
    visitor.edit(ADD)
    visitor.send()
    scene.take()


@bad
def ahead_of_the_charter(scene: Scene) -> None:
    """A device joined with an entry that was not read yet: its record waits, also its name is not known. Folded anew it is admitted."""
    newcomer = Device("lotte", scene.stream, known=charter(*FAMILY, "lotte", n=5))
    newcomer.edit(ADD)
    newcomer.send()
    scene.take()
    newcomer.edit(["set", ["agreements", "a1", "what"], "Lotte haalt Sam op"])
    newcomer.send()
    scene.take()
    scene.refold(charter(*FAMILY, "lotte", n=5))


@bad
def became_a_writer_later(scene: Scene) -> None:
    """Not a writer in that epoch; a longer charter says the device became one within it: rights only grow."""
    writer = charter(*FAMILY)
    scene.charters[0] = msgspec.structs.replace(writer, wrote=writer.wrote - {(scene.nora.device, 1)})
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    scene.refold(charter(*FAMILY, n=5))


@bad
def epoch_of_another_time(scene: Scene) -> None:
    """At that head the room had another epoch."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, epoch=2))


@bad
def writes_after_the_turn(scene: Scene) -> None:
    """Fatima was taken out with entry 8 and attests the new epoch, in which she is no writer."""
    scene.charters[0] = without("fatima", [])
    scene.fatima.edit(ADD)
    scene.take(scene.fatima.payload(scene.fatima.unsent, epoch=2, head=fixed("head 8")))


@bad
def saw_itself(scene: Scene) -> None:
    """A record cannot have seen its own place in the stream."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, length=1))


@bad
def saw_the_future(scene: Scene) -> None:
    """A length beyond the record's own place, of which nobody knows the chain."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, length=9))


@bad
def saw_more_than_numbers_hold(scene: Scene) -> None:
    """A length that JavaScript cannot hold as a number is beyond the record's place all the same."""
    scene.nora.edit(ADD)
    scene.take(scene.nora.payload(scene.nora.unsent, length=2**64 - 1))


@bad
def saw_another_stream(scene: Scene) -> None:
    """The relay showed Nora another stream, or she lies: her word about record 1 is false, and it is known whose word it is."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    scene.fatima.edit(["add", "topic", "topic", {"text": "x"}])
    scene.take(scene.fatima.payload(scene.fatima.unsent, length=1, chain=fixed("another chain")))


# Changes that are refused


@bad
def another_ones_actor(scene: Scene) -> None:
    """Fatima writes as Nora's actor, well formed, under her own attestation."""
    forger = Engine(scene.nora.actor)
    changes = apply_intents(forger, KIND, [ADD])
    scene.take(scene.fatima.payload(changes))
    scene.nora.edit(["add", "topic", "topic", {"text": "Nora zelf"}])
    scene.nora.send()
    scene.take()


@bad
def an_actor_of_nobody(scene: Scene) -> None:
    """An actor whose first sixteen bytes are of no device."""
    changes = apply_intents(Engine(bytes(24)), KIND, [ADD])
    scene.take(scene.nora.payload(changes))


@bad
def not_signed_for(scene: Scene) -> None:
    """A change of Nora's that her attestation does not reach, put beside it by who may append: refused, and laid at nobody's door."""
    first = scene.nora.edit(ADD)
    second = scene.nora.edit(["set", ["agreements", "a1", "what"], "Vals"])
    att = parse_record(scene.nora.payload(first)).att.raw  # type: ignore[union-attr]
    scene.take(make_edit(att, [*first, *second]))


@bad
def signature_over_an_old_change(scene: Scene) -> None:
    """The attested change is in an earlier record: it covers nothing new."""
    first = scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    second = scene.nora.edit(["set", ["agreements", "a1", "what"], "Vals"])
    att = parse_record(scene.nora.payload(first)).att.raw  # type: ignore[union-attr]
    scene.take(make_edit(att, second))


@bad
def before_what_it_stands_on(scene: Scene) -> None:
    """The second change without the first: refused at this place, and admitted at the place where both come."""
    first = scene.nora.edit(ADD)
    second = scene.nora.edit(["set", ["agreements", "a1", "what"], "Opa"])
    scene.take(scene.nora.payload(second))
    scene.take(scene.nora.payload([*first, *second]))


@bad
def skipped_sequence(scene: Scene) -> None:
    """A sequence that skips one hangs an engine; it does not get there, nor does what stands on it."""
    (first,) = scene.nora.edit(ADD)
    (second,) = scene.nora.edit(["set", ["agreements", "a1", "what"], "Opa"])
    skipped = encode_change(msgspec.structs.replace(parse_change(second), seq=3))
    scene.take(scene.nora.payload([first, skipped]))


@bad
def two_variants(scene: Scene) -> None:
    """Nora signs two different second changes: the first in the stream stands, the second names her."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    twin = Device("nora", scene.stream)
    twin.pull()
    scene.nora.edit(["set", ["agreements", "a1", "what"], "Eerst"])
    twin.edit(["set", ["agreements", "a1", "what"], "Daarna"])
    twin.edit(["set", ["agreements", "a1", "done"], True])
    scene.nora.send()
    scene.take()
    twin.send()
    scene.take()


@bad
def two_chunks_in_one(scene: Scene) -> None:
    """Two changes glued into one: one engine would apply both. Its bytes are refused, so no hash is given."""
    scene.nora.edit(ADD)
    scene.nora.edit(["set", ["agreements", "a1", "what"], "Opa"])
    glued = b"".join(scene.nora.unsent)
    att = parse_record(scene.nora.payload(scene.nora.unsent)).att.raw  # type: ignore[union-attr]
    scene.take(make_edit(att, [glued]))


@bad
def good_beside_bad(scene: Scene) -> None:
    """The attested change breaks a rule of the door; what it stands on is vouched for by it all the same, and stands."""
    (first,) = scene.nora.edit(ADD)
    (second,) = scene.nora.edit(["set", ["agreements", "a1", "what"], "Opa"])
    worse = encode_change(msgspec.structs.replace(parse_change(second), start_op=900))
    scene.take(scene.nora.payload([first, worse]))


@bad
def unreadable_newest(scene: Scene) -> None:
    """The attested change cannot be read, so nothing shows what it stands on: nothing is covered."""
    (first,) = scene.nora.edit(ADD)
    att = sign_attestation(
        scene.nora.key, STREAM, device=scene.nora.device, epoch=1, head=fixed("head 4"), length=0,
        chain=scene.stream.chains[0], newest=change_hash(first[:-1]),
    )  # fmt: skip
    scene.take(make_edit(att, [first, first[:-1]]))


# Cuts


def _cut_fatima(scene: Scene) -> None:
    """Fatima's first change is known to Nora when she takes Fatima out."""
    scene.fatima.edit(ADD)
    scene.fatima.send()
    scene.take()
    scene.nora.pull()


@bad
def backdated_after_removal(scene: Scene) -> None:
    """Fatima was taken out; with her old keys she attests the ended epoch. The cut voids what the remover had not admitted."""
    _cut_fatima(scene)
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Later geschreven"])
    scene.charters.append(without("fatima", [scene.nora]))
    scene.fatima.send()
    scene.take()


@bad
def cut_through_a_record(scene: Scene) -> None:
    """Two changes in one record, and the cut between them: folded anew, the second is void, and what others built on it."""
    _cut_fatima(scene)
    cut = without("fatima", [scene.nora])
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Nog iets"])
    scene.fatima.edit(["set", ["agreements", "a1", "done"], True])
    scene.fatima.send()
    scene.take()
    scene.nora.pull()
    scene.nora.edit(["set", ["agreements", "a1", "what"], "Nog iets, en meer"])
    scene.nora.send()
    scene.take()
    scene.refold(cut)


@bad
def variant_at_the_cut(scene: Scene) -> None:
    """The cut marks one of two variants: the other one is void although it comes first."""
    other = Device("fatima", scene.stream)
    other.edit(["add", "agreements", "a1", {"what": "Andere versie"}])
    scene.fatima.edit(ADD)
    remover = Device("nora", scene.stream, " remover")
    known = Stream()
    known.append(scene.fatima.payload(scene.fatima.unsent))
    remover.stream = known
    remover.pull()
    scene.charters.append(without("fatima", [remover]))
    other.send()
    scene.take()
    scene.fatima.send()
    scene.take()


@bad
def actor_that_no_cut_names(scene: Scene) -> None:
    """A departed device appears with an actor that the remover never saw."""
    _cut_fatima(scene)
    scene.charters.append(without("fatima", [scene.nora]))
    again = Device("fatima", scene.stream, " hidden")
    again.edit(["add", "topic", "topic", {"text": "x"}])
    again.send()
    scene.take()


@good
def belongs_again(scene: Scene) -> None:
    """After the cut the device belongs again and attests the new epoch: what was void under the old one is vouched for anew."""
    _cut_fatima(scene)
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Later geschreven"])
    scene.charters.append(without("fatima", [scene.nora], wrote_later=True))
    scene.take(scene.fatima.payload(scene.fatima.unsent, epoch=2, head=fixed("head 8")))


@bad
def no_secret_for_the_cut(scene: Scene) -> None:
    """Without the S that made the marks nothing of that device is admitted: no is the answer that lets nobody in."""
    _cut_fatima(scene)
    cut = without("fatima", [scene.nora])
    (line,) = cut.part_cuts
    scene.refold(msgspec.structs.replace(cut, part_cuts=(msgspec.structs.replace(line, read_epoch=7),)))


# Snapshots


def _some_edits(scene: Scene) -> None:
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.fatima.pull()
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Opa haalt Sam op"])
    scene.fatima.send()
    scene.nora.pull()
    scene.nora.edit(["set", ["agreements", "a1", "who"], ["opa"]])
    scene.nora.send()
    for device in (scene.nora, scene.fatima):
        device.pull()


def _snapshot_of_three_and_an_edit(scene: Scene) -> None:
    """Of who was not there before it: nothing below the snapshot is known."""
    _some_edits(scene)
    scene.nora.replace(scene.nora.snapshot())
    scene.unknown_below = 3
    scene.take()
    scene.fatima.pull()
    scene.fatima.edit(["set", ["agreements", "a1", "done"], True])
    scene.fatima.send()
    scene.take()


@good
def snapshot_for_a_newcomer(scene: Scene) -> None:
    """A newcomer reads one record in the place of three, and an edit after it."""
    _snapshot_of_three_and_an_edit(scene)


@good
def snapshot_for_who_had_everything(scene: Scene) -> None:
    """A device that has all of it takes the snapshot: nothing is lost, nothing comes."""
    _some_edits(scene)
    for index in (1, 2, 3):
        scene.take(index=index)
    scene.nora.replace(scene.nora.snapshot())
    scene.take()


@good
def snapshot_that_leaves_out(scene: Scene) -> None:
    """A snapshot leaves Fatima's change out: state follows it, and who held more gives it back under her own attestation."""
    _some_edits(scene)
    for index in (1, 2, 3):
        scene.take(index=index)
    _, changes, _ = scene.nora.fold.basis()
    mine = [raw for raw in changes if parse_change(raw).actor == scene.nora.actor]
    att = parse_record(scene.stream.payloads[0]).att.raw  # type: ignore[union-attr]
    scene.nora.replace(scene.nora.snapshot(atts=[att], changes=mine[:1]))
    verdict = scene.take()
    for payload in verdict.give_back:
        scene.take(payload)


def _of_another_who_manages(scene: Scene) -> None:
    """Fatima alone writes; Nora's device manages the stream."""
    alone = frozenset((scene.fatima.device, epoch) for epoch in (1, 2))
    known = msgspec.structs.replace(CHARTER, wrote=alone, managed=frozenset({scene.nora.device}))
    scene.charters = [known]
    for device in (scene.nora, scene.fatima):
        device.charter = known
    scene.fatima.edit(ADD)
    scene.fatima.send()
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Opa haalt Sam op"])
    scene.fatima.send()
    scene.nora.pull()


def _first_only(scene: Scene) -> bytes:
    _, changes, _ = scene.nora.fold.basis()
    att = parse_record(scene.stream.payloads[0]).att.raw  # type: ignore[union-attr]
    return scene.nora.snapshot(atts=[att], changes=changes[:1])


@good
def snapshot_by_who_manages(scene: Scene) -> None:
    """Who manages what another one writes makes the snapshot: every change is that other one's still."""
    _of_another_who_manages(scene)
    for index in (1, 2):
        scene.take(index=index)
    scene.nora.replace(scene.nora.snapshot())
    scene.take()
    scene.fatima.pull()
    scene.fatima.edit(["set", ["agreements", "a1", "done"], True])
    scene.fatima.send()
    scene.take()


@bad
def snapshot_by_who_manages_that_leaves_out(scene: Scene) -> None:
    """It lacks a change that was read here: it does not stand, and nothing of the person's is gone."""
    _of_another_who_manages(scene)
    for index in (1, 2):
        scene.take(index=index)
    scene.nora.replace(_first_only(scene))
    scene.take()


@good
def snapshot_by_who_manages_given_back(scene: Scene) -> None:
    """A newcomer reads a snapshot that leaves out, and what the writer's device gives back after it."""
    _of_another_who_manages(scene)
    given = scene.stream.payloads[1]
    scene.nora.replace(_first_only(scene))
    scene.unknown_below = 2
    scene.take()
    scene.take(given)


@bad
def snapshot_by_who_only_reads(scene: Scene) -> None:
    """Karim neither writes nor manages."""
    _of_another_who_manages(scene)
    for index in (1, 2):
        scene.take(index=index)
    karim = Device("karim", scene.stream, known=scene.nora.charter)
    karim.pull()
    scene.nora.replace(karim.snapshot())
    scene.take()


@bad
def snapshot_by_who_managed_of_another_epoch(scene: Scene) -> None:
    """At that head the room that writes had another epoch."""
    _of_another_who_manages(scene)
    scene.take(index=1)
    scene.nora.replace(_changed_body(scene, epoch=2))
    scene.take()


@bad
def snapshot_of_a_cut_record(scene: Scene) -> None:
    """An attestation whose newest change is void still vouches, through a witness, for what was admitted."""
    _cut_fatima(scene)
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Nog iets"])
    payload = scene.fatima.payload([*parse_edit(scene, 1), *scene.fatima.unsent])
    cut = without("fatima", [scene.nora])
    reader = Device("nora", Stream(), " reader")
    reader.stream.append(payload)
    reader.charter = cut
    reader.pull()
    scene.stream = reader.stream
    scene.taken = []
    scene.fold = new_fold(lambda: Engine(scene.reader_actor))
    scene.steps = []
    scene.charters = [cut]
    reader.replace(reader.snapshot())
    scene.unknown_below = 1
    scene.take()
    scene.take(payload)


@bad
def cut_after_the_snapshot(scene: Scene) -> None:
    """A cut that comes later voids within a snapshot as it does within records; the rest stands."""
    _cut_fatima(scene)
    cut = without("fatima", [scene.nora])
    scene.fatima.edit(["set", ["agreements", "a1", "what"], "Nog iets"])
    scene.fatima.send()
    scene.nora.pull()
    scene.nora.edit(["add", "topic", "topic", {"text": "van Nora"}])
    scene.nora.send()
    scene.nora.pull()
    scene.nora.replace(scene.nora.snapshot())
    scene.take()
    scene.refold(cut, first=4)


def _changed_body(scene: Scene, key: Any = None, **other: Any) -> bytes:
    record = parse_record(scene.nora.snapshot())
    body = msgspec.msgpack.encode(msgspec.msgpack.decode(record.body) | other)  # type: ignore[union-attr]
    return make_snapshot_record(body, sign(key or scene.nora.key, "snapshot", STREAM, body))


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _bad_snapshot(name: str, about: str, payload: Callable[[Scene], bytes]) -> None:
    def scenario(scene: Scene) -> None:
        _some_edits(scene)
        for index in (1, 2, 3):
            scene.take(index=index)
        scene.nora.replace(payload(scene))
        scene.take()

    scenario.__name__, scenario.__doc__ = name, about
    bad(scenario)


def _content(scene: Scene) -> bytes:
    _, changes, witnesses = scene.nora.fold.basis()
    return pack_content(changes, witnesses)


_bad_snapshot(
    "snapshot_signed_by_another", "Karim signs in Nora's name; nobody is named.",
    lambda scene: _changed_body(scene, Device("karim", scene.stream).key),
)  # fmt: skip
_bad_snapshot(
    "snapshot_of_another_length",
    "It says it covers two records and lies at place 4.",
    lambda s: _changed_body(s, n=2, chain=s.stream.chains[2]),
)
_bad_snapshot(
    "snapshot_of_another_stream", "Its chain is not the stream's: the relay showed its maker other records.",
    lambda scene: _changed_body(scene, chain=fixed("another chain")),
)  # fmt: skip
_bad_snapshot(
    "snapshot_with_more_after_it", "Bytes after the deflated piece: one inflater passes over them.",
    lambda scene: _changed_body(scene, content=_deflated(_content(scene)) + b"\0"),
)  # fmt: skip
_bad_snapshot(
    "snapshot_that_ends_early", "The deflated piece has no end.",
    lambda scene: _changed_body(scene, content=_deflated(_content(scene))[:-1]),
)  # fmt: skip
_bad_snapshot(
    "snapshot_with_a_tail", "Bytes after the last witness, inside.",
    lambda scene: _changed_body(scene, content=_deflated(_content(scene) + b"\0")),
)  # fmt: skip
_bad_snapshot(
    "snapshot_that_points_at_itself", "A distance of nought.",
    lambda scene: _changed_body(scene, content=_deflated(uleb(1) + uleb(1) + uleb(0) + uleb(3) + b"abc" + uleb(0))),
)  # fmt: skip
_bad_snapshot(
    "snapshot_that_points_before_all", "The first change has a dependency.",
    lambda scene: _changed_body(scene, content=_deflated(uleb(1) + uleb(1) + uleb(1) + uleb(3) + b"abc" + uleb(0))),
)  # fmt: skip
_bad_snapshot(
    "snapshot_of_a_million_nothings", "It counts more changes than it has bytes.",
    lambda scene: _changed_body(scene, content=_deflated(uleb(1_000_000) + bytes(12))),
)  # fmt: skip
_bad_snapshot(
    "snapshot_without_attestations",
    "Nothing in it is signed by its authors: nothing is admitted.",
    lambda s: _changed_body(s, atts=[]),
)
_bad_snapshot(
    "snapshot_with_an_altered_attestation", "Nora's attestation does not hold; Fatima's words stood on Nora's and fall with them.",
    lambda scene: _changed_body(scene, atts=[a if scene.nora.device not in a else a[:-1] + bytes([a[-1] ^ 1]) for a in scene.nora.fold.basis()[0]]),
)  # fmt: skip
_bad_snapshot(
    "snapshot_with_an_attestation_of_another_size", "An attestation has one of two sizes.",
    lambda scene: _changed_body(scene, atts=[a[:124] + a[126:] for a in scene.nora.fold.basis()[0]]),
)  # fmt: skip
_bad_snapshot(
    "snapshot_with_another_ones_words", "Nora adds a change in Fatima's name that Fatima never signed.",
    lambda scene: scene.nora.snapshot(changes=[*scene.nora.fold.basis()[1], *apply_intents(_as_fatima(scene), KIND, [["set", ["agreements", "a1", "what"], "Vals"]])]),
)  # fmt: skip
_bad_snapshot(
    "snapshot_in_a_wrong_order", "A change cannot be written before what it stands on; without its dependency it is another change, for which nobody signed.",
    lambda scene: _changed_body(scene, content=_deflated(_no_deps(scene.nora.fold.basis()[1]))),
)  # fmt: skip
_bad_snapshot(
    "snapshot_attested_ahead_of_the_charter", "One attestation in it names an entry that was not read: all of it waits.",
    lambda scene: _changed_body(scene, atts=[*scene.nora.fold.basis()[0], _fatima_ahead(scene)]),
)  # fmt: skip
_bad_snapshot(
    "snapshot_ahead_of_the_charter",
    "Its maker knew more of the charter: it waits.",
    lambda s: _changed_body(s, head=fixed("head 5")),
)
_bad_snapshot(
    "snapshot_of_another_epoch", "At that head the room had another epoch.", lambda s: _changed_body(s, epoch=2)
)
_bad_snapshot(
    "snapshot_of_a_stranger", "Its maker is no device of the case.", lambda s: _changed_body(s, by=fixed("nobody", 16))
)
_bad_snapshot("snapshot_key_twice", "A key of its body twice.", lambda s: _key_twice(s))


def _key_twice(scene: Scene) -> bytes:
    body = parse_record(scene.nora.snapshot()).body  # type: ignore[union-attr]
    body = b"\x88\xa1n\x03" + body[1:]
    return make_snapshot_record(body, sign(scene.nora.key, "snapshot", STREAM, body))


def _as_fatima(scene: Scene) -> Engine:
    engine = Engine(scene.fatima.actor)
    engine.apply(scene.nora.fold.admitted())
    return engine


def _no_deps(changes: Sequence[bytes]) -> bytes:
    first = pack_content(changes[:1])[1:-1]
    rest = changes[1][changes[1].index(parse_change(changes[1]).actor) - 1 :]
    return uleb(2) + uleb(0) + uleb(len(rest)) + rest + first + uleb(0)


def _fatima_ahead(scene: Scene) -> bytes:
    return sign_attestation(
        scene.fatima.key, STREAM, device=scene.fatima.device, epoch=1, head=fixed("head 5"), length=0,
        chain=scene.stream.chains[0], newest=fixed("a change"),
    )  # fmt: skip


@bad
def old_snapshot_by_who_left(scene: Scene) -> None:
    """A removed device and the relay put an old snapshot behind a record of the new epoch, to hide what came since."""
    _some_edits(scene)
    old = charter(*FAMILY, n=8)
    for index in (1, 2, 3):
        scene.take(index=index)
    scene.charters.append(old)
    scene.nora.charter = old
    scene.nora.edit(["set", ["agreements", "a1", "done"], True])
    scene.nora.send()
    scene.take()
    scene.take(scene.fatima.snapshot())


# A copy of one's own store


@bad
def copy_of_the_store(scene: Scene) -> None:
    """A copy of this store wrote as the same actor and was first: the own unsettled changes fall, to be made again."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    karim, copy = Device("karim", scene.stream), Device("karim", scene.stream)
    for device in (karim, copy):
        device.pull()
    scene.own(karim.edit(["set", ["agreements", "a1", "what"], "Van hier"]))
    scene.own(karim.edit(["set", ["agreements", "a1", "done"], True]))
    copy.edit(["set", ["agreements", "a1", "what"], "Van de kopie"])
    copy.send()
    scene.take()


@bad
def stands_on_what_nobody_has(scene: Scene) -> None:
    """A change that stands on an unsettled own change of the reader: for everybody else it hangs in the air, so for the reader too."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    karim = Device("karim", scene.stream)
    karim.pull()
    made = karim.edit(["set", ["agreements", "a1", "what"], "Van Karim"])
    scene.own(made)
    scene.nora.pull()
    scene.nora.engine.apply(made)
    changes = apply_intents(scene.nora.engine, KIND, [["set", ["agreements", "a1", "done"], True]])
    scene.take(scene.nora.payload(changes))
    scene.take(karim.payload(made))


@bad
def own_change_behind_the_cut(scene: Scene) -> None:
    """The reader was taken out while its change was under way: refused when it comes, with what stood on it."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.take()
    karim = Device("karim", scene.stream)
    karim.pull()
    first = karim.edit(["set", ["agreements", "a1", "what"], "Van Karim"])
    second = karim.edit(["set", ["agreements", "a1", "done"], True])
    scene.own(first)
    scene.own(second)
    scene.charters.append(without("karim", [scene.nora]))
    scene.take(karim.payload(first))


@bad
def forged_beside_an_own_change(scene: Scene) -> None:
    """Fatima writes as the reader's own actor while the reader's change is under way: refused, and the own change stays."""
    karim = Device("karim", scene.stream)
    made = karim.edit(["add", "topic", "topic", {"text": "Van Karim"}])
    scene.own(made)
    forged = apply_intents(Engine(karim.actor), KIND, [ADD])
    scene.take(scene.fatima.payload(forged))
    scene.take(karim.payload(made))


@bad
def own_change_beside_anothers_signature(scene: Scene) -> None:
    """Fatima puts the reader's change under her own attestation, and half of the reader's record under the reader's, before the
    reader's own record is in the stream: refused there, unsettled still, and admitted at its own place."""
    karim = Device("karim", scene.stream)
    first = karim.edit(["add", "topic", "topic", {"text": "Van Karim"}])
    second = karim.edit(["set", ["topic", "topic", "text"], "Van Karim zelf"])
    scene.own([*first, *second])
    scene.take(scene.fatima.payload(first))
    record = karim.payload([*first, *second])
    scene.take(make_edit(parse_record(record).att.raw, second))  # type: ignore[union-attr]
    scene.take(record)


@bad
def built_on_by_the_innocent(scene: Scene) -> None:
    """Nora's change beside Fatima's attestation, whose own change stands on it: refused there, and not laid at Fatima's door."""
    scene.nora.edit(ADD)
    scene.nora.send()
    scene.fatima.pull()
    second = scene.fatima.edit(["set", ["agreements", "a1", "what"], "Opa haalt Sam op"])
    att = parse_record(scene.fatima.payload(second, length=0, chain=scene.stream.chains[0])).att.raw  # type: ignore[union-attr]
    other = make_edit(att, [*parse_edit(scene, 1), *second])
    scene.stream.payloads, scene.stream.chains = [], scene.stream.chains[:1]
    scene.take(other)
