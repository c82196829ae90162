/** Which changes one signature vouches for: the attested one and its ancestors by hash. Spec: docs/spec/part.md. */
import { type Change, parseChange } from "../change";
import { Inadmissible } from "../errors";
import { type DeviceId, type Hex, hex, type StreamId, unhex } from "../ids";
import type { Ledger, Source } from "./ledger";
import { checkCut, type Rights, TAG_BYTES, tagOf } from "./rights";

/** The change, or the code of the refusal. `hash`: as for `parseChange`. */
export function parsed(raw: Uint8Array, hash?: Uint8Array): Change | string {
  try {
    return parseChange(raw, hash);
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
}

/** One attestation over the changes of one record. */
export class Cover {
  readonly device: DeviceId;
  readonly tag: Hex;

  /** `at`: which of the record's it is. */
  constructor(
    stream: StreamId,
    readonly source: Source,
    private readonly at: number,
    private readonly graph: Graph,
  ) {
    this.device = source.att.device;
    this.tag = hex(tagOf(stream, this.device));
  }

  owns(change: Change): boolean {
    return change.actor.startsWith(this.tag);
  }

  covers(change: Change): boolean {
    return this.graph.isReached(change.hash, this.at);
  }

  /** The refused changes that a later snapshot needs to show what this signature reaches. */
  rememberPath(ledger: Ledger): void {
    const newest = hex(this.source.att.newest);
    if (!this.graph.isReached(newest, this.at) || ledger.find(newest)) return;
    const path = this.graph.reachedFrom(newest).filter((change) => !ledger.find(change.hash));
    this.source.path = path.map((change) => change.raw);
  }
}

/** Those of one record, found by whose change it is. */
export class Covers {
  private readonly byTag = new Map<Hex, Cover[]>();

  constructor(readonly all: readonly Cover[]) {
    for (const cover of all) {
      const same = this.byTag.get(cover.tag);
      if (same) same.push(cover);
      else this.byTag.set(cover.tag, [cover]);
    }
  }

  /** Of the device whose change it is. */
  owning({ actor }: Change): readonly Cover[] {
    return this.byTag.get(actor.slice(0, TAG_DIGITS)) ?? NONE;
  }
}

const TAG_DIGITS = 2 * TAG_BYTES;
const NONE: readonly Cover[] = [];
const BITS = 32;

/**
 * The changes of one record, and which of its attestations reach each: the attested one and its ancestors. Ancestors are looked
 * for in the record only: what is admitted depends on nothing that is not, so no way from the attested change to a new one leads
 * through an admitted one.
 *
 * One walk for all of them: a change hands on to what it depends on the attestations that reach it. Mostly a change stands after
 * what it depends on, so the walk goes from the last to the first; where it does not, those are walked again, none more often
 * than there are attestations.
 */
export class Graph {
  private readonly changes: Change[] = [];
  private readonly places = new Map<Hex, number>();
  /** By 32 attestations a row with a bit of each, by place. */
  private readonly rows: readonly Uint32Array[];

  constructor(sources: readonly Source[], changes: Iterable<Change>) {
    for (const change of changes) {
      if (this.places.has(change.hash)) continue;
      this.places.set(change.hash, this.changes.length);
      this.changes.push(change);
    }
    const rows = Math.ceil(sources.length / BITS);
    this.rows = Array.from({ length: rows }, () => new Uint32Array(this.changes.length));
    sources.forEach(({ att }, at) => {
      const newest = this.places.get(hex(att.newest));
      if (newest !== undefined) (this.row(at)[newest] as number) |= bit(at);
    });
    for (const row of this.rows) this.walk(row);
  }

  isReached(change: Hex, at: number): boolean {
    const place = this.places.get(change);
    return place !== undefined && ((this.row(at)[place] as number) & bit(at)) !== 0;
  }

  /** In an order that is everybody's: records that are given back are made of it, and equal ones are kept once. */
  reachedFrom(newest: Hex): Change[] {
    const found = new Map<Hex, Change>();
    const todo = [newest];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const change = this.changes[this.places.get(next) ?? -1];
      if (!change || found.has(change.hash)) continue;
      found.set(change.hash, change);
      todo.push(...change.deps);
    }
    return [...found.values()];
  }

  private row(at: number): Uint32Array {
    return this.rows[Math.floor(at / BITS)] as Uint32Array;
  }

  private walk(row: Uint32Array): void {
    const again: number[] = [];
    const handOn = (from: number, below: number): void => {
      const marks = row[from] as number;
      if (marks === 0) return;
      for (const dep of (this.changes[from] as Change).deps) {
        const to = this.places.get(dep);
        if (to === undefined || (marks & ~(row[to] as number)) === 0) continue;
        (row[to] as number) |= marks;
        // Its turn in this walk is over already.
        if (to >= below) again.push(to);
      }
    };
    for (let place = this.changes.length - 1; place >= 0; place--) handOn(place, place);
    for (let place = again.pop(); place !== undefined; place = again.pop()) handOn(place, 0);
  }
}

function bit(at: number): number {
  return 1 << (at % BITS);
}

export function coversOf(
  stream: StreamId,
  sources: readonly Source[],
  changes: readonly (Change | string)[],
  witnesses: readonly Uint8Array[],
): Covers {
  const all = [...witnesses.map((raw) => parsed(raw)), ...changes];
  const graph = new Graph(
    sources,
    all.filter((change) => typeof change !== "string"),
  );
  return new Covers(sources.map((source, at) => new Cover(stream, source, at, graph)));
}

/**
 * Whose fault a refused change is: the device whose own it is and that signed for it, or that attested this very change.
 * Nobody else's: anybody can put a change beside an attestation, and honest people build on it.
 */
export function signerOf(change: Change, { all }: Covers): DeviceId | undefined {
  return all.find(
    (cover) => hex(cover.source.att.newest) === change.hash || (cover.owns(change) && cover.covers(change)),
  )?.device;
}

/** The first attestation under which no cut voids the change. `secretAt`: the part's S of an epoch. Throws `behind_cut`. */
export function beforeCuts(
  stream: StreamId,
  reaching: readonly Cover[],
  change: Change,
  charter: Rights,
  secretAt: (epoch: number) => Uint8Array | undefined,
): Source {
  for (const { source } of reaching) {
    const cut = charter.cutFor(stream, source.att.device, source.att.epoch);
    if (!cut) return source;
    try {
      checkCut(cut, secretAt(cut.readEpoch), unhex(change.actor), change.seq, unhex(change.hash));
      return source;
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
  }
  throw new Inadmissible("behind_cut");
}
