import { describe, expect, test } from "vitest";
import * as door from "../src/core/doorstep";
import {
  type CaseId,
  type DeviceId,
  type EntryHash,
  hex,
  type RoomSecret,
  type StreamId,
  unhex,
} from "../src/core/ids";
import { formatLink, parseLink } from "../src/core/link";
import { DeviceKeys } from "../src/crypto/device";
import { plain } from "./describe";
import { expected, outcome, type Vector, vectorsOf } from "./vectors";

const vectors = vectorsOf("doorstep");

const KINDS: Record<string, (given: Vector) => unknown> = {
  link_format: ({ relay, link, doorstep, seed, pin }) =>
    formatLink({ relay, kind: link, doorstep: unhex(doorstep), seed: unhex(seed), pin: unhex(pin) }),
  link_parse: ({ text }) => {
    const { relay, kind, doorstep, seed, pin } = parseLink(text);
    return plain({ relay, link: kind, doorstep, seed, pin });
  },
  secrets: async (given) => {
    const [seed, stream] = [unhex(given.seed), unhex<StreamId>(given.doorstep)];
    const room = unhex<RoomSecret>(given.room);
    const { read, append, manage } = door.openHashes(seed, stream, room, given.epoch);
    return plain({
      read: door.readSecret(seed, stream),
      write: door.writeSecret(seed, stream),
      seed_key: (await door.seedKey(seed, stream)).public,
      knock_key: (await door.knockKey(room, stream)).public,
      hashes: [read, append, manage],
    });
  },
  words: ({ room, doorstep, statement }) => {
    const nonce = door.nonceFor(unhex<RoomSecret>(room), unhex<StreamId>(doorstep), unhex(statement));
    return plain({ nonce, digest: door.wordsDigest(unhex(statement), nonce) });
  },
  nonce: ({ payload, device, device_sig, doorstep }) =>
    plain(
      door.openNonce(unhex(payload), unhex<DeviceId>(device), unhex(device_sig), unhex<StreamId>(doorstep)) ??
        null,
    ),
  terms: async ({ terms, room, doorstep }) =>
    hex(await door.openSeed(unhex<RoomSecret>(room), unhex<StreamId>(doorstep), unhex(terms))),
  greeting: ({ payload, pin }) => {
    const { box, ...greeting } = door.openGreeting(unhex(payload), unhex(pin));
    expect(box.length).toBe(1216);
    return plain(greeting);
  },
  statement: async (given) => {
    const { statement, device } = await door.checkStatement(
      {
        statement: unhex(given.statement),
        seed_sig: unhex(given.seed_sig),
        device_sig: unhex(given.device_sig),
      },
      unhex<CaseId>(given.case),
      unhex(given.invitation),
      unhex<StreamId>(given.doorstep),
      unhex(given.seed_key),
    );
    return { name: statement.name, device: hex(device) };
  },
  knock: async ({ payload, room, key_stream, doorstep, invitation }) => {
    const key = await door.knockKey(unhex<RoomSecret>(room), unhex<StreamId>(key_stream));
    return plain(await door.openKnock(unhex(payload), key, unhex<StreamId>(doorstep), unhex(invitation)));
  },
  welcome: async ({ payload, doorstep, device, seed }) => {
    const { box } = await DeviceKeys.fromSeed(unhex(seed));
    return hex(
      await door.openWelcome(unhex(payload), unhex<StreamId>(doorstep), unhex<DeviceId>(device), box),
    );
  },
};

describe("vectors of the doorstep", () => {
  test("there are enough", () => {
    expect(vectors.size).toBeGreaterThanOrEqual(70);
  });

  test.each([...vectors])("%s", async (_, vector) => {
    expect(Object.keys(KINDS)).toContain(vector.kind);
    expect(await outcome(() => KINDS[vector.kind]?.(vector))).toEqual(expected(vector));
  });
});

test("a visitor made here knocks, is let in, and compares words", async () => {
  const bytes = (fill: number, size = 32) => new Uint8Array(size).fill(fill);
  const stream = bytes(1, 16) as StreamId;
  const caseId = bytes(2, 16) as CaseId;
  const key = await door.knockKey(bytes(3) as RoomSecret, stream);
  const greeting: door.Greeting = {
    kind: door.PERSON,
    case: caseId,
    invitation: bytes(4, 16),
    box: key.public,
    from: "Nora",
    name: "Karim",
    role: "member",
    compare: true,
    expires: 2000,
    n: 3,
    head: bytes(5) as EntryHash,
    granter_key: null,
  };
  const payload = door.makeGreeting(greeting);
  const read = door.openGreeting(payload, door.greetingPin(payload));
  expect(read).toEqual(greeting);
  const visitor = await DeviceKeys.fromSeed(bytes(6));
  const seed = bytes(7);
  const knocked = await door.makeKnock(read, stream, seed, visitor, "Karim");
  const knock = await door.openKnock(knocked, key, stream, greeting.invitation);
  const seedKey = (await door.seedKey(seed, stream)).public;
  const { device } = await door.checkStatement(knock, caseId, greeting.invitation, stream, seedKey);
  const welcome: door.Welcome = {
    case: caseId,
    keys: bytes(8, 16) as StreamId,
    secret: bytes(9),
    n: 4,
    head: bytes(10) as EntryHash,
    shelf: null,
  };
  const sealed = await door.makeWelcome(stream, device, visitor.box.public, door.encodeWelcome(welcome));
  expect(door.welcomeFor(sealed, device)).toBe(true);
  expect(door.decodeWelcome(await door.openWelcome(sealed, stream, device, visitor.box))).toEqual(welcome);
  const nonce = door.makeNonce(device, knock.device_sig, stream, bytes(11));
  expect(door.welcomeFor(nonce, device)).toBe(false);
  expect(door.openNonce(nonce, device, knock.device_sig, stream)).toEqual(bytes(11));
  expect(door.openNonce(nonce, device, knock.seed_sig, stream)).toBeUndefined();
});
