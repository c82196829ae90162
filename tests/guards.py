"""Finds every guard of the pure rules, in Python and in TypeScript: a condition whose outcome is a refusal.

`mutations.py --guards` takes them out one by one, also each side of an `or`, and asks that the vectors go red: a rule
that no vector knows is a rule that the other language, or the next one, will not have.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CORE, CRYPTO = "core/eigenkring", "crypto/eigenkring_crypto"


class Area(NamedTuple):
    """Modules without their ending, alike in both languages, and what runs their vectors."""

    python: tuple[str, ...]
    tests: tuple[str, ...]
    vitest: tuple[str, ...]


UNIT = "tests/unit/test_{}.py"
AREAS = (
    Area(
        (
            "core/charter/coming",
            "core/charter/deeds",
            "core/charter/entry",
            "core/charter/locks",
            "core/charter/majority",
            "core/charter/rules",
            "core/rooms",
        ),
        ("charter_vectors", "keys", "charter"),
        ("charter", "rooms"),
    ),
    Area(
        (
            "core/part/attestation",
            "core/part/door",
            "core/part/fold",
            "core/part/record",
            "core/part/rights",
            "core/part/snapshot",
            "core/part/coverage",
        ),
        ("part_vectors", "change_vectors", "fold", "door"),
        ("part", "change"),
    ),
    Area(("core/change", "core/change-columns", "core/columns", "core/scalars"), ("change_vectors", "door", "part_vectors"), ("change",)),
    Area(("core/keys",), ("keys",), ("keys", "rooms")),
    Area(("core/doorstep", "core/link"), ("doorstep",), ("doorstep",)),
    Area(("core/grant", "core/view", "core/selection"), ("view_vectors", "view", "up"), ("view", "doorstep")),
    Area(
        ("crypto/box", "crypto/capability", "crypto/curve", "crypto/kdf", "crypto/pad", "crypto/seal", "crypto/sign", "crypto/words"),
        ("crypto_vectors", "crypto"),
        ("crypto",),
    ),
    Area(("core/stream",), ("stream",), ("stream",)),
)  # fmt: skip


# Guards that nothing notices when they are taken out alone, and why that is so: not a missing test. Of each the module,
# the condition, and what holds it. All others that `mutations.py --guards` calls BAD want a test.
_SHAPE = "the decoder's shape has this size or bound already; the guard is for callers that made the value themselves"
_CANONICAL = "the change is encoded again and compared, which refuses the same; and without that, this does"
_LAST = "every form that it refuses is refused before it; it is there for one that is not known"
_SIGNED = (
    "each reader of a signed number has a narrower bound: runs the limit, counters their sum, whole numbers 2^53 - 2"
)
_ENGINE = "of the crypto library too, which refuses the same input; both stay, for the library may change"
HELD = (
    ("charter/deeds.py", "not isinstance(self.body, kind)", "a body goes to the deed of its own kind; for the types"),
    ("charter/deeds.py", 'person.role == "owner"', "no owner has an end date: set_role refuses one"),
    ("charter/deeds.ts", 'person.role === "owner"', "no owner has an end date: set_role refuses one"),
    ("charter/rules.py", "not charter.people[device.person].here", "who left has no device here"),
    ("charter/rules.ts", "!author?.here", "who left has no device here"),
    ("charter/rules.py", "rule is None", "every kind of body that decodes has its rule; for the types"),
    ("charter/majority.ts", "act.what !== asked.what", "what, person and role of an act hold each other: each has a vote of its own"),
    ("charter/majority.ts", "act.role !== asked.role", "what, person and role of an act hold each other: each has a vote of its own"),
    ("charter/locks.py", "author.person not in after.audience(part.write)", "who turns or restarts a room is in it afterwards"),
    ("charter/locks.ts", "!after.audience(part.write).has(hex(author.person))", "who turns or restarts a room is in it afterwards"),
    ("charter/majority.ts", "found.n < 1", "no charter has a head of number 0, which is asked next"),
    ("charter/entry.ts", "found.length > 32", "a lock of another size than 0 or 32 is refused by the rule of rooms, with the same code"),
    ("charter/entry.ts", "value !== VERSION", "of an entry of another version no body is read"),
    ("part/attestation.py", "len(value) != size", _SHAPE),
    ("part/attestation.py", "not 0 <= value < end", _SHAPE),
    ("part/attestation.py", "len(raw) not in (ATTESTATION_BYTES, DATED_BYTES)", _SHAPE),
    ("part/attestation.ts", "!isAttestationSized(raw)", _SHAPE),
    ("part/attestation.ts", "value.length !== size", _SHAPE),
    ("part/attestation.ts", "!Number.isSafeInteger(value)", _SHAPE),
    ("part/attestation.ts", "value < 0", _SHAPE),
    ("part/record.py", "not 1 <= len(changes) <= MAX_CHANGES", _SHAPE),
    ("part/record.ts", "changes.length < 1", _SHAPE),
    ("part/record.ts", "changes.length > MAX_CHANGES", _SHAPE),
    ("part/record.ts", "!isAttestationSized(att)", "the attestation is parsed next, which asks the same with the same code"),
    ("part/rights.py", "len(incarnation) != INCARNATION_BYTES", _SHAPE),
    ("part/rights.ts", "incarnation.length !== INCARNATION_BYTES", _SHAPE),
    ("part/snapshot.py", "count * size > cursor.end - cursor.pos", "the reading itself ends at the bytes; this ends it before it begins"),
    ("part/snapshot.ts", "found * size > cursor.left", "the reading itself ends at the bytes; this ends it before it begins"),
    ("core/rooms.ts", "secret.length !== SECRET_BYTES", _SHAPE),
    ("eigenkring/change.py", "any(a >= b for a, b in pairwise(others))", _CANONICAL),
    ("eigenkring/change.py", "used != others", _CANONICAL),
    ("eigenkring/change.py", 'b"".join(head) != raw[start : len(raw) - sum(map(len, columns.values()))]', _LAST),
    ("eigenkring/change.py", "meta != NULL and pack_scalar(value) != (kind, data)", _LAST),
    ("eigenkring/columns.py", "packed != data", _LAST),
    ("eigenkring/change.py", "len(raw) < 10", "nine bytes have no content that sums to their checksum"),
    ("eigenkring/change.py", "count * size > cursor.end - cursor.pos", "the reading itself ends at the bytes; this ends it before it begins"),
    ("eigenkring/change.py", "None in values", _CANONICAL),
    ("eigenkring/change.py", "column not in COLUMNS", _CANONICAL),
    ("eigenkring/change.py", "length == 0", _CANONICAL),
    ("core/change.ts", "!rising(others)", _CANONICAL),
    ("core/change.ts", "used.length !== others.length", _CANONICAL),
    ("core/change.ts", "!used.every((other, at) => other === others[at])", _CANONICAL),
    ("core/change.ts", "!same(packHead(change, used, written), raw.subarray(start, raw.length - columnsBytes))", _LAST),
    ("core/change-columns.ts", "meta !== NULL && !isPacked(value, kind, data)", _LAST),
    ("core/columns.ts", "!same(packed.since(), data)", _LAST),
    ("core/change.ts", "raw.length < 10", "nine bytes have no content that sums to their checksum"),
    ("eigenkring/change.py", "pred is None", "the columns of predecessors hold no null, which is asked before; for the types"),
    ("core/change-columns.ts", "next === null", "the columns of predecessors hold no null, which is asked before; for the types"),
    ("core/change-columns.ts", "counter === null", "null is below 1 in JavaScript; for the types"),
    ("core/change.ts", "column <= last", _CANONICAL),
    ("core/change.ts", "!COLUMNS.has(column)", _CANONICAL),
    ("core/change.ts", "length === 0", _CANONICAL),
    ("core/change-columns.ts", "lengthsIn(metas) !== values.left", _CANONICAL),
    ("core/change-columns.ts", "predCounters.length !== total", _CANONICAL),
    ("core/columns.ts", "value > (negative ? MAX_SAFE - 1 : MAX_SAFE)", _SIGNED),
    ("core/columns.ts", "size === 0", _CANONICAL),
    ("core/columns.ts", 'kind === "null"', _CANONICAL),
    ("core/columns.ts", "last !== null && equal(value, last)", _CANONICAL),
    ("core/columns.ts", "count === 1", _CANONICAL),
    ("core/columns.ts", "equal(next, value)", _CANONICAL),
    ("core/columns.ts", "!seen", _CANONICAL),
    ("core/columns.ts", "(size === 0 && (value || out.length > 0 || cursor.left === 0))", _CANONICAL),
    ("eigenkring/columns.py", "not -MAX_SAFE <= value <= MAX_SAFE", _SIGNED),
    ("eigenkring/columns.py", "count > self.end - start", "the reading itself ends at the bytes; this ends it before it begins"),
    ("eigenkring/columns.py", "not seen", _CANONICAL),
    ("eigenkring/columns.py", "value == last", _CANONICAL),
    ("eigenkring/columns.py", "size == 0", _CANONICAL),
    ("eigenkring/columns.py", 'kind == "null"', _CANONICAL),
    ("eigenkring/columns.py", "count == 1", _CANONICAL),
    ("eigenkring/link.py", "not hash_sign", "without the sign there is nothing after it, which has another length"),
    ("eigenkring/link.py", "not fragment.isascii()", "the decoder takes no other letter either"),
    ("core/link.ts", "at < 0", "without the sign nothing before it is the address of a relay"),
    ("core/keys.ts", "at === undefined", "no comparison with undefined holds; for the types"),
    ("core/keys.ts", "new Set(filled.map((content) => paddedBytes(content.length))).size !== 1", "an assertion on what this very function made"),
    ("eigenkring/keys.py", "len({padded_bytes(len(text)) for text in out}) != 1", "an assertion on what this very function made"),
    ("eigenkring_crypto/box.py", "len(public) != BOX_PUBLIC_BYTES", _ENGINE),
    ("eigenkring_crypto/box.py", "len(box) < MIN_BOX_BYTES", _ENGINE),
    ("eigenkring_crypto/sign.py", "len(signature) != SIGNATURE_BYTES", _ENGINE),
    ("eigenkring_crypto/sign.py", 'int.from_bytes(signature[32:], "little") >= ORDER', _ENGINE),
    ("src/crypto/sign.ts", "signature.length !== SIGNATURE_BYTES", _ENGINE),
    ("src/crypto/sign.ts", "littleEndian(signature.subarray(32)) >= ORDER", _ENGINE),
    ("src/crypto/sign.ts", "x === undefined", "an Ed25519 key that goes out as JWK has its x; for the types"),
    ("src/crypto/curve.ts", "mod(v * x * x - u) !== 0n", "only a key that was looked at before is decoded"),
    ("eigenkring_crypto/pad.py", "len(padded) < MIN_PADDED_BYTES", "no length has so small a size, which the next line asks"),
    ("eigenkring_crypto/words.py", "len(words) != WORD_COUNT", "the lists of this build are tested word by word; for a damaged one"),
    ("src/crypto/words.ts", "words.length !== WORD_COUNT", "the lists of this build are tested word by word; for a damaged one"),
)  # fmt: skip


class Guard(NamedTuple):
    """``text[start:end]`` is a condition that leads to a refusal."""

    file: str
    line: int
    start: int
    end: int
    condition: str
    tests: tuple[str, ...]

    @property
    def held_by(self) -> str | None:
        """What holds it where this guard alone is taken out, as `HELD` says."""
        of = (why for module, condition, why in HELD if self.file.endswith(module) and self.condition == condition)
        return next(of, None)

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {' '.join(self.condition.split())[:90]}"


def python_guards(file: str, tests: tuple[str, ...]) -> Iterator[Guard]:
    text = (ROOT / file).read_text()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    raw = text.encode()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If) and node.body and isinstance(node.body[-1], ast.Raise):
            for part in _sides(node.test):
                start = starts[part.lineno - 1] + part.col_offset
                end = starts[(part.end_lineno or part.lineno) - 1] + (part.end_col_offset or 0)
                yield Guard(file, part.lineno, start, end, raw[start:end].decode(), tests)


def _sides(test: ast.expr) -> list[ast.expr]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return [side for value in test.values for side in _sides(value)]
    return [test]


_IF = re.compile(r"\bif \(")
_REFUSES = re.compile(r"\s*(?:\{\s*(?://[^\n]*\n\s*)*)?throw\b")


def typescript_guards(file: str, tests: tuple[str, ...]) -> Iterator[Guard]:
    text = (ROOT / file).read_text()
    for found in _IF.finditer(text):
        start = found.end()
        end = _closing(text, start)
        if not _REFUSES.match(text, end + 1):
            continue
        for first, last in _alternatives(text, start, end):
            condition = text[first:last]
            if "instanceof" in condition:
                continue  # a fault that is no refusal is passed on
            yield Guard(
                file,
                text.count("\n", 0, first) + 1,
                len(text[:first].encode()),
                len(text[:last].encode()),
                condition,
                tests,
            )


def _closing(text: str, at: int) -> int:
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at - 1


def _alternatives(text: str, start: int, end: int) -> list[tuple[int, int]]:
    depth, cuts = 0, [start]
    for at in range(start, end):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text[at], 0)
        if depth == 0 and text.startswith("||", at):
            cuts += [at, at + 2]
    cuts.append(end)
    found = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=True):
        piece = text[first:last]
        lead = len(piece) - len(piece.lstrip())
        found.append((first + lead, first + len(piece.rstrip())))
    return found


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def guards(language: str) -> list[Guard]:
    found: list[Guard] = []
    for area in AREAS:
        for module in area.python:
            folder, _, path = module.partition("/")
            if language == "python":
                file = f"{CORE if folder == 'core' else CRYPTO}/{path}.py"
                if (ROOT / file).is_file():
                    tests = tuple(UNIT.format(name) for name in area.tests if (ROOT / UNIT.format(name)).is_file())
                    found += python_guards(file, tests)
            else:
                file = f"pwa/src/{folder}/{_camel(path)}.ts"
                if (ROOT / file).is_file():
                    found += typescript_guards(file, tuple(f"test/{name}.test.ts" for name in area.vitest))
    return found
