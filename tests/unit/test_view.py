"""What a view may not tell: whatever was not selected, changed in any way, leaves every byte of the projection as it is."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eigenkring import grant as grants
from eigenkring import view as views
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import Chain, DeviceId, GrantId, PersonId, RoomSecret, StreamId
from eigenkring.schema import load_schema
from eigenkring_crypto.box import BoxKey
from eigenkring_crypto.errors import Unopenable

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SCHEMA = load_schema()

# --- any documents, any selection

# Where other things run beside it, making documents is slow, and that is no fault of theirs.
unhurried = settings(suppress_health_check=[HealthCheck.too_slow])

people_ids = st.sampled_from([bytes([n]) * 8 for n in (0x1A, 0x2B, 0x3C, 0x11)]).map(PersonId)
NAMES = ["Nora", "Eva", "Karim", "Sam", "Opa"]
peoples = st.dictionaries(people_ids, st.sampled_from(NAMES))
# Few ids, so that items point at each other; one has no letter.
item_ids = st.sampled_from([f"{n:02x}" * 10 for n in (0xA0, 0xB1, 0xC2, 0xD3, 0x44)])
ids = st.one_of(item_ids, people_ids.map(bytes.hex), st.sampled_from(["0f" * 16, "e1" * 32]))
words = st.one_of(
    st.text(max_size=12).filter(lambda text: text.isprintable() or text == ""),
    ids,
    st.sampled_from(NAMES),
    st.tuples(st.sampled_from(["zie ", "(", "/", "é", "-"]), ids, st.sampled_from([".", " en ", "_", ""])).map("".join),
)
values = st.one_of(
    words,
    st.booleans(),
    st.none(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(words, max_size=3, unique=True).map(sorted),
)
field_names = st.sampled_from(["what", "who", "with", "text", "new"])
collections = st.sampled_from(["agreements", "topics", "new"])
parts = st.sampled_from(["plan", "safety", "contacts@" + "1a" * 8, "contacts@" + "2b" * 8])
items = st.dictionaries(field_names, values, max_size=4)
documents_st = st.dictionaries(
    parts, st.dictionaries(collections, st.dictionaries(item_ids, items, max_size=4), max_size=3), max_size=4
)
any_item, any_field = st.one_of(st.just("*"), item_ids), st.one_of(st.just("*"), field_names)
some_items = st.lists(item_ids, max_size=2).map(tuple)
names_chosen = st.lists(st.one_of(st.sampled_from(NAMES), people_ids.map(bytes.hex)), max_size=2).map(tuple)


def _selections(items: Any, naming: Any) -> Any:
    fields = st.dictionaries(collections, st.lists(field_names, max_size=3).map(tuple), max_size=3)
    of = st.builds(
        views.PartSelection,
        items=items,
        fields=st.one_of(st.just("all"), fields),
        without=st.lists(st.tuples(collections, any_item, any_field), max_size=2).map(tuple),
        naming=naming,
    )
    return st.builds(views.Selection, st.dictionaries(parts, of, max_size=3))


any_items, any_names = st.one_of(st.just("all"), some_items), st.one_of(st.none(), names_chosen)
selections = _selections(any_items, any_names)
# Which items there are is a matter of all fields, and of all names, where names choose them: docs/spec/view.md says so.
selections_without_names = _selections(any_items, st.none())
selections_of_items = _selections(some_items, any_names)


def _packed(selection: views.Selection, documents: Any, people: Any, key: bytes = KEY) -> bytes:
    return views.pack_projection(views.project(selection, documents, people, key))


def _with_all_parts(selection: views.Selection, documents: dict[str, Any]) -> dict[str, Any]:
    return {part: {} for part in selection.parts} | documents


def _mentioned(documents: Any) -> str:
    return json.dumps(documents, ensure_ascii=False)


@unhurried
@given(selections, documents_st, documents_st, peoples)
def test_a_part_that_is_not_selected_changes_nothing(selection: Any, documents: Any, others: Any, people: Any) -> None:
    documents = _with_all_parts(selection, documents)
    changed = others | {part: documents[part] for part in selection.parts}
    assert _packed(selection, documents, people) == _packed(selection, changed, people)


@unhurried
@given(selections_of_items, documents_st, documents_st, peoples)
def test_an_item_that_is_not_selected_changes_nothing(selection: Any, documents: Any, others: Any, people: Any) -> None:
    """Items come, go and change their words; references to them stay."""
    documents = _with_all_parts(selection, documents)
    changed: dict[str, Any] = {}
    for part, chosen in selection.parts.items():
        before, other = documents[part], others.get(part, {})
        changed[part] = {
            c: {
                **{i: f for i, f in other.get(c, {}).items() if i not in chosen.items},
                **{i: f for i, f in before.get(c, {}).items() if i in chosen.items},
            }
            for c in {*before, *other}
        }
    assert _packed(selection, documents, people) == _packed(selection, changed, people)


@unhurried
@given(selections_without_names, documents_st, st.dictionaries(field_names, values, max_size=3), peoples)
def test_a_field_that_is_not_selected_changes_nothing(selection: Any, documents: Any, new: Any, people: Any) -> None:
    documents = _with_all_parts(selection, documents)
    changed: dict[str, Any] = {}
    for part, chosen in selection.parts.items():
        changed[part] = {
            c: {
                i: {k: v for k, v in f.items() if chosen.has_field(c, i, k)}
                | {k: v for k, v in new.items() if not chosen.has_field(c, i, k)}
                for i, f in found.items()
            }
            for c, found in documents[part].items()
        }
    assert _packed(selection, documents, people) == _packed(selection, changed, people)


@unhurried
@given(selections, documents_st, documents_st, peoples)
def test_an_item_that_names_nobody_chosen_changes_nothing(
    selection: Any, documents: Any, others: Any, people: Any
) -> None:
    documents = _with_all_parts(selection, documents)
    changed: dict[str, Any] = {}
    for part, chosen in selection.parts.items():
        names = {one for name in chosen.naming or () for one in (name, people.get(_person(name)))} - {None}
        names |= {person.hex() for person, name in people.items() if name in names}

        def is_in(item: str, fields: Any, chosen: Any = chosen, names: Any = names) -> bool:
            texts = [text for value in fields.values() for text in (value if isinstance(value, list) else [value])]
            return (chosen.items == "all" or item in chosen.items) and (
                chosen.naming is None or any(isinstance(text, str) and text in names for text in texts)
            )

        before, other = documents[part], others.get(part, {})
        changed[part] = {
            c: {i: f for i, f in other.get(c, {}).items() if not is_in(i, f)}
            | {i: f for i, f in before.get(c, {}).items() if is_in(i, f)}
            for c in {*before, *other}
        }
    assert _packed(selection, documents, people) == _packed(selection, changed, people)


def _person(name: str) -> PersonId | None:
    return PersonId(bytes.fromhex(name)) if len(name) == 16 else None


@unhurried
@given(selections_without_names, documents_st, peoples, people_ids, st.sampled_from(NAMES))
def test_a_person_who_is_not_named_changes_nothing(
    selection: Any, documents: Any, people: Any, person: Any, name: str
) -> None:
    documents = _with_all_parts(selection, documents)
    assume(person.hex() not in _mentioned([documents[part] for part in selection.parts]))
    assert _packed(selection, documents, people) == _packed(selection, documents, {**people, person: name})


@unhurried
@given(selections, documents_st, peoples, st.randoms())
def test_no_order_of_anything_changes_anything(selection: Any, documents: Any, people: Any, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        pairs = [(k, shuffled(v)) for k, v in value.items()]
        random.shuffle(pairs)
        return dict(pairs)

    documents = _with_all_parts(selection, documents)
    again = views.Selection(shuffled(selection.parts))
    assert _packed(selection, documents, people) == _packed(again, shuffled(documents), shuffled(people))


@unhurried
@given(selections, documents_st, peoples)
def test_no_id_is_in_a_view_and_two_grants_share_none(selection: Any, documents: Any, people: Any) -> None:
    documents = _with_all_parts(selection, documents)
    one = views.project(selection, documents, people, KEY)
    two = views.project(selection, documents, people, OTHER_KEY)
    texts = json.dumps(one, ensure_ascii=False)
    for n in (0xA0, 0xB1, 0xC2, 0xD3):
        assert f"{n:02x}" * 10 not in texts
    for id_text in ("0f" * 16, "e1" * 32, *(person.hex() for person in people)):
        assert id_text not in texts
    for part in selection.parts:
        assert "@" not in part or part not in one

    def keys(projection: views.Projection) -> set[str]:
        return {i for of in projection.values() for found in of.values() for i in found}

    assert not keys(one) & keys(two)


@unhurried
@given(selections, documents_st, peoples)
def test_nothing_empty_is_shown(selection: Any, documents: Any, people: Any) -> None:
    out = views.project(selection, _with_all_parts(selection, documents), people, KEY)
    assert len(out) == len(selection.parts)
    for of in out.values():
        for found in of.values():
            assert found
            assert all(found.values())
            assert not [v for fields in found.values() for v in fields.values() if v in ("", [], None)]


@unhurried
@given(selections, documents_st, peoples)
def test_what_is_packed_is_what_a_reader_opens(selection: Any, documents: Any, people: Any) -> None:
    out = views.project(selection, _with_all_parts(selection, documents), people, KEY)
    key = grants.publisher_key(RoomSecret(KEY), GrantId(bytes(16)))
    payload = _record(key, parts=views.pack_projection(out))
    assert views.open_view(payload, DOWN, GRANT, key.public).parts == out


# --- told by example

GRANT, DOWN = GrantId(bytes(16)), StreamId(b"d" * 16)
NORA, EVA = PersonId(b"\x1a" * 8), PersonId(b"\x2b" * 8)


def _record(key: Any, **of: Any) -> bytes:
    view: dict[str, Any] = {
        "grant": GRANT, "v": 1, "length": 0, "chain": Chain(bytes(32)), "until": 9, "to": "De Wit", "parts": b"\x80", "who": b"",
    }  # fmt: skip
    return views.make_view(key, DOWN, **(view | of))


def _agreements(**of: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {"agreements": of}}


def _shown(documents: Any, **of: Any) -> list[dict[str, Any]]:
    out = views.project(views.Selection({"plan": views.PartSelection(**of)}), documents, {EVA: "Eva"}, KEY)
    return list(out["plan"].get("agreements", {}).values())


def test_an_item_with_no_field_left_is_not_counted() -> None:
    documents = _agreements(a={"what": "x", "with": "Eva"}, b={"with": "Sam"}, c={})
    assert _shown(documents, fields={"agreements": ("what",)}) == [{"what": "x"}]
    assert _shown(documents, without=(("agreements", "*", "with"),)) == [{"what": "x"}]


def test_an_emptied_text_is_as_if_it_never_was() -> None:
    """A device makes every text of an item at once, so an empty one says nothing, or that something was deleted."""
    assert _shown(_agreements(a={"what": "x", "help": ""}, b={"help": "", "asked": [], "next": None})) == [
        {"what": "x"}
    ]


def test_a_name_chooses_by_the_name_or_the_id_in_any_field() -> None:
    documents = _agreements(
        a={"what": "1", "who": "Eva"}, b={"what": "2", "with": EVA.hex()}, c={"what": "3", "asked": [EVA.hex()]}
    )
    documents["plan"]["agreements"]["d"] = {"what": "Eva komt", "who": "Opa"}
    for chosen in ("Eva", EVA.hex()):
        shown = _shown(documents, naming=(chosen,), fields={"agreements": ("what",)})
        assert sorted(item["what"] for item in shown) == ["1", "2", "3"]


def test_persons_are_names_and_items_are_pseudonyms() -> None:
    item, other = "a0" * 10, "b1" * 10
    documents = _agreements(**{item: {"what": f"zie {other}", "who": EVA.hex()}, other: {"what": "y"}})
    out = views.project(views.Selection({"plan": views.PartSelection()}), documents, {EVA: "Eva"}, KEY)
    found = out["plan"]["agreements"]
    assert found[views.pseudonym(KEY, item)] == {"what": f"zie {views.pseudonym(KEY, other)}", "who": "Eva"}


def test_deleted_words_are_not_there_to_be_shown() -> None:
    """The input is plain data: what a document holds now. No history can come along with it."""
    assert _shown(_agreements(a={"what": "nieuw"})) == [{"what": "nieuw"}]


def test_half_a_view_is_none() -> None:
    with pytest.raises(Misuse) as raised:
        views.project(
            views.Selection({"plan": views.PartSelection(), "review": views.PartSelection()}), {"plan": {}}, {}, KEY
        )
    assert raised.value.code == "no_such_part"


@unhurried
@given(st.sampled_from(sorted(SCHEMA.kinds)), st.booleans())
def test_only_what_the_schema_lets_the_granter_show_can_be_chosen(kind: str, own: bool) -> None:
    known = SCHEMA.kinds[kind]
    part = kind if not known.about_person else f"{kind}@{(NORA if own else EVA).hex()}"
    allowed = known.show == "owner" or (known.show == "self" and own)
    if allowed:
        assert list(views.parse_selection(SCHEMA, NORA, [part]).parts) == [part]
    else:
        with pytest.raises(Misuse) as raised:
            views.parse_selection(SCHEMA, NORA, [part])
        assert raised.value.code == "not_permitted"


def test_every_field_that_can_be_chosen_can_be_left_out() -> None:
    for kind, known in SCHEMA.kinds.items():
        if known.show != "owner":
            continue
        for collection, rule in known.collections.items():
            for field in rule.fields:
                path = f"{kind}/{collection}"
                views.parse_selection(SCHEMA, NORA, fields=[f"{path}/{field}"])
                chosen = views.parse_selection(SCHEMA, NORA, [kind], without=[f"{path}/*/{field}"])
                assert not chosen.parts[kind].has_field(collection, "x", field)


# --- the record and its keys


def test_the_author_has_one_length_and_no_epoch() -> None:
    sealed = [grants.seal_author(KEY, GRANT, DeviceId(bytes([n]) * 16), bytes(24)) for n in range(3)]
    assert {len(who) for who in sealed} == {333}
    assert {who[:5] for who in sealed} == {b"\1\0\0\0\0"}


def test_no_two_grants_share_a_key() -> None:
    other = GrantId(b"o" * 16)
    secret = RoomSecret(KEY)
    keys = [of(secret, g).public for of in (grants.granter_key, grants.publisher_key) for g in (GRANT, other)]
    assert len(set(keys)) == 4


def test_a_turned_state_reaches_its_device_and_no_other() -> None:
    granter = grants.granter_key(RoomSecret(KEY), GRANT)
    state = grants.GrantState(GRANT, 2, DOWN, StreamId(b"u" * 16), RoomSecret(KEY), 2, granter.public, 9, "De Wit")
    key, doorstep, device = BoxKey.from_seed(KEY), StreamId(b"s" * 16), DeviceId(b"v" * 16)
    signed = grants.sign_state([granter], state)
    payload = grants.make_turned(key.public, doorstep, device, signed)
    assert grants.open_turned(payload, key, doorstep, device, GRANT, granter.public, 1) == (state, granter.public)
    with pytest.raises(Inadmissible) as older:
        grants.open_turned(payload, key, doorstep, device, GRANT, granter.public, 2)
    assert older.value.code == "not_newer"
    with pytest.raises(Inadmissible) as other:
        grants.open_turned(payload, key, doorstep, DeviceId(b"w" * 16), GRANT, granter.public, 1)
    assert other.value.code == "not_for_me"
    with pytest.raises(Unopenable):
        grants.open_turned(payload, BoxKey.from_seed(OTHER_KEY), doorstep, device, GRANT, granter.public, 1)
    with pytest.raises(Unopenable):
        grants.open_turned(payload, key, StreamId(b"t" * 16), device, GRANT, granter.public, 1)
    assert grants.open_welcome(grants.make_welcome(GRANT, signed), GRANT, granter.public) == (state, granter.public)


@unhurried
@given(st.binary(max_size=64))
def test_nonsense_is_one_error(data: bytes) -> None:
    key = grants.publisher_key(RoomSecret(KEY), GRANT)
    with pytest.raises(Inadmissible) as raised:
        views.open_view(data, DOWN, GRANT, key.public)
    assert raised.value.code == "bad_view"
    with pytest.raises(Inadmissible) as raised:
        views.open_view(_record(key, parts=data + b"\xc1"), DOWN, GRANT, key.public)
    assert raised.value.code == "bad_view"


def test_no_error_repeats_what_was_sent() -> None:
    key = grants.publisher_key(RoomSecret(KEY), GRANT)
    secret_words = "geheim" + string.ascii_letters
    payload = _record(key, parts=views.msgspec.msgpack.encode({secret_words: {secret_words: secret_words}}))
    with pytest.raises(Inadmissible) as raised:
        views.open_view(payload, DOWN, GRANT, key.public)
    assert "geheim" not in str(raised.value)
    assert raised.value.__cause__ is None
