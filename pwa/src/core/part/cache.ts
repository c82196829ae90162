/**
 * A fold as it stands, for the device's own store, so that opening a part does not check every signature again. Mirror of
 * core/eigenkring/part/cache.py.
 *
 * No protocol format, and believed to the last byte: it never comes from elsewhere. What does not decode is thrown away, and
 * the part is folded from its records.
 */
import { type DeviceId, type Hex, hex, type StreamId, same, unhex } from "../ids";
import { BadPacked } from "../packed";
import {
  bool,
  bytes,
  list,
  nullable,
  type Of,
  optional,
  pack,
  struct,
  text,
  tuple,
  u32,
  u64,
  unpack,
} from "../shape";
import { parseAttestation } from "./attestation";
import { Door } from "./door";
import type { PartFold } from "./fold";
import { type Entry, Ledger, type Source } from "./ledger";
import type { FoldEngine } from "./shown";

const VERSION = 3;
const EARLIER = 2; // the same but for the door

const stateShape = struct({
  length: u64,
  height: u64,
  base: nullable(u64),
  epoch: u64,
  waiting: list(text),
  may_heal: bool,
  cuts: u64,
  own_actors: list(text),
  pending: list(tuple(text, bytes())),
});
/** Of a fold, besides its ledger and its door. */
export type State = Of<typeof stateShape>;

/** Hash, raw, device, actor, sequence, index and source. */
const entriesShape = list(tuple(bytes(32), bytes(), bytes<DeviceId>(16), bytes(), u64, u64, u64));

const savedShape = struct({
  version: u64,
  stream: bytes<StreamId>(16),
  state: stateShape,
  /** Attestation and path. */
  sources: list(tuple(bytes(), list(bytes()))),
  /** Packed once more, so that they are read only where somebody asks for them. */
  entries: bytes(),
  /** Actor, and sequence and source of each attestation that is kept. */
  covers: list(tuple(text, list(tuple(u64, u64)))),
  door: bytes(),
  /** Of the entries in order, each as often as it says; absent in older ones. */
  days: optional(list(tuple(u64, nullable(u32))), []),
});

export function dumpFold(fold: PartFold): Uint8Array {
  const places = new Map<Hex, number>();
  const sources: (readonly [Uint8Array, readonly Uint8Array[]])[] = [];
  const byObject = new Map<Source, number>();
  const place = (source: Source): number => {
    const known = byObject.get(source);
    if (known !== undefined) return known;
    const key = hex(source.att.raw);
    const at = places.get(key) ?? sources.push([source.att.raw, source.path]) - 1;
    places.set(key, at);
    byObject.set(source, at);
    return at;
  };
  const entries = fold.ledger.entries.map(
    ({ hash, raw, device, actor, seq, index, source }) =>
      [unhex(hash), raw, device, unhex(actor), seq, index, place(source)] as const,
  );
  const covers = [...fold.ledger.covering()].map(
    ([actor, kept]) => [actor, kept.map(({ seq, source }) => [seq, place(source)] as const)] as const,
  );
  return pack(savedShape, {
    version: VERSION,
    stream: fold.part.stream,
    state: fold.state(),
    sources,
    entries: pack(entriesShape, entries),
    covers,
    door: fold.door.dump(),
    days: runsOf(fold.ledger.entries.map(({ day }) => day)),
  });
}

function runsOf(days: readonly (number | null)[]): (readonly [number, number | null])[] {
  const runs: [number, number | null][] = [];
  for (const day of days) {
    const last = runs.at(-1);
    if (last && last[1] === day) last[0] += 1;
    else runs.push([1, day]);
  }
  return runs;
}

/**
 * Fills an empty fold. False when the bytes are of another part or version, or the engine does not hold just what was
 * admitted: then the caller folds anew.
 */
export function loadFold(fold: PartFold, data: Uint8Array, engine: FoldEngine): boolean {
  try {
    const saved = unpack(savedShape, data);
    if (saved.version !== VERSION && saved.version !== EARLIER) return false;
    if (!same(saved.stream, fold.part.stream)) return false;
    const door = saved.version === VERSION ? Door.load(saved.door) : Door.loadEarlier(saved.door);
    // Equal heads are equal sets: a document of another day is found out here.
    if (engine.heads().join() !== door.heads().join()) return false;
    const sources: Source[] = saved.sources.map(([att, path]) => ({ att: parseAttestation(att), path }));
    const at = (index: number): Source => {
      const found = sources[index];
      if (!found) throw new BadPacked("no such attestation");
      return found;
    };
    const days = saved.days.flatMap(([times, day]) => new Array<number | null>(times).fill(day));
    const entries = (): Entry[] =>
      unpack(entriesShape, saved.entries).map(([hash, raw, device, actor, seq, index, source], n) => {
        const day = days[n] ?? null;
        return { hash: hex(hash), raw, device, actor: hex(actor), seq, index, source: at(source), day };
      });
    const covers = saved.covers.map(
      ([actor, kept]) => [actor, kept.map(([seq, source]) => ({ seq, source: at(source) }))] as const,
    );
    fold.stand(saved.state, Ledger.of(entries, covers), door, engine);
    return true;
  } catch (error) {
    // What rots on a cheap phone decodes to anything: each of these means "fold it anew".
    if (error instanceof Error) return false;
    throw error;
  }
}
