"""What the fold of a part asks of the charter, and where a departed device's changes end. Spec: docs/spec/part.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from eigenkring.errors import Inadmissible
from eigenkring.ids import DeviceId, EntryHash, StreamId
from eigenkring_crypto.kdf import hmac, label, sha256

ACTOR_BYTES = 24
INCARNATION_BYTES = 8
TAG_BYTES = 16


class CutLines(Protocol):
    """How far the changes of devices that left were admitted when a room was turned. ``read_epoch`` says whose S
    made the tags and marks.
    """

    @property
    def read_epoch(self) -> int: ...
    @property
    def actors(self) -> Mapping[bytes, tuple[int, bytes]]: ...


class DeviceKey(Protocol):
    @property
    def sign(self) -> bytes: ...


class Rights(Protocol):
    """The charter, as far as a part asks it. ``n`` is the number of entries; ``devices`` all that ever belonged."""

    @property
    def n(self) -> int: ...
    @property
    def devices(self) -> Mapping[DeviceId, DeviceKey]: ...
    @property
    def cuts(self) -> Mapping[StreamId, Sequence[CutLines]]: ...
    def head_index(self, head: EntryHash, /) -> int | None: ...
    def epoch_at(self, room: str, n: int, /) -> int | None: ...
    def wrote_in_epoch(self, device: DeviceId, room: str, epoch: int, /) -> bool: ...
    def cut_for(self, stream: StreamId, device: DeviceId, epoch: int, /) -> CutLines | None: ...


def tag_of(stream: bytes, device: bytes) -> bytes:
    """The first 16 bytes of every actor of this device in this part: it says nothing in another part."""
    return sha256(label("actor"), stream, device)[:TAG_BYTES]


def actor_of(stream: bytes, device: bytes, incarnation: bytes) -> bytes:
    if len(incarnation) != INCARNATION_BYTES:
        raise ValueError("an incarnation is 8 bytes")
    return tag_of(stream, device) + incarnation


def cut_line(secret: bytes, actor: bytes, seq: int, change: bytes) -> tuple[bytes, int, bytes]:
    """One line of a cut: everything of this actor after this change is void."""
    return hmac(secret, "cut actor", actor)[:TAG_BYTES], seq, hmac(secret, "cut", change)


def check_cut(cut: CutLines | None, secret: bytes | None, actor: bytes, seq: int, change: bytes) -> None:
    """Raises ``behind_cut``. Who left keeps the old key and may still sign for the epoch that ended: without
    this such changes would be admitted for ever, by whoever brings them to the relay.
    """
    if cut is None:
        return
    # Whoever reads the part has every earlier S. Where one is missing, no is the answer that lets nobody in.
    if secret is None:
        raise Inadmissible("behind_cut")
    line = cut.actors.get(hmac(secret, "cut actor", actor)[:TAG_BYTES])
    if line is None or change_is_behind(secret, line, seq, change):
        raise Inadmissible("behind_cut")


def change_is_behind(secret: bytes, line: tuple[int, bytes], seq: int, change: bytes) -> bool:
    last, mark = line
    # At the last sequence the mark decides which of two variants was admitted.
    return seq > last or (seq == last and hmac(secret, "cut", change) != mark)
