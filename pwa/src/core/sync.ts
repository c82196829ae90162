/**
 * Sync: round trips with one relay until nothing is left to send, to take in, or to do for the others. Mirror of
 * core/eigenkring/sync.py.
 *
 * The rules are in `session`; here is only the conversation. Cases never share an exchange. What is sent was kept first,
 * and nothing that waits for the network holds the session's turn.
 */
import { CryptoError } from "../crypto/errors";
import {
  EigenkringError,
  Ended,
  Inadmissible,
  Misuse,
  Refused,
  RelayMisbehaved,
  Unreachable,
} from "./errors";
import { type CapabilityHash, type Chain, type Hex, hex, type RecordBytes, type StreamId, same } from "./ids";
import type { Exchange } from "./session/acting";
import * as adopting from "./session/adopting";
import { hold } from "./session/boxes";
import * as clocks from "./session/clocks";
import { type Duty, nextDuty } from "./session/duties";
import { moveOn } from "./session/forgetting";
import { heal, isDue, tryLocksNext } from "./session/healing";
import { pack as packWaiting, waits as wordsWait } from "./session/packing";
import type { CaseSession } from "./session/parts";
import { note } from "./session/sightings";
import { earlierTrials, isALock, lockName, prepare, Stuck, shown, type Tried, trials } from "./session/stuck";
import { appendRefused, checkClaims, checkGeneration, learned, takeAll, wants } from "./session/taking";
import { bytes, list, nullable, pack, struct, tuple, u64, unpack } from "./shape";
import { appendCap } from "./stream";
import { type Transport, timeOf } from "./transport";
import { look } from "./visiting";
import { warm } from "./warming";
import {
  type Append,
  type Failed,
  isFailed,
  type Open,
  type Operation,
  type Placed,
  type Rekey,
  type Reply,
  type Result,
} from "./wire";

const MAX_ROUNDS = 24;
const MAX_RACES = 8;
const APPENDS_IN_ONE_FRAME = 200;
const BYTES_IN_ONE_FRAME = 4_000_000;
/** What a duty runs into when another device did it a moment earlier. */
const DONE_BY_ANOTHER = new Set(["invitation_used", "no_such_grant", "no_such_person"]);

export interface AlarmLine {
  readonly code: string;
  readonly about: string;
}

/** What a sync did. `alarms` are those that stand now. */
export class SyncReport {
  sent = 0;
  received = 0;
  alarms: AlarmLine[] = [];

  add(other: SyncReport): void {
    this.sent += other.sent;
    this.received += other.received;
    this.alarms.push(...other.alarms);
  }
}

/** Brings one case up to date. Throws Unreachable; what the relay did wrong becomes an alarm of the case. */
export async function syncCase(session: CaseSession, transport: Transport): Promise<SyncReport> {
  const report = new SyncReport();
  try {
    if (session.row.state === "waiting") await atTheDoor(session, transport);
    const { state } = session.row;
    if (state === "open" || state === "entering" || state === "removed") {
      await rounds(session, transport, report);
    }
  } catch (error) {
    if (!(error instanceof RelayMisbehaved || error instanceof Refused)) throw error;
    if (error.code === "busy" || error.code === "slow_down") {
      throw new Unreachable("offline", "the relay has no time now");
    }
    session.alarm(error.code, "relay");
  }
  await session.store.settled();
  report.alarms = session.store.alarms(session.case).map(({ code, about }) => ({ code, about }));
  return report;
}

/** That it stays shut is kept too: a sync of everything goes on with the other cases. */
async function atTheDoor(session: CaseSession, transport: Transport): Promise<void> {
  void warm(session.around.engineReady);
  try {
    await look(session, transport);
  } catch (error) {
    if (error instanceof Ended) session.alarm(error.code, "link");
    throw error;
  }
}

async function rounds(session: CaseSession, transport: Transport, report: SyncReport): Promise<void> {
  const done = new Set<string>();
  session.beginSync();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const again = await roundTrip(session, transport, report);
    session.relayTime = timeOf(transport);
    if (again) continue;
    if (!done.has("healing") && isDue(session)) {
      done.add("healing");
      await healed(session, transport);
      continue;
    }
    if (await session.inTurn(() => adopting.settle(session))) continue;
    if (await session.inTurn(() => doneAgain(session))) continue;
    if (!done.has("sent again") && (await session.inTurn(() => sentAgain(session)))) {
      done.add("sent again");
      continue;
    }
    const duty = await session.inTurn(() => nextDuty(session, done));
    if (!duty) break;
    done.add(duty.name);
    await fulfil(session, transport, duty, report);
  }
  await session.inTurn(async () => {
    checkClaims(session);
    await note(session);
    await adopting.tidy(session);
    clocks.tell(session);
    session.tellWhatWaits();
    await session.keepParts();
  });
}

/** Words that were refused, and parts that were founded anew: not while words must wait. */
async function doneAgain(session: CaseSession): Promise<boolean> {
  if (await adopting.holdsBack(session)) return false;
  return (await session.makeAgain()) > 0 || (await moveOn(session));
}

async function sentAgain(session: CaseSession): Promise<boolean> {
  return !(await adopting.holdsBack(session)) && (await session.sendAgain()) > 0;
}

/** After a generation that rose: locks, open and closed streams as the charter says. A refusal waits for another day. */
async function healed(session: CaseSession, transport: Transport): Promise<void> {
  await heal(session, async (ops) => (await exchanged(session, transport, ops, false)).results);
}

/** A duty that cannot be done is left to another device or another day; it must not keep this one from syncing. */
async function fulfil(
  session: CaseSession,
  transport: Transport,
  duty: Duty,
  report: SyncReport,
): Promise<void> {
  const [about = ""] = duty.name.split(" ");
  try {
    if (duty.kind === "act") {
      await act(session, transport, duty.make, report);
      duty.done?.(session);
      return;
    }
    const ops = await session.inTurn(() => duty.make(session));
    if (ops.length === 0) return;
    const reply = await exchanged(session, transport, ops, duty.atomic ?? true);
    const taken = reply.results.filter((result) => !isFailed(result)).length;
    report.sent += taken;
    if (taken === ops.length) duty.done?.(session);
  } catch (error) {
    const lost = error instanceof Refused && (error.code === "conflict" || error.code === "not_allowed");
    // Lost to another device, or a lock that was turned: what is left is decided again on the newest state.
    if (lost) return;
    if (error instanceof EigenkringError && DONE_BY_ANOTHER.has(error.code)) return;
    if (
      error instanceof Inadmissible ||
      error instanceof Misuse ||
      error instanceof Ended ||
      error instanceof Refused ||
      // Keys of a visitor that are no keys: that door stays shut, the others open.
      error instanceof CryptoError
    ) {
      session.alarm(error.code, about);
      return;
    }
    throw error;
  }
}

export async function exchanged(
  session: CaseSession,
  transport: Transport,
  ops: readonly Operation[],
  atomic: boolean,
): Promise<Reply> {
  // What is sent and then forgotten would be made a second time, as another change of the same number.
  await session.store.settled();
  const reply = await transport.exchange(ops, atomic);
  checkGeneration(session, reply.generation);
  return reply;
}

function failureIn({ results }: Reply): Failed | undefined {
  return results.filter(isFailed).find(({ code }) => code !== "not_done");
}

/** Sends what waits and reads what is new, in one exchange. Gives whether another round is needed. */
export async function roundTrip(
  session: CaseSession,
  transport: Transport,
  report: SyncReport,
): Promise<boolean> {
  if (await sendWholeExchanges(session, transport, report)) return true;
  const { waiting, asked } = await session.inTurn(async () => {
    if (session.charter) await packWaiting(session);
    const found = await appends(session);
    // From here on the relay may know them.
    for (const { number } of found) session.unsent.delete(number);
    return { waiting: found, asked: await wants(session) };
  });
  const ops = [...waiting.map(({ op }) => op), ...asked.map(({ op }) => op)];
  if (ops.length === 0) return false;
  const { results } = await exchanged(session, transport, ops, false);
  return session.inTurn(async () => {
    let refused = false;
    await session.store.step(() => {
      for (const [at, { number, op }] of waiting.entries()) {
        const result = results[at];
        if (result && isFailed(result)) {
          refused = appendRefused(session, number, op.stream, result) || refused;
        } else if (result && "chain" in result) {
          const { length, chain } = result as Placed;
          session.claimed.set(number, { stream: op.stream, length, chain });
          report.sent += 1;
        }
      }
    });
    const answers = asked.map((want, at) => {
      const result = results[waiting.length + at];
      if (!result) throw new RelayMisbehaved("relay_garbage", "an answer is missing");
      return [want, result] as const;
    });
    const again = await takeAll(session, answers, (count) => {
      report.received += count;
    });
    const more = !refused && ((await appends(session)).length > 0 || (await wordsWait(session)));
    return again || more || (refused && learned(session));
  });
}

/** What waits and may go now, as much as one frame takes. */
export async function appends(
  session: CaseSession,
): Promise<{ readonly number: number; readonly op: Append }[]> {
  const found: { number: number; op: Append }[] = [];
  const waits = await adopting.holdsBack(session);
  const unsigned = new Set<Hex>();
  let size = 0;
  for (const { number, stream, record } of session.store.outbox(session.case)) {
    if (!stream || session.claimed.has(number)) continue;
    // What stands on words that cannot be signed now would stand on nothing.
    if (!record) unsigned.add(hex(stream));
    if (!record || unsigned.has(hex(stream))) continue;
    // Who was put out before is not out again yet.
    if (waits && session.known().partStreams.has(hex(stream))) continue;
    // What its author saw goes before it: all would take the signed "seen" for a lie.
    if (session.gone.has(hex(stream))) continue;
    size += record.length;
    if (found.length >= APPENDS_IN_ONE_FRAME || (found.length > 0 && size > BYTES_IN_ONE_FRAME)) break;
    // The capability of now: the record may have been made before a lock was turned.
    const cap = appendCap(session.secrets(stream));
    const expect = same(stream, session.charterStream) ? session.placeOf(record) : null;
    if (cap) found.push({ number, op: { op: "append", stream, cap, record, expect } });
  }
  return found;
}

// --- exchanges that wait as a whole: the founding of a case

const foundingShape = struct({
  opens: list(
    struct({
      stream: bytes<StreamId>(16),
      hashes: tuple(bytes<CapabilityHash>(32), bytes<CapabilityHash>(32), bytes<CapabilityHash>(32)),
      expires: nullable(u64),
    }),
  ),
  appends: list(
    struct({
      stream: bytes<StreamId>(16),
      cap: bytes(32),
      record: bytes<RecordBytes>(undefined, 1),
      expect: nullable(bytes<Chain>(32)),
    }),
  ),
});

/** For the outbox: streams to open, then records to append, in one atomic exchange. */
export function packFounding(opens: readonly Open[], firsts: readonly Append[]): Uint8Array {
  return pack(foundingShape, {
    opens: opens.map(({ stream, read, append, manage, expires }) => ({
      stream,
      hashes: [read, append, manage] as const,
      expires,
    })),
    appends: firsts,
  });
}

function unpackFounding(packed: Uint8Array): Operation[] {
  const { opens, appends: firsts } = unpack(foundingShape, packed);
  return [
    ...opens.map(({ stream, hashes: [read, append, manage], expires }): Open => {
      return { op: "open", stream, read, append, manage, expires };
    }),
    ...firsts.map((first): Append => ({ op: "append", ...first, cap: first.cap as Append["cap"] })),
  ];
}

async function sendWholeExchanges(
  session: CaseSession,
  transport: Transport,
  report: SyncReport,
): Promise<boolean> {
  let sent = false;
  for (const { number, stream, ops: packed } of session.store.outbox(session.case)) {
    if (stream || session.claimed.has(number)) continue;
    const ops = unpackFounding(packed);
    const failed = failureIn(await exchanged(session, transport, ops, true));
    if (failed) throw new Refused(failed.code);
    // It stays until the charter was read back: a relay may say that it took what it threw away.
    session.claimed.set(number, { stream: session.charterStream, length: 1, chain: undefined });
    report.sent += ops.length;
    sent = true;
  }
  return sent;
}

// --- charter acts

/**
 * Carries out a charter act: makes the exchange on the newest state, sends it whole, and reads it back.
 *
 * Who loses a race throws the attempt away and makes it again. Throws Unreachable, Refused, Inadmissible.
 */
export async function act(
  session: CaseSession,
  transport: Transport,
  make: (now: CaseSession) => Promise<Exchange>,
  report: SyncReport,
): Promise<Exchange> {
  // A case that was begun a moment ago may not be at the relay yet: what begins it goes first, or nothing is there to decide on.
  await sendWholeExchanges(session, transport, report);
  const stuck = new Stuck();
  for (let race = 0; race < MAX_RACES; race++) {
    const exchange = await session.inTurn(async () => {
      const made = await make(session);
      prepare(session, made.secrets);
      return made;
    });
    const ops = stuck.without(exchange.ops);
    const reply = await exchanged(session, transport, ops, true);
    const failed = failureIn(reply);
    if (!failed) {
      await session.inTurn(() => hold(session, exchange.secrets));
      report.sent += ops.length;
      await readBack(session, transport, report);
      if (session.known().heads.index(exchange.after.head) === undefined) {
        // It says that it took the decision, and does not show it: nothing may be believed to be decided.
        session.alarm("broken_chain", "charter");
        tryLocksNext(session);
        throw new Refused("not_done", "the relay did not do what it said");
      }
      shown(session);
      return exchange;
    }
    if (isALock(ops[reply.results.indexOf(failed)], failed)) {
      await tryTheLocks(session, transport, ops, stuck);
      continue;
    }
    if (failed.code !== "conflict" && failed.code !== "not_allowed") throw new Refused(failed.code);
    const before = session.position(session.charterStream).length;
    await readBack(session, transport, report);
    const after = session.position(session.charterStream).length;
    if (failed.code === "not_allowed" && after === before) throw new Refused("not_allowed");
  }
  throw new Refused("conflict", "others keep changing the case at this moment; try again");
}

/** Finds out which locks of the exchange turn, and reports those that do not: they must not keep anybody in. */
async function tryTheLocks(
  session: CaseSession,
  transport: Transport,
  ops: readonly Operation[],
  stuck: Stuck,
): Promise<void> {
  const attempt = async (rekeys: readonly Rekey[]): Promise<Tried> => {
    const { results } = await exchanged(session, transport, rekeys, false);
    return rekeys.map((rekey, at) => [rekey, results[at] as Result] as const);
  };
  const tried = [...(await attempt(trials(ops)))];
  const earlier = earlierTrials(session, tried);
  if (earlier.length > 0) tried.push(...(await attempt(earlier)));
  for (const [stream, code] of stuck.learn(tried)) {
    session.alarm(code, lockName(session, stream));
    const { keysStream } = session.row;
    if (same(stream, session.charterStream) || (keysStream && same(stream, keysStream))) {
      // Of these nobody chose the lock but owners. Left as they were they would shut everybody out.
      throw new Refused(code, "the locks of this case turn no more: go on in a new one");
    }
  }
}

async function readBack(session: CaseSession, transport: Transport, report: SyncReport): Promise<void> {
  for (let round = 0; round < 4; round++) {
    if (!(await roundTrip(session, transport, report))) return;
  }
}
