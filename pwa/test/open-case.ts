/**
 * How long a phone takes to open a case with years in it: `node test/open-case.mjs EDITS`. The relay is a process of its own,
 * the store is filled by real syncs. Prints one JSON object, times in milliseconds.
 */
import "fake-indexeddb/auto";
import { IndexedStore } from "../src/app/indexed-store";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore } from "../src/app/memory-store";
import { hex } from "../src/core/ids";
import { Device } from "../src/core/library";
import { HttpTransport } from "../src/core/transport";
import { startRelay } from "./relay";
import "./setup";

const transport = (address: string) => new HttpTransport(address);

export async function measure(edits: number): Promise<object> {
  const relay = await startRelay();
  const store = await IndexedStore.open("bench");
  const device = new Device(store, transport);
  const home = await device.start("Thuis", relay.address, "Nora");
  await home.sync();
  const people = [];
  for (let n = 0; n < 8; n++) {
    const phone = new Device(new MemoryStore(), transport);
    const id = await phone.join(await home.invite("member", `Lid ${n}`), `Lid ${n}`);
    await home.sync();
    await phone.sync();
    people.push(await phone.case(hex(id)));
  }
  await home.sync();
  // The others have their parts; that eleven write makes the folding no dearer.
  const writers = [home, ...people.slice(0, 2)];
  const items: string[] = [];
  for (let n = 0; n < 100; n++) items.push(await home.add("plan", "agreements", { what: `Afspraak ${n}` }));
  await home.sync();
  for (const one of writers) await one.sync();
  const began = performance.now();
  for (let n = 0; n < edits; n++) {
    const one = writers[n % writers.length] as typeof home;
    const path = `agreements/${items[(n * 7) % items.length]}/what`;
    await one.set("plan", path, `Afspraak ${n % 100}, gewijzigd voor de ${n}e keer`);
    if (n % 1800 === 1799) for (const each of writers) await each.syncQuietly();
  }
  for (const each of writers) await each.syncQuietly();
  await home.sync();
  const wrote = performance.now() - began;
  const plan = home.charter.parts.get("plan")?.stream as Uint8Array;
  const { base, length } = store.position(home.id, plan as never) ?? { base: 0, length: 0 };
  await store.close();
  const times: Record<string, number> = { wrote };
  const open = async (name: string, keep: boolean): Promise<void> => {
    let at = performance.now();
    const lap = (what: string): void => {
      times[`${name} ${what}`] = Math.round(performance.now() - at);
      at = performance.now();
    };
    const again = await IndexedStore.open("bench");
    lap("store");
    const later = new Device(again, transport);
    if (!keep) Object.assign(later.around, { loadEngine: undefined });
    await later.cases();
    lap("fold");
    await new LocalEngine(later).show(hex(home.id), "plan");
    lap("show");
    await (await later.cases())[0]?.sync();
    lap("sync");
    await again.close();
  };
  await open("folded anew", false);
  await open("kept first", true);
  await open("kept", true);
  await relay.stop();
  return { edits, streams: home.charter.liveStreams().length, base, length, ...times };
}
