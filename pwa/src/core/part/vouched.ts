/** A record whose signatures were checked, before anything of it is judged. Spec: docs/spec/part.md (Fold). */
import type { Change } from "../change";
import { Inadmissible } from "../errors";
import { type DeviceId, hex, type StreamId } from "../ids";
import { type Attestation, parseAttestation, verifyAttestation } from "./attestation";
import { parsed } from "./coverage";
import { type Edit, parseRecord } from "./record";
import type { Rights } from "./rights";
import { parseBody, type SnapshotBody, verifySnapshot } from "./snapshot";

/** Undefined: of a device nobody knows, so nobody can say; an error: the signature does not hold. */
export type Signed = "good" | undefined | Inadmissible;

type Kinds = {
  readonly edit: {
    readonly kind: "edit";
    readonly edit: Edit;
    readonly signed: Signed;
    /** Each change, or the code of its refusal, where it was read already. */
    readonly changes?: readonly (Change | string)[] | undefined;
  };
  readonly snapshot: {
    readonly kind: "snapshot";
    readonly body: SnapshotBody;
    readonly signed: Signed;
    readonly atts: readonly Signed[];
  };
  readonly refused: { readonly kind: "refused"; readonly because: Inadmissible };
  readonly unknown: { readonly kind: "unknown" };
};
export type Vouched<K extends keyof Kinds = keyof Kinds> = Kinds[K];

/** False for an unknown device; throws where the signature does not hold. */
export function isSigned(signed: Signed): boolean {
  if (signed instanceof Inadmissible) throw signed;
  return signed === "good";
}

/**
 * `isNext`: it will be judged at once, so its changes are read while the platform verifies. Of many records at a time they
 * are not: read changes are ten times as large.
 */
export async function vouch(
  payload: Uint8Array,
  stream: StreamId,
  charter: Rights,
  isNext = false,
): Promise<Vouched> {
  try {
    const record = parseRecord(payload);
    if (record.kind === "unknown") return { kind: "unknown" };
    if (record.kind === "edit") {
      const verifying = attested(record.att, stream, charter);
      // Reading one never throws: what is refused is a code.
      const changes = isNext ? record.changes.map((raw) => parsed(raw)) : undefined;
      return { kind: "edit", edit: record, changes, signed: await verifying };
    }
    const body = parseBody(record);
    const signed = await checked(body.by, charter, (key) => verifySnapshot(record, key, stream));
    const atts: Signed[] = [];
    // Of a stranger's snapshot nothing is looked at: thousands of signatures would keep a phone busy.
    for (const att of signed === "good" ? body.atts : []) {
      atts.push(await attested(parseAttestation(att), stream, charter));
    }
    return { kind: "snapshot", body, signed, atts };
  } catch (error) {
    if (error instanceof Inadmissible) return { kind: "refused", because: error };
    throw error;
  }
}

function attested(att: Attestation, stream: StreamId, charter: Rights): Promise<Signed> {
  return checked(att.device, charter, (key) => verifyAttestation(att, key, stream));
}

async function checked(
  device: DeviceId,
  charter: Rights,
  check: (signKey: Uint8Array) => Promise<void>,
): Promise<Signed> {
  const key = charter.devices.get(hex(device));
  if (!key) return undefined;
  try {
    await check(key.sign);
    return "good";
  } catch (error) {
    if (error instanceof Inadmissible) return error;
    throw error;
  }
}
