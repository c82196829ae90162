// What the door keeps as columns: numbers of any size, and what programs before columns kept (tests/vectors/fixed/doors.json,
// written by both languages of that version). Mirrors tests/unit/test_names.py.
import { describe, expect, test } from "vitest";
import doors from "../../tests/vectors/fixed/doors.json";
import { hashedChunk } from "../src/core/change";
import { Cursor } from "../src/core/columns";
import { Inadmissible } from "../src/core/errors";
import { hex, named, unhex } from "../src/core/ids";
import { decode, encode, type Packable } from "../src/core/packed";
import { dumpFold, loadFold } from "../src/core/part/cache";
import { Door } from "../src/core/part/door";
import { PartFold } from "../src/core/part/fold";
import { Column, Names, NOBODY } from "../src/core/part/names";

function verdict(door: Door, raw: Uint8Array): string {
  try {
    return door.check(raw).hash;
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
}

/** The same with one other byte, under a right checksum. */
function bent(raw: Uint8Array): Uint8Array[] {
  const cursor = new Cursor(raw, 9);
  cursor.uleb();
  const content = raw.slice(cursor.pos);
  const made: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += 3) {
    const changed = content.slice();
    changed[at] = (changed[at] as number) ^ 1;
    made.push(hashedChunk(changed)[0]);
  }
  return made;
}

describe.each(doors)("$about", ({ changes, then, typescript }) => {
  test("a door that was kept before columns opens as it was", () => {
    const door = new Door();
    for (const raw of changes) door.admit(door.check(unhex(raw)));
    const earlier = Door.loadEarlier(unhex(typescript));
    expect([earlier.heads(), earlier.clock(), earlier.size]).toEqual([door.heads(), door.clock(), door.size]);
    // And from then on it is kept as columns.
    const again = Door.load(earlier.dump());
    expect(hex(again.dump())).toBe(hex(earlier.dump()));
    const other = Door.load(door.dump());
    const refused = new Set<string>();
    for (const raw of then.map((text) => unhex(text))) {
      for (const each of bent(raw)) {
        const found = verdict(again, each);
        expect(verdict(other, each)).toBe(found);
        refused.add(found);
      }
      for (const each of [again, other]) each.admit(each.check(raw));
      expect([again.heads(), again.clock(), again.size]).toEqual([other.heads(), other.clock(), other.size]);
    }
    for (const code of ["no_object", "bad_start", "missing_dependency"]) expect(refused).toContain(code);
    expect(refused.has("no_element") || refused.has("no_predecessor")).toBe(true);
  });

  test("a door that was kept before there were stretches opens as it was", () => {
    type Run = readonly [number, number, counter: number, index: number, key: string | null];
    const [actors, clocks, objects, heads] = decode(unhex(typescript)) as unknown as [
      [string, Uint8Array, number[], number[], number[], Run[]][],
      number[][],
      number[][],
      string[],
    ];
    const of = (counter: number, index: number) => `${counter}@${actors[index]?.[0]}`;
    const byName = actors.map(([name, hashes, starts, ends, seen, runs]): Packable => {
      const ofRuns = runs.map(([first, last, counter, index, key]): Packable => {
        return [first, last, index < 0 ? null : of(counter, index), key];
      });
      return [name, hashes, starts, ends, seen, ofRuns];
    });
    const laid = objects.flatMap((found, index): Packable[] => {
      const half = found.length / 2;
      const kinds = found.slice(half);
      return found
        .slice(0, half)
        .map((counter, at) => [
          of(counter, index),
          (kinds[at] as number) % 2 ? "text" : "map",
          (kinds[at] as number) >> 1,
        ]);
    });
    expect(laid.length).toBeGreaterThan(5);
    const loaded = Door.loadEarlier(encode([byName, clocks, laid, heads]));
    expect(hex(loaded.dump())).toBe(hex(Door.loadEarlier(unhex(typescript)).dump()));
  });

  test("a part that was kept before columns opens", () => {
    const part = { stream: named(new Uint8Array(16)), name: "plan", write: "w", manage: "m" } as never;
    const heads = Door.loadEarlier(unhex(typescript)).heads();
    const saved = decode(dumpFold(new PartFold(part, () => undefined))) as ReadonlyMap<string, Packable>;
    for (const [version, opens] of [
      [2, true],
      [1, false],
      [4, false],
    ] as const) {
      const fold = new PartFold(part, () => undefined);
      const data = encode(new Map([...saved, ["version", version], ["door", unhex(typescript)]]));
      expect(loadFold(fold, data, { heads: () => heads } as never)).toBe(opens);
      expect(fold.door.heads()).toEqual(opens ? heads : []);
    }
  });
});

test.each([2 ** 32 - 11, 2 ** 32, 2 ** 53 - 20])("numbers beyond four bytes are kept: %i", (start) => {
  const names = Names.empty();
  names.addChange(1, 4);
  names.addObject(1, 2);
  names.place(1, 4, 0, NOBODY, 1);
  // Operations that nobody makes: more than four thousand million before them.
  names.addChange(start, start + 15);
  names.addObject(start + 12, 5);
  names.place(start, start + 11, 1, 1, NOBODY);
  names.place(start + 12, start + 15, start + 1, 1, NOBODY);
  const kept = decode(encode(names.pack())) as never;
  for (const each of [names, Names.of(kept)]) {
    expect([each.endOf(1), each.endOf(2)]).toEqual([4, start + 15]);
    expect([0, 1, start - 1, start, start + 99].map((at) => each.changesUntil(at))).toEqual([0, 1, 1, 2, 2]);
    expect([1, 2, start + 12].map((at) => each.objectAt(at))).toEqual([2, undefined, 5]);
    expect(each.stands(4, 0, NOBODY, 1)).toBe(true);
    expect(each.stands(5, 0, NOBODY, 1)).toBe(false);
    expect(each.stands(start + 11, 1, 1, NOBODY)).toBe(true);
    expect(each.stands(start + 15, start + 1, 1, NOBODY)).toBe(true);
    expect(each.stands(start + 15, start, 1, NOBODY)).toBe(false);
    expect(each.stands(start + 16, start + 1, 1, NOBODY)).toBe(false);
    expect(each.stands(start + 15, start + 1, undefined, NOBODY)).toBe(false);
    expect(each.stands(start + 15, start + 1, 1, undefined)).toBe(false);
  }
});

test("what goes on in one place is one run", () => {
  const [together, apart] = [Names.empty(), Names.empty()];
  for (let at = 1; at <= 90; at++) {
    together.place(at, at, 0, NOBODY, 3);
    apart.place(at, at, 0, NOBODY, 1 + (at % 2));
  }
  expect(encode(together.pack()).length).toBeLessThan(100);
  expect(encode(apart.pack()).length).toBeGreaterThan(1000);
  expect(together.stands(90, 0, NOBODY, 3)).toBe(true);
  expect(together.stands(91, 0, NOBODY, 3)).toBe(false);
});

test("a column gives back what was put in, at any length and any size", () => {
  const values = [0, 1, 7, 2 ** 32 - 1, 2 ** 32, 5, 2 ** 53 - 1];
  const column = Column.empty();
  expect(column.last()).toBeUndefined();
  for (let at = 0; at < 100; at++) column.push(at < 50 ? at : (values[at % values.length] as number));
  column.relast(2 ** 40);
  const again = Column.of(decode(encode(column.pack())) as never);
  for (const each of [column, again]) {
    expect(each.length).toBe(100);
    expect([each.at(0), each.at(49), each.at(53), each.last()]).toEqual([0, 49, values[53 % 7], 2 ** 40]);
  }
  again.push(8);
  expect([again.length, again.at(99), again.last()]).toEqual([101, 2 ** 40, 8]);
});
