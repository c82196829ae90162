"""The library as another program uses it: several changes as one, and staying connected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from eigenkring import watching, wire
from eigenkring.errors import Misuse
from eigenkring.library import Case, Change, Device
from eigenkring.session.parts import CaseSession
from eigenkring.session.pushed import Pushed
from eigenkring.transport import HttpTransport
from live_relay import LiveRelay, live_relay


def two(nora: Device, program: Device, relay: str) -> tuple[Case, Case]:
    thuis = nora.start("Thuis", relay, "Nora")
    case = program.join(thuis.invite("member", "Agenda"), "Agenda")
    nora.sync()
    program.sync()
    nora.sync()
    return thuis, program.case(case)


def test_changes_in_a_with_are_made_together_or_not_at_all(relay: LiveRelay, tmp_path: Path) -> None:
    with Device.open(tmp_path / "nora") as nora:
        thuis = nora.start("Thuis", relay.url, "Nora")
        with thuis.edit("plan") as plan:
            item = plan.add("agreements", {"what": "Fatima komt op zondag"})
            plan.set(f"agreements/{item}/who", "Fatima")
            plan.add("topics", {"text": "Rust"})
            assert thuis.show("plan")["agreements"] == {}, "not before the end"
        assert thuis.show("plan")["agreements"][item]["who"] == "Fatima"
        nora.sync()
        assert len(thuis.history("plan")) == 1, "one change, not three"
        with pytest.raises(RuntimeError), thuis.edit("plan") as plan:
            plan.delete(f"agreements/{item}")
            raise RuntimeError("the program fell over")
        with pytest.raises(Misuse, match="no such item"), thuis.edit("plan") as plan:
            plan.add("topics", {"text": "Nog iets"})
            plan.set("agreements/weg/what", "x")
        assert list(thuis.show("plan")["agreements"]) == [item]
        assert len(thuis.show("plan")["topics"]) == 1
        with thuis.edit("question") as question:
            question.set("question/question/text", "Hoe nu verder?")
        assert thuis.show("question")["question"]["question"]["text"] == "Hoe nu verder?"
        # An id as it was given, as text, or its beginning: all are the case.
        assert nora.case(thuis.id) is nora.case(thuis.id.hex()) is nora.case(thuis.id.hex()[:6]) is thuis
        with pytest.raises(Misuse):
            thuis.edit("geen")


def test_watch_tells_what_others_do_and_goes_on_after_the_relay_was_away(tmp_path: Path) -> None:
    with (
        live_relay(tmp_path / "relay") as relay,
        Device.open(tmp_path / "nora") as nora,
        Device.open(tmp_path / "program") as program,
    ):
        thuis, case = two(nora, program, relay.url)

        def is_shown(what: str) -> bool:
            return any(item["what"] == what for item in case.show("plan")["agreements"].values())

        async def nora_writes(what: str) -> None:
            with thuis.edit("plan") as plan:
                plan.add("agreements", {"what": what})
            await asyncio.to_thread(nora.sync)

        async def hear(changes: object, part: str, what: str) -> None:
            async for change in changes:  # type: ignore[attr-defined]
                assert isinstance(change, Change)
                if change.part == part and (not what or is_shown(what)):
                    return

        async def evening() -> None:
            async with asyncio.timeout(300), aclosing(case.watch()) as changes:
                hearing = asyncio.create_task(hear(changes, "plan", "eerste"))
                await asyncio.sleep(0.3)
                await nora_writes("eerste")
                await hearing
                hearing = asyncio.create_task(hear(changes, "plan", "na de storing"))
                await asyncio.sleep(0.1)
                relay.kill()
                await asyncio.sleep(0.3)
                relay.start()
                await nora_writes("na de storing")
                await hearing
                # Somebody comes: it is about who belongs, and the new locks are followed.
                hearing = asyncio.create_task(hear(changes, "", ""))
                await asyncio.to_thread(thuis.invite, "member", "Karim")
                await hearing
                # What this device writes itself is sent by its own sync, and the ending is its own as well.
                ending = asyncio.create_task(_to_the_end(changes))
                await asyncio.sleep(0.1)
                await asyncio.to_thread(thuis.remove, "Agenda")
                assert await ending, "it ends by itself when this person does not belong any more"

        asyncio.run(evening())
        assert case.session.row.state == "removed"


def test_words_go_over_the_connection_that_watch_holds_and_many_cost_one_round(
    relay: LiveRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Device.open(tmp_path / "nora") as nora, Device.open(tmp_path / "program") as program:
        thuis, case = two(nora, program, relay.url)
        posts = 0
        rounds: list[int] = []
        take, exchange = watching.take_pushed, HttpTransport.exchange

        def posted(self: HttpTransport, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
            nonlocal posts
            posts += 1
            return exchange(self, ops, atomic)

        def taken(session: CaseSession, pushed: Sequence[Pushed]) -> bool:
            if session is case.session:
                rounds.append(len(pushed))
            return take(session, pushed)

        # Else a pause of two seconds, on a machine with much to do, brings the sync that follows on it.
        monkeypatch.setattr(watching, "SETTLE_SECONDS", 60.0)
        monkeypatch.setattr(HttpTransport, "exchange", posted)
        monkeypatch.setattr(watching, "take_pushed", taken)

        async def evening() -> None:
            async with asyncio.timeout(300), aclosing(case.watch()) as heard:
                keeping = asyncio.create_task(_kept(thuis))
                hearing = asyncio.create_task(hear(heard, 1))
                before = -1
                while before != posts or case.live is None or thuis.live is None:
                    before = posts
                    await asyncio.sleep(2)
                thuis.add("plan", "agreements", {"what": "eerste"})
                await thuis.send()
                await hearing
                rounds.clear()
                # Thirty records while this program is busy with something else: one turn for all of them.
                for at in range(30):
                    thuis.add("plan", "agreements", {"what": f"vraag {at}"})
                    await thuis.send()
                while len(case.live._pushed) < 30:
                    await asyncio.sleep(0.01)
                await hear(heard, 31)
                assert rounds == [30]
                while any(each["outbox"] for each in thuis.status()["streams"]):
                    await asyncio.sleep(0.01)
                assert posts == before, "no sync was needed for a word of it"
                keeping.cancel()
                await asyncio.wait([keeping])

        async def hear(changes: object, count: int) -> None:
            async for change in changes:  # type: ignore[attr-defined]
                if change.part == "plan" and len(case.show("plan")["agreements"]) >= count:
                    return

        asyncio.run(evening())
        # Without a connection the words go by a sync.
        thuis.add("plan", "agreements", {"what": "laatste"})
        asyncio.run(thuis.send())
        program.sync()
        assert len(case.show("plan")["agreements"]) == 32


async def _kept(case: Case) -> None:
    async with aclosing(case.watch()) as changes:
        await _to_the_end(changes)


async def _to_the_end(changes: object) -> bool:
    async for _ in changes:  # type: ignore[attr-defined]
        pass
    return True


def test_a_watch_that_is_left_closes_its_connection(relay: LiveRelay, tmp_path: Path) -> None:
    with Device.open(tmp_path / "nora") as nora:
        thuis = nora.start("Thuis", relay.url, "Nora")

        async def short() -> None:
            changes = thuis.watch()
            hearing = asyncio.create_task(anext(changes))  # type: ignore[arg-type]
            await asyncio.sleep(0.4)
            hearing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hearing
            await changes.aclose()

        asyncio.run(short())
    with Device.open(tmp_path / "nora", offline=True) as again:
        assert again.cases()[0]["title"] == "Thuis", "and the home is free for the next program"
