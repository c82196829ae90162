import fc from "fast-check";
import "./examples";
import { describe, expect, test } from "vitest";
import { Engine } from "../src/core/crdt";
import { applyIntents, type Intent, read } from "../src/core/document";
import { EngineFailed, type Misuse } from "../src/core/errors";
import { type Chain, type DeviceId, hex, type StreamId } from "../src/core/ids";
import { keptIntents, remake } from "../src/core/part/again";
import { actorOf, makeEditRecord } from "../src/core/part/author";
import { Door } from "../src/core/part/door";
import { PartFold } from "../src/core/part/fold";
import type { Rights } from "../src/core/part/rights";
import { makeSnapshot } from "../src/core/part/snapshot";
import { extend, first } from "../src/crypto/chain";
import { DeviceKeys } from "../src/crypto/device";
import { concat } from "../src/crypto/kdf";

const KIND = {
  collections: new Map([
    [
      "agreements",
      {
        fields: new Map(
          Object.entries({ what: "text", who: "set", day: "date", hours: "number", done: "boolean" }).map(
            ([name, type]) => [name, { type }],
          ),
        ),
      },
    ],
  ]),
};
const ACTOR = new Uint8Array(24).fill(1);
const WHAT = ["agreements", "a1", "what"] as const;
const ADD: Intent = ["add", "agreements", "a1", { what: "Oma haalt Sam op", who: ["oma"] }];

function done(...intents: Intent[]): Engine {
  const engine = new Engine(ACTOR);
  applyIntents(engine, KIND, intents);
  return engine;
}

function value(engine: Engine, field: string) {
  return read(engine, KIND).get("agreements")?.get("a1")?.get(field);
}

describe("what a person does", () => {
  test("becomes one change that the door takes, and in a text the smallest splice", () => {
    const engine = done(ADD);
    applyIntents(engine, KIND, [["set", WHAT, "Opa haalt Sam op"]]);
    applyIntents(engine, KIND, [["splice", WHAT, 3, 0, " 👴🏽"]]);
    const door = new Door();
    const sizes = engine.changes().map((raw) => {
      const change = door.check(raw);
      door.admit(change);
      return change.ops.length;
    });
    // One letter out and one in; then a space and the two scalars of the old man.
    expect(sizes.slice(1)).toEqual([2, 3]);
    expect(value(engine, "what")).toBe("Opa 👴🏽 haalt Sam op");
  });

  test("that makes an item makes it at once, as one field after the other would", () => {
    const letters = fc.string({ unit: "grapheme-composite", maxLength: 40 });
    const fields = fc.record(
      { what: letters, day: letters, done: fc.oneof(fc.boolean(), fc.constant(null)) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fields, (given) => {
        const atOnce = new Engine(ACTOR);
        const [raw] = applyIntents(atOnce, KIND, [["add", "agreements", "a1", given]]);
        const oneByOne = new Engine(ACTOR);
        // A number is no part of what is made at once.
        applyIntents(oneByOne, KIND, [
          ["add", "agreements", "a1", { ...given, hours: 1 }],
          ["delete", ["agreements", "a1", "hours"]],
        ]);
        expect(read(atOnce, KIND)).toEqual(read(oneByOne, KIND));
        expect(new Door().check(raw as Uint8Array).seq).toBe(1);
      }),
    );
  });

  test("that changes nothing makes nothing", () => {
    const engine = done(ADD);
    expect(applyIntents(engine, KIND, [["set", WHAT, "Oma haalt Sam op"]])).toEqual([]);
    expect(applyIntents(engine, KIND, [["set", ["agreements", "a1", "who"], ["oma"]]])).toEqual([]);
  });

  test("fits however long it is, in changes that the door takes", () => {
    const engine = done(ADD);
    const words = "grote woorden 😀 ".repeat(3000);
    const changes = applyIntents(engine, KIND, [["set", WHAT, words]]);
    expect(changes.length).toBeGreaterThan(1);
    expect(value(engine, "what")).toBe(words);
    const door = new Door();
    for (const raw of engine.changes()) door.admit(door.check(raw));
  });

  test.each<[string, unknown[], string]>([
    ["an item twice", ["add", "agreements", "a1", {}], "bad_argument"],
    ["a name with a slash", ["add", "agreements", "a/1", {}], "bad_path"],
    ["an item that is not there", ["set", ["agreements", "a2", "what"], "x"], "no_such_item"],
    ["a number for a text", ["set", WHAT, 3], "bad_value"],
    ["half a character", ["set", WHAT, "\ud83d"], "bad_value"],
    ["a splice beyond the end", ["splice", WHAT, 10, 7, ""], "bad_value"],
    ["no finite number", ["set", ["agreements", "a1", "hours"], Number.NaN], "bad_value"],
    ["a set of numbers", ["set", ["agreements", "a1", "who"], [1]], "bad_value"],
    ["a field that is not there", ["delete", ["agreements", "a1", "mood"]], "no_such_field"],
    ["no intent", ["rename", WHAT, "x"], "bad_argument"],
  ])("refused with everything beside it: %s", (_, intent, code) => {
    const engine = done(ADD);
    const before = hex(engine.save());
    const given = [["set", WHAT, "iets anders"], intent] as unknown as Intent[];
    expect(() => applyIntents(engine, KIND, given)).toThrow(expect.objectContaining({ code }) as Misuse);
    expect(hex(engine.save())).toBe(before);
    expect(value(engine, "what")).toBe("Oma haalt Sam op");
  });
});

describe("the engine", () => {
  test("is what it was when something breaks in it", () => {
    const engine = done(ADD);
    const broken = () =>
      engine.commit((writing) => {
        writing.delete(engine.root, "agreements/a1");
        throw new RangeError("half way");
      });
    expect(broken).toThrow(EngineFailed);
    expect(() => engine.apply([Uint8Array.of(1, 2, 3)])).toThrow(EngineFailed);
    expect(value(engine, "what")).toBe("Oma haalt Sam op");
    expect(applyIntents(engine, KIND, [["set", WHAT, "verder"]])).toHaveLength(1);
    const again = Engine.load(engine.save(), ACTOR);
    expect(read(again, KIND)).toEqual(read(engine, KIND));
    expect(applyIntents(again, KIND, [["set", WHAT, "en verder"]])).toHaveLength(1);
  });

  test("loads one document as it was saved, and nothing that stands after it", () => {
    const engine = done(ADD);
    applyIntents(engine, KIND, [["set", WHAT, "x".repeat(20_000)]]);
    const saved = engine.save();
    const again = Engine.load(saved, ACTOR);
    expect(again.heads()).toEqual(engine.heads());
    expect(again.changes()).toEqual(engine.changes());
    expect(again.save()).toEqual(saved);
    // As the same actor, it goes on where it was.
    const next: Intent = ["set", WHAT, "en verder"];
    expect(applyIntents(again, KIND, [next])).toEqual(applyIntents(engine, KIND, [next]));
    const bit = saved.slice();
    bit[40] = (bit[40] as number) ^ 1;
    const more = [new Uint8Array(1), saved, saved.subarray(0, 20), engine.changes()[0] as Uint8Array];
    const damaged = [bit, new Uint8Array(), saved.subarray(0, 8), saved.subarray(0, -1)];
    for (const other of [...damaged, ...more.map((after) => concat(saved, after))]) {
      expect(() => Engine.load(other, ACTOR)).toThrow(EngineFailed);
    }
  });
});

describe("made again", () => {
  test("a text that was set brings back its own words and takes nobody else's", () => {
    const engine = done(ADD);
    const intent: Intent = ["set", WHAT, "Opa haalt Sam op"];
    const kept = keptIntents(engine, [intent]);
    expect(kept[0]?.slice(0, 1)).toEqual(["splice"]);
    const other = done(ADD);
    applyIntents(other, KIND, [["splice", WHAT, 16, 0, " om vijf uur"]]);
    remake(other, KIND, kept);
    expect(value(other, "what")).toBe("Opa haalt Sam op om vijf uur");
  });

  test("an item that is gone comes back with what was set in it", () => {
    const engine = done(["add", "agreements", "a2", {}]);
    remake(engine, KIND, [["set", WHAT, "terug"]]);
    expect(value(engine, "what")).toBe("terug");
  });
});

// --- honest peers

const STREAM = new Uint8Array(16).fill(7) as StreamId;
const HEAD = new Uint8Array(32).fill(9);

async function peers(count: number) {
  const people = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const keys = await DeviceKeys.fromSeed(new Uint8Array(32).fill(at + 1));
      const device = new Uint8Array(16).fill(at + 1) as DeviceId;
      return { keys, device, actor: actorOf(STREAM, device, new Uint8Array(8).fill(at)) };
    }),
  );
  const charter: Rights = {
    n: 1,
    devices: new Map(people.map(({ device, keys }) => [hex(device), { sign: keys.sign.public }])),
    cuts: new Map(),
    headIndex: () => 1,
    epochAt: () => 1,
    wroteInEpoch: () => true,
    cutFor: () => undefined,
  };
  return { people, charter };
}

const words = fc.string({ unit: "grapheme", maxLength: 12 });
const intents = fc.oneof(
  fc.tuple(fc.constant("set"), fc.constant(WHAT), words),
  fc.tuple(
    fc.constant("set"),
    fc.constant(["agreements", "a1", "who"]),
    fc.uniqueArray(fc.constantFrom("oma", "opa", "😀")),
  ),
  fc.tuple(
    fc.constant("set"),
    fc.constant(["agreements", "a1", "hours"]),
    fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  ),
  fc.tuple(fc.constant("set"), fc.constant(["agreements", "a1", "mood"]), words),
  fc.tuple(fc.constant("set"), fc.constant(["agreements", "a1", "done"]), fc.boolean()),
);

test("honest peers are never refused, and all see one document", async () => {
  const { people, charter } = await peers(3);
  const step = fc.tuple(fc.nat(people.length - 1), fc.constantFrom("edit", "send", "pull"), intents);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const stream: Uint8Array[] = [];
      const chains = [first(STREAM) as Uint8Array as Chain];
      const devices = people.map((person) => {
        const fold = new PartFold(
          { stream: STREAM, name: "plan", writeRoom: "owner", manageRoom: "owner" },
          () => undefined,
          () => new Engine(person.actor),
        );
        return { ...person, fold, read: 0, unsent: [] as Uint8Array[] };
      });
      type Device = (typeof devices)[number];
      const pull = async (device: Device) => {
        for (; device.read < stream.length; device.read++) {
          const verdict = await device.fold.take(
            device.read + 1,
            stream[device.read] as Uint8Array,
            (at) => chains[at],
            charter,
          );
          expect(verdict.refused).toEqual([]);
        }
        expect(device.fold.alarm).toBe(false);
      };
      const edit = (device: Device, intent: Intent) => {
        const made = applyIntents(device.fold.engine as Engine, KIND, [intent]);
        device.fold.takeOwn(made);
        device.unsent.push(...made);
      };
      const send = async (device: Device) => {
        if (device.unsent.length === 0) return;
        const author = {
          device: device.device,
          epoch: 1,
          head: HEAD as never,
          length: device.read,
          chain: chains[device.read] as Chain,
          day: null,
        };
        const payload = await makeEditRecord(device.keys.sign, STREAM, author, device.unsent);
        device.unsent = [];
        stream.push(payload);
        chains.push(extend(chains.at(-1) as Chain, payload) as Uint8Array as Chain);
      };
      edit(devices[0] as Device, ADD);
      for (const device of devices) {
        await send(device);
        await pull(device);
      }
      for (const [at, act, intent] of steps) {
        const device = devices[at] as Device;
        if (act === "edit") edit(device, intent as unknown as Intent);
        else if (act === "send") await send(device);
        else await pull(device);
      }
      for (const device of devices) await send(device);
      for (const device of devices) await pull(device);
      const documents = devices.map((device) => read(device.fold.engine as Engine, KIND));
      expect(documents[1]).toEqual(documents[0]);
      expect(documents[2]).toEqual(documents[0]);
      // A newcomer who is given a snapshot sees the same.
      const [one] = devices as [Device];
      const { changes, atts, witnesses } = one.fold.basis();
      const claim = {
        device: one.device,
        epoch: 1,
        head: HEAD as never,
        n: stream.length,
        chain: chains.at(-1) as Chain,
        atts,
      };
      const payload = await makeSnapshot(one.keys.sign, STREAM, claim, changes, witnesses);
      const newcomer = new PartFold(
        one.fold.part,
        () => undefined,
        () => new Engine(ACTOR),
      );
      const verdict = await newcomer.take(stream.length + 1, payload, () => undefined, charter);
      expect(verdict.refused).toEqual([]);
      expect(read(newcomer.engine as Engine, KIND)).toEqual(documents[0]);
    }),
    { numRuns: 25 },
  );
});
