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
  bent,
  Cursor,
  decodeBooleans,
  decodeDeltas,
  decodeNumbers,
  decodeTexts,
  encodeBooleans,
  encodeDeltas,
  encodeNumbers,
  encodeTexts,
  Packing,
  packedText,
} from "./columns";
import { Inadmissible } from "./errors";
import { type Hex, hex, same, unhex } from "./ids";
import { NULL, packScalar, readScalar, readText, type Scalar, TEXT, writeText } from "./scalars";

export const MAX_CHANGE_BYTES = 262_144;
export const MAX_CHANGE_OPS = 20_000;
export const MAX_KEY_BYTES = 256;
export const ACTOR_BYTES = 24;

const MAGIC = Uint8Array.of(0x85, 0x6f, 0x4a, 0x83);
const CHANGE_CHUNK = 1;

// Columns: identity in the high bits, type in the low three, as Automerge numbers them.
const OBJ_ACTOR = 0x01;
const OBJ_COUNTER = 0x02;
const KEY_ACTOR = 0x11;
const KEY_COUNTER = 0x13;
const KEY_TEXT = 0x15;
const INSERT = 0x34;
const ACTION = 0x42;
const VALUE_META = 0x56;
const VALUE = 0x57;
const PRED_COUNT = 0x70;
const PRED_ACTOR = 0x71;
const PRED_COUNTER = 0x73;
const COLUMNS: ReadonlySet<number> = new Set([
  OBJ_ACTOR,
  OBJ_COUNTER,
  KEY_ACTOR,
  KEY_COUNTER,
  KEY_TEXT,
  INSERT,
  ACTION,
  VALUE_META,
  VALUE,
  PRED_COUNT,
  PRED_ACTOR,
  PRED_COUNTER,
]);
const MARK_COLUMNS: ReadonlySet<number> = new Set([0x94, 0xa5]);

const SET = 1;
const DEL = 3;
const MAP_ACTIONS = new Map<number, Action>([
  [0, "make_map"],
  [SET, "set"],
  [DEL, "del"],
  [4, "make_text"],
]);
const CODES = new Map<Action, number>([
  ["insert", SET],
  ...[...MAP_ACTIONS].map(([code, name]) => [name, code] as const),
]);

export type Action = "make_map" | "make_text" | "set" | "insert" | "del";

/** Names an operation. They are ordered by counter, then by actor. */
export interface OpId {
  readonly counter: number;
  readonly actor: Hex;
}

/**
 * One operation. `key` is text in a map and null in a text; there `element` null is the beginning. `insert` puts the
 * one scalar of `value` after `element`; `del` in a text removes `element`.
 */
export interface Op {
  readonly action: Action;
  readonly obj: OpId | null;
  readonly key: string | null;
  readonly element: OpId | null;
  readonly value: Scalar;
  readonly pred: readonly OpId[];
}

export interface Unpacked {
  readonly deps: readonly Hex[];
  readonly actor: Hex;
  readonly seq: number;
  readonly startOp: number;
  readonly ops: readonly Op[];
}

/** A parsed change. `hash` and `raw` are what was received. */
export interface Change extends Unpacked {
  readonly hash: Hex;
  readonly raw: Uint8Array;
  readonly maxOp: number;
}

function wrong(why: string): Inadmissible {
  return new Inadmissible("bad_operation", why);
}

export function sameName(a: OpId | null, b: OpId | null): boolean {
  return a === b || (a !== null && b !== null && a.counter === b.counter && a.actor === b.actor);
}

function follows(a: OpId, b: OpId): boolean {
  return a.counter > b.counter || (a.counter === b.counter && a.actor > b.actor);
}

function rising(names: readonly Hex[]): boolean {
  return names.every((name, at) => at === 0 || (names[at - 1] as Hex) < name);
}

/** Every actor that the operations name. */
function actorsOf(ops: readonly Op[]): Set<Hex> {
  const actors = new Set<Hex>();
  for (const op of ops) {
    if (op.obj !== null) actors.add(op.obj.actor);
    if (op.element !== null) actors.add(op.element.actor);
    for (const pred of op.pred) actors.add(pred.actor);
  }
  return actors;
}

/** Read one change, or throw Inadmissible. Nothing is allocated by a length that was not checked first. */
export function parseChange(raw: Uint8Array): Change {
  if (raw.length > MAX_CHANGE_BYTES) throw new Inadmissible("too_large");
  const start = checkChunk(raw);
  const digest = sha256(raw.subarray(8));
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
  const ops = readOperations(readColumns(cursor), [actor, ...others]);
  // A listed actor that nothing names would be free bytes: a hidden channel, and a second encoding.
  const used = othersOf(ops, actor);
  if (used.length !== others.length || !used.every((other, at) => other === others[at]))
    throw bent("an actor that is not used, or the author among the others");
  const change = { deps, actor, seq, startOp, ops, hash: hex(digest), raw, maxOp: startOp + ops.length - 1 };
  // Each step above lets one form through. This line holds if one of them should not: another form of one change has
  // another hash, and an engine that packs its history again would write the first.
  if (!same(packContent(change), raw.subarray(start))) throw bent("another encoding of the same change");
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

const NOTHING = new Uint8Array();

function readOperations(columns: ReadonlyMap<number, Uint8Array>, actors: readonly Hex[]): Op[] {
  const column = (id: number) => columns.get(id) ?? NOTHING;
  if (!columns.has(ACTION)) throw wrong("a change without operations");
  const actions = decodeNumbers(column(ACTION), MAX_CHANGE_OPS, "too_large");
  const size = actions.length;
  const nothing: null[] = new Array(size).fill(null);
  const optional = <T>(id: number, decode: (data: Uint8Array, limit: number) => (T | null)[]) =>
    columns.has(id) ? decode(column(id), size) : nothing;

  const objActors = optional(OBJ_ACTOR, decodeNumbers);
  const objCounters = optional(OBJ_COUNTER, decodeNumbers);
  const keyActors = optional(KEY_ACTOR, decodeNumbers);
  const keyCounters = optional(KEY_COUNTER, decodeDeltas);
  const keys = optional(KEY_TEXT, decodeTexts);
  const inserts = decodeBooleans(column(INSERT), size);
  const metas = whole(decodeNumbers(column(VALUE_META), size));
  const values = new Cursor(column(VALUE));
  if (sum(metas.map(lengthIn)) !== values.left) throw bent("values and their lengths differ");
  const predCounts = whole(decodeNumbers(column(PRED_COUNT), size));
  const total = sum(predCounts);
  if (total > MAX_CHANGE_OPS) throw new Inadmissible("too_large", "too many predecessors");
  const predActors = whole(columns.has(PRED_ACTOR) ? decodeNumbers(column(PRED_ACTOR), total) : []);
  const predCounters = whole(columns.has(PRED_COUNTER) ? decodeDeltas(column(PRED_COUNTER), total) : []);
  const every = [objActors, objCounters, keyActors, keyCounters, keys, inserts, metas, predCounts];
  if (
    every.some((list) => list.length !== size) ||
    predActors.length !== total ||
    predCounters.length !== total
  )
    throw bent("columns of unequal length");

  let predAt = 0;
  return whole(actions).map((action, at): Op => {
    const obj = readName(actors, objActors[at] as number | null, objCounters[at] as number | null);
    const [key, element] = readPlace(
      actors,
      keys[at] as Uint8Array | null,
      keyActors[at] as number | null,
      keyCounters[at] as number | null,
    );
    const name = readAction(action, key, element, inserts[at] as boolean);
    const meta = metas[at] as number;
    const value = readValue(name, meta, values.take(lengthIn(meta)));
    const pred: OpId[] = [];
    for (const end = predAt + (predCounts[at] as number); predAt < end; predAt++) {
      const next = readName(actors, predActors[predAt] as number, predCounters[predAt] as number);
      const before = pred.at(-1);
      if (next === null || (before !== undefined && !follows(next, before)))
        throw bent("predecessors are not in order");
      pred.push(next);
    }
    checkPreds(name, key, element, pred);
    return { action: name, obj, key, element, value, pred };
  });
}

/** The length in a value's description; the low four bits are its type. */
function lengthIn(meta: number): number {
  return Math.floor(meta / 16);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function whole(values: readonly (number | null)[]): number[] {
  if (values.some((value) => value === null)) throw bent("a null where a number belongs");
  return values as number[];
}

function readName(actors: readonly Hex[], actor: number | null, counter: number | null): OpId | null {
  if (actor === null && counter === null) return null;
  const name = actor === null ? undefined : actors[actor];
  if (name === undefined || counter === null || counter < 1)
    throw wrong("half a name, or of an actor that is not listed");
  return { counter, actor: name };
}

function readPlace(
  actors: readonly Hex[],
  key: Uint8Array | null,
  actor: number | null,
  counter: number | null,
): [string | null, OpId | null] {
  if (key === null) {
    if (actor === null && counter === 0) return [null, null];
    const element = readName(actors, actor, counter);
    if (element === null) throw wrong("neither key nor element");
    return [null, element];
  }
  if (actor !== null || counter !== null) throw wrong("both key and element");
  // The length first: one key of 200 kB, run-length repeated 20,000 times, would cost minutes to decode.
  if (key.length < 1 || key.length > MAX_KEY_BYTES) throw new Inadmissible("bad_value", "length of a key");
  const text = readText(key);
  // In a JavaScript object this name is no property but the prototype: what lies under it would be lost.
  if (text === "__proto__") throw new Inadmissible("bad_value", "a key that JavaScript cannot hold");
  return [text, null];
}

function readAction(action: number, key: string | null, element: OpId | null, insert: boolean): Action {
  const name = MAP_ACTIONS.get(action);
  if (key !== null && name !== undefined && !insert) return name;
  if (key === null && insert && action === SET) return "insert";
  if (element !== null && !insert && action === DEL) return "del";
  // Lists, tables, links, increments, marks, blocks in text, overwriting in text.
  throw wrong("an operation that the schema language does not have");
}

function checkPreds(name: Action, key: string | null, element: OpId | null, pred: readonly OpId[]): void {
  if (name === "insert") {
    if (pred.length > 0) throw wrong("an insertion replaces nothing");
  } else if (name === "del") {
    if (pred.length === 0) throw wrong("a deletion deletes something");
    // An element has one value for ever, because nothing overwrites in a text.
    if (key === null && (pred.length !== 1 || !sameName(pred[0] as OpId, element)))
      throw wrong("a deletion in a text names its element");
  }
}

/** The scalar; a value where none belongs is refused. */
function readValue(name: Action, meta: number, data: Uint8Array): Scalar {
  const kind = meta % 16;
  if (name !== "set" && meta !== NULL && !(name === "insert" && kind === TEXT))
    throw new Inadmissible("bad_value", "a value where none belongs");
  const value = readScalar(kind, data);
  // One Unicode scalar each, so that positions mean the same in every language.
  if (name === "insert" && !(typeof value === "string" && [...value.slice(0, 3)].length === 1))
    throw new Inadmissible("bad_value", "a text grows by one Unicode scalar at a time");
  return value;
}

/** The one encoding of these fields. Whether they are admissible, only `parseChange` says. */
export function encodeChange(change: Unpacked): Uint8Array {
  return packChunk(packContent(change));
}

export function packChunk(content: Uint8Array): Uint8Array {
  const body = concat(Uint8Array.of(CHANGE_CHUNK), packedText(content));
  return concat(MAGIC, sha256(body).subarray(0, 4), body);
}

/** What is in the chunk. The same memory at each call: it is to be compared or copied before the next. */
function packContent({ deps, actor, seq, startOp, ops }: Unpacked): Uint8Array<ArrayBuffer> {
  const others = othersOf(ops, actor);
  const index = new Map([actor, ...others].map((name, at) => [name, at]));
  packedColumns.cut(0);
  const lengths = packOperations(packedColumns, ops, index);
  const out = packedChange;
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
  out.uleb(lengths.length);
  for (const [column, length] of lengths) {
    out.uleb(column);
    out.uleb(length);
  }
  out.put(packedColumns.since());
  return out.since();
}

const packedColumns = new Packing();
const packedChange = new Packing();

/** Every actor that the operations name, besides the author. */
function othersOf(ops: readonly Op[], author: Hex): Hex[] {
  const others = actorsOf(ops);
  others.delete(author);
  return [...others].sort();
}

/** Columns one after the other; which there are, and how long. */
function packOperations(
  out: Packing,
  ops: readonly Op[],
  index: ReadonlyMap<Hex, number>,
): (readonly [column: number, length: number])[] {
  const actor = (name: OpId | null) => (name === null ? null : (index.get(name.actor) as number));
  const lengths: (readonly [number, number])[] = [];
  const column = (id: number, pack: () => void): void => {
    const start = out.length;
    pack();
    if (out.length > start) lengths.push([id, out.length - start]);
  };
  const values = ops.map((op) => packScalar(op.value));
  const preds = ops.flatMap((op) => op.pred);
  const numbers = <T>(id: number, list: readonly T[], of: (one: T) => number | null): void =>
    column(id, () => encodeNumbers(out, list.map(of)));
  numbers(OBJ_ACTOR, ops, (op) => actor(op.obj));
  numbers(OBJ_COUNTER, ops, (op) => op.obj?.counter ?? null);
  numbers(KEY_ACTOR, ops, (op) => actor(op.element));
  const places = ops.map((op) => (op.key === null ? (op.element?.counter ?? 0) : null));
  column(KEY_COUNTER, () => encodeDeltas(out, places));
  const keys = ops.map((op) => (op.key === null ? null : writeText(op.key)));
  column(KEY_TEXT, () => encodeTexts(out, keys));
  column(INSERT, () =>
    encodeBooleans(
      out,
      ops.map((op) => op.action === "insert"),
    ),
  );
  numbers(ACTION, ops, (op) => CODES.get(op.action) as number);
  numbers(VALUE_META, values, ([kind, data]) => data.length * 16 + kind);
  column(VALUE, () => {
    for (const [, data] of values) out.put(data);
  });
  numbers(PRED_COUNT, ops, (op) => op.pred.length);
  numbers(PRED_ACTOR, preds, actor);
  const counters = preds.map((pred) => pred.counter);
  column(PRED_COUNTER, () => encodeDeltas(out, counters));
  return lengths;
}
