"""The content schema: which parts a case has, who reads and writes them, what they hold. Spec: docs/spec/schema.md.

Everything comes from one data file, ``content.json``, that the app reads too: a part or field more is an edit of it.
Pure after ``load_schema``.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias

import msgspec

from eigenkring.attachment import parse_attachment
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import PersonId

ROLES: Final = ("owner", "member", "child", "coordinator")
SELF: Final = "self"
LET_IN: Final = "let_in"
MAX_STRING_BYTES: Final = 65_536
# What the strict door lets in (docs/spec/change.md).
MAX_MEMBER_BYTES: Final = 256
# Beyond it a JavaScript number is another one, or a bigint.
MAX_FIELD_INTEGER: Final = 2**53 - 2

FieldType: TypeAlias = Literal[
    "text", "string", "integer", "number", "boolean", "date", "choice", "person", "set", "attachment"
]
Reader: TypeAlias = Literal["self", "let_in", "owner", "member", "child", "coordinator"]
Role: TypeAlias = Literal["owner", "member", "child", "coordinator"]

_KIND: Final = re.compile(r"[a-z]{1,32}")
_PERSON: Final = re.compile(r"[0-9a-f]{16}")
# A day, with a time of day where there is one; local unless it says otherwise.
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:Z|[+-]\d\d:\d\d)?"
_DATE: Final = re.compile(rf"(\d{{4}}-\d\d-\d\d)(?:[T ]{_TIME})?", re.ASCII)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same words in every language of the app."""

    nl: str
    en: str


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: FieldType
    label: Words
    # Code to words. Of a `choice` the only values; of a `string` suggestions.
    options: dict[str, Words] = {}
    people: bool = False
    required: bool = False
    default: str | int | float | bool | None = None
    # `kind/collection` of the items that the value names.
    refers: str | None = None

    @property
    def names_people(self) -> bool:
        return self.people or self.type == "person"


class Collection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Words
    single: bool
    fields: dict[str, Field]


class RoomRule(msgspec.Struct, frozen=True):
    """Who a room is, and the name that follows from it (docs/spec/charter.md). ``let_in``: the roles of those whom the
    person, or for a part about nobody an owner, may add to ``people``."""

    name: str
    roles: tuple[str, ...]
    people: tuple[PersonId, ...]
    let_in: tuple[str, ...] = ()


class PartRooms(msgspec.Struct, frozen=True):
    read: RoomRule
    write: RoomRule
    manage: RoomRule


class KindSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    title: Words
    purpose: Words
    icon: str
    about_person: bool
    read: tuple[Reader, ...]
    write: tuple[Reader, ...]
    manage: Literal["owner", "self"]
    # Who may put this part in a view: any owner, only the person it is about (as an owner), or nobody.
    show: Literal["owner", "self", "never"]
    collections: dict[str, Collection]
    given_to: tuple[Role, ...] = ()
    let_in: tuple[Role, ...] = ()

    def field(self, collection: str, field: str) -> Field | None:
        known = self.collections.get(collection)
        return None if known is None else known.fields.get(field)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    roles: tuple[Role, ...]
    parts: tuple[KindSchema, ...]


class Schema:
    """The kinds this program knows, in the order of the file. Other kinds and fields are kept, not understood."""

    def __init__(self, kinds: Mapping[str, KindSchema]) -> None:
        self.kinds: Final = dict(kinds)

    def rooms_for(self, kind: str, about: PersonId | None) -> PartRooms | None:
        """The three rooms of a part; None for an unknown kind, and where a person is missing or is one too many."""
        known = self.kinds.get(kind)
        if known is None or known.about_person != (about is not None):
            return None
        part = part_name(kind, about)
        return PartRooms(
            _room(part, known.read, about, known.let_in),
            _room(part, known.write, about, ()),
            _room(part, (known.manage,), about, ()),
        )

    def parts_at_founding(self, role: str = "owner") -> list[str]:
        """The parts about nobody. A coordinator who starts a case makes only those that role may read: the private time
        is founded by the first owner, so that no coordinator's device ever held a key of it."""
        return [
            kind
            for kind, known in self.kinds.items()
            if not known.about_person and (role == "owner" or role in known.read)
        ]

    def parts_about(self, role: str) -> list[str]:
        """The kinds of which every person with this role has one, made by that person."""
        return [kind for kind, known in self.kinds.items() if role in known.given_to]

    def collection(self, kind: str, collection: str) -> Collection | None:
        known = self.kinds.get(kind)
        return None if known is None else known.collections.get(collection)

    def field(self, kind: str, collection: str, field: str) -> Field | None:
        known = self.kinds.get(kind)
        return None if known is None else known.field(collection, field)

    def is_text(self, kind: str, collection: str, field: str, value: object) -> bool:
        """Whether this value is kept as text that two people can edit at once. Of unknown fields every string is."""
        known = self.field(kind, collection, field)
        return isinstance(value, str) and (known is None or known.type == "text")

    def validate_fields(
        self, kind: str, collection: str, fields: Mapping[str, object], *, adding: bool = False
    ) -> None:
        """Raises ``Misuse``: ``no_such_collection``; ``bad_value`` for a value that does not fit its field and, when
        ``adding``, for a required field that is absent or empty. What is unknown here is allowed if it is plain."""
        known = self.kinds.get(kind)
        rules: Mapping[str, Field] = {}
        if known is not None:
            if collection not in known.collections:
                raise Misuse("no_such_collection", f"{kind} has no {collection}")
            rules = known.collections[collection].fields
        for name, value in fields.items():
            rule = rules.get(name)
            if not (_is_plain(value) if rule is None else _fits(rule, value)):
                raise Misuse("bad_value", f"{kind}/{collection}/{name} does not take that value")
        if adding:
            for name, rule in rules.items():
                if rule.required and fields.get(name) in (None, ""):
                    raise Misuse("bad_value", f"{kind}/{collection} needs {name}")

    def codes(self, kind: str, collection: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields with the words of a choice, in any language of the app, put as its code: "klaar" is ``done``."""
        return {name: _code(self.field(kind, collection, name), value) for name, value in fields.items()}

    def attachment_field(self, kind: str, collection: str) -> str | None:
        """The field of a collection that takes a photo or file; the first where there are more."""
        known = self.collection(kind, collection)
        fields = {} if known is None else known.fields
        return next((name for name, rule in fields.items() if rule.type == "attachment"), None)

    def new_item(self, kind: str, collection: str) -> dict[str, str | int | float | bool]:
        """The fields a new item starts with."""
        known = self.collection(kind, collection)
        if known is None:
            return {}
        return {name: rule.default for name, rule in known.fields.items() if rule.default is not None}


@cache
def load_schema() -> Schema:
    """The schema that comes with this program. The one place of this module that reads a file."""
    return parse_schema(files("eigenkring").joinpath("content.json").read_bytes())


def parse_schema(data: bytes) -> Schema:
    """A schema file. ``ValueError`` when it is not well formed: it is part of the program, so the fault is ours."""
    content = msgspec.json.decode(data, type=_File)
    if content.roles != ROLES:
        raise ValueError("the roles are fixed by the charter")
    kinds: dict[str, KindSchema] = {}
    for known in content.parts:
        if known.kind in kinds:
            raise ValueError(f"{known.kind} twice")
        kinds[known.kind] = known
    for known in content.parts:
        _check_kind(known, kinds)
    return Schema(kinds)


def part_name(kind: str, about: PersonId | None) -> str:
    """``kind`` or ``kind@person``."""
    return kind if about is None else f"{kind}@{about.hex()}"


def split_part(part: str) -> tuple[str, PersonId | None]:
    """The kind and the person of a part's name. Raises ``Misuse("bad_path")``."""
    kind, at, person = part.partition("@")
    if not _KIND.fullmatch(kind) or (at and not _PERSON.fullmatch(person)):
        raise Misuse("bad_path", "a part is kind or kind@person")
    return kind, PersonId(bytes.fromhex(person)) if at else None


def _room(part: str, who: tuple[str, ...], about: PersonId | None, let_in: tuple[str, ...]) -> RoomRule:
    roles = tuple(role for role in ROLES if role in who)
    alone = about if SELF in who else None
    people = () if alone is None else (alone,)
    # A part that lets people in has a room of its own from the start: its name must not change when somebody comes.
    if let_in or (roles and people):
        return RoomRule(part, roles, people, let_in)
    return RoomRule("+".join(roles) if alone is None else f"@{alone.hex()}", roles, people)


def _code(rule: Field | None, value: Any) -> Any:
    if rule is None or rule.type != "choice" or not isinstance(value, str) or value in rule.options:
        return value
    said = value.strip().casefold()
    for code, words in rule.options.items():
        if said in (code.casefold(), words.nl.casefold(), words.en.casefold()):
            return code
    return value


def _fits(rule: Field, value: object) -> bool:
    match rule.type:
        case "text":
            return _is_string(value, limit=None)
        case "string":
            return _is_string(value)
        case "person":
            return _is_string(value) and value != ""
        case "integer":
            return _is_integer(value)
        case "number":
            return _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "date":
            return isinstance(value, str) and _is_date(value)
        case "choice":
            return isinstance(value, str) and value in rule.options
        case "set":
            return _is_set(value)
        case "attachment":
            return value is None or (isinstance(value, str) and _is_attachment(value))


def _is_attachment(value: str) -> bool:
    try:
        parse_attachment(value)
    except Inadmissible as error:
        # One of a newer program is copied as it is.
        return error.code == "future_version"
    return True


def _is_set(value: object) -> bool:
    """A list of different members."""
    if not isinstance(value, list | tuple) or not all(_is_member(member) for member in value):
        return False
    return len(set(value)) == len(value)


def _is_member(value: object) -> bool:
    # A member is a key of a map in the document, and the strict door lets no other keys in.
    return _is_string(value, MAX_MEMBER_BYTES) and value not in ("", "__proto__")


def _is_plain(value: object) -> bool:
    """What a document can hold: docs/spec/part.md."""
    return value is None or isinstance(value, bool) or _is_string(value) or _is_number(value) or _is_set(value)


def _is_string(value: object, limit: int | None = MAX_STRING_BYTES) -> bool:
    if not isinstance(value, str):
        return False
    try:
        # Half a surrogate pair is no text: it has no UTF-8, and the two engines would keep different words.
        return limit is None or len(value.encode()) <= limit
    except UnicodeEncodeError:
        return False


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_FIELD_INTEGER


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and (not value.is_integer() or abs(value) <= MAX_FIELD_INTEGER)
    return _is_integer(value)


def _is_date(value: str) -> bool:
    match = _DATE.fullmatch(value)
    if match is None:
        return False
    try:
        datetime.date.fromisoformat(match[1])
    except ValueError:
        return False
    return True


def _check_kind(known: KindSchema, kinds: Mapping[str, KindSchema]) -> None:
    where = known.kind
    # A room named after a part may not pass for a room of roles, or for a grant's.
    if not _KIND.fullmatch(where) or where in (*ROLES, "grant"):
        raise ValueError(f"{where} is no name of a kind")
    readers = set(known.read) | ({SELF} if known.given_to and set(known.given_to) <= set(known.read) else set())
    if not set(known.write) <= readers:
        raise ValueError(f"{where}: who writes without reading cannot seal a record")
    if known.manage != ("owner" if "owner" in known.read else SELF):
        raise ValueError(f"{where}: owners manage what owners read, the person what owners do not read")
    if known.about_person != bool(known.given_to) or (SELF in known.read + known.write and not known.about_person):
        raise ValueError(f"{where}: about a person, and who has one, go together")
    if (LET_IN in known.read) != bool(known.let_in) or LET_IN in known.write:
        raise ValueError(f"{where}: let_in is for readers, and says which")
    if known.about_person and known.show == "owner":
        raise ValueError(f"{where}: what is about a person is shown by that person alone")
    for name, collection in known.collections.items():
        for field, rule in collection.fields.items():
            place = f"{where}/{name}/{field}"
            if rule.options and rule.type not in ("choice", "string"):
                raise ValueError(f"{place}: options are of a choice or a string")
            if rule.type == "choice" and not rule.options:
                raise ValueError(f"{place}: a choice of nothing")
            if rule.default is not None and not _fits(rule, rule.default):
                raise ValueError(f"{place}: its default does not fit")
            if rule.refers is not None:
                kind, _, other = rule.refers.partition("/")
                if kind not in kinds or other not in kinds[kind].collections:
                    raise ValueError(f"{place}: refers to nothing")
