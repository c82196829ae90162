/** Following a link, until the first keys arrive: mirror of core/eigenkring/visiting.py. Spec: docs/spec/charter.md, Doorstep. */
import { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { deviceId } from "./charter/entry";
import {
  decodeWelcome,
  type Greeting,
  type Knock,
  makeKnock as makeDoorKnock,
  OWN_DEVICE,
  openGreeting,
  openWelcome,
  readSecret,
  signStatement,
  usedBy,
  VIEW,
  type Welcome,
  welcomeFor,
  writeSecret,
} from "./doorstep";
import { Ended, Inadmissible, Misuse, Refused, RelayMisbehaved } from "./errors";
import { MOVE } from "./hall";
import {
  type CaseId,
  type DeviceId,
  type EntryHash,
  named,
  type RecordBytes,
  type StreamId,
  same,
} from "./ids";
import { type Link, parseLink } from "./link";
import type { Heard } from "./live";
import type { CaseState, Random } from "./session/case";
import { keepKnock, takeNonce } from "./session/comparing";
import { makeKnock as makeOwnKnock } from "./session/own-door";
import { bytes, list, pack, text, tuple, u64, unpack } from "./shape";
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

// Facts of a case or a grant: the knock lies on the doorstep; the record to lay there, until that is known.
const KNOCKED = "knocked";
export const KNOCKING = "knocking";
const LINKS_BEFORE = "links before";
const MOST_LINKS = 4;
const linksShape = list(text);

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

/** Whether the link let in somebody else. Not signed: who holds the link can say so, and could have come first. */
export function usedByAnother(payloads: readonly Uint8Array[], device?: DeviceId): boolean {
  return payloads.some((payload) => {
    const by = usedBy(payload);
    return by !== undefined && !(device && same(by, device));
  });
}

export function linkUsed(): Ended {
  return new Ended("link_used", "somebody has used this link before; ask for a new one");
}

/**
 * A statement with fresh device keys, sealed for the doorstep. It is kept before it is sent: whoever was interrupted sends the
 * same bytes, and the relay keeps one.
 */
export async function makeKnock(
  door: OpenDoor,
  link: Link,
  keys: DeviceKeys,
  name: string,
  random: Random,
): Promise<RecordBytes> {
  const payload =
    link.kind === OWN_DEVICE
      ? await makeOwnKnock(door.greeted, link.doorstep, link.seed, keys)
      : await makeDoorKnock(door.greeting, link.doorstep, link.seed, keys, name);
  return sealRecord(door.secrets, payload, random(24));
}

/** What the visitor signed, for the words of the newest knock; undefined where the greeting asks for no words. */
export async function knockToCompare(
  { greeting }: OpenDoor,
  link: Link,
  keys: DeviceKeys,
  name: string,
): Promise<Knock | undefined> {
  if (!greeting.compare) return undefined;
  const called = link.kind === OWN_DEVICE ? greeting.name : name;
  return signStatement(greeting, link.doorstep, link.seed, keys, called);
}

/**
 * Lays the kept statement on the doorstep, where that is still to do. False where the door is locked: somebody was let in,
 * perhaps this very visitor, who was interrupted. Throws Refused, Unreachable.
 */
export async function knock(store: Store, owner: CaseId, link: Link, transport: Transport): Promise<boolean> {
  const record = store.fact(owner, KNOCKING);
  if (!record) return true;
  const cap = appendCap(doorSecrets(link.doorstep, link.seed));
  if (!cap) throw new Error("a door without a write secret");
  await store.settled();
  const append = {
    op: "append",
    stream: link.doorstep,
    cap,
    record: named<RecordBytes>(record),
    expect: null,
  } as const;
  const result = (await transport.exchange([append])).results[0];
  const code = result && isFailed(result) ? result.code : undefined;
  // Reading the door says which, in words.
  if (code === "closed" || code === "expired" || code === "no_stream") return false;
  if (code !== undefined && code !== "not_allowed") throw new Refused(code);
  await store.step(() => {
    store.putFact(owner, KNOCKED, Uint8Array.of(1));
    store.putFact(owner, KNOCKING, null);
  });
  return code === undefined;
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
  if (link.kind === MOVE) throw new Misuse("bad_link", "this link lets a person move in: use `moveIn`");
  const here = waitingAt(store, link);
  if (here) {
    // A second knock would have other keys than those that are let in.
    await knock(store, here.case, link, transport);
    return here.case;
  }
  const door = await lookAtDoor(link, transport);
  const caseId = door.greeting.case;
  const known = store.case(caseId);
  const isEntering = known?.state === "entering" && known.link === linkText.trim();
  if (known && (known.state === "open" || isEntering)) {
    throw new Misuse("already_member", "you are in this case already, on this device");
  }
  if (usedByAnother(door.payloads)) throw linkUsed();
  // Who knocked before with another link knocks with the same keys: the first door that opens lets this device in, and none
  // of them lets in one that nobody holds any more.
  const before = known?.state === "waiting" && known.relay === link.relay ? known : undefined;
  const seed = before?.seed ?? random(32);
  const keys = await DeviceKeys.fromSeed(seed);
  const row: StoredCase = {
    case: caseId,
    relay: link.relay,
    state: "waiting",
    seed,
    incarnation: before?.incarnation ?? random(8),
    person: null,
    device: deviceId(caseId, { sign: keys.sign.public, box: keys.box.public }),
    keysStream: null,
    keysSecret: null,
    joinedHead: null,
    link: linkText.trim(),
    title: door.greeting.from,
  };
  const compared = await knockToCompare(door, link, keys, name);
  const record = await makeKnock(door, link, keys, name, random);
  await store.step(() => {
    if (before?.link) {
      const links = [before.link, ...linksBefore(store, caseId)].slice(0, MOST_LINKS);
      store.putFact(caseId, LINKS_BEFORE, pack(linksShape, links));
    } else if (known) store.eraseCase(caseId); // removed before: fresh keys, a fresh start
    keepKnock(store, caseId, compared);
    store.putFact(caseId, KNOCKING, record);
    store.putCase(row); // kept before it is sent: who is let in must still have the keys
  });
  if (!(await knock(store, caseId, link, transport))) throw linkUsed();
  return caseId;
}

function waitingAt(store: Store, link: Link): StoredCase | undefined {
  return store
    .cases()
    .find(
      ({ state, link: text }) =>
        state === "waiting" && text !== null && same(parseLink(text).doorstep, link.doorstep),
    );
}

const pinnedShape = list(tuple(u64, bytes<EntryHash>(32)));

export const packPinned = (pinned: readonly (readonly [n: number, head: EntryHash])[]): Uint8Array =>
  pack(pinnedShape, pinned);

/** Entries, by number and hash, that the charter must have at their places: those of the greeting and of the welcome. */
export function pinnedEntries(session: CaseState): readonly (readonly [n: number, head: EntryHash])[] {
  const packed = session.store.fact(session.case, "pinned");
  return packed ? unpack(pinnedShape, packed) : [];
}

/** Undefined for what only looks like one: everybody who has the link can write here. */
async function welcomeIn(
  session: CaseState,
  door: StreamId,
  payload: Uint8Array,
): Promise<Welcome | undefined> {
  try {
    const welcome = decodeWelcome(
      await openWelcome(payload, door, session.device(), await session.keys.box()),
    );
    return same(welcome.case, session.case) ? welcome : undefined;
  } catch (error) {
    if (error instanceof Ended || error instanceof Inadmissible) return undefined;
    throw error;
  }
}

/**
 * Sees whether somebody has opened, at any door this device knocked at. Gives whether it is in now. Throws Ended where none of
 * them can open any more.
 */
export async function look(session: CaseState, transport: Transport): Promise<boolean> {
  if (session.row.link === null) return false;
  const shut: Ended[] = [];
  const links = [session.row.link, ...linksBefore(session.store, session.case)];
  for (const text of links) {
    try {
      if (await lookAt(session, parseLink(text), transport)) return true;
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      shut.push(error);
    }
  }
  const [first] = shut;
  if (first && shut.length === links.length) throw first;
  return false;
}

/** Links that were followed before the present one, whose knocks wait still. */
function linksBefore(store: Store, caseId: CaseId): readonly string[] {
  const packed = store.fact(caseId, LINKS_BEFORE);
  return packed ? unpack(linksShape, packed) : [];
}

async function lookAt(session: CaseState, link: Link, transport: Transport): Promise<boolean> {
  const { link: present } = session.row;
  if (present !== null && same(parseLink(present).doorstep, link.doorstep)) {
    await knock(session.store, session.case, link, transport);
  }
  const door = await lookAtDoor(link, transport);
  const device = session.device();
  for (const payload of door.payloads) {
    if (!welcomeFor(payload, device)) {
      takeNonce(session.store, session.case, device, link.doorstep, payload);
      continue;
    }
    const welcome = await welcomeIn(session, link.doorstep, payload);
    if (!welcome) continue;
    await enter(session, door.greeting, welcome, link.kind);
    return true;
  }
  if (usedByAnother(door.payloads, device)) throw linkUsed();
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
