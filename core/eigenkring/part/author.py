"""Making records of own changes. Spec: docs/spec/part.md (Edit record)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from eigenkring.part.attestation import sign_attestation
from eigenkring.part.ledger import MAX_EDIT_BYTES
from eigenkring.part.record import MAX_CHANGES, make_edit
from eigenkring.part.rights import actor_of, cut_line, tag_of
from eigenkring_crypto.sign import SigningKey

__all__ = ["actor_of", "batches", "change_hash", "cut_line", "make_edit_record", "make_edit_records", "tag_of"]


def change_hash(raw: bytes) -> bytes:
    """Of a change that passed the door: its name in the document."""
    return hashlib.sha256(memoryview(raw)[8:]).digest()


def make_edit_record(
    key: SigningKey,
    stream: bytes,
    *,
    device: bytes,
    epoch: int,
    head: bytes,
    length: int,
    chain: bytes,
    changes: Sequence[bytes],
    day: int | None = None,
) -> bytes:
    """The payload for changes of one actor, the newest last: the signature reaches the others through it."""
    att = sign_attestation(
        key,
        stream,
        device=device,
        epoch=epoch,
        head=head,
        length=length,
        chain=chain,
        newest=change_hash(changes[-1]),
        day=day,
    )
    return make_edit(att, changes)


def make_edit_records(
    key: SigningKey,
    stream: bytes,
    *,
    device: bytes,
    epoch: int,
    head: bytes,
    length: int,
    chain: bytes,
    changes: Sequence[bytes],
    day: int | None = None,
) -> list[bytes]:
    """As many records as the changes need; each stands on its own, so a lost one takes no earlier one with it."""
    return [
        make_edit_record(
            key,
            stream,
            device=device,
            epoch=epoch,
            head=head,
            length=length,
            chain=chain,
            changes=some,
            day=day,
        )
        for some in batches(changes)
    ]


def batches(changes: Sequence[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for raw in changes:
        if batch and (len(batch) == MAX_CHANGES or size + len(raw) > MAX_EDIT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield batch
