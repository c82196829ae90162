/**
 * The content schema: which parts a case has, who reads and writes them, what they hold. Mirrors core/eigenkring/schema.py.
 *
 * Both read one file, content.json: a part or field more is an edit of it. Spec: docs/spec/schema.md.
 */
import content from "../../../core/eigenkring/content.json";
import { parseAttachment } from "./attachment";
import type { PartRooms, RoomRule, SchemaRules } from "./charter/locks";
import { Inadmissible, Misuse } from "./errors";
import { hex, type PersonId, unhex } from "./ids";
import { isText } from "./packed";

export type { PartRooms, RoomRule };

export const ROLES = ["owner", "member", "child", "coordinator"] as const;
export const MAX_STRING_BYTES = 65_536;
export const MAX_MEMBER_BYTES = 256;
/** What the strict door lets in (docs/spec/change.md): beyond it a number is another one than was meant, or a bigint. */
export const MAX_FIELD_INTEGER = Number.MAX_SAFE_INTEGER - 1;

export type Role = (typeof ROLES)[number];
export type Reader = Role | "self" | "let_in";
export type FieldType =
  | "text"
  | "string"
  | "integer"
  | "number"
  | "boolean"
  | "date"
  | "choice"
  | "person"
  | "set"
  | "attachment";
export type Scalar = string | number | boolean | null;

/** The same words in every language of the app. */
export interface Words {
  readonly nl: string;
  readonly en: string;
}

export interface Field {
  readonly type: FieldType;
  readonly label: Words;
  /** Code to words. Of a `choice` the only values; of a `string` suggestions. */
  readonly options: ReadonlyMap<string, Words>;
  readonly namesPeople: boolean;
  readonly required: boolean;
  readonly default: Scalar;
  /** `kind/collection` of the items that the value names. */
  readonly refers: string | null;
}

export interface Collection {
  readonly title: Words;
  readonly single: boolean;
  readonly fields: ReadonlyMap<string, Field>;
}

export interface KindSchema {
  readonly kind: string;
  readonly title: Words;
  readonly purpose: Words;
  readonly icon: string;
  readonly aboutPerson: boolean;
  readonly read: readonly Reader[];
  readonly write: readonly Reader[];
  readonly manage: "owner" | "self";
  /** Who may put this part in a view: any owner, only the person it is about (as an owner), or nobody. */
  readonly show: "owner" | "self" | "never";
  readonly collections: ReadonlyMap<string, Collection>;
  readonly givenTo: readonly Role[];
  readonly letIn: readonly Role[];
}

/** The kinds this program knows, in the order of the file. Other kinds and fields are kept, not understood. */
export class Schema implements SchemaRules {
  constructor(readonly kinds: ReadonlyMap<string, KindSchema>) {}

  /** The three rooms of a part; undefined for an unknown kind, and where a person is missing or is one too many. */
  roomsFor(kind: string, about: PersonId | undefined): PartRooms | undefined {
    const known = this.kinds.get(kind);
    if (!known || known.aboutPerson !== (about !== undefined)) return undefined;
    const part = partName(kind, about);
    return {
      read: room(part, known.read, about, known.letIn),
      write: room(part, known.write, about, []),
      manage: room(part, [known.manage], about, []),
    };
  }

  /**
   * The parts about nobody. A coordinator who starts a case makes only those that role may read: the private time is
   * founded by the first owner, so that no coordinator's device ever held a key of it.
   */
  partsAtFounding(role: Role = "owner"): string[] {
    return [...this.kinds.values()]
      .filter((known) => !known.aboutPerson && (role === "owner" || known.read.includes(role)))
      .map((known) => known.kind);
  }

  /** The kinds of which every person with this role has one, made by that person. */
  partsAbout(role: Role): string[] {
    return [...this.kinds.values()]
      .filter((known) => known.givenTo.includes(role))
      .map((known) => known.kind);
  }

  collection(kind: string, collection: string): Collection | undefined {
    return this.kinds.get(kind)?.collections.get(collection);
  }

  field(kind: string, collection: string, field: string): Field | undefined {
    return this.collection(kind, collection)?.fields.get(field);
  }

  /** The field of a collection that takes a photo or file; the first where there are more. */
  attachmentField(kind: string, collection: string): string | undefined {
    const fields = this.collection(kind, collection)?.fields ?? new Map<string, Field>();
    return [...fields].find(([, rule]) => rule.type === "attachment")?.[0];
  }

  /** Whether this value is kept as text that two people can edit at once. Of unknown fields every string is. */
  isText(kind: string, collection: string, field: string, value: unknown): boolean {
    const known = this.field(kind, collection, field);
    return typeof value === "string" && (known === undefined || known.type === "text");
  }

  /**
   * Throws Misuse: `no_such_collection`; `bad_value` for a value that does not fit its field and, when `adding`, for a
   * required field that is absent or empty. What is unknown here is allowed if it is plain. `fields` is a Map or the
   * entries of an object.
   */
  validateFields(
    kind: string,
    collection: string,
    fields: Iterable<readonly [string, unknown]>,
    adding = false,
  ): void {
    const known = this.kinds.get(kind);
    const rules = known?.collections.get(collection)?.fields;
    if (known && !rules) throw new Misuse("no_such_collection", `${kind} has no ${collection}`);
    const given = new Map(fields);
    for (const [name, value] of given) {
      const rule = rules?.get(name);
      if (!(rule ? fits(rule, value) : isPlain(value))) {
        throw new Misuse("bad_value", `${kind}/${collection}/${name} does not take that value`);
      }
    }
    if (!adding) return;
    for (const [name, rule] of rules ?? []) {
      if (rule.required && [undefined, null, ""].includes(given.get(name) as string)) {
        throw new Misuse("bad_value", `${kind}/${collection} needs ${name}`);
      }
    }
  }

  /** The fields a new item starts with. */
  newItem(kind: string, collection: string): Map<string, Scalar> {
    const fields = this.collection(kind, collection)?.fields ?? new Map<string, Field>();
    return new Map(
      [...fields].flatMap(([name, rule]) => (rule.default === null ? [] : [[name, rule.default]])),
    );
  }
}

let loaded: Schema | undefined;

/** The schema that comes with this program. */
export function loadSchema(): Schema {
  loaded ??= parseSchema(content as unknown as ContentFile);
  return loaded;
}

interface FieldRow {
  readonly type: FieldType;
  readonly label: Words;
  readonly options?: Readonly<Record<string, Words>>;
  readonly people?: boolean;
  readonly required?: boolean;
  readonly default?: Scalar;
  readonly refers?: string;
}
interface KindRow {
  readonly kind: string;
  readonly title: Words;
  readonly purpose: Words;
  readonly icon: string;
  readonly about_person: boolean;
  readonly read: readonly Reader[];
  readonly write: readonly Reader[];
  readonly manage: "owner" | "self";
  readonly show: "owner" | "self" | "never";
  readonly given_to?: readonly Role[];
  readonly let_in?: readonly Role[];
  readonly collections: Readonly<
    Record<
      string,
      { readonly title: Words; readonly single: boolean; readonly fields: Readonly<Record<string, FieldRow>> }
    >
  >;
}
export interface ContentFile {
  readonly parts: readonly KindRow[];
}

/** A schema file. That it is well formed is checked by Python, and by the tests of both. */
export function parseSchema(file: ContentFile): Schema {
  return new Schema(new Map(file.parts.map((row) => [row.kind, kindOf(row)])));
}

function kindOf(row: KindRow): KindSchema {
  const { about_person: aboutPerson, given_to: givenTo = [], let_in: letIn = [], ...same } = row;
  const collections = new Map(
    Object.entries(row.collections).map(([name, { title, single, fields }]) => [
      name,
      {
        title,
        single,
        fields: new Map(Object.entries(fields).map(([field, rule]) => [field, fieldOf(rule)])),
      },
    ]),
  );
  return { ...same, aboutPerson, givenTo, letIn, collections };
}

function fieldOf(row: FieldRow): Field {
  return {
    type: row.type,
    label: row.label,
    options: new Map(Object.entries(row.options ?? {})),
    namesPeople: (row.people ?? false) || row.type === "person",
    required: row.required ?? false,
    default: row.default ?? null,
    refers: row.refers ?? null,
  };
}

/** `kind` or `kind@person`. */
export function partName(kind: string, about: PersonId | undefined): string {
  return about ? `${kind}@${hex(about)}` : kind;
}

/** The kind and the person of a part's name. Throws Misuse `bad_path`. */
export function splitPart(part: string): { kind: string; about: PersonId | undefined } {
  const match = /^([a-z]{1,32})(?:@([0-9a-f]{16}))?$/.exec(part);
  if (!match) throw new Misuse("bad_path", "a part is kind or kind@person");
  return { kind: match[1] as string, about: match[2] ? unhex<PersonId>(match[2]) : undefined };
}

function room(
  part: string,
  who: readonly Reader[],
  about: PersonId | undefined,
  letIn: readonly Role[],
): RoomRule {
  const roles = ROLES.filter((role) => who.includes(role));
  const alone = who.includes("self") ? about : undefined;
  const people = alone ? [alone] : [];
  // A part that lets people in has a room of its own from the start: its name must not change when somebody comes.
  if (letIn.length > 0 || (roles.length > 0 && alone)) return { name: part, roles, people, letIn };
  return { name: alone ? `@${hex(alone)}` : roles.join("+"), roles, people, letIn };
}

function fits(rule: Field, value: unknown): boolean {
  switch (rule.type) {
    case "text":
      return isText(value);
    case "string":
      return isString(value);
    case "person":
      return isString(value) && value !== "";
    case "integer":
      return Number.isInteger(value) && isNumber(value);
    case "number":
      return isNumber(value);
    case "boolean":
      return typeof value === "boolean";
    case "date":
      return isDate(value);
    case "choice":
      return typeof value === "string" && rule.options.has(value);
    case "set":
      return isSet(value);
    case "attachment":
      return value === null || (typeof value === "string" && isAttachment(value));
  }
}

function isAttachment(value: string): boolean {
  try {
    parseAttachment(value);
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    // One of a newer program is copied as it is.
    return error.code === "future_version";
  }
  return true;
}

/** What a document can hold: docs/spec/part.md. */
function isPlain(value: unknown): boolean {
  return value === null || typeof value === "boolean" || isString(value) || isNumber(value) || isSet(value);
}

function isString(value: unknown, limit = MAX_STRING_BYTES): boolean {
  // Half a surrogate pair is no text: it has no UTF-8, and the two engines would keep different words.
  return isText(value) && new TextEncoder().encode(value).length <= limit;
}

function isNumber(value: unknown): boolean {
  return (
    Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value as number) <= MAX_FIELD_INTEGER)
  );
}

/** A member is a key of a map in the document, and the strict door lets no other keys in (docs/spec/change.md). */
function isMember(value: unknown): boolean {
  return isString(value, MAX_MEMBER_BYTES) && value !== "" && value !== "__proto__";
}

/** A list of different members. */
function isSet(value: unknown): boolean {
  return Array.isArray(value) && new Set(value).size === value.length && value.every(isMember);
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/** A day, with a time of day where there is one; local unless it says otherwise. */
function isDate(value: unknown): boolean {
  const match = typeof value === "string" ? DATE.exec(value) : null;
  if (!match) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return year >= 1 && day >= 1 && day <= days;
}
