"""Sealing to a device: HPKE over X-Wing (docs/spec/seal.md, Box).

The one place where randomness is not an argument: neither `cryptography` nor `@hpke/core` lets a caller
choose it.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from eigenkring_crypto.errors import BadKey, Unopenable
from eigenkring_crypto.kdf import SECRET_BYTES, label
from eigenkring_crypto.pad import MIN_PADDED_BYTES, pad, unpad

MLKEM_PUBLIC_BYTES: Final = 1184
BOX_PUBLIC_BYTES: Final = MLKEM_PUBLIC_BYTES + 32
ENC_BYTES: Final = 1088 + 32
MIN_BOX_BYTES: Final = ENC_BYTES + MIN_PADDED_BYTES + 16


class BoxKey:
    """An X-Wing private key. `public` is its 1216-byte public key (ML-KEM-768, then X25519)."""

    __slots__ = ("_private", "public")

    public: bytes

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> "BoxKey":
        """The key of a 32-byte X-Wing seed: SHAKE256 to 96 bytes, 64 for ML-KEM-768, 32 for X25519."""
        if len(seed) != SECRET_BYTES:
            raise BadKey("a box seed is 32 bytes")
        grown = hashlib.shake_256(seed).digest(96)
        return cls(MLKEM768PrivateKey.from_seed_bytes(grown[:64]), X25519PrivateKey.from_private_bytes(grown[64:]))

    def __repr__(self) -> str:
        # The whole key is 1216 bytes; a beginning is enough to tell two apart in a log.
        return f"BoxKey(public={self.public[:8].hex()}...)"


def seal_box(public: bytes, name: str, context: bytes, plaintext: bytes) -> bytes:
    """A box that only the owner of `public` opens, for this name and context: `enc`, ciphertext, tag.

    It says nothing about who sealed it: sign what is inside. BadKey when `public` is not a key.
    """
    info = label(name) + context
    if len(public) != BOX_PUBLIC_BYTES:
        raise BadKey("a box key is 1216 bytes")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
        )
        return _suite().encrypt(pad(plaintext), key, info)
    except ValueError:
        # A number of the ML-KEM key not below q, or an X25519 point of small order.
        raise BadKey("not a box key") from None


def open_box(key: BoxKey, name: str, context: bytes, box: bytes) -> bytes:
    """The plaintext. Unopenable for a wrong key, name, context or byte; BadPadding as in `unpad`."""
    info = label(name) + context
    if len(box) < MIN_BOX_BYTES:
        raise Unopenable("a box is too short")
    try:
        padded = _suite().decrypt(box, key._private, info)
    except (InvalidTag, ValueError):
        raise Unopenable("a box does not open") from None
    return unpad(padded)


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
