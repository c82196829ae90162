"""Vectors of attachments: what a field may say, chunks that open and that must not, and pictures with everything a camera writes.

Files of several chunks are not written out: ``records`` says of each chunk its number, how many it says there are, where its bytes begin and how many
they are, and both languages seal it. Byte ``i`` of a file is ``(i * 31 + 7) mod 256``.
"""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from eigenkring.attachment import CHUNK_BYTES, PREFIX, Attachment, Shown, open_chunks, parse_attachment, shown_of
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.picture import strip_picture
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import seal

Vector = dict[str, Any]
pack = msgspec.msgpack.encode


def make() -> dict[str, Vector]:
    found: dict[str, Vector] = {}
    for name, vector in (*_fields(), *_shown(), *_files(), *_pictures()):
        if name in found or ("out" in vector) == ("error" in vector):
            raise ValueError(f"vector {name} is double, or has both or neither of out and error")
        found[name] = vector
    return found


def _bytes(what: str, n: int = 32) -> bytes:
    return hashlib.shake_256(f"eigenkring attachment vector {what}".encode()).digest(n)


def data_of(size: int) -> bytes:
    return bytes((i * 31 + 7) % 256 for i in range(256)) * (size // 256) + bytes(
        (i * 31 + 7) % 256 for i in range(size % 256)
    )


STREAM, KEY = _bytes("stream", 16), _bytes("key")
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
SMALL = PNG_HEAD + b"small"
FIELDS: dict[str, Any] = {
    "v": 1,
    "stream": STREAM,
    "key": KEY,
    "name": "foto.jpg",
    "type": "image/jpeg",
    "size": 300,
    "hash": hashlib.sha256(data_of(300)).digest(),
    "preview": SMALL,
}


def text_of(fields: Any) -> str:
    packed = fields if isinstance(fields, bytes) else pack(fields)
    return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


# --- the field


def _fields() -> Iterator[tuple[str, Vector]]:
    def field(about: str, text: str) -> Vector:
        vector: Vector = {"kind": "parse", "about": about, "text": text}
        try:
            found = msgspec.to_builtins(parse_attachment(text), builtin_types=(bytes,))
        except Inadmissible as error:
            return vector | {"error": error.code}
        return vector | {"out": {k: v.hex() if isinstance(v, bytes) else v for k, v in found.items()}}

    good = text_of(FIELDS)
    yield "parse", field("a photo with its preview", good)
    yield "parse_without_preview", field("no preview", text_of({**FIELDS, "preview": b""}))
    yield "parse_unknown_key", field("a key of a newer program is passed over", text_of({**FIELDS, "alt": "een foto"}))
    yield "parse_webp_preview", field("a WebP preview", text_of({**FIELDS, "preview": b"RIFF\x04\0\0\0WEBP"}))
    yield "parse_largest", field("the largest file there can be", text_of({**FIELDS, "size": 33_554_432}))
    yield "parse_future", field("of a newer version, whatever it holds", text_of({"v": 2, "key": 1}))
    yield "parse_no_version", field("no version", text_of({k: v for k, v in FIELDS.items() if k != "v"}))
    yield "parse_version_nought", field("version 0", text_of({**FIELDS, "v": 0}))
    yield "parse_plain_text", field("somebody's words", "foto van zondag")
    yield "parse_no_prefix", field("the right bytes without the beginning", good.removeprefix(PREFIX))
    yield "parse_nothing_after", field("the beginning alone", PREFIX)
    yield "parse_padded", field("base64 with its padding", good + "=")
    yield "parse_other_alphabet", field("base64 of the other alphabet", PREFIX + "+/+/")
    yield "parse_newline", field("a line end after it", good + "\n")
    at = next(n for n in range(3) if len(pack({**FIELDS, "name": "a" * (5 + n)})) % 3 == 1)
    loose = text_of({**FIELDS, "name": "a" * (5 + at)})
    yield "parse_loose_bits", field("bits that belong to no byte", loose[:-1] + chr(ord(loose[-1]) + 1))
    yield "parse_after_end", field("bytes after the end", text_of(pack(FIELDS) + b"\xc0"))
    packed = pack(FIELDS)
    yield "parse_key_twice", field("a key given twice", text_of(b"\x89" + packed[1:] + pack("v") + pack(1)))
    yield "parse_no_map", field("a list", text_of(pack([1, 2])))
    for key in FIELDS:
        if key != "v":
            rest = {k: v for k, v in FIELDS.items() if k != key}
            yield f"parse_without_{key}_key", field(f"without {key}", text_of(rest))
    yield "parse_short_stream", field("a stream of 15 bytes", text_of({**FIELDS, "stream": STREAM[:15]}))
    yield "parse_long_key", field("a key of 33 bytes", text_of({**FIELDS, "key": KEY + b"\0"}))
    yield "parse_short_hash", field("a hash of 31 bytes", text_of({**FIELDS, "hash": KEY[:31]}))
    yield "parse_key_as_text", field("a key that is text", text_of({**FIELDS, "key": "a" * 32}))
    yield "parse_empty", field("an empty file", text_of({**FIELDS, "size": 0}))
    yield "parse_too_large", field("one byte more than a file may have", text_of({**FIELDS, "size": 33_554_433}))
    yield "parse_size_as_float", field("half a byte", text_of({**FIELDS, "size": 300.5}))
    yield "parse_preview_too_large", field("a preview too large", text_of({**FIELDS, "preview": SMALL + bytes(12_276)}))
    yield "parse_preview_no_picture", field("a preview that is a page", text_of({**FIELDS, "preview": b"<svg>"}))
    yield "parse_no_name", field("an empty name", text_of({**FIELDS, "name": ""}))
    yield "parse_long_name", field("a name of 401 bytes", text_of({**FIELDS, "name": "é" * 200 + "a"}))
    for name, bad in {
        "slash": "../x",
        "backslash": "a\\b",
        "line": "a\nb",
        "turned": "a\u202egpj.exe",
        "c1": "a\x9b",
    }.items():
        yield f"parse_name_{name}", field("a name that is more than a name", text_of({**FIELDS, "name": bad}))
    for name, bad in {"empty": "", "no_slash": "image", "capital": "Image/JPEG", "newline": "image/jpeg\n"}.items():
        yield f"parse_type_{name}", field("a media type that is none", text_of({**FIELDS, "type": bad}))


def _shown() -> Iterator[tuple[str, Vector]]:
    def shown(about: str, text: str) -> Vector:
        return {"kind": "shown", "about": about, "text": text, "out": shown_of(text)}

    yield "shown", shown("a view has name, kind, size and preview, and no way to the file", text_of(FIELDS))
    yield (
        "shown_future",
        shown("nothing of what a newer program wrote: it may hold a key", text_of({"v": 2, "key": KEY})),
    )
    yield "shown_broken", shown("nothing of what is none", PREFIX + "AAAA")
    again = text_of(Shown(1, "foto.jpg", "image/jpeg", 300, SMALL))
    yield "shown_again", shown("what a view holds is no attachment to show again", again)


# --- the bytes


def _files() -> Iterator[tuple[str, Vector]]:
    three = 2 * CHUNK_BYTES + 100

    def attachment(size: int, **other: Any) -> dict[str, Any]:
        return {**FIELDS, "size": size, "hash": hashlib.sha256(data_of(size)).digest(), **other}

    def chunks(size: int) -> list[dict[str, Any]]:
        of = -(-size // CHUNK_BYTES)
        return [
            {
                "n": n,
                "of": of,
                "from": (n - 1) * CHUNK_BYTES,
                "size": min(CHUNK_BYTES, size - (n - 1) * CHUNK_BYTES),
                "nonce": _bytes(f"nonce {n}", 24).hex(),
            }
            for n in range(1, of + 1)
        ]

    def file(about: str, fields: dict[str, Any], records: list[dict[str, Any]]) -> Vector:
        vector: Vector = {"kind": "open", "about": about, "text": text_of(fields), "records": records}
        attached = msgspec.convert(fields, Attachment)
        try:
            data = open_chunks(attached, [_record(fields, one) for one in records])
        except (Inadmissible, CryptoError) as error:
            return vector | {"error": error.code}
        return vector | {"out": hashlib.sha256(data).hexdigest()}

    one, whole = chunks(300), chunks(three)
    exact = chunks(CHUNK_BYTES)
    yield "open", file("a file of one chunk", attachment(300), one)
    yield "open_whole_chunk", file("a file that fills one chunk", attachment(CHUNK_BYTES), exact)
    yield "open_three", file("a file of three chunks", attachment(three), whole)
    a, b, c = whole
    yield "open_nothing", file("no chunk at all", attachment(300), [])
    yield "open_cut_off", file("the last chunk is missing", attachment(three), [a, b])
    yield "open_without_first", file("the first chunk is missing", attachment(three), [b, c])
    yield "open_without_middle", file("one in the middle is missing", attachment(three), [a, c])
    yield "open_reordered", file("two chunks changed places", attachment(three), [b, a, c])
    yield "open_twice", file("one chunk twice in place of another", attachment(three), [a, a, c])
    yield "open_one_more", file("one chunk more than there are", attachment(three), [a, b, c, c])
    yield "open_altered", file("one bit is another", attachment(300), [{**one[0], "flip": 200}])
    yield "open_altered_middle", file("one bit of the second chunk", attachment(three), [a, {**b, "flip": 9000}, c])
    yield "open_other_stream", file("a chunk of another file", attachment(300), [{**one[0], "stream": "11" * 16}])
    yield "open_other_key", file("a chunk under another key", attachment(300), [{**one[0], "key": "11" * 32}])
    yield "open_other_epoch", file("a chunk of another epoch", attachment(300), [{**one[0], "epoch": 1}])
    yield "open_other_count", file("a chunk that counts otherwise", attachment(300), [{**one[0], "of": 2}])
    yield "open_other_number", file("a chunk with another number", attachment(300), [{**one[0], "n": 2}])
    yield "open_short", file("a last chunk that is too short", attachment(300), [{**one[0], "size": 299}])
    yield "open_long", file("a last chunk that is too long", attachment(300), [{**one[0], "size": 301}])
    short = [
        {**a, "size": CHUNK_BYTES - 1},
        {**b, "from": CHUNK_BYTES - 1},
        {**c, "from": 2 * CHUNK_BYTES - 1, "size": 101},
    ]
    yield "open_uneven", file("the same bytes, cut elsewhere", attachment(three), short)
    yield "open_other_file", file("other bytes, signed by nobody", attachment(300), [{**one[0], "from": 1}])
    yield "open_wrong_hash", file("the field names another hash", attachment(300, hash=KEY), one)
    yield "open_future_kind", file("a record of a newer kind", attachment(300), [{**one[0], "k": "piece"}])
    yield "open_future_record", file("a record of a newer version", attachment(300), [{**one[0], "version": 2}])
    yield "open_no_map", file("a record that is no map", attachment(300), [{**one[0], "payload": pack([1]).hex()}])
    yield "open_empty", file("an empty record", attachment(300), [{**one[0], "payload": ""}])


def _record(fields: dict[str, Any], one: dict[str, Any]) -> bytes:
    start, size = one["from"], one["size"]
    payload = pack({"k": one.get("k", "chunk"), "n": one["n"], "of": one["of"], "data": data_of(start + size)[start:]})
    if "payload" in one:
        payload = bytes.fromhex(one["payload"])
    key, stream = (
        bytes.fromhex(one.get("key", fields["key"].hex())),
        bytes.fromhex(one.get("stream", fields["stream"].hex())),
    )
    record = bytearray(seal(key, stream, one.get("epoch", 0), payload, bytes.fromhex(one["nonce"])))
    if "flip" in one:
        record[one["flip"]] ^= 1
    record[0] = one.get("version", 1)
    return bytes(record)


# --- pictures


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(orientation: int, *, little: bool = False) -> bytes:
    """With a place: 52 degrees north, 4 east."""
    order = "<" if little else ">"
    gps = struct.pack(f"{order}HHI4s", 1, 2, 2, b"N\0\0\0") + struct.pack(f"{order}HHII", 2, 5, 3, 200)
    entries = struct.pack(f"{order}HHIHxx", 0x0112, 3, 1, orientation) + struct.pack(f"{order}HHII", 0x8825, 4, 1, 60)
    tiff = (b"II*\0" if little else b"MM\0*") + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", 2) + entries
    place = struct.pack(f"{order}H", 2) + gps + struct.pack(f"{order}6I", 52, 1, 5, 1, 30, 1)
    return b"Exif\0\0" + tiff + bytes(4) + bytes(22) + place + b"iPhone van Nora"


JFIF = segment(0xE0, b"JFIF\0\1\2\1\0\x48\0\x48\0\0")
TABLE = segment(0xDB, b"\0" + bytes(range(1, 65)))
HUFFMAN = segment(0xC4, b"\0" + bytes([0, 1] + [0] * 14) + b"\0") + segment(
    0xC4, b"\x10" + bytes([0, 1] + [0] * 14) + b"\0"
)
FRAME = segment(0xC0, b"\x08\0\x08\0\x08\x01\x01\x11\0")
SCAN = segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x2a\xff\0\x80\xff\xd0\x11"
END = b"\xff\xd9"
JPEG = b"\xff\xd8" + JFIF + TABLE + FRAME + HUFFMAN + SCAN + END


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
PIXELS = chunk(b"IDAT", b"\x78\x01\x01\x06\0\xf9\xff\0\0\0\0\0\0\0\x06\0\x01")
PNG = PNG_HEAD + HEADER + PIXELS + chunk(b"IEND", b"")


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for k, c in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


VP8X = b"\x3e\0\0\0\x07\0\0\x07\0\0"


def _pictures() -> Iterator[tuple[str, Vector]]:
    def picture(about: str, data: bytes) -> Vector:
        vector: Vector = {"kind": "strip", "about": about, "data": data.hex()}
        try:
            found = strip_picture(data)
        except Misuse as error:
            return vector | {"error": error.code}
        return vector | {"out": None if found is None else [found[0], found[1].hex()]}

    def jpeg(*segments: bytes) -> bytes:
        return b"\xff\xd8" + b"".join(segments) + TABLE + FRAME + HUFFMAN + SCAN + END

    yield "strip_jpeg", picture("nothing to take away", JPEG)
    yield "strip_jpeg_place", picture("the place, the camera", jpeg(JFIF, segment(0xE1, exif(1))))
    yield "strip_jpeg_turned", picture("turned: that stays, and nothing else of it", jpeg(segment(0xE1, exif(6))))
    yield (
        "strip_jpeg_turned_little",
        picture("the same, bytes the other way round", jpeg(segment(0xE1, exif(8, little=True)))),
    )
    yield "strip_jpeg_turned_wrong", picture("an orientation there is not", jpeg(segment(0xE1, exif(9))))
    yield "strip_jpeg_exif_cut", picture("EXIF that ends early", jpeg(segment(0xE1, exif(6)[:20])))
    yield (
        "strip_jpeg_exif_loop",
        picture("EXIF that leads nowhere", jpeg(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"))),
    )
    yield (
        "strip_jpeg_everything",
        picture(
            "XMP, colour profile, Photoshop, comment, a thumbnail",
            jpeg(
                segment(0xE0, b"JFIF\0\1\2\1\0\x48\0\x48\1\1abc"),
                segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<gps/>"),
                segment(0xE2, b"ICC_PROFILE\0\1\1profiel"),
                segment(0xE2, b"MPF\0MM"),
                segment(0xED, b"Photoshop 3.0\0place"),
                segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01extra"),
                segment(0xFE, b"gemaakt bij oma"),
                segment(0xEF, b"other"),
            ),
        ),
    )
    yield "strip_jpeg_film", picture("a film after the end", JPEG + b"....ftypmp42 film met plaats")
    yield "strip_jpeg_filled", picture("filling before a marker", JPEG.replace(b"\xff\xdb", b"\xff\xff\xff\xdb"))
    yield "strip_jpeg_cut_off", picture("no end", JPEG[:-2])
    yield "strip_jpeg_cut_in_segment", picture("ends in a table", JPEG[:40])
    yield "strip_jpeg_no_scan", picture("no picture in it", b"\xff\xd8" + JFIF + TABLE + FRAME + END)
    yield "strip_jpeg_no_frame", picture("no size in it", b"\xff\xd8" + TABLE + HUFFMAN + SCAN + END)
    yield "strip_jpeg_two_frames", picture("two sizes in it", jpeg(FRAME))
    yield (
        "strip_jpeg_long_table",
        picture("bytes hidden after a table", jpeg(segment(0xDB, b"\0" + bytes(64) + b"oma"))),
    )
    yield (
        "strip_jpeg_long_huffman",
        picture("bytes hidden after a table", jpeg(segment(0xC4, b"\0" + bytes(16) + b"oma"))),
    )
    yield "strip_jpeg_long_restart", picture("bytes hidden after a number", jpeg(segment(0xDD, b"\0\1oma")))
    yield (
        "strip_jpeg_long_frame",
        picture("bytes hidden in the frame", b"\xff\xd8" + TABLE + segment(0xC0, FRAME[4:] + b"oma") + SCAN + END),
    )
    yield (
        "strip_jpeg_lossless",
        picture("a kind not known here", b"\xff\xd8" + TABLE + segment(0xC3, FRAME[4:]) + SCAN + END),
    )
    yield (
        "strip_jpeg_no_height",
        picture("the height comes later", b"\xff\xd8" + TABLE + segment(0xC0, b"\x08\0\0" + FRAME[7:]) + SCAN + END),
    )
    yield "strip_jpeg_start_twice", picture("a start within", jpeg(b"\xff\xd8"))
    yield "strip_jpeg_garbage", picture("no marker where one must be", b"\xff\xd8oma" + JPEG[2:])
    yield "strip_jpeg_short_length", picture("a segment shorter than its length", jpeg(b"\xff\xe1\0\1"))
    yield "strip_jpeg_start", picture("the start alone", b"\xff\xd8")

    yield "strip_png", picture("nothing to take away", PNG)
    told = [
        (b"eXIf", exif(1)[6:]),
        (b"tEXt", b"Author\0Nora"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<gps/>"),
        (b"tIME", bytes(7)),
        (b"iCCP", b"p\0\0x"),
        (b"acTL", bytes(8)),
        (b"prIv", b"x"),
    ]
    yield (
        "strip_png_place",
        picture(
            "all that is beside the picture",
            PNG_HEAD + HEADER + b"".join(chunk(*one) for one in told) + PIXELS + chunk(b"IEND", b""),
        ),
    )
    yield (
        "strip_png_palette",
        picture(
            "palette and see-through places stay",
            PNG_HEAD + HEADER + chunk(b"PLTE", bytes(3)) + chunk(b"tRNS", b"\0") + PIXELS + chunk(b"IEND", b""),
        ),
    )
    yield "strip_png_after_end", picture("what was cut off and left behind", PNG + PIXELS)
    yield "strip_png_cut_off", picture("no end", PNG[:-12])
    yield "strip_png_cut_in_chunk", picture("ends in a chunk", PNG[:50])
    yield "strip_png_checksum", picture("a wrong checksum", PNG[:40] + bytes([PNG[40] ^ 1]) + PNG[41:])
    yield "strip_png_no_header", picture("does not begin with its size", PNG_HEAD + PIXELS + chunk(b"IEND", b""))
    yield "strip_png_header_twice", picture("two sizes", PNG_HEAD + HEADER + HEADER + PIXELS + chunk(b"IEND", b""))
    yield "strip_png_no_pixels", picture("no picture in it", PNG_HEAD + HEADER + chunk(b"IEND", b""))
    yield (
        "strip_png_critical",
        picture(
            "a chunk it cannot do without, not known here",
            PNG_HEAD + HEADER + chunk(b"ABCD", b"x") + PIXELS + chunk(b"IEND", b""),
        ),
    )
    yield "strip_png_end_with_words", picture("words in its end", PNG_HEAD + HEADER + PIXELS + chunk(b"IEND", b"oma"))
    yield (
        "strip_png_long_header",
        picture(
            "bytes hidden in its header",
            PNG_HEAD + chunk(b"IHDR", HEADER[8:21] + b"oma") + PIXELS + chunk(b"IEND", b""),
        ),
    )

    yield "strip_webp", picture("nothing to take away", riff((b"VP8 ", b"pixels")))
    yield "strip_webp_odd", picture("an odd length", riff((b"VP8L", b"pixel")))
    yield (
        "strip_webp_place",
        picture(
            "place, XMP and colour profile",
            riff(
                (b"VP8X", VP8X),
                (b"ICCP", b"icc"),
                (b"ALPH", b"a"),
                (b"VP8 ", b"pixels"),
                (b"EXIF", exif(1)[6:]),
                (b"XMP ", b"<gps/>"),
                (b"OWNR", b"Nora"),
            ),
        ),
    )
    yield "strip_webp_after_end", picture("bytes after the end", riff((b"VP8 ", b"pixels")) + b"oma")
    yield (
        "strip_webp_moving",
        picture("a moving picture", riff((b"VP8X", VP8X), (b"ANIM", bytes(6)), (b"ANMF", bytes(16)))),
    )
    yield "strip_webp_cut_off", picture("shorter than it says", riff((b"VP8 ", b"pixels"))[:-1])
    yield "strip_webp_chunk_too_long", picture("a chunk longer than the file", b"RIFF\x0e\0\0\0WEBPVP8 \xff\0\0\0ab")
    yield "strip_webp_two", picture("two pictures", riff((b"VP8 ", b"pixels"), (b"VP8 ", b"pixels")))
    yield "strip_webp_none", picture("no picture in it", riff((b"XMP ", b"<gps/>")))
    yield "strip_webp_late_header", picture("its header after the picture", riff((b"VP8 ", b"pixels"), (b"VP8X", VP8X)))
    yield (
        "strip_webp_long_header",
        picture("bytes hidden in its header", riff((b"VP8X", VP8X + b"oma"), (b"VP8 ", b"pixels"))),
    )

    refused = {
        "heic": b"\0\0\0\x18ftypheic", "film": b"\0\0\0\x18ftypmp42", "old_film": b"\0\0\0\x08wide\0\0\0\0mdat",
        "tiff": b"II*\0\x08\0\0\0", "tiff_big": b"MM\0*\0\0\0\x08", "gif": b"GIF89a", "avi": b"RIFF\x04\0\0\0AVI ",
        "matroska": b"\x1aE\xdf\xa3", "jxl": b"\0\0\0\x0cJXL \r\n", "photoshop": b"8BPS",
    }  # fmt: skip
    for name, data in refused.items():
        yield f"strip_refused_{name}", picture("may hold a place and cannot be cleaned", data + bytes(20))
    yield "strip_no_picture", picture("no picture: nothing to strip", b"%PDF-1.7")
    yield "strip_nothing", picture("no bytes", b"")
