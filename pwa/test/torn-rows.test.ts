// Rows of a phone that no longer open, of each kind there is: the app opens, and says what does not come back by itself.
import "fake-indexeddb/auto";
import { deleteDB } from "idb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Host } from "../src/app/host";
import { IndexedStore } from "../src/app/indexed-store";
import type { MemoryStore, Place } from "../src/app/memory-store";
import { readAnew } from "../src/app/mending";
import type { Loss } from "../src/app/mending-rows";
import type { Verb } from "../src/app/messages";
import { ROWS } from "../src/app/store-disk";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { makeCode, recover } from "../src/core/recovery";
import { HttpTransport } from "../src/core/transport";
import { damage, type Harm, NAME, onDisk } from "./on-disk";
import { agreements, codes, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
let home: Case;
let there: Case;
let other: Case;
let opened: IndexedStore[] = [];

beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());
beforeEach(async () => {
  const store = await IndexedStore.open(NAME);
  const phone = new Phone({}, store as unknown as MemoryStore);
  home = await phone.start("Thuis bij Nora", relay.address, "Nora");
  other = await phone.start("Bij opa", relay.address, "Nora");
  await other.add("plan", "agreements", { what: "Boodschappen" });
  await home.add("plan", "agreements", { what: "Samen eten" });
  ({ there } = await joined(home, "Fatima"));
  for (const one of [home, there, home, other]) await one.sync();
  await home.add("plan", "agreements", { what: "Nog niet verstuurd" });
  await store.step(() => store.putLarge(home.id, "a photo", new Uint8Array(9)));
  await store.close();
});
afterEach(async () => {
  for (const one of opened) await one.close();
  opened = [];
  await deleteDB(NAME);
});

const inWhatItHolds: Harm = (row) => row.with(-20, (row.at(-20) as number) ^ 1);
const inItsPlace: Harm = (row) => row.with(14, (row[14] as number) ^ 1);
const cut: Harm = (row) => row.slice(0, row.length >> 1);
const cutALittle: Harm = (row) => row.slice(0, -9);
const empty: Harm = () => new Uint8Array();

async function again(): Promise<{ phone: Phone; store: IndexedStore }> {
  const store = await IndexedStore.open(NAME, true);
  store.mend = (torn, cases) => readAnew(torn, cases, (address) => new HttpTransport(address));
  opened.push(store);
  return { phone: new Phone({}, store as unknown as MemoryStore), store };
}

const ofHome = (table: Place["table"], key?: (key: string) => boolean) => (place: Place) =>
  place.table === table && place.owner.startsWith(hex(home.id)) && (key?.(place.key) ?? true);

describe.each<[string, (place: Place) => boolean, Harm, Loss[]]>([
  ["how far a log went", (place) => place.table === "position", inWhatItHolds, []],
  ["how far a log went, a little cut", (place) => place.table === "position", cutALittle, []],
  ["how far a log went, half of it cut", (place) => place.table === "position", cut, ["words"]],
  ["how far a log went, and where that lay", (place) => place.table === "position", inItsPlace, ["words"]],
  ["the newest secret of a room", ofHome("secret"), inWhatItHolds, []],
  ["what was kept of the charter", ofHome("fact", (key) => key === "charter"), inWhatItHolds, []],
  ["what was kept of a part to show", ofHome("fact", (key) => key.startsWith("shown ")), inWhatItHolds, []],
  ["that something large lies here", ofHome("large"), inWhatItHolds, []],
  [
    "what else was remembered",
    ofHome("fact", (key) => key.startsWith("seen ") || key.startsWith("generation")),
    inWhatItHolds,
    ["rest"],
  ],
  ["a word that waits", ofHome("outbox"), inWhatItHolds, ["words"]],
  ["a word that waits, all gone", ofHome("outbox"), empty, ["words"]],
  ["how a word was meant", ofHome("own"), inWhatItHolds, ["words"]],
])("a damaged row of %s", (_, which, harm, losses) => {
  test("the app opens, all that was sent is there, what was not sent too where it can, and all goes on", async () => {
    expect(await damage(which, harm)).toBeGreaterThan(0);
    const { phone, store } = await again();
    expect(store.losses()).toEqual(losses);
    const [one, two] = [await phone.case(hex(home.id)), await phone.case(hex(other.id))];
    for (const each of [one, two]) {
      await each.sync();
      await each.sync();
    }
    expect(agreements(two)).toEqual(["Boodschappen"]);
    expect(agreements(one)).toEqual(["Nog niet verstuurd", "Samen eten"]);
    await one.add("plan", "agreements", { what: "Daarna" });
    await one.sync();
    await there.sync();
    expect(agreements(there)).toEqual(["Daarna", "Nog niet verstuurd", "Samen eten"]);
    expect([...codes(one), ...codes(two), ...codes(there)]).toEqual([]);
    expect(store.torn).toBe(false);
    // Said until somebody has read it, and mended once.
    await store.close();
    const next = (await again()).store;
    expect(next.losses()).toEqual(losses);
    await next.dismissLosses();
    expect(next.losses()).toEqual([]);
    await next.close();
    const last = (await again()).store;
    expect(last.losses()).toEqual([]);
    expect(await doNotOpen(last)).toBe(0);
  });
});

async function doNotOpen(store: IndexedStore): Promise<number> {
  return (store as unknown as { damaged: unknown[] }).damaged.length;
}

test("a word that waits and how it was meant, both: it is gone, that is said, and the others are there", async () => {
  await damage((place) => ofHome("outbox")(place) || ofHome("own")(place), inWhatItHolds);
  const { phone, store } = await again();
  expect(store.losses()).toEqual(["words"]);
  const one = await phone.case(hex(home.id));
  await one.sync();
  await one.add("plan", "agreements", { what: "Opnieuw" });
  await one.sync();
  await there.sync();
  expect(agreements(there)).toEqual(["Opnieuw", "Samen eten"]);
  expect([...codes(one), ...codes(there)]).toEqual([]);
});

test("a word the relay had taken unheard, and all of it was damaged: what is written next is no second word of one number", async () => {
  const store = await IndexedStore.open(NAME);
  const phone = new Phone({}, store as unknown as MemoryStore);
  phone.switch.lie = (honest) => async (ops, atomic) => {
    await honest(ops, atomic);
    // The answer is lost, to all that writes.
    if (ops.some(({ op }) => op === "append")) phone.switch.online = false;
    throw new Unreachable("offline");
  };
  await (await phone.case(hex(home.id))).sync().catch(() => undefined);
  await store.close();
  await damage((place) => ofHome("outbox")(place) || ofHome("own")(place), inWhatItHolds);
  const one = await (await again()).phone.case(hex(home.id));
  await one.add("plan", "agreements", { what: "Daarna" });
  for (const each of [one, one, there]) await each.sync();
  for (const each of [one, there])
    expect(agreements(each)).toEqual(["Daarna", "Nog niet verstuurd", "Samen eten"]);
  expect([...codes(one), ...codes(there)]).toEqual([]);
});

test("who this device is in one case: the other opens, and the one comes back with the paper and what was not sent", async () => {
  const before = await IndexedStore.open(NAME);
  const { code } = await makeCode(new Phone({}, before as unknown as MemoryStore));
  await before.close();
  await damage((place) => place.table === "case" && place.key === hex(home.id), inWhatItHolds);
  const { phone, store } = await again();
  expect(store.losses()).toEqual(["case"]);
  expect(store.cases().map(({ title }) => title)).toEqual(["Bij opa"]);
  const two = await phone.case(hex(other.id));
  await two.sync();
  expect(agreements(two)).toEqual(["Boodschappen"]);
  await recover(phone, code, relay.address);
  const one = await phone.case(hex(home.id));
  for (const each of [one, one, there, one]) await each.sync();
  expect(agreements(one)).toEqual(["Nog niet verstuurd", "Samen eten"]);
  expect(agreements(there)).toEqual(["Nog niet verstuurd", "Samen eten"]);
  expect([...codes(one), ...codes(there)]).toEqual([]);
  // What lies in the place of the damaged row by now is not taken away.
  await store.dismissLosses();
  expect(store.losses()).toEqual([]);
  await store.close();
  expect(
    (await again()).store
      .cases()
      .map(({ title }) => title)
      .sort(),
  ).toEqual(["Bij opa", "Thuis bij Nora"]);
});

test("no key fits any more: the app opens as new, says so, and nothing that lies there is touched", async () => {
  const lay = await onDisk((db) => db.getAll(ROWS));
  await onDisk((db) => db.put("keys", { seal: 1 }, "device"));
  const { phone, store } = await again();
  expect(store.losses()).toEqual(["all"]);
  await store.whole();
  expect(store.cases()).toEqual([]);
  await phone.start("Opnieuw", relay.address, "Nora");
  await store.close();
  const { store: next } = await again();
  await next.whole();
  expect(next.losses()).toEqual(["all"]);
  expect(next.cases().map(({ title }) => title)).toEqual(["Opnieuw"]);
  const there = await onDisk((db) => db.getAll(ROWS));
  expect(there).toEqual(expect.arrayContaining(lay));
  await next.dismissLosses();
  expect((await onDisk((db) => db.getAll(ROWS))).length).toBeLessThan(there.length);
});

test("something large is read where it lies, because only the row that says so was damaged", async () => {
  await damage((place) => place.table === "large", inWhatItHolds);
  const { store } = await again();
  expect(await store.large(home.id, "a photo")).toEqual(new Uint8Array(9));
});

test("the app says it until somebody has read it", async () => {
  await damage((place) => place.table === "case" && place.key === hex(home.id), cut);
  const host = await Host.open(relay.address, () => {});
  try {
    const ask = (verb: Verb, ...args: unknown[]) => host.answer({ id: 1, verb, args });
    expect(await ask("losses")).toMatchObject({ value: ["case"] });
    expect(await ask("cases")).toMatchObject({ value: [{ title: "Bij opa" }] });
    await ask("dismissLosses");
    expect(await ask("losses")).toMatchObject({ value: [] });
  } finally {
    await host.end();
  }
});
