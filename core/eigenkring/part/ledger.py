"""The admitted changes of a part in order, and the attestations they rest on. Spec: docs/spec/part.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from eigenkring.change import Change
from eigenkring.part.attestation import Attestation
from eigenkring.part.record import MAX_CHANGES, make_edit

# Below max_record_bytes with room for padding and seal.
MAX_EDIT_BYTES = 900_000


class Source(msgspec.Struct, eq=False):
    """An attestation, and the changes that are not admitted through which it reaches those that are."""

    att: Attestation
    path: tuple[bytes, ...] = ()
    is_newest: bool = False  # a snapshot keeps its author's newest only: it reaches far back, and says one change's day

    def day_of(self, change: bytes) -> int | None:
        return None if self.is_newest and self.att.newest != change else self.att.day


class Entry(msgspec.Struct, frozen=True, eq=False):
    hash: bytes
    raw: bytes
    device: bytes
    actor: bytes
    seq: int
    index: int
    source: Source
    day: int | None = None  # on which its author claims to have signed it, where that is known here


class Ledger:
    """``days``: what is known of the days that authors claimed, for changes whose own records are gone."""

    def __init__(self, days: Mapping[bytes, int] | None = None) -> None:
        self._days = days or {}
        self._entries: list[Entry] = []
        self._by_hash: dict[bytes, Entry] = {}
        self._covers: dict[bytes, list[tuple[int, Source]]] = {}
        self._saved: Callable[[], list[Entry]] | None = None

    @classmethod
    def of(cls, saved: Callable[[], list[Entry]], covers: Iterable[tuple[bytes, list[tuple[int, Source]]]]) -> Ledger:
        """As it was saved. The entries are asked for when they are needed: to show a part nobody needs them."""
        ledger = cls()
        ledger._saved = saved
        ledger._covers = dict(covers)
        return ledger

    @property
    def entries(self) -> list[Entry]:
        self._load()
        return self._entries

    def _load(self) -> None:
        if self._saved is not None:
            saved, self._saved = self._saved, None
            self._entries = saved()
            self._by_hash = {entry.hash: entry for entry in self._entries}

    def covers(self) -> list[tuple[bytes, list[tuple[int, Source]]]]:
        return list(self._covers.items())

    def find(self, change: bytes) -> Entry | None:
        self._load()
        return self._by_hash.get(change)

    def days(self) -> dict[bytes, int]:
        """The days that authors claimed, by change."""
        return {**self._days, **{entry.hash: entry.day for entry in self.entries if entry.day is not None}}

    def admit(self, change: Change, index: int, source: Source) -> None:
        day = self._days.get(change.hash, source.day_of(change.hash))
        self.add(Entry(change.hash, change.raw, source.att.device, change.actor, change.seq, index, source, day))

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)  # which loads what was saved, before the next line
        self._by_hash[entry.hash] = entry
        self.cover(entry, entry.source)

    def cover(self, entry: Entry, source: Source) -> None:
        """Keep an attestation as long as no other one reaches as far and is of as late an epoch: a cut may
        later void what was attested in an epoch, and not what was attested again after it.
        """
        kept = self._covers.setdefault(entry.actor, [])
        epoch = source.att.epoch
        for seq, other in kept:
            if seq >= entry.seq and other.att.epoch >= epoch and (seq, other.att.epoch) != (entry.seq, epoch):
                return
        kept[:] = [(s, o) for s, o in kept if s > entry.seq or o.att.epoch > epoch]
        kept.append((entry.seq, source))

    def basis(self) -> tuple[list[bytes], list[bytes]]:
        """For a snapshot: the attestations, and the refused changes they need to reach the admitted ones."""
        sources = {source.att.raw: source for kept in self._covers.values() for _, source in kept}
        witnesses: dict[bytes, None] = {}
        self._load()
        for source in sources.values():
            if source.att.newest not in self._by_hash:
                witnesses.update(dict.fromkeys(source.path))
        return sorted(sources), list(witnesses)

    def give_back(self, lost: Iterable[Entry]) -> list[bytes]:
        """Edit records with the original attestations, in the original order."""
        groups: dict[bytes, tuple[Source, list[bytes]]] = {}
        for entry in lost:
            groups.setdefault(entry.source.att.raw, (entry.source, []))[1].append(entry.raw)
        payloads = []
        for source, changes in groups.values():
            whole = [*changes, *source.path]
            # What a snapshot brought under one attestation may be more than a record holds; then only a new
            # snapshot gives it back.
            if len(whole) <= MAX_CHANGES and sum(map(len, whole)) <= MAX_EDIT_BYTES:
                payloads.append(make_edit(source.att.raw, whole))
        return payloads
