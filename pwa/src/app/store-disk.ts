/** The browser's file that the store lies in: its tables, and its rows as they are sealed there. */
import { type IDBPDatabase, openDB } from "idb";
import { Misuse } from "../core/errors";
import { type Hex, hex } from "../core/ids";
import type { Packable } from "../core/packed";
import { FutureVersion } from "../crypto/errors";
import type { Bytes } from "../crypto/kdf";
import type { Place, Rows, Table, Written } from "./memory-store";
import { openRow, type StoreKeys, sealedName, sealRow } from "./store-keys";

const VERSION = 3;
export const ROWS = "rows";
/** Of streams, whole. The first screen needs none, and they are most of what lies here. */
export const RECORDS = "records";
/** What is too much to be read at every opening. In `ROWS` lies that it is there. */
export const LARGE = "large";
export const KEYS = "keys";

export async function database(name: string, ended: () => void, newer: () => void): Promise<IDBPDatabase> {
  try {
    return await openDB(name, VERSION, {
      upgrade(fresh, before) {
        if (before < 1) fresh.createObjectStore(ROWS);
        if (before < 1) fresh.createObjectStore(KEYS);
        if (before < 2) fresh.createObjectStore(LARGE);
        fresh.createObjectStore(RECORDS);
      },
      terminated: ended,
      blocking: newer,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "VersionError") {
      throw new FutureVersion("a newer app wrote what lies here");
    }
    // Private windows of some browsers, or a full disk.
    throw new Misuse("no_home", "this browser does not keep anything for the app");
  }
}

/** Without what lies elsewhere. */
export function light(one: Written): Written {
  return one.table === "large" && one.row ? { ...one, row: { value: null } } : one;
}

export function allSealed(
  keys: StoreKeys,
  rows: readonly Written[],
): Promise<{ name: Bytes; value: Bytes | undefined }[]> {
  return Promise.all(rows.map((row) => sealed(keys, row)));
}

async function sealed(
  keys: StoreKeys,
  { table, owner, key, row }: Written,
): Promise<{ name: Bytes; value: Bytes | undefined }> {
  const name = await sealedName(keys, [table, owner, key]);
  const packed = row as unknown as Packable | undefined;
  return {
    name,
    value: packed === undefined ? undefined : await sealRow(keys, name, [table, owner, key, packed]),
  };
}

/** The name of a row, as IndexedDB gives it back. */
export function bytesOf(name: IDBValidKey): Bytes {
  return new Uint8Array(name as ArrayBuffer);
}

/** Rows as they were kept. Throws what WebCrypto throws where one is damaged, or is of another key. */
export async function allOpened(
  keys: StoreKeys,
  names: readonly IDBValidKey[],
  values: readonly Bytes[],
): Promise<Written[]> {
  const opened = await Promise.all(
    values.map((value, at) => openRow(keys, bytesOf(names[at] as IDBValidKey), value)),
  );
  return opened.map((found) => {
    const [table, owner, key, row] = found as [Table, string, string, Map<string, unknown>];
    return { table, owner, key, row: Object.fromEntries(row) as unknown as Rows[Table] };
  });
}

/** As `allOpened`, of rows some of which may be damaged: what opens, and the names of what does not. */
export async function thoseThatOpen(
  keys: StoreKeys,
  names: readonly IDBValidKey[],
  values: readonly Bytes[],
): Promise<{ readonly rows: Written[]; readonly damaged: IDBValidKey[] }> {
  const rows: Written[] = [];
  const damaged: IDBValidKey[] = [];
  for (const [at, name] of names.entries()) {
    try {
      rows.push(...(await allOpened(keys, [name], [values[at] as Bytes])));
    } catch {
      damaged.push(name);
    }
  }
  return { rows, damaged };
}

/** What rows are called on the disk, in hex. */
export async function namesOf(keys: StoreKeys, places: readonly Place[]): Promise<Set<Hex>> {
  const names = places.map(({ table, owner, key }) => sealedName(keys, [table, owner, key]));
  return new Set((await Promise.all(names)).map(hex));
}

/** The table in which a row lies. */
export function tableOf({ table }: Place): string {
  return table === "record" ? RECORDS : ROWS;
}
