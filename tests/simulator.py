"""Many devices, an in-process relay with the real rules, and a liar between them. No network, no clock, seeded chance.

The relay decides with `eigenkring_server.relay`; every frame is really encoded and decoded. The liar sees what a lying
relay sees (frames, and all that was ever stored) and holds nothing of the family. Devices are the library's own, over
an SQLite store in memory that can be copied, put back, and stopped at any write.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from eigenkring import wire
from eigenkring.case import Case
from eigenkring.charter.entry import Keys, device_id
from eigenkring.errors import EigenkringError, Ended, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import CaseId, DeviceId, StreamId
from eigenkring.library import Device
from eigenkring.part.fold import PartFold
from eigenkring.schema import Schema, load_schema
from eigenkring.session.packing import pack
from eigenkring.session.parts import CaseSession
from eigenkring.sqlite_store import SqliteStore
from eigenkring.store import StoredCase
from eigenkring.stream import StreamSecrets
from eigenkring.sync import SyncReport, round_trip
from eigenkring_crypto import chain, kdf, sign
from eigenkring_crypto.device import DeviceKeys
from eigenkring_server import relay as rules
from eigenkring_server.relay import Quotas, Stream
from relay.plain_store import PlainStore

ADDRESS = "http://relay.example"
NOON = 1_790_000_000
# Enough kinds to have every sort of room, few enough to start a case in no time.
KINDS = ("question", "plan", "private", "voice", "contacts", "diary", "house", "access")


def sign_alone(session: CaseSession) -> None:
    """As if what waits were sent on its own: later words do not join it."""
    pack(session)
    session.unsent.clear()


@functools.cache
def small_schema() -> Schema:
    whole = load_schema()
    return Schema({kind: rule for kind, rule in whole.kinds.items() if kind in KINDS})


def _check_once() -> None:
    """All phones are in one process, check the same signatures, derive the same keys and grow the same devices, in every
    world anew. Each is done once, truly: a signature that does not hold raises, and is checked again every time."""
    honest = sign.Ed25519PublicKey

    class Remembering:
        from_public_bytes = staticmethod(lambda public: Remembering(public))

        def __init__(self, public: bytes) -> None:
            self.public = public

        def verify(self, signature: bytes, message: bytes) -> None:
            holds(self.public, signature, message)

    @functools.lru_cache(maxsize=100_000)
    def holds(public: bytes, signature: bytes, message: bytes) -> None:
        honest.from_public_bytes(public).verify(signature, message)

    sign.Ed25519PublicKey = Remembering  # type: ignore[assignment, misc]
    sign.check_point = functools.lru_cache(maxsize=100_000)(sign.check_point)
    kdf.hkdf = functools.lru_cache(maxsize=100_000)(kdf.hkdf)
    DeviceKeys.from_seed = functools.lru_cache(maxsize=10_000)(DeviceKeys.from_seed)  # type: ignore[assignment, method-assign]


_check_once()


# --- the relay


class HonestRelay:
    """The relay's rules over dictionaries; frames in, frames out."""

    def __init__(self, clock: Callable[[], int], quotas: Quotas | None = None) -> None:
        self.store = PlainStore(quotas or Quotas())
        self.clock = clock
        self.generation = 1
        self.frames = 0
        self.bytes_in = 0
        self.largest = 0

    def answer(self, data: bytes) -> bytes:
        self.frames += 1
        self.bytes_in += len(data)
        self.largest = max(self.largest, len(data))
        try:
            request = wire.decode_request(data)
        except Refused as error:
            return wire.encode(wire.Failure(wire.id_of(data), error.code))  # type: ignore[arg-type]
        outcome = self.store.commit([request], self.clock())[0]
        if isinstance(outcome, Exception):
            raise outcome
        return wire.encode(wire.Reply(request.id, self.generation, outcome.results))

    def fork(self) -> HonestRelay:
        """The same past, another future."""
        other = HonestRelay(self.clock)
        other.store = copy.deepcopy(self.store)
        other.generation = self.generation
        return other

    # What an operator can do with the files

    def records(self, stream: bytes) -> list[bytes]:
        kept = self.store._records.get(stream, {})
        return [kept[index][0] for index in sorted(kept)]

    def known(self, stream: bytes) -> Stream:
        found = self.store._streams[stream]
        assert isinstance(found, Stream)
        return found

    def rewrite(self, stream: bytes, records: Sequence[bytes]) -> None:
        """Another past for one stream, consistent in itself: the relay can compute every chain."""
        known = self.known(stream)
        running, kept = known.base_chain, {}
        for index, record in enumerate(records, known.base + 1):
            running = chain.extend(running, record)
            kept[index] = (record, rules.chain.digest(record), running)
        self.store._records[stream] = kept
        self.store._streams[stream] = msgspec.structs.replace(
            known, length=known.base + len(records), chain=running, bytes_kept=sum(map(len, records))
        )

    def put(self, stream: bytes, record: bytes) -> None:
        """Append, whatever the locks say: a relay that helps somebody."""
        self.rewrite(stream, [*self.records(stream), record])


@contextmanager
def locks_ignored() -> Iterator[None]:
    """The relay takes every capability: what it should refuse, it accepts."""
    before = rules.chain.matches
    rules.chain.matches = lambda *_: True
    try:
        yield
    finally:
        rules.chain.matches = before


# --- the liar

Lie = Callable[["Network", str, bytes], bytes]


class Network:
    """Between devices and relay. ``lies`` by device name (or ``*``); ``worlds``: which relay a device is shown."""

    def __init__(self, relay: HonestRelay, chance: random.Random) -> None:
        self.relay = relay
        self.chance = chance
        self.lies: dict[str, Lie] = {}
        self.worlds: dict[str, HonestRelay] = {}
        self.offline: set[str] = set()
        self.kept: dict[str, list[bytes]] = {}
        self.told = 0

    def honest(self) -> None:
        """From now on nothing but the truth, to everybody."""
        self.lies.clear()
        self.worlds.clear()
        self.offline.clear()

    def truth(self, who: str, data: bytes) -> bytes:
        return self.worlds.get(who, self.relay).answer(data)

    def carry(self, who: str, data: bytes) -> bytes:
        if who in self.offline:
            raise Unreachable("offline", "no network here")
        lie = self.lies.get(who) or self.lies.get("*")
        if lie is None:
            answer = self.truth(who, data)
        else:
            self.told += 1
            answer = lie(self, who, data)
        self.kept.setdefault(who, []).append(answer)
        del self.kept[who][:-20]
        return answer


class Wire:
    """A transport without a network."""

    def __init__(self, network: Network, who: str) -> None:
        self.network = network
        self.who = who
        self._id = 0

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        self._id += 1
        request = wire.Request(self._id, list(ops), atomic)
        return wire.decode_reply(self.network.carry(self.who, wire.encode(request)), request)

    def close(self) -> None:
        return None


def changed(
    network: Network,
    who: str,
    data: bytes,
    change: Callable[[wire.Operation, wire.Result], wire.Result],
) -> bytes:
    """The true answer with some results changed."""
    request = wire.decode_request(data)
    answer = network.truth(who, data)
    try:
        reply = wire.decode_reply(answer, request)
    except (Refused, RelayMisbehaved):
        return answer
    results = [change(op, result) for op, result in zip(request.ops, reply.results, strict=True)]
    return wire.encode(wire.Reply(reply.id, reply.generation, results))


def _batches(change: Callable[[Network, wire.Batch], wire.Result]) -> Lie:
    """A lie about what was read, told about every stream that has something new to tell."""

    def lie(network: Network, who: str, data: bytes) -> bytes:
        def one(_: wire.Operation, result: wire.Result) -> wire.Result:
            return change(network, result) if isinstance(result, wire.Batch) else result

        return changed(network, who, data, one)

    return lie


def with_records(batch: wire.Batch, records: list[bytes], *, same_head: bool = False) -> wire.Batch:
    """Other records at the same place, with the chain they lead to (or the true head, which they do not)."""
    if same_head or not batch.records:
        return msgspec.structs.replace(batch, records=records)
    return msgspec.structs.replace(batch, records=records, length=batch.first - 1 + len(records), chain=bytes(32))


def drop(_: Network, batch: wire.Batch) -> wire.Result:
    return with_records(batch, batch.records[1:], same_head=True)


def truncate(_: Network, batch: wire.Batch) -> wire.Result:
    return msgspec.structs.replace(batch, records=batch.records[:-1])


def reorder(network: Network, batch: wire.Batch) -> wire.Result:
    records = list(batch.records)
    network.chance.shuffle(records)
    return with_records(batch, records, same_head=True)


def twice(_: Network, batch: wire.Batch) -> wire.Result:
    return with_records(batch, [*batch.records, *batch.records[-1:]])


def jump(network: Network, batch: wire.Batch) -> wire.Result:
    """'All you know was replaced by something that I do not show': nobody signed that."""
    base = batch.length + network.chance.choice((1, 3, 10**6, 2**63 + 7))
    there = network.chance.randbytes(32)
    return wire.Batch(base, there, base, there, base + 1, [], False)


def jump_with_noise(network: Network, batch: wire.Batch) -> wire.Result:
    base = batch.length + 2
    there, noise = network.chance.randbytes(32), network.chance.randbytes(400)
    return wire.Batch(base, there, base + 1, chain.extend(there, noise), base + 1, [noise], False)


def injected(network: Network, batch: wire.Batch) -> wire.Result:
    """One more record than there is, made by the relay, in a log that is consistent for this one reader."""
    noise = network.chance.randbytes(400)
    if batch.more:
        return batch
    longer = chain.extend(batch.chain, noise)
    return msgspec.structs.replace(batch, records=[*batch.records, noise], length=batch.length + 1, chain=longer)


def shorter(_: Network, batch: wire.Batch) -> wire.Result:
    return msgspec.structs.replace(batch, length=0, base=0, records=[], first=1, more=False)


def more_without_end(_: Network, batch: wire.Batch) -> wire.Result:
    return msgspec.structs.replace(batch, records=[], more=True, length=batch.length + 5)


def other_head(network: Network, batch: wire.Batch) -> wire.Result:
    return msgspec.structs.replace(batch, chain=network.chance.randbytes(32))


def swapped(network: Network, who: str, data: bytes) -> bytes:
    """The records of one stream as those of another, with chains that fit."""

    def one(op: wire.Operation, result: wire.Result) -> wire.Result:
        if not isinstance(result, wire.Batch) or result.more:
            return result
        world = network.worlds.get(who, network.relay)
        others = [
            records for stream in world.store._records if stream != op.stream for records in world.records(stream)
        ]
        records = others[-2:]
        running = result.chain
        for record in records:
            running = chain.extend(running, record)
        longer = result.length + len(records)
        return msgspec.structs.replace(result, records=[*result.records, *records], length=longer, chain=running)

    return changed(network, who, data, one)


def flipped(network: Network, who: str, data: bytes) -> bytes:
    answer = bytearray(network.truth(who, data))
    answer[network.chance.randrange(len(answer))] ^= 1 << network.chance.randrange(8)
    return bytes(answer)


def flipped_in_record(network: Network, batch: wire.Batch) -> wire.Result:
    if not batch.records:
        return batch
    records = [bytearray(record) for record in batch.records]
    record = network.chance.choice(records)
    record[network.chance.randrange(len(record))] ^= 1 << network.chance.randrange(8)
    return with_records(batch, [bytes(record) for record in records], same_head=True)


def garbage(network: Network, who: str, data: bytes) -> bytes:
    return network.chance.randbytes(network.chance.randrange(1, 300))


def replayed(network: Network, who: str, data: bytes) -> bytes:
    """An older answer under the present number."""
    old = network.kept.get(who)
    if not old:
        return network.truth(who, data)
    try:
        frame = msgspec.msgpack.decode(network.chance.choice(old))
        return msgspec.msgpack.encode({**frame, "id": wire.id_of(data)})
    except (msgspec.DecodeError, TypeError):
        return network.chance.choice(old)


def late(network: Network, who: str, data: bytes) -> bytes:
    """It is done, and the answer does not come."""
    network.truth(who, data)
    raise Unreachable("timed_out", "no answer in time")


def hanging(network: Network, who: str, data: bytes) -> bytes:
    raise Unreachable("timed_out", "no answer in time")


def new_generation(network: Network, who: str, data: bytes) -> bytes:
    return _with_generation(network, who, data, network.chance.choice((2, 9, 2**40, 2**64 - 1)))


def old_generation(network: Network, who: str, data: bytes) -> bytes:
    return _with_generation(network, who, data, 0)


def _with_generation(network: Network, who: str, data: bytes, generation: int) -> bytes:
    request = wire.decode_request(data)
    reply = wire.decode_reply(network.truth(who, data), request)
    return wire.encode(wire.Reply(reply.id, generation, reply.results))


def refusing(code: str) -> Lie:
    """Nothing is done, and every operation answered with this code."""

    def lie(network: Network, who: str, data: bytes) -> bytes:
        request = wire.decode_request(data)
        results: list[wire.Result] = [wire.Failed(code) for _ in request.ops]  # type: ignore[arg-type]
        return wire.encode(wire.Reply(request.id, network.relay.generation, results))

    return lie


def refusing_frames(code: str) -> Lie:
    def lie(network: Network, who: str, data: bytes) -> bytes:
        return wire.encode(wire.Failure(wire.id_of(data), code))  # type: ignore[arg-type]

    return lie


def pretending(network: Network, who: str, data: bytes) -> bytes:
    """Says that it took what was appended, and throws it away."""
    request = wire.decode_request(data)
    quiet = [op for op in request.ops if isinstance(op, wire.Read)]
    read = wire.decode_reply(
        network.truth(who, wire.encode(wire.Request(request.id, quiet))), wire.Request(request.id, quiet)
    )
    reads = iter(read.results)
    results: list[wire.Result] = []
    for op in request.ops:
        match op:
            case wire.Read():
                results.append(next(reads))
            case wire.Append():
                results.append(wire.Appended(10**6, network.chance.randbytes(32)))
            case wire.Open():
                results.append(wire.Opened(0, chain.first(op.stream)))
            case wire.Rekey():
                results.append(wire.Rekeyed(0, bytes(32)))
            case wire.Replace():
                results.append(wire.Replaced(0, 1, bytes(32)))
            case _:
                results.append(wire.Closed())
    return wire.encode(wire.Reply(request.id, read.generation, results))


def old_receipt(network: Network, who: str, data: bytes) -> bytes:
    """Throws away what was appended, and says that it lies where another record lies: a place the device knows."""
    request = wire.decode_request(data)
    if request.atomic:
        return network.truth(who, data)
    world = network.worlds.get(who, network.relay)
    rest = [op for op in request.ops if not isinstance(op, wire.Append)]
    asked = wire.Request(request.id, rest)
    reply = wire.decode_reply(network.truth(who, wire.encode(asked)), asked)
    others = iter(reply.results)
    results: list[wire.Result] = []
    for op in request.ops:
        if isinstance(op, wire.Append):
            known = world.known(op.stream)
            results.append(wire.Appended(known.length, known.chain))
        else:
            results.append(next(others))
    return wire.encode(wire.Reply(reply.id, reply.generation, results))


def lax(network: Network, who: str, data: bytes) -> bytes:
    """Accepts what it should refuse."""
    with locks_ignored():
        return network.truth(who, data)


def by_chance(lie: Lie, often: float = 0.5) -> Lie:
    def sometimes(network: Network, who: str, data: bytes) -> bytes:
        return lie(network, who, data) if network.chance.random() < often else network.truth(who, data)

    return sometimes


BATCH_LIES = {
    "drop": drop,
    "truncate": truncate,
    "reorder": reorder,
    "twice": twice,
    "jump": jump,
    "jump_with_noise": jump_with_noise,
    "injected": injected,
    "shorter": shorter,
    "more_without_end": more_without_end,
    "other_head": other_head,
    "flipped_in_record": flipped_in_record,
}
LIES: dict[str, Lie] = {
    **{name: _batches(change) for name, change in BATCH_LIES.items()},
    "swapped": swapped,
    "flipped": flipped,
    "garbage": garbage,
    "replayed": replayed,
    "late": late,
    "hanging": hanging,
    "new_generation": new_generation,
    "old_generation": old_generation,
    "pretending": pretending,
    "old_receipt": old_receipt,
    "lax": lax,
    **{f"refusing_{c}": refusing(c) for c in ("not_allowed", "closed", "expired", "no_stream", "conflict", "quota")},
    **{f"failing_{code}": refusing_frames(code) for code in ("busy", "bad_frame", "not_admitted")},
}


# --- devices


class Crash(BaseException):
    """The battery is empty. No `except Exception` catches it, as no program catches that."""


class _Counted:
    """A connection that stops at its nth write. What was not committed is gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.writes = 0
        self.stop_at: int | None = None

    def _count(self, statement: str) -> None:
        if statement.startswith(("SELECT", "PRAGMA", "ROLLBACK")):
            return
        self.writes += 1
        if self.stop_at is not None and self.writes >= self.stop_at:
            raise Crash

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._count(statement)
        return self.connection.execute(statement, *values)

    def executemany(self, statement: str, values: Any) -> sqlite3.Cursor:
        self._count(statement)
        return self.connection.executemany(statement, values)

    def close(self) -> None:
        return None


class MemoryStore(SqliteStore):
    """The real store on a database in memory: it can be copied and put back, and it can stop at any write."""

    def __init__(self, image: bytes | None = None, connection: sqlite3.Connection | None = None) -> None:
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.deserialize(self.empty() if image is None else image)
        self._counted = _Counted(connection)
        self._sql = self._counted  # type: ignore[assignment]
        self._depth = 0
        self._lock = -1

    @classmethod
    @functools.cache
    def empty(cls) -> bytes:
        made = cls.__new__(cls)
        made._sql = sqlite3.connect(":memory:", isolation_level=None)
        made._create()
        return made._sql.serialize()

    def image(self) -> bytes:
        return self._counted.connection.serialize()

    def close(self) -> None:
        return None

    def tidy(self) -> None:
        return None


@dataclass
class Phone:
    """One device of one person, and what can happen to it."""

    world: World
    name: str
    store: MemoryStore
    device: Device = field(init=False)
    case_id: str = ""
    grant: str = ""
    alarms_seen: set[str] = field(default_factory=set)
    received: int = 0

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        world = self.world
        self.device = Device(
            self.store, lambda _: Wire(world.network, self.name), clock=world.clock, random=world.random
        )
        self.device.around = msgspec.structs.replace(self.device.around, schema=small_schema())

    # --- life

    def restart(self) -> None:
        connection = self.store._counted.connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self.store = MemoryStore(connection=connection)
        self._open()

    def crash_at(self, write: int, what: Callable[[], object]) -> bool:
        """Do something and stop at its nth write; then start again. Gives whether it came to that."""
        self.store._counted.writes, self.store._counted.stop_at = 0, write
        try:
            with contextlib.suppress(EigenkringError):
                what()
            return False
        except Crash:
            return True
        finally:
            self.restart()

    def backup(self) -> bytes:
        return self.store.image()

    def put_back(self, image: bytes) -> None:
        self.store = MemoryStore(image)
        self._open()

    # --- use

    @property
    def case(self) -> Case:
        return self.device.case(self.case_id)

    @property
    def session(self) -> CaseSession:
        return self.case.session

    @property
    def person(self) -> str:
        return self.session.me().hex()

    def sync(self, times: int = 1) -> list[str]:
        """As a person's app does: being offline is normal. Gives the codes of the alarms that stand."""
        for _ in range(times):
            with contextlib.suppress(Unreachable, Ended):
                self.received += self.device.sync().received
        return self.codes()

    def sync_only_reading(self) -> None:
        """Take in what is there, and do nothing for the others."""
        round_trip(self.session, self.case.transport, SyncReport())

    def codes(self) -> list[str]:
        about = [CaseId(bytes.fromhex(x)) for x in (self.case_id, self.grant) if x]
        found = [alarm.code for one in about for alarm in self.store.alarms(one)]
        self.alarms_seen |= set(found)
        return found

    def alarms(self) -> list[tuple[str, str]]:
        return [(alarm.code, alarm.about) for alarm in self.store.alarms(CaseId(bytes.fromhex(self.case_id)))]

    def here(self) -> bool:
        rows = [row for row in self.store.cases() if row.case.hex() == self.case_id]
        return bool(rows) and rows[0].state == "open"

    def add(self, text: str, part: str = "plan", collection: str = "agreements", name: str = "what") -> str:
        return self.case.add(part, collection, {name: text})

    def texts(self, part: str = "plan", collection: str = "agreements", name: str = "what") -> list[str]:
        return sorted(item.get(name, "") for item in self.case.show(part).get(collection, {}).values())

    def documents(self) -> dict[str, Any]:
        """All that this device may read by the charter it knows, and reads."""
        charter = self.session.known()
        return {
            name: self.session.read(self.session.parts[part.stream])
            for name, part in charter.parts.items()
            if part.stream in self.session.parts and charter.may_read(self.session.me(), name)
        }

    def fold(self, part: str = "plan") -> PartFold:
        return self.session.part(self.case.full_name(part)).fold

    def stream(self, part: str = "plan") -> StreamId:
        return self.session.known().parts[self.case.full_name(part)].stream

    def secrets(self, stream: StreamId) -> StreamSecrets:
        return self.session.secrets(stream)

    def device_key(self) -> DeviceId:
        return self.session.device()


class World:
    """A family, its relay, and chance with a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.now = NOON
        self.network = Network(HonestRelay(self.clock), random.Random(seed + 1))
        self.phones: dict[str, Phone] = {}
        self.case_id = ""

    def clock(self) -> int:
        return self.now

    def random(self, size: int) -> bytes:
        return self.chance.randbytes(size)

    @property
    def relay(self) -> HonestRelay:
        return self.network.relay

    def phone(self, name: str) -> Phone:
        made = Phone(self, name, MemoryStore(), case_id=self.case_id)
        self.phones[name] = made
        return made

    def start(self, name: str = "nora") -> Phone:
        phone = self.phone(name)
        phone.device._cases.clear()
        self.case_id = phone.case_id = phone.device.start("Thuis", ADDRESS, name.title()).id.hex()
        phone.sync()
        return phone

    def join(self, name: str, role: str = "member", by: str = "nora") -> Phone:
        """Invite, knock, let in, enter, and found the own parts."""
        link = self.phones[by].case.invite(role, name.title())
        phone = self.phone(name)
        phone.device.join(link, name.title())
        self.phones[by].sync()
        phone.sync(2)
        self.phones[by].sync()
        return phone

    def settle(self, rounds: int = 4, only: Sequence[str] | None = None) -> None:
        """Everybody syncs, in turn, until nothing moves any more."""
        phones = [phone for name, phone in self.phones.items() if only is None or name in only]
        before, still = self._moved(), 0
        for phone in phones * rounds:
            received = phone.received
            phone.sync()
            moved = self._moved()
            # Who has read something may answer it at the next sync.
            still = still + 1 if moved == before and phone.received == received else 0
            before = moved
            if still == len(phones):  # each has looked since anything moved
                return

    def lengths(self) -> list[tuple[bytes, int]]:
        """Of every stream that the relay has open."""
        streams = self.relay.store._streams.items()
        return sorted((stream, known.length) for stream, known in streams if isinstance(known, Stream))

    def _moved(self) -> tuple[object, list[tuple[bytes, int]]]:
        return self.relay.store.usage(), self.lengths()

    def fresh(self, name: str) -> Phone:
        """The same device with nothing but its seed and the way to the keys: it reads all from the beginning."""
        old = self.phones[name]
        row = next(row for row in old.store.cases() if row.case.hex() == self.case_id)
        store = MemoryStore()
        new = StoredCase(
            case=row.case,
            relay=row.relay,
            state="entering",
            seed=row.seed,
            incarnation=self.random(8),
            device=row.device,
            keys_stream=row.keys_stream,
            keys_secret=row.keys_secret,
        )
        store.put_case(new)
        phone = Phone(self, name, store, case_id=self.case_id)
        phone.sync(3)
        return phone

    def image(self) -> dict[str, Any]:
        """All of it, to begin again from (cheaper than starting a case each time)."""
        return {
            "relay": copy.deepcopy(self.relay.store),
            "phones": {name: phone.backup() for name, phone in self.phones.items()},
            "case": self.case_id,
        }

    @classmethod
    def of(cls, image: dict[str, Any], seed: int) -> World:
        world = cls(seed)
        world.case_id = image["case"]
        world.relay.store = copy.deepcopy(image["relay"])
        for name, store in image["phones"].items():
            world.phones[name] = Phone(world, name, MemoryStore(store), case_id=world.case_id)
        return world


@functools.cache
def family_image() -> dict[str, Any]:
    """Nora (owner), Fatima and Karim (members), Sam (child): everybody has what everybody has."""
    world = World(int(os.environ.get("EIGENKRING_SIM_SEED", "7")))
    world.start("nora")
    world.join("fatima")
    world.join("karim")
    world.join("sam", "child")
    world.phones["nora"].add("Oma belt op zondag")
    world.settle()
    return world.image()


def family(seed: int = 0) -> World:
    return World.of(family_image(), seed)


def keys_of(seed: bytes) -> DeviceKeys:
    return DeviceKeys.from_seed(seed)


def device_of(case: CaseId, keys: DeviceKeys) -> DeviceId:
    return device_id(case, Keys(keys.sign.public, keys.box.public))
