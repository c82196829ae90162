"""The relay over a WebSocket: many frames at once, pushes, and what ends a following."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest
from devices import Keys, Socket, chain_of, post, socket_to

from eigenkring import wire
from live_relay import LiveRelay


def with_sockets(relay: LiveRelay, count: int, scenario: Callable[..., Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(300):
            sockets = [socket_to(relay.sync_url) for _ in range(count)]
            await scenario(*[await socket.__aenter__() for socket in sockets])
            for socket in sockets:
                await socket.__aexit__(None, None, None)

    asyncio.run(run())


def stream(relay: LiveRelay, *records: bytes, expires: int | None = None) -> Keys:
    keys = Keys()
    results = post(relay.url, keys.opening(expires), *map(keys.appending, records))
    assert not any(isinstance(result, wire.Failed) for result in results)
    return keys


async def nothing_more(socket: Socket) -> None:
    """Whatever was to be pushed came before the answer to a new frame."""
    assert await socket.ask() == []
    assert socket.pushes == []


def test_frames_are_answered_though_many_are_under_way(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        records = [os.urandom(50) for _ in range(300)]
        requests = {}
        for record in records:
            request = await socket.send(keys.appending(record))
            requests[request.id] = request
        for _ in records:
            frame = await socket.frame()
            assert isinstance(frame, wire.Answer)
            (result,) = wire.results_of(frame, requests.pop(frame.id).ops)
            assert isinstance(result, wire.Appended)
        assert requests == {}
        (page,) = await socket.ask(keys.reading())
        assert isinstance(page, wire.Batch)
        # One connection's frames are carried out in the order in which they came.
        assert page.records == records

    with_sockets(relay, 1, scenario)


def test_followers_get_every_record_once_and_in_order(relay: LiveRelay) -> None:
    keys = stream(relay, b"first")

    async def scenario(author: Socket, *followers: Socket) -> None:
        for follower in followers:
            (page,) = await follower.ask(keys.following())
            assert isinstance(page, wire.Batch)
            assert page.records == [b"first"]
        records = [bytes([n]) * 20 for n in range(100)]
        for at in range(0, 100, 10):
            await author.ask(*map(keys.appending, records[at : at + 10]))
        for follower in followers:
            got = [await follower.push() for _ in records]
            assert got == [wire.PushedRecord(keys.id, n + 2, record) for n, record in enumerate(records)]
            await nothing_more(follower)

    with_sockets(relay, 4, scenario)


def test_an_author_who_follows_is_pushed_to_as_well(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        page, result = await socket.ask(keys.following(), keys.appending(b"a"))
        assert isinstance(page, wire.Batch)
        assert (page.length, page.records) == (0, [])
        assert result == wire.Appended(1, chain_of(keys.id, b"a"))
        assert await socket.push() == wire.PushedRecord(keys.id, 1, b"a")
        # What was appended before the following began in the same frame is in its answer, and is not pushed.
        _, page = await socket.ask(keys.appending(b"b"), keys.following(after=1))
        assert isinstance(page, wire.Batch)
        assert page.records == [b"b"]
        await nothing_more(socket)

    with_sockets(relay, 1, scenario)


def test_no_record_falls_between_the_answer_and_the_first_push(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(author: Socket, *followers: Socket) -> None:
        records = [os.urandom(30) for _ in range(200)]

        async def write() -> None:
            for record in records:
                await author.ask(keys.appending(record))

        async def follow(socket: Socket, wait: float) -> None:
            await asyncio.sleep(wait)
            (page,) = await socket.ask(keys.following())
            assert isinstance(page, wire.Batch)
            got = list(page.records)
            while len(got) < len(records):
                push = await socket.push()
                assert isinstance(push, wire.PushedRecord)
                assert push.index == len(got) + 1
                got.append(push.record)
            assert got == records

        await asyncio.gather(write(), *(follow(socket, n / 40) for n, socket in enumerate(followers)))

    with_sockets(relay, 9, scenario)


def test_who_follows_from_a_page_reads_the_rest_and_misses_nothing(relay: LiveRelay) -> None:
    records = [bytes([n]) * 100 for n in range(10)]
    keys = stream(relay, *records)

    async def scenario(socket: Socket) -> None:
        (page,) = await socket.ask(keys.following(max_bytes=350))
        assert isinstance(page, wire.Batch)
        assert (page.records, page.length, page.more) == (records[:3], 10, True)
        post(relay.url, keys.appending(b"new"))
        (rest,) = await socket.ask(keys.reading(after=3))
        assert isinstance(rest, wire.Batch)
        assert rest.records == [*records[3:], b"new"]
        assert await socket.push() == wire.PushedRecord(keys.id, 11, b"new")

    with_sockets(relay, 1, scenario)


def test_a_rekey_cuts_who_follows_under_the_old_capability(relay: LiveRelay) -> None:
    old = stream(relay, b"a")
    new = old.turned()

    async def scenario(member: Socket, removed: Socket, late: Socket) -> None:
        await member.ask(old.following())
        await removed.ask(old.following())
        post(relay.url, old.rekeying(new), new.appending(b"secret"))
        for socket in (member, removed):
            assert await socket.push() == wire.PushedEvent(old.id, "rekeyed")
            await nothing_more(socket)
        assert await removed.ask(old.following()) == [wire.Failed("not_allowed")]
        (page,) = await member.ask(new.following(after=1))
        assert isinstance(page, wire.Batch)
        assert page.records == [b"secret"]
        (page,) = await late.ask(new.following(after=2))
        post(relay.url, new.appending(b"more"))
        for socket in (member, late):
            assert await socket.push() == wire.PushedRecord(old.id, 3, b"more")
        await nothing_more(removed)

    with_sockets(relay, 3, scenario)


def test_a_rekey_that_leaves_reading_alone_cuts_nobody(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        await socket.ask(keys.following())
        post(relay.url, wire.Rekey(keys.id, keys.manage, append=keys.turned().hashes[1]))
        post(relay.url, wire.Rekey(keys.id, keys.manage, append=keys.hashes[1]), keys.appending(b"a"))
        assert await socket.push() == wire.PushedRecord(keys.id, 1, b"a")

    with_sockets(relay, 1, scenario)


def test_a_rekey_that_was_not_done_cuts_nobody(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        await socket.ask(keys.following())
        results = post(relay.url, keys.rekeying(keys.turned()), Keys().reading(), atomic=True)
        assert results == [wire.Failed("not_done"), wire.Failed("no_stream")]
        post(relay.url, keys.appending(b"a"))
        assert await socket.push() == wire.PushedRecord(keys.id, 1, b"a")

    with_sockets(relay, 1, scenario)


def test_a_replacement_is_announced_and_the_following_goes_on(relay: LiveRelay) -> None:
    keys = stream(relay, b"a")

    async def scenario(socket: Socket) -> None:
        await socket.ask(keys.following())
        post(relay.url, keys.replacing(b"s", chain_of(keys.id, b"a")), keys.appending(b"b"))
        assert await socket.push() == wire.PushedEvent(keys.id, "replaced")
        assert await socket.push() == wire.PushedRecord(keys.id, 3, b"b")
        (page,) = await socket.ask(keys.reading(after=1))
        assert isinstance(page, wire.Batch)
        assert (page.base, page.first, page.records) == (1, 2, [b"s", b"b"])

    with_sockets(relay, 1, scenario)


def test_followers_hear_of_a_close_and_of_an_end_date(relay: LiveRelay) -> None:
    closed, ending = stream(relay, b"a"), stream(relay, b"b", expires=int(time.time()) + 2)

    async def scenario(socket: Socket) -> None:
        await socket.ask(closed.following(), ending.following())
        post(relay.url, closed.closing())
        assert await socket.push() == wire.PushedEvent(closed.id, "closed")
        # The relay's own round.
        assert await socket.push() == wire.PushedEvent(ending.id, "closed")
        assert await socket.ask(ending.reading()) == [wire.Failed("expired")]

    with_sockets(relay, 1, scenario)


def test_unfollow_and_following_again(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        await socket.ask(keys.following())
        assert await socket.ask(wire.Unfollow(keys.id), wire.Unfollow(bytes(16))) == [wire.Unfollowed()] * 2
        post(relay.url, keys.appending(b"a"))
        await nothing_more(socket)
        await socket.ask(keys.following())
        await socket.ask(keys.following())
        post(relay.url, keys.appending(b"b"))
        assert await socket.push() == wire.PushedRecord(keys.id, 2, b"b")
        await nothing_more(socket)

    with_sockets(relay, 1, scenario)


@pytest.mark.parametrize("why", ["not_allowed", "no_stream", "not_done"])
def test_a_following_that_was_refused_pushes_nothing(relay: LiveRelay, why: str) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        if why == "not_done":
            results = await socket.ask(keys.following(), Keys().reading(), atomic=True)
            assert results[0] == wire.Failed("not_done")
        else:
            asked = Keys(keys.id) if why == "not_allowed" else Keys()
            (result,) = await socket.ask(asked.following())
            assert isinstance(result, wire.Failed)
            assert result.code == why
        post(relay.url, keys.appending(b"a"))
        await nothing_more(socket)

    with_sockets(relay, 1, scenario)


def test_both_ways_in_are_one_relay(relay: LiveRelay) -> None:
    keys = stream(relay)

    async def scenario(socket: Socket) -> None:
        await socket.ask(keys.appending(b"by socket"))
        post(relay.url, keys.appending(b"by post"))
        (page,) = await socket.ask(keys.reading())
        assert isinstance(page, wire.Batch)
        assert page.records == [b"by socket", b"by post"]

    with_sockets(relay, 1, scenario)
