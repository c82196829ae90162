"""How a record lies in SQLite so that deleting it erases it.

`secure_delete` zeroes a page that is freed. But where SQLite balances a tree it moves cells between leaf pages and
leaves copies in the gaps, and when the row is deleted later those copies stay: tests/relay/test_relay_close.py finds
them in a plain table. Overflow pages belong to one row and are freed whole. So each record lies on overflow pages only.

By the file format (sqlite.org/fileformat2.html, "cell payload overflow pages"), of a payload of P bytes in a table leaf
with U usable bytes on a page, exactly the first M stay on the leaf when P - M is a multiple of U - 4. So M other bytes lead
(the running hash at the record, which gives away nothing of it, and zeros), and zeros at the end fill up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

PAGE_SIZE: Final = 1024
CHAIN_BYTES: Final = 32
_USABLE: Final = PAGE_SIZE
ON_LEAF: Final = (_USABLE - 12) * 32 // 255 - 23
_PER_PAGE: Final = _USABLE - 4
_REST_OF_LEAF: Final = bytes(ON_LEAF - CHAIN_BYTES)


def _varint_bytes(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)


def wrap(record: bytes, chain: bytes) -> bytes:
    """The value of a row of one blob column whose every byte of ``record`` is off the leaf, and ``chain`` first on it."""
    return b"".join((chain, _REST_OF_LEAF, record, bytes(_filling(len(record)))))


@lru_cache(4_096)
def _filling(record_bytes: int) -> int:
    """How many zeros follow a record of this size. Sizes are few: records are padded before they come here."""
    pages = max(1, -(-(record_bytes + 3) // _PER_PAGE))
    while True:
        payload = ON_LEAF + pages * _PER_PAGE
        # The payload is the row's header (its own length in one byte, the blob's type as a varint), then the blob.
        for type_bytes in (2, 3, 4):
            size = payload - 1 - type_bytes
            if _varint_bytes(2 * size + 12) == type_bytes and size >= ON_LEAF + record_bytes:
                return size - ON_LEAF - record_bytes
        pages += 1


def unwrap(value: bytes, size: int) -> bytes:
    return value[ON_LEAF : ON_LEAF + size]
