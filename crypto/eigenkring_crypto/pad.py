"""Padding: 256 bytes at least, then Padmé, so that a size says little (docs/spec/seal.md, Padding).

Padmé is from Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs"
(2019): it wastes at most 12 % and leaves log log n bits of the size.
"""

from eigenkring_crypto.errors import BadPadding
from eigenkring_crypto.kdf import u32

MIN_PADDED_BYTES = 256
_LENGTH_BYTES = 4


def padded_bytes(n: int) -> int:
    """The size in bytes of `pad(p)` for a plaintext `p` of `n` bytes, its length field included."""
    total = _LENGTH_BYTES + n
    if total <= MIN_PADDED_BYTES:
        return MIN_PADDED_BYTES
    e = total.bit_length() - 1
    s = e.bit_length()
    mask = (1 << (e - s)) - 1
    return (total + mask) & ~mask


def pad(plaintext: bytes) -> bytes:
    """`u32(length) || plaintext || zeros`, `padded_bytes(length)` bytes."""
    n = len(plaintext)
    return u32(n) + plaintext + bytes(padded_bytes(n) - _LENGTH_BYTES - n)


def unpad(padded: bytes) -> bytes:
    """The plaintext. Raises BadPadding unless these are exactly the bytes `pad` makes of it."""
    if len(padded) < MIN_PADDED_BYTES:
        raise BadPadding("too short to be padded")
    n = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    end = _LENGTH_BYTES + n
    # Exactly one total per length: more padding than needed would be a channel its sender can modulate.
    if len(padded) != padded_bytes(n):
        raise BadPadding("the size does not fit the length")
    if any(padded[end:]):
        raise BadPadding("the padding is not zero")
    return padded[_LENGTH_BYTES:end]
