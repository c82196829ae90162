"""A stream's secrets and the capabilities the relay asks for (docs/spec/streams.md, Secrets and
capabilities).

A capability derives from a secret and not the other way round: a relay that sees one cannot open anything
with it. All secrets and capabilities are 32 bytes; another size of secret is BadKey.
"""

from eigenkring_crypto.errors import BadKey
from eigenkring_crypto.kdf import SECRET_BYTES, derive, sha256, stream_id, u32


def read_secret(room_secret: bytes, stream: bytes) -> bytes:
    """S: opens the records of the stream, from the secret of the room that reads."""
    return _derive(room_secret, "read", stream_id(stream))


def write_secret(room_secret: bytes, stream: bytes) -> bytes:
    """W, from the secret of the room that writes."""
    return _derive(room_secret, "write", stream_id(stream))


def manage_secret(room_secret: bytes, stream: bytes) -> bytes:
    """M, from the secret of the room that manages."""
    return _derive(room_secret, "manage", stream_id(stream))


def read_capability(secret: bytes, stream: bytes, epoch: int) -> bytes:
    """Shown to the relay to read; from S and the epoch of the room that reads."""
    return _derive(secret, "read capability", stream_id(stream) + u32(epoch))


def append_capability(secret: bytes, stream: bytes, epoch: int) -> bytes:
    """Shown to the relay to append; from W and the epoch of the room that writes."""
    return _derive(secret, "append capability", stream_id(stream) + u32(epoch))


def manage_capability(secret: bytes, stream: bytes, epoch: int) -> bytes:
    """Shown to the relay to rekey, replace and close; from M and the epoch of the room that manages."""
    return _derive(secret, "manage capability", stream_id(stream) + u32(epoch))


def capability_hash(capability: bytes) -> bytes:
    """What the relay stores: plain SHA-256, so that the relay needs no label and no crypto of ours."""
    if len(capability) != SECRET_BYTES:
        raise BadKey("a capability is 32 bytes")
    return sha256(capability)


def _derive(secret: bytes, name: str, context: bytes) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise BadKey("a secret is 32 bytes")
    return derive(secret, name, context)
