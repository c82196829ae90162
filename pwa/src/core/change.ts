/**
 * One Automerge change: the strict codec of the admitted part of the format. Spec: docs/spec/change.md.
 *
 * No engine may be fed foreign bytes unchecked: a long run hangs one, a timestamp stops the other, two chunks in one
 * make two documents. So this module reads a change first, knows only what the schema language can say, and lets one
 * encoding through for each meaning. The checks follow each other in the order of the specification, because Python
 * and TypeScript give the same code for the same bytes. Mirrors core/eigenkring/change.py.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { concat } from "../crypto/kdf";
import {
  COLUMNS,
  MARK_COLUMNS,
  MAX_CHANGE_OPS,
  MAX_KEY_BYTES,
  packOperations,
  readOperations,
  wrong,
} from "./change-columns";
import { bent, Cursor, Packing, uleb } from "./columns";
import { Inadmissible } from "./errors";
import { type Hex, hex, same, unhex } from "./ids";
import { type Op, Operations, type OpId, operationsOf, type Stretch } from "./operation";

export type { Action, Op, OpId } from "./operation";
export { MAX_CHANGE_OPS, MAX_KEY_BYTES };

export const MAX_CHANGE_BYTES = 262_144;
export const ACTOR_BYTES = 24;

const MAGIC = Uint8Array.of(0x85, 0x6f, 0x4a, 0x83);
const CHANGE_CHUNK = 1;

export interface Unpacked {
  readonly deps: readonly Hex[];
  readonly actor: Hex;
  readonly seq: number;
  readonly startOp: number;
  readonly ops: Operations | readonly Op[];
}

/** A parsed change. `hash` and `raw` are what was received. */
export interface Change extends Unpacked {
  readonly ops: Operations;
  readonly hash: Hex;
  readonly raw: Uint8Array;
  readonly maxOp: number;
}

function rising(names: readonly Hex[]): boolean {
  return names.every((name, at) => at === 0 || (names[at - 1] as Hex) < name);
}

/**
 * Read one change, or throw Inadmissible. Nothing is allocated by a length that was not checked first. `hash`: of these very
 * bytes, where the caller has just computed it; nobody else's word is taken for it.
 */
export function parseChange(raw: Uint8Array, hash?: Uint8Array): Change {
  if (raw.length > MAX_CHANGE_BYTES) throw new Inadmissible("too_large");
  const start = checkChunk(raw);
  const digest = hash ?? sha256(raw.subarray(8));
  if (!same(digest.subarray(0, 4), raw.subarray(4, 8))) throw new Inadmissible("bad_chunk", "wrong checksum");
  const cursor = new Cursor(raw, start);
  const deps = readMany(cursor, 32, () => hex(cursor.take(32)));
  if (!rising(deps)) throw bent("dependencies are not in order");
  const actor = readActor(cursor);
  const seq = cursor.uleb();
  if (seq < 1) throw new Inadmissible("bad_sequence");
  const startOp = cursor.uleb();
  if (startOp < 1) throw new Inadmissible("bad_start");
  // A clock's word about itself: it would be a second, unchecked time, and some values stop the engine.
  if (cursor.take(1)[0] !== 0) throw new Inadmissible("bad_time");
  if (cursor.take(1)[0] !== 0) throw new Inadmissible("bad_message");
  const others = readMany(cursor, ACTOR_BYTES + 1, () => readActor(cursor));
  if (!rising(others)) throw bent("actors are not in order");
  const columns = readColumns(cursor);
  const ops = new Operations(actor, startOp, readOperations(columns, [actor, ...others], startOp));
  // A listed actor that nothing names would be free bytes: a hidden channel, and a second encoding.
  const used = othersOf(ops.spans, actor);
  if (used.length !== others.length || !used.every((other, at) => other === others[at]))
    throw bent("an actor that is not used, or the author among the others");
  const change = { deps, actor, seq, startOp, ops, hash: hex(digest), raw, maxOp: startOp + ops.length - 1 };
  // As for each column and value: this line holds if a step above should let a second form through.
  const written: (readonly [number, number])[] = [];
  let columnsBytes = 0;
  for (const [column, data] of columns) {
    written.push([column, data.length]);
    columnsBytes += data.length;
  }
  if (!same(packHead(change, used, written), raw.subarray(start, raw.length - columnsBytes)))
    throw bent("another encoding of the same change");
  return change;
}

/** Where the content of the only chunk begins. */
function checkChunk(raw: Uint8Array): number {
  if (raw.length < 10 || !same(raw.subarray(0, 4), MAGIC) || raw[8] !== CHANGE_CHUNK)
    throw new Inadmissible("bad_chunk", "not one uncompressed change");
  const cursor = new Cursor(raw, 9);
  let length: number;
  try {
    length = cursor.uleb();
  } catch {
    throw new Inadmissible("bad_chunk", "bad length");
  }
  // Two chunks in one: Python applies both, the second unchecked, and JavaScript none.
  if (cursor.left !== length) throw new Inadmissible("bad_chunk", "not exactly one chunk");
  return cursor.pos;
}

function readMany<T>(cursor: Cursor, size: number, read: () => T): T[] {
  const count = cursor.uleb();
  if (count * size > cursor.left) throw bent("more entries than bytes");
  return Array.from({ length: count }, read);
}

function readActor(cursor: Cursor): Hex {
  if (cursor.uleb() !== ACTOR_BYTES) throw new Inadmissible("bad_actor", "an actor has 24 bytes");
  return hex(cursor.take(ACTOR_BYTES));
}

function readColumns(cursor: Cursor): Map<number, Uint8Array> {
  let last = -1;
  const lengths = readMany(cursor, 2, () => {
    const column = cursor.uleb();
    const length = cursor.uleb();
    if (column <= last) throw bent("columns are not in order");
    if (MARK_COLUMNS.has(column)) throw wrong("marks");
    if (!COLUMNS.has(column) || length === 0) throw bent("an unknown, compressed or empty column");
    last = column;
    return [column, length] as const;
  });
  const columns = new Map(lengths.map(([column, length]) => [column, cursor.take(length)]));
  if (cursor.left > 0) throw new Inadmissible("bad_extra");
  return columns;
}

/** The one encoding of these fields. Whether they are admissible, only `parseChange` says. */
export function encodeChange(change: Unpacked): Uint8Array {
  return packChunk(packContent(change));
}

export function packChunk(content: Uint8Array): Uint8Array {
  return hashedChunk(content)[0];
}

/** A chunk of these pieces, and its hash. */
export function hashedChunk(...pieces: readonly Uint8Array[]): readonly [raw: Uint8Array, hash: Uint8Array] {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const length = uleb(size);
  const raw = new Uint8Array(9 + length.length + size);
  raw.set(MAGIC);
  raw[8] = CHANGE_CHUNK;
  raw.set(length, 9);
  let at = 9 + length.length;
  for (const piece of pieces) {
    raw.set(piece, at);
    at += piece.length;
  }
  const hash = sha256(raw.subarray(8));
  raw.set(hash.subarray(0, 4), 4);
  return [raw, hash];
}

/** What is in the chunk. The same memory at each call: it is to be compared or copied before the next. */
function packContent(change: Unpacked): Uint8Array {
  const ops = operationsOf(change).each();
  const others = othersOf(ops, change.actor);
  const index = new Map([change.actor, ...others].map((name, at) => [name, at]));
  packedColumns.cut(0);
  const lengths = packOperations(packedColumns, ops, index);
  return concat(packHead(change, others, lengths), packedColumns.since());
}

/** All that stands before the columns. The same memory at each call. */
function packHead(
  { deps, actor, seq, startOp }: Unpacked,
  others: readonly Hex[],
  columns: readonly (readonly [column: number, length: number])[],
): Uint8Array {
  const out = packedHead;
  out.cut(0);
  out.uleb(deps.length);
  for (const dep of deps) out.put(unhex(dep));
  out.text(unhex(actor));
  out.uleb(seq);
  out.uleb(startOp);
  out.byte(0); // time
  out.byte(0); // no message
  out.uleb(others.length);
  for (const other of others) out.text(unhex(other));
  out.uleb(columns.length);
  for (const [column, length] of columns) {
    out.uleb(column);
    out.uleb(length);
  }
  return out.since();
}

const packedColumns = new Packing();
const packedHead = new Packing();

/** Every actor that the operations name, besides the author. */
function othersOf(spans: readonly (Op | Stretch)[], author: Hex): Hex[] {
  const others: Hex[] = [];
  const note = ({ actor }: OpId): void => {
    if (actor !== author && !others.includes(actor)) others.push(actor);
  };
  for (const { obj, element, pred } of spans) {
    if (obj !== null) note(obj);
    if (element !== null) note(element);
    for (const name of pred) note(name);
  }
  return others.sort();
}
