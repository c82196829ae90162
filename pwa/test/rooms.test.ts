import { describe, expect, test } from "vitest";
import { type CaseId, hex, type PersonId, type RoomSecret, unhex } from "../src/core/ids";
import { commitment, followsFromRule, Keyring, openLink, roomName, sealLink } from "../src/core/rooms";
import { charterOf } from "./describe";
import { expected, outcome, type Vector, vectorsOf } from "./vectors";

const vectors = vectorsOf("rooms");

const KINDS: Record<string, (given: Vector) => unknown> = {
  name: ({ roles, people, part }) => roomName(roles, people.map(unhex<PersonId>), part ?? undefined),
  follows: ({ room, roles, people }) => followsFromRule(room, roles, people.map(unhex<PersonId>)),
  commitment: ({ case: id, room, epoch, secret }) =>
    hex(commitment(unhex<CaseId>(id), room, epoch, unhex<RoomSecret>(secret))),
  link: ({ case: id, room, epoch, secret, before }) => {
    const caseId = unhex<CaseId>(id);
    const link = sealLink(caseId, room, epoch, unhex<RoomSecret>(secret), unhex<RoomSecret>(before));
    expect(hex(openLink(caseId, room, epoch, unhex<RoomSecret>(secret), link))).toBe(before);
    return hex(link);
  },
  open_link: ({ case: id, room, epoch, secret, link }) =>
    openLink(unhex<CaseId>(id), room, epoch, unhex<RoomSecret>(secret), unhex(link)),
  history: async ({ case: id, records, room, epoch, secret }) => {
    const ring = new Keyring();
    ring.add(room, epoch, unhex<RoomSecret>(secret));
    const broken = ring.openHistory(await charterOf(id, records));
    const secrets = [...ring]
      .filter((held) => held.room === room)
      .map((held) => [held.epoch, hex(held.secret)]);
    return { secrets: Object.fromEntries(secrets), broken: broken.map((link) => [link.room, link.epoch]) };
  },
  check: async ({ case: id, records, room, epoch, secret }) => {
    new Keyring().check(await charterOf(id, records), room, epoch, unhex<RoomSecret>(secret));
    return true;
  },
};

describe("vectors of rooms", () => {
  test("there are enough", () => {
    expect(vectors.size).toBeGreaterThanOrEqual(48);
  });

  test.each([...vectors])("%s", async (_, vector) => {
    expect(Object.keys(KINDS)).toContain(vector.kind);
    expect(await outcome(() => KINDS[vector.kind]?.(vector))).toEqual(expected(vector));
  });
});

test("a keyring comes back from the store as it went", () => {
  const ring = new Keyring(new Uint8Array(32).fill(7));
  ring.add("plan", 2, new Uint8Array(32).fill(2) as RoomSecret);
  ring.add("plan", 1, new Uint8Array(32).fill(1) as RoomSecret);
  const again = Keyring.load(ring.dump());
  expect([...again]).toEqual([...ring]);
  expect(again.keysSecret).toEqual(ring.keysSecret);
  expect(again.newest("plan")?.epoch).toBe(2);
  expect(again.newest("private")).toBeUndefined();
});
