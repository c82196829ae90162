/**
 * Rows besides records that no longer open: whose they were, what is made anew of them, and what a person has to be told
 * (`../../../docs/decisions/torn-records.md`).
 */
import { type Hex, hex, same } from "../core/ids";
import { KEYS_AGAIN } from "../core/session/boxes";
import { list, pack, text, unpack } from "../core/shape";
import { NO_CASE } from "../core/store";
import type { Position } from "../core/stream";
import type { Bytes } from "../crypto/kdf";
import type { KeptRecord, Place, Rows, Table, Written } from "./memory-store";
import { namesOf } from "./store-disk";
import { IV_BYTES, openUnchecked, type StoreKeys, sealedName } from "./store-keys";

/** What the core keeps of parts and charter to show them sooner: it is made anew of the records (session/kept, kept-charter). */
const [FOLD, SHOWN, CHARTER] = ["fold ", "shown ", "charter"];
/** The core's list of photos that are being sent (session/attachments). */
const ATTACHMENTS = "attachments";

/**
 * What is gone and does not come back by itself. `all`: the key of what lay here; `case`, `view`: who this device is there;
 * `words`: perhaps own words that were not sent; `rest`: a small thing this device remembered.
 */
export const LOSSES = ["all", "case", "view", "words", "rest"] as const;
export type Loss = (typeof LOSSES)[number];
/** The fact, of no case, that keeps it until somebody has read it. */
export const TOLD = "losses";
const lossesShape = list(text);

export function lossesIn(fact: Uint8Array | undefined): Loss[] {
  const told = fact ? unpack(lossesShape, fact) : [];
  return LOSSES.filter((loss) => told.includes(loss));
}

/** A row that does not open; no `place` where nobody can say what it was. */
export interface TornRow {
  readonly name: Bytes;
  readonly value: unknown;
  readonly place: Place | undefined;
}

export interface MendedRows {
  /** To be laid; without a row: taken away. */
  readonly laid: readonly Written[];
  /** Damaged ones that nothing can come of. The others stay as they lie. */
  readonly gone: readonly Bytes[];
}

/** Whose each damaged row was: it says so itself where that part of it is whole, and its name proves it. */
export async function tornRows(
  keys: StoreKeys,
  rows: readonly Written[],
  damaged: readonly { readonly name: Bytes; readonly value: unknown }[],
): Promise<TornRow[]> {
  const likely = await likelyPlaces(keys, rows);
  const torn = damaged.map(async ({ name, value }): Promise<TornRow> => {
    return { name, value, place: (await placeIn(keys, name, value)) ?? likely.get(hex(name)) };
  });
  return Promise.all(torn);
}

async function placeIn(keys: StoreKeys, name: Bytes, value: unknown): Promise<Place | undefined> {
  if (!(value instanceof Uint8Array) || value.length <= IV_BYTES) return undefined;
  const [table, owner, key] = texts(await openUnchecked(keys, value.slice()));
  if (table === undefined || owner === undefined || key === undefined) return undefined;
  // What was read is anybody's guess until the name, which only these keys could make, says the same.
  if (!same(await sealedName(keys, [table, owner, key]), name)) return undefined;
  return { table: table as Table, owner, key };
}

/** The first three texts of a list in MessagePack that may break off anywhere. */
function texts(row: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 1; found.length < 3 && at < row.length; ) {
    const [head = 0, first = 0, second = 0] = row.subarray(at, at + 3);
    const [skip, length] =
      head >> 5 === 5 ? [1, head & 0x1f] : head === 0xd9 ? [2, first] : [3, 256 * first + second];
    found.push(new TextDecoder().decode(row.subarray(at + skip, at + skip + length)));
    at += skip + length;
  }
  return found;
}

/** Where rows could lie by what the whole ones tell of cases and logs. */
async function likelyPlaces(keys: StoreKeys, rows: readonly Written[]): Promise<Map<Hex, Place>> {
  const places = new Map<string, Place>();
  const add = (table: Table, owner: string, key: string) =>
    places.set(`${table} ${owner} ${key}`, { table, owner, key });
  for (const { table, owner, key } of rows) {
    const [of = "", log] = owner === "" ? [key] : owner.split("/");
    const stream = table === "position" ? key : log;
    add("case", "", of);
    add("grant", "", of);
    add("fact", of, CHARTER);
    for (const one of stream === undefined ? [of] : [of, stream]) {
      add("position", of, one);
      add("fact", of, `${SHOWN}${one}`);
      add("large", of, `${FOLD}${one}`);
    }
  }
  const all = [...places.values()];
  const names = [...(await namesOf(keys, all))];
  return new Map(names.map((name, at) => [name, all[at] as Place]));
}

/** What to do about them. `pieceLies`: whether what a row of `large` stands for is there. */
export function mendRows(
  rows: readonly Written[],
  torn: readonly TornRow[],
  pieceLies: (name: Bytes) => boolean,
): MendedRows {
  const before = lossesIn(
    (rows.find(({ owner, key }) => owner === hex(NO_CASE) && key === TOLD)?.row as Rows["fact"] | undefined)
      ?.value,
  );
  // Nothing opens at all: it is the key that is gone, or another one. What lies here stays, and is nobody's.
  if (rows.length === 0) return { laid: [tell(["all"])], gone: [] };
  if (before.includes("all")) return { laid: [], gone: [] };
  const losses = new Set<Loss>(before);
  const laid: Written[] = [];
  const gone: Bytes[] = [];
  const begunAgain = new Set<string>();
  const cases = rows.filter(({ table }) => table === "case").map(({ key }) => key);
  for (const { name, place } of torn) {
    const loss = lossOf(place);
    if (loss) losses.add(loss);
    if (!place || place.table === "outbox")
      for (const one of place ? [place.owner] : cases) begunAgain.add(one);
    // Keys lie in boxes too: they are looked for there, and the row stays until one is found.
    if (place?.table === "secret") {
      laid.push({ table: "fact", owner: place.owner, key: KEYS_AGAIN, row: { value: Uint8Array.of(1) } });
    } else if (place?.table === "large" && pieceLies(name)) laid.push({ ...place, row: { value: null } });
    else if (loss !== "case" && loss !== "view" && place?.table !== "position") gone.push(name);
  }
  for (const one of begunAgain) laid.push(...inNewIncarnation(one, rows));
  if (losses.size > before.length) laid.push(tell([...losses]));
  return { laid, gone };
}

function tell(losses: readonly Loss[]): Written {
  return { table: "fact", owner: hex(NO_CASE), key: TOLD, row: { value: pack(lossesShape, losses) } };
}

function lossOf(place: Place | undefined): Loss | undefined {
  switch (place?.table) {
    case undefined:
    case "outbox":
    case "own":
      return "words";
    case "case":
      return "case";
    case "grant":
      return "view";
    case "alarm":
      return "rest";
    case "fact":
      if (place.key === CHARTER || place.key.startsWith(SHOWN)) return undefined;
      return place.key === ATTACHMENTS ? "words" : "rest";
    default:
      return undefined;
  }
}

/**
 * Own words may have been sent that this device knows no more: under the old incarnation it would make another change of
 * the same number, and be taken for a liar. What was kept of the parts may hold them too.
 */
function inNewIncarnation(id: string, rows: readonly Written[]): Written[] {
  return rows.flatMap((one): Written[] => {
    if (one.table === "case" && one.key === id) {
      const incarnation = crypto.getRandomValues(new Uint8Array(8));
      return [{ ...one, row: { ...(one.row as Rows["case"]), incarnation } }];
    }
    const isKept =
      one.owner === id &&
      ((one.table === "large" && one.key.startsWith(FOLD)) ||
        (one.table === "fact" && one.key.startsWith(SHOWN)));
    return isKept ? [{ ...one, row: undefined }] : [];
  });
}

/** Where each log ends whose own row of that is lost, by the records that lie here: of `known` it is known. */
export function positionsOf(records: readonly Written[], known: ReadonlySet<string>): Written[] {
  const logs = new Map<string, KeptRecord[]>();
  for (const { owner, row } of records) {
    const log = logs.get(owner) ?? [];
    log.push(row as KeptRecord);
    logs.set(owner, log);
  }
  return [...logs].flatMap(([of, kept]): Written[] => {
    const [owner = "", stream = ""] = of.split("/");
    if (known.has(of)) return [];
    kept.sort((one, other) => one.index - other.index);
    const { index: length, chain } = kept.at(-1) as KeptRecord;
    const base = kept.findLast(({ record }) => !record)?.index ?? (kept[0] as KeptRecord).index - 1;
    const row: Position = { base, length, chain };
    return [{ table: "position", owner, key: stream, row }];
  });
}
