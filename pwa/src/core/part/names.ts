/**
 * The operations of one actor in one part, as columns of numbers: in memory as in the store. Mirror of
 * core/eigenkring/part/names.py. Spec: docs/spec/change.md.
 *
 * Nothing is decoded when a part of years is opened to write one word in it: that word asks for a few numbers.
 */
import type { Packable } from "../packed";

/** For the actor of the root, for the key of an element, and for what was never met. */
export const NOBODY = 0;
/** What an object is and how deep it lies, in one number: 2 * depth + kind. */
export type Laid = number;

/** Numbers from 0 to 2^53 - 1 in a row that grows at its end: four bytes each, eight where one does not fit into four. */
export class Column {
  length: number;

  private constructor(private held: Uint32Array | Float64Array) {
    this.length = held.length;
  }

  static empty(): Column {
    return new Column(new Uint32Array(0));
  }

  at(index: number): number {
    return this.held[index] as number;
  }

  last(): number | undefined {
    return this.length === 0 ? undefined : this.held[this.length - 1];
  }

  push(value: number): void {
    if (this.length === this.held.length) this.grow(new (kindOf(this.held))(Math.max(8, 2 * this.length)));
    if (value > NARROW && this.held instanceof Uint32Array) this.grow(new Float64Array(this.held.length));
    this.held[this.length] = value;
    this.length += 1;
  }

  /** Puts `value` in the place of the last one. */
  relast(value: number): void {
    this.length -= 1;
    this.push(value);
  }

  private grow(wider: Uint32Array | Float64Array): void {
    wider.set(this.held.subarray(0, this.length));
    this.held = wider;
  }

  /** How many of rising numbers are not above `value`. */
  countUpTo(value: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.held[middle] as number) <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** For the device's own store; no protocol format. */
  pack(): PackedColumn {
    const used = this.held.subarray(0, this.length);
    return [used instanceof Float64Array, new Uint8Array(used.slice().buffer)];
  }

  /** What `pack` gave, believed to the last byte. */
  static of([isWide, found]: PackedColumn): Column {
    const { buffer } = found.slice(); // begins where a number may begin
    return new Column(isWide ? new Float64Array(buffer) : new Uint32Array(buffer));
  }
}

export type PackedColumn = readonly [isWide: boolean, column: Uint8Array];
const NARROW = 0xffff_ffff;

function kindOf(held: Uint32Array | Float64Array): Uint32ArrayConstructor | Float64ArrayConstructor {
  return held instanceof Float64Array ? Float64Array : Uint32Array;
}

/**
 * Operations are named by their counters, which rise. A run is operations in one place: a key of a map, or elements of a
 * text. An object is named by its counter and the number of its actor, the root by 0 and NOBODY; a key by a number. Actors
 * and keys are numbered from 1.
 */
export class Names {
  private constructor(
    private readonly starts = Column.empty(), // first operation of each change
    private readonly ends = Column.empty(), // last operation of each change
    private readonly firsts = Column.empty(), // of each run
    private readonly lasts = Column.empty(),
    private readonly objs = Column.empty(), // of each run the object
    private readonly objActors = Column.empty(),
    private readonly keys = Column.empty(),
    private readonly made = Column.empty(), // counters of the objects that it made
    private readonly laid = Column.empty(),
  ) {}

  static empty(): Names {
    return new Names();
  }

  addChange(start: number, end: number): void {
    this.starts.push(start);
    this.ends.push(end);
  }

  /** The last operation of a change. */
  endOf(seq: number): number {
    return this.ends.at(seq - 1);
  }

  /** The sequence of the change that has this operation, where one has it. */
  changesUntil(counter: number): number {
    return this.starts.countUpTo(counter);
  }

  addObject(counter: number, laid: Laid): void {
    this.made.push(counter);
    this.laid.push(laid);
  }

  /** What the operation made; undefined where it made no object. */
  objectAt(counter: number): Laid | undefined {
    const at = this.made.countUpTo(counter) - 1;
    return at >= 0 && this.made.at(at) === counter ? this.laid.at(at) : undefined;
  }

  place(first: number, last: number, obj: number, objActor: number, key: number): void {
    const goesOn = this.lasts.last() === first - 1 && this.keys.last() === key;
    if (goesOn && this.objs.last() === obj && this.objActors.last() === objActor) {
      this.lasts.relast(last);
      return;
    }
    this.firsts.push(first);
    this.lasts.push(last);
    this.objs.push(obj);
    this.objActors.push(objActor);
    this.keys.push(key);
  }

  /** Whether the operation holds a value there. Undefined: an actor or a key that was never met. */
  stands(counter: number, obj: number, objActor: number | undefined, key: number | undefined): boolean {
    const at = this.firsts.countUpTo(counter) - 1;
    if (at < 0 || counter > this.lasts.at(at)) return false;
    return this.keys.at(at) === key && this.objs.at(at) === obj && this.objActors.at(at) === objActor;
  }

  pack(): Packable {
    const { starts, ends, firsts, lasts, objs, objActors, keys, made, laid } = this;
    return [starts, ends, firsts, lasts, objs, objActors, keys, made, laid].map((column) => column.pack());
  }

  /** What `pack` gave, believed to the last byte. */
  static of(found: readonly PackedColumn[]): Names {
    return new Names(...found.map((column) => Column.of(column)));
  }
}
