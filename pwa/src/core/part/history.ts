/**
 * Who wrote what where, and in which order it came: for the screen behind a part. Mirror of core/eigenkring/part/history.py.
 * Spec: docs/spec/part.md.
 */
import { type Change, type Op, type OpId, parseChange } from "../change";
import type { DeviceId, Hex } from "../ids";
import { FIRST_DAY, LAST_DAY } from "./attestation";
import type { Entry } from "./ledger";

/** An item's key, and a field of it or null for the item itself. */
export interface Place {
  readonly item: string;
  readonly field: string | null;
}

/**
 * One admitted change. `places`: each once, in order. `added` and `removed` count scalars of text. `day` is what its author
 * claims, counted from 1970.
 */
export interface Event {
  readonly change: Hex;
  readonly device: DeviceId;
  readonly seq: number;
  readonly index: number;
  readonly places: readonly Place[];
  readonly added: number;
  readonly removed: number;
  readonly day: number | null;
}

type Path = readonly string[];
type Objects = Map<string, Path>;

/** Parses every change again: asked for by a person, not at every keystroke. */
export function history(entries: Iterable<Entry>): Event[] {
  const objects: Objects = new Map();
  return Array.from(entries, (entry) => eventOf(entry, parseChange(entry.raw), objects));
}

/** `2026-03-03`, or null where the author claims nothing, or a day that cannot be. */
export function shownDay(day: number | null): string | null {
  if (day === null || day < FIRST_DAY || day > LAST_DAY) return null;
  return new Date(day * 86_400_000).toISOString().slice(0, 10);
}

function eventOf({ hash, device, seq, index, day }: Entry, change: Change, objects: Objects): Event {
  const places = new Map<string, Place>();
  let added = 0;
  let removed = 0;
  change.ops.each().forEach((op, at) => {
    const path = pathOf(op, objects);
    if (op.action === "make_map" || op.action === "make_text") {
      objects.set(nameOf({ counter: change.startOp + at, actor: change.actor }), path);
    }
    if (op.key === null && op.action === "insert") added += 1;
    if (op.key === null && op.action === "del") removed += 1;
    const [item, field = null] = path;
    if (item !== undefined) places.set(JSON.stringify([item, field]), { item, field });
  });
  // An item and its fields in one change: the fields say it.
  const fields = new Set([...places.values()].flatMap(({ item, field }) => (field === null ? [] : [item])));
  const shown = [...places.values()].filter(({ item, field }) => field !== null || !fields.has(item));
  return { change: hash, device, seq, index, places: shown, added, removed, day };
}

function pathOf({ obj, key }: Op, objects: Objects): Path {
  const above = obj === null ? [] : (objects.get(nameOf(obj)) ?? []);
  return key === null ? above : [...above, key];
}

const nameOf = ({ counter, actor }: OpId): string => `${counter}@${actor}`;
