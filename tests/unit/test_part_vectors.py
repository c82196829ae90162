"""The vectors of a part's fold, run in Python. The app's tests run the same files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors"))

from make_part import make, plain_fold, plain_verdict
from part_world import PlainCharter

from eigenkring.crdt import Engine
from eigenkring.part.fold import PartFold

PATHS = sorted((Path(__file__).parents[1] / "vectors/part").glob("*.json"))


def test_enough_vectors() -> None:
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in PATHS]
    assert len(loaded) >= 70
    verdicts = [[step["verdict"] for step in vector["steps"] if "verdict" in step] for vector in loaded]
    fails = [any(verdict["refused"] or verdict["waits"] for verdict in each) for each in verdicts]
    assert sum(fails) > len(loaded) / 2
    codes = {refusal[0] for each in verdicts for verdict in each for refusal in verdict["refused"]}
    assert codes >= set(
        "bad_record bad_attestation unknown_device not_a_writer wrong_epoch false_seen bad_actor not_covered behind_cut "
        "missing_dependency bad_sequence bad_chunk bad_snapshot".split()
    )


def test_the_files_are_what_the_generator_makes() -> None:
    made = make()
    assert {path.stem for path in PATHS} == set(made)
    for path in PATHS:
        assert json.loads(path.read_text(encoding="utf-8")) == made[path.stem]


def secrets_of(vector: dict[str, Any]) -> Callable[[int], bytes | None]:
    secrets = {int(epoch): bytes.fromhex(secret) for epoch, secret in vector["secrets"].items()}
    return secrets.get


def chains_of(vector: dict[str, Any]) -> Callable[[int], bytes | None]:
    chains = {int(length): bytes.fromhex(chain) for length, chain in vector["chains"].items()}
    return chains.get


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    run(path)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_vector_with_each_record_tried_first(path: Path) -> None:
    """As a sync does with a snapshot."""
    run(path, tried=True)


def run(path: Path, *, tried: bool = False) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    actor = bytes.fromhex(vector["reader_actor"])
    part = vector["part"]
    fold = PartFold(
        bytes.fromhex(part["stream"]),
        part["name"],
        part["write_room"],
        part["manage_room"],
        secrets_of(vector),
        lambda: Engine(actor),
    )
    charters = [PlainCharter.from_plain(plain) for plain in vector["charters"]]
    chain_at = chains_of(vector)
    taken: list[tuple[int, bytes]] = []
    for step in vector["steps"]:
        if step["do"] == "own":
            changes: Sequence[bytes] = [bytes.fromhex(raw) for raw in step["changes"]]
            engine_of(fold).apply(changes)
            fold.take_own(changes)
            continue
        charter = charters[step["charter"]]
        if step["do"] == "take":
            taken.append((step["index"], bytes.fromhex(step["payload"])))
            if tried:
                fold.trial(*taken[-1], chain_at, charter)
            verdict = fold.take(*taken[-1], chain_at, charter)
        else:
            records = [record for record in taken if record[0] >= step["from"]]
            verdict = fold.refold(records, chain_at, charter)
        assert plain_verdict(verdict) == step["verdict"]
    assert not fold.alarm
    assert plain_fold(fold, engine_of(fold)) == vector["out"]


def engine_of(fold: PartFold) -> Engine:
    assert isinstance(fold.engine, Engine)
    return fold.engine
