"""Writes boxes.json beside this file. Run by hand, once: HPKE is randomised, so these boxes are inputs of the
vectors and change only when the suite changes.

    .venv/bin/python tests/vectors/fixed/make_boxes.py && node tests/vectors/fixed/make_boxes.mjs

The second command seals what is marked `typescript`, in place.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from eigenkring_crypto.box import BoxKey, seal_box
from eigenkring_crypto.kdf import label
from eigenkring_crypto.pad import pad

FILE = Path(__file__).with_name("boxes.json")
SEED = hashlib.sha256(b"vector box seed").digest()
HONEST = {
    "short": b"een sleutelbos",
    "empty": b"",
    "full_block": bytes(range(252)),
    "one_more": bytes(range(253)),
}
# What only someone who holds the public key and breaks the rules can make: the inner bytes as they are.
RAW = {
    "not_padded": b"een sleutelbos".ljust(300, b"."),
    "not_minimal": pad(b"een sleutelbos") + bytes(256),
    "not_zero": pad(b"een sleutelbos")[:-1] + b"\1",
    "length_lies": (300).to_bytes(4, "big") + bytes(252),
}


def seal_raw(public: bytes, name: str, context: bytes, inner: bytes, aead: AEAD = AEAD.AES_256_GCM) -> bytes:
    key = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:1184]), X25519PublicKey.from_public_bytes(public[1184:])
    )
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, aead).encrypt(inner, key, label(name) + context)


def main() -> None:
    public = BoxKey.from_seed(SEED).public
    name, context = "keybag", bytes(range(16))
    common: dict[str, Any] = {"seed": SEED.hex(), "public": public.hex(), "name": name, "context": context.hex()}
    boxes: dict[str, dict[str, Any]] = {}
    for case, plaintext in HONEST.items():
        for maker in ("python", "typescript"):
            box = seal_box(public, name, context, plaintext) if maker == "python" else b""
            boxes[f"{maker}_{case}"] = common | {"maker": maker, "plaintext": plaintext.hex(), "box": box.hex()}
    for case, inner in RAW.items():
        box = seal_raw(public, name, context, inner)
        boxes[f"raw_{case}"] = common | {"maker": "python", "inner": inner.hex(), "box": box.hex()}
    box = seal_raw(public, name, context, pad(b"een sleutelbos"), AEAD.CHACHA20_POLY1305)
    boxes["raw_other_aead"] = common | {"maker": "python", "inner": "", "box": box.hex()}
    FILE.write_text(json.dumps(boxes, indent=1) + "\n")


if __name__ == "__main__":
    main()
