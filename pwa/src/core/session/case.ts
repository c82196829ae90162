/**
 * What one device knows of the charter of one case: the second half of core/eigenkring/session/case.py. What the relay
 * claims is kept apart from what it showed.
 */
import { type Entry, parseEntry } from "../charter/entry";
import { fold, signedByMember } from "../charter/rules";
import { type Charter, isHere } from "../charter/state";
import { Inadmissible } from "../errors";
import { type Chain, type Hex, hex, type StreamId, same } from "../ids";
import { EVERYONE } from "../rooms";
import { list, pack, u32, u64, unpack } from "../shape";
import type { PlacedRecord, Position } from "../stream";
import { pinnedEntries } from "../visiting";
import type { Shown } from "./astray";
import { Holding } from "./holding";
import { isSameCharter, keepCharter, loadCharter } from "./kept-charter";
import { claimedEpoch, openCharter, type SecretsByEpoch } from "./reading";

export { type Clock, notYet, type Random, type Surroundings, secretsFrom } from "./holding";

const numbersShape = list(u32);
/** Since when the relay may know the locks of before it was put back. */
export const UNREAD_SINCE = "unread since";
/** A relay that was put back knows the locks of before; the first phone of who manages them turns them. */
const LOCKS_OF_ANOTHER_DAY_SECONDS = 7 * 24 * 3600;

/** What the relay says it did with an item of the outbox: it lies at this place of this stream. */
interface Claim {
  readonly stream: StreamId;
  readonly length: number;
  readonly chain: Chain | undefined;
}

/** What one device knows of the charter of one case. */
export class CaseState extends Holding {
  private folds: Entry[] = [];
  /** The charter is as it was kept: to be shown, until its records are folded. */
  protected isOnlyShown = false;
  private standing: Promise<void> | undefined;
  /** Where the charter ended when it was last kept. */
  private keptAt: Chain | undefined;
  // Of this sync:
  /** Which of the secrets told of *everyone* to show next. */
  charterTry = 0;
  /** Appends that the relay refused. */
  refusals = 0;
  /** Items of the outbox that it says it took, by number. */
  readonly claimed = new Map<number, Claim>();
  /** Streams that were read whole, and those that are being read so. */
  readonly reread = new Set<Hex>();
  readonly astray = new Map<Hex, Shown>();
  /** Parts whose shown log begins with an old snapshot: where it ends. */
  readonly unfollowed = new Map<Hex, Position>();
  /** Parts that were not there and have not been compared since (not of this sync only). */
  readonly gone = new Set<Hex>();
  /** Streams that were read to their end, since the app began. */
  readonly answered = new Set<Hex>();
  /** Those that were in this sync, in the present generation. */
  readonly readWhole = new Set<Hex>();
  /** Seconds, by the relay's newest answer. */
  relayTime: number | null = null;
  /** Locks of before, where every key of now was refused. */
  triedLocks = false;
  /** Older keys, on a relay that may have been put back. */
  triedEarlier = false;
  /** Charter records up to here were folded. */
  private folded = 0;
  /** Charter records that nothing here opens, passed over: index to epoch. */
  private skipped = new Map<number, number>();

  // --- the charter

  get entries(): readonly Entry[] {
    if (this.isOnlyShown) throw new Error("the entries were not read yet");
    return this.folds;
  }

  /** The charter as the first screen needs it: where the records are not read yet, as it was kept. */
  async beginCharter(): Promise<void> {
    const kept = this.store.isWhole ? undefined : await loadCharter(this);
    if (!kept) {
      await this.store.whole();
      await this.foldCharter();
      return;
    }
    this.charter = kept;
    this.keptAt = this.position(this.charterStream).chain;
    this.isOnlyShown = true;
  }

  /** In the place of the one that was kept, at once: a screen that reads meanwhile must not find none. */
  private async foldAnew(): Promise<void> {
    await this.store.whole();
    const [entries, shown] = [[] as Entry[], this.charter];
    let charter: Charter | undefined;
    try {
      const records = this.store.records(this.case, this.charterStream);
      const payloads = await this.openCharter(records);
      for (const { index } of records) {
        const payload = payloads.get(index);
        const before = this.store.chainAt(this.case, this.charterStream, index - 1);
        if (!payload || !before) break;
        charter = await fold(charter, payload, this.case, before, this.around.schema);
        entries.push(parseEntry(payload));
      }
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
    this.isOnlyShown = false;
    const at = this.position(this.charterStream);
    const isWhole = charter !== undefined && entries.length === at.length;
    // Kept by a program that folded otherwise, perhaps: then anew after the next sync.
    if (!isWhole || !shown || !isSameCharter(charter as Charter, shown, at)) this.keptAt = undefined;
    if (isWhole) {
      this.charter = charter;
      this.folds = entries;
      this.folded = at.length;
      return this.confirm();
    }
    // It was kept where all of them counted: what differs now is told as the fold finds it.
    this.forgetCharter();
  }

  /** After a sync: where there is nothing to wait for, and nothing passed over. */
  protected async keepCharter(): Promise<void> {
    const at = this.position(this.charterStream);
    const isPlain = this.folds.length === at.length && this.folded === at.length && this.skipped.size === 0;
    if (!this.charter || !isPlain || (this.keptAt && same(this.keptAt, at.chain))) return;
    await keepCharter(this, this.charter, at);
    this.keptAt = at.chain;
  }

  /** `others`: the secrets for another charter than ours. */
  openCharter(records: readonly PlacedRecord[], others?: SecretsByEpoch): Promise<Map<number, Uint8Array>> {
    const known = others ? 0 : (this.charter?.rooms.get(EVERYONE)?.epoch ?? 0);
    return openCharter(
      this.case,
      records,
      others ?? this.charterSecrets(),
      (epoch) => epoch < known || (known > 0 && this.ring.secret(EVERYONE, epoch) !== undefined),
    );
  }

  /**
   * Folds what the store has and we have not. Gives whether the charter changed.
   *
   * A record that nothing here opens may be a turned lock whose key has not come, or one line of noise. It is waited for,
   * unless a later record is the next entry: then its author, who has the keys, passed over it too.
   */
  async foldCharter(): Promise<boolean> {
    if (this.isOnlyShown) {
      this.standing ??= this.foldAnew().finally(() => {
        this.standing = undefined;
      });
      await this.standing;
    }
    let changed = await this.refoldForLateKeys();
    const records = this.store.records(this.case, this.charterStream, this.folded);
    if (records.length === 0) return changed;
    const payloads = await this.openCharter(records);
    let unopened = new Map<number, number>();
    for (const { index, record } of records) {
      const payload = payloads.get(index);
      if (!payload) {
        unopened.set(index, claimedEpoch(record) ?? 0);
        continue;
      }
      const outcome = await this.foldOne(index, payload, unopened.size > 0);
      if (outcome === "stop") break;
      if (outcome === "wait") continue; // judged again when what lies before it can be read
      if (outcome === "folded") {
        changed = true;
        for (const [skipped, epoch] of unopened) {
          this.skipped.set(skipped, epoch);
          this.alarm("unopenable", `charter record ${skipped}`);
        }
        unopened = new Map();
      }
      this.folded = index;
    }
    if (changed) await this.confirm();
    // This program knows it now.
    if (this.folded === records.at(-1)?.index) {
      this.store.dropAlarm(this.case, "future_version", "charter");
    }
    return changed;
  }

  private async foldOne(
    index: number,
    payload: Uint8Array,
    somethingUnopened: boolean,
  ): Promise<"folded" | "refused" | "wait" | "stop"> {
    const before = this.store.chainAt(this.case, this.charterStream, index - 1);
    if (!before) throw new Error("a charter record without the chain before it");
    try {
      this.charter = await fold(this.charter, payload, this.case, before, this.around.schema);
      this.folds.push(parseEntry(payload));
      return "folded";
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      if (error.code === "future_version") {
        this.alarm("future_version", "charter");
        return "stop";
      }
      if (somethingUnopened) return "wait";
      // An entry of one who belongs, and that does not follow, never comes from honest devices: two of them see
      // different charters. That is told by the device's name.
      const by = error.code === "wrong_previous" ? await signedByMember(this.charter, payload) : undefined;
      this.alarm(error.code, by ? `charter of device ${hex(by)}` : `charter record ${index}`);
      return "refused";
    }
  }

  /** Folds from the beginning next time. */
  forgetCharter(): void {
    this.charter = undefined;
    this.isOnlyShown = false;
    this.folds = [];
    this.folded = 0;
    this.skipped = new Map();
  }

  private async refoldForLateKeys(): Promise<boolean> {
    const secrets = this.charterSecrets();
    const late = new Set([...this.skipped].filter(([, epoch]) => secrets.has(epoch)).map(([index]) => index));
    if (late.size === 0) return false;
    const records = this.store.records(this.case, this.charterStream).filter(({ index }) => late.has(index));
    const payloads = await this.openCharter(records);
    if (![...payloads.values()].some((payload) => payload.length > 0)) return false;
    this.forgetCharter();
    return true;
  }

  /** Checks secrets from keybags against the charter's commitments, and uses the good. */
  private async confirm(): Promise<void> {
    const charter = this.known();
    if (!this.isThePinnedOne(charter)) return;
    const before = new Set([...this.ring].map(({ room, epoch }) => `${room} ${epoch}`));
    await this.store.step(() => {
      this.unconfirmed = this.unconfirmed.filter(({ room, epoch, secret }) => {
        const state = charter.rooms.get(room);
        if (!state || epoch > state.epoch) return true; // the entry that commits to it has not come yet
        try {
          this.ring.check(charter, room, epoch, secret);
          this.ring.add(room, epoch, secret);
        } catch (error) {
          // Who sent a wrong one is named by `checkKeys`, which looks at the signature.
          if (!(error instanceof Inadmissible)) throw error;
        }
        return false;
      });
      this.ring.openHistory(charter);
      const fresh = [...this.ring].filter(({ room, epoch }) => !before.has(`${room} ${epoch}`));
      this.store.putRoomSecrets(this.case, fresh);
      this.rememberUnconfirmed();
      this.learnAboutMyself(charter);
    });
  }

  /**
   * Whether this is the charter that the link and the welcome pinned. Else somebody who holds the link, and the relay with
   * them, shows this device a case of their own under the family's name.
   */
  private isThePinnedOne(charter: Charter): boolean {
    const pins = pinnedEntries(this).filter(([n]) => n > 0);
    const differs = pins.some(([n, head]) => {
      const known = charter.heads.get(n);
      return known !== undefined && !same(known, head);
    });
    if (differs) {
      this.alarm("wrong_pin", "charter");
      this.forgetCharter();
      return false;
    }
    return this.row.state !== "entering" || pins.every(([n]) => n <= charter.n);
  }

  private learnAboutMyself(charter: Charter): void {
    const device = charter.devices.get(hex(this.device()));
    if (!device) return;
    const { state, person, title } = this.row;
    if (state === "entering" || !person || !same(person, device.person) || title !== charter.title) {
      this.putRow({ person: device.person, title: charter.title, state: "open", link: null });
    }
    if (!isHere(device)) this.putRow({ state: "removed" });
    else if (charter.closedN !== null) this.putRow({ state: "closed" });
  }

  /** Records of keys whose author was not checked yet, by index. */
  uncheckedKeys(): readonly number[] {
    const packed = this.store.fact(this.case, "keys to check");
    return packed ? unpack(numbersShape, packed) : [];
  }

  rememberUncheckedKeys(waiting: readonly number[]): void {
    this.store.putFact(this.case, "keys to check", waiting.length ? pack(numbersShape, waiting) : null);
  }

  // --- what the relay says it did

  beginSync(): void {
    this.refusals = 0;
    this.charterTry = 0;
    this.claimed.clear();
    this.reread.clear();
    this.astray.clear();
    this.unfollowed.clear();
    this.readWhole.clear();
    this.triedLocks = false;
    this.triedEarlier = false;
  }

  /** The chain before a charter record that is given back: at another place it is worth nothing. */
  placeOf(record: Uint8Array): Chain | null {
    for (const placed of this.store.records(this.case, this.charterStream)) {
      if (same(placed.record, record)) {
        return this.store.chainAt(this.case, this.charterStream, placed.index - 1) ?? null;
      }
    }
    return null;
  }

  /** An own record is sent when it came back, not when the relay says that it took it. */
  arrived(stream: StreamId, records: ReadonlySet<Hex>): void {
    for (const item of this.store.outbox(this.case)) {
      if (!item.stream || !item.record || !same(item.stream, stream) || !records.has(hex(item.record)))
        continue;
      this.store.dropOutbox(item.number);
      this.claimed.delete(item.number);
    }
  }

  /** The charter could be read from the relay, so what began it is there. */
  founded(): void {
    for (const item of this.store.outbox(this.case)) {
      if (item.stream === null) this.store.dropOutbox(item.number);
    }
  }

  /**
   * The relay refuses every key this device holds for the charter, and no new key came: it was put out. Or the relay lies;
   * so every later sync asks again, and nothing that lies here is deleted.
   */
  lockedOut(): void {
    const since = this.store.fact(this.case, UNREAD_SINCE);
    if (since && this.around.clock() < unpack(u64, since) + LOCKS_OF_ANOTHER_DAY_SECONDS) {
      this.alarm("not_allowed", "charter");
      return;
    }
    if (!this.charter || this.row.state !== "open") return;
    this.putRow({ state: "removed" });
    this.store.dropAlarm(this.case, "not_allowed", "charter");
    this.alarm("removed", "charter");
  }

  /** The charter could be read after all. */
  letInAgain(): void {
    if (this.store.fact(this.case, UNREAD_SINCE)) {
      this.store.putFact(this.case, UNREAD_SINCE, null);
      this.store.dropAlarm(this.case, "not_allowed", "charter");
    }
    const device = this.charter?.devices.get(hex(this.device()));
    if (this.row.state !== "removed" || !device || !isHere(device)) return;
    this.putRow({ state: "open" });
    for (const code of ["not_allowed", "removed"]) this.store.dropAlarm(this.case, code, "charter");
  }
}
