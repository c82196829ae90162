"""A list that only grows, shared by all states of one charter."""

from __future__ import annotations

from collections.abc import Iterator

from eigenkring.ids import EntryHash


class Heads:
    """Entry number to entry hash and back. Immutable to look at; ``and_then`` costs the same however long it is.

    States of one line share the storage; a state that goes another way (a fork shown by the relay) copies it.
    """

    __slots__ = ("_hashes", "_length", "_places")

    def __init__(self) -> None:
        self._hashes: list[EntryHash] = []
        self._places: dict[EntryHash, int] = {}
        self._length = 0

    def and_then(self, head: EntryHash) -> Heads:
        other = Heads()
        if len(self._hashes) == self._length:
            other._hashes, other._places = self._hashes, self._places
        else:
            other._hashes = self._hashes[: self._length]
            other._places = {known: n for n, known in enumerate(other._hashes, 1)}
        other._hashes.append(head)
        other._places[head] = other._length = self._length + 1
        return other

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heads) and len(self) == len(other) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(self.get(self._length))

    def __iter__(self) -> Iterator[EntryHash]:
        return iter(self._hashes[: self._length])

    def __getitem__(self, n: int) -> EntryHash:
        """The hash of entry ``n``, from 1."""
        if not 1 <= n <= self._length:
            raise KeyError(n)
        return self._hashes[n - 1]

    def get(self, n: int) -> EntryHash | None:
        return self._hashes[n - 1] if 1 <= n <= self._length else None

    def index(self, head: EntryHash) -> int | None:
        n = self._places.get(head)
        return n if n is not None and n <= self._length else None
