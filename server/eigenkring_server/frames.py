"""From the bytes of a request frame to the bytes of its answer, whatever carried them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, time
from typing import Final, TypeAlias

import msgspec

from eigenkring import wire
from eigenkring.errors import Refused
from eigenkring_server import chain
from eigenkring_server.exchange import Nature, Outcome, nature_of
from eigenkring_server.follow import Followers, Following, Outbox
from eigenkring_server.group_commit import GroupCommit
from eigenkring_server.limits import Limits, Tolls, Waiting
from eigenkring_server.line import framed
from eigenkring_server.logs import Told, log_failure
from eigenkring_server.metrics import Metrics
from eigenkring_server.store import Store

READERS: Final = 4
ROUND_SECONDS: Final = 1.0
SWEEP_EVERY: Final = 5

Answer: TypeAlias = Callable[[bytes, "Told"], None]


class Asked(msgspec.Struct, frozen=True):
    request: wire.Request
    nature: Nature
    size: int


class Frames:
    """A running relay, without a network. Lives on one event loop."""

    def __init__(
        self, store: Store, limits: Limits, admission_token: str | None = None, metrics: Metrics | None = None
    ) -> None:
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._token = None if admission_token is None else admission_token.encode()
        self._tolls = Tolls(limits)
        self._waiting = Waiting(limits)
        self.followers = Followers(limits)
        self._generation = store.generation()
        self._draining = False
        self._loop = asyncio.get_running_loop()
        self._writer = GroupCommit(store, self.followers.publish, timed=None if metrics is None else metrics.committed)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._sweeping = self._loop.create_task(self._sweep())

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def waiting(self) -> int:
        return self._waiting.frames

    async def drain(self, seconds: float) -> None:
        """Take in nothing more, and wait until what was taken in is answered."""
        self._draining = True
        until = monotonic() + seconds
        while not self._waiting.is_empty and monotonic() < until:
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._draining = True
        self._sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        # The last answers are on their way to the loop.
        await asyncio.sleep(0)
        self._store.close()

    def decode(self, data: bytes, address: str) -> Asked | wire.Failure:
        """What is asked, or why the frame is refused as a whole."""
        now = monotonic()
        paid = self._tolls.frame(address, now)
        try:
            request = wire.decode_request(data)
        except Refused as error:
            code: wire.FrameCode = "too_large" if error.code == "too_large" else "bad_frame"
            return wire.Failure(wire.id_of(data), code if paid else "slow_down")
        nature = nature_of(request)
        if not paid and not (nature.manages and self._tolls.reserve(address, now)):
            return wire.Failure(request.id, "slow_down")
        if nature.opens:
            token = "" if request.token is None else request.token
            # Constant time; only opening asks for it, so that whoever holds a capability needs no account.
            if self._token is not None and not hmac.compare_digest(token.encode(), self._token):
                return wire.Failure(request.id, "not_admitted")
            if not self._tolls.opens(address, nature.opens, now):
                return wire.Failure(request.id, "slow_down")
        return Asked(request, nature, len(data))

    def run(self, asked: Asked, outbox: Outbox | None, answer: Answer) -> None:
        """Start an exchange. ``answer`` is called once, on the loop; with an outbox, followings begin after it."""
        request, nature, size = asked.request, asked.nature, asked.size
        ops = request.ops
        if self._draining or not self._waiting.enter(size, nature.manages):
            _refuse(request, "busy", answer)
            return
        dead: dict[int, wire.Result] = {}
        following: list[Following | None] = []
        if nature.follows:
            if outbox is None:
                request, dead = _without_following(request)
            else:
                following = self._expect(request, outbox)

        def done(outcome: Outcome | Exception) -> None:
            self._waiting.leave(size)
            if isinstance(outcome, Exception):
                log_failure(outcome)
                for each in following:
                    if each is not None:
                        self.followers.forget(each)
                # What the store could not do for a reason of its own is tried again later by the device.
                _refuse(request, "busy", answer)
                return
            results = _with_dead(outcome.results, dead, request.atomic)
            if self._metrics is not None:
                self._metrics.done(ops, results)
            failed = sum(isinstance(result, wire.Failed) for result in results)
            frame = wire.encode(wire.Reply(request.id, self._generation, results))
            answer(frame, Told(len(results), failed))
            if following and outbox is not None:
                self._settle(request, results, following, outbox)

        if dead and request.atomic:
            done(Outcome([wire.Failed("not_done")] * len(request.ops), []))
        elif nature.writes:
            self._writer.submit(request, size, done)
        else:
            self._readers.submit(self._store.consult, request, int(time())).add_done_callback(
                lambda future: self._loop.call_soon_threadsafe(done, _of_future(future))
            )

    def _expect(self, request: wire.Request, outbox: Outbox) -> list[Following | None]:
        return [
            self.followers.expect(op.stream, chain.digest(op.cap), outbox)
            if isinstance(op, wire.Follow) and self._may_follow(op.stream, outbox)
            else None
            for op in request.ops
        ]

    def _may_follow(self, stream: bytes, outbox: Outbox) -> bool:
        return stream in outbox.following or len(outbox.following) < self._limits.follows_per_connection

    def _settle(
        self,
        request: wire.Request,
        results: list[wire.Result],
        following: list[Following | None],
        outbox: Outbox,
    ) -> None:
        for op, result, expected in zip(request.ops, results, following, strict=True):
            if isinstance(op, wire.Unfollow) and isinstance(result, wire.Unfollowed):
                self.followers.drop(op.stream, outbox)
            elif isinstance(op, wire.Follow):
                if expected is None:
                    if isinstance(result, wire.Batch):
                        # Too many on this connection: told like one who falls behind, so the device reads instead.
                        outbox.push(framed(wire.encode(wire.PushedEvent(op.stream, "behind"))))
                elif isinstance(result, wire.Batch):
                    self.followers.begin(expected, result.length)
                else:
                    self.followers.forget(expected)

    async def _sweep(self) -> None:
        rounds = 0
        while True:
            if rounds % SWEEP_EVERY == 0:
                self._writer.sweep()
            rounds += 1
            self._readers.submit(self._store.tend)
            await asyncio.sleep(ROUND_SECONDS)


def _refuse(request: wire.Request, code: wire.FrameCode, answer: Answer) -> None:
    answer(wire.encode(wire.Failure(request.id, code)), Told(len(request.ops), code=code))


def _of_future(future: Future[Outcome]) -> Outcome | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, Exception) else RuntimeError("the reader stopped")


def _without_following(request: wire.Request) -> tuple[wire.Request, dict[int, wire.Result]]:
    """A frame that came by POST has nobody to push to: those operations are answered here."""
    dead: dict[int, wire.Result] = {
        at: wire.Failed("bad_operation")
        for at, op in enumerate(request.ops)
        if isinstance(op, wire.Follow | wire.Unfollow)
    }
    if not dead:
        return request, dead
    ops = [op for at, op in enumerate(request.ops) if at not in dead]
    return msgspec.structs.replace(request, ops=ops), dead


def _with_dead(results: list[wire.Result], dead: dict[int, wire.Result], atomic: bool) -> list[wire.Result]:
    if not dead:
        return results
    live = iter(results)
    whole = [dead.get(at) or next(live) for at in range(len(results) + len(dead))]
    if atomic:
        # One operation has the code, every other is `not_done`.
        first = min(dead)
        return [each if at == first else wire.Failed("not_done") for at, each in enumerate(whole)]
    return whole
