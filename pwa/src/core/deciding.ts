/** Who is what in the circle, and what more than one person decides: mirror of core/eigenkring/deciding.py. */
import * as compose from "./charter/compose";
import type { Role } from "./charter/entry";
import * as majority from "./charter/majority";
import { type Deed, NOBODY, parseAct } from "./charter/majority";
import { Misuse, Refused } from "./errors";
import { type Act, endOfDay, readmission } from "./giving";
import { hex, type PersonId, same } from "./ids";
import type { Ask } from "./keys";
import { authorOf, cutsFor, exchangeOf } from "./session/acting";
import * as asks from "./session/asks";
import * as clocks from "./session/clocks";
import type { CaseSession } from "./session/parts";
import type { Transport } from "./transport";
import { isFailed } from "./wire";

export const ROLES = ["owner", "member", "child", "coordinator"] as const;
/** What a person says, and what the charter calls it. */
export const DEEDS = {
  role: "set_role",
  remove: "remove_person",
  readmit: "readmit",
  close: "close",
} as const satisfies Record<string, Deed>;
export type Proposed = keyof typeof DEEDS;

/** Why one person cannot do this alone, and what to do next; undefined where that person can. */
export function mustBeAsked(
  session: CaseSession,
  what: Deed,
  person: PersonId,
  role = "",
): string | undefined {
  const charter = session.known();
  const was = charter.people.get(hex(person))?.role ?? "";
  const isBack = same(person, session.me()) && was === "owner" && role !== "owner";
  if (what === "set_role" && ((was !== "owner" && role !== "owner") || was === role || isBack))
    return undefined;
  if ((what === "remove_person" && was !== "owner") || majority.needed(charter, what) < 2) return undefined;
  if (!charter.isOwner(session.me())) return undefined; // the rules say no by themselves
  const voters = majority.voters(charter, what);
  const areTwo = voters.size === 2 && voters.has(hex(session.me())) && voters.has(hex(person));
  const how = `an owner comes and goes with ${majority.needed(charter, what)} owners: ask the others, who approve`;
  return areTwo
    ? `${how}; of two owners nobody puts out the other alone: begin anew without that person`
    : how;
}

/** Gives when it ends. */
export async function setRole(
  session: CaseSession,
  act: Act,
  person: PersonId,
  role: Role,
  until?: string,
): Promise<number | null> {
  checkRole(role);
  const ends = until === undefined ? null : endOfDay(until);
  if (ends !== null) clocks.check(session);
  if (ends !== null && ends <= session.around.clock()) throw new Misuse("bad_value", "that day is over");
  const whyNot = mustBeAsked(session, "set_role", person, role);
  if (whyNot) throw new Misuse("not_permitted", whyNot);
  await act(async (now) => {
    const cuts = await cutsFor(now, [person]);
    return exchangeOf(now, await compose.setRole(now.known(), authorOf(now), person, role, ends, cuts));
  });
  return ends;
}

/** The coordinator who started keeps a coordinator's rights only. */
export async function handOver(session: CaseSession, act: Act, person: PersonId): Promise<void> {
  const { acting, people } = session.known();
  if (!acting || !same(acting, session.me())) {
    throw new Misuse("not_permitted", "only the coordinator who started this can hand it over");
  }
  if (people.get(hex(person))?.role !== "owner") {
    throw new Misuse("not_permitted", "hand over to an owner: invite one first");
  }
  await act(async (now) => exchangeOf(now, await compose.handOver(now.known(), authorOf(now), person)));
}

function checkRole(role: string): asserts role is Role {
  if (!(ROLES as readonly string[]).includes(role)) {
    throw new Misuse("bad_argument", "a role is owner, member, child or coordinator");
  }
}

/**
 * Somebody of the circle who has no device: a line in the part `circle` with who writes down what they say. No keys are made
 * for them, so nobody can write as them. Gives the line's id.
 */
export async function withoutPhone(session: CaseSession, name: string, standIn: PersonId): Promise<string> {
  if (!name.trim()) throw new Misuse("bad_argument", "say what this person is called");
  const role = session.known().people.get(hex(standIn))?.role;
  if (role !== "owner" && role !== "member") {
    throw new Misuse(
      "bad_argument",
      "a stand-in is an owner or a member: others have no part to write it in",
    );
  }
  const item = hex(session.around.random(10));
  const fields = { name: name.trim(), status: "yes", stand_in: hex(standIn) };
  await session.inTurn(() => session.edit("circle", [["add", "people", item, fields]]));
  return item;
}

/** One of the circle without a phone. `person`: the line's id, as fields such as `for` and `who` name it. */
export interface HeardThroughOthers {
  readonly person: string;
  readonly name: string;
  /** The name of whoever writes down what they say. */
  readonly standIn: string;
}

/** Those without a phone, as far as this device reads the part `circle`. */
export function heardThroughOthers(session: CaseSession): HeardThroughOthers[] {
  const part = session.known().parts.get("circle");
  const opened = part && session.parts.get(hex(part.stream));
  const found: HeardThroughOthers[] = [];
  for (const [person, fields] of (opened && session.read(opened).get("people")) ?? []) {
    const who = fields.get("stand_in");
    const isGone = fields.get("status") === "no" || fields.get("status") === "gone";
    if (typeof who !== "string" || !who || fields.get("person") || isGone) continue;
    const standIn = session.known().people.get(who)?.name ?? who;
    found.push({ person, name: String(fields.get("name") ?? ""), standIn });
  }
  return found;
}

// --- more than one person decides

/** What was asked, who said yes, and whether that did it. */
export interface Decision {
  readonly what: Proposed | "invite";
  readonly person: PersonId | undefined;
  readonly role: string;
  /** Names, sorted. */
  readonly yes: readonly string[];
  readonly needed: number;
  /** Whether this person said yes. */
  readonly mine: boolean;
  readonly done: boolean;
}

/** Asks the others. Where one yes is enough it is done at once. */
export async function propose(
  session: CaseSession,
  act: Act,
  transport: Transport,
  { what, person, role }: { what: string; person?: PersonId | undefined; role?: string | undefined },
): Promise<Decision> {
  const deed: Deed | undefined = Object.hasOwn(DEEDS, what) ? DEEDS[what as Proposed] : undefined;
  const isWhole =
    (person === undefined) === (deed === "close") && (role === undefined) === (deed !== "set_role");
  if (!deed || !isWhole) {
    throw new Misuse("bad_argument", "ask for: a role for a person, remove or readmit a person, or close");
  }
  if (role !== undefined) checkRole(role);
  const about = person ?? NOBODY;
  for (const ask of await asks.held(session)) {
    const asked = parseAct(ask.act);
    if (asked.what === deed && same(asked.person, about) && asked.role === (role ?? "")) {
      return agree(session, act, transport, ask.act);
    }
  }
  return agree(session, act, transport, majority.propose(session.known(), deed, about, role ?? ""));
}

/** Says yes to what was asked; about one person, where more was asked. */
export async function approve(
  session: CaseSession,
  act: Act,
  transport: Transport,
  person?: PersonId,
): Promise<Decision> {
  const found = (await asks.held(session)).filter(
    (ask) => person === undefined || same(parseAct(ask.act).person, person),
  );
  const [only] = found;
  if (!only) throw new Misuse("no_such_person", "nothing was asked that still can be answered");
  if (found.length > 1) throw new Misuse("ambiguous", "more was asked: name the person");
  return agree(session, act, transport, only.act);
}

async function agree(
  session: CaseSession,
  act: Act,
  transport: Transport,
  asked: Uint8Array,
): Promise<Decision> {
  const ask = await session.inTurn(() => asks.withOwnYes(session, asked));
  const answer = await described(session, ask);
  const ready = await asks.toCarryOut(session);
  if (ready && same(ready.act, asked)) {
    await act((now) => asks.carriedOut(now, ready));
    return { ...answer, done: true };
  }
  if (parseAct(asked).what === "readmit" && (await asks.isEnough(session.known(), ask))) return answer;
  const ops = await session.inTurn(() => asks.telling(session, ask));
  await session.store.settled();
  for (const result of (await transport.exchange(ops)).results) {
    if (isFailed(result)) throw new Refused(result.code);
  }
  return answer;
}

/** What waits for a yes, and what was said so far. */
export async function described(session: CaseSession, ask: Ask): Promise<Decision> {
  const charter = session.known();
  const { what, person, role } = parseAct(ask.act);
  const said = (Object.keys(DEEDS) as Proposed[]).find((word) => DEEDS[word] === what);
  const agreed = await asks.agreed(charter, ask);
  const names = [...agreed].map((id) => charter.people.get(id)?.name ?? "");
  return {
    what: said ?? "invite",
    person: same(person, NOBODY) ? undefined : person,
    role,
    yes: names.sort(),
    needed: majority.needed(charter, what),
    mine: agreed.has(hex(session.me())),
    done: false,
  };
}

/** A link for a sole owner who lost everything, when enough members agreed. */
export async function readmit(
  session: CaseSession,
  act: Act,
  person: PersonId,
  days: number,
): Promise<string> {
  for (const ask of await asks.held(session)) {
    const deed = parseAct(ask.act);
    if (deed.what !== "readmit" || !same(deed.person, person)) continue;
    if (await asks.isEnough(session.known(), ask)) return readmission(session, act, person, ask, days);
  }
  const needed = majority.needed(session.known(), "readmit");
  throw new Misuse("not_permitted", `${needed} members bring an owner back: one asks, the others agree`);
}

/** Everything that was asked in the company that is here now. */
export async function asked(session: CaseSession): Promise<Decision[]> {
  const found: Decision[] = [];
  for (const ask of await asks.held(session)) found.push(await described(session, ask));
  return found;
}
