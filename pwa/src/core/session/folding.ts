/**
 * The parts of a case on one device, opened and folded: the first half of core/eigenkring/session/parts.py. What is read and
 * written in them is in `parts`.
 */
import { readSecret } from "../../crypto/capability";
import { CryptoError } from "../../crypto/errors";
import { label, sha256 } from "../../crypto/kdf";
import type { Part } from "../charter/state";
import { type Document, type DocumentEngine, read } from "../document";
import { EigenkringError, Inadmissible } from "../errors";
import { type Chain, type Hex, hex, type RecordBytes, type StreamId, same } from "../ids";
import { actorOf, changeHash } from "../part/author";
import { type ChainAt, PartFold } from "../part/fold";
import { Ledger } from "../part/ledger";
import { parseRecord } from "../part/record";
import { isOutdated } from "../part/standing";
import type { Verdict } from "../part/verdict";
import type { OutboxItem } from "../store";
import { type PlacedRecord, sealRecord } from "../stream";
import { CaseState } from "./case";
import * as kept from "./kept";
import { claimedEpoch } from "./reading";
import { unsigned } from "./words";

/** The engine takes many changes in half of the time that it takes for one record's after the other. */
const TAKEN_AT_ONCE = 64;

/** A part this device can read: its document and the verdicts on its records. */
export interface OpenPart {
  readonly part: Part;
  readonly fold: PartFold;
  /** Epochs of records whose key had not come. */
  readonly unopened: Set<number>;
  /** A record names a charter entry that was not read here. */
  waits: boolean;
  /** A record is of a newer version's kind. */
  setAside: boolean;
  /** Length of the stream where it was last kept. */
  keptAt: number;
  /** What its document was when that was last kept, and whether it is a large one. */
  shownAs?: string;
  isLarge?: boolean;
  /** The document as it was last read, and the heads it had. */
  read?: { readonly heads: string; readonly document: Document };
}

/** To be read, that is enough; to be written or folded it is `opened`. */
export type ReadPart = OpenPart | kept.ShownPart;

/** The document of an open part. */
export function engineOf({ fold }: OpenPart): DocumentEngine {
  if (!fold.engine) throw new Error("a part without a document");
  return fold.engine as DocumentEngine;
}

/** Nothing follows from it but what it says: no entry to wait for, nothing refused or taken back. */
function isPlain({ refused, waits, setAside, startedOver, voided, falseBeforeBase }: Verdict): boolean {
  return ![waits, setAside, startedOver, refused.length, voided.length, falseBeforeBase.length].some(Boolean);
}

/** One case: its charter, and its parts as they are folded. */
export class Folding extends CaseState {
  /** By stream. */
  readonly parts = new Map<Hex, ReadPart>();
  /** Codes of notices about own words that wait, by part: over once these were made again. */
  protected readonly untilMadeAgain = new Map<string, readonly string[]>();
  /** What was claimed in parts that are opened anew, by stream and change. */
  private readonly days = new Map<Hex, ReadonlyMap<Hex, number>>();

  /** Opens parts that became readable, folds what came in, folds anew what the charter changed. */
  async openParts(): Promise<void> {
    const { charter } = this;
    if (!charter) return;
    const present = new Set([...charter.parts.values()].map(({ stream }) => hex(stream)));
    for (const stream of [...this.parts.keys()]) if (!present.has(stream)) this.parts.delete(stream);
    for (const part of charter.parts.values()) {
      let one = this.parts.get(hex(part.stream));
      if (!one) {
        if (!this.roomSecret(part.read)) continue;
        one = kept.loadShown(this, part) ?? (await this.openPart(part));
        this.parts.set(hex(part.stream), one);
      }
      if (!one.fold && kept.isStill(this, one)) continue;
      await this.takeIn(one);
    }
  }

  /** The part with its verdicts and its engine: only its document may have been read so far. */
  async opened(one: ReadPart): Promise<OpenPart> {
    if (one.fold) return one;
    const id = hex(one.part.stream);
    const there = this.parts.get(id);
    if (there?.fold) return there;
    one.opening ??= this.openPart(one.part)
      .then((opened) => {
        if (this.parts.get(id) === one) this.parts.set(id, opened);
        return opened;
      })
      .finally(() => {
        one.opening = undefined;
      });
    return one.opening;
  }

  /** Opened, where this device reads it. */
  async openedOf(stream: StreamId): Promise<OpenPart | undefined> {
    const one = this.parts.get(hex(stream));
    return one && this.opened(one);
  }

  /** What is in it, without the collections in which nothing lies. */
  documentOf(one: ReadPart): Document {
    if (!one.fold) return one.document;
    const engine = engineOf(one);
    const heads = engine.heads().join();
    // Equal heads are equal documents, and the engine is slow to tell.
    if (one.read?.heads !== heads) one.read = { heads, document: read(engine) };
    return one.read.document;
  }

  /** Whether keys or entries came that may change a verdict. */
  private isBehind({ part, fold, unopened }: OpenPart): boolean {
    const isLate = [...unopened].some((epoch) => this.ring.secret(part.read, epoch));
    return isLate || isOutdated(fold.outlook(), part.stream, this.known());
  }

  /** Drops a part, to be made anew from its records; what its authors claimed of days may be in none of them. */
  protected openAnew(stream: StreamId): void {
    const days = this.parts.get(hex(stream))?.fold?.ledger.days();
    if (days) this.days.set(hex(stream), days);
    this.parts.delete(hex(stream));
  }

  async keepParts(): Promise<void> {
    await this.keepCharter();
    for (const one of this.parts.values()) if (one.fold) await kept.keep(this, one);
  }

  /** A part as its records here say, also one that was founded anew since. */
  openedApart(part: Part): Promise<OpenPart> {
    return this.openPart(part);
  }

  private async openPart(part: Part): Promise<OpenPart> {
    await Promise.all([this.around.engineReady(), this.store.whole()]);
    // What is folded and written stands on what the records say.
    if (this.isOnlyShown) await this.foldCharter();
    const actor = actorOf(part.stream, this.device(), this.row.incarnation);
    const newEngine = (): DocumentEngine =>
      this.around.newEngine(actorOf(part.stream, this.device(), this.row.incarnation));
    const of = { stream: part.stream, name: part.name, writeRoom: part.write, manageRoom: part.manage };
    const fold = new PartFold(of, this.secretsAt(part), newEngine);
    fold.ledger = new Ledger(this.days.get(hex(part.stream)));
    this.days.delete(hex(part.stream));
    const opened: OpenPart = {
      part,
      fold,
      unopened: new Set(),
      waits: false,
      setAside: false,
      keptAt: 0,
    };
    if (!(await kept.load(this, opened, actor)) || this.isBehind(opened)) await this.refold(opened);
    await this.takeNew(opened);
    await this.layOwnOnTop(opened);
    return opened;
  }

  /** The part's S of each epoch that this device holds. */
  private secretsAt({ read, stream }: Part): (epoch: number) => Uint8Array | undefined {
    return (epoch) => {
      const secret = this.ring.secret(read, epoch);
      return secret && readSecret(secret, stream);
    };
  }

  /** What was made here and has not come back yet stands after all that came. */
  private async layOwnOnTop({ part, fold }: OpenPart): Promise<void> {
    const waiting = this.store
      .outbox(this.case)
      .filter(({ stream }) => stream !== null && same(stream, part.stream));
    // Of a large part that is dear to tell, and mostly nothing waits.
    const held = new Set(waiting.length > 0 ? fold.admittedHashes() : []);
    for (const item of waiting) {
      const changes = await this.changesIn(part, item);
      const own = changes.filter((raw) => !held.has(hex(changeHash(raw))));
      for (const raw of own) held.add(hex(changeHash(raw)));
      if (own.length === 0) continue;
      try {
        (fold.engine as DocumentEngine).apply(own);
        fold.takeOwn(own);
      } catch (error) {
        if (!(error instanceof EigenkringError)) throw error;
        // What it stood on was refused, or is not here: `makeAgain` does what the person did once more.
        this.alarmUntilMadeAgain(error.code, part.name);
      }
    }
  }

  /** Told now, because nobody knows yet whether it can be made again; not where it was told before for another reason. */
  private alarmUntilMadeAgain(code: string, name: string): void {
    const isTold = this.store.alarms(this.case).some((one) => one.code === code && one.about === name);
    if (isTold) return;
    this.untilMadeAgain.set(name, [...(this.untilMadeAgain.get(name) ?? []), code]);
    this.alarm(code, name);
  }

  /** The changes of an item of the outbox, signed or not yet. */
  protected async changesIn(part: Part, item: OutboxItem): Promise<readonly Uint8Array[]> {
    if (!item.record) return unsigned(item)?.changes ?? [];
    const found = parseRecord(await this.openRecord(part.stream, part.read, item.record));
    return found.kind === "edit" ? found.changes : [];
  }

  protected async refold(opened: OpenPart): Promise<void> {
    const { part, fold, unopened } = opened;
    unopened.clear();
    opened.waits = false;
    opened.setAside = false;
    opened.keptAt = 0;
    const records: [number, Uint8Array][] = [];
    for (const placed of this.store.records(this.case, part.stream)) {
      const payload = await this.payloadIn(opened, placed);
      if (payload) records.push([placed.index, payload]);
    }
    const verdict = await fold.refold(records, this.chainsOf(part.stream), this.known());
    fold.length = Math.max(fold.length, this.position(part.stream).length);
    this.report(opened, verdict);
  }

  /** Folds what the store holds and this part has not. Gives whether all of it was an ordinary edit that counts. */
  async takeIn(one: ReadPart): Promise<boolean> {
    const opened = await this.opened(one);
    if (this.isBehind(opened)) await this.refold(opened);
    return this.takeNew(opened);
  }

  private async takeNew(opened: OpenPart): Promise<boolean> {
    const { part, fold } = opened;
    const placed = this.store.records(this.case, part.stream, fold.length);
    return placed.length === 0 || this.takeAll(opened, placed, this.chainsOf(part.stream));
  }

  /**
   * Takes records that stand behind a snapshot, and then keeps them: what was known here and the snapshot left out is queued
   * in the same step in which it is forgotten.
   */
  async takeReplacing(stream: StreamId, placed: readonly PlacedRecord[], keep: () => void): Promise<void> {
    const opened = await this.openedOf(stream);
    if (!opened) return this.store.step(keep);
    if (this.isBehind(opened)) await this.refold(opened);
    const chains = new Map(placed.map(({ index, chain }) => [index, chain]));
    const known = this.chainsOf(stream);
    await this.takeAll(opened, placed, (length) => chains.get(length) ?? known(length), keep);
  }

  private async takeAll(
    opened: OpenPart,
    placed: readonly PlacedRecord[],
    chainAt: ChainAt,
    keep: () => void = () => {},
  ): Promise<boolean> {
    const given: RecordBytes[] = [];
    let covered = false;
    let plain = true;
    for (let from = 0; from < placed.length; from += TAKEN_AT_ONCE) {
      const records: [number, Uint8Array][] = [];
      for (const one of placed.slice(from, from + TAKEN_AT_ONCE)) {
        const payload = await this.payloadIn(opened, one);
        plain &&= payload !== undefined;
        if (payload) records.push([one.index, payload]);
      }
      for (const verdict of await opened.fold.takeAll(records, chainAt, this.known())) {
        this.report(opened, verdict);
        plain &&= isPlain(verdict);
        given.push(...(await this.givenBack(opened, verdict.giveBack)));
        if (!verdict.startedOver) continue;
        covered = true;
        opened.keptAt = 0;
      }
    }
    await this.store.step(() => {
      if (given.length > 0) this.alarm("left_out", opened.part.name);
      for (const record of given) this.store.addOutbox(this.case, opened.part.stream, record);
      if (covered) this.dropCovered(opened);
      keep();
    });
    return plain;
  }

  /** What a snapshot holds needs no making again: whoever lost it had it from there. */
  private dropCovered({ part, fold }: OpenPart): void {
    for (const { hash } of this.store.ownChanges(this.case, part.stream)) {
      if (fold.ledger.find(hex(hash))) this.store.dropOwnChange(this.case, part.stream, hash);
    }
  }

  private chainsOf(stream: StreamId): ChainAt {
    return (length) => this.store.chainAt(this.case, stream, length);
  }

  private async payloadIn(
    { part, unopened }: OpenPart,
    placed: PlacedRecord,
  ): Promise<Uint8Array | undefined> {
    const about = `${part.name} record ${placed.index}`;
    try {
      const payload = await this.openRecord(part.stream, part.read, placed.record);
      if (unopened.size > 0) this.store.dropAlarm(this.case, "unopenable", about);
      return payload;
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      // Whoever may append can append noise; it is passed over and told. Or its key is still to come.
      this.alarm(error.code, about);
      const epoch = claimedEpoch(placed.record);
      if (epoch !== undefined && !this.ring.secret(part.read, epoch)) unopened.add(epoch);
      return undefined;
    }
  }

  /** What lies in a record of a part, where this device can open it. */
  async payloadOf(stream: StreamId, { record }: PlacedRecord): Promise<Uint8Array | undefined> {
    const part = this.known().partStreams.get(hex(stream));
    try {
      return part && (await this.openRecord(stream, part.read, record));
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      return undefined;
    }
  }

  /**
   * Whether a record is a snapshot by a writer of the part, made at this very place: only then may what lies before it be
   * forgotten.
   */
  async snapshotStands(stream: StreamId, placed: PlacedRecord, baseChain: Chain): Promise<boolean> {
    const opened = await this.openedOf(stream);
    const payload = await this.payloadOf(stream, placed);
    if (!opened || !payload) return false;
    // What a cut voids is nothing that a snapshot can leave out.
    if (this.isBehind(opened)) await this.refold(opened);
    const before = placed.index - 1;
    const chainAt: ChainAt = (length) => (length === before ? baseChain : undefined);
    const verdict = await opened.fold.trial(placed.index, payload, chainAt, this.known());
    this.report(opened, verdict);
    return verdict.startedOver;
  }

  /**
   * Whether a log that begins with a snapshot gives all that is settled here, in that snapshot or after it: what one who
   * manages the stream left out, who wrote it gave back.
   */
  async hasAllOfOurs(stream: StreamId, log: readonly PlacedRecord[], baseChain: Chain): Promise<boolean> {
    const opened = await this.openedOf(stream);
    const [first] = log;
    if (!opened || !first) return false;
    const records: (readonly [number, Uint8Array])[] = [];
    const chains = new Map([[first.index - 1, baseChain]]);
    for (const placed of log) {
      const payload = await this.payloadOf(stream, placed);
      if (payload) records.push([placed.index, payload]);
      chains.set(placed.index, placed.chain);
    }
    const alone = new PartFold(opened.fold.part, this.secretsAt(opened.part));
    await alone.refold(records, (length) => chains.get(length), this.known());
    return opened.fold.ledger.entries.every(({ hash }) => alone.ledger.find(hash));
  }

  /** What a snapshot left out: everybody who had it gives it back, in the same bytes, so that the relay keeps one. */
  private async givenBack(
    { part }: OpenPart,
    payloads: readonly Uint8Array[],
  ): Promise<readonly RecordBytes[]> {
    const secrets = this.secrets(part.stream);
    const { read } = secrets;
    if (payloads.length === 0 || !read || !this.known().mayWrite(this.me(), part.name)) return [];
    return Promise.all(
      payloads.map((payload) =>
        sealRecord(secrets, payload, sha256(label("give back"), read.secret, payload).slice(0, 24)),
      ),
    );
  }

  /** After a sync: a record that names a charter entry the relay does not show. */
  tellWhatWaits(): void {
    const tell = (isSo: boolean, about: string): void => {
      if (isSo) this.alarm("unknown_head", about);
      else this.store.dropAlarm(this.case, "unknown_head", about);
    };
    for (const { part, waits } of this.parts.values()) tell(waits, part.name);
    tell(this.row.state === "open" && this.uncheckedKeys().length > 0, "keys");
  }

  private report(opened: OpenPart, verdict: Verdict): void {
    const { part, fold } = opened;
    opened.waits ||= verdict.waits;
    opened.setAside ||= verdict.setAside;
    for (const device of verdict.falseBeforeBase)
      this.alarm("false_seen", `${part.name} of device ${device}`);
    for (const { code, device } of verdict.refused) {
      this.alarm(code, device === undefined ? part.name : `${part.name} of device ${device}`);
    }
    if (fold.alarm) this.alarm("engine_differs", part.name);
  }

  protected async isOwn(part: Part, record: Uint8Array): Promise<boolean> {
    try {
      const found = parseRecord(await this.openRecord(part.stream, part.read, record));
      return found.kind === "edit" && same(found.att.device, this.device());
    } catch (error) {
      if (error instanceof CryptoError || error instanceof Inadmissible) return false;
      throw error;
    }
  }
}
