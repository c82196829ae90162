"""What a reader's app believes: its own clock, the granter's signature, and what it has seen before."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from eigenkring import receiving
from eigenkring.errors import Ended, Misuse
from eigenkring.grant import GrantState
from eigenkring.ids import CaseId
from eigenkring.schema import Schema
from simulator import HonestRelay, Phone, World

DAY = 86_400


def day(world: World, days: int) -> str:
    return datetime.datetime.fromtimestamp(world.now + days * DAY, datetime.UTC).date().isoformat()


def reading(world: World, *, parts: str = "plan", name: str = "dewit") -> Phone:
    """Somebody who was let read, and does."""
    nora, reader = world.phones["nora"], world.phone(name)
    given = nora.case.grant(name, "meedenken", day(world, 30), nora.case.selection([parts]))
    reader.device.accept(given.link, name)
    nora.sync()
    reader.sync()
    reader.grant = given.grant.hex()
    return reader


def shown(reader: Phone) -> list[str]:
    return sorted(item["what"] for item in reader.device.view(reader.grant)["plan"]["agreements"].values())


def state(reader: Phone) -> GrantState:
    return receiving.state_of(reader.store.grants()[0])


def codes(reader: Phone) -> set[str]:
    return {alarm.code for alarm in reader.store.alarms(CaseId(bytes.fromhex(reader.grant)))}


@pytest.fixture
def world() -> World:
    world = World(7)
    world.start()
    return world


def test_the_number_of_a_state_does_not_count_who_left_before(world: World) -> None:
    for name in ("karim", "lotte"):
        world.join(name)
        world.phones["nora"].case.remove(name)
    reader = reading(world)
    assert (state(reader).n, state(reader).epoch) == (1, 1)
    world.join("fatima")
    world.phones["nora"].case.remove("fatima")
    world.phones["nora"].add("na het vertrek")
    world.phones["nora"].sync(2)
    reader.sync()
    assert state(reader).n == 3
    assert shown(reader) == ["na het vertrek"]
    assert codes(reader) == set()


def test_a_state_whose_answer_was_lost_is_given_again(world: World) -> None:
    reader = reading(world)
    world.join("fatima")
    nora = world.phones["nora"]

    nora.case.remove("fatima")
    grant = nora.session.known().grants[bytes.fromhex(reader.grant)]  # type: ignore[index]
    # As after a crash between making and sending: nothing remembers that it was given.
    assert nora.store.fact(nora.session.case, f"state {grant.grant.hex()}") == (1).to_bytes(8, "big")
    nora.sync()
    assert nora.store.fact(nora.session.case, f"state {grant.grant.hex()}") == (3).to_bytes(8, "big")


def test_a_relay_that_shows_an_older_view_is_told_and_not_believed(world: World) -> None:
    nora, reader = world.phones["nora"], reading(world)
    nora.add("eerste")
    nora.sync()
    reader.sync()
    before = world.relay.fork()
    nora.add("tweede")
    nora.sync()
    reader.sync()
    assert shown(reader) == ["eerste", "tweede"]
    world.network.worlds[reader.name] = before
    reader.sync()
    assert "rolled_back" in codes(reader)
    assert shown(reader) == ["eerste", "tweede"]
    world.network.honest()
    nora.add("derde")
    nora.sync()
    reader.sync()
    assert shown(reader) == ["derde", "eerste", "tweede"]


def test_a_relay_put_back_from_a_copy_is_told_and_life_goes_on(world: World) -> None:
    nora, reader = world.phones["nora"], reading(world)
    copy: HonestRelay = world.relay.fork()
    nora.add("eerste")
    nora.sync()
    reader.sync()
    copy.generation = 9
    world.network.relay = copy
    reader.sync()
    assert {"rolled_back", "new_generation"} <= codes(reader)
    assert shown(reader) == ["eerste"]
    nora.sync(2)
    nora.add("tweede")
    nora.sync(2)
    reader.sync()
    assert shown(reader) == ["eerste", "tweede"]


def test_a_view_put_at_another_place_is_refused(world: World) -> None:
    nora, reader = world.phones["nora"], reading(world)
    down = state(reader).down
    nora.add("eerste")
    nora.sync()
    world.relay.put(down, bytes(400))
    (last,) = world.relay.records(down)[:1]
    world.relay.rewrite(down, [bytes(400), last])
    reader.sync()
    assert codes(reader) & {"broken_chain", "forked", "unopenable"}
    assert reader.device.view(reader.grant) == {"plan": {}}


def test_the_end_date_drops_the_copy_without_a_network(world: World) -> None:
    nora, reader = world.phones["nora"], reading(world)
    nora.add("Roerdomp")
    nora.sync()
    reader.sync()
    assert shown(reader) == ["Roerdomp"]
    world.network.offline.add(reader.name)
    world.now += 31 * DAY
    with pytest.raises(Ended) as caught:
        reader.device.view(reader.grant)
    assert caught.value.code == "withdrawn"
    assert b"Roerdomp" not in reader.store.image()


@pytest.mark.parametrize(("days", "fine"), [(92, True), (93, False), (40_000, False)])
def test_access_is_for_three_months_at_most(world: World, days: int, fine: bool) -> None:
    case = world.phones["nora"].case
    if fine:
        case.grant("W", "p", day(world, days), case.selection(["plan"]))
        return
    with pytest.raises(Misuse) as caught:
        case.grant("W", "p", day(world, days), case.selection(["plan"]))
    assert caught.value.code == "bad_value"
    assert "92 days" in str(caught.value)


@pytest.mark.parametrize(("set_to", "longest"), [(120, 120), (7, 7), (366, 366), (0, 92), (-5, 92), (100_000, 92)])
def test_how_long_access_lasts_at_most_is_the_familys_to_set(world: World, set_to: int, longest: int) -> None:
    case = world.phones["nora"].case
    case.set("access", "settings/settings/max_grant_days", set_to)
    with pytest.raises(Misuse) as caught:
        case.grant("W", "p", day(world, longest + 1), case.selection(["plan"]))
    assert caught.value.code == "bad_value"
    case.grant("W", "p", day(world, longest), case.selection(["plan"]))


# --- who publishes, and for whom


def older(schema: Schema, kind: str, collection: str, field: str) -> Schema:
    """What an app knew before this field was added."""
    known = schema.kinds[kind]
    shape = known.collections[collection]
    fields = {name: rule for name, rule in shape.fields.items() if name != field}
    collections = {**known.collections, collection: msgspec.structs.replace(shape, fields=fields)}
    return Schema({**schema.kinds, kind: msgspec.structs.replace(known, collections=collections)})


@pytest.mark.parametrize("fields", ["all", "named"])
def test_an_older_app_publishes_the_same_view_or_none(world: World, fields: str) -> None:
    """A field that only the newer app knows: the older one shows it where all is chosen, leaves it out where it was not
    chosen, and publishes nothing it cannot judge; the reader never goes back."""
    nora, fatima, reader = world.phones["nora"], world.join("fatima"), world.phone("dewit")
    item = nora.add("Fatima komt")
    nora.case.set("plan", f"agreements/{item}/who", "Fatima")
    chosen = (
        nora.case.selection(["plan"])
        if fields == "all"
        else nora.case.selection(["plan"], fields=["plan/agreements/what"])
    )
    given = nora.case.grant("dewit", "meedenken", day(world, 30), chosen)
    reader.device.accept(given.link, "dewit")
    nora.sync()
    reader.sync()
    reader.grant = given.grant.hex()
    fatima.device.around = msgspec.structs.replace(
        fatima.device.around, schema=older(fatima.device.around.schema, "plan", "agreements", "who")
    )
    fatima.device._cases.clear()
    fatima.sync()
    before = reader.store.grants()[0].version
    nora.add("van de nieuwe")
    nora.sync()
    fatima.sync(2)
    reader.sync()
    first = reader.device.view(reader.grant)["plan"]["agreements"]
    fatima.case.set("plan", f"agreements/{item}/what", "Fatima komt op zondag")
    fatima.sync(2)
    reader.sync()
    second = reader.device.view(reader.grant)["plan"]["agreements"]
    assert sorted(one["what"] for one in first.values()) == ["Fatima komt", "van de nieuwe"]
    assert sorted(one["what"] for one in second.values()) == ["Fatima komt op zondag", "van de nieuwe"]
    assert ["Fatima"] * (fields == "all") == [one["who"] for one in second.values() if "who" in one]
    assert reader.store.grants()[0].version == before + 2, "nothing was published back and forth"
    assert codes(reader) == set()


def test_what_a_removed_owner_gave_ends_by_itself(world: World) -> None:
    nora = world.phones["nora"]
    karim, fatima = world.join("karim", "owner"), world.join("fatima", "member")
    world.settle()
    reader = world.phone("dewit")
    given = karim.case.grant("dewit", "meedenken", day(world, 30), karim.case.selection(["plan"]))
    reader.device.accept(given.link, "dewit")
    karim.sync()
    nora.sync()
    nora.add("Roerdomp")
    nora.sync()
    reader.sync()
    reader.grant = given.grant.hex()
    assert shown(reader) == ["Roerdomp"]
    karim.case.leave()
    for phone in (nora, fatima, nora):
        phone.sync()
    grant = nora.session.known().grants[given.grant]
    assert not grant.open, "an owner's device ends what nobody here answers for any more"
    nora.add("Kwartelkoning")
    for phone in (nora, fatima, reader):
        phone.sync()
    with pytest.raises(Ended) as caught:
        reader.device.view(reader.grant)
    assert caught.value.code == "withdrawn"
    assert b"Kwartelkoning" not in reader.store.image()
    with pytest.raises(Ended):
        karim.case.grant("ander", "meedenken", day(world, 30), karim.case.selection(["plan"]))
