"""Words that people compare aloud, and the recovery code on paper (docs/spec/seal.md, Words and codes)."""

from functools import cache
from importlib.resources import files
from typing import Final, Literal

from eigenkring_crypto.errors import BadCode, BadKey

Language = Literal["nl", "en"]

WORD_COUNT: Final = 1024
COMPARISON_WORDS: Final = 4
CODE_BYTES: Final = 20
CODE_SYMBOLS: Final = 36
_GROUP: Final = 4
# Crockford's base 32: no I, L, O (read as 1, 1, 0) and no U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# The largest prime below 2^20. A remainder by a prime catches every single wrong symbol and every two
# neighbours swapped (their difference is d * 32^i or d * 31 * 32^i with d < 32), anything else but once in a
# million.
_CHECK_PRIME: Final = 1_048_573
_CHECK_BITS: Final = 20
# Spelled out rather than str.upper() and str.isspace(): Python and JavaScript know different alphabets.
_READ_AS: Final = {
    **{symbol: value for value, symbol in enumerate(_ALPHABET)},
    **{symbol.lower(): value for value, symbol in enumerate(_ALPHABET)},
    **dict.fromkeys("Oo", 0),
    **dict.fromkeys("IiLl", 1),
}
_SKIPPED: Final = frozenset(" \t\r\n\u00a0-\u2010\u2011\u2012\u2013\u2014._")


def comparison_words(digest: bytes, language: Language) -> list[str]:
    """Four words for two people to compare, from the first 40 bits of a digest of at least 16 bytes (BadKey).

    40 bits are enough because whoever would forge must fix the digest before knowing the nonce in it
    (docs/spec/charter.md, Comparing words).
    """
    if len(digest) < 16:
        raise BadKey("a digest to compare is too short")
    words = _words(language)
    bits = int.from_bytes(digest[:5], "big")
    return [words[bits >> shift & 1023] for shift in (30, 20, 10, 0)]


def encode_code(code: bytes) -> str:
    """The text of a 20-byte recovery code: nine groups of four with `-`, 32 symbols of data and 4 of
    checksum.
    """
    if len(code) != CODE_BYTES:
        raise BadKey("a recovery code is 20 bytes")
    number = int.from_bytes(code, "big")
    number = number << _CHECK_BITS | number % _CHECK_PRIME
    text = "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(CODE_SYMBOLS)))
    return "-".join(text[i : i + _GROUP] for i in range(0, CODE_SYMBOLS, _GROUP))


def decode_code(text: str) -> bytes:
    """The 20 bytes of what someone typed. Case, spaces, dashes and O for 0, I or L for 1 are forgiven; else
    BadCode.
    """
    number = 0
    symbols = 0
    for character in text:
        if character in _SKIPPED:
            continue
        value = _READ_AS.get(character)
        # Counting before growing: a pasted book is refused at its 37th letter.
        if value is None or symbols == CODE_SYMBOLS:
            raise BadCode("a recovery code has other symbols")
        number = number << 5 | value
        symbols += 1
    if symbols != CODE_SYMBOLS:
        raise BadCode("a recovery code has 36 symbols")
    data = number >> _CHECK_BITS
    if number & (1 << _CHECK_BITS) - 1 != data % _CHECK_PRIME:
        raise BadCode("a recovery code with a typing error")
    return data.to_bytes(CODE_BYTES, "big")


@cache
def _words(language: Language) -> tuple[str, ...]:
    if language not in ("nl", "en"):
        raise ValueError("no words in this language")
    text = files("eigenkring_crypto").joinpath(f"words_{language}.txt").read_text("utf-8")
    words = tuple(text.split())
    # A word too few would shift every index and make two versions of the app disagree.
    if len(words) != WORD_COUNT:
        raise RuntimeError("the word list is damaged")
    return words
