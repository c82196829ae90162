/** What lies in a record of a part once it is opened: edits, or a snapshot. Spec: docs/spec/part.md. */
import { Inadmissible } from "../errors";
import { BadPacked, decode } from "../packed";
import { bytes, list, pack, struct, text } from "../shape";
import { type Attestation, DATED_BYTES, isAttestationSized, parseAttestation } from "./attestation";

export const MAX_CHANGES = 512;

export interface Edit {
  readonly kind: "edit";
  readonly att: Attestation;
  readonly changes: readonly Uint8Array[];
}
/** Not yet checked: `body` is what `sig` signs; `snapshot.ts` reads it. */
export interface Snapshot {
  readonly kind: "snapshot";
  readonly body: Uint8Array;
  readonly sig: Uint8Array;
}
/** A kind of a newer version: set aside, never dropped. */
export interface Unknown {
  readonly kind: "unknown";
  readonly name: string;
}

const outline = struct({ k: text });
/**
 * A kind of its own for who claims a day: a program that knows no days sets it aside and takes it once it is renewed, where
 * an attestation of another size would be damage to it, for ever.
 */
const kindOf = (att: Uint8Array): string => (att.length === DATED_BYTES ? "dated" : "edit");
const editShape = struct({ k: text, att: bytes(), changes: list(bytes(), 1, MAX_CHANGES) });
const snapshotShape = struct({ k: text, body: bytes(), sig: bytes(64) });

export function makeEdit(att: Uint8Array, changes: readonly Uint8Array[]): Uint8Array {
  if (changes.length < 1 || changes.length > MAX_CHANGES) {
    throw new RangeError("an edit record has 1 to 512 changes");
  }
  return pack(editShape, { k: kindOf(att), att, changes });
}

export function makeSnapshotRecord(body: Uint8Array, sig: Uint8Array): Uint8Array {
  return pack(snapshotShape, { k: "snapshot", body, sig });
}

/**
 * Throws `bad_record`. What a decoder may forgive (a key twice, bytes after the end) is refused, because another decoder
 * would forgive it another way and read another record.
 */
export function parseRecord(payload: Uint8Array): Edit | Snapshot | Unknown {
  try {
    const fields = decode(payload);
    const { k } = outline.read(fields);
    if (k === "edit" || k === "dated") {
      const { att, changes } = editShape.read(fields);
      if (!isAttestationSized(att) || kindOf(att) !== k)
        throw new BadPacked("an attestation of another size");
      return { kind: "edit", att: parseAttestation(att), changes };
    }
    if (k === "snapshot") {
      const { body, sig } = snapshotShape.read(fields);
      return { kind: "snapshot", body, sig };
    }
    return { kind: "unknown", name: k };
  } catch (error) {
    if (error instanceof BadPacked) throw new Inadmissible("bad_record");
    throw error;
  }
}
