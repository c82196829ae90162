"""The document that people see, held to what was admitted. Spec: docs/spec/part.md (Fold)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from eigenkring.errors import EngineFailed


class FoldEngine(Protocol):
    def apply(self, changes: Sequence[bytes]) -> None: ...
    def heads(self) -> list[bytes]: ...
    def change_hashes(self) -> list[bytes]: ...


class Admitted(Protocol):
    def admitted(self) -> list[bytes]: ...
    def admitted_hashes(self) -> list[bytes]: ...


class Shown:
    """Heads are compared, not sets: a head commits by hash to all its ancestors, so equal heads are equal sets."""

    def __init__(self, of: Admitted, new_engine: Callable[[], FoldEngine] | None) -> None:
        self._of = of
        self._new_engine = new_engine
        self.engine = new_engine() if new_engine else None
        self.alarm = False  # the engine does not hold what was admitted, and could not be made to

    def add(self, fresh: Sequence[bytes], before: Sequence[bytes], after: Sequence[bytes]) -> bool:
        """The engine held what leads to ``before``; with ``fresh`` it is to hold what leads to ``after``. True when it
        had to be made anew, as it must where something went.
        """
        if self.engine is None:
            return False
        held = self.engine.heads()
        if held == list(after):
            return False
        if held == list(before):
            try:
                self.engine.apply(fresh)
            except EngineFailed:
                self.remake()
                return True
            if self.engine.heads() == list(after):
                return False
        self.remake()
        return True

    def remake(self) -> None:
        """An empty engine and everything admitted. Where that fails the part stays as it was last shown."""
        if self._new_engine is None:
            return
        try:
            engine = self._new_engine()
            engine.apply(self._of.admitted())
            self.alarm = set(engine.change_hashes()) != set(self._of.admitted_hashes())
        except EngineFailed:
            self.alarm = True
            return
        if not self.alarm:
            self.engine = engine
