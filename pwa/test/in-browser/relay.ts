/** The relay that serves this page. What only its machine can do is asked of the driver of this browser. */
import type { Relay } from "../relay";

interface Asked {
  readonly what: string;
  readonly done: (error?: string) => void;
}

declare global {
  /** What a test waits for; the driver empties it. */
  var asked: Asked[];
}
globalThis.asked = [];

function ask(what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: string): void => (error ? reject(new Error(error)) : resolve());
    globalThis.asked.push({ what, done });
  });
}

export async function startRelay(past?: string, limits: readonly string[] = []): Promise<Relay> {
  if (past !== undefined || limits.length) throw new Error("this relay is as it is");
  return {
    address: location.origin,
    again: () => ask("again"),
    backUp: () => ask("back_up"),
    putBack: () => ask("put_back"),
    putBackUnsaid: () => ask("put_back_unsaid"),
    beginEmpty: () => ask("begin_empty"),
    fork: () => Promise.reject(new Error("one relay serves this page")),
    stop: async () => undefined,
  };
}
