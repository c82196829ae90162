"""Vectors of the hall behind a moving address; part of make_ways.py. Whoever holds the address could lay anything there, so
what is not the very bytes that it pins is refused, and so is what is pinned and no hall.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from charter_cast import fixed_bytes

from eigenkring import hall
from eigenkring.ids import StreamId
from eigenkring.link import Link, format_link

Vector = dict[str, Any]
pack = msgspec.msgpack.encode

SHEET: dict[str, Any] = {
    "case": fixed_bytes("case of a hall", 16), "relay": "https://kring.example", "seed": fixed_bytes("seed in a hall"),
    "keys": fixed_bytes("keys of a hall", 16), "secret": fixed_bytes("secret of a hall"), "n": 12,
    "head": fixed_bytes("head of a hall"),
}  # fmt: skip
OTHER: dict[str, Any] = SHEET | {"case": fixed_bytes("another case of a hall", 16), "seed": fixed_bytes("another seed")}
HALL: dict[str, Any] = {"name": "Fatima", "until": 1_790_000_000, "sheets": [SHEET, OTHER]}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(of) for key, of in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def halls() -> Iterator[tuple[str, Vector]]:
    def of(about: str, payload: bytes, out: Any = None, pin: bytes | None = None) -> Vector:
        vector = {
            "kind": "hall", "about": about, "payload": payload.hex(),
            "pin": (hall.hall_pin(payload) if pin is None else pin).hex(),
        }  # fmt: skip
        return vector | ({"error": "wrong_pin"} if out is None else {"out": _plain(out)})

    good = pack(HALL)
    yield "hall_good", of("two cases", good, HALL)
    one = HALL | {"sheets": [SHEET]}
    yield "hall_one", of("one case", pack(one), one)
    yield "hall_with_more", of("keys of a newer app", pack(HALL | {"x": 1, "sheets": [SHEET | {"y": 2}]}), one)
    emoji = HALL | {"name": "👩‍👧" * 200}
    yield "hall_name", of("a long name of emoji", pack(emoji), emoji)

    yield "hall_other", of("another hall than the address pins", pack(one), pin=hall.hall_pin(good))
    flipped = bytearray(good)
    flipped[-1] ^= 1
    yield "hall_altered", of("one bit altered", bytes(flipped), pin=hall.hall_pin(good))
    yield "hall_pin_zeros", of("a pin of zeros", good, pin=bytes(32))
    yield "hall_longer", of("pinned, and something behind the end", good + b"\x00")
    yield "hall_shorter", of("pinned, and cut off", good[:-1])
    yield "hall_empty", of("pinned, and nothing", b"")
    yield "hall_nonsense", of("pinned, and no MessagePack", b"\xc1")
    yield "hall_no_map", of("pinned, and a list", pack([HALL]))
    yield "hall_key_twice", of("pinned, and one key twice", b"\x84" + good[1:] + pack("until") + pack(9))
    for name, change in {
        "no_cases": {"sheets": []}, "case_twice": {"sheets": [SHEET, SHEET]},
        "name_long": {"name": "n" * 1_001}, "name_bytes": {"name": b"Fatima"}, "until_negative": {"until": -1},
        "until_huge": {"until": 2**53}, "until_text": {"until": "morgen"}, "seed_short": {"sheets": [SHEET | {"seed": bytes(31)}]},
        "case_long": {"sheets": [SHEET | {"case": bytes(17)}]}, "relay_bytes": {"sheets": [SHEET | {"relay": b"x"}]},
        "no_head": {"sheets": [{key: of for key, of in SHEET.items() if key != "head"}]},
    }.items():  # fmt: skip
        yield f"hall_{name}", of("pinned, and no hall", pack(HALL | change))


def keys() -> Iterator[tuple[str, Vector]]:
    for name, stream, seed in (
        ("one", fixed_bytes("stream of a hall", 16), fixed_bytes("seed of an address")),
        ("ones", b"\xff" * 16, b"\xff" * 32),
    ):
        link = Link("https://kring.example", hall.MOVE, StreamId(stream), seed, bytes(32))
        opening = hall.hall_opening(link, 1_790_000_000)
        yield f"hall_keys_{name}", {
            "kind": "hall_keys", "about": "what an address gives at the relay", "link": format_link(link),
            "expires": 1_790_000_000,
            "out": {
                "stream": stream.hex(), "expires": 1_790_000_000,
                "hashes": [opening.read.hex(), opening.append.hex(), opening.manage.hex()],
            },
        }  # fmt: skip
