// A case in a store that reads its records last: what the first screen shows, what may not be asked before they are there,
// and a store of the version before, in which they lay among all else.
import "fake-indexeddb/auto";
import { deleteDB, openDB } from "idb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Host } from "../src/app/host";
import { IndexedStore } from "../src/app/indexed-store";
import type { MemoryStore } from "../src/app/memory-store";
import type { Verb } from "../src/app/messages";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { keepCharter, loadCharter } from "../src/core/session/kept-charter";
import { sightings } from "../src/core/session/sightings";
import { concat, sha256 } from "../src/crypto/kdf";
import { NAME, onDisk } from "./on-disk";
import { agreements, codes, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
let id: string;
let home: Case;
let store: IndexedStore;
let opened: IndexedStore[] = [];

beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());
beforeEach(async () => {
  store = await IndexedStore.open(NAME);
  home = await new Phone({}, store as unknown as MemoryStore).start("Thuis bij Nora", relay.address, "Nora");
  id = hex(home.id);
  await home.add("plan", "agreements", { what: "Samen eten", when: "2026-12-01" });
  const { there } = await joined(home, "Fatima");
  for (const one of [home, there, home]) await one.sync();
  await store.close();
});
afterEach(async () => {
  for (const one of opened) await one.close();
  opened = [];
  await deleteDB(NAME);
});

/** The app is opened: nothing is read that the first screen does not need. */
async function hurried(): Promise<{ phone: Phone; store: IndexedStore; one: Case }> {
  const store = await IndexedStore.open(NAME, true);
  opened.push(store);
  const phone = new Phone({}, store as unknown as MemoryStore);
  return { phone, store, one: await phone.case(id) };
}

const seen = (one: Case) => ({
  title: one.charter.title,
  people: one.people(),
  parts: one.showAll(),
  readers: one.readers("plan"),
});

describe("the first screen", () => {
  test("is what the records lead to, and no record is read and no signature checked for it", async () => {
    const verify = vi.spyOn(crypto.subtle, "verify");
    const { store, one } = await hurried();
    expect(seen(one)).toEqual(seen(home));
    expect(store.isWhole).toBe(false);
    expect(verify).not.toHaveBeenCalled();
    await one.session.stand();
    expect(store.isWhole).toBe(true);
    expect(verify).toHaveBeenCalled();
    verify.mockRestore();
    // Field by field: nothing of it was lost on the way.
    expect(one.charter).toEqual(home.charter);
    expect(one.log()).toEqual(home.log());
    expect(await one.sync()).toMatchObject({ sent: 0, received: 0 });
    expect(codes(one)).toEqual([]);
  });

  test("shows the charter as it was kept field by field", async () => {
    const { one } = await hurried();
    expect(one.charter).toEqual(home.charter);
  });

  test("never finds the case without its people, while their entries are folded", async () => {
    const { phone, one } = await hurried();
    let isDone = false;
    const standing = phone.stand().then(() => {
      isDone = true;
    });
    let looks = 0;
    while (!isDone) {
      expect(one.people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve));
    }
    await standing;
    expect(looks).toBeGreaterThan(1);
  });

  test("syncs, writes and tells its log only when the records are there", async () => {
    const { store, one } = await hurried();
    expect(() => one.log()).toThrow("not read yet");
    const plan = one.charter.parts.get("plan")?.stream;
    if (!plan) throw new Error("no plan");
    expect(() => store.records(one.id, plan)).toThrow("not read yet");
    expect(() => store.chainAt(one.id, plan, 1)).toThrow("not read yet");
    // What is erased now would leave them there.
    expect(() => store.eraseCase(one.id)).toThrow("not read yet");
    await one.sync();
    expect(store.isWhole).toBe(true);
    expect(store.records(one.id, plan).length).toBeGreaterThan(0);
    await one.add("plan", "agreements", { what: "Nog een" });
    await one.sync();
    expect(agreements((await hurried()).one)).toEqual(["Nog een", "Samen eten"]);
  });

  test("is followed by the records before a page asks for more than it shows", async () => {
    const host = await Host.open(relay.address, () => {});
    try {
      const ask = async (verb: Verb, ...args: unknown[]) => host.answer({ id: 1, verb, args });
      expect(await ask("people", id)).toMatchObject({
        ok: true,
        value: [{ name: "Nora" }, { name: "Fatima" }],
      });
      expect(await ask("log", id)).toMatchObject({ ok: true });
      expect(await ask("erase", id)).toMatchObject({ ok: true });
      await host.end();
      // Nothing of it is left behind because it was not read yet.
      await onDisk(async (db) => expect(await db.count("records")).toBe(0));
    } finally {
      await host.end();
    }
  });

  test("is shown before a record is read, whatever every page asks beside it", async () => {
    const whole = vi.spyOn(IndexedStore.prototype, "whole");
    const host = await Host.open(relay.address, () => {});
    try {
      const asked: [Verb, ...unknown[]][] = [
        ["lockState"],
        ["losses"],
        ["status"],
        ["moving"],
        ["cases"],
        ["show", id],
        ["people", id],
        ["readers", id, "plan"],
      ];
      for (const [verb, ...args] of asked) {
        expect(await host.answer({ id: 1, verb, args }), verb).toMatchObject({ ok: true });
      }
      expect(whole).not.toHaveBeenCalled();
      // Who came in by it stands in the entries, which are folded from records.
      for (const verb of ["makeAddress", "sync"] as const) {
        expect(await host.answer({ id: 1, verb, args: [] })).toMatchObject({ ok: true });
      }
      await host.end();
      whole.mockClear();
      const next = await Host.open(relay.address, () => {});
      expect(await next.answer({ id: 1, verb: "people", args: [id] })).toMatchObject({ ok: true });
      expect(whole).not.toHaveBeenCalled();
      expect(await next.answer({ id: 1, verb: "moving", args: [] })).toMatchObject({
        ok: true,
        value: { state: "out" },
      });
      expect(whole).toHaveBeenCalled();
      await next.end();
    } finally {
      whole.mockRestore();
      await host.end();
    }
  });

  test("an own word of right after it is kept and arrives", async () => {
    const { one } = await hurried();
    await one.add("plan", "agreements", { what: "Meteen" });
    const { one: next } = await hurried();
    expect(agreements(next)).toEqual(["Meteen", "Samen eten"]);
    expect(await next.sync()).toMatchObject({ sent: 1 });
    expect(codes(next)).toEqual([]);
  });

  test("is locked while the records are read: nothing of them is in memory afterwards", async () => {
    const { store } = await hurried();
    await store.setPin("2468");
    await store.lock();
    await store.unlock("2468");
    expect(store.isWhole).toBe(false);
    const reading = store.whole();
    await store.lock();
    await expect(reading).rejects.toMatchObject({ code: "home_locked" });
    expect(store.isWhole).toBe(false);
    await expect(store.whole()).rejects.toMatchObject({ code: "home_locked" });
  });
});

describe("a charter that was kept is passed over", () => {
  /** As it lies in the store, changed. */
  async function passedOver(change: (kept: Uint8Array) => Uint8Array | null): Promise<void> {
    const before = await IndexedStore.open(NAME);
    const kept = before.fact(home.id, "charter");
    if (!kept) throw new Error("nothing was kept");
    await before.step(() => before.putFact(home.id, "charter", change(kept.slice())));
    await before.close();
    const { store, one } = await hurried();
    expect(seen(one)).toEqual(seen(home));
    expect(store.isWhole).toBe(true);
  }

  test("where bits rotted", async () => {
    await passedOver((kept) => {
      kept[kept.length - 3] = (kept[kept.length - 3] as number) ^ 1;
      return kept;
    });
  });

  test("where it was torn off, is nothing at all, or was cleared", async () => {
    await passedOver((kept) => kept.subarray(0, kept.length - 20));
    await passedOver(() => new Uint8Array());
    await passedOver(() => null);
  });

  test("where another version wrote it", async () => {
    await passedOver((kept) => {
      const packed = kept.slice(32);
      const at = new TextDecoder("latin1").decode(packed).indexOf("version") + "version".length;
      packed[at] = (packed[at] as number) + 1;
      return concat(sha256(packed), packed);
    });
  });

  test("where it is of an earlier day than the store's log, or of another log", async () => {
    const before = await IndexedStore.open(NAME);
    const old = before.fact(home.id, "charter") as Uint8Array;
    const phone = new Phone({}, before as unknown as MemoryStore);
    const one = await phone.case(id);
    await one.remove("Fatima");
    await one.sync();
    const now = before.position(home.id, home.id as never);
    await before.step(() => before.putFact(home.id, "charter", old));
    await before.close();
    const late = await hurried();
    expect(late.one.people().map(({ name }) => name)).toEqual(["Nora"]);
    expect(late.store.isWhole).toBe(true);
    const { session } = late.one;
    expect(await loadCharter(session)).toBeUndefined();
    // As long as it is now, and of another chain.
    if (!now) throw new Error("no charter");
    const chain = now.chain.map((byte) => byte ^ 1) as typeof now.chain;
    await keepCharter(session, home.charter, { ...now, chain });
    expect(await loadCharter(session)).toBeUndefined();
    await keepCharter(session, home.charter, { ...now, length: now.length - 1 });
    expect(await loadCharter(session)).toBeUndefined();
    await keepCharter(session, late.one.charter, now);
    expect(await loadCharter(session)).toEqual(late.one.charter);
  });

  test("a moment later by the one that the records say, whatever it said", async () => {
    const { one } = await hurried();
    const at = one.session.position(one.session.charterStream);
    await one.session.stand();
    await keepCharter(one.session, one.charter.with({ title: "Elders" }), at);
    await one.session.store.settled();
    const next = await hurried();
    expect(next.one.charter.title).toBe("Elders");
    await next.phone.stand();
    expect(next.one.charter.title).toBe("Thuis bij Nora");
    // And that is what is kept from then on.
    await next.one.sync();
    expect((await hurried()).one.charter.title).toBe("Thuis bij Nora");
  });
});

test("is kept once, and anew where an entry came", async () => {
  const { one, store } = await hurried();
  const put = vi.spyOn(store, "putFact");
  const kept = () => put.mock.calls.filter(([, name]) => name === "charter").length;
  await one.sync();
  expect(kept()).toBe(0);
  await one.invite("member", "Karim");
  await one.sync();
  expect(kept()).toBe(1);
  await one.sync();
  expect(kept()).toBe(1);
});

test("a record that was damaged on the disk: what was kept is shown, and nothing goes on without it", async () => {
  await onDisk(async (db) => {
    const [key] = await db.getAllKeys("records");
    const row = ((await db.get("records", key as ArrayBuffer)) as Uint8Array).slice();
    row[40] = (row[40] as number) ^ 1;
    await db.put("records", row, key as ArrayBuffer);
  });
  const { store, one } = await hurried();
  expect(seen(one)).toEqual(seen(home));
  await expect(one.sync()).rejects.toMatchObject({ code: "no_home" });
  await expect(store.setPin("2468")).rejects.toMatchObject({ code: "no_home" });
  expect(store.isWhole).toBe(false);
});

test("what was cleared before the records were read is not laid back without them", async () => {
  const { store } = await hurried();
  // As the browser does it: the file is gone under an open page.
  await onDisk(async (db) => {
    for (const table of ["rows", "records", "large", "keys"]) await db.clear(table);
  });
  await expect(store.step(() => store.putFact(home.id, "a", new Uint8Array(1)))).rejects.toMatchObject({
    code: "no_home",
  });
  await expect(store.layBack()).rejects.toMatchObject({ code: "no_home" });
});

describe("a store of the version before, with the records among all else", () => {
  /** As it was written then: one table for both, under the same names. */
  async function asBefore(): Promise<number> {
    const found = await onDisk(async (db) => ({
      rows: [await db.getAllKeys("rows"), await db.getAll("rows")] as const,
      records: [await db.getAllKeys("records"), await db.getAll("records")] as const,
      large: [await db.getAllKeys("large"), await db.getAll("large")] as const,
      keys: [await db.getAllKeys("keys"), await db.getAll("keys")] as const,
    }));
    await deleteDB(NAME);
    const db = await openDB(NAME, 2, {
      upgrade(fresh) {
        for (const table of ["rows", "large", "keys"]) fresh.createObjectStore(table);
      },
    });
    for (const [table, [names, values]] of Object.entries(found)) {
      const to = table === "records" ? "rows" : table;
      for (const [at, name] of names.entries()) await db.put(to, values[at], name);
    }
    db.close();
    return found.records[0].length;
  }

  test("opens with all of it, sightings too, and moves them, sealed as they are", async () => {
    const before = [...home.charter.liveStreams()].map((stream) => sightings(home.session, stream));
    expect(before.flat().length).toBeGreaterThan(0);
    const count = await asBefore();
    expect(count).toBeGreaterThan(4);
    const { one, store } = await hurried();
    expect(seen(one)).toEqual(seen(home));
    expect([...one.charter.liveStreams()].map((stream) => sightings(one.session, stream))).toEqual(before);
    expect(await one.sync()).toMatchObject({ sent: 0, received: 0 });
    await store.close();
    await onDisk(async (db) => {
      expect(await db.count("records")).toBe(count);
      expect(await db.count("rows")).toBeGreaterThan(0);
    });
    const next = await hurried();
    expect(next.store.isWhole).toBe(false);
    expect(seen(next.one)).toEqual(seen(home));
    await next.phone.stand();
    expect(next.one.charter).toEqual(home.charter);
    expect(await next.one.sync()).toMatchObject({ sent: 0, received: 0 });
    expect(codes(next.one)).toEqual([]);
    expect([...next.one.charter.liveStreams()].map((stream) => sightings(next.one.session, stream))).toEqual(
      before,
    );
    await next.store.step(() => next.store.eraseCase(next.one.id));
    await onDisk(async (db) => expect(await db.count("records")).toBe(0));
  });

  test("behind a PIN too", async () => {
    const with_ = await IndexedStore.open(NAME);
    await with_.setPin("2468");
    await with_.close();
    await asBefore();
    const locked = await IndexedStore.open(NAME, true);
    opened.push(locked);
    expect(locked.locked).toBe(true);
    await locked.unlock("2468");
    const one = await new Phone({}, locked as unknown as MemoryStore).case(id);
    expect(seen(one)).toEqual(seen(home));
    await locked.settled();
    await onDisk(async (db) => expect(await db.count("records")).toBeGreaterThan(0));
  });
});
