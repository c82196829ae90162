"""The parts of a case on one device: opened, folded, read and written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from eigenkring import document
from eigenkring.charter.state import Part
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import Chain, StreamId
from eigenkring.part.again import kept_intents, remake
from eigenkring.part.author import actor_of, batches, change_hash, make_edit_record
from eigenkring.part.fold import ChainAt, FoldEngine, PartFold
from eigenkring.part.ledger import Ledger
from eigenkring.part.record import Edit, parse_record
from eigenkring.part.verdict import Verdict
from eigenkring.schema import KindSchema
from eigenkring.session import clocks, kept
from eigenkring.session.case import CaseState, Surroundings
from eigenkring.session.words import Words, pack_words, unsigned
from eigenkring.store import OutboxItem, OwnChange, Store, StoredCase
from eigenkring.stream import Placed
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import label, sha256
from eigenkring_crypto.seal import record_epoch


@dataclass(slots=True)
class OpenPart:
    """A part this device can read: its document and the verdicts on its records."""

    part: Part
    fold: PartFold
    unopened: set[int] = field(default_factory=set)  # epochs of records whose key had not come
    waits: bool = False  # a record names a charter entry that was not read here
    set_aside: bool = False  # a record is of a newer version's kind
    kept_at: int = 0  # length of the stream where it was last kept

    @property
    def engine(self) -> document.DocumentEngine:
        engine = self.fold.engine
        if engine is None:
            raise AssertionError("a part without a document")
        return engine  # type: ignore[return-value]


@dataclass(frozen=True)
class Unsent:
    """What an outbox item was made of. ``record`` is kept because a number may be given again after a step that failed."""

    stream: StreamId
    record: bytes
    words: Words


class CaseSession(CaseState):
    """One case: its charter and its parts."""

    def __init__(self, store: Store, row: StoredCase, around: Surroundings) -> None:
        super().__init__(store, row, around)
        self.parts: dict[StreamId, OpenPart] = {}
        self.unsent: dict[int, Unsent] = {}  # signed outbox items of this session that no relay has seen
        # Parts of which words lie unsigned in the outbox: what is signed after them must not go before them.
        self.unsigned = {
            item.stream for item in store.outbox(row.case) if item.stream is not None and item.record is None
        }
        self.days: dict[StreamId, dict[bytes, int]] = {}  # what was claimed in parts that are opened anew
        self.open_parts()

    def open_parts(self) -> None:
        """Open parts that became readable, fold what came in, fold anew what the charter changed."""
        if self.charter is None:
            return
        present = {part.stream for part in self.charter.parts.values()}
        for stream in [stream for stream in self.parts if stream not in present]:
            del self.parts[stream]
        for part in self.charter.parts.values():
            if part.stream not in self.parts and self.room_secret(part.read) is not None:
                self._open(part)
            opened = self.parts.get(part.stream)
            if opened is not None:
                if self._is_behind(opened):
                    self._refold(opened)
                self._take_new(opened)

    def _is_behind(self, opened: OpenPart) -> bool:
        """Whether keys or entries came that may change a verdict."""
        late = any(self.ring.secret(opened.part.read, epoch) is not None for epoch in opened.unopened)
        return late or opened.fold.outdated(self.known())

    def keep_parts(self) -> None:
        for opened in self.parts.values():
            kept.keep(self, opened)

    def opened_apart(self, part: Part) -> OpenPart:
        """A part as its records here say, also one that was founded anew since."""
        present = self.parts.get(part.stream)
        self._open(part)
        opened = self.parts.pop(part.stream)
        if present is not None:
            self.parts[part.stream] = present
        return opened

    def _open(self, part: Part) -> None:
        def new_engine() -> document.DocumentEngine:
            return self.around.new_engine(actor_of(part.stream, self.device(), self.row.incarnation))

        def secret_at(epoch: int) -> bytes | None:
            secret = self.ring.secret(part.read, epoch)
            return None if secret is None else read_secret(secret, part.stream)

        engine = cast(Callable[[], FoldEngine], new_engine)
        opened = OpenPart(part, PartFold(part.stream, part.name, part.write, part.manage, secret_at, engine))
        opened.fold.ledger = Ledger(self.days.pop(part.stream, None))
        self.parts[part.stream] = opened
        actor = actor_of(part.stream, self.device(), self.row.incarnation)
        if not kept.load(self, opened, actor) or self._is_behind(opened):
            self._refold(opened)
        self._take_new(opened)
        # What was made here and has not come back yet stands after all that came.
        held = set(opened.fold.admitted_hashes())
        for item in self.store.outbox(self.case):
            if item.stream == part.stream:
                changes = [raw for raw in self._changes_in(part, item) if change_hash(raw) not in held]
                held.update(change_hash(raw) for raw in changes)
                if changes:
                    self._take_own(opened, changes)

    def _changes_in(self, part: Part, item: OutboxItem) -> list[bytes]:
        """The changes of an item of the outbox, signed or not yet."""
        if item.record is None:
            words = unsigned(item)
            return [] if words is None else words.changes
        record = parse_record(self.open_record(part.stream, part.read, item.record))
        return record.changes if isinstance(record, Edit) else []

    def _take_own(self, opened: OpenPart, changes: list[bytes]) -> None:
        try:
            opened.engine.apply(changes)
            opened.fold.take_own(changes)
        except Inadmissible as error:
            self.alarm(error.code, opened.part.name)

    def _refold(self, opened: OpenPart) -> None:
        stream = opened.part.stream
        records = []
        opened.unopened, opened.waits, opened.set_aside, opened.kept_at = set(), False, False, 0
        for placed in self.store.records(self.case, stream):
            payload = self._payload(opened, placed)
            if payload is not None:
                records.append((placed.index, payload))
        verdict = opened.fold.refold(records, self._chain_of(stream), self.known())
        opened.fold.length = max(opened.fold.length, self.position(stream).length)
        self._report(opened, verdict)

    def take_in(self, opened: OpenPart) -> bool:
        """Fold what the store holds and this part has not. Gives whether all of it was an ordinary edit that counts."""
        if self._is_behind(opened):
            self._refold(opened)
        return self._take_new(opened)

    def _take_new(self, opened: OpenPart) -> bool:
        stream, plain = opened.part.stream, True
        for placed in self.store.records(self.case, stream, opened.fold.length):
            payload = self._payload(opened, placed)
            if payload is None:
                plain = False
                continue
            verdict = opened.fold.take(placed.index, payload, self._chain_of(stream), self.known())
            plain = plain and _is_plain(verdict)
            self._report(opened, verdict)
            self._give_back(opened, verdict.give_back)
            if verdict.started_over:
                self._drop_covered(opened)
                opened.kept_at = 0
        return plain

    def _drop_covered(self, opened: OpenPart) -> None:
        """What a snapshot holds needs no making again: whoever lost it had it from there."""
        for own in self.store.own_changes(self.case, opened.part.stream):
            if opened.fold.ledger.find(own.hash) is not None:
                self.store.drop_own_change(self.case, opened.part.stream, own.hash)

    def _payload(self, opened: OpenPart, placed: Placed) -> bytes | None:
        part = opened.part
        about = f"{part.name} record {placed.index}"
        try:
            payload = self.open_record(part.stream, part.read, placed.record)
        except CryptoError as error:
            # Whoever may append can append noise; it is passed over and told. Or its key is still to come.
            self.alarm(error.code, about)
            with contextlib.suppress(CryptoError):
                epoch = record_epoch(placed.record)
                if self.ring.secret(part.read, epoch) is None:
                    opened.unopened.add(epoch)
            return None
        if opened.unopened:
            self.store.drop_alarm(self.case, "unopenable", about)
        return payload

    def payload_of(self, stream: StreamId, placed: Placed) -> bytes | None:
        """What lies in a record of a part, where this device can open it."""
        try:
            return self.open_record(stream, self.known().part_streams[stream].read, placed.record)
        except CryptoError:
            return None

    def snapshot_stands(self, stream: StreamId, placed: Placed, base_chain: Chain) -> bool:
        """Whether a record is a snapshot by who may make one, made at this very place: only then may what lies
        before it be forgotten."""
        opened, payload = self.parts.get(stream), self.payload_of(stream, placed)
        if opened is None or payload is None:
            return False
        if self._is_behind(opened):
            self._refold(opened)  # what a cut voids is nothing that a snapshot can leave out
        before = placed.index - 1
        verdict = opened.fold.trial(
            placed.index, payload, lambda index: base_chain if index == before else None, self.known()
        )
        self._report(opened, verdict)
        return verdict.started_over

    def has_all_of_ours(self, stream: StreamId, log: Sequence[Placed], base_chain: Chain) -> bool:
        """Whether a log that begins with a snapshot gives all that is settled here, in that snapshot or after it: what
        one who manages the stream left out, who wrote it gave back."""
        opened = self.parts.get(stream)
        if opened is None or not log:
            return False
        payloads = [(placed.index, self.payload_of(stream, placed)) for placed in log]
        records = [(index, payload) for index, payload in payloads if payload is not None]
        chains = {log[0].index - 1: base_chain} | {placed.index: placed.chain for placed in log}
        alone = opened.fold.alone()
        alone.refold(records, chains.get, self.known())
        return all(alone.ledger.find(change) is not None for change in opened.fold.settled_hashes())

    def _chain_of(self, stream: StreamId) -> ChainAt:
        return lambda index: self.store.chain_at(self.case, stream, index)

    def follow_other_log(self, stream: StreamId, *, signs: bool = True) -> None:
        """The store holds another log of this part now: fold it, and sign the own changes that it lacks again, because
        what their records saw is not in it. ``signs``: whether now, or once nothing holds them back."""
        opened = self.parts.get(stream)
        if opened is None:
            return
        self._refold(opened)
        if not self.known().may_write(self.me(), opened.part.name):
            return
        for item in self.store.outbox(self.case):
            if item.stream == stream and (item.record is None or self._is_own(stream, item.record)):
                self.store.drop_outbox(item.number)
        pending = opened.fold.pending()
        if pending and signs:
            # Of days ago, perhaps of years: signed today, and so under no day.
            self.queue(opened, Words(self.row.incarnation, None, pending))

    def _is_own(self, stream: StreamId, record: bytes) -> bool:
        try:
            found = parse_record(self.open_record(stream, self.known().part_streams[stream].read, record))
        except (CryptoError, Inadmissible):
            return False
        return isinstance(found, Edit) and found.att.device == self.device()

    def _give_back(self, opened: OpenPart, payloads: list[bytes]) -> None:
        """What a snapshot left out: everybody who had it gives it back, in the same bytes, so that the relay keeps one."""
        secrets = self.secrets(opened.part.stream)
        if payloads and self.known().may_write(self.me(), opened.part.name) and secrets.read is not None:
            self.alarm("left_out", opened.part.name)
            for payload in payloads:
                nonce = sha256(label("give back"), secrets.read, payload)[:24]
                self.store.add_outbox(self.case, opened.part.stream, secrets.seal(payload, nonce))

    def tell_what_waits(self) -> None:
        """After a sync: a record that names a charter entry the relay does not show."""
        for opened in self.parts.values():
            if opened.waits:
                self.alarm("unknown_head", opened.part.name)
            else:
                self.store.drop_alarm(self.case, "unknown_head", opened.part.name)
        if self.row.state == "open" and self.unchecked_keys():
            self.alarm("unknown_head", "keys")
        else:
            self.store.drop_alarm(self.case, "unknown_head", "keys")

    def _report(self, opened: OpenPart, verdict: Verdict) -> None:
        opened.waits = opened.waits or verdict.waits
        opened.set_aside = opened.set_aside or verdict.set_aside
        for device in verdict.false_before_base:
            self.alarm("false_seen", f"{opened.part.name} of device {device.hex()}")
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
        kept = kept_intents(opened.engine, intents)
        self._made(opened, document.apply_intents(opened.engine, self.kind(opened.part), intents), kept)

    def _made(self, opened: OpenPart, changes: list[bytes], intents: list[Any]) -> None:
        if not changes:
            return
        hashes = opened.fold.take_own(changes)
        stream = opened.part.stream
        is_first = stream not in self.unsigned and all(unsent.stream != stream for unsent in self.unsent.values())
        with self.store.step():
            made = Words(self.row.incarnation, clocks.claimed_day(self), changes)
            if is_first and self.may_sign(stream):
                self.queue(opened, made)
            else:
                self.unsigned.add(stream)
                self.store.add_outbox(self.case, stream, None, pack_words(made))
            words = json.dumps(intents, ensure_ascii=False).encode()
            self.store.put_own_change(self.case, stream, OwnChange(hashes[-1], 0, words))

    def may_sign(self, stream: StreamId) -> bool:
        """Whether own words of a part can be signed and sealed for it now."""
        opened = self.parts.get(stream)
        if opened is None or not self.known().may_write(self.me(), opened.part.name):
            return False
        return self.secrets(stream).read is not None

    def queue(self, opened: OpenPart, words: Words) -> None:
        """Sign own changes as of now, and put them in the outbox."""
        stream, charter = opened.part.stream, self.known()
        position, secrets = self.position(stream), self.secrets(stream)
        for some in batches(words.changes):
            payload = make_edit_record(
                self.keys.sign,
                stream,
                device=self.device(),
                epoch=charter.rooms[opened.part.write].epoch,
                head=charter.head,
                length=position.length,
                chain=position.chain,
                changes=some,
                day=words.day,
            )
            record = secrets.seal(payload, self.around.random(24))
            number = self.store.add_outbox(self.case, stream, record)
            made = Words(words.incarnation, words.day, some)
            self.unsent[number] = Unsent(stream, record, made)

    def make_again(self) -> int:
        """Make own changes again that were refused or voided, under a new incarnation (part.md). Gives how many."""
        lost: list[tuple[str, OwnChange]] = []
        for opened in self.parts.values():
            # Who may not write here any more, and what was not sent by then: told, and not shown to one alone for ever.
            settled = not self.known().may_write(self.me(), opened.part.name)
            held = opened.fold.ledger.find if settled else opened.fold.holds
            gone = {made for made in self.store.own_hashes(self.case, opened.part.stream) if not held(made)}
            if gone:
                own = self.store.own_changes(self.case, opened.part.stream)
                lost += [(opened.part.name, change) for change in own if change.hash in gone]
        if not lost:
            return 0
        with self.store.step():
            self.put_row(incarnation=self.around.random(8))
            for name, change in lost:
                self.store.drop_own_change(self.case, self.known().parts[name].stream, change.hash)
            for stream in {self.known().parts[name].stream for name, _ in lost}:
                self._take_back(stream)
                kept.forget(self, stream)
                self.days[stream] = self.parts.pop(stream).fold.ledger.days()
            self.open_parts()
            return self.redo(lost)

    def send_again(self) -> int:
        """Sign own changes again that nobody has and that no record of the outbox brings: a relay put theirs before what
        they stand on, so it was refused. Gives how many."""
        count = 0
        for opened in self.parts.values():
            pending = [] if opened.waits or opened.unopened else opened.fold.pending()
            if not pending or not self.may_sign(opened.part.stream):
                continue
            coming = self._coming(opened.part)
            lost = [raw for raw in pending if change_hash(raw) not in coming]
            if lost:
                self.queue(opened, Words(self.row.incarnation, None, lost))
                count += len(lost)
        return count

    def _coming(self, part: Part) -> set[bytes]:
        """Hashes of the changes that wait to be signed, sent or read back."""
        items = [item for item in self.store.outbox(self.case) if item.stream == part.stream]
        return {change_hash(raw) for item in items for raw in self._changes_in(part, item)}

    def _take_back(self, stream: StreamId) -> None:
        """Out of the outbox what is this device's own there, where its person may not write any more."""
        if not self.known().may_write(self.me(), self.name_of(stream)):
            for item in self.store.outbox(self.case):
                if item.stream == stream and (item.record is None or self._is_own(stream, item.record)):
                    self.store.drop_outbox(item.number)

    def redo(self, lost: list[tuple[str, OwnChange]]) -> int:
        """What the person did, done on what is there now. Gives how many could be."""
        made = 0
        for name, change in lost:
            try:
                self._make_again(name, json.loads(change.intents))
                made += 1
            except Misuse as error:
                self.alarm(error.code, f"a change in {name} could not be made again")
        return made

    def _make_again(self, name: str, intents: list[Any]) -> None:
        opened = self.part(name)
        if not self.known().may_write(self.me(), name):
            raise Misuse("not_permitted", f"the part {name} is not yours to write")
        self._made(opened, remake(opened.engine, self.kind(opened.part), intents), intents)


def _is_plain(verdict: Verdict) -> bool:
    """Nothing follows from it but what it says: no entry to wait for, nothing refused or taken back."""
    follows = (verdict.refused, verdict.voided, verdict.false_before_base)
    return not (verdict.waits or verdict.set_aside or verdict.started_over or any(follows))
