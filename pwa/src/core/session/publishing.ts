/** Views, what the circle shows to a reader, and the keys for it: mirror of core/eigenkring/session/publishing.py. */
import { CryptoError } from "../../crypto/errors";
import { recordEpoch } from "../../crypto/seal";
import type { SigningKey } from "../../crypto/sign";
import type { Grant } from "../charter/state";
import type { Document } from "../document";
import * as doorstep from "../doorstep";
import { Inadmissible, Misuse } from "../errors";
import {
  granterKey,
  makeTurned,
  makeWelcome,
  publisherKey,
  type SignedState,
  sealAuthor,
  signState,
} from "../grant";
import { hex, named, type RoomSecret, same } from "../ids";
import { CIRCLE, grantRoom, OWNERS, ownRoom } from "../rooms";
import { pack, u64 } from "../shape";
import { appendCap, manageCap, type PlacedRecord, sealRecord } from "../stream";
import {
  checkSelection,
  makeView,
  openView,
  type Projection,
  packProjection,
  project,
  type Selection,
  type View,
  viewDigest,
} from "../view";
import type { Append, Replace } from "../wire";
import { held } from "./acting";
import { borneOut } from "./clocks";
import { doorSecrets, type Knocked, termsOf } from "./doors";
import type { CaseSession } from "./parts";

/** The selected parts as they are now; undefined where this device does not read them all. */
function documentsFor(session: CaseSession, selection: Selection): Map<string, Document> | undefined {
  const found = new Map<string, Document>();
  for (const name of selection.parts.keys()) {
    const part = session.known().parts.get(name);
    const opened = part && session.parts.get(hex(part.stream));
    if (!opened) return undefined;
    found.set(name, session.read(opened));
  }
  return found;
}

/** What a reader of this selection sees now: published views and the preview are made by this one function. */
export function projectionFor(
  session: CaseSession,
  selection: Selection,
  pseudonyms: Uint8Array,
): Projection | undefined {
  const documents = documentsFor(session, selection);
  if (!documents) return undefined;
  const people = new Map([...session.known().people].map(([id, { name }]) => [id, name]));
  return project(selection, documents, people, pseudonyms);
}

/** What to send so that the reader sees the present; nothing where they do already, or where it is not ours to publish. */
export async function publication(session: CaseSession, grant: Grant): Promise<Append | Replace | undefined> {
  const terms = await termsOf(session, grant);
  const circle = session.roomSecret(CIRCLE);
  const secrets = session.secrets(grant.down);
  if (!terms || !circle || !secrets.read || borneOut(session) >= grant.until) return undefined;
  try {
    // An owner signed the terms, not the schema: what may never be shown is refused here too.
    checkSelection(terms.selection, session.around.schema, grant.granter);
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    session.alarm("not_permitted", `grant ${hex(grant.grant)}`);
    return undefined;
  }
  const projection = projectionFor(session, terms.selection, terms.pseudonyms);
  if (!projection) return undefined;
  const parts = packProjection(projection);
  const publisher = await publisherKey(named<RoomSecret>(circle.secret), grant.grant);
  const last = await latestView(session, grant);
  const unchanged = last !== undefined && same(last.view.digest, viewDigest(parts));
  if (unchanged && last.epoch === secrets.read.epoch && same(last.signer, publisher.public)) return undefined;
  const { length, chain } = session.position(grant.down);
  const payload = await makeView(publisher, grant.down, {
    grant: grant.grant,
    v: last ? last.view.v + (unchanged ? 0 : 1) : 1, // unchanged: the same words behind a new lock
    length,
    chain,
    until: grant.until,
    to: terms.to,
    parts,
    who: await sealAuthor(terms.pseudonyms, grant.grant, session.device(), session.around.random(24)),
  });
  const record = await sealRecord(secrets, payload, session.around.random(24));
  const stream = grant.down;
  return length === 0
    ? { op: "append", stream, cap: held(appendCap(secrets)), record, expect: chain }
    : { op: "replace", stream, cap: held(manageCap(secrets)), expect: chain, record };
}

interface Published {
  readonly view: View;
  readonly epoch: number;
  readonly signer: Uint8Array;
}

/** The newest view that a device of the circle published, its epoch, and the key that signed it. */
async function latestView(session: CaseSession, grant: Grant): Promise<Published | undefined> {
  for (const placed of session.store.records(session.case, grant.down).reverse()) {
    const found = await published(session, grant, placed);
    if (found) return found;
  }
  return undefined;
}

async function published(
  session: CaseSession,
  grant: Grant,
  { record }: PlacedRecord,
): Promise<Published | undefined> {
  let payload: Uint8Array;
  try {
    payload = await session.openRecord(grant.down, grantRoom(grant.grant), record);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return undefined;
  }
  // The publishing keys, newest first: the circle's secret turns, and the key with it.
  for (const { room, secret } of [...session.ring].reverse()) {
    if (room !== CIRCLE) continue;
    const signer = (await publisherKey(secret, grant.grant)).public;
    try {
      const view = await openView(payload, grant.down, grant.grant, signer);
      return { view, epoch: recordEpoch(record), signer };
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
  }
  return undefined;
}

// --- grant states

/**
 * Rises whenever the grant's secret or the circle's turns, the same on every device. It counts from the grant's own
 * beginning: from the circle's, a reader would learn how many were put out before.
 */
export function stateNumber(session: CaseSession, grant: Grant): number {
  const { rooms } = session.known();
  const now = (rooms.get(grantRoom(grant.grant))?.epoch ?? 0) + (rooms.get(CIRCLE)?.epoch ?? 0);
  return now - recordEpoch(grant.terms);
}

/**
 * From the key that the reader pinned first to the newest: another one for each epoch of the room `@owner`, so that the
 * key of a device that was put out ends with it. Empty for a device of another owner.
 */
async function granterKeys(session: CaseSession, grant: Grant): Promise<SigningKey[]> {
  if (!same(grant.granter, session.me())) return [];
  const own = [...session.ring].filter(({ room }) => room === ownRoom(session.me()));
  own.sort((one, other) => one.epoch - other.epoch);
  const keys: SigningKey[] = [];
  for (const { secret } of own) {
    const key = await granterKey(secret, grant.grant);
    if (keys.length || same(key.public, grant.granterKey)) keys.push(key);
  }
  return keys;
}

/** The present state of a grant, signed by whoever gave it. */
async function signedState(session: CaseSession, grant: Grant): Promise<SignedState> {
  const keys = await granterKeys(session, grant);
  const terms = await termsOf(session, grant);
  const own = session.ring.secret(
    grantRoom(grant.grant),
    session.roomSecret(grantRoom(grant.grant))?.epoch ?? 0,
  );
  const circle = session.ring.secret(CIRCLE, session.roomSecret(CIRCLE)?.epoch ?? 0);
  const epoch = session.known().rooms.get(grantRoom(grant.grant))?.epoch;
  if (!keys.length || !terms || !own || !circle || epoch === undefined) {
    throw new Misuse("not_permitted", "only a device of whoever gave access can do that");
  }
  return signState(keys, {
    grant: grant.grant,
    n: stateNumber(session, grant),
    down: grant.down,
    up: grant.up,
    secret: own,
    epoch,
    publisher: (await publisherKey(circle, grant.grant)).public,
    until: grant.until,
    to: terms.to,
  });
}

/** The answer on the doorstep to a reader who knocked. */
export async function welcomeReader(
  session: CaseSession,
  grant: Grant,
  { door, device, statement }: Knocked,
): Promise<Uint8Array> {
  const content = makeWelcome(grant.grant, await signedState(session, grant));
  return doorstep.makeWelcome(door.stream, device, statement.box, content);
}

/** A grant whose reader does not have the present state yet, as far as this device knows, and that it can sign for. */
export async function turnedGrant(
  session: CaseSession,
  done: ReadonlySet<string>,
): Promise<Grant | undefined> {
  for (const grant of session.known().grants.values()) {
    if (grant.endedN !== null || !grant.device || done.has(stateName(session, grant))) continue;
    const given = session.store.fact(session.case, `state ${hex(grant.grant)}`);
    if (given && same(given, mark(session, grant))) continue;
    if (session.roomSecret(grantRoom(grant.grant)) && (await granterKeys(session, grant)).length)
      return grant;
  }
  return undefined;
}

export function stateName(session: CaseSession, grant: Grant): string {
  return `state ${hex(grant.grant)} ${stateNumber(session, grant)}`;
}

export async function nextState(session: CaseSession, grant: Grant): Promise<Append> {
  const terms = await termsOf(session, grant);
  if (!grant.device || !terms) throw new Misuse("not_permitted", "nobody reads this grant yet");
  const stream = grant.doorstep;
  const state = await signedState(session, grant);
  const payload = await makeTurned(grant.device.box, stream, grant.device.device, state);
  const secrets = doorSecrets(session, stream, terms.seed, OWNERS);
  const record = await sealRecord(secrets, payload, session.around.random(24));
  return { op: "append", stream, cap: held(appendCap(session.secrets(stream))), record, expect: null };
}

/** That the reader has, or is about to have, the present state. */
export function rememberState(session: CaseSession, grant: Grant): void {
  session.store.putFact(session.case, `state ${hex(grant.grant)}`, mark(session, grant));
}

function mark(session: CaseSession, grant: Grant): Uint8Array {
  return pack(u64, stateNumber(session, grant));
}
