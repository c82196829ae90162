/**
 * When a stream does not follow from what this device knows: read it whole, compare, and find the way back. Mirror of
 * core/eigenkring/session/astray.py.
 *
 * A relay lied, or was put back, or lies now: the device cannot know which. The alarm stands whatever comes of it. What is
 * signed decides what is taken: a part goes on along the log that is shown and what it lacks is given back; the charter goes
 * on only along a log that has every entry this device has.
 */
import { partedAt } from "../charter/branches";
import { entryHash } from "../charter/entry";
import { Inadmissible, RelayMisbehaved } from "../errors";
import { type Chain, type Hex, hex, type StreamId, same } from "../ids";
import { parseRecord } from "../part/record";
import type { OutboxItem } from "../store";
import { accept, appendCap, type PlacedRecord, type Position, startOf } from "../stream";
import type { Batch } from "../wire";
import * as adopting from "./adopting";
import { signedKeys, takeKeys } from "./boxes";
import * as owed from "./owed";
import type { CaseSession, Unsent } from "./parts";
import { noteBeforeAnother } from "./sightings";

export type Purpose = "keys" | "charter" | "part" | "door" | "view";

/** A log that leads elsewhere; what is only nonsense (`relay_garbage`) is asked again another day. */
const LEADS_ELSEWHERE = new Set(["rolled_back", "forked", "broken_chain"]);

/** What the relay shows of a stream from its beginning. */
export interface Shown {
  position: Position;
  baseChain: Chain;
  placed: PlacedRecord[];
}

function shownChain({ position, baseChain, placed }: Shown, length: number): Chain | undefined {
  return length === position.base ? baseChain : placed.find(({ index }) => index === length)?.chain;
}

/** Reads the stream whole in the next round, once a sync. Gives whether that is to happen. */
export function suspect(session: CaseSession, stream: StreamId, code: string): boolean {
  if (!LEADS_ELSEWHERE.has(code) || session.reread.has(hex(stream))) return false;
  session.reread.add(hex(stream));
  const position = startOf(stream);
  session.astray.set(hex(stream), { position, baseChain: position.chain, placed: [] });
  return true;
}

/** One answer to such a read. Gives whether another round would bring more. */
export async function takeAnew(
  session: CaseSession,
  purpose: Purpose,
  stream: StreamId,
  batch: Batch,
): Promise<boolean> {
  const shown = session.astray.get(hex(stream));
  if (!shown) return false;
  try {
    const { position, placed, replaced, more } = accept(shown.position, batch, () => undefined);
    if (replaced) {
      shown.placed = [];
      shown.baseChain = batch.base_chain;
    }
    shown.position = position;
    shown.placed.push(...placed);
    if (more && placed.length > 0) return true;
    session.astray.delete(hex(stream));
    if (more) return false;
    const again = await compare(session, purpose, stream, shown);
    session.gone.delete(hex(stream));
    return again;
  } catch (error) {
    if (!(error instanceof RelayMisbehaved)) throw error;
    session.alarm(error.code, purpose);
    session.astray.delete(hex(stream));
    return false;
  }
}

async function compare(
  session: CaseSession,
  purpose: Purpose,
  stream: StreamId,
  shown: Shown,
): Promise<boolean> {
  const ours = session.position(stream);
  const there = shownChain(shown, ours.length);
  if (there && same(there, ours.chain)) {
    if (purpose === "charter") adopting.comeTogether(session);
    return true; // it follows after all: the lie was in the other answer, read on as ever
  }
  const { length, chain } = shown.position;
  const here = session.store.chainAt(session.case, stream, length);
  const isBehind = here !== undefined && same(here, chain);
  if (isBehind && (await giveBack(session, purpose, stream, new Set(), length))) return true;
  if (purpose === "charter" && session.charter && shown.position.base === 0) {
    const states = await adopting.foldShown(session, shown.placed);
    if (!hasOurEntries(session, states)) return parted(session, shown, states);
  } else if (!(await mayFollow(session, purpose, stream, shown))) {
    if (purpose === "part" && shown.placed.length > 0) session.unfollowed.set(hex(stream), shown.position);
    return false;
  }
  const records = new Set(shown.placed.map(({ record }) => hex(record)));
  const more = await giveBack(session, purpose, stream, records);
  // Also where this person only reads: what the log held is remembered below.
  if (purpose === "part") await session.openedOf(stream);
  await session.store.step(() => {
    if (purpose === "part") owed.remember(session, stream);
    if (purpose !== "door") noteBeforeAnother(session, stream);
    session.store.replaceRecords(session.case, stream, shown.position, shown.baseChain, shown.placed);
    session.arrived(stream, records);
    if (purpose !== "door") session.readWhole.add(hex(stream));
  });
  if (purpose === "keys") await takeKeys(session, shown.placed);
  else if (purpose === "charter") {
    session.forgetCharter();
    await session.foldCharter();
  } else if (purpose === "part") {
    await session.followOtherLog(stream, { signs: !(await adopting.holdsBack(session)) });
  }
  return more || purpose !== "view";
}

async function mayFollow(
  session: CaseSession,
  purpose: Purpose,
  stream: StreamId,
  { position, baseChain, placed }: Shown,
): Promise<boolean> {
  if (purpose === "view") return true;
  const [first] = placed;
  if (purpose === "part") {
    if (position.base === 0) return true;
    if (!first) return false;
    return (
      (await session.snapshotStands(stream, first, baseChain)) ||
      session.hasAllOfOurs(stream, placed, baseChain)
    );
  }
  return position.base === 0; // of these nothing is ever replaced
}

/** Whether the shown charter has every entry of ours. Else a relay could undo a removal by showing less. */
function hasOurEntries(session: CaseSession, states: readonly adopting.ShownState[]): boolean {
  const shown = states.at(-1)?.charter;
  return shown?.heads.index(session.known().head) !== undefined;
}

/** The shown charter lacks entries of ours. Gives whether this device goes along with it (`adopting`). */
async function parted(
  session: CaseSession,
  { position, placed }: Shown,
  states: readonly adopting.ShownState[],
): Promise<boolean> {
  const shown = states.at(-1)?.charter;
  const at = shown ? partedAt(session.known(), shown) : 0;
  if (!shown || at === 0 || at >= shown.n) return false; // another case, or only less of this one
  const adoptedN = adopting.mayFollow(session, states);
  if (adoptedN > 0) await adopting.follow(session, position, placed, adoptedN, states);
  else adopting.rememberShown(session, position, placed);
  return adoptedN > 0;
}

/** Queues the original bytes of what the shown log lacks, in their order. Gives whether there was anything. */
export async function giveBack(
  session: CaseSession,
  purpose: Purpose,
  stream: StreamId,
  there: ReadonlySet<Hex>,
  after = 0,
): Promise<boolean> {
  // An entry follows the one before it, or nothing: at another place it is worth nothing.
  if (purpose === "view" || purpose === "door" || (purpose === "charter" && there.size > 0)) return false;
  if (!appendCap(session.secrets(stream))) return false; // who only reads cannot
  // Now: what is queued below would be laid on top as own words, also what was refused.
  if (purpose === "part") await session.openedOf(stream);
  const waiting = new Set(session.store.outbox(session.case).map(({ record }) => record && hex(record)));
  const lost: PlacedRecord[] = [];
  for (const placed of session.store.records(session.case, stream, after)) {
    const id = hex(placed.record);
    if (there.has(id) || waiting.has(id)) continue;
    if (await isWorthIt(session, purpose, stream, placed)) lost.push(placed);
  }
  await session.store.step(() => {
    const later = session.gone.has(hex(stream)) ? takenOut(session, stream) : [];
    for (const { record } of lost) session.store.addOutbox(session.case, stream, record);
    for (const { record, ops, unsent } of later) {
      const number = session.store.addOutbox(session.case, stream, record, ops);
      if (unsent) session.unsent.set(number, unsent);
    }
  });
  return lost.length > 0;
}

/** What waits for a stream that was gone, to be queued after what its author had seen. The bytes stay. */
function takenOut(
  session: CaseSession,
  stream: StreamId,
): (OutboxItem & { readonly unsent: Unsent | undefined })[] {
  const waiting = session.store.outbox(session.case).flatMap((item) => {
    if (!item.stream || !same(item.stream, stream) || session.claimed.has(item.number)) return [];
    return [{ ...item, unsent: session.unsent.get(item.number) }];
  });
  for (const { number } of waiting) {
    session.store.dropOutbox(number);
    session.unsent.delete(number);
  }
  return waiting;
}

/** Entries of the charter, keybags that were signed, edits of a part. A snapshot stands at its own place, noise nowhere. */
async function isWorthIt(
  session: CaseSession,
  purpose: "keys" | "charter" | "part",
  stream: StreamId,
  placed: PlacedRecord,
): Promise<boolean> {
  if (purpose === "keys") return signedKeys(session, placed.record);
  if (purpose === "charter") {
    const payload = (await session.openCharter([placed])).get(placed.index);
    return (
      Boolean(payload?.length) && session.known().headIndex(entryHash(payload as Uint8Array)) !== undefined
    );
  }
  const payload = await session.payloadOf(stream, placed);
  try {
    return payload !== undefined && parseRecord(payload).kind === "edit";
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    return false;
  }
}
