/**
 * How a device makes entries: each function gives a Draft of which the session layer makes one atomic exchange.
 *
 * Spec: docs/spec/charter.md. What the rules refuse is refused here too (Inadmissible); a secret that this device lacks is
 * Misuse `not_permitted`. Cuts come from whoever folds the parts.
 */
import * as chains from "../../crypto/chain";
import { concat } from "../../crypto/kdf";
import { type SigningKey, sign } from "../../crypto/sign";
import * as door from "../doorstep";
import { Misuse } from "../errors";
import {
  type CaseId,
  type EntryHash,
  type GrantId,
  hex,
  type InvitationId,
  named,
  type PersonId,
  type StreamId,
  same,
} from "../ids";
import type { Blank } from "../keys";
import { about, CIRCLE, EVERYONE, grantRoom, OWNERS, partOf, ROLES } from "../rooms";
import {
  type Author,
  common,
  type Draft,
  doorstepOpening,
  draftOf,
  droppedStreams,
  keybagFor,
  makeBlanks,
  openingOf,
  type PartNames,
  partRooms,
  personOf,
  preview,
  roomsThere,
  Secrets,
} from "./draft";
import { type Body, deviceId, type Keys, type Role, type Sleeping, ZERO_HASH } from "./entry";
import { type Agreed, lostBy, NOT_ASKED } from "./narrow";
import { applyFound } from "./rules";
import { Charter, type Invitation, manageRoom } from "./state";

export {
  type Author,
  capabilityHashes,
  type Draft,
  keybagFor,
  locksToTurn,
  makeBlanks,
  type Opening,
} from "./draft";
export * from "./narrow";
export { lostParts } from "./narrow";

// --- beginning and end

export interface Founding {
  readonly caseId: CaseId;
  readonly title: string;
  readonly name: string;
  readonly role: "owner" | "coordinator";
  readonly keys: Keys;
  /** About nobody. */
  readonly kinds: readonly string[];
  /** About the founder. */
  readonly ownKinds?: readonly string[];
}

/**
 * A new case; `author.device` is not read. The charter's own stream is the first to open. Of these kinds a coordinator
 * founds only those whose every room a coordinator is in: the others (the circle writes `question`) the first owner founds,
 * so that their keys never were anybody's but the circle's.
 */
export function found(author: Author, founding: Founding): Draft {
  const { caseId, title, name, role, keys, kinds, ownKinds = [] } = founding;
  const person = named<PersonId>(author.random(8));
  const keysStream = named<StreamId>(author.random(16));
  const keysSecret = author.random(32);
  const blank = Charter.empty(caseId);
  const secrets = new Secrets(caseId, author);
  const rooms = [secrets.create(EVERYONE, ROLES, []), secrets.create(OWNERS, ["owner"], [])];
  const names = new Map([
    ...kinds.map((kind) => [kind, { kind, person: undefined }] as const),
    ...ownKinds.map((kind) => [`${kind}@${hex(person)}`, { kind, person }] as const),
  ] as [string, { kind: string; person: PersonId | undefined }][]);
  for (const [part, { kind, person: subject }] of names) {
    if (role === "coordinator" && !mayFound(author, kind, subject)) names.delete(part);
  }
  const there = new Set([EVERYONE, OWNERS]);
  const made = partRooms({ has: (room) => there.has(room), holds: () => true }, secrets, author, names);
  const body: Body<"found"> = {
    what: "found",
    v: 1,
    case: caseId,
    n: 1,
    prev: ZERO_HASH,
    chain: named(chains.first(caseId)),
    by: deviceId(caseId, keys),
    at: author.at,
    title,
    keys: keysStream,
    person,
    name,
    role,
    device: keys,
    rooms: [...rooms, ...made.rooms],
    parts: made.parts,
  };
  const after = applyFound(blank, body, author.schema);
  const ring = secrets.ring();
  ring.keysSecret = keysSecret;
  return draftOf(body, {
    newSecrets: secrets.made,
    keybags: secrets.bags(after),
    opens: after.liveStreams().map((stream) => openingOf(after, ring, stream)),
    keysSecret,
  });
}

function mayFound(author: Author, kind: string, person: PersonId | undefined): boolean {
  const wanted = author.schema.roomsFor(kind, person);
  if (!wanted) return false;
  return [wanted.read, wanted.write, wanted.manage].every(
    ({ name, roles, people }) =>
      roles.includes("coordinator") ||
      name === OWNERS ||
      (person !== undefined && people.some((listed) => same(listed, person))),
  );
}

/** The end of the case. The streams stay for as long as somebody wants to read them; nothing is closed at the relay. */
export function close(charter: Charter, author: Author, agreed: Agreed = NOT_ASKED): Promise<Draft> {
  return plain(charter, author, { what: "close", ...common(charter, author), ...agreed });
}

export function handOver(charter: Charter, author: Author, person: PersonId): Promise<Draft> {
  return plain(charter, author, { what: "hand_over", ...common(charter, author), person });
}

export function adopt(
  charter: Charter,
  author: Author,
  dropped: readonly (readonly [n: number, head: EntryHash])[],
  floors: ReadonlyMap<string, number>,
): Promise<Draft> {
  const sorted = [...floors].sort(([a], [b]) => (a < b ? -1 : 1));
  return plain(charter, author, { what: "adopt", ...common(charter, author), dropped, floors: sorted });
}

// --- coming

export interface Inviting {
  readonly name: string;
  readonly role: Role;
  readonly seed: Uint8Array;
  readonly expires: number;
  readonly compare?: boolean;
  /** One who left and comes back. */
  readonly person?: PersonId;
}

/** `greetingFor` makes the greeting, once the entry has its hash. */
export async function invite(
  charter: Charter,
  author: Author,
  inviting: Inviting,
  agreed: Agreed = NOT_ASKED,
): Promise<Draft> {
  const { name, role, seed, expires, compare = false } = inviting;
  const doorstep = named<StreamId>(author.random(16));
  const body: Body<"invite"> = {
    what: "invite",
    ...common(charter, author),
    invitation: named(author.random(16)),
    person: inviting.person ?? named(author.random(8)),
    name,
    role,
    doorstep,
    seed_key: (await door.seedKey(seed, doorstep)).public,
    expires,
    compare,
    terms: await termsFor(charter, author, OWNERS, doorstep, seed),
    ...agreed,
  };
  await preview(charter, author, body);
  return draftOf(body, { opens: [doorstepOpening(charter, author, OWNERS, doorstep, seed, expires)] });
}

export async function readmit(
  charter: Charter,
  author: Author,
  person: PersonId,
  seed: Uint8Array,
  expires: number,
  agreed: Agreed,
): Promise<Draft> {
  const doorstep = named<StreamId>(author.random(16));
  const body: Body<"readmit"> = {
    what: "readmit",
    ...common(charter, author),
    invitation: named(author.random(16)),
    person,
    name: charter.people.get(hex(person))?.name ?? "",
    doorstep,
    seed_key: (await door.seedKey(seed, doorstep)).public,
    expires,
    compare: true,
    terms: await termsFor(charter, author, CIRCLE, doorstep, seed),
    ...agreed,
  };
  await preview(charter, author, body);
  return draftOf(body, { opens: [doorstepOpening(charter, author, CIRCLE, doorstep, seed, expires)] });
}

function termsFor(
  charter: Charter,
  author: Author,
  room: string,
  doorstep: StreamId,
  seed: Uint8Array,
): Promise<Uint8Array> {
  const epoch = charter.rooms.get(room)?.epoch ?? 0;
  const secret = author.keyring.secret(room, epoch);
  if (!secret) {
    throw new Misuse("not_permitted", "this device lacks the secret that the doorstep is managed with");
  }
  return door.sealSeed(secret, epoch, doorstep, seed, author.random(24));
}

/** `charter` has the invitation's entry as its newest: the greeting pins it. */
export async function greetingFor(
  charter: Charter,
  author: Author,
  invitation: Invitation,
  from: string,
): Promise<door.Greeting> {
  const room = manageRoom(invitation);
  const secret = author.keyring.secret(room, charter.epochAt(room, invitation.n) ?? 0);
  const head = charter.heads.get(invitation.n);
  if (!secret || !head) throw new Misuse("not_permitted", "this device lacks the secret of the doorstep");
  const { name, role, compare, expires, n } = invitation;
  return {
    kind: door.PERSON,
    case: charter.case,
    invitation: invitation.invitation,
    box: (await door.knockKey(secret, invitation.doorstep)).public,
    from,
    name,
    role,
    compare,
    expires,
    n,
    head,
    granter_key: null,
  };
}

export function cancel(charter: Charter, author: Author, invitation: InvitationId): Promise<Draft> {
  return plain(charter, author, { what: "cancel", ...common(charter, author), invitation });
}

/** Lets the visitor in. For a person the keybag holds all this device can give, and `blanks` to found the own parts with. */
export async function join(
  charter: Charter,
  author: Author,
  knock: door.Knock,
  to: { readonly invitation: InvitationId } | { readonly grant: GrantId },
  blanks = 0,
): Promise<Draft> {
  const body: Body<"join"> = {
    what: "join",
    ...common(charter, author),
    invitation: "invitation" in to ? to.invitation : null,
    grant: "grant" in to ? to.grant : null,
    ...knock,
  };
  const after = await preview(charter, author, body);
  const device = body.invitation && after.invitations.get(hex(body.invitation))?.device;
  if (!device) return draftOf(body);
  return draftOf(body, {
    keybags: new Map([[hex(device), keybagFor(after, author.keyring, device)]]),
    blanks: blanks ? new Map([[hex(device), makeBlanks(charter, author, blanks)]]) : new Map(),
  });
}

export async function addDevice(
  charter: Charter,
  author: Author,
  keys: Keys,
  sleeping: Sleeping,
  deviceSig: Uint8Array,
): Promise<Draft> {
  const body: Body<"add_device"> = {
    what: "add_device",
    ...common(charter, author),
    device: keys,
    sleeping,
    device_sig: deviceSig,
  };
  const after = await preview(charter, author, body);
  const device = deviceId(charter.case, keys);
  return draftOf(body, { keybags: new Map([[hex(device), keybagFor(after, author.keyring, device)]]) });
}

/** The new device's word that it is this person's. */
export function signNewDevice(
  caseId: CaseId,
  person: PersonId,
  keys: Keys,
  key: SigningKey,
): Promise<Uint8Array> {
  return sign(key, "add device", caseId, concat(person, deviceId(caseId, keys)));
}

// --- rooms and parts

/** Parts about nobody, by an owner: new kinds of a new schema, or what a coordinator could not found. */
export function addParts(charter: Charter, author: Author, kinds: readonly string[]): Promise<Draft> {
  const names = new Map(kinds.map((kind) => [kind, { kind, person: undefined }]));
  return partsDraft(charter, author, names, []);
}

/** The parts about the author: after joining, and anew after coming back. */
export function roomsAndPartsAbout(
  charter: Charter,
  author: Author,
  kinds: readonly string[],
  blanks: readonly Blank[] = [],
): Promise<Draft> {
  const { person } = personOf(charter, author);
  const names = new Map(kinds.map((kind) => [`${kind}@${hex(person)}`, { kind, person }]));
  return partsDraft(charter, author, names, blanks);
}

/** These parts, founded anew together: no stream of the old ones can be opened any more. */
export function partsLost(
  charter: Charter,
  author: Author,
  names: readonly string[],
  blanks: readonly Blank[] = [],
): Promise<Draft> {
  const split = names.flatMap((name) => {
    const of = partOf(name);
    return of ? [[name, of] as const] : [];
  });
  return partsDraft(charter, author, new Map(split), blanks);
}

/** A new stream for a part that exists; the old one is closed with its history (forgetting). */
export async function foundAnew(
  charter: Charter,
  author: Author,
  part: string,
  blanks: readonly Blank[] = [],
): Promise<Draft> {
  const split = partOf(part);
  if (!split || !charter.parts.has(part)) throw new Misuse("no_such_part");
  return partsDraft(charter, author, new Map([[part, split]]), blanks);
}

async function partsDraft(
  charter: Charter,
  author: Author,
  names: PartNames,
  blanks: readonly Blank[],
): Promise<Draft> {
  const secrets = new Secrets(charter.case, author);
  const there = roomsThere(charter, author.keyring);
  const { rooms, parts, used } = partRooms(there, secrets, author, names, blanks);
  const me = personOf(charter, author).person;
  const needed = new Set(parts.flatMap(({ read, write, manage }) => [read, write, manage]));
  for (const name of [...needed].sort()) {
    if (!charter.rooms.has(name) || !lostBy(charter, author, name)) continue;
    // What a person who came back cannot open any more begins again, with nobody but that person let in.
    const subject = about(name);
    rooms.push(secrets.restart(charter, name, subject && same(subject, me) ? [hex(me)] : []));
  }
  const body: Body<"part"> = { what: "part", ...common(charter, author), rooms, parts };
  const after = await preview(charter, author, body);
  const ring = secrets.ring();
  return draftOf(body, {
    newSecrets: secrets.made,
    keybags: secrets.bags(after),
    opens: parts.map(({ stream }) => openingOf(after, ring, stream, { manage: used.get(hex(stream)) })),
    closes: droppedStreams(charter, after, author),
  });
}

// --- views

/** The ids are the caller's, because the terms are sealed with them (view.md). */
export interface Granting {
  readonly grant: GrantId;
  readonly doorstep: StreamId;
  readonly down: StreamId;
  readonly up: StreamId;
  readonly seed: Uint8Array;
  readonly until: number;
  readonly terms: Uint8Array;
  readonly granterKey: Uint8Array;
}

/** Access for a professional. */
export async function grant(charter: Charter, author: Author, granting: Granting): Promise<Draft> {
  const { grant: id, doorstep, down, up, seed, until, terms, granterKey } = granting;
  const secrets = new Secrets(charter.case, author);
  const room = secrets.create(grantRoom(id), ["owner", "member"], []);
  const body: Body<"grant"> = {
    what: "grant",
    ...common(charter, author),
    grant: id,
    doorstep,
    down,
    up,
    seed_key: (await door.seedKey(seed, doorstep)).public,
    granter_key: granterKey,
    until,
    terms,
    rooms: [room],
  };
  const after = await preview(charter, author, body);
  const ring = secrets.ring();
  const own = [down, up].map((stream) => openingOf(after, ring, stream, { expires: until }));
  return draftOf(body, {
    newSecrets: secrets.made,
    keybags: secrets.bags(after),
    opens: [doorstepOpening(charter, author, OWNERS, doorstep, seed, until), ...own],
  });
}

export function withdraw(charter: Charter, author: Author, id: GrantId): Promise<Draft> {
  return plain(charter, author, { what: "withdraw", ...common(charter, author), grant: id });
}

export function expireGrant(charter: Charter, author: Author, id: GrantId): Promise<Draft> {
  const nobody = { person: null, rooms: [], cuts: [] };
  return plain(charter, author, { what: "expire", ...common(charter, author), grant: id, ...nobody });
}

// --- what many have in common

async function plain(charter: Charter, author: Author, body: Body): Promise<Draft> {
  const after = await preview(charter, author, body);
  return draftOf(body, { closes: droppedStreams(charter, after, author) });
}
