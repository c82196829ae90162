"""The content schema: content.json is well formed, says what the design says, and gives everybody the same rooms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from eigenkring import rooms
from eigenkring.errors import EigenkringError
from eigenkring.ids import PersonId
from eigenkring.schema import ROLES, Schema, load_schema, parse_schema, split_part

CONTENT = files("eigenkring").joinpath("content.json").read_bytes()
FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "schema"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
LEAST = {"rooms": 23, "founding": 4, "about": 4, "new_item": 4, "part": 15, "fields": 80}
SCHEMA = load_schema()
PERSON = PersonId(bytes(range(8)))


def _rooms(v: dict[str, Any]) -> Any:
    found = SCHEMA.rooms_for(v["part"], PersonId(bytes.fromhex(v["person"])) if v["person"] else None)
    return found and {
        which: {
            "name": rule.name,
            "roles": list(rule.roles),
            "people": [person.hex() for person in rule.people],
            "let_in": list(rule.let_in),
        }
        for which, rule in (("read", found.read), ("write", found.write), ("manage", found.manage))
    }


def _part(v: dict[str, Any]) -> list[str | None]:
    kind, about = split_part(v["part"])
    return [kind, about.hex() if about else None]


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "rooms": _rooms,
    "founding": lambda v: SCHEMA.parts_at_founding(v["role"]),
    "about": lambda v: SCHEMA.parts_about(v["role"]),
    "new_item": lambda v: SCHEMA.new_item(v["part"], v["collection"]),
    "part": _part,
    "fields": lambda v: SCHEMA.validate_fields(v["part"], v["collection"], v["fields"], adding=v["adding"]),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    if "error" in vector:
        with pytest.raises(EigenkringError) as raised:
            RUN[vector["kind"]](vector)
        assert raised.value.code == vector["error"]
    else:
        assert RUN[vector["kind"]](vector) == vector["out"]


def test_no_vector_is_missing_or_unknown() -> None:
    kinds = Counter(vector["kind"] for vector in VECTORS.values())
    assert {kind: kinds[kind] for kind, least in LEAST.items() if kinds[kind] < least} == {}
    assert set(kinds) == set(RUN)
    assert sum("error" in vector for vector in VECTORS.values()) * 2 > len(VECTORS)


# --- what the file says


def test_every_part_of_the_domain_is_there() -> None:
    table = (
        "question circle voice answers contacts preparation strengths safety information private decisions plan help "
        "safetynet agenda review diary house access"
    )
    assert list(SCHEMA.kinds) == table.split()


@pytest.mark.parametrize(
    ("kind", "collections"),
    [
        ("question", "question"),
        ("circle", "people"),
        ("voice", "suggestions questions progress position"),
        ("answers", "reactions consents"),
        ("contacts", "contact"),
        ("preparation", "needs"),
        ("strengths", "items"),
        ("safety", "conditions needs"),
        ("information", "questions answers"),
        ("private", "ideas rounds taken"),
        ("decisions", "decisions"),
        ("plan", "agreements topics"),
        ("help", "requests answers"),
        ("safetynet", "steps card"),
        ("agenda", "appointments"),
        ("review", "reviews"),
        ("diary", "entries"),
        ("house", "worries good dreams people"),
        ("access", "grants settings"),
    ],
)
def test_the_collections_have_the_names_others_rely_on(kind: str, collections: str) -> None:
    assert list(SCHEMA.kinds[kind].collections) == collections.split()


def test_one_card_each() -> None:
    singles = {f"{k.kind}/{name}" for k in SCHEMA.kinds.values() for name, c in k.collections.items() if c.single}
    assert singles == {
        "question/question",
        "contacts/contact",
        "preparation/needs",
        "safetynet/card",
        "access/settings",
    }


def test_an_agreement_has_the_fields_others_rely_on() -> None:
    fields = SCHEMA.kinds["plan"].collections["agreements"].fields
    assert list(fields) == "topic what who with when recurrence help check status next photo".split()
    assert fields["what"].type == "text"
    assert fields["who"].type == fields["with"].type == "person"
    assert not SCHEMA.is_text("plan", "agreements", "who", "Oma")


def test_the_states_of_a_decision() -> None:
    states = "draft clarifying reacting consent_round adopted objection adapting withdrawn held to_review confirmed adapted ended"
    state = SCHEMA.field("decisions", "decisions", "state")
    assert state is not None
    assert list(state.options) == states.split()


def test_no_coordinator_ever_reads_the_private_time() -> None:
    for kind in ("private", "answers", "diary", "access", "decisions", "strengths"):
        known = SCHEMA.kinds[kind]
        assert "coordinator" not in known.read + known.write + known.let_in
    assert not {"private", "access"} & set(SCHEMA.parts_at_founding("coordinator"))


def test_nothing_about_a_person_is_shown_by_somebody_else() -> None:
    assert [k.kind for k in SCHEMA.kinds.values() if k.about_person and k.show == "owner"] == []
    assert {k.kind for k in SCHEMA.kinds.values() if k.show == "never"} == {"private", "access", "diary", "house"}


def test_rooms_follow_the_rule_of_the_charter() -> None:
    for kind, known in SCHEMA.kinds.items():
        found = SCHEMA.rooms_for(kind, PERSON if known.about_person else None)
        assert found is not None
        for rule in (found.read, found.write, found.manage):
            assert rooms.follows_from_rule(rule.name, rule.roles, rule.people), rule


def test_two_parts_never_share_a_room_of_different_people() -> None:
    rules: dict[str, set[Any]] = {}
    for kind, known in SCHEMA.kinds.items():
        found = SCHEMA.rooms_for(kind, PERSON if known.about_person else None)
        assert found is not None
        for rule in (found.read, found.write, found.manage):
            rules.setdefault(rule.name, set()).add((rule.roles, rule.people, rule.let_in))
    assert {name for name, found in rules.items() if len(found) > 1} == set()


def test_every_field_has_words_in_both_languages() -> None:
    def words(value: Any) -> list[str]:
        if isinstance(value, dict):
            if set(value) == {"nl", "en"}:
                return list(value.values())
            return [word for inner in value.values() for word in words(inner)]
        return [word for inner in value for word in words(inner)] if isinstance(value, list) else []

    assert all(word.strip() == word != "" for word in words(json.loads(CONTENT)))


def test_it_never_calls_anybody_a_client() -> None:
    text = CONTENT.decode().lower()
    assert [word for word in ("cliënt", "client", "casus", "dossier", "score", "%") if word in text] == []


def test_a_new_part_and_field_are_an_edit_of_the_file_only() -> None:
    content = json.loads(CONTENT)
    soup = {"type": "text", "label": {"nl": "Soep", "en": "Soup"}}
    recipes = content["parts"][0] | {
        "kind": "recipes",
        "collections": {"soups": {"title": soup["label"], "single": False, "fields": {"text": soup}}},
    }
    content["parts"].append(recipes)
    schema = parse_schema(json.dumps(content).encode())
    assert schema.parts_at_founding()[-1] == "recipes"
    schema.validate_fields("recipes", "soups", {"text": "Tomatensoep"})


# --- what is not well formed


def _change(path: str, value: Any) -> bytes:
    content = json.loads(CONTENT)
    *way, last = path.split("/")
    at: Any = content
    for step in way:
        at = next(p for p in at if p["kind"] == step) if isinstance(at, list) else at[step]
    at[last] = value
    return json.dumps(content).encode()


WORDS = {"nl": "x", "en": "x"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("roles", ["owner", "member"]),
        ("more", 1),
        ("parts/plan/kind", "safety"),
        ("parts/plan/kind", "Plan"),
        ("parts/plan/kind", "owner"),
        ("parts/plan/kind", "grant"),
        ("parts/plan/color", "red"),
        ("parts/plan/manage", "self"),
        ("parts/diary/manage", "owner"),
        ("parts/plan/read", ["owner", "neighbour"]),
        ("parts/plan/write", ["owner", "coordinator"]),
        ("parts/plan/write", ["owner", "let_in"]),
        ("parts/plan/let_in", []),
        ("parts/safety/let_in", ["child"]),
        ("parts/plan/about_person", True),
        ("parts/diary/given_to", []),
        ("parts/plan/given_to", ["owner"]),
        ("parts/plan/read", ["owner", "member", "child", "let_in", "self"]),
        ("parts/voice/given_to", ["owner", "member", "child"]),
        ("parts/voice/show", "owner"),
        ("parts/plan/show", "everybody"),
        ("parts/plan/title", {"nl": "Plan"}),
        ("parts/plan/collections/topics/fields/text", {"type": "prose", "label": WORDS}),
        ("parts/plan/collections/topics/fields/text", {"type": "choice", "label": WORDS}),
        ("parts/plan/collections/topics/fields/text", {"type": "text", "label": WORDS, "options": {"a": WORDS}}),
        ("parts/plan/collections/topics/fields/text", {"type": "integer", "label": WORDS, "default": "1"}),
        ("parts/plan/collections/topics/fields/text", {"type": "set", "label": WORDS, "refers": "plan/agreement"}),
        ("parts/plan/collections/topics/fields/text", {"type": "text", "label": WORDS, "help": "?"}),
    ],
)
def test_a_file_that_is_not_well_formed_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ValueError):
        parse_schema(_change(path, value))


def test_the_schema_is_read_once() -> None:
    assert load_schema() is load_schema()
    assert isinstance(SCHEMA, Schema)
    assert ROLES == rooms.ROLES


def test_the_words_of_a_choice_are_put_as_its_code() -> None:
    schema = load_schema()
    said = {"status": " Klaar ", "what": "Klaar", "unknown": "klaar"}
    assert schema.codes("plan", "agreements", said) == {"status": "done", "what": "Klaar", "unknown": "klaar"}
    assert schema.codes("plan", "agreements", {"status": "running"}) == {"status": "running"}
    assert schema.codes("plan", "agreements", {"status": "paars"}) == {"status": "paars"}
