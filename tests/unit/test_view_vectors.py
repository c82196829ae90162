"""Every vector of tests/vectors/view, as pwa/test/view.test.ts runs them too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import grant, view
from eigenkring.errors import EigenkringError
from eigenkring.ids import DeviceId, GrantId, PersonId, RoomSecret, StreamId
from eigenkring.schema import load_schema
from eigenkring_crypto.box import BoxKey
from eigenkring_crypto.errors import CryptoError

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "view"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
# How many there are at least, so that a lost file or a folder that moved is not a green run.
LEAST = {
    "project": 40,
    "select": 35,
    "check": 8,
    "terms": 20,
    "author": 4,
    "state": 25,
    "welcome": 5,
    "turned": 5,
    "view": 35,
    "version": 3,
}


def _b(vector: dict[str, Any], key: str) -> bytes:
    return bytes.fromhex(vector[key])


def _selection(vector: dict[str, Any]) -> view.Selection:
    return msgspec.convert(vector["selection"], view.Selection)


def _project(v: dict[str, Any]) -> Any:
    people = {PersonId(bytes.fromhex(person)): name for person, name in v["people"].items()}
    out = view.project(_selection(v), v["documents"], people, _b(v, "key"))
    assert view.pack_projection(out).hex() == v["packed"]
    return out


def _select(v: dict[str, Any]) -> Any:
    chosen = view.parse_selection(load_schema(), PersonId(_b(v, "granter")), **v["choice"])
    return _listed(chosen)


def _check(v: dict[str, Any]) -> None:
    _selection(v).check(load_schema(), PersonId(_b(v, "granter")))


def _listed(value: Any) -> Any:
    """Tuples as the lists that JSON knows."""
    return json.loads(msgspec.json.encode(value))


def _hexed(struct: msgspec.Struct) -> dict[str, Any]:
    fields = msgspec.to_builtins(struct, builtin_types=(bytes,))
    return {name: value.hex() if isinstance(value, bytes) else _listed(value) for name, value in fields.items()}


def _terms(v: dict[str, Any]) -> Any:
    terms = grant.open_terms(RoomSecret(_b(v, "circle")), GrantId(_b(v, "grant")), _b(v, "sealed"))
    return _hexed(terms) | {"compare": terms.compare}  # what is absent is no


def _author(v: dict[str, Any]) -> str:
    return grant.open_author(_b(v, "key"), GrantId(_b(v, "grant")), _b(v, "who")).hex()


def _state(v: dict[str, Any]) -> Any:
    heirs = tuple(grant.Heir(bytes.fromhex(key), bytes.fromhex(sig)) for key, sig in v.get("heirs", ()))
    signed = grant.SignedState(_b(v, "body"), _b(v, "sig"), heirs)
    state, granter = grant.open_state(signed, GrantId(_b(v, "grant")), _b(v, "granter"), v["above"])
    assert granter.hex() == v.get("after", v["granter"])
    return _hexed(state)


def _welcome(v: dict[str, Any]) -> Any:
    return _hexed(grant.open_welcome(_b(v, "content"), GrantId(_b(v, "grant")), _b(v, "granter"))[0])


def _turned(v: dict[str, Any]) -> Any:
    key, doorstep, device = BoxKey.from_seed(_b(v, "seed")), StreamId(_b(v, "doorstep")), DeviceId(_b(v, "device"))
    of = GrantId(_b(v, "grant"))
    return grant.open_turned(_b(v, "payload"), key, doorstep, device, of, _b(v, "granter"), v["above"])


def _view(v: dict[str, Any]) -> Any:
    seen = v["seen"] and (v["seen"][0], bytes.fromhex(v["seen"][1]))
    down, of = StreamId(_b(v, "down")), GrantId(_b(v, "grant"))
    out = _hexed(view.open_view(_b(v, "payload"), down, of, _b(v, "publisher"), seen=seen))
    assert out.pop("grant") == v["grant"]
    return out


def _version(v: dict[str, Any]) -> int:
    digest = view.view_digest(_b(v, "before"))
    last = None
    if v["last"] is not None:
        empty = b""
        last = view.View(GrantId(empty), v["last"], 0, view.Chain(empty), 0, "", {}, digest, empty)
    return view.next_version(last, _b(v, "parts"))


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "project": _project,
    "select": _select,
    "check": _check,
    "terms": _terms,
    "author": _author,
    "state": _state,
    "welcome": _welcome,
    "turned": _turned,
    "view": _view,
    "version": _version,
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


def complaints(vectors: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with a folder of vectors as a whole."""
    kinds = Counter(vector["kind"] for vector in vectors.values())
    wrong = [f"unknown kind {kind}" for kind in sorted(set(kinds) - set(RUN))]
    wrong += [f"only {kinds[kind]} of {kind}" for kind, least in LEAST.items() if kinds[kind] < least]
    refused = sum("error" in vector for vector in vectors.values())
    return wrong + (["more successes than refusals"] if refused <= len(vectors) - refused else [])


def test_no_vector_is_missing_or_unknown() -> None:
    assert complaints(VECTORS) == []
    assert set(LEAST) == set(RUN)


def test_a_missing_and_an_unknown_vector_would_be_noticed() -> None:
    assert complaints(VECTORS | {"new": {"kind": "news", "error": "x"}}) == ["unknown kind news"]
    assert complaints({n: v for n, v in VECTORS.items() if n != "version_same"}) == ["only 2 of version"]
