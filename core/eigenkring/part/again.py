"""Own changes that were refused or voided, made again from what the person did. Spec: docs/spec/part.md (Made again).

What was made then stood on a document that is another one now. Two rules: the person's words come back, and
nobody else's words go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eigenkring.document import DocumentEngine, Intent, KindRules, Node, apply_intents, smallest_splice


def kept_intents(engine: DocumentEngine, intents: Sequence[Intent]) -> list[Intent]:
    """To be asked before the intents are applied: the form in which they can be made again. A text that is set
    becomes the splice it is, with the words it removes: the whole text, set later, would undo what others wrote.
    """
    kept: list[Intent] = []
    touched: set[tuple[str, ...]] = set()
    for intent in intents:
        if intent[0] in ("set", "splice"):
            path = tuple(intent[1])
            node = _field(engine, path)
            # The second time in one act the text is no longer the one that is there now.
            if node is not None and node.kind == "text" and path not in touched:
                intent = _as_splice(engine.text(node.obj), intent)
            touched.add(path)
        kept.append(intent)
    return kept


def _as_splice(now: str, intent: Intent) -> Intent:
    if intent[0] == "splice":
        position, count, text = intent[2:5]
    elif isinstance(intent[2], str):
        position, count, text = smallest_splice(now, intent[2])
    else:
        return intent
    return ["splice", list(intent[1]), position, count, text, now[position : position + count]]


def remake(engine: DocumentEngine, schema: KindRules | None, intents: Sequence[Intent]) -> list[bytes]:
    """The new changes. Raises ``Misuse`` only for what was misuse the first time."""
    changes: list[bytes] = []
    for intent in intents:
        # One by one: what the next one finds depends on the one before.
        for step in _possible(engine, intent):
            changes += apply_intents(engine, schema, [step])
    return changes


def _possible(engine: DocumentEngine, intent: Intent) -> Iterator[Intent]:
    match intent:
        case ["add", collection, item, fields] if isinstance(fields, Mapping):
            if _item(engine, (collection, item)) is None:
                yield intent
            else:
                yield from (["set", [collection, item, name], value] for name, value in fields.items())
        case ["set", [collection, item, name], value] if _item(engine, (collection, item)) is None:
            yield ["add", collection, item, {name: value}]
        case ["delete", path]:
            found = _item(engine, path) if len(path) == 2 else _field(engine, path)
            if found is not None:
                yield intent
        case ["splice", [collection, item, name], position, count, text, *removed]:
            node = _field(engine, (collection, item, name))
            if node is not None and node.kind == "text":
                words = str(removed[0]) if removed else ""
                at, count = _place(engine.text(node.obj), position, words)
                yield ["splice", [collection, item, name], at, count, text]
            elif text:
                yield from _possible(engine, ["set", [collection, item, name], text])
        case _:
            yield intent


def _place(now: str, position: int, removed: str) -> tuple[int, int]:
    """Where to put in, and how much to take out: the very words that were taken out then, or nothing."""
    if removed and now[position : position + len(removed)] == removed:
        return position, len(removed)
    if removed and now.count(removed) == 1:
        return now.index(removed), len(removed)
    return min(position, len(now)), 0


def _item(engine: DocumentEngine, path: Sequence[str]) -> Node | None:
    node = engine.get(engine.root, f"{path[0]}/{path[1]}")
    return node if node is not None and node.kind == "map" else None


def _field(engine: DocumentEngine, path: Sequence[str]) -> Node | None:
    item = _item(engine, path)
    return None if item is None or len(path) < 3 else engine.get(item.obj, path[2])
