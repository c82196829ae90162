"""How a record lies in SQLite so that deleting it erases it.

`secure_delete` zeroes a page that is freed. But where SQLite balances a tree it moves cells between leaf pages and
leaves copies in the gaps, and when the row is deleted later those copies stay: tests/relay/test_relay_close.py finds
them in a plain table. Overflow pages belong to one row and are freed whole. So each record lies on overflow pages only.

By the file format (sqlite.org/fileformat2.html, "cell payload overflow pages"), of a payload of P bytes in a table leaf
with U usable bytes on a page, exactly the first M stay on the leaf when P - M is a multiple of U - 4. So M other bytes lead
(the running hash at the record, which gives away nothing of it, and zeros), and zeros at the end fill up.
"""

from __future__ import annotations

from typing import Final

PAGE_SIZE: Final = 1024
CHAIN_BYTES: Final = 32
_USABLE: Final = PAGE_SIZE
ON_LEAF: Final = (_USABLE - 12) * 32 // 255 - 23
_PER_PAGE: Final = _USABLE - 4


def _varint_bytes(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)


def wrap(record: bytes, chain: bytes) -> bytes:
    """The value of a row of one blob column whose every byte of ``record`` is off the leaf, and ``chain`` first on it."""
    pages = max(1, -(-(len(record) + 3) // _PER_PAGE))
    while True:
        payload = ON_LEAF + pages * _PER_PAGE
        # The payload is the row's header (its own length in one byte, the blob's type as a varint), then the blob.
        for type_bytes in (2, 3, 4):
            size = payload - 1 - type_bytes
            if _varint_bytes(2 * size + 12) == type_bytes and size >= ON_LEAF + len(record):
                return chain.ljust(ON_LEAF, b"\0") + record + bytes(size - ON_LEAF - len(record))
        pages += 1


def unwrap(value: bytes, size: int) -> bytes:
    return value[ON_LEAF : ON_LEAF + size]
