/**
 * Loads the CRDT engine's wasm from a file of this app: no inline script and no data: address, so a strict
 * content security policy holds. Import Automerge everywhere as `@automerge/automerge/slim` (the plain entry would
 * bring a second engine), and await `engineReady()` once before the first use; test/setup.ts does so for vitest.
 */
import wasmUrl from "@automerge/automerge/automerge.wasm?url";
import { initializeWasm } from "@automerge/automerge/slim";

let ready: Promise<void> | undefined;

export function engineReady(): Promise<void> {
  ready ??= initializeWasm(wasmUrl).catch((error: unknown) => {
    // Asked again, it may come: a phone on a bad line.
    ready = undefined;
    throw error;
  });
  return ready;
}
