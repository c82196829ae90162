/**
 * The engine behind the screens, without a browser, for tests/interop: `{"device", "verb", "args"}` in, `{"value"}` or
 * `{"code"}` out; bytes are `{"hex"}`. Every number is a device of its own; `line` cuts and mends its connection.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore } from "../src/app/memory-store";
import { isVerb } from "../src/app/messages";
import { troubleOf } from "../src/app/plain";
import { Unreachable } from "../src/core/errors";
import { hex, unhex } from "../src/core/ids";
import { Device } from "../src/core/library";
import { HttpTransport } from "../src/core/transport";
import "./setup";

type Verbs = Record<string, (...args: unknown[]) => Promise<unknown>>;

class Phone {
  online = true;
  readonly engine: Verbs;

  constructor() {
    const device = new Device(new MemoryStore(), (relay) => {
      const http = new HttpTransport(relay);
      return {
        exchange: (ops, atomic) => {
          if (!this.online) throw new Unreachable("offline");
          return http.exchange(ops, atomic);
        },
      };
    });
    this.engine = new LocalEngine(device) as unknown as Verbs;
  }
}

const phones = new Map<number, Phone>();

const bytesFrom = (_key: string, value: unknown): unknown =>
  value && typeof value === "object" && "hex" in value ? unhex(String(value.hex)) : value;
const bytesTo = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? { hex: hex(value) } : value;

async function answer(line: string): Promise<unknown> {
  const { device, verb, args } = JSON.parse(line, bytesFrom) as {
    device: number;
    verb: string;
    args: unknown[];
  };
  const phone = phones.get(device) ?? new Phone();
  phones.set(device, phone);
  try {
    if (verb === "close") return { value: phones.delete(device) };
    if (verb === "line") {
      phone.online = args[0] === true;
      return { value: null };
    }
    if (!isVerb(verb)) throw new RangeError("no such verb");
    return { value: (await phone.engine[verb]?.(...args)) ?? null };
  } catch (error) {
    return { ...troubleOf(error), stack: error instanceof Error ? error.stack : "" };
  }
}

export async function serve(input: Readable, output: Writable): Promise<void> {
  for await (const line of createInterface({ input }))
    output.write(`${JSON.stringify(await answer(line), bytesTo)}\n`);
}
