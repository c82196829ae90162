/** Who waits for whom: open invitations, knocks, words to compare. Mirror of core/eigenkring/waiting.py. */
import * as compose from "./charter/compose";
import type { Role } from "./charter/entry";
import { greetingPin, PERSON, VIEW } from "./doorstep";
import { Misuse } from "./errors";
import { type Act, withdraw } from "./giving";
import { type GrantId, hex, type PersonId, type StreamId, same } from "./ids";
import { formatLink } from "./link";
import { authorOf, exchangeOf } from "./session/acting";
import { confirmed, nonceFor, wordsOf } from "./session/comparing";
import { firstKnock, type Knocked, termsOf, watched } from "./session/doors";
import { firstKnock as firstOwnKnock, type NewDevice, ownDoors } from "./session/own-door";
import type { CaseSession } from "./session/parts";
import { openRecord } from "./stream";

export interface Waiting {
  readonly what: "invited" | "knocks" | "may read";
  readonly name: string;
  readonly role: Role | null;
  readonly expires: number | null;
  /** A door that asks for words, which a person has not confirmed. */
  readonly compare: boolean;
  /** Another device of this person itself: told by its door, because a visitor gives whatever name they like. */
  readonly own: boolean;
  /** The four to compare, once the visitor's screen can show them too. */
  readonly words: readonly string[] | null;
}

/** Open invitations and grants to which nobody came yet, and who waits at a door. */
export async function pending(session: CaseSession): Promise<Waiting[]> {
  const charter = session.known();
  const found: Waiting[] = [];
  const knocking = new Set<string>();
  for (const knocked of await firstKnocks(session)) {
    const { door } = knocked;
    knocking.add(hex(door.id));
    const invited = door.kind === "invitation" ? door.of : undefined;
    found.push({
      what: "knocks",
      name: knocked.statement.name,
      role: invited?.role ?? null,
      expires: invited?.expires ?? null,
      compare: door.compare,
      own: false,
      words: (door.compare && (await wordsOf(session, knocked))) || null,
    });
  }
  for (const { invitation, state, name, role, expires } of charter.invitations.values()) {
    if (state !== "open" || knocking.has(hex(invitation))) continue;
    found.push({ what: "invited", name, role, expires, compare: false, own: false, words: null });
  }
  for (const one of charter.grants.values()) {
    if (one.endedN !== null || one.device || knocking.has(hex(one.grant))) continue;
    const terms = await termsOf(session, one);
    const name = terms?.to ?? "";
    const { until: expires } = one;
    found.push({ what: "may read", name, role: null, expires, compare: false, own: false, words: null });
  }
  for (const fresh of await ownKnocks(session)) {
    const words = (await wordsOf(session, fresh)) ?? null;
    const { name } = fresh.statement;
    const { expires } = fresh.door;
    found.push({ what: "knocks", name, role: null, expires, compare: true, own: true, words });
  }
  return found;
}

/**
 * The four words are the same on both sides: lets this visitor in, and gives who that is, or of a reader which grant. Throws
 * Misuse: `no_such_person`, `ambiguous`, `not_yet`, `not_permitted`.
 */
export async function confirm(
  session: CaseSession,
  name: string,
  sync: () => Promise<unknown>,
): Promise<PersonId | GrantId> {
  const wanted = name.trim().toLowerCase();
  const everybody = [...(await firstKnocks(session)), ...(await ownKnocks(session))];
  const found = everybody.filter(({ statement }) => statement.name.toLowerCase() === wanted);
  const [knocked] = found;
  if (!knocked) throw new Misuse("no_such_person", "nobody of that name waits at a door");
  if (!found.every(({ device }) => same(device, knocked.device))) {
    // A thief with another link would give that name, and be let in by the words of the one it belongs to.
    throw new Misuse("ambiguous", "two who wait call themselves that: cancel or withdraw one of the links");
  }
  if (knocked.door.compare) {
    if (!nonceFor(session, knocked)) {
      throw new Misuse(
        "not_permitted",
        "somebody left since that link was made, so its words prove nothing: make another one",
      );
    }
    if (!(await wordsOf(session, knocked))) {
      throw new Misuse("not_yet", "there are no words to compare yet; sync, and look at the other screen");
    }
  }
  // For exactly this device: whoever knocks next was not compared.
  session.store.putFact(session.case, confirmed(knocked), knocked.device);
  await sync();
  const person = session.known().personOf(knocked.device);
  if (person) return person.person;
  for (const { grant, device } of session.known().grants.values()) {
    if (device && same(device.device, knocked.device)) return grant;
  }
  throw new Misuse("not_yet", "it was noted, and the keys are given at the next sync");
}

/** The link that leads to a doorstep of this case. Throws Misuse: `no_such_person`, `not_yet`. */
export async function linkAt(session: CaseSession, doorstep: StreamId): Promise<string> {
  const door = (await watched(session)).find(({ stream }) => same(stream, doorstep));
  if (!door) throw new Misuse("no_such_person", "nobody is waited for there any more");
  const { kind, seed, secrets } = door;
  const [greeting] = session.store.records(session.case, doorstep);
  if (!greeting) throw new Misuse("not_yet", "its greeting was not read here yet; sync, and try again");
  const pin = greetingPin(await openRecord(secrets, greeting.record));
  const { relay } = session.row;
  return formatLink({ relay, kind: kind === "invitation" ? PERSON : VIEW, doorstep, seed, pin });
}

/**
 * Takes back a link, to the circle or to a view, that let nobody in: it works no more. Also where the words were not the
 * same. Throws Misuse: `no_such_person`, `ambiguous`.
 */
export async function cancel(session: CaseSession, act: Act, name: string): Promise<string> {
  const wanted = name.trim().toLowerCase();
  const { invitations, grants } = session.known();
  const knocking = new Map(
    (await firstKnocks(session)).map(({ door, statement }) => [hex(door.id), statement.name] as const),
  );
  const isCalled = (id: Uint8Array, called: string): boolean =>
    [called, knocking.get(hex(id)) ?? called].some((one) => one.toLowerCase() === wanted);
  const found: (readonly [string, () => Promise<unknown>])[] = [];
  for (const { invitation, state, name: called } of invitations.values()) {
    if (state !== "open" || !isCalled(invitation, called)) continue;
    const undo = () =>
      act(async (now) => exchangeOf(now, await compose.cancel(now.known(), authorOf(now), invitation)));
    found.push([called, undo]);
  }
  for (const one of grants.values()) {
    if (one.endedN !== null || one.device) continue;
    const to = (await termsOf(session, one))?.to ?? "";
    if (isCalled(one.grant, to)) found.push([to, () => withdraw(session, act, one.grant)]);
  }
  const [only] = found;
  if (!only) throw new Misuse("no_such_person", "there is no link of that name that nobody used");
  if (found.length > 1) throw new Misuse("ambiguous", "there is more than one open link of that name");
  await only[1]();
  return only[0];
}

async function firstKnocks(session: CaseSession): Promise<Knocked[]> {
  const found: Knocked[] = [];
  for (const door of await watched(session)) {
    const knocked = await firstKnock(session, door);
    if (knocked) found.push(knocked);
  }
  return found;
}

/** Other devices of this person that wait for their words to be compared. */
async function ownKnocks(session: CaseSession): Promise<NewDevice[]> {
  const found: NewDevice[] = [];
  for (const door of ownDoors(session)) {
    const fresh = door.compare ? await firstOwnKnock(session, door) : undefined;
    if (fresh) found.push(fresh);
  }
  return found;
}
