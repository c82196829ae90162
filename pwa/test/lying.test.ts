// A relay that lies to this engine: each lie has its code, nothing wrong is applied, nothing is lost, and nobody is
// blocked for good. The same table as tests/sim/test_lying_relay.py, over the real relay and its wire.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../src/app/memory-store";
import { EigenkringError } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { Schema } from "../src/core/schema";
import { pack } from "../src/core/session/packing";
import { appendCap, readCap } from "../src/core/stream";
import { HttpTransport } from "../src/core/transport";
import type { Batch } from "../src/core/wire";
import { LIES, Liar, type Lie } from "./lying";
import { agreements, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

// What a device must have said by the time it could know. Lies that only withhold the present say nothing: that is
// silence, which a device cannot tell from a circle that is silent.
const CODES: Readonly<Record<string, readonly string[]>> = {
  drop: ["broken_chain"],
  truncate: ["broken_chain"],
  reorder: ["broken_chain"],
  twice: ["broken_chain"],
  jump: ["broken_chain"],
  jump_with_noise: ["broken_chain"],
  injected: ["unopenable", "future_version", "forked", "broken_chain"],
  shorter: ["rolled_back"],
  more_without_end: ["relay_garbage"],
  other_head: ["forked", "broken_chain"],
  flipped_in_record: ["broken_chain"],
  swapped: ["unopenable", "bad_entry", "forked"],
  flipped: ["relay_garbage", "broken_chain", "forked", "rolled_back", "new_generation"],
  garbage: ["relay_garbage"],
  replayed: ["relay_garbage", "broken_chain"],
  late: [],
  hanging: [],
  new_generation: ["new_generation"],
  old_generation: ["rolled_back"],
  pretending: ["rolled_back"],
  old_receipt: ["forked", "broken_chain"],
  refusing_not_allowed: ["not_allowed", "removed"],
  refusing_closed: ["closed"],
  refusing_expired: ["expired"],
  refusing_no_stream: ["no_stream"],
  refusing_conflict: ["conflict"],
  refusing_quota: ["quota"],
  failing_busy: [],
  failing_bad_frame: ["bad_frame"],
  failing_not_admitted: ["not_admitted"],
};

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** Enough kinds to have every sort of room, few enough to start a case in no time. */
function small(phone: Phone): Phone {
  const kinds = ["question", "plan", "private", "voice", "contacts", "diary", "access"];
  const { kinds: all } = phone.around.schema;
  const schema = new Schema(new Map([...all].filter(([kind]) => kinds.includes(kind))));
  Object.assign(phone.around, { schema });
  return phone;
}

interface Someone {
  readonly phone: Phone;
  readonly one: Case;
  readonly said: Set<string>;
}

/** What a lie may do to an act is refuse it by name; anything else is a fault of ours. */
async function tryTo(what: () => Promise<unknown>): Promise<boolean> {
  try {
    await what();
    return true;
  } catch (error) {
    if (error instanceof EigenkringError) return false;
    throw error;
  }
}

async function sync({ phone, one, said }: Someone, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) {
    await tryTo(() => phone.sync());
    for (const { code } of phone.store.alarms(one.id)) said.add(code);
  }
}

async function add({ one }: Someone, what: string): Promise<boolean> {
  return tryTo(() => one.add("plan", "agreements", { what }));
}

/** Nora, and as many of the others. */
async function family(count: number): Promise<Someone[]> {
  const nora = small(new Phone());
  const home = await nora.start("Thuis", relay.address, "Nora");
  await home.sync();
  const people: Someone[] = [{ phone: nora, one: home, said: new Set() }];
  for (const name of ["Fatima", "Karim"].slice(0, count - 1)) {
    const phone = small(new Phone());
    const id = await phone.join(await home.invite("member", name), name);
    await home.sync();
    await phone.sync();
    people.push({ phone, one: await phone.case(hex(id)), said: new Set() });
  }
  for (const person of [...people, ...people]) await sync(person);
  return people;
}

/** The same device with nothing but its seed and the way to the keys: it reads all from the beginning. */
async function fresh({ phone, one: { id } }: Someone): Promise<Case> {
  const row = phone.store.cases().find((found) => hex(found.case) === hex(id));
  if (!row) throw new Error("no such case here");
  const store = new MemoryStore();
  store.putCase({ ...row, state: "entering", incarnation: new Uint8Array(8).fill(7), person: null });
  const again = small(new Phone({}, store));
  again.switch.lie = phone.switch.lie;
  for (let time = 0; time < 3; time++) await again.sync();
  return again.case(hex(id));
}

/** Everybody has these words, shows what a fresh device shows, and owes nothing. */
async function sameEverywhere(people: readonly Someone[], words: readonly string[]): Promise<void> {
  for (let round = 0; round < 5; round++) for (const person of people) await sync(person);
  const [first] = people as [Someone];
  for (const { phone, one } of people) {
    expect(agreements(one)).toEqual(agreements(first.one));
    expect(phone.store.outbox(one.id)).toEqual([]);
    for (const { fold } of one.session.parts.values()) expect(fold?.pending() ?? []).toEqual([]);
  }
  expect(agreements(first.one)).toEqual(expect.arrayContaining([...words]));
  const last = people.at(-1) as Someone;
  expect((await fresh(last)).showAll()).toEqual(last.one.showAll());
}

function honest(people: readonly Someone[]): void {
  for (const { phone } of people) phone.switch.lie = undefined;
}

/** The device is switched off and on: only what its store holds is left. */
async function restarted({ phone, one, said }: Someone): Promise<Someone> {
  const again = small(new Phone({}, phone.store as MemoryStore));
  return { phone: again, one: await again.case(hex(one.id)), said };
}

/** What one lie, told to Fatima, comes to. */
async function told(lie: Lie, often: number, seed: number): Promise<{ liar: Liar; fatima: Someone }> {
  const [nora, before] = (await family(2)) as [Someone, Someone];
  let fatima = before;
  const liar = new Liar(relay.address, lie, often, seed);
  await add(nora, "before");
  await sync(nora);
  fatima.phone.switch.lie = liar.between;
  const words = ["before", "during"];
  if (await add(fatima, "hers")) words.push("hers");
  await sync(fatima, 2);
  await add(nora, "during");
  await sync(nora);
  await sync(fatima);
  for (const text of ["again", "and again"]) {
    if (await add(fatima, text)) words.push(text);
    await sync(fatima);
  }
  honest([nora, fatima]);
  await sameEverywhere([nora, fatima], words);
  // Also what a restart would bring to light.
  fatima = await restarted(fatima);
  expect(await add(fatima, "after")).toBe(true);
  await sameEverywhere([nora, fatima], [...words, "after"]);
  return { liar, fatima };
}

describe("one lie, told to one member", () => {
  test("every lie has an expectation", () => {
    expect(Object.keys(CODES).sort()).toEqual(Object.keys(LIES).sort());
  });

  test.each(Object.entries(LIES))("%s", async (name, lie) => {
    const { liar, fatima } = await told(lie, 1, 1);
    expect(liar.told).toBeGreaterThan(3);
    const codes = CODES[name] ?? [];
    if (codes.length > 0) expect([...fatima.said].filter((code) => codes.includes(code))).not.toEqual([]);
  });

  test.each([1, 2, 3, 4])("now one, now another, now the truth: %i", async (seed) => {
    const lies = Object.values(LIES);
    await told((liar, request) => (lies[liar.roll(lies.length)] as Lie)(liar, request), 0.4, seed);
  });
});

/** From here on this person is shown another relay. */
function shown({ phone }: Someone, other: Relay): void {
  const there = new HttpTransport(other.address);
  phone.switch.lie = () => (ops, atomic) => there.exchange(ops, atomic);
}

const planOf = ({ one }: Someone) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("a case without a plan");
  return one.session.secrets(part.stream);
};

/** The newest record of the plan, as this person may read it. */
async function newest(who: Someone, { address }: Relay): Promise<Batch["records"][number]> {
  const secrets = planOf(who);
  const cap = readCap(secrets);
  if (!cap) throw new Error("may not read");
  const op = { op: "read", stream: secrets.stream, cap, after: 0, max_bytes: 1_000_000 } as const;
  const { results } = await new HttpTransport(address).exchange([op]);
  return (results[0] as Batch).records.at(-1) as Batch["records"][number];
}

/** Appends by the key of this person: a relay that takes what it should refuse. */
async function put(by: Someone, { address }: Relay, record: Batch["records"][number]): Promise<void> {
  const secrets = planOf(by);
  const cap = appendCap(secrets);
  if (!cap) throw new Error("may not write");
  const op = { op: "append", stream: secrets.stream, cap, record, expect: null } as const;
  const { results } = await new HttpTransport(address).exchange([op]);
  expect(results[0]).not.toHaveProperty("code");
}

describe("two logs", () => {
  test("two people are shown two: the next record that crosses tells", async () => {
    const [nora, fatima] = (await family(2)) as [Someone, Someone];
    const other = await relay.fork();
    try {
      shown(fatima, other);
      await add(nora, "in one world");
      await add(fatima, "in the other");
      for (const person of [nora, fatima, nora]) await sync(person);
      expect([agreements(nora.one), agreements(fatima.one)]).toEqual([["in one world"], ["in the other"]]);
      await add(nora, "that crosses");
      await sync(nora);
      // One record of the one world is shown in the other: its author signed what the stream was for them.
      await put(nora, other, await newest(nora, relay));
      await sync(fatima);
      expect([...fatima.said]).toContain("false_seen");
      honest([nora, fatima]);
      await sameEverywhere([nora, fatima], ["in one world", "in the other", "that crosses"]);
    } finally {
      await other.stop();
    }
  });

  test("one record is hidden from one person", async () => {
    const [nora, fatima, karim] = (await family(3)) as [Someone, Someone, Someone];
    const other = await relay.fork();
    try {
      shown(karim, other);
      await add(nora, "hidden");
      await sync(nora);
      await sync(fatima);
      await add(fatima, "seen after it");
      await sync(fatima);
      await put(fatima, other, await newest(fatima, relay));
      await sync(karim);
      expect([...karim.said].some((code) => ["false_seen", "missing_dependency"].includes(code))).toBe(true);
      honest([karim]);
      await add(karim, "not lost");
      await sameEverywhere([nora, fatima, karim], ["hidden", "seen after it", "not lost"]);
    } finally {
      await other.stop();
    }
  });

  test("the relay is put back and does not say so: who has more gives it back", async () => {
    const [nora, fatima] = (await family(2)) as [Someone, Someone];
    const old = await relay.fork();
    try {
      await add(nora, "lost by the relay");
      await sync(nora);
      await sync(fatima);
      await add(fatima, "on top of it");
      await sync(fatima);
      for (const person of [nora, fatima]) shown(person, old);
      await sync(fatima);
      expect([...fatima.said]).toContain("rolled_back");
      await sameEverywhere([nora, fatima], ["lost by the relay", "on top of it"]);
    } finally {
      await old.stop();
    }
  });

  test("it is put back behind a removal: who was put out stays out", async () => {
    const [nora, fatima, karim] = (await family(3)) as [Someone, Someone, Someone];
    const old = await relay.fork();
    try {
      await nora.one.remove("Karim");
      await add(nora, "after the removal");
      for (const person of [nora, fatima]) await sync(person);
      for (const person of [nora, fatima, karim]) shown(person, old);
      await sync(karim); // the lock is open for him again, until somebody turns it
      await add(karim, "of who was put out");
      await sync(karim);
      await sameEverywhere([nora, fatima], ["after the removal"]);
      await sync(karim, 2);
      expect(karim.phone.store.cases()[0]?.state).toBe("removed");
      expect(agreements(fatima.one)).toEqual(["after the removal"]);
      expect(fatima.one.people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
    } finally {
      await old.stop();
    }
  });
});

describe("a relay that takes what it should refuse", () => {
  test("a removed person's words reach the log by its help, and count for nobody", async () => {
    const [nora, fatima, karim] = (await family(3)) as [Someone, Someone, Someone];
    await nora.one.remove("Karim");
    for (const person of [nora, fatima]) await sync(person);
    await add(karim, "of who was put out");
    await pack(karim.one.session);
    const records = karim.phone.store.outbox(karim.one.id).flatMap(({ record }) => (record ? [record] : []));
    expect(records.length).toBeGreaterThan(0);
    for (const record of records) await put(nora, relay, record);
    await add(fatima, "goes on");
    await sameEverywhere([nora, fatima], ["goes on"]);
    expect(agreements(nora.one)).toEqual(["goes on"]);
    expect([...fatima.said]).toEqual(["behind_cut"]);
  });
});

test("words of one who may no longer read them arrive, and are not sent again at every sync", async () => {
  const [nora, karim] = (await family(2)) as [Someone, Someone];
  await karim.one.add("voice", "suggestions", { name: "Piet" });
  await nora.one.setRole("Fatima", "child");
  for (const person of [karim, nora, karim, nora, karim]) await sync(person);
  expect(karim.phone.store.outbox(karim.one.id)).toEqual([]);
  expect([...karim.said]).toEqual([]);
  const shown = nora.one.show(`voice@${hex(karim.one.session.me())}`).get("suggestions");
  expect([...(shown?.values() ?? [])].map((fields) => fields.get("name"))).toEqual(["Piet"]);
});
