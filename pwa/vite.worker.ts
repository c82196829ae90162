// Writes sw.js beside the built app: src/sw.js with the list of files and a version that follows from their bytes.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

export function serviceWorker(): Plugin {
  return {
    name: "eigenkring-service-worker",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const hash = createHash("sha256");
        const files: string[] = [];
        const take = (name: string, bytes: string | Uint8Array): void => {
          files.push(name);
          hash.update(`${name}\n`).update(bytes);
        };
        for (const name of Object.keys(bundle).sort()) {
          const one = bundle[name];
          if (one) take(name, one.type === "chunk" ? one.code : one.source);
        }
        for (const name of readdirSync("public").sort()) take(name, readFileSync(`public/${name}`));
        const source = readFileSync("src/sw.js", "utf8")
          .replace('"VERSION"', JSON.stringify(hash.digest("hex").slice(0, 16)))
          .replace('["FILES"]', JSON.stringify(files));
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}
