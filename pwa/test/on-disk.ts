/** What lies in the browser of a phone, for tests that look at it there or damage it. */
import { type IDBPDatabase, openDB } from "idb";
import { IndexedStore } from "../src/app/indexed-store";
import type { Place, Written } from "../src/app/memory-store";
import { tableOf } from "../src/app/store-disk";
import { sealedName } from "../src/app/store-keys";

/** As the app calls it. */
export const NAME = "eigenkring";

export async function onDisk<T>(work: (db: IDBPDatabase) => Promise<T>): Promise<T> {
  const db = await openDB(NAME);
  try {
    return await work(db);
  } finally {
    db.close();
  }
}

/** How a row is damaged. */
export type Harm = (row: Uint8Array) => Uint8Array;

/** Damages these rows. Gives how many. */
export async function damage(which: (place: Place) => boolean, harm: Harm): Promise<number> {
  const store = await IndexedStore.open(NAME);
  const places = [...(store as unknown as { everything(): Iterable<Written> }).everything()].filter(which);
  const { keys } = store as unknown as { keys: Parameters<typeof sealedName>[0] };
  await store.close();
  await onDisk(async (db) => {
    for (const { table, owner, key } of places) {
      const name = await sealedName(keys, [table, owner, key]);
      const at = tableOf({ table, owner, key });
      await db.put(at, harm((await db.get(at, name)) as Uint8Array), name);
    }
  });
  return places.length;
}
