"""A relay that lies: each lie has its code, nothing wrong is applied, nothing is lost, and nobody is blocked for good."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
import pytest

from eigenkring import wire
from eigenkring.errors import EigenkringError, Refused, RelayMisbehaved
from eigenkring.ids import StreamId
from eigenkring.stream import Position, accept
from eigenkring_crypto.chain import extend
from simulator import LIES, Network, Phone, World, by_chance, family, hanging

# What a device must have said by the time it could know. Lies that only withhold the present say nothing: that is
# silence, which a device cannot tell from a circle that is silent.
CODES: dict[str, set[str]] = {
    "drop": {"broken_chain"},
    "truncate": {"broken_chain"},
    "reorder": {"broken_chain"},
    "twice": {"broken_chain"},
    "jump": {"broken_chain"},
    "jump_with_noise": {"broken_chain"},
    "injected": {"unopenable", "future_version", "forked", "broken_chain"},
    "shorter": {"rolled_back"},
    "more_without_end": {"relay_garbage"},
    "other_head": {"forked", "broken_chain"},
    "flipped_in_record": {"broken_chain"},
    "swapped": {"unopenable", "bad_entry", "forked"},
    "flipped": {"relay_garbage", "broken_chain", "forked", "rolled_back"},
    "garbage": {"relay_garbage"},
    "replayed": {"relay_garbage"},
    "new_generation": {"new_generation"},
    "old_generation": {"rolled_back"},
    "pretending": {"rolled_back"},
    "old_receipt": {"forked"},
    "refusing_not_allowed": {"not_allowed", "removed"},
    "refusing_closed": {"closed"},
    "refusing_expired": {"expired"},
    "refusing_no_stream": {"no_stream"},
    "refusing_conflict": {"conflict"},
    "refusing_quota": {"quota"},
    "failing_bad_frame": {"bad_frame"},
    "failing_not_admitted": {"not_admitted"},
    "late": set(),
    "hanging": set(),
    "lax": set(),
    "failing_busy": set(),
}


def try_to(what: Callable[[], object]) -> None:
    """What a lie may do to an act is refuse it by name; anything else is a fault of ours."""
    with contextlib.suppress(EigenkringError):
        what()


def same_everywhere(world: World, *names: str) -> None:
    """Everybody has these words, shows what a fresh device shows, and owes nothing."""
    world.settle(8)
    texts = {name: phone.texts() for name, phone in world.phones.items() if phone.here()}
    assert len({tuple(found) for found in texts.values()}) == 1, texts
    for phone in world.phones.values():
        if phone.here():
            assert not phone.store.outbox(phone.session.case)
            assert not phone.fold().pending()
    here = next(iter(texts.values()))
    assert set(names) <= set(here), here
    fresh = world.fresh("fatima")
    assert fresh.documents() == world.phones["fatima"].documents()


def test_every_lie_has_an_expectation() -> None:
    assert set(CODES) == set(LIES)


@pytest.mark.parametrize("often", [1.0, 0.4])
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_told_to_one_member(lie: str, often: float) -> None:
    for seed in (1,) if often == 1.0 else (2, 3):
        world = family(seed)
        nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
        world.settle()
        nora.add("before")
        nora.sync()
        world.network.lies["fatima"] = by_chance(LIES[lie], often)
        fatima.add("hers")
        fatima.sync(2)
        karim.add("during")
        karim.sync()
        fatima.sync()
        written = []
        for text in ("again", "and again"):
            with contextlib.suppress(EigenkringError):
                fatima.add(text)
                written.append(text)
            fatima.sync()
        if often == 1.0 and CODES[lie]:
            assert CODES[lie] & set(fatima.codes()), fatima.alarms()
        world.network.honest()
        same_everywhere(world, "before", "hers", "during", *written)
        # Also what a restart would bring to light.
        fatima.restart()
        fatima.add("after")
        same_everywhere(world, "before", "hers", "during", "after", *written)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_told_to_everybody_while_people_come_and_go(lie: str) -> None:
    world = family(11)
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    world.network.lies["*"] = by_chance(LIES[lie], 0.3)
    links: list[str] = []
    for _ in range(4):
        try_to(lambda: links.append(nora.case.invite("member", "Yusuf")))
        try_to(lambda: fatima.add("under lies"))
        world.settle(1)
    yusuf = world.phone("yusuf")
    for link in links:
        try_to(lambda link=link: yusuf.device.join(link, "Yusuf"))  # type: ignore[misc]
        world.settle(1)
    try_to(lambda: nora.case.remove("Karim"))
    try_to(lambda: nora.case.remove("Sam"))
    world.network.honest()
    world.settle(6)
    nora.add("the truth")
    if "Karim" in {person["name"] for person in nora.case.people()}:
        nora.case.remove("Karim")
    world.phones.pop("yusuf")
    same_everywhere(world, "the truth")
    assert not world.phones["karim"].here()
    world.join("ali")
    world.phones["ali"].add("of Ali")
    same_everywhere(world, "the truth", "of Ali")


@pytest.mark.parametrize("lie", sorted(set(LIES) - {"lax"}))
def test_a_lie_told_to_whoever_starts(lie: str) -> None:
    """A case that was begun under lies is whole when they end."""
    for seed in range(2):
        world = World(seed)
        world.network.lies["nora"] = LIES[lie]
        nora = world.start()
        nora.add("first words")
        nora.sync(2)
        if lie == "pretending":  # it said "done": nothing is believed to be sent before it came back
            assert any(item.stream is None for item in nora.store.outbox(nora.session.case))
        world.network.honest()
        nora.sync(2)
        world.join("fatima")
        assert world.phones["fatima"].texts() == ["first words"]
        nora.restart()
        assert nora.texts() == ["first words"]


def test_a_crash_at_every_write_of_a_sync_loses_nothing() -> None:
    for write in range(1, 60):
        world = family(5)
        nora, fatima = world.phones["nora"], world.phones["fatima"]
        nora.add("from Nora")
        nora.sync()
        fatima.add("from Fatima")
        crashed = fatima.crash_at(write, fatima.sync)
        fatima.sync()
        nora.sync()
        assert fatima.texts() == nora.texts() == ["Oma belt op zondag", "from Fatima", "from Nora"]
        if not crashed:
            break
    else:
        raise AssertionError("a sync that never ends")
    assert write > 5


def test_a_crash_at_every_write_of_a_removal() -> None:
    """Also of who reads of it: the keys that came with it are not lost between two writes."""
    for write in (*range(1, 16), *range(16, 60, 4)):
        world = family(write)
        nora, fatima = world.phones["nora"], world.phones["fatima"]
        nora.crash_at(write, lambda nora=nora: nora.case.remove("Karim"))
        fatima.crash_at(write, fatima.sync)
        world.settle()
        if "Karim" in {person["name"] for person in nora.case.people()}:
            nora.case.remove("Karim")
        fatima.add("after the crash")
        same_everywhere(world, "after the crash")
        assert not world.phones["karim"].here()


# --- two logs


def forked() -> tuple[World, Phone, Phone, Phone]:
    """From here on Karim is shown another future than Nora and Fatima."""
    world = family(3)
    world.settle()
    world.network.worlds["karim"] = world.relay.fork()
    return world, world.phones["nora"], world.phones["fatima"], world.phones["karim"]


def test_two_people_are_shown_two_logs_and_the_next_record_that_crosses_tells() -> None:
    world, nora, _, karim = forked()
    nora.add("in one world")
    karim.add("in the other")
    world.settle()
    assert "in the other" not in nora.texts()
    assert "in one world" not in karim.texts()
    nora.add("that crosses")
    nora.sync()
    # One record of the one world is shown in the other: its author signed what the stream was for them.
    crossing = world.relay.records(nora.stream())[-1]
    world.network.worlds["karim"].put(nora.stream(), crossing)
    karim.sync()
    assert "false_seen" in karim.codes()
    world.network.honest()
    karim.sync()
    assert {"false_seen", "forked", "rolled_back"} & set(karim.codes())
    same_everywhere(world, "in one world", "in the other", "that crosses")


def test_one_record_is_hidden_from_one_person() -> None:
    world, nora, fatima, karim = forked()
    nora.add("hidden")
    nora.sync()
    fatima.sync()
    stream = nora.stream()
    fatima.add("seen after it")
    fatima.sync()
    # Karim's log lacks Nora's record and has Fatima's.
    other = world.network.worlds["karim"]
    other.put(stream, world.relay.records(stream)[-1])
    karim.sync()
    assert {"false_seen", "missing_dependency"} & set(karim.codes())
    world.network.honest()
    karim.add("not lost")
    same_everywhere(world, "hidden", "seen after it", "not lost")


def test_a_removal_is_hidden_from_one_person() -> None:
    """Fatima goes on under the old key until something of the others reaches her; then she sees that something is."""
    world, nora, fatima, karim = forked()
    world.network.worlds = {"fatima": world.network.worlds["karim"]}
    nora.case.remove("Karim")
    fatima.add("written meanwhile")
    fatima.sync()
    nora.add("under the new key")
    nora.sync()
    stream = nora.stream()
    world.network.worlds["fatima"].put(stream, world.relay.records(stream)[-1])
    fatima.sync()
    assert {"unopenable", "unknown_head"} & set(fatima.codes())
    world.network.honest()
    same_everywhere(world, "written meanwhile", "under the new key")
    assert not karim.here() or karim.sync()
    assert not karim.here()


def test_keys_are_withheld_from_one_person() -> None:
    """The lock is turned and the box does not come: she waits, is told, and has all when it comes."""
    world = family(8)
    world.settle()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    keys = fatima.session.row.keys_stream

    def without_keys(network: Network, who: str, data: bytes) -> bytes:
        request = wire.decode_request(data)
        reply = wire.decode_reply(network.truth(who, data), request)
        results = [
            wire.Failed("not_allowed") if op.stream == keys else r
            for op, r in zip(request.ops, reply.results, strict=True)
        ]
        return wire.encode(wire.Reply(reply.id, reply.generation, results))

    world.network.lies["fatima"] = without_keys
    nora.case.remove("Karim")
    nora.add("for who is left")
    nora.sync()
    fatima.sync(2)
    assert not fatima.here()
    assert fatima.codes() == ["removed"]
    world.network.honest()
    same_everywhere(world, "for who is left")
    assert not {"removed", "not_allowed"} & set(fatima.codes())


# --- back in time


@pytest.mark.parametrize("generation", [1, 2])
def test_the_relay_is_put_back(generation: int) -> None:
    """With or without saying so: it is told, and those who have more give it back."""
    world = family(4)
    world.settle()
    old = world.relay.fork()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    nora.add("lost by the relay")
    nora.sync()
    fatima.sync()
    fatima.add("on top of it")
    fatima.sync()
    world.network.relay = old
    old.generation = generation
    karim.add("meanwhile")
    karim.sync()
    fatima.sync()
    assert ("new_generation" if generation == 2 else "rolled_back") in fatima.codes()
    same_everywhere(world, "lost by the relay", "on top of it", "meanwhile")


def test_who_has_more_gives_back_also_what_others_wrote() -> None:
    """The author is away for good; one other device has the record, and the relay lost it."""
    world = family(4)
    world.settle()
    old = world.relay.fork()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    nora.add("of one who is away")
    nora.sync()
    fatima.sync()
    world.network.relay = old
    world.network.offline.add("nora")
    for _ in range(3):
        fatima.sync()
        karim.sync()
    assert "of one who is away" in karim.texts()


def test_a_relay_cannot_undo_a_removal_by_showing_another_charter() -> None:
    """A log without the entry, and longer than the true one: it is not followed, and Karim stays out."""
    world = family(4)
    world.settle()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    stream = nora.session.charter_stream
    before = world.relay.fork()
    nora.case.remove("Karim")
    world.settle(only=["nora", "fatima"])
    before.rewrite(stream, [*before.records(stream), *(world.random(400) for _ in range(3))])
    before.store._streams[stream] = msgspec.structs.replace(
        before.known(stream), read=world.relay.known(stream).read, append=world.relay.known(stream).append
    )
    world.network.worlds["fatima"] = before
    for _ in range(3):
        fatima.sync()
    assert {"forked", "broken_chain"} & set(fatima.codes())
    assert "Karim" not in {person.name for person in fatima.session.known().present()}
    fatima.restart()
    assert "Karim" not in {person.name for person in fatima.session.known().present()}
    world.network.honest()
    same_everywhere(world)


@pytest.mark.parametrize("length", [2**53, 2**63, 2**64 - 1])
def test_a_length_that_no_store_counts(length: int) -> None:
    """To a device that holds nothing: it would keep a number that its store cannot."""
    stream, record, there = StreamId(bytes(16)), bytes(400), bytes(32)
    batch = wire.Batch(length - 1, there, length, extend(there, record), length, [record], False)
    with pytest.raises(RelayMisbehaved) as said:
        accept(Position.start(stream), batch, lambda _: None)
    assert said.value.code == "relay_garbage"


def test_the_relay_is_put_back_behind_a_charter_entry() -> None:
    """Whoever read the entry gives it back, so nobody comes in or stays who was not there."""
    world = family(4)
    world.settle()
    old = world.relay.fork()
    link = world.phones["nora"].case.invite("member", "Yusuf")
    world.settle()
    world.network.relay = old
    world.settle(6)
    # Also who has nothing but what the relay shows now.
    for phone in (*world.phones.values(), world.fresh("fatima")):
        assert any(i.name == "Yusuf" for i in phone.session.known().invitations.values())
    assert link
    same_everywhere(world)


def test_a_decision_that_is_not_shown_is_not_believed() -> None:
    """The relay says that it took a removal, and shows a charter without it."""
    world = family(4)
    world.settle()
    nora = world.phones["nora"]
    world.network.lies["nora"] = LIES["pretending"]
    with pytest.raises(Refused) as said:
        nora.case.remove("Karim")
    assert said.value.code == "not_done"
    assert "broken_chain" in nora.codes()
    assert "Karim" in {person["name"] for person in nora.case.people()}
    world.network.honest()
    nora.case.remove("Karim")
    same_everywhere(world)
    assert not world.phones["karim"].here()


def test_the_relay_is_put_back_behind_a_removal() -> None:
    """It says so; the entry comes back, the locks turn again, and who was put out stays out."""
    world = family(4)
    world.settle()
    old = world.relay.fork()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    nora.case.remove("Karim")
    nora.add("after the removal")
    world.settle()
    world.network.relay = old
    old.generation = 2
    world.settle(8)
    nora.add("after the restore")
    same_everywhere(world, "after the removal", "after the restore")
    assert "new_generation" in fatima.codes()
    assert not karim.here()
    assert "after the restore" in world.join("yusuf").texts()


def test_a_silent_relay_is_only_late() -> None:
    world = family(2)
    world.network.lies["*"] = hanging
    for name in ("nora", "fatima", "karim"):
        world.phones[name].add(f"alone {name}")
        world.phones[name].sync()
        assert world.phones[name].codes() == []
    world.network.honest()
    same_everywhere(world, "alone nora", "alone fatima", "alone karim")
