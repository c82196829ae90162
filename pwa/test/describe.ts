/** A charter as plain JSON, every field of it: tests/interop and the vectors compare two languages by this. */
import type { Charter } from "../src/core/charter/state";
import { hex } from "../src/core/ids";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Maps by their keys in order, sets in order, bytes as hex, field names as Python's. */
export function plain(value: unknown): Json {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Set) return [...value].map(plain).sort();
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => [String(key), plain(item)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [snake(key), plain(item)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return value === undefined ? null : (value as Json);
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function describeCharter(charter: Charter): Json {
  const { heads, ...fields } = charter;
  return { ...(plain(fields) as object), heads: [...heads].map((head) => hex(head)) };
}

export type { Json };
