/** The engine for the screens: it runs in a worker, perhaps in that of another tab, and is asked by messages. */
import { type Change, type Engine, Failure } from "./engine";
import { type Call, type Home, READS, type ToPage, type Verb, WRITES } from "./messages";
import { trustOwnWorkers } from "./trusted";

const WAKE_EVERY_MS = 20_000;
const TOUCH_EVERY_MS = 10_000;

export type Connected = Engine & Home;

/** Starts the worker. Throws `unsafe_setting` where the page has no secure connection, `no_home` where nothing is kept. */
export async function connect(): Promise<Connected> {
  // Without https (or localhost) a browser gives neither cryptography nor locks.
  if (!globalThis.isSecureContext || !navigator.locks) {
    throw new Failure("unsafe_setting", "this address has no secure connection");
  }
  trustOwnWorkers();
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const engine = overMessages(worker);
  // The first answer tells whether there is a store at all.
  await engine.lockState();
  keepAwake(engine);
  // Else a browser may clear what lies here after some days without a visit. It may say no; then nothing is lost yet.
  void navigator.storage?.persist?.().catch(() => false);
  return engine;
}

/** Looks for news while somebody looks at the screen, and when the connection comes back. */
function keepAwake(engine: Home): void {
  const wake = (isOther = false): void => {
    if (document.visibilityState === "visible") void engine.wake(isOther).catch(() => undefined);
  };
  setInterval(() => wake(), WAKE_EVERY_MS);
  addEventListener("online", () => wake(true));
  addEventListener("offline", () => wake(true));
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

/** All verbs over one port. */
export function overMessages(port: Port): Connected {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Failure): void }>();
  const listeners = new Set<(change: Change) => void>();
  let last = 0;
  let broken: Failure | undefined;

  port.onmessage = ({ data }) => {
    if (data.kind === "change") {
      for (const listener of listeners) listener(data.change);
      return;
    }
    const { answer } = data;
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) asked?.resolve(answer.value);
    else asked?.reject(new Failure(answer.code, answer.message));
  };
  port.onerror = (event) => {
    // Its words may hold anything; and what waits would wait for ever.
    event.preventDefault();
    broken = new Failure("internal", "the engine did not start");
    for (const { reject } of waiting.values()) reject(broken);
    waiting.clear();
  };

  const ask = (verb: Verb, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (broken) {
        reject(broken);
        return;
      }
      last += 1;
      waiting.set(last, { resolve, reject });
      // JSON would make null of what was left out.
      while (args.length > 0 && args.at(-1) === undefined) args.pop();
      // Plain data only: a screen may hand over its own live objects, which cannot be copied.
      port.postMessage({ id: last, verb, args: args.map(plainCopy) });
    });
  const verbs = Object.fromEntries(
    [...READS, ...WRITES].map((verb) => [verb, (...args: unknown[]) => ask(verb, args)]),
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
