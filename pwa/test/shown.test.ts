// A part of which only the document is read: nothing of the engine until somebody writes or something comes, and never other
// words than the records lead to.
import "fake-indexeddb/auto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { IndexedStore } from "../src/app/indexed-store";
import type { MemoryStore } from "../src/app/memory-store";
import { hex, type StreamId } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { loadShown } from "../src/core/session/kept";
import { takePushed } from "../src/core/session/pushed";
import type { Store } from "../src/core/store";
import { BoxKey } from "../src/crypto/box";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const planOf = (one: Case): StreamId => one.charter.parts.get("plan")?.stream as StreamId;
const nameOf = (one: Case): string => `shown ${hex(planOf(one))}`;
const engines = (phone: Phone) => {
  const count = { made: 0, loaded: 0 };
  const { newEngine, loadEngine } = phone.around;
  Object.assign(phone.around, {
    newEngine: (actor: Uint8Array) => {
      count.made += 1;
      return newEngine(actor);
    },
    loadEngine: (saved: Uint8Array, actor: Uint8Array) => {
      count.loaded += 1;
      return loadEngine?.(saved, actor);
    },
  });
  return count;
};

/** The case on a device that was put off and on again. */
async function reopened(one: Case, store: Store = one.session.store) {
  const phone = new Phone({}, store as MemoryStore);
  const count = engines(phone);
  return { phone, one: await phone.case(hex(one.id)), count };
}

async function family() {
  const { nora, home, fatima, there } = await familyOn(relay.address);
  await home.add("plan", "agreements", { what: "Samen eten", when: "2026-12-01" });
  await home.set("question", "question/question/text", "Wie helpt er?");
  for (const one of [home, there, home, there]) await one.sync();
  return { nora, home, fatima, there };
}

describe("a part that is only shown", () => {
  test("is the same as the folded one, without an engine, also through a sync that brings nothing", async () => {
    const { home, there } = await family();
    for (const before of [home, there]) {
      const { one, count } = await reopened(before);
      expect(one.showAll()).toEqual(before.showAll());
      expect([...one.showAll().keys()]).toEqual([...before.showAll().keys()]);
      const report = await one.sync();
      expect(report).toMatchObject({ sent: 0, received: 0 });
      expect(one.showAll()).toEqual(before.showAll());
      expect(count.made).toBe(0);
    }
  });

  test("grows no key for boxes, also through a sync that brings nothing; a new room's key comes in a box and is read", async () => {
    const { home, there } = await family();
    const grown = vi.spyOn(BoxKey, "fromSeed");
    const { one } = await reopened(there);
    await one.sync();
    expect(grown).not.toHaveBeenCalled();
    await joined(home, "Karim");
    await home.remove("Karim");
    await home.add("plan", "agreements", { what: "Zonder Karim" });
    await home.sync();
    grown.mockClear();
    await one.sync();
    expect(grown).toHaveBeenCalledTimes(1);
    grown.mockRestore();
    expect(agreements(one)).toEqual(["Samen eten", "Zonder Karim"]);
    expect(codes(one)).toEqual([]);
  });

  test("is opened by a record of another one, and only that part", async () => {
    const { home, there } = await family();
    const { one, count } = await reopened(there);
    await home.add("plan", "agreements", { what: "Van Nora" });
    await home.sync();
    await one.sync();
    expect(agreements(one)).toEqual(["Samen eten", "Van Nora"]);
    expect(count.made).toBeGreaterThan(0);
    const opened = [...one.session.parts.values()].filter(({ fold }) => fold);
    expect(opened.map(({ part }) => part.name)).toEqual(["plan"]);
    expect(codes(one)).toEqual([]);
    // And is shown again as it is now.
    expect(agreements((await reopened(one)).one)).toEqual(["Samen eten", "Van Nora"]);
  });

  test("leaves to a sync what was pushed and is noise", async () => {
    const { home, there } = await family();
    const { one } = await reopened(there);
    await home.add("plan", "agreements", { what: "Van Nora" });
    await home.sync();
    const stream = planOf(home);
    const last = home.session.store.records(home.id, stream).at(-1);
    if (!last) throw new Error("nothing was written");
    const noise = last.record.slice() as typeof last.record;
    noise[noise.length - 1] = (noise.at(-1) as number) ^ 1;
    expect([...one.session.parts.values()].some(({ fold }) => fold)).toBe(false);
    expect(await takePushed(one.session, [{ stream, index: last.index, record: noise }])).toBe(false);
  });

  test("is opened by an own word, which arrives; without a line it is there when the app is opened again", async () => {
    const { home, there } = await family();
    const { phone, one } = await reopened(there);
    phone.switch.online = false;
    await one.add("plan", "agreements", { what: "Zonder lijn" });
    const { one: later } = await reopened(one);
    expect(agreements(later)).toEqual(["Samen eten", "Zonder lijn"]);
    await later.sync();
    await home.sync();
    expect(agreements(home)).toEqual(["Samen eten", "Zonder lijn"]);
    const { one: again, count } = await reopened(later);
    expect(agreements(again)).toEqual(["Samen eten", "Zonder lijn"]);
    // All own words were taken: nothing is to be made again, and nothing to be opened for it.
    await again.sync();
    expect(count.made).toBe(0);
  });

  test("takes everybody's work along into a cut, when its reader puts somebody out", async () => {
    const { home, there } = await family();
    await there.add("plan", "agreements", { what: "Van Fatima" });
    await there.sync();
    const { there: karim } = await joined(home, "Karim");
    for (const one of [home, karim]) await one.sync();
    const { one } = await reopened(home);
    expect([...one.session.parts.values()].some(({ fold }) => fold)).toBe(false);
    await one.remove("Fatima");
    await karim.sync();
    await one.sync();
    const both = ["Samen eten", "Van Fatima"];
    expect([agreements(one), agreements(karim)]).toEqual([both, both]);
    expect(codes(karim)).toEqual([]);
  });
});

describe("what was kept of a part is passed over", () => {
  /** Opens with what `change` made of what was kept: the plan is folded, and the same words are there. */
  async function passedOver(change: (kept: Uint8Array, store: MemoryStore, one: Case) => void) {
    const { home } = await family();
    const store = home.session.store as MemoryStore;
    const kept = store.fact(home.id, nameOf(home));
    if (!kept) throw new Error("nothing was kept");
    change(kept.slice(), store, home);
    const { one, count } = await reopened(home);
    expect(count.made).toBeGreaterThan(0);
    expect(agreements(one)).toEqual(["Samen eten"]);
    await one.sync();
    expect(codes(one)).toEqual([]);
  }

  test("where bits rotted", async () => {
    await passedOver((kept, store, one) => {
      kept[kept.length - 3] = (kept[kept.length - 3] as number) ^ 1;
      store.putFact(one.id, nameOf(one), kept);
    });
  });

  test("where it was torn off, or is nothing at all", async () => {
    await passedOver((kept, store, one) =>
      store.putFact(one.id, nameOf(one), kept.subarray(0, kept.length - 20)),
    );
    await passedOver((_, store, one) => store.putFact(one.id, nameOf(one), new Uint8Array()));
  });

  test("where another version wrote it", async () => {
    const { concat, sha256 } = await import("../src/crypto/kdf");
    await passedOver((kept, store, one) => {
      const packed = kept.slice(32);
      const at = new TextDecoder("latin1").decode(packed).indexOf("version") + "version".length;
      packed[at] = (packed[at] as number) + 1;
      store.putFact(one.id, nameOf(one), concat(sha256(packed), packed));
    });
  });

  test("where it is of an earlier day than the records", async () => {
    const { home } = await family();
    const store = home.session.store as MemoryStore;
    const kept = store.fact(home.id, nameOf(home)) as Uint8Array;
    await home.add("plan", "agreements", { what: "Later" });
    await home.sync();
    store.putFact(home.id, nameOf(home), kept);
    expect(agreements((await reopened(home)).one)).toEqual(["Later", "Samen eten"]);
  });

  test("where the store holds another log of the stream now", async () => {
    const { home } = await family();
    const store = home.session.store as MemoryStore;
    const stream = planOf(home);
    const { length } = store.position(home.id, stream) ?? { length: 0 };
    const placed = store.records(home.id, stream);
    const [first, ...rest] = placed.reverse();
    if (!first) throw new Error("an empty plan");
    const other = [first, ...rest].map((one, at) => ({ ...one, index: at + 1 }));
    const chain = new Uint8Array(32).fill(7) as typeof first.chain;
    store.replaceRecords(home.id, stream, { base: 0, length, chain }, chain, [
      ...other.slice(0, -1),
      { ...(other.at(-1) as typeof first), chain },
    ]);
    const part = home.charter.parts.get("plan");
    expect(part && loadShown(home.session, part)).toBeUndefined();
  });

  test("where an own word that waited was taken out", async () => {
    const { nora, home } = await family();
    await home.add("plan", "agreements", { what: "Wacht nog" });
    const [item] = nora.store.outbox(home.id);
    if (!item) throw new Error("nothing waits");
    // A sync that could not send keeps what is shown, with the word in it.
    await home.session.inTurn(() => home.session.keepParts());
    const { one, count } = await reopened(home);
    expect(agreements(one)).toEqual(["Samen eten", "Wacht nog"]);
    expect(count.made).toBe(0);
    nora.store.dropOutbox(item.number);
    const { count: after } = await reopened(home);
    expect(after.made).toBeGreaterThan(0);
  });

  test("where a key came for a record that could not be read, or the charter cut it", async () => {
    const { home, there } = await family();
    const { one } = await reopened(there);
    const [part] = [...one.session.parts.values()].filter(({ part }) => part.name === "plan");
    if (!part || part.fold) throw new Error("the plan is open");
    const { isStill } = await import("../src/core/session/kept");
    expect(isStill(one.session, part)).toBe(true);
    const epoch = one.charter.rooms.get(part.part.read)?.epoch as number;
    expect(isStill(one.session, { ...part, unopened: new Set([epoch]) })).toBe(false);
    expect(isStill(one.session, { ...part, outlook: { ...part.outlook, cuts: 1, height: 0 } })).toBe(false);
    const waiting = [hex(home.charter.head)];
    expect(isStill(one.session, { ...part, outlook: { ...part.outlook, waiting } })).toBe(false);
  });
});

test("in the browser's store the fold lies apart, encrypted, and follows the lock and the erasing of its case", async () => {
  const store = await IndexedStore.open("apart");
  const phone = new Phone({}, store as unknown as MemoryStore);
  const home = await phone.start("Thuis", relay.address, "Nora");
  for (let n = 0; n < 300; n++) {
    await home.add("plan", "agreements", {
      what: `KANARIE ${n} ${hex(crypto.getRandomValues(new Uint8Array(24)))}`,
    });
  }
  await home.sync();
  const shown = home.showAll();
  await store.setPin("2468");
  await store.close();

  const locked = await IndexedStore.open("apart");
  await locked.unlock("2468");
  const { one, count } = await reopened(home, locked);
  expect(one.showAll()).toEqual(shown);
  expect(count.made).toBe(0);
  // The fold is fetched, and not made again from the records.
  await one.add("plan", "agreements", { what: "Nog een" });
  expect(count.loaded).toBe(1);
  const name = `fold ${hex(planOf(home))}`;
  expect((await locked.large(home.id, name))?.length).toBeGreaterThan(10_000);
  const { openDB } = await import("idb");
  const db = await openDB("apart");
  const pieces = (await db.getAll("large")) as Uint8Array[];
  expect(pieces.length).toBeGreaterThan(0);
  expect(pieces.some((piece) => new TextDecoder("latin1").decode(piece).includes("KANARIE"))).toBe(false);
  // Damaged on the disk, it is as if it were not there.
  const [key] = await db.getAllKeys("large");
  const piece = (pieces[0] as Uint8Array).slice();
  piece[40] = (piece[40] as number) ^ 1;
  await db.put("large", piece, key as ArrayBuffer);
  expect(await locked.large(home.id, name)).toBeUndefined();
  await locked.step(() => locked.eraseCase(home.id));
  expect(await db.count("large")).toBe(0);
  db.close();
  await locked.close();
});
