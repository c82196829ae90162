"""What every store does, rule by rule: docs/spec/streams.md. The plain one decides nothing else than the real one."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices import Keys, chain_of, digest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_store import PlainStore

from eigenkring import wire
from eigenkring_server import schema
from eigenkring_server.exchange import Ended, Event, Grown, Outcome, Superseded, Turned
from eigenkring_server.relay import Quotas
from eigenkring_server.sqlite_store import SqliteStore
from eigenkring_server.store import Store

NOW = 1_000
QUOTAS = Quotas(max_stream_bytes=5_000, max_stream_records=6, max_streams=4, max_total_bytes=12_000)
MAKERS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore(folder, QUOTAS),
    "plain": lambda folder: PlainStore(QUOTAS),
}


class Asking:
    """A store with the ways of asking it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[Event] = []

    def __call__(self, *ops: wire.Operation, atomic: bool = False, now: int = NOW) -> list[wire.Result]:
        (outcome,) = self.store.commit([wire.Request(1, list(ops), atomic)], now)
        assert isinstance(outcome, Outcome), outcome
        self.events += outcome.events
        return outcome.results

    def one(self, op: wire.Operation, now: int = NOW) -> wire.Result:
        (result,) = self(op, now=now)
        return result

    def opened(self, *records: bytes, expires: int | None = None) -> Keys:
        keys = Keys()
        for result in self(keys.opening(expires), *map(keys.appending, records)):
            assert not isinstance(result, wire.Failed), result
        return keys

    def read(self, keys: Keys, after: int = 0, max_bytes: int = wire.MAX_FRAME_BYTES) -> wire.Batch:
        result = self.store.consult(wire.Request(1, [keys.reading(after, max_bytes)]), NOW).results[0]
        assert isinstance(result, wire.Batch), result
        return result


@pytest.fixture(params=sorted(MAKERS))
def asking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asking]:
    store = MAKERS[request.param](tmp_path)
    yield Asking(store)
    store.close()


def code(result: wire.Result) -> str:
    assert isinstance(result, wire.Failed), result
    return result.code


# Rule 1


def test_an_id_is_opened_once(asking: Asking) -> None:
    keys = asking.opened(b"a")
    assert code(asking.one(keys.turned().opening())) == "exists"
    asking.one(keys.closing())
    assert code(asking.one(keys.opening())) == "exists"
    assert code(asking.one(keys.turned().opening())) == "exists"


def test_opening_again_with_the_same_hashes_answers_as_the_first_time(asking: Asking) -> None:
    keys = Keys()
    first = asking.one(keys.opening())
    assert first == wire.Opened(0, chain_of(keys.id))
    asking.one(keys.appending(b"a"))
    assert asking.one(keys.opening()) == first
    assert asking.read(keys).length == 1


def test_a_stream_that_was_rekeyed_is_not_opened_by_its_first_hashes(asking: Asking) -> None:
    keys = asking.opened()
    asking.one(keys.rekeying(keys.turned()))
    assert code(asking.one(keys.opening())) == "exists"


# Rules 2 and 3


def test_appends_count_and_chain(asking: Asking) -> None:
    keys = asking.opened()
    assert asking.one(keys.appending(b"a")) == wire.Appended(1, chain_of(keys.id, b"a"))
    assert asking.one(keys.appending(b"b")) == wire.Appended(2, chain_of(keys.id, b"a", b"b"))
    assert asking.read(keys) == wire.Batch(
        0, chain_of(keys.id), 2, chain_of(keys.id, b"a", b"b"), 1, [b"a", b"b"], False
    )


def test_a_record_already_there_answers_with_its_place_whatever_is_expected(asking: Asking) -> None:
    keys = asking.opened(b"a", b"b")
    place = wire.Appended(1, chain_of(keys.id, b"a"))
    assert asking.one(keys.appending(b"a")) == place
    assert asking.one(keys.appending(b"a", expect=chain_of(keys.id))) == place
    assert asking.one(keys.appending(b"a", expect=bytes(32))) == place
    assert asking.read(keys).records == [b"a", b"b"]


def test_the_same_record_twice_in_one_exchange_is_one(asking: Asking) -> None:
    keys = asking.opened()
    first, again = asking(keys.appending(b"a"), keys.appending(b"a"), atomic=True)
    assert first == again == wire.Appended(1, chain_of(keys.id, b"a"))


def test_the_same_record_in_another_stream_is_another(asking: Asking) -> None:
    asking.opened(b"a")
    other = asking.opened()
    assert asking.one(other.appending(b"a")) == wire.Appended(1, chain_of(other.id, b"a"))


def test_compare_and_append(asking: Asking) -> None:
    keys = asking.opened(b"a")
    now = chain_of(keys.id, b"a")
    assert asking.one(keys.appending(b"b", expect=chain_of(keys.id))) == wire.Failed("conflict", 1, now)
    assert asking.one(keys.appending(b"b", expect=now)) == wire.Appended(2, chain_of(keys.id, b"a", b"b"))
    assert asking.one(keys.appending(b"c", expect=now)) == wire.Failed("conflict", 2, chain_of(keys.id, b"a", b"b"))


def test_replace_takes_the_place_of_all_before_and_the_chain_goes_on(asking: Asking) -> None:
    keys = asking.opened(b"a", b"b")
    before, after = chain_of(keys.id, b"a", b"b"), chain_of(keys.id, b"a", b"b", b"s")
    assert asking.one(keys.replacing(b"s", before)) == wire.Replaced(2, 3, after)
    assert asking.read(keys) == wire.Batch(2, before, 3, after, 3, [b"s"], False)
    assert asking.one(keys.appending(b"c")) == wire.Appended(4, chain_of(keys.id, b"a", b"b", b"s", b"c"))
    assert asking.read(keys, after=3).records == [b"c"]


def test_replace_compares(asking: Asking) -> None:
    keys = asking.opened(b"a", b"b")
    conflict = wire.Failed("conflict", 2, chain_of(keys.id, b"a", b"b"))
    assert asking.one(keys.replacing(b"s", chain_of(keys.id, b"a"))) == conflict
    assert asking.one(keys.replacing(b"s", chain_of(keys.id))) == conflict


def test_a_replacement_whose_answer_was_lost_answers_the_same_also_when_others_went_on(asking: Asking) -> None:
    keys = asking.opened(b"a")
    replacing = keys.replacing(b"s", chain_of(keys.id, b"a"))
    first = asking.one(replacing)
    assert asking.one(replacing) == first
    asking.one(keys.appending(b"b"))
    assert asking.one(replacing) == first
    other = keys.replacing(b"t", chain_of(keys.id, b"a"))
    assert code(asking.one(other)) == "conflict"


def test_a_record_that_was_replaced_may_come_again(asking: Asking) -> None:
    keys = asking.opened(b"a")
    asking.one(keys.replacing(b"s", chain_of(keys.id, b"a")))
    assert asking.one(keys.appending(b"a")) == wire.Appended(3, chain_of(keys.id, b"a", b"s", b"a"))


def test_append_replace_append_and_read_in_one_exchange(asking: Asking) -> None:
    keys = asking.opened(b"a")
    results = asking(
        keys.appending(b"b"),
        keys.replacing(b"s", chain_of(keys.id, b"a", b"b")),
        keys.appending(b"b"),
        keys.reading(),
        atomic=True,
    )
    assert isinstance(results[3], wire.Batch)
    assert (results[3].first, results[3].records) == (3, [b"s", b"b"])
    assert asking.read(keys) == results[3]


# Rule 4


@pytest.mark.parametrize("held", ["read", "append", "manage", "none"])
def test_each_operation_asks_for_its_own_capability(asking: Asking, held: str) -> None:
    keys = asking.opened(b"a")
    cap = os.urandom(32) if held == "none" else getattr(keys, held)
    ops: dict[str, wire.Operation] = {
        "append": wire.Append(keys.id, cap, b"b"),
        "read": wire.Read(keys.id, cap),
        "follow": wire.Follow(keys.id, cap),
        "rekey": wire.Rekey(keys.id, cap, *keys.hashes),
        "replace": wire.Replace(keys.id, cap, chain_of(keys.id, b"a"), b"s"),
        "close": wire.Close(keys.id, cap),
    }
    needs = {"append": "append", "read": "read", "follow": "read"}
    for name, op in ops.items():
        if needs.get(name, "manage") != held:
            assert code(asking.one(op)) == "not_allowed", name
    assert asking.read(keys).records == [b"a"]


@pytest.mark.parametrize("what", ["no_stream", "closed", "expired"])
def test_what_became_of_a_stream_comes_before_the_capability(asking: Asking, what: str) -> None:
    keys = Keys()
    if what != "no_stream":
        keys = asking.opened(b"a", expires=NOW + 10)
    if what == "closed":
        asking.one(keys.closing())
    wrong = Keys(keys.id)
    for each in (keys, wrong):
        ops = [
            each.appending(b"b"),
            each.reading(),
            each.following(),
            each.rekeying(keys),
            each.replacing(b"s", bytes(32)),
        ]
        for op in ops:
            assert code(asking.one(op, now=NOW + 10)) == what


# Rule 5


def test_rekey_turns_all_three_and_answers_the_present_length(asking: Asking) -> None:
    old = asking.opened(b"a")
    new = old.turned()
    assert asking.one(old.rekeying(new)) == wire.Rekeyed(1, chain_of(old.id, b"a"))
    for op in (old.appending(b"b"), old.reading(), old.rekeying(old), old.closing()):
        assert code(asking.one(op)) == "not_allowed"
    assert asking.read(new).records == [b"a"]
    assert asking.events[-1] == Turned(old.id, digest(new.read))


def test_rekey_leaves_alone_what_is_nil(asking: Asking) -> None:
    keys = asking.opened()
    append = os.urandom(32)
    asking.one(wire.Rekey(keys.id, keys.manage, append=digest(append)))
    assert code(asking.one(keys.appending(b"a"))) == "not_allowed"
    assert asking.one(wire.Append(keys.id, append, b"a")) == wire.Appended(1, chain_of(keys.id, b"a"))
    assert asking.read(keys).records == [b"a"]
    assert asking.one(keys.closing()) == wire.Closed()


# Rules 6 and 7


def test_close_leaves_a_tombstone_and_may_be_repeated(asking: Asking) -> None:
    keys = asking.opened(b"a")
    assert asking.one(keys.closing()) == wire.Closed()
    assert asking.one(keys.closing()) == wire.Closed()
    assert asking.one(Keys(keys.id).closing()) == wire.Closed()
    assert asking.events[-1] == Ended(keys.id)
    assert asking.events.count(Ended(keys.id)) == 1
    assert code(asking.one(Keys().closing())) == "no_stream"


def test_opened_and_closed_in_one_exchange_is_closed(asking: Asking) -> None:
    keys = Keys()
    results = asking(keys.opening(), keys.appending(b"a"), keys.closing(), atomic=True)
    assert results[2] == wire.Closed()
    assert code(asking.one(keys.reading())) == "closed"


def test_a_stream_ends_at_its_second_and_is_swept(asking: Asking) -> None:
    keys = asking.opened(b"a", expires=NOW + 10)
    other = asking.opened(b"b", expires=NOW + 11)
    assert not isinstance(asking.one(keys.reading(), now=NOW + 9), wire.Failed)
    assert code(asking.one(keys.reading(), now=NOW + 10)) == "expired"
    assert code(asking.one(keys.opening(), now=NOW + 10)) == "exists"
    assert asking.store.sweep(NOW + 9) == []
    assert asking.store.sweep(NOW + 10) == [Ended(keys.id)]
    assert asking.store.sweep(NOW + 10) == []
    # Swept or not, and whatever the clock says later: nobody closed it.
    for now in (NOW, NOW + 10):
        assert code(asking.one(keys.reading(), now=now)) == "expired"
    assert asking.one(keys.closing(), now=NOW + 10) == wire.Closed()
    assert code(asking.one(keys.reading(), now=NOW + 10)) == "expired"
    assert not isinstance(asking.one(other.reading(), now=NOW + 10), wire.Failed)


def test_who_manages_may_close_a_stream_past_its_date(asking: Asking) -> None:
    keys = asking.opened(b"a", expires=NOW + 1)
    assert code(asking.one(Keys(keys.id).closing(), now=NOW + 1)) == "not_allowed"
    assert asking.one(keys.closing(), now=NOW + 1) == wire.Closed()
    assert code(asking.one(keys.reading(), now=NOW + 1)) == "expired"


def test_what_was_closed_before_its_date_stays_closed_after_it(asking: Asking) -> None:
    keys = asking.opened(b"a", expires=NOW + 10)
    asking.one(keys.closing())
    assert asking.store.sweep(NOW + 11) == []
    assert code(asking.one(keys.reading(), now=NOW + 11)) == "closed"


def test_a_date_beyond_every_clock_is_none(asking: Asking) -> None:
    keys = asking.opened(b"a", expires=2**64 - 1)
    assert asking.read(keys).records == [b"a"]
    assert asking.store.sweep(NOW) == []


# Rule 9


def test_read_hands_out_what_fits_and_at_least_one(asking: Asking) -> None:
    keys = asking.opened(b"a" * 100, b"b" * 100, b"c" * 100)
    assert [len(asking.read(keys, max_bytes=size).records) for size in (0, 1, 215, 216, 324)] == [1, 1, 1, 2, 3]
    page = asking.read(keys, max_bytes=216)
    assert (page.first, page.more) == (1, True)
    rest = asking.read(keys, after=2, max_bytes=216)
    assert (rest.first, rest.records, rest.more) == (3, [b"c" * 100], False)


@pytest.mark.parametrize("after", [3, 4, 2**63, 2**64 - 1])
def test_a_device_ahead_of_the_stream_learns_its_length(asking: Asking, after: int) -> None:
    keys = asking.opened(b"a", b"b", b"c")
    page = asking.read(keys, after=after)
    assert (page.first, page.records, page.length, page.more) == (4, [], 3, False)


def test_reads_of_one_frame_stay_below_the_largest_frame(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, Quotas())
    asking = Asking(store)
    streams = [asking.opened(os.urandom(wire.MAX_RECORD_BYTES)) for _ in range(9)]
    outcome = store.consult(wire.Request(1, [keys.reading() for keys in streams]), NOW)
    reply = wire.encode(wire.Reply(1, 1, outcome.results))
    assert len(reply) <= wire.MAX_FRAME_BYTES
    pages = [result for result in outcome.results if isinstance(result, wire.Batch)]
    assert [len(page.records) for page in pages] == [1] * 7 + [0] * 2
    assert [page.more for page in pages] == [False] * 7 + [True] * 2
    store.close()


def test_small_reads_still_fit_where_a_large_one_did_not(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, Quotas())
    asking = Asking(store)
    large = [asking.opened(os.urandom(wire.MAX_RECORD_BYTES)) for _ in range(8)]
    small = asking.opened(b"a")
    outcome = store.consult(wire.Request(1, [keys.reading() for keys in [*large, small]]), NOW)
    assert isinstance(outcome.results[-1], wire.Batch)
    assert outcome.results[-1].records == [b"a"]
    store.close()


# Rule 10


def test_a_record_over_the_limit_is_too_large_and_spoils_nothing(asking: Asking) -> None:
    keys = asking.opened()
    too_large, good = asking(keys.appending(bytes(wire.MAX_RECORD_BYTES + 1)), keys.appending(b"a"))
    assert code(too_large) == "too_large"
    assert good == wire.Appended(1, chain_of(keys.id, b"a"))
    assert code(asking.one(keys.replacing(bytes(wire.MAX_RECORD_BYTES + 1), bytes(32)))) == "too_large"


def test_a_stream_has_its_bytes_and_its_records(asking: Asking) -> None:
    by_bytes = asking.opened(bytes(4_000))
    assert code(asking.one(by_bytes.appending(bytes(1_001)))) == "quota"
    assert not isinstance(asking.one(by_bytes.appending(bytes(1_000))), wire.Failed)
    by_count = asking.opened(*(bytes([n]) for n in range(6)))
    assert code(asking.one(by_count.appending(b"one more"))) == "quota"
    assert asking.one(by_count.appending(b"\x00")) == wire.Appended(1, chain_of(by_count.id, b"\x00"))


def test_nobody_fills_a_stream_against_its_owners(asking: Asking) -> None:
    keys = asking.opened(bytes(5_000))
    assert code(asking.one(keys.appending(b"a"))) == "quota"
    full = chain_of(keys.id, bytes(5_000))
    new = keys.turned()
    results = asking(keys.rekeying(new), new.replacing(bytes(6_000), full), new.closing(), atomic=True)
    assert not any(isinstance(result, wire.Failed) for result in results)


def test_a_replacement_gives_the_room_back(asking: Asking) -> None:
    keys = asking.opened(bytes(5_000))
    asking.one(keys.replacing(b"s", chain_of(keys.id, bytes(5_000))))
    assert not isinstance(asking.one(keys.appending(bytes(4_000))), wire.Failed)


def test_the_relay_has_a_number_of_living_streams_and_of_bytes(asking: Asking) -> None:
    streams = [asking.opened(bytes(3_000)) for _ in range(4)]
    assert code(asking.one(Keys().opening())) == "quota"
    assert not isinstance(asking.one(streams[0].opening()), wire.Failed)
    assert code(asking.one(streams[0].appending(b"one byte more than all"))) == "quota"
    asking.one(streams[0].closing())
    asking.opened(bytes(3_000))


# Exchanges


def test_an_atomic_exchange_is_done_or_not_done(asking: Asking) -> None:
    one, two = asking.opened(b"a"), asking.opened(b"b")
    seen = list(asking.events)
    fresh = Keys()
    results = asking(
        one.appending(b"c"),
        fresh.opening(),
        two.closing(),
        one.rekeying(one.turned()),
        one.replacing(b"s", bytes(32)),
        one.reading(),
        atomic=True,
    )
    assert [code(result) for result in results] == ["not_done"] * 4 + ["not_allowed", "not_done"]
    assert asking.events == seen
    assert asking.read(one).records == [b"a"]
    assert asking.read(two).records == [b"b"]
    assert code(asking.one(fresh.reading())) == "no_stream"


def test_the_failing_operation_of_an_atomic_exchange_keeps_its_particulars(asking: Asking) -> None:
    keys = asking.opened(b"a")
    results = asking(keys.reading(), keys.appending(b"b", expect=bytes(32)), atomic=True)
    assert results == [wire.Failed("not_done"), wire.Failed("conflict", 1, chain_of(keys.id, b"a"))]


def test_other_operations_of_an_exchange_that_is_not_atomic_take_effect(asking: Asking) -> None:
    keys = asking.opened()
    results = asking(keys.appending(b"a"), Keys().reading(), keys.appending(b"b"), keys.reading())
    assert code(results[1]) == "no_stream"
    assert isinstance(results[3], wire.Batch)
    assert results[3].records == [b"a", b"b"]


def test_a_group_is_one_after_the_other(asking: Asking) -> None:
    keys = asking.opened()
    expect = chain_of(keys.id)
    outcomes = asking.store.commit(
        [
            wire.Request(1, [keys.appending(b"a", expect)]),
            wire.Request(2, [keys.appending(b"b", expect), keys.appending(b"x")], True),
            wire.Request(3, [keys.appending(b"c"), keys.reading()]),
        ],
        NOW,
    )
    first, second, third = (outcome.results for outcome in outcomes if isinstance(outcome, Outcome))
    assert first == [wire.Appended(1, chain_of(keys.id, b"a"))]
    assert [code(result) for result in second] == ["conflict", "not_done"]
    assert isinstance(third[1], wire.Batch)
    assert third[1].records == [b"a", b"c"]
    assert [outcome.events for outcome in outcomes if isinstance(outcome, Outcome)] == [
        [Grown(keys.id, 1, b"a")],
        [],
        [Grown(keys.id, 2, b"c")],
    ]


def test_a_replacement_is_told_as_such(asking: Asking) -> None:
    keys = asking.opened(b"a")
    asking.events.clear()
    asking(keys.appending(b"b"), keys.replacing(b"s", chain_of(keys.id, b"a", b"b")), keys.appending(b"c"))
    assert asking.events == [Grown(keys.id, 2, b"b"), Superseded(keys.id), Grown(keys.id, 4, b"c")]


def test_an_exchange_that_breaks_something_unforeseen_breaks_only_itself(tmp_path: Path) -> None:
    class Breaking(SqliteStore):
        def _drop_records(self, stream: bytes, up_to: int) -> None:
            raise OSError("the disk is full")

    store = Breaking(tmp_path, QUOTAS)
    asking = Asking(store)
    keys, other = asking.opened(b"a"), asking.opened()
    outcomes = store.commit(
        [
            wire.Request(1, [other.appending(b"a")]),
            wire.Request(2, [keys.appending(b"b"), keys.replacing(b"s", chain_of(keys.id, b"a", b"b"))]),
            wire.Request(3, [other.appending(b"b")]),
        ],
        NOW,
    )
    assert [isinstance(outcome, Outcome) for outcome in outcomes] == [True, False, True]
    assert asking.read(keys).records == [b"a"]
    assert asking.read(other).records == [b"a", b"b"]
    store.close()


def test_records_whose_digests_begin_alike_are_two_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may write can make two such records: each is found as itself, also after the first was replaced."""
    monkeypatch.setattr(schema, "head_of", lambda digest: -1)
    asking = Asking(SqliteStore(tmp_path, QUOTAS))
    keys = asking.opened(b"a", b"b")
    assert asking.one(keys.appending(b"a")) == wire.Appended(1, chain_of(keys.id, b"a"))
    assert asking.one(keys.appending(b"b")) == wire.Appended(2, chain_of(keys.id, b"a", b"b"))
    assert asking.one(keys.appending(b"c")) == wire.Appended(3, chain_of(keys.id, b"a", b"b", b"c"))
    asking.one(keys.replacing(b"s", chain_of(keys.id, b"a", b"b", b"c")))
    assert asking.one(keys.appending(b"a")) == wire.Appended(5, chain_of(keys.id, b"a", b"b", b"c", b"s", b"a"))
    asking.store.close()


def test_what_was_committed_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    first = Asking(SqliteStore(tmp_path, QUOTAS))
    keys, gone = first.opened(b"a", b"b"), first.opened(b"c")
    first.one(gone.closing())
    first.store.close()
    again = Asking(SqliteStore(tmp_path, QUOTAS))
    assert again.read(keys).records == [b"a", b"b"]
    assert again.one(keys.appending(b"c")) == wire.Appended(3, chain_of(keys.id, b"a", b"b", b"c"))
    assert code(again.one(gone.reading())) == "closed"
    again.store.close()


# The two stores decide alike

RECORDS = [b"a", b"b", b"cc" * 700, b"d" * 1019, b"e" * 2_100]


def some_operation(dice: random.Random, streams: list[Keys], last: dict[bytes, bytes]) -> wire.Operation:
    keys = dice.choice(streams)
    held = dice.choice([keys] * 12 + [Keys(keys.id, bytes(32), bytes(32), bytes(32))])
    expect = last.get(keys.id, bytes(32))
    match dice.randrange(12):
        case 0 | 1:
            return keys.opening(dice.choice([None, None, 5, 9]))
        case 2 | 3 | 4:
            return held.appending(dice.choice(RECORDS) + bytes([dice.randrange(3)]))
        case 5:
            return held.appending(dice.choice(RECORDS), expect)
        case 6 | 7:
            return held.reading(dice.randrange(8), dice.choice([0, 1_500, 9_000]))
        case 8:
            return held.replacing(dice.choice(RECORDS), expect)
        case 9:
            return wire.Rekey(keys.id, held.manage, append=dice.choice([None, digest(keys.append)]))
        case 10:
            return held.closing() if dice.random() < 0.3 else held.following()
        case _:
            return wire.Unfollow(keys.id)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_the_real_store_decides_as_the_plain_one(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    dice = random.Random(seed)
    streams = [Keys(*(dice.randbytes(size) for size in (16, 32, 32, 32))) for _ in range(6)]
    real, plain = SqliteStore(tmp_path_factory.mktemp("store"), QUOTAS), PlainStore(QUOTAS)
    last: dict[bytes, bytes] = {}
    for now in range(12):
        group = [
            wire.Request(
                n, [some_operation(dice, streams, last) for _ in range(dice.randint(1, 5))], dice.random() < 0.5
            )
            for n in range(dice.randint(1, 5))
        ]
        outcomes = plain.commit(group, now)
        assert real.commit(group, now) == outcomes
        for request, outcome in zip(group, outcomes, strict=True):
            assert isinstance(outcome, Outcome)
            for op, result in zip(request.ops, outcome.results, strict=True):
                if isinstance(result, wire.Appended | wire.Replaced | wire.Batch):
                    last[op.stream] = result.chain
        reads = wire.Request(99, [keys.reading() for keys in streams])
        assert real.consult(reads, now) == plain.consult(reads, now)
        if dice.random() < 0.3:
            assert sorted(real.sweep(now), key=str) == sorted(plain.sweep(now), key=str)
    real.close()
