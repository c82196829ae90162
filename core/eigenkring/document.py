"""What a person does, as changes of a part's document, and the document read back. Spec: docs/spec/part.md (Document).

The root map has one map per item under ``collection/item``. A text is spliced, never overwritten, so that two
people can write in it at once; a set is a map of value to true, so that two people can add to it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from eigenkring.change import MAX_CHANGE_BYTES
from eigenkring.errors import EngineFailed
from eigenkring.steps import (
    Intent,
    KindRules,
    Node,
    Reading,
    Scalar,
    Steps,
    TooLarge,
    is_member,
    plain,
    smallest_splice,
)

__all__ = [
    "Document",
    "DocumentEngine",
    "Intent",
    "KindRules",
    "Node",
    "Value",
    "apply_intents",
    "complete",
    "read",
    "smallest_splice",
]

Value: TypeAlias = "Scalar | list[str]"
Document: TypeAlias = "dict[str, dict[str, dict[str, Value]]]"


class DocumentEngine(Reading, Protocol):
    @property
    def root(self) -> bytes: ...
    def fork(self) -> DocumentEngine: ...
    def save(self) -> bytes: ...
    def heads(self) -> list[bytes]: ...
    def apply(self, changes: Sequence[bytes]) -> None: ...
    def commit(self, write: Callable[[Any], None]) -> bytes | None: ...


# Reading


def read(engine: DocumentEngine, schema: KindRules | None = None) -> Document:
    """``{collection: {item: {field: value}}}`` in sorted order; of values set at once, the engine's winner.

    What the schema does not know is there too. Never deeper than a set in an item, whatever was stored: a
    document of maps in maps in maps must not exhaust anybody's stack.
    """
    document: Document = {}
    for key in sorted(engine.keys(engine.root)):
        collection, slash, item = key.partition("/")
        node = engine.get(engine.root, key)
        if not (collection and slash and item) or node is None or node.kind != "map":
            continue
        document.setdefault(collection, {})[item] = _read_item(engine, node.obj)
    return complete(document, schema)


def complete(found: Document, schema: KindRules | None = None) -> Document:
    """In sorted order, and with the collections of the kind in which nothing lies."""
    names = set(found) | set(schema.collections if schema else ())
    return {name: found.get(name, {}) for name in sorted(names)}


def _read_item(engine: Reading, obj: bytes) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name in sorted(engine.keys(obj)):
        node = engine.get(obj, name)
        if node is None or node.kind == "list":
            continue
        fields[name] = _read_field(engine, node)
    return fields


def _read_field(engine: Reading, node: Node) -> Value:
    if node.kind == "text":
        return engine.text(node.obj)
    if node.kind == "map":
        return sorted(member for member in engine.keys(node.obj) if is_member(engine.get(node.obj, member)))
    return plain(node.value)


# Writing


def apply_intents(engine: DocumentEngine, schema: KindRules | None, intents: Sequence[Intent]) -> list[bytes]:
    """Do what a person did: the raw changes, in order; mostly one, more for a large paste, none when nothing
    became different. Raises ``Misuse`` and leaves the engine as it was.
    """
    steps = Steps(engine.root, schema, intents)
    try:
        made = engine.commit(steps.run_whole)
        return [] if made is None else [_fits(made)]
    except TooLarge:
        # Several changes: made on a copy, so that misuse in a later one takes the earlier ones along.
        copy = engine.fork()
    steps = Steps(copy.root, schema, intents)
    changes: list[bytes] = []
    while not steps.done:
        made = copy.commit(steps.run)
        if made is not None:
            changes.append(_fits(made))
    engine.apply(changes)
    return changes


def _fits(change: bytes) -> bytes:
    if len(change) > MAX_CHANGE_BYTES:
        raise EngineFailed("a change became too large")
    return change
