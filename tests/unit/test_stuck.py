"""Nobody blocks the own removal: locks that do not turn are left out, tried with earlier keys, and reported."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.draft import common
from eigenkring.charter.entry import PartChange, PartEntry
from eigenkring.ids import StreamId
from eigenkring.session.acting import Exchange, author_of, exchange_of
from eigenkring.session.parts import CaseSession
from simulator import Phone, family


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
