"""The port behind which streams are kept. One acceptance suite (tests/relay) holds for every store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eigenkring import wire
from eigenkring_server.exchange import Event, Outcome


class NotErased(Exception):
    """A stream is closed, but its ciphertext could not yet be erased from every file: no answer may claim it."""


class Store(Protocol):
    """Blocking. ``commit`` and ``sweep`` are called from one thread at a time, ``consult`` from any."""

    def generation(self) -> int:
        """Starts at 1 and rises when a backup was put back."""
        ...

    def commit(self, requests: Sequence[wire.Request], now: int) -> list[Outcome | Exception]:
        """Run the exchanges in order, in one transaction, on disk when this returns.

        An exchange that breaks something unforeseen gets its exception, and the others their outcome.
        """
        ...

    def consult(self, request: wire.Request, now: int) -> Outcome:
        """Run an exchange that only reads, beside whatever is being written."""
        ...

    def sweep(self, now: int) -> list[Event]:
        """Close the streams past their date."""
        ...

    def tend(self) -> None:
        """Housekeeping that may take long, from any thread, beside everything else."""
        ...

    def close(self) -> None: ...
