"""A case is begun anew from a copy: by whom, from which copy, and what asking twice does. `crashes/` ends it at every step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import exported, importing, readable
from eigenkring.charter.entry import entry_hash
from eigenkring.errors import Inadmissible, Misuse, Refused, RelayMisbehaved
from eigenkring.exporting import export, verify
from eigenkring.importing import bring
from eigenkring_crypto.kdf import sha256
from eigenkring_crypto.sign import sign
from simulator import ADDRESS, Lie, Phone, World, garbage, refusing, refusing_frames

DAY = 86_400


@pytest.fixture
def world() -> World:
    world = World(31)
    nora = world.start()
    world.join("fatima")
    nora.add("van Nora")
    nora.add("nog een")
    world.settle()
    return world


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    export(world.phones["nora"].case, tmp_path / "uit")
    return tmp_path / "uit"


def texts(phone: Phone, case: str) -> list[str]:
    items = phone.device.case(case).show("plan").get("agreements", {}).values()
    return sorted(item["what"] for item in items)


def cases(phone: Phone) -> set[str]:
    return {row["case"] for row in phone.device.cases()}


def refused(phone: Phone, folder: Path, **more: Any) -> Misuse | Inadmissible:
    before = cases(phone)
    with pytest.raises((Misuse, Inadmissible)) as caught:
        bring(phone.device, folder, ADDRESS, **more)
    assert cases(phone) == before, "something was begun"
    return caught.value


def with_entry(folder: Path, phone: Phone, *, counted: bool) -> None:
    """As a newer program leaves it: an owner's entry of a kind nobody here knows. ``counted``: that program made the copy too,
    and knows what it means."""
    path = folder / exported.CHARTER
    log = msgspec.msgpack.decode(path.read_bytes(), type=exported.Log)
    charter = phone.session.known()
    plain = {
        "v": 1,
        "case": charter.case,
        "n": charter.n + 1,
        "prev": charter.head,
        "chain": log.chains()[len(log.records)],
    }
    body = msgspec.msgpack.encode(plain | {"by": phone.device_key(), "at": 5, "what": "thaw"})
    sig = sign(phone.session.keys.sign, "charter", charter.case, body)
    payload = msgspec.msgpack.encode({"body": body, "sig": sig})
    made = msgspec.structs.replace(log, records=(*log.records, (bytes(300), payload)))
    path.write_bytes(msgspec.msgpack.encode(made))
    manifest = exported.open_manifest((folder / exported.MANIFEST).read_bytes())
    length = len(made.records)
    changed = msgspec.structs.replace(
        manifest,
        n=charter.n + counted,
        head=entry_hash(payload) if counted else charter.head,
        files=tuple((name, sha256((folder / name).read_bytes())) for name, _ in manifest.files),
        streams=tuple(("", length, made.chains()[length]) if not one[0] else one for one in manifest.streams),
    )
    (folder / exported.MANIFEST).write_bytes(exported.sign_manifest(phone.session.keys.sign, changed))


def test_a_copy_whose_charter_goes_on_with_what_only_a_newer_program_knows_asks_for_that_program(
    world: World, folder: Path
) -> None:
    nora = world.phones["nora"]
    with_entry(folder, nora, counted=True)
    error = refused(nora, folder)
    assert error.code == "bad_export"
    assert "newer program" in error.message, "nobody altered it, and nobody may be told so"


def test_a_copy_of_an_older_program_ends_where_that_program_ended(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nora = world.phones["nora"]
    with_entry(folder, nora, counted=False)
    assert verify(folder)["by"] == "Nora"
    # The program is newer now and knows that entry: the copy is still what it was.
    log = msgspec.msgpack.decode((folder / exported.CHARTER).read_bytes(), type=exported.Log)
    real = exported.fold

    def newer(charter: Any, payload: bytes, *more: Any) -> Any:
        if payload == log.records[-1][1]:
            return msgspec.structs.replace(charter, n=charter.n + 1, head=entry_hash(payload))
        return real(charter, payload, *more)

    monkeypatch.setattr(exported, "fold", newer)
    assert verify(folder)["by"] == "Nora"


def test_the_copy_of_somebody_else_makes_nobody_that_person(world: World, folder: Path) -> None:
    fatima = world.phones["fatima"]
    assert refused(fatima, folder).code == "not_permitted"
    assert refused(fatima, folder, name="Fatima").code == "not_permitted"


def test_who_was_put_out_begins_alone_what_they_had_and_the_old_circle_is_untouched(
    world: World, tmp_path: Path
) -> None:
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    fatima.add("van Fatima")
    world.settle()
    export(fatima.case, tmp_path / "hers")
    nora.case.remove("fatima")
    nora.add("na Fatima")
    world.settle()
    before = world.relay.records(nora.stream("plan")), nora.session.known().head
    made = bring(fatima.device, tmp_path / "hers", ADDRESS)
    assert texts(fatima, made["case"]) == ["nog een", "van Fatima", "van Nora"]
    assert [row["name"] for row in made["invitations"]] == ["Nora"]
    world.settle()
    assert (world.relay.records(nora.stream("plan")), nora.session.known().head) == before
    assert not fatima.here()
    # And the copy of who stayed does not make her that person.
    export(nora.case, tmp_path / "noras")
    assert refused(fatima, tmp_path / "noras").code == "not_permitted"


def test_an_older_copy_changes_nothing_of_what_came_later(world: World, folder: Path) -> None:
    nora = world.phones["nora"]
    nora.add("later")
    world.settle()
    made = bring(nora.device, folder, ADDRESS)
    assert texts(nora, made["case"]) == ["nog een", "van Nora"]
    assert nora.texts() == ["later", "nog een", "van Nora"]


def test_asked_twice_it_brings_back_nothing_that_was_deleted_and_nobody_whose_link_was_taken_back(
    world: World, folder: Path
) -> None:
    nora = world.phones["nora"]
    world.join("karim")
    world.settle()
    shutil.rmtree(folder)
    export(nora.case, folder)
    made = bring(nora.device, folder, ADDRESS)
    new = nora.device.case(made["case"])
    items = new.show("plan")["agreements"]
    new.delete("plan", "agreements/" + next(item for item, row in items.items() if row["what"] == "nog een"))
    new.set("question", "question/question/text", "Wie helpt er?")
    new.set("question", "question/question/text", "")
    new.cancel("Karim")
    again = bring(nora.device, folder, ADDRESS)
    assert again["case"] == made["case"]
    assert texts(nora, made["case"]) == ["van Nora"]
    (link,) = [row for row in made["invitations"] if row["name"] == "Fatima"]
    assert again["invitations"] == [link], "the same link once more, and none for whom the owner does not want any more"


def test_what_was_finished_is_not_begun_once_more_when_somebody_came_or_when_its_links_are_too_old(
    world: World, folder: Path
) -> None:
    nora = world.phones["nora"]
    made = bring(nora.device, folder, ADDRESS)
    world.phone("nieuw").device.join(made["invitations"][0]["link"], "Fatima")
    nora.device.sync()
    again = bring(nora.device, folder, ADDRESS)
    assert (again["case"], again["invitations"]) == (made["case"], [])


def stop_before_the_end(monkeypatch: pytest.MonkeyPatch, nora: Phone, folder: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(importing, "_give", stop)
        with pytest.raises(KeyboardInterrupt):
            bring(nora.device, folder, ADDRESS)


@pytest.mark.parametrize("days", [1, 40])
def test_what_was_interrupted_goes_on_as_long_as_its_links_work(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    nora = world.phones["nora"]
    old = cases(nora)
    stop_before_the_end(monkeypatch, nora, folder)
    (half,) = cases(nora) - old
    world.now += days * DAY
    nora.sync()
    made = bring(nora.device, folder, ADDRESS)
    assert (made["case"] == half) == (days == 1)
    assert [row["name"] for row in made["invitations"]] == ["Fatima"]
    # Whoever follows the link comes in: it leads somewhere.
    fatima = world.phone("nieuw")
    fatima.case_id = fatima.device.join(made["invitations"][0]["link"], "Fatima").hex()
    nora.device.sync()
    fatima.sync(2)
    assert fatima.texts() == ["nog een", "van Nora"]


def test_two_copies_in_turn_are_two_cases_and_not_three(world: World, folder: Path, tmp_path: Path) -> None:
    nora = world.phones["nora"]
    first = bring(nora.device, folder, ADDRESS)
    nora.add("later")
    nora.sync()
    export(nora.case, tmp_path / "later")
    second = bring(nora.device, tmp_path / "later", ADDRESS)
    again = bring(nora.device, folder, ADDRESS)
    assert first["case"] == again["case"] != second["case"]


@pytest.mark.parametrize(
    ("lie", "code"), [(refusing_frames, "not_admitted"), (refusing, "quota"), (lambda _: garbage, "relay_garbage")]
)
def test_a_relay_that_takes_no_new_case_is_left_without_half_a_case(
    world: World, folder: Path, lie: Callable[[str], Lie], code: str
) -> None:
    nora = world.phones["nora"]
    before = cases(nora)
    world.network.lies["nora"] = lie(code)
    with pytest.raises((Refused, RelayMisbehaved)) as caught:
        bring(nora.device, folder, ADDRESS)
    assert caught.value.code == code
    assert cases(nora) == before


def test_a_label_that_is_spelled_otherwise_now_keeps_no_family_out(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nora, real = world.phones["nora"], readable.readable
    assert verify(folder)["unchecked"] == []
    monkeypatch.setattr(readable, "readable", lambda *given: real(*given).replace("<h2>", "<h2>Nu: "))
    # Whole, and nobody is told that it was altered; nor that the page says what was written.
    assert verify(folder)["unchecked"] == ["lezen.html"]
    assert texts(nora, bring(nora.device, folder, ADDRESS)["case"]) == ["nog een", "van Nora"]
    (folder / "content.json").write_text("{}")
    assert refused(nora, folder).code == "bad_export"


@pytest.mark.parametrize("of", ["parts/plan.msgpack", exported.CHARTER, "content.json"])
def test_parts_of_another_case_are_none_of_this_one(world: World, folder: Path, tmp_path: Path, of: str) -> None:
    nora, other = world.phones["nora"], World(77)
    stranger = other.start()
    stranger.add("van een ander")
    stranger.sync()
    export(stranger.case, tmp_path / "ander")
    shutil.copy(tmp_path / "ander" / of, folder / of)
    assert refused(nora, folder).code == "bad_export"
