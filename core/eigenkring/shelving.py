"""The list of cases, kept in step between a person's own devices. Spec: docs/spec/shelf.md.

Each sync reads what the others say, does what they ask for, and says what is here. Each step may be interrupted and done
again. The shelf has a connection of its own, and each case keeps its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from eigenkring import wire
from eigenkring.coming_along import (
    OUT,
    WISHES,
    Round,
    asks,
    enter,
    gives,
    let_in,
    listed,
    obey,
    open_cases,
    put_out,
    remember_devices,
)
from eigenkring.errors import Ended, Refused, RelayMisbehaved, Unreachable
from eigenkring.following import Followed, follow
from eigenkring.ids import CaseId
from eigenkring.session.acting import held
from eigenkring.shelf import (
    MAX_PAGES,
    MAX_ROWS,
    OFFERED,
    Kept,
    Next,
    Page,
    Row,
    Shelf,
    gone_by,
    keep,
    kept_by,
    make_page,
    make_record,
    member_of,
    open_next,
    open_page,
    open_record,
    seal_next,
)
from eigenkring.store import NO_CASE, Alarm, Store, StoredCase
from eigenkring.sync import SyncReport
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import BadKey

if TYPE_CHECKING:
    from eigenkring.library import Device

MAX_ROUNDS: Final = 6
# Facts of no case.
_NEXT: Final = "shelf next"
_BEFORE: Final = "shelf before"
# A fact of the shelf's own stream: the newest page of every other device.
_PAGES: Final = "pages"


class _Before(msgspec.Struct, frozen=True):
    """A shelf that was left, and who still has to read there where it goes on."""

    shelf: Shelf
    waiting: list[bytes]


def keep_in_step(device: Device, report: SyncReport) -> None:
    """Bring this device's list of cases in step with the person's other devices. Offline, the next sync does it."""
    _take_offer(device)
    entered: list[StoredCase] = []
    kept = kept_by(device.store)
    about = None if kept is None else _owner(kept.shelf)
    try:
        for _ in range(MAX_ROUNDS):
            kept = kept_by(device.store)
            if kept is None or not _once(device, kept, entered):
                break
    except Unreachable:
        pass
    except (Refused, RelayMisbehaved, Ended) as error:
        if not _leave_behind(device) and about is not None:
            device.store.put_alarm(about, Alarm(error.code, "shelf", device.around.clock()))
    if about is not None:
        report.alarms += [{"code": one.code, "about": "shelf"} for one in device.store.alarms(about)]
    device.abreast(entered, lambda row: device.sync_one(row, report))


def _once(device: Device, kept: Kept, entered: list[StoredCase]) -> bool:
    """Give whether there is more to do."""
    now = _look(device, kept)
    further = _next_of(now)
    if further is not None:
        _go_on(now, further)
        return True
    _tidy_before(now)
    obey(now)
    enter(now)
    entered += now.entered
    put_out(now)
    let_in(now)
    if _is_alone_after_all(now):
        _leave(now)
        return False
    return _say(now)


# --- reading


def _owner(shelf: Shelf) -> CaseId:
    """What is kept of a shelf lies under its own id: it is no case of this device."""
    return CaseId(shelf.stream)


def _look(device: Device, kept: Kept) -> Round:
    store, shelf = device.store, kept.shelf
    owner, secrets = _owner(shelf), shelf.secrets
    transport = device.transport(shelf.stream, shelf.relay)

    def read() -> Followed | None:
        return follow(store, owner, secrets, "shelf", transport, device.around.clock)

    try:
        followed = read()
    except Ended:
        # Not there yet; or closed by whoever was on it, which stays an alarm.
        result = transport.exchange([shelf.secrets.opening()]).results[0]
        if isinstance(result, wire.Failed):
            raise Refused(result.code) from None
        followed = read()
    if followed is None:
        raise Refused("not_allowed")
    signed = _known(store, shelf)
    keys = DeviceKeys.from_seed(kept.seed)
    me = member_of(keys.sign.public, keys.box.public)
    mine = None
    with store.step():
        for placed in followed.placed:
            for by, (page, one) in open_record(shelf, placed.record).items():
                if by == me:
                    # A store that was put back has numbers behind what it said.
                    mine, kept = page, msgspec.structs.replace(kept, page=one, n=max(kept.n, page.n))
                elif by not in signed or page.n > signed[by][0].n:
                    _check_seen(device, followed, page)
                    signed[by] = page, one
        store.put_fact(owner, _PAGES, msgspec.msgpack.encode([one for _, one in signed.values()]))
        followed.keep()
        if mine is None and followed.whole:
            kept = msgspec.structs.replace(kept, page=b"")  # the relay forgot it, or never had it
        if mine is not None or followed.whole:
            keep(store, kept)
        elif not followed.placed and kept.page:
            mine = open_page(shelf.stream, kept.page)  # nothing new: what was said still lies there
        out = set(listed(store, OUT))
        pages = [page for by, (page, _) in sorted(signed.items()) if by not in out]
        remember_devices(store, pages)
    return Round(device, kept, keys, me, followed, pages, {by: one for by, (_, one) in signed.items()}, mine)


def _known(store: Store, shelf: Shelf) -> dict[bytes, tuple[Page, bytes]]:
    packed = store.fact(_owner(shelf), _PAGES)
    found = {}
    for one in [] if packed is None else msgspec.msgpack.decode(packed, type=list[bytes]):
        page = open_page(shelf.stream, one)
        if page is not None:
            found[page.by] = page, one
    return found


def _check_seen(device: Device, followed: Followed, page: Page) -> None:
    """Told, and nobody is kept out by it: another device was shown another log, or this one was."""
    known = followed.store.chain_at(followed.owner, followed.secrets.stream, page.length)
    if known is not None and known != page.chain:
        followed.store.put_alarm(followed.owner, Alarm("forked", "shelf", device.around.clock()))


# --- another shelf


def _take_offer(device: Device) -> None:
    """Whoever was let in goes to the shelf of who did it, and takes along who was on the own one."""
    store = device.store
    packed = store.fact(NO_CASE, OFFERED)
    if packed is None:
        return
    kept = kept_by(store)
    with store.step():
        store.put_fact(NO_CASE, OFFERED, None)
        if kept is None:
            keep(store, Kept(msgspec.msgpack.decode(packed, type=Shelf), device.around.random(32)))
        elif kept.shelf != msgspec.msgpack.decode(packed, type=Shelf):
            store.put_fact(NO_CASE, _NEXT, packed)


def _next_of(now: Round) -> Shelf | None:
    """Where this shelf goes on, by a device that was not put out; the own word counts as well."""
    said = [*([now.mine] if now.mine is not None else []), *now.pages]
    for page in sorted(said, key=lambda page: page.by):
        found = open_next(now.kept.shelf.stream, page, now.me, now.keys.box)
        if found is not None and found != now.kept.shelf:
            return found
    return None


def _go_on(now: Round, shelf: Shelf) -> None:
    store = now.store
    before = _Before(now.kept.shelf, [page.by for page in now.pages])
    # Who was let in elsewhere is new there, and was perhaps put out under the old name; who follows is the same one.
    invited = store.fact(NO_CASE, _NEXT) is not None and not any(by in now.signed for by in listed(store, OUT))
    seed = now.device.around.random(32) if invited else now.kept.seed
    with store.step():
        store.put_fact(NO_CASE, _BEFORE, msgspec.msgpack.encode(before))
        store.put_fact(NO_CASE, _NEXT, None)
        keep(store, Kept(shelf, seed, now.kept.n))
        store.erase_case(_owner(now.kept.shelf))


def _leave_behind(device: Device) -> bool:
    """The own shelf is no more, and another one was offered."""
    store = device.store
    packed, kept = store.fact(NO_CASE, _NEXT), kept_by(store)
    if packed is None or kept is None:
        return False
    with store.step():
        store.put_fact(NO_CASE, _NEXT, None)
        store.erase_case(_owner(kept.shelf))
        keep(store, Kept(msgspec.msgpack.decode(packed, type=Shelf), device.around.random(32)))
    return True


def _tidy_before(now: Round) -> None:
    """Close the shelf that was left, once everybody who belongs on this one is here."""
    packed = now.store.fact(NO_CASE, _BEFORE)
    if packed is None:
        return
    before = msgspec.msgpack.decode(packed, type=_Before)
    if set(before.waiting) <= {page.by for page in now.pages} | set(listed(now.store, OUT)):
        _close(now.device, before.shelf)
        now.store.put_fact(NO_CASE, _BEFORE, None)


def _close(device: Device, shelf: Shelf) -> None:
    cap = held(shelf.secrets.manage_cap())
    device.transport(shelf.stream, shelf.relay).exchange([wire.Close(stream=shelf.stream, cap=cap)])


def _is_alone_after_all(now: Round) -> bool:
    """All others were put out: what this device would say is for nobody."""
    return not now.pages and any(by in now.signed for by in listed(now.store, OUT))


def _leave(now: Round) -> None:
    _close(now.device, now.kept.shelf)
    with now.store.step():
        for name in (WISHES, _NEXT, _BEFORE):
            now.store.put_fact(NO_CASE, name, None)
        keep(now.store, None)
        now.store.erase_case(_owner(now.kept.shelf))


# --- saying what is here


def _say(now: Round) -> bool:
    """Write the own page where it says something new, beside the newest of the others. Gives whether to look again."""
    said = now.mine
    page = _page(now)
    if said is not None and said.n == now.kept.n and _content(said) == _content(page):
        return False
    store, shelf = now.store, now.kept.shelf
    signed = make_page(shelf.stream, page, now.keys)
    keep(store, Kept(shelf, now.kept.seed, page.n))  # it lies there once it was read there
    # Of who was put out last: too many pages would make a record that nobody takes.
    here = {page.by for page in now.pages}
    others = [now.signed[by] for by in sorted(now.signed, key=lambda by: (by not in here, by))][: MAX_PAGES - 1]
    record = make_record(shelf, [signed, *others], now.device.around.random(24))
    at, secrets = now.followed.position, shelf.secrets
    op: wire.Operation = (
        wire.Append(stream=shelf.stream, cap=held(secrets.append_cap()), record=record, expect=at.chain)
        if at.length == 0
        else wire.Replace(stream=shelf.stream, cap=held(secrets.manage_cap()), expect=at.chain, record=record)
    )
    result = now.device.transport(shelf.stream, shelf.relay).exchange([op]).results[0]
    if isinstance(result, wire.Failed) and result.code != "conflict":
        raise Refused(result.code)
    return isinstance(result, wire.Failed) or bool(page.next)


def _content(page: Page) -> tuple[object, ...]:
    """What a page says. The boxes differ each time: to whom they are is what counts."""
    return page.cases, page.gone, page.asks, page.gives, [one.to for one in page.next]


def _page(now: Round) -> Page:
    cases = open_cases(now)
    rows = [
        Row(one.id, one.session.row.relay, one.session.me(), one.session.device())
        for one in sorted(cases, key=lambda one: one.id)
        if one.session.charter is not None
    ]
    at = now.followed.position
    here = {row.case for row in now.store.cases()}
    return Page(
        sign=now.keys.sign.public,
        box=now.keys.box.public,
        n=now.kept.n + 1,
        length=at.length,
        chain=at.chain,
        cases=rows[:MAX_ROWS],
        gone=[case for case in gone_by(now.store) if case not in here],
        asks=asks(now),
        gives=gives(now, cases),
        next=_nexts(now),
    )


def _nexts(now: Round) -> list[Next]:
    """Where to go on, for all who belong: somebody was put out, or this device was let in elsewhere."""
    store = now.store
    packed = store.fact(NO_CASE, _NEXT)
    if packed is None and not any(by in now.signed for by in listed(store, OUT)):
        return []
    if packed is None:
        packed = msgspec.msgpack.encode(Shelf(now.kept.shelf.relay, now.device.around.random(32)))
        store.put_fact(NO_CASE, _NEXT, packed)
    shelf = msgspec.msgpack.decode(packed, type=Shelf)
    found = []
    for by, box in [(now.me, now.keys.box.public), *((page.by, page.box) for page in now.pages)]:
        with contextlib.suppress(BadKey):  # keys that are no keys: that one stays behind
            found.append(seal_next(now.kept.shelf.stream, by, box, shelf))
    return found
