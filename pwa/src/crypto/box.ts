/**
 * Sealing to a device: HPKE over X-Wing (docs/spec/seal.md, Box). The one place where randomness is not an argument:
 * `cryptography` does not let a caller choose it, and two programs that differ in that are two programs.
 */
import { Aes256Gcm, CipherSuite, DecapError, EncapError, HkdfSha256, OpenError } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { BadKey, Unopenable } from "./errors";
import { type Bytes, concat, label, SECRET_BYTES } from "./kdf";
import { MIN_PADDED_BYTES, pad, unpad } from "./pad";

export const MLKEM_PUBLIC_BYTES = 1184;
export const BOX_PUBLIC_BYTES = MLKEM_PUBLIC_BYTES + 32;
export const ENC_BYTES = 1088 + 32;
export const MIN_BOX_BYTES = ENC_BYTES + MIN_PADDED_BYTES + 16;

/** An X-Wing private key. `public` is its 1216-byte public key (ML-KEM-768, then X25519). */
export class BoxKey {
  readonly public: Bytes;
  readonly #private: CryptoKey;

  private constructor(privateKey: CryptoKey, publicKey: Bytes) {
    this.#private = privateKey;
    this.public = publicKey;
  }

  /** The key of a 32-byte X-Wing seed: SHAKE256 to 96 bytes, 64 for ML-KEM-768, 32 for X25519. Else BadKey. */
  static async fromSeed(seed: Uint8Array): Promise<BoxKey> {
    if (seed.length !== SECRET_BYTES) throw new BadKey("a box seed is 32 bytes");
    const kem = new XWing();
    // A copy: the library takes the whole memory behind an array.
    const pair = await kem.generateKeyPairDerand(new Uint8Array(seed));
    return new BoxKey(pair.privateKey, new Uint8Array(await kem.serializePublicKey(pair.publicKey)));
  }

  /** For `openBox` below. */
  async openBytes(box: Uint8Array, info: Bytes): Promise<Bytes> {
    const context = await suite().createRecipientContext({
      recipientKey: this.#private,
      enc: new Uint8Array(box.subarray(0, ENC_BYTES)).buffer,
      info: info.buffer,
    });
    return new Uint8Array(await context.open(new Uint8Array(box.subarray(ENC_BYTES)).buffer));
  }
}

/**
 * A box that only the owner of `public` opens, for this name and context: `enc`, ciphertext, tag.
 * It says nothing about who sealed it: sign what is inside. BadKey when `public` is not a key.
 */
export async function sealBox(
  publicKey: Uint8Array,
  name: string,
  context: Uint8Array,
  plaintext: Uint8Array,
): Promise<Bytes> {
  const info = concat(label(name), context);
  if (publicKey.length !== BOX_PUBLIC_BYTES) throw new BadKey("a box key is 1216 bytes");
  const hpke = suite();
  const recipientPublicKey = await hpke.kem.deserializePublicKey(new Uint8Array(publicKey).buffer);
  try {
    const sender = await hpke.createSenderContext({ recipientPublicKey, info: info.buffer });
    const ciphertext = await sender.seal(pad(plaintext).buffer);
    return concat(new Uint8Array(sender.enc), new Uint8Array(ciphertext));
  } catch (error) {
    // A number of the ML-KEM key not below q, or an X25519 point of small order.
    if (error instanceof EncapError) throw new BadKey("not a box key");
    throw error;
  }
}

/** The plaintext. Unopenable for a wrong key, name, context or byte; BadPadding as in `unpad`. */
export async function openBox(
  key: BoxKey,
  name: string,
  context: Uint8Array,
  box: Uint8Array,
): Promise<Bytes> {
  const info = concat(label(name), context);
  if (box.length < MIN_BOX_BYTES) throw new Unopenable("a box is too short");
  let padded: Bytes;
  try {
    padded = await key.openBytes(box, info);
  } catch (error) {
    if (error instanceof DecapError || error instanceof OpenError)
      throw new Unopenable("a box does not open");
    throw error;
  }
  return unpad(padded);
}

// A suite of its own for every call: the ML-KEM inside works in buffers that it keeps.
function suite(): CipherSuite {
  return new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}
