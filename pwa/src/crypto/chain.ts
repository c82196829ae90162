/** The running hash of a stream (docs/spec/streams.md, A stream). */
import { type Bytes, HASH_BYTES, label, sha256, streamId } from "./kdf";

/** `chain(0)`, 32 bytes: it holds the stream id, so no two streams have a chain value in common. */
export function first(stream: Uint8Array): Bytes {
  return sha256(label("chain"), streamId(stream));
}

/** `chain(n)` from `chain(n-1)` and record n as received. Two fixed-size hashes: nothing can be read two ways. */
export function extend(chain: Uint8Array, record: Uint8Array): Bytes {
  if (chain.length !== HASH_BYTES) throw new RangeError("a chain value is 32 bytes");
  return sha256(chain, sha256(record));
}
