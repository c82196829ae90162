/**
 * The attachments of one case on one device: which there are, what is to be sent, turned and closed. Mirrors
 * core/eigenkring/session/attachments.py. Spec: docs/spec/attachments.md.
 *
 * The chunks lie in the store as records of their stream; what is left to do with them is one fact of the case, so a device
 * that was stopped anywhere goes on where it was. Nothing here talks to a relay: `carrying` does.
 */
import {
  capabilityHash,
  manageCapability,
  manageSecret,
  readCapability,
  readSecret,
} from "../../crypto/capability";
import * as running from "../../crypto/chain";
import {
  type Attachment,
  chunksOf,
  claimsAttachment,
  packAttachment,
  parseAttachment,
  sealChunks,
} from "../attachment";
import type { Part } from "../charter/state";
import type { Document, Intent } from "../document";
import { Inadmissible, Misuse } from "../errors";
import {
  type Capability,
  type CapabilityHash,
  type Chain,
  type Hex,
  hex,
  named,
  type RecordBytes,
  type StreamId,
  unhex,
} from "../ids";
import { bool, bytes, list, nullable, optional, pack, struct, text, tuple, u32, u64, unpack } from "../shape";
import { hashed, manageCap, type PlacedRecord, readCap, startOf } from "../stream";
import type { Open, Operation } from "../wire";
import { secretsFrom } from "./case";
import type { CaseSession, ReadPart } from "./parts";

const FACT = "attachments";
const TURNED = "attachments turned";
/** Epochs of a room that are tried on one stream: it may be locked with any of them, and no family turns more often. */
const MOST_EPOCHS = 64;
/** Of an attachment whose chunks are kept and whose change is not made. */
const NOT_YET = new Uint8Array();

const carriedShape = struct({
  stream: bytes<StreamId>(16),
  part: text,
  chunks: u32,
  append: nullable(bytes<Capability>(32)),
  closing: bool,
  done: nullable(u64),
  change: optional(nullable(bytes()), null),
});
const allShape = list(carriedShape);
const turnedShape = list(tuple(text, u32, u32));

/**
 * An attachment this device has chunks of, or has to close. `append` is its capability to append while it sends. `done`:
 * the relay's generation for which all was sent, or closed; null while something is to do. `change`: hash of the own change
 * that put it into the part, of no bytes until that is made; null where another device did.
 */
export interface Carried {
  readonly stream: StreamId;
  readonly part: string;
  readonly chunks: number;
  readonly append: Capability | null;
  readonly closing: boolean;
  readonly done: number | null;
  readonly change: Uint8Array | null;
}

/** Of a session, or of a case that was not opened. */
export function carried({ store, case: caseId }: Pick<CaseSession, "store" | "case">): Map<Hex, Carried> {
  const packed = store.fact(caseId, FACT);
  return new Map((packed ? unpack(allShape, packed) : []).map((one) => [hex(one.stream), one]));
}

export function putCarried(session: CaseSession, one: Carried): void {
  const known = carried(session);
  known.set(hex(one.stream), one);
  if (one.closing) session.store.forgetStream(session.case, one.stream);
  session.store.putFact(session.case, FACT, pack(allShape, [...known.values()]));
}

/** Its chunks too. */
export function forgetCarried(session: CaseSession, stream: StreamId): void {
  const known = carried(session);
  known.delete(hex(stream));
  session.store.forgetStream(session.case, stream);
  session.store.putFact(session.case, FACT, known.size > 0 ? pack(allShape, [...known.values()]) : null);
}

/** How many are still to be sent. */
export function unsent(of: Pick<CaseSession, "store" | "case">): number {
  return [...carried(of).values()].filter(({ closing, done }) => !closing && done === null).length;
}

// --- what the parts hold

/**
 * Whether the case uses a stream for something else: the charter, a part, a door. A field that names one lies: to fetch from
 * it would overwrite what this device knows of that stream, and to take the field away would forget and close it.
 */
export function isOfTheCase(session: CaseSession, stream: StreamId): boolean {
  if (session.charter?.streams.has(hex(stream))) return true;
  return session.store.position(session.case, stream) !== undefined && !carried(session).has(hex(stream));
}

/** Throws Inadmissible `bad_attachment`. */
export function checkStream(session: CaseSession, stream: StreamId): void {
  if (isOfTheCase(session, stream)) {
    throw new Inadmissible("bad_attachment", "its stream is one of the case itself");
  }
}

/** Throws Misuse `no_such_field` where there is none; Inadmissible: `bad_attachment`, `future_version`. */
export function attachmentAt(session: CaseSession, name: string, path: readonly string[]): Attachment {
  const [collection = "", item = "", field = ""] = path;
  const value = session.read(session.part(name)).get(collection)?.get(item)?.get(field);
  if (!claimsAttachment(value)) throw new Misuse("no_such_field", "no photo or file is there");
  return parseAttachment(value);
}

/** Those that can be read; a broken one, or one of a newer program, is shown as such and has no stream. */
export function attachmentsIn(document: Document): Attachment[] {
  const found: Attachment[] = [];
  for (const items of document.values()) {
    for (const fields of items.values()) {
      for (const value of fields.values()) {
        if (!claimsAttachment(value)) continue;
        try {
          found.push(parseAttachment(value));
        } catch (error) {
          if (!(error instanceof Inadmissible)) throw error;
        }
      }
    }
  }
  return found;
}

export function heldStreams(session: CaseSession, opened: ReadPart): Set<Hex> {
  const named = attachmentsIn(session.read(opened)).map(({ stream }) => stream);
  return new Set(named.filter((stream) => !isOfTheCase(session, stream)).map(hex));
}

/** Of all that this device reads: two fields may name one stream. */
export function heldAnywhere(session: CaseSession): Attachment[] {
  return [...session.parts.values()].flatMap((opened) => attachmentsIn(session.read(opened)));
}

export function openedPart(session: CaseSession, name: string): ReadPart | undefined {
  const part = session.known().parts.get(name);
  return part && session.parts.get(hex(part.stream));
}

// --- adding and taking away

/**
 * Seals the bytes, keeps the chunks, and puts the attachment into the field. `make` gets stream and key. Call it `inTurn`.
 *
 * The chunks come first: a device that stops in between has bytes that nothing names, and not a name without bytes.
 */
export async function attach(
  session: CaseSession,
  name: string,
  path: readonly [string, string, string],
  make: (stream: StreamId, key: Uint8Array) => Attachment,
  data: Uint8Array,
): Promise<Attachment> {
  const { random } = session.around;
  const attachment = make(named<StreamId>(random(16)), random(32));
  const { stream } = attachment;
  const chunks = chunksOf(attachment);
  const nonces = Array.from({ length: chunks }, () => random(24));
  const records = await sealChunks(attachment, data, nonces);
  await session.store.step(() => {
    putChunks(session, stream, records);
    const append = named<Capability>(random(32));
    putCarried(session, { stream, part: name, chunks, append, closing: false, done: null, change: NOT_YET });
  });
  try {
    await edit(session, name, [["set", [...path], packAttachment(attachment)]], (change) => {
      const one = carried(session).get(hex(stream));
      if (one) putCarried(session, { ...one, change: unhex(change) });
    });
    await session.store.settled();
  } catch (error) {
    await session.store.step(() => forgetCarried(session, stream));
    throw error;
  }
  return attachment;
}

export function putChunks(session: CaseSession, stream: StreamId, records: readonly RecordBytes[]): void {
  let chain = named<Chain>(running.first(stream));
  const placed = records.map((record, at): PlacedRecord => {
    chain = named(running.extend(chain, record));
    return { index: at + 1, record, chain };
  });
  const position = { ...startOf(stream), length: placed.length, chain };
  session.store.putRecords(session.case, stream, position, placed);
}

export function chunksHere(session: CaseSession, stream: StreamId): PlacedRecord[] {
  return session.store.records(session.case, stream);
}

/**
 * As `session.editAhead`; an attachment that is in the part no more is closed at the next sync: its bytes must not stay at the
 * relay when the entry they belonged to is gone. Call it `inTurn`.
 */
export async function edit(
  session: CaseSession,
  name: string,
  intents: readonly Intent[],
  keep?: (last: Hex) => void,
): Promise<void> {
  const touches = intents.some(([verb]) => verb === "set" || verb === "delete");
  const before = touches ? heldStreams(session, session.part(name)) : new Set<Hex>();
  await session.editAhead(name, intents, keep);
  if (before.size === 0) return;
  const after = heldStreams(session, session.part(name));
  const parts = carried(session);
  // Somebody may have written the name of a photo of another part here, to have it thrown away.
  const isElsewhere = (stream: Hex) => {
    const part = parts.get(stream)?.part ?? name;
    const opened = part === name ? undefined : openedPart(session, part);
    return opened !== undefined && heldStreams(session, opened).has(stream);
  };
  const gone = [...before].filter((stream) => !after.has(stream) && !isElsewhere(stream));
  if (gone.length === 0) return;
  await session.store.step(() => {
    const known = carried(session);
    for (const id of gone) {
      const chunks = known.get(id)?.chunks ?? 0;
      const stream = unhex<StreamId>(id);
      putCarried(session, {
        stream,
        part: name,
        chunks,
        append: null,
        closing: true,
        done: null,
        change: null,
      });
    }
  });
}

/** Attachments whose chunks lie here and whose entry is gone, by whomever. */
export function unwanted(session: CaseSession): StreamId[] {
  return [...carried(session).values()].flatMap((one) => {
    const opened = openedPart(session, one.part);
    // What is still to be sent stays, also while the entry that names it is being made again.
    if (!opened || one.closing || one.done === null || opened.waits || opened.unopened.size > 0) return [];
    return heldStreams(session, opened).has(hex(one.stream)) ? [] : [one.stream];
  });
}

/**
 * Chunks of an attachment that was never put into its part: the app ended between the two. Call it `inTurn`, so that none is
 * on its way.
 */
export function orphans(session: CaseSession): StreamId[] {
  return [...carried(session).values()].flatMap(({ stream, part, closing, change }) => {
    const opened = openedPart(session, part);
    const isNamed = !opened || heldStreams(session, opened).has(hex(stream));
    return closing || change?.length !== 0 || isNamed ? [] : [stream];
  });
}

/**
 * Attachments that this device put into a part and that another one replaced at the same time, or whose item another one
 * deleted then: nobody else knows the stream. Only where the change that put it there is settled: a part that was founded
 * anew, or a change that is being made again, names nothing of it either.
 */
export async function outdone(session: CaseSession): Promise<Carried[]> {
  const found: Carried[] = [];
  for (const one of carried(session).values()) {
    const part = openedPart(session, one.part);
    if (!part || one.closing || !one.change?.length) continue;
    if (!session.known().mayWrite(session.me(), one.part)) continue;
    if (heldStreams(session, part).has(hex(one.stream))) continue;
    const opened = await session.opened(part);
    // What is not read here may name it.
    if (opened.waits || opened.unopened.size > 0 || opened.setAside || opened.fold.alarm) continue;
    if (!opened.fold.ledger.find(hex(one.change))) continue;
    if (!heldStreams(session, opened).has(hex(one.stream))) found.push(one);
  }
  return found;
}

// --- locks: read as the part is read, managed by whoever writes it

/** The newest first: the relay may know a lock that nobody has turned yet. */
export function readCaps(session: CaseSession, part: Part, stream: StreamId): Capability[] {
  return epochs(session, part.read).map(({ secret, epoch }) =>
    named<Capability>(readCapability(readSecret(secret, stream), stream, epoch)),
  );
}

export function manageCaps(session: CaseSession, part: Part, stream: StreamId): Capability[] {
  return epochs(session, part.write).map(({ secret, epoch }) =>
    named<Capability>(manageCapability(manageSecret(secret, stream), stream, epoch)),
  );
}

function epochs(session: CaseSession, room: string): { epoch: number; secret: Uint8Array }[] {
  return [...session.ring]
    .filter((one) => one.room === room)
    .sort((a, b) => b.epoch - a.epoch)
    .slice(0, MOST_EPOCHS);
}

/** The locks of now; undefined where this device does not hold both. */
function locks(
  session: CaseSession,
  part: Part,
  stream: StreamId,
): { readonly read: CapabilityHash; readonly manage: CapabilityHash } | undefined {
  const secrets = secretsFrom(stream, [part.read, undefined, part.write], (room) => session.roomSecret(room));
  const read = readCap(secrets);
  const manage = manageCap(secrets);
  return read && manage && { read: hashed(read), manage: hashed(manage) };
}

export function opening(
  session: CaseSession,
  part: Part,
  stream: StreamId,
  append: Capability,
): Open | undefined {
  const now = locks(session, part, stream);
  return now && { op: "open", stream, ...now, append: hashOf(append), expires: null };
}

/** To the locks of now, from whichever there are: one of these is taken. `append`: who may append from now on. */
export function turning(
  session: CaseSession,
  part: Part,
  stream: StreamId,
  append?: Uint8Array,
): Operation[] {
  const now = locks(session, part, stream);
  if (!now) return [];
  const to = append ? hashOf(append) : null;
  return manageCaps(session, part, stream).map((cap) => ({ op: "rekey", stream, cap, ...now, append: to }));
}

export function closing(session: CaseSession, part: Part, stream: StreamId): Operation[] {
  return manageCaps(session, part, stream).map((cap) => ({ op: "close", stream, cap }));
}

function hashOf(cap: Uint8Array): CapabilityHash {
  return named(capabilityHash(cap));
}

/**
 * Attachments of parts whose rooms were turned since this device last looked: who left must neither fetch what is there nor
 * take it away. Any device that writes the part does it, and it may be done twice.
 */
export function toTurn(session: CaseSession): { readonly part: Part; readonly stream: StreamId }[] {
  const packed = session.store.fact(session.case, TURNED);
  const before = new Map(
    (packed ? unpack(turnedShape, packed) : []).map(([name, ...at]) => [name, at.join()]),
  );
  const charter = session.known();
  return locksOfParts(session).flatMap(([name, read, write]) => {
    const part = charter.parts.get(name);
    const opened = openedPart(session, name);
    const isTurned = Math.max(read, write) > 1 && before.get(name) !== `${read},${write}`;
    if (!part || !opened || !isTurned || !charter.mayWrite(session.me(), name)) return [];
    return [...heldStreams(session, opened)].sort().map((id) => ({ part, stream: unhex<StreamId>(id) }));
  });
}

export function hasTurned(session: CaseSession): void {
  session.store.putFact(session.case, TURNED, pack(turnedShape, locksOfParts(session)));
}

function locksOfParts(session: CaseSession): (readonly [string, number, number])[] {
  const { parts, rooms } = session.known();
  return [...parts]
    .filter(([, part]) => session.parts.has(hex(part.stream)))
    .map(([name, { read, write }]) => [name, rooms.get(read)?.epoch ?? 0, rooms.get(write)?.epoch ?? 0]);
}
