/**
 * A stream's secrets and the capabilities the relay asks for (docs/spec/streams.md, Secrets and capabilities).
 * A capability derives from a secret and not the other way round: a relay that sees one cannot open anything with it.
 * All secrets and capabilities are 32 bytes; another size of secret is BadKey.
 */
import { BadKey } from "./errors";
import { type Bytes, concat, derive, SECRET_BYTES, sha256, streamId, u32 } from "./kdf";

/** S: opens the records of the stream, from the secret of the room that reads. */
export function readSecret(roomSecret: Uint8Array, stream: Uint8Array): Bytes {
  return grow(roomSecret, "read", streamId(stream));
}

/** W, from the secret of the room that writes. */
export function writeSecret(roomSecret: Uint8Array, stream: Uint8Array): Bytes {
  return grow(roomSecret, "write", streamId(stream));
}

/** M, from the secret of the room that manages. */
export function manageSecret(roomSecret: Uint8Array, stream: Uint8Array): Bytes {
  return grow(roomSecret, "manage", streamId(stream));
}

/** Shown to the relay to read; from S and the epoch of the room that reads. */
export function readCapability(secret: Uint8Array, stream: Uint8Array, epoch: number): Bytes {
  return grow(secret, "read capability", concat(streamId(stream), u32(epoch)));
}

/** Shown to the relay to append; from W and the epoch of the room that writes. */
export function appendCapability(secret: Uint8Array, stream: Uint8Array, epoch: number): Bytes {
  return grow(secret, "append capability", concat(streamId(stream), u32(epoch)));
}

/** Shown to the relay to rekey, replace and close; from M and the epoch of the room that manages. */
export function manageCapability(secret: Uint8Array, stream: Uint8Array, epoch: number): Bytes {
  return grow(secret, "manage capability", concat(streamId(stream), u32(epoch)));
}

/** What the relay stores: plain SHA-256, so that the relay needs no label and no crypto of ours. */
export function capabilityHash(capability: Uint8Array): Bytes {
  if (capability.length !== SECRET_BYTES) throw new BadKey("a capability is 32 bytes");
  return sha256(capability);
}

function grow(secret: Uint8Array, name: string, context: Uint8Array): Bytes {
  if (secret.length !== SECRET_BYTES) throw new BadKey("a secret is 32 bytes");
  return derive(secret, name, context);
}
