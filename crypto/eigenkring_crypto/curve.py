"""Which points of edwards25519 may be a key or the first half of a signature (docs/spec/seal.md, Signature).

Libraries agree about signatures of honest keys. Where they differ is at the edges that a forger chooses:
points of small order, two encodings of one point, and keys with a small-order part ("mixed order"), for which
the equations with and without the cofactor disagree (Chalkias, Garillot, Nikolaenko, "Taming the many
EdDSAs", ia.cr/2020/1244). Two devices that disagree about one signature would fold one stream to two states,
so we decide these ourselves. Everything here is public, so nothing needs constant time.
"""

from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from eigenkring_crypto.errors import BadKey

POINT_BYTES: Final = 32
P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
# y of the points of order 8: doubling one gives order 4, where y = 0, so x^2 = -y^2; with the curve's
# equation -x^2 + y^2 = 1 + d x^2 y^2 that is d y^4 + 2 y^2 - 1 = 0.
# One of its roots (a test computes all of this again):
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# Order 1: y = 1. Order 2: y = -1. Order 4: y = 0. Order 8: y = +-_Y8. One y, one order.
SMALL_ORDER_Y: Final = frozenset({0, 1, P - 1, _Y8, P - _Y8})

# 5 L - 1 is what X25519 takes as it is: a multiple of 8 whose highest bit is 2^254 (RFC 7748, section 5).
_FIVE_ORDERS_LESS_ONE: Final = X25519PrivateKey.from_private_bytes((5 * ORDER - 1).to_bytes(POINT_BYTES, "little"))


def check_point(encoded: bytes) -> None:
    """Raises BadKey unless this is 32 bytes with a y below p that is not the y of a small-order point.

    The other non-canonical form, a sign bit where x = 0, exists only for y = 1 and y = -1: refused anyway.
    """
    if len(encoded) != POINT_BYTES:
        raise BadKey("a point is 32 bytes")
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= P or y in SMALL_ORDER_Y:
        raise BadKey("a point that no honest key has")


# A device meets the same few keys over and over.
@lru_cache(maxsize=4096)
def check_public(encoded: bytes) -> None:
    """Raises BadKey unless `check_point` holds and this is a point of the curve in the prime-order subgroup.

    Every key grown from a seed is. A mixed-order key is refused because its signatures are valid in one
    library and not in the other.
    """
    check_point(encoded)
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    # The same point on Curve25519, whose u says it but for its sign (RFC 7748, section 4.1).
    u = ((1 + y) * pow(1 - y, -1, P) % P).to_bytes(POINT_BYTES, "little")
    # It is a Q of order L (or 1) and a T whose order divides 8, and [5 L - 1](Q + T) = -Q: the same u only where T is
    # neutral (T = -2 Q is possible for that T alone). Where y is not of the curve, u is of its twist, and no point
    # there comes back: neither 5 L - 2 nor 5 L has a factor in common with its order, 2 p + 2 - 8 L.
    try:
        again = _FIVE_ORDERS_LESS_ONE.exchange(X25519PublicKey.from_public_bytes(u))
    except ValueError:
        again = b""  # a small order of the twist: the library refuses to give nothing but zeros
    if again != u:
        raise BadKey("a point that no honest key has")
