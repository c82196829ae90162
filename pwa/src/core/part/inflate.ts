/**
 * Inflates one raw DEFLATE piece (RFC 1951), strict and bounded. Written here because DecompressionStream is not one thing:
 * Node's passes over bytes behind the end and browsers' do not, and a snapshot that one device takes and another refuses
 * would split the part. What zlib refuses is refused.
 */
import { Inadmissible } from "../errors";

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST = 15;

function bad(): Inadmissible {
  return new Inadmissible("bad_snapshot", "not one deflated piece of a size that is allowed");
}

/** A prefix code: how many codes there are of each length, and their symbols in order. */
interface Code {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/** `whole`: no code may be missing; else one single code of one bit may stand alone, as zlib has it. */
function codeOf(lengths: readonly number[], whole: boolean): Code {
  const counts = new Uint16Array(LONGEST + 1);
  for (const length of lengths) counts[length] = (counts[length] as number) + 1;
  let free = 1;
  for (let length = 1; length <= LONGEST; length++) {
    free = free * 2 - (counts[length] as number);
    if (free < 0) throw bad();
  }
  const used = lengths.length - (counts[0] as number);
  if (free > 0 && (whole || !(used === 0 || (used === 1 && counts[1] === 1)))) throw bad();
  const starts = new Uint16Array(LONGEST + 2);
  for (let length = 1; length <= LONGEST; length++) {
    starts[length + 1] = (starts[length] as number) + (counts[length] as number);
  }
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    symbols[starts[length] as number] = symbol;
    starts[length] = (starts[length] as number) + 1;
  });
  return { counts, symbols };
}

const FIXED_LENGTHS = codeOf(
  Array.from({ length: 288 }, (_, at) => (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : 8)),
  true,
);
const FIXED_DISTANCES = codeOf(new Array(32).fill(5), true);

/** Throws `bad_snapshot`, also for more than `most` bytes: a thousand bytes of deflate can hold a million. */
export function inflate(data: Uint8Array, most: number): Uint8Array {
  const reader = new Inflater(data, most);
  return reader.run();
}

class Inflater {
  private at = 0;
  private held = 0;
  private bits = 0;
  private out = new Uint8Array(1024);
  private length = 0;

  constructor(
    private readonly data: Uint8Array,
    private readonly most: number,
  ) {}

  run(): Uint8Array {
    let last = false;
    while (!last) {
      last = this.take(1) === 1;
      const kind = this.take(2);
      if (kind === 0) this.stored();
      else if (kind === 1) this.packed(FIXED_LENGTHS, FIXED_DISTANCES);
      else if (kind === 2) this.dynamic();
      else throw bad();
    }
    // Bytes behind the end would be free: a hidden channel, and another record of the same content.
    if (this.at !== this.data.length) throw bad();
    return this.out.slice(0, this.length);
  }

  private take(count: number): number {
    while (this.bits < count) {
      if (this.at >= this.data.length) throw bad();
      this.held |= (this.data[this.at++] as number) << this.bits;
      this.bits += 8;
    }
    const value = this.held & ((1 << count) - 1);
    this.held >>>= count;
    this.bits -= count;
    return value;
  }

  private symbol({ counts, symbols }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= LONGEST; length++) {
      code |= this.take(1);
      const count = counts[length] as number;
      if (code - count < first) return symbols[index + (code - first)] as number;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw bad();
  }

  private room(count: number): void {
    if (this.length + count > this.most) throw bad();
    if (this.length + count <= this.out.length) return;
    const grown = new Uint8Array(Math.max(2 * this.out.length, this.length + count));
    grown.set(this.out.subarray(0, this.length));
    this.out = grown;
  }

  private stored(): void {
    this.held = 0;
    this.bits = 0;
    const length = this.take(16);
    if (this.take(16) !== (length ^ 0xffff)) throw bad();
    if (length > this.data.length - this.at) throw bad();
    this.room(length);
    this.out.set(this.data.subarray(this.at, this.at + length), this.length);
    this.at += length;
    this.length += length;
  }

  private dynamic(): void {
    const lengths = this.take(5) + 257;
    const distances = this.take(5) + 1;
    const meta = this.take(4) + 4;
    if (lengths > 286 || distances > 30) throw bad();
    const of: number[] = new Array(19).fill(0);
    for (let i = 0; i < meta; i++) of[ORDER[i] as number] = this.take(3);
    const code = codeOf(of, true);
    const all: number[] = [];
    while (all.length < lengths + distances) {
      const symbol = this.symbol(code);
      if (symbol < 16) {
        all.push(symbol);
        continue;
      }
      if (symbol === 16 && all.length === 0) throw bad();
      const value = symbol === 16 ? (all.at(-1) as number) : 0;
      const count = symbol === 16 ? 3 + this.take(2) : symbol === 17 ? 3 + this.take(3) : 11 + this.take(7);
      if (all.length + count > lengths + distances) throw bad();
      for (let i = 0; i < count; i++) all.push(value);
    }
    if (all[256] === 0) throw bad();
    this.packed(codeOf(all.slice(0, lengths), false), codeOf(all.slice(lengths), false));
  }

  private packed(lengths: Code, distances: Code): void {
    for (;;) {
      const symbol = this.symbol(lengths);
      if (symbol === 256) return;
      if (symbol < 256) {
        this.room(1);
        this.out[this.length++] = symbol;
        continue;
      }
      const base = LENGTH_BASE[symbol - 257];
      if (base === undefined) throw bad();
      const length = base + this.take(LENGTH_BITS[symbol - 257] as number);
      const far = this.symbol(distances);
      const start = DISTANCE_BASE[far];
      if (start === undefined) throw bad();
      const distance = start + this.take(far < 4 ? 0 : (far >> 1) - 1);
      if (distance > this.length) throw bad();
      this.room(length);
      for (let i = 0; i < length; i++, this.length++) {
        this.out[this.length] = this.out[this.length - distance] as number;
      }
    }
  }
}
