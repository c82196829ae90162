"""Test vectors of views and grants: what a reader sees, and (more of them) what must be refused, with the error's code.

`make()` gives {scenario: vector}. Bytes are hex. Both languages run every vector: tests/unit/test_view_vectors.py and
pwa/test/view.test.ts. A vector has `out` or `error`, never both. Projections also have `packed`, the bytes themselves.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from eigenkring import grant as grants
from eigenkring import view as views
from eigenkring.errors import Misuse
from eigenkring.ids import Chain, DeviceId, GrantId, PersonId, RoomSecret, StreamId
from eigenkring.schema import load_schema
from eigenkring_crypto.kdf import derive
from eigenkring_crypto.seal import seal
from eigenkring_crypto.sign import SigningKey, sign

Vector = dict[str, Any]
pack = msgspec.msgpack.encode


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for area in (
        _projections,
        _with_attachments,
        _selections,
        _checks,
        _terms,
        _authors,
        _states,
        _welcomes,
        _turned,
        _views,
        _versions,
    ):
        for name, vector in area():
            if name in vectors or ("out" in vector) == ("error" in vector):
                raise ValueError(f"vector {name} is double, or has both or neither of out and error")
            vectors[name] = vector
    return vectors


def _bytes(what: str, n: int = 32) -> bytes:
    """Bytes that look random and never change."""
    return hashlib.shake_256(f"eigenkring view vector {what}".encode()).digest(n)


NORA, EVA, KARIM, GONE = (PersonId(_bytes(name, 8)) for name in ("nora", "eva", "karim", "gone"))
PEOPLE = {NORA: "Nora", EVA: "Eva", KARIM: "Karim"}
KEY, OTHER_KEY = _bytes("pseudonyms"), _bytes("other pseudonyms")
GRANT, OTHER_GRANT = GrantId(_bytes("grant", 16)), GrantId(_bytes("other grant", 16))
DOWN, UP, DOORSTEP = (StreamId(_bytes(name, 16)) for name in ("down", "up", "doorstep"))
DEVICE = DeviceId(_bytes("device", 16))
CIRCLE, OTHER_CIRCLE = RoomSecret(_bytes("circle")), RoomSecret(_bytes("circle before"))
OWN = RoomSecret(_bytes("room @nora"))
NONCE = _bytes("nonce", 24)
UNTIL = 1_798_675_200
A, B, C, D = (_bytes(name, 10).hex() for name in "abcd")


# --- projections

DOCUMENTS: dict[str, Any] = {
    "plan": {
        "agreements": {
            A: {
                "what": "Op dinsdag eten bij oma",
                "who": "Karim",
                "with": EVA.hex(),
                "status": "open",
                "topic": "Rust",
            },
            B: {
                "what": "Karim rijdt",
                "who": KARIM.hex(),
                "when": "zaterdag",
                "next": f"zie {A}, of bel {NORA.hex()}.",
            },
            C: {"what": "Naar bed om negen uur", "who": "Nora"},
        },
        "topics": {D: {"text": "Rust in huis", "order": 1}},
    },
    "safety": {"conditions": {D: {"text": "Er is altijd iemand thuis", "met_by": [A, C], "agreed": True, "why": ""}}},
    "private": {"ideas": {C: {"text": "Dit leest niemand"}}},
    f"contacts@{NORA.hex()}": {"contact": {"contact": {"phone": "0612345678", "safe": "yes"}}},
    "agenda": {"appointments": {}},
}


def _plain(selection: views.Selection) -> Any:
    return msgspec.to_builtins(selection)


def _choose(*parts: str, **of: Any) -> views.Selection:
    return views.Selection({part: views.PartSelection(**of) for part in parts})


def _project(
    about: str,
    selection: views.Selection,
    documents: dict[str, Any] | None = None,
    people: dict[PersonId, str] = PEOPLE,
    key: bytes = KEY,
) -> Vector:
    documents = DOCUMENTS if documents is None else documents
    vector: Vector = {
        "kind": "project",
        "about": about,
        "selection": _plain(selection),
        "documents": documents,
        "people": {person.hex(): name for person, name in people.items()},
        "key": key.hex(),
    }
    try:
        out = views.project(selection, documents, people, key)
    except Misuse as error:
        return vector | {"error": error.code}
    return vector | {"out": out, "packed": views.pack_projection(out).hex()}


def _words(value: Any) -> dict[str, Any]:
    return {"plan": {"agreements": {A: {"what": value}}}}


def _projections() -> Iterator[tuple[str, Vector]]:
    plan = _choose("plan")
    yield "project_part", _project("a whole part: ids are pseudonyms, persons are names", plan)
    yield "project_two_parts", _project("a reference fits the item in another part", _choose("plan", "safety"))
    yield "project_other_grant", _project("the same for another grant: no id in common", plan, key=OTHER_KEY)
    yield "project_item", _project("one agreement", _choose("plan", items=(A,)))
    yield (
        "project_item_gone",
        _project("an item that is deleted: nothing, not an empty place", _choose("plan", items=("ff" * 10,))),
    )
    yield "project_field", _project("one field of each agreement", _choose("plan", fields={"agreements": ("what",)}))
    yield (
        "project_field_absent",
        _project(
            "agreements without the field are not there, not even as a count",
            _choose("plan", fields={"agreements": ("when",)}),
        ),
    )
    yield (
        "project_field_of_no_item",
        _project("a field nobody filled in", _choose("plan", fields={"agreements": ("help",)})),
    )
    yield (
        "project_without_field",
        _project("all but one field", _choose("plan", without=(("agreements", "*", "with"),))),
    )
    yield "project_without_item", _project("all but one item", _choose("plan", without=(("agreements", A, "*"),)))
    yield (
        "project_without_collection",
        _project("all but one collection", _choose("plan", without=(("agreements", "*", "*"),))),
    )
    yield (
        "project_without_field_of_item",
        _project("all but a field of one item", _choose("plan", without=(("agreements", A, "what"),))),
    )
    yield (
        "project_without_elsewhere",
        _project("an exception in another collection", _choose("plan", without=(("topics", "*", "what"),))),
    )
    yield (
        "project_naming",
        _project("agreements that name Eva, by a name, found by her id", _choose("plan", naming=("Eva",))),
    )
    yield "project_naming_person", _project("found by a name, chosen by the id", _choose("plan", naming=(KARIM.hex(),)))
    yield (
        "project_naming_hidden_field",
        _project(
            "named in a field that is not shown", _choose("plan", naming=("Eva",), fields={"agreements": ("what",)})
        ),
    )
    yield "project_naming_nobody", _project("nobody is named: an empty part", _choose("plan", naming=("Opa",)))
    yield (
        "project_naming_is_no_search",
        _project("a name within a sentence is not the name", _choose("plan", naming=("Op",))),
    )
    yield "project_naming_in_a_set", _project("a member of a set", _choose("safety", naming=(A,)))
    yield "project_naming_nothing", _project("no name fits an empty list", _choose("plan", naming=()))
    yield (
        "project_about_person",
        _project("a part about a person: the key holds no id", _choose(f"contacts@{NORA.hex()}")),
    )
    yield "project_empty_part", _project("an empty collection is not there, the part is", _choose("agenda"))
    yield "project_person_unknown", _project("a person nobody knows is a pseudonym", plan, _words(f"zie {GONE.hex()}"))
    yield "project_renamed", _project("a new name", plan, people={**PEOPLE, KARIM: "Karim 2"})
    yield "project_hash", _project("a hash of words not shown cannot be guessed at", plan, _words("ab" * 32))
    yield "project_device", _project("a device's or stream's id", plan, _words(f"({'0f' * 16})"))
    yield "project_digits_whole", _project("an id of digits alone, as a value", plan, _words("12345678901234567890"))
    yield "project_digits_within", _project("twenty digits in a sentence stay", plan, _words("nr 12345678901234567890"))
    yield "project_card", _project("sixteen digits stay: somebody's card", plan, _words("1234567890123456"))
    yield "project_other_length", _project("hexadecimal of another length stays", plan, _words("abcdef012345678"))
    yield "project_longer_run", _project("a run that is longer is no id", plan, _words(f"x{A} {A}0 {A.upper()}"))
    yield "project_iban", _project("an account number stays", plan, _words("NL91ABNA0417164300"))
    yield "project_joined", _project("ids side by side", plan, _words(f"{A}/{B}_{C}-{NORA.hex()}é{D}"))
    yield "project_path", _project("a path to an item", plan, _words(f"plan/agreements/{A}"))
    yield (
        "project_dollar",
        _project("a name that a replacement would read", plan, _words(NORA.hex()), {NORA: "$& $1 \\1"}),
    )
    values = {
        "a": 1,
        "b": 3.0,
        "c": -0.0,
        "d": 0.1,
        "e": 1e300,
        "f": True,
        "g": None,
        "h": [],
        "i": -5,
        "j": 2**53 - 1,
        "k": "",
    }
    yield "project_values", _project("every kind of value", plan, {"plan": {"agreements": {A: values}}})
    order = dict.fromkeys(("😀", "\uffff", "é", "z", "Z", "10", "9", "__proto__", "constructor", ""), 1)
    yield "project_order", _project("keys in the order of their UTF-8", plan, {"plan": {"agreements": {A: order}}})
    yield (
        "project_set_order",
        _project(
            "a set in order, after the ids are gone", plan, _words([A, "\U0001f600", "\uffff", NORA.hex(), "Nora"])
        ),
    )
    yield (
        "project_unknown",
        _project("collections and fields of a newer app", plan, {"plan": {"new": {A: {"newer": "x"}}}}),
    )
    yield "project_missing_part", _project("half a view is none", _choose("plan", "review"))
    yield "project_missing_part_of_person", _project("the part of another person", _choose(f"contacts@{EVA.hex()}"))


# --- selections


def _select(about: str, granter: PersonId = NORA, **choice: list[str]) -> Vector:
    vector: Vector = {"kind": "select", "about": about, "granter": granter.hex(), "choice": choice}
    try:
        return vector | {"out": _plain(views.parse_selection(load_schema(), granter, **choice))}
    except Misuse as error:
        return vector | {"error": error.code}


def _with_attachments() -> Iterator[tuple[str, Vector]]:
    """A view shows what an attachment is, and holds no way to it, wherever in the part it stands."""
    fields = {
        "v": 1, "stream": _bytes("photo", 16), "key": _bytes("photo key"), "name": "foto.jpg", "type": "image/jpeg",
        "size": 300, "hash": _bytes("photo hash"), "preview": b"\xff\xd8\xffsmall",
    }  # fmt: skip
    photo = _attached(fields)
    documents: dict[str, Any] = {
        "plan": {"agreements": {A: {"what": "Naar de speeltuin", "photo": photo}, B: {"photo": photo}}}
    }

    def shown(about: str, documents: dict[str, Any] = documents, **chosen: Any) -> Vector:
        return _project(about, _choose("plan", **chosen), documents=documents)

    yield "project_attachment", shown("name, kind, size and preview of a photo; no stream, no key, no hash")
    yield "project_attachment_left_out", shown("not where the field is not chosen", fields={"agreements": ("what",)})
    yield "project_attachment_without", shown("not where it is taken out", without=(("agreements", A, "photo"),))
    text = {"plan": {"agreements": {A: {"what": photo, "with": [photo, "Karim"]}}}}
    yield "project_attachment_in_text", shown("the same in a text; of a set it is left out", text)
    future = {"plan": {"agreements": {A: {"what": "x", "photo": _attached({"v": 2, "key": _bytes("k")})}}}}
    yield "project_attachment_future", shown("nothing of what a newer program wrote: it may hold a key", future)
    broken = {"plan": {"agreements": {A: {"what": "x", "photo": "eigenkring:attachment:AAAA"}}}}
    yield "project_attachment_broken", shown("nothing of what is none", broken)


def _attached(fields: dict[str, Any]) -> str:
    return "eigenkring:attachment:" + base64.urlsafe_b64encode(pack(fields)).rstrip(b"=").decode()


def _selections() -> Iterator[tuple[str, Vector]]:
    yield "select_parts", _select("parts, each once", parts=["plan", "safety", "plan"])
    yield "select_items", _select("items bring their part", items=[f"plan/agreements/{B}", f"plan/agreements/{A}"])
    yield (
        "select_fields",
        _select("fields bring their part", fields=["plan/agreements/what", "plan/topics/text", "plan/agreements/who"]),
    )
    yield (
        "select_items_narrow",
        _select("items narrow a part", parts=["plan", "safety"], items=[f"plan/agreements/{A}"]),
    )
    yield (
        "select_without",
        _select(
            "exceptions", parts=["plan"], without=["plan/agreements/*/with", f"plan/agreements/{A}", "plan/topics"]
        ),
    )
    yield "select_naming", _select("names narrow every part", parts=["plan", "help"], naming=["Eva", "Sam", "Eva"])
    yield "select_own_contacts", _select("an owner's own part", parts=[f"contacts@{NORA.hex()}"])
    yield "select_nothing", _select("a view of nothing")
    yield "select_only_names", _select("names alone choose nothing", naming=["Eva"])
    for name, part in (
        ("private", "private"),
        ("access", "access"),
        ("diary", f"diary@{NORA.hex()}"),
        ("house", f"house@{NORA.hex()}"),
    ):
        yield f"select_{name}", _select("never shown to anybody, by anybody", parts=[part])
    yield "select_private_item", _select("not by an item either", items=[f"private/ideas/{A}"])
    yield "select_contacts_of_another", _select("another person's part", parts=[f"contacts@{EVA.hex()}"])
    yield (
        "select_preparation_of_another",
        _select("what only that person and the coordinator read", parts=[f"preparation@{EVA.hex()}"]),
    )
    yield "select_voice_of_another", _select("what an owner reads but may not show", parts=[f"voice@{EVA.hex()}"])
    yield "select_unknown_part", _select("a kind nobody knows", parts=["recipes"])
    yield "select_unknown_item", _select("an item of a kind nobody knows", items=[f"recipes/dishes/{A}"])
    yield "select_person_missing", _select("about whom?", parts=["contacts"])
    yield "select_person_too_many", _select("about nobody", parts=[f"plan@{NORA.hex()}"])
    yield "select_bad_part", _select("no name of a part", parts=["Plan"])
    yield "select_bad_person", _select("no id of a person", parts=["contacts@nora"])
    yield "select_newline", _select("a part with a line end", parts=["plan\n"])
    yield "select_item_path", _select("too short for an item", items=["plan/agreements"])
    yield "select_item_any", _select("every item is no item", items=["plan/agreements/*"])
    yield "select_item_empty", _select("an empty piece", items=["plan/agreements/"])
    yield "select_field_path", _select("too long for a field", fields=["plan/agreements/what/now"])
    yield "select_unknown_collection", _select("no such collection", fields=["plan/dreams/text"])
    yield "select_prototype_collection", _select("a name every object has", fields=["plan/constructor/text"])
    yield "select_unknown_field", _select("no such field: a slip would hide too little", fields=["plan/agreements/wat"])
    yield (
        "select_unknown_without",
        _select("an exception that would except nothing", parts=["plan"], without=["plan/agreements/*/wiht"]),
    )
    yield (
        "select_without_part",
        _select("an exception to what is not chosen", parts=["plan"], without=["help/requests"]),
    )
    yield "select_without_path", _select("an exception of everything", parts=["plan"], without=["plan"])
    yield "select_empty_name", _select("nobody's name", parts=["plan"], naming=[""])
    yield "select_long_name", _select("a name too long", parts=["plan"], naming=["é" * 201])


def _check(about: str, error: str | None, *parts: str) -> Vector:
    chosen = _plain(_choose(*parts))
    return {"kind": "check", "about": about, "selection": chosen, "granter": NORA.hex()} | (
        {"error": error} if error else {"out": None}
    )


def _checks() -> Iterator[tuple[str, Vector]]:
    """What a device asks before it publishes: the selection came from a granter who may run another app."""
    yield "check_plan", _check("an ordinary one", None, "plan", f"contacts@{NORA.hex()}")
    yield "check_private", _check("private time", "not_permitted", "plan", "private")
    yield "check_diary", _check("Eva's own phone must not publish her diary", "not_permitted", f"diary@{EVA.hex()}")
    yield "check_house", _check("nor a child's page", "not_permitted", f"house@{EVA.hex()}")
    yield "check_answers", _check("nor who objected", "not_permitted", f"answers@{EVA.hex()}")
    yield "check_future_kind", _check("what a kind nobody knows allows, nobody knows", "no_such_part", "recipes")
    yield "check_nothing", _check("nothing", "bad_argument")
    yield "check_bad_part", _check("no part", "bad_path", "plan/agreements")


# --- terms and authors


def _open_terms(about: str, sealed: bytes, secret: bytes = CIRCLE, grant: bytes = GRANT) -> Vector:
    return {"kind": "terms", "about": about, "circle": secret.hex(), "grant": grant.hex(), "sealed": sealed.hex()}


def _terms() -> Iterator[tuple[str, Vector]]:
    chosen = _choose(
        "plan", items=(A,), fields={"agreements": ("what",)}, without=(("agreements", "*", "with"),), naming=("Eva",)
    )
    terms = grants.Terms("De Wit", chosen, UNTIL, _bytes("seed"), KEY, A)
    sealed = grants.seal_terms(CIRCLE, 3, GRANT, terms, NONCE)
    plain = {
        "to": "De Wit",
        "selection": _plain(chosen),
        "until": UNTIL,
        "seed": _bytes("seed").hex(),
        "pseudonyms": KEY.hex(),
        "access": A,
        "compare": False,
    }
    yield "terms", _open_terms("an ordinary grant", sealed) | {"out": plain}
    asking = grants.seal_terms(CIRCLE, 3, GRANT, msgspec.structs.replace(terms, compare=True), NONCE)
    yield "terms_compare", _open_terms("words are compared first", asking) | {"out": plain | {"compare": True}}

    def of(about: str, error: str | None, content: Any, packed: bytes | None = None) -> Vector:
        body = pack(content) if packed is None else packed
        vector = _open_terms(about, seal(derive(CIRCLE, "grant terms", GRANT), GRANT, 3, body, NONCE))
        return vector | ({"error": error} if error else {"out": plain | {"selection": _plain(_choose("plan"))}})

    raw: dict[str, Any] = msgspec.to_builtins(terms, builtin_types=(bytes,))
    short = raw | {"selection": {"parts": {"plan": {}}}}
    yield "terms_short", of("what is absent is all, and nothing", None, short)
    yield "terms_new_key", of("a key that nobody knows", None, short | {"later": 1})
    yield (
        "terms_before_the_turn",
        _open_terms("under the secret of another epoch", sealed, OTHER_CIRCLE) | {"error": "unopenable"},
    )
    yield (
        "terms_of_another_grant",
        _open_terms("moved to another grant", sealed, grant=OTHER_GRANT) | {"error": "unopenable"},
    )
    yield "terms_altered", _open_terms("altered", sealed[:-1] + bytes([sealed[-1] ^ 1])) | {"error": "unopenable"}
    yield "terms_future", _open_terms("a later version", b"\2" + sealed[1:]) | {"error": "future_version"}
    for name, about, content in (
        (
            "narrower_part",
            "a choice this app does not understand is not a wider one",
            {"parts": {"plan": {"before": 1}}},
        ),
        ("narrower", "nor around the parts", {"parts": {"plan": {}}, "but": 1}),
        ("no_parts", "no parts", {}),
        ("items_word", "items neither all nor a list", {"parts": {"plan": {"items": "some"}}}),
        ("fields_list", "fields neither all nor a map", {"parts": {"plan": {"fields": ["what"]}}}),
        ("fields_nil", "nil is not all", {"parts": {"plan": {"fields": None}}}),
        ("without_two", "an exception of two pieces", {"parts": {"plan": {"without": [["agreements", "*"]]}}}),
        ("naming_text", "names not in a list", {"parts": {"plan": {"naming": "Eva"}}}),
    ):
        yield f"terms_{name}", of(about, "bad_view", raw | {"selection": content})
    yield "terms_short_key", of("a key of another size", "bad_view", raw | {"pseudonyms": KEY[:31]})
    yield "terms_compare_number", of("neither yes nor no", "bad_view", raw | {"compare": 1})
    yield "terms_negative", of("an end before the beginning of time", "bad_view", raw | {"until": -1})
    yield "terms_twice", of("a key given twice", "bad_view", None, b"\x87" + pack(raw)[1:] + pack("to") + pack("Bos"))
    yield "terms_tail", of("bytes after the end", "bad_view", None, pack(raw) + b"\0")
    yield "terms_nothing", of("nothing", "bad_view", None, b"")


def _authors() -> Iterator[tuple[str, Vector]]:
    def opens(about: str, who: bytes, key: bytes = KEY, grant: bytes = GRANT) -> Vector:
        return {"kind": "author", "about": about, "key": key.hex(), "grant": grant.hex(), "who": who.hex()}

    who = grants.seal_author(KEY, GRANT, DEVICE, NONCE)
    yield "author", opens("the family reads who published", who) | {"out": DEVICE.hex()}
    yield "author_other_key", opens("the reader does not", who, OTHER_KEY) | {"error": "unopenable"}
    yield "author_other_grant", opens("nor of another grant", who, grant=OTHER_GRANT) | {"error": "unopenable"}
    short = seal(derive(KEY, "view author", GRANT), GRANT, 0, DEVICE[:8], NONCE)
    yield "author_short", opens("no device", short) | {"error": "bad_view"}


# --- grant states

GRANTER = grants.granter_key(OWN, GRANT)
STRANGER = SigningKey.from_seed(_bytes("stranger"))
PUBLISHER = grants.publisher_key(CIRCLE, GRANT)
STATE = grants.GrantState(GRANT, 2, DOWN, UP, RoomSecret(_bytes("G")), 4, PUBLISHER.public, UNTIL, "De Wit")
PLAIN_STATE = {
    "grant": GRANT.hex(), "n": 2, "down": DOWN.hex(), "up": UP.hex(), "secret": _bytes("G").hex(), "epoch": 4,
    "publisher": PUBLISHER.public.hex(), "until": UNTIL, "to": "De Wit",
}  # fmt: skip


def _signed(content: Any, key: SigningKey = GRANTER, name: str = "grant state", stream: bytes = GRANT) -> views.Signed:
    body = content if isinstance(content, bytes) else pack(content)
    return views.Signed(body, sign(key, name, stream, body))


def _state(about: str, signed: views.Signed, above: int = 0, grant: bytes = GRANT, error: str | None = None) -> Vector:
    return {
        "kind": "state", "about": about, "body": signed.body.hex(), "sig": signed.sig.hex(), "grant": grant.hex(),
        "granter": GRANTER.public.hex(), "above": above,
    } | ({"error": error} if error else {"out": PLAIN_STATE})  # fmt: skip


def _states() -> Iterator[tuple[str, Vector]]:
    raw: dict[str, Any] = msgspec.to_builtins(STATE, builtin_types=(bytes,))
    good = grants.sign_state([GRANTER], STATE)

    def refused(about: str, signed: views.Signed, above: int = 0, error: str = "bad_view") -> Vector:
        return _state(about, signed, above, error=error)

    yield "state", _state("an ordinary state", good)
    yield "state_rises", _state("higher than the last", good, 1)
    yield "state_new_key", _state("a key that nobody knows", _signed(raw | {"later": [1]}))
    yield "state_again", refused("not higher", good, 2, "not_newer")
    yield "state_older", refused("a publisher who was put out comes back", good, 7, "not_newer")
    yield "state_other_granter", refused("signed by another owner", _signed(raw, STRANGER))
    other_grant = grants.granter_key(OWN, OTHER_GRANT)
    yield (
        "state_granter_of_another_grant",
        refused("by the same owner's key of another grant", _signed(raw, other_grant)),
    )
    yield "state_other_name", refused("a signature for something else", _signed(raw, name="view"))
    yield "state_other_stream", refused("signed for another grant", _signed(raw, stream=OTHER_GRANT))
    yield "state_other_grant", refused("which says it is of another grant", _signed(raw | {"grant": OTHER_GRANT}))
    yield "state_moved", _state("for another grant altogether", good, grant=OTHER_GRANT, error="bad_view")
    yield "state_altered", refused("altered", views.Signed(good.body[:-1] + b"x", good.sig))
    yield "state_one_stream", refused("answers would lie where views are", _signed(raw | {"up": DOWN}))
    for name, change in {
        "zero": {"n": 0}, "negative": {"n": -1}, "huge": {"n": 2**53}, "text": {"n": "3"}, "float": {"n": 3.0},
        "epoch_zero": {"epoch": 0}, "epoch_huge": {"epoch": 2**32}, "secret_short": {"secret": b"x"},
        "publisher_nil": {"publisher": None}, "to_bytes": {"to": b"De Wit"}, "until_nil": {"until": None},
    }.items():  # fmt: skip
        yield f"state_{name}", refused("a value that does not fit", _signed(raw | change))
    yield "state_lacks", refused("a key that is needed", _signed({k: v for k, v in raw.items() if k != "epoch"}))
    yield "state_list", refused("no map", _signed(list(raw.values())))
    yield "state_tail", refused("bytes after the end", _signed(pack(raw) + b"\xc0"))
    yield from _inherited(raw)


SECOND, THIRD = (grants.granter_key(RoomSecret(_bytes(f"room @nora, {word}")), GRANT) for word in ("second", "third"))


def _inherited(raw: dict[str, Any]) -> Iterator[tuple[str, Vector]]:
    """After an own device was put out, another key signs: each one named by the one before."""
    keys = {"first": GRANTER, "second": SECOND, "third": THIRD, "stranger": STRANGER}

    def heir(before: str, after: str, name: str = "granter", grant: bytes = GRANT) -> list[str]:
        public = keys[after].public
        return [public.hex(), sign(keys[before], name, grant, public).hex()]

    def of(about: str, heirs: list[list[str]], by: str, pinned: str = "first", error: str = "bad_view") -> Vector:
        vector = _state(about, _signed(raw, keys[by]), error=error or None)
        vector |= {"granter": keys[pinned].public.hex(), "heirs": heirs}
        return vector if error else vector | {"after": keys[by].public.hex()}

    chain = [heir("first", "second"), heir("second", "third")]
    yield "state_heir", of("the next key", chain[:1], "second", error="")
    yield "state_heirs", of("two keys later, for a reader who was away", chain, "third", error="")
    yield "state_heir_pinned", of("for a reader who knows the second key", chain, "third", "second", error="")
    yield "state_heir_known", of("for a reader who knows the newest key", chain, "third", "third", error="")
    before_pinned = [heir("stranger", "second"), heir("second", "third")]
    yield (
        "state_heir_before_pinned",
        of("what lies before the pinned key counts no more", before_pinned, "third", "second", error=""),
    )
    yield "state_by_the_key_before", of("by the key of a lost device, after the next was read", [], "first", "second")
    yield (
        "state_heir_of_the_key_before",
        of("which names a key of its own", [heir("first", "stranger")], "stranger", "second"),
    )
    yield "state_heir_of_a_stranger", of("named by a stranger", [heir("stranger", "second")], "second")
    yield "state_heir_passed_over", of("signed by the key before the newest", chain, "second")
    yield "state_heir_missing", of("the key between is missing", chain[1:], "third")
    yield "state_heirs_in_another_order", of("in another order", chain[::-1], "third")
    yield (
        "state_heir_of_another_grant",
        of("named for another grant", [heir("first", "second", grant=OTHER_GRANT)], "second"),
    )
    yield (
        "state_heir_other_name",
        of("a signature for something else", [heir("first", "second", "grant state")], "second"),
    )
    altered = [chain[0][0], chain[0][1][:-2] + ("00" if chain[0][1][-2:] != "00" else "01")]
    yield "state_heir_altered", of("an altered signature", [altered], "second")


def _welcomes() -> Iterator[tuple[str, Vector]]:
    def opens(about: str, content: bytes, **of: Any) -> Vector:
        fixed = {"content": content.hex(), "grant": GRANT.hex(), "granter": GRANTER.public.hex()}
        return {"kind": "welcome", "about": about} | fixed | of

    good = grants.sign_state([GRANTER], STATE)
    yield "welcome", opens("an ordinary welcome", grants.make_welcome(GRANT, good), out=PLAIN_STATE)
    yield "welcome_other_grant", opens("of another grant", grants.make_welcome(OTHER_GRANT, good), error="bad_view")
    forged = _signed(good.body, STRANGER)
    yield (
        "welcome_other_granter",
        opens("by whoever the link does not pin", grants.make_welcome(GRANT, forged), error="bad_view"),
    )
    yield "welcome_used", opens("a link that was used", pack({"code": "link_used"}), error="bad_view")
    yield (
        "welcome_short_sig",
        opens(
            "half a signature",
            pack({"grant": GRANT, "state": {"body": good.body, "sig": good.sig[:32]}}),
            error="bad_view",
        ),
    )


def _turned() -> Iterator[tuple[str, Vector]]:
    """Boxes are made with randomness of their own, so what opens is in the tests of each language."""

    def refused(about: str, payload: Any, error: str) -> Vector:
        return {
            "kind": "turned", "about": about, "payload": pack(payload).hex(), "seed": _bytes("box seed").hex(),
            "doorstep": DOORSTEP.hex(), "device": DEVICE.hex(), "grant": GRANT.hex(), "granter": GRANTER.public.hex(),
            "above": 1, "error": error,
        }  # fmt: skip

    box = _bytes("no box", 1392)
    yield "turned_garbage", refused("no box", {"to": DEVICE, "box": box}, "unopenable")
    yield "turned_short", refused("a box too short", {"to": DEVICE, "box": box[:64]}, "unopenable")
    yield "turned_other_device", refused("for another device", {"to": _bytes("x", 16), "box": box}, "not_for_me")
    yield "turned_text", refused("a box of text", {"to": DEVICE, "box": "box"}, "bad_view")
    yield "turned_nonsense", refused("no map", [DEVICE, box], "bad_view")


# --- view records

PARTS = views.project(_choose("plan"), DOCUMENTS, PEOPLE, KEY)
PACKED = views.pack_projection(PARTS)
WHO = grants.seal_author(KEY, GRANT, DEVICE, NONCE)
CHAIN = Chain(_bytes("chain"))
VIEW: dict[str, Any] = {
    "grant": GRANT, "v": 5, "length": 9, "chain": CHAIN, "until": UNTIL, "to": "De Wit", "parts": PACKED, "who": WHO,
}  # fmt: skip


def _view_of(content: Any, key: SigningKey = PUBLISHER, name: str = "view", stream: bytes = DOWN) -> bytes:
    return pack(_signed(content, key, name, stream))


def _view(
    about: str, payload: bytes, seen: tuple[int, bytes] | None = None, parts: Any = None, error: str | None = None
) -> Vector:
    vector: Vector = {
        "kind": "view", "about": about, "payload": payload.hex(), "down": DOWN.hex(), "grant": GRANT.hex(),
        "publisher": PUBLISHER.public.hex(), "seen": [seen[0], seen[1].hex()] if seen else None,
    }  # fmt: skip
    if error:
        return vector | {"error": error}
    shown = PARTS if parts is None else parts
    out = {"v": 5, "length": 9, "chain": CHAIN.hex(), "until": UNTIL, "to": "De Wit", "parts": shown}
    return vector | {"out": out | {"digest": views.view_digest(pack(shown)).hex(), "who": WHO.hex()}}


def _views() -> Iterator[tuple[str, Vector]]:
    good = views.make_view(PUBLISHER, DOWN, **VIEW)
    same, other = views.view_digest(PACKED), views.view_digest(b"\x80")

    def refused(about: str, payload: bytes, error: str, seen: tuple[int, bytes] | None = None) -> Vector:
        return _view(about, payload, seen, error=error)

    yield "view", _view("an ordinary view", good)
    yield "view_next", _view("a newer one", good, (4, other))
    yield "view_again", _view("the same one under a new lock", good, (5, same))
    yield "view_empty", _view("nothing to show", _view_of(VIEW | {"parts": b"\x80"}), parts={})
    yield "view_new_key", _view("a key that nobody knows", _view_of(VIEW | {"later": 1}))
    kinds = {"plan": {"a": {"b": {"c": [], "d": None, "e": True, "f": 1.5, "g": -1, "h": "x"}}}}
    yield "view_values", _view("every kind of value", _view_of(VIEW | {"parts": pack(kinds)}), parts=kinds)
    yield "view_replayed", refused("an older view, shown again", good, "not_newer", (6, other))
    yield "view_twin", refused("two truths of one version", good, "not_newer", (5, other))
    yield "view_stranger", refused("by a stranger", _view_of(VIEW, STRANGER), "bad_publisher")
    before = grants.publisher_key(OTHER_CIRCLE, GRANT)
    yield (
        "view_removed_member",
        refused("by one who was put out of the circle", _view_of(VIEW, before), "bad_publisher"),
    )
    elsewhere = grants.publisher_key(CIRCLE, OTHER_GRANT)
    yield (
        "view_key_of_another_grant",
        refused("with the family's key of another grant", _view_of(VIEW, elsewhere), "bad_publisher"),
    )
    yield (
        "view_granter",
        refused("by the granter's key, which signs states only", _view_of(VIEW, GRANTER), "bad_publisher"),
    )
    yield "view_other_stream", refused("taken from another stream", _view_of(VIEW, stream=UP), "bad_publisher")
    yield (
        "view_other_name",
        refused("a signature for something else", _view_of(VIEW, name="grant state"), "bad_publisher"),
    )
    yield "view_other_grant", refused("another grant's view", _view_of(VIEW | {"grant": OTHER_GRANT}), "bad_view")
    altered = msgspec.msgpack.decode(good)
    altered["body"] = altered["body"].replace(b"dinsdag", b"maandag")
    yield "view_altered", refused("one word altered", pack(altered), "bad_publisher")
    yield "view_no_signature", refused("without a signature", pack({"body": altered["body"]}), "bad_view")
    yield "view_short_signature", refused("half a signature", pack(altered | {"sig": altered["sig"][:32]}), "bad_view")
    for name, change in {
        "version_zero": {"v": 0}, "version_huge": {"v": 2**53}, "version_float": {"v": 5.0}, "to_nil": {"to": None},
        "length_negative": {"length": -1}, "chain_short": {"chain": CHAIN[:31]}, "parts_map": {"parts": PARTS},
        "parts_nothing": {"parts": b""},
        "parts_nested": {"parts": pack({"plan": {"a": {"b": {"c": {"d": 1}}}}})},
        "parts_bytes": {"parts": pack({"plan": {"a": {"b": {"c": b"x"}}}})},
        "parts_mixed_set": {"parts": pack({"plan": {"a": {"b": {"c": ["x", 1]}}}})},
        "parts_number_huge": {"parts": pack({"plan": {"a": {"b": {"c": 2**53}}}})},
        "parts_number_low": {"parts": pack({"plan": {"a": {"b": {"c": -(2**53)}}}})},
        "parts_flat": {"parts": pack({"plan": {"a": {"b": "c"}}})},
        "parts_number_key": {"parts": pack({"plan": {1: {}}})},
        "parts_twice": {"parts": b"\x82\xa4plan\x80\xa4plan\x80"},
        "parts_tail": {"parts": b"\x80\x80"},
        "parts_no_text": {"parts": b"\x81\xa4pl\xffn\x80"},
    }.items():  # fmt: skip
        yield f"view_{name}", refused("signed by the family, and no view", _view_of(VIEW | change), "bad_view")
    yield "view_nonsense", refused("no record", b"\xc1", "bad_view")
    yield "view_tail", refused("bytes after the end", good + b"\xc0", "bad_view")


def _versions() -> Iterator[tuple[str, Vector]]:
    def version(about: str, out: int, last: int | None, parts: bytes) -> Vector:
        return {
            "kind": "version",
            "about": about,
            "last": last,
            "before": PACKED.hex(),
            "parts": parts.hex(),
            "out": out,
        }

    yield "version_first", version("the first", 1, None, PACKED)
    yield "version_same", version("nothing that is shown changed", 5, 5, PACKED)
    yield "version_next", version("something did", 6, 5, b"\x80")
