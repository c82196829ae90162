/**
 * Which parts, items and fields somebody may read. Part of core/eigenkring/view.py. Spec: docs/spec/view.md (Selection).
 */
import { Misuse } from "./errors";
import { type PersonId, same } from "./ids";
import { BadPacked } from "./packed";
import { type KindSchema, type Schema, splitPart } from "./schema";
import { dict, list, nullable, optional, type Shape, struct, text, tuple } from "./shape";
import { byCodePoint } from "./texts";

export const ALL = "all";
export const ANY = "*";
export const MAX_NAME_BYTES = 400;

export interface PartSelection {
  readonly items: "all" | readonly string[];
  readonly fields: "all" | ReadonlyMap<string, readonly string[]>;
  /** Collection, item or "*", field or "*". */
  readonly without: readonly (readonly [string, string, string])[];
  /** Names or persons (hex): only items that hold one of them, in whichever field. */
  readonly naming: readonly string[] | null;
}
export interface Selection {
  readonly parts: ReadonlyMap<string, PartSelection>;
}

function orAll<T>(of: Shape<T>): Shape<T | "all"> {
  return {
    read: (value) => (value === ALL ? ALL : of.read(value)),
    write: (value) => (value === ALL ? ALL : of.write(value as T)),
  };
}

/**
 * Keys that are not known are refused, other than elsewhere: a newer app may have narrowed the choice with one, and an
 * older one that passed over it would show more than was chosen.
 */
function closed<T>(of: Shape<T> & { readonly fields: Readonly<Record<string, unknown>> }): Shape<T> {
  const known = new Set(Object.keys(of.fields));
  return {
    ...of,
    read: (value) => {
      if (value instanceof Map && ![...value.keys()].every((key) => known.has(key))) {
        throw new BadPacked("a key that nobody knows");
      }
      return of.read(value);
    },
  };
}

const partSelection: Shape<PartSelection> = closed(
  struct({
    items: optional(orAll(list(text)), ALL),
    fields: optional(orAll(dict(list(text))), ALL),
    without: optional(list(tuple(text, text, text)), []),
    naming: optional(nullable(list(text)), null),
  }),
);
export const selection: Shape<Selection> = closed(struct({ parts: dict(partSelection) }));

/**
 * Throws Misuse where the granter may not show one of the parts. To be asked before giving *and* before publishing: the
 * phone of another person, which reads more than the granter, would else publish it by itself.
 */
export function checkSelection(chosen: Selection, schema: Schema, granter: PersonId): void {
  if (chosen.parts.size === 0) throw new Misuse("bad_argument", "a view of nothing");
  for (const part of chosen.parts.keys()) {
    const { kind, about } = splitPart(part);
    const known = schema.kinds.get(kind);
    // Of a kind that this program does not know it cannot tell whether it may be shown.
    if (!known || known.aboutPerson !== (about !== undefined)) {
      throw new Misuse("no_such_part", `there is no part ${kind} to show`);
    }
    if (known.show === "never" || (known.show === "self" && !(about && same(about, granter)))) {
      throw new Misuse("not_permitted", `${kind} is not the granter's to show`);
    }
  }
}

/** What a person typed or ticked; each may be absent. */
export interface Choice {
  /** `plan` */
  readonly parts?: readonly string[];
  /** `plan/agreements/ITEM`: narrows that part to these. */
  readonly items?: readonly string[];
  /** `plan/agreements/what`: likewise. */
  readonly fields?: readonly string[];
  /** `plan/agreements/*`+`/with`, `plan/agreements/ITEM` or `plan/topics`. */
  readonly without?: readonly string[];
  /** Narrows every part. */
  readonly naming?: readonly string[];
}

/** A selection from what a person chose. Throws Misuse. */
export function parseSelection(schema: Schema, granter: PersonId, choice: Choice): Selection {
  const named = new Set(choice.parts);
  const items = new Map<string, Set<string>>();
  const fields = new Map<string, Map<string, Set<string>>>();
  const without = new Map<string, Map<string, [string, string, string]>>();
  for (const path of choice.items ?? []) {
    const [part, , item] = piecesOf(schema, path, 3, 3);
    if (item === ANY) throw new Misuse("bad_path", "an item is named, or the whole part is");
    items.set(part, (items.get(part) ?? new Set()).add(item));
    named.add(part);
  }
  for (const path of choice.fields ?? []) {
    const [part, collection, field] = piecesOf(schema, path, 3, 3);
    checkField(schema, part, collection, field);
    const of = fields.get(part) ?? new Map<string, Set<string>>();
    fields.set(part, of.set(collection, (of.get(collection) ?? new Set()).add(field)));
    named.add(part);
  }
  for (const path of choice.without ?? []) {
    const [part, collection, item, field] = piecesOf(schema, path, 2, 4);
    if (field !== ANY) checkField(schema, part, collection, field);
    if (!named.has(part)) {
      throw new Misuse("bad_argument", "nothing can be left out of a part that is not chosen");
    }
    const of = without.get(part) ?? new Map<string, [string, string, string]>();
    without.set(part, of.set([collection, item, field].join("\0"), [collection, item, field]));
  }
  for (const name of choice.naming ?? []) {
    if (name === "" || new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
      throw new Misuse("bad_value", "a name is not empty and at most 400 bytes");
    }
  }
  const chosen: Selection = {
    parts: new Map(
      byCodePoint(named).map((part) => [
        part,
        {
          items: items.has(part) ? byCodePoint(items.get(part) ?? []) : ALL,
          fields: fields.has(part)
            ? sorted(new Map([...(fields.get(part) ?? [])].map(([c, f]) => [c, byCodePoint(f)])))
            : ALL,
          without: [...sorted(without.get(part) ?? new Map()).values()],
          naming: choice.naming?.length ? byCodePoint(new Set(choice.naming)) : null,
        },
      ]),
    ),
  };
  checkSelection(chosen, schema, granter);
  return chosen;
}

function piecesOf(
  schema: Schema,
  path: string,
  least: number,
  most: number,
): [string, string, string, string] {
  const pieces = path.split("/");
  if (pieces.length < least || pieces.length > most || pieces.includes("")) {
    throw new Misuse("bad_path", "expected part/collection/...");
  }
  const [part = "", collection = "", third = ANY, fourth = ANY] = pieces;
  if (!kindOf(schema, part).collections.has(collection)) {
    throw new Misuse("no_such_collection", "the part has no such collection");
  }
  return [part, collection, third, fourth];
}

function kindOf(schema: Schema, part: string): KindSchema {
  const known = schema.kinds.get(splitPart(part).kind);
  if (!known) throw new Misuse("no_such_part", "there is no such part to show");
  return known;
}

function checkField(schema: Schema, part: string, collection: string, field: string): void {
  if (!kindOf(schema, part).collections.get(collection)?.fields.has(field)) {
    throw new Misuse("no_such_field", `${collection} has no such field`);
  }
}

/** A map in the order that Python gives it, which is also that of its keys' UTF-8. */
export function sorted<V>(map: ReadonlyMap<string, V>): ReadonlyMap<string, V> {
  return new Map(byCodePoint(map.keys()).map((key) => [key, map.get(key) as V]));
}
