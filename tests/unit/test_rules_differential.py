"""The same verdict, with the same code, from the rules in Python and in TypeScript, for bytes nobody meant: charter
entries, attestations, records and snapshots of parts, views and the states of grants.

What the vectors hold is bent, and **signed again** by who signed it: else every bent byte ends at the signature, and the
rules behind it are never asked.
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from oracle import Oracle, running

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
sys.path.insert(0, str(VECTORS))

import make_view  # noqa: E402
from charter_cast import SCHEMA, Actor, Play  # noqa: E402
from make_part import plain_fold, plain_verdict  # noqa: E402
from part_world import FAMILY, STREAM, PlainCharter, fixed  # noqa: E402

from eigenkring import grant, view  # noqa: E402
from eigenkring.change import pack_chunk  # noqa: E402
from eigenkring.charter.rules import fold  # noqa: E402
from eigenkring.crdt import Engine  # noqa: E402
from eigenkring.errors import EigenkringError, Inadmissible  # noqa: E402
from eigenkring.ids import CaseId, Chain  # noqa: E402
from eigenkring.part.attestation import verify_attestation  # noqa: E402
from eigenkring.part.fold import PartFold  # noqa: E402
from eigenkring.part.record import Edit, Snapshot, parse_record  # noqa: E402
from eigenkring.part.snapshot import open_content, parse_body  # noqa: E402
from eigenkring_crypto.sign import SigningKey, sign  # noqa: E402

pack = msgspec.msgpack.encode
Roll = random.Random


def load(area: str) -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted((VECTORS / area).glob("*.json"))}


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with running("rules-oracle") as found:
        yield found


def asked(oracle: Oracle, do: str, **what: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(oracle.ask(json.dumps({"do": do, **what})))
    return found


def ours(what: Callable[[], Any]) -> dict[str, Any]:
    try:
        out = what()
    except EigenkringError as error:
        return {"code": error.code}
    # As JSON has it: tuples are lists, 3.0 is 3.
    return {"out": json.loads(json.dumps(out), parse_float=_number)}


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


# --- bending


NUMBERS = (0, 1, 2, -1, 127, 128, 2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63))
ODD: tuple[Any, ...] = (None, True, False, "", "x", "\ufeff", b"", b"\x00" * 16, [], {}, 1.0, 1.5, *NUMBERS)


def bent_bytes(roll: Roll, raw: bytes, times: int = 1) -> bytes:
    data = bytearray(raw)
    for _ in range(times):
        at = roll.randrange(len(data)) if data else 0
        match roll.randrange(5):
            case 0 if data:
                data[at] ^= 1 << roll.randrange(8)
            case 1 if data:
                data[at] = roll.choice((0, 1, 0x7F, 0x80, 0xC0, 0xC1, 0xC4, 0xCA, 0xCF, 0xD9, 0xDC, 0xFF))
            case 2:
                data.insert(at, roll.randrange(256))
            case 3 if data:
                del data[at]
            case _:
                data += data[at : at + roll.randrange(1, 9)]
    return bytes(data)


def bent_value(roll: Roll, value: Any) -> Any:
    """One place of a tree of plain values is another."""
    if isinstance(value, dict) and value and roll.random() < 0.85:
        name = roll.choice(list(value))
        if roll.random() < 0.75:
            return {**value, name: bent_value(roll, value[name])}
        kept = {key: inner for key, inner in value.items() if key != name}
        return roll.choice((kept, {**kept, "else": value[name]}, {**value, "more": 1}, dict(reversed(value.items()))))
    if isinstance(value, list) and value and roll.random() < 0.9:
        at = roll.randrange(len(value))
        if roll.random() < 0.5:
            return [*value[:at], bent_value(roll, value[at]), *value[at + 1 :]]
        return roll.choice(
            ([*value[:at], *value[at + 1 :]], [*value, value[at]], value[::-1], [*value, roll.choice(ODD)], [])
        )
    if isinstance(value, bytes) and roll.random() < 0.85:
        return (
            bent_bytes(roll, value)
            if roll.random() < 0.6
            else roll.choice((value[:-1], value + b"\0", b"\0" * len(value)))
        )
    if isinstance(value, int) and not isinstance(value, bool) and roll.random() < 0.7:
        return roll.choice((value + 1, value - 1, float(value)))
    if isinstance(value, str) and roll.random() < 0.6:
        return roll.choice((value + "a", value[1:], value.upper(), f"{value}\x00", value * 300, f" {value}", "é"))
    return roll.choice(ODD)


def bent_body(roll: Roll, body: bytes) -> bytes:
    """As bytes, or as the tree that they are."""
    if roll.random() < 0.3:
        return bent_bytes(roll, body, roll.choice((1, 1, 2)))
    try:
        tree = msgspec.msgpack.decode(body)
        for _ in range(roll.choice((1, 1, 1, 2))):
            tree = bent_value(roll, tree)
        return pack(tree)
    except (OverflowError, ValueError, RecursionError, msgspec.MsgspecError):
        return bent_bytes(roll, body)


# --- charter


def signers() -> dict[bytes, SigningKey]:
    """Of every device of the cast: who can sign again."""
    return {actor.id: actor.keys.sign for actor in Actor.known.values()}


def bend_charter(oracle: Oracle, roll: Roll, name: str, vector: dict[str, Any], tries: int) -> Counter[str]:
    """Every record of a vector in turn, and before it others that are near it."""
    case, found, keys = CaseId(bytes.fromhex(vector["case"])), Counter[str](), signers()
    charter = None
    asked(oracle, "begin", case=vector["case"])
    everything = load("charter")

    def records(one: dict[str, Any]) -> list[dict[str, Any]]:
        before = records(everything[one["on"]]) if one["on"] else []
        return [*before, *one["records"]]

    whole = records(vector)
    inherited = len(whole) - len(vector["records"])
    for at, record in enumerate(whole):
        payload, chain = bytes.fromhex(record["payload"]), Chain(bytes.fromhex(record["chain"]))
        for _ in range(tries if at >= inherited else 0):
            other = bent_entry(roll, payload, keys, case)
            mine = ours(
                lambda now=charter, raw=other, seen=chain: Play(case, fold(now, raw, case, seen, SCHEMA)).summary()
            )  # type: ignore[misc]
            theirs = asked(oracle, "fold", payload=other.hex(), chain=chain.hex(), keep=False)
            assert theirs == mine, (name, other.hex(), chain.hex())
            found[mine.get("code", "admitted")] += 1
        theirs = asked(oracle, "fold", payload=payload.hex(), chain=chain.hex(), keep=True)
        try:
            charter = fold(charter, payload, case, chain, SCHEMA)
        except Inadmissible as error:
            assert theirs == {"code": error.code}
    return found


def bent_entry(roll: Roll, payload: bytes, keys: dict[bytes, SigningKey], case: CaseId) -> bytes:
    try:
        outer = msgspec.msgpack.decode(payload)
        body = outer["body"]
        by = msgspec.msgpack.decode(body)["by"]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return bent_bytes(roll, payload)
    if roll.random() < 0.1 or by not in keys:
        return bent_body(roll, payload)
    other = bent_body(roll, body)
    return pack({"body": other, "sig": sign(keys[by], "charter", case, other)})


# --- parts


def python_part(vector: dict[str, Any]) -> dict[str, Any]:
    actor, part = bytes.fromhex(vector["reader_actor"]), vector["part"]
    secrets = {int(epoch): bytes.fromhex(secret) for epoch, secret in vector["secrets"].items()}
    chains = {int(length): bytes.fromhex(chain) for length, chain in vector["chains"].items()}
    stream = bytes.fromhex(part["stream"])
    of = PartFold(stream, part["name"], part["write_room"], part["manage_room"], secrets.get, lambda: Engine(actor))
    known = [PlainCharter.from_plain(plain) for plain in vector["charters"]]
    taken: list[tuple[int, bytes]] = []
    verdicts = []
    for step in vector["steps"]:
        if step["do"] == "own":
            changes = [bytes.fromhex(raw) for raw in step["changes"]]
            of.engine.apply(changes)  # type: ignore[union-attr]
            of.take_own(changes)
        elif step["do"] == "take":
            taken.append((step["index"], bytes.fromhex(step["payload"])))
            verdicts.append(plain_verdict(of.take(*taken[-1], chains.get, known[step["charter"]])))
        else:
            records = [record for record in taken if record[0] >= step["from"]]
            verdicts.append(plain_verdict(of.refold(records, chains.get, known[step["charter"]])))
        assert not of.alarm
    assert isinstance(of.engine, Engine)
    return {"verdicts": verdicts, "out": plain_fold(of, of.engine)}


def part_signers() -> dict[bytes, SigningKey]:
    return {fixed(f"device {name}", 16): SigningKey.from_seed(fixed(name)) for name in FAMILY}


def bent_record(roll: Roll, payload: bytes, keys: dict[bytes, SigningKey]) -> bytes:
    try:
        record = msgspec.msgpack.decode(payload)
        kind = record["k"]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return bent_bytes(roll, payload)
    if roll.random() < 0.15:
        return bent_body(roll, payload)
    if kind in ("edit", "dated") and isinstance(record.get("att"), bytes) and isinstance(record.get("changes"), list):
        if roll.random() < 0.5:
            att = bent_attestation(roll, record["att"], keys)
            fits = {188: "edit", 192: "dated"}.get(len(att), kind)
            return pack({**record, "k": fits if roll.random() < 0.95 else kind, "att": att})
        changes = [raw for raw in record["changes"] if isinstance(raw, bytes)]
        return pack({**record, "changes": bent_changes(roll, changes)})
    if isinstance(record.get("body"), bytes):
        try:
            body = msgspec.msgpack.decode(record["body"])
            key = keys[body["by"]]
            if roll.random() < 0.5:
                inside = zlib.decompress(body["content"], wbits=-15)
                packer = zlib.compressobj(9, zlib.DEFLATED, -15)
                body["content"] = packer.compress(bent_bytes(roll, inside)) + packer.flush()
                made = pack(body)
            else:
                made = bent_body(roll, record["body"])
            return pack({**record, "body": made, "sig": sign(key, "snapshot", STREAM, made)})
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, zlib.error):
            pass
    return bent_bytes(roll, payload)


def bent_attestation(roll: Roll, att: bytes, keys: dict[bytes, SigningKey]) -> bytes:
    """A field is another one, or a day comes or goes; mostly signed again as it then is."""
    body = att[:-64]
    fields = [(0, 16), (16, 20), (20, 52), (52, 60), (60, 92), (92, 124), (124, 128)]
    start, end = roll.choice(fields)
    inner = roll.choice(
        (bent_bytes(roll, body[start:end])[: end - start].ljust(end - start, b"\0"), bytes(end - start))
    )
    body = body[:124] if start >= len(body) or roll.random() < 0.1 else body[:start] + inner + body[end:]
    if len(body) == 124 and roll.random() < 0.3:
        body += roll.choice((bytes(4), b"\xff" * 4, roll.randbytes(4)))
    key = keys.get(att[:16]) or keys.get(body[:16])
    return body + sign(key, "attest", STREAM, body) if key and roll.random() < 0.9 else bent_bytes(roll, att)


def signs_again(good: bytes, bent: bytes, keys: dict[bytes, SigningKey]) -> bool:
    """Whether the attestation is another one and its author's signature holds: then it is judged by what it says."""
    try:
        before, now = parse_record(good), parse_record(bent)
        if not isinstance(before, Edit) or not isinstance(now, Edit) or before.att == now.att:
            return False
        verify_attestation(now.att, keys[now.att.device].public, STREAM)
    except (Inadmissible, KeyError):
        return False
    return True


def bent_changes(roll: Roll, changes: list[bytes]) -> list[bytes]:
    if not changes:
        return [b""]
    at = roll.randrange(len(changes))
    match roll.randrange(5):
        case 0:
            return [*changes[:at], *changes[at + 1 :]]
        case 1:
            return [*changes, changes[at]]
        case 2:
            return changes[::-1]
        case _:
            raw = changes[at]
            start = 10 if len(raw) > 9 and raw[9] < 0x80 else 11
            return [*changes[:at], pack_chunk(bent_bytes(roll, raw[start:])), *changes[at + 1 :]]


def said_of(payload: bytes) -> Any:
    record = parse_record(payload)
    if isinstance(record, Edit):
        return ["edit", record.att.raw.hex(), [raw.hex() for raw in record.changes]]
    if not isinstance(record, Snapshot):
        return ["unknown"]
    body = parse_body(record)
    content = open_content(body)
    named = [body.by.hex(), body.epoch, body.head.hex(), body.n, body.chain.hex()]
    lists = ([att.raw for att in content.atts], content.changes, content.witnesses)
    return ["snapshot", *named, *([raw.hex() for raw in one] for one in lists)]


def bend_part(oracle: Oracle, roll: Roll, name: str, vector: dict[str, Any], tries: int) -> Counter[str]:
    keys, found = part_signers(), Counter[str]()
    # What a person writes rests on what was there: only what comes after it is bent.
    own = max((at for at, step in enumerate(vector["steps"]) if step["do"] == "own"), default=-1)
    takes = [at for at, step in enumerate(vector["steps"]) if step["do"] == "take" and at > own]
    if not takes:
        return found
    for _ in range(tries):
        steps = [dict(step) for step in vector["steps"]]
        for at in {roll.choice(takes) for _ in range(roll.choice((1, 1, 2)))}:
            good = bytes.fromhex(steps[at]["payload"])
            payload = bent_record(roll, good, keys)
            found["signed again"] += signs_again(good, payload, keys)
            steps[at]["payload"] = payload.hex()
            mine = ours(lambda raw=payload: said_of(raw))  # type: ignore[misc]
            assert asked(oracle, "record", payload=payload.hex()) == mine, (name, payload.hex())
            found[f"record {mine.get('code', 'read')}"] += 1
        bent = {**vector, "steps": steps}
        mine = ours(lambda of=bent: python_part(of))  # type: ignore[misc]
        assert asked(oracle, "part", vector=bent) == mine, (name, [step.get("payload") for step in steps])
        for verdict in mine["out"]["verdicts"]:
            found.update(code for code, *_ in verdict["refused"])
            found["admitted"] += len(verdict["admitted"])
    return found


# --- views and grants


def hexed(struct: msgspec.Struct) -> Any:
    fields = msgspec.to_builtins(struct, builtin_types=(bytes,))
    return {
        name: of.hex() if isinstance(of, bytes) else json.loads(msgspec.json.encode(of)) for name, of in fields.items()
    }


def bend_views(oracle: Oracle, roll: Roll, tries: int) -> Counter[str]:
    found = Counter[str]()
    good = view.make_view(make_view.PUBLISHER, make_view.DOWN, **make_view.VIEW)
    state = pack(msgspec.to_builtins(make_view.STATE, builtin_types=(bytes,)))
    seen = view.view_digest(make_view.PACKED)
    for _ in range(tries):
        outer = msgspec.msgpack.decode(good)
        if roll.random() < 0.3:
            inner = msgspec.msgpack.decode(outer["body"])
            inner["parts"] = bent_body(roll, inner["parts"])
            body = pack(inner)
        else:
            body = bent_body(roll, outer["body"])
        whole = pack({**outer, "body": body, "sig": sign(make_view.PUBLISHER, "view", make_view.DOWN, body)})
        payload = whole if roll.random() < 0.9 else bent_body(roll, good)
        before = roll.choice((None, (4, seen), (5, seen), (5, bytes(32)), (6, seen)))
        mine = ours(
            lambda raw=payload, last=before: hexed(  # type: ignore[misc]
                view.open_view(raw, make_view.DOWN, make_view.GRANT, make_view.PUBLISHER.public, seen=last)
            )
        )
        of = {
            "down": make_view.DOWN.hex(),
            "grant": make_view.GRANT.hex(),
            "publisher": make_view.PUBLISHER.public.hex(),
        }
        last = before and [before[0], before[1].hex()]
        assert asked(oracle, "view", payload=payload.hex(), seen=last, **of) == mine, (payload.hex(), last)
        found[mine.get("code", "read")] += 1

        body = bent_body(roll, state)
        sig = sign(make_view.GRANTER, "grant state", make_view.GRANT, body)
        signed, above = grant.SignedState(body, sig, ()), roll.choice((0, 1, 2))
        mine = ours(
            lambda one=signed, over=above: hexed(  # type: ignore[misc]
                grant.open_state(one, make_view.GRANT, make_view.GRANTER.public, over)[0]
            )
        )
        pinned = {"grant": make_view.GRANT.hex(), "granter": make_view.GRANTER.public.hex(), "above": above}
        assert asked(oracle, "state", body=body.hex(), sig=sig.hex(), **pinned) == mine, body.hex()
        found[f"state {mine.get('code', 'read')}"] += 1
    return found


# --- tests


def test_bent_entries_get_the_same_code(oracle: Oracle) -> None:
    found, roll = Counter[str](), Roll(1)
    for name, vector in load("charter").items():
        found += bend_charter(oracle, roll, name, vector, 1)
    assert {"admitted", "bad_entry", "wrong_previous", "not_a_member", "not_permitted"} <= set(found)


def test_bent_records_of_a_part_get_the_same_verdict(oracle: Oracle) -> None:
    found, roll = Counter[str](), Roll(2)
    for name, vector in load("part").items():
        found += bend_part(oracle, roll, name, vector, 2)
    assert {"admitted", "bad_record", "bad_attestation", "false_seen", "not_covered", "bad_snapshot"} <= set(found)
    assert found["signed again"] > 10


def test_bent_views_and_states_get_the_same_code(oracle: Oracle) -> None:
    found = bend_views(oracle, Roll(3), 150)
    assert {"read", "bad_view", "not_newer", "bad_publisher", "state read", "state bad_view"} <= set(found)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_bent_rules_for_minutes(oracle: Oracle, seed: int) -> None:
    roll, found = Roll(seed), Counter[str]()
    for name, vector in load("charter").items():
        found += bend_charter(oracle, roll, name, vector, 12)
    for name, vector in load("part").items():
        found += bend_part(oracle, roll, name, vector, 12)
    found += bend_views(oracle, roll, 1_000)
    print(seed, dict(found))
    assert found.total() > 6_000
