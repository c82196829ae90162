/**
 * Acts that need a majority, on one device: what was asked, who agreed, and carrying it out. Mirror of
 * core/eigenkring/session/asks.py. Spec: docs/spec/charter.md, Majority.
 *
 * They travel in keybags to those who decide, not through the charter: whoever is to be removed must not read it there first.
 */
import * as compose from "../charter/compose";
import type { Draft } from "../charter/draft";
import type { Approval, Entry, Role } from "../charter/entry";
import * as majority from "../charter/majority";
import { parseAct } from "../charter/majority";
import type { Charter } from "../charter/state";
import { Inadmissible, Misuse } from "../errors";
import { type Hex, hex, same, unhex } from "../ids";
import { type Ask, asksShape, type Bag, bagOf } from "../keys";
import { pack, unpack } from "../shape";
import type { Operation } from "../wire";
import { authorOf, cutsFor, type Exchange, exchangeOf, keysAppend } from "./acting";
import type { CaseState } from "./case";
import type { CaseSession } from "./parts";

const FACT = "asks";
/** More questions at once than a family asks; whoever sends more of them has something else in mind. */
const MOST = 16;

/** What was asked and still can be answered: in the company that is here now, with somebody's yes, and not done. */
export async function held(session: CaseState): Promise<Ask[]> {
  const packed = session.store.fact(session.case, FACT);
  const found: Ask[] = [];
  // What changes no owner leaves the company as it was: the yeses would stand, and it would be done at every sync.
  const done = new Set(session.entries.flatMap(({ body }) => actOf(body) ?? []));
  for (const ask of packed ? unpack(asksShape, packed) : []) {
    if (done.has(hex(ask.act))) continue;
    const stands = await standing(session.known(), ask);
    if (stands) found.push(stands);
  }
  return found;
}

function actOf(body: Entry["body"]): Hex | undefined {
  return body && body.what !== "readmit" && "act" in body && body.act.length > 0 ? hex(body.act) : undefined;
}

/** Keeps what a keybag brought. What does not hold is left out: a false yes must not spoil the true ones. */
export async function take(session: CaseState, asks: Iterable<Ask>): Promise<void> {
  const known = new Map<Hex, Ask>();
  for (const ask of await held(session)) known.set(hex(ask.act), ask);
  for (const ask of asks) {
    const key = hex(ask.act);
    const before = known.get(key);
    const approvals = [...(before?.approvals ?? []), ...ask.approvals];
    const stands = await standing(session.known(), { act: ask.act, approvals });
    if (stands && (before || known.size < MOST)) known.set(key, stands);
  }
  const kept = [...known.values()];
  session.store.putFact(session.case, FACT, kept.length > 0 ? pack(asksShape, kept) : null);
}

async function standing(charter: Charter, { act, approvals }: Ask): Promise<Ask | undefined> {
  const byPerson = new Map<Hex, Approval>();
  for (const approval of approvals) {
    try {
      for (const person of await majority.yeses(charter, act, [approval])) {
        if (!byPerson.has(person)) byPerson.set(person, approval);
      }
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
  }
  return byPerson.size > 0 ? { act, approvals: [...byPerson.values()] } : undefined;
}

export function agreed(charter: Charter, { act, approvals }: Ask): Promise<Set<Hex>> {
  return majority.yeses(charter, act, approvals);
}

export async function isEnough(charter: Charter, ask: Ask): Promise<boolean> {
  return (await agreed(charter, ask)).size >= majority.needed(charter, parseAct(ask.act).what);
}

/** This person's yes, kept beside those that came before. Throws Misuse `not_permitted` without a vote. */
export async function withOwnYes(session: CaseState, act: Uint8Array): Promise<Ask> {
  const charter = session.known();
  const { what } = parseAct(act);
  if (!majority.voters(charter, what).has(hex(session.me()))) {
    const who = what === "readmit" ? "the members of the circle" : "the owners";
    throw new Misuse("not_permitted", `${who} decide that`);
  }
  const yes = await majority.approve(charter, act, session.device(), session.keys.sign);
  await take(session, [{ act, approvals: [yes] }]);
  const found = (await held(session)).find((ask) => same(ask.act, act));
  if (!found) throw new Misuse("not_permitted", "there are too many questions already");
  return found;
}

/** The boxes for those who decide. The one concerned only where it cannot be decided without them. */
export async function telling(session: CaseState, ask: Ask): Promise<Operation[]> {
  const charter = session.known();
  const { what, person } = parseAct(ask.act);
  const votes = majority.voters(charter, what);
  const others = new Set([...votes].filter((voter) => voter !== hex(person)));
  const asked = others.size < majority.needed(charter, what) ? votes : others;
  const devices = new Set<Hex>();
  for (const voter of asked) {
    for (const device of charter.devicesOf(unhex(voter))) devices.add(device);
  }
  devices.delete(hex(session.device()));
  const bags = new Map<Hex, Bag>([...devices].sort().map((device) => [device, bagOf([], [ask])]));
  return bags.size > 0 ? [await keysAppend(session, charter, bags)] : [];
}

// --- carrying out

/** An act that enough agreed to, this person among them, and that this person may post. */
export async function toCarryOut(session: CaseState): Promise<Ask | undefined> {
  const me = session.me();
  const charter = session.known();
  for (const ask of await held(session)) {
    const { what, person } = parseAct(ask.act);
    // The one concerned leaves or steps back by an own word; a readmission gives a link.
    if (what === "readmit" || !charter.isOwner(me) || same(person, me)) continue;
    if ((await agreed(charter, ask)).has(hex(me)) && (await isEnough(charter, ask))) return ask;
  }
  return undefined;
}

export async function carriedOut(now: CaseSession, ask: Ask): Promise<Exchange> {
  return exchangeOf(now, await draftFor(now, ask));
}

async function draftFor(now: CaseSession, ask: Ask): Promise<Draft> {
  const charter = now.known();
  const author = authorOf(now);
  const { what, person, role } = parseAct(ask.act);
  if (what === "close") return compose.close(charter, author, ask);
  const cuts = await cutsFor(now, [person]);
  if (what === "remove_person") return compose.removePerson(charter, author, person, cuts, ask);
  if (what === "set_role") {
    return compose.setRole(charter, author, person, role as Role, null, cuts, ask);
  }
  throw new Misuse("not_permitted", "that is done with a link, by whoever makes it");
}
