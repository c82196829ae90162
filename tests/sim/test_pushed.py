"""What a relay pushes is taken in by itself, in its place and by the rules of every record; else a sync must look."""

from __future__ import annotations

from eigenkring.ids import RecordBytes, StreamId
from eigenkring.session.pushed import Pushed, take_pushed
from simulator import Phone, World


def two() -> tuple[World, Phone, Phone]:
    world = World(5)
    nora = world.start()
    fatima = world.join("fatima")
    world.settle()
    return world, nora, fatima


def written(by: Phone, text: str) -> Pushed:
    """What one wrote, as the relay would push it."""
    by.add(text)
    by.sync()
    stream = StreamId(by.stream("plan"))
    last = by.session.store.records(by.session.case, stream)[-1]
    return Pushed(stream, last.index, last.record)


def codes(phone: Phone) -> set[str]:
    return {alarm.code for alarm in phone.session.store.alarms(phone.session.case)}


def length(phone: Phone) -> int:
    return phone.session.position(StreamId(phone.stream("plan"))).length


def test_what_follows_on_what_is_here_is_shown_without_asking() -> None:
    world, nora, fatima = two()
    asked = world.network.carry
    pushed = [written(nora, "een"), written(nora, "twee")]

    def nobody(who: str, data: bytes) -> bytes:
        raise AssertionError("nothing is asked for")

    world.network.carry = nobody  # type: ignore[method-assign]
    assert take_pushed(fatima.session, pushed)
    assert fatima.texts() == nora.texts() and len(fatima.texts()) == 2
    assert take_pushed(fatima.session, pushed), "said again is no news"
    assert take_pushed(fatima.session, [])
    world.network.carry = asked  # type: ignore[method-assign]
    world.settle()
    assert codes(fatima) == codes(nora) == set()


def test_an_own_record_that_is_pushed_back_is_sent() -> None:
    world, nora, _ = two()
    nora.add("een")
    (item,) = nora.session.store.outbox(nora.session.case)
    assert item.stream is not None and item.record is not None
    assert take_pushed(nora.session, [Pushed(item.stream, length(nora) + 1, item.record)])
    assert nora.session.store.outbox(nora.session.case) == []
    assert len(nora.texts()) == 1
    assert world


def test_a_gap_and_another_record_at_a_known_place_move_nothing() -> None:
    _, nora, fatima = two()
    first, second = written(nora, "een"), written(nora, "twee")
    before = length(fatima)
    assert not take_pushed(fatima.session, [second])
    assert length(fatima) == before and fatima.texts() == []
    assert take_pushed(fatima.session, [first])
    assert not take_pushed(fatima.session, [Pushed(first.stream, first.index, second.record)])
    assert not take_pushed(fatima.session, [second, Pushed(first.stream, second.index + 2, second.record)])
    assert length(fatima) == second.index, "what comes before the gap is taken"
    assert len(fatima.texts()) == 2 and codes(fatima) == set()


def test_a_record_under_a_key_that_is_not_here_waits_for_a_sync() -> None:
    _, nora, fatima = two()
    pushed = written(nora, "een")
    before = length(fatima)
    later = pushed.record[:1] + (9).to_bytes(4, "big") + pushed.record[5:]
    for record in (later, b"\x07" + pushed.record[1:], b"\x01"):
        assert not take_pushed(fatima.session, [Pushed(pushed.stream, pushed.index, RecordBytes(record))])
    assert length(fatima) == before and codes(fatima) == set()


def test_only_the_present_streams_of_parts_are_taken_from() -> None:
    _, nora, fatima = two()
    pushed = written(nora, "een")
    charter = fatima.session.charter_stream
    assert not take_pushed(
        fatima.session, [Pushed(charter, fatima.session.position(charter).length + 1, pushed.record)]
    )
    assert not take_pushed(fatima.session, [Pushed(StreamId(bytes(16)), 1, pushed.record)])
    fatima.session.put_row(state="removed")
    assert not take_pushed(fatima.session, [pushed])


def test_noise_that_is_pushed_is_told_and_the_true_log_is_found_again() -> None:
    world, nora, fatima = two()
    pushed = written(nora, "een")
    noise = pushed.record[:-1] + bytes([pushed.record[-1] ^ 1])
    assert not take_pushed(fatima.session, [Pushed(pushed.stream, pushed.index, RecordBytes(noise))])
    assert "unopenable" in codes(fatima)
    world.settle()
    assert "forked" in codes(fatima)
    assert fatima.texts() == nora.texts() and len(fatima.texts()) == 1


def test_a_true_record_at_a_place_where_it_is_not_is_a_fork() -> None:
    world, nora, fatima = two()
    first = written(nora, "een")
    fatima.sync()
    assert take_pushed(fatima.session, [Pushed(first.stream, first.index + 1, first.record)]), "it says nothing new"
    written(nora, "twee")
    world.settle()
    assert "forked" in codes(fatima)
    assert fatima.texts() == nora.texts() and len(fatima.texts()) == 2


def test_a_record_kept_back_is_told_by_the_next_one_that_is_pushed() -> None:
    world, nora, fatima = two()
    hidden, shown = written(nora, "verborgen"), written(nora, "getoond")
    assert not take_pushed(fatima.session, [Pushed(shown.stream, hidden.index, shown.record)])
    assert "false_seen" in codes(fatima) and fatima.texts() == []
    world.settle()
    assert fatima.texts() == nora.texts() and len(fatima.texts()) == 2
