/**
 * The device's store in the browser: memory in front, IndexedDB behind it, one transaction for each step, or for those that
 * waited for the disk together.
 *
 * At rest everything is encrypted, and rows are called by an HMAC of their place, so that whoever reads the browser's
 * files sees how many rows there are and how long they are, and nothing else. `store-keys` says what that is worth. Only
 * one tab opens it at a time (`leader`): two would answer from two memories.
 */
import { deleteDB, type IDBPDatabase } from "idb";
import { Misuse } from "../core/errors";
import { hex, same } from "../core/ids";
import type { Bytes } from "../crypto/kdf";
import { AUTO_LOCK, DEVICE, LOCK, LockedStore } from "./locked-store";
import type { Place, Rows, Table, Written } from "./memory-store";
import { cleared, type Lies, takenOver } from "./mending-store";
import {
  allOpened,
  allSealed,
  bytesOf,
  database,
  KEYS,
  LARGE,
  light,
  RECORDS,
  ROWS,
  tableOf,
} from "./store-disk";
import { freshKeys, isKeys, lockedKeys, openRow, type StoreKeys, sealedName } from "./store-keys";

/** Which of all openings may write: the last one. */
const OWNER = "owner";

export class IndexedStore extends LockedStore {
  private readonly opening = crypto.randomUUID();
  private emptied = false;
  private gone = false;
  /** While the records are read; and whether they were. */
  private reading: Promise<void> | undefined;
  private hasRecords = false;

  private constructor(
    private readonly name: string,
    private db: IDBPDatabase,
    private readonly isHurried: boolean,
  ) {
    super();
  }

  /**
   * Opens what is on this device; where a PIN is set it is locked until `unlock`. Throws `no_home`, and `future_version`
   * where a newer app wrote it. `isHurried`: without the records, until somebody asks for the `whole`.
   */
  static async open(name = "eigenkring", isHurried = false): Promise<IndexedStore> {
    const store = new IndexedStore(
      name,
      await database(
        name,
        () => store.ended(),
        () => store.giveWay(),
      ),
      isHurried,
    );
    const lies = await store.takeOver();
    if (store.kept.has(LOCK)) return store;
    const found = store.kept.get(DEVICE);
    const keys = isKeys(found) ? found : await freshKeys();
    if (keys !== found) await store.keepKey(DEVICE, keys);
    await store.load(keys, lies);
    return store;
  }

  /**
   * From now on this opening writes. Gives what lies here, in the same transaction: between the two another opening could
   * write. And a slow phone waits at each transaction.
   */
  private async takeOver(): Promise<Lies> {
    const change = this.db.transaction([ROWS, KEYS], "readwrite");
    const [table, rows] = [change.objectStore(KEYS), change.objectStore(ROWS)];
    const [places, kept, names, values] = await Promise.all([
      table.getAllKeys(),
      table.getAll(),
      rows.getAllKeys(),
      rows.getAll(),
      table.put(this.opening, OWNER),
      change.done,
    ]);
    for (const [at, key] of places.entries()) if (key !== OWNER) this.kept.set(key as string, kept[at]);
    return [names, values];
  }

  protected override forget(): void {
    this.keys = undefined;
    this.reading = undefined;
    this.hasRecords = false;
    this.empty();
  }

  /**
   * Sets the PIN, or with null takes it away. Everything is encrypted again under fresh keys: the old ones lay on the
   * disk, and would open what is written from now on. A passkey that lay beside the old PIN goes with it.
   */
  async setPin(pin: string | null): Promise<void> {
    await this.whole();
    if (pin !== null && [...pin].length < 4) {
      throw new Misuse("bad_value", "a PIN has at least four signs");
    }
    const { keys, lock } =
      pin === null ? { keys: await freshKeys(), lock: undefined } : await lockedKeys(pin);
    const kept = new Map([...this.kept].filter(([key]) => key === AUTO_LOCK));
    kept.set(lock ? LOCK : DEVICE, lock ?? keys);
    await this.inTurn(() => this.layAll(keys, kept));
  }

  /** Takes away all that lies here, also where nobody knows the PIN. This opening is over. */
  async wipe(): Promise<void> {
    this.gone = true;
    this.forget();
    this.db.close();
    await deleteDB(this.name);
  }

  override async close(): Promise<void> {
    await super.close();
    this.db.close();
  }

  protected override check(table?: Table): void {
    if (!this.keys) throw new Misuse("home_locked", "this device is locked");
    // No log at all would be the worst answer: the relay's would look like another one.
    if (table === "record" && !this.hasRecords) throw new Error("the records were not read yet");
  }

  override get isWhole(): boolean {
    return this.hasRecords;
  }

  override async whole(): Promise<void> {
    this.check();
    if (this.hasRecords) return;
    this.reading ??= this.readRecords().finally(() => {
      this.reading = undefined;
    });
    await this.reading;
  }

  private async readRecords(): Promise<void> {
    const { keys } = this;
    if (!keys) return;
    const rows = await this.recordsOnDisk(keys);
    // It was locked meanwhile.
    if (this.keys !== keys) return this.check();
    this.hasRecords = true;
    this.fill(rows);
  }

  private async recordsOnDisk(keys: StoreKeys): Promise<Written[]> {
    const lies = await this.lying(RECORDS).catch(() => {
      throw cleared();
    });
    const mended = () => this.madeWhole(keys, lies, (rows, gone) => this.layMended(rows, RECORDS, gone));
    const rows = await allOpened(keys, ...lies).catch(mended);
    const positions = this.withPositions(rows);
    if (positions.length > 0) void this.layMended(positions, RECORDS, []).catch(() => {});
    return rows;
  }

  private async lying(name: string): Promise<Lies> {
    const table = this.db.transaction(name).store;
    return Promise.all([table.getAllKeys(), table.getAll()]);
  }

  private layMended(rows: readonly Written[], table: string, gone: readonly IDBValidKey[]): Promise<void> {
    return this.inTurn(async () => {
      await this.keep(rows);
      // Last: while a damaged one lies there, all of this is begun anew.
      const change = await this.transaction();
      for (const name of gone) void change.objectStore(table).delete(name);
      await change.done;
    });
  }

  protected override async keep(written: readonly Written[]): Promise<void> {
    const { keys } = this;
    if (!keys) throw new Misuse("home_locked", "this device is locked");
    // Encrypted first: a transaction of IndexedDB ends by itself while it waits for anything else.
    // One that lies on the disk only stays there.
    const large = written.filter(
      ({ table, row }) => table === "large" && (row as Rows["large"])?.value !== null,
    );
    const [rows, pieces] = await Promise.all([allSealed(keys, written.map(light)), allSealed(keys, large)]);
    const change = await this.transaction();
    const lay = (name: string, { name: key, value }: (typeof rows)[number]): void => {
      const table = change.objectStore(name);
      if (value) void table.put(value, key);
      else void table.delete(key);
    };
    for (const [at, row] of rows.entries()) lay(tableOf(written[at] as Written), row);
    for (const piece of pieces) lay(LARGE, piece);
    await change.done;
    if (this.keys === keys) for (const one of large) if (one.row) this.lighten(one);
  }

  protected override async fetched(place: Place): Promise<Uint8Array | undefined> {
    await this.settled();
    return this.onDisk(place);
  }

  private async onDisk({ table, owner, key }: Place): Promise<Uint8Array | undefined> {
    const { keys } = this;
    if (!keys) return undefined;
    try {
      const name = await sealedName(keys, [table, owner, key]);
      const found = (await this.db.get(LARGE, name)) as Bytes | undefined;
      const row = found && ((await openRow(keys, name, found)) as unknown[])[3];
      return (row as Map<string, Uint8Array> | undefined)?.get("value");
    } catch {
      // Damaged, or cleared under us: whoever asks has another way.
      return undefined;
    }
  }

  /** Undefined takes it away. */
  protected override async keepKey(key: string, value: unknown): Promise<void> {
    const before = this.kept.get(key);
    const set = (one: unknown): unknown =>
      one === undefined ? this.kept.delete(key) : this.kept.set(key, one);
    set(value);
    try {
      const change = await this.transaction();
      const table = change.objectStore(KEYS);
      if (value === undefined) table.delete(key);
      else table.put(value, key);
      await change.done;
    } catch (error) {
      set(before);
      throw error;
    }
  }

  /**
   * To write, if this is still the opening that may. A tab that the system froze and woke up does not know that another
   * one took over meanwhile; with two memories on one disk it would make a change a second time.
   */
  private async transaction() {
    const change = this.writing();
    const owner = await change.objectStore(KEYS).get(OWNER);
    if (owner === this.opening) return change;
    change.abort();
    await change.done.catch(() => undefined);
    this.emptied ||= owner === undefined;
    throw this.emptied ? cleared() : takenOver();
  }

  private writing() {
    if (this.gone) throw takenOver();
    try {
      return this.db.transaction([ROWS, RECORDS, LARGE, KEYS], "readwrite", { durability: "strict" });
    } catch {
      // The browser closed the file under us.
      this.emptied = true;
      throw cleared();
    }
  }

  /** All that is in memory, in the place of all that lies on the disk. */
  private async layAll(keys: StoreKeys, kept: Map<string, unknown>): Promise<void> {
    const all = [...this.everything()];
    const rows = await allSealed(keys, all.map(light));
    const pieces = await allSealed(keys, await this.largeOf(all));
    const change = this.writing();
    const owner = await change.objectStore(KEYS).get(OWNER);
    if (owner !== this.opening && !(owner === undefined && this.emptied)) {
      change.abort();
      await change.done.catch(() => undefined);
      throw takenOver();
    }
    for (const table of [ROWS, RECORDS, LARGE, KEYS]) change.objectStore(table).clear();
    for (const [at, { name, value }] of rows.entries())
      change.objectStore(tableOf(all[at] as Written)).put(value, name);
    for (const { name, value } of pieces) change.objectStore(LARGE).put(value, name);
    for (const [key, value] of [...kept, [OWNER, this.opening] as const])
      change.objectStore(KEYS).put(value, key);
    await change.done;
    this.keys = keys;
    this.kept = kept;
    this.emptied = false;
  }

  /** The large ones with what they hold, as far as it is there. */
  private async largeOf(all: readonly Written[]): Promise<Written[]> {
    const found: Written[] = [];
    for (const one of all) {
      if (one.table !== "large") continue;
      const value = (one.row as Rows["large"]).value ?? (await this.onDisk(one));
      if (value) found.push({ ...one, row: { value } });
    }
    return found;
  }

  // --- when what lay here is gone

  /** The browser threw away what lay here while the app ran: what can still be read lies in memory alone. */
  get cleared(): boolean {
    return this.emptied && !this.locked;
  }

  /** A newer app in another window wants the store in its own way, and cannot have it while this one holds it. */
  private giveWay(): void {
    this.gone = true;
    this.db.close();
  }

  /** Is told when it happens. */
  onCleared: () => void = () => {};

  private ended(): void {
    this.emptied = true;
    this.onCleared();
  }

  /**
   * Lays there again what this memory holds. Only when the person says so: it may have been this person who cleared it, to
   * leave no trace.
   */
  async layBack(): Promise<void> {
    this.check();
    if (!this.cleared || !this.keys) return;
    // Cleared in the first second, before they were read: without them the rest says of streams what is not so.
    if (!this.hasRecords) throw cleared();
    this.db.close();
    this.db = await database(
      this.name,
      () => this.ended(),
      () => this.giveWay(),
    );
    const { keys, kept } = this;
    await this.mended(() => this.layAll(keys, kept));
  }

  protected override async load(keys: StoreKeys, lies?: Lies): Promise<void> {
    const [names, values] = lies ?? (await this.lying(ROWS));
    const rows = await allOpened(keys, names, values).catch(() => undefined);
    if (!rows) return this.loadMended(keys, [names, values]);
    this.fill(rows);
    this.keys = keys;
    if (!this.isHurried) await this.whole();
    const early = rows.flatMap((row, at) => (tableOf(row) === ROWS ? [] : [at]));
    if (early.length === 0) return;
    // Of an earlier version, which laid all in one table: moved as they are, because a row is sealed for its name alone.
    this.hasRecords = true;
    void this.inTurn(async () => {
      const change = await this.transaction();
      for (const at of early) {
        void change.objectStore(RECORDS).put(values[at], names[at]);
        void change.objectStore(ROWS).delete(names[at] as IDBValidKey);
      }
      await change.done;
    }).catch(() => {});
  }

  private async loadMended(keys: StoreKeys, lies: Lies): Promise<void> {
    const pieces = new Set((await this.db.getAllKeys(LARGE)).map((name) => hex(bytesOf(name))));
    const { rows, laid, gone } = await this.mendedRows(keys, lies, (name) => pieces.has(hex(name)));
    this.fill([...rows, ...laid]);
    this.keys = keys;
    await this.layMended(laid, ROWS, gone);
    if (!this.isHurried) await this.whole();
  }

  /** What cannot be read again was read about: no more is said of it. */
  async dismissLosses(): Promise<void> {
    this.check();
    const torn = await this.losesSight();
    await this.inTurn(async () => {
      const change = await this.transaction();
      const rows = change.objectStore(ROWS);
      for (const { name, value } of torn) {
        // Another row may lie there by now: of a case somebody came back to.
        if (isSame(await rows.get(name), value)) void rows.delete(name);
      }
      await change.done;
    });
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return one instanceof Uint8Array && other instanceof Uint8Array
    ? same(one, other)
    : typeof one === typeof other;
}
