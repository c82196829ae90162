/**
 * A professional's side of a grant: following the link, reading the view, and being told when it ends. Mirror of
 * core/eigenkring/receiving.py. Spec: docs/spec/view.md.
 */
import { readSecret } from "../crypto/capability";
import { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { concat } from "../crypto/kdf";
import { deviceId } from "./charter/entry";
import { openWelcome as openDoorWelcome, openGreeting, VIEW, welcomeFor } from "./doorstep";
import { Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { follow, type Reading } from "./following";
import { type GrantState, type OpenedState, openTurned, openWelcome } from "./grant";
import { type CaseId, type DeviceId, type GrantId, named, type RoomSecret, type StreamId, same } from "./ids";
import { type Link, parseLink } from "./link";
import type { Heard } from "./live";
import type { Clock, Random } from "./session/case";
import { keepKnock, ownWords, takeNonce } from "./session/comparing";
import { bytes, pack, struct, text, u32, u64, unpack } from "./shape";
import type { GrantStatus, Store, StoredGrant } from "./store";
import { openRecord, readCap, type StreamSecrets } from "./stream";
import type { Transport } from "./transport";
import { openView, type Projection, packProjection, unpackProjection } from "./view";
import {
  doorSecrets,
  KNOCKING,
  knock,
  knockToCompare,
  linkUsed,
  lookAtDoor,
  makeKnock,
  usedByAnother,
} from "./visiting";

const DIGEST_BYTES = 32;
const stateShape = struct({
  grant: bytes<GrantId>(16),
  n: u64,
  down: bytes<StreamId>(16),
  up: bytes<StreamId>(16),
  secret: bytes<RoomSecret>(32),
  epoch: u32,
  publisher: bytes(32),
  until: u64,
  to: text,
});

/** Follows the link of a family. Throws Misuse `bad_link`, Ended, Inadmissible `wrong_pin`. */
export async function acceptLink(
  store: Store,
  linkText: string,
  name: string,
  transport: Transport,
  random: Random,
): Promise<GrantId> {
  const link = parseLink(linkText);
  if (link.kind !== VIEW) throw new Misuse("bad_link", "this link invites someone into a circle: use `join`");
  const known = store
    .grants()
    .find((row) => (row.status === "waiting" || row.status === "open") && isFrom(row, link));
  if (known) {
    if (known.status === "waiting") await knock(store, alarmsOf(known.grant), link, transport);
    return known.grant;
  }
  const door = await lookAtDoor(link, transport);
  const { greeting } = door;
  if (!greeting.granter_key) {
    throw new Inadmissible("wrong_pin", "a grant without the key of whoever gave it");
  }
  const grant = named<GrantId>(greeting.invitation);
  const seed = random(32);
  const row: StoredGrant = {
    grant,
    case: greeting.case,
    relay: link.relay,
    link: linkText.trim(),
    seed,
    name,
    granterKey: greeting.granter_key,
    status: "waiting",
    until: greeting.expires,
    stateN: 0,
    state: new Uint8Array(),
    version: 0,
    view: new Uint8Array(),
    sender: greeting.from,
  };
  if (usedByAnother(door.payloads)) throw linkUsed();
  const keys = await DeviceKeys.fromSeed(seed);
  const compared = await knockToCompare(door, link, keys, name);
  const record = await makeKnock(door, link, keys, name, random);
  await store.step(() => {
    keepKnock(store, alarmsOf(grant), compared);
    store.putFact(alarmsOf(grant), KNOCKING, record);
    store.putGrant(row);
  });
  if (!(await knock(store, alarmsOf(grant), link, transport))) {
    await drop(store, row, "link_used");
    throw linkUsed();
  }
  return grant;
}

function isFrom(row: StoredGrant, link: Link): boolean {
  return row.link !== "" && same(parseLink(row.link).doorstep, link.doorstep);
}

/** Reads what came. Throws Unreachable. What the relay or a publisher did wrong becomes an alarm of the grant. */
export async function refresh(
  store: Store,
  given: StoredGrant,
  transport: Transport,
  clock: Clock,
): Promise<StoredGrant> {
  let row = given;
  if (row.status !== "waiting" && row.status !== "open" && !isAside(row)) return row;
  const reading: Reading = { store, owner: alarmsOf(row.grant), transport, clock };
  if (clock() >= row.until) return past(reading, await putAside(store, row));
  if (isAside(row)) row = await takenUp(store, row);
  try {
    if (row.status === "waiting") {
      await knock(store, alarmsOf(row.grant), parseLink(row.link), transport);
    }
    row = await readStates(reading, row);
    if (row.status === "open") row = await readView(reading, row);
  } catch (error) {
    if (error instanceof Ended) {
      const before = error.code === "withdrawn" ? "link_expired" : (error.code as GrantStatus);
      return drop(store, row, row.status === "open" ? "withdrawn" : before);
    }
    if (error instanceof Refused && (error.code === "busy" || error.code === "slow_down")) {
      throw new Unreachable("offline", "the relay has no time now");
    }
    const isFault =
      error instanceof Refused ||
      error instanceof Inadmissible ||
      error instanceof RelayMisbehaved ||
      error instanceof CryptoError;
    if (!isFault) throw error;
    store.putAlarm(reading.owner, { code: error.code, about: "view", at: clock() });
  }
  await store.settled();
  return row;
}

/** Alarms of a view lie under the id of its grant: it is no case of this device. */
export function alarmsOf(grant: GrantId): CaseId {
  return named<CaseId>(grant);
}

// By our own clock, offline too: what may not be read any more must not lie here. But a clock can be years off, so the way
// to it is kept until the relay, which goes by another clock, says that it is over.

function isAside(row: StoredGrant): boolean {
  return row.status === "ended" && row.link !== "";
}

async function putAside(store: Store, row: StoredGrant): Promise<StoredGrant> {
  if (isAside(row)) return row;
  const aside: StoredGrant = { ...row, status: "ended", view: row.view.slice(0, DIGEST_BYTES) };
  await store.step(() => {
    store.forgetStream(alarmsOf(row.grant), parseLink(row.link).doorstep);
    if (row.status === "open") store.forgetStream(alarmsOf(row.grant), stateOf(row).down);
    store.putGrant(aside);
  });
  await store.tidy();
  return aside;
}

/**
 * Whether the relay too says that it is over: then the way to it is forgotten as well. Else one of the two clocks is wrong,
 * and people are told.
 */
async function past(reading: Reading, row: StoredGrant): Promise<StoredGrant> {
  const { store, owner, clock } = reading;
  const link = parseLink(row.link);
  try {
    await follow(reading, doorSecrets(link.doorstep, link.seed), "doorstep");
  } catch (error) {
    if (error instanceof Ended) return drop(store, row, "ended");
    if (error instanceof Unreachable || error instanceof Refused || error instanceof RelayMisbehaved)
      return row;
    throw error;
  }
  store.putAlarm(owner, { code: "clock", about: "this device", at: clock() });
  await store.settled();
  return row;
}

/** The clock was set right: it is read anew. */
async function takenUp(store: Store, row: StoredGrant): Promise<StoredGrant> {
  const up: StoredGrant = { ...row, status: row.state.length > 0 ? "open" : "waiting" };
  await store.step(() => {
    store.putGrant(up);
    store.dropAlarm(alarmsOf(row.grant), "clock", "this device");
  });
  return up;
}

/** Forgets the content and the keys to it, and what waits to be sent. What was seen stays seen. */
async function drop(store: Store, row: StoredGrant, status: GrantStatus): Promise<StoredGrant> {
  const none = new Uint8Array();
  const dropped = { ...row, status, state: none, view: none, seed: new Uint8Array(32), link: "" };
  await store.step(() => {
    store.eraseCase(alarmsOf(row.grant));
    store.putGrant(dropped); // last: the grant's own row went with what belongs to it
  });
  await store.tidy();
  return dropped;
}

/** The streams that bring news of a view: the doorstep with its keys, and the view itself once it is open. */
export function heardBy(store: Store, row: StoredGrant): Heard[] {
  if (row.status !== "waiting" && row.status !== "open") return [];
  const link = parseLink(row.link);
  const of = [doorSecrets(link.doorstep, link.seed)];
  if (row.status === "open") {
    const { down: stream, secret, epoch } = stateOf(row);
    of.push({ stream, read: { secret: readSecret(secret, stream), epoch } });
  }
  return of.flatMap((secrets) => {
    const cap = readCap(secrets);
    const length = store.position(alarmsOf(row.grant), secrets.stream)?.length ?? 0;
    return cap ? [{ stream: secrets.stream, cap, length }] : [];
  });
}

async function readStates(reading: Reading, given: StoredGrant): Promise<StoredGrant> {
  let row = given;
  const link = parseLink(row.link);
  const followed = await follow(reading, doorSecrets(link.doorstep, link.seed), "doorstep");
  if (!followed) return row;
  const keys = await DeviceKeys.fromSeed(row.seed);
  const device = deviceId(row.case, { sign: keys.sign.public, box: keys.box.public });
  const payloads: Uint8Array[] = [];
  for (const { index, record } of followed.placed) {
    let payload: Uint8Array;
    try {
      payload = await openRecord(followed.secrets, record);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      continue; // noise of somebody who has the link too
    }
    if (index === 1) {
      openGreeting(payload, link.pin); // another doorstep than the one that was knocked at
      continue;
    }
    payloads.push(payload);
    const found = await stateIn(row, payload, link.doorstep, device, keys);
    if (!found) continue;
    const { granter } = found;
    // Access never lasts longer than the link said: a thief who signs states could give it no end.
    const last = row.state.length > 0 ? stateOf(row).until : row.until;
    const state = { ...found.state, until: Math.min(found.state.until, last) };
    row = {
      ...row,
      granterKey: granter,
      status: "open",
      stateN: state.n,
      state: pack(stateShape, state),
      until: state.until,
    };
  }
  const after = row;
  await reading.store.step(() => {
    for (const payload of payloads) {
      takeNonce(reading.store, reading.owner, device, link.doorstep, payload);
    }
    if (after !== given) reading.store.putGrant(after);
    followed.keep();
  });
  if (row.status === "waiting" && usedByAnother(payloads, device)) throw linkUsed();
  return row;
}

async function stateIn(
  row: StoredGrant,
  payload: Uint8Array,
  stream: StreamId,
  device: DeviceId,
  keys: DeviceKeys,
): Promise<OpenedState | undefined> {
  try {
    if (!welcomeFor(payload, device)) return undefined;
    if (row.status === "open") {
      // Also the next states have this form outside; inside they are bound to another name.
      const { grant, granterKey, stateN } = row;
      return await openTurned(payload, keys.box, stream, device, grant, granterKey, stateN);
    }
    const content = await openDoorWelcome(payload, stream, device, keys.box);
    return await openWelcome(content, row.grant, row.granterKey);
  } catch (error) {
    // An older state, or what only looks like one: everybody who has the link can write here.
    if (error instanceof CryptoError || error instanceof Inadmissible) return undefined;
    throw error;
  }
}

async function readView(reading: Reading, row: StoredGrant): Promise<StoredGrant> {
  const { store } = reading;
  const { down: stream, secret, epoch, publisher, until } = stateOf(row);
  const secrets: StreamSecrets = { stream, read: { secret: readSecret(secret, stream), epoch } };
  const followed = await follow(reading, secrets, "view");
  const last = followed?.placed.at(-1);
  if (!followed || !last) return row;
  const seen = row.version ? { v: row.version, digest: row.view.slice(0, DIGEST_BYTES) } : undefined;
  const payload = await openRecord(secrets, last.record);
  const view = await openView(payload, stream, row.grant, publisher, seen);
  const before = followed.before(last);
  if (view.length !== last.index - 1 || !before || !same(view.chain, before)) {
    // A view is put at its place by compare-and-replace: elsewhere it stands in another log than its author's.
    throw new RelayMisbehaved("forked", "the view was made for another place");
  }
  const kept = {
    ...row,
    version: view.v,
    view: concat(view.digest, packProjection(view.parts)),
    // The granter's word on the date counts, not a publisher's.
    until: Math.min(view.until, until),
  };
  await store.step(() => {
    store.putGrant(kept);
    followed.keep();
  });
  return kept;
}

/** The newest state that the family's owner signed for this reader. */
export function stateOf(row: StoredGrant): GrantState {
  return unpack(stateShape, row.state);
}

/** The four to compare with the family, while they have not said that theirs are the same. */
export function wordsOf(store: Store, row: StoredGrant): string[] | undefined {
  return row.status === "waiting" ? ownWords(store, alarmsOf(row.grant)) : undefined;
}

/** The projection as it was last received. Throws Ended when access was stopped, Misuse before it began. */
export function partsOf(row: StoredGrant): Projection {
  switch (row.status) {
    case "withdrawn":
      throw new Ended("withdrawn", "the family stopped access");
    case "ended":
      throw new Ended("withdrawn", "access is over: the last day has passed by this device's clock");
    case "link_used":
      throw new Ended("link_used", "somebody else used this link first; ask the family for a new one");
    case "link_expired":
      throw new Ended("link_expired", "this link does not work any more; ask the family for a new one");
  }
  if (row.view.length <= DIGEST_BYTES) {
    throw new Misuse("not_yet", "the family's phone has not opened the door yet; sync again later");
  }
  return unpackProjection(row.view.slice(DIGEST_BYTES));
}
