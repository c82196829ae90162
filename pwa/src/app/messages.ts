/** What page, worker and the other tabs say to each other. */
import type { Change, Engine } from "./engine";
import type { Trouble } from "./plain";

/** What there is besides the verbs of the screens: the lock of this device, and a knock that says "look for news". */
export interface Home {
  /** `open` without a PIN, `unlocked` and `locked` with one. */
  lockState(): Promise<"open" | "unlocked" | "locked">;
  lock(): Promise<void>;
  /** Throws `bad_code`, and `slow_down` after too many tries. */
  unlock(pin: string): Promise<void>;
  /** Null takes the PIN away. */
  setPin(pin: string | null): Promise<void>;
  autoLockMinutes(): Promise<number>;
  setAutoLockMinutes(minutes: number): Promise<void>;
  /** The screen is looked at: sync in the background. Never fails. */
  wake(isOther?: boolean): Promise<void>;
  /** A finger or a key: somebody is there. What screens read by themselves does not count. */
  touch(): Promise<void>;
}
export type Verbs = Omit<Engine, "subscribe"> & Home;
export type Verb = keyof Verbs;

/** Those that change nothing: they may be asked again when nobody answered. */
export const READS = [
  "greet",
  "cases",
  "people",
  "pending",
  "log",
  "show",
  "fetch",
  "readers",
  "preview",
  "access",
  "views",
  "view",
  "paper",
  "devices",
  "incoming",
  "exportCase",
  "asked",
  "parted",
  "status",
  "lockState",
  "autoLockMinutes",
  "wake",
  "touch",
] as const satisfies readonly Verb[];
export const WRITES = [
  "start",
  "join",
  "accept",
  "invite",
  "confirm",
  "remove",
  "leave",
  "add",
  "set",
  "delete",
  "attach",
  "grant",
  "withdraw",
  "recoveryCode",
  "recover",
  "addDevice",
  "removeDevice",
  "answerQuestion",
  "answerHelp",
  "proposeCondition",
  "need",
  "ask",
  "opened",
  "saveCopy",
  "take",
  "renew",
  "erase",
  "setRole",
  "handOver",
  "propose",
  "approve",
  "adopt",
  "forget",
  "goOn",
  "sync",
  "lock",
  "unlock",
  "setPin",
  "setAutoLockMinutes",
] as const satisfies readonly Verb[];

export interface Call {
  readonly id: number;
  readonly verb: Verb;
  readonly args: readonly unknown[];
}
export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | ({ readonly id: number; readonly ok: false } & Trouble);

/** From the worker to its page. */
export type ToPage =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "change"; readonly change: Change };

/** Between the workers of several tabs. `from` and `to` are tabs. */
export type Between =
  | { readonly kind: "call"; readonly from: string; readonly call: Call }
  | { readonly kind: "heard"; readonly to: string; readonly id: number }
  | { readonly kind: "answer"; readonly to: string; readonly answer: Answer }
  | { readonly kind: "leads" }
  | { readonly kind: "change"; readonly change: Change };

export function isVerb(verb: unknown): verb is Verb {
  return [...READS, ...WRITES].some((known) => known === verb);
}
