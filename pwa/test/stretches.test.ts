// Letters typed one after the other are read, checked and remembered as one stretch: with the verdicts of one by one.
// Mirrors tests/unit/test_stretches.py, which also holds both languages against each other.
import * as Automerge from "@automerge/automerge/slim";
import { describe, expect, test } from "vitest";
import { type Change, encodeChange, hashedChunk, parseChange, type Unpacked } from "../src/core/change";
import {
  Columns,
  Cursor,
  decodeNumbers,
  encodeNumbers,
  MOST_REMEMBERED,
  Packing,
  readNumbers,
} from "../src/core/columns";
import { Inadmissible } from "../src/core/errors";
import { hex, unhex } from "../src/core/ids";
import { type Op, Operations, operationsOf, Stretch } from "../src/core/operation";
import { Door } from "../src/core/part/door";

type Plan = Record<string, string>;

/** One change of the engine that makes a text for each, and types it. */
function typed(...texts: string[]): Uint8Array {
  const doc = Automerge.change(Automerge.init<Plan>({ actor: "01".repeat(24) }), { time: 0 }, (plan) => {
    texts.forEach((text, at) => {
      plan["abcdef"[at] as string] = text;
    });
  });
  return Automerge.getAllChanges(doc)[0] as Uint8Array;
}

function verdict(door: Door, change: () => Change): string {
  try {
    const read = change();
    door.checkParsed(read);
    return read.hash;
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
}

function refusal(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
  return undefined;
}

/** The same change, and each of its operations by itself. */
function single(change: Change): Change {
  return { ...change, ops: new Operations(change.actor, change.startOp, change.ops.each()) };
}

const stretchesOf = (change: Change): Stretch[] => change.ops.spans.filter((span) => span instanceof Stretch);

test.each([1, 2, 3])("the verdict is that of one by one (%i)", (seed) => {
  let state = seed;
  const roll = (sides: number): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * sides);
  };
  const peers = [1, 2, 3].map((id) => Automerge.init<Plan>({ actor: `0${id}`.repeat(24) }));
  const whole = new Door();
  const alone = new Door();
  let stretches = 0;
  let refused = 0;
  for (let round = 0; round < 60; round++) {
    const at = roll(3);
    const doc = peers[at] as Automerge.Doc<Plan>;
    const next = Automerge.change(doc, { time: 0 }, (plan) => {
      const key = "ab"[roll(2)] as string;
      const word = ["oma", "é😀", "goed"][roll(3)] as string;
      const text = plan[key];
      if (text === undefined) plan[key] = word;
      else Automerge.splice(plan, [key], roll(text.length + 1), roll(2), word);
    });
    for (const raw of Automerge.getChanges(doc, next)) {
      const change = parseChange(raw);
      const ops = change.ops.each();
      expect(change.ops.length).toBe(ops.length);
      const from = roll(ops.length);
      const bent: Op[] = ops.map((op, nth) => {
        if (nth !== from || op.element === null) return op;
        return { ...op, element: { ...op.element, counter: 1 + roll(change.maxOp + 2) } };
      });
      for (const tried of [encodeChange({ ...change, ops: bent }), raw]) {
        // What it reads is what one by one would be packed into these bytes.
        if (refusal(() => parseChange(tried)) === undefined)
          expect(hex(encodeChange(parseChange(tried)))).toBe(hex(tried));
        const found = verdict(whole, () => parseChange(tried));
        expect(found).toBe(verdict(alone, () => single(parseChange(tried))));
        if (found.length < 64) refused++;
      }
      stretches += stretchesOf(change).length;
      whole.admit(whole.check(raw));
      const each = single(change);
      alone.checkParsed(each);
      alone.admit(each);
    }
    peers[at] = next;
    const other = (at + 1) % 3;
    if (roll(2) === 0)
      peers[other] = Automerge.merge(peers[other] as Automerge.Doc<Plan>, Automerge.clone(next));
  }
  // Both saw the same world, and each its share of what is asked here.
  expect(hex(whole.dump())).toBe(hex(alone.dump()));
  expect(stretches).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(5);
});

test.each(["goed", "Zoë", "😀é", "a\u0301b"])("a word is one stretch: %s", (text) => {
  const change = parseChange(typed(text, "x", text));
  const letters = [...text];
  expect(stretchesOf(change).map((stretch) => stretch.text)).toEqual([text, text]);
  expect(stretchesOf(change).map(({ size }) => size)).toEqual([letters.length, letters.length]);
  expect(change.ops.length).toBe(2 * letters.length + 4);
  const ops = change.ops.each();
  expect(ops.filter(({ action }) => action === "insert").map(({ value }) => value)).toEqual([
    ...letters,
    "x",
    ...letters,
  ]);
  // Each letter names the one before it.
  const first = change.ops.spans.findIndex((span) => span instanceof Stretch);
  const at = change.ops.first(first);
  expect([ops[at - 1]?.element, ops[at]?.element]).toEqual([null, { counter: at, actor: change.actor }]);
  expect(change.ops.spanAt(at)).toBe(change.ops.spans[first]);
  expect(change.ops.first(change.ops.spans.length)).toBe(change.maxOp + 1);
});

test("who types on in the middle of a stretch names a letter that is there", () => {
  const door = new Door();
  const first = parseChange(typed("goed"));
  door.admit(door.check(first.raw));
  const obj = { counter: 1, actor: first.actor };
  const after = (counter: number): Uint8Array => {
    const op: Op = { action: "insert", obj, key: null, element: { ...obj, counter }, value: "x", pred: [] };
    const made: Unpacked = { deps: [first.hash], actor: "02".repeat(24), seq: 1, startOp: 6, ops: [op] };
    return encodeChange(made);
  };
  for (const counter of [2, 3, 5]) door.check(after(counter));
  for (const counter of [1, 6]) expect(refusal(() => door.check(after(counter)))).toBe("no_element");
});

describe("columns that were met", () => {
  const packed = (...values: number[]): Uint8Array => {
    const out = new Packing();
    encodeNumbers(out, values);
    return out.since().slice();
  };

  test("have a bound", () => {
    let decoded = 0;
    const columns = new Columns<number | null>((data, limit) => {
      decoded++;
      return decodeNumbers(data, limit);
    }, encodeNumbers);
    for (let value = 0; value < 3 * MOST_REMEMBERED; value++) columns.read(packed(value), 1);
    expect(columns.remembered).toBeLessThanOrEqual(MOST_REMEMBERED);
    const before = decoded;
    columns.read(packed(3 * MOST_REMEMBERED - 1), 1);
    expect(decoded).toBe(before);
    // Three bytes that are twenty thousand values, and many bytes, are read each time.
    const held = columns.remembered;
    expect(columns.read(packed(...new Array<number>(20_000).fill(7)), 20_000).length).toBe(20_000);
    columns.read(packed(...Array.from({ length: 100 }, (_, at) => at)), 100);
    expect(columns.remembered).toBe(held);
  });

  test("one that is too long here was not elsewhere", () => {
    const data = packed(...new Array<number>(9).fill(5));
    expect(readNumbers(data, 9)).toEqual(new Array(9).fill(5));
    expect(refusal(() => readNumbers(data, 8))).toBe("not_canonical");
  });

  test("another packing of the same values is refused each time", () => {
    const columns = new Columns<number | null>(
      (data) => [...data],
      (out) => out.byte(1),
    );
    expect(columns.read(Uint8Array.of(1), 1)).toEqual([1]);
    for (let time = 0; time < 2; time++)
      expect(() => columns.read(Uint8Array.of(2), 1)).toThrow("another encoding of the same column");
  });
});

test("letters that are cut elsewhere than between two of them", () => {
  const raw = typed("éo");
  // As many bytes and as many letters, and the first is half of one.
  const bent = unhex(hex(raw).replace("7d002616", "7d001626"));
  expect(hex(bent)).not.toBe(hex(raw));
  const cursor = new Cursor(bent, 9);
  cursor.uleb();
  const [again] = hashedChunk(bent.subarray(cursor.pos));
  expect(refusal(() => parseChange(again))).toBe("bad_value");
});

test("operations that were put together by hand", () => {
  const change = parseChange(typed("ab"));
  const ops = change.ops.each();
  expect(operationsOf({ ...change, ops }).spans).toEqual(ops);
  expect(operationsOf(change)).toBe(change.ops);
});
