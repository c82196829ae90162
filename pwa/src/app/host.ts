/** The leading tab's engine: opens the store, runs the verbs, syncs in the background, locks itself after a while. */
import { Misuse } from "../core/errors";
import { Device } from "../core/library";
import { HttpTransport } from "../core/transport";
import type { Change } from "./engine";
import { IndexedStore } from "./indexed-store";
import { LocalEngine } from "./local-engine";
import { type Answer, type Call, type Home, isVerb, type Verb, WRITES } from "./messages";
import { troubleOf } from "./plain";

/** A person's pause in typing: one exchange for a word, not for each letter. */
const SEND_AFTER_MS = 250;
const MINUTE_MS = 60_000;
/** What only a person does. Screens read again by themselves with each sync, so reading says nothing about who is there. */
const BY_HAND: ReadonlySet<string> = new Set<Verb>([...WRITES, "touch"]);

export class Host implements Home {
  private engine: LocalEngine | undefined;
  private sending: ReturnType<typeof setTimeout> | undefined;
  private locking: ReturnType<typeof setTimeout> | undefined;
  private syncing: Promise<unknown> | undefined;
  /** A phone that slept wakes its timers late. */
  private lockAt = Number.POSITIVE_INFINITY;

  private constructor(
    private readonly store: IndexedStore,
    private readonly ownRelay: string,
    private readonly tell: (change: Change) => void,
  ) {}

  static async open(ownRelay: string, tell: (change: Change) => void): Promise<Host> {
    const host = new Host(await IndexedStore.open(), ownRelay, tell);
    if (!host.store.locked) host.begin();
    return host;
  }

  private begin(): void {
    const device = new Device(this.store, (relay) => new HttpTransport(relay));
    this.engine = new LocalEngine(device, { ownRelay: this.ownRelay, changed: () => this.sendSoon() });
    this.engine.subscribe(this.tell);
    void this.wake();
  }

  /** Another tab took over. */
  async end(): Promise<void> {
    clearTimeout(this.sending);
    clearTimeout(this.locking);
    this.engine = undefined;
    await this.store.close().catch(() => undefined);
  }

  async answer({ id, verb, args }: Call): Promise<Answer> {
    try {
      if (!isVerb(verb)) throw new Misuse("bad_argument", "no such verb");
      if (Date.now() >= this.lockAt) await this.lock();
      if (BY_HAND.has(verb)) await this.touch();
      const at = verb in Host.prototype ? this : this.engine;
      if (!at) throw new Misuse("home_locked", "this device is locked");
      const work = (at as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>)[verb];
      return { id, ok: true, value: await work?.apply(at, [...args]) };
    } catch (error) {
      return { id, ok: false, ...troubleOf(error) };
    }
  }

  // --- the lock

  async lockState(): Promise<"open" | "unlocked" | "locked"> {
    if (this.store.locked) return "locked";
    return (await this.store.hasPin()) ? "unlocked" : "open";
  }

  async lock(): Promise<void> {
    clearTimeout(this.sending);
    clearTimeout(this.locking);
    this.lockAt = Number.POSITIVE_INFINITY;
    await this.store.lock();
    // The sessions hold keys and words too: nothing may lead to them any more.
    this.engine = undefined;
    this.tell({ case: null, part: null });
  }

  async unlock(pin: string): Promise<void> {
    await this.store.unlock(pin);
    if (!this.engine) this.begin();
    await this.touch();
    this.tell({ case: null, part: null });
  }

  async setPin(pin: string | null): Promise<void> {
    await this.store.setPin(pin);
    await this.touch();
  }

  autoLockMinutes(): Promise<number> {
    return this.store.autoLockMinutes();
  }

  async setAutoLockMinutes(minutes: number): Promise<void> {
    await this.store.setAutoLockMinutes(minutes);
    await this.touch();
  }

  /** A person is there: the time until it locks itself begins again. */
  async touch(): Promise<void> {
    clearTimeout(this.locking);
    this.lockAt = Number.POSITIVE_INFINITY;
    if (this.store.locked || !(await this.store.hasPin())) return;
    const minutes = await this.store.autoLockMinutes();
    clearTimeout(this.locking);
    this.lockAt = Date.now() + minutes * MINUTE_MS;
    this.locking = setTimeout(() => void this.lock().catch(() => undefined), minutes * MINUTE_MS);
  }

  // --- sync

  async wake(): Promise<void> {
    // One at a time: on a bad line the next knock would only queue behind the one that hangs.
    this.syncing ??= this.engine
      ?.sync()
      .catch(() => undefined) // offline is normal; what a person must know is in `status`
      .finally(() => {
        this.syncing = undefined;
      });
    await this.syncing;
  }

  private sendSoon(): void {
    clearTimeout(this.sending);
    this.sending = setTimeout(() => {
      // What was written while a sync ran may have missed it.
      const running = this.syncing;
      void (running ? running.then(() => this.wake()) : this.wake());
    }, SEND_AFTER_MS);
  }
}
