/**
 * Taking in what a relay pushes, record by record, between two syncs. Mirror of core/eigenkring/session/pushed.py. Spec:
 * docs/spec/streams.md (What a device does with a push).
 *
 * Only edits of parts, each at the place after the last one that is here, opened and judged like any other. A push announces
 * no head to compare with; the signed "seen" inside each record, the answer to each own append, and the next sync do. For
 * whatever else there is, and wherever there is doubt, a sync looks.
 */
import * as running from "../../crypto/chain";
import { CryptoError } from "../../crypto/errors";
import { recordEpoch } from "../../crypto/seal";
import { hex, named, type RecordBytes, type StreamId, same } from "../ids";
import type { PlacedRecord } from "../stream";
import type { ReadPart } from "./folding";
import type { CaseSession } from "./parts";

/** A record, and the place the relay says it has. */
export interface Pushed {
  readonly stream: StreamId;
  readonly index: number;
  readonly record: RecordBytes;
}

/**
 * Takes in records of one stream, in the order in which they came. Gives whether nothing is left for a sync to look at. Call
 * it in the session's turn, and not while a sync reads.
 */
export async function takePushed(session: CaseSession, pushed: readonly Pushed[]): Promise<boolean> {
  const [first] = pushed;
  if (!first) return true;
  const { stream } = first;
  const part = session.parts.get(hex(stream));
  const isPresent = part && session.charter?.parts.get(part.part.name);
  if (session.row.state !== "open" || !isPresent || !same(isPresent.stream, stream)) return false;
  // Its log is being compared with another one.
  if (session.astray.has(hex(stream)) || session.unfollowed.has(hex(stream))) return false;
  // Opened after they are kept it would take them in by itself, and nobody would hear what came of it.
  const opened = await session.opened(part);
  const { placed, isWhole } = follow(session, opened, pushed);
  if (placed.length === 0) return isWhole;
  const last = placed.at(-1) as PlacedRecord;
  const { base } = session.position(stream);
  // They are opened and verified while the disk writes; taking them in ends when both have.
  const kept = session.store.step(() => {
    const position = { base, length: last.index, chain: last.chain };
    session.store.putRecords(session.case, stream, position, placed);
    session.arrived(stream, new Set(placed.map(({ record }) => hex(record))));
  });
  kept.catch(() => undefined);
  const isPlain = await session.takeIn(opened);
  await kept;
  return isPlain && isWhole;
}

/** What follows without a gap on what is here; `isWhole`: that was all, and none of it contradicts what is here. */
function follow(
  session: CaseSession,
  { part }: ReadPart,
  pushed: readonly Pushed[],
): { readonly placed: PlacedRecord[]; readonly isWhole: boolean } {
  const { stream } = part;
  const placed: PlacedRecord[] = [];
  let { length, chain } = session.position(stream);
  for (const { index, record } of pushed) {
    if (index <= length) {
      const before = session.store.chainAt(session.case, stream, index - 1);
      const known = session.store.chainAt(session.case, stream, index);
      // Said again is no news; another record at a place that is taken is a second log, and a sync will see whose.
      if (before && known && !same(running.extend(before, record), known)) return { placed, isWhole: false };
      continue;
    }
    if (index > length + 1 || !isReadable(session, part.read, record)) return { placed, isWhole: false };
    length = index;
    chain = named(running.extend(chain, record));
    placed.push({ index, record, chain });
  }
  return { placed, isWhole: true };
}

/** Whether its key is here. A lock was turned otherwise, and the keys come first in a sync. */
function isReadable(session: CaseSession, room: string, record: RecordBytes): boolean {
  try {
    return session.ring.secret(room, recordEpoch(record)) !== undefined;
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}
