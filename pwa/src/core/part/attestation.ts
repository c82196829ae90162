/**
 * What an author signs under edits: who, with which right, having seen what. Spec: docs/spec/part.md.
 *
 * A change names all its ancestors by hash, so one signature over the newest vouches for every earlier one. The day is what its
 * author claims, is shown, and decides nothing.
 */
import { BadSignature } from "../../crypto/errors";
import { concat, u32 } from "../../crypto/kdf";
import { type SigningKey, sign, verify } from "../../crypto/sign";
import { Inadmissible } from "../errors";
import { type Chain, type DeviceId, type EntryHash, named, type StreamId } from "../ids";

export const ATTESTATION_BYTES = 188;
export const DATED_BYTES = 192;
/** 1 January 2026: nothing was written before, so a clock that says so was never set. */
export const FIRST_DAY = 20_454;
/** The last day a calendar here shows. */
export const LAST_DAY = 2_932_896;
const SIGNATURE_BYTES = 64;
const NAME = "attest";

/**
 * `length` and `chain` are the stream as its author saw it; `newest` the hash of a change; `day` counts from 1970 by the
 * author's clock, null where nothing is claimed.
 */
export interface Claims {
  readonly device: DeviceId;
  readonly epoch: number;
  readonly head: EntryHash;
  readonly length: number;
  readonly chain: Chain;
  readonly newest: Uint8Array;
  readonly day: number | null;
}
export interface Attestation extends Claims {
  readonly raw: Uint8Array;
}

/** 188 bytes, or 192 with a day. RangeError when a field has another size than the layout gives it. */
export async function signAttestation(
  key: SigningKey,
  stream: StreamId,
  claims: Claims,
): Promise<Uint8Array> {
  const body = concat(
    sized(claims.device, 16),
    u32(claims.epoch),
    sized(claims.head, 32),
    u64(claims.length),
    sized(claims.chain, 32),
    sized(claims.newest, 32),
    claims.day === null ? new Uint8Array() : u32(claims.day),
  );
  return concat(body, await sign(key, NAME, stream, body));
}

/** Every 188 or 192 bytes are one; whether it is true, `verifyAttestation` and the fold say. */
export function parseAttestation(raw: Uint8Array): Attestation {
  if (!isAttestationSized(raw)) throw new Inadmissible("bad_record", "an attestation is 188 bytes, or 192");
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return {
    device: named(raw.slice(0, 16)),
    epoch: view.getUint32(16),
    head: named(raw.slice(20, 52)),
    // Above 2^53 it loses digits, and is still above the index of any record: the verdict is the same.
    length: Number(view.getBigUint64(52)),
    chain: named(raw.slice(60, 92)),
    newest: raw.slice(92, 124),
    day: raw.length === DATED_BYTES ? view.getUint32(124) : null,
    raw: raw.slice(),
  };
}

/** Throws `bad_attestation`. The stream is signed, so that no record moves to another part. */
export async function verifyAttestation(
  attestation: Attestation,
  signKey: Uint8Array,
  stream: StreamId,
): Promise<void> {
  const { raw } = attestation;
  try {
    // The bytes received, never fields encoded again.
    await verify(signKey, NAME, stream, raw.subarray(0, -SIGNATURE_BYTES), raw.subarray(-SIGNATURE_BYTES));
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    // No device is named: anybody could write another's name here.
    throw new Inadmissible("bad_attestation");
  }
}

export function isAttestationSized({ length }: Uint8Array): boolean {
  return length === ATTESTATION_BYTES || length === DATED_BYTES;
}

function sized(value: Uint8Array, size: number): Uint8Array {
  if (value.length !== size) throw new RangeError(`${size} bytes are needed`);
  return value;
}

function u64(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("not a u64 within 2^53");
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
