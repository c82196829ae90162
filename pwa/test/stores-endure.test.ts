// A browser's store that an earlier version of the app kept opens as it is: tests/unit/test_stores_endure.py, for IndexedDB.
import "fake-indexeddb/auto";
import { deleteDB, openDB } from "idb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IndexedStore } from "../src/app/indexed-store";
import type { MemoryStore } from "../src/app/memory-store";
import { type CaseId, hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { openReport, type Report } from "../src/core/report";
import { report } from "../src/core/reporting";
import { sightings } from "../src/core/session/sightings";
import { agreements, codes, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const opened = async (name: string): Promise<{ store: IndexedStore; phone: Phone }> => {
  const store = await IndexedStore.open(name);
  return { store, phone: new Phone({}, store as unknown as MemoryStore) };
};
const reported = async (one: Case): Promise<Report> => openReport(await report(one, true));

/** As the first version left it: nothing beside the rows and the keys, and no fact that is kept since. */
async function asVersionOne(
  store: IndexedStore,
  caseId: CaseId,
  facts: readonly string[],
  name: string,
): Promise<void> {
  expect(facts.every((fact) => store.fact(caseId, fact) !== undefined)).toBe(true);
  await store.step(() => {
    for (const fact of facts) store.putFact(caseId, fact, null);
  });
  await store.close();
  const now = await openDB("now");
  const before = await openDB(name, 1, {
    upgrade(fresh) {
      for (const table of ["rows", "keys"]) fresh.createObjectStore(table);
    },
  });
  expect([...now.objectStoreNames]).toEqual(["keys", "large", "records", "rows"]);
  for (const [table, from] of [
    ["rows", "rows"],
    ["rows", "records"],
    ["keys", "keys"],
  ] as const) {
    for (const key of await now.getAllKeys(from)) await before.put(table, await now.get(from, key), key);
  }
  now.close();
  before.close();
  await deleteDB("now");
}

test("one that kept no sightings makes a report, and keeps them from then on", async () => {
  const { store, phone } = await opened("now");
  const home = await phone.start("Thuis", relay.address, "Nora");
  await home.add("plan", "agreements", { what: "Oma belt op zondag" });
  for (let n = 0; n < 2; n++) await home.sync();
  const streams = [
    home.id,
    home.charter.keysStream,
    ...[...home.charter.parts.values()].map(({ stream }) => stream),
  ];
  const seen = streams.filter(
    (stream) => sightings(home.session, stream as typeof home.charter.keysStream).length > 0,
  );
  expect(seen.length).toBeGreaterThan(5);
  await asVersionOne(
    store,
    home.id,
    ["generations", ...seen.map((stream) => `seen ${hex(stream)}`)],
    "earlier",
  );

  const later = await opened("earlier");
  const one = await later.phone.case(hex(home.id));
  expect(agreements(one)).toEqual(["Oma belt op zondag"]);
  const early = await reported(one);
  // It knows the logs, and not when it saw them.
  expect(early.lines.length).toBeGreaterThan(5);
  expect(new Set(early.lines.flatMap(({ points }) => points.map(([, at]) => at)))).toEqual(new Set([0]));
  await one.add("plan", "agreements", { what: "en nu dit" });
  for (let n = 0; n < 2; n++) await one.sync();
  const late = await reported(one);
  expect(late.lines.length).toBeGreaterThan(5);
  for (const { generation, points } of late.lines) {
    expect(generation).toBe(late.generations.length);
    expect(points.at(-1)?.[1]).toBeGreaterThan(0);
  }
  expect(codes(one)).toEqual([]);
  await later.store.close();

  const last = await opened("earlier");
  last.phone.switch.online = false;
  const again = await last.phone.case(hex(home.id));
  expect(agreements(again)).toEqual(["Oma belt op zondag", "en nu dit"]);
  expect((await reported(again)).lines).toEqual(late.lines);
  await last.store.close();
});
