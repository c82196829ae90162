/**
 * What a person does, as changes of a part's document, and the document read back. Spec: docs/spec/part.md (Document).
 *
 * The root map has one map per item under `collection/item`. A text is spliced, never overwritten, so that two people can
 * write in it at once; a set is a map of value to true, so that two people can add to it at once.
 */
import { MAX_CHANGE_BYTES } from "./change";
import { type Engine, type Held, heldIn, type Reading, type Scalar } from "./crdt";
import { EngineFailed, Misuse } from "./errors";
import { Steps, TooLarge } from "./steps";
import { byCodePoint } from "./texts";

export { smallestSplice } from "./texts";

/** A list is a set, sorted. */
export type Value = Scalar | readonly string[];
/** collection -> item -> field -> value. Maps, because a field may be called `__proto__`. */
export type Document = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, Value>>>;

/** A new item with these fields: an object, a Map, or nothing. */
export type Fields = ReadonlyMap<string, unknown> | { readonly [field: string]: unknown };
/** A path is collection, item and perhaps field. Positions count Unicode scalars. */
export type Path = readonly string[];
export type Intent =
  | readonly ["add", collection: string, item: string, fields: Fields]
  | readonly ["set", path: Path, value: unknown]
  | readonly ["delete", path: Path]
  /** `removed`: the words that went, kept for making it again. */
  | readonly ["splice", path: Path, position: number, count: number, text: string, removed?: string];

/** What this module needs of a KindSchema (schema.ts). */
export interface KindRules {
  readonly collections: ReadonlyMap<
    string,
    { readonly fields: ReadonlyMap<string, { readonly type: string }> }
  >;
}

export type DocumentEngine = Pick<
  Engine,
  | "root"
  | "actor"
  | "setActor"
  | "save"
  | "fork"
  | "whole"
  | "apply"
  | "commit"
  | "heads"
  | "changeHashes"
  | "changes"
  | keyof Reading
>;

// Reading

/**
 * The document in sorted order; of values set at once, the engine's winner. What the schema does not know is there too.
 * Never deeper than a set in an item, whatever was stored.
 */
export function read(engine: Pick<Engine, "whole">, schema?: KindRules): Document {
  const found = new Map<string, Map<string, ReadonlyMap<string, Value>>>();
  const whole = engine.whole();
  for (const key of byCodePoint(Object.keys(whole))) {
    const slash = key.indexOf("/");
    const held = heldIn(whole[key]);
    if (slash < 1 || slash === key.length - 1 || !held || !("map" in held)) continue;
    const collection = key.slice(0, slash);
    const items = found.get(collection) ?? new Map<string, ReadonlyMap<string, Value>>();
    items.set(key.slice(slash + 1), itemOf(held.map));
    found.set(collection, items);
  }
  return complete(found, schema);
}

/** In sorted order, and with the collections of the kind in which nothing lies. */
export function complete(found: Document, schema?: KindRules): Document {
  const names = new Set([...found.keys(), ...(schema?.collections.keys() ?? [])]);
  return new Map(byCodePoint(names).map((name) => [name, found.get(name) ?? new Map()]));
}

function itemOf(map: Held): Map<string, Value> {
  const fields = new Map<string, Value>();
  for (const name of byCodePoint(Object.keys(map))) {
    const held = heldIn(map[name]);
    if (held) fields.set(name, "map" in held ? membersOf(held.map) : held.value);
  }
  return fields;
}

function membersOf(set: Held): string[] {
  return byCodePoint(Object.keys(set).filter((member) => set[member] === true));
}

// Writing

/**
 * Does what a person did: the raw changes, in order; mostly one, more for a large paste, none when nothing became
 * different. Throws Misuse and leaves the engine as it was.
 */
export function applyIntents(
  engine: DocumentEngine,
  schema: KindRules | undefined,
  intents: readonly Intent[],
): Uint8Array[] {
  try {
    const whole = new Steps(engine.root, schema, intents);
    const made = engine.commit((writing) => whole.runWhole(writing));
    return made ? [fitting(made)] : [];
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
  }
  // Several changes: made on a copy, so that misuse in a later one takes the earlier ones along.
  const copy = engine.fork();
  const steps = new Steps(copy.root, schema, intents);
  const changes: Uint8Array[] = [];
  while (!steps.done) {
    const made = copy.commit((writing) => steps.run(writing));
    if (made) changes.push(fitting(made));
  }
  engine.apply(changes);
  return changes;
}

function fitting(change: Uint8Array): Uint8Array {
  if (change.length > MAX_CHANGE_BYTES) throw new EngineFailed("a change became too large");
  return change;
}

/** The kind of a part, by its full name. */
export function kindOf(part: string): string {
  return part.split("@", 1)[0] as string;
}

/** The steps of `collection/item/field`. Throws `bad_path`. */
export function pathOf(path: string, size: number): string[] {
  const steps = path.replace(/^\/+|\/+$/g, "").split("/");
  if (steps.length !== size || !steps.every(Boolean)) {
    throw new Misuse("bad_path", "a path is collection/item/field");
  }
  return steps;
}
