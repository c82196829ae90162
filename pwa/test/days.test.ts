// The day an author claims: signed for one day, kept as long as it is known, and nothing where the clock is off.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MemoryStore } from "../src/app/memory-store";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { FIRST_DAY, LAST_DAY } from "../src/core/part/attestation";
import { dumpFold, loadFold } from "../src/core/part/cache";
import { PartFold } from "../src/core/part/fold";
import { history, shownDay } from "../src/core/part/history";
import { due, FEWEST_RECORDS, patience } from "../src/core/session/compacting";
import { KEPT_EVERY } from "../src/core/session/kept";
import { latin1 } from "./latin1";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const DAY_SECONDS = 86_400;
const TODAY = Math.floor(Date.now() / 1000 / DAY_SECONDS);
const plan = (one: Case) => one.session.opened(one.session.part("plan"));
const stream = (one: Case) => one.session.part("plan").part.stream;
const days = async (one: Case) => history((await plan(one)).fold.ledger.entries).map(({ day }) => day);

/** The same device, its clock off by so many days. */
function off(phone: Phone, by: number): void {
  const clock = (): number => Math.floor(Date.now() / 1000) + by * DAY_SECONDS;
  Object.assign(phone.around, { clock });
}

test.each([
  [null, null],
  [0, null],
  [FIRST_DAY - 1, null],
  [FIRST_DAY, "2026-01-01"],
  [20_515, "2026-03-03"],
  [LAST_DAY, "9999-12-31"],
  [LAST_DAY + 1, null],
  [2 ** 32 - 1, null],
])("day %s is shown as %s", (day, shown) => {
  expect(shownDay(day)).toBe(shown);
});

describe("on phones", () => {
  test("what was typed on two days goes up as a record of each, and everybody reads both days", async () => {
    const { nora, home, there } = await familyOn(relay.address);
    const before = home.session.position(stream(home)).length;
    for (const day of [0, 1]) {
      off(nora, day);
      await home.add("plan", "agreements", { what: `dag ${day}, eerst` });
      await home.add("plan", "agreements", { what: `dag ${day}, later` });
    }
    await home.sync();
    expect(home.session.position(stream(home)).length).toBe(before + 2);
    await there.sync();
    expect((await days(there)).slice(-4)).toEqual([TODAY, TODAY, TODAY + 1, TODAY + 1]);
    expect(await days(home)).toEqual(await days(there));
  });

  test.each([3650, -3650])("a clock %i days off claims nothing, and the words count", async (by) => {
    const { nora, home, there } = await familyOn(relay.address);
    off(nora, by);
    await home.sync();
    await home.add("plan", "agreements", { what: "een woord" });
    await home.sync();
    await there.sync();
    expect((await days(there)).at(-1)).toBeNull();
    expect(agreements(there)).toEqual(["een woord"]);
  });

  test("who knew the days keeps them over a snapshot and a restart; who comes later sees each one's newest", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    const item = await home.add("plan", "agreements", { what: "0" });
    const enough = FEWEST_RECORDS + patience(home.session.device(), stream(home));
    for (let at = 1; at < enough - 12; at++) {
      await home.set("plan", `agreements/${item}/what`, `${at}`);
      home.session.unsent.clear();
    }
    // Without the last one no snapshot is due: Fatima reads the records.
    await home.sync();
    await there.sync();
    const known = await days(there);
    expect(known.length).toBeGreaterThan(KEPT_EVERY);
    expect(new Set(known)).toEqual(new Set([TODAY]));
    while (due(home.session, await plan(home)) || home.session.position(stream(home)).base === 0) {
      await home.set("plan", `agreements/${item}/what`, "daarna");
      await home.set("plan", `agreements/${item}/what`, "nog eens");
      home.session.unsent.clear();
      await home.sync();
    }
    await there.sync();
    expect(there.session.position(stream(there)).base).toBeGreaterThan(0);
    expect((await days(there)).slice(0, known.length)).toEqual(known);
    const again = await new Phone({}, fatima.store as MemoryStore).case(hex(there.id));
    expect(await days(again)).toEqual(await days(there));
    const { there: karim } = await joined(home, "Karim");
    const his = await days(karim);
    expect(his.length).toBeGreaterThanOrEqual(known.length);
    expect(his.filter((day) => day !== null).length).toBeLessThan(5);
    expect([home, there, karim].flatMap(codes)).toEqual([]);
  });

  test("a part that was kept before there were days opens as it was", async () => {
    const { home } = await familyOn(relay.address);
    await home.add("plan", "agreements", { what: "een woord" });
    await home.sync();
    const { fold } = await plan(home);
    const saved = dumpFold(fold);
    const without = saved.slice();
    // The key is last; one that nobody knows is passed over, as it is by an older program.
    without.set(new TextEncoder().encode("dayz"), latin1(saved).lastIndexOf("days"));
    for (const [data, expected] of [
      [saved, await days(home)],
      [without, (await days(home)).map(() => null)],
    ] as const) {
      const again = new PartFold(fold.part, () => undefined);
      expect(loadFold(again, data, fold.engine as never)).toBe(true);
      expect(history(again.ledger.entries).map(({ day }) => day)).toEqual(expected);
    }
  });
});
