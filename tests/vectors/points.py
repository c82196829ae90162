"""The points of edwards25519 as RFC 8032 adds and multiplies them: the definition, which `curve` is held against."""

from __future__ import annotations

from eigenkring_crypto.curve import ORDER, P

D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]


def decode(encoded: bytes) -> Point | None:
    """RFC 8032, section 5.1.3, but for the sign of x = 0. None where no point has this y."""
    n = int.from_bytes(encoded, "little")
    y, sign = n & (2**255 - 1), n >> 255
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * SQRT_MINUS_1 % P
        if (v * x * x - u) % P:
            return None
    if x & 1 != sign:
        x = (P - x) % P
    return x, y, 1, x * y % P


def encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(a: Point, b: Point) -> Point:
    """RFC 8032, section 5.1.4: the formula is complete, it doubles as well."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    p, q, r, s = f - e, h - g, h + g, f + e
    return p * q % P, r * s % P, q * r % P, p * s % P


def multiply(k: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    for bit in bin(k)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def is_neutral(point: Point) -> bool:
    return point[0] == 0 and point[1] == point[2]


def is_of_prime_order(encoded: bytes) -> bool:
    """Whether L times the point is the neutral element."""
    point = decode(encoded)
    return point is not None and is_neutral(multiply(ORDER, point))


_base = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
assert _base is not None
BASE: Point = _base


def torsion() -> list[Point]:
    """The eight points of small order, computed: L times any point has an order that divides 8."""
    for y in range(2, 100):
        found = decode(y.to_bytes(32, "little"))
        point = None if found is None else multiply(ORDER, found)
        if point is not None and not is_neutral(multiply(4, point)):
            return [multiply(i, point) for i in range(8)]
    raise AssertionError("no point of order 8 found")
