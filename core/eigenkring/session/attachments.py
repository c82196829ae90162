"""The attachments of one case on one device: which there are, what is to be sent, turned and closed. Spec: docs/spec/attachments.md.

The chunks lie in the store as records of their stream; what is left to do with them is one fact of the case, so a
device that was stopped anywhere goes on where it was. Nothing here talks to a relay: ``eigenkring.carrying`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from eigenkring import wire
from eigenkring.attachment import (
    Attachment,
    claims_attachment,
    pack_attachment,
    parse_attachment,
    seal_chunks,
)
from eigenkring.charter.state import Part
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import CapabilityHash, Chain, RecordBytes, StreamId
from eigenkring.session.case import secrets_from
from eigenkring.session.parts import CaseSession, OpenPart
from eigenkring.stream import Placed, Position, StreamSecrets, hashed
from eigenkring_crypto import capability, chain

_FACT: Final = "attachments"
_TURNED: Final = "attachments turned"
# Epochs of a room that are tried on one stream: it may be locked with any of them, and no family turns more often.
_MOST_EPOCHS: Final = 64


class Carried(msgspec.Struct, frozen=True):
    """An attachment this device has chunks of, or has to close. ``append`` is its capability to append while it sends.
    ``done``: the relay's generation for which all was sent, or closed; None while something is to do. ``change``: hash of
    the own change that put it into the part; nothing where another device did."""

    part: str
    chunks: int
    append: bytes | None = None
    closing: bool = False
    done: int | None = None
    change: bytes = b""


def carried(session: CaseSession) -> dict[StreamId, Carried]:
    packed = session.store.fact(session.case, _FACT)
    found = {} if packed is None else msgspec.msgpack.decode(packed, type=dict[bytes, Carried])
    return {StreamId(stream): one for stream, one in found.items()}


def put_carried(session: CaseSession, stream: StreamId, one: Carried | None) -> None:
    """``None`` forgets it, its chunks too."""
    known = carried(session)
    known.pop(stream, None)
    if one is not None:
        known[stream] = one
    with session.store.step():
        if one is None or one.closing:
            session.store.forget_stream(session.case, stream)
        session.store.put_fact(session.case, _FACT, msgspec.msgpack.encode(known) if known else None)


def unsent(session: CaseSession) -> int:
    """How many are not at the relay yet."""
    return sum(not one.closing and one.done is None for one in carried(session).values())


# --- what the parts hold


def is_of_the_case(session: CaseSession, stream: StreamId) -> bool:
    """Whether the case uses a stream for something else: the charter, a part, a door. A field that names one lies: to fetch
    from it would overwrite what this device knows of that stream, and to take the field away would forget and close it."""
    charter = session.charter
    if charter is not None and stream in charter.streams:
        return True
    return session.store.position(session.case, stream) is not None and stream not in carried(session)


def check_stream(session: CaseSession, stream: StreamId) -> None:
    """Raises ``Inadmissible("bad_attachment")``."""
    if is_of_the_case(session, stream):
        raise Inadmissible("bad_attachment", "its stream is one of the case itself")


def attachment_at(session: CaseSession, name: str, path: Sequence[str]) -> Attachment:
    """Raises ``Misuse("no_such_field")`` where there is none; ``Inadmissible``: ``bad_attachment``, ``future_version``."""
    collection, item, field = path
    value = session.read(session.part(name)).get(collection, {}).get(item, {}).get(field)
    if not claims_attachment(value):
        raise Misuse("no_such_field", "no photo or file is there")
    return parse_attachment(value)


def attachments_in(document: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Attachment]:
    """Those that can be read; a broken one, or one of a newer program, is shown as such and has no stream."""
    for items in document.values():
        for fields in items.values():
            for value in fields.values():
                if claims_attachment(value):
                    try:
                        yield parse_attachment(value)
                    except Inadmissible:
                        continue


def held_streams(session: CaseSession, opened: OpenPart) -> set[StreamId]:
    return _streams_in(session, session.read(opened))


def _streams_in(session: CaseSession, document: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> set[StreamId]:
    found = {StreamId(one.stream) for one in attachments_in(document)}
    return {stream for stream in found if not is_of_the_case(session, stream)}


def held_anywhere(session: CaseSession) -> Iterator[tuple[str, Attachment]]:
    """Part and attachment, of all that this device reads: two fields may name one stream."""
    for opened in session.parts.values():
        for attachment in attachments_in(session.read(opened)):
            yield opened.part.name, attachment


# --- adding and taking away


def attach(
    session: CaseSession,
    name: str,
    path: Sequence[str],
    make: Callable[[StreamId, bytes], Attachment],
    data: bytes,
) -> Attachment:
    """Seal the bytes, keep the chunks, and put the attachment into the field, in one step. ``make`` gets stream and key."""
    random = session.around.random
    attachment = make(StreamId(random(16)), random(32))
    stream = StreamId(attachment.stream)
    records = seal_chunks(attachment, data, [random(24) for _ in range(attachment.chunks)])
    with session.store.step():
        put_chunks(session, stream, records)
        edit(session, name, [["set", list(path), pack_attachment(attachment)]])
        made = session.store.own_changes(session.case, session.part(name).part.stream)[-1].hash
        put_carried(session, stream, Carried(name, attachment.chunks, append=random(32), change=made))
    return attachment


def attach_again(
    session: CaseSession, name: str, path: Sequence[str], attachment: Attachment, data: bytes
) -> Attachment:
    """The same file as an attachment of its own, with another stream and key."""
    return attach(
        session, name, path, lambda stream, key: msgspec.structs.replace(attachment, stream=stream, key=key), data
    )


def put_chunks(session: CaseSession, stream: StreamId, records: Sequence[RecordBytes]) -> None:
    running, placed = Chain(chain.first(stream)), list[Placed]()
    for index, record in enumerate(records, 1):
        running = Chain(chain.extend(running, record))
        placed.append(Placed(index, record, running))
    session.store.put_records(session.case, stream, Position(0, len(placed), running), placed)


def chunks_of(session: CaseSession, stream: StreamId) -> list[Placed]:
    return session.store.records(session.case, stream)


def edit(session: CaseSession, name: str, intents: list[Any]) -> None:
    """As ``session.edit``; an attachment that is in the part no more is closed at the next sync: its bytes must not
    stay at the relay when the entry they belonged to is gone."""
    touched = {f"{intent[1][0]}/{intent[1][1]}" for intent in intents if intent[0] in ("set", "delete")}
    opened = session.part(name)
    before = _of_items(session, opened, touched)
    with session.store.step():
        session.edit(name, intents)
        if before:
            for stream in before - held_streams(session, opened):
                known = carried(session).get(stream, Carried(name, 0))
                # Somebody may have written the name of a photo of another part here, to have it thrown away.
                if known.part == name or not _is_held(session, known.part, stream):
                    put_carried(session, stream, Carried(name, known.chunks, closing=True))


def _is_held(session: CaseSession, name: str, stream: StreamId) -> bool:
    part = session.known().parts.get(name)
    opened = None if part is None else session.parts.get(part.stream)
    return opened is not None and stream in held_streams(session, opened)


def _of_items(session: CaseSession, opened: OpenPart, touched: set[str]) -> set[StreamId]:
    shown = session.read(opened) if touched else {}
    items = {key.partition("/")[2]: shown.get(key.partition("/")[0], {}).get(key.partition("/")[2]) for key in touched}
    return _streams_in(session, {"": {k: v for k, v in items.items() if v}})


def unwanted(session: CaseSession) -> list[StreamId]:
    """Attachments whose chunks lie here and whose entry is gone, by whomever."""
    found = []
    for stream, one in carried(session).items():
        part = session.known().parts.get(one.part)
        opened = None if part is None else session.parts.get(part.stream)
        # What is still to be sent stays, also while the entry that names it is being made again.
        if opened is None or one.closing or one.done is None or opened.waits or opened.unopened:
            continue
        if stream not in held_streams(session, opened):
            found.append(stream)
    return found


def outdone(session: CaseSession) -> list[StreamId]:
    """Attachments that this device put into a part and that another one replaced at the same time, or whose item another
    one deleted then: nobody else knows the stream. Only where the change that put it there is settled: a part that was
    founded anew, or a change that is being made again, names nothing of it either."""
    found = []
    for stream, one in carried(session).items():
        part = session.known().parts.get(one.part)
        opened = None if part is None else session.parts.get(part.stream)
        if opened is None or one.closing or not one.change or not session.known().may_write(session.me(), one.part):
            continue
        if opened.waits or opened.unopened or opened.set_aside or opened.fold.alarm:
            continue  # what is not read here may name it
        if opened.fold.ledger.find(one.change) is not None and stream not in held_streams(session, opened):
            found.append(stream)
    return found


# --- locks: read as the part is read, managed by whoever writes it


def secrets_at(session: CaseSession, part: Part, stream: StreamId) -> StreamSecrets:
    """What this device can do with an attachment of a part, as the locks are now. ``read`` is for the capability only."""
    return secrets_from(StreamSecrets(stream), (part.read, None, part.write), session.room_secret)


def part_of(session: CaseSession, name: str) -> Part | None:
    return session.known().parts.get(name)


def read_caps(session: CaseSession, part: Part, stream: StreamId) -> list[bytes]:
    """The newest first: the relay may know a lock that nobody has turned yet."""
    return [
        capability.read_capability(capability.read_secret(secret, stream), stream, epoch)
        for epoch, secret in _epochs(session, part.read)
    ]


def manage_caps(session: CaseSession, part: Part, stream: StreamId) -> list[bytes]:
    return [
        capability.manage_capability(capability.manage_secret(secret, stream), stream, epoch)
        for epoch, secret in _epochs(session, part.write)
    ]


def _epochs(session: CaseSession, room: str) -> list[tuple[int, bytes]]:
    held = sorted(((epoch, bytes(secret)) for name, epoch, secret in session.ring if name == room), reverse=True)
    return held[:_MOST_EPOCHS]


def opening(session: CaseSession, part: Part, stream: StreamId, append: bytes) -> wire.Open | None:
    secrets = secrets_at(session, part, stream)
    read, manage = secrets.read_cap(), secrets.manage_cap()
    if read is None or manage is None:
        return None
    return wire.Open(stream=stream, read=hashed(read), append=_hash(append), manage=hashed(manage))


def turning(session: CaseSession, part: Part, stream: StreamId, append: bytes | None = None) -> list[wire.Operation]:
    """To the locks of now, from whichever there are: one of these is taken. ``append``: who may append from now on."""
    secrets = secrets_at(session, part, stream)
    read, manage = secrets.read_cap(), secrets.manage_cap()
    if read is None or manage is None:
        return []
    to = None if append is None else _hash(append)
    return [
        wire.Rekey(stream=stream, cap=cap, read=hashed(read), append=to, manage=hashed(manage))
        for cap in manage_caps(session, part, stream)
    ]


def closing(session: CaseSession, part: Part, stream: StreamId) -> list[wire.Operation]:
    return [wire.Close(stream=stream, cap=cap) for cap in manage_caps(session, part, stream)]


def _hash(cap: bytes) -> CapabilityHash:
    return CapabilityHash(capability.capability_hash(cap))


def to_turn(session: CaseSession) -> list[tuple[Part, StreamId]]:
    """Attachments of parts whose rooms were turned since this device last looked: who left must neither fetch what is
    there nor take it away. Any device that writes the part does it, and it may be done twice."""
    known, before = _locks(session), session.store.fact(session.case, _TURNED)
    turned = {} if before is None else msgspec.msgpack.decode(before, type=dict[str, tuple[int, int]])
    charter, me = session.known(), session.me()
    found = []
    for name, epochs in known.items():
        part = charter.parts[name]
        if max(epochs) > 1 and turned.get(name) != epochs and charter.may_write(me, name):
            found += [(part, stream) for stream in sorted(held_streams(session, session.parts[part.stream]))]
    return found


def has_turned(session: CaseSession) -> None:
    session.store.put_fact(session.case, _TURNED, msgspec.msgpack.encode(_locks(session)))


def _locks(session: CaseSession) -> dict[str, tuple[int, int]]:
    charter = session.known()
    return {
        name: (charter.rooms[part.read].epoch, charter.rooms[part.write].epoch)
        for name, part in sorted(charter.parts.items())
        if part.stream in session.parts
    }
