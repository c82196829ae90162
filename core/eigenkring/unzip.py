"""The files of a zip, by their place in it: what the app made of a case, or what a computer made of the folder again. Of
everything a zip can say only what that takes; the rest is refused, so that a file from anywhere cannot fill a device.

Read here and not by ``zipfile``: that believes a list of millions of files, cuts names at a zero, and takes what comes after the
size that was said. Mirror of pwa/src/app/unzip.ts: both refuse the same. Spec: docs/spec/export.md.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from eigenkring.errors import Inadmissible, Misuse
from eigenkring.exported import refused

MOST_BYTES: Final = 256 * 1_048_576
MOST_FILES: Final = 10_000
_END: Final = b"PK\x05\x06"
_MOST_COMMENT: Final = 0xFFFF
# What the end says: how many files, and where their list begins.
_ENDING: Final = struct.Struct("<4s6xH4xI2x")
# Of a file in the list: flags, method, date (not read), checksum, sizes, lengths of what follows, place of its head.
_LISTED: Final = struct.Struct("<4s4xHH4xIIIHHH8xI")
_HEAD: Final = struct.Struct("<4s22xHH")
_ENCRYPTED: Final = 1
_STORED, _DEFLATED = 0, 8
# What some computers put beside the files of a folder when they pack it.
_BESIDE: Final = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$)")


class _Entry(NamedTuple):
    method: int
    crc: int
    packed: int
    size: int
    head: int


def unzip(path: Path) -> dict[str, bytes]:
    """Raises ``Inadmissible("bad_export")`` for what is no zip, damaged or too large; ``Misuse("no_home")``."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Misuse("no_home", f"the copy cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise _large()
    try:
        return _without_folder(_files_of(data))
    except (struct.error, UnicodeDecodeError, zlib.error):
        raise _damaged() from None  # reading beyond the end, names that are no text


def _damaged() -> Inadmissible:
    return refused("the archive is damaged or cut off")


def _large() -> Inadmissible:
    return refused("more than an export holds")


def _files_of(data: bytes) -> dict[str, bytes]:
    # The end stands last, before a comment that nobody writes.
    ending = data.rfind(_END, max(0, len(data) - _ENDING.size - _MOST_COMMENT))
    if ending < 0:
        raise _damaged()
    _, count, at = _ENDING.unpack_from(data, ending)
    if count > MOST_FILES:
        raise _large()
    found: dict[str, bytes] = {}
    free, unread = MOST_BYTES, len(data)
    for _ in range(count):
        sign, flags, method, crc, packed, size, *lengths, head = _LISTED.unpack_from(data, at)
        if sign != b"PK\x01\x02":
            raise _damaged()
        name = _part(data, at + _LISTED.size, lengths[0]).decode()
        at += _LISTED.size + sum(lengths)
        if name.endswith("/") or _BESIDE.search(name):
            continue
        free -= size
        unread -= packed
        if free < 0:
            raise _large()
        # Ten thousand names of one and the same body would be ten thousand times the work.
        if unread < 0 or name in found or not _is_plain(name) or flags & _ENCRYPTED:
            raise _damaged()
        found[name] = _unpacked(data, _Entry(method, crc, packed, size, head))
    return found


def _unpacked(data: bytes, entry: _Entry) -> bytes:
    sign, *lengths = _HEAD.unpack_from(data, entry.head)
    if sign != b"PK\x03\x04":
        raise _damaged()
    body = _part(data, entry.head + _HEAD.size + sum(lengths), entry.packed)
    if entry.method == _DEFLATED:
        # Ends as soon as more comes than was said: a small file can hold a very large one.
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        body = inflating.decompress(body, entry.size + 1)
        if not inflating.eof or inflating.unused_data:
            raise _damaged()
    elif entry.method != _STORED:
        raise _damaged()
    if len(body) != entry.size or zlib.crc32(body) != entry.crc:
        raise _damaged()
    return body


def _part(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise _damaged()
    return data[at : at + length]


def _is_plain(name: str) -> bool:
    """Nothing that leads out of the folder."""
    return all(step not in ("", ".", "..") for step in name.split("/")) and "\\" not in name


def _without_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    """Whoever packs the folder again often packs the folder itself."""
    folders = {name.split("/")[0] for name in files}
    if len(folders) != 1 or folders & files.keys():
        return files
    (folder,) = folders
    return {name[len(folder) + 1 :]: data for name, data in files.items()}
