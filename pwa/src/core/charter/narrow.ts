/**
 * Who may read becomes another: let in, let out, put out, leave, a new role; and the locks that turn with it.
 *
 * Spec: docs/spec/charter.md, Narrowing. Offered by `compose` too.
 */
import { Misuse } from "../errors";
import { type DeviceId, type Hex, hex, type PersonId, type StreamId, same, unhex } from "../ids";
import type { Given } from "../keys";
import { about } from "../rooms";
import { Step } from "./deeds";
import {
  type Author,
  canRekey,
  capabilityHashes,
  common,
  type Draft,
  draftOf,
  droppedStreams,
  keybagFor,
  lacks,
  personOf,
  preview,
  rekeysOf,
  Secrets,
} from "./draft";
import type { Approval, Body, CutEntry, Role, RoomEntry } from "./entry";
import { lostRooms } from "./locks";
import { ruleOf } from "./rules";
import { type Charter, isHere, type Part, type Room } from "./state";

/** What a majority agreed to, where the act needs one. */
export interface Agreed {
  readonly act: Uint8Array;
  readonly approvals: readonly Approval[];
}
export const NOT_ASKED: Agreed = { act: new Uint8Array(), approvals: [] };

type Cuts = readonly CutEntry[];

/** A wider room: the same secret, given to more people. */
export async function letIn(
  charter: Charter,
  author: Author,
  room: string,
  people: readonly PersonId[],
): Promise<Draft> {
  const known = roomOf(charter, room);
  const all = new Set([...known.people, ...people.map(hex)]);
  const entry: RoomEntry = {
    room,
    roles: known.roles,
    people: [...all].sort().map((id) => unhex<PersonId>(id)),
    epoch: known.epoch,
    commit: known.commits.get(known.epoch) as Uint8Array,
    link: known.links.get(known.epoch) ?? new Uint8Array(),
  };
  const body: Body<"room"> = {
    what: "room",
    ...common(charter, author),
    rooms: [entry],
    cuts: [],
    locks: [],
  };
  await preview(charter, author, body);
  const secret = author.keyring.secret(room, known.epoch);
  if (!secret) throw lacks(room);
  const keybags = new Map<Hex, Given[]>();
  for (const person of people) {
    for (const device of charter.devicesOf(person)) keybags.set(device, [[room, known.epoch, secret]]);
  }
  return draftOf(body, { keybags });
}

/** A narrower room: turned, without these people. */
export function letOut(
  charter: Charter,
  author: Author,
  room: string,
  people: readonly PersonId[],
  cuts: Cuts = [],
): Promise<Draft> {
  const secrets = new Secrets(charter.case, author);
  const gone = new Set(people.map(hex));
  const left = [...roomOf(charter, room).people].filter((person) => !gone.has(person));
  const rooms = [secrets.turn(charter, room, left)];
  return turned(
    charter,
    author,
    { what: "room", ...common(charter, author), rooms, cuts, locks: [] },
    secrets,
  );
}

/**
 * Turns every room that someone left and the author turns; undefined where there is none. A room whose newest secret this
 * device lacks is left to another one, or restarted where the rules allow it.
 */
export async function turnDue(charter: Charter, author: Author, cuts: Cuts = []): Promise<Draft | undefined> {
  const secrets = new Secrets(charter.case, author);
  const rooms: RoomEntry[] = toTurn(charter, author).map((name) => {
    const { epoch, people } = roomOf(charter, name);
    return author.keyring.secret(name, epoch)
      ? secrets.turn(charter, name)
      : secrets.restart(charter, name, people);
  });
  if (rooms.length === 0) return undefined;
  return turned(
    charter,
    author,
    { what: "room", ...common(charter, author), rooms, cuts, locks: [] },
    secrets,
  );
}

/** The rooms that `turnDue` turns. */
export function toTurn(charter: Charter, author: Author): string[] {
  const { person } = personOf(charter, author);
  return charter.dueRooms(person).filter((name) => {
    if (lostBy(charter, author, name)) return true;
    const isHeld = author.keyring.secret(name, roomOf(charter, name).epoch) !== undefined;
    return isHeld && locksFollow(charter, author, person, name);
  });
}

/**
 * Whether the author came back after this room's secret was made, does not hold it, and nobody else can give it: it is about
 * the author, or the author is alone in it.
 */
export function lostBy(charter: Charter, author: Author, name: string): boolean {
  const { person, readmittedN } = personOf(charter, author);
  const { epoch, sinceN } = roomOf(charter, name);
  if (author.keyring.secret(name, epoch) || readmittedN <= (sinceN.get(epoch) as number)) return false;
  const subject = about(name);
  const audience = charter.audience(name);
  const isAlone = audience.size === 1 && audience.has(hex(person));
  return isAlone || (subject !== undefined && same(subject, person));
}

/**
 * Parts whose keys went with the author's old devices, and that nobody else can give: founded anew after coming back. Those
 * of a room that was lost, and after it was restarted those whose stream has another lock still.
 */
export function lostParts(charter: Charter, author: Author): string[] {
  const { person, readmittedN } = personOf(charter, author);
  if (readmittedN === 0) return [];
  const isMine = (part: Part): boolean => (part.about ? same(part.about, person) : charter.isOwner(person));
  return [...charter.parts.values()]
    .filter(isMine)
    .filter(({ read, write, sinceN }) =>
      [read, write].some((name) => lostBy(charter, author, name) || isAnewSince(charter, name, sinceN)),
    )
    .map(({ name }) => name)
    .sort();
}

function isAnewSince(charter: Charter, name: string, n: number): boolean {
  const { epoch, sinceN, links } = roomOf(charter, name);
  return n < (sinceN.get(epoch) as number) && !links.get(epoch)?.length && epoch > 1;
}

/**
 * Whether this device can turn the locks that belong to the room: a new secret behind an old lock shuts everybody out. A sole
 * owner who was readmitted cannot.
 */
function locksFollow(charter: Charter, author: Author, person: PersonId, room: string): boolean {
  return charter
    .streamsOfRooms([room])
    .every(
      (stream) =>
        !charter.manages(person, stream) ||
        (canRekey(charter, author, stream) && !lockIsLost(charter, stream)),
    );
}

/** Whether the room that manages it was begun anew since: what turned its lock went with a lost phone. */
function lockIsLost(charter: Charter, stream: StreamId): boolean {
  const manage = charter.streamRooms(stream)?.manage;
  const part = charter.partStreams.get(hex(stream));
  const isFounding = part || same(stream, charter.case) || same(stream, charter.keysStream);
  if (manage === undefined || !isFounding) return false;
  const { sinceN, links } = roomOf(charter, manage);
  const openedN = part?.sinceN ?? 1;
  return [...sinceN].some(([epoch, n]) => epoch > 1 && !links.get(epoch)?.length && n > openedN);
}

// --- going

export function removePerson(
  charter: Charter,
  author: Author,
  person: PersonId,
  cuts: Cuts = [],
  agreed: Agreed = NOT_ASKED,
): Promise<Draft> {
  return narrow(charter, author, {
    what: "remove_person",
    ...common(charter, author),
    person,
    rooms: [],
    cuts,
    ...agreed,
  });
}

/** Never blocked by a key that is missing: those who stay turn the locks. */
export async function leave(charter: Charter, author: Author): Promise<Draft> {
  const body: Body<"leave"> = { what: "leave", ...common(charter, author) };
  await preview(charter, author, body);
  return draftOf(body);
}

export function removeDevice(
  charter: Charter,
  author: Author,
  devices: readonly DeviceId[],
  cuts: Cuts = [],
): Promise<Draft> {
  return narrow(charter, author, {
    what: "remove_device",
    ...common(charter, author),
    devices,
    rooms: [],
    cuts,
    locks: [],
  });
}

export async function setRole(
  charter: Charter,
  author: Author,
  person: PersonId,
  role: Role,
  until: number | null = null,
  cuts: Cuts = [],
  agreed: Agreed = NOT_ASKED,
): Promise<Draft> {
  const draft = await narrow(charter, author, {
    what: "set_role",
    ...common(charter, author),
    person,
    role,
    until,
    rooms: [],
    cuts,
    ...agreed,
  });
  const after = await preview(charter, author, draft.body);
  const keybags = new Map(draft.keybags);
  for (const device of charter.devicesOf(person)) {
    // Rooms the person is in from now on; turned ones are in the bag already.
    const all = keybagFor(after, author.keyring, unhex<DeviceId>(device));
    const gained = all.filter(([room]) => !charter.audience(room).has(hex(person)));
    if (gained.length > 0) keybags.set(device, [...(keybags.get(device) ?? []), ...gained]);
  }
  return { ...draft, keybags };
}

export function expirePerson(
  charter: Charter,
  author: Author,
  person: PersonId,
  cuts: Cuts = [],
): Promise<Draft> {
  return narrow(charter, author, {
    what: "expire",
    ...common(charter, author),
    grant: null,
    person,
    rooms: [],
    cuts,
  });
}

// --- what they have in common

type Narrowing = Body<"remove_person" | "remove_device" | "set_role" | "expire">;

/** Fills in the rooms that the entry has to turn, and the locks. */
async function narrow(charter: Charter, author: Author, body: Narrowing): Promise<Draft> {
  const me = personOf(charter, author);
  const rule = ruleOf(body.what);
  const may = rule?.who(charter, me);
  const without = may ? await rule?.apply(new Step(charter, me, body, author.schema)) : undefined;
  const secrets = new Secrets(charter.case, author);
  const rooms: RoomEntry[] = [];
  const own = without?.devices.get(hex(author.device));
  if (without && own && isHere(own)) {
    for (const name of lostRooms(charter, without).sort()) {
      if (without.turns(me.person, name)) rooms.push(secrets.turn(without, name));
    }
  }
  return turned(charter, author, { ...body, rooms }, secrets);
}

async function turned(
  charter: Charter,
  author: Author,
  given: Narrowing | Body<"room">,
  secrets: Secrets,
): Promise<Draft> {
  const rooms = secrets.made.map(({ room }) => room);
  let body = given;
  let after = await preview(charter, author, body);
  if (body.what === "room" || body.what === "remove_device") {
    body = { ...body, locks: locksOf(charter, after, author, secrets, rooms) };
    after = await preview(charter, author, body);
  }
  return draftOf(body, {
    newSecrets: secrets.made,
    keybags: secrets.bags(after),
    rekeys: rekeysOf(charter, after, author, rooms),
    closes: droppedStreams(charter, after, author),
  });
}

/** For each stream the author writes and does not manage, the new append hash. */
function locksOf(
  charter: Charter,
  after: Charter,
  author: Author,
  secrets: Secrets,
  rooms: readonly string[],
): Body<"room">["locks"] {
  const me = hex(personOf(charter, author).person);
  const ring = secrets.ring();
  const locks: Body<"room">["locks"][number][] = [];
  for (const part of after.partStreams.values()) {
    if (!rooms.includes(part.write) || !after.audience(part.write).has(me)) continue;
    if (after.parts.get(part.name) !== part || canRekey(charter, author, part.stream)) continue;
    const { append } = capabilityHashes(after, ring, part.stream);
    if (append) locks.push([part.stream, append]);
  }
  return locks;
}

function roomOf(charter: Charter, room: string): Room {
  const known = charter.rooms.get(room);
  if (!known) throw new Misuse("bad_argument", "no such room");
  return known;
}
