"""What came of one record, or of all of them again. Spec: docs/spec/part.md (Fold)."""

from __future__ import annotations

import msgspec

from eigenkring.errors import Inadmissible


class Refusal(msgspec.Struct, frozen=True):
    """``device`` only where its signature vouches for what was refused; ``change`` None: the whole record."""

    code: str
    device: bytes | None
    change: bytes | None

    @classmethod
    def of(cls, record: Inadmissible) -> Refusal:
        return cls(record.code, None if record.device is None else bytes.fromhex(record.device), None)


class Verdict(msgspec.Struct):
    admitted: list[bytes] = []  # hashes, in order
    refused: list[Refusal] = []
    waits: bool = False  # for a charter entry that was not read yet
    unchecked: bool = False  # what its author saw lies before base
    false_before_base: list[bytes] = []  # devices whose word about what lies before base this device knows false
    started_over: bool = False  # a snapshot was taken: it stands for all before it
    set_aside: bool = False  # a kind of a newer version
    voided: list[bytes] = []  # hashes that were admitted before and are not any more
    give_back: list[bytes] = []  # payloads of edit records that a snapshot left out, dependencies first
    rebuilt: bool = False  # the engine is a new one
    fresh: list[bytes] = []  # raw changes that the engine did not hold yet
