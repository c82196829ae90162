/** From the library's Maps and bytes to the plain objects that cross to the screens, and back. */

import { claimsAttachment, described } from "../core/attachment";
import { EigenkringError } from "../core/errors";
import { dayOf } from "../core/giving";
import { BadPacked } from "../core/packed";
import { scalarsOf } from "../core/texts";
import type { Projection, Selection as ViewSelection } from "../core/view";
import { BadCode, CryptoError } from "../crypto/errors";
import { type Collections, Failure, type Fields, type Parts, type Selection, type Value } from "./engine";
import { ATTACHMENT } from "./photo";

type Told = string | number | boolean | null | readonly string[];
type ToldItems = ReadonlyMap<string, ReadonlyMap<string, Told>>;

/** `asMaps`: a set becomes a map of value to true, as the screens edit it; in a view it stays a list. */
export function collectionsOf(document: ReadonlyMap<string, ToldItems>, asMaps: boolean): Collections {
  return objectOf(document, (items) => objectOf(items, (fields) => fieldsOf(fields, asMaps)));
}

export function partsOf(
  documents: Projection | ReadonlyMap<string, ReadonlyMap<string, ToldItems>>,
  asMaps: boolean,
): Parts {
  return objectOf(documents, (document) => collectionsOf(document, asMaps));
}

function fieldsOf(fields: ReadonlyMap<string, Told>, asMaps: boolean): Fields {
  return objectOf(fields, (value): Value => {
    if (claimsAttachment(value)) return attachmentValue(value);
    if (!Array.isArray(value)) return value as Value;
    return asMaps ? Object.fromEntries(value.map((member: string) => [member, true])) : [...value];
  });
}

/** The key stays in the worker: the page needs to know what it is, and asks for the bytes by the item's path. */
function attachmentValue(value: string): string {
  const found = described(value);
  if (found.attachment === null) return `${ATTACHMENT}${JSON.stringify({ code: found.code })}`;
  const { attachment: name, type, size, preview } = found;
  let binary = "";
  for (const byte of preview) binary += String.fromCharCode(byte);
  return `${ATTACHMENT}${JSON.stringify({ name, type, size, preview: btoa(binary) })}`;
}

/** `fromEntries` defines own properties, also one called `__proto__`: no name of a field reaches a prototype. */
function objectOf<T, U>(map: ReadonlyMap<string, T>, turn: (value: T) => U): { [key: string]: U } {
  return Object.fromEntries([...map].map(([key, value]) => [key, turn(value)]));
}

/** `max_text_letters`: some twenty pages. A whole book at once would hold up this device and all others for minutes. */
const MOST_LETTERS = 50_000;
/** An emoji is one letter, whatever this language counts. */
const isTooMuch = (text: string): boolean =>
  text.length > MOST_LETTERS && (text.length > 2 * MOST_LETTERS || scalarsOf(text).length > MOST_LETTERS);

/** A value of the screens as the library takes it: a set is a list. */
export function valueFrom(value: Value): unknown {
  if (typeof value === "string" && isTooMuch(value)) throw new Failure("too_large");
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.keys(value)
    .filter((member) => value[member] === true)
    .sort();
}

export function fieldsFrom(fields: Fields): Map<string, unknown> {
  return new Map(Object.entries(fields).map(([name, value]) => [name, valueFrom(value)]));
}

export function selectionFrom({ parts }: Selection): ViewSelection {
  return {
    parts: new Map(
      Object.entries(parts).map(([part, { items, fields, without = [], naming }]) => [
        part,
        {
          items,
          fields: fields === "all" ? fields : new Map(Object.entries(fields)),
          without,
          naming: naming ?? null,
        },
      ]),
    ),
  };
}

export function selectionOf({ parts }: ViewSelection): Selection {
  return {
    parts: objectOf(parts, ({ items, fields, without, naming }) => ({
      items: items === "all" ? items : [...items],
      fields: fields === "all" ? fields : objectOf(fields, (names) => [...names]),
      without: without.map(([collection, item, field]): [string, string, string] => [
        collection,
        item,
        field,
      ]),
      ...(naming && { naming: [...naming] }),
    })),
  };
}

export function isoOf(seconds: number): string {
  return new Date(1000 * seconds).toISOString();
}

export { dayOf };

/** What went wrong, as it crosses to the screens: its code, and words that hold nobody's words. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof Failure) return { code: error.code, message: error.message };
  if (error instanceof EigenkringError || error instanceof CryptoError || error instanceof BadCode) {
    return { code: error.code, message: error.message };
  }
  // A fault of ours. Its words may hold anything, so only its kind is told.
  const kind = error instanceof BadPacked ? "BadPacked" : error instanceof Error ? error.name : typeof error;
  return { code: "internal", message: `an internal fault (${kind}); nothing was lost` };
}
