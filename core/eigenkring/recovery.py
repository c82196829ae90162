"""From paper to writing again: making a recovery code, keeping its space in step, and coming back with it.

Spec: docs/spec/recovery.md. Nobody else needs to be online. Each step may be interrupted and done again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.draft import Author
from eigenkring.charter.entry import Keys, device_id
from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import CaseId, DeviceId, StreamId
from eigenkring.link import relay_address
from eigenkring.own_devices import removal
from eigenkring.paper import CODE_BYTES, Code, Sheet, Space, make_record, open_code, open_record
from eigenkring.session.acting import Exchange, author_of, exchange_of, held
from eigenkring.session.parts import CaseSession
from eigenkring.sleeping import (
    RECOVERING,
    add_sleeper,
    coming_seed,
    keys_of,
    read_from,
    sent,
    sheet_for,
    take_place,
    wake,
)
from eigenkring.store import NO_CASE
from eigenkring.stream import Position
from eigenkring.sync import SyncReport, act
from eigenkring.transport import Transport
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.words import decode_code, encode_code

if TYPE_CHECKING:
    from eigenkring.case import Case
    from eigenkring.library import Device


# --- making a code


def make_code(device: Device, old: str | None = None) -> dict[str, Any]:
    """A new code, shown once. ``old`` is the code it replaces: that one is dead then. Gives ``{"code", "older"}``, the
    latter being how many sheets of paper still work in some case.

    Raises ``Misuse``: ``not_yet`` (no case, or one still comes back with ``old``), ``bad_value`` (``old`` is another one); ``BadCode``; ``Unreachable``.
    """
    open_cases = _open_cases(device)
    if not open_cases:
        raise Misuse("not_yet", "start or join a case first")
    known = space_of(device)
    before = None
    if old is not None:
        before = open_code(decode_code(old), known.relay if known else open_cases[0].session.row.relay)
        if known is not None and known.stream != before.space.stream:
            raise Misuse("bad_value", "that is another code than the one this device keeps in step")
    sheets = [] if before is None else _read(device, before)
    if any(_is_halfway(device, CaseId(sheet.case)) for sheet in sheets):
        # Nothing else brings back a case that is halfway.
        raise Misuse("not_yet", "a case is still coming back with that code: come back with it once more first")
    text = _new_space(device, known.relay if known else open_cases[0].session.row.relay)
    if before is not None:
        _kill(device, before, sheets)
    older = sum(_papers(case) > 1 for case in _open_cases(device))
    return {"code": text, "older": older}


def _is_halfway(device: Device, case: CaseId) -> bool:
    """Its new device may stand in the charter. Of one whose relay never answered nothing was begun."""
    row = device.store.case(case)
    return row is not None and row.state == "open" and device.store.fact(case, RECOVERING) is not None


def _new_space(device: Device, relay: str) -> str:
    raw = device.around.random(CODE_BYTES)
    code = open_code(raw, relay)
    sent(device.transport(code.space.stream, relay), [code.secrets.opening()])
    with device.store.step():
        device.store.put_fact(NO_CASE, "space", msgspec.msgpack.encode(code.space))
    keep_in_step(device)
    missing = [case for case in _open_cases(device) if not _has_sheet(device, case, code.space)]
    if missing:
        raise Misuse("not_yet", "not every case is on the new paper; sync, and ask for a code again")
    return encode_code(raw)


def space_of(device: Device) -> Space | None:
    """Where this device's paper leads, or None before there is one. Raises nothing."""
    packed = device.store.fact(NO_CASE, "space")
    return None if packed is None else msgspec.msgpack.decode(packed, type=Space)


def _open_cases(device: Device) -> list[Case]:
    return [device.case(row.case.hex()) for row in device.rows() if row.state == "open"]


def _papers(case: Case) -> int:
    me = case.session.me()
    return sum(d.here and d.person == me and d.sleeping == "paper" for d in case.charter.devices.values())


def keep_in_step(device: Device) -> None:
    """Every case of this device on the paper: for one that is not, a sleeping device is made whose seed only the code
    opens. Where that fails the next sync tries again. Raises nothing."""
    space = space_of(device)
    if space is None:
        return
    for case in _open_cases(device):
        if not _has_sheet(device, case, space):
            with contextlib.suppress(Unreachable, Refused, Inadmissible, RelayMisbehaved, Ended):
                _add_sheet(device, case, space)


def _has_sheet(device: Device, case: Case, space: Space) -> bool:
    packed, charter = device.store.fact(case.id, "paper"), case.session.charter
    if packed is None or charter is None or packed[:16] != space.stream:
        return False
    known = charter.devices.get(DeviceId(packed[16:]))
    return known is not None and known.here


def _add_sheet(device: Device, case: Case, space: Space) -> None:
    sheet = sheet_for(device, case)
    if sheet is None:
        return
    # The seed is on the paper before the device exists: a device whose seed was lost could never be put out.
    _append(device, space, sheet)
    device.store.put_fact(case.id, "paper", space.stream + add_sleeper(case, sheet, "paper"))


def _append(device: Device, space: Space, sheet: Sheet) -> None:
    """Add a sheet, and see that it is there: a relay's word is not enough for the only way back."""
    transport, stream = device.transport(space.stream, space.relay), StreamId(space.stream)
    at = device.store.position(NO_CASE, stream) or Position.start(stream)
    record = make_record(space, sheet, at.length, at.chain, device.around.random(24))
    sent(transport, [wire.Append(stream=stream, cap=held(space.secrets.append_cap()), record=record)])
    placed = read_from(transport, space.secrets, at)
    if not any(bytes(one.record) == record for one in placed):
        raise RelayMisbehaved("broken_chain", "the relay does not show what it took")
    with device.store.step():
        last = placed[-1]
        device.store.put_records(NO_CASE, stream, Position(0, last.index, last.chain), placed)


# --- coming back


def recover(device: Device, text: str, relay: str) -> dict[str, Any]:
    """Every case back on this device, the other devices of the person put out, and a new code. Gives ``{"code",
    "cases", "left"}``; ``left`` are cases that this paper opens no more, each ``{"case", "code"}``.

    Raises ``BadCode``, ``Ended("link_expired")`` (the code is dead), ``Unreachable``: then what could be reached is back, and
    the code goes on working.
    """
    code = open_code(decode_code(text), relay_address(relay))
    sheets = _read(device, code)
    back, left, unreached = [], [], None
    for case, tries in _by_case(sheets).items():
        try:
            fault = _come_back(device, case, tries)
        except Unreachable as error:
            unreached = error  # its relay may never answer again: that keeps no other case away
            continue
        if fault is None:
            back.append(case.hex())
        else:
            left.append({"case": case.hex(), "code": fault})
    if unreached is not None:
        raise unreached  # the paper stays: nothing else brings that one back
    if not back:
        raise Ended("removed", "this paper opens no case any more")
    new = _new_space(device, code.space.relay)
    _kill(device, code, sheets)
    return {"code": new, "cases": back, "left": left}


def _read(device: Device, code: Code) -> list[Sheet]:
    """The sheets of a space, in order."""
    try:
        placed = read_from(
            device.transport(code.space.stream, code.space.relay),
            code.space.secrets,
            Position.start(StreamId(code.space.stream)),
        )
    except Refused as error:
        if error.code in ("closed", "no_stream", "not_allowed"):
            raise Ended("link_expired", "this code does not work any more, or not at this relay") from None
        raise
    return [sheet for one in placed if (sheet := open_record(code, one.record)) is not None]


def _by_case(sheets: list[Sheet]) -> dict[CaseId, list[Sheet]]:
    """The newest sheet of a case first: whoever had the phone can have added others, which open nothing. A case stays at its
    relay: a sheet that names another than the first did would lead into a copy of the case that a thief keeps there."""
    found: dict[CaseId, list[Sheet]] = {}
    for sheet in sheets:
        tries = found.setdefault(CaseId(sheet.case), [])
        if not tries or tries[0].relay == sheet.relay:
            tries.insert(0, sheet)
    return found


def _come_back(device: Device, case: CaseId, tries: list[Sheet]) -> str | None:
    """Give the code of what stood in the way, None when the case is back."""
    row, fault = device.store.case(case), "not_allowed"
    if row is not None and row.state == "open" and device.store.fact(case, RECOVERING) is None:
        return None  # before the interruption, or never away
    for sheet in tries:
        try:
            session, transport = wake(device, sheet)
            if session.charter is None or session.row.state != "open":
                fault = "removed" if session.row.state == "removed" else "not_allowed"
                continue
            _become_phone(device, session, transport)
            return None
        except (Inadmissible, Refused, RelayMisbehaved, Ended, Misuse) as error:
            fault = error.code
    if device.store.fact(case, RECOVERING) is not None or row is None:
        device.store.erase_case(case)  # half a case of a paper that opens nothing
    return fault


def _become_phone(device: Device, session: CaseSession, transport: Transport) -> None:
    case, report = session.case, SyncReport()
    grown, keys = keys_of(coming_seed(session))
    phone = device_id(case, keys)
    if phone not in session.known().devices:
        signed = compose.sign_new_device(case, session.me(), keys, grown.sign)
        act(
            session,
            transport,
            lambda now: exchange_of(now, compose.add_device(now.known(), author_of(now), keys, "", signed)),
            report,
        )
    if _to_put_out(session, phone):
        act(session, transport, lambda now: removal(now, _to_put_out(now, phone)), report)
    take_place(device, session)
    device.case(case.hex()).sync()


def _to_put_out(session: CaseSession, phone: DeviceId) -> list[DeviceId]:
    """All the person's other devices, but for paper that is older than this one: that stands above it."""
    charter, paper = session.known(), session.known().devices[session.device()]
    return sorted(
        known.device
        for known in charter.devices.values()
        if known.here
        and known.person == session.me()
        and known.device not in (paper.device, phone)
        and not (known.sleeping == "paper" and known.since_n <= paper.since_n)
    )


# --- the old paper


def _kill(device: Device, code: Code, sheets: list[Sheet]) -> None:
    """Put out the sleeping devices of a code, each by its own hand, and close its space."""
    for sheet in sheets:
        row = device.store.case(CaseId(sheet.case))
        if row is None or row.state != "open":
            continue
        case, grown = device.case(row.case.hex()), DeviceKeys.from_seed(sheet.seed)
        paper = device_id(row.case, Keys(grown.sign.public, grown.box.public))
        known = case.charter.devices.get(paper)
        if known is not None and known.here:
            case.act(lambda now, of=grown, by=paper: _leave(now, by, of))  # type: ignore[misc]
            case.sync()
    transport = device.transport(code.space.stream, code.space.relay)
    sent(transport, [wire.Close(stream=StreamId(code.space.stream), cap=held(code.secrets.manage_cap()))])


def _leave(session: CaseSession, paper: DeviceId, keys: DeviceKeys) -> Exchange:
    """Paper goes by its own hand only, so that a thief with the phone cannot throw it away."""
    chain = session.position(session.charter_stream).chain
    around = session.around
    author = Author(paper, session.ring, chain, around.clock(), around.random, around.schema)
    draft = compose.remove_device(session.known(), author, [paper])
    return exchange_of(session, draft, key=keys.sign)
