/**
 * LEB128 numbers and run-length columns as Automerge packs them, read so that one list has one encoding.
 *
 * Spec: docs/spec/change.md. What departs from the normal form is `not_canonical`. A run is counted before it is
 * expanded, because seven bytes can announce a thousand million values. Mirrors core/eigenkring/columns.py.
 *
 * No bit operations on numbers that may be large: JavaScript would cut them to 32 bits without a word.
 */

import { concat, concatAll } from "../crypto/kdf";
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

  /** The bytes of one number. Eight hold 2^53: none needs a ninth. */
  private digits(): Uint8Array {
    for (let size = 1; size <= 8 && size <= this.left; size++)
      if ((this.data[this.pos + size - 1] as number) < 0x80) return this.take(size);
    throw bent("a number that ends early or is too large");
  }

  uleb(): number {
    const digits = this.digits();
    if (digits.length > 1 && digits.at(-1) === 0) throw bent("a number longer than it needs");
    let value = 0;
    for (let at = digits.length - 1; at >= 0; at--) value = value * 128 + ((digits[at] as number) & 0x7f);
    if (value > MAX_SAFE) throw bent("a number too large");
    return value;
  }

  sleb(): number {
    const digits = this.digits();
    const top = digits.at(-1) as number;
    const negative = (top & 0x40) !== 0;
    // The sign is already in the seventh bit of the digit before: the last one adds nothing.
    if (
      digits.length > 1 &&
      top === (negative ? 0x7f : 0) &&
      ((digits.at(-2) as number) & 0x40) === (top & 0x40)
    )
      throw bent("a number longer than it needs");
    // A negative number is read as its complement, so that every step stays exact.
    const flip = negative ? 0x7f : 0;
    let value = 0;
    for (let at = digits.length - 1; at >= 0; at--)
      value = value * 128 + (((digits[at] as number) & 0x7f) ^ flip);
    if (value > (negative ? MAX_SAFE - 1 : MAX_SAFE)) throw bent("a number too large");
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

/** The normal form; empty when there is nothing but nulls. */
function encodeRuns<T>(
  values: readonly (T | null)[],
  write: (value: T) => Uint8Array,
  equal: Equal<T>,
): Uint8Array {
  const out: Uint8Array[] = [];
  let literal: Uint8Array[] = [];
  let seen = false;
  const flush = () => {
    if (literal.length === 0) return;
    out.push(sleb(-literal.length), ...literal);
    literal = [];
    seen = true;
  };
  for (let at = 0; at < values.length; ) {
    const value = values[at] as T | null;
    const start = at;
    do at++;
    while (
      at < values.length &&
      (value === null ? values[at] === null : values[at] !== null && equal(values[at] as T, value))
    );
    if (value !== null && at - start === 1) {
      literal.push(write(value));
      continue;
    }
    flush();
    if (value === null) out.push(Uint8Array.of(0), uleb(at - start));
    else {
      out.push(sleb(at - start), write(value));
      seen = true;
    }
  }
  flush();
  return seen ? concatAll(out) : new Uint8Array();
}

export function encodeNumbers(values: readonly (number | null)[]): Uint8Array {
  return encodeRuns(values, uleb, sameNumber);
}

export function encodeTexts(values: readonly (Uint8Array | null)[]): Uint8Array {
  return encodeRuns(values, packedText, same);
}

export function encodeDeltas(values: readonly (number | null)[]): Uint8Array {
  let total = 0;
  const steps = values.map((value) => {
    if (value === null) return null;
    const step = value - total;
    total = value;
    return step;
  });
  return encodeRuns(steps, sleb, sameNumber);
}

export function encodeBooleans(values: readonly boolean[]): Uint8Array {
  const out: Uint8Array[] = [];
  let current = false;
  let count = 0;
  for (const value of values) {
    if (value !== current) {
      out.push(uleb(count));
      current = value;
      count = 0;
    }
    count++;
  }
  if (values.length > 0) out.push(uleb(count));
  return concatAll(out);
}
