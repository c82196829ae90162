// The household of `opening.mjs` with the engine of the app under Node: eleven devices that sync before and after their turn.
// The one that opens each day has the store of the browser (encrypted rows, over an IndexedDB in memory), the others one in memory.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export { serve } from "./eigenkring.mjs";

const PWA = fileURLToPath(new URL("../../pwa/", import.meta.url));
const TURNS_UNTIL_A_SNAPSHOT = 150;

/** One file, as the app is built: in a module runner every name that is imported is a property asked for at each use. */
async function built() {
  const { build } = await import(createRequire(`${PWA}package.json`).resolve("vite"));
  // There, so that the engine's wasm is found from it.
  const outDir = mkdtempSync(join(PWA, "node_modules", ".bench-"));
  try {
    await build({
      root: PWA,
      configFile: false,
      logLevel: "error",
      ssr: { noExternal: true },
      build: {
        ssr: fileURLToPath(new URL("./opening.ts", import.meta.url)),
        outDir,
        target: "es2023",
        minify: false,
        rolldownOptions: { output: { entryFileNames: "engine.mjs", codeSplitting: false } },
      },
    });
    return await import(join(outDir, "engine.mjs"));
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}

await import(createRequire(`${PWA}package.json`).resolve("fake-indexeddb/auto"));
const { Device, Engine, HttpTransport, IndexedStore, MemoryStore, engineOf, hex } = await built();
const transport = (relay) => new HttpTransport(relay);
const size = (home) => (home.show("plan").get("agreements") ?? new Map()).size;

export async function household(url, _folder, { edits, turn, text, now }) {
  const store = await IndexedStore.open("first");
  const device = new Device(store, transport);
  const home = await device.start("Plan", url, "Nora");
  await home.sync();
  const people = [home];
  while (people.length < 11) {
    const phone = new Device(new MemoryStore(), transport);
    const id = await phone.join(await home.invite("member", "x"), "x");
    await home.sync();
    await phone.sync();
    people.push(await phone.case(hex(id)));
  }
  for (let at = 0; at < edits; ) {
    const who = people[(at / turn) % people.length];
    await who.sync();
    for (const end = Math.min(edits, at + turn); at < end; at++) await who.add("plan", "agreements", { what: text(at) });
    await who.sync();
  }
  await home.sync();
  const plan = home.charter.parts.get("plan").stream;
  const records = store.position(home.id, plan).length;
  const before = bytesOf(store, home, plan);
  // A snapshot comes by itself, some hundred records sooner or later.
  let more = 0;
  while (store.position(home.id, plan).base === 0 && more < TURNS_UNTIL_A_SNAPSHOT) {
    await home.add("plan", "agreements", { what: text(more++) });
    await home.sync();
  }
  await home.sync();
  const after = bytesOf(store, home, plan);
  const saved = engineOf(await home.session.opened(home.session.part("plan"))).save();
  await store.close();
  const expected = edits + more;

  return {
    facts: { records, tail_bytes: before, stream_bytes: after, edits: expected, save_bytes: saved.length },
    async daily() {
      const began = now();
      const again = await IndexedStore.open("first");
      const later = await new Device(again, transport).case(hex(home.id));
      if (size(later) !== expected) throw new Error(`${size(later)} of ${expected} agreements`);
      const shown = now() - began;
      await later.session.opened(later.session.part("plan"));
      const opened = now() - began;
      await again.close();
      return { daily_shown_ms: shown, daily_ms: opened };
    },
    load() {
      const began = now();
      Engine.load(saved, new Uint8Array(24));
      return now() - began;
    },
    /** The link, and who lets in. */
    async invite() {
      const again = await IndexedStore.open("first");
      const later = await new Device(again, transport).case(hex(home.id));
      const link = await later.invite("member", "x");
      await later.sync();
      await again.close();
      return { link, expected };
    },
    async letIn() {
      const again = await IndexedStore.open("first");
      await (await new Device(again, transport).case(hex(home.id))).sync();
      await again.close();
    },
    async close() {},
  };
}

/** Of one stream at the relay: what a newcomer reads of it. */
function bytesOf(store, home, stream) {
  const { base } = store.position(home.id, stream);
  // The snapshot is the first one after base.
  return store.records(home.id, stream, base).reduce((sum, { record }) => sum + record.length, 0);
}

/** In a process of its own. */
export async function newcomer(_url, { link, expected }) {
  const device = new Device(new MemoryStore(), transport);
  const id = await device.join(link, "x");
  return {
    async arrive() {
      await device.sync();
      const home = await device.case(hex(id));
      if (size(home) !== expected) throw new Error(`${size(home)} of ${expected} agreements`);
    },
    close: async () => {},
  };
}
