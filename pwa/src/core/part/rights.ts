/** What the fold of a part asks of the charter, and where a departed device's changes end. Spec: docs/spec/part.md. */
import { concat, hmac, label, sha256 } from "../../crypto/kdf";
import { Inadmissible } from "../errors";
import { type DeviceId, type EntryHash, type Hex, hex, type StreamId, same } from "../ids";

export const ACTOR_BYTES = 24;
export const INCARNATION_BYTES = 8;
export const TAG_BYTES = 16;

/** How far the changes of devices that left were admitted when a room was turned. */
export interface CutLines {
  /** Whose S made the tags and marks. */
  readonly readEpoch: number;
  /** By tag. */
  readonly actors: ReadonlyMap<Hex, { readonly seq: number; readonly mark: Uint8Array }>;
}

/** The charter, as far as a part asks it. `n` is the number of entries; `devices` all that ever belonged. */
export interface Rights {
  readonly n: number;
  readonly devices: ReadonlyMap<Hex, { readonly sign: Uint8Array }>;
  readonly cuts: ReadonlyMap<Hex, readonly CutLines[]>;
  headIndex(head: EntryHash): number | undefined;
  epochAt(room: string, n: number): number | undefined;
  wroteInEpoch(device: DeviceId, room: string, epoch: number): boolean;
  cutFor(stream: StreamId, device: DeviceId, epoch: number): CutLines | undefined;
}

/** The first 16 bytes of every actor of this device in this part: it says nothing in another part. */
export function tagOf(stream: StreamId, device: DeviceId): Uint8Array {
  return sha256(label("actor"), stream, device).slice(0, TAG_BYTES);
}

export function actorOf(stream: StreamId, device: DeviceId, incarnation: Uint8Array): Uint8Array {
  if (incarnation.length !== INCARNATION_BYTES) throw new RangeError("an incarnation is 8 bytes");
  return concat(tagOf(stream, device), incarnation);
}

/** One line of a cut: everything of this actor after this change is void. */
export function cutLine(
  secret: Uint8Array,
  actor: Uint8Array,
  seq: number,
  change: Uint8Array,
): readonly [tag: Uint8Array, seq: number, mark: Uint8Array] {
  return [hmac(secret, "cut actor", actor).slice(0, TAG_BYTES), seq, hmac(secret, "cut", change)];
}

/**
 * Throws `behind_cut`. Who left keeps the old key and may still sign for the epoch that ended: without this such changes
 * would be admitted for ever, by whoever brings them to the relay.
 */
export function checkCut(
  cut: CutLines | undefined,
  secret: Uint8Array | undefined,
  actor: Uint8Array,
  seq: number,
  change: Uint8Array,
): void {
  if (!cut) return;
  // Whoever reads the part has every earlier S. Where one is missing, no is the answer that lets nobody in.
  if (!secret) throw new Inadmissible("behind_cut");
  const [tag, , mark] = cutLine(secret, actor, seq, change);
  const line = cut.actors.get(hex(tag));
  // At the last sequence the mark decides which of two variants was admitted.
  if (!line || seq > line.seq || (seq === line.seq && !same(mark, line.mark))) {
    throw new Inadmissible("behind_cut");
  }
}
