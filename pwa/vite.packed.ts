// Writes each text and the wasm beside itself as .br and .gz, so that the relay has nothing to compress while it serves.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin } from "vite";

const PACKS = /\.(?:html|js|css|wasm|svg|json|webmanifest)$/;

export function packed(): Plugin {
  return {
    name: "eigenkring-packed",
    apply: "build",
    writeBundle: {
      // After all others: of everything that lies in the folder, also what came from `public`.
      order: "post",
      sequential: true,
      async handler({ dir }) {
        if (!dir) throw new Error("no folder to write to");
        const names = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) =>
          PACKS.test(name),
        );
        await Promise.all(names.map((name) => pack(`${dir}/${name}`)));
      },
    },
  };
}

async function pack(file: string): Promise<void> {
  const content = readFileSync(file);
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  const made = {
    br: await promisify(brotliCompress)(content, { params }),
    gz: await promisify(gzip)(content, { level: 9 }),
  };
  for (const [suffix, bytes] of Object.entries(made)) {
    if (bytes.length < content.length) writeFileSync(`${file}.${suffix}`, bytes);
  }
}
