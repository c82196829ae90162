/** Every text of the screens. Dutch is the first language; a key that a language lacks does not compile. */
import type { Person, Value } from "../app/engine";
import en from "../i18n/en.json";
import nl from "../i18n/nl.json";
import { type FieldRule, kindRule, members, personName, splitPart, type Words } from "./schema";

export type Lang = "nl" | "en";
export type Key = keyof typeof nl;
export type Params = { [name: string]: string | number };

const texts: { [lang in Lang]: Record<Key, string> } = { nl, en };
const current = $state<{ lang: Lang }>({ lang: "nl" });

export const lang = (): Lang => current.lang;
export function setLang(next: Lang): void {
  current.lang = next;
  document.documentElement.lang = next;
}

export function t(key: Key, params: Params = {}): string {
  const text = texts[current.lang][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

/** One or many: `KEY.one` and `KEY.more`. */
export function tn(key: string, n: number): string {
  return t(`${key}.${n === 1 ? "one" : "more"}` as Key, { n });
}

export const has = (key: string): key is Key => key in nl;

/** For a code from outside, such as a role or a log entry of a newer version. */
export function tk(prefix: string, code: string, params: Params = {}): string {
  const key = `${prefix}.${code}`;
  return has(key) ? t(key, params) : code;
}

export const words = (both: Words | undefined): string => both?.[current.lang] ?? both?.nl ?? "";

/** What a part is for; to the one it is about in the second person, and to nobody else where it speaks to a child. */
export function purposeOf(part: string, mine: boolean): string {
  const said = `${mine ? "own" : "others"}.${splitPart(part).kind}`;
  return has(said) ? t(said) : words(kindRule(part)?.purpose);
}

/** "19 januari 2027", with the time where there is one. What is no date stays as it was typed. */
export function day(value: string | null, style: "long" | "short" = "long"): string {
  if (!value) return "";
  const only = /^\d{4}-\d\d-\d\d$/.test(value);
  const moment = new Date(only ? `${value}T12:00:00` : value);
  if (Number.isNaN(moment.getTime())) return value;
  const options: Intl.DateTimeFormatOptions =
    style === "short"
      ? { weekday: "short", day: "numeric", month: "short" }
      : { day: "numeric", month: "long", year: "numeric" };
  if (!only && value.includes("T")) Object.assign(options, { hour: "2-digit", minute: "2-digit" });
  return new Intl.DateTimeFormat(current.lang === "nl" ? "nl-NL" : "en-GB", options).format(moment);
}

/** A value in words, with the names of people where it holds their ids. */
export function fieldText(
  rule: FieldRule | undefined,
  value: Value | undefined,
  people: readonly Person[],
): string {
  if (value !== null && typeof value === "object")
    return members(value)
      .map((each) => personName(people, each))
      .join(", ");
  return rule?.type === "person" ? personName(people, value) : valueText(rule, value);
}

/** A value in words, for reading. Names of people are found by the caller. */
export function valueText(rule: FieldRule | undefined, value: Value | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "object") return members(value).join(", ");
  if (rule?.options && typeof value === "string") return words(rule.options[value]) || value;
  if (rule?.type === "date" && typeof value === "string") return day(value);
  return String(value);
}
