"""What to read in one round trip, and taking in the answers: keys first, then the charter, then everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from eigenkring import wire
from eigenkring.errors import Inadmissible, RelayMisbehaved
from eigenkring.ids import StreamId
from eigenkring.keys import Opened, open_bags
from eigenkring.session.doors import watched
from eigenkring.session.parts import CaseSession
from eigenkring.stream import StreamSecrets, accept
from eigenkring_crypto import capability
from eigenkring_crypto.errors import CryptoError

MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Want:
    """A read, and what it is for: keys, charter, part, door, view."""

    purpose: str
    stream: StreamId
    op: wire.Read


def wants(session: CaseSession) -> list[Want]:
    """One read for every stream this device may read, in the order in which the answers are taken in."""
    found: list[Want] = []
    keys = session.row.keys_stream
    if keys is None:
        return found

    def want(purpose: str, stream: StreamId, cap: bytes | None) -> None:
        if cap is not None:
            after = session.position(stream).length
            found.append(Want(purpose, stream, wire.Read(stream=stream, cap=cap, after=after, max_bytes=MAX_BYTES)))

    want("keys", keys, session.secrets(keys).read_cap())
    want("charter", session.charter_stream, _charter_cap(session))
    if session.charter is None:
        return found
    for part in session.charter.parts.values():
        want("part", part.stream, session.secrets(part.stream).read_cap())
    for door in watched(session):
        want("door", door.stream, door.secrets.read_cap())
    for grant in session.charter.grants.values():
        if grant.open:
            want("view", grant.down, session.secrets(grant.down).read_cap())
            want("view", grant.up, session.secrets(grant.up).read_cap())
    return found


def _charter_cap(session: CaseSession) -> bytes | None:
    secrets = session.charter_secrets()
    if not secrets:
        return None
    # The newest that anybody told of; when the relay refuses it, the one before: a keybag may have lied.
    epochs = sorted(secrets, reverse=True)
    epoch = epochs[session.charter_try % len(epochs)]
    stream = session.charter_stream
    return capability.read_capability(capability.read_secret(secrets[epoch], stream), stream, epoch)


def take_all(
    session: CaseSession, answers: Sequence[tuple[Want, wire.Result]], received: Callable[[int], None]
) -> bool:
    """Take in the answers of one exchange. Gives whether another round would bring more."""
    again = False
    charter_refused = False
    for want, result in answers:
        if isinstance(result, wire.Failed):
            if want.purpose == "charter" and result.code == "not_allowed":
                charter_refused = True
            elif result.code in ("closed", "expired", "no_stream"):
                _gone(session, want, result.code)
            continue
        if not isinstance(result, wire.Batch):
            raise RelayMisbehaved("relay_garbage", "the relay answered another operation")
        try:
            accepted = accept(
                session.position(want.stream),
                result,
                partial(session.store.chain_at, session.case, want.stream),
            )
        except RelayMisbehaved as error:
            session.alarm(error.code, want.purpose)
            continue
        if accepted.more and not accepted.placed:
            session.alarm("relay_garbage", want.purpose)  # it promises more and gives nothing: not worth another round
            continue
        if accepted.placed or accepted.replaced:
            session.store.put_records(session.case, want.stream, accepted.position, accepted.placed)
            received(len(accepted.placed))
            again = again or want.purpose in ("keys", "charter", "door")
            if want.purpose == "keys":
                _take_keys(session, [placed.record for placed in accepted.placed])
        again = again or accepted.more
    if session.fold_charter():
        session.charter_try = 0
        again = True
    session.open_parts()
    if charter_refused:
        session.charter_try += 1
        again = again or session.charter_try < len(session.charter_secrets())
        if not again:
            session.locked_out()
    elif session.charter is not None:
        session.charter_try = 0
        session.let_in_again()
    return again


def _take_keys(session: CaseSession, records: Sequence[bytes]) -> None:
    """Find the boxes for this device. What they hold is believed only when the charter confirms it."""
    keys, secret = session.row.keys_stream, session.row.keys_secret
    if keys is None or secret is None:
        raise AssertionError("reading keys without knowing them")
    at = StreamSecrets(keys, read=secret)
    for record in records:
        try:
            bag = open_bags(at.open(record), session.case, keys, secret, session.device(), session.keys.box)
        except (CryptoError, Inadmissible) as error:
            session.alarm(error.code, "keys")
            continue
        if bag is not None:
            _hold_bag(session, bag)
    session.remember_unconfirmed()


def _hold_bag(session: CaseSession, bag: Opened) -> None:
    for room, epoch, room_secret in bag.rooms:
        if session.ring.secret(room, epoch) is None:
            session.unconfirmed.setdefault((room, epoch), []).append((room_secret, bag.by))
    if bag.bag.blanks:
        session.store.put_fact(session.case, "blanks", msgspec.msgpack.encode(list(bag.bag.blanks)))


def hold(session: CaseSession, secrets: Sequence[tuple[str, int, bytes]]) -> None:
    """Secrets of an act that the relay has taken: used for reading the entry back, confirmed by it."""
    for room, epoch, secret in secrets:
        session.unconfirmed.setdefault((room, epoch), []).append((secret, session.device()))
    session.remember_unconfirmed()


def learned(session: CaseSession) -> bool:
    """Whether a refused append is worth another try: the locks may have been turned, and the keys have come since."""
    return session.refusals < 3


def append_refused(session: CaseSession, number: int, result: wire.Failed) -> bool:
    """A record that the relay did not take stays in the outbox, unless its stream is gone for good."""
    if result.code in ("closed", "no_stream", "expired"):
        session.alarm(result.code, "outbox")
        session.store.drop_outbox(number)
        return False
    session.refusals += 1
    if result.code != "not_allowed":
        session.alarm(result.code, "outbox")
    return True


def _gone(session: CaseSession, want: Want, code: str) -> None:
    if want.purpose in ("keys", "charter"):
        session.alarm(code, want.purpose)
        if code == "closed":
            session.put_row(state="closed")
    elif want.purpose == "part":
        session.alarm(code, session.name_of(want.stream))


def check_generation(session: CaseSession, generation: int) -> None:
    """A relay that was restored says so by a higher generation: told to people. A lower one is a lie or an old copy."""
    known = session.store.fact(session.case, "generation")
    now = generation.to_bytes(8, "big")
    if known is not None and now < known:
        raise RelayMisbehaved("rolled_back", "the relay went back to an older generation")
    if known is None or now > known:
        session.store.put_fact(session.case, "generation", now)
        if known is not None:
            session.alarm("new_generation", "relay")
