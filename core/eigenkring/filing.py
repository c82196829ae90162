"""Photos and files as a person or program handles them: attach, fetch, describe, copy. Spec: docs/spec/attachments.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eigenkring import carrying
from eigenkring.attachment import (
    MAX_ATTACHMENT_BYTES,
    MAX_PREVIEW_BYTES,
    VERSION,
    Attachment,
    claims_attachment,
    described,
    pack_attachment,
    parse_attachment,
)
from eigenkring.errors import EigenkringError, Inadmissible, Misuse
from eigenkring.ids import StreamId
from eigenkring.picture import strip_picture
from eigenkring.session import attachments
from eigenkring.session.parts import CaseSession
from eigenkring.transport import Transport
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import sha256

if TYPE_CHECKING:
    from eigenkring.case import Case

_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


def attach(
    session: CaseSession, part: str, path: str, name: str, data: bytes, *, as_is: bool = False, preview: bytes = b""
) -> dict[str, Any]:
    """As ``Case.attach``."""
    place = _place(session, part, path)
    if not session.known().may_write(session.me(), part):
        raise Misuse("not_permitted", f"the part {part} is not yours to write")
    if place[1] not in session.read(session.part(part)).get(place[0], {}):
        raise Misuse("no_such_item", "there is no such item")
    kind, file_name, clean = _cleaned(name, data, as_is)
    small = _preview(preview)

    def make(stream: StreamId, key: bytes) -> Attachment:
        made = Attachment(VERSION, stream, key, file_name, kind, len(clean), sha256(clean), small)
        try:
            pack_attachment(made)
        except Inadmissible as error:
            raise Misuse("bad_attachment", error.message) from None
        return made

    attached = attachments.attach(session, part, place, make, clean)
    return described(pack_attachment(attached))


def _cleaned(name: str, data: bytes, as_is: bool) -> tuple[str, str, bytes]:
    """Media type, name and bytes. A picture gets a name that tells nothing: cameras put the day and the hour in theirs."""
    if len(data) > MAX_ATTACHMENT_BYTES or not data:
        most = MAX_ATTACHMENT_BYTES // 1_048_576
        raise Misuse("bad_attachment", f"a file of at most {most} MiB, and not an empty one")
    picture = strip_picture(data)
    if picture is not None:
        return picture[0], f"foto.{_ENDINGS[picture[0]]}", picture[1]
    if not as_is:
        raise Misuse(
            "bad_attachment",
            "this is no picture: what else is written in it stays in it; say `--as-is` if that is well",
        )
    kind = "application/pdf" if data.startswith(b"%PDF-") else "application/octet-stream"
    return kind, name, data


def _preview(preview: bytes) -> bytes:
    if not preview:
        return b""
    picture = strip_picture(preview)
    if picture is None or len(picture[1]) > MAX_PREVIEW_BYTES:
        raise Misuse("bad_attachment", f"a preview is a picture of at most {MAX_PREVIEW_BYTES} bytes")
    return picture[1]


def fetch(session: CaseSession, transport: Transport, part: str, path: str) -> bytes:
    """As ``Case.fetch``."""
    attachment = attachments.attachment_at(session, part, _place(session, part, path))
    return carrying.fetch(session, transport, part, attachment)


def _place(session: CaseSession, part: str, path: str) -> list[str]:
    """Collection, item and field; the field may be left out where the collection has one for files."""
    steps = path.strip("/").split("/")
    if len(steps) == 2:
        field = session.around.schema.attachment_field(part.partition("@")[0], steps[0])
        steps += [] if field is None else [field]
    if len(steps) != 3 or not all(steps):
        raise Misuse("bad_path", "a path is collection/item, and a field where there is more than one for files")
    rule = session.around.schema.field(part.partition("@")[0], steps[0], steps[2])
    if rule is None or rule.type != "attachment":
        raise Misuse("bad_path", f"{steps[2]} takes no photo or file")
    return steps


def described_in(document: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """A part as it is shown: what an attachment is, without its key."""
    return {name: {item: _described(fields) for item, fields in items.items()} for name, items in document.items()}


def _described(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    shown = {field: described(value) for field, value in fields.items() if claims_attachment(value)}
    return {**fields, **shown} if shown else fields


def copy(old: Case, value: str, new: Case, part: str, path: list[str]) -> None:
    """Into another case, with a stream and a key of its own; what cannot be had now is left out, and told there."""
    try:
        attachment = parse_attachment(value)
        name = _part_of(old.session, attachment)
        data = carrying.fetch(old.session, old.transport, name, attachment)
    except (EigenkringError, CryptoError) as error:
        new.session.alarm(error.code, f"attachment in {part}")
        return
    attachments.attach_again(new.session, part, path, attachment, data)


def _part_of(session: CaseSession, attachment: Attachment) -> str:
    for opened in session.parts.values():
        if StreamId(attachment.stream) in attachments.held_streams(session, opened):
            return opened.part.name
    raise Misuse("no_such_part", "no part here has it")
