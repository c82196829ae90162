// The engine's program runs a little while somebody waits at a door, so that the first opening of a case finds it compiled.
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { MemoryStore } from "../src/app/memory-store";
import { hex } from "../src/core/ids";
import { familyOn } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());
// Once in a program's life: each of these is one.
beforeEach(() => vi.resetModules());

test("an engine that does not come stands in nobody's way, and the next one tries again, once", async () => {
  const { warm } = await import("../src/core/warming");
  let asked = 0;
  const ready = async (): Promise<void> => {
    asked += 1;
    if (asked === 1) throw new TypeError("no line");
  };
  await warm(ready);
  await Promise.all([warm(ready), warm(ready)]);
  await warm(ready);
  expect(asked).toBe(2);
});

test("others have their turn in between", async () => {
  const { warm } = await import("../src/core/warming");
  let turns = 0;
  const beside = setInterval(() => {
    turns += 1;
  });
  await warm(async () => {});
  clearInterval(beside);
  expect(turns).toBeGreaterThan(2);
});

test("who knocks has it run, and who comes back to the door; who is in has not", async () => {
  const { Phone } = await import("./phone");
  const { home } = await familyOn(relay.address);
  let asked = 0;
  const engineReady = async (): Promise<void> => {
    asked += 1;
  };
  const lea = new Phone({ engineReady });
  const id = hex(await lea.join(await home.invite("member", "Lea"), "Lea"));
  expect(asked).toBe(1);
  const stored = [...lea.store.cases()].map(({ state }) => state);
  expect(stored).toEqual(["waiting"]);

  vi.resetModules();
  const { Phone: Later } = await import("./phone");
  const again = new Later({ engineReady }, lea.store as MemoryStore);
  asked = 0;
  await again.sync();
  expect(asked).toBe(1);
  await home.sync();
  await again.sync();
  expect((await again.case(id)).people().map(({ name }) => name)).toContain("Lea");

  vi.resetModules();
  const { Phone: Inside } = await import("./phone");
  const inside = new Inside({ engineReady }, lea.store as MemoryStore);
  asked = 0;
  await inside.sync();
  expect(asked).toBe(0);
});
