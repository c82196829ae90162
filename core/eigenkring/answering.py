"""What a reader says, and the receipts of the reader's app: kept, sent, and confirmed by reading it back."""

from __future__ import annotations

from eigenkring import wire
from eigenkring.errors import Ended, Misuse, Refused, RelayMisbehaved
from eigenkring.following import follow
from eigenkring.ids import CaseId
from eigenkring.receiving import parts_of, state_of
from eigenkring.said import MAX_TEXT_BYTES, Said, What, make_said
from eigenkring.session.case import Clock, Random
from eigenkring.store import Alarm, Store, StoredGrant
from eigenkring.stream import Position, StreamSecrets
from eigenkring.transport import Transport
from eigenkring_crypto import capability
from eigenkring_crypto.device import DeviceKeys

# Where what is answered lies in a view.
ANSWERED = {"answer": ("information", "questions"), "answer_help": ("help", "requests")}


def say(
    store: Store,
    row: StoredGrant,
    what: What,
    clock: Clock,
    random: Random,
    *,
    text: str = "",
    why: str = "",
    of: str = "",
    v: int = 0,
) -> None:
    """Keep something to be sent at the next refresh. Raises ``Ended`` when access was stopped, ``Misuse``: ``bad_value``,
    ``no_such_item`` (an answer to what this reader is not shown), ``ambiguous``."""
    parts_of(row)
    if what in ANSWERED:
        of = _shown(row, what, of)
    if what not in ("opened", "copied") and not text.strip():
        raise Misuse("bad_value", "say something")
    if max(len(text.encode(errors="replace")), len(why.encode(errors="replace"))) > MAX_TEXT_BYTES:
        raise Misuse("bad_value", "that is too long")
    state, owner, secrets = state_of(row), CaseId(row.grant), up_secrets(row)
    seen = store.position(owner, state.up) or Position.start(state.up)
    # Above all that was said before, also by a store that was put back: the family passes over what does not rise.
    n = max(clock(), _last_number(store, owner) + 1)
    said = Said(row.grant, n, seen.length, seen.chain, what, clock(), text.strip(), why.strip(), of, v)
    payload = make_said(DeviceKeys.from_seed(row.seed).sign, state.up, said)
    with store.step():
        store.put_fact(owner, "said", n.to_bytes(8, "big"))
        store.add_outbox(owner, state.up, secrets.seal(payload, random(24)))


def _last_number(store: Store, owner: CaseId) -> int:
    packed = store.fact(owner, "said")
    return 0 if packed is None else int.from_bytes(packed, "big")


def _shown(row: StoredGrant, what: str, of: str) -> str:
    part, collection = ANSWERED[what]
    items = parts_of(row).get(part, {}).get(collection, {})
    wanted = of.strip().lower()
    found = [item for item in items if item == wanted] or [
        item for item in items if item.startswith(wanted) and len(wanted) >= 4
    ]
    if len(found) != 1:
        raise Misuse("ambiguous" if found else "no_such_item", "that is not among what you may read")
    return str(found[0])


def opened_once(store: Store, row: StoredGrant, clock: Clock, random: Random) -> None:
    """The receipt that this version was opened: once for each version at most. No receipt proves nothing: an app can be
    offline, or changed."""
    told = store.fact(CaseId(row.grant), "opened")
    if row.status == "open" and row.view and (told is None or int.from_bytes(told, "big") < row.version):
        with store.step():
            store.put_fact(CaseId(row.grant), "opened", row.version.to_bytes(8, "big"))
            say(store, row, "opened", clock, random, v=row.version)


def up_secrets(row: StoredGrant) -> StreamSecrets:
    """What the reader can do on ``up``: read and append, with the newest state's secret."""
    state = state_of(row)
    return StreamSecrets(
        state.up,
        read=capability.read_secret(state.secret, state.up),
        read_epoch=state.epoch,
        write=capability.write_secret(state.secret, state.up),
        write_epoch=state.epoch,
    )


def exchange_words(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> int:
    """Send what waits. It is sent when it is read back, not when the relay says so. Gives how many arrived.

    Raises ``Unreachable``; what the relay did wrong becomes an alarm of the grant.
    """
    if row.status != "open":
        return 0
    try:
        return _exchange_words(store, row, transport, clock)
    except (Ended, Refused):
        return 0  # closed or turned in between: the next refresh knows which
    except RelayMisbehaved as error:
        store.put_alarm(CaseId(row.grant), Alarm(error.code, "up", clock()))
        return 0


def _exchange_words(store: Store, row: StoredGrant, transport: Transport, clock: Clock) -> int:
    owner, secrets = CaseId(row.grant), up_secrets(row)
    arrived = _read_back(store, row, secrets, transport, clock)
    waiting = [item for item in store.outbox(owner) if item.record is not None]
    cap = secrets.append_cap()
    if not waiting or cap is None:
        return arrived
    ops = [wire.Append(stream=secrets.stream, cap=cap, record=item.record) for item in waiting if item.record]
    transport.exchange(ops)
    return arrived + _read_back(store, row, secrets, transport, clock)


def _read_back(store: Store, row: StoredGrant, secrets: StreamSecrets, transport: Transport, clock: Clock) -> int:
    owner = CaseId(row.grant)
    followed = follow(store, owner, secrets, "up", transport, clock)
    if followed is None:
        return 0
    there = {bytes(placed.record) for placed in followed.placed}
    with store.step():
        done = [item for item in store.outbox(owner) if item.record is not None and bytes(item.record) in there]
        for item in done:
            store.drop_outbox(item.number)
        followed.keep()
    return len(done)
