"""Following a link, until the first keys arrive. Spec: docs/spec/charter.md, Doorstep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from eigenkring import doorstep, wire
from eigenkring.charter.entry import Keys, device_id
from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved
from eigenkring.hall import MOVE
from eigenkring.ids import CaseId, EntryHash, RecordBytes, StreamId
from eigenkring.link import Link, parse_link
from eigenkring.session import comparing, own_door
from eigenkring.session.case import CaseState, Random
from eigenkring.shelf import offer
from eigenkring.store import Store, StoredCase
from eigenkring.stream import Accepted, Position, StreamSecrets, accept
from eigenkring.transport import Transport
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError

# Facts of a case or a grant: the knock lies on the doorstep; the record to lay there, until that is known.
KNOCKED: Final = "knocked"
KNOCKING: Final = "knocking"
LINKS_BEFORE: Final = "links before"
MOST_LINKS: Final = 4


class Door(msgspec.Struct, frozen=True):
    """What a link leads to, as read from its doorstep."""

    greeting: doorstep.Greeting
    secrets: StreamSecrets
    payloads: list[bytes]  # all records, opened; what does not open is empty


def door_secrets(stream: StreamId, seed: bytes) -> StreamSecrets:
    """What a link's seed gives: reading and writing the doorstep, and nothing else."""
    return StreamSecrets(stream, read=doorstep.read_secret(seed, stream), write=doorstep.write_secret(seed, stream))


def look_at_door(link: Link, transport: Transport) -> Door:
    """Read the doorstep from its beginning. Raises ``Ended`` (link_used, link_expired), ``Inadmissible("wrong_pin")``."""
    secrets = door_secrets(link.doorstep, link.seed)
    accepted = _read_all(link, secrets, transport)
    payloads = []
    for placed in accepted.placed:
        try:
            payloads.append(secrets.open(placed.record))
        except CryptoError:
            payloads.append(b"")  # noise of somebody who has the link too
    if not payloads:
        raise Ended("link_expired", "nothing lies behind this link")
    greeting = doorstep.open_greeting(payloads[0], link.pin)
    if greeting.kind != link.kind:
        raise Inadmissible("wrong_pin", "the greeting is of another kind than the link")
    return Door(greeting, secrets, payloads)


def _read_all(link: Link, secrets: StreamSecrets, transport: Transport) -> Accepted:
    cap = secrets.read_cap()
    if cap is None:
        raise AssertionError("a door without a read secret")
    reply = transport.exchange([wire.Read(stream=link.doorstep, cap=cap, after=0)])
    result = reply.results[0]
    if isinstance(result, wire.Failed):
        if result.code in ("closed", "expired"):
            raise Ended("link_expired", "this link does not work any more")
        if result.code == "no_stream":
            raise Ended("link_expired", "the relay does not know this link")
        raise Refused(result.code)
    if not isinstance(result, wire.Batch):
        raise RelayMisbehaved("relay_garbage", "the relay answered another operation")
    return accept(Position.start(link.doorstep), result, lambda _: None)


def make_knock(door: Door, link: Link, keys: DeviceKeys, name: str, random: Random) -> RecordBytes:
    """A statement with fresh device keys, sealed for the doorstep. It is kept before it is sent: whoever was interrupted
    sends the same bytes, and the relay keeps one."""
    if link.kind == doorstep.OWN_DEVICE:
        payload = own_door.make_knock(door.payloads[0], link.doorstep, link.seed, keys)
    else:
        payload = doorstep.make_knock(door.greeting, link.doorstep, link.seed, keys, name)
    return door.secrets.seal(payload, random(24))


def knock_to_compare(door: Door, link: Link, keys: DeviceKeys, name: str) -> doorstep.Knock | None:
    """What the visitor signed, for the words of the newest knock; None where the greeting asks for no words."""
    if not door.greeting.compare:
        return None
    called = door.greeting.name if link.kind == doorstep.OWN_DEVICE else name
    return doorstep.sign_statement(door.greeting, link.doorstep, link.seed, keys, called)


def knock(store: Store, owner: CaseId, link: Link, transport: Transport) -> bool:
    """Lay the kept statement on the doorstep, where that is still to do. False where the door is locked: somebody was let
    in, perhaps this very visitor, who was interrupted. Raises ``Refused``, ``Unreachable``."""
    record = store.fact(owner, KNOCKING)
    if record is None:
        return True
    cap = door_secrets(link.doorstep, link.seed).append_cap()
    if cap is None:
        raise AssertionError("a door without a write secret")
    result = transport.exchange([wire.Append(stream=link.doorstep, cap=cap, record=record)]).results[0]
    if isinstance(result, wire.Failed) and result.code in ("closed", "expired", "no_stream"):
        return False  # reading the door says which, in words
    if isinstance(result, wire.Failed) and result.code != "not_allowed":
        raise Refused(result.code)
    with store.step():
        store.put_fact(owner, KNOCKED, b"1")
        store.put_fact(owner, KNOCKING, None)
    return not isinstance(result, wire.Failed)


def join(store: Store, link_text: str, name: str, transport: Transport, random: Random) -> CaseId:
    """Follow an invitation: knock, and wait to be let in. Raises ``Misuse``: ``bad_link``, ``already_member``."""
    link = parse_link(link_text)
    if link.kind == doorstep.VIEW:
        raise Misuse("bad_link", "this link lets a professional read: use `accept`")
    if link.kind == MOVE:
        raise Misuse("bad_link", "this link lets a person move in: use `move-in`")
    here = _waiting_at(store, link)
    if here is not None:
        # A second knock would have other keys than those that are let in.
        knock(store, here.case, link, transport)
        return here.case
    door = look_at_door(link, transport)
    case = CaseId(door.greeting.case)
    known = store.case(case)
    entering = known is not None and known.state == "entering" and known.link == link_text.strip()
    if known is not None and (known.state == "open" or entering):
        raise Misuse("already_member", "you are in this case already, on this device")
    if used_by_another(door.payloads, None):
        raise link_used()
    # Who knocked before with another link knocks with the same keys: the first door that opens lets this device in, and
    # none of them lets in one that nobody holds any more.
    before = known if known is not None and known.state == "waiting" and known.relay == link.relay else None
    seed = random(32) if before is None else before.seed
    keys = DeviceKeys.from_seed(seed)
    row = StoredCase(
        case=case,
        relay=link.relay,
        state="waiting",
        seed=seed,
        incarnation=random(8) if before is None else before.incarnation,
        device=device_id(case, Keys(keys.sign.public, keys.box.public)),
        link=link_text.strip(),
        title=door.greeting.from_,
    )
    with store.step():
        if before is not None and before.link is not None:
            links = [before.link, *_links_before(store, case)][:MOST_LINKS]
            store.put_fact(case, LINKS_BEFORE, msgspec.msgpack.encode(links))
        elif known is not None:
            store.erase_case(case)  # removed before, or knocked before: fresh keys, a fresh start
        comparing.keep_knock(store, case, knock_to_compare(door, link, keys, name))
        store.put_fact(case, KNOCKING, make_knock(door, link, keys, name, random))
        store.put_case(row)  # kept before it is sent: who is let in must still have the keys
    if not knock(store, case, link, transport):
        raise link_used()
    return case


def used_by_another(payloads: Sequence[bytes], device: bytes | None) -> bool:
    """Whether the link let in somebody else. Not signed: who holds the link can say so, and could have come first."""
    return any(doorstep.used_by(payload) not in (None, device) for payload in payloads)


def link_used() -> Ended:
    return Ended("link_used", "somebody has used this link before; ask for a new one")


def _waiting_at(store: Store, link: Link) -> StoredCase | None:
    rows = [row for row in store.cases() if row.state == "waiting" and row.link is not None]
    return next((row for row in rows if parse_link(row.link or "").doorstep == link.doorstep), None)


def _welcome_in(session: CaseState, door: StreamId, payload: bytes) -> doorstep.Welcome | None:
    """None for what only looks like one: everybody who has the link can write here."""
    try:
        content = doorstep.open_welcome(payload, door, session.device(), session.keys.box)
        welcome = doorstep.decode_welcome(content)
    except (Ended, Inadmissible):
        return None
    return welcome if welcome.case == session.case else None


def look(session: CaseState, transport: Transport) -> bool:
    """See whether somebody has opened, at any door this device knocked at. Gives whether it is in now. Raises
    ``Ended("link_used")`` where none of them can open any more."""
    if session.row.link is None:
        return False
    shut: list[Ended] = []
    links = [session.row.link, *_links_before(session.store, session.case)]
    for text in links:
        try:
            if _look_at(session, parse_link(text), transport):
                return True
        except Ended as error:
            shut.append(error)
    if len(shut) == len(links):
        raise shut[0]
    return False


def _links_before(store: Store, case: CaseId) -> list[str]:
    """Links that were followed before the present one, whose knocks wait still."""
    packed = store.fact(case, LINKS_BEFORE)
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[str])


def _look_at(session: CaseState, link: Link, transport: Transport) -> bool:
    if session.row.link is not None and parse_link(session.row.link).doorstep == link.doorstep:
        knock(session.store, session.case, link, transport)
    door = look_at_door(link, transport)
    device = session.device()
    for payload in door.payloads[1:]:
        if not doorstep.welcome_for(payload, device):
            comparing.take_nonce(session.store, session.case, device, link.doorstep, payload)
            continue
        welcome = _welcome_in(session, link.doorstep, payload)
        if welcome is None:
            continue
        with session.store.step():
            session.put_row(
                state="entering",
                keys_stream=StreamId(welcome.keys),
                keys_secret=welcome.secret,
                joined_head=EntryHash(welcome.head),
            )
            # Checked when the charter is read: a false charter does not have this entry at its place.
            pinned = msgspec.msgpack.encode([[door.greeting.n, door.greeting.head], [welcome.n, welcome.head]])
            session.store.put_fact(session.case, "pinned", pinned)
            if welcome.shelf is not None and link.kind == doorstep.OWN_DEVICE:
                offer(session.store, welcome.shelf)  # of a relative it would be a list of theirs
        session.ring.keys_secret = welcome.secret
        return True
    if used_by_another(door.payloads, device):
        raise link_used()
    return False
