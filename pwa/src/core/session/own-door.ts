/**
 * A door for another device of the same person, the same for every device of that person and known to nobody else: mirror
 * of core/eigenkring/session/own_door.py. Spec: docs/spec/charter.md, Doorstep (kind 3).
 *
 * Nothing of it stands in the charter, so the door grows from the secret of the room `@person` and the hour: each device
 * of the person watches it, and one that was put out knows no later door.
 */
import { openBox, sealBox } from "../../crypto/box";
import { manageSecret } from "../../crypto/capability";
import type { DeviceKeys } from "../../crypto/device";
import { CryptoError } from "../../crypto/errors";
import { concat, derive } from "../../crypto/kdf";
import { verify } from "../../crypto/sign";
import { addDevice, signNewDevice } from "../charter/compose";
import { isHere } from "../charter/state";
import {
  checkStatement,
  encodeWelcome,
  greetingShape,
  type Knock,
  knockKey,
  knockShape,
  makeWelcome,
  OWN_DEVICE,
  openHashes,
  readSecret,
  type Statement,
  seedKey,
  signStatement,
  writeSecret,
} from "../doorstep";
import { Inadmissible, Misuse } from "../errors";
import {
  type CaseId,
  type DeviceId,
  hex,
  named,
  type PersonId,
  type RoomSecret,
  type StreamId,
} from "../ids";
import { BadPacked } from "../packed";
import { ownRoom } from "../rooms";
import { bytes, pack, struct, u64, unpack } from "../shape";
import { forAnother } from "../shelf";
import { appendCap, openRecord, type Secret, type StreamSecrets, sealRecord } from "../stream";
import type { Operation } from "../wire";
import { authorOf, type Exchange, exchangeOf, held } from "./acting";
import type { CaseState } from "./case";
import type { CaseSession } from "./parts";

/** A link lives until the end of the next hour: it is scanned from one's own other screen. */
export const SLOT_SECONDS = 3600;
/** A fact of the case: until when a link of this device may be used. It is kept before the link is made. */
export const LINK_OUT = "own link";

/** Says whose device is asked for: the new device signs that. */
const ownGreetingShape = struct({ ...greetingShape.fields, person: bytes<PersonId>(8) });
const ownKnockShape = struct({ ...knockShape.fields, add_sig: bytes(64) });
const boxedShape = struct({ box: bytes() });

/** Never log it. */
export interface OwnDoor {
  readonly stream: StreamId;
  readonly seed: Uint8Array;
  readonly roomSecret: RoomSecret;
  readonly expires: number;
  readonly secrets: StreamSecrets;
  readonly manageEpoch: number;
  readonly compare: boolean;
}

/** A knock that holds: a device whose holder has the link, and that says to be this person's. */
export interface NewDevice {
  readonly door: OwnDoor;
  readonly knock: Knock;
  readonly device: DeviceId;
  readonly statement: Statement;
  readonly addSig: Uint8Array;
}

/**
 * The doors of this hour and of the hour before, without and with words to compare. Others after every device that came: a
 * used link is dead.
 */
export function ownDoors(session: CaseState): OwnDoor[] {
  const { charter } = session;
  const { person, state } = session.row;
  if (!charter || !person || state !== "open") return [];
  const secret = session.roomSecret(ownRoom(person));
  if (!secret) return [];
  const me = hex(person);
  const ever = [...charter.devices.values()].filter((device) => hex(device.person) === me).length;
  const now = Math.floor(session.around.clock() / SLOT_SECONDS);
  return [now, now - 1].flatMap((slot) =>
    [false, true].map((compare) => doorAt(secret, slot, ever, compare)),
  );
}

/**
 * The own doors to ask the relay for: none while nobody can have opened one. A link is made by a device, never by paper or a
 * link that sleeps; of its own links a device knows, of those of another device of the person it does not.
 */
export function askedDoors(session: CaseState): OwnDoor[] {
  const { charter, store } = session;
  const { person } = session.row;
  if (!charter || !person) return [];
  const mine = store.fact(session.case, LINK_OUT);
  const [me, own] = [hex(person), hex(session.device())];
  const other = [...charter.devices.values()].some(
    (each) => isHere(each) && hex(each.person) === me && !each.sleeping && hex(each.device) !== own,
  );
  const out = mine !== undefined && session.around.clock() < unpack(u64, mine);
  return other || out ? ownDoors(session) : [];
}

/**
 * The door of an hour: `slot` is the hours since 1970, `ever` how many devices the person ever had; the secret is that of
 * the room `@person`. One where words are compared is another one: a thief with the link, and a relay that helps, could lay
 * another greeting there.
 */
export function doorAt({ secret, epoch }: Secret, slot: number, ever: number, compare = false): OwnDoor {
  const context = new Uint8Array(12);
  const view = new DataView(context.buffer);
  view.setBigUint64(0, BigInt(slot));
  view.setUint32(8, ever);
  const name = compare ? "own door compared" : "own door";
  const stream = named<StreamId>(derive(secret, name, context).slice(0, 16));
  const seed = derive(secret, `${name} seed`, context);
  return {
    stream,
    seed,
    roomSecret: named(secret),
    expires: (slot + 2) * SLOT_SECONDS,
    secrets: {
      stream,
      read: { secret: readSecret(seed, stream), epoch: 0 },
      write: { secret: writeSecret(seed, stream), epoch: 0 },
      manage: { secret: manageSecret(secret, stream), epoch },
    },
    manageEpoch: epoch,
    compare,
  };
}

export async function greeting(session: CaseSession, door: OwnDoor): Promise<Uint8Array> {
  const { n, head, people } = session.known();
  const me = session.me();
  const known = people.get(hex(me));
  return pack(ownGreetingShape, {
    kind: OWN_DEVICE,
    case: session.case,
    invitation: door.stream,
    box: (await knockKey(door.roomSecret, door.stream)).public,
    from: known?.name ?? "",
    name: known?.name ?? "",
    role: known?.role ?? "",
    compare: door.compare,
    expires: door.expires,
    n,
    head,
    granter_key: null,
    person: me,
  });
}

/** Opens the doorstep and lays the greeting on it. */
export async function opening(
  session: CaseSession,
  door: OwnDoor,
  payload: Uint8Array,
): Promise<Operation[]> {
  const { stream, expires, seed, secrets } = door;
  const hashes = openHashes(seed, stream, door.roomSecret, door.manageEpoch);
  const record = await sealRecord(secrets, payload, session.around.random(24));
  return [
    { op: "open", stream, ...hashes, expires },
    { op: "append", stream, cap: held(appendCap(secrets)), record, expect: null },
  ];
}

/** The new device's knock on the greeting `payload`. Throws Inadmissible `bad_entry`. */
export async function makeKnock(
  payload: Uint8Array,
  door: StreamId,
  seed: Uint8Array,
  keys: DeviceKeys,
): Promise<Uint8Array> {
  const greeted = ownGreetingOf(payload);
  const knock = await signStatement(greeted, door, seed, keys, greeted.name);
  const { case: caseId, box } = greeted;
  const publicKeys = { sign: keys.sign.public, box: keys.box.public };
  const addSig = await signNewDevice(caseId, greeted.person, publicKeys, keys.sign);
  const content = pack(ownKnockShape, { ...knock, add_sig: addSig });
  return pack(boxedShape, { box: await sealBox(box, "knock", concat(door, greeted.invitation), content) });
}

function ownGreetingOf(payload: Uint8Array) {
  try {
    return unpack(ownGreetingShape, payload);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new Inadmissible("bad_entry", "a greeting that does not say whose device is asked for");
  }
}

/** The first knock that holds: it wins. */
export async function firstKnock(session: CaseState, door: OwnDoor): Promise<NewDevice | undefined> {
  for (const { record } of session.store.records(session.case, door.stream, 1)) {
    try {
      return await openKnock(await openRecord(door.secrets, record), door, session.case, session.me());
    } catch (error) {
      // Noise of somebody who has the link, or our own welcome.
      if (!(error instanceof CryptoError || error instanceof Inadmissible)) throw error;
    }
  }
  return undefined;
}

/**
 * Throws Inadmissible: `bad_entry` (not a knock, or sealed to another key), `bad_statement` (another door, case or person,
 * or not signed by link and device).
 */
export async function openKnock(
  payload: Uint8Array,
  door: OwnDoor,
  caseId: CaseId,
  person: PersonId,
): Promise<NewDevice> {
  const { stream, seed } = door;
  const knock = await knockIn(payload, door);
  const signs = (await seedKey(seed, stream)).public;
  const { device, statement } = await checkStatement(knock, caseId, stream, stream, signs);
  try {
    await verify(statement.sign, "add device", caseId, concat(person, device), knock.add_sig);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new Inadmissible("bad_statement", "the device did not sign to be this person's");
  }
  return { door, knock, device, statement, addSig: knock.add_sig };
}

async function knockIn(payload: Uint8Array, { stream, roomSecret }: OwnDoor) {
  try {
    const { box } = unpack(boxedShape, payload);
    const content = await openBox(await knockKey(roomSecret, stream), "knock", concat(stream, stream), box);
    return unpack(ownKnockShape, content);
  } catch (error) {
    if (!(error instanceof CryptoError || error instanceof BadPacked)) throw error;
    throw new Inadmissible("bad_entry", "not a knock at this door");
  }
}

/** The entry, the keys, and the welcome, in one exchange; with it the way to all other cases (shelf.md). */
export async function letIn(
  door: OwnDoor,
  { device, statement, addSig }: NewDevice,
  now: CaseSession,
): Promise<Exchange> {
  const { keysStream, keysSecret } = now.row;
  if (!keysStream || !keysSecret) {
    throw new Misuse("not_permitted", "this device does not know where the keys lie");
  }
  const keys = { sign: statement.sign, box: statement.box };
  const draft = await addDevice(now.known(), authorOf(now), keys, "", addSig);
  const shelf = forAnother(now.store, now.row.relay, now.around.random);
  return exchangeOf(now, draft, async ({ n, head }) => {
    const content = encodeWelcome({ case: now.case, keys: keysStream, secret: keysSecret, n, head, shelf });
    const payload = await makeWelcome(door.stream, device, statement.box, content);
    const record = await sealRecord(door.secrets, payload, now.around.random(24));
    const cap = held(appendCap(door.secrets));
    return [{ op: "append", stream: door.stream, cap, record, expect: null }];
  });
}
