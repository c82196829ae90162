"""Test vectors of the suite: what must open or hold, and (more of them) what must be refused, with the error's code.

`make()` gives {scenario: vector}; the same program gives the same bytes. Bytes are hex. Both languages run every
vector: tests/unit/test_crypto_vectors.py and pwa/test/crypto.test.ts. A vector has `out` or `error`, never both.
Forgeries are made with arithmetic of their own here, because no library makes a bad signature.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import points
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eigenkring_crypto import capability, chain, curve, device, kdf, pad, seal, sign, words

Vector = dict[str, Any]
FIXED = Path(__file__).parent / "fixed" / "boxes.json"


def make() -> dict[str, Vector]:
    vectors: dict[str, Vector] = {}
    for part in (
        _seal, _partition, _unpad, _verify, _forged, _publics, _box, _derive, _capability, _chain, _device, _code, _words,
    ):  # fmt: skip
        for name, vector in part():
            if name in vectors or ("out" in vector) == ("error" in vector):
                raise ValueError(f"vector {name} is double, or has both or neither of out and error")
            vectors[name] = vector
    return vectors


def _bytes(what: str, n: int = 32) -> bytes:
    """Bytes that look random and never change."""
    return hashlib.shake_256(f"eigenkring vector {what}".encode()).digest(n)


SECRET, OTHER_SECRET = _bytes("secret"), _bytes("other secret")
STREAM, OTHER_STREAM = _bytes("stream", 16), _bytes("other stream", 16)
NONCE = _bytes("nonce", 24)
PLAIN = b"Wie haalt Sam op dinsdag van school?"


def _flip(data: bytes, at: int, by: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= by
    return bytes(changed)


# Sealed records


def _seal_raw(inner: bytes, epoch: int = 7, gcm_nonce: bytes = bytes(12), associated: bool = True) -> bytes:
    """A record by someone who has the secret and breaks the rules."""
    info = kdf.label("seal") + STREAM + kdf.u32(epoch)
    grown = kdf.hkdf(SECRET, NONCE, info, 64)
    header = b"\1" + kdf.u32(epoch) + NONCE + grown[32:]
    return header + AESGCM(grown[:32]).encrypt(gcm_nonce, inner, header if associated else None)


def _seal() -> Iterator[tuple[str, Vector]]:
    def opens(about: str, record: bytes, epoch: int, plaintext: bytes) -> Vector:
        out = {"epoch": epoch, "plaintext": plaintext.hex()}
        return _open(about, record, SECRET, STREAM) | {"out": out}

    def refused(
        about: str, data: bytes, error: str = "unopenable", secret: bytes = SECRET, stream: bytes = STREAM
    ) -> Vector:
        return _open(about, data, secret, stream) | {"error": error}

    record = seal.seal(SECRET, STREAM, 7, PLAIN, NONCE)
    yield "seal", opens("an ordinary record", record, 7, PLAIN)
    for about, epoch, n in (
        ("nothing in it, epoch 0", 0, 0),
        ("the last epoch there is", 2**32 - 1, 1),
        ("fills 256 bytes exactly", 7, 252),
        ("one byte more than 256: Padmé begins", 7, 253),
        ("a thousand bytes", 7, 1000),
        ("five thousand bytes", 7, 5000),
    ):
        p = _bytes(about, n)
        yield f"seal_{epoch}_{n}_bytes", opens(about, seal.seal(SECRET, STREAM, epoch, p, NONCE), epoch, p)

    yield "seal_wrong_secret", refused("sealed with another secret", record, secret=OTHER_SECRET)
    yield "seal_wrong_stream", refused("moved to another stream", record, stream=OTHER_STREAM)
    yield "seal_secret_31_bytes", refused("the secret is too short", record, "bad_key", SECRET[:31])
    yield "seal_secret_33_bytes", refused("the secret is too long", record, "bad_key", SECRET + b"\0")
    for name, at in (
        ("epoch", 4),
        ("nonce_first", 5),
        ("nonce_last", 28),
        ("commitment_first", 29),
        ("commitment_last", 60),
        ("ciphertext_first", 61),
        ("ciphertext_in_the_padding", len(record) - 17),
        ("tag_first", len(record) - 16),
        ("tag_last", len(record) - 1),
    ):
        yield f"seal_altered_{name}", refused(f"one bit of byte {at} altered", _flip(record, at))
    for n in (0, 1, 5, 29, 61, 317, 332):
        yield f"seal_truncated_to_{n}", refused(f"only the first {n} bytes came", record[:n])
    long = seal.seal(SECRET, STREAM, 7, bytes(1000), NONCE)
    yield "seal_truncated_long", refused("long enough to be a record, but its end is missing", long[:-1])
    yield "seal_appended", refused("one byte more", record + b"\0")
    yield "seal_version_0", refused("version 0", b"\0" + record[1:], "future_version")
    yield "seal_version_2", refused("version 2", b"\2" + record[1:], "future_version")
    yield "seal_version_2_short", refused("a newer version may be smaller than ours", b"\2", "future_version")
    other = seal.seal(OTHER_SECRET, STREAM, 7, PLAIN, NONCE)
    yield "seal_commitment_of_another_secret", refused("a commitment moved", record[:29] + other[29:61] + record[61:])
    yield "seal_no_associated_data", refused("header not authenticated", _seal_raw(pad.pad(PLAIN), associated=False))
    yield "seal_other_gcm_nonce", refused("GCM nonce not zero", _seal_raw(pad.pad(PLAIN), gcm_nonce=NONCE[:12]))
    yield "seal_not_padded", refused("too small to be padded", _seal_raw(PLAIN))
    for name, inner in (
        ("longer_than_needed", pad.pad(PLAIN) + bytes(256)),
        ("one_byte_longer", pad.pad(PLAIN) + b"\0"),
        ("not_zero", pad.pad(PLAIN)[:-1] + b"\1"),
        ("length_beyond_the_end", kdf.u32(253) + bytes(252)),
        ("length_too_small", kdf.u32(len(PLAIN) - 1) + pad.pad(PLAIN)[4:]),
    ):
        yield f"seal_padding_{name}", refused(f"sealed well, padded badly: {name}", _seal_raw(inner), "bad_padding")


def _open(about: str, record: bytes, secret: bytes, stream: bytes) -> Vector:
    return {
        "about": about,
        "kind": "seal_open",
        "secret": secret.hex(),
        "stream": stream.hex(),
        "record": record.hex(),
    }


# One ciphertext, two keys (Dodis, Grubbs, Ristenpart, Woodage 2018; Len, Grubbs, Ristenpart 2021)


def _gf(a: int, b: int) -> int:
    """Product in GCM's field (SP 800-38D, 6.3)."""
    product = 0
    for i in range(127, -1, -1):
        if a >> i & 1:
            product ^= b
        b = b >> 1 ^ (0xE1 << 120 if b & 1 else 0)
    return product


def _gf_power(a: int, n: int) -> int:
    result = 1 << 127
    for bit in bin(n)[2:]:
        result = _gf(result, result)
        if bit == "1":
            result = _gf(result, a)
    return result


def _ecb(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block), "big")


def _blocks(data: bytes) -> list[int]:
    data += bytes(-len(data) % 16)
    return [int.from_bytes(data[i : i + 16], "big") for i in range(0, len(data), 16)]


def _partition() -> Iterator[tuple[str, Vector]]:
    info = kdf.label("seal") + STREAM + kdf.u32(7)
    grown = [kdf.hkdf(s, NONCE, info, 64) for s in (SECRET, OTHER_SECRET)]
    header = b"\1" + kdf.u32(7) + NONCE + grown[0][32:]
    inner = pad.pad(_bytes("partition", 252))
    encryptor = Cipher(algorithms.AES256(grown[0][:32]), modes.CTR(bytes(12) + kdf.u32(2))).encryptor()
    ciphertext = encryptor.update(inner)
    # Block 8 is free: it is chosen so that both keys give one tag.
    free = 8
    blocks = [*_blocks(header), *_blocks(ciphertext)]
    place = len(blocks) - len(_blocks(ciphertext)) + free
    blocks[place] = 0
    blocks.append(len(header) * 8 << 64 | len(ciphertext) * 8)
    hs = [_ecb(g[:32], bytes(16)) for g in grown]
    sums = []
    for g, h in zip(grown, hs, strict=True):
        total = 0
        for block in blocks:
            total = _gf(total ^ block, h)
        sums.append(total ^ _ecb(g[:32], bytes(12) + kdf.u32(1)))
    exponent = len(blocks) - place
    slope = _gf_power(hs[0], exponent) ^ _gf_power(hs[1], exponent)
    chosen = _gf(sums[0] ^ sums[1], _gf_power(slope, 2**128 - 2))
    tag = sums[0] ^ _gf(chosen, _gf_power(hs[0], exponent))
    at = free * 16
    ciphertext = ciphertext[:at] + chosen.to_bytes(16, "big") + ciphertext[at + 16 :]
    sealed = ciphertext + tag.to_bytes(16, "big")
    for g in grown:  # GCM itself takes it under both keys, which is the point.
        AESGCM(g[:32]).decrypt(bytes(12), sealed, header)
    plaintext = pad.unpad(AESGCM(grown[0][:32]).decrypt(bytes(12), sealed, header))
    yield (
        "seal_two_keys_first",
        _open("its tag holds under two keys; this one is committed to", header + sealed, SECRET, STREAM)
        | {"out": {"epoch": 7, "plaintext": plaintext.hex()}},
    )
    yield (
        "seal_two_keys_second",
        _open("its tag holds under two keys; not committed to this one", header + sealed, OTHER_SECRET, STREAM)
        | {"error": "unopenable"},
    )


# Padding


def _unpad() -> Iterator[tuple[str, Vector]]:
    for n in (0, 1, 252, 253, 268, 269, 1020, 1021):
        p = _bytes("pad", n)
        about = f"{n} bytes in {pad.padded_bytes(n)}"
        yield f"unpad_{n}", {"about": about, "kind": "unpad", "padded": pad.pad(p).hex(), "out": p.hex()}
    p = pad.pad(PLAIN)
    for name, about, data in (
        ("nothing", "no bytes at all", b""),
        ("255_bytes", "one byte less than the least", p[:-1]),
        ("257_bytes", "one byte more than needed", p + b"\0"),
        ("512_bytes", "twice what is needed", p + bytes(256)),
        ("one_step_more", "the next size of Padmé", pad.pad(bytes(253)) + bytes(16)),
        ("last_not_zero", "the last byte is 1", p[:-1] + b"\1"),
        ("first_not_zero", "the first byte after the text is 1", _flip(p, 4 + len(PLAIN))),
        ("length_one_more_than_fits", "253 in 256 bytes", kdf.u32(253) + bytes(252)),
        ("length_all_ones", "the largest length there is", b"\xff" * 4 + bytes(252)),
        ("length_sign_bit", "a length that is negative for who reads it signed", b"\x80\0\0\0" + bytes(252)),
        ("length_other_endian", "a length the wrong way round", b"\x24\0\0\0" + p[4:]),
        ("length_of_a_smaller_size", "272 bytes that claim to hold 252", kdf.u32(252) + bytes(268)),
    ):
        yield f"unpad_{name}", {"about": about, "kind": "unpad", "padded": data.hex(), "error": "bad_padding"}


# Signatures

SEED = _bytes("sign seed")
NAME = "record"


def _verdict(about: str, public: bytes, signature: bytes, body: bytes = PLAIN, **more: Any) -> Vector:
    vector: Vector = {
        "about": about,
        "kind": "verify",
        "public": public.hex(),
        "name": NAME,
        "stream": STREAM.hex(),
        "body": body.hex(),
        "signature": signature.hex(),
    }
    return vector | (more or {"error": "bad_signature"})


def _verify() -> Iterator[tuple[str, Vector]]:
    key = sign.SigningKey.from_seed(SEED)
    good = sign.sign(key, NAME, STREAM, PLAIN)
    made = {"seed": SEED.hex(), "out": None}
    yield "verify", _verdict("an ordinary signature", key.public, good, **made)
    empty = sign.sign(key, NAME, STREAM, b"")
    yield "verify_empty_body", _verdict("of nothing", key.public, empty, b"", **made)
    second = _bytes("sign seed 2")
    key2 = sign.SigningKey.from_seed(second)
    yield (
        "verify_second_key",
        _verdict("another key", key2.public, sign.sign(key2, NAME, STREAM, PLAIN), seed=second.hex(), out=None),
    )

    yield "verify_other_key", _verdict("signed by another", key2.public, good)
    yield "verify_altered_body", _verdict("one bit of the body", key.public, good, _flip(PLAIN, 0))
    yield "verify_longer_body", _verdict("one byte more", key.public, good, PLAIN + b"\0")
    yield "verify_no_body", _verdict("the body is missing", key.public, good, b"")
    yield "verify_other_stream", _verdict("moved to another stream", key.public, good) | {"stream": OTHER_STREAM.hex()}
    yield "verify_other_name", _verdict("signed for another purpose", key.public, good) | {"name": "records"}
    yield "verify_altered_r", _verdict("one bit of R", key.public, _flip(good, 0))
    yield "verify_altered_s", _verdict("one bit of S", key.public, _flip(good, 32))
    yield "verify_zeros", _verdict("64 zero bytes", key.public, bytes(64))
    for n in (0, 32, 63):
        yield f"verify_signature_{n}_bytes", _verdict("the signature is too short", key.public, good[:n])
    yield "verify_signature_65_bytes", _verdict("the signature is too long", key.public, good + b"\0")
    for n in (0, 31):
        yield f"verify_key_{n}_bytes", _verdict("the key is too short", key.public[:n], good)
    yield "verify_key_33_bytes", _verdict("the key is too long", key.public + b"\0", good)
    s = int.from_bytes(good[32:], "little")
    for times in range(1, 16):
        if s + times * curve.ORDER < 2**256:
            last = times
    for name, value in (
        ("plus_order", s + curve.ORDER),
        ("plus_most", s + last * curve.ORDER),
        ("is_order", curve.ORDER),
        ("all_ones", 2**256 - 1),
    ):
        signature = good[:32] + value.to_bytes(32, "little")
        yield f"verify_s_{name}", _verdict("S is not below the group order", key.public, signature)


def small_order_encodings() -> list[bytes]:
    """All 14 encodings that a forgiving decoder reads as a point of small order: 8 canonical, 6 not."""
    encodings = [points.encode(point) for point in points.torsion()]
    for canonical in list(encodings):
        n = int.from_bytes(canonical, "little")
        y, sign_bit = n & (2**255 - 1), n >> 255 << 255
        ys = [y] + ([y + curve.P] if y + curve.P < 2**255 else [])
        # x = 0 has no sign, yet a decoder that forgets RFC 8032 5.1.3 step 4 reads -0.
        signs = [0, 1 << 255] if y in (1, curve.P - 1) else [sign_bit]
        encodings += [(other | s).to_bytes(32, "little") for other in ys for s in signs]
    return sorted(set(encodings))


def _challenge(r: bytes, public: bytes, body: bytes) -> int:
    message = kdf.label(NAME) + STREAM + body
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % curve.ORDER


def _scalar(n: int) -> bytes:
    return (n % curve.ORDER).to_bytes(32, "little")


def _body_where(r: bytes, public: bytes, rest: int) -> bytes:
    """A body whose challenge k has k mod 8 == rest: then a small-order part of the key vanishes, or stays."""
    for i in range(10_000):
        body = PLAIN + b" " + str(i).encode()
        if _challenge(r, public, body) % 8 == rest:
            return body
    raise AssertionError("no such body")


def _forged() -> Iterator[tuple[str, Vector]]:
    seed_hash = bytearray(hashlib.sha512(SEED).digest()[:32])
    seed_hash[0] &= 248
    seed_hash[31] = seed_hash[31] & 127 | 64
    a = int.from_bytes(seed_hash, "little")
    honest = sign.SigningKey.from_seed(SEED).public
    r = int.from_bytes(_bytes("r", 64), "little") % curve.ORDER
    big_r = points.encode(points.multiply(r, points.BASE))
    point8 = points.torsion()[1]

    for i, encoded in enumerate(small_order_encodings()):
        body = _body_where(big_r, encoded, 0)
        about = "a small-order key: anyone signs for it (both equations hold)"
        yield f"verify_small_order_key_{i:02}", _verdict(about, encoded, big_r + _scalar(r), body)
        k = _challenge(encoded, honest, PLAIN)
        about = "a small-order R: S gives the key away (the equation with the cofactor holds)"
        yield f"verify_small_order_r_{i:02}", _verdict(about, honest, encoded + _scalar(k * a))

    mixed = points.encode(points.add(points.multiply(a, points.BASE), point8))
    body = _body_where(big_r, mixed, 0)
    s = _scalar(r + _challenge(big_r, mixed, body) * a)
    yield "verify_mixed_order_key", _verdict("a mixed-order key, both equations hold", mixed, big_r + s, body)
    # Times the order of the base, these are not neutral in one coordinate alone: order 2 leaves x = 0, y = -1.
    for order, point in ((2, points.torsion()[4]), (4, points.torsion()[2])):
        key = points.encode(points.add(points.multiply(a, points.BASE), point))
        its_body = _body_where(big_r, key, 0)
        about = f"a key with a part of order {order}, both equations hold"
        signature = big_r + _scalar(r + _challenge(big_r, key, its_body) * a)
        yield f"verify_mixed_order_key_{order}", _verdict(about, key, signature, its_body)
    body = _body_where(big_r, mixed, 1)
    s = _scalar(r + _challenge(big_r, mixed, body) * a)
    about = "a mixed-order key, only the equation with the cofactor holds"
    yield "verify_cofactored_key", _verdict(about, mixed, big_r + s, body)
    mixed_r = points.encode(points.add(points.multiply(r, points.BASE), point8))
    s = _scalar(r + _challenge(mixed_r, honest, PLAIN) * a)
    about = "R with a small-order part: only the equation with the cofactor holds"
    yield "verify_cofactored_r", _verdict(about, honest, mixed_r + s)

    good = sign.sign(sign.SigningKey.from_seed(SEED), NAME, STREAM, PLAIN)
    for name, n in (("p_plus_3", curve.P + 3), ("all_ones", 2**255 - 1), ("all_ones_and_sign", 2**256 - 1)):
        encoded = n.to_bytes(32, "little")
        yield f"verify_key_not_canonical_{name}", _verdict("y is not below p", encoded, good)
        yield f"verify_r_not_canonical_{name}", _verdict("y is not below p", honest, encoded + good[32:])
    off = next(y for y in range(2, 100) if points.decode(y.to_bytes(32, "little")) is None).to_bytes(32, "little")
    yield "verify_key_off_curve", _verdict("no point has this y", off, good)
    yield "verify_r_off_curve", _verdict("no point has this y", honest, off + good[32:])


def _publics() -> Iterator[tuple[str, Vector]]:
    """What L times the point says, point by point: `check_public` has a shorter way to the same verdict."""
    small = points.torsion()
    scalars = [int.from_bytes(_bytes(f"scalar {at}", 64), "little") % curve.ORDER for at in range(8)]
    sums = [points.encode(points.add(points.multiply(k, points.BASE), t)) for k in scalars for t in small]
    both = [half for key in sums for half in (key, bytes([*key[:31], key[31] ^ 128]))]
    yield "publics_beside_each_small_order", _asked("[k]B + T for each T of small order, with both signs", both)
    edges = [y.to_bytes(32, "little") for y in (*range(2, 40), *range(curve.P - 40, curve.P - 1))]
    yield "publics_first_and_last_y", _asked("y from 2 on and up to p - 2: half of them are not of the curve", edges)
    yield "publics_any_y", _asked("whatever the bytes are", [_bytes(f"any y {at}") for at in range(64)])


def _asked(about: str, keys: list[bytes]) -> Vector:
    out = [points.is_of_prime_order(key) for key in keys]
    return {"about": about, "kind": "publics", "publics": [key.hex() for key in keys], "out": out}


# Boxes


def _box() -> Iterator[tuple[str, Vector]]:
    boxes: dict[str, dict[str, str]] = json.loads(FIXED.read_text())

    def vector(about: str, box: dict[str, str], data: bytes, **more: Any) -> Vector:
        kept = {key: box[key] for key in ("seed", "name", "context")}
        return {"about": about, "kind": "box_open"} | kept | {"box": data.hex()} | more

    for name, fixed in sorted(boxes.items()):
        data = bytes.fromhex(fixed["box"])
        if "plaintext" in fixed:
            out = fixed["plaintext"]
            yield f"box_{name}", vector(f"sealed by {fixed['maker']}", fixed, data, out=out)
        else:
            error = "unopenable" if name == "raw_other_aead" else "bad_padding"
            yield f"box_{name}", vector("sealed by someone who breaks the rules", fixed, data, error=error)

    box = boxes["python_short"]
    data = bytes.fromhex(box["box"])
    refused = {"error": "unopenable"}
    yield "box_other_seed", vector("for another device", box, data, **refused) | {"seed": _bytes("other").hex()}
    yield "box_seed_31_bytes", vector("a short seed", box, data, error="bad_key") | {"seed": _bytes("", 31).hex()}
    yield "box_other_context", vector("for another context", box, data, **refused) | {"context": bytes(16).hex()}
    yield "box_no_context", vector("the context left out", box, data, **refused) | {"context": ""}
    yield "box_other_name", vector("for another purpose", box, data, **refused) | {"name": "join"}
    for name, at in (
        ("mlkem_first", 0),
        ("mlkem_last", 1087),
        ("x25519_first", 1088),
        ("x25519_top_bit", 1119),
        ("ciphertext_first", 1120),
        ("ciphertext_last", len(data) - 17),
        ("tag_last", len(data) - 1),
    ):
        changed = _flip(data, at, 128 if name == "x25519_top_bit" else 1)
        yield f"box_altered_{name}", vector(f"one bit of byte {at} altered", box, changed, **refused)
    for name, u in (("zero", bytes(32)), ("one", b"\1" + bytes(31))):
        changed = data[:1088] + u + data[1120:]
        yield f"box_x25519_{name}", vector("an X25519 point of small order in enc", box, changed, **refused)
    for n in (0, 1119, 1120, 1376, 1391):
        yield f"box_truncated_to_{n}", vector(f"only the first {n} bytes came", box, data[:n], **refused)
    yield "box_appended", vector("one byte more", box, data + b"\0", **refused)
    other = bytes.fromhex(boxes["typescript_short"]["box"])
    yield "box_enc_of_another", vector("enc and ciphertext of two boxes", box, other[:1120] + data[1120:], **refused)

    public = bytes.fromhex(box["public"])
    for name, about, key in (
        ("short", "1215 bytes", public[:-1]),
        ("long", "1217 bytes", public + b"\0"),
        ("mlkem_coefficient", "a number not below q in the ML-KEM key", b"\xff\x0f" + public[2:]),
        ("mlkem_coefficient_q", "q itself, which a decoder reads as 0", b"\x01\x0d" + public[2:]),
        ("x25519_zero", "an X25519 point of small order", public[:1184] + bytes(32)),
        ("x25519_one", "an X25519 point of small order", public[:1184] + b"\1" + bytes(31)),
    ):
        yield f"box_key_{name}", {"about": about, "kind": "box_seal", "public": key.hex(), "error": "bad_key"}


# Derivations


def _derive() -> Iterator[tuple[str, Vector]]:
    for name, secret, what, context, n in (
        ("plain", SECRET, "hints", b"", 32),
        ("context", SECRET, "hints", STREAM, 32),
        ("other_name", SECRET, "hint", STREAM, 32),
        ("64_bytes", SECRET, "hints", STREAM, 64),
        ("1_byte", SECRET, "hints", STREAM, 1),
        ("most_bytes", SECRET, "hints", STREAM, 8160),
        ("code_of_20_bytes", SECRET[:20], "recovery", b"", 32),
        ("secret_of_16_bytes", SECRET[:16], "hints", b"", 32),
    ):
        vector = {"about": "HKDF", "kind": "derive", "secret": secret.hex(), "name": what, "context": context.hex()}
        # By the book (RFC 5869), so that this does not only repeat what the package says.
        prk = hashlib.sha256
        extracted = _hmac(bytes(32), secret, prk)
        info, block, okm = b"eigenkring/1 " + what.encode() + b"\0" + context, b"", b""
        for i in range(1, -(-n // 32) + 1):
            block = _hmac(extracted, block + info + bytes([i]), prk)
            okm += block
        yield f"derive_{name}", vector | {"n": n, "out": okm[:n].hex()}
    for n in (0, 15):
        yield (
            f"derive_secret_of_{n}_bytes",
            {
                "about": "a secret too short to be one",
                "kind": "derive",
                "secret": SECRET[:n].hex(),
                "name": "hints",
                "context": "",
                "n": 32,
                "error": "bad_key",
            },
        )
    common = {"kind": "hmac", "name": "hint", "context": STREAM.hex()}
    mac = _hmac(SECRET, b"eigenkring/1 hint\0" + STREAM, hashlib.sha256).hex()
    yield "hmac", {"about": "HMAC", "key": SECRET.hex(), "out": mac} | common
    for n in (0, 31, 33, 64):
        key = _bytes("hmac", n).hex()
        yield f"hmac_key_of_{n}_bytes", {"about": "only 32 bytes", "key": key, "error": "bad_key"} | common


def _hmac(key: bytes, data: bytes, digest: Any) -> bytes:
    key = key.ljust(64, b"\0")
    inner = digest(bytes(b ^ 0x36 for b in key) + data).digest()
    outer: bytes = digest(bytes(b ^ 0x5C for b in key) + inner).digest()
    return outer


def _capability() -> Iterator[tuple[str, Vector]]:
    for name, room, stream, epoch in (
        ("epoch_0", SECRET, STREAM, 0),
        ("epoch_1", SECRET, STREAM, 1),
        ("epoch_last", SECRET, STREAM, 2**32 - 1),
        ("other_stream", SECRET, OTHER_STREAM, 1),
        ("other_room", OTHER_SECRET, STREAM, 1),
    ):
        out: dict[str, str] = {}
        for kind in ("read", "write", "manage"):
            secret = getattr(capability, f"{kind}_secret")(room, stream)
            power = "append" if kind == "write" else kind
            cap = getattr(capability, f"{power}_capability")(secret, stream, epoch)
            out |= {f"{kind}_secret": secret.hex(), f"{power}_capability": cap.hex()}
            out[f"{power}_hash"] = capability.capability_hash(cap).hex()
        yield (
            f"capability_{name}",
            {"about": "secrets and capabilities of a stream", "kind": "capability", "room_secret": room.hex()}
            | {"stream": stream.hex(), "epoch": epoch, "out": out},
        )
    for n in (0, 20, 31, 33):
        yield (
            f"capability_room_secret_of_{n}_bytes",
            {"about": "only 32 bytes", "kind": "capability", "room_secret": _bytes("room", n).hex()}
            | {"stream": STREAM.hex(), "epoch": 0, "error": "bad_key"},
        )


def _chain() -> Iterator[tuple[str, Vector]]:
    one, two = b"een", b"twee"
    for name, stream, records in (
        ("empty", STREAM, []),
        ("other_stream", OTHER_STREAM, []),
        ("two", STREAM, [one, two]),
        ("two_swapped", STREAM, [two, one]),
        ("twice_the_same", STREAM, [one, one]),
        ("joined", STREAM, [one + two]),
        ("empty_record", STREAM, [b""]),
    ):
        values = [chain.first(stream)]
        for record in records:
            values.append(chain.extend(values[-1], record))
        yield (
            f"chain_{name}",
            {"about": "the running hash after each record", "kind": "chain", "stream": stream.hex()}
            | {"records": [r.hex() for r in records], "out": [v.hex() for v in values]},
        )


def _device() -> Iterator[tuple[str, Vector]]:
    for i in range(3):
        seed = _bytes(f"device {i}")
        keys = device.DeviceKeys.from_seed(seed)
        out = {"sign_key": keys.sign.public.hex(), "box_key": keys.box.public.hex()}
        yield f"device_{i}", {"about": "keys of a seed", "kind": "device", "seed": seed.hex(), "out": out}
    for n in (0, 16, 31, 33):
        seed = _bytes("device", n)
        yield (
            f"device_seed_of_{n}_bytes",
            {
                "about": "only 32 bytes",
                "kind": "device",
                "seed": seed.hex(),
                "error": "bad_key",
            },
        )


# Codes and words


def _code() -> Iterator[tuple[str, Vector]]:
    for name, code in (
        ("zeros", bytes(20)),
        ("ones", b"\xff" * 20),
        ("some", _bytes("code", 20)),
    ):
        text = words.encode_code(code)
        yield f"code_{name}", {"about": "as we print it", "kind": "code", "text": text, "out": code.hex()}
    # A code with 0, 1 and A in it, to write as O, I, L and a Cyrillic A.
    codes = (_bytes(f"code {i}", 20) for i in range(1000))
    code = next(c for c in codes if set("01A") <= set(words.encode_code(c)))
    text = words.encode_code(code)
    for name, about, typed in (
        ("lower_case", "small letters", text.lower()),
        ("one_line", "no dashes", text.replace("-", "")),
        ("spaces", "spaces everywhere", "  " + " ".join(text.replace("-", "")) + "\n"),
        (
            "other_dashes",
            "what a word processor makes of it",
            text.replace("-", "\u2011").replace("\u2011", " \u2013\u00a0", 2),
        ),
        ("o_for_0", "the letter O", text.replace("0", "O")),
        ("small_o_for_0", "the letter o", text.replace("0", "o")),
        ("i_for_1", "the letter I", text.replace("1", "I")),
        ("l_for_1", "the letter l", text.replace("1", "l")),
    ):
        yield f"code_{name}", {"about": about, "kind": "code", "text": typed, "out": code.hex()}

    plain = text.replace("-", "")
    at = next(i for i in range(31) if plain[i] != plain[i + 1])
    wrong = plain[:3] + ("7" if plain[3] != "7" else "8") + plain[4:]
    for name, about, typed in (
        ("one_wrong", "one wrong letter", wrong),
        ("swapped", "two neighbours swapped", plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :]),
        ("wrong_checksum", "the last letter wrong", plain[:-1] + ("7" if plain[-1] != "7" else "8")),
        ("checksum_too_large", "a checksum that no code has", "0" * 32 + "ZZZZ"),
        ("checksum_is_the_prime", "the prime itself where 0 should be", "0" * 32 + "ZZZX"),
        ("group_missing", "a group left out", text[:4] + text[9:]),
        ("group_twice", "a group typed twice", text[:5] + text),
        ("35_letters", "one letter missing", plain[:-1]),
        ("37_letters", "one letter more", plain + "0"),
        ("letter_u", "a letter that is in no code", "U" + plain[1:]),
        ("empty", "nothing", ""),
        ("full_width", "a digit of another alphabet", "\uff10" * 36),
        ("dotless_i", "a letter that becomes I in upper case", plain.replace("1", "\u0131")),
        ("cyrillic_a", "a letter that looks like A", plain.replace("A", "\u0410")),
        ("long_s", "a letter that becomes S in upper case", "\u017f" * 36),
    ):
        yield f"code_{name}", {"about": about, "kind": "code", "text": typed, "error": "bad_code"}


def _words() -> Iterator[tuple[str, Vector]]:
    for name, digest in (
        ("zeros", bytes(32)),
        ("ones", b"\xff" * 32),
        ("some", _bytes("words")),
        ("last_of_the_forty_bits", bytes(4) + b"\1" + bytes(27)),
        ("after_the_forty_bits", bytes(5) + b"\xff" * 27),
    ):
        for language in ("nl", "en"):
            out = words.comparison_words(digest, "nl" if language == "nl" else "en")
            yield (
                f"words_{language}_{name}",
                {"about": "four words", "kind": "words", "digest": digest.hex(), "language": language, "out": out},
            )
    yield (
        "words_short_digest",
        {"about": "15 bytes", "kind": "words", "digest": bytes(15).hex(), "language": "nl", "error": "bad_key"},
    )
