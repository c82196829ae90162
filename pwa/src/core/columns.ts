/**
 * LEB128 numbers and run-length columns as Automerge packs them, read so that one list has one encoding.
 *
 * Spec: docs/spec/change.md. What departs from the normal form is `not_canonical`. A run is counted before it is
 * expanded, because seven bytes can announce a thousand million values. Mirrors core/eigenkring/columns.py.
 *
 * No bit operations on numbers that may be large: JavaScript would cut them to 32 bits without a word.
 */

import { concat } from "../crypto/kdf";
import { Inadmissible } from "./errors";
import { same } from "./ids";

export const MAX_SAFE = Number.MAX_SAFE_INTEGER;

export function bent(why: string): Inadmissible {
  return new Inadmissible("not_canonical", why);
}

/** Reads a byte string from its beginning and never beyond its end. */
export class Cursor {
  constructor(
    readonly data: Uint8Array,
    public pos = 0,
  ) {}

  get left(): number {
    return this.data.length - this.pos;
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw bent("the bytes end early");
    const start = this.pos;
    this.pos = start + count;
    return this.data.subarray(start, this.pos);
  }

  /** Where the number that begins here has its last byte. Eight hold 2^53: none needs a ninth. */
  private top(): number {
    const { data } = this;
    const most = Math.min(this.pos + 8, data.length);
    for (let at = this.pos; at < most; at++) if ((data[at] as number) < 0x80) return at;
    throw bent("a number that ends early or is too large");
  }

  uleb(): number {
    const { data, pos } = this;
    const first = data[pos];
    // Nearly every number is below 128.
    if (first !== undefined && first < 0x80) {
      this.pos = pos + 1;
      return first;
    }
    const top = this.top();
    if (data[top] === 0) throw bent("a number longer than it needs");
    let value = 0;
    for (let at = top; at >= pos; at--) value = value * 128 + ((data[at] as number) & 0x7f);
    if (value > MAX_SAFE) throw bent("a number too large");
    this.pos = top + 1;
    return value;
  }

  sleb(): number {
    const { data, pos } = this;
    const first = data[pos];
    if (first !== undefined && first < 0x80) {
      this.pos = pos + 1;
      return first < 0x40 ? first : first - 0x80;
    }
    const top = this.top();
    const last = data[top] as number;
    const negative = (last & 0x40) !== 0;
    // The sign is already in the seventh bit of the digit before: the last one adds nothing.
    if (last === (negative ? 0x7f : 0) && ((data[top - 1] as number) & 0x40) === (last & 0x40))
      throw bent("a number longer than it needs");
    // A negative number is read as its complement, so that every step stays exact.
    const flip = negative ? 0x7f : 0;
    let value = 0;
    for (let at = top; at >= pos; at--) value = value * 128 + (((data[at] as number) & 0x7f) ^ flip);
    if (value > (negative ? MAX_SAFE - 1 : MAX_SAFE)) throw bent("a number too large");
    this.pos = top + 1;
    return negative ? -value - 1 : value;
  }

  /** Length and bytes, not yet known to be UTF-8. */
  text(): Uint8Array {
    return this.take(this.uleb());
  }
}

export function uleb(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

export function sleb(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest < -0x40 || rest >= 0x40) {
    const digit = ((rest % 128) + 128) % 128;
    out.push(digit + 128);
    rest = (rest - digit) / 128;
  }
  out.push(rest & 0x7f);
  return Uint8Array.from(out);
}

export function packedText(value: Uint8Array): Uint8Array {
  return concat(uleb(value.length), value);
}

type Equal<T> = (a: T, b: T) => boolean;
const sameNumber: Equal<number> = (a, b) => a === b;

/** The one run-length form of a list: the longest runs, literals between them, and not nulls alone. */
function decodeRuns<T>(
  data: Uint8Array,
  limit: number,
  read: (cursor: Cursor) => T,
  equal: Equal<T>,
  code = "not_canonical",
): (T | null)[] {
  const cursor = new Cursor(data);
  const out: (T | null)[] = [];
  let kind: "null" | "run" | "literal" | undefined; // of the run before this one
  let last: T | null = null; // and its last value
  let seen = false;
  while (cursor.left > 0) {
    const count = cursor.sleb();
    const size = count === 0 ? cursor.uleb() : Math.abs(count);
    if (size > limit - out.length) throw new Inadmissible(code, "more values than allowed");
    if (count === 0) {
      if (size === 0 || kind === "null") throw bent("an empty or a divided run of nulls");
      kind = "null";
      last = null;
      for (let i = 0; i < size; i++) out.push(null);
      continue;
    }
    seen = true;
    let value = read(cursor);
    if (last !== null && equal(value, last)) throw bent("a divided run");
    if (count > 0) {
      if (count === 1) throw bent("a run of one");
      kind = "run";
      last = value;
      for (let i = 0; i < size; i++) out.push(value);
      continue;
    }
    if (kind === "literal") throw bent("a divided literal");
    out.push(value);
    for (let i = 1; i < size; i++) {
      const next = read(cursor);
      if (equal(next, value)) throw bent("a run inside a literal");
      value = next;
      out.push(value);
    }
    kind = "literal";
    last = value;
  }
  if (!seen) throw bent("a column without a value");
  return out;
}

export function decodeNumbers(data: Uint8Array, limit: number, code?: string): (number | null)[] {
  return decodeRuns(data, limit, (cursor) => cursor.uleb(), sameNumber, code);
}

export function decodeTexts(data: Uint8Array, limit: number): (Uint8Array | null)[] {
  return decodeRuns(data, limit, (cursor) => cursor.text(), same);
}

/** Each value is the difference to the value before it (nulls stand aside), and none is below zero. */
export function decodeDeltas(data: Uint8Array, limit: number): (number | null)[] {
  let total = 0;
  return decodeRuns(data, limit, (cursor) => cursor.sleb(), sameNumber).map((step) => {
    if (step === null) return null;
    total += step;
    if (total < 0 || total > MAX_SAFE) throw bent("a counter out of range");
    return total;
  });
}

/** Lengths of runs, in turn of false and true; only the first may be empty. */
export function decodeBooleans(data: Uint8Array, limit: number): boolean[] {
  const cursor = new Cursor(data);
  const out: boolean[] = [];
  let value = false;
  while (cursor.left > 0) {
    const size = cursor.uleb();
    if (size > limit - out.length || (size === 0 && (value || out.length > 0 || cursor.left === 0)))
      throw bent("an empty or too long run of booleans");
    for (let i = 0; i < size; i++) out.push(value);
    value = !value;
  }
  return out;
}

/** Bytes that grow at their end: one piece of memory, because a change is packed again for every one that comes in. */
export class Packing {
  private bytes = new Uint8Array(1_024);
  length = 0;

  /** Of what was packed since `start`; the same memory. */
  since(start = 0): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(start, this.length);
  }

  /** Takes back what came after. */
  cut(length: number): void {
    this.length = length;
  }

  private room(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const more = new Uint8Array(2 * (this.length + count));
    more.set(this.since());
    this.bytes = more;
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  put(data: Uint8Array): void {
    this.room(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  uleb(value: number): void {
    this.room(8);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  sleb(value: number): void {
    this.room(9);
    let rest = value;
    while (rest < -0x40 || rest >= 0x40) {
      const digit = ((rest % 128) + 128) % 128;
      this.bytes[this.length++] = digit + 128;
      rest = (rest - digit) / 128;
    }
    this.bytes[this.length++] = rest & 0x7f;
  }

  text(data: Uint8Array): void {
    this.uleb(data.length);
    this.put(data);
  }
}

/** The normal form; nothing when there is nothing but nulls. */
function encodeRuns<T>(
  out: Packing,
  values: readonly (T | null)[],
  write: (value: T) => void,
  equal: Equal<T>,
): void {
  const start = out.length;
  const isSame = (a: T | null, b: T | null): boolean =>
    a === null ? b === null : b !== null && (a === b || equal(a, b));
  const endOf = (at: number): number => {
    let end = at + 1;
    while (end < values.length && isSame(values[at] as T | null, values[end] as T | null)) end++;
    return end;
  };
  let seen = false;
  for (let at = 0; at < values.length; ) {
    const value = values[at] as T | null;
    let end = endOf(at);
    if (value === null) {
      out.byte(0);
      out.uleb(end - at);
      at = end;
      continue;
    }
    seen = true;
    if (end - at > 1) {
      out.sleb(end - at);
      write(value);
      at = end;
      continue;
    }
    // A literal: as far as each differs from the next one.
    while (end < values.length && values[end] !== null && endOf(end) === end + 1) end++;
    out.sleb(at - end);
    for (; at < end; at++) write(values[at] as T);
  }
  if (!seen) out.cut(start);
}

export function encodeNumbers(out: Packing, values: readonly (number | null)[]): void {
  encodeRuns(out, values, (value) => out.uleb(value), sameNumber);
}

export function encodeTexts(out: Packing, values: readonly (Uint8Array | null)[]): void {
  encodeRuns(out, values, (value) => out.text(value), same);
}

export function encodeDeltas(out: Packing, values: readonly (number | null)[]): void {
  let total = 0;
  const steps = values.map((value) => {
    if (value === null) return null;
    const step = value - total;
    total = value;
    return step;
  });
  encodeRuns(out, steps, (value) => out.sleb(value), sameNumber);
}

export function encodeBooleans(out: Packing, values: readonly boolean[]): void {
  let current = false;
  let count = 0;
  for (const value of values) {
    if (value !== current) {
      out.uleb(count);
      current = value;
      count = 0;
    }
    count++;
  }
  if (values.length > 0) out.uleb(count);
}

/** As `decodeNumbers`, and packed again: what comes out is what went in. */
export function readNumbers(data: Uint8Array, limit: number, code?: string): readonly (number | null)[] {
  return NUMBERS.read(data, limit, code);
}

export function readDeltas(data: Uint8Array, limit: number): readonly (number | null)[] {
  return DELTAS.read(data, limit);
}

export function readTexts(data: Uint8Array, limit: number): readonly (Uint8Array | null)[] {
  return TEXTS.read(data, limit);
}

export function readBooleans(data: Uint8Array, limit: number): readonly boolean[] {
  return BOOLEANS.read(data, limit);
}

// Most columns are short and were met before (all of a word's letters are inserted, none has a predecessor): what they say is
// remembered, with a bound on what an attacker's columns can take. What is wrong is not remembered, and throws each time.
const SHORT_BYTES = 24;
const FEW_VALUES = 128;
export const MOST_REMEMBERED = 1_024;

interface Remembered<T> {
  readonly data: Uint8Array;
  readonly limit: number;
  readonly values: readonly T[];
}

/** One kind of column, and those of it that were met. */
export class Columns<T> {
  /** By a number that two columns may share: then the one that was met last is there. */
  private readonly met = new Map<number, Remembered<T>>();

  constructor(
    private readonly decode: (data: Uint8Array, limit: number, code?: string) => T[],
    private readonly encode: (out: Packing, values: readonly T[]) => void,
  ) {}

  get remembered(): number {
    return this.met.size;
  }

  read(data: Uint8Array, limit: number, code?: string): readonly T[] {
    if (data.length > SHORT_BYTES) return this.readAnew(data, limit, code);
    const place = placeOf(data, limit);
    const known = this.met.get(place);
    if (known !== undefined && known.limit === limit && same(known.data, data)) return known.values;
    // In memory of its own: a text that is remembered is a piece of it.
    const own = data.slice();
    const values = this.readAnew(own, limit, code);
    if (values.length <= FEW_VALUES) {
      if (this.met.size >= MOST_REMEMBERED) this.met.clear();
      this.met.set(place, { data: own, limit, values });
    }
    return values;
  }

  private readAnew(data: Uint8Array, limit: number, code?: string): readonly T[] {
    const values = this.decode(data, limit, code);
    packed.cut(0);
    this.encode(packed, values);
    // Each step above lets one form through. This line holds if one of them should not: another form of one change has
    // another hash, and an engine that packs its history again would write the first.
    if (!same(packed.since(), data)) throw bent("another encoding of the same column");
    return values;
  }
}

function placeOf(data: Uint8Array, limit: number): number {
  let place = limit;
  for (let at = 0; at < data.length; at++) place = Math.imul(place ^ (data[at] as number), 0x01000193);
  return place;
}

const packed = new Packing();
const NUMBERS = new Columns<number | null>(decodeNumbers, encodeNumbers);
const DELTAS = new Columns<number | null>(decodeDeltas, encodeDeltas);
const TEXTS = new Columns<Uint8Array | null>(decodeTexts, encodeTexts);
const BOOLEANS = new Columns<boolean>(decodeBooleans, encodeBooleans);
