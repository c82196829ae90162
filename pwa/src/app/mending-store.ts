/** A store of which some records no longer open: what is missing, and how it is whole again (`mending`). */
import { Misuse } from "../core/errors";
import { type Hex, hex } from "../core/ids";
import type { Position } from "../core/stream";
import type { Bytes } from "../crypto/kdf";
import { type KeptRecord, MemoryStore, type Written } from "./memory-store";
import { type Known, type LogEnd, type Mended, stays, tornLogs } from "./mending";
import { namesOf, thoseThatOpen } from "./store-disk";
import type { StoreKeys } from "./store-keys";

/** Names and sealed rows, as they lie on the disk. */
export type Lies = readonly [names: readonly IDBValidKey[], values: readonly Bytes[]];

/** Reads torn logs anew. Throws Misuse `no_home` where that cannot be now. */
export type Mend = (torn: readonly LogEnd[], cases: ReadonlyMap<Hex, Known>) => Promise<Mended[]>;

export class MendingStore extends MemoryStore {
  /** Absent: nobody can read anything anew here. */
  mend: Mend | undefined;
  /** Is told when something turned out not to open, and when it was mended. */
  onTorn: () => void = () => {};
  private isTorn = false;

  /** A record here does not open, and could not be read anew yet. What was kept besides is shown. */
  get torn(): boolean {
    return this.isTorn;
  }

  private tellTorn(isTorn: boolean): void {
    if (this.isTorn === isTorn) return;
    this.isTorn = isTorn;
    this.onTorn();
  }

  /** All records, whole: `lay` lays rows on the disk (without one: takes them away), and then takes away what is damaged. */
  protected async madeWhole(
    keys: StoreKeys,
    lies: Lies,
    lay: (rows: readonly Written[], gone: readonly IDBValidKey[]) => Promise<void>,
  ): Promise<Written[]> {
    const { rows, damaged } = await thoseThatOpen(keys, ...lies);
    this.tellTorn(true);
    const { stay, laid } = await this.mendedFrom(rows);
    const anew = await namesOf(keys, laid);
    await lay(
      laid,
      damaged.filter((name) => !anew.has(hex(new Uint8Array(name as ArrayBuffer)))),
    );
    this.fill(laid.filter(({ table }) => table === "position"));
    this.tellTorn(false);
    return [...stay, ...laid.filter(({ table, row }) => table === "record" && row)];
  }

  /**
   * Of `records`, those that opened: which of them stay, and what is to be laid (without a row: taken from it).
   * Throws Misuse `no_home`: then nothing is to be changed.
   */
  private async mendedFrom(
    records: readonly Written[],
  ): Promise<{ readonly stay: Written[]; readonly laid: Written[] }> {
    const rows = new Map(records.map((one) => [`${one.owner} ${one.key}`, one.row as KeptRecord]));
    const ends = [...this.rowsOf("position")].map(({ owner, key, row }): LogEnd => {
      return { owner: owner as Hex, stream: key as Hex, position: row as Position };
    });
    const torn = tornLogs(ends, ({ owner, stream }, index) => rows.get(`${owner}/${stream} ${index}`));
    if (torn.length > 0 && !this.mend) throw stays();
    const cases = this.cases().map(
      (row) => [hex(row.case), { row, secrets: this.roomSecrets(row.case) }] as const,
    );
    const mended = (await this.mend?.(torn, new Map(cases))) ?? [];
    const forgotten = new Set<string>();
    const laid: Written[] = [];
    for (const { owner, stream, position, records: whole } of mended) {
      const of = `${owner}/${stream}`;
      for (const row of whole ?? []) laid.push({ table: "record", owner: of, key: `${row.index}`, row });
      laid.push({ table: "position", owner, key: stream, row: whole ? position : undefined });
      // Chains from before another base would say that what was folded then goes on here.
      const before = torn.find((end) => end.owner === owner && end.stream === stream);
      if (!whole || position.base !== before?.position.base) forgotten.add(of);
    }
    const anew = new Set(laid.map(({ owner, key }) => `${owner} ${key}`));
    const gone = records.filter(({ owner, key }) => forgotten.has(owner) && !anew.has(`${owner} ${key}`));
    laid.push(...gone.map(({ table, owner, key }) => ({ table, owner, key, row: undefined })));
    return { stay: records.filter((one) => !forgotten.has(one.owner)), laid };
  }
}

export function cleared(): Misuse {
  return new Misuse("no_home", "the browser cleared what lay here");
}

export function takenOver(): Misuse {
  return new Misuse("home_locked", "the app was opened in another place on this device");
}
