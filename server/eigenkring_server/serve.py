"""Run a relay: refuse what is unsafe, listen, say where, and on a signal answer what was taken in before stopping."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from litestar import Litestar

from eigenkring import wire
from eigenkring.errors import Misuse
from eigenkring_server import logs, pauses
from eigenkring_server.app import create_app
from eigenkring_server.data_folder import lock, prepare, unusable
from eigenkring_server.limits import Limits
from eigenkring_server.line import Line
from eigenkring_server.patience import make_room, most_at_once, patient
from eigenkring_server.pwa import strict
from eigenkring_server.relay import MIB, Quotas
from eigenkring_server.schema import check

DRAIN_SECONDS: Final = 10.0
SHORTEST_TOKEN: Final = 16


def run(
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8440,
    pwa_dir: Path | None = None,
    admission_token: str | None = None,
    *,
    anyone_may_open: bool = False,
    trusted_proxy: str | None = None,
    quotas: Quotas | None = None,
    limits: Limits | None = None,
    metrics: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Blocks until a signal. Raises ``Misuse``: ``unsafe_setting``, ``bad_argument``. ``ready`` gets the address once the relay listens; ``port`` 0 takes a free one."""
    refuse_unsafe(data_dir, host, pwa_dir, admission_token, anyone_may_open, trusted_proxy, metrics)
    # Before any file is made: nobody else on this machine reads them.
    os.umask(0o077)
    prepare(data_dir)
    _refuse_taken(host, port)
    # The writer gives the interpreter away at every statement. While the loop is busy it would wait 5 ms to have it
    # back, ten times for one group.
    sys.setswitchinterval(0.001)
    logs.start()
    limits = limits or Limits()
    make_room(limits)
    with lock(data_dir):
        check(data_dir)
        app = create_app(
            data_dir,
            pwa_dir=pwa_dir,
            admission_token=admission_token,
            quotas=quotas,
            limits=limits,
            metrics=metrics,
        )
        config = uvicorn.Config(
            logs.logged(strict(app)),
            host=host,
            port=port,
            loop="asyncio",
            http=patient(limits, trusted_proxy),
            limit_concurrency=most_at_once(limits),
            ws=Line,
            # A frame somewhat too long still gets its code; a longer one ends the connection (1009).
            ws_max_size=wire.MAX_FRAME_BYTES + MIB,
            # Ciphertext does not compress, and the compressor of each connection would cost 256 KiB.
            ws_per_message_deflate=False,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            # Without a proxy an address in a header is whatever the caller likes.
            proxy_headers=trusted_proxy is not None,
            forwarded_allow_ips=trusted_proxy or "",
            timeout_graceful_shutdown=int(DRAIN_SECONDS),
        )
        try:
            _Server(config, app, ready).run()
        except SystemExit:  # so the server ends where its start failed, and its words are in no log
            if app.state.get("failure") is None:
                raise
        failure = app.state.get("failure")
        if failure is not None:
            raise unusable(failure) from None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: Litestar, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        pauses.begin()
        if self.started and self._ready is not None:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nothing new is taken in, what was taken in is answered, and only then are the connections closed."""
        await self._app.state.frames.drain(DRAIN_SECONDS)
        await super().shutdown(sockets)


def refuse_unsafe(
    data_dir: Path,
    host: str,
    pwa_dir: Path | None,
    admission_token: str | None,
    anyone_may_open: bool,
    trusted_proxy: str | None,
    metrics: bool = False,
) -> None:
    """Raises ``Misuse("unsafe_setting")``."""
    if not _is_loopback(host) and admission_token is None and not anyone_may_open:
        raise Misuse(
            "unsafe_setting",
            f"others can reach {host}: set EIGENKRING_TOKEN to {SHORTEST_TOKEN} or more characters, so that only who has "
            "it can start a case here, or say --anyone-may-open; or leave --host out, and put a proxy with TLS in front",
        )
    if admission_token is not None and not SHORTEST_TOKEN <= len(admission_token) <= wire.MAX_TOKEN_CHARS:
        raise Misuse("unsafe_setting", f"a token has {SHORTEST_TOKEN} to {wire.MAX_TOKEN_CHARS} characters")
    if metrics and not _is_loopback(host):
        raise Misuse("unsafe_setting", "metrics are served on a loopback address only: leave --host out, or --metrics")
    if trusted_proxy is not None and "*" in trusted_proxy:
        raise Misuse("unsafe_setting", "name the proxy: whoever may be one can choose any address")
    if pwa_dir is not None:
        data, pwa = data_dir.resolve(), pwa_dir.resolve()
        if data == pwa or data in pwa.parents or pwa in data.parents:
            raise Misuse("unsafe_setting", "the app's folder and the relay's data may not lie in each other")


def _refuse_taken(host: str, port: int) -> None:
    """Raises ``Misuse("bad_argument")``. The server itself says it to its log only, which keeps no words."""
    try:
        for family, kind, proto, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, proto) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise Misuse("bad_argument", f"cannot listen on {host} port {port}: {error.strerror}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
