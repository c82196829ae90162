"""A relay that was put back from a backup, or emptied: its locks, its open and its closed streams, as the circle left them.

It says so by another generation, or it shows: a log that went back, a stream that is gone. What devices then do is safe whoever asked for it: the locks of now are turned
again, streams that are gone are opened again under the same hashes, and streams the circle put out of use are closed
again. Records come back where streams are read (`astray`): the original bytes, in their order. Spec: docs/spec/streams.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Final

import msgspec

from eigenkring import wire
from eigenkring.charter.compose import capability_hashes
from eigenkring.charter.draft import past_their_date
from eigenkring.charter.state import Invitation
from eigenkring.errors import Misuse
from eigenkring.ids import Capability, StreamId
from eigenkring.keys import Blank
from eigenkring.rooms import OWNERS
from eigenkring.session import adopting, clocks, welcoming
from eigenkring.session.case import CaseState
from eigenkring.session.doors import door_secrets, terms_of, watched
from eigenkring.session.stuck import prepared_caps
from eigenkring.stream import StreamSecrets, hashed
from eigenkring_crypto import capability

# What another device must open or turn may come later: until then each sync looks again, with one exchange.
PATIENCE_SECONDS: Final = 60 * 24 * 3600
_SINCE: Final = "healing since"
_DONE: Final = b"\x01"  # nothing more for this device to turn, open or close
_OPS: Final = 256

Steps = Generator[list[wire.Operation], Sequence[wire.Result], None]


def generation_changed(session: CaseState) -> None:
    now = session.around.clock().to_bytes(8, "big")
    session.store.put_fact(session.case, _SINCE, now)
    session.store.put_fact(session.case, "unread since", now)


def begin(session: CaseState) -> None:
    """A log went back, or a stream is gone, and nobody said why: as after a generation that changed. Whoever runs a relay
    may not know that its disk is an old one; people are told."""
    if session.store.fact(session.case, _SINCE) is None:
        session.alarm("rolled_back", "relay")
        _begin(session)


def _begin(session: CaseState) -> None:
    if session.store.fact(session.case, _SINCE) is None:
        session.store.put_fact(session.case, _SINCE, session.around.clock().to_bytes(8, "big"))


def try_locks_of_before(session: CaseState) -> bool:
    """The relay refuses an owner's every key. Put out, or the relay was put back to before a lock was turned, and knows
    only older ones: asked once before it is believed. Gives whether that is still to be seen."""
    return not session.tried_locks and try_locks_next(session)


def try_locks_next(session: CaseState) -> bool:
    """Have the next sync turn every lock to where the charter says it is, where this is an owner's device: the relay says
    that a decision was taken and does not show it, or knows no key any more. Gives whether it is to be."""
    charter = session.charter
    if charter is None or session.row.state != "open" or session.row.person is None:
        return False
    if not charter.is_owner(session.row.person):
        return False
    _begin(session)
    return True


def is_due(session: CaseState) -> bool:
    since = session.store.fact(session.case, _SINCE)
    if since is None or session.charter is None or session.row.state != "open":
        return False
    if any(item.stream is None for item in session.store.outbox(session.case)):
        return False  # the case itself is still to be opened, in one piece
    if adopting.has_parted(session):
        return False  # whose locks these are is for an owner to say
    began, all_done = int.from_bytes(since[:8], "big"), since[8:] == _DONE
    missing = any(alarm.code == "no_stream" for alarm in session.store.alarms(session.case))
    if began + PATIENCE_SECONDS < session.around.clock() or (all_done and not missing):
        session.store.put_fact(session.case, _SINCE, None)
        return False
    return True


def may_be_behind(session: CaseState) -> bool:
    """Whether the relay may know locks that were turned since."""
    facts = (_SINCE, "unread since")
    return adopting.has_parted(session) or any(session.store.fact(session.case, fact) for fact in facts)


def steps(session: CaseState) -> Steps:
    """Lists of operations to send, none of them atomic; each is answered with its results."""
    charter = session.known()
    over = past_their_date(charter, clocks.borne_out(session))
    live = [stream for stream in charter.live_streams() if stream not in over]
    behind, gone = yield from _turned(session, live)
    missing = yield from _opened(session, gone)
    left = yield from _closed(session, charter.streams - set(charter.live_streams()) - _still_read(session))
    yield from welcoming.steps(session)
    since = session.store.fact(session.case, _SINCE)
    if since is not None:
        done = b"" if behind or missing or left else _DONE
        session.store.put_fact(session.case, _SINCE, since[:8] + done)
    # What is still not there is told again by the very next read.
    for alarm in session.store.alarms(session.case):
        if alarm.code == "no_stream":
            session.store.drop_alarm(session.case, alarm.code, alarm.about)
    session.refusals, session.charter_try, session.tried_locks = 0, 0, True
    session.reread.clear()


def _still_read(session: CaseState) -> set[StreamId]:
    """Doors by which somebody was let in: who was offline meanwhile finds the keys there, and nowhere else. The relay ends
    each at its date."""
    now = clocks.borne_out(session)
    came = session.known().invitations.values()
    return {one.doorstep for one in came if one.state == "used" and now < one.expires}


def _turned(
    session: CaseState, streams: Sequence[StreamId]
) -> Generator[list[wire.Operation], Sequence[wire.Result], tuple[set[StreamId], set[StreamId]]]:
    """Turn every lock to where the charter says it is, whichever epoch of it the relay knows. Gives the streams whose
    lock does not turn, and those that are not there."""
    charter, behind, gone = session.known(), set[StreamId](), set[StreamId]()
    todo: dict[StreamId, list[Capability]] = {}
    for stream in streams:
        caps = _manage_caps(session, stream)
        if caps:
            todo[stream] = caps
        elif _blank(session, stream) is not None:
            gone.add(stream)  # whether it is there shows when it is opened
    while todo:
        ops: list[wire.Operation] = []
        for stream, caps in list(todo.items())[:_OPS]:
            read, append, manage = capability_hashes(charter, session.ring, stream)
            ops.append(wire.Rekey(stream=stream, cap=caps.pop(0), read=read, append=append, manage=manage))
        for op, result in zip(ops, (yield ops), strict=True):
            stream = StreamId(op.stream)
            if isinstance(result, wire.Failed):
                if result.code == "not_allowed" and todo[stream]:
                    continue
                (gone if result.code == "no_stream" else behind).add(stream)
            del todo[stream]
    return behind, gone


def _opened(
    session: CaseState, gone: Iterable[StreamId]
) -> Generator[list[wire.Operation], Sequence[wire.Result], set[StreamId]]:
    """Open what is gone, where this device can compute all three hashes. Gives what it could not open."""
    missing, ops = set[StreamId](), list[wire.Operation]()
    for stream in gone:
        opening = _opening(session, stream)
        if opening is None:
            missing.add(stream)
        else:
            ops.append(opening)
    for at in range(0, len(ops), _OPS):
        some = ops[at : at + _OPS]
        for op, result in zip(some, (yield some), strict=True):
            # `exists`: another device opened it, or it was there.
            if isinstance(result, wire.Failed) and result.code != "exists":
                missing.add(StreamId(op.stream))
    return missing


def _closed(
    session: CaseState, streams: Iterable[StreamId]
) -> Generator[list[wire.Operation], Sequence[wire.Result], set[StreamId]]:
    """Close what the circle put out of use: a link that was cancelled, a view that was withdrawn, a part founded anew."""
    left = set[StreamId]()
    todo = {stream: caps for stream in sorted(streams) if (caps := _manage_caps(session, stream))}
    while todo:
        ops: list[wire.Operation] = []
        for stream, caps in list(todo.items())[:_OPS]:
            ops.append(wire.Close(stream=stream, cap=caps.pop(0)))
        for op, result in zip(ops, (yield ops), strict=True):
            stream = StreamId(op.stream)
            if isinstance(result, wire.Failed) and result.code == "not_allowed":
                if todo[stream]:
                    continue
                left.add(stream)
            del todo[stream]
    return left


def _manage_caps(session: CaseState, stream: StreamId) -> list[Capability]:
    """Of the present epoch and of all before it: the backup may be from any of them. And of what this device prepared: the
    relay may have turned the locks, and thrown away the entry that says so."""
    charter = session.known()
    try:
        room = charter.stream_rooms(stream).manage
    except Misuse:
        return []
    if room not in charter.rooms or session.room_secret(room) is None:
        return []
    epochs = sorted(((epoch, secret) for name, epoch, secret in session.ring if name == room), reverse=True)
    known = [
        Capability(capability.manage_capability(capability.manage_secret(secret, stream), stream, epoch))
        for epoch, secret in epochs
        if epoch <= charter.rooms[room].epoch
    ]
    return [*known, *prepared_caps(session, stream, room)]


def _opening(session: CaseState, stream: StreamId) -> wire.Open | None:
    charter = session.known()
    read, append, manage = capability_hashes(charter, session.ring, stream)
    if stream == charter.keys_stream:
        read = hashed(session.secrets(stream).read_cap())
    blank = _blank(session, stream)
    manage = manage or (None if blank is None else blank.manage)
    expires = None
    door = _door(session, stream)
    if door is not None:
        secrets, expires = door
        read = read or hashed(secrets.read_cap())
        append = append or hashed(secrets.append_cap())
    for grant in charter.grants.values():
        expires = grant.until if stream in (grant.down, grant.up, grant.doorstep) else expires
    if read is None or append is None or manage is None:
        return None
    return wire.Open(stream=stream, read=read, append=append, manage=manage, expires=expires)


def _door(session: CaseState, stream: StreamId) -> tuple[StreamSecrets, int] | None:
    """A doorstep is locked with the seed of its link."""
    for door in watched(session):
        if door.stream == stream and isinstance(door.of, Invitation):
            return door.secrets, door.of.expires
    from_terms = next((grant for grant in session.known().grants.values() if grant.doorstep == stream), None)
    terms = None if from_terms is None else terms_of(session, from_terms)
    if from_terms is None or terms is None:
        return None
    return door_secrets(session, stream, terms.seed, OWNERS), from_terms.until


def _blank(session: CaseState, stream: StreamId) -> Blank | None:
    """The manage hash an owner once gave for a stream that this person founded."""
    packed = session.store.fact(session.case, "blanks")
    blanks = [] if packed is None else msgspec.msgpack.decode(packed, type=list[Blank])
    return next((blank for blank in blanks if blank.stream == stream), None)
