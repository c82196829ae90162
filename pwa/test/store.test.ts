// One suite for every store, as in tests/unit/test_store.py; then what only the one on a disk has to promise.
import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { deleteDB, type IDBPDatabase, openDB, unwrap } from "idb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { IndexedStore } from "../src/app/indexed-store";
import { MemoryStore } from "../src/app/memory-store";
import {
  type CaseId,
  type Chain,
  named,
  type RecordBytes,
  type RoomSecret,
  type StreamId,
} from "../src/core/ids";
import type { Store, StoredCase } from "../src/core/store";
import { startOf } from "../src/core/stream";
import { latin1 } from "./latin1";

const bytes = (fill: number, size: number) => new Uint8Array(size).fill(fill);
const CASE = named<CaseId>(bytes(1, 16));
const OTHER = named<CaseId>(bytes(2, 16));
const STREAM = named<StreamId>(bytes(3, 16));
const chain = (n: number) => named<Chain>(bytes(n, 32));
/** As a browser does that clears the site's data. */
function forceClose(store: IndexedStore): void {
  const { db } = store as unknown as { db: IDBPDatabase };
  forceCloseDatabase(unwrap(db) as never);
}
const record = (n: number) => named<RecordBytes>(bytes(n, 40));

function caseRow(caseId: CaseId, title = "Thuis"): StoredCase {
  return {
    case: caseId,
    relay: "http://127.0.0.1:8300",
    state: "open",
    seed: bytes(7, 32),
    incarnation: bytes(8, 8),
    person: null,
    device: null,
    keysStream: STREAM,
    keysSecret: bytes(9, 32),
    joinedHead: null,
    link: null,
    title,
  };
}

const RUNNERS: [string, () => Promise<Store>][] = [
  ["memory", async () => new MemoryStore()],
  ["IndexedDB", () => IndexedStore.open("suite")],
];

afterEach(async () => {
  await deleteDB("suite");
});

describe.each(RUNNERS)("a store in %s", (_, open) => {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  test("keeps cases in the order in which they came, and changes them in place", () => {
    store.putCase(caseRow(OTHER, "Eerst"));
    store.putCase(caseRow(CASE));
    store.putCase(caseRow(OTHER, "Anders"));
    expect(store.cases().map((row) => row.title)).toEqual(["Anders", "Thuis"]);
    expect(store.case(CASE)).toMatchObject(caseRow(CASE));
  });

  test("keeps the first of a room secret: a later keybag does not put another in its place", () => {
    const given = (n: number) => ({ room: "owner", epoch: 1, secret: named<RoomSecret>(bytes(n, 32)) });
    store.putRoomSecrets(CASE, [given(1)]);
    store.putRoomSecrets(CASE, [given(2), { ...given(3), epoch: 2 }]);
    expect(store.roomSecrets(CASE).map((kept) => kept.secret[0])).toEqual([1, 3]);
    expect(store.roomSecrets(OTHER)).toEqual([]);
  });

  test("knows the start of a stream, and forgets records that were replaced but no chain", () => {
    expect(store.chainAt(CASE, STREAM, 0)).toEqual(startOf(STREAM).chain);
    const placed = [1, 2, 3].map((index) => ({ index, record: record(index), chain: chain(index) }));
    store.putRecords(CASE, STREAM, { base: 0, length: 3, chain: chain(3) }, placed);
    expect(store.records(CASE, STREAM, 1).map((kept) => kept.index)).toEqual([2, 3]);
    const snapshot = { index: 4, record: record(4), chain: chain(4) };
    store.putRecords(CASE, STREAM, { base: 3, length: 4, chain: chain(4) }, [snapshot]);
    expect(store.records(CASE, STREAM)).toEqual([snapshot]);
    expect(store.chainAt(CASE, STREAM, 2)).toEqual(chain(2));
    expect(store.chainAt(CASE, STREAM, 5)).toBeUndefined();
    expect(store.position(CASE, STREAM)).toEqual({ base: 3, length: 4, chain: chain(4) });
    store.forgetStream(CASE, STREAM);
    expect(store.position(CASE, STREAM)).toBeUndefined();
    expect(store.chainAt(CASE, STREAM, 2)).toBeUndefined();
  });

  test("puts another log in the place of the one that was kept", () => {
    const placed = [1, 2, 3].map((index) => ({ index, record: record(index), chain: chain(index) }));
    store.putRecords(CASE, STREAM, { base: 0, length: 3, chain: chain(3) }, placed);
    const other = [{ index: 3, record: record(9), chain: chain(9) }];
    store.replaceRecords(CASE, STREAM, { base: 2, length: 3, chain: chain(9) }, chain(8), other);
    expect(store.records(CASE, STREAM)).toEqual(other);
    expect(store.chainAt(CASE, STREAM, 1)).toBeUndefined();
    expect(store.chainAt(CASE, STREAM, 2)).toEqual(chain(8));
    expect(store.position(CASE, STREAM)).toEqual({ base: 2, length: 3, chain: chain(9) });
  });

  test("gives what waits to be sent in the order in which it was made", () => {
    store.putCase(caseRow(CASE));
    const first = store.addOutbox(CASE, STREAM, record(1));
    store.addOutbox(CASE, null, null, bytes(5, 4));
    for (let n = 0; n < 12; n++) store.addOutbox(CASE, STREAM, record(n));
    store.dropOutbox(first);
    const kept = store.outbox(CASE);
    expect(kept).toHaveLength(13);
    expect(kept[0]).toMatchObject({ stream: null, record: null, ops: bytes(5, 4) });
    expect(kept.map((item) => item.number)).toEqual(
      [...kept.map((item) => item.number)].sort((a, b) => a - b),
    );
  });

  test("keeps what a person did beside the change, facts, and one alarm of a kind", () => {
    const change = { hash: bytes(1, 32), sequence: 1, intents: bytes(2, 5) };
    store.putOwnChange(CASE, STREAM, change);
    expect(store.ownChanges(CASE, STREAM)).toMatchObject([change]);
    store.dropOwnChange(CASE, STREAM, change.hash);
    expect(store.ownChanges(CASE, STREAM)).toEqual([]);
    store.putFact(CASE, "generation", bytes(1, 8));
    expect(store.fact(CASE, "generation")).toEqual(bytes(1, 8));
    store.putFact(CASE, "generation", null);
    expect(store.fact(CASE, "generation")).toBeUndefined();
    store.putAlarm(CASE, { code: "forked", about: "plan", at: 1 });
    store.putAlarm(CASE, { code: "forked", about: "plan", at: 2 });
    expect(store.alarms(CASE)).toMatchObject([{ code: "forked", about: "plan", at: 1 }]);
    store.dropAlarm(CASE, "forked", "plan");
    expect(store.alarms(CASE)).toEqual([]);
  });

  test("does all of a step or nothing, also of a step inside it", async () => {
    store.putCase(caseRow(CASE));
    const torn = () =>
      store.step(() => {
        store.putFact(CASE, "a", bytes(1, 1));
        void store.step(() => store.addOutbox(CASE, STREAM, record(1)));
        throw new RangeError("power cut");
      });
    expect(torn).toThrow("power cut");
    expect(store.fact(CASE, "a")).toBeUndefined();
    expect(store.outbox(CASE)).toEqual([]);
    await store.step(() => store.putFact(CASE, "a", bytes(2, 1)));
    expect(store.fact(CASE, "a")).toEqual(bytes(2, 1));
  });

  test("erases one case and leaves the other", () => {
    for (const caseId of [CASE, OTHER]) {
      store.putCase(caseRow(caseId));
      store.putFact(caseId, "generation", bytes(1, 8));
      store.putRecords(caseId, STREAM, { base: 0, length: 1, chain: chain(1) }, [
        { index: 1, record: record(1), chain: chain(1) },
      ]);
      store.addOutbox(caseId, STREAM, record(1));
    }
    store.eraseCase(CASE);
    expect(store.cases().map((row) => row.case)).toEqual([OTHER]);
    expect(store.records(CASE, STREAM)).toEqual([]);
    expect(store.outbox(CASE)).toEqual([]);
    expect(store.fact(CASE, "generation")).toBeUndefined();
    expect(store.records(OTHER, STREAM)).toHaveLength(1);
    expect(store.outbox(OTHER)).toHaveLength(1);
  });
});

describe("the store on a disk", () => {
  const CANARY = "Fatima komt zes weken bij ons wonen";

  async function again(store: IndexedStore): Promise<IndexedStore> {
    await store.settled();
    await store.close();
    return IndexedStore.open("suite");
  }

  async function onDisk(): Promise<string> {
    const db = await openDB("suite");
    const pieces: Uint8Array[] = [];
    for (const key of await db.getAllKeys("rows")) pieces.push(new Uint8Array(key as ArrayBuffer));
    pieces.push(...(await db.getAll("rows")));
    db.close();
    return pieces.map((piece) => latin1(piece)).join("\n");
  }

  async function filled(): Promise<IndexedStore> {
    const store = await IndexedStore.open("suite");
    await store.step(() => {
      store.putCase(caseRow(CASE, CANARY));
      store.putCase(caseRow(OTHER));
      store.addOutbox(CASE, STREAM, record(1));
      store.putFact(CASE, "generation", bytes(1, 8));
    });
    return store;
  }

  test("gives back what was kept, and shows nothing of it on the disk", async () => {
    const store = await again(await filled());
    expect(store.cases().map((row) => row.title)).toEqual([CANARY, "Thuis"]);
    expect(store.case(CASE)).toMatchObject(caseRow(CASE, CANARY));
    const before = store.outbox(CASE)[0]?.number ?? 0;
    expect(store.addOutbox(CASE, STREAM, record(2))).toBeGreaterThan(before);
    await store.close();
    const raw = await onDisk();
    for (const word of [CANARY, "generation", "outbox", "8300"]) expect(raw).not.toContain(word);
    expect(raw).not.toContain(latin1(CASE));
  });

  test("a step is durable when it resolves", async () => {
    const store = await filled();
    await store.step(() => store.putFact(CASE, "a", bytes(1, 1)));
    const other = await IndexedStore.open("suite"); // as if the first tab had crashed now
    expect(other.fact(CASE, "a")).toEqual(bytes(1, 1));
    await other.close();
    await store.close();
  });

  test("with a PIN nothing opens without it, and the old key opens nothing", async () => {
    const before = await filled();
    const keysBefore = await openDB("suite").then(async (db) => {
      const keys = await db.get("keys", "device");
      db.close();
      return keys;
    });
    expect(keysBefore.seal.extractable).toBe(false);
    await before.setPin("2468");
    let store = await again(before);
    expect(store.locked).toBe(true);
    expect(() => store.cases()).toThrow(expect.objectContaining({ code: "home_locked" }));
    expect(() => store.putCase(caseRow(CASE))).toThrow(expect.objectContaining({ code: "home_locked" }));
    await expect(store.unlock("1357")).rejects.toMatchObject({ code: "bad_code" });
    await store.unlock("2468");
    expect(store.case(CASE)?.title).toBe(CANARY);
    await store.step(() => store.putFact(CASE, "a", bytes(3, 1)));
    await store.lock();
    expect(() => store.cases()).toThrow(expect.objectContaining({ code: "home_locked" }));
    await store.unlock("2468");
    expect(store.fact(CASE, "a")).toEqual(bytes(3, 1));
    await store.setPin(null);
    store = await again(store);
    expect(store.locked).toBe(false);
    expect(store.case(CASE)?.title).toBe(CANARY);
    await store.close();
  });

  test("a passkey opens beside the PIN, and neither opens without its secret", async () => {
    const before = await filled();
    const made = { credential: bytes(4, 16), asked: bytes(5, 32), secret: bytes(6, 32) };
    await expect(before.addPasskey("2468", made)).rejects.toMatchObject({ code: "not_permitted" });
    await before.setPin("2468");
    expect(before.passkey()).toBeNull();
    // Whoever snatches an unlocked phone puts no finger of their own on it; and guessing counts here too.
    await expect(before.addPasskey("1357", made)).rejects.toMatchObject({ code: "bad_code" });
    expect(before.passkey()).toBeNull();
    await before.addPasskey("2468", made);
    const store = await again(before);
    expect(store.locked).toBe(true);
    expect(store.passkey()).toEqual({ credential: made.credential, asked: made.asked });
    await expect(store.unlockWithPasskey(bytes(7, 32))).rejects.toMatchObject({ code: "bad_code" });
    expect(store.locked).toBe(true);
    await store.unlockWithPasskey(made.secret);
    expect(store.case(CASE)?.title).toBe(CANARY);
    // The finger's secret lies nowhere, and what lies there opens nothing by itself.
    const db = await openDB("suite");
    const row = await db.get("keys", "passkey");
    db.close();
    expect(Object.keys(row).sort()).toEqual(["asked", "bound", "credential", "iv", "wrapped"]);
    expect(row.bound.extractable).toBe(false);
    await store.lock();
    await store.unlock("2468");
    // A new PIN means new keys: the passkey of before opens them no more.
    await store.setPin("8642");
    expect(store.passkey()).toBeNull();
    await store.addPasskey("8642", made);
    await store.removePasskey();
    await store.lock();
    await expect(store.unlockWithPasskey(made.secret)).rejects.toMatchObject({ code: "bad_code" });
    await store.unlock("8642");
    await store.close();
  });

  test("what the browser threw away is laid there again when the person says so, and not before", async () => {
    const store = await filled();
    await store.setPin("2468");
    await store.setAutoLockMinutes(15);
    await store.settled();
    const told: string[] = [];
    store.onCleared = () => told.push("cleared");
    // As when somebody clears the site's data: the files go, and the connection is closed under us.
    forceClose(store);
    await deleteDB("suite");
    while (!told.length) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(told).toEqual(["cleared"]);
    expect(store.cleared).toBe(true);
    expect(store.case(CASE)?.title).toBe(CANARY);
    await expect(store.step(() => store.putFact(CASE, "a", bytes(9, 1)))).rejects.toMatchObject({
      code: "no_home",
    });
    expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain("suite");
    await store.layBack();
    expect(store.cleared).toBe(false);
    await store.step(() => store.putFact(CASE, "b", bytes(8, 1)));
    const later = await again(store);
    expect(later.locked).toBe(true);
    await later.unlock("2468");
    expect(later.autoLockMinutes).toBe(15);
    expect(later.case(CASE)?.title).toBe(CANARY);
    expect(later.fact(CASE, "a")).toEqual(bytes(9, 1));
    expect(later.fact(CASE, "b")).toEqual(bytes(8, 1));
    await later.close();
  });

  test("what was cleared and opened by another tab meanwhile is not overwritten", async () => {
    const store = await filled();
    forceClose(store);
    await deleteDB("suite");
    const other = await IndexedStore.open("suite");
    await other.step(() => other.putCase(caseRow(OTHER, "Nieuw begin")));
    await expect(store.layBack()).rejects.toMatchObject({ code: "home_locked" });
    const later = await again(other);
    expect(later.cases().map(({ title }) => title)).toEqual(["Nieuw begin"]);
    await later.close();
    await store.close();
  });

  test("a store that a newer app wrote is left alone, and says so", async () => {
    const store = await filled();
    // It does not hold up the newer one, and writes no more.
    (await openDB("suite", 9)).close();
    expect(store.cleared).toBe(false);
    await expect(store.step(() => store.putFact(CASE, "a", bytes(1, 1)))).rejects.toMatchObject({
      code: "no_home",
    });
    await expect(IndexedStore.open("suite")).rejects.toMatchObject({ code: "future_version" });
    const db = await openDB("suite");
    expect(await db.count("rows")).toBeGreaterThan(0);
    db.close();
  });

  test("whoever guesses has to wait", async () => {
    const store = await filled();
    await store.setPin("2468");
    await store.lock();
    // No PIN at all counts for nothing.
    for (let n = 0; n < 9; n++) await expect(store.unlock("")).rejects.toMatchObject({ code: "bad_code" });
    for (let n = 0; n < 5; n++)
      await expect(store.unlock("0000")).rejects.toMatchObject({ code: "bad_code" });
    await expect(store.unlock("2468")).rejects.toMatchObject({ code: "slow_down" });
    vi.setSystemTime(Date.now() + 60_000);
    await store.unlock("2468");
    vi.useRealTimers();
    expect(store.locked).toBe(false);
    await store.close();
  });

  test("what cannot be kept is said, and nothing after it is kept", async () => {
    const store = await filled();
    const spy = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
      throw new DOMException("full", "QuotaExceededError");
    });
    await expect(store.step(() => store.putFact(CASE, "a", bytes(1, 1)))).rejects.toMatchObject({
      code: "no_home",
    });
    spy.mockRestore();
    await expect(store.step(() => store.putFact(CASE, "b", bytes(1, 1)))).rejects.toMatchObject({
      code: "no_home",
    });
    const next = await again(store).catch(() => IndexedStore.open("suite"));
    expect(next.fact(CASE, "a")).toBeUndefined();
    expect(next.fact(CASE, "b")).toBeUndefined();
    await next.close();
    await store.close();
  });
});
