/** Making records of own changes. Spec: docs/spec/part.md (Edit record). */
import { sha256 } from "../../crypto/kdf";
import type { SigningKey } from "../../crypto/sign";
import type { StreamId } from "../ids";
import { type Claims, signAttestation } from "./attestation";
import { MAX_EDIT_BYTES } from "./ledger";
import { MAX_CHANGES, makeEdit } from "./record";

export { actorOf, cutLine, tagOf } from "./rights";

/** What the author says of itself and of what it saw; `newest` follows from the changes. */
export type Author = Omit<Claims, "newest">;

/** Of a change that passed the door: its name in the document. */
export function changeHash(raw: Uint8Array): Uint8Array {
  return sha256(raw.subarray(8));
}

/** The payload for changes of one actor, the newest last: the signature reaches the others through it. */
export async function makeEditRecord(
  key: SigningKey,
  stream: StreamId,
  author: Author,
  changes: readonly Uint8Array[],
): Promise<Uint8Array> {
  const last = changes.at(-1);
  if (!last) throw new RangeError("an edit record has 1 to 512 changes");
  return makeEdit(await signAttestation(key, stream, { ...author, newest: changeHash(last) }), changes);
}

/** As many records as the changes need; each stands on its own, so a lost one takes no earlier one with it. */
export async function makeEditRecords(
  key: SigningKey,
  stream: StreamId,
  author: Author,
  changes: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  return Promise.all(batches(changes).map((some) => makeEditRecord(key, stream, author, some)));
}

/** Cut into as many records as the changes need. */
export function batches(changes: readonly Uint8Array[]): Uint8Array[][] {
  const found: Uint8Array[][] = [];
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const raw of changes) {
    if (batch.length > 0 && (batch.length === MAX_CHANGES || size + raw.length > MAX_EDIT_BYTES)) {
      found.push(batch);
      batch = [];
      size = 0;
    }
    batch.push(raw);
    size += raw.length;
  }
  if (batch.length > 0) found.push(batch);
  return found;
}
