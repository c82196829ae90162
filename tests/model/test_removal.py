"""Every order of a small stream, every cut, every second person who goes at the same time: on the model all, on the real
fold some of them each time and all of them in the long run.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from part_world import FAMILY, Device, PlainCut, Stream, charter, fixed, new_fold
from removal import Change, Removal, admitted, is_void

from eigenkring.change import parse_change
from eigenkring.part.author import cut_line

# Karim goes; Fatima was offline and built on what he wrote; Nora removed him and writes on.
K1 = Change("k1", "karim", 1, frozenset(), 1)
K2 = Change("k2", "karim", 2, frozenset({"k1"}), 1)
K3 = Change("k3", "karim", 3, frozenset({"k2"}), 2)  # attested for the epoch that he has no right in
F1 = Change("f1", "fatima", 1, frozenset(), 1)
F2 = Change("f2", "fatima", 2, frozenset({"f1", "k2"}), 1)  # stands on his
N1 = Change("n1", "nora", 1, frozenset(), 2)
ALL = (K1, K2, K3, F1, F2, N1)
BY_NAME = {change.name: change for change in ALL}
# Nora had one, two or none of his; Fatima stays, or goes in the same breath with none or one of hers admitted.
CUTS = [{"karim": k, **({} if f is None else {"fatima": f})} for k, f in itertools.product((0, 1, 2), (None, 0, 1))]


def worlds() -> Iterator[tuple[tuple[Change, ...], Removal]]:
    for cut in CUTS:
        for order in itertools.permutations(ALL):
            yield order, Removal(1, cut)


def test_in_no_order_does_anything_enter_behind_the_cut_and_honest_work_is_only_late() -> None:
    tried = 0
    for order, removal in worlds():
        tried += 1
        found = admitted(order, removal)
        assert not any(is_void(BY_NAME[name], removal) for name in found)
        assert "k3" not in found
        # Who gives back what came too early brings in all that is not void, in whatever order it first came.
        again = found
        for _ in ALL:
            again = admitted([*(BY_NAME[n] for n in again), *order], removal)
        out = {change.name for change in ALL if is_void(change, removal)}
        on_void = {change.name for change in ALL if change.on & out}
        assert set(again) == {change.name for change in ALL} - out - on_void
        # Whoever stays loses nothing of what stands on itself.
        assert "n1" in found
        assert ("f1" in found) == ("fatima" not in removal.cut or removal.cut["fatima"] > 0)
    assert tried == len(CUTS) * 720


@cache
def real() -> dict[str, tuple[bytes, bytes]]:
    """The change and its record of each, made by real devices that were offline from the beginning."""
    stream = Stream()
    karim, fatima, nora = (Device(name, stream) for name in ("karim", "fatima", "nora"))
    made: dict[str, bytes] = {}

    def edit(device: Device, name: str) -> bytes:
        (made[name],) = device.edit(["add", "agreements", name, {"what": name}])
        return made[name]

    edit(fatima, "f1")
    for name in ("k1", "k2"):
        edit(karim, name)
    stream.append(karim.payload(karim.unsent))
    fatima.pull()
    edit(fatima, "f2")
    edit(karim, "k3")
    edit(nora, "n1")
    for name, raw in made.items():
        assert parse_change(raw).seq == BY_NAME[name].seq
    by = {"karim": karim, "fatima": fatima, "nora": nora}
    head = {1: fixed("head 4"), 2: fixed("head 8")}
    return {
        c.name: (
            made[c.name],
            by[c.author].payload([made[c.name]], length=0, chain=stream.chains[0], epoch=c.epoch, head=head[c.epoch]),
        )
        for c in ALL
    }


def real_charter(removal: Removal) -> object:
    lines = {}
    for author, last in removal.cut.items():
        for change in ALL:
            if change.author == author and change.seq == last:
                raw = parse_change(real()[change.name][0])
                tag, seq, mark = cut_line(fixed("S 1"), raw.actor, raw.seq, raw.hash)
                lines[tag] = (seq, mark)
    gone = frozenset(fixed(f"device {author}", 16) for author in removal.cut)
    plain = charter(*FAMILY, n=8, cuts=(PlainCut(1, 1, gone, lines),))
    return msgspec.structs.replace(plain, wrote=frozenset((d, e) for d, e in plain.wrote if e == 1 or d not in gone))


def as_the_real_fold_says(order: tuple[Change, ...], removal: Removal, read_before: int) -> list[str]:
    """``read_before``: how many records were taken before the removal was heard of; then all is folded anew."""
    stream, fold = Stream(), new_fold()
    name_of = {parse_change(raw).hash: name for name, (raw, _) in real().items()}
    known = charter(*FAMILY, n=7)
    for change in order:
        stream.append(real()[change.name][1])
    for index, payload in stream.records()[:read_before]:
        fold.take(index, payload, stream.chain_at, known)
    after = real_charter(removal)
    if read_before:
        fold.refold(stream.records()[:read_before], stream.chain_at, after)  # type: ignore[arg-type]
    for index, payload in stream.records()[read_before:]:
        fold.take(index, payload, stream.chain_at, after)  # type: ignore[arg-type]
    return [name_of[found] for found in fold.settled_hashes()]


def same_as_the_model(step: int) -> int:
    tried = 0
    for number, (order, removal) in enumerate(worlds()):
        if number % step == 0:
            tried += 1
            found = as_the_real_fold_says(order, removal, number // step % 7)
            assert found == admitted(order, removal), (order, removal)
    return tried


def test_the_real_fold_says_what_the_model_says() -> None:
    assert same_as_the_model(29) > 200


@pytest.mark.long
def test_the_real_fold_says_what_the_model_says_in_every_world() -> None:
    assert same_as_the_model(1) == len(CUTS) * 720
