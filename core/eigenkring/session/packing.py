"""What was typed between two syncs goes up as one record of each part: one signature, one padding, one row.

Also for who watches the wire: how many words somebody typed is then not how many records came.

The first words of a part that wait are signed when they are made, because mostly they go at once, and a record that goes was
kept before. Those that join them lie in the outbox unsigned, as what they are, until all go together: the signature over the
newest vouches for the others, so one for each would be work for nothing.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from eigenkring.ids import StreamId
from eigenkring.part.author import change_hash
from eigenkring.session import adopting
from eigenkring.session.words import Words, unsigned

if TYPE_CHECKING:
    from eigenkring.session.parts import CaseSession


def _waiting(session: CaseSession) -> dict[tuple[StreamId, bytes], tuple[list[int], list[Words]]]:
    """What can be signed anew, by part and incarnation: a record holds the changes of one actor."""
    found: dict[tuple[StreamId, bytes], tuple[list[int], list[Words]]] = {}
    needed = set()
    for item in session.store.outbox(session.case):
        unsent = session.unsent.get(item.number)
        if item.stream is None:
            continue
        words = unsigned(item)
        if words is not None:
            needed.add((item.stream, words.incarnation))
        elif unsent is not None and unsent.record == item.record:
            words = unsent.words if unsent.words.incarnation == session.row.incarnation else None
        if words is not None:
            numbers, several = found.setdefault((item.stream, words.incarnation), ([], []))
            numbers.append(item.number)
            several.append(words)
    return {of: group for of, group in found.items() if of in needed or len(group[0]) > 1}


def waits(session: CaseSession) -> bool:
    """Whether words wait that are to be signed before they go."""
    return any(session.may_sign(stream) for stream, _ in _waiting(session)) and not adopting.holds_back(session)


def pack(session: CaseSession) -> None:
    """Signs, as of now, own changes that wait unsigned or in several records and cannot have been sent.

    A record that may have been sent keeps its bytes, because the relay knows it again by them. Of the records that this
    session queued that is known; of one that lay there when it began it is not, so that one stays. A record holds the
    changes of one actor, and so of one incarnation, and of one day, because it claims one. While words are held back
    nothing is signed: it would be signed again when they go (``adopting.settle``).
    """
    waiting = _waiting(session)
    if not waiting or adopting.holds_back(session):
        return
    for (stream, incarnation), (numbers, several) in waiting.items():
        opened = session.parts.get(stream)
        if opened is None or not session.may_sign(stream):
            continue
        # What was refused meanwhile is made again, as other changes.
        standing = set(opened.fold.pending_hashes())
        # Taken out first: the store gives a number that is free again to the new record.
        with session.store.step():
            for number in numbers:
                session.unsent.pop(number, None)
                session.store.drop_outbox(number)
            for day, of_a_day in itertools.groupby(several, lambda words: words.day):
                made = [raw for words in of_a_day for raw in words.changes if change_hash(raw) in standing]
                session.queue(opened, Words(incarnation, day, made))
    session.unsigned -= {stream for stream, _ in waiting if session.may_sign(stream)}
