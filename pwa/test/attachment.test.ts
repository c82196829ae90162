// Every vector of tests/vectors/attachment, as tests/unit/test_attachment_vectors.py runs them too.
import { expect, test } from "vitest";
import { openChunks, packAttachment, parseAttachment, sealChunks, shownOf } from "../src/core/attachment";
import { hex, unhex } from "../src/core/ids";
import { encode } from "../src/core/packed";
import { stripPicture } from "../src/core/picture";
import { CryptoError } from "../src/crypto/errors";
import { sha256 } from "../src/crypto/kdf";
import { seal } from "../src/crypto/seal";
import { expected, outcome, type Vector, vectorsOf } from "./vectors";

const VECTORS = vectorsOf("attachment");
const LEAST = { parse: 45, shown: 4, open: 26, strip: 61 };

/** Byte `i` is `(i * 31 + 7) mod 256`. */
const dataOf = (size: number, from: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => ((i + from) * 31 + 7) % 256);

async function recordOf(key: Uint8Array, stream: Uint8Array, one: Vector): Promise<Uint8Array> {
  const chunk = { k: one.k ?? "chunk", n: one.n, of: one.of, data: dataOf(one.size, one.from) };
  const payload = "payload" in one ? unhex(one.payload) : encode(chunk);
  const sealed = await seal(
    one.key ? unhex(one.key) : key,
    one.stream ? unhex(one.stream) : stream,
    one.epoch ?? 0,
    payload,
    unhex(one.nonce),
  );
  if ("flip" in one) sealed[one.flip] = (sealed[one.flip] as number) ^ 1;
  sealed[0] = one.version ?? 1;
  return sealed;
}

const RUN: { readonly [kind: string]: (v: Vector) => unknown } = {
  parse: (v) => {
    const found = parseAttachment(v.text);
    if (v.about !== "a key of a newer program is passed over") expect(packAttachment(found)).toBe(v.text);
    return Object.fromEntries(
      Object.entries(found).map(([k, value]) => [k, value instanceof Uint8Array ? hex(value) : value]),
    );
  },
  shown: (v) => shownOf(v.text),
  open: async (v) => {
    const attachment = parseAttachment(v.text);
    const records = await Promise.all(
      v.records.map((one: Vector) => recordOf(attachment.key, attachment.stream, one)),
    );
    const data = await openChunks(attachment, records);
    const nonces = v.records.map((one: Vector) => unhex(one.nonce));
    expect((await sealChunks(attachment, data, nonces)).map(hex)).toEqual(records.map(hex));
    return hex(sha256(data));
  },
  strip: (v) => {
    const found = stripPicture(unhex(v.data));
    if (!found) return null;
    expect(stripPicture(found.data)).toEqual(found);
    return [found.type, hex(found.data)];
  },
};

test.each([...VECTORS])("%s", async (_name, vector) => {
  const run = RUN[vector.kind];
  if (!run) throw new Error(`unknown kind ${vector.kind}`);
  const found = await outcome(async () => {
    try {
      return await run(vector);
    } catch (error) {
      if (error instanceof CryptoError) return { crypto: error.code };
      throw error;
    }
  });
  const crypto = "out" in found ? (found.out as { crypto?: string } | null)?.crypto : undefined;
  expect(crypto ? { error: crypto } : found, vector.about).toEqual(expected(vector));
});

test("no vector is missing", () => {
  for (const [kind, least] of Object.entries(LEAST)) {
    expect([...VECTORS.values()].filter((v) => v.kind === kind).length, kind).toBeGreaterThanOrEqual(least);
  }
});
