"""Views: what the circle shows to a reader, and the keys for it. Spec: docs/spec/view.md."""

from __future__ import annotations

from collections.abc import Iterator

from eigenkring import doorstep, wire
from eigenkring import grant as grants
from eigenkring.charter.state import Grant
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import RoomSecret
from eigenkring.rooms import CIRCLE, grant_room, own_room
from eigenkring.session import clocks
from eigenkring.session.acting import held
from eigenkring.session.doors import Knocked, door_secrets, terms_of
from eigenkring.session.parts import CaseSession
from eigenkring.stream import Placed
from eigenkring.view import (
    Projection,
    Selection,
    View,
    make_view,
    open_view,
    pack_projection,
    project,
    view_digest,
)
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import record_epoch
from eigenkring_crypto.sign import SigningKey


def documents_for(
    session: CaseSession, selection: Selection
) -> dict[str, dict[str, dict[str, dict[str, object]]]] | None:
    """The selected parts as they are now; None where this device does not read them all."""
    found = {}
    for name in selection.parts:
        part = session.known().parts.get(name)
        opened = None if part is None else session.parts.get(part.stream)
        if opened is None:
            return None
        found[name] = session.read(opened)
    return found


def projection_for(session: CaseSession, selection: Selection, pseudonyms: bytes) -> Projection | None:
    """What a reader of this selection sees now: published views and the preview are made by this one function."""
    documents = documents_for(session, selection)
    if documents is None:
        return None
    people = {person.person: person.name for person in session.known().people.values()}
    return project(selection, documents, people, pseudonyms)  # type: ignore[arg-type]


def publication(session: CaseSession, grant: Grant) -> list[wire.Operation]:
    """What to send so that the reader sees the present; nothing where they do already, or where it is not ours to publish."""
    terms = terms_of(session, grant)
    circle = session.room_secret(CIRCLE)
    secrets = session.secrets(grant.down)
    if terms is None or circle is None or secrets.read is None or clocks.borne_out(session) >= grant.until:
        return []
    try:
        # An owner signed the terms, not the schema: what may never be shown is refused here too.
        terms.selection.check(session.around.schema, grant.granter)
    except Misuse:
        session.alarm("not_permitted", f"grant {grant.grant.hex()}")
        return []
    projection = projection_for(session, terms.selection, terms.pseudonyms)
    if projection is None:
        return []
    parts = pack_projection(projection)
    last = latest_view(session, grant)
    publisher = grants.publisher_key(RoomSecret(circle[1]), grant.grant)
    version = 1
    if last is not None:
        view, epoch, signer = last
        if view.digest == view_digest(parts):
            if epoch == secrets.read_epoch and signer == publisher.public:
                return []
            version = view.v  # the same words behind a new lock
        else:
            version = view.v + 1
    position = session.position(grant.down)
    payload = make_view(
        publisher,
        grant.down,
        grant=grant.grant,
        v=version,
        length=position.length,
        chain=position.chain,
        until=grant.until,
        to=terms.to,
        parts=parts,
        who=grants.seal_author(terms.pseudonyms, grant.grant, session.device(), session.around.random(24)),
    )
    record = secrets.seal(payload, session.around.random(24))
    if position.length == 0:
        cap = held(secrets.append_cap())
        return [wire.Append(stream=grant.down, cap=cap, record=record, expect=position.chain)]
    cap = held(secrets.manage_cap())
    return [wire.Replace(stream=grant.down, cap=cap, expect=position.chain, record=record)]


def latest_view(session: CaseSession, grant: Grant) -> tuple[View, int, bytes] | None:
    """The newest view that a device of the circle published, its epoch, and the key that signed it."""
    for placed in reversed(session.store.records(session.case, grant.down)):
        found = _open(session, grant, placed)
        if found is not None:
            return found
    return None


def _open(session: CaseSession, grant: Grant, placed: Placed) -> tuple[View, int, bytes] | None:
    try:
        payload = session.open_record(grant.down, grant_room(grant.grant), placed.record)
        epoch = record_epoch(placed.record)
    except CryptoError:
        return None
    for key in _publishers(session, grant):
        try:
            return open_view(payload, grant.down, grant.grant, key.public), epoch, key.public
        except Inadmissible:
            continue
    return None


def _publishers(session: CaseSession, grant: Grant) -> Iterator[SigningKey]:
    """The publishing keys of this grant, newest first: the circle's secret turns, and the key with it."""
    held_epochs = sorted((epoch for room, epoch, _ in session.ring if room == CIRCLE), reverse=True)
    for epoch in held_epochs:
        secret = session.ring.secret(CIRCLE, epoch)
        if secret is not None:
            yield grants.publisher_key(secret, grant.grant)


# --- grant states


def state_number(session: CaseSession, grant: Grant) -> int:
    """Rises whenever the grant's secret or the circle's turns, the same on every device. It counts from the grant's own
    beginning: from the circle's, a reader would learn how many were put out before."""
    rooms = session.known().rooms
    return rooms[grant_room(grant.grant)].epoch + rooms[CIRCLE].epoch - record_epoch(grant.terms)


def granter_keys(session: CaseSession, grant: Grant) -> list[SigningKey]:
    """From the key that the reader pinned first to the newest: another one for each epoch of the room `@owner`, so that
    the key of a device that was put out ends with it. Empty for a device of another owner."""
    if grant.granter != session.me():
        return []
    room = own_room(session.me())
    secrets = sorted((epoch, secret) for held_room, epoch, secret in session.ring if held_room == room)
    keys = [grants.granter_key(secret, grant.grant) for _, secret in secrets]
    first = next((at for at, key in enumerate(keys) if key.public == grant.granter_key), len(keys))
    return keys[first:]


def signed_state(session: CaseSession, grant: Grant) -> grants.SignedState:
    """The present state of a grant, signed by whoever gave it."""
    keys, terms = granter_keys(session, grant), terms_of(session, grant)
    own, circle = session.room_secret(grant_room(grant.grant)), session.room_secret(CIRCLE)
    if not keys or terms is None or own is None or circle is None:
        raise Misuse("not_permitted", "only a device of whoever gave access can do that")
    state = grants.GrantState(
        grant=grant.grant,
        n=state_number(session, grant),
        down=grant.down,
        up=grant.up,
        secret=RoomSecret(own[1]),
        epoch=own[0],
        publisher=grants.publisher_key(RoomSecret(circle[1]), grant.grant).public,
        until=grant.until,
        to=terms.to,
    )
    return grants.sign_state(keys, state)


def welcome_reader(session: CaseSession, grant: Grant, knocked: Knocked) -> bytes:
    content = grants.make_welcome(grant.grant, signed_state(session, grant))
    return doorstep.make_welcome(knocked.door.stream, knocked.device, knocked.statement.box, content)


def turned_grants(session: CaseSession) -> list[Grant]:
    """Grants whose reader does not have the present state yet, as far as this device knows, and that it can sign for."""
    return [
        grant
        for grant in session.known().grants.values()
        if grant.open
        and grant.device is not None
        and granter_keys(session, grant)
        and session.room_secret(grant_room(grant.grant)) is not None
        and session.store.fact(session.case, f"state {grant.grant.hex()}") != _mark(session, grant)
    ]


def next_state(session: CaseSession, grant: Grant) -> list[wire.Operation]:
    terms = terms_of(session, grant)
    if grant.device is None or terms is None:
        raise Misuse("not_permitted", "nobody reads this grant yet")
    payload = grants.make_turned(grant.device.box, grant.doorstep, grant.device.device, signed_state(session, grant))
    door = door_secrets(session, grant.doorstep, terms.seed, "owner")
    record = door.seal(payload, session.around.random(24))
    cap = held(session.secrets(grant.doorstep).append_cap())
    return [wire.Append(stream=grant.doorstep, cap=cap, record=record)]


def _mark(session: CaseSession, grant: Grant) -> bytes:
    return state_number(session, grant).to_bytes(8, "big")


def state_given(session: CaseSession, grant: Grant) -> None:
    """The reader has the present state: the relay took it."""
    session.store.put_fact(session.case, f"state {grant.grant.hex()}", _mark(session, grant))
