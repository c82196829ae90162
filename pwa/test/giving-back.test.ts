// What a device gives back to a relay that lost it, of a part that was only shown since the app began.
import { afterAll, beforeAll, expect, test } from "vitest";
import { MemoryStore, type Written } from "../src/app/memory-store";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { agreements, codes, familyOn, Phone, signAlone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** A store as of a copy that was made now. */
function copied(one: Case): MemoryStore {
  const [from, made] = [one.session.store, new MemoryStore()] as unknown as [
    { everything(): Iterable<Written> },
    MemoryStore & { fill(rows: Iterable<Written>): void },
  ];
  made.fill([...from.everything()]);
  return made;
}
const add = (one: Case, what: string) => one.add("plan", "agreements", { what });

test("of two words of one number the one that was refused is given back, and not laid on top", async () => {
  const { home, there } = await familyOn(relay.address);
  for (const one of [home, there, home]) await one.sync();
  await relay.backUp();
  const twin = await new Phone({}, copied(home)).case(hex(home.id));
  await add(home, "de eerste");
  await home.sync();
  await add(twin, "de tweede");
  await signAlone(twin);
  await twin.sync();
  await there.sync();
  expect(codes(there).some((code) => code.startsWith("bad_sequence plan of"))).toBe(true);
  await there.sync();
  const words = agreements(there);
  expect(words).toContain("de eerste");
  await relay.putBack();
  const again = await new Phone({}, copied(there)).case(hex(home.id));
  const { stream } = again.charter.parts.get("plan") ?? {};
  const shown = [...again.session.parts.values()].find(({ part }) => part.stream === stream);
  expect(shown?.fold).toBeUndefined();
  for (let round = 0; round < 3; round++) await again.sync();
  expect(agreements(again)).toEqual(words);
  expect(codes(again).filter((code) => /engine|dependency/.test(code))).toEqual([]);
});
