"""What a professional reads: a selection, its projection as plain data, and the record. Spec: docs/spec/view.md.

`project` is one pure function, the same in TypeScript, and the preview: nothing that is not selected may change one
byte of what it gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from eigenkring.attachment import claims_attachment, shown_of
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import Chain, GrantId, PersonId, StreamId
from eigenkring.schema import KindSchema, Schema, split_part
from eigenkring.wire import check_keys
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.kdf import hmac, label, sha256
from eigenkring_crypto.sign import SigningKey, sign, verify

ALL: Final = "all"
ANY: Final = "*"
MAX_NAME_BYTES: Final = 400
MAX_INTEGER: Final = 2**53 - 1  # beyond it a JavaScript number is another number

# A list is a set, sorted (as `document.read` gives it).
Value: TypeAlias = str | int | float | bool | list[str] | None
Items: TypeAlias = Mapping[str, Mapping[str, Value]]
# part -> collection -> item -> field -> value
Documents: TypeAlias = Mapping[str, Mapping[str, Items]]
# The same with pseudonyms of items, the keys in order.
Projection: TypeAlias = dict[str, dict[str, dict[str, dict[str, Value]]]]


# --- selection


class PartSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    items: Literal["all"] | tuple[str, ...] = "all"
    fields: Literal["all"] | dict[str, tuple[str, ...]] = "all"
    # (collection, item or "*", field or "*")
    without: tuple[tuple[str, str, str], ...] = ()
    # Names or persons (hex): only items that hold one of them, in whichever field.
    naming: tuple[str, ...] | None = None

    def has_item(self, item: str, fields: Mapping[str, Value], names: frozenset[str]) -> bool:
        if self.items != ALL and item not in self.items:
            return False
        return self.naming is None or any(_names(value, names) for value in fields.values())

    def has_field(self, collection: str, item: str, field: str) -> bool:
        if self.fields != ALL and field not in self.fields.get(collection, ()):
            return False
        return not any(c == collection and i in (ANY, item) and f in (ANY, field) for c, i, f in self.without)


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys that are not known are refused, other than elsewhere: a newer app may have narrowed the choice with one, and
    an older one that passed over it would show more than was chosen."""

    parts: dict[str, PartSelection]

    def check(self, schema: Schema, granter: PersonId) -> None:
        """Raises ``Misuse`` where the granter may not show one of the parts. To be asked before giving *and* before
        publishing: the phone of another person, which reads more than the granter, would else publish it by itself."""
        if not self.parts:
            raise Misuse("bad_argument", "a view of nothing")
        for part in self.parts:
            kind, about = split_part(part)
            known = schema.kinds.get(kind)
            # Of a kind that this program does not know it cannot tell whether it may be shown.
            if known is None or known.about_person != (about is not None):
                raise Misuse("no_such_part", f"there is no part {kind} to show")
            if known.show == "never" or (known.show == "self" and about != granter):
                raise Misuse("not_permitted", f"{kind} is not the granter's to show")


def parse_selection(
    schema: Schema,
    granter: PersonId,
    parts: Sequence[str] = (),
    items: Sequence[str] = (),
    fields: Sequence[str] = (),
    without: Sequence[str] = (),
    naming: Sequence[str] = (),
) -> Selection:
    """A selection from what a person typed or ticked. Raises ``Misuse``.

    ``parts``: ``plan``. ``items``: ``plan/agreements/ITEM``, narrows that part to these. ``fields``: likewise, with
    ``plan/agreements/what``. ``without``: ``plan/agreements/*/with``, ``plan/agreements/ITEM`` or ``plan/topics``.
    ``naming`` narrows every part.
    """
    chosen_items: dict[str, list[str]] = {}
    chosen_fields: dict[str, dict[str, list[str]]] = {}
    left_out: dict[str, list[tuple[str, str, str]]] = {}
    named = list(dict.fromkeys(parts))
    for path in items:
        part, _, item = _path(schema, path, 3)
        if item == ANY:
            raise Misuse("bad_path", "an item is named, or the whole part is")
        chosen_items.setdefault(part, []).append(item)
        named.append(part)
    for path in fields:
        part, collection, field = _path(schema, path, 3)
        _known_field(schema, part, collection, field)
        chosen_fields.setdefault(part, {}).setdefault(collection, []).append(field)
        named.append(part)
    for path in without:
        part, collection, item, field = [*_path(schema, path, 2, 4), ANY, ANY][:4]
        if field != ANY:
            _known_field(schema, part, collection, field)
        if part not in named:
            raise Misuse("bad_argument", "nothing can be left out of a part that is not chosen")
        left_out.setdefault(part, []).append((collection, item, field))
    for name in naming:
        if not name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
            raise Misuse("bad_value", "a name is not empty and at most 400 bytes")
    selection = Selection(
        {
            part: PartSelection(
                tuple(sorted(set(chosen_items[part]))) if part in chosen_items else "all",
                {c: tuple(sorted(set(f))) for c, f in sorted(chosen_fields[part].items())}
                if part in chosen_fields
                else "all",
                tuple(sorted(set(left_out.get(part, ())))),
                tuple(sorted(set(naming))) if naming else None,
            )
            for part in sorted(set(named))
        }
    )
    selection.check(schema, granter)
    return selection


def _path(schema: Schema, path: str, least: int, most: int | None = None) -> list[str]:
    pieces = path.split("/")
    if not least <= len(pieces) <= (most or least) or not all(pieces):
        raise Misuse("bad_path", "expected part/collection/...")
    known = _known_kind(schema, pieces[0])
    if pieces[1] not in known.collections:
        raise Misuse("no_such_collection", f"{known.kind} has no such collection")
    return pieces


def _known_kind(schema: Schema, part: str) -> KindSchema:
    known = schema.kinds.get(split_part(part)[0])
    if known is None:
        raise Misuse("no_such_part", "there is no such part to show")
    return known


def _known_field(schema: Schema, part: str, collection: str, field: str) -> None:
    if _known_kind(schema, part).field(collection, field) is None:
        raise Misuse("no_such_field", f"{collection} has no such field")


# --- projection


def project(
    selection: Selection, documents: Documents, people: Mapping[PersonId, str], pseudonym_key: bytes
) -> Projection:
    """The selected parts as they are now, with the pseudonyms of one grant in place of every id.

    It looks at no schema, so that two devices with different versions publish the same. ``Misuse("no_such_part")`` when
    a selected part is not among the documents: half a view would look like a plan from which something was taken.
    """
    names = {person.hex(): name for person, name in people.items()}
    projection: Projection = {}
    for part, chosen in selection.parts.items():
        if part not in documents:
            raise Misuse("no_such_part", "a selected part is not here")
        kind, about = split_part(part)
        shown_as = kind if about is None else f"{kind}@{pseudonym(pseudonym_key, about.hex())}"
        wanted = _same_people(chosen.naming or (), names)
        collections = {
            collection: shown
            for collection, items in documents[part].items()
            if (shown := _show_items(chosen, collection, items, wanted, names, pseudonym_key))
        }
        projection[shown_as] = _sorted(collections)
    return _sorted(projection)


def _show_items(
    chosen: PartSelection, collection: str, items: Items, wanted: frozenset[str], names: Mapping[str, str], key: bytes
) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {}
    for item, fields in items.items():
        if not chosen.has_item(item, fields, wanted):
            continue
        shown = {
            field: _show(seen, names, key)
            for field, value in fields.items()
            if chosen.has_field(collection, item, field) and (seen := _without_key(value)) not in _EMPTY
        }
        # An empty place would be a count of what is not shown, and an emptied one tell of words that were deleted.
        if shown:
            found[pseudonym(key, item)] = _sorted(shown)
    return _sorted(found)


# Every item is born with all its texts and sets, empty (docs/spec/part.md).
_EMPTY: Final[tuple[Value, ...]] = ("", [], None)


def pseudonym(key: bytes, id_text: str) -> str:
    """What stands for an id in the views of one grant: two grants share none, and none leads back to the id."""
    return hmac(key, "pseudonym", id_text.encode())[:10].hex()


def pack_projection(projection: Projection) -> bytes:
    """One projection is one sequence of bytes: `project` sorts keys by code point, which is the order of UTF-8."""
    return msgspec.msgpack.encode(projection)


_RUN: Final = re.compile(r"[0-9A-Za-z]+")
_ID: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{20}|[0-9a-f]{32}|[0-9a-f]{64}")
_LETTER: Final = re.compile(r"[a-f]")


def _without_key(value: Value) -> Value:
    """A view never holds the key or the stream of an attachment, wherever in the part it stands."""
    if isinstance(value, list):
        return [member for member in value if not claims_attachment(member)]
    return shown_of(value) if claims_attachment(value) else value


def _show(value: Value, names: Mapping[str, str], key: bytes) -> Value:
    if claims_attachment(value):
        return value
    if isinstance(value, str):
        return _without_ids(value, names, key)
    if isinstance(value, list):
        return sorted({_without_ids(member, names, key) for member in value})
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER:
        # JavaScript has one kind of number: 3.0 and 3 must be the same bytes.
        return int(value)
    return value


def _without_ids(text: str, names: Mapping[str, str], key: bytes) -> str:
    """Persons by name, every other id by its pseudonym, wherever in the text: an id that stayed would tie two grants
    together.

    What an id is shows from its form alone. To look it up among the items would let an item that is not shown
    change what is.
    """

    def replaced(match: re.Match[str]) -> str:
        run = match[0]
        if run in names:
            return names[run]
        if not _ID.fullmatch(run):
            return run
        # Sixteen digits in somebody's words are rather a card than an id (of which one in 2,000 has no letter).
        is_id = _LETTER.search(run) or (run == text and len(run) > 16)
        return pseudonym(key, run) if is_id else run

    return _RUN.sub(replaced, text)


def _same_people(naming: Iterable[str], names: Mapping[str, str]) -> frozenset[str]:
    """A name and the id of whoever has it are one, whichever of them was chosen and whichever was written down."""
    wanted = set(naming)
    wanted |= {names[one] for one in wanted if one in names}
    return frozenset(wanted | {person for person, name in names.items() if name in wanted})


def _names(value: Value, wanted: frozenset[str]) -> bool:
    return not wanted.isdisjoint(value if isinstance(value, list) else [value])


def _sorted(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: mapping[key] for key in sorted(mapping)}


# --- the view record

_16 = msgspec.Meta(min_length=16, max_length=16)
_32 = msgspec.Meta(min_length=32, max_length=32)
_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]


class Signed(msgspec.Struct, frozen=True):
    body: bytes
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class _Body(msgspec.Struct, frozen=True):
    grant: Annotated[GrantId, _16]
    v: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    length: _Number
    chain: Annotated[Chain, _32]
    until: _Number
    to: str
    parts: bytes
    who: bytes


class View(msgspec.Struct, frozen=True):
    """An opened view. ``length`` and ``chain`` are the publisher's *seen*: the caller checks them on the stream."""

    grant: GrantId
    v: int
    length: int
    chain: Chain
    until: int
    to: str
    parts: Projection
    # Of the packed projection: with ``v`` all that a reader keeps to refuse an older or a second one.
    digest: bytes
    who: bytes


_signed_decoder = msgspec.msgpack.Decoder(Signed)
_body_decoder = msgspec.msgpack.Decoder(_Body)
# An integer beyond what a JavaScript number counts is none: a reader there would see another one.
_Counted: TypeAlias = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Shown: TypeAlias = str | _Counted | float | bool | list[str] | None
_parts_decoder = msgspec.msgpack.Decoder(dict[str, dict[str, dict[str, dict[str, _Shown]]]])


def make_view(
    publisher: SigningKey,
    down: StreamId,
    *,
    grant: GrantId,
    v: int,
    length: int,
    chain: Chain,
    until: int,
    to: str,
    parts: bytes,
    who: bytes,
) -> bytes:
    """What is sealed as the record on ``down``: ``parts`` is the packed projection, ``who`` from `seal_author`."""
    body = msgspec.msgpack.encode(_Body(grant, v, length, chain, until, to, parts, who))
    return msgspec.msgpack.encode(Signed(body, sign(publisher, "view", down, body)))


def open_view(
    payload: bytes, down: StreamId, grant: GrantId, publisher: bytes, *, seen: tuple[int, bytes] | None = None
) -> View:
    """A view as the reader, or a device of the circle, takes it in. ``seen`` is (v, digest) of the newest one so far.

    Raises ``Inadmissible``: ``bad_publisher`` (not signed by the key the grant state names, or for another stream),
    ``bad_view`` (another grant, or nonsense), ``not_newer`` (an older one, or another one of the same version).
    """
    signed = unpack(_signed_decoder, payload)
    try:
        verify(publisher, "view", down, signed.body, signed.sig)
    except BadSignature:
        raise Inadmissible("bad_publisher", "the view is not from this family") from None
    body = unpack(_body_decoder, signed.body)
    if body.grant != grant:
        raise Inadmissible("bad_view", "the view is of another grant")
    parts: Projection = unpack(_parts_decoder, body.parts)
    digest = view_digest(body.parts)
    # The same version again is a new lock, not a new view; with other words in it, it is a second truth.
    if seen is not None and (body.v < seen[0] or (body.v == seen[0] and digest != seen[1])):
        raise Inadmissible("not_newer", "an older view came after a newer one")
    return View(body.grant, body.v, body.length, body.chain, body.until, body.to, parts, digest, body.who)


def view_digest(parts: bytes) -> bytes:
    return sha256(label("view parts"), parts)


def next_version(last: View | None, parts: bytes) -> int:
    """The version of ``parts``: it rises only when they differ, so that a change elsewhere leaves no trace."""
    if last is None:
        return 1
    return last.v if last.digest == view_digest(parts) else last.v + 1


def unpack(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    """What a decoder reads, no key twice and nothing behind the end. Raises ``Inadmissible("bad_view")``."""
    try:
        check_keys(data)
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        # The reason is not repeated: msgspec's words may hold a piece of what was sent.
        raise Inadmissible("bad_view", "not what a view is made of") from None
