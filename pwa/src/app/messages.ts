/** What page, worker and the other tabs say to each other. */
import type { Change, Engine, Lock } from "./engine";
import type { Trouble } from "./plain";
import type { Profile } from "./profiles";

/** What there is besides the verbs of the screens: the lock of this device, and a knock that says "look for news". */
export interface Home extends Lock {
  /** The screen is looked at: sync in the background. Never fails. */
  wake(network?: "back" | "gone"): Promise<void>;
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
  "history",
  "show",
  "fetch",
  "readers",
  "preview",
  "access",
  "views",
  "view",
  "paper",
  "moving",
  "devices",
  "incoming",
  "exportCase",
  "verify",
  "lookAtCopy",
  "bringing",
  "report",
  "asked",
  "parted",
  "status",
  "lockState",
  "losses",
  "autoLockMinutes",
  "passkey",
  "profiles",
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
  "makeAddress",
  "takeBack",
  "moveIn",
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
  "compareReport",
  "renew",
  "bring",
  "erase",
  "setRole",
  "handOver",
  "addWithoutPhone",
  "readmit",
  "cancel",
  "letIn",
  "letOut",
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
  "addPasskey",
  "removePasskey",
  "unlockWithPasskey",
  "addProfile",
  "layBack",
  "dismissLosses",
  "wipe",
] as const satisfies readonly Verb[];

/** What no screen waits for, or every page asks before it knows which screen. */
export const BESIDE: ReadonlySet<string> = new Set<Verb>([
  "wake",
  "touch",
  "sync",
  "status",
  "lockState",
  "losses",
]);

export interface Call {
  readonly id: number;
  readonly verb: Verb;
  readonly args: readonly unknown[];
}
export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | ({ readonly id: number; readonly ok: false } & Trouble);

/** The first thing that a page says to its worker: whose place to open, and the lock that tells that the worker lives. */
export interface Begin {
  readonly kind: "begin";
  readonly profile: Profile;
  readonly life: string;
}

/** From the worker to its page. */
export type ToPage =
  | { readonly kind: "alive" }
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

/** Whether it may be asked again when nobody answered: it changes nothing, or goes on where it was. */
export function mayAskAgain(verb: Verb): boolean {
  return verb === "bring" || READS.some((read) => read === verb);
}
