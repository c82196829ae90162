"""What a device checks of the relay, without one: the twin of pwa/test/stream.test.ts, and every bit of an answer turned."""

from __future__ import annotations

import msgspec
import pytest

from eigenkring import wire
from eigenkring.errors import RelayMisbehaved
from eigenkring.ids import Chain, StreamId
from eigenkring.stream import Accepted, Position, StreamSecrets, accept
from eigenkring_crypto.chain import extend

STREAM = StreamId(b"\x03" * 16)
RECORDS = [bytes([fill]) * 40 for fill in (1, 2, 3, 4)]
CHAINS = [Position.start(STREAM).chain]
for record in RECORDS:
    CHAINS.append(Chain(extend(CHAINS[-1], record)))
OTHER = b"\x09" * 32


def at(length: int) -> Position:
    return Position(0, length, CHAINS[length])


def honest(start: int, end: int, base: int = 0) -> wire.Batch:
    """What an honest relay answers to a read after ``start``, with the stream at ``end``."""
    first = max(base, start) + 1
    return wire.Batch(base, CHAINS[base], end, CHAINS[end], first, RECORDS[first - 1 : end], False)


def taken(position: Position, batch: wire.Batch) -> Accepted:
    return accept(position, batch, lambda length: CHAINS[length] if length <= position.length else None)


def test_an_honest_relay_is_believed() -> None:
    assert taken(at(0), honest(0, 4)).position == at(4)
    assert taken(at(4), honest(4, 4)).position == at(4)
    more = msgspec.structs.replace(honest(1, 3), length=4, chain=CHAINS[4], more=True)
    assert taken(at(1), more).position == at(3)
    replaced = accept(at(1), honest(1, 4, 3), lambda _: None)
    assert replaced.replaced
    assert replaced.position == Position(3, 4, CHAINS[4])


@pytest.mark.parametrize(
    ("position", "batch", "code"),
    [
        pytest.param(at(4), honest(3, 3), "rolled_back", id="shorter than known"),
        pytest.param(at(2), msgspec.structs.replace(honest(2, 2), chain=OTHER), "forked", id="another head"),
        pytest.param(at(2), msgspec.structs.replace(honest(2, 4, 1), base_chain=OTHER), "forked", id="another base"),
        pytest.param(
            at(0),
            msgspec.structs.replace(honest(0, 2), records=RECORDS[1::-1]),
            "broken_chain",
            id="records in another order",
        ),
        pytest.param(
            at(0), msgspec.structs.replace(honest(0, 2), records=RECORDS[:1]), "broken_chain", id="a record dropped"
        ),
        pytest.param(
            at(0), msgspec.structs.replace(honest(0, 2), records=RECORDS[:3]), "relay_garbage", id="one too many"
        ),
        pytest.param(at(0), msgspec.structs.replace(honest(0, 2), first=2), "relay_garbage", id="begins elsewhere"),
        pytest.param(
            at(0), msgspec.structs.replace(honest(0, 2), base=3, first=4), "relay_garbage", id="a base beyond the end"
        ),
        pytest.param(
            at(0),
            msgspec.structs.replace(honest(0, 2), base=3, first=4, records=[], more=True),
            "relay_garbage",
            id="a base beyond the end, and more to come",
        ),
        pytest.param(at(0), msgspec.structs.replace(honest(0, 2), length=2**60), "relay_garbage", id="beyond counting"),
        pytest.param(
            at(1), msgspec.structs.replace(honest(1, 3, 3), records=[]), "broken_chain", id="nothing in its place"
        ),
    ],
)
def test_a_lie_has_its_code(position: Position, batch: wire.Batch, code: str) -> None:
    with pytest.raises(RelayMisbehaved) as said:
        taken(position, batch)
    assert said.value.code == code


def test_without_the_read_secret_nothing_is_sealed_or_opened() -> None:
    blind = StreamSecrets(STREAM, write=bytes(32))
    with pytest.raises(AssertionError):
        blind.seal(b"", bytes(24))
    with pytest.raises(AssertionError):
        blind.open(b"")


def test_every_bit_of_an_answer_that_is_turned() -> None:
    """It is refused by name, or is as good as the truth: never other records, another place or another fault."""
    request = wire.Request(7, [wire.Read(STREAM, bytes(32), 2)])
    answer = wire.encode(wire.Reply(7, 1, [honest(2, 4)]))
    told, passed = set(), 0
    for bit in range(8 * len(answer)):
        turned = bytearray(answer)
        turned[bit // 8] ^= 1 << bit % 8
        try:
            reply = wire.decode_reply(bytes(turned), request)
            [batch] = reply.results
            assert isinstance(batch, wire.Batch)
            found = taken(at(2), batch)
        except RelayMisbehaved as error:
            told.add(error.code)
            continue
        passed += 1
        assert [placed.record for placed in found.placed] == RECORDS[2:]
        assert found.position.length == 4
        assert found.position.chain == CHAINS[4]
    # What stays free: the generation, which is told, and that there is more.
    assert told == {"relay_garbage", "broken_chain", "forked", "rolled_back"}
    assert 0 < passed < 60
