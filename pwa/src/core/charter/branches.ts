/**
 * Two charters that begin alike: where they part, who may say which one goes on, and what of the other is entered again.
 *
 * Spec: docs/spec/charter.md, Adopt. `branch` is the charter this device had, `shown` the one the relay shows now. The fold
 * of `shown` cannot know the branch, so each device that saw it decides with these rules whether it goes along.
 */
import { type EntryHash, type Hex, hex, type PersonId, same, unhex } from "../ids";
import { about } from "../rooms";
import { MAX_FLOOR_JUMP } from "./deeds";
import type { Charter, Person } from "./state";

export type Again =
  | "remove_person"
  | "set_role"
  | "withdraw"
  | "cancel"
  | "let_out"
  | "hand_over"
  | "remove_device";

/**
 * Something the branch ended or narrowed, and `shown` has still. `of` is a person, grant, invitation or device; `room` that
 * of `let_out`. `who` may enter it: undefined is any owner, else that person.
 */
export interface Owed {
  readonly what: Again;
  readonly of: Uint8Array;
  readonly room: string;
  readonly who: PersonId | undefined;
}

/** The number of the last entry that both have; 0 where they are two cases. */
export function partedAt(branch: Charter, shown: Charter): number {
  let n = Math.min(branch.n, shown.n);
  while (n > 0 && !equal(branch.heads.get(n), shown.heads.get(n))) n--;
  return n;
}

/**
 * Every entry of the branch that `shown` lacks, for the entry `adopt`: whoever read only the first of them must find theirs
 * too.
 */
export function dropped(branch: Charter, shown: Charter): [n: number, head: EntryHash][] {
  const found: [number, EntryHash][] = [];
  for (let n = partedAt(branch, shown) + 1; n <= branch.n; n++) {
    found.push([n, branch.heads.get(n) as EntryHash]);
  }
  return found;
}

/** Where turning goes on: of one epoch there must never be two secrets. */
export function floors(branch: Charter, shown: Charter): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, room] of shown.rooms) {
    const known = branch.rooms.get(name);
    const highest = known ? Math.max(known.epoch, known.floor) : 0;
    if (highest > Math.max(room.epoch, room.floor)) {
      found.set(name, Math.min(highest, room.epoch + MAX_FLOOR_JUMP));
    }
  }
  return found;
}

/**
 * An owner in both; or who was brought back by the members after the two parted. Whoever was put out, or stepped back, on
 * the branch must not undo that by calling the other one right.
 */
export function mayAdopt(branch: Charter, shown: Charter, person: PersonId): boolean {
  if (!shown.isOwner(person)) return false;
  const parted = partedAt(branch, shown);
  const back = [...shown.invitations.values()].some(
    (one) => one.kind === "readmit" && same(one.person, person) && (one.joinedN ?? 0) > parted,
  );
  return branch.isOwner(person) || back;
}

/**
 * What is to be entered again in `shown`, whose entry `sinceN` adopted it (its newest, where that is to come). Who came, or
 * was given something, after that entry did so with the branch known.
 */
export function owed(branch: Charter, shown: Charter, sinceN: number): Owed[] {
  return [
    ...people(branch, shown, sinceN),
    ...grants(branch, shown),
    ...invitations(branch, shown),
    ...lists(branch, shown, sinceN),
    ...devices(branch, shown),
  ];
}

function* people(branch: Charter, shown: Charter, sinceN: number): IterableIterator<Owed> {
  const parted = partedAt(branch, shown);
  for (const person of shown.present()) {
    const was = branch.people.get(hex(person.person));
    if (!was || hereSince(person) > sinceN) continue;
    if (!was.here) yield one("remove_person", person.person);
    else if (narrower(was, person, shown, sinceN, parted)) yield one("set_role", person.person);
  }
  const acting = shown.acting;
  if (acting && !branch.acting && shown.people.get(hex(acting))?.here) {
    yield one("hand_over", acting, "", acting);
  }
}

/** The entry since which the person never left; a new role is no coming. */
function hereSince(person: Person): number {
  const spans = [...person.spans].reverse();
  let first = spans[0]?.[0] ?? 0;
  for (const [began, ended] of spans.slice(1)) {
    if (ended !== first) break;
    first = began;
  }
  return first;
}

function narrower(was: Person, now: Person, shown: Charter, sinceN: number, parted: number): boolean {
  // The branch changed nothing, or it was decided again with the branch known.
  if ((was.spans.at(-1)?.[0] ?? 0) <= parted || (now.spans.at(-1)?.[0] ?? 0) > sinceN) return false;
  if (was.role === now.role) {
    return was.until !== null && (now.until === null || now.until > was.until);
  }
  return [...shown.rooms.values()].some(
    (room) => room.roles.includes(now.role) && !room.roles.includes(was.role),
  );
}

function* grants(branch: Charter, shown: Charter): IterableIterator<Owed> {
  for (const [id, grant] of shown.grants) {
    const was = branch.grants.get(id);
    if (grant.endedN === null && was && was.endedN !== null) yield one("withdraw", grant.grant);
  }
}

function* invitations(branch: Charter, shown: Charter): IterableIterator<Owed> {
  for (const [id, invitation] of shown.invitations) {
    const was = branch.invitations.get(id);
    if (invitation.state === "open" && was && was.state !== "open") {
      yield one("cancel", invitation.invitation);
    }
  }
}

function* lists(branch: Charter, shown: Charter, sinceN: number): IterableIterator<Owed> {
  for (const name of [...shown.rooms.keys()].sort()) {
    const room = shown.rooms.get(name);
    const known = branch.rooms.get(name);
    if (!room || !known) continue;
    const added = [...room.people].filter((person) => !known.people.has(person)).sort();
    for (const person of added) {
      const letOut = (known.listed.get(person)?.length ?? 0) > 0 && branch.people.get(person)?.here;
      if (letOut && (room.listed.get(person)?.at(-1)?.[0] ?? 0) <= sinceN) {
        const who = room.roles.includes("owner") ? undefined : about(name);
        yield one("let_out", unhex(person as Hex), name, who);
      }
    }
  }
}

function* devices(branch: Charter, shown: Charter): IterableIterator<Owed> {
  for (const [id, device] of shown.devices) {
    const known = branch.devices.get(id);
    const stays = known && branch.people.get(hex(known.person))?.here;
    if (device.untilN === null && known && known.untilN !== null && stays) {
      yield one("remove_device", device.device, "", device.person);
    }
  }
}

function one(what: Again, of: Uint8Array, room = "", who?: PersonId): Owed {
  return { what, of, room, who };
}

function equal(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && same(a, b);
}
