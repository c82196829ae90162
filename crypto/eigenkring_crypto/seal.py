"""Sealed records (docs/spec/seal.md, Sealed record)."""

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eigenkring_crypto.errors import BadKey, FutureVersion, Unopenable
from eigenkring_crypto.kdf import SECRET_BYTES, hkdf, label, stream_id, u32
from eigenkring_crypto.pad import MIN_PADDED_BYTES, pad, unpad

VERSION: Final = 1
NONCE_BYTES: Final = 24
COMMITMENT_BYTES: Final = 32
HEADER_BYTES: Final = 1 + 4 + NONCE_BYTES + COMMITMENT_BYTES
TAG_BYTES: Final = 16
MIN_RECORD_BYTES: Final = HEADER_BYTES + MIN_PADDED_BYTES + TAG_BYTES
# Every record has a key of its own (the 24 random bytes are the salt), so GCM's own nonce never repeats under
# a key.
_GCM_NONCE: Final = bytes(12)


def seal(secret: bytes, stream: bytes, epoch: int, plaintext: bytes, nonce: bytes) -> bytes:
    """A record: 61 bytes of header, the padded ciphertext, 16 bytes of tag.

    `secret` is the stream's S (32 bytes, else BadKey), `stream` 16 bytes, `epoch` a u32, `nonce` 24 fresh
    random bytes. A nonce used twice with one secret, stream and epoch would show how two plaintexts differ.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a nonce is 24 bytes")
    key, commitment = _grow(secret, stream, epoch, nonce)
    header = bytes([VERSION]) + u32(epoch) + nonce + commitment
    return header + AESGCM(key).encrypt(_GCM_NONCE, pad(plaintext), header)


def open_sealed(secret: bytes, stream: bytes, record: bytes) -> tuple[int, bytes]:
    """(epoch, plaintext) of a record that was sealed with this secret for this stream.

    Raises FutureVersion, Unopenable (one error for wrong key, stream, epoch and altered bytes), BadPadding
    (only a holder of the key can cause it), BadKey (the secret is not 32 bytes).
    The epoch is authenticated, but whether `secret` belongs to it is the caller's to check.
    """
    epoch = record_epoch(record)
    nonce = record[5 : 5 + NONCE_BYTES]
    key, commitment = _grow(secret, stream, epoch, nonce)
    # Before decrypting: GCM alone lets a sender make one ciphertext that opens differently under many keys,
    # and so show two readers two texts, or test many passwords with one record (partitioning oracle).
    if not hmac.compare_digest(commitment, record[5 + NONCE_BYTES : HEADER_BYTES]):
        raise Unopenable("a record does not open")
    try:
        padded = AESGCM(key).decrypt(_GCM_NONCE, record[HEADER_BYTES:], record[:HEADER_BYTES])
    except InvalidTag:
        # `from None`: no trace of which step failed.
        raise Unopenable("a record does not open") from None
    return epoch, unpad(padded)


def record_epoch(record: bytes) -> int:
    """The epoch the header claims. Checks version (FutureVersion) and smallest size (Unopenable), nothing
    else.
    """
    if not record:
        raise Unopenable("a record is empty")
    # The version before the size: a newer version may have smaller records.
    if record[0] != VERSION:
        raise FutureVersion("a record of another version")
    if len(record) < MIN_RECORD_BYTES:
        raise Unopenable("a record is too short")
    return int.from_bytes(record[1:5], "big")


def _grow(secret: bytes, stream: bytes, epoch: int, nonce: bytes) -> tuple[bytes, bytes]:
    if len(secret) != SECRET_BYTES:
        raise BadKey("a stream secret is 32 bytes")
    grown = hkdf(secret, nonce, label("seal") + stream_id(stream) + u32(epoch), 64)
    return grown[:32], grown[32:]
