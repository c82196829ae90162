"""What a professional says: it reaches the family, who takes it over or not; and it is all that a professional writes."""

from __future__ import annotations

from typing import Any

import pytest

import simulator
from eigenkring import answering, incoming, receiving
from eigenkring.errors import Ended, Inadmissible, Misuse
from eigenkring.ids import CaseId, Chain
from eigenkring.said import Said, make_said, open_said
from eigenkring.schema import load_schema
from eigenkring.stream import Position
from eigenkring_crypto.device import DeviceKeys
from simulator import Phone, World
from unit.test_reading import codes, day, reading

ALL = "plan,safety,information,help"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(simulator, "small_schema", load_schema)
    world = World(11)
    world.start()
    return world


def reader_of(world: World, *parts: str, name: str = "dewit") -> Phone:
    nora, reader = world.phones["nora"], world.phone(name)
    given = nora.case.grant(name, "meedenken", day(world, 30), nora.case.selection(parts or ALL.split(",")))
    reader.device.accept(given.link, name)
    nora.sync()
    reader.sync()
    reader.grant = given.grant.hex()
    return reader


def only(items: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    ((item, fields),) = items.items()
    return item, fields


def say(reader: Phone, what: Any, text: str, **more: str) -> None:
    reader.device.say(reader.grant, what, text, **more)
    reader.sync()


def waiting(phone: Phone) -> list[dict[str, Any]]:
    phone.sync()
    return incoming.incoming(phone.case)


def test_an_answer_reaches_the_question_when_somebody_takes_it(world: World) -> None:
    nora = world.phones["nora"]
    question = nora.case.add("information", "questions", {"text": "Welke schulden?", "to": "dewit"})
    reader = reader_of(world)
    shown, _ = only(reader.device.view(reader.grant)["information"]["questions"])
    assert shown != question
    say(reader, "answer", "Drie, samen 4.000 euro", of=shown[:6])
    (one,) = waiting(nora)
    assert (one["from"], one["what"], one["about"]) == ("dewit", "answer", question)
    assert nora.case.show("information")["answers"] == {}, "nothing is in the plan by itself"
    taken = {"taken": one["incoming"], "part": "information", "item": one["incoming"]}
    assert incoming.take(nora.case, one["incoming"]) == taken
    item, fields = only(nora.case.show("information")["answers"])
    assert (item, fields["text"], fields["about"]) == (one["incoming"], "Drie, samen 4.000 euro", [question])
    assert fields["by"] == "dewit"
    assert waiting(nora) == []


def test_every_kind_has_its_place(world: World) -> None:
    nora = world.phones["nora"]
    request = nora.case.add("help", "requests", {"text": "Wie rijdt?", "status": "asked"})
    reader = reader_of(world)
    shown, _ = only(reader.device.view(reader.grant)["help"]["requests"])
    say(reader, "answer_help", "Ik regel vervoer", of=shown)
    say(reader, "condition", "Altijd iemand thuis", why="Sam is negen")
    say(reader, "need", "Een avond meekijken")
    say(reader, "ask", "Wie haalt Sam op?")
    for one in waiting(nora):
        incoming.take(nora.case, one["incoming"][:8])
    assert nora.case.show("help")["requests"][request]["status"] == "answered"
    _, condition = only(nora.case.show("safety")["conditions"])
    assert (condition["text"], condition["why"], condition["set_by"], condition["agreed"]) == (
        "Altijd iemand thuis", "Sam is negen", "dewit", False,
    )  # fmt: skip
    assert only(nora.case.show("safety")["needs"])[1]["text"] == "Een avond meekijken"
    assert only(nora.case.show("information")["questions"])[1] | {"text": "Wie haalt Sam op?", "author": "dewit"}
    assert waiting(nora) == []


def test_what_one_device_took_the_others_see_as_taken(world: World) -> None:
    nora = world.phones["nora"]
    fatima = world.join("fatima")
    reader = reader_of(world)
    say(reader, "condition", "Altijd iemand thuis", why="Sam")
    (at_nora,), (at_fatima,) = waiting(nora), waiting(fatima)
    assert at_nora == at_fatima
    incoming.take(fatima.case, at_fatima["incoming"])
    incoming.take(nora.case, at_nora["incoming"])  # at the same time
    for phone in (fatima, nora, fatima):
        phone.sync()
    assert waiting(nora) == waiting(fatima) == []
    assert len(nora.case.show("safety")["conditions"]) == 1
    assert nora.case.show("safety") == fatima.case.show("safety")


@pytest.mark.parametrize("what", ["answer", "answer_help"])
def test_two_who_take_one_answer_at_once_make_one(world: World, what: str) -> None:
    """And what each of them takes besides stays: nothing that was said is lost in a merge."""
    nora, fatima = world.phones["nora"], world.join("fatima")
    part, place = ("information", "questions") if what == "answer" else ("help", "requests")
    nora.case.add(part, place, {"text": "Wie weet dit?"})
    reader = reader_of(world)
    shown, _ = only(reader.device.view(reader.grant)[part][place])
    for text in ("eerste antwoord", "tweede antwoord"):
        say(reader, what, text, of=shown)
    at_nora, at_fatima = waiting(nora), waiting(fatima)
    world.network.offline.update(("nora", "fatima"))
    incoming.take(nora.case, at_nora[0]["incoming"])
    for one in at_fatima:
        incoming.take(fatima.case, one["incoming"])
    world.network.honest()
    for phone in (fatima, nora, fatima):
        phone.sync()
    for phone in (nora, fatima):
        answers = phone.case.show(part)["answers"].values()
        assert sorted(item["text"] for item in answers) == ["eerste antwoord", "tweede antwoord"]
        assert waiting(phone) == []


def test_a_coordinator_hears_nothing_of_it(world: World) -> None:
    anneke = world.join("anneke", role="coordinator")
    reader = reader_of(world)
    say(reader, "ask", "Roerdomp")
    anneke.sync(2)
    with pytest.raises(Misuse) as caught:
        incoming.incoming(anneke.case)
    assert caught.value.code == "not_permitted"
    assert b"Roerdomp" not in anneke.store.image()


def test_opened_is_told_once_for_each_version(world: World) -> None:
    nora, reader = world.phones["nora"], reader_of(world)
    up = receiving.state_of(reader.store.grants()[0]).up
    reader.device.view(reader.grant)
    reader.device.view(reader.grant)
    reader.sync()
    assert len(world.relay.records(up)) == 1
    nora.sync(2)
    assert nora.case.access()[0]["opened"] == day(world, 0)
    nora.add("nieuw")
    nora.sync()
    reader.sync()
    reader.device.view(reader.grant)
    reader.sync()
    assert len(world.relay.records(up)) == 2
    assert waiting(nora) == [], "a receipt is nothing to take"


def test_what_was_said_offline_is_sent_later_and_once(world: World) -> None:
    nora, reader = world.phones["nora"], reader_of(world)
    world.network.offline.add(reader.name)
    say(reader, "ask", "eerste")
    say(reader, "ask", "tweede")
    world.network.honest()
    reader.sync(2)
    assert [one["text"] for one in waiting(nora)] == ["eerste", "tweede"]
    assert codes(reader) == set()


def test_words_survive_a_turned_lock(world: World) -> None:
    nora = world.phones["nora"]
    world.join("fatima")
    reader = reader_of(world)
    say(reader, "ask", "voor")
    world.network.offline.add(reader.name)
    say(reader, "ask", "onderweg")
    nora.case.remove("fatima")
    nora.sync(2)
    world.network.honest()
    reader.sync(2)
    say(reader, "ask", "na")
    assert [one["text"] for one in waiting(nora)] == ["voor", "onderweg", "na"]


def test_a_reader_writes_nowhere_else_and_answers_only_what_is_shown(world: World) -> None:
    nora = world.phones["nora"]
    nora.case.add("information", "questions", {"text": "verborgen"})
    reader = reader_of(world, "plan")
    with pytest.raises(Misuse) as caught:
        reader.device.say(reader.grant, "answer", "x", of="0" * 20)
    assert caught.value.code == "no_such_item"
    row = reader.store.grants()[0]
    secrets = answering.up_secrets(row)
    charter = nora.session.known()
    state = receiving.state_of(row)
    for stream in charter.live_streams():
        if stream == state.up:
            continue
        own = type(secrets)(stream, write=secrets.write, write_epoch=secrets.write_epoch)
        cap = own.append_cap()
        assert cap is not None
        from eigenkring import wire

        reply = reader.device.transport(b"x", simulator.ADDRESS).exchange(
            [wire.Append(stream=stream, cap=cap, record=bytes(400))]
        )
        assert getattr(reply.results[0], "code", "") == "not_allowed"


def test_an_answer_to_a_question_that_was_not_shown_cannot_be_taken(world: World) -> None:
    nora = world.phones["nora"]
    hidden = nora.case.add("information", "questions", {"text": "verborgen"})
    reader = reader_of(world, "plan")
    row = reader.store.grants()[0]
    state, keys = receiving.state_of(row), DeviceKeys.from_seed(row.seed)
    first = Position.start(state.up)
    said = Said(row.grant, 5, 0, first.chain, "answer", 5, "gegokt", "", hidden)
    record = answering.up_secrets(row).seal(make_said(keys.sign, state.up, said), bytes(24))
    world.relay.put(state.up, record)
    (one,) = waiting(nora)
    assert one["about"] is None
    with pytest.raises(Misuse) as caught:
        incoming.take(nora.case, one["incoming"])
    assert caught.value.code == "no_such_item"


@pytest.mark.parametrize("fault", ["other signer", "other grant", "other stream", "replay", "older", "noise"])
def test_what_is_not_the_readers_own_new_word_is_passed_over(world: World, fault: str) -> None:
    nora, reader = world.phones["nora"], reader_of(world)
    say(reader, "ask", "echt")
    row = reader.store.grants()[0]
    state, keys = receiving.state_of(row), DeviceKeys.from_seed(row.seed)
    secrets = answering.up_secrets(row)
    at = reader.store.position(CaseId(row.grant), state.up)
    assert at is not None
    n = world.now + 50

    def record(payload: bytes) -> bytes:
        return secrets.seal(payload, b"n" * 24)

    said = Said(row.grant, n, at.length, at.chain, "ask", n, "vals")
    match fault:
        case "other signer":
            made = make_said(DeviceKeys.from_seed(bytes(32)).sign, state.up, said)
        case "other grant":
            made = make_said(keys.sign, state.up, Said(bytes(16), n, 0, Chain(bytes(32)), "ask", n, "vals"))  # type: ignore[arg-type]
        case "other stream":
            made = make_said(keys.sign, state.down, said)
        case "replay":
            made = secrets.open(world.relay.records(state.up)[0])
        case "older":
            made = make_said(keys.sign, state.up, Said(row.grant, 3, at.length, at.chain, "ask", 3, "vals"))
        case _:
            made = b"\x80"
    world.relay.put(state.up, record(made))
    assert [one["text"] for one in waiting(nora)] == ["echt"]
    assert {"bad_view", "not_newer"} & set(nora.codes())


def test_stopped_access_ends_saying(world: World) -> None:
    nora, reader = world.phones["nora"], reader_of(world)
    reader.device.say(reader.grant, "ask", "te laat")
    nora.case.withdraw(reader.grant)
    reader.sync()
    with pytest.raises(Ended):
        reader.device.say(reader.grant, "ask", "nog iets")
    assert reader.store.outbox(CaseId(bytes.fromhex(reader.grant))) == []
    assert b"te laat" not in reader.store.image()


def test_text_that_is_too_long_is_refused_on_both_sides(world: World) -> None:
    reader = reader_of(world)
    with pytest.raises(Misuse) as caught:
        reader.device.say(reader.grant, "ask", "x" * 20_001)
    assert caught.value.code == "bad_value"
    keys = DeviceKeys.from_seed(bytes(32))
    grant, up = bytes(16), bytes(16)
    made = make_said(keys.sign, up, Said(grant, 1, 0, Chain(bytes(32)), "ask", 1, "x" * 20_001))  # type: ignore[arg-type]
    with pytest.raises(Inadmissible):
        open_said(made, up, grant, keys.sign.public, 0)  # type: ignore[arg-type]


__all__ = ["reading"]
