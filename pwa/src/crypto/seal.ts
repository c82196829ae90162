/** Sealed records (docs/spec/seal.md, Sealed record). */
import { BadKey, FutureVersion, Unopenable } from "./errors";
import { type Bytes, concat, hkdf, label, SECRET_BYTES, streamId, u32 } from "./kdf";
import { MIN_PADDED_BYTES, pad, unpad } from "./pad";

export const VERSION = 1;
export const NONCE_BYTES = 24;
export const COMMITMENT_BYTES = 32;
export const HEADER_BYTES = 1 + 4 + NONCE_BYTES + COMMITMENT_BYTES;
export const TAG_BYTES = 16;
export const MIN_RECORD_BYTES = HEADER_BYTES + MIN_PADDED_BYTES + TAG_BYTES;
// Every record has a key of its own (the 24 random bytes are the salt), so GCM's own nonce never repeats under a key.
const GCM_NONCE = new Uint8Array(12);

/** What `openSealed` gives (Python: a tuple). */
export interface Opened {
  readonly epoch: number;
  readonly plaintext: Bytes;
}

/**
 * A record: 61 bytes of header, the padded ciphertext, 16 bytes of tag. `secret` is the stream's S (32 bytes, else
 * BadKey), `stream` 16 bytes, `epoch` a u32, `nonce` 24 fresh random bytes. A nonce used twice with one secret, stream
 * and epoch would show how two plaintexts differ. The plaintext may still be on its way: the record's key is grown meanwhile.
 */
export async function seal(
  secret: Uint8Array,
  stream: Uint8Array,
  epoch: number,
  plaintext: Uint8Array | Promise<Uint8Array>,
  nonce: Uint8Array,
): Promise<Bytes> {
  if (nonce.length !== NONCE_BYTES) throw new RangeError("a nonce is 24 bytes");
  const [key, commitment] = grow(secret, stream, epoch, nonce);
  const header = concat(new Uint8Array([VERSION]), u32(epoch), nonce, commitment);
  const gcm = { name: "AES-GCM", iv: GCM_NONCE, additionalData: header };
  const [aesKey, made] = await Promise.all([aes(key, "encrypt"), plaintext]);
  const ciphertext = await crypto.subtle.encrypt(gcm, aesKey, pad(made));
  return concat(header, new Uint8Array(ciphertext));
}

/**
 * Epoch and plaintext of a record that was sealed with this secret for this stream. Throws FutureVersion, Unopenable
 * (one error for wrong key, stream, epoch and altered bytes), BadPadding (only a holder of the key can cause it),
 * BadKey (the secret is not 32 bytes). The epoch is authenticated, but whether `secret` belongs to it is the caller's
 * to check.
 */
export async function openSealed(
  secret: Uint8Array,
  stream: Uint8Array,
  record: Uint8Array,
): Promise<Opened> {
  const epoch = recordEpoch(record);
  const header = new Uint8Array(record.subarray(0, HEADER_BYTES));
  const [key, commitment] = grow(secret, stream, epoch, header.subarray(5, 5 + NONCE_BYTES));
  // Before decrypting: GCM alone lets a sender make one ciphertext that opens differently under many keys, and so show
  // two readers two texts, or test many passwords with one record (partitioning oracle).
  if (!same(commitment, header.subarray(5 + NONCE_BYTES))) throw new Unopenable("a record does not open");
  const aesKey = await aes(key, "decrypt");
  const gcm = { name: "AES-GCM", iv: GCM_NONCE, additionalData: header };
  let padded: ArrayBuffer;
  try {
    padded = await crypto.subtle.decrypt(gcm, aesKey, new Uint8Array(record.subarray(HEADER_BYTES)));
  } catch {
    // No cause: no trace of which step failed.
    throw new Unopenable("a record does not open");
  }
  return { epoch, plaintext: unpad(new Uint8Array(padded)) };
}

/** The epoch the header claims. Checks version (FutureVersion) and smallest size (Unopenable), nothing else. */
export function recordEpoch(record: Uint8Array): number {
  if (record.length === 0) throw new Unopenable("a record is empty");
  // The version before the size: a newer version may have smaller records.
  if (record[0] !== VERSION) throw new FutureVersion("a record of another version");
  if (record.length < MIN_RECORD_BYTES) throw new Unopenable("a record is too short");
  return new DataView(record.buffer, record.byteOffset, record.byteLength).getUint32(1);
}

function grow(secret: Uint8Array, stream: Uint8Array, epoch: number, nonce: Uint8Array): [Bytes, Bytes] {
  if (secret.length !== SECRET_BYTES) throw new BadKey("a stream secret is 32 bytes");
  const grown = hkdf(secret, nonce, concat(label("seal"), streamId(stream), u32(epoch)), 64);
  return [grown.slice(0, 32), grown.slice(32)];
}

function aes(key: Bytes, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage]);
}

/** In a time that does not depend on where the difference is. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
