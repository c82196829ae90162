// A member who may write, with the real keys of a real device: what is no single record, so that no vector shows it. After
// each the engine lives, and who reads from the beginning has the same. Mirror of tests/sim/test_lying_member.py; what is
// bytes alone, both languages run from tests/vectors (docs/threat-model.md, A lying member).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../src/app/memory-store";
import { type Chain, type Hex, hex, named, type RoomSecret } from "../src/core/ids";
import { bagOf, sealBags } from "../src/core/keys";
import type { Case } from "../src/core/library";
import { EVERYONE } from "../src/core/rooms";
import { keysAppend } from "../src/core/session/acting";
import { replacement } from "../src/core/session/compacting";
import { appendCap, openRecord, readCap, type StreamSecrets, sealRecord } from "../src/core/stream";
import { HttpTransport } from "../src/core/transport";
import type { Batch, Operation, Result } from "../src/core/wire";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** As a program of the member's own sends it. */
async function sent(at: Relay, ...ops: Operation[]): Promise<readonly Result[]> {
  return (await new HttpTransport(at.address).exchange(ops)).results;
}

async function appended(at: Relay, one: Case, secrets: StreamSecrets, payload: Uint8Array): Promise<Result> {
  const record = await sealRecord(secrets, payload, one.session.around.random(24));
  const op = {
    op: "append",
    stream: secrets.stream,
    cap: appendCap(secrets),
    record,
    expect: null,
  } as Operation;
  return (await sent(at, op))[0] as Result;
}

const planOf = (one: Case) =>
  one.session.secrets(one.charter.parts.get("plan")?.stream ?? named(new Uint8Array(16)));
const deviceOf = (one: Case): Hex => hex(one.session.device());

/** Everybody goes on and shows the same, and so does each device that has nothing but its seed. */
async function sameEverywhere(people: readonly Case[], phones: readonly Phone[], words: readonly string[]) {
  for (let round = 0; round < 3; round++) for (const one of people) await one.sync();
  for (const [at, one] of people.entries()) {
    expect(agreements(one)).toEqual(words.toSorted());
    expect(one.session.row.state).toBe("open");
    expect(one.session.store.outbox(one.id)).toEqual([]);
    const row = (phones[at] as Phone).store.cases().find((found) => hex(found.case) === hex(one.id));
    if (!row) throw new Error("no such case here");
    const store = new MemoryStore();
    store.putCase({ ...row, state: "entering", incarnation: new Uint8Array(8).fill(7), person: null });
    const again = new Phone({}, store);
    for (let time = 0; time < 3; time++) await again.sync();
    expect((await again.case(hex(one.id))).showAll()).toEqual(one.showAll());
  }
}

describe("keys of a member who lies", () => {
  test("wrong secrets are not used, and the device is named", async () => {
    const { nora, home, fatima, there } = await familyOn(relay.address);
    const { there: karim } = await joined(home, "Karim");
    await there.sync();
    const wrong = [EVERYONE, "plan", "owner+member"].map(
      (room) => [room, 1, named<RoomSecret>(karim.session.around.random(32))] as const,
    );
    const bags = new Map([[deviceOf(there), bagOf(wrong)]]);
    await sent(relay, await keysAppend(karim.session, karim.charter, bags));
    await there.sync();
    await there.sync();
    expect(codes(there)).toContain(`wrong_secret device ${deviceOf(karim)}`);
    await there.add("plan", "agreements", { what: "verder" });
    await sameEverywhere([home, there], [nora, fatima], ["verder"]);
  });

  test("keybags that were sent before, all of them again, do nothing and name nobody", async () => {
    const { nora, home, fatima, there } = await familyOn(relay.address);
    const { phone, there: karim } = await joined(home, "Karim");
    for (const one of [there, karim, home]) await one.sync();
    const keys = karim.session.secrets(karim.charter.keysStream);
    const cap = readCap(keys);
    if (!cap) throw new Error("may not read");
    const op = { op: "read", stream: keys.stream, cap, after: 0, max_bytes: 1_000_000 } as const;
    const { records } = (await sent(relay, op))[0] as Batch;
    expect(records.length).toBeGreaterThan(1);
    for (const record of records) {
      const result = await appended(relay, karim, keys, await openRecord(keys, record));
      expect(result).not.toHaveProperty("code");
    }
    await home.add("plan", "agreements", { what: "verder" });
    await sameEverywhere([home, there, karim], [nora, fatima, phone], ["verder"]);
    for (const one of [home, there]) expect(codes(one)).toEqual([]);
  });

  test("a false word about what was seen of them is told, with the device", async () => {
    const { nora, home, fatima, there } = await familyOn(relay.address);
    const { phone, there: karim } = await joined(home, "Karim");
    for (const one of [there, karim, home]) await one.sync();
    const { session, charter } = karim;
    const { random } = session.around;
    const { keysSecret } = session.row;
    if (!keysSecret) throw new Error("does not know where the keys lie");
    const seen = { length: 1, chain: named<Chain>(random(32)) };
    const sender = { by: session.device(), key: session.keys.sign, keysSecret, seen, random };
    const payload = await sealBags(charter, sender, new Map([[deviceOf(there), bagOf([])]]));
    await appended(relay, karim, session.secrets(charter.keysStream), payload);
    await there.sync();
    await there.sync();
    expect(codes(there)).toContain(`false_seen keys of device ${deviceOf(karim)}`);
    await there.add("plan", "agreements", { what: "verder" });
    await sameEverywhere([home, there, karim], [nora, fatima, phone], ["verder"]);
  });
});

test("a stream filled against its owners: the lock still turns, and the words that waited arrive", async () => {
  const small = await startRelay(undefined, ["max_stream_records=40"]);
  try {
    const { nora, home, fatima, there } = await familyOn(small.address);
    const { there: karim } = await joined(home, "Karim");
    for (const one of [there, karim, home]) await one.sync();
    let last: Result | undefined;
    for (let at = 0; at < 60; at++)
      last = await appended(small, karim, planOf(karim), karim.session.around.random(64));
    expect(last).toHaveProperty("code", "quota");
    await home.sync();
    await home.remove("Karim");
    await home.add("plan", "agreements", { what: "na de vloed" });
    await home.sync();
    await karim.sync();
    expect(codes(karim)).toContain("removed charter");
    expect(codes(home)).toContain("quota outbox");
    // Until somebody puts a snapshot there the words wait, and are not lost.
    expect(agreements(home)).toEqual(["na de vloed"]);
    const opened = await home.session.opened(home.session.part("plan"));
    const [result] = await sent(small, ...(await replacement(home.session, opened)));
    expect(result).not.toHaveProperty("code");
    await sameEverywhere([home, there], [nora, fatima], ["na de vloed"]);
  } finally {
    await small.stop();
  }
});
