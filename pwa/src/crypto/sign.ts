/** Ed25519 signatures over a name, a stream and a body (docs/spec/seal.md, Signature). */
import { checkPoint, checkPublic, littleEndian, ORDER } from "./curve";
import { BadKey, BadSignature } from "./errors";
import { type Bytes, concat, label, SECRET_BYTES, streamId } from "./kdf";
import { cannotSignLong, holdsLong, LONG_BYTES, publicOf, signLong } from "./long";

export const PUBLIC_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const ED25519 = { name: "Ed25519" };
// RFC 8410: what WebCrypto wants around the 32 bytes of a seed.
const PKCS8 = new Uint8Array([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);

/** An Ed25519 private key. `public` is its 32-byte public key. The private half cannot be read back or shown. */
export class SigningKey {
  readonly public: Bytes;
  readonly #private: CryptoKey;
  readonly #seed: Bytes | undefined;

  private constructor(privateKey: CryptoKey, publicKey: Bytes, seed: Bytes | undefined) {
    this.#private = privateKey;
    this.#seed = seed;
    this.public = publicKey;
  }

  /** The key of a 32-byte RFC 8032 seed. BadKey for another size. */
  static async fromSeed(seed: Uint8Array): Promise<SigningKey> {
    if (seed.length !== SECRET_BYTES) throw new BadKey("a signing seed is 32 bytes");
    const pkcs8 = concat(PKCS8, seed);
    // WebCrypto gives the public half of a private key only through JWK, and only of an extractable one; that one is
    // dropped at once, and the key that stays cannot be read back by a script that got in later.
    const kept = cannotSignLong() ? new Uint8Array(seed) : undefined;
    if (kept && seed[0] === 0) return SigningKey.#besideZero(kept);
    const open = await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, true, ["sign"]);
    const { x } = await crypto.subtle.exportKey("jwk", open);
    if (x === undefined) throw new TypeError("this browser does not give public keys");
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, false, ["sign"]);
    const binary = atob(x.replaceAll("-", "+").replaceAll("_", "/"));
    return new SigningKey(
      key,
      Uint8Array.from(binary, (c) => c.charCodeAt(0)),
      kept,
    );
  }

  /** Of a seed that begins with a zero byte, where that cannot be PKCS8 (`long`). */
  static async #besideZero(seed: Bytes): Promise<SigningKey> {
    const publicKey = await publicOf(seed);
    const jwk = { kty: "OKP", crv: "Ed25519", d: base64url(seed), x: base64url(publicKey) };
    return new SigningKey(
      await crypto.subtle.importKey("jwk", jwk, ED25519, false, ["sign"]),
      publicKey,
      seed,
    );
  }

  /** For `sign` below: the bytes as they are, so others call that function, which always has a label. */
  async signBytes(message: Bytes): Promise<Bytes> {
    if (this.#seed && message.length >= LONG_BYTES) return signLong(this.#seed, message);
    return new Uint8Array(await crypto.subtle.sign(ED25519, this.#private, message));
  }
}

/** 64 bytes over `L(name) || stream || body`. The stream is signed so that no record moves to another. */
export async function sign(
  key: SigningKey,
  name: string,
  stream: Uint8Array,
  body: Uint8Array,
): Promise<Bytes> {
  return key.signBytes(concat(label(name), streamId(stream), body));
}

/**
 * Resolves when the signature holds; throws BadSignature for all else, wrong sizes and odd keys included.
 *
 * It gives nothing on purpose: a boolean can be forgotten. The verdict is that of the equation without cofactor
 * (`encode([S]B - [k]A) == R`), after the checks of `curve` on A and R and S < L. What is left of the known differences:
 * none for A; for an R with a small-order part a cofactored library would accept what we refuse. WebCrypto has to be
 * cofactorless, and the vectors `verify_cofactored_*` tell. (That is why this is not `@noble/curves`, which is cofactored
 * in both of its modes.)
 */
export async function verify(
  publicKey: Uint8Array,
  name: string,
  stream: Uint8Array,
  body: Uint8Array,
  signature: Uint8Array,
): Promise<void> {
  const message = concat(label(name), streamId(stream), body);
  if (signature.length !== SIGNATURE_BYTES) throw new BadSignature("a signature is 64 bytes");
  // S and S + L are both solutions: without this a signature has a twin, and a record a second hash.
  if (littleEndian(signature.subarray(32)) >= ORDER) throw new BadSignature("a signature does not hold");
  try {
    // With a small-order key one signature fits many messages; with a small-order R it gives the key away.
    checkPoint(signature.subarray(0, 32));
    checkPublic(publicKey);
  } catch {
    throw new BadSignature("a signature does not hold");
  }
  if (message.length >= LONG_BYTES) {
    if (await holdsLong(new Uint8Array(publicKey), message, new Uint8Array(signature))) return;
    throw new BadSignature("a signature does not hold");
  }
  // What WebCrypto throws is not caught: a browser without Ed25519 must not look like a forged signature.
  const key = await imported(publicKey);
  if (!(await crypto.subtle.verify(ED25519, key, new Uint8Array(signature), message)))
    throw new BadSignature("a signature does not hold");
}

// A device meets the same few keys over and over, and each import is a wait of its own.
const CACHED = 1024;
const known = new Map<bigint, Promise<CryptoKey>>();

/** Of a key that `checkPublic` let through. */
function imported(publicKey: Uint8Array): Promise<CryptoKey> {
  const name = littleEndian(publicKey);
  const found = known.get(name);
  if (found) return found;
  if (known.size >= CACHED) known.clear();
  const key = crypto.subtle.importKey("raw", new Uint8Array(publicKey), ED25519, false, ["verify"]);
  known.set(name, key);
  key.catch(() => known.delete(name));
  return key;
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
