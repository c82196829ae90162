// Devices of a family on the real relay, for the tests: their connection can be cut, or pass through somebody who lies.
import { MemoryStore } from "../src/app/memory-store";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import { type Case, Device, type DeviceOptions } from "../src/core/library";
import { pack } from "../src/core/session/packing";
import { HttpTransport, type Transport } from "../src/core/transport";
import type { Batch, Result } from "../src/core/wire";

export type Exchange = Transport["exchange"];

/** A device whose connection can be cut, or pass through somebody who lies. */
export class Phone extends Device {
  /** `relayTime`: what the relay says in its answers; null: nothing. */
  readonly switch: {
    online: boolean;
    lie: ((honest: Exchange) => Exchange) | undefined;
    relayTime: (() => number) | null;
  };

  constructor(options: DeviceOptions = {}, store = new MemoryStore()) {
    const line: Phone["switch"] = { online: true, lie: undefined, relayTime: null };
    super(
      store,
      (address): Transport => {
        const http = new HttpTransport(address);
        const honest: Exchange = (ops, atomic) => http.exchange(ops, atomic);
        return {
          get relayTime() {
            return line.relayTime?.() ?? null;
          },
          exchange: (ops, atomic) => {
            if (!line.online) throw new Unreachable("offline");
            return (line.lie?.(honest) ?? honest)(ops, atomic);
          },
        };
      },
      options,
    );
    this.switch = line;
  }
}

/** Changes what the relay answers to a read of one stream. */
export function lieAbout(stream: Uint8Array, change: (honest: Batch, after: number) => Result) {
  return (honest: Exchange): Exchange =>
    async (ops, atomic) => {
      const reply = await honest(ops, atomic);
      const results = reply.results.map((result, at) => {
        const op = ops[at];
        if (op?.op !== "read" || hex(op.stream) !== hex(stream) || !("records" in result)) return result;
        return change(result, op.after);
      });
      return { ...reply, results };
    };
}

/** Nora's case, and Fatima in it. */
export async function familyOn(address: string, options: DeviceOptions = {}) {
  const nora = new Phone(options);
  const home = await nora.start("Thuis bij Nora", address, "Nora");
  await home.sync();
  const { phone: fatima, there, link } = await joined(home, "Fatima", "member", options);
  return { nora, home, fatima, there, link };
}

/** One more person of a case. */
export async function joined(
  home: Case,
  name: string,
  role: "owner" | "member" | "child" = "member",
  options: DeviceOptions = {},
) {
  const phone = new Phone(options);
  const link = await home.invite(role, name);
  const id = await phone.join(link, name);
  await home.sync();
  await phone.sync();
  return { phone, there: await phone.case(hex(id)), link };
}

export const agreements = (one: Case) =>
  [...(one.show("plan").get("agreements")?.values() ?? [])].map((fields) => fields.get("what")).sort();

export const codes = (one: Case) =>
  one.session.store.alarms(one.id).map(({ code, about }) => `${code} ${about}`);

/** As if what waits were sent on its own: later words do not join it. */
export async function signAlone(one: Case): Promise<void> {
  await pack(one.session);
  one.session.unsent.clear();
}
