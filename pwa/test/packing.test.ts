// What is typed between two syncs is one record of its part, and nothing of it is lost or doubled on the way.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { agreements, familyOn } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const length = (one: Case) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("a case without a plan");
  return one.session.position(part.stream).length;
};
const waiting = (one: Case) =>
  one.session.store.outbox(one.id).map(({ record }) => hex(record ?? new Uint8Array()));
const add = (one: Case, what: string) => one.add("plan", "agreements", { what });

test("forty agreements are one record", async () => {
  const { home, there } = await familyOn(relay.address);
  await home.sync();
  const before = length(home);
  for (let at = 0; at < 40; at++) await add(home, `afspraak ${at}`);
  await home.sync();
  await there.sync();
  expect(length(there)).toBe(before + 1);
  expect(waiting(home)).toEqual([]);
  expect(agreements(there)).toEqual(agreements(home));
  expect(agreements(there)).toHaveLength(40);
});

test("a record that may have been sent keeps its bytes", async () => {
  const { nora, home, there } = await familyOn(relay.address);
  await home.sync();
  const before = length(home);
  await add(home, "eerste");
  const [sent] = waiting(home);
  // It arrives, the answer does not.
  nora.switch.lie = (honest) => async (ops, atomic) => {
    await honest(ops, atomic);
    throw new Unreachable("timed_out");
  };
  await home.sync().catch(() => {});
  expect(waiting(home)).toEqual([sent]);
  await add(home, "tweede");
  await add(home, "derde");
  await home.sync().catch(() => {});
  expect(waiting(home)[0]).toBe(sent);
  expect(waiting(home)).toHaveLength(2);
  nora.switch.lie = undefined;
  await home.sync();
  await there.sync();
  expect(length(there)).toBe(before + 2);
  expect(agreements(there)).toEqual(["derde", "eerste", "tweede"]);
});
