import * as Automerge from "@automerge/automerge/slim";
import { describe, expect, test } from "vitest";
import errorsInPython from "../../core/eigenkring/errors.py?raw";
import { encodeChange, parseChange } from "../src/core/change";
import { Cursor } from "../src/core/columns";
import { Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable } from "../src/core/errors";
import { hex, unhex } from "../src/core/ids";
import { Door } from "../src/core/part/door";
import { packScalar } from "../src/core/scalars";
import { vectorsOf } from "./vectors";

interface Vector {
  readonly about: string;
  readonly admitted: readonly string[];
  readonly change: string;
  readonly error?: string;
  readonly out?: {
    readonly hash: string;
    readonly actor: string;
    readonly seq: number;
    readonly start_op: number;
    readonly max_op: number;
    readonly deps: readonly string[];
    readonly heads: readonly string[];
  };
}

const vectors: readonly (readonly [string, Vector])[] = [...vectorsOf("change")];

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
  return "admitted";
}

describe("vectors of the strict door", () => {
  test("there are enough", () => {
    expect(vectors.length).toBeGreaterThanOrEqual(180);
  });

  test.each(vectors)("%s", (_, vector) => {
    const door = new Door();
    for (const raw of vector.admitted) door.admit(door.check(unhex(raw)));
    const raw = unhex(vector.change);
    const before = hex(door.dump());
    if (vector.out === undefined) {
      expect(refusal(() => door.check(raw))).toBe(vector.error);
      expect(hex(door.dump())).toBe(before);
      return;
    }
    const change = door.check(raw);
    expect(hex(door.dump())).toBe(before);
    expect(hex(encodeChange(change))).toBe(vector.change);
    expect(parseChange(raw)).toEqual(change);
    door.admit(change);
    const { hash, actor, seq, startOp, maxOp, deps } = change;
    const out = { hash, actor, seq, start_op: startOp, max_op: maxOp, deps, heads: door.heads() };
    expect(out).toEqual(vector.out);
    expect(hex(Door.load(door.dump()).dump())).toBe(hex(door.dump()));
  });
});

/** Numbers that look random and are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * sides);
  };
}

type Plan = Record<string, unknown> & { words?: string };

describe("honest peers", () => {
  test.each([1, 2, 3, 4])("are never refused, and the engine ends as they did (%i)", (seed) => {
    const roll = dice(seed);
    let peers = [1, 2, 3, 4].map((id) => Automerge.init<Plan>({ actor: `0${id}`.repeat(24) }));
    const stream: Automerge.Change[] = [];
    for (let round = 0; round < 300; round++) {
      const at = roll(peers.length);
      const doc = peers[at] as Automerge.Doc<Plan>;
      const next = Automerge.change(doc, { time: 0 }, (plan) => {
        const key = "abc"[roll(3)] as string;
        switch (roll(6)) {
          case 0:
            plan[key] = new Automerge.ImmutableString(["", "Zoë", "😀".repeat(40)][roll(3)] as string);
            break;
          case 1:
            plan[key] = [roll(5), roll(100) / 7, null, true, -roll(2000)][roll(5)];
            break;
          case 2:
            delete plan[key];
            break;
          case 3:
            plan[key] = { inner: { words: "hé" } };
            break;
          default: {
            if (plan.words === undefined) plan.words = "";
            const size = plan.words.length;
            const from = roll(size + 1);
            Automerge.splice(
              plan,
              ["words"],
              from,
              roll(Math.min(3, size - from + 1)),
              "a😀é"[roll(2)] as string,
            );
          }
        }
      });
      stream.push(...Automerge.getChanges(doc, next));
      peers[at] = next;
      const other = roll(peers.length);
      if (other !== at && roll(2) === 0)
        peers[other] = Automerge.merge(peers[other] as Automerge.Doc<Plan>, Automerge.clone(next));
    }
    const door = new Door();
    for (const raw of stream) {
      const change = door.check(raw);
      expect(hex(encodeChange(change))).toBe(hex(raw));
      door.admit(change);
    }
    peers = peers.map((doc) => Automerge.applyChanges(doc, stream)[0]);
    for (const doc of peers) {
      expect(Automerge.toJS(doc)).toEqual(Automerge.toJS(peers[0] as Automerge.Doc<Plan>));
      expect(Automerge.getHeads(doc).toSorted()).toEqual(door.heads());
    }
    const [head, ...rest] = stream.map((raw) => parseChange(raw).hash).reverse();
    const history = new Set(
      rest.filter((hash) => door.covers(head as string, hash)).concat([head as string]),
    );
    // Ancestry as the door counts it is ancestry as it can be walked.
    const deps = new Map(stream.map((raw) => [parseChange(raw).hash, parseChange(raw).deps]));
    const walked = new Set<string>();
    const todo = [head as string];
    for (let hash = todo.pop(); hash !== undefined; hash = todo.pop()) {
      if (walked.has(hash)) continue;
      walked.add(hash);
      todo.push(...(deps.get(hash) as string[]));
    }
    expect(history).toEqual(walked);
  });

  test("a long run of keystrokes passes, and comes back from the cache", () => {
    let doc = Automerge.change(Automerge.init<Plan>({ actor: "01".repeat(24) }), { time: 0 }, (plan) => {
      plan.words = "";
    });
    for (let at = 0; at < 2_000; at++)
      doc = Automerge.change(doc, { time: 0 }, (plan) => Automerge.splice(plan, ["words"], at, 0, "a"));
    const door = new Door();
    for (const raw of Automerge.getAllChanges(doc)) door.admit(door.check(raw));
    expect(door.size).toBe(2_001);
    expect(Door.load(door.dump()).heads()).toEqual(door.heads());
  });
});

test("what the door would refuse as well is refused where a change is read alone", () => {
  const named = new Map(vectors);
  for (const name of ["sequence_zero", "start_zero"]) {
    const vector = named.get(name) as Vector;
    expect(refusal(() => parseChange(unhex(vector.change)))).toBe(vector.error);
  }
});

test("only the change that was checked last is admitted, and once", () => {
  const vector = new Map(vectors).get("first_change") as Vector;
  const door = new Door();
  const change = door.check(unhex(vector.change));
  door.admit(change);
  expect(() => door.admit(change)).toThrow("only the change that was checked last");
});

test("bytes end where they end", () => {
  const cursor = new Cursor(new Uint8Array(4), 1);
  expect(refusal(() => cursor.take(4))).toBe("not_canonical");
  expect(cursor.take(3).length).toBe(3);
});

test("a number that JavaScript cannot hold is written by nobody", () => {
  for (const number of [2 ** 53, -(2 ** 53), 1.5, Number.NaN])
    expect(refusal(() => packScalar(number))).toBe("bad_value");
});

test("a change above the limit is refused before it is read", () => {
  expect(refusal(() => new Door().check(new Uint8Array(262_145)))).toBe("too_large");
  expect(refusal(() => new Door().check(new Uint8Array(262_144)))).toBe("bad_chunk");
});

test("the codes are Python's", () => {
  for (const family of [Misuse, Unreachable, Refused, RelayMisbehaved, Inadmissible, Ended]) {
    const body = errorsInPython.split(`class ${family.name}(CodedError)`)[1]?.split("\nclass ")[0] ?? "";
    const listed = body.slice(body.indexOf("codes = frozenset(")).split(".split()")[0] ?? "";
    const codes = [...listed.matchAll(/"([a-z_ 0-9]+)"/g)].flatMap(([, words]) =>
      (words as string).trim().split(" "),
    );
    expect(new Set(codes)).toEqual(new Set(family.codes));
  }
});
