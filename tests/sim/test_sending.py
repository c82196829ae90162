"""Words that go out at once, over a connection that stands anyway, and what a relay gains by lying about them: a sync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from eigenkring import wire
from eigenkring.errors import Unreachable
from eigenkring.ids import CaseId, RecordBytes, StreamId
from eigenkring.part import fold
from eigenkring.sending import send_now
from eigenkring.session.pushed import Pushed, take_pushed
from eigenkring.store import OwnChange
from simulator import ADDRESS, Phone, World

Answered = Callable[[Sequence[wire.Operation], wire.Reply], wire.Reply]


class Line:
    """A connection that stands: what is said on it, and an answer that may be changed on its way."""

    def __init__(self, phone: Phone, answered: Answered = lambda _, reply: reply) -> None:
        self.phone = phone
        self.answered = answered
        self.said: list[Sequence[wire.Operation]] = []

    async def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        self.said.append(ops)
        return self.answered(ops, self.phone.case.transport.exchange(ops, atomic))


def sent(phone: Phone, answered: Answered = lambda _, reply: reply) -> tuple[bool, list[Sequence[wire.Operation]]]:
    line = Line(phone, answered)
    return asyncio.run(send_now(phone.session, line)), line.said


def two() -> tuple[World, Phone, Phone]:
    world = World(5)
    nora = world.start()
    fatima = world.join("fatima")
    world.settle()
    return world, nora, fatima


def waiting(phone: Phone) -> int:
    return len(phone.session.store.outbox(phone.session.case))


def come_back(phone: Phone, said: Sequence[wire.Operation], at: int = 1) -> None:
    """As the relay pushes them, to who wrote them too."""
    for op in said:
        assert isinstance(op, wire.Append)
        stream = StreamId(op.stream)
        index = phone.session.position(stream).length + at
        take_pushed(phone.session, [Pushed(stream, index, RecordBytes(op.record))])


def test_what_waits_goes_as_appends_and_is_sent_when_it_came_back() -> None:
    world, nora, fatima = two()
    nora.add("een")
    whole, said = sent(nora)
    assert whole and len(said) == 1 and [type(op) for op in said[0]] == [wire.Append], "nothing is read for it"
    assert waiting(nora) == 1, "the relay's word for it is not enough"
    assert sent(nora) == (True, []), "it is on its way"
    come_back(nora, said[0])
    assert waiting(nora) == 0
    come_back(fatima, said[0])
    assert fatima.texts() == ["een"]
    world.settle()
    assert nora.codes() == fatima.codes() == []


def test_what_was_typed_while_words_were_on_their_way_is_one_record() -> None:
    _, nora, fatima = two()
    nora.add("een")
    _, first = sent(nora)
    for text in ("twee", "drie", "vier"):
        nora.add(text)
    whole, said = sent(nora)
    assert whole and [len(ops) for ops in said] == [1]
    come_back(nora, first[0])
    come_back(nora, said[0])
    fatima.sync()
    assert len(fatima.texts()) == 4 and waiting(nora) == 0


def test_nothing_to_say_is_no_frame_and_a_case_that_is_not_open_says_nothing() -> None:
    _, nora, _ = two()
    assert sent(nora) == (True, [])
    nora.add("een")
    nora.session.put_row(state="removed")
    assert sent(nora) == (False, [])


def test_what_begins_a_case_is_for_a_sync() -> None:
    world = World(5)
    nora = world.phone("nora")

    def away(who: str, data: bytes) -> bytes:
        raise Unreachable("offline", "the relay is away")

    there = world.network.carry
    world.network.carry = away  # type: ignore[method-assign]
    nora.case_id = nora.device.start("Thuis", ADDRESS, "Nora").id.hex()
    nora.add("een")
    world.network.carry = there  # type: ignore[method-assign]
    assert sent(nora) == (False, [])
    nora.sync()
    assert waiting(nora) == 0


def test_an_answer_that_names_another_place_or_chain_is_doubted() -> None:
    _, nora, _ = two()
    for chain, at in ((bytes(32), 1), (None, 2)):
        nora.add("een")

        def lies(
            ops: Sequence[wire.Operation], reply: wire.Reply, chain: bytes | None = chain, at: int = at
        ) -> wire.Reply:
            come_back(nora, ops)
            (result,) = reply.results
            assert isinstance(result, wire.Appended)
            changed = msgspec.structs.replace(result, chain=chain or result.chain, length=result.length + at - 1)
            if at == 1:
                return msgspec.structs.replace(reply, results=[changed])
            # It came back at one place, and is said to lie at an earlier one.
            earlier = msgspec.structs.replace(result, length=result.length - 1)
            return msgspec.structs.replace(reply, results=[earlier])

        assert sent(nora, lies)[0] is False
        nora.sync()
        assert waiting(nora) == 0


def test_what_it_refuses_stays_and_a_sync_decides() -> None:
    world, nora, fatima = two()
    nora.add("een")

    def refuses(_: Sequence[wire.Operation], reply: wire.Reply) -> wire.Reply:
        return msgspec.structs.replace(reply, results=[wire.Failed("quota")])

    whole, _ = sent(nora, refuses)
    assert not whole and waiting(nora) == 1 and "quota" in nora.codes()
    world.settle()
    assert waiting(nora) == 0 and fatima.texts() == ["een"]


def test_a_generation_that_rose_is_told_also_by_an_answer_to_words() -> None:
    _, nora, _ = two()
    nora.add("een")
    sent(nora, lambda _, reply: msgspec.structs.replace(reply, generation=reply.generation + 1))
    assert "new_generation" in nora.codes()


def test_what_comes_back_was_read_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    _, nora, fatima = two()
    nora.add("een")
    _, said = sent(nora)
    read: list[bytes] = []
    parsed = fold.parsed
    monkeypatch.setattr(fold, "parsed", lambda raw: read.append(raw) or parsed(raw))
    come_back(nora, said[0])
    assert waiting(nora) == 0 and read == [] and nora.fold().pending() == []
    come_back(fatima, said[0])
    assert len(read) == 1 and fatima.texts() == nora.texts() == ["een"]


def test_a_sync_reads_what_a_person_did_only_where_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world, nora, _ = two()
    nora.add("een")
    world.settle()
    read: list[bytes] = []
    asked = nora.store.own_changes

    def counted(case: CaseId, stream: StreamId) -> list[OwnChange]:
        read.append(stream)
        return asked(case, stream)

    monkeypatch.setattr(nora.store, "own_changes", counted)
    nora.add("twee")
    nora.sync()
    assert read == []
    # As where a relay put another change of that number first: it is not in the part any more, and comes back.
    stream = nora.stream()
    (lost,) = [own for own in asked(nora.session.case, stream) if b"twee" in own.intents]
    nora.store.drop_own_change(nora.session.case, stream, lost.hash)
    nora.store.put_own_change(
        nora.session.case, stream, OwnChange(bytes(32), 0, lost.intents.replace(b"twee", b"drie"))
    )
    item = next(key for key, fields in nora.case.show("plan")["agreements"].items() if fields["what"] == "twee")
    nora.sync()
    assert read and nora.case.show("plan")["agreements"][item]["what"] == "drie"
