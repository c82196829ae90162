"""Keybags: what a record shows to whom, and that one bad device stops nobody."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

VECTOR_FOLDER = Path(__file__).resolve().parent.parent / "vectors"
sys.path.insert(0, str(VECTOR_FOLDER))

import make_keys  # noqa: E402
import make_rooms  # noqa: E402
from charter_cast import ANNEKE, CASE, FATIMA, LOTTE, NORA, SAM, Actor, Play, Random, fixed_bytes  # noqa: E402

from eigenkring import keys  # noqa: E402
from eigenkring.charter import compose  # noqa: E402
from eigenkring.charter.state import Device  # noqa: E402
from eigenkring.errors import Inadmissible  # noqa: E402
from eigenkring.ids import CaseId, Chain, StreamId  # noqa: E402
from eigenkring_crypto.box import open_box  # noqa: E402
from eigenkring_crypto.errors import CryptoError  # noqa: E402

SECRET = fixed_bytes("the S of keys")
SEEN = (3, Chain(fixed_bytes("chain of keys")))


@pytest.mark.parametrize("area", [(make_keys, "keys", 27), (make_rooms, "rooms", 49)], ids=["keys", "rooms"])
def test_the_vectors_in_git_are_those_this_code_makes(area: tuple[Any, str, int]) -> None:
    module, name, least = area
    in_git = {f.stem: json.loads(f.read_text("utf-8")) for f in (VECTOR_FOLDER / name).glob("*.json")}
    assert len(in_git) >= least
    assert in_git == module.make()


@pytest.fixture(scope="module")
def play() -> Play:
    play = Play()
    play.found(NORA, kinds=("question", "safety", "plan"), own=("contacts",))
    play.come(NORA, FATIMA, "member", ("voice", "contacts"))
    play.come(NORA, SAM, "child", ("house",))
    play.come(NORA, ANNEKE, "coordinator")
    return play


def seal(play: Play, bags: dict[Any, Any]) -> bytes:
    return keys.seal_bags(play.now, NORA.id, NORA.keys.sign, SECRET, SEEN, bags, Random("boxes"))


def boxes(payload: bytes) -> list[tuple[bytes, bytes]]:
    body = msgspec.msgpack.decode(msgspec.msgpack.decode(payload)["body"])
    return [(hint, box) for hint, box in body["boxes"]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_a_record_shows_neither_how_many_nor_how_much(play: Play, count: int) -> None:
    actors = [NORA, FATIMA, SAM, ANNEKE][:count]
    payload = seal(play, {a.id: compose.keybag_for(play.now, play.ring(NORA), a.id) for a in actors})
    found = boxes(payload)
    assert len(found) == 4
    assert len({len(box) for _, box in found}) == 1
    assert [hint for hint, _ in found] == sorted(hint for hint, _ in found)
    # A dummy is told from a box by no bit: random bytes would have the top bit of the X25519 key.
    assert all(box[1119] < 128 for _, box in found)
    for actor in actors:
        opened = keys.open_bags(payload, CASE, play.now.keys_stream, SECRET, actor.id, actor.keys.box)
        assert opened is not None
        opened.check(play.now)
        assert opened.rooms == compose.keybag_for(play.now, play.ring(NORA), actor.id)
    assert keys.check_payload(payload, play.now) == (NORA.id, *SEEN)


def test_five_make_eight(play: Play) -> None:
    play = play.fork()
    fifth = Actor("a fifth")
    play.add_device(SAM, fifth)
    payload = seal(play, {d: [("plan", 1, bytes(32))] for d in play.now.devices})
    assert len(boxes(payload)) == 8


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=3))
def test_bags_of_any_sizes_have_one_size(sizes: list[int]) -> None:
    bags = [keys.Bag(tuple(keys.Secret("plan", 1, bytes(32)) for _ in range(n))) for n in sizes]
    texts = keys._of_one_size([msgspec.msgpack.encode(bag) for bag in bags], bags)
    assert [msgspec.msgpack.decode(text, type=keys.Bag).rooms for text in texts] == [bag.rooms for bag in bags]


def test_a_device_whose_key_is_no_key_stops_nobody(play: Play) -> None:
    broken = Device(FATIMA.id, play.person(FATIMA), FATIMA.public.sign, b"\xff" * 1216, "", 3)
    charter = msgspec.structs.replace(play.now, devices={**play.now.devices, FATIMA.id: broken})
    bags: dict[Any, Any] = {a.id: [("plan", 1, fixed_bytes("plan"))] for a in (FATIMA, SAM)}
    payload = keys.seal_bags(charter, NORA.id, NORA.keys.sign, SECRET, SEEN, bags, Random("boxes"))
    opened = keys.open_bags(payload, CASE, play.now.keys_stream, SECRET, SAM.id, SAM.keys.box)
    assert opened is not None
    assert opened.rooms == [("plan", 1, fixed_bytes("plan"))]
    with pytest.raises(Inadmissible):
        keys.open_bags(payload, CASE, play.now.keys_stream, SECRET, FATIMA.id, FATIMA.keys.box)


def test_a_box_opens_for_its_device_entry_and_case_only(play: Play) -> None:
    payload = seal(play, {SAM.id: [("plan", 1, bytes(32))]})
    hint = keys.hint(SECRET, SAM.id, play.now.head)
    box = dict(boxes(payload))[hint]
    assert open_box(SAM.keys.box, "keybag", CASE + SAM.id + play.now.head, box)
    for context in (CASE + FATIMA.id + play.now.head, CASE + SAM.id + bytes(32), bytes(16) + SAM.id + play.now.head):
        with pytest.raises(CryptoError):
            open_box(SAM.keys.box, "keybag", context, box)


def test_a_wrong_secret_names_its_sender_and_is_not_used(play: Play) -> None:
    payload = seal(play, {SAM.id: [("plan", 1, bytes(32))]})
    opened = keys.open_bags(payload, CASE, play.now.keys_stream, SECRET, SAM.id, SAM.keys.box)
    assert opened is not None
    opened.check(play.now)
    with pytest.raises(Inadmissible) as caught:
        play.ring(SAM).check(play.now, *opened.rooms[0])
    assert caught.value.code == "wrong_secret"


def test_a_secret_is_not_shown() -> None:
    bag = keys.bag_of([("plan", 1, fixed_bytes("plan"))])
    assert fixed_bytes("plan").hex() not in repr(bag)
    assert repr(fixed_bytes("plan"))[2:-1] not in repr(bag)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(Inadmissible):
        keys.open_bags(data, CASE, StreamId(bytes(16)), SECRET, SAM.id, SAM.keys.box)


def test_a_keybag_is_of_a_device_that_belonged_then_and_of_this_case(play: Play) -> None:
    later = play.fork()
    early = keys.seal_bags(play.now, FATIMA.id, FATIMA.keys.sign, SECRET, SEEN, {}, Random("early"))
    later.post(compose.remove_person(later.now, later.author(NORA), later.person(FATIMA)), NORA)
    assert keys.check_payload(early, later.now)[0] == FATIMA.id
    late = keys.seal_bags(later.now, FATIMA.id, FATIMA.keys.sign, SECRET, SEEN, {}, Random("late"))
    stranger = keys.seal_bags(play.now, LOTTE.id, LOTTE.keys.sign, SECRET, SEEN, {}, Random("stranger"))
    other = msgspec.structs.replace(play.now, case=CaseId(bytes(16)))
    for payload, charter in ((late, later.now), (stranger, play.now), (early, other)):
        with pytest.raises(Inadmissible) as caught:
            keys.check_payload(payload, charter)
        assert caught.value.code == "bad_keybag"
    with pytest.raises(Inadmissible) as caught:
        keys.open_bags(early, CaseId(bytes(16)), play.now.keys_stream, SECRET, FATIMA.id, FATIMA.keys.box)
    assert caught.value.code == "bad_keybag"
