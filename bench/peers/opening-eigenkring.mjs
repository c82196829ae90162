// Somebody new in the case of `opening.py`, with the engine of the app under Node and the store of the browser (encrypted rows,
// over an IndexedDB in memory): node opening-eigenkring.mjs LINK EXPECTED. Says `knocked`, waits for a line (who let in), then
// opens the case for the first time; then as on every day after. Prints one JSON object.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { built, PWA } from "./built.mjs";

const TIMES = 3;
const [, , link, agreements] = process.argv;

await import(createRequire(`${PWA}package.json`).resolve("fake-indexeddb/auto"));
const { Device, Engine, HttpTransport, IndexedStore, engineOf, hex } = await built("opening.ts");
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
const shown = [];
for (let day = 0; day < TIMES; day++) {
  let again;
  const seen = await timed(async () => {
    again = await IndexedStore.open("phone");
    const later = await new Device(again, transport).case(id);
    check(later);
    return later;
  });
  const opened = await timed(() => seen.made.session.opened(seen.made.session.part("plan")));
  shown.push(seen);
  days.push({ ms: seen.ms + opened.ms, cpu_ms: seen.cpu_ms + opened.cpu_ms });
  await again.close();
}
const loads = [];
for (let day = 0; day < TIMES; day++) loads.push(await timed(() => Engine.load(saved, new Uint8Array(24))));
console.log(
  JSON.stringify({
    newcomer_ms: arrived.ms,
    newcomer_cpu_ms: arrived.cpu_ms,
    daily_ms: least(days, "ms"),
    daily_cpu_ms: least(days, "cpu_ms"),
    daily_shown_ms: least(shown, "ms"),
    load_ms: least(loads, "ms"),
    load_cpu_ms: least(loads, "cpu_ms"),
    save_bytes: saved.length,
  }),
);
process.exit(0);
