/** The verbs of coming back, of own devices, and of what a professional says: part of the interface in engine.ts. */
import type { Fault } from "../core/exported";

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
  /** Access that goes on, signed by another key from now on: the device that was put out knew the one before. */
  renewed: { grant: string; to: string }[];
}

/** What a professional said, and nobody took over yet. */
export interface Incoming {
  incoming: string;
  grant: string;
  from: string;
  what: "answer" | "answer_help" | "condition" | "need" | "ask";
  text: string;
  why: string;
  /** The id of the family's question or request that it answers; null where it answers none, or that one is gone. */
  about: string | null;
  /** By the sender's clock. */
  at: string;
}

/** A copy for the reader's own record, as a file. */
export interface SavedCopy {
  name: string;
  /** JSON. */
  content: string;
  version: number;
}

/** What went when a case was erased here; what may survive elsewhere the screen says. */
export interface Erased {
  closed: number;
  kept: number;
  wasOwner: boolean;
  wasAlone: boolean;
}

/** What a phone can hold at once, and ten times the plan of a large family with its photos. The archive, and all files of it. */
export const MOST_COPY_BYTES = 256 * 1024 * 1024;

/** What a copy is, and who wrote it; or in which way it is not what was made. */
export type Checked =
  | {
      whole: true;
      title: string;
      by: string;
      /** The day by the clock of who made it. */
      at: string;
      people: string[];
      /** `about`: the name of whom the part is about. `passed`: codes of what everybody passes over. */
      parts: { part: string; about: string; changes: { name: string; n: number }[]; passed: string[] }[];
      files: number;
    }
  | { whole: false; fault: Fault; part: string };

export interface Ways {
  /** A new code, shown once. `old`, the code that it replaces, is dead then. Needs the relay. */
  recoveryCode(old?: string): Promise<{ code: string; older: number }>;
  paper(): Promise<PaperState>;
  /** On an empty device: every case of the paper, and a new code. The relay is by default the one that served the app. */
  recover(code: string, relay?: string): Promise<CameBack>;

  /** A link for another device of this person. It works once, and for an hour. `compare`: four words first. */
  addDevice(case_: string, compare?: boolean): Promise<string>;
  devices(case_: string): Promise<OwnDevice[]>;
  removeDevice(case_: string, device: string): Promise<Removed>;

  /** As a professional: answers a question of the family. QUESTION is its id in the view. Sent at the next sync. */
  answerQuestion(grant: string, question: string, text: string): Promise<void>;
  answerHelp(grant: string, request: string, text: string): Promise<void>;
  proposeCondition(grant: string, text: string, why: string): Promise<void>;
  /** What this reader needs to trust the plan. */
  need(grant: string, text: string): Promise<void>;
  ask(grant: string, text: string): Promise<void>;
  /** A person looks at the view: the family is told, once for each version. */
  opened(grant: string): Promise<void>;
  /** Reported to the family before it is given. */
  saveCopy(grant: string): Promise<SavedCopy>;

  /** All that this device reads, as a zip: to read, as data, and with the proof that `eigenkring verify` checks. */
  exportCase(case_: string): Promise<{ name: string; content: Uint8Array }>;
  /** Whether such a zip, or one made of its folder, is whole and nobody changed it. Offline, and without any case here. */
  verify(data: Uint8Array): Promise<Checked>;
  /** Ends the case for all (an owner), or takes the own pages out and leaves. What is here is gone after it. */
  erase(case_: string): Promise<Erased>;

  /** What professionals said, for the circle. */
  incoming(case_: string): Promise<Incoming[]>;
  /** Writes it into the part where it belongs, in the sender's name. */
  take(case_: string, incoming: string): Promise<{ part: string; item: string }>;
  /** The same access for a colleague, by default until the same day; the one before reads no more. */
  renew(case_: string, grant: string, to: string, until?: string): Promise<{ grant: string; link: string }>;
}
