"""What a device does with the pages of its person's other devices, and asks of them. Spec: docs/spec/shelf.md.

Every case keeps a connection and exchanges of its own; what goes from one to another goes over the shelf, sealed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.entry import Keys, device_id
from eigenkring.errors import EigenkringError, Misuse
from eigenkring.following import Followed
from eigenkring.ids import CaseId, DeviceId, EntryHash, PersonId, StreamId
from eigenkring.link import relay_address
from eigenkring.own_devices import removal
from eigenkring.session.acting import author_of, exchange_of
from eigenkring.shelf import MAX_ASKS, MAX_ROWS, Asked, Given, Kept, Page, Wish, gone_by
from eigenkring.store import NO_CASE, Store, StoredCase
from eigenkring_crypto.device import DeviceKeys

if TYPE_CHECKING:
    from eigenkring.case import Case
    from eigenkring.library import Device

# Facts of no case: what this device asks for, who was put out of the shelf, and which device is whose.
WISHES: Final = "shelf wishes"
OUT: Final = "shelf out"
_DEVICES: Final = "shelf devices"


@dataclass(slots=True)
class Round:
    """One look at the shelf: ``pages`` are the newest of every other device that belongs on it."""

    device: Device
    kept: Kept
    keys: DeviceKeys
    me: bytes
    followed: Followed
    pages: list[Page]
    signed: dict[bytes, bytes]
    mine: Page | None
    entered: list[StoredCase] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.device.store


def listed(store: Store, name: str) -> list[bytes]:
    packed = store.fact(NO_CASE, name)
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[bytes])


def remember_devices(store: Store, pages: Iterable[Page]) -> None:
    """Which device is whose, also when a later page leaves it out: a thief would. Who says so first is believed."""
    known = listed(store, _DEVICES)
    taken, fresh = {line[16:] for line in known}, []
    for page in pages:
        said = [row.case + row.device for row in page.cases] + [asked.case + _device_of(asked) for asked in page.asks]
        for one in said:
            if one not in taken:
                taken.add(one)
                fresh.append(page.by + one)
    if fresh:
        store.put_fact(NO_CASE, _DEVICES, msgspec.msgpack.encode([*known, *fresh]))


# --- doing what the others say


def obey(now: Round) -> None:
    """What was erased on another device goes here too, where it has ended: a word alone deletes nothing."""
    for case in {CaseId(case) for page in now.pages for case in page.gone}:
        row = now.store.case(case)
        if row is None or (row.state in ("open", "entering") and not _is_closed(now.device, row)):
            continue
        now.store.erase_case(case)
        now.device.forget(case)


def _is_closed(device: Device, row: StoredCase) -> bool:
    """Whether the relay holds nothing of the case any more: where nobody else belonged, nobody was left to tell."""
    one = device.case(row.case.hex())
    cap = one.session.secrets(StreamId(row.case)).read_cap() if one.session.charter is not None else None
    if cap is None:
        return False
    with contextlib.suppress(EigenkringError):
        result = one.transport.exchange([wire.Read(stream=StreamId(row.case), cap=cap, after=0)]).results[0]
        return isinstance(result, wire.Failed) and result.code == "closed"
    return False


def _wishes(store: Store) -> dict[bytes, Wish]:
    packed = store.fact(NO_CASE, WISHES)
    return {} if packed is None else {wish.case: wish for wish in msgspec.msgpack.decode(packed, type=list[Wish])}


def _keep_wishes(store: Store, wishes: dict[bytes, Wish]) -> None:
    store.put_fact(NO_CASE, WISHES, msgspec.msgpack.encode(list(wishes.values())) if wishes else None)


def _keys_of(seed: bytes) -> tuple[DeviceKeys, Keys]:
    grown = DeviceKeys.from_seed(seed)
    return grown, Keys(grown.sign.public, grown.box.public)


def enter(now: Round) -> None:
    """Cases that another device let this one into."""
    store, wishes = now.store, _wishes(now.store)
    for given in [one for page in now.pages for one in page.gives]:
        wish, case = wishes.get(given.case), CaseId(given.case)
        if wish is None or _is_here(store, case, wish.person):
            continue
        if device_id(case, _keys_of(wish.seed)[1]) != given.device:
            continue
        row = StoredCase(
            case=case,
            relay=wish.relay,
            state="entering",
            seed=wish.seed,
            incarnation=now.device.around.random(8),
            device=DeviceId(given.device),
            keys_stream=StreamId(given.keys),
            keys_secret=given.secret,
            joined_head=EntryHash(given.head),
        )
        del wishes[given.case]
        with store.step():
            if store.case(case) is not None:
                store.erase_case(case)  # removed before, as somebody else: fresh keys, a fresh start
            store.put_case(row)
            store.put_fact(case, "pinned", msgspec.msgpack.encode([[given.n, given.head]]))
            _keep_wishes(store, wishes)
        now.device.forget(case)
        now.entered.append(row)


def open_cases(now: Round) -> list[Case]:
    return [now.device.case(row.case.hex()) for row in now.device.rows() if row.state == "open"]


def put_out(now: Round) -> None:
    """Who was put out of one case is put out of all, and of the shelf: it is one phone that was lost."""
    mine = {one.id: one for one in open_cases(now)}
    devices: dict[bytes, list[tuple[Case, DeviceId]]] = {}
    for line in listed(now.store, _DEVICES):
        one = mine.get(CaseId(line[16:32]))
        if one is not None and one.session.charter is not None and line[32:] != one.session.device():
            devices.setdefault(line[:16], []).append((one, DeviceId(line[32:])))
    out = set(listed(now.store, OUT))
    for by, known in devices.items():
        if by != now.me and any(_was_put_out(one, device) for one, device in known):
            out.add(by)
    now.store.put_fact(NO_CASE, OUT, msgspec.msgpack.encode(sorted(out)) if out else None)
    now.pages = [page for page in now.pages if page.by not in out]
    left: dict[CaseId, list[DeviceId]] = {}
    for by in sorted(out):
        for one, device in devices.get(by, ()):
            if one.charter.devices.get(device) is not None and one.charter.devices[device].here:
                left.setdefault(one.id, []).append(device)

    def remove(case: CaseId) -> None:
        with contextlib.suppress(EigenkringError):
            mine[case].act(lambda session: removal(session, left[case]))

    now.device.abreast(list(left), remove)


def _was_put_out(one: Case, device: DeviceId) -> bool:
    known = one.charter.devices.get(device)
    return known is not None and known.person == one.session.me() and not known.here


def let_in(now: Round) -> None:
    """The devices that asked: one entry in each case, over the connection of that case."""
    todo = [(one, asked) for one in open_cases(now) for asked in _asks_for(now, one)]

    def add(what: tuple[Case, Asked]) -> None:
        one, asked = what
        keys = Keys(asked.sign, asked.box)
        with contextlib.suppress(EigenkringError):
            one.act(lambda to: exchange_of(to, compose.add_device(to.known(), author_of(to), keys, "", asked.add_sig)))

    now.device.abreast(todo, add)


def _asks_for(now: Round, one: Case) -> list[Asked]:
    return [
        asked
        for page in now.pages
        for asked in page.asks
        if asked.case == one.id and one.session.charter is not None and _device_of(asked) not in one.charter.devices
    ]


def _device_of(asked: Asked) -> DeviceId:
    return device_id(CaseId(asked.case), Keys(asked.sign, asked.box))


def _is_here(store: Store, case: CaseId, person: bytes) -> bool:
    """Whether this device has that case, as that person. Who was removed and then invited anew is another person there."""
    known = store.case(case)
    return known is not None and (known.state != "removed" or known.person in (None, person))


def asks(now: Round) -> list[Asked]:
    """For what another device has and this one has not; the same keys until it is in."""
    gone, before = gone_by(now.store), _wishes(now.store)
    wishes: dict[bytes, Wish] = {}
    for row in [row for page in now.pages for row in page.cases]:
        case = CaseId(row.case)
        erased = case in gone and gone[case] in (None, row.person)
        if _is_here(now.store, case, row.person) or erased or row.case in wishes:
            continue
        with contextlib.suppress(Misuse):
            relay, kept = relay_address(row.relay), before.get(row.case)
            seed = kept.seed if kept is not None and kept.person == row.person else now.device.around.random(32)
            wishes[row.case] = Wish(row.case, relay, row.person, seed)
    _keep_wishes(now.store, wishes)
    asks = []
    for wish in sorted(wishes.values(), key=lambda wish: wish.case)[:MAX_ASKS]:
        grown, keys = _keys_of(wish.seed)
        signed = compose.sign_new_device(CaseId(wish.case), PersonId(wish.person), keys, grown.sign)
        asks.append(Asked(wish.case, keys.sign, keys.box, signed))
    return asks


def gives(now: Round, cases: list[Case]) -> list[Given]:
    by_case = {one.id: one for one in cases if one.session.charter is not None}
    found = []
    for asked in [asked for page in now.pages for asked in page.asks]:
        one = by_case.get(CaseId(asked.case))
        known = None if one is None else one.charter.devices.get(_device_of(asked))
        if one is None or known is None or not known.here or known.person != one.session.me():
            continue
        row, head = one.session.row, one.charter.heads.get(known.since_n)
        if row.keys_stream is not None and row.keys_secret is not None and head is not None:
            found.append(Given(one.id, known.device, row.keys_stream, row.keys_secret, known.since_n, head))
    return found[:MAX_ROWS]
