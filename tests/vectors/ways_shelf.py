"""Vectors of the shelf: what its secret gives, which pages of a record count, and where it goes on."""

from collections.abc import Iterator
from typing import Any

import msgspec
from charter_cast import fixed_bytes, once

from eigenkring.ids import StreamId
from eigenkring.shelf import Kept, Page, Shelf, member_of
from eigenkring_crypto.box import seal_box
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.seal import seal
from eigenkring_crypto.sign import sign

Vector = dict[str, Any]
pack = msgspec.msgpack.encode
FILE = "ways.json"
SHELF = Shelf("https://kring.example", fixed_bytes("a shelf"))
OTHER = Shelf("https://kring.example", fixed_bytes("another shelf"))
PHONE, TABLET = DeviceKeys.from_seed(fixed_bytes("phone")), DeviceKeys.from_seed(fixed_bytes("tablet"))
ROW = {
    "case": fixed_bytes("case on a shelf", 16), "relay": SHELF.relay, "person": fixed_bytes("nora", 8),
    "device": fixed_bytes("phone there", 16),
}  # fmt: skip
ASKED = {
    "case": ROW["case"], "sign": fixed_bytes("asked"), "box": fixed_bytes("asked box", 1216), "add_sig": fixed_bytes("add", 64),
}  # fmt: skip
GIVEN = {
    "case": ROW["case"], "device": fixed_bytes("tablet there", 16), "keys": fixed_bytes("keys", 16),
    "secret": fixed_bytes("S of keys"), "n": 7, "head": fixed_bytes("head"),
}  # fmt: skip
PAGE: dict[str, Any] = {
    "sign": PHONE.sign.public, "box": PHONE.box.public, "n": 4, "length": 3, "chain": fixed_bytes("chain"),
    "cases": [ROW], "gone": [fixed_bytes("erased", 16)], "asks": [ASKED], "gives": [GIVEN], "next": [],
}  # fmt: skip


def _member(keys: DeviceKeys) -> bytes:
    return member_of(keys.sign.public, keys.box.public)


def page(keys: DeviceKeys = PHONE, stream: bytes = SHELF.stream, name: str = "shelf page", **change: Any) -> bytes:
    own = {"sign": keys.sign.public, "box": keys.box.public} if keys is not PHONE else {}
    body = pack(PAGE | own | change)
    return pack({"body": body, "sig": sign(keys.sign, name, stream, body)})


def shelves() -> Iterator[tuple[str, Vector]]:
    for name, shelf in (("one", SHELF), ("zeros", Shelf(SHELF.relay, bytes(32)))):
        opening = shelf.secrets.opening()
        yield f"shelf_{name}", {
            "kind": "shelf", "about": "what the secret of a shelf gives", "secret": shelf.secret.hex(), "relay": shelf.relay,
            "out": {
                "stream": shelf.stream.hex(), "hashes": [opening.read.hex(), opening.append.hex(), opening.manage.hex()],
                "member": _member(PHONE).hex(),
            },
            "sign": PHONE.sign.public.hex(), "box": PHONE.box.public.hex(),
        }  # fmt: skip


def records() -> Iterator[tuple[str, Vector]]:
    def of(about: str, pages: list[bytes], out: list[tuple[DeviceKeys, int]], payload: bytes | None = None) -> Vector:
        content = pack({"pages": pages}) if payload is None else payload
        record = seal(SHELF.secrets.read or b"", SHELF.stream, 0, content, fixed_bytes("nonce", 24))
        return {
            "kind": "shelf_record", "about": about, "passed_over": len(out) < max(1, len({*pages})), "secret": SHELF.secret.hex(), "relay": SHELF.relay, "record": record.hex(),
            "out": [[_member(keys).hex(), n] for keys, n in sorted(out, key=lambda one: _member(one[0]))],
        }  # fmt: skip

    both = [page(), page(TABLET, n=9)]
    yield "shelf_record_two", of("a page of each", both, [(PHONE, 4), (TABLET, 9)])
    yield "shelf_record_newest", of("of one device the newest", [page(n=5), page(), page(n=3)], [(PHONE, 5)])
    without = {name: value for name, value in PAGE.items() if name != "next"}
    body = pack(without | {"tone": "kind"})
    newer = pack({"body": body, "sig": sign(PHONE.sign, "shelf page", SHELF.stream, body), "x": 1})
    yield "shelf_record_newer", of("keys of a newer app, and one that may be absent", [newer], [(PHONE, 4)])
    good = page()
    flipped = bytearray(good)
    flipped[-1] ^= 1
    twice = pack(PAGE)
    twice = bytes([twice[0] + 1]) + twice[1:] + pack("n") + pack(9)
    for name, (about, bad) in {
        "altered": ("one bit of the signature altered", bytes(flipped)),
        "other_shelf": ("signed for another shelf", page(stream=OTHER.stream)),
        "other_name": ("signed as something else", page(name="keys")),
        "by_another": ("says to be of another device", page(PHONE, sign=TABLET.sign.public)),
        "n_huge": ("a number beyond 2^53", page(n=2**53)),
        "n_negative": ("a number below 0", page(n=-1)),
        "chain_short": ("half a chain", page(chain=bytes(16))),
        "case_short": ("a case of 15 bytes", page(cases=[ROW | {"case": bytes(15)}])),
        "no_relay": ("a case nowhere", page(cases=[ROW | {"relay": None}])),
        "gone_text": ("text where an id belongs", page(gone=["x" * 16])),
        "too_many_rows": ("more cases than a page takes", page(cases=[ROW] * 1_001)),
        "too_many_asks": ("more wishes than a page takes", page(asks=[ASKED] * 65)),
        "give_without_head": ("a gift that pins nothing", page(gives=[{k: v for k, v in GIVEN.items() if k != "head"}])),
        "no_list": ("no list of cases", page(cases=None)),
        "key_twice": (
            "one key twice", pack({"body": twice, "sig": sign(PHONE.sign, "shelf page", SHELF.stream, twice)}),
        ),
        "tail": ("bytes after the end", good + b"\xc0"),
        "nonsense": ("no page", b"\xc1"),
    }.items():  # fmt: skip
        yield f"shelf_record_{name}", of(about, [bad, page(TABLET, n=9)], [(TABLET, 9)])
    yield "shelf_record_too_many", of("more pages than a record takes", [good] * 17, [])
    yield "shelf_record_no_record", of("sealed nonsense", [], [], payload=b"\xc1")
    other = seal(OTHER.secrets.read or b"", SHELF.stream, 0, pack({"pages": both}), fixed_bytes("nonce", 24))
    yield "shelf_record_other_secret", of("sealed by another shelf", [], []) | {"record": other.hex()}


def nexts() -> Iterator[tuple[str, Vector]]:
    to = _member(TABLET)

    def box(name: str, content: bytes, key: bytes = TABLET.box.public, context: bytes = SHELF.stream + to) -> bytes:
        return once(FILE, name, lambda: seal_box(key, "shelf next", context, content))

    def of(about: str, boxes: list[Any], out: Any) -> Vector:
        return {
            "kind": "shelf_next", "about": about, "secret": SHELF.secret.hex(), "relay": SHELF.relay,
            "seed": fixed_bytes("tablet").hex(), "page": page(next=boxes).hex(), "out": out,
        }  # fmt: skip

    good, plain = box("shelf next", pack(OTHER)), {"relay": OTHER.relay, "secret": OTHER.secret.hex()}
    yield "shelf_next_good", of("goes on there", [{"to": to, "box": good}], plain)
    yield (
        "shelf_next_second",
        of("the first does not open", [{"to": to, "box": good[:-1]}, {"to": to, "box": good}], plain),
    )
    yield "shelf_next_none", of("stays", [], None)
    yield "shelf_next_other", of("for another device", [{"to": _member(PHONE), "box": good}], None)
    elsewhere = box("shelf next elsewhere", pack(OTHER), context=OTHER.stream + to)
    yield "shelf_next_elsewhere", of("boxed on another shelf", [{"to": to, "box": elsewhere}], None)
    to_another = box("shelf next to another", pack(OTHER), key=PHONE.box.public)
    yield "shelf_next_to_another", of("in a box for another device", [{"to": to, "box": to_another}], None)
    short = box("shelf next short", pack({"relay": OTHER.relay, "secret": bytes(31)}))
    yield "shelf_next_short", of("half a secret", [{"to": to, "box": short}], None)
    yield "shelf_next_nonsense", of("boxed nonsense", [{"to": to, "box": box("shelf next nonsense", b"\xc1")}], None)


# What is signed here is what the library signs.
assert msgspec.msgpack.decode(pack(PAGE), type=Page).by == _member(PHONE)
assert Kept(SHELF, bytes(32)).shelf.stream == StreamId(SHELF.stream)
