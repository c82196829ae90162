/** What each kind of entry does to the charter, after it is known that its author may make it. See `rules` for the table. */
import { Inadmissible } from "../errors";
import { type Hex, hex, type PersonId, type StreamId, same } from "../ids";
import { EVERYONE, grantRoom, OWNERS } from "../rooms";
import type { Approval, Body, CutEntry, RoomEntry } from "./entry";
import { applyParts, type SchemaRules, takeOffLists, type Writer } from "./locks";
import { checkMajority, type Deed, NOBODY } from "./majority";
import type { Charter, Device, Grant, Person } from "./state";

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
  const [first = 0] = step.body.dropped.map(([n]) => n);
  const follows = step.body.dropped.every(([n], at) => n === first + at);
  if (step.body.dropped.length > 0 && !(first > 1 && first <= step.body.n && follows)) {
    throw step.refuse("bad_entry", "what was dropped is not one branch of this charter");
  }
  // What was signed in knowledge of one of these counts as signed where the two parted: whoever signed it could have named
  // that entry too.
  const dropped = new Map(step.charter.dropped);
  for (const [, head] of step.body.dropped) {
    if (!dropped.has(hex(head))) dropped.set(hex(head), first - 1);
  }
  return step.charter.with({ rooms, dropped });
}

export function newcomer(person: PersonId, name: string, role: Person["role"], n: number): Person {
  const spans = [[n, null, role]] as const;
  return { person, name, role, here: true, sinceN: n, until: null, readmittedN: 0, spans };
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

export function devicesLeave(charter: Charter, gone: Iterable<Hex>, n: number): Charter {
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

export function withPerson(charter: Charter, person: Person): Charter {
  return charter.with({ people: new Map(charter.people).set(hex(person.person), person) });
}

export function withDevice(charter: Charter, device: Device): Charter {
  return charter.with({ devices: new Map(charter.devices).set(hex(device.device), device) });
}

export function withGrant(charter: Charter, changed: Grant): Charter {
  return charter.with({ grants: new Map(charter.grants).set(hex(changed.grant), changed) });
}

const NO_SCHEMA: SchemaRules = { kinds: new Set(), roomsFor: () => undefined };
