"""Whatever order a relay gives, whoever is offline and whoever lies: everybody folds the same part."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eigenkring_crypto.sign import sign

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors"))

from part_world import CHARTER, FAMILY, KIND, STREAM, Device, Stream, charter, fixed, new_fold, without

from eigenkring.change import Change, encode_change, parse_change
from eigenkring.columns import uleb
from eigenkring.crdt import Engine
from eigenkring.document import apply_intents
from eigenkring.errors import EngineFailed, Inadmissible
from eigenkring.operation import Op
from eigenkring.part import snapshot as snapshots
from eigenkring.part.attestation import Attestation
from eigenkring.part.author import actor_of, change_hash, make_edit_records
from eigenkring.part.cache import dump_fold, load_fold
from eigenkring.part.coverage import covers_of
from eigenkring.part.fold import PartFold
from eigenkring.part.history import history
from eigenkring.part.ledger import Source
from eigenkring.part.record import Snapshot, make_edit, make_snapshot_record, parse_record
from eigenkring.part.rights import Rights
from eigenkring.part.standing import is_outdated

ADD = ["add", "agreements", "a1", {"what": "Oma haalt Sam op"}]
WHAT = ["agreements", "a1", "what"]


def family(stream: Stream) -> list[Device]:
    return [Device(name, stream) for name in FAMILY]


def settled(device: Device) -> set[bytes]:
    return {entry.hash for entry in device.fold.ledger.entries}


def codes(device: Device) -> list[str]:
    return [no.code for verdict in device.pull() for no in verdict.refused]


# --- many devices, any order


ACTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(
            ["text", "set", "scalar", "item", "delete", "send", "pull", "half", "refold", "restore", "snapshot"]
        ),
        st.integers(0, 5),
    ),
    max_size=40,
)


def act(device: Device, what: str, at: int) -> None:
    item = f"a{at % 3}"
    there = item in device.document()["agreements"]
    if what == "item" and not there:
        device.edit(["add", "agreements", item, {"what": device.name}])
    elif what == "text" and there:
        text = device.document()["agreements"][item]["what"]
        device.edit(
            ["set", ["agreements", item, "what"], text[: at * 2] + device.name[at % 4] + text[at * 2 + at % 2 :]]
        )
    elif what == "set" and there:
        device.edit(["set", ["agreements", item, "who"], [device.name, str(at)]])
    elif what == "scalar" and there:
        device.edit(["set", ["agreements", item, "hours"], at])
    elif what == "delete" and there and at == 0:
        device.edit(["delete", ["agreements", item]])
    elif what == "send" and device.unsent:
        device.send()
    elif what == "pull":
        device.pull()
    elif what == "half":
        device.pull(device.read_to + at)
    elif what == "refold":
        device.refold()
    elif what == "restore":
        revived = Device(device.name, device.stream)
        assert load_fold(revived.fold, dump_fold(device.fold), Engine.load(device.engine.save(), device.actor))
        device.fold = revived.fold
    elif what == "snapshot" and not device.unsent:
        device.pull()
        device.replace(device.snapshot())


@settings(max_examples=80)
@given(ACTS)
def test_everybody_folds_the_same_part(acts: list[tuple[int, str, int]]) -> None:
    stream = Stream()
    devices = family(stream)
    for who, what, at in acts:
        act(devices[who], what, at)
    for device in devices:
        device.pull()
        if device.unsent:
            device.send()
    for device in devices:
        assert codes(device) == []
    newcomer = Device("nora", stream, " newcomer")
    newcomer.pull()
    for device in devices:
        assert device.fold.pending() == [] and not device.fold.alarm
        assert device.document() == newcomer.document()
        assert settled(device) == settled(newcomer)
        assert device.fold.door.heads() == tuple(device.engine.heads())
        assert device.fold.newest_by_actor() == newcomer.fold.newest_by_actor()
        before, order = device.document(), device.fold.admitted()
        verdict = device.refold()
        assert verdict.voided == [] and verdict.refused == [] and device.document() == before
        assert set(device.fold.admitted()) == set(order)


# --- and somebody lies


MALICE = st.lists(
    st.tuples(
        st.sampled_from(
            ["forge", "skip", "uncovered", "false", "noise", "variant", "half", "replay", "backdate", "snapshot"]
        ),
        st.integers(0, 30),
    ),
    max_size=8,
)


def lie(fatima: Device, stream: Stream, honest: list[Device], what: str, at: int) -> None:
    edits = [parse_record(p) for p in stream.payloads if b"edit" in p[:8] and len(p) > 200]
    some: Any = edits[at % len(edits)] if edits else None
    if what == "noise":
        stream.append(bytes([at]) * at)
    elif what == "forge":
        engine = Engine(honest[at % 2].actor)
        engine.apply(fatima.fold.admitted())
        made = apply_intents(engine, KIND, [["add", "topic", f"t{stream.length}", {"text": "vals"}]])
        stream.append(fatima.payload(made))
    elif what == "skip" and fatima.unsent:
        first = parse_change(fatima.unsent[-1])
        stream.append(fatima.payload([encode_change(msgspec.structs.replace(first, seq=first.seq + 1 + at))]))
    elif what == "uncovered" and some is not None:
        stream.append(make_edit(some.att.raw, [*some.changes, *fatima.unsent]))
    elif what == "half" and some is not None:
        stream.append(make_edit(some.att.raw, some.changes[at % len(some.changes) :]))
    elif what == "replay" and some is not None:
        stream.append(make_edit(some.att.raw, some.changes))
    elif what == "false" and fatima.unsent:
        stream.append(fatima.payload(fatima.unsent, length=at % (stream.length + 2), chain=fixed("lie")))
    elif what == "variant":
        twin = Device("fatima", stream)
        twin.pull()
        twin.edit(["add", "topic", f"v{stream.length}", {"text": "variant"}])
        twin.send()
    elif what == "backdate" and fatima.unsent:
        stream.append(fatima.payload(fatima.unsent, epoch=2))
    elif what == "snapshot":
        atts, changes, _ = fatima.fold.basis()
        stream.append(fatima.snapshot(changes=changes[: at % (len(changes) + 1)], atts=atts[: at % 3 + 1]))


@settings(max_examples=80)
@given(ACTS, MALICE, st.randoms(use_true_random=False))
def test_a_liar_splits_nobody(acts: list[tuple[int, str, int]], lies: list[tuple[str, int]], random: Any) -> None:
    """Nora and Karim are honest, Fatima does all that a member can: the two agree with each other and with a newcomer."""
    stream = Stream()
    devices = family(stream)
    nora, fatima, karim = devices
    mixed = [("act", *a) for a in acts if a[1] != "snapshot"] + [("lie", *one) for one in lies]
    random.shuffle(mixed)
    for kind, *rest in mixed:
        if kind == "act":
            act(devices[rest[0]], rest[1], rest[2])
        else:
            lie(fatima, stream, [nora, karim], rest[0], rest[1])
    for _ in range(3):
        for device in (nora, karim):
            for verdict in device.pull():
                for payload in verdict.give_back:
                    stream.append(payload)
            device.unsent = device.fold.pending()
            if device.unsent:
                device.send()
    nora.pull()
    karim.pull()
    newcomer = Device("nora", stream, " newcomer")
    newcomer.pull()
    for device in (nora, karim):
        assert not device.fold.alarm
        assert settled(device) == settled(newcomer)
        # Honest words are never lost, whatever a member does.
        assert device.fold.pending() == []
        assert device.document() == newcomer.document()
        device.refold()
        assert settled(device) == settled(newcomer) and device.document() == newcomer.document()
    honest = {
        change_hash(raw) for d in (nora, karim) for raw in d.fold.admitted() if parse_change(raw).actor == d.actor
    }
    assert honest <= settled(newcomer)


@settings(max_examples=60)
@given(ACTS, MALICE, st.integers(0, 40))
def test_a_cut_keeps_what_the_remover_had_and_nothing_after_it(
    acts: list[tuple[int, str, int]], lies: list[tuple[str, int]], when: int
) -> None:
    """Nora takes Fatima out at some moment. Whatever Fatima sends for the epoch that ended, whoever folds when: one part, with all
    that Nora had settled then and none of Fatima's later words.
    """
    stream = Stream()
    devices = family(stream)
    nora, fatima, karim = devices
    for who, what, at in acts[:when]:
        act(devices[who], what, at)
    for what, at in lies:
        lie(fatima, stream, [nora, karim], what, at)
    nora.pull()
    kept, cut = settled(nora), without("fatima", [nora])
    nora.refold(cut)
    assert kept <= settled(nora)
    for who, what, at in acts[when:]:
        act(devices[who], what, at)
    if fatima.unsent:
        fatima.send()
    karim.refold(cut)
    for device in (nora, karim, nora):
        device.pull()
        device.unsent = device.fold.pending()
        if device.unsent:
            device.send()
    karim.pull()
    newcomer = Device("nora", stream, " newcomer", cut)
    newcomer.pull()
    for device in (nora, karim):
        assert device.document() == newcomer.document() and settled(device) == settled(newcomer)
        assert device.fold.pending() == []
    late = {made for made in settled(newcomer) if newcomer.fold.author_of(made) == fatima.device} - kept
    assert late == set()


# --- the engine


class Broken:
    """An engine that fails, or forgets a change."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.held: list[bytes] = []

    def apply(self, changes: Any) -> None:
        if self.how == "fails" and changes:
            raise EngineFailed
        self.held += changes[1:] if self.how == "forgets" else changes

    def heads(self) -> list[bytes]:
        return [change_hash(self.held[-1])] if self.held else []

    def change_hashes(self) -> list[bytes]:
        return [change_hash(raw) for raw in self.held]


@pytest.mark.parametrize("how", ["fails", "forgets"])
def test_an_engine_that_does_not_hold_what_was_admitted_is_an_alarm_and_the_verdict_stands(how: str) -> None:
    stream = Stream()
    nora = Device("nora", stream)
    nora.edit(ADD)
    nora.send()
    fold = new_fold(lambda: Broken(how))
    verdict = fold.take(1, stream.payloads[0], stream.chain_at, CHARTER)
    assert len(verdict.admitted) == 1 and fold.alarm


class Counting(Engine):
    """How often it was given something."""

    def __init__(self, actor: bytes) -> None:
        super().__init__(actor)
        self.times = 0

    def apply(self, changes: Any) -> None:
        self.times += 1
        super().apply(changes)


def test_records_that_are_taken_at_once_are_judged_each_at_its_place_and_the_engine_is_asked_once() -> None:
    stream = Stream()
    nora = Device("nora", stream)
    for text in ("Opa", "Oma", "Sam"):
        nora.edit(ADD if text == "Opa" else ["set", WHAT, text])
        nora.send()
        if text == "Opa":
            stream.append(b"nonsense")
    records = list(enumerate(stream.payloads, 1))
    single, whole = new_fold(lambda: Counting(bytes(24))), new_fold(lambda: Counting(bytes(24)))
    expected = [single.take(*record, stream.chain_at, CHARTER) for record in records]
    found = whole.take_all(records, stream.chain_at, CHARTER)
    assert [verdict.admitted for verdict in found] == [verdict.admitted for verdict in expected]
    assert [verdict.refused for verdict in found] == [verdict.refused for verdict in expected]
    assert len(found[1].refused) == 1 and whole.take_all([], stream.chain_at, CHARTER) == []
    assert whole.state() == single.state() and whole.door.dump() == single.door.dump()
    assert whole.engine is not None and single.engine is not None and whole.engine.heads() == single.engine.heads()
    times = [fold.engine.times for fold in (single, whole) if isinstance(fold.engine, Counting)]
    assert times == [3, 1]


def test_an_engine_that_lost_something_is_made_anew() -> None:
    stream = Stream()
    nora, karim = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    nora.send()
    karim.pull()
    karim.fold.shown.engine = Engine(karim.actor)
    nora.edit(["set", WHAT, "Opa"])
    nora.send()
    (verdict,) = karim.pull()
    assert verdict.rebuilt and not karim.fold.alarm and karim.document() == nora.document()


def test_an_own_change_that_the_door_refuses_leaves_everything_as_it_was() -> None:
    stream = Stream()
    karim = Device("karim", stream)
    karim.edit(ADD)
    before = karim.document()
    bad = apply_intents(karim.engine, KIND, [["set", WHAT, "Opa"]])
    worse = karim.engine.commit(lambda writing: writing.put(Engine.root, "k", "x" * 65_537))
    assert worse
    with pytest.raises(Inadmissible):
        karim.fold.take_own([*bad, worse])
    assert karim.document() == before and len(karim.fold.pending()) == 1
    karim.edit(["set", WHAT, "Tante"])
    karim.send()
    (verdict,) = karim.pull()
    assert len(verdict.admitted) == 2


def test_records_are_taken_in_order() -> None:
    stream = Stream()
    fold = new_fold()
    fold.take(2, b"", stream.chain_at, CHARTER)
    with pytest.raises(ValueError, match="order"):
        fold.take(2, b"", stream.chain_at, CHARTER)


# --- a longer charter


def is_outdated_of(fold: PartFold, known: Rights) -> bool:
    return is_outdated(fold.outlook(), fold.stream, known)


def test_outdated_says_when_to_fold_anew() -> None:
    stream = Stream()
    nora, reader = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    nora.send()
    reader.pull()
    assert not is_outdated_of(reader.fold, CHARTER) and not is_outdated_of(reader.fold, charter(*FAMILY, n=7))
    assert is_outdated_of(reader.fold, without("fatima", [reader]))
    lotte = Device("lotte", stream, known=charter(*FAMILY, "lotte", n=5))
    lotte.edit(["add", "topic", "topic", {"text": "x"}])
    lotte.send()
    reader.pull()
    assert not is_outdated_of(reader.fold, CHARTER) and is_outdated_of(reader.fold, charter(*FAMILY, "lotte", n=5))
    stranger = Device("stranger", stream)
    stranger.edit(["add", "topic", "topic", {"text": "x"}])
    stranger.send()
    other = Device("karim", stream)
    other.pull()
    other.fold._waiting.clear()
    assert not is_outdated_of(other.fold, CHARTER) and is_outdated_of(other.fold, charter(*FAMILY, n=6))


def test_own_words_that_a_relay_lost_are_unsettled_again() -> None:
    stream = Stream()
    karim = Device("karim", stream)
    karim.edit(ADD)
    karim.send()
    karim.pull()
    assert karim.fold.pending() == []
    verdict = karim.fold.refold([], stream.chain_at, CHARTER)
    assert len(karim.fold.pending()) == 1 and verdict.voided == [] and karim.document()["agreements"]


# --- snapshots


def written(stream: Stream, count: int = 3) -> tuple[Device, Device]:
    nora, karim = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    nora.send()
    for at in range(count):
        device = (karim, nora)[at % 2]
        device.pull()
        device.edit(["splice", WHAT, at, 0, "x"])
        device.send()
    nora.pull()
    karim.pull()
    return nora, karim


@given(st.integers(0, 12))
@settings(max_examples=12)
def test_content_comes_back_byte_for_byte(count: int) -> None:
    nora, _ = written(Stream(), count)
    changes = nora.fold.admitted()
    assert snapshots.unpack_content(snapshots.pack_content(changes, [b"w", b""])) == (changes, [b"w", b""])


def test_what_was_unfolded_to_see_that_a_snapshot_stands_is_taken_as_it_is_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfolded: list[bytes] = []
    opens = snapshots.open_content

    def opening(body: snapshots.Body) -> snapshots.Content:
        unfolded.append(body.content)
        return opens(body)

    stream = Stream()
    nora, karim = written(stream)
    payload, late = nora.snapshot(), Device("fatima", stream)
    monkeypatch.setattr(snapshots, "open_content", opening)
    index = stream.length + 1
    assert late.fold.trial(index, payload, stream.chain_at, CHARTER).started_over
    assert late.fold.take(index, payload, stream.chain_at, CHARTER).started_over
    assert late.fold.admitted() == nora.fold.admitted() and len(unfolded) == 1
    # Another one is unfolded itself, and nothing is held for ever: years of a family's words are.
    other = parse_record(karim.snapshot(changes=nora.fold.admitted()[:1]))
    assert isinstance(other, Snapshot)
    held, body = late.fold._unfolded, snapshots.parse_body(other)
    assert late.fold.trial(index, payload, stream.chain_at, CHARTER).started_over
    assert held.open(body).changes == nora.fold.admitted()[:1]
    assert held.open(body).changes == nora.fold.admitted()[:1] and len(unfolded) == 4


@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0), max_size=3)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_one_walk_finds_what_a_walk_for_each_attestation_would(
    shape: list[tuple[int, list[int]]], newest: list[tuple[int, int]], order: Random
) -> None:
    """In whatever order the changes lie, and where one of them is not there."""
    devices, every = [bytes([at]) * 16 for at in range(3)], list[Change]()
    for at, (by, names) in enumerate(shape):
        deps = {every[name % len(every)].hash for name in names} if every else set()
        op = Op("make_map", None, f"k{at}", None, None, ())
        actor = actor_of(STREAM, devices[by], bytes(8))
        every.append(parse_change(encode_change(Change(tuple(sorted(deps)), actor, 1, 1 + at, [op]))))
    lying = {change.hash: change for change in order.sample(every, max(1, len(every) - 1))}

    def ancestors(change: bytes, found: set[bytes]) -> set[bytes]:
        """As the rule says it: the attested change, and what it depends on, and so on."""
        if change in lying and change not in found:
            found.add(change)
            for dep in lying[change].deps:
                ancestors(dep, found)
        return found

    att = Attestation(bytes(16), 1, bytes(32), 0, bytes(32), every[0].hash)
    named = [(devices[by], every[name % len(every)].hash) for by, name in newest]
    sources = [Source(msgspec.structs.replace(att, device=device, newest=change)) for device, change in named]
    covers = covers_of(STREAM, sources, list(lying.values()), ())
    assert [cover.source for cover in covers.all] == sources
    for cover in covers.all:
        reached = ancestors(cover.source.att.newest, set())
        assert [cover.covers(change) for change in every] == [change.hash in reached for change in every]
        assert all((cover in covers.owning(change)) == cover.owns(change) for change in every)


def test_a_snapshot_of_a_snapshot_keeps_every_author() -> None:
    stream = Stream()
    nora, karim = written(stream, 6)
    authors = {made: nora.fold.author_of(made) for made in nora.fold.admitted_hashes()}
    for device in (nora, karim, nora):
        device.pull()
        device.replace(device.snapshot())
    newcomer = Device("fatima", stream)
    newcomer.pull()
    assert {made: newcomer.fold.author_of(made) for made in newcomer.fold.admitted_hashes()} == authors
    assert set(authors.values()) == {nora.device, karim.device}


def test_of_every_actor_the_attestations_are_kept_that_a_later_cut_may_need() -> None:
    stream = Stream()
    nora = Device("nora", stream)
    nora.edit(ADD)
    nora.edit(["set", WHAT, "Opa"])
    nora.edit(["set", WHAT, "Tante"])
    reader = Device("karim", stream, known=charter(*FAMILY, n=8))
    late: dict[str, Any] = {"epoch": 2, "head": fixed("head 8")}

    def kept() -> list[tuple[int, bytes]]:
        reader.pull()
        atts = reader.fold.basis()[0]
        return sorted((int.from_bytes(att[16:20], "big"), att[92:124]) for att in atts)

    made = [change_hash(raw) for raw in nora.unsent]
    stream.append(nora.payload(nora.unsent))
    assert kept() == [(1, made[2])]
    stream.append(nora.payload(nora.unsent[:2], **late))  # less far, in a later epoch: a cut of epoch 1 leaves it
    assert kept() == [(1, made[2]), (2, made[1])]
    stream.append(nora.payload(nora.unsent[:1]))
    assert kept() == [(1, made[2]), (2, made[1])]
    stream.append(nora.payload(nora.unsent, **late))
    assert kept() == [(2, made[2])]
    stream.append(nora.payload(nora.unsent))
    assert kept() == [(2, made[2])]


def test_the_largest_snapshot_is_read_and_one_byte_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = snapshots.pack_content([], [b"x" * 50])
    monkeypatch.setattr(snapshots, "MAX_INFLATED_BYTES", len(data))
    assert snapshots._inflate(snapshots._deflate(data)) == data
    with pytest.raises(Inadmissible):
        snapshots._inflate(snapshots._deflate(data + b"x"))


def test_a_snapshot_that_blows_up_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    nora, _ = written(Stream())
    monkeypatch.setattr(snapshots, "MAX_INFLATED_BYTES", 1_000_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    assert len(bomb) < 60_000
    record = parse_record(nora.snapshot())
    body = msgspec.msgpack.encode(msgspec.msgpack.decode(record.body) | {"content": bomb})  # type: ignore[union-attr]
    nora.replace(make_snapshot_record(body, sign(nora.key, "snapshot", STREAM, body)))
    (verdict,) = nora.pull()
    assert [no.code for no in verdict.refused] == ["bad_snapshot"] and nora.document()["agreements"]


def test_dependencies_that_unfold_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MAX_UNFOLDED_BYTES", 100_000)
    wide = uleb(0) + uleb(1) + b"x" + b"".join(uleb(4_000) + b"\x01" * 4_000 + uleb(1) + b"x" for _ in range(3))
    with pytest.raises(Inadmissible):
        snapshots.unpack_content(uleb(4) + wide + uleb(0))


@given(st.binary(max_size=60))
def test_any_content_is_read_or_refused(data: bytes) -> None:
    try:
        snapshots.unpack_content(data)
    except Inadmissible as no:
        assert no.code in ("bad_snapshot", "not_canonical")


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_are_a_verdict(data: bytes) -> None:
    stream = Stream()
    verdict = new_fold().take(stream.append(data), data, stream.chain_at, CHARTER)
    assert verdict.refused or verdict.set_aside


@given(st.integers(0, 5000), st.integers(0, 7))
@settings(max_examples=150)
def test_one_bit_of_a_record_is_another_verdict_and_never_another_author(at: int, bit: int) -> None:
    stream = Stream()
    nora = Device("nora", stream)
    nora.edit(ADD)
    raw = bytearray(nora.payload(nora.unsent))
    raw[at % len(raw)] ^= 1 << bit
    verdict = new_fold().take(stream.append(bytes(raw)), bytes(raw), stream.chain_at, CHARTER)
    assert verdict.admitted == [] and (verdict.refused or verdict.set_aside)


# --- cache, history, large acts


def test_a_kept_fold_goes_on_where_it_was() -> None:
    stream = Stream()
    nora, karim = written(stream)
    karim.edit(["set", WHAT, "onderweg"])
    data, saved = dump_fold(karim.fold), karim.engine.save()
    revived = Device("karim", stream)
    assert load_fold(revived.fold, data, Engine.load(saved, karim.actor))
    revived.read_to = karim.read_to
    nora.edit(["set", ["agreements", "a1", "done"], True])
    nora.send()
    for device in (karim, revived):
        device.pull()
    assert revived.document() == karim.document() and revived.fold.pending() == karim.fold.pending()
    assert dump_fold(revived.fold) == dump_fold(karim.fold)
    assert revived.fold.basis() == karim.fold.basis()


def test_a_kept_fold_of_another_day_or_part_is_not_taken() -> None:
    stream = Stream()
    _nora, karim = written(stream)
    data, saved = dump_fold(karim.fold), karim.engine.save()
    karim.edit(["set", WHAT, "later"])
    fresh = Device("karim", stream)
    assert not load_fold(fresh.fold, dump_fold(karim.fold), Engine.load(saved, karim.actor))
    assert not load_fold(fresh.fold, b"nonsense", None)
    fresh.fold.stream = fixed("another", 16)  # type: ignore[assignment]
    assert not load_fold(fresh.fold, data, None)


def test_history_says_who_wrote_where() -> None:
    stream = Stream()
    nora, karim = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    nora.edit(["set", ["agreements", "a1", "who"], ["oma"]], ["set", ["agreements", "a1", "done"], True])
    nora.send()
    karim.pull()
    karim.edit(["set", WHAT, "Opa haalt Sam op"])
    karim.edit(["delete", ["agreements", "a1"]])
    karim.send()
    nora.pull()
    events = history(nora.fold.ledger.entries)
    item = "agreements/a1"
    assert [(event.device, event.index, event.seq) for event in events] == [
        (nora.device, 1, 1),
        (nora.device, 1, 2),
        (karim.device, 2, 1),
        (karim.device, 2, 2),
    ]
    assert [event.places for event in events] == [
        ((item, "who"), (item, "what")),
        ((item, "who"), (item, "done")),
        ((item, "what"),),
        ((item, None),),
    ]
    assert [(event.added, event.removed) for event in events] == [(16, 0), (0, 0), (1, 1), (0, 0)]


def test_a_large_act_is_several_records_that_stand_on_their_own() -> None:
    stream = Stream()
    nora, karim = Device("nora", stream), Device("karim", stream)
    nora.edit(ADD)
    for at in range(700):
        nora.edit(["splice", WHAT, at % 7, 0, "y"])
    nora.edit(["splice", WHAT, 0, 0, "😀x" * 30_000])
    claims: dict[str, Any] = {"device": nora.device, "epoch": 1, "head": fixed("head 4"), "length": 0}
    records = make_edit_records(nora.key, STREAM, chain=stream.chains[0], changes=nora.unsent, **claims)
    assert len(records) >= 2 and max(map(len, records)) < 950_000
    for payload in records:
        stream.append(payload)
        (verdict,) = karim.pull()
        assert verdict.refused == []
    assert karim.document() == nora.document()
