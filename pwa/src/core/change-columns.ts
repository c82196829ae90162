/**
 * The columns of a change: its operations as they are read out of them, and packed. Spec: docs/spec/change.md.
 *
 * What is many letters typed one after the other is found here, and read as one stretch. Beside `change.ts`, of which it is a half;
 * in Python both are in core/eigenkring/change.py.
 */
import {
  bent,
  Cursor,
  encodeBooleans,
  encodeDeltas,
  encodeNumbers,
  encodeTexts,
  type Packing,
  readBooleans,
  readDeltas,
  readNumbers,
  readTexts,
} from "./columns";
import { Inadmissible } from "./errors";
import { type Hex, same } from "./ids";
import { type Action, type Op, type OpId, Stretch, sameName } from "./operation";
import { bytesOf, NULL, packScalar, readScalar, readText, type Scalar, TEXT, writeText } from "./scalars";

export const MAX_CHANGE_OPS = 20_000;
export const MAX_KEY_BYTES = 256;

// Columns: identity in the high bits, type in the low three, as Automerge numbers them.
const OBJ_ACTOR = 0x01;
const OBJ_COUNTER = 0x02;
const KEY_ACTOR = 0x11;
const KEY_COUNTER = 0x13;
const KEY_TEXT = 0x15;
const INSERT = 0x34;
export const ACTION = 0x42;
const VALUE_META = 0x56;
const VALUE = 0x57;
const PRED_COUNT = 0x70;
const PRED_ACTOR = 0x71;
const PRED_COUNTER = 0x73;
export const COLUMNS: ReadonlySet<number> = new Set([
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
export const MARK_COLUMNS: ReadonlySet<number> = new Set([0x94, 0xa5]);

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

export function wrong(why: string): Inadmissible {
  return new Inadmissible("bad_operation", why);
}

function follows(a: OpId, b: OpId): boolean {
  return a.counter > b.counter || (a.counter === b.counter && a.actor > b.actor);
}

const NOTHING = new Uint8Array();

/** Throws Inadmissible; nothing is allocated by a length that was not checked first. */
export function readOperations(
  columns: ReadonlyMap<number, Uint8Array>,
  actors: readonly Hex[],
  startOp: number,
): (Op | Stretch)[] {
  const column = (id: number) => columns.get(id) ?? NOTHING;
  if (!columns.has(ACTION)) throw wrong("a change without operations");
  const codes = readNumbers(column(ACTION), MAX_CHANGE_OPS, "too_large");
  const size = codes.length;
  const nothing: null[] = new Array(size).fill(null);
  const optional = <T>(id: number, read: (data: Uint8Array, limit: number) => readonly (T | null)[]) =>
    columns.has(id) ? read(column(id), size) : nothing;

  const objActors = optional(OBJ_ACTOR, readNumbers);
  const objCounters = optional(OBJ_COUNTER, readNumbers);
  const keyActors = optional(KEY_ACTOR, readNumbers);
  const keyCounters = optional(KEY_COUNTER, readDeltas);
  const keys = optional(KEY_TEXT, readTexts);
  const inserts = readBooleans(column(INSERT), size);
  const metas = whole(readNumbers(column(VALUE_META), size));
  const values = new Cursor(column(VALUE));
  if (lengthsIn(metas) !== values.left) throw bent("values and their lengths differ");
  const predCounts = whole(readNumbers(column(PRED_COUNT), size));
  const total = sum(predCounts);
  if (total > MAX_CHANGE_OPS) throw new Inadmissible("too_large", "too many predecessors");
  const predActors = whole(columns.has(PRED_ACTOR) ? readNumbers(column(PRED_ACTOR), total) : []);
  const predCounters = whole(columns.has(PRED_COUNTER) ? readDeltas(column(PRED_COUNTER), total) : []);
  const every = [objActors, objCounters, keyActors, keyCounters, keys, inserts, metas, predCounts];
  if (
    every.some((list) => list.length !== size) ||
    predActors.length !== total ||
    predCounters.length !== total
  )
    throw bent("columns of unequal length");

  const actions = whole(codes);
  /** Whether it is a letter and nothing more, in the object of these numbers. */
  const isLetter = (at: number, actor: number | null | undefined, counter: number | null | undefined) =>
    inserts[at] === true &&
    actions[at] === SET &&
    keys[at] === null &&
    predCounts[at] === 0 &&
    objActors[at] === actor &&
    objCounters[at] === counter;
  /** Where the letters end of which each stands after the one before it. */
  const endOfChain = (from: number): number => {
    const actor = objActors[from];
    const counter = objCounters[from];
    if (!isLetter(from, actor, counter)) return from;
    let end = from + 1;
    while (
      end < size &&
      keyCounters[end] === startOp + end - 1 &&
      keyActors[end] === 0 &&
      isLetter(end, actor, counter)
    )
      end++;
    return end;
  };

  const spans: (Op | Stretch)[] = [];
  let predAt = 0;
  let aloneUntil = 0;
  for (let at = 0; at < size; ) {
    const end = at < aloneUntil ? at : endOfChain(at);
    const letters = end - at > 1 ? typed(metas, at, end, values) : undefined;
    if (letters !== undefined) {
      const obj = readName(actors, objActors[at] as number | null, objCounters[at] as number | null);
      const [, element] = readPlace(actors, null, keyActors[at] as number | null, keyCounters[at] as number);
      if (obj !== null) {
        spans.push(new Stretch(obj, element, letters, end - at));
        values.take(letters.length);
        at = end;
        continue;
      }
    }
    // One by one, which says what is wrong. Not tried again for the rest of it: that would be quadratic.
    aloneUntil = Math.max(aloneUntil, end);
    const obj = readName(actors, objActors[at] as number | null, objCounters[at] as number | null);
    const [key, element] = readPlace(
      actors,
      keys[at] as Uint8Array | null,
      keyActors[at] as number | null,
      keyCounters[at] as number | null,
    );
    const name = readAction(actions[at] as number, key, element, inserts[at] as boolean);
    const meta = metas[at] as number;
    const value = readValue(name, meta, values.take(lengthIn(meta)));
    const pred: OpId[] = [];
    for (const last = predAt + (predCounts[at] as number); predAt < last; predAt++) {
      const next = readName(actors, predActors[predAt] as number, predCounters[predAt] as number);
      const before = pred.at(-1);
      if (next === null || (before !== undefined && !follows(next, before)))
        throw bent("predecessors are not in order");
      pred.push(next);
    }
    checkPreds(name, key, element, pred);
    spans.push({ action: name, obj, key, element, value, pred });
    at++;
  }
  return spans;
}

/** The bytes of these values, when each of them is one Unicode scalar. */
function typed(metas: readonly number[], from: number, end: number, values: Cursor): Uint8Array | undefined {
  const length = lengthsIn(metas, from, end);
  const data = values.data.subarray(values.pos, values.pos + length);
  let isPlain = true;
  let place = 0;
  for (let at = from; at < end; at++) {
    const first = data[place] as number;
    // As many bytes as the first of them announces; whether they are those of a letter says who decodes.
    if (metas[at] !== 16 * bytesOf(first) + TEXT) return undefined;
    if (first >= 0x80) isPlain = false;
    place += lengthIn(metas[at] as number);
  }
  if (isPlain) return data;
  try {
    readText(data);
    return data;
  } catch {
    return undefined;
  }
}

/** The length in a value's description; the low four bits are its type. */
function lengthIn(meta: number): number {
  return Math.floor(meta / 16);
}

function lengthsIn(metas: readonly number[], from = 0, end = metas.length): number {
  let total = 0;
  for (let at = from; at < end; at++) total += lengthIn(metas[at] as number);
  return total;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function whole(values: readonly (number | null)[]): readonly number[] {
  if (values.includes(null)) throw bent("a null where a number belongs");
  return values as readonly number[];
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
  // As for a column: this line holds if the one above should let a second form through.
  if (meta !== NULL && !isPacked(value, kind, data)) throw bent("another encoding of the same value");
  // One Unicode scalar each, so that positions mean the same in every language.
  if (name === "insert" && !(typeof value === "string" && [...value.slice(0, 3)].length === 1))
    throw new Inadmissible("bad_value", "a text grows by one Unicode scalar at a time");
  return value;
}

function isPacked(value: Scalar, kind: number, data: Uint8Array): boolean {
  const [packedKind, packed] = packScalar(value);
  return packedKind === kind && same(packed, data);
}

/** Columns one after the other; which there are, and how long. */
export function packOperations(
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
