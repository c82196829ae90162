"""A person's own devices in one case: another one added with a link, one that was lost put out."""

from __future__ import annotations

from typing import Any

from eigenkring import doorstep, wire
from eigenkring.case import MIN_PREFIX, Case
from eigenkring.charter import compose
from eigenkring.errors import Misuse, Refused, RelayMisbehaved
from eigenkring.ids import DeviceId
from eigenkring.link import Link, format_link
from eigenkring.receipts import day_of
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of, held
from eigenkring.session.own_door import LINK_OUT, OwnDoor, greeting, opening, own_doors
from eigenkring.session.parts import CaseSession


def add_device(case: Case, *, compare: bool = False) -> str:
    """A link for another device of this person. It lets in whoever comes first: show it to nobody else. With ``compare``
    nobody before four words were compared (``pending``, ``confirm`` with the own name).

    Any device of the person that is online lets the new one in. Raises ``Misuse("not_yet")``, ``Unreachable``.
    """
    _ = case.charter
    session = case.session
    doors = own_doors(session)
    if not doors:
        raise Misuse("not_yet", "this person has no room of the own yet; sync first")
    door = next(one for one in doors if one.compare == compare)
    payload = greeting(session, door)
    # Before anybody can knock: from now on this device asks for the door.
    session.store.put_fact(session.case, LINK_OUT, door.expires.to_bytes(8, "big"))
    results = case.transport.exchange(opening(session, door, payload), atomic=True).results
    failed = next((r for r in results if isinstance(r, wire.Failed) and r.code != "not_done"), None)
    if failed is not None and failed.code != "exists":
        raise Refused(failed.code)
    # Another device, or this one before, may have opened the door of this hour: what lies there first is the greeting.
    first = _first(case, door)
    pin = doorstep.greeting_pin(first)
    return format_link(Link(session.row.relay, doorstep.OWN_DEVICE, door.stream, door.seed, pin))


def _first(case: Case, door: OwnDoor) -> bytes:
    reply = case.transport.exchange([wire.Read(stream=door.stream, cap=held(door.secrets.read_cap()), after=0)])
    result = reply.results[0]
    if not isinstance(result, wire.Batch) or not result.records:
        raise RelayMisbehaved("relay_garbage", "the relay does not show the door that it opened")
    return door.secrets.open(result.records[0])


def devices(case: Case) -> list[dict[str, Any]]:
    """``[{"device", "kind", "since", "this"}]`` of one's own devices that belong now. ``kind``: device, link or paper.
    Raises ``Ended("removed")``."""
    charter, session = case.charter, case.session
    at = {entry.body.n: entry.body.at for entry in session.entries if entry.body is not None}
    return [
        {
            "device": device.device.hex(),
            "kind": device.sleeping or "device",
            "since": day_of(at.get(device.since_n, 0)),
            "this": device.device == session.device(),
        }
        for device in charter.devices.values()
        if device.here and device.person == session.me()
    ]


def remove_device(case: Case, text: str) -> dict[str, Any]:
    """Put one of one's own devices out: nothing it writes counts any more, and it reads nothing that comes after; of
    rooms that others turn, once they have. Gives ``{"removed", "renewed"}``: grants that another key signs from now on.

    Raises ``Misuse``: ``no_such_item``, ``ambiguous``; ``Inadmissible("not_permitted")`` for paper.
    """
    wanted = text.strip().lower()
    own = [DeviceId(bytes.fromhex(row["device"])) for row in devices(case)]
    found = [device for device in own if device.hex().startswith(wanted) and len(wanted) >= MIN_PREFIX]
    if len(found) != 1:
        raise Misuse("ambiguous" if found else "no_such_item", "you have no device with that number")
    case.act(lambda now: removal(now, found))
    me = case.session.me()
    case.sync_quietly()  # the readers are told of the key that signs from now on
    given = [g.grant.hex() for g in case.charter.grants.values() if g.open and g.granter == me]
    return {"removed": found[0].hex(), "renewed": given}


def removal(session: CaseSession, gone: list[DeviceId]) -> Exchange:
    """The entry that puts these own devices out, with the cuts and the turned locks; and with them what sleeps in an
    address: whoever had the phone may have made it. Raises ``Inadmissible`` where a rule of the charter does not let it."""
    me, known = session.me(), session.known().devices.values()
    asleep = {one.device for one in known if one.here and one.person == me and one.sleeping == "link"}
    gone = sorted({*gone, *asleep})
    cuts = cuts_for(session, [], gone)
    return exchange_of(session, compose.remove_device(session.known(), author_of(session), gone, cuts))
