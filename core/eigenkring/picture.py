"""Pictures without what the camera wrote beside them: place, time, owner, device, thumbnail. Spec: docs/spec/attachments.md.

What is not known to be needed for the picture is left out, and what cannot be read to its end is refused: a list of
what to remove would miss what the next phone adds. Pure; nothing is decoded, so the picture keeps its quality.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from eigenkring.errors import Misuse

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Pictures and films that can hold the place, and that are not read here.
_MAY_TELL_A_PLACE: Final = (
    b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+", b"GIF8", b"8BPS", b"RIFF", b"\x1aE\xdf\xa3", b"\xff\n",
    b"\x00\x00\x00\x0cJXL ", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51", b"IIRO", b"FUJIFILMCCD", b"FLV",
)  # fmt: skip


def strip_picture(data: bytes) -> tuple[str, bytes] | None:
    """Media type and the picture alone; None for what is no picture at all. Raises ``Misuse("bad_attachment")`` for pictures and films
    of a kind that cannot be cleaned here (HEIC, TIFF, GIF, video), and for those that are not whole."""
    if data.startswith(b"\xff\xd8"):
        return "image/jpeg", _jpeg(data)
    if data.startswith(_PNG):
        return "image/png", _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", _webp(data)
    if data.startswith(_MAY_TELL_A_PLACE) or data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        raise Misuse(
            "bad_attachment", "this kind of picture or film can hold the place where it was made; save it as JPEG first"
        )
    return None


def _broken() -> Misuse:
    return Misuse("bad_attachment", "the picture is not whole, or of a kind that is not known here")


# --- JPEG

_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_SKIPPED: Final = frozenset({*range(0xE0, 0xF0), 0xFE})  # APPn, COM


def _jpeg(data: bytes) -> bytes:
    head, body = [b"\xff\xd8"], list[bytes]()
    orientation, frames, scans, at = 1, 0, 0, 2
    while True:
        marker, at = _marker(data, at)
        if marker == 0xD9:
            break  # what follows is another picture, a film, or what was cut off
        content, at = _segment(data, at)
        if marker in _SKIPPED:
            if marker == 0xE0 and content[:5] == b"JFIF\x00" and len(content) >= 14 and len(head) == 1:
                head.append(_written(0xE0, content[:12] + b"\x00\x00"))  # without its thumbnail
            elif marker == 0xEE and content[:5] == b"Adobe" and len(content) >= 12:
                body.append(_written(0xEE, content[:12]))  # says which colours; without it they come out wrong
            elif marker == 0xE1 and content[:6] == b"Exif\x00\x00":
                orientation = _orientation(content[6:])
            continue
        if not _is_exact(marker, content):
            raise _broken()
        frames += marker in _FRAMES
        body.append(_written(marker, content))
        if marker == 0xDA:
            end = _end_of_scan(data, at)
            body.append(data[at:end])
            scans, at = scans + 1, end
    if frames != 1 or not scans:
        raise _broken()
    if orientation != 1:
        # The one thing of it that the picture needs, written anew: else it would lie on its side.
        tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([orientation])
        head.append(_written(0xE1, b"Exif\x00\x00" + tiff + b"\x00\x00\x00\x00\x00\x00"))
    return b"".join([*head, *body, b"\xff\xd9"])


def _marker(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 1] != b"\xff":
        raise _broken()
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise _broken()
    return data[at], at + 1


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    size = int.from_bytes(data[at : at + 2], "big")
    if size < 2 or at + size > len(data):
        raise _broken()
    return data[at + 2 : at + size], at + size


def _written(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _is_exact(marker: int, content: bytes) -> bool:
    """Whether a segment is one the picture needs, and holds not a byte more than it says."""
    match marker:
        case 0xC0 | 0xC1 | 0xC2:
            return len(content) >= 9 and len(content) == 6 + 3 * content[5] and content[1:3] != b"\x00\x00"
        case 0xDA:
            return len(content) >= 6 and len(content) == 4 + 2 * content[0]
        case 0xDD:
            return len(content) == 2
        case 0xDB:
            at = 0
            while at < len(content):
                at += 1 + (128 if content[at] >> 4 else 64)
            return at == len(content) > 0
        case 0xC4:
            at = 0
            while at < len(content):
                at += 17 + sum(content[at + 1 : at + 17])
            return at == len(content) > 0
    return False


def _end_of_scan(data: bytes, at: int) -> int:
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise _broken()
        if data[at + 1] == 0x00 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        else:
            return at


def _orientation(tiff: bytes) -> int:
    """1 to 8; 1, upright, where it is not said or cannot be read."""
    order = {b"II*\x00": "little", b"MM\x00*": "big"}.get(tiff[:4])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "little" if order == "little" else "big")

    start = number(4, 4)
    for entry in range(min(number(start, 2), 200)):
        at = start + 2 + 12 * entry
        if number(at, 2) == 0x0112 and number(at + 2, 2) == 3:
            found = number(at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1


# --- PNG


def _png(data: bytes) -> bytes:
    kept, ended = [_PNG], False
    for kind, content in _png_chunks(data):
        if (kind == b"IHDR") != (len(kept) == 1) or (kind == b"IHDR" and len(content) != 13):
            raise _broken()
        if kind in _PNG_KEPT:
            body = kind + content
            kept.append(len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big"))
        elif not kind[0] & 0x20:
            raise _broken()  # a chunk without which it is no picture, and that is not known here
        ended = kind == b"IEND" and not content
    if not ended or not any(chunk[4:8] == b"IDAT" for chunk in kept):
        raise _broken()
    return b"".join(kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while True:
        size = int.from_bytes(data[at : at + 4], "big")
        body, end = data[at + 4 : at + 8 + size], at + 12 + size
        if end > len(data) or zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            raise _broken()
        yield body[:4], body[4:]
        at = end
        if body[:4] == b"IEND":
            return  # what follows is no part of the picture


# --- WebP


def _webp(data: bytes) -> bytes:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _broken()
    kept, at, pictures = list[bytes](), 12, 0
    while at < end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        if at > end:
            raise _broken()
        if kind in (b"ANIM", b"ANMF"):
            raise Misuse("bad_attachment", "a moving picture cannot be cleaned here; save one picture of it")
        if kind == b"VP8X":
            if len(content) != 10 or kept:
                raise _broken()
            content = bytes([content[0] & 0x10, 0, 0, 0]) + content[4:]  # only: it has see-through places
        pictures += kind in (b"VP8 ", b"VP8L")
        if kind in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH"):
            kept.append(kind + len(content).to_bytes(4, "little") + content + b"\x00" * (size % 2))
    if pictures != 1:
        raise _broken()
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
