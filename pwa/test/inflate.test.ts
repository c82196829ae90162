// Against the zlib of Node: what a page has packs at one level only.
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import "./examples";
import { expect, test } from "vitest";
import { hex, unhex } from "../src/core/ids";
import { inflate } from "../src/core/part/inflate";

test("our inflate agrees with zlib on what zlib makes, and takes nothing more", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(500))), {
        maxLength: 8,
      }),
      fc.constantFrom(0, 1, 6, 9),
      async (parts, level) => {
        const data = Buffer.concat(parts);
        const packed = deflateRawSync(data, { level });
        expect(hex(inflate(packed, data.length))).toBe(hex(data));
        expect(() => inflate(Buffer.concat([packed, Buffer.of(0)]), data.length)).toThrow();
        expect(() => inflate(packed.subarray(0, -1), data.length)).toThrow();
        if (data.length > 0) expect(() => inflate(packed, data.length - 1)).toThrow();
      },
    ),
  );
  for (const junk of ["", "07", "0300ff", "0500feff", "ffffff"]) {
    expect(() => inflate(unhex(junk), 1000)).toThrow();
  }
});
