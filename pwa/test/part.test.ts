import { describe, expect, test } from "vitest";
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
