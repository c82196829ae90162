"""A photo goes from the app to the command line and back, and after a removal both turn its locks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interop.app_device import AppDevice
from journeys.here import Here
from live_relay import LiveRelay

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "attachment"
_TOLD = json.loads((VECTORS / "strip_jpeg_turned.json").read_text("utf-8"))
PHOTO, CLEAN = bytes.fromhex(_TOLD["data"]), bytes.fromhex(_TOLD["out"][1])
LETTER = b"%PDF-1.7 " + bytes(i % 253 for i in range(600_000))


@pytest.fixture
def nora(tmp_path: Path) -> Here:
    return Here(tmp_path / "nora")


def file_of(data: bytes, **more: Any) -> dict[str, Any]:
    return {"name": "IMG_1.jpg", "data": {"hex": data.hex()}, **more}


def test_photos_in_two_languages(
    relay: LiveRelay, nora: Here, app_device: Callable[[], AppDevice], tmp_path: Path
) -> None:
    case = nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")["case"]
    fatima = app_device()
    fatima("join", nora.run("invite", case, "--role", "member", "--name", "Fatima")["link"], "Fatima")
    nora.run("sync")
    fatima("sync")
    item = fatima("add", case, "plan", "agreements", {"what": "naar de speeltuin"})
    path = f"agreements/{item}/photo"
    fatima("attach", case, "plan", path, file_of(PHOTO, preview={"hex": CLEAN.hex()}))
    assert fatima.refused("attach", case, "plan", path, file_of(LETTER)) == "bad_attachment"
    fatima("sync")
    nora.run("sync")
    nora.run("fetch", case, "plan", path, str(tmp_path / "photo"))
    assert (tmp_path / "photo").read_bytes() == CLEAN
    seen = fatima("show", case, "plan")["agreements"][item]["photo"]
    assert seen.startswith("attachment:{") and "key" not in seen

    question = nora.run("add", case, "information", "questions", '{"text": "Wat staat er?"}')["item"]
    (tmp_path / "brief.pdf").write_bytes(LETTER)
    letter = f"questions/{question}/file"
    nora.run("attach", case, "information", letter, str(tmp_path / "brief.pdf"), "--as-is")
    fatima("sync")
    got = fatima("fetch", case, "information", letter)
    assert (got["name"], got["type"], bytes.fromhex(got["data"]["hex"])) == ("brief.pdf", "application/pdf", LETTER)
    fatima("line", False)
    assert fatima("fetch", case, "information", letter)["name"] == "brief.pdf", "kept for the train"
    fatima("line", True)

    # Karim leaves; the app's device turns the locks of what is there, and the command line still reads.
    karim = Here(tmp_path / "karim")
    karim.run("join", nora.run("invite", case, "--role", "member", "--name", "Karim")["link"], "--as", "Karim")
    nora.run("sync")
    karim.run("sync")
    nora.run("remove", case, "Karim")
    fatima("sync")
    assert karim.refused("fetch", case, "plan", path, str(tmp_path / "k")) in ("removed", "not_allowed")
    nora.run("fetch", case, "plan", path, str(tmp_path / "again"))

    # Taken away by the app: gone for the command line.
    fatima("delete", case, "plan", path)
    fatima("sync")
    nora.run("sync")
    assert nora.refused("fetch", case, "plan", path, str(tmp_path / "gone")) == "no_such_field"
    assert nora.run("status", case)["alarms"] == []
    assert fatima("status")["alarms"] == []
