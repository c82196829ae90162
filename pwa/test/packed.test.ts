import { decode as theirDecode, encode as theirEncode } from "@msgpack/msgpack";
import fc from "fast-check";
import "./examples";
import { describe, expect, test } from "vitest";
import { unhex } from "../src/core/ids";
import { BadPacked, decode, encode, Float, isText, type Packable, type Packed } from "../src/core/packed";
import { list, struct, text, tuple, u32, unpack } from "../src/core/shape";

const value = fc.letrec<{ value: Packable }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ unit: "grapheme", maxLength: 5 }).filter((key) => key !== "__proto__"),
      tie("value"),
      {
        maxKeys: 20,
        noNullPrototype: true,
      },
    ),
  ),
})).value;

function plain(packed: Packed): unknown {
  if (packed instanceof Map) return Object.fromEntries([...packed].map(([key, item]) => [key, plain(item)]));
  return Array.isArray(packed) ? packed.map(plain) : packed;
}

test("what we write, another library reads and writes the same", () => {
  fc.assert(
    fc.property(value, (given) => {
      const bytes = encode(given);
      expect(theirDecode(bytes)).toEqual(given);
      expect(bytes).toEqual(theirEncode(given));
      expect(plain(decode(bytes))).toEqual(given);
    }),
  );
});

test("a float stays a float, and an integer beyond 2^53 keeps its digits", () => {
  expect(decode(encode(new Float(3)))).toEqual(new Float(3));
  expect(decode(unhex("cfffffffffffffffff"))).toBe(18446744073709551615n);
  expect(decode(unhex("cf0000000000000001"))).toBe(1);
  expect(decode(unhex("d3ffffffffffffffff"))).toBe(-1);
});

describe("what no decoder may forgive", () => {
  test.each([
    ["a key given twice", "82a16101a16102"],
    ["a key given twice, once with a longer length", "82a16101d9016102"],
    ["a key that is no text", "810102"],
    ["bytes after the end", "0100"],
    ["a value that ends early", "a5"],
    ["a count beyond the end", "ddffffffff"],
    ["an opcode that is none", "c1"],
    ["brackets without end", "91".repeat(17)],
    ["nothing", ""],
  ])("%s", (_, data) => {
    expect(() => decode(unhex(data))).toThrow(BadPacked);
  });

  test("broken text is equal to no text, and no field takes it", () => {
    for (const broken of ["a1ff", "a2c080", "a3eda080"]) expect(isText(decode(unhex(broken)))).toBe(false);
    const shape = struct({ a: u32 });
    expect(unpack(shape, unhex("82a16101a17aa1ff"))).toEqual({ a: 1 });
    expect(unpack(shape, unhex("82a16101a1ffa161"))).toEqual({ a: 1 });
    expect(() => unpack(text, unhex("a1ff"))).toThrow(BadPacked);
  });

  test.each([
    ["a float for an integer", "81a161cb4008000000000000"],
    ["yes for an integer", "81a161c3"],
    ["nothing for an integer", "81a161c0"],
    ["less than nothing", "81a161ff"],
    ["an absent key", "80"],
    ["a list for a map", "9101"],
  ])("%s", (_, data) => {
    expect(() => unpack(struct({ a: u32 }), unhex(data))).toThrow(BadPacked);
  });

  test("lists and pairs of another length", () => {
    expect(() => unpack(list(u32, 1), unhex("90"))).toThrow(BadPacked);
    expect(() => unpack(tuple(u32, text), unhex("9101"))).toThrow(BadPacked);
    expect(unpack(tuple(u32, text), unhex("9201a161"))).toEqual([1, "a"]);
  });

  test("a structure of more pieces than a call takes is written, as a fold of years is", () => {
    const many = Array.from({ length: 400_000 }, (_, at) => at);
    expect(decode(encode(many))).toEqual(many);
  });
});
