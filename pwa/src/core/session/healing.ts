/**
 * A relay that was put back from a backup, or emptied: its locks, its open and its closed streams, as the circle left them.
 * Mirror of core/eigenkring/session/healing.py. Spec: docs/spec/streams.md.
 *
 * It says so by another generation, or it shows: a log that went back, a stream that is gone. What devices then do is safe whoever
 * asked for it: the locks of now are turned
 * again, streams that are gone are opened again under the same hashes, and streams the circle put out of use are closed
 * again. Records come back where streams are read (`astray`): the original bytes, in their order.
 */
import { manageCapability, manageSecret } from "../../crypto/capability";
import { capabilityHashes, pastTheirDate } from "../charter/draft";
import {
  type Capability,
  type CapabilityHash,
  type Hex,
  hex,
  named,
  type StreamId,
  same,
  unhex,
} from "../ids";
import { blanksShape } from "../keys";
import { OWNERS } from "../rooms";
import { bool, pack, tuple, u64, unpack } from "../shape";
import { appendCap, hashed, readCap, type StreamSecrets } from "../stream";
import { type Close, isFailed, type Open, type Operation, type Rekey, type Result } from "../wire";
import { hasParted } from "./adopting";
import { type CaseState, UNREAD_SINCE } from "./case";
import { borneOut } from "./clocks";
import { doorSecrets, termsOf, watched } from "./doors";
import { preparedCaps } from "./stuck";
import * as welcoming from "./welcoming";

/** What another device must open or turn may come later: until then each sync looks again, with one exchange. */
const PATIENCE_SECONDS = 60 * 24 * 3600;
const SINCE = "healing since";
/** Since when, and whether nothing more is left for this device to turn, open or close. */
const sinceShape = tuple(u64, bool);
const OPS_AT_ONCE = 256;

/** Sends operations, none of them atomic, and gives their results. */
export type Send = (ops: readonly Operation[]) => Promise<readonly Result[]>;
type Caps = Map<Hex, Capability[]>;

export function generationChanged(session: CaseState): void {
  const now = session.around.clock();
  session.store.putFact(session.case, SINCE, pack(sinceShape, [now, false]));
  session.store.putFact(session.case, UNREAD_SINCE, pack(u64, now));
}

/**
 * A log went back, or a stream is gone, and nobody said why: as after a generation that changed. Whoever runs a relay may not
 * know that its disk is an old one; people are told.
 */
export function begin(session: CaseState): void {
  if (session.store.fact(session.case, SINCE)) return;
  session.alarm("rolled_back", "relay");
  beginNow(session);
}

function beginNow(session: CaseState): void {
  if (session.store.fact(session.case, SINCE)) return;
  session.store.putFact(session.case, SINCE, pack(sinceShape, [session.around.clock(), false]));
}

/**
 * The relay refuses an owner's every key. Put out, or the relay was put back to before a lock was turned, and knows only older
 * ones: asked once before it is believed. Gives whether that is still to be seen.
 */
export function tryLocksOfBefore(session: CaseState): boolean {
  return !session.triedLocks && tryLocksNext(session);
}

/**
 * Has the next sync turn every lock to where the charter says it is, where this is an owner's device: the relay says that a
 * decision was taken and does not show it, or knows no key any more. Gives whether it is to be.
 */
export function tryLocksNext(session: CaseState): boolean {
  const { charter, row } = session;
  if (!charter || row.state !== "open" || !row.person) return false;
  if (!charter.isOwner(row.person)) return false;
  beginNow(session);
  return true;
}

export function isDue(session: CaseState): boolean {
  const packed = session.store.fact(session.case, SINCE);
  if (!packed || !session.charter || session.row.state !== "open") return false;
  // The case itself is still to be opened, in one piece.
  if (session.store.outbox(session.case).some(({ stream }) => stream === null)) return false;
  // Whose locks these are is for an owner to say.
  if (hasParted(session)) return false;
  const [began, isDone] = unpack(sinceShape, packed);
  const isMissing = session.store.alarms(session.case).some(({ code }) => code === "no_stream");
  if (began + PATIENCE_SECONDS >= session.around.clock() && !(isDone && !isMissing)) return true;
  session.store.putFact(session.case, SINCE, null);
  return false;
}

/** Whether the relay may know locks that were turned since. */
export function mayBeBehind(session: CaseState): boolean {
  if (hasParted(session)) return true;
  return [SINCE, UNREAD_SINCE].some((fact) => session.store.fact(session.case, fact) !== undefined);
}

export async function heal(session: CaseState, send: Send): Promise<void> {
  const charter = session.known();
  const over = pastTheirDate(charter, borneOut(session));
  const all = charter.liveStreams();
  const live = all.filter((stream) => !over.has(hex(stream)));
  const { behind, gone } = await turn(session, live, send);
  const missing = await open(session, gone, send);
  const inUse = new Set([...all.map(hex), ...stillRead(session)]);
  const left = await close(
    session,
    [...charter.streams].filter((stream) => !inUse.has(stream)),
    send,
  );
  await welcoming.steps(session, send);
  const packed = session.store.fact(session.case, SINCE);
  if (packed) {
    const isDone = behind.size === 0 && missing.size === 0 && left.size === 0;
    session.store.putFact(session.case, SINCE, pack(sinceShape, [unpack(sinceShape, packed)[0], isDone]));
  }
  // What is still not there is told again by the very next read.
  for (const { code, about } of session.store.alarms(session.case)) {
    if (code === "no_stream") session.store.dropAlarm(session.case, code, about);
  }
  session.refusals = 0;
  session.charterTry = 0;
  session.triedLocks = true;
  session.reread.clear();
}

/**
 * Doors by which somebody was let in: who was offline meanwhile finds the keys there, and nowhere else. The relay ends each at
 * its date.
 */
function stillRead(session: CaseState): Hex[] {
  const now = borneOut(session);
  return [...session.known().invitations.values()]
    .filter(({ state, expires }) => state === "used" && now < expires)
    .map(({ doorstep }) => hex(doorstep));
}

/**
 * Turns every lock to where the charter says it is, whichever epoch of it the relay knows. Gives the streams whose lock does
 * not turn, and those that are not there.
 */
async function turn(session: CaseState, streams: readonly StreamId[], send: Send) {
  const charter = session.known();
  const behind = new Set<Hex>();
  const gone = new Set<Hex>();
  const todo: Caps = new Map();
  for (const stream of streams) {
    const caps = manageCaps(session, stream);
    if (caps.length > 0) todo.set(hex(stream), caps);
    else if (blankOf(session, stream)) gone.add(hex(stream)); // whether it is there shows when it is opened
  }
  await eachWithCaps(
    todo,
    send,
    (stream, cap): Rekey => ({
      op: "rekey",
      stream,
      cap,
      ...capabilityHashes(charter, session.ring, stream),
    }),
    (stream, code) => (code === "no_stream" ? gone : behind).add(stream),
  );
  return { behind, gone };
}

/** Opens what is gone, where this device can compute all three hashes. Gives what it could not open. */
async function open(session: CaseState, gone: ReadonlySet<Hex>, send: Send): Promise<Set<Hex>> {
  const missing = new Set<Hex>();
  const ops: Open[] = [];
  for (const stream of gone) {
    const opening = await openingOf(session, unhex<StreamId>(stream));
    if (opening) ops.push(opening);
    else missing.add(stream);
  }
  for (let at = 0; at < ops.length; at += OPS_AT_ONCE) {
    const some = ops.slice(at, at + OPS_AT_ONCE);
    const results = await send(some);
    some.forEach(({ stream }, place) => {
      const result = results[place] as Result;
      // `exists`: another device opened it, or it was there.
      if (isFailed(result) && result.code !== "exists") missing.add(hex(stream));
    });
  }
  return missing;
}

/** Closes what the circle put out of use: a link that was used, a view that was withdrawn, a part founded anew. */
async function close(session: CaseState, streams: readonly Hex[], send: Send): Promise<Set<Hex>> {
  const left = new Set<Hex>();
  const todo: Caps = new Map();
  for (const stream of [...streams].sort()) {
    const caps = manageCaps(session, unhex<StreamId>(stream));
    if (caps.length > 0) todo.set(stream, caps);
  }
  await eachWithCaps(
    todo,
    send,
    (stream, cap): Close => ({ op: "close", stream, cap }),
    (stream, code) => {
      if (code === "not_allowed") left.add(stream);
    },
  );
  return left;
}

/** One operation for each stream, again with the next capability where the relay does not know the one before. */
async function eachWithCaps(
  todo: Caps,
  send: Send,
  make: (stream: StreamId, cap: Capability) => Operation,
  failed: (stream: Hex, code: string) => void,
): Promise<void> {
  while (todo.size > 0) {
    const some = [...todo.keys()].slice(0, OPS_AT_ONCE);
    const ops = some.map((stream) => make(unhex(stream), todo.get(stream)?.shift() as Capability));
    const results = await send(ops);
    some.forEach((stream, at) => {
      const result = results[at] as Result;
      if (isFailed(result)) {
        if (result.code === "not_allowed" && todo.get(stream)?.length) return;
        failed(stream, result.code);
      }
      todo.delete(stream);
    });
  }
}

/** Of the present epoch and of all before it: the backup may be from any of them. */
function manageCaps(session: CaseState, stream: StreamId): Capability[] {
  const charter = session.known();
  const name = charter.streamRooms(stream)?.manage;
  const room = name === undefined ? undefined : charter.rooms.get(name);
  if (!room || !session.roomSecret(room.name)) return [];
  const known = [...session.ring]
    .filter((given) => given.room === room.name && given.epoch <= room.epoch)
    .sort((a, b) => b.epoch - a.epoch)
    .map(({ epoch, secret }) =>
      named<Capability>(manageCapability(manageSecret(secret, stream), stream, epoch)),
    );
  return [...known, ...preparedCaps(session, stream, room.name)];
}

async function openingOf(session: CaseState, stream: StreamId): Promise<Open | undefined> {
  const charter = session.known();
  const hashes = capabilityHashes(charter, session.ring, stream);
  let { read, append } = hashes;
  const manage = hashes.manage ?? blankOf(session, stream) ?? null;
  if (same(stream, charter.keysStream)) read = hashOf(readCap(session.secrets(stream)));
  let expires: number | null = null;
  const door = await doorOf(session, stream);
  if (door) {
    read ??= hashOf(readCap(door.secrets));
    append ??= hashOf(appendCap(door.secrets));
    expires = door.expires;
  }
  for (const { until, down, up, doorstep } of charter.grants.values()) {
    if ([down, up, doorstep].some((of) => same(of, stream))) expires = until;
  }
  return read && append && manage ? { op: "open", stream, read, append, manage, expires } : undefined;
}

function hashOf(cap: Capability | undefined): CapabilityHash | null {
  return cap ? hashed(cap) : null;
}

/** A doorstep is locked with the seed of its link. */
async function doorOf(
  session: CaseState,
  stream: StreamId,
): Promise<{ readonly secrets: StreamSecrets; readonly expires: number } | undefined> {
  for (const door of await watched(session)) {
    if (door.kind === "invitation" && same(door.stream, stream)) {
      return { secrets: door.secrets, expires: door.of.expires };
    }
  }
  const grant = [...session.known().grants.values()].find(({ doorstep }) => same(doorstep, stream));
  const terms = grant && (await termsOf(session, grant));
  return (
    grant && terms && { secrets: doorSecrets(session, stream, terms.seed, OWNERS), expires: grant.until }
  );
}

/** The manage hash an owner once gave for a stream that this person founded. */
function blankOf(session: CaseState, stream: StreamId): CapabilityHash | undefined {
  const packed = session.store.fact(session.case, "blanks");
  return packed && unpack(blanksShape, packed).find(([blank]) => same(blank, stream))?.[1];
}
