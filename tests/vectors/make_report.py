"""Vectors of reports: their tags, their text, what must be refused in it, and what comes of comparing two.

Both languages run every vector: tests/unit/test_report_vectors.py and pwa/test/report.test.ts. A vector has `out` or
`error`; of `compared`, `left` and `right` are texts, and `knows` the tags of places that the left device has besides.
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

from charter_cast import CASE, fixed_bytes

from eigenkring import report, reporting
from eigenkring.differing import differences
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, StreamId
from eigenkring.report import CaseTags, LineTags, Point, Report
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.sign import SigningKey, sign

Vector = dict[str, Any]
pack = msgspec.msgpack.encode
NORA, KARIM = (SigningKey.from_seed(fixed_bytes(f"report {name}")) for name in ("nora", "karim"))
SECRET, ROOM = fixed_bytes("keys secret"), fixed_bytes("first secret of the circle")
OTHER_CASE = CaseId(fixed_bytes("another case", 16))
PLAN, PRIVATE = StreamId(fixed_bytes("plan", 16)), StreamId(fixed_bytes("private", 16))
DEVICES = {"nora": DeviceId(fixed_bytes("nora's", 16)), "karim": DeviceId(fixed_bytes("karim's", 16))}
HEAD = EntryHash(fixed_bytes("head"))
AT = 1_790_000_000
BEFORE, AFTER = 1_780_000_000, 1_785_000_000  # generations
TAGS, LINE = CaseTags(SECRET, CASE), LineTags(ROOM, PLAN)


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for area in (_tags, _rulers, _made, _texts, _bodies, _signatures, _compared, _files):
        for name, vector in area():
            if name in vectors or ("out" in vector) == ("error" in vector):
                raise ValueError(f"vector {name} is double, or has both or neither of out and error")
            vectors[name] = vector
    return vectors


def plain(value: Any) -> Any:
    """Bytes as hex, tuples as lists, as JSON has them."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Point):
        return [plain(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _tried(of: Any) -> Vector:
    try:
        return {"out": of()}
    except (Inadmissible, CryptoError) as error:
        return {"error": error.code}


# --- tags


def _tags() -> Iterator[tuple[str, Vector]]:
    for name, about, secret, case, stream, generation, n, index in (
        ("first", "of a case that began", SECRET, CASE, PLAN, BEFORE, 1, 1),
        ("other_case", "another case with the same secret", SECRET, OTHER_CASE, PLAN, BEFORE, 1, 1),
        ("other_secret", "another secret", ROOM, CASE, PLAN, BEFORE, 1, 1),
        ("other_stream", "another stream", SECRET, CASE, PRIVATE, BEFORE, 1, 1),
        ("far", "numbers beyond 2^32", SECRET, CASE, PLAN, 2**53 - 1, 2**40, 2**53 - 1),
    ):
        chain = Chain(fixed_bytes(f"chain {index}"))
        whole, line = CaseTags(secret, case), LineTags(secret, stream)
        yield f"tags_{name}", {
            "kind": "tags", "about": about, "secret": secret.hex(), "case": case.hex(), "stream": stream.hex(),
            "generation": generation, "n": n, "index": index, "chain": chain.hex(), "head": HEAD.hex(),
            "device": DEVICES["nora"].hex(),
            "out": plain([
                whole.case(), whole.device(DEVICES["nora"]), whole.generation(generation), whole.head(n, HEAD),
                whole.line(stream).id(), line.id(), line.point(index, chain),
            ]),
        }  # fmt: skip


def _rulers() -> Iterator[tuple[str, Vector]]:
    for length in (1, 2, 31, 32, 33, 63, 64, 65, 100, 1_000, 4_096, 1_000_003, 2**53 - 1):
        yield f"ruler_{length}", {"kind": "ruler", "length": length, "out": report.ruler(length)}


# --- a whole report


def _chain(log: str, index: int) -> Chain:
    """Of a log with its name; ``common`` to a place and then another is what a fork is."""
    return Chain(fixed_bytes(f"chain of {log} at {index}"))


def _point(log: str, index: int, generation: int = 0, at: int = 0) -> Point:
    return Point(generation, at, index, LINE.point(index, _chain(log, index)))


def _line(points: list[Point], generation: int = 1, gone: list[Point] | None = None, base: int = 0, **more: Any) -> Any:
    length = points[-1].index
    return report.Line(more.get("id", LINE.id()), base, more.get("length", length), generation, points, gone or [])


def _report(*lines: Any, **more: Any) -> Report:
    said: dict[str, Any] = {
        "v": 1, "case": TAGS.case(), "by": TAGS.device(DEVICES["nora"]), "at": AT,
        "generations": [TAGS.generation(BEFORE)], "n": 7, "head": TAGS.head(7, HEAD),
        "lines": sorted(lines, key=lambda line: line.id),
    }  # fmt: skip
    return Report(**(said | more))


def _text(body: bytes, key: SigningKey = NORA, name: str = "report", case: bytes = CASE) -> str:
    return _armour(pack({"body": body, "sig": sign(key, name, case, body)}))


def _armour(data: bytes) -> str:
    packed = base64.b64encode(data).decode()
    lines = [packed[at : at + 64] for at in range(0, len(packed), 64)]
    return "\n".join(["-----BEGIN EIGENKRING REPORT-----", *lines, "-----END EIGENKRING REPORT-----", ""])


USUAL = _report(
    _line([_point("a", 3, 1, AT - 900), _point("a", 4), _point("a", 5, 2, AT - 60)], 2, [_point("b", 4, 1, AT - 800)]),
    _line([_point("c", 1, 1, 5)], id=fixed_bytes("a line", 16)),
    generations=[TAGS.generation(BEFORE), TAGS.generation(AFTER)],
)
BARE = _report(generations=[])


def _made() -> Iterator[tuple[str, Vector]]:
    for name, made in (("usual", USUAL), ("bare", BARE)):
        yield f"made_{name}", {
            "kind": "made", "about": "signed by a seed, one text comes of it", "seed": fixed_bytes("report nora").hex(),
            "case": CASE.hex(), "report": plain(made), "out": report.sign_report(NORA, CASE, made),
        }  # fmt: skip


def _opened(about: str, text: str) -> Vector:
    return {"kind": "open", "about": about, "text": text, **_tried(lambda: plain(report.open_report(text)))}


def _texts() -> Iterator[tuple[str, Vector]]:
    good = report.sign_report(NORA, CASE, USUAL)
    begin, end = "-----BEGIN EIGENKRING REPORT-----\n", "-----END EIGENKRING REPORT-----\n"
    inner = good.removeprefix(begin).removesuffix(end)
    data = base64.b64decode(inner.replace("\n", ""))
    for name, about, text in (
        ("whole", "as it was made", good),
        ("in_a_letter", "with words before and after it, and the line ends of mail", f"Dag!\r\n\r\n{good}Groet".replace("\n", "\r\n")),
        ("on_one_line", "its lines were joined", begin + inner.replace("\n", " ") + end),
        ("empty", "nothing", ""),
        ("words", "no report", "Wie haalt Sam op?"),
        ("no_end", "cut off", good.removesuffix(end)),
        ("no_begin", "its beginning is gone", inner + end),
        ("twice", "two of them", good + good),
        ("end_first", "the wrong way round", end + inner + begin),
        ("end_twice", "two ends", good + end),
        ("half", "half of its lines", begin + "\n".join(inner.splitlines()[:2]) + "\n" + end),
        ("nothing_inside", "no bytes", begin + end),
        ("cut_in_a_line", "one letter gone", begin + inner[:40] + inner[41:] + end),
        ("no_base64", "a letter that is none", begin + "!" + inner[1:] + end),
        ("url_base64", "the other alphabet", begin + inner.replace("+", "-").replace("/", "_") + end),
        ("quoted", "quoted by a mail program", begin + "".join(f"> {one}\n" for one in inner.splitlines()) + end),
        ("no_padding", "without its last sign", _armour(data + b"\0").replace("=", "")),
        ("padding_inside", "padding in the middle", begin + "QQ==" + inner + end),
        ("free_bits", "bits that mean nothing", begin + "QR==" + "\n" + end),
        ("nbsp", "a blank of another kind", begin + inner.replace("\n", "\u00a0") + end),
        ("a_byte_more", "bytes after the end", _armour(data + b"\xc0")),
        ("no_sig", "not signed", _armour(pack({"body": b"x"}))),
        ("sig_short", "half a signature", _armour(pack({"body": pack(USUAL), "sig": bytes(32)}))),
        ("more_keys", "a key beside body and signature", _armour(pack({"body": pack(USUAL), "sig": bytes(64), "x": 1}))),
        ("other_order", "signature first", _armour(pack({"sig": bytes(64), "body": pack(USUAL)}))),
        ("body_text", "a body that is text", _armour(pack({"body": "x", "sig": bytes(64)}))),
        ("a_list", "a list", _armour(pack([pack(USUAL), bytes(64)]))),
    ):  # fmt: skip
        yield f"text_{name}", _opened(about, text)


def _bodies() -> Iterator[tuple[str, Vector]]:
    fields = msgspec.to_builtins(USUAL, builtin_types=[bytes])
    one, other = fields["lines"]
    line_at = [line for line in fields["lines"] if len(line["points"]) == 3][0]  # noqa: RUF015

    def lines(**change: Any) -> dict[str, Any]:
        return {"lines": [(line | change) if line is line_at else line for line in fields["lines"]]}

    def points(*change: list[Any]) -> dict[str, Any]:
        return lines(points=list(change))

    first, middle, last = (list(point) for point in line_at["points"])
    (gone,) = (list(point) for point in line_at["gone"])
    for name, about, change in (
        ("newer", "of a newer version", {"v": 2}), ("newest", "of a version far ahead", {"v": 2**53}),
        ("newer_and_other", "newer, with other fields", {"v": 2, "lines": "elsewhere"}),
        ("v_zero", "a version that never was", {"v": 0}), ("v_negative", "below", {"v": -1}), ("v_text", "no number", {"v": "1"}),
        ("v_float", "a float", {"v": 1.0}), ("v_nil", "none", {"v": None}),
        ("case_short", "15 bytes", {"case": bytes(15)}), ("case_long", "17", {"case": bytes(17)}), ("by_text", "text", {"by": "nora"}),
        ("by_long", "a whole hash", {"by": bytes(32)}), ("at_negative", "before 1970", {"at": -1}), ("at_huge", "2^53", {"at": 2**53}),
        ("at_float", "half seconds", {"at": 1.5}), ("n_zero", "a charter without entries", {"n": 0}), ("n_huge", "2^53", {"n": 2**53}),
        ("head_short", "31 bytes", {"head": bytes(31)}), ("generations_twice", "one generation twice", {"generations": [fields["generations"][0]] * 2}),
        ("generations_many", "17 of them", {"generations": [bytes([at] * 16) for at in range(17)]}),
        ("generation_short", "15 bytes", {"generations": [bytes(15), fields["generations"][1]]}),
        ("generations_none", "points in generations that are not listed", {"generations": []}),
        ("lines_nil", "none", {"lines": None}), ("lines_turned", "not in order", {"lines": [other, one]}),
        ("lines_twice", "one stream twice", {"lines": [one, one]}),
        ("lines_many", "more than may be", {"lines": [one | {"id": at.to_bytes(16, "big")} for at in range(513)]}),
        ("line_id_short", "15 bytes", lines(id=bytes(15))), ("line_base_beyond", "a base behind the end", lines(base=6)),
        ("line_length_zero", "no length", lines(length=0)), ("line_length_other", "an end that no point says", lines(length=6)),
        ("line_length_shorter", "a point behind the end", lines(length=4)),
        ("line_generation_unknown", "a generation that is not listed", lines(generation=3)),
        ("points_none", "no points", points()), ("points_turned", "not in order", points(middle, first, last)),
        ("points_twice", "one place twice", points(first, first, last)),
        ("points_many", "more than may be", points(*([1, AT, at, bytes(32)] for at in range(1, 258)))),
        ("point_index_zero", "before the first", points([1, AT, 0, bytes(32)], last)),
        ("point_tag_short", "31 bytes", points(first, [0, 0, 4, bytes(31)], last)),
        ("point_generation_unknown", "a generation that is not listed", points([3, AT, 3, bytes(32)], last)),
        ("point_time_without_generation", "a time, and no generation", points([0, AT, 3, bytes(32)], last)),
        ("point_three", "without a tag", points([1, AT, 3], last)), ("point_five", "with more", points([*first, 1], last)),
        ("point_a_map", "a map", points({"index": 3}, last)),  # type: ignore[arg-type]
        ("gone_nil", "none", lines(gone=None)), ("gone_twice", "the same twice", lines(gone=[gone, gone])),
        ("gone_turned", "not in order", lines(gone=[[1, AT, 9, bytes(32)], gone])),
        ("gone_many", "more than may be", lines(gone=[[1, AT, at, bytes(32)] for at in range(1, 34)])),
        ("gone_index_zero", "before the first", lines(gone=[[1, AT, 0, bytes(32)]])),
        ("more", "a key that version 1 does not have", {"title": "Thuis"}),
    ):  # fmt: skip
        yield f"body_{name}", _opened(about, _text(pack(fields | change)))
    lacking = {name: value for name, value in fields.items() if name != "head"}
    yield "body_without_head", _opened("a key less", _text(pack(lacking)))
    turned = dict(reversed(fields.items()))
    yield "body_other_order", _opened("keys in another order", _text(pack(turned)))
    packed = pack(fields)
    yield (
        "body_long_number",
        _opened("7 written in three bytes", _text(packed.replace(b"\xa1n\x07", b"\xa1n\xcd\x00\x07"))),
    )
    yield "body_key_twice", _opened("`n` twice", _text(b"\x89" + packed[1:] + b"\xa1n\x08"))
    yield "body_two_logs", _opened("another log at one place, gone", _text(pack(fields | lines(gone=[gone, [2, AT, 4, bytes([255] * 32)]]))))  # fmt: skip
    yield "body_gone_beyond", _opened("a longer log lay there before", _text(pack(fields | lines(gone=[[1, AT, 900, bytes(32)]]))))  # fmt: skip


def _signatures() -> Iterator[tuple[str, Vector]]:
    body = pack(USUAL)
    good = _text(body)
    altered = _armour(pack({"body": body[:-1] + bytes([body[-1] ^ 1]), "sig": sign(NORA, "report", CASE, body)}))
    for name, about, text, case, key in (
        ("good", "by the device, for the case", good, CASE, NORA.public),
        ("other_key", "by another device", good, CASE, KARIM.public),
        ("other_case", "for another case", good, OTHER_CASE, NORA.public),
        ("other_name", "signed as an export", _text(body, name="export"), CASE, NORA.public),
        ("altered", "one bit of the body", altered, CASE, NORA.public),
        ("nothing", "zeros", _armour(pack({"body": body, "sig": bytes(64)})), CASE, NORA.public),
        ("small_key", "a key of small order", good, CASE, bytes(32)),
        ("no_report", "no report at all", "words", CASE, NORA.public),
    ):
        found = _tried(lambda text=text, case=case, key=key: report.check_signature(text, case, key))
        yield f"signature_{name}", {
            "kind": "signature", "about": about, "text": text, "case": case.hex(), "key": key.hex(), **found,
        }  # fmt: skip


# --- comparing


def _log(*names: tuple[str, int], at: tuple[int, int] | None = None, only: int | None = None) -> list[Point]:
    """The points of a log that is each named one up to a place; ``at``: the generation and time of its end."""
    length = names[-1][1]
    found = []
    for index in [i for i in report.ruler(length) if only is None or i > only]:
        log = next(name for name, to in names if index <= to)
        is_end = index == length and at is not None
        found.append(_point(log, index, *(at if is_end and at is not None else (0, 0))))
    return found


GENERATIONS = {
    1: [TAGS.generation(BEFORE)],
    2: [TAGS.generation(BEFORE), TAGS.generation(AFTER)],
    3: [TAGS.generation(AFTER)],
}


def _compared() -> Iterator[tuple[str, Vector]]:
    a, b = ("a", 10), ("a", 20)

    def side(points: list[Point], which: int = 1, generation: int = 1, **more: Any) -> Report:
        return _report(_line(points, generation, **more), generations=GENERATIONS[which])

    seen = (1, AT)
    pairs: dict[str, tuple[str, Report, Report]] = {
        "same": ("one log", side(_log(b)), side(_log(b))),
        "same_in_two_generations": ("one log, of which one saw only the first life of the relay", side(_log(b, at=seen)), side(_log(b, at=(2, AT)), 2, 2)),
        "left_behind": ("the left one ends before", side(_log(a)), side(_log(b))),
        "left_behind_since": ("and since when", side(_log(a)), side([_point("a", 5, 1, AT - 50), *_log(a), _point("a", 12, 1, AT), _point("a", 20, 1, AT + 9)][1:])),
        "right_behind": ("the right one ends before", side(_log(b, at=seen)), side(_log(a))),
        "forked_at_the_end": ("two records at one place", side(_log(a, ("b", 11))), side(_log(a, ("c", 11)))),
        "forked_times": ("and since when each saw its own", side(_log(a, ("b", 11), at=seen)), side(_log(a, ("c", 14), at=(1, AT + 5)))),
        "forked_then_longer": ("one went on", side(_log(a, ("b", 12))), side(_log(a, ("c", 30)))),
        "forked_from_the_beginning": ("nothing in common", side(_log(("b", 9))), side(_log(("c", 9)))),
        "forked_far_back": ("only a place of the ruler is in common", side(_log(("a", 10), ("b", 1_000))), side(_log(("a", 10), ("c", 700)))),
        "forked_before": ("the left one had another log in that generation, and has the same now", side(_log(b, at=seen), gone=[_point("b", 15, 1, AT)]), side(_log(b, at=seen))),
        "forked_before_both": ("what each had then is gone from both, and was not the same", side(_log(b), gone=[_point("b", 15, 1, AT)]), side(_log(b), gone=[_point("c", 15, 1, AT)])),
        "gone_was_the_same": ("both had that log before", side(_log(b, at=(2, AT)), 2, 2, gone=[_point("b", 15, 1, AT)]), side(_log(b, at=(2, AT)), 2, 2, gone=[_point("b", 15, 1, AT)])),
        "gone_of_a_generation_before": ("the left one's old log is of the life before", side(_log(b, at=(2, AT)), 2, 2, gone=[_point("b", 20, 1, AT)]), side(_log(b, at=(1, AT)), 3, 1)),
        "other_generation": ("two logs in two lives of the relay", side(_log(a, ("b", 11), at=seen)), side(_log(a, ("c", 11), at=seen), 3, 1)),
        "other_generation_known": ("the right one knows both", side(_log(a, ("b", 11), at=seen)), side(_log(a, ("c", 11), at=(2, AT)), 2, 2)),
        "forked_in_the_generation_before": ("the right log was there in the left one's generation already", side(_log(a, ("b", 11), at=seen)), side([*_log(a)[:-1], _point("a", 10), _point("c", 11, 1, AT), _point("c", 12, 2, AT)], 2, 2)),
        "generation_unknown": ("nobody knows when", side(_log(a, ("b", 11)), 1, 0), side(_log(a, ("c", 11)), 1, 0)),
        "generation_unknown_on_one_side": ("one does", side(_log(a, ("b", 11)), 1, 1), side(_log(a, ("c", 11)), 1, 0)),
        "unchecked": ("no place in common", side(_log(("a", 1_000), only=990), base=990), side(_log(("a", 20)))),
        "same_to_the_ruler": ("one log, as far as the places tell that they have in common", side(_log(("a", 100))), side(_log(("a", 200)))),
    }  # fmt: skip
    for name, (about, left, right) in pairs.items():
        yield f"compared_{name}", _of(about, left, right)
    other = _line(_log(a), id=fixed_bytes("a line", 16))
    yield "compared_only_left", _of("a stream that one does not read", _report(_line(_log(b)), other), _report(_line(_log(b))))  # fmt: skip
    yield "compared_only_right", _of("and the other way round", _report(), _report(_line(_log(b)), other))
    # Who has the log can tell of any place.
    for name, length, there, of in (
        ("left_knows_all", 200, 100, "a"), ("left_knows_of_a_fork", 200, 100, "b"), ("left_knows_and_is_behind", 100, 200, "a"),
        ("left_does_not_know", 200, 100, ""),
    ):  # fmt: skip
        knows = {at: LINE.point(at, _chain(of, at)) for at in range(1, length + 1)} if of else {}
        yield (
            f"compared_{name}",
            _of("by one who has the log", side(_log(("a", length))), side(_log(("a", there))), knows),
        )


def _of(about: str, left: Report, right: Report, knows: dict[int, bytes] | None = None) -> Vector:
    found = differences(left, right, None if knows is None else lambda _, at: knows.get(at))
    out = {
        "found": {line.hex(): [one.verdict, one.left, one.right, one.same_to, one.index, one.since, one.left_at, one.right_at] for line, one in found.found.items()},
        "only_left": plain(found.only_left), "only_right": plain(found.only_right),
    }  # fmt: skip
    texts = {"left": report.sign_report(NORA, CASE, left), "right": report.sign_report(KARIM, CASE, right)}
    known = None if knows is None else {str(at): tag.hex() for at, tag in knows.items()}
    return {"kind": "compared", "about": about, **texts, "knows": known, "out": out}


def _files() -> Iterator[tuple[str, Vector]]:
    mine = report.sign_report(NORA, CASE, _report(_line(_log(("a", 9)))))
    for name, about, other in (
        ("same", "two of one case", report.sign_report(KARIM, CASE, _report(_line(_log(("a", 9))), at=AT + 7, n=8))),
        ("forked", "two logs", report.sign_report(KARIM, CASE, _report(_line(_log(("b", 9)))))),
        ("behind", "one is behind", report.sign_report(KARIM, CASE, _report(_line(_log(("a", 7)))))),
        ("apart", "nothing in common", report.sign_report(KARIM, CASE, _report())),
        ("unsigned", "nobody asks who signed", _armour(pack({"body": pack(_report()), "sig": bytes(64)}))),
        ("other_case", "two cases", report.sign_report(KARIM, OTHER_CASE, _report(case=bytes(16)))),
        ("no_report", "words", "Wie haalt Sam op?"),
        ("newer", "of a newer program", _text(pack(_report(v=2)))),
        ("too_large", "no report is that long", "x" * (report.MAX_REPORT_BYTES + 1)),
        ("too_large_in_bytes", "and none in bytes", "é" * (report.MAX_REPORT_BYTES // 2 + 1)),
    ):
        found = _tried(lambda other=other: reporting.compare_files(mine, other))
        # A megabyte of one letter is not kept.
        shown = {"repeat": [other[0], len(other)]} if len(other) > 100_000 else {"second": other}
        yield f"files_{name}", {"kind": "files", "about": about, "first": mine, **shown, **found}
