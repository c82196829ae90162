/**
 * The CRDT engine: the only module that knows Automerge. Spec: docs/spec/part.md (Document).
 *
 * The engine believes what it is fed, so only changes that passed the strict door come here, and a saved document only
 * from this device's own cache. A panic of the engine leaves it half done: then the document is made again from what it
 * was before. Await `engineReady()` of src/engine.ts before the first use.
 */
import * as Automerge from "@automerge/automerge/slim";
import { EigenkringError, EngineFailed } from "./errors";
import { type Hex, hex } from "./ids";
import { isText } from "./packed";

export type Scalar = string | number | boolean | null;
/** What lies under a key: an object or a scalar. A list never passes the door and shows nothing. */
export type Node =
  | { readonly kind: "map" | "text" | "list"; readonly obj: Obj }
  | { readonly kind: "scalar"; readonly value: Scalar };
declare const brand: unique symbol;
/** An object of one document. */
export type Obj = string & { readonly [brand]: "Obj" };
export const ROOT = "_root" as Obj;

/** One more is a bigint to the engine. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER - 1;

type Backend = ReturnType<typeof Automerge.getBackend>;

/** A map as it stands, with all that is in it. */
export type Held = { readonly [key: string]: unknown };

export interface Reading {
  get(obj: Obj, key: string): Node | undefined;
  keys(obj: Obj): string[];
  text(obj: Obj): string;
  /** In Unicode scalars. */
  length(obj: Obj): number;
}

class Reader implements Reading {
  constructor(protected readonly backend: () => Backend) {}

  get(obj: Obj, key: string): Node | undefined {
    const found = this.backend().getWithType(obj, key);
    if (!found) return undefined;
    const [kind, value] = found;
    switch (kind) {
      case "map":
      case "text":
      case "list":
        return { kind, obj: value as Obj };
      case "table":
        return { kind: "list", obj: value as Obj };
      case "int":
      case "uint":
      case "f64":
        // The engine gives the outermost whole numbers as bigints.
        return { kind: "scalar", value: Number(value) };
      case "str":
      case "boolean":
      case "null":
        return { kind: "scalar", value };
      default:
        // Bytes, counters and dates never pass the door; were one here, nothing is shown rather than a guess.
        return { kind: "scalar", value: null };
    }
  }

  keys(obj: Obj): string[] {
    return this.backend().keys(obj);
  }

  text(obj: Obj): string {
    return this.backend().text(obj);
  }

  length(obj: Obj): number {
    return scalars(this.text(obj));
  }
}

/** Of `Engine.whole`: a map, or a text or scalar; undefined for a list. */
export function heldIn(value: unknown): { readonly map: Held } | { readonly value: Scalar } | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return { value };
  // The engine may give whole numbers as bigints.
  if (typeof value === "number" || typeof value === "bigint") return { value: Number(value) };
  if (Array.isArray(value)) return undefined;
  if (Automerge.isImmutableString(value)) return { value: value.val };
  if (Object.getPrototypeOf(value) === Object.prototype) return { map: value as Held };
  // Bytes, counters and dates never pass the door; were one here, nothing is shown rather than a guess.
  return { value: null };
}

/** What a field of a new item begins with: a text, a set without members, or a scalar. */
export type Beginning =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "set" }
  | { readonly kind: "scalar"; readonly value: string | boolean | null };

function grown(beginning: Beginning): unknown {
  if (beginning.kind === "text") return whole(beginning.text);
  if (beginning.kind === "set") return {};
  const { value } = beginning;
  return typeof value === "string" ? new Automerge.ImmutableString(whole(value)) : value;
}

/** One change being made. Positions in a text count Unicode scalars, as in Python; the engine counts UTF-16 here. */
export class Writing extends Reader {
  put(obj: Obj, key: string, value: Scalar): void {
    if (value === null) this.backend().put(obj, key, null, "null");
    else if (typeof value === "boolean") this.backend().put(obj, key, value, "boolean");
    else if (typeof value === "number") {
      const isWhole = Number.isInteger(value) && Math.abs(value) <= MAX_INTEGER;
      this.backend().put(obj, key, value, isWhole ? "int" : "f64");
    } else this.backend().put(obj, key, whole(value), "str");
  }

  makeMap(obj: Obj, key: string): Obj {
    return this.backend().putObject(obj, whole(key), {}) as Obj;
  }

  makeText(obj: Obj, key: string): Obj {
    return this.backend().putObject(obj, whole(key), "") as Obj;
  }

  /** A map with its fields, all at once: the engine takes a quarter of the time that one after the other takes. */
  makeItem(obj: Obj, key: string, fields: ReadonlyMap<string, Beginning>): void {
    const item = Object.fromEntries([...fields].map(([name, value]) => [whole(name), grown(value)]));
    this.backend().putObjectFromHydrate(obj, whole(key), item);
  }

  insert(obj: Obj, position: number, text: string): void {
    this.backend().splice(obj, units(this.text(obj), position), 0, whole(text));
  }

  remove(obj: Obj, position: number, count: number): void {
    const text = this.text(obj);
    const from = units(text, position);
    this.backend().splice(obj, from, units(text, position + count) - from);
  }

  delete(obj: Obj, key: string): void {
    this.backend().delete(obj, key);
  }
}

/** One document. Every method either does all of what it says or throws and changes nothing. */
export class Engine extends Reader {
  readonly root = ROOT;
  private document: Backend;
  private saved: Uint8Array | undefined;
  /** What came after `saved`: a panicked document is made again from these. */
  private since: Uint8Array[] = [];

  constructor(private own: Uint8Array) {
    super(() => this.document);
    this.document = created(own);
  }

  /** From this device's own cache, never from elsewhere: permuted rows load with the same heads. */
  static load(saved: Uint8Array, actor: Uint8Array): Engine {
    const engine = new Engine(actor);
    engine.guarded(() => {
      engine.document = loaded(saved, actor);
    });
    engine.saved = saved;
    return engine;
  }

  get actor(): Uint8Array {
    return this.own;
  }

  setActor(actor: Uint8Array): void {
    this.guarded(() => {
      this.document = this.document.clone(hex(actor));
    });
    this.own = actor;
  }

  save(): Uint8Array {
    const saved = this.guarded(() => this.document.save());
    this.saved = saved;
    this.since = [];
    return saved;
  }

  fork(): Engine {
    const twin = new Engine(this.own);
    twin.document = this.guarded(() => this.document.clone(hex(this.own)));
    twin.saved = this.saved;
    twin.since = [...this.since];
    return twin;
  }

  /** Takes in raw changes that passed the door, each after its dependencies. */
  apply(changes: readonly Uint8Array[]): void {
    if (changes.length === 0) return;
    this.guarded(() => this.document.applyChanges([...changes]));
    for (const raw of changes) this.since.push(raw);
  }

  /** Makes one change: its raw bytes, or undefined when nothing became different. Time 0, no message. */
  commit(write: (writing: Writing) => void): Uint8Array | undefined {
    const made = this.guarded(() => {
      write(new Writing(() => this.document));
      // The engine would put the clock's word about itself in; a change has no time (the door refuses one).
      return this.document.commit(null, 0) === null ? undefined : this.document.getLastLocalChange();
    });
    if (made) this.since.push(made);
    return made ?? undefined;
  }

  /** All of it at once: `heldIn` says what each value is. One by one the engine is asked five times for each item. */
  whole(): Held {
    return this.document.materialize("/") as Held;
  }

  heads(): Hex[] {
    return this.document.getHeads().sort();
  }

  changeHashes(): Hex[] {
    return this.guarded(() => this.document.getChangesMeta([]).map((change) => change.hash));
  }

  /** Every change as it travels: one chunk each, not deflated, dependencies first. */
  changes(): Uint8Array[] {
    return this.guarded(() => this.document.getChanges([]));
  }

  private guarded<T>(step: () => T): T {
    try {
      return step();
    } catch (failure) {
      this.again();
      // Of the caller's own function: what was half written is gone already.
      if (failure instanceof EigenkringError) throw failure;
      // The engine's own words may hold somebody's; its kind says enough.
      throw new EngineFailed(`the CRDT engine failed: ${failure instanceof Error ? failure.name : "panic"}`);
    }
  }

  /** The document as it was before a failure, in a new engine: the old one may be half done, or borrowed for ever. */
  private again(): void {
    const document = this.saved ? loaded(this.saved, this.own) : created(this.own);
    if (this.since.length > 0) document.applyChanges(this.since);
    this.document = document;
  }
}

function created(actor: Uint8Array): Backend {
  return Automerge.getBackend(Automerge.init({ actor: hex(actor) }));
}

/**
 * `Automerge.load` would read the whole document out of the wasm as well, which takes as long as loading it and is never
 * looked at. What this does instead ignores what stands after the document, so that is refused here.
 */
function loaded(saved: Uint8Array, actor: Uint8Array): Backend {
  if (saved.length !== chunkBytes(saved)) throw new RangeError("not one document");
  const document = created(actor);
  document.loadIncremental(saved);
  return document;
}

/** Of the first chunk: its header (magic, checksum and type), its length as LEB128, its content. */
function chunkBytes(saved: Uint8Array): number {
  let at = 9;
  let content = 0;
  for (let unit = 1; ; unit *= 128) {
    const byte = saved[at++] ?? 0;
    content += (byte & 127) * unit;
    if (byte < 128 || at > saved.length) return at + content;
  }
}

/** The engine writes U+FFFD for half a character and says nothing. */
function whole(text: string): string {
  if (!isText(text)) throw new RangeError("text with half a character in it");
  return text;
}

/** How many Unicode scalars. */
export function scalars(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Where in the string the scalar at `position` begins. */
export function units(text: string, position: number): number {
  let at = 0;
  for (let left = position; left > 0; left--) {
    const code = text.codePointAt(at);
    if (code === undefined) throw new RangeError("a position beyond the text");
    at += code > 0xffff ? 2 : 1;
  }
  return at;
}
