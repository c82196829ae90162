"""The running hash of a stream, and the digests that stand for records and capabilities. hashlib only."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

_LABEL: Final = b"eigenkring/1 chain\x00"


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def start(stream: bytes) -> bytes:
    """``chain(0) = H(L("chain") || stream)``: two empty streams differ already."""
    return digest(_LABEL + stream)


def extend(chain: bytes, record_digest: bytes) -> bytes:
    """``chain(n) = H(chain(n-1) || H(record n))``."""
    return digest(chain + record_digest)


def matches(capability: bytes, stored: bytes) -> bool:
    """Constant time: how long a wrong capability takes tells nothing about the right one."""
    return hmac.compare_digest(digest(capability), stored)
