/**
 * State of a part = fold(records in stream order, charter): which changes are admitted. Spec: docs/spec/part.md.
 *
 * Nothing waits for a missing change: a verdict belongs to a place in the stream, so that everybody gives the same one. Own
 * changes are taken the moment they are made and lie on top, unsettled, until the stream brings them back; where the two
 * disagree the stream is right, and the own change is made again.
 *
 * Signatures are checked first (`vouch`), because WebCrypto waits; what follows is synchronous, so that nothing comes
 * between. Await one `take` before the next.
 */
import { type Change, parseChange } from "../change";
import { Inadmissible } from "../errors";
import { type DeviceId, type Hex, hex } from "../ids";
import type { State } from "./cache";
import { beforeCuts, type Covers, coversOf, parsed, signerOf } from "./coverage";
import { Door } from "./door";
import { type Basis, Ledger, type Source } from "./ledger";
import type { Rights } from "./rights";
import { type FoldEngine, Shown } from "./shown";
import { type SnapshotBody, Unfolded } from "./snapshot";
import { type ChainAt, cutsIn, type Judged, type Outlook, type PartOf, Standing } from "./standing";
import { type Refusal, Verdict } from "./verdict";
import { isSigned, type Vouched, vouch } from "./vouched";

export type { Basis, ChainAt, PartOf };
/** A record's place, and what lies in it. */
export type Opened = readonly [index: number, payload: Uint8Array];

export class PartFold {
  private readonly shown: Shown;
  private readonly unfolded = new Unfolded();
  /** Index of the last record taken. */
  length = 0;
  /** Of the charter at the last record. */
  height = 0;
  door = new Door();
  ledger = new Ledger();
  /** Own changes that the stream has not brought back. */
  private unsettled = new Map<Hex, Uint8Array>();
  private readonly ownActors = new Set<Hex>();
  private standing: Standing;
  private cuts = 0;

  /**
   * `secretAt` gives the part's S of an epoch of the read room; `newEngine` an empty document with the present actor
   * (without it only verdicts are kept).
   */
  constructor(
    readonly part: PartOf,
    private readonly secretAt: (epoch: number) => Uint8Array | undefined,
    newEngine?: () => FoldEngine,
  ) {
    this.shown = new Shown(this, newEngine);
    this.standing = new Standing(part, this.unfolded);
  }

  // What the caller asks

  get engine(): FoldEngine | undefined {
    return this.shown.engine;
  }

  get alarm(): boolean {
    return this.shown.alarm;
  }

  /** Raw changes, each after what it depends on; own unsettled ones last. */
  admitted(): Uint8Array[] {
    return [...this.ledger.entries.map((entry) => entry.raw), ...this.unsettled.values()];
  }

  admittedHashes(): Hex[] {
    return [...this.ledger.entries.map((entry) => entry.hash), ...this.unsettled.keys()];
  }

  /** Own changes that the stream does not hold yet, as far as this device knows. */
  pending(): Uint8Array[] {
    return [...this.unsettled.values()];
  }

  pendingHashes(): Hex[] {
    return [...this.unsettled.keys()];
  }

  /** For cuts: of every actor the highest settled sequence and its hash. */
  newestByActor(): Map<Hex, { readonly seq: number; readonly hash: Hex }> {
    return new Map(this.ledger.entries.map(({ actor, seq, hash }) => [actor, { seq, hash }]));
  }

  /** For a snapshot: attestations, settled changes in order, and witnesses. */
  basis(): Basis {
    const { atts, witnesses } = this.ledger.basis();
    return { atts, changes: this.ledger.entries.map((entry) => entry.raw), witnesses };
  }

  /** The device; undefined for a change that is not settled. */
  authorOf(change: Hex): DeviceId | undefined {
    return this.ledger.find(change)?.device;
  }

  /** What a longer charter may change (`isOutdated`): then `refold`. */
  outlook(): Outlook {
    const { height, cuts, standing } = this;
    return { height, waiting: standing.waiting, mayHeal: standing.mayHeal, cuts };
  }

  // For the store (cache.ts)

  state(): State {
    const { length, height, cuts, standing } = this;
    return {
      length,
      height,
      base: standing.base ?? null,
      epoch: standing.epoch,
      waiting: [...standing.waiting].sort(),
      may_heal: standing.mayHeal,
      cuts,
      own_actors: [...this.ownActors].sort(),
      pending: [...this.unsettled],
    };
  }

  stand(state: State, ledger: Ledger, door: Door, engine: FoldEngine): void {
    this.length = state.length;
    this.height = state.height;
    this.cuts = state.cuts;
    this.standing.base = state.base ?? undefined;
    this.standing.epoch = state.epoch;
    this.standing.mayHeal = state.may_heal;
    for (const head of state.waiting) this.standing.waiting.add(head);
    for (const actor of state.own_actors) this.ownActors.add(actor);
    this.unsettled = new Map(state.pending);
    this.ledger = ledger;
    this.door = door;
    this.shown.engine = engine;
  }

  /** What would come of a snapshot at this place, without taking it: `startedOver` where it stands. */
  async trial(index: number, payload: Uint8Array, chainAt: ChainAt, charter: Rights): Promise<Verdict> {
    const vouched = await vouch(payload, this.part.stream, charter);
    const alone = new Standing(this.part, this.unfolded);
    const verdict = new Verdict();
    alone.epoch = this.standing.epoch;
    alone.base = index - 1;
    try {
      if (vouched.kind === "refused") throw vouched.because;
      if (vouched.kind === "snapshot") {
        const found = this.judged(alone, index, vouched, chainAt, charter, verdict);
        if (found) this.unfolded.keep(vouched.body, found.content);
        verdict.startedOver = found !== undefined;
      }
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      verdict.refuse(error.code, error.device);
    }
    return verdict;
  }

  // Taking

  /** One opened record. */
  async take(index: number, payload: Uint8Array, chainAt: ChainAt, charter: Rights): Promise<Verdict> {
    return (await this.takeAll([[index, payload]], chainAt, charter))[0] as Verdict;
  }

  /** Opened records in their order: each is judged at its place, and the engine takes at once what all of them brought. */
  async takeAll(records: readonly Opened[], chainAt: ChainAt, charter: Rights): Promise<Verdict[]> {
    const isNext = records.length === 1;
    const all = await Promise.all(
      records.map(([, payload]) => vouch(payload, this.part.stream, charter, isNext)),
    );
    const heads = this.door.heads();
    const fresh: Uint8Array[] = [];
    const verdicts = records.map(([index], at) => {
      const verdict = new Verdict();
      this.judge(index, all[at] as Vouched, chainAt, charter, verdict);
      for (const raw of verdict.fresh) fresh.push(raw);
      return verdict;
    });
    const rebuilt = this.shown.add(fresh, heads, this.door.heads());
    for (const verdict of verdicts.slice(-1)) verdict.rebuilt = rebuilt;
    return verdicts;
  }

  /**
   * Own changes at the moment they are made; the engine holds them already. Gives their hashes.
   *
   * Throws Inadmissible when the door would refuse one: then the engine is as before these changes, and nothing that others
   * would refuse was sent.
   */
  takeOwn(changes: readonly Uint8Array[]): Hex[] {
    const hashes: Hex[] = [];
    try {
      for (const raw of changes) {
        const change = this.door.check(raw);
        this.door.admit(change);
        this.unsettled.set(change.hash, raw);
        this.ownActors.add(change.actor);
        hashes.push(change.hash);
      }
    } catch (error) {
      for (const made of hashes) this.unsettled.delete(made);
      this.restart(new Verdict());
      this.shown.remake();
      throw error;
    }
    return hashes;
  }

  /** Everything again from the records since base. `voided` in the verdict were admitted before. */
  async refold(records: Iterable<Opened>, chainAt: ChainAt, charter: Rights): Promise<Verdict> {
    const all: (readonly [number, Vouched])[] = [];
    for (const [index, payload] of records) {
      all.push([index, await vouch(payload, this.part.stream, charter)]);
    }
    const before = this.ledger;
    const mine = this.ownWords();
    this.startEmpty();
    this.standing = new Standing(this.part, this.unfolded);
    this.length = 0;
    this.height = charter.n;
    const verdict = new Verdict();
    for (const [index, vouched] of all) this.judge(index, vouched, chainAt, charter, verdict);
    const voided = voidedIn(verdict.refused);
    // Own changes that these records do not hold any more (a relay lost them): still words of this person.
    this.layOnTop(mine, verdict, voided);
    verdict.voided.push(...before.entries.map((entry) => entry.hash).filter((made) => !this.holds(made)));
    verdict.rebuilt = this.shown.add([], [], this.door.heads());
    return verdict;
  }

  /** Own changes in the order in which they were made, settled or not. */
  private ownWords(): Map<Hex, Uint8Array> {
    const settled = this.ledger.entries.filter((entry) => this.ownActors.has(entry.actor));
    return new Map([...settled.map((entry) => [entry.hash, entry.raw] as const), ...this.unsettled]);
  }

  private startEmpty(): void {
    this.door = new Door();
    this.ledger = new Ledger(this.ledger.days());
    this.unsettled = new Map();
  }

  private holds(change: Hex): boolean {
    return this.ledger.find(change) !== undefined || this.unsettled.has(change);
  }

  // One record

  private judge(index: number, vouched: Vouched, chainAt: ChainAt, charter: Rights, verdict: Verdict): void {
    if (index <= this.length) throw new RangeError("records are taken in the order of the stream");
    this.standing.base ??= index - 1;
    this.length = index;
    this.height = charter.n;
    this.cuts = cutsIn(charter, this.part.stream);
    try {
      if (vouched.kind === "edit") this.takeEdit(index, vouched, chainAt, charter, verdict);
      else if (vouched.kind === "snapshot") this.takeSnapshot(index, vouched, chainAt, charter, verdict);
      else if (vouched.kind === "refused") throw vouched.because;
      else verdict.setAside = true;
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      verdict.refuse(error.code, error.device);
    }
  }

  private takeEdit(
    index: number,
    { edit, signed, changes }: Vouched<"edit">,
    chainAt: ChainAt,
    charter: Rights,
    verdict: Verdict,
  ): void {
    const { att } = edit;
    const known = isSigned(signed);
    if (!this.standing.mayWrite(known, att.device, att.epoch, att.head, charter, verdict)) return;
    if (att.length >= index) throw new Inadmissible("false_seen", undefined, hex(att.device));
    this.standing.checkSeen(att.length, att.chain, att.device, chainAt, verdict);
    this.standing.epoch = Math.max(this.standing.epoch, att.epoch);
    const parts = changes ?? edit.changes.map((raw) => parsed(raw));
    this.takeChanges(index, parts, [], [{ att, path: [] }], charter, verdict);
  }

  private takeSnapshot(
    index: number,
    vouched: Vouched<"snapshot">,
    chainAt: ChainAt,
    charter: Rights,
    verdict: Verdict,
  ): void {
    const found = this.judged(this.standing, index, vouched, chainAt, charter, verdict);
    if (found) this.startOver(index, vouched.body, found, charter, verdict);
  }

  private judged(
    standing: Standing,
    index: number,
    vouched: Vouched<"snapshot">,
    chainAt: ChainAt,
    charter: Rights,
    verdict: Verdict,
  ): Judged | undefined {
    const found = standing.judgeSnapshot(index, vouched, chainAt, charter, verdict);
    if (!found || found.byWriter) return found;
    // Who manages what another one writes may shorten it, and take no word of it from who has read that word.
    const alone = new PartFold(this.part, this.secretAt);
    alone.startOver(index, vouched.body, found, charter, new Verdict());
    const lost = this.ledger.entries.filter(({ hash }) => !alone.ledger.find(hash));
    if (lost.length === 0) return found;
    verdict.giveBack.push(...this.ledger.giveBack(lost));
    throw new Inadmissible("left_out", undefined, hex(vouched.body.by));
  }

  private startOver(
    index: number,
    body: SnapshotBody,
    { content, sources }: Judged,
    charter: Rights,
    verdict: Verdict,
  ): void {
    verdict.unchecked ||= content.atts.length > 0;
    const before = this.ledger;
    const mine = this.ownWords();
    this.startEmpty();
    this.standing.epoch = body.epoch;
    this.standing.base = index - 1;
    verdict.startedOver = true;
    const refusedBefore = verdict.refused.length;
    const parts = content.changes.map((raw, at) => parsed(raw, content.hashes[at]));
    this.takeChanges(index, parts, content.witnesses, sources, charter, verdict);
    const voided = voidedIn(verdict.refused.slice(refusedBefore));
    this.layOnTop(mine, verdict, voided);
    const lost = before.entries.filter((entry) => !this.ledger.find(entry.hash));
    verdict.voided.push(...lost.map((entry) => entry.hash).filter((made) => !this.unsettled.has(made)));
    verdict.giveBack.push(...before.giveBack(lost.filter((entry) => !voided.has(entry.hash))));
  }

  // Changes

  private takeChanges(
    index: number,
    parts: readonly (Change | string)[],
    witnesses: readonly Uint8Array[],
    sources: readonly Source[],
    charter: Rights,
    verdict: Verdict,
  ): void {
    const covers = coversOf(this.part.stream, sources, parts, witnesses);
    for (const change of parts) {
      if (typeof change === "string") verdict.refuse(change);
      else this.takeChange(index, change, covers, charter, verdict);
    }
    for (const cover of covers.all) cover.rememberPath(this.ledger);
  }

  private takeChange(index: number, change: Change, covers: Covers, charter: Rights, verdict: Verdict): void {
    const owning = covers.owning(change);
    const reaching = owning.filter((cover) => cover.covers(change));
    const known = this.ledger.find(change.hash);
    if (known) {
      for (const { source } of reaching) this.ledger.cover(known, source);
      return;
    }
    let source: Source;
    let door: Door;
    try {
      door = this.checkDoor(change);
      if (owning.length === 0) throw new Inadmissible("bad_actor");
      if (reaching.length === 0) throw new Inadmissible("not_covered");
      source = beforeCuts(this.part.stream, reaching, change, charter, this.secretAt);
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      const signer = signerOf(change, covers);
      verdict.refuse(error.code, signer && hex(signer), change.hash);
      // Any other no to an own unsettled change may be another's doing, who put it beside something else.
      if (error.code === "behind_cut" && this.unsettled.delete(change.hash)) this.restart(verdict);
      return;
    }
    if (door !== this.door) {
      // A copy of this store wrote as the same actor, and the stream has its change first.
      for (const made of this.unsettled.keys()) verdict.refuse("bad_sequence", undefined, made);
      this.unsettled.clear();
      this.door = door;
    }
    if (!this.unsettled.delete(change.hash)) {
      this.door.admit(change);
      verdict.fresh.push(change.raw);
    }
    this.ledger.admit(change, index, source);
    verdict.admitted.push(change.hash);
  }

  /** As if the own unsettled changes were not there: nobody else has them. The door that was asked. */
  private checkDoor(change: Change): Door {
    if (change.deps.some((dep) => this.unsettled.has(dep))) throw new Inadmissible("missing_dependency");
    // It was asked when the change was made.
    if (this.unsettled.has(change.hash)) return this.door;
    const isMine = this.unsettled.size > 0 && this.ownActors.has(change.actor);
    const door = isMine ? this.settledDoor() : this.door;
    door.checkParsed(change);
    return door;
  }

  private settledDoor(): Door {
    const door = new Door();
    for (const entry of this.ledger.entries) door.admit(parseChange(entry.raw));
    return door;
  }

  // After a change of mind

  /** The door again from what is settled, then the own unsettled changes as far as they still stand. */
  private restart(verdict: Verdict): void {
    this.door = this.settledDoor();
    const pending = this.unsettled;
    this.unsettled = new Map();
    this.layOnTop(pending, verdict);
  }

  private layOnTop(
    own: ReadonlyMap<Hex, Uint8Array>,
    verdict: Verdict,
    voided: ReadonlySet<Hex | undefined> = new Set(),
  ): void {
    for (const [made, raw] of own) {
      if (voided.has(made) || this.holds(made)) continue;
      try {
        this.door.admit(this.door.check(raw));
        this.unsettled.set(made, raw);
      } catch (error) {
        if (!(error instanceof Inadmissible)) throw error;
        verdict.refuse(error.code, undefined, made);
      }
    }
  }
}

/** The changes that a cut voids. */
function voidedIn(refused: readonly Refusal[]): Set<Hex | undefined> {
  return new Set(refused.filter(({ code }) => code === "behind_cut").map(({ change }) => change));
}
