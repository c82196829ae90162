/** Two devices compare outside the real relay what it showed each of them: tests/sim/test_reports.py, in the app's engine. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { isoOf } from "../src/app/plain";
import type { ComparedWith } from "../src/app/reports";
import type { Case } from "../src/core/case";
import { hex } from "../src/core/ids";
import { MAX_REPORT_BYTES, openReport, ruler, signReport } from "../src/core/report";
import { compareFiles, report } from "../src/core/reporting";
import { MAX_SIGHTINGS, sightings } from "../src/core/session/sightings";
import { CryptoError } from "../src/crypto/errors";
import { Liar } from "./lying";
import { agreements, codes, familyOn, joined, type Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay.stop());

const NOON = Math.floor(Date.now() / 1000);
const time = { now: NOON };
const options = { clock: () => time.now };

interface Someone {
  readonly phone: Phone;
  readonly one: Case;
  readonly engine: LocalEngine;
  readonly id: string;
}

async function three(): Promise<readonly [Someone, Someone, Someone]> {
  time.now = NOON;
  const { nora, home, fatima, there } = await familyOn(relay.address, options);
  const { phone: karim, there: last } = await joined(home, "Karim", "member", options);
  for (const one of [home, there, last, home, there]) await one.sync();
  const people = [
    { phone: nora, one: home },
    { phone: fatima, one: there },
    { phone: karim, one: last },
  ];
  return people.map(({ phone, one }) => ({
    phone,
    one,
    engine: new LocalEngine(phone),
    id: hex(one.id),
  })) as unknown as readonly [Someone, Someone, Someone];
}

const add = ({ one }: Someone, what: string) => one.add("plan", "agreements", { what });
/** From now on this phone is shown that relay. */
function shown({ phone }: Someone, other: Relay): void {
  phone.switch.lie = new Liar(other.address, (liar, request) => liar.truth(request), 0, 1).between;
}
/** What `reader` is told, through the verbs that the screens use. */
async function compared(reader: Someone, writer: Someone): Promise<ComparedWith> {
  const { content } = await writer.engine.report(writer.id);
  return reader.engine.compareReport(reader.id, content);
}
const plan = ({ lines }: ComparedWith) => lines.find(({ what }) => what === "plan");
const planStream = ({ one }: Someone) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("no plan");
  return part.stream;
};

describe("comparing", () => {
  test("two who saw the same, and one who is behind", async () => {
    const [nora, fatima] = await three();
    await add(nora, "that both read");
    for (const { one } of [nora, fatima]) await one.sync();
    const same = await compared(nora, fatima);
    expect([same.verdict, same.name, same.here, same.isThis, same.older]).toEqual([
      "same",
      "Fatima",
      true,
      false,
      false,
    ]);
    expect(new Set(same.lines.map(({ verdict }) => verdict))).toEqual(new Set(["same"]));
    fatima.phone.switch.online = false;
    time.now += 3600;
    await add(nora, "while Fatima was away");
    await nora.one.sync();
    const behind = await compared(nora, fatima);
    expect([behind.verdict, plan(behind)?.since]).toEqual(["they_behind", isoOf(time.now)]);
    expect(codes(nora.one).filter((code) => code.startsWith("forked"))).toEqual([]);
  });

  test("a fork that no record crosses is told by both, stays, and blocks nobody", async () => {
    const [nora, fatima, karim] = await three();
    const other = await relay.fork();
    try {
      shown(karim, other);
      await add(nora, "in one world");
      await add(karim, "in the other");
      for (const { one } of [nora, karim, fatima]) await one.sync();
      expect([...codes(nora.one), ...codes(karim.one)]).toEqual([]);
      expect((await compared(nora, fatima)).verdict).toBe("same");
      for (const [one, who] of [
        [nora, karim],
        [karim, nora],
      ] as const) {
        const found = await compared(one, who);
        expect([found.verdict, plan(found)?.verdict]).toEqual(["forked", "forked"]);
        expect(plan(found)?.since && plan(found)?.theirsSince).toBeTruthy();
        expect(codes(one.one)).toEqual([`forked report of device ${hex(who.one.session.device())}`]);
        const { alarms } = await one.engine.status();
        expect(alarms).toEqual([{ code: "forked", case: one.id, name: found.name }]);
      }
      const [first, second] = [await report(nora.one), await report(karim.one)];
      const told = compareFiles(first, second);
      expect([told.verdict, told.checked]).toEqual(["forked", false]);
      // The lie ends; what Karim was shown stays in his report.
      karim.phone.switch.lie = undefined;
      for (let round = 0; round < 3; round++) for (const { one } of [karim, nora]) await one.sync();
      expect(agreements(nora.one)).toEqual(["in one world", "in the other"]);
      expect(agreements(karim.one)).toEqual(["in one world", "in the other"]);
      expect(plan(await compared(nora, karim))?.verdict).toBe("forked");
    } finally {
      await other.stop();
    }
  });

  test("a relay that was put back and says so is not blamed", async () => {
    const [nora, fatima] = await three();
    await relay.backUp();
    fatima.phone.switch.online = false;
    await add(nora, "only the relay and Nora had it");
    await nora.one.sync();
    await relay.putBack();
    nora.phone.switch.online = false;
    fatima.phone.switch.online = true;
    await add(fatima, "in that very place");
    await fatima.one.sync();
    for (const [one, who] of [
      [nora, fatima],
      [fatima, nora],
    ] as const) {
      expect((await compared(one, who)).verdict).toBe("other_generation");
      expect(codes(one.one).filter((code) => code.includes("report"))).toEqual([]);
    }
    nora.phone.switch.online = true;
    for (let round = 0; round < 3; round++) for (const { one } of [nora, fatima]) await one.sync();
    expect((await compared(nora, fatima)).verdict).toBe("same");
  });

  test("an old file, a forged one, one of another case, and one of a device that is not known", async () => {
    const [nora, fatima, karim] = await three();
    const old = await report(fatima.one);
    time.now += 86_400;
    const fresh = await report(fatima.one);
    const read = (text: string) => nora.engine.compareReport(nora.id, text);
    expect([(await read(old)).older, (await read(fresh)).older, (await read(old)).older]).toEqual([
      false,
      false,
      true,
    ]);
    const forged = await signReport(karim.one.session.keys.sign, nora.one.id, openReport(old));
    await expect(read(forged)).rejects.toBeInstanceOf(CryptoError);
    await expect(read(old.slice(0, 300))).rejects.toMatchObject({ code: "bad_report" });
    await expect(read("x".repeat(MAX_REPORT_BYTES + 1))).rejects.toMatchObject({ code: "too_large" });
    const [elsewhere] = await three();
    await expect(elsewhere.engine.compareReport(elsewhere.id, old)).rejects.toMatchObject({
      code: "other_case",
    });
    karim.phone.switch.online = false;
    const { there } = await joined(nora.one, "Lea", "member", options);
    await expect(karim.engine.compareReport(karim.id, await report(there))).rejects.toMatchObject({
      code: "unknown_device",
    });
  });

  test("who was put out is heard, and told that they do not belong", async () => {
    const [nora, , karim] = await three();
    karim.phone.switch.online = false;
    await nora.one.remove("Karim");
    const found = await compared(nora, karim);
    expect([found.verdict, found.here]).toEqual(["they_behind", false]);
    karim.phone.switch.online = true;
    await karim.one.sync();
    expect(openReport(await report(karim.one)).n).toBeGreaterThan(0);
  });
});

describe("what is kept of what was seen", () => {
  test("it stays small and keeps its ends, and a report too", async () => {
    const [nora] = await three();
    const stream = planStream(nora);
    await add(nora, "the first");
    await nora.one.sync();
    const [first] = sightings(nora.one.session, stream);
    for (let at = 0; at < 30; at++) {
      time.now += 60;
      await add(nora, `one ${at}`);
      await nora.one.sync();
    }
    const kept = sightings(nora.one.session, stream);
    expect(kept[0]).toEqual(first);
    expect(kept.length).toBeGreaterThan(MAX_SIGHTINGS / 2);
    expect(kept.length).toBeLessThanOrEqual(MAX_SIGHTINGS);
    const { length } = nora.one.session.position(stream);
    expect(kept.at(-1)?.[2]).toBe(length);
    const line = openReport(await report(nora.one, true)).lines.find((one) => one.length === length);
    expect(line?.points.map(([, , index]) => index)).toEqual(expect.arrayContaining(ruler(length)));
    expect((await report(nora.one)).length).toBeLessThan(60_000);
  });

  test("what one person reads is in a report for an own device only", async () => {
    const [nora, fatima] = await three();
    await fatima.one.add("diary", "entries", { text: "Alleen voor mij" });
    await fatima.one.sync();
    const counts = await Promise.all(
      [false, true].map(async (own) => openReport(await report(fatima.one, own)).lines.length),
    );
    expect(counts[0]).toBeLessThan(counts[1] as number);
    expect(nora.id).toBe(fatima.id);
  });
});
