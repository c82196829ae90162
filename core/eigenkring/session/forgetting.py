"""A part founded anew from what it shows now: its history, and every word deleted from it, goes everywhere.

Spec: docs/spec/part.md (Forgetting). One exchange: the entry, the new stream with the present state, and the old stream
closed, if nothing came to it that this device has not read. Whoever learns of it drops the old records, and makes
what was not sent yet again in the new part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.entry import PartChange
from eigenkring.charter.state import Part
from eigenkring.document import apply_intents
from eigenkring.errors import Misuse
from eigenkring.ids import StreamId
from eigenkring.keys import Blank
from eigenkring.part.author import actor_of, make_edit_records
from eigenkring.session import clocks, kept, sightings
from eigenkring.session.acting import Exchange, author_of, exchange_of, held, ring_with, secrets_after
from eigenkring.session.parts import CaseSession, OpenPart
from eigenkring.steps import CollectionRule, FieldRule, KindRules, is_name
from eigenkring.stream import Position, StreamSecrets
from eigenkring_crypto.capability import manage_secret

_END = msgspec.msgpack.encode({"k": "end"})
# A lock that was turned after the part was founded anew opens to none of our keys: then it is let be.
TIMES_TO_CLOSE = 5


def found_anew(session: CaseSession, name: str, blanks: Sequence[Blank] = ()) -> Exchange:
    """Raises ``Misuse``: ``no_such_part``, ``not_permitted``, ``not_yet``."""
    opened, charter = check(session, name), session.known()
    if opened.fold.pending() or opened.waits or opened.fold.alarm:
        raise Misuse("not_yet", f"not all of {name} is sent and read; sync, and try again")
    draft = compose.found_anew(charter, author_of(session), name, blanks)
    exchange = exchange_of(session, draft)
    if not isinstance(draft.body, PartChange):
        raise AssertionError("a part is founded by another entry")
    stream = draft.body.parts[0].stream
    secrets = secrets_after(exchange.after, ring_with(session.ring, draft), stream)
    ops: list[wire.Operation] = [_nothing_more(session, opened)]
    for payload in _present_state(session, opened, stream, exchange):
        record = secrets.seal(payload, session.around.random(24))
        ops.append(wire.Append(stream=stream, cap=held(secrets.append_cap()), record=record))
    # After the new stream is opened, before the old one is closed.
    at = next((n for n, op in enumerate(exchange.ops) if isinstance(op, wire.Close)), len(exchange.ops))
    exchange.ops[at:at] = ops
    return exchange


def check(session: CaseSession, name: str) -> OpenPart:
    """Whether this person may. Raises ``Misuse``: ``no_such_part``, ``not_permitted``."""
    opened = session.part(name)
    about = opened.part.about
    if not (session.known().is_owner(session.me()) if about is None else about == session.me()):
        raise Misuse("not_permitted", f"only {'an owner' if about is None else 'that person'} can found {name} anew")
    return opened


def _nothing_more(session: CaseSession, opened: OpenPart) -> wire.Operation:
    """A last record that the relay takes only where nothing came that was not read here; it goes with the stream.
    So what anybody read back of their own is in the new part, and what they did not is not."""
    stream = opened.part.stream
    secrets, position = session.secrets(stream), session.position(stream)
    record = secrets.seal(_END, session.around.random(24))
    return wire.Append(stream=stream, cap=held(secrets.append_cap()), record=record, expect=position.chain)


def _present_state(session: CaseSession, opened: OpenPart, stream: StreamId, exchange: Exchange) -> list[bytes]:
    engine = session.around.new_engine(actor_of(stream, session.device(), session.row.incarnation))
    shown = session.read(opened)
    intents = [
        ["add", collection, item, fields]
        for collection, items in shown.items()
        for item, fields in items.items()
        if is_name(collection) and is_name(item)
    ]
    changes = apply_intents(engine, _as_shown(session.kind(opened.part), shown), intents)
    if not changes:
        return []
    return make_edit_records(
        session.keys.sign,
        stream,
        device=session.device(),
        epoch=exchange.after.rooms[opened.part.write].epoch,
        head=exchange.after.head,
        length=0,
        chain=Position.start(stream).chain,
        changes=changes,
        day=clocks.claimed_day(session),
    )


@dataclass(frozen=True, slots=True)
class _Field:
    type: str


@dataclass(frozen=True, slots=True)
class _Collection:
    fields: Mapping[str, FieldRule]


@dataclass(frozen=True, slots=True)
class _Rules:
    collections: Mapping[str, CollectionRule]


def _as_shown(schema: KindRules | None, shown: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> KindRules:
    """The schema, and sets that only a newer one knows."""
    collections: dict[str, CollectionRule] = dict(schema.collections) if schema else {}
    for name, items in shown.items():
        fields = dict(collections[name].fields) if name in collections else {}
        for item in items.values():
            fields.update(
                {f: _Field("set") for f, value in item.items() if f not in fields and isinstance(value, list)}
            )
        collections[name] = _Collection(fields)
    return _Rules(collections)


# --- the others


def move_on(session: CaseSession) -> int:
    """Drop what lies here of parts that were founded anew, once the new one was read, and make again in it what the old
    one had not taken. Gives how many changes were made."""
    if session.charter is None:
        return 0
    made, gone = 0, False
    for part in list(_left_behind(session)):
        now = session.known().parts[part.name]
        if now.stream in session.parts:
            # What stands on an item that was not read yet would be made beside it.
            if now.stream not in session.answered and session.position(now.stream).length == 0:
                continue
        elif session.me() in session.known().audience(now.read):
            continue  # its key is still to come
        made += _bring_along(session, part)
        gone = True
    if gone:
        session.store.tidy()
    return made


def _left_behind(session: CaseSession) -> Iterator[Part]:
    sending = {item.stream for item in session.store.outbox(session.case)}
    for part in session.known().part_streams.values():
        now = session.known().parts.get(part.name)
        if now is not None and now.stream != part.stream:
            here = session.store.position(session.case, part.stream) is not None
            if here or part.stream in sending or session.store.own_changes(session.case, part.stream):
                yield part


def _bring_along(session: CaseSession, part: Part) -> int:
    settled = session.opened_apart(part).fold.ledger
    lost = [own for own in session.store.own_changes(session.case, part.stream) if settled.find(own.hash) is None]
    with session.store.step():
        made = session.redo([(part.name, own) for own in lost])
        session.store.forget_stream(session.case, part.stream)
        kept.forget(session, part.stream)
        sightings.drop(session, part.stream)
        for about in ("outbox", part.name):  # the relay was heard before the entry that explains it
            session.store.drop_alarm(session.case, "closed", about)
    return made


# --- the lock of the old stream


def to_close(session: CaseSession) -> list[StreamId]:
    """Streams left behind that this device manages and whoever founded the part anew could not close."""
    charter = session.known()
    return [
        part.stream
        for part in charter.part_streams.values()
        if part.name in charter.parts
        and charter.parts[part.name].stream != part.stream
        and charter.manages(session.me(), part.stream)
        and _tried(session, part.stream) < TIMES_TO_CLOSE
    ]


def closing(session: CaseSession, streams: Sequence[StreamId]) -> list[wire.Operation]:
    ops: list[wire.Operation] = []
    for stream in streams:
        room = session.known().stream_rooms(stream).manage
        for name, epoch, secret in session.ring:
            if name == room:
                at = replace(StreamSecrets(stream), manage=manage_secret(secret, stream), manage_epoch=epoch)
                ops.append(wire.Close(stream=stream, cap=held(at.manage_cap())))
        tried = _tried(session, stream) + 1
        session.store.put_fact(session.case, f"closed {stream.hex()}", msgspec.msgpack.encode(tried))
    return ops


def closed(session: CaseSession, streams: Sequence[StreamId]) -> None:
    for stream in streams:
        session.store.put_fact(session.case, f"closed {stream.hex()}", msgspec.msgpack.encode(TIMES_TO_CLOSE))


def _tried(session: CaseSession, stream: StreamId) -> int:
    found = session.store.fact(session.case, f"closed {stream.hex()}")
    return 0 if found is None else int(msgspec.msgpack.decode(found))
