/**
 * The engine behind the screens, without a browser, for tests/interop/test_interop_live.py: `{"verb", "args"}` in,
 * `{"value"}` or `{"code"}` out. `line` cuts and mends the connection.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore } from "../src/app/memory-store";
import { isVerb } from "../src/app/messages";
import { troubleOf } from "../src/app/plain";
import { Unreachable } from "../src/core/errors";
import { Device } from "../src/core/library";
import { HttpTransport } from "../src/core/transport";
import "./setup";

let isOnline = true;
const device = new Device(new MemoryStore(), (relay) => {
  const http = new HttpTransport(relay);
  return {
    exchange: (ops, atomic) => {
      if (!isOnline) throw new Unreachable("offline");
      return http.exchange(ops, atomic);
    },
  };
});
const engine = new LocalEngine(device) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;

async function answer(line: string): Promise<unknown> {
  const { verb, args } = JSON.parse(line) as { verb: string; args: unknown[] };
  try {
    if (verb === "line") {
      isOnline = args[0] === true;
      return { value: null };
    }
    if (!isVerb(verb)) throw new RangeError("no such verb");
    return { value: (await engine[verb]?.(...args)) ?? null };
  } catch (error) {
    return { ...troubleOf(error), stack: error instanceof Error ? error.stack : "" };
  }
}

export async function serve(input: Readable, output: Writable): Promise<void> {
  for await (const line of createInterface({ input }))
    output.write(`${JSON.stringify(await answer(line))}\n`);
}
