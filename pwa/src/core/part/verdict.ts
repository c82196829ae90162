/** What came of one record, or of all of them again. Spec: docs/spec/part.md (Fold). */
import type { Hex } from "../ids";

/** `device` only where its signature vouches for what was refused; `change` absent: the whole record. */
export interface Refusal {
  readonly code: string;
  readonly device: Hex | undefined;
  readonly change: Hex | undefined;
}

export class Verdict {
  /** Hashes, in order. */
  readonly admitted: Hex[] = [];
  readonly refused: Refusal[] = [];
  /** For a charter entry that was not read yet. */
  waits = false;
  /** What its author saw lies before base. */
  unchecked = false;
  /** Devices whose word about what lies before base this device knows false. */
  readonly falseBeforeBase: Hex[] = [];
  /** A kind of a newer version. */
  setAside = false;
  /** Hashes that were admitted before and are not any more. */
  readonly voided: Hex[] = [];
  /** Payloads of edit records that a snapshot left out, dependencies first. */
  readonly giveBack: Uint8Array[] = [];
  /** A snapshot took the place of all before it. */
  startedOver = false;
  /** The engine is a new one. */
  rebuilt = false;
  /** Raw changes that the engine did not hold yet. */
  readonly fresh: Uint8Array[] = [];

  refuse(code: string, device?: Hex | undefined, change?: Hex | undefined): void {
    this.refused.push({ code, device, change });
  }
}
