/**
 * A professional's side of a grant: following the link, reading the view, and being told when it ends. Mirror of
 * core/eigenkring/receiving.py. Spec: docs/spec/view.md.
 */
import { readSecret } from "../crypto/capability";
import { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { concat } from "../crypto/kdf";
import { deviceId } from "./charter/entry";
import { openWelcome as openDoorWelcome, VIEW, welcomeFor } from "./doorstep";
import { Ended, Inadmissible, Misuse, RelayMisbehaved } from "./errors";
import { type OpenedState, openTurned, openWelcome } from "./grant";
import { type CaseId, type DeviceId, type GrantId, named, type RoomSecret, type StreamId, same } from "./ids";
import { parseLink } from "./link";
import type { Clock, Random } from "./session/case";
import { bytes, pack, struct, text, u32, u64, unpack } from "./shape";
import type { GrantStatus, Store, StoredGrant } from "./store";
import { accept, openRecord, readCap, startOf } from "./stream";
import type { Transport } from "./transport";
import { openView, type Projection, packProjection, unpackProjection } from "./view";
import { checkUnused, knock, lookAtDoor } from "./visiting";
import { isFailed, MAX_FRAME_BYTES } from "./wire";

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
  const door = await lookAtDoor(link, transport);
  const { greeting } = door;
  if (!greeting.granter_key) {
    throw new Inadmissible("wrong_pin", "a grant without the key of whoever gave it");
  }
  const grant = named<GrantId>(greeting.invitation);
  const known = store.grants().find((row) => same(row.grant, grant));
  if (known && (known.status === "waiting" || known.status === "open")) return grant;
  checkUnused(door);
  const seed = random(32);
  await store.step(() =>
    store.putGrant({
      grant,
      case: greeting.case,
      relay: link.relay,
      link: linkText.trim(),
      seed,
      name,
      granterKey: greeting.granter_key as Uint8Array,
      status: "waiting",
      until: greeting.expires,
      stateN: 0,
      state: new Uint8Array(),
      version: 0,
      view: new Uint8Array(),
      sender: greeting.from,
    }),
  );
  await knock(door, link, await DeviceKeys.fromSeed(seed), name, transport, random);
  return grant;
}

/** Reads what came. Throws Unreachable. What the relay or a publisher did wrong becomes an alarm of the grant. */
export async function refresh(
  store: Store,
  given: StoredGrant,
  transport: Transport,
  clock: Clock,
): Promise<StoredGrant> {
  let row = given;
  if (row.status !== "waiting" && row.status !== "open") return row;
  // By our own clock, offline too: what may not be read any more must not lie here.
  if (clock() >= row.until) return drop(store, row, "ended");
  try {
    row = await readStates(store, row, transport);
    if (row.status === "open") row = await readView(store, row, transport);
  } catch (error) {
    if (error instanceof Ended) {
      return drop(store, row, row.status === "open" ? "withdrawn" : (error.code as GrantStatus));
    }
    if (
      !(error instanceof Inadmissible || error instanceof RelayMisbehaved || error instanceof CryptoError)
    ) {
      throw error;
    }
    store.putAlarm(alarmsOf(row.grant), { code: error.code, about: "view", at: clock() });
  }
  await store.settled();
  return row;
}

/** Alarms of a view lie under the id of its grant: it is no case of this device. */
export function alarmsOf(grant: GrantId): CaseId {
  return named<CaseId>(grant);
}

/** Forgets the content and the keys to it. What was seen stays seen. */
async function drop(store: Store, row: StoredGrant, status: GrantStatus): Promise<StoredGrant> {
  const none = new Uint8Array();
  const dropped = { ...row, status, state: none, view: none, seed: new Uint8Array(32), link: "" };
  await store.step(() => store.putGrant(dropped));
  await store.tidy();
  return dropped;
}

async function readStates(store: Store, given: StoredGrant, transport: Transport): Promise<StoredGrant> {
  let row = given;
  const link = parseLink(row.link);
  const door = await lookAtDoor(link, transport);
  const keys = await DeviceKeys.fromSeed(row.seed);
  const device = deviceId(row.case, { sign: keys.sign.public, box: keys.box.public });
  for (const payload of door.payloads) {
    const found = await stateIn(row, payload, link.doorstep, device, keys);
    if (!found) continue;
    const { state, granter } = found;
    row = {
      ...row,
      granterKey: granter,
      status: "open",
      stateN: state.n,
      state: pack(stateShape, state),
      until: state.until,
    };
    store.putGrant(row);
  }
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

async function readView(store: Store, row: StoredGrant, transport: Transport): Promise<StoredGrant> {
  const state = unpack(stateShape, row.state);
  const stream = state.down;
  const secrets = { stream, read: { secret: readSecret(state.secret, stream), epoch: state.epoch } };
  const cap = readCap(secrets);
  if (!cap) throw new Error("a state without a secret");
  const read = { op: "read", stream, cap, after: 0, max_bytes: MAX_FRAME_BYTES } as const;
  const result = (await transport.exchange([read])).results[0];
  if (!result || isFailed(result)) {
    const code = result?.code;
    if (code === "closed" || code === "expired" || code === "no_stream") {
      throw new Ended("withdrawn", "the family stopped access");
    }
    return row; // turned, and the next state has not come yet
  }
  if (!("records" in result)) {
    throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
  }
  const last = accept(startOf(stream), result, () => undefined).placed.at(-1);
  if (!last) return row;
  const seen = row.version ? { v: row.version, digest: row.view.slice(0, DIGEST_BYTES) } : undefined;
  const view = await openView(
    await openRecord(secrets, last.record),
    stream,
    row.grant,
    state.publisher,
    seen,
  );
  const kept = {
    ...row,
    version: view.v,
    view: concat(view.digest, packProjection(view.parts)),
    until: view.until,
  };
  store.putGrant(kept);
  return kept;
}

/** The projection as it was last received. Throws Ended when access was stopped, Misuse before it began. */
export function partsOf(row: StoredGrant): Projection {
  switch (row.status) {
    case "withdrawn":
      throw new Ended("withdrawn", "the family stopped access");
    case "ended":
      throw new Ended("withdrawn", "access is over: the last day has passed");
    case "link_used":
      throw new Ended("link_used", "somebody else used this link first; ask the family for a new one");
    case "link_expired":
      throw new Ended("link_expired", "this link does not work any more; ask the family for a new one");
  }
  if (row.view.length === 0) {
    throw new Misuse("not_yet", "the family's phone has not opened the door yet; sync again later");
  }
  return unpackProjection(row.view.slice(DIGEST_BYTES));
}
