"""What this device saw of each stream, and when: a few places of its log, kept though the relay shows another one later.

They are for reports (docs/spec/report.md). Chain values of the log that lies there now are kept with its records; these are
kept beside them, each with the generation of the relay and this device's clock.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from eigenkring.ids import StreamId
from eigenkring.session.case import CaseState
from eigenkring.stream import LONGEST, Position

# A stream that is read for years: its first sighting, ever fewer of the old ones, the newest ones.
MAX_SIGHTINGS: Final = 24
# Of logs that are not there any more; each time a relay shows another one it costs one.
MAX_GONE_KEPT: Final = 8
MAX_GENERATIONS_KEPT: Final = 16


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """``chain`` at ``index`` was what this device had of the log at ``at``, as the relay of that generation showed it."""

    generation: int
    at: int
    index: int
    chain: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


def sightings(session: CaseState, stream: StreamId) -> list[Sighting]:
    """Oldest first."""
    packed = session.store.fact(session.case, _fact(stream))
    return [] if packed is None else msgspec.msgpack.decode(packed, type=list[Sighting])


def generations(session: CaseState) -> list[int]:
    """The newest that the relay announced, in the order in which it did."""
    packed = session.store.fact(session.case, "generations")
    if packed is not None:
        return msgspec.msgpack.decode(packed, type=list[int])
    last = session.store.fact(session.case, "generation")  # of a store that an earlier program kept
    return [] if last is None else [min(int.from_bytes(last, "big"), LONGEST)]


def note_generation(session: CaseState, generation: int) -> None:
    """The relay announced another one than before. What was read under the one before was not read under this one."""
    now = min(generation, LONGEST)
    known = [one for one in generations(session) if one != now]
    kept = [*known, now][-MAX_GENERATIONS_KEPT:]
    session.store.put_fact(session.case, "generations", msgspec.msgpack.encode(kept))
    session.read_whole.clear()


def note(session: CaseState) -> None:
    """Keep where each stream is that was read to its end in this sync."""
    known = generations(session)
    if not known:
        return
    with session.store.step():
        for stream in session.read_whole:
            _add(session, stream, session.position(stream), known[-1])


def note_before_another(session: CaseState, stream: StreamId) -> None:
    """Another log is about to take the place of this one: where it ended stays known."""
    seen = sightings(session, stream)
    known = generations(session)
    generation = seen[-1].generation if seen else known[-1] if known else 0
    if not seen or (seen[-1].index, seen[-1].chain) != (
        session.position(stream).length,
        session.position(stream).chain,
    ):
        _add(session, stream, session.position(stream), generation)


def drop(session: CaseState, stream: StreamId) -> None:
    """The stream was left behind, with what was kept of it."""
    session.store.put_fact(session.case, _fact(stream), None)
    session.read_whole.discard(stream)


def _add(session: CaseState, stream: StreamId, position: Position, generation: int) -> None:
    seen = sightings(session, stream)
    now = Sighting(generation, session.around.clock(), position.length, position.chain)
    if not position.length or (seen and _place(seen[-1]) == _place(now)):
        return
    kept = _thinned(session, stream, [*seen, now])
    session.store.put_fact(session.case, _fact(stream), msgspec.msgpack.encode(kept))


def _place(one: Sighting) -> tuple[int, int, bytes]:
    return one.generation, one.index, one.chain


def _thinned(session: CaseState, stream: StreamId, seen: list[Sighting]) -> list[Sighting]:
    """Every second of the older half goes; the first one stays, and what shows that another log lay there."""
    if len(seen) <= MAX_SIGHTINGS:
        return seen
    linked = linked_from(session, stream)
    gone = [one for one in seen[:-1] if is_gone(session, stream, one, linked)]
    on = [one for one in seen if one not in gone]
    half = len(on) // 2
    on = [one for at, one in enumerate(on) if at >= half or at % 2 == 0]
    kept = {id(one) for one in (*on, *gone[-MAX_GONE_KEPT:])}
    return [one for one in seen if id(one) in kept]


def linked_from(session: CaseState, stream: StreamId) -> int:
    """The first place from which every chain to the end of the log is known. A snapshot that stands for more than was read
    here leaves a gap: what was read before it may be of another log, and nobody can tell."""
    position = session.position(stream)
    first = min(position.base + 1, position.length)
    while first > 1 and session.store.chain_at(session.case, stream, first - 1) is not None:
        first -= 1
    return first


def is_gone(session: CaseState, stream: StreamId, one: Sighting, linked: int) -> bool:
    """Whether it is of a log that is not there any more, or may be: then it is said of its own generation only. ``linked`` is
    ``linked_from`` of that stream."""
    return one.index < linked or session.store.chain_at(session.case, stream, one.index) != one.chain


def _fact(stream: StreamId) -> str:
    return f"seen {stream.hex()}"
