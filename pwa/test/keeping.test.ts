import { expect, test, vi } from "vitest";
import type { Engine } from "../src/app/engine";
import { keepAfterFirstWords } from "../src/app/keeping";

test("the browser is asked to keep what is here once, after the first words and not before", async () => {
  const persist = vi.fn(async () => false);
  const engine = {
    cases: vi.fn(async () => []),
    add: vi.fn().mockRejectedValueOnce(new Error("refused")).mockResolvedValue("an item"),
    set: vi.fn(async () => undefined),
  } as unknown as Engine;
  const kept = keepAfterFirstWords(engine, { persist });
  await kept.cases();
  await expect(kept.add("c", "plan", "agreements", {})).rejects.toThrow("refused");
  expect(persist).not.toHaveBeenCalled();
  expect(await kept.add("c", "plan", "agreements", {})).toBe("an item");
  await kept.set("c", "plan", "agreements/i/what", "later");
  expect(persist).toHaveBeenCalledTimes(1);
});

test("a browser that keeps nothing, or says no, changes nothing", async () => {
  const engine = { set: async () => undefined } as unknown as Engine;
  await keepAfterFirstWords(engine, undefined).set("c", "p", "a/b/c", "x");
  const persist = async (): Promise<boolean> => Promise.reject(new Error("no"));
  await keepAfterFirstWords(engine, { persist }).set("c", "p", "a/b/c", "x");
});
