/** The intents of a person as small steps, so that a change ends where the next step would make it too large. */
import { MAX_KEY_BYTES } from "./change";
import type { Beginning, Node, Obj, Scalar, Writing } from "./crdt";
import type { Intent, KindRules } from "./document";
import { EigenkringError, Misuse } from "./errors";
import { isText } from "./packed";
import { byCodePoint, smallestSplice } from "./texts";

export const MAX_SCALAR_BYTES = 65_536;
// Room below max_change_ops and max_change_bytes for what a change says besides its operations.
const MOST_OPS = 15_000;
const MOST_BYTES = 190_000;
const OP_BYTES = 12;
const PIECE = 1_000;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const utf8 = new TextEncoder();

/** The intents do not fit into one change. */
export class TooLarge extends EigenkringError {
  constructor() {
    super("too_large");
  }
}

/** What the next step will cost: the change may end before it. */
interface Cost {
  readonly ops: number;
  readonly bytes: number;
}
const FREE: Cost = { ops: 0, bytes: 0 };
type Walk = Generator<Cost, void, void>;
type Rules = ReadonlyMap<string, { readonly type: string }>;
const NO_RULES: Rules = new Map();

export class Steps {
  done = false;
  private current: Writing | undefined;
  private readonly walk: Walk;
  private next: Cost | undefined;

  constructor(
    private readonly root: Obj,
    private readonly schema: KindRules | undefined,
    intents: readonly Intent[],
  ) {
    this.walk = this.all(intents);
  }

  private get writing(): Writing {
    if (!this.current) throw new Error("a step outside of a change");
    return this.current;
  }

  runWhole(writing: Writing): void {
    this.run(writing);
    if (!this.done) throw new TooLarge();
  }

  /** As much as fits into one change. */
  run(writing: Writing): void {
    this.current = writing;
    let ops = 0;
    let bytes = 0;
    try {
      for (;;) {
        const cost = this.next ?? this.walk.next().value;
        this.next = undefined;
        if (!cost) {
          this.done = true;
          return;
        }
        if (ops > 0 && (ops + cost.ops > MOST_OPS || bytes + cost.bytes > MOST_BYTES)) {
          this.next = cost;
          return;
        }
        ops += cost.ops;
        bytes += cost.bytes;
      }
    } finally {
      this.current = undefined;
    }
  }

  // Each yield says what follows it will cost: the change may end there.

  private *all(intents: readonly Intent[]): Walk {
    for (const intent of intents) {
      const [verb] = intent;
      if (verb === "add" && intent.length === 4) yield* this.add(intent[1], intent[2], intent[3]);
      else if (verb === "set" && intent.length === 3) yield* this.set(intent[1], intent[2]);
      else if (verb === "delete" && intent.length === 2) yield* this.remove(intent[1]);
      else if (verb === "splice" && intent.length >= 5) {
        yield* this.splice(intent[1], intent[2], intent[3], intent[4]);
      } else throw new Misuse("bad_argument", "no such intent");
    }
  }

  private *add(collection: unknown, item: unknown, given: unknown): Walk {
    const key = `${named(collection)}/${named(item)}`;
    const fields = entriesOf(given);
    if (!fields) throw new Misuse("bad_value", "fields are a map");
    const small = beginnings(fields, this.rules(String(collection)));
    if (small) {
      yield small.cost;
      if (this.writing.get(this.root, key)) throw new Misuse("bad_argument", "the item is there already");
      this.writing.makeItem(this.root, key, small.fields);
      return;
    }
    yield cost(key);
    if (this.writing.get(this.root, key)) throw new Misuse("bad_argument", "the item is there already");
    const obj = this.writing.makeMap(this.root, key);
    const rules = this.rules(String(collection));
    // Empty texts and sets are made with the item: two people who write the first words at once would otherwise make two
    // texts, and one would be hidden.
    for (const [name, { type }] of rules) {
      if ((type === "text" || type === "set") && !fields.has(name)) {
        yield cost(name);
        this.empty(obj, name, type);
      }
    }
    for (const [name, value] of fields) yield* this.put(obj, fieldName(name), rules.get(name), value);
  }

  private *set(path: unknown, value: unknown): Walk {
    const [collection, item, field] = pathOf(path, 3) as [string, string, string];
    yield FREE;
    yield* this.put(this.item(collection, item), field, this.rules(collection).get(field), value);
  }

  private *remove(path: unknown): Walk {
    const names = pathOf(path, 2, 3);
    const [collection, item, field] = names as [string, string, string?];
    yield cost(names.join("/"));
    const obj = this.item(collection, item);
    if (field === undefined) this.writing.delete(this.root, `${collection}/${item}`);
    else if (!this.writing.get(obj, field)) throw new Misuse("no_such_field", "there is no such field");
    else this.writing.delete(obj, field);
  }

  private *splice(path: unknown, position: unknown, count: unknown, text: unknown): Walk {
    const [collection, item, field] = pathOf(path, 3) as [string, string, string];
    if (!isCount(position) || !isCount(count) || typeof text !== "string") {
      throw new Misuse("bad_value", "a splice is position, number to remove, text");
    }
    bytesOf(text);
    yield FREE;
    const node = this.writing.get(this.item(collection, item), field);
    if (node?.kind !== "text") throw new Misuse("no_such_field", "there is no such text");
    if (position + count > this.writing.length(node.obj)) {
      throw new Misuse("bad_value", "beyond the end of the text");
    }
    yield* this.cutAndPaste(node.obj, position, count, text);
  }

  private *put(obj: Obj, field: string, rule: { readonly type: string } | undefined, value: unknown): Walk {
    const node = this.writing.get(obj, field);
    if (rule ? rule.type === "set" : typeof value !== "string" && node?.kind === "map") {
      yield* this.putSet(obj, field, node, value);
    } else if (rule ? rule.type === "text" : typeof value === "string") {
      yield* this.putText(obj, field, node, value);
    } else {
      const scalar = scalarOf(value);
      yield cost(field, scalar);
      this.writing.put(obj, field, scalar);
    }
  }

  private *putText(obj: Obj, field: string, node: Node | undefined, value: unknown): Walk {
    if (typeof value !== "string") throw new Misuse("bad_value", "a text takes text");
    bytesOf(value);
    let text: Obj;
    let before = "";
    if (node?.kind === "text") {
      text = node.obj;
      before = this.writing.text(text);
    } else {
      yield cost(field);
      text = this.empty(obj, field, "text");
    }
    yield* this.cutAndPaste(text, ...smallestSplice(before, value));
  }

  private *putSet(obj: Obj, field: string, node: Node | undefined, value: unknown): Walk {
    const members = membersOf(value);
    let at: Obj;
    let had: string[] = [];
    if (node?.kind === "map") {
      at = node.obj;
      had = this.writing.keys(at);
    } else {
      yield cost(field);
      at = this.empty(obj, field, "set");
    }
    for (const member of byCodePoint(had.filter((one) => !members.has(one)))) {
      yield cost(member);
      this.writing.delete(at, member);
    }
    for (const member of byCodePoint(members)) {
      if (isMember(this.writing.get(at, member))) continue;
      yield cost(member);
      this.writing.put(at, member, true);
    }
  }

  private *cutAndPaste(obj: Obj, position: number, count: number, text: string): Walk {
    // In pieces of a size that always fits; the removal first, so that the pieces follow each other.
    for (let left = count; left > 0; left -= PIECE) {
      const piece = Math.min(left, PIECE);
      yield { ops: piece, bytes: piece * OP_BYTES };
      this.writing.remove(obj, position, piece);
    }
    const whole = Array.from(text);
    for (let start = 0; start < whole.length; start += PIECE) {
      const words = whole.slice(start, start + PIECE);
      const piece = words.join("");
      yield { ops: words.length, bytes: bytesOf(piece) + words.length * 8 };
      this.writing.insert(obj, position + start, piece);
    }
  }

  private empty(obj: Obj, field: string, type: string): Obj {
    return type === "text" ? this.writing.makeText(obj, field) : this.writing.makeMap(obj, field);
  }

  private item(collection: string, item: string): Obj {
    const node = this.writing.get(this.root, `${collection}/${item}`);
    if (node?.kind !== "map") throw new Misuse("no_such_item", "there is no such item");
    return node.obj;
  }

  private rules(collection: string): Rules {
    return this.schema?.collections.get(collection)?.fields ?? NO_RULES;
  }
}

export function isMember(node: Node | undefined): boolean {
  return node?.kind === "scalar" && node.value === true;
}

// Values

function cost(...values: readonly Scalar[]): Cost {
  const bytes = values.reduce<number>(
    (total, value) => total + (typeof value === "string" ? utf8.encode(value).length : 9),
    OP_BYTES,
  );
  return { ops: 1, bytes };
}

/**
 * An item that the schema knows and that is small, as most are: it is made at once. Undefined for another one, or where a value
 * does not fit, which is found out step by step.
 */
function beginnings(
  given: ReadonlyMap<string, unknown>,
  rules: Rules,
): { readonly fields: ReadonlyMap<string, Beginning>; readonly cost: Cost } | undefined {
  const fields = new Map<string, Beginning>();
  let ops = 1;
  let letters = 0;
  for (const [name, { type }] of rules) {
    if (!given.has(name) && (type === "text" || type === "set")) {
      fields.set(name, type === "set" ? { kind: "set" } : { kind: "text", text: "" });
    }
  }
  for (const [name, value] of given) {
    const type = rules.get(name)?.type;
    if (type === undefined || type === "set" || name === "__proto__") return undefined;
    if (typeof value === "string") {
      if (!isText(value)) return undefined;
      letters += value.length;
      if (type === "text") ops += value.length;
      fields.set(name, type === "text" ? { kind: "text", text: value } : { kind: "scalar", value });
    } else if (type !== "text" && (value === null || typeof value === "boolean")) {
      fields.set(name, { kind: "scalar", value });
    } else return undefined;
  }
  ops += fields.size;
  for (const name of fields.keys()) letters += name.length;
  // As bytes a letter takes at most three, and what of it a text holds is an operation too.
  return letters > PIECE ? undefined : { fields, cost: { ops, bytes: ops * OP_BYTES + 3 * letters } };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function bytesOf(value: string): number {
  // Half a surrogate pair: the two engines would keep different words.
  if (!isText(value)) throw new Misuse("bad_value", "half a character");
  return utf8.encode(value).length;
}

function scalarOf(value: unknown): Scalar {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (bytesOf(value) > MAX_SCALAR_BYTES) throw new Misuse("bad_value", "the value is too long");
    return value;
  }
  // Beyond 2^53 a whole number may not be the one that was meant.
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new Misuse("bad_value", "the field does not take that value");
}

function entriesOf(given: unknown): ReadonlyMap<string, unknown> | undefined {
  if (given instanceof Map) return given;
  const isPlain =
    typeof given === "object" && given !== null && !Array.isArray(given) && !(given instanceof Set);
  return isPlain ? new Map(Object.entries(given)) : undefined;
}

function membersOf(value: unknown): Set<string> {
  const map = entriesOf(value);
  const members = map && [...map.values()].every((held) => held === true) ? [...map.keys()] : value;
  if (!Array.isArray(members) && !(members instanceof Set)) {
    throw new Misuse("bad_value", "a set takes a list of texts");
  }
  const found = new Set<string>();
  for (const member of members) {
    if (typeof member !== "string" || member === "" || bytesOf(member) > MAX_KEY_BYTES) {
      throw new Misuse("bad_value", "a member of a set is a short text");
    }
    found.add(member);
  }
  return found;
}

export function isName(value: string): boolean {
  return NAME.test(value);
}

/** Of a collection or an item. No slash: two names must not make one key. */
function named(value: unknown): string {
  if (typeof value !== "string" || !isName(value)) {
    throw new Misuse("bad_path", "a name is 1 to 64 letters, digits, - or _");
  }
  return value;
}

function fieldName(value: unknown): string {
  if (typeof value !== "string" || value === "" || bytesOf(value) > MAX_KEY_BYTES) {
    throw new Misuse("bad_path", "a field has a short name");
  }
  return value;
}

function pathOf(path: unknown, ...sizes: readonly number[]): string[] {
  if (!Array.isArray(path) || !sizes.includes(path.length)) {
    throw new Misuse("bad_path", "a path is collection, item and perhaps field");
  }
  return [...path.slice(0, 2).map(named), ...path.slice(2).map(fieldName)];
}
