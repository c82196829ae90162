"""The CRDT engine: the only module that knows Automerge. Spec: docs/spec/part.md (Document).

The engine believes what it is fed, so only changes that passed the strict door come here, and a saved document
only from this device's own cache. A panic of the engine is a ``BaseException`` and leaves it half done: then
the document is made again from what it was before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from automerge.core import (
    ROOT,
    Document,
    Message,
    ObjType,
    ScalarType,
    SyncState,
    Transaction,
)

from eigenkring.errors import EigenkringError, EngineFailed

Scalar = str | int | float | bool | None
Kind = Literal["map", "text", "list", "scalar"]
Obj = bytes


class Node:
    """What lies under a key: an object (``kind`` and ``obj``) or a scalar (``value``)."""

    __slots__ = ("kind", "obj", "value")

    def __init__(self, kind: Kind, obj: Obj = b"", value: Scalar = None) -> None:
        self.kind = kind
        self.obj = obj
        self.value = value


def _node(found: tuple[Any, bytes] | None) -> Node | None:
    if found is None:
        return None
    value, obj = found
    if isinstance(value, ObjType):
        # The binding's enums cannot be keys of a dict.
        return Node("map" if value == ObjType.Map else "text" if value == ObjType.Text else "list", obj)
    # Bytes, counters and dates never pass the door; were one here, nothing is shown rather than a guess.
    scalar = value[1] if isinstance(value[1], str | int | float) else None
    return Node("scalar", value=scalar)


class Writing:
    """One change being made. Positions in a text count Unicode scalars."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, obj: Obj, key: str) -> Node | None:
        return _node(self._transaction.get(obj, key))

    def keys(self, obj: Obj) -> list[str]:
        return self._transaction.keys(obj)

    def text(self, obj: Obj) -> str:
        return self._transaction.text(obj)

    def length(self, obj: Obj) -> int:
        return self._transaction.length(obj)

    def put(self, obj: Obj, key: str, value: Scalar) -> None:
        # bool before int: in Python True is an int, in the document they differ.
        if value is None:
            kind = ScalarType.Null
        elif isinstance(value, bool):
            kind = ScalarType.Boolean
        elif isinstance(value, int):
            kind = ScalarType.Int
        elif isinstance(value, float):
            kind = ScalarType.F64
        else:
            kind = ScalarType.Str
        self._transaction.put(obj, key, kind, value)

    def make_map(self, obj: Obj, key: str) -> Obj:
        return self._transaction.put_object(obj, key, ObjType.Map)

    def make_text(self, obj: Obj, key: str) -> Obj:
        return self._transaction.put_object(obj, key, ObjType.Text)

    def insert(self, obj: Obj, position: int, text: str) -> None:
        for at, scalar in enumerate(text, position):
            self._transaction.insert(obj, at, ScalarType.Str, scalar)

    def remove(self, obj: Obj, position: int, count: int) -> None:
        for _ in range(count):
            self._transaction.delete(obj, position)

    def delete(self, obj: Obj, key: str) -> None:
        self._transaction.delete(obj, key)


class Engine:
    """One document. Every method either does all of what it says or raises and changes nothing."""

    root: Obj = ROOT

    def __init__(self, actor: bytes) -> None:
        self._actor = actor
        self._saved: bytes | None = None
        self._since: list[bytes] = []  # what came after _saved: a panicked document is made again from these
        self._document = Document(actor)

    @classmethod
    def load(cls, saved: bytes, actor: bytes) -> Engine:
        """From this device's own cache, never from elsewhere: permuted rows load with the same heads."""
        engine = cls(actor)
        with _guarded(engine._again):
            engine._document = _opened(saved, actor)
        engine._saved = saved
        return engine

    @property
    def actor(self) -> bytes:
        return self._actor

    def set_actor(self, actor: bytes) -> None:
        self._document.set_actor(actor)
        self._actor = actor

    def save(self) -> bytes:
        with _guarded(self._again):
            saved = self._document.save()
        self._saved, self._since = saved, []
        return saved

    def fork(self) -> Engine:
        twin = Engine(self._actor)
        with _guarded(self._again):
            twin._document = self._document.fork()
        twin._document.set_actor(self._actor)
        twin._saved, twin._since = self._saved, list(self._since)
        return twin

    def apply(self, changes: Sequence[bytes]) -> None:
        """Take in raw changes that passed the door, each after its dependencies."""
        if not changes:
            return
        message = _sync_message(changes)
        with _guarded(self._again):
            heads = set(self._document.get_heads())
            self._document.receive_sync_message(SyncState(), Message.decode(message))
            self._check_taken(heads, changes)
        self._since.extend(changes)

    def _check_taken(self, heads: set[bytes], changes: Sequence[bytes]) -> None:
        """A sync message with a piece that is no change, or that stands on an absent one, is taken in part or not
        at all, and in silence.
        """
        for raw in changes:
            heads.add(hashlib.sha256(memoryview(raw)[8:]).digest())
        for raw in changes:
            heads.difference_update(_dependencies(raw))
        if heads == set(self._document.get_heads()):
            return
        # Where one was there already its hash is no head; then every single one is looked for.
        held = {change.hash for change in self._document.get_changes([])}
        if not all(hashlib.sha256(memoryview(raw)[8:]).digest() in held for raw in changes):
            raise EngineFailed("the engine did not take every change")

    def commit(self, write: Callable[[Writing], None]) -> bytes | None:
        """Make one change: its raw bytes, or None when nothing became different. Time 0, no message."""
        before = self._document.get_heads()
        with _guarded(self._again):
            with self._document.transaction() as transaction:
                write(Writing(transaction))
            made = [change.raw_bytes for change in self._document.get_changes(before)]
        if not made:
            return None
        self._since.extend(made)
        return made[0]

    def heads(self) -> list[bytes]:
        return sorted(self._document.get_heads())

    def change_hashes(self) -> list[bytes]:
        with _guarded(self._again):
            return [change.hash for change in self._document.get_changes([])]

    def changes(self) -> list[bytes]:
        """Every change as it travels: one chunk each, not deflated, dependencies first."""
        with _guarded(self._again):
            return [change.raw_bytes for change in self._document.get_changes([])]

    def get(self, obj: Obj, key: str) -> Node | None:
        return _node(self._document.get(obj, key))

    def keys(self, obj: Obj) -> list[str]:
        return self._document.keys(obj)

    def text(self, obj: Obj) -> str:
        return self._document.text(obj)

    def length(self, obj: Obj) -> int:
        return self._document.length(obj)

    def _again(self) -> None:
        """The document as it was before a failure, in a new engine: the old one may be half done."""
        document = Document(self._actor) if self._saved is None else _opened(self._saved, self._actor)
        if self._since:
            document.receive_sync_message(SyncState(), Message.decode(_sync_message(self._since)))
        self._document = document


def _opened(saved: bytes, actor: bytes) -> Document:
    document = Document.load(saved)
    document.set_actor(actor)
    return document


@contextmanager
def _guarded(again: Callable[[], None]) -> Iterator[None]:
    """What the engine raises becomes EngineFailed, and the document is made again first."""
    try:
        yield
    except EngineFailed:
        again()
        raise
    except EigenkringError:
        raise  # of the caller's own function: the transaction was rolled back
    except BaseException as failure:
        again()
        # A panic of the engine is no Exception; Ctrl-C is not either, and that one must go on its way.
        if isinstance(failure, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        raise EngineFailed(f"the CRDT engine failed: {type(failure).__name__}") from failure


def _sync_message(changes: Sequence[bytes]) -> bytes:
    """The binding cannot apply changes, but a sync message may carry them: no heads, no needs, no haves."""
    parts = [b"\x42\0\0\0", _leb(len(changes))]
    for change in changes:
        parts += (_leb(len(change)), change)
    return b"".join(parts)


def _dependencies(raw: bytes) -> list[bytes]:
    """Of one chunk, as the door has read it: after the length of the chunk their number, then the hashes."""
    at = 9
    count = 0
    for _ in range(2):
        count = shift = 0
        while at < len(raw):
            byte = raw[at]
            at, count, shift = at + 1, count | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
    # Sliced within bounds: bytes that are no change may be asked too.
    return [raw[start : start + 32] for start in range(at, min(at + 32 * count, len(raw)), 32)]


def _leb(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
