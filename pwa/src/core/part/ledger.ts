/** The admitted changes of a part in order, and the attestations they rest on. Spec: docs/spec/part.md. */
import type { Change } from "../change";
import { type DeviceId, type Hex, hex } from "../ids";
import type { Attestation } from "./attestation";
import { MAX_CHANGES, makeEdit } from "./record";

/** Below max_record_bytes with room for padding and seal. */
export const MAX_EDIT_BYTES = 900_000;

/** An attestation, and the changes that are not admitted through which it reaches those that are. */
export interface Source {
  readonly att: Attestation;
  path: readonly Uint8Array[];
  /** A snapshot keeps its author's newest only: it reaches far back, and says the day of this one change. */
  readonly newest?: Hex;
}

export interface Entry {
  readonly hash: Hex;
  readonly raw: Uint8Array;
  readonly device: DeviceId;
  readonly actor: Hex;
  readonly seq: number;
  readonly index: number;
  readonly source: Source;
  /** On which its author claims to have signed it, where that is known here. */
  readonly day: number | null;
}

/** An attestation, and the highest sequence of an actor that it reaches. */
export interface Covering {
  readonly seq: number;
  readonly source: Source;
}

/** What a snapshot is made of. */
export interface Basis {
  readonly atts: readonly Uint8Array[];
  readonly changes: readonly Uint8Array[];
  readonly witnesses: readonly Uint8Array[];
}

export class Ledger {
  private readonly admitted: Entry[] = [];
  private readonly byHash = new Map<Hex, Entry>();
  private readonly covers = new Map<Hex, readonly Covering[]>();
  private saved: (() => readonly Entry[]) | undefined;

  /** `told`: what is known of the days that authors claimed, for changes whose own records are gone. */
  constructor(private readonly told: ReadonlyMap<Hex, number> = new Map()) {}

  /** As it was kept (`cache`). `saved` is asked for when the entries are needed: to show a part or write in it nobody does. */
  static of(saved: () => readonly Entry[], covers: Iterable<readonly [Hex, readonly Covering[]]>): Ledger {
    const ledger = new Ledger();
    ledger.saved = saved;
    for (const [actor, kept] of covers) ledger.covers.set(actor, kept);
    return ledger;
  }

  get entries(): Entry[] {
    this.load();
    return this.admitted;
  }

  private load(): void {
    const { saved } = this;
    if (!saved) return;
    this.saved = undefined;
    for (const entry of saved()) {
      this.admitted.push(entry);
      this.byHash.set(entry.hash, entry);
    }
  }

  /** Of every actor the attestations that are kept. */
  covering(): Iterable<readonly [Hex, readonly Covering[]]> {
    return this.covers;
  }

  find(change: Hex): Entry | undefined {
    this.load();
    return this.byHash.get(change);
  }

  /** The days that authors claimed, by change. */
  days(): ReadonlyMap<Hex, number> {
    const found = new Map(this.told);
    for (const { hash, day } of this.entries) if (day !== null) found.set(hash, day);
    return found;
  }

  admit({ hash, raw, actor, seq }: Change, index: number, source: Source): void {
    const { att, newest = hash } = source;
    const day = this.told.get(hash) ?? (newest === hash ? att.day : null);
    this.add({ hash, raw, device: att.device, actor, seq, index, source, day });
  }

  add(entry: Entry): void {
    this.load();
    this.admitted.push(entry);
    this.byHash.set(entry.hash, entry);
    this.cover(entry, entry.source);
  }

  /**
   * Keeps an attestation as long as no other one reaches as far and is of as late an epoch: a cut may later void what was
   * attested in an epoch, and not what was attested again after it.
   */
  cover(entry: Entry, source: Source): void {
    const kept = this.covers.get(entry.actor) ?? [];
    const { epoch } = source.att;
    const reachesFurther = (seq: number, other: number): boolean =>
      seq >= entry.seq && other >= epoch && (seq !== entry.seq || other !== epoch);
    if (kept.some((other) => reachesFurther(other.seq, other.source.att.epoch))) return;
    const still = kept.filter((other) => other.seq > entry.seq || other.source.att.epoch > epoch);
    this.covers.set(entry.actor, [...still, { seq: entry.seq, source }]);
  }

  /** For a snapshot: the attestations, and the refused changes they need to reach the admitted ones. */
  basis(): { readonly atts: Uint8Array[]; readonly witnesses: Uint8Array[] } {
    const sources = new Map<Hex, Source>();
    for (const kept of this.covers.values()) {
      for (const { source } of kept) sources.set(hex(source.att.raw), source);
    }
    const witnesses = new Map<Hex, Uint8Array>();
    this.load();
    for (const { att, path } of sources.values()) {
      if (this.byHash.has(hex(att.newest))) continue;
      for (const raw of path) witnesses.set(hex(raw), raw);
    }
    const atts = [...sources.keys()].sort().map((key) => (sources.get(key) as Source).att.raw);
    return { atts, witnesses: [...witnesses.values()] };
  }

  /** Edit records with the original attestations, in the original order. */
  giveBack(lost: Iterable<Entry>): Uint8Array[] {
    const groups = new Map<Hex, { readonly source: Source; readonly changes: Uint8Array[] }>();
    for (const { source, raw } of lost) {
      const key = hex(source.att.raw);
      const group = groups.get(key) ?? { source, changes: [] };
      group.changes.push(raw);
      groups.set(key, group);
    }
    const payloads: Uint8Array[] = [];
    for (const { source, changes } of groups.values()) {
      const whole = [...changes, ...source.path];
      const size = whole.reduce((total, raw) => total + raw.length, 0);
      // What a snapshot brought under one attestation may be more than a record holds; then only a new snapshot gives it
      // back.
      if (whole.length <= MAX_CHANGES && size <= MAX_EDIT_BYTES)
        payloads.push(makeEdit(source.att.raw, whole));
    }
    return payloads;
  }
}
