/** The rehearsal's bad moments, on every screen and not where somebody thought of it (rehearse.ts): what fails, and how. */
import { Failure } from "./engine";
import type { Rehearsal } from "./rehearsal";

/** What a screen reads before it shows anything; the lock, the list and the status are there in any weather. */
const READS = new Set(
  (
    "people show readers pending log history preview access view asked paper devices incoming parted " +
    "report fetch"
  ).split(" "),
);
const ALWAYS = new Set(
  (
    "cases views status subscribe greet lockState lock unlock passkey profiles autoLockMinutes setAutoLockMinutes " +
    "setPin verify opened mayAdopt lookAgain"
  ).split(" "),
);
/** Decisions of the charter, and what comes from the relay (core/sync.ts, act). Words wait on the phone and need nothing. */
const NEEDS_INTERNET = new Set(
  (
    "greet join accept recover recoveryCode sync invite confirm cancel readmit remove setRole handOver letIn letOut " +
    "grant withdraw renew addDevice removeDevice propose approve adopt leave erase goOn fetch"
  ).split(" "),
);

const FAILS: { [scene: string]: { fails: (name: string) => boolean; code: string } } = {
  error: { fails: (name) => READS.has(name), code: "engine_failed" },
  // All can be read and nothing can be done: whether a screen says so where one pressed.
  stuck: { fails: (name) => !READS.has(name) && !ALWAYS.has(name), code: "internal" },
  torn: { fails: (name) => name === "sync", code: "no_home" },
  offline: { fails: (name) => NEEDS_INTERNET.has(name), code: "offline" },
};

export function troubled(engine: Rehearsal, scene: string): Rehearsal {
  const trouble = FAILS[scene];
  if (!trouble) return engine;
  return new Proxy(engine, {
    get(whole, name) {
      const found: unknown = Reflect.get(whole, name, whole);
      if (typeof found !== "function") return found;
      if (trouble.fails(String(name)))
        return async () => {
          throw new Failure(trouble.code);
        };
      return found.bind(whole);
    },
  });
}
