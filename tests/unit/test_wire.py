"""Both ends of the wire: what one encodes the other reads, and nonsense is blamed on who sent it. Frames: docs/spec/streams.md."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eigenkring import wire
from eigenkring.errors import Refused, RelayMisbehaved

STREAM, CHAIN, CAP = bytes(range(16)), bytes(range(32)), bytes(range(32, 64))

stream_ids, hashes = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
records = st.binary(min_size=1, max_size=40)
numbers, small = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)
operations = st.one_of(
    st.builds(wire.Open, stream_ids, hashes, hashes, hashes, st.none() | numbers),
    st.builds(wire.Append, stream_ids, hashes, records, st.none() | hashes),
    st.builds(wire.Read, stream_ids, hashes, numbers, small),
    st.builds(wire.Follow, stream_ids, hashes, numbers, small),
    st.builds(wire.Unfollow, stream_ids),
    st.builds(wire.Rekey, stream_ids, hashes, *[st.none() | hashes] * 3),
    st.builds(wire.Replace, stream_ids, hashes, hashes, records),
    st.builds(wire.Close, stream_ids, hashes),
)
requests = st.builds(
    wire.Request, small, st.lists(operations, max_size=5), st.booleans(), st.none() | st.text(max_size=9)
)

ANSWERS: dict[type[wire.Operation], wire.Result] = {
    wire.Open: wire.Opened(0, CHAIN),
    wire.Append: wire.Appended(1, CHAIN),
    wire.Read: wire.Batch(0, CHAIN, 2, CHAIN, 1, [b"a"], True),
    wire.Follow: wire.Batch(0, CHAIN, 0, CHAIN, 1, [], False),
    wire.Unfollow: wire.Unfollowed(),
    wire.Rekey: wire.Rekeyed(1, CHAIN),
    wire.Replace: wire.Replaced(1, 2, CHAIN),
    wire.Close: wire.Closed(),
}


@given(requests)
def test_a_request_comes_out_as_it_went_in(request: wire.Request) -> None:
    assert wire.decode_request(wire.encode(request)) == request


@given(requests, st.booleans())
def test_a_reply_is_read_by_what_was_asked(request: wire.Request, refuse: bool) -> None:
    results = [wire.Failed("not_done") if refuse else ANSWERS[type(op)] for op in request.ops]
    reply = wire.Reply(request.id, 3, results)
    assert wire.decode_reply(wire.encode(reply), request) == reply


@given(st.binary(max_size=60))
def test_any_bytes_are_a_frame_or_are_blamed_on_their_sender(data: bytes) -> None:
    try:
        wire.decode_request(data)
    except Refused as error:
        assert error.code in ("bad_frame", "too_large")
    try:
        wire.decode_from_relay(data)
    except RelayMisbehaved as error:
        assert error.code == "relay_garbage"
    assert 0 <= wire.id_of(data) < 2**32


@given(requests, st.data())
def test_a_changed_byte_is_a_frame_or_is_refused(request: wire.Request, data: st.DataObject) -> None:
    frame = bytearray(wire.encode(request))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.decode_request(bytes(frame))
    except Refused as error:
        assert error.code in ("bad_frame", "too_large")


def test_the_bytes_of_a_frame_are_those_of_the_specification() -> None:
    request = wire.Request(7, [wire.Append(STREAM, CAP, b"r", None), wire.Unfollow(STREAM)], True, "t")
    assert msgspec.msgpack.decode(wire.encode(request)) == {
        "id": 7,
        "ops": [
            {"op": "append", "stream": STREAM, "cap": CAP, "record": b"r", "expect": None},
            {"op": "unfollow", "stream": STREAM},
        ],
        "atomic": True,
        "token": "t",
    }
    pushed = msgspec.msgpack.decode(wire.encode(wire.PushedRecord(STREAM, 4, b"r")))
    assert pushed == {"push": STREAM, "event": "record", "index": 4, "record": b"r"}
    assert msgspec.msgpack.decode(wire.encode(wire.PushedEvent(STREAM, "behind"))) == {
        "push": STREAM,
        "event": "behind",
    }
    failed = msgspec.msgpack.decode(
        wire.encode(wire.Reply(7, 1, [wire.Failed("closed"), wire.Failed("conflict", 1, CHAIN)]))
    )
    assert failed["results"] == [{"code": "closed"}, {"code": "conflict", "length": 1, "chain": CHAIN}]


def test_what_may_be_nil_may_be_left_out() -> None:
    ops = [{"op": "append", "stream": STREAM, "cap": CAP, "record": b"r"}, {"op": "read", "stream": STREAM, "cap": CAP}]
    request = wire.decode_request(msgspec.msgpack.encode({"id": 1, "ops": ops}))
    assert request == wire.Request(1, [wire.Append(STREAM, CAP, b"r"), wire.Read(STREAM, CAP, 0, wire.MAX_FRAME_BYTES)])


def test_pushes_and_failures_are_told_apart() -> None:
    frames = [wire.PushedRecord(STREAM, 4, b"r"), wire.PushedEvent(STREAM, "rekeyed"), wire.Failure(3, "busy")]
    assert [wire.decode_from_relay(wire.encode(frame)) for frame in frames] == frames


def test_a_refused_frame_is_an_error_with_its_code() -> None:
    with pytest.raises(Refused) as refused:
        wire.decode_reply(wire.encode(wire.Failure(1, "slow_down")), wire.Request(1, []))
    assert refused.value.code == "slow_down"


@pytest.mark.parametrize(
    "frame",
    [
        {"id": 2, "generation": 1, "results": [{}]},
        {"id": 1, "generation": 1, "results": []},
        {"id": 1, "generation": 1, "results": [{}, {}]},
        {"id": 1, "generation": 1, "results": [{"length": 1, "chain": CHAIN}]},
        {"id": 1, "generation": 1, "results": [{"code": "made_up"}]},
        {"id": 1, "generation": -1, "results": [{"code": "closed"}]},
        {"id": 1, "results": [{"code": "closed"}]},
        {"id": 1, "code": "made_up"},
        {"push": STREAM, "event": "closed"},
        {"push": STREAM, "event": "record", "index": 1},
        {"push": STREAM, "event": "made_up"},
        [],
        None,
    ],
)
def test_an_answer_to_something_else_is_garbage(frame: object) -> None:
    request = wire.Request(1, [wire.Read(STREAM, CAP)])
    with pytest.raises(RelayMisbehaved) as misbehaved:
        wire.decode_reply(msgspec.msgpack.encode(frame), request)
    assert misbehaved.value.code == "relay_garbage"


def test_a_key_given_twice_is_refused_from_both_sides() -> None:
    twice = b"\x83\xa2id\x01\xa4code\xa4busy\xa2id\x02"
    with pytest.raises(RelayMisbehaved):
        wire.decode_from_relay(twice)
    with pytest.raises(Refused):
        wire.decode_request(b"\x83\xa2id\x01\xa3ops\x90\xa2id\x02")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
        max_leaves=30,
    )
)
def test_the_walk_over_keys_accepts_what_is_whole_and_nothing_shorter_or_longer(value: object) -> None:
    data = msgspec.msgpack.encode(value)
    wire.check_keys(data)
    for other in (data + b"\xc0", data[:-1]):
        with pytest.raises(ValueError):
            wire.check_keys(other)
