/**
 * A charter act as one atomic exchange: the entry, the boxes, new streams, what else belongs, turned locks, closed streams.
 * Mirror of core/eigenkring/session/acting.py. Spec: docs/spec/charter.md, Narrowing. Who loses the race applies nothing
 * and decides again.
 */
import type { SigningKey } from "../../crypto/sign";
import { type Author, capabilityHashes, type Draft, type Opening } from "../charter/draft";
import { type CutEntry, signEntry } from "../charter/entry";
import { fold } from "../charter/rules";
import type { Charter } from "../charter/state";
import { Misuse } from "../errors";
import {
  type Capability,
  type Chain,
  type DeviceId,
  type Hex,
  hex,
  type PersonId,
  type StreamId,
  unhex,
} from "../ids";
import { type Bag, bagOf, sealBags } from "../keys";
import { cutLine } from "../part/rights";
import { EVERYONE, type Keyring } from "../rooms";
import type { StoredSecret } from "../store";
import { appendCap, manageCap, type StreamSecrets, sealRecord } from "../stream";
import type { Append, Open, Operation } from "../wire";
import { type CaseState, secretsFrom } from "./case";
import { borneOut } from "./clocks";
import type { CaseSession } from "./parts";

/** The boxes of so many devices stay well below the longest record, whatever rooms they are in. */
export const BOXES_IN_A_RECORD = 200;

/** Operations that take effect together, and the charter as it is when they did. Never log the secrets. */
export interface Exchange {
  readonly ops: readonly Operation[];
  readonly after: Charter;
  readonly payload: Uint8Array;
  readonly secrets: readonly StoredSecret[];
}

/** Who signs a record of boxes, and with which key. */
export interface Sealer {
  readonly by: DeviceId;
  readonly key: SigningKey;
}

/** This device as the author of an entry that follows what it has read. */
export function authorOf(session: CaseState): Author {
  return {
    device: session.device(),
    keyring: session.ring,
    chain: session.position(session.charterStream).chain,
    at: borneOut(session),
    random: session.around.random,
    schema: session.around.schema,
  };
}

/**
 * Makes the exchange of a draft; `extra` gives what belongs to it once the entry has its hash. Throws Inadmissible where our
 * own rules refuse the entry: nothing is sent then. `key` is the author's, where that is the person's paper and not this
 * device; `sealer` is who seals the boxes, where the author is out with this very entry.
 */
export async function exchangeOf(
  session: CaseState,
  draft: Draft,
  extra: (after: Charter) => readonly Operation[] | Promise<readonly Operation[]> = () => [],
  key = session.keys.sign,
  sealer?: Sealer,
): Promise<Exchange> {
  const payload = await signEntry(draft.body, key);
  const { chain } = session.position(session.charterStream);
  const after = await fold(session.known(), payload, session.case, chain, session.around.schema);
  const ring = ringWith(session.ring, draft);
  const ops: Operation[] = [await entryOp(session, after, ring, draft, payload, chain)];
  ops.push(...(await keysAppends(session, after, bagsOf(draft), sealer)));
  ops.push(...draft.opens.map(openOp));
  ops.push(...(await extra(after)));
  for (const stream of draft.rekeys) {
    const hashes = capabilityHashes(after, ring, stream);
    const cap = manageCap(session.secrets(stream));
    if (cap && (hashes.read || hashes.append || hashes.manage)) {
      ops.push({ op: "rekey", stream, cap, ...hashes });
    }
  }
  for (const stream of draft.closes) {
    const cap = manageCap(session.secrets(stream));
    if (cap) ops.push({ op: "close", stream, cap });
  }
  return { ops, after, payload, secrets: draft.newSecrets };
}

export function ringWith(ring: Keyring, draft: Draft): Keyring {
  const held = ring.copy();
  for (const { room, epoch, secret } of draft.newSecrets) held.add(room, epoch, secret);
  return held;
}

export function bagsOf(draft: Draft): Map<Hex, Bag> {
  const devices = new Set([...draft.keybags.keys(), ...draft.blanks.keys()]);
  return new Map(
    [...devices].map((device) => [
      device,
      bagOf(draft.keybags.get(device) ?? [], [], draft.blanks.get(device) ?? []),
    ]),
  );
}

async function entryOp(
  session: CaseState,
  after: Charter,
  ring: Keyring,
  draft: Draft,
  payload: Uint8Array,
  expect: Chain,
): Promise<Append> {
  const stream = session.charterStream;
  const now = session.secrets(stream);
  const epoch = after.rooms.get(EVERYONE)?.epoch;
  const isTurned = draft.newSecrets.some((made) => made.room === EVERYONE && made.epoch === epoch);
  // Under the new epoch: whoever leaves does not read the entry, and a newcomer finds the link in it.
  const sealedWith = isTurned ? secretsAfter(after, ring, stream) : now;
  const record = await sealRecord(sealedWith, payload, session.around.random(24));
  return { op: "append", stream, cap: held(appendCap(now)), record, expect };
}

/** What a keyring gives to a stream in another state of the charter than the present one. */
export function secretsAfter(after: Charter, ring: Keyring, stream: StreamId): StreamSecrets {
  const rooms = after.streamRooms(stream);
  if (!rooms) return { stream };
  return secretsFrom(stream, [rooms.read, rooms.write, rooms.manage], (room) => {
    const epoch = after.rooms.get(room)?.epoch;
    const secret = epoch === undefined ? undefined : ring.secret(room, epoch);
    return epoch === undefined || !secret ? undefined : { epoch, secret };
  });
}

/** As many records of boxes as it takes: all of a large circle do not fit into one. */
export function keysAppends(
  session: CaseState,
  after: Charter,
  bags: ReadonlyMap<Hex, Bag>,
  sealer?: Sealer,
): Promise<Append[]> {
  const all = [...bags];
  const some: (typeof all)[] = [];
  for (let at = 0; at < all.length; at += BOXES_IN_A_RECORD) some.push(all.slice(at, at + BOXES_IN_A_RECORD));
  return Promise.all(some.map((group) => keysAppend(session, after, new Map(group), sealer)));
}

/** One record of boxes; appended with the capability of before, like the entry it goes with. */
export async function keysAppend(
  session: CaseState,
  after: Charter,
  bags: ReadonlyMap<Hex, Bag>,
  sealer: Sealer = { by: session.device(), key: session.keys.sign },
): Promise<Append> {
  const { keysStream: stream, keysSecret } = session.row;
  if (!stream || !keysSecret) {
    throw new Misuse("not_permitted", "this device does not know where the keys lie");
  }
  const { length, chain } = session.position(stream);
  const { random } = session.around;
  const sender = { ...sealer, keysSecret, seen: { length, chain }, random };
  const payload = await sealBags(after, sender, bags);
  const secrets = session.secrets(stream);
  const record = await sealRecord(secrets, payload, random(24));
  return { op: "append", stream, cap: held(appendCap(secrets)), record, expect: null };
}

export function openOp(opening: Opening): Open {
  return { op: "open", ...opening };
}

export function held(cap: Capability | undefined): Capability {
  if (!cap) throw new Misuse("not_permitted", "this device does not hold the keys for that");
  return cap;
}

/** For every part this device reads: the newest change it admitted from each actor of the devices that leave. */
export async function cutsFor(
  session: CaseSession,
  leaving: readonly PersonId[],
  devices: readonly DeviceId[] = [],
): Promise<CutEntry[]> {
  const charter = session.known();
  const gone = new Set(devices.map(hex));
  for (const person of leaving) for (const device of charter.devicesOf(person)) gone.add(device);
  const found: CutEntry[] = [];
  for (const one of [...session.parts.values()]) {
    const { part, fold: of } = await session.opened(one);
    const { read } = session.secrets(part.stream);
    if (!read) continue;
    const lines: (readonly [Uint8Array, number, Uint8Array])[] = [];
    for (const [actor, { seq, hash }] of of.newestByActor()) {
      const author = of.authorOf(hash);
      if (author && gone.has(hex(author))) lines.push(cutLine(read.secret, unhex(actor), seq, unhex(hash)));
    }
    lines.sort(([a], [b]) => (hex(a) < hex(b) ? -1 : 1));
    found.push({ stream: part.stream, actors: lines });
  }
  return found;
}
