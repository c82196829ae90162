"""One person who uses the public Python library, as a program does (docs/tutorial.md): a home on disk, `case.watch()` for what
others write, `case.add` and `case.send()` for what is written here. What `person.mjs` is for the peers in Node, line by line:

    python eigenkring_person.py HOME

In come `{"do": verb, "with": [...], "ask": number}`; out go `{"answer": number, "value": ...}` and `{"came": ..., "at": milliseconds}`.
When an edit began and when it was seen is read from the clock here, so the way of these lines is in no figure.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from contextlib import aclosing
from typing import Any

from eigenkring.case import Case
from eigenkring.library import Device

LONGEST_LINE_BYTES = 64 * 1024
# As many single edits as are made before what waits may go.
EDITS_AT_ONCE = 20
WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat".split()


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def now() -> float:
    """CLOCK_MONOTONIC in milliseconds, as of Node's `hrtime`."""
    return time.monotonic_ns() / 1e6


def text(at: int) -> str:
    return " ".join(WORDS[(at * 7 + nth * 5) % len(WORDS)] for nth in range(6))


class Person:
    """What the trace asks of a person: the methods are the words of `do`."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._open: Case | None = None
        self._watching: asyncio.Task[None] | None = None
        self._wants_to_send = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._note = self._typed = ""
        self._began: dict[int, float] = {}
        self._expected: int | None = None
        self._letters: int | None = None
        self._come: list[float] = []

    @property
    def case(self) -> Case:
        if self._open is None:
            raise RuntimeError("a person without a case")
        return self._open

    def begin(self, url: str) -> None:
        self._url = url

    def create(self) -> str:
        self._open = self._device.start("Plan", self._url, "Nora")
        self.case.sync()
        self._stay()
        return self.case.id.hex()

    def invite(self) -> str:
        return self.case.invite("member", "x")

    def knock(self, link: str) -> None:
        self._device.join(link, "x")

    def admit(self) -> None:
        self.case.sync()

    def join(self, case: str) -> None:
        self._device.sync()
        self._open = self._device.case(case)
        self.case.sync()
        self._stay()

    def first(self) -> None:
        self._add("x")

    def edit(self, at: int) -> None:
        self._began[at] = now()
        self._add(text(at))

    async def burst(self, edits: int) -> None:
        self._began[0] = now()
        for at in range(edits):
            self._add(text(at))
            if at % EDITS_AT_ONCE == EDITS_AT_ONCE - 1:
                # What was added may go meanwhile.
                await asyncio.sleep(0)

    def _add(self, what: str) -> None:
        self.case.add("plan", "agreements", {"what": what})
        self._wants_to_send.set()

    def began(self) -> dict[int, float]:
        return self._began

    def expect(self, size: int) -> None:
        self._expected = size
        self._look()

    def note(self) -> str:
        self._note = self.case.add("plan", "agreements", {"what": ""})
        self._wants_to_send.set()
        return self._note

    def read(self, note: str) -> None:
        self._note = note

    def letters(self, count: int) -> None:
        self._letters, self._come = count, []

    def type(self, at: int) -> None:
        self._began[at] = now()
        self._typed += WORDS[at % len(WORDS)][0]
        self.case.set("plan", f"agreements/{self._note}/what", self._typed)
        self._wants_to_send.set()

    async def durable(self) -> float:
        # What was sent comes back by itself: a sync would keep the whole document.
        for _ in range(4_000):
            if not self._waits():
                break
            await asyncio.sleep(0.005)
        while self._waits():
            self.case.sync()
        return now()

    def cpu(self) -> float:
        return time.process_time() * 1e3

    def clock(self) -> float:
        return now()

    def stuck(self) -> dict[str, Any]:
        return {"seen": self._seen(), "status": self.case.status()}

    def end(self) -> None:
        for task in (self._watching, self._sending):
            if task is not None:
                task.cancel()

    def _waits(self) -> bool:
        return any(stream["outbox"] for stream in self.case.status()["streams"])

    async def _send(self) -> None:
        """What is added while something is on its way goes together, as it does of the others."""
        while True:
            await self._wants_to_send.wait()
            self._wants_to_send.clear()
            await self.case.send()

    def _seen(self) -> int:
        # Counting the keys, as it is counted of the others.
        engine = self.case.session.part("plan").engine
        return sum(key.startswith("agreements/") for key in engine.keys(engine.root))

    def _look(self) -> None:
        """Who waits for something looks whether it is there, as the people in Node do."""
        if self._expected is not None and self._seen() >= self._expected:
            say(came=self._expected, at=now())
            self._expected = None
        if self._letters is not None:
            there = len(self.case.show("plan")["agreements"][self._note]["what"])
            self._come += [now()] * (there - len(self._come))
            if len(self._come) >= self._letters:
                say(came="letters", at=self._come)
                self._letters = None

    def _stay(self) -> None:
        async def watch() -> None:
            async with aclosing(self.case.watch()) as changes:
                async for change in changes:
                    if change.part == "plan":
                        self._look()

        self._watching = asyncio.create_task(watch())
        self._sending = asyncio.create_task(self._send())
        for task in (self._watching, self._sending):
            task.add_done_callback(_end_with)


def _end_with(task: asyncio.Task[None]) -> None:
    """A person who follows no more would look like a slow one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        sys.exit(f"a task ended: {error!r}")


async def main(home: str) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(LONGEST_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    with Device.open(home) as device:
        person = Person(device)
        while line := await lines.readline():
            asked = json.loads(line)
            value = getattr(person, asked["do"])(*asked["with"])
            if inspect.isawaitable(value):
                value = await value
            if "ask" in asked:
                say(answer=asked["ask"], value=value)
            # A line that is there already is read without waiting: the rest of this program may go on meanwhile.
            await asyncio.sleep(0)
        person.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
