// In the browser src/engine.ts loads the CRDT engine from an address; under Node it is read from the package.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { initializeWasm } from "@automerge/automerge/slim";

const file = createRequire(import.meta.url).resolve("@automerge/automerge/automerge.wasm");
await initializeWasm(await readFile(file));
