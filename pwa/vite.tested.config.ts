// Builds the engine's own tests as a page (tests/browser/test_engine.py) into a folder given on the command line; never shipped.
import { readdirSync, readFileSync, renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const VECTORS = "../tests/vectors";
const here = (path: string): string => fileURLToPath(new URL(`test/in-browser/${path}`, import.meta.url));

/** What a test reads from the disk or starts as a process is another module in a page: test/in-browser. */
const INSTEAD: Readonly<Record<string, string>> = {
  "./vectors-on-disk": here("vectors-fetched.ts"),
  "./relay": here("relay.ts"),
  "fake-indexeddb": here("indexeddb.ts"),
  "fake-indexeddb/auto": here("indexeddb.ts"),
};

function instead(): Plugin {
  return {
    name: "eigenkring-instead",
    enforce: "pre",
    resolveId: (source) => INSTEAD[source],
    generateBundle() {
      const areas = readdirSync(VECTORS, { withFileTypes: true }).filter((one) => one.isDirectory());
      const read = (area: string): [string, unknown][] =>
        readdirSync(`${VECTORS}/${area}`)
          .filter((name) => name.endsWith(".json"))
          .sort()
          .map((name) => [name.slice(0, -5), JSON.parse(readFileSync(`${VECTORS}/${area}/${name}`, "utf8"))]);
      const all = Object.fromEntries(areas.map(({ name }) => [name, read(name)]));
      this.emitFile({ type: "asset", fileName: "vectors.json", source: JSON.stringify(all) });
    },
    // So the relay serves it as it serves the app, under the same strict policy.
    writeBundle({ dir }) {
      renameSync(`${dir}/tested.html`, `${dir}/index.html`);
    },
  };
}

export default defineConfig({
  plugins: [svelte(), instead()],
  base: "./",
  publicDir: false,
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    minify: false,
    rolldownOptions: { input: "tested.html" },
  },
});
