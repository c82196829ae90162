/**
 * Sending, fetching, turning and closing attachments: the conversation with the relay. Mirrors core/eigenkring/carrying.py.
 * Spec: docs/spec/attachments.md.
 *
 * Every step may be the last before the page is gone: what was taken is asked of the relay, never remembered by hope.
 */
import { CryptoError } from "../crypto/errors";
import { type Attachment, chunksOf, openChunks, packAttachment } from "./attachment";
import type { Part } from "./charter/state";
import { Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type Capability, hex, type StreamId, same } from "./ids";
import type { Carried } from "./session/attachments";
import * as attachments from "./session/attachments";
import type { CaseSession } from "./session/parts";
import { checkGeneration } from "./session/taking";
import { u64, unpack } from "./shape";
import { accept } from "./stream";
import type { SyncReport } from "./sync";
import type { Transport } from "./transport";
import { type Batch, isFailed, type Operation, type Placed, type Result } from "./wire";

const BYTES_IN_ONE_FRAME = 2_000_000;
const OPS_IN_ONE_FRAME = 256;
/** A file is 128 chunks at most, some each time; a relay that gives less is not believed for ever. */
const MOST_READS = 256;
const KEPT_ALARMS = ["quota", "conflict", "not_allowed", "closed"];

/**
 * What the attachments of a case need of the relay now: closing, turning locks, sending. Throws Unreachable; what the relay
 * refused is an alarm, and is tried again at the next sync.
 */
export async function carry(session: CaseSession, transport: Transport, report: SyncReport): Promise<void> {
  if (!session.charter || session.row.state !== "open") return;
  try {
    await dropUnwanted(session);
    await close(session, transport, report);
    await turn(session, transport);
    for (const one of attachments.carried(session).values()) {
      if (!one.closing && one.done !== generation(session)) await send(session, transport, one, report);
    }
  } catch (error) {
    if (!(error instanceof RelayMisbehaved || error instanceof Refused)) throw error;
    if (error.code === "busy" || error.code === "slow_down") {
      throw new Unreachable("offline", "the relay has no time now");
    }
    session.alarm(error.code, "attachments");
  }
  await session.store.settled();
}

function generation(session: CaseSession): number {
  const packed = session.store.fact(session.case, "generation");
  return packed ? unpack(u64, packed) : 0;
}

async function exchanged(
  session: CaseSession,
  transport: Transport,
  ops: readonly Operation[],
): Promise<readonly Result[]> {
  await session.store.settled();
  const reply = await transport.exchange(ops);
  checkGeneration(session, reply.generation);
  return reply.results;
}

async function dropUnwanted(session: CaseSession): Promise<void> {
  const found = await session.inTurn(async () => {
    const lost = await attachments.outdone(session);
    const outdone = new Set(lost.map(({ stream }) => hex(stream)));
    const unwanted = attachments.unwanted(session).filter((stream) => !outdone.has(hex(stream)));
    const gone = [...attachments.orphans(session), ...unwanted];
    if (lost.length + gone.length === 0) return false;
    await session.store.step(() => {
      for (const one of lost) {
        attachments.putCarried(session, { ...one, append: null, closing: true, done: null });
      }
      for (const stream of gone) attachments.forgetCarried(session, stream);
    });
    return true;
  });
  if (found) await session.store.tidy();
}

/** Closed again, too, where the relay was put back to a day when it was open. */
async function close(session: CaseSession, transport: Transport, report: SyncReport): Promise<void> {
  for (const one of attachments.carried(session).values()) {
    const part = session.known().parts.get(one.part);
    if (!one.closing || one.done === generation(session) || !part) continue;
    const ops = attachments.closing(session, part, one.stream);
    if (ops.length === 0) continue;
    const results = await exchanged(session, transport, ops);
    if (results.some((result) => !isFailed(result) || result.code === "no_stream")) {
      report.sent += 1;
      await session.store.step(() => attachments.putCarried(session, { ...one, done: generation(session) }));
      await session.store.tidy();
    }
  }
}

async function turn(session: CaseSession, transport: Transport): Promise<void> {
  const todo = attachments
    .toTurn(session)
    .flatMap(({ part, stream }) => attachments.turning(session, part, stream));
  for (let at = 0; at < todo.length; at += OPS_IN_ONE_FRAME) {
    await exchanged(session, transport, todo.slice(at, at + OPS_IN_ONE_FRAME));
  }
  attachments.hasTurned(session);
}

// --- sending

async function send(
  session: CaseSession,
  transport: Transport,
  one: Carried,
  report: SyncReport,
): Promise<void> {
  const { stream, chunks } = one;
  if (one.change?.length === 0) return; // it is being put into its part at this moment
  const part = session.known().parts.get(one.part);
  const opened = attachments.openedPart(session, one.part);
  const placed = attachments.chunksHere(session, stream);
  if (!part || !opened || placed.length < chunks) return; // not whole here: whoever has it whole gives it back
  if (!session.known().mayWrite(session.me(), one.part)) return;
  if (!attachments.heldStreams(session, opened).has(hex(stream))) return; // nothing names it (yet)
  const append = one.append ?? (session.around.random(32) as Capability);
  if (!one.append) await session.store.step(() => attachments.putCarried(session, { ...one, append }));
  const there = await lengthThere(session, transport, part, stream, append, chunks);
  if (!there) return;
  const chainHere = session.store.chainAt(session.case, stream, there.length);
  if (there.length < chunks && (!chainHere || !same(chainHere, there.chain))) {
    session.alarm("conflict", `attachment in ${one.part}`);
    return;
  }
  const waiting = placed.slice(there.length);
  while (waiting.length > 0) {
    const ops: Operation[] = [];
    let size = 0;
    for (let next = waiting[0]; next; next = waiting[0]) {
      if (ops.length > 0 && size + next.record.length > BYTES_IN_ONE_FRAME) break;
      const expect = session.store.chainAt(session.case, stream, next.index - 1) ?? null;
      ops.push({ op: "append", stream, cap: append, record: next.record, expect });
      size += next.record.length;
      waiting.shift();
    }
    const failed = (await exchanged(session, transport, ops)).find(isFailed);
    if (failed) {
      session.alarm(failed.code, `attachment in ${one.part}`);
      return;
    }
    report.sent += ops.length;
  }
  // Shut: from here on nobody adds anything, whoever writes the part.
  const shut = attachments.turning(session, part, stream, session.around.random(32));
  await exchanged(session, transport, shut);
  await session.store.step(() => {
    for (const code of KEPT_ALARMS) {
      session.store.dropAlarm(session.case, code, `attachment in ${one.part}`);
    }
    attachments.putCarried(session, { ...one, append: null, done: generation(session) });
  });
}

/** How far the relay has it, opened or unlocked for this device; undefined where it cannot be sent. */
async function lengthThere(
  session: CaseSession,
  transport: Transport,
  part: Part,
  stream: StreamId,
  append: Capability,
  chunks: number,
): Promise<Placed | undefined> {
  const opening = attachments.opening(session, part, stream, append);
  const [cap] = attachments.readCaps(session, part, stream);
  if (!opening || !cap) return undefined;
  const about = `attachment in ${part.name}`;
  const ask: Operation = { op: "read", stream, cap, after: chunks, max_bytes: 1 };
  let [first, length] = await exchanged(session, transport, [opening, ask]);
  if (first && isFailed(first)) {
    if (first.code === "closed") {
      // Somebody took the entry away while this one was on its way.
      await session.store.step(() => attachments.forgetCarried(session, stream));
      return undefined;
    }
    if (first.code !== "exists") {
      session.alarm(first.code, about);
      return undefined;
    }
    // Under other locks: those of an earlier epoch, or shut when it was whole.
    const unlock = attachments.turning(session, part, stream, append);
    length = (await exchanged(session, transport, [...unlock, ask])).at(-1);
  }
  if (!length || isFailed(length)) {
    session.alarm(length?.code ?? "bad_operation", about);
    return undefined;
  }
  const found = length as Batch;
  if (found.length > chunks) {
    session.alarm("conflict", about);
    return undefined;
  }
  return found;
}

// --- fetching

/**
 * The bytes of an attachment: those that lie here, or read from the relay; what came before an interruption is not read
 * again. Throws Unreachable; Misuse `not_yet` while not all of it is at the relay; Refused `closed` where it was taken
 * away; Inadmissible `bad_attachment`, Unopenable where the bytes are not those the field promises.
 */
export async function fetchAttachment(
  session: CaseSession,
  transport: Transport,
  name: string,
  attachment: Attachment,
): Promise<Uint8Array> {
  const { stream } = attachment;
  attachments.checkStream(session, stream);
  if (attachments.chunksHere(session, stream).length < chunksOf(attachment)) {
    await readAll(session, transport, name, attachment);
  }
  try {
    return await openChunks(
      attachment,
      attachments.chunksHere(session, stream).map(({ record }) => record),
    );
  } catch (error) {
    if (error instanceof Inadmissible || error instanceof CryptoError) await readAnew(session, attachment);
    throw error;
  }
}

/**
 * Next time, for it may have been the disk. Not where it is the field that lies: chunks that open by another field are the
 * photo of that one, and before they were sent they are nowhere else.
 */
async function readAnew(session: CaseSession, attachment: Attachment): Promise<void> {
  const { stream } = attachment;
  const records = attachments.chunksHere(session, stream).map(({ record }) => record);
  const value = packAttachment(attachment);
  for (const other of attachments.heldAnywhere(session)) {
    if (!same(other.stream, stream) || packAttachment(other) === value) continue;
    try {
      await openChunks(other, records);
      return;
    } catch (error) {
      if (!(error instanceof Inadmissible || error instanceof CryptoError)) throw error;
    }
  }
  await session.store.step(() => attachments.forgetCarried(session, stream));
}

async function readAll(
  session: CaseSession,
  transport: Transport,
  name: string,
  attachment: Attachment,
): Promise<void> {
  const { stream } = attachment;
  const chunks = chunksOf(attachment);
  const part = session.known().parts.get(name);
  if (!part) throw new Error("an attachment of no part");
  if (!attachments.carried(session).has(hex(stream))) {
    const done = generation(session);
    const fresh = { stream, part: name, chunks, append: null, closing: false, done, change: null };
    await session.store.step(() => attachments.putCarried(session, fresh));
  }
  const caps = attachments.readCaps(session, part, stream);
  const drop = () => readAnew(session, attachment);
  for (let reads = 0; reads < MOST_READS; reads++) {
    const position = session.position(stream);
    const batch = await read(session, transport, stream, caps, position.length);
    let accepted: ReturnType<typeof accept>;
    try {
      accepted = accept(position, batch, (index) => session.store.chainAt(session.case, stream, index));
    } catch (error) {
      if (error instanceof RelayMisbehaved) await drop();
      throw error;
    }
    if (batch.length > chunks || accepted.replaced) {
      await drop();
      throw new Inadmissible("bad_attachment", "more chunks than the file has");
    }
    await session.store.step(() =>
      session.store.putRecords(session.case, stream, accepted.position, accepted.placed),
    );
    if (accepted.position.length === chunks) return;
    if (accepted.placed.length === 0) {
      throw new Misuse("not_yet", "not all of it is at the relay yet; sync again later");
    }
  }
  throw new RelayMisbehaved("relay_garbage", "the relay promises more and gives nothing");
}

/** With the lock of now, or else any earlier one: whoever turns it may not have been online since. */
async function read(
  session: CaseSession,
  transport: Transport,
  stream: StreamId,
  caps: Capability[],
  after: number,
): Promise<Batch> {
  for (const some of [caps.slice(0, 1), caps.slice(1)]) {
    if (some.length === 0) continue;
    const ops = some.map(
      (cap): Operation => ({ op: "read", stream, cap, after, max_bytes: BYTES_IN_ONE_FRAME }),
    );
    for (const [at, result] of (await exchanged(session, transport, ops)).entries()) {
      if (!isFailed(result)) {
        const fits = some[at] as Capability;
        caps.splice(0, caps.length, fits, ...caps.filter((cap) => cap !== fits));
        return result as Batch;
      }
      if (result.code === "no_stream") {
        throw new Misuse("not_yet", "it is not at the relay yet; sync again later");
      }
      if (result.code !== "not_allowed") throw new Refused(result.code);
    }
  }
  throw new Refused("not_allowed");
}
