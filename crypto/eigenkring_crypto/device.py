"""The keys of one device in one case (docs/spec/seal.md, Keys grown from a seed)."""

from typing import Self

from eigenkring_crypto.box import BoxKey
from eigenkring_crypto.errors import BadKey
from eigenkring_crypto.kdf import SECRET_BYTES, derive
from eigenkring_crypto.sign import SigningKey


class DeviceKeys:
    """`sign`, a SigningKey, and `box`, a BoxKey, both grown from one 32-byte seed.

    A seed of its own per case, so that nobody can tell that two cases have one phone.
    """

    __slots__ = ("box", "sign")

    def __init__(self, sign: SigningKey, box: BoxKey) -> None:
        self.sign = sign
        self.box = box

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Grows both keys. BadKey unless the seed is 32 bytes."""
        if len(seed) != SECRET_BYTES:
            raise BadKey("a device seed is 32 bytes")
        return cls(SigningKey.from_seed(derive(seed, "device sign")), BoxKey.from_seed(derive(seed, "device kem")))

    def __repr__(self) -> str:
        return f"DeviceKeys(sign={self.sign.public.hex()})"
