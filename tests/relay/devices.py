"""A stream's capabilities as a device holds them, and the two ways to send a frame. Nothing here is encrypted: a relay cannot tell."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import ClientConnection, connect

from eigenkring import wire


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def chain_of(stream: bytes, *records: bytes) -> bytes:
    """Written again here, from the specification."""
    chain = digest(b"eigenkring/1 chain\x00" + stream)
    for record in records:
        chain = digest(chain + digest(record))
    return chain


@dataclass(frozen=True)
class Keys:
    id: bytes = field(default_factory=lambda: os.urandom(16))
    read: bytes = field(default_factory=lambda: os.urandom(32))
    append: bytes = field(default_factory=lambda: os.urandom(32))
    manage: bytes = field(default_factory=lambda: os.urandom(32))

    @property
    def hashes(self) -> tuple[bytes, bytes, bytes]:
        return digest(self.read), digest(self.append), digest(self.manage)

    def opening(self, expires: int | None = None) -> wire.Open:
        return wire.Open(self.id, *self.hashes, expires)

    def appending(self, record: bytes, expect: bytes | None = None) -> wire.Append:
        return wire.Append(self.id, self.append, record, expect)

    def reading(self, after: int = 0, max_bytes: int = wire.MAX_FRAME_BYTES) -> wire.Read:
        return wire.Read(self.id, self.read, after, max_bytes)

    def following(self, after: int = 0, max_bytes: int = wire.MAX_FRAME_BYTES) -> wire.Follow:
        return wire.Follow(self.id, self.read, after, max_bytes)

    def turned(self) -> Keys:
        """Other capabilities for the same stream."""
        return Keys(self.id)

    def rekeying(self, to: Keys) -> wire.Rekey:
        return wire.Rekey(self.id, self.manage, *to.hashes)

    def replacing(self, record: bytes, expect: bytes) -> wire.Replace:
        return wire.Replace(self.id, self.manage, expect, record)

    def closing(self) -> wire.Close:
        return wire.Close(self.id, self.manage)


def post_bytes(url: str, body: bytes, content_type: str = wire.CONTENT_TYPE) -> httpx.Response:
    return httpx.post(f"{url}/v1/exchange", content=body, headers={"content-type": content_type}, timeout=300)


def post(url: str, *ops: wire.Operation, atomic: bool = False, token: str | None = None) -> list[wire.Result]:
    request = wire.Request(1, list(ops), atomic, token)
    return wire.decode_reply(post_bytes(url, wire.encode(request)).content, request).results


class Socket:
    """One connection. Pushes that come while a reply is awaited are kept in ``pushes``."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pushes: list[wire.PushedRecord | wire.PushedEvent] = []
        self._ids = itertools.count(1)

    async def send(self, *ops: wire.Operation, atomic: bool = False, token: str | None = None) -> wire.Request:
        request = wire.Request(next(self._ids), list(ops), atomic, token)
        await self.connection.send(wire.encode(request))
        return request

    async def ask(self, *ops: wire.Operation, atomic: bool = False) -> list[wire.Result]:
        return await self.answer_to(await self.send(*ops, atomic=atomic))

    async def answer_to(self, request: wire.Request) -> list[wire.Result]:
        while True:
            frame = await self.frame()
            if isinstance(frame, wire.PushedRecord | wire.PushedEvent):
                self.pushes.append(frame)
                continue
            assert isinstance(frame, wire.Answer), frame
            assert frame.id == request.id
            return wire.results_of(frame, request.ops)

    async def frame(self) -> wire.FromRelay:
        data = await self.connection.recv()
        assert isinstance(data, bytes)
        return wire.decode_from_relay(data)

    async def push(self) -> wire.PushedRecord | wire.PushedEvent:
        if self.pushes:
            return self.pushes.pop(0)
        frame = await self.frame()
        assert isinstance(frame, wire.PushedRecord | wire.PushedEvent), frame
        return frame


@asynccontextmanager
async def socket_to(sync_url: str) -> AsyncIterator[Socket]:
    async with connect(sync_url, compression=None, max_size=None, proxy=None) as connection:
        yield Socket(connection)
