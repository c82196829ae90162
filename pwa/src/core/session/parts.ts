/** One case on one device, read and written: mirror of core/eigenkring/session/parts.py, which `folding` begins. */
import { SessionKeys } from "../../crypto/device";
import type { Part } from "../charter/state";
import { applyIntents, complete, type Document, type Intent } from "../document";
import { Misuse } from "../errors";
import { type Hex, hex, type RecordBytes, type StreamId, same, unhex } from "../ids";
import { keptIntents, remake } from "../part/again";
import { batches, changeHash, makeEditRecord } from "../part/author";
import type { KindSchema } from "../schema";
import type { OwnChange, Store, StoredCase } from "../store";
import { sealRecord } from "../stream";
import { takeAgain } from "./boxes";
import type { Surroundings } from "./case";
import * as clocks from "./clocks";
import { engineOf, Folding, type OpenPart, type ReadPart } from "./folding";
import * as kept from "./kept";
import { packWords, type Words } from "./words";

export { engineOf, type OpenPart, type ReadPart } from "./folding";

/** What an outbox item was made of. `record` is kept because a number may be given again after a step that failed. */
export interface Unsent extends Words {
  readonly stream: StreamId;
  readonly record: RecordBytes;
}

/** One case: its charter and its parts. */
export class CaseSession extends Folding {
  /** Signed outbox items of this session that no relay has seen, by number. */
  readonly unsent = new Map<number, Unsent>();
  /** Parts of which words lie unsigned in the outbox: what is signed after them must not go before them. */
  readonly unsigned = new Set<Hex>();

  /** A case of the store, as far as it can be read now. */
  static async open(store: Store, row: StoredCase, around: Surroundings): Promise<CaseSession> {
    const session = new CaseSession(store, row, around, await SessionKeys.fromSeed(row.seed));
    for (const { stream, record } of store.outbox(row.case)) {
      if (stream && !record) session.unsigned.add(hex(stream));
    }
    await takeAgain(session);
    await session.beginCharter();
    await session.openParts();
    return session;
  }

  /** Everything that was only shown stands on its records from here on: the charter, not yet the parts. */
  async stand(): Promise<void> {
    if (!this.isOnlyShown) return;
    await this.store.whole();
    await this.inTurn(() => this.foldCharter());
  }

  /**
   * The store holds another log of this part now: folds it, and signs the own changes that it lacks again, because what
   * their records saw is not in it. `signs`: whether now, or once nothing holds them back. They are of days ago, perhaps of
   * years: signed today, and so under no day.
   */
  async followOtherLog(stream: StreamId, { signs } = { signs: true }): Promise<void> {
    const opened = await this.openedOf(stream);
    if (!opened) return;
    await this.refold(opened);
    if (!this.known().mayWrite(this.me(), opened.part.name)) return;
    const pending = opened.fold.pending();
    const words = { incarnation: this.row.incarnation, day: null, changes: pending };
    const records = pending.length > 0 && signs ? await this.sealed(opened, words) : [];
    const own: number[] = [];
    for (const item of this.store.outbox(this.case)) {
      if (!item.stream || !same(item.stream, stream)) continue;
      if (!item.record || (await this.isOwn(opened.part, item.record))) own.push(item.number);
    }
    await this.store.step(() => {
      for (const number of own) this.store.dropOutbox(number);
      this.queue(records);
    });
  }

  /** Puts signed changes in the outbox. Call it in a step. */
  queue(records: readonly Unsent[]): void {
    for (const made of records) {
      this.unsent.set(this.store.addOutbox(this.case, made.stream, made.record), made);
    }
  }

  /** Whether own words of a part can be signed and sealed for it now. */
  maySign(stream: StreamId): boolean {
    const opened = this.parts.get(hex(stream));
    if (!opened || !this.known().mayWrite(this.me(), opened.part.name)) return false;
    return this.secrets(stream).read !== undefined;
  }

  // --- reading and writing

  nameOf(stream: StreamId): string {
    return this.known().partStreams.get(hex(stream))?.name ?? "a stream";
  }

  /** A part by its full name, to be read. Throws Misuse: `no_such_part`, `not_permitted`. */
  part(name: string): ReadPart {
    const part = this.known().parts.get(name);
    if (!part) throw new Misuse("no_such_part", `there is no part ${name} here`);
    const opened = this.parts.get(hex(part.stream));
    if (!opened) throw new Misuse("not_permitted", `the part ${name} is not yours to read`);
    return opened;
  }

  kind(part: Part): KindSchema | undefined {
    return this.around.schema.kinds.get(part.kind);
  }

  read(one: ReadPart): Document {
    return complete(this.documentOf(one), this.kind(one.part));
  }

  /**
   * Makes a change now, keeps it, and queues it. `keep`: what is kept in the same step, with the hash of the last change. Throws
   * Misuse: `not_permitted`, `bad_value`... Call it `inTurn`.
   */
  async edit(name: string, intents: readonly Intent[], keep?: (last: Hex) => void): Promise<void> {
    await this.editAhead(name, intents, keep);
    await this.store.settled();
  }

  /**
   * The same without waiting for the disk, so that the next may begin and the disk takes them together. It is done when
   * `store.settled` says so, and nothing is sent or acknowledged before.
   */
  async editAhead(name: string, intents: readonly Intent[], keep?: (last: Hex) => void): Promise<void> {
    const opened = await this.writable(name);
    const engine = engineOf(opened);
    const again = keptIntents(engine, intents);
    const changes = applyIntents(engine, this.kind(opened.part), intents);
    if (changes.length > 0) await this.made(opened, changes, again, undefined, keep);
  }

  /** What this person writes, and only the document of which was read so far. */
  toPrepare(): ReadPart[] {
    const mine = ({ part, fold }: ReadPart) => !fold && this.known().mayWrite(this.me(), part.name);
    return this.charter ? [...this.parts.values()].filter(mine) : [];
  }

  private async writable(name: string): Promise<OpenPart> {
    const one = this.part(name);
    if (!this.known().mayWrite(this.me(), name)) {
      throw new Misuse("not_permitted", `the part ${name} is not yours to write`);
    }
    return this.opened(one);
  }

  /** `instead`: of an own change that is made again by this one. */
  private async made(
    opened: OpenPart,
    changes: readonly Uint8Array[],
    intents: readonly Intent[],
    instead?: Lost,
    keep?: (last: Hex) => void,
  ): Promise<void> {
    const { stream } = opened.part;
    try {
      const made = { incarnation: this.row.incarnation, day: clocks.claimedDay(this), changes };
      const isSigned = changes.length > 0 && this.isFirst(stream) && this.maySign(stream);
      // The door looks while the platform signs; where it refuses, what was signed is dropped and goes nowhere.
      const signing = isSigned ? this.sealed(opened, made) : Promise.resolve([]);
      signing.catch(() => undefined);
      const hashes = opened.fold.takeOwn(changes);
      const records = await signing;
      const kept = this.store.step(() => {
        this.queue(records);
        if (records.length === 0 && changes.length > 0) {
          this.unsigned.add(hex(stream));
          this.store.addOutbox(this.case, stream, null, packWords(made));
        }
        const last = hashes.at(-1);
        if (last) this.store.putOwnChange(this.case, stream, ownChange(last, intents));
        if (last) keep?.(last);
        if (instead) this.store.dropOwnChange(this.case, instead.stream, instead.change.hash);
      });
      // Where the disk fails, `settled` tells whoever waits for it, and everything after.
      kept.catch(() => undefined);
    } catch (error) {
      // It was made and not kept: what is shown must be what is kept, or the next change stands on nothing.
      this.parts.delete(hex(stream));
      await this.openParts();
      throw error;
    }
  }

  /** Whether no own words of a part wait that could be signed with the next. */
  private isFirst(stream: StreamId): boolean {
    if (this.unsigned.has(hex(stream))) return false;
    for (const unsent of this.unsent.values()) if (same(unsent.stream, stream)) return false;
    return true;
  }

  /** Own changes, signed as of now, as records to send. */
  async sealed({ part }: ReadPart, { incarnation, day, changes }: Words): Promise<Unsent[]> {
    const charter = this.known();
    const { length, chain } = this.position(part.stream);
    const epoch = charter.rooms.get(part.write)?.epoch;
    if (epoch === undefined) throw new Error("a part without a room that writes");
    const author = { device: this.device(), epoch, head: charter.head, length, chain, day };
    const secrets = this.secrets(part.stream);
    return Promise.all(
      batches(changes).map(async (some) => {
        const payload = makeEditRecord(this.keys.sign, part.stream, author, some);
        return {
          stream: part.stream,
          record: await sealRecord(secrets, payload, this.around.random(24)),
          incarnation,
          changes: some,
          day,
        };
      }),
    );
  }

  /** Makes own changes again that were refused or voided, under a new incarnation (part.md). Gives how many. */
  async makeAgain(): Promise<number> {
    const lost: Lost[] = [];
    for (const one of [...this.parts.values()]) {
      const changes = this.store.ownChanges(this.case, one.part.stream);
      if (changes.length === 0 || (!one.fold && kept.hasAllOwn(this, one))) continue;
      const { part, fold } = await this.opened(one);
      // Who may not write here any more, and what was not sent by then: told, and not shown to one alone for ever.
      const mayWrite = this.known().mayWrite(this.me(), part.name);
      const held = new Set(mayWrite ? fold.admittedHashes() : fold.ledger.entries.map(({ hash }) => hash));
      for (const change of changes) {
        if (!held.has(hex(change.hash))) lost.push({ name: part.name, stream: part.stream, change });
      }
    }
    if (lost.length === 0) {
      await this.endNotices();
      return 0;
    }
    const takenBack: number[] = [];
    for (const { part } of this.parts.values()) takenBack.push(...(await this.notToBeSent(part)));
    await this.store.step(() => {
      for (const number of takenBack) this.store.dropOutbox(number);
      this.putRow({ incarnation: this.around.random(8) });
      for (const { stream } of lost) kept.forget(this, stream);
    });
    for (const { stream } of lost) this.openAnew(stream);
    await this.openParts();
    return this.redo(lost);
  }

  /** What was told of own words that waited is over where all of them were taken, or made again and taken. */
  private async endNotices(): Promise<void> {
    if (this.untilMadeAgain.size === 0) return;
    const waiting = new Set(this.store.outbox(this.case).map(({ stream }) => stream && hex(stream)));
    await this.store.step(() => {
      for (const { part } of this.parts.values()) {
        if (waiting.has(hex(part.stream))) continue;
        for (const code of this.untilMadeAgain.get(part.name) ?? [])
          this.store.dropAlarm(this.case, code, part.name);
        this.untilMadeAgain.delete(part.name);
      }
    });
  }

  /**
   * Signs own changes again that nobody has and that no record of the outbox brings: a relay put theirs before what they
   * stand on, so it was refused. Gives how many.
   */
  async sendAgain(): Promise<number> {
    let count = 0;
    for (const opened of this.parts.values()) {
      const { part, fold } = opened;
      // Of a part that is only shown all own words were taken (`makeAgain` opened the others).
      const pending = opened.waits || opened.unopened.size > 0 ? [] : (fold?.pending() ?? []);
      if (pending.length === 0) continue;
      if (!this.maySign(part.stream)) continue;
      const coming = await this.coming(part);
      const lost = pending.filter((raw) => !coming.has(hex(changeHash(raw))));
      if (lost.length === 0) continue;
      const words = { incarnation: this.row.incarnation, day: null, changes: lost };
      const records = await this.sealed(opened, words);
      await this.store.step(() => this.queue(records));
      count += lost.length;
    }
    return count;
  }

  /** Hashes of the changes that wait to be signed, sent or read back. */
  private async coming(part: Part): Promise<Set<Hex>> {
    const found = new Set<Hex>();
    for (const item of this.store.outbox(this.case)) {
      if (!item.stream || !same(item.stream, part.stream)) continue;
      for (const raw of await this.changesIn(part, item)) found.add(hex(changeHash(raw)));
    }
    return found;
  }

  /** Of the outbox what is this device's own in a part that its person may not write any more. */
  private async notToBeSent(part: Part): Promise<number[]> {
    if (this.known().mayWrite(this.me(), part.name)) return [];
    const found: number[] = [];
    for (const { number, stream, record } of this.store.outbox(this.case)) {
      if (!stream || !same(stream, part.stream)) continue;
      if (!record || (await this.isOwn(part, record))) found.push(number);
    }
    return found;
  }

  /**
   * What the person did, done on what is there now. Gives how many could be. Each is dropped in the step that makes it
   * again: a crash takes nobody's words, and says none twice.
   */
  async redo(lost: readonly Lost[]): Promise<number> {
    let made = 0;
    for (const one of lost) {
      const { name, stream, change } = one;
      try {
        const opened = await this.writable(name);
        const intents = JSON.parse(new TextDecoder().decode(change.intents)) as Intent[];
        const changes = remake(engineOf(opened), this.kind(opened.part), intents);
        await this.made(opened, changes, intents, one);
        made += 1;
      } catch (error) {
        if (!(error instanceof Misuse)) throw error;
        this.alarm(error.code, `a change in ${name} could not be made again`);
        this.store.dropOwnChange(this.case, stream, change.hash);
      }
    }
    await this.store.settled();
    return made;
  }
}

/** An own change that the stream did not take, the part it was made in, and the stream of that part then. */
export interface Lost {
  readonly name: string;
  readonly stream: StreamId;
  readonly change: OwnChange;
}

function ownChange(last: Hex, intents: readonly Intent[]): OwnChange {
  return {
    hash: unhex(last),
    sequence: 0,
    intents: new TextEncoder().encode(JSON.stringify(intents)),
  };
}
