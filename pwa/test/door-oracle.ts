/**
 * The TypeScript door and the JavaScript engine as a program, for tests/unit/test_door_differential.py.
 *
 * Reads lines, answers each with one line:
 *   new            forget everything                                    ok
 *   check <hex>    is the change admissible?                            a code, or its hash
 *   admit <hex>    and let it in                                        a code, or its hash and the heads
 *   state          what the engine shows of the admitted changes        JSON
 *   edit <seed>    go on writing as an honest peer; nothing is let in   the changes in hex
 * What is no Inadmissible is answered as `crash`, so that it never passes for a verdict.
 */
import { createInterface } from "node:readline";
import * as Automerge from "@automerge/automerge";
import { encodeChange } from "../src/core/change";
import { Inadmissible } from "../src/core/errors";
import { hex, unhex } from "../src/core/ids";
import { Door } from "../src/core/part/door";

let door = new Door();
let admitted: Uint8Array[] = [];

function tree(map: object): object {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => {
      if (value instanceof Automerge.ImmutableString) return [key, { value: value.val }];
      if (typeof value === "string") return [key, { text: value }];
      if (typeof value === "object" && value !== null) return [key, { map: tree(value) }];
      return [key, { value }];
    }),
  );
}

function state(): string {
  const [doc] = Automerge.applyChanges(Automerge.init<object>(), admitted);
  const again = Automerge.load<object>(Automerge.save(doc));
  const [shown, reloaded] = [doc, again].map((one) => JSON.stringify(tree(one)));
  if (shown !== reloaded) throw new Error("a saved document loads as another");
  const kept = [doc, again].map((one) => new Set(Automerge.getAllChanges(one).map(hex)));
  if (!kept.every((set) => set.size === admitted.length && admitted.every((raw) => set.has(hex(raw)))))
    throw new Error("the engine keeps other changes than were admitted");
  if (Automerge.getHeads(doc).toSorted().join() !== door.heads().join()) throw new Error("other heads");
  return shown as string;
}

function edit(seed: number): string {
  let now = seed;
  const roll = (sides: number) => {
    now = (now * 1103515245 + 12345) % 2147483648;
    return Math.floor((now / 2147483648) * sides);
  };
  const actor = `${"ee".repeat(16)}${seed.toString(16).padStart(16, "0")}`;
  const [before] = Automerge.applyChanges(Automerge.init<Record<string, unknown>>({ actor }), admitted);
  let doc = before;
  for (let round = 0; round < 8; round++)
    doc = Automerge.change(doc, { time: 0 }, (root) => {
      const name = Object.keys(root).find((key) => isMap(root[key]));
      const inner = name !== undefined && roll(2) === 0;
      const map = (inner ? root[name] : root) as Record<string, unknown>;
      const texts = Object.keys(map).filter((key) => typeof map[key] === "string");
      const text = texts[roll(texts.length)];
      if (text !== undefined && roll(3) > 0) {
        const size = (map[text] as string).length;
        Automerge.splice(root, inner ? [name, text] : [text], roll(size + 1), 0, ["x", "😀", "é"][roll(3)]);
      } else if (roll(4) === 0) delete map.a;
      else {
        const values = [roll(9), 1.5, null, true, {}, "hé", new Automerge.ImmutableString("s")];
        map["abc"[roll(3)] as string] = values[roll(7)];
      }
    });
  return Automerge.getChanges(before, doc).map(hex).join(" ");
}

function isMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && !(value instanceof Automerge.ImmutableString);
}

function answer(line: string): string {
  const [verb, text = ""] = line.split(" ");
  try {
    if (verb === "new") {
      door = new Door();
      admitted = [];
      return "ok";
    }
    if (verb === "state") return state();
    if (verb === "edit") return edit(Number(text));
    const raw = unhex(text);
    const change = door.check(raw);
    if (hex(encodeChange(change)) !== text) throw new Error("encodes to other bytes");
    if (verb === "check") return change.hash;
    door.admit(change);
    admitted.push(raw);
    // The cache holds all that later verdicts need: every change is judged by a door that came out of it.
    door = Door.load(door.dump());
    return `${change.hash} ${door.heads().join(",")}`;
  } catch (error) {
    return error instanceof Inadmissible ? error.code : `crash: ${String(error)}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${answer(line)}\n`);
