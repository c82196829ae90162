/**
 * Which points of edwards25519 may be a key or the first half of a signature (docs/spec/seal.md, Signature).
 *
 * Libraries agree about signatures of honest keys. Where they differ is at the edges that a forger chooses: points of
 * small order, two encodings of one point, and keys with a small-order part ("mixed order"), for which the equations
 * with and without the cofactor disagree (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", ia.cr/2020/1244).
 * Two devices that disagree about one signature would fold one stream to two states, so we decide these ourselves.
 * All that is checked here is public, so nothing needs constant time (BigInt has none). `timesBase` alone meets a secret:
 * only where a browser cannot do it itself (`long`).
 */
import { BadKey } from "./errors";

export const POINT_BYTES = 32;
export const P = 2n ** 255n - 19n;
export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SQRT_MINUS_1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;
// Of Curve25519, and a root of A + 2: half of the points of order 4 there is (1, S).
const A = 486662n;
const S = 9094040566125962849133224048217411091405536248825867518642941381412595940312n;
// y of the points of order 8: a root of d y^4 + 2 y^2 - 1 = 0 (curve.py says why).
const Y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
// Order 1: y = 1. Order 2: y = -1. Order 4: y = 0. Order 8: y = +-Y8. One y, one order.
export const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, Y8, P - Y8]);

type Point = readonly [bigint, bigint, bigint, bigint];

// RFC 8032, section 5.1.
const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
const BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
const BASE: Point = [BASE_X, BASE_Y, 1n, (BASE_X * BASE_Y) % P];

/**
 * Throws BadKey unless this is 32 bytes with a y below p that is not the y of a small-order point.
 * The other non-canonical form, a sign bit where x = 0, exists only for y = 1 and y = -1: refused anyway.
 */
export function checkPoint(encoded: Uint8Array): void {
  if (encoded.length !== POINT_BYTES) throw new BadKey("a point is 32 bytes");
  const y = littleEndian(encoded) & (2n ** 255n - 1n);
  if (y >= P || SMALL_ORDER_Y.has(y)) throw new BadKey("a point that no honest key has");
}

// A device meets the same few keys over and over. Only good keys are kept, so nobody fills this with nonsense.
const CACHED = 4096;
const good = new Set<bigint>();

/**
 * Throws BadKey unless `checkPoint` holds and this is a point of the curve in the prime-order subgroup.
 * Every key grown from a seed is. A mixed-order key is refused because its signatures are valid in one library and not
 * in the other.
 */
export function checkPublic(encoded: Uint8Array): void {
  checkPoint(encoded);
  const key = littleEndian(encoded);
  if (good.has(key)) return;
  if (!isOfPrimeOrder(key & (2n ** 255n - 1n))) throw new BadKey("a point that no honest key has");
  if (good.size >= CACHED) good.clear();
  good.add(key);
}

/**
 * Whether the points with this y are of the prime-order subgroup: those that are eight times a point, because the group is
 * cyclic of order 8 L. For a y that `checkPoint` let through. On Curve25519 (RFC 7748, 4.1: u = (1 + y) / (1 - y),
 * v^2 = u (u^2 + A u + 1); of v only the sign is open, and a point is of the subgroup where its negative is):
 *
 * 1. P is twice a point where u is a square, w^2. (What the Tate pairing with (0, 0) says.)
 * 2. Then one half of it is x = u - t - w r with y = r x, where t^2 = u^2 + A u + 1 and r^2 = A + 2 u - 2 t. Of the two t
 *    one has such an r, because their product is A^2 - 4, which is no square; the other half is one (0, 0) further, which is
 *    four times a point, so either will do. (The two isogenies of degree 2 whose product doubles, taken back.)
 * 3. That half is four times a point where ((r - s)^2 x)^((p - 1) / 4) = 1, with s^2 = A + 2: what the Tate pairing with
 *    (1, s), of order 4, says; its tangent is v = s u.
 *
 * After Pornin, "Point-Halving and Subgroup Membership in Twisted Edwards Curves", ia.cr/2022/1164. All is multiplied by
 * 1 - y, or by a fourth power of it, so nothing is divided. Python asks X25519 instead, which is a wait in a browser.
 */
function isOfPrimeOrder(y: bigint): boolean {
  const [above, below] = [1n + y, 1n - y];
  const both = mod(above * below);
  const w = root(both);
  const t = root(mod(above * above + A * both + below * below));
  if (w === undefined || t === undefined) return false; // an odd multiple, or no point of the curve
  const middle = A * below + 2n * above;
  for (const half of [t, -t]) {
    const r = root(mod((middle - 2n * half) * below));
    if (r === undefined) continue;
    const tangent = mod(r - S * below);
    const x = mod(both - half * below - w * r);
    const asked = mod(mod(tangent * tangent) * x);
    // (p - 1) / 4 = 8 (2^250 - 1) + 3
    return mod(squared(ones(asked), 3) * mod(mod(asked * asked) * asked)) === 1n;
  }
  return false; // by 2, there is no such point
}

/** One that gives `n` when it is squared; undefined where there is none. */
function root(n: bigint): bigint | undefined {
  // n^((p + 3) / 8), and (p + 3) / 8 = 4 (2^250 - 1) + 2: its square is n or -n where n is a square.
  const found = mod(squared(ones(n), 2) * mod(n * n));
  if (mod(found * found) === n) return found;
  const other = mod(found * SQRT_MINUS_1);
  return mod(other * other) === n ? other : undefined;
}

/** n^(2^250 - 1): 250 bits that are set, in 249 squarings and 12 products. */
function ones(n: bigint): bigint {
  let result = n;
  let bits = 1;
  for (const more of "1111010") {
    // Twice as many bits, and one more of them.
    result = mod(squared(result, bits) * result);
    bits *= 2;
    if (more === "0") continue;
    result = mod(mod(result * result) * n);
    bits += 1;
  }
  return result;
}

function squared(n: bigint, times: number): bigint {
  let result = n;
  for (let at = 0; at < times; at++) result = (result * result) % P;
  return result;
}

/** The number these bytes are, the least one first. */
export function littleEndian(bytes: Uint8Array): bigint {
  let n = 0n;
  for (const byte of [...bytes].reverse()) n = (n << 8n) | BigInt(byte);
  return n;
}

/** RFC 8032, section 5.1.3. For a y that `checkPoint` let through, so x is never 0. */
function decode(n: bigint): Point {
  const y = n & (2n ** 255n - 1n);
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(mod(u * power(v, 7n)), (P - 5n) / 8n));
  if (mod(v * x * x - u) !== 0n) {
    x = mod(x * SQRT_MINUS_1);
    if (mod(v * x * x - u) !== 0n) throw new BadKey("not a point of the curve");
  }
  if ((x & 1n) !== n >> 255n) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

/** `encode([s]B)`. As many steps for each `s` of 256 bits: how long it takes does not tell how many of them are set. */
export function timesBase(s: bigint): Uint8Array<ArrayBuffer> {
  let result: Point = [0n, 1n, 1n, 0n];
  for (let bit = 255n; bit >= 0n; bit--) {
    result = add(result, result);
    const more = add(result, BASE);
    result = (s >> bit) & 1n ? more : result;
  }
  return encode(result);
}

/** `encode([s]B - [k]A)`, of a key that `checkPublic` let through: what has to be R in a signature. */
export function combined(s: bigint, k: bigint, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const [x, y, z, t] = decode(littleEndian(publicKey));
  const minus: Point = [mod(-x), y, z, mod(-t)];
  const both = add(BASE, minus);
  let result: Point = [0n, 1n, 1n, 0n];
  for (let bit = 255n; bit >= 0n; bit--) {
    result = add(result, result);
    const [inS, inK] = [(s >> bit) & 1n, (k >> bit) & 1n];
    if (inS && inK) result = add(result, both);
    else if (inS) result = add(result, BASE);
    else if (inK) result = add(result, minus);
  }
  return encode(result);
}

function encode([x, y, z]: Point): Uint8Array<ArrayBuffer> {
  const inverse = power(z, P - 2n);
  return bytesOf(mod(y * inverse) | ((mod(x * inverse) & 1n) << 255n));
}

/** 32 bytes, the least one first. */
export function bytesOf(n: bigint): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: POINT_BYTES }, (_, at) => Number((n >> BigInt(8 * at)) & 0xffn));
}

/** RFC 8032, section 5.1.4: the formula is complete, it doubles as well. */
function add(a: Point, b: Point): Point {
  const e = mod((a[1] - a[0]) * (b[1] - b[0]));
  const f = mod((a[1] + a[0]) * (b[1] + b[0]));
  const g = mod(mod(2n * a[3] * b[3]) * D);
  const h = mod(2n * a[2] * b[2]);
  const [p, q, r, s] = [f - e, h - g, h + g, f + e];
  return [mod(p * q), mod(r * s), mod(q * r), mod(p * s)];
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = mod(result * result);
    if (bit === "1") result = mod(result * base);
  }
  return result;
}

function mod(n: bigint): bigint {
  const rest = n % P;
  return rest < 0n ? rest + P : rest;
}
