"""Photos and files, by the command line: who reads the part reads them, nobody else; stripped, resumed, closed, taken along."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from eigenkring import carrying
from eigenkring.attachment import CHUNK_BYTES, Attachment
from eigenkring.case import Case
from eigenkring.errors import Refused
from eigenkring.ids import StreamId
from eigenkring.library import Device
from eigenkring.session import attachments
from eigenkring.sync import sync_case
from journeys.here import Here
from journeys.test_thread import SOON, relay_bytes
from journeys.wiretap import wiretap
from live_relay import LiveRelay, live_relay

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "attachment"
# Of a phone: a place, a name, and the picture itself.
_TOLD = json.loads((VECTORS / "strip_jpeg_turned.json").read_text("utf-8"))
PHOTO, CLEAN = bytes.fromhex(_TOLD["data"]), bytes.fromhex(_TOLD["out"][1])
LETTER = b"%PDF-1.7 Zwaluwbrief " + bytes(i % 251 for i in range(2 * CHUNK_BYTES + 1000))

At = Callable[[str], Here]


@pytest.fixture
def at(tmp_path: Path) -> At:
    return lambda name: Here(tmp_path / "homes" / name)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "IMG_20260501_1030_Zwaluwnest.jpg").write_bytes(PHOTO)
    (folder / "brief.pdf").write_bytes(LETTER)
    return folder


def two(at: At, url: str) -> tuple[Here, Here, str, str]:
    nora, fatima = at("nora"), at("fatima")
    case = nora.run("start", "Thuis", "--relay", url, "--as", "Nora")["case"]
    fatima.run("join", nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"], "--as", "Fatima")
    nora.run("sync")
    fatima.run("sync")
    item = nora.run("add", case, "plan", "agreements", '{"what": "naar de speeltuin"}')["item"]
    fatima.run("sync")
    return nora, fatima, case, f"agreements/{item}"


def photo(files: Path) -> str:
    return str(files / "IMG_20260501_1030_Zwaluwnest.jpg")


def fetched(someone: Here, case: str, part: str, path: str, to: Path, offline: bool = False) -> bytes:
    to.unlink(missing_ok=True)
    someone.run("fetch", case, part, path, str(to), offline=offline)
    return to.read_bytes()


def question_with_letter(nora: Here, case: str, files: Path, offline: bool = False) -> str:
    item = nora.run("add", case, "information", "questions", '{"text": "Wat staat er?"}', offline=offline)["item"]
    path = f"questions/{item}"
    nora.run("attach", case, "information", path, str(files / "brief.pdf"), "--as-is", offline=offline)
    return path


def stream_of(someone: Here, case: str, part: str, path: str) -> StreamId:
    with Device.open(someone.home, offline=True) as device:
        one = device.case(case)
        name = one.full_name(part)
        field = one.session.around.schema.attachment_field(part, path.split("/")[0]) or ""
        return StreamId(attachments.attachment_at(one.session, name, [*path.split("/"), field]).stream)


def photo_of(case: Case, item: str) -> Attachment:
    return attachments.attachment_at(case.session, "plan", [*item.split("/"), "photo"])


def test_a_photo_is_stripped_sealed_and_read_by_who_reads_the_part(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path
) -> None:
    with wiretap(relay.url) as tap:
        nora, fatima, case, item = two(at, tap.url)
        shown = {"attachment": "foto.jpg", "type": "image/jpeg", "size": len(CLEAN)}
        assert nora.run("attach", case, "plan", item, photo(files)) == shown
        assert nora.run("status", case)["alarms"] == []
        to = tmp_path / "got"
        assert fetched(fatima, case, "plan", item, to) == CLEAN
        assert to.stat().st_mode & 0o777 == 0o600
        assert fatima.run("show", case, "plan")["agreements"][item.split("/")[1]]["photo"] == shown
        # Without a network too, once it was here; and its own author needs no relay at all.
        assert fetched(fatima, case, "plan", item, to, offline=True) == CLEAN
        assert fetched(nora, case, "plan", item, to, offline=True) == CLEAN
        assert fatima.refused("fetch", case, "plan", item, str(to)) == "home_exists"
        # A coordinator is not let into the plan, and so not to what hangs on it.
        anneke = at("anneke")
        anneke.run("join", nora.run("invite", case, "--role", "coordinator", "--name", "A")["link"], "--as", "A")
        nora.run("sync")
        anneke.run("sync")
        assert anneke.refused("fetch", case, "plan", item, str(tmp_path / "no")) == "not_permitted"
        heard = bytes(tap.heard)
    lying = relay_bytes(relay) + heard
    for canary in (CLEAN, CLEAN[40:120], b"foto.jpg", b"image/jpeg", b"Zwaluwnest", b"iPhone", b"IMG_2026"):
        assert canary not in lying
        assert canary not in anneke.bytes()
    # What the camera wrote is nowhere, not even at home.
    assert b"iPhone" not in nora.bytes() + fatima.bytes()
    assert b"Zwaluwnest" not in nora.bytes() + fatima.bytes()


def test_what_cannot_be_attached_is_refused_and_changes_nothing(relay: LiveRelay, at: At, files: Path) -> None:
    nora, fatima, case, item = two(at, relay.url)
    (files / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (files / "b.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    (files / "cut.jpg").write_bytes(PHOTO[:-40])
    (files / "empty").write_bytes(b"")
    (files / "big").write_bytes(bytes(33_554_433))
    (files / "turned\u202egpj.pdf").write_bytes(b"%PDF-1.7")
    for name in ("a.heic", "b.mp4", "cut.jpg", "empty", "big", "turned\u202egpj.pdf"):
        assert nora.refused("attach", case, "plan", item, str(files / name), "--as-is") == "bad_attachment", name
    assert nora.refused("attach", case, "plan", item, str(files / "brief.pdf")) == "bad_attachment"
    assert nora.refused("attach", case, "plan", item, str(files / "none")) == "bad_argument"
    assert nora.refused("attach", case, "plan", "agreements/" + "00" * 10, photo(files)) == "no_such_item"
    assert nora.refused("attach", case, "plan", f"{item}/what", photo(files)) == "bad_path"
    assert nora.refused("attach", case, "plan", "topics/x", photo(files)) == "bad_path"
    assert nora.refused("set", case, "plan", f"{item}/photo", "foto van zondag") == "bad_value"
    assert nora.refused("fetch", case, "plan", item, str(files / "x")) == "no_such_field"
    assert fatima.refused("attach", case, "circle", "people/x", photo(files)) == "bad_path"
    assert nora.run("show", case, "plan")["agreements"][item.split("/")[1]] == {
        "what": "naar de speeltuin", "help": "", "next": "", "status": "open",
    }  # fmt: skip
    with Device.open(nora.home, offline=True) as device:
        assert attachments.carried(device.case(case).session) == {}


_KILLED = """
import os, sys
from eigenkring import carrying, library, transport
carrying.BYTES_IN_ONE_FRAME = 1
left = int(sys.argv[3])
class Dies(transport.HttpTransport):
    def exchange(self, ops, atomic=False):
        global left
        answer = super().exchange(ops, atomic)
        if any(type(op).__name__ in sys.argv[4].split("+") for op in ops) and Dies.on:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), 9)
        return answer
    on = False
library.HttpTransport = Dies
with library.Device.open(sys.argv[1]) as device:
    one = device.case(sys.argv[2])
    carry = carrying.carry
    def carried(session, relay):
        Dies.on = True
        return carry(session, relay)
    carrying.carry = carried
    if sys.argv[5:]:
        one.sync()
        Dies.on = True
        one.fetch(sys.argv[5], sys.argv[6])
    one.sync()
"""


def killed(someone: Here, case: str, at_answer: int, of: str, *fetch: str) -> int:
    """A process that is killed when the answer to its nth exchange came, before it could note it."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(someone.home), case, str(at_answer), of, *fetch], timeout=300, check=False
    )
    return done.returncode


def test_sending_and_fetching_go_on_after_kill_9(relay: LiveRelay, at: At, files: Path, tmp_path: Path) -> None:
    with wiretap(relay.url) as tap:
        nora, fatima, case, _ = two(at, tap.url)
        path = question_with_letter(nora, case, files, offline=True)
        # After the opening, and after each of two chunks; the answer to each is lost.
        for lost in (1, 1, 2):
            assert killed(nora, case, lost, "Append" if lost == 2 else "Open+Append") == -9
            if lost == 1:
                fatima.run("sync")
                assert fatima.refused("fetch", case, "information", path, str(tmp_path / "x")) == "not_yet"
        stream = stream_of(nora, case, "information", path)
        with Device.open(nora.home, offline=True) as device:
            assert attachments.carried(device.case(case).session)[stream].done is None
        nora.run("sync")
        with Device.open(nora.home, offline=True) as device:
            assert attachments.carried(device.case(case).session)[stream].done is not None
        assert nora.run("status", case)["alarms"] == []
        # The other side: killed after the first chunk arrived and was kept.
        fatima.run("sync")
        assert killed(fatima, case, 2, "Read", "information", path) == -9
        with Device.open(fatima.home, offline=True) as device:
            assert 0 < len(attachments.chunks_of(device.case(case).session, stream)) < 3
        before = len(tap.heard)
        assert fetched(fatima, case, "information", path, tmp_path / "x") == LETTER
        assert len(tap.heard) - before < 2.6 * CHUNK_BYTES, "what had come was not read again"
        assert fatima.run("status", case)["alarms"] == []


def test_who_was_put_out_fetches_nothing_and_closes_nothing(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path
) -> None:
    nora, fatima, case, item = two(at, relay.url)
    karim = at("karim")
    karim.run("join", nora.run("invite", case, "--role", "member", "--name", "Karim")["link"], "--as", "Karim")
    nora.run("sync")
    karim.run("sync")
    nora.run("attach", case, "plan", item, photo(files))
    for someone in (fatima, karim):
        someone.run("sync")
    stream = stream_of(karim, case, "plan", item)
    nora.run("remove", case, "Karim")
    # He does not sync, and keeps all he had: the key in the part, every secret of a room.
    with Device.open(karim.home) as device:
        one = device.case(case)
        part = one.session.known().parts["plan"]
        caps = attachments.read_caps(one.session, part, stream)
        with pytest.raises(Refused, match="not allowed"):
            one.fetch("plan", item)
        results = one.transport.exchange(attachments.closing(one.session, part, stream)).results
        assert caps and [result.code for result in results] == ["not_allowed"]  # type: ignore[union-attr]
    # For the others nothing changed, nor for who comes later.
    assert fetched(fatima, case, "plan", item, tmp_path / "f") == CLEAN
    lotte = at("lotte")
    lotte.run("join", nora.run("invite", case, "--role", "member", "--name", "Lotte")["link"], "--as", "Lotte")
    nora.run("sync")
    lotte.run("sync")
    assert fetched(lotte, case, "plan", item, tmp_path / "l") == CLEAN


@pytest.mark.parametrize("how", ["item", "field", "another"])
def test_a_photo_that_is_taken_away_is_gone_at_the_relay_and_on_every_device(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path, how: str
) -> None:
    nora, fatima, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files))
    fetched(fatima, case, "plan", item, tmp_path / "f")
    stream = stream_of(nora, case, "plan", item)
    with Device.open(nora.home, offline=True) as device:
        sealed = bytes(attachments.chunks_of(device.case(case).session, stream)[0].record)[100:160]
    assert all(sealed in found for found in (relay_bytes(relay), nora.bytes(), fatima.bytes()))
    # Whoever writes the part may; also from the train.
    if how == "another":
        (files / "other.png").write_bytes(bytes.fromhex(json.loads((VECTORS / "strip_png.json").read_text())["data"]))
        fatima.run("attach", case, "plan", item, str(files / "other.png"), offline=True)
    else:
        fatima.run("delete", case, "plan", item if how == "item" else f"{item}/photo", offline=True)
    assert sealed not in fatima.bytes()
    fatima.run("sync")
    assert sealed not in relay_bytes(relay)
    nora.run("sync")
    assert sealed not in nora.bytes()
    if how == "another":
        assert fetched(nora, case, "plan", item, tmp_path / "n").startswith(b"\x89PNG")
    else:
        assert nora.refused("fetch", case, "plan", item, str(tmp_path / "n")) == "no_such_field"
    assert nora.run("status", case)["alarms"] == fatima.run("status", case)["alarms"] == []


def test_a_photo_that_another_one_replaced_at_the_same_time_is_gone_too(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path
) -> None:
    nora, fatima, case, item = two(at, relay.url)
    other = files / "other.png"
    other.write_bytes(bytes.fromhex(json.loads((VECTORS / "strip_png.json").read_text())["data"]))
    fatima.run("add", case, "plan", "agreements", '{"what": "zo wint de hare"}', offline=True)
    fatima.run("attach", case, "plan", item, str(other), offline=True)
    nora.run("attach", case, "plan", item, photo(files))
    lost = stream_of(nora, case, "plan", item)
    with Device.open(nora.home, offline=True) as device:
        sealed = bytes(attachments.chunks_of(device.case(case).session, lost)[0].record)[100:160]
    assert sealed in relay_bytes(relay)
    fatima.run("sync")
    assert stream_of(fatima, case, "plan", item) != lost, "both were put at one place, unseen by the other"
    assert sealed in relay_bytes(relay), "only who put it there knows of it"
    nora.run("sync")
    assert sealed not in relay_bytes(relay) and sealed not in nora.bytes()
    assert fetched(nora, case, "plan", item, tmp_path / "n").startswith(b"\x89PNG")
    assert nora.run("status", case)["alarms"] == fatima.run("status", case)["alarms"] == []


def test_that_nothing_names_a_photo_closes_it_only_when_the_change_that_put_it_there_is_settled(
    relay: LiveRelay, at: At, files: Path
) -> None:
    nora, _, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files), offline=True)
    with Device.open(nora.home) as device:
        one = device.case(case)
        stream = StreamId(photo_of(one, item).stream)
        # As if another one had taken it away.
        one.session.edit("plan", [["delete", [*item.split("/"), "photo"]]])
        assert stream not in attachments.held_streams(one.session, one.session.part("plan"))
        assert attachments.outdone(one.session) == []
        sync_case(one.session, one.transport)
        assert attachments.outdone(one.session) == [stream]


def test_a_photo_that_is_not_named_because_the_part_was_founded_anew_is_not_lost(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path
) -> None:
    """It was put there without a connection; meanwhile nothing of it was in the part that goes on."""
    nora, fatima, case, item = two(at, relay.url)
    fatima.run("attach", case, "plan", item, photo(files), offline=True)
    nora.run("forget", case, "plan")
    for someone in (fatima, nora, fatima, nora):
        someone.run("sync")
    assert fetched(nora, case, "plan", item, tmp_path / "n") == CLEAN
    # Settled, known by its change, and founded anew: still named, still there.
    nora.run("forget", case, "plan")
    for someone in (fatima, nora):
        someone.run("sync")
    (tmp_path / "n").unlink()
    karim = at("karim")
    karim.run("join", nora.run("invite", case, "--role", "member", "--name", "Karim")["link"], "--as", "Karim")
    nora.run("sync")
    karim.run("sync")
    assert fetched(karim, case, "plan", item, tmp_path / "n") == CLEAN


def test_a_full_relay_is_told_and_takes_it_when_there_is_room(at: At, files: Path, tmp_path: Path) -> None:
    small = ["--limit", "max_stream_bytes=300000"]
    with live_relay(tmp_path / "relay", more=small) as relay:
        nora, fatima, case, _ = two(at, relay.url)
        path = question_with_letter(nora, case, files)
        alarms = nora.run("status", case)["alarms"]
        assert [(alarm["code"], alarm["about"]) for alarm in alarms] == [("quota", "attachment in information")]
        fatima.run("sync")
        assert fatima.refused("fetch", case, "information", path, str(tmp_path / "x")) == "not_yet"
        # The plan itself goes on.
        nora.run("add", case, "plan", "agreements", '{"what": "toch door"}')
        fatima.run("sync")
        assert len(fatima.run("show", case, "plan")["agreements"]) == 2
        relay.kill()
        roomy = LiveRelay(tmp_path / "relay")
        roomy._port = relay._port
        roomy.start()
        try:
            nora.run("sync")
            assert nora.run("status", case)["alarms"] == []
            assert fetched(fatima, case, "information", path, tmp_path / "x") == LETTER
        finally:
            roomy.kill()
        relay.start()


def test_a_wiped_relay_gets_the_photos_back_from_the_homes(
    relay: LiveRelay, at: At, files: Path, tmp_path: Path
) -> None:
    nora, fatima, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files))
    gone = nora.run("add", case, "plan", "agreements", '{"what": "gaat weg"}')["item"]
    nora.run("attach", case, "plan", f"agreements/{gone}", photo(files))
    copy, data = tmp_path / "copy.sqlite", str(relay.data_dir)
    operator = Here(tmp_path / "nobody")
    operator.run("relay", "backup", "--data", data, "--to", str(copy))
    path = question_with_letter(nora, case, files)
    closed = stream_of(nora, case, "plan", f"agreements/{gone}")
    nora.run("delete", case, "plan", f"agreements/{gone}")
    relay.kill()
    operator.run("relay", "restore", "--from", str(copy), "--data", data, "--replace")
    relay.start()
    for someone in (nora, fatima, nora, fatima):
        someone.run("sync")
    assert fetched(fatima, case, "information", path, tmp_path / "x") == LETTER
    assert fetched(fatima, case, "plan", item, tmp_path / "y") == CLEAN
    # What was taken away stays away, though the backup had it.
    with Device.open(nora.home) as device:
        one = device.case(case)
        part = one.session.known().parts["plan"]
        results = one.transport.exchange(attachments.closing(one.session, part, closed)).results
        assert [type(result).__name__ for result in results] == ["Closed"]
        with pytest.raises(Refused, match="closed"):
            carrying.fetch(one.session, one.transport, "plan", replace(photo_of(one, item), stream=closed))


def test_a_reader_of_a_view_sees_what_it_is_and_gets_no_key(relay: LiveRelay, at: At, files: Path) -> None:
    nora, _, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files))
    bos = at("bos")
    words = ("--to", "Bos", "--purpose", "meekijken", "--until", SOON, "--parts", "plan")
    given = nora.run("grant", case, *words)
    bos.run("accept", given["link"], "--as", "Bos")
    nora.run("sync")
    bos.run("sync")
    (seen,) = bos.run("view", given["grant"])["plan"]["agreements"].values()
    assert seen["photo"] == {"attachment": "foto.jpg", "type": "image/jpeg", "size": len(CLEAN)}
    (seen,) = nora.run("preview", case, given["grant"])["plan"]["agreements"].values()
    assert seen["photo"]["attachment"] == "foto.jpg"
    with Device.open(nora.home, offline=True) as device:
        attachment = photo_of(device.case(case), item)
    for secret in (attachment.key, attachment.stream, attachment.hash):
        assert secret not in bos.bytes() and secret.hex().encode() not in bos.bytes()


def test_an_export_has_the_files_and_proves_them(relay: LiveRelay, at: At, files: Path, tmp_path: Path) -> None:
    nora, fatima, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files))
    path = question_with_letter(nora, case, files)
    key = _key(nora, case, item)
    folder = tmp_path / "taken"
    said = fatima.run("export", case, "--to", str(folder))
    assert (said["attachments"], said["missing"]) == (2, 0)
    name = f"{sha256(CLEAN).hexdigest()}.jpg"
    assert (folder / "files" / name).read_bytes() == CLEAN
    words = (folder / "content.json").read_text("utf-8")
    assert f'"file": "files/{name}"' in words and "foto.jpg" in words
    assert f'href="files/{name}"' in (folder / "lezen.html").read_text("utf-8")
    nobody = Here(tmp_path / "nobody")
    assert nobody.run("verify", str(folder))["by"] == "Fatima"
    for change in (lambda p: p.write_bytes(CLEAN[:-3] + b"x" + CLEAN[-2:]), lambda p: p.rename(p.with_suffix(".png"))):
        spoiled = tmp_path / "spoiled"
        subprocess.run(["cp", "-r", str(folder), str(spoiled)], check=True)
        change(spoiled / "files" / name)
        assert nobody.refused("verify", str(spoiled)) == "bad_export"
        subprocess.run(["rm", "-r", str(spoiled)], check=True)
    # Neither what opens the file at the relay nor the key is in what people read.
    assert key.hex() not in words
    # Offline, what is not here is left out and said.
    without = tmp_path / "without"
    relay.kill()
    said = nora.run("export", case, "--to", str(without))
    assert (said["attachments"], said["missing"]) == (2, 0)
    relay.start()
    karim = at("karim")
    karim.run("join", nora.run("invite", case, "--role", "member", "--name", "Karim")["link"], "--as", "Karim")
    nora.run("sync")
    karim.run("sync")
    said = karim.run("export", case, "--to", str(tmp_path / "offline"), offline=True)
    assert (said["attachments"], said["missing"]) == (0, 2)
    assert nobody.run("verify", str(tmp_path / "offline"))["by"] == "Karim"
    assert "niet meegenomen" in (tmp_path / "offline" / "lezen.html").read_text("utf-8")
    # Erased by its owner: the bytes leave the relay.
    with Device.open(nora.home, offline=True) as device:
        stream = stream_of_open(device, case, path)
        sealed = bytes(attachments.chunks_of(device.case(case).session, stream)[1].record)[100:160]
    assert sealed in relay_bytes(relay)
    nora.run("erase", case, "--yes")
    assert sealed not in relay_bytes(relay)


def _key(someone: Here, case: str, item: str) -> bytes:
    with Device.open(someone.home, offline=True) as device:
        return photo_of(device.case(case), item).key


def stream_of_open(device: Device, case: str, path: str) -> StreamId:
    found = attachments.attachment_at(device.case(case).session, "information", [*path.split("/"), "file"])
    return StreamId(found.stream)


def test_founded_anew_and_gone_on_the_photos_come_along(relay: LiveRelay, at: At, files: Path, tmp_path: Path) -> None:
    nora, fatima, case, item = two(at, relay.url)
    nora.run("attach", case, "plan", item, photo(files))
    fatima.run("sync")
    nora.run("forget", case, "plan")
    fatima.run("sync")
    assert fetched(fatima, case, "plan", item, tmp_path / "f") == CLEAN
    before = stream_of(nora, case, "plan", item)
    karim = at("karim")
    karim.run("join", nora.run("invite", case, "--role", "member", "--name", "Karim")["link"], "--as", "Karim")
    nora.run("sync")
    karim.run("sync")
    new = nora.run("start", "Verder", "--from", case, "--without", "Karim")
    (there,) = nora.run("show", new["case"], "plan")["agreements"]
    assert stream_of(nora, new["case"], "plan", f"agreements/{there}") != before
    link = next(one["link"] for one in new["invitations"] if one["name"] == "Fatima")
    other = at("fatima-again")
    other.run("join", link, "--as", "Fatima")
    nora.run("sync")
    other.run("sync")
    assert fetched(other, new["case"], "plan", f"agreements/{there}", tmp_path / "o") == CLEAN


def test_a_diary_photo_is_for_one_person_alone(relay: LiveRelay, at: At, files: Path, tmp_path: Path) -> None:
    nora, fatima, case, _ = two(at, relay.url)
    item = fatima.run("add", case, "diary", "entries", '{"text": "vandaag"}')["item"]
    fatima.run("attach", case, "diary", f"entries/{item}", photo(files))
    nora.run("sync")
    assert nora.refused("fetch", case, "diary@Fatima", f"entries/{item}", str(tmp_path / "n")) == "not_permitted"
    assert fetched(fatima, case, "diary", f"entries/{item}", tmp_path / "f") == CLEAN
