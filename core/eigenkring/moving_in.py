"""Moving in by an address alone, with nobody else awake: every case of it on this device, once.

Spec: docs/spec/recovery.md, Moving in. The address is made by ``moving_out``. Each step may be interrupted and done again.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from eigenkring.charter import compose
from eigenkring.charter.entry import device_id
from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.hall import MOVE, Hall, hall_secrets, open_hall
from eigenkring.ids import CaseId
from eigenkring.link import Link, parse_link
from eigenkring.moving_out import close_hall, is_out, let_in_by
from eigenkring.paper import Sheet
from eigenkring.session.acting import Exchange, author_of, exchange_of
from eigenkring.session.boxes import take_keys
from eigenkring.session.parts import CaseSession
from eigenkring.sleeping import RECOVERING, catch_up, coming_seed, keys_of, read_from, take_place, wake
from eigenkring.store import NO_CASE
from eigenkring.stream import Position
from eigenkring.sync import SyncReport, act
from eigenkring.transport import Transport
from eigenkring_crypto.errors import CryptoError

if TYPE_CHECKING:
    from eigenkring.library import Device

# The fact of no case: the halls by which this device came in.
_CAME_BY: Final = "moved in"


def look_inside(device: Device, text: str) -> dict[str, Any]:
    """What an address opens, before anything is done: ``{"name", "until", "cases"}``, the last a number. Raises ``Misuse``:
    ``bad_link``, ``already_member`` (of this very device, or it came by it); ``Ended``: ``link_used``, ``link_expired``;
    ``Inadmissible("wrong_pin")``; ``Unreachable``, ``Refused``."""
    hall = _read(device, _address(device, text))
    return {"name": hall.name, "until": hall.until, "cases": len(hall.sheets)}


def move_in(device: Device, text: str) -> dict[str, Any]:
    """All cases of an address on this device, and the address dead. Gives ``{"cases", "left"}``; ``left`` are those it opens
    no more or that were here, each ``{"case", "code"}``. The person's other devices stay. Raises as ``look_inside``, and
    ``Ended("removed")``: the person belongs to none of them any more."""
    link = _address(device, text)
    hall = _read(device, link)
    cases, left, unreached = [], [], None
    for sheet in hall.sheets:
        try:
            fault = _enter(device, sheet)
        except Unreachable as error:
            unreached = error  # its relay may never answer: that keeps no other case out
            continue
        if fault is None:
            cases.append(sheet.case.hex())
        else:
            left.append({"case": sheet.case.hex(), "code": fault})
    if unreached is not None:
        raise unreached  # the address stays: nothing else brings that one in
    if not cases:
        codes = {one["code"] for one in left}
        if "already_member" in codes:
            raise Misuse("already_member", "those cases are on this device")
        for code in ("link_used", "link_expired"):
            if code in codes:
                raise Ended(code, "the address is dead")
        raise Ended("removed", "this address opens no case any more")
    came = device.store.fact(NO_CASE, _CAME_BY) or b""
    with device.store.step():
        device.store.put_fact(NO_CASE, _CAME_BY, (came + link.doorstep)[-16 * 64 :])
    with contextlib.suppress(Unreachable, Refused):
        close_hall(device, link)
    return {"cases": cases, "left": left}


def _address(device: Device, text: str) -> Link:
    link = parse_link(text)
    if link.kind != MOVE:
        raise Misuse("bad_link", "no address to move in by")
    came = device.store.fact(NO_CASE, _CAME_BY) or b""
    by = {came[at : at + 16] for at in range(0, len(came), 16)}
    if link.doorstep in by or is_out(device, link):
        raise Misuse("already_member", "everything behind this address is on this device")
    return link


def _read(device: Device, link: Link) -> Hall:
    secrets = hall_secrets(link)
    try:
        placed = read_from(device.transport(link.doorstep, link.relay), secrets, Position.start(link.doorstep))
    except Refused as error:
        if error.code == "closed":
            raise Ended("link_used", "this address was used or taken back") from None
        if error.code in ("expired", "no_stream"):
            raise Ended("link_expired", "this address does not work any more, or not at this relay") from None
        raise
    try:
        return open_hall(secrets.open(placed[0].record) if placed else b"", link.pin)
    except CryptoError:
        raise Inadmissible("wrong_pin", "what lies there is no hall") from None


def _enter(device: Device, sheet: Sheet) -> str | None:
    """Give the code of what stood in the way, None when the case is here."""
    case, store = CaseId(sheet.case), device.store
    row = store.case(case)
    if row is not None and store.fact(case, RECOVERING) is None:
        # What lies here is not thrown away for an address: it may be all that is left of it.
        return None if row.state == "open" and row.relay == sheet.relay else "already_member"
    fault = "not_allowed"
    try:
        session, transport = wake(device, sheet)
        _take_over(device, session, transport)
        return None
    except (Inadmissible, Refused, RelayMisbehaved, Ended, Misuse) as error:
        fault = error.code
    store.erase_case(case)  # half a case, behind an address that opens nothing
    device.forget(case)
    return fault


def _take_over(device: Device, session: CaseSession, transport: Transport) -> None:
    case = session.case
    new = device_id(case, keys_of(coming_seed(session))[1])
    if session.charter is None:
        raise Ended("link_expired", "this address opens the case no more")
    if new not in session.known().devices:
        try:
            act(session, transport, _let_in, SyncReport())
        except Refused as error:
            # It was let in before the interruption, and the locks were turned since: only its own keys open now.
            session = _as_new(device, session, transport)
            if new not in session.known().devices:
                raise Ended("link_used", error.message) from None
    if not session.known().devices[new].here:
        raise Ended("removed", "this device was put out")
    take_place(device, session)
    with contextlib.suppress(Unreachable):
        device.case(case.hex()).sync()


def _as_new(device: Device, session: CaseSession, transport: Transport) -> CaseSession:
    seed = coming_seed(session)
    row = replace(session.row, seed=seed, device=device_id(session.case, keys_of(seed)[1]), state="entering")
    with device.store.step():
        device.store.put_case(row)
    again = CaseSession(device.store, row, device.around)
    # What was read for the one that slept may hold boxes for this one.
    if row.keys_stream is not None:
        take_keys(again, [(one.index, one.record) for one in device.store.records(row.case, row.keys_stream)])
    catch_up(again, transport)
    return again


def _let_in(session: CaseSession) -> Exchange:
    """The entry that adds the new device, with which the sleeping one goes. The box is signed by the one that stays."""
    charter, asleep = session.known(), session.device()
    known = charter.devices.get(asleep)
    if known is None:
        raise Ended("link_expired", "this address was not finished")
    if not charter.people[known.person].here:
        raise Ended("removed", "the person does not belong any more")
    if not known.here:
        used = let_in_by(session, asleep) is not None
        raise Ended("link_used" if used else "link_expired", "this address let somebody in, or was taken back")
    grown, keys = keys_of(coming_seed(session))
    signed = compose.sign_new_device(session.case, session.me(), keys, grown.sign)
    draft = compose.add_device(charter, author_of(session), keys, "", signed)
    return exchange_of(session, draft, sealer=(device_id(session.case, keys), grown.sign))
