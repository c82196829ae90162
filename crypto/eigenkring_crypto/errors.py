"""Errors of the suite. Each leaf has a `code` that is part of the protocol and never changes
(docs/spec/seal.md).

Messages name what was checked, never a key, a plaintext or a secret: errors end up in logs and bug reports.
"""

from typing import ClassVar


class CryptoError(Exception):
    """The root of all errors that input from others can cause. Compare `code`: it is stable."""

    code: ClassVar[str] = "crypto_error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)


class Unopenable(CryptoError):
    """A record or box does not open. Wrong key, stream, epoch, context or bytes: one error, so nobody learns
    which.
    """

    code: ClassVar[str] = "unopenable"


class BadPadding(CryptoError):
    """What opened is not padded exactly as `pad` pads: free bytes would be a hidden channel."""

    code: ClassVar[str] = "bad_padding"


class BadSignature(CryptoError):
    """A signature does not hold for this key, name, stream and body."""

    code: ClassVar[str] = "bad_signature"


class BadKey(CryptoError):
    """A key, seed or secret has a wrong size, or is not a key anyone could own."""

    code: ClassVar[str] = "bad_key"


class BadCode(CryptoError):
    """A recovery code was mistyped: a symbol that does not exist, a wrong length, or a checksum that does not
    fit.
    """

    code: ClassVar[str] = "bad_code"


class FutureVersion(CryptoError):
    """The first byte names a version this program does not know. The record is set aside, never dropped."""

    code: ClassVar[str] = "future_version"
