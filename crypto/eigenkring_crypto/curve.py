"""Which points of edwards25519 may be a key or the first half of a signature (docs/spec/seal.md, Signature).

Libraries agree about signatures of honest keys. Where they differ is at the edges that a forger chooses:
points of small order, two encodings of one point, and keys with a small-order part ("mixed order"), for which
the equations with and without the cofactor disagree (Chalkias, Garillot, Nikolaenko, "Taming the many
EdDSAs", ia.cr/2020/1244). Two devices that disagree about one signature would fold one stream to two states,
so we decide these ourselves. Everything here is public, so nothing needs constant time.
"""

from functools import lru_cache
from typing import Final

from eigenkring_crypto.errors import BadKey

POINT_BYTES: Final = 32
P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, P) % P
_SQRT_MINUS_1: Final = pow(2, (P - 1) // 4, P)

# y of the points of order 8: doubling one gives order 4, where y = 0, so x^2 = -y^2; with the curve's
# equation -x^2 + y^2 = 1 + d x^2 y^2 that is d y^4 + 2 y^2 - 1 = 0.
# One of its roots (a test computes all of this again):
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# Order 1: y = 1. Order 2: y = -1. Order 4: y = 0. Order 8: y = +-_Y8. One y, one order.
SMALL_ORDER_Y: Final = frozenset({0, 1, P - 1, _Y8, P - _Y8})

_Point = tuple[int, int, int, int]


def check_point(encoded: bytes) -> None:
    """Raises BadKey unless this is 32 bytes with a y below p that is not the y of a small-order point.

    The other non-canonical form, a sign bit where x = 0, exists only for y = 1 and y = -1: refused anyway.
    """
    if len(encoded) != POINT_BYTES:
        raise BadKey("a point is 32 bytes")
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= P or y in SMALL_ORDER_Y:
        raise BadKey("a point that no honest key has")


# About 2 ms; a device meets the same few keys over and over.
@lru_cache(maxsize=4096)
def check_public(encoded: bytes) -> None:
    """Raises BadKey unless `check_point` holds and this is a point of the curve in the prime-order subgroup.

    Every key grown from a seed is. A mixed-order key is refused because its signatures are valid in one
    library and not in the other.
    """
    check_point(encoded)
    if not _is_neutral(_multiply(ORDER, _decode(encoded))):
        raise BadKey("a point that no honest key has")


def _decode(encoded: bytes) -> _Point:
    """RFC 8032, section 5.1.3. For a y that `check_point` let through, so x is never 0."""
    n = int.from_bytes(encoded, "little")
    y, sign = n & (2**255 - 1), n >> 255
    u, v = (y * y - 1) % P, (_D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * _SQRT_MINUS_1 % P
        if (v * x * x - u) % P:
            raise BadKey("not a point of the curve")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _add(a: _Point, b: _Point) -> _Point:
    """RFC 8032, section 5.1.4: the formula is complete, it doubles as well."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * _D % P
    h = 2 * a[2] * b[2] % P
    p, q, r, s = f - e, h - g, h + g, f + e
    return p * q % P, r * s % P, q * r % P, p * s % P


def _multiply(k: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    for bit in bin(k)[2:]:
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result


def _is_neutral(point: _Point) -> bool:
    return point[0] == 0 and point[1] == point[2]
