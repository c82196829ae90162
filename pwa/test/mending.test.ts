// Records of a phone that no longer open: what is still shown, what a person is told, and how they come back from the relay.
import "fake-indexeddb/auto";
import { deleteDB } from "idb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Host } from "../src/app/host";
import { IndexedStore } from "../src/app/indexed-store";
import type { MemoryStore } from "../src/app/memory-store";
import { readAnew } from "../src/app/mending";
import type { Verb } from "../src/app/messages";
import { hex, type StreamId } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { FEWEST_RECORDS, patience } from "../src/core/session/compacting";
import { HttpTransport, NoTransport, type Transport } from "../src/core/transport";
import { damage as damageRows, NAME, onDisk } from "./on-disk";
import { agreements, codes, type Exchange, joined, lieAbout, Phone, signAlone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
let home: Case;
let there: Case;
let id: string;
let opened: IndexedStore[] = [];
let transportTo: (address: string) => Transport;

beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());
beforeEach(async () => {
  transportTo = (address) => new HttpTransport(address);
  const store = await IndexedStore.open(NAME);
  home = await new Phone({}, store as unknown as MemoryStore).start("Thuis bij Nora", relay.address, "Nora");
  id = hex(home.id);
  await home.add("plan", "agreements", { what: "Samen eten" });
  ({ there } = await joined(home, "Fatima"));
  for (const one of [home, there, home]) await one.sync();
  await store.close();
});

/** A word that was never sent, written on this phone before anything was damaged. */
async function writes(what: string): Promise<void> {
  const store = await IndexedStore.open(NAME);
  await (await new Phone({}, store as unknown as MemoryStore).case(id)).add("plan", "agreements", { what });
  await store.close();
}
afterEach(async () => {
  for (const one of opened) await one.close();
  opened = [];
  await deleteDB(NAME);
});

/** One bit of these records, by the stream and the place in it. */
function damage(which: (stream: string, index: string) => boolean): Promise<number> {
  return damageRows(
    ({ table, owner, key }) => table === "record" && which(owner.split("/")[1] ?? "", key),
    (row) => row.with(40, (row[40] as number) ^ 1),
  );
}

async function again(): Promise<{ phone: Phone; store: IndexedStore; one: Case }> {
  const store = await IndexedStore.open(NAME, true);
  store.mend = (torn, cases) => readAnew(torn, cases, transportTo);
  opened.push(store);
  const phone = new Phone({}, store as unknown as MemoryStore);
  return { phone, store, one: await phone.case(id) };
}

const planOf = (one: Case): StreamId => one.charter.parts.get("plan")?.stream as StreamId;
const logOf = (one: Case, stream: StreamId) => one.session.store.records(one.id, stream);

/** Every log of the case, as it was before. */
function logs(one: Case): Map<string, string> {
  const streams = [
    one.id as unknown as StreamId,
    one.charter.keysStream,
    ...[...one.charter.parts.values()].map((part) => part.stream),
  ];
  return new Map(
    streams.map((stream) => [
      hex(stream),
      logOf(one, stream)
        .map(({ record }) => hex(record))
        .join(),
    ]),
  );
}

describe.each([
  ["a part", (of: Case) => (stream: string, index: string) => stream === hex(planOf(of)) && index === "1"],
  ["who belongs", (of: Case) => (stream: string, index: string) => stream === hex(of.id) && index === "2"],
  [
    "the keys",
    (of: Case) => (stream: string, index: string) => stream === hex(of.charter.keysStream) && index === "1",
  ],
  ["all there is", () => () => true],
])("a damaged record of %s", (_, which) => {
  test("comes back from the relay, byte for byte, and what was not sent is still there", async () => {
    await writes("Nog niet verstuurd");
    const before = logs(home);
    const expected = home.log();
    expect(await damage(which(home))).toBeGreaterThan(0);
    const { store, one } = await again();
    expect(agreements(one)).toEqual(["Nog niet verstuurd", "Samen eten"]);
    expect(await one.sync()).toMatchObject({ sent: 1 });
    expect(store.torn).toBe(false);
    expect(codes(one)).toEqual([]);
    expect(one.log()).toEqual(expected);
    for (const [stream, records] of logs(one))
      expect(records.startsWith(before.get(stream) ?? "?")).toBe(true);
    await there.sync();
    expect(agreements(there)).toEqual(["Nog niet verstuurd", "Samen eten"]);
    // And on the disk: the next opening finds all whole.
    await store.close();
    const next = await again();
    transportTo = () => new NoTransport();
    await next.one.session.stand();
    expect(next.store.isWhole).toBe(true);
    expect(agreements(next.one)).toEqual(["Nog niet verstuurd", "Samen eten"]);
  });
});

test("without internet nothing is changed, what was kept is shown, and it is told until it is mended", async () => {
  await damage((stream) => stream === hex(planOf(home)));
  const rows = () => onDisk((db) => db.getAll("records"));
  const lie = await rows();
  transportTo = () => new NoTransport();
  const { store, one } = await again();
  let told = 0;
  store.onTorn = () => {
    told += 1;
  };
  await expect(one.sync()).rejects.toMatchObject({ code: "no_home" });
  expect([store.torn, store.isWhole, told]).toEqual([true, false, 1]);
  expect(agreements(one)).toEqual(["Samen eten"]);
  expect(await rows()).toEqual(lie);
  transportTo = (address) => new HttpTransport(address);
  await one.sync();
  expect([store.torn, told]).toEqual([false, 2]);
});

test("what was replaced by a snapshot meanwhile is read as by somebody who comes new", async () => {
  const before = await IndexedStore.open(NAME);
  const nora = await new Phone({}, before as unknown as MemoryStore).case(id);
  const owner = (await joined(nora, "Eva", "owner")).there;
  await before.close();
  await there.sync();
  await writes("Nog niet verstuurd");
  await damage((stream, index) => stream === hex(planOf(home)) && index === "1");
  // So many records of Fatima, each as if it were sent alone, that another owner's phone puts a snapshot in their place.
  const times = FEWEST_RECORDS + patience(owner.session.device(), planOf(owner)) + 2;
  const item = await there.add("plan", "agreements", { what: "0" });
  for (let n = 1; n <= times; n++) {
    await signAlone(there);
    await there.set("plan", `agreements/${item}/what`, `${n}`);
  }
  await there.sync();
  await owner.sync();
  expect(owner.session.position(planOf(owner)).base).toBeGreaterThan(FEWEST_RECORDS);
  const { store, one } = await again();
  await one.sync();
  expect(store.torn).toBe(false);
  await there.sync();
  await one.sync();
  expect(agreements(one)).toEqual(agreements(there));
  expect(agreements(one)).toContain("Nog niet verstuurd");
  // Own words that waited stood for a moment on what had not come yet: they were made again, and nothing is told of it.
  expect(codes(one)).toEqual([]);
});

describe("a relay that shows something else", () => {
  const lying = (lie: (honest: Exchange) => Exchange): void => {
    transportTo = (address) => {
      const http = new HttpTransport(address);
      return { exchange: lie((ops, atomic) => http.exchange(ops, atomic)) };
    };
  };

  test.each([
    ["a shorter charter", () => home.id as unknown as StreamId],
    ["a shorter plan", () => planOf(home)],
  ])("%s is not taken, and what lies here stays", async (_, of) => {
    const stream = of();
    await damage((each, index) => each === hex(stream) && index === "1");
    const lie = await onDisk((db) => db.getAll("records"));
    const ours = home.session.position(stream);
    lying(
      lieAbout(stream, (batch) => {
        const records = batch.records.slice(0, -1);
        const chain = home.session.store.chainAt(home.id, stream, ours.length - 1) ?? batch.chain;
        return { ...batch, records, length: batch.length - 1, chain };
      }),
    );
    const { store, one } = await again();
    await expect(one.sync()).rejects.toMatchObject({ code: "no_home" });
    expect(store.torn).toBe(true);
    expect(await onDisk((db) => db.getAll("records"))).toEqual(lie);
  });

  test("another record in the place of one is not taken", async () => {
    const stream = planOf(home);
    await damage((each, index) => each === hex(stream) && index === "1");
    lying(
      lieAbout(stream, (batch) => {
        const [first, ...rest] = batch.records;
        if (!first) return batch;
        const other = first.slice() as typeof first;
        other[50] = (other[50] as number) ^ 1;
        return { ...batch, records: [other, ...rest] };
      }),
    );
    const { store, one } = await again();
    await expect(one.sync()).rejects.toMatchObject({ code: "no_home" });
    expect(store.torn).toBe(true);
  });
});

test("the app tells it in its own words, and is whole again by itself", async () => {
  await damage((stream) => stream === hex(planOf(home)));
  const host = await Host.open(relay.address, () => {});
  try {
    const ask = async (verb: Verb, ...args: unknown[]) => host.answer({ id: 1, verb, args });
    expect(await ask("lockState")).toMatchObject({ value: "open" });
    await relay.stop();
    expect(await ask("log", id)).toMatchObject({ ok: false, code: "no_home" });
    expect(await ask("lockState")).toMatchObject({ value: "torn" });
    expect(await ask("show", id, "plan")).toMatchObject({ ok: true });
  } finally {
    await host.end();
    relay = await startRelay();
  }
});
