/** Which changes one signature vouches for: the attested one and its ancestors by hash. Spec: docs/spec/part.md. */
import { type Change, parseChange } from "../change";
import { Inadmissible } from "../errors";
import { type DeviceId, type Hex, hex, type StreamId, unhex } from "../ids";
import type { Ledger, Source } from "./ledger";
import { checkCut, type Rights, tagOf } from "./rights";

/** The change, or the code of the refusal. `hash`: as for `parseChange`. */
export function parsed(raw: Uint8Array, hash?: Uint8Array): Change | string {
  try {
    return parseChange(raw, hash);
  } catch (error) {
    if (error instanceof Inadmissible) return error.code;
    throw error;
  }
}

/**
 * One attestation over the changes of one record. Ancestors are looked for in the record only: what is admitted depends on
 * nothing that is not, so no way from the attested change to a new one leads through an admitted one.
 */
export class Cover {
  readonly device: DeviceId;
  private readonly tag: Hex;
  private readonly reach = new Map<Hex, Change>();

  constructor(
    stream: StreamId,
    readonly source: Source,
    graph: ReadonlyMap<Hex, Change>,
  ) {
    this.device = source.att.device;
    this.tag = hex(tagOf(stream, this.device));
    const todo = [hex(source.att.newest)];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const change = graph.get(next);
      if (!change || this.reach.has(change.hash)) continue;
      this.reach.set(change.hash, change);
      todo.push(...change.deps);
    }
  }

  owns(change: Change): boolean {
    return change.actor.startsWith(this.tag);
  }

  covers(change: Change): boolean {
    return this.reach.has(change.hash);
  }

  /** The refused changes that a later snapshot needs to show what this signature reaches. */
  rememberPath(ledger: Ledger): void {
    const newest = hex(this.source.att.newest);
    if (!this.reach.has(newest) || ledger.find(newest)) return;
    const path = [...this.reach.values()].filter((change) => !ledger.find(change.hash));
    this.source.path = path.map((change) => change.raw);
  }
}

export function coversOf(
  stream: StreamId,
  sources: readonly Source[],
  changes: readonly (Change | string)[],
  witnesses: readonly Uint8Array[],
): Cover[] {
  const graph = new Map<Hex, Change>();
  for (const change of [...witnesses.map((raw) => parsed(raw)), ...changes]) {
    if (typeof change !== "string") graph.set(change.hash, change);
  }
  return sources.map((source) => new Cover(stream, source, graph));
}

/**
 * Whose fault a refused change is: the device whose own it is and that signed for it, or that attested this very change.
 * Nobody else's: anybody can put a change beside an attestation, and honest people build on it.
 */
export function signerOf(change: Change, covers: readonly Cover[]): DeviceId | undefined {
  return covers.find(
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
