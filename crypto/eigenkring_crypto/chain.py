"""The running hash of a stream (docs/spec/streams.md, A stream)."""

from eigenkring_crypto.kdf import HASH_BYTES, label, sha256, stream_id


def first(stream: bytes) -> bytes:
    """`chain(0)`, 32 bytes: it holds the stream id, so no two streams have a chain value in common."""
    return sha256(label("chain"), stream_id(stream))


def extend(chain: bytes, record: bytes) -> bytes:
    """`chain(n)` from `chain(n-1)` and record n as received. Two fixed-size hashes, so nothing can be read
    two ways.
    """
    if len(chain) != HASH_BYTES:
        raise ValueError("a chain value is 32 bytes")
    return sha256(chain, sha256(record))
