"""The doorsteps this device watches, so that it can let in who knocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eigenkring import doorstep
from eigenkring.charter.state import Grant, Invitation
from eigenkring.errors import Inadmissible
from eigenkring.grant import Terms, open_terms
from eigenkring.ids import DeviceId, RoomSecret, StreamId
from eigenkring.rooms import CIRCLE, OWNERS
from eigenkring.session.case import CaseState
from eigenkring.stream import StreamSecrets
from eigenkring_crypto import capability
from eigenkring_crypto.box import BoxKey
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import record_epoch


@dataclass(frozen=True, slots=True)
class Door:
    """A doorstep of this case, open for the one who holds the link."""

    stream: StreamId
    of: Invitation | Grant
    seed: bytes
    secrets: StreamSecrets
    compare: bool

    @property
    def id(self) -> bytes:
        return self.of.invitation if isinstance(self.of, Invitation) else self.of.grant

    @property
    def room(self) -> str:
        """Whose secret gives M and the knock key, and makes the nonce."""
        return self.of.manage if isinstance(self.of, Invitation) else OWNERS


@dataclass(frozen=True, slots=True)
class Knocked:
    """A knock whose statement holds."""

    door: Door
    knock: doorstep.Knock
    statement: doorstep.Statement
    device: DeviceId


def _seed_of(session: CaseState, invitation: Invitation) -> bytes | None:
    """Also of a link that another device made: whoever of the room is online lets the visitor in."""
    own = session.store.fact(session.case, f"seed {invitation.doorstep.hex()}")
    if own is not None or not invitation.terms:
        return own
    try:
        secret = session.ring.secret(invitation.manage, record_epoch(invitation.terms))
        return None if secret is None else doorstep.open_seed(secret, invitation.doorstep, invitation.terms)
    except (CryptoError, Inadmissible):
        return None  # terms that are no terms: only the one who made the link can answer


def terms_of(session: CaseState, grant: Grant) -> Terms | None:
    """What the circle knows of a grant; None for a device outside the circle. Terms that are no terms show nothing."""
    try:
        secret = session.ring.secret(CIRCLE, record_epoch(grant.terms))
        return None if secret is None else open_terms(secret, grant.grant, grant.terms)
    except (CryptoError, Inadmissible):
        return None


def door_secrets(session: CaseState, stream: StreamId, seed: bytes, manage_room: str) -> StreamSecrets:
    held = session.room_secret(manage_room)
    return StreamSecrets(
        stream,
        read=doorstep.read_secret(seed, stream),
        write=doorstep.write_secret(seed, stream),
        manage=None if held is None else capability.manage_secret(held[1], stream),
        manage_epoch=0 if held is None else held[0],
    )


def door_of(session: CaseState, invitation: Invitation) -> Door | None:
    """None for a device that may not open it."""
    seed = None if session.room_secret(invitation.manage) is None else _seed_of(session, invitation)
    if seed is None:
        return None
    secrets = door_secrets(session, invitation.doorstep, seed, invitation.manage)
    return Door(invitation.doorstep, invitation, seed, secrets, invitation.compare)


def watched(session: CaseState) -> list[Door]:
    """Doors where somebody may knock and that this device may open."""
    charter = session.charter
    if charter is None or session.row.person is None:
        return []
    found: list[Door] = []
    for invitation in charter.invitations.values():
        door = door_of(session, invitation) if invitation.state == "open" else None
        if door is not None:
            found.append(door)
    if charter.is_owner(session.row.person):
        for grant in charter.grants.values():
            mine = grant.granter == session.row.person  # only that owner can sign what the reader is given
            terms = terms_of(session, grant) if mine and grant.open and grant.device is None else None
            if terms is not None:
                secrets = door_secrets(session, grant.doorstep, terms.seed, OWNERS)
                found.append(Door(grant.doorstep, grant, terms.seed, secrets, terms.compare))
    return found


def knocks(session: CaseState, door: Door) -> Iterator[Knocked]:
    """Valid knocks, in the order of the doorstep: the first one wins, so nobody who comes later pushes in before."""
    held = [secret for room, _, secret in session.ring if room == door.room]
    keys = [doorstep.knock_key(RoomSecret(secret), door.stream) for secret in held]
    for placed in session.store.records(session.case, door.stream, 1):
        try:
            payload = door.secrets.open(placed.record)
        except CryptoError:
            continue  # noise of somebody who has the link
        found = _knock_in(session, door, payload, keys)
        if found is not None:
            yield found


def _knock_in(session: CaseState, door: Door, payload: bytes, keys: list[BoxKey]) -> Knocked | None:
    for key in keys:
        try:
            knock = doorstep.open_knock(payload, key, door.stream, door.id)
            case = door.of.at_the_door if isinstance(door.of, Grant) else session.case
            statement, device = doorstep.check_statement(knock, case, door.id, door.stream, door.of.seed_key)
        except Inadmissible:
            continue
        return Knocked(door, knock, statement, device)
    return None
