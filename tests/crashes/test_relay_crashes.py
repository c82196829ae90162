"""Every step of a relay is its last one once: what it answered is there, what it did not answer is there whole or not at all.

A relay is asked one exchange after the other, over HTTP. The state it leaves is held against the plain store that was
asked the same: after what was answered, or after one more. Then the exchange is asked again, as a device would.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from crashes.steps import COARSE, MEMORY, Steps, forked, run
from eigenkring import wire
from eigenkring.errors import Misuse
from eigenkring_server import schema
from eigenkring_server import serve as serving
from eigenkring_server.backup import backup, restore
from eigenkring_server.limits import Limits
from eigenkring_server.overflow import unwrap
from eigenkring_server.relay import Quotas, Stream
from eigenkring_server.sqlite_store import SqliteStore
from relay.devices import Keys, chain_of, digest
from relay.plain_store import PlainStore

NOW = 1_790_000_000
Dump = dict[bytes, tuple[object, ...]]


def seeded(name: str) -> Keys:
    return Keys(digest(name.encode())[:16], *(digest(f"{name} {of}".encode()) for of in ("read", "append", "manage")))


def record(name: str, size: int = 700) -> bytes:
    return (digest(name.encode()) * 32)[:size]


OLD, NEW, GONE = seeded("old"), seeded("new"), seeded("gone")
PAST = seeded("past")
TURNED = Keys(OLD.id, *(digest(f"turned {of}".encode()) for of in ("read", "append", "manage")))
SHOWN = seeded("shown")
BEFORE = [record(f"before {n}") for n in range(5)]

PREPARED: list[wire.Request] = [
    wire.Request(1, [OLD.opening(), *map(OLD.appending, BEFORE), GONE.opening(), GONE.appending(record("gone", 3000))]),
    wire.Request(2, [SHOWN.opening(), *(SHOWN.appending(record(f"shown {n}")) for n in range(3))]),
    wire.Request(3, [PAST.opening(expires=NOW), PAST.appending(record("past"))]),
]
# A day at the relay, an exchange each.
DAY: dict[str, wire.Request] = {
    "open": wire.Request(10, [NEW.opening()]),
    "append": wire.Request(11, [NEW.appending(record("one"))]),
    "exchange": wire.Request(
        12,
        [
            NEW.appending(record("two"), expect=chain_of(NEW.id, record("one"))),
            OLD.appending(record("with it")),
            OLD.rekeying(TURNED),
            seeded("third").opening(),
        ],
        True,
    ),
    "rekey": wire.Request(13, [TURNED.rekeying(TURNED)]),
    "replace": wire.Request(
        14, [SHOWN.replacing(record("snapshot", 900), chain_of(SHOWN.id, *(record(f"shown {n}") for n in range(3))))]
    ),
    "close": wire.Request(15, [GONE.closing()]),
}


# Shut down while they wait: of these each may be in or not, whatever became of the others.
BURST = [wire.Request(20 + n, [OLD.appending(record(f"burst {n}"))]) for n in range(6)]


def state_of(data: Path) -> Dump:
    """As the next start of the relay finds it, without what is past its date: that ends at a moment of its own."""
    store = SqliteStore(data, Quotas())
    try:
        assert store._writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert store._writer.execute("PRAGMA foreign_key_check").fetchall() == []
        found: Dump = {}
        columns = "number, id, read, append, manage, base, length, chain"
        for number, *row in store._writer.execute(f"SELECT {columns} FROM stream").fetchall():
            rows = store._writer.execute(
                "SELECT value, size FROM record JOIN body ON record.body = body.id WHERE stream = ? ORDER BY n",
                (number,),
            )
            found[row[0]] = (*row[1:], *(unwrap(*each) for each in rows))
        found |= {row[0]: () for row in store._writer.execute("SELECT id FROM tombstone")}
    finally:
        store.close()
    found.pop(PAST.id, None)
    return found


def plain_state(store: PlainStore) -> Dump:
    found: Dump = {}
    for stream, known in store._streams.items():
        held = store._records.get(stream, {})
        found[stream] = ()
        if isinstance(known, Stream):
            locks = (known.read, known.append, known.manage)
            found[stream] = (*locks, known.base, known.length, known.chain, *(held[n][0] for n in sorted(held)))
    found.pop(PAST.id, None)
    return found


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="relay", dir=MEMORY) as folder:
        yield Path(folder)


@functools.cache
def states() -> list[Dump]:
    """What there is after none, one, two ... of the exchanges of the day."""
    store, found = PlainStore(Quotas()), []
    store.commit(PREPARED, NOW - 1)
    for request in DAY.values():
        found.append(plain_state(store))
        store.commit([request], NOW)
    return [*found, plain_state(store)]


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="relay", dir=MEMORY)


@functools.cache
def prepared() -> Path:
    data = Path(_folder().name) / "data"
    data.mkdir(mode=0o700)
    store = SqliteStore(data, Quotas())
    store.commit(PREPARED, NOW - 1)
    store.close()
    return data


def serve(data: Path, stop_at: int, only: frozenset[str] | None, *, from_start: bool) -> tuple[int, str]:
    """The relay as it is served, in a fork that ends itself at a step. Gives its process, and its address if it got
    so far."""
    limits = Limits(frames_per_second=1e6, frames_burst=1e6, opens_per_second=1e6, opens_burst=1e6)

    def relay(say: Callable[[str], None]) -> None:
        signal.alarm(0)  # it is stopped, not hurried
        steps = Steps(data, stop_at, only)

        def ready(url: str) -> None:
            say(url)
            steps.begin()

        if from_start:
            steps.begin()
        serving.run(data, port=0, limits=limits, ready=ready)

    process, reading = forked(relay)
    with os.fdopen(reading) as lines:
        return process, lines.readline().strip()


def asked(url: str, request: wire.Request) -> bool:
    """Whether it was answered, and that well."""
    try:
        answer = httpx.post(
            f"{url}/v1/exchange",
            content=wire.encode(request),
            headers={"content-type": wire.CONTENT_TYPE},
            timeout=300,
            trust_env=False,
        )
    except httpx.HTTPError:
        return False
    reply = wire.decode_reply(answer.content, request)
    assert not any(isinstance(result, wire.Failed) for result in reply.results), reply
    return True


def stopped(process: int) -> bool:
    """Stop it as an operator does. Gives whether it had ended itself."""
    done, status = os.waitpid(process, os.WNOHANG)
    if not done:
        os.kill(process, signal.SIGTERM)
        _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.waitstatus_to_exitcode(status) in (0, -signal.SIGTERM)
    return killed and os.WTERMSIG(status) == signal.SIGKILL


def erased(data: Path, *records: bytes) -> bool:
    lying = b"".join(path.read_bytes() for path in data.iterdir())
    return not any(each[200:260] in lying for each in records)


def ended_at(step: int, only: frozenset[str] | None, *, from_start: bool = False) -> bool:
    with tempfile.TemporaryDirectory(prefix="relay", dir=MEMORY) as folder:
        data = Path(folder) / "data"
        shutil.copytree(prepared(), data)
        process, url = serve(data, step, only, from_start=from_start)
        answered = 0
        for request in DAY.values():
            if not url or not asked(url, request):
                break
            answered += 1
        if answered == len(DAY):
            assert erased(data, record("gone", 3000)), "closed, answered, and still there"
        killed = stopped(process)
        found = state_of(data)
        assert found in states()[answered : answered + 2], f"step {step}: another state after {answered} answers"
        at = states().index(found, answered)
        if at == len(DAY):
            assert erased(data, record("gone", 3000)), "a start leaves nothing that was closed"
        # Whoever got no answer asks again: the state is that of asking once.
        store = SqliteStore(data, Quotas())
        for request in list(DAY.values())[answered:]:
            (outcome,) = store.commit([request], NOW)
            assert not isinstance(outcome, Exception)
        store.close()
        assert state_of(data) == states()[-1], f"step {step}: asked again it comes out otherwise"
        return killed


def burst_ended_at(step: int, only: frozenset[str] | None) -> bool:
    """Several at once: a group is one transaction, and each of it has its own answer."""
    with tempfile.TemporaryDirectory(prefix="relay", dir=MEMORY) as folder:
        data = Path(folder) / "data"
        shutil.copytree(prepared(), data)
        process, url = serve(data, step, only, from_start=False)
        with ThreadPoolExecutor(len(BURST)) as people:
            answers = list(people.map(lambda request: asked(url, request), BURST))
        killed = stopped(process)
        _, _, _, base, length, chain, *held = state_of(data)[OLD.id]
        assert held[: len(BEFORE)] == BEFORE
        added = [op.record for request in BURST for op in request.ops if isinstance(op, wire.Append)]
        there = held[len(BEFORE) :]
        assert len(set(there)) == len(there), "doubled"
        assert {one for one, answered in zip(added, answers, strict=True) if answered} <= set(there) <= set(added)
        assert (base, length, chain) == (0, len(held), chain_of(OLD.id, *held))  # type: ignore[arg-type]
        return killed


def walk(ended: Callable[[int], bool], first: int = 1, stride: int = 1) -> int:
    step = first
    while ended(step):
        step += stride
    return step


def test_ended_at_steps_of_a_day() -> None:
    assert walk(lambda step: ended_at(step, None), first=3, stride=16) > 50


def test_ended_at_steps_of_a_burst() -> None:
    assert walk(lambda step: burst_ended_at(step, None), first=5, stride=16) > 16


def test_ended_at_steps_of_a_start() -> None:
    """Also the sweep of what is past its date is in it."""
    assert walk(lambda step: ended_at(step, COARSE, from_start=True), first=2, stride=17) > 17


@pytest.mark.long
def test_ended_at_every_step_of_a_day() -> None:
    assert walk(lambda step: ended_at(step, None)) > 100


@pytest.mark.long
def test_ended_at_every_step_of_a_burst() -> None:
    assert walk(lambda step: burst_ended_at(step, None)) > 30


@pytest.mark.long
def test_ended_at_every_step_of_a_start_and_a_day() -> None:
    assert walk(lambda step: ended_at(step, None, from_start=True)) > 100


def test_ended_at_every_step_of_the_first_start(memory: Path) -> None:
    """A relay that never was: the next start makes it."""

    def ended(step: int) -> bool:
        data = memory / str(step)
        data.mkdir()
        ran = run(lambda steps, _: (steps.begin(), SqliteStore(data, Quotas()).close())[1], data, step)
        assert ran.killed or ran.status == 0
        store = SqliteStore(data, Quotas())
        assert store.generation() > NOW - 86_400 * 3650
        (outcome,) = store.commit([DAY["open"]], NOW)
        assert not isinstance(outcome, Exception)
        store.close()
        schema.check(data)
        return ran.killed

    assert walk(ended) > 5


def test_ended_at_every_step_of_a_backup(memory: Path) -> None:
    """What lies there afterwards is a whole backup or none; the relay is as it was."""

    def ended(step: int) -> bool:
        data, copy, back = (memory / f"{step} {of}" for of in ("data", "copy", "back"))
        shutil.copytree(prepared(), data)
        ran = run(lambda steps, _: (steps.begin(), backup(data, copy))[1], memory, step)
        assert ran.killed or ran.status == 0
        try:
            restore(copy, back)
        except Misuse:
            assert ran.killed
        else:
            assert state_of(back) == states()[0], "half a backup was taken for a whole one"
        assert state_of(data) == states()[0]
        again = memory / f"{step} again"
        backup(data, again)
        return ran.killed

    assert walk(ended) > 5


def test_ended_at_every_step_of_a_restore(memory: Path) -> None:
    """The relay of before, or the one put back under a higher generation: never neither, never something between."""
    copy = memory / "copy"
    backup(prepared(), copy)

    def ended(step: int) -> bool:
        data = memory / str(step)
        shutil.copytree(prepared(), data)
        newer = SqliteStore(data, Quotas())
        newer.commit([DAY["open"], DAY["append"]], NOW)
        was = newer.generation()
        # Stopped by force: what is newer lies in the log only.
        kept = {path.name: path.read_bytes() for path in data.iterdir()}
        newer.close()
        for name, content in kept.items():
            (data / name).write_bytes(content)
        ran = run(lambda steps, _: (steps.begin(), restore(copy, data, replace=True))[1], data, step)
        assert ran.killed or ran.status == 0
        store = SqliteStore(data, Quotas())
        now = store.generation()
        store.close()
        assert state_of(data) == states()[0 if now > was else 2], f"step {step}: neither the old nor the new"
        assert ran.killed or now > was
        assert restore(copy, data, replace=True) > max(now, was)
        assert state_of(data) == states()[0]
        return ran.killed

    assert walk(ended) > 5
