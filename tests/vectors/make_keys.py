"""Vectors of keybags: a record that opens, what must not open, and who may not have sealed it.

The boxes are random, so they come from fixed/keys.json. ``charter`` is a list of records to fold first.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

from charter_cast import CASE, FATIMA, NORA, SAM, Actor, Play, fixed_bytes, once

from eigenkring import keys
from eigenkring.charter import compose, majority
from eigenkring.errors import Inadmissible
from eigenkring_crypto.box import seal_box
from eigenkring_crypto.sign import sign

Vector = dict[str, Any]
SECRET = fixed_bytes("the S of keys")
SEEN = (3, fixed_bytes("chain of keys"))
THIEF = Actor("a thief")


def make() -> dict[str, Vector]:
    play = Play()
    play.found(NORA)
    play.come(NORA, FATIMA, "member")
    play.come(NORA, SAM, "child")
    return dict(_opened(play)) | dict(_hints(play)) | dict(_sent_by_another(play))


def _record(play: Play, name: str, make_it: Callable[[], bytes]) -> bytes:
    """Of this very charter: a box that was sealed at another entry opens for nobody, and says nothing more."""
    return once("keys.json", f"{name} at {play.now.head.hex()[:8]}", make_it)


def _seal(play: Play, by: Actor = NORA, **more: Any) -> bytes:
    bags = {
        FATIMA.id: keys.bag_of(
            compose.keybag_for(play.now, play.ring(NORA), FATIMA.id),
            [keys.Ask(majority.propose(play.now, "close"))],
            [keys.Blank(fixed_bytes("blank", 16), fixed_bytes("manage hash"))],  # type: ignore[arg-type]
        ),
        SAM.id: keys.bag_of(compose.keybag_for(play.now, play.ring(NORA), SAM.id)),
    }
    return keys.seal_bags(
        play.now,
        by.id,
        by.keys.sign,
        SECRET,
        SEEN,
        bags,
        play.random(NORA),  # type: ignore[arg-type]
    )


def _vector(play: Play, payload: bytes, actor: Actor, expect: str = "bad_keybag", **more: Any) -> Vector:
    """``expect`` is ``opens``, ``nothing`` or the code; ValueError where something else came of it."""
    vector: Vector = {
        "kind": "open",
        "case": CASE.hex(),
        "stream": play.now.keys_stream.hex(),
        "secret": SECRET.hex(),
        "device": actor.id.hex(),
        "seed": actor.seed.hex(),
        "payload": payload.hex(),
        "charter": [{"payload": r["payload"], "chain": r["chain"]} for r in play.records],
        **more,
    }
    try:
        opened = keys.open_bags(
            payload, CASE, play.now.keys_stream, bytes.fromhex(vector["secret"]), actor.id, actor.keys.box
        )
        if opened is None:
            vector["out"] = None
            return _expected(vector, expect, "nothing")
        opened.check(play.now)
        vector["out"] = {
            "by": opened.by.hex(), "n": opened.n, "head": opened.head.hex(), "length": opened.length,
            "chain": opened.chain.hex(),
            "rooms": [[room, epoch, secret.hex()] for room, epoch, secret in opened.rooms],
            "acts": [ask.act.hex() for ask in opened.bag.acts],
            "blanks": [[blank.stream.hex(), blank.manage.hex()] for blank in opened.bag.blanks],
        }  # fmt: skip
    except Inadmissible as error:
        vector["error"] = error.code
    return _expected(vector, expect, vector.get("error", "opens"))


def _expected(vector: Vector, expect: str, came: str) -> Vector:
    if came != expect:
        raise ValueError(f"a vector of keys: {came} and not {expect}")
    return vector


def _opened(play: Play) -> Iterator[tuple[str, Vector]]:
    good = _record(play, "good", lambda: _seal(play))
    yield "open_a_member", _vector(play, good, FATIMA, "opens")
    yield "open_a_child", _vector(play, good, SAM, "opens")
    yield "none_for_this_device", _vector(play, good, NORA, "nothing")
    yield "none_with_another_secret", _vector(play, good, FATIMA, "nothing", secret=bytes(32).hex())
    yield "bytes_behind_the_end", _vector(play, good + b"\0", FATIMA)
    outer = msgspec.msgpack.decode(good)
    body = msgspec.msgpack.decode(outer["body"])

    def signed(changed: dict[str, Any] | bytes, by: Actor = NORA, name: str = "keys", stream: bytes = b"") -> bytes:
        data = changed if isinstance(changed, bytes) else msgspec.msgpack.encode(changed)
        sig = sign(by.keys.sign, name, stream or play.now.keys_stream, data)
        return msgspec.msgpack.encode({"body": data, "sig": sig})

    yield "signed_again", _vector(play, signed(body), FATIMA, "opens")
    yield "forged", _vector(play, msgspec.msgpack.encode({**outer, "sig": bytes(64)}), FATIMA)
    yield "signed_for_another_stream", _vector(play, signed(body, stream=CASE), FATIMA)
    yield "signed_as_an_entry", _vector(play, signed(body, name="charter"), FATIMA)
    yield "of_another_case", _vector(play, signed({**body, "case": bytes(16)}), FATIMA)
    yield "of_another_number", _vector(play, signed({**body, "n": 1}), FATIMA)
    yield "of_a_number_to_come", _vector(play, signed({**body, "n": 99}), FATIMA)
    yield (
        "key_given_twice",
        _vector(play, signed(bytes([outer["body"][0] + 1]) + outer["body"][1:] + b"\xa1n\x01"), FATIMA),
    )
    yield "length_a_float", _vector(play, signed({**body, "length": 3.0}), FATIMA)
    swapped = [
        [body["boxes"][0][0], body["boxes"][1][1]],
        [body["boxes"][1][0], body["boxes"][0][1]],
        *body["boxes"][2:],
    ]
    yield "boxes_swapped", _vector(play, signed({**body, "boxes": swapped}), FATIMA)
    yield "hint_too_short", _vector(play, signed({**body, "boxes": [[b"", b""]]}), FATIMA)
    for name, text in (
        ("bag_of_nonsense", b"\xc1"),
        ("bag_with_a_short_secret", msgspec.msgpack.encode({"rooms": [["plan", 1, bytes(31)]]})),
        ("bag_with_epoch_zero", msgspec.msgpack.encode({"rooms": [["plan", 0, bytes(32)]]})),
        ("bag_with_a_key_twice", b"\x82\xa5rooms\x90\xa5rooms\x90"),
        ("bag_that_is_empty", b"\x80"),
        ("bag_with_more", msgspec.msgpack.encode({"rooms": [], "newer": [1]})),
    ):

        def boxed(text: bytes = text) -> bytes:
            head = play.now.head
            box = seal_box(FATIMA.public.box, "keybag", CASE + FATIMA.id + head, text)
            return signed({**body, "boxes": [[keys.hint(SECRET, FATIMA.id, head), box]]})

        expect = "opens" if name in ("bag_that_is_empty", "bag_with_more") else "bad_keybag"
        yield name, _vector(play, _record(play, name, boxed), FATIMA, expect)


def _hints(play: Play) -> Iterator[tuple[str, Vector]]:
    for actor in (NORA, FATIMA):
        yield f"hint_{actor.name.lower()}", {
            "kind": "hint", "secret": SECRET.hex(), "device": actor.id.hex(), "head": play.now.head.hex(),
            "out": keys.hint(SECRET, actor.id, play.now.head).hex(),
        }  # fmt: skip


def _sent_by_another(play: Play) -> Iterator[tuple[str, Vector]]:
    yield "by_a_stranger", _vector(play, _record(play, "stranger", lambda: _seal(play, THIEF)), FATIMA)
    gone = play.fork()
    gone.post(compose.leave(gone.now, gone.author(SAM)), SAM)
    before = _record(play, "by_one_who_left_later", lambda: _seal(play, SAM))
    yield "by_one_who_left_later", _vector(gone, before, FATIMA, "opens")
    yield "by_one_who_had_left", _vector(gone, _record(play, "by_one_who_had_left", lambda: _seal(gone, SAM)), FATIMA)
