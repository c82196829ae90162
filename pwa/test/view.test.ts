// Every vector of tests/vectors/view and tests/vectors/schema, as tests/unit/test_view_vectors.py runs them too.
import { describe, expect, test } from "vitest";
import content from "../../core/eigenkring/content.json";
import * as grants from "../src/core/grant";
import { hex, named, type PersonId, unhex } from "../src/core/ids";
import type { PartRooms, Role } from "../src/core/schema";
import { loadSchema, parseSchema, splitPart } from "../src/core/schema";
import * as views from "../src/core/view";
import { BoxKey } from "../src/crypto/box";
import { SigningKey } from "../src/crypto/sign";
import { type Vector, vectorsOf } from "./vectors";

const mapOf = <V, W>(object: Record<string, V>, of: (value: V) => W): Map<string, W> =>
  new Map(Object.entries(object).map(([key, value]) => [key, of(value)]));
const same = <V>(value: V): V => value;

type Json = Record<string, Record<string, Record<string, Record<string, views.Value>>>>;
const documentsOf = (json: Json): views.Documents =>
  mapOf(json, (collections) => mapOf(collections, (items) => mapOf(items, (fields) => mapOf(fields, same))));

function selectionOf(json: Vector): views.Selection {
  return {
    parts: mapOf(json.parts as Record<string, Vector>, (part) => ({
      items: part.items,
      fields: part.fields === "all" ? "all" : mapOf(part.fields as Record<string, string[]>, same),
      without: part.without,
      naming: part.naming,
    })),
  };
}

/** Maps as objects and bytes as hex, as JSON has them. Keys called `__proto__` stay keys. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
}

const bytes = <B extends Uint8Array>(text: string): B => unhex<B>(text);
const schema = loadSchema();

function roomsOf(found: PartRooms | undefined): unknown {
  if (!found) return null;
  return mapOf(found as unknown as Record<string, PartRooms["read"]>, ({ name, roles, people, letIn }) => ({
    name,
    roles,
    people: people.map(hex),
    let_in: letIn,
  }));
}

const RUN: Record<string, (v: Vector) => unknown> = {
  project: (v) => {
    const out = views.project(
      selectionOf(v.selection),
      documentsOf(v.documents),
      mapOf(v.people as Record<string, string>, same),
      bytes(v.key),
    );
    if ("packed" in v) expect(hex(views.packProjection(out))).toBe(v.packed);
    return out;
  },
  select: (v) => views.parseSelection(schema, bytes<PersonId>(v.granter), v.choice),
  check: (v) => views.checkSelection(selectionOf(v.selection), schema, bytes<PersonId>(v.granter)) ?? null,
  terms: (v) => grants.openTerms(bytes(v.circle), bytes(v.grant), bytes(v.sealed)),
  author: (v) => grants.openAuthor(bytes(v.key), bytes(v.grant), bytes(v.who)),
  state: async (v) => {
    const heirs = (v.heirs ?? []).map(([key, sig]: [string, string]) => [bytes(key), bytes(sig)] as const);
    const signed = { body: bytes(v.body), sig: bytes(v.sig), heirs };
    const { state, granter } = await grants.openState(signed, bytes(v.grant), bytes(v.granter), v.above);
    expect(hex(granter)).toBe(v.after ?? v.granter);
    return state;
  },
  welcome: async (v) => (await grants.openWelcome(bytes(v.content), bytes(v.grant), bytes(v.granter))).state,
  turned: async (v) =>
    grants.openTurned(
      bytes(v.payload),
      await BoxKey.fromSeed(bytes(v.seed)),
      bytes(v.doorstep),
      bytes(v.device),
      bytes(v.grant),
      bytes(v.granter),
      v.above,
    ),
  view: async (v) => {
    const seen = v.seen ? { v: v.seen[0], digest: bytes(v.seen[1]) } : undefined;
    const { grant, ...out } = await views.openView(
      bytes(v.payload),
      bytes(v.down),
      bytes(v.grant),
      bytes(v.publisher),
      seen,
    );
    expect(hex(grant)).toBe(v.grant);
    return out;
  },
  version: (v) => {
    const last = { v: v.last, digest: views.viewDigest(bytes(v.before)) } as views.View;
    return views.nextVersion(v.last === null ? undefined : last, bytes(v.parts));
  },
};

const RUN_SCHEMA: Record<string, (v: Vector) => unknown> = {
  rooms: (v) => roomsOf(schema.roomsFor(v.part, v.person ? bytes(v.person) : undefined)),
  founding: (v) => schema.partsAtFounding(v.role as Role),
  about: (v) => schema.partsAbout(v.role as Role),
  new_item: (v) => schema.newItem(v.part, v.collection),
  part: (v) => {
    const { kind, about } = splitPart(v.part);
    return [kind, about ? hex(about) : null];
  },
  fields: (v) => schema.validateFields(v.part, v.collection, Object.entries(v.fields), v.adding) ?? null,
};

// How many there are at least, so that a lost file or a folder that moved is not a green run.
const AREAS = [
  { area: "view", run: RUN, least: 180 },
  { area: "schema", run: RUN_SCHEMA, least: 140 },
];

describe.each(AREAS)("$area", ({ area, run, least }) => {
  const vectors = vectorsOf(area);

  test.each([...vectors])("%s", async (_, vector) => {
    const outcome = (async () => run[vector.kind]?.(vector))();
    if ("error" in vector) {
      await expect(outcome, vector.about).rejects.toHaveProperty("code", vector.error);
    } else {
      expect(plain(await outcome), vector.about).toEqual(vector.out);
    }
  });

  test("no vector is missing or unknown", () => {
    const kinds = [...vectors.values()].map((vector) => vector.kind as string);
    expect(vectors.size).toBeGreaterThanOrEqual(least);
    expect([...new Set(kinds)].sort()).toEqual(Object.keys(run).sort());
    expect([...vectors.values()].filter((v) => "error" in v).length * 2).toBeGreaterThan(vectors.size);
  });
});

describe("what the vectors cannot hold", () => {
  const key = new Uint8Array(32).fill(7);
  const grant = bytes<never>("00".repeat(16));
  const stream = (letter: string) => named<never>(new TextEncoder().encode(letter.repeat(16)));

  test("what is sealed and signed here opens here", async () => {
    const chosen = views.parseSelection(schema, bytes("1a".repeat(8)), {
      parts: ["plan"],
      fields: ["plan/agreements/what"],
      without: ["plan/agreements/*/with"],
      naming: ["Eva"],
    });
    const terms: grants.Terms = {
      to: "De Wit",
      selection: chosen,
      until: 9,
      seed: key,
      pseudonyms: key,
      access: "x",
      compare: true,
    };
    const circle = named<never>(key);
    const sealed = await grants.sealTerms(circle, 2, grant, terms, new Uint8Array(24));
    expect(plain(await grants.openTerms(circle, grant, sealed))).toEqual(plain(terms));
    const who = await grants.sealAuthor(key, grant, stream("v"), new Uint8Array(24));
    expect(await grants.openAuthor(key, grant, who)).toEqual(stream("v"));
  });

  test("a turned state reaches its device and no other", async () => {
    const granter = await grants.granterKey(named(key), grant);
    const state: grants.GrantState = {
      grant,
      n: 2,
      down: stream("d"),
      up: stream("u"),
      secret: named(key),
      epoch: 2,
      publisher: granter.public,
      until: 9,
      to: "De Wit",
    };
    await expect(grants.signState([], state)).rejects.toThrow("nobody to sign");
    const signed = await grants.signState([granter], state);
    const box = await BoxKey.fromSeed(key);
    const [doorstep, device] = [stream("s"), stream("v")];
    const payload = await grants.makeTurned(box.public, doorstep, device, signed);
    const open = (to: never, at: never, above: number) =>
      grants.openTurned(payload, box, at, to, grant, granter.public, above);
    expect(plain((await open(device, doorstep, 1)).state)).toEqual(plain(state));
    await expect(open(device, doorstep, 2)).rejects.toHaveProperty("code", "not_newer");
    await expect(open(stream("w"), doorstep, 1)).rejects.toHaveProperty("code", "not_for_me");
    await expect(open(device, stream("t"), 1)).rejects.toHaveProperty("code", "unopenable");
  });

  test("a view made here is the view that Python makes", async () => {
    const vector = vectorsOf("view").get("view") as Vector;
    const seed = new Uint8Array(32);
    const publisher = await SigningKey.fromSeed(seed);
    const parts = views.packProjection(documentsOf(vector.out.parts));
    const { v, length, until, to } = vector.out;
    const [down, chain, who] = [
      bytes<never>(vector.down),
      bytes<never>(vector.out.chain),
      bytes(vector.out.who),
    ];
    const payload = await views.makeView(publisher, down, {
      grant: bytes<never>(vector.grant),
      v,
      length,
      chain,
      until,
      to,
      parts,
      who,
    });
    // All but the 64 bytes of the signature, which is another family's.
    expect(hex(payload).slice(0, -128)).toBe((vector.payload as string).slice(0, -128));
    expect((await views.openView(payload, down, bytes(vector.grant), publisher.public)).v).toBe(v);
  });

  test("a new part and field are an edit of the file only", () => {
    const file = structuredClone(content) as unknown as Parameters<typeof parseSchema>[0];
    const recipes = { ...(file.parts[0] as (typeof file.parts)[0]), kind: "recipes" };
    const more = parseSchema({ parts: [...file.parts, recipes] });
    expect(more.partsAtFounding().at(-1)).toBe("recipes");
    expect(more.roomsFor("recipes", undefined)?.manage.name).toBe("owner");
  });
});
