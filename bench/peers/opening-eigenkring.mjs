// Somebody new in the case of `opening.py`, with the engine of the app under Node and the store of the browser (encrypted rows,
// over an IndexedDB in memory): node opening-eigenkring.mjs LINK EXPECTED. Says `knocked`, waits for a line (who let in), then
// opens the case for the first time; then as on every day after, as the app does: until all words of the plan can be read, and
// until an own word was written and is kept. Prints one JSON object.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { built, PWA } from "./built.mjs";

const TIMES = 3;
const [, , link, agreements] = process.argv;

await import(createRequire(`${PWA}package.json`).resolve("fake-indexeddb/auto"));
const { Automerge, Device, HttpTransport, IndexedStore, engineOf, hex } = await built("opening.ts");
const transport = (relay) => new HttpTransport(relay);

function check(home) {
  const there = home.show("plan").get("agreements")?.size ?? 0;
  if (there !== Number(agreements)) throw new Error(`${there} of ${agreements} agreements`);
}

/** Milliseconds of the clock and of this process. */
async function timed(what) {
  const { user, system } = process.cpuUsage();
  const began = performance.now();
  const made = await what();
  const cpu = process.cpuUsage();
  return { ms: performance.now() - began, cpu_ms: (cpu.user + cpu.system - user - system) / 1e3, made };
}

/** All of a store, under another name. */
async function copied(from, to) {
  const asked = (request) =>
    new Promise((done, fail) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
  const db = await asked(indexedDB.open(from));
  const tables = [...db.objectStoreNames];
  const making = indexedDB.open(to, db.version);
  making.onupgradeneeded = () => {
    for (const table of tables) making.result.createObjectStore(table);
  };
  const copy = await asked(making);
  for (const table of tables) {
    const there = db.transaction(table).objectStore(table);
    const [names, values] = await Promise.all([asked(there.getAllKeys()), asked(there.getAll())]);
    const here = copy.transaction(table, "readwrite").objectStore(table);
    await Promise.all(names.map((name, at) => asked(here.put(values[at], name))));
  }
  db.close();
  copy.close();
}

const least = (runs, key) => Math.min(...runs.map((run) => run[key]));

const store = await IndexedStore.open("phone");
const device = new Device(store, transport);
const id = hex(await device.join(link, "x"));
console.log("knocked");
await new Promise((done) => createInterface(process.stdin).once("line", done));
const arrived = await timed(async () => {
  await device.sync();
  check(await device.case(id));
});
// What was folded is kept when nothing more comes.
await device.sync();
const home = await device.case(id);
const saved = engineOf(await home.session.opened(home.session.part("plan"))).save();
await store.close();

const days = [];
for (let day = 0; day < TIMES; day++) {
  // Each on a store of its own: what is written in one is not there in the next.
  await copied("phone", `day ${day}`);
  let again;
  let later;
  const shown = await timed(async () => {
    again = await IndexedStore.open(`day ${day}`, true);
    later = await new Device(again, transport).case(id);
    check(later);
  });
  // Whatever was put off until somebody writes is in it, and the word is on the disk.
  const wrote = await timed(() => later.add("plan", "agreements", { what: "een woord" }));
  days.push({
    words_ms: shown.ms,
    words_cpu_ms: shown.cpu_ms,
    write_ms: shown.ms + wrote.ms,
    write_cpu_ms: shown.cpu_ms + wrote.cpu_ms,
  });
  await again.close();
}
const loads = [];
for (let day = 0; day < TIMES; day++) loads.push(await timed(() => Automerge.load(saved)));
console.log(
  JSON.stringify({
    newcomer_ms: arrived.ms,
    newcomer_cpu_ms: arrived.cpu_ms,
    ...Object.fromEntries(Object.keys(days[0]).map((key) => [key, least(days, key)])),
    load_ms: least(loads, "ms"),
    load_cpu_ms: least(loads, "cpu_ms"),
    save_bytes: saved.length,
  }),
);
process.exit(0);
