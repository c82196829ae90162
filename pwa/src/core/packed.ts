/**
 * MessagePack, exactly as msgspec reads and writes it (docs/spec/conventions.md).
 *
 * Written here and not left to @msgpack/msgpack, because that decoder takes the last of two equal keys, mends broken
 * UTF-8 and does not tell 3.0 from 3: three ways in which a signed entry would mean one thing here and another in
 * Python. The tests hold it against that library wherever the two should agree.
 */
import { hex } from "./ids";

/** A float on the wire: `new Float(3)` is 3.0, where the number 3 is an integer. */
export class Float {
  constructor(readonly value: number) {}
}

/** An extension type: skipped where nobody asks for it, wrong wherever somebody does. */
export class Opaque {}

export type PackedMap = ReadonlyMap<string, Packed>;
/** What is decoded. Integers above 2^53 are bigints; text that is no UTF-8 has a lone surrogate (`isText`). */
export type Packed =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float
  | Opaque
  | readonly Packed[]
  | PackedMap;
/** What can be encoded: also plain objects, their keys in the order in which they were made. */
export type Packable =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Float
  | readonly Packable[]
  | ReadonlyMap<string, Packable>
  | { readonly [key: string]: Packable };

/** The bytes are no MessagePack that we read. Whoever decodes says whose fault that is. */
export class BadPacked extends Error {}

const MAX_DEPTH = 16;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** Whether a string is one that UTF-8 can hold. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && !/\p{Surrogate}/u.test(value);
}

/** One value, and nothing after it. Raises BadPacked. */
export function decode(data: Uint8Array): Packed {
  const reader = new Reader(data);
  const value = reader.value(1);
  // A tail would be signed along, and hashed along, and mean nothing: a hidden channel.
  if (reader.at !== data.length) throw new BadPacked("bytes after the end");
  return value;
}

class Reader {
  at = 0;
  private readonly view: DataView;

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  value(depth: number): Packed {
    const byte = this.uint(1);
    if (byte < 0x80) return byte;
    if (byte >= 0xe0) return byte - 0x100;
    if (byte < 0x90) return this.map(byte & 0x0f, depth);
    if (byte < 0xa0) return this.list(byte & 0x0f, depth);
    if (byte < 0xc0) return this.text(byte & 0x1f);
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.take(this.uint(1 << (byte - 0xc4)));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.opaque(this.uint(1 << (byte - 0xc7)));
      case 0xca:
        return new Float(this.view.getFloat32(this.skip(4)));
      case 0xcb:
        return new Float(this.view.getFloat64(this.skip(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.uint(1 << (byte - 0xcc));
      case 0xcf:
        return plain(this.view.getBigUint64(this.skip(8)));
      case 0xd0:
        return this.view.getInt8(this.skip(1));
      case 0xd1:
        return this.view.getInt16(this.skip(2));
      case 0xd2:
        return this.view.getInt32(this.skip(4));
      case 0xd3:
        return plain(this.view.getBigInt64(this.skip(8)));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.opaque(1 << (byte - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.uint(1 << (byte - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.list(this.uint(2 << (byte - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.map(this.uint(2 << (byte - 0xde)), depth);
      default:
        throw new BadPacked("0xc1 is no MessagePack");
    }
  }

  private skip(length: number): number {
    const from = this.at;
    if (length > this.data.length - from) throw new BadPacked("it ends early");
    this.at = from + length;
    return from;
  }

  /** A copy, so that what is kept does not keep the whole frame. */
  private take(length: number): Uint8Array {
    const from = this.skip(length);
    return this.data.slice(from, from + length);
  }

  private uint(width: number): number {
    const from = this.skip(width);
    return width === 1
      ? this.view.getUint8(from)
      : width === 2
        ? this.view.getUint16(from)
        : this.view.getUint32(from);
  }

  private opaque(length: number): Opaque {
    this.skip(1 + length);
    return new Opaque();
  }

  private text(length: number): string {
    const from = this.skip(length);
    const bytes = this.data.subarray(from, from + length);
    try {
      return strict.decode(bytes);
    } catch {
      // msgspec passes over broken text where no field asks for it, so it must not stop the whole here. The lone
      // surrogate makes it equal to no text, and `isText` refuses it where a field does ask.
      return `\ud800${hex(bytes)}`;
    }
  }

  private enter(count: number, depth: number): void {
    // A count beyond the bytes left would let four bytes promise four thousand million values.
    if (count > this.data.length - this.at || depth > MAX_DEPTH) throw new BadPacked("too deep, or too many");
  }

  private list(count: number, depth: number): Packed[] {
    this.enter(count, depth);
    const values: Packed[] = [];
    for (let i = 0; i < count; i++) values.push(this.value(depth + 1));
    return values;
  }

  private map(count: number, depth: number): PackedMap {
    this.enter(count, depth);
    const values = new Map<string, Packed>();
    for (let i = 0; i < count; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") throw new BadPacked("a key that is no text");
      // A decoder that takes the first and one that takes the last would read two different bodies.
      if (values.has(key)) throw new BadPacked("a key given twice");
      values.set(key, this.value(depth + 1));
    }
    return values;
  }
}

function plain(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The shortest form of every value, maps in the order given: msgspec writes the same bytes. */
export function encode(value: Packable): Uint8Array {
  const out = new Growing();
  write(value, out);
  return out.whole();
}

/** Bytes after bytes, in one piece of memory: a fold of years has a hundred thousand values. */
class Growing {
  private held = new Uint8Array(256);
  private view = new DataView(this.held.buffer);
  private size = 0;

  /** Where `count` more bytes may be written. */
  private room(count: number): number {
    const at = this.size;
    this.size += count;
    if (this.size > this.held.length) {
      const wider = new Uint8Array(Math.max(this.size, 2 * this.held.length));
      wider.set(this.held.subarray(0, at));
      this.held = wider;
      this.view = new DataView(wider.buffer);
    }
    return at;
  }

  byte(value: number): void {
    const at = this.room(1);
    this.held[at] = value;
  }

  put(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.held.set(bytes, at);
  }

  /** A kind, and a number of so many bytes behind it. */
  uint(kind: number, width: 1 | 2 | 4, value: number): void {
    const at = this.room(1 + width);
    this.held[at] = kind;
    if (width === 1) this.held[at + 1] = value;
    else if (width === 2) this.view.setUint16(at + 1, value);
    else this.view.setUint32(at + 1, value);
  }

  /** A kind, and a number in eight bytes. */
  wide(kind: number, value: bigint | Float): void {
    const at = this.room(9);
    this.held[at] = kind;
    if (value instanceof Float) this.view.setFloat64(at + 1, value.value);
    else this.view.setBigInt64(at + 1, value);
  }

  text(value: string): void {
    if (value.length < 32 && this.short(value)) return;
    if (!isText(value)) throw new RangeError("text with half a character in it");
    const bytes = utf8.encode(value);
    if (bytes.length < 32) this.byte(0xa0 | bytes.length);
    else this.sized(0xd9, bytes.length);
    this.put(bytes);
  }

  /** Most texts are names: what an encoder costs to begin with is more than they are. False: it is no such one. */
  private short(value: string): boolean {
    const at = this.room(1 + value.length);
    this.held[at] = 0xa0 | value.length;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) {
        this.size = at;
        return false;
      }
      this.held[at + 1 + i] = code;
    }
    return true;
  }

  sized(first: number, length: number): void {
    if (length <= 0xff) this.uint(first, 1, length);
    else if (length <= 0xffff) this.uint(first + 1, 2, length);
    else this.uint(first + 2, 4, length);
  }

  counted(short: number, long: number, count: number): void {
    if (count < 16) this.byte(short | count);
    else if (count <= 0xffff) this.uint(long, 2, count);
    else this.uint(long + 1, 4, count);
  }

  integer(n: number): void {
    if (!Number.isSafeInteger(n)) throw new RangeError("not an integer within 2^53");
    // A negative one as its low bytes, which is what a number of that width keeps of it.
    if (n >= 0 ? n < 0x80 : n >= -32) this.byte(n);
    else if (n >= -0x80 && n <= 0xff) this.uint(n < 0 ? 0xd0 : 0xcc, 1, n);
    else if (n >= -0x8000 && n <= 0xffff) this.uint(n < 0 ? 0xd1 : 0xcd, 2, n);
    else if (n >= -0x8000_0000 && n <= 0xffff_ffff) this.uint(n < 0 ? 0xd2 : 0xce, 4, n);
    else this.wide(n < 0 ? 0xd3 : 0xcf, BigInt(n));
  }

  whole(): Uint8Array {
    return this.held.slice(0, this.size);
  }
}

function write(value: Packable, out: Growing): void {
  if (value === null) out.byte(0xc0);
  else if (typeof value === "boolean") out.byte(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") out.integer(value);
  else if (typeof value === "string") out.text(value);
  else if (value instanceof Uint8Array) {
    out.sized(0xc4, value.length);
    out.put(value);
  } else if (value instanceof Float) out.wide(0xcb, value);
  else if (Array.isArray(value)) {
    out.counted(0x90, 0xdc, value.length);
    for (const item of value) write(item, out);
  } else {
    const entries: [string, Packable][] = value instanceof Map ? [...value] : Object.entries(value);
    out.counted(0x80, 0xde, entries.length);
    for (const [key, item] of entries) {
      write(key, out);
      write(item, out);
    }
  }
}
