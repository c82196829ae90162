"""Ed25519 signatures over a name, a stream and a body (docs/spec/seal.md, Signature)."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eigenkring_crypto.curve import ORDER, check_point, check_public
from eigenkring_crypto.errors import BadKey, BadSignature
from eigenkring_crypto.kdf import SECRET_BYTES, label, stream_id

PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class SigningKey:
    """An Ed25519 private key. `public` is its 32-byte public key. The private half cannot be read back or
    shown.
    """

    __slots__ = ("_private", "public")

    public: bytes

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte RFC 8032 seed. BadKey for another size."""
        if len(seed) != SECRET_BYTES:
            raise BadKey("a signing seed is 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


def sign(key: SigningKey, name: str, stream: bytes, body: bytes) -> bytes:
    """64 bytes over `L(name) || stream || body`. The stream is signed so that no record moves to another."""
    return key._private.sign(label(name) + stream_id(stream) + body)


def verify(public: bytes, name: str, stream: bytes, body: bytes, signature: bytes) -> None:
    """Returns when the signature holds; raises BadSignature for all else, wrong sizes and odd keys included.

    It returns nothing on purpose: a boolean can be forgotten. The verdict is that of the equation without
    cofactor (`encode([S]B - [k]A) == R`), after the checks of `curve` on A and R and S < L. What is left of
    the known differences: none for A; for an R with a small-order part a cofactored library would accept what
    we refuse. OpenSSL is cofactorless, WebCrypto has to be, and the vectors `verify_cofactored_*` tell.
    """
    message = label(name) + stream_id(stream) + body
    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature("a signature is 64 bytes")
    # S and S + L are both solutions: without this a signature has a twin, and a record a second hash.
    if int.from_bytes(signature[32:], "little") >= ORDER:
        raise BadSignature("a signature does not hold")
    try:
        # With a small-order key one signature fits many messages; with a small-order R it gives the key away.
        check_point(signature[:32])
        check_public(public)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (BadKey, InvalidSignature):
        raise BadSignature("a signature does not hold") from None
