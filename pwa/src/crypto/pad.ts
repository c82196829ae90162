/** Padding: 256 bytes at least, then Padmé, so that a size says little (docs/spec/seal.md, Padding). */
import { BadPadding } from "./errors";
import { type Bytes, u32 } from "./kdf";

export const MIN_PADDED_BYTES = 256;
const LENGTH_BYTES = 4;

/** The size in bytes of `pad(p)` for a plaintext `p` of `n` bytes, its length field included. */
export function paddedBytes(n: number): number {
  const total = LENGTH_BYTES + n;
  if (total <= MIN_PADDED_BYTES) return MIN_PADDED_BYTES;
  const e = Math.floor(Math.log2(total));
  const s = Math.floor(Math.log2(e)) + 1;
  // Division, not bits: JavaScript's bit operators stop at 31 bits.
  const step = 2 ** (e - s);
  return Math.ceil(total / step) * step;
}

/** `u32(length) || plaintext || zeros`, `paddedBytes(length)` bytes. */
export function pad(plaintext: Uint8Array): Bytes {
  const n = plaintext.length;
  const padded = new Uint8Array(paddedBytes(n));
  padded.set(u32(n));
  padded.set(plaintext, LENGTH_BYTES);
  return padded;
}

/** The plaintext. Throws BadPadding unless these are exactly the bytes `pad` makes of it. */
export function unpad(padded: Uint8Array): Bytes {
  if (padded.length < MIN_PADDED_BYTES) throw new BadPadding("too short to be padded");
  const n = new DataView(padded.buffer, padded.byteOffset, padded.byteLength).getUint32(0);
  const end = LENGTH_BYTES + n;
  // Exactly one total per length: more padding than needed would be a channel its sender can modulate.
  if (padded.length !== paddedBytes(n)) throw new BadPadding("the size does not fit the length");
  for (let i = end; i < padded.length; i++)
    if (padded[i] !== 0) throw new BadPadding("the padding is not zero");
  return new Uint8Array(padded.subarray(LENGTH_BYTES, end));
}
