/**
 * The strict door of one part: which changes may reach the engine. Spec: docs/spec/change.md.
 *
 * It keeps no words, only names: which operations exist, where they stand (`names.ts`), and what each change had seen.
 * Whether an actor belongs to a device that may write here is the caller's question; this module answers the ones that
 * need only the part's own changes. Mirrors core/eigenkring/part/door.py.
 */

import { concatAll } from "../../crypto/kdf";
import { type Change, parseChange } from "../change";
import { Inadmissible } from "../errors";
import { type Hex, hex, unhex } from "../ids";
import { type Op, type Operations, type OpId, operationsOf, type Stretch, sameName } from "../operation";
import { decode, encode, type Packable } from "../packed";
import { Column, type Laid, Names, NOBODY, type PackedColumn } from "./names";

const DEVICE_DIGITS = 32; // 16 bytes in hex
/**
 * A device writes as a new actor after its store was restored. Without a bound one device could make as many actors as
 * it likes, and what each change has seen is kept per actor.
 */
export const MAX_INCARNATIONS = 256;
/** The JavaScript engine takes minutes for maps nested thousands deep, which one change of a few kilobytes can make. */
export const MAX_DEPTH = 16;

const MAP = 0;
const TEXT = 1;
type Kind = typeof MAP | typeof TEXT;
const ROOT: Laid = MAP;
const NO_OBJECT: Laid = -1;
type Place = readonly [index: number, seq: number];

function laid(kind: Kind, depth: number): Laid {
  return 2 * depth + kind;
}

function depthOf(object: Laid): number {
  return object >> 1;
}

/** What the door keeps of one actor. Lists by sequence - 1; `seen` is what each change has seen of every actor. */
interface Actor {
  readonly actor: Hex;
  readonly hashes: Hex[];
  readonly seen: (readonly number[])[]; // its own place means nothing
  names: Names;
}

function kindMade({ action }: Op | Stretch): Kind | undefined {
  return action === "make_map" ? MAP : action === "make_text" ? TEXT : undefined;
}

/** `check` says no by throwing and changes nothing; `admit` then takes in what `check` returned. */
export class Door {
  private readonly actors: Actor[] = [];
  private readonly index = new Map<Hex, number>();
  private readonly changes = new Map<Hex, Place>();
  private readonly tips = new Set<Hex>();
  private readonly incarnations = new Map<Hex, number>();
  private readonly keys = new Map<string, number>(); // of maps, each with its number

  // What the caller may ask

  get size(): number {
    return this.changes.size;
  }

  has(change: Hex): boolean {
    return this.changes.has(change);
  }

  heads(): Hex[] {
    return [...this.tips].sort();
  }

  /** Of every actor the highest admitted sequence. */
  clock(): Map<Hex, number> {
    return new Map(this.actors.map((entry) => [entry.actor, entry.hashes.length]));
  }

  highestSeq(actor: Hex): number {
    return this.entry(actor)?.hashes.length ?? 0;
  }

  /** The hash of the actor's newest admitted change. */
  newest(actor: Hex): Hex | undefined {
    return this.entry(actor)?.hashes.at(-1);
  }

  /** Whether `change` is `newest` or its ancestor; false when one of them was never admitted. */
  covers(newest: Hex, change: Hex): boolean {
    const head = this.changes.get(newest);
    const asked = this.changes.get(change);
    return head !== undefined && asked !== undefined && asked[1] <= this.seenOf(head, asked[0]);
  }

  private entry(actor: Hex): Actor | undefined {
    const index = this.index.get(actor);
    return index === undefined ? undefined : this.actors[index];
  }

  private at([index]: Place): Actor {
    return this.actors[index] as Actor;
  }

  private place(change: Hex): Place {
    return this.changes.get(change) as Place;
  }

  private seenBy(place: Place): readonly number[] {
    return this.at(place).seen[place[1] - 1] as readonly number[];
  }

  /** How many changes of an actor the change has among itself and its ancestors. */
  private seenOf(place: Place, actor: number): number {
    return place[0] === actor ? place[1] : (this.seenBy(place)[actor] ?? 0);
  }

  // The rules

  check(raw: Uint8Array): Change {
    const change = parseChange(raw);
    this.checkParsed(change);
    return change;
  }

  /** The rules that need the changes before it. The order is part of the specification. */
  checkParsed(change: Change): void {
    if (this.changes.has(change.hash)) throw new Inadmissible("duplicate_change");
    for (const dep of change.deps) if (!this.changes.has(dep)) throw new Inadmissible("missing_dependency");
    const entry = this.entry(change.actor);
    if (change.seq !== (entry?.hashes.length ?? 0) + 1) throw new Inadmissible("bad_sequence");
    if (entry === undefined) {
      if ((this.incarnations.get(change.actor.slice(0, DEVICE_DIGITS)) ?? 0) >= MAX_INCARNATIONS)
        throw new Inadmissible("bad_actor", "too many incarnations of one device");
    } else if (!change.deps.includes(entry.hashes.at(-1) as Hex)) throw new Inadmissible("own_dependency");
    // Else a huge start would use up the counters, and no honest change could follow.
    let highest = 0;
    for (const dep of change.deps) {
      const place = this.place(dep);
      highest = Math.max(highest, this.at(place).names.endOf(place[1]));
    }
    if (change.startOp !== highest + 1) throw new Inadmissible("bad_start");
    this.checkReferences(change, this.merged(change));
  }

  /** What the dependencies together have seen, by index of the actor. */
  private merged(change: Change): readonly number[] {
    const only = change.deps.length === 1 ? this.place(change.deps[0] as Hex) : undefined;
    // Typing on alone: the same list as before, so a long run of keystrokes costs one.
    if (only !== undefined && this.at(only).actor === change.actor) return this.seenBy(only);
    const merged: number[] = new Array(this.actors.length).fill(0);
    for (const dep of change.deps) {
      const place = this.place(dep);
      const seen = this.seenBy(place);
      for (let actor = 0; actor < seen.length; actor++) {
        const count = seen[actor] as number;
        if (count > (merged[actor] as number)) merged[actor] = count;
      }
      merged[place[0]] = Math.max(merged[place[0]] as number, place[1]);
    }
    return merged;
  }

  /**
   * Whether what one change names exists for it: in an ancestor or earlier in itself, and it fits. An operation that is
   * admitted but in no ancestor is refused too: the author cannot have seen it, and the verdict would depend on what
   * else happens to lie before the change in the stream.
   */
  private checkReferences(change: Change, seen: readonly number[]): void {
    const ops = operationsOf(change);
    const of = { actor: change.actor, ops, seen };
    const written = new Map<string, OpId>(); // what this change last put under a key
    // Of a stretch its first letter is asked: every other one stands after the one before, in the same text.
    for (let nth = 0; nth < ops.spans.length; nth++) {
      const op = ops.spans[nth] as Op | Stretch;
      const counter = ops.first(nth);
      const object = this.object(of, op.obj, counter);
      if (object === NO_OBJECT || object % 2 !== (op.key === null ? TEXT : MAP))
        throw new Inadmissible("no_object");
      if (kindMade(op) !== undefined && depthOf(object) >= MAX_DEPTH)
        throw new Inadmissible("too_large", "objects nested too deeply");
      if (op.key === null) {
        if (op.element !== null && !this.stands(of, op.element, op, counter))
          throw new Inadmissible("no_element");
        continue;
      }
      for (const pred of op.pred)
        if (!this.stands(of, pred, op, counter)) throw new Inadmissible("no_predecessor");
      // Else one change could put 20,000 values beside each other under one key, and every later step of an engine
      // would walk them. Who writes a key twice replaces the own first value.
      const place = `${op.obj === null ? "" : `${op.obj.counter}@${op.obj.actor}`}/${op.key}`;
      const last = written.get(place);
      if (last !== undefined && !op.pred.some((pred) => sameName(pred, last)))
        throw new Inadmissible("no_predecessor");
      if (op.action === "del") written.delete(place);
      else written.set(place, { counter, actor: change.actor });
    }
  }

  /** The earlier operation of this change that is named; null for a later one, false for another change's. */
  private inside({ actor, ops }: Asking, id: OpId, before: number): Op | Stretch | null | false {
    if (id.actor !== actor || id.counter < ops.start) return false;
    return id.counter < before ? ops.spanAt(id.counter - ops.start) : null;
  }

  /** The actor, when the name is of a change that this one has seen. */
  private outside({ actor, seen }: Asking, id: OpId): Actor | undefined {
    const index = this.index.get(id.actor);
    if (index === undefined) return undefined;
    const entry = this.actors[index] as Actor;
    if (id.actor === actor) return entry;
    return entry.names.changesUntil(id.counter) <= (seen[index] ?? 0) ? entry : undefined;
  }

  /** Kind and depth of the object that is named. */
  private object(of: Asking, id: OpId | null, before: number): Laid {
    if (id === null) return ROOT;
    const inside = this.inside(of, id, before);
    if (inside === false) return this.outside(of, id)?.names.objectAt(id.counter) ?? NO_OBJECT;
    const kind = inside === null ? undefined : kindMade(inside);
    if (inside === null || kind === undefined) return NO_OBJECT;
    // Operations of this change were checked before this one, so the walk is no longer than MAX_DEPTH.
    return laid(kind, depthOf(this.object(of, inside.obj, before)) + 1);
  }

  /** Whether the named operation holds a value in the object and under the key of `op`. */
  private stands(of: Asking, id: OpId, op: Op | Stretch, before: number): boolean {
    const inside = this.inside(of, id, before);
    if (inside === null) return false;
    if (inside !== false)
      return inside.action !== "del" && sameName(inside.obj, op.obj) && inside.key === op.key;
    const names = this.outside(of, id)?.names;
    if (names === undefined) return false;
    const [obj, objActor] = op.obj === null ? [0, NOBODY] : [op.obj.counter, this.numberOf(op.obj.actor)];
    return names.stands(id.counter, obj, objActor, op.key === null ? NOBODY : this.keys.get(op.key));
  }

  /** Of an actor, in columns. */
  private numberOf(actor: Hex): number | undefined {
    const index = this.index.get(actor);
    return index === undefined ? undefined : index + 1;
  }

  /** Take in a change that `check` has just returned. */
  admit(change: Change): void {
    const seen = this.merged(change);
    const entry = this.entry(change.actor) ?? this.enter(change.actor);
    if (entry.hashes.length !== change.seq - 1)
      throw new TypeError("only the change that was checked last may be admitted");
    entry.hashes.push(change.hash);
    entry.seen.push(seen);
    const { names } = entry;
    names.addChange(change.startOp, change.maxOp);
    this.changes.set(change.hash, [this.index.get(change.actor) as number, change.seq]);
    const ops = operationsOf(change);
    for (let nth = 0; nth < ops.spans.length; nth++) {
      const op = ops.spans[nth] as Op | Stretch;
      const counter = ops.first(nth);
      const objActor = op.obj === null ? NOBODY : (this.numberOf(op.obj.actor) as number);
      const obj = op.obj === null ? 0 : op.obj.counter;
      const kind = kindMade(op);
      if (kind !== undefined) {
        const above = objActor === NOBODY ? ROOT : (this.actors[objActor - 1]?.names.objectAt(obj) ?? ROOT);
        names.addObject(counter, laid(kind, depthOf(above) + 1));
      }
      if (op.action !== "del")
        names.place(counter, ops.first(nth + 1) - 1, obj, objActor, this.keyed(op.key));
    }
    for (const dep of change.deps) this.tips.delete(dep);
    this.tips.add(change.hash);
  }

  /** The number of a key, which is its own from now on. */
  private keyed(key: string | null): number {
    if (key === null) return NOBODY;
    const known = this.keys.get(key);
    if (known !== undefined) return known;
    this.keys.set(key, this.keys.size + 1);
    return this.keys.size;
  }

  private enter(actor: Hex): Actor {
    const entry: Actor = { actor, hashes: [], seen: [], names: Names.empty() };
    this.index.set(entry.actor, this.actors.length);
    this.actors.push(entry);
    const device = entry.actor.slice(0, DEVICE_DIGITS);
    this.incarnations.set(device, (this.incarnations.get(device) ?? 0) + 1);
    return entry;
  }

  // Cache

  /** For the device's own store; no protocol format. `load` believes every byte of it. */
  dump(): Uint8Array {
    const clocks = new Map<readonly number[], number>();
    const actors = this.actors.map((entry): Packable => {
      const seen = Column.empty();
      for (const each of entry.seen) {
        const at = clocks.get(each) ?? clocks.size;
        clocks.set(each, at);
        seen.push(at);
      }
      return [
        entry.actor,
        concatAll(entry.hashes.map((hash) => unhex(hash))),
        seen.pack(),
        entry.names.pack(),
      ];
    });
    // One text: to decode ten thousand takes longer than all the rest.
    return encode([actors, [...clocks.keys()], JSON.stringify([...this.keys.keys()]), this.heads()]);
  }

  static load(data: Uint8Array): Door {
    const [actors, clocks, keys, heads] = decode(data) as unknown as Saved;
    const door = new Door();
    for (const [actor, hashes, seen, names] of actors) {
      const entry = door.enter(actor);
      door.remember(entry, hashes, Column.of(seen), clocks);
      entry.names = Names.of(names);
    }
    for (const key of JSON.parse(keys)) door.keyed(key);
    for (const head of heads) door.tips.add(head);
    return door;
  }

  private remember({ actor, hashes, seen }: Actor, joined: Uint8Array, found: Column, clocks: Clocks): void {
    const digits = hex(joined);
    const index = this.index.get(actor) as number;
    for (let at = 0; at < found.length; at++) {
      const hash = digits.slice(64 * at, 64 * at + 64);
      hashes.push(hash);
      seen.push(clocks[found.at(at)] as readonly number[]);
      this.changes.set(hash, [index, at + 1]);
    }
  }

  /** What programs before columns kept; before stretches, objects by their names. */
  static loadEarlier(data: Uint8Array): Door {
    const [actors, clocks, objects, heads] = decode(data) as unknown as EarlierSaved;
    const door = new Door();
    for (const [actor] of actors) door.enter(actor);
    for (const [index, [, joined, starts, ends, seen, runs]] of actors.entries()) {
      const entry = door.actors[index] as Actor;
      const found = Column.empty();
      for (const [at, start] of starts.entries()) {
        found.push(seen[at] as number);
        entry.names.addChange(start, ends[at] as number);
      }
      door.remember(entry, joined, found, clocks);
      for (const run of runs) {
        const [first, last, obj, objIndex, key] = run.length === 5 ? run : door.runByName(run);
        entry.names.place(first, last, obj, objIndex + 1, door.keyed(key));
      }
    }
    for (const [index, saved] of objects.entries()) {
      if (typeof saved[0] === "string") door.objectByName(saved as ObjectByName);
      else {
        const half = saved.length / 2;
        const { names } = door.actors[index] as Actor;
        for (let at = 0; at < half; at++) names.addObject(saved[at] as number, saved[half + at] as number);
      }
    }
    for (const head of heads) door.tips.add(head);
    return door;
  }

  private runByName([first, last, obj, key]: RunByName): EarlierRun {
    const [counter, index] = this.named(obj);
    return [first, last, counter, index, key];
  }

  private objectByName([name, kind, depth]: ObjectByName): void {
    const [counter, index] = this.named(name);
    (this.actors[index] as Actor).names.addObject(counter, laid(kind === "text" ? TEXT : MAP, depth));
  }

  private named(name: string | null): readonly [counter: number, index: number] {
    if (name === null) return [0, -1];
    const [counter, actor] = name.split("@") as [string, Hex];
    return [Number(counter), this.index.get(actor) as number];
  }
}

/** The change whose references are asked. */
interface Asking {
  readonly actor: Hex;
  readonly ops: Operations;
  readonly seen: readonly number[];
}

type Clocks = readonly (readonly number[])[];
type Saved = readonly [
  actors: readonly (readonly [Hex, hashes: Uint8Array, seen: PackedColumn, names: readonly PackedColumn[]])[],
  clocks: Clocks,
  keys: string,
  heads: readonly Hex[],
];
type EarlierRun = readonly [first: number, last: number, obj: number, objIndex: number, key: string | null];
type RunByName = readonly [first: number, last: number, obj: string | null, key: string | null];
type ObjectByName = readonly [name: string, kind: "map" | "text", depth: number];
type EarlierActor = readonly [
  actor: Hex,
  hashes: Uint8Array,
  starts: readonly number[],
  ends: readonly number[],
  seen: readonly number[],
  runs: readonly (EarlierRun | RunByName)[],
];
type EarlierSaved = readonly [
  actors: readonly EarlierActor[],
  clocks: Clocks,
  objects: readonly (readonly number[] | ObjectByName)[],
  heads: readonly Hex[],
];
