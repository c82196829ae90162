"""Every vector of tests/vectors/attachment, as pwa/test/attachment.test.ts runs them too."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring.attachment import (
    claims_attachment,
    open_chunks,
    pack_attachment,
    parse_attachment,
    seal_chunks,
    shown_of,
)
from eigenkring.errors import EigenkringError
from eigenkring.picture import strip_picture
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import seal

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "attachment"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
# How many there are at least, so that a lost file or a folder that moved is not a green run.
LEAST = {"parse": 45, "shown": 4, "open": 26, "strip": 61}


def _data(size: int) -> bytes:
    return bytes((i * 31 + 7) % 256 for i in range(size))


def _parse(v: dict[str, Any]) -> Any:
    found = parse_attachment(v["text"])
    if v["about"] != "a key of a newer program is passed over":
        assert pack_attachment(found) == v["text"]
    fields = msgspec.to_builtins(found, builtin_types=(bytes,))
    return {k: value.hex() if isinstance(value, bytes) else value for k, value in fields.items()}


def _shown(v: dict[str, Any]) -> Any:
    assert claims_attachment(v["text"])
    return shown_of(v["text"])


def _open(v: dict[str, Any]) -> str:
    attachment = parse_attachment(v["text"])
    records = [_record(attachment.key, attachment.stream, one) for one in v["records"]]
    data = open_chunks(attachment, records)
    # What opens is exactly what `seal_chunks` makes.
    assert seal_chunks(attachment, data, [bytes.fromhex(one["nonce"]) for one in v["records"]]) == records
    return hashlib.sha256(data).hexdigest()


def _record(key: bytes, stream: bytes, one: dict[str, Any]) -> bytes:
    data = _data(one["from"] + one["size"])[one["from"] :]
    payload = msgspec.msgpack.encode({"k": one.get("k", "chunk"), "n": one["n"], "of": one["of"], "data": data})
    payload = bytes.fromhex(one["payload"]) if "payload" in one else payload
    key, stream = (bytes.fromhex(one[n]) if n in one else known for n, known in (("key", key), ("stream", stream)))
    record = bytearray(seal(key, stream, one.get("epoch", 0), payload, bytes.fromhex(one["nonce"])))
    if "flip" in one:
        record[one["flip"]] ^= 1
    record[0] = one.get("version", 1)
    return bytes(record)


def _strip(v: dict[str, Any]) -> Any:
    found = strip_picture(bytes.fromhex(v["data"]))
    if found is None:
        return None
    assert strip_picture(found[1]) == found, "what was stripped is stripped"
    return [found[0], found[1].hex()]


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {"parse": _parse, "shown": _shown, "open": _open, "strip": _strip}


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


def test_a_missing_and_an_unknown_vector_would_be_noticed() -> None:
    assert complaints(VECTORS | {"new": {"kind": "news", "error": "x"}}) == ["unknown kind news"]
    assert complaints({n: v for n, v in VECTORS.items() if n != "shown"}) == ["only 3 of shown"]


def test_what_a_camera_writes_is_in_no_picture_that_came_out() -> None:
    for name, vector in VECTORS.items():
        if vector["kind"] == "strip" and vector.get("out"):
            left = bytes.fromhex(vector["out"][1])
            # Canaries: a name, a place, XMP, a comment, a colour profile, a film behind the picture.
            for canary in (b"Nora", b"gps", b"oma", b"Photoshop", b"ICC", b"ftyp", b"http", struct_of_the_place()):
                assert canary not in left, (name, canary)


def struct_of_the_place() -> bytes:
    return bytes.fromhex("0000003400000001")  # 52/1: degrees north
