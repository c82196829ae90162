// A child lets somebody read its page, over the real relay; tests/unit/test_letting.py is the same in Python.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Case } from "../src/core/library";
import { familyOn, joined } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** What this device opens of the page. */
const page = (one: Case, part: string): unknown[] =>
  [...(one.showAll().get(part)?.get("worries")?.values() ?? [])].map((fields) => fields.get("text")).sort();

test("a child lets somebody in and out", async () => {
  const { home, there } = await familyOn(relay.address);
  const { there: sams } = await joined(home, "Sam", "child");
  const settle = async (): Promise<void> => {
    for (const one of [sams, home, there, sams, there]) await one.sync();
  };
  await settle();
  const part = sams.fullName("house");
  await sams.add("house", "worries", { text: "als mama niet slaapt" });
  await settle();
  expect(page(there, part)).toEqual([]);
  await sams.letIn("house", "Fatima");
  await settle();
  expect(page(there, part)).toEqual(["als mama niet slaapt"]);
  expect(page(home, part)).toEqual([]);
  await expect(sams.letIn("house", "Fatima")).rejects.toMatchObject({ code: "bad_argument" });
  await expect(home.letIn(part, "Nora")).rejects.toMatchObject({ code: "not_permitted" });
  await expect(there.letIn("plan", "Sam")).rejects.toMatchObject({ code: "not_permitted" });
  await sams.letOut("house", "Fatima");
  await sams.add("house", "worries", { text: "dit is voor mij alleen" });
  await settle();
  expect(page(sams, part)).toEqual(["als mama niet slaapt", "dit is voor mij alleen"]);
  expect(page(there, part)).not.toContain("dit is voor mij alleen");
});
