"""What a member can make who has all keys of a real device, and a program of their own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from eigenkring import document, wire
from eigenkring.change import Change, encode_change, parse_change
from eigenkring.charter.entry import AnyBody, sign_entry
from eigenkring.charter.state import Charter
from eigenkring.columns import Cursor, uleb
from eigenkring.crdt import Engine
from eigenkring.ids import DeviceId, StreamId
from eigenkring.keys import Bag, seal_bags
from eigenkring.part.author import actor_of, make_edit_record
from eigenkring.part.record import make_snapshot_record
from eigenkring.part.snapshot import Body, make_snapshot
from eigenkring.session.acting import held
from eigenkring_crypto.sign import SigningKey, sign
from simulator import Phone, Wire


class Crafter:
    """Wraps the phone of a member who cheats. What it sends goes to the relay with the capabilities that member has."""

    def __init__(self, phone: Phone, part: str = "plan") -> None:
        self.phone = phone
        self.session = phone.session
        self.part = self.session.part(phone.case.full_name(part)).part
        self.wire = Wire(phone.world.network, phone.name)

    @property
    def device(self) -> DeviceId:
        return self.session.device()

    @property
    def stream(self) -> StreamId:
        return self.part.stream

    @property
    def engine(self) -> Engine:
        engine = self.session.part(self.part.name).engine
        assert isinstance(engine, Engine)
        return engine

    # --- changes

    def changes(self, *texts: str, actor: bytes | None = None) -> list[bytes]:
        """One change for each text, made beside the real document."""
        admitted = self.session.part(self.part.name).fold.admitted()
        engine = Engine(actor or actor_of(self.stream, self.device, self.session.row.incarnation))
        engine.apply(admitted)
        made = []
        for at, text in enumerate(texts):
            item = self.phone.world.random(10).hex()
            made += document.apply_intents(
                engine, self.session.kind(self.part), [["add", "agreements", item, {"what": text, "order": at}]]
            )
        return made

    def altered(self, raw: bytes, change: Callable[[Change], Change] | None = None, **fields: Any) -> bytes:
        parsed = parse_change(raw)
        return encode_change(change(parsed) if change else msgspec.structs.replace(parsed, **fields))

    def payload(self, changes: Sequence[bytes], **claims: Any) -> bytes:
        """An edit record; ``claims`` say otherwise than what is true."""
        session = self.session
        position, charter = session.position(self.stream), session.known()
        said: dict[str, Any] = {
            "key": session.keys.sign,
            "stream": self.stream,
            "device": self.device,
            "epoch": charter.rooms[self.part.write].epoch,
            "head": charter.head,
            "length": position.length,
            "chain": position.chain,
            "changes": list(changes),
        } | claims
        return make_edit_record(said.pop("key"), said.pop("stream"), **said)

    def snapshot(self, **claims: Any) -> bytes:
        session = self.session
        position, charter = session.position(self.stream), session.known()
        atts, changes, witnesses = session.part(self.part.name).fold.basis()
        said: dict[str, Any] = {
            "key": session.keys.sign,
            "stream": self.stream,
            "device": self.device,
            "epoch": charter.rooms[self.part.write].epoch,
            "head": charter.head,
            "n": position.length,
            "chain": position.chain,
            "atts": atts,
            "changes": changes,
            "witnesses": witnesses,
        } | claims
        return make_snapshot(said.pop("key"), said.pop("stream"), **said)

    def disordered(self, changes: Sequence[bytes], order: Sequence[int], rests: dict[int, list[int]]) -> bytes:
        """A signed snapshot with these changes in this order, each said to rest on the named ones, wherever those lie."""
        parts = [uleb(len(order))]
        for place, at in enumerate(order):
            body = Cursor(changes[at], 9, len(changes[at]))
            body.uleb()
            for _ in range(body.uleb()):
                body.take(32)
            rest = changes[at][body.pos :]
            # A distance below nothing, as an unsigned number: a reader that does not check it counts from the end.
            back = [(place - order.index(dep)) % 2**32 for dep in rests[at]]
            parts += [uleb(len(back)), *map(uleb, back), uleb(len(rest)), rest]
        parts.append(uleb(0))
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        content = packer.compress(b"".join(parts)) + packer.flush()
        session = self.session
        position, charter = session.position(self.stream), session.known()
        atts = session.part(self.part.name).fold.basis()[0]
        epoch = charter.rooms[self.part.write].epoch
        said = Body(self.device, epoch, charter.head, position.length, position.chain, list(atts), content)
        body = msgspec.msgpack.encode(said)
        return make_snapshot_record(body, sign(session.keys.sign, "snapshot", self.stream, body))

    # --- sending

    def sealed(self, payload: bytes, stream: StreamId | None = None) -> bytes:
        return self.session.secrets(stream or self.stream).seal(payload, self.phone.world.random(24))

    def append(self, record: bytes, stream: StreamId | None = None) -> wire.Result:
        at = stream or self.stream
        cap = held(self.session.secrets(at).append_cap())
        return self.wire.exchange([wire.Append(stream=at, cap=cap, record=record)]).results[0]

    def edit(self, changes: Sequence[bytes], **claims: Any) -> wire.Result:
        return self.append(self.sealed(self.payload(changes, **claims)))

    def replace(self, payload: bytes, expect: bytes | None = None) -> wire.Result:
        cap = held(self.session.secrets(self.stream).manage_cap())
        expect = expect or self.session.position(self.stream).chain
        op = wire.Replace(stream=self.stream, cap=cap, expect=expect, record=self.sealed(payload))
        return self.wire.exchange([op]).results[0]

    def entry(self, body: AnyBody, key: SigningKey | None = None) -> wire.Result:
        """A charter entry, whatever the rules say."""
        payload = sign_entry(body, key or self.session.keys.sign)
        return self.append(self.sealed(payload, self.session.charter_stream), self.session.charter_stream)

    def keybag(self, bags: dict[DeviceId, Bag], charter: Charter | None = None, **claims: Any) -> wire.Result:
        """A record of keys with these boxes."""
        session = self.session
        keys, secret = session.row.keys_stream, session.row.keys_secret
        assert keys is not None
        assert secret is not None
        seen = session.position(keys)
        said = {"by": self.device, "key": session.keys.sign, "seen": (seen.length, seen.chain)} | claims
        payload = seal_bags(
            charter or session.known(),
            said["by"],  # type: ignore[arg-type]
            said["key"],  # type: ignore[arg-type]
            secret,
            said["seen"],  # type: ignore[arg-type]
            bags,  # type: ignore[arg-type]
            self.phone.world.random,
        )
        return self.append(self.sealed(payload, keys), keys)
