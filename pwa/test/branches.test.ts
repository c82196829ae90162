import { describe, expect, test } from "vitest";
import { dropped, floors, mayAdopt, owed, partedAt } from "../src/core/charter/branches";
import { fold } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { Inadmissible } from "../src/core/errors";
import { type CaseId, type Chain, hex, unhex } from "../src/core/ids";
import { loadSchema } from "../src/core/schema";
import { type Vector, vectorsOf } from "./vectors";

const charters = vectorsOf("charter");
const schema = loadSchema();

function recordsOf(name: string): Vector[] {
  const vector = charters.get(name);
  return [...(vector.on ? recordsOf(vector.on) : []), ...vector.records];
}

async function charterOf(name: string): Promise<Charter> {
  const caseId = unhex<CaseId>(charters.get(name).case);
  let charter: Charter | undefined;
  for (const { payload, chain } of recordsOf(name)) {
    try {
      charter = await fold(charter, unhex(payload), caseId, unhex<Chain>(chain), schema);
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
  }
  return charter as Charter;
}

function owedFrom(branch: Charter, shown: Charter, sinceN: number): unknown[] {
  return owed(branch, shown, sinceN).map((one) => [
    one.what,
    hex(one.of),
    one.room,
    one.who ? hex(one.who) : null,
  ]);
}

describe("vectors of branches", () => {
  test.each([...vectorsOf("branches")])("%s", async (_, vector) => {
    const branch = await charterOf(vector.branch);
    const shown = await charterOf(vector.shown);
    expect({
      parted_at: partedAt(branch, shown),
      dropped: dropped(branch, shown).map(([n, head]) => [n, hex(head)]),
      floors: Object.fromEntries(floors(branch, shown)),
      may_adopt: [...shown.people.values()]
        .filter(({ person }) => mayAdopt(branch, shown, person))
        .map(({ person }) => hex(person))
        .sort(),
      owed: { newest: owedFrom(branch, shown, shown.n), first: owedFrom(branch, shown, 1) },
    }).toEqual(vector.out);
  });
});
