"""Labels, hashes and derived keys (docs/spec/conventions.md)."""

import hashlib
import hmac as _hmac
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eigenkring_crypto.errors import BadKey

HASH_BYTES = 32
SECRET_BYTES = 32
MIN_SECRET_BYTES = 16
MAX_DERIVED_BYTES = 255 * HASH_BYTES
STREAM_BYTES = 16


# Some thirty names, asked for at every hash.
@lru_cache(maxsize=256)
def label(name: str) -> bytes:
    """`L(name)`: the text `eigenkring/1 `, the name, one zero byte.

    No name holds a zero byte, so no label is the beginning of another and one purpose cannot pass for
    another. A name that is empty or not printable ASCII is a mistake of the program: ValueError.
    """
    if not name or not all(0x20 <= ord(c) < 0x7F for c in name):
        raise ValueError("a label is printable ASCII")
    return b"eigenkring/1 " + name.encode("ascii") + b"\0"


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts joined, 32 bytes. Callers join only parts of fixed size, or one last part of any
    size.
    """
    h = hashlib.sha256()
    for part in parts:
        h.update(part)
    return h.digest()


def derive(secret: bytes, name: str, context: bytes = b"", n: int = 32) -> bytes:
    """HKDF-SHA-256 with empty salt and `info = L(name) || context`; `n` bytes, 1 to 8160.

    Raises BadKey when the secret is shorter than 16 bytes: an empty secret is a forgotten one.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise BadKey("a secret to derive from is too short")
    return hkdf(secret, b"", label(name) + context, n)


def hmac(key: bytes, name: str, context: bytes) -> bytes:
    """HMAC-SHA-256 over `L(name) || context`, 32 bytes. The key is exactly 32 bytes, else BadKey.

    HMAC fills short keys with zeros and hashes long ones, so keys of several sizes would have twins.
    """
    if len(key) != SECRET_BYTES:
        raise BadKey("an HMAC key is 32 bytes")
    return _hmac.digest(key, label(name) + context, "sha256")


def hkdf(secret: bytes, salt: bytes, info: bytes, n: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869) itself. For this package: others call `derive`, which always has a label."""
    if not 1 <= n <= MAX_DERIVED_BYTES:
        raise ValueError("HKDF gives 1 to 8160 bytes")
    return HKDF(algorithm=hashes.SHA256(), length=n, salt=salt, info=info).derive(secret)


def u32(value: int) -> bytes:
    """Four bytes, big-endian. ValueError outside 0 .. 2^32 - 1."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise ValueError("not a u32")
    return value.to_bytes(4, "big")


def stream_id(stream: bytes) -> bytes:
    """The stream id, after a check that it is 16 bytes (ValueError): joined parts need fixed sizes."""
    if len(stream) != STREAM_BYTES:
        raise ValueError("a stream id is 16 bytes")
    return stream
