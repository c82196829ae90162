/** The four words that two people compare before any key is given: mirror of core/eigenkring/session/comparing.py. */
import { CryptoError } from "../../crypto/errors";
import { comparisonWords } from "../../crypto/words";
import { nonceFor as nonceOf, openNonce, wordsDigest } from "../doorstep";
import { Inadmissible } from "../errors";
import { type CaseId, type DeviceId, hex, type StreamId, same } from "../ids";
import { bytes, pack, struct, unpack } from "../shape";
import type { Store } from "../store";
import { openRecord } from "../stream";
import type { CaseState } from "./case";
import { type Knocked, roomOf } from "./doors";
import type { NewDevice } from "./own-door";

/** One list for both: who reads them out may have another language on the screen than who listens. */
const LANGUAGE = "nl";
const knockShape = struct({ statement: bytes(), seed_sig: bytes(64), device_sig: bytes(64) });

/**
 * The nonce of this knock. Undefined where the room was turned since the link was made: who was put out of it can work out what
 * its devices would answer, so a new link is needed.
 */
export function nonceFor(session: CaseState, { door, knock }: Knocked | NewDevice): Uint8Array | undefined {
  // A turn moves this door, so that its room's secret is always the newest.
  if ("roomSecret" in door) return nonceOf(door.roomSecret, door.stream, knock.statement);
  const charter = session.known();
  const room = roomOf(door);
  const epoch = charter.epochAt(room, door.of.n);
  if (!epoch || epoch !== charter.rooms.get(room)?.epoch) return undefined;
  const secret = session.ring.secret(room, epoch);
  return secret && nonceOf(secret, door.stream, knock.statement);
}

/** The fact that a person said the words are the same; its value is the device. */
export const confirmed = ({ door }: Knocked | NewDevice): string =>
  `confirmed ${hex("roomSecret" in door ? door.stream : door.id)}`;

/** What this side shows. Undefined while the visitor was not given the nonce: their screen would show nothing. */
export async function wordsOf(
  session: CaseState,
  knocked: Knocked | NewDevice,
): Promise<string[] | undefined> {
  const nonce = nonceFor(session, knocked);
  if (!nonce || !(await wasGiven(session, knocked, nonce))) return undefined;
  return comparisonWords(wordsDigest(knocked.knock.statement, nonce), LANGUAGE);
}

/** Whether the nonce lies on the doorstep. */
export async function wasGiven(
  session: CaseState,
  { door, device, knock }: Knocked | NewDevice,
  nonce: Uint8Array,
): Promise<boolean> {
  for (const { record } of session.store.records(session.case, door.stream, 1)) {
    try {
      const payload = await openRecord(door.secrets, record);
      const found = openNonce(payload, device, knock.device_sig, door.stream);
      if (found) return same(found, nonce);
    } catch (error) {
      // Noise of somebody who has the link.
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
    }
  }
  return false;
}

// --- the visitor's side; `owner` is the case, and of a reader the grant

/** What was signed at the newest door, undefined where no words are compared there. */
export function keepKnock(store: Store, owner: CaseId, knock: Knocked["knock"] | undefined): void {
  store.putFact(owner, "knock", knock ? pack(knockShape, knock) : null);
  store.putFact(owner, "nonce", null);
}

/** What a visitor's screen shows. Undefined while nobody of the circle saw the knock, or where another one was first. */
export function ownWords(store: Store, owner: CaseId): string[] | undefined {
  const packed = store.fact(owner, "knock");
  const nonce = store.fact(owner, "nonce");
  if (!packed || !nonce) return undefined;
  return comparisonWords(wordsDigest(unpack(knockShape, packed).statement, nonce), LANGUAGE);
}

/** The first nonce that the circle made for this very knock; whoever else writes on the doorstep cannot. */
export function takeNonce(
  store: Store,
  owner: CaseId,
  device: DeviceId,
  stream: StreamId,
  payload: Uint8Array,
): void {
  const packed = store.fact(owner, "knock");
  if (!packed || store.fact(owner, "nonce")) return;
  try {
    const { device_sig } = unpack(knockShape, packed);
    const nonce = openNonce(payload, device, device_sig, stream);
    if (nonce) store.putFact(owner, "nonce", nonce);
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
  }
}
