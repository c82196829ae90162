// Every vector of tests/vectors/ways, as tests/unit/test_ways_vectors.py runs them too.
import { describe, expect, test } from "vitest";
import { openHashes } from "../src/core/doorstep";
import { checkList, endOf, openLog, openManifest } from "../src/core/exported";
import { hallOpening, openHall } from "../src/core/hall";
import { hex, unhex } from "../src/core/ids";
import { parseLink } from "../src/core/link";
import { codeSecrets, openCode, openRecord } from "../src/core/paper";
import { schemaHash } from "../src/core/readable";
import { incomingId, openSaid } from "../src/core/said";
import { loadSchema } from "../src/core/schema";
import { doorAt, type OwnDoor, openKnock } from "../src/core/session/own-door";
import * as shelf from "../src/core/shelf";
import { opening } from "../src/core/stream";
import { DeviceKeys } from "../src/crypto/device";
import { decodeCode } from "../src/crypto/words";
import { type Vector, vectorsOf } from "./vectors";

const VECTORS = [...vectorsOf("ways")];
const LEAST = {
  said: 40,
  incoming: 3,
  space: 3,
  sheet: 18,
  own_door: 4,
  own_knock: 15,
  manifest: 19,
  page_words: 1,
  log: 14,
  shelf: 2,
  shelf_record: 23,
  shelf_next: 8,
  hall: 16,
  hall_keys: 2,
};

const bytes = <B extends Uint8Array>(text: string): B => unhex<B>(text);

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === undefined) return null;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, plain(of)]));
}

const listed = (hashes: { read: Uint8Array; append: Uint8Array; manage: Uint8Array }): Uint8Array[] => [
  hashes.read,
  hashes.append,
  hashes.manage,
];
const shelfOf = (v: Vector): shelf.Shelf => ({ relay: v.relay, secret: bytes(v.secret) });
const doorOf = (v: Vector): OwnDoor =>
  doorAt({ secret: bytes(v.room), epoch: v.epoch }, v.slot, v.ever, v.compare ?? false);

const RUN: Record<string, (v: Vector) => unknown> = {
  said: (v) => openSaid(bytes(v.payload), bytes(v.up), bytes(v.grant), bytes(v.reader), v.above),
  incoming: (v) => incomingId(bytes(v.grant), bytes(v.payload)),
  space: async (v) => {
    const code = await openCode(decodeCode(v.code), v.relay);
    const { stream, read, write, box } = code.space;
    return { stream, read, write, box, manage: code.manage, hashes: listed(opening(codeSecrets(code))) };
  },
  sheet: async (v) => openRecord(await openCode(decodeCode(v.code), v.relay), bytes(v.record)),
  hall: (v) => openHall(bytes(v.payload), bytes(v.pin)),
  hall_keys: (v) => {
    const opening = hallOpening(parseLink(v.link), v.expires);
    return { stream: opening.stream, expires: opening.expires, hashes: listed(opening) };
  },
  own_door: (v) => {
    const { stream, seed, expires, roomSecret } = doorOf(v);
    return { stream, seed, expires, hashes: listed(openHashes(seed, stream, roomSecret, v.epoch)) };
  },
  own_knock: async (v) =>
    (await openKnock(bytes(v.payload), doorOf(v), bytes(v.case), bytes(v.person))).device,
  manifest: async (v) => {
    const manifest = openManifest(bytes(v.data));
    await checkList(bytes(v.data), manifest, bytes(v.key));
    return manifest;
  },
  page_words: () => hex(schemaHash(loadSchema())),
  log: (v) => endOf(openLog(bytes(v.data))),
  shelf: (v) => ({
    stream: shelf.shelfStream(shelfOf(v)),
    hashes: listed(opening(shelf.shelfSecrets(shelfOf(v)))),
    member: shelf.memberOf(bytes(v.sign), bytes(v.box)),
  }),
  shelf_record: async (v) => {
    const found = await shelf.openRecord(shelfOf(v), bytes(v.record));
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([by, { page }]) => [by, page.n]);
  },
  shelf_next: async (v) => {
    const stream = shelf.shelfStream(shelfOf(v));
    const { sign, box } = await DeviceKeys.fromSeed(bytes(v.seed));
    const page = (await shelf.openPage(stream, bytes(v.page))) as shelf.Page;
    return shelf.openNext(stream, page, shelf.memberOf(sign.public, box.public), box);
  },
};

describe("what goes up, and the ways back", () => {
  test.each(VECTORS)("%s", async (_, vector) => {
    const run = RUN[vector.kind] as (v: Vector) => unknown;
    const made = (async () => plain(await run(vector)))();
    if ("error" in vector) await expect(made).rejects.toHaveProperty("code", vector.error);
    else expect(await made).toEqual(vector.out);
  });

  test("no vector is missing or unknown", () => {
    const kinds = new Map<string, number>();
    for (const [, { kind }] of VECTORS) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    expect([...kinds.keys()].sort()).toEqual(Object.keys(RUN).sort());
    for (const [kind, least] of Object.entries(LEAST))
      expect(kinds.get(kind), kind).toBeGreaterThanOrEqual(least);
  });
});
