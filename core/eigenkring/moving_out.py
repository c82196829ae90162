"""An address by which a person moves in elsewhere with nobody else awake: making it, and seeing to it that it ends.

Spec: docs/spec/recovery.md, Moving in. For a home-screen app with a storage of its own. Each step may be done again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eigenkring import wire
from eigenkring.charter.entry import AddDevice, device_id
from eigenkring.charter.state import Device as Known
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse, Refused, RelayMisbehaved
from eigenkring.hall import MAX_SHEETS, MOVE, Hall, hall_opening, hall_pin, hall_secrets, pack_hall
from eigenkring.ids import DeviceId, StreamId
from eigenkring.link import Link, format_link, parse_link
from eigenkring.own_devices import removal
from eigenkring.session.acting import held
from eigenkring.session.parts import CaseSession
from eigenkring.sleeping import add_sleeper, keys_of, sent, sheet_for
from eigenkring.store import NO_CASE

if TYPE_CHECKING:
    from eigenkring.case import Case
    from eigenkring.library import Device

# Long enough for an evening and the weekend after it, short enough for who forgets it.
LIFE_SECONDS: Final = 3 * 86_400
# The fact of no case: the address that is out.
_OUT: Final = "moving"


class _Out(msgspec.Struct, frozen=True):
    """``whole``: everything that the address was to open is at the relay."""

    link: str
    until: int
    sleepers: list[tuple[bytes, bytes]]  # case and device
    whole: bool = False

    def __repr__(self) -> str:
        return f"_Out({len(self.sleepers)} cases)"


def make_address(device: Device) -> dict[str, Any]:
    """An address by which this person moves in elsewhere with all cases of this device; the one that is out where there is
    one. Gives ``{"link", "until", "left"}``: ``until`` in seconds; ``left`` are cases that it does not open, each ``{"case",
    "code"}``. Whoever has it reads, until it was used, is taken back, or has expired, all that this person may read.

    Raises ``Misuse``: ``not_yet`` (no case), ``clock`` (this device's is days behind), ``Unreachable``, ``Refused``; where no case could be put behind it what stood in
    the way, such as ``Inadmissible("limit")``: too many own devices.
    """
    out = _out(device)
    if out is not None and out.whole and moving(device)["state"] == "out":
        return {"link": out.link, "until": out.until, "left": []}
    if out is not None:
        take_back(device)
    pairs = [(one, sheet) for one in _open_cases(device) if (sheet := sheet_for(device, one)) is not None][:MAX_SHEETS]
    if not pairs:
        raise Misuse("not_yet", "start or join a case first")
    first, random = pairs[0][0].session, device.around.random
    until = device.around.clock() + LIFE_SECONDS
    payload = pack_hall(Hall(first.known().people[first.me()].name, until, [sheet for _, sheet in pairs]))
    link = Link(first.row.relay, MOVE, StreamId(random(16)), random(32), hall_pin(payload))
    secrets = hall_secrets(link)
    record = secrets.seal(payload, random(24))
    sleepers = [(bytes(one.id), bytes(device_id(one.id, keys_of(sheet.seed)[1]))) for one, sheet in pairs]
    # Kept before anything is sent: what was begun can be taken back.
    _keep(device, _Out(format_link(link), until, sleepers))
    append = wire.Append(stream=link.doorstep, cap=held(secrets.append_cap()), record=record)
    try:
        sent(device.transport(link.doorstep, link.relay), [hall_opening(link, until), append])
    except Refused as error:
        if error.code == "expired":
            raise Misuse("clock", "by the clock of this device the address is over before it begins") from None
        raise
    left, fault = [], None
    for one, sheet in pairs:
        try:
            add_sleeper(one, sheet, "link")
        except (Refused, Inadmissible, RelayMisbehaved, Ended) as error:
            left.append({"case": one.id.hex(), "code": error.code})
            fault = error
    if fault is not None and len(left) == len(pairs):
        take_back(device)
        raise fault
    _keep(device, _Out(format_link(link), until, sleepers, whole=True))
    return {"link": format_link(link), "until": until, "left": left}


def moving(device: Device) -> dict[str, Any]:
    """``{"state", "link", "until", "came"}`` of this device's address. ``state``: ``none``, ``out``, or ``used``; ``came``:
    whom it let in, ``[{"case", "device"}]``. Raises nothing."""
    out = _out(device)
    if out is None:
        return {"state": "none", "link": None, "until": None, "came": []}
    came, here = [], False
    for one, sleeper in _sleepers(device, out):
        known = one.charter.devices.get(sleeper)
        here = here or (known is not None and known.here)
        new = let_in_by(one.session, sleeper)
        if new is not None:
            came.append({"case": one.id.hex(), "device": new.hex()})
    state = "used" if came else "out" if here else "none"
    return {"state": state, "link": out.link if state == "out" else None, "until": out.until, "came": came}


def take_back(device: Device) -> None:
    """The address is dead from now on: its hall is closed, and what slept in it is put out. Nothing where none is out.
    Raises ``Unreachable``, ``Refused``: then it is done at a later sync."""
    out = _out(device)
    if out is None:
        return
    close_hall(device, parse_link(out.link))
    for one, sleeper in _sleepers(device, out):
        known = one.charter.devices.get(sleeper)
        if known is not None and known.here:
            with contextlib.suppress(Inadmissible, Ended):
                one.act(lambda now, gone=sleeper: removal(now, [gone]))  # type: ignore[misc]
    device.store.put_fact(NO_CASE, _OUT, None)


def end_addresses(device: Device) -> None:
    """At each sync: the own address when its days are over or somebody put it out, and any that lies about in one of the
    cases: whoever made it may be a page that nobody opens any more. Raises nothing."""
    out, now = _out(device), device.around.clock()
    with contextlib.suppress(EigenkringError):
        if out is not None and (now >= out.until or (out.whole and moving(device)["state"] == "none")):
            take_back(device)
    for one in _open_cases(device):
        old = [known.device for known, at in _asleep(one) if at + LIFE_SECONDS <= now]
        if old:
            with contextlib.suppress(EigenkringError):
                one.act(lambda session, gone=old: removal(session, gone))  # type: ignore[misc]


def _asleep(one: Case) -> list[tuple[Known, int]]:
    """Own devices in an address, each with when it was put there."""
    session = one.session
    if session.charter is None:
        return []
    me, devices = session.me(), session.charter.devices.values()
    mine = [known for known in devices if known.here and known.person == me and known.sleeping == "link"]
    if not mine:
        return []  # nearly always: the entries are not walked at each sync
    at = {entry.body.n: entry.body.at for entry in session.entries if entry.body is not None}
    return [(known, at.get(known.since_n, 0)) for known in mine]


def _out(device: Device) -> _Out | None:
    packed = device.store.fact(NO_CASE, _OUT)
    return None if packed is None else msgspec.msgpack.decode(packed, type=_Out)


def _keep(device: Device, out: _Out) -> None:
    with device.store.step():
        device.store.put_fact(NO_CASE, _OUT, msgspec.msgpack.encode(out))


def _sleepers(device: Device, out: _Out) -> Iterator[tuple[Case, DeviceId]]:
    cases = {bytes(one.id): one for one in _open_cases(device)}
    for case, sleeper in out.sleepers:
        one = cases.get(case)
        if one is not None and one.session.charter is not None:
            yield one, DeviceId(sleeper)


def _open_cases(device: Device) -> list[Case]:
    return [device.case(row.case.hex()) for row in device.rows() if row.state == "open"]


def let_in_by(session: CaseSession, sleeper: DeviceId) -> DeviceId | None:
    """The device that an address let in; None where it let in nobody."""
    for entry in session.entries:
        if isinstance(entry.body, AddDevice) and entry.body.by == sleeper:
            return device_id(session.case, entry.body.device)
    return None


def close_hall(device: Device, link: Link) -> None:
    """Nothing where it is closed already. Raises ``Refused``, ``Unreachable``."""
    cap = held(hall_secrets(link).manage_cap())
    transport = device.transport(link.doorstep, link.relay)
    try:
        sent(transport, [wire.Close(stream=link.doorstep, cap=cap)])
    except Refused as error:
        if error.code not in ("closed", "expired", "no_stream"):
            raise


def is_out(device: Device, link: Link) -> bool:
    """Whether this address is this very device's own."""
    out = _out(device)
    return out is not None and parse_link(out.link).doorstep == link.doorstep
