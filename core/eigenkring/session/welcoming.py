"""Laying a welcome once more at a door whose relay lost it, so that who was let in meanwhile need not be put out and invited anew.

All that is in it stands in the charter, but for the door's seed, which every device has that may open doors. Spec:
docs/spec/streams.md, After a relay was put back.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import msgspec

from eigenkring import doorstep, wire
from eigenkring.charter.state import Device, Invitation
from eigenkring.session import clocks
from eigenkring.session.acting import held
from eigenkring.session.case import CaseState
from eigenkring.session.doors import Door, door_of
from eigenkring.stream import Position
from eigenkring_crypto.errors import CryptoError

Steps = Generator[list[wire.Operation], Sequence[wire.Result], None]
_MAX_BYTES: Final = 1_000_000


def steps(session: CaseState) -> Steps:
    """Lists of operations to send, none of them atomic; each is answered with its results."""
    doors = _used(session)
    if not doors:
        return
    found = list(zip(doors, (yield [_read(door) for door in doors]), strict=True))
    lacking = [door for door, result in found if isinstance(result, wire.Batch) and _lacks(session, door, result)]
    # The link is pinned to exactly that greeting: who never read it leaves the door to another device.
    gone = [door for door, result in found if _code(result) == "no_stream" and _greeting(session, door)]
    if gone:
        # `exists`: another device opened it a moment ago.
        yield [msgspec.structs.replace(door.secrets.opening(), expires=_of(door).expires) for door in gone]
    bare = [door for door, result in found if isinstance(result, wire.Batch) and not result.length]
    empty = [door for door in (*gone, *bare) if _greeting(session, door)]
    if empty:
        laid = yield [op for door in empty for op in _greeting(session, door)]
        # A welcome that lay first would be taken for the greeting. `conflict`: another device was first.
        lacking += [door for door, result in zip(empty, laid, strict=True) if _code(result) in (None, "conflict")]
    if lacking:
        yield [op for door in lacking for op in _welcome(session, door)]


def _read(door: Door) -> wire.Operation:
    return wire.Read(stream=door.stream, cap=held(door.secrets.read_cap()), after=0, max_bytes=_MAX_BYTES)


def _used(session: CaseState) -> list[Door]:
    """Doors by which somebody was let in who belongs, before their date: the link says that they may still be waited for."""
    now, charter = clocks.borne_out(session), session.known()
    used = [
        one for one in charter.invitations.values() if one.state == "used" and now < one.expires and _came(session, one)
    ]
    return [door for one in used if (door := door_of(session, one)) is not None]


def _came(session: CaseState, invitation: Invitation) -> Device | None:
    known = None if invitation.device is None else session.known().devices.get(invitation.device)
    return known if known is not None and known.here else None


def _code(result: wire.Result) -> str | None:
    return result.code if isinstance(result, wire.Failed) else None


def _lacks(session: CaseState, door: Door, batch: wire.Batch) -> bool:
    """Something lies there, and no welcome for who was let in."""
    came = _came(session, _of(door))
    for record in batch.records:
        try:
            if came is not None and doorstep.welcome_for(door.secrets.open(record), came.device):
                return False
        except CryptoError:
            continue  # noise of somebody who has the link
    return batch.length > 0


def _of(door: Door) -> Invitation:
    if not isinstance(door.of, Invitation):
        raise AssertionError("a door of another kind")
    return door.of


def _greeting(session: CaseState, door: Door) -> list[wire.Operation]:
    """The first record of the door, as it was; of two devices that lay it, one comes first."""
    kept = session.store.records(session.case, door.stream)
    if not kept or kept[0].index != 1:
        return []
    start, cap = Position.start(door.stream).chain, held(door.secrets.append_cap())
    return [wire.Append(stream=door.stream, cap=cap, record=kept[0].record, expect=start)]


def _welcome(session: CaseState, door: Door) -> list[wire.Operation]:
    """For exactly the device that the charter let in, with the place of its entry there."""
    charter, came, n = session.known(), _came(session, _of(door)), _of(door).joined_n
    keys, secret = session.row.keys_stream, session.row.keys_secret
    if came is None or n is None or keys is None or secret is None:
        return []
    content = doorstep.encode_welcome(doorstep.Welcome(session.case, keys, secret, n, charter.heads[n]))
    payload = doorstep.make_welcome(door.stream, came.device, came.box, content)
    record = door.secrets.seal(payload, session.around.random(24))
    return [wire.Append(stream=door.stream, cap=held(door.secrets.append_cap()), record=record)]
