/**
 * The folded charter: who belongs now, who may, and who might when. Spec: docs/spec/charter.md.
 *
 * Immutable: every entry makes a new Charter that shares with the old one all that did not change. Maps and sets are keyed
 * by hex.
 */
import { Misuse } from "../errors";
import {
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  type GrantId,
  type Hex,
  hex,
  type InvitationId,
  named,
  type PersonId,
  type StreamId,
  same,
  unhex,
} from "../ids";
import { about, CIRCLE, EVERYONE, grantRoom, OWNERS } from "../rooms";
import { type Role, type Sleeping, ZERO_HASH } from "./entry";
import { Heads } from "./log";

/** Entry numbers: the states from the first up to but without the last, or from the first on. */
export type Span = readonly [first: number, last: number | null];

export interface Person {
  readonly person: PersonId;
  readonly name: string;
  readonly role: Role;
  readonly here: boolean;
  readonly sinceN: number;
  readonly until: number | null;
  /** The entry with which this person came back on other devices; 0 for never. */
  readonly readmittedN: number;
  readonly spans: readonly (readonly [first: number, last: number | null, role: Role])[];
}

export interface Device {
  readonly device: DeviceId;
  readonly person: PersonId;
  readonly sign: Uint8Array;
  readonly box: Uint8Array;
  readonly sleeping: Sleeping;
  readonly sinceN: number;
  readonly untilN: number | null;
}

export interface Room {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly people: ReadonlySet<Hex>;
  readonly epoch: number;
  readonly commits: ReadonlyMap<number, Uint8Array>;
  readonly links: ReadonlyMap<number, Uint8Array>;
  readonly sinceN: ReadonlyMap<number, number>;
  /** Who turned it to that epoch, to name whoever gave a link that leads to nothing. */
  readonly by: ReadonlyMap<number, DeviceId>;
  readonly listed: ReadonlyMap<Hex, readonly Span[]>;
  readonly floor: number;
  readonly due: boolean;
}

export interface Part {
  readonly name: string;
  readonly kind: string;
  readonly about: PersonId | undefined;
  readonly stream: StreamId;
  readonly read: string;
  readonly write: string;
  readonly manage: string;
  readonly sinceN: number;
}

export interface Invitation {
  readonly invitation: InvitationId;
  readonly kind: "invite" | "readmit";
  readonly person: PersonId;
  readonly name: string;
  readonly role: Role;
  readonly doorstep: StreamId;
  readonly seedKey: Uint8Array;
  readonly expires: number;
  readonly compare: boolean;
  readonly by: DeviceId;
  readonly n: number;
  /** The seed of the link, sealed for the other devices of the room that opens the door. */
  readonly terms: Uint8Array;
  readonly state: "open" | "used" | "closed";
  readonly joinedN: number | null;
  readonly device: DeviceId | null;
}

export interface Grant {
  readonly grant: GrantId;
  readonly doorstep: StreamId;
  readonly down: StreamId;
  readonly up: StreamId;
  readonly seedKey: Uint8Array;
  readonly granterKey: Uint8Array;
  readonly granter: PersonId;
  readonly by: DeviceId;
  readonly until: number;
  readonly terms: Uint8Array;
  readonly n: number;
  readonly endedN: number | null;
  /** The recipient's, once they came. */
  readonly device: Device | null;
  readonly name: string;
}

export interface Cut {
  readonly stream: StreamId;
  readonly n: number;
  /** Whose S made the tags and marks. */
  readonly readEpoch: number;
  /** The last epoch it binds. */
  readonly writeEpoch: number;
  readonly devices: ReadonlySet<Hex>;
  /** By tag. */
  readonly actors: ReadonlyMap<Hex, { readonly seq: number; readonly mark: Uint8Array }>;
}

/** Undefined: not a room's secret but one that does not turn (a seed's, the keys stream's own). */
export interface StreamRooms {
  readonly read: string | undefined;
  readonly write: string | undefined;
  readonly manage: string;
}

export interface CharterFields {
  readonly case: CaseId;
  readonly title: string;
  readonly keysStream: StreamId;
  readonly founder: PersonId;
  /** The coordinator who founded, until the hand-over: holds an owner's rights. */
  readonly acting: PersonId | null;
  /** 0: the founder is an owner. */
  readonly actingUntilN: number | null;
  readonly n: number;
  readonly head: EntryHash;
  /** The stream's chain that the newest entry saw. */
  readonly chain: Chain;
  readonly heads: Heads;
  readonly people: ReadonlyMap<Hex, Person>;
  readonly devices: ReadonlyMap<Hex, Device>;
  readonly invitations: ReadonlyMap<Hex, Invitation>;
  readonly rooms: ReadonlyMap<string, Room>;
  readonly parts: ReadonlyMap<string, Part>;
  /** By stream, also those of parts that were founded anew since. */
  readonly partStreams: ReadonlyMap<Hex, Part>;
  readonly grants: ReadonlyMap<Hex, Grant>;
  readonly cuts: ReadonlyMap<Hex, readonly Cut[]>;
  /** Append hashes of streams that their writers turned and their managers cannot compute. */
  readonly locks: ReadonlyMap<Hex, { readonly epoch: number; readonly append: Uint8Array }>;
  readonly streams: ReadonlySet<Hex>;
  readonly dropped: ReadonlyMap<Hex, number>;
  readonly ownersN: number;
  readonly circleN: number;
  readonly closedN: number | null;
}

export function isHere(device: Device): boolean {
  return device.untilN === null;
}

export function hereAt(device: Device, n: number): boolean {
  return device.sinceN <= n && (device.untilN === null || n < device.untilN);
}

export function nextEpoch(room: Room): number {
  return 1 + Math.max(room.epoch, room.floor);
}

/** The room whose secret gives M and the knock key of an invitation's doorstep. */
export function manageRoom(invitation: Invitation): string {
  return invitation.kind === "invite" ? OWNERS : CIRCLE;
}

export interface Charter extends CharterFields {}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns every field of CharterFields
export class Charter {
  constructor(fields: CharterFields) {
    Object.assign(this, fields);
  }

  static empty(caseId: CaseId): Charter {
    return new Charter({
      case: caseId,
      title: "",
      keysStream: named(new Uint8Array()),
      founder: named(new Uint8Array()),
      acting: null,
      actingUntilN: null,
      n: 0,
      head: ZERO_HASH,
      chain: named(new Uint8Array()),
      heads: Heads.empty(),
      people: new Map(),
      devices: new Map(),
      invitations: new Map(),
      rooms: new Map(),
      parts: new Map(),
      partStreams: new Map(),
      grants: new Map(),
      cuts: new Map(),
      locks: new Map(),
      streams: new Set(),
      dropped: new Map(),
      ownersN: 0,
      circleN: 0,
      closedN: null,
    });
  }

  with(changes: Partial<CharterFields>): Charter {
    return new Charter({ ...(this as CharterFields), ...changes });
  }

  // --- people

  present(): Person[] {
    return [...this.people.values()].filter((person) => person.here);
  }

  withRole(...roles: readonly string[]): Set<Hex> {
    return new Set(
      this.present()
        .filter((person) => roles.includes(person.role))
        .map((person) => hex(person.person)),
    );
  }

  personOf(device: DeviceId): Person | undefined {
    const known = this.devices.get(hex(device));
    return known && this.people.get(hex(known.person));
  }

  devicesOf(person: PersonId): Set<Hex> {
    return this.devicesOfAll(new Set([hex(person)]));
  }

  /** An owner, or the founding coordinator while the case is not handed over. */
  isOwner(person: PersonId): boolean {
    const known = this.people.get(hex(person));
    return known?.here === true && (known.role === "owner" || this.isActing(person));
  }

  private isActing(person: PersonId): boolean {
    return this.acting !== null && same(this.acting, person);
  }

  // --- rooms

  audience(room: string): Set<Hex> {
    return this.audienceOf(this.room(room));
  }

  /** Of a room as it is here, or as it might become. */
  audienceOf(room: Pick<Room, "name" | "roles" | "people">): Set<Hex> {
    const found = new Set<Hex>();
    for (const [id, person] of this.people) {
      if (person.here && (room.roles.includes(person.role) || room.people.has(id))) found.add(id);
    }
    if (room.name === OWNERS && this.acting) found.add(hex(this.acting));
    return found;
  }

  devicesIn(room: string): Set<Hex> {
    return this.devicesOfAll(this.audience(room));
  }

  private devicesOfAll(people: ReadonlySet<Hex>): Set<Hex> {
    const found = new Set<Hex>();
    for (const [id, device] of this.devices) {
      if (isHere(device) && people.has(hex(device.person))) found.add(id);
    }
    return found;
  }

  roomsOf(person: PersonId): string[] {
    return [...this.rooms.keys()].filter((room) => this.audience(room).has(hex(person))).sort();
  }

  /** Whether this person turns that room: owners where owners are, else the person it is about. */
  turns(person: PersonId, room: string): boolean {
    if (!this.audience(room).has(hex(person))) return false;
    if (this.room(room).roles.includes("owner")) return this.isOwner(person);
    const subject = about(room);
    return subject !== undefined && same(subject, person);
  }

  /** Rooms that someone left since their last turn and someone is still in; with `person`, those that person turns. */
  dueRooms(person?: PersonId): string[] {
    return [...this.rooms.values()]
      .filter(({ due, name }) => due && this.turners(person, name))
      .map((room) => room.name)
      .sort();
  }

  private turners(person: PersonId | undefined, room: string): boolean {
    if (person) return this.turns(person, room);
    return [...this.audience(room)].some((id) => this.turns(unhex(id), room));
  }

  /** The room's epoch at entry `n`; undefined before it was made. */
  epochAt(room: string, n: number): number | undefined {
    let found: number | undefined;
    for (const [epoch, since] of this.rooms.get(room)?.sinceN ?? []) {
      if (since <= n && (found === undefined || epoch > found)) found = epoch;
    }
    return found;
  }

  devicesEverIn(room: string, epoch: number): Set<Hex> {
    const found = new Set<Hex>();
    for (const [id, device] of this.devices) {
      if (this.wroteInEpoch(device.device, room, epoch)) found.add(id);
    }
    return found;
  }

  /** Whether the device was in the room in any state that had this epoch: within one, rights only grow. */
  wroteInEpoch(device: DeviceId, room: string, epoch: number): boolean {
    const known = this.rooms.get(room);
    const key = this.devices.get(hex(device));
    const since = known?.sinceN.get(epoch);
    // A device in an address reads, and writes not a word: who found it must show themselves first.
    if (!known || !key || since === undefined || key.sleeping === "link") return false;
    const later = [...known.sinceN].filter(([other]) => other > epoch).map(([, from]) => from);
    const span = common([since, later.length ? Math.min(...later) : null], [key.sinceN, key.untilN]);
    if (!span) return false;
    const person = this.people.get(hex(key.person)) as Person;
    const inIt: Span[] = person.spans
      .filter(([, , role]) => known.roles.includes(role))
      .map(([first, last]) => [first, last]);
    // Someone on the list counts while they belong: the device's own span sees to that.
    inIt.push(...(known.listed.get(hex(key.person)) ?? []));
    if (room === OWNERS && same(key.person, this.founder) && this.actingUntilN !== 0) {
      inIt.push([1, this.actingUntilN]);
    }
    return inIt.some((other) => common(span, other) !== undefined);
  }

  // --- parts

  mayRead(person: PersonId, part: string): boolean {
    return this.audience(this.part(part).read).has(hex(person));
  }

  mayWrite(person: PersonId, part: string): boolean {
    return this.audience(this.part(part).write).has(hex(person));
  }

  manages(person: PersonId, stream: StreamId): boolean {
    const rooms = this.streamRooms(stream);
    return (
      rooms !== undefined && this.rooms.has(rooms.manage) && this.audience(rooms.manage).has(hex(person))
    );
  }

  /**
   * The cut that binds what this device attested in this epoch of the write room; the first one counts, so nobody widens it
   * afterwards.
   */
  cutFor(stream: StreamId, device: DeviceId, epoch: number): Cut | undefined {
    return this.cuts.get(hex(stream))?.find((cut) => cut.devices.has(hex(device)) && epoch <= cut.writeEpoch);
  }

  // --- streams

  /** The three rooms of any stream of the case, also of one that was dropped or whose time is over. */
  streamRooms(stream: StreamId): StreamRooms | undefined {
    if (same(stream, this.case)) return { read: EVERYONE, write: EVERYONE, manage: OWNERS };
    if (same(stream, this.keysStream)) return { read: undefined, write: EVERYONE, manage: OWNERS };
    const part = this.partStreams.get(hex(stream));
    if (part) return { read: part.read, write: part.write, manage: part.manage };
    for (const invitation of this.invitations.values()) {
      if (same(stream, invitation.doorstep)) {
        return { read: undefined, write: undefined, manage: manageRoom(invitation) };
      }
    }
    for (const grant of this.grants.values()) {
      const own = grantRoom(grant.grant);
      if (same(stream, grant.down)) return { read: own, write: CIRCLE, manage: CIRCLE };
      if (same(stream, grant.up)) return { read: own, write: own, manage: CIRCLE };
      if (same(stream, grant.doorstep)) {
        return { read: undefined, write: grant.device ? CIRCLE : undefined, manage: OWNERS };
      }
    }
    return undefined;
  }

  /** Every stream in use: the charter, keys, parts, doorsteps of open invitations, and those of grants. */
  liveStreams(): StreamId[] {
    const found: StreamId[] = [this.case, this.keysStream];
    for (const part of this.parts.values()) found.push(part.stream);
    for (const invitation of this.invitations.values()) {
      if (invitation.state === "open") found.push(invitation.doorstep);
    }
    for (const grant of this.grants.values()) {
      if (grant.endedN === null) found.push(grant.doorstep, grant.down, grant.up);
    }
    return found;
  }

  /** The streams in use that one of these rooms reads, writes or manages. */
  streamsOfRooms(rooms: Iterable<string>): StreamId[] {
    const wanted = new Set<string | undefined>(rooms);
    wanted.delete(undefined);
    return this.liveStreams().filter((stream) => {
      const of = this.streamRooms(stream);
      return of !== undefined && (wanted.has(of.read) || wanted.has(of.write) || wanted.has(of.manage));
    });
  }

  // --- entries

  /** The number of the entry with this hash, or of the one before its branch parted; undefined where it is of none known. */
  headIndex(head: EntryHash): number | undefined {
    return this.heads.index(head) ?? this.dropped.get(hex(head));
  }

  private room(room: string): Room {
    const known = this.rooms.get(room);
    if (!known) throw new Misuse("bad_argument", "no such room");
    return known;
  }

  private part(part: string): Part {
    const known = this.parts.get(part);
    if (!known) throw new Misuse("no_such_part");
    return known;
  }
}

/** The states two spans have in common; undefined where there are none. */
function common(a: Span, b: Span): Span | undefined {
  const first = Math.max(a[0], b[0]);
  const last = a[1] === null ? b[1] : b[1] === null ? a[1] : Math.min(a[1], b[1]);
  return last !== null && last <= first ? undefined : [first, last];
}
