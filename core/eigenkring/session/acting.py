"""A charter act as one atomic exchange: the entry, the boxes, new streams, what else belongs, turned locks, closed streams.

Spec: docs/spec/charter.md, Narrowing. Who loses the race applies nothing and decides again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from eigenkring import wire
from eigenkring.charter.compose import Author, Draft, Opening, capability_hashes
from eigenkring.charter.entry import CutEntry, sign_entry
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter
from eigenkring.errors import Misuse
from eigenkring.ids import Capability, Chain, DeviceId, PersonId, StreamId
from eigenkring.keys import Bag, bag_of, seal_bags
from eigenkring.part.rights import cut_line
from eigenkring.rooms import EVERYONE, Keyring
from eigenkring.session import clocks
from eigenkring.session.case import CaseState, secrets_from
from eigenkring.session.parts import CaseSession
from eigenkring.stream import StreamSecrets
from eigenkring_crypto.sign import SigningKey

# The boxes of so many devices stay well below the longest record, whatever rooms they are in.
BOXES_IN_A_RECORD: Final = 200


# Who signs a record of boxes, and with which key.
Sealer: TypeAlias = tuple[DeviceId, SigningKey]


@dataclass(slots=True)
class Exchange:
    """Operations that take effect together, and the charter as it is when they did."""

    ops: list[wire.Operation]
    after: Charter
    payload: bytes
    secrets: list[tuple[str, int, bytes]] = field(default_factory=list, repr=False)


def author_of(session: CaseState) -> Author:
    """This device as the author of an entry that follows what it has read."""
    return Author(
        session.device(),
        session.ring,
        session.position(session.charter_stream).chain,
        clocks.borne_out(session),
        session.around.random,
        session.around.schema,
    )


def exchange_of(
    session: CaseState,
    draft: Draft,
    extra: Sequence[wire.Operation] = (),
    *,
    key: SigningKey | None = None,
    sealer: Sealer | None = None,
) -> Exchange:
    """Make the exchange of a draft. Raises ``Inadmissible`` where our own rules refuse the entry: nothing is sent then.
    ``key``: of the author, where that is the person's paper and not this device; ``sealer``: who seals the boxes, where
    the author is out with this very entry."""
    payload = sign_entry(draft.body, key or session.keys.sign)
    position = session.position(session.charter_stream)
    after = fold(session.known(), payload, session.case, position.chain, session.around.schema)
    ring = ring_with(session.ring, draft)
    ops: list[wire.Operation] = [_entry(session, after, ring, draft, payload, position.chain)]
    ops += keys_appends(session, after, bags_of(draft), sealer)
    ops += [open_op(opening) for opening in draft.opens]
    ops += extra
    for stream in draft.rekeys:
        read, append, manage = capability_hashes(after, ring, stream)
        cap = session.secrets(stream).manage_cap()
        if cap is not None and (read or append or manage):
            ops.append(wire.Rekey(stream=stream, cap=cap, read=read, append=append, manage=manage))
    for stream in draft.closes:
        cap = session.secrets(stream).manage_cap()
        if cap is not None:
            ops.append(wire.Close(stream=stream, cap=cap))
    secrets = [(room, epoch, bytes(secret)) for (room, epoch), secret in draft.new_secrets.items()]
    return Exchange(ops, after, payload, secrets)


def ring_with(ring: Keyring, draft: Draft) -> Keyring:
    held = ring.copy()
    for (room, epoch), secret in draft.new_secrets.items():
        held.add(room, epoch, secret)
    return held


def bags_of(draft: Draft) -> dict[DeviceId, Bag]:
    return {
        device: bag_of(draft.keybags.get(device, ()), (), draft.blanks.get(device, ()))
        for device in {**draft.keybags, **draft.blanks}
    }


def _entry(
    session: CaseState, after: Charter, ring: Keyring, draft: Draft, payload: bytes, expect: Chain
) -> wire.Operation:
    stream = session.charter_stream
    now = session.secrets(stream)
    sealed_with = now
    if (EVERYONE, after.rooms[EVERYONE].epoch) in draft.new_secrets:
        # Under the new epoch: whoever leaves does not read the entry, and a newcomer finds the link in it.
        sealed_with = secrets_after(after, ring, stream)
    record = sealed_with.seal(payload, session.around.random(24))
    return wire.Append(stream=stream, cap=held(now.append_cap()), record=record, expect=expect)


def secrets_after(after: Charter, ring: Keyring, stream: StreamId) -> StreamSecrets:
    """What a keyring gives to a stream in another state of the charter than the present one."""

    def secret_of(room: str) -> tuple[int, bytes] | None:
        epoch = after.rooms[room].epoch
        secret = ring.secret(room, epoch)
        return None if secret is None else (epoch, secret)

    rooms = after.stream_rooms(stream)
    return secrets_from(StreamSecrets(stream), (rooms.read, rooms.write, rooms.manage), secret_of)


def keys_appends(
    session: CaseState, after: Charter, bags: dict[DeviceId, Bag], sealer: Sealer | None = None
) -> list[wire.Operation]:
    """As many records of boxes as it takes: all of a large circle do not fit into one."""
    devices = list(bags)
    some = [devices[at : at + BOXES_IN_A_RECORD] for at in range(0, len(devices), BOXES_IN_A_RECORD)]
    return [keys_append(session, after, {device: bags[device] for device in group}, sealer) for group in some]


def keys_append(
    session: CaseState, after: Charter, bags: dict[DeviceId, Bag], sealer: Sealer | None = None
) -> wire.Operation:
    """One record of boxes; appended with the capability of before, like the entry it goes with."""
    stream, secret = session.row.keys_stream, session.row.keys_secret
    if stream is None or secret is None:
        raise Misuse("not_permitted", "this device does not know where the keys lie")
    seen = session.position(stream)
    by, key = sealer or (session.device(), session.keys.sign)
    payload = seal_bags(
        after,
        by,
        key,
        secret,
        (seen.length, seen.chain),
        bags,
        session.around.random,
    )
    secrets = session.secrets(stream)
    record = secrets.seal(payload, session.around.random(24))
    return wire.Append(stream=stream, cap=held(secrets.append_cap()), record=record)


def open_op(opening: Opening) -> wire.Operation:
    return wire.Open(
        stream=opening.stream,
        read=opening.read,
        append=opening.append,
        manage=opening.manage,
        expires=opening.expires,
    )


def held(cap: Capability | None) -> Capability:
    if cap is None:
        raise Misuse("not_permitted", "this device does not hold the keys for that")
    return cap


def cuts_for(session: CaseSession, leaving: Sequence[PersonId], devices: Sequence[DeviceId] = ()) -> list[CutEntry]:
    """For every part this device reads: the newest change it admitted from each actor of the devices that leave."""
    charter = session.known()
    gone = {device for person in leaving for device in charter.devices_of(person)} | set(devices)
    found = []
    for opened in session.parts.values():
        read = session.secrets(opened.part.stream).read
        if read is None:
            continue
        lines = []
        for actor, (sequence, change) in sorted(opened.fold.newest_by_actor().items()):
            if opened.fold.author_of(change) in gone:
                lines.append(cut_line(read, actor, sequence, change))
        found.append(CutEntry(opened.part.stream, tuple(sorted(lines))))
    return found
