"""What an author signs under edits: who, with which right, having seen what. Spec: docs/spec/part.md.

A change names all its ancestors by hash, so one signature over the newest vouches for every earlier one. The day is
what its author claims, is shown, and decides nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import SigningKey, sign, verify

ATTESTATION_BYTES: Final = 188
DATED_BYTES: Final = 192
# 1 January 2026: nothing was written before, so a clock that says so was never set. The last day a calendar here shows.
FIRST_DAY: Final = 20_454
LAST_DAY: Final = 2_932_896
_SIGNATURE_BYTES: Final = 64
_NAME: Final = "attest"
_U32: Final = 1 << 32
_U64: Final = 1 << 64


class Attestation(msgspec.Struct, frozen=True):
    """``length`` and ``chain`` are the stream as its author saw it; ``newest`` the hash of a change; ``day`` counts from
    1970 by the author's clock, None where nothing is claimed."""

    device: bytes
    epoch: int
    head: bytes
    length: int
    chain: bytes
    newest: bytes
    raw: bytes = b""
    day: int | None = None

    def body(self) -> bytes:
        return b"".join(
            (
                _sized(self.device, 16),
                _number(self.epoch, _U32).to_bytes(4, "big"),
                _sized(self.head, 32),
                _number(self.length, _U64).to_bytes(8, "big"),
                _sized(self.chain, 32),
                _sized(self.newest, 32),
                b"" if self.day is None else _number(self.day, _U32).to_bytes(4, "big"),
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
    day: int | None = None,
) -> bytes:
    """188 bytes, or 192 with a day. ValueError when a field has another size than the layout gives it."""
    body = Attestation(device, epoch, head, length, chain, newest, day=day).body()
    return body + sign(key, _NAME, stream, body)


def parse_attestation(raw: bytes) -> Attestation:
    """Every 188 or 192 bytes are one; whether it is true, ``verify_attestation`` and the fold say."""
    if len(raw) not in (ATTESTATION_BYTES, DATED_BYTES):
        raise Inadmissible("bad_record", "an attestation is 188 bytes, or 192")
    return Attestation(
        device=raw[:16],
        epoch=int.from_bytes(raw[16:20], "big"),
        head=raw[20:52],
        length=int.from_bytes(raw[52:60], "big"),
        chain=raw[60:92],
        newest=raw[92:124],
        raw=bytes(raw),
        day=int.from_bytes(raw[124:128], "big") if len(raw) == DATED_BYTES else None,
    )


def verify_attestation(attestation: Attestation, sign_key: bytes, stream: bytes) -> None:
    """Raises ``bad_attestation``. The stream is signed, so that no record moves to another part."""
    raw = attestation.raw
    try:
        # The bytes received, never fields encoded again.
        verify(sign_key, _NAME, stream, raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:])
    except BadSignature:
        # No device is named: anybody could write another's name here.
        raise Inadmissible("bad_attestation") from None
