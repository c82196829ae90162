// Staying connected to the real relay: news come by themselves, and where they do not, asking finds them.
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Watched, Watching } from "../src/app/watching";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { addDevice } from "../src/core/own-devices";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const watchers: Watching[] = [];
const underWay = new Set<Promise<unknown>>();
afterEach(async () => {
  for (const one of watchers.splice(0)) one.end();
  await Promise.allSettled(underWay);
});

/** A phone whose screen is looked at. */
function watch(phone: Phone): { readonly watching: Watching; rings: number; shown: number } {
  const seen = { watching: undefined as unknown as Watching, rings: 0, shown: 0 };
  const ring = ({ kind, id }: Watched): void => {
    seen.rings += 1;
    const view = phone.store.grants().find(({ grant }) => hex(grant) === id);
    const asked = kind === "case" ? phone.sync(id) : view && phone.syncView(view.grant);
    const done = asked?.then(() => seen.watching.adjust()).catch(() => undefined);
    if (!done) return;
    underWay.add(done);
    void done.finally(() => underWay.delete(done));
  };
  const show = (): void => {
    seen.shown += 1;
  };
  seen.watching = new Watching(phone, { ring, show });
  watchers.push(seen.watching);
  return seen;
}

const soon = <T>(read: () => T, expected: T) =>
  vi.waitFor(() => expect(read()).toEqual(expected), { timeout: 60_000, interval: 50 });
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

  test("one more device of one's own is let in, also when there was another before", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const seen = watch(nora);
    await seen.watching.adjust();
    for (const name of ["laptop", "tablet"]) {
      await hearing(seen);
      const link = await addDevice(home);
      // As the page does after whatever it did.
      await home.sync();
      await seen.watching.adjust();
      await hearing(seen);
      const other = new Phone();
      const id = await other.join(link, "Nora");
      const isIn = async (): Promise<void> => {
        await other.sync();
        expect(other.store.case(id)?.state, name).toBe("open");
      };
      await vi.waitFor(isIn, { timeout: 60_000, interval: 250 });
    }
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
    await vi.waitFor(async () => expect(agreements(await fatima.case(hex(id)))).toEqual(["Eerst"]), 60_000);
    const seen = async () =>
      [...((await reader.view(hex(given.grant))).get("plan")?.get("agreements")?.values() ?? [])].map((f) =>
        f.get("what"),
      );
    await vi.waitFor(async () => expect(await seen()).toEqual(["Eerst"]), 60_000);
    const there: Case = await fatima.case(hex(id));
    await there.add("plan", "agreements", { what: "Van Fatima" });
    await there.sync();
    await vi.waitFor(async () => expect((await seen()).sort()).toEqual(["Eerst", "Van Fatima"]), 60_000);
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
