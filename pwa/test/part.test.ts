import fc from "fast-check";
import "./examples";
import { describe, expect, test, vi } from "vitest";
import { type Change, encodeChange, parseChange } from "../src/core/change";
import { uleb } from "../src/core/columns";
import { Engine } from "../src/core/crdt";
import { Inadmissible } from "../src/core/errors";
import { type DeviceId, type Hex, hex, type StreamId, unhex } from "../src/core/ids";
import type { Op } from "../src/core/operation";
import { actorOf } from "../src/core/part/author";
import { coversOf } from "../src/core/part/coverage";
import { PartFold } from "../src/core/part/fold";
import type { Source } from "../src/core/part/ledger";
import type { Rights } from "../src/core/part/rights";
import {
  type Content,
  MAX_UNFOLDED_BYTES,
  packContent,
  type SnapshotBody,
  Unfolded,
  unpackContent,
} from "../src/core/part/snapshot";
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

  test.each([...vectors])("%s, each record tried first", async (_, vector) => {
    const { verdicts, out } = await foldVector(vector, true);
    const judged = vector.steps.filter((step: Vector) => step.do !== "own");
    expect(verdicts).toEqual(judged.map((step: Vector) => step.verdict));
    expect(out).toEqual(vector.out);
  });
});

test("what was unfolded to see that a snapshot stands is taken as it is, once", async () => {
  const opened = vi.spyOn(Unfolded.prototype, "open");
  await foldVector(vectors.get("days_after_a_snapshot"), true);
  const [tried, taken] = opened.mock.results.map(({ value }) => value as Content);
  const body = (opened.mock.calls[0] as [SnapshotBody])[0];
  opened.mockRestore();
  expect(taken?.changes).toBe(tried?.changes);

  const unfolded = new Unfolded();
  unfolded.keep(body, taken as Content);
  const another = { ...body, content: body.content.slice() };
  expect(unfolded.open(another).changes).toBe(taken?.changes);
  // It is not held for ever: years of a family's words are.
  expect(unfolded.open(another).changes).not.toBe(taken?.changes);
  unfolded.keep(body, taken as Content);
  expect(() => unfolded.open({ ...body, content: Uint8Array.of(7) })).toThrow(Inadmissible);
});

describe("what an attestation covers", () => {
  const stream = new Uint8Array(16) as StreamId;
  const devices = [..."abc"].map((letter) => new TextEncoder().encode(letter.repeat(16)) as DeviceId);

  /** A change by one of them that depends on these. */
  function made(at: number, by: DeviceId, deps: readonly Change[]): Change {
    const op: Op = { action: "make_map", obj: null, key: `k${at}`, element: null, value: null, pred: [] };
    const actor = hex(actorOf(stream, by, new Uint8Array(8)));
    const after = deps.map(({ hash }) => hash).sort();
    return parseChange(encodeChange({ deps: after, actor, seq: 1, startOp: 1 + at, ops: [op] }));
  }

  /** As the rule says it: the attested change, and what it depends on, and so on. */
  function ancestors(newest: Hex, changes: readonly Change[]): Set<Hex> {
    const found = new Set<Hex>();
    const add = (hash: Hex): void => {
      const change = changes.find((each) => each.hash === hash);
      if (!change || found.has(hash)) return;
      found.add(hash);
      for (const dep of change.deps) add(dep);
    };
    add(newest);
    return found;
  }

  test("one walk finds what a walk for each would, in whatever order the changes lie", () => {
    const shape = fc.record({
      changes: fc.array(
        fc.tuple(fc.nat(2), fc.array(fc.nat(), { maxLength: 3 }), fc.integer({ min: -9, max: 9 })),
        { minLength: 1, maxLength: 12 },
      ),
      // More than one row of 32.
      newest: fc.array(fc.tuple(fc.nat(2), fc.nat()), { minLength: 1, maxLength: 40, size: "max" }),
      left: fc.nat(),
    });
    fc.assert(
      fc.property(shape, ({ changes, newest, left }) => {
        const all: Change[] = [];
        for (const [at, [by, names]] of changes.entries()) {
          const deps = new Set(all.length > 0 ? names.map((name) => all[name % all.length] as Change) : []);
          all.push(made(at, devices[by] as DeviceId, [...deps]));
        }
        const weight = new Map(
          all.map((change, at) => [change.hash, at + (changes[at] as [number, number[], number])[2]]),
        );
        const lying = all
          .filter((_, at) => all.length === 1 || at !== left % all.length) // one is not in the record
          .sort((a, b) => (weight.get(a.hash) as number) - (weight.get(b.hash) as number));
        const sources = newest.map(([by, name]) => {
          const att = { device: devices[by], newest: unhex((all[name % all.length] as Change).hash) };
          return { att, path: [] } as unknown as Source;
        });
        const covers = coversOf(stream, sources, lying, []);
        expect(covers.all.map(({ source }) => source)).toEqual(sources);
        for (const cover of covers.all) {
          const reached = ancestors(hex(cover.source.att.newest), lying);
          for (const change of all) {
            expect(cover.covers(change)).toBe(reached.has(change.hash));
            expect(covers.owning(change).includes(cover)).toBe(cover.owns(change));
          }
        }
      }),
    );
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
