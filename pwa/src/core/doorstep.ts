/**
 * Knocking: the greeting, the knock and the welcome on a doorstep. Spec: docs/spec/charter.md, Doorstep.
 *
 * A link carries a seed that opens nothing: it lets a visitor lay a statement with fresh device keys on a doorstep.
 */
import { BoxKey, openBox, sealBox } from "../crypto/box";
import * as capability from "../crypto/capability";
import type { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { concat, derive, hmac, label, sha256 } from "../crypto/kdf";
import { openSealed, seal } from "../crypto/seal";
import { SigningKey, sign, verify } from "../crypto/sign";
import { deviceId, MAX_INTEGER } from "./charter/entry";
import { Ended, Inadmissible } from "./errors";
import {
  type CapabilityHash,
  type CaseId,
  type DeviceId,
  type EntryHash,
  named,
  type RoomSecret,
  type StreamId,
  same,
} from "./ids";
import { BadPacked } from "./packed";
import {
  bool,
  bytes,
  nullable,
  type Of,
  optional,
  pack,
  type Shape,
  struct,
  text,
  uint,
  unpack,
} from "./shape";
import { shelfShape } from "./shelf";

export const PERSON = 1;
export const VIEW = 2;
export const OWN_DEVICE = 3;
export const LINK_USED = "link_used";

const integer = uint(MAX_INTEGER);
const kindShape: Shape<number> = {
  read: (value) => {
    const found = uint(3).read(value);
    if (found < 1) throw new BadPacked("a kind of link");
    return found;
  },
  write: (value) => value,
};

export const greetingShape = struct({
  kind: kindShape,
  case: bytes<CaseId>(16),
  invitation: bytes(16),
  box: bytes(1216),
  from: text,
  name: text,
  role: optional(text, ""),
  compare: bool,
  expires: integer,
  n: integer,
  head: bytes<EntryHash>(32),
  granter_key: optional(nullable(bytes(32)), null),
});
/** Record 1. `invitation` is the grant's id for kind 2, the doorstep's for kind 3. */
export type Greeting = Of<typeof greetingShape>;

const statementShape = struct({
  case: bytes<CaseId>(16),
  invitation: bytes(16),
  name: text,
  sign: bytes(32),
  box: bytes(1216),
});
export type Statement = Of<typeof statementShape>;

export const knockShape = struct({ statement: bytes(), seed_sig: bytes(64), device_sig: bytes(64) });
/** What the visitor laid down; the three fields go into the `join` entry as they are. */
export type Knock = Of<typeof knockShape>;

const welcomeShape = struct({
  case: bytes<CaseId>(16),
  keys: bytes<StreamId>(16),
  secret: bytes(32),
  n: integer,
  head: bytes<EntryHash>(32),
  shelf: optional(nullable(shelfShape), null, true),
});
/** For a person: where the keys are, and which charter they were let into. `shelf`: for an own device (shelf.md). */
export type Welcome = Of<typeof welcomeShape>;

const knockedShape = struct({ box: bytes() });
const welcomedShape = struct({
  to: bytes<DeviceId>(16),
  box: optional(nullable(bytes()), null, true),
  code: optional(nullable(text), null, true),
  nonce: optional(nullable(bytes(32)), null, true),
  mac: optional(nullable(bytes(32)), null, true),
});
type Welcomed = Of<typeof welcomedShape>;
const termsShape = struct({ seed: bytes(32) });

// --- keys of a doorstep

/** S of the doorstep, with epoch 0. */
export function readSecret(seed: Uint8Array, doorstep: StreamId): Uint8Array {
  return derive(seed, "doorstep read", doorstep);
}

/** W of the doorstep, with epoch 0. */
export function writeSecret(seed: Uint8Array, doorstep: StreamId): Uint8Array {
  return derive(seed, "doorstep write", doorstep);
}

export function seedKey(seed: Uint8Array, doorstep: StreamId): Promise<SigningKey> {
  return SigningKey.fromSeed(derive(seed, "doorstep sign", doorstep));
}

/** Held by the whole room that manages the doorstep: whoever of it is online opens the knock. */
export function knockKey(roomSecret: RoomSecret, doorstep: StreamId): Promise<BoxKey> {
  return BoxKey.fromSeed(derive(roomSecret, "doorstep box", doorstep));
}

/** The capability hashes with which a doorstep is opened. */
export function openHashes(
  seed: Uint8Array,
  doorstep: StreamId,
  manageRoom: RoomSecret,
  manageEpoch: number,
): { readonly read: CapabilityHash; readonly append: CapabilityHash; readonly manage: CapabilityHash } {
  const manage = capability.manageSecret(manageRoom, doorstep);
  return {
    read: hashOf(capability.readCapability(readSecret(seed, doorstep), doorstep, 0)),
    append: hashOf(capability.appendCapability(writeSecret(seed, doorstep), doorstep, 0)),
    manage: hashOf(capability.manageCapability(manage, doorstep, manageEpoch)),
  };
}

function hashOf(cap: Uint8Array): CapabilityHash {
  return named(capability.capabilityHash(cap));
}

// --- greeting

export function makeGreeting(greeting: Greeting): Uint8Array {
  return pack(greetingShape, greeting);
}

/** What the link holds of the greeting: 32 bytes keep a QR code small. */
export function greetingPin(payload: Uint8Array): Uint8Array {
  return sha256(label("greeting"), payload);
}

/** Throws `wrong_pin`: without it the relay could put its own knock key there and be let in by the visitor's words. */
export function openGreeting(payload: Uint8Array, pin: Uint8Array): Greeting {
  if (!same(greetingPin(payload), pin)) {
    throw new Inadmissible("wrong_pin", "the greeting is not the one the link was made for");
  }
  return read(greetingShape, payload, "bad_entry");
}

// --- knock

export async function signStatement(
  greeting: Greeting,
  doorstep: StreamId,
  seed: Uint8Array,
  keys: DeviceKeys,
  name: string,
): Promise<Knock> {
  const statement = pack(statementShape, {
    case: greeting.case,
    invitation: greeting.invitation,
    name,
    sign: keys.sign.public,
    box: keys.box.public,
  });
  return {
    statement,
    seed_sig: await sign(await seedKey(seed, doorstep), "statement", doorstep, statement),
    device_sig: await sign(keys.sign, "statement", doorstep, statement),
  };
}

export async function makeKnock(
  greeting: Greeting,
  doorstep: StreamId,
  seed: Uint8Array,
  keys: DeviceKeys,
  name: string,
): Promise<Uint8Array> {
  const knock = pack(knockShape, await signStatement(greeting, doorstep, seed, keys, name));
  const context = concat(doorstep, greeting.invitation);
  return pack(knockedShape, { box: await sealBox(greeting.box, "knock", context, knock) });
}

/** Throws `bad_statement` for all that is no knock: whoever holds the link can write such a thing. */
export async function openKnock(
  payload: Uint8Array,
  key: BoxKey,
  doorstep: StreamId,
  invitation: Uint8Array,
): Promise<Knock> {
  const { box } = read(knockedShape, payload, "bad_statement");
  const content = await opened(key, "knock", concat(doorstep, invitation), box, "bad_statement");
  return read(knockShape, content, "bad_statement");
}

/**
 * The statement and the device it is of. Throws `bad_statement`: for another case or door, not by the holder of the link,
 * or with a device key that did not sign it (somebody else's device would be put in this person's name).
 */
export async function checkStatement(
  knock: Knock,
  caseId: CaseId,
  invitation: Uint8Array,
  doorstep: StreamId,
  seedSignKey: Uint8Array,
): Promise<{ readonly statement: Statement; readonly device: DeviceId }> {
  const statement = read(statementShape, knock.statement, "bad_statement");
  if (!same(statement.case, caseId) || !same(statement.invitation, invitation)) {
    throw new Inadmissible("bad_statement", "a statement for another door");
  }
  try {
    await verify(seedSignKey, "statement", doorstep, knock.statement, knock.seed_sig);
    await verify(statement.sign, "statement", doorstep, knock.statement, knock.device_sig);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new Inadmissible("bad_statement", "a statement is not signed by link and device");
  }
  return { statement, device: deviceId(caseId, statement) };
}

// --- welcome

/** `content`: `encodeWelcome` for a person; for a grant see view.md. */
export async function makeWelcome(
  doorstep: StreamId,
  device: DeviceId,
  boxKey: Uint8Array,
  content: Uint8Array,
): Promise<Uint8Array> {
  return answer(device, { box: await sealBox(boxKey, "welcome", concat(doorstep, device), content) });
}

/** The answer to whoever knocks second. */
export function makeRefusal(device: DeviceId): Uint8Array {
  return answer(device, { code: LINK_USED });
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return pack(welcomeShape, welcome);
}

/** Whether this record of the doorstep is an answer (not a nonce) to this device. */
export function welcomeFor(payload: Uint8Array, device: DeviceId): boolean {
  try {
    const { to, box, code } = read(welcomedShape, payload, "bad_entry");
    return same(to, device) && (box !== null || code !== null);
  } catch (error) {
    if (error instanceof Inadmissible) return false;
    throw error;
  }
}

/** The device that this record of the doorstep lets in. Who reads of another device than the own came too late. */
export function usedBy(payload: Uint8Array): DeviceId | undefined {
  try {
    const { to, box } = read(welcomedShape, payload, "bad_entry");
    return box === null ? undefined : to;
  } catch (error) {
    if (error instanceof Inadmissible) return undefined;
    throw error;
  }
}

/** The content. Throws Ended `link_used` where another one was first, `not_for_me`, `bad_entry`. */
export async function openWelcome(
  payload: Uint8Array,
  doorstep: StreamId,
  device: DeviceId,
  key: BoxKey,
): Promise<Uint8Array> {
  const { to, box, code } = read(welcomedShape, payload, "bad_entry");
  if (!same(to, device)) throw new Inadmissible("not_for_me", "a welcome for another device");
  if (box === null) {
    // Not authenticated beyond the doorstep: it can keep a visitor out, which the relay can anyway.
    if (code === LINK_USED) throw new Ended("link_used");
    throw new Inadmissible("bad_entry", "an empty welcome");
  }
  return opened(key, "welcome", concat(doorstep, device), box, "not_for_me");
}

export function decodeWelcome(content: Uint8Array): Welcome {
  return read(welcomeShape, content, "bad_entry");
}

// --- the seed, for the other devices of the room

/** `terms` of an invite: so that any device of the room answers the knock, not only the one that made the link. */
export function sealSeed(
  roomSecret: RoomSecret,
  epoch: number,
  doorstep: StreamId,
  seed: Uint8Array,
  nonce: Uint8Array,
): Promise<Uint8Array> {
  return seal(
    derive(roomSecret, "invite terms", doorstep),
    doorstep,
    epoch,
    pack(termsShape, { seed }),
    nonce,
  );
}

/** Throws `bad_entry`: the inviter sealed something else, or for another door. */
export async function openSeed(
  roomSecret: RoomSecret,
  doorstep: StreamId,
  terms: Uint8Array,
): Promise<Uint8Array> {
  try {
    const { plaintext } = await openSealed(derive(roomSecret, "invite terms", doorstep), doorstep, terms);
    return read(termsShape, plaintext, "bad_entry").seed;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new Inadmissible("bad_entry", "terms of an invitation do not open");
  }
}

// --- comparing words

/**
 * What the circle adds to a statement that lies on the doorstep: whoever wrote it could not know it. The same on every device
 * of the room, so that two of them online at once show the same words.
 */
export function nonceFor(roomSecret: RoomSecret, doorstep: StreamId, statement: Uint8Array): Uint8Array {
  return derive(roomSecret, "doorstep nonce", concat(doorstep, sha256(statement)));
}

/** The record that brings the nonce to the visitor. */
export function makeNonce(
  device: DeviceId,
  deviceSig: Uint8Array,
  doorstep: StreamId,
  nonce: Uint8Array,
): Uint8Array {
  return answer(device, { nonce, mac: nonceMac(deviceSig, doorstep, nonce) });
}

/**
 * The nonce for this device, undefined where the record is something else, or made by another one who holds the link: such a
 * one would try nonces until the victim's screen shows the words of the thief's.
 */
export function openNonce(
  payload: Uint8Array,
  device: DeviceId,
  deviceSig: Uint8Array,
  doorstep: StreamId,
): Uint8Array | undefined {
  const { to, nonce, mac } = read(welcomedShape, payload, "bad_entry");
  if (!same(to, device) || !nonce || !mac) return undefined;
  return same(mac, nonceMac(deviceSig, doorstep, nonce)) ? nonce : undefined;
}

/** The signature lies sealed in the knock: only the visitor and whoever may open the door know it. */
function nonceMac(deviceSig: Uint8Array, doorstep: StreamId, nonce: Uint8Array): Uint8Array {
  return hmac(derive(deviceSig, "nonce key", doorstep), "nonce", nonce);
}

/** For `comparisonWords`. Who wants other words to match would have to fix the statement before the nonce is known. */
export function wordsDigest(statement: Uint8Array, nonce: Uint8Array): Uint8Array {
  return sha256(label("words"), sha256(statement), nonce);
}

function answer(to: DeviceId, given: Partial<Welcomed>): Uint8Array {
  return pack(welcomedShape, { to, box: null, code: null, nonce: null, mac: null, ...given });
}

async function opened(
  key: BoxKey,
  name: string,
  context: Uint8Array,
  box: Uint8Array,
  code: string,
): Promise<Uint8Array> {
  try {
    return await openBox(key, name, context, box);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new Inadmissible(code, `a ${name} does not open`);
  }
}

function read<T>(shape: Shape<T>, payload: Uint8Array, code: string): T {
  try {
    return unpack(shape, payload);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new Inadmissible(code, "it does not decode");
  }
}
