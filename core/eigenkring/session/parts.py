"""One case on one device, read and written: what ``session.folding`` opens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from eigenkring import document
from eigenkring.charter.state import Charter, Part
from eigenkring.errors import Misuse
from eigenkring.ids import StreamId
from eigenkring.part.again import kept_intents, remake
from eigenkring.part.author import batches, change_hash, make_edit_record
from eigenkring.schema import KindSchema
from eigenkring.session import clocks, kept
from eigenkring.session.case import Surroundings
from eigenkring.session.folding import Folding, OpenPart
from eigenkring.session.words import Words, pack_words
from eigenkring.store import OwnChange, Store, StoredCase

__all__ = ["CaseSession", "OpenPart", "Unsent"]


@dataclass(frozen=True)
class Unsent:
    """What an outbox item was made of. ``record`` is kept because a number may be given again after a step that failed."""

    stream: StreamId
    record: bytes
    words: Words


class CaseSession(Folding):
    """One case: its charter and its parts."""

    def __init__(self, store: Store, row: StoredCase, around: Surroundings) -> None:
        super().__init__(store, row, around)
        self.unsent: dict[int, Unsent] = {}  # signed outbox items of this session that no relay has seen
        # Parts of which words lie unsigned in the outbox: what is signed after them must not go before them.
        self.unsigned = {
            item.stream for item in store.outbox(row.case) if item.stream is not None and item.record is None
        }
        self.open_parts()

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

    # --- reading and writing

    def name_of(self, stream: StreamId) -> str:
        part = self.known().part_streams.get(stream)
        return "a stream" if part is None else part.name

    def part(self, name: str, known: Charter | None = None) -> OpenPart:
        """A part by its full name. ``known``: the charter to ask, for what only reads. Raises ``Misuse``: ``no_such_part``,
        ``not_permitted``."""
        part = (known or self.known()).parts.get(name)
        if part is None:
            raise Misuse("no_such_part", f"there is no part {name} here")
        opened = self.parts.get(part.stream)
        if opened is None:
            raise Misuse("not_permitted", f"the part {name} is not yours to read")
        return opened

    def kind(self, part: Part) -> KindSchema | None:
        return self.around.schema.kinds.get(part.kind)

    def read(self, opened: OpenPart) -> dict[str, dict[str, dict[str, Any]]]:
        shown, kind = opened.shown, self.kind(opened.part)
        if shown is not None:
            return document.complete(shown.words(), kind)
        # Equal heads are equal documents, and the engine is slow to tell.
        if opened.told is not None and opened.told[0] == opened.heads():
            return document.complete(opened.told[1](), kind)
        return document.read(opened.engine, kind)

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
            if opened.shown is not None and kept.has_all_own(self, opened.part, opened.shown):
                continue
            # Who may not write here any more, and what was not sent by then: told, and not shown to one alone for ever.
            settled = not self.known().may_write(self.me(), opened.part.name)
            held = opened.fold.ledger.find if settled else opened.fold.holds
            gone = {made for made in self.store.own_hashes(self.case, opened.part.stream) if not held(made)}
            if gone:
                own = self.store.own_changes(self.case, opened.part.stream)
                lost += [(opened.part.name, change) for change in own if change.hash in gone]
        if not lost:
            self._end_notices()
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

    def _end_notices(self) -> None:
        """What was told of own words that waited is over where all of them were taken, or made again and taken."""
        if not self.until_made_again:
            return
        waiting = {item.stream for item in self.store.outbox(self.case)}
        with self.store.step():
            for stream, opened in self.parts.items():
                if stream not in waiting:
                    for code in self.until_made_again.pop(opened.part.name, []):
                        self.store.drop_alarm(self.case, code, opened.part.name)

    def send_again(self) -> int:
        """Sign own changes again that nobody has and that no record of the outbox brings: a relay put theirs before what
        they stand on, so it was refused. Gives how many."""
        count = 0
        for opened in self.parts.values():
            # Of a part of which only the words were read all own ones were taken (`make_again` opened the others).
            is_known = opened.shown is not None or opened.waits or bool(opened.unopened)
            pending = [] if is_known else opened.fold.pending()
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
