/** The parts of a case on one device, opened, folded, read and written: mirror of core/eigenkring/session/parts.py. */
import { readSecret } from "../../crypto/capability";
import { DeviceKeys } from "../../crypto/device";
import { CryptoError } from "../../crypto/errors";
import { label, sha256 } from "../../crypto/kdf";
import type { Part } from "../charter/state";
import { applyIntents, type Document, type DocumentEngine, type Intent, read } from "../document";
import { Inadmissible, Misuse } from "../errors";
import { type Hex, hex, type RecordBytes, type StreamId, same, unhex } from "../ids";
import { keptIntents, remake } from "../part/again";
import { actorOf, changeHash, makeEditRecords } from "../part/author";
import { PartFold } from "../part/fold";
import { parseRecord } from "../part/record";
import type { Verdict } from "../part/verdict";
import type { KindSchema } from "../schema";
import type { OwnChange, Store, StoredCase } from "../store";
import { type PlacedRecord, sealRecord } from "../stream";
import { CaseState, type Surroundings } from "./case";
import { claimedEpoch } from "./reading";

/** A part this device can read: its document and the verdicts on its records. */
export interface OpenPart {
  readonly part: Part;
  readonly fold: PartFold;
  /** Epochs of records whose key had not come. */
  readonly unopened: Set<number>;
  /** A record names a charter entry that was not read here. */
  waits: boolean;
}

/** The document of an open part. */
export function engineOf({ fold }: OpenPart): DocumentEngine {
  if (!fold.engine) throw new Error("a part without a document");
  return fold.engine as DocumentEngine;
}

/** One case: its charter and its parts. */
export class CaseSession extends CaseState {
  /** By stream. */
  readonly parts = new Map<Hex, OpenPart>();

  /** A case of the store, as far as it can be read now. */
  static async open(store: Store, row: StoredCase, around: Surroundings): Promise<CaseSession> {
    const session = new CaseSession(store, row, around, await DeviceKeys.fromSeed(row.seed));
    await session.foldCharter();
    await session.openParts();
    return session;
  }

  /** Opens parts that became readable, folds what came in, folds anew what the charter changed. */
  async openParts(): Promise<void> {
    const { charter } = this;
    if (!charter) return;
    for (const stream of [...this.parts.keys()]) {
      const { name } = charter.partStreams.get(stream) as Part;
      const now = charter.parts.get(name);
      if (!now || hex(now.stream) !== stream) this.parts.delete(stream);
    }
    for (const part of charter.parts.values()) {
      let opened = this.parts.get(hex(part.stream));
      if (!opened) {
        if (!this.roomSecret(part.read)) continue;
        opened = await this.openPart(part);
      }
      const isLate = [...opened.unopened].some((epoch) => this.ring.secret(part.read, epoch));
      if (isLate || opened.fold.outdated(charter)) await this.refold(opened);
      await this.takeNew(opened);
    }
  }

  private async openPart(part: Part): Promise<OpenPart> {
    const newEngine = (): DocumentEngine =>
      this.around.newEngine(actorOf(part.stream, this.device(), this.row.incarnation));
    const of = { stream: part.stream, name: part.name, writeRoom: part.write };
    const fold = new PartFold(of, this.secretsAt(part), newEngine);
    const opened: OpenPart = { part, fold, unopened: new Set(), waits: false };
    await this.refold(opened);
    await this.layOwnOnTop(opened);
    this.parts.set(hex(part.stream), opened);
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
    for (const { stream, record } of this.store.outbox(this.case)) {
      if (!stream || !record || !same(stream, part.stream)) continue;
      const found = parseRecord(await this.openRecord(part.stream, part.read, record));
      if (found.kind !== "edit") continue;
      const held = new Set(fold.admittedHashes());
      const own = found.changes.filter((raw) => !held.has(hex(changeHash(raw))));
      if (own.length === 0) continue;
      try {
        (fold.engine as DocumentEngine).apply(own);
        fold.takeOwn(own);
      } catch (error) {
        if (!(error instanceof Error && "code" in error)) throw error;
        return; // what it stood on was refused: `makeAgain` does what the person did once more
      }
    }
  }

  private async refold(opened: OpenPart): Promise<void> {
    const { part, fold, unopened } = opened;
    unopened.clear();
    opened.waits = false;
    const records: [number, Uint8Array][] = [];
    for (const placed of this.store.records(this.case, part.stream)) {
      const payload = await this.payloadIn(opened, placed);
      if (payload) records.push([placed.index, payload]);
    }
    const verdict = await fold.refold(records, this.chainsOf(part.stream), this.known());
    fold.length = Math.max(fold.length, this.position(part.stream).length);
    this.report(opened, verdict);
  }

  private async takeNew(opened: OpenPart): Promise<void> {
    const { part, fold } = opened;
    for (const placed of this.store.records(this.case, part.stream, fold.length)) {
      const payload = await this.payloadIn(opened, placed);
      if (!payload) continue;
      const verdict = await fold.take(placed.index, payload, this.chainsOf(part.stream), this.known());
      this.report(opened, verdict);
      await this.giveBack(opened, verdict.giveBack);
    }
  }

  private chainsOf(stream: StreamId) {
    return (length: number) => this.store.chainAt(this.case, stream, length);
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
  async snapshotStands(stream: StreamId, placed: PlacedRecord): Promise<boolean> {
    const opened = this.parts.get(hex(stream));
    const payload = await this.payloadOf(stream, placed);
    if (!opened || !payload) return false;
    const { part } = opened;
    const alone = new PartFold({ stream, name: part.name, writeRoom: part.write }, this.secretsAt(part));
    const verdict = await alone.take(placed.index, payload, this.chainsOf(stream), this.known());
    this.report(opened, verdict);
    return verdict.rebuilt;
  }

  /**
   * The store holds another log of this part now: folds it, and signs the own changes that it lacks again, because what
   * their records saw is not in it.
   */
  async followOtherLog(stream: StreamId): Promise<void> {
    const opened = this.parts.get(hex(stream));
    if (!opened) return;
    await this.refold(opened);
    if (!this.known().mayWrite(this.me(), opened.part.name)) return;
    const pending = opened.fold.pending();
    const records = pending.length > 0 ? await this.sealed(opened, pending) : [];
    const own: number[] = [];
    for (const item of this.store.outbox(this.case)) {
      if (!item.stream || !item.record || !same(item.stream, stream)) continue;
      if (await this.isOwn(opened.part, item.record)) own.push(item.number);
    }
    await this.store.step(() => {
      for (const number of own) this.store.dropOutbox(number);
      for (const record of records) this.store.addOutbox(this.case, stream, record);
    });
  }

  private async isOwn(part: Part, record: Uint8Array): Promise<boolean> {
    try {
      const found = parseRecord(await this.openRecord(part.stream, part.read, record));
      return found.kind === "edit" && same(found.att.device, this.device());
    } catch (error) {
      if (error instanceof CryptoError || error instanceof Inadmissible) return false;
      throw error;
    }
  }

  /** What a snapshot left out: everybody who had it gives it back, in the same bytes, so that the relay keeps one. */
  private async giveBack({ part }: OpenPart, payloads: readonly Uint8Array[]): Promise<void> {
    const secrets = this.secrets(part.stream);
    const { read } = secrets;
    if (payloads.length === 0 || !read || !this.known().mayWrite(this.me(), part.name)) return;
    const records = await Promise.all(
      payloads.map((payload) =>
        sealRecord(secrets, payload, sha256(label("give back"), read.secret, payload).slice(0, 24)),
      ),
    );
    await this.store.step(() => {
      this.alarm("left_out", part.name);
      for (const record of records) this.store.addOutbox(this.case, part.stream, record);
    });
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
    for (const device of verdict.falseBeforeBase)
      this.alarm("false_seen", `${part.name} of device ${device}`);
    for (const { code, device } of verdict.refused) {
      this.alarm(code, device === undefined ? part.name : `${part.name} of device ${device}`);
    }
    if (fold.alarm) this.alarm("engine_differs", part.name);
  }

  // --- reading and writing

  nameOf(stream: StreamId): string {
    return this.known().partStreams.get(hex(stream))?.name ?? "a stream";
  }

  /** An open part by its full name. Throws Misuse: `no_such_part`, `not_permitted`. */
  part(name: string): OpenPart {
    const part = this.known().parts.get(name);
    if (!part) throw new Misuse("no_such_part", `there is no part ${name} here`);
    const opened = this.parts.get(hex(part.stream));
    if (!opened) throw new Misuse("not_permitted", `the part ${name} is not yours to read`);
    return opened;
  }

  kind(part: Part): KindSchema | undefined {
    return this.around.schema.kinds.get(part.kind);
  }

  read(opened: OpenPart): Document {
    return read(engineOf(opened), this.kind(opened.part));
  }

  /** Makes a change now, keeps it, and queues it. Throws Misuse: `not_permitted`, `bad_value`... Call it `inTurn`. */
  async edit(name: string, intents: readonly Intent[]): Promise<void> {
    const opened = this.writable(name);
    const engine = engineOf(opened);
    const kept = keptIntents(engine, intents);
    await this.made(opened, applyIntents(engine, this.kind(opened.part), intents), kept);
  }

  private writable(name: string): OpenPart {
    const opened = this.part(name);
    if (!this.known().mayWrite(this.me(), name)) {
      throw new Misuse("not_permitted", `the part ${name} is not yours to write`);
    }
    return opened;
  }

  private async made(
    opened: OpenPart,
    changes: readonly Uint8Array[],
    intents: readonly Intent[],
  ): Promise<void> {
    if (changes.length === 0) return;
    const { stream } = opened.part;
    try {
      const hashes = opened.fold.takeOwn(changes);
      const records = await this.sealed(opened, changes);
      await this.store.step(() => {
        for (const record of records) this.store.addOutbox(this.case, stream, record);
        this.store.putOwnChange(this.case, stream, {
          hash: unhex(hashes.at(-1) as Hex),
          sequence: 0,
          intents: new TextEncoder().encode(JSON.stringify(intents)),
        });
      });
    } catch (error) {
      // It was made and not kept: what is shown must be what is kept, or the next change stands on nothing.
      this.parts.delete(hex(stream));
      await this.openParts();
      throw error;
    }
  }

  /** Own changes, signed as of now, as records to send. */
  private async sealed({ part }: OpenPart, changes: readonly Uint8Array[]): Promise<RecordBytes[]> {
    const charter = this.known();
    const { length, chain } = this.position(part.stream);
    const epoch = charter.rooms.get(part.write)?.epoch;
    if (epoch === undefined) throw new Error("a part without a room that writes");
    const author = { device: this.device(), epoch, head: charter.head, length, chain };
    const payloads = await makeEditRecords(this.keys.sign, part.stream, author, changes);
    const secrets = this.secrets(part.stream);
    return Promise.all(payloads.map((payload) => sealRecord(secrets, payload, this.around.random(24))));
  }

  /** Makes own changes again that were refused or voided, under a new incarnation (part.md). Gives how many. */
  async makeAgain(): Promise<number> {
    const lost: { readonly name: string; readonly stream: StreamId; readonly change: OwnChange }[] = [];
    for (const { part, fold } of this.parts.values()) {
      const held = new Set(fold.admittedHashes());
      for (const change of this.store.ownChanges(this.case, part.stream)) {
        if (!held.has(hex(change.hash))) lost.push({ name: part.name, stream: part.stream, change });
      }
    }
    if (lost.length === 0) return 0;
    this.putRow({ incarnation: this.around.random(8) });
    for (const { stream } of lost) this.parts.delete(hex(stream));
    await this.openParts();
    let made = 0;
    for (const { name, stream, change } of lost) {
      try {
        const opened = this.writable(name);
        const intents = JSON.parse(new TextDecoder().decode(change.intents)) as Intent[];
        await this.made(opened, remake(engineOf(opened), this.kind(opened.part), intents), intents);
        made += 1;
      } catch (error) {
        if (!(error instanceof Misuse)) throw error;
        this.alarm(error.code, `a change in ${name} could not be made again`);
      }
      // Only now: a crash before this line makes it again, which takes nobody's words.
      this.store.dropOwnChange(this.case, stream, change.hash);
    }
    return made;
  }
}
