"""What an export says, worked out from its records alone: the same function writes it and verifies it.

Spec: docs/spec/export.md. Pure: bytes go in, a case comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from typing import Annotated, Any, Final, cast

import msgspec

from eigenkring import document
from eigenkring.attachment import Attachment, claims_attachment, described, parse_attachment
from eigenkring.charter.entry import parse_entry
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter, Part
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, PersonId
from eigenkring.part.fold import FoldEngine, PartFold
from eigenkring.schema import Schema
from eigenkring.wire import check_keys
from eigenkring_crypto.chain import extend, first
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.sign import SigningKey, sign, verify

# 1 did not name the schema.
VERSION: Final = 2
NEWER: Final = "made by a newer program; please update"
MANIFEST: Final = "eigenkring.msgpack"
CHARTER: Final = "charter.msgpack"
CONTENT: Final = "content.json"
READABLE: Final = "lezen.html"

_16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Log(msgspec.Struct, frozen=True):
    """One stream: every record as the relay keeps it, and what was in it (nil: it does not open)."""

    stream: _16
    base: _Number
    base_chain: _32
    records: tuple[tuple[bytes, bytes | None], ...]
    # S of epochs that ended, where a cut was made with it. They open no lock any more.
    secrets: tuple[tuple[_Number, _32], ...] = ()

    def chains(self) -> dict[int, Chain]:
        """The running hash at every place, from base on."""
        running = Chain(self.base_chain)
        if self.base == 0:
            running = Chain(first(self.stream))
        found = {self.base: running}
        for index, (record, _) in enumerate(self.records, self.base + 1):
            running = Chain(extend(running, record))
            found[index] = running
        return found


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an export is made of, signed by the device that made it. ``schema``: ``schema_hash`` of its program; absent in
    version 1."""

    v: int
    case: _16
    by: _16
    at: _Number
    n: _Number
    head: _32
    files: tuple[tuple[str, _32], ...]
    # name ("" of the charter), length and chain of every stream in it
    streams: tuple[tuple[str, _Number, _32], ...]
    schema: _32 | None = None


class _Versioned(msgspec.Struct, frozen=True):
    v: int


class _Signed(msgspec.Struct, frozen=True):
    body: bytes
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


def refused(why: str) -> Inadmissible:
    return Inadmissible("bad_export", why)


def sign_manifest(key: SigningKey, manifest: Manifest) -> bytes:
    body = msgspec.msgpack.encode(manifest)
    return msgspec.msgpack.encode(_Signed(body, sign(key, "export", manifest.case, body)))


def open_manifest(data: bytes) -> Manifest:
    """The manifest, its signature not checked: that takes the charter. Raises ``bad_export``."""
    signed = exactly(data, _Signed)
    with suppress(msgspec.DecodeError):
        # First, because a newer one has other keys: altered is what nobody may be told.
        if msgspec.msgpack.decode(signed.body, type=_Versioned).v > VERSION:
            raise refused(NEWER)
    manifest: Manifest = exactly(signed.body, Manifest)
    if not manifest.v or (manifest.schema is None) != (manifest.v == 1):
        raise refused("a list of files of no version")
    return manifest


def check_signature(data: bytes, manifest: Manifest, charter: Charter) -> PersonId:
    """Who made the export. Raises ``bad_export``: not a device of the case, or another signature."""
    device = next((known for known in charter.devices.values() if known.device == manifest.by), None)
    if device is None:
        raise refused("made by a device that the charter does not know")
    check_list(data, manifest, device.sign)
    return device.person


def check_list(data: bytes, manifest: Manifest, key: bytes) -> None:
    """Whether this key signed the list of files. Raises ``bad_export``."""
    signed = exactly(data, _Signed)
    try:
        verify(key, "export", manifest.case, signed.body, signed.sig)
    except CryptoError:
        raise refused("the list of files is not signed by the device it names") from None


def exactly(data: bytes, kind: type[Any]) -> Any:
    """Decode what only one sequence of bytes can say, so that no byte is free to be altered. Raises ``bad_export``."""
    try:
        check_keys(data)
        found = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise refused("a file is not what it should be") from None
    if msgspec.msgpack.encode(found) != data:
        raise refused("a file is written in another way than it should be")
    return found


# --- folding


def fold_charter(case: CaseId, log: Log, schema: Schema, until: int | None = None) -> Charter:
    """The charter of a log, to its entry ``until``: who made the export with an older program folded no further. What is not
    admitted is passed over, as everybody does. Raises ``bad_export``."""
    if log.stream != case or log.base:
        raise refused("the charter does not begin at its beginning")
    charter: Charter | None = None
    chains = log.chains()
    for index, (_, payload) in enumerate(log.records, 1):
        if charter is not None and charter.n == until:
            break
        if payload is None:
            continue
        try:
            charter = fold(charter, payload, case, chains[index - 1], schema)
        except Inadmissible as error:
            if error.code == "future_version" and until is not None:
                raise refused(NEWER) from None  # altered is what nobody may be told: an update reads it
            if error.code == "future_version":
                break
    if charter is None:
        raise refused("there is no charter in it")
    return charter


def fold_part(
    part: Part, log: Log, charter: Charter, new_engine: Callable[[], document.DocumentEngine]
) -> tuple[dict[str, Any], dict[str, int], list[str], frozenset[bytes]]:
    """Content, how many changes of whom (person, hex), what was passed over (codes), and the devices that say to have
    seen another log."""
    if log.stream != part.stream:
        raise refused(f"the log of {part.name} is of another stream")
    secrets = dict(log.secrets)
    made = PartFold(
        part.stream, part.name, part.write, part.manage, secrets.get, cast(Callable[[], FoldEngine], new_engine)
    )
    chains = log.chains()
    opened = [(index, p) for index, (_, p) in enumerate(log.records, log.base + 1) if p is not None]
    verdict = made.refold(opened, chains.get, charter)
    passed = [no.code for no in verdict.refused] + ["unopenable"] * (len(log.records) - len(opened))
    if verdict.waits:
        passed.append("unknown_head")
    by: dict[str, int] = {}
    for entry in made.ledger.entries:
        person = charter.person_of(entry.device)  # type: ignore[arg-type]
        name = "" if person is None else person.person.hex()
        by[name] = by.get(name, 0) + 1
    if made.alarm or made.engine is None:
        raise refused(f"the words of {part.name} could not be made from its records")
    engine = cast(document.DocumentEngine, made.engine)
    elsewhere = frozenset(no.device for no in verdict.refused if no.code == "false_seen" and no.device is not None)
    return dict(document.read(engine)), by, sorted(passed), elsewhere


def entries_of(log: Log) -> list[Any]:
    """The bodies of all records that are entries, admitted or not."""
    found = []
    for _, payload in log.records:
        if payload is not None:
            try:
                found.append(parse_entry(payload).body)
            except Inadmissible:
                continue
    return found


# --- attachments

FILES: Final = "files/"
_ENDINGS: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}


def file_of(attachment: Attachment) -> str:
    """Where its bytes lie in the folder: named by what they are. Never under the name that somebody gave it, and not by its
    stream, which a second field may name with other bytes, so that nobody could take the case along."""
    return f"{FILES}{attachment.hash.hex()}{_ENDINGS.get(attachment.type, '.bin')}"


def attachments_of(content: Mapping[str, Any]) -> dict[str, list[Attachment]]:
    """Every attachment that the parts hold, by its place in the folder: whoever lies about a key or a size lies beside the
    true one."""
    found: dict[str, list[Attachment]] = {}
    for collections in content.values():
        for items in collections.values():
            for fields in items.values():
                for value in fields.values():
                    if claims_attachment(value):
                        try:
                            attachment = parse_attachment(value)
                        except Inadmissible:
                            continue
                        found.setdefault(file_of(attachment), []).append(attachment)
    return found


def described_with_files(content: Mapping[str, Any], files: Set[str]) -> dict[str, Any]:
    """The content with what people want to know of an attachment in place of its key. ``files``: those that are in the folder."""

    def one(value: Any) -> Any:
        if not claims_attachment(value):
            return value
        found = described(value)
        if "code" not in found:
            found["file"] = next((place for place in _places(value) if place in files), None)
        return found

    return {
        part: {
            name: {item: {field: one(value) for field, value in fields.items()} for item, fields in items.items()}
            for name, items in collections.items()
        }
        for part, collections in content.items()
    }


def _places(value: str) -> list[str]:
    """None where a field only looks like what a view shows: whoever writes the part can put that there."""
    try:
        return [file_of(parse_attachment(value))]
    except Inadmissible:
        return []
