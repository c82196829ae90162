/** The values a part may hold: null, booleans, whole numbers, floats, text. Spec: docs/spec/change.md. */
import { Cursor, sleb } from "./columns";
import { Inadmissible } from "./errors";
import { Float } from "./packed";

export const MAX_TEXT_BYTES = 65_536;
/** The JavaScript engine shows 2^53 - 1 as a bigint, on which JSON and arithmetic fail: so one less, on both sides. */
export const MAX_INT = Number.MAX_SAFE_INTEGER - 1;
export const NULL = 0;
export const FALSE = 1;
export const TRUE = 2;
export const INT = 4;
export const FLOAT = 5;
export const TEXT = 6;

/** A number is a whole number; a float is a `Float`, because 1.0 and 1 are packed apart. */
export type Scalar = null | boolean | number | Float | string;

// ignoreBOM: without it a text's first U+FEFF would vanish, and the change would encode to other bytes.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

export function readText(data: Uint8Array): string {
  // Most texts are a letter: what a decoder costs to begin with is more than the letter.
  if (data.length === 1 && (data[0] as number) < 0x80) return String.fromCharCode(data[0] as number);
  try {
    return strict.decode(data);
  } catch {
    throw new Inadmissible("bad_value", "not UTF-8");
  }
}

/** How many bytes a letter has that begins with this one; -1 where none does. */
export function bytesOf(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return -1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

export function writeText(text: string): Uint8Array {
  if (text.length === 1 && text.charCodeAt(0) < 0x80) return Uint8Array.of(text.charCodeAt(0));
  return utf8.encode(text);
}

export function readScalar(kind: number, data: Uint8Array): Scalar {
  if (data.length === 0 && kind <= TRUE) return kind === NULL ? null : kind === TRUE;
  if (kind === INT) {
    const cursor = new Cursor(data);
    let number: number;
    try {
      number = cursor.sleb();
    } catch {
      throw new Inadmissible("bad_value", "an integer out of range or badly written");
    }
    if (cursor.left === 0 && Math.abs(number) <= MAX_INT) return number;
  } else if (kind === FLOAT && data.length === 8) {
    const real = new DataView(data.buffer, data.byteOffset, 8).getFloat64(0, true);
    if (Number.isFinite(real)) return new Float(real);
  } else if (kind === TEXT && data.length <= MAX_TEXT_BYTES) return readText(data);
  // Unsigned numbers, bytes, counters, timestamps, unknown types: the two engines end differently on them.
  throw new Inadmissible("bad_value");
}

/** The type and the bytes. */
export function packScalar(value: Scalar): [number, Uint8Array] {
  if (value === null) return [NULL, new Uint8Array()];
  if (typeof value === "boolean") return [value ? TRUE : FALSE, new Uint8Array()];
  if (typeof value === "number") {
    if (!Number.isInteger(value) || Math.abs(value) > MAX_INT) throw new Inadmissible("bad_value");
    return [INT, sleb(value)];
  }
  if (typeof value === "string") return [TEXT, writeText(value)];
  const data = new Uint8Array(8);
  new DataView(data.buffer).setFloat64(0, value.value, true);
  return [FLOAT, data];
}
