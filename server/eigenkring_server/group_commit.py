"""One thread that writes: it takes whatever waits, commits it as one transaction, and answers all of it at once."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from eigenkring import wire
from eigenkring_server.exchange import Event, Outcome
from eigenkring_server.store import Store

# With more in one transaction the loop would wait for the disk and then the disk for the loop.
GROUP: Final = 96
GROUP_BYTES: Final = 16 * 1_048_576

Answer: TypeAlias = Callable[[Outcome | Exception], None]
Publish: TypeAlias = Callable[[list[Event]], None]


class GroupCommit:
    """``submit`` and every answer run on the event loop; in between, one thread and the disk."""

    def __init__(
        self,
        store: Store,
        publish: Publish,
        clock: Callable[[], float] = time.time,
        timed: Callable[[float, int], None] | None = None,
    ) -> None:
        self._store = store
        self._publish = publish
        self._clock = clock
        self._timed = timed
        # None ends the thread, "sweep" asks for the round that closes what is past its date.
        self._queue: queue.SimpleQueue[tuple[wire.Request, int, Answer] | str | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, request: wire.Request, size: int, answer: Answer) -> None:
        self._queue.put((request, size, answer))

    def sweep(self) -> None:
        self._queue.put("sweep")

    def stop(self) -> None:
        """What was submitted is still written and answered."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group: list[tuple[wire.Request, int, Answer]] = []
            size = 0
            sweep = False
            item = self._queue.get()
            while True:
                if item is None:
                    going = False
                    break
                if isinstance(item, str):
                    sweep = True
                else:
                    group.append(item)
                    size += item[1]
                if len(group) >= GROUP or size >= GROUP_BYTES:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(group)
            if sweep:
                self._sweep()

    def _commit(self, group: list[tuple[wire.Request, int, Answer]]) -> None:
        outcomes: list[Outcome | Exception]
        began = time.perf_counter()
        try:
            outcomes = self._store.commit([request for request, _, _ in group], int(self._clock()))
        except Exception as error:
            outcomes = [error] * len(group)
        self._loop.call_soon_threadsafe(self._deliver, group, outcomes, time.perf_counter() - began)

    def _sweep(self) -> None:
        try:
            events = self._store.sweep(int(self._clock()))
        except Exception:
            # The next round tries again; a stream past its date is refused meanwhile.
            return
        if events:
            self._loop.call_soon_threadsafe(self._publish, events)

    def _deliver(
        self, group: list[tuple[wire.Request, int, Answer]], outcomes: list[Outcome | Exception], seconds: float
    ) -> None:
        """First the followers, then the authors, in the order of the transaction."""
        if self._timed is not None:
            self._timed(seconds, len(group))
        self._publish([event for each in outcomes if isinstance(each, Outcome) for event in each.events])
        for (_, _, answer), outcome in zip(group, outcomes, strict=True):
            answer(outcome)
