"""A member who lies about a photo: what a field says of its stream, its key and its size is somebody else's word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eigenkring import carrying
from eigenkring.attachment import Attachment, pack_attachment, parse_attachment
from eigenkring.errors import EigenkringError
from eigenkring.ids import StreamId
from eigenkring.session import attachments
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import sha256
from simulator import Phone, World, family

DATA = b"%PDF-1.7 " + bytes(range(256)) * 40


def claim(stream: bytes, **other: Any) -> Attachment:
    made = Attachment(1, stream, bytes(32), "foto.pdf", "application/pdf", len(DATA), sha256(DATA), b"")
    return msgspec.structs.replace(made, **other)


def write(phone: Phone, attachment: Attachment, part: str = "plan", collection: str = "agreements") -> str:
    """Whatever it says, as an own program would."""
    item = phone.case.add(part, collection, {"what": "kijk eens"})
    phone.session.edit(part, [["set", [collection, item, "photo"], pack_attachment(attachment)]])
    phone.sync()
    return item


def look(phone: Phone, item: str) -> bytes | str:
    """What a person does who taps it."""
    try:
        return phone.case.fetch("plan", f"agreements/{item}")
    except (EigenkringError, CryptoError) as error:
        return error.code


def photo(phone: Phone) -> tuple[str, Attachment]:
    """A true one, put there by this phone."""
    item = phone.case.add("plan", "agreements", {"what": "Het rooster"})
    phone.case.attach("plan", f"agreements/{item}", "rooster.pdf", DATA, as_is=True)
    field = phone.session.read(phone.session.part("plan"))["agreements"][item]["photo"]
    assert isinstance(field, str)
    return item, parse_attachment(field)


def kept(phone: Phone) -> dict[str, int]:
    session = phone.session
    streams = {"": session.charter_stream, **{name: part.stream for name, part in session.known().parts.items()}}
    return {name: len(session.store.records(session.case, stream)) for name, stream in streams.items()}


@pytest.mark.parametrize("target", ["charter", "keys", "plan", "private", "house", "door", "down"])
def test_a_photo_that_lies_in_a_stream_of_the_case_takes_nothing_away(target: str) -> None:
    world = family(5)
    nora, karim = world.phones["nora"], world.phones["karim"]
    charter = nora.session.known()
    if target in ("door", "down"):
        selection = nora.case.selection(["plan"], [], [], [], [])
        nora.case.grant("De Wit", "meedenken", "2026-10-20", selection)
        world.settle()
        grant = next(iter(nora.session.known().grants.values()))
        stream = grant.doorstep if target == "door" else grant.down
    elif target in ("charter", "keys"):
        stream = nora.session.charter_stream if target == "charter" else StreamId(charter.keys_stream)
    else:
        stream = next(part.stream for name, part in charter.parts.items() if name.partition("@")[0] == target)
    for size in (1, len(DATA), 33_554_432):
        item = write(karim, claim(stream, size=size))
        nora.sync()
        before, alarms = kept(nora), set(nora.codes())
        positions = {name: nora.session.position(part.stream) for name, part in nora.session.known().parts.items()}
        assert look(nora, item) == "bad_attachment"
        assert kept(nora) == before
        assert attachments.carried(nora.session) == {}
        nora.case.delete("plan", f"agreements/{item}")
        assert attachments.carried(nora.session) == {}, "a stream of the case would be closed"
        assert kept(nora) == before
        assert positions == {
            name: nora.session.position(part.stream) for name, part in nora.session.known().parts.items()
        }
        nora.sync()
        assert set(nora.codes()) == alarms
    nora.restart()
    world.settle()
    nora.add("het werkt nog")
    world.settle()
    assert "het werkt nog" in karim.texts()
    assert world.fresh("nora").documents() == nora.documents()


def waiting_photo(world: World) -> tuple[str, Attachment]:
    """Nora's photo: the part names it, and not a chunk of it is at the relay."""
    nora = world.phones["nora"]
    item, attachment = photo(nora)
    full = carrying.carry
    try:
        carrying.carry = lambda session, transport: carrying.SyncReport()  # the battery is empty before it is sent
        world.settle()
    finally:
        carrying.carry = full
    assert attachments.carried(nora.session)[StreamId(attachment.stream)].done is None
    return item, attachment


@pytest.mark.parametrize(
    "lie",
    [{"key": bytes(32)}, {"size": 1}, {"size": 33_554_432}, {"hash": bytes(32)}],
    ids=["key", "smaller", "larger", "hash"],
)
@pytest.mark.parametrize("sent", [False, True])
def test_a_second_field_that_lies_about_a_photo_takes_it_from_nobody(lie: dict[str, Any], sent: bool) -> None:
    world = family(6)
    nora, karim, fatima = (world.phones[name] for name in ("nora", "karim", "fatima"))
    item, attachment = waiting_photo(world)
    if sent:
        world.settle()
        assert look(fatima, item) == DATA
    false = write(karim, msgspec.structs.replace(attachment, **lie))
    for phone in (nora, fatima) if sent else (nora,):
        alarms = phone.sync()
        assert look(phone, false) in ("unopenable", "bad_attachment", "not_yet", "rolled_back")
        assert len(attachments.chunks_of(phone.session, StreamId(attachment.stream))) == attachment.chunks
        assert phone.sync() == alarms
    world.network.offline = {"nora", "fatima"}
    assert look(nora, item) == DATA
    assert not sent or look(fatima, item) == DATA
    world.network.honest()
    world.settle()
    assert look(karim, item) == DATA
