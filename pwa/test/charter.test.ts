import { describe, expect, test } from "vitest";
import { parseEntry } from "../src/core/charter/entry";
import { fold, MAX_PEOPLE } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { Inadmissible } from "../src/core/errors";
import { type CaseId, type Chain, hex, type PersonId, unhex } from "../src/core/ids";
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

  test("an entry longer than a record is not looked at", () => {
    expect(() => parseEntry(new Uint8Array(1_048_577))).toThrow("an entry is longer than a record");
  });

  test("of a sixty-fifth person is refused, and of the sixty-fourth not", async () => {
    // Karim comes, with the last record of that vector, into a circle that is made larger by hand.
    const { charter } = await folded("family");
    if (!charter) throw new Error("no charter");
    const { payload, chain } = recordsOf("two_owners").at(-1);
    const invited = recordsOf("two_owners").at(-2);
    const caseId = unhex<CaseId>(vectors.get("family").case);
    const before = await fold(charter, unhex(invited.payload), caseId, unhex<Chain>(invited.chain), schema);
    const [someone] = before.present();
    if (!someone) throw new Error("nobody is there");
    const crowd = async (size: number) => {
      const people = new Map(before.people);
      while (people.size < size) {
        const person = new Uint8Array(8).fill(people.size) as PersonId;
        people.set(hex(person), { ...someone, person, role: "child" });
      }
      return fold(before.with({ people }), unhex(payload), caseId, unhex<Chain>(chain), schema);
    };
    expect((await crowd(MAX_PEOPLE - 1)).present().length).toBe(MAX_PEOPLE);
    await expect(crowd(MAX_PEOPLE)).rejects.toMatchObject({ code: "limit" });
  });
});
