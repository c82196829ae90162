/**
 * Ed25519 (RFC 8032) as WebKitGTK cannot do it: its libgcrypt counts a message in 16 bits, so that a page that signs or
 * checks 65,535 bytes or more is ended by the system, and it takes no PKCS8 seed that begins with a zero byte.
 *
 * Checking is done here for long messages in every browser: all of it is public, and the equation is the one of `sign`.
 * Signing is done here in that browser only; elsewhere no seed stays in the memory of scripts.
 */
import { bytesOf, combined, littleEndian, ORDER, timesBase } from "./curve";
import { type Bytes, concat } from "./kdf";

/** From here on a message is long; a label and a stream stand before each body. */
export const LONG_BYTES = 65_000;

/** Whether this is the browser that cannot sign a long message. Chromium and Firefox bring their own cryptography. */
export function cannotSignLong(agent: string = globalThis.navigator?.userAgent ?? ""): boolean {
  return /\b(?:Linux|X11|Wayland)\b/.test(agent) && /AppleWebKit/.test(agent) && !/Chrom|Android/.test(agent);
}

/** The public half of a 32-byte seed. */
export async function publicOf(seed: Uint8Array): Promise<Bytes> {
  return timesBase((await halves(seed)).scalar);
}

/** What WebCrypto would answer. */
export async function signLong(seed: Uint8Array, message: Bytes): Promise<Bytes> {
  const { scalar, prefix } = await halves(seed);
  const r = littleEndian(await sha512(concat(prefix, message))) % ORDER;
  const point = timesBase(r);
  const k = littleEndian(await sha512(concat(point, timesBase(scalar), message)));
  return concat(point, bytesOf((r + k * scalar) % ORDER));
}

/** Whether the equation holds. R, S and key have passed the checks of `verify`. */
export async function holdsLong(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const [r, s] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))];
  const k = littleEndian(await sha512(concat(r, publicKey, message))) % ORDER;
  return littleEndian(combined(s, k, publicKey)) === littleEndian(r);
}

async function halves(seed: Uint8Array): Promise<{ scalar: bigint; prefix: Bytes }> {
  const hash = await sha512(new Uint8Array(seed));
  const low = littleEndian(hash.subarray(0, 32)) & (2n ** 254n - 8n);
  return { scalar: low | (2n ** 254n), prefix: hash.slice(32) };
}

async function sha512(data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-512", data));
}
