"""Several changes of one part that are made together or not at all: ``with case.edit("plan") as plan: ...``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from eigenkring.errors import Misuse
from eigenkring.session import attachments
from eigenkring.session.parts import CaseSession

# ``max_text_letters``: some twenty pages. A whole book at once would hold up this device and all others for minutes.
MOST_LETTERS: Final = 50_000


class Editing:
    """Changes of one part, kept back until the end of the ``with``: then they are made as one, and sent at the next sync. When
    it ends with an error nothing is changed. Every method raises ``Misuse`` where what is asked does not fit."""

    def __init__(self, session: CaseSession, part: str) -> None:
        self._session = session
        self._part = part
        self._kind = part.partition("@")[0]
        self._schema = session.around.schema
        self._intents: list[Any] = []
        session.part(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        intents, self._intents = self._intents, []
        if error is None and intents:
            attachments.edit(self._session, self._part, intents)

    def add(self, collection: str, fields: Mapping[str, Any]) -> str:
        """Add an item. Gives its id. Raises ``Misuse``: ``no_such_collection``, ``bad_path``, ``bad_value``."""
        known = self._schema.collection(self._kind, collection)
        if known is not None and known.single:
            raise Misuse("bad_path", f"{collection} is one item: use `set` on {collection}/{collection}")
        if any("/" in field for field in fields):
            raise Misuse("bad_path", "the name of a field holds no /: no path would lead to it")
        fields = self._schema.codes(self._kind, collection, fields)
        self._schema.validate_fields(self._kind, collection, fields)
        _refuse_books(fields.values())
        item = self._session.around.random(10).hex()
        fresh = self._schema.new_item(self._kind, collection)
        self._intents.append(["add", collection, item, {**fresh, **fields}])
        return item

    def set(self, path: str, value: Any, *, as_typed: str | None = None) -> None:
        """Change a field, ``collection/item/field``; on text the smallest splice. ``as_typed``: the words, where the value was
        read as JSON. Raises ``Misuse``: ``bad_path``, ``bad_value``; at the end ``no_such_item``."""
        collection, item, field = path_of(path, 3)
        rule = self._schema.field(self._kind, collection, field)
        words = rule is not None and rule.type in ("text", "string", "person", "date", "choice")
        if words and as_typed is not None and not isinstance(value, str):
            value = as_typed  # "12" in a text is a text
        value = self._schema.codes(self._kind, collection, {field: value})[field]
        self._schema.validate_fields(self._kind, collection, {field: value})
        _refuse_books([value])
        known = self._schema.collection(self._kind, collection)
        if known is not None and known.single and not self._is_there(collection):
            fresh = self._schema.new_item(self._kind, collection)
            self._intents.append(["add", collection, collection, fresh])
        self._intents.append(["set", [collection, item, field], value])

    def delete(self, path: str) -> None:
        """Delete an item or a field. The words stay in the part's history for its readers; photos and files go at the
        relay. Raises ``Misuse``: ``bad_path``; at the end ``no_such_item``."""
        size = len(path.split("/"))
        self._intents.append(["delete", path_of(path, size if size in (2, 3) else 3)])

    def _is_there(self, single: str) -> bool:
        here = self._session.read(self._session.part(self._part)).get(single)
        return bool(here) or ["add", single, single] in [intent[:3] for intent in self._intents]


def _refuse_books(values: Iterable[object]) -> None:
    if any(isinstance(value, str) and len(value) > MOST_LETTERS for value in values):
        raise Misuse("too_large", f"at most {MOST_LETTERS} letters in one text: a whole book holds up every device")


def path_of(path: str, size: int) -> list[str]:
    steps = path.strip("/").split("/")
    if len(steps) != size or not all(steps):
        raise Misuse("bad_path", "a path is collection/item/field")
    return steps
