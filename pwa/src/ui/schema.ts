/** The content schema (core/eigenkring/content.json) as the screens use it: titles, fields, order. */
import content from "../../../core/eigenkring/content.json";
import type { Fields, Person, Role, Value } from "../app/engine";
import type { FieldType, Words } from "../core/schema";

export type { Words } from "../core/schema";

export interface FieldRule {
  type: FieldType;
  label: Words;
  options?: { [code: string]: Words };
  people?: boolean;
  required?: boolean;
  default?: string | number | boolean;
  refers?: string;
}
export interface CollectionRule {
  title: Words;
  single: boolean;
  fields: { [field: string]: FieldRule };
}
export interface KindRule {
  kind: string;
  title: Words;
  purpose: Words;
  icon: string;
  about_person: boolean;
  read: string[];
  write: string[];
  show: "owner" | "self" | "never";
  given_to?: string[];
  let_in?: string[];
  collections: { [collection: string]: CollectionRule };
}

export const KINDS: readonly KindRule[] = (content as unknown as { parts: KindRule[] }).parts;
const byKind = new Map(KINDS.map((rule) => [rule.kind, rule]));

export const kindRule = (part: string): KindRule | undefined => byKind.get(splitPart(part).kind);

export function splitPart(part: string): { kind: string; about: string } {
  const [kind = "", about = ""] = part.split("@", 2);
  return { kind, about };
}

/** Kept by the program or not yet shown on a screen: no field for a person to fill in. */
const SILENT = new Set(["version", "order", "author", "suggested_by", "person", "grant"]);
export const isSilent = (field: string): boolean => SILENT.has(field);

/** The field that stands for the item: shown first, in people's own words. */
export function headField(rule: CollectionRule): string {
  const names = Object.keys(rule.fields);
  return (
    ["what", "title", "signal", "name", "text"].find((name) => names.includes(name)) ?? names[0] ?? "text"
  );
}

/** One short text for an item, for lists to choose from. */
export function itemText(part: string, collection: string, fields: Fields): string {
  const rule = kindRule(part)?.collections[collection];
  const value =
    fields[rule ? headField(rule) : "text"] ?? Object.values(fields).find((v) => typeof v === "string");
  return typeof value === "string" ? value : "";
}

/**
 * Items as every screen lists them, by their own words: item ids are chance, and in a view they are others, so without this
 * a reader would see another order than the preview showed. What has an `order` comes first, by it.
 */
export function inOrder(
  part: string,
  collection: string,
  items: { [item: string]: Fields },
): [string, Fields][] {
  const order = (fields: Fields): number =>
    typeof fields.order === "number" ? fields.order : Number.MAX_SAFE_INTEGER;
  const text = (fields: Fields): string => itemText(part, collection, fields);
  return Object.entries(items).sort(
    ([, a], [, b]) => order(a) - order(b) || text(a).localeCompare(text(b), "nl", { numeric: true }),
  );
}

/** Parts as the schema lists them; what it does not know comes last. */
export function partsInOrder<T>(parts: { [part: string]: T }): [string, T][] {
  const place = (part: string): number => {
    const n = KINDS.findIndex((rule) => rule.kind === splitPart(part).kind);
    return n < 0 ? KINDS.length : n;
  };
  return Object.entries(parts).sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1));
}

/** A set is a map of value to true; in a view, where nothing is edited, a list. */
export function members(value: Value | undefined): string[] {
  if (Array.isArray(value)) return value.filter((one) => typeof one === "string");
  return value && typeof value === "object" ? Object.keys(value).filter((key) => value[key] === true) : [];
}

export const isEmpty = (value: Value | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (typeof value === "object" && members(value).length === 0);

/** A person's name where the value is an id, else the words as they stand. */
export function personName(people: readonly Person[], value: Value | undefined): string {
  if (typeof value !== "string") return "";
  return people.find((one) => one.person === value)?.name ?? value;
}

/** Parts that an owner may put in a view: never those that only one person may show. */
export const canShow = (part: string, me: string): boolean => {
  const rule = kindRule(part);
  if (!rule || rule.show === "never") return false;
  return rule.show === "owner" || splitPart(part).about === me;
};

export const ROLES: readonly Role[] = ["member", "owner", "child", "coordinator"];
