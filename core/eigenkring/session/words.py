"""Own changes that lie in the outbox unsigned, until they go. Why: ``packing``."""

from __future__ import annotations

import msgspec

from eigenkring.store import OutboxItem


class Words(msgspec.Struct, array_like=True, frozen=True):
    """Own changes that nobody else has seen, made in one incarnation, in their order. ``day``: claimed of when they were made."""

    incarnation: bytes
    day: int | None
    changes: list[bytes]


def pack_words(words: Words) -> bytes:
    """For the outbox, in the place of a record."""
    return msgspec.msgpack.encode(words)


def unsigned(item: OutboxItem) -> Words | None:
    """What an item of the outbox holds unsigned; ``None`` where it is something else."""
    if item.stream is None or item.record is not None:
        return None
    return msgspec.msgpack.decode(item.ops, type=Words)
