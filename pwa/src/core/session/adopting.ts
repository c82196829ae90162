/**
 * The relay shows a charter that parted from ours: keeping it, going along with it, and entering again what it lacks. Mirror
 * of core/eigenkring/session/adopting.py. Spec: docs/spec/charter.md, Adopt.
 *
 * A relay that was put back to before a removal, with another entry written since, shows a charter without that removal.
 * No device goes along by itself: an owner's entry `adopt` names what is dropped. Whoever knew of a removal goes along only
 * where it was entered again, or as an owner, who enters it.
 */
import { dropped, floors, mayAdopt, type Owed, owed, partedAt } from "../charter/branches";
import { type Entry, parseEntry } from "../charter/entry";
import { fold } from "../charter/rules";
import type { Charter } from "../charter/state";
import { Inadmissible } from "../errors";
import {
  type Capability,
  type Chain,
  type EntryHash,
  hex,
  type RecordBytes,
  type RoomSecret,
  type StreamId,
  same,
} from "../ids";
import { EVERYONE } from "../rooms";
import { bytes, list, pack, tuple, u64, unpack } from "../shape";
import { manageCap, type PlacedRecord, type Position, startOf } from "../stream";
import { allTold, KEYS_THAT_WAIT } from "./boxes";
import type { CaseState } from "./case";
import * as kept from "./kept";
import type { CaseSession } from "./parts";
import { noteBeforeAnother } from "./sightings";

const SHOWN = "shown charter";
const BRANCHES = "branches";
const HELD = "held back";

/** The charter stream as the relay shows it: where it ends, and its records from the first. */
const shownShape = tuple(
  u64,
  bytes<Chain>(32),
  list(tuple(u64, bytes<RecordBytes>(undefined, 1), bytes<Chain>(32))),
);
const branchesShape = list(
  tuple(u64, list(bytes()), u64, list(tuple(bytes<StreamId>(16), bytes<Capability>(32)))),
);

/** What this device had and gave up: entries after the one where the two parted, and the streams they opened. */
export interface Branch {
  readonly parted: number;
  readonly payloads: readonly Uint8Array[];
  /** The entry that adopted the other one; 0 while this device is to write it. */
  readonly adoptedN: number;
  /** Of streams that only this branch knew, with the manage capability. */
  readonly closes: readonly (readonly [stream: StreamId, cap: Capability])[];
}

/** An entry that is shown, and the state after it. */
export interface ShownState {
  readonly entry: Entry;
  readonly charter: Charter;
}

// --- the charter that is shown

/** The relay shows another charter than ours: told to people, and kept for an owner to decide on. */
export function rememberShown(
  session: CaseState,
  { length, chain }: Position,
  placed: readonly PlacedRecord[],
): void {
  const records = placed.map(({ index, record, chain: at }) => [index, record, at] as const);
  session.store.putFact(session.case, SHOWN, pack(shownShape, [length, chain, records]));
  session.alarm("parted", "charter");
}

export function hasParted(session: CaseState): boolean {
  return session.store.fact(session.case, SHOWN) !== undefined;
}

/** The relay shows our charter again, or ours is the one it shows. */
export function comeTogether(session: CaseState): void {
  if (!hasParted(session)) return;
  session.store.putFact(session.case, SHOWN, null);
  session.store.dropAlarm(session.case, "parted", "charter");
}

export function shownRecords(session: CaseState): readonly [position: Position, placed: PlacedRecord[]] {
  const packed = session.store.fact(session.case, SHOWN);
  if (!packed) return [startOf(session.charterStream), []];
  const [length, chain, records] = unpack(shownShape, packed);
  const placed = records.map(([index, record, at]): PlacedRecord => ({ index, record, chain: at }));
  return [{ base: 0, length, chain }, placed];
}

/**
 * Every entry of a charter stream with the state after it, opened with all that this device was ever told: the epochs after
 * the two parted have other secrets than ours.
 */
export async function foldShown(session: CaseState, placed: readonly PlacedRecord[]): Promise<ShownState[]> {
  const secrets = new Map<number, RoomSecret[]>();
  for (const { room, epoch, secret } of [...session.ring, ...(await allTold(session))]) {
    const known = secrets.get(epoch) ?? [];
    if (room !== EVERYONE || known.some((one) => same(one, secret))) continue;
    secrets.set(epoch, [...known, secret]);
  }
  const payloads = await session.openCharter(placed, secrets);
  const states: ShownState[] = [];
  let charter: Charter | undefined;
  let before = startOf(session.charterStream).chain;
  for (const { index, chain } of placed) {
    const payload = payloads.get(index);
    if (payload?.length) {
      try {
        charter = await fold(charter, payload, session.case, before, session.around.schema);
        states.push({ entry: parseEntry(payload), charter });
      } catch (error) {
        if (!(error instanceof Inadmissible)) throw error;
        if (error.code === "future_version") break;
      }
    }
    before = chain;
  }
  return states;
}

// --- whether to go along

/** The number of the entry that names our newest entry as dropped, by one who may; 0 where there is none. */
export function adoptedIn(branch: Charter, states: readonly ShownState[]): number {
  for (const [at, { entry, charter }] of states.entries()) {
    const before = states[at - 1]?.charter;
    const { body } = entry;
    if (!before || body?.what !== "adopt") continue;
    const isOurs = ([n, head]: readonly [number, Uint8Array]): boolean =>
      n === branch.n && same(head, branch.head);
    const author = before.personOf(body.by);
    if (author && body.dropped.some(isOurs) && mayAdopt(branch, before, author.person)) return charter.n;
  }
  return 0;
}

/**
 * The adopting entry, where this device goes along with what is shown; else 0.
 *
 * An owner goes along to enter again what is owed. Anybody else waits until that was done: a member who has seen a removal
 * never writes where the removed one reads.
 */
export function mayFollow(session: CaseState, states: readonly ShownState[]): number {
  const branch = session.known();
  const adoptedN = adoptedIn(branch, states);
  const newest = states.at(-1)?.charter;
  if (adoptedN === 0 || !newest) return 0;
  const me = session.row.person;
  if (me && newest.isOwner(me) && branch.isOwner(me)) return adoptedN;
  const isSettled = states.some(
    ({ charter }) => charter.n >= adoptedN && owed(branch, charter, adoptedN).every(({ who }) => who),
  );
  return isSettled ? adoptedN : 0;
}

/** Takes the shown charter in the place of ours. What ours had beside it is kept until it is entered again. */
export async function follow(
  session: CaseSession,
  position: Position,
  placed: readonly PlacedRecord[],
  adoptedN: number,
  states: readonly ShownState[],
): Promise<void> {
  const branch = session.known();
  const shown = states.at(-1)?.charter;
  if (!shown) throw new Error("following a charter without entries");
  const parted = partedAt(branch, shown);
  const closes = branch
    .liveStreams()
    .filter((stream) => !shown.streams.has(hex(stream)))
    .flatMap((stream) => {
      const cap = manageCap(session.secrets(stream));
      return cap ? [[stream, cap] as const] : [];
    });
  const payloads = session.entries.slice(parted).map(({ payload }) => payload);
  // Secrets of epochs that the two may both have, each with another one: the boxes have those of the shown one.
  const atParting = states.find(({ charter }) => charter.n === parted)?.charter;
  const late = [...session.ring].filter(
    ({ room, epoch }) => epoch > (atParting?.rooms.get(room)?.epoch ?? 0),
  );
  const told = await allTold(session);
  const { keysStream } = session.row;
  const keys = keysStream ? session.store.records(session.case, keysStream) : [];
  // Opening a box waits somewhere; what is kept is kept in one step, for a battery may die at any.
  const toDisk = session.store.step(() => {
    putBranches(session, [...branches(session), { parted, payloads, adoptedN, closes }]);
    session.store.putFact(session.case, HELD, Uint8Array.of(1));
    dropOutbox(session);
    session.store.dropRoomSecrets(session.case, late);
    session.ring.drop(late);
    const { chain } = startOf(session.charterStream);
    noteBeforeAnother(session, session.charterStream);
    session.store.replaceRecords(session.case, session.charterStream, position, chain, placed);
    comeTogether(session);
    session.forgetCharter();
    session.believeLater(told);
    session.rememberUncheckedKeys(keys.map(({ index }) => index).slice(-KEYS_THAT_WAIT));
    for (const { part } of session.parts.values()) kept.forget(session, part.stream);
    if (shown.devices.has(hex(session.device()))) return;
    // This device came by an entry that was dropped: it has to be invited again.
    session.putRow({ state: "removed" });
    session.alarm("parted", "charter");
  });
  await session.foldCharter();
  await session.openParts();
  await toDisk;
}

/** What was sealed for the circle of before. Own words stay in their parts, and are signed again. Call it in a step. */
function dropOutbox(session: CaseSession): void {
  const { partStreams } = session.known();
  for (const { number, stream } of session.store.outbox(session.case)) {
    if (stream && (partStreams.has(hex(stream)) || same(stream, session.charterStream))) {
      session.store.dropOutbox(number);
    }
  }
}

// --- what is still to be done

export function branches(session: CaseState): Branch[] {
  const packed = session.store.fact(session.case, BRANCHES);
  if (!packed) return [];
  return unpack(branchesShape, packed).map(([parted, payloads, adoptedN, streams]) => ({
    parted,
    payloads,
    adoptedN,
    closes: streams,
  }));
}

function putBranches(session: CaseState, found: readonly Branch[]): void {
  const rows = found.map(
    ({ parted, payloads, adoptedN, closes: streams }) => [parted, payloads, adoptedN, streams] as const,
  );
  session.store.putFact(session.case, BRANCHES, rows.length > 0 ? pack(branchesShape, rows) : null);
}

/** The branch's charter, from the entries that the two have in common and its own. */
export async function charterOf(session: CaseState, branch: Branch): Promise<Charter> {
  let found: Charter | undefined;
  const common = session.entries.slice(0, branch.parted).map(({ payload }) => payload);
  for (const payload of [...common, ...branch.payloads]) {
    const { chain } = parseEntry(payload).outline;
    found = await fold(found, payload, session.case, chain, session.around.schema);
  }
  if (!found) throw new Error("a branch without entries");
  return found;
}

export function entriesOf(branch: Branch): Entry[] {
  return branch.payloads.map(parseEntry);
}

/** What this device's own entry has to name. */
export interface ToAdopt {
  readonly heads: readonly (readonly [n: number, head: EntryHash])[];
  readonly floors: ReadonlyMap<string, number>;
}

/** Whether this device's own entry is still to be written. */
function isToAdopt(session: CaseState): boolean {
  return branches(session).some(({ adoptedN }) => adoptedN === 0);
}

/** Undefined where there is nothing to adopt. */
export async function toAdopt(session: CaseState): Promise<ToAdopt | undefined> {
  const [waiting] = branches(session).filter(({ adoptedN }) => adoptedN === 0);
  if (!waiting) return undefined;
  const was = await charterOf(session, waiting);
  return { heads: dropped(was, session.known()), floors: floors(was, session.known()) };
}

/** The entry is in: what came after it came with the branch known. */
export function adopted(session: CaseState): void {
  const found = branches(session);
  const at = found.findIndex(({ adoptedN }) => adoptedN === 0);
  putBranches(
    session,
    found.map((branch, place) => (place === at ? { ...branch, adoptedN: session.known().n } : branch)),
  );
}

/** Something that was ended on a branch and still stands. */
export interface StillOwed {
  readonly branch: Branch;
  readonly was: Charter;
  readonly one: Owed;
}

/** For whoever may enter it. */
export async function stillOwed(session: CaseState): Promise<StillOwed[]> {
  const found: StillOwed[] = [];
  for (const branch of branches(session)) {
    const was = await charterOf(session, branch);
    const since = branch.adoptedN || session.known().n;
    for (const one of owed(was, session.known(), since)) found.push({ branch, was, one });
  }
  return found;
}

export function mine(session: CaseState, { what, room, who }: Owed): boolean {
  const me = session.me();
  if (what === "let_out") return session.known().turns(me, room);
  return who ? same(who, me) : session.known().isOwner(me);
}

/** Whether words must wait: somebody who was put out, or whose reading was ended, has the keys of now. */
export async function holdsBack(session: CaseState): Promise<boolean> {
  if (!session.charter || branches(session).length === 0) return false;
  return isToAdopt(session) || (await stillOwed(session)).some(({ one }) => !one.who);
}

/** Once nothing is owed any more, signs what was held back, under the keys of now. Gives whether that was done. */
export async function settle(session: CaseSession): Promise<boolean> {
  if (!session.store.fact(session.case, HELD) || (await holdsBack(session))) return false;
  for (const { part } of [...session.parts.values()]) await session.followOtherLog(part.stream);
  // Last: whoever is stopped before it signs them once more.
  await session.store.step(() => session.store.putFact(session.case, HELD, null));
  return true;
}

/** Forgets a branch of which nothing is owed and every stream was closed. */
export async function tidy(session: CaseState): Promise<void> {
  const found = branches(session);
  const left: Branch[] = [];
  for (const branch of found) {
    const isOpen = branch.adoptedN === 0 || branch.closes.length > 0;
    if (isOpen || owed(await charterOf(session, branch), session.known(), branch.adoptedN).length > 0) {
      left.push(branch);
    }
  }
  if (left.length !== found.length) putBranches(session, left);
}

export function closes(session: CaseState): (readonly [stream: StreamId, cap: Capability])[] {
  return branches(session).flatMap((branch) => branch.closes);
}

export function closed(session: CaseState): void {
  putBranches(
    session,
    branches(session).map((branch) => ({ ...branch, closes: [] })),
  );
}
