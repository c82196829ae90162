/** The parts of a case on one device, opened, folded, read and written: mirror of core/eigenkring/session/parts.py. */
import { readSecret } from "../../crypto/capability";
import { DeviceKeys } from "../../crypto/device";
import { CryptoError } from "../../crypto/errors";
import type { Part } from "../charter/state";
import { applyIntents, type Document, type DocumentEngine, type Intent, read } from "../document";
import { Misuse } from "../errors";
import { type Hex, hex, type StreamId, same, unhex } from "../ids";
import { actorOf, changeHash, makeEditRecords } from "../part/author";
import { PartFold } from "../part/fold";
import { parseRecord } from "../part/record";
import type { Verdict } from "../part/verdict";
import type { KindSchema } from "../schema";
import type { OwnChange, Store, StoredCase } from "../store";
import { sealRecord } from "../stream";
import { CaseState, type Surroundings } from "./case";

/** A part this device can read: its document and the verdicts on its records. */
export interface OpenPart {
  readonly part: Part;
  readonly fold: PartFold;
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
      if (opened.fold.outdated(charter)) await this.refold(opened);
      await this.takeNew(opened);
    }
  }

  private async openPart(part: Part): Promise<OpenPart> {
    const newEngine = (): DocumentEngine =>
      this.around.newEngine(actorOf(part.stream, this.device(), this.row.incarnation));
    const secretAt = (epoch: number): Uint8Array | undefined => {
      const secret = this.ring.secret(part.read, epoch);
      return secret && readSecret(secret, part.stream);
    };
    const fold = new PartFold(
      { stream: part.stream, name: part.name, writeRoom: part.write },
      secretAt,
      newEngine,
    );
    const opened = { part, fold };
    await this.refold(opened);
    await this.layOwnOnTop(opened);
    this.parts.set(hex(part.stream), opened);
    return opened;
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
    const { part, fold } = opened;
    const records: [number, Uint8Array][] = [];
    for (const { index, record } of this.store.records(this.case, part.stream)) {
      const payload = await this.payloadOf(part, index, record);
      if (payload) records.push([index, payload]);
    }
    const verdict = await fold.refold(records, this.chainsOf(part.stream), this.known());
    fold.length = Math.max(fold.length, this.position(part.stream).length);
    this.report(opened, verdict);
  }

  private async takeNew(opened: OpenPart): Promise<void> {
    const { part, fold } = opened;
    for (const { index, record } of this.store.records(this.case, part.stream, fold.length)) {
      const payload = await this.payloadOf(part, index, record);
      if (!payload) continue;
      this.report(opened, await fold.take(index, payload, this.chainsOf(part.stream), this.known()));
    }
  }

  private chainsOf(stream: StreamId) {
    return (length: number) => this.store.chainAt(this.case, stream, length);
  }

  private async payloadOf(part: Part, index: number, record: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.openRecord(part.stream, part.read, record);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      // Whoever may append can append noise; it is passed over and told.
      this.alarm(error.code, `${part.name} record ${index}`);
      return undefined;
    }
  }

  private report({ part, fold }: OpenPart, verdict: Verdict): void {
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
    const opened = this.part(name);
    const { part, fold } = opened;
    const charter = this.known();
    if (!charter.mayWrite(this.me(), name)) {
      throw new Misuse("not_permitted", `the part ${name} is not yours to write`);
    }
    const changes = applyIntents(engineOf(opened), this.kind(part), intents);
    if (changes.length === 0) return;
    const { length, chain } = this.position(part.stream);
    const epoch = charter.rooms.get(part.write)?.epoch;
    if (epoch === undefined) throw new Error("a part without a room that writes");
    try {
      const hashes = fold.takeOwn(changes);
      const author = { device: this.device(), epoch, head: charter.head, length, chain };
      const payloads = await makeEditRecords(this.keys.sign, part.stream, author, changes);
      const secrets = this.secrets(part.stream);
      const records = await Promise.all(
        payloads.map((payload) => sealRecord(secrets, payload, this.around.random(24))),
      );
      await this.store.step(() => {
        for (const record of records) this.store.addOutbox(this.case, part.stream, record);
        this.store.putOwnChange(this.case, part.stream, {
          hash: unhex(hashes.at(-1) as Hex),
          sequence: 0,
          intents: new TextEncoder().encode(JSON.stringify(intents)),
        });
      });
    } catch (error) {
      // It was made and not kept: what is shown must be what is kept, or the next change stands on nothing.
      this.parts.delete(hex(part.stream));
      await this.openParts();
      throw error;
    }
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
    await this.store.step(() => {
      this.putRow({ incarnation: this.around.random(8) });
      for (const { stream, change } of lost) this.store.dropOwnChange(this.case, stream, change.hash);
    });
    for (const { stream } of lost) this.parts.delete(hex(stream));
    await this.openParts();
    let made = 0;
    for (const { name, change } of lost) {
      try {
        await this.edit(name, JSON.parse(new TextDecoder().decode(change.intents)));
        made += 1;
      } catch (error) {
        if (!(error instanceof Misuse)) throw error;
        this.alarm(error.code, `a change in ${name} could not be made again`);
      }
    }
    return made;
  }
}
