"""What one device knows of one case. Loaded from the store; every change of it goes to the store first.

Pure but for the store it is given: the engine, the clock and randomness are arguments (DESIGN 2).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from eigenkring.charter.entry import Entry, parse_entry
from eigenkring.charter.rules import fold, signed_by_member
from eigenkring.charter.state import Charter
from eigenkring.document import DocumentEngine
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import CaseId, Chain, DeviceId, PersonId, RoomSecret, StreamId
from eigenkring.rooms import EVERYONE, OWNERS, Keyring
from eigenkring.schema import Schema
from eigenkring.session import reading
from eigenkring.session.kept_charter import keep_charter, load_charter
from eigenkring.store import Alarm, Store, StoredCase
from eigenkring.stream import Placed, Position, StreamSecrets
from eigenkring_crypto import capability
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.kdf import derive
from eigenkring_crypto.seal import record_epoch

if TYPE_CHECKING:
    from eigenkring.session.astray import Shown

Random = Callable[[int], bytes]
Clock = Callable[[], int]
# A relay that was put back knows the locks of before; the first phone of who manages them turns them. Seconds.
LOCKS_OF_ANOTHER_DAY = 7 * 24 * 3600
NewEngine = Callable[[bytes], DocumentEngine]


class Surroundings(msgspec.Struct, frozen=True):
    """What a session is given, so that it needs no I/O of its own."""

    schema: Schema
    new_engine: NewEngine
    clock: Clock
    random: Random
    load_engine: Callable[[bytes, bytes], DocumentEngine] | None = None  # of what was saved here, for an actor


class CaseState:
    """Charter, secrets and alarms of one case. ``charter`` is None until the first keys arrived."""

    def __init__(self, store: Store, row: StoredCase, around: Surroundings) -> None:
        self.store = store
        self.row = row
        self.around = around
        self.ring = Keyring(row.keys_secret)
        # What was grown for a stream, and from which room secrets: they turn seldom, and every word asks for them.
        self._grown: dict[StreamId, tuple[tuple[tuple[int, bytes] | None, ...], StreamSecrets]] = {}
        # Secrets from keybags that the charter has not confirmed yet: good for reading the charter, for nothing else.
        self.unconfirmed: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
        self._charter: Charter | None = None
        self._entries: list[Entry] = []
        self.folded = 0  # charter records up to here were folded
        self.skipped: dict[int, int] = {}  # charter records that nothing here opens, passed over: index to epoch
        self.charter_try = 0  # which of the unconfirmed secrets of *everyone* to try next
        self.answered: set[StreamId] = set()  # streams that were read to their end
        self.read_whole: set[StreamId] = set()  # those that were in this sync, in the present generation
        # Of this sync:
        self.refusals = 0  # appends that the relay refused
        self.claimed: dict[int, tuple[StreamId, int, bytes]] = {}  # outbox items it says it took: length and chain
        self.reread: set[StreamId] = set()  # streams that were read whole
        self.tried_locks = False  # of before, where every key of now was refused
        self.astray: dict[StreamId, Shown] = {}  # streams that are being read whole
        self.relay_time: int | None = None  # seconds, by its newest answer
        self.tried_earlier = False  # older keys, on a relay that may have been put back
        self.unfollowed: dict[StreamId, Position] = {}  # parts whose shown log begins with an old snapshot: its end
        self.gone: set[StreamId] = (
            set()
        )  # parts that were not there and have not been compared since (not of this sync only)
        for room, epoch, secret in store.room_secrets(row.case):
            self.ring.add(room, epoch, RoomSecret(secret))
        packed = store.fact(row.case, "unconfirmed")
        if packed is not None:
            for room, epoch, secret, sender in msgspec.msgpack.decode(packed):
                self.unconfirmed.setdefault((room, epoch), []).append((secret, sender))
        # The charter as it was kept: for what only reads (``seen``), until anything else asks for it.
        self._kept = load_charter(self)
        self._kept_at: Chain | None = None if self._kept is None else self.position(self.charter_stream).chain
        if self._kept is None:
            self.fold_charter()

    # --- who and where

    @cached_property
    def keys(self) -> DeviceKeys:
        # Grown when something is signed or a box opened: of a lattice that takes a moment.
        return DeviceKeys.from_seed(self.row.seed)

    @property
    def charter(self) -> Charter | None:
        """As its records say it, with every signature checked. Whoever decides, writes or sends asks here."""
        self._stand()
        return self._charter

    @property
    def entries(self) -> list[Entry]:
        self._stand()
        return self._entries

    def seen(self) -> Charter | None:
        """For what only reads: as it was kept, where its records were not folded in this session yet."""
        return self._charter if self._kept is None else self._kept

    def _stand(self) -> None:
        """Fold the records of the charter: from here on that stands in the place of what was kept."""
        if self._kept is not None:
            shown, self._kept = self._kept, None
            try:
                self.fold_charter()
            except BaseException:
                self._kept = shown
                raise
            if self._charter != shown:
                self._kept_at = None  # kept by a program that folded otherwise, perhaps: then anew after the next sync

    def keep_charter(self) -> None:
        """After a sync: where there is nothing to wait for, and nothing passed over."""
        if self._kept is not None:
            return
        at = self.position(self.charter_stream)
        plain = len(self._entries) == at.length == self.folded and not self.skipped
        if self._charter is not None and plain and self._kept_at != at.chain:
            keep_charter(self, self._charter, at)
            self._kept_at = at.chain

    @property
    def case(self) -> CaseId:
        return self.row.case

    @property
    def charter_stream(self) -> StreamId:
        return StreamId(self.row.case)

    def known(self) -> Charter:
        """The charter. Raises ``Misuse("not_yet")`` while nobody has let this device in."""
        if self.charter is None:
            raise Misuse("not_yet", "nobody of the circle has let this device in yet; sync again later")
        return self.charter

    def me(self) -> PersonId:
        if self.row.person is None:
            raise Misuse("not_yet", "nobody of the circle has let this device in yet; sync again later")
        return self.row.person

    def device(self) -> DeviceId:
        if self.row.device is None:
            raise AssertionError("a case without a device id")
        return self.row.device

    def put_row(self, **changes: Any) -> None:
        self.row = replace(self.row, **changes)
        self.store.put_case(self.row)

    def position(self, stream: StreamId) -> Position:
        return self.store.position(self.case, stream) or Position.start(stream)

    def alarm(self, code: str, about: str) -> None:
        self.store.put_alarm(self.case, Alarm(code, about, self.around.clock()))

    # --- secrets

    def room_secret(self, room: str) -> tuple[int, bytes] | None:
        """The present secret of a room, where this device holds it."""
        if self.charter is None or room not in self.charter.rooms:
            return self.ring.newest(room)
        epoch = self.charter.rooms[room].epoch
        secret = self.ring.secret(room, epoch)
        return None if secret is None else (epoch, secret)

    def secrets(self, stream: StreamId) -> StreamSecrets:
        """What this device can do with a stream of the case now."""
        if stream == self.row.keys_stream:
            found = StreamSecrets(stream, read=self.row.keys_secret)
            return secrets_from(found, (None, EVERYONE, OWNERS), self.room_secret)
        rooms = self.known().stream_rooms(stream)
        names = (rooms.read, rooms.write, rooms.manage)
        held = tuple(None if room is None else self.room_secret(room) for room in names)
        last = self._grown.get(stream)
        if last is not None and last[0] == held:
            return last[1]
        found = secrets_from(StreamSecrets(stream), names, self.room_secret)
        self._grown[stream] = (held, found)
        return found

    def open_record(self, stream: StreamId, room: str, record: bytes) -> bytes:
        """Open a record of any epoch of its reading room. Raises ``CryptoError``."""
        epoch = record_epoch(record)
        # Without the secret the error is that of a wrong key: which of the two it was helps nobody but an attacker.
        secret = self.ring.secret(room, epoch)
        last = self._grown.get(stream)
        if last is not None and secret is not None and last[0][0] == (epoch, secret):
            return last[1].open(record)  # of the present epoch it was grown before
        read = capability.read_secret(secret or RoomSecret(bytes(32)), stream)
        return StreamSecrets(stream, read=read, read_epoch=epoch).open(record)

    def derived(self, name: str, room: str, context: bytes, epoch: int | None = None) -> tuple[int, bytes]:
        """Epoch and a secret derived from a room's secret. Raises ``Misuse`` where the room is not ours."""
        held = self.room_secret(room)
        if epoch is not None:
            secret = self.ring.secret(room, epoch)
            held = None if secret is None else (epoch, secret)
        if held is None:
            raise Misuse("not_permitted", "this device does not hold the keys for that")
        return held[0], derive(held[1], name, context)

    # --- the charter

    def told(self) -> list[tuple[int, bytes]]:
        """Secrets of *everyone* that only a keybag told of. Any of them may be a lie, and lies can name any epoch: so
        those of the lowest come first, which are the next ones."""
        found = [
            (epoch, value[0])
            for (room, epoch), values in self.unconfirmed.items()
            for value in values
            if room == EVERYONE
        ]
        return sorted(found)

    def room_secret_of_everyone(self) -> tuple[int, bytes] | None:
        """The newest that the charter confirmed, with its epoch."""
        return self.ring.newest(EVERYONE)

    def charter_secrets(self) -> dict[int, list[bytes]]:
        """Secrets of *everyone* by epoch: the confirmed one, else all that keybags told of."""
        found: dict[int, list[bytes]] = {}
        for epoch, secret in self.told():
            found.setdefault(epoch, []).append(secret)
        found.update({epoch: [secret] for room, epoch, secret in self.ring if room == EVERYONE})
        return found

    def fold_charter(self) -> bool:
        """Fold what the store has and we have not. Gives whether the charter changed.

        A record that nothing here opens may be a turned lock whose key has not come, or one line of noise. It is waited
        for, unless a later record is the next entry: then its author, who has the keys, passed over it too.
        """
        self._stand()
        changed = self._refold_for_late_keys()
        records = self.store.records(self.case, self.charter_stream, self.folded)
        if not records:
            return changed
        payloads = self.open_charter(records)
        unopened: dict[int, int] = {}
        for placed in records:
            payload = payloads.get(placed.index)
            if payload is None:
                unopened[placed.index] = record_epoch(placed.record)
                continue
            before = self.store.chain_at(self.case, self.charter_stream, placed.index - 1)
            if before is None:
                raise AssertionError("a charter record without the chain before it")
            try:
                self._charter = fold(self._charter, payload, self.case, before, self.around.schema)
                self._entries.append(parse_entry(payload))
                changed = True
            except Inadmissible as error:
                if error.code == "future_version":
                    self.alarm("future_version", "charter")
                    break
                if unopened:
                    continue  # judged again when what lies before it can be read
                self.alarm(error.code, self._refused_entry(error.code, payload, placed.index))
            else:
                self.skipped.update(unopened)
                for index in unopened:
                    self.alarm("unopenable", f"charter record {index}")
                unopened = {}
            self.folded = placed.index
        if changed:
            self._confirm()
        if self.folded == records[-1].index:
            self.store.drop_alarm(self.case, "future_version", "charter")  # this program knows it now
        return changed

    def _refused_entry(self, code: str, payload: bytes, index: int) -> str:
        """What the alarm is about. An entry of one who belongs, and that does not follow, never comes from honest
        devices: two of them see different charters. That is told by the device's name."""
        by = signed_by_member(self._charter, payload) if code == "wrong_previous" else None
        return f"charter record {index}" if by is None else f"charter of device {by.hex()}"

    def forget_charter(self) -> None:
        """Fold from the beginning next time."""
        self._charter, self._entries, self.folded, self.skipped, self._kept = None, [], 0, {}, None

    def _refold_for_late_keys(self) -> bool:
        late = [index for index, epoch in self.skipped.items() if epoch in self.charter_secrets()]
        if not late:
            return False
        payloads = self.open_charter([p for p in self.store.records(self.case, self.charter_stream) if p.index in late])
        if not any(payloads.values()):
            return False
        self.forget_charter()
        return True

    def open_charter(self, records: Sequence[Placed], others: dict[int, list[bytes]] | None = None) -> dict[int, bytes]:
        """Open charter records, walking the room links back from the newest secret (charter.md). What is noise is empty,
        what may open once more keys come is left out. ``others``: the secrets for another charter than ours."""
        known = None if self.charter is None or others is not None else self.charter.rooms[EVERYONE]

        def is_known(epoch: int) -> bool:
            return known is not None and (epoch < known.epoch or self.ring.secret(EVERYONE, epoch) is not None)

        secrets = self.charter_secrets() if others is None else others
        return reading.open_charter(self.case, records, secrets, is_known)

    def _confirm(self) -> None:
        """Check secrets from keybags against the charter's commitments; use the good, name the sender of the bad."""
        charter = self.known()
        if not self._is_the_pinned_one(charter):
            return
        before = {(room, epoch) for room, epoch, _ in self.ring}
        for (room, epoch), values in list(self.unconfirmed.items()):
            state = charter.rooms.get(room)
            if state is None or epoch > state.epoch:
                continue  # the entry that commits to it has not come yet
            for secret, _ in values:
                # Who sent a wrong one is named by `taking.check_keys`, which looks at the signature.
                with contextlib.suppress(Inadmissible):
                    self.ring.check(charter, room, epoch, RoomSecret(secret))
                    self.ring.add(room, epoch, RoomSecret(secret))
            del self.unconfirmed[room, epoch]
        self.ring.open_history(charter)
        fresh = [(room, epoch, secret) for room, epoch, secret in self.ring if (room, epoch) not in before]
        with self.store.step():
            self.store.put_room_secrets(self.case, fresh)
            self.remember_unconfirmed()
            device = charter.devices.get(self.device())
            if device is None:
                return
            if self.row.state == "entering" or self.row.person != device.person or self.row.title != charter.title:
                self.put_row(person=device.person, title=charter.title, state="open", link=None)
            if not device.here:
                self.put_row(state="removed")
            elif charter.closed_n is not None:
                self.put_row(state="closed")

    def _is_the_pinned_one(self, charter: Charter) -> bool:
        """Whether this is the charter that the link and the welcome pinned. Else somebody who holds the link, and the
        relay with them, shows this device a case of their own under the family's name."""
        packed = self.store.fact(self.case, "pinned")
        if packed is None:
            return True
        pins = [(n, head) for n, head in msgspec.msgpack.decode(packed) if n]
        if any(n <= charter.n and charter.heads.get(n) != head for n, head in pins):
            self.alarm("wrong_pin", "charter")
            self.forget_charter()
            return False
        return self.row.state != "entering" or all(n <= charter.n for n, _ in pins)

    def unchecked_keys(self) -> list[int]:
        """Records of keys whose author was not checked yet, by index."""
        packed = self.store.fact(self.case, "keys to check")
        return [] if packed is None else list(msgspec.msgpack.decode(packed))

    def remember_unchecked_keys(self, waiting: Sequence[int]) -> None:
        self.store.put_fact(self.case, "keys to check", msgspec.msgpack.encode(waiting) if waiting else None)

    # --- what the relay says it did

    def begin_sync(self) -> None:
        self.refusals, self.tried_locks, self.tried_earlier = 0, False, False
        self.claimed, self.reread, self.astray, self.unfollowed = {}, set(), {}, {}
        self.read_whole.clear()

    def place_of(self, record: bytes) -> Chain | None:
        """The chain before a charter record that is given back: at another place it is worth nothing."""
        for placed in self.store.records(self.case, self.charter_stream):
            if placed.record == record:
                return self.store.chain_at(self.case, self.charter_stream, placed.index - 1)
        return None

    def arrived(self, stream: StreamId, records: set[bytes]) -> None:
        """An own record is sent when it came back, not when the relay says that it took it."""
        for item in self.store.outbox(self.case):
            if item.stream == stream and item.record is not None and bytes(item.record) in records:
                self.store.drop_outbox(item.number)
                self.claimed.pop(item.number, None)

    def founded(self) -> None:
        """The charter could be read from the relay, so what began it is there."""
        for item in self.store.outbox(self.case):
            if item.stream is None:
                self.store.drop_outbox(item.number)

    def remember_unconfirmed(self) -> None:
        rows = [(room, epoch, *value) for (room, epoch), values in self.unconfirmed.items() for value in values]
        self.store.put_fact(self.case, "unconfirmed", msgspec.msgpack.encode(rows) if rows else None)

    def locked_out(self) -> None:
        """The relay refuses every key this device holds for the charter, and no new key came: it was put out.

        Or the relay lies; so every later sync asks again, and nothing that lies here is deleted.
        """
        since = self.store.fact(self.case, "unread since")
        if since is not None and self.around.clock() < int.from_bytes(since, "big") + LOCKS_OF_ANOTHER_DAY:
            self.alarm("not_allowed", "charter")
            return
        if self.charter is not None and self.row.state == "open":
            self.put_row(state="removed")
            self.store.drop_alarm(self.case, "not_allowed", "charter")
            self.alarm("removed", "charter")

    def let_in_again(self) -> None:
        """The charter could be read after all."""
        if self.store.fact(self.case, "unread since") is not None:
            self.store.put_fact(self.case, "unread since", None)
            self.store.drop_alarm(self.case, "not_allowed", "charter")
        device = None if self.charter is None else self.charter.devices.get(self.device())
        if self.row.state == "removed" and device is not None and device.here:
            self.put_row(state="open")
            self.store.drop_alarm(self.case, "not_allowed", "charter")
            self.store.drop_alarm(self.case, "removed", "charter")


def secrets_from(
    found: StreamSecrets,
    rooms: tuple[str | None, str | None, str | None],
    secret_of: Callable[[str], tuple[int, bytes] | None],
) -> StreamSecrets:
    """Fill in what the three rooms of a stream give to whoever holds their secrets."""
    stream = found.stream
    read, write, manage = (None if room is None else secret_of(room) for room in rooms)
    if read is not None:
        found = replace(found, read=capability.read_secret(read[1], stream), read_epoch=read[0])
    if write is not None:
        found = replace(found, write=capability.write_secret(write[1], stream), write_epoch=write[0])
    if manage is not None:
        found = replace(found, manage=capability.manage_secret(manage[1], stream), manage_epoch=manage[0])
    return found
