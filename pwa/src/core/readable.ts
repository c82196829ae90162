/**
 * The page of an export that people read, worked out from what its parts say: mirror of core/eigenkring/readable.py. Spec:
 * docs/spec/export.md. Pure.
 */
import { label, sha256 } from "../crypto/kdf";
import { type Json, numberOf, type Told } from "./exported";
import type { Schema } from "./schema";
import { byCodePoint } from "./texts";

/**
 * Which words and signs the page for people is made of, by the page itself: one with an item of every field, and every form
 * that a value takes. A program with another hash makes other pages of the same records.
 */
export function schemaHash(schema: Schema): Uint8Array {
  const content = new Map<string, Map<string, Map<string, Map<string, Json>>>>();
  for (const [kind, { collections }] of schema.kinds) {
    const items = [...collections].map(([name, { fields }]) => {
      const item = new Map<string, Json>([...fields.keys()].map((field) => [field, "x"]));
      return [name, new Map([["", item]])] as const;
    });
    content.set(kind, new Map(items));
  }
  const files = ["x", null].flatMap((attachment) =>
    ["x", null].map(
      (file) =>
        new Map<string, Json>([
          ["attachment", attachment],
          ["code", "x"],
          ["file", file],
        ]),
    ),
  );
  const values: Json[] = [true, false, ["x", "y"], 0.5, ...files];
  const item = new Map(values.map((value, at) => [`${at}`, value]));
  content.set("x@y", new Map([["x", new Map([["", item]])]]));
  return sha256(label("export page"), new TextEncoder().encode(readable("", content, new Map(), schema)));
}

/** One page without scripts and without anything from elsewhere. */
export function readable(
  title: string,
  content: Told,
  people: ReadonlyMap<string, string>,
  schema: Schema,
): string {
  const lines = [
    "<!doctype html>",
    '<html lang="nl"><head><meta charset="utf-8">',
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    `<title>${escaped(title)}</title>`,
    "<style>body{font:1rem/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}" +
      "dt{font-weight:bold}li{margin:.75rem 0}</style></head><body>",
    `<h1>${escaped(title)}</h1><p>Kopie van alles wat u mocht lezen.</p>`,
    `<h2>Kring</h2><p>${escaped(byCodePoint(people.values()).join(", "))}</p>`,
  ];
  for (const [part, collections] of sorted(content)) {
    const at = part.indexOf("@");
    const kind = at < 0 ? part : part.slice(0, at);
    const about = at < 0 ? "" : part.slice(at + 1);
    const heading = schema.kinds.get(kind)?.title.nl ?? kind;
    lines.push(`<h2>${escaped(heading + (about ? `: ${people.get(about) ?? about}` : ""))}</h2>`);
    for (const [name, items] of sorted(collections)) {
      const shape = schema.collection(kind, name);
      lines.push(`<h3>${escaped(shape?.title.nl ?? name)}</h3><ul>`);
      for (const [, fields] of sorted(items)) lines.push(itemOf(kind, name, fields, people, schema));
      lines.push("</ul>");
    }
  }
  return `${[...lines, "</body></html>"].join("\n")}\n`;
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return byCodePoint(map.keys()).map((key) => [key, map.get(key) as T]);
}

function itemOf(
  kind: string,
  collection: string,
  fields: ReadonlyMap<string, Json>,
  people: ReadonlyMap<string, string>,
  schema: Schema,
): string {
  let rows = "";
  for (const [name, value] of sorted(fields)) {
    if (value === "" || value === null || (Array.isArray(value) && value.length === 0)) continue;
    const label = schema.field(kind, collection, name)?.label.nl ?? name;
    const shown = value instanceof Map ? linkTo(value) : escaped(shownOf(value, people));
    rows += `<dt>${escaped(label)}</dt><dd>${shown}</dd>`;
  }
  return `<li><dl>${rows}</dl></li>`;
}

function linkTo(value: ReadonlyMap<string, Json>): string {
  const name = escaped(String(value.get("attachment") || (value.get("code") ?? "None")));
  const place = value.get("file") ?? null;
  return place === null ? `${name} (niet meegenomen)` : `<a href="${escaped(String(place))}">${name}</a>`;
}

function shownOf(value: Json, people: ReadonlyMap<string, string>): string {
  if (typeof value === "boolean") return value ? "ja" : "nee";
  if (Array.isArray(value)) return value.map((member: Json) => shownOf(member, people)).join(", ");
  const said = typeof value === "number" ? numberOf(value) : String(value);
  return people.get(said) ?? said;
}

/** As Python's `html.escape`. */
function escaped(words: string): string {
  const signs: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#x27;",
  };
  return words.replace(/[&<>"']/g, (sign) => signs[sign] as string);
}
