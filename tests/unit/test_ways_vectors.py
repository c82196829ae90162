"""Every vector of tests/vectors/ways, as pwa/test/ways.test.ts runs them too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import doorstep, exported, hall, paper, readable, said, shelf
from eigenkring.errors import EigenkringError
from eigenkring.ids import CaseId, GrantId, PersonId, StreamId
from eigenkring.link import parse_link
from eigenkring.schema import load_schema
from eigenkring.session import own_door
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.words import decode_code

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "ways"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
# How many there are at least, so that a lost file or a folder that moved is not a green run.
LEAST = {
    "said": 40, "incoming": 3, "space": 3, "sheet": 18, "own_door": 4, "own_knock": 15, "manifest": 19, "page_words": 1, "log": 14,
    "shelf": 2, "shelf_record": 23, "shelf_next": 8, "hall": 16, "hall_keys": 2,
}  # fmt: skip


def _b(vector: dict[str, Any], key: str) -> bytes:
    return bytes.fromhex(vector[key])


def _plain(value: Any) -> Any:
    """Bytes as hex, tuples as lists, as JSON has them."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _said(v: dict[str, Any]) -> Any:
    found = said.open_said(
        _b(v, "payload"), StreamId(_b(v, "up")), GrantId(_b(v, "grant")), _b(v, "reader"), v["above"]
    )
    return _plain(found)


def _incoming(v: dict[str, Any]) -> str:
    return said.incoming_id(GrantId(_b(v, "grant")), _b(v, "payload"))


def _hashes(*hashes: bytes) -> list[str]:
    return [found.hex() for found in hashes]


def _space(v: dict[str, Any]) -> Any:
    found = paper.open_code(decode_code(v["code"]), v["relay"])
    opening, space = found.secrets.opening(), found.space
    return {
        "stream": space.stream.hex(), "read": space.read.hex(), "write": space.write.hex(), "manage": found.manage.hex(),
        "box": space.box.hex(), "hashes": _hashes(opening.read, opening.append, opening.manage),
    }  # fmt: skip


def _sheet(v: dict[str, Any]) -> Any:
    return _plain(paper.open_record(paper.open_code(decode_code(v["code"]), v["relay"]), _b(v, "record")))


def _hall(v: dict[str, Any]) -> Any:
    return _plain(hall.open_hall(_b(v, "payload"), _b(v, "pin")))


def _hall_keys(v: dict[str, Any]) -> Any:
    link = parse_link(v["link"])
    opening, own = hall.hall_opening(link, v["expires"]), hall.hall_secrets(link)
    return {
        "stream": own.stream.hex(), "expires": opening.expires,
        "hashes": _hashes(opening.read, opening.append, opening.manage),
    }  # fmt: skip


def _door(v: dict[str, Any]) -> own_door.OwnDoor:
    return own_door.door_at((v["epoch"], _b(v, "room")), v["slot"], v["ever"], v.get("compare", False))


def _own_door(v: dict[str, Any]) -> Any:
    door = _door(v)
    hashes = doorstep.open_hashes(door.seed, door.stream, door.room_secret, v["epoch"])
    return {"stream": door.stream.hex(), "seed": door.seed.hex(), "expires": door.expires, "hashes": _hashes(*hashes)}


def _own_knock(v: dict[str, Any]) -> str:
    found = own_door.open_knock(_b(v, "payload"), _door(v), CaseId(_b(v, "case")), PersonId(_b(v, "person")))
    return found.device.hex()


def _manifest(v: dict[str, Any]) -> Any:
    found = exported.open_manifest(_b(v, "data"))
    exported.check_list(_b(v, "data"), found, _b(v, "key"))
    return _plain(found)


def _page_words(v: dict[str, Any]) -> str:
    return readable.schema_hash(load_schema()).hex()


def _log(v: dict[str, Any]) -> Any:
    log = exported.exactly(_b(v, "data"), exported.Log)
    end = log.base + len(log.records)
    return [end, log.chains()[end].hex()]


def _shelf_of(v: dict[str, Any]) -> shelf.Shelf:
    return shelf.Shelf(v["relay"], _b(v, "secret"))


def _shelf(v: dict[str, Any]) -> Any:
    opening = _shelf_of(v).secrets.opening()
    return {
        "stream": opening.stream.hex(), "hashes": _hashes(opening.read, opening.append, opening.manage),
        "member": shelf.member_of(_b(v, "sign"), _b(v, "box")).hex(),
    }  # fmt: skip


def _shelf_record(v: dict[str, Any]) -> Any:
    found = shelf.open_record(_shelf_of(v), _b(v, "record"))
    return [[by.hex(), page.n] for by, (page, _) in sorted(found.items())]


def _shelf_next(v: dict[str, Any]) -> Any:
    one, keys = _shelf_of(v), DeviceKeys.from_seed(_b(v, "seed"))
    page = shelf.open_page(one.stream, _b(v, "page"))
    assert page is not None
    return _plain(shelf.open_next(one.stream, page, shelf.member_of(keys.sign.public, keys.box.public), keys.box))


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "said": _said,
    "incoming": _incoming,
    "space": _space,
    "sheet": _sheet,
    "hall": _hall,
    "hall_keys": _hall_keys,
    "own_door": _own_door,
    "own_knock": _own_knock,
    "manifest": _manifest,
    "page_words": _page_words,
    "log": _log,
    "shelf": _shelf,
    "shelf_record": _shelf_record,
    "shelf_next": _shelf_next,
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    run = RUN[vector["kind"]]
    if "error" in vector:
        with pytest.raises((EigenkringError, CryptoError)) as raised:
            run(vector)
        assert raised.value.code == vector["error"], vector["about"]
    else:
        assert run(vector) == vector["out"], vector["about"]


def test_no_vector_is_missing_or_unknown_and_most_are_refused() -> None:
    kinds = Counter(vector["kind"] for vector in VECTORS.values())
    assert {kind: count for kind, count in LEAST.items() if kinds[kind] < count} == {}
    assert set(kinds) == set(RUN) == set(LEAST)
    refused = sum(
        "error" in vector or vector["out"] is None or vector.get("passed_over", False) for vector in VECTORS.values()
    )
    assert refused > 2 * (len(VECTORS) - refused)
