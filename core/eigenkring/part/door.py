"""The strict door of one part: which changes may reach the engine. Spec: docs/spec/change.md.

It keeps no words, only names: which operations exist, where they stand, and what each change had seen. They are
columns of numbers, in memory as in the store: a word that is written in a part of years asks for a few of them.
Whether an actor belongs to a device that may write here is the caller's question; this module answers the
ones that need only the part's own changes.
"""

from __future__ import annotations

from array import array
from typing import Final

import msgspec

from eigenkring.change import Change, parse_change
from eigenkring.errors import Inadmissible
from eigenkring.operation import Op, OpId, Stretch, operations_of
from eigenkring.part.names import NOBODY, Names, PackedNames, packed, unpacked

DEVICE_BYTES: Final = 16
# A device writes as a new actor after its store was restored. Without a bound one device could make as many
# actors as it likes, and what each change has seen is kept per actor.
MAX_INCARNATIONS: Final = 256

# The JavaScript engine takes minutes for maps nested thousands deep, which one change of a few kilobytes can make.
MAX_DEPTH: Final = 16

_MAP: Final = 0
_TEXT: Final = 1
_KINDS: Final[dict[str, int]] = {"make_map": _MAP, "make_text": _TEXT}
_Name = tuple[int, int]  # counter, index of the actor
# A place is one number, because a tuple for each change of years would be walked at every collection of garbage.
_ACTOR: Final = 1 << 32
_HASH_BYTES: Final = 32


class _Actor(msgspec.Struct):
    actor: bytes
    hashes: list[bytes] = []  # by sequence - 1
    seen: list[tuple[int, ...]] = []  # what each change has seen of every actor; its own place means nothing
    names: Names = msgspec.field(default_factory=Names)


class _SavedActor(msgspec.Struct, array_like=True):
    actor: bytes
    hashes: bytes
    clocks: bytes
    names: PackedNames


class _Saved(msgspec.Struct, array_like=True):
    actors: list[_SavedActor]
    clocks: list[tuple[int, ...]]
    keys: list[str]
    heads: list[bytes]


class _EarlierSaved(msgspec.Struct, array_like=True):
    """As it was kept before it was columns."""

    actors: list[tuple[bytes, bytes, list[int], list[int], list[int], list[tuple[int, int, _Name | None, str | None]]]]
    clocks: list[tuple[int, ...]]
    objects: list[tuple[int, int, int, int]]
    heads: list[bytes]


class Door:
    """``check`` says no by raising and changes nothing; ``admit`` then takes in what ``check`` returned."""

    def __init__(self) -> None:
        self._actors: list[_Actor] = []
        self._index: dict[bytes, int] = {}
        self._changes: dict[bytes, int] = {}  # by hash the index of the actor, times _ACTOR, and the sequence
        self._keys: dict[str, int] = {}  # of maps, each with its index
        self._heads: set[bytes] = set()
        self._incarnations: dict[bytes, int] = {}

    # What the caller may ask

    def __len__(self) -> int:
        return len(self._changes)

    def has(self, change: bytes) -> bool:
        return change in self._changes

    def heads(self) -> tuple[bytes, ...]:
        return tuple(sorted(self._heads))

    def clock(self) -> dict[bytes, int]:
        """Of every actor the highest admitted sequence."""
        return {entry.actor: len(entry.hashes) for entry in self._actors}

    def highest_seq(self, actor: bytes) -> int:
        index = self._index.get(actor)
        return 0 if index is None else len(self._actors[index].hashes)

    def newest(self, actor: bytes) -> bytes | None:
        """The hash of the actor's newest admitted change."""
        index = self._index.get(actor)
        return None if index is None else self._actors[index].hashes[-1]

    def covers(self, newest: bytes, change: bytes) -> bool:
        """Whether ``change`` is ``newest`` or its ancestor; False when one of them was never admitted."""
        if newest not in self._changes or change not in self._changes:
            return False
        actor, seq = self._place_of(change)
        return seq <= self._seen_of(self._place_of(newest), actor)

    def _place_of(self, change: bytes) -> tuple[int, int]:
        """Index of the actor, and sequence, of an admitted change."""
        return divmod(self._changes[change], _ACTOR)

    def _seen_of(self, place: tuple[int, int], actor: int) -> int:
        """How many changes of ``actor`` the change has among itself and its ancestors."""
        index, seq = place
        if index == actor:
            return seq
        seen = self._actors[index].seen[seq - 1]
        return seen[actor] if actor < len(seen) else 0

    # The rules

    def check(self, raw: bytes) -> Change:
        change = parse_change(raw)
        self.check_parsed(change)
        return change

    def check_parsed(self, change: Change) -> None:
        """The rules that need the changes before it. The order is part of the specification."""
        if change.hash in self._changes:
            raise Inadmissible("duplicate_change")
        for dep in change.deps:
            if dep not in self._changes:
                raise Inadmissible("missing_dependency")
        index = self._index.get(change.actor)
        previous = 0 if index is None else len(self._actors[index].hashes)
        if change.seq != previous + 1:
            raise Inadmissible("bad_sequence")
        if index is None:
            if self._incarnations.get(change.actor[:DEVICE_BYTES], 0) >= MAX_INCARNATIONS:
                raise Inadmissible("bad_actor", "too many incarnations of one device")
        elif self._actors[index].hashes[-1] not in change.deps:
            raise Inadmissible("own_dependency")
        # Else a huge start would use up the counters, and no honest change could follow.
        if change.start_op != 1 + max((self._end_of(dep) for dep in change.deps), default=0):
            raise Inadmissible("bad_start")
        _References(self, change, self._merged(change)).check()

    def _end_of(self, change: bytes) -> int:
        index, seq = self._place_of(change)
        return self._actors[index].names.end_of(seq)

    def _merged(self, change: Change) -> tuple[int, ...]:
        """What the dependencies together have seen, by index of the actor."""
        first = self._place_of(change.deps[0]) if len(change.deps) == 1 else None
        if first is not None and self._actors[first[0]].actor == change.actor:
            # Typing on alone: the same object as before, so a long run of keystrokes costs one tuple.
            return self._actors[first[0]].seen[first[1] - 1]
        merged = [0] * len(self._actors)
        for dep in change.deps:
            index, seq = self._place_of(dep)
            for actor, count in enumerate(self._actors[index].seen[seq - 1]):
                if count > merged[actor]:
                    merged[actor] = count
            merged[index] = max(merged[index], seq)
        return tuple(merged)

    def admit(self, change: Change) -> None:
        """Take in a change that ``check`` has just returned."""
        seen = self._merged(change)
        index = self._index.get(change.actor)
        if index is None:
            self._enter(change.actor)
            index = self._index[change.actor]
        entry = self._actors[index]
        if len(entry.hashes) != change.seq - 1:
            raise AssertionError("only the change that was checked last may be admitted")
        entry.hashes.append(change.hash)
        entry.seen.append(seen)
        names = entry.names
        names.add_change(change.start_op, change.max_op)
        self._changes[change.hash] = index * _ACTOR + change.seq
        for counter, last, span in operations_of(change).counted():
            obj, obj_actor = (0, NOBODY) if span.obj is None else self._name(span.obj)
            if span.action in _KINDS:
                depth = 0 if obj_actor == NOBODY else self._actors[obj_actor].names.object_at(obj)[1]
                names.add_object(counter, _KINDS[span.action], depth + 1)
            if span.action != "del":
                key = NOBODY if span.key is None else self._keys.setdefault(span.key, len(self._keys))
                names.place(counter, last, obj, obj_actor, key)
        self._heads.difference_update(change.deps)
        self._heads.add(change.hash)

    def _name(self, name: OpId) -> _Name:
        return name.counter, self._index[name.actor]

    # Cache

    def dump(self) -> bytes:
        """For the device's own store; no protocol format. ``load`` believes every byte of it."""
        clocks: dict[tuple[int, ...], int] = {}
        actors = [
            _SavedActor(
                entry.actor,
                b"".join(entry.hashes),
                packed(array("I", [clocks.setdefault(seen, len(clocks)) for seen in entry.seen])),
                entry.names.pack(),
            )
            for entry in self._actors
        ]
        return msgspec.msgpack.encode(_Saved(actors, list(clocks), list(self._keys), list(self.heads())))

    @classmethod
    def load(cls, data: bytes) -> Door:
        saved = msgspec.msgpack.decode(data, type=_Saved)
        door = cls()
        for kept in saved.actors:
            entry = door._enter(kept.actor)
            door._remember(entry, kept.hashes, [saved.clocks[at] for at in unpacked("I", kept.clocks)])
            entry.names = Names.of(kept.names)
        door._keys = dict(zip(saved.keys, range(len(saved.keys)), strict=True))
        door._heads = set(saved.heads)
        return door

    @classmethod
    def load_earlier(cls, data: bytes) -> Door:
        """What programs before columns kept."""
        saved = msgspec.msgpack.decode(data, type=_EarlierSaved)
        door = cls()
        for actor, hashes, starts, ends, clocks, runs in saved.actors:
            entry = door._enter(actor)
            door._remember(entry, hashes, [saved.clocks[at] for at in clocks])
            for start, end in zip(starts, ends, strict=True):
                entry.names.add_change(start, end)
            for first, last, obj, key in runs:
                index = NOBODY if key is None else door._keys.setdefault(key, len(door._keys))
                entry.names.place(first, last, *((0, NOBODY) if obj is None else obj), index)
        for counter, actor_index, kind, depth in saved.objects:
            door._actors[actor_index].names.add_object(counter, kind, depth)
        door._heads = set(saved.heads)
        return door

    def _enter(self, actor: bytes) -> _Actor:
        entry = _Actor(actor)
        self._index[actor] = len(self._actors)
        self._actors.append(entry)
        device = actor[:DEVICE_BYTES]
        self._incarnations[device] = self._incarnations.get(device, 0) + 1
        return entry

    def _remember(self, entry: _Actor, hashes: bytes, seen: list[tuple[int, ...]]) -> None:
        entry.hashes, entry.seen = [hashes[at : at + _HASH_BYTES] for at in range(0, len(hashes), _HASH_BYTES)], seen
        first = self._index[entry.actor] * _ACTOR + 1
        self._changes.update(zip(entry.hashes, range(first, first + len(seen)), strict=True))


class _References:
    """Whether what one change names exists for it: in an ancestor or earlier in itself, and it fits.

    An operation that is admitted but in no ancestor is refused too: the author cannot have seen it, and the
    verdict would depend on what else happens to lie before the change in the stream.
    """

    def __init__(self, door: Door, change: Change, seen: tuple[int, ...]) -> None:
        self.door = door
        self.change = change
        self.ops = operations_of(change)
        self.seen = seen
        self.own = door._index.get(change.actor, -1)

    def check(self) -> None:
        written: dict[tuple[OpId | None, str], OpId] = {}  # what this change last put under a key
        # Of a stretch its first letter is asked: every other one stands after the one before, in the same text.
        for counter, _, op in self.ops.counted():
            kind, depth = self._object(op.obj, counter)
            if kind != (_TEXT if op.key is None else _MAP):
                raise Inadmissible("no_object")
            if op.action in _KINDS and depth >= MAX_DEPTH:
                raise Inadmissible("too_large", "objects nested too deeply")
            if op.key is None:
                if op.element is not None and not self._stands(op.element, op, counter):
                    raise Inadmissible("no_element")
                continue
            for pred in op.pred:
                if not self._stands(pred, op, counter):
                    raise Inadmissible("no_predecessor")
            # Else one change could put 20,000 values beside each other under one key, and every later step of an
            # engine would walk them. Who writes a key twice replaces the own first value.
            last = written.pop((op.obj, op.key), None)
            if last is not None and last not in op.pred:
                raise Inadmissible("no_predecessor")
            if op.action != "del":
                written[op.obj, op.key] = OpId(counter, self.change.actor)

    def _inside(self, name: OpId, before: int) -> Op | Stretch | bool | None:
        """The earlier operation of this change that is named; False when the name is of another change."""
        if name.actor != self.change.actor or name.counter < self.change.start_op:
            return False
        return self.ops.span_at(name.counter - self.ops.start) if name.counter < before else None

    def _outside(self, name: OpId) -> _Name | None:
        """The name by index, when it is of a change that this one has seen."""
        index = self.door._index.get(name.actor)
        if index is None:
            return None
        seq = self.door._actors[index].names.changes_until(name.counter)
        if index != self.own and (index >= len(self.seen) or seq > self.seen[index]):
            return None
        return name.counter, index

    def _object(self, name: OpId | None, before: int) -> tuple[int | None, int]:
        """Kind and depth of the object that is named."""
        if name is None:
            return _MAP, 0
        inside = self._inside(name, before)
        if isinstance(inside, Op | Stretch):
            if inside.action not in _KINDS:
                return None, 0
            # Ops of this change were checked before this one, so the walk is no longer than MAX_DEPTH.
            return _KINDS[inside.action], self._object(inside.obj, before)[1] + 1
        outside = None if inside is None else self._outside(name)
        return (None, 0) if outside is None else self.door._actors[outside[1]].names.object_at(outside[0])

    def _stands(self, name: OpId, op: Op | Stretch, before: int) -> bool:
        """Whether the named operation holds a value in the object and under the key of ``op``."""
        inside = self._inside(name, before)
        if isinstance(inside, Op | Stretch):
            return inside.action != "del" and inside.obj == op.obj and inside.key == op.key
        outside = None if inside is None else self._outside(name)
        if outside is None:
            return False
        counter, index = outside
        obj, actor = (0, NOBODY) if op.obj is None else (op.obj.counter, self.door._index.get(op.obj.actor))
        key = NOBODY if op.key is None else self.door._keys.get(op.key)
        return self.door._actors[index].names.stands(counter, obj, actor, key)
