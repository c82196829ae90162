"""Several cases at once: one thinks at a time, and while it waits for its relay the others go on.

Each case has a connection of its own and its own exchanges, as ever; only the waiting overlaps. So a coordinator with
forty cases waits about as long as for one. The store, the engine and the rules see one caller at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, local
from typing import Final, TypeVar

from eigenkring import wire
from eigenkring.transport import Transport, time_of

AT_ONCE: Final = 16
_Of = TypeVar("_Of")
_Made = TypeVar("_Made")


class Turn:
    """Whose turn it is to think. Who waits for a relay gives it away meanwhile."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._mine = local()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            self._mine.turn = True
            try:
                yield
            finally:
                self._mine.turn = False

    @contextmanager
    def given_away(self) -> Iterator[None]:
        if not getattr(self._mine, "turn", False):
            yield  # nobody else is at work
            return
        self._mine.turn = False
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
            self._mine.turn = True


class Patient:
    """A transport that lets others have their turn while it waits."""

    def __init__(self, transport: Transport, turn: Turn) -> None:
        self._transport = transport
        self._turn = turn

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        with self._turn.given_away():
            return self._transport.exchange(ops, atomic)

    @property
    def relay_time(self) -> int | None:
        return time_of(self._transport)

    def close(self) -> None:
        self._transport.close()


def abreast(turn: Turn, at_once: int, what: Iterable[_Of], do: Callable[[_Of], _Made]) -> list[_Made]:
    """``do`` for each, in the order given; the answers in that order. What one raises is raised when all are done."""
    todo = list(what)
    if at_once <= 1 or len(todo) <= 1:
        return [do(one) for one in todo]

    def in_turn(one: _Of) -> _Made:
        with turn.held():
            return do(one)

    with ThreadPoolExecutor(min(at_once, len(todo)), thread_name_prefix="case") as pool:
        return list(pool.map(in_turn, todo))
