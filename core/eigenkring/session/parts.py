"""The parts of a case on one device: opened, folded, read and written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from eigenkring import document
from eigenkring.charter.state import Part
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import StreamId
from eigenkring.part.author import actor_of, change_hash, make_edit_records
from eigenkring.part.fold import FoldEngine, PartFold
from eigenkring.part.record import Edit, parse_record
from eigenkring.part.verdict import Verdict
from eigenkring.schema import KindSchema
from eigenkring.session.case import CaseState, Surroundings
from eigenkring.store import OwnChange, Store, StoredCase
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.errors import CryptoError


@dataclass(slots=True)
class OpenPart:
    """A part this device can read: its document and the verdicts on its records."""

    part: Part
    fold: PartFold

    @property
    def engine(self) -> document.DocumentEngine:
        engine = self.fold.engine
        if engine is None:
            raise AssertionError("a part without a document")
        return engine  # type: ignore[return-value]


class CaseSession(CaseState):
    """One case: its charter and its parts."""

    def __init__(self, store: Store, row: StoredCase, around: Surroundings) -> None:
        super().__init__(store, row, around)
        self.parts: dict[StreamId, OpenPart] = {}
        self.open_parts()

    def open_parts(self) -> None:
        """Open parts that became readable, fold what came in, fold anew what the charter changed."""
        if self.charter is None:
            return
        for stream in [
            stream for stream in self.parts if self.charter.part_streams[stream].name not in self.charter.parts
        ]:
            del self.parts[stream]
        for part in self.charter.parts.values():
            if part.stream not in self.parts and self.room_secret(part.read) is not None:
                self._open(part)
            opened = self.parts.get(part.stream)
            if opened is not None:
                if opened.fold.outdated(self.known()):
                    self._refold(opened)
                self._take_new(opened)

    def _open(self, part: Part) -> None:
        def new_engine() -> document.DocumentEngine:
            return self.around.new_engine(actor_of(part.stream, self.device(), self.row.incarnation))

        def secret_at(epoch: int) -> bytes | None:
            secret = self.ring.secret(part.read, epoch)
            return None if secret is None else read_secret(secret, part.stream)

        opened = OpenPart(part, PartFold(part.stream, part.name, part.write, secret_at, cast(Callable[[], FoldEngine], new_engine)))
        self.parts[part.stream] = opened
        self._refold(opened)
        # What was made here and has not come back yet stands after all that came.
        for item in self.store.outbox(self.case):
            if item.stream == part.stream and item.record is not None:
                record = parse_record(self.open_record(part.stream, part.read, item.record))
                if isinstance(record, Edit):
                    held = set(opened.fold.admitted_hashes())
                    changes = [raw for raw in record.changes if change_hash(raw) not in held]
                    if changes:
                        self._take_own(opened, changes)

    def _take_own(self, opened: OpenPart, changes: list[bytes]) -> None:
        try:
            opened.engine.apply(changes)
            opened.fold.take_own(changes)
        except Inadmissible as error:
            self.alarm(error.code, opened.part.name)

    def _refold(self, opened: OpenPart) -> None:
        stream = opened.part.stream
        records = []
        for placed in self.store.records(self.case, stream):
            payload = self._payload(opened.part, placed.index, placed.record)
            if payload is not None:
                records.append((placed.index, payload))
        verdict = opened.fold.refold(records, lambda index: self.store.chain_at(self.case, stream, index), self.known())
        opened.fold.length = max(opened.fold.length, self.position(stream).length)
        self._report(opened, verdict)

    def _take_new(self, opened: OpenPart) -> None:
        stream = opened.part.stream
        for placed in self.store.records(self.case, stream, opened.fold.length):
            payload = self._payload(opened.part, placed.index, placed.record)
            if payload is None:
                continue
            verdict = opened.fold.take(
                placed.index, payload, lambda index: self.store.chain_at(self.case, stream, index), self.known()
            )
            self._report(opened, verdict)

    def _payload(self, part: Part, index: int, record: bytes) -> bytes | None:
        try:
            return self.open_record(part.stream, part.read, record)
        except CryptoError as error:
            # Whoever may append can append noise; it is passed over and told.
            self.alarm(error.code, f"{part.name} record {index}")
            return None

    def _report(self, opened: OpenPart, verdict: Verdict) -> None:
        for refused in verdict.refused:
            who = "" if refused.device is None else f" of device {refused.device.hex()}"
            self.alarm(refused.code, f"{opened.part.name}{who}")
        if opened.fold.alarm:
            self.alarm("engine_differs", opened.part.name)

    # --- reading and writing

    def name_of(self, stream: StreamId) -> str:
        part = self.known().part_streams.get(stream)
        return "a stream" if part is None else part.name

    def part(self, name: str) -> OpenPart:
        """An open part by its full name. Raises ``Misuse``: ``no_such_part``, ``not_permitted``."""
        part = self.known().parts.get(name)
        if part is None:
            raise Misuse("no_such_part", f"there is no part {name} here")
        opened = self.parts.get(part.stream)
        if opened is None:
            raise Misuse("not_permitted", f"the part {name} is not yours to read")
        return opened

    def kind(self, part: Part) -> KindSchema | None:
        return self.around.schema.kinds.get(part.kind)

    def read(self, opened: OpenPart) -> dict[str, dict[str, dict[str, Any]]]:
        return document.read(opened.engine, self.kind(opened.part))

    def edit(self, name: str, intents: list[Any]) -> None:
        """Make a change now, keep it, and queue it. Raises ``Misuse``: ``not_permitted``, ``bad_value``..."""
        opened = self.part(name)
        charter = self.known()
        if not charter.may_write(self.me(), name):
            raise Misuse("not_permitted", f"the part {name} is not yours to write")
        stream = opened.part.stream
        position = self.position(stream)
        secrets = self.secrets(stream)
        changes = document.apply_intents(opened.engine, self.kind(opened.part), intents)
        if not changes:
            return
        hashes = opened.fold.take_own(changes)
        with self.store.step():
            payloads = make_edit_records(
                self.keys.sign,
                stream,
                device=self.device(),
                epoch=charter.rooms[opened.part.write].epoch,
                head=charter.head,
                length=position.length,
                chain=position.chain,
                changes=changes,
            )
            for payload in payloads:
                self.store.add_outbox(self.case, stream, secrets.seal(payload, self.around.random(24)))
            words = json.dumps(intents, ensure_ascii=False).encode()
            self.store.put_own_change(self.case, stream, OwnChange(hashes[-1], 0, words))

    def make_again(self) -> int:
        """Make own changes again that were refused or voided, under a new incarnation (part.md). Gives how many."""
        lost: list[tuple[str, OwnChange]] = []
        for opened in self.parts.values():
            held = set(opened.fold.admitted_hashes())
            own = self.store.own_changes(self.case, opened.part.stream)
            lost += [(opened.part.name, change) for change in own if change.hash not in held]
        if not lost:
            return 0
        with self.store.step():
            self.put_row(incarnation=self.around.random(8))
            for name, change in lost:
                self.store.drop_own_change(self.case, self.known().parts[name].stream, change.hash)
        for stream in {self.known().parts[name].stream for name, _ in lost}:
            del self.parts[stream]
        self.open_parts()
        made = 0
        for name, change in lost:
            try:
                self.edit(name, json.loads(change.intents))
                made += 1
            except Misuse as error:
                self.alarm(error.code, f"a change in {name} could not be made again")
        return made
