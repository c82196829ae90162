"""Ports for what is started by a number, or comes back on the one it had.

Below those that a system gives to connections by itself: one of these may be some client's by the time that a relay which
was stopped wants it again, and then the relay does not start.
"""

from __future__ import annotations

import os
import random
import socket

_FIRST, _LAST = 20_000, 32_000
# Workers of one run never try the same.
_OWN = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0) % 4
_given: set[int] = set()
# Of its own: Hypothesis and tests set the seed of the common one.
_chance = random.Random()


def free_port() -> int:
    """On 127.0.0.1. Never twice the same: who is stopped for a while keeps its own."""
    while True:
        port = _FIRST + 4 * _chance.randrange((_LAST - _FIRST) // 4) + _OWN
        if port in _given:
            continue
        _given.add(port)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
