/**
 * What this device saw of each stream, and when: a few places of its log, kept though the relay shows another one later.
 * Mirror of core/eigenkring/session/sightings.py.
 *
 * They are for reports (docs/spec/report.md). Chain values of the log that lies there now are kept with its records; these
 * are kept beside them, each with the generation of the relay and this device's clock.
 */
import { type Chain, hex, type StreamId, same, unhex } from "../ids";
import { bytes, list, type Of, pack, tuple, u64, unpack } from "../shape";
import type { Position } from "../stream";
import type { CaseState } from "./case";

/** A stream that is read for years: its first sighting, ever fewer of the old ones, the newest ones. */
export const MAX_SIGHTINGS = 24;
/** Of logs that are not there any more; each time a relay shows another one it costs one. */
export const MAX_GONE_KEPT = 8;
export const MAX_GENERATIONS_KEPT = 16;
const GENERATIONS = "generations";

/** Generation, this device's clock, index, and the chain that it had there as the relay of that generation showed it. */
const sightingShape = tuple(u64, u64, u64, bytes<Chain>(32));
const sightingsShape = list(sightingShape);
const numbersShape = list(u64);
export type Sighting = Of<typeof sightingShape>;

const fact = (stream: StreamId): string => `seen ${hex(stream)}`;

/** Oldest first. */
export function sightings({ store, case: of }: CaseState, stream: StreamId): readonly Sighting[] {
  const packed = store.fact(of, fact(stream));
  return packed ? unpack(sightingsShape, packed) : [];
}

/** The newest that the relay announced, in the order in which it did. */
export function generations({ store, case: of }: CaseState): readonly number[] {
  const packed = store.fact(of, GENERATIONS);
  if (packed) return unpack(numbersShape, packed);
  const last = store.fact(of, "generation"); // of a store that an earlier program kept
  return last ? [Math.min(unpack(u64, last), Number.MAX_SAFE_INTEGER)] : [];
}

/** The relay announced another one than before. What was read under the one before was not read under this one. */
export function noteGeneration(session: CaseState, generation: number): void {
  const now = Math.min(generation, Number.MAX_SAFE_INTEGER);
  const kept = [...generations(session).filter((one) => one !== now), now].slice(-MAX_GENERATIONS_KEPT);
  session.store.putFact(session.case, GENERATIONS, pack(numbersShape, kept));
  session.readWhole.clear();
}

/** Keeps where each stream is that was read to its end in this sync. */
export async function note(session: CaseState): Promise<void> {
  const generation = generations(session).at(-1);
  if (generation === undefined) return;
  await session.store.step(() => {
    for (const id of session.readWhole) {
      const stream = unhex<StreamId>(id);
      add(session, stream, session.position(stream), generation);
    }
  });
}

/** Another log is about to take the place of this one: where it ended stays known. Call it in a step. */
export function noteBeforeAnother(session: CaseState, stream: StreamId): void {
  const last = sightings(session, stream).at(-1);
  const position = session.position(stream);
  const generation = last?.[0] ?? generations(session).at(-1) ?? 0;
  if (last && last[2] === position.length && same(last[3], position.chain)) return;
  add(session, stream, position, generation);
}

/** The stream was left behind, with what was kept of it. */
export function drop(session: CaseState, stream: StreamId): void {
  session.store.putFact(session.case, fact(stream), null);
  session.readWhole.delete(hex(stream));
}

function add(session: CaseState, stream: StreamId, { length, chain }: Position, generation: number): void {
  const seen = sightings(session, stream);
  const last = seen.at(-1);
  if (length === 0) return;
  if (last && last[0] === generation && last[2] === length && same(last[3], chain)) return;
  const kept = thinned(session, stream, [...seen, [generation, session.around.clock(), length, chain]]);
  session.store.putFact(session.case, fact(stream), pack(sightingsShape, kept));
}

/** Every second of the older half goes; the first one stays, and what shows that another log lay there. */
function thinned(session: CaseState, stream: StreamId, seen: readonly Sighting[]): readonly Sighting[] {
  if (seen.length <= MAX_SIGHTINGS) return seen;
  const linked = linkedFrom(session, stream);
  const gone = seen.slice(0, -1).filter((one) => isGone(session, stream, one, linked));
  const on = seen.filter((one) => !gone.includes(one));
  const half = Math.floor(on.length / 2);
  const kept = new Set([...on.filter((_, at) => at >= half || at % 2 === 0), ...gone.slice(-MAX_GONE_KEPT)]);
  return seen.filter((one) => kept.has(one));
}

/**
 * The first place from which every chain to the end of the log is known. A snapshot that stands for more than was read here
 * leaves a gap: what was read before it may be of another log, and nobody can tell.
 */
export function linkedFrom(session: CaseState, stream: StreamId): number {
  const { base, length } = session.position(stream);
  let first = Math.min(base + 1, length);
  while (first > 1 && session.store.chainAt(session.case, stream, first - 1)) first -= 1;
  return first;
}

/**
 * Whether it is of a log that is not there any more, or may be: then it is said of its own generation only. `linked` is
 * `linkedFrom` of that stream.
 */
export function isGone(
  { store, case: of }: CaseState,
  stream: StreamId,
  one: Sighting,
  linked: number,
): boolean {
  const chain = store.chainAt(of, stream, one[2]);
  return one[2] < linked || !chain || !same(chain, one[3]);
}
