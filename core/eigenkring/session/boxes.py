"""The `keys` stream on one device: finding its own boxes, and checking who sent what. Spec: docs/spec/charter.md, Keys."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import RoomSecret
from eigenkring.keys import Opened, check_payload, open_bags
from eigenkring.session import asks, preparing
from eigenkring.session.case import CaseState
from eigenkring.stream import StreamSecrets
from eigenkring_crypto.errors import CryptoError

# Secrets kept for one epoch of a room until the charter says which is right.
KEPT_OF_ONE_EPOCH = 8
# Records that wait for a charter entry. Who writes more of them has something else in mind.
KEYS_THAT_WAIT = 64


def take_keys(session: CaseState, records: Sequence[tuple[int, bytes]]) -> None:
    """Find the boxes for this device. What they hold is believed only when the charter confirms it."""
    keys, secret = session.row.keys_stream, session.row.keys_secret
    if keys is None or secret is None:
        raise AssertionError("reading keys without knowing them")
    at = StreamSecrets(keys, read=secret)
    waiting = session.unchecked_keys()
    for index, record in records:
        try:
            bag = open_bags(at.open(record), session.case, keys, secret, session.device(), session.keys.box)
        except (CryptoError, Inadmissible) as error:
            session.alarm(error.code, "keys")
        else:
            if bag is not None:
                _hold_bag(session, bag)
        waiting.append(index)
    session.remember_unconfirmed()
    session.remember_unchecked_keys(waiting[-KEYS_THAT_WAIT:])


def _hold_bag(session: CaseState, bag: Opened) -> None:
    for room, epoch, room_secret in bag.rooms:
        told = session.unconfirmed.setdefault((room, epoch), [])
        # Also beside one that is held: a relay that was put back may show a charter with another of that epoch.
        if session.ring.secret(room, epoch) != room_secret and all(room_secret != known for known, _ in told):
            told.append((room_secret, bag.by))
            # Neither the first nor the last may push out the true one; the last of many may be lost.
            del told[KEPT_OF_ONE_EPOCH:]
        if not told:
            del session.unconfirmed[room, epoch]


def all_told(session: CaseState) -> list[tuple[str, int, bytes, bytes]]:
    """Every room secret that a box for this device ever held, with its sender: whatever charter it belongs to."""
    keys, secret, found = session.row.keys_stream, session.row.keys_secret, []
    if keys is None or secret is None:
        return []
    at = StreamSecrets(keys, read=secret)
    for placed in session.store.records(session.case, keys):
        try:
            bag = open_bags(at.open(placed.record), session.case, keys, secret, session.device(), session.keys.box)
        except (CryptoError, Inadmissible):
            continue
        found += [] if bag is None else [(*given, bytes(bag.by)) for given in bag.rooms]
    return found


def check_keys(session: CaseState) -> None:
    """Check every record of keys against the charter it names: who signed it, what they saw, what they gave to us."""
    keys, secret, charter = session.row.keys_stream, session.row.keys_secret, session.charter
    waiting = session.unchecked_keys()
    if not waiting or keys is None or secret is None or charter is None:
        return
    at, left = StreamSecrets(keys, read=secret), []
    for placed in session.store.records(session.case, keys, waiting[0] - 1):
        if placed.index not in waiting:
            continue
        payload = b""
        try:
            payload = at.open(placed.record)
            by, length, chain = check_payload(payload, charter)
            bag = open_bags(payload, session.case, keys, secret, session.device(), session.keys.box)
        except CryptoError:
            continue  # noise, told when it came
        except Inadmissible as error:
            if charter_is_behind(session, payload):
                left.append(placed.index)
            else:
                session.alarm(error.code, "keys")
            continue
        known = session.store.chain_at(session.case, keys, length)
        if length >= placed.index or (known is not None and known != chain):
            session.alarm("false_seen", f"keys of device {by.hex()}")
        if bag is not None:
            _check_bag(session, bag)
    session.remember_unchecked_keys(left)


def signed_keys(session: CaseState, record: bytes) -> bool:
    """Whether somebody of this case made this record of keys."""
    keys, secret, charter = session.row.keys_stream, session.row.keys_secret, session.charter
    if keys is None or secret is None or charter is None:
        return False
    try:
        check_payload(StreamSecrets(keys, read=secret).open(record), charter)
    except (CryptoError, Inadmissible):
        return False
    return True


def charter_is_behind(session: CaseState, payload: bytes) -> bool:
    """Whether a record of keys belongs to an entry that was not read here yet."""
    try:
        body = msgspec.msgpack.decode(msgspec.msgpack.decode(payload)["body"])
        return bool(body["n"] > session.known().n)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return False


def _check_bag(session: CaseState, bag: Opened) -> None:
    charter = session.known()
    for room, epoch, room_secret in bag.rooms:
        try:
            session.ring.check(charter, room, epoch, RoomSecret(room_secret))
        except Inadmissible as error:
            session.alarm(error.code, f"device {bag.by.hex()}")
            told = session.unconfirmed.pop((room, epoch), [])
            left = [value for value in told if value[0] != room_secret]
            if left:
                session.unconfirmed[room, epoch] = left
            session.remember_unconfirmed()
    sender = charter.person_of(bag.by)
    if bag.bag.acts and sender is not None:
        if any(ask.act == preparing.WANTED for ask in bag.bag.acts):
            preparing.take_wish(session, bag.by)
        asks.take(session, [ask for ask in bag.bag.acts if ask.act != preparing.WANTED])
    if bag.bag.blanks and sender is not None and charter.is_owner(sender.person):
        # Of an owner only: whoever chooses a stream's manage hash can close it.
        preparing.hold(session, bag.bag.blanks)


def hold(session: CaseState, secrets: Sequence[tuple[str, int, bytes]]) -> None:
    """Secrets of an act that the relay has taken: used for reading the entry back, confirmed by it."""
    for room, epoch, secret in secrets:
        session.unconfirmed.setdefault((room, epoch), []).insert(0, (secret, session.device()))
    session.remember_unconfirmed()
