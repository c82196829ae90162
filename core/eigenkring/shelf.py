"""The shelf: a stream by which the own devices of one person keep their list of cases in step. Spec: docs/spec/shelf.md.

It holds one record: the newest signed page of every device on it. What follows from the pages is in ``shelving``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, PersonId, StreamId
from eigenkring.store import NO_CASE, Store
from eigenkring.stream import StreamSecrets
from eigenkring.wire import check_keys
from eigenkring_crypto.box import BoxKey, open_box, seal_box
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import derive, label, sha256
from eigenkring_crypto.sign import sign, verify

# More devices than a person has in one case; more at once would make a record that no phone reads in a moment.
MAX_PAGES: Final = 16
MAX_ROWS: Final = 1_000
MAX_ASKS: Final = 64

_8 = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
_BoxKey = Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Shelf(msgspec.Struct, frozen=True):
    """Where a shelf stands, and all there is to it: whoever knows ``secret`` (32 bytes) reads, writes and closes it."""

    relay: str
    secret: _32

    @property
    def stream(self) -> StreamId:
        return StreamId(derive(self.secret, "shelf")[:16])

    @property
    def secrets(self) -> StreamSecrets:
        stream = self.stream
        return StreamSecrets(
            stream,
            read=derive(self.secret, "shelf read", stream),
            write=derive(self.secret, "shelf write", stream),
            manage=derive(self.secret, "shelf manage", stream),
        )

    def __repr__(self) -> str:
        return f"Shelf({self.relay})"


class Row(msgspec.Struct, frozen=True):
    """A case that the device of the page has open, and which device and person it is there."""

    case: _16
    relay: str
    person: _8
    device: _16


class Asked(msgspec.Struct, frozen=True):
    """Keys that the device of the page made for a case of another page: ``add_sig`` as in charter.md, ``add_device``."""

    case: _16
    sign: _32
    box: _BoxKey
    add_sig: _64


class Given(msgspec.Struct, frozen=True):
    """``device`` is in that case now: where its keys lie, and the charter (``n``, ``head``) that says so."""

    case: _16
    device: _16
    keys: _16
    secret: _32
    n: _Number
    head: _32

    def __repr__(self) -> str:
        return f"Given({self.case.hex()})"


class Next(msgspec.Struct, frozen=True):
    """The shelf that takes the place of this one, in a box for one device on it."""

    to: _16
    box: bytes


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one device says: its list, what it erased, what it asks for, what it gives, and where to go on."""

    sign: _32
    box: _BoxKey
    n: _Number
    length: _Number
    chain: _32
    cases: Annotated[list[Row], msgspec.Meta(max_length=MAX_ROWS)]
    gone: Annotated[list[_16], msgspec.Meta(max_length=MAX_ROWS)]
    asks: Annotated[list[Asked], msgspec.Meta(max_length=MAX_ASKS)]
    gives: Annotated[list[Given], msgspec.Meta(max_length=MAX_ROWS)]
    next: Annotated[list[Next], msgspec.Meta(max_length=MAX_PAGES)] = []

    @property
    def by(self) -> bytes:
        return member_of(self.sign, self.box)

    def __repr__(self) -> str:
        return f"Page({self.by.hex()}, {self.n})"


class _Signed(msgspec.Struct, frozen=True):
    body: bytes
    sig: _64


class _Record(msgspec.Struct, frozen=True):
    pages: Annotated[list[bytes], msgspec.Meta(max_length=MAX_PAGES)]


def member_of(sign: bytes, box: bytes) -> bytes:
    """What a device is called on a shelf, 16 bytes: it has other keys there than in any case."""
    return sha256(label("shelf member"), sign, box)[:16]


def make_page(stream: StreamId, page: Page, keys: DeviceKeys) -> bytes:
    body = msgspec.msgpack.encode(page)
    return msgspec.msgpack.encode(_Signed(body, sign(keys.sign, "shelf page", stream, body)))


def open_page(stream: StreamId, signed: bytes) -> Page | None:
    """None for what is no page of this shelf, or not signed by the device that it names."""
    try:
        check_keys(signed)
        held = msgspec.msgpack.decode(signed, type=_Signed)
        check_keys(held.body)
        page = msgspec.msgpack.decode(held.body, type=Page)
        verify(page.sign, "shelf page", stream, held.body, held.sig)
    except (CryptoError, Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
        return None
    return page


def make_record(shelf: Shelf, pages: Iterable[bytes], nonce: bytes) -> bytes:
    """The one record of the shelf. ``nonce`` is 24 random bytes."""
    return shelf.secrets.seal(msgspec.msgpack.encode(_Record(list(pages))), nonce)


def open_record(shelf: Shelf, record: bytes) -> dict[bytes, tuple[Page, bytes]]:
    """The pages in a record by member, each with its signed bytes, the newest of each; nothing in what is no record."""
    try:
        payload = shelf.secrets.open(record)
        check_keys(payload)
        held = msgspec.msgpack.decode(payload, type=_Record)
    except (CryptoError, Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
        return {}
    found: dict[bytes, tuple[Page, bytes]] = {}
    for signed in held.pages:
        page = open_page(shelf.stream, signed)
        if page is not None and (page.by not in found or found[page.by][0].n < page.n):
            found[page.by] = page, signed
    return found


def seal_next(stream: StreamId, to: bytes, box: bytes, shelf: Shelf) -> Next:
    """``stream`` is that of the shelf that ends, ``box`` the public key of ``to``. Raises ``BadKey`` of
    ``eigenkring_crypto``."""
    return Next(to, seal_box(box, "shelf next", stream + to, msgspec.msgpack.encode(shelf)))


def open_next(stream: StreamId, page: Page, member: bytes, key: BoxKey) -> Shelf | None:
    """The shelf on which ``member`` goes on, by this page; None where it says none."""
    for one in page.next:
        if one.to != member:
            continue
        try:
            content = open_box(key, "shelf next", stream + member, one.box)
            check_keys(content)
            return msgspec.msgpack.decode(content, type=Shelf)
        except (CryptoError, Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
            continue
    return None


# --- what a device keeps of it


class Kept(msgspec.Struct, frozen=True):
    """The shelf this device is on: its own seed there, the number of its newest page, and the page of it that lies there,
    as it was signed (empty: none that is known of)."""

    shelf: Shelf
    seed: _32
    n: _Number = 0
    page: bytes = b""

    def __repr__(self) -> str:
        return f"Kept({self.n})"


class Wish(msgspec.Struct, frozen=True):
    """A case that another device has, and the seed of the keys this one asks to come in with."""

    case: _16
    relay: str
    person: _8
    seed: _32

    def __repr__(self) -> str:
        return f"Wish({self.case.hex()})"


# Facts of no case. OFFERED: the shelf of who let this device in. GONE: what was erased here.
SHELF: Final = "shelf"
OFFERED: Final = "shelf offered"
GONE: Final = "shelf gone"


def kept_by(store: Store) -> Kept | None:
    packed = store.fact(NO_CASE, SHELF)
    return None if packed is None else msgspec.msgpack.decode(packed, type=Kept)


def keep(store: Store, kept: Kept | None) -> None:
    store.put_fact(NO_CASE, SHELF, None if kept is None else msgspec.msgpack.encode(kept))


def for_another(store: Store, relay: str, random: Callable[[int], bytes]) -> Shelf:
    """The shelf that another own device is to be on too; begun here where there is none."""
    kept = kept_by(store)
    if kept is None:
        kept = Kept(Shelf(relay, random(32)), random(32))
        keep(store, kept)
    return kept.shelf


def offer(store: Store, shelf: Shelf) -> None:
    """Keep the shelf that a welcome named. It is gone to at the next sync."""
    store.put_fact(NO_CASE, OFFERED, msgspec.msgpack.encode(shelf))


def gone_by(store: Store) -> dict[CaseId, PersonId | None]:
    """What was erased here, and who this person was in it, where that was kept."""
    packed = store.fact(NO_CASE, GONE)
    lines = [] if packed is None else msgspec.msgpack.decode(packed, type=list[bytes])
    return {CaseId(line[:16]): PersonId(line[16:]) or None for line in lines}


def note_gone(store: Store, case: CaseId, person: PersonId | None = None) -> None:
    """Erased here, on purpose: the other devices of this person erase it too, once they see that it ended."""
    others = {one: who for one, who in gone_by(store).items() if one != case}
    lines = [one + (who or b"") for one, who in [*others.items(), (case, person)]]
    store.put_fact(NO_CASE, GONE, msgspec.msgpack.encode(lines[-MAX_ROWS:]))
