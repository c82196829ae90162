/** The engine for the screens: it runs in a worker, perhaps in that of another tab, and is asked by messages. */
import { type Change, type Engine, Failure } from "./engine";
import { keepAfterFirstWords } from "./keeping";
import {
  BESIDE,
  type Begin,
  type Call,
  type Home,
  mayAskAgain,
  READS,
  type ToPage,
  type Verb,
  WRITES,
} from "./messages";
import type { Profile } from "./profiles";
import { Quiet } from "./quiet";
import { trustOwnWorkers } from "./trusted";

const WAKE_EVERY_MS = 20_000;
const TOUCH_EVERY_MS = 10_000;

export type Connected = Engine & Home;

/** What this page's screens wait for. */
export const screens = new Quiet();

/**
 * Starts the worker, on the store of one place. Throws `unsafe_setting` where the page has no secure connection, `no_home`
 * where nothing is kept.
 */
export async function connect(profile: Profile): Promise<Connected> {
  // Without https (or localhost) a browser gives neither cryptography nor locks.
  if (!globalThis.isSecureContext || !navigator.locks) {
    throw new Failure("unsafe_setting", "this address has no secure connection");
  }
  trustOwnWorkers();
  const engine = overMessages((ended) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const life = crypto.randomUUID();
    worker.addEventListener("message", ({ data }: MessageEvent<ToPage>) => {
      // From here on the worker holds this lock: whoever gets it finds the worker dead.
      if (data.kind === "alive") void navigator.locks.request(life, ended);
    });
    worker.postMessage({ kind: "begin", profile, life } satisfies Begin);
    return worker;
  });
  // The first answer tells whether there is a store at all.
  await engine.lockState();
  keepAwake(engine);
  // Else a browser may clear what lies here after some days without a visit.
  return keepAfterFirstWords(engine, navigator.storage);
}

/** Looks for news while somebody looks at the screen, and when the connection comes back. */
function keepAwake(engine: Home): void {
  const wake = (network?: "back" | "gone"): void => {
    if (document.visibilityState === "visible") void engine.wake(network).catch(() => undefined);
  };
  setInterval(() => wake(), WAKE_EVERY_MS);
  addEventListener("online", () => wake("back"));
  addEventListener("offline", () => wake("gone"));
  document.addEventListener("visibilitychange", () => wake());
  wake();
  let touched = 0;
  const touch = (): void => {
    if (Date.now() - touched < TOUCH_EVERY_MS) return;
    touched = Date.now();
    void engine.touch().catch(() => undefined);
  };
  for (const event of ["pointerdown", "keydown", "input"])
    addEventListener(event, touch, { capture: true, passive: true });
}

interface Port {
  postMessage(message: Call): void;
  onmessage: ((event: MessageEvent<ToPage>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

interface Waiting {
  readonly call: Call;
  resolve(value: unknown): void;
  reject(error: Failure): void;
}

/** A worker that ended this often in this time would only end again. */
const MOST_ENDS = 5;
const ENDS_WITHIN_MS = 60_000;

/**
 * All verbs over one port. Where what is behind it ended, another one is begun: what only reads or goes on where it was is asked again, of the rest
 * nobody knows whether it was done (`busy`).
 */
export function overMessages(begin: (ended: () => void) => Port): Connected {
  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(change: Change) => void>();
  let last = 0;
  let broken: Failure | undefined;
  let ends: number[] = [];

  const tell = (change: Change): void => {
    for (const listener of listeners) listener(change);
  };
  const giveUp = (): void => {
    broken = new Failure("internal", "the engine did not start");
    for (const { reject } of waiting.values()) reject(broken);
    waiting.clear();
  };
  const start = (): Port => {
    const fresh = begin(() => {
      const now = Date.now();
      ends = [...ends.filter((end) => now - end < ENDS_WITHIN_MS), now];
      if (ends.length > MOST_ENDS) {
        giveUp();
        return;
      }
      port = start();
      for (const [id, { call, reject }] of [...waiting]) {
        if (mayAskAgain(call.verb)) port.postMessage(call);
        else {
          waiting.delete(id);
          reject(new Failure("busy", "the engine began anew; look whether it was done"));
        }
      }
      tell({ case: null, part: null });
    });
    fresh.onmessage = ({ data }) => {
      if (data.kind === "change") tell(data.change);
      if (data.kind !== "answer") return;
      const { answer } = data;
      const asked = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.ok) asked?.resolve(answer.value);
      else asked?.reject(new Failure(answer.code, answer.message));
    };
    fresh.onerror = (event) => {
      // Its words may hold anything; and what waits would wait for ever.
      event.preventDefault();
      giveUp();
    };
    return fresh;
  };
  let port = start();

  const ask = (verb: Verb, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (broken) {
        reject(broken);
        return;
      }
      last += 1;
      // JSON would make null of what was left out.
      while (args.length > 0 && args.at(-1) === undefined) args.pop();
      // Plain data only: a screen may hand over its own live objects, which cannot be copied.
      const call = { id: last, verb, args: args.map(plainCopy) };
      waiting.set(last, { call, resolve, reject });
      port.postMessage(call);
    });
  const verbs = Object.fromEntries(
    [...READS, ...WRITES].map((verb) => [
      verb,
      (...args: unknown[]) => (BESIDE.has(verb) ? ask(verb, args) : screens.during(() => ask(verb, args))),
    ]),
  );
  return {
    ...(verbs as unknown as Connected),
    subscribe(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
  };
}

/** What the screens give may be a proxy, which cannot cross to a worker; bytes cross as they are. */
function plainCopy(value: unknown): unknown {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plainCopy);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, plainCopy(one)]));
}
