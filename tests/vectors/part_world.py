"""A part, its devices and its stream without a relay or a charter: for the vectors of the fold and its tests.

``PlainCharter`` answers what the fold asks from plain data, so that a vector needs no charter to be folded.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from eigenkring.crdt import Engine
from eigenkring.document import Intent, apply_intents, read
from eigenkring.part.author import actor_of, cut_line, make_edit_record
from eigenkring.part.fold import PartFold
from eigenkring.part.snapshot import make_snapshot
from eigenkring.part.verdict import Verdict
from eigenkring_crypto.chain import extend, first
from eigenkring_crypto.sign import SigningKey

ROOM = "owner+member"
MANAGE_ROOM = "owner"
DAY = 20_515  # 3 March 2026


def fixed(what: str, size: int = 32) -> bytes:
    """Bytes that look random and never change."""
    return hashlib.shake_256(f"eigenkring part {what}".encode()).digest(size)


STREAM = fixed("stream", 16)


class Rule(msgspec.Struct):
    type: str


class Items(msgspec.Struct):
    fields: dict[str, Rule]


class Kind(msgspec.Struct):
    collections: dict[str, Items]


SCHEMA_TYPES = {
    "agreements": {"what": "text", "who": "set", "day": "date", "hours": "number", "done": "boolean"},
    "topic": {"text": "text"},
}
KIND = Kind({name: Items({f: Rule(t) for f, t in fields.items()}) for name, fields in SCHEMA_TYPES.items()})


class PlainDevice(msgspec.Struct, frozen=True):
    sign: bytes


class PlainCut(msgspec.Struct, frozen=True):
    read_epoch: int
    write_epoch: int
    devices: frozenset[bytes]
    actors: Mapping[bytes, tuple[int, bytes]]


class PlainCharter(msgspec.Struct, frozen=True):
    """``epochs``: of the write room, from which entry on. ``wrote``: (device, epoch). The room that manages is never
    turned; ``managed``: the devices in it."""

    n: int
    heads: dict[bytes, int]
    devices: dict[Any, PlainDevice]
    epochs: list[tuple[int, int]]
    wrote: frozenset[tuple[bytes, int]]
    part_cuts: tuple[PlainCut, ...] = ()
    managed: frozenset[bytes] = frozenset()

    @property
    def cuts(self) -> dict[Any, tuple[PlainCut, ...]]:
        return {STREAM: self.part_cuts} if self.part_cuts else {}

    def head_index(self, head: bytes, /) -> int | None:
        return self.heads.get(head)

    def epoch_at(self, room: str, n: int, /) -> int | None:
        if room == MANAGE_ROOM:
            return 1
        return max((epoch for since, epoch in self.epochs if room == ROOM and since <= n), default=None)

    def wrote_in_epoch(self, device: bytes, room: str, epoch: int, /) -> bool:
        return (room == ROOM and (device, epoch) in self.wrote) or (room == MANAGE_ROOM and device in self.managed)

    def cut_for(self, stream: bytes, device: bytes, epoch: int, /) -> PlainCut | None:
        cuts = self.part_cuts if stream == STREAM else ()
        return next((cut for cut in cuts if device in cut.devices and epoch <= cut.write_epoch), None)

    def plain(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "heads": {head.hex(): n for head, n in self.heads.items()},
            "devices": {device.hex(): known.sign.hex() for device, known in self.devices.items()},
            "epochs": [list(pair) for pair in self.epochs],
            "wrote": sorted([device.hex(), epoch] for device, epoch in self.wrote),
            "managed": sorted(device.hex() for device in self.managed),
            "cuts": [
                {
                    "read_epoch": cut.read_epoch,
                    "write_epoch": cut.write_epoch,
                    "devices": sorted(device.hex() for device in cut.devices),
                    "actors": {tag.hex(): [seq, mark.hex()] for tag, (seq, mark) in cut.actors.items()},
                }
                for cut in self.part_cuts
            ],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PlainCharter:
        return cls(
            n=plain["n"],
            heads={bytes.fromhex(head): n for head, n in plain["heads"].items()},
            devices={bytes.fromhex(d): PlainDevice(bytes.fromhex(sign)) for d, sign in plain["devices"].items()},
            epochs=[(since, epoch) for since, epoch in plain["epochs"]],
            wrote=frozenset((bytes.fromhex(device), epoch) for device, epoch in plain["wrote"]),
            part_cuts=tuple(
                PlainCut(
                    cut["read_epoch"],
                    cut["write_epoch"],
                    frozenset(map(bytes.fromhex, cut["devices"])),
                    {bytes.fromhex(tag): (seq, bytes.fromhex(mark)) for tag, (seq, mark) in cut["actors"].items()},
                )
                for cut in plain["cuts"]
            ),
            managed=frozenset(map(bytes.fromhex, plain["managed"])),
        )


def charter(*names: str, n: int = 4, cuts: tuple[PlainCut, ...] = ()) -> PlainCharter:
    """These people write in epochs 1 and 2; the room was turned with entry 8."""
    devices = {fixed(f"device {name}", 16): PlainDevice(SigningKey.from_seed(fixed(name)).public) for name in names}
    return PlainCharter(
        n=n,
        heads={fixed(f"head {at}"): at for at in range(1, n + 1)},
        devices=devices,
        epochs=[(1, 1), (8, 2)],
        wrote=frozenset((device, epoch) for device in devices for epoch in (1, 2)),
        part_cuts=cuts,
    )


FAMILY = ("nora", "fatima", "karim")
CHARTER = charter(*FAMILY)


def secret_at(epoch: int) -> bytes | None:
    return fixed(f"S {epoch}") if epoch in (1, 2) else None


def without(name: str, devices: Sequence[Device], *, wrote_later: bool = False) -> PlainCharter:
    """Entry 8 turned the room because ``name`` left; the lines say how far the remover had admitted these actors."""
    gone = fixed(f"device {name}", 16)
    lines = {}
    for device in devices:
        for actor, (seq, change) in device.fold.newest_by_actor().items():
            if device.fold.author_of(change) == gone:
                tag, last, mark = cut_line(fixed("S 1"), actor, seq, change)
                lines[tag] = (last, mark)
    plain = charter(*FAMILY, n=8, cuts=(PlainCut(1, 1, frozenset({gone}), lines),))
    wrote = plain.wrote if wrote_later else plain.wrote - {(gone, 2)}
    return msgspec.structs.replace(plain, wrote=wrote)


class Stream:
    """Records in the order of the relay. What is sealed around a payload does not matter here: the chain runs over payloads."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.chains = [first(STREAM)]
        self.base = 0
        self.days: Iterator[int | None] = itertools.repeat(DAY)  # what is claimed under each record

    @property
    def length(self) -> int:
        return len(self.payloads)

    def append(self, payload: bytes) -> int:
        self.payloads.append(payload)
        self.chains.append(extend(self.chains[-1], payload))
        return self.length

    def chain_at(self, length: int) -> bytes | None:
        return self.chains[length] if length <= self.length else None

    def records(self) -> list[tuple[int, bytes]]:
        return [(at + 1, payload) for at, payload in enumerate(self.payloads) if at >= self.base]


class Device:
    """One device of one person, with its document."""

    def __init__(self, name: str, stream: Stream, incarnation: str = "", known: PlainCharter = CHARTER) -> None:
        self.name = name
        self.stream = stream
        self.charter = known
        self.device = fixed(f"device {name}", 16)
        self.key = SigningKey.from_seed(fixed(name))
        self.actor = actor_of(STREAM, self.device, fixed(f"life {name}{incarnation}", 8))
        self.fold = new_fold(lambda: Engine(self.actor))
        self.read_to = 0
        self.unsent: list[bytes] = []

    @property
    def engine(self) -> Engine:
        assert isinstance(self.fold.engine, Engine)
        return self.fold.engine

    def edit(self, *intents: Intent) -> list[bytes]:
        changes = apply_intents(self.engine, KIND, intents)
        self.fold.take_own(changes)
        self.unsent += changes
        return changes

    def payload(self, changes: Sequence[bytes], **claims: Any) -> bytes:
        """A record of these changes; ``claims`` say otherwise than what is true."""
        n = self.charter.n
        said: dict[str, Any] = {
            "key": self.key,
            "stream": STREAM,
            "device": self.device,
            "epoch": self.charter.epoch_at(ROOM, n),
            "head": fixed(f"head {n}"),
            "length": self.read_to,
            "chain": self.stream.chains[self.read_to],
            "changes": changes,
            "day": next(self.stream.days),
        }
        said |= claims
        return make_edit_record(said.pop("key"), said.pop("stream"), **said)

    def send(self) -> bytes:
        payload = self.payload(self.unsent)
        self.unsent = []
        self.stream.append(payload)
        return payload

    def pull(self, upto: int | None = None) -> list[Verdict]:
        verdicts = []
        for index, payload in self.stream.records():
            if self.read_to < index <= (self.stream.length if upto is None else upto):
                verdicts.append(self.fold.take(index, payload, self.stream.chain_at, self.charter))
                self.read_to = index
        return verdicts

    def refold(self, known: PlainCharter | None = None) -> Verdict:
        self.charter = known or self.charter
        records = [record for record in self.stream.records() if record[0] <= self.read_to]
        return self.fold.refold(records, self.stream.chain_at, self.charter)

    def snapshot(self, **claims: Any) -> bytes:
        atts, changes, witnesses = self.fold.basis()
        n = self.charter.n
        said: dict[str, Any] = {
            "key": self.key,
            "stream": STREAM,
            "device": self.device,
            "epoch": self.charter.epoch_at(ROOM, n),
            "head": fixed(f"head {n}"),
            "n": self.stream.length,
            "chain": self.stream.chains[-1],
            "atts": atts,
            "changes": changes,
            "witnesses": witnesses,
        }
        said |= claims
        return make_snapshot(said.pop("key"), said.pop("stream"), **said)

    def replace(self, payload: bytes) -> None:
        """As the relay does: the snapshot takes the place of all before it."""
        self.stream.base = self.stream.length
        self.stream.append(payload)

    def document(self) -> dict[str, Any]:
        return read(self.engine, KIND)


def new_fold(new_engine: Any = None) -> PartFold:
    return PartFold(STREAM, "plan", ROOM, MANAGE_ROOM, secret_at, new_engine)
