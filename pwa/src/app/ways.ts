/** The verbs of coming back, of own devices, and of what a professional says: part of the interface in engine.ts. */

/** Of the recovery code ("het briefje om terug te komen"). Days are `2026-12-31`. */
export interface PaperState {
  /** Whether this device keeps a paper in step. */
  made: boolean;
  /** Cases that are not on it yet; the next sync puts them there. */
  missing: number;
  /** Whether another paper of this person opens a case too. */
  older: boolean;
}

export interface CameBack {
  /** The new code. The one that was used is dead. */
  code: string;
  cases: string[];
  /** Cases that the paper opens no more, each with the code of why. */
  left: { case: string; code: string }[];
}

export interface OwnDevice {
  device: string;
  /** `paper`: the recovery code. */
  kind: "device" | "link" | "paper";
  since: string | null;
  isThis: boolean;
}

export interface Removed {
  /** Access that is better given anew: the device that was put out could sign for it. */
  renew: { grant: string; to: string }[];
}

export interface Ways {
  /** A new code, shown once. `old`, the code that it replaces, is dead then. Needs the relay. */
  recoveryCode(old?: string): Promise<{ code: string; older: number }>;
  paper(): Promise<PaperState>;
  /** On an empty device: every case of the paper, and a new code. The relay is by default the one that served the app. */
  recover(code: string, relay?: string): Promise<CameBack>;

  /** A link for another device of this person. It works once, and for an hour. */
  addDevice(case_: string): Promise<string>;
  devices(case_: string): Promise<OwnDevice[]>;
  removeDevice(case_: string, device: string): Promise<Removed>;
}
