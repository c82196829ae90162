"""State of a part = fold(records in stream order, charter): which changes are admitted. Spec: docs/spec/part.md.

Nothing waits for a missing change: a verdict belongs to a place in the stream, so that everybody gives the same
one. Own changes are taken the moment they are made and lie on top, unsettled, until the stream brings them back;
where the two disagree the stream is right, and the own change is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from eigenkring.change import Change, parse_change
from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, EntryHash, StreamId
from eigenkring.part.attestation import Attestation, verify_attestation
from eigenkring.part.coverage import Made, before_cuts, covers_of, parsed, signer
from eigenkring.part.door import Door
from eigenkring.part.ledger import Ledger, Source
from eigenkring.part.record import Edit, Snapshot, parse_record
from eigenkring.part.rights import Rights
from eigenkring.part.shown import FoldEngine, Shown
from eigenkring.part.snapshot import Body, Content, Unfolded, parse_body, verify_snapshot
from eigenkring.part.standing import Outlook
from eigenkring.part.verdict import Refusal, Verdict

__all__ = ["ChainAt", "FoldEngine", "PartFold", "State"]

State = tuple[int, int, int | None, int, list[bytes], bool, int, list[bytes], list[tuple[bytes, bytes]]]
ChainAt = Callable[[int], "bytes | None"]


class PartFold:
    """One part. ``secret_at`` gives its S of an epoch of the read room; ``new_engine`` an empty document with the
    present actor (without it only verdicts are kept). ``manage_room``: who may make a snapshot of what others wrote.
    """

    def __init__(
        self,
        stream: bytes,
        part_name: str,
        write_room: str,
        manage_room: str,
        secret_at: Callable[[int], bytes | None],
        new_engine: Callable[[], FoldEngine] | None = None,
    ) -> None:
        self.stream = StreamId(stream)
        self.secret_at = secret_at
        self.part_name = part_name
        self.write_room = write_room
        self.manage_room = manage_room
        self.shown = Shown(self, new_engine)
        self.length = 0  # index of the last record taken
        self.height = 0  # of the charter at the last record
        self._door: Door | Callable[[], Door] = Door()
        self.ledger = Ledger()
        self._pending: dict[bytes, bytes] = {}  # own changes that the stream has not brought back: hash to raw
        self._own_actors: set[bytes] = set()
        self._made = Made()
        self._base: int | None = None  # of the last snapshot taken, or where this fold began
        self._epoch = 0  # highest epoch that an accepted record was attested in
        self._waiting: set[bytes] = set()
        self._may_heal = False  # something was refused that a longer charter may allow
        self._cuts = 0
        self._unfolded = Unfolded()

    # What the caller asks

    @property
    def door(self) -> Door:
        if not isinstance(self._door, Door):
            self._door = self._door()
        return self._door

    @door.setter
    def door(self, door: Door) -> None:
        self._door = door

    @property
    def engine(self) -> FoldEngine | None:
        return self.shown.engine

    @property
    def alarm(self) -> bool:
        """The document is not what was admitted, and could not be made so: it is shown as it last was."""
        return self.shown.alarm

    def admitted(self) -> list[bytes]:
        """Raw changes, each after what it depends on; own unsettled ones last."""
        return [*(entry.raw for entry in self.ledger.entries), *self._pending.values()]

    def admitted_hashes(self) -> list[bytes]:
        return [*self.settled_hashes(), *self._pending]

    def settled_hashes(self) -> list[bytes]:
        """Without own changes that the stream has not brought back."""
        return [entry.hash for entry in self.ledger.entries]

    def pending(self) -> list[bytes]:
        """Own changes that the stream does not hold yet, as far as this device knows."""
        return list(self._pending.values())

    def pending_hashes(self) -> list[bytes]:
        return list(self._pending)

    def newest_by_actor(self) -> dict[bytes, tuple[int, bytes]]:
        """For cuts: of every actor the highest settled sequence and its hash."""
        return {entry.actor: (entry.seq, entry.hash) for entry in self.ledger.entries}

    def basis(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """For a snapshot: attestations, settled changes in order, and witnesses."""
        atts, witnesses = self.ledger.basis()
        return atts, [entry.raw for entry in self.ledger.entries], witnesses

    def author_of(self, change: bytes) -> bytes | None:
        """The device; None for a change that is not settled."""
        entry = self.ledger.find(change)
        return None if entry is None else entry.device

    def outlook(self) -> Outlook:
        return Outlook(self.height, self._waiting, self._may_heal, self._cuts)

    # For the store (eigenkring.part.cache)

    def state(self) -> State:
        flags = (sorted(self._waiting), self._may_heal, self._cuts, sorted(self._own_actors))
        return self.length, self.height, self._base, self._epoch, *flags, list(self._pending.items())

    def stand(self, state: State, ledger: Ledger, door: Callable[[], Door], engine: FoldEngine | None) -> None:
        """As it was saved. The door is made when a change comes to it: to show a part nobody needs it."""
        self.length, self.height, self._base, self._epoch, waiting, self._may_heal, self._cuts, own, pending = state
        self._waiting, self._own_actors, self._pending = set(waiting), set(own), dict(pending)
        self.ledger, self._door = ledger, door
        self.shown.engine = engine or self.shown.engine

    def trial(self, index: int, payload: bytes, chain_at: ChainAt, charter: Rights) -> Verdict:
        """What would come of a snapshot at this place, without taking it: ``started_over`` where it stands."""
        alone, verdict = self.alone(), Verdict()
        alone._epoch, alone._base, alone.ledger = self._epoch, index - 1, self.ledger
        try:
            record = parse_record(payload)
            if isinstance(record, Snapshot):
                found = alone._judge_snapshot(index, record, chain_at, charter, verdict)
                if found is not None:
                    verdict.started_over = True
                    self._unfolded.keep(*found[:2])
        except Inadmissible as refused:
            verdict.refused.append(Refusal.of(refused))
        return verdict

    def alone(self) -> PartFold:
        """An empty fold of the same part, for verdicts only."""
        return PartFold(self.stream, self.part_name, self.write_room, self.manage_room, self.secret_at)

    # Taking

    def take(self, index: int, payload: bytes, chain_at: ChainAt, charter: Rights) -> Verdict:
        """One opened record. ``chain_at`` gives the stream's chain, or None where it is not known any more."""
        return self.take_all([(index, payload)], chain_at, charter)[0]

    def take_all(self, records: Sequence[tuple[int, bytes]], chain_at: ChainAt, charter: Rights) -> list[Verdict]:
        """Opened records in their order: each is judged at its place, and the engine takes at once what all of them brought."""
        heads, fresh = self.door.heads(), list[bytes]()
        verdicts = [Verdict() for _ in records]
        for (index, payload), verdict in zip(records, verdicts, strict=True):
            self._judge(index, payload, chain_at, charter, verdict)
            fresh += verdict.fresh
        rebuilt = self.shown.add(fresh, heads, self.door.heads())
        for last in verdicts[-1:]:
            last.rebuilt = rebuilt
        return verdicts

    def take_own(self, changes: Sequence[bytes]) -> list[bytes]:
        """Own changes at the moment they are made; the engine holds them already. Returns their hashes.

        Raises Inadmissible when the door would refuse one: then the engine is as before these changes, and
        nothing that others would refuse was sent.
        """
        hashes: list[bytes] = []
        try:
            for raw in changes:
                change = self.door.check(raw)
                self.door.admit(change)
                self._pending[change.hash] = raw
                self._own_actors.add(change.actor)
                hashes.append(change.hash)
                self._made.keep(change)
        except Inadmissible:
            for made in hashes:
                del self._pending[made]
            self._restart(Verdict())
            self.shown.remake()
            raise
        return hashes

    def refold(self, records: Iterable[tuple[int, bytes]], chain_at: ChainAt, charter: Rights) -> Verdict:
        """Everything again from the records since base. ``voided`` in the verdict were admitted before."""
        before, own_before = self.ledger, dict(self._pending)
        mine = {entry.hash: entry.raw for entry in before.entries if entry.actor in self._own_actors}
        self.door, self.ledger, self._pending = Door(), Ledger(before.days()), {}
        self._waiting, self._may_heal, self._epoch, self.length, self._base = set(), False, 0, 0, None
        self.height = charter.n
        verdict = Verdict()
        for index, payload in records:
            self._judge(index, payload, chain_at, charter, verdict)
        void = {no.change for no in verdict.refused if no.code == "behind_cut"}
        # Own changes that these records do not hold any more (a relay lost them): still words of this person.
        self._lay_on_top({made: raw for made, raw in (mine | own_before).items() if made not in void}, verdict)
        verdict.voided = [e.hash for e in before.entries if not self.holds(e.hash)]
        verdict.rebuilt = self.shown.add((), (), self.door.heads())
        return verdict

    def holds(self, change: bytes) -> bool:
        return self.ledger.find(change) is not None or change in self._pending

    # One record

    def _judge(self, index: int, payload: bytes, chain_at: ChainAt, charter: Rights, verdict: Verdict) -> None:
        if index <= self.length:
            raise ValueError("records are taken in the order of the stream")
        if self._base is None:
            self._base = index - 1
        self.length, self.height = index, charter.n
        self._cuts = len(charter.cuts.get(self.stream, ()))
        try:
            record = parse_record(payload)
            if isinstance(record, Edit):
                self._take_edit(index, record, chain_at, charter, verdict)
            elif isinstance(record, Snapshot):
                self._take_snapshot(index, record, chain_at, charter, verdict)
            else:
                verdict.set_aside = True
        except Inadmissible as refused:
            verdict.refused.append(Refusal.of(refused))

    def _take_edit(self, index: int, edit: Edit, chain_at: ChainAt, charter: Rights, verdict: Verdict) -> None:
        att = edit.att
        if not self._right(att, charter, verdict):
            return
        if att.length >= index:
            raise Inadmissible("false_seen", device=att.device.hex())
        self._check_seen(att.length, att.chain, att.device, chain_at, verdict)
        self._epoch = max(self._epoch, att.epoch)
        self._take_changes(index, edit.changes, (), [Source(att)], charter, verdict)

    def _take_snapshot(
        self, index: int, record: Snapshot, chain_at: ChainAt, charter: Rights, verdict: Verdict
    ) -> None:
        found = self._judge_snapshot(index, record, chain_at, charter, verdict)
        if found is not None:
            self._start_over(index, *found, charter, verdict)

    def _judge_snapshot(
        self, index: int, record: Snapshot, chain_at: ChainAt, charter: Rights, verdict: Verdict
    ) -> tuple[Body, Content, list[Source]] | None:
        """None when it waits for the charter."""
        body = parse_body(record)
        key = charter.devices.get(DeviceId(body.by))
        if key is not None:
            verify_snapshot(record, key.sign, self.stream)
        if not self._may_write(key is not None, body.by, body.epoch, body.head, charter, verdict, makes=True):
            return None
        if body.n != index - 1:
            raise Inadmissible("false_seen", device=body.by.hex())
        self._check_seen(body.n, body.chain, body.by, chain_at, verdict)
        # Who was removed keeps old keys: with a relay that helps, an old snapshot would hide what came since.
        if body.epoch < self._epoch:
            raise Inadmissible("wrong_epoch", device=body.by.hex())
        content = self._unfolded.open(body)
        sources: list[Source] = []
        rights = Verdict()
        for att in content.atts:
            try:
                if self._right(att, charter, rights):
                    sources.append(Source(att, is_newest=True))
            except Inadmissible as refused:
                rights.refused.append(Refusal.of(refused))
        if rights.waits:
            verdict.waits = True
            return None
        verdict.refused += rights.refused
        # Who manages what another one writes may shorten it, and take no word of it from who has read that word.
        if not charter.wrote_in_epoch(DeviceId(body.by), self.write_room, body.epoch):
            alone = self.alone()
            alone._start_over(index, body, content, sources, charter, Verdict())
            lost = [entry for entry in self.ledger.entries if alone.ledger.find(entry.hash) is None]
            if lost:
                verdict.give_back += self.ledger.give_back(lost)
                raise Inadmissible("left_out", device=body.by.hex())
        return body, content, sources

    def _start_over(
        self, index: int, body: Body, content: Content, sources: list[Source], charter: Rights, verdict: Verdict
    ) -> None:
        verdict.unchecked = verdict.unchecked or bool(content.atts)
        before = self.ledger
        mine = {e.hash: e.raw for e in before.entries if e.actor in self._own_actors} | self._pending
        self.door, self.ledger, self._pending = Door(), Ledger(before.days()), {}
        self._epoch, self._base = body.epoch, index - 1
        verdict.started_over = True
        refused_before = len(verdict.refused)
        self._take_changes(index, content.changes, content.witnesses, sources, charter, verdict)
        void = {no.change for no in verdict.refused[refused_before:] if no.code == "behind_cut"}
        self._lay_on_top({made: raw for made, raw in mine.items() if made not in void}, verdict)
        lost = [entry for entry in before.entries if self.ledger.find(entry.hash) is None]
        verdict.voided += [entry.hash for entry in lost if entry.hash not in self._pending]
        verdict.give_back += before.give_back(entry for entry in lost if entry.hash not in void)

    # Rights

    def _right(self, att: Attestation, charter: Rights, verdict: Verdict) -> bool:
        key = charter.devices.get(DeviceId(att.device))
        if key is not None:
            verify_attestation(att, key.sign, self.stream)
        return self._may_write(key is not None, att.device, att.epoch, att.head, charter, verdict)

    def _check_seen(self, length: int, chain: bytes, device: bytes, chain_at: ChainAt, verdict: Verdict) -> None:
        """From base on everybody knows the chain, so everybody refuses alike. Before base only some do: there a
        false word is reported, and the verdict is that of those who cannot know.
        """
        known = chain_at(length)
        if length < (self._base or 0) or known is None:
            verdict.unchecked = True
        if known is None or known == chain:
            return
        if length < (self._base or 0):
            verdict.false_before_base.append(device)
            return
        raise Inadmissible("false_seen", device=device.hex())

    def _may_write(
        self,
        known: bool,
        device: bytes,
        epoch: int,
        head: bytes,
        charter: Rights,
        verdict: Verdict,
        *,
        makes: bool = False,
    ) -> bool:
        """False when the record waits for the charter: its author knew more of it than was read here. ``makes``: a
        snapshot, which who manages the stream at ``head`` may make as well."""
        n = charter.head_index(EntryHash(head))
        if n is None:
            self._waiting.add(head)
            verdict.waits = True
            return False
        if not known:
            self._may_heal = True
            # No signature was checked, so nobody is named, or anyone could blame anyone.
            raise Inadmissible("unknown_device")
        if charter.epoch_at(self.write_room, n) != epoch:
            raise Inadmissible("wrong_epoch", device=device.hex())
        managing = charter.epoch_at(self.manage_room, n) if makes else None
        if managing is not None and charter.wrote_in_epoch(DeviceId(device), self.manage_room, managing):
            return True
        if not charter.wrote_in_epoch(DeviceId(device), self.write_room, epoch):
            self._may_heal = True
            raise Inadmissible("not_a_writer", device=device.hex())
        return True

    # Changes

    def _take_changes(
        self,
        index: int,
        changes: Sequence[bytes],
        witnesses: Sequence[bytes],
        sources: Sequence[Source],
        charter: Rights,
        verdict: Verdict,
    ) -> None:
        parts = [self._made.take(raw) or parsed(raw) for raw in changes]
        covers = covers_of(self.stream, sources, parts, witnesses)
        for change in parts:
            if isinstance(change, str):
                verdict.refused.append(Refusal(change, None, None))
                continue
            owning = covers.owning(change)
            covering = [cover for cover in owning if cover.covers(change)]
            if (known := self.ledger.find(change.hash)) is not None:
                for cover in covering:
                    self.ledger.cover(known, cover.source)
                continue
            try:
                door = self._check_door(change)
                if not owning:
                    raise Inadmissible("bad_actor")
                if not covering:
                    raise Inadmissible("not_covered")
                source = before_cuts(self.stream, covering, change, charter, self.secret_at)
            except Inadmissible as refused:
                verdict.refused.append(Refusal(refused.code, signer(change, covers), change.hash))
                # Any other no to an own unsettled change may be another's doing, who put it beside something else.
                if refused.code == "behind_cut" and self._pending.pop(change.hash, None) is not None:
                    self._restart(verdict)
                continue
            if door is not self.door:
                # A copy of this store wrote as the same actor, and the stream has its change first.
                verdict.refused += [Refusal("bad_sequence", None, made) for made in self._pending]
                self._pending.clear()
                self.door = door
            if self._pending.pop(change.hash, None) is None:
                self.door.admit(change)
                verdict.fresh.append(change.raw)
            self.ledger.admit(change, index, source)
            verdict.admitted.append(change.hash)
        for cover in covers.all:
            cover.remember_path(self.ledger)

    def _check_door(self, change: Change) -> Door:
        """As if the own unsettled changes were not there: nobody else has them. The door that was asked."""
        if any(dep in self._pending for dep in change.deps):
            raise Inadmissible("missing_dependency")
        if change.hash in self._pending:
            return self.door  # it was asked when the change was made
        mine = bool(self._pending) and change.actor in self._own_actors
        door = self._settled_door() if mine else self.door
        door.check_parsed(change)
        return door

    def _settled_door(self) -> Door:
        door = Door()
        for entry in self.ledger.entries:
            door.admit(parse_change(entry.raw))
        return door

    # After a change of mind

    def _restart(self, verdict: Verdict) -> None:
        """The door again from what is settled, then the own unsettled changes as far as they still stand."""
        self.door = self._settled_door()
        pending, self._pending = self._pending, {}
        self._lay_on_top(pending, verdict)

    def _lay_on_top(self, own: dict[bytes, bytes], verdict: Verdict) -> None:
        for made, raw in own.items():
            if made in self._pending or self.ledger.find(made) is not None:
                continue
            try:
                change = self.door.check(raw)
            except Inadmissible as refused:
                verdict.refused.append(Refusal(refused.code, None, made))
                continue
            self.door.admit(change)
            self._pending[made] = raw
