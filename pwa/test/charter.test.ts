import { describe, expect, test } from "vitest";
import { fold } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { Inadmissible } from "../src/core/errors";
import { type CaseId, type Chain, unhex } from "../src/core/ids";
import { loadSchema } from "../src/core/schema";
import { summary } from "./describe";
import { type Vector, vectorsOf } from "./vectors";

const vectors = vectorsOf("charter");
const schema = loadSchema();

/** Those of the vectors before, and its own. */
function recordsOf(name: string): Vector[] {
  const vector = vectors.get(name);
  return [...(vector.on ? recordsOf(vector.on) : []), ...vector.records];
}

async function folded(name: string): Promise<{ charter: Charter | undefined; verdicts: string[] }> {
  const caseId = unhex<CaseId>(vectors.get(name).case);
  const verdicts: string[] = [];
  let charter: Charter | undefined;
  for (const { payload, chain } of recordsOf(name)) {
    try {
      charter = await fold(charter, unhex(payload), caseId, unhex<Chain>(chain), schema);
      verdicts.push("ok");
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      verdicts.push(error.code);
    }
  }
  return { charter, verdicts };
}

describe("vectors of the charter", () => {
  test("there are enough, and more is refused than admitted", () => {
    expect(vectors.size).toBeGreaterThanOrEqual(54);
    const verdicts = [...vectors.values()].flatMap((vector) =>
      vector.records.map((one: Vector) => one.verdict),
    );
    expect(verdicts.filter((verdict) => verdict !== "ok").length).toBeGreaterThan(verdicts.length / 2);
  });

  test.each([...vectors.keys()])("%s", async (name) => {
    const { charter, verdicts } = await folded(name);
    expect(verdicts).toEqual(recordsOf(name).map((record) => record.verdict));
    expect(summary(charter)).toEqual(vectors.get(name).out);
  });
});
