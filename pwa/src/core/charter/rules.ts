/**
 * The fold of the charter: which entry counts, and what it does. Spec: docs/spec/charter.md, Admitting an entry.
 *
 * The rules are a table: what an entry is called, who may make it, how the charter is after it. A record that is refused is
 * passed over by the caller; only `future_version` stops a fold.
 */
import { Inadmissible } from "../errors";
import { type CaseId, type Chain, type DeviceId, hex, same } from "../ids";
import * as coming from "./coming";
import * as deeds from "./deeds";
import { Step } from "./deeds";
import { type Body, deviceId, type Entry, parseEntry, verifyEntry, type What } from "./entry";
import { applyCuts, applyLocks, applyRooms, type Change, lostRooms, type SchemaRules } from "./locks";
import { Charter, type Device, isHere, type Person } from "./state";

export const MAX_PEOPLE = 64;
export const MAX_DEVICES = 12;
export const MAX_OPEN = 64;

type Who = (charter: Charter, person: Person) => boolean;
const owner: Who = (charter, person) => charter.isOwner(person.person);
const member: Who = (_, person) => person.role === "member";
const ownerOrMember: Who = (charter, person) => owner(charter, person) || member(charter, person);
const founder: Who = (charter, person) => charter.acting !== null && same(charter.acting, person.person);
const anyone: Who = () => true;

interface Rule<K extends What> {
  readonly who: Who;
  readonly apply: (step: Step<Body<K>>) => Charter | Promise<Charter>;
  /** What its `rooms` may do to rooms. */
  readonly rooms: ReadonlySet<Change>;
}

const NONE: ReadonlySet<Change> = new Set();
const TURNED: ReadonlySet<Change> = new Set(["turned"]);
const MADE: ReadonlySet<Change> = new Set(["new"]);
const ANY: ReadonlySet<Change> = new Set(["new", "wider", "turned", "restarted"]);

export const RULES: { readonly [K in Exclude<What, "found">]: Rule<K> } = {
  invite: { who: owner, apply: coming.invite, rooms: NONE },
  readmit: { who: member, apply: coming.readmit, rooms: NONE },
  cancel: { who: owner, apply: coming.cancel, rooms: NONE },
  join: { who: ownerOrMember, apply: coming.join, rooms: NONE },
  room: { who: anyone, apply: deeds.nothing, rooms: ANY },
  part: { who: anyone, apply: deeds.nothing, rooms: ANY },
  remove_person: { who: owner, apply: deeds.removePerson, rooms: TURNED },
  leave: { who: anyone, apply: deeds.leave, rooms: NONE },
  add_device: { who: anyone, apply: coming.addDevice, rooms: NONE },
  remove_device: { who: anyone, apply: deeds.removeDevice, rooms: TURNED },
  set_role: { who: owner, apply: deeds.setRole, rooms: TURNED },
  hand_over: { who: founder, apply: deeds.handOver, rooms: NONE },
  grant: { who: owner, apply: deeds.grant, rooms: MADE },
  withdraw: { who: owner, apply: deeds.withdraw, rooms: NONE },
  expire: { who: owner, apply: deeds.expire, rooms: TURNED },
  adopt: { who: owner, apply: deeds.adopt, rooms: NONE },
  close: { who: owner, apply: deeds.close, rooms: NONE },
};

/** The device, present now, that really signed this entry, whatever its place; undefined where there is none. */
export async function signedByMember(
  charter: Charter | undefined,
  payload: Uint8Array,
): Promise<DeviceId | undefined> {
  try {
    const entry = parseEntry(payload);
    const device = charter?.devices.get(hex(entry.outline.by));
    if (!charter || !device || !isHere(device) || !same(entry.outline.case, charter.case)) return undefined;
    await verifyEntry(entry, device.sign);
    return device.device;
  } catch (error) {
    if (error instanceof Inadmissible) return undefined;
    throw error;
  }
}

/**
 * The charter with this record's entry in it.
 *
 * `charter` is undefined before the first entry; `chainBefore` is the stream's chain at the record before. Throws
 * Inadmissible, whose `device` names the author: the record is passed over, the charter stays as it is. Only the code
 * `future_version` means that the fold must stop here until the program is newer.
 */
export async function fold(
  charter: Charter | undefined,
  payload: Uint8Array,
  caseId: CaseId,
  chainBefore: Chain,
  schema: SchemaRules,
): Promise<Charter> {
  const entry = parseEntry(payload);
  const { outline } = entry;
  const by = hex(outline.by);
  if (!same(outline.case, caseId)) throw new Inadmissible("bad_entry", "an entry of another case", by);
  const before = charter ?? Charter.empty(caseId);
  if (outline.n !== before.n + 1 || !same(outline.prev, before.head)) {
    throw new Inadmissible("wrong_previous", "an entry that follows another", by);
  }
  if (!same(outline.chain, chainBefore)) {
    throw new Inadmissible("wrong_seen", "the author saw another stream", by);
  }
  const after = before.n === 0 ? await founded(before, entry, schema) : await followed(before, entry, schema);
  return signedOff(before, after, entry);
}

async function founded(charter: Charter, entry: Entry, schema: SchemaRules): Promise<Charter> {
  const { body } = entry;
  const by = hex(entry.outline.by);
  // Nobody belongs yet, so nobody's word that a newer version began this case counts.
  if (body?.what !== "found") {
    throw new Inadmissible("not_a_member", "a charter begins with its founding", by);
  }
  if (!same(deviceId(body.case, body.device), body.by)) {
    throw new Inadmissible("not_a_member", "founded by another device", by);
  }
  await verifyEntry(entry, body.device.sign);
  return applyFound(charter, body, schema);
}

export function applyFound(charter: Charter, body: Body<"found">, schema: SchemaRules): Charter {
  const after = deeds.found(charter, body);
  const step = new Step(charter, after.people.get(hex(body.person)) as Person, body, schema);
  return deeds.foundedRooms(step, applyRooms(after, step.writer, body.rooms, MADE));
}

async function followed(charter: Charter, entry: Entry, schema: SchemaRules): Promise<Charter> {
  const { outline, body } = entry;
  const by = hex(outline.by);
  const device = charter.devices.get(hex(outline.by));
  const author = device && charter.people.get(hex(device.person));
  if (!device || !isHere(device) || !author?.here) {
    throw new Inadmissible("not_a_member", "signed by a device that does not belong", by);
  }
  await verifyEntry(entry, device.sign);
  if (charter.closedN !== null) throw new Inadmissible("case_closed", "an entry after the end", by);
  if (!body) {
    // Only an owner's word stops everybody: else any phone could, with a kind of entry that does not exist. Nor does the
    // word of who found an owner's address.
    if (owner(charter, author) && device.sleeping !== "link") {
      throw new Inadmissible("future_version", "an entry of a newer version", by);
    }
    throw new Inadmissible("not_permitted", "an unknown kind of entry by one who is no owner", by);
  }
  return apply(charter, author, body, schema);
}

export function ruleOf(what: What): Rule<What> | undefined {
  return what === "found" ? undefined : (RULES[what] as unknown as Rule<What>);
}

/** What a body would do, its number and signature aside. For `compose`; `fold` is what counts. */
export async function apply(
  charter: Charter,
  author: Person,
  body: Body,
  schema: SchemaRules,
): Promise<Charter> {
  const by = hex(body.by);
  if (charter.devices.get(by)?.sleeping === "link" && !mayAsleep(body)) {
    throw new Inadmissible("not_permitted", "a device in an address lets one device in, or goes", by);
  }
  const rule = ruleOf(body.what);
  if (!rule?.who(charter, author)) {
    throw new Inadmissible("not_permitted", `${body.what} by this person`, by);
  }
  const step = new Step(charter, author, body, schema);
  let after = await rule.apply(step);
  if (!after.people.get(hex(author.person))?.here)
    return coming.closeDoors(charter, markedDue(charter, after, []), body.by, body.n);
  const { writer } = step;
  after = applyRooms(after, writer, step.rooms, rule.rooms);
  if (body.what === "part") after = deeds.parts(step as Step<Body<"part">>, after);
  const turned = step.rooms.filter((room) => {
    const was = charter.rooms.get(room.room);
    return was !== undefined && room.epoch !== was.epoch;
  });
  const names = turned.map((room) => room.room);
  after = markedDue(charter, after, names);
  if (rule.rooms === TURNED) checkTurned(charter, after, step, names);
  after = applyCuts(charter, after, writer, step.cuts);
  after = applyLocks(after, writer, names, step.locks);
  return coming.closeDoors(charter, after, body.by, body.n);
}

/**
 * Whoever finds an address must not decide anything with it, nor sow other seeds: they come in, seen by everybody, or not at
 * all.
 */
function mayAsleep(body: Body): boolean {
  if (body.what === "add_device") return body.sleeping === "";
  if (body.what !== "remove_device") return false;
  const [only] = body.devices;
  return body.devices.length === 1 && only !== undefined && same(only, body.by);
}

function markedDue(before: Charter, after: Charter, turned: readonly string[]): Charter {
  const unchanged = after.people === before.people && after.devices === before.devices;
  if (unchanged && after.acting === before.acting) return after;
  const rooms = new Map(after.rooms);
  for (const name of lostRooms(before, after)) {
    const room = rooms.get(name);
    if (room && !turned.includes(name)) rooms.set(name, { ...room, due: true });
  }
  return after.with({ rooms });
}

/** Who takes somebody out turns the locks in the same breath, or the removal is only a word. */
function checkTurned(before: Charter, after: Charter, step: Step, turned: readonly string[]): void {
  if (!isHere(after.devices.get(hex(step.body.by)) as Device)) {
    // A device that puts itself out must not choose the secrets of those who stay.
    if (turned.length > 0) throw step.refuse("not_permitted", "a device that leaves turns nothing");
    return;
  }
  for (const name of lostRooms(before, after)) {
    if (!turned.includes(name) && after.turns(step.author.person, name)) {
      throw step.refuse("room_not_turned", `${name} was not turned`);
    }
  }
}

/** What holds after every entry. */
function signedOff(before: Charter, after: Charter, entry: Entry): Charter {
  const { n, by, chain } = entry.outline;
  const refuse = (code: string, why: string) => new Inadmissible(code, why, hex(by));
  const owners = after.withRole("owner");
  if (owners.size === 0 && after.acting === null && after.closedN === null) {
    throw refuse("last_owner", "a case without owner");
  }
  if (after.present().length > MAX_PEOPLE) throw refuse("limit", "too many people");
  const counts = new Map<string, number>();
  for (const device of after.devices.values()) {
    const person = hex(device.person);
    if (isHere(device)) counts.set(person, (counts.get(person) ?? 0) + 1);
  }
  if (Math.max(0, ...counts.values()) > MAX_DEVICES) throw refuse("limit", "too many devices of one person");
  const invitations = [...after.invitations.values()].filter((one) => one.state === "open");
  const grants = [...after.grants.values()].filter((one) => one.endedN === null);
  if (invitations.length + grants.length > MAX_OPEN) {
    throw refuse("limit", "too many invitations and grants at once");
  }
  const sameOwners = described(owners) === described(before.withRole("owner"));
  return after.with({
    n,
    head: entry.hash,
    chain,
    heads: before.heads.andThen(entry.hash),
    ownersN: sameOwners ? after.ownersN : n,
    circleN: described(circle(after)) === described(circle(before)) ? after.circleN : n,
  });
}

function circle(charter: Charter): string[] {
  const people = charter.present().filter(({ role }) => role === "owner" || role === "member");
  return people.map(({ person, role }) => `${hex(person)} ${role}`);
}

function described(names: Iterable<string>): string {
  return [...names].sort().join();
}
