/**
 * Rooms and parts in an entry: made, let wider, turned, restarted. Spec: docs/spec/charter.md, Admitting an entry, 6 to 8.
 *
 * Functions take the charter as it will be but for the rooms (`after`) and give it with them.
 */
import { Inadmissible } from "../errors";
import { type DeviceId, type Hex, hex, type PersonId, type StreamId, same } from "../ids";
import { about, followsFromRule, ownRoom, partOf } from "../rooms";
import type { CutEntry, PartEntry, RoomEntry } from "./entry";
import { type Charter, type Cut, nextEpoch, type Part, type Person, type Room, type Span } from "./state";

export type Change = "new" | "wider" | "turned" | "restarted";

/** Who a room is by the schema; `letIn`: the roles of those who may be listed besides. */
export interface RoomRule {
  readonly name: string;
  readonly roles: readonly string[];
  readonly people: readonly PersonId[];
  readonly letIn: readonly string[];
}
export interface PartRooms {
  readonly read: RoomRule;
  readonly write: RoomRule;
  readonly manage: RoomRule;
}
/** What the fold asks of the content schema. */
export interface SchemaRules {
  readonly kinds: { has(kind: string): boolean };
  roomsFor(kind: string, about: PersonId | undefined): PartRooms | undefined;
}

/** Who wrote the entry, with which device, as which entry, and the content schema. */
export interface Writer {
  readonly author: Person;
  readonly by: DeviceId;
  readonly n: number;
  readonly schema: SchemaRules;
}

export function applyRooms(
  after: Charter,
  writer: Writer,
  entries: readonly RoomEntry[],
  allowed: ReadonlySet<Change>,
): Charter {
  if (entries.length === 0) return after;
  distinct(
    entries.map((entry) => entry.room),
    writer,
    "a room twice in one entry",
  );
  const rooms = new Map(after.rooms);
  for (const entry of entries) rooms.set(entry.room, changedRoom(after, writer, entry, allowed));
  return after.with({ rooms });
}

type Refuse = (code: string, why: string) => Inadmissible;

function changedRoom(after: Charter, writer: Writer, entry: RoomEntry, allowed: ReadonlySet<Change>): Room {
  const refuse: Refuse = (code, why) =>
    new Inadmissible(code, `room ${entry.room.slice(0, 60)}: ${why}`, hex(writer.by));
  if (!followsFromRule(entry.room, entry.roles, entry.people)) {
    throw refuse("bad_entry", "the name does not follow from the rule");
  }
  const before = after.rooms.get(entry.room);
  for (const person of entry.people) {
    const known = after.people.get(hex(person));
    const ownOfOneWhoLeft = before !== undefined && entry.room === ownRoom(person);
    if (!known || !(known.here || ownOfOneWhoLeft)) {
      throw refuse("no_such_person", "somebody in it does not belong");
    }
  }
  const change = changeOf(entry, before);
  if (!change) throw refuse("wrong_epoch", "another epoch than the next");
  if (!allowed.has(change)) {
    throw refuse(before ? "not_permitted" : "no_such_room", `${change} is not for this entry`);
  }
  if (!before) return madeRoom(after, writer, entry, refuse);
  if (change === "wider") return widerRoom(after, writer, entry, before, refuse);
  return turnedRoom(after, writer, entry, before, change, refuse);
}

/** Which of the four it is follows from epoch and link; undefined where the epoch is none of them. */
function changeOf(entry: RoomEntry, before: Room | undefined): Change | undefined {
  if (!before) return entry.epoch === 1 ? "new" : undefined;
  if (entry.epoch === before.epoch) return "wider";
  if (entry.epoch !== nextEpoch(before)) return undefined;
  if (entry.link.length !== 0 && entry.link.length !== 32) {
    throw new Inadmissible("bad_entry", "a link is 32 bytes");
  }
  return entry.link.length > 0 ? "turned" : "restarted";
}

function madeRoom(after: Charter, writer: Writer, entry: RoomEntry, refuse: Refuse): Room {
  const { author, by, n } = writer;
  const subject = about(entry.room);
  const people = new Set(entry.people.map(hex));
  const made: Room = {
    name: entry.room,
    roles: entry.roles,
    people,
    epoch: 1,
    commits: new Map([[1, entry.commit]]),
    links: new Map(),
    sinceN: new Map([[1, n]]),
    by: new Map([[1, by]]),
    listed: new Map([...people].map((person) => [person, [[n, null]]])),
    floor: 0,
    due: false,
  };
  if (entry.link.length > 0) throw refuse("bad_entry", "a first epoch links to nothing");
  // Who is not in a room must not choose its secret, or somebody outside holds it.
  const allowedTo = subject ? same(author.person, subject) : after.isOwner(author.person);
  if (!allowedTo || !after.audienceOf(made).has(hex(author.person))) {
    throw refuse("not_permitted", "made by another than its own");
  }
  if (subject && !people.has(hex(subject))) throw refuse("bad_entry", "without the person it is about");
  checkLetIn(after, made, people, writer);
  return made;
}

function widerRoom(after: Charter, writer: Writer, entry: RoomEntry, before: Room, refuse: Refuse): Room {
  const { author, n } = writer;
  const subject = about(entry.room);
  const people = new Set(entry.people.map(hex));
  const added = minus(people, before.people);
  const dropped = minus(before.people, people);
  if (entry.roles.join() !== before.roles.join() || dropped.size > 0) {
    throw refuse("not_permitted", "wider with somebody less");
  }
  const commit = before.commits.get(before.epoch) as Uint8Array;
  const link = before.links.get(before.epoch) ?? new Uint8Array();
  if (!same(entry.commit, commit) || !same(entry.link, link)) {
    throw refuse("bad_entry", "another secret for the same epoch");
  }
  const isSubject = subject !== undefined && same(author.person, subject);
  if (subject && !isSubject && added.size > 0) {
    throw refuse("widens_without_person", "only the person it is about lets others in");
  }
  if (!isSubject && !after.turns(author.person, entry.room)) {
    throw refuse("not_permitted", "let wider by another than its own");
  }
  if (!after.audienceOf(before).has(hex(author.person))) {
    throw refuse("not_permitted", "let wider from outside");
  }
  checkLetIn(after, before, added, writer);
  return { ...before, people, listed: relisted(before.listed, added, dropped, n) };
}

function turnedRoom(
  after: Charter,
  writer: Writer,
  entry: RoomEntry,
  before: Room,
  change: Change,
  refuse: Refuse,
): Room {
  const { author, by, n } = writer;
  const subject = about(entry.room);
  const people = new Set(entry.people.map(hex));
  const added = minus(people, before.people);
  const dropped = minus(before.people, people);
  if (entry.roles.join() !== before.roles.join()) throw refuse("not_permitted", "turned with other roles");
  const turned: Room = {
    ...before,
    people,
    epoch: entry.epoch,
    commits: new Map(before.commits).set(entry.epoch, entry.commit),
    links: entry.link.length ? new Map(before.links).set(entry.epoch, entry.link) : before.links,
    sinceN: new Map(before.sinceN).set(entry.epoch, n),
    by: new Map(before.by).set(entry.epoch, by),
    listed: relisted(before.listed, added, dropped, n),
    due: false,
  };
  const isSubject = subject !== undefined && same(author.person, subject);
  if (change === "restarted") {
    // The old secret is lost with the old devices. Else an empty link would only take history from others.
    const audience = after.audienceOf(turned);
    const alone = audience.size === 1 && audience.has(hex(author.person));
    const lost = author.readmittedN > (before.sinceN.get(before.epoch) as number);
    if (!lost || !(isSubject || alone)) {
      throw refuse("not_permitted", "restarted by one who did not lose it");
    }
  } else if (!after.turns(author.person, entry.room)) {
    throw refuse("not_permitted", "turned by another than its own");
  }
  if (isSubject) {
    if (!people.has(hex(author.person))) throw refuse("bad_entry", "without the person it is about");
  } else if (subject && added.size > 0) {
    throw refuse("widens_without_person", "only the person it is about lets others in");
  } else if (subject && dropped.size > 0) {
    throw refuse("not_permitted", "only the person it is about lets others out");
  }
  checkLetIn(after, turned, added, writer);
  return turned;
}

function relisted(
  listed: ReadonlyMap<Hex, readonly Span[]>,
  added: Iterable<Hex>,
  dropped: Iterable<Hex>,
  n: number,
): ReadonlyMap<Hex, readonly Span[]> {
  const changed = new Map(listed);
  for (const person of added) changed.set(person, [...(changed.get(person) ?? []), [n, null]]);
  for (const person of dropped) {
    const spans = changed.get(person) as readonly Span[];
    const [first] = spans.at(-1) as Span;
    changed.set(person, [...spans.slice(0, -1), [first, n]]);
  }
  return changed;
}

/** Who leaves is listed nowhere but in the own room, so that whoever comes back under the name is in nobody's room. */
export function takeOffLists(charter: Charter, gone: readonly PersonId[], n: number): Charter {
  const rooms = new Map(charter.rooms);
  for (const [name, room] of charter.rooms) {
    const leaving = gone.filter((person) => name !== ownRoom(person)).map(hex);
    const dropped = new Set(leaving.filter((person) => room.people.has(person)));
    if (dropped.size === 0) continue;
    const listed = relisted(room.listed, [], dropped, n);
    rooms.set(name, { ...room, people: minus(room.people, dropped), listed });
  }
  return charter.with({ rooms });
}

/** The schema's limits on who is listed: `private` never lets a coordinator in, whatever an owner signs. */
function checkLetIn(after: Charter, room: Room, added: ReadonlySet<Hex>, { schema, by }: Writer): void {
  const split = partOf(room.name);
  if (!split || !schema.kinds.has(split.kind)) return;
  const of = schema.roomsFor(split.kind, split.person);
  const rules = of ? [of.read, of.write, of.manage].filter((rule) => rule.name === room.name) : [];
  if (rules.length === 0 || rules.some((rule) => rule.roles.join() !== room.roles.join())) {
    throw new Inadmissible("not_permitted", `${room.name}: the schema has no such room`, hex(by));
  }
  for (const person of added) {
    const { role } = after.people.get(person) as Person;
    const allowed = rules.every(
      (rule) => rule.people.some((named) => hex(named) === person) || rule.letIn.includes(role),
    );
    if (!allowed) {
      throw new Inadmissible("not_permitted", `${room.name}: the schema does not let them in`, hex(by));
    }
  }
}

// --- parts

export function applyParts(after: Charter, writer: Writer, entries: readonly PartEntry[]): Charter {
  const { author, by, n, schema } = writer;
  distinct(
    entries.map((entry) => entry.part),
    writer,
    "a part twice in one entry",
  );
  const parts = new Map(after.parts);
  const partStreams = new Map(after.partStreams);
  const streams = new Set(after.streams);
  for (const entry of entries) {
    const split = partOf(entry.part);
    if (!split) throw new Inadmissible("bad_entry", "not the name of a part", hex(by));
    const { kind, person } = split;
    if (!(person ? same(author.person, person) : after.isOwner(author.person))) {
      throw new Inadmissible("not_permitted", `${entry.part}: founded by another than its own`, hex(by));
    }
    if (streams.has(hex(entry.stream))) {
      throw new Inadmissible("already_there", `${entry.part}: a stream is used once`, hex(by));
    }
    for (const room of [entry.read, entry.write, entry.manage]) {
      if (!after.rooms.has(room)) {
        throw new Inadmissible("no_such_room", `${entry.part}: a room that is not there`, hex(by));
      }
    }
    // A kind that only a newer app knows is kept; to stop here would part old apps from new ones.
    if (schema.kinds.has(kind) && !fitsSchema(after, entry, schema.roomsFor(kind, person))) {
      throw new Inadmissible("not_permitted", `${entry.part}: not the rooms the schema gives`, hex(by));
    }
    const { stream, read, write, manage } = entry;
    const part: Part = { name: entry.part, kind, about: person, stream, read, write, manage, sinceN: n };
    parts.set(entry.part, part);
    partStreams.set(hex(stream), part);
    streams.add(hex(stream));
  }
  return after.with({ parts, partStreams, streams });
}

function fitsSchema(after: Charter, entry: PartEntry, wanted: PartRooms | undefined): boolean {
  if (!wanted) return false;
  const pairs = [
    [entry.read, wanted.read],
    [entry.write, wanted.write],
    [entry.manage, wanted.manage],
  ] as const;
  return pairs.every(([name, rule]) => {
    const room = after.rooms.get(name) as Room;
    return (
      name === rule.name &&
      room.roles.join() === rule.roles.join() &&
      (name.startsWith("@") || rule.people.every((person) => room.people.has(hex(person))))
    );
  });
}

// --- narrowing

/** The rooms that some device is in no more. */
export function lostRooms(before: Charter, after: Charter): string[] {
  return [...before.rooms.keys()].filter(
    (name) => minus(before.devicesIn(name), after.devicesIn(name)).size > 0,
  );
}

export function applyCuts(
  before: Charter,
  after: Charter,
  writer: Writer,
  cuts: readonly CutEntry[],
): Charter {
  if (cuts.length === 0) return after;
  const { author, by, n } = writer;
  distinct(
    cuts.map((cut) => hex(cut.stream)),
    writer,
    "a stream cut twice in one entry",
  );
  const changed = new Map(after.cuts);
  for (const entry of cuts) {
    const part = before.partStreams.get(hex(entry.stream));
    if (!part) throw new Inadmissible("no_such_part", "a cut of a stream that is no part's", hex(by));
    if (!before.audience(part.read).has(hex(author.person))) {
      throw new Inadmissible("not_permitted", "a cut by one who does not read", hex(by));
    }
    distinct(
      entry.actors.map(([tag]) => hex(tag)),
      writer,
      "an actor cut twice",
    );
    const actors = new Map(entry.actors.map(([tag, seq, mark]) => [hex(tag), { seq, mark }]));
    const writeEpoch = (before.rooms.get(part.write) as Room).epoch;
    const readEpoch = (before.rooms.get(part.read) as Room).epoch;
    let bound = minus(before.devicesEverIn(part.write, writeEpoch), after.devicesIn(part.write));
    if (!before.audience(part.manage).has(hex(author.person))) {
      // A member's cut is for the own lost phone; with another's name in it, it would void another's words.
      const own = [...bound].filter((id) => same(before.devices.get(id)?.person ?? by, author.person));
      bound = new Set(own);
    }
    if (bound.size === 0) continue;
    const cut: Cut = { stream: entry.stream, n, readEpoch, writeEpoch, devices: bound, actors };
    changed.set(hex(entry.stream), [...(changed.get(hex(entry.stream)) ?? []), cut]);
  }
  return after.with({ cuts: changed });
}

export function applyLocks(
  after: Charter,
  writer: Writer,
  turned: Iterable<string>,
  locks: readonly (readonly [StreamId, Uint8Array])[],
): Charter {
  if (locks.length === 0) return after;
  const { author, by } = writer;
  const rooms = new Set(turned);
  distinct(
    locks.map(([stream]) => hex(stream)),
    writer,
    "a lock twice in one entry",
  );
  const changed = new Map(after.locks);
  for (const [stream, append] of locks) {
    const part = after.partStreams.get(hex(stream));
    if (!part) throw new Inadmissible("no_such_part", "a lock of a stream that is no part's", hex(by));
    if (!rooms.has(part.write) || !after.audience(part.write).has(hex(author.person))) {
      throw new Inadmissible("not_permitted", "a lock of a room that was not turned", hex(by));
    }
    changed.set(hex(stream), { epoch: (after.rooms.get(part.write) as Room).epoch, append });
  }
  return after.with({ locks: changed });
}

function minus<T>(all: ReadonlySet<T>, gone: ReadonlySet<T>): Set<T> {
  return new Set([...all].filter((one) => !gone.has(one)));
}

function distinct(names: readonly string[], { by }: Writer, otherwise: string): void {
  if (new Set(names).size !== names.length) throw new Inadmissible("bad_entry", otherwise, hex(by));
}
