"""Vectors of links and doorsteps: what a link parses to, greetings and pins, statements, knocks, welcomes, words.

What is boxed is random, so it comes from fixed/doorstep.json.
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

from charter_cast import CASE, Actor, fixed_bytes, once

from eigenkring import doorstep, link
from eigenkring.errors import EigenkringError, Inadmissible, Misuse
from eigenkring.ids import StreamId
from eigenkring_crypto.kdf import derive
from eigenkring_crypto.seal import seal
from eigenkring_crypto.sign import sign

Vector = dict[str, Any]
STREAM = StreamId(fixed_bytes("doorstep", 16))
SEED, PIN, INVITATION = fixed_bytes("seed"), fixed_bytes("pin"), fixed_bytes("invitation", 16)
OWNERS = fixed_bytes("secret of the owners")
VISITOR, OTHER = Actor("a visitor"), Actor("another visitor")
KNOCK_KEY = doorstep.knock_key(OWNERS, STREAM)  # type: ignore[arg-type]
GREETING = doorstep.Greeting(
    kind=1, case=CASE, invitation=INVITATION, box=KNOCK_KEY.public, from_="Nora", name="Karim", role="member", compare=False,
    expires=2_000, n=4, head=fixed_bytes("head"),
)  # fmt: skip


def make() -> dict[str, Vector]:
    return (
        dict(_links())
        | dict(_secrets())
        | dict(_greetings())
        | dict(_statements())
        | dict(_knocks())
        | dict(_welcomes())
        | dict(_nonces())
        | dict(_terms())
    )


# --- links


def _links() -> Iterator[tuple[str, Vector]]:
    good = link.format_link(link.Link("https://kring.example", 1, STREAM, SEED, PIN))
    fragment = good.partition("#")[2]
    for kind in (1, 2, 3, 4):
        made = link.Link("https://kring.example:8443/app", kind, STREAM, SEED, PIN)
        yield f"link_format_{kind}", {
            "kind": "link_format", "relay": made.relay, "link": kind, "doorstep": STREAM.hex(), "seed": SEED.hex(),
            "pin": PIN.hex(), "out": link.format_link(made),
        }  # fmt: skip
    whole: dict[str, Any] = {"kind": 1, "doorstep": STREAM, "seed": SEED, "pin": PIN}
    for name, spoiled in (
        ("kind_five", {"kind": 5}),
        ("short_doorstep", {"doorstep": STREAM[1:]}),
        ("short_seed", {"seed": SEED[1:]}),
        ("short_pin", {"pin": PIN[1:]}),
    ):
        parts = whole | spoiled
        try:
            link.format_link(link.Link("https://kring.example", **parts))
        except EigenkringError as error:
            yield f"link_format_{name}", {
                "kind": "link_format", "relay": "https://kring.example", "link": parts["kind"],
                "doorstep": parts["doorstep"].hex(), "seed": parts["seed"].hex(), "pin": parts["pin"].hex(),
                "error": error.code,
            }  # fmt: skip
    data = base64.urlsafe_b64decode(fragment + "==")

    def other(first: int, kind: int) -> str:
        return base64.urlsafe_b64encode(bytes([first, kind]) + data[2:]).decode().rstrip("=")

    texts = {
        "plain": good,
        "space_around": f"  \n{good}\t ",
        "angle_brackets": f"<{good}>",
        "no_slash": f"https://kring.example#{fragment}",
        "capital_host": f"HTTPS://Kring.Example/#{fragment}",
        "http": f"http://127.0.0.1:8300/#{fragment}",
        "ipv6": f"http://[::1]:8300/#{fragment}",
        "path": f"https://example.org/kring/#{fragment}",
        "userinfo": f"https://kring.example@evil.example/#{fragment}",
        "password": f"https://a:b@kring.example/#{fragment}",
        "query": f"https://kring.example/?x=1#{fragment}",
        "javascript": f"javascript:alert(1)#{fragment}",
        "ftp": f"ftp://kring.example/#{fragment}",
        "no_scheme": f"kring.example/#{fragment}",
        "no_host": f"https:///#{fragment}",
        "port_zero": f"https://kring.example:0/#{fragment}",
        "port_too_high": f"https://kring.example:65536/#{fragment}",
        "dots": f"https://kring.example/../#{fragment}",
        "backslash": f"https://kring.example\\@evil.example/#{fragment}",
        "other_letters": f"https://krıng.example/#{fragment}",
        "space_inside": f"https://kring.example/#{fragment[:50]} {fragment[50:]}",
        "no_fragment": "https://kring.example/",
        "short": good[:-1],
        "long": good + "A",
        "four_short": good[:-4],
        "four_long": good + "AAAA",
        "padded": good + "==",
        "star": f"https://kring.example/#*{fragment[1:]}",
        "plus_and_slash": f"https://kring.example/#{'+' + fragment[1:]}",
        "loose_bits": good[:-1] + chr(ord(good[-1]) + 1),
        "two_fragments": f"{good[:-1]}#{fragment[-1]}",
        "version_two": f"https://kring.example/#{other(2, 1)}",
        "kind_zero": f"https://kring.example/#{other(1, 0)}",
        "moves_in": f"https://kring.example/#{other(1, 4)}",
        "moves_in_version_two": f"https://kring.example/#{other(2, 4)}",
        "moves_in_as_a_route": f"https://kring.example/#/{other(1, 4)}",
        "moves_in_twice": f"https://kring.example/#{other(1, 4)}#{other(1, 4)}",
        "kind_five": f"https://kring.example/#{other(1, 5)}",
        "kind_255": f"https://kring.example/#{other(1, 255)}",
        "empty": "",
    }
    for name, text in texts.items():
        vector: Vector = {"kind": "link_parse", "text": text}
        try:
            found = link.parse_link(text)
            vector["out"] = {
                "relay": found.relay, "link": found.kind, "doorstep": found.doorstep.hex(), "seed": found.seed.hex(),
                "pin": found.pin.hex(),
            }  # fmt: skip
        except Misuse as error:
            vector["error"] = error.code
        yield f"link_{name}", vector


def _secrets() -> Iterator[tuple[str, Vector]]:
    read, append, manage = doorstep.open_hashes(SEED, STREAM, OWNERS, 3)  # type: ignore[arg-type]
    yield "secrets", {
        "kind": "secrets", "seed": SEED.hex(), "doorstep": STREAM.hex(), "room": OWNERS.hex(), "epoch": 3,
        "out": {
            "read": doorstep.read_secret(SEED, STREAM).hex(), "write": doorstep.write_secret(SEED, STREAM).hex(),
            "seed_key": doorstep.seed_key(SEED, STREAM).public.hex(), "knock_key": KNOCK_KEY.public.hex(),
            "hashes": [read.hex(), append.hex(), manage.hex()],
        },
    }  # fmt: skip
    statement = _statement()
    nonce = doorstep.nonce_for(OWNERS, STREAM, statement)  # type: ignore[arg-type]
    yield "words", {
        "kind": "words", "room": OWNERS.hex(), "doorstep": STREAM.hex(), "statement": statement.hex(),
        "out": {"nonce": nonce.hex(), "digest": doorstep.words_digest(statement, nonce).hex()},
    }  # fmt: skip


def _nonces() -> Iterator[tuple[str, Vector]]:
    """What the circle adds to a knock, and what somebody else who holds the link may write in its place."""
    knock, other = _signed(_statement()), _signed(_statement(name="a thief"))
    nonce = doorstep.nonce_for(OWNERS, STREAM, knock.statement)  # type: ignore[arg-type]
    good = doorstep.make_nonce(VISITOR.id, knock, STREAM, nonce)
    plain = msgspec.msgpack.decode(good)
    pack = msgspec.msgpack.encode
    rows = {
        "good": good,
        "for_another": doorstep.make_nonce(OTHER.id, knock, STREAM, nonce),
        "of_another_knock": doorstep.make_nonce(VISITOR.id, other, STREAM, nonce),
        "on_another_doorstep": doorstep.make_nonce(VISITOR.id, knock, StreamId(bytes(16)), nonce),
        "another_nonce": pack({**plain, "nonce": bytes(32)}),
        "without_mac": pack({k: v for k, v in plain.items() if k != "mac"}),
        "short_mac": pack({**plain, "mac": bytes(31)}),
        "a_refusal": doorstep.make_refusal(VISITOR.id),
    }
    for name, payload in rows.items():
        vector: Vector = {
            "kind": "nonce", "payload": payload.hex(), "device": VISITOR.id.hex(), "device_sig": knock.device_sig.hex(),
            "doorstep": STREAM.hex(),
        }  # fmt: skip
        try:
            found = doorstep.open_nonce(payload, VISITOR.id, knock.device_sig, STREAM)
            vector["out"] = None if found is None else found.hex()
        except Inadmissible as error:
            vector["error"] = error.code
        yield f"nonce_{name}", vector


def _terms() -> Iterator[tuple[str, Vector]]:
    """The seed of a link, for the other devices of the room."""
    good = doorstep.seal_seed(OWNERS, 3, STREAM, SEED, fixed_bytes("terms", 24))  # type: ignore[arg-type]
    secret = derive(OWNERS, "invite terms", STREAM)
    rows = {
        "good": (good, OWNERS, STREAM),
        "another_secret": (good, fixed_bytes("another secret"), STREAM),
        "another_doorstep": (good, OWNERS, StreamId(bytes(16))),
        "altered": (good[:-1] + bytes([good[-1] ^ 1]), OWNERS, STREAM),
        "empty": (b"", OWNERS, STREAM),
        "no_seed": (seal(secret, STREAM, 3, b"\x80", fixed_bytes("terms", 24)), OWNERS, STREAM),
    }
    for name, (sealed, room, stream) in rows.items():
        vector: Vector = {"kind": "terms", "terms": sealed.hex(), "room": room.hex(), "doorstep": stream.hex()}
        try:
            vector["out"] = doorstep.open_seed(room, stream, sealed).hex()  # type: ignore[arg-type]
        except EigenkringError as error:
            vector["error"] = error.code
        yield f"terms_{name}", vector


# --- greetings


def _greetings() -> Iterator[tuple[str, Vector]]:
    good = doorstep.make_greeting(GREETING)
    plain = msgspec.msgpack.decode(good)
    grant = {**plain, "kind": 2, "granter_key": fixed_bytes("granter key")}
    pack = msgspec.msgpack.encode
    rows: dict[str, tuple[bytes, bytes | None]] = {
        "good": (good, None),
        "of_a_grant": (pack(grant), None),
        "other_pin": (good, bytes(32)),
        "altered": (good.replace(b"Nora", b"Kora"), doorstep.greeting_pin(good)),
        "pinned_with_a_key_twice": (bytes([good[0] + 1]) + good[1:] + b"\xa1n\x01", None),
        "pinned_kind_zero": (pack({**plain, "kind": 0}), None),
        "pinned_kind_four": (pack({**plain, "kind": 4}), None),
        "pinned_short_box": (pack({**plain, "box": bytes(1215)}), None),
        "pinned_without_compare": (pack({k: v for k, v in plain.items() if k != "compare"}), None),
        "pinned_with_more": (pack({**plain, "newer": 1}), None),
    }
    for name, (payload, pin) in rows.items():
        held = doorstep.greeting_pin(payload) if pin is None else pin
        vector: Vector = {"kind": "greeting", "payload": payload.hex(), "pin": held.hex()}
        try:
            found = doorstep.open_greeting(payload, held)
            vector["out"] = {
                "kind": found.kind, "case": found.case.hex(), "invitation": found.invitation.hex(), "from": found.from_,
                "name": found.name, "role": found.role, "compare": found.compare, "expires": found.expires, "n": found.n,
                "head": found.head.hex(), "granter_key": None if found.granter_key is None else found.granter_key.hex(),
            }  # fmt: skip
        except Inadmissible as error:
            vector["error"] = error.code
        yield f"greeting_{name}", vector


# --- statements and knocks


def _statement(**changes: Any) -> bytes:
    plain = {
        "case": CASE, "invitation": INVITATION, "name": "Karim", "sign": VISITOR.public.sign, "box": VISITOR.public.box,
    }  # fmt: skip
    return msgspec.msgpack.encode({**plain, **changes})


def _signed(statement: bytes, stream: StreamId = STREAM, seed: bytes = SEED, by: Actor = VISITOR) -> doorstep.Knock:
    return doorstep.Knock(
        statement,
        sign(doorstep.seed_key(seed, STREAM), "statement", stream, statement),
        sign(by.keys.sign, "statement", stream, statement),
    )


def _statements() -> Iterator[tuple[str, Vector]]:
    good = _signed(_statement())
    rows = {
        "good": good,
        "other_case": _signed(_statement(case=bytes(16))),
        "other_invitation": _signed(_statement(invitation=bytes(16))),
        "other_seed": _signed(_statement(), seed=bytes(32)),
        "other_device": _signed(_statement(), by=OTHER),
        "other_stream": _signed(_statement(), stream=StreamId(bytes(16))),
        "signatures_swapped": doorstep.Knock(good.statement, good.device_sig, good.seed_sig),
        "altered": msgspec.structs.replace(good, statement=good.statement.replace(b"Karim", b"Kasim")),
        "short_key": _signed(_statement(box=bytes(1215))),
        "name_no_text": _signed(_statement(name=b"Karim")),
        "key_twice": _signed(bytes([good.statement[0] + 1]) + good.statement[1:] + b"\xa4name\xa1x"),
        "behind_the_end": _signed(_statement() + b"\0"),
        "with_more": _signed(_statement(newer=1)),
    }
    for name, knock in rows.items():
        vector: Vector = {
            "kind": "statement", "statement": knock.statement.hex(), "seed_sig": knock.seed_sig.hex(),
            "device_sig": knock.device_sig.hex(), "case": CASE.hex(), "invitation": INVITATION.hex(),
            "doorstep": STREAM.hex(), "seed_key": doorstep.seed_key(SEED, STREAM).public.hex(),
        }  # fmt: skip
        try:
            key = doorstep.seed_key(SEED, STREAM).public
            statement, device = doorstep.check_statement(knock, CASE, INVITATION, STREAM, key)
            vector["out"] = {"name": statement.name, "device": device.hex()}
        except Inadmissible as error:
            vector["error"] = error.code
        yield f"statement_{name}", vector


def _knocks() -> Iterator[tuple[str, Vector]]:
    good = once("doorstep.json", "knock", lambda: doorstep.make_knock(GREETING, STREAM, SEED, VISITOR.keys, "Karim"))
    rows = {
        "good": (good, STREAM, INVITATION),
        "of_another_invitation": (good, STREAM, bytes(16)),
        "on_another_doorstep": (good, StreamId(bytes(16)), INVITATION),
        "cut_off": (good[:-1], STREAM, INVITATION),
        "empty": (b"", STREAM, INVITATION),
        "no_box": (b"\x80", STREAM, INVITATION),
        "altered": (good[:-1] + bytes([good[-1] ^ 1]), STREAM, INVITATION),
    }
    for name, (payload, stream, invitation) in rows.items():
        vector: Vector = {
            "kind": "knock", "payload": payload.hex(), "room": OWNERS.hex(), "key_stream": STREAM.hex(),
            "doorstep": stream.hex(), "invitation": invitation.hex(),
        }  # fmt: skip
        try:
            knock = doorstep.open_knock(payload, KNOCK_KEY, stream, invitation)
            vector["out"] = {
                "statement": knock.statement.hex(), "seed_sig": knock.seed_sig.hex(), "device_sig": knock.device_sig.hex(),
            }  # fmt: skip
        except Inadmissible as error:
            vector["error"] = error.code
        yield f"knock_{name}", vector


# --- welcomes


def _welcomes() -> Iterator[tuple[str, Vector]]:
    content = doorstep.encode_welcome(
        doorstep.Welcome(CASE, fixed_bytes("keys", 16), fixed_bytes("S"), 5, fixed_bytes("join"))
    )
    good = once(
        "doorstep.json", "welcome", lambda: doorstep.make_welcome(STREAM, VISITOR.id, VISITOR.public.box, content)
    )
    rows = {
        "good": (good, STREAM, VISITOR),
        "for_another": (good, STREAM, OTHER),
        "on_another_doorstep": (good, StreamId(bytes(16)), VISITOR),
        "altered": (good[:-1] + bytes([good[-1] ^ 1]), STREAM, VISITOR),
        "link_used": (doorstep.make_refusal(VISITOR.id), STREAM, VISITOR),
        "link_used_for_another": (doorstep.make_refusal(OTHER.id), STREAM, VISITOR),
        "another_code": (msgspec.msgpack.encode({"to": VISITOR.id, "code": "please_pay"}), STREAM, VISITOR),
        "nonce_only": (doorstep.make_nonce(VISITOR.id, _signed(_statement()), STREAM, bytes(32)), STREAM, VISITOR),
        "no_welcome": (b"\x80", STREAM, VISITOR),
    }
    for name, (payload, stream, visitor) in rows.items():
        vector: Vector = {
            "kind": "welcome", "payload": payload.hex(), "doorstep": stream.hex(), "device": visitor.id.hex(),
            "seed": visitor.seed.hex(),
        }  # fmt: skip
        try:
            vector["out"] = doorstep.open_welcome(payload, stream, visitor.id, visitor.keys.box).hex()
        except EigenkringError as error:
            vector["error"] = error.code
        yield f"welcome_{name}", vector
