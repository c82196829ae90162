/** Labels, hashes and derived keys (docs/spec/conventions.md). Synchronous, so that rules can use them. */
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { BadKey } from "./errors";

/** What this suite returns: bytes in memory of their own, as WebCrypto and IndexedDB want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const HASH_BYTES = 32;
export const SECRET_BYTES = 32;
export const MIN_SECRET_BYTES = 16;
export const MAX_DERIVED_BYTES = 255 * HASH_BYTES;
export const STREAM_BYTES = 16;

/**
 * `L(name)`: the text `eigenkring/1 `, the name, one zero byte. No name holds a zero byte, so no label is the
 * beginning of another and one purpose cannot pass for another. RangeError unless the name is printable ASCII.
 */
export function label(name: string): Bytes {
  if (!/^[\x20-\x7e]+$/.test(name)) throw new RangeError("a label is printable ASCII");
  return new TextEncoder().encode(`eigenkring/1 ${name}\0`);
}

/** SHA-256 of the parts joined, 32 bytes. Callers join only parts of fixed size, or one last part of any size. */
export function sha256(...parts: Uint8Array[]): Bytes {
  const h = nobleSha256.create();
  for (const part of parts) h.update(part);
  return new Uint8Array(h.digest());
}

/**
 * HKDF-SHA-256 with empty salt and `info = L(name) || context`; `n` bytes, 1 to 8160.
 * Throws BadKey when the secret is shorter than 16 bytes: an empty secret is a forgotten one.
 */
export function derive(
  secret: Uint8Array,
  name: string,
  context: Uint8Array = new Uint8Array(),
  n = 32,
): Bytes {
  if (secret.length < MIN_SECRET_BYTES) throw new BadKey("a secret to derive from is too short");
  return hkdf(secret, new Uint8Array(), concat(label(name), context), n);
}

/**
 * HMAC-SHA-256 over `L(name) || context`, 32 bytes. The key is exactly 32 bytes, else BadKey: HMAC fills short keys
 * with zeros and hashes long ones, so keys of several sizes would have twins.
 */
export function hmac(key: Uint8Array, name: string, context: Uint8Array): Bytes {
  if (key.length !== SECRET_BYTES) throw new BadKey("an HMAC key is 32 bytes");
  return new Uint8Array(nobleHmac(nobleSha256, key, concat(label(name), context)));
}

/** HKDF-SHA-256 (RFC 5869) itself. For this folder: others call `derive`, which always has a label. */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, n: number): Bytes {
  if (!Number.isInteger(n) || n < 1 || n > MAX_DERIVED_BYTES)
    throw new RangeError("HKDF gives 1 to 8160 bytes");
  return new Uint8Array(nobleHkdf(nobleSha256, secret, salt, info, n));
}

/** Four bytes, big-endian. RangeError outside 0 .. 2^32 - 1. */
export function u32(value: number): Bytes {
  // Not `value >>> 0`: that would make 2^32 a 0 and seal for another epoch.
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError("not a u32");
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

/** The stream id, after a check that it is 16 bytes (RangeError): joined parts need fixed sizes. */
export function streamId(stream: Uint8Array): Uint8Array {
  if (stream.length !== STREAM_BYTES) throw new RangeError("a stream id is 16 bytes");
  return stream;
}

/** The parts joined (Python: `+`). */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  return concatAll(parts);
}

/** The same for very many: a call takes only so many arguments. */
export function concatAll(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
