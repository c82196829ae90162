"""When a snapshot takes the place of a part's records, and by whom. Spec: docs/spec/part.md (Snapshot).

Whoever manages the stream does it, at a sync, when it pays. It costs every device that is there one reading of the
snapshot, and saves every newcomer, and the relay, all that lay before it. Where a person writes and owners manage
(``voice@``, ``answers@``, ``contacts@``), an owner's device makes it, and it stands only where it leaves out nothing.
"""

from __future__ import annotations

from eigenkring import wire
from eigenkring.charter.state import Part
from eigenkring.part.snapshot import make_snapshot
from eigenkring.session.parts import CaseSession, OpenPart
from eigenkring_crypto.kdf import sha256

# Fewer records a newcomer reads in one answer and folds in a blink; a snapshot of them would only be read twice.
FEWEST_RECORDS = 200
# A record with what somebody typed in a long time counts as many short ones: else forty words at a time would lie there
# for a long while at seven times the bytes.
BYTES_OF_ONE = 1024
# Devices wait for more records than that, each for another number: so mostly one of them makes the snapshot, and the
# others find it made. Where two meet, compare-and-replace lets one through.
MOST_PATIENCE = 100
# A record that waits for a charter entry holds a snapshot up this many times as long: its author, who knows that
# entry, gives it back; and nobody can keep a part long for ever by naming an entry that never was.
WAITING_HOLDS_UP = 4


def may_pay(session: CaseSession, part: Part) -> bool:
    """Whether so much came since the last snapshot of this part that another one may pay."""
    first, tail, size = _tail(session, part)
    # Devices that are there read the snapshot too: not before they read as much of what it replaces.
    return tail >= _fewest(session, part) and size >= first


def _tail(session: CaseSession, part: Part) -> tuple[int, int, int]:
    """Bytes of the snapshot; how many short records those after it come to, and their bytes."""
    base = session.position(part.stream).base
    sizes = session.store.sizes(session.case, part.stream, base)
    first = sizes.pop(0) if base and sizes else 0  # a snapshot is no news
    return first, sum(max(1, size // BYTES_OF_ONE) for size in sizes), sum(sizes)


def _fewest(session: CaseSession, part: Part) -> int:
    return FEWEST_RECORDS + patience(session.device(), part.stream)


def due(session: CaseSession, opened: OpenPart) -> bool:
    """Whether a snapshot of this part pays now, is ours to make, and would leave nothing out."""
    part, charter = opened.part, session.known()
    if not may_pay(session, part) or session.secrets(part.stream).manage_cap() is None:
        return False
    fold = opened.fold
    if charter.rooms[part.write].due or fold.length != session.position(part.stream).length:
        return False
    # What is of a newer version would be gone, and only that version could give it back.
    if fold.alarm or opened.set_aside or _may_still_open(session, opened):
        return False
    # Of what another one writes nothing may be left out, or it would not stand; who writes holds up the own part only.
    writes = charter.may_write(session.me(), part.name)
    if opened.waits and (not writes or _tail(session, part)[1] < WAITING_HOLDS_UP * _fewest(session, part)):
        return False
    return not _too_large(session, opened)


def patience(device: bytes, stream: bytes) -> int:
    return int.from_bytes(sha256(device, stream)[:4], "big") % MOST_PATIENCE


def name_of(session: CaseSession, opened: OpenPart) -> str:
    """By what it replaces: a race that was lost is decided again on what is there then."""
    return f"snapshot {opened.part.stream.hex()} {session.position(opened.part.stream).length}"


def replacement(session: CaseSession, opened: OpenPart) -> list[wire.Operation]:
    """The snapshot of what is settled now, to be put in the place of all that was read. Nothing where no record
    holds it: then the part stays as long as it is until it is founded anew."""
    stream, charter = opened.part.stream, session.known()
    position, secrets = session.position(stream), session.secrets(stream)
    atts, changes, witnesses = opened.fold.basis()
    payload = make_snapshot(
        session.keys.sign,
        stream,
        device=session.device(),
        epoch=charter.rooms[opened.part.write].epoch,
        head=charter.head,
        n=position.length,
        chain=position.chain,
        atts=atts,
        changes=changes,
        witnesses=witnesses,
    )
    record = secrets.seal(payload, session.around.random(24))
    cap = secrets.manage_cap()
    if cap is None or len(record) > wire.MAX_RECORD_BYTES:
        session.store.put_fact(session.case, _mark(opened), len(changes).to_bytes(8, "big"))
        return []
    return [wire.Replace(stream=stream, cap=cap, expect=position.chain, record=record)]


def _too_large(session: CaseSession, opened: OpenPart) -> bool:
    """It was found too large for one record; it is tried again only when a cut made it smaller."""
    found = session.store.fact(session.case, _mark(opened))
    return found is not None and len(opened.fold.ledger.entries) >= int.from_bytes(found, "big")


def _mark(opened: OpenPart) -> str:
    return f"too large {opened.part.stream.hex()}"


def _may_still_open(session: CaseSession, opened: OpenPart) -> bool:
    """A record whose key is still to come. What names an epoch that never was is noise."""
    present = session.known().rooms[opened.part.read].epoch
    return any(epoch <= present for epoch in opened.unopened)
