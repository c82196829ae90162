import { describe, expect, test } from "vitest";
import {
  type CaseId,
  type DeviceId,
  type EntryHash,
  type Hex,
  hex,
  type RoomSecret,
  type StreamId,
  unhex,
} from "../src/core/ids";
import { bagOf, checkBag, checkPayload, hint, openBags, sealBags } from "../src/core/keys";
import { DeviceKeys } from "../src/crypto/device";
import { charterOf } from "./describe";
import { expected, outcome, type Vector, vectorsOf } from "./vectors";

const vectors = vectorsOf("keys");

const KINDS: Record<string, (given: Vector) => unknown> = {
  open: async ({ case: id, stream, secret, device, seed, payload, charter }) => {
    const { box } = await DeviceKeys.fromSeed(unhex(seed));
    const opened = await openBags(
      unhex(payload),
      unhex<CaseId>(id),
      unhex<StreamId>(stream),
      unhex(secret),
      unhex<DeviceId>(device),
      box,
    );
    if (!opened) return null;
    await checkBag(opened, await charterOf(id, charter));
    const { by, n, head, length, chain, bag } = opened;
    return {
      by: hex(by),
      n,
      head: hex(head),
      length,
      chain: hex(chain),
      rooms: bag.rooms.map(([room, epoch, given]) => [room, epoch, hex(given)]),
      acts: bag.acts.map(({ act }) => hex(act)),
      blanks: bag.blanks.map(([blank, manage]) => [hex(blank), hex(manage)]),
    };
  },
  hint: ({ secret, device, head }) =>
    hex(hint(unhex(secret), unhex<DeviceId>(device), unhex<EntryHash>(head))),
};

describe("vectors of keys", () => {
  test("there are enough", () => {
    expect(vectors.size).toBeGreaterThanOrEqual(27);
  });

  test.each([...vectors])("%s", async (_, vector) => {
    expect(Object.keys(KINDS)).toContain(vector.kind);
    expect(await outcome(() => KINDS[vector.kind]?.(vector))).toEqual(expected(vector));
  });
});

test("bags sealed here open here, and show neither how many people there are nor who is in more rooms", async () => {
  const given = vectors.get("open_a_member");
  const charter = await charterOf(given.case, given.charter);
  const keys = await DeviceKeys.fromSeed(unhex(given.seed));
  const devices = [...charter.devices.keys()];
  let count = 0;
  const sender = {
    by: unhex<DeviceId>(given.device),
    key: keys.sign,
    keysSecret: unhex(given.secret),
    seen: { length: 3, chain: charter.chain },
    random: (size: number) => new Uint8Array(size).fill(++count),
  };
  const secret = new Uint8Array(32).fill(9) as RoomSecret;
  const many = bagOf(Array.from({ length: 20 }, (_, at) => ["plan", at + 1, secret] as const));
  const bags = new Map(devices.map((id) => [id, id === given.device ? many : bagOf([["plan", 1, secret]])]));
  const payload = await sealBags(charter, sender, bags);
  expect(await checkPayload(payload, charter)).toMatchObject({ length: 3 });
  const opened = await openBags(
    payload,
    charter.case,
    charter.keysStream,
    sender.keysSecret,
    sender.by,
    keys.box,
  );
  expect(opened?.bag.rooms).toEqual(many.rooms);
  const stranger = new Map([["11".repeat(16) as Hex, bagOf([])]]);
  await expect(sealBags(charter, sender, stranger)).rejects.toThrow("that nobody knows");
  const one = await sealBags(charter, sender, new Map([[given.device, bagOf([])]]));
  const none = await sealBags(charter, sender, new Map());
  expect(devices.length).toBeLessThanOrEqual(4);
  expect(none.length).toBe(one.length);
});
