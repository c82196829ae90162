// The engine of the app for Node, made as the app is built.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PWA = fileURLToPath(new URL("../../pwa/", import.meta.url));

/** What `entry`, a file of this folder, exports. */
export async function built(entry) {
  const { path, end } = await builtAt(entry);
  try {
    return await import(path);
  } finally {
    end();
  }
}

/** Where that lies, in one file, until `end`: in a module runner every name that is imported is a property asked for at each use. */
export async function builtAt(entry) {
  const { build } = await import(createRequire(`${PWA}package.json`).resolve("vite"));
  // There, so that the engine's wasm is found from it.
  const outDir = mkdtempSync(join(PWA, "node_modules", ".bench-"));
  const end = () => rmSync(outDir, { recursive: true, force: true });
  try {
    await build({
      root: PWA,
      configFile: false,
      logLevel: "error",
      ssr: { noExternal: true },
      build: {
        ssr: fileURLToPath(new URL(entry, import.meta.url)),
        outDir,
        target: "es2023",
        minify: false,
        rolldownOptions: { output: { entryFileNames: "engine.mjs", codeSplitting: false } },
      },
    });
    return { path: join(outDir, "engine.mjs"), end };
  } catch (error) {
    end();
    throw error;
  }
}
