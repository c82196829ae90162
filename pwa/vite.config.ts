import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { classicPage } from "./vite.classic";
import { packed } from "./vite.packed";
import { serviceWorker } from "./vite.worker";

// The relay serves the app under `script-src 'self' 'wasm-unsafe-eval'`: so no inline script, no data: address,
// and the wasm a file of its own. tests/test_app_build.py checks what is built.
export default defineConfig({
  plugins: [svelte(), classicPage(), serviceWorker(), packed()],
  base: "./",
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: false,
    sourcemap: false,
  },
  worker: { format: "es" },
  // Kind files and test vectors are read from outside this folder.
  server: { fs: { allow: [".."] } },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    environment: "node",
    // Node 20 has the browser's WebSocket behind a flag, later ones have it.
    execArgv: "WebSocket" in globalThis ? [] : ["--experimental-websocket"],
    setupFiles: ["./test/setup.ts"],
    // They end what hangs, and judge no speed: a busy machine took more than the ten seconds of a hook.
    testTimeout: 150_000,
    hookTimeout: 150_000,
    teardownTimeout: 60_000,
    // By default one core stays free: of two, that is half. Most of a file waits for its relay.
    maxWorkers: "100%",
    // A stray `.only` may not make a run green.
    allowOnly: false,
  },
});
