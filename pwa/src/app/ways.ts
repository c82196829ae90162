/** The verbs of coming back, of own devices, and of what a professional says: part of the interface in engine.ts. */
import type { Fault } from "../core/exported";
import type { Role } from "./engine";

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

/** The address by which this person moves in elsewhere. Days are `2026-12-31`. */
export interface Moving {
  /** `used`: somebody came in by it. */
  state: "none" | "out" | "used";
  link: string | null;
  until: string | null;
  came: { case: string; device: string }[];
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
      /** Whether this app knows the words of the page to read. Where it does not, only what the records say is sure. */
      page: boolean;
    }
  | { whole: false; fault: Fault; part: string };

/** What beginning anew from a whole copy would do here. */
export interface Again {
  /** The name of who made the copy, and begins anew with it. */
  me: string;
  /** Why it cannot be, as the code of an error. */
  refused: string | null;
  /** Who has to be invited anew. */
  people: { name: string; role: Role }[];
  /** Names of those whose own pages are in the copy: they stay theirs. */
  own: string[];
  /** Who could read. `again`: this device knows what was chosen, so they get a new link; the others are asked anew by hand. */
  readers: { to: string; again: boolean }[];
  /** What this device is to the case of the copy; null: it knows nothing of it. */
  old: "open" | "removed" | "closed" | "waiting" | null;
  /** This device has words of it that came after the copy. */
  later: boolean;
  /** What was made of this very copy before; it goes on there. */
  before: { case: string; done: boolean } | null;
}

export interface Bringing {
  what: "people" | "parts";
  done: number;
  of: number;
}

/** A case that was begun anew: the links, each for one. `left`: access that is to be given by hand, and the code of why. */
export interface Brought {
  case: string;
  invited: { name: string; role: Role; link: string }[];
  given: { to: string; link: string }[];
  left: { to: string; code: string }[];
}

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

  /** An address by which this person moves in elsewhere, once, in a few days, with nobody awake. Needs the relay. */
  makeAddress(): Promise<Moving>;
  moving(): Promise<Moving>;
  /** From now on that address opens nothing. */
  takeBack(): Promise<void>;
  /** All cases of such an address on this device; the person's other devices stay. */
  moveIn(link: string): Promise<{ cases: string[]; left: { case: string; code: string }[] }>;

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
  /** As `verify`, and what beginning anew from it would do. Nothing is done. */
  lookAtCopy(data: Uint8Array): Promise<{ checked: Checked; again: Again | null }>;
  /**
   * Begins the case of a copy anew, at the relay that served the app. Asked for again with the same copy it goes on where it
   * was. `bad_export`, `not_permitted`, `offline`.
   */
  bring(data: Uint8Array, name?: string): Promise<Brought>;
  /** How far that is; null where nothing is brought now. */
  bringing(): Promise<Bringing | null>;
  /** Ends the case for all (an owner), or takes the own pages out and leaves. What is here is gone after it. */
  erase(case_: string): Promise<Erased>;

  /** What professionals said, for the circle. */
  incoming(case_: string): Promise<Incoming[]>;
  /** Writes it into the part where it belongs, in the sender's name. */
  take(case_: string, incoming: string): Promise<{ part: string; item: string }>;
  /** The same access for a colleague, by default until the same day; the one before reads no more. */
  renew(case_: string, grant: string, to: string, until?: string): Promise<{ grant: string; link: string }>;
}
