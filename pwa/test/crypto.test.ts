// Every vector of tests/vectors/crypto, as tests/unit/test_crypto_vectors.py runs them too.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { hex, unhex } from "../src/core/ids";
import { BoxKey, openBox, sealBox } from "../src/crypto/box";
import * as capability from "../src/crypto/capability";
import { extend, first } from "../src/crypto/chain";
import { bytesOf, checkPublic, combined, littleEndian, ORDER, P, SMALL_ORDER_Y } from "../src/crypto/curve";
import { DeviceKeys, SessionKeys } from "../src/crypto/device";
import { BadKey, CryptoError } from "../src/crypto/errors";
import { concat, derive, hmac, label, u32 } from "../src/crypto/kdf";
import { cannotSignLong, holdsLong, publicOf, signLong } from "../src/crypto/long";
import { pad, paddedBytes, unpad } from "../src/crypto/pad";
import { openSealed, recordEpoch, seal } from "../src/crypto/seal";
import { SigningKey, sign, verify } from "../src/crypto/sign";
import { comparisonWords, decodeCode, encodeCode, type Language } from "../src/crypto/words";
import "./examples";
import { vectorsOf } from "./vectors";

interface Vector {
  readonly about: string;
  readonly kind: string;
  readonly error?: string;
  readonly out?: unknown;
  readonly [field: string]: unknown;
}

const vectors: ReadonlyMap<string, Vector> = vectorsOf("crypto");

function bytes(vector: Vector, field: string): Uint8Array {
  return unhex(text(vector, field));
}

function text(vector: Vector, field: string): string {
  const value = vector[field];
  if (typeof value !== "string") throw new TypeError(`a vector without ${field}`);
  return value;
}

function integer(vector: Vector, field: string): number {
  const value = vector[field];
  if (typeof value !== "number") throw new TypeError(`a vector without ${field}`);
  return value;
}

const RUN: Readonly<Record<string, (v: Vector) => unknown>> = {
  async seal_open(v) {
    const [secret, stream, record] = [bytes(v, "secret"), bytes(v, "stream"), bytes(v, "record")];
    const { epoch, plaintext } = await openSealed(secret, stream, record);
    expect(recordEpoch(record)).toBe(epoch);
    // What opens is exactly what `seal` makes: no two records are one.
    expect(hex(await seal(secret, stream, epoch, plaintext, record.subarray(5, 29)))).toBe(hex(record));
    return { epoch, plaintext: hex(plaintext) };
  },
  unpad(v) {
    const plaintext = unpad(bytes(v, "padded"));
    expect(hex(pad(plaintext))).toBe(text(v, "padded"));
    expect(paddedBytes(plaintext.length)).toBe(bytes(v, "padded").length);
    return hex(plaintext);
  },
  async verify(v) {
    const [stream, body, signature] = [bytes(v, "stream"), bytes(v, "body"), bytes(v, "signature")];
    const nothing = await verify(bytes(v, "public"), text(v, "name"), stream, body, signature);
    expect(nothing).toBeUndefined();
    const key = await SigningKey.fromSeed(bytes(v, "seed"));
    expect(hex(key.public)).toBe(text(v, "public"));
    expect(hex(await sign(key, text(v, "name"), stream, body))).toBe(text(v, "signature"));
    return null;
  },
  async box_open(v) {
    const key = await BoxKey.fromSeed(bytes(v, "seed"));
    return hex(await openBox(key, text(v, "name"), bytes(v, "context"), bytes(v, "box")));
  },
  async box_seal(v) {
    return hex(await sealBox(bytes(v, "public"), "keybag", new Uint8Array(), new Uint8Array()));
  },
  derive: (v) => hex(derive(bytes(v, "secret"), text(v, "name"), bytes(v, "context"), integer(v, "n"))),
  hmac: (v) => hex(hmac(bytes(v, "key"), text(v, "name"), bytes(v, "context"))),
  capability(v) {
    const [room, stream, epoch] = [bytes(v, "room_secret"), bytes(v, "stream"), integer(v, "epoch")];
    const s = capability.readSecret(room, stream);
    const w = capability.writeSecret(room, stream);
    const m = capability.manageSecret(room, stream);
    const read = capability.readCapability(s, stream, epoch);
    const append = capability.appendCapability(w, stream, epoch);
    const manage = capability.manageCapability(m, stream, epoch);
    return {
      read_secret: hex(s),
      write_secret: hex(w),
      manage_secret: hex(m),
      read_capability: hex(read),
      append_capability: hex(append),
      manage_capability: hex(manage),
      read_hash: hex(capability.capabilityHash(read)),
      append_hash: hex(capability.capabilityHash(append)),
      manage_hash: hex(capability.capabilityHash(manage)),
    };
  },
  chain(v) {
    const values = [first(bytes(v, "stream"))];
    for (const record of v.records as string[])
      values.push(extend(values.at(-1) as Uint8Array, unhex(record)));
    return values.map(hex);
  },
  async device(v) {
    const keys = await DeviceKeys.fromSeed(bytes(v, "seed"));
    return { sign_key: hex(keys.sign.public), box_key: hex(keys.box.public) };
  },
  code(v) {
    const code = decodeCode(text(v, "text"));
    expect(hex(decodeCode(encodeCode(code)))).toBe(hex(code));
    return hex(code);
  },
  words: (v) => comparisonWords(bytes(v, "digest"), text(v, "language") as Language),
  publics: (v) => (v.publics as string[]).map((key) => isKey(unhex(key))),
};

// How many there are at least, so that a lost file or a folder that moved is not a green run.
const LEAST: Readonly<Record<string, number>> = {
  seal_open: 43,
  verify: 64,
  box_open: 34,
  box_seal: 6,
  code: 26,
  unpad: 20,
  words: 11,
  derive: 10,
  hmac: 5,
  capability: 9,
  chain: 7,
  device: 7,
  publics: 3,
};

function isKey(key: Uint8Array): boolean {
  try {
    checkPublic(key);
  } catch (error) {
    if (error instanceof BadKey) return false;
    throw error;
  }
  return true;
}

async function failure(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("vectors", () => {
  test.each([...vectors.keys()])("%s", async (name) => {
    const vector = vectors.get(name) as Vector;
    const run = RUN[vector.kind];
    if (run === undefined) throw new Error(`unknown kind ${vector.kind}`);
    if (vector.error === undefined) {
      expect(await run(vector), vector.about).toEqual(vector.out);
      return;
    }
    const error = await failure(() => run(vector));
    expect(error, vector.about).toBeInstanceOf(CryptoError);
    expect((error as CryptoError).code, vector.about).toBe(vector.error);
  });

  test("no vector is missing or unknown", () => {
    const kinds: Record<string, number> = {};
    for (const { kind } of vectors.values()) kinds[kind] = (kinds[kind] ?? 0) + 1;
    expect(Object.keys(kinds).sort()).toEqual(Object.keys(RUN).sort());
    expect(Object.keys(LEAST).sort()).toEqual(Object.keys(RUN).sort());
    for (const [kind, least] of Object.entries(LEAST))
      expect(kinds[kind], kind).toBeGreaterThanOrEqual(least);
  });
});

const binary = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });

describe("properties", () => {
  test("opening undoes sealing", async () => {
    const epochs = fc.nat(0xffff_ffff);
    await fc.assert(
      fc.asyncProperty(
        binary(32),
        binary(16),
        epochs,
        binary(0, 2000),
        binary(24),
        async (secret, stream, epoch, p, n) => {
          const record = await seal(secret, stream, epoch, p, n);
          const opened = await openSealed(secret, stream, record);
          expect(opened).toEqual({ epoch, plaintext: new Uint8Array(p) });
        },
      ),
    );
  });

  test("every byte of a record counts and all fail alike", async () => {
    const secret = new Uint8Array(32);
    const stream = new Uint8Array(16);
    const record = await seal(secret, stream, 1, new Uint8Array(9), new Uint8Array(24));
    const seen = new Set<string>();
    for (let at = 1; at < record.length; at++) {
      const changed = record.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const error = (await failure(() => openSealed(secret, stream, changed))) as CryptoError;
      seen.add(`${error.name} ${error.code} ${error.message} ${error.cause}`);
    }
    expect([...seen]).toEqual(["Unopenable unopenable a record does not open undefined"]);
  });

  test("bytes in the middle of a larger memory are read as they are", async () => {
    // What a MessagePack decoder gives is a window on its buffer; `.buffer` would be the whole frame.
    const window = (data: Uint8Array) => {
      const memory = new Uint8Array(data.length + 20).fill(0xaa);
      memory.set(data, 7);
      return memory.subarray(7, 7 + data.length);
    };
    const seed = window(new Uint8Array(32).fill(3));
    const keys = await DeviceKeys.fromSeed(seed);
    expect(hex(keys.box.public)).toBe(
      hex((await DeviceKeys.fromSeed(new Uint8Array(32).fill(3))).box.public),
    );
    const box = await sealBox(window(keys.box.public), "x", window(seed), window(seed));
    expect(hex(await openBox(keys.box, "x", window(seed), window(box)))).toBe(hex(seed));
    const stream = window(new Uint8Array(16));
    const record = await seal(seed, stream, 5, window(seed), window(new Uint8Array(24)));
    expect(hex((await openSealed(seed, stream, window(record))).plaintext)).toBe(hex(seed));
    const signature = await sign(keys.sign, "x", stream, window(seed));
    await verify(window(keys.sign.public), "x", stream, window(seed), window(signature));
    expect(hex(unpad(window(pad(seed))))).toBe(hex(seed));
  });

  test("a seed that begins with zeros is one as any other", async () => {
    for (const zeros of [1, 2, 31, 32]) {
      const seed = new Uint8Array(32).fill(7, zeros);
      const key = await SigningKey.fromSeed(seed);
      expect(hex(key.public)).toBe(hex(await publicOf(seed)));
      const stream = new Uint8Array(16);
      await verify(key.public, "x", stream, seed, await sign(key, "x", stream, seed));
    }
  });

  test("a long message is signed and checked as a short one is", async () => {
    const stream = new Uint8Array(16).fill(4);
    for (const size of [64_900, 65_535, 66_000, 300_000]) {
      const seed = new Uint8Array(32).fill(size % 251);
      const key = await SigningKey.fromSeed(seed);
      const body = new Uint8Array(size).map((_, at) => at * 7);
      const signature = await sign(key, "x", stream, body);
      // The same bytes from the browser's own and from ours: there is one signature.
      const message = concat(label("x"), stream, body);
      expect(hex(await signLong(seed, message))).toBe(hex(signature));
      await verify(key.public, "x", stream, body, signature);
      for (const at of [0, 40, 63]) {
        const changed = signature.slice();
        changed[at] = (changed[at] ?? 0) ^ 1;
        await expect(verify(key.public, "x", stream, body, changed)).rejects.toBeInstanceOf(CryptoError);
      }
      body[size - 1] = (body[size - 1] ?? 0) ^ 1;
      await expect(verify(key.public, "x", stream, body, signature)).rejects.toBeInstanceOf(CryptoError);
    }
  });

  test("our own equation gives the verdict of WebCrypto", async () => {
    await fc.assert(
      fc.asyncProperty(binary(32), binary(0, 200), fc.nat(63), fc.nat(255), async (seed, m, at, to) => {
        const key = await SigningKey.fromSeed(seed);
        const [message, signature] = [new Uint8Array(m), await key.signBytes(new Uint8Array(m))];
        signature[at] = to;
        const theirs = await crypto.subtle.importKey("raw", key.public, "Ed25519", false, ["verify"]);
        expect(await holdsLong(key.public, message, signature)).toBe(
          await crypto.subtle.verify("Ed25519", theirs, signature, message),
        );
      }),
      { numRuns: 40 },
    );
  });

  test("a key is what the order of the group makes neutral, and nothing else", () => {
    const isOfPrimeOrder = (key: Uint8Array) => littleEndian(combined(0n, ORDER, key)) === 1n;
    const y8 = [...SMALL_ORDER_Y].filter((y) => y > 1n && y < P - 1n);
    // -[1]T and [0]B, and both signs: all eight of small order.
    const small = [1n, P - 1n, 0n, 1n << 255n, ...y8.flatMap((y) => [y, y | (1n << 255n)])].map(bytesOf);
    expect(new Set(small.map((point) => hex(combined(0n, 1n, point)))).size).toBe(8);
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: ORDER - 1n }), (scalar) => {
        for (const point of small) {
          const key = combined(scalar, 1n, point);
          expect(isKey(key)).toBe(isOfPrimeOrder(key));
          expect(isKey(key)).toBe(hex(point) === hex(bytesOf(1n)));
        }
      }),
      { numRuns: 25 },
    );
    const anyY = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
    fc.assert(
      fc.property(anyY, (n) => {
        const [key, y] = [bytesOf(n), n & (2n ** 255n - 1n)];
        let expected = y < P && !SMALL_ORDER_Y.has(y);
        try {
          expected &&= isOfPrimeOrder(key);
        } catch (error) {
          expected = false;
          expect(error).toBeInstanceOf(BadKey); // half of all y are not of the curve
        }
        expect(isKey(key)).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  test("WebKit on Linux is known by its name, and no other browser is", () => {
    const gtk =
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";
    expect(cannotSignLong(gtk)).toBe(true);
    for (const other of [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
      "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
      "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      "Node.js/22",
      "",
    ])
      expect(cannotSignLong(other), other).toBe(false);
  });

  test("boxes opened and sealed at the same time do not mix", async () => {
    const keys = await DeviceKeys.fromSeed(new Uint8Array(32));
    const opened = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const p = new Uint8Array([i]);
        return (await openBox(keys.box, "x", p, await sealBox(keys.box.public, "x", p, p)))[0];
      }),
    );
    expect(opened).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("padding: never smaller, at most an eighth larger, and the largest of its size fits itself", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), (n) => {
        const size = paddedBytes(n);
        expect(size).toBeGreaterThanOrEqual(Math.max(256, n + 4));
        expect(size).toBeLessThanOrEqual(Math.max(256, Math.ceil((n + 4) * 1.12)));
        expect(paddedBytes(size - 4)).toBe(size);
      }),
    );
  });

  test("a code survives being written down", () => {
    fc.assert(
      fc.property(binary(20), (code) => {
        const typed = encodeCode(code)
          .toLowerCase()
          .replaceAll("-", " ")
          .replaceAll("0", "o")
          .replaceAll("1", "l");
        expect(hex(decodeCode(typed))).toBe(hex(code));
      }),
    );
  });

  test("mistakes of our own are not errors of others", () => {
    for (const name of ["", "a\0b", "é", "a\n"]) expect(() => label(name)).toThrow(RangeError);
    for (const value of [-1, 2 ** 32, 1.5, Number.NaN]) expect(() => u32(value)).toThrow(RangeError);
    expect(() => first(new Uint8Array(15))).toThrow(RangeError);
    expect(() => extend(new Uint8Array(31), new Uint8Array())).toThrow(RangeError);
    expect(() => comparisonWords(new Uint8Array(32), "toString" as Language)).toThrow(RangeError);
    for (const n of [0, -1, 8161, 1.5, Number.NaN])
      expect(() => derive(new Uint8Array(32), "x", new Uint8Array(), n)).toThrow(
        "HKDF gives 1 to 8160 bytes",
      );
  });

  test("a key, a nonce, a capability or a code of another size is refused", async () => {
    for (const n of [0, 31, 33]) {
      await expect(SigningKey.fromSeed(new Uint8Array(n))).rejects.toThrow(BadKey);
      expect(() => capability.capabilityHash(new Uint8Array(n))).toThrow(BadKey);
    }
    for (const n of [19, 21]) expect(() => encodeCode(new Uint8Array(n))).toThrow(BadKey);
    const sealed = seal(new Uint8Array(32), new Uint8Array(16), 1, new Uint8Array(), new Uint8Array(12));
    await expect(sealed).rejects.toThrow("a nonce is 24 bytes");
  });

  test("a pasted book is refused at its 37th letter", () => {
    expect(() => decodeCode("2".repeat(37))).toThrow("a recovery code has other symbols");
  });

  test("the keys of a session are those of the device, and the one for boxes grows once, when it is asked for", async () => {
    const seed = new Uint8Array(32).fill(9);
    const keys = await DeviceKeys.fromSeed(seed);
    const grown = vi.spyOn(BoxKey, "fromSeed");
    const session = await SessionKeys.fromSeed(seed);
    expect(grown).not.toHaveBeenCalled();
    expect(hex(session.sign.public)).toBe(hex(keys.sign.public));
    seed.fill(0);
    const [box, again] = await Promise.all([session.box(), session.box()]);
    expect(hex(box.public)).toBe(hex(keys.box.public));
    expect(again).toBe(box);
    expect(grown).toHaveBeenCalledTimes(1);
    grown.mockRestore();
    expect(Object.keys(session)).toEqual(["sign"]);
    for (const n of [31, 33]) await expect(SessionKeys.fromSeed(new Uint8Array(n))).rejects.toThrow(BadKey);
  });

  test("a private half cannot be read back", async () => {
    const seed = new Uint8Array(32).fill(9);
    const keys = await DeviceKeys.fromSeed(seed);
    expect(Object.keys(keys.sign)).toEqual(["public"]);
    expect(Object.keys(keys.box)).toEqual(["public"]);
    expect(JSON.stringify(keys)).not.toContain("private");
    checkPublic(keys.sign.public);
  });
});
