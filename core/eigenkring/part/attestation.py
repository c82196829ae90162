"""What an author signs under edits: who, with which right, having seen what. Spec: docs/spec/part.md.

A change names all its ancestors by hash, so one signature over the newest vouches for every earlier one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import SigningKey, sign, verify

ATTESTATION_BYTES: Final = 188
_SIGNED_BYTES: Final = 124
_NAME: Final = "attest"
_U32: Final = 1 << 32
_U64: Final = 1 << 64


class Attestation(msgspec.Struct, frozen=True):
    """``length`` and ``chain`` are the stream as its author saw it; ``newest`` the hash of a change."""

    device: bytes
    epoch: int
    head: bytes
    length: int
    chain: bytes
    newest: bytes
    raw: bytes = b""

    def body(self) -> bytes:
        return b"".join(
            (
                _sized(self.device, 16),
                _number(self.epoch, _U32).to_bytes(4, "big"),
                _sized(self.head, 32),
                _number(self.length, _U64).to_bytes(8, "big"),
                _sized(self.chain, 32),
                _sized(self.newest, 32),
            )
        )


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"{size} bytes are needed")
    return value


def _number(value: int, end: int) -> int:
    if not 0 <= value < end:
        raise ValueError("the number does not fit")
    return value


def sign_attestation(
    key: SigningKey,
    stream: bytes,
    *,
    device: bytes,
    epoch: int,
    head: bytes,
    length: int,
    chain: bytes,
    newest: bytes,
) -> bytes:
    """The 188 bytes. ValueError when a field has another size than the layout gives it."""
    body = Attestation(device, epoch, head, length, chain, newest).body()
    return body + sign(key, _NAME, stream, body)


def parse_attestation(raw: bytes) -> Attestation:
    """Every 188 bytes are an attestation; whether it is true, ``verify_attestation`` and the fold say."""
    if len(raw) != ATTESTATION_BYTES:
        raise Inadmissible("bad_record", "an attestation is 188 bytes")
    return Attestation(
        device=raw[:16],
        epoch=int.from_bytes(raw[16:20], "big"),
        head=raw[20:52],
        length=int.from_bytes(raw[52:60], "big"),
        chain=raw[60:92],
        newest=raw[92:124],
        raw=bytes(raw),
    )


def verify_attestation(attestation: Attestation, sign_key: bytes, stream: bytes) -> None:
    """Raises ``bad_attestation``. The stream is signed, so that no record moves to another part."""
    raw = attestation.raw
    try:
        # The bytes received, never fields encoded again.
        verify(sign_key, _NAME, stream, raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:])
    except BadSignature:
        # No device is named: anybody could write another's name here.
        raise Inadmissible("bad_attestation") from None
