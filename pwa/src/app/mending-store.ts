/** A store of which some records no longer open: what is missing, and how it is whole again (`mending`). */
import { Misuse } from "../core/errors";
import { type Hex, hex } from "../core/ids";
import { NO_CASE } from "../core/store";
import type { Position } from "../core/stream";
import type { Bytes } from "../crypto/kdf";
import { type KeptRecord, MemoryStore, type Written } from "./memory-store";
import { type Known, type LogEnd, type Mended, stays, tornLogs } from "./mending";
import {
  type Loss,
  lossesIn,
  type MendedRows,
  mendRows,
  positionsOf,
  TOLD,
  type TornRow,
  tornRows,
} from "./mending-rows";
import { bytesOf, namesOf, thoseThatOpen } from "./store-disk";
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
  /** Cases and views of which nobody knows here any more who this device is there: nothing of theirs is touched. */
  private readonly nobodys = new Set<string>();
  /** Positions may be lost: they are told by the records. */
  private lacksPositions = false;
  /** Rows besides records that do not open and still lie there. */
  private damaged: readonly TornRow[] = [];

  /** What is gone and does not come back by itself, until somebody has read it. */
  losses(): Loss[] {
    return lossesIn(this.fact(NO_CASE, TOLD));
  }

  /** Somebody has read it. Gives what still lies there and never opens: it may go. */
  protected async losesSight(): Promise<readonly TornRow[]> {
    const { damaged } = this;
    await this.step(() => this.putFact(NO_CASE, TOLD, null));
    this.damaged = [];
    return damaged;
  }

  /** Rows besides records, of which some do not open: those that do, and what is to be done about the others. */
  protected async mendedRows(
    keys: StoreKeys,
    [names, values]: Lies,
    pieceLies: (name: Bytes) => boolean,
  ): Promise<MendedRows & { readonly rows: Written[] }> {
    const { rows, damaged } = await thoseThatOpen(keys, names, values);
    const at = new Map(names.map((name, of) => [name, values[of] as unknown]));
    const named = damaged.map((name) => ({ name: bytesOf(name), value: at.get(name) }));
    this.damaged = await tornRows(keys, rows, named);
    const mended = mendRows(rows, this.damaged, pieceLies);
    for (const { place } of this.damaged) {
      if (place?.table === "case" || place?.table === "grant") this.nobodys.add(place.key);
      if (!place || place.table === "position") this.lacksPositions = true;
    }
    return { ...mended, rows };
  }

  /** What `records` tell of lost positions: in memory from here on. */
  protected withPositions(records: readonly Written[]): Written[] {
    if (!this.lacksPositions) return [];
    const known = new Set([...this.rowsOf("position")].map(({ owner, key }) => `${owner}/${key}`));
    const found = positionsOf(records, known);
    this.fill(found);
    this.lacksPositions = false;
    return found;
  }

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
    const positions = this.withPositions(rows);
    this.tellTorn(true);
    const { stay, laid } = await this.mendedFrom(rows);
    const anew = await namesOf(keys, laid);
    await lay(
      [...positions, ...laid],
      this.losses().includes("all") ? [] : damaged.filter((name) => !anew.has(hex(bytesOf(name)))),
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
    const ends = [...this.rowsOf("position")]
      .filter(({ owner }) => !this.nobodys.has(owner))
      .map(({ owner, key, row }): LogEnd => {
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
