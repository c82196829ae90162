/**
 * Blanks on request: a person founds an own part anew, and an owner's device prepares the lock. Mirror of
 * core/eigenkring/session/preparing.py. Spec: docs/spec/charter.md, Keys.
 *
 * Owners manage what a person says to them (`voice`, `answers`, `contacts`), so that person cannot open a stream for it alone.
 * The wish is kept and carried out at the sync after an owner's device answered; nobody has to do anything for it.
 */
import { makeBlanks } from "../charter/draft";
import { isHere } from "../charter/state";
import { Misuse } from "../errors";
import { type DeviceId, type Hex, hex, type StreamId, same } from "../ids";
import { type Bag, type Blank, bagOf, blanksShape } from "../keys";
import { bytes, dict, list, pack, unpack } from "../shape";
import type { Operation } from "../wire";
import { authorOf, keysAppends } from "./acting";
import type { CaseState } from "./case";
import type { CaseSession } from "./parts";

/** An act that nobody agrees to: who does not know the word passes it over. */
export const WANTED = new TextEncoder().encode("blanks");
const MOST_DEVICES = 64;
/** Unused ones that a device keeps; whoever gives more of them has something else in mind. */
export const MOST_BLANKS = 32;
const GIVEN_AT_ONCE = 4;

const wishesShape = dict(bytes<StreamId>(16));
const devicesShape = list(bytes<DeviceId>(16));

/** Streams that an owner's device prepared for this person, not used yet. */
export function blanksOf(session: CaseState): Blank[] {
  const { streams } = session.known();
  return heldHere(session).filter(([stream]) => !streams.has(hex(stream)));
}

function heldHere(session: CaseState): readonly Blank[] {
  const packed = session.store.fact(session.case, "blanks");
  return packed ? unpack(blanksShape, packed) : [];
}

/** Beside those that are here: of a stream in use the blank tells its lock when a relay must be rebuilt. */
export function hold(session: CaseState, given: readonly Blank[]): void {
  const live = new Set(session.known().liveStreams().map(hex));
  const used = heldHere(session).filter(([stream]) => live.has(hex(stream)));
  const unused = new Map([...blanksOf(session), ...given].map((blank) => [hex(blank[0]), blank]));
  const kept = [...used, ...[...unused.values()].slice(-MOST_BLANKS)];
  session.store.putFact(session.case, "blanks", pack(blanksShape, kept));
}

// --- who wants some

/** Whether founding this part anew takes a lock that only owners can make. */
export function needsBlank(session: CaseSession, name: string): boolean {
  const part = session.known().parts.get(name);
  return part !== undefined && !session.roomSecret(part.manage) && blanksOf(session).length === 0;
}

/** Remembers that this part is to be founded anew, and asks every owner's device for blanks. */
export async function want(session: CaseSession, name: string): Promise<Operation[]> {
  const charter = session.known();
  const part = charter.parts.get(name);
  if (!part) throw new Misuse("no_such_part", `there is no part ${name} here`);
  const wishes = new Map(wishesOf(session)).set(name, part.stream);
  session.store.putFact(session.case, "to forget", pack(wishesShape, wishes));
  const owners = charter.present().filter(({ role }) => role === "owner");
  const devices = owners.flatMap(({ person }) => [...charter.devicesOf(person)]).sort();
  const bags = new Map<Hex, Bag>(devices.map((one) => [one, bagOf([], [{ act: WANTED, approvals: [] }])]));
  return keysAppends(session, charter, bags);
}

function wishesOf(session: CaseState): ReadonlyMap<string, StreamId> {
  const packed = session.store.fact(session.case, "to forget");
  return packed ? unpack(wishesShape, packed) : new Map();
}

/** Parts to found anew that can be now. What was founded anew since is wished no more. */
export function wished(session: CaseSession): string[] {
  const { parts } = session.known();
  const wishes = [...wishesOf(session)];
  const left = wishes.filter(([name, stream]) => {
    const now = parts.get(name);
    return now !== undefined && same(now.stream, stream);
  });
  if (left.length !== wishes.length) {
    session.store.putFact(session.case, "to forget", left.length ? pack(wishesShape, new Map(left)) : null);
  }
  return left.flatMap(([name, stream]) =>
    session.parts.has(hex(stream)) && !needsBlank(session, name) ? [name] : [],
  );
}

// --- who gives

/** A device of the circle asks this one, which is an owner's. */
export function takeWish(session: CaseState, device: DeviceId): void {
  const charter = session.known();
  if (!charter.devices.has(hex(device)) || !charter.isOwner(session.me())) return;
  keepWaiting(
    session,
    [...waiting(session).filter((one) => !same(one, device)), device].slice(-MOST_DEVICES),
  );
}

function waiting(session: CaseState): readonly DeviceId[] {
  const packed = session.store.fact(session.case, "blanks wanted");
  return packed ? unpack(devicesShape, packed) : [];
}

function keepWaiting(session: CaseState, devices: readonly DeviceId[]): void {
  session.store.putFact(session.case, "blanks wanted", devices.length ? pack(devicesShape, devices) : null);
}

/** Devices of this case that wait for blanks. */
export function toGive(session: CaseState): DeviceId[] {
  return waiting(session).filter((one) => isHereNow(session, one));
}

function isHereNow(session: CaseState, device: DeviceId): boolean {
  const known = session.known().devices.get(hex(device));
  return known !== undefined && isHere(known);
}

/** A record of keys with blanks for each of these devices. Throws Misuse `not_permitted`. */
export function giving(devices: readonly DeviceId[]): (now: CaseSession) => Promise<Operation[]> {
  return async (now) => {
    const charter = now.known();
    if (!charter.isOwner(now.me())) {
      throw new Misuse("not_permitted", "only an owner's device prepares locks of owners");
    }
    const bags = new Map<Hex, Bag>();
    for (const device of devices.filter((one) => isHereNow(now, one))) {
      bags.set(hex(device), bagOf([], [], makeBlanks(charter, authorOf(now), GIVEN_AT_ONCE)));
    }
    return keysAppends(now, charter, bags);
  };
}

/** The relay took them. */
export function given(session: CaseState, devices: readonly DeviceId[]): void {
  const done = new Set(devices.map(hex));
  keepWaiting(
    session,
    waiting(session).filter((one) => !done.has(hex(one))),
  );
}
