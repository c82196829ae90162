/** Following a link, until the first keys arrive: mirror of core/eigenkring/visiting.py. Spec: docs/spec/charter.md, Doorstep. */
import { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { deviceId } from "./charter/entry";
import {
  decodeWelcome,
  type Greeting,
  makeKnock,
  OWN_DEVICE,
  openGreeting,
  openWelcome,
  readSecret,
  signStatement,
  VIEW,
  type Welcome,
  welcomeFor,
  writeSecret,
} from "./doorstep";
import { Ended, Inadmissible, Misuse, Refused, RelayMisbehaved } from "./errors";
import { type CaseId, type DeviceId, type EntryHash, type StreamId, same } from "./ids";
import { type Link, parseLink } from "./link";
import type { Heard } from "./live";
import { BadPacked } from "./packed";
import type { CaseState, Random } from "./session/case";
import { packKnock, takeNonce } from "./session/comparing";
import { makeKnock as makeOwnKnock } from "./session/own-door";
import { bytes, list, pack, struct, tuple, u64, unpack } from "./shape";
import { offer } from "./shelf";
import type { Store, StoredCase } from "./store";
import {
  type Accepted,
  accept,
  appendCap,
  openRecord,
  readCap,
  type StreamSecrets,
  sealRecord,
  startOf,
} from "./stream";
import type { Transport } from "./transport";
import { isFailed, MAX_FRAME_BYTES } from "./wire";

/** What a link leads to, as read from its doorstep. */
export interface OpenDoor {
  readonly greeting: Greeting;
  /** The greeting as it lies there. */
  readonly greeted: Uint8Array;
  readonly secrets: StreamSecrets;
  /** All records after the greeting, opened; what does not open is empty. */
  readonly payloads: readonly Uint8Array[];
}

/** What a link's seed gives: reading and writing the doorstep, and nothing else. */
export function doorSecrets(stream: StreamId, seed: Uint8Array): StreamSecrets {
  return {
    stream,
    read: { secret: readSecret(seed, stream), epoch: 0 },
    write: { secret: writeSecret(seed, stream), epoch: 0 },
  };
}

/** What to follow while nobody has opened yet: the answer comes to the same door. */
export function heardAtDoor({ link: text }: StoredCase): Heard[] {
  if (text === null) return [];
  const link = parseLink(text);
  const cap = readCap(doorSecrets(link.doorstep, link.seed));
  return cap ? [{ stream: link.doorstep, cap, length: 0 }] : [];
}

/** Reads the doorstep from its beginning. Throws Ended (link_expired), Inadmissible `wrong_pin`, Refused. */
export async function lookAtDoor(link: Link, transport: Transport): Promise<OpenDoor> {
  const secrets = doorSecrets(link.doorstep, link.seed);
  const { placed } = await readAll(link, secrets, transport);
  const payloads: Uint8Array[] = [];
  for (const { record } of placed) {
    try {
      payloads.push(await openRecord(secrets, record));
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      payloads.push(new Uint8Array()); // noise of somebody who has the link too
    }
  }
  const [first, ...others] = payloads;
  if (!first) throw new Ended("link_expired", "nothing lies behind this link");
  const greeting = openGreeting(first, link.pin);
  if (greeting.kind !== link.kind) {
    throw new Inadmissible("wrong_pin", "the greeting is of another kind than the link");
  }
  return { greeting, greeted: first, secrets, payloads: others };
}

async function readAll(link: Link, secrets: StreamSecrets, transport: Transport): Promise<Accepted> {
  const stream = link.doorstep;
  const cap = readCap(secrets);
  if (!cap) throw new Error("a door without a read secret");
  const read = { op: "read", stream, cap, after: 0, max_bytes: MAX_FRAME_BYTES } as const;
  const result = (await transport.exchange([read])).results[0];
  if (!result || isFailed(result)) {
    const code = result?.code ?? "bad_operation";
    if (code === "closed" || code === "expired" || code === "no_stream") {
      throw new Ended("link_expired", "this link does not work any more");
    }
    throw new Refused(code);
  }
  if (!("records" in result)) {
    throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
  }
  return accept(startOf(stream), result, () => undefined);
}

const answeredShape = struct({ to: bytes(16), box: bytes() });

/**
 * Throws `link_used` where somebody was let in already: a visitor who waits for an answer that never comes would believe
 * that the family ignores them.
 */
export function checkUnused(door: OpenDoor): void {
  checkUsedBy(door.payloads);
}

/** As `checkUnused`, but that it let in `device` is what was hoped for. Not signed: who holds the link can say so. */
export function checkUsedBy(payloads: readonly Uint8Array[], device?: DeviceId): void {
  for (const payload of payloads) {
    let to: Uint8Array;
    try {
      ({ to } = unpack(answeredShape, payload));
    } catch (error) {
      if (error instanceof BadPacked) continue;
      throw error;
    }
    if (!device || !same(to, device)) throw new Ended("link_used", "somebody has used this link before");
  }
}

/** Lays a statement with fresh device keys on the doorstep. */
export async function knock(
  door: OpenDoor,
  link: Link,
  keys: DeviceKeys,
  name: string,
  transport: Transport,
  random: Random,
): Promise<void> {
  const payload =
    link.kind === OWN_DEVICE
      ? await makeOwnKnock(door.greeted, link.doorstep, link.seed, keys)
      : await makeKnock(door.greeting, link.doorstep, link.seed, keys, name);
  const cap = appendCap(door.secrets);
  if (!cap) throw new Error("a door without a write secret");
  const record = await sealRecord(door.secrets, payload, random(24));
  const append = { op: "append", stream: link.doorstep, cap, record, expect: null } as const;
  const result = (await transport.exchange([append])).results[0];
  if (!result || !isFailed(result)) return;
  if (result.code === "not_allowed") throw new Ended("link_used", "somebody has used this link before");
  throw new Refused(result.code);
}

/** Follows an invitation: knocks, and waits to be let in. Throws Misuse: `bad_link`, `already_member`. */
export async function join(
  store: Store,
  linkText: string,
  name: string,
  transport: Transport,
  random: Random,
): Promise<CaseId> {
  const link = parseLink(linkText);
  if (link.kind === VIEW) throw new Misuse("bad_link", "this link lets a professional read: use `accept`");
  const door = await lookAtDoor(link, transport);
  const caseId = door.greeting.case;
  const known = store.case(caseId);
  if (known && (known.state === "open" || known.state === "entering")) {
    throw new Misuse("already_member", "you are in this case already, on this device");
  }
  checkUnused(door);
  const seed = random(32);
  const keys = await DeviceKeys.fromSeed(seed);
  const row: StoredCase = {
    case: caseId,
    relay: link.relay,
    state: "waiting",
    seed,
    incarnation: random(8),
    person: null,
    device: deviceId(caseId, { sign: keys.sign.public, box: keys.box.public }),
    keysStream: null,
    keysSecret: null,
    joinedHead: null,
    link: linkText.trim(),
    title: door.greeting.from,
  };
  const { greeting } = door;
  const knocked = greeting.compare && (await signStatement(greeting, link.doorstep, link.seed, keys, name));
  await store.step(() => {
    if (known) store.eraseCase(caseId); // removed before, or knocked before: fresh keys, a fresh start
    if (knocked) store.putFact(caseId, "knock", packKnock(knocked));
    store.putCase(row); // kept before it is sent: who is let in must still have the keys
  });
  await knock(door, link, keys, name, transport, random);
  return caseId;
}

const pinnedShape = list(tuple(u64, bytes<EntryHash>(32)));

export const packPinned = (pinned: readonly (readonly [n: number, head: EntryHash])[]): Uint8Array =>
  pack(pinnedShape, pinned);

/** Entries, by number and hash, that the charter must have at their places: those of the greeting and of the welcome. */
export function pinnedEntries(session: CaseState): readonly (readonly [n: number, head: EntryHash])[] {
  const packed = session.store.fact(session.case, "pinned");
  return packed ? unpack(pinnedShape, packed) : [];
}

/** Sees whether somebody has opened. Gives whether this device is in now. Throws Ended `link_used`. */
export async function look(session: CaseState, transport: Transport): Promise<boolean> {
  if (session.row.link === null) return false;
  const link = parseLink(session.row.link);
  const door = await lookAtDoor(link, transport);
  const device = session.device();
  for (const payload of door.payloads) {
    if (!welcomeFor(payload, device)) {
      takeNonce(session, link.doorstep, payload);
      continue;
    }
    const welcome = decodeWelcome(await openWelcome(payload, link.doorstep, device, session.keys.box));
    if (!same(welcome.case, session.case)) throw new Inadmissible("not_for_me", "a welcome to another case");
    await enter(session, door.greeting, welcome, link.kind);
    return true;
  }
  return false;
}

async function enter(session: CaseState, greeting: Greeting, welcome: Welcome, kind: number): Promise<void> {
  session.ring.keysSecret = welcome.secret;
  await session.store.step(() => {
    session.putRow({
      state: "entering",
      keysStream: welcome.keys,
      keysSecret: welcome.secret,
      joinedHead: welcome.head,
    });
    // Checked when the charter is read: a false charter does not have these entries at their places.
    const pinned = packPinned([
      [greeting.n, greeting.head],
      [welcome.n, welcome.head],
    ]);
    session.store.putFact(session.case, "pinned", pinned);
    // Of a relative it would be a list of theirs.
    if (welcome.shelf && kind === OWN_DEVICE) offer(session.store, welcome.shelf);
  });
}
