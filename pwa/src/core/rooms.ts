/**
 * Rooms: their names, the secrets of their epochs, and the links from one epoch to the one before.
 * Spec: docs/spec/charter.md.
 */
import { concat, derive, label, sha256, u32 } from "../crypto/kdf";
import type { Charter } from "./charter/state";
import { Inadmissible, Misuse } from "./errors";
import { type CaseId, type GrantId, hex, named, type PersonId, type RoomSecret, same, unhex } from "./ids";
import { bytes, list, nullable, optional, pack, struct, text, tuple, u64, unpack } from "./shape";

export const ROLES = ["owner", "member", "child", "coordinator"] as const;
export type RoomRole = (typeof ROLES)[number];
export const OWNERS = "owner";
export const CIRCLE = "owner+member";
export const EVERYONE = "owner+member+child+coordinator";
export const SECRET_BYTES = 32;

const PART = /^([a-z]{1,32})(?:@([0-9a-f]{16}))?$/;
const GRANT_ROOM = /^grant@[0-9a-f]{32}$/;
const NOT_A_KIND: ReadonlySet<string> = new Set([...ROLES, "grant"]);
const utf8 = new TextEncoder();

// --- names

/** The name that follows from a rule; `part` (or `grant@..`) where the room belongs to one. */
export function roomName(roles: Iterable<string>, people: Iterable<PersonId>, part?: string): string {
  if (part !== undefined) return part;
  const given = new Set(roles);
  const listed = [...people];
  const known = ROLES.filter((role) => given.has(role));
  if (given.size > 0 && listed.length === 0 && known.length === given.size) return known.join("+");
  if (listed.length === 1 && given.size === 0) return ownRoom(listed[0] as PersonId);
  throw new Misuse("bad_argument", "a room of roles and people belongs to one part");
}

export function ownRoom(person: PersonId): string {
  return `@${hex(person)}`;
}

export function grantRoom(grant: GrantId): string {
  return `grant@${hex(grant)}`;
}

/** The person a room (or a part) is about. */
export function about(room: string): PersonId | undefined {
  const at = room.indexOf("@");
  const person = room.slice(at + 1);
  return at >= 0 && /^[0-9a-f]{16}$/.test(person) ? unhex<PersonId>(person) : undefined;
}

/** Kind and person of a part's name; undefined where it is no such name. */
export function partOf(
  name: string,
): { readonly kind: string; readonly person: PersonId | undefined } | undefined {
  const match = PART.exec(name);
  const kind = match?.[1];
  if (kind === undefined || NOT_A_KIND.has(kind)) return undefined;
  return { kind, person: match?.[2] === undefined ? undefined : unhex<PersonId>(match[2]) };
}

/** Whether the name is the one of this rule, written in the one way there is. */
export function followsFromRule(
  name: string,
  roles: readonly string[],
  people: readonly PersonId[],
): boolean {
  if (roles.join() !== ROLES.filter((role) => roles.includes(role)).join()) return false;
  const listed = people.map(hex);
  // Hex sorts as the bytes do.
  if (listed.join() !== [...new Set(listed)].sort().join()) return false;
  if (GRANT_ROOM.test(name)) return roles.join("+") === CIRCLE && people.length === 0;
  // Nobody would turn a room that is about nobody and has no owner.
  if (partOf(name)) return roles.includes("owner") || about(name) !== undefined;
  if (roles.length > 0 && people.length === 0) return name === roles.join("+") && roles.includes("owner");
  return people.length === 1 && roles.length === 0 && name === ownRoom(people[0] as PersonId);
}

// --- secrets

/** What the charter says of a secret: whoever hands out another one is found out. */
export function commitment(caseId: CaseId, room: string, epoch: number, secret: RoomSecret): Uint8Array {
  return sha256(label("room commitment"), caseId, u32(epoch), sized(secret), utf8.encode(room));
}

/**
 * The secret of the epoch before, under that of `epoch`. Its mask is used for this one link, so XOR hides it; that it was
 * not changed on the way is what the commitment tells.
 */
export function sealLink(
  caseId: CaseId,
  room: string,
  epoch: number,
  secret: RoomSecret,
  before: RoomSecret,
): Uint8Array {
  return mask(caseId, room, epoch, secret, sized(before));
}

/** The secret of the epoch before. Compare it with the commitment before use: there is no tag. */
export function openLink(
  caseId: CaseId,
  room: string,
  epoch: number,
  secret: RoomSecret,
  link: Uint8Array,
): RoomSecret {
  if (link.length !== SECRET_BYTES) throw new Inadmissible("wrong_secret", "a link is 32 bytes");
  return named(mask(caseId, room, epoch, secret, link));
}

function mask(caseId: CaseId, room: string, epoch: number, secret: RoomSecret, data: Uint8Array): Uint8Array {
  const stream = derive(sized(secret), "room link", concat(caseId, u32(epoch), utf8.encode(room)));
  return data.map((byte, at) => byte ^ (stream[at] as number));
}

function sized(secret: RoomSecret): RoomSecret {
  if (secret.length !== SECRET_BYTES) throw new Inadmissible("wrong_secret", "a room secret is 32 bytes");
  return secret;
}

const dumped = struct({
  rooms: list(tuple(text, u64, bytes<RoomSecret>(SECRET_BYTES))),
  keys: optional(nullable(bytes()), null),
  v: optional(u64, 1),
});

/** A room and one of its epochs. */
export interface RoomEpoch {
  readonly room: string;
  readonly epoch: number;
}
export interface HeldSecret extends RoomEpoch {
  readonly secret: RoomSecret;
}

/** The room secrets a device holds, by room and epoch, and `keysSecret`, the S of the keys stream. Never log it. */
export class Keyring {
  private secrets = new Map<string, Map<number, RoomSecret>>();

  constructor(public keysSecret?: Uint8Array) {}

  *[Symbol.iterator](): IterableIterator<HeldSecret> {
    for (const room of [...this.secrets.keys()].sort()) {
      const epochs = this.secrets.get(room) as Map<number, RoomSecret>;
      for (const epoch of [...epochs.keys()].sort((a, b) => a - b)) {
        yield { room, epoch, secret: epochs.get(epoch) as RoomSecret };
      }
    }
  }

  copy(): Keyring {
    const other = new Keyring(this.keysSecret);
    for (const { room, epoch, secret } of this) other.add(room, epoch, secret);
    return other;
  }

  /** Keeps it unchecked: a newcomer needs a secret to read the charter that tells whether it is right. Then `sift`. */
  add(room: string, epoch: number, secret: RoomSecret): void {
    const epochs = this.secrets.get(room) ?? new Map<number, RoomSecret>();
    epochs.set(epoch, sized(secret));
    this.secrets.set(room, epochs);
  }

  drop(which: Iterable<RoomEpoch>): void {
    for (const { room, epoch } of which) this.secrets.get(room)?.delete(epoch);
  }

  secret(room: string, epoch: number): RoomSecret | undefined {
    return this.secrets.get(room)?.get(epoch);
  }

  newest(room: string): { readonly epoch: number; readonly secret: RoomSecret } | undefined {
    const epochs = this.secrets.get(room);
    if (!epochs || epochs.size === 0) return undefined;
    const epoch = Math.max(...epochs.keys());
    return { epoch, secret: epochs.get(epoch) as RoomSecret };
  }

  /** Throws `wrong_secret` unless the charter commits to this secret. */
  check(charter: Charter, room: string, epoch: number, secret: RoomSecret): void {
    const commit = charter.rooms.get(room)?.commits.get(epoch);
    if (!commit || !same(commit, commitment(charter.case, room, epoch, secret))) {
      throw new Inadmissible("wrong_secret", "not the secret the charter commits to");
    }
  }

  /** Drops what the charter does not commit to and says what it was. A room or epoch newer than this charter stays. */
  sift(charter: Charter): RoomEpoch[] {
    const dropped: RoomEpoch[] = [];
    for (const { room, epoch, secret } of [...this]) {
      const known = charter.rooms.get(room);
      if (!known || epoch > known.epoch || this.fits(charter, room, epoch, secret)) continue;
      this.secrets.get(room)?.delete(epoch);
      dropped.push({ room, epoch });
    }
    return dropped;
  }

  /**
   * Walks the links back, adding every earlier secret. Returns those whose link leads to nothing: whoever turned the room
   * there shut joiners out of the history, which must not keep them out of the present.
   */
  openHistory(charter: Charter): RoomEpoch[] {
    const broken: RoomEpoch[] = [];
    for (const [room, { commits, links }] of charter.rooms) {
      const epochs = [...commits.keys()].sort((a, b) => b - a);
      epochs.slice(1).forEach((before, at) => {
        const epoch = epochs[at] as number;
        const secret = this.secret(room, epoch);
        const link = links.get(epoch);
        if (!secret || !link?.length || this.secret(room, before)) return;
        const earlier = openLink(charter.case, room, epoch, secret, link);
        if (this.fits(charter, room, before, earlier)) this.add(room, before, earlier);
        else broken.push({ room, epoch });
      });
    }
    return broken;
  }

  private fits(charter: Charter, room: string, epoch: number, secret: RoomSecret): boolean {
    try {
      this.check(charter, room, epoch, secret);
      return true;
    } catch (error) {
      if (error instanceof Inadmissible) return false;
      throw error;
    }
  }

  /** For the device's private store, which encrypts it. */
  dump(): Uint8Array {
    const rooms = [...this].map(({ room, epoch, secret }) => [room, epoch, secret] as const);
    return pack(dumped, { rooms, keys: this.keysSecret ?? null, v: 1 });
  }

  /** BadPacked for other bytes: only this program wrote them. */
  static load(data: Uint8Array): Keyring {
    const { rooms, keys } = unpack(dumped, data);
    const ring = new Keyring(keys ?? undefined);
    for (const [room, epoch, secret] of rooms) ring.add(room, epoch, secret);
    return ring;
  }
}
