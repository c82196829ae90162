"""Every vector of tests/vectors/report, as pwa/test/report.test.ts runs them too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import report, reporting
from eigenkring.differing import differences
from eigenkring.errors import EigenkringError
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, StreamId
from eigenkring.report import CaseTags, Line, LineTags, Point, Report
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.sign import SigningKey

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "report"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
# How many there are at least, so that a lost file or a folder that moved is not a green run.
LEAST = {"tags": 5, "ruler": 12, "made": 2, "open": 82, "signature": 8, "compared": 27, "files": 10}


def _b(vector: dict[str, Any], key: str) -> bytes:
    return bytes.fromhex(vector[key])


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Point):
        return [_plain(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _tags(v: dict[str, Any]) -> Any:
    stream = StreamId(_b(v, "stream"))
    whole, line = CaseTags(_b(v, "secret"), CaseId(_b(v, "case"))), LineTags(_b(v, "secret"), stream)
    found = [
        whole.case(), whole.device(DeviceId(_b(v, "device"))), whole.generation(v["generation"]),
        whole.head(v["n"], EntryHash(_b(v, "head"))), whole.line(stream).id(), line.id(),
        line.point(v["index"], Chain(_b(v, "chain"))),
    ]  # fmt: skip
    return _plain(found)


def _made(v: dict[str, Any]) -> str:
    of = dict(v["report"])
    for name in ("case", "by", "head"):
        of[name] = bytes.fromhex(of[name])
    of["generations"] = [bytes.fromhex(one) for one in of["generations"]]

    def points(given: list[Any]) -> list[Point]:
        return [Point(*one[:3], bytes.fromhex(one[3])) for one in given]

    of["lines"] = [
        Line(bytes.fromhex(one["id"]), one["base"], one["length"], one["generation"], points(one["points"]), points(one["gone"]))
        for one in of["lines"]
    ]  # fmt: skip
    return report.sign_report(SigningKey.from_seed(_b(v, "seed")), CaseId(_b(v, "case")), Report(**of))


def _signature(v: dict[str, Any]) -> None:
    report.check_signature(v["text"], CaseId(_b(v, "case")), _b(v, "key"))


def _compared(v: dict[str, Any]) -> Any:
    knows = v["knows"]

    def tag_at(_: bytes, index: int) -> bytes | None:
        return bytes.fromhex(knows[str(index)]) if str(index) in knows else None

    left, right = report.open_report(v["left"]), report.open_report(v["right"])
    found = differences(left, right, None if knows is None else tag_at)
    return {
        "found": {
            line.hex(): [d.verdict, d.left, d.right, d.same_to, d.index, d.since, d.left_at, d.right_at]
            for line, d in found.found.items()
        },
        "only_left": _plain(found.only_left),
        "only_right": _plain(found.only_right),
    }


def _files(v: dict[str, Any]) -> Any:
    second = v["second"] if "second" in v else v["repeat"][0] * v["repeat"][1]
    return reporting.compare_files(v["first"], second)


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "tags": _tags, "ruler": lambda v: report.ruler(v["length"]), "made": _made,
    "open": lambda v: _plain(report.open_report(v["text"])), "signature": _signature, "compared": _compared, "files": _files,
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector(name: str) -> None:
    vector = VECTORS[name]
    found: dict[str, Any]
    try:
        found = {"out": RUN[vector["kind"]](vector)}
    except (EigenkringError, CryptoError) as error:
        found = {"error": error.code}
    assert found == {key: vector[key] for key in ("out", "error") if key in vector}


def test_none_is_lost_and_more_must_be_refused_than_opened() -> None:
    kinds = Counter(vector["kind"] for vector in VECTORS.values())
    assert kinds.keys() == LEAST.keys()
    assert {kind: count for kind, count in kinds.items() if count < LEAST[kind]} == {}
    opened = [vector for vector in VECTORS.values() if vector["kind"] in ("open", "signature", "files")]
    assert sum("error" in vector for vector in opened) > 4 * sum("out" in vector for vector in opened)


@pytest.mark.parametrize("shorter", [1, 7, 40, 100, 999])
def test_two_logs_have_a_place_in_common_near_the_end_of_the_shorter(shorter: int) -> None:
    for beyond in (0, 1, 5, 31, 50, 500, 20_000):
        common = max(set(report.ruler(shorter)) & set(report.ruler(shorter + beyond)))
        assert common > shorter - max(1, 2 * beyond)
        assert 2 * common >= shorter
        assert beyond >= report.NEWEST or common == shorter
