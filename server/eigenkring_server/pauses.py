"""When the interpreter looks for cycles among everything there is: seldom, because the relay stands still meanwhile.

By itself it does so whenever a quarter more lives than at the last time. With 5,000 devices connected that is 0.4 s each
time, and an edit that comes then waits as long (docs/decisions/relay-speed.md). What lives shortly is still looked through as
ever. A connection that ended is let go of at once but for some forty small objects, so those may become many.
"""

from __future__ import annotations

import gc
from typing import Final

_NEVER: Final = 1_000_000_000
# Of what was just made, where 700 is Python's own choice: two milliseconds, and most of it is gone again before it is looked at.
_YOUNG: Final = 10_000
# So many connections may have ended, or as many as are open: some 25 MB of what is left of them.
_ENDED: Final = 5_000


def begin() -> None:
    """Once, when all is loaded: that is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 1, _NEVER)


class Ended:
    """Counts connections that ended since everything was looked through."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, still_open: int) -> None:
        self._count += 1
        if self._count >= max(_ENDED, still_open):
            self._count = 0
            gc.collect()
