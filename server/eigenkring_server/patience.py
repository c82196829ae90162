"""How long the relay waits for a request to arrive: who sends it drop by drop must not hold what others need."""

from __future__ import annotations

import asyncio
import resource
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from eigenkring_server.limits import Doors, Limits

# For the store, the log, the app's files while they are read, and what is just being closed.
_OTHER_FILES: Final = 256
# Beside the WebSockets that are held open: requests that come and go.
_REQUESTS: Final = 1_024
_TOO_MANY: Final = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def patient(limits: Limits, trusted_proxy: str | None = None) -> type[H11Protocol]:
    """uvicorn's HTTP protocol with two more clocks, for the head of a request and for all of it, and so many connections
    of one address as it may have. A proxy has as many as it likes: whom it speaks for is counted at the WebSocket."""
    doors, proxies = Doors(limits), frozenset((trusted_proxy or "").replace(" ", "").split(","))

    class Patient(H11Protocol):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._clock: asyncio.TimerHandle | None = None
            self._awaits: object = None
            self._upgraded = False
            self._address: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            peer = transport.get_extra_info("peername")
            address = str(peer[0]) if isinstance(peer, tuple) else ""
            if address and address not in proxies:
                if not doors.enter(address):
                    transport.write(_TOO_MANY)
                    transport.close()
                    return
                self._address = address
            self._wait_for(h11.IDLE)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            state = self.conn.their_state
            waits = state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0])
            self._wait_for(state if waits and not self._upgraded else None)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._upgraded = True
            self._leave()
            super().handle_websocket_upgrade(event)

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait_for(None)
            self._leave()
            super().connection_lost(exc)

        def _leave(self) -> None:
            if self._address is not None:
                doors.leave(self._address)
                self._address = None

        def _wait_for(self, state: object) -> None:
            """A clock that runs goes on: another byte buys no time."""
            if state is self._awaits:
                return
            if self._clock is not None:
                self._clock.cancel()
            self._awaits, self._clock = state, None
            if state is not None:
                seconds = limits.head_seconds if state is h11.IDLE else limits.request_seconds
                self._clock = self.loop.call_later(seconds, self.transport.abort)

    return Patient


def most_at_once(limits: Limits) -> int:
    """How many connections may be open. Beyond it HTTP is answered 503."""
    return limits.connections + _REQUESTS


def make_room(limits: Limits) -> None:
    """As many open files as the connections need, where the system allows it: 1,024 is what most begin with."""
    wanted = most_at_once(limits) + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
