/** The lock in front of what lies on this device: a PIN, and a passkey beside it. What it is worth says `store-keys`. */
import { Misuse } from "../core/errors";
import type { Bytes } from "../crypto/kdf";
import { MendingStore } from "./mending-store";
import {
  openLock,
  openWithPasskey,
  type Passkey,
  type PasskeyLock,
  type PinLock,
  type StoreKeys,
  withPasskey,
  wrongPin,
} from "./store-keys";

/** Of the keys without a PIN, and of the lock with one: never both. */
export const DEVICE = "device";
export const LOCK = "lock";
const PASSKEY = "passkey";
export const AUTO_LOCK = "auto lock";
const AUTO_LOCK_MINUTES = 5;

export abstract class LockedStore extends MendingStore {
  protected keys: StoreKeys | undefined;
  /** What lies on the disk of keys and lock: should it be cleared under us, it is laid there again. */
  protected kept = new Map<string, unknown>();

  /** Undefined takes it away. */
  protected abstract keepKey(key: string, value: unknown): Promise<void>;
  protected abstract load(keys: StoreKeys): Promise<void>;
  protected abstract forget(): void;

  get locked(): boolean {
    return this.keys === undefined;
  }

  get hasPin(): boolean {
    return this.kept.has(LOCK);
  }

  /** Forgets keys and content; what lies on the disk needs the PIN again. `not_permitted` where there is none. */
  async lock(): Promise<void> {
    if (!this.hasPin) throw new Misuse("not_permitted", "no PIN is set on this device");
    if (this.keys) await this.settled();
    this.forget();
  }

  /** Throws `bad_code` for a wrong PIN, `slow_down` after too many. */
  async unlock(pin: string): Promise<void> {
    const keys = await this.tried(pin, async (lock) => {
      const { keys, lock: after } = await openLock(lock, pin, Date.now());
      return [keys, after];
    });
    if (!this.keys && keys) await this.load(keys);
  }

  /** Nothing where there is no PIN. Throws as `unlock`. */
  private async tried<T>(
    pin: string,
    work: (lock: PinLock) => Promise<[T | undefined, PinLock]>,
  ): Promise<T | undefined> {
    const lock = this.kept.get(LOCK) as PinLock | undefined;
    if (!lock) return undefined;
    // No try at all: nothing is counted, and Argon2 takes no empty password.
    if (pin === "") throw wrongPin();
    // Counted before it is known whether it is right: closing the tab in between must not give a free try.
    await this.keepKey(LOCK, { ...lock, tries: lock.tries + 1 });
    const [found, after] = await work(lock).catch(async (error: unknown) => {
      await this.keepKey(LOCK, lock);
      throw error;
    });
    await this.keepKey(LOCK, after);
    if (found === undefined) throw wrongPin();
    return found;
  }

  /** What to ask the authenticator for; null where no passkey is laid beside the PIN. */
  passkey(): { readonly credential: Bytes; readonly asked: Bytes } | null {
    const found = this.kept.get(PASSKEY) as PasskeyLock | undefined;
    return found ? { credential: found.credential, asked: found.asked } : null;
  }

  /** Lays a passkey beside the PIN. Throws `not_permitted` where there is none, and as `unlock` for a wrong one. */
  async addPasskey(pin: string, made: Passkey): Promise<void> {
    this.check();
    if (!this.hasPin) throw new Misuse("not_permitted", "a passkey stands beside a PIN");
    const passkey = await this.tried(pin, async (lock) => {
      const { passkey, lock: after } = await withPasskey(lock, pin, Date.now(), made);
      return [passkey, after];
    });
    await this.keepKey(PASSKEY, passkey);
  }

  async removePasskey(): Promise<void> {
    this.check();
    await this.keepKey(PASSKEY, undefined);
  }

  /** Throws `bad_code` where it is the answer of another passkey. */
  async unlockWithPasskey(answered: Bytes): Promise<void> {
    const lock = this.kept.get(PASSKEY) as PasskeyLock | undefined;
    const keys = lock && (await openWithPasskey(lock, answered));
    if (!keys) throw wrongPin();
    const pin = this.kept.get(LOCK) as PinLock;
    await this.keepKey(LOCK, { ...pin, tries: 0, wait: 0 });
    if (!this.keys) await this.load(keys);
  }

  /** After how long without a touch it locks itself, where there is a PIN. */
  get autoLockMinutes(): number {
    return (this.kept.get(AUTO_LOCK) as number | undefined) ?? AUTO_LOCK_MINUTES;
  }

  async setAutoLockMinutes(minutes: number): Promise<void> {
    this.check();
    if (!(minutes >= 1 && minutes <= 60)) throw new Misuse("bad_value", "1 to 60 minutes");
    await this.keepKey(AUTO_LOCK, minutes);
  }
}
