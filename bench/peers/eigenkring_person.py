"""One person who uses the public Python library, as a program does (docs/tutorial.md): a home on disk, `case.watch()` for what
others write, `case.add` and `case.send()` for what is written here. Led by `eigenkring-python.mjs`, one JSON object a line:

    python eigenkring_person.py HOME

In come `{"do": ..., "ask": number}`; out go `{"answer": number, "value": ...}`, and `{"seen": count, "letters": count}` when the plan reads differently.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from typing import Any

from eigenkring.case import Case
from eigenkring.library import Device

LONGEST_LINE_BYTES = 64 * 1024
# As many as the trace says before it waits.
LINES_AT_ONCE = 20


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class Person:
    """What the trace asks of a person: the methods are the words of `do`."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._open: Case | None = None
        self._watching: asyncio.Task[None] | None = None
        self._wants_to_send = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._note = self._typed = ""

    @property
    def case(self) -> Case:
        if self._open is None:
            raise RuntimeError("a person without a case")
        return self._open

    def create(self, url: str) -> str:
        self._open = self._device.start("Plan", url, "Nora")
        self.case.sync()
        self._stay()
        return self.case.id.hex()

    def invite(self) -> str:
        return self.case.invite("member", "x")

    def knock(self, link: str) -> None:
        self._device.join(link, "x")

    def sync(self) -> None:
        self._device.sync()

    def stay(self, case: str) -> None:
        self._open = self._device.case(case)
        self.case.sync()
        self._tell()
        self._stay()

    def add(self, text: str) -> None:
        self.case.add("plan", "agreements", {"what": text})
        self._wants_to_send.set()

    def note(self) -> str:
        self._note = self.case.add("plan", "agreements", {"what": ""})
        self._wants_to_send.set()
        return self._note

    def read_note(self, note: str) -> None:
        self._note = note

    def type(self, letter: str) -> None:
        self._typed += letter
        self.case.set("plan", f"agreements/{self._note}/what", self._typed)
        self._wants_to_send.set()

    def durable(self) -> None:
        while any(stream["outbox"] for stream in self.case.status()["streams"]):
            self.case.sync()

    def end(self) -> None:
        for task in (self._watching, self._sending):
            if task is not None:
                task.cancel()

    async def _send(self) -> None:
        """What is added while something is on its way goes together, as it does of the others."""
        while True:
            await self._wants_to_send.wait()
            self._wants_to_send.clear()
            await self.case.send()

    def _tell(self) -> None:
        # Counting the keys, as it is counted of the others.
        engine = self.case.session.part("plan").engine
        note = self.case.show("plan")["agreements"].get(self._note, {}) if self._note else {}
        say(
            seen=sum(key.startswith("agreements/") for key in engine.keys(engine.root)),
            letters=len(note.get("what", "")),
        )

    def _stay(self) -> None:
        async def watch() -> None:
            async with aclosing(self.case.watch()) as changes:
                async for change in changes:
                    if change.part == "plan":
                        self._tell()

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
        count = 0
        while line := await lines.readline():
            asked = json.loads(line)
            do, number = asked.pop("do"), asked.pop("ask", None)
            value = getattr(person, do)(**asked)
            count += 1
            if count % LINES_AT_ONCE == 0:
                # A line that is there already is read without waiting: what was added may go meanwhile.
                await asyncio.sleep(0)
            if number is not None:
                say(answer=number, value=value)
        person.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
