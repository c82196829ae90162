"""Vectors of what goes up and of the ways back: what a reader said, the space of a recovery code, the door for an own
device, and the list of files of an export. More of them must be refused than taken, each with its code.

Both languages run every vector: tests/unit/test_ways_vectors.py and pwa/test/ways.test.ts. Boxes are random, so they come
from fixed/ways.json. A vector has `out` or `error`; a sheet that is none has `out` nil: noise names nobody.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

import ways_hall
import ways_shelf
from charter_cast import CASE, Actor, fixed_bytes, once

from eigenkring import doorstep, paper, said
from eigenkring.charter.compose import sign_new_device
from eigenkring.ids import CaseId, GrantId, PersonId, StreamId
from eigenkring.readable import schema_hash
from eigenkring.schema import load_schema
from eigenkring.session import own_door
from eigenkring_crypto.box import seal_box
from eigenkring_crypto.chain import extend, first
from eigenkring_crypto.kdf import sha256
from eigenkring_crypto.seal import seal
from eigenkring_crypto.sign import SigningKey, sign
from eigenkring_crypto.words import encode_code

Vector = dict[str, Any]
pack = msgspec.msgpack.encode
FILE = "ways.json"


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    shelf = (ways_shelf.shelves, ways_shelf.records, ways_shelf.nexts)
    for area in (
        _said,
        _incoming,
        _spaces,
        _sheets,
        ways_hall.halls,
        ways_hall.keys,
        _own_doors,
        _own_knocks,
        _manifests,
        _page_words,
        _logs,
        *shelf,
    ):
        for name, vector in area():
            if name in vectors or ("out" in vector) == ("error" in vector):
                raise ValueError(f"vector {name} is double, or has both or neither of out and error")
            vectors[name] = vector
    return vectors


# --- what a reader said

GRANT, OTHER_GRANT = GrantId(fixed_bytes("grant", 16)), GrantId(fixed_bytes("another grant", 16))
UP, DOWN = StreamId(fixed_bytes("up", 16)), StreamId(fixed_bytes("down", 16))
READER, STRANGER = SigningKey.from_seed(fixed_bytes("reader")), SigningKey.from_seed(fixed_bytes("stranger"))
SAID: dict[str, Any] = {
    "grant": GRANT, "n": 7, "length": 2, "chain": fixed_bytes("chain of up"), "what": "ask", "at": 1_790_000_000,
    "text": "Wie haalt Sam op?", "why": "", "of": "", "v": 0,
}  # fmt: skip


def _record(body: bytes, key: SigningKey = READER, name: str = "up", stream: bytes = UP) -> bytes:
    return pack({"body": body, "sig": sign(key, name, stream, body)})


def _said() -> Iterator[tuple[str, Vector]]:
    def of(
        about: str, payload: bytes, out: Any = None, error: str = "", above: int = 6, grant: bytes = GRANT
    ) -> Vector:
        vector: Vector = {
            "kind": "said", "about": about, "payload": payload.hex(), "up": UP.hex(), "grant": grant.hex(),
            "reader": READER.public.hex(), "above": above,
        }  # fmt: skip
        if error:
            return vector | {"error": error}
        return vector | {
            "out": {name: value.hex() if isinstance(value, bytes) else value for name, value in out.items()}
        }

    for what, change in {
        "ask": {}, "answer": {"what": "answer", "of": "0123456789abcdef0123"}, "need": {"what": "need"},
        "answer_help": {"what": "answer_help", "of": "f" * 20}, "opened": {"what": "opened", "text": "", "v": 3},
        "condition": {"what": "condition", "why": "Sam is negen"}, "copied": {"what": "copied", "text": "", "v": 2**53 - 1},
    }.items():  # fmt: skip
        content = SAID | change
        yield f"said_{what}", of(f"as an app says it: {what}", _record(pack(content)), content)
    good = _record(pack(SAID))
    short = {name: value for name, value in SAID.items() if name not in ("text", "why", "of", "v")}
    yield "said_without_more", of("what may be absent is absent", _record(pack(short)), SAID | {"text": ""})
    newer = SAID | {"tone": "kind"}
    yield "said_with_more", of("a key of a newer app", _record(pack(newer)), SAID)
    yield (
        "said_longest",
        of("as long as may be", _record(pack(SAID | {"text": "é" * 10_000})), SAID | {"text": "é" * 10_000}),
    )
    yield "said_again", of("said before", good, error="not_newer", above=7)
    yield "said_older", of("older than what was said", good, error="not_newer", above=8)
    yield "said_by_another", of("signed by another key", _record(pack(SAID), STRANGER), error="bad_view")
    yield "said_other_name", of("signed as a view", _record(pack(SAID), name="view"), error="bad_view")
    yield "said_other_stream", of("signed for `down`", _record(pack(SAID), stream=DOWN), error="bad_view")
    yield "said_in_another_grant", of("of this grant, laid in another", good, error="bad_view", grant=OTHER_GRANT)
    yield (
        "said_for_another_grant",
        of("signed by the reader, for another grant", _record(pack(SAID | {"grant": OTHER_GRANT})), error="bad_view"),
    )
    altered = msgspec.msgpack.decode(good)
    altered["body"] = altered["body"].replace(b"Sam", b"Eva")
    yield "said_altered", of("one word altered", pack(altered), error="bad_view")
    yield (
        "said_half_a_signature",
        of("half a signature", pack(altered | {"sig": altered["sig"][:32]}), error="bad_view"),
    )
    yield "said_unsigned", of("no signature", pack({"body": pack(SAID)}), error="bad_view")
    for name, change in {
        "n_zero": {"n": 0}, "n_huge": {"n": 2**53}, "n_float": {"n": 7.0}, "n_nil": {"n": None}, "no_kind": {"what": "delete"},
        "kind_upper": {"what": "Ask"}, "kind_number": {"what": 1}, "text_bytes": {"text": b"x"}, "text_nil": {"text": None},
        "text_too_long": {"text": "x" * 20_001}, "why_too_long": {"what": "condition", "why": "é" * 10_001},
        "of_a_path": {"of": "plan/agreements"}, "of_upper": {"of": "A" * 20}, "of_short": {"of": "a" * 19},
        "of_newline": {"of": "a" * 20 + "\n"}, "v_negative": {"v": -1}, "length_negative": {"length": -1},
        "chain_short": {"chain": bytes(31)}, "grant_short": {"grant": GRANT[:15]}, "at_text": {"at": "now"},
    }.items():  # fmt: skip
        yield f"said_{name}", of("signed by the reader, and nonsense", _record(pack(SAID | change)), error="bad_view")
    lacking = {name: value for name, value in SAID.items() if name != "chain"}
    yield "said_without_chain", of("does not say what was seen", _record(pack(lacking)), error="bad_view")
    twice = b"\x8b" + pack(SAID)[1:] + pack("n") + pack(9)
    yield "said_key_twice", of("one key twice", _record(twice), error="bad_view")
    yield "said_tail", of("bytes after the end", good + b"\xc0", error="bad_view")
    yield "said_nonsense", of("no record", b"\xc1", error="bad_view")
    yield "said_empty", of("nothing", b"", error="bad_view")


def _incoming() -> Iterator[tuple[str, Vector]]:
    payload = _record(pack(SAID))
    for name, grant, data in (
        ("one", GRANT, payload),
        ("other_grant", OTHER_GRANT, payload),
        ("other_words", GRANT, payload + b"\0"),
    ):
        yield f"incoming_{name}", {
            "kind": "incoming", "about": "what one thing that was said is called, and the item that it becomes",
            "grant": grant.hex(), "payload": data.hex(), "out": said.incoming_id(grant, data),
        }  # fmt: skip


# --- the recovery code and its space

CODE, OTHER_CODE = fixed_bytes("code", 20), fixed_bytes("another code", 20)
RELAY = "https://kring.example"
OPENED = paper.open_code(CODE, RELAY)
SHEET: dict[str, Any] = {
    "case": bytes(CASE), "relay": RELAY, "seed": fixed_bytes("seed of the paper"), "keys": fixed_bytes("keys stream", 16),
    "secret": fixed_bytes("S of keys"), "n": 12, "head": fixed_bytes("head"),
}  # fmt: skip


def _spaces() -> Iterator[tuple[str, Vector]]:
    for name, code in (("one", CODE), ("zeros", bytes(20)), ("ones", b"\xff" * 20)):
        found = paper.open_code(code, RELAY)
        opening = found.secrets.opening()
        yield f"space_{name}", {
            "kind": "space", "about": "what a recovery code gives", "code": encode_code(code), "relay": RELAY,
            "out": {
                "stream": found.space.stream.hex(), "read": found.space.read.hex(), "write": found.space.write.hex(),
                "manage": found.manage.hex(), "box": found.space.box.hex(),
                "hashes": [opening.read.hex(), opening.append.hex(), opening.manage.hex()],
            },
        }  # fmt: skip


def _sheets() -> Iterator[tuple[str, Vector]]:
    space, chain = OPENED.space, fixed_bytes("chain of the space")

    def box(
        name: str, content: bytes, key: bytes = space.box, what: str = "space", context: bytes = space.stream
    ) -> bytes:
        return once(FILE, name, lambda: seal_box(key, what, context, content))

    def record(boxed: bytes, read: bytes = space.read, stream: bytes = space.stream) -> bytes:
        return seal(read, stream, 0, pack({"length": 4, "chain": chain, "box": boxed}), fixed_bytes("nonce", 24))

    def of(about: str, data: bytes, out: Any = None, code: bytes = CODE) -> Vector:
        return {
            "kind": "sheet",
            "about": about,
            "code": encode_code(code),
            "relay": RELAY,
            "record": data.hex(),
            "out": out,
        }

    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in SHEET.items()}
    good = box("sheet", pack(SHEET))
    yield "sheet_good", of("as a phone lays it there", record(good), plain)
    yield "sheet_with_more", of("a key of a newer app", record(box("sheet more", pack(SHEET | {"x": 1}))), plain)
    yield "sheet_other_code", of("with another code", record(good), code=OTHER_CODE)
    other = paper.open_code(OTHER_CODE, RELAY)
    to_other = box("sheet to another", pack(SHEET), key=other.space.box)
    yield "sheet_to_another", of("by a thief with the phone, to a key of their own", record(to_other))
    for_case = box("sheet as another", pack(SHEET), what="keybag")
    yield "sheet_other_purpose", of("a box of another purpose", record(for_case))
    elsewhere = box("sheet elsewhere", pack(SHEET), context=other.space.stream)
    yield "sheet_of_another_space", of("a box of another space", record(elsewhere))
    yield "sheet_other_secret", of("sealed under another S", record(good, read=other.space.read))
    yield "sheet_other_stream", of("sealed for another stream", record(good, stream=other.space.stream))
    flipped = bytearray(record(good))
    flipped[-1] ^= 1
    yield "sheet_altered", of("one bit altered", bytes(flipped))
    yield "sheet_no_box", of("no box in it", record(b""))
    yield "sheet_short", of("half a record", record(good)[:40])
    yield "sheet_empty", of("nothing", b"")
    bare = seal(space.read, space.stream, 0, b"\xc1", fixed_bytes("nonce", 24))
    yield "sheet_nonsense", of("sealed nonsense, which whoever has the phone can add", bare)
    for name, change in {
        "seed_short": {"seed": bytes(31)}, "n_negative": {"n": -1}, "n_huge": {"n": 2**53}, "case_text": {"case": "x"},
        "no_relay": {"relay": None},
    }.items():  # fmt: skip
        yield f"sheet_{name}", of("boxed nonsense", record(box(f"sheet {name}", pack(SHEET | change))))
    twice = b"\x88" + pack(SHEET)[1:] + pack("n") + pack(9)
    yield "sheet_key_twice", of("one key twice", record(box("sheet twice", twice)))


# --- the door for an own device

ROOM, PERSON, OTHER_PERSON = (
    fixed_bytes("secret of @nora"),
    PersonId(fixed_bytes("nora", 8)),
    PersonId(fixed_bytes("karim", 8)),
)
SLOT = 497_222
DOOR = own_door.door_at((2, ROOM), SLOT, 3)
NEW = Actor("a new device")


def _own_doors() -> Iterator[tuple[str, Vector]]:
    for name, epoch, slot, ever in (
        ("one", 2, SLOT, 3), ("next_hour", 2, SLOT + 1, 3), ("next_device", 2, SLOT, 4), ("after_a_turn", 3, SLOT, 3),
        ("with_words", 2, SLOT, 3),
    ):  # fmt: skip
        secret = ROOM if epoch == 2 else fixed_bytes("next secret of @nora")
        compare = name == "with_words"
        door = own_door.door_at((epoch, secret), slot, ever, compare)
        read, append, manage = doorstep.open_hashes(door.seed, door.stream, door.room_secret, epoch)
        yield f"own_door_{name}", {
            "kind": "own_door", "about": "known to every device of the person, and to nobody else", "room": secret.hex(),
            "epoch": epoch, "slot": slot, "ever": ever, "compare": compare,
            "out": {
                "stream": door.stream.hex(), "seed": door.seed.hex(), "expires": door.expires,
                "hashes": [read.hex(), append.hex(), manage.hex()],
            },
        }  # fmt: skip


def _own_knocks() -> Iterator[tuple[str, Vector]]:
    def statement(**change: Any) -> bytes:
        return pack(
            {"case": bytes(CASE), "invitation": bytes(DOOR.stream), "name": "Nora", "sign": NEW.public.sign, "box": NEW.public.box}
            | change
        )  # fmt: skip

    def knock(
        data: bytes, person: bytes = PERSON, seed: bytes = DOOR.seed, key: Any = None, case: CaseId = CASE
    ) -> bytes:
        signer = key or NEW.keys.sign
        return pack({
            "statement": data, "seed_sig": sign(doorstep.seed_key(seed, DOOR.stream), "statement", DOOR.stream, data),
            "device_sig": sign(NEW.keys.sign, "statement", DOOR.stream, data),
            "add_sig": sign_new_device(case, PersonId(person), NEW.public, signer),
        })  # fmt: skip

    def box(name: str, content: bytes, key: bytes | None = None, what: str = "knock", context: bytes = b"") -> bytes:
        to = key or doorstep.knock_key(DOOR.room_secret, DOOR.stream).public
        at = context or DOOR.stream + DOOR.stream
        return pack({"box": once(FILE, name, lambda: seal_box(to, what, at, content))})

    def of(about: str, payload: bytes, out: Any = None, error: str = "") -> Vector:
        vector: Vector = {
            "kind": "own_knock", "about": about, "payload": payload.hex(), "room": ROOM.hex(), "epoch": 2, "slot": SLOT,
            "ever": 3, "case": CASE.hex(), "person": PERSON.hex(),
        }  # fmt: skip
        return vector | ({"error": error} if error else {"out": out})

    good = box("own knock", knock(statement()))
    yield "own_knock_good", of("a new device of this person", good, NEW.id.hex())
    refused = {
        "other_person": ("signed to be another's", knock(statement(), person=OTHER_PERSON), "bad_statement"),
        "add_sig_of_another": ("another key says so", knock(statement(), key=STRANGER), "bad_statement"),
        "add_sig_other_case": (
            "signed for another case", knock(statement(), case=CaseId(fixed_bytes("other case", 16))), "bad_statement",
        ),
        "without_the_link": ("by one who has no link", knock(statement(), seed=bytes(32)), "bad_statement"),
        "other_case": ("a statement for another case", knock(statement(case=bytes(16))), "bad_statement"),
        "other_door": ("for another door", knock(statement(invitation=bytes(16))), "bad_statement"),
        "short_key": ("a key that is too short", knock(statement(box=bytes(31))), "bad_statement"),
        "nonsense": ("boxed nonsense", b"\xc1", "bad_entry"),
    }  # fmt: skip
    for name, (about, content, code) in refused.items():
        yield f"own_knock_{name}", of(about, box(f"own knock {name}", content), error=code)
    person_knock = msgspec.msgpack.decode(knock(statement()))
    del person_knock["add_sig"]
    yield (
        "own_knock_as_a_guest",
        of("a knock as at another door", box("guest knock", pack(person_knock)), error="bad_entry"),
    )
    stranger = Actor("a stranger").public.box
    yield (
        "own_knock_to_another_key",
        of("sealed to another key", box("own knock elsewhere", knock(statement()), key=stranger), error="bad_entry"),
    )
    yield (
        "own_knock_other_purpose",
        of(
            "a box of another purpose",
            box("own knock as welcome", knock(statement()), what="welcome"),
            error="bad_entry",
        ),
    )
    yield "own_knock_no_box", of("no box", pack({"box": b""}), error="bad_entry")
    yield "own_knock_empty", of("nothing", b"", error="bad_entry")
    yield "own_knock_twice", of("one key twice", b"\x82" + good[1:] + good[1:], error="bad_entry")


# --- an export

EXPORTER = SigningKey.from_seed(fixed_bytes("exporter"))
MANIFEST: dict[str, Any] = {
    "v": 2, "case": bytes(CASE), "by": fixed_bytes("exporting device", 16), "at": 1_790_000_000, "n": 9,
    "head": fixed_bytes("head"), "files": [["charter.msgpack", sha256(b"charter")], ["content.json", sha256(b"content")]],
    "streams": [["", 11, fixed_bytes("chain of the charter")], ["plan", 4, fixed_bytes("chain of plan")]],
    "schema": fixed_bytes("words of the page"),
}  # fmt: skip


def _manifests() -> Iterator[tuple[str, Vector]]:
    def signed(body: bytes, key: SigningKey = EXPORTER, name: str = "export", stream: bytes = CASE) -> bytes:
        return pack({"body": body, "sig": sign(key, name, stream, body)})

    def of(about: str, data: bytes, error: str = "bad_export", manifest: dict[str, Any] = MANIFEST) -> Vector:
        vector: Vector = {"kind": "manifest", "about": about, "data": data.hex(), "key": EXPORTER.public.hex()}
        if error:
            return vector | {"error": error}
        out = {name: value.hex() if isinstance(value, bytes) else value for name, value in manifest.items()}
        out["schema"] = out.get("schema")
        out["files"] = [[path, digest.hex()] for path, digest in MANIFEST["files"]]
        out["streams"] = [[part, length, chain.hex()] for part, length, chain in MANIFEST["streams"]]
        return vector | {"out": out}

    good = signed(pack(MANIFEST))
    yield "manifest_good", of("what an export is made of", good, "")
    yield "manifest_by_another", of("signed by another device", signed(pack(MANIFEST), STRANGER))
    yield "manifest_other_name", of("signed as something else", signed(pack(MANIFEST), name="charter"))
    yield "manifest_other_case", of("signed for another case", signed(pack(MANIFEST), stream=bytes(16)))
    yield "manifest_newer", of("of a newer program", signed(pack(MANIFEST | {"v": 3})))
    earlier = {name: value for name, value in MANIFEST.items() if name != "schema"} | {"v": 1}
    yield "manifest_first", of("version 1, which named no schema", signed(pack(earlier)), "", earlier)
    yield "manifest_first_with_schema", of("version 1 with a schema", signed(pack(MANIFEST | {"v": 1})))
    yield "manifest_without_schema", of("version 2 without a schema", signed(pack(earlier | {"v": 2})))
    yield "manifest_schema_nil", of("a schema that is nil", signed(pack(earlier | {"schema": None})))
    yield "manifest_version_0", of("of no version", signed(pack(earlier | {"v": 0})))
    yield "manifest_with_more", of("one key more: its bytes would be free", signed(pack(MANIFEST | {"x": 1})))
    keys = list(MANIFEST)
    swapped = {name: MANIFEST[name] for name in [keys[1], keys[0], *keys[2:]]}
    yield "manifest_other_order", of("the keys in another order", signed(pack(swapped)))
    wide = pack(MANIFEST).replace(pack("n") + b"\x09", pack("n") + b"\xcc\x09")
    yield "manifest_wide_number", of("a number written wider than it is", signed(wide))
    lacking = {name: value for name, value in MANIFEST.items() if name != "files"}
    yield "manifest_without_files", of("without files", signed(pack(lacking)))
    yield "manifest_tail", of("bytes after the end", good + b"\xc0")
    yield "manifest_tail_inside", of("bytes after the end of the body", signed(pack(MANIFEST) + b"\xc0"))
    yield "manifest_unsigned", of("no signature", pack({"body": pack(MANIFEST)}))
    yield "manifest_nonsense", of("no list", b"\xc1")
    yield "manifest_empty", of("nothing", b"")


def _page_words() -> Iterator[tuple[str, Vector]]:
    out = schema_hash(load_schema()).hex()
    yield "page_words", {"kind": "page_words", "about": "what the page for people is made of", "out": out}


def _logs() -> Iterator[tuple[str, Vector]]:
    stream, records = StreamId(fixed_bytes("plan", 16)), [b"one", b"two", b"three"]
    content: dict[str, Any] = {
        "stream": bytes(stream), "base": 0, "base_chain": first(stream),
        "records": [[records[0], b"said"], [records[1], None], [records[2], b""]], "secrets": [[1, fixed_bytes("S of then")]],
    }  # fmt: skip

    def of(about: str, data: bytes, end: tuple[int, bytes] | None = None) -> Vector:
        vector: Vector = {"kind": "log", "about": about, "data": data.hex()}
        return vector | ({"error": "bad_export"} if end is None else {"out": [end[0], end[1].hex()]})

    def end(base: int, chain: bytes) -> tuple[int, bytes]:
        for record in records:
            chain = extend(chain, record)
        return base + len(records), chain

    yield "log_whole", of("from the first record on", pack(content), end(0, first(stream)))
    later = content | {"base": 5, "base_chain": fixed_bytes("chain at five")}
    yield "log_after_a_snapshot", of("behind a snapshot", pack(later), end(5, fixed_bytes("chain at five")))
    false = content | {"base_chain": bytes(32)}
    yield "log_false_beginning", of("of base 0 the stream gives the chain", pack(false), end(0, first(stream)))
    for name, change in {
        "record_alone": {"records": [b"one"]}, "record_of_three": {"records": [[b"one", None, None]]},
        "base_negative": {"base": -1}, "chain_short": {"base_chain": bytes(31)}, "stream_short": {"stream": bytes(15)},
        "secret_short": {"secrets": [[1, bytes(31)]]}, "records_nil": {"records": None}, "with_more": {"x": 1},
    }.items():  # fmt: skip
        yield f"log_{name}", of("nonsense", pack(content | change))
    without = {name: value for name, value in content.items() if name != "secrets"}
    yield "log_without_secrets", of("what is always written is absent", pack(without))
    yield "log_tail", of("bytes after the end", pack(content) + b"\xc0")
    wide = pack(content).replace(pack("base") + b"\0", pack("base") + b"\xcc\0", 1)
    yield "log_wide_number", of("a number written wider than it is", wide)
