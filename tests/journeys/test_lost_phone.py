"""A thief has the old phone, unlocked, and with it every key and record of that day; the relay is a real and honest one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eigenkring import wire
from eigenkring.ids import StreamId
from eigenkring.library import Device
from eigenkring.session.parts import CaseSession
from eigenkring.transport import HttpTransport
from eigenkring_crypto import capability
from journeys.here import Here
from journeys.test_letting_read import Family
from live_relay import LiveRelay


def capabilities(session: CaseSession, stream: StreamId) -> Iterator[tuple[bytes, bytes, bytes]]:
    """What every secret that the phone ever held would give to a stream: read, append, manage."""
    secrets = [(epoch, secret) for _, epoch, secret in session.ring]
    if session.row.keys_secret is not None:
        secrets.append((0, session.row.keys_secret))
        # The stream `keys` is read with it as it is; it opens nothing else.
        as_it_is = capability.read_capability(session.row.keys_secret, stream, 0)
        yield as_it_is, as_it_is, as_it_is
    for epoch, secret in secrets:
        read, write, manage = (
            of(secret, stream) for of in (capability.read_secret, capability.write_secret, capability.manage_secret)
        )
        yield (
            capability.read_capability(read, stream, epoch),
            capability.append_capability(write, stream, epoch),
            capability.manage_capability(manage, stream, epoch),
        )


def what_opens(home: Path, relay: str) -> list[tuple[str, str]]:
    """Every operation on every stream the phone knew of, with every key it held; those that the relay carried out."""
    found = []
    with Device.open(home, offline=True) as device:
        (row,) = device.store.cases()
        session = device.case(row.case.hex()).session
        charter, transport = session.known(), HttpTransport(relay)
        grants = {s for g in charter.grants.values() for s in (g.down, g.up, g.doorstep)}
        # A used door is a letter box of an empty house: nobody looks there any more.
        doors = {i.doorstep for i in charter.invitations.values() if i.state == "open"}
        streams = {session.charter_stream, charter.keys_stream, *charter.live_streams(), *grants, *doors}
        names = {part.stream: name for name, part in charter.parts.items()}
        for stream in sorted(streams):
            # The keys that are tried are the true ones of that day.
            assert session.secrets(stream).read_cap() in (None, *(read for read, _, _ in capabilities(session, stream)))
            where = names.get(stream, "keys" if stream == charter.keys_stream else "another")
            for read, append, manage in capabilities(session, stream):
                ops: list[wire.Operation] = [
                    wire.Read(stream=stream, cap=read, after=0),
                    wire.Append(stream=stream, cap=append, record=bytes(400)),
                    wire.Rekey(stream=stream, cap=manage, append=bytes(32)),
                    wire.Close(stream=stream, cap=manage),
                ]
                results = transport.exchange(ops).results
                # What is closed stays closed, and says so to everybody.
                gone = isinstance(results[2], wire.Failed) and results[2].code == "closed"
                for op, result in zip(ops, results[: 3 if gone else 4], strict=False):
                    if not isinstance(result, wire.Failed):
                        found.append((where, type(op).__name__))
        transport.close()
    return found


@pytest.mark.parametrize("way", ["remove-device", "recover"])
def test_a_thief_with_the_old_phone_reads_nothing_new_and_wakes_nothing(
    relay: LiveRelay, tmp_path: Path, way: str
) -> None:
    family = Family(relay.url, tmp_path / "homes")
    nora, case = family.nora, family.case
    grant = family.let(family.wit, "De Wit", "--parts", "plan", "--naming", "Karim")
    code = nora.run("recovery-code")["code"]
    waiting = family.give("Bos", "--parts", "plan")["link"]
    invited = nora.run("invite", case, "--role", "member", "--name", "Lotte")["link"]
    own = nora.run("add-device", case)["link"]
    lost = tmp_path / "gestolen"
    if way == "recover":
        shutil.copytree(nora.home, lost)
        new = Here(tmp_path / "homes" / "nieuw")
        new.run("recover", code, "--relay", relay.url)
    else:
        # The lost one is a tablet, which made the links that lie open.
        tablet, new = Here(tmp_path / "homes" / "tablet"), nora
        tablet.run("join", own, "--as", "Nora")
        nora.run("sync")
        tablet.run("sync")
        words = ("--to", "Bos", "--purpose", "meedenken", "--until", family.soon, "--parts", "plan")
        waiting = tablet.run("grant", case, *words)["link"]
        invited = tablet.run("invite", case, "--role", "member", "--name", "Lotte")["link"]
        own = tablet.run("add-device", case)["link"]
        shutil.copytree(tablet.home, lost)
        nora.run("sync")
        gone = next(d["device"] for d in tablet.run("devices", case)["devices"] if d["this"])
        answer = nora.run("remove-device", case, gone)
        assert answer["removed"] == gone and grant in answer["renewed"]
    new.run("add", case, "plan", "agreements", '{"what": "Kwartelkoning", "who": "Karim"}')
    new.run("add", case, "diary", "entries", '{"text": "Kwartelkoning"}')
    family.fatima.run("sync")
    new.run("sync")

    # Keys last as long as the case: there a thief sees that boxes come, none of which is theirs.
    assert set(what_opens(lost, relay.url)) == {("keys", "Read")}
    thief = Here(lost)
    thief.run("sync")
    assert thief.refused("show", case, "plan") == "removed"
    assert b"Kwartelkoning" not in thief.bytes()
    assert thief.refused("add-device", case) == "removed"
    # The doors that the phone left ajar are shut.
    for number, (link, word) in enumerate(((invited, "join"), (waiting, "accept"), (own, "join"))):
        visitor = Here(tmp_path / "homes" / f"bezoeker{number}")
        try:
            visitor.run(word, link, "--as", "Dief")
        except Exception as refusal:
            assert getattr(refusal, "code", "") in ("link_expired", "link_used", "not_allowed")
            continue
        new.run("sync")
        family.fatima.run("sync")
        assert visitor.refused("show", case) in ("not_yet", "no_such_case", "removed")
    # And what was given goes on, without anybody doing anything.
    shown = family.wit.run("view", grant)["plan"]["agreements"].values()
    assert "Kwartelkoning" in {item["what"] for item in shown}
    assert family.wit.run("sync")["alarms"] == []


def test_paper_that_somebody_else_holds_is_told_and_renewed(relay: LiveRelay, tmp_path: Path) -> None:
    nora = Here(tmp_path / "nora")
    nora.run("start", "Thuis", "--relay", relay.url, "--as", "Nora")
    first = nora.run("recovery-code")["code"]
    second = nora.run("recovery-code")
    assert second["older"] == 1, "the paper that is lost still works, and the answer says so"
    assert nora.refused("recovery-code", "--old", first) == "bad_value"
    third = nora.run("recovery-code", "--old", second["code"])
    assert third["older"] == 1
    assert Here(tmp_path / "vinder").refused("recover", second["code"], "--relay", relay.url) == "link_expired"
    back = Here(tmp_path / "terug").run("recover", first, "--relay", relay.url)
    assert back["left"] == []
    assert Here(tmp_path / "dief").refused("recover", third["code"], "--relay", relay.url) in (
        "link_expired",
        "removed",
    )
