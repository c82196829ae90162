"""A door for another device of the same person: the same for every device of that person, and known to nobody else.

Spec: docs/spec/charter.md, Doorstep (kind 3). Nothing of it stands in the charter, so the door grows from the secret of
the room `@person` and the hour: each device of the person watches it, and one that was put out knows no later door.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from eigenkring import doorstep, wire
from eigenkring.charter.compose import add_device, sign_new_device
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import CaseId, DeviceId, PersonId, RoomSecret, StreamId
from eigenkring.rooms import own_room
from eigenkring.session.acting import Exchange, author_of, exchange_of, held
from eigenkring.session.case import CaseState
from eigenkring.session.parts import CaseSession
from eigenkring.shelf import for_another
from eigenkring.stream import StreamSecrets
from eigenkring.wire import check_keys
from eigenkring_crypto import capability
from eigenkring_crypto.box import open_box, seal_box
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import derive
from eigenkring_crypto.sign import verify

# A link lives until the end of the next hour: it is scanned from one's own other screen.
SLOT_SECONDS: Final = 3600
# A fact of the case: until when a link of this device may be used (seconds, eight bytes). It is kept before the link is made.
LINK_OUT: Final = "own link"


class OwnGreeting(doorstep.Greeting, frozen=True, kw_only=True):
    """Says whose device is asked for: the new device signs that."""

    person: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]


class _OwnKnock(doorstep.Knock, frozen=True):
    add_sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class _Boxed(msgspec.Struct, frozen=True):
    box: bytes


@dataclass(frozen=True, slots=True, repr=False)
class OwnDoor:
    stream: StreamId
    seed: bytes
    room_secret: RoomSecret
    expires: int
    secrets: StreamSecrets
    compare: bool


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A knock that holds: a device whose holder has the link, and that says to be this person's."""

    door: OwnDoor
    knock: doorstep.Knock
    statement: doorstep.Statement
    device: DeviceId
    add_sig: bytes


def own_doors(session: CaseState) -> list[OwnDoor]:
    """The doors of this hour and of the hour before, without and with words to compare. Others after every device that
    came: a used link is dead."""
    charter, me = session.charter, session.row.person
    if charter is None or me is None or session.row.state != "open":
        return []
    secret = session.room_secret(own_room(me))
    if secret is None:
        return []
    ever = sum(1 for device in charter.devices.values() if device.person == me)
    now = session.around.clock() // SLOT_SECONDS
    return [door_at(secret, slot, ever, compare) for slot in (now, now - 1) for compare in (False, True)]


def asked_doors(session: CaseState) -> list[OwnDoor]:
    """The own doors to ask the relay for: none while nobody can have opened one. A link is made by a device, never by
    paper or a link that sleeps; of its own links a device knows, of those of another device of the person it does not."""
    charter, me, mine = session.charter, session.row.person, session.store.fact(session.case, LINK_OUT)
    if charter is None or me is None:
        return []
    own = session.device()
    other = any(
        device.here and device.person == me and not device.sleeping and device.device != own
        for device in charter.devices.values()
    )
    out = mine is not None and session.around.clock() < int.from_bytes(mine, "big")
    return own_doors(session) if other or out else []


def door_at(held_secret: tuple[int, bytes], slot: int, ever: int, compare: bool = False) -> OwnDoor:
    """The door of an hour. ``held_secret`` is epoch and secret of the room ``@person``, ``slot`` the hours since 1970,
    ``ever`` how many devices the person ever had. One where words are compared is another one: a thief with the link, and
    a relay that helps, could lay another greeting there."""
    epoch, secret = held_secret
    context = slot.to_bytes(8, "big") + ever.to_bytes(4, "big")
    name = "own door compared" if compare else "own door"
    stream = StreamId(derive(secret, name, context)[:16])
    seed = derive(secret, f"{name} seed", context)
    secrets = StreamSecrets(
        stream,
        read=doorstep.read_secret(seed, stream),
        write=doorstep.write_secret(seed, stream),
        manage=capability.manage_secret(secret, stream),
        manage_epoch=epoch,
    )
    return OwnDoor(stream, seed, RoomSecret(secret), (slot + 2) * SLOT_SECONDS, secrets, compare)


def greeting(session: CaseSession, door: OwnDoor) -> bytes:
    charter, me = session.known(), session.me()
    name = charter.people[me].name
    return msgspec.msgpack.encode(
        OwnGreeting(
            kind=doorstep.OWN_DEVICE,
            case=session.case,
            invitation=door.stream,
            box=doorstep.knock_key(door.room_secret, door.stream).public,
            from_=name,
            name=name,
            role=charter.people[me].role,
            compare=door.compare,
            expires=door.expires,
            n=charter.n,
            head=charter.head,
            person=me,
        )
    )


def opening(session: CaseSession, door: OwnDoor, payload: bytes) -> list[wire.Operation]:
    """Open the doorstep and lay the greeting on it."""
    epoch = door.secrets.manage_epoch
    read, append, manage = doorstep.open_hashes(door.seed, door.stream, door.room_secret, epoch)
    record = door.secrets.seal(payload, session.around.random(24))
    cap = held(door.secrets.append_cap())
    return [
        wire.Open(stream=door.stream, read=read, append=append, manage=manage, expires=door.expires),
        wire.Append(stream=door.stream, cap=cap, record=record),
    ]


def make_knock(payload: bytes, door: StreamId, seed: bytes, keys: DeviceKeys) -> bytes:
    """The new device's knock on the greeting ``payload``. Raises ``Inadmissible("bad_entry")``."""
    try:
        greeted = msgspec.msgpack.decode(payload, type=OwnGreeting)
    except (msgspec.DecodeError, ValueError):
        raise Inadmissible("bad_entry", "a greeting that does not say whose device is asked for") from None
    knock = doorstep.sign_statement(greeted, door, seed, keys, greeted.name)
    statement = msgspec.msgpack.decode(knock.statement, type=doorstep.Statement)
    add_sig = sign_new_device(CaseId(greeted.case), PersonId(greeted.person), statement.keys, keys.sign)
    content = msgspec.msgpack.encode(_OwnKnock(knock.statement, knock.seed_sig, knock.device_sig, add_sig))
    return msgspec.msgpack.encode(_Boxed(seal_box(greeted.box, "knock", door + greeted.invitation, content)))


def knocks(session: CaseState, door: OwnDoor) -> Iterator[NewDevice]:
    """Knocks that hold, the first one first: it wins."""
    for placed in session.store.records(session.case, door.stream, 1):
        try:
            yield open_knock(door.secrets.open(placed.record), door, session.case, session.me())
        except (CryptoError, Inadmissible):
            continue  # noise of somebody who has the link, or our own welcome


def open_knock(payload: bytes, door: OwnDoor, case: CaseId, person: PersonId) -> NewDevice:
    """Raises ``Inadmissible``: ``bad_entry`` (not a knock, or sealed to another key), ``bad_statement`` (another door,
    case or person, or not signed by link and device)."""
    try:
        check_keys(payload)
        boxed = msgspec.msgpack.decode(payload, type=_Boxed)
        key = doorstep.knock_key(door.room_secret, door.stream)
        content = open_box(key, "knock", door.stream + door.stream, boxed.box)
        check_keys(content)
        knock = msgspec.msgpack.decode(content, type=_OwnKnock)
    except (CryptoError, msgspec.DecodeError, ValueError, RecursionError):
        raise Inadmissible("bad_entry", "not a knock at this door") from None
    seed_key = doorstep.seed_key(door.seed, door.stream).public
    statement, device = doorstep.check_statement(knock, case, door.stream, door.stream, seed_key)
    try:
        verify(statement.sign, "add device", case, person + device, knock.add_sig)
    except CryptoError:
        raise Inadmissible("bad_statement", "the device did not sign to be this person's") from None
    return NewDevice(door, knock, statement, device, knock.add_sig)


def let_in(door: OwnDoor, new: NewDevice, now: CaseSession) -> Exchange:
    """The entry, the keys, and the welcome, in one exchange; with it the way to all other cases (shelf.md)."""
    keys_stream, secret = now.row.keys_stream, now.row.keys_secret
    if keys_stream is None or secret is None:
        raise Misuse("not_permitted", "this device does not know where the keys lie")
    draft = add_device(now.known(), author_of(now), new.statement.keys, "", new.add_sig)
    exchange = exchange_of(now, draft)
    shelf = for_another(now.store, now.row.relay, now.around.random)
    welcome = doorstep.Welcome(now.case, keys_stream, secret, exchange.after.n, exchange.after.head, shelf)
    content = doorstep.encode_welcome(welcome)
    payload = doorstep.make_welcome(door.stream, new.device, new.statement.box, content)
    record = door.secrets.seal(payload, now.around.random(24))
    exchange.ops.append(wire.Append(stream=door.stream, cap=held(door.secrets.append_cap()), record=record))
    return exchange
