/**
 * Locks that do not turn, left out so that an act on the charter is never undone by them. Mirror of
 * core/eigenkring/session/stuck.py. Spec: docs/spec/charter.md, Narrowing.
 *
 * Anyone can found a part whose stream was never opened, or opened under another manage hash. Its `rekey` would undo the
 * atomic exchange for good, and with it the founder's own removal.
 */
import { manageCapability, manageSecret } from "../../crypto/capability";
import { type Capability, type Hex, hex, named, type RoomSecret, type StreamId, unhex } from "../ids";
import { bytes, list, type Of, pack, text, tuple, u64, unpack } from "../shape";
import type { StoredSecret } from "../store";
import {
  type Close,
  type Failed,
  isFailed,
  MAX_EXCHANGE_OPS,
  type Operation,
  type Rekey,
  type Result,
} from "../wire";
import type { CaseState } from "./case";

const WILL_NOT_TURN = new Set(["no_stream", "closed", "expired", "not_allowed"]);
/** A lock that stayed behind stayed behind lately; who wants more of them tried wants the family to wait. */
const EARLIER_EPOCHS = 8;
/** Attempts whose secrets are kept until one of them is shown: as many as an act makes. */
const PREPARED = 8;
const PREPARED_LOCKS = "prepared locks";
const attemptsShape = list(list(tuple(text, u64, bytes<RoomSecret>(32))));

export type Tried = readonly (readonly [Rekey, Result])[];

function isLockOp(op: Operation): op is Rekey | Close {
  return op.op === "rekey" || op.op === "close";
}

/** What was found out in one act: with which capability a stream's lock turns after all, null where with none. */
export class Stuck {
  private readonly withCap = new Map<Hex, Capability | null>();

  /** The operations that can be done. The entry, the boxes and what is opened are never left out. */
  without(ops: readonly Operation[]): Operation[] {
    return ops.flatMap((op): Operation[] => {
      const cap = isLockOp(op) ? this.withCap.get(hex(op.stream)) : undefined;
      if (!isLockOp(op) || cap === undefined) return [op];
      return cap === null ? [] : [{ ...op, cap }];
    });
  }

  /** Remembers which locks turn with what. Gives the streams whose lock does not turn at all, with the relay's reason. */
  learn(tried: Tried): [StreamId, string][] {
    const never = new Map<Hex, string>();
    for (const [op, result] of tried) if (isFailed(result)) never.set(hex(op.stream), result.code);
    for (const [op, result] of tried) {
      if (isFailed(result)) continue;
      this.withCap.set(hex(op.stream), op.cap);
      never.delete(hex(op.stream));
    }
    for (const stream of never.keys()) this.withCap.set(stream, null);
    return [...never].sort().map(([stream, code]) => [unhex<StreamId>(stream), code]);
  }
}

/** Whether it is a lock that failed. Anything else is a race, or a reason to stop. */
export function isALock(op: Operation | undefined, { code }: Failed): boolean {
  return op !== undefined && isLockOp(op) && WILL_NOT_TURN.has(code);
}

function turnNothing(stream: StreamId, cap: Capability): Rekey {
  return { op: "rekey", stream, cap, read: null, append: null, manage: null };
}

/**
 * Turns every lock of the exchange to where it is: it changes nothing and says which of them would turn. All at once, or
 * whoever founded a hundred such parts would buy a hundred round trips.
 */
export function trials(ops: readonly Operation[]): Rekey[] {
  const caps = new Map(ops.filter(isLockOp).map((op) => [hex(op.stream), op] as const));
  return [...caps.values()].map(({ stream, cap }) => turnNothing(stream, cap));
}

/**
 * The same with the manage capabilities of the epochs before, and of what was prepared and never shown, for the locks that
 * did not know the present one.
 */
export function earlierTrials(session: CaseState, tried: Tried): Rekey[] {
  const unknown = tried.filter(([, result]) => isFailed(result) && result.code === "not_allowed");
  return unknown
    .flatMap(([{ stream }]) => earlierCaps(session, stream).map((cap) => turnNothing(stream, cap)))
    .slice(0, MAX_EXCHANGE_OPS);
}

/**
 * Keeps the secrets of an attempt before it is sent. A relay that turned its locks and threw the entry and the boxes away
 * would else hold locks whose keys nobody has.
 */
export function prepare(session: CaseState, secrets: readonly StoredSecret[]): void {
  if (secrets.length === 0) return;
  const attempt = secrets.map(({ room, epoch, secret }) => [room, epoch, secret] as const);
  const kept = [attempt, ...prepared(session)].slice(0, PREPARED);
  session.store.putFact(session.case, PREPARED_LOCKS, pack(attemptsShape, kept));
}

/** The decision is in the charter: what was prepared for it is in the ring, or false. */
export function shown(session: CaseState): void {
  session.store.putFact(session.case, PREPARED_LOCKS, null);
}

/** The manage capabilities of locks that this device prepared and no entry shows, newest first. */
export function preparedCaps(session: CaseState, stream: StreamId, room: string): Capability[] {
  const now = session.known().rooms.get(room)?.epoch ?? 0;
  return prepared(session)
    .flat()
    .filter(([name, epoch]) => name === room && epoch > now)
    .map(([, epoch, secret]) => named(manageCapability(manageSecret(secret, stream), stream, epoch)));
}

function prepared(session: CaseState): Of<typeof attemptsShape> {
  const packed = session.store.fact(session.case, PREPARED_LOCKS);
  return packed ? unpack(attemptsShape, packed) : [];
}

/** For the alarm: the part whose lock it is. */
export function lockName(session: CaseState, stream: StreamId): string {
  const part = session.known().partStreams.get(hex(stream));
  return part ? `lock of ${part.name}` : "lock of a stream";
}

function earlierCaps(session: CaseState, stream: StreamId): Capability[] {
  const room = session.known().streamRooms(stream)?.manage;
  const now = (room && session.known().rooms.get(room)?.epoch) || 0;
  const held = [...session.ring].filter((given) => given.room === room && given.epoch < now);
  const earlier = held
    .sort((a, b) => b.epoch - a.epoch)
    .slice(0, EARLIER_EPOCHS)
    .map(({ epoch, secret }) =>
      named<Capability>(manageCapability(manageSecret(secret, stream), stream, epoch)),
    );
  return room ? [...earlier, ...preparedCaps(session, stream, room)] : earlier;
}
