"""Before access is given, when a colleague takes over, and when a reader keeps a copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import simulator
from eigenkring.errors import Ended, Misuse
from eigenkring.renewing import preview_selection, renew, save_copy
from eigenkring.schema import load_schema
from simulator import Phone, World
from unit.test_reading import day, shown


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(simulator, "small_schema", load_schema)
    world = World(13)
    world.start()
    nora = world.phones["nora"]
    nora.case.add("plan", "agreements", {"what": "Kolibrie", "who": "Karim", "with": "Roerdomp"})
    nora.case.add("private", "ideas", {"text": "Zwaluw"})
    return world


def without_ids(parts: dict[str, Any]) -> Any:
    return {part: {name: sorted(map(str, items.values())) for name, items in c.items()} for part, c in parts.items()}


def reader_of(world: World, **chosen: Any) -> tuple[Phone, str]:
    nora, reader = world.phones["nora"], world.phone("dewit")
    given = nora.case.grant("dewit", "meedenken", day(world, 30), nora.case.selection(**chosen))
    reader.device.accept(given.link, "dewit")
    nora.sync()
    reader.sync()
    reader.grant = given.grant.hex()
    return reader, reader.grant


@pytest.mark.parametrize(
    "chosen",
    [
        {"parts": ["plan"]},
        {"parts": ["plan"], "without": ["plan/agreements/*/with"]},
        {"fields": ["plan/agreements/who"]},
        {"parts": ["plan"], "naming": ["Karim"]},
        {"parts": ["plan"], "naming": ["Niemand"]},
    ],
)
def test_what_the_preview_shows_is_what_the_reader_sees(world: World, chosen: dict[str, Any]) -> None:
    case = world.phones["nora"].case
    before = preview_selection(case, case.selection(**chosen))
    assert len(case.charter.grants) == 0
    reader, grant = reader_of(world, **chosen)
    assert without_ids(reader.device.view(grant)) == without_ids(before)
    assert reader.device.view(grant) == case.preview(grant)
    assert "Zwaluw" not in str(before)


def test_what_may_never_be_shown_is_refused_in_the_preview_too(world: World) -> None:
    with pytest.raises(Misuse) as caught:
        world.phones["nora"].case.selection(["private"])
    assert caught.value.code == "not_permitted"


def test_a_colleague_takes_over_in_one_step(world: World) -> None:
    nora = world.phones["nora"]
    reader, grant = reader_of(world, parts=["plan"], without=["plan/agreements/*/with"])
    given = renew(nora.case, grant[:8], "Bos")
    colleague = world.phone("bos")
    colleague.device.accept(given.link, "Bos")
    nora.sync()
    colleague.sync()
    colleague.grant = given.grant.hex()
    assert shown(colleague) == ["Kolibrie"]
    assert "Roerdomp" not in str(colleague.device.view(colleague.grant))
    reader.sync()
    with pytest.raises(Ended):
        reader.device.view(grant)
    old, new = sorted(nora.case.access(), key=lambda row: row["to"] == "Bos")
    assert (old["stopped_by"], new["stopped_by"]) == ("Nora", None)
    assert (new["to"], new["purpose"], new["until"]) == ("Bos", old["purpose"], old["until"])


def test_two_grants_share_no_id(world: World) -> None:
    reader, grant = reader_of(world, parts=["plan"])
    first = set(reader.device.view(grant)["plan"]["agreements"])
    nora = world.phones["nora"]
    given = renew(nora.case, grant, "Bos")
    assert not first & set(nora.case.preview(given.grant.hex())["plan"]["agreements"])


def test_a_copy_is_reported_before_it_is_written(world: World, tmp_path: Path) -> None:
    nora = world.phones["nora"]
    reader, grant = reader_of(world, parts=["plan"])
    world.network.offline.add(reader.name)
    save_copy(reader.device, grant, tmp_path / "kopie.json")
    copied = json.loads((tmp_path / "kopie.json").read_text())
    assert copied["parts"] == reader.device.view(grant)
    assert "Kopie voor eigen dossier" in copied["note"]
    assert (tmp_path / "kopie.json").stat().st_mode & 0o077 == 0
    world.network.honest()
    reader.sync()
    nora.sync(2)
    assert nora.case.access()[0]["copied"] == day(world, 0)
    with pytest.raises(Misuse) as caught:
        save_copy(reader.device, grant, tmp_path / "kopie.json")
    assert caught.value.code == "home_exists"
    nora.case.withdraw(grant)
    reader.sync()
    with pytest.raises(Ended):
        save_copy(reader.device, grant, tmp_path / "tweede.json")
    assert not (tmp_path / "tweede.json").exists()
