/** The verbs of who is what in the circle, of what more than one decides, and of beginning anew: part of engine.ts. */
import type { LogEntry, Role } from "./engine";

/** A question to those who decide, and who said yes so far. */
export interface Decision {
  what: "role" | "remove" | "readmit" | "close" | "invite";
  /** Whom it is about; empty for the whole case. */
  person: string;
  name: string;
  role: string;
  /** Names, sorted. */
  yes: string[];
  /** How many yeses do it. */
  needed: number;
  /** The last yes was given, and it was carried out. */
  done: boolean;
  /** Whether this person said yes already. */
  mine: boolean;
}

export interface Onward {
  case: string;
  /** One link for each of the others. */
  invited: { name: string; role: string; link: string }[];
}

/** The server was put back and shows other decisions than this phone knows. Lines are those of the log. */
export interface Parted {
  /** What the server shows and this phone did not know. */
  takes: LogEntry[];
  /** What this phone knows and the server lost. */
  drops: LogEntry[];
  /** What of that is done again, once an owner goes on with what the server shows. */
  again: { what: string; name: string }[];
  /** Whether this person may say so. */
  mayAdopt: boolean;
}

export interface Deciding {
  /** Another role, or a role until a day (which still counts). `not_permitted`: ask the others with `propose`. */
  setRole(case_: string, person: string, role: Role, until?: string): Promise<void>;
  /** Somebody of the circle without a phone: the stand-in writes down what they say. Gives the line's id. As an owner. */
  addWithoutPhone(case_: string, name: string, standIn: string): Promise<string>;
  /** A link for the only owner, who lost everything, once enough members said yes to `propose`. `not_permitted` before. */
  readmit(case_: string, person: string): Promise<string>;
  /** Takes a link back that nobody used: it works no more. */
  cancel(case_: string, name: string): Promise<void>;
  /** As the coordinator who started: from now on the family decides. To an owner. */
  handOver(case_: string, person: string): Promise<void>;
  /** One more person reads a part: one's own page or number; as an owner, the coordinator the plan. */
  letIn(case_: string, part: string, person: string): Promise<void>;
  /** What comes from now on that person reads no more. What was read stays known. */
  letOut(case_: string, part: string, person: string): Promise<void>;
  /** Asks those who decide: `role` (with a role), `remove`, `readmit`, or `close` (about nobody). */
  propose(case_: string, what: Decision["what"], person?: string, role?: Role): Promise<Decision>;
  /** Says yes; about one person, where more was asked. The last yes does it. */
  approve(case_: string, person?: string): Promise<Decision>;
  /** What was asked and still can be answered. */
  asked(case_: string): Promise<Decision[]>;
  /** Founds a part anew from what it shows: what was deleted from it is gone everywhere once all have synced. */
  forget(case_: string, part: string): Promise<void>;
  /** What there is to choose. Null where the server shows the same decisions. */
  parted(case_: string): Promise<Parted | null>;
  /** As an owner: goes on with what the server shows. Who was removed is removed again before a word is sent. */
  adopt(case_: string): Promise<void>;
  /** A new case from the present state of this one, without one person, who is told nothing. */
  goOn(case_: string, without: string, title: string): Promise<Onward>;
}
