"""What one address may ask for, and how much waits in memory. Quotas on streams: `relay.Quotas`."""

from __future__ import annotations

from typing import Final

import msgspec

from eigenkring_server.relay import MIB

# Addresses remembered at once: someone with a whole network of them costs this much memory and no more.
_MOST_ADDRESSES: Final = 20_000


class Limits(msgspec.Struct, frozen=True):
    """Settings of a relay. Rates are per address and second, bursts are what a bucket holds."""

    frames_per_second: float = 200.0
    frames_burst: float = 4_000.0
    opens_per_second: float = 5.0
    opens_burst: float = 1_000.0
    # Frames that manage a stream keep a bucket of their own: who shares an address with a flood can still turn a lock.
    manage_per_second: float = 20.0
    manage_burst: float = 400.0
    waiting_frames: int = 4_096
    waiting_bytes: int = 64 * MIB
    frames_in_flight: int = 64
    follows_per_connection: int = 4_096
    follower_bytes: int = 4 * MIB
    follower_pushes: int = 2_048
    connections: int = 20_000
    # WebSockets of one address, and as many requests under way. A street behind one address has fewer phones.
    connections_per_address: int = 500
    # How long the head of a request may take, and all of it: eight megabytes from a slow phone.
    head_seconds: float = 15.0
    request_seconds: float = 300.0


class Bucket:
    """Tokens that come back with time. The clock is an argument."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens = burst
        self._at = now

    def take(self, amount: float, rate: float, burst: float, now: float) -> bool:
        self._tokens = min(burst, self._tokens + max(0.0, now - self._at) * rate)
        self._at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True


class _Address:
    __slots__ = ("frames", "manage", "opens")

    def __init__(self, limits: Limits, now: float) -> None:
        self.frames = Bucket(limits.frames_burst, now)
        self.opens = Bucket(limits.opens_burst, now)
        self.manage = Bucket(limits.manage_burst, now)


class Tolls:
    """The buckets of every address seen lately, kept in memory and nowhere else."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._addresses: dict[str, _Address] = {}

    def frame(self, address: str, now: float) -> bool:
        """Before a frame is decoded. A refusal is not final: what manages may draw on the reserve."""
        limits = self._limits
        return self._of(address, now).frames.take(1, limits.frames_per_second, limits.frames_burst, now)

    def reserve(self, address: str, now: float) -> bool:
        limits = self._limits
        return self._of(address, now).manage.take(1, limits.manage_per_second, limits.manage_burst, now)

    def opens(self, address: str, count: int, now: float) -> bool:
        limits = self._limits
        return self._of(address, now).opens.take(count, limits.opens_per_second, limits.opens_burst, now)

    def _of(self, address: str, now: float) -> _Address:
        known = self._addresses.get(address)
        if known is None:
            if len(self._addresses) >= _MOST_ADDRESSES:
                # The longest known goes: it begins again with full buckets, which is the smaller harm.
                self._addresses.pop(next(iter(self._addresses)))
            known = self._addresses[address] = _Address(self._limits, now)
        return known


class Doors:
    """How many connections each address holds open now. Kept in memory and nowhere else."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.connections_per_address
        self._open: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """False where the address has as many as it may."""
        if self._open.get(address, 0) >= self._most:
            return False
        self._open[address] = self._open.get(address, 0) + 1
        return True

    def leave(self, address: str) -> None:
        left = self._open[address] - 1
        if left:
            self._open[address] = left
        else:
            del self._open[address]


class Waiting:
    """How much is queued for the writer. Appends stop at the limit, what manages at twice the limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames = 0
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        return self._frames == 0

    @property
    def frames(self) -> int:
        return self._frames

    def enter(self, size: int, manages: bool) -> bool:
        reserve = 2 if manages else 1
        if (
            self._frames >= self._limits.waiting_frames * reserve
            or self._bytes + size > self._limits.waiting_bytes * reserve
        ):
            return False
        self._frames += 1
        self._bytes += size
        return True

    def leave(self, size: int) -> None:
        self._frames -= 1
        self._bytes -= size
