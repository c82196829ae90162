/**
 * A stream as a device sees it: its secrets, its place, and the checks that make a lying relay visible.
 * Spec: docs/spec/streams.md. Pure: batches go in, placed records come out; only sealing and opening wait.
 */
import { appendCapability, capabilityHash, manageCapability, readCapability } from "../crypto/capability";
import * as running from "../crypto/chain";
import { label, sha256 } from "../crypto/kdf";
import { openSealed, seal } from "../crypto/seal";
import { RelayMisbehaved } from "./errors";
import {
  type Capability,
  type CapabilityHash,
  type Chain,
  named,
  type RecordBytes,
  type StreamId,
  same,
} from "./ids";
import type { Batch, Open } from "./wire";

/** What one device can do with one stream; what it cannot is absent. Never log it. */
export interface StreamSecrets {
  readonly stream: StreamId;
  readonly read?: Secret | undefined;
  readonly write?: Secret | undefined;
  readonly manage?: Secret | undefined;
}
export interface Secret {
  readonly secret: Uint8Array;
  readonly epoch: number;
}

export function readCap({ stream, read }: StreamSecrets): Capability | undefined {
  return read && named(readCapability(read.secret, stream, read.epoch));
}

export function appendCap({ stream, write }: StreamSecrets): Capability | undefined {
  return write && named(appendCapability(write.secret, stream, write.epoch));
}

export function manageCap({ stream, manage }: StreamSecrets): Capability | undefined {
  return manage && named(manageCapability(manage.secret, stream, manage.epoch));
}

/** What the relay may know of a capability: its hash. */
export function hashed(cap: Capability): CapabilityHash {
  return named(capabilityHash(cap));
}

/** Opens the stream at the relay, without an end. */
export function opening(own: StreamSecrets): Open {
  const [read, append, manage] = [readCap(own), appendCap(own), manageCap(own)];
  if (!read || !append || !manage) throw new Error("opening needs all secrets of the stream");
  return {
    op: "open",
    stream: own.stream,
    read: hashed(read),
    append: hashed(append),
    manage: hashed(manage),
    expires: null,
  };
}

/** The append hash of a stream that nobody writes any more: no 32-byte capability has it. */
export function nobody(stream: StreamId): CapabilityHash {
  return named(sha256(label("nobody"), stream));
}

/** `nonce` is 24 random bytes. The payload may still be on its way. */
export async function sealRecord(
  { stream, read }: StreamSecrets,
  payload: Uint8Array | Promise<Uint8Array>,
  nonce: Uint8Array,
): Promise<RecordBytes> {
  if (!read) throw new Error("sealing needs the read secret");
  return named(await seal(read.secret, stream, read.epoch, payload, nonce));
}

/** Raises Unopenable or FutureVersion of the crypto modules. */
export async function openRecord({ stream, read }: StreamSecrets, record: Uint8Array): Promise<Uint8Array> {
  if (!read) throw new Error("opening needs the read secret");
  return (await openSealed(read.secret, stream, record)).plaintext;
}

/** Beyond it a number is another number, and no relay counts that far. */
const LONGEST = Number.MAX_SAFE_INTEGER;

/** How far a device has read a stream: records after `base` up to `length`, running hash `chain`. */
export interface Position {
  readonly base: number;
  readonly length: number;
  readonly chain: Chain;
}

export function startOf(stream: StreamId): Position {
  return { base: 0, length: 0, chain: named(running.first(stream)) };
}

/** A record at its place. */
export interface PlacedRecord {
  readonly index: number;
  readonly record: RecordBytes;
  readonly chain: Chain;
}

export interface Accepted {
  readonly position: Position;
  readonly placed: readonly PlacedRecord[];
  /** The first placed record is a snapshot that stands for all before it. */
  readonly replaced: boolean;
  readonly more: boolean;
}

/**
 * Checks an answer to `read` (after `position.length`) against everything this device knows.
 *
 * Raises RelayMisbehaved: `rolled_back` (shorter than known), `forked` (another past than the known one),
 * `broken_chain` (records that do not lead to the announced head), `relay_garbage`.
 */
export function accept(
  position: Position,
  batch: Batch,
  chainAt: (length: number) => Chain | undefined,
): Accepted {
  if (batch.length > LONGEST) throw new RelayMisbehaved("relay_garbage", "no stream is that long");
  if (batch.length < position.length) throw new RelayMisbehaved("rolled_back", "the stream became shorter");
  if (batch.base > batch.length || batch.first !== Math.max(batch.base, position.length) + 1) {
    throw new RelayMisbehaved("relay_garbage", "the batch does not begin where it was asked to");
  }
  const replaced = batch.base > position.length;
  if (replaced && batch.records.length === 0 && !batch.more) {
    // A snapshot takes the place of records: where none is shown, the relay threw them away.
    throw new RelayMisbehaved("broken_chain", "records were taken away and nothing lies in their place");
  }
  const known = chainAt(batch.base);
  if (known && !same(known, batch.base_chain)) {
    throw new RelayMisbehaved("forked", "the base has another past");
  }
  let chain = replaced ? batch.base_chain : position.chain;
  let index = replaced ? batch.base : position.length;
  const placed: PlacedRecord[] = [];
  for (const record of batch.records) {
    index += 1;
    if (index > batch.length) {
      throw new RelayMisbehaved("relay_garbage", "more records than the stream is long");
    }
    chain = named(running.extend(chain, record));
    placed.push({ index, record, chain });
  }
  if (index === batch.length) {
    if (!same(chain, batch.chain)) {
      // Nothing new and another head is a second log; new records that lead elsewhere are a broken one.
      throw new RelayMisbehaved(
        placed.length ? "broken_chain" : "forked",
        "the records do not lead to the head",
      );
    }
  } else if (!batch.more) {
    throw new RelayMisbehaved("broken_chain", "the relay withholds records that it announces");
  }
  const base = replaced ? batch.base : Math.max(position.base, batch.base);
  return { position: { base, length: index, chain }, placed, replaced, more: batch.more };
}
