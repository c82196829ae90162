/**
 * The `keys` stream on one device: finding its own boxes, and checking who sent what. Mirror of
 * core/eigenkring/session/boxes.py. Spec: docs/spec/charter.md, Keys.
 */
import { CryptoError } from "../../crypto/errors";
import { Inadmissible } from "../errors";
import { hex, type StreamId, same } from "../ids";
import { type Bag, checkPayload, type OpenedBag, openBags } from "../keys";
import { BadPacked } from "../packed";
import { bytes, struct, u64, unpack } from "../shape";
import type { StoredSecret } from "../store";
import { openRecord, type PlacedRecord, type StreamSecrets } from "../stream";
import * as asks from "./asks";
import type { CaseState } from "./case";
import * as preparing from "./preparing";

/** Records that wait for a charter entry. Who writes more of them has something else in mind. */
export const KEYS_THAT_WAIT = 64;

interface KeysDoor {
  readonly stream: StreamId;
  readonly secret: Uint8Array;
  readonly at: StreamSecrets;
}

function doorOf(session: CaseState): KeysDoor | undefined {
  const { keysStream: stream, keysSecret: secret } = session.row;
  return stream && secret ? { stream, secret, at: { stream, read: { secret, epoch: 0 } } } : undefined;
}

async function openOwn(
  session: CaseState,
  door: KeysDoor,
  payload: Uint8Array,
): Promise<OpenedBag | undefined> {
  const box = await session.keys.box();
  return openBags(payload, session.case, door.stream, door.secret, session.device(), box);
}

/** Finds the boxes for this device. What they hold is believed only when the charter confirms it. */
export async function takeKeys(session: CaseState, records: readonly PlacedRecord[]): Promise<void> {
  const door = doorOf(session);
  if (!door) throw new Error("reading keys without knowing them");
  const waiting = [...session.uncheckedKeys()];
  for (const { index, record } of records) {
    waiting.push(index);
    try {
      const found = await openOwn(session, door, await openRecord(door.at, record));
      if (found) session.believeLater(secretsIn(found.bag));
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
      session.alarm(error.code, "keys");
    }
  }
  session.rememberUncheckedKeys(waiting.slice(-KEYS_THAT_WAIT));
}

/** Every room secret that a box for this device ever held: whatever charter it belongs to. */
export async function allTold(session: CaseState): Promise<StoredSecret[]> {
  const door = doorOf(session);
  const found: StoredSecret[] = [];
  for (const { record } of door ? session.store.records(session.case, door.stream) : []) {
    try {
      const bag = door && (await openOwn(session, door, await openRecord(door.at, record)));
      if (bag) found.push(...secretsIn(bag.bag));
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
    }
  }
  return found;
}

/** Kept where a room secret of this device was lost: it lies in a box too. */
export const KEYS_AGAIN = "keys again";

/** Takes what boxes told once more, where something was lost; the charter says which of it is good. */
export async function takeAgain(session: CaseState): Promise<void> {
  if (!session.store.fact(session.case, KEYS_AGAIN)) return;
  await session.store.whole();
  const told = await allTold(session);
  await session.store.step(() => {
    session.believeLater(told);
    session.store.putFact(session.case, KEYS_AGAIN, null);
  });
}

function secretsIn({ rooms }: Bag): StoredSecret[] {
  return rooms.map(([room, epoch, secret]) => ({ room, epoch, secret }));
}

/** Checks every record of keys against the charter it names: who signed it, what they saw, what they gave to us. */
export async function checkKeys(session: CaseState): Promise<void> {
  const door = doorOf(session);
  const waiting = new Set(session.uncheckedKeys());
  if (waiting.size === 0 || !door || !session.charter) return;
  const left: number[] = [];
  for (const placed of session.store.records(session.case, door.stream, Math.min(...waiting) - 1)) {
    if (waiting.has(placed.index) && !(await checkOne(session, door, placed))) left.push(placed.index);
  }
  session.rememberUncheckedKeys(left);
}

/** False where it belongs to an entry that was not read here yet. */
async function checkOne(
  session: CaseState,
  door: KeysDoor,
  { index, record }: PlacedRecord,
): Promise<boolean> {
  let payload: Uint8Array | undefined;
  try {
    payload = await openRecord(door.at, record);
    const { by, length, chain } = await checkPayload(payload, session.known());
    const known = session.store.chainAt(session.case, door.stream, length);
    if (length >= index || (known && !same(known, chain))) {
      session.alarm("false_seen", `keys of device ${hex(by)}`);
    }
    const found = await openOwn(session, door, payload);
    if (found) await checkBag(session, found);
  } catch (error) {
    if (error instanceof CryptoError) return true; // noise, told when it came
    if (!(error instanceof Inadmissible)) throw error;
    if (payload && charterIsBehind(session, payload)) return false;
    session.alarm(error.code, "keys");
  }
  return true;
}

const outerShape = struct({ body: bytes() });
const namingShape = struct({ n: u64 });

/** Whether a record of keys belongs to an entry that was not read here yet. */
export function charterIsBehind(session: CaseState, payload: Uint8Array): boolean {
  try {
    return unpack(namingShape, unpack(outerShape, payload).body).n > session.known().n;
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    return false;
  }
}

async function checkBag(session: CaseState, { by, bag }: OpenedBag): Promise<void> {
  const charter = session.known();
  for (const given of secretsIn(bag)) {
    try {
      session.ring.check(charter, given.room, given.epoch, given.secret);
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      session.alarm(error.code, `device ${hex(by)}`);
      session.disbelieve(given);
    }
  }
  const sender = charter.personOf(by);
  if (bag.acts.length > 0 && sender) {
    const acts = bag.acts.filter(({ act }) => !same(act, preparing.WANTED));
    if (acts.length < bag.acts.length) preparing.takeWish(session, by);
    await asks.take(session, acts);
  }
  // Of an owner only: whoever chooses a stream's manage hash can close it.
  if (bag.blanks.length > 0 && sender && charter.isOwner(sender.person)) {
    preparing.hold(session, bag.blanks);
  }
}

/** Whether somebody of this case made this record of keys. */
export async function signedKeys(session: CaseState, record: Uint8Array): Promise<boolean> {
  const door = doorOf(session);
  if (!door || !session.charter) return false;
  try {
    await checkPayload(await openRecord(door.at, record), session.charter);
    return true;
  } catch (error) {
    if (error instanceof CryptoError || error instanceof Inadmissible) return false;
    throw error;
  }
}

/** Secrets of an act that the relay has taken: used for reading the entry back, confirmed by it. */
export function hold(session: CaseState, secrets: Iterable<StoredSecret>): void {
  session.believeLater(secrets, true);
}
