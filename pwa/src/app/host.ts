/** The leading tab's engine: opens the store, runs the verbs, syncs in the background, locks itself after a while. */
import { Misuse } from "../core/errors";
import { Device } from "../core/library";
import { HttpTransport } from "../core/transport";
import type { Bytes } from "../crypto/kdf";
import type { Change, LockState } from "./engine";
import { IndexedStore } from "./indexed-store";
import { LocalEngine } from "./local-engine";
import { readAnew } from "./mending";
import type { Loss } from "./mending-rows";
import { type Answer, BESIDE, type Call, type Home, isVerb, type Verb, WRITES } from "./messages";
import { troubleOf } from "./plain";
import { FIRST, type Profile, placeOf, profiles, SIGNS } from "./profiles";
import { Quiet } from "./quiet";
import { type Watched, Watching } from "./watching";

/** A person's pause in typing: the first letter goes at once, those of the next moment as one record. */
const SEND_AFTER_MS = 250;
const MINUTE_MS = 60_000;
/** The page wakes every 20 seconds: after this long without, nobody looks, and the connections end. */
const UNLOOKED_AFTER_MS = 70_000;
/** A relay that says nothing may hide something: asking finds out. */
const ASK_ANYWAY_MS = 2 * MINUTE_MS;
/** What only a person does. Screens read again by themselves with each sync, so reading says nothing about who is there. */
const BY_HAND: ReadonlySet<string> = new Set<Verb>([...WRITES, "touch"]);
/**
 * What reads nothing but what is shown, or sees to the rest itself: of all others the records are read first, and the charter
 * stands on them.
 */
const SHOWN: ReadonlySet<string> = new Set<Verb>([
  "cases",
  "people",
  "show",
  "readers",
  "status",
  "views",
  "moving",
]);

export class Host implements Home {
  private engine: LocalEngine | undefined;
  private sending: ReturnType<typeof setTimeout> | undefined;
  /** By case: what goes out live in a moment, and when that was last so. */
  private readonly leaving = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly left = new Map<string, number>();
  private locking: ReturnType<typeof setTimeout> | undefined;
  private syncing: Promise<unknown> | undefined;
  private watching: Watching | undefined;
  private unlooked: ReturnType<typeof setTimeout> | undefined;
  private readonly quiet = new Quiet();
  /** Whether what nobody waits for was begun, since the store was opened. */
  private isUnderWay = false;
  /** When all was last asked for. */
  private asked = 0;
  /** A phone that slept wakes its timers late. */
  private lockAt = Number.POSITIVE_INFINITY;

  private constructor(
    private store: IndexedStore,
    private readonly place: string,
    private readonly ownRelay: string,
    private readonly tell: (change: Change) => void,
    private readonly engineReady: () => Promise<void>,
  ) {
    this.keepTo(store);
  }

  private keepTo(store: IndexedStore): void {
    this.store = store;
    store.onCleared = () => this.tell({ case: null, part: null });
    store.onTorn = store.onCleared;
    store.mend = (torn, cases) => readAnew(torn, cases, (relay) => new HttpTransport(relay));
  }

  static async open(
    ownRelay: string,
    tell: (change: Change) => void,
    profile: Profile = FIRST,
    engineReady: () => Promise<void> = async () => {},
  ): Promise<Host> {
    const place = placeOf(profile);
    const host = new Host(await IndexedStore.open(place, true), place, ownRelay, tell, engineReady);
    if (!host.store.locked) host.begin();
    return host;
  }

  private begin(): void {
    const { engineReady } = this;
    const device = new Device(this.store, (relay) => new HttpTransport(relay), { engineReady });
    this.isUnderWay = false;
    this.engine = new LocalEngine(device, {
      ownRelay: this.ownRelay,
      changed: (what) => this.sendSoon(what),
    });
    this.engine.subscribe(this.tell);
    this.watching = new Watching(device, {
      ring: (what) => this.news(what),
      show: (case_) => this.engine?.heard(case_),
    });
    this.asked = 0;
    void this.wake();
  }

  /** Another tab took over. */
  async end(): Promise<void> {
    clearTimeout(this.sending);
    clearTimeout(this.locking);
    this.rest();
    this.engine = undefined;
    await this.store.close().catch(() => undefined);
  }

  async answer(call: Call): Promise<Answer> {
    return BESIDE.has(call.verb) ? this.answered(call) : this.quiet.during(() => this.answered(call));
  }

  private async answered({ id, verb, args }: Call): Promise<Answer> {
    try {
      if (!isVerb(verb)) throw new Misuse("bad_argument", "no such verb");
      if (Date.now() >= this.lockAt) await this.lock();
      if (BY_HAND.has(verb)) await this.touch();
      const at = verb in Host.prototype ? this : this.engine;
      if (!at) throw new Misuse("home_locked", "this device is locked");
      if (at !== this && !SHOWN.has(verb)) await this.engine?.device.stand();
      const work = (at as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>)[verb];
      return { id, ok: true, value: await work?.apply(at, [...args]) };
    } catch (error) {
      return { id, ok: false, ...troubleOf(error) };
    }
  }

  // --- the lock

  async lockState(): Promise<LockState> {
    if (this.store.locked) return "locked";
    if (this.store.cleared) return "cleared";
    if (this.store.torn) return "torn";
    return this.store.hasPin ? "unlocked" : "open";
  }

  async lock(): Promise<void> {
    clearTimeout(this.sending);
    clearTimeout(this.locking);
    this.lockAt = Number.POSITIVE_INFINITY;
    await this.store.lock();
    this.rest();
    // The sessions hold keys and words too: nothing may lead to them any more.
    this.engine = undefined;
    this.tell({ case: null, part: null });
  }

  async unlock(pin: string): Promise<void> {
    await this.store.unlock(pin);
    await this.unlocked();
  }

  async unlockWithPasskey(secret: Uint8Array): Promise<void> {
    await this.store.unlockWithPasskey(new Uint8Array(secret));
    await this.unlocked();
  }

  private async unlocked(): Promise<void> {
    if (!this.engine) this.begin();
    await this.touch();
    this.tell({ case: null, part: null });
  }

  async wipe(): Promise<void> {
    // Whoever can open it ends each case in its own place, and hears what that takes.
    if (!this.store.locked) throw new Misuse("not_permitted", "only a place that is locked is emptied");
    await this.store.wipe();
    this.keepTo(await IndexedStore.open(this.place, true));
    this.begin();
    this.tell({ case: null, part: null });
  }

  async setPin(pin: string | null): Promise<void> {
    if (pin === null && (await profiles()).length > 1) {
      throw new Misuse("not_permitted", "somebody else uses this device too: a PIN has to stay");
    }
    await this.store.setPin(pin);
    await this.touch();
  }

  async autoLockMinutes(): Promise<number> {
    return this.store.autoLockMinutes;
  }

  async setAutoLockMinutes(minutes: number): Promise<void> {
    await this.store.setAutoLockMinutes(minutes);
    await this.touch();
  }

  async passkey(): Promise<{ credential: Uint8Array; asked: Uint8Array } | null> {
    return this.store.passkey();
  }

  async addPasskey(
    pin: string,
    made: { credential: Uint8Array; asked: Uint8Array; secret: Uint8Array },
  ): Promise<void> {
    const [credential, asked, secret] = [made.credential, made.asked, made.secret].map(
      (one) => new Uint8Array(one),
    ) as [Bytes, Bytes, Bytes];
    await this.store.addPasskey(pin, { credential, asked, secret });
  }

  async removePasskey(): Promise<void> {
    await this.store.removePasskey();
  }

  // --- the places of others

  async profiles(): Promise<Profile[]> {
    return profiles();
  }

  async addProfile(): Promise<Profile> {
    if (this.store.locked) throw new Misuse("home_locked", "this device is locked");
    if (!this.store.hasPin) throw new Misuse("not_permitted", "lock the own place first");
    const there = await profiles();
    const free = SIGNS.find((sign) => !there.includes(sign));
    if (!free) throw new Misuse("no_home", "there is no place left on this device");
    await (await IndexedStore.open(placeOf(free))).close();
    return free;
  }

  async layBack(): Promise<void> {
    await this.store.layBack();
    this.tell({ case: null, part: null });
  }

  async losses(): Promise<Loss[]> {
    return this.store.locked ? [] : this.store.losses();
  }

  async dismissLosses(): Promise<void> {
    await this.store.dismissLosses();
    this.tell({ case: null, part: null });
  }

  /** A person is there: the time until it locks itself begins again. */
  async touch(): Promise<void> {
    clearTimeout(this.locking);
    this.lockAt = Number.POSITIVE_INFINITY;
    if (this.store.locked || !this.store.hasPin) return;
    const minutes = this.store.autoLockMinutes;
    this.lockAt = Date.now() + minutes * MINUTE_MS;
    this.locking = setTimeout(() => void this.lock().catch(() => undefined), minutes * MINUTE_MS);
  }

  // --- sync

  /**
   * The page says this again and again while somebody looks at it, and when the network comes or goes. Where news are heard
   * there is little to ask; but a connection may live on while sending fails, so what waits is tried again.
   */
  async wake(network?: "back" | "gone"): Promise<void> {
    if (network === "gone") {
      this.watching?.lose();
      this.asked = 0;
    }
    clearTimeout(this.unlooked);
    this.unlooked = setTimeout(() => {
      this.watching?.end();
      this.asked = 0; // whoever looks again sees the present at once
    }, UNLOOKED_AFTER_MS);
    const isFresh = this.watching?.isWhole === true && Date.now() - this.asked < ASK_ANYWAY_MS;
    if (isFresh && network === undefined && (await this.engine?.status())?.unsent === 0) return;
    await this.syncAll();
  }

  private async syncAll(): Promise<void> {
    // One at a time: on a bad line the next knock would only queue behind the one that hangs.
    this.syncing ??= this.afterFirstScreen()
      .then(() => this.engine?.device.stand())
      .then(() => this.engine?.sync())
      .then(() => {
        this.asked = Date.now();
        return this.watching?.adjust();
      })
      .catch(() => undefined) // offline is normal; what a person must know is in `status`
      .finally(() => {
        this.syncing = undefined;
      });
    await this.syncing;
  }

  /** On a slow phone the first screen and a sync at once are both late. */
  private async afterFirstScreen(): Promise<void> {
    if (this.isUnderWay) return;
    await this.quiet.wait();
    if (this.isUnderWay) return;
    this.isUnderWay = true;
    void this.prepare().catch(() => undefined);
  }

  /** Opens what was only shown so far, one part after the other: so the first word need not wait for it. */
  private async prepare(): Promise<void> {
    const { engine } = this;
    await this.quiet.wait();
    await engine?.device.stand();
    for (const { session } of (await engine?.device.cases()) ?? []) {
      for (const part of session.toPrepare()) {
        await this.quiet.wait();
        if (this.engine !== engine) return;
        await session.inTurn(() => session.opened(part));
      }
    }
  }

  /** Something came: only that case, or that view, is asked for. */
  private news({ kind, id }: Watched): void {
    const { engine, watching } = this;
    const asked = kind === "case" ? engine?.sync(id) : engine?.lookAgain(id);
    void asked?.then(() => watching?.adjust()).catch(() => undefined);
  }

  /** Nobody looks any more, or this tab leads no more. */
  private rest(): void {
    clearTimeout(this.unlooked);
    for (const timer of this.leaving.values()) clearTimeout(timer);
    this.leaving.clear();
    this.watching?.end();
    this.watching = undefined;
  }

  private sendSoon({ case: case_, part }: Change): void {
    if (case_ !== null && part !== null && this.watching?.isUp(case_)) this.sendLive(case_);
    else this.syncSoon();
  }

  /** Words go over the connection that stands, as one frame and without reading; what that cannot do, a sync does. */
  private sendLive(case_: string): void {
    if (this.leaving.has(case_)) return;
    const since = Date.now() - (this.left.get(case_) ?? 0);
    // A clock that was put back must not make anybody wait.
    const wait = since >= 0 && since < SEND_AFTER_MS ? SEND_AFTER_MS - since : 0;
    const send = async (): Promise<void> => {
      this.leaving.delete(case_);
      this.left.set(case_, Date.now());
      if (await this.watching?.send(case_).catch(() => false)) this.engine?.sent(case_);
      else this.syncSoon();
    };
    this.leaving.set(
      case_,
      setTimeout(() => void send(), wait),
    );
  }

  private syncSoon(): void {
    clearTimeout(this.sending);
    this.sending = setTimeout(() => {
      // What was written while a sync ran may have missed it.
      const running = this.syncing;
      void (running ? running.then(() => this.syncAll()) : this.syncAll());
    }, SEND_AFTER_MS);
  }
}
