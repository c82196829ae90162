"""What one device keeps, as a port. ``sqlite_store`` keeps it in a file; the browser has its own twin.

Every method is one step; steps inside ``with store.step():`` are one transaction: all of them are kept, or none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from eigenkring.ids import CaseId, Chain, DeviceId, EntryHash, GrantId, PersonId, RecordBytes, StreamId
from eigenkring.stream import Placed, Position

# Facts of this device that belong to no case lie under this id.
NO_CASE: Final = CaseId(bytes(16))


@dataclass(frozen=True, slots=True, repr=False)
class StoredCase:
    """One case on this device. ``state``: waiting (knocked), open, removed, closed."""

    case: CaseId
    relay: str
    state: str
    seed: bytes  # 32, this device's keys grow from it
    incarnation: bytes  # 8, of this store's life
    person: PersonId | None = None
    device: DeviceId | None = None
    keys_stream: StreamId | None = None
    keys_secret: bytes | None = None
    joined_head: EntryHash | None = None  # the entry that let this device in; its first keybag lies under it
    link: str | None = None  # while waiting: the link that was followed
    title: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class StoredGrant:
    """A view that this device may read, as its recipient. ``status``: waiting, open, withdrawn, ended."""

    grant: GrantId
    case: CaseId
    relay: str
    link: str
    seed: bytes
    name: str
    granter_key: bytes
    status: str
    until: int
    state_n: int = 0
    state: bytes = b""  # the newest accepted grant state (its signed body)
    version: int = 0
    view: bytes = b""  # the newest accepted view (its signed body)
    sender: str = ""  # who asked, from the greeting


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """Something to send: a sealed record for a stream (``ops`` empty); without a record own words of that stream that are not
    signed yet (``session.packing``); without a stream packed operations that are sent as they are."""

    number: int
    stream: StreamId | None
    record: RecordBytes | None
    ops: bytes = b""


@dataclass(frozen=True, slots=True)
class OwnChange:
    """What the person did, beside the change that says it, so that it can be made again (part.md)."""

    hash: bytes
    sequence: int
    intents: bytes  # JSON


@dataclass(frozen=True, slots=True)
class Alarm:
    code: str
    about: str
    at: int


class Store(Protocol):
    def step(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...

    def cases(self) -> list[StoredCase]: ...
    def case(self, case: CaseId) -> StoredCase | None: ...
    def put_case(self, row: StoredCase) -> None: ...

    def grants(self) -> list[StoredGrant]: ...
    def put_grant(self, row: StoredGrant) -> None: ...

    def room_secrets(self, case: CaseId) -> list[tuple[str, int, bytes]]: ...
    def put_room_secrets(self, case: CaseId, secrets: Iterable[tuple[str, int, bytes]]) -> None: ...
    def drop_room_secrets(self, case: CaseId, which: Iterable[tuple[str, int]]) -> None: ...
    def position(self, case: CaseId, stream: StreamId) -> Position | None: ...
    def chain_at(self, case: CaseId, stream: StreamId, index: int) -> Chain | None: ...
    def records(self, case: CaseId, stream: StreamId, after: int = 0) -> list[Placed]: ...
    def sizes(self, case: CaseId, stream: StreamId, after: int = 0) -> list[int]:
        """In bytes, of the records that ``records`` gives."""
        ...

    def put_records(self, case: CaseId, stream: StreamId, position: Position, placed: Iterable[Placed]) -> None:
        """Keep records and the place they lead to. Records up to ``position.base`` may be forgotten, chains are kept."""
        ...

    def replace_records(
        self, case: CaseId, stream: StreamId, position: Position, base_chain: Chain, placed: Iterable[Placed]
    ) -> None:
        """Another log of the stream in the place of the one that was kept: records and chains."""
        ...

    def forget_stream(self, case: CaseId, stream: StreamId) -> None: ...

    def outbox(self, case: CaseId) -> list[OutboxItem]: ...
    def add_outbox(
        self, case: CaseId, stream: StreamId | None, record: RecordBytes | None, ops: bytes = b""
    ) -> int: ...
    def drop_outbox(self, number: int) -> None: ...

    def own_changes(self, case: CaseId, stream: StreamId) -> list[OwnChange]: ...
    def own_hashes(self, case: CaseId, stream: StreamId) -> list[bytes]: ...
    def put_own_change(self, case: CaseId, stream: StreamId, change: OwnChange) -> None: ...
    def drop_own_change(self, case: CaseId, stream: StreamId, change_hash: bytes) -> None: ...

    def fact(self, case: CaseId, name: str) -> bytes | None:
        """A small thing this device remembers of a case, such as the generation it last saw."""
        ...

    def put_fact(self, case: CaseId, name: str, value: bytes | None) -> None: ...

    def alarms(self, case: CaseId) -> list[Alarm]: ...
    def put_alarm(self, case: CaseId, alarm: Alarm) -> None: ...
    def drop_alarm(self, case: CaseId, code: str, about: str) -> None: ...
    def erase_case(self, case: CaseId) -> None: ...
    def tidy(self) -> None:
        """Make what was deleted gone from the files too, not only from the tables."""
        ...
