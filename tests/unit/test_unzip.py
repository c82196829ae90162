"""A zip of a copy: one of the app, one a computer made of the folder, and those that somebody made to fill or fool a device."""

from __future__ import annotations

import io
import json
import random
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from eigenkring import unzip as module
from eigenkring.errors import EigenkringError, Inadmissible
from eigenkring.exporting import export, verify
from eigenkring.importing import bring
from eigenkring.unzip import unzip
from simulator import ADDRESS, World

FILES = {"lezen.html": b"lezen" * 100, "parts/plan.msgpack": bytes(range(256)), "leeg": b""}


def packed(files: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, body in files.items():
            archive.writestr(name, body)
    return data.getvalue()


def opened(tmp_path: Path, data: bytes) -> dict[str, bytes]:
    path = tmp_path / "kopie.zip"
    path.write_bytes(data)
    return unzip(path)


def refused(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(Inadmissible) as caught:
        opened(tmp_path, data)
    assert caught.value.code == "bad_export"
    return caught.value.message


DAMAGED, LARGE = "the archive is damaged or cut off", "more than an export holds"


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("around", ["", "kring-2026/"])
def test_a_zip_of_the_app_or_of_a_computer_is_the_folder(tmp_path: Path, how: int, around: str) -> None:
    files = {around + name: data for name, data in FILES.items()}
    beside = {"__MACOSX/._lezen.html": b"x", f"{around}.DS_Store": b"x", f"{around}parts/": b""}
    assert opened(tmp_path, packed(files | beside, how)) == FILES


def test_a_copy_is_verified_and_begun_anew_from_a_zip(tmp_path: Path) -> None:
    world = World(31)
    nora = world.start()
    nora.add("van Nora")
    nora.sync()
    export(nora.case, tmp_path / "uit")
    folder = {
        path.relative_to(tmp_path / "uit").as_posix(): path.read_bytes()
        for path in (tmp_path / "uit").rglob("*")
        if path.is_file()
    }
    zipped = tmp_path / "uit.zip"
    zipped.write_bytes(packed(folder, zipfile.ZIP_DEFLATED))
    assert verify(zipped) == verify(tmp_path / "uit")
    made = bring(nora.device, zipped, ADDRESS)["case"]
    assert bring(nora.device, tmp_path / "uit", ADDRESS)["case"] == made, "the folder is the same copy"
    words = nora.device.case(made).show("plan")["agreements"].values()
    assert [item["what"] for item in words] == ["van Nora"]
    altered = folder | {"content.json": json.dumps({"iets": "anders"}).encode()}
    zipped.write_bytes(packed(altered))
    with pytest.raises(Inadmissible) as caught:
        verify(zipped)
    assert caught.value.code == "bad_export"


@pytest.mark.parametrize("at", [0, 3, 21, 60, 200, 700])
def test_what_is_cut_off_or_no_zip_is_damaged(tmp_path: Path, at: int) -> None:
    data = packed(FILES)
    assert refused(tmp_path, data[:-at] if at > 60 else data[:at]) == DAMAGED


def test_no_byte_of_a_body_is_free(tmp_path: Path) -> None:
    data = bytearray(packed(FILES))
    data[data.index(b"lezenlezen") + 7] ^= 1
    assert refused(tmp_path, bytes(data)) == DAMAGED


@pytest.mark.parametrize("name", ["../elders", "/elders", "a/../b", "a//b", "a\\b", "./a"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, packed({"een": b"x", name: b"x"})) == DAMAGED


def test_no_name_stands_twice(tmp_path: Path) -> None:
    data = packed({"een.txt": b"x", "eem.txt": b"y"})
    assert refused(tmp_path, data.replace(b"eem.txt", b"een.txt")) == DAMAGED


def with_size(data: bytes, size: int) -> bytes:
    """As the list says it of its first file."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + size.to_bytes(4, "little") + data[at + 4 :]


def test_a_small_file_that_is_large_inside_fills_nothing(tmp_path: Path) -> None:
    bomb = packed({"een": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    assert refused(tmp_path, with_size(bomb, 100)) == DAMAGED
    assert refused(tmp_path, with_size(bomb, 0xFFFF_FFF0)) == LARGE


def test_a_stream_that_ends_before_or_after_is_damaged(tmp_path: Path) -> None:
    data = packed({"een": b"x" * 300}, zipfile.ZIP_DEFLATED)
    assert refused(tmp_path, with_size(data, 299)) == DAMAGED
    assert refused(tmp_path, with_size(data, 301)) == DAMAGED


def test_more_than_fits_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(FILES)
    monkeypatch.setattr(module, "MOST_FILES", 2)
    assert refused(tmp_path, data) == LARGE
    monkeypatch.undo()
    monkeypatch.setattr(module, "MOST_BYTES", len(data) - 1)
    assert refused(tmp_path, data) == LARGE


def listed_many_times(data: bytes, times: int) -> bytes:
    """Each name another, all of the one body."""
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    one = data[start:end]
    names = b"".join(one.replace(b"00000", f"{at:05}".encode()) for at in range(times))
    ending = bytearray(data[end:])
    ending[8:12] = times.to_bytes(2, "little") * 2
    ending[12:16] = len(names).to_bytes(4, "little")
    return data[:start] + names + bytes(ending)


def test_one_body_under_many_names_is_no_work(tmp_path: Path) -> None:
    """Blocks without a byte in them: a body as long as the zip, ten thousand times, and nothing comes out."""
    body = b"\0\0\0\xff\xff" * 20_000 + b"\x01\0\0\xff\xff"
    data = with_size(packed({"00000": body}), 0)
    at = data.index(b"PK\x01\x02")
    data = (
        data[: at + 10]
        + zipfile.ZIP_DEFLATED.to_bytes(2, "little")
        + data[at + 12 : at + 16]
        + bytes(4)
        + data[at + 20 :]
    )
    assert opened(tmp_path, data) == {"00000": b""}
    assert refused(tmp_path, listed_many_times(data, 10_000)) == DAMAGED
    stored = packed({"00000": b"woord" * 20})
    assert refused(tmp_path, listed_many_times(stored, 30)) == DAMAGED


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_refused_and_nothing_else_happens(tmp_path: Path, seed: int) -> None:
    chance, whole = random.Random(seed), packed(FILES, zipfile.ZIP_DEFLATED)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            found = opened(tmp_path, bytes(data))
        except EigenkringError as error:
            assert error.code == "bad_export"
        else:
            # Names may be others: those are checked by the copy's own list.
            assert set(found.values()) <= set(FILES.values())
