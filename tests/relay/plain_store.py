"""The port once more, over dictionaries: slow, obvious, and what the real stores are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from eigenkring import wire
from eigenkring_server.exchange import Draft, Event, Outcome, fits, run, taken
from eigenkring_server.relay import Known, Place, Quotas, Stream, Tombstone, Usage


class PlainStore:
    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._streams: dict[bytes, Stream | Tombstone] = {}
        self._records: dict[bytes, dict[int, tuple[bytes, bytes, bytes]]] = {}

    def generation(self) -> int:
        return 1

    def commit(self, requests: Sequence[wire.Request], now: int) -> list[Outcome | Exception]:
        # One transaction for each: a group must come out the same.
        outcomes: list[Outcome | Exception] = []
        for request in requests:
            draft = Draft(self)
            outcomes.append(run(request, draft, self._quotas, now))
            self._enter(draft)
        return outcomes

    def consult(self, request: wire.Request, now: int) -> Outcome:
        return run(request, Draft(self), self._quotas, now)

    def sweep(self, now: int) -> list[Event]:
        draft = Draft(self)
        for known in list(self._streams.values()):
            if isinstance(known, Stream) and known.expires is not None and known.expires <= now:
                draft.change(known, Tombstone(known.id, expired=True), None, b"")
        self._enter(draft)
        return draft.events

    def tend(self) -> None:
        pass

    def close(self) -> None:
        pass

    def stream(self, stream: bytes) -> Known:
        return self._streams.get(stream)

    def place(self, stream: bytes, record_digest: bytes) -> Place | None:
        for index, (_, digest, chain) in self._records.get(stream, {}).items():
            if digest == record_digest:
                return Place(index, chain)
        return None

    def usage(self) -> Usage:
        living = [known for known in self._streams.values() if isinstance(known, Stream)]
        return Usage(len(living), sum(stream.bytes_kept for stream in living))

    def records(self, stream: bytes, first: int, room: int) -> list[bytes]:
        found: list[bytes] = []
        for index, (record, _, _) in sorted(self._records.get(stream, {}).items()):
            if index >= first:
                if not fits(taken(found), record, room):
                    break
                found.append(record)
        return found

    def _enter(self, draft: Draft) -> None:
        self._streams.update(draft.streams)
        for stream, added in draft.added.items():
            mine = self._records.setdefault(stream, {})
            mine.update({each.index: (each.record, each.digest, each.chain) for each in added})
        for stream, known in draft.streams.items():
            base = known.base if isinstance(known, Stream) else 2**63
            kept = self._records.get(stream, {})
            self._records[stream] = {index: value for index, value in kept.items() if index > base}
