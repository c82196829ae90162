"""The parts of a case on one device, opened and folded: the first half of ``CaseSession``. What is read and written in
them is in ``session.parts``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, cast

from eigenkring import document
from eigenkring.charter.state import Charter, Part
from eigenkring.errors import EngineFailed, Inadmissible
from eigenkring.ids import Chain, StreamId
from eigenkring.part.author import actor_of, change_hash
from eigenkring.part.fold import ChainAt, FoldEngine, PartFold
from eigenkring.part.ledger import Ledger
from eigenkring.part.record import Edit, parse_record
from eigenkring.part.standing import is_outdated
from eigenkring.part.verdict import Verdict
from eigenkring.session import kept
from eigenkring.session.case import CaseState, Surroundings
from eigenkring.session.words import unsigned
from eigenkring.store import OutboxItem, Store, StoredCase
from eigenkring.stream import Placed
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import label, sha256
from eigenkring_crypto.seal import record_epoch

# As in the app, whose engine takes many changes in less time than those of one record after the other.
_TAKEN_AT_ONCE: Final = 64


class OpenPart:
    """A part this device can read: its document and the verdicts on its records.

    At first only its words may be here, as they were kept (``shown``). Whoever asks for the fold or the engine has it
    opened, so nobody can take a part for empty that was not opened yet.
    """

    def __init__(self, part: Part, opens: Callable[[OpenPart], None], shown: kept.ShownPart | None = None) -> None:
        self.part = part
        self._opens = opens
        self._fold: PartFold | None = None
        self.shown = shown
        self.unopened = set() if shown is None else set(shown.unopened)  # epochs of records whose key had not come
        self.waits = shown is not None and shown.waits  # a record names a charter entry that was not read here
        self.set_aside = False  # a record is of a newer version's kind
        self.kept_at = 0  # length of the stream where it was last kept
        self.shown_as: object = None  # what its document was when that was last kept
        self.is_large = False  # that document is
        # Its words as they were last kept, each time others, for who has them may change them; and the heads it had.
        self.told: tuple[list[bytes], Callable[[], document.Document]] | None = None

    @property
    def fold(self) -> PartFold:
        if self._fold is None:
            self._opens(self)
        if self._fold is None:
            raise AssertionError("a part that was opened without a fold")
        return self._fold

    def begin(self, fold: PartFold) -> None:
        """As if no record had come yet."""
        self._fold, self.unopened, self.waits, self.set_aside, self.kept_at = fold, set(), False, False, 0

    def end(self, *, opened: bool) -> None:
        """From here on it is folded; where it could not be, as it was before it was begun."""
        if opened:
            self.shown = None
        else:
            self._fold = None

    @property
    def engine(self) -> document.DocumentEngine:
        engine = self.fold.engine
        if engine is None:
            raise AssertionError("a part without a document")
        return engine  # type: ignore[return-value]

    def heads(self) -> list[bytes]:
        """Of the document: two that have the same are the same."""
        return self.engine.heads() if self.shown is None else self.shown.heads


class Folding(CaseState):
    """One case: its charter, and its parts as they are folded."""

    def __init__(self, store: Store, row: StoredCase, around: Surroundings) -> None:
        super().__init__(store, row, around)
        self.parts: dict[StreamId, OpenPart] = {}
        # Codes of notices about own words that wait, by part: over once these were made again.
        self.until_made_again: dict[str, list[str]] = {}
        self.days: dict[StreamId, dict[bytes, int]] = {}  # what was claimed in parts that are opened anew

    def open_parts(self) -> None:
        """Open parts that became readable, fold what came in, fold anew what the charter changed. A part of which only the
        words were read is opened where they are not what is to be seen any more."""
        charter = self.seen()
        if charter is None:
            return
        present = {part.stream for part in charter.parts.values()}
        for stream in [stream for stream in self.parts if stream not in present]:
            del self.parts[stream]
        for part in charter.parts.values():
            opened = self.parts.get(part.stream)
            if opened is None:
                if not self._reads(charter, part):
                    continue
                opened = self.parts[part.stream] = OpenPart(part, self._open, kept.load_shown(self, part))
            if opened.shown is None or not kept.is_still(self, part, opened.shown):
                self.take_in(opened)

    def _reads(self, charter: Charter, part: Part) -> bool:
        """Whether the present secret of the room that reads it is here."""
        room = charter.rooms.get(part.read)
        return room is not None and self.ring.secret(part.read, room.epoch) is not None

    def _is_behind(self, opened: OpenPart) -> bool:
        """Whether keys or entries came that may change a verdict."""
        late = any(self.ring.secret(opened.part.read, epoch) is not None for epoch in opened.unopened)
        return late or is_outdated(opened.fold.outlook(), opened.part.stream, self.known())

    def keep_parts(self) -> None:
        """Only what was opened can be different."""
        self.keep_charter()
        for opened in self.parts.values():
            if opened.shown is None:
                kept.keep(self, opened)

    def opened_apart(self, part: Part) -> OpenPart:
        """A part as its records here say, also one that was founded anew since."""
        opened = OpenPart(part, self._open)
        self._open(opened)
        return opened

    def _open(self, opened: OpenPart) -> None:
        """Fold a part: from what was kept, else from its records, and what was made here on top."""
        part = opened.part

        def new_engine() -> document.DocumentEngine:
            return self.around.new_engine(actor_of(part.stream, self.device(), self.row.incarnation))

        def secret_at(epoch: int) -> bytes | None:
            secret = self.ring.secret(part.read, epoch)
            return None if secret is None else read_secret(secret, part.stream)

        engine = cast(Callable[[], FoldEngine], new_engine)
        fold = PartFold(part.stream, part.name, part.write, part.manage, secret_at, engine)
        fold.ledger = Ledger(self.days.get(part.stream))
        opened.begin(fold)
        done = False
        try:
            actor = actor_of(part.stream, self.device(), self.row.incarnation)
            if not kept.load(self, opened, actor) or self._is_behind(opened):
                self._refold(opened)
            self._take_new(opened)
            self._lay_own_on_top(opened)
            done = True
        finally:
            opened.end(opened=done)
        self.days.pop(part.stream, None)

    def _lay_own_on_top(self, opened: OpenPart) -> None:
        """What was made here and has not come back yet stands after all that came."""
        waiting = [item for item in self.store.outbox(self.case) if item.stream == opened.part.stream]
        # Of a large part that is dear to tell, and mostly nothing waits.
        held = set(opened.fold.admitted_hashes()) if waiting else set()
        for item in waiting:
            changes = [raw for raw in self._changes_in(opened.part, item) if change_hash(raw) not in held]
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
        except (Inadmissible, EngineFailed) as error:  # one of two under one number: the stream will say which
            self._alarm_until_made_again(error.code, opened.part.name)

    def _alarm_until_made_again(self, code: str, name: str) -> None:
        """Told now, because nobody knows yet whether it can be made again; not where it was told before for another
        reason."""
        if any((alarm.code, alarm.about) == (code, name) for alarm in self.store.alarms(self.case)):
            return
        self.until_made_again.setdefault(name, []).append(code)
        self.alarm(code, name)

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
        placed = self.store.records(self.case, stream, opened.fold.length)
        for start in range(0, len(placed), _TAKEN_AT_ONCE):
            found = [(one.index, self._payload(opened, one)) for one in placed[start : start + _TAKEN_AT_ONCE]]
            records = [(index, payload) for index, payload in found if payload is not None]
            plain = plain and len(records) == len(found)
            for verdict in opened.fold.take_all(records, self._chain_of(stream), self.known()):
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


def _is_plain(verdict: Verdict) -> bool:
    """Nothing follows from it but what it says: no entry to wait for, nothing refused or taken back."""
    follows = (verdict.refused, verdict.voided, verdict.false_before_base)
    return not (verdict.waits or verdict.set_aside or verdict.started_over or any(follows))
