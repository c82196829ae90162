"""A real relay in a process of its own, on a free port: `with live_relay(folder) as relay: relay.url`.

It is a fork of a process that has loaded what a relay loads and nothing else: loading took nine tenths of each start, and
a run starts hundreds. As a person types it, it is started in journeys/test_edges.py, test_wheel.py and the app's tests.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, Queue

from ports import free_port

# Tests come from one address and are not what the limits are for.
RELAXED: Mapping[str, float] = {
    "frames_per_second": 1_000_000,
    "frames_burst": 1_000_000,
    "opens_per_second": 1_000_000,
    "opens_burst": 1_000_000,
    "manage_per_second": 1_000_000,
    "manage_burst": 1_000_000,
    "connections_per_address": 1_000_000,
}
# A machine on which other tests run too took more than 30 to start a program.
START_SECONDS = 150.0
_READY = re.compile(r"^eigenkring relay on (http://\S+)$")
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["eigenkring_server.__main__"])


def _serve(arguments: list[str], environment: dict[str, str], out: Connection, err: Connection) -> None:
    from eigenkring_server.__main__ import main

    os.environ.clear()
    os.environ.update(environment)
    for pipe, number in ((out, 1), (err, 2)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.exit(main(arguments))


class LiveRelay:
    """``url`` is `http://127.0.0.1:PORT`, ``sync_url`` the WebSocket. ``lines`` is all it wrote, output and log."""

    def __init__(
        self,
        data_dir: Path,
        *,
        pwa_dir: Path | None = None,
        token: str | None = None,
        limits: Mapping[str, float] | None = None,
        more: Sequence[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self.url = ""
        self.lines: list[str] = []
        self._pwa_dir = pwa_dir
        self._token = token
        self._limits = {**RELAXED, **(limits or {})}
        self._more = more
        self._port = 0
        self._process: BaseProcess | None = None
        self._readers: list[threading.Thread] = []

    @property
    def sync_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/v1/sync"

    @property
    def pid(self) -> int:
        assert self._process is not None and self._process.pid is not None
        return self._process.pid

    def start(self) -> None:
        """A second start takes the port of the first, so that devices find it again."""
        self._port = self._port or free_port()
        command = ["--data", str(self.data_dir), "--port", str(self._port)]
        if self._pwa_dir is not None:
            command += ["--pwa", str(self._pwa_dir)]
        for name, value in self._limits.items():
            command += ["--limit", f"{name}={value}"]
        command += self._more
        environment = {key: value for key, value in os.environ.items() if key != "EIGENKRING_TOKEN"}
        if self._token is not None:
            environment["EIGENKRING_TOKEN"] = self._token
        pipes = [_LOADED.Pipe(duplex=False) for _ in range(2)]
        written = [writing for _, writing in pipes]
        self._process = _LOADED.Process(target=_serve, args=(command, environment, *written), daemon=True)
        self._process.start()
        for writing in written:
            writing.close()
        ready: Queue[str | None] = Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(reading, ready), daemon=True) for reading, _ in pipes
        ]
        for reader in self._readers:
            reader.start()
        try:
            url = ready.get(timeout=START_SECONDS)
        except Empty:
            url = None
        if url is None:
            self.kill()
            raise RuntimeError("the relay did not start:\n" + "\n".join(self.lines))
        self.url = url

    def kill(self) -> None:
        """SIGKILL: no handler runs, as when the power fails (the page cache stays, though)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.is_alive():
            os.kill(self.pid, how)
        self._process.join(timeout=150)
        assert self._process.exitcode is not None, "the relay does not end"
        for reader in self._readers:
            reader.join(timeout=300)
        self._process = None

    def _read(self, pipe: Connection, ready: Queue[str | None]) -> None:
        with pipe, open(pipe.fileno(), closefd=False) as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))
                if (found := _READY.match(line.rstrip("\n"))) is not None:
                    ready.put(found[1])
        # The end of either pipe before it was ready is the end of the process.
        ready.put(None)


@contextmanager
def live_relay(
    data_dir: Path,
    *,
    pwa_dir: Path | None = None,
    token: str | None = None,
    limits: Mapping[str, float] | None = None,
    more: Sequence[str] = (),
) -> Iterator[LiveRelay]:
    relay = LiveRelay(data_dir, pwa_dir=pwa_dir, token=token, limits=limits, more=more)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
