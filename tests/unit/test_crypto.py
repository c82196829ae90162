"""Properties of the suite that no list of vectors can show."""

import json
import math
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eigenkring_crypto import box, capability, curve, kdf, pad, seal, sign, words
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import BadCode, BadKey, BadSignature, CryptoError, FutureVersion, Unopenable

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
STREAM = bytes(range(16))
KEYS = DeviceKeys.from_seed(bytes(range(32)))

secrets_ = st.binary(min_size=32, max_size=32)
streams = st.binary(min_size=16, max_size=16)
nonces = st.binary(min_size=24, max_size=24)
epochs = st.integers(0, 2**32 - 1)
plaintexts = st.binary(max_size=2000)


# Sealing


@given(secrets_, streams, epochs, plaintexts, nonces)
def test_opening_undoes_sealing(secret: bytes, stream: bytes, epoch: int, plaintext: bytes, nonce: bytes) -> None:
    record = seal.seal(secret, stream, epoch, plaintext, nonce)
    assert seal.open_sealed(secret, stream, record) == (epoch, plaintext)
    assert seal.record_epoch(record) == epoch
    assert len(record) == seal.HEADER_BYTES + pad.padded_bytes(len(plaintext)) + seal.TAG_BYTES


def test_every_bit_of_a_record_counts_and_all_fail_alike() -> None:
    secret = bytes(32)
    record = seal.seal(secret, STREAM, 1, b"Wie haalt Sam?", bytes(24))
    seen = set()
    for at in range(len(record)):
        for bit in range(8):
            changed = bytearray(record)
            changed[at] ^= 1 << bit
            with pytest.raises(CryptoError) as raised:
                seal.open_sealed(secret, STREAM, bytes(changed))
            assert type(raised.value) is (FutureVersion if at == 0 else Unopenable)
            if at > 0:
                seen.add(_told(raised.value))
    for wrong_secret, wrong_stream in ((b"\1" * 32, STREAM), (secret, bytes(16))):
        with pytest.raises(Unopenable) as unopenable:
            seal.open_sealed(wrong_secret, wrong_stream, record)
        seen.add(_told(unopenable.value))
    assert seen == {("unopenable", ("a record does not open",), None)}


def _told(error: CryptoError) -> tuple[object, ...]:
    """All that a log or a caller would see of an error."""
    assert error.__context__ is None or error.__suppress_context__
    return error.code, error.args, error.__cause__


@given(st.integers(0, 332))
def test_every_beginning_of_a_record_fails(n: int) -> None:
    record = seal.seal(bytes(32), STREAM, 1, b"", bytes(24))
    with pytest.raises(Unopenable):
        seal.open_sealed(bytes(32), STREAM, record[:n])


@given(st.binary(max_size=600))
def test_foreign_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    for attempt in (
        lambda: seal.open_sealed(bytes(32), STREAM, data),
        lambda: seal.open_sealed(bytes(32), STREAM, b"\1" + data),
        lambda: pad.unpad(data),
        lambda: sign.verify(data, "x", STREAM, b"", data),
        lambda: sign.verify(data[:32], "x", STREAM, b"", data[:64]),
        lambda: box.seal_box(data, "x", b"", b""),
    ):
        with pytest.raises(CryptoError):
            attempt()


@pytest.mark.parametrize("epoch", [-1, 2**32])
def test_an_epoch_that_does_not_fit_is_a_mistake_of_ours(epoch: int) -> None:
    with pytest.raises(ValueError, match="u32"):
        seal.seal(bytes(32), STREAM, epoch, b"", bytes(24))


def test_wrong_sizes_of_our_own_arguments() -> None:
    with pytest.raises(ValueError, match="nonce"):
        seal.seal(bytes(32), STREAM, 0, b"", bytes(12))
    for stream in (b"", bytes(15), bytes(17)):
        with pytest.raises(ValueError, match="stream"):
            seal.seal(bytes(32), stream, 0, b"", bytes(24))
        with pytest.raises(ValueError, match="stream"):
            sign.sign(KEYS.sign, "x", stream, b"")


@pytest.mark.parametrize("n", [0, 31, 33])
def test_a_seed_or_a_capability_of_another_size_is_refused(n: int) -> None:
    with pytest.raises(BadKey, match="seed"):
        sign.SigningKey.from_seed(bytes(n))
    with pytest.raises(BadKey, match="capability"):
        capability.capability_hash(bytes(n))


@pytest.mark.parametrize("n", [0, -1, 8161])
def test_more_or_less_than_hkdf_gives_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 8160"):
        kdf.derive(bytes(32), "x", b"", n)


# Padding


@given(st.integers(0, 1 << 24))
def test_padding_costs_little_and_reveals_little(n: int) -> None:
    size = pad.padded_bytes(n)
    total = n + 4
    assert size >= max(256, total)
    assert size <= max(256, math.ceil(total * 1.12))
    assert pad.padded_bytes(size - 4) == size, "the largest plaintext of a size has that size"
    assert pad.padded_bytes(n + 1) >= size


def test_how_many_sizes_there_are() -> None:
    """Padmé's promise: of the million sizes below a megabyte an onlooker can tell some 250 apart."""
    sizes = {pad.padded_bytes(n) for n in range(0, 1 << 20, 7)}
    assert len(sizes) < 260
    exponents = {size.bit_length() for size in sizes}
    for e in exponents:
        assert len([size for size in sizes if size.bit_length() == e]) <= 2 ** (math.floor(math.log2(e - 1)) + 1)


@given(plaintexts)
def test_unpadding_undoes_padding(plaintext: bytes) -> None:
    assert pad.unpad(pad.pad(plaintext)) == plaintext


@given(st.binary(min_size=256, max_size=600))
def test_what_unpads_was_padded_so(data: bytes) -> None:
    data = b"\0\0" + data[2:]
    try:
        plaintext = pad.unpad(data)
    except CryptoError:
        return
    assert pad.pad(plaintext) == data


# Signatures


@given(st.binary(max_size=300), streams)
def test_a_signature_holds_for_its_own_words_only(body: bytes, stream: bytes) -> None:
    signature = sign.sign(KEYS.sign, "record", stream, body)
    sign.verify(KEYS.sign.public, "record", stream, body, signature)
    for name, other_stream, other_body in (
        ("recorD", stream, body),
        ("record", bytes([stream[0] ^ 1]) + stream[1:], body),
        ("record", stream, body + b"\0"),
    ):
        with pytest.raises(BadSignature):
            sign.verify(KEYS.sign.public, name, other_stream, other_body, signature)


def test_every_bit_of_a_signature_counts() -> None:
    signature = sign.sign(KEYS.sign, "record", STREAM, b"ja")
    for at in range(len(signature) * 8):
        changed = (int.from_bytes(signature, "big") ^ 1 << at).to_bytes(64, "big")
        with pytest.raises(BadSignature):
            sign.verify(KEYS.sign.public, "record", STREAM, b"ja", changed)


def test_verify_gives_nothing_that_could_be_taken_for_a_yes() -> None:
    signature = sign.sign(KEYS.sign, "record", STREAM, b"")
    assert sign.verify.__annotations__["return"] is None
    assert not sign.verify(KEYS.sign.public, "record", STREAM, b"", signature)  # type: ignore[func-returns-value]


@pytest.fixture
def textbook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The points as RFC 8032 has them, which the vectors are made with."""
    monkeypatch.syspath_prepend(str(VECTORS))
    import points  # type: ignore[import-not-found]

    return points


def _is_key(public: bytes) -> bool:
    try:
        curve.check_public.__wrapped__(public)
    except BadKey:
        return False
    return True


def test_the_table_of_small_order_points_is_right(textbook: Any) -> None:
    """Computed again, from a point of the curve and the group order, and compared with what `curve` says."""
    import make_crypto  # type: ignore[import-not-found]

    small = textbook.torsion()
    assert len({textbook.encode(point) for point in small}) == 8
    assert all(textbook.is_neutral(textbook.multiply(8, point)) for point in small)
    ys = {int.from_bytes(textbook.encode(point), "little") & (2**255 - 1) for point in small}
    assert ys == curve.SMALL_ORDER_Y
    encodings = make_crypto.small_order_encodings()
    assert len(encodings) == 14
    for encoded in encodings:
        with pytest.raises(BadKey):
            curve.check_point(encoded)
        with pytest.raises(BadKey):
            curve.check_public(encoded)


@settings(max_examples=30)
@given(secrets_)
def test_every_grown_key_is_accepted(seed: bytes) -> None:
    curve.check_public(sign.SigningKey.from_seed(seed).public)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scalar=st.integers(1, curve.ORDER - 1))
def test_of_a_point_and_what_lies_a_small_order_beside_it_one_is_a_key(textbook: Any, scalar: int) -> None:
    point = textbook.multiply(scalar, textbook.BASE)
    for at, small in enumerate(textbook.torsion()):
        key = textbook.encode(textbook.add(point, small))
        assert _is_key(key) == textbook.is_of_prime_order(key) == (at == 0)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=secrets_)
def test_any_bytes_are_a_key_where_the_order_makes_them_neutral(textbook: Any, key: bytes) -> None:
    y = int.from_bytes(key, "little") & (2**255 - 1)
    honest = y < curve.P and y not in curve.SMALL_ORDER_Y
    assert _is_key(key) == (honest and textbook.is_of_prime_order(key))


def test_what_the_test_of_a_key_stands_on() -> None:
    """The sentences of `check_public` about 5 L - 1, by numbers."""
    scalar, twist = 5 * curve.ORDER - 1, 2 * curve.P + 2 - 8 * curve.ORDER
    assert scalar % 8 == 0 and scalar >> 254 == 1 and scalar % curve.ORDER == curve.ORDER - 1
    # Else a point of the twist could come back as itself, or as its negative.
    assert math.gcd(scalar - 1, twist) == math.gcd(scalar + 1, twist) == 1
    # On the curve, of 8 L points: what comes back has no part of small order.
    assert math.gcd(scalar - 1, 8) == math.gcd(scalar + 1, 8) == 1
    # Hasse: both orders lie where a curve over this field can have them, so L is right as well.
    assert abs(curve.P + 1 - 8 * curve.ORDER) <= 2 * math.isqrt(curve.P)


# Boxes


@settings(max_examples=20)
@given(st.binary(max_size=600), st.binary(max_size=40))
def test_opening_undoes_boxing(plaintext: bytes, context: bytes) -> None:
    sealed = box.seal_box(KEYS.box.public, "keybag", context, plaintext)
    assert box.open_box(KEYS.box, "keybag", context, sealed) == plaintext
    assert len(sealed) == box.ENC_BYTES + pad.padded_bytes(len(plaintext)) + 16
    for name, other in (("keybag", context + b"\0"), ("keybags", context)):
        with pytest.raises(Unopenable):
            box.open_box(KEYS.box, name, other, sealed)


def test_every_byte_of_a_box_counts_and_all_fail_alike() -> None:
    sealed = box.seal_box(KEYS.box.public, "keybag", b"", b"sleutels")
    seen = set()
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        with pytest.raises(Unopenable) as raised:
            box.open_box(KEYS.box, "keybag", b"", bytes(changed))
        seen.add((str(raised.value), raised.value.__cause__, raised.value.__suppress_context__))
    assert seen == {("a box does not open", None, True)}


# Labels, secrets, codes and words


@given(st.text(min_size=1, max_size=10), st.text(min_size=1, max_size=10))
def test_no_label_begins_another(a: str, b: str) -> None:
    made = []
    for name in (a, b):
        try:
            made.append(kdf.label(name))
        except ValueError:
            assert not (name.isascii() and name.isprintable())
            return
    assert (made[0] == made[1]) == (a == b)
    assert a == b or not made[1].startswith(made[0])


@pytest.mark.parametrize("name", ["", "a\0b", "é", "a\n", "\u2028"])
def test_a_name_that_could_confuse_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="label"):
        kdf.label(name)


def test_no_key_shows_its_secret() -> None:
    seed = bytes(range(32))
    for key, hidden in (
        (KEYS, seed),
        (KEYS.sign, kdf.derive(seed, "device sign")),
        (KEYS.box, kdf.derive(seed, "device kem")),
    ):
        shown = f"{key!r} {key!s} {key}"
        assert hidden.hex() not in shown
        assert not hasattr(key, "__dict__")
        with pytest.raises((TypeError, AttributeError)):
            pickle.dumps(key)


@given(st.binary(min_size=20, max_size=20))
def test_a_code_survives_being_written_down(code: bytes) -> None:
    text = words.encode_code(code)
    assert len(text) == 44
    assert words.decode_code(text) == code
    assert words.decode_code(text.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == code


@pytest.mark.parametrize("n", [19, 21])
def test_a_code_of_another_size_is_not_written_down(n: int) -> None:
    with pytest.raises(BadKey):
        words.encode_code(bytes(n))


def test_a_pasted_book_is_refused_at_its_37th_letter() -> None:
    with pytest.raises(BadCode, match="other symbols"):
        words.decode_code("2" * 37)


def test_there_are_words_in_two_languages() -> None:
    with pytest.raises(ValueError, match="no words"):
        words.comparison_words(bytes(16), "fr")  # type: ignore[arg-type]


@given(st.binary(min_size=20, max_size=20), st.integers(0, 35), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_letter_is_always_noticed(code: bytes, at: int, letter: str) -> None:
    text = words.encode_code(code).replace("-", "")
    if text[at] != letter:
        with pytest.raises(BadCode):
            words.decode_code(text[:at] + letter + text[at + 1 :])


@given(st.binary(min_size=20, max_size=20), st.integers(0, 30))
def test_two_neighbours_swapped_are_always_noticed(code: bytes, at: int) -> None:
    text = words.encode_code(code).replace("-", "")
    if text[at] != text[at + 1]:
        with pytest.raises(BadCode):
            words.decode_code(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_is_refused_politely(text: str) -> None:
    try:
        assert len(words.decode_code(text)) == 20
    except BadCode as error:
        assert len(text) < 8 or text not in str(error)


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_words_can_be_told_apart(language: words.Language) -> None:
    listed = words._words(language)
    assert len(set(listed)) == 1024
    assert list(listed) == sorted(listed)
    assert all(w.isascii() and w.isalpha() and w.islower() and 3 <= len(w) <= 8 for w in listed)
    assert len({w[:4] for w in listed}) == 1024
    # Neighbours in a sorted list: no word is the beginning of another.
    assert not any(b.startswith(a) for a, b in pairwise(listed))


def test_the_fixed_boxes_come_from_both_programs() -> None:
    boxes: dict[str, dict[str, Any]] = json.loads((VECTORS / "fixed" / "boxes.json").read_text())
    opened = set()
    for fixed in boxes.values():
        key = box.BoxKey.from_seed(bytes.fromhex(fixed["seed"]))
        assert key.public.hex() == fixed["public"]
        if "plaintext" in fixed:
            got = box.open_box(key, fixed["name"], bytes.fromhex(fixed["context"]), bytes.fromhex(fixed["box"]))
            assert got.hex() == fixed["plaintext"]
            opened.add(fixed["maker"])
    assert opened == {"python", "typescript"}


def test_every_error_has_a_code_of_its_own() -> None:
    leaves = CryptoError.__subclasses__()
    assert len({leaf.code for leaf in leaves}) == len(leaves) == 6
    assert all(str(leaf()) == leaf.code for leaf in leaves)
