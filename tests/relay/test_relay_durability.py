"""Killed in the middle: what was acknowledged is there, once, and the chain is whole."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from devices import Keys, chain_of, post, post_bytes, socket_to

from eigenkring import wire
from eigenkring.errors import Misuse, Refused
from eigenkring_server import __main__ as command
from eigenkring_server import app, schema
from eigenkring_server import serve as serving
from eigenkring_server.backup import backup, restore
from live_relay import LiveRelay, live_relay

CONNECTIONS = 6


def all_records(url: str, keys: Keys) -> tuple[list[bytes], wire.Batch]:
    records: list[bytes] = []
    while True:
        (page,) = post(url, keys.reading(after=len(records)))
        assert isinstance(page, wire.Batch)
        assert page.first == len(records) + 1
        records += page.records
        if not page.more:
            return records, page


async def burst(relay: LiveRelay, shared: Keys, seconds: float) -> list[tuple[Keys, int, bytes]]:
    """Appends from several connections until the relay is gone. Gives what was acknowledged."""
    acknowledged: list[tuple[Keys, int, bytes]] = []

    async def one(own: Keys) -> None:
        async with socket_to(relay.sync_url) as socket:
            for _ in range(100_000):
                keys = shared if os.urandom(1)[0] & 1 else own
                records = [os.urandom(300) for _ in range(1 + os.urandom(1)[0] % 3)]
                results = await socket.ask(*map(keys.appending, records), atomic=True)
                for record, result in zip(records, results, strict=True):
                    assert isinstance(result, wire.Appended)
                    acknowledged.append((keys, result.length, record))

    owns = [Keys() for _ in range(CONNECTIONS)]
    post(relay.url, shared.opening(), *(own.opening() for own in owns))
    tasks = [asyncio.create_task(one(own)) for own in owns]
    # Counted from when the burst is under way: a busy machine may take longer to connect than it lasts.
    while len(acknowledged) <= 20 and not any(task.done() for task in tasks):
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(relay.kill)
    await asyncio.gather(*tasks, return_exceptions=True)
    return acknowledged


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1])
def test_killed_in_a_burst_every_acknowledged_append_is_there_once(tmp_path: Path, seconds: float) -> None:
    with live_relay(tmp_path) as relay:
        shared = Keys()
        acknowledged = asyncio.run(burst(relay, shared, seconds))
        assert len(acknowledged) > 20
        relay.start()
        for keys in {keys for keys, _, _ in acknowledged}:
            records, page = all_records(relay.url, keys)
            assert len(set(records)) == len(records) == page.length
            assert chain_of(keys.id, *records) == page.chain
            for mine, index, record in acknowledged:
                if mine == keys:
                    assert records[index - 1] == record
        # What was acknowledged and is sent again, because the answer might have been lost, is not doubled.
        keys, index, record = acknowledged[-1]
        (again,) = post(relay.url, keys.appending(record))
        assert isinstance(again, wire.Appended)
        assert again.length == index
    checked = sqlite3.connect(tmp_path / schema.FILE_NAME)
    assert checked.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert checked.execute("PRAGMA foreign_key_check").fetchall() == []
    checked.close()


def test_the_settings_that_durability_and_erasing_rely_on(tmp_path: Path) -> None:
    connection = schema.connect(tmp_path / "relay.sqlite", writes=True)
    schema.migrate(connection)
    wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "auto_vacuum": 2}
    assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
    strict = connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    assert {name for name, is_strict in strict if not is_strict} <= {"sqlite_schema", "_sqlite_migrations"}
    schema.migrate(connection)
    connection.close()


def test_a_stopped_relay_answers_what_it_took_in(tmp_path: Path) -> None:
    async def scenario(relay: LiveRelay, keys: Keys) -> int:
        async with socket_to(relay.sync_url) as socket:
            # No more than the relay takes in before it must answer: what is behind that is not promised.
            asked = [await socket.send(keys.appending(os.urandom(300))) for _ in range(30)]
            await socket.answer_to(asked[0])
            stopping = asyncio.create_task(asyncio.to_thread(relay.stop))
            done = 1
            for request in asked[1:]:
                (result,) = await socket.answer_to(request)
                done += isinstance(result, wire.Appended)
            await stopping
            return done

    with live_relay(tmp_path) as relay:
        keys = Keys()
        post(relay.url, keys.opening())
        done = asyncio.run(scenario(relay, keys))
        relay.start()
        assert len(all_records(relay.url, keys)[0]) == done == 30


def test_two_relays_never_run_on_one_folder(tmp_path: Path) -> None:
    with live_relay(tmp_path), pytest.raises(RuntimeError, match="another relay"), live_relay(tmp_path):
        pass


def test_a_backup_of_a_running_relay_is_put_back_as_a_new_generation(tmp_path: Path) -> None:
    keys, copy, other = Keys(), tmp_path / "copy.sqlite", tmp_path / "other"
    with live_relay(tmp_path / "one") as relay:
        post(relay.url, keys.opening(), keys.appending(b"a"))
        backup(relay.data_dir, copy)
        post(relay.url, keys.appending(b"b"))
        assert copy.stat().st_mode & 0o077 == 0
        with pytest.raises(Misuse):
            backup(relay.data_dir, copy)
        with pytest.raises(Misuse):
            restore(copy, relay.data_dir)
    generation = restore(copy, other)
    assert generation > 1
    with live_relay(other) as relay:
        request = wire.Request(1, [keys.reading(), keys.appending(b"c")])
        reply = wire.decode_reply(post_bytes(relay.url, wire.encode(request)).content, request)
        assert reply.generation == generation
        assert isinstance(reply.results[0], wire.Batch)
        assert reply.results[0].records == [b"a"]
        assert reply.results[1] == wire.Appended(2, chain_of(keys.id, b"a", b"c"))
    with pytest.raises(Misuse):
        restore(copy, other)


def limited(data: Path, most_bytes: int) -> subprocess.Popen[str]:
    """A relay none of whose files may grow beyond that: what a full disk answers, without one."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, {most_bytes})); "
        "from eigenkring_server.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """Tried by hand on a small tmpfs too, and on one that was mounted read-only."""
    keys, answered, refused = Keys(), [], 0
    running = limited(tmp_path, 400_000)
    try:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        post(url, keys.opening())
        for _ in range(30):
            record = os.urandom(30_000)
            request = wire.Request(1, [keys.appending(record)])
            try:
                wire.decode_reply(post_bytes(url, wire.encode(request)).content, request)
                answered.append(record)
            except Refused as error:
                assert error.code == "busy"
                refused += 1
        assert answered
        assert refused
        assert all_records(url, keys)[0] == answered, "a full disk can still be read"
    finally:
        running.kill()
        running.communicate()
    started = limited(tmp_path, 10_000)
    _, told = started.communicate(timeout=300)
    assert started.returncode == 2
    assert "make room" in told
    assert "restore" not in told, "nobody shall put a backup over what is whole"
    with live_relay(tmp_path) as relay:
        assert all_records(relay.url, keys)[0] == answered
        assert isinstance(post(relay.url, keys.appending(b"room again"))[0], wire.Appended)


def test_a_disk_that_fills_between_the_look_and_the_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that starts the application ends by itself then, and says nothing of why."""

    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(app, "SqliteStore", full)
    with pytest.raises(Misuse, match="make room") as told:
        serving.run(tmp_path / "data", port=0)
    assert told.value.code == "unsafe_setting"


@pytest.mark.parametrize("number", ["0", "-1", "nan", "viel"])
@pytest.mark.parametrize("name", ["frames_per_second", "waiting_frames", "max_stream_bytes"])
def test_a_limit_is_a_number_above_nothing(
    tmp_path: Path, name: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--data", str(tmp_path / "data"), "--limit", f"{name}={number}"]) == 2
    told = capsys.readouterr().err
    assert name in told and ("[unsafe_setting]" in told or "[bad_argument]" in told)
    assert not (tmp_path / "data").exists()
