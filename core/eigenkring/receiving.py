"""A professional's side of a grant: following the link, reading the view, and being told when it ends. Spec: docs/spec/view.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from eigenkring import doorstep
from eigenkring.charter.entry import Keys, device_id
from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.following import follow
from eigenkring.grant import GrantState, open_turned, open_welcome
from eigenkring.ids import CaseId, DeviceId, GrantId, StreamId
from eigenkring.link import Link, parse_link
from eigenkring.session import comparing
from eigenkring.session.case import Clock, Random
from eigenkring.store import Alarm, Store, StoredGrant
from eigenkring.stream import StreamSecrets
from eigenkring.transport import Transport
from eigenkring.view import open_view
from eigenkring.visiting import (
    KNOCKING,
    door_secrets,
    knock,
    knock_to_compare,
    link_used,
    look_at_door,
    make_knock,
    used_by_another,
)
from eigenkring_crypto import capability
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError

ENDED = {"withdrawn": "the family stopped your access", "ended": "your access is over: its last day has passed"}
ASIDE = "by this device's clock the last day has passed: if that clock is wrong, set it right and sync"
_DIGEST_BYTES = 32  # before the parts, in what is kept of a view


def accept_link(store: Store, link_text: str, name: str, transport: Transport, random: Random) -> GrantId:
    """Follow the link of a family. Raises ``Misuse("bad_link")``, ``Ended``, ``Inadmissible("wrong_pin")``."""
    link = parse_link(link_text)
    if link.kind != doorstep.VIEW:
        raise Misuse("bad_link", "this link invites someone into a circle: use `join`")
    known = next((row for row in store.grants() if row.status in ("waiting", "open") and _is_from(row, link)), None)
    if known is not None:
        if known.status == "waiting":
            knock(store, CaseId(known.grant), link, transport)
        return known.grant
    door = look_at_door(link, transport)
    greeting = door.greeting
    if greeting.granter_key is None:
        raise Inadmissible("wrong_pin", "a grant without the key of whoever gave it")
    grant = GrantId(greeting.invitation)
    seed = random(32)
    row = StoredGrant(
        grant=grant,
        case=CaseId(greeting.case),
        relay=link.relay,
        link=link_text.strip(),
        seed=seed,
        name=name,
        granter_key=greeting.granter_key,
        status="waiting",
        until=greeting.expires,
        sender=greeting.from_,
    )
    if used_by_another(door.payloads, None):
        raise link_used()
    keys = DeviceKeys.from_seed(seed)
    with store.step():
        comparing.keep_knock(store, CaseId(grant), knock_to_compare(door, link, keys, name))
        store.put_fact(CaseId(grant), KNOCKING, make_knock(door, link, keys, name, random))
        store.put_grant(row)
    if not knock(store, CaseId(grant), link, transport):
        drop(store, row, "link_used")
        raise link_used()
    return grant


def _is_from(row: StoredGrant, link: Link) -> bool:
    return bool(row.link) and parse_link(row.link).doorstep == link.doorstep


def refresh(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> StoredGrant:
    """Read what came. Raises ``Unreachable``. What the relay or a publisher did wrong becomes an alarm of the grant."""
    if row.status not in ("waiting", "open") and not _is_aside(row):
        return row
    if clock() >= row.until:
        return _past(store, _put_aside(store, row), transport, clock)
    if _is_aside(row):
        row = _taken_up(store, row)
    try:
        if row.status == "waiting":
            knock(store, CaseId(row.grant), parse_link(row.link), transport)
        row = _read_states(store, row, transport, clock)
        if row.status == "open":
            row = _read_view(store, row, transport, clock)
    except Ended as end:
        if end.code != "withdrawn" or row.status == "open":
            return drop(store, row, "withdrawn" if row.status == "open" else end.code)
        return drop(store, row, "link_expired")
    except Refused as error:
        if error.code in ("busy", "slow_down"):
            raise Unreachable("offline", "the relay has no time now") from None
        store.put_alarm(CaseId(row.grant), Alarm(error.code, "view", clock()))
    except (Inadmissible, RelayMisbehaved, CryptoError) as error:
        store.put_alarm(CaseId(row.grant), Alarm(error.code, "view", clock()))
    return row


# By our own clock, offline too: what may not be read any more must not lie here. But a clock can be years off, so the way
# to it is kept until the relay, which goes by another clock, says that it is over.


def _is_aside(row: StoredGrant) -> bool:
    return row.status == "ended" and bool(row.link)


def _put_aside(store: Store, row: StoredGrant) -> StoredGrant:
    if _is_aside(row):
        return row
    was_open, row = row.status == "open", replace(row, status="ended", view=row.view[:_DIGEST_BYTES])
    with store.step():
        store.forget_stream(CaseId(row.grant), StreamId(parse_link(row.link).doorstep))
        if was_open:
            store.forget_stream(CaseId(row.grant), StreamId(state_of(row).down))
        store.put_grant(row)
    store.tidy()
    return row


def _past(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> StoredGrant:
    """Whether the relay too says that it is over: then the way to it is forgotten as well. Else one of the two clocks is
    wrong, and people are told."""
    link, owner = parse_link(row.link), CaseId(row.grant)
    try:
        follow(store, owner, door_secrets(link.doorstep, link.seed), "doorstep", transport, clock)
    except Ended:
        return drop(store, row, "ended")
    except (Unreachable, Refused, RelayMisbehaved):
        return row
    store.put_alarm(owner, Alarm("clock", "this device", clock()))
    return row


def _taken_up(store: Store, row: StoredGrant) -> StoredGrant:
    """The clock was set right: it is read anew."""
    row = replace(row, status="open" if row.state else "waiting")
    with store.step():
        store.put_grant(row)
        store.drop_alarm(CaseId(row.grant), "clock", "this device")
    return row


def drop(store: Store, row: StoredGrant, status: str) -> StoredGrant:
    """Forget the content and the keys to it. What was seen stays seen."""
    row = replace(row, status=status, state=b"", view=b"", seed=bytes(32), link="")
    store.erase_case(CaseId(row.grant))  # what was read of its streams, and what waits to be sent
    store.put_grant(row)  # last: a crash in between ends it once more
    store.tidy()
    return row


def _read_states(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> StoredGrant:
    link = parse_link(row.link)
    followed = follow(store, CaseId(row.grant), door_secrets(link.doorstep, link.seed), "doorstep", transport, clock)
    if followed is None:
        return row
    keys = DeviceKeys.from_seed(row.seed)
    device = device_of(row, keys)
    payloads = []
    with store.step():
        for placed in followed.placed:
            try:
                payload = followed.secrets.open(placed.record)
            except CryptoError:
                continue  # noise of somebody who has the link too
            if placed.index == 1:
                doorstep.open_greeting(payload, link.pin)  # another doorstep than the one that was knocked at
                continue
            payloads.append(payload)
            comparing.take_nonce(store, CaseId(row.grant), device, link.doorstep, payload)
            found = _state_in(row, payload, link.doorstep, device, keys)
            if found is not None:
                state, granter = found
                # Access never lasts longer than the link said: a thief who signs states could give it no end.
                last = state_of(row).until if row.state else row.until
                state = msgspec.structs.replace(state, until=min(state.until, last))
                packed = msgspec.msgpack.encode(state)
                row = replace(row, status="open", state_n=state.n, state=packed, until=state.until, granter_key=granter)
                store.put_grant(row)
        followed.keep()
    if row.status == "waiting" and used_by_another(payloads, device):
        raise link_used()
    return row


def _state_in(
    row: StoredGrant, payload: bytes, stream: StreamId, device: DeviceId, keys: DeviceKeys
) -> tuple[GrantState, bytes] | None:
    try:
        if doorstep.welcome_for(payload, device):
            if row.status == "open":
                # Also the next states have this form outside; inside they are bound to another name.
                return open_turned(payload, keys.box, stream, device, row.grant, row.granter_key, row.state_n)
            content = doorstep.open_welcome(payload, stream, device, keys.box)
            return open_welcome(content, row.grant, row.granter_key)
        return None
    except CryptoError:
        return None
    except Inadmissible:
        return None  # an older state, or what only looks like one: everybody who has the link can write here


def _read_view(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> StoredGrant:
    state = state_of(row)
    read = capability.read_secret(state.secret, state.down)
    secrets = StreamSecrets(state.down, read=read, read_epoch=state.epoch)
    followed = follow(store, CaseId(row.grant), secrets, "view", transport, clock)
    if followed is None or not followed.placed:
        return row
    placed = followed.placed[-1]
    seen = (row.version, row.view[:32]) if row.version else None
    view = open_view(secrets.open(placed.record), state.down, row.grant, state.publisher, seen=seen)
    if view.length != placed.index - 1 or view.chain != followed.before(placed):
        # A view is put at its place by compare-and-replace: elsewhere it stands in another log than its author's.
        raise RelayMisbehaved("forked", "the view was made for another place")
    ends = min(view.until, state.until)  # the granter's word on the date counts, not a publisher's
    row = replace(row, version=view.v, view=view.digest + msgspec.msgpack.encode(view.parts), until=ends)
    with store.step():
        store.put_grant(row)
        followed.keep()
    return row


def state_of(row: StoredGrant) -> GrantState:
    """The newest state that the family's owner signed for this reader."""
    return msgspec.msgpack.decode(row.state, type=GrantState)


def words_of(store: Store, row: StoredGrant) -> list[str] | None:
    """The four to compare with the family, while they have not said that theirs are the same."""
    return comparing.own_words(store, CaseId(row.grant)) if row.status == "waiting" else None


def parts_of(row: StoredGrant) -> dict[str, Any]:
    """The projection as it was last received. Raises ``Ended`` when access was stopped, ``Misuse`` before it began."""
    if row.status in ("withdrawn", "ended"):
        raise Ended("withdrawn", ASIDE if _is_aside(row) else ENDED[row.status])
    if row.status == "link_used":
        raise Ended("link_used", "somebody else used this link first; ask the family for a new one")
    if row.status not in ("waiting", "open"):
        raise Ended("link_expired", "this link does not work any more; ask the family for a new one")
    if len(row.view) <= _DIGEST_BYTES:
        raise Misuse("not_yet", "the family's phone has not opened the door yet; sync again later")
    parts: dict[str, Any] = msgspec.msgpack.decode(row.view[32:])
    return parts


def device_of(row: StoredGrant, keys: DeviceKeys) -> DeviceId:
    return device_id(row.case, Keys(keys.sign.public, keys.box.public))
