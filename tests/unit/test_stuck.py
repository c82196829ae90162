"""Nobody blocks the own removal: locks that do not turn are left out, tried with earlier keys, and reported."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.draft import common
from eigenkring.charter.entry import PartChange, PartEntry
from eigenkring.errors import EigenkringError, Unreachable
from eigenkring.ids import StreamId
from eigenkring.session.acting import Exchange, author_of, exchange_of
from eigenkring.session.parts import CaseSession
from simulator import Network, Phone, family


def hostile_parts(phone: Phone, count: int, opened: bool) -> list[StreamId]:
    """Found parts of kinds no schema knows, with streams that are not opened, or under a manage hash of one's own."""
    session = phone.session
    me = session.me().hex()
    room = f"@{me}"
    made: list[StreamId] = []

    def make(now: CaseSession) -> Exchange:
        author = author_of(now)
        parts = []
        for number in range(count):
            stream = StreamId(now.around.random(16))
            made.append(stream)
            kind = "spook" + "abcdefghij"[number]
            parts.append(PartEntry(f"{kind}@{me}", stream, "owner+member", room, "owner"))
        body = PartChange(**common(now.known(), author), parts=tuple(parts))
        extra: list[wire.Operation] = []
        if opened:
            extra = [wire.Open(stream=s, read=bytes(32), append=bytes(32), manage=bytes(32)) for s in made]
        return exchange_of(now, compose.Draft(body), extra)

    phone.case.act(make)
    return made


@pytest.mark.parametrize("opened", [False, True])
def test_who_founded_parts_that_cannot_be_turned_is_removed_all_the_same(opened: bool) -> None:
    world = family()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    hostile_parts(fatima, 5, opened)
    world.settle()
    before = world.relay.frames
    nora.case.remove("Fatima")
    assert world.relay.frames - before < 20, "not one round trip for every such part"
    reported = {about for code, about in nora.alarms() if code == ("not_allowed" if opened else "no_stream")}
    assert {about.partition("@")[0] for about in reported if about.startswith("lock of spook")} == {
        f"lock of spook{x}" for x in "abcde"
    }
    # Everything else turned: she reads nothing that comes after, the others read all.
    nora.add("erna")
    world.settle()
    assert "erna" in karim.texts()
    assert not fatima.here()


def test_a_lock_that_stayed_behind_is_turned_with_an_earlier_key() -> None:
    world = family()
    nora, karim = world.phones["nora"], world.phones["karim"]
    stream = nora.stream("plan")
    old = world.relay.store._streams[stream]
    nora.case.remove("Fatima")
    # As if that one rekey had been left out: the lock is one epoch behind.
    now = world.relay.store._streams[stream]
    behind = msgspec.structs.replace(now, manage=old.manage)  # type: ignore[union-attr,type-var]
    world.relay.store._streams[stream] = behind
    nora.case.remove("Karim")
    assert [about for _, about in nora.alarms() if about.startswith("lock")] == []
    turned = world.relay.store._streams[stream]
    assert turned.read != behind.read  # type: ignore[union-attr]
    nora.add("erna")
    nora.sync()
    assert "erna" in nora.texts()
    world.settle()
    assert not karim.here()


def test_one_lock_that_does_not_turn_keeps_no_other_open() -> None:
    """A person turned the own room: owners turn the locks of what owners manage, each for itself."""
    world = family()
    fatima, nora = world.phones["fatima"], world.phones["nora"]
    streams = [fatima.stream("voice"), fatima.stream("contacts")]
    del world.relay.store._streams[streams[0]]
    me = fatima.session.me()
    own = f"@{me.hex()}"

    def turn(now: CaseSession) -> Exchange:
        return exchange_of(now, compose.let_out(now.known(), author_of(now), own, []))

    fatima.case.act(turn)
    before = world.relay.store._streams[streams[1]].append  # type: ignore[union-attr]
    nora.sync()
    assert world.relay.store._streams[streams[1]].append != before  # type: ignore[union-attr]


def test_an_entry_of_a_member_that_does_not_follow_is_told_with_the_device() -> None:
    world = family()
    fatima, nora = world.phones["fatima"], world.phones["nora"]
    session = fatima.session
    exchange = exchange_of(session, compose.leave(session.known(), author_of(session)))
    nora.case.invite("member", "Lotte")
    op = exchange.ops[0]
    assert isinstance(op, wire.Append)
    late = wire.Append(stream=op.stream, cap=op.cap, record=op.record)
    assert not isinstance(fatima.case.transport.exchange([late]).results[0], wire.Failed)
    nora.sync()
    assert ("wrong_previous", f"charter of device {session.device().hex()}") in nora.alarms()


def only_the_locks(answer: str) -> Callable[[Network, str, bytes], bytes]:
    """Of an exchange that is to be done whole, a relay that turns the locks and throws away the entry and the boxes."""

    def lie(network: Network, who: str, data: bytes) -> bytes:
        request = wire.decode_request(data)
        rekeys: list[wire.Operation] = [op for op in request.ops if isinstance(op, wire.Rekey)]
        if not request.atomic or not rekeys:
            return network.truth(who, data)
        network.truth(who, wire.encode(wire.Request(request.id, rekeys)))
        if answer == "nothing":
            raise Unreachable("offline", "no answer came")
        if answer == "done":
            results = [_done(op) for op in request.ops]
        else:
            results = [wire.Failed(answer), *(wire.Failed("not_done") for _ in request.ops[1:])]  # type: ignore[arg-type]
        return wire.encode(wire.Reply(request.id, network.relay.generation, results))

    return lie


def _done(op: wire.Operation) -> wire.Result:
    match op:
        case wire.Rekey():
            return wire.Rekeyed(0, bytes(32))
        case wire.Close():
            return wire.Closed()
        case _:
            return wire.Appended(10**6, bytes(32))


@pytest.mark.parametrize("answer", ["nothing", "conflict", "not_allowed", "done"])
def test_a_relay_that_turned_the_locks_and_threw_the_entry_away_blocks_nobody(answer: str) -> None:
    """Nobody but the phone that made them has the keys of those locks: it turns them back, and the removal is done then."""
    world = family()
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    yusuf = world.join("yusuf", "owner")
    nora.add("before")
    world.settle()
    # An owner goes: the room that manages turns too, so that nobody has a key of now or of before that turns it back.
    yusuf.case.leave()
    fatima.sync()
    world.network.lies["nora"] = only_the_locks(answer)
    with contextlib.suppress(EigenkringError):
        nora.sync()
    assert world.network.told
    world.network.honest()
    nora.restart()
    for _ in range(3):
        for phone in (nora, fatima):
            phone.sync()
    nora.add("after")
    world.settle(only=("nora", "fatima"))
    assert nora.here()
    assert not nora.session.known().due_rooms(nora.session.me())
    assert {"before", "after"} <= set(nora.texts())
    assert nora.texts() == fatima.texts()
    assert world.fresh("fatima").documents() == fatima.documents()
    # Nothing of it is kept: the decision stands.
    assert nora.session.store.fact(nora.session.case, "prepared locks") is None


def test_a_removal_that_the_relay_only_says_it_did_is_done_after_the_next_sync() -> None:
    world = family()
    nora, fatima, karim = (world.phones[name] for name in ("nora", "fatima", "karim"))
    world.network.lies["nora"] = only_the_locks("done")
    with pytest.raises(EigenkringError):
        nora.case.remove("Karim")
    world.network.honest()
    for phone in (fatima, nora, fatima):
        phone.sync()
    nora.case.remove("Karim")
    nora.add("after")
    world.settle()
    assert not karim.here()
    assert "after" in nora.texts()
    assert nora.texts() == fatima.texts()
