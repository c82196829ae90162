/** Every vector of tests/vectors/report, as tests/unit/test_report_vectors.py runs them too. */
import { describe, expect, it } from "vitest";
import { differences } from "../src/core/differing";
import { EigenkringError } from "../src/core/errors";
import { hex, unhex } from "../src/core/ids";
import * as report from "../src/core/report";
import { compareFiles } from "../src/core/reporting";
import { CryptoError } from "../src/crypto/errors";
import { SigningKey } from "../src/crypto/sign";
import { type Vector, vectorsOf } from "./vectors";

const VECTORS = vectorsOf("report");
/** How many there are at least, so that a lost file or a folder that moved is not a green run. */
const LEAST = { tags: 5, ruler: 12, made: 2, open: 82, signature: 8, compared: 27, files: 10 };

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, plain(of)]));
}

/** What JSON has as hex, as bytes again; of a report nothing else is a text. */
function packable(value: unknown): unknown {
  if (typeof value === "string") return unhex(value);
  if (Array.isArray(value)) return value.map(packable);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, packable(of)]));
}

function tags(v: Vector): unknown {
  const whole = new report.CaseTags(unhex(v.secret), unhex(v.case));
  const line = new report.LineTags(unhex(v.secret), unhex(v.stream));
  return [
    whole.case(),
    whole.device(unhex(v.device)),
    whole.generation(v.generation),
    whole.head(v.n, unhex(v.head)),
    whole.line(unhex(v.stream)).id(),
    line.id(),
    line.point(v.index, unhex(v.chain)),
  ].map(hex);
}

function compared(v: Vector): unknown {
  const known = v.knows
    ? (_: string, index: number) => (v.knows[index] ? unhex(v.knows[index]) : undefined)
    : undefined;
  const found = differences(report.openReport(v.left), report.openReport(v.right), known);
  const lines = [...found.found].map(([id, d]) => [
    id,
    [d.verdict, d.left, d.right, d.sameTo, d.index, d.since, d.leftAt, d.rightAt],
  ]);
  return { found: Object.fromEntries(lines), only_left: found.onlyLeft, only_right: found.onlyRight };
}

function files(v: Vector): unknown {
  const second = v.second ?? v.repeat[0].repeat(v.repeat[1]);
  const { streams, ...found } = compareFiles(v.first, second);
  return {
    ...found,
    streams: streams.map(({ left, right, sameTo, differsAt, leftSince, rightSince, ...one }) => ({
      ...one,
      first: left,
      second: right,
      same_to: sameTo,
      differs_at: differsAt,
      first_since: leftSince,
      second_since: rightSince,
    })),
  };
}

const RUN: Record<string, (v: Vector) => unknown> = {
  tags,
  ruler: (v) => report.ruler(v.length),
  made: async (v) =>
    report.signReport(
      await SigningKey.fromSeed(unhex(v.seed)),
      unhex(v.case),
      packable(v.report) as report.Report,
    ),
  open: (v) => plain(report.openReport(v.text)),
  signature: async (v) => {
    await report.checkSignature(v.text, unhex(v.case), unhex(v.key));
    return null;
  },
  compared,
  files,
};

describe("the vectors of reports", () => {
  it.each([...VECTORS.keys()])("%s", async (name) => {
    const vector = VECTORS.get(name) as Vector;
    let found: unknown;
    try {
      found = { out: await RUN[vector.kind]?.(vector) };
    } catch (error) {
      if (!(error instanceof EigenkringError || error instanceof CryptoError)) throw error;
      found = { error: error.code };
    }
    expect(found).toEqual("error" in vector ? { error: vector.error } : { out: vector.out });
  });

  it("none is lost", () => {
    const kinds = new Map<string, number>();
    for (const { kind } of VECTORS.values()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    expect([...kinds.keys()].sort()).toEqual(Object.keys(LEAST).sort());
    for (const [kind, least] of Object.entries(LEAST))
      expect(kinds.get(kind), kind).toBeGreaterThanOrEqual(least);
  });
});
