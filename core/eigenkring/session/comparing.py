"""The four words that two people compare before any key is given. Spec: docs/spec/charter.md, Doorstep."""

from __future__ import annotations

from typing import Final

import msgspec

from eigenkring import doorstep
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, DeviceId, StreamId
from eigenkring.session.case import CaseState
from eigenkring.session.doors import Knocked
from eigenkring.session.own_door import NewDevice
from eigenkring.store import Store
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.words import comparison_words

# One list for both: who reads them out may have another language on the screen than who listens.
LANGUAGE: Final = "nl"


def nonce_for(session: CaseState, knocked: Knocked | NewDevice) -> bytes | None:
    """The nonce of this knock. None where the room was turned since the link was made: who was put out of it can work
    out what its devices would answer, so a new link is needed."""
    if isinstance(knocked, NewDevice):
        # A turn moves this door, so that its room's secret is always the newest.
        return doorstep.nonce_for(knocked.door.room_secret, knocked.door.stream, knocked.knock.statement)
    door, charter = knocked.door, session.known()
    epoch = charter.epoch_at(door.room, door.of.n)
    secret = None if epoch is None else session.ring.secret(door.room, epoch)
    if secret is None or epoch != charter.rooms[door.room].epoch:
        return None
    return doorstep.nonce_for(secret, knocked.door.stream, knocked.knock.statement)


def confirmed(knocked: Knocked | NewDevice) -> str:
    """The fact that a person said the words are the same; its value is the device."""
    door = knocked.door.stream if isinstance(knocked, NewDevice) else knocked.door.id
    return f"confirmed {door.hex()}"


def words_of(session: CaseState, knocked: Knocked | NewDevice) -> list[str] | None:
    """What this side shows. None while the visitor was not given the nonce: their screen would show nothing."""
    nonce = nonce_for(session, knocked)
    if nonce is None or not was_given(session, knocked, nonce):
        return None
    return comparison_words(doorstep.words_digest(knocked.knock.statement, nonce), LANGUAGE)


def was_given(session: CaseState, knocked: Knocked | NewDevice, nonce: bytes) -> bool:
    """Whether the nonce lies on the doorstep."""
    for placed in session.store.records(session.case, knocked.door.stream, 1):
        try:
            payload = knocked.door.secrets.open(placed.record)
            found = doorstep.open_nonce(payload, knocked.device, knocked.knock.device_sig, knocked.door.stream)
        except (CryptoError, Inadmissible):
            continue  # noise of somebody who has the link
        if found is not None:
            return found == nonce
    return False


# --- the visitor's side; ``owner`` is the case, and of a reader the grant


def keep_knock(store: Store, owner: CaseId, knock: doorstep.Knock | None) -> None:
    """What was signed at the newest door, None where no words are compared there."""
    store.put_fact(owner, "knock", None if knock is None else msgspec.msgpack.encode(knock))
    store.put_fact(owner, "nonce", None)


def own_words(store: Store, owner: CaseId) -> list[str] | None:
    """What a visitor's screen shows. None while nobody of the circle saw the knock, or where another one was first."""
    packed, nonce = store.fact(owner, "knock"), store.fact(owner, "nonce")
    if packed is None or nonce is None:
        return None
    knock = msgspec.msgpack.decode(packed, type=doorstep.Knock)
    return comparison_words(doorstep.words_digest(knock.statement, nonce), LANGUAGE)


def take_nonce(store: Store, owner: CaseId, device: DeviceId, stream: StreamId, payload: bytes) -> None:
    """The first nonce that the circle made for this very knock; whoever else writes on the doorstep cannot."""
    packed = store.fact(owner, "knock")
    if packed is None or store.fact(owner, "nonce") is not None:
        return
    knock = msgspec.msgpack.decode(packed, type=doorstep.Knock)
    try:
        nonce = doorstep.open_nonce(payload, device, knock.device_sig, stream)
    except Inadmissible:
        return
    if nonce is not None:
        store.put_fact(owner, "nonce", nonce)
