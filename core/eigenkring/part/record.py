"""What lies in a record of a part once it is opened: edits, or a snapshot. Spec: docs/spec/part.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.part.attestation import ATTESTATION_BYTES, DATED_BYTES, Attestation, parse_attestation
from eigenkring.wire import check_keys

MAX_CHANGES: Final = 512
# A kind of its own: a program that knows no days sets it aside and takes it once it is renewed, where an attestation of
# another size would be damage to it, for ever.
_KINDS: Final = {ATTESTATION_BYTES: "edit", DATED_BYTES: "dated"}

# msgspec's words may hold a piece of what was sent, so no reason is repeated.
_NONSENSE: Final = (msgspec.DecodeError, ValueError, RecursionError)


class Edit(msgspec.Struct, frozen=True):
    att: Attestation
    changes: list[bytes]


class Snapshot(msgspec.Struct, frozen=True):
    """Not yet checked: ``body`` is what ``sig`` signs; ``eigenkring.part.snapshot`` reads it."""

    body: bytes
    sig: bytes


class Unknown(msgspec.Struct, frozen=True):
    """A kind of a newer version: set aside, never dropped."""

    kind: str


class _Outline(msgspec.Struct):
    k: str


class _Edit(msgspec.Struct):
    k: str
    att: bytes
    changes: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_CHANGES)]


class _Snapshot(msgspec.Struct):
    k: str
    body: bytes
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


_outline = msgspec.msgpack.Decoder(_Outline)
_edit = msgspec.msgpack.Decoder(_Edit)
_snapshot = msgspec.msgpack.Decoder(_Snapshot)
_encode = msgspec.msgpack.Encoder().encode


def make_edit(att: bytes, changes: Sequence[bytes]) -> bytes:
    """The payload; its kind says whether the attestation claims a day."""
    if not 1 <= len(changes) <= MAX_CHANGES:
        raise ValueError("an edit record has 1 to 512 changes")
    return _encode(_Edit(_KINDS[len(att)], att, list(changes)))


def make_snapshot_record(body: bytes, sig: bytes) -> bytes:
    return _encode(_Snapshot("snapshot", body, sig))


def parse_record(payload: bytes) -> Edit | Snapshot | Unknown:
    """Raises ``bad_record``. What a decoder may forgive (a key twice, bytes after the end) is refused, because
    another decoder would forgive it another way and read another record.
    """
    try:
        check_keys(payload)
        kind = _outline.decode(payload).k
        if kind in _KINDS.values():
            edit = _edit.decode(payload)
            if _KINDS.get(len(edit.att)) != kind:
                raise Inadmissible("bad_record", "an attestation of another size")
            return Edit(parse_attestation(edit.att), edit.changes)
        if kind == "snapshot":
            snapshot = _snapshot.decode(payload)
            return Snapshot(snapshot.body, snapshot.sig)
    except _NONSENSE:
        raise Inadmissible("bad_record") from None
    return Unknown(kind)
