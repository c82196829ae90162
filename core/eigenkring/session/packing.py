"""What was typed between two syncs goes up as one record of each part: one signature, one padding, one row.

Also for who watches the wire: how many words somebody typed is then not how many records came.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from eigenkring.ids import StreamId
from eigenkring.session import adopting

if TYPE_CHECKING:
    from eigenkring.session.parts import CaseSession


def pack(session: CaseSession) -> None:
    """Signs anew, as of now, own changes that wait in several records and cannot have been sent.

    A record that may have been sent keeps its bytes, because the relay knows it again by them. Of the records that this
    session queued that is known; of one that lay there when it began it is not, so that one stays. A record holds the
    changes of one actor, and so of one incarnation, and of one day, because it claims one. While words are held back
    nothing is signed: it would be signed again when they go (``adopting.settle``).
    """
    waiting: dict[tuple[StreamId, bytes], list[int]] = {}
    for item in session.store.outbox(session.case):
        unsent = session.unsent.get(item.number)
        if item.stream is not None and unsent is not None and unsent.record == item.record:
            waiting.setdefault((item.stream, unsent.incarnation), []).append(item.number)
    several = [(*of, numbers) for of, numbers in waiting.items() if len(numbers) > 1]
    if not several or adopting.holds_back(session):
        return
    for stream, incarnation, numbers in several:
        opened = session.parts.get(stream)
        charter = session.known()
        if opened is None or incarnation != session.row.incarnation:
            continue
        if session.secrets(stream).read is None or not charter.may_write(session.me(), opened.part.name):
            continue
        # Taken out first: the store gives a number that is free again to the new record.
        made = [session.unsent.pop(number) for number in numbers]
        with session.store.step():
            for number in numbers:
                session.store.drop_outbox(number)
            for day, of_a_day in itertools.groupby(made, lambda unsent: unsent.day):
                session.queue(opened, [raw for unsent in of_a_day for raw in unsent.changes], day)
