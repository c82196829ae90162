"""Names for byte strings, so that a type checker tells them apart. Sizes: docs/spec/conventions.md."""

from __future__ import annotations

from typing import NewType

CaseId = NewType("CaseId", bytes)  # 16, the id of the charter's stream
StreamId = NewType("StreamId", bytes)  # 16
PersonId = NewType("PersonId", bytes)  # 8
DeviceId = NewType("DeviceId", bytes)  # 16, a hash of the device's two public keys
GrantId = NewType("GrantId", bytes)  # 16
InvitationId = NewType("InvitationId", bytes)  # 16
EntryHash = NewType("EntryHash", bytes)  # 32, identifies a charter state
Chain = NewType("Chain", bytes)  # 32, running hash of a stream
RecordBytes = NewType("RecordBytes", bytes)  # sealed
RoomSecret = NewType("RoomSecret", bytes)  # 32, of one room in one epoch
Capability = NewType("Capability", bytes)  # 32
CapabilityHash = NewType("CapabilityHash", bytes)  # 32
