/**
 * What goes with an entry: secrets, keybags, and the locks of streams. `compose` makes the entries out of it.
 *
 * Spec: docs/spec/charter.md. Pure: fresh bytes come from `author.random`, the clock from `author.at`.
 */
import * as capability from "../../crypto/capability";
import * as door from "../doorstep";
import { Misuse } from "../errors";
import {
  type CapabilityHash,
  type CaseId,
  type Chain,
  type DeviceId,
  type Hex,
  hex,
  named,
  type PersonId,
  type RoomSecret,
  type StreamId,
  same,
  unhex,
} from "../ids";
import type { Blank, Given, Random } from "../keys";
import { commitment, type HeldSecret, type Keyring, OWNERS, sealLink } from "../rooms";
import { nobody } from "../stream";
import type { Body, PartEntry, Role, RoomEntry } from "./entry";
import type { SchemaRules } from "./locks";
import { apply } from "./rules";
import { type Charter, isHere, nextEpoch, type Person, type Room } from "./state";

/** The device that writes: `chain` is the charter stream's now. */
export interface Author {
  readonly device: DeviceId;
  readonly keyring: Keyring;
  readonly chain: Chain;
  readonly at: number;
  readonly random: Random;
  readonly schema: SchemaRules;
}

/** A stream to open, with the hashes of its three capabilities. */
export interface Opening {
  readonly stream: StreamId;
  readonly read: CapabilityHash;
  readonly append: CapabilityHash;
  readonly manage: CapabilityHash;
  readonly expires: number | null;
}

/**
 * An entry without signature, and what goes with it in one atomic exchange, in this order: the entry, the keybags, the
 * streams to open, the rekeys (with `capabilityHashes` of the charter after), the streams to close.
 *
 * Keep `newSecrets` before anything is sent: whoever loses the answer still holds the room.
 */
export interface Draft {
  readonly body: Body;
  readonly newSecrets: readonly HeldSecret[];
  /** By device. */
  readonly keybags: ReadonlyMap<Hex, readonly Given[]>;
  readonly blanks: ReadonlyMap<Hex, readonly Blank[]>;
  readonly rekeys: readonly StreamId[];
  readonly opens: readonly Opening[];
  readonly closes: readonly StreamId[];
  /** Of a founding: the S of the keys stream. */
  readonly keysSecret?: Uint8Array;
}

export function draftOf(body: Body, more: Partial<Omit<Draft, "body">> = {}): Draft {
  return {
    body,
    newSecrets: [],
    keybags: new Map(),
    blanks: new Map(),
    rekeys: [],
    opens: [],
    closes: [],
    ...more,
  };
}

// --- capabilities

/** Absent: keep what the relay has, because the secret does not turn or is not in this keyring. */
export interface CapabilityHashes {
  readonly read: CapabilityHash | null;
  readonly append: CapabilityHash | null;
  readonly manage: CapabilityHash | null;
}

/** The hashes of a stream's read, append and manage capability in this charter. */
export function capabilityHashes(charter: Charter, keyring: Keyring, stream: StreamId): CapabilityHashes {
  const rooms = charter.streamRooms(stream);
  if (!rooms) throw new Misuse("bad_argument", "no stream of this case");
  const read = held(charter, keyring, rooms.read);
  const manage = held(charter, keyring, rooms.manage);
  return {
    read:
      read &&
      hashOf(capability.readCapability(capability.readSecret(read.secret, stream), stream, read.epoch)),
    append: appendHash(charter, keyring, stream, rooms.write),
    manage: manage && manageHash(manage, stream),
  };
}

function appendHash(
  charter: Charter,
  keyring: Keyring,
  stream: StreamId,
  room: string | undefined,
): CapabilityHash | null {
  if (room === undefined) return null;
  if (charter.audience(room).size === 0) return nobody(stream);
  const write = held(charter, keyring, room);
  if (write) {
    const secret = capability.writeSecret(write.secret, stream);
    return hashOf(capability.appendCapability(secret, stream, write.epoch));
  }
  // Whoever writes turned the lock and said what it is now; whoever manages does it at the relay.
  const lock = charter.locks.get(hex(stream));
  return lock && lock.epoch === charter.rooms.get(room)?.epoch ? named(lock.append) : null;
}

function manageHash({ epoch, secret }: HeldSecret, stream: StreamId): CapabilityHash {
  return hashOf(capability.manageCapability(capability.manageSecret(secret, stream), stream, epoch));
}

function hashOf(cap: Uint8Array): CapabilityHash {
  return named(capability.capabilityHash(cap));
}

/** Streams this person manages whose writers turned their room: each is a `rekey`, which may be repeated. */
export function locksToTurn(charter: Charter, person: PersonId): StreamId[] {
  const found: StreamId[] = [];
  for (const [id, { epoch }] of charter.locks) {
    const part = charter.partStreams.get(id);
    if (!part || charter.parts.get(part.name)?.stream !== part.stream) continue;
    const isPresent = charter.rooms.get(part.write)?.epoch === epoch;
    if (isPresent && charter.manages(person, part.stream)) found.push(part.stream);
  }
  return found;
}

/** Streams for parts that others found and owners manage. Given to a newcomer in the keybag. */
export function makeBlanks(charter: Charter, author: Author, count: number): Blank[] {
  const owners = held(charter, author.keyring, OWNERS);
  if (!owners) {
    throw new Misuse("not_permitted", "only who is in the room of the owners can give out its locks");
  }
  return Array.from({ length: count }, () => {
    const stream = named<StreamId>(author.random(16));
    return [stream, manageHash(owners, stream)] as const;
  });
}

/** Every secret this keyring can give to a device: the newest of each room it is in, and those that no link leads to. */
export function keybagFor(charter: Charter, keyring: Keyring, device: DeviceId): Given[] {
  const known = charter.devices.get(hex(device));
  if (!known || !isHere(known)) return [];
  const bag: Given[] = [];
  for (const name of charter.roomsOf(known.person)) {
    const room = charter.rooms.get(name) as Room;
    for (const epoch of [...room.commits.keys()].sort((a, b) => a - b)) {
      const secret = keyring.secret(name, epoch);
      if (secret && (epoch === room.epoch || lastBeforeGap(room, epoch))) bag.push([name, epoch, secret]);
    }
  }
  return bag;
}

function lastBeforeGap(room: Room, epoch: number): boolean {
  const later = [...room.commits.keys()].filter((other) => other > epoch);
  return later.length > 0 && !room.links.has(Math.min(...later));
}

/** The present secret of a room, where this keyring has it. */
export function held(charter: Charter, keyring: Keyring, room: string | undefined): HeldSecret | null {
  const known = room === undefined ? undefined : charter.rooms.get(room);
  const secret = known && keyring.secret(known.name, known.epoch);
  return known && secret ? { room: known.name, epoch: known.epoch, secret } : null;
}

// --- the common part of every draft

/** The fields every body has. */
export function common(charter: Charter, author: Author) {
  return {
    v: 1,
    case: charter.case,
    n: charter.n + 1,
    prev: charter.head,
    chain: author.chain,
    by: author.device,
    at: author.at,
  } as const;
}

export function personOf(charter: Charter, author: Author): Person {
  const person = charter.personOf(author.device);
  if (!person) throw new Misuse("not_permitted", "this device does not belong to the case");
  return person;
}

/** The charter as it will be, but for number and hash. Throws Inadmissible as the fold would. */
export function preview(charter: Charter, author: Author, body: Body): Promise<Charter> {
  return apply(charter, personOf(charter, author), body, author.schema);
}

/** Rooms made and turned in one entry, and who is to get their secrets. */
export class Secrets {
  readonly made: HeldSecret[] = [];

  constructor(
    private readonly caseId: CaseId,
    private readonly author: Author,
  ) {}

  create(name: string, roles: readonly string[], people: Iterable<PersonId>): RoomEntry {
    return this.entry(name, roles, [...people].map(hex), 1, undefined);
  }

  /** The room's next epoch, linked to the present one. `after` says who is still listed. */
  turn(after: Charter, name: string, people?: Iterable<Hex>): RoomEntry {
    const room = after.rooms.get(name) as Room;
    const before = this.author.keyring.secret(name, room.epoch);
    if (!before) throw lacks(name);
    return this.entry(name, room.roles, people ?? room.people, nextEpoch(room), before);
  }

  /** The next epoch of a room whose secret is lost. */
  restart(after: Charter, name: string, people: Iterable<Hex>): RoomEntry {
    const room = after.rooms.get(name) as Room;
    return this.entry(name, room.roles, people, nextEpoch(room), undefined);
  }

  private entry(
    room: string,
    roles: readonly string[],
    people: Iterable<Hex>,
    epoch: number,
    before: RoomSecret | undefined,
  ): RoomEntry {
    const secret = named<RoomSecret>(this.author.random(32));
    this.made.push({ room, epoch, secret });
    return {
      room,
      roles: roles as readonly Role[],
      people: [...people].sort().map((id) => unhex<PersonId>(id)),
      epoch,
      commit: commitment(this.caseId, room, epoch, secret),
      link: before ? sealLink(this.caseId, room, epoch, secret, before) : new Uint8Array(),
    };
  }

  /** The author's keyring with these. */
  ring(): Keyring {
    const ring = this.author.keyring.copy();
    for (const { room, epoch, secret } of this.made) ring.add(room, epoch, secret);
    return ring;
  }

  /** What every device of these rooms is to be given, the author's own included: it may lose its store. */
  bags(after: Charter): Map<Hex, Given[]> {
    const found = new Map<Hex, Given[]>();
    for (const { room, epoch, secret } of this.made) {
      for (const device of after.devicesIn(room)) {
        found.set(device, [...(found.get(device) ?? []), [room, epoch, secret]]);
      }
    }
    return found;
  }
}

export function lacks(room: string): Misuse {
  return new Misuse("not_permitted", `this device does not hold the newest secret of ${room} yet`);
}

/** The streams whose locks the author can turn: those of the rooms turned, and those nobody writes any more. */
export function rekeysOf(
  charter: Charter,
  after: Charter,
  author: Author,
  turned: Iterable<string>,
): StreamId[] {
  const wanted = new Set(after.streamsOfRooms(turned).map(hex));
  for (const stream of after.liveStreams()) {
    const write = after.streamRooms(stream)?.write;
    if (write === undefined || !charter.rooms.has(write)) continue;
    if (charter.audience(write).size > 0 && after.audience(write).size === 0) wanted.add(hex(stream));
  }
  for (const id of pastTheirDate(after, author.at)) wanted.delete(id);
  return after.liveStreams().filter((stream) => wanted.has(hex(stream)) && canRekey(charter, author, stream));
}

/** Streams the relay has closed by itself: a rekey of one would undo the whole exchange. */
export function pastTheirDate(charter: Charter, now: number): Set<Hex> {
  const over: StreamId[] = [];
  for (const { expires, doorstep } of charter.invitations.values()) if (expires <= now) over.push(doorstep);
  for (const { until, doorstep, down, up } of charter.grants.values()) {
    if (until <= now) over.push(doorstep, down, up);
  }
  return new Set(over.map(hex));
}

/** Streams that this entry puts out of use, as far as the author manages them: doors that close, parts founded anew. */
export function droppedStreams(charter: Charter, after: Charter, author: Author): StreamId[] {
  const live = new Set(after.liveStreams().map(hex));
  return charter
    .liveStreams()
    .filter((stream) => !live.has(hex(stream)) && canRekey(charter, author, stream));
}

/** False also for a stream that this very entry opens. */
export function canRekey(charter: Charter, author: Author, stream: StreamId): boolean {
  return held(charter, author.keyring, charter.streamRooms(stream)?.manage) !== null;
}

/** How a stream of rooms is opened. `manage`: that of a blank, where the author is not in the room that manages. */
export function openingOf(
  after: Charter,
  ring: Keyring,
  stream: StreamId,
  given: { readonly manage?: CapabilityHash | undefined; readonly expires?: number } = {},
): Opening {
  const hashes = capabilityHashes(after, ring, stream);
  const isKeys = same(stream, after.keysStream) && ring.keysSecret !== undefined;
  const read = isKeys
    ? hashOf(capability.readCapability(ring.keysSecret as Uint8Array, stream, 0))
    : hashes.read;
  const manage = given.manage ?? hashes.manage;
  if (!read || !hashes.append || !manage) {
    throw new Misuse(
      "not_permitted",
      "this device lacks a secret to open a stream with; an owner gives blanks for that",
    );
  }
  return { stream, read, append: hashes.append, manage, expires: given.expires ?? null };
}

export function doorstepOpening(
  charter: Charter,
  author: Author,
  room: string,
  stream: StreamId,
  seed: Uint8Array,
  expires: number,
): Opening {
  const manage = held(charter, author.keyring, room);
  if (!manage) {
    throw new Misuse("not_permitted", "this device lacks the secret that the doorstep is managed with");
  }
  return { stream, ...door.openHashes(seed, stream, manage.secret, manage.epoch), expires };
}

/** Kind and person of each part that is to be made, by its name. */
export type PartNames = ReadonlyMap<string, { readonly kind: string; readonly person: PersonId | undefined }>;

export interface MadeParts {
  readonly rooms: RoomEntry[];
  readonly parts: PartEntry[];
  /** The manage hashes of the blanks used, by stream. */
  readonly used: ReadonlyMap<Hex, CapabilityHash>;
}

/** Which rooms there are, and of which of them the author has the present secret. */
export interface RoomsThere {
  has(room: string): boolean;
  holds(room: string): boolean;
}

export function roomsThere(charter: Charter, keyring: Keyring): RoomsThere {
  return { has: (room) => charter.rooms.has(room), holds: (room) => held(charter, keyring, room) !== null };
}

/** The rooms that are not there yet, and the parts. */
export function partRooms(
  there: RoomsThere,
  secrets: Secrets,
  author: Author,
  names: PartNames,
  blanks: readonly Blank[] = [],
): MadeParts {
  const rooms = new Map<string, RoomEntry>();
  const parts: PartEntry[] = [];
  const used = new Map<Hex, CapabilityHash>();
  const left = [...blanks];
  for (const [part, { kind, person }] of names) {
    const wanted = author.schema.roomsFor(kind, person);
    if (!wanted) throw new Misuse("no_such_part", `the schema knows no part ${kind}`);
    const { read, write, manage } = wanted;
    for (const rule of [read, write, manage]) {
      if (there.has(rule.name) || rooms.has(rule.name)) continue;
      rooms.set(rule.name, secrets.create(rule.name, rule.roles, rule.people));
    }
    let stream = named<StreamId>(author.random(16));
    if (there.has(manage.name) && !there.holds(manage.name)) {
      const blank = left.shift();
      if (!blank)
        throw new Misuse("not_permitted", `to found ${part} an owner's device must give a blank first`);
      stream = blank[0];
      used.set(hex(stream), blank[1]);
    }
    parts.push({ part, stream, read: read.name, write: write.name, manage: manage.name });
  }
  return { rooms: [...rooms.values()], parts, used };
}
