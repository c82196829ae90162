"""An export proves who wrote what; no byte of it can be altered, left out or added; and a case can end."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eigenkring import exported, exporting, readable
from eigenkring.attachment import VERSION, Shown, pack_attachment, parse_attachment
from eigenkring.erasing import erase
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.exporting import export, verify
from eigenkring.ids import CaseId
from eigenkring.importing import bring
from eigenkring.schema import load_schema
from eigenkring_crypto.kdf import sha256
from simulator import ADDRESS, Phone, World, small_schema


@pytest.fixture
def world() -> World:
    world = World(23)
    nora = world.start()
    fatima = world.join("fatima")
    nora.add("van Nora")
    nora.sync()
    fatima.sync()
    fatima.add("van Fatima <script>")
    fatima.sync()
    nora.sync()
    nora.add("nog een")
    nora.sync()
    return world


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    export(world.phones["nora"].case, tmp_path / "uit")
    return tmp_path / "uit"


def refused(folder: Path) -> str:
    with pytest.raises(Inadmissible) as caught:
        verify(folder)
    return caught.value.code


def test_it_says_who_wrote_what_and_can_be_read_without_this_program(world: World, folder: Path) -> None:
    found = verify(folder)
    assert (found["by"], found["title"]) == ("Nora", "Thuis")
    assert found["parts"]["plan"] == {"changes": {"Nora": 2, "Fatima": 1}, "passed": []}
    content = json.loads((folder / "content.json").read_text())
    texts = sorted(item["what"] for item in content["parts"]["plan"]["agreements"].values())
    assert texts == world.phones["nora"].texts()
    page = (folder / "lezen.html").read_text()
    assert "van Nora" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_it_holds_no_key_to_what_comes(world: World, folder: Path) -> None:
    nora = world.phones["nora"]
    whole = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for _, _, secret in nora.session.ring:
        assert bytes(secret) not in whole
    for stream in nora.session.parts:
        read = nora.secrets(stream).read
        assert read is not None
        assert read not in whole
    assert nora.session.row.seed not in whole


def test_after_somebody_was_put_out_it_still_verifies(world: World, tmp_path: Path) -> None:
    nora = world.phones["nora"]
    world.network.offline.add("fatima")
    world.phones["fatima"].add("stiekem")
    nora.case.remove("fatima")
    world.network.honest()
    world.phones["fatima"].sync()
    nora.add("na")
    nora.sync()
    export(nora.case, tmp_path / "na")
    assert "stiekem" not in (tmp_path / "na" / "lezen.html").read_text()
    assert verify(tmp_path / "na")["parts"]["plan"]["changes"] == {"Nora": 3, "Fatima": 1}


@pytest.mark.parametrize("seed", range(60))
def test_any_altered_byte_is_caught(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = paths[seed % len(paths)]
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    assert refused(folder) == "bad_export"


@pytest.mark.parametrize("places", [10, pytest.param(600, marks=pytest.mark.long)])
def test_a_byte_flipped_lost_or_added_is_caught_wherever_it_is(folder: Path, places: int) -> None:
    """At this many places of every file; in the long run that is every byte of the signed list."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for at in range(0, len(data), max(1, len(data) // places)):
            flipped = bytearray(data)
            flipped[at] ^= 1 << (at % 8)
            for altered in (bytes(flipped), data[:at] + data[at + 1 :], data[:at] + b"\0" + data[at:]):
                path.write_bytes(altered)
                assert altered == data or refused(folder) == "bad_export", (path.name, at)
        path.write_bytes(data)
    assert verify(folder)["by"] == "Nora"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_change_of_any_kind_passes(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    whole = path.read_bytes()
    at, until = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    made = whole[:at] + data.draw(st.binary(max_size=40)) + whole[until:]
    path.write_bytes(made)
    try:
        assert made == whole or refused(folder) == "bad_export"
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("change", ["end", "begin", "longer", "gone", "more", "empty folder", "link"])
def test_what_is_missing_or_added_is_caught(folder: Path, change: str) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        copy = folder.parent / "kopie"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        there = copy / path.relative_to(folder)
        match change:
            case "end":
                there.write_bytes(there.read_bytes()[:-1])
            case "begin":
                there.write_bytes(there.read_bytes()[1:])
            case "longer":
                there.write_bytes(there.read_bytes() + b"\0")
            case "gone":
                there.unlink()
            case "more":
                (copy / "meer.txt").write_bytes(b"")
            case "empty folder":
                shutil.rmtree(copy)
                copy.mkdir()
            case _:
                data = there.read_bytes()
                there.unlink()
                (folder.parent / "elders").write_bytes(data)
                there.symlink_to(folder.parent / "elders")
        assert refused(copy) == "bad_export"


def resigned(folder: Path, phone: Phone, change: Any, **more: Any) -> None:
    """As somebody of the circle who exports other things than there are, and signs for it."""
    manifest = exported.open_manifest((folder / exported.MANIFEST).read_bytes())
    change(folder)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del files[exported.MANIFEST]
    logs = {"": msgspec.msgpack.decode(files[exported.CHARTER], type=exported.Log)}
    logs |= {
        name[6:-8]: msgspec.msgpack.decode(data, type=exported.Log)
        for name, data in files.items()
        if name.startswith("parts/")
    }
    streams = []
    for name, log in sorted(logs.items()):
        length = log.base + len(log.records)
        streams.append((name, length, log.chains()[length]))
    made = msgspec.structs.replace(
        manifest,
        by=phone.device_key(),
        files=tuple(sorted((name, sha256(data)) for name, data in files.items())),
        streams=tuple(streams),
        **more,
    )
    (folder / exported.MANIFEST).write_bytes(exported.sign_manifest(phone.session.keys.sign, made))


@pytest.mark.parametrize("v", [1, 2])
def test_a_false_page_is_told_by_its_words_and_one_of_before_is_said_to_be_unchecked(
    world: World, folder: Path, v: int
) -> None:
    """Version 1 did not say which words its page was made with."""

    def false_page(there: Path) -> None:
        page = there / "lezen.html"
        page.write_text(page.read_text().replace("<h2>", "<h2>Vroeger: "))

    schema = readable.schema_hash(load_schema())
    assert exported.open_manifest((folder / exported.MANIFEST).read_bytes()).schema == schema
    nora = world.phones["nora"]
    resigned(folder, nora, lambda _: None, v=v, schema=schema if v == 2 else None)
    assert verify(folder)["unchecked"] == []
    resigned(folder, nora, false_page, v=v, schema=schema if v == 2 else None)
    if v == 1:
        assert verify(folder)["unchecked"] == ["lezen.html"]
    else:
        assert refused(folder) == "bad_export"
        resigned(folder, nora, lambda _: None, schema=bytes(32))
        assert verify(folder)["unchecked"] == ["lezen.html"]
    (folder / "lezen.html").unlink()
    resigned(folder, nora, lambda _: None)
    assert refused(folder) == "bad_export", "a page there must be"


def without_record(folder: Path, part: str, at: int) -> None:
    """The log without one record, and everything for people made again from that: a liar who knows the format."""
    path = folder / "parts" / f"{part}.msgpack"
    log = msgspec.msgpack.decode(path.read_bytes(), type=exported.Log)
    kept = tuple(record for index, record in enumerate(log.records) if index != at)
    path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(log, records=kept)))
    logs = {"": msgspec.msgpack.decode((folder / exported.CHARTER).read_bytes(), type=exported.Log)}
    for other in (folder / "parts").iterdir():
        logs[other.stem] = msgspec.msgpack.decode(other.read_bytes(), type=exported.Log)
    charter = exported.fold_charter(CaseId(logs[""].stream), logs[""], small_schema())
    content, _, _ = exporting._content(charter, logs)
    for name, data in exporting._for_people(charter, content).items():
        (folder / name).write_bytes(data)


def test_whoever_signs_a_lie_is_caught_by_what_the_others_signed(world: World, folder: Path) -> None:
    nora = world.phones["nora"]

    def leave_out_a_part(there: Path) -> None:
        (there / "parts" / "plan.msgpack").unlink()

    def leave_out_a_record(there: Path) -> None:
        without_record(there, "plan", 1)

    def leave_out_the_first(there: Path) -> None:
        without_record(there, "plan", 0)

    def say_something_else(there: Path) -> None:
        page = there / "lezen.html"
        page.write_text(page.read_text().replace("van Nora", "van niemand"))

    def shorter_charter(there: Path) -> None:
        path = there / exported.CHARTER
        log = msgspec.msgpack.decode(path.read_bytes(), type=exported.Log)
        path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(log, records=log.records[:-1])))

    for lie in (leave_out_a_part, leave_out_a_record, leave_out_the_first, say_something_else, shorter_charter):
        copy = folder.parent / lie.__name__
        shutil.copytree(folder, copy)
        resigned(copy, nora, lie)
        assert refused(copy) == "bad_export", lie.__name__


def test_a_stranger_cannot_sign_it(world: World, folder: Path) -> None:
    stranger = World(99).start()
    resigned(folder, stranger, lambda _: None)
    assert refused(folder) == "bad_export"


def test_words_that_only_look_like_a_photo_in_a_view_keep_nobody_from_taking_the_case_along(
    world: World, tmp_path: Path
) -> None:
    fatima, nora = world.phones["fatima"], world.phones["nora"]
    fatima.add(pack_attachment(Shown(VERSION, "foto.jpg", "image/jpeg", 1, b"")))
    fatima.sync()
    nora.sync()
    export(nora.case, tmp_path / "uit")
    assert verify(tmp_path / "uit")["parts"]["plan"]["passed"] == []
    content = json.loads((tmp_path / "uit" / "content.json").read_text())
    told = [item["what"] for item in content["parts"]["plan"]["agreements"].values()]
    assert {"attachment": "foto.jpg", "type": "image/jpeg", "size": 1, "file": None} in told


@pytest.mark.parametrize("lie", [{"hash": bytes(32)}, {"key": bytes(32)}, {"size": 1}, {"preview": b"\xff\xd8\xff"}])
def test_a_second_field_that_lies_about_a_photo_keeps_nobody_from_taking_the_case_along_or_moving(
    world: World, tmp_path: Path, lie: dict[str, Any]
) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    data = b"%PDF-1.7 het rooster"
    item = nora.add("Het rooster")
    nora.case.attach("plan", f"agreements/{item}", "rooster.pdf", data, as_is=True)
    world.settle()
    field = fatima.session.read(fatima.session.part("plan"))["agreements"][item]["photo"]
    # Beside it, and in a part that comes after it; and one where only words go.
    false = pack_attachment(msgspec.structs.replace(parse_attachment(field), **lie))
    other = fatima.add("kijk eens")
    fatima.session.edit("plan", [["set", ["agreements", other, "photo"], false]])
    fatima.session.edit("plan", [["set", ["agreements", other, "next"], false]])
    world.settle()
    assert nora.case.fetch("plan", f"agreements/{item}") == data
    export(nora.case, tmp_path / "uit")
    assert verify(tmp_path / "uit")["parts"]["plan"]["passed"] == []
    [file] = (tmp_path / "uit" / "files").iterdir()
    assert file.read_bytes() == data
    made = bring(nora.device, tmp_path / "uit", ADDRESS)
    again = bring(nora.device, tmp_path / "uit", ADDRESS)
    assert made["case"] == again["case"], "asked for twice it goes on where it was"
    moved = nora.device.case(made["case"])
    there = moved.session.read(moved.session.part("plan"))["agreements"]
    assert {row["what"] for row in there.values()} >= {"Het rooster", "kijk eens", "van Nora"}
    assert len(there) == len(nora.texts())
    assert moved.fetch("plan", f"agreements/{item}") == data


def test_a_folder_made_to_be_looked_at_without_end_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(folder / "parts" / "x")
    assert refused(folder) == "bad_export"
    shutil.rmtree(folder / "parts" / "x")
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("d", dir_fd=at)
        at, before = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(before)
    os.close(at)
    assert refused(folder) == "bad_export"
    subprocess.run(["rm", "-rf", folder / "d"], check=True)
    verify(folder)
    with (folder / "files.bin").open("wb") as file:
        file.truncate(2**40)
    assert refused(folder) == "bad_export"
    (folder / "files.bin").unlink()
    os.mkfifo(folder / "parts" / "pipe")
    assert refused(folder) == "bad_export"
    (folder / "parts" / "pipe").unlink()
    monkeypatch.setattr(exporting, "MAX_FILES", len([path for path in folder.rglob("*") if path.is_file()]) - 1)
    assert refused(folder) == "bad_export"


def test_a_folder_that_holds_something_is_left_alone(world: World, folder: Path) -> None:
    with pytest.raises(Misuse) as caught:
        export(world.phones["nora"].case, folder)
    assert caught.value.code == "home_exists"


# --- erasing


def test_the_only_owner_ends_the_case_for_all(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    plan, private = nora.stream("plan"), nora.stream("private")
    answer = erase(nora.case)
    assert answer["erased"] == world.case_id
    assert any("cannot be undone" in line for line in answer["say"])
    assert world.relay.records(plan) == world.relay.records(private) == []
    assert b"van Nora" not in nora.store.image()
    assert nora.store.cases() == []
    fatima.sync(2)
    assert {row["state"] for row in fatima.device.cases()} == {"closed"}
    assert fatima.texts() != [], "what others have stays with them, and they were told so"


def test_alone_nothing_stays_at_the_relay(world: World) -> None:
    alone = World(5).start()
    streams = alone.session.known().live_streams()
    answer = erase(alone.case)
    assert answer["kept"] == 0
    assert all(alone.world.relay.records(stream) == [] for stream in streams)


def test_a_member_takes_the_own_pages_out_and_goes(world: World) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    fatima.case.add("diary", "entries", {"text": "Roerdomp"})
    fatima.sync()
    diary = fatima.stream("diary")
    assert world.relay.records(diary)
    erase(fatima.case)
    assert world.relay.records(diary) == []
    assert fatima.store.cases() == []
    nora.sync(2)
    assert [person["name"] for person in nora.case.people()] == ["Nora"]
    assert nora.texts()[0] == "nog een"


def test_offline_nothing_is_erased(world: World) -> None:
    nora = world.phones["nora"]
    world.network.offline.add("nora")
    with pytest.raises(Exception, match="no network"):
        erase(nora.case)
    assert nora.store.case(CaseId(bytes.fromhex(world.case_id))) is not None
    assert nora.texts() != []
