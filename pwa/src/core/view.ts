/**
 * What a professional reads: a selection, its projection as plain data, and the record. Mirrors core/eigenkring/view.py.
 *
 * `project` is one pure function, the same in Python, and the preview: nothing that is not selected may change one byte
 * of what it gives. Spec: docs/spec/view.md.
 */
import { BadSignature } from "../crypto/errors";
import { hmac, label, sha256 } from "../crypto/kdf";
import { type SigningKey, sign, verify } from "../crypto/sign";
import { claimsAttachment, shownOf } from "./attachment";
import { Inadmissible, Misuse } from "./errors";
import { type Chain, type GrantId, type Hex, hex, type StreamId, same } from "./ids";
import { BadPacked, encode, Float, isText, type Packable, type Packed } from "./packed";
import { splitPart } from "./schema";
import { ALL, ANY, type PartSelection, type Selection, sorted } from "./selection";
import { bytes, dict, list, pack, type Shape, struct, text, uint, unpack } from "./shape";
import { byCodePoint } from "./texts";

export * from "./selection";

/** A list is a set, sorted (as the document gives it). */
export type Value = string | number | boolean | null | readonly string[];
export type Items = ReadonlyMap<string, ReadonlyMap<string, Value>>;
/** part -> collection -> item -> field -> value. Maps, because a field may be called `__proto__`. */
export type Documents = ReadonlyMap<string, ReadonlyMap<string, Items>>;
/** The same with pseudonyms of items, the keys in order. */
export type Projection = Documents;

// --- projection

/**
 * The selected parts as they are now, with the pseudonyms of one grant in place of every id. `people`: names by hex.
 *
 * It looks at no schema, so that two devices with different versions publish the same. Misuse `no_such_part` when a
 * selected part is not among the documents: half a view would look like a plan from which something was taken.
 */
export function project(
  chosen: Selection,
  documents: Documents,
  people: ReadonlyMap<Hex, string>,
  pseudonymKey: Uint8Array,
): Projection {
  const projection = new Map<string, ReadonlyMap<string, Items>>();
  for (const [part, of] of chosen.parts) {
    const collections = documents.get(part);
    if (!collections) throw new Misuse("no_such_part", "a selected part is not here");
    const { kind, about } = splitPart(part);
    const shownAs = about ? `${kind}@${pseudonym(pseudonymKey, hex(about))}` : kind;
    const wanted = samePeople(of.naming ?? [], people);
    const shown = new Map<string, Items>();
    for (const [collection, items] of collections) {
      const found = showItems(of, collection, items, wanted, people, pseudonymKey);
      if (found.size > 0) shown.set(collection, found);
    }
    projection.set(shownAs, sorted(shown));
  }
  return sorted(projection);
}

function showItems(
  chosen: PartSelection,
  collection: string,
  items: Items,
  wanted: ReadonlySet<string>,
  people: ReadonlyMap<Hex, string>,
  key: Uint8Array,
): Items {
  const found = new Map<string, ReadonlyMap<string, Value>>();
  for (const [item, fields] of items) {
    if (!hasItem(chosen, item, fields, wanted)) continue;
    const shown = new Map<string, Value>();
    for (const [field, value] of fields) {
      if (!hasField(chosen, collection, item, field)) continue;
      const seen = withoutKey(value);
      if (!isEmpty(seen)) shown.set(field, show(seen, people, key));
    }
    // An empty place would be a count of what is not shown, and an emptied one tell of words that were deleted.
    if (shown.size > 0) found.set(pseudonym(key, item), sorted(shown));
  }
  return sorted(found);
}

/** Every item is born with all its texts and sets, empty (docs/spec/part.md). */
function isEmpty(value: Value): boolean {
  return value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

function hasItem(
  chosen: PartSelection,
  item: string,
  fields: ReadonlyMap<string, Value>,
  wanted: ReadonlySet<string>,
): boolean {
  if (chosen.items !== ALL && !chosen.items.includes(item)) return false;
  if (chosen.naming === null) return true;
  return [...fields.values()].flat().some((value) => typeof value === "string" && wanted.has(value));
}

function hasField(chosen: PartSelection, collection: string, item: string, field: string): boolean {
  if (chosen.fields !== ALL && !chosen.fields.get(collection)?.includes(field)) return false;
  return !chosen.without.some(
    ([c, i, f]) => c === collection && (i === ANY || i === item) && (f === ANY || f === field),
  );
}

/** What stands for an id in the views of one grant: two grants share none, and none leads back to the id. */
export function pseudonym(key: Uint8Array, id: string): Hex {
  return hex(hmac(key, "pseudonym", new TextEncoder().encode(id)).subarray(0, 10));
}

/** A view never holds the key or the stream of an attachment, wherever in the part it stands. */
function withoutKey(value: Value): Value {
  if (Array.isArray(value)) return value.filter((member: string) => !claimsAttachment(member));
  return claimsAttachment(value) ? shownOf(value) : value;
}

function show(value: Value, people: ReadonlyMap<Hex, string>, key: Uint8Array): Value {
  if (claimsAttachment(value)) return value;
  if (typeof value === "string") return withoutIds(value, people, key);
  if (Array.isArray(value)) {
    return byCodePoint(new Set(value.map((member: string) => withoutIds(member, people, key))));
  }
  // Not -0, which is 0 to everybody else.
  return typeof value === "number" ? value + 0 : value;
}

const ID = /^(?:[0-9a-f]{16}|[0-9a-f]{20}|[0-9a-f]{32}|[0-9a-f]{64})$/;

/**
 * Persons by name, every other id by its pseudonym, wherever in the text: an id that stayed would tie two grants
 * together. What an id is shows from its form alone. To look it up among the items would let an item that is not shown
 * change what is.
 */
function withoutIds(words: string, people: ReadonlyMap<Hex, string>, key: Uint8Array): string {
  return words.replace(/[0-9A-Za-z]+/g, (run) => {
    const name = people.get(run);
    if (name !== undefined) return name;
    if (!ID.test(run)) return run;
    // Sixteen digits in somebody's words are rather a card than an id (of which one in 2,000 has no letter).
    const isId = /[a-f]/.test(run) || (run === words && run.length > 16);
    return isId ? pseudonym(key, run) : run;
  });
}

/** A name and the id of whoever has it are one, whichever of them was chosen and whichever was written down. */
function samePeople(naming: readonly string[], people: ReadonlyMap<Hex, string>): ReadonlySet<string> {
  const names = new Set([...naming, ...naming.flatMap((one) => people.get(one) ?? [])]);
  return new Set([...names, ...[...people].flatMap(([person, name]) => (names.has(name) ? [person] : []))]);
}

const value: Shape<Value> = {
  read: (packed) => {
    // An integer beyond 2^53 is none: it would be another number here than in Python.
    if (packed instanceof Float) return packed.value;
    if (Array.isArray(packed)) return list(text).read(packed);
    if (packed === null || typeof packed === "boolean" || typeof packed === "number" || isText(packed)) {
      return packed;
    }
    throw new BadPacked("expected a value");
  },
  write: (shown) => {
    if (typeof shown !== "number") return shown as Packable;
    return Number.isSafeInteger(shown) ? shown : new Float(shown);
  },
};
const projectionShape: Shape<Projection> = dict(dict(dict(dict(value))));

/** One projection is one sequence of bytes: `project` sorts keys by code point, which is the order of UTF-8. */
export function packProjection(projection: Projection): Uint8Array {
  return pack(projectionShape, projection);
}

/** The projection that a device kept packed. Throws Inadmissible `bad_view`. */
export function unpackProjection(data: Uint8Array): Projection {
  return opened(projectionShape, data);
}

// --- the view record

export const signedShape = struct({ body: bytes(), sig: bytes(64) });
export interface Signed {
  readonly body: Uint8Array;
  readonly sig: Uint8Array;
}

const most = Number.MAX_SAFE_INTEGER;
const bodyShape = struct({
  grant: bytes<GrantId>(16),
  v: positive(most),
  length: uint(most),
  chain: bytes<Chain>(32),
  until: uint(most),
  to: text,
  parts: bytes(),
  who: bytes(),
});

export interface NewView {
  readonly grant: GrantId;
  readonly v: number;
  readonly length: number;
  readonly chain: Chain;
  readonly until: number;
  readonly to: string;
  /** The packed projection. */
  readonly parts: Uint8Array;
  /** From `sealAuthor`. */
  readonly who: Uint8Array;
}

/** An opened view. `length` and `chain` are the publisher's *seen*: the caller checks them on the stream. */
export interface View extends Omit<NewView, "parts"> {
  readonly parts: Projection;
  /** Of the packed projection: with `v` all that a reader keeps to refuse an older or a second one. */
  readonly digest: Uint8Array;
}

/** What is sealed as the record on `down`. */
export async function makeView(publisher: SigningKey, down: StreamId, view: NewView): Promise<Uint8Array> {
  const body = pack(bodyShape, view);
  return encode({ body, sig: await sign(publisher, "view", down, body) });
}

/**
 * A view as the reader, or a device of the circle, takes it in. `seen` is version and digest of the newest one so far.
 *
 * Throws Inadmissible: `bad_publisher` (not signed by the key the grant state names, or for another stream), `bad_view`
 * (another grant, or nonsense), `not_newer` (an older one, or another one of the same version).
 */
export async function openView(
  payload: Uint8Array,
  down: StreamId,
  grant: GrantId,
  publisher: Uint8Array,
  seen?: { readonly v: number; readonly digest: Uint8Array },
): Promise<View> {
  const signed = opened(signedShape, payload);
  await verified(publisher, "view", down, signed, "bad_publisher");
  const body = opened(bodyShape, signed.body);
  if (!same(body.grant, grant)) throw new Inadmissible("bad_view", "the view is of another grant");
  const parts = opened(projectionShape, body.parts);
  const digest = viewDigest(body.parts);
  // The same version again is a new lock, not a new view; with other words in it, it is a second truth.
  if (seen && (body.v < seen.v || (body.v === seen.v && !same(digest, seen.digest)))) {
    throw new Inadmissible("not_newer", "an older view came after a newer one");
  }
  return { ...body, parts, digest };
}

export function viewDigest(parts: Uint8Array): Uint8Array {
  return sha256(label("view parts"), parts);
}

/** The version of `parts`: it rises only when they differ, so that a change elsewhere leaves no trace. */
export function nextVersion(last: View | undefined, parts: Uint8Array): number {
  if (!last) return 1;
  return same(last.digest, viewDigest(parts)) ? last.v : last.v + 1;
}

/** What a shape reads. Throws Inadmissible `bad_view`. */
export function opened<T>(shape: Shape<T>, data: Uint8Array): T {
  try {
    return unpack(shape, data);
  } catch (error) {
    if (error instanceof BadPacked) throw new Inadmissible("bad_view", "not what a view is made of");
    throw error;
  }
}

/** Resolves when the signature holds; throws Inadmissible with `code`. */
export async function verified(
  key: Uint8Array,
  name: string,
  stream: Uint8Array,
  { body, sig }: Signed,
  code: "bad_publisher" | "bad_view",
): Promise<void> {
  try {
    await verify(key, name, stream, body, sig);
  } catch (error) {
    if (error instanceof BadSignature) throw new Inadmissible(code, "signed by another");
    throw error;
  }
}

/** An integer of at least 1. */
export function positive(to: number): Shape<number> {
  return {
    read: (packed: Packed) => {
      const number = uint(to).read(packed);
      if (number < 1) throw new BadPacked("expected a number of at least 1");
      return number;
    },
    write: (number) => number,
  };
}
