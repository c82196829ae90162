"""The connection of `watch`, against relays that answer nothing, nonsense, or too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from eigenkring import live as module
from eigenkring import wire
from eigenkring.errors import RelayMisbehaved, Unreachable
from eigenkring.live import Live

STREAM = bytes(range(16))
CAP = bytes(range(32))
Relay = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def connected(relay: Relay) -> AsyncIterator[Live]:
    async with serve(relay, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        async with asyncio.timeout(300), Live(f"http://{host}:{port}") as live:
            yield live


def follow() -> list[wire.Operation]:
    return [wire.Follow(stream=STREAM, cap=CAP, after=0, max_bytes=1)]


def record(index: int, size: int = 300) -> bytes:
    return wire.encode(wire.PushedRecord(STREAM, index, bytes(size)))


async def silent(socket: ServerConnection) -> None:
    async for _ in socket:
        pass


def test_what_came_while_the_program_was_busy_is_handed_over_together_and_at_once() -> None:
    async def tells(socket: ServerConnection) -> None:
        for index in range(1, 41):
            await socket.send(record(index))
        await silent(socket)

    async def scenario() -> None:
        async with connected(tells) as live:
            first = await live.news(20.0)
            assert first is not None and first[0].index == 1
            seen = len(first)
            while seen < 40:
                await asyncio.sleep(0.05)  # busy with what came
                more = await live.news(20.0)
                assert more is not None and more[0].index == seen + 1
                seen += len(more)
            assert await live.news(0.05) is None, "nothing came: a sync looks"

    asyncio.run(scenario())


def test_who_was_too_busy_to_hear_has_news_and_not_silence() -> None:
    async def tells_and_is_busy(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(record(1))
        time.sleep(0.5)

    async def scenario() -> None:
        async with connected(tells_and_is_busy) as live:
            waiting = asyncio.create_task(live.news(0.3))
            await live._socket.send(b"now")
            news = await waiting
            assert news is not None and news[0].index == 1

    asyncio.run(scenario())


def test_a_relay_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)

    async def scenario() -> None:
        async with connected(silent) as live:
            with pytest.raises(Unreachable) as late:
                await live.exchange(follow())
            assert late.value.code == "timed_out"
            with pytest.raises(Unreachable):
                await live.news(20.0)
            with pytest.raises(Unreachable):
                await live.exchange(follow())

    asyncio.run(scenario())


def test_a_connection_that_ends_fails_who_waits() -> None:
    async def hangs_up(socket: ServerConnection) -> None:
        await socket.recv()

    async def scenario() -> None:
        async with connected(hangs_up) as live:
            with pytest.raises(Unreachable):
                await live.exchange(follow())
            with pytest.raises(Unreachable):
                await live.news(20.0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "nonsense", ["text", b"\xc1", wire.encode(wire.Failure(77, "busy")), wire.encode(wire.Reply(77, 1, []))]
)
def test_nonsense_ends_the_connection(nonsense: str | bytes) -> None:
    async def talks(socket: ServerConnection) -> None:
        await socket.send(nonsense)
        await silent(socket)

    async def scenario() -> None:
        async with connected(talks) as live:
            with pytest.raises(RelayMisbehaved):
                await live.news(20.0)

    asyncio.run(scenario())


def test_who_does_not_wait_for_an_answer_any_more_does_not_end_the_connection() -> None:
    asked = asyncio.Event()

    async def late(socket: ServerConnection) -> None:
        first = wire.decode_request(bytes(await socket.recv()))
        asked.set()
        second = wire.decode_request(bytes(await socket.recv()))
        for request in (first, second):
            await socket.send(wire.encode(wire.Reply(request.id, 1, [wire.Failed("no_stream")])))
        await silent(socket)

    async def scenario() -> None:
        async with connected(late) as live:
            waiting = asyncio.create_task(live.exchange(follow()))
            await asked.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            (result,) = (await live.exchange(follow())).results
            assert isinstance(result, wire.Failed)

    asyncio.run(scenario())


def test_a_flood_does_not_fill_the_memory_and_a_sync_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING_BYTES", 10_000)

    async def floods(socket: ServerConnection) -> None:
        for index in range(1, 101):
            await socket.send(record(index, 1_000))
        await silent(socket)

    async def scenario() -> None:
        async with connected(floods) as live:
            while not live._rung:
                await asyncio.sleep(0.01)
            assert sum(len(each.record) for each in live._pushed) <= 11_000
            assert await live.news(20.0) is None

    asyncio.run(scenario())


def test_a_relay_without_time_is_one_that_is_away() -> None:
    async def busy(socket: ServerConnection) -> None:
        async for data in socket:
            await socket.send(wire.encode(wire.Failure(wire.decode_request(bytes(data)).id, "busy")))

    async def scenario() -> None:
        async with connected(busy) as live:
            with pytest.raises(Unreachable):
                await live.follow([wire.Follow(stream=STREAM, cap=CAP, after=0, max_bytes=1)])

    asyncio.run(scenario())
