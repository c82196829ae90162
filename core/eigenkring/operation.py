"""The operations of a change, and what many of them are: letters typed one after the other. Spec: docs/spec/change.md.

A word of six letters is six operations that say almost nothing: each stands after the one before it. They are read, checked
and packed as one stretch, and taken apart only for who asks for each of them (docs/decisions/stretches.md).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, overload

import msgspec

from eigenkring.scalars import Scalar

Action = Literal["make_map", "make_text", "set", "insert", "del"]


class OpId(NamedTuple):
    """Names an operation. Tuples of these sort as Automerge sorts: by counter, then by the actor's bytes."""

    counter: int
    actor: bytes


class Op(msgspec.Struct, frozen=True, gc=False):
    """One operation. ``key`` is text in a map and None in a text; there ``element`` None is the beginning.

    ``insert`` puts the one scalar of ``value`` after ``element``; ``del`` in a text removes ``element``.
    """

    action: Action
    obj: OpId | None
    key: str | None
    element: OpId | None
    value: Scalar
    pred: tuple[OpId, ...]


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Insertions of one scalar each into the text ``obj``: the first after ``element``, every other after the one before."""

    obj: OpId
    element: OpId | None
    text: str

    @property
    def action(self) -> Action:
        return "insert"

    @property
    def key(self) -> None:
        return None

    @property
    def pred(self) -> tuple[OpId, ...]:
        return ()


class Operations(Sequence[Op]):
    """The operations of a change from the counter ``start`` on: a sequence of each, and ``spans`` of them."""

    __slots__ = ("_actor", "_each", "_places", "_size", "spans", "start")

    def __init__(self, actor: bytes, start: int, spans: Sequence[Op | Stretch]) -> None:
        self.start = start
        self.spans = spans
        self._actor = actor
        self._places: list[int] = []
        self._size = 0
        for span in spans:
            self._places.append(self._size)
            self._size += len(span.text) if type(span) is Stretch else 1
        self._each: tuple[Op, ...] | None = None

    def counted(self) -> Iterator[tuple[int, int, Op | Stretch]]:
        """Every span with the counters of its first and of its last operation."""
        start = self.start
        for place, span in zip(self._places, self.spans, strict=True):
            first = start + place
            yield first, (first + len(span.text) - 1 if type(span) is Stretch else first), span

    def span_at(self, place: int) -> Op | Stretch:
        """What the operation at this place is, or is a part of."""
        return self.spans[bisect_right(self._places, place) - 1]

    def each(self) -> tuple[Op, ...]:
        if self._each is None:
            ops: list[Op] = []
            for span in self.spans:
                if isinstance(span, Op):
                    ops.append(span)
                    continue
                element = span.element
                for scalar in span.text:
                    ops.append(Op("insert", span.obj, None, element, scalar, ()))
                    element = OpId(self.start + len(ops) - 1, self._actor)
            self._each = tuple(ops)
        return self._each

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> Op: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Op, ...]: ...
    def __getitem__(self, at: int | slice) -> Op | tuple[Op, ...]:
        return self.each()[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.each() == tuple(other)

    def __hash__(self) -> int:
        return hash(self.each())


class _Made(Protocol):
    @property
    def actor(self) -> bytes: ...
    @property
    def start_op(self) -> int: ...
    @property
    def ops(self) -> Sequence[Op]: ...


def operations_of(change: _Made) -> Operations:
    """As they were read; of a change that was put together by hand each by itself."""
    ops = change.ops
    return ops if isinstance(ops, Operations) else Operations(change.actor, change.start_op, ops)
