"""Entering as a device that was only a seed, on paper or in an address, and putting a real one in its place.

Spec: docs/spec/recovery.md. Each step may be interrupted and done again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.entry import Keys, Sleeping, device_id
from eigenkring.errors import Refused, RelayMisbehaved
from eigenkring.ids import CaseId, DeviceId, StreamId
from eigenkring.paper import Sheet
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.session.parts import CaseSession
from eigenkring.store import StoredCase
from eigenkring.stream import Placed, Position, StreamSecrets, accept
from eigenkring.sync import SyncReport, round_trip
from eigenkring.transport import Transport
from eigenkring_crypto.device import DeviceKeys

if TYPE_CHECKING:
    from eigenkring.case import Case
    from eigenkring.library import Device

# The fact of a case that is on its way here: the seed of the device that is to live in it.
RECOVERING: Final = "recovering"
MAX_ROUNDS: Final = 24
MAX_READS: Final = 64


def sheet_for(device: Device, case: Case) -> Sheet | None:
    """A seed for a case, and where its keys lie; None where this device does not know that yet."""
    session = case.session
    if session.row.keys_stream is None or session.row.keys_secret is None:
        return None
    charter, row = session.known(), session.row
    seed = device.around.random(32)
    return Sheet(
        session.case, row.relay, seed, session.row.keys_stream, session.row.keys_secret, charter.n, charter.head
    )


def keys_of(seed: bytes) -> tuple[DeviceKeys, Keys]:
    grown = DeviceKeys.from_seed(seed)
    return grown, Keys(grown.sign.public, grown.box.public)


def add_sleeper(case: Case, sheet: Sheet, sleeping: Sleeping) -> DeviceId:
    """The entry that makes the seed a device. Raises ``Unreachable``, ``Refused``, ``Inadmissible``."""
    grown, keys = keys_of(sheet.seed)
    signed = compose.sign_new_device(case.session.case, case.session.me(), keys, grown.sign)
    case.act(lambda now: exchange_of(now, compose.add_device(now.known(), author_of(now), keys, sleeping, signed)))
    return device_id(case.session.case, keys)


def wake(device: Device, sheet: Sheet) -> tuple[CaseSession, Transport]:
    """This home as the sleeping device of a sheet, caught up. What was known of the case here goes, but for the seed of the
    device that is to come."""
    case, store, random = CaseId(sheet.case), device.store, device.around.random
    row = StoredCase(
        case=case,
        relay=sheet.relay,
        state="entering",
        seed=sheet.seed,
        incarnation=random(8),
        device=device_id(case, keys_of(sheet.seed)[1]),
        keys_stream=StreamId(sheet.keys),
        keys_secret=sheet.secret,
    )
    with store.step():
        known = store.case(case)
        if known is None or known.seed != sheet.seed:
            kept = store.fact(case, RECOVERING)
            if known is not None:
                store.erase_case(case)
            store.put_case(row)
            store.put_fact(case, RECOVERING, kept or random(32))
            store.put_fact(case, "pinned", msgspec.msgpack.encode([[sheet.n, sheet.head]]))
        else:
            row = known
    device.forget(case)
    session = CaseSession(store, row, device.around)
    transport = device.transport(case, sheet.relay)
    catch_up(session, transport)
    return session, transport


def catch_up(session: CaseSession, transport: Transport) -> None:
    """Read all there is. Without duties: what sleeps only wakes to let its person in."""
    session.begin_sync()
    for _ in range(MAX_ROUNDS):
        if not round_trip(session, transport, SyncReport()):
            break


def coming_seed(session: CaseSession) -> bytes:
    """The seed of the device that takes its place."""
    seed = session.store.fact(session.case, RECOVERING)
    if seed is None:
        raise AssertionError("waking without the seed of the new device")
    return seed


def take_place(device: Device, session: CaseSession) -> None:
    """From here on this home is the new device."""
    seed, case = coming_seed(session), session.case
    with device.store.step():
        row = replace(
            session.row,
            seed=seed,
            device=device_id(case, keys_of(seed)[1]),
            incarnation=device.around.random(8),
            state="open" if session.row.state == "removed" else session.row.state,
        )
        device.store.put_case(row)
        device.store.put_fact(case, RECOVERING, None)
        device.store.drop_alarm(case, "removed", "charter")
    device.forget(case)


# --- streams of one person


def sent(transport: Transport, ops: list[wire.Operation]) -> None:
    """All or nothing. Raises ``Refused``, ``Unreachable``."""
    results = transport.exchange(ops, atomic=True).results
    failed = next((r for r in results if isinstance(r, wire.Failed) and r.code != "not_done"), None)
    if failed is not None:
        raise Refused(failed.code)


def read_from(transport: Transport, secrets: StreamSecrets, at: Position) -> list[Placed]:
    """The records after a position. Raises ``Refused``, ``RelayMisbehaved``, ``Unreachable``."""
    found: list[Placed] = []
    cap = secrets.read_cap()
    if cap is None:
        raise AssertionError("a stream of one's own without its read secret")
    for _ in range(MAX_READS):
        result = transport.exchange([wire.Read(stream=secrets.stream, cap=cap, after=at.length)]).results[0]
        if isinstance(result, wire.Failed):
            raise Refused(result.code)
        if not isinstance(result, wire.Batch):
            raise RelayMisbehaved("relay_garbage", "the relay answered another operation")
        accepted = accept(at, result, lambda _: None)
        found += accepted.placed
        at = accepted.position
        if not accepted.more or not accepted.placed:
            break
    return found
