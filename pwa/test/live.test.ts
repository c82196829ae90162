// Staying connected to the real relay: news come by themselves, and where they do not, asking finds them.
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Watching } from "../src/app/watching";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { Live, type Socket } from "../src/core/live";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const watchers: Watching[] = [];
afterEach(() => {
  for (const one of watchers.splice(0)) one.end();
  vi.useRealTimers();
});

/** A phone whose screen is looked at. */
function watch(phone: Phone): { readonly watching: Watching; rings: number } {
  const seen = { watching: undefined as unknown as Watching, rings: 0 };
  seen.watching = new Watching(phone, ({ kind, id }) => {
    seen.rings += 1;
    const view = phone.store.grants().find(({ grant }) => hex(grant) === id);
    const asked = kind === "case" ? phone.sync(id) : view && phone.syncView(view.grant);
    void asked?.then(() => seen.watching.adjust()).catch(() => undefined);
  });
  watchers.push(seen.watching);
  return seen;
}

const soon = <T>(read: () => T, expected: T) =>
  vi.waitFor(() => expect(read()).toEqual(expected), { timeout: 12_000, interval: 50 });
const hearing = ({ watching }: { readonly watching: Watching }) => soon(() => watching.isWhole, true);
const days = (n: number) => new Date(Date.now() + n * 86_400_000).toISOString().slice(0, 10);

describe("a page that is looked at", () => {
  test("what another writes is there without asking, also after a lock was turned, and nobody rings for ever", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    const { there: karim } = await joined(home, "Karim");
    await there.sync();
    const seen = watch(fatima);
    await seen.watching.adjust();
    await hearing(seen);
    await home.add("plan", "agreements", { what: "Komt vanzelf" });
    await home.sync();
    await soon(() => agreements(there), ["Komt vanzelf"]);
    await home.remove("Karim");
    await soon(() => there.people().length, 2);
    await hearing(seen);
    await home.add("plan", "agreements", { what: "Na de sloten" });
    await home.sync();
    await soon(() => agreements(there), ["Komt vanzelf", "Na de sloten"]);
    const { rings } = seen;
    // What this device writes itself is heard of too, and is no news.
    await there.add("plan", "agreements", { what: "Van Fatima" });
    await there.sync();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(seen.rings - rings).toBeLessThanOrEqual(2);
    expect(codes(there)).toEqual([]);
    expect(karim.session.row.state).toBe("open"); // not told yet: nobody watches there
  });

  test("a visitor at the door, a professional with a view, and whoever shows it, hear of each other", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const phones: Phone[] = [nora];
    const fatima = new Phone();
    const id = await fatima.join(await home.invite("member", "Fatima"), "Fatima");
    const reader = new Phone();
    await home.add("plan", "agreements", { what: "Eerst" });
    const given = await home.grant("De Wit", "Hulp", days(30), home.selection({ parts: ["plan"] }));
    await reader.accept(given.link, "De Wit");
    phones.push(fatima, reader);
    for (const phone of phones) await watch(phone).watching.adjust();
    await vi.waitFor(async () => expect(agreements(await fatima.case(hex(id)))).toEqual(["Eerst"]), 12_000);
    const seen = async () =>
      [...((await reader.view(hex(given.grant))).get("plan")?.get("agreements")?.values() ?? [])].map((f) =>
        f.get("what"),
      );
    await vi.waitFor(async () => expect(await seen()).toEqual(["Eerst"]), 12_000);
    const there: Case = await fatima.case(hex(id));
    await there.add("plan", "agreements", { what: "Van Fatima" });
    await there.sync();
    await vi.waitFor(async () => expect((await seen()).sort()).toEqual(["Eerst", "Van Fatima"]), 12_000);
  });

  test("a relay that goes away and comes back is found again, later and later", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    const seen = watch(fatima);
    await seen.watching.adjust();
    await hearing(seen);
    await relay.again();
    await soon(() => seen.watching.isWhole, true);
    await home.add("plan", "agreements", { what: "Erna" });
    await home.sync();
    await soon(() => agreements(there), ["Erna"]);
    expect(codes(there)).toEqual([]);
  });
});

describe("a relay that pushes what it likes", () => {
  class Fake implements Socket {
    static all: Fake[] = [];
    binaryType = "";
    onopen: (() => void) | null = null;
    onmessage: ((event: { readonly data: unknown }) => void) | null = null;
    onclose: (() => void) | null = null;
    onerror: (() => void) | null = null;
    closed = false;
    sent = 0;

    constructor() {
      Fake.all.push(this);
    }
    send(): void {
      this.sent += 1;
    }
    close(): void {
      this.closed = true;
    }
  }

  test("garbage, an answer to nothing, a text: the connection ends, and is tried again with patience", async () => {
    vi.useFakeTimers();
    Fake.all = [];
    let rings = 0;
    const live = new Live({
      relay: "http://relay",
      streams: async () => [],
      known: () => 0,
      ring: () => {
        rings += 1;
      },
      connect: () => new Fake(),
    });
    const gaps: number[] = [];
    for (let n = 0; n < 12; n++) {
      const socket = Fake.all.at(-1) as Fake;
      socket.onopen?.();
      await Promise.resolve();
      const answer = new Uint8Array([0x83, 0xa2, 0x69, 0x64, 0x07]); // cut off
      socket.onmessage?.({ data: n % 2 ? "text" : answer.buffer });
      expect(socket.closed).toBe(true);
      expect(live.isHearing).toBe(false);
      const before = Date.now();
      await vi.advanceTimersToNextTimerAsync();
      gaps.push(Date.now() - before);
      expect(Fake.all).toHaveLength(n + 2);
    }
    expect(gaps[0]).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_000);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(30_000);
    live.end();
    await vi.advanceTimersByTimeAsync(200_000);
    expect(Fake.all).toHaveLength(13);
    expect(rings).toBe(0);
  });
});
