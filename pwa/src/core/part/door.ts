/**
 * The strict door of one part: which changes may reach the engine. Spec: docs/spec/change.md.
 *
 * It keeps no words, only names: which operations exist, where they stand, and what each change had seen. Whether an
 * actor belongs to a device that may write here is the caller's question; this module answers the ones that need only
 * the part's own changes. Mirrors core/eigenkring/part/door.py.
 */

import { concatAll } from "../../crypto/kdf";
import { type Change, type Op, type OpId, parseChange, sameName } from "../change";
import { Inadmissible } from "../errors";
import { type Hex, hex, unhex } from "../ids";
import { decode, encode } from "../packed";

const DEVICE_DIGITS = 32; // 16 bytes in hex
/**
 * A device writes as a new actor after its store was restored. Without a bound one device could make as many actors as
 * it likes, and what each change has seen is kept per actor.
 */
export const MAX_INCARNATIONS = 256;
/** The JavaScript engine takes minutes for maps nested thousands deep, which one change of a few kilobytes can make. */
export const MAX_DEPTH = 16;

type Kind = "map" | "text";
type Name = string; // counter @ actor
type Place = readonly [index: number, seq: number];

/** Operations `first` to `last` of one actor in one place: a key of a map, or elements of a text. */
interface Run {
  readonly first: number;
  last: number;
  readonly obj: Name | null;
  readonly key: string | null;
}

/** What the door keeps of one actor. Lists by sequence - 1; `seen` is what each change has seen of every actor. */
interface Actor {
  readonly actor: Hex;
  readonly hashes: Hex[];
  readonly starts: number[]; // first operation of each change
  readonly ends: number[]; // last operation of each change
  readonly seen: (readonly number[])[]; // its own place means nothing
  readonly runs: Run[];
}

function nameOf(id: OpId): Name {
  return `${id.counter}@${id.actor}`;
}

function kindMade(op: Op): Kind | undefined {
  return op.action === "make_map" ? "map" : op.action === "make_text" ? "text" : undefined;
}

/** How many of the rising numbers are not above `value`. */
function countUpTo<T>(list: readonly T[], value: number, of: (item: T) => number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (of(list[middle] as T) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `check` says no by throwing and changes nothing; `admit` then takes in what `check` returned. */
export class Door {
  private readonly actors: Actor[] = [];
  private readonly index = new Map<Hex, number>();
  private readonly changes = new Map<Hex, Place>();
  private readonly objects = new Map<Name, readonly [kind: Kind, depth: number]>();
  private readonly tips = new Set<Hex>();
  private readonly incarnations = new Map<Hex, number>();

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
      highest = Math.max(highest, this.at(place).ends[place[1] - 1] as number);
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
      this.seenBy(place).forEach((count, actor) => {
        if (count > (merged[actor] as number)) merged[actor] = count;
      });
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
    const written = new Map<string, OpId>(); // what this change last put under a key
    change.ops.forEach((op, at) => {
      const counter = change.startOp + at;
      const [kind, depth] = this.object(change, seen, op.obj, counter);
      if (kind !== (op.key === null ? "text" : "map")) throw new Inadmissible("no_object");
      if (kindMade(op) !== undefined && depth >= MAX_DEPTH)
        throw new Inadmissible("too_large", "objects nested too deeply");
      if (op.key === null) {
        if (op.element !== null && !this.stands(change, seen, op.element, op, counter))
          throw new Inadmissible("no_element");
        return;
      }
      for (const pred of op.pred)
        if (!this.stands(change, seen, pred, op, counter)) throw new Inadmissible("no_predecessor");
      // Else one change could put 20,000 values beside each other under one key, and every later step of an engine
      // would walk them. Who writes a key twice replaces the own first value.
      const place = `${op.obj === null ? "" : nameOf(op.obj)}/${op.key}`;
      const last = written.get(place);
      if (last !== undefined && !op.pred.some((pred) => sameName(pred, last)))
        throw new Inadmissible("no_predecessor");
      if (op.action === "del") written.delete(place);
      else written.set(place, { counter, actor: change.actor });
    });
  }

  /** The earlier operation of this change that is named; null for a later one, false for another change's. */
  private inside(change: Change, id: OpId, before: number): Op | null | false {
    if (id.actor !== change.actor || id.counter < change.startOp) return false;
    return id.counter < before ? (change.ops[id.counter - change.startOp] as Op) : null;
  }

  /** The actor, when the name is of a change that this one has seen. */
  private outside(change: Change, seen: readonly number[], id: OpId): Actor | undefined {
    const index = this.index.get(id.actor);
    if (index === undefined) return undefined;
    const entry = this.actors[index] as Actor;
    if (id.actor === change.actor) return entry;
    return countUpTo(entry.starts, id.counter, (start) => start) <= (seen[index] ?? 0) ? entry : undefined;
  }

  /** Kind and depth of the object that is named. */
  private object(
    change: Change,
    seen: readonly number[],
    id: OpId | null,
    before: number,
  ): readonly [kind: Kind | undefined, depth: number] {
    if (id === null) return ["map", 0];
    const inside = this.inside(change, id, before);
    if (inside === false)
      return (this.outside(change, seen, id) && this.objects.get(nameOf(id))) ?? [undefined, 0];
    const kind = inside === null ? undefined : kindMade(inside);
    if (inside === null || kind === undefined) return [undefined, 0];
    // Operations of this change were checked before this one, so the walk is no longer than MAX_DEPTH.
    return [kind, this.object(change, seen, inside.obj, before)[1] + 1];
  }

  /** Whether the named operation holds a value in the object and under the key of `op`. */
  private stands(change: Change, seen: readonly number[], id: OpId, op: Op, before: number): boolean {
    const inside = this.inside(change, id, before);
    if (inside === null) return false;
    if (inside !== false)
      return inside.action !== "del" && sameName(inside.obj, op.obj) && inside.key === op.key;
    const entry = this.outside(change, seen, id);
    if (entry === undefined) return false;
    const run = entry.runs[countUpTo(entry.runs, id.counter, (one) => one.first) - 1];
    const obj = op.obj === null ? null : nameOf(op.obj);
    return run !== undefined && id.counter <= run.last && run.obj === obj && run.key === op.key;
  }

  /** Take in a change that `check` has just returned. */
  admit(change: Change): void {
    const seen = this.merged(change);
    const entry =
      this.entry(change.actor) ??
      this.enter({ actor: change.actor, hashes: [], starts: [], ends: [], seen: [], runs: [] });
    if (entry.hashes.length !== change.seq - 1)
      throw new TypeError("only the change that was checked last may be admitted");
    entry.hashes.push(change.hash);
    entry.starts.push(change.startOp);
    entry.ends.push(change.maxOp);
    entry.seen.push(seen);
    this.changes.set(change.hash, [this.index.get(change.actor) as number, change.seq]);
    change.ops.forEach((op, at) => {
      const counter = change.startOp + at;
      const obj = op.obj === null ? null : nameOf(op.obj);
      const kind = kindMade(op);
      if (kind !== undefined) {
        const depth = obj === null ? 0 : (this.objects.get(obj)?.[1] ?? 0);
        this.objects.set(nameOf({ counter, actor: change.actor }), [kind, depth + 1]);
      }
      if (op.action === "del") return;
      const run = entry.runs.at(-1);
      if (run !== undefined && run.last === counter - 1 && run.obj === obj && run.key === op.key)
        run.last = counter;
      else entry.runs.push({ first: counter, last: counter, obj, key: op.key });
    });
    for (const dep of change.deps) this.tips.delete(dep);
    this.tips.add(change.hash);
  }

  private enter(entry: Actor): Actor {
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
    const actors = this.actors.map((entry) => [
      entry.actor,
      concatAll(entry.hashes.map((hash) => unhex(hash))),
      entry.starts,
      entry.ends,
      entry.seen.map((seen) => {
        const at = clocks.get(seen) ?? clocks.size;
        clocks.set(seen, at);
        return at;
      }),
      entry.runs.map((run) => [run.first, run.last, run.obj, run.key]),
    ]);
    const objects = [...this.objects].map(([name, [kind, depth]]) => [name, kind, depth]);
    return encode([actors, [...clocks.keys()], objects, this.heads()]);
  }

  static load(data: Uint8Array): Door {
    const [actors, clocks, objects, heads] = decode(data) as unknown as [
      [Hex, Uint8Array, number[], number[], number[], [number, number, Name | null, string | null][]][],
      number[][],
      [Name, Kind, number][],
      Hex[],
    ];
    const door = new Door();
    for (const [actor, joined, starts, ends, seen, runs] of actors) {
      const digits = hex(joined);
      const hashes = starts.map((_, at) => digits.slice(64 * at, 64 * at + 64));
      door.enter({
        actor,
        hashes,
        starts,
        ends,
        seen: seen.map((at) => clocks[at] as number[]),
        runs: runs.map(([first, last, obj, key]) => ({ first, last, obj, key })),
      });
      for (const [at, hash] of hashes.entries()) door.changes.set(hash, [door.actors.length - 1, at + 1]);
    }
    for (const [name, kind, depth] of objects) door.objects.set(name, [kind, depth]);
    for (const head of heads) door.tips.add(head);
    return door;
  }
}
