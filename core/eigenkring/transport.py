"""One round trip to a relay over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from eigenkring import wire
from eigenkring.errors import Refused, RelayMisbehaved, Unreachable

if TYPE_CHECKING:
    import httpx


class Transport(Protocol):
    """What sync needs of a relay: one exchange, one answer."""

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply: ...
    def close(self) -> None: ...


class NoRelayHere(RelayMisbehaved):
    """Another program answers at that address."""


class HttpTransport:
    """POST ``/v1/exchange``. One client, and so one connection, per case: a relay must not see which cases belong together.

    Raises ``Unreachable`` (offline, timed_out), ``Refused`` (the frame), ``RelayMisbehaved`` (relay_garbage).
    """

    def __init__(self, relay: str, *, timeout_seconds: float = 30.0, token: str | None = None) -> None:
        self._relay = relay
        self._timeout_seconds = timeout_seconds
        self._token = token
        self._id = 0
        self.relay_time: int | None = None

    @cached_property
    def _client(self) -> httpx.Client:
        """Made when something is asked of the relay: to read a case nobody needs it, and loading it takes as long as that."""
        import httpx

        return httpx.Client(
            base_url=self._relay,
            timeout=httpx.Timeout(self._timeout_seconds, connect=10.0),
            follow_redirects=False,  # a redirect would carry capabilities to another host
            headers={"content-type": wire.CONTENT_TYPE},
            trust_env=False,
        )

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        import httpx

        self._id = (self._id + 1) & 0xFFFF_FFFF
        request = wire.Request(self._id, list(ops), atomic, self._token)
        try:
            response = self._client.post("/v1/exchange", content=wire.encode(request))
        except httpx.TimeoutException:
            raise Unreachable("timed_out", "the relay did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            # Also a name that cannot be one: what another typed into a link must not end a whole sync.
            raise Unreachable("offline", "the relay cannot be reached") from None
        self.relay_time = _seconds(response.headers.get("date"))
        if len(response.content) > 4 * wire.MAX_FRAME_BYTES:
            raise RelayMisbehaved("relay_garbage", "the relay answered too much")
        if response.headers.get("content-type", "").split(";")[0] != wire.CONTENT_TYPE:
            if response.status_code in (429, 503):
                raise Refused("busy" if response.status_code == 503 else "slow_down")
            if response.status_code in (502, 504):
                raise Unreachable("offline", "no relay answers behind this address")
            raise NoRelayHere("relay_garbage", f"the relay answered HTTP {response.status_code}")
        return wire.decode_reply(response.content, request)

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()


def time_of(transport: Transport) -> int | None:
    """The relay's clock at its newest answer, in seconds since 1970; None where it says none. Nobody signed it."""
    return getattr(transport, "relay_time", None)


def _seconds(date: str | None) -> int | None:
    try:
        return None if date is None else max(0, int(parsedate_to_datetime(date).timestamp()))
    except (ValueError, OverflowError):
        return None


class NoTransport:
    """``--offline``: touches no network."""

    def exchange(self, ops: Sequence[wire.Operation], atomic: bool = False) -> wire.Reply:
        raise Unreachable("offline", "this command was asked to stay offline")

    def close(self) -> None:
        return None
