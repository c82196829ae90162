"""Who sends nonsense, too much or takes too little hears of it, and nobody else does."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import msgspec
import pytest
from devices import Keys, Socket, post, socket_to
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from eigenkring import wire
from eigenkring_server.limits import Bucket, Limits, Tolls, Waiting
from live_relay import LiveRelay, live_relay

GOOD = wire.encode(wire.Request(9, [wire.Append(bytes(16), bytes(32), b"record", bytes(32))], True, "token"))


def broken(name: str, value: object) -> bytes:
    """A frame with one field of its operation, or of itself, changed."""
    frame = msgspec.msgpack.decode(GOOD)
    (frame if name in frame else frame["ops"][0])[name] = value
    return msgspec.msgpack.encode(frame)


BAD = {
    "nothing": b"",
    "an unused byte": b"\xc1",
    "half a frame": GOOD[:-1],
    "a byte too many": GOOD + b"\x00",
    "a list": b"\x90",
    "brackets without end": b"\x91" * 100_000,
    "a length that lies": b"\x82\xa2id\x01\xa3ops\xdd\xff\xff\xff\xff",
    "a key twice": b"\x83\xa2id\x01\xa3ops\x90\xa2id\x02",
    "a key twice, written longer": b"\x83\xa2id\x01\xa3ops\x90\xd9\x02id\x02",
    "a key twice in what is not known": b"\x83\xa2id\x01\xa3ops\x90\xa1x\x82\xa1y\x01\xa1y\x01",
    "a key that is no text": b"\x83\xa2id\x01\xa3ops\x90\x01\x02",
    "an id too large": broken("id", 2**32),
    "an id below zero": broken("id", -1),
    "an id of text": broken("id", "9"),
    "no operations": broken("ops", None),
    "a flag of one": broken("atomic", 1),
    "a token of bytes": broken("token", b"token"),
    "a token without end": broken("token", "t" * 257),
    "another operation": broken("op", "burn"),
    "a short stream id": broken("stream", bytes(15)),
    "a stream id of text": broken("stream", "s" * 16),
    "a long capability": broken("cap", bytes(33)),
    "no capability": broken("cap", None),
    "an empty record": broken("record", b""),
    "a record of text": broken("record", "record"),
    "half a chain": broken("expect", bytes(16)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_frame_gets_its_code_and_the_connection_lives(relay: LiveRelay, bad: bytes) -> None:
    async def scenario() -> None:
        async with socket_to(relay.sync_url) as socket:
            await socket.connection.send(bad)
            frame = await socket.frame()
            assert isinstance(frame, wire.Failure)
            assert frame.code == "bad_frame"
            assert await socket.ask() == []

    asyncio.run(scenario())


def test_unknown_keys_are_of_a_newer_version_and_are_no_fault(relay: LiveRelay) -> None:
    frame = msgspec.msgpack.decode(GOOD)
    frame["later"] = {"a": [1, 2.5, None, {"b": b"c"}]}
    frame["ops"][0]["later"] = True

    async def scenario() -> None:
        async with socket_to(relay.sync_url) as socket:
            await socket.connection.send(msgspec.msgpack.encode(frame))
            answer = await socket.frame()
            assert isinstance(answer, wire.Answer)
            assert wire.results_of(answer, [wire.Append(bytes(16), bytes(32), b"r")]) == [wire.Failed("no_stream")]

    asyncio.run(scenario())


def test_text_and_frames_that_are_too_large(relay: LiveRelay) -> None:
    async def scenario() -> None:
        async with socket_to(relay.sync_url) as other, socket_to(relay.sync_url) as socket:
            await socket.connection.send("text")
            assert await socket.frame() == wire.Failure(0, "bad_frame")
            await socket.connection.send(bytes(wire.MAX_FRAME_BYTES + 1))
            assert await socket.frame() == wire.Failure(0, "too_large")
            await socket.send(*[wire.Unfollow(bytes(16))] * 513)
            assert await socket.frame() == wire.Failure(1, "too_large")
            assert await socket.ask(*[wire.Unfollow(bytes(16))] * 512) == [wire.Unfollowed()] * 512
            with pytest.raises(ConnectionClosed) as closed:
                await socket.connection.send(bytes(wire.MAX_FRAME_BYTES + 2_000_000))
                await socket.frame()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            assert await other.ask() == []

    asyncio.run(scenario())


def test_random_garbage_never_ends_the_relay(relay: LiveRelay) -> None:
    dice = random.Random(7)

    async def scenario() -> None:
        async with socket_to(relay.sync_url) as socket:
            for _ in range(1_500):
                frame = bytearray(GOOD)
                for _ in range(dice.randint(1, 6)):
                    frame[dice.randrange(len(frame))] = dice.randrange(256)
                await socket.connection.send(
                    bytes(frame[: dice.choice([len(frame)] * 3 + [dice.randrange(len(frame))])])
                )
                answer = await socket.frame()
                assert isinstance(answer, wire.Answer | wire.Failure)
            assert await socket.ask() == []

    asyncio.run(scenario())


def test_a_connection_that_breaks_off_leaves_no_follower_behind(relay: LiveRelay) -> None:
    keys = Keys()
    post(relay.url, keys.opening())

    async def scenario() -> None:
        for _ in range(20):
            connection = await connect(relay.sync_url, compression=None, proxy=None)
            await Socket(connection).ask(keys.following())
            connection.transport.abort()
        async with socket_to(relay.sync_url) as socket:
            await socket.ask(keys.following(), keys.appending(b"a"))
            assert await socket.push() == wire.PushedRecord(keys.id, 1, b"a")

    asyncio.run(scenario())


def test_a_slow_follower_is_told_that_it_is_behind_and_the_others_are_not_kept(tmp_path: Path) -> None:
    record = 100_000
    count = 120

    async def scenario(relay: LiveRelay) -> None:
        keys = Keys()
        post(relay.url, keys.opening())
        slow_connection = await connect(relay.sync_url, compression=None, proxy=None, max_queue=1, max_size=None)
        async with socket_to(relay.sync_url) as quick, socket_to(relay.sync_url) as author:
            slow = Socket(slow_connection)
            await slow.ask(keys.following())
            await quick.ask(keys.following())
            for _ in range(count):
                await author.ask(keys.appending(os.urandom(record)))
                push = await asyncio.wait_for(quick.push(), 20)
                assert isinstance(push, wire.PushedRecord)
            got = 0
            while isinstance(push := await asyncio.wait_for(slow.push(), 20), wire.PushedRecord):
                got += 1
                assert push.index == got
            assert push == wire.PushedEvent(keys.id, "behind")
            assert 0 < got < count
            # It reads what it missed and follows on.
            (page,) = await slow.ask(keys.following(after=got))
            assert isinstance(page, wire.Batch)
            assert page.first == got + 1
            await author.ask(keys.appending(b"after"))
            assert await asyncio.wait_for(slow.push(), 20) == wire.PushedRecord(keys.id, count + 1, b"after")
        await slow_connection.close()

    with live_relay(tmp_path, limits={"follower_bytes": 1_000_000, "max_stream_bytes": 10**9}) as relay:
        asyncio.run(scenario(relay))


def test_who_asks_for_much_and_takes_nothing_costs_the_relay_little(tmp_path: Path) -> None:
    def resident(relay: LiveRelay) -> int:
        status = Path(f"/proc/{relay.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    async def scenario(relay: LiveRelay) -> None:
        keys = Keys()
        post(relay.url, keys.opening())
        for _ in range(8):
            post(relay.url, keys.appending(os.urandom(1_000_000)))
        async with socket_to(relay.sync_url) as other:
            await other.ask(keys.reading())
            before = resident(relay)
            greedy = await connect(relay.sync_url, compression=None, proxy=None, max_queue=1, max_size=None)
            for identity in range(1, 60):
                await greedy.send(wire.encode(wire.Request(identity, [keys.reading()])))
            await asyncio.sleep(1.0)
            await asyncio.wait_for(other.ask(keys.reading(after=8)), 120)
            # Sixty answers of eight megabytes were asked for.
            assert resident(relay) - before < 100_000
            greedy.transport.abort()

    with live_relay(tmp_path) as relay:
        asyncio.run(scenario(relay))


def test_too_many_streams_on_one_connection(tmp_path: Path) -> None:
    async def scenario(relay: LiveRelay) -> None:
        streams = [Keys() for _ in range(4)]
        async with socket_to(relay.sync_url) as socket:
            await socket.ask(*(keys.opening() for keys in streams))
            results = await socket.ask(*(keys.following() for keys in streams))
            assert all(isinstance(result, wire.Batch) for result in results)
            assert await socket.push() == wire.PushedEvent(streams[3].id, "behind")
            await socket.ask(wire.Unfollow(streams[0].id))
            await socket.ask(streams[3].following(), streams[3].appending(b"a"))
            assert await socket.push() == wire.PushedRecord(streams[3].id, 1, b"a")

    with live_relay(tmp_path, limits={"follows_per_connection": 3}) as relay:
        asyncio.run(scenario(relay))


def test_too_many_connections(tmp_path: Path) -> None:
    async def scenario(relay: LiveRelay) -> None:
        async with socket_to(relay.sync_url) as one, socket_to(relay.sync_url):
            with pytest.raises(Exception, match="403"):
                async with socket_to(relay.sync_url):
                    pass
            assert await one.ask() == []
        # It hears of their ends in its own time.
        async with asyncio.timeout(60):
            while True:
                try:
                    async with socket_to(relay.sync_url) as again:
                        assert await again.ask() == []
                        return
                except InvalidStatus:
                    await asyncio.sleep(0.05)

    with live_relay(tmp_path, limits={"connections": 2}) as relay:
        asyncio.run(scenario(relay))


def test_too_many_frames_are_slowed_down_but_a_lock_still_turns(tmp_path: Path) -> None:
    async def scenario(relay: LiveRelay) -> None:
        keys = Keys()
        async with socket_to(relay.sync_url) as socket:
            await socket.ask(keys.opening())
            codes = []
            for _ in range(30):
                await socket.send(keys.appending(os.urandom(8)))
                frame = await socket.frame()
                codes.append(frame.code if isinstance(frame, wire.Failure) else None)
            assert codes[0] is None
            assert codes[-1] == "slow_down"
            new = keys.turned()
            (result,) = await socket.ask(keys.rekeying(new))
            assert isinstance(result, wire.Rekeyed)
            assert await socket.ask(new.closing()) == [wire.Closed()]
            for _ in range(10):
                await socket.send(new.closing())
                frame = await socket.frame()
            assert frame == wire.Failure(frame.id, "slow_down")  # type: ignore[union-attr]

    rates = {"frames_burst": 10, "frames_per_second": 0.01, "manage_burst": 5, "manage_per_second": 0.01}
    with live_relay(tmp_path, limits=rates) as relay:
        asyncio.run(scenario(relay))


def test_too_many_new_streams_are_slowed_down_and_nothing_else_is(tmp_path: Path) -> None:
    async def scenario(relay: LiveRelay) -> None:
        streams = [Keys() for _ in range(4)]
        async with socket_to(relay.sync_url) as socket:
            await socket.ask(*(keys.opening() for keys in streams[:3]))
            request = await socket.send(streams[3].opening())
            assert await socket.frame() == wire.Failure(request.id, "slow_down")
            assert not isinstance((await socket.ask(streams[0].appending(b"a")))[0], wire.Failed)

    with live_relay(tmp_path, limits={"opens_burst": 3, "opens_per_second": 0.01}) as relay:
        asyncio.run(scenario(relay))


def test_quotas_of_a_running_relay(tmp_path: Path) -> None:
    with live_relay(tmp_path, limits={"max_streams": 1, "max_stream_records": 2}) as relay:
        keys = Keys()
        results = post(relay.url, keys.opening(), *(keys.appending(bytes([n + 1])) for n in range(3)), Keys().opening())
        assert results[3:] == [wire.Failed("quota")] * 2


def test_a_bucket_fills_with_time_and_no_further_than_its_rim() -> None:
    bucket = Bucket(burst=2, now=0)
    assert [bucket.take(1, rate=1, burst=2, now=0) for _ in range(3)] == [True, True, False]
    assert bucket.take(1, rate=1, burst=2, now=0.5) is False
    assert bucket.take(1, rate=1, burst=2, now=1.0) is True
    assert [bucket.take(1, rate=1, burst=2, now=1_000) for _ in range(3)] == [True, True, False]
    # A clock that goes back gives nothing and takes nothing.
    assert bucket.take(1, rate=1, burst=2, now=0) is False


def test_each_address_has_its_own_buckets_and_their_number_is_bounded() -> None:
    tolls = Tolls(Limits(frames_burst=1, frames_per_second=0.0))
    assert tolls.frame("a", 0)
    assert not tolls.frame("a", 0)
    assert all(tolls.frame(f"b{n}", 0) for n in range(30_000))
    assert len(tolls._addresses) == 20_000


def test_what_waits_for_the_disk_is_bounded_and_keeps_room_for_who_manages() -> None:
    waiting = Waiting(Limits(waiting_frames=2, waiting_bytes=100))
    assert [waiting.enter(10, manages=False) for _ in range(3)] == [True, True, False]
    assert [waiting.enter(10, manages=True) for _ in range(3)] == [True, True, False]
    for _ in range(4):
        waiting.leave(10)
    assert waiting.is_empty
    assert not waiting.enter(101, manages=False)
    assert waiting.enter(101, manages=True)
