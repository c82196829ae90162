/**
 * The device's store in the browser: memory in front, IndexedDB behind it, one transaction for each step.
 *
 * At rest everything is encrypted, and rows are called by an HMAC of their place, so that whoever reads the browser's
 * files sees how many rows there are and how long they are, and nothing else. `store-keys` says what that is worth. Only
 * one tab opens it at a time (`leader`): two would answer from two memories.
 */
import { type IDBPDatabase, openDB } from "idb";
import { Misuse } from "../core/errors";
import type { Packable } from "../core/packed";
import type { Bytes } from "../crypto/kdf";
import { MemoryStore, type Rows, type Table, type Written } from "./memory-store";
import {
  freshKeys,
  lockedKeys,
  openLock,
  openRow,
  type PinLock,
  type StoreKeys,
  sealedName,
  sealRow,
  wrongPin,
} from "./store-keys";

const VERSION = 1;
const ROWS = "rows";
const KEYS = "keys";
/** Of the keys without a PIN, and of the lock with one: never both. */
const DEVICE = "device";
const LOCK = "lock";
/** Which of all openings may write: the last one. */
const OWNER = "owner";
const AUTO_LOCK = "auto lock";
const AUTO_LOCK_MINUTES = 5;

export class IndexedStore extends MemoryStore {
  private keys: StoreKeys | undefined;
  private readonly opening = crypto.randomUUID();

  private constructor(private readonly db: IDBPDatabase) {
    super();
  }

  /** Opens what is on this device; where a PIN is set it is locked until `unlock`. Throws `no_home`. */
  static async open(name = "eigenkring"): Promise<IndexedStore> {
    let db: IDBPDatabase;
    try {
      db = await openDB(name, VERSION, {
        upgrade(fresh) {
          fresh.createObjectStore(ROWS);
          fresh.createObjectStore(KEYS);
        },
      });
    } catch {
      // Private windows of some browsers, a full disk, or a store that a newer app wrote.
      throw new Misuse("no_home", "this browser does not keep anything for the app");
    }
    const store = new IndexedStore(db);
    await db.put(KEYS, store.opening, OWNER);
    if (await db.get(KEYS, LOCK)) return store;
    let keys: StoreKeys | undefined = await db.get(KEYS, DEVICE);
    if (!keys) {
      keys = await freshKeys();
      await db.put(KEYS, keys, DEVICE);
    }
    await store.load(keys);
    return store;
  }

  get locked(): boolean {
    return this.keys === undefined;
  }

  async hasPin(): Promise<boolean> {
    return (await this.db.get(KEYS, LOCK)) !== undefined;
  }

  /** Forgets keys and content; what lies on the disk needs the PIN again. `not_permitted` where there is none. */
  async lock(): Promise<void> {
    if (!(await this.hasPin())) throw new Misuse("not_permitted", "no PIN is set on this device");
    if (this.keys) await this.settled();
    this.keys = undefined;
    this.empty();
  }

  /** Throws `bad_code` for a wrong PIN, `slow_down` after too many. */
  async unlock(pin: string): Promise<void> {
    const lock: PinLock | undefined = await this.db.get(KEYS, LOCK);
    if (!lock) return;
    // No try at all: nothing is counted, and Argon2 takes no empty password.
    if (pin === "") throw wrongPin();
    // Counted before it is known whether it is right: closing the tab in between must not give a free try.
    await this.db.put(KEYS, { ...lock, tries: lock.tries + 1 }, LOCK);
    const tried = await openLock(lock, pin, Date.now());
    await this.db.put(KEYS, tried.lock, LOCK);
    if (!tried.keys) throw wrongPin();
    if (!this.keys) await this.load(tried.keys);
  }

  /**
   * Sets the PIN, or with null takes it away. Everything is encrypted again under fresh keys: the old ones lay on the
   * disk, and would open what is written from now on.
   */
  async setPin(pin: string | null): Promise<void> {
    this.check();
    if (pin !== null && [...pin].length < 4) {
      throw new Misuse("bad_value", "a PIN has at least four signs");
    }
    const { keys, lock } =
      pin === null ? { keys: await freshKeys(), lock: undefined } : await lockedKeys(pin);
    await this.inTurn(async () => {
      const rows = await Promise.all([...this.everything()].map((row) => sealed(keys, row)));
      const change = await this.transaction();
      const table = change.objectStore(ROWS);
      await table.clear();
      for (const { name, value } of rows) table.put(value, name);
      change.objectStore(KEYS).put(lock ?? keys, lock ? LOCK : DEVICE);
      change.objectStore(KEYS).delete(lock ? DEVICE : LOCK);
      await change.done;
      this.keys = keys;
    });
  }

  /** After how long without a touch it locks itself, where there is a PIN. */
  async autoLockMinutes(): Promise<number> {
    return (await this.db.get(KEYS, AUTO_LOCK)) ?? AUTO_LOCK_MINUTES;
  }

  async setAutoLockMinutes(minutes: number): Promise<void> {
    this.check();
    if (!(minutes >= 1 && minutes <= 60)) throw new Misuse("bad_value", "1 to 60 minutes");
    await this.db.put(KEYS, minutes, AUTO_LOCK);
  }

  override async close(): Promise<void> {
    await super.close();
    this.db.close();
  }

  protected override check(): void {
    if (!this.keys) throw new Misuse("home_locked", "this device is locked");
  }

  protected override async keep(written: readonly Written[]): Promise<void> {
    const { keys } = this;
    if (!keys) throw new Misuse("home_locked", "this device is locked");
    // Encrypted first: a transaction of IndexedDB ends by itself while it waits for anything else.
    const rows = await Promise.all(written.map((row) => sealed(keys, row)));
    const change = await this.transaction();
    const table = change.objectStore(ROWS);
    for (const { name, value } of rows) {
      if (value) table.put(value, name);
      else table.delete(name);
    }
    await change.done;
  }

  /**
   * To write, if this is still the opening that may. A tab that the system froze and woke up does not know that another
   * one took over meanwhile; with two memories on one disk it would make a change a second time.
   */
  private async transaction() {
    const change = this.db.transaction([ROWS, KEYS], "readwrite", { durability: "strict" });
    if ((await change.objectStore(KEYS).get(OWNER)) === this.opening) return change;
    change.abort();
    await change.done.catch(() => undefined);
    throw new Misuse("home_locked", "the app was opened in another place on this device");
  }

  private async load(keys: StoreKeys): Promise<void> {
    const [names, values] = await Promise.all([this.db.getAllKeys(ROWS), this.db.getAll(ROWS)]);
    const opened = await Promise.all(
      values.map((value: Bytes, at) => openRow(keys, new Uint8Array(names[at] as ArrayBuffer), value)),
    );
    this.fill(
      opened.map((found) => {
        const [table, owner, key, row] = found as [Table, string, string, Map<string, unknown>];
        return { table, owner, key, row: Object.fromEntries(row) as unknown as Rows[Table] };
      }),
    );
    this.keys = keys;
  }
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
