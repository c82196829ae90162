/**
 * The rules in TypeScript as a program, for tests/unit/test_rules_differential.py: a line of JSON in, a line of JSON out.
 *
 *   {"do":"begin","case"}                        forget the charter
 *   {"do":"fold","payload","chain","keep"}       {"code"} or {"out"}: the charter's summary; kept where `keep` says so
 *   {"do":"record","payload"}                    what lies in a record of a part
 *   {"do":"part","vector"}                       a vector of a part's fold, run
 *   {"do":"view",...}, {"do":"state",...}        as in tests/vectors/view
 * What is no error of ours is answered as `crash`, so that it never passes for a verdict.
 */
import { createInterface } from "node:readline";
import "./setup";
import { fold } from "../src/core/charter/rules";
import type { Charter } from "../src/core/charter/state";
import { EigenkringError } from "../src/core/errors";
import { openState } from "../src/core/grant";
import { type CaseId, type Chain, hex, unhex } from "../src/core/ids";
import { parseRecord } from "../src/core/part/record";
import { openContent, parseBody } from "../src/core/part/snapshot";
import { loadSchema } from "../src/core/schema";
import { openView } from "../src/core/view";
import { summary } from "./describe";
import { foldVector } from "./part-fold";
import type { Vector } from "./vectors";

const schema = loadSchema();
let caseId: CaseId;
let charter: Charter | undefined;

/** Bytes as hex and maps as pairs in their order: what JSON cannot hold. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, of]) => [key, plain(of)]));
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, plain(of)]));
}

async function answer(asked: Vector): Promise<unknown> {
  switch (asked.do) {
    case "begin":
      caseId = unhex(asked.case);
      charter = undefined;
      return null;
    case "fold": {
      const after = await fold(charter, unhex(asked.payload), caseId, unhex<Chain>(asked.chain), schema);
      if (asked.keep) charter = after;
      return summary(after);
    }
    case "record": {
      const record = parseRecord(unhex(asked.payload));
      if (record.kind === "edit") return [record.kind, hex(record.att.raw), record.changes.map(hex)];
      if (record.kind !== "snapshot") return ["unknown"];
      const body = parseBody(record);
      const { atts, changes, witnesses } = openContent(body);
      const { by, epoch, head, n, chain } = body;
      const named = [hex(by), epoch, hex(head), n, hex(chain)];
      return [record.kind, ...named, atts.map(({ raw }) => hex(raw)), changes.map(hex), witnesses.map(hex)];
    }
    case "part":
      return foldVector(asked.vector);
    case "view": {
      const seen = asked.seen ? { v: asked.seen[0], digest: unhex(asked.seen[1]) } : undefined;
      const { down, grant, publisher, payload } = asked;
      return openView(unhex(payload), unhex(down), unhex(grant), unhex(publisher), seen);
    }
    case "state": {
      const signed = { body: unhex(asked.body), sig: unhex(asked.sig), heirs: [] };
      return (await openState(signed, unhex(asked.grant), unhex(asked.granter), asked.above)).state;
    }
    default:
      throw new Error("asked what nobody answers");
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let said: unknown;
  try {
    said = { out: plain(await answer(JSON.parse(line))) };
  } catch (error) {
    said = error instanceof EigenkringError ? { code: error.code } : { crash: String(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
