/**
 * One record in the place of all before it: the admitted changes, and the signatures they rest on.
 *
 * Spec: docs/spec/part.md (Snapshot). It is believed no more than records are: the fold takes what this module reads
 * through the same door and under the same attestations, so whoever makes one can leave out, never invent.
 */
import { BadSignature } from "../../crypto/errors";
import { concatAll, sha256 } from "../../crypto/kdf";
import { type SigningKey, sign, verify } from "../../crypto/sign";
import { hashedChunk } from "../change";
import { Cursor, uleb } from "../columns";
import { Inadmissible } from "../errors";
import { type Chain, type DeviceId, type EntryHash, type Hex, hex, type StreamId, same } from "../ids";
import { BadPacked } from "../packed";
import { bytes, list, type Of, pack, struct, u32, uint, unpack } from "../shape";
import { type Attestation, isAttestationSized, parseAttestation } from "./attestation";
import { inflate } from "./inflate";
import { makeSnapshotRecord, type Snapshot } from "./record";

export const MAX_INFLATED_BYTES = 33_554_432;
export const MAX_UNFOLDED_BYTES = 67_108_864;
export const MAX_ATTESTATIONS = 4_096;
const NAME = "snapshot";

const bodyShape = struct({
  by: bytes<DeviceId>(16),
  epoch: u32,
  head: bytes<EntryHash>(32),
  n: uint(Number.MAX_SAFE_INTEGER),
  chain: bytes<Chain>(32),
  atts: list(bytes(), 0, MAX_ATTESTATIONS),
  content: bytes(),
});
/** What is signed. `n` and `chain` are the stream's end before this record. */
export type SnapshotBody = Of<typeof bodyShape>;

/**
 * `changes` come after what they depend on, and `hashes` are theirs, computed where they were put together. `witnesses` are not part of the document: an attestation may name a change that
 * was refused or cut, and reaches the admitted ones only through it.
 */
export interface Content {
  readonly atts: readonly Attestation[];
  readonly changes: readonly Uint8Array[];
  readonly hashes: readonly Uint8Array[];
  readonly witnesses: readonly Uint8Array[];
}

/** What a snapshot says besides its content. */
export type Claim = Pick<SnapshotBody, "epoch" | "head" | "n" | "chain" | "atts"> & {
  readonly device: DeviceId;
};

/** The record payload, to be put in the place of records 1 to `n`. */
export async function makeSnapshot(
  key: SigningKey,
  stream: StreamId,
  claim: Claim,
  changes: readonly Uint8Array[],
  witnesses: readonly Uint8Array[] = [],
): Promise<Uint8Array> {
  const { device: by, epoch, head, n, chain, atts } = claim;
  const content = await deflate(packContent(changes, witnesses));
  const body = pack(bodyShape, { by, epoch, head, n, chain, atts, content });
  return makeSnapshotRecord(body, await sign(key, NAME, stream, body));
}

/** Throws `bad_snapshot`. Nothing is inflated yet: first it must be known who signed. */
export function parseBody(snapshot: Snapshot): SnapshotBody {
  try {
    const body = unpack(bodyShape, snapshot.body);
    if (!body.atts.every(isAttestationSized)) throw new BadPacked("an attestation of another size");
    return body;
  } catch (error) {
    if (error instanceof BadPacked) throw new Inadmissible("bad_snapshot");
    throw error;
  }
}

export async function verifySnapshot(
  snapshot: Snapshot,
  signKey: Uint8Array,
  stream: StreamId,
): Promise<void> {
  try {
    await verify(signKey, NAME, stream, snapshot.body, snapshot.sig);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw new Inadmissible("bad_snapshot");
  }
}

/** Inflates and takes apart, or `bad_snapshot`. */
export function openContent(body: SnapshotBody): Content {
  try {
    const unpacked = unpackContent(inflate(body.content, MAX_INFLATED_BYTES));
    return { atts: body.atts.map(parseAttestation), ...unpacked };
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    throw new Inadmissible("bad_snapshot", undefined, hex(body.by));
  }
}

/**
 * The content of a snapshot that was found to stand: to take it, it is not unfolded a second time. The last one only, found by its
 * very bytes, and held until the next one is opened.
 */
export class Unfolded {
  private last: readonly [packed: Uint8Array, content: Content] | undefined;

  keep({ content: packed }: SnapshotBody, content: Content): void {
    this.last = [packed, content];
  }

  /** Throws as `openContent`. */
  open(body: SnapshotBody): Content {
    const { last } = this;
    this.last = undefined;
    if (!last || !same(last[0], body.content)) return openContent(body);
    return { ...last[1], atts: body.atts.map(parseAttestation) };
  }
}

/** Dependencies as distances back: a hash of 32 bytes does not compress, and each would be there twice. */
export function packContent(
  changes: readonly Uint8Array[],
  witnesses: readonly Uint8Array[] = [],
): Uint8Array {
  const parts: Uint8Array[] = [uleb(changes.length)];
  const places = new Map<Hex, number>();
  changes.forEach((raw, place) => {
    const body = new Cursor(raw, 9);
    body.uleb();
    const deps = Array.from({ length: body.uleb() }, () => hex(body.take(32)));
    const rest = raw.subarray(body.pos);
    parts.push(uleb(deps.length));
    for (const dep of deps) {
      const at = places.get(dep);
      if (at === undefined) throw new RangeError("a change before what it depends on");
      parts.push(uleb(place - at));
    }
    parts.push(uleb(rest.length), rest);
    places.set(hex(sha256(raw.subarray(8))), place);
  });
  parts.push(uleb(witnesses.length));
  for (const raw of witnesses) parts.push(uleb(raw.length), raw);
  return concatAll(parts);
}

/** The changes with their hashes put back: a wrong distance gives another hash, and no signature covers it. */
export function unpackContent(data: Uint8Array): {
  readonly changes: Uint8Array[];
  readonly hashes: Uint8Array[];
  readonly witnesses: Uint8Array[];
} {
  const cursor = new Cursor(data);
  const changes: Uint8Array[] = [];
  const hashes: Uint8Array[] = [];
  let unfolded = 0;
  const total = count(cursor, 2);
  for (let place = 0; place < total; place++) {
    const deps: Uint8Array[] = [];
    for (let left = count(cursor, 1); left > 0; left--) {
      const dep = hashes[place - cursor.uleb()];
      if (!dep) throw new Inadmissible("bad_snapshot", "a dependency that is not before it");
      deps.push(dep);
    }
    const rest = cursor.text();
    // One byte may stand for a hash of 32: without a bound a few kilobytes unfold to gigabytes.
    unfolded += 32 * deps.length + rest.length;
    if (unfolded > MAX_UNFOLDED_BYTES) {
      throw new Inadmissible("bad_snapshot", "it unfolds to more than is allowed");
    }
    const [raw, hash] = hashedChunk(uleb(deps.length), ...deps, rest);
    changes.push(raw);
    hashes.push(hash);
  }
  const witnesses = Array.from({ length: count(cursor, 1) }, () => cursor.text().slice());
  if (cursor.left > 0) throw new Inadmissible("bad_snapshot", "bytes after the end");
  return { changes, hashes, witnesses };
}

function count(cursor: Cursor, size: number): number {
  const found = cursor.uleb();
  if (found * size > cursor.left) throw new Inadmissible("bad_snapshot", "more entries than bytes");
  return found;
}

/** Which deflated form it is makes no difference: the signature covers it, and nothing is named by its hash. */
async function deflate(data: Uint8Array): Promise<Uint8Array> {
  const blob = new Blob([new Uint8Array(data)]);
  const stream = blob.stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
