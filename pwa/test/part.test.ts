import { describe, expect, test } from "vitest";
import { uleb } from "../src/core/columns";
import { Engine } from "../src/core/crdt";
import { type StreamId, unhex } from "../src/core/ids";
import { PartFold } from "../src/core/part/fold";
import type { Rights } from "../src/core/part/rights";
import { MAX_UNFOLDED_BYTES, packContent, unpackContent } from "../src/core/part/snapshot";
import { concatAll } from "../src/crypto/kdf";
import { foldVector } from "./part-fold";
import { type Vector, vectorsOf } from "./vectors";

const vectors = vectorsOf("part");

describe("vectors of the fold of a part", () => {
  test("there are enough", () => {
    expect(vectors.size).toBeGreaterThanOrEqual(75);
    expect(new Set([...vectors.values()].map((vector) => vector.kind))).toEqual(new Set(["fold"]));
  });

  test.each([...vectors])("%s", async (_, vector) => {
    const { verdicts, out } = await foldVector(vector);
    const judged = vector.steps.filter((step: Vector) => step.do !== "own");
    expect(verdicts).toEqual(judged.map((step: Vector) => step.verdict));
    expect(out).toEqual(vector.out);
  });
});

test("a record is taken once, and a trial of one that cannot be read says why", async () => {
  const fold = new PartFold(
    { stream: new Uint8Array(16) as StreamId, name: "plan", writeRoom: "owner", manageRoom: "owner" },
    () => undefined,
    () => new Engine(new Uint8Array(24)),
  );
  const nobody: Rights = {
    n: 1,
    devices: new Map(),
    cuts: new Map(),
    headIndex: () => undefined,
    epochAt: () => undefined,
    wroteInEpoch: () => false,
    cutFor: () => undefined,
  };
  const nonsense = Uint8Array.of(0xc1);
  const tried = await fold.trial(1, nonsense, () => undefined, nobody);
  expect(tried.refused.map(({ code }) => code)).toEqual(["bad_record"]);
  await fold.take(1, nonsense, () => undefined, nobody);
  await expect(fold.take(1, nonsense, () => undefined, nobody)).rejects.toThrow("in the order of the stream");
});

test("a change before what it depends on is packed by nobody", () => {
  const { change, admitted } = vectorsOf("change").get("concurrent_changes");
  expect(() => packContent([unhex(change)])).toThrow("before what it depends on");
  expect(packContent([unhex(admitted[0])]).length).toBeGreaterThan(0);
});

/** A change of nothing but dependencies: the change before it, so many times, in a byte each. */
function wide(times: number): Uint8Array {
  return concatAll([uleb(times), new Uint8Array(times).fill(1), uleb(1), new Uint8Array(1)]);
}

test("a snapshot whose dependencies unfold to more than is allowed is stopped on the way", () => {
  const content = (...changes: Uint8Array[]) =>
    concatAll([uleb(1 + changes.length), uleb(0), uleb(1), new Uint8Array(1), ...changes, uleb(0)]);
  expect(unpackContent(content(wide(1), wide(100))).changes.length).toBe(3);
  // Alone it would be just allowed: what unfolds is counted over all of the snapshot, before it is made.
  const most = MAX_UNFOLDED_BYTES / 32 - 1;
  expect(() => unpackContent(content(wide(1), wide(most)))).toThrow("unfolds to more");
});
