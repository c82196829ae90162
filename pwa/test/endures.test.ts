// What keeps a case whole through years: snapshots, forgetting, what was kept, and decisions of more than one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MemoryStore } from "../src/app/memory-store";
import { hex } from "../src/core/ids";
import { bagOf, blanksShape } from "../src/core/keys";
import type { Case } from "../src/core/library";
import { partName } from "../src/core/schema";
import { keysAppend } from "../src/core/session/acting";
import { due, FEWEST_RECORDS, patience } from "../src/core/session/compacting";
import { KEPT_EVERY } from "../src/core/session/kept";
import * as preparing from "../src/core/session/preparing";
import { unpack } from "../src/core/shape";
import { latin1 } from "./latin1";
import { agreements, codes, familyOn, joined, lieAbout, Phone, signAlone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const family = () => familyOn(relay.address);
const planOf = (one: Case) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("a case without a plan");
  return part.stream;
};
const place = (one: Case) => one.session.position(planOf(one));

/** So many records in the plan, as if each were sent on its own; only the last words stay. */
async function write(one: Case, times: number): Promise<void> {
  const item = await one.add("plan", "agreements", { what: "0" });
  for (let at = 1; at < times; at++) {
    await signAlone(one);
    await one.set("plan", `agreements/${item}/what`, `${at}`);
  }
}

/** As many as make this device replace them by a snapshot. */
const enough = (one: Case) => FEWEST_RECORDS + patience(one.session.device(), planOf(one));

describe("snapshots", () => {
  test("the relay's word that all before is gone takes nothing from a device that read it all", async () => {
    const { home, fatima, there } = await family();
    await write(home, 3);
    await home.sync();
    await there.sync();
    const before = place(there);
    await home.add("plan", "agreements", { what: "Daarna" });
    await home.sync();
    fatima.switch.lie = lieAbout(planOf(there), (batch, after) =>
      after === before.length ? { ...batch, base: after, base_chain: before.chain } : batch,
    );
    await there.sync();
    expect(agreements(there)).toEqual(["2", "Daarna"]);
    expect(place(there).base).toBe(0);
    expect(there.session.store.records(there.id, planOf(there))).toHaveLength(before.length + 1);
    expect(codes(there)).toContain("broken_chain part");
    fatima.switch.lie = undefined;
    await there.sync();
    await home.sync();
    expect(agreements(home)).toEqual(agreements(there));
  });

  test("whoever may makes one when it pays; who was there follows it, and who comes later reads only it", async () => {
    const { home, fatima, there } = await family();
    await home.sync();
    await there.sync();
    fatima.switch.online = false;
    await there.add("plan", "agreements", { what: "Van Fatima, zonder verbinding" });
    // A decision that only the snapshot rests on: it comes with it, and is read first.
    await home.invite("member", "Karim");
    await write(home, enough(home) + 2);
    await home.sync();
    expect(place(home).base).toBeGreaterThanOrEqual(enough(home));
    expect(home.session.store.records(home.id, planOf(home)).length).toBeLessThan(5);
    fatima.switch.online = true;
    await there.sync();
    await home.sync();
    const last = `${enough(home) + 1}`;
    expect(agreements(there)).toEqual([last, "Van Fatima, zonder verbinding"]);
    expect(agreements(home)).toEqual(agreements(there));
    expect(place(there).base).toBe(place(home).base);
    expect([...codes(home), ...codes(there)]).toEqual([]);
    const { there: karim } = await joined(home, "Karim");
    expect(agreements(karim)).toEqual(agreements(home));
    expect(codes(karim)).toEqual([]);
    expect(karim.session.store.records(karim.id, planOf(karim)).length).toBeLessThan(6);
    const opened = await karim.session.opened(karim.session.part("plan"));
    expect(due(karim.session, opened)).toBe(false);
    // Who wrote what is known of every change, also of those that came in one record.
    expect(opened.fold.ledger.entries.length).toBeGreaterThan(enough(home));
  });

  test("a long record counts as many short ones: what was typed in a long time is seven times a snapshot", async () => {
    const { home, there } = await family();
    const words = "een zin zoals die op een avond geschreven wordt, over wie er komt en wanneer";
    let records = 0;
    while (place(home).base === 0 && records < 12) {
      for (let at = 0; at < 200; at++) await home.add("plan", "agreements", { what: `${at} ${words}` });
      await home.sync();
      await home.sync();
      records += 1;
    }
    expect(place(home).base).toBeGreaterThan(0);
    await there.sync();
    expect(agreements(there)).toEqual(agreements(home));
  }, 150_000);

  test("what somebody says is shortened by an owner's device, and stays theirs; who read a word keeps it", async () => {
    const { home, there } = await family();
    const voice = `voice@${hex(there.session.me())}`;
    const part = there.session.part(voice);
    const enough = FEWEST_RECORDS + patience(home.session.device(), part.part.stream);
    const item = await there.add(voice, "suggestions", { name: "0" });
    for (let at = 1; at < enough + 2; at++) {
      await signAlone(there);
      await there.set(voice, `suggestions/${item}/name`, `${at}`);
    }
    await there.sync();
    await there.sync();
    expect(there.session.position(part.part.stream).base).toBe(0);
    await home.sync();
    expect(home.session.position(part.part.stream).base).toBeGreaterThan(enough);
    await there.sync();
    expect(there.show(voice)).toEqual(home.show(voice));
    const opened = await home.session.opened(home.session.part(voice));
    const authors = opened.fold.ledger.entries.map(({ device }) => hex(device));
    expect(new Set(authors)).toEqual(new Set([hex(there.session.device())]));
    expect([...codes(home), ...codes(there)]).toEqual([]);
    // An owner's snapshot that leaves a word out does not stand where it was read, and who wrote it gives it back.
    await there.set(voice, `suggestions/${item}/name`, "Oma");
    await there.sync();
    await home.sync();
    const { replacement } = await import("../src/core/session/compacting");
    const whole = opened.fold.ledger.entries;
    const left = whole.splice(whole.length - 1, 1);
    const ops = await replacement(home.session, opened);
    whole.push(...left);
    await home.transport.exchange(ops, true);
    await there.sync();
    await there.sync();
    await home.sync();
    await home.sync();
    expect(codes(there)).toContain(`left_out ${voice} of device ${hex(home.session.device())}`);
    expect(home.show(voice)).toEqual(there.show(voice));
    const { there: karim } = await joined(home, "Karim");
    expect(karim.show(voice)).toEqual(there.show(voice));
  });

  test("what a snapshot left out is given back by whoever had it", async () => {
    const { home, there } = await family();
    await home.add("plan", "agreements", { what: "Van Nora" });
    await home.sync();
    await there.sync();
    await there.add("plan", "agreements", { what: "Weggelaten" });
    await there.sync();
    // Nora's device, put back to before Fatima wrote, makes a snapshot at a place that it did not read: a relay that helps.
    await home.sync();
    const { session } = home;
    const opened = await session.opened(session.part("plan"));
    const { replacement } = await import("../src/core/session/compacting");
    const whole = opened.fold.ledger.entries;
    const left = whole.splice(whole.length - 1, 1);
    const ops = await replacement(session, opened);
    whole.push(...left);
    await home.transport.exchange(ops, true);
    await there.sync();
    await there.sync();
    await home.sync();
    expect(codes(there)).toContain("left_out plan");
    expect(agreements(home)).toEqual(["Van Nora", "Weggelaten"]);
    const { there: karim } = await joined(home, "Karim");
    expect(agreements(karim)).toEqual(["Van Nora", "Weggelaten"]);
  });
});

test("own words that came before what they stand on are signed again", async () => {
  const { home, there, fatima } = await familyOn(relay.address);
  const item = await there.add("plan", "agreements", { what: "Fatima was hier" });
  await there.sync();
  await home.sync();
  // A snapshot leaves her out while a line of hers waits: the line comes first, and what it stands on is given back after.
  fatima.switch.online = false;
  await there.set("plan", `agreements/${item}/what`, "Fatima was hier, en bleef");
  const { session } = home;
  const opened = await session.opened(session.part("plan"));
  const { replacement } = await import("../src/core/session/compacting");
  const whole = opened.fold.ledger.entries;
  const left = whole.splice(whole.length - 1, 1);
  const ops = await replacement(session, opened);
  whole.push(...left);
  await home.transport.exchange(ops, true);
  fatima.switch.online = true;
  await there.sync();
  expect(codes(there)).toContain("left_out plan");
  for (const one of [home, there, home]) await one.sync();
  expect((await there.session.opened(there.session.part("plan"))).fold.pending()).toEqual([]);
  expect(agreements(home)).toEqual(["Fatima was hier, en bleef"]);
  expect(agreements(there)).toEqual(agreements(home));
});

describe("forgetting", () => {
  /** Every letter that lies in a store, in memory as it would on the disk. */
  function words(store: MemoryStore): string {
    const { tables } = store as unknown as { tables: Map<string, Map<string, Record<string, unknown>>> };
    const values = [...tables.values()].flatMap((rows) => [...rows.values()]).flatMap(Object.values);
    const bytes = values.filter((value) => value instanceof Uint8Array);
    return bytes.map((value) => latin1(value)).join("\n");
  }

  test("a part founded anew: the old stream is closed, offline work arrives, and nothing of it is kept", async () => {
    const { home, fatima, there } = await family();
    const item = await home.add("plan", "agreements", { what: "GEHEIM" });
    await home.set("plan", `agreements/${item}/what`, "Alleen dit");
    await home.sync();
    await there.sync();
    fatima.switch.online = false;
    await there.add("plan", "agreements", { what: "Zonder verbinding" });
    const old = planOf(home);
    expect(words(home.session.store as MemoryStore)).toContain("GEHEIM");
    await home.forget("plan");
    expect(hex(planOf(home))).not.toBe(hex(old));
    fatima.switch.online = true;
    await there.sync();
    await home.sync();
    await there.sync();
    expect(agreements(home)).toEqual(["Alleen dit", "Zonder verbinding"]);
    expect(agreements(there)).toEqual(agreements(home));
    for (const one of [home, there]) {
      expect(one.session.store.position(one.id, old)).toBeUndefined();
      expect(one.session.store.records(one.id, old)).toEqual([]);
      expect(words(one.session.store as MemoryStore)).not.toContain("GEHEIM");
      expect(codes(one)).toEqual([]);
    }
    const read = { op: "read", stream: old, cap: new Uint8Array(32), after: 0, max_bytes: 9 } as const;
    const { results } = await home.transport.exchange([read as never]);
    expect(results[0]).toMatchObject({ code: "closed" });
    await expect(there.forget("plan")).rejects.toMatchObject({ code: "not_permitted" });
  });

  test("what a person says is forgotten when an owner's device gave the lock, with nobody doing anything for it", async () => {
    const { home, fatima, there } = await family();
    const voice = partName("voice", there.session.me());
    const stream = (one: Case) => hex(one.charter.parts.get(voice)?.stream ?? new Uint8Array());
    const said = async (text: string) => {
      const item = await there.add("voice", "questions", { text });
      await there.sync();
      await there.delete("voice", `questions/${item}`);
      await there.sync();
    };
    const sync = async () => {
      for (const one of [home, there, home, there]) await one.sync();
    };
    await there.add("voice", "questions", { text: "Blijft" });
    await said("Kwartelkoning");
    await sync();
    // The blanks that came with the invitation are used.
    there.session.store.putFact(there.id, "blanks", null);
    const old = stream(there);
    const before = there.show("voice");
    await expect(there.forget("voice")).rejects.toMatchObject({ code: "not_yet" });
    const again = await new Phone({}, fatima.store as MemoryStore).case(hex(there.id));
    expect(preparing.wished(again.session)).toEqual([]);
    await sync();
    for (const one of [home, there]) {
      expect(stream(one)).not.toBe(old);
      expect(codes(one)).toEqual([]);
      expect(words(one.session.store as MemoryStore)).not.toContain("Kwartel");
    }
    expect(there.show("voice")).toEqual(before);
    expect(home.show(voice)).toEqual(before);
    // The others that were given are there for the next time, with nobody asked.
    const second = stream(there);
    await said("Roerdomp");
    await there.forget("voice");
    expect(stream(there)).not.toBe(second);
    await sync();
    for (const one of [home, there])
      expect(words(one.session.store as MemoryStore)).not.toContain("Roerdomp");
    expect([...codes(home), ...codes(there)]).toEqual([]);
    // Of a stream in use the blank is kept: it tells the lock when a relay must be rebuilt.
    const kept = there.session.store.fact(there.id, "blanks");
    expect(unpack(blanksShape, kept as Uint8Array).map(([blank]) => hex(blank))).toContain(stream(there));
  });

  test("who is no owner gives no lock", async () => {
    const { home, there } = await family();
    const { there: karim } = await joined(home, "Karim");
    await there.sync();
    there.session.store.putFact(there.id, "blanks", null);
    const ask = bagOf([], [{ act: preparing.WANTED, approvals: [] }]);
    const bags = new Map([home, karim].map((one) => [hex(one.session.device()), ask]));
    await there.transport.exchange([await keysAppend(there.session, there.session.known(), bags)]);
    await karim.sync();
    expect(preparing.toGive(karim.session)).toEqual([]);
    await there.sync();
    const voice = partName("voice", there.session.me());
    expect(preparing.needsBlank(there.session, voice)).toBe(true);
    await home.sync();
    await there.sync();
    expect(preparing.needsBlank(there.session, voice)).toBe(false);
    expect([home, there, karim].flatMap(codes)).toEqual([]);
  });
});

describe("what was kept", () => {
  test("a device opens its parts as they were folded, and passes over what was damaged", async () => {
    const { nora, home } = await family();
    await write(home, KEPT_EVERY + 5);
    await home.sync();
    await home.add("plan", "agreements", { what: "Nog niet verzonden" });
    const store = nora.store as MemoryStore;
    const name = `fold ${hex(planOf(home))}`;
    const kept = await store.large(home.id, name);
    if (!kept) throw new Error("nothing was kept");
    const reopened = async () => {
      const later = new Phone({}, store);
      let loads = 0;
      const { loadEngine } = later.around;
      Object.assign(later.around, {
        loadEngine: (saved: Uint8Array, actor: Uint8Array) => {
          loads += 1;
          return loadEngine?.(saved, actor);
        },
      });
      const one = await later.case(hex(home.id));
      expect(agreements(one)).toEqual([`${KEPT_EVERY + 4}`, "Nog niet verzonden"]);
      return { one, loads };
    };
    const { one, loads } = await reopened();
    expect(loads).toBe(1);
    await one.sync();
    expect(codes(one)).toEqual([]);
    const damaged = kept.slice();
    damaged[damaged.length - 9] = (damaged[damaged.length - 9] as number) ^ 1;
    store.putLarge(home.id, name, damaged);
    expect((await reopened()).loads).toBe(0);
    // Of another day: the chain where it stopped is not that of the log that lies here.
    store.putLarge(home.id, name, kept);
    const { position } = { position: store.position(home.id, planOf(home)) };
    if (!position) throw new Error("no plan");
    store.replaceRecords(home.id, planOf(home), { ...position, base: 0, length: 0 }, position.chain, []);
    const again = await new Phone({}, store).case(hex(home.id));
    await again.sync();
    expect(agreements(again)).toEqual([`${KEPT_EVERY + 4}`, "Nog niet verzonden"]);
  });

  test("one record with an hour's typing is kept, and a word is not", async () => {
    const { nora, home } = await family();
    await home.sync();
    const name = `fold ${hex(planOf(home))}`;
    await home.add("plan", "agreements", { what: "Een woord" });
    await home.sync();
    expect(await nora.store.large(home.id, name)).toBeUndefined();
    for (let n = 0; n < 300; n++)
      await home.add("plan", "agreements", {
        what: `${n} ${hex(crypto.getRandomValues(new Uint8Array(24)))}`,
      });
    await home.sync();
    expect(nora.store.position(home.id, planOf(home))?.length).toBeLessThan(KEPT_EVERY);
    expect(await nora.store.large(home.id, name)).toBeDefined();
  });
});

describe("more than one decides", () => {
  test("an owner is put out by the others, who agree one after the other, and does not hear of it before", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const { there: bea } = await joined(home, "Bea", "owner");
    await expect(home.invite("owner", "Cor")).rejects.toMatchObject({ code: "not_permitted" });
    const { there: cor } = await joined(home, "Cor");
    const asked = await home.propose("role", "Cor", "owner");
    expect(asked).toMatchObject({ what: "role", yes: ["Nora"], needed: 2, done: false });
    await bea.sync();
    expect(await bea.asked()).toMatchObject([{ what: "role", role: "owner", yes: ["Nora"] }]);
    expect(await bea.approve()).toMatchObject({ done: true });
    for (const one of [home, cor]) await one.sync();
    expect(cor.people().map(({ role }) => role)).toEqual(["owner", "owner", "owner"]);
    // Of three owners two put out the third.
    await expect(home.remove("Bea")).rejects.toMatchObject({ code: "not_permitted" });
    await home.propose("remove", "Bea");
    await bea.sync();
    expect(await bea.asked()).toEqual([]);
    await cor.sync();
    expect(await cor.approve("Bea")).toMatchObject({ done: true });
    await home.sync();
    await bea.sync();
    expect(home.people().map(({ name }) => name)).toEqual(["Nora", "Cor"]);
    expect(() => bea.people()).toThrow(expect.objectContaining({ code: "removed" }));
    expect(codes(home)).toEqual([]);
  });

  test("an end date that passed, and access whose giver is gone, are ended by any owner's device", async () => {
    let now = Math.floor(Date.now() / 1000);
    const clock = () => now;
    const { home, there } = await familyOn(relay.address, { clock });
    const { there: bea } = await joined(home, "Bea", "owner", { clock });
    const tomorrow = new Date((now + 86_400) * 1000).toISOString().slice(0, 10);
    await home.setRole("Fatima", "coordinator", tomorrow);
    const until = new Date((now + 30 * 86_400) * 1000).toISOString().slice(0, 10);
    const given = await bea.grant("De Wit", "Meedenken", until, bea.selection({ parts: ["plan"] }));
    await bea.leave();
    now += 3 * 86_400;
    await home.sync();
    await there.sync();
    expect(home.people().map(({ name }) => name)).toEqual(["Nora"]);
    expect(home.charter.grants.get(hex(given.grant))?.endedN).not.toBeNull();
    expect(() => there.people()).toThrow(expect.objectContaining({ code: "removed" }));
  });

  test("without one person: a new case with the present state, and a link for each of the others", async () => {
    const { nora, home, there } = await family();
    await joined(home, "Sam");
    await home.add("plan", "agreements", { what: "Sam slaapt bij oma", who: "Sam" });
    await home.set("question", "question/question/text", "Hoe verder?");
    await home.sync();
    const { one, invited } = await nora.goOn(hex(home.id), "Fatima", "Thuis, opnieuw");
    expect(invited.map(({ name, role }) => [name, role])).toEqual([["Sam", "member"]]);
    expect(agreements(one)).toEqual(["Sam slaapt bij oma"]);
    expect(one.show("question").get("question")?.get("question")?.get("text")).toBe("Hoe verder?");
    const sam = new Phone();
    const id = await sam.join((invited[0] as { link: string }).link, "Sam");
    await one.sync();
    await sam.sync();
    expect(agreements(await sam.case(hex(id)))).toEqual(["Sam slaapt bij oma"]);
    await there.sync();
    expect(there.people().map(({ name }) => name)).toEqual(["Nora", "Fatima", "Sam"]);
    await expect(nora.goOn(hex(home.id), "Nora", "Weg")).rejects.toMatchObject({ code: "bad_argument" });
  });
});
