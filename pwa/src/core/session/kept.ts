/**
 * A part as it was last folded, in this device's own store: opening it checks no signature a second time. Mirror of
 * core/eigenkring/session/kept.py.
 *
 * What was kept must fit what the store holds now: the chain where it stopped, and heads of the document that are those of
 * the verdicts. Where it does not, or is damaged, it is passed over and the part is folded from its records.
 */
import { concat, sha256 } from "../../crypto/kdf";
import type { DocumentEngine } from "../document";
import { EigenkringError } from "../errors";
import { type Chain, hex, type StreamId, same } from "../ids";
import { BadPacked } from "../packed";
import { dumpFold, loadFold } from "../part/cache";
import { bool, bytes, list, pack, struct, u64, unpack } from "../shape";
import type { Folding, OpenPart } from "./folding";

/** So many records are folded in a moment; to write a large part anew after every single one would wear out a phone. */
export const KEPT_EVERY = 32;
/** One record may hold what was typed in an hour, or, as a snapshot, in years: so much is dear to fold again. */
export const KEPT_BYTES = 16_384;
const DIGEST_BYTES = 32;

const keptShape = struct({
  length: u64,
  chain: bytes<Chain>(32),
  unopened: list(u64),
  waits: bool,
  set_aside: bool,
  fold: bytes(),
  document: bytes(),
});

/** After a sync, where enough has come since the last time. */
export async function keep(session: Folding, opened: OpenPart): Promise<void> {
  const { part, fold } = opened;
  const chain = session.store.chainAt(session.case, part.stream, fold.length);
  const { loadEngine } = session.around;
  if (fold.alarm || !chain || !loadEngine || !fold.engine || !isEnough(session, opened)) return;
  const packed = pack(keptShape, {
    length: fold.length,
    chain,
    unopened: [...opened.unopened].sort((a, b) => a - b),
    waits: opened.waits,
    set_aside: opened.setAside,
    fold: dumpFold(fold),
    document: (fold.engine as DocumentEngine).save(),
  });
  // Bits rot on cheap phones: a verdict that did would go out with the next snapshot.
  const whole = concat(sha256(packed), packed);
  await session.store.step(() => session.store.putFact(session.case, nameOf(part.stream), whole));
  opened.keptAt = fold.length;
}

function isEnough(session: Folding, { part, fold, keptAt }: OpenPart): boolean {
  const came = fold.length - keptAt;
  if (came <= 0 || came >= KEPT_EVERY) return came > 0;
  const since = session.store.records(session.case, part.stream, keptAt);
  return since.reduce((sum, { record }) => sum + record.length, 0) >= KEPT_BYTES;
}

/** Fills a part that was just made. False where it must be folded from its records. */
export async function load(session: Folding, opened: OpenPart, actor: Uint8Array): Promise<boolean> {
  const { stream } = opened.part;
  const { loadEngine } = session.around;
  const found = session.store.fact(session.case, nameOf(stream));
  if (!found || !loadEngine) return false;
  const packed = found.subarray(DIGEST_BYTES);
  if (!same(sha256(packed), found.subarray(0, DIGEST_BYTES))) return false;
  try {
    const kept = unpack(keptShape, packed);
    const chain = session.store.chainAt(session.case, stream, kept.length);
    if (!chain || !same(chain, kept.chain)) return false; // the store holds another log now
    if (!loadFold(opened.fold, kept.fold, loadEngine(kept.document, actor))) return false;
    for (const epoch of kept.unopened) opened.unopened.add(epoch);
    opened.waits = kept.waits;
    opened.setAside = kept.set_aside;
    opened.keptAt = opened.fold.length;
    return true;
  } catch (error) {
    if (error instanceof BadPacked || error instanceof EigenkringError) return false;
    throw error;
  }
}

/** Own changes in it are to be made again, or the stream is gone. */
export function forget(session: Folding, stream: StreamId): void {
  session.store.putFact(session.case, nameOf(stream), null);
}

function nameOf(stream: StreamId): string {
  return `fold ${hex(stream)}`;
}
