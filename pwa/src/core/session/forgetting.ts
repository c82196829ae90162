/**
 * A part founded anew from what it shows now: its history, and every word deleted from it, goes everywhere. Mirror of
 * core/eigenkring/session/forgetting.py. Spec: docs/spec/part.md (Forgetting).
 *
 * One exchange: the entry, the new stream with the present state, and the old stream closed, if nothing came to it that this
 * device has not read. Whoever learns of it drops the old records, and makes what was not sent yet again in the new part.
 */
import { manageCapability, manageSecret } from "../../crypto/capability";
import * as compose from "../charter/compose";
import type { Part } from "../charter/state";
import { applyIntents, type Document, type Intent, type KindRules } from "../document";
import { Misuse } from "../errors";
import { hex, named, type StreamId, same } from "../ids";
import type { Blank } from "../keys";
import { actorOf, makeEditRecords } from "../part/author";
import { pack, struct, text, u64, unpack } from "../shape";
import { isName } from "../steps";
import { appendCap, sealRecord, startOf } from "../stream";
import type { Append, Operation } from "../wire";
import { authorOf, type Exchange, exchangeOf, held, ringWith, secretsAfter } from "./acting";
import * as clocks from "./clocks";
import * as kept from "./kept";
import type { CaseSession, OpenPart, ReadPart } from "./parts";
import * as sightings from "./sightings";

const END = pack(struct({ k: text }), { k: "end" });
/** A lock that was turned after the part was founded anew opens to none of our keys: then it is let be. */
const TIMES_TO_CLOSE = 5;

/** Throws Misuse: `no_such_part`, `not_permitted`, `not_yet`. */
export async function foundAnew(
  session: CaseSession,
  name: string,
  blanks: readonly Blank[] = [],
): Promise<Exchange> {
  const opened = await session.opened(check(session, name));
  if (opened.fold.pending().length > 0 || opened.waits || opened.fold.alarm) {
    throw new Misuse("not_yet", `not all of ${name} is sent and read; sync, and try again`);
  }
  const draft = await compose.foundAnew(session.known(), authorOf(session), name, blanks);
  const { body } = draft;
  const stream = body.what === "part" ? body.parts[0]?.stream : undefined;
  if (!stream) throw new Error("a part is founded by another entry");
  // After the new stream is opened, before the old one is closed.
  return exchangeOf(session, draft, async (after) => {
    const secrets = secretsAfter(after, ringWith(session.ring, draft), stream);
    const ops = [await nothingMore(session, opened)];
    for (const payload of await presentState(session, opened, stream, after)) {
      const record = await sealRecord(secrets, payload, session.around.random(24));
      ops.push({ op: "append", stream, cap: held(appendCap(secrets)), record, expect: null });
    }
    return ops;
  });
}

/** Whether this person may. Throws Misuse: `no_such_part`, `not_permitted`. */
export function check(session: CaseSession, name: string): ReadPart {
  const opened = session.part(name);
  const { about } = opened.part;
  const isMine = about ? same(about, session.me()) : session.known().isOwner(session.me());
  if (!isMine) {
    throw new Misuse("not_permitted", `only ${about ? "that person" : "an owner"} can found ${name} anew`);
  }
  return opened;
}

/**
 * A last record that the relay takes only where nothing came that was not read here; it goes with the stream. So what anybody
 * read back of their own is in the new part, and what they did not is not.
 */
async function nothingMore(session: CaseSession, { part: { stream } }: OpenPart): Promise<Append> {
  const secrets = session.secrets(stream);
  const record = await sealRecord(secrets, END, session.around.random(24));
  const expect = session.position(stream).chain;
  return { op: "append", stream, cap: held(appendCap(secrets)), record, expect };
}

async function presentState(
  session: CaseSession,
  opened: OpenPart,
  stream: StreamId,
  after: Exchange["after"],
): Promise<Uint8Array[]> {
  const engine = session.around.newEngine(actorOf(stream, session.device(), session.row.incarnation));
  const shown = session.read(opened);
  const intents: Intent[] = [];
  for (const [collection, items] of shown) {
    for (const [item, fields] of items) {
      if (isName(collection) && isName(item)) intents.push(["add", collection, item, fields]);
    }
  }
  const changes = applyIntents(engine, asShown(session.kind(opened.part), shown), intents);
  if (changes.length === 0) return [];
  const epoch = after.rooms.get(opened.part.write)?.epoch;
  if (epoch === undefined) throw new Error("a part without a room that writes");
  const { chain } = startOf(stream);
  const day = clocks.claimedDay(session);
  const author = { device: session.device(), epoch, head: after.head, length: 0, chain, day };
  return makeEditRecords(session.keys.sign, stream, author, changes);
}

/** The schema, and sets that only a newer one knows. */
function asShown(schema: KindRules | undefined, shown: Document): KindRules {
  const collections = new Map<string, { fields: ReadonlyMap<string, { type: string }> }>(schema?.collections);
  for (const [name, items] of shown) {
    const fields = new Map(collections.get(name)?.fields);
    for (const item of items.values()) {
      for (const [field, value] of item) {
        if (!fields.has(field) && Array.isArray(value)) fields.set(field, { type: "set" });
      }
    }
    collections.set(name, { fields });
  }
  return { collections };
}

// --- the others

/**
 * Drops what lies here of parts that were founded anew, once the new one was read, and makes again in it what the old one had
 * not taken. Gives whether anything was made.
 */
export async function moveOn(session: CaseSession): Promise<boolean> {
  if (!session.charter) return false;
  let made = 0;
  let isGone = false;
  for (const part of leftBehind(session)) {
    const now = session.known().parts.get(part.name) as Part;
    if (session.parts.has(hex(now.stream))) {
      // What stands on an item that was not read yet would be made beside it.
      const isRead = session.answered.has(hex(now.stream)) || session.position(now.stream).length > 0;
      if (!isRead) continue;
    } else if (session.known().mayRead(session.me(), now.name)) continue; // its key is still to come
    made += await bringAlong(session, part);
    isGone = true;
  }
  if (isGone) await session.store.tidy();
  return made > 0;
}

function leftBehind(session: CaseSession): Part[] {
  const sending = new Set(session.store.outbox(session.case).map(({ stream }) => stream && hex(stream)));
  return [...session.known().partStreams.values()].filter((part) => {
    if (!isLeft(session, part)) return false;
    const isHere = session.store.position(session.case, part.stream) !== undefined;
    const isSent = sending.has(hex(part.stream));
    return isHere || isSent || session.store.ownChanges(session.case, part.stream).length > 0;
  });
}

function isLeft(session: CaseSession, part: Part): boolean {
  const now = session.known().parts.get(part.name);
  return now !== undefined && !same(now.stream, part.stream);
}

async function bringAlong(session: CaseSession, part: Part): Promise<number> {
  const { ledger } = (await session.openedApart(part)).fold;
  const lost = session.store
    .ownChanges(session.case, part.stream)
    .filter(({ hash }) => !ledger.find(hex(hash)))
    .map((change) => ({ name: part.name, stream: part.stream, change }));
  const made = await session.redo(lost);
  await session.store.step(() => {
    session.store.forgetStream(session.case, part.stream);
    kept.forget(session, part.stream);
    sightings.drop(session, part.stream);
    session.store.dropAlarm(session.case, "closed", "outbox");
  });
  return made;
}

// --- the lock of the old stream

/** Streams left behind that this device manages and whoever founded the part anew could not close. */
export function toClose(session: CaseSession): StreamId[] {
  const charter = session.known();
  return [...charter.partStreams.values()]
    .filter((part) => isLeft(session, part) && charter.manages(session.me(), part.stream))
    .filter((part) => tried(session, part.stream) < TIMES_TO_CLOSE)
    .map(({ stream }) => stream);
}

export function closing(session: CaseSession, streams: readonly StreamId[]): Operation[] {
  const ops: Operation[] = [];
  for (const stream of streams) {
    const room = session.known().streamRooms(stream)?.manage;
    for (const given of session.ring) {
      if (given.room !== room) continue;
      const cap = manageCapability(manageSecret(given.secret, stream), stream, given.epoch);
      ops.push({ op: "close", stream, cap: named(cap) });
    }
    session.store.putFact(session.case, mark(stream), pack(u64, tried(session, stream) + 1));
  }
  return ops;
}

export function closed(session: CaseSession, streams: readonly StreamId[]): void {
  for (const stream of streams) session.store.putFact(session.case, mark(stream), pack(u64, TIMES_TO_CLOSE));
}

function tried(session: CaseSession, stream: StreamId): number {
  const found = session.store.fact(session.case, mark(stream));
  return found ? unpack(u64, found) : 0;
}

function mark(stream: StreamId): string {
  return `closed ${hex(stream)}`;
}
