/**
 * What the screens need from the engine: the one interface between `src/ui` and everything below it.
 *
 * The verbs are those of the Python library and the command line (core/eigenkring/cli). The real engine runs in a worker
 * and is reached by `connect()` (connect.ts). Every verb is asynchronous. Offline is the normal state: reading answers
 * from the device, writing is kept and sent later. What is refused is thrown as `Failure` with a stable `code`.
 */

import type { Deciding } from "./deciding";
import type { Loss } from "./mending-rows";
import type { Profile } from "./profiles";
import type { Reports } from "./reports";
import type { Ways } from "./ways";

export type { Decision, Onward } from "./deciding";
export type { ComparedLine, ComparedWith, ReportVerdict } from "./reports";
export type {
  Again,
  Bringing,
  Brought,
  CameBack,
  Checked,
  Erased,
  Incoming,
  Moving,
  OwnDevice,
  PaperState,
  Removed,
  SavedCopy,
} from "./ways";
export type Role = "owner" | "member" | "child" | "coordinator";

/** `text`, `string`, `date`, `choice`, `person`: string. `set`: a map of value to true, as in the document; in a view a list.
 * `attachment`: the text of `ATTACHMENT` and JSON, without any key (photo.ts). */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Fields = { [field: string]: Value };
export type Items = { [item: string]: Fields };
/** One part, as `show` gives it: `{collection: {item: {field: value}}}`. A singleton's item has the collection's name. */
export type Collections = { [collection: string]: Items };
/** By part: `kind`, or `kind@person`. */
export type Parts = { [part: string]: Collections };

/** Thrown by every verb. `code` is one of `src/core/errors.ts`, `src/crypto/errors.ts`, or `internal`, `not_yet`. */
export class Failure extends Error {
  readonly code: string;

  constructor(code: string, message?: string) {
    super(message ?? code.replaceAll("_", " "));
    this.name = "Failure";
    this.code = code;
  }
}

/** What a link says before anybody answers it. Reading it tells nobody that it was read. */
export interface Greeting {
  /** `move`: an address of the own person, who is `name`. */
  kind: "invite" | "grant" | "device" | "move";
  /** Who asks; nobody for `move`. */
  from: string;
  /** The name the asker typed for the visitor; may be empty. */
  name: string;
  /** Of an invitation. */
  role: Role | null;
  /** The last day that the link works, `2026-12-31`. */
  expires: string;
  /** Whether four words are compared before keys are given. */
  compare: boolean;
}

export interface CaseInfo {
  case: string;
  title: string;
  role: Role;
  /** `waiting`: joined, but no device of the circle has confirmed it yet. `ended`: removed, left, or closed. */
  state: "waiting" | "open" | "ended";
  /** An owner ended it for all; else, where it ended, this device does not belong to it any more. */
  closed: boolean;
  /** Who invited; for the waiting screen. Null for one's own case. */
  from: string | null;
  /** While waiting: an own other device lets this one in, and nobody of the circle. */
  own?: boolean;
  /** The words to compare while waiting, where the invitation asked for it and the nonce has come. */
  words: string[] | null;
  /** Changes of this device not yet on the relay. */
  unsent: number;
  /** This person wrote something in it with this device. */
  contributed: boolean;
}

export interface Person {
  person: string;
  name: string;
  role: Role;
  me: boolean;
}

/** Who can read a part now. A professional reads through a view: `until` is its last day, `grant` its id. */
export interface Reader {
  person: string;
  name: string;
  role: Role | "professional";
  me: boolean;
  writes: boolean;
  until: string | null;
  grant: string | null;
}

/** `without`: collection, item or "*", field or "*". */
export interface PartSelection {
  items: "all" | string[];
  fields: "all" | { [collection: string]: string[] };
  without?: [string, string, string][];
  naming?: string[];
}

/** See docs/spec/view.md. */
export interface Selection {
  parts: { [part: string]: PartSelection };
}

/** One line of who may read, why, until when. Days are `2026-12-31`, moments ISO 8601. */
export interface Access {
  grant: string;
  to: string;
  purpose: string;
  parts: string[];
  from: string | null;
  until: string;
  /** `offered`: the link was not opened yet. `running`. `stopped`: somebody stopped it. `ended`: the date passed. */
  state: "offered" | "running" | "stopped" | "ended";
  /** A receipt of the reader's app. Its absence proves nothing. */
  opened: string | null;
  copied: string | null;
  stopped: string | null;
  stoppedBy: string | null;
  selection: Selection | null;
}

/** What is put at an item. `preview`: a small JPEG, PNG or WebP. `asIs`: no picture, with whatever is written in it. */
export interface NewFile {
  name: string;
  data: Uint8Array;
  preview?: Uint8Array;
  asIs?: boolean;
}

/** `type` is somebody's word: only what `photo.ts` calls a picture is shown, the rest is saved. */
export interface FetchedFile {
  name: string;
  type: string;
  data: Uint8Array;
}

/** One charter entry. `what` is the entry's kind; `name` whom it is about; `at` is what the author's clock said. */
export interface LogEntry {
  n: number;
  what: string;
  by: string;
  name: string | null;
  role: string | null;
  at: string | null;
  text: string;
}

/** A change in a part, without its words. */
export interface ChangeLine {
  by: string;
  /** As the author's device says; null where nothing is known. */
  at: string | null;
  what: string;
  told: { did: "made" | "changed" | "removed"; collection: string; fields: string[] }[];
}

/** What waits for this person. */
export interface Pending {
  /**
   * `knock`: somebody came through an invitation and is being let in at the next sync.
   * `words`: four words must be compared, then `confirm`.
   * `invited`: a link nobody used yet. `turn`: a lock to be turned (by itself).
   */
  kind: "knock" | "words" | "invited" | "turn";
  name: string;
  role: Role | null;
  /** Another device of this person itself. Never told by its name: a visitor gives whatever name they like. */
  own: boolean;
  words: string[] | null;
  expires: string | null;
}

/** As a professional: what a family lets this device read. */
export interface ViewInfo {
  grant: string;
  /** Who gave it. */
  from: string;
  /** The reader, whose name marks every screen. */
  to: string;
  until: string;
  /** `waiting`: no device of the family has answered yet. */
  state: "waiting" | "open" | "stopped" | "ended";
  /** The words to compare while waiting, where the link asked for it and the nonce has come. */
  words: string[] | null;
  /** When this device last had an answer about it. */
  updated: string | null;
}

export interface View extends ViewInfo {
  /** Empty unless `open`. Names and pseudonyms only, never ids of people. */
  parts: Parts;
}

export interface Alarm {
  /** One of the codes of `src/core/errors.ts`. */
  code: string;
  case: string | null;
  /** Whom it is about, where known. */
  name: string | null;
}

export interface Status {
  online: boolean;
  /** Changes on this device that no relay has yet. */
  unsent: number;
  /** When the last sync succeeded, ISO 8601. */
  synced: string | null;
  alarms: Alarm[];
}

export interface SyncReport {
  sent: number;
  received: number;
  alarms: Alarm[];
}

/** Something changed on this device: by this person, another tab, or a sync. The screens read again. */
export interface Change {
  /** Null: the list of cases or views, or the status. */
  case: string | null;
  part: string | null;
  /** `Status.unsent` at that moment, so that no screen says of fresh words that all was sent. Absent: not known now. */
  unsent?: number;
  /** Only the status is another: what waited was sent, and there is nothing to read again. */
  only?: "status";
}

/** The lock of this device. An engine without it has none. While locked, every other verb throws `home_locked`. */
export interface Lock {
  /**
   * `open` without a PIN, `unlocked` and `locked` with one; `cleared`: the browser threw away what lay here; `torn`: a
   * record here is damaged, and is read anew as soon as there is internet (until then all that needs it throws `no_home`).
   */
  lockState(): Promise<LockState>;
  lock(): Promise<void>;
  /** Throws `bad_code`, and `slow_down` after too many tries. */
  unlock(pin: string): Promise<void>;
  /** Null takes the PIN away, where nobody else uses this device (`not_permitted`). A passkey goes with the old PIN. */
  setPin(pin: string | null): Promise<void>;
  autoLockMinutes(): Promise<number>;
  /** 1 to 60. */
  setAutoLockMinutes(minutes: number): Promise<void>;
  /** What to ask the authenticator for; null where no passkey lies beside the PIN. */
  passkey(): Promise<{ credential: Uint8Array; asked: Uint8Array } | null>;
  /** Throws as `unlock`, and `not_permitted` where there is no PIN. `secret`: what the authenticator answered, 32 bytes. */
  addPasskey(
    pin: string,
    made: { credential: Uint8Array; asked: Uint8Array; secret: Uint8Array },
  ): Promise<void>;
  removePasskey(): Promise<void>;
  /** Throws `bad_code`. */
  unlockWithPasskey(secret: Uint8Array): Promise<void>;
  /** The places of the people who share this device, by their signs. */
  profiles(): Promise<Profile[]>;
  /** Makes one. Throws `not_permitted` where the own place has no PIN, `no_home` where there is no sign left. */
  addProfile(): Promise<Profile>;
  /** The code was forgotten: empties this place of this device, and no other. `not_permitted` while it is open. */
  wipe(): Promise<void>;
  /** Lays on this device again what the browser threw away while the app ran. */
  layBack(): Promise<void>;
  /** What of this device was damaged and does not come back by itself; nothing while it is locked. */
  losses(): Promise<Loss[]>;
  /** Somebody has read that. */
  dismissLosses(): Promise<void>;
}
export type LockState = "open" | "unlocked" | "locked" | "cleared" | "torn";

export interface Engine extends Ways, Deciding, Reports {
  /** Reads a link without answering it. The link is the whole text, `RELAY/#...` or its fragment. */
  greet(link: string): Promise<Greeting>;

  /** Starts a case and gives its id. The relay is by default the one that served the app. */
  start(title: string, name: string, relay?: string): Promise<string>;
  /** Answers an invitation; gives the case's id. Until a device of the circle confirms it, the case is `waiting`. */
  join(link: string, name: string): Promise<string>;
  /** As a professional: answers a grant; gives the grant's id. */
  accept(link: string, name: string): Promise<string>;
  cases(): Promise<CaseInfo[]>;

  people(case_: string): Promise<Person[]>;
  /** Gives a link that works once. */
  invite(case_: string, role: Role, name: string, compare?: boolean): Promise<string>;
  /** Four words were compared and are the same: gives the keys. */
  confirm(case_: string, name: string): Promise<void>;
  remove(case_: string, person: string): Promise<void>;
  leave(case_: string): Promise<void>;
  pending(case_: string): Promise<Pending[]>;
  log(case_: string): Promise<LogEntry[]>;
  /** Who did what in a part, in the order in which it came; `at` is the day that the author's device claims. */
  history(case_: string, part: string): Promise<ChangeLine[]>;

  /** Every part this person may read. A part about a person is `kind@person`. */
  show(case_: string): Promise<Parts>;
  /** PART is `kind` or `kind@person` (one's own by default). */
  show(case_: string, part: string): Promise<Collections>;
  /** Gives the item's id. */
  add(case_: string, part: string, collection: string, fields: Fields): Promise<string>;
  /** PATH is `collection/item/field`; on text the smallest splice. */
  set(case_: string, part: string, path: string, value: Value): Promise<void>;
  /** PATH is `collection/item` or `collection/item/field`. */
  delete(case_: string, part: string, path: string): Promise<void>;
  /** Puts a photo or file at PATH, `collection/item/field`. Of a picture only the picture is kept. */
  attach(case_: string, part: string, path: string, file: NewFile): Promise<void>;
  /** The bytes of a photo or file: kept here once they were fetched. */
  fetch(case_: string, part: string, path: string): Promise<FetchedFile>;
  readers(case_: string, part: string): Promise<Reader[]>;

  /** Exactly what a reader of this selection would see now. */
  preview(case_: string, selection: Selection): Promise<Parts>;
  grant(
    case_: string,
    to: string,
    purpose: string,
    until: string,
    selection: Selection,
    compare?: boolean,
  ): Promise<{ grant: string; link: string }>;
  withdraw(case_: string, grant: string): Promise<void>;
  access(case_: string): Promise<Access[]>;

  views(): Promise<ViewInfo[]>;
  view(grant: string): Promise<View>;

  sync(case_?: string): Promise<SyncReport>;
  status(): Promise<Status>;
  /** Gives the function that ends it. The callback may come often; it says what to read again, never the content. */
  subscribe(callback: (change: Change) => void): () => void;
}
