/** What each kind of entry does to the charter, after it is known that its author may make it. See `rules` for the table. */
import { BadSignature } from "../../crypto/errors";
import { concat } from "../../crypto/kdf";
import { verify } from "../../crypto/sign";
import { checkStatement, type Knock } from "../doorstep";
import { Inadmissible } from "../errors";
import { type DeviceId, type Hex, hex, type PersonId, type StreamId, same } from "../ids";
import { EVERYONE, grantRoom, OWNERS } from "../rooms";
import {
  type Approval,
  type Body,
  type CutEntry,
  deviceId,
  type Keys,
  type RoomEntry,
  type Sleeping,
} from "./entry";
import { applyParts, type SchemaRules, takeOffLists, type Writer } from "./locks";
import { checkMajority, type Deed, NOBODY } from "./majority";
import { type Charter, type Device, type Grant, type Invitation, isHere, type Person } from "./state";

export const MAX_NAME_BYTES = 400;
export const MAX_TERMS_BYTES = 65_536;
export const MAX_FLOOR_JUMP = 1_000;
const utf8 = new TextEncoder();

/** One entry and what it stands on. */
export class Step<B extends Body = Body> {
  constructor(
    readonly charter: Charter,
    readonly author: Person,
    readonly body: B,
    readonly schema: SchemaRules,
  ) {}

  get writer(): Writer {
    return { author: this.author, by: this.body.by, n: this.body.n, schema: this.schema };
  }

  get rooms(): readonly RoomEntry[] {
    return "rooms" in this.body ? this.body.rooms : [];
  }

  get cuts(): readonly CutEntry[] {
    return "cuts" in this.body ? this.body.cuts : [];
  }

  get locks(): readonly (readonly [StreamId, Uint8Array])[] {
    return "locks" in this.body ? this.body.locks : [];
  }

  refuse(code: string, why: string): Inadmissible {
    return new Inadmissible(code, why, hex(this.body.by));
  }

  person(person: PersonId): Person {
    const known = this.charter.people.get(hex(person));
    if (!known?.here) throw this.refuse("no_such_person", "nobody of that id belongs");
    return known;
  }

  name(text: string): string {
    if (utf8.encode(text).length > MAX_NAME_BYTES) throw this.refuse("limit", "a name is too long");
    return text;
  }

  /** All streams with these; a stream in two places would have two meanings. */
  streams(...added: readonly StreamId[]): Set<Hex> {
    const streams = new Set(this.charter.streams);
    for (const stream of added) {
      if (streams.has(hex(stream))) throw this.refuse("already_there", "a stream is used once");
      streams.add(hex(stream));
    }
    return streams;
  }

  async majority(
    body: { readonly what: Deed; readonly act: Uint8Array; readonly approvals: readonly Approval[] },
    person: PersonId,
    role: string,
  ): Promise<void> {
    const { what, act, approvals } = body;
    try {
      await checkMajority(this.charter, this.author.person, { what, person, role, act, approvals });
    } catch (error) {
      if (error instanceof Inadmissible) throw this.refuse(error.code, error.message);
      throw error;
    }
  }
}

/** The entry is about rooms and parts only. */
export function nothing(step: Step): Charter {
  return step.charter;
}

// --- beginning and end

export function found(charter: Charter, body: Body<"found">): Charter {
  const { sign, box } = body.device;
  const device: Device = {
    device: body.by,
    person: body.person,
    sign,
    box,
    sleeping: "",
    sinceN: 1,
    untilN: null,
  };
  const person = newcomer(body.person, body.name, body.role, 1);
  const step = new Step(charter, person, body, NO_SCHEMA);
  step.name(body.title);
  step.name(body.name);
  const isCoordinator = body.role === "coordinator";
  return charter.with({
    title: body.title,
    keysStream: body.keys,
    founder: body.person,
    acting: isCoordinator ? body.person : null,
    actingUntilN: isCoordinator ? null : 0,
    people: new Map([[hex(body.person), person]]),
    devices: new Map([[hex(body.by), device]]),
    streams: step.streams(body.case, body.keys),
  });
}

export function foundedRooms(step: Step<Body<"found">>, after: Charter): Charter {
  // Without these two nobody could read, or lock, the charter itself.
  if (!after.rooms.has(EVERYONE) || !after.rooms.has(OWNERS)) {
    throw step.refuse("no_such_room", "a case needs the rooms of everyone and of the owners");
  }
  return applyParts(after, step.writer, step.body.parts);
}

export function parts(step: Step<Body<"part">>, after: Charter): Charter {
  return applyParts(after, step.writer, step.body.parts);
}

export async function close(step: Step<Body<"close">>): Promise<Charter> {
  await step.majority(step.body, NOBODY, "");
  return step.charter.with({ closedN: step.body.n });
}

export function handOver(step: Step<Body<"hand_over">>): Charter {
  if (step.person(step.body.person).role !== "owner") {
    throw step.refuse("not_permitted", "handed over to one who is no owner");
  }
  return step.charter.with({ acting: null, actingUntilN: step.body.n });
}

export function adopt(step: Step<Body<"adopt">>): Charter {
  const rooms = new Map(step.charter.rooms);
  for (const [name, floor] of step.body.floors) {
    const room = rooms.get(name);
    if (!room) throw step.refuse("no_such_room", "a floor of a room that is not there");
    // A floor at the end of numbers would end turning, and with it removing.
    if (floor > room.epoch + MAX_FLOOR_JUMP) throw step.refuse("limit", "a floor too high");
    rooms.set(name, { ...room, floor: Math.max(room.floor, floor) });
  }
  const dropped = new Map(step.charter.dropped);
  for (const [n, head] of step.body.dropped) dropped.set(hex(head), n);
  return step.charter.with({ rooms, dropped });
}

// --- coming

export async function invite(step: Step<Body<"invite">>): Promise<Charter> {
  const { body } = step;
  if (body.role === "owner") await step.majority(body, body.person, "owner");
  if (step.charter.people.get(hex(body.person))?.here) {
    throw step.refuse("already_there", "the person belongs already");
  }
  return openInvitation(step, body, body.role);
}

export async function readmit(step: Step<Body<"readmit">>): Promise<Charter> {
  const { body, charter } = step;
  const owners = charter.withRole("owner");
  if (owners.size !== 1 || !owners.has(hex(body.person)) || charter.acting) {
    throw step.refuse("not_permitted", "only a sole owner is brought back by the members");
  }
  await step.majority(body, body.person, "");
  return openInvitation(step, body, "owner");
}

function openInvitation(step: Step, body: Body<"invite" | "readmit">, role: Person["role"]): Charter {
  if (step.charter.invitations.has(hex(body.invitation))) {
    throw step.refuse("already_there", "an invitation of that id");
  }
  const made: Invitation = {
    invitation: body.invitation,
    kind: body.what,
    person: body.person,
    name: step.name(body.name),
    role,
    doorstep: body.doorstep,
    seedKey: body.seed_key,
    expires: body.expires,
    compare: body.compare,
    by: body.by,
    n: body.n,
    state: "open",
    joinedN: null,
    device: null,
  };
  return withInvitation(step.charter, made).with({ streams: step.streams(body.doorstep) });
}

export function cancel(step: Step<Body<"cancel">>): Charter {
  return withInvitation(step.charter, { ...invitationOf(step, step.body.invitation), state: "closed" });
}

export async function join(step: Step<Body<"join">>): Promise<Charter> {
  const { body } = step;
  if ((body.invitation === null) === (body.grant === null)) {
    throw step.refuse("bad_entry", "a join is of an invitation or of a grant");
  }
  if (body.invitation === null) return joinGrant(step);
  const invitation = invitationOf(step, body.invitation);
  if (invitation.kind === "invite" && !step.charter.isOwner(step.author.person)) {
    throw step.refuse("not_permitted", "let in by one who is no owner");
  }
  const { device, name } = await visitor(step, invitation.invitation, invitation, invitation.person);
  let { charter } = step;
  const { n } = body;
  const { role } = invitation;
  const before = charter.people.get(hex(invitation.person));
  if (before?.here) {
    if (invitation.kind === "invite") throw step.refuse("already_there", "the person belongs already");
    charter = devicesLeave(charter, charter.devicesOf(before.person), n);
  }
  const person: Person = before
    ? {
        ...before,
        name: name || invitation.name,
        role,
        here: true,
        until: null,
        readmittedN: n,
        spans: before.here ? before.spans : [...before.spans, [n, null, role]],
      }
    : newcomer(invitation.person, name || invitation.name, role, n);
  charter = withInvitation(charter, { ...invitation, state: "used", joinedN: n, device: device.device });
  return withDevice(withPerson(charter, person), device);
}

async function joinGrant(step: Step<Body<"join">>): Promise<Charter> {
  const grant = step.charter.grants.get(hex(step.body.grant as Uint8Array));
  if (!grant) throw step.refuse("no_such_grant", "no grant of that id");
  if (!step.charter.isOwner(step.author.person)) {
    throw step.refuse("not_permitted", "let in by one who is no owner");
  }
  if (grant.endedN !== null || grant.device) {
    throw step.refuse("invitation_used", "somebody came already, or it ended");
  }
  const { device, name } = await visitor(step, grant.grant, grant, NOBODY);
  return withGrant(step.charter, { ...grant, device, name });
}

async function visitor(
  step: Step<Body<"join">>,
  invitation: Uint8Array,
  door: { readonly doorstep: StreamId; readonly seedKey: Uint8Array },
  person: PersonId,
): Promise<{ readonly device: Device; readonly name: string }> {
  const { body } = step;
  const knock: Knock = {
    statement: body.statement,
    seed_sig: body.seed_sig,
    device_sig: body.device_sig,
  };
  try {
    const checked = await checkStatement(knock, body.case, invitation, door.doorstep, door.seedKey);
    const { statement, device } = checked;
    return { device: newDevice(step, device, statement, person, ""), name: step.name(statement.name) };
  } catch (error) {
    if (error instanceof Inadmissible) throw step.refuse(error.code, error.message);
    throw error;
  }
}

function newDevice(step: Step, device: DeviceId, keys: Keys, person: PersonId, sleeping: Sleeping): Device {
  const guests = [...step.charter.grants.values()];
  const isGuest = guests.some((grant) => grant.device !== null && same(grant.device.device, device));
  // Also one that left: a device that was put out never comes back.
  if (step.charter.devices.has(hex(device)) || isGuest) {
    throw step.refuse("already_there", "a device of that id");
  }
  const { sign, box } = keys;
  return { device, person, sign, box, sleeping, sinceN: step.body.n, untilN: null };
}

function newcomer(person: PersonId, name: string, role: Person["role"], n: number): Person {
  const spans = [[n, null, role]] as const;
  return { person, name, role, here: true, sinceN: n, until: null, readmittedN: 0, spans };
}

export async function addDevice(step: Step<Body<"add_device">>): Promise<Charter> {
  const { body, author } = step;
  const device = deviceId(body.case, body.device);
  const signed = concat(author.person, device);
  try {
    await verify(body.device.sign, "add device", body.case, signed, body.device_sig);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw step.refuse("bad_statement", "the new device did not sign");
  }
  return withDevice(step.charter, newDevice(step, device, body.device, author.person, body.sleeping));
}

// --- going

export async function removePerson(step: Step<Body<"remove_person">>): Promise<Charter> {
  const { body } = step;
  const gone = step.person(body.person);
  if (same(gone.person, step.author.person)) {
    throw step.refuse("not_permitted", "one leaves oneself by leaving");
  }
  if (gone.role === "owner") await step.majority(body, gone.person, "");
  return personLeaves(step.charter, gone, body.n);
}

export function leave(step: Step): Charter {
  return personLeaves(step.charter, step.author, step.body.n);
}

export function removeDevice(step: Step<Body<"remove_device">>): Charter {
  const { body, charter } = step;
  const own = charter.devicesOf(step.author.person);
  const gone = new Set(body.devices.map(hex));
  if (gone.size === 0 || gone.size !== body.devices.length) {
    throw step.refuse("bad_entry", "no device, or one twice");
  }
  if ([...gone].some((id) => !own.has(id))) throw step.refuse("not_permitted", "a device of somebody else");
  if (gone.size === own.size) throw step.refuse("not_permitted", "the last device leaves by leaving");
  const remover = charter.devices.get(hex(body.by)) as Device;
  for (const id of gone) {
    const device = charter.devices.get(id) as Device;
    const olderPaper = remover.sleeping === "paper" && remover.sinceN < device.sinceN;
    if (device.sleeping === "paper" && device !== remover && !olderPaper) {
      // Whoever holds the phone must not be able to throw away the paper; and what they wrote on new paper is younger.
      throw step.refuse("not_permitted", "paper is removed by itself or by older paper");
    }
  }
  return devicesLeave(charter, gone, body.n);
}

export async function setRole(step: Step<Body<"set_role">>): Promise<Charter> {
  const { body } = step;
  const person = step.person(body.person);
  const isOwn = same(person.person, step.author.person);
  const back = isOwn && person.role === "owner" && body.role !== "owner";
  const touchesOwner = person.role === "owner" || body.role === "owner";
  if (touchesOwner && person.role !== body.role && !back) {
    await step.majority(body, person.person, body.role);
  }
  if (body.role === "owner" && body.until !== null) {
    throw step.refuse("not_permitted", "an owner has no end date");
  }
  const spans = [...ended(person.spans, body.n), [body.n, null, body.role] as const];
  return withPerson(step.charter, { ...person, role: body.role, until: body.until, spans });
}

export function expire(step: Step<Body<"expire">>): Charter {
  const { body } = step;
  if ((body.grant === null) === (body.person === null)) {
    throw step.refuse("bad_entry", "a grant or a person expires");
  }
  if (body.grant !== null) {
    if (body.rooms.length > 0 || body.cuts.length > 0) {
      throw step.refuse("bad_entry", "a grant that ends turns nothing");
    }
    return endGrant(step, body.grant);
  }
  const person = step.person(body.person as PersonId);
  if (person.until === null || person.role === "owner") {
    throw step.refuse("not_permitted", "a person without end date");
  }
  return personLeaves(step.charter, person, body.n);
}

function ended(spans: Person["spans"], n: number): Person["spans"] {
  const [first, , role] = spans.at(-1) as Person["spans"][number];
  return [...spans.slice(0, -1), [first, n, role]];
}

function personLeaves(charter: Charter, person: Person, n: number): Charter {
  const gone: Person = { ...person, here: false, until: null, spans: ended(person.spans, n) };
  const isActing = charter.acting !== null && same(charter.acting, person.person);
  const after = withPerson(devicesLeave(charter, charter.devicesOf(person.person), n), gone).with({
    acting: isActing ? null : charter.acting,
    actingUntilN: isActing ? n : charter.actingUntilN,
  });
  return takeOffLists(after, [person.person], n);
}

function devicesLeave(charter: Charter, gone: Iterable<Hex>, n: number): Charter {
  const devices = new Map(charter.devices);
  for (const id of gone) devices.set(id, { ...(devices.get(id) as Device), untilN: n });
  return charter.with({ devices });
}

// --- views

export function grant(step: Step<Body<"grant">>): Charter {
  const { body } = step;
  if (step.charter.grants.has(hex(body.grant))) throw step.refuse("already_there", "a grant of that id");
  if (body.terms.length > MAX_TERMS_BYTES) throw step.refuse("limit", "terms too long");
  if (body.rooms.length !== 1 || body.rooms[0]?.room !== grantRoom(body.grant)) {
    throw step.refuse("no_such_room", "a grant makes its own room and no other");
  }
  const made: Grant = {
    grant: body.grant,
    doorstep: body.doorstep,
    down: body.down,
    up: body.up,
    seedKey: body.seed_key,
    granterKey: body.granter_key,
    granter: step.author.person,
    by: body.by,
    until: body.until,
    terms: body.terms,
    n: body.n,
    endedN: null,
    device: null,
    name: "",
  };
  const streams = step.streams(body.doorstep, body.down, body.up);
  return withGrant(step.charter, made).with({ streams });
}

export function withdraw(step: Step<Body<"withdraw">>): Charter {
  return endGrant(step, step.body.grant);
}

function endGrant(step: Step, id: Uint8Array): Charter {
  const known = step.charter.grants.get(hex(id));
  if (known?.endedN !== null) throw step.refuse("no_such_grant", "no grant of that id is open");
  return withGrant(step.charter, { ...known, endedN: step.body.n });
}

// --- doors left ajar

/**
 * Invitations and grants nobody came to end with the device that made them, or its person's rights: who was put out must
 * not come in again with a link of their own. And a readmission ends when the owner turns out to be there.
 */
export function closeDoors(before: Charter, after: Charter, by: DeviceId, n: number): Charter {
  const makerIsOut = (device: DeviceId, needsOwner: boolean): boolean => {
    const maker = after.devices.get(hex(device)) as Device;
    if (!isHere(maker)) return true;
    return needsOwner && before.isOwner(maker.person) && !after.isOwner(maker.person);
  };
  const author = after.devices.get(hex(by)) as Device;
  let closed = after;
  for (const invitation of after.invitations.values()) {
    if (invitation.state !== "open" || invitation.n === n) continue;
    const objects = invitation.kind === "readmit" && same(author.person, invitation.person);
    if (objects || makerIsOut(invitation.by, invitation.kind === "invite")) {
      closed = withInvitation(closed, { ...invitation, state: "closed" });
    }
  }
  for (const known of after.grants.values()) {
    if (known.endedN === null && !known.device && known.n !== n && makerIsOut(known.by, true)) {
      closed = withGrant(closed, { ...known, endedN: n });
    }
  }
  return closed;
}

function invitationOf(step: Step, id: Uint8Array): Invitation {
  const known = step.charter.invitations.get(hex(id));
  if (!known) throw step.refuse("no_such_invitation", "no invitation of that id");
  if (known.state !== "open") throw step.refuse("invitation_used", "the invitation is used or closed");
  return known;
}

function withPerson(charter: Charter, person: Person): Charter {
  return charter.with({ people: new Map(charter.people).set(hex(person.person), person) });
}

function withDevice(charter: Charter, device: Device): Charter {
  return charter.with({ devices: new Map(charter.devices).set(hex(device.device), device) });
}

function withInvitation(charter: Charter, invitation: Invitation): Charter {
  const invitations = new Map(charter.invitations).set(hex(invitation.invitation), invitation);
  return charter.with({ invitations });
}

function withGrant(charter: Charter, changed: Grant): Charter {
  return charter.with({ grants: new Map(charter.grants).set(hex(changed.grant), changed) });
}

const NO_SCHEMA: SchemaRules = { kinds: new Set(), roomsFor: () => undefined };
