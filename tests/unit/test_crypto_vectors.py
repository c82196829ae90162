"""Every vector of tests/vectors/crypto, as pwa/test/crypto.test.ts runs them too."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eigenkring_crypto import box, capability, chain, curve, device, kdf, pad, seal, sign, words
from eigenkring_crypto.errors import BadKey, CryptoError

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "crypto"
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(FOLDER.glob("*.json"))}
# How many there are at least, so that a lost file or a folder that moved is not a green run.
LEAST = {
    "seal_open": 43,
    "verify": 64,
    "box_open": 34,
    "box_seal": 6,
    "code": 26,
    "unpad": 20,
    "words": 11,
    "derive": 10,
    "hmac": 5,
    "capability": 9,
    "chain": 7,
    "device": 7,
    "publics": 3,
}


def _b(vector: dict[str, Any], key: str) -> bytes:
    return bytes.fromhex(vector[key])


def _seal_open(v: dict[str, Any]) -> dict[str, Any]:
    secret, stream, record = _b(v, "secret"), _b(v, "stream"), _b(v, "record")
    epoch, plaintext = seal.open_sealed(secret, stream, record)
    assert seal.record_epoch(record) == epoch
    # What opens is exactly what `seal` makes: no two records are one.
    assert seal.seal(secret, stream, epoch, plaintext, record[5:29]) == record
    return {"epoch": epoch, "plaintext": plaintext.hex()}


def _unpad(v: dict[str, Any]) -> str:
    plaintext = pad.unpad(_b(v, "padded"))
    assert pad.pad(plaintext) == _b(v, "padded")
    assert pad.padded_bytes(len(plaintext)) == len(_b(v, "padded"))
    return plaintext.hex()


def _verify(v: dict[str, Any]) -> None:
    stream, body, signature = _b(v, "stream"), _b(v, "body"), _b(v, "signature")
    sign.verify(_b(v, "public"), v["name"], stream, body, signature)
    key = sign.SigningKey.from_seed(_b(v, "seed"))
    assert key.public == _b(v, "public")
    assert sign.sign(key, v["name"], stream, body) == signature


def _box_open(v: dict[str, Any]) -> str:
    return box.open_box(box.BoxKey.from_seed(_b(v, "seed")), v["name"], _b(v, "context"), _b(v, "box")).hex()


def _box_seal(v: dict[str, Any]) -> str:
    return box.seal_box(_b(v, "public"), "keybag", b"", b"").hex()


def _derive(v: dict[str, Any]) -> str:
    return kdf.derive(_b(v, "secret"), v["name"], _b(v, "context"), v["n"]).hex()


def _hmac(v: dict[str, Any]) -> str:
    return kdf.hmac(_b(v, "key"), v["name"], _b(v, "context")).hex()


def _capability(v: dict[str, Any]) -> dict[str, str]:
    room, stream, epoch = _b(v, "room_secret"), _b(v, "stream"), v["epoch"]
    s = capability.read_secret(room, stream)
    w = capability.write_secret(room, stream)
    m = capability.manage_secret(room, stream)
    read = capability.read_capability(s, stream, epoch)
    append = capability.append_capability(w, stream, epoch)
    manage = capability.manage_capability(m, stream, epoch)
    out = {
        "read_secret": s,
        "write_secret": w,
        "manage_secret": m,
        "read_capability": read,
        "append_capability": append,
        "manage_capability": manage,
        "read_hash": capability.capability_hash(read),
        "append_hash": capability.capability_hash(append),
        "manage_hash": capability.capability_hash(manage),
    }
    return {name: value.hex() for name, value in out.items()}


def _chain(v: dict[str, Any]) -> list[str]:
    values = [chain.first(_b(v, "stream"))]
    for record in v["records"]:
        values.append(chain.extend(values[-1], bytes.fromhex(record)))
    return [value.hex() for value in values]


def _device(v: dict[str, Any]) -> dict[str, str]:
    keys = device.DeviceKeys.from_seed(_b(v, "seed"))
    return {"sign_key": keys.sign.public.hex(), "box_key": keys.box.public.hex()}


def _code(v: dict[str, Any]) -> str:
    code = words.decode_code(v["text"])
    # However it was typed, it is printed one way.
    assert words.decode_code(words.encode_code(code)) == code
    return code.hex()


def _words(v: dict[str, Any]) -> list[str]:
    return words.comparison_words(_b(v, "digest"), v["language"])


def _publics(v: dict[str, Any]) -> list[bool]:
    return [_is_key(bytes.fromhex(key)) for key in v["publics"]]


def _is_key(public: bytes) -> bool:
    try:
        curve.check_public(public)
    except BadKey:
        return False
    return True


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "seal_open": _seal_open,
    "unpad": _unpad,
    "verify": _verify,
    "box_open": _box_open,
    "box_seal": _box_seal,
    "derive": _derive,
    "hmac": _hmac,
    "capability": _capability,
    "chain": _chain,
    "device": _device,
    "code": _code,
    "words": _words,
    "publics": _publics,
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    run = RUN[vector["kind"]]
    if "error" in vector:
        with pytest.raises(CryptoError) as raised:
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
    assert complaints({n: v for n, v in VECTORS.items() if n != "device_0"}) == ["only 6 of device"]


def test_the_forgeries_are_real() -> None:
    """Bare OpenSSL accepts these: so the vectors test our checks and not its own."""

    def bare(v: dict[str, Any]) -> bool:
        message = kdf.label(v["name"]) + _b(v, "stream") + _b(v, "body")
        try:
            Ed25519PublicKey.from_public_bytes(_b(v, "public")).verify(_b(v, "signature"), message)
        except (InvalidSignature, ValueError):
            return False
        return True

    accepted = {name for name, v in VECTORS.items() if v["kind"] == "verify" and "error" in v and bare(v)}
    assert "verify_mixed_order_key" in accepted
    assert "verify_cofactored_r" not in accepted, "OpenSSL became cofactored: docs/spec/seal.md relies on it not to be"
    assert len([name for name in accepted if name.startswith("verify_small_order_key_")]) >= 8
    # The neutral element as R, and S = k a: a signature that gives the private key away.
    assert len([name for name in accepted if name.startswith("verify_small_order_r_")]) >= 1
