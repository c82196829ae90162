/**
 * What to read in one round trip, and taking in the answers: keys first, then the charter, then everything else. Mirror of
 * core/eigenkring/session/taking.py.
 */
import { readCapability, readSecret } from "../../crypto/capability";
import { CryptoError } from "../../crypto/errors";
import { Inadmissible, RelayMisbehaved } from "../errors";
import {
  type Capability,
  type CapabilityHash,
  type DeviceId,
  hex,
  named,
  type RecordBytes,
  type StreamId,
} from "../ids";
import { type Blank, checkBag, type OpenedBag, openBags } from "../keys";
import { EVERYONE } from "../rooms";
import { bytes, list, pack, tuple, u64, unpack } from "../shape";
import type { StoredSecret } from "../store";
import { accept, openRecord, readCap } from "../stream";
import { type Failed, isFailed, type Read, type Result } from "../wire";
import { watched } from "./doors";
import type { CaseSession } from "./parts";

const MAX_BYTES = 1_000_000;
const KEYS_AT_ONCE = 4;
const blanksShape = list(tuple(bytes<StreamId>(16), bytes<CapabilityHash>(32)));

/** A read, and what it is for. `epoch`: of the key shown, where it matters. */
export interface Want {
  readonly purpose: "keys" | "charter" | "part" | "door" | "view";
  readonly stream: StreamId;
  readonly op: Read;
  readonly epoch: number;
}

/** One read for every stream this device may read, in the order in which the answers are taken in. */
export async function wants(session: CaseSession): Promise<Want[]> {
  const found: Want[] = [];
  const { keysStream } = session.row;
  if (!keysStream) return found;
  const want = (purpose: Want["purpose"], stream: StreamId, cap: Capability | undefined, epoch = 0): void => {
    if (!cap) return;
    const after = session.position(stream).length;
    found.push({ purpose, stream, op: { op: "read", stream, cap, after, max_bytes: MAX_BYTES }, epoch });
  };
  want("keys", keysStream, readCap(session.secrets(keysStream)));
  for (const { cap, epoch } of keysOfCharter(session)) want("charter", session.charterStream, cap, epoch);
  const { charter } = session;
  if (!charter) return found;
  for (const { stream } of charter.parts.values()) want("part", stream, readCap(session.secrets(stream)));
  for (const door of await watched(session)) want("door", door.stream, readCap(door.secrets));
  for (const { down, up, endedN } of charter.grants.values()) {
    if (endedN !== null) continue;
    want("view", down, readCap(session.secrets(down)));
    want("view", up, readCap(session.secrets(up)));
  }
  return found;
}

/** Only the right one opens; a keybag may have lied, so the newest few that anybody told of are shown at once. */
function keysOfCharter(session: CaseSession): { cap: Capability; epoch: number }[] {
  const stream = session.charterStream;
  return session
    .told(EVERYONE)
    .slice(session.charterTry, session.charterTry + KEYS_AT_ONCE)
    .map(({ epoch, secret }) => ({
      cap: named(readCapability(readSecret(secret, stream), stream, epoch)),
      epoch,
    }));
}

/** Takes in the answers of one exchange. Gives whether another round would bring more. */
export async function takeAll(
  session: CaseSession,
  answers: readonly (readonly [Want, Result])[],
  received: (count: number) => void,
): Promise<boolean> {
  let again = false;
  let charterRefused = 0;
  const charterAsked = answers.filter(([want]) => want.purpose === "charter").length;
  for (const [want, result] of answers) {
    if (isFailed(result)) {
      if (want.purpose === "charter" && result.code === "not_allowed") charterRefused += 1;
      else if (["closed", "expired", "no_stream"].includes(result.code)) gone(session, want, result.code);
      continue;
    }
    const took = await takeOne(session, want, result, received);
    again = took || again;
  }
  again = (await session.foldCharter()) || again;
  await session.openParts();
  if (charterRefused < charterAsked || charterAsked === 0) {
    session.charterTry = 0;
  } else {
    session.charterTry += charterAsked;
    if (session.charterTry < session.told(EVERYONE).length) again = true;
    else {
      // All were shown in vain; where keys came in this very round, they are shown in the next.
      session.charterTry = 0;
      if (!again) session.lockedOut();
    }
  }
  return again;
}

async function takeOne(
  session: CaseSession,
  want: Want,
  result: Exclude<Result, Failed>,
  received: (count: number) => void,
): Promise<boolean> {
  if (!("records" in result)) {
    throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
  }
  const { purpose, stream } = want;
  let accepted: ReturnType<typeof accept>;
  try {
    accepted = accept(session.position(stream), result, (index) =>
      session.store.chainAt(session.case, stream, index),
    );
  } catch (error) {
    if (!(error instanceof RelayMisbehaved)) throw error;
    session.alarm(error.code, purpose);
    return false;
  }
  const { placed, position, replaced, more } = accepted;
  if (more && placed.length === 0) {
    // It promises more and gives nothing: not worth another round.
    session.alarm("relay_garbage", purpose);
    return false;
  }
  if (placed.length === 0 && !replaced) return more;
  await session.store.step(() => {
    session.store.putRecords(session.case, stream, position, placed);
    if (purpose === "charter") session.putCharterEpoch(Math.max(want.epoch, session.charterEpoch()));
  });
  received(placed.length);
  if (purpose === "keys") {
    await takeKeys(
      session,
      placed.map(({ record }) => record),
    );
  }
  return more || purpose === "keys" || purpose === "charter" || purpose === "door";
}

/** Finds the boxes for this device. What they hold is believed only when the charter confirms it. */
async function takeKeys(session: CaseSession, records: readonly RecordBytes[]): Promise<void> {
  const { keysStream, keysSecret } = session.row;
  if (!keysStream || !keysSecret) throw new Error("reading keys without knowing them");
  const at = { stream: keysStream, read: { secret: keysSecret, epoch: 0 } };
  for (const record of records) {
    let found: OpenedBag | undefined;
    try {
      const payload = await openRecord(at, record);
      found = await openBags(
        payload,
        session.case,
        keysStream,
        keysSecret,
        session.device(),
        session.keys.box,
      );
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
      session.alarm(error.code, "keys");
      continue;
    }
    if (!found) continue;
    const given = found.bag.rooms.map(([room, epoch, secret]): StoredSecret => ({ room, epoch, secret }));
    session.believeLater(given, await signer(session, found));
    keepBlanks(session, found.bag.blanks);
  }
}

/** Who is to blame if it is wrong: only whose signature was checked, or a false bag could be laid at anybody's door. */
async function signer(session: CaseSession, found: OpenedBag): Promise<DeviceId | undefined> {
  if (!session.charter) return undefined;
  try {
    await checkBag(found, session.charter);
    return found.by;
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    return undefined;
  }
}

/** Streams that an owner's device prepared for this person's own parts, not used yet. */
export function blanksOf(session: CaseSession): Blank[] {
  const packed = session.store.fact(session.case, "blanks");
  const streams = session.charter?.streams;
  return packed ? unpack(blanksShape, packed).filter(([stream]) => !streams?.has(hex(stream))) : [];
}

function keepBlanks(session: CaseSession, blanks: readonly Blank[]): void {
  if (blanks.length === 0) return;
  session.store.putFact(session.case, "blanks", pack(blanksShape, [...blanksOf(session), ...blanks]));
}

/** Secrets of an act that the relay has taken: used for reading the entry back, confirmed by it. */
export function hold(session: CaseSession, secrets: Iterable<StoredSecret>): void {
  session.believeLater(secrets, session.device());
}

/** Whether a refused append is worth another try: the locks may have been turned, and the keys have come since. */
export function learned(session: CaseSession): boolean {
  return session.refusals < 3;
}

/** A record that the relay did not take stays in the outbox, unless its stream is gone for good. */
export function appendRefused(session: CaseSession, number: number, { code }: Failed): boolean {
  if (code === "closed" || code === "no_stream" || code === "expired") {
    session.alarm(code, "outbox");
    session.store.dropOutbox(number);
    return false;
  }
  session.refusals += 1;
  if (code !== "not_allowed") session.alarm(code, "outbox");
  return true;
}

function gone(session: CaseSession, { purpose, stream }: Want, code: string): void {
  if (purpose === "keys" || purpose === "charter") {
    session.alarm(code, purpose);
    if (code === "closed") session.putRow({ state: "closed" });
  } else if (purpose === "part") {
    session.alarm(code, session.nameOf(stream));
  }
}

/** A relay that was restored says so by a higher generation: told to people. A lower one is a lie or an old copy. */
export function checkGeneration(session: CaseSession, generation: number): void {
  const packed = session.store.fact(session.case, "generation");
  const known = packed ? unpack(u64, packed) : undefined;
  if (known !== undefined && generation < known) {
    throw new RelayMisbehaved("rolled_back", "the relay went back to an older generation");
  }
  if (known !== undefined && generation === known) return;
  session.store.putFact(session.case, "generation", pack(u64, generation));
  if (known !== undefined) session.alarm("new_generation", "relay");
}
