"""Test vectors of the content schema: the rooms of every kind, and what fits a field. Run by tests/unit/test_schema.py
and pwa/test/view.test.ts. A vector has `out` or `error`, never both.
"""

from collections.abc import Iterator
from typing import Any

from eigenkring.ids import PersonId
from eigenkring.schema import ROLES, load_schema

Vector = dict[str, Any]
PERSON = PersonId(bytes.fromhex("00112233445566ff"))


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for area in (_rooms, _lists, _names, _values):
        for name, vector in area():
            if name in vectors or ("out" in vector) == ("error" in vector):
                raise ValueError(f"vector {name} is double, or has both or neither of out and error")
            vectors[name] = vector
    return vectors


def _rooms() -> Iterator[tuple[str, Vector]]:
    schema = load_schema()

    def rooms(kind: str, about: PersonId | None) -> Vector:
        found = schema.rooms_for(kind, about)
        out = found and {
            which: {
                "name": rule.name,
                "roles": list(rule.roles),
                "people": [person.hex() for person in rule.people],
                "let_in": list(rule.let_in),
            }
            for which, rule in (("read", found.read), ("write", found.write), ("manage", found.manage))
        }
        return {"kind": "rooms", "part": kind, "person": about.hex() if about else None, "out": out}

    for kind, known in schema.kinds.items():
        yield f"rooms_{kind}", rooms(kind, PERSON if known.about_person else None)
    yield "rooms_unknown", rooms("recipes", None)
    yield "rooms_person_missing", rooms("diary", None)
    yield "rooms_person_too_many", rooms("plan", PERSON)
    yield "rooms_prototype", rooms("constructor", None)


def _lists() -> Iterator[tuple[str, Vector]]:
    schema = load_schema()
    for role in ROLES:
        yield f"founding_{role}", {"kind": "founding", "role": role, "out": schema.parts_at_founding(role)}
        yield f"about_{role}", {"kind": "about", "role": role, "out": schema.parts_about(role)}
    for kind, collection in (("plan", "agreements"), ("decisions", "decisions"), ("plan", "topics"), ("recipes", "x")):
        out = schema.new_item(kind, collection)
        yield f"new_{kind}_{collection}", {"kind": "new_item", "part": kind, "collection": collection, "out": out}


def _names() -> Iterator[tuple[str, Vector]]:
    yield "part", {"kind": "part", "part": "plan", "out": ["plan", None]}
    yield "part_about", {"kind": "part", "part": f"diary@{PERSON.hex()}", "out": ["diary", PERSON.hex()]}
    hexed = PERSON.hex()
    refused = ["", "Plan", "plan@", f"@{hexed}", "diary@0011", f"diary@{hexed.upper()}", f"diary@{hexed}\n", "plan\n"]
    refused += ["plan/agreements", "p" * 33, f"diary@@{hexed}", "diary@00112233445566fg", "plán"]
    for number, part in enumerate(refused):
        yield f"part_refused_{number:02}", {"kind": "part", "part": part, "error": "bad_path"}


def _values() -> Iterator[tuple[str, Vector]]:
    def fields(
        part: str, collection: str, given: dict[str, Any], error: str | None = None, adding: bool = False
    ) -> Vector:
        vector = {"kind": "fields", "part": part, "collection": collection, "fields": given, "adding": adding}
        return vector | ({"error": error} if error else {"out": None})

    long = "x" * 65_537
    fit: dict[tuple[str, str, str], list[Any]] = {
        ("plan", "agreements", "what"): ["", "words", long, "\U0001f600"],
        ("plan", "agreements", "who"): ["Oma", PERSON.hex()],
        ("plan", "agreements", "recurrence"): ["weekly", "als het kan"],
        ("plan", "agreements", "status"): ["open", "stopped"],
        ("plan", "topics", "order"): [0, -3, 2**53 - 2, -(2**53) + 2],
        ("safety", "conditions", "agreed"): [True, False],
        ("safety", "conditions", "met_by"): [[], ["a", "b"], ["é" * 128]],
        ("agenda", "appointments", "time"): [
            "2028-02-29", "2026-12-31T23:59", "2026-01-01 08:30:15", "2026-01-01T08:30Z", "2000-02-29T00:00+01:00",
            "0001-01-01",
        ],
        ("plan", "agreements", "later"): ["", None, True, 1, 1.5, ["a"]],
        ("recipes", "soups", "name"): ["soup", 1],
    }  # fmt: skip
    wrong: dict[tuple[str, str, str], list[Any]] = {
        ("plan", "agreements", "what"): [None, 1, True, ["x"], {"a": True}],
        ("plan", "agreements", "who"): ["", None, 7, ["Oma"]],
        ("plan", "agreements", "when"): [1, "é" * 32_769],
        ("plan", "agreements", "status"): ["", "Open", "klaar", "constructor", 1, None, ["open"]],
        ("plan", "topics", "order"): ["1", 1.5, True, None, 2**53 - 1, 2**53, -(2**53)],
        ("safety", "conditions", "agreed"): [0, 1, "true", None],
        ("safety", "conditions", "met_by"): ["a", ["a", "a"], [""], [1], {"a": 1}, None, ["é" * 128 + "x"], ["a", "__proto__"]],
        ("agenda", "appointments", "time"): [
            "", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-1-1", "0000-01-01",
            "2026-01-01T24:00", "2026-01-01T8:30", "2026-01-01T08:60", "2026-01-01T", "2026-01-01\n", "01-02-2026",
            "２026-01-01", 20260101,
        ],
        ("plan", "agreements", "later"): [{"a": {"b": 1}}, [1], 2**53, 1e300],
        ("recipes", "soups", "name"): [[["deep"]]],
    }  # fmt: skip
    for cases, error, word in ((fit, None, "fits"), (wrong, "bad_value", "refused")):
        for (part, collection, field), values in cases.items():
            for number, value in enumerate(values):
                yield f"{word}_{part}_{collection}_{field}_{number:02}", fields(part, collection, {field: value}, error)
    yield "fields_nothing", fields("plan", "agreements", {})
    yield "fields_unknown_collection", fields("plan", "dreams", {"text": "x"}, "no_such_collection")
    yield "fields_prototype_collection", fields("plan", "constructor", {}, "no_such_collection")
    yield "fields_one_of_two", fields("plan", "agreements", {"what": "x", "status": "x"}, "bad_value")
    yield "adding", fields("plan", "agreements", {"what": "x"}, adding=True)
    yield "adding_without_rule", fields("recipes", "soups", {}, adding=True)
    yield "adding_lacks", fields("plan", "agreements", {"who": "Oma"}, "bad_value", adding=True)
    yield "adding_empty", fields("plan", "agreements", {"what": ""}, "bad_value", adding=True)
